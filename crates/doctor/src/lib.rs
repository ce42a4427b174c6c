//! The doctor: why does my mail not connect, and what exactly do I type?
//!
//! Works for any provider in the world, needs no server of ours and no account. A [`Question`] goes in; `lookup`
//! asks the places that clients ask, `probe` knocks at every host and port, `verdict` (pure) makes of what was seen an
//! [`Answer`], `render` words it.
//!
//! What must hold: the whole takes no longer than its stated limit; no password without the question having been
//! asked, and never in clear; nothing but the domain leaves the machine unless a source needs the address, and then the
//! answer says so; with [`Scope::Public`] no inside address and no port but mail's is ever touched.

pub mod answer;
pub mod lookup;
pub mod probe;
pub mod provider;
pub mod render;
pub mod roots;
pub mod seen;
pub mod verdict;

pub use answer::{Actor, Answer, Exit, Finding, Level};

use net::dns::Resolver;
use proto::guide::Lang;
use proto::proof::Secret;
use proto::service::{Protection, Protocol};
use std::str::FromStr;
use std::time::Duration;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// `me@example.com`, or `None` if only a host or domain is asked about.
    pub address: Option<String>,
    /// The domain (of the address), or the host that was named, lower case A-labels.
    pub domain: String,
    /// The target is a host to probe, not a mail domain to look up.
    pub is_host: bool,
    /// What the person has in their client today.
    pub now: Vec<Now>,
    /// The person's client, a word of the guide or one of `outlook|apple|ios|thunderbird|android`.
    pub client: Option<String>,
    /// Try to sign in with this password.
    pub password: Option<Secret>,
    /// Which sources are asked.
    pub sources: Sources,
    /// How far the doctor may go.
    pub scope: Scope,
    /// Limits.
    pub limits: Limits,
    /// Language of guide steps.
    pub lang: Lang,
    /// Authorities trusted beside the system's (DER).
    pub extra_roots: Vec<Vec<u8>>,
    /// Ports asked instead of the registered ones; for tests and unusual services. Empty: the registered ones.
    pub ports: Vec<Port>,
    /// Where public services are asked.
    pub endpoints: lookup::Endpoints,
}

impl Question {
    /// A question about a mail domain, with nothing else known: every source, everywhere, usual limits, English.
    #[must_use]
    pub fn about(domain: impl Into<String>) -> Question {
        Question {
            address: None,
            domain: domain.into(),
            is_host: false,
            now: Vec::new(),
            client: None,
            password: None,
            sources: Sources::default(),
            scope: Scope::Anywhere,
            limits: Limits::default(),
            lang: Lang::En,
            extra_roots: Vec::new(),
            ports: Vec::new(),
            endpoints: lookup::Endpoints::default(),
        }
    }
}

/// A setting that the person has today, `imap:143:none`, with a host if they said one (`imap:mail.example.com:143:none`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// IMAP, POP3 or submission.
    pub protocol: Protocol,
    /// The host that they typed.
    pub host: Option<String>,
    /// The port.
    pub port: u16,
    /// `none` is [`Protection::Clear`].
    pub protection: Protection,
    /// "Secure Password Authentication (SPA)" is on.
    pub spa: bool,
}

impl FromStr for Now {
    type Err = String;

    /// `imap:143:none`, `imap:mail.example.com:143:none`, `smtp:587:starttls:spa`. The security is `ssl`, `starttls` or `none`.
    fn from_str(text: &str) -> Result<Now, String> {
        let usage =
            || format!("\"{text}\" is not of the form PROTOCOL:[HOST:]PORT:SECURITY, such as imap:PORT:ssl");
        let lower = text.trim().to_ascii_lowercase();
        let (protocol, rest) = lower.split_once(':').ok_or_else(usage)?;
        let (rest, spa) = rest.strip_suffix(":spa").map_or((rest, false), |rest| (rest, true));
        let (rest, security) = rest.rsplit_once(':').ok_or_else(usage)?;
        let (host, port) = rest.rsplit_once(':').map_or((None, rest), |(host, port)| (Some(host), port));
        let protocol = match protocol {
            "imap" => Protocol::Imap,
            "pop3" | "pop" => Protocol::Pop3,
            "submission" | "smtp" => Protocol::Submission,
            other => return Err(format!("\"{other}\" is none of imap, pop3 and smtp")),
        };
        let protection = match security {
            "ssl" | "tls" | "ssl/tls" | "implicit" => Protection::Implicit,
            "starttls" | "stls" => Protection::StartTls,
            "none" | "clear" | "plain" => Protection::Clear,
            other => return Err(format!("\"{other}\" is none of ssl, starttls and none")),
        };
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| format!("\"{rest}\" does not end in a port between 1 and 65535"))?;
        let host = host.map(|host| host.trim_start_matches('[').trim_end_matches([']', '.']).to_owned());
        if host.as_ref().is_some_and(|host| host.is_empty() || host.contains(['/', '@', ' '])) {
            return Err(usage());
        }
        Ok(Now { protocol, host, port, protection, spa })
    }
}

