//! A small protocol with the shape of SMTP, so that `openssl s_client -starttls smtp` can
//! speak it, and a service that tells the tests what it saw.

use net::authority::{Authority, KeyKind};
use net::drive::{self, End, Ends, Next, Session, Wire};
use net::listen::{self, Gate, Means, Service};
use net::tls::{Acceptor, Certificates, Failure, Pair, Shared};
use proto::machine::{Machine, Tick};
use proto::proof::Security;
use proto::service::{Listener, Protection, Protocol};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub const HOST: &str = "mail.example.test";
const LINE_BYTES_MAX: usize = 4096;

/// Frames lines; greets; knows QUIT.
pub struct Talk {
    output: Vec<u8>,
    ended: bool,
    half_line: bool,
    deadline: Tick,
    idle_millis: u64,
}

impl Talk {
    fn new(greets: bool, idle_millis: u64, now: Tick) -> Talk {
        let output = if greets { b"220 hello\r\n".to_vec() } else { Vec::new() };
        Talk { output, ended: false, half_line: false, deadline: Tick(now.0 + idle_millis), idle_millis }
    }

    fn say(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }
}

impl Machine for Talk {
    type Event<'a> = &'a str;

    fn receive<'a>(&mut self, input: &'a [u8], now: Tick) -> (usize, Option<&'a str>) {
        if self.ended {
            return (0, None);
        }
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
            self.half_line = !input.is_empty();
            if input.len() > LINE_BYTES_MAX {
                self.say("500 line too long");
                self.ended = true;
                return (input.len(), None);
            }
            return (0, None);
        };
        self.half_line = false;
        self.deadline = Tick(now.0 + self.idle_millis);
        let line = std::str::from_utf8(&input[..end]).unwrap_or("?").trim_end();
        if line == "QUIT" {
            self.say("221 bye");
            self.ended = true;
            return (end + 1, None);
        }
        (end + 1, Some(line))
    }

    fn timeout(&mut self, _now: Tick) {
        self.say("421 too slow");
        self.ended = true;
    }

    fn deadline(&self) -> Tick {
        self.deadline
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    fn ended(&self) -> bool {
        self.ended
    }

    fn idle(&self) -> bool {
        !self.half_line
    }

    fn shutdown(&mut self) {
        self.say("421 stopping");
        self.ended = true;
    }

    fn tls_go_ahead(&mut self) {
        self.say("220 go ahead");
    }

    fn tls_early_bytes(&mut self) {
        self.say("554 no commands behind STARTTLS");
        self.ended = true;
    }
}

/// What the service saw.
#[derive(Debug)]
pub enum Seen {
    Ended(End),
    Failed(Failure),
    TurnedAway(listen::Full),
}

pub struct Conversation {
    machine: Talk,
    security: Security,
    idle_millis: u64,
    seen: mpsc::UnboundedSender<Seen>,
}

impl Conversation {
    /// One that is never run.
    pub fn for_measure() -> Conversation {
        let (seen, _) = mpsc::unbounded_channel();
        Conversation {
            machine: Talk::new(true, 0, Tick(0)),
            security: Security::clear(),
            idle_millis: 0,
            seen,
        }
    }
}

impl Session for Conversation {
    type Machine = Talk;

    fn machine(&mut self) -> &mut Talk {
        &mut self.machine
    }

