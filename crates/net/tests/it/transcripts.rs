//! Every transcript again, over real sockets on loopback: in clear, under TLS and
//! through the switch of STARTTLS, moved by the one loop that moves bytes.
//!
//! The session above each machine is the fixed one of `testkit`. What a handshake
//! established is invented as there (its bindings would be others each time); that
//! it took place, and every octet, is real. Transcripts in which time passes are
//! left to the bare machine: nobody waits ten minutes here.

use crate::talk::{Keys, client, connect_tls, secure};
use net::drive::{self, End, Ends, Next, Session, Wire};
use net::listen::{self, Gate, Means, Service};
use net::tls::{Acceptor, Failure, Shared};
use proto::machine::{Machine, Tick};
use proto::proof::{How, Security};
use proto::service::{Listener, Protection, Protocol};
use rustls::ClientConfig;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use testkit::script::{self, Script, Step, escape};
use testkit::{imap, pop3, smtp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::client::TlsStream;

/// Longest wait for an octet that must come.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn smtp_transcripts_hold_over_sockets() {
    let _alone = crate::SCALES.lock().await;
    let played = hold_all("smtp", Protocol::Smtp, |script, told| {
        let setup = smtp::Setup::of(script)?;
        let implicit = setup.security.is_encrypted();
        Ok((implicit, SmtpFixed { setup, told }))
    });
    assert!(played.await >= 50);
}

#[tokio::test]
async fn pop3_transcripts_hold_over_sockets() {
    let _alone = crate::SCALES.lock().await;
    let played = hold_all("pop3", Protocol::Pop3, |script, told| {
        let setup = pop3::Setup::of(script)?;
        let implicit = setup.how == How::Implicit;
        Ok((implicit, Pop3Fixed { setup, told }))
    });
    assert!(played.await >= 28);
}

#[tokio::test]
async fn imap_transcripts_hold_over_sockets() {
    let _alone = crate::SCALES.lock().await;
    let played = hold_all("imap", Protocol::Imap, |script, told| {
        let setup = imap::Setup::of(script)?;
        let implicit = setup.how == How::Implicit;
        Ok((implicit, ImapFixed { setup, told }))
    });
    assert!(played.await >= 60);
}

/// Plays all but those in which time passes; returns how many.
async fn hold_all<S: Service>(
    name: &str,
    protocol: Protocol,
    fixed: impl Fn(&Script, mpsc::UnboundedSender<String>) -> Result<(bool, S), String>,
) -> u32 {
    let keys = Keys::ecdsa();
    let shared = Shared::new(keys.certificates.clone()).unwrap();
    let acceptor = Arc::new(shared.acceptor(protocol, None, net::tls::Limits::default()).unwrap());
    let trusting = Arc::new(client(&keys.authority_file()));
    let mut played = 0;
    for path in script::files(name) {
        let (name, script) = script::read(&path);
        if script.steps.iter().any(|s| matches!(s, Step::Do(deed) if deed.starts_with("time "))) {
            continue;
        }
        for cut in [usize::MAX, 5] {
            let (told, events) = mpsc::unbounded_channel();
            let (implicit, service) = fixed(&script, told).unwrap_or_else(|e| panic!("{name}: {e}"));
            let protection = if implicit { Protection::Implicit } else { Protection::StartTls };
            let (address, stop) = listen(service, protocol, protection, acceptor.clone());
            let wire = if implicit {
                Conn::Tls(Box::new(connect_tls(address, trusting.clone()).await))
            } else {
                let tcp = TcpStream::connect(address).await.unwrap();
                tcp.set_nodelay(true).unwrap();
                Conn::Clear(tcp)
            };
            let case = format!("{name}, cut into {cut}");
            Play { case, wire, events, stop, trusting: trusting.clone() }.run(&script, cut).await;
        }
        played += 1;
    }
    played
}

