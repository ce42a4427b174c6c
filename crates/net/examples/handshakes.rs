//! Measures full TLS 1.3 handshakes of one core, and the memory of idle TLS connections.
//!
//! `cargo run --release --example handshakes [seconds] [connections]`. The clients run in a process
//! of their own, so that only the server's side is counted.

use net::authority::{Authority, KeyKind};
use net::drive::{self, End, Ends, Next, Session, Wire};
use net::listen::{self, Gate, Means, Service};
use net::tls::{Certificates, Failure, Shared};
use proto::machine::{Machine, Tick};
use proto::proof::Security;
use proto::service::{Listener, Protection, Protocol};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const HOST: &str = "mail.example.test";

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    listen::raise_file_limit()?;
    match &arguments[1..] {
        [word, address, ca, what, count] if word == "client" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(clients(address.parse()?, ca, what, count.parse()?))
        }
        rest => {
            let seconds = rest.first().map_or(Ok(5), |text| text.parse())?;
            let connections = rest.get(1).map_or(Ok(5000), |text| text.parse())?;
            // One thread serves: its processor time is that of one core.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(measure(seconds, connections))
        }
    }
}

async fn measure(seconds: u64, connections: usize) -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let authority = Authority::open(directory.path())?;
    let pair = authority.server(KeyKind::Ecdsa, &[HOST])?.write(directory.path(), "leaf")?;
    let certificates = Certificates::load(vec![pair])?;
    let acceptor = Shared::new(certificates)?.acceptor(Protocol::Pop3, None, net::tls::Limits::default())?;
    let listener = Listener {
        name: "bench".to_owned(),
        protocol: Protocol::Pop3,
        protection: Protection::Implicit,
        either_way: false,
        addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port: 0,
    };
    let bound = listen::bind(&listener)?;
    let address = bound.addresses()[0];
    let (_stop, shutdown) = tokio::sync::watch::channel(false);
    let gate = Gate::new(listen::Limits { connections_max: 100_000, ..listen::Limits::default() });
    let means = Means {
        tls: Some(Arc::new(acceptor)),
        gate: gate.clone(),
        limits: drive::Limits::default(),
        shutdown,
        greeting_wait: std::time::Duration::ZERO,
    };
    tokio::spawn(bound.serve(Arc::new(Silent), means));

    let ca = authority.certificate_file().display().to_string();
    let mut out = std::io::stdout().lock();
    let mut client = start_client(address, &ca, "handshakes", seconds)?;
    let before = processor_seconds()?;
    let (client_says, _keep) = wait_for_line(&mut client).await?;
    let used = processor_seconds()? - before;
    let count: f64 = client_says.trim().parse()?;
    writeln!(
        out,
        "full TLS 1.3 handshakes with greeting: {:.0} /s of one core ({count:.0} in all)",
        count / used
    )?;
    client.wait()?;

    let before = resident_bytes()?;
    let mut client = start_client(address, &ca, "idle", connections as u64)?;
    let (_, keep) = wait_for_line(&mut client).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let each = resident_bytes()?.saturating_sub(before) / connections.max(1);
    writeln!(out, "an idle TLS connection: {each} bytes, with {} open", gate.open_connections())?;
    drop(keep);
    client.wait()?;
    Ok(())
}

fn start_client(address: SocketAddr, ca: &str, what: &str, count: u64) -> Outcome<Child> {
    let child = Command::new(std::env::current_exe()?)
        .args(["client", &address.to_string(), ca, what, &count.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(child)
}

/// The client's line; it stays alive until its input is dropped.
async fn wait_for_line(child: &mut Child) -> Outcome<(String, Option<ChildStdin>)> {
    let stdout: Option<ChildStdout> = child.stdout.take();
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        stdout.map(|stdout| BufReader::new(stdout).read_line(&mut line)).transpose().map(|_| line)
    });
    Ok((line.await??, child.stdin.take()))
}

async fn clients(address: SocketAddr, ca: &str, what: &str, count: u64) -> Outcome<()> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let connect = || {
        let connector = connector.clone();
        async move {
            let tcp = tokio::net::TcpStream::connect(address).await?;
            let mut tls = connector.connect(ServerName::try_from(HOST)?, tcp).await?;
            tls.read_exact(&mut [0; 5]).await?;
            Outcome::Ok(tls)
        }
    };
    let mut out = std::io::stdout().lock();
    if what == "idle" {
        let mut open = Vec::new();
        for _ in 0..count {
            open.push(connect().await?);
        }
        writeln!(out, "{}", open.len())?;
        out.flush()?;
        std::io::stdin().read_line(&mut String::new())?;
    } else {
        let end = std::time::Instant::now() + Duration::from_secs(count);
        let mut done = 0_u64;
        while std::time::Instant::now() < end {
            let some = (0..8).map(|_| connect()).collect::<Vec<_>>();
            let some: Vec<_> = some.into_iter().map(tokio::spawn).collect();
            for one in some {
                one.await??;
                done += 1;
            }
        }
        writeln!(out, "{done}")?;
    }
    Ok(())
}

fn processor_seconds() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    // utime and stime, fields 14 and 15 of the file, in hundredths of a second.
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / 100.0)
}

fn resident_bytes() -> Outcome<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    Ok(statm.split(' ').nth(1).unwrap_or("0").parse::<usize>()? * 4096)
}

/// Greets and waits.
struct Silent;

struct Waiting {
    output: Vec<u8>,
    deadline: Tick,
    ended: bool,
}

impl Machine for Waiting {
    type Event<'a> = ();
    fn receive(&mut self, input: &[u8], _now: Tick) -> (usize, Option<()>) {
        (input.len(), None)
    }
    fn timeout(&mut self, _now: Tick) {
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
        true
    }
    fn shutdown(&mut self) {
        self.ended = true;
    }
    fn tls_go_ahead(&mut self) {}
    fn tls_early_bytes(&mut self) {}
}

impl Session for Waiting {
    type Machine = Waiting;
    fn machine(&mut self) -> &mut Waiting {
        self
    }
    async fn event<'a>(&mut self, (): <Waiting as Machine>::Event<'a>, _wire: &mut Wire<'_>) -> Next {
        Next::Go
    }
    fn secured(self, _security: Security) -> Waiting {
        self
    }
    async fn ended(self, _why: End) {}
}

impl Service for Silent {
    type Session = Waiting;
    fn open(&self, _ends: Ends, _security: Security, now: Tick) -> Waiting {
        Waiting { output: b"+OK\r\n".to_vec(), deadline: now.plus_seconds(3600), ended: false }
    }
    fn handshake_failed(&self, _ends: Ends, _failure: &Failure) {}
    fn busy_line(&self) -> &[u8] {
        b""
    }
    fn not_tls_line(&self) -> Option<Vec<u8>> {
        None
    }
}
