//! The doctor examines other people's servers, as Debian packages them, in good and bad configurations.
//!
//! `tools/install-servers.sh` unpacks them; each is started on free ports of loopback with a configuration made here, in a
//! namespace of its own (`house`). A [`Case`] is a configuration; the whole answer to it (exit code, sentence, settings,
//! findings with their places, sign-ins) stands in `expected/`, a file a server. Ports are told as those that they
//! stand for. `SEALPOST_REWRITE=1` writes the files anew, to be read before they are kept.

mod cyrus;
mod dovecot;
mod exim;
mod house;
mod opensmtpd;
pub mod ours;
mod papers;
mod postfix;

use doctor::lookup::Endpoints;
use doctor::{Answer, Level, Port, Question, Sources};
use house::{ADDRESS_OF_HOUSES, House, Plan};
use net::dns::Resolver;
use proto::discovery::dns::{Data, Record};
use proto::proof::Secret;
use proto::service::preset::registered_port;
use proto::service::publish::Authentication;
use proto::service::{Protection, Protocol};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The name by which every server is asked.
pub const HOST: &str = "mail.example.test";
/// Whom every server knows.
pub const ADDRESS: &str = "ann@example.test";
/// Their password. It has a blank in it, as pass phrases have.
pub const PASSWORD: &str = "secret of ann";

/// A server in one configuration.
pub struct Case {
    /// What it is, in words; the heading of the answer in the file.
    pub name: String,
    /// How to start it.
    pub plan: Plan,
    /// Sign in with this password.
    pub password: Option<&'static str>,
}

impl Case {
    /// Nobody signs in.
    pub fn new(name: &str, plan: Plan) -> Case {
        Case { name: name.to_owned(), plan, password: None }
    }

    /// Signing in with the right password, and with a wrong one.
    pub fn sign_ins(name: &str, plan: &Plan) -> [Case; 2] {
        [("right password", PASSWORD), ("wrong password", "something else")].map(|(which, password)| Case {
            name: format!("{name}, {which}"),
            plan: plan.clone(),
            password: Some(password),
        })
    }
}

/// Plays the cases of a server and compares all that the doctor says with the file of this name.
pub fn play(file: &str, cases: Vec<Case>) {
    if let Some(reason) = house::missing() {
        eprintln!("skipped: {reason}");
        return;
    }
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/doctor_servers/expected/{file}.txt"));
    let mut all = String::new();
    for case in cases {
        let house = House::start(case.plan);
        let question = question(HOST, &house.doors, house.authority.clone(), case.password);
        let answer = examine(&question, HOST, ADDRESS_OF_HOUSES);
        all.push_str(&format!("== {}\n{}\n", case.name, told(&answer, &house.doors)));
        // What a failure is understood by.
        let probes: Vec<String> = answer.probes.iter().map(said).collect();
        let seen = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("doctor {file} {}.txt", case.name));
        std::fs::write(&seen, format!("{}\n{}", probes.join("\n"), house.log())).expect("write");
    }
    if std::env::var_os("SEALPOST_REWRITE").is_some() {
        std::fs::write(&path, &all).expect("write");
        return;
    }
    let expected = std::fs::read_to_string(&path).expect("the file with the answers");
    let (expected, all): (Vec<&str>, Vec<&str>) =
        (expected.split("== ").collect(), all.split("== ").collect());
    let wrong = |(wanted, is): (&&str, &&str)| (wanted != is).then(|| format!("{is}-- and not\n{wanted}"));
    let wrong: Vec<String> = expected.iter().zip(&all).filter_map(wrong).collect();
    let seen = env!("CARGO_TARGET_TMPDIR");
    assert!(wrong.is_empty(), "{}\nWhat was seen is in {seen}.", wrong.join("\n"));
    assert_eq!(expected.len(), all.len(), "cases and answers of {file}");
}

