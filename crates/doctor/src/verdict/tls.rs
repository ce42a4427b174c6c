//! STARTTLS, versions and suites.

use super::codes;
use super::finds::{Finds, Said};
use super::view::View;
use super::words;
use crate::seen::{First, Probe, Reach, StartTls, TlsSeen};
use crate::{Actor, Level};
use proto::service::Protection;

/// The versions that are obsolete (RFC 8996 and before), as probes call them.
const OLD: [&str; 4] = ["SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"];
/// Words in the names of suites that protect nothing or next to nothing. Those without authentication are not among
/// them: only a client that does not care whom it talks to offers them, and no mail program does. Postfix takes them
/// unless told otherwise, for servers that do not look at certificates.
const HOPELESS: [&str; 3] = ["NULL", "EXPORT", "RC4"];

/// Judges every open place that matters.
pub fn judge(view: &View<'_>, finds: &mut Finds) {
    for probe in view.mattering().filter(|probe| probe.reach == Reach::Open) {
        upgrade(view, probe, finds);
        if let Some(tls) = &probe.tls {
            handshake(view, probe, tls, finds);
            old_versions(probe, tls, finds);
            weak_suites(probe, tls, finds);
        }
    }
}

fn upgrade(view: &View<'_>, probe: &Probe, finds: &mut Finds) {
    let place = &probe.place;
    if probe.first != First::Greeting || place.port.protection == Protection::Implicit {
        return;
    }
    let (host, port) = (&place.host, place.port.number);
    let spot = words::place(place);
    let level = view.unusable(place);
    match &probe.starttls {
        StartTls::NotTried | StartTls::Works { injectable: false } => {}
        StartTls::NotOffered => match offered_elsewhere(view, probe) {
            Some(elsewhere) => {
                let how = format!("It is not offered here, but {elsewhere}.");
                stripped(level, host, &spot, &how, finds);
            }
            None => {
                let said = Said {
                    seen: "The server greets in clear and offers no STARTTLS.".to_owned(),
                    advice: "Do not use this port; your provider must offer STARTTLS there or close it."
                        .to_owned(),
                    headline: format!(
                        "{host} offers no encryption on port {port}; your provider must mend that"
                    ),
                };
                finds.add(&codes::STARTTLS_MISSING, level, &spot, said);
            }
        },
        StartTls::Stripped(how) => stripped(level, host, &spot, how, finds),
        // That is told with the version.
        StartTls::Fails(_) if probe.tls.as_ref().is_some_and(|tls| newest_old(tls).is_some()) => {}
        StartTls::Fails(how) => {
            let said = Said {
                seen: format!("STARTTLS is offered but fails: {how}."),
                advice: "Use another port until your provider has mended it.".to_owned(),
                headline: format!(
                    "the encryption that {host} offers on port {port} fails; your provider must mend it"
                ),
            };
            finds.add(&codes::STARTTLS_FAILS, level, &spot, said);
        }
        StartTls::Works { injectable: true } => {
            let said = Said {
                seen: "Commands that were sent in clear behind STARTTLS were executed after the handshake."
                    .to_owned(),
                advice: "Prefer a port with SSL/TLS; your provider must update this server.".to_owned(),
                headline: format!(
                    "{host} executes commands on port {port} that somebody slipped in before the encryption; your provider must update it"
                ),
            };
            finds.add(&codes::STARTTLS_INJECTABLE, Level::Should, &spot, said);
        }
    }
}

/// Where the same server offers what is missing here.
fn offered_elsewhere(view: &View<'_>, probe: &Probe) -> Option<String> {
    let place = &probe.place;
    view.probes.iter().find_map(|other| {
        let offers = matches!(other.starttls, StartTls::Works { .. })
            || other.clear.as_ref().is_some_and(|offer| offer.starttls);
        // What servers are offered is configured apart from what people are: that 25 has it proves nothing for 587.
        let same_server = other.place.host == place.host
            && (other.place.port.protocol == place.port.protocol
                || other.place.port.number == place.port.number);
        if !offers || !same_server {
            None
        } else if other.place.port.number == place.port.number {
            Some(format!("over {} the same port offers it", if other.ipv6 { "IPv6" } else { "IPv4" }))
        } else {
            Some(format!("the same server offers it on port {}", other.place.port.number))
        }
    })
}

