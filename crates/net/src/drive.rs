//! The only loop that moves bytes between a socket and a machine.
//!
//! Bytes are read into a lent buffer and given to the machine; events go to the session one
//! at a time; answers gather and leave in one write when the machine needs more input or
//! `OUTPUT_BYTES_MAX` are waiting. So a pipelined batch costs one read and one write.
//!
//! What must hold:
//! * While a connection waits for its peer it holds no buffer, no handshake and no handler:
//!   events and handshakes run boxed, so that the largest of them does not stay in
//!   every idle connection. Locals of the loop are counted bytes.
//! * One timer for each connection. It is not moved for each command: when it rings, the
//!   machine's deadline is asked again.
//! * Bytes that arrived in clear behind STARTTLS are never given to the session (RFC 3207 6,
//!   CVE-2011-0411): the one rule for all protocols stands in `starts_tls_cleanly`.
//! * A peer that does not read costs at most what was gathered, and is dropped when nothing moved
//!   for `stall_seconds_max`.
//! * [`Session::ended`] is called exactly once, whatever happened, except when a handler panics.

mod awake;

use crate::pool::Input;
use crate::stream::{SendError, Stream};
use crate::tls::{Acceptor, Failure};
use awake::Awake;
use proto::hello::{Alert, alert};
use proto::machine::{Machine, Tick};
use proto::proof::{How, Security};
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Sleep;

/// Answers that gather before they are sent although more input is there.
const OUTPUT_BYTES_MAX: usize = 32 * 1024;

/// An output buffer larger than this is cut back while the connection waits.
const OUTPUT_BYTES_KEPT: usize = 512;

/// The first octet of every TLS handshake (RFC 8446 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// Every limit of the loop, with its default in `Default`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The peer takes no byte of what we send (default 60).
    pub stall_seconds_max: u32,
    /// From the stop of the service until a busy conversation is cut off (default 10).
    pub stop_seconds_max: u32,
    /// After our goodbye: how long we wait for the peer's (default 2).
    pub linger_seconds_max: u32,
    /// After our goodbye: what we read away until then (default 1 MiB).
    pub linger_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            stall_seconds_max: 60,
            stop_seconds_max: 10,
            linger_seconds_max: 2,
            linger_bytes_max: 1 << 20,
        }
    }
}

/// What a session wants after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on with the input.
    Go,
    /// STARTTLS was accepted: switch.
    StartTls,
    /// Send what is in the output, then close.
    Close,
    /// Send what is in the output; from then on both directions are compressed (RFC 4978).
    Compress,
}

/// Why a connection ended; for the session facts and the log.
#[derive(Debug)]
pub enum End {
    /// The machine ended it (QUIT, too many errors).
    Finished,
    /// The peer closed or reset.
    PeerClosed,
    /// Silence for too long.
    TimedOut,
    /// The peer did not take our bytes for too long.
    Stalled,
    /// The TLS handshake failed.
    TlsFailed(crate::tls::Failure),
    /// Clear bytes came behind STARTTLS.
    EarlyBytes,
    /// The service stopped.
    Shutdown,
    /// The socket failed.
    Io(std::io::Error),
}

/// The addresses of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The peer's.
    pub peer: SocketAddr,
    /// Ours.
    pub local: SocketAddr,
}

/// A protocol session: a machine and what decides for it.
pub trait Session: Sized + Send {
    /// The machine.
    type Machine: Machine + Send;

    /// The machine, for the loop.
    fn machine(&mut self) -> &mut Self::Machine;

    /// Handles one event. May flush a long answer through `wire`.
    ///
    /// An implementation writes the event's type as `<TheMachine as Machine>::Event<'a>`; with the
    /// plain name of the type the compiler sees another kind of lifetime and refuses (E0195).
    fn event<'a>(
        &mut self,
        event: <Self::Machine as Machine>::Event<'a>,
        wire: &mut Wire<'_>,
    ) -> impl Future<Output = Next> + Send;

    /// Resolves when the session has something to say of its own while it waits for its peer; asked only then, and
    /// dropped when the peer speaks first. Cancel-safe. Most sessions never have.
    fn wakes(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// [`Session::wakes`] has resolved: writes what there is to say.
    fn woken(&mut self, _wire: &mut Wire<'_>) -> impl Future<Output = Next> + Send {
        std::future::ready(Next::Go)
    }

    /// TLS is up after STARTTLS: the plain self is consumed, everything learnt in clear is forgotten (RFC 3207 4.2).
    fn secured(self, security: Security) -> Self;

    /// The connection is over.
    fn ended(self, why: End) -> impl Future<Output = ()> + Send;
}

