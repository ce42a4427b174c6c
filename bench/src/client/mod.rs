//! The cheapest clients that are still right: what the generator spends, the
//! server under test does not get.
//!
//! A connection is a stream (clear or TLS) and one read buffer. Replies are
//! read line by line; message texts are skipped by their known length and
//! never searched.

pub mod imap;
pub mod pop3;
pub mod smtp;
pub mod tls;

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Octets read at a time.
const READ_BYTES: usize = 64 << 10;
/// Read buffer of a connection that only says little.
const READ_BYTES_SMALL: usize = 2 << 10;
/// A server that sends a longer line than this is not one we measure.
const LINE_BYTES_MAX: usize = 16 << 20;

/// A connection's transport.
#[derive(Debug)]
pub enum Stream {
    /// As it is.
    Clear(TcpStream),
    /// Inside TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection with its read buffer.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
    /// Unread octets are `buffer[start..end]`.
    start: usize,
    end: usize,
}

impl Connection {
    /// Connects in clear.
    pub async fn clear(to: SocketAddr) -> Result<Connection> {
        Ok(Connection::over(Stream::Clear(tcp(to).await?), READ_BYTES))
    }

    /// Connects and shakes hands at once (implicit TLS).
    pub async fn tls(to: SocketAddr, tls: &tls::Client) -> Result<Connection> {
        let stream = tls.handshake(tcp(to).await?).await?;
        Ok(Connection::over(Stream::Tls(Box::new(stream)), READ_BYTES))
    }

    /// Like [`Connection::tls`] with a small buffer, for connections by the thousand.
    pub async fn tls_small(to: SocketAddr, tls: &tls::Client) -> Result<Connection> {
        let stream = tls.handshake(tcp(to).await?).await?;
        Ok(Connection::over(Stream::Tls(Box::new(stream)), READ_BYTES_SMALL))
    }

    /// Goes on inside TLS, after the server has agreed to it.
    pub async fn upgrade(self, tls: &tls::Client) -> Result<Connection> {
        match self.stream {
            Stream::Clear(stream) if self.start == self.end => {
                let stream = tls.handshake(stream).await?;
                Ok(Connection::over(Stream::Tls(Box::new(stream)), READ_BYTES))
            }
            _ => Err(bad("the server sent more than its agreement to TLS")),
        }
    }

    fn over(stream: Stream, buffer_bytes: usize) -> Connection {
        Connection { stream, buffer: vec![0; buffer_bytes], start: 0, end: 0 }
    }

    /// Sends all.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        // TLS keeps records back until it is told to flush; TCP has nothing to flush.
        self.stream.flush().await
    }

    /// The next line without its CR LF.
    pub async fn line(&mut self) -> Result<&[u8]> {
        let mut searched = 0;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.start + searched..self.end]) {
                let from = self.start;
                let to = from + searched + at;
                self.start = to + 1;
                let line = &self.buffer[from..to];
                return Ok(line.strip_suffix(b"\r").unwrap_or(line));
            }
            searched = self.end - self.start;
            if searched > LINE_BYTES_MAX {
                return Err(bad("a line without end"));
            }
            self.fill().await?;
        }
    }

    /// Passes over this many octets.
    pub async fn skip(&mut self, mut octets: u64) -> Result<()> {
        loop {
            let here = octets.min((self.end - self.start) as u64);
            // `here` is at most the buffer's length, so it fits.
            self.start += here as usize;
            octets -= here;
            if octets == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    /// Waits until the server has closed; what it still sends is dropped.
    pub async fn closed(&mut self) -> Result<()> {
        loop {
            self.start = self.end;
            match self.fill().await {
                Ok(()) => {}
                // Some servers leave without TLS' close_notify.
                Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
    }

    async fn fill(&mut self) -> Result<()> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.end == self.buffer.len() {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        let n = self.stream.read(&mut self.buffer[self.end..]).await?;
        if n == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        self.end += n;
        Ok(())
    }
}

/// An error that names what the server did.
pub fn bad(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, what.into())
}

/// A reply of the server that was not the one wanted.
pub fn unexpected(wanted: &str, got: &[u8]) -> Error {
    bad(format!("wanted {wanted}, got {:?}", String::from_utf8_lossy(got)))
}

async fn tcp(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        match self.get_mut() {
            Stream::Clear(s) => Pin::new(s).poll_read(cx, buf),
            Stream::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        match self.get_mut() {
            Stream::Clear(s) => Pin::new(s).poll_write(cx, buf),
            Stream::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self.get_mut() {
            Stream::Clear(s) => Pin::new(s).poll_flush(cx),
            Stream::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self.get_mut() {
            Stream::Clear(s) => Pin::new(s).poll_shutdown(cx),
            Stream::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A connection to a server that sends `pieces`, each by itself, and closes.
    async fn served(pieces: &'static [&'static [u8]]) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for piece in pieces {
                stream.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        Connection::over(Stream::Clear(tcp(to).await.unwrap()), 8)
    }

    #[tokio::test]
    async fn lines_across_reads_and_beyond_the_buffer() {
        let mut c = served(&[b"+OK", b" a rather long greeting\r", b"\nsecond\nthi", b"rd\r\n"]).await;
        assert_eq!(c.line().await.unwrap(), b"+OK a rather long greeting");
        assert_eq!(c.line().await.unwrap(), b"second");
        assert_eq!(c.line().await.unwrap(), b"third");
        assert_eq!(c.line().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn skipping_is_exact() {
        let mut c = served(&[b"0123456789abcdef", b"ghij.\r\nnext\r\n"]).await;
        c.skip(20).await.unwrap();
        assert_eq!(c.line().await.unwrap(), b".");
        assert_eq!(c.line().await.unwrap(), b"next");
        c.closed().await.unwrap();
    }
}
