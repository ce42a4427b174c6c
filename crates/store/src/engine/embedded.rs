//! The embedded engine: one SQLite database as an ordered table of `(account, key) -> value`.
//!
//! One thread makes batches durable and shows them to readers (`writer`, `memtable`), another puts them into the table (`behind`, `table`).
//! Readers have connections of their own from a pool (`reader`). Checkpoints: see `checkpoint`.

use super::behind::Behind;
use super::checkpoint::{self, LOG_PAGES_MAX};
use super::flush;
use super::journal::{self, Journal};
use super::memtable::Memtable;
use super::reader::{Reader, State};
use super::table::{Put, Table, Way};
use super::writer::{Queue, Request, Writer};
use super::{Batch, Done, Engine, Snapshot};
use crate::Error;
use crate::disk::{Disk, Real};
use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags};
use std::cell::Cell;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// What this program writes into `user_version`.
const FORMAT: u32 = 1;
/// "SPst": tells tools what the file is.
const APPLICATION_ID: u32 = 0x5350_7374;
/// Page cache of the connection that writes, KiB.
const WRITER_CACHE_KIB: i64 = 32 << 10;
/// The log file is cut back to this when it starts afresh.
const WAL_BYTES_KEPT: i64 = 64 << 20;

thread_local! {
    /// Pages in the log after the last commit of this thread.
    pub(super) static WAL_PAGES: Cell<u64> = const { Cell::new(0) };
}

pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) queue: Mutex<Queue>,
    pub(super) wake_writer: Condvar,
    /// Rows that the table does not have yet.
    pub(super) memtable: Memtable,
    pub(super) readers: Mutex<Vec<Connection>>,
    pub(super) closed: AtomicBool,
    pub(super) syncs: AtomicU64,
    pub(super) wal_pages: AtomicU64,
    /// The writer is asked to copy what is left in the log.
    pub(super) finish_log: AtomicBool,
    /// The checkpointer is woken when the log has so many pages.
    pub(super) checkpoint_at: AtomicU64,
    /// Commits so far; the checkpointer sees by it whether the moment is quiet.
    pub(super) commits: AtomicU64,
    /// A new limit for the writer's connection; zero: none is asked for. Only tests of a full disk set it.
    pub(super) pages_wanted: AtomicU64,
    /// True: it is to end.
    pub(super) checkpointer: Mutex<bool>,
    pub(super) wake_checkpointer: Condvar,
    /// Enough pages of the log wait to be written.
    pub(super) flush: AtomicBool,
    /// True: it is to end.
    pub(super) flusher: Mutex<bool>,
    pub(super) wake_flusher: Condvar,
}

