//! The thread that puts the rows of the memtable into the table, many commits in one transaction: when enough of them wait, or after a short
//! while. The journal has made them durable before, and they are answered.
//!
//! A transaction that fails leaves its rows in the memtable, where they are read as before; the journal keeps its records. From then on
//! nothing is committed (`writer`) unless the table takes first what it owes, which is tried for each commit, and without one now and then.

use super::Error;
use super::embedded::{Shared, lock};
use super::table::{Table, Way};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Octets of rows (with what holds them) that go into the table together: the more there are, the more of them are new values of the same
/// row, or neighbours on a page.
const BYTES: usize = 1 << 20;
/// So many may wait while others are on their way.
const BYTES_MAX: usize = 2 * BYTES;
/// Rows wait for others no longer than this.
const LINGER: Duration = Duration::from_millis(100);
/// What failed is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Default)]
struct State {
    /// When the first row came that waits, as far as the thread was told.
    since: Option<Instant>,
    closing: bool,
}

/// See above.
pub(super) struct Behind {
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// There are rows, enough of them, or the end.
    wake: Condvar,
    /// The table did not take what it was given last.
    failed: AtomicBool,
    /// Who wants to write what comes behind the memtable's rows flushes these first.
    table: Mutex<Table>,
}

impl Behind {
    pub(super) fn new(shared: Arc<Shared>, table: Table) -> Behind {
        let failed = AtomicBool::new(false);
        Behind { shared, state: Mutex::default(), wake: Condvar::new(), failed, table: Mutex::new(table) }
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    /// Rows came into the memtable, where so many octets waited before, and wait now.
    pub(super) fn came(&self, (before, now): (usize, usize)) {
        if now >= BYTES_MAX {
            // The thread does not keep up; what fails is seen by the next commit.
            drop(self.flush());
        } else if before == 0 || (before < BYTES) != (now < BYTES) {
            lock(&self.state).since.get_or_insert_with(Instant::now);
            self.wake.notify_one();
        }
    }

    /// True if the table owes rows that it did not take.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Puts all that is in the memtable into the table, on this thread.
    pub(super) fn flush(&self) -> Result<(), Error> {
        let mut table = self.table();
        let memtable = &self.shared.memtable;
        while let Some((generation, are_more)) = memtable.rotate() {
            let outcome = table.commit(|put| generation.rows(put), generation.row().as_ref(), Way::Ahead);
            self.failed.store(outcome.is_err(), Ordering::SeqCst);
            if let Err(error) = outcome {
                memtable.give_back(&generation);
                lock(&self.state).since.get_or_insert_with(Instant::now);
                self.wake.notify_one();
                tracing::warn!(%error, "the database takes no rows; nothing is committed until it does");
                return Err(error);
            }
            memtable.let_go(&generation);
            if !are_more {
                break;
            }
        }
        Ok(())
    }

    /// The thread ends.
    pub(super) fn close(&self) {
        lock(&self.state).closing = true;
        self.wake.notify_one();
    }

    /// Runs until it is closed.
    pub(super) fn run(&self) {
        while self.wait() {
            // It has told of a failure.
            drop(self.flush());
        }
    }

    /// Waits until rows are due. False: it is closed.
    fn wait(&self) -> bool {
        let mut state = lock(&self.state);
        loop {
            if state.closing {
                return false;
            }
            let patience = if self.has_failed() { RETRY } else { LINGER };
            let left = state.since.map(|since| patience.saturating_sub(since.elapsed()));
            let enough = !self.has_failed() && self.shared.memtable.bytes() >= BYTES;
            match left {
                None => state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() || enough => break,
                Some(left) => {
                    state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        state.since = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::embedded::{Embedded, Prepared};
    use super::super::journal::Journal;
    use super::super::{Batch, CommitError, Engine, Pair};
    use super::*;
    use crate::disk::Real;
    use std::path::Path;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    /// Has always room, and counts.
    #[derive(Default)]
    struct Counts {
        /// Records that are needed.
        records: AtomicUsize,
    }

    impl Journal for Arc<Counts> {
        fn is_due(&self) -> bool {
            false
        }
        fn wants_file(&self) -> bool {
            false
        }
        fn begin(&mut self) -> Result<(), Error> {
            Ok(())
        }
        fn give_up(&mut self, _: &Error) {}
        fn write(&mut self, record: Option<&[u8]>) -> Result<bool, Error> {
            self.records.fetch_add(usize::from(record.is_some()), Ordering::SeqCst);
            Ok(record.is_some())
        }
        fn row(&self) -> Pair {
            (crate::key::settled(), Vec::new())
        }
        fn is_row_due(&self) -> bool {
            true
        }
        fn recorded(&mut self, durable: bool) {
            if durable {
                self.records.store(0, Ordering::SeqCst);
            }
        }
        fn close(&mut self) {}
    }

    const BIG: usize = 6000;

    fn open(path: &Path) -> (Embedded, Arc<Counts>) {
        let counts = Arc::<Counts>::default();
        let prepared = Prepared::open(path, Arc::new(Real)).unwrap();
        (prepared.start(Some(Box::new(counts.clone())), &[]).unwrap(), counts)
    }

    fn batch(number: u64, bytes: usize) -> Batch {
        let mut batch = Batch::default();
        batch.put(number.to_be_bytes().to_vec(), vec![7; bytes]);
        batch
    }

    fn commit(engine: &Embedded, partition: u64, number: u64, bytes: usize) -> Result<u64, CommitError> {
        super::super::commit_wait(engine, partition, Some(number), batch(number, bytes))
    }

    /// Rows of partition 1, with its version.
    fn in_table(path: &Path) -> i64 {
        let other = rusqlite::Connection::open(path).unwrap();
        other.query_row("SELECT count(*) FROM kv WHERE account=1", [], |row| row.get(0)).unwrap()
    }

    /// Of partition 1.
    fn holds(engine: &Embedded, count: u64) {
        let snapshot = engine.snapshot().unwrap();
        assert_eq!(snapshot.version(1).unwrap(), count);
        for number in 0..=count {
            let found = snapshot.get(1, &number.to_be_bytes()).unwrap();
            assert_eq!(found.is_some(), number < count, "{number}");
            assert_eq!(engine.get(1, &number.to_be_bytes()).unwrap(), found);
        }
    }

    #[test]
    fn what_the_table_does_not_take_is_kept_and_nothing_more_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.db");
        let (engine, counts) = open(&path);
        engine.set_pages_max(24);
        let mut count = 0;
        let refused = loop {
            match commit(&engine, 1, count, BIG) {
                Ok(version) => assert_eq!(version, count + 1),
                Err(error) => break error,
            }
            count += 1;
            // Until the rows are due, and find no room.
            std::thread::sleep(LINGER / 10);
            assert!(count < 2000, "the limit does not hold");
        };
        assert!(matches!(refused, CommitError::Store(Error::DiskFull)), "{refused:?}");
        assert!(in_table(&path) < count as i64, "more than the table has room for is kept");
        holds(&engine, count);
        let records = counts.records.load(Ordering::SeqCst);
        for partition in [1, 2] {
            let version = if partition == 1 { count } else { 0 };
            let refused = commit(&engine, partition, version, 1).unwrap_err();
            assert!(matches!(refused, CommitError::Store(Error::DiskFull)), "{refused:?}");
        }
        assert_eq!(counts.records.load(Ordering::SeqCst), records, "the journal neither takes nor gives up");
        holds(&engine, count);
        engine.set_pages_max(1000);
        let before = engine.syncs();
        assert_eq!(commit(&engine, 1, count, BIG).unwrap(), count + 1);
        assert_eq!(counts.records.load(Ordering::SeqCst), records + 1);
        assert_eq!(engine.syncs(), before, "the table need not be synced for it");
        holds(&engine, count + 1);
        engine.close().unwrap();
        assert_eq!(counts.records.load(Ordering::SeqCst), 0);
        holds(&Embedded::open(&path).unwrap(), count + 1);
    }

    /// Without a commit too, and at the latest when rows are due again.
    #[test]
    fn the_table_gets_its_rows_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.db");
        let (engine, _) = open(&path);
        engine.set_pages_max(3);
        for number in 0..4 {
            commit(&engine, 1, number, BIG).unwrap();
        }
        std::thread::sleep(3 * LINGER);
        assert_eq!(in_table(&path), 0);
        engine.set_pages_max(1000);
        while in_table(&path) == 0 {
            std::thread::sleep(LINGER);
        }
        assert_eq!(in_table(&path), 5);
        holds(&engine, 4);
    }

    #[test]
    fn commits_do_not_wait_for_the_table_until_too_much_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.db");
        let (engine, _) = open(&path);
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let step = 4 << 10;
        let few = (BYTES / step / 2) as u64;
        for number in 0..few {
            commit(&engine, 1, number, step).unwrap();
        }
        holds(&engine, few);
        let all = 4 * (BYTES_MAX / step) as u64;
        let (tell, told) = mpsc::channel();
        for number in few..all {
            let tell = tell.clone();
            let done = move |outcome: Result<u64, CommitError>| tell.send(outcome.unwrap()).unwrap();
            engine.commit(1, Some(number), batch(number, step), Box::new(done));
            std::thread::sleep(Duration::from_micros(200));
        }
        let most = ((BYTES + BYTES_MAX + BYTES / 4) / step) as u64;
        let ahead = engine.snapshot().unwrap().version(1).unwrap();
        assert!(ahead < most, "{ahead} of {all} wait in memory");
        other.execute_batch("ROLLBACK").unwrap();
        drop(tell);
        assert_eq!(told.iter().last(), Some(all));
        holds(&engine, all);
    }

    #[test]
    fn a_callback_that_panics_does_not_keep_the_engine_from_closing() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, _) = open(&dir.path().join("e.db"));
        engine.commit(1, None, batch(1, 1), Box::new(|_| panic!("as a test wants it")));
        // Nobody answers any more, but nobody waits for ever either.
        let (tell, told) = mpsc::channel();
        for number in 0..5 {
            let tell = tell.clone();
            engine.commit(1, None, batch(number, 1), Box::new(move |_| tell.send(()).unwrap()));
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(tell);
        assert_eq!(told.iter().count(), 0);
        engine.close().unwrap();
    }
}