    async fn event<'a>(&mut self, line: <Talk as Machine>::Event<'a>, wire: &mut Wire<'_>) -> Next {
        let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "EHLO" => self.machine.say("250-talk\r\n250 STARTTLS"),
            "STARTTLS" => return Next::StartTls,
            "ECHO" => self.machine.say(argument),
            "SECURITY" => {
                let text = described(&self.security);
                self.machine.say(&text);
            }
            "SLEEP" => {
                tokio::time::sleep(Duration::from_millis(argument.parse().unwrap())).await;
                self.machine.say("250 slept");
            }
            // A long answer, pushed in pieces as far as the peer takes it.
            "BIG" => {
                let mut left: usize = argument.parse().unwrap();
                while left > 0 {
                    let piece = left.min(8192);
                    self.machine.output.resize(piece, b'x');
                    left -= piece;
                    if wire.flush(&mut self.machine.output).await.is_err() {
                        return Next::Close;
                    }
                }
                self.machine.say("250 all");
            }
            "CLOSE" => {
                self.machine.say("221 closing");
                return Next::Close;
            }
            _ => self.machine.say("500 what?"),
        }
        Next::Go
    }

    fn secured(self, security: Security) -> Conversation {
        Conversation { machine: Talk::new(false, self.idle_millis, net::now()), security, ..self }
    }

    async fn ended(self, why: End) {
        let _ = self.seen.send(Seen::Ended(why));
    }
}

fn described(security: &Security) -> String {
    let Some(tls) = security.tls() else { return security.how().name().to_owned() };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!(
        "{} {} {} group={} name={} exporter={} end_point={} addresses={}",
        security.how().name(),
        tls.version.name(),
        tls.cipher,
        tls.group.unwrap_or("-"),
        tls.server_name.as_deref().unwrap_or("-"),
        tls.exporter.map_or("-".to_owned(), |exporter| hex(&exporter)),
        hex(&tls.end_point),
        tls.client_addresses.join(","),
    )
}

struct TalkService {
    seen: mpsc::UnboundedSender<Seen>,
    idle_millis: u64,
}

impl Service for TalkService {
    type Session = Conversation;

    fn open(&self, _ends: Ends, security: Security, now: Tick) -> Conversation {
        let machine = Talk::new(true, self.idle_millis, now);
        Conversation { machine, security, idle_millis: self.idle_millis, seen: self.seen.clone() }
    }

    fn handshake_failed(&self, _ends: Ends, failure: &Failure) {
        let _ = self.seen.send(Seen::Failed(failure.clone()));
    }

    fn turned_away(&self, _ends: Ends, limit: listen::Full) {
        let _ = self.seen.send(Seen::TurnedAway(limit));
    }

    fn busy_line(&self) -> &[u8] {
        b"421 busy\r\n"
    }

    fn not_tls_line(&self) -> Option<Vec<u8>> {
        Some(b"554 speak TLS here\r\n".to_vec())
    }
}

/// A running service and what its clients need.
pub struct Running {
    pub address: SocketAddr,
    pub seen: mpsc::UnboundedReceiver<Seen>,
    pub stop: watch::Sender<bool>,
    pub gate: Arc<Gate>,
    pub served: tokio::task::JoinHandle<()>,
}

/// How to run it.
pub struct Plan {
    pub protection: Protection,
    pub protocol: Protocol,
    pub idle_millis: u64,
    pub limits: drive::Limits,
    pub connections: listen::Limits,
    pub tls: net::tls::Limits,
    pub either_way: bool,
    pub greeting_wait: Duration,
}

impl Plan {
    pub fn new(protection: Protection) -> Plan {
        Plan {
            protection,
            protocol: Protocol::Pop3,
            idle_millis: 30_000,
            limits: drive::Limits::default(),
            connections: listen::Limits::default(),
            tls: net::tls::Limits::default(),
            either_way: false,
            greeting_wait: Duration::from_millis(300),
        }
    }
}

/// Certificates in a directory of their own.
pub struct Keys {
    pub directory: tempfile::TempDir,
    pub authority: Authority,
    pub certificates: Arc<Certificates>,
    pub pairs: Vec<Pair>,
}

impl Keys {
    /// RSA listed first: the order of the settings must not matter.
    pub fn both() -> Keys {
        Keys::of(&[("rsa", KeyKind::Rsa, &[HOST]), ("ecdsa", KeyKind::Ecdsa, &[HOST])])
    }

    pub fn ecdsa() -> Keys {
        Keys::of(&[("ecdsa", KeyKind::Ecdsa, &[HOST])])
    }

