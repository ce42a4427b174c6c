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
mod typed;
pub mod verdict;

pub use answer::{Actor, Answer, Exit, Finding, Level};
pub use typed::{Mistyped, Now, Target};

use net::dns::Resolver;
use proto::guide::Lang;
use proto::proof::Secret;
use proto::service::{Protection, Protocol};
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

    /// A question about what somebody typed, otherwise as [`Question::about`].
    #[must_use]
    pub fn of(target: Target) -> Question {
        Question { address: target.address, is_host: target.is_host, ..Question::about(target.domain) }
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
}
