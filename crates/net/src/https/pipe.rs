//! A connection as hyper wants it: octets in, octets out, under TLS or not.
//!
//! Over our own handshake, so that web listeners recognise clients as the mail listeners do. What rustls
//! has to say leaves before anything new is taken from hyper, so at most one
//! write's worth waits for a peer that does not read. At the end the peer's last octets are read away,
//! within limits, so that the kernel does not answer them with a reset that would destroy our last words.

use super::pulse::Pulse;
use crate::drive::Limits;
use crate::stream::Stream;
use rustls::ServerConnection;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

pub(super) struct Pipe {
    tcp: TcpStream,
    tls: Option<Box<ServerConnection>>,
    pulse: Arc<Pulse>,
    limits: Limits,
    ending: Ending,
}

/// How far the end has come.
enum Ending {
    /// Not begun.
    Open,
    /// Our last words are to leave.
    Saying,
    /// We have closed; the peer may still send so many octets until the sleep is over.
    Draining(usize, Pin<Box<Sleep>>),
}

impl Pipe {
    pub(super) fn new(stream: Stream, pulse: Arc<Pulse>, limits: Limits) -> Pipe {
        let (tcp, tls) = stream.into_parts();
        Pipe { tcp, tls, pulse, limits, ending: Ending::Open }
    }

    /// Sends what rustls holds.
    fn poll_drained(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(tls) = &mut self.tls else { return Poll::Ready(Ok(())) };
        while tls.wants_write() {
            match tls.write_tls(&mut Polled { tcp: &mut self.tcp, context }) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Ok(_) => self.pulse.sent(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let Some(tls) = &mut this.tls else {
            ready!(Pin::new(&mut this.tcp).poll_read(context, into))?;
            if into.filled().len() > before {
                this.pulse.received();
            }
            return Poll::Ready(Ok(()));
        };
        loop {
            match tls.reader().read(into.initialize_unfilled()) {
                Ok(count) => {
                    into.advance(count);
                    if count > 0 {
                        this.pulse.received();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Without `close_notify`: HTTP's own lengths say whether anything is missing.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(error)),
            }
            match tls.read_tls(&mut Polled { tcp: &mut this.tcp, context }) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
            let outcome = tls.process_new_packets();
            // Alerts and key updates: as far as the socket takes them now, the rest with the next write.
            while tls.wants_write() {
                match tls.write_tls(&mut Polled { tcp: &mut this.tcp, context }) {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => break,
                }
            }
            outcome.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drained(context))?;
        let Some(tls) = &mut this.tls else {
            let count = ready!(Pin::new(&mut this.tcp).poll_write(context, octets))?;
            this.pulse.sent();
            return Poll::Ready(Ok(count));
        };
        let taken = tls.writer().write(octets)?;
        // What the socket does not take now leaves with the next write or flush.
        match this.poll_drained(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drained(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.ending {
                Ending::Open => {
                    if let Some(tls) = &mut this.tls {
                        tls.send_close_notify();
                    }
                    this.ending = Ending::Saying;
                }
                Ending::Saying => {
                    ready!(this.poll_drained(context))?;
                    let _ = rustix::net::shutdown(&this.tcp, rustix::net::Shutdown::Write);
                    let limit = Duration::from_secs(u64::from(this.limits.linger_seconds_max));
                    let sleep = Box::pin(tokio::time::sleep(limit));
                    this.ending = Ending::Draining(this.limits.linger_bytes_max, sleep);
                }
                Ending::Draining(left, sleep) => {
                    if sleep.as_mut().poll(context).is_ready() || *left == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    let mut scratch = [0; 4096];
                    let mut scratch = ReadBuf::new(&mut scratch);
                    // Whatever ends it, the peer has nothing more to say.
                    if ready!(Pin::new(&mut this.tcp).poll_read(context, &mut scratch)).is_err() {
                        return Poll::Ready(Ok(()));
                    }
                    match scratch.filled().len() {
                        0 => return Poll::Ready(Ok(())),
                        count => *left = left.saturating_sub(count),
                    }
                }
            }
        }
    }
}

/// The socket as rustls wants it: `WouldBlock` means that the task is woken when it goes on.
struct Polled<'a, 'b> {
    tcp: &'a mut TcpStream,
    context: &'a mut Context<'b>,
}

impl Read for Polled<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut into = ReadBuf::new(into);
        match Pin::new(&mut *self.tcp).poll_read(self.context, &mut into) {
            Poll::Ready(outcome) => outcome.map(|()| into.filled().len()),
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Polled<'_, '_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut *self.tcp).poll_write(self.context, octets) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match Pin::new(&mut *self.tcp).poll_write_vectored(self.context, pieces) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
