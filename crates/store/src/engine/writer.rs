//! The one thread that commits. It takes all batches that wait, of all partitions, makes them durable in the journal (`journal`) with one
//! sync, shows their rows to readers (`memtable`) and answers: a hundred deliveries share one sync, and their rows go into the table later
//! (`behind`). What is large, or comes while the journal fails, goes past it: then the table has to have all that came before, and
//! the transaction is synced.
//!
//! Conflicts are seen before anything is written. If a transaction of the table fails, nothing of what shared it is there, and each
//! batch is tried by itself, so that a bad one spoils no other. Versions are remembered; nobody else writes (`lock` sees to it).

use super::behind::Behind;
use super::embedded::{Shared, lock};
use super::journal::{self, Journal, RECORD_BYTES_MAX};
use super::reader::Reader;
use super::table::{Put, Way};
use super::{Batch, CommitError, Done, VERSION_KEY, decode_version};
use crate::Error;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

/// Batches and octets in one group.
const GROUP_BATCHES_MAX: usize = 2048;
const GROUP_BYTES_MAX: usize = 16 << 20;
/// Versions remembered; past this the memory starts afresh.
const VERSIONS_MAX: usize = 1 << 16;

/// A batch that waits.
pub(super) struct Request {
    pub(super) partition: u64,
    pub(super) expected: Option<u64>,
    pub(super) batch: Batch,
    pub(super) done: Done,
}

impl Request {
    /// The version that it gives its partition.
    pub(super) fn version(&self) -> Option<u64> {
        self.expected.map(|expected| expected + 1)
    }
}

/// What waits for the writer.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) waiting: Vec<Request>,
    pub(super) closing: bool,
}

impl Queue {
    /// The first of those that wait, as many as go into one transaction.
    fn take(&mut self) -> Vec<Request> {
        let mut bytes = 0;
        let fits = |request: &&Request| {
            let room = bytes == 0 || bytes < GROUP_BYTES_MAX;
            bytes += request.batch.bytes();
            room
        };
        let count = self.waiting.iter().take(GROUP_BATCHES_MAX).take_while(fits).count();
        if count == self.waiting.len() {
            std::mem::take(&mut self.waiting)
        } else {
            self.waiting.drain(..count).collect()
        }
    }
}

/// Partitions and what their versions are.
type Versions = HashMap<u64, u64>;