    pub fn of(list: &[(&str, KeyKind, &[&str])]) -> Keys {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(directory.path()).unwrap();
        let pairs: Vec<Pair> = list
            .iter()
            .map(|(name, kind, hosts)| {
                authority.server(*kind, hosts).unwrap().write(directory.path(), name).unwrap()
            })
            .collect();
        let certificates = Certificates::load(pairs.clone()).unwrap();
        Keys { directory, authority, certificates, pairs }
    }

    pub fn authority_file(&self) -> PathBuf {
        self.authority.certificate_file().to_owned()
    }

    pub fn acceptor(&self, plan: &Plan, client_authorities: Option<&Path>) -> Arc<Acceptor> {
        let shared = Shared::new(self.certificates.clone()).unwrap();
        Arc::new(shared.acceptor(plan.protocol, client_authorities, plan.tls).unwrap())
    }

    pub fn run(&self, plan: Plan) -> Running {
        let acceptor = self.acceptor(&plan, None);
        run(plan, acceptor)
    }
}

pub fn run(plan: Plan, acceptor: Arc<Acceptor>) -> Running {
    let listener = Listener {
        name: "talk".to_owned(),
        protocol: plan.protocol,
        protection: plan.protection,
        either_way: plan.either_way,
        addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port: 0,
    };
    let bound = listen::bind(&listener).unwrap();
    let address = bound.addresses()[0];
    let (sender, seen) = mpsc::unbounded_channel();
    let (stop, shutdown) = watch::channel(false);
    let gate = Gate::new(plan.connections);
    let greeting_wait = plan.greeting_wait;
    let means =
        Means { tls: Some(acceptor), gate: gate.clone(), limits: plan.limits, shutdown, greeting_wait };
    let service = TalkService { seen: sender, idle_millis: plan.idle_millis };
    let served = tokio::spawn(bound.serve(Arc::new(service), means));
    Running { address, seen, stop, gate, served }
}

impl Running {
    /// The next thing that the service saw.
    pub async fn saw(&mut self) -> Seen {
        tokio::time::timeout(Duration::from_secs(20), self.seen.recv()).await.expect("seen in time").unwrap()
    }

    pub async fn ended(&mut self) -> End {
        match self.saw().await {
            Seen::Ended(end) => end,
            other => panic!("not an end: {other:?}"),
        }
    }

    pub async fn failed(&mut self) -> Failure {
        match self.saw().await {
            Seen::Failed(failure) => failure,
            other => panic!("not a failure: {other:?}"),
        }
    }
}

/// A client that trusts the authority in `ca`.
pub fn client(ca: &Path) -> ClientConfig {
    client_with(ca, None)
}

pub fn client_with(ca: &Path, certificate: Option<&net::authority::Leaf>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match certificate {
        None => builder.with_no_client_auth(),
        Some(leaf) => {
            let chain = CertificateDer::pem_slice_iter(leaf.chain_pem.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .unwrap();
            let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

pub async fn connect_tls(address: SocketAddr, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(address).await.unwrap();
    secure(tcp, config).await
}

pub async fn secure(tcp: TcpStream, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    tcp.set_nodelay(true).unwrap();
    TlsConnector::from(config).connect(ServerName::try_from(HOST).unwrap(), tcp).await.unwrap()
}

/// Reads one line, byte by byte, so that nothing behind it is taken.
pub async fn line(from: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    let mut byte = [0; 1];
    loop {
        let read = tokio::time::timeout(Duration::from_secs(20), from.read(&mut byte)).await;
        match read.expect("a line in time") {
            Ok(1) if byte[0] == b'\n' => return String::from_utf8(text).unwrap().trim_end().to_owned(),
            Ok(1) => text.push(byte[0]),
            Ok(_) => return format!("<closed after {:?}>", String::from_utf8_lossy(&text)),
            Err(error) => return format!("<{}>", error.kind()),
        }
    }
}

/// Says a command and returns the answer's line.
pub async fn ask<T: AsyncRead + tokio::io::AsyncWrite + Unpin>(stream: &mut T, command: &str) -> String {
    stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    line(stream).await
}
