//! What a person types: what the doctor is asked about, and the settings that their mail program has today.
//!
//! The command line and the web page read it here, so that both take the same and both mean the same by it. What must
//! hold: a name comes out in its one spelling (lower case, A-labels, no final dot); with [`Scope::Public`] no single word
//! comes out, for only the inside network knows such names. Deliberately not here: whether a name leads inside (that is
//! judged after resolution), and translations: [`Mistyped`] words itself in English and repeats nothing that was typed.

use crate::Scope;
use net::dns::a_labels;
use proto::service::{Protection, Protocol};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Octets of an address, and of a host with what stands around it: the longest that RFC 5321 4.5.3.1 permits.
pub const TYPED_BYTES_MAX: usize = 320;

/// What the doctor is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `me@example.com`; `None` if only a domain (`@example.com`) or a host was said.
    pub address: Option<String>,
    /// The mail domain, or the host: a name in A-labels, or an IP address without brackets.
    pub domain: String,
    /// It is a host to probe, not a mail domain to look up.
    pub is_host: bool,
}

/// A setting that the person has today, `imap:143:none`, with a host if they said one (`imap:mail.example.com:143:none`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// IMAP, POP3 or submission.
    pub protocol: Protocol,
    /// The host that they typed, in its one spelling.
    pub host: Option<String>,
    /// The port.
    pub port: u16,
    /// `none` is [`Protection::Clear`].
    pub protection: Protection,
    /// "Secure Password Authentication (SPA)" is on.
    pub spa: bool,
}

/// What is wrong with what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistyped {
    /// Meant to be a mail address or a mail domain, and none.
    Address,
    /// Meant to be a server to examine, and no name of one.
    Host,
    /// A setting of today that does not have the parts of one.
    Setting,
    /// The protocol of a setting.
    Protocol,
    /// The server of a setting.
    Server,
    /// The port of a setting.
    Port,
    /// The security of a setting.
    Security,
}

impl Mistyped {
    /// It is about what to examine, not about a setting of today.
    #[must_use]
    pub fn is_target(self) -> bool {
        matches!(self, Mistyped::Address | Mistyped::Host)
    }
}

impl fmt::Display for Mistyped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mistyped::Address => "no mail address; say me@example.com, @example.com or mail.example.com",
            Mistyped::Host => "no server name; say me@example.com, @example.com or mail.example.com",
            Mistyped::Setting => "not of the form PROTOCOL:[HOST:]PORT:SECURITY, such as imap:PORT:ssl",
            Mistyped::Protocol => "the protocol of a setting is imap, pop3 or smtp",
            Mistyped::Server => "the server of a setting is a full name, such as mail.example.com",
            Mistyped::Port => "the port of a setting is a number between 1 and 65535",
            Mistyped::Security => "the security of a setting is ssl, starttls or none",
        })
    }
}

impl std::error::Error for Mistyped {}

impl Target {
    /// Reads `me@example.com`, `@example.com`, `mail.example.com` or an IP address, with or without brackets.
    ///
    /// What stands before the `@` is taken as it is: providers have allowed more than RFC 5321 4.1.2 does. `localhost` is
    /// a host for a person on their own machine ([`Scope::Anywhere`]); other single words are never one.
    pub fn read(text: &str, scope: Scope) -> Result<Target, Mistyped> {
        let text = text.trim();
        let Some((local, domain)) = text.rsplit_once('@') else {
            let domain = host(text, scope).filter(|host| is_full(host) || host == "localhost");
            return Ok(Target { address: None, domain: domain.ok_or(Mistyped::Host)?, is_host: true });
        };
        let strange =
            |c: char| c.is_control() || c.is_whitespace() || matches!(c, '@' | char::REPLACEMENT_CHARACTER);
        let domain = host(domain, scope).filter(|name| name.parse::<IpAddr>().is_err());
        let domain = domain.filter(|name| is_full(name) || name == "localhost");
        match domain {
            Some(domain) if text.len() <= TYPED_BYTES_MAX && !local.contains(strange) => Ok(Target {
                address: (!local.is_empty()).then(|| format!("{local}@{domain}")),
                domain,
                is_host: false,
            }),
            _ => Err(Mistyped::Address),
        }
    }
}