/// The engine.
pub struct Embedded {
    shared: Arc<Shared>,
    /// Its threads hold it, and with it the table, until they end.
    behind: Weak<Behind>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

/// An engine that is not at work yet: what the journal has is put into the table first.
pub(crate) struct Prepared {
    pub(super) shared: Arc<Shared>,
    pub(super) table: Table,
}

impl Prepared {
    /// Opens or creates the database `path`. The caller sees to it that nobody else has it open.
    pub(crate) fn open(path: &Path, disk: Arc<dyn Disk>) -> Result<Prepared, Error> {
        let db = open_writer(path)?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            queue: Mutex::default(),
            wake_writer: Condvar::new(),
            memtable: Memtable::default(),
            readers: Mutex::default(),
            closed: AtomicBool::new(false),
            syncs: AtomicU64::new(0),
            // What an earlier run left is checkpointed in the first quiet moment.
            wal_pages: AtomicU64::new(1),
            finish_log: AtomicBool::new(false),
            checkpoint_at: AtomicU64::new(LOG_PAGES_MAX),
            commits: AtomicU64::new(0),
            pages_wanted: AtomicU64::new(0),
            checkpointer: Mutex::new(false),
            wake_checkpointer: Condvar::new(),
            flush: AtomicBool::new(false),
            flusher: Mutex::new(false),
            wake_flusher: Condvar::new(),
        });
        Ok(Prepared { table: Table::new(shared.clone(), db, disk), shared })
    }

    /// The value under a key of the system's partition.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.table.get(key)
    }

    /// Wakes the engine when there is something for its journal to write.
    pub(crate) fn nudge(&self) -> Arc<dyn Fn() + Send + Sync> {
        let shared = self.shared.clone();
        Arc::new(move || {
            // Under the lock, so that a writer that has just looked is asleep by now and hears it.
            drop(lock(&shared.queue));
            shared.wake_writer.notify_one();
        })
    }

    /// Puts the journal's records into the table and begins to work.
    pub(crate) fn start(
        mut self,
        mut journal: Option<Box<dyn Journal>>,
        records: &[Vec<u8>],
    ) -> Result<Embedded, Error> {
        if let Some(journal) = journal.as_mut().filter(|_| !records.is_empty()) {
            tracing::info!(records = records.len(), "what was written ahead is put into the table");
            // With the row that says so.
            let replay =
                |put: Put<'_>| records.iter().try_for_each(|record| journal::replay(record, &mut *put));
            self.table.commit(replay, Some(&journal.row()), Way::Past)?;
            journal.recorded(true);
        }
        let Prepared { shared, table } = self;
        let behind = Arc::new(Behind::new(shared.clone(), table));
        let weak = Arc::downgrade(&behind);
        let writer = Writer::new(shared.clone(), behind.clone(), journal);
        let (for_rows, for_checkpoints, for_flushes) = (behind.clone(), shared.clone(), shared.clone());
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(run)
        };
        let threads = vec![
            spawn("store-writer", Box::new(move || writer.run()))?,
            spawn("store-table", Box::new(move || for_rows.run()))?,
            spawn("store-checkpoint", Box::new(move || checkpoint::run(&for_checkpoints)))?,
            spawn("store-flush", Box::new(move || flush::run(&for_flushes)))?,
        ];
        Ok(Embedded { shared, behind: weak, threads: Mutex::new(threads) })
    }
}

impl Embedded {
    /// Opens or creates the database `path`, without a journal. The caller sees to it that nobody else has it open.
    pub fn open(path: &Path) -> Result<Embedded, Error> {
        Prepared::open(path, Arc::new(Real))?.start(None, &[])
    }

    /// The same, for tests of a full disk: the database never has more than this many pages.
    pub fn open_limited(path: &Path, pages_max: Option<u32>) -> Result<Embedded, Error> {
        let prepared = Prepared::open(path, Arc::new(Real))?;
        if let Some(pages) = pages_max {
            prepared.table.limit(u64::from(pages))?;
        }
        prepared.start(None, &[])
    }

    /// For tests of a full disk: changes the limit of [`Embedded::open_limited`].
    #[doc(hidden)]
    pub fn set_pages_max(&self, pages: u32) {
        self.shared.pages_wanted.store(u64::from(pages), Ordering::SeqCst);
    }
}

impl Engine for Embedded {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        Ok(Box::new(State::begin(Reader::take(&self.shared)?)?))
    }

    fn get(&self, partition: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Reader::latest(&self.shared, partition, key)
    }

    fn commit(&self, partition: u64, expected: Option<u64>, batch: Batch, done: Done) {
        let mut queue = lock(&self.shared.queue);
        if queue.closing {
            drop(queue);
            return;
        }
        queue.waiting.push(Request { partition, expected, batch, done });
        // While the writer is at work it looks again before it sleeps; it needs one wake-up at most.
        let wake = queue.waiting.len() == 1;
        drop(queue);
        if wake {
            self.shared.wake_writer.notify_one();
        }
    }

    fn verify(&self) -> Result<Vec<String>, Error> {
        let reader = Reader::take(&self.shared)?;
        let mut statement = reader.db().prepare("PRAGMA integrity_check(20)")?;
        let mut faults = Vec::new();
        for line in statement.query_map([], |row| row.get::<_, String>(0))? {
            faults.push(line?);
        }
        faults.retain(|line| line != "ok");
        Ok(faults)
    }

    fn syncs(&self) -> u64 {
        self.shared.syncs.load(Ordering::Relaxed)
    }

    fn settle(&self) -> Result<(), Error> {
        self.behind.upgrade().map_or(Ok(()), |behind| behind.flush())
    }

    fn close(&self) -> Result<(), Error> {
        lock(&self.shared.queue).closing = true;
        self.shared.wake_writer.notify_all();
        *lock(&self.shared.checkpointer) = true;
        self.shared.wake_checkpointer.notify_all();
        *lock(&self.shared.flusher) = true;
        self.shared.wake_flusher.notify_all();
        let threads = std::mem::take(&mut *lock(&self.threads));
        if threads.is_empty() {
            return Ok(());
        }
        let mine = std::thread::current().id();
        // The last handle may be dropped by a callback on one of them, which cannot wait for itself, nor for one that waits for it.
        if threads.iter().all(|thread| thread.thread().id() != mine) {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a thread of the engine panicked");
                }
            }
        }
        self.shared.closed.store(true, Ordering::SeqCst);
        lock(&self.shared.readers).clear();
        Ok(())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the engine did not close well");
        }
    }
}

