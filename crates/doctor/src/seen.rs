//! What was seen, as plain values: the border between asking (async, sockets) and judging (pure).

use crate::Port;
use proto::discovery::Document;
use proto::service::Protocol;
use serde::Serialize;
use std::net::IpAddr;

/// A place that clients ask for settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// `autoconfig.DOMAIN/mail/config-v1.1.xml`.
    Autoconfig,
    /// `DOMAIN/.well-known/autoconfig/mail/config-v1.1.xml`.
    WellKnown,
    /// The public ISP database.
    IspDb,
    /// Autoconfig by the domain of the MX.
    AutoconfigMx,
    /// Autodiscover, POX.
    Autodiscover,
    /// Autodiscover, JSON.
    AutodiscoverJson,
    /// PACC.
    Pacc,
    /// SRV records.
    Srv,
    /// MX records.
    Mx,
    /// Names that people guess.
    Guess,
}

impl Source {
    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Source::Autoconfig => "Autoconfig",
            Source::WellKnown => "Autoconfig (.well-known)",
            Source::IspDb => "ISP database",
            Source::AutoconfigMx => "Autoconfig by MX",
            Source::Autodiscover => "Autodiscover",
            Source::AutodiscoverJson => "Autodiscover (JSON)",
            Source::Pacc => "PACC",
            Source::Srv => "SRV records",
            Source::Mx => "MX records",
            Source::Guess => "Usual names",
        }
    }
}

/// What one source said.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Which.
    pub source: Source,
    /// URL or name that was asked.
    pub asked: String,
    /// The full address was sent there.
    pub sent_address: bool,
    /// What came.
    pub outcome: Outcome,
}

/// What came of asking.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Switched off, or not asked because the address is not known; why.
    NotAsked(String),
    /// Nothing there; why (no such host, 404).
    Nothing(String),
    /// Something that no client can use; why.
    Broken(String),
    /// Settings.
    Found(Document),
}

impl Outcome {
    /// In a word, for a progress display.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::NotAsked(_) => "not asked",
            Outcome::Nothing(_) => "nothing",
            Outcome::Broken(_) => "broken",
            Outcome::Found(_) => "found",
        }
    }
}

/// All that was looked up.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// In the order of [`Source`].
    pub looked: Vec<Looked>,
    /// MX hosts, best first.
    pub mx: Vec<String>,
    /// Guessed names that have an address, the likeliest first.
    pub guessed: Vec<String>,
}

/// A place to probe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Host name (or address) as a person would type it.
    pub host: String,
    /// Port and what is expected there.
    pub port: Port,
    /// The sources that name it; empty if only guessed or asked for by the person.
    pub sources: Vec<Source>,
}

/// What one connection attempt to one family of a host's addresses showed.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Where.
    pub place: Place,
    /// The address that was connected to (or tried last).
    pub address: Option<IpAddr>,
    /// IPv6 (both families are probed where the host has both).
    pub ipv6: bool,
    /// Could it be reached?
    pub reach: Reach,
    /// What came first.
    pub first: First,
    /// What is spoken there, if it could be told.
    pub protocol: Option<Protocol>,
    /// Greeting text, cut to 200 printable characters.
    pub greeting: Option<String>,
    /// What is offered in clear.
    pub clear: Option<Offer>,
    /// The upgrade.
    pub starttls: StartTls,
    /// TLS, from the first octet or after the upgrade.
    pub tls: Option<TlsSeen>,
    /// What is offered under TLS.
    pub encrypted: Option<Offer>,
    /// Signing in, if asked.
    pub login: Option<LoginSeen>,
    /// What was said, for `--verbose`; secrets masked.
    pub transcript: Vec<Line>,
}

impl Probe {
    /// A probe of which nothing is known but whether the port could be reached.
    #[must_use]
    pub fn blank(place: Place, ipv6: bool, reach: Reach) -> Probe {
        Probe {
            place,
            address: None,
            ipv6,
            reach,
            first: First::None,
            protocol: None,
            greeting: None,
            clear: None,
            starttls: StartTls::NotTried,
            tls: None,
            encrypted: None,
            login: None,
            transcript: Vec::new(),
        }
    }
}

/// A line of a transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Milliseconds since the probe began.
    pub at_millis: u64,
    /// `C`, `S`, or `-` for remarks of the doctor.
    pub who: char,
    /// Cut to 500 printable characters.
    pub text: String,
}