impl Now {
    /// Reads the fields of a form, where each stands by itself; an empty `host` is none.
    pub fn of(protocol: &str, host: &str, port: &str, security: &str, scope: Scope) -> Result<Now, Mistyped> {
        let protocol = match protocol.trim().to_ascii_lowercase().as_str() {
            "imap" => Protocol::Imap,
            "pop3" | "pop" => Protocol::Pop3,
            "submission" | "smtp" => Protocol::Submission,
            _ => return Err(Mistyped::Protocol),
        };
        let protection = match security.trim().to_ascii_lowercase().as_str() {
            "ssl" | "tls" | "ssl/tls" | "implicit" => Protection::Implicit,
            "starttls" | "stls" => Protection::StartTls,
            "none" | "clear" | "plain" => Protection::Clear,
            _ => return Err(Mistyped::Security),
        };
        let port = port.trim().parse().ok().filter(|port| *port != 0).ok_or(Mistyped::Port)?;
        let host = match host.trim() {
            "" => None,
            text => Some(self::host(text, scope).ok_or(Mistyped::Server)?),
        };
        Ok(Now { protocol, host, port, protection, spa: false })
    }

    /// Reads `imap:143:none`, `imap:mail.example.com:143:none`, `smtp:587:starttls:spa`.
    pub fn read(text: &str, scope: Scope) -> Result<Now, Mistyped> {
        let (text, spa) = match text.trim().rsplit_once(':') {
            Some((rest, last)) if last.eq_ignore_ascii_case("spa") => (rest, true),
            _ => (text, false),
        };
        let (protocol, rest) = text.split_once(':').ok_or(Mistyped::Setting)?;
        let (rest, security) = rest.rsplit_once(':').ok_or(Mistyped::Setting)?;
        let (host, port) = match rest.rsplit_once(':') {
            None => ("", rest),
            Some((host, _)) if host.trim().is_empty() => return Err(Mistyped::Setting),
            Some(parts) => parts,
        };
        Ok(Now { spa, ..Now::of(protocol, host, port, security, scope)? })
    }
}

impl FromStr for Now {
    type Err = Mistyped;

    /// As a person on their own machine writes it: [`Now::read`] with [`Scope::Anywhere`].
    fn from_str(text: &str) -> Result<Now, Mistyped> {
        Now::read(text, Scope::Anywhere)
    }
}

