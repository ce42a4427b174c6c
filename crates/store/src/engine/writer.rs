//! The one thread that writes. It takes all batches that wait, of all partitions, makes them durable in the journal (`journal`), with one
//! sync, and commits them in one transaction that is not synced: a hundred deliveries share one sync. What is large, or comes while the
//! journal fails, goes past it: then the transaction is synced. There is
//! no savepoint for each batch, which would copy every page that it touches:
//! conflicts are seen before anything is written, and if a statement or the commit
//! fails, the whole group is rolled back and each batch is tried by itself, so that a
//! bad one spoils no other. Versions are remembered; nobody else writes
//! (`lock` sees to it).

use super::checkpoint::LOG_PAGES_MAX;
use super::embedded::{GET, Shared, WAL_PAGES, column, lock};
use super::flush;
use super::journal::{self, Journal, RECORD_BYTES_MAX};
use super::{Batch, CommitError, Done, VERSION_KEY, decode_version};
use crate::disk::Disk;
use crate::{Error, key};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// Batches and octets in one transaction.
const GROUP_BATCHES_MAX: usize = 2048;
const GROUP_BYTES_MAX: usize = 16 << 20;
/// Versions remembered; past this the memory starts afresh.
const VERSIONS_MAX: usize = 1 << 16;

pub(super) const PUT: &str = "REPLACE INTO kv(account,key,value) VALUES(?1,?2,?3)";
pub(super) const DELETE: &str = "DELETE FROM kv WHERE account=?1 AND key=?2";
/// Whether transactions from now on are synced.
const SYNC: &str = "PRAGMA synchronous=FULL";
const NO_SYNC: &str = "PRAGMA synchronous=NORMAL";

/// A batch that waits.
pub(super) struct Request {
    pub(super) partition: u64,
    pub(super) expected: Option<u64>,
    pub(super) batch: Batch,
    pub(super) done: Done,
}

