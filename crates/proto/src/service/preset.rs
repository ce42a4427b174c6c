//! Ready-made services, and what makes a model impossible to serve.
//!
//! A preset is a list of rows in the order in which they are recommended to
//! people, and two decisions that belong to it: whether clients may submit where
//! other servers deliver, and whether a password may ever be sent, inside TLS
//! too. Either-way listeners and the
//! alternate submission ports are not here: they come with their own setting.

use super::{Listener, Model, Protection, Protocol, ports};
use std::fmt;
use std::net::IpAddr;

/// A ready-made service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Implicit TLS for people, SMTP for other servers, nothing else.
    #[default]
    Modern,
    /// STARTTLS submission offered first, implicit TLS behind it.
    SubmissionFirst,
    /// Every row that there is, implicit TLS offered first.
    Compatible,
    /// Mechanisms that never send the password, STARTTLS rows as fall-backs.
    ChallengeOnly,
}

impl Preset {
    /// All presets, the default first.
    pub const ALL: [Preset; 4] =
        [Preset::Modern, Preset::SubmissionFirst, Preset::Compatible, Preset::ChallengeOnly];

    /// The word in settings: `submission-first`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Modern => "modern",
            Preset::SubmissionFirst => "submission-first",
            Preset::Compatible => "compatible",
            Preset::ChallengeOnly => "challenge-only",
        }
    }

    /// The preset of that word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Preset> {
        Preset::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// May people submit mail where other servers deliver (after STARTTLS and login)?
    #[must_use]
    pub const fn clients_on_exchange(self) -> bool {
        matches!(self, Preset::Compatible | Preset::ChallengeOnly)
    }

    /// May a mechanism that sends the password be offered, inside TLS?
    #[must_use]
    pub const fn password_sent(self) -> bool {
        !matches!(self, Preset::ChallengeOnly)
    }

    /// The rows, recommended ones first.
    fn rows(self) -> &'static [Row] {
        match self {
            Preset::Modern => &[IMAPS, POP3S, SUBMISSIONS, SMTP],
            Preset::SubmissionFirst => &[IMAPS, POP3S, SUBMISSION, SUBMISSIONS, SMTP],
            Preset::Compatible | Preset::ChallengeOnly => {
                &[IMAPS, POP3S, SUBMISSIONS, SUBMISSION, IMAP, POP3, SMTP]
            }
        }
    }

    /// The service of this preset for `host`, each row on all of `addresses`.
    #[must_use]
    pub fn model(self, host: &str, addresses: &[IpAddr]) -> Model {
        let listener = |row: &Row| Listener {
            name: row.name.to_owned(),
            protocol: row.protocol,
            protection: row.protection,
            addresses: addresses.to_vec(),
            port: row.port,
        };
        Model { host: host.to_owned(), listeners: self.rows().iter().map(listener).collect() }
    }
}

impl Model {
    /// The demo's service: the rows of a preset and LMTP, on ports that need no privilege.
    #[must_use]
    pub fn demo(host: &str, preset: Preset, addresses: &[IpAddr]) -> Model {
        let mut model = preset.model(host, addresses);
        model.listeners.push(Listener {
            name: LMTP.name.to_owned(),
            protocol: LMTP.protocol,
            protection: LMTP.protection,
            addresses: addresses.to_vec(),
            port: LMTP.port,
        });
        for listener in &mut model.listeners {
            listener.port += ports::DEMO_OFFSET;
        }
        model
    }
}

/// The registered port of a protocol with a protection; `None` where there is
/// none (LMTP and SMTP with implicit TLS).
#[must_use]
pub fn registered_port(protocol: Protocol, protection: Protection) -> Option<u16> {
    match (protocol, protection) {
        (Protocol::Smtp, Protection::StartTls) => Some(ports::SMTP),
        (Protocol::Submission, Protection::Implicit) => Some(ports::SUBMISSIONS),
        (Protocol::Submission, Protection::StartTls) => Some(ports::SUBMISSION),
        (Protocol::Imap, Protection::Implicit) => Some(ports::IMAPS),
        (Protocol::Imap, Protection::StartTls) => Some(ports::IMAP),
        (Protocol::Pop3, Protection::Implicit) => Some(ports::POP3S),
        (Protocol::Pop3, Protection::StartTls) => Some(ports::POP3),
        (Protocol::Lmtp, Protection::StartTls) => Some(ports::LMTP),
        (Protocol::Smtp | Protocol::Lmtp, Protection::Implicit) => None,
    }
}

/// What makes a model impossible to serve; `Display` gives the sentence.
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
}