/// Nothing is left half done by a panic in any critical section here.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_writer(path: &Path) -> Result<Connection, Error> {
    // SQLite does not tell why it cannot open a file, or opens it for reading only; the system tells.
    let mut probe = std::fs::OpenOptions::new();
    probe.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = connect(path, flags)?;
    let found: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > FORMAT {
        return Err(Error::TooNew(found));
    }
    if found == 0 {
        db.pragma_update(None, "page_size", 8192)?;
    }
    db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    db.pragma_update(None, "temp_store", "memory")?;
    db.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT, |_| Ok(()))?;
    if found == 0 {
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             CREATE TABLE IF NOT EXISTS kv(account INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
               PRIMARY KEY(account,key)) WITHOUT ROWID;
             PRAGMA application_id={APPLICATION_ID};
             PRAGMA user_version={FORMAT};
             COMMIT;"
        ))?;
        crate::disk::sync_parent(path)?;
    }
    db.wal_hook(Some(|_: &mut Wal, pages: std::ffi::c_int| {
        WAL_PAGES.set(u64::try_from(pages).unwrap_or(0));
        Ok(())
    }))?;
    Ok(db)
}

/// A connection whose statements are prepared once. Else SQLite prepares a scan again whenever the account becomes 0 or 1 or was one of
/// these, since another plan might suit such values better, which takes longer than to run it. Here one plan suits all.
pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let db = Connection::open_with_flags(path, flags)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.busy_timeout(Duration::from_secs(10))?;
    Ok(db)
}

/// Partitions are numbers below 2^63; SQLite's are signed.
pub(super) fn column(partition: u64) -> i64 {
    partition as i64
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        use rusqlite::ErrorCode as Code;
        let text = error.to_string();
        match error.sqlite_error() {
            Some(found) => match found.code {
                Code::DiskFull => Error::DiskFull,
                Code::ReadOnly => Error::ReadOnly,
                Code::DatabaseCorrupt | Code::NotADatabase => Error::Damaged(text),
                // Growing the shared index of the log fails so on a full disk.
                Code::SystemIoFailure if found.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
                    Error::DiskFull
                }
                _ => Error::Io(std::io::Error::other(text)),
            },
            None => Error::Io(std::io::Error::other(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::{DOWN, GET, NEXT, SCAN, SCAN_OPEN};
    use super::super::table::{DELETE, PUT};
    use super::*;
    use rusqlite::StatementStatus;

    /// As other queries have them; of 0 and 1 SQLite thinks that they may be frequent.
    #[test]
    fn no_statement_is_prepared_again_for_other_values() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Embedded::open(&dir.path().join("store.db")).unwrap();
        let reader = Reader::take(&engine.shared).unwrap();
        let writer = connect(&dir.path().join("store.db"), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        for (db, text) in [GET, SCAN, SCAN_OPEN, DOWN, NEXT]
            .map(|text| (reader.db(), text))
            .into_iter()
            .chain([PUT, DELETE].map(|text| (&writer, text)))
        {
            let mut statement = db.prepare(text).unwrap();
            for turn in 0..20u8 {
                let key = vec![turn; usize::from(turn) + 1];
                let values: [&dyn rusqlite::ToSql; 3] = [&i64::from(turn), &key, &[0xff; 9].as_slice()];
                let mut rows = statement.query(&values[..statement.parameter_count()]).unwrap();
                while rows.next().unwrap().is_some() {}
            }
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{text}");
        }
    }
}
