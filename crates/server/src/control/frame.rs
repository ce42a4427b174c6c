//! Frames on the operator's connection: a kind, a length, the content.
//!
//! `J` carries JSON, `B` a piece of a message, `E` ends a message. A frame is at
//! most [`FRAME_BYTES_MAX`] long; a longer one is a broken peer.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest content of a frame, octets.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// A JSON value.
    Json(Vec<u8>),
    /// A piece of a message.
    Piece(Vec<u8>),
    /// The end of a message, or of all.
    End,
}

/// Both directions of a connection.
pub trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

/// Reads a frame; `None` when the peer has closed between frames.
pub async fn read(pipe: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut head = [0; 5];
    match pipe.read_exact(&mut head[..1]).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    pipe.read_exact(&mut head[1..]).await?;
    let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if len > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too long"));
    }
    let mut content = vec![0; len];
    pipe.read_exact(&mut content).await?;
    match head[0] {
        b'J' => Ok(Some(Frame::Json(content))),
        b'B' => Ok(Some(Frame::Piece(content))),
        b'E' => Ok(Some(Frame::End)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "unknown frame")),
    }
}

/// Reads a frame that must hold a JSON value of this type.
pub async fn read_json<T: DeserializeOwned>(pipe: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    match read(pipe).await? {
        None => Ok(None),
        Some(Frame::Json(content)) => serde_json::from_slice(&content)
            .map(Some)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e)),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "unexpected frame")),
    }
}

/// Writes a JSON frame.
pub async fn write_json(pipe: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> io::Result<()> {
    let content = serde_json::to_vec(value).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    write(pipe, b'J', &content).await?;
    pipe.flush().await
}

/// Writes a piece of a message.
pub async fn write_piece(pipe: &mut (impl AsyncWrite + Unpin), piece: &[u8]) -> io::Result<()> {
    write(pipe, b'B', piece).await
}

/// Ends a message, or the whole stream of them.
pub async fn write_end(pipe: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    write(pipe, b'E', &[]).await?;
    pipe.flush().await
}

async fn write(pipe: &mut (impl AsyncWrite + Unpin), kind: u8, content: &[u8]) -> io::Result<()> {
    let len = u32::try_from(content.len())
        .ok()
        .filter(|len| *len as usize <= FRAME_BYTES_MAX)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "frame too long"))?;
    let mut head = [0; 5];
    head[0] = kind;
    head[1..].copy_from_slice(&len.to_be_bytes());
    pipe.write_all(&head).await?;
    pipe.write_all(content).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_go_through() {
        let (mut a, mut b) = tokio::io::duplex(64);
        let writer = tokio::spawn(async move {
            write_json(&mut a, &"hello").await.expect("json");
            write_piece(&mut a, &[7; 1000]).await.expect("piece");
            write_end(&mut a).await.expect("end");
        });
        assert_eq!(read_json::<String>(&mut b).await.expect("read"), Some("hello".to_owned()));
        assert_eq!(read(&mut b).await.expect("read"), Some(Frame::Piece(vec![7; 1000])));
        assert_eq!(read(&mut b).await.expect("read"), Some(Frame::End));
        writer.await.expect("writer");
        assert_eq!(read(&mut b).await.expect("read"), None);
    }

    #[tokio::test]
    async fn a_frame_that_is_too_long_is_refused() {
        let (mut a, mut b) = tokio::io::duplex(64);
        a.write_all(&[b'B', 0xff, 0xff, 0xff, 0xff]).await.expect("write");
        assert!(read(&mut b).await.is_err());
    }
}
