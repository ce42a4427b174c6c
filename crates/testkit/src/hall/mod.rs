//! The hall of broken servers: each scenario a file in `crates/testkit/hall`, played on loopback.
//!
//! A scenario names registered ports; the hall listens on free ones, the same for all hosts of a scenario, and
//! gives the mapping. Everything that clients send is remembered, so that a test can say what never came in clear.

mod certificates;
pub mod scenario;
mod server;
mod web;

pub use scenario::Scenario;

use certificates::Authorities;
use proto::discovery::dns::{Data, Record};
use proto::service::preset::registered_port;
use proto::service::{Protection, Protocol};
use scenario::{Fault, Listener};
use server::Server;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use web::Web;

/// The password that servers of the hall take.
pub const PASSWORD: &str = "open sesame";
/// Attempts to find a port that is free on all addresses of a scenario.
const ATTEMPTS_MAX: usize = 50;

/// What came on one connection.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Registered port.
    pub port: u16,
    /// Octets before TLS.
    pub clear: Vec<u8>,
    /// Octets under TLS.
    pub encrypted: Vec<u8>,
    /// User names of attempts to sign in.
    pub attempts: Vec<String>,
}

/// A port of the hall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// The registered port that it stands for.
    pub registered: u16,
    /// Where it is.
    pub number: u16,
    /// What is registered there.
    pub protocol: Protocol,
    /// How it is registered.
    pub protection: Protection,
}

/// A scenario being played, until it is dropped.
pub struct Hall {
    /// What is played.
    pub scenario: Scenario,
    /// The authority that is trusted, DER.
    pub authority: Vec<u8>,
    ports: BTreeMap<u16, u16>,
    heard: Arc<Mutex<Vec<Heard>>>,
    asked: Arc<Mutex<Vec<String>>>,
    _servers: JoinSet<()>,
    /// Connections that keep a filtered port full.
    _fillers: Vec<TcpStream>,
}

/// The files of all scenarios, by name.
#[must_use]
pub fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("hall");
    let entries = std::fs::read_dir(&directory).expect("the folder of scenarios");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "toml"));
    files.sort();
    files
}

impl Hall {
    /// Begins to play the file of this name (`plain-on-993`).
    pub async fn start(name: &str) -> Hall {
        Hall::play(&Path::new(env!("CARGO_MANIFEST_DIR")).join("hall").join(format!("{name}.toml"))).await
    }

    /// Begins to play a file.
    pub async fn play(file: &Path) -> Hall {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let scenario = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Hall::of(scenario).await
    }

    /// Begins to play a scenario.
    pub async fn of(scenario: Scenario) -> Hall {
        let authorities = Authorities::new();
        let mut hall = Hall {
            authority: authorities.root.to_vec(),
            ports: BTreeMap::new(),
            heard: Arc::default(),
            asked: Arc::default(),
            _servers: JoinSet::new(),
            _fillers: Vec::new(),
            scenario,
        };
        let mut waiting = Vec::new();
        for port in hall.registered() {
            let (number, bound) = hall.bind(port).await;
            hall.ports.insert(port, number);
            waiting.extend(bound);
        }
        for (socket, what) in waiting {
            match what {
                What::Mail(listener) if listener.fault == Fault::Filtered => hall.fill(&socket).await,
                What::Mail(listener) => {
                    let tls = authorities.server(listener.certificate, &listener.host);
                    let server = Arc::new(Server { listener, tls, heard: Arc::clone(&hall.heard) });
                    accept(&mut hall._servers, socket, move |stream| {
                        let server = Arc::clone(&server);
                        async move { server.serve(stream).await }
                    });
                    continue;
                }
                What::Web { host, tls } => {
                    let config = tls.then(|| authorities.server(scenario::Certificate::Good, &host));
                    let pages = hall.pages(&host, tls);
                    let web = Arc::new(Web { pages, tls: config, asked: Arc::clone(&hall.asked) });
                    accept(&mut hall._servers, socket, move |stream| {
                        let web = Arc::clone(&web);
                        async move { web.serve(stream).await }
                    });
                    continue;
                }
            }
            // A filtered port stays bound and is never accepted from.
            hall._servers.spawn(async move {
                let _socket = socket;
                std::future::pending::<()>().await;
            });
        }
        hall
    }

    /// Where a registered port is.
    ///
    /// # Panics
    /// The scenario does not have it.
    #[must_use]
    pub fn port(&self, registered: u16) -> u16 {
        *self.ports.get(&registered).unwrap_or_else(|| panic!("port {registered} is not in the scenario"))
    }

    /// The ports of mail, in the order in which they are listed.
    #[must_use]
    pub fn doors(&self) -> Vec<Door> {
        let mail = self.scenario.listener.iter().map(|listener| listener.port);
        let mut seen = Vec::new();
        for registered in mail.chain(self.scenario.closed.iter().copied()) {
            let (protocol, protection) = meaning(registered);
            let door = Door { registered, number: self.port(registered), protocol, protection };
            if !seen.contains(&door) {
                seen.push(door);
            }
        }
        seen
    }