impl Flaw {
    /// Index of the listener that has to be changed, if it is one listener's flaw.
    #[must_use]
    pub fn listener(&self) -> Option<usize> {
        match self {
            Flaw::NoHost | Flaw::NoListeners => None,
            Flaw::Nameless { listener }
            | Flaw::SameName { listener, .. }
            | Flaw::NoAddress { listener, .. }
            | Flaw::SameSocket { listener, .. } => Some(*listener),
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
        }
    }
}

impl Model {
    /// All flaws, in the order of the listeners; empty means that it can be served.
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
            let earlier = &self.listeners[..index];
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
                flaws.push(Flaw::SameSocket {
                    listener: index,
                    name: name(),
                    other: other.name.clone(),
                    address,
                    port: listener.port,
                });
            }
        }
        flaws
    }
}

struct Row {
    name: &'static str,
    protocol: Protocol,
    protection: Protection,
    port: u16,
}

const SMTP: Row =
    Row { name: "smtp", protocol: Protocol::Smtp, protection: Protection::StartTls, port: ports::SMTP };
const SUBMISSIONS: Row = Row {
    name: "submissions",
    protocol: Protocol::Submission,
    protection: Protection::Implicit,
    port: ports::SUBMISSIONS,
};
const SUBMISSION: Row = Row {
    name: "submission",
    protocol: Protocol::Submission,
    protection: Protection::StartTls,
    port: ports::SUBMISSION,
};
const IMAPS: Row =
    Row { name: "imaps", protocol: Protocol::Imap, protection: Protection::Implicit, port: ports::IMAPS };
const IMAP: Row =
    Row { name: "imap", protocol: Protocol::Imap, protection: Protection::StartTls, port: ports::IMAP };
const POP3S: Row =
    Row { name: "pop3s", protocol: Protocol::Pop3, protection: Protection::Implicit, port: ports::POP3S };
const LMTP: Row =
    Row { name: "lmtp", protocol: Protocol::Lmtp, protection: Protection::StartTls, port: ports::LMTP };
const POP3: Row =
    Row { name: "pop3", protocol: Protocol::Pop3, protection: Protection::StartTls, port: ports::POP3 };

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
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const ANY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

    fn rows(preset: Preset) -> Vec<(u16, Protocol, Protection)> {
        let model = preset.model("mail.example.test", &ANY);
        model.listeners.iter().map(|l| (l.port, l.protocol, l.protection)).collect()
    }

    #[test]
    fn every_row_of_every_preset() {
        use Protection::{Implicit, StartTls};
        use Protocol::{Imap, Pop3, Smtp, Submission};
        assert_eq!(
            rows(Preset::Modern),
            [(993, Imap, Implicit), (995, Pop3, Implicit), (465, Submission, Implicit), (25, Smtp, StartTls)]
        );
        assert_eq!(
            rows(Preset::SubmissionFirst),
            [
                (993, Imap, Implicit),
                (995, Pop3, Implicit),
                (587, Submission, StartTls),
                (465, Submission, Implicit),
                (25, Smtp, StartTls)
            ]
        );
        let all = [
            (993, Imap, Implicit),
            (995, Pop3, Implicit),
            (465, Submission, Implicit),
            (587, Submission, StartTls),
            (143, Imap, StartTls),
            (110, Pop3, StartTls),
            (25, Smtp, StartTls),
        ];
        assert_eq!(rows(Preset::Compatible), all);
        assert_eq!(rows(Preset::ChallengeOnly), all);
        assert!(!Preset::ChallengeOnly.password_sent());
        assert!(Preset::Compatible.password_sent());
        assert!(!Preset::Modern.clients_on_exchange() && !Preset::SubmissionFirst.clients_on_exchange());
    }

    #[test]
    fn presets_are_sound_and_use_registered_ports() {
        for preset in Preset::ALL {
            assert_eq!(Preset::from_name(preset.name()), Some(preset));
            let model = preset.model("mail.example.test", &ANY);
            assert_eq!(model.validate(), []);
            for l in &model.listeners {
                assert_eq!(registered_port(l.protocol, l.protection), Some(l.port), "{}", l.name);
            }
        }
        assert_eq!(Preset::from_name("Modern"), None);
    }

    #[test]
    fn flaws_are_all_found() {
        assert_eq!(
            Model { host: String::new(), listeners: vec![] }.validate(),
            [Flaw::NoHost, Flaw::NoListeners]
        );
        let mut model = Preset::Modern.model("h", &ANY);
        model.listeners[1].name = "imaps".into();
        model.listeners[1].port = 993;
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
}
