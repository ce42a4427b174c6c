//! A POP3 client that fetches whole mailboxes, one command at a time or
//! pipelined.
//!
//! It asks for all sizes first (LIST) and then passes over exactly that many
//! octets of each message and wants to see the closing dot there. So every
//! message is checked for its length without being searched. That needs
//! messages without lines that begin with a dot, which the corpus sees to.

use super::tls;
use super::{Connection, bad, unexpected};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use std::io::Result;
use std::net::SocketAddr;

/// A POP3 connection.
#[derive(Debug)]
pub struct Pop3 {
    connection: Connection,
}

impl Pop3 {
    /// Connects in clear and reads the greeting.
    pub async fn clear(to: SocketAddr) -> Result<Pop3> {
        Pop3::greeted(Connection::clear(to).await?).await
    }

    /// Connects by implicit TLS and reads the greeting.
    pub async fn tls(to: SocketAddr, tls: &tls::Client) -> Result<Pop3> {
        Pop3::greeted(Connection::tls(to, tls).await?).await
    }

    /// Like [`Pop3::tls`], holding little memory.
    pub async fn tls_small(to: SocketAddr, tls: &tls::Client) -> Result<Pop3> {
        Pop3::greeted(Connection::tls_small(to, tls).await?).await
    }

    async fn greeted(connection: Connection) -> Result<Pop3> {
        let mut pop3 = Pop3 { connection };
        pop3.ok().await?;
        Ok(pop3)
    }

    /// Logs in: AUTH PLAIN with the initial response (RFC 5034), one round trip.
    pub async fn login(&mut self, user: &str, password: &str) -> Result<()> {
        let plain = STANDARD.encode(format!("\0{user}\0{password}"));
        self.connection.send(format!("AUTH PLAIN {plain}\r\n").as_bytes()).await?;
        self.ok().await.map(drop)
    }

    /// Number of messages.
    pub async fn count(&mut self) -> Result<u64> {
        self.connection.send(b"STAT\r\n").await?;
        let line = self.ok().await?;
        std::str::from_utf8(line)
            .ok()
            .and_then(|text| text.split(' ').nth(1)?.parse().ok())
            .ok_or_else(|| unexpected("+OK count size", line))
    }

    /// Sizes of all messages, in order.
    pub async fn sizes(&mut self) -> Result<Vec<u64>> {
        self.connection.send(b"LIST\r\n").await?;
        self.ok().await?;
        let mut sizes = Vec::new();
        loop {
            let line = self.connection.line().await?;
            if line == b"." {
                return Ok(sizes);
            }
            let size = std::str::from_utf8(line).ok().and_then(|text| text.split(' ').nth(1)?.parse().ok());
            sizes.push(size.ok_or_else(|| unexpected("number size", line))?);
        }
    }

    /// Fetches every message, with up to `window` commands under way; octets fetched.
    pub async fn fetch_all(&mut self, sizes: &[u64], window: usize) -> Result<u64> {
        let mut commands = String::new();
        let mut asked = 0;
        let mut octets = 0;
        for (read, size) in sizes.iter().enumerate() {
            // Asked for in half windows, so that the server always has some to
            // do and commands still go out many at a time.
            if asked < sizes.len() && asked - read <= window / 2 {
                commands.clear();
                while asked < sizes.len() && asked - read < window {
                    asked += 1;
                    // Writing to a String cannot fail.
                    let _ = write!(commands, "RETR {asked}\r\n");
                }
                self.connection.send(commands.as_bytes()).await?;
            }
            self.ok().await?;
            self.connection.skip(*size).await?;
            let end = self.connection.line().await?;
            if end != b"." {
                return Err(bad(format!(
                    "message {} does not end after the {size} octets that LIST said",
                    read + 1
                )));
            }
            octets += size;
        }
        Ok(octets)
    }

    /// Is the session still there? Asked with CAPA, which needs no login (RFC 2449 5).
    pub async fn alive(&mut self) -> Result<bool> {
        self.connection.send(b"CAPA\r\n").await?;
        match self.ok().await {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(e),
        }
        while self.connection.line().await? != b"." {}
        Ok(true)
    }

    /// Says goodbye and waits until the server has closed, so that the mailbox is free again.
    pub async fn quit(mut self) -> Result<()> {
        self.connection.send(b"QUIT\r\n").await?;
        self.ok().await?;
        self.connection.closed().await
    }

    async fn ok(&mut self) -> Result<&[u8]> {
        let line = self.connection.line().await?;
        if line.starts_with(b"+OK") { Ok(line) } else { Err(unexpected("+OK", line)) }
    }
}
