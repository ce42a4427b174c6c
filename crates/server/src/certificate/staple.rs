//! Staples for our certificates, those from files and those that were ordered: when to ask which responder again, and
//! where the answers are kept.
//!
//! One [`Stapler`] runs beside the service. A staple that is kept ([`Shelf`]) is shown from the start; a new one is
//! fetched at half of its life. What must hold: nothing here is waited for by a connection, and no failure stops a
//! certificate from being served; each is told in the log and kept for the operator's list. What an answer must prove is
//! `net::ocsp`'s word, and that no staple is shown past its time `net::tls`'s.

use super::plan::{self, Failures};
use super::{Wishes, date, whole};
use crate::clock::unix_now;
use net::dns::Resolver;
use net::ocsp::{Demand, NoStaple, Question, Staple};
use net::tls::{Certificates, Fingerprint};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The folder within the data directory.
const FOLDER: &str = "ocsp";
/// Responders that are asked at a time.
const ASKED_AT_ONCE_MAX: usize = 4;
/// For a question to DNS.
const DNS_TIME_MAX: Duration = Duration::from_secs(6);
/// Seconds between two looks at what is due.
const LOOK_SECONDS_MAX: i64 = 600;
/// Seconds between two fetches of one staple, whatever its times say: at least, and where it is past its half at most.
const FETCH_SECONDS_MIN: i64 = 60;
const FETCH_SECONDS_MAX: i64 = 3600;

/// The staples as files: for each certificate the response, and why the last question failed if it did. They lie in the
/// data directory and not beside the certificates, whose folder is often another program's.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// The folder; nothing is made yet.
    #[must_use]
    pub fn new(data: &Path) -> Shelf {
        Shelf { folder: data.join(FOLDER) }
    }

    /// The staple of this chain (DER, the certificate first) that is at hand and holds now.
    #[must_use]
    pub fn staple(&self, question: &Question, mark: &Fingerprint, now: i64) -> Option<Staple> {
        let kept = whole::read(&self.file(mark, "der")).ok()?;
        question.judge(&kept, now).ok()
    }

    /// Why the last question failed.
    #[must_use]
    pub fn trouble(&self, mark: &Fingerprint) -> Option<String> {
        let words = whole::read(&self.file(mark, "txt")).ok()?;
        String::from_utf8(words).ok()
    }

    /// How things stand with the staple of a chain (DER, the certificate first), for the operator: nothing where none
    /// is asked for; and why clients may refuse the certificate for it, if they may.
    #[must_use]
    pub fn state<'a>(
        &self,
        chain: impl IntoIterator<Item = &'a [u8]> + Clone,
        now: i64,
    ) -> (String, Option<&'static str>) {
        let Some(leaf) = chain.clone().into_iter().next() else { return (String::new(), None) };
        let demand = Demand::of(leaf);
        let mark = net::tls::fingerprint(leaf);
        let why = match Question::about(chain) {
            Ok(Some(question)) => match self.staple(&question, &mark, now) {
                Some(staple) => return (format!("until {}", date(staple.next_update)), None),
                None => self.trouble(&mark).unwrap_or_else(|| "none yet".to_owned()),
            },
            Ok(None) if demand.must_staple => NO_RESPONDER.to_owned(),
            Ok(None) => return (String::new(), None),
            Err(error) => error.to_string(),
        };
        if why == NoStaple::Revoked.to_string() {
            return (why, Some(REVOKED));
        }
        (why, demand.must_staple.then_some(MUST_STAPLE))
    }

    fn keep(&self, mark: &Fingerprint, outcome: &Result<Staple, NoStaple>) -> io::Result<()> {
        match outcome {
            Ok(staple) => {
                whole::write(&self.file(mark, "der"), &staple.der)?;
                whole::remove(&self.file(mark, "txt"))
            }
            Err(error) => {
                if *error == NoStaple::Revoked {
                    // The older answer, which said otherwise, must not come back at the next start.
                    whole::remove(&self.file(mark, "der"))?;
                }
                whole::write(&self.file(mark, "txt"), error.to_string().as_bytes())
            }
        }
    }

    /// Removes what belongs to no certificate any more.
    fn retain(&self, marks: &HashSet<Fingerprint>) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let stay: HashSet<String> = marks.iter().map(hex).collect();
        for entry in entries {
            let file = entry?.path();
            if !file.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stay.contains(stem)) {
                whole::remove(&file)?;
            }
        }
        Ok(())
    }

    fn file(&self, mark: &Fingerprint, kind: &str) -> PathBuf {
        self.folder.join(format!("{}.{kind}", hex(mark)))
    }
}

