//! What is wrong with a model or with a domain's rules, in plain words and with a remedy.
//!
//! An error keeps the service from starting; a warning is a service that works and surprises somebody. What
//! must hold: each flaw names what has to be changed. Where in a file that stands is the reader's business.

use super::policy::{ClearLogin, DomainPolicy, Way};
use super::preset::registered_port;
use super::{Listener, Model, Protection, Protocol};
use crate::sasl::Mechanism;
use std::fmt;
use std::net::IpAddr;

/// How bad a flaw is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It cannot be served.
    Error,
    /// It can, and is hardly what was meant.
    Warning,
}

/// What is wrong with a model; `Display` gives the sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// No host name.
    NoHost,
    /// No listener at all.
    NoListeners,
    /// A listener without a name.
    Nameless {
        /// Index of the listener.
        listener: usize,
    },
    /// Two listeners of one name.
    SameName {
        /// Index of the later one.
        listener: usize,
        /// The name.
        name: String,
    },
    /// A listener without addresses.
    NoAddress {
        /// Index of the listener.
        listener: usize,
        /// Its name.
        name: String,
    },
    /// Two listeners want one address and port.
    SameSocket {
        /// Index of the later one.
        listener: usize,
        /// Its name.
        name: String,
        /// Name of the earlier one.
        other: String,
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// A protocol with a protection that it does not have here.
    Unservable {
        /// Index of the listener.
        listener: usize,
        /// Its name.
        name: String,
        /// What is spoken.
        protocol: Protocol,
    },
    /// Either-way where there is no other way.
    EitherWay {
        /// Index of the listener.
        listener: usize,
        /// Its name.
        name: String,
    },
    /// A registered port with another service than clients expect there.
    LooksLikeAnother {
        /// Index of the listener.
        listener: usize,
        /// Its name.
        name: String,
        /// The port.
        port: u16,
        /// What clients expect.
        expected: Protocol,
        /// How.
        protection: Protection,
    },
    /// Mail over the web's port, and no such port.
    MailOnWeb,
    /// Clients may submit where other servers deliver, and nothing listens there.
    ClientsWithoutExchange,
    /// No certificate covers a host that clients connect to.
    NotCovered {
        /// The host.
        host: String,
    },
}

impl Flaw {
    /// How bad it is.
    #[must_use]
    pub fn weight(&self) -> Weight {
        match self {
            Flaw::LooksLikeAnother { .. }
            | Flaw::MailOnWeb
            | Flaw::ClientsWithoutExchange
            | Flaw::NotCovered { .. } => Weight::Warning,
            _ => Weight::Error,
        }
    }

    /// Index of the listener that has to be changed, if it is one listener's flaw.
    #[must_use]
    pub fn listener(&self) -> Option<usize> {
        match self {
            Flaw::NoHost
            | Flaw::NoListeners
            | Flaw::MailOnWeb
            | Flaw::ClientsWithoutExchange
            | Flaw::NotCovered { .. } => None,
            Flaw::Nameless { listener }
            | Flaw::SameName { listener, .. }
            | Flaw::NoAddress { listener, .. }
            | Flaw::SameSocket { listener, .. }
            | Flaw::Unservable { listener, .. }
            | Flaw::EitherWay { listener, .. }
            | Flaw::LooksLikeAnother { listener, .. } => Some(*listener),
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Flaw::NoHost => "name the host that clients connect to",
            Flaw::NoListeners => "choose a preset or write listeners",
            Flaw::Nameless { .. } | Flaw::SameName { .. } => "give each listener a name of its own",
            Flaw::NoAddress { .. } => "name one address at least",
            Flaw::SameSocket { .. } => "give one of the two another port, or addresses that do not meet",
            Flaw::Unservable { protocol: Protocol::Web, .. } => {
                "write \"implicit\" for HTTPS or \"none\" for the redirect to it"
            }
            Flaw::Unservable { .. } => "write \"implicit\" or \"starttls\"",
            Flaw::EitherWay { .. } => "take either_way away",
            Flaw::LooksLikeAnother { .. } => {
                "choose the security that clients expect there, set either_way = true, or take another port"
            }
            Flaw::MailOnWeb => {
                "add a listener with protocol \"web\" and security \"implicit\", or take it away"
            }
            Flaw::ClientsWithoutExchange => "add a listener with protocol \"smtp\", or take it away",
            Flaw::NotCovered { .. } => "get a certificate that names it, or clients will refuse to connect",
        }
    }

