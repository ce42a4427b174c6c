//! The embedded engine: one SQLite database as an ordered table of `(account, key) -> value`.
//!
//! One thread writes. It takes all batches that wait, of all partitions, and
//! commits them in one transaction: a hundred deliveries share one sync. There is
//! no savepoint for each batch, which would copy every page that it touches:
//! conflicts are seen before anything is written, and if a statement or the commit
//! fails, the whole group is rolled back and each batch is tried by itself, so that a
//! bad one spoils no other. Versions are remembered by the writer; nobody else writes
//! (`lock` sees to it).
//!
//! A batch waits until what it rests on is decided, and what comes meanwhile waits with it: when the word is given, all that can
//! be committed is one group. The writer is not woken before: to wake a thread for each batch, only to find that it has to wait, costs
//! more than to write the rows.
//!
//! Readers have connections of their own from a pool. Checkpoints: see `checkpoint`.

use super::checkpoint::{self, LOG_PAGES_MAX};
use super::{
    Batch, CommitError, Done, Engine, Pair, Snapshot, VERSION_KEY, Visit, decode_version, prefix_end,
};
use crate::Error;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What this program writes into `user_version`.
const FORMAT: u32 = 1;
/// "SPst": tells tools what the file is.
const APPLICATION_ID: u32 = 0x5350_7374;
/// Idle reader connections kept.
const READERS_MAX: usize = 8;
/// Page cache of the writer and of a reader, KiB.
const WRITER_CACHE_KIB: i64 = 32 << 10;
const READER_CACHE_KIB: i64 = 4 << 10;
/// Batches and octets in one transaction.
const GROUP_BATCHES_MAX: usize = 2048;
const GROUP_BYTES_MAX: usize = 16 << 20;
/// Versions remembered; past this the memory starts afresh.
const VERSIONS_MAX: usize = 1 << 16;
/// The log file is cut back to this when it starts afresh.
const WAL_BYTES_KEPT: i64 = 64 << 20;

const GET: &str = "SELECT value FROM kv WHERE account=?1 AND key=?2";
const SCAN: &str = "SELECT key,value FROM kv WHERE account=?1 AND key>=?2 AND key<?3 ORDER BY key";
const SCAN_OPEN: &str = "SELECT key,value FROM kv WHERE account=?1 AND key>=?2 ORDER BY key";
const FLOOR: &str = "SELECT key,value FROM kv WHERE account=?1 AND key<=?2 ORDER BY key DESC LIMIT 1";
const NEXT: &str = "SELECT account FROM kv WHERE account>?1 ORDER BY account LIMIT 1";
const PUT: &str = "REPLACE INTO kv(account,key,value) VALUES(?1,?2,?3)";
const DELETE: &str = "DELETE FROM kv WHERE account=?1 AND key=?2";

thread_local! {
    /// Pages in the log after the last commit of this thread.
    static WAL_PAGES: Cell<u64> = const { Cell::new(0) };
}

/// A batch that waits.
struct Request {
    partition: u64,
    expected: Option<u64>,
    batch: Batch,
    done: Done,
}

/// What waits for the writer.
#[derive(Default)]
struct Queue {
    waiting: Vec<Request>,
    closing: bool,
}

impl Queue {
    /// True if the first of those that wait can be committed now.
    fn is_ready(&self) -> bool {
        self.waiting.first().is_some_and(|first| first.batch.undecided().is_none())
    }

    /// The first of those that wait, as many as can be committed now and go into one transaction.
    fn take(&mut self) -> Vec<Request> {
        let mut bytes = 0;
        let fits = |request: &&Request| {
            let room = bytes == 0 || bytes < GROUP_BYTES_MAX;
            bytes += request.batch.bytes();
            room && request.batch.undecided().is_none()
        };
        let count = self.waiting.iter().take(GROUP_BATCHES_MAX).take_while(fits).count();
        if count == self.waiting.len() {
            std::mem::take(&mut self.waiting)
        } else {
            self.waiting.drain(..count).collect()
        }
    }
}

