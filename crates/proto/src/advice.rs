//! From a finding to words: the texts that tell people what to do.
//!
//! Refusals in every protocol take their words from here, filled in from the
//! one [`crate::service::Model`] or a domain's view of it, so that no text names a port that is closed.
//! What must hold: one line without a code; in English ASCII and at most [`TEXT_BYTES_MAX`] octets, in other languages, which only
//! POP3 and IMAP speak, at most [`LONG_TEXT_BYTES_MAX`].

mod words;

use crate::language::Language;
use crate::service::policy::Denied;
use crate::service::publish::{Authentication, Endpoint, Published};
use crate::service::{Model, Protection, Protocol};
use words::Text;

/// Octets of a text: with its code and tag it fits the shortest line that a protocol allows (RFC 5321 4.5.3.1.5).
pub const TEXT_BYTES_MAX: usize = 200;
/// Octets of a text in another language than English: with its code it fits a line of POP3 (RFC 2449 section 4), and Greek has two octets a letter.
pub const LONG_TEXT_BYTES_MAX: usize = 400;

/// Where a protocol can be had encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encrypted {
    /// The port with TLS from the first byte.
    pub implicit: Option<u16>,
    /// The port with STARTTLS.
    pub starttls: Option<u16>,
}

impl Encrypted {
    /// The ports for those who use a protocol, by the model of the service.
    #[must_use]
    pub fn of(model: &Model, protocol: Protocol) -> Encrypted {
        let wanted = client_protocol(protocol);
        let row = |protection| {
            let found = model.listeners.iter().find(|l| l.protocol == wanted && l.protection == protection);
            found.map(|l| l.port)
        };
        Encrypted { implicit: row(Protection::Implicit), starttls: row(Protection::StartTls) }
    }

    /// The same, by what the people of a domain are told.
    fn told(view: &Published, protocol: Protocol) -> Encrypted {
        let rows = view.incoming.iter().chain(&view.outgoing).filter(|row| row.protocol == protocol);
        rows.fold(Encrypted::default(), |mut found, row: &Endpoint| {
            let place = match row.protection {
                Protection::Implicit => &mut found.implicit,
                Protection::StartTls => &mut found.starttls,
                Protection::Clear => return found,
            };
            *place = place.or(Some(row.port));
            found
        })
    }

    /// What to type in.
    fn setting(self, language: Language) -> Option<String> {
        match (self.implicit, self.starttls) {
            (Some(tls), Some(starttls)) => Some(language.say(Text::SettingEither, &[tls, starttls])),
            (Some(tls), None) => Some(language.say(Text::SettingTls, &[tls])),
            (None, Some(starttls)) => Some(language.say(Text::SettingStartTls, &[starttls])),
            (None, None) => None,
        }
    }
}

/// The refusal of a password on a clear connection: which port and which
/// setting to choose instead.
#[must_use]
pub fn needs_tls(encrypted: Encrypted, language: Language) -> String {
    match encrypted.setting(language) {
        Some(setting) => language.say(Text::EncryptionRequired, &[setting]),
        None => language.text(Text::EncryptionUnknown).to_owned(),
    }
}