fn listen<S: Service>(
    service: S,
    protocol: Protocol,
    protection: Protection,
    acceptor: Arc<Acceptor>,
) -> (SocketAddr, watch::Sender<bool>) {
    let listener = Listener {
        name: "fixed".to_owned(),
        protocol,
        protection,
        either_way: false,
        addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port: 0,
    };
    let bound = listen::bind(&listener).unwrap();
    let address = bound.addresses()[0];
    let (stop, shutdown) = watch::channel(false);
    let means = Means {
        tls: Some(acceptor),
        gate: Gate::new(listen::Limits::default()),
        limits: drive::Limits::default(),
        shutdown,
        greeting_wait: std::time::Duration::ZERO,
    };
    tokio::spawn(bound.serve(Arc::new(service), means));
    (address, stop)
}

enum Conn {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// While it changes hands.
    Between,
}

impl Conn {
    async fn write(&mut self, bytes: &[u8]) {
        // A server that has ended may not take the rest; what it said is what counts.
        let _ = match self {
            Conn::Clear(tcp) => tcp.write_all(bytes).await,
            Conn::Tls(tls) => match tls.write_all(bytes).await {
                Ok(()) => tls.flush().await,
                failed => failed,
            },
            Conn::Between => unreachable!("nothing is written during a handshake"),
        };
    }

    async fn read(&mut self, into: &mut [u8]) -> usize {
        let read = match self {
            Conn::Clear(tcp) => tcp.read(into).await,
            Conn::Tls(tls) => tls.read(into).await,
            Conn::Between => unreachable!("nothing is read during a handshake"),
        };
        read.unwrap_or(0)
    }

    async fn close(&mut self) {
        let _ = match self {
            Conn::Clear(tcp) => tcp.shutdown().await,
            Conn::Tls(tls) => tls.shutdown().await,
            Conn::Between => Ok(()),
        };
    }
}

/// One transcript under way.
struct Play {
    case: String,
    wire: Conn,
    events: mpsc::UnboundedReceiver<String>,
    stop: watch::Sender<bool>,
    trusting: Arc<ClientConfig>,
}

impl Play {
    async fn run(mut self, script: &Script, cut: usize) {
        let early_bytes = script.setting("early-bytes") == Some("yes");
        let mut steps = script.steps.iter().peekable();
        let (mut expected_events, mut last_line, mut ended) = (Vec::new(), String::new(), false);
        while let Some(step) = steps.next() {
            match step {
                Step::Client(bytes) => {
                    let mut said = bytes.clone();
                    while let Some(Step::Client(more)) = steps.peek() {
                        said.extend_from_slice(more);
                        steps.next();
                    }
                    last_line =
                        String::from_utf8_lossy(&said).trim_end().lines().last().unwrap_or("").to_owned();
                    if early_bytes && starts_tls(&last_line) {
                        self.wire.write(&[&said[..], b"NOOP\r\n"].concat()).await;
                        continue;
                    }
                    for piece in said.chunks(cut.min(said.len()).max(1)) {
                        self.wire.write(piece).await;
                    }
                }
                Step::Server(line) => {
                    self.expect(line).await;
                    let more = matches!(steps.peek(), Some(Step::Server(_)));
                    if !more && starts_tls(&last_line) && goes_ahead(line) {
                        last_line.clear();
                        self.secure().await;
                    }
                }
                Step::Event(event) => expected_events.push(event.clone()),
                Step::Do(deed) if deed == "ended" => {
                    self.expect_end().await;
                    ended = true;
                }
                Step::Do(deed) if deed == "shutdown" => {
                    let _ = self.stop.send(true);
                }
                // The end of the script asks whether anything more was said.
                Step::Do(deed) => assert_eq!(deed, "open", "{}", self.case),
                Step::Note(_) => {}
            }
        }
        if !ended {
            self.wire.close().await;
            self.expect_end().await;
        }
        if script.tells_events() {
            let mut told = Vec::new();
            while let Ok(event) = self.events.try_recv() {
                told.push(event.trim_end().to_owned());
            }
            assert_eq!(told, expected_events, "{}", self.case);
        }
    }

