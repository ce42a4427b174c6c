//! Listening sockets and the limits on connections.
//!
//! One [`Bound`] for each row of the service model; [`Bound::serve`] accepts on all its
//! addresses, shakes hands where TLS comes first or, on a listener that serves both ways, where the
//! client begins it, and gives each connection to [`crate::drive::drive`].
//!
//! What must hold: every connection holds a place in the [`Gate`] from accept to close;
//! a client that begins TLS never waits for us, and what it sent is only looked at, not taken, before
//! it is known what it is; running out of descriptors slows accepting down and never ends it; after the stop
//! no new connection is taken and `serve` returns when the last one is gone.
//! Deliberately not here: what is said to a client. The [`Service`] knows the words.

use crate::drive::{self, Ends, Session, Upgrade, drive};
use crate::network::{Network, Prefix};
use crate::stream::Stream;
use crate::tls::{Acceptor, Failure, accept};
use proto::hello::{Alert, alert};
use proto::machine::Tick;
use proto::proof::{How, Security};
use proto::service::sniff::{Sniff, sniff};
use proto::service::{Listener, Protection};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};

/// Connections that wait in the kernel until they are accepted.
const BACKLOG: u32 = 4096;
/// Pause after an accept that failed for want of descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);
/// One line in the log for so many of these pauses.
const EXHAUSTED_LOG_EVERY: u32 = 100;
/// A client that says nothing for so long where TLS comes first waits for a greeting in clear. A ClientHello that is
/// lost on the way is sent again after one, three and seven seconds, so it is not taken for silence; and the line that
/// such a client gets instead comes before mail programs give up by themselves.
const SILENCE: Duration = Duration::from_secs(10);

/// The protocol spoken on a listener.
pub trait Service: Send + Sync + 'static {
    /// One conversation.
    type Session: Session + 'static;

    /// Begins a conversation. On an implicit-TLS listener the handshake is done; on others
    /// `security` is clear.
    fn open(&self, ends: Ends, security: Security, now: Tick) -> Self::Session;

    /// A handshake on an implicit-TLS listener failed: the session fact. (After STARTTLS it is the
    /// session that hears of it, as [`drive::End::TlsFailed`].)
    fn handshake_failed(&self, ends: Ends, failure: &Failure);

    /// A connection was turned away because a limit is reached.
    fn turned_away(&self, ends: Ends, limit: Full) {
        let _ = (ends, limit);
    }

    /// The line for a client that is turned away in clear: `421 ... try again later`, with CRLF.
    fn busy_line(&self) -> &[u8];

    /// The line for a client that speaks clear text on an implicit-TLS listener, with CRLF;
    /// `None` closes without a word.
    fn not_tls_line(&self) -> Option<Vec<u8>>;
}

/// Every limit on connections, with its default in `Default`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections over all listeners (default 10,000).
    pub connections_max: u32,
    /// Open connections from one network ([`Prefix::SITE`]; default 200).
    pub network_connections_max: u32,
    /// Loopback is our own host (a webmail, a proxy) and stands for many people: no network (default true).
    pub loopback_exempt: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { connections_max: 10_000, network_connections_max: 200, loopback_exempt: true }
    }
}

/// Which limit on connections is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// `connections_max`.
    Service,
    /// `network_connections_max`.
    Network,
}

/// Counts the open connections of all listeners that share it.
#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: u32,
    networks: HashMap<Network, u32>,
}

/// A place in the [`Gate`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    gate: Arc<Gate>,
    network: Option<Network>,
}

