//! Ready-made services.
//!
//! A preset is a list of rows in the order in which they are recommended to
//! people, and two decisions that belong to it: whether clients may submit where
//! other servers deliver, and whether a password may ever be sent, inside TLS
//! too. Every preset has the web's rows, by which clients configure themselves.
//! What makes a model impossible to serve is in `flaw`.

use super::{Listener, Model, Protection, Protocol, ports};
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
            Preset::Modern => &[IMAPS, POP3S, SUBMISSIONS, SMTP, HTTPS, HTTP],
            Preset::SubmissionFirst => &[IMAPS, POP3S, SUBMISSION, SUBMISSIONS, SMTP, HTTPS, HTTP],
            Preset::Compatible => {
                const {
                    &[
                        IMAPS.both(),
                        POP3S.both(),
                        SUBMISSIONS.both(),
                        SUBMISSION,
                        IMAP,
                        POP3,
                        SUBMISSION_2525,
                        SUBMISSION_2025,
                        SUBMISSION_26,
                        SMTP,
                        HTTPS,
                        HTTP,
                    ]
                }
            }
            Preset::ChallengeOnly => &[IMAPS, POP3S, SUBMISSIONS, SUBMISSION, IMAP, POP3, SMTP, HTTPS, HTTP],
        }
    }

    /// The service of this preset for `host`, each row on all of `addresses`.
    #[must_use]
    pub fn model(self, host: &str, addresses: &[IpAddr]) -> Model {
        Model {
            host: host.to_owned(),
            listeners: self.rows().iter().map(|row| row.listener(addresses)).collect(),
            provider: None,
            clients_on_exchange: self.clients_on_exchange(),
            password_sent: self.password_sent(),
            mail_on_web: false,
            greeting_wait_millis: super::GREETING_WAIT_MILLIS,
        }
    }
}

impl Model {
    /// The demo's service: the rows of a preset and LMTP, on ports that need no privilege.
    #[must_use]
    pub fn demo(host: &str, preset: Preset, addresses: &[IpAddr]) -> Model {
        let mut model = preset.model(host, addresses);
        model.listeners.push(LMTP.listener(addresses));
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
        (Protocol::Web, Protection::Implicit) => Some(ports::HTTPS),
        (Protocol::Web, Protection::Clear) => Some(ports::HTTP),
        (Protocol::Smtp | Protocol::Lmtp, Protection::Implicit)
        | (Protocol::Web, Protection::StartTls)
        | (_, Protection::Clear) => None,
    }
}

#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    protocol: Protocol,
    protection: Protection,
    either_way: bool,
    port: u16,
}

impl Row {
    const fn new(name: &'static str, protocol: Protocol, protection: Protection, port: u16) -> Row {
        Row { name, protocol, protection, either_way: false, port }
    }

    /// The same, mending the other kind of protection too.
    const fn both(self) -> Row {
        Row { either_way: true, ..self }
    }

    fn listener(&self, addresses: &[IpAddr]) -> Listener {
        Listener {
            name: self.name.to_owned(),
            protocol: self.protocol,
            protection: self.protection,
            either_way: self.either_way,
            addresses: addresses.to_vec(),
            port: self.port,
        }
    }
}

const SMTP: Row = Row::new("smtp", Protocol::Smtp, Protection::StartTls, ports::SMTP);
const SUBMISSIONS: Row =
    Row::new("submissions", Protocol::Submission, Protection::Implicit, ports::SUBMISSIONS);
const SUBMISSION: Row = Row::new("submission", Protocol::Submission, Protection::StartTls, ports::SUBMISSION);
const SUBMISSION_26: Row =
    Row::new("submission-26", Protocol::Submission, Protection::StartTls, ports::SUBMISSION_26);
const SUBMISSION_2025: Row =
    Row::new("submission-2025", Protocol::Submission, Protection::StartTls, ports::SUBMISSION_2025);
const SUBMISSION_2525: Row =
    Row::new("submission-2525", Protocol::Submission, Protection::StartTls, ports::SUBMISSION_ALTERNATE);
