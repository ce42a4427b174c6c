//! The one model of the service: which protocols, where, how protected.
//!
//! Every port number of the program stands in [`ports`]; listeners, refusals,
//! and later every discovery document are rendered from a [`Model`].

pub mod preset;

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
    /// LMTP has no registered port; this is the customary one.
    pub const LMTP: u16 = 24;
    /// Submission for networks that block the registered ports; also where the demo relays to.
    pub const SUBMISSION_ALTERNATE: u16 = 2525;
    /// Added to each port by the demo, so that it needs no privilege.
    pub const DEMO_OFFSET: u16 = 10_000;
}

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
}

/// How a listener protects its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// TLS from the first byte.
    Implicit,
    /// Clear start; STARTTLS offered (SMTP, LMTP) or demanded before login (all others).
    StartTls,
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
    /// Addresses to bind, without port.
    pub addresses: Vec<std::net::IpAddr>,
    /// Port; 0 lets the system choose (demo).
    pub port: u16,
}

/// The whole service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name clients connect to and the certificate covers; also our EHLO name.
    pub host: String,
    /// In the order in which they are recommended.
    pub listeners: Vec<Listener>,
}