/// The sending half during an event: lets a handler push a long answer with the
/// socket's own flow control.
pub struct Wire<'a> {
    stream: &'a mut Stream,
    stall: Duration,
}

impl Wire<'_> {
    /// Sends `output` and empties it (keeping its allocation); waits for room.
    /// An error means the peer is gone or does not read: stop working for it.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if the peer took nothing for too long, or the socket's error.
    pub async fn flush(&mut self, output: &mut Vec<u8>) -> std::io::Result<()> {
        self.stream.send(output, self.stall).await.map_err(|error| match error {
            SendError::Stalled => ErrorKind::TimedOut.into(),
            SendError::Io(kind) => kind.into(),
        })
    }
}

/// What STARTTLS switches to.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// Shakes hands.
    pub tls: Arc<Acceptor>,
    /// How that is called: [`How::EitherWayUpgraded`] where the port is one on which TLS usually comes first.
    pub how: How,
}

/// Carries one conversation from its first byte to its last, and reports its end to
/// the session. Without `upgrade` STARTTLS ends in [`End::TlsFailed`].
pub async fn drive<S: Session>(
    stream: Stream,
    upgrade: Option<Upgrade>,
    mut session: S,
    limits: Limits,
    shutdown: watch::Receiver<bool>,
) {
    let mut stream = stream;
    let end = {
        let hard_stop = hard_stop(shutdown.clone(), limits.stop_seconds_max);
        tokio::pin!(hard_stop);
        loop {
            let pause = tokio::select! {
                biased;
                pause = converse(&mut stream, &mut session, limits, &shutdown) => pause,
                () = &mut hard_stop => Pause::End(End::Shutdown),
            };
            match pause {
                Pause::End(end) => break end,
                Pause::StartTls => {}
            }
            let Some(Upgrade { tls, how }) = &upgrade else {
                break End::TlsFailed(Failure::Other("no TLS on this listener".to_owned()));
            };
            let handshake = Box::pin(crate::tls::accept(stream.into_tcp(), *how, tls));
            let accepted = tokio::select! {
                biased;
                accepted = handshake => accepted.map_err(|refused| End::TlsFailed(refused.failure)),
                () = &mut hard_stop => Err(End::Shutdown),
            };
            match accepted {
                Ok((secured, security)) => {
                    stream = secured;
                    session = session.secured(security);
                }
                Err(end) => {
                    // The socket went into the handshake and was closed there.
                    Box::pin(session.ended(end)).await;
                    return;
                }
            }
        }
    };
    let says_goodbye = matches!(
        end,
        End::Finished | End::EarlyBytes | End::TimedOut | End::Shutdown | End::TlsFailed(Failure::TooEarly)
    );
    if says_goodbye {
        stream.close();
    }
    Box::pin(session.ended(end)).await;
    if says_goodbye {
        let limit = Duration::from_secs(u64::from(limits.linger_seconds_max));
        Box::pin(stream.linger(limit, limits.linger_bytes_max)).await;
    }
}

/// Why [`converse`] returned.
enum Pause {
    /// The conversation is over.
    End(End),
    /// The go-ahead is sent; the next bytes belong to TLS.
    StartTls,
}

/// What the loop does after it worked off its input.
enum Step {
    /// Everything that could be done is done.
    Wait,
    /// The output grew: send, then go on with the input.
    Flush,
    /// Send, then close.
    Close,
    /// STARTTLS was accepted by the session.
    StartTls,
    /// Send, then compress both directions.
    Compress,
}

