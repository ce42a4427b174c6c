//! A service with pages, in a directory of its own, and a client that says exactly the octets of a test.

use net::authority::{Authority, KeyKind};
use proto::proof::{AccountId, Secret};
use proto::service::policy::DomainPolicy;
use proto::service::preset::Preset;
use proto::service::{Model, Protection, Protocol};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use server::app::{MailSettings, Settings};
use server::auth::password::{self, Cost, Wanted};
use server::run::Running;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use store::system::directory::{AccountRecord, CredentialKind, Domain};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub const HOST: &str = "mail.hoster.test";
/// What all accounts of a test have.
pub const PASSWORD: &str = "pa:ss wörd";

const CHEAP: Cost = Cost { argon2_memory_kib: 8, argon2_passes: 1, argon2_lanes: 1, scram_iterations: 4096 };

pub struct House {
    pub directory: tempfile::TempDir,
    pub authority: Authority,
    running: Running,
    client: Arc<rustls::ClientConfig>,
}

impl House {
    /// Domains `example.test` and `other.test`, no account in either.
    pub async fn new() -> House {
        House::with_pages(web::pages).await
    }

    /// The same with these pages.
    pub async fn with_pages(pages: server::run::Pages) -> House {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(&directory.path().join("ca")).unwrap();
        let leaf = authority.server(KeyKind::Ecdsa, &[HOST, "*.example.test", "example.test"]).unwrap();
        let pair = leaf.write(directory.path(), "server").unwrap();
        let settings = settings(directory.path().join("data"), pair);
        let running = Running::start(settings, Some(pages)).await.unwrap();
        for name in ["example.test", "other.test"] {
            let domain = Domain { policy: DomainPolicy::default(), ..Domain::named(name) };
            running.app().store.directory().put_domain(domain, false).await.unwrap();
        }
        running.app().refresh().unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority.certificate_file()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        House { directory, authority, running, client: Arc::new(client) }
    }

    /// Gives somebody an account, with [`PASSWORD`].
    pub async fn add(&self, address: &str, enabled: bool) -> AccountId {
        let wanted = Wanted { kind: CredentialKind::Main, cram_md5: false, created: 0, expires: None };
        let credentials = password::new(&Secret::new(PASSWORD), &wanted, &CHEAP).unwrap();
        let record = AccountRecord {
            id: AccountId(0),
            address: address.to_owned(),
            name: String::new(),
            enabled,
            quota_bytes: None,
            quota_messages: None,
            created: 0,
        };
        self.running.app().store.directory().add_account(record, credentials).await.unwrap()
    }

    /// What the ledger has of an account, or of nobody in particular: outcome, protocol, listener, security, mechanism, count.
    pub async fn facts(&self, account: Option<AccountId>) -> Vec<String> {
        let ledger = self.running.app().store.ledger();
        ledger.flush().await.unwrap();
        let facts = ledger.facts(account).unwrap().into_iter();
        let shown = facts.map(|fact| {
            let key = &fact.key;
            let (listener, security) = (&key.listener, &key.security);
            format!(
                "{}, {} on {listener}, {security}, {:?}, {}",
                key.outcome, key.protocol, key.mechanism, fact.count
            )
        });
        shown.collect()
    }

    pub fn running(&self) -> &Running {
        &self.running
    }

    pub fn at(&self, protection: Protection) -> SocketAddr {
        let web = |(listener, _): &&(Arc<proto::service::Listener>, SocketAddr)| {
            listener.protocol == Protocol::Web && listener.protection == protection
        };
        self.running.addresses().iter().find(web).unwrap().1
    }

    /// The answer to these octets under TLS.
    pub async fn say(&self, octets: &[u8]) -> Said {
        let tcp = TcpStream::connect(self.at(Protection::Implicit)).await.unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let tls = TlsConnector::from(self.client.clone()).connect(name, tcp).await.unwrap();
        exchange(tls, octets).await
    }

    /// The answer to these octets in clear.
    pub async fn say_in_clear(&self, octets: &[u8]) -> Said {
        exchange(TcpStream::connect(self.at(Protection::Clear)).await.unwrap(), octets).await
    }

    /// A GET under TLS with further fields, each with its CRLF.
    pub async fn get_with(&self, host: &str, target: &str, fields: &str) -> Said {
        self.say(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").as_bytes()).await
    }

    pub async fn get(&self, host: &str, target: &str) -> Said {
        self.get_with(host, target, "").await
    }

    pub async fn post(&self, host: &str, target: &str, kind: &str, body: &str) -> Said {
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.say((head + body).as_bytes()).await
    }
}

/// An answer.
#[derive(Debug)]
pub struct Said {
    pub status: u16,
    fields: HashMap<String, String>,
    pub body: Vec<u8>,
    /// In how many pieces the body came.
    pub pieces: usize,
}

impl Said {
    /// A field of the header; empty if it is missing.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the answer is UTF-8")
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, octets: &[u8]) -> Said {
    let head_only = octets.starts_with(b"HEAD ");
    let talk = async {
        stream.write_all(octets).await.unwrap();
        stream.flush().await.unwrap();
        let mut got = Vec::new();
        let end = loop {
            if let Some(at) = got.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert_ne!(stream.read_buf(&mut got).await.unwrap(), 0, "closed: {got:?}");
        };
        let head = String::from_utf8(got[..end].to_vec()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields: HashMap<String, String> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let length = fields.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = got[end..].to_vec();
        let chunked = fields.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
        while !head_only && (body.len() < length || chunked && !body.ends_with(b"0\r\n\r\n")) {
            assert_ne!(stream.read_buf(&mut body).await.unwrap(), 0, "cut off");
        }
        let pieces = if chunked && !head_only { joined(&mut body) } else { 1 };
        Said { status, fields, body, pieces }
    };
    tokio::time::timeout(Duration::from_secs(30), talk).await.expect("answered in time")
}

/// Takes the chunks' lengths out (RFC 9112 7.1), and counts the chunks.
fn joined(body: &mut Vec<u8>) -> usize {
    let (mut whole, mut rest, mut count) = (Vec::new(), body.as_slice(), 0);
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            break;
        }
        whole.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 4 + length..];
        count += 1;
    }
    *body = whole;
    count
}

fn settings(data: std::path::PathBuf, pair: net::tls::Pair) -> Settings {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let mut model: Model = Preset::Compatible.model(HOST, &loopback);
    for listener in &mut model.listeners {
        listener.port = 0;
    }
    Settings {
        data,
        model,
        certificates: vec![pair],
        staple: false,
        acme: None,
        client_ca: None,
        handshake: net::tls::Limits::default(),
        drive: net::drive::Limits { stop_seconds_max: 2, linger_seconds_max: 1, ..Default::default() },
        connections: net::listen::Limits::default(),
        smtp: proto::smtp::server::Limits::default(),
        pop3: proto::pop3::server::Limits::default(),
        imap: proto::imap::server::Limits::default(),
        mail: MailSettings::default(),
        pop3_login_delay_seconds: 0,
        doctor: server::app::Doctor::Off,
        auth: server::auth::Settings { cost: CHEAP, ..Default::default() },
        store: store::Options::default(),
        web: net::https::Limits::default(),
        promises: server::app::Promises::default(),
    }
}
