//! The one thread that writes. It takes all batches that wait, of all partitions, makes them durable in the journal (`journal`) with one
//! sync, and hands them to the thread that puts them into the table (`behind`), in a transaction that is not synced: a hundred deliveries
//! share one sync, and their rows are written while the next are synced. What is large, or comes while the journal fails, goes past it: then
//! the table has to have all that came before, and the transaction is synced.
//!
//! Conflicts are seen before anything is written. If a statement or a commit fails, nothing of what shared the transaction is there, and each
//! batch is tried by itself, so that a bad one spoils no other. Versions are remembered; nobody else writes (`lock` sees to it).

use super::behind::{Behind, Failure, Job};
use super::embedded::{Reader, Shared, lock};
use super::journal::{self, Journal, RECORD_BYTES_MAX};
use super::table::Way;
use super::{Batch, CommitError, Done, Snapshot, VERSION_KEY};
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
    /// Of partitions on their way into the table all are here.
    versions: Versions,
    journal: Option<Box<dyn Journal>>,
    /// A record was written whose batches are not all in the table, because it failed: the next commit goes past the journal,
    /// so that this record is not needed, and does not count, any more.
    unsettled: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, behind: Arc<Behind>, journal: Option<Box<dyn Journal>>) -> Writer {
        Writer { shared, behind, versions: HashMap::new(), journal, unsettled: false }
    }

    pub(super) fn run(mut self) {
        while let Some(group) = self.next_group() {
            self.mend();
            self.commit_group(group);
        }
        self.end();
    }

    /// Settles all, and copies the whole log.
    fn end(&mut self) {
        self.mend();
        let settled = match self.journal.is_some() {
            true => self.past(&[]),
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
        self.behind.pace();
        let mut queue = lock(&self.shared.queue);
        let is_due = || self.journal.as_ref().is_some_and(|journal| journal.is_due());
        while queue.waiting.is_empty() && !is_due() && !self.behind.has_failed() {
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
        let (group, moved) = self.acceptable(group);
        match self.write_ahead(&group) {
            Way::Ahead => self.hand_over(group, moved),
            Way::Past => {
                let group = refuse_unless(group, Batch::kept);
                self.settle();
                self.commit_past(group);
            }
        }
        if self.versions.len() > VERSIONS_MAX {
            self.settle();
            self.versions.clear();
        }
    }

    /// The group, which may be empty, is in the journal.
    fn hand_over(&mut self, group: Vec<Request>, moved: Versions) {
        self.versions.extend(moved);
        // Whoever finds this row in the table finds there all that was committed before it.
        let row = self.journal.as_mut().filter(|journal| journal.is_row_due()).map(|journal| {
            let row = journal.row();
            journal.recorded(false);
            row
        });
        if !group.is_empty() || row.is_some() {
            self.behind.push(Job { group, row });
        }
    }

    /// Waits until the table has all that is in the journal, as far as it can be had.
    fn settle(&mut self) {
        self.behind.wait();
        self.mend();
    }

    /// Tries what the table did not take once more, each by itself.
    fn mend(&mut self) {
        if !self.behind.has_failed() {
            return;
        }
        let Some(Failure { error, group }) = self.behind.failure() else { return };
        self.unsettled = true;
        self.versions.clear();
        self.one_by_one(group, &error);
    }

    /// Commits a group with the table's own sync.
    fn commit_past(&mut self, group: Vec<Request>) {
        // What came before may have failed since they were looked at.
        let (group, moved) = self.acceptable(group);
        match self.past(&group) {
            Ok(()) => {
                self.versions.extend(moved);
                answer(group);
            }
            Err(error) => self.one_by_one(group, &error),
        }
    }

    /// After a group has failed; nothing is on its way into the table.
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

    /// Puts a group into the table, synced, with all that the journal has. Nothing is on its way there.
    fn past(&mut self, group: &[Request]) -> Result<(), Error> {
        let row = self.journal.as_ref().map(|journal| journal.row());
        let outcome = self.behind.table().commit(group, row.as_ref(), Way::Past);
        match &outcome {
            Ok(()) => {
                self.unsettled = false;
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
        self.settle();
        let Some(journal) = &mut self.journal else { return };
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
        if !failed.is_empty() {
            // Whoever is told of a conflict reads what it conflicts with.
            self.behind.wait();
        }
        for (at, error) in failed.into_iter().rev() {
            (group.remove(at).done)(Err(error));
        }
        (group, moved)
    }

    /// Of a partition of which nothing is on its way into the table.
    fn stored_version(&mut self, partition: u64) -> Result<u64, Error> {
        let version = Reader::take(&self.shared)?.version(partition)?;
        self.versions.insert(partition, version);
        Ok(version)
    }

    /// Makes durable what the journal has of its own, and the group with it if that can be. `Ahead`: all of it is.
    fn write_ahead(&mut self, group: &[Request]) -> Way {
        let Some(journal) = &mut self.journal else {
            return if group.is_empty() { Way::Ahead } else { Way::Past };
        };
        let bytes: usize = group.iter().map(|request| request.batch.bytes()).sum();
        let record = (!self.unsettled && !group.is_empty() && bytes <= RECORD_BYTES_MAX).then(|| {
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

impl Drop for Writer {
    fn drop(&mut self) {
        self.behind.close();
    }
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
pub(super) fn answer(group: Vec<Request>) {
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
