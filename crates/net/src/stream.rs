//! One connection's bytes, clear or under TLS, on a non-blocking socket.
//!
//! rustls is driven directly over the socket rather than through an
//! `AsyncRead` adapter: the socket can be waited for without a buffer in hand (an idle
//! connection holds none), a batch of answers becomes one encryption and one
//! vectored write, and there is one owner of the question "who waits for what".
//!
//! What must hold: all ciphertext that was read is handed to rustls before the
//! next await; what rustls wants to say (alerts, key updates, tickets) leaves with
//! the next flush.

use crate::squeeze::Squeeze;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustls::ServerConnection;
use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

/// Plaintext that rustls may hold encrypted for a peer that does not read: what a session gathers before it sends, with room for
/// the piece that came last, so that it leaves in one write.
pub(crate) const SEND_BYTES_MAX: usize = 96 * 1024;
/// Ciphertext taken from the socket at once: a full buffer's worth.
const SCRATCH_BYTES: usize = crate::pool::BUFFER_BYTES;

thread_local! {
    /// Ciphertext between the socket and rustls; never kept across an await.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// A connected socket, under TLS or not.
pub struct Stream {
    tcp: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// Compression inside TLS.
    squeeze: Option<Box<Squeeze>>,
    /// Sending failed: a second attempt would only wait as long again.
    dead: Option<SendError>,
}

impl Stream {
    /// A connection in clear.
    #[must_use]
    pub fn clear(tcp: TcpStream) -> Stream {
        Stream { tcp, tls: None, squeeze: None, dead: None }
    }

    /// A connection whose handshake is done.
    pub(crate) fn secured(tcp: TcpStream, mut tls: Box<ServerConnection>) -> Stream {
        tls.set_buffer_limit(Some(SEND_BYTES_MAX));
        Stream { tcp, tls: Some(tls), squeeze: None, dead: None }
    }

    /// The socket under a clear connection, for a handshake.
    pub(crate) fn into_tcp(self) -> TcpStream {
        self.tcp
    }

    /// The socket and the TLS above it, for a loop that is not ours.
    pub(crate) fn into_parts(self) -> (TcpStream, Option<Box<ServerConnection>>) {
        (self.tcp, self.tls)
    }

    /// The protocol agreed on by ALPN (RFC 7301).
    #[must_use]
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.tls.as_ref().and_then(|tls| tls.alpn_protocol())
    }

    /// True under TLS.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// From here on both directions are compressed (RFC 4978); `early` is what was read already.
    pub(crate) fn compress(&mut self, early: &[u8]) {
        self.squeeze = Some(Box::new(Squeeze::new(early)));
    }

    /// Takes what is there without waiting; `Ok(0)` is the peer's end. `into` must not be empty.
    pub(crate) fn try_read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Stream { tcp, tls, squeeze, .. } = self;
        let mut read = |into: &mut [u8]| match tls {
            None => read_socket(tcp, into),
            Some(tls) => SCRATCH.with_borrow_mut(|scratch| read_tls(tcp, tls, scratch, into)),
        };
        match squeeze {
            None => read(into),
            Some(squeeze) => squeeze.read(into, read),
        }
    }

    /// Waits until the socket may have something to read. Needs no buffer.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.tcp.readable().await
    }

    /// True if the socket has something to read, or an end or an error to tell.
    pub(crate) fn has_input(&self) -> bool {
        let mut socket = [PollFd::new(&self.tcp, PollFlags::IN)];
        // What cannot be asked is left to the wait that follows.
        rustix::event::poll(&mut socket, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
            .is_ok_and(|count| count > 0)
    }

    /// Sends all of `output` and empties it; `stall` is the longest wait without any progress.
    /// The allocation is kept; the loop cuts it back before a wait.
    pub(crate) async fn send(&mut self, output: &mut Vec<u8>, stall: Duration) -> Result<(), SendError> {
        if let Some(dead) = self.dead {
            output.clear();
            return Err(dead);
        }
        let squeezed = self.squeeze.as_mut().map(|squeeze| squeeze.pack(output));
        let bytes = squeezed.as_ref().unwrap_or(output);
        let mut sent = 0;
        let done = loop {
            match self.try_send(&bytes[sent..]) {
                Ok(Progress { taken, drained }) => {
                    sent += taken;
                    if drained && sent == bytes.len() {
                        break Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    match tokio::time::timeout(stall, self.tcp.writable()).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => break Err(SendError::Io(error.kind())),
                        Err(_) => break Err(SendError::Stalled),
                    }
                }
                Err(error) => break Err(SendError::Io(error.kind())),
            }
        };
        output.clear();
        self.dead = done.err();
        done
    }

    /// One step of sending; `WouldBlock` only if nothing moved.
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<Progress> {
        let Stream { tcp, tls, .. } = self;
        let Some(tls) = tls else {
            let taken = if bytes.is_empty() { 0 } else { tcp.try_write(bytes)? };
            return Ok(Progress { taken, drained: true });
        };
        let taken = if bytes.is_empty() { 0 } else { tls.writer().write(bytes)? };
        let mut moved = taken > 0;
        while tls.wants_write() {
            match tls.write_tls(&mut Socket(tcp)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => moved = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock && moved => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Progress { taken, drained: !tls.wants_write() })
    }

    /// Says goodbye as far as the socket takes it without waiting, and closes our direction.
    pub(crate) fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        // The peer may be gone or may not read; both are its own loss.
        let _ = self.try_send(&[]);
        let _ = rustix::net::shutdown(&self.tcp, rustix::net::Shutdown::Write);
    }

    /// After [`Stream::close`]: reads away what the peer still sends, so that the kernel
    /// does not answer it with a reset that would destroy our last words.
    pub(crate) async fn linger(self, limit: Duration, bytes_max: usize) {
        let tcp = self.tcp;
        drop(self.tls);
        let drain = async {
            let mut left = bytes_max;
            while left > 0 && tcp.readable().await.is_ok() {
                let read = SCRATCH.with_borrow_mut(|scratch| tcp.try_read(scratch));
                match read {
                    Ok(0) => break,
                    Ok(count) => left = left.saturating_sub(count),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
        };
        // Both outcomes mean that the connection is dropped now.
        let _ = tokio::time::timeout(limit, drain).await;
    }

    /// True if clear bytes that are not the beginning of a TLS handshake are already
    /// waiting in the socket.
    pub(crate) fn clear_bytes_wait(&self) -> bool {
        let mut first = [0; 1];
        match rustix::net::recv(
            &self.tcp,
            &mut first,
            rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT,
        ) {
            Ok((1.., _)) => !matches!(proto::hello::parse(&first), proto::hello::Parsed::NeedMore),
            _ => false,
        }
    }
}

/// Why output could not be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SendError {
    /// No progress within the limit.
    Stalled,
    /// The socket failed: mostly, the peer is gone.
    Io(ErrorKind),
}

struct Progress {
    /// Bytes of the caller's that need not be given again.
    taken: usize,
    /// Nothing is left inside.
    drained: bool,
}

/// Takes what is there. Unlike `try_read`, tokio's polled read remembers after a short read that the
/// socket is empty, which saves the system call that would only say so, once for each command.
/// It may also answer `WouldBlock` because the task has run long enough; the caller's loop yields then.
fn read_socket(tcp: &mut TcpStream, into: &mut [u8]) -> io::Result<usize> {
    let mut context = Context::from_waker(Waker::noop());
    let mut into = ReadBuf::new(into);
    match Pin::new(tcp).poll_read(&mut context, &mut into) {
        Poll::Ready(outcome) => outcome.map(|()| into.filled().len()),
        // Nobody is woken by this poll: whoever waits does so in `Stream::readable`.
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

/// Reads ciphertext, at most as much as the plaintext has room for: what came
/// out of it then always fits, except for the last record's beginning that rustls held
/// already; that rest is served first at the next call.
fn read_tls(
    tcp: &mut TcpStream,
    tls: &mut ServerConnection,
    scratch: &mut [u8],
    into: &mut [u8],
) -> io::Result<usize> {
    let mut filled = match take_plaintext(tls, into)? {
        None => return Ok(0),
        Some(0) => 0,
        Some(filled) => return Ok(filled),
    };
    let room = scratch.len().min(into.len());
    let count = match read_socket(tcp, &mut scratch[..room]) {
        Ok(0) => return Ok(0),
        Ok(count) => count,
        Err(error) => {
            if error.kind() == ErrorKind::WouldBlock {
                // Lets rustls cut its buffer back to one page: a wait follows.
                let _ = tls.read_tls(&mut Dry);
            }
            return Err(error);
        }
    };
    let mut cipher = &scratch[..count];
    let mut ended = false;
    while !cipher.is_empty() && !ended {
        tls.read_tls(&mut cipher)?;
        if let Err(error) = tls.process_new_packets() {
            // rustls has queued an alert that says why.
            let _ = tls.write_tls(&mut Socket(tcp));
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        match take_plaintext(tls, &mut into[filled..])? {
            Some(count) => filled += count,
            None => ended = true,
        }
    }
    match filled {
        0 if !ended => Err(ErrorKind::WouldBlock.into()),
        filled => Ok(filled),
    }
}

/// Decrypted bytes that rustls holds; `None` after the peer's `close_notify`.
fn take_plaintext(tls: &mut ServerConnection, into: &mut [u8]) -> io::Result<Option<usize>> {
    let mut filled = 0;
    while filled < into.len() {
        match tls.reader().read(&mut into[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Some(filled))
}

/// The socket as rustls wants to write to it.
pub(crate) struct Socket<'a>(pub(crate) &'a TcpStream);

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A source with nothing in it at the moment.
struct Dry;

impl Read for Dry {
    fn read(&mut self, _into: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}