    /// True if nothing here can be spoken so.
    #[must_use]
    pub fn unservable(protocol: Protocol, protection: Protection) -> bool {
        match protection {
            Protection::Implicit => false,
            Protection::StartTls => protocol == Protocol::Web,
            Protection::Clear => protocol != Protocol::Web,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::NoHost => f.write_str("the service has no host name"),
            Flaw::NoListeners => f.write_str("the service has no listener, so nobody could reach it"),
            Flaw::Nameless { listener } => write!(f, "listener {} has no name", listener + 1),
            Flaw::SameName { name, .. } => write!(f, "two listeners are named \"{name}\""),
            Flaw::NoAddress { name, .. } => write!(f, "listener \"{name}\" has no address to listen on"),
            Flaw::SameSocket { name, other, address, port, .. } => {
                write!(f, "listeners \"{other}\" and \"{name}\" both want {address} port {port}")
            }
            Flaw::Unservable { name, protocol: Protocol::Web, .. } => {
                write!(f, "listener \"{name}\": the web knows no STARTTLS")
            }
            Flaw::Unservable { name, .. } => {
                write!(f, "listener \"{name}\": mail is not served without encryption")
            }
            Flaw::EitherWay { name, .. } => {
                write!(
                    f,
                    "listener \"{name}\": only IMAP, POP3, submission and SMTP can be served either way"
                )
            }
            Flaw::LooksLikeAnother { name, port, expected, protection, .. } => {
                let how =
                    if *protection == Protection::Implicit { "TLS from the first byte" } else { "STARTTLS" };
                let expected = expected.word();
                write!(f, "listener \"{name}\": at port {port} clients expect {expected} with {how}")
            }
            Flaw::MailOnWeb => {
                f.write_str("mail is to be served on the web's port, and there is none with TLS")
            }
            Flaw::ClientsWithoutExchange => {
                f.write_str("people may submit where other servers deliver, and nothing listens for those")
            }
            Flaw::NotCovered { host } => write!(f, "no certificate covers {host}"),
        }
    }
}

impl Model {
    /// All flaws, those of listeners in their order; no errors means that it can be served.
    #[must_use]
    pub fn validate(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if self.host.is_empty() {
            flaws.push(Flaw::NoHost);
        }
        if self.listeners.is_empty() {
            flaws.push(Flaw::NoListeners);
        }
        for (index, listener) in self.listeners.iter().enumerate() {
            of_listener(index, listener, &self.listeners[..index], &mut flaws);
        }
        let has = |protocol, protection| {
            self.listeners.iter().any(|l| l.protocol == protocol && l.protection == protection)
        };
        if self.mail_on_web && !has(Protocol::Web, Protection::Implicit) {
            flaws.push(Flaw::MailOnWeb);
        }
        if self.clients_on_exchange && !self.listeners.iter().any(|l| l.protocol == Protocol::Smtp) {
            flaws.push(Flaw::ClientsWithoutExchange);
        }
        flaws
    }

    /// Hosts that clients connect to, ours and those of the domains' rules, that no certificate covers.
    #[must_use]
    pub fn uncovered<'a>(
        &'a self,
        policies: impl IntoIterator<Item = &'a DomainPolicy>,
        covered: impl Fn(&str) -> bool,
    ) -> Vec<Flaw> {
        let own = policies.into_iter().filter_map(|policy| policy.host.as_deref());
        let hosts: std::collections::BTreeSet<&str> =
            std::iter::once(self.host.as_str()).chain(own).collect();
        hosts
            .into_iter()
            .filter(|host| !covered(host))
            .map(|host| Flaw::NotCovered { host: host.to_owned() })
            .collect()
    }
}

