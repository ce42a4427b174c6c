//! Reclaiming the bytes of bodies that nothing refers to any more.
//!
//! Mark: all accounts' details and all pending entries are read; what they name is alive. Segments that are
//! mostly dead are emptied: their living bodies are copied to the active segment, and each account's details
//! are changed by an operation in its lane. An emptied segment stays for a grace time,
//! because somebody may be reading from it, or hold a reference not committed yet. Then it is condemned
//! (no new reference to it is accepted), everything handed over before is waited for,
//! and only if a last mark finds nothing that names it, it is deleted.
//!
//! Nobody waits for a compaction, and it must not be felt: it reads a bounded number of rows at a time with a pause
//! after each, and holds no state of the engine longer than one account takes. By itself it marks only when
//! enough was removed for it to be worth the reads, or when a day has passed.
//!
//! A crash at any point leaves copies that nothing names, or a segment that is emptied again.

use crate::account::{Accounts, BodyMove, MailboxId, Work};
use crate::blob::{Bodies, BodyRef, frame};
use crate::engine::{self, Batch, CommitError, Engine, Snapshot};
use crate::system::pending::Pending;
use crate::{Error, key, row};
use proto::proof::AccountId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// References held in memory at once while marking; with more, segments are looked at in several rounds.
const MARKED_MAX: usize = 2 << 20;
/// With so many rounds the references of one segment are more than fit, and more rounds do not help.
const ROUNDS_MAX: u64 = 1 << 10;
/// Bodies copied in one run; the next run goes on.
const MOVES_MAX: usize = 100_000;
/// Details changed in one operation.
const MOVES_AT_ONCE: usize = 256;

/// Rows looked at, or octets copied, between two pauses.
const STEP_ROWS: u64 = 2048;
const STEP_BYTES: u64 = 1 << 20;
const PAUSE: Duration = Duration::from_millis(2);
/// So long after the last mark there is another, whatever is known: it finds bodies that were never referred to.
const MARK_EVERY_SECONDS: i64 = 86_400;

/// What a run of the compactor did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Bodies copied out of mostly dead segments.
    pub copied: u64,
    /// Segments emptied, to be deleted after the grace time.
    pub segments_emptied: u64,
    /// Segments deleted.
    pub segments_deleted: u64,
    /// Octets of them.
    pub bytes_reclaimed: u64,
}

/// The compactor; one run at a time.
#[derive(Debug)]
pub(crate) struct Compactor {
    engine: Arc<dyn Engine>,
    bodies: Bodies,
    accounts: Arc<Accounts>,
    pending: Pending,
    /// Emptied segments, and since when. A restart begins their grace time anew.
    emptied: Mutex<BTreeMap<u64, i64>>,
    /// Unix seconds; zero: none since the start.
    marked: AtomicI64,
    stopping: AtomicBool,
}

/// Who refers to a body.
#[derive(Clone, Copy)]
enum Owner {
    Message(AccountId, MailboxId, u32),
    Entry(u64),
}

