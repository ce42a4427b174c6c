//! The doctor's answer as values; `render` words it for terminals, programs and tickets.

use crate::seen::{Lookup, Probe};
use proto::guide::Page;
use proto::service::publish::Endpoint;
use serde::Serialize;

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The person who asks.
    You,
    /// Their mail provider.
    Provider,
    /// Whoever runs the network between.
    Network,
    /// Nobody: good to know.
    Nobody,
}

/// How much a finding weighs; the heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Mail does not work, or a password is exposed.
    Broken,
    /// It works but should change.
    Should,
    /// Good to know.
    Note,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable word for programs: `certificate-expired`.
    pub code: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// Who must act.
    pub actor: Actor,
    /// Where: `mail.example.com:143`; several if they share it.
    pub places: Vec<String>,
    /// What was seen, a sentence.
    pub seen: String,
    /// Why it matters, a sentence.
    pub why: String,
    /// What to do, a sentence.
    pub advice: String,
}

/// Exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// 0.
    Fine,
    /// 1: works but should change.
    Change,
    /// 2.
    Broken,
    /// 3.
    CannotTell,
}

impl Exit {
    /// The number that the program exits with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::Change => 1,
            Exit::Broken => 2,
            Exit::CannotTell => 3,
        }
    }
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The one sentence that leads.
    pub sentence: String,
    /// How it stands.
    pub exit: Exit,
    /// What to type in: for reading mail, best first, then for sending. Only what was seen to work.
    pub settings: Vec<Endpoint>,
    /// The heaviest first.
    pub findings: Vec<Finding>,
    /// Steps for the person's client, if asked.
    pub steps: Option<Page>,
    /// Where the full address was sent, each a sentence.
    pub address_sent_to: Vec<String>,
    /// What was looked up.
    pub lookup: Lookup,
    /// What was probed.
    pub probes: Vec<Probe>,
    /// How long it took.
    pub took_millis: u64,
}