/// What is wrong with a domain's rules on this service; `Display` gives the sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyFlaw {
    /// None of its mechanisms is offered.
    NoMechanism,
    /// CRAM-MD5 is listed and no verifiers are kept.
    NoVerifiers,
    /// A way that leads nowhere.
    Closed(Way),
    /// No way in is left.
    NoWay,
    /// Logins in clear are allowed and every row begins with TLS.
    NoClearRow,
}

impl fmt::Display for PolicyFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicyFlaw::NoMechanism => {
                f.write_str("nobody can log in: the service offers none of the mechanisms that the domain allows")
            }
            PolicyFlaw::NoVerifiers => f.write_str(
                "CRAM-MD5 is allowed, but no verifiers are kept for it, so no account can use it: sealpost domain add --cram-md5 --replace",
            ),
            PolicyFlaw::Closed(way) => {
                write!(f, "port {} ({}) is allowed, and nothing listens there", way.port, way.protocol.word())
            }
            PolicyFlaw::NoWay => f.write_str("nobody can connect: the service has none of the ports that the domain allows"),
            PolicyFlaw::NoClearRow => f.write_str(
                "logins in clear are allowed, but every port begins with TLS: a preset with 143, 110 or 587 has those that do not",
            ),
        }
    }
}

/// What is wrong with a domain's rules on this service. None of it keeps the service from running.
#[must_use]
pub fn of_policy(model: &Model, policy: &DomainPolicy) -> Vec<PolicyFlaw> {
    let mut flaws = Vec::new();
    let sends = |mechanism| matches!(mechanism, Mechanism::Plain | Mechanism::Login);
    let works =
        |mechanism: &Mechanism| policy.takes(*mechanism) && (model.password_sent || !sends(*mechanism));
    // A certificate is nobody's only way in unless the operator says so.
    let listed = policy.mechanisms.as_deref().unwrap_or(&Mechanism::ALL);
    if !listed.iter().any(works) {
        flaws.push(PolicyFlaw::NoMechanism);
    }
    let named = policy.mechanisms.as_deref().is_some_and(|list| list.contains(&Mechanism::CramMd5));
    if named && !policy.cram_md5 {
        flaws.push(PolicyFlaw::NoVerifiers);
    }
    if let Some(ways) = &policy.ways {
        let open = |way: &Way| model.ways_at(way.port).contains(way);
        flaws.extend(ways.iter().filter(|way| !open(way)).map(|way| PolicyFlaw::Closed(*way)));
        if !ways.iter().any(open) {
            flaws.push(PolicyFlaw::NoWay);
        }
    }
    let begins_clear =
        |l: &Listener| is_mail(l.protocol) && (l.protection == Protection::StartTls || l.either_way);
    let client_row = |l: &&Listener| l.protocol != Protocol::Smtp || model.clients_on_exchange;
    if policy.clear_login == ClearLogin::Staged
        && !model.listeners.iter().filter(client_row).any(begins_clear)
    {
        flaws.push(PolicyFlaw::NoClearRow);
    }
    flaws
}

fn of_listener(index: usize, listener: &Listener, earlier: &[Listener], flaws: &mut Vec<Flaw>) {
    let name = || listener.name.clone();
    if listener.name.is_empty() {
        flaws.push(Flaw::Nameless { listener: index });
    } else if earlier.iter().any(|e| e.name == listener.name) {
        flaws.push(Flaw::SameName { listener: index, name: name() });
    }
    if listener.addresses.is_empty() {
        flaws.push(Flaw::NoAddress { listener: index, name: name() });
    }
    if let Some((other, address)) = earlier.iter().find_map(|e| Some((e, collision(e, listener)?))) {
        let other = other.name.clone();
        flaws.push(Flaw::SameSocket { listener: index, name: name(), other, address, port: listener.port });
    }
    if Flaw::unservable(listener.protocol, listener.protection) {
        flaws.push(Flaw::Unservable { listener: index, name: name(), protocol: listener.protocol });
    } else if listener.either_way && !is_mail(listener.protocol) {
        flaws.push(Flaw::EitherWay { listener: index, name: name() });
    } else if let Some((expected, protection)) = registered(listener.port)
        && (expected != listener.protocol || (protection != listener.protection && !listener.either_way))
    {
        let port = listener.port;
        flaws.push(Flaw::LooksLikeAnother { listener: index, name: name(), port, expected, protection });
    }
}

