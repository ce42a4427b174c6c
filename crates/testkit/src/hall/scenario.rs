//! A scenario as it stands in its file: who listens where with which fault, what DNS says, what is asked, and what
//! should be seen and said.
//!
//! Port numbers in the file are the registered ones; the hall listens elsewhere and gives the mapping. In texts
//! `{993}` stands for the port that the hall chose for 993.

use serde::Deserialize;
use std::net::IpAddr;

/// One file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What is broken, a sentence.
    pub title: String,
    /// What is asked.
    pub question: Asked,
    /// Hosts and their addresses, on loopback.
    #[serde(default)]
    pub host: Vec<Host>,
    /// Mail servers.
    #[serde(default)]
    pub listener: Vec<Listener>,
    /// Ports where nobody listens, so that they are refused.
    #[serde(default)]
    pub closed: Vec<u16>,
    /// Pages of web servers.
    #[serde(default)]
    pub web: Vec<Page>,
    /// Further DNS records.
    #[serde(default)]
    pub record: Vec<Dns>,
    /// Names that the resolver does not answer for.
    #[serde(default)]
    pub silent: Vec<String>,
    /// What the probes should see.
    #[serde(default)]
    pub seen: Vec<Seen>,
    /// What the answer should say.
    pub expect: Option<Expect>,
}

/// The question.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Asked {
    /// `ann@example.test`.
    pub address: Option<String>,
    /// A host to probe instead of a domain.
    pub host: Option<String>,
    /// `imap:143:none`, with registered ports.
    pub now: Vec<String>,
    /// Sign in with this.
    pub password: Option<String>,
    /// Client for the steps.
    pub client: Option<String>,
}

/// A host.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Host {
    /// `mail.example.test`.
    pub name: String,
    /// An address of 127.0.0.0/8.
    pub ipv4: Option<IpAddr>,
    /// `::1`.
    pub ipv6: Option<IpAddr>,
}

/// A server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Listener {
    /// On which host.
    pub host: String,
    /// Registered port that it stands for.
    pub port: u16,
    /// What it really speaks.
    pub speaks: Speaks,
    /// How it really is protected.
    pub protection: Shield,
    /// Its certificate.
    #[serde(default)]
    pub certificate: Certificate,
    /// What is broken.
    #[serde(default)]
    pub fault: Fault,
    /// It listens on the host's IPv6 address too.
    #[serde(default)]
    pub ipv6: bool,
    /// Instead of its own words.
    pub greeting: Option<String>,
    /// Capabilities in clear, instead of the usual ones.
    pub clear: Option<Vec<String>>,
    /// Capabilities under TLS, instead of the usual ones.
    pub encrypted: Option<Vec<String>>,
    /// User name that it takes; the password is `open sesame`.
    pub user: Option<String>,
    /// So long it takes before it refuses anybody, to slow those who guess.
    #[serde(default)]
    pub refusal_millis: u64,
    /// What it says to all others, behind tag or code.
    pub refusal: Option<String>,
}

/// Languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaks {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// SMTP.
    Smtp,
}

/// Protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shield {
    /// TLS from the first octet.
    Implicit,
    /// STARTTLS.
    Starttls,
    /// None.
    Clear,
}

/// Certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    /// Of the hall's authority, for the host.
    #[default]
    Good,
    /// Ended.
    Expired,
    /// Not begun.
    NotYet,
    /// For `other.example.test`.
    WrongName,
    /// For `*.` and the host's domain.
    Wildcard,
    /// Signed by itself.
    SelfSigned,
    /// Of an authority below the hall's, whose certificate is not sent.
    Incomplete,
    /// The same, and it is sent.
    Complete,
    /// Of an authority that nobody knows.
    Unknown,
}

/// Faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// None.
    #[default]
    None,
    /// Nothing answers, not even the system.
    Filtered,
    /// Connects and says nothing.
    Silent,
    /// Connects and hangs up.
    Closes,
    /// A greeting that comes octet by octet and does not end.
    Drip,
    /// A greeting of endless lines.
    Endless,
    /// A greeting in one endless line.
    EndlessLine,
    /// Another protocol altogether.
    Foreign,
    /// Speaks TLS 1.0 and nothing else.
    Tls10,
    /// Speaks SSL 3 with RC4 and nothing else.
    Ssl3,
    /// Answers every handshake with an alert.
    Alert,
    /// Takes STARTTLS, and then there is no TLS.
    StarttlsGarbage,
    /// Offers STARTTLS and refuses it.
    StarttlsRefused,
    /// Carries what came in clear behind STARTTLS into TLS.
    Injectable,
    /// Says back what was sent to sign in.
    Echo,
}

/// A page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Page {
    /// On which host.
    pub host: String,
    /// Under TLS (port 443), or not (80).
    #[serde(default = "yes")]
    pub tls: bool,
    /// Path with query; a path without one answers all queries.
    pub path: String,
    /// Status.
    #[serde(default = "ok")]
    pub status: u16,
    /// Content type.
    #[serde(default)]
    pub content_type: String,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// So many further octets behind it.
    #[serde(default)]
    pub filler: u64,
    /// The body comes octet by octet.
    #[serde(default)]
    pub drip: bool,
}

fn yes() -> bool {
    true
}

fn ok() -> u16 {
    200
}

/// A record: one of the kinds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dns {
    /// `_imaps._tcp.example.test`.
    pub name: String,
    /// `0 1 993 mail.example.test`, with the registered port.
    pub srv: Option<String>,
    /// `10 mail.example.test`.
    pub mx: Option<String>,
    /// Text.
    pub txt: Option<String>,
    /// Another name.
    pub cname: Option<String>,
}

/// What one probe should see; what is left out is not compared. Words are those of the doctor's JSON.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Seen {
    /// Which host; the only one if left out.
    pub host: Option<String>,
    /// Registered port.
    pub port: u16,
    /// Which family.
    #[serde(default)]
    pub ipv6: bool,
    /// `open`, `refused`, `silent`.
    pub reach: Option<String>,
    /// `tls`, `greeting`, ….
    pub first: Option<String>,
    /// `imap`, `pop3`, `submission`, `smtp`.
    pub protocol: Option<String>,
    /// `works`, `injectable`, `not-offered`, `stripped`, `fails`, `not-tried`.
    pub starttls: Option<String>,
    /// `trusted`, `incomplete`, `self-signed`, `unknown-authority`, `broken`.
    pub chain: Option<String>,
    /// The certificate covers the name.
    pub covers_host: Option<bool>,
    /// It is within its dates.
    pub in_date: Option<bool>,
    /// All versions that are taken.
    pub accepts: Option<Vec<String>>,
    /// Versions among those that are refused.
    pub refuses: Option<Vec<String>>,
    /// A weak suite among those that are taken.
    pub weak: Option<String>,
    /// A password can be sent in clear.
    pub clear_password: Option<bool>,
    /// A password can be sent under TLS.
    pub encrypted_password: Option<bool>,
    /// Mechanisms under TLS.
    pub encrypted_mechanisms: Option<Vec<String>>,
    /// `works`, `wrong`, …, or `none`.
    pub login: Option<String>,
    /// The user name that was tried is the full address.
    pub full_address: Option<bool>,
    /// Mechanism of the sign-in.
    pub mechanism: Option<String>,
}

/// What the answer should say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// The sentence.
    pub sentence: String,
    /// Exit code of the program.
    pub exit: u8,
    /// Codes of findings that must be there.
    #[serde(default)]
    pub findings: Vec<String>,
    /// Codes that must not be there.
    #[serde(default)]
    pub absent: Vec<String>,
}