impl Gate {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Gate> {
        Arc::new(Gate { limits, counts: Mutex::default() })
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open_connections(&self) -> u32 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    /// Takes a place for a connection from this address.
    pub(crate) fn enter(self: &Arc<Gate>, peer: IpAddr) -> Result<Place, Full> {
        let exempt = self.limits.loopback_exempt && peer.to_canonical().is_loopback();
        let network = (!exempt).then(|| Prefix::SITE.of(peer));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= self.limits.connections_max {
            return Err(Full::Service);
        }
        if let Some(network) = network {
            let count = counts.networks.entry(network).or_default();
            if *count >= self.limits.network_connections_max {
                return Err(Full::Network);
            }
            *count += 1;
        }
        counts.total += 1;
        Ok(Place { gate: self.clone(), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.gate.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        let Some(network) = self.network else { return };
        if let Some(count) = counts.networks.get_mut(&network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.networks.remove(&network);
            }
        }
    }
}

/// A listener whose sockets are bound and not yet accepting.
#[derive(Debug)]
pub struct Bound {
    listener: Listener,
    sockets: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
}

/// A socket could not be bound: what, why, and what the operator can do.
#[derive(Debug)]
pub struct BindError {
    listener: String,
    address: SocketAddr,
    error: io::Error,
}

impl BindError {
    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.error.kind()
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { listener, address, error } = self;
        write!(f, "listener {listener}: cannot listen on {address}: {error}")?;
        match error.kind() {
            io::ErrorKind::PermissionDenied => write!(
                f,
                "; port {} needs root or CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE)",
                address.port()
            ),
            io::ErrorKind::AddrInUse => write!(
                f,
                "; another program has port {0} already: find it with `ss -ltnp sport = :{0}` and stop it",
                address.port()
            ),
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "; this machine has no address {}: see `ip address`", address.ip())
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Binds all addresses of a listener. Must be called inside a runtime.
///
/// `::` alone takes IPv4 too; beside IPv4 addresses each family has its own socket.
/// With port 0, all addresses get the port that the system chose for the first.
///
/// # Errors
/// The first address that cannot be had.
pub fn bind(listener: &Listener) -> Result<Bound, BindError> {
    let takes_ipv4 = !listener.addresses.iter().any(IpAddr::is_ipv4);
    let mut port = listener.port;
    let (mut sockets, mut addresses) = (Vec::new(), Vec::new());
    for ip in &listener.addresses {
        let address = SocketAddr::new(*ip, port);
        let failed = |error| BindError { listener: listener.name.clone(), address, error };
        let dual = takes_ipv4 && ip.is_unspecified();
        let socket = listening_socket(address, dual).map_err(failed)?;
        let bound = socket.local_addr().map_err(failed)?;
        port = bound.port();
        addresses.push(bound);
        sockets.push(socket);
    }
    Ok(Bound { listener: listener.clone(), sockets, addresses })
}

/// Raises the process's own limit of open files to what the system allows it, and returns that: shells
/// and service managers start programs with 1,024, far below [`Limits::connections_max`].
///
/// # Errors
/// The system refuses; the old limit stays.
pub fn raise_file_limit() -> io::Result<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    // `None` is "no limit".
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

fn listening_socket(address: SocketAddr, dual: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if address.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, !dual)?;
    }
    // A restart must not wait for the old connections' TIME-WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What [`Bound::serve`] needs beside the service.
#[derive(Clone)]
pub struct Means {
    /// For implicit TLS, and for STARTTLS where it can be had.
    pub tls: Option<Arc<Acceptor>>,
    /// Shared by all listeners.
    pub gate: Arc<Gate>,
    /// Of the loop.
    pub limits: drive::Limits,
    /// Becomes true when the service stops.
    pub shutdown: watch::Receiver<bool>,
    /// How long a listener that serves both ways waits for a ClientHello before it greets.
    pub greeting_wait: Duration,
}

impl Bound {
    /// The addresses with their ports.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The row of the service model.
    #[must_use]
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// The same with the port that it got: where the system chose one, rules and facts must name that.
    #[must_use]
    pub fn row(&self) -> Listener {
        let port = self.addresses.first().map_or(self.listener.port, SocketAddr::port);
        Listener { port, ..self.listener.clone() }
    }

    /// The sockets alone.
    pub(crate) fn into_sockets(self) -> Vec<TcpListener> {
        self.sockets
    }