/// Protocols of which clients begin with TLS or wait for a greeting.
fn is_mail(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Imap | Protocol::Pop3 | Protocol::Submission | Protocol::Smtp)
}

/// What is registered for a port.
fn registered(port: u16) -> Option<(Protocol, Protection)> {
    let protections = [Protection::Implicit, Protection::StartTls, Protection::Clear];
    let all = Protocol::ALL.into_iter().flat_map(|protocol| protections.map(|p| (protocol, p)));
    // Nobody expects anything at the customary port of LMTP.
    let expected = |(protocol, _): &(Protocol, Protection)| *protocol != Protocol::Lmtp;
    all.filter(expected).find(|(protocol, protection)| registered_port(*protocol, *protection) == Some(port))
}

/// The address on which both would listen. Port 0 never collides: the system
/// chooses another each time. The unspecified address covers all of its family.
fn collision(a: &Listener, b: &Listener) -> Option<IpAddr> {
    if a.port != b.port || b.port == 0 {
        return None;
    }
    let meet = |x: &IpAddr, y: &IpAddr| {
        x == y || (x.is_ipv4() == y.is_ipv4() && (x.is_unspecified() || y.is_unspecified()))
    };
    b.addresses.iter().find(|y| a.addresses.iter().any(|x| meet(x, y))).copied()
}

#[cfg(test)]
mod tests {
    use super::super::preset::Preset;
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const ANY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

    #[test]
    fn flaws_are_all_found() {
        assert_eq!(
            Model { host: String::new(), listeners: vec![], ..Preset::Modern.model("", &ANY) }.validate(),
            [Flaw::NoHost, Flaw::NoListeners]
        );
        let mut model = Preset::Modern.model("h", &ANY);
        model.listeners[1] = model.listeners[0].clone();
        model.listeners[1].addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
        model.listeners[2].name = String::new();
        model.listeners[2].addresses = vec![];
        assert_eq!(
            model.validate(),
            [
                Flaw::SameName { listener: 1, name: "imaps".into() },
                Flaw::SameSocket {
                    listener: 1,
                    name: "imaps".into(),
                    other: "imaps".into(),
                    address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                    port: 993
                },
                Flaw::Nameless { listener: 2 },
                Flaw::NoAddress { listener: 2, name: String::new() },
            ]
        );
    }

    #[test]
    fn port_zero_and_other_families_do_not_collide() {
        let mut model = Preset::Modern.model("h", &ANY);
        for l in &mut model.listeners {
            l.port = 0;
        }
        assert_eq!(model.validate(), []);
        model.listeners[0].addresses = vec![ANY[0]];
        model.listeners[1].addresses = vec![ANY[1]];
        model.listeners[0].port = 7;
        model.listeners[1].port = 7;
        assert_eq!(model.validate(), []);
    }

    fn said(change: impl FnOnce(&mut Model)) -> Vec<(Weight, String)> {
        let mut model = Preset::Modern.model("h", &ANY);
        change(&mut model);
        model.validate().iter().map(|flaw| (flaw.weight(), flaw.to_string())).collect()
    }