/// The refusal of a login whose credential was right, by the rules of the domain. `view` is the domain's own.
#[must_use]
pub fn denied(view: &Published, protocol: Protocol, denied: Denied, language: Language) -> String {
    let wanted = client_protocol(protocol);
    let setting = |protocol| Encrypted::told(view, protocol).setting(language);
    match denied {
        Denied::Clear => needs_tls(Encrypted::told(view, wanted), language),
        Denied::TlsTooOld(least) => language.say(Text::TlsTooOld, &[least.name().replace("TLSv", "TLS ")]),
        Denied::Way => match (setting(wanted), instead(wanted)) {
            (Some(setting), _) => language.say(Text::PortClosed, &[setting]),
            (None, Some((other, name))) => match setting(other) {
                Some(setting) => language.say(Text::PortInstead, &[name, &setting]),
                None => language.text(Text::PortNone).to_owned(),
            },
            (None, None) => language.text(Text::PortNone).to_owned(),
        },
        Denied::Mechanism => {
            let row = view.first(wanted).or(view.incoming.first()).or(view.outgoing.first());
            match row.and_then(|row| row.authentication.first()).and_then(method) {
                Some(method) => language.say(Text::MethodOff, &[language.text(method)]),
                None => language.text(Text::MethodNone).to_owned(),
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

/// The other way to read mail, where one is closed.
fn instead(protocol: Protocol) -> Option<(Protocol, &'static str)> {
    match protocol {
        Protocol::Pop3 => Some((Protocol::Imap, "IMAP")),
        Protocol::Imap => Some((Protocol::Pop3, "POP3")),
        _ => None,
    }
}

/// As clients call it.
fn method(authentication: &Authentication) -> Option<Text> {
    match authentication {
        Authentication::Password => Some(Text::MethodPassword),
        Authentication::Challenge => Some(Text::MethodChallenge),
        Authentication::Certificate => Some(Text::MethodCertificate),
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
        let english = Language::default();
        let say = |protocol, what| denied(&few, protocol, what, english);
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
            denied(&all, Protocol::Smtp, Denied::Way, english),
            "This account may not use this port: in your mail program set port 465 with SSL/TLS, or port 587 with STARTTLS"
        );
    }

    #[test]
    fn other_languages_name_the_same() {
        let (german, _) = Language::find("de").unwrap();
        let model = model(Preset::Compatible);
        assert_eq!(
            needs_tls(Encrypted::of(&model, Protocol::Pop3), german),
            "Verschlüsselung nötig: im Mailprogramm Port 995 mit SSL/TLS oder Port 110 mit STARTTLS einstellen"
        );
        let few = DomainPolicy {
            ways: Some(vec![Way { protocol: Protocol::Imap, port: 993 }]),
            mechanisms: Some(vec![Mechanism::ScramSha256]),
            ..DomainPolicy::default()
        };
        let few = view(Preset::Compatible, &few);
        assert_eq!(
            denied(&few, Protocol::Pop3, Denied::Way, german),
            "Dieses Konto darf diesen Port nicht benutzen: im Mailprogramm IMAP mit Port 993 mit SSL/TLS einrichten"
        );
        assert_eq!(
            denied(&few, Protocol::Pop3, Denied::Mechanism, german),
            "Diese Anmeldeart ist für dieses Konto abgeschaltet: im Mailprogramm „verschlüsseltes Passwort“ wählen"
        );
    }

    #[test]
    fn every_text_is_a_short_line() {
        let nothing = DomainPolicy { ways: Some(Vec::new()), ..DomainPolicy::default() };
        for (tag, _) in crate::language::LANGUAGES {
            let (language, _) = Language::find(tag).unwrap();
            let mut texts = vec![tls_from_the_start().to_owned()];
            for (preset, protocol) in Preset::ALL.into_iter().flat_map(|p| Protocol::ALL.map(|q| (p, q))) {
                texts.push(needs_tls(Encrypted::of(&model(preset), protocol), language));
                for policy in [DomainPolicy::default(), nothing.clone()] {
                    let view = view(preset, &policy);
                    let least = Denied::TlsTooOld(TlsVersion::Tls13);
                    for what in [Denied::Clear, least, Denied::Way, Denied::Mechanism] {
                        texts.push(denied(&view, protocol, what, language));
                    }
                }
            }
            for text in texts {
                let most = if tag == "en" { TEXT_BYTES_MAX } else { LONG_TEXT_BYTES_MAX };
                assert!(text.len() <= most && !text.chars().any(char::is_control), "{text}");
                assert!(tag != "en" || text.is_ascii(), "{text}");
                assert!(!text.contains("{}") && !text.starts_with('['), "{text}");
            }
        }
    }
}