/// A host in its one spelling. Wildcards are no hosts.
fn host(text: &str, scope: Scope) -> Option<String> {
    if text.len() > TYPED_BYTES_MAX {
        return None;
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let name = a_labels(text).filter(|name| !name.starts_with('*'))?;
    (scope == Scope::Anywhere || is_full(&name)).then_some(name)
}

/// More than one word, or an IP address.
fn is_full(host: &str) -> bool {
    host.contains(['.', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_addresses_domains_and_hosts() {
        for (text, address, domain, is_host) in [
            ("me@Example.COM", Some("me@example.com"), "example.com", false),
            (" me@example.com\n", Some("me@example.com"), "example.com", false),
            ("Me..you@example.com.", Some("Me..you@example.com"), "example.com", false),
            ("me@bücher.example", Some("me@xn--bcher-kva.example"), "xn--bcher-kva.example", false),
            ("@example.com", None, "example.com", false),
            ("mail.example.com.", None, "mail.example.com", true),
            ("192.0.2.1", None, "192.0.2.1", true),
            ("2001:DB8::1", None, "2001:db8::1", true),
            ("[2001:db8::1]", None, "2001:db8::1", true),
        ] {
            let target = Target { address: address.map(str::to_owned), domain: domain.to_owned(), is_host };
            for scope in [Scope::Anywhere, Scope::Public] {
                assert_eq!(Target::read(text, scope).as_ref(), Ok(&target), "{text}");
            }
        }
        for text in [
            "",
            "me",
            "a b",
            "*.example.com",
            "http://x.example/",
            "<x>",
            "[mail.example.com]",
            "a\u{fffd}.b",
        ] {
            assert_eq!(Target::read(text, Scope::Anywhere), Err(Mistyped::Host), "{text}");
        }
        for text in [
            "@",
            "me@",
            "me@x",
            "a b@c.d",
            "a@b@",
            "me@a@b.example",
            "me@*.example.com",
            "me@127.0.0.1",
            "\u{fffd}@c.d",
        ] {
            assert_eq!(Target::read(text, Scope::Anywhere), Err(Mistyped::Address), "{text}");
        }
    }

    #[test]
    fn what_is_typed_is_bounded() {
        let address = |octets: usize| format!("{}@example.com", "a".repeat(octets - "@example.com".len()));
        assert!(Target::read(&address(TYPED_BYTES_MAX), Scope::Anywhere).is_ok());
        assert_eq!(Target::read(&address(TYPED_BYTES_MAX + 1), Scope::Anywhere), Err(Mistyped::Address));
        let host = "a.".repeat(TYPED_BYTES_MAX);
        assert_eq!(Target::read(&host, Scope::Anywhere), Err(Mistyped::Host));
    }

    #[test]
    fn names_of_the_inside_are_for_those_who_are_inside() {
        for (text, mistake) in [("localhost", Mistyped::Host), ("me@localhost", Mistyped::Address)] {
            assert_eq!(
                Target::read(text, Scope::Anywhere).map(|target| target.domain),
                Ok("localhost".into())
            );
            assert_eq!(Target::read(text, Scope::Public), Err(mistake));
        }
        let setting = "imap:intranet:143:none";
        assert_eq!(Now::read(setting, Scope::Anywhere).map(|now| now.host), Ok(Some("intranet".into())));
        assert_eq!(Now::read(setting, Scope::Public), Err(Mistyped::Server));
    }

    #[test]
    fn settings_of_today_are_read() {
        let now = |host: Option<&str>, protocol, port, protection, spa| Now {
            protocol,
            host: host.map(str::to_owned),
            port,
            protection,
            spa,
        };
        for (text, expected) in [
            ("imap:143:none", now(None, Protocol::Imap, 143, Protection::Clear, false)),
            (
                "POP3:mail.Example.com.:995:SSL",
                now(Some("mail.example.com"), Protocol::Pop3, 995, Protection::Implicit, false),
            ),
            (
                "imap:bücher.example:993:ssl",
                now(Some("xn--bcher-kva.example"), Protocol::Imap, 993, Protection::Implicit, false),
            ),
            (" smtp:587:starttls:SPA ", now(None, Protocol::Submission, 587, Protection::StartTls, true)),
            (
                "imap:[2001:db8::1]:993:ssl/tls",
                now(Some("2001:db8::1"), Protocol::Imap, 993, Protection::Implicit, false),
            ),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for (text, mistake) in [
            ("", Mistyped::Setting),
            ("imap", Mistyped::Setting),
            ("imap:993", Mistyped::Setting),
            ("imap::993:ssl", Mistyped::Setting),
            ("imap:0:ssl", Mistyped::Port),
            ("imap:99999:ssl", Mistyped::Port),
            ("imap:993:maybe", Mistyped::Security),
            ("nntp:119:none", Mistyped::Protocol),
            ("imap:a b:993:ssl", Mistyped::Server),
            ("imap:*.example.com:993:ssl", Mistyped::Server),
        ] {
            assert_eq!(text.parse::<Now>(), Err(mistake), "{text}");
        }
    }

    #[test]
    fn fields_of_a_form_are_read_as_the_words_are() {
        let of = |protocol, host, port, security| Now::of(protocol, host, port, security, Scope::Anywhere);
        assert_eq!(of("imap", "Mail.Example.com ", "143", "none"), "imap:mail.example.com:143:none".parse());
        assert_eq!(of("smtp", "", "465", "ssl"), "smtp:465:ssl".parse());
        // A port that brought a host along is no port.
        assert_eq!(of("imap", "", "x.example:143", "none"), Err(Mistyped::Port));
        assert_eq!(of("imap", "a/b.example", "143", "none"), Err(Mistyped::Server));
        assert_eq!(of("imap", "", "143", ""), Err(Mistyped::Security));
        assert_eq!(of("", "", "143", "none"), Err(Mistyped::Protocol));
    }
}