pub(super) struct Shared {
    pub(super) path: PathBuf,
    queue: Mutex<Queue>,
    wake_writer: Condvar,
    readers: Mutex<Vec<Connection>>,
    closed: AtomicBool,
    syncs: AtomicU64,
    pub(super) wal_pages: AtomicU64,
    /// The writer is asked to copy what is left in the log.
    pub(super) finish_log: AtomicBool,
    /// The checkpointer is woken when the log has so many pages.
    pub(super) checkpoint_at: AtomicU64,
    /// Commits so far; the checkpointer sees by it whether the moment is quiet.
    pub(super) commits: AtomicU64,
    /// A new limit for the writer's connection; zero: none is asked for. Only tests of a full disk set it.
    pages_wanted: AtomicU64,
    /// True: it is to end.
    pub(super) checkpointer: Mutex<bool>,
    pub(super) wake_checkpointer: Condvar,
}

/// The engine.
pub struct Embedded {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens or creates the database `path`. The caller sees to it that nobody else has it open.
    pub fn open(path: &Path) -> Result<Embedded, Error> {
        Embedded::open_limited(path, None)
    }

    /// The same, for tests of a full disk: the database never has more than this many pages.
    pub fn open_limited(path: &Path, pages_max: Option<u32>) -> Result<Embedded, Error> {
        let writer = open_writer(path)?;
        if let Some(pages) = pages_max {
            writer.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            queue: Mutex::default(),
            wake_writer: Condvar::new(),
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
        });
        let (for_writer, for_checkpoints) = (shared.clone(), shared.clone());
        let threads = vec![
            std::thread::Builder::new()
                .name("store-writer".to_owned())
                .spawn(move || Writer { shared: for_writer, db: writer, versions: HashMap::new() }.run())?,
            std::thread::Builder::new()
                .name("store-checkpoint".to_owned())
                .spawn(move || checkpoint::run(&for_checkpoints))?,
        ];
        Ok(Embedded { shared, threads: Mutex::new(threads) })
    }

    /// For tests of a full disk: changes the limit of [`Embedded::open_limited`].
    #[doc(hidden)]
    pub fn set_pages_max(&self, pages: u32) {
        self.shared.pages_wanted.store(u64::from(pages), Ordering::SeqCst);
    }
}