    async fn expect(&mut self, line: &[u8]) {
        let mut got = vec![0; line.len()];
        let mut at = 0;
        while at < line.len() {
            let read = tokio::time::timeout(PATIENCE, self.wire.read(&mut got[at..])).await;
            match read.unwrap_or(0) {
                0 => break,
                count => at += count,
            }
        }
        assert_eq!(escape(&got[..at]), escape(line), "{}", self.case);
    }

    async fn expect_end(&mut self) {
        let mut rest = [0; 512];
        let read = tokio::time::timeout(PATIENCE, self.wire.read(&mut rest)).await;
        let count = read.unwrap_or_else(|_| panic!("{}: it stays open", self.case));
        assert_eq!(escape(&rest[..count]), "", "{}: more than expected", self.case);
    }

    async fn secure(&mut self) {
        match std::mem::replace(&mut self.wire, Conn::Between) {
            Conn::Clear(tcp) => {
                self.wire = Conn::Tls(Box::new(secure(tcp, self.trusting.clone()).await));
            }
            other => self.wire = other,
        }
    }
}

fn starts_tls(line: &str) -> bool {
    // In IMAP a tag stands before the word.
    let word = line.rsplit(' ').next().unwrap_or_default();
    word.eq_ignore_ascii_case("STARTTLS") || word.eq_ignore_ascii_case("STLS")
}

fn goes_ahead(line: &[u8]) -> bool {
    line.starts_with(b"220 ") || line.starts_with(b"+OK") || line.ends_with(b" OK begin TLS\r\n")
}

struct SmtpFixed {
    setup: smtp::Setup,
    told: mpsc::UnboundedSender<String>,
}

impl Service for SmtpFixed {
    type Session = SmtpSession;

    fn open(&self, _ends: Ends, security: Security, now: Tick) -> SmtpSession {
        let machine = self.setup.server(invented(&security, smtp::tls), now);
        let above = smtp::Above::new(&self.setup);
        SmtpSession { machine, above, setup: self.setup.clone(), told: self.told.clone() }
    }

    fn handshake_failed(&self, _ends: Ends, failure: &Failure) {
        let _ = self.told.send(format!("handshake failed: {failure:?}"));
    }

    fn busy_line(&self) -> &[u8] {
        b"421 busy\r\n"
    }

    fn not_tls_line(&self) -> Option<Vec<u8>> {
        None
    }
}

struct SmtpSession {
    machine: proto::smtp::server::Server,
    above: smtp::Above,
    setup: smtp::Setup,
    told: mpsc::UnboundedSender<String>,
}

impl Session for SmtpSession {
    type Machine = proto::smtp::server::Server;

    fn machine(&mut self) -> &mut Self::Machine {
        &mut self.machine
    }

    async fn event<'a>(
        &mut self,
        event: <proto::smtp::server::Server as Machine>::Event<'a>,
        _wire: &mut Wire<'_>,
    ) -> Next {
        let starts_tls = self.above.answer(&mut self.machine, event);
        tell(&self.told, &mut self.above.events);
        if starts_tls { Next::StartTls } else { Next::Go }
    }

    fn secured(self, security: Security) -> SmtpSession {
        let machine = self.setup.server(invented(&security, smtp::tls), net::now());
        SmtpSession { machine, above: smtp::Above::new(&self.setup), ..self }
    }

    async fn ended(self, why: End) {
        unexpected(&self.told, &why);
    }
}

struct Pop3Fixed {
    setup: pop3::Setup,
    told: mpsc::UnboundedSender<String>,
}

impl Service for Pop3Fixed {
    type Session = Pop3Session;

    fn open(&self, _ends: Ends, security: Security, now: Tick) -> Pop3Session {
        let security = invented(&security, |how| pop3::Setup { how, ..self.setup.clone() }.security());
        let machine = self.setup.server(security, now);
        let above = pop3::Above::new(&self.setup);
        Pop3Session { machine, above, setup: self.setup.clone(), told: self.told.clone() }
    }

    fn handshake_failed(&self, _ends: Ends, failure: &Failure) {
        let _ = self.told.send(format!("handshake failed: {failure:?}"));
    }

