//! The one model of the service: which protocols, where, how protected.
//!
//! Every port number of the program stands in [`ports`]; listeners, refusals,
//! and later every discovery document are rendered from a [`Model`].

pub mod flaw;
pub mod policy;
pub mod preset;
pub mod publish;
pub mod sniff;

/// Registered port numbers: the only place where they are written.
pub mod ports {
    /// SMTP between servers.
    pub const SMTP: u16 = 25;
    /// Submission with implicit TLS (RFC 8314).
    pub const SUBMISSIONS: u16 = 465;
    /// Submission with STARTTLS (RFC 6409).
    pub const SUBMISSION: u16 = 587;
    /// IMAP with STARTTLS.
    pub const IMAP: u16 = 143;
    /// IMAP with implicit TLS.
    pub const IMAPS: u16 = 993;
    /// POP3 with STLS.
    pub const POP3: u16 = 110;
    /// POP3 with implicit TLS.
    pub const POP3S: u16 = 995;
    /// Submission beside the registered port, as some networks and hosters use it.
    pub const SUBMISSION_26: u16 = 26;
    /// The same, another custom.
    pub const SUBMISSION_2025: u16 = 2025;
    /// The web with TLS.
    pub const HTTPS: u16 = 443;
    /// The web without: redirect and ACME only.
    pub const HTTP: u16 = 80;
    /// ManageSieve (RFC 5804).
    pub const SIEVE: u16 = 4190;
    /// LMTP has no registered port; this is the customary one.
    pub const LMTP: u16 = 24;
    /// Submission for networks that block the registered ports; also where the demo relays to.
    pub const SUBMISSION_ALTERNATE: u16 = 2525;
    /// Added to each port by the demo, so that it needs no privilege.
    pub const DEMO_OFFSET: u16 = 10_000;
}

/// Milliseconds that an either-way listener waits for a ClientHello, if the settings do not say.
pub const GREETING_WAIT_MILLIS: u32 = 300;

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// SMTP from other servers.
    Smtp,
    /// Message submission.
    Submission,
    /// LMTP from another MTA on this host.
    Lmtp,
    /// POP3.
    Pop3,
    /// IMAP.
    Imap,
    /// HTTP.
    Web,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 6] =
        [Protocol::Smtp, Protocol::Submission, Protocol::Lmtp, Protocol::Pop3, Protocol::Imap, Protocol::Web];

    /// The word in settings, facts, logs and stored rules.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Protocol::Smtp => "smtp",
            Protocol::Submission => "submission",
            Protocol::Lmtp => "lmtp",
            Protocol::Pop3 => "pop3",
            Protocol::Imap => "imap",
            Protocol::Web => "web",
        }
    }

    /// The protocol of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Protocol> {
        Protocol::ALL.into_iter().find(|protocol| protocol.word() == word)
    }
}

/// How a listener protects its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protection {
    /// TLS from the first byte.
    Implicit,
    /// Clear start; STARTTLS offered (SMTP, LMTP) or demanded before login (all others).
    StartTls,
    /// Never TLS. Of ours only the web's redirect; other providers have such rows.
    Clear,
}

/// One row of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name in settings, logs and facts: `pop3s`.
    pub name: String,
    /// What is spoken.
    pub protocol: Protocol,
    /// How it is protected.
    pub protection: Protection,
    /// The other kind of protection is mended here too: a ClientHello starts TLS, a client that waits is greeted.
    pub either_way: bool,
    /// Addresses to bind, without port.
    pub addresses: Vec<std::net::IpAddr>,
    /// Port; 0 lets the system choose (demo).
    pub port: u16,
}

impl Listener {
    /// True if only programs of the same machine reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        !self.addresses.is_empty() && self.addresses.iter().all(std::net::IpAddr::is_loopback)
    }
}

/// The whole service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name clients connect to and the certificate covers; also our EHLO name.
    pub host: String,
    /// In the order in which they are recommended.
    pub listeners: Vec<Listener>,
    /// Name of the service for people; each domain's own name if `None`.
    pub provider: Option<String>,
    /// People may submit mail where other servers deliver, after STARTTLS and login.
    pub clients_on_exchange: bool,
    /// Mechanisms that send the password are offered, inside TLS.
    pub password_sent: bool,
    /// IMAP and submission on the web's TLS port for clients that ask for them by ALPN (`imap`, `submissions`).
    pub mail_on_web: bool,
    /// Milliseconds that an either-way listener with implicit TLS waits for a ClientHello before it greets.
    pub greeting_wait_millis: u32,
}
