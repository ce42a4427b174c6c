//! What a server says it can do: its answer to EHLO or LHLO, read by a client.

use super::Reply;
use crate::sasl::Mechanism;

/// The extensions that matter to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The server's name for itself.
    pub host: String,
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 1870; `Some(0)` is offered without a limit.
    pub size: Option<u64>,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 3030, chunks.
    pub chunking: bool,
    /// RFC 3030, binary content.
    pub binary_mime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 2034.
    pub enhanced_status_codes: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 8689.
    pub require_tls: bool,
    /// RFC 4954: names of mechanisms in capitals, in the server's order.
    pub auth: Vec<String>,
    /// RFC 9422: transactions in a connection.
    pub mails_max: Option<u32>,
    /// RFC 9422: recipients in a transaction.
    pub recipients_max: Option<u32>,
}

impl Capabilities {
    /// Reads the answer. Unknown keywords are passed over.
    #[must_use]
    pub fn read(reply: &Reply) -> Capabilities {
        let mut lines = reply.lines.iter();
        let first = lines.next().map_or("", String::as_str);
        let mut found = Capabilities {
            host: first.split_ascii_whitespace().next().unwrap_or_default().to_owned(),
            ..Capabilities::default()
        };
        for line in lines {
            // `AUTH=PLAIN` instead of `AUTH PLAIN` was in a draft, and some servers still say it.
            let line = line.replacen("AUTH=", "AUTH ", 1);
            let mut words = line.split_ascii_whitespace();
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => found.pipelining = true,
                "SIZE" => found.size = Some(words.next().and_then(|w| w.parse().ok()).unwrap_or(0)),
                "8BITMIME" => found.eight_bit_mime = true,
                "CHUNKING" => found.chunking = true,
                "BINARYMIME" => found.binary_mime = true,
                "SMTPUTF8" => found.smtputf8 = true,
                "DSN" => found.dsn = true,
                "ENHANCEDSTATUSCODES" => found.enhanced_status_codes = true,
                "STARTTLS" => found.starttls = true,
                "REQUIRETLS" => found.require_tls = true,
                "AUTH" => {
                    for name in words.map(str::to_ascii_uppercase) {
                        if !found.auth.contains(&name) {
                            found.auth.push(name);
                        }
                    }
                }
                "LIMITS" => found.limits(words),
                _ => {}
            }
        }
        found
    }

    /// The mechanisms that we know, in our own order of strength.
    #[must_use]
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        Mechanism::ALL.into_iter().filter(|m| self.auth.iter().any(|name| name == m.name())).collect()
    }

    fn limits<'a>(&mut self, words: impl Iterator<Item = &'a str>) {
        for (name, value) in words.filter_map(|w| w.split_once('=')) {
            // RFC 9422 3: a limit that cannot be read is no limit.
            let value = value.parse().ok().filter(|n| *n > 0);
            match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => self.mails_max = value,
                "RCPTMAX" => self.recipients_max = value,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let lines = "mx.b.test hello|PIPELINING|size 1000|AUTH PLAIN login X-FOO|AUTH=PLAIN CRAM-MD5|LIMITS RCPTMAX=7 MAILMAX=x|X-WHAT 1|SMTPUTF8";
        let reply = Reply { code: 250, status: None, lines: lines.split('|').map(str::to_owned).collect() };
        let found = Capabilities::read(&reply);
        assert_eq!(found.host, "mx.b.test");
        assert!(found.pipelining && found.smtputf8 && !found.starttls);
        assert_eq!(found.size, Some(1000));
        assert_eq!(found.auth, ["PLAIN", "LOGIN", "X-FOO", "CRAM-MD5"]);
        assert_eq!(found.mechanisms(), [Mechanism::CramMd5, Mechanism::Plain, Mechanism::Login]);
        assert_eq!((found.recipients_max, found.mails_max), (Some(7), None));
    }
}
