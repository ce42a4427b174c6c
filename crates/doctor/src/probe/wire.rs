//! One connection: lines out, bounded lines in, the change to TLS.
//!
//! What must hold: every wait ends at a moment that the caller names; a line, and what is kept of one answer,
//! is bounded; what was read in clear is not carried into TLS.

use super::notes::Notes;
use super::trust::{Recorder, Trust};
use proto::hello;
use proto::knock::{Answer, Awaited, Gathering, Language, Step};
use rustls::pki_types::CertificateDer;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Octets of a line; capabilities of large servers have about 1,500.
const LINE_BYTES_MAX: usize = 8192;
/// First octets of the peer that are remembered, to tell what they are.
const FIRST_BYTES: usize = 64;

/// Why an answer did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The time is over; whether anything had come.
    TimedOut { some: bool },
    /// The peer closed.
    Closed,
    /// A line or an answer that does not end.
    TooLong,
    /// A line that is not in the language; the line.
    Foreign(String),
    /// The socket failed.
    Failed(String),
}

impl Trouble {
    pub(super) fn words(&self) -> String {
        match self {
            Trouble::TimedOut { .. } => "no answer in time".to_owned(),
            Trouble::Closed => "the server closed the connection".to_owned(),
            Trouble::TooLong => "the answer does not end".to_owned(),
            Trouble::Foreign(line) => format!("not an answer: {line}"),
            Trouble::Failed(words) => words.clone(),
        }
    }
}

/// A handshake that succeeded.
#[derive(Debug)]
pub(super) struct Shaken {
    pub(super) version: String,
    pub(super) cipher: String,
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// The server proved that it holds the key of its certificate.
    pub(super) proven: bool,
}

/// A handshake that failed.
#[derive(Debug)]
pub(super) struct ShakeFailed {
    pub(super) why: String,
    /// What the peer sent first, at most some dozens of octets.
    pub(super) first: Vec<u8>,
    pub(super) timed_out: bool,
    /// Its certificates, if it came so far.
    pub(super) chain: Vec<CertificateDer<'static>>,
}

/// A connection.
pub(super) struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
}

enum Stream {
    Clear(Tap),
    Tls(Box<TlsStream<Tap>>),
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Wire {
        Wire { stream: Stream::Clear(Tap { stream, first: Arc::default() }), buffer: Vec::new() }
    }

    /// Sends lines as they are, in one write.
    pub(super) async fn send(&mut self, octets: &[u8], until: Instant) -> Result<(), Trouble> {
        let sent = async {
            match &mut self.stream {
                Stream::Clear(stream) => {
                    stream.write_all(octets).await?;
                    stream.flush().await
                }
                Stream::Tls(stream) => {
                    stream.write_all(octets).await?;
                    stream.flush().await
                }
            }
        };
        match timeout_at(until, sent).await {
            Err(_) => Err(Trouble::TimedOut { some: false }),
            Ok(Err(error)) => Err(trouble(&error)),
            Ok(Ok(())) => Ok(()),
        }
    }

    /// Sends a line and notes it.
    pub(super) async fn say(&mut self, line: &str, notes: &Notes, until: Instant) -> Result<(), Trouble> {
        notes.client(line);
        self.send(format!("{line}\r\n").as_bytes(), until).await
    }

    /// Reads one answer and notes its lines.
    pub(super) async fn answer(
        &mut self,
        language: Language,
        awaited: Awaited,
        notes: &Notes,
        until: Instant,
    ) -> Result<Answer, Trouble> {
        let mut gathering = Gathering::new(language, awaited);
        let mut some = false;
        loop {
            let line = match self.line(until).await {
                Err(Trouble::TimedOut { some: false }) if some => return Err(Trouble::TimedOut { some }),
                other => other?,
            };
            some = true;
            notes.server(&line);
            match gathering.push(&line) {
                Step::More => {}
                Step::Done(answer) => return Ok(answer),
                Step::TooLong => return Err(Trouble::TooLong),
                Step::Foreign => {
                    return Err(Trouble::Foreign(notes.clean(&line, super::notes::WORDS_CHARS_MAX)));
                }
            }
        }
    }

    /// Reads the greeting: its first line tells the language. A greeting that began is awaited by calling again.
    pub(super) async fn greeting(
        &mut self,
        notes: &Notes,
        until: Instant,
    ) -> Result<(Language, Answer), Trouble> {
        let mut gathering: Option<(Language, Gathering)> = None;
        loop {
            let line = match self.line(until).await {
                Err(Trouble::TimedOut { some: false }) if gathering.is_some() => {
                    return Err(Trouble::TimedOut { some: true });
                }
                other => other?,
            };
            notes.server(&line);
            let foreign = || Trouble::Foreign(notes.clean(&line, super::notes::WORDS_CHARS_MAX));
            if gathering.is_none() {
                let language = Language::greeting(&line).ok_or_else(foreign)?;
                gathering = Some((language, Gathering::new(language, Awaited::Greeting)));
            }
            let Some((language, lines)) = &mut gathering else { continue };
            match lines.push(&line) {
                Step::More => {}
                Step::Done(answer) => return Ok((*language, answer)),
                Step::TooLong => return Err(Trouble::TooLong),
                Step::Foreign => return Err(foreign()),
            }
        }
    }