/// Asks about a host at the ports of the doors, and looks nothing up.
pub fn question(
    host: &str,
    doors: &[(&'static str, u16)],
    authority: Vec<u8>,
    password: Option<&str>,
) -> Question {
    Question {
        address: password.map(|_| ADDRESS.to_owned()),
        is_host: true,
        password: password.map(Secret::new),
        sources: Sources {
            autoconfig: false,
            ispdb: false,
            autodiscover: false,
            pacc: false,
            srv: false,
            mx: false,
            guess: false,
        },
        extra_roots: vec![authority],
        ports: doors.iter().map(|(name, number)| port(name, *number)).collect(),
        endpoints: Endpoints {
            isp_databases: Vec::new(),
            autodiscover_json: Vec::new(),
            https_port: 1,
            http_port: 1,
        },
        ..Question::about(host)
    }
}

/// Asks the doctor, with the host at this address.
pub fn examine(question: &Question, host: &str, address: Ipv4Addr) -> Answer {
    let data = Data::Address(IpAddr::V4(address));
    let resolver = Resolver::fixed(vec![Record { name: host.to_owned(), data }], Vec::new());
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let now = i64::try_from(since.as_secs()).expect("not that late");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime.block_on(doctor::examine(question, &resolver, &|_| {}, now))
}

/// A door by its name in the demo's description and in the cases.
fn port(name: &str, number: u16) -> Port {
    let (protocol, protection) = match name {
        "imaps" => (Protocol::Imap, Protection::Implicit),
        "imap" => (Protocol::Imap, Protection::StartTls),
        "pop3s" => (Protocol::Pop3, Protection::Implicit),
        "pop3" => (Protocol::Pop3, Protection::StartTls),
        "submissions" => (Protocol::Submission, Protection::Implicit),
        "smtp" => (Protocol::Smtp, Protection::StartTls),
        name if name.starts_with("submission") => (Protocol::Submission, Protection::StartTls),
        other => panic!("no door is called {other}"),
    };
    Port { number, protocol, protection }
}

/// The answer in lines: exit code and sentence; what to type in; findings; sign-ins.
pub fn told(answer: &Answer, doors: &[(&'static str, u16)]) -> String {
    let mut text = format!("{} {}\n", answer.exit.code(), answer.sentence);
    for row in &answer.settings {
        let security = match row.protection {
            Protection::Implicit => "ssl",
            Protection::StartTls => "starttls",
            _ => "none",
        };
        let ways: Vec<&str> = row.authentication.iter().map(way).collect();
        text.push_str(&format!("use {} {security} {}\n", row.port, ways.join("+")));
    }
    for finding in &answer.findings {
        let level = match finding.level {
            Level::Broken => "broken",
            Level::Should => "should",
            Level::Note => "note",
        };
        let places: Vec<&str> = finding
            .places
            .iter()
            .map(|place| place.rsplit_once(':').map_or(place.as_str(), |(_, p)| p))
            .collect();
        text.push_str(&format!("{level} {} {}\n", finding.code, places.join(" ")));
    }
    for probe in &answer.probes {
        if let Some(login) = &probe.login {
            let user = if login.full_address { "address" } else { "local part" };
            let (port, mechanism, result) = (probe.place.port.number, &login.mechanism, login.result);
            text.push_str(&format!("login {port} {mechanism} {result:?} {user}\n"));
        }
    }
    for (name, number) in doors {
        let Port { protocol, protection, .. } = port(name, *number);
        let registered = registered_port(protocol, protection).expect("a door stands for a registered port");
        text = text.replace(&number.to_string(), &registered.to_string());
    }
    text
}

fn way(authentication: &Authentication) -> &'static str {
    match authentication {
        Authentication::Password => "password",
        Authentication::Challenge => "challenge",
        Authentication::OAuth2 => "oauth2",
        _ => "other",
    }
}

/// What a probe saw, for the report of a failure.
fn said(probe: &doctor::seen::Probe) -> String {
    let lines = probe.transcript.iter().map(|line| format!("  {} {}", line.who, line.text));
    let lines: Vec<String> = lines.collect();
    format!("{}: {:?}\n{}", probe.place.port.number, probe.tls, lines.join("\n"))
}