    /// What DNS says.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for host in &self.scenario.host {
            for address in host.ipv4.into_iter().chain(host.ipv6) {
                records.push(Record { name: host.name.clone(), data: Data::Address(address) });
            }
        }
        for dns in &self.scenario.record {
            let mut add = |data| records.push(Record { name: dns.name.clone(), data });
            if let Some(srv) = &dns.srv {
                let words: Vec<&str> = srv.split(' ').collect();
                let number = |at: usize| words[at].parse::<u16>().expect("a number in srv");
                let port = self.ports.get(&number(2)).copied().unwrap_or(number(2));
                let target = words[3].trim_end_matches('.').to_owned();
                add(Data::Srv { priority: number(0), weight: number(1), port, target });
            }
            if let Some((preference, host)) = dns.mx.as_deref().and_then(|mx| mx.split_once(' ')) {
                let preference = preference.parse().expect("a number in mx");
                add(Data::Mx { preference, host: host.trim_end_matches('.').to_owned() });
            }
            if let Some(text) = &dns.txt {
                add(Data::Txt(text.clone()));
            }
            if let Some(name) = &dns.cname {
                add(Data::Cname(name.clone()));
            }
        }
        records
    }

    /// A text with the ports of the hall in the place of `{993}`.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (registered, number) in &self.ports {
            text = text.replace(&format!("{{{registered}}}"), &number.to_string());
        }
        text
    }

    /// What came so far, a connection each.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests to web servers so far: host and request line.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All registered ports of the scenario.
    fn registered(&self) -> Vec<u16> {
        let mut ports: Vec<u16> = self.scenario.listener.iter().map(|listener| listener.port).collect();
        ports.extend(&self.scenario.closed);
        ports.extend(self.scenario.web.iter().map(|page| web_port(page.tls)));
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// A port that is free on every address, bound where somebody listens.
    async fn bind(&self, registered: u16) -> (u16, Vec<(TcpListener, What)>) {
        for _ in 0..ATTEMPTS_MAX {
            let probe = TcpListener::bind((IpAddr::from([127, 0, 0, 1]), 0)).await.expect("loopback");
            let number = probe.local_addr().expect("bound").port();
            drop(probe);
            if let Ok(bound) = self.bind_all(registered, number) {
                return (number, bound);
            }
        }
        panic!("no port is free on all addresses");
    }

    fn bind_all(&self, registered: u16, number: u16) -> io::Result<Vec<(TcpListener, What)>> {
        let host = |name: &str| {
            let found = self.scenario.host.iter().find(|host| host.name == name);
            found.unwrap_or_else(|| panic!("host {name} is not in the scenario"))
        };
        let mut bound = Vec::new();
        for listener in self.scenario.listener.iter().filter(|listener| listener.port == registered) {
            let host = host(&listener.host);
            let ipv6 = host.ipv6.filter(|_| listener.ipv6);
            let backlog = if listener.fault == Fault::Filtered { 1 } else { 1024 };
            for address in host.ipv4.into_iter().chain(ipv6) {
                bound
                    .push((listen(SocketAddr::new(address, number), backlog)?, What::Mail(listener.clone())));
            }
        }
        let mut web: Vec<(&str, bool)> = self
            .scenario
            .web
            .iter()
            .filter(|p| web_port(p.tls) == registered)
            .map(|p| (p.host.as_str(), p.tls))
            .collect();
        web.sort_unstable();
        web.dedup();
        for (name, tls) in web {
            if let Some(address) = host(name).ipv4 {
                let what = What::Web { host: name.to_owned(), tls };
                bound.push((listen(SocketAddr::new(address, number), 1024)?, what));
            }
        }
        Ok(bound)
    }

    /// Fills the queue of a port, so that the system drops further attempts without a word.
    async fn fill(&mut self, socket: &TcpListener) {
        let address = socket.local_addr().expect("bound");
        while let Ok(Ok(stream)) =
            tokio::time::timeout(std::time::Duration::from_millis(200), TcpStream::connect(address)).await
        {
            self._fillers.push(stream);
        }
    }

    fn pages(&self, host: &str, tls: bool) -> Vec<scenario::Page> {
        let of_host = self.scenario.web.iter().filter(|page| page.host == host && page.tls == tls);
        let filled = of_host.cloned().map(|mut page| {
            page.body = self.text(&page.body);
            page.location = page.location.map(|location| self.text(&location));
            page
        });
        filled.collect()
    }
}

enum What {
    Mail(Listener),
    Web { host: String, tls: bool },
}

fn web_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.bind(address)?;
    socket.listen(backlog)
}

fn accept<F, T>(servers: &mut JoinSet<()>, socket: TcpListener, serve: F)
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = io::Result<()>> + Send + 'static,
{
    servers.spawn(async move {
        let mut sessions = JoinSet::new();
        while let Ok((stream, _)) = socket.accept().await {
            let session = serve(stream);
            // A client that goes away is no fault of the hall.
            sessions.spawn(async move { drop(session.await) });
            while sessions.try_join_next().is_some() {}
        }
    });
}

/// What is registered for a port; the further ones of submission have STARTTLS.
fn meaning(registered: u16) -> (Protocol, Protection) {
    for protocol in [Protocol::Imap, Protocol::Pop3, Protocol::Submission, Protocol::Smtp] {
        for protection in [Protection::Implicit, Protection::StartTls] {
            if registered_port(protocol, protection) == Some(registered) {
                return (protocol, protection);
            }
        }
    }
    (Protocol::Submission, Protection::StartTls)
}