    fn busy_line(&self) -> &[u8] {
        b"-ERR busy\r\n"
    }

    fn not_tls_line(&self) -> Option<Vec<u8>> {
        None
    }
}

struct Pop3Session {
    machine: proto::pop3::server::Server,
    above: pop3::Above,
    setup: pop3::Setup,
    told: mpsc::UnboundedSender<String>,
}

impl Session for Pop3Session {
    type Machine = proto::pop3::server::Server;

    fn machine(&mut self) -> &mut Self::Machine {
        &mut self.machine
    }

    async fn event<'a>(
        &mut self,
        event: <proto::pop3::server::Server as Machine>::Event<'a>,
        _wire: &mut Wire<'_>,
    ) -> Next {
        let starts_tls = self.above.answer(&mut self.machine, event);
        tell(&self.told, &mut self.above.events);
        if starts_tls { Next::StartTls } else { Next::Go }
    }

    fn secured(self, security: Security) -> Pop3Session {
        let security = invented(&security, |how| pop3::Setup { how, ..self.setup.clone() }.security());
        let machine = self.setup.server(security, net::now());
        Pop3Session { machine, above: pop3::Above::new(&self.setup), ..self }
    }

    async fn ended(self, why: End) {
        unexpected(&self.told, &why);
    }
}

struct ImapFixed {
    setup: imap::Setup,
    told: mpsc::UnboundedSender<String>,
}

impl Service for ImapFixed {
    type Session = ImapSession;

    fn open(&self, _ends: Ends, security: Security, now: Tick) -> ImapSession {
        let security = invented(&security, |how| imap::Setup { how, ..self.setup.clone() }.security());
        let machine = self.setup.server(security, now);
        let above = imap::Above::new(&self.setup);
        ImapSession { machine, above, setup: self.setup.clone(), told: self.told.clone() }
    }

    fn handshake_failed(&self, _ends: Ends, failure: &Failure) {
        let _ = self.told.send(format!("handshake failed: {failure:?}"));
    }

    fn busy_line(&self) -> &[u8] {
        b"* BYE busy\r\n"
    }

    fn not_tls_line(&self) -> Option<Vec<u8>> {
        None
    }
}

struct ImapSession {
    machine: proto::imap::server::Server,
    above: imap::Above,
    setup: imap::Setup,
    told: mpsc::UnboundedSender<String>,
}

impl Session for ImapSession {
    type Machine = proto::imap::server::Server;

    fn machine(&mut self) -> &mut Self::Machine {
        &mut self.machine
    }

    async fn event<'a>(
        &mut self,
        event: <proto::imap::server::Server as Machine>::Event<'a>,
        _wire: &mut Wire<'_>,
    ) -> Next {
        let starts_tls = self.above.answer(&mut self.machine, event);
        tell(&self.told, &mut self.above.events);
        if starts_tls { Next::StartTls } else { Next::Go }
    }

    fn secured(self, security: Security) -> ImapSession {
        let security = invented(&security, |how| imap::Setup { how, ..self.setup.clone() }.security());
        let machine = self.setup.server(security, net::now());
        ImapSession { machine, above: imap::Above::new(&self.setup), ..self }
    }

    async fn ended(self, why: End) {
        unexpected(&self.told, &why);
    }
}

/// The transcript's handshake in place of the real one, of the same kind.
fn invented(real: &Security, invent: impl FnOnce(How) -> Security) -> Security {
    if real.is_encrypted() { invent(real.how()) } else { Security::clear() }
}

fn tell(told: &mpsc::UnboundedSender<String>, events: &mut Vec<String>) {
    for event in events.drain(..) {
        let _ = told.send(event);
    }
}

/// An end that no transcript has shows up among the events.
fn unexpected(told: &mpsc::UnboundedSender<String>, why: &End) {
    match why {
        End::Finished | End::PeerClosed | End::EarlyBytes | End::Shutdown => {}
        End::TimedOut | End::Stalled | End::TlsFailed(_) | End::Io(_) => {
            let _ = told.send(format!("ended: {why:?}"));
        }
    }
}