impl Engine for Embedded {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        let reader = Reader::take(&self.shared)?;
        reader.db().prepare_cached("BEGIN")?.execute([])?;
        Ok(Box::new(reader))
    }

    fn get(&self, partition: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Reader::take(&self.shared)?.get(partition, key)
    }

    fn commit(&self, partition: u64, expected: Option<u64>, batch: Batch, done: Done) {
        let mut queue = lock(&self.shared.queue);
        if queue.closing {
            drop(queue);
            return;
        }
        queue.waiting.push(Request { partition, expected, batch, done });
        // While the writer is at work it looks again before it sleeps; it needs one wake-up at most. What rests on a pledge that is
        // not decided has it from `nudge`, which comes after this, since it needs the lock.
        let wake = queue.waiting.len() == 1 && queue.is_ready();
        drop(queue);
        if wake {
            self.shared.wake_writer.notify_one();
        }
    }

    fn nudge(&self) {
        // Under the lock, so that a writer that has just looked is asleep by now and hears it.
        let ready = lock(&self.shared.queue).is_ready();
        if ready {
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

    fn close(&self) -> Result<(), Error> {
        lock(&self.shared.queue).closing = true;
        self.shared.wake_writer.notify_all();
        *lock(&self.shared.checkpointer) = true;
        self.shared.wake_checkpointer.notify_all();
        let threads = std::mem::take(&mut *lock(&self.threads));
        if threads.is_empty() {
            return Ok(());
        }
        let mine = std::thread::current().id();
        for thread in threads {
            // The last handle may be dropped by a callback on the writer itself, which cannot wait for itself.
            if thread.thread().id() != mine && thread.join().is_err() {
                tracing::error!("a thread of the engine panicked");
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
    let mut db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(Duration::from_secs(10))?;
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

/// Partitions are numbers below 2^63; SQLite's are signed.
fn column(partition: u64) -> i64 {
    partition as i64
}

struct Writer {
    shared: Arc<Shared>,
    db: Connection,
    versions: HashMap<u64, u64>,
}

impl Writer {
    fn run(mut self) {
        while let Some(group) = self.next_group() {
            if self.shared.finish_log.swap(false, Ordering::Relaxed) {
                self.finish_log();
            }
            self.commit_group(group);
        }
        if let Err(error) = self.db.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE) {
            tracing::warn!(%error, "the last checkpoint failed; the log is replayed at the next start");
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

    /// Waits for batches that can be committed and takes as many as go into one transaction. `None`: the engine closes.
    fn next_group(&self) -> Option<Vec<Request>> {
        let mut queue = lock(&self.shared.queue);
        while !queue.is_ready() {
            if queue.closing && queue.waiting.is_empty() {
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
        match self.try_group(&group) {
            Ok(outcomes) => answer(group, outcomes),
            Err(error) if group.len() == 1 => {
                tracing::warn!(%error, "a commit failed");
                answer(group, vec![Err(CommitError::Store(error))]);
            }
            Err(error) => {
                tracing::warn!(%error, batches = group.len(), "a group failed; trying each by itself");
                for request in group {
                    let one = vec![request];
                    match self.try_group(&one) {
                        Ok(outcomes) => answer(one, outcomes),
                        Err(error) => {
                            for request in one {
                                (request.done)(Err(CommitError::Store(error.again())));
                            }
                        }
                    }
                }
            }
        }
        if self.versions.len() > VERSIONS_MAX {
            self.versions.clear();
        }
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        let pages = WAL_PAGES.get();
        self.shared.wal_pages.store(pages, Ordering::Relaxed);
        if pages >= self.shared.checkpoint_at.load(Ordering::Relaxed) {
            self.shared.wake_checkpointer.notify_one();
        }
    }

    /// Commits all of `group` that do not conflict; on an error none is applied.
    fn try_group(&mut self, group: &[Request]) -> Result<Vec<Result<u64, CommitError>>, Error> {
        let applied = self.apply_group(group);
        if applied.is_err() {
            self.versions.clear();
            if !self.db.is_autocommit()
                && let Err(error) = self.db.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "a transaction could not be rolled back");
            }
        }
        applied
    }

    fn apply_group(&mut self, group: &[Request]) -> Result<Vec<Result<u64, CommitError>>, Error> {
        group.iter().try_for_each(|request| request.batch.kept())?;
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let outcomes = self.write(group)?;
        self.db.prepare_cached("COMMIT")?.execute([])?;
        self.shared.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(outcomes)
    }

    /// Writes the rows of `requests`, in the transaction that is open.
    fn write(&mut self, requests: &[Request]) -> Result<Vec<Result<u64, CommitError>>, Error> {
        let mut outcomes = Vec::with_capacity(requests.len());
        let db = &self.db;
        let (mut put, mut delete) = (db.prepare_cached(PUT)?, db.prepare_cached(DELETE)?);
        for request in requests {
            let account = column(request.partition);
            let mut version = 0;
            if let Some(expected) = request.expected {
                let found = match self.versions.get(&request.partition) {
                    Some(found) => *found,
                    None => stored_version(db, account)?,
                };
                if found != expected {
                    self.versions.insert(request.partition, found);
                    outcomes.push(Err(CommitError::Conflict));
                    continue;
                }
                version = found + 1;
                put.execute(params![account, VERSION_KEY, version.to_be_bytes().as_slice()])?;
                self.versions.insert(request.partition, version);
            } else {
                // Such a batch may remove the partition with its version.
                self.versions.remove(&request.partition);
            }
            for (key, value) in request.batch.changes() {
                match value {
                    Some(value) => put.execute(params![account, key, value])?,
                    None => delete.execute(params![account, key])?,
                };
            }
            outcomes.push(Ok(version));
        }
        Ok(outcomes)
    }
}

fn answer(group: Vec<Request>, outcomes: Vec<Result<u64, CommitError>>) {
    for (request, outcome) in group.into_iter().zip(outcomes) {
        (request.done)(outcome);
    }
}

fn stored_version(db: &Connection, account: i64) -> Result<u64, Error> {
    let mut statement = db.prepare_cached(GET)?;
    let value: Option<Vec<u8>> =
        statement.query_row(params![account, VERSION_KEY], |row| row.get(0)).optional()?;
    value.map_or(Ok(0), |value| decode_version(&value))
}

/// A connection from the pool; goes back when dropped.
struct Reader {
    shared: Arc<Shared>,
    connection: Option<Connection>,
}

impl Reader {
    fn take(shared: &Arc<Shared>) -> Result<Reader, Error> {
        if shared.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        let pooled = lock(&shared.readers).pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => {
                // Not opened read-only: the first reader after a crash may have to recover the log's index.
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let db = Connection::open_with_flags(&shared.path, flags)?;
                db.busy_timeout(Duration::from_secs(10))?;
                db.pragma_update(None, "query_only", true)?;
                db.pragma_update(None, "wal_autocheckpoint", 0)?;
                db.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
                db
            }
        };
        Ok(Reader { shared: shared.clone(), connection: Some(connection) })
    }

    fn db(&self) -> &Connection {
        // Taken out only in `drop`.
        self.connection.as_ref().expect("a reader has its connection until it is dropped")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(db) = self.connection.take() {
            let ended =
                db.is_autocommit() || db.prepare_cached("COMMIT").and_then(|mut s| s.execute([])).is_ok();
            let mut readers = lock(&self.shared.readers);
            if ended && readers.len() < READERS_MAX && !self.shared.closed.load(Ordering::Relaxed) {
                readers.push(db);
            }
        }
    }
}

impl Snapshot for Reader {
    fn get(&self, partition: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut statement = self.db().prepare_cached(GET)?;
        Ok(statement.query_row(params![column(partition), key], |row| row.get(0)).optional()?)
    }

    fn scan(&self, partition: u64, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), Error> {
        let from = if from < prefix { prefix } else { from };
        let end = prefix_end(prefix);
        let mut statement = self.db().prepare_cached(if end.is_some() { SCAN } else { SCAN_OPEN })?;
        let mut rows = match &end {
            Some(end) => statement.query(params![column(partition), from, end])?,
            None => statement.query(params![column(partition), from])?,
        };
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_blob().map_err(|_| not_bytes())?;
            if !key.starts_with(prefix) {
                break;
            }
            let value = row.get_ref(1)?.as_blob().map_err(|_| not_bytes())?;
            if visit(key, value)? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn floor(&self, partition: u64, prefix: &[u8], key: &[u8]) -> Result<Option<Pair>, Error> {
        let mut statement = self.db().prepare_cached(FLOOR)?;
        let found: Option<Pair> = statement
            .query_row(params![column(partition), key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.filter(|(key, _)| key.starts_with(prefix)))
    }

    fn next_partition(&self, after: u64) -> Result<Option<u64>, Error> {
        let mut statement = self.db().prepare_cached(NEXT)?;
        let found: Option<i64> = statement.query_row(params![column(after)], |row| row.get(0)).optional()?;
        Ok(found.map(|account| account as u64))
    }
}

fn not_bytes() -> Error {
    Error::Damaged("a key or value in the database is not a blob".to_owned())
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
