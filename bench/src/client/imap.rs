//! An IMAP client that says a command and passes over its answer, as cheaply as can be.
//!
//! Answers are walked over line by line; a literal is skipped by its announced length.

use super::tls;
use super::{Connection, unexpected};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::Result;
use std::net::SocketAddr;

/// An IMAP connection.
#[derive(Debug)]
pub struct Imap {
    connection: Connection,
    tags: u64,
}

/// What an answer came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// Untagged lines (a line with literals counts once).
    pub lines: u64,
    /// Octets in literals.
    pub octets: u64,
    /// Numbers in a SEARCH or ESEARCH COUNT answer.
    pub found: u64,
    /// The last EXISTS.
    pub exists: u64,
}

impl Imap {
    /// Connects by implicit TLS and reads the greeting.
    pub async fn tls(to: SocketAddr, tls: &tls::Client) -> Result<Imap> {
        Imap::greeted(Connection::tls(to, tls).await?).await
    }

    /// Like [`Imap::tls`], holding little memory.
    pub async fn tls_small(to: SocketAddr, tls: &tls::Client) -> Result<Imap> {
        Imap::greeted(Connection::tls_small(to, tls).await?).await
    }

    async fn greeted(mut connection: Connection) -> Result<Imap> {
        let line = connection.line().await?;
        if !line.starts_with(b"* OK") {
            return Err(unexpected("* OK", line));
        }
        Ok(Imap { connection, tags: 0 })
    }

    /// AUTHENTICATE PLAIN with the initial response (RFC 4959), one round trip.
    pub async fn login(&mut self, user: &str, password: &str) -> Result<()> {
        let plain = STANDARD.encode(format!("\0{user}\0{password}"));
        self.command(&format!("AUTHENTICATE PLAIN {plain}")).await.map(drop)
    }

    /// Says a command and wants OK.
    pub async fn command(&mut self, text: &str) -> Result<Answer> {
        let tag = self.say(text.as_bytes()).await?;
        self.answer(&tag).await
    }

    /// Sends a command that is complete but for its tag and end.
    pub async fn say(&mut self, text: &[u8]) -> Result<String> {
        self.tags += 1;
        let tag = format!("a{}", self.tags);
        let mut line = Vec::with_capacity(text.len() + 16);
        line.extend_from_slice(tag.as_bytes());
        line.push(b' ');
        line.extend_from_slice(text);
        line.extend_from_slice(b"\r\n");
        self.connection.send(&line).await?;
        Ok(tag)
    }

    /// Reads up to the tagged answer, which must be OK.
    pub async fn answer(&mut self, tag: &str) -> Result<Answer> {
        let mut answer = Answer::default();
        loop {
            let line = self.connection.line().await?;
            if line.starts_with(tag.as_bytes()) && line.get(tag.len()) == Some(&b' ') {
                return match &line[tag.len() + 1..] {
                    ok if ok.starts_with(b"OK") => Ok(answer),
                    _ => Err(unexpected("OK", line)),
                };
            }
            answer.lines += 1;
            if line.starts_with(b"* SEARCH") {
                answer.found = line.iter().filter(|b| **b == b' ').count() as u64 - 1;
            } else if let Some(head) = line.strip_suffix(b" EXISTS") {
                answer.exists = number(head.get(2..).unwrap_or_default());
            }
            let mut literal = literal(line);
            while let Some(octets) = literal {
                answer.octets += octets;
                self.connection.skip(octets).await?;
                literal = self::literal(self.connection.line().await?);
            }
        }
    }

    /// Begins IDLE.
    pub async fn idle(&mut self) -> Result<String> {
        let tag = self.say(b"IDLE").await?;
        loop {
            let line = self.connection.line().await?;
            if line.starts_with(b"+") {
                return Ok(tag);
            }
            if !line.starts_with(b"* ") {
                return Err(unexpected("+", line));
            }
        }
    }

    /// In IDLE: waits for EXISTS.
    pub async fn exists(&mut self) -> Result<u64> {
        loop {
            let line = self.connection.line().await?;
            if let Some(head) = line.strip_suffix(b" EXISTS") {
                return Ok(number(head.get(2..).unwrap_or_default()));
            }
        }
    }

    /// Ends IDLE.
    pub async fn done(&mut self, tag: &str) -> Result<()> {
        self.connection.send(b"DONE\r\n").await?;
        self.answer(tag).await.map(drop)
    }
}

fn number(digits: &[u8]) -> u64 {
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The octets of the literal that a line announces.
fn literal(line: &[u8]) -> Option<u64> {
    let open = line.strip_suffix(b"}")?;
    let at = open.iter().rposition(|byte| *byte == b'{')?;
    std::str::from_utf8(&open[at + 1..]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn literals_are_seen_at_the_end_only() {
        assert_eq!(literal(b"* 1 FETCH (BODY[] {310}"), Some(310));
        assert_eq!(literal(b"* 1 FETCH (BODY[] {310} UID 4)"), None);
        assert_eq!(literal(b"* OK {x}"), None);
    }
}
