//! What all probes of one run share: limits, how many connections at a time, what is known of silent ports.
//!
//! What must hold: no more connections at a time than the limits say, to one address and in all; nothing waits
//! longer than the run; with [`Scope::Public`](crate::Scope) nothing is connected to that [`may_be_asked`] forbids.

use super::notes::Notes;
use super::reachable::may_be_asked;
use super::trust::Trust;
use super::wire::Wire;
use crate::seen::{Place, Reach};
use crate::{Limits, Question};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// Addresses of one family that are tried.
const ADDRESSES_MAX: usize = 3;

/// A place and the addresses of one family of its host.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) place: Place,
    pub(super) ipv6: bool,
    /// At least one.
    pub(super) addresses: Vec<IpAddr>,
}

/// What all probes share.
pub(super) struct Context<'a> {
    pub(super) question: &'a Question,
    pub(super) trust: Trust,
    pub(super) limits: Limits,
    /// The end of the run.
    pub(super) deadline: Instant,
    all: Semaphore,
    each: HashMap<IpAddr, Semaphore>,
    /// Ports that are known not to answer, so that other names of the same address do not wait for them again.
    closed: Mutex<HashMap<SocketAddr, Reach>>,
}

/// The right to have one connection.
pub(super) struct Permit<'a> {
    _one: Option<SemaphorePermit<'a>>,
    _all: Option<SemaphorePermit<'a>>,
}

/// A connection that was made.
pub(super) struct Connected {
    pub(super) wire: Wire,
    pub(super) address: IpAddr,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        question: &'a Question,
        trust: Trust,
        deadline: Instant,
        targets: &[Target],
    ) -> Context<'a> {
        let limits = question.limits;
        let gate = || Semaphore::new(limits.parallel_host.clamp(1, Semaphore::MAX_PERMITS));
        Context {
            question,
            trust,
            limits,
            deadline,
            all: Semaphore::new(limits.parallel.clamp(1, Semaphore::MAX_PERMITS)),
            each: targets
                .iter()
                .filter_map(|target| target.addresses.first())
                .map(|a| (*a, gate()))
                .collect(),
            closed: Mutex::default(),
        }
    }

    /// The moment at which something of this length ends: with the run at the latest.
    pub(super) fn until(&self, limit: Duration) -> Instant {
        (Instant::now() + limit).min(self.deadline)
    }

    /// One answer.
    pub(super) fn answer(&self) -> Instant {
        self.until(self.limits.answer)
    }

    /// The run is over: what did not come was not waited for.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Waits for the right to connect; those who ask first get it first.
    pub(super) async fn enter(&self, target: &Target) -> Permit<'_> {
        // Neither semaphore is ever closed, so both waits end with a permit.
        let one = match self.gate(target) {
            Some(gate) => gate.acquire().await.ok(),
            None => None,
        };
        Permit { _one: one, _all: self.all.acquire().await.ok() }
    }

    /// The right to a second connection, if there is room now.
    pub(super) fn try_enter(&self, target: &Target) -> Option<Permit<'_>> {
        let one = self.gate(target)?.try_acquire().ok()?;
        let all = self.all.try_acquire().ok()?;
        Some(Permit { _one: Some(one), _all: Some(all) })
    }

    fn gate(&self, target: &Target) -> Option<&Semaphore> {
        self.each.get(target.addresses.first()?)
    }

    /// Connects to the first address that lets us.
    pub(super) async fn connect(&self, target: &Target, notes: &Notes) -> Result<Connected, (IpAddr, Reach)> {
        let port = target.place.port.number;
        let all = self.until(self.limits.connect);
        let mut last = (IpAddr::from([0, 0, 0, 0]), Reach::NoAddress);
        let tried = target.addresses.iter().take(ADDRESSES_MAX);
        let count = tried.len();
        for (at, address) in tried.enumerate() {
            let socket = SocketAddr::new(*address, port);
            let share = self.limits.connect / u32::try_from(count - at).unwrap_or(1);
            let until = if at + 1 == count { all } else { self.until(share).min(all) };
            let reach = match self.known(&socket) {
                Some(reach) => reach,
                None => match self.connect_one(socket, until).await {
                    Ok(stream) => {
                        notes.remark(&format!("connected to {socket}"));
                        return Ok(Connected { wire: Wire::new(stream), address: *address });
                    }
                    Err(reach) => reach,
                },
            };
            notes.remark(&format!("{socket}: {}", reach_words(&reach)));
            last = (*address, reach);
        }
        Err(last)
    }

    async fn connect_one(&self, socket: SocketAddr, until: Instant) -> Result<TcpStream, Reach> {
        if !may_be_asked(self.question.scope, socket) {
            return Err(Reach::Forbidden);
        }
        let reach = match timeout_at(until, TcpStream::connect(socket)).await {
            Ok(Ok(stream)) => {
                // Lines are short and each waits for an answer; a delay by Nagle's algorithm would only cost time.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failed(&error),
            Err(_) if self.is_over() => return Err(Reach::NotTried),
            Err(_) => Reach::Silent,
        };
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).insert(socket, reach.clone());
        Err(reach)
    }

    fn known(&self, socket: &SocketAddr) -> Option<Reach> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).get(socket).cloned()
    }
}

fn failed(error: &io::Error) -> Reach {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Reach::Refused,
        // The system's own limit came before ours.
        io::ErrorKind::TimedOut => Reach::Silent,
        _ => Reach::Unreachable(error.to_string()),
    }
}

/// A reach in a few words, for transcripts and progress.
pub(super) fn reach_words(reach: &Reach) -> String {
    match reach {
        Reach::Open => "open".to_owned(),
        Reach::Refused => "refused".to_owned(),
        Reach::Silent => "silent".to_owned(),
        Reach::Unreachable(why) => format!("unreachable: {why}"),
        Reach::NoAddress => "no address".to_owned(),
        Reach::Forbidden => "not asked".to_owned(),
        Reach::NotTried => "no time left".to_owned(),
    }
}