impl Compactor {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        bodies: Bodies,
        accounts: Arc<Accounts>,
        pending: Pending,
    ) -> Compactor {
        let (emptied, marked, stopping) = (Mutex::default(), AtomicI64::new(0), AtomicBool::new(false));
        Compactor { engine, bodies, accounts, pending, emptied, marked, stopping }
    }

    /// While the guard lives, no segment is deleted.
    pub(crate) fn pause(&self) -> MutexGuard<'_, BTreeMap<u64, i64>> {
        // What it holds is a plan; a panic in between costs a repetition.
        self.emptied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store closes: a run ends at its next step.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// See [`crate::Store::compact`].
    pub(crate) fn run(&self, now: i64, grace_seconds: i64) -> Result<Compacted, Error> {
        let mut emptied = self.pause();
        let mut done = Compacted::default();
        self.delete_due(&mut emptied, now, grace_seconds, &mut done)?;
        let candidates = self.candidates(&emptied, now)?;
        if !candidates.is_empty() {
            let wholly = self.empty(&candidates, &mut done)?;
            if wholly {
                done.segments_emptied += candidates.len() as u64;
                emptied.extend(candidates.into_iter().map(|segment| (segment, now)));
            }
        }
        Ok(done)
    }

    /// The same, but without a mark if none is worth it.
    pub(crate) fn run_if_worth(&self, now: i64, grace_seconds: i64) -> Result<Compacted, Error> {
        if now.saturating_sub(self.marked.load(Ordering::Relaxed)) < MARK_EVERY_SECONDS {
            let mut emptied = self.pause();
            let sizes = self.sealed(&emptied)?;
            if !self.bodies.dead().is_worth_a_mark(&sizes) {
                let mut done = Compacted::default();
                self.delete_due(&mut emptied, now, grace_seconds, &mut done)?;
                return Ok(done);
            }
        }
        self.run(now, grace_seconds)
    }

    fn delete_due(
        &self,
        emptied: &mut BTreeMap<u64, i64>,
        now: i64,
        grace_seconds: i64,
        done: &mut Compacted,
    ) -> Result<(), Error> {
        let is_due = |since: i64| now.saturating_sub(since) >= grace_seconds;
        let due: BTreeSet<u64> = emptied.iter().filter(|(_, s)| is_due(**s)).map(|(n, _)| *n).collect();
        if due.is_empty() {
            return Ok(());
        }
        due.iter().for_each(|segment| self.bodies.condemn(*segment, true));
        let living = self.barrier().and_then(|()| self.named(&due));
        let living = match living {
            Ok(living) => living,
            Err(error) => {
                due.iter().for_each(|segment| self.bodies.condemn(*segment, false));
                return Err(error);
            }
        };
        let sizes = self.bodies.segments()?;
        for segment in due {
            emptied.remove(&segment);
            if living.contains(&segment) {
                // Something that was under way named it; it is emptied again.
                self.bodies.condemn(segment, false);
                continue;
            }
            // It stays condemned: its number never comes back in this run of the program.
            self.bodies.delete(segment)?;
            done.segments_deleted += 1;
            done.bytes_reclaimed += sizes.get(&segment).copied().unwrap_or(0);
        }
        Ok(())
    }

    /// Returns when everything that was handed to the engine before is in it.
    fn barrier(&self) -> Result<(), Error> {
        engine::commit_wait(&*self.engine, key::SYSTEM, None, Batch::default())
            .map(|_| ())
            .map_err(CommitError::into_error)
    }

    /// Those of `segments` that something refers to.
    fn named(&self, segments: &BTreeSet<u64>) -> Result<BTreeSet<u64>, Error> {
        let mut living = BTreeSet::new();
        self.visit_references(&mut |_, body| {
            if segments.contains(&body.segment) {
                living.insert(body.segment);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(living)
    }

    /// Segments that nothing is appended to and that are not emptied, with their octets.
    fn sealed(&self, emptied: &BTreeMap<u64, i64>) -> Result<BTreeMap<u64, u64>, Error> {
        // In this order: one that is begun meanwhile is not among them.
        let mut sizes = self.bodies.segments()?;
        sizes.retain(|segment, _| !self.bodies.is_open(*segment) && !emptied.contains_key(segment));
        Ok(sizes)
    }

    /// Sealed segments of which at least half is dead.
    fn candidates(&self, emptied: &BTreeMap<u64, i64>, now: i64) -> Result<BTreeSet<u64>, Error> {
        let sizes = self.sealed(emptied)?;
        let dead = self.bodies.dead();
        dead.clear();
        let living = self.living_bytes()?;
        dead.set(&sizes, &living);
        self.marked.store(now, Ordering::Relaxed);
        let mostly_dead =
            |segment: &u64, size: &u64| living.get(segment).copied().unwrap_or(0).saturating_mul(2) <= *size;
        Ok(sizes.iter().filter(|(n, size)| mostly_dead(n, size)).map(|(n, _)| *n).collect())
    }

    /// Octets of frames that something refers to, each frame once, by segment.
    fn living_bytes(&self) -> Result<HashMap<u64, u64>, Error> {
        let mut rounds = 1;
        loop {
            if let Some(living) = self.living_bytes_in(rounds)? {
                return Ok(living);
            }
            rounds *= 2;
        }
    }

    /// The same in so many rounds; `None`: there are too many references for so few rounds.
    fn living_bytes_in(&self, rounds: u64) -> Result<Option<HashMap<u64, u64>>, Error> {
        let mut living: HashMap<u64, u64> = HashMap::new();
        for round in 0..rounds {
            let mut seen: Vec<(u64, u64, u64)> = Vec::new();
            let mut full = false;
            self.visit_references(&mut |_, body| {
                if body.segment % rounds == round {
                    seen.push((body.segment, body.offset, frame::frame_bytes(body.len).unwrap_or(0)));
                }
                full = seen.len() > MARKED_MAX && rounds < ROUNDS_MAX;
                Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            if full {
                return Ok(None);
            }
            seen.sort_unstable();
            seen.dedup();
            for (segment, _, bytes) in seen {
                *living.entry(segment).or_default() += bytes;
            }
        }
        Ok(Some(living))
    }

    /// Copies what lives in `segments` elsewhere. True: all of it.
    fn empty(&self, segments: &BTreeSet<u64>, done: &mut Compacted) -> Result<bool, Error> {
        let mut found: Vec<(Owner, BodyRef)> = Vec::new();
        self.visit_references(&mut |owner, body| {
            if segments.contains(&body.segment) {
                found.push((owner, body));
            }
            let enough = found.len() >= MOVES_MAX;
            Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        let wholly = found.len() < MOVES_MAX;
        let mut copies: HashMap<(u64, u64), BodyRef> = HashMap::new();
        let mut copied = Pace::new(STEP_BYTES);
        let mut moves: BTreeMap<AccountId, Vec<BodyMove>> = BTreeMap::new();
        for (owner, from) in found {
            let to = match copies.entry((from.segment, from.offset)) {
                std::collections::hash_map::Entry::Occupied(copy) => copy.get().clone(),
                std::collections::hash_map::Entry::Vacant(room) => {
                    done.copied += 1;
                    copied.step(from.len, &self.stopping)?;
                    room.insert(self.bodies.copy(&from)?).clone()
                }
            };
            match owner {
                Owner::Message(account, mailbox, uid) => {
                    let of_account = moves.entry(account).or_default();
                    of_account.push(BodyMove { mailbox, uid, from, to });
                    if of_account.len() >= MOVES_AT_ONCE {
                        self.change_details(account, std::mem::take(of_account))?;
                    }
                }
                Owner::Entry(token) => self.pending.move_body(token, &from, &to)?,
            }
        }
        for (account, moves) in moves {
            self.change_details(account, moves)?;
        }
        Ok(wholly)
    }

    fn change_details(&self, account: AccountId, moves: Vec<BodyMove>) -> Result<(), Error> {
        match self.accounts.run_wait(account, Work::Move(moves)) {
            Err(crate::account::Refused::Store(error)) => Err(error),
            // An account that was removed meanwhile refers to nothing.
            _ => Ok(()),
        }
    }

    /// All references: first of pending entries, then of accounts. A delivery moves a reference from an entry to an
    /// account, never back, so in this order it cannot slip through; and of an account all is seen
    /// as of one moment, because a message may move between its mailboxes.
    fn visit_references(
        &self,
        visit: &mut dyn FnMut(Owner, BodyRef) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let mut pace = Pace::new(STEP_ROWS);
        let mut visit = |owner, body| {
            pace.step(1, &self.stopping)?;
            visit(owner, body)
        };
        let mut flow = entries(&*self.engine.snapshot()?, &mut visit)?;
        let mut partition = key::SYSTEM;
        while flow.is_continue() {
            if self.stopping.load(Ordering::Relaxed) {
                return Err(Error::Closed);
            }
            let snapshot = self.engine.snapshot()?;
            match snapshot.next_partition(partition)? {
                Some(next) if next < key::SEARCH => partition = next,
                _ => break,
            }
            flow = details(&*snapshot, partition, &mut visit)?;
        }
        Ok(())
    }
}

/// Rests after each so many units, and ends when the store closes.
struct Pace {
    every: u64,
    left: u64,
}

impl Pace {
    fn new(every: u64) -> Pace {
        Pace { every, left: every }
    }

    fn step(&mut self, units: u64, stopping: &AtomicBool) -> Result<(), Error> {
        if stopping.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        self.left = self.left.saturating_sub(units);
        if self.left == 0 {
            std::thread::sleep(PAUSE);
            self.left = self.every;
        }
        Ok(())
    }
}

fn entries(
    snapshot: &dyn Snapshot,
    visit: &mut dyn FnMut(Owner, BodyRef) -> Result<ControlFlow<()>, Error>,
) -> Result<ControlFlow<()>, Error> {
    let mut flow = ControlFlow::Continue(());
    snapshot.scan(key::PENDING, &[key::ENTRY], &[], &mut |key, value| {
        flow = visit(Owner::Entry(key::number64(key, 1).unwrap_or(0)), row::decode_entry(value)?.body)?;
        Ok(flow)
    })?;
    Ok(flow)
}

fn details(
    snapshot: &dyn Snapshot,
    partition: u64,
    visit: &mut dyn FnMut(Owner, BodyRef) -> Result<ControlFlow<()>, Error>,
) -> Result<ControlFlow<()>, Error> {
    let mut flow = ControlFlow::Continue(());
    snapshot.scan(partition, &[key::DETAIL], &[], &mut |key, value| {
        let (mailbox, uid) = (key::number32(key, 1).unwrap_or(0), key::number32(key, 5).unwrap_or(0));
        let owner = Owner::Message(AccountId(partition), MailboxId(mailbox), uid);
        flow = visit(owner, row::Front::decode(value)?.body)?;
        Ok(flow)
    })?;
    Ok(flow)
}

#[cfg(test)]
mod tests {
    use super::MARK_EVERY_SECONDS;
    use crate::account::tests::person;
    use crate::account::{Delivery, Flags};
    use crate::{Compacted, Options, Store};

    async fn account(store: &Store) -> crate::account::Account {
        store.account(person(store).await)
    }

    #[test]
    fn it_marks_when_enough_was_removed_or_a_day_has_passed() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes_max: 100 << 10, ..Options::default() };
        let store = Store::open(dir.path(), options).unwrap();
        let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let account = rt.block_on(account(&store));
        for n in 0..40u8 {
            rt.block_on(async {
                let mut writer = store.bodies().writer();
                writer.write(&[n; 10_000]).await.unwrap();
                let delivery = Delivery {
                    mailbox: "INBOX".to_owned(),
                    prefix: Vec::new(),
                    body: writer.finish().await.unwrap(),
                    header_bytes: 0,
                    flags: Flags::default(),
                    keywords: Vec::new(),
                    gist: Vec::new(),
                    received: 0,
                    saved: 0,
                    token: None,
                    quota: true,
                };
                account.deliver(delivery).await.unwrap();
            });
        }
        let inbox = account.view("INBOX").unwrap().unwrap().mailbox.id;
        let compactor = &store.inner.compactor;
        let start = 1_700_000_000;
        let marked = || compactor.marked.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(compactor.run_if_worth(start, 60).unwrap(), Compacted::default());
        assert_eq!(marked(), start, "the first after a start, which knows nothing");
        rt.block_on(account.expunge(inbox, &[1, 2, 11, 12])).unwrap();
        assert_eq!(compactor.run_if_worth(start + 10, 60).unwrap(), Compacted::default());
        assert_eq!(marked(), start, "little was removed");
        rt.block_on(account.expunge(inbox, &[3, 4, 5, 6, 7, 8])).unwrap();
        let done = compactor.run_if_worth(start + 20, 60).unwrap();
        assert_eq!((marked(), done.segments_emptied), (start + 20, 1), "{done:?}");
        let later = compactor.run_if_worth(start + 80, 60).unwrap();
        assert_eq!((marked(), later.segments_deleted), (start + 20, 1), "what is due goes without a mark");
        compactor.run_if_worth(start + 20 + MARK_EVERY_SECONDS, 60).unwrap();
        assert_eq!(marked(), start + 20 + MARK_EVERY_SECONDS, "a day has passed");
        assert_eq!(store.check(&mut |_, _| ()).unwrap().faults, Vec::<String>::new());
    }
}
