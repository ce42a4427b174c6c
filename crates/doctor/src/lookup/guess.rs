//! Names that people guess, and clients too: `mail.`, `imap.`, `pop.`, `smtp.` and the domain itself. Only names that have
//! an address are worth a probe.

use super::ask::{Asker, nothing};
use crate::seen::{Looked, Outcome, Source};
use futures_util::future::join_all;
use net::dns::Kind;
use proto::discovery::Document;

/// In front of the domain; the likeliest first.
const PREFIXES: [&str; 5] = ["mail.", "imap.", "smtp.", "pop.", ""];

/// The row, and the names that exist.
pub(super) async fn guess(asker: &Asker<'_>) -> (Looked, Vec<String>) {
    let domain = asker.domain();
    let names: Vec<String> = PREFIXES.iter().map(|prefix| format!("{prefix}{domain}")).collect();
    let answers = join_all(names.iter().map(|name| asker.dns(name, Kind::Address))).await;
    let mut unanswered = None;
    let mut hosts = Vec::new();
    for (name, answer) in names.iter().zip(answers) {
        match answer {
            Ok(answer) if !answer.records.is_empty() => hosts.push(name.clone()),
            Ok(_) => {}
            Err(without) => unanswered = Some(without),
        }
    }
    let outcome = match (hosts.is_empty(), unanswered) {
        (false, _) => Outcome::Found(Document::default()),
        (true, Some(without)) => without.into(),
        (true, None) => nothing("None of the usual names exists.").into(),
    };
    (Looked { source: Source::Guess, asked: names.join(", "), sent_address: false, outcome }, hosts)
}