/// The conversation under one state of security.
async fn converse<S: Session>(
    stream: &mut Stream,
    session: &mut S,
    limits: Limits,
    shutdown: &watch::Receiver<bool>,
) -> Pause {
    let stall = Duration::from_secs(u64::from(limits.stall_seconds_max));
    let mut shutdown = shutdown.clone();
    let mut input = Input::default();
    let mut timer = Timer::at(session.machine().deadline());
    let mut awake = Awake::new();
    let mut stopping = false;
    let mut peer_ended = false;
    let mut fresh = !stream.is_secured();
    loop {
        let step = work_off(stream, session, &mut input, stall).await;
        if let Step::StartTls = step {
            return start_tls(stream, session, &input, stall).await;
        }
        stopping |= *shutdown.borrow();
        let idle = matches!(step, Step::Wait) && session.machine().idle();
        if stopping && idle && !session.machine().ended() {
            session.machine().shutdown();
            if let Err(error) = stream.send(session.machine().output(), stall).await {
                return Pause::End(end_of(error));
            }
            return Pause::End(End::Shutdown);
        }
        if let Err(error) = stream.send(session.machine().output(), stall).await {
            return Pause::End(end_of(error));
        }
        if matches!(step, Step::Close) || session.machine().ended() {
            return Pause::End(End::Finished);
        }
        if matches!(step, Step::Compress) {
            stream.compress(input.unread());
            input.consume(input.unread().len());
            continue;
        }
        if matches!(step, Step::Flush) {
            continue;
        }
        if peer_ended {
            return Pause::End(End::PeerClosed);
        }
        match next_input(stream, session, &mut input, &mut timer, &mut awake, &mut shutdown, stopping).await {
            Woken::Input if std::mem::take(&mut fresh) && begins_tls(&input) => {
                return Box::pin(refuse_tls(stream, stall)).await;
            }
            Woken::Input => {}
            Woken::PeerEnded => peer_ended = true,
            Woken::Stop => stopping = true,
            Woken::Deadline => {
                session.machine().timeout(crate::now());
                // The farewell goes to a peer that is silent: it is worth one try, not a wait.
                let farewell = stream.send(session.machine().output(), Duration::from_secs(1)).await;
                return Pause::End(match farewell {
                    Err(SendError::Stalled) => End::Stalled,
                    _ => End::TimedOut,
                });
            }
            Woken::Session => {
                let mut wire = Wire { stream, stall };
                if let Next::Close = Box::pin(session.woken(&mut wire)).await {
                    // What was written is sent below, on the way out.
                    let sent = stream.send(session.machine().output(), stall).await;
                    return Pause::End(sent.err().map_or(End::Finished, end_of));
                }
            }
            Woken::Failed(end) => return Pause::End(end),
        }
    }
}

/// Gives input to the machine and events to the session until one of them needs something else.
async fn work_off<S: Session>(
    stream: &mut Stream,
    session: &mut S,
    input: &mut Input,
    stall: Duration,
) -> Step {
    loop {
        if session.machine().ended() {
            return Step::Close;
        }
        if session.machine().output().len() >= OUTPUT_BYTES_MAX {
            return Step::Flush;
        }
        let (used, next) = {
            let mut wire = Wire { stream, stall };
            let (used, answer) = receive(session, input.unread(), &mut wire);
            match answer {
                None => (used, None),
                Some(answer) => (used, Some(answer.await)),
            }
        };
        input.consume(used);
        match next {
            None if used == 0 => return Step::Wait,
            None | Some(Next::Go) => {}
            Some(Next::StartTls) => return Step::StartTls,
            Some(Next::Close) => return Step::Close,
            Some(Next::Compress) => return Step::Compress,
        }
    }
}

/// A handler at work.
type Answer<'a> = Pin<Box<dyn Future<Output = Next> + Send + 'a>>;

/// Gives input to the machine, and the event that may come of it to the session. The handler is
/// in a box: its size is paid while it runs, not by each idle connection.
fn receive<'a, S: Session>(
    session: &'a mut S,
    input: &'a [u8],
    wire: &'a mut Wire<'_>,
) -> (usize, Option<Answer<'a>>) {
    // Asked with empty input too: a machine may have a second event from bytes that it took before.
    let (used, event) = session.machine().receive(input, crate::now());
    match event {
        None => (used, None),
        Some(event) => (used, Some(Box::pin(session.event(event, wire)))),
    }
}

/// The rule for STARTTLS: nothing in clear may stand behind the command, neither in our
/// buffer nor in the socket. A TLS record in the socket is a client that did not wait
/// for the go-ahead; it harms nothing, since only TLS will read it.
fn starts_tls_cleanly(stream: &Stream, input: &Input) -> bool {
    input.unread().is_empty() && !stream.clear_bytes_wait()
}

