//! Which places are probed, and in which order.

use crate::seen::{Lookup, Outcome, Place, Source};
use crate::{Port, Question};
use net::dns::a_labels;
use proto::service::publish::Endpoint;
use proto::service::{Protection, Protocol, ports};

/// Ports of one host that are taken from documents, so that nobody has us probe a host from end to end.
const FOUND_PORTS_MAX: usize = 12;

/// Ports that are probed at every host, the likeliest first.
const REGISTERED: [Port; 10] = [
    port(ports::IMAPS, Protocol::Imap, Protection::Implicit),
    port(ports::SUBMISSIONS, Protocol::Submission, Protection::Implicit),
    port(ports::SUBMISSION, Protocol::Submission, Protection::StartTls),
    port(ports::IMAP, Protocol::Imap, Protection::StartTls),
    port(ports::POP3S, Protocol::Pop3, Protection::Implicit),
    port(ports::POP3, Protocol::Pop3, Protection::StartTls),
    port(ports::SMTP, Protocol::Smtp, Protection::StartTls),
    port(ports::SUBMISSION_ALTERNATE, Protocol::Submission, Protection::StartTls),
    port(ports::SUBMISSION_26, Protocol::Submission, Protection::StartTls),
    port(ports::SUBMISSION_2025, Protocol::Submission, Protection::StartTls),
];

const fn port(number: u16, protocol: Protocol, protection: Protection) -> Port {
    Port { number, protocol, protection }
}

/// The places to probe: found ones first, then what the person has today, then the registered ports of every host: those that
/// were found, guessed, and the best MX. Pure.
#[must_use]
pub fn plan(question: &Question, lookup: &Lookup) -> Vec<Place> {
    let mut plan = Plan { hosts_max: question.limits.hosts, places: Vec::new(), hosts: Vec::new() };
    if question.is_host {
        plan.host(&question.domain);
    }
    // What the person typed is the question: it is probed however much was found.
    for now in &question.now {
        if let Some(host) = &now.host {
            plan.host(host);
        }
    }
    for row in &lookup.looked {
        let Outcome::Found(document) = &row.outcome else { continue };
        for endpoint in document.incoming.iter().chain(&document.outgoing) {
            plan.found(endpoint, row.source);
        }
    }
    let mx = lookup.mx.first();
    for host in lookup.guessed.iter().chain(mx) {
        plan.host(host);
    }
    plan.today(question);
    let everywhere = if question.ports.is_empty() { &REGISTERED[..] } else { &question.ports };
    // By port and not by host: the likeliest port of each host before the least likely of any.
    for port in everywhere {
        for host in plan.hosts.clone() {
            plan.place(&host, *port);
        }
    }
    plan.places
}

struct Plan {
    hosts_max: usize,
    places: Vec<Place>,
    hosts: Vec<String>,
}