    /// Accepts until the service stops, then waits for the open conversations: idle ones end at
    /// once, busy ones within `stop_seconds_max`.
    ///
    /// An implicit listener without `means.tls` would be no service at all: it closes every connection
    /// and says so in the log.
    pub async fn serve<S: Service>(self, service: Arc<S>, means: Means) {
        // Every task holds a sender; the receiver wakes when all are gone.
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        for socket in self.sockets {
            let lane = Lane {
                listener: self.listener.clone(),
                service: service.clone(),
                means: means.clone(),
                alive: alive.clone(),
            };
            let (lane, shutdown) = (Arc::new(lane), means.shutdown.clone());
            tokio::spawn(async move {
                accept_all(socket, &lane.listener.name, shutdown, |tcp, peer| lane.admit(tcp, peer)).await;
            });
        }
        drop(alive);
        // Nothing is ever sent: this is the end of the last sender.
        let _ = all_gone.recv().await;
    }
}

/// Accepts until the service stops, and gives each connection to `admit`.
pub(crate) async fn accept_all(
    socket: TcpListener,
    listener: &str,
    mut shutdown: watch::Receiver<bool>,
    admit: impl Fn(TcpStream, SocketAddr),
) {
    let mut exhausted = 0_u32;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => admit(tcp, peer),
            Err(error) if is_exhaustion(&error) => {
                if exhausted.is_multiple_of(EXHAUSTED_LOG_EVERY) {
                    tracing::error!(
                        listener, %error,
                        "cannot accept connections: the operator must raise the limit of open files (LimitNOFILE) or memory"
                    );
                }
                exhausted = exhausted.wrapping_add(1);
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
            // The peer was gone before we came, or the network has a moment: the socket itself is well.
            Err(error) => tracing::debug!(listener, %error, "a connection was not accepted"),
        }
    }
}

/// What the connections of one listening socket share.
struct Lane<S> {
    listener: Listener,
    service: Arc<S>,
    means: Means,
    alive: mpsc::Sender<()>,
}

impl<S: Service> Lane<S> {
    fn admit(self: &Arc<Self>, tcp: TcpStream, peer: SocketAddr) {
        let Ok(local) = tcp.local_addr() else { return };
        let ends = Ends { peer: canonical(peer), local: canonical(local) };
        // An answer leaves when it is complete; Nagle would only hold it back.
        let _ = tcp.set_nodelay(true);
        match self.means.gate.enter(ends.peer.ip()) {
            Ok(place) => {
                let lane = self.clone();
                tokio::spawn(async move {
                    let alive = lane.alive.clone();
                    lane.converse(tcp, ends).await;
                    drop((place, alive));
                });
            }
            Err(limit) => {
                // A handshake would cost what there is too little of; an alert needs none.
                let alert = alert(None, Alert::InternalError);
                let word = match self.listener.protection {
                    Protection::StartTls | Protection::Clear => self.service.busy_line(),
                    Protection::Implicit => &alert,
                };
                // On a fresh connection there is room for it; if not, the close says it.
                let _ = tcp.try_write(word);
                self.service.turned_away(ends, limit);
            }
        }
    }

    /// One connection. What comes before the conversation runs in a box of its own that is gone when that begins.
    async fn converse(self: Arc<Self>, tcp: TcpStream, ends: Ends) {
        let Listener { protection, either_way, .. } = self.listener;
        let (stream, security) = match (protection, either_way) {
            (Protection::StartTls | Protection::Clear, false) => (Stream::clear(tcp), Security::clear()),
            (Protection::Implicit, _) | (_, true) => match Box::pin(self.begin(tcp, ends)).await {
                Some(begun) => begun,
                None => return,
            },
        };
        let session = self.service.open(ends, security, crate::now());
        let how = if protection == Protection::Implicit { How::EitherWayUpgraded } else { How::StartTls };
        let upgrade = self.means.tls.clone().map(|tls| Upgrade { tls, how });
        let limits = self.means.limits;
        let shutdown = self.means.shutdown.clone();
        drive(stream, upgrade, session, limits, shutdown).await;
    }

