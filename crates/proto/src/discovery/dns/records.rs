//! All records of one domain.

use super::{Data, Means, Record, Wanted, Weight, policies};
use crate::discovery::{pacc, told};
use crate::service::publish::{Endpoint, Published};
use crate::service::{Protection, Protocol, ports};

/// Preference of the one MX.
pub(super) const MX_PREFERENCE: u16 = 10;
/// Distance between the priorities of SRV records, so that others can be put between.
const PRIORITY_STEP: u16 = 10;

/// A registered service name, and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// `_imaps._tcp`.
    pub label: &'static str,
    /// What is spoken.
    pub protocol: Protocol,
    /// How it is protected.
    pub protection: Protection,
}

const fn service(label: &'static str, protocol: Protocol, protection: Protection) -> Service {
    Service { label, protocol, protection }
}

/// The services that have SRV records (RFC 6186 3, RFC 8314 5.1), each with implicit TLS first.
pub const SERVICES: [Service; 6] = [
    service("_imaps._tcp", Protocol::Imap, Protection::Implicit),
    service("_imap._tcp", Protocol::Imap, Protection::StartTls),
    service("_pop3s._tcp", Protocol::Pop3, Protection::Implicit),
    service("_pop3._tcp", Protocol::Pop3, Protection::StartTls),
    service("_submissions._tcp", Protocol::Submission, Protection::Implicit),
    service("_submission._tcp", Protocol::Submission, Protection::StartTls),
];

/// A list that grows, without doubles.
#[derive(Default)]
pub(super) struct List(Vec<Wanted>);

impl List {
    /// Adds a record, if it is not there already.
    pub(super) fn add(&mut self, weight: Weight, name: impl Into<String>, data: Data, why: &'static str) {
        let record = Record { name: name.into(), data };
        if !self.0.iter().any(|wanted| wanted.record == record) {
            self.0.push(Wanted { record, weight, why });
        }
    }

    /// The list.
    pub(super) fn done(self) -> Vec<Wanted> {
        self.0
    }
}

/// All records of a domain, in the order in which they are best entered.
#[must_use]
pub fn records(published: &Published, means: &Means) -> Vec<Wanted> {
    let mut list = List::default();
    let domain = &published.domain;
    host(&mut list, published, means);
    if published.receives {
        list.add(
            Weight::Needed,
            domain,
            Data::Mx { preference: MX_PREFERENCE, host: published.host.clone() },
            "Other servers bring the domain's mail here.",
        );
    }
    policies::sender(&mut list, published, means);
    services(&mut list, published);
    web(&mut list, published, means);
    policies::transport(&mut list, published, means);
    host_keys(&mut list, published, means);
    list.done()
}

/// What stands in the zone of the host itself, which may be another than the domain's.
pub(super) fn host(list: &mut List, published: &Published, means: &Means) {
    for address in &means.addresses {
        list.add(
            Weight::Needed,
            &published.host,
            Data::Address(*address),
            "The address of the service; it is right for all domains of the service.",
        );
    }
}

/// SRV, with the order of the model as priority: RFC 6186 3.4 lets them choose between IMAP and POP3 too.
fn services(list: &mut List, published: &Published) {
    for Service { label, protocol, protection } in SERVICES {
        let rows = if protocol == Protocol::Submission { &published.outgoing } else { &published.incoming };
        let name = format!("{label}.{}", published.domain);
        let mut offered = false;
        for (priority, row) in (0..).step_by(usize::from(PRIORITY_STEP)).zip(told(rows)) {
            if row.protocol == protocol && row.protection == protection {
                offered = true;
                list.add(Weight::Advised, &name, srv(priority, row), "Clients find the service by it.");
            }
        }
        if !offered {
            let nothing = Data::Srv { priority: 0, weight: 0, port: 0, target: String::new() };
            list.add(Weight::Advised, &name, nothing, "Says that this service is not offered.");
        }
    }
}

fn srv(priority: u16, row: &Endpoint) -> Data {
    Data::Srv { priority, weight: 1, port: row.port, target: row.host.clone() }
}

/// Names under which clients fetch their settings from the web listener.
fn web(list: &mut List, published: &Published, means: &Means) {
    let Some((web_host, web_port)) = web_place(published) else { return };
    let domain = &published.domain;
    let mut name = |label: &str, why| {
        let name = format!("{label}.{domain}");
        if name != web_host {
            list.add(Weight::Advised, name, Data::Cname(web_host.clone()), why);
        }
    };
    name("autoconfig", "Thunderbird and others fetch their settings there.");
    name("autodiscover", "Outlook fetches its settings there.");
    name("ua-auto-config", "Clients of the coming standard (PACC) fetch their settings there.");
    if means.mta_sts_id.is_some() {
        name("mta-sts", "Servers fetch the MTA-STS policy there.");
    }
    let mail = format!("mail.{domain}");
    if mail != published.host {
        let data = Data::Cname(published.host.clone());
        list.add(Weight::Advised, mail, data, "The name that people and old clients guess.");
    }
    list.add(
        Weight::Advised,
        format!("_autodiscover._tcp.{domain}"),
        Data::Srv { priority: 0, weight: 1, port: web_port, target: web_host },
        "Outlook finds its settings by it where the name above is missing.",
    );
    if let Some(document) = pacc::render(published) {
        list.add(
            Weight::Advised,
            format!("_ua-auto-config.{domain}"),
            Data::Txt(pacc::digest_record(document.as_bytes())),
            "The digest of the PACC document, which clients do not believe without it; it changes with every change of the service.",
        );
    }
}

/// Host and port of the web pages.
pub(super) fn web_place(published: &Published) -> Option<(String, u16)> {
    let place = published.web.as_ref()?.strip_prefix("https://")?.split('/').next()?;
    match place.rsplit_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((place.to_owned(), ports::HTTPS)),
    }
}

/// Keys and authorities of the host's certificates.
pub(super) fn host_keys(list: &mut List, published: &Published, means: &Means) {
    let mut places: Vec<(&str, u16)> = Vec::new();
    if published.receives {
        places.push((&published.host, ports::SMTP));
    }
    for row in told(&published.incoming).chain(told(&published.outgoing)) {
        if !places.contains(&(row.host.as_str(), row.port)) {
            places.push((&row.host, row.port));
        }
    }
    let present = "Proves the key of the certificate (DANE); only where the zone is signed with DNSSEC.";
    // RFC 7671 8.1: two of the records' lifetimes before the certificate.
    let coming = "Proves the key of the next certificate (DANE), and must be there before that one comes.";
    for (host, port) in places {
        for (digests, why) in [(&means.key_digests, present), (&means.next_key_digests, coming)] {
            for digest in digests {
                // DANE-EE, the public key, SHA-256 (RFC 7671 5.1).
                let data = Data::Tlsa(3, 1, 1, digest.to_vec());
                list.add(Weight::Advised, format!("_{port}._tcp.{host}"), data, why);
            }
        }
    }
    if let Some(issuer) = &means.ca {
        list.add(
            Weight::Advised,
            &published.host,
            Data::Caa(0, "issue".to_owned(), issuer.value()),
            "Only this authority may make certificates for the host and for the names that point to it.",
        );
    }
}
