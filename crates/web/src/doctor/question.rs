//! The question of a form or a link, held against what a stranger may ask.

use crate::ask::Ask;
use doctor::lookup::Endpoints;
use doctor::{Limits, Now, Question, Scope};
use net::dns::a_labels;
use proto::guide::{self, Lang};
use std::net::IpAddr;

/// Octets of what stands in one field.
const FIELD_BYTES_MAX: usize = 320;
/// Settings of today in one question.
const NOW_MAX: usize = 4;

/// What was typed, to be shown again in the form.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    pub address: String,
    pub client: String,
    pub reading: Row,
    pub sending: Row,
    /// Settings in the words of `sealpost doctor --now`, from a link.
    now: Vec<String>,
    pub json: bool,
}

/// One kind of server as it is set up today.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub protocol: String,
    pub host: String,
    pub port: String,
    pub security: String,
}

/// What is wrong with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Neither an address nor a server's name.
    Address,
    /// A setting of today cannot be one.
    Now,
}

impl Typed {
    /// From the query or the form in the body; names as in the page's form, and `now`.
    pub(super) fn read(ask: &Ask) -> Typed {
        let form = ask.form();
        let get = |name: &str| -> String {
            form.get(name).or_else(|| ask.query(name)).unwrap_or_default().to_owned()
        };
        let row = |kind: &str, protocol: String| Row {
            protocol,
            host: get(&format!("{kind}-host")),
            port: get(&format!("{kind}-port")),
            security: get(&format!("{kind}-security")),
        };
        Typed {
            address: get("address"),
            client: get("client"),
            reading: row("reading", get("reading-protocol")),
            sending: row("sending", "smtp".to_owned()),
            now: get("now").split([',', ' ']).filter(|one| !one.is_empty()).map(str::to_owned).collect(),
            json: get("format") == "json",
        }
    }

    /// Is anything asked, or is the form wanted?
    pub(super) fn is_empty(&self) -> bool {
        self.address.is_empty()
    }

    /// The question.
    pub(super) fn question(
        &self,
        lang: Lang,
        limits: Limits,
        endpoints: Endpoints,
    ) -> Result<Question, Mistake> {
        let (address, domain, is_host) = target(&self.address).ok_or(Mistake::Address)?;
        let mut now = Vec::new();
        if self.now.len() > NOW_MAX {
            return Err(Mistake::Now);
        }
        for text in &self.now {
            now.push(text.parse::<Now>().map_err(|_| Mistake::Now)?);
        }
        for row in [&self.reading, &self.sending] {
            now.extend(row.now()?);
        }
        if now.iter().filter_map(|now| now.host.as_deref()).any(|host| host_name(host).is_none()) {
            return Err(Mistake::Now);
        }
        let client = guide::find(&self.client).map(|client| client.id);
        Ok(Question {
            address,
            is_host,
            now,
            client,
            scope: Scope::Public,
            limits,
            lang,
            endpoints,
            ..Question::about(domain)
        })
    }
}

impl Row {
    /// The setting; `None` if the port was left empty.
    fn now(&self) -> Result<Option<Now>, Mistake> {
        if self.port.is_empty() {
            return Ok(None);
        }
        let host = match self.host.as_str() {
            "" => None,
            host => Some(host_name(host).ok_or(Mistake::Now)?),
        };
        let text = format!("{}:{}:{}", self.protocol, self.port, self.security);
        let now: Now = text.parse().map_err(|_| Mistake::Now)?;
        // A port that brought a host along is no port.
        if now.host.is_some() {
            return Err(Mistake::Now);
        }
        Ok(Some(Now { host, ..now }))
    }
}

/// Address, domain or host, and whether it is a host.
fn target(text: &str) -> Option<(Option<String>, String, bool)> {
    if text.len() > FIELD_BYTES_MAX || text.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let Some((local, domain)) = text.rsplit_once('@') else {
        return Some((None, host_name(text)?, true));
    };
    let domain = host_name(domain).filter(|domain| domain.parse::<IpAddr>().is_err())?;
    if local.chars().any(|c| c.is_control() || c.is_whitespace() || c == '@') {
        return None;
    }
    Some(((!local.is_empty()).then(|| format!("{local}@{domain}")), domain, false))
}

/// A host in its one spelling. Single words are names of the inside network alone, and wildcards no names.
fn host_name(text: &str) -> Option<String> {
    if text.len() > FIELD_BYTES_MAX {
        return None;
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    a_labels(text).filter(|name| name.contains('.') && !name.starts_with('*'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::service::{Protection, Protocol};

    fn typed(address: &str) -> Typed {
        Typed { address: address.to_owned(), ..Typed::default() }
    }

    fn asked(typed: &Typed) -> Result<Question, Mistake> {
        typed.question(Lang::En, Limits::default(), Endpoints::default())
    }

    #[test]
    fn targets_are_addresses_and_hosts_of_the_public_net() {
        for (text, address, domain, is_host) in [
            ("me@Example.COM", Some("me@example.com"), "example.com", false),
            ("@example.com", None, "example.com", false),
            ("me@bücher.example", Some("me@xn--bcher-kva.example"), "xn--bcher-kva.example", false),
            ("mail.example.com.", None, "mail.example.com", true),
            ("[2001:db8::1]", None, "2001:db8::1", true),
        ] {
            let question = asked(&typed(text)).expect(text);
            assert_eq!((question.address.as_deref(), question.domain.as_str()), (address, domain));
            assert_eq!(question.is_host, is_host);
            assert_eq!(question.scope, Scope::Public);
            assert!(question.password.is_none());
        }
        for text in
            ["localhost", "me", "me@localhost", "a b@c.d", "me@127.0.0.1", "*.example.com", "a@b@", "<x>"]
        {
            assert_eq!(asked(&typed(text)).err(), Some(Mistake::Address), "{text}");
        }
        assert!(asked(&typed(&format!("{}@example.com", "a".repeat(400)))).is_err());
    }

    #[test]
    fn settings_of_today_come_from_fields_or_words() {
        let row = |protocol: &str, host: &str, port: &str, security: &str| Row {
            protocol: protocol.to_owned(),
            host: host.to_owned(),
            port: port.to_owned(),
            security: security.to_owned(),
        };
        let mut typed = typed("me@example.com");
        typed.reading = row("imap", "Mail.Example.com", "143", "none");
        typed.sending = row("smtp", "", "", "");
        typed.now = vec!["smtp:465:starttls".to_owned()];
        let now = asked(&typed).expect("a question").now;
        assert_eq!(now.len(), 2);
        assert_eq!((now[0].protocol, now[0].protection), (Protocol::Submission, Protection::StartTls));
        assert_eq!((now[1].host.as_deref(), now[1].port), (Some("mail.example.com"), 143));
        for bad in [
            row("imap", "intranet", "143", "none"),
            row("imap", "a/b.example", "143", "none"),
            row("imap", "", "99999", "none"),
            row("imap", "", "x.example:143", "none"),
            row("imap", "", "143", ""),
            row("", "", "143", "none"),
        ] {
            typed.reading = bad;
            assert_eq!(asked(&typed).err(), Some(Mistake::Now), "{:?}", typed.reading);
        }
        typed.reading = Row::default();
        typed.now = vec!["imap:intranet:143:none".to_owned()];
        assert_eq!(asked(&typed).err(), Some(Mistake::Now));
        typed.now = vec!["imap:143:none".to_owned(); NOW_MAX + 1];
        assert_eq!(asked(&typed).err(), Some(Mistake::Now));
    }
}
