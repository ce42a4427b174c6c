//! From a finding to words: the texts that tell people what to do.
//!
//! Refusals in every protocol take their words from here, filled in from the
//! one [`crate::service::Model`] or a domain's view of it, so that no text names a port that is closed.
//! What must hold: one line, ASCII, at most [`TEXT_BYTES_MAX`] octets, no code.

use crate::service::policy::Denied;
use crate::service::publish::{Authentication, Endpoint, Published};
use crate::service::{Model, Protection, Protocol};

/// Octets of a text: with its code and tag it fits the shortest line that a protocol allows (RFC 5321 4.5.3.1.5).
pub const TEXT_BYTES_MAX: usize = 200;

/// The refusal of a password on a clear connection: which port and which
/// setting to choose instead.
#[must_use]
pub fn needs_tls(model: &Model, protocol: Protocol) -> String {
    let wanted = client_protocol(protocol);
    let row = |protection| {
        model.listeners.iter().find(|l| l.protocol == wanted && l.protection == protection).map(|l| l.port)
    };
    encryption_required(setting(row(Protection::Implicit), row(Protection::StartTls)))
}

/// The refusal of a login whose credential was right, by the rules of the domain. `view` is the domain's own.
#[must_use]
pub fn denied(view: &Published, protocol: Protocol, denied: Denied) -> String {
    let wanted = client_protocol(protocol);
    match denied {
        Denied::Clear => encryption_required(setting_of(view, wanted)),
        Denied::TlsTooOld(least) => {
            let version = least.name().replace("TLSv", "TLS ");
            format!(
                "Encryption too old: this account needs {version}, so update your mail program or its system"
            )
        }
        Denied::Way => match setting_of(view, wanted) {
            Some(setting) => {
                format!("This account may not use this port: in your mail program set {setting}")
            }
            None => match instead(view, wanted) {
                Some((name, setting)) => {
                    format!(
                        "This account may not use this port: in your mail program set up {name} with {setting}"
                    )
                }
                None => "This account may not use this port: ask your provider".to_owned(),
            },
        },
        Denied::Mechanism => {
            let row = view.first(wanted).or(view.incoming.first()).or(view.outgoing.first());
            match row.and_then(|row| row.authentication.first()).and_then(method) {
                Some(method) => format!(
                    "This way to log in is off for this account: in your mail program choose {method} as authentication"
                ),
                None => "This way to log in is off for this account: ask your provider".to_owned(),
            }
        }
    }
}

/// For a client that speaks clear text where TLS comes first.
#[must_use]
pub fn tls_from_the_start() -> &'static str {
    "This port is encrypted from the first byte: in your mail program choose SSL/TLS for it, not STARTTLS and not \"none\""
}

/// Where other servers deliver, people submit.
fn client_protocol(protocol: Protocol) -> Protocol {
    if protocol == Protocol::Smtp { Protocol::Submission } else { protocol }
}

fn encryption_required(setting: Option<String>) -> String {
    match setting {
        Some(setting) => format!("Encryption required: in your mail program set {setting}"),
        None => "Encryption required: ask your provider for a port with SSL/TLS".to_owned(),
    }
}

/// What to type in, by the ports with implicit TLS and with STARTTLS.
fn setting(implicit: Option<u16>, starttls: Option<u16>) -> Option<String> {
    match (implicit, starttls) {
        (Some(tls), Some(starttls)) => {
            Some(format!("port {tls} with SSL/TLS, or port {starttls} with STARTTLS"))
        }
        (Some(tls), None) => Some(format!("port {tls} with SSL/TLS")),
        (None, Some(starttls)) => Some(format!("port {starttls} with STARTTLS")),
        (None, None) => None,
    }
}