    /// Finds out how the client begins where it may begin with TLS; shakes hands if it does.
    async fn begin(&self, tcp: TcpStream, ends: Ends) -> Option<(Stream, Security)> {
        let Some(tls) = &self.means.tls else {
            tracing::error!(listener = %self.listener.name, "no certificate: the operator must configure one");
            return None;
        };
        let either_way = self.listener.either_way;
        let wait = if either_way { self.means.greeting_wait } else { SILENCE.min(tls.handshake_max()) };
        let mut shutdown = self.means.shutdown.clone();
        let heard = tokio::select! {
            heard = first_octet(&tcp, wait) => heard,
            // Nobody was greeted yet: the close says enough.
            _ = shutdown.wait_for(|stop| *stop) => return None,
        };
        let Ok(heard) = heard else {
            self.service.handshake_failed(ends, &Failure::PeerClosed);
            return None;
        };
        let millis = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        match (sniff(heard.as_slice(), u64::from(millis), millis), either_way) {
            (Sniff::Greet | Sniff::Wait, true) => Some((Stream::clear(tcp), Security::clear())),
            (Sniff::Greet | Sniff::Wait, false) => {
                let failure = if heard.is_some() { Failure::NotTls } else { Failure::Silent };
                self.service.handshake_failed(ends, &failure);
                self.say_and_close(tcp).await;
                None
            }
            (Sniff::Tls, _) => self.handshake(tcp, ends, tls, &mut shutdown).await,
        }
    }

    async fn handshake(
        &self,
        tcp: TcpStream,
        ends: Ends,
        tls: &Acceptor,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Option<(Stream, Security)> {
        let usual = self.listener.protection == Protection::Implicit;
        let how = if usual { How::Implicit } else { How::EitherWay };
        let accepted = tokio::select! {
            accepted = accept(tcp, how, tls) => accepted,
            // A handshake that was not finished owes nobody an answer.
            _ = shutdown.wait_for(|stop| *stop) => return None,
        };
        let refused = match accepted {
            Ok(done) => return Some(done),
            Err(refused) => refused,
        };
        self.service.handshake_failed(ends, &refused.failure);
        if let Some(tcp) = refused.clear {
            self.say_and_close(tcp).await;
        }
        None
    }

    /// The one readable line for a client that speaks clear text where TLS comes first.
    async fn say_and_close(&self, tcp: TcpStream) {
        let Some(line) = self.service.not_tls_line() else { return };
        // The line is short and the connection fresh.
        let _ = tcp.try_write(&line);
        let mut stream = Stream::clear(tcp);
        stream.close();
        let limit = Duration::from_secs(u64::from(self.means.limits.linger_seconds_max));
        stream.linger(limit, self.means.limits.linger_bytes_max).await;
    }
}

/// Looks at the first octet and leaves it where it is; `None` if none came in that time.
async fn first_octet(tcp: &TcpStream, wait: Duration) -> io::Result<Option<u8>> {
    let mut first = [0; 1];
    match tokio::time::timeout(wait, tcp.peek(&mut first)).await {
        Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(Ok(_)) => Ok(Some(first[0])),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// IPv4 as IPv4 where a socket takes both families.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// EMFILE, ENFILE, ENOBUFS, ENOMEM: trying again at once would only turn the processor.
fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let kinds = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| kinds.iter().any(|kind| kind.raw_os_error() == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_gate_counts_and_gives_back() {
        let gate = Gate::new(Limits { connections_max: 3, network_connections_max: 2, ..Limits::default() });
        let first = gate.enter(ip("192.0.2.1")).unwrap();
        let _second = gate.enter(ip("192.0.2.2")).unwrap();
        assert_eq!(gate.enter(ip("192.0.2.3")).unwrap_err(), Full::Network);
        let _third = gate.enter(ip("127.0.0.1")).unwrap();
        assert_eq!(gate.enter(ip("198.51.100.1")).unwrap_err(), Full::Service);
        drop(first);
        assert_eq!(gate.open_connections(), 2);
        let _again = gate.enter(ip("192.0.2.3")).unwrap();
        drop((_second, _again));
        assert!(gate.counts.lock().unwrap().networks.is_empty());
    }

    #[test]
    fn a_bind_error_names_the_port_and_the_remedy() {
        let address = SocketAddr::new(ip("192.0.2.1"), proto::service::ports::POP3S);
        let error = |kind: io::ErrorKind| BindError { listener: "pop3s".into(), address, error: kind.into() };
        let denied = error(io::ErrorKind::PermissionDenied).to_string();
        assert!(denied.contains("port 995 needs root or CAP_NET_BIND_SERVICE"), "{denied}");
        let used = error(io::ErrorKind::AddrInUse).to_string();
        assert!(used.contains("listener pop3s") && used.contains("sport = :995"), "{used}");
    }
}