impl Plan {
    /// Notes a host in its one spelling; `None` if it is none or there are too many.
    fn host(&mut self, host: &str) -> Option<String> {
        let host = match host.parse::<std::net::IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => a_labels(host).filter(|host| !host.starts_with('*'))?,
        };
        if !self.hosts.contains(&host) {
            if self.hosts.len() >= self.hosts_max {
                return None;
            }
            self.hosts.push(host.clone());
        }
        Some(host)
    }

    fn found(&mut self, endpoint: &Endpoint, source: Source) {
        let Some(host) = self.host(&endpoint.host) else { return };
        let of_host = self.places.iter().filter(|place| place.host == host).count();
        let known =
            self.places.iter_mut().find(|place| place.host == host && place.port.number == endpoint.port);
        match known {
            Some(place) if place.sources.contains(&source) => {}
            Some(place) => place.sources.push(source),
            None if of_host < FOUND_PORTS_MAX => self.places.push(Place {
                host,
                port: port(endpoint.port, endpoint.protocol, endpoint.protection),
                sources: vec![source],
            }),
            None => {}
        }
    }

    /// The person's ports: at the host that they typed, or at every host.
    fn today(&mut self, question: &Question) {
        for now in &question.now {
            let port = port(now.port, now.protocol, now.protection);
            let hosts = match &now.host {
                Some(host) => self.host(host).into_iter().collect(),
                None => self.hosts.clone(),
            };
            for host in hosts {
                self.place(&host, port);
            }
        }
    }

    fn place(&mut self, host: &str, port: Port) {
        if !self.places.iter().any(|place| place.host == host && place.port.number == port.number) {
            self.places.push(Place { host: host.to_owned(), port, sources: Vec::new() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Now;
    use crate::seen::Looked;
    use proto::discovery::Document;
    use proto::service::publish::UserForm;

    fn question() -> Question {
        Question::about("example.org")
    }

    fn endpoint(host: &str, number: u16, protection: Protection) -> Endpoint {
        let protocol = Protocol::Imap;
        let user = UserForm::Address;
        Endpoint {
            protocol,
            host: host.to_owned(),
            port: number,
            protection,
            authentication: Vec::new(),
            user,
        }
    }

    fn found(source: Source, incoming: Vec<Endpoint>) -> Looked {
        let outcome = Outcome::Found(Document { incoming, ..Document::default() });
        Looked { source, asked: String::new(), sent_address: false, outcome }
    }

    fn shown(places: &[Place]) -> Vec<String> {
        places.iter().map(|place| format!("{}:{}", place.host, place.port.number)).collect()
    }

    #[test]
    fn found_places_lead_and_no_place_comes_twice() {
        let imap = |host: &str| endpoint(host, 993, Protection::Implicit);
        let lookup = Lookup {
            looked: vec![
                found(
                    Source::Autoconfig,
                    vec![imap("imap.example.org"), endpoint("imap.example.org", 1143, Protection::Clear)],
                ),
                found(
                    Source::Srv,
                    vec![imap("IMAP.example.org"), imap("other.example.org"), imap("*.example.org")],
                ),
            ],
            mx: vec!["mx1.example.org".into(), "mx2.example.org".into()],
            guessed: vec!["mail.example.org".into(), "imap.example.org".into()],
        };
        let places = plan(&question(), &lookup);
        assert_eq!(
            shown(&places)[..3],
            ["imap.example.org:993", "imap.example.org:1143", "other.example.org:993"]
        );
        assert_eq!(places[0].sources, [Source::Autoconfig, Source::Srv]);
        assert_eq!(places[1].port.protection, Protection::Clear);
        // Four hosts at ten registered ports, and one port of its own.
        assert_eq!(places.len(), 41);
        let mut unique = shown(&places);
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), places.len());
        assert!(!shown(&places).iter().any(|place| place.starts_with("mx2.")));
    }

    #[test]
    fn what_the_person_has_is_always_probed() {
        let now = |host: Option<&str>, port| Now {
            protocol: Protocol::Pop3,
            host: host.map(str::to_owned),
            port,
            protection: Protection::Clear,
            spa: false,
        };
        let mut question = question();
        question.limits.hosts = 2;
        question.now = vec![now(Some("pop.example.net"), 1110), now(None, 7)];
        let many =
            (0..50).map(|n| endpoint(&format!("h{n}.example.org"), 993, Protection::Implicit)).collect();
        let lookup = Lookup { looked: vec![found(Source::Autoconfig, many)], ..Lookup::default() };
        let places = plan(&question, &lookup);
        let shown = shown(&places);
        assert_eq!(
            shown[..4],
            ["h0.example.org:993", "pop.example.net:1110", "pop.example.net:7", "h0.example.org:7"]
        );
        assert_eq!(places.len(), 4 + 19, "{shown:?}");
    }

    #[test]
    fn no_document_has_a_host_probed_from_end_to_end() {
        let ports = (1..60).map(|port| endpoint("victim.example", port, Protection::Clear)).collect();
        let lookup = Lookup { looked: vec![found(Source::IspDb, ports)], ..Lookup::default() };
        let places = plan(&question(), &lookup);
        assert_eq!(places.iter().filter(|place| !place.sources.is_empty()).count(), FOUND_PORTS_MAX);
    }

    #[test]
    fn a_host_alone_has_the_registered_ports_or_those_asked_for() {
        let mut question = question();
        question.is_host = true;
        question.domain = "Mail.Example.org".to_owned();
        let places = plan(&question, &Lookup::default());
        assert_eq!(places.len(), REGISTERED.len());
        assert_eq!(shown(&places)[0], "mail.example.org:993");
        question.domain = "::1".to_owned();
        question.ports = vec![port(10_993, Protocol::Imap, Protection::Implicit)];
        assert_eq!(shown(&plan(&question, &Lookup::default())), ["::1:10993"]);
        question.domain = "no host".to_owned();
        assert_eq!(plan(&question, &Lookup::default()), []);
    }
}
