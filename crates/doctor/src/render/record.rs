//! Lookups and probes in one line each, for all who want to see how the answer came about.

use crate::seen::{First, Looked, Outcome, Probe, Reach, StartTls};
use crate::verdict::words;

/// `autoconfig  https://…  found: 2 for reading, 1 for sending`.
pub fn looked(looked: &Looked) -> String {
    let outcome = match &looked.outcome {
        Outcome::NotAsked(why) => format!("not asked: {why}"),
        Outcome::Nothing(why) => format!("nothing: {why}"),
        Outcome::Broken(why) => format!("unusable: {why}"),
        Outcome::Found(document) => {
            format!("found {} for reading, {} for sending", document.incoming.len(), document.outgoing.len())
        }
    };
    let sent = if looked.sent_address { " (with the full address)" } else { "" };
    format!("{} ({}){sent}: {outcome}", words::source(looked.source), looked.asked)
}

/// `mail.example.com:993 IPv4 192.0.2.1: TLS from the first byte, TLSv1.3, …`.
pub fn probe(probe: &Probe) -> String {
    let mut parts = vec![reach(&probe.reach)];
    if probe.reach == Reach::Open {
        parts.push(first(probe.first).to_owned());
        if let Some(tls) = starttls(&probe.starttls) {
            parts.push(tls);
        }
    }
    if let Some(tls) = &probe.tls {
        match (&tls.version, &tls.failure) {
            (Some(version), _) => parts.push(version.clone()),
            (None, Some(why)) => parts.push(format!("no TLS: {why}")),
            (None, None) => parts.push("no TLS".to_owned()),
        }
        parts.extend(tls.certificate.as_ref().map(|c| {
            format!("certificate for {} until {}", words::list(&c.names, 3), words::day(c.not_after))
        }));
    }
    if let Some(offer) = &probe.encrypted {
        parts.push(format!("mechanisms {}", words::list(&offer.mechanisms, 8)));
    }
    let address = probe.address.map(|address| format!(" {address}")).unwrap_or_default();
    let family = if probe.ipv6 { "IPv6" } else { "IPv4" };
    format!("{} {family}{address}: {}", words::place(&probe.place), parts.join(", "))
}

fn reach(reach: &Reach) -> String {
    match reach {
        Reach::Open => "open".to_owned(),
        Reach::Refused => "refused".to_owned(),
        Reach::Silent => "silent".to_owned(),
        Reach::Unreachable(how) => format!("unreachable ({how})"),
        Reach::NoAddress => "no address".to_owned(),
        Reach::Forbidden => "not asked: may not be asked here".to_owned(),
        Reach::NotTried => "not tried: no time left".to_owned(),
    }
}

fn first(first: First) -> &'static str {
    match first {
        First::None => "nothing",
        First::Tls => "TLS from the first byte",
        First::Greeting => "greeting in clear",
        First::Silence => "silence",
        First::NeverEnds => "a greeting without end",
        First::Foreign => "no mail protocol",
        First::Closed => "closed at once",
    }
}

fn starttls(starttls: &StartTls) -> Option<String> {
    Some(match starttls {
        StartTls::NotTried => return None,
        StartTls::NotOffered => "no STARTTLS".to_owned(),
        StartTls::Stripped(how) => format!("STARTTLS removed on the way ({how})"),
        StartTls::Works { injectable: false } => "STARTTLS works".to_owned(),
        StartTls::Works { injectable: true } => "STARTTLS works, commands can be slipped in".to_owned(),
        StartTls::Fails(how) => format!("STARTTLS fails ({how})"),
    })
}