fn stripped(level: Level, host: &str, spot: &str, how: &str, finds: &mut Finds) {
    let how = how.trim_end_matches('.');
    let said = Said {
        seen: format!("STARTTLS is removed on the way to {host}: {how}."),
        advice: "Use a port with SSL/TLS, which nobody can take away, or another network; never sign in on this one without encryption.".to_owned(),
        headline: format!("somebody between you and {host} removes the encryption"),
    };
    // Where another port serves, the finding still speaks of somebody who interferes.
    let level = level.min(Level::Should);
    finds.add_for(&codes::STARTTLS_STRIPPED, level, Actor::Network, spot, said);
}

fn handshake(view: &View<'_>, probe: &Probe, tls: &TlsSeen, finds: &mut Finds) {
    if tls.version.is_some() {
        return;
    }
    let place = &probe.place;
    let (host, port) = (&place.host, place.port.number);
    let level = view.unusable(place);
    if let Some(best) = newest_old(tls) {
        let said = Said {
            seen: format!("The best that {host} speaks is {}.", spelled(best)),
            advice:
                "Your provider must update this server; do not make your own program accept such versions."
                    .to_owned(),
            headline: format!(
                "{host} speaks only {}, which is too old; your provider must update it",
                spelled(best)
            ),
        };
        return finds.add(&codes::TLS_TOO_OLD, level, &words::place(place), said);
    }
    // What fails inside STARTTLS has its own finding.
    if matches!(probe.starttls, StartTls::Fails(_)) {
        return;
    }
    let how = tls.failure.as_deref().unwrap_or("no reason was given");
    let said = Said {
        seen: format!("The TLS handshake fails: {}.", how.trim_end_matches('.')),
        advice: "Use another port until your provider has mended it.".to_owned(),
        headline: format!("the encryption of {host} on port {port} fails; your provider must mend it"),
    };
    finds.add(&codes::TLS_FAILS, level, &words::place(place), said);
}

/// The newest obsolete version that a server speaks which speaks no other.
fn newest_old(tls: &TlsSeen) -> Option<&'static str> {
    let mut accepted = OLD.into_iter().rev().filter(|old| tls.accepts.iter().any(|accepted| accepted == old));
    if tls.version.is_some() { None } else { accepted.next() }
}

fn old_versions(probe: &Probe, tls: &TlsSeen, finds: &mut Finds) {
    let accepted: Vec<String> =
        OLD.iter().filter(|old| tls.accepts.iter().any(|a| a == *old)).map(|old| spelled(old)).collect();
    if tls.version.is_none() || accepted.is_empty() {
        return;
    }
    let host = &probe.place.host;
    let list = words::list(&accepted, OLD.len());
    // SSL gives its secrets away; TLS 1.0 and 1.1 are kept by many for old devices.
    let level = if accepted.iter().any(|old| old.starts_with("SSL")) { Level::Should } else { Level::Note };
    let said = Said {
        seen: format!("{host} still accepts {list} beside newer versions."),
        advice: "Nothing for you to do; your provider should switch the old versions off.".to_owned(),
        headline: format!("{host} still accepts {list}"),
    };
    finds.add(&codes::OLD_TLS, level, &words::place(&probe.place), said);
}

fn weak_suites(probe: &Probe, tls: &TlsSeen, finds: &mut Finds) {
    if tls.weak.is_empty() {
        return;
    }
    let host = &probe.place.host;
    let hopeless = tls.weak.iter().any(|name| HOPELESS.iter().any(|word| name.contains(word)));
    let said = Said {
        seen: format!("{host} accepts weak ciphers: {}.", words::list(&tls.weak, 4)),
        advice: "Nothing for you to do; your provider should switch them off.".to_owned(),
        headline: format!("{host} accepts weak ciphers"),
    };
    let level = if hopeless { Level::Should } else { Level::Note };
    finds.add(&codes::WEAK_SUITES, level, &words::place(&probe.place), said);
}

/// `TLSv1.0` as people write it.
fn spelled(version: &str) -> String {
    version.replacen("TLSv", "TLS ", 1).replacen("SSLv", "SSL ", 1)
}
