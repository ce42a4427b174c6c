//! An SMTP client that sends messages as another mail server would: EHLO once,
//! then each envelope in one pipelined write (RFC 2920), then the data.

use super::tls;
use super::{Connection, unexpected};
use std::io::Result;
use std::net::SocketAddr;

/// An SMTP connection after EHLO.
#[derive(Debug)]
pub struct Smtp {
    connection: Connection,
    envelope: Vec<u8>,
}

impl Smtp {
    /// Connects; with `tls`, upgrades by STARTTLS first.
    pub async fn connect(to: SocketAddr, tls: Option<&tls::Client>) -> Result<Smtp> {
        let mut connection = Connection::clear(to).await?;
        reply(&mut connection, b"220").await?;
        connection.send(b"EHLO load.example.net\r\n").await?;
        reply(&mut connection, b"250").await?;
        if let Some(tls) = tls {
            connection.send(b"STARTTLS\r\n").await?;
            reply(&mut connection, b"220").await?;
            connection = connection.upgrade(tls).await?;
            connection.send(b"EHLO load.example.net\r\n").await?;
            reply(&mut connection, b"250").await?;
        }
        Ok(Smtp { connection, envelope: Vec::with_capacity(256) })
    }

    /// Sends one message; returns when the server has taken it. `data` is
    /// dot-stuffed and ends with CR LF `.` CR LF.
    pub async fn message(&mut self, recipient: &str, data: &[u8]) -> Result<()> {
        self.envelope.clear();
        self.envelope.extend_from_slice(b"MAIL FROM:<sender@load.example.net>\r\nRCPT TO:<");
        self.envelope.extend_from_slice(recipient.as_bytes());
        self.envelope.extend_from_slice(b">\r\nDATA\r\n");
        self.connection.send(&self.envelope).await?;
        for wanted in [b"250", b"250", b"354"] {
            reply(&mut self.connection, wanted).await?;
        }
        self.connection.send(data).await?;
        reply(&mut self.connection, b"250").await
    }

    /// Says goodbye.
    pub async fn quit(mut self) -> Result<()> {
        self.connection.send(b"QUIT\r\n").await?;
        reply(&mut self.connection, b"221").await
    }
}

/// Reads one reply of any number of lines.
async fn reply(connection: &mut Connection, wanted: &[u8; 3]) -> Result<()> {
    loop {
        let line = connection.line().await?;
        if !line.starts_with(wanted) {
            return Err(unexpected(&String::from_utf8_lossy(wanted), line));
        }
        if line.get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
