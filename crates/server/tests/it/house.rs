//! A whole service in a directory of its own.
//!
//! Domains: `example.test` (sub-addresses, a catch-all to ann, CRAM-MD5) and
//! `other.test` (none of it). Accounts: ann, bob and jürgen, whose password is
//! their local part and `-pass`.

use net::authority::{Authority, KeyKind};
use proto::proof::{AccountId, Secret};
use proto::service::policy::DomainPolicy;
use proto::service::{Listener, Model, Protection, Protocol};
use server::app::{MailSettings, Settings};
use server::auth::password::{self, Cost, Wanted};
use server::run::Running;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use store::Store;
use store::account::{Delivery, Flags};
use store::blob::BodyRef;
use store::system::directory::{AccountRecord, CredentialKind, Domain};

pub const HOST: &str = "mail.example.test";
pub const OTHER_HOST: &str = "mail.other.test";
/// As cheap as the algorithms allow.
pub const CHEAP: Cost =
    Cost { argon2_memory_kib: 8, argon2_passes: 1, argon2_lanes: 1, scram_iterations: 4096 };

pub struct House {
    /// Gone with the house.
    _directory: tempfile::TempDir,
    pub authority: Authority,
    settings: Settings,
    running: Option<Running>,
}

impl House {
    pub async fn new() -> House {
        House::with(|_| {}).await
    }

    /// With other settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> House {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(&directory.path().join("ca")).unwrap();
        let leaf = authority.server(KeyKind::Ecdsa, &[HOST, OTHER_HOST]).unwrap();
        let pair = leaf.write(directory.path(), "server").unwrap();
        let mut settings = settings(directory.path().join("data"), pair);
        settings.client_ca = Some(authority.certificate_file().to_owned());
        change(&mut settings);
        let running = Running::start(settings.clone(), None).await.unwrap();
        let house = House { _directory: directory, authority, settings, running: Some(running) };
        house.furnish().await;
        house
    }

    async fn furnish(&self) {
        let all = Some("ann@example.test".to_owned());
        for (name, catch_all, cram_md5, separator) in
            [("example.test", all, true, Some('+')), ("other.test", None, false, None)]
        {
            let policy = DomainPolicy { cram_md5, ..DomainPolicy::default() };
            let domain = Domain { catch_all, separator, policy, ..Domain::named(name) };
            self.store().directory().put_domain(domain, false).await.unwrap();
        }
        for (address, cram_md5) in
            [("ann@example.test", true), ("bob@example.test", true), ("jürgen@other.test", false)]
        {
            self.add(address, cram_md5, None).await;
        }
        self.running().app().refresh().unwrap();
    }

    pub async fn add(&self, address: &str, cram_md5: bool, quota_bytes: Option<u64>) -> AccountId {
        let wanted = Wanted { kind: CredentialKind::Main, cram_md5, created: 0, expires: None };
        let credentials = password::new(&Secret::new(password_of(address)), &wanted, &CHEAP).unwrap();
        let record = AccountRecord {
            id: AccountId(0),
            address: address.to_owned(),
            name: String::new(),
            enabled: true,
            quota_bytes,
            quota_messages: None,
            created: 0,
        };
        self.store().directory().add_account(record, credentials).await.unwrap()
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs between start and stop")
    }

    pub fn store(&self) -> &Store {
        &self.running().app().store
    }

    pub fn id(&self, address: &str) -> AccountId {
        self.store().directory().account_by_address(address).unwrap().unwrap().id
    }

    pub fn at(&self, listener: &str) -> SocketAddr {
        let found = self.running().addresses().iter().find(|(l, _)| l.name == listener);
        found.unwrap_or_else(|| panic!("no listener {listener}")).1
    }

    /// Stops in order and starts again on the same store.
    pub async fn restart(&mut self) {
        self.running.take().expect("it runs").stop().await;
        self.running = Some(Running::start(self.settings.clone(), None).await.unwrap());
    }

    /// Stops, and fails where the store is not sound.
    pub async fn close(mut self) {
        let report = self.store().check(&mut |_, _| {}).unwrap();
        assert!(report.faults.is_empty(), "{:?}", report.faults);
        self.running.take().expect("it runs").stop().await;
    }

    /// The messages of an account's INBOX as they are served.
    pub async fn messages(&self, address: &str) -> Vec<Vec<u8>> {
        let account = self.store().account(self.id(address));
        let Some(view) = account.view("INBOX").unwrap() else { return Vec::new() };
        let mut all = Vec::new();
        for row in &view.messages() {
            let detail = account.detail(view.mailbox.id, row.uid).unwrap().unwrap();
            let mut message = detail.prefix.clone();
            let mut reader = self.store().bodies().read(&detail.body, 0..detail.body.len);
            while let Some(piece) = reader.next().await.unwrap() {
                message.extend_from_slice(&piece);
            }
            assert_eq!(message.len() as u64, row.size);
            all.push(message);
        }
        all
    }

    /// Waits until an account has so many messages: several recipients are served behind the answer.
    pub async fn arrived(&self, address: &str, count: u64) {
        let account = self.store().account(self.id(address));
        let there = async {
            while account.usage().unwrap().messages < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), there).await.expect("it arrives");
        assert_eq!(account.usage().unwrap().messages, count, "{address}");
    }

    /// Puts messages that share one body into an INBOX.
    pub async fn fill(&self, address: &str, count: usize, content: &[u8]) -> BodyRef {
        let mut writer = self.store().bodies().writer();
        writer.write(content).await.unwrap();
        let body = writer.finish().await.unwrap();
        let account = self.store().account(self.id(address));
        let mut left = count;
        while left > 0 {
            let batch = left.min(1000);
            left -= batch;
            let deliveries = (0..batch).map(|_| account.deliver(delivery(&body, content.len(), None)));
            for done in futures_util::future::join_all(deliveries).await {
                done.unwrap();
            }
        }
        body
    }

    /// What the ledger says of an account, or of nobody: `outcome protocol security mechanism`, each once.
    pub async fn facts(&self, address: Option<&str>) -> Vec<String> {
        self.store().ledger().flush().await.unwrap();
        let facts = self.store().ledger().facts(address.map(|a| self.id(a))).unwrap();
        let mut words: Vec<String> = facts
            .into_iter()
            .map(|f| {
                assert_eq!(f.key.network, "127.0.0.0/24");
                assert_eq!(f.key.port, self.at(&f.key.listener).port());
                format!("{}, {} {} {}", f.key.outcome, f.key.protocol, f.key.security, f.key.mechanism)
            })
            .map(|words| words.trim_end().to_owned())
            .collect();
        words.dedup();
        words
    }
}