/// Of the operator's list: states of a certificate that clients may refuse.
pub const REVOKED: &str = "revoked";
/// The same.
pub const MUST_STAPLE: &str = "must be stapled";
const NO_RESPONDER: &str =
    "the certificate must be stapled and names no responder; the operator must ask its authority";

/// Fetches staples and renews them.
#[derive(Debug)]
pub struct Stapler {
    shelf: Shelf,
    /// Where the keeper hears of what was revoked.
    keeper: Wishes,
    resolver: Option<Resolver>,
    entries: HashMap<Fingerprint, Entry>,
}

/// What is known of a certificate's staple.
#[derive(Debug)]
struct Entry {
    question: Arc<Question>,
    /// For the log.
    name: String,
    must_staple: bool,
    /// The last second of the staple that is shown.
    until: Option<i64>,
    failures: Failures,
    /// When to ask.
    next: i64,
    asking: bool,
}

type Done = (Fingerprint, Result<Staple, NoStaple>);

impl Stapler {
    /// Keeps staples in this data directory, and tells the keeper what was revoked.
    #[must_use]
    pub fn new(data: &Path, keeper: Wishes) -> Stapler {
        Stapler { shelf: Shelf::new(data), keeper, resolver: None, entries: HashMap::new() }
    }

    /// Runs until it is dropped.
    pub async fn run(mut self, certificates: Arc<Certificates>) {
        // Dropped with this task, which ends the questions too.
        let mut asked: JoinSet<Done> = JoinSet::new();
        self = self.look_at(&certificates).await;
        loop {
            self.ask(&mut asked, unix_now());
            let sleep = tokio::time::sleep(self.until_next(unix_now()));
            tokio::select! {
                () = sleep => {}
                () = certificates.changed() => self = self.look_at(&certificates).await,
                Some(done) = asked.join_next() => match done {
                    Ok((mark, outcome)) => self.came(&certificates, mark, outcome, unix_now()),
                    Err(error) => {
                        tracing::error!(%error, "a question for a staple broke off");
                        // Which one is not told; each is asked again when it is due.
                        self.entries.values_mut().for_each(|entry| entry.asking = false);
                        asked.abort_all();
                    }
                }
            }
        }
    }

