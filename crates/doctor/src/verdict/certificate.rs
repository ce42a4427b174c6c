//! The certificate: dates, names, trust, strength.

use super::codes::{self, Code};
use super::finds::{Finds, Said};
use super::view::{self, View};
use super::words;
use crate::Level;
use crate::seen::{CertificateSeen, Chain, Probe, Reach};
use std::collections::BTreeSet;

/// A certificate with less time left than this, or than a sixth of its life, expires soon.
const SOON_SECONDS: i64 = 14 * 24 * 3600;
/// Names of a certificate that are told.
const NAMES_TOLD: usize = 4;

/// Judges the certificates of all places that matter.
pub fn judge(view: &View<'_>, finds: &mut Finds) {
    for probe in view.mattering() {
        let Some(certificate) = view::certificate(probe) else { continue };
        dates(view, probe, certificate, finds);
        names(view, probe, certificate, finds);
        trust(view, probe, certificate, finds);
        strength(probe, certificate, finds);
    }
}

fn add(view: &View<'_>, probe: &Probe, code: &'static Code, finds: &mut Finds, said: Said) {
    finds.add(code, view.unusable(&probe.place), &words::place(&probe.place), said);
}

fn dates(view: &View<'_>, probe: &Probe, certificate: &CertificateSeen, finds: &mut Finds) {
    let host = &probe.place.host;
    let CertificateSeen { not_before, not_after, .. } = *certificate;
    if not_after <= view.now {
        let day = words::day(not_after);
        let said = Said {
            seen: format!("The certificate of {host} expired on {day}."),
            advice: "Your provider must renew it; do not tell your mail program to accept it. If the date is today's or later, check your computer's clock.".to_owned(),
            headline: format!("the certificate of {host} expired on {day}; your provider must renew it"),
        };
        add(view, probe, &codes::CERTIFICATE_EXPIRED, finds, said);
    } else if view.now < not_before {
        let day = words::day(not_before);
        let said = Said {
            seen: format!("The certificate of {host} is valid only from {day} on."),
            advice:
                "Check your computer's clock first; if it is right, your provider must mend the certificate."
                    .to_owned(),
            headline: format!(
                "the certificate of {host} is valid only from {day} on; check your computer's clock"
            ),
        };
        add(view, probe, &codes::CERTIFICATE_NOT_YET, finds, said);
    } else if not_after - view.now < SOON_SECONDS.min(not_after.saturating_sub(not_before) / 6) {
        let day = words::day(not_after);
        let said = Said {
            seen: format!("The certificate of {host} expires on {day}."),
            advice: "Your provider should renew it before that day.".to_owned(),
            headline: format!(
                "the certificate of {host} expires on {day}; your provider should renew it now"
            ),
        };
        finds.add(&codes::EXPIRES_SOON, Level::Should, &words::place(&probe.place), said);
    }
}

fn names(view: &View<'_>, probe: &Probe, certificate: &CertificateSeen, finds: &mut Finds) {
    if certificate.covers_host {
        return;
    }
    let host = &probe.place.host;
    let seen = format!("The certificate is not for {host}, but for {}.", told(certificate));
    let said = match name_to_type(view, probe, certificate) {
        Some(Name::Sure(name)) => Said {
            seen,
            advice: format!("Type {name} as server name instead of {host}."),
            headline: format!("the certificate is not for {host}: type {name} as server name instead"),
        },
        // Whoever stands between could show a certificate for a name of their own.
        Some(Name::Perhaps(name)) => Said {
            seen,
            advice: format!("If you know {name} as your provider's, type that instead of {host}; else ask your provider."),
            headline: format!("the certificate is not for {host} but for {name}: if that is your provider's, type it as server name instead"),
        },
        None => Said {
            seen,
            advice: "Ask your provider which server name to type; do not tell your mail program to accept the certificate.".to_owned(),
            headline: format!("the certificate of {host} is not for that name; ask your provider which server name to type"),
        },
    };
    add(view, probe, &codes::CERTIFICATE_NAME, finds, said);
}

fn told(certificate: &CertificateSeen) -> String {
    if certificate.names.is_empty() {
        "any name".to_owned()
    } else {
        words::list(&certificate.names, NAMES_TOLD)
    }
}

/// A name to type instead.
enum Name {
    /// It was seen to serve, or the provider names it.
    Sure(String),
    /// Only the certificate names it.
    Perhaps(String),
}