/// A port to probe and what is expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// The number.
    pub number: u16,
    /// What is registered or found for it.
    pub protocol: Protocol,
    /// How it is registered or found.
    pub protection: Protection,
}

/// Sources that may be asked; all by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// `autoconfig.DOMAIN` and `DOMAIN/.well-known`.
    pub autoconfig: bool,
    /// The public ISP database.
    pub ispdb: bool,
    /// Autodiscover, POX and JSON.
    pub autodiscover: bool,
    /// PACC.
    pub pacc: bool,
    /// SRV records.
    pub srv: bool,
    /// MX records, and autoconfig by them.
    pub mx: bool,
    /// Names that people guess.
    pub guess: bool,
}

impl Default for Sources {
    fn default() -> Sources {
        Sources {
            autoconfig: true,
            ispdb: true,
            autodiscover: true,
            pacc: true,
            srv: true,
            mx: true,
            guess: true,
        }
    }
}

/// How far the doctor may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Anywhere: a person on their own machine.
    #[default]
    Anywhere,
    /// Public addresses and mail's ports only, checked after resolution: a web page that strangers use.
    Public,
}

/// Every limit of a run, with its default in `Default`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The whole run (default 9.5 s).
    pub run: Duration,
    /// All looking up (default 4 s).
    pub lookup: Duration,
    /// One connection attempt (default 2.5 s).
    pub connect: Duration,
    /// One answer of a server, greeting included (default 3 s).
    pub answer: Duration,
    /// Connections at a time (default 64).
    pub parallel: usize,
    /// Connections at a time to one host (default 6).
    pub parallel_host: usize,
    /// Hosts that are probed (default 16).
    pub hosts: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            run: Duration::from_millis(9500),
            lookup: Duration::from_secs(4),
            connect: Duration::from_millis(2500),
            answer: Duration::from_secs(3),
            parallel: 64,
            parallel_host: 6,
            hosts: 16,
        }
    }
}

/// What happens while the doctor works, for a progress display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A source answered: which, and in a word what (`found`, `nothing`).
    Looked(String, String),
    /// So many probes will be made.
    Planned(usize),
    /// One is done: host, port, in a word what.
    Probed(String, u16, String),
}

/// Examines. Never fails: what could not be told is part of the answer. `now`: seconds since 1970.
pub async fn examine(
    question: &Question,
    resolver: &Resolver,
    progress: &(dyn Fn(Progress) + Send + Sync),
    now: i64,
) -> Answer {
    let begun = tokio::time::Instant::now();
    let found = lookup::look_up(question, resolver, progress).await;
    let left = question.limits.run.saturating_sub(begun.elapsed());
    let places = lookup::plan(question, &found);
    let probes = probe::all(question, &places, resolver, left, progress, now).await;
    let mut answer = verdict::judge(question, &found, &probes, now);
    answer.took_millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    answer
}

#[cfg(test)]
mod tests {
    pub mod sample;

    use super::*;

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
                "POP3:mail.Example.com:995:SSL",
                now(Some("mail.example.com"), Protocol::Pop3, 995, Protection::Implicit, false),
            ),
            ("smtp:587:starttls:spa", now(None, Protocol::Submission, 587, Protection::StartTls, true)),
            (
                "imap:[2001:db8::1]:993:ssl/tls",
                now(Some("2001:db8::1"), Protocol::Imap, 993, Protection::Implicit, false),
            ),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "imap",
            "imap:993",
            "imap:0:ssl",
            "imap:99999:ssl",
            "imap:993:maybe",
            "nntp:119:none",
            "imap::993:ssl",
            "imap:a b:993:ssl",
        ] {
            assert!(text.parse::<Now>().is_err(), "{text}");
        }
    }
}