    /// Takes in what is served now, with the staples that are at hand, and lets go of what is not served any more.
    async fn look_at(mut self, certificates: &Arc<Certificates>) -> Stapler {
        let (served, to) = (certificates.served(), certificates.clone());
        let work = tokio::task::spawn_blocking(move || {
            let now = unix_now();
            let before = self.entries.len();
            self.entries.retain(|mark, _| served.contains_key(mark));
            let gone = self.entries.len() < before;
            let first = before == 0;
            let mut at_hand = Vec::new();
            for (mark, key) in &served {
                if !self.entries.contains_key(mark)
                    && let Some((entry, staple)) = Entry::new(&self.shelf, mark, &key.cert, now)
                {
                    self.entries.insert(*mark, entry);
                    at_hand.extend(staple.map(|staple| (*mark, staple)));
                }
            }
            if !at_hand.is_empty() {
                to.staple(at_hand);
            }
            if (gone || first)
                && let Err(error) = self.shelf.retain(&served.into_keys().collect())
            {
                tracing::warn!(%error, "old staples cannot be removed");
            }
            self
        });
        match work.await {
            Ok(this) => this,
            // The runtime is stopping, and this task with it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Asks as many responders as may be.
    fn ask(&mut self, asked: &mut JoinSet<Done>, now: i64) {
        let resolver = match &self.resolver {
            Some(resolver) => resolver.clone(),
            None => match Resolver::system(DNS_TIME_MAX) {
                Ok(resolver) => self.resolver.insert(resolver).clone(),
                Err(error) => {
                    if self.entries.values().any(|entry| entry.next <= now) {
                        tracing::warn!(%error, "no staple can be fetched");
                    }
                    let later = now.saturating_add(FETCH_SECONDS_MIN);
                    self.entries.values_mut().for_each(|entry| entry.next = entry.next.max(later));
                    return;
                }
            },
        };
        for (mark, entry) in self.entries.iter_mut().filter(|(_, entry)| !entry.asking && entry.next <= now) {
            if asked.len() >= ASKED_AT_ONCE_MAX {
                return;
            }
            entry.asking = true;
            let (mark, question) = (*mark, entry.question.clone());
            let (resolver, shelf) = (resolver.clone(), self.shelf.clone());
            asked.spawn(async move {
                let outcome = question.ask(&resolver, unix_now()).await;
                let work = tokio::task::spawn_blocking(move || {
                    if let Err(error) = shelf.keep(&mark, &outcome) {
                        tracing::warn!(%error, "a staple cannot be kept in the data directory");
                    }
                    outcome
                });
                let stopping = |_| Err(NoStaple::Failed("the service stops".to_owned()));
                (mark, work.await.unwrap_or_else(stopping))
            });
        }
    }

    fn came(
        &mut self,
        certificates: &Certificates,
        mark: Fingerprint,
        outcome: Result<Staple, NoStaple>,
        now: i64,
    ) {
        // Without an entry its certificate went meanwhile.
        let Some(entry) = self.entries.get_mut(&mark) else { return };
        entry.asking = false;
        let name = entry.name.as_str();
        match outcome {
            Ok(staple) => {
                entry.failures = Failures::default();
                entry.until = Some(staple.next_update);
                entry.next = next_fetch(&staple, now, rand::random());
                tracing::info!(name, until = %date(staple.next_update), "a staple has come");
                certificates.staple([(mark, staple)]);
            }
            Err(error) => {
                entry.failures = plan::authority_failed(entry.failures, now, rand::random(), None);
                entry.next = entry.failures.until.max(now.saturating_add(FETCH_SECONDS_MIN));
                if error == NoStaple::Revoked {
                    entry.until = None;
                    certificates.unstaple(&mark);
                    self.keeper.revoked(mark);
                }
                let at_hand = entry.until.is_some_and(|until| until > now);
                let again_in_seconds = entry.next - now;
                if error == NoStaple::Revoked || (entry.must_staple && !at_hand) {
                    tracing::error!(
                        name,
                        again_in_seconds,
                        "there is no staple, and clients may refuse the certificate: {error}"
                    );
                } else {
                    tracing::warn!(name, again_in_seconds, at_hand, "there is no new staple: {error}");
                }
            }
        }
    }

    fn until_next(&self, now: i64) -> Duration {
        let waiting = self.entries.values().filter(|entry| !entry.asking);
        let next = waiting.map(|entry| entry.next).min().unwrap_or(i64::MAX);
        let seconds = next.saturating_sub(now).clamp(1, LOOK_SECONDS_MAX);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(1))
    }
}

impl Entry {
    /// For a certificate that wants a staple, with the one at hand; says what is wrong with one that cannot have it.
    fn new(
        shelf: &Shelf,
        mark: &Fingerprint,
        chain: &[impl AsRef<[u8]>],
        now: i64,
    ) -> Option<(Entry, Option<Staple>)> {
        let leaf = chain.first()?.as_ref();
        let name = net::tls::names_of(leaf).into_iter().next().unwrap_or_default();
        let must_staple = Demand::of(leaf).must_staple;
        let question = match Question::about(chain.iter().map(AsRef::as_ref)) {
            Ok(Some(question)) => Arc::new(question),
            Ok(None) => {
                if must_staple {
                    tracing::error!(
                        name,
                        "there is no staple, and clients may refuse the certificate: {NO_RESPONDER}"
                    );
                }
                return None;
            }
            Err(error) => {
                tracing::warn!(name, "there is no staple: {error}");
                return None;
            }
        };
        let staple = shelf.staple(&question, mark, now);
        let entry = Entry {
            question,
            name,
            must_staple,
            until: staple.as_ref().map(|staple| staple.next_update),
            failures: Failures::default(),
            next: staple.as_ref().map_or(now, |staple| half_life(staple, rand::random())),
            asking: false,
        };
        Some((entry, staple))
    }
}

/// At half of its life, or up to a tenth of it earlier, so that many that were made together are not renewed together.
fn half_life(staple: &Staple, dice: u32) -> i64 {
    let life = staple.next_update.saturating_sub(staple.this_update).max(0);
    staple.this_update.saturating_add(life / 2).saturating_sub(plan::part(life / 10, dice))
}

/// After one has come. One that is past its half already, as caches give it, is asked for again later, and before its end.
fn next_fetch(staple: &Staple, now: i64, dice: u32) -> i64 {
    let left = staple.next_update.saturating_sub(now);
    let soonest = now.saturating_add((left / 2).clamp(FETCH_SECONDS_MIN, FETCH_SECONDS_MAX));
    half_life(staple, dice).max(soonest)
}

pub(super) fn hex(mark: &Fingerprint) -> String {
    mark.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn staple(this_update: i64, next_update: i64) -> Staple {
        Staple { der: b"x".to_vec(), this_update, next_update }
    }

    #[test]
    fn a_staple_is_renewed_at_half_of_its_life() {
        let week = staple(0, 10 * DAY);
        assert_eq!((half_life(&week, 0), half_life(&week, 1 << 31)), (5 * DAY, 5 * DAY - DAY / 2));
        assert_eq!(next_fetch(&week, 3600, 0), 5 * DAY);
        // What a cache gave that is old already.
        assert_eq!(next_fetch(&week, 7 * DAY, 0), 7 * DAY + FETCH_SECONDS_MAX);
        assert_eq!(next_fetch(&week, 10 * DAY - 1000, 0), 10 * DAY - 500);
        assert_eq!(next_fetch(&week, 10 * DAY - 10, 0), 10 * DAY - 10 + FETCH_SECONDS_MIN);
        for odd in [staple(i64::MIN, i64::MAX), staple(i64::MAX, i64::MIN)] {
            let _ = (half_life(&odd, u32::MAX), next_fetch(&odd, 0, u32::MAX));
        }
    }

    #[test]
    fn the_shelf_keeps_what_was_said_last_and_nothing_of_others() {
        let data = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(data.path());
        shelf.retain(&HashSet::new()).unwrap();
        let (one, other) = ([1; 32], [2; 32]);
        shelf.keep(&one, &Ok(staple(0, 1))).unwrap();
        shelf.keep(&one, &Err(NoStaple::Failed("away".to_owned()))).unwrap();
        assert_eq!(shelf.trouble(&one).as_deref(), Some("away"));
        assert!(shelf.file(&one, "der").exists(), "it holds still");
        shelf.keep(&one, &Ok(staple(0, 1))).unwrap();
        assert_eq!(shelf.trouble(&one), None);
        shelf.keep(&one, &Err(NoStaple::Revoked)).unwrap();
        assert!(!shelf.file(&one, "der").exists());
        shelf.keep(&other, &Ok(staple(0, 1))).unwrap();
        shelf.retain(&HashSet::from([one])).unwrap();
        assert!(!shelf.file(&other, "der").exists() && shelf.trouble(&one).is_some());
    }
}