/// See above.
pub(super) struct Writer {
    shared: Arc<Shared>,
    behind: Arc<Behind>,
    versions: Versions,
    journal: Option<Box<dyn Journal>>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, behind: Arc<Behind>, journal: Option<Box<dyn Journal>>) -> Writer {
        Writer { shared, behind, versions: HashMap::new(), journal }
    }

    pub(super) fn run(mut self) {
        while let Some(group) = self.next_group() {
            self.commit_group(group);
        }
        self.end();
    }

    /// Settles all, and copies the whole log.
    fn end(&mut self) {
        let settled = match self.journal.is_some() {
            true => self.behind.flush().and_then(|()| self.past(&[])),
            false => Ok(()),
        };
        self.behind.table().end();
        match (settled, &mut self.journal) {
            (Ok(()), Some(journal)) => journal.close(),
            (Err(error), _) => tracing::warn!(%error, "the journal is replayed at the next start"),
            (Ok(()), None) => {}
        }
    }

    /// Waits for batches, or for what the journal has to write, and takes as many as go into one transaction. `None`: the engine closes.
    fn next_group(&self) -> Option<Vec<Request>> {
        let mut queue = lock(&self.shared.queue);
        let is_due = || self.journal.as_ref().is_some_and(|journal| journal.is_due());
        while queue.waiting.is_empty() && !is_due() {
            if queue.closing {
                return None;
            }
            queue = self.shared.wake_writer.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        Some(queue.take())
    }

    fn commit_group(&mut self, group: Vec<Request>) {
        if self.journal.as_ref().is_some_and(|journal| journal.wants_file()) {
            self.begin_file();
        }
        let group = self.unless_owed(group);
        let (group, moved) = self.acceptable(group);
        match self.write_ahead(&group) {
            Way::Ahead => self.show(group, moved),
            Way::Past => self.commit_past(group),
        }
        if self.versions.len() > VERSIONS_MAX {
            self.versions.clear();
        }
    }

    /// The group, none if the table owes rows and does not take them now either: it might never take these, nor could they be read for ever
    /// from memory.
    fn unless_owed(&self, group: Vec<Request>) -> Vec<Request> {
        if group.is_empty() || !self.behind.has_failed() {
            return group;
        }
        match self.behind.flush() {
            Ok(()) => group,
            Err(error) => {
                refuse(group, &error);
                Vec::new()
            }
        }
    }

    /// The group, which may be empty, is in the journal.
    fn show(&mut self, mut group: Vec<Request>, moved: Versions) {
        // Whoever finds this row in the table finds there all that was committed before it.
        let row = self.journal.as_mut().filter(|journal| journal.is_row_due()).map(|journal| {
            let row = journal.row();
            journal.recorded(false);
            row
        });
        if group.is_empty() && row.is_none() {
            return;
        }
        self.versions.extend(moved);
        let waiting = self.shared.memtable.insert(&mut group, row);
        answer(group);
        self.behind.came(waiting);
    }

    /// Commits a group with the table's own sync.
    fn commit_past(&mut self, group: Vec<Request>) {
        let group = refuse_unless(group, Batch::kept);
        if let Err(error) = self.behind.flush() {
            refuse(group, &error);
            return;
        }
        // One that was refused may be what others expect.
        let (group, moved) = self.acceptable(group);
        match self.past(&group) {
            Ok(()) => {
                self.versions.extend(moved);
                answer(group);
            }
            Err(error) => self.one_by_one(group, &error),
        }
    }

    /// After a group has failed; the table has all that came before.
    fn one_by_one(&mut self, group: Vec<Request>, error: &Error) {
        tracing::warn!(%error, batches = group.len(), "a commit failed; trying each batch by itself");
        if group.len() == 1 {
            refuse(group, error);
            return;
        }
        for request in group {
            // One that failed may be what a later one expects.
            let (one, moved) = self.acceptable(vec![request]);
            if one.is_empty() {
                continue;
            }
            match self.past(&one) {
                Ok(()) => {
                    self.versions.extend(moved);
                    answer(one);
                }
                Err(error) => refuse(one, &error),
            }
        }
    }

    /// Puts a group into the table, synced, so that the journal's records are not needed any more: the table has all of them.
    fn past(&mut self, group: &[Request]) -> Result<(), Error> {
        let row = self.journal.as_ref().map(|journal| journal.row());
        let outcome = self.behind.table().commit(|put| rows(group, put), row.as_ref(), Way::Past);
        match &outcome {
            Ok(()) => {
                if let Some(journal) = &mut self.journal {
                    journal.recorded(true);
                }
            }
            Err(_) => self.versions.clear(),
        }
        outcome
    }

    /// The journal goes on in a new file, which the table has to know first.
    fn begin_file(&mut self) {
        let flushed = self.behind.flush();
        let Some(journal) = &mut self.journal else { return };
        if let Err(error) = flushed {
            journal.give_up(&error);
            return;
        }
        // Who waits for it was told.
        if journal.begin().is_err() {
            return;
        }
        if let Err(error) = self.past(&[])
            && let Some(journal) = &mut self.journal
        {
            tracing::warn!(%error, "a new segment cannot be recorded");
            journal.give_up(&error);
        }
    }

    /// Answers those that conflict or rest on a broken pledge; the others, and what their partitions' versions become.
    fn acceptable(&mut self, group: Vec<Request>) -> (Vec<Request>, Versions) {
        let mut group = refuse_unless(group, Batch::standing);
        let mut moved = Versions::new();
        let mut failed = Vec::new();
        for (at, request) in group.iter().enumerate() {
            let partition = request.partition;
            let Some(expected) = request.expected else {
                if request.batch.changes().iter().any(|(key, _)| key == VERSION_KEY) {
                    // The partition is removed, and its version with it.
                    moved.insert(partition, 0);
                }
                continue;
            };
            let known = moved.get(&partition).or_else(|| self.versions.get(&partition)).copied();
            match known.map_or_else(|| self.stored_version(partition), Ok) {
                Ok(found) if found == expected => drop(moved.insert(partition, found + 1)),
                Ok(_) => failed.push((at, CommitError::Conflict)),
                Err(error) => failed.push((at, CommitError::Store(error))),
            }
        }
        for (at, error) in failed.into_iter().rev() {
            (group.remove(at).done)(Err(error));
        }
        (group, moved)
    }

    fn stored_version(&mut self, partition: u64) -> Result<u64, Error> {
        let version = Reader::latest(&self.shared, partition, VERSION_KEY)?;
        let version = version.map_or(Ok(0), |value| decode_version(&value))?;
        self.versions.insert(partition, version);
        Ok(version)
    }

    /// Makes durable what the journal has of its own, and the group with it if that can be. `Ahead`: all of it is.
    fn write_ahead(&mut self, group: &[Request]) -> Way {
        let Some(journal) = &mut self.journal else {
            return if group.is_empty() { Way::Ahead } else { Way::Past };
        };
        let bytes: usize = group.iter().map(|request| request.batch.bytes()).sum();
        let record = (!group.is_empty() && bytes <= RECORD_BYTES_MAX).then(|| {
            let mut record = journal::Writing::default();
            for request in group {
                record.batch(request.partition, request.version(), &request.batch);
            }
            record.done()
        });
        match journal.write(record.as_deref()) {
            Ok(written) if written || group.is_empty() => Way::Ahead,
            Ok(_) => Way::Past,
            Err(error) => {
                tracing::warn!(%error, "the journal cannot be written");
                Way::Past
            }
        }
    }
}

/// At the end, or because a callback panicked: whoever waits is not left to wait for ever.
impl Drop for Writer {
    fn drop(&mut self) {
        let mut queue = lock(&self.shared.queue);
        queue.closing = true;
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        // Dropped without a call.
        drop(waiting);
        self.behind.close();
    }
}

/// What a group puts into the table.
fn rows(group: &[Request], put: Put<'_>) -> Result<(), Error> {
    for request in group {
        if let Some(version) = request.version() {
            put(request.partition, VERSION_KEY, Some(&version.to_be_bytes()))?;
        }
        for (key, value) in request.batch.changes() {
            put(request.partition, key, value.as_deref())?;
        }
    }
    Ok(())
}

/// Answers those whose batch does not pass; the others.
fn refuse_unless(group: Vec<Request>, passes: impl Fn(&Batch) -> Result<(), Error>) -> Vec<Request> {
    let mut kept = Vec::with_capacity(group.len());
    for request in group {
        match passes(&request.batch) {
            Ok(()) => kept.push(request),
            Err(error) => refuse(vec![request], &error),
        }
    }
    kept
}

/// They are committed.
fn answer(group: Vec<Request>) {
    for request in group {
        let version = request.version().unwrap_or(0);
        (request.done)(Ok(version));
    }
}

fn refuse(group: Vec<Request>, error: &Error) {
    for request in group {
        (request.done)(Err(CommitError::Store(error.again())));
    }
}