async fn start_tls<S: Session>(
    stream: &mut Stream,
    session: &mut S,
    input: &Input,
    stall: Duration,
) -> Pause {
    let clean = starts_tls_cleanly(stream, input);
    if clean {
        session.machine().tls_go_ahead();
    } else {
        session.machine().tls_early_bytes();
    }
    match stream.send(session.machine().output(), stall).await {
        Ok(()) if clean => Pause::StartTls,
        Ok(()) => Pause::End(End::EarlyBytes),
        Err(error) => Pause::End(end_of(error)),
    }
}

/// A ClientHello where a command should stand. No command begins with this octet in any protocol of mail.
fn begins_tls(input: &Input) -> bool {
    input.unread().first() == Some(&TLS_HANDSHAKE)
}

/// The client takes this for a port on which TLS comes first. Our greeting is out, so it can only be told in its own
/// language that this does not go.
async fn refuse_tls(stream: &mut Stream, stall: Duration) -> Pause {
    let mut word = alert(None, Alert::UnexpectedMessage).to_vec();
    match stream.send(&mut word, stall).await {
        Ok(()) => Pause::End(End::TlsFailed(Failure::TooEarly)),
        Err(error) => Pause::End(end_of(error)),
    }
}

/// What ended a wait.
enum Woken {
    Input,
    PeerEnded,
    Stop,
    Deadline,
    Session,
    Failed(End),
}

/// Waits for input, the deadline, or the stop of the service.
async fn next_input<S: Session>(
    stream: &mut Stream,
    session: &mut S,
    input: &mut Input,
    timer: &mut Timer,
    awake: &mut Awake,
    shutdown: &mut watch::Receiver<bool>,
    stopping: bool,
) -> Woken {
    awake.turn();
    loop {
        // A peer that sends without pause must not keep the thread from others; and
        // `try_read` finds nothing when the task has used up its turn.
        tokio::task::consume_budget().await;
        let room = input.room();
        if room.is_empty() {
            // The machine left a whole buffer untouched: by its contract it never does.
            let stuck = std::io::Error::other("the machine takes no more input");
            return Woken::Failed(End::Io(stuck));
        }
        match stream.try_read(room) {
            Ok(0) => return Woken::PeerEnded,
            Ok(count) => {
                input.filled(count);
                awake.spoken();
                return Woken::Input;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Woken::Failed(read_failure(error)),
        }
        input.release();
        session.machine().output().shrink_to(OUTPUT_BYTES_KEPT);
        let deadline = session.machine().deadline();
        awake.wait(|| stream.has_input());
        tokio::select! {
            biased;
            ready = stream.readable() => {
                if let Err(error) = ready {
                    return Woken::Failed(End::Io(error));
                }
            }
            () = timer.rings(deadline) => return Woken::Deadline,
            () = session.wakes() => return Woken::Session,
            _ = shutdown.wait_for(|stop| *stop), if !stopping => return Woken::Stop,
        }
    }
}

/// Rings when the machine's deadline has passed; moved only when it rings too early or the
/// deadline came nearer.
struct Timer {
    sleep: Pin<Box<Sleep>>,
    set_for: Tick,
}

impl Timer {
    fn at(deadline: Tick) -> Timer {
        Timer { sleep: Box::pin(tokio::time::sleep_until(crate::instant_of(deadline))), set_for: deadline }
    }

    async fn rings(&mut self, deadline: Tick) {
        if deadline < self.set_for {
            self.set(deadline);
        }
        loop {
            self.sleep.as_mut().await;
            if crate::now() >= deadline {
                return;
            }
            self.set(deadline);
        }
    }

    fn set(&mut self, deadline: Tick) {
        self.sleep.as_mut().reset(crate::instant_of(deadline));
        self.set_for = deadline;
    }
}

async fn hard_stop(mut shutdown: watch::Receiver<bool>, seconds: u32) {
    // A sender that is gone stopped without saying so.
    let _ = shutdown.wait_for(|stop| *stop).await;
    tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
}

fn end_of(error: SendError) -> End {
    match error {
        SendError::Stalled => End::Stalled,
        SendError::Io(kind) => io_end(kind.into()),
    }
}

fn read_failure(error: std::io::Error) -> End {
    // Under TLS a client may tell only now that it does not like our certificate.
    let alert = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match alert.map(crate::tls::failure_of) {
        Some(Failure::PeerClosed) => End::PeerClosed,
        Some(failure) => End::TlsFailed(failure),
        None => io_end(error),
    }
}

fn io_end(error: std::io::Error) -> End {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => End::PeerClosed,
        _ => End::Io(error),
    }
}