fn setting_of(view: &Published, protocol: Protocol) -> Option<String> {
    let mut rows = view.incoming.iter().chain(&view.outgoing).filter(|row| row.protocol == protocol);
    let (implicit, starttls) =
        rows.by_ref().fold((None, None), |(implicit, starttls), row: &Endpoint| match row.protection {
            Protection::Implicit => (implicit.or(Some(row.port)), starttls),
            Protection::StartTls => (implicit, starttls.or(Some(row.port))),
            Protection::Clear => (implicit, starttls),
        });
    setting(implicit, starttls)
}

/// The other way to read mail, where one is closed.
fn instead(view: &Published, protocol: Protocol) -> Option<(&'static str, String)> {
    let (other, name) = match protocol {
        Protocol::Pop3 => (Protocol::Imap, "IMAP"),
        Protocol::Imap => (Protocol::Pop3, "POP3"),
        _ => return None,
    };
    setting_of(view, other).map(|setting| (name, setting))
}

/// As clients call it.
fn method(authentication: &Authentication) -> Option<&'static str> {
    match authentication {
        Authentication::Password => Some("\"normal password\""),
        Authentication::Challenge => Some("\"encrypted password\""),
        Authentication::Certificate => Some("\"TLS certificate\""),
        Authentication::OAuth2 | Authentication::None | Authentication::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::TlsVersion;
    use crate::sasl::Mechanism;
    use crate::service::policy::{DomainPolicy, Way};
    use crate::service::preset::Preset;
    use std::net::{IpAddr, Ipv4Addr};

    fn model(preset: Preset) -> Model {
        preset.model("mail.example.test", &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)])
    }

    fn view(preset: Preset, policy: &DomainPolicy) -> Published {
        Published::new(&model(preset), "example.test", policy)
    }

    #[test]
    fn refusals_name_what_is_open() {
        let policy = DomainPolicy {
            ways: Some(vec![Way { protocol: Protocol::Imap, port: 993 }]),
            mechanisms: Some(vec![Mechanism::ScramSha256]),
            ..DomainPolicy::default()
        };
        let few = view(Preset::Compatible, &policy);
        let say = |protocol, what| denied(&few, protocol, what);
        assert_eq!(
            say(Protocol::Imap, Denied::Clear),
            "Encryption required: in your mail program set port 993 with SSL/TLS"
        );
        assert_eq!(
            say(Protocol::Pop3, Denied::Way),
            "This account may not use this port: in your mail program set up IMAP with port 993 with SSL/TLS"
        );
        assert_eq!(say(Protocol::Smtp, Denied::Way), "This account may not use this port: ask your provider");
        assert_eq!(
            say(Protocol::Pop3, Denied::Mechanism),
            "This way to log in is off for this account: in your mail program choose \"encrypted password\" as authentication"
        );
        assert_eq!(
            say(Protocol::Imap, Denied::TlsTooOld(TlsVersion::Tls13)),
            "Encryption too old: this account needs TLS 1.3, so update your mail program or its system"
        );
        let all = view(Preset::Compatible, &DomainPolicy::default());
        assert_eq!(
            denied(&all, Protocol::Smtp, Denied::Way),
            "This account may not use this port: in your mail program set port 465 with SSL/TLS, or port 587 with STARTTLS"
        );
    }

    #[test]
    fn every_text_is_a_short_line_of_ascii() {
        let nothing = DomainPolicy { ways: Some(Vec::new()), ..DomainPolicy::default() };
        let mut texts = vec![tls_from_the_start().to_owned()];
        for preset in Preset::ALL {
            for protocol in Protocol::ALL {
                texts.push(needs_tls(&model(preset), protocol));
                for policy in [DomainPolicy::default(), nothing.clone()] {
                    let view = view(preset, &policy);
                    let least = Denied::TlsTooOld(TlsVersion::Tls13);
                    for what in [Denied::Clear, least, Denied::Way, Denied::Mechanism] {
                        texts.push(denied(&view, protocol, what));
                    }
                }
            }
        }
        for text in texts {
            let plain = text.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic());
            assert!(plain && text.len() <= TEXT_BYTES_MAX, "{text}");
        }
    }
}