    /// Waits for the first octet, and leaves it where it is.
    pub(super) async fn first_octet(&mut self, until: Instant) -> Result<(), Trouble> {
        self.octets(0, until).await.map(|_| ())
    }

    /// The octets that have come, at least one more than `have`; for answers that are no lines.
    pub(super) async fn octets(&mut self, have: usize, until: Instant) -> Result<&[u8], Trouble> {
        while self.buffer.len() <= have {
            self.fill(until).await?;
        }
        Ok(&self.buffer)
    }

    /// Shakes hands as a client that takes any certificate and remembers it.
    pub(super) async fn shake(
        self,
        trust: &Trust,
        host: &str,
        until: Instant,
    ) -> Result<(Wire, Shaken), ShakeFailed> {
        let failed = |why: &str| ShakeFailed {
            why: why.to_owned(),
            first: Vec::new(),
            timed_out: false,
            chain: Vec::new(),
        };
        if !self.buffer.is_empty() {
            return Err(failed("octets in clear where TLS should begin"));
        }
        let Stream::Clear(tap) = self.stream else { return Err(failed("TLS inside TLS")) };
        let first = Arc::new(Mutex::new(Vec::new()));
        let tap = Tap { first: Arc::clone(&first), ..tap };
        let name = super::trust::server_name(host).ok_or_else(|| failed("not a host name"))?;
        let recorder = Arc::new(Recorder::new(trust));
        let config = trust.config(Arc::clone(&recorder)).map_err(|error| failed(&error))?;
        let outcome = timeout_at(until, TlsConnector::from(Arc::new(config)).connect(name, tap)).await;
        let (chain, proven) = recorder.seen();
        let why = match outcome {
            Ok(Ok(stream)) => {
                let connection = stream.get_ref().1;
                let version = match connection.protocol_version() {
                    Some(rustls::ProtocolVersion::TLSv1_3) => hello::version_name(hello::TLS13),
                    _ => hello::version_name(hello::TLS12),
                };
                let suite = connection.negotiated_cipher_suite().map(|suite| u16::from(suite.suite()));
                let cipher = suite.map(suite_name).unwrap_or_default();
                let shaken = Shaken { version: version.to_owned(), cipher, chain, proven };
                return Ok((Wire { stream: Stream::Tls(Box::new(stream)), buffer: Vec::new() }, shaken));
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        let first = std::mem::take(&mut *first.lock().unwrap_or_else(PoisonError::into_inner));
        Err(ShakeFailed {
            why: why.as_ref().map_or_else(|| "no answer to the handshake in time".to_owned(), failure_words),
            timed_out: why.is_none(),
            first,
            chain,
        })
    }

    /// One line without its end.
    async fn line(&mut self, until: Instant) -> Result<String, Trouble> {
        let mut looked = 0;
        loop {
            if let Some(at) = self.buffer[looked..].iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=looked + at).collect();
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
            looked = self.buffer.len();
            if looked > LINE_BYTES_MAX {
                return Err(Trouble::TooLong);
            }
            match self.fill(until).await {
                Err(Trouble::TimedOut { .. }) => return Err(Trouble::TimedOut { some: looked > 0 }),
                // What never becomes a line is shown as it is.
                Err(Trouble::Closed) if looked > 0 => {
                    let rest = std::mem::take(&mut self.buffer);
                    return Ok(String::from_utf8_lossy(&rest).into_owned());
                }
                other => other?,
            }
        }
    }

    async fn fill(&mut self, until: Instant) -> Result<(), Trouble> {
        let mut chunk = [0; 2048];
        let read = async {
            match &mut self.stream {
                Stream::Clear(stream) => stream.read(&mut chunk).await,
                Stream::Tls(stream) => stream.read(&mut chunk).await,
            }
        };
        match timeout_at(until, read).await {
            Err(_) => Err(Trouble::TimedOut { some: false }),
            Ok(Err(error)) => Err(trouble(&error)),
            Ok(Ok(0)) => Err(Trouble::Closed),
            Ok(Ok(count)) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
}

fn trouble(error: &io::Error) -> Trouble {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error.kind() {
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe => Trouble::Closed,
        _ => Trouble::Failed(error.to_string()),
    }
}

/// A handshake's failure in words.
fn failure_words(error: &io::Error) -> String {
    use rustls::{Error, InvalidMessage, PeerIncompatible};
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match trouble(error) {
            Trouble::Closed => "the server closed the connection during the handshake".to_owned(),
            other => other.words(),
        };
    };
    match tls {
        Error::AlertReceived(alert) => format!("alert {}", hello::alert_name(u8::from(*alert))),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => "the answer is not TLS".to_owned(),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the server speaks nothing newer than TLSv1.1".to_owned()
        }
        other => other.to_string(),
    }
}

/// The IANA name of a suite that the library speaks.
fn suite_name(suite: u16) -> String {
    let known = hello::SUITES_TLS13.iter().chain(hello::SUITES_TLS12);
    let name = known.into_iter().find(|(number, _)| *number == suite).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("{suite:#06x}"))
}

/// A socket whose first octets are remembered.
struct Tap {
    stream: TcpStream,
    first: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let room = FIRST_BYTES.saturating_sub(first.len());
        first.extend(buffer.filled()[before..].iter().take(room));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