pub fn delivery(body: &BodyRef, header_bytes: usize, token: Option<u64>) -> Delivery {
    Delivery {
        mailbox: "INBOX".to_owned(),
        prefix: Vec::new(),
        body: body.clone(),
        header_bytes: header_bytes as u64,
        flags: Flags::default(),
        keywords: Vec::new(),
        gist: Vec::new(),
        received: 1_700_000_000,
        saved: 1_700_000_000,
        token,
        quota: false,
    }
}

pub fn password_of(address: &str) -> String {
    format!("{}-pass", address.split('@').next().unwrap_or_default())
}

fn settings(data: std::path::PathBuf, pair: net::tls::Pair) -> Settings {
    let row = |name: &str, protocol, protection| Listener {
        name: name.to_owned(),
        protocol,
        protection,
        either_way: false,
        addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port: 0,
    };
    let listeners = vec![
        row("smtp", Protocol::Smtp, Protection::StartTls),
        row("submissions", Protocol::Submission, Protection::Implicit),
        row("submission", Protocol::Submission, Protection::StartTls),
        row("lmtp", Protocol::Lmtp, Protection::StartTls),
        row("pop3", Protocol::Pop3, Protection::StartTls),
        row("pop3s", Protocol::Pop3, Protection::Implicit),
        row("imap", Protocol::Imap, Protection::StartTls),
        row("imaps", Protocol::Imap, Protection::Implicit),
    ];
    let throttle = server::auth::throttle::Settings {
        first_delay_millis: 1,
        delay_millis_max: 1,
        ..server::auth::throttle::Settings::default()
    };
    Settings {
        data,
        model: Model { listeners, ..proto::service::preset::Preset::Modern.model(HOST, &[]) },
        certificates: vec![pair],
        staple: false,
        acme: None,
        client_ca: None,
        handshake: net::tls::Limits::default(),
        drive: net::drive::Limits {
            stop_seconds_max: 2,
            linger_seconds_max: 1,
            ..net::drive::Limits::default()
        },
        connections: net::listen::Limits::default(),
        smtp: proto::smtp::server::Limits::default(),
        pop3: proto::pop3::server::Limits::default(),
        imap: proto::imap::server::Limits::default(),
        mail: MailSettings::default(),
        pop3_login_delay_seconds: 0,
        doctor: server::app::Doctor::Off,
        auth: server::auth::Settings { cost: CHEAP, throttle, ..server::auth::Settings::default() },
        store: store::Options::default(),
        web: net::https::Limits::default(),
        promises: server::app::Promises::default(),
    }
}
