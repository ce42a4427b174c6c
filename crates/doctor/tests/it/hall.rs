//! From a scenario of the hall to a question.

use doctor::lookup::Endpoints;
use doctor::seen::Place;
use doctor::{Now, Port, Question};
use net::dns::Resolver;
use proto::proof::Secret;
use proto::service::{Protection, Protocol};
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::hall::Hall;

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("not that late")
}

/// The question of a scenario.
pub fn question(hall: &Hall) -> Question {
    let asked = &hall.scenario.question;
    let domain = asked.host.clone().or_else(|| {
        asked
            .address
            .as_ref()
            .and_then(|address| address.rsplit_once('@'))
            .map(|(_, domain)| domain.to_owned())
    });
    let web =
        |port: u16| hall.scenario.web.iter().any(|page| page.tls == (port == 443)).then(|| hall.port(port));
    Question {
        address: asked.address.clone(),
        is_host: asked.host.is_some(),
        now: asked.now.iter().map(|text| today(hall, text)).collect(),
        client: asked.client.clone(),
        password: asked.password.clone().map(Secret::new),
        extra_roots: vec![hall.authority.clone()],
        ports: ports(hall),
        endpoints: Endpoints {
            isp_databases: Vec::new(),
            autodiscover_json: Vec::new(),
            https_port: web(443).unwrap_or(1),
            http_port: web(80).unwrap_or(1),
        },
        ..Question::about(domain.expect("a scenario asks about something"))
    }
}

/// The ports of the hall, as they are registered.
pub fn ports(hall: &Hall) -> Vec<Port> {
    let doors = hall.doors().into_iter();
    doors.map(|d| Port { number: d.number, protocol: d.protocol, protection: d.protection }).collect()
}

/// Every port of every host.
pub fn places(hall: &Hall) -> Vec<Place> {
    let ports = ports(hall);
    let of_mail = |host: &&testkit::hall::scenario::Host| {
        hall.scenario.listener.iter().any(|listener| listener.host == host.name)
    };
    let hosts = hall.scenario.host.iter().filter(of_mail);
    hosts
        .flat_map(|host| {
            ports.iter().map(|port| Place { host: host.name.clone(), port: *port, sources: Vec::new() })
        })
        .collect()
}

/// What the scenario's DNS says.
pub fn resolver(hall: &Hall) -> Resolver {
    Resolver::fixed(hall.records(), hall.scenario.silent.clone())
}

fn today(hall: &Hall, text: &str) -> Now {
    let words: Vec<&str> = text.split(':').collect();
    let (protocol, host, port, protection) = match words.as_slice() {
        [protocol, port, protection] => (protocol, None, port, protection),
        [protocol, host, port, protection] => (protocol, Some((*host).to_owned()), port, protection),
        _ => panic!("{text}: protocol:port:protection"),
    };
    let protocol = match *protocol {
        "imap" => Protocol::Imap,
        "pop3" => Protocol::Pop3,
        _ => Protocol::Submission,
    };
    let protection = match *protection {
        "implicit" => Protection::Implicit,
        "starttls" => Protection::StartTls,
        _ => Protection::Clear,
    };
    Now { protocol, host, port: hall.port(port.parse().expect("a port")), protection, spa: false }
}