    #[test]
    fn what_cannot_be_spoken_so_is_an_error() {
        let error = |text: &str| vec![(Weight::Error, text.to_owned())];
        assert_eq!(
            said(|m| m.listeners[0].protection = Protection::Clear),
            error("listener \"imaps\": mail is not served without encryption")
        );
        assert_eq!(
            said(|m| m.listeners[4].protection = Protection::StartTls),
            error("listener \"https\": the web knows no STARTTLS")
        );
        assert_eq!(
            said(|m| m.listeners[4].either_way = true),
            error("listener \"https\": only IMAP, POP3, submission and SMTP can be served either way")
        );
    }

    #[test]
    fn what_surprises_people_is_a_warning() {
        let warning = |text: &str| vec![(Weight::Warning, text.to_owned())];
        let expects = "listener \"imaps\": at port 993 clients expect imap with TLS from the first byte";
        assert_eq!(said(|m| m.listeners[0].protection = Protection::StartTls), warning(expects));
        assert_eq!(said(|m| m.listeners[0].protocol = Protocol::Pop3), warning(expects));
        let both = |m: &mut Model| {
            m.listeners[0].protection = Protection::StartTls;
            m.listeners[0].either_way = true;
        };
        assert_eq!(said(both), []);
        let web = |m: &mut Model| {
            m.mail_on_web = true;
            m.listeners.truncate(4);
        };
        assert_eq!(said(web), warning("mail is to be served on the web's port, and there is none with TLS"));
        let clients = |m: &mut Model| {
            m.clients_on_exchange = true;
            m.listeners.remove(3);
        };
        let text = "people may submit where other servers deliver, and nothing listens for those";
        assert_eq!(said(clients), warning(text));
    }

    #[test]
    fn certificates_cover_hosts_or_not() {
        let model = Preset::Modern.model("mail.example.test", &ANY);
        let policy = DomainPolicy { host: Some("mx.a.test".into()), ..DomainPolicy::default() };
        let without = |name: &str| {
            let flaws = model.uncovered([&policy, &DomainPolicy::default()], |host| host.ends_with(name));
            flaws.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(without(".test"), [] as [&str; 0]);
        assert_eq!(without(".a.test"), ["no certificate covers mail.example.test"]);
        let both = ["no certificate covers mail.example.test", "no certificate covers mx.a.test"];
        assert_eq!(without("else"), both);
    }

    #[test]
    fn rules_that_lock_everybody_out_are_found() {
        let of = |preset: Preset, policy: DomainPolicy| of_policy(&preset.model("h", &ANY), &policy);
        let base = DomainPolicy::default;
        for preset in Preset::ALL {
            assert_eq!(of(preset, base()), []);
        }
        let only = |list: &[Mechanism]| DomainPolicy { mechanisms: Some(list.to_vec()), ..base() };
        assert_eq!(of(Preset::ChallengeOnly, only(&[Mechanism::Plain])), [PolicyFlaw::NoMechanism]);
        assert_eq!(of(Preset::Modern, only(&[Mechanism::Plain])), []);
        assert_eq!(
            of(Preset::Modern, only(&[Mechanism::CramMd5])),
            [PolicyFlaw::NoMechanism, PolicyFlaw::NoVerifiers]
        );
        let cram = DomainPolicy { cram_md5: true, ..only(&[Mechanism::CramMd5]) };
        assert_eq!(of(Preset::Modern, cram), []);
        let way = |protocol, port| Way { protocol, port };
        let (closed, open) = (way(Protocol::Imap, 143), way(Protocol::Imap, 993));
        let ways = |list: &[Way]| DomainPolicy { ways: Some(list.to_vec()), ..base() };
        assert_eq!(of(Preset::Modern, ways(&[closed, open])), [PolicyFlaw::Closed(closed)]);
        assert_eq!(of(Preset::Modern, ways(&[closed])), [PolicyFlaw::Closed(closed), PolicyFlaw::NoWay]);
        let staged = DomainPolicy { clear_login: ClearLogin::Staged, ..base() };
        assert_eq!(of(Preset::Modern, staged.clone()), [PolicyFlaw::NoClearRow]);
        assert_eq!(of(Preset::Compatible, staged), []);
    }
}