impl Request {
    /// The version that it gives its partition.
    fn version(&self) -> Option<u64> {
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

/// See above.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) db: Connection,
    disk: Arc<dyn Disk>,
    versions: HashMap<u64, u64>,
    pub(super) journal: Option<Box<dyn Journal>>,
    /// A record was written whose batches are not all in the table, because it failed: the next commit goes past the journal,
    /// so that this record is not needed, and does not count, any more.
    unsettled: bool,
    /// What the connection was set to.
    way: Option<Way>,
    /// Pages of the log that were written or are about to be.
    flushed: u64,
}

/// How a group becomes durable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is in the journal.
    Ahead,
    /// By the table's own sync.
    Past,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, db: Connection, disk: Arc<dyn Disk>) -> Writer {
        Writer {
            shared,
            db,
            disk,
            versions: HashMap::new(),
            journal: None,
            unsettled: false,
            way: None,
            flushed: 0,
        }
    }

    pub(super) fn run(mut self) {
        while let Some(group) = self.next_group() {
            if self.shared.finish_log.swap(false, Ordering::Relaxed) {
                self.finish_log();
            }
            self.commit_group(group);
        }
        self.end();
    }

    /// Settles all, and copies the whole log.
    fn end(&mut self) {
        let settled = match self.journal.is_some() {
            true => self.try_group(&[], Way::Past).map(drop),
            false => Ok(()),
        };
        if let Err(error) = self.db.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE) {
            tracing::warn!(%error, "the last checkpoint failed; the log is replayed at the next start");
        }
        match (settled, &mut self.journal) {
            (Ok(()), Some(journal)) => journal.close(),
            (Err(error), _) => tracing::warn!(%error, "the journal is replayed at the next start"),
            (Ok(()), None) => {}
        }
    }

    /// Nobody else writes: unless a reader holds an old state, all of the log is copied, and the next
    /// commit begins it anew.
    fn finish_log(&self) {
        match self.db.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE) {
            Ok((in_log, done)) if in_log == done => {
                self.shared.checkpoint_at.store(LOG_PAGES_MAX, Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a checkpoint failed; it is tried again"),
        }
    }

    /// Waits for batches, or for what the journal has to write, and takes as many as go into one transaction. `None`: the engine closes.
    fn next_group(&self) -> Option<Vec<Request>> {
        let mut queue = lock(&self.shared.queue);
        while queue.waiting.is_empty() && !self.journal.as_ref().is_some_and(|journal| journal.is_due()) {
            if queue.closing {
                return None;
            }
            queue = self.shared.wake_writer.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        Some(queue.take())
    }

    fn commit_group(&mut self, group: Vec<Request>) {
        let wanted = self.shared.pages_wanted.swap(0, Ordering::SeqCst);
        if wanted != 0 {
            drop(self.db.pragma_update_and_check(None, "max_page_count", wanted as i64, |_| Ok(())));
        }
        if self.journal.as_ref().is_some_and(|journal| journal.wants_file()) {
            self.begin_file();
        }
        let group = self.acceptable(group);
        let way = self.write_ahead(&group);
        let group = refuse_unless(group, Batch::kept);
        match self.try_group(&group, way) {
            Ok(versions) => answer(group, &versions),
            Err(error) => self.one_by_one(group, way, &error),
        }
        if self.versions.len() > VERSIONS_MAX {
            self.versions.clear();
        }
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        let pages = WAL_PAGES.get();
        self.flush_log(way, pages);
        self.shared.wal_pages.store(pages, Ordering::Relaxed);
        if pages >= self.shared.checkpoint_at.load(Ordering::Relaxed) {
            self.shared.wake_checkpointer.notify_one();
        }
    }

    /// Has the log written when enough of it waits.
    fn flush_log(&mut self, way: Way, pages: u64) {
        if pages < self.flushed {
            // It began anew.
            self.flushed = 0;
        }
        if way == Way::Past {
            self.flushed = pages;
        } else if pages - self.flushed >= flush::PAGES_MAX {
            self.flushed = pages;
            self.shared.flush.store(true, Ordering::Relaxed);
            self.shared.wake_flusher.notify_one();
        }
    }

    /// After a group has failed.
    fn one_by_one(&mut self, group: Vec<Request>, way: Way, error: &Error) {
        tracing::warn!(%error, batches = group.len(), "a commit failed; trying each batch by itself");
        self.unsettled |= way == Way::Ahead;
        let alone = group.len() == 1;
        for request in group {
            // One that failed may be what a later one expects.
            let one = self.acceptable(vec![request]);
            let outcome = if alone { Err(error.again()) } else { self.try_group(&one, way) };
            match outcome {
                Ok(versions) => answer(one, &versions),
                Err(error) => refuse(one, &error),
            }
        }
    }

    /// The journal goes on in a new file, which the table has to know first.
    fn begin_file(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        // Who waits for it was told.
        if journal.begin().is_err() {
            return;
        }
        if let Err(error) = self.try_group(&[], Way::Past)
            && let Some(journal) = &mut self.journal
        {
            tracing::warn!(%error, "a new segment cannot be recorded");
            journal.give_up(&error);
        }
    }

    /// Answers those that conflict or rest on a broken pledge; the others, with their versions.
    fn acceptable(&mut self, group: Vec<Request>) -> Vec<Request> {
        let mut group = refuse_unless(group, Batch::standing);
        // A partition's version within this group.
        let mut moved: HashMap<u64, u64> = HashMap::new();
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
            match known.map_or_else(|| stored_version(&self.db, column(partition)), Ok) {
                Ok(found) if found == expected => drop(moved.insert(partition, found + 1)),
                Ok(found) => {
                    self.versions.entry(partition).or_insert(found);
                    failed.push((at, CommitError::Conflict));
                }
                Err(error) => failed.push((at, CommitError::Store(error))),
            }
        }
        for (at, error) in failed.into_iter().rev() {
            (group.remove(at).done)(Err(error));
        }
        group
    }

    /// Makes durable what the journal has of its own, and the group with it if that can be.
    fn write_ahead(&mut self, group: &[Request]) -> Way {
        let Some(journal) = &mut self.journal else { return Way::Past };
        let bytes: usize = group.iter().map(|request| request.batch.bytes()).sum();
        let record = (!self.unsettled && !group.is_empty() && bytes <= RECORD_BYTES_MAX).then(|| {
            let mut record = journal::Writing::default();
            for request in group {
                record.batch(request.partition, request.version(), &request.batch);
            }
            record.done()
        });
        match journal.write(record.as_deref()) {
            Ok(true) => Way::Ahead,
            Ok(false) => Way::Past,
            Err(error) => {
                tracing::warn!(%error, "the journal cannot be written");
                Way::Past
            }
        }
    }

    /// Puts a group into the table; the new versions. On an error nothing of it is there.
    fn try_group(&mut self, group: &[Request], way: Way) -> Result<Vec<u64>, Error> {
        let applied = self.apply_group(group, way);
        match &applied {
            Ok(_) if way == Way::Past => {
                self.unsettled = false;
                self.disk.log_synced(&self.shared.path);
                if let Some(journal) = &mut self.journal {
                    journal.recorded(true);
                }
            }
            Ok(_) => {}
            Err(_) => {
                self.versions.clear();
                if !self.db.is_autocommit()
                    && let Err(error) = self.db.execute_batch("ROLLBACK")
                {
                    tracing::error!(%error, "a transaction could not be rolled back");
                }
            }
        }
        applied
    }

    fn apply_group(&mut self, group: &[Request], way: Way) -> Result<Vec<u64>, Error> {
        let row_due = match &self.journal {
            None if group.is_empty() => return Ok(Vec::new()),
            None => false,
            Some(_) if way == Way::Past => true,
            Some(_) if group.is_empty() => return Ok(Vec::new()),
            // Whoever reads this row in the table finds there all that was committed before it.
            Some(journal) => !self.unsettled && journal.is_row_due(),
        };
        if self.way != Some(way) {
            // It takes effect when it is prepared.
            self.db.execute_batch(if way == Way::Past { SYNC } else { NO_SYNC })?;
            self.way = Some(way);
        }
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let versions = self.write(group)?;
        if let Some(journal) = self.journal.as_ref().filter(|_| row_due) {
            let (key, value) = journal.row();
            self.db.prepare_cached(PUT)?.execute(params![column(key::SYSTEM), key, value])?;
        }
        self.db.prepare_cached("COMMIT")?.execute([])?;
        match way {
            Way::Past => drop(self.shared.syncs.fetch_add(1, Ordering::Relaxed)),
            Way::Ahead if row_due => {
                if let Some(journal) = &mut self.journal {
                    journal.recorded(false);
                }
            }
            Way::Ahead => {}
        }
        Ok(versions)
    }

    /// Writes the rows of `requests`, in the transaction that is open.
    fn write(&mut self, requests: &[Request]) -> Result<Vec<u64>, Error> {
        let mut versions = Vec::with_capacity(requests.len());
        let db = &self.db;
        let (mut put, mut delete) = (db.prepare_cached(PUT)?, db.prepare_cached(DELETE)?);
        for request in requests {
            let account = column(request.partition);
            match request.version() {
                Some(version) => {
                    put.execute(params![account, VERSION_KEY, version.to_be_bytes().as_slice()])?;
                    self.versions.insert(request.partition, version);
                }
                // Such a batch may remove the partition with its version.
                None => drop(self.versions.remove(&request.partition)),
            }
            for (key, value) in request.batch.changes() {
                match value {
                    Some(value) => put.execute(params![account, key, value])?,
                    None => delete.execute(params![account, key])?,
                };
            }
            versions.push(request.version().unwrap_or(0));
        }
        Ok(versions)
    }

    /// Puts the journal's records into the table, synced.
    pub(super) fn replay(&mut self, records: &[Vec<u8>]) -> Result<(), Error> {
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        {
            let (mut put, mut delete) = (self.db.prepare_cached(PUT)?, self.db.prepare_cached(DELETE)?);
            for record in records {
                journal::replay(record, |partition, key, value| {
                    match value {
                        Some(value) => put.execute(params![column(partition), key, value])?,
                        None => delete.execute(params![column(partition), key])?,
                    };
                    Ok(())
                })?;
            }
        }
        self.db.prepare_cached("COMMIT")?.execute([])?;
        // With the row that says so, and synced.
        self.try_group(&[], Way::Past).map(drop)
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

fn answer(group: Vec<Request>, versions: &[u64]) {
    for (request, version) in group.into_iter().zip(versions) {
        (request.done)(Ok(*version));
    }
}

fn refuse(group: Vec<Request>, error: &Error) {
    for request in group {
        (request.done)(Err(CommitError::Store(error.again())));
    }
}

fn stored_version(db: &Connection, account: i64) -> Result<u64, Error> {
    let mut statement = db.prepare_cached(GET)?;
    let value: Option<Vec<u8>> =
        statement.query_row(params![account, VERSION_KEY], |row| row.get(0)).optional()?;
    value.map_or(Ok(0), |value| decode_version(&value))
}
