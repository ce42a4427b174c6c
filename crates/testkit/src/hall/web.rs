//! The web servers of the hall: one answer a connection, scripted.

use super::scenario::Page;
use rustls::ServerConfig;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

const REQUEST_BYTES_MAX: usize = 64 * 1024;
const DRIP: Duration = Duration::from_millis(100);

/// One host, one port.
pub(super) struct Web {
    /// Texts have their ports already.
    pub(super) pages: Vec<Page>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Request lines.
    pub(super) asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    pub(super) async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        match &self.tls {
            Some(tls) => self.answer(TlsAcceptor::from(Arc::clone(tls)).accept(stream).await?).await,
            None => self.answer(stream).await,
        }
    }

    async fn answer(&self, mut io: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut request = Vec::new();
        while !request.windows(4).any(|four| four == b"\r\n\r\n") {
            let mut chunk = [0; 4096];
            let count = io.read(&mut chunk).await?;
            if count == 0 || request.len() > REQUEST_BYTES_MAX {
                return Ok(());
            }
            request.extend_from_slice(&chunk[..count]);
        }
        let text = String::from_utf8_lossy(&request);
        let line = text.lines().next().unwrap_or_default().to_owned();
        let host = text
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("host:").map(|host| host.trim().to_owned())
            })
            .unwrap_or_default();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{host} {line}"));
        let target = line.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        let page = self
            .pages
            .iter()
            .find(|page| page.path == target)
            .or_else(|| self.pages.iter().find(|page| page.path == path));
        let Some(page) = page else {
            return io
                .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .await;
        };
        let mut head = format!("HTTP/1.1 {} Scripted\r\nconnection: close\r\n", page.status);
        head += &format!("content-length: {}\r\n", page.body.len() as u64 + page.filler);
        if !page.content_type.is_empty() {
            head += &format!("content-type: {}\r\n", page.content_type);
        }
        if let Some(location) = &page.location {
            head += &format!("location: {location}\r\n");
        }
        io.write_all(format!("{head}\r\n").as_bytes()).await?;
        if page.drip {
            for byte in page.body.bytes() {
                io.write_all(&[byte]).await?;
                io.flush().await?;
                tokio::time::sleep(DRIP).await;
            }
        } else {
            io.write_all(page.body.as_bytes()).await?;
        }
        let mut left = page.filler;
        while left > 0 {
            let count = left.min(64 * 1024);
            io.write_all(&vec![b' '; usize::try_from(count).unwrap_or(0)]).await?;
            left -= count;
        }
        io.shutdown().await
    }
}
