//! Values for the tests of this crate: probes and lookups as they would have been seen.

use crate::seen::{
    CertificateSeen, Chain, First, LoginResult, LoginSeen, Looked, Lookup, Offer, Outcome, Place, Probe,
    Reach, Source, StartTls, TlsSeen,
};
use crate::{Now, Port, Question};
use proto::discovery::Document;
use proto::service::publish::{Authentication, Endpoint, UserForm};
use proto::service::{Protection, Protocol};

/// The moment of all tests: 1 November 2026.
pub const NOW: i64 = 1_793_491_200;
/// A day.
pub const DAY: i64 = 86_400;

/// A question about `me@example.com`.
pub fn question() -> Question {
    Question { address: Some("me@example.com".to_owned()), ..Question::about("example.com") }
}

/// A question with what the person has today.
pub fn has(now: &[&str]) -> Question {
    let now = now.iter().map(|text| text.parse::<Now>().expect("a good setting")).collect();
    Question { now, ..question() }
}

/// A question about a host.
pub fn host(name: &str) -> Question {
    Question { address: None, domain: name.to_owned(), is_host: true, ..question() }
}

/// What is registered for a port.
pub fn port(number: u16) -> Port {
    let (protocol, protection) = match number {
        993 => (Protocol::Imap, Protection::Implicit),
        143 => (Protocol::Imap, Protection::StartTls),
        995 => (Protocol::Pop3, Protection::Implicit),
        110 => (Protocol::Pop3, Protection::StartTls),
        465 => (Protocol::Submission, Protection::Implicit),
        25 => (Protocol::Smtp, Protection::StartTls),
        _ => (Protocol::Submission, Protection::StartTls),
    };
    Port { number, protocol, protection }
}

/// A certificate that is good for `name`.
pub fn certificate(name: &str) -> CertificateSeen {
    CertificateSeen {
        names: vec![name.to_owned()],
        covers_host: true,
        not_before: NOW - 30 * DAY,
        not_after: NOW + 60 * DAY,
        issuer: "Example CA".to_owned(),
        key: "ECDSA P-256".to_owned(),
        weak_signature: false,
        chain: Chain::Trusted,
    }
}

/// A port that was not reached.
pub fn shut(host: &str, number: u16, reach: Reach) -> Probe {
    let place = Place { host: host.to_owned(), port: port(number), sources: vec![Source::Srv] };
    Probe::blank(place, false, reach)
}

/// A port as it should be, named by SRV records.
pub fn good(host: &str, number: u16) -> Probe {
    let implicit = port(number).protection == Protection::Implicit;
    let offer = Offer { mechanisms: vec!["PLAIN".to_owned()], password: true, ..Offer::default() };
    let clear = Offer { starttls: true, ..Offer::default() };
    Probe {
        address: Some([192, 0, 2, 1].into()),
        first: if implicit { First::Tls } else { First::Greeting },
        protocol: Some(port(number).protocol),
        greeting: Some("ready".to_owned()),
        clear: (!implicit).then_some(clear),
        starttls: if implicit { StartTls::NotTried } else { StartTls::Works { injectable: false } },
        tls: Some(TlsSeen {
            version: Some("TLSv1.3".to_owned()),
            cipher: Some("TLS13_AES_256_GCM_SHA384".to_owned()),
            accepts: vec!["TLSv1.2".to_owned(), "TLSv1.3".to_owned()],
            refuses: vec!["SSLv3".to_owned(), "TLSv1.0".to_owned(), "TLSv1.1".to_owned()],
            weak: Vec::new(),
            failure: None,
            certificate: Some(certificate(host)),
        }),
        encrypted: Some(offer),
        ..shut(host, number, Reach::Open)
    }
}

/// A probe that was changed.
pub fn but(mut probe: Probe, change: impl FnOnce(&mut Probe)) -> Probe {
    change(&mut probe);
    probe
}

/// The certificate of a probe, changed.
pub fn with(probe: Probe, change: impl FnOnce(&mut CertificateSeen)) -> Probe {
    but(probe, |probe| {
        if let Some(certificate) = probe.tls.as_mut().and_then(|tls| tls.certificate.as_mut()) {
            change(certificate);
        }
    })
}

/// TLS of a probe, changed.
pub fn tls(probe: Probe, change: impl FnOnce(&mut TlsSeen)) -> Probe {
    but(probe, |probe| {
        if let Some(tls) = &mut probe.tls {
            change(tls);
        }
    })
}

/// A probe that nothing names.
pub fn guessed(probe: Probe) -> Probe {
    but(probe, |probe| probe.place.sources.clear())
}

/// A place that greets in clear and never encrypts.
pub fn clear(host: &str, number: u16) -> Probe {
    but(good(host, number), |probe| {
        probe.first = First::Greeting;
        probe.starttls = StartTls::NotOffered;
        probe.tls = None;
        probe.encrypted = None;
        probe.clear = Some(Offer { password: true, ..Offer::default() });
    })
}

/// What came of signing in.
pub fn login(probe: Probe, result: LoginResult, full_address: bool) -> Probe {
    but(probe, |probe| {
        probe.login = Some(LoginSeen {
            full_address,
            mechanism: "PLAIN".to_owned(),
            result,
            words: "[AUTHENTICATIONFAILED] no".to_owned(),
        });
    })
}

/// A row of a document.
pub fn row(host: &str, number: u16) -> Endpoint {
    Endpoint {
        protocol: port(number).protocol,
        host: host.to_owned(),
        port: number,
        protection: port(number).protection,
        authentication: vec![Authentication::Password],
        user: UserForm::Address,
    }
}

/// A document that a source gave.
pub fn says(source: Source, rows: Vec<Endpoint>) -> Looked {
    let (outgoing, incoming) = rows.into_iter().partition(|row| row.protocol == Protocol::Submission);
    let document = Document { incoming, outgoing, ..Document::default() };
    outcome(source, Outcome::Found(document))
}

/// What a source gave.
pub fn outcome(source: Source, outcome: Outcome) -> Looked {
    Looked {
        source,
        asked: "https://autoconfig.example.com/x?emailaddress=me".to_owned(),
        sent_address: false,
        outcome,
    }
}

/// A lookup.
pub fn lookup(looked: Vec<Looked>) -> Lookup {
    Lookup { looked, mx: vec!["mx.example.com".to_owned()], guessed: Vec::new() }
}

/// What the SRV records of `example.com` say as a rule.
pub fn usual() -> Lookup {
    lookup(vec![says(Source::Srv, vec![row("imap.example.com", 993), row("smtp.example.com", 465)])])
}

/// A service without faults.
pub fn fine() -> Vec<Probe> {
    vec![good("imap.example.com", 993), good("smtp.example.com", 465)]
}