const IMAPS: Row = Row::new("imaps", Protocol::Imap, Protection::Implicit, ports::IMAPS);
const IMAP: Row = Row::new("imap", Protocol::Imap, Protection::StartTls, ports::IMAP);
const POP3S: Row = Row::new("pop3s", Protocol::Pop3, Protection::Implicit, ports::POP3S);
const POP3: Row = Row::new("pop3", Protocol::Pop3, Protection::StartTls, ports::POP3);
const LMTP: Row = Row::new("lmtp", Protocol::Lmtp, Protection::StartTls, ports::LMTP);
const HTTPS: Row = Row::new("https", Protocol::Web, Protection::Implicit, ports::HTTPS);
const HTTP: Row = Row::new("http", Protocol::Web, Protection::Clear, ports::HTTP);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const ANY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

    /// Each row as `993 imap implicit`, with `+` where the other kind is mended too.
    fn rows(model: &Model) -> Vec<String> {
        let row = |l: &Listener| {
            let protection = match l.protection {
                Protection::Implicit => "implicit",
                Protection::StartTls => "starttls",
                Protection::Clear => "clear",
            };
            format!("{} {} {protection}{}", l.port, l.protocol.word(), if l.either_way { "+" } else { "" })
        };
        model.listeners.iter().map(row).collect()
    }

    fn of(preset: Preset) -> Vec<String> {
        rows(&preset.model("mail.example.test", &ANY))
    }

    #[test]
    fn every_row_of_every_preset() {
        let web = ["443 web implicit", "80 web clear"];
        let all = |rows: &[&'static str]| [rows, &web].concat();
        assert_eq!(
            of(Preset::Modern),
            all(&["993 imap implicit", "995 pop3 implicit", "465 submission implicit", "25 smtp starttls"])
        );
        assert_eq!(
            of(Preset::SubmissionFirst),
            all(&[
                "993 imap implicit",
                "995 pop3 implicit",
                "587 submission starttls",
                "465 submission implicit",
                "25 smtp starttls"
            ])
        );
        assert_eq!(
            of(Preset::Compatible),
            all(&[
                "993 imap implicit+",
                "995 pop3 implicit+",
                "465 submission implicit+",
                "587 submission starttls",
                "143 imap starttls",
                "110 pop3 starttls",
                "2525 submission starttls",
                "2025 submission starttls",
                "26 submission starttls",
                "25 smtp starttls"
            ])
        );
        assert_eq!(
            of(Preset::ChallengeOnly),
            all(&[
                "993 imap implicit",
                "995 pop3 implicit",
                "465 submission implicit",
                "587 submission starttls",
                "143 imap starttls",
                "110 pop3 starttls",
                "25 smtp starttls"
            ])
        );
    }

    #[test]
    fn who_may_submit_and_what_may_be_sent() {
        let decisions = Preset::ALL.map(|preset| (preset.clients_on_exchange(), preset.password_sent()));
        assert_eq!(decisions, [(false, true), (false, true), (true, true), (true, false)]);
    }

    #[test]
    fn presets_are_sound_and_use_registered_ports() {
        let alternates = [ports::SUBMISSION_26, ports::SUBMISSION_2025, ports::SUBMISSION_ALTERNATE];
        for preset in Preset::ALL {
            assert_eq!(Preset::from_name(preset.name()), Some(preset));
            let model = preset.model("mail.example.test", &ANY);
            assert_eq!(model.validate(), []);
            for l in model.listeners.iter().filter(|l| !alternates.contains(&l.port)) {
                assert_eq!(registered_port(l.protocol, l.protection), Some(l.port), "{}", l.name);
            }
        }
        assert_eq!(Preset::from_name("Modern"), None);
    }

    #[test]
    fn the_demo_has_the_same_rows_above_the_privileged_ports() {
        for preset in Preset::ALL {
            let demo = Model::demo("h", preset, &ANY);
            assert_eq!(demo.validate(), []);
            let mut lifted = preset.model("h", &ANY);
            lifted.listeners.push(LMTP.listener(&ANY));
            lifted.listeners.iter_mut().for_each(|l| l.port += ports::DEMO_OFFSET);
            assert_eq!(rows(&demo), rows(&lifted));
        }
    }
}