/// Could a port be reached?
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Connected.
    Open,
    /// Nobody listens.
    Refused,
    /// No answer at all: filtered on the way.
    Silent,
    /// The network says that it cannot be reached.
    Unreachable(String),
    /// The name has no address (of this family).
    NoAddress,
    /// The address or port may not be asked in this scope.
    Forbidden,
    /// There was no time left.
    NotTried,
}

/// What came first on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum First {
    /// Nothing was connected.
    None,
    /// TLS from the first octet.
    Tls,
    /// A greeting in clear.
    Greeting,
    /// Connected, then silence: neither a greeting nor an answer to a ClientHello.
    Silence,
    /// A greeting that does not end within the limits (drips, or is endless).
    NeverEnds,
    /// Octets that no mail protocol begins with.
    Foreign,
    /// Closed at once.
    Closed,
}

/// What a server offers in one state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// Capabilities as the server words them, at most 64.
    pub capabilities: Vec<String>,
    /// SASL mechanisms.
    pub mechanisms: Vec<String>,
    /// A password login is possible (IMAP LOGIN without LOGINDISABLED, POP3 USER, AUTH PLAIN/LOGIN).
    pub password: bool,
    /// STARTTLS or STLS is offered.
    pub starttls: bool,
}

/// The upgrade to TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartTls {
    /// Implicit TLS, or never came so far.
    NotTried,
    /// Not in the capabilities, and refused when asked for.
    NotOffered,
    /// Not in the capabilities, or masked there (`XXXXXXXA`), although the same host offers it elsewhere or takes the command: somebody on the way removes it.
    Stripped(String),
    /// Works.
    Works {
        /// Commands sent in clear behind STARTTLS were executed after the handshake (CVE-2011-0411).
        injectable: bool,
    },
    /// Offered and fails; how.
    Fails(String),
}

/// TLS as seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TlsSeen {
    /// Version of the good handshake, `TLSv1.3`; `None` if none succeeded.
    pub version: Option<String>,
    /// Its suite.
    pub cipher: Option<String>,
    /// Versions that the server agrees to: `SSLv3`, `TLSv1.0` … `TLSv1.3`. What was not tried is in neither list.
    pub accepts: Vec<String>,
    /// Versions that it refuses.
    pub refuses: Vec<String>,
    /// Weak suites that it takes (names).
    pub weak: Vec<String>,
    /// Why no handshake succeeded.
    pub failure: Option<String>,
    /// The certificate, also where it is not trusted.
    pub certificate: Option<CertificateSeen>,
}

/// A certificate as seen. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateSeen {
    /// DNS names and addresses that it covers, at most 100.
    pub names: Vec<String>,
    /// It covers the name that was connected to.
    pub covers_host: bool,
    /// Begin of validity.
    pub not_before: i64,
    /// End of validity.
    pub not_after: i64,
    /// Who issued it.
    pub issuer: String,
    /// `ECDSA P-256`, `RSA 2048`.
    pub key: String,
    /// Signed with SHA-1 or MD5.
    pub weak_signature: bool,
    /// How far it is trusted, dates and names apart.
    pub chain: Chain,
}

/// How far a chain leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Chain {
    /// To an authority that the system trusts.
    Trusted,
    /// The intermediate certificate is missing.
    Incomplete,
    /// The certificate signed itself.
    SelfSigned,
    /// To an authority that nobody knows.
    UnknownAuthority,
    /// Broken in another way.
    Broken,
}

/// What came of signing in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoginSeen {
    /// The user name that was tried last is the full address (else the bare local part).
    pub full_address: bool,
    /// Mechanism, `PLAIN`, or the command, `LOGIN`.
    pub mechanism: String,
    /// What came.
    pub result: LoginResult,
    /// The server's own words.
    pub words: String,
}

/// What an attempt to sign in showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginResult {
    /// Signed in.
    Works,
    /// Wrong user name or password (most servers do not say which).
    Wrong,
    /// The server's words say that the account's own password is not taken here, an app password is.
    NeedsAppPassword,
    /// Only OAuth is taken.
    NeedsOAuth,
    /// The mechanism is refused.
    MechanismRefused,
    /// The service must be switched on by the person (IMAP in the web settings).
    SwitchedOff,
    /// Too many attempts, locked, or for now not possible.
    Later,
    /// Something else.
    Other,
}