/// A name that the certificate covers and that leads to the service: one where it was seen to work, else one that was
/// reached, else one that a source names, else the certificate's first plain name.
fn name_to_type(view: &View<'_>, probe: &Probe, certificate: &CertificateSeen) -> Option<Name> {
    let place = &probe.place;
    let covered = |host: &str| certificate.names.iter().any(|name| covers(name, host));
    let working = view
        .settings
        .iter()
        .find(|row| words::same_language(row.protocol, place.port.protocol) && covered(&row.host));
    if let Some(row) = working {
        return Some(Name::Sure(row.host.clone()));
    }
    let reached = |p: &&Probe| {
        p.place.host != place.host
            && matches!(p.reach, Reach::Open)
            && p.place.port.number == place.port.number
            && covered(&p.place.host)
    };
    if let Some(other) = view.probes.iter().find(reached) {
        return Some(Name::Sure(other.place.host.clone()));
    }
    let plain: Vec<&String> =
        certificate.names.iter().filter(|name| !name.starts_with('*') && name.contains('.')).collect();
    let known: BTreeSet<&str> = view
        .documents()
        .flat_map(|(_, document)| document.incoming.iter().chain(&document.outgoing))
        .map(|row| row.host.as_str())
        .chain(view.lookup.mx.iter().map(String::as_str))
        .collect();
    let has_no_address = |host: &str| {
        view.probes.iter().any(|p| p.place.host == host)
            && view.probes.iter().filter(|p| p.place.host == host).all(|p| p.reach == Reach::NoAddress)
    };
    known
        .into_iter()
        .find(|host| *host != place.host && covered(host) && !has_no_address(host))
        .map(|host| Name::Sure(host.to_owned()))
        .or_else(|| {
            plain.into_iter().find(|name| !has_no_address(name)).map(|name| Name::Perhaps(name.clone()))
        })
}

/// RFC 6125 6.4.3: a wildcard stands for one whole label, the first.
fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern.eq_ignore_ascii_case(host),
        Some(rest) => host.split_once('.').is_some_and(|(_, tail)| tail.eq_ignore_ascii_case(rest)),
    }
}

fn trust(view: &View<'_>, probe: &Probe, certificate: &CertificateSeen, finds: &mut Finds) {
    let host = &probe.place.host;
    let issuer = &certificate.issuer;
    let never = "do not tell your mail program to accept it";
    let (code, said) = match certificate.chain {
        Chain::Trusted => return,
        Chain::SelfSigned => (
            &codes::CERTIFICATE_SELF,
            Said {
                seen: format!("The certificate of {host} signed itself; nobody vouches for it."),
                advice: format!("Your provider must install one from a public authority; {never}."),
                headline: format!(
                    "nobody vouches for the certificate of {host}; your provider must install another"
                ),
            },
        ),
        Chain::Incomplete => (
            &codes::CERTIFICATE_INCOMPLETE,
            Said {
                seen: format!("{host} sends its own certificate but not that of its issuer ({issuer})."),
                advice: "Your provider must add the intermediate certificate to the server's chain."
                    .to_owned(),
                headline: format!(
                    "the certificate chain of {host} is incomplete; your provider must add the missing part"
                ),
            },
        ),
        Chain::UnknownAuthority => (
            &codes::CERTIFICATE_UNKNOWN,
            Said {
                seen: format!(
                    "The certificate of {host} was issued by \"{issuer}\", which this computer does not know."
                ),
                advice: format!(
                    "If that is your virus scanner or your company's filter, ask who runs it; else your provider must install another certificate; {never}."
                ),
                headline: format!("the certificate of {host} comes from an authority that nobody knows"),
            },
        ),
        Chain::Broken => (
            &codes::CERTIFICATE_BROKEN,
            Said {
                seen: format!("The certificate of {host} cannot be checked."),
                advice: format!("Your provider must install another; {never}."),
                headline: format!("the certificate of {host} is broken; your provider must install another"),
            },
        ),
    };
    add(view, probe, code, finds, said);
}

fn strength(probe: &Probe, certificate: &CertificateSeen, finds: &mut Finds) {
    let host = &probe.place.host;
    let key = &certificate.key;
    let what = if certificate.weak_signature {
        format!("The certificate of {host} is signed with a method that is broken (SHA-1 or MD5).")
    } else if weak_key(key) {
        format!("The key of the certificate of {host} is too short ({key}).")
    } else {
        return;
    };
    let said = Said {
        seen: what,
        advice: "Your provider should install a new certificate.".to_owned(),
        headline: format!("the certificate of {host} is weak; your provider should install a new one"),
    };
    finds.add(&codes::CERTIFICATE_WEAK, Level::Should, &words::place(&probe.place), said);
}

/// RSA keys under 2048 bits (CA/Browser Forum since 2014), and curves under 256.
fn weak_key(key: &str) -> bool {
    let bits = key.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse::<u32>().ok()).max();
    match bits {
        Some(bits) if key.starts_with("RSA") || key.starts_with("DSA") => bits < 2048,
        Some(bits) if key.starts_with("ECDSA P-") => bits < 256,
        _ => false,
    }
}
