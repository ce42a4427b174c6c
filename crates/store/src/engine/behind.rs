//! The thread that puts groups of batches into the table after the journal has made them durable, and answers them. Meanwhile the
//! writer makes the next group durable; whatever has come by the time that the table is free shares a transaction.
//!
//! What must hold: groups go into the table in their order. After one has failed none of those behind it goes there by itself, since it may
//! rest on the failed one; all of them go back to the writer.

use super::embedded::lock;
use super::table::{Table, Way};
use super::writer::{Request, answer};
use super::{Error, Pair};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A group that is durable.
pub(super) struct Job {
    pub(super) group: Vec<Request>,
    /// Where the journal stands behind it, if that is to be recorded.
    pub(super) row: Option<Pair>,
}

/// What the table did not take, and why.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) group: Vec<Request>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Job>,
    /// Some are being committed.
    busy: bool,
    /// Somebody waits for `moved`.
    awaited: bool,
    failure: Option<Failure>,
    closing: bool,
    /// The thread is gone, at its end or because it panicked; nobody is waited for or answered any more.
    ended: bool,
}

/// See above.
pub(super) struct Behind {
    state: Mutex<State>,
    /// There is a job, or the end.
    wake: Condvar,
    /// Jobs were taken or are done.
    moved: Condvar,
    /// There is a failure.
    failed: AtomicBool,
    table: Mutex<Table>,
}

impl Behind {
    pub(super) fn new(table: Table) -> Behind {
        let (state, wake, moved) = (Mutex::default(), Condvar::new(), Condvar::new());
        Behind { state, wake, moved, failed: AtomicBool::new(false), table: Mutex::new(table) }
    }

    /// The table. Who wants to write there what comes behind all jobs waits for these first.
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    /// Waits while more than one job is left: to make more groups durable, and smaller ones, would only take time from the table.
    pub(super) fn pace(&self) {
        drop(self.wait_while(|state| state.waiting.len() + usize::from(state.busy) > 1));
    }

    pub(super) fn push(&self, job: Job) {
        let mut state = lock(&self.state);
        if state.ended {
            return;
        }
        state.waiting.push(job);
        let wake = !state.busy;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// True if there is something to take from [`Behind::failure`].
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Waits until no job is left.
    pub(super) fn wait(&self) {
        drop(self.idle());
    }

    fn idle(&self) -> MutexGuard<'_, State> {
        self.wait_while(|state| state.busy || !state.waiting.is_empty())
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        while condition(&state) {
            state.awaited = true;
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// To wake somebody is a system call, whether or not there is somebody.
    fn tell_moved(&self, state: &mut State) {
        if std::mem::take(&mut state.awaited) {
            self.moved.notify_all();
        }
    }

    /// Waits until no job is left. What failed, in its order; after this jobs are committed again.
    pub(super) fn failure(&self) -> Option<Failure> {
        let mut state = self.idle();
        self.failed.store(false, Ordering::SeqCst);
        state.failure.take()
    }

    /// The thread ends when no job is left.
    pub(super) fn close(&self) {
        lock(&self.state).closing = true;
        self.wake.notify_one();
    }

    /// Runs until it is closed. `nudge` is called when something has failed.
    pub(super) fn run(&self, nudge: &dyn Fn()) {
        let _ended = Ended(self);
        let mut state = lock(&self.state);
        loop {
            if state.waiting.is_empty() {
                if state.closing {
                    return;
                }
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let jobs = std::mem::take(&mut state.waiting);
            self.tell_moved(&mut state);
            if let Some(failure) = &mut state.failure {
                failure.group.extend(jobs.into_iter().flat_map(|job| job.group));
                continue;
            }
            state.busy = true;
            drop(state);
            let failure = self.commit(jobs);
            state = lock(&self.state);
            state.busy = false;
            if failure.is_some() {
                state.failure = failure;
                self.failed.store(true, Ordering::SeqCst);
                drop(state);
                nudge();
                state = lock(&self.state);
            }
            self.tell_moved(&mut state);
        }
    }

    fn commit(&self, jobs: Vec<Job>) -> Option<Failure> {
        let row = jobs.iter().rev().find_map(|job| job.row.as_ref());
        let requests = jobs.iter().flat_map(|job| &job.group);
        let outcome = self.table().commit(requests, row, Way::Ahead);
        match outcome {
            Ok(()) => {
                jobs.into_iter().for_each(|job| answer(job.group));
                None
            }
            Err(error) => {
                Some(Failure { error, group: jobs.into_iter().flat_map(|job| job.group).collect() })
            }
        }
    }
}

/// The thread ends, however it does.
struct Ended<'a>(&'a Behind);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        (state.ended, state.busy) = (true, false);
        let waiting = std::mem::take(&mut state.waiting);
        self.0.moved.notify_all();
        drop(state);
        // Dropped without a call.
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::super::embedded::Prepared;
    use super::super::journal::Journal;
    use super::super::{Batch, CommitError, Engine};
    use super::*;
    use crate::disk::Real;
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicUsize;
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

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
            false
        }
        fn recorded(&mut self, durable: bool) {
            if durable {
                self.records.store(0, Ordering::SeqCst);
            }
        }
        fn close(&mut self) {}
    }

    const BIG: usize = 6000;

    fn batch(number: u64, bytes: usize) -> Batch {
        let mut batch = Batch::default();
        batch.put(number.to_be_bytes().to_vec(), vec![7; bytes]);
        batch
    }

    /// Each time groups pile up behind one that cannot be committed for a moment, until the disk is full in the middle of them.
    #[test]
    fn what_fails_behind_the_journal_is_tried_again_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.db");
        let counts = Arc::<Counts>::default();
        let prepared = Prepared::open(&path, Arc::new(Real)).unwrap();
        let engine = prepared.start(Some(Box::new(counts.clone())), &[]).unwrap();
        engine.set_pages_max(24);
        let (tell, told) = mpsc::channel();
        let commit = |partition: u64, expected: u64, bytes: usize| {
            let tell = tell.clone();
            let done = move |outcome| tell.send((partition, expected, outcome)).unwrap();
            engine.commit(partition, Some(expected), batch(expected % 64, bytes), Box::new(done));
        };
        let other = rusqlite::Connection::open(&path).unwrap();
        let (mut small, mut versions, mut synced) = (0, [0; 3], 0);
        for round in 0..8 {
            let before = engine.syncs();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            for number in 0..2 {
                for (partition, version) in (1..).zip(&versions) {
                    commit(partition, version + number, BIG);
                    // It takes no room after the first one.
                    commit(9, small, 1);
                    small += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            other.execute_batch("ROLLBACK").unwrap();
            let mut outcomes = BTreeMap::<u64, Vec<_>>::new();
            for _ in 0..12 {
                let (partition, expected, outcome) = told.recv().unwrap();
                outcomes.entry(partition).or_default().push((expected, outcome));
            }
            for (expected, outcome) in outcomes.remove(&9).unwrap() {
                assert_eq!(outcome.unwrap(), expected + 1, "what takes no room has to suffer nothing");
            }
            for (partition, version) in (1..).zip(&mut versions) {
                let [(first, outcome), (second, next)] = &outcomes[&partition][..] else {
                    panic!("two answers")
                };
                assert_eq!((*first, *second), (*version, *version + 1), "in order");
                match (outcome, next) {
                    (Ok(_), Ok(_)) => *version += 2,
                    (Ok(_), Err(CommitError::Store(Error::DiskFull))) => *version += 1,
                    (Err(CommitError::Store(Error::DiskFull)), Err(CommitError::Conflict)) => {}
                    other => panic!("round {round}: {other:?}"),
                }
                assert_eq!(engine.snapshot().unwrap().version(partition).unwrap(), *version);
            }
            synced += engine.syncs() - before;
        }
        assert!(versions.iter().sum::<u64>() > 6, "{versions:?}: the first rounds found room");
        assert!(synced > 0, "after a failure nothing rests on the journal");
        engine.set_pages_max(1000);
        for (partition, version) in (1..).zip(versions) {
            for number in 0..20u64 {
                let found = engine.get(partition, &number.to_be_bytes()).unwrap();
                assert_eq!(found.is_some(), number < version, "{number} of {partition}");
            }
        }
        let mut last = (0, 0);
        for number in 0..2 {
            last = (engine.syncs(), counts.records.load(Ordering::SeqCst));
            commit(1, versions[0] + number, BIG);
            assert!(told.recv().unwrap().2.is_ok());
        }
        let now = (engine.syncs(), counts.records.load(Ordering::SeqCst));
        assert_eq!(now, (last.0, last.1 + 1), "and then it does again");
    }

    #[test]
    fn the_writer_is_no_more_than_two_groups_ahead() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.db");
        let counts = Arc::<Counts>::default();
        let prepared = Prepared::open(&path, Arc::new(Real)).unwrap();
        let engine = prepared.start(Some(Box::new(counts.clone())), &[]).unwrap();
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (tell, told) = mpsc::channel();
        for number in 0..5 {
            let tell = tell.clone();
            engine.commit(1, None, batch(number, 1), Box::new(move |_| tell.send(number).unwrap()));
            // Time enough for a group of its own.
            std::thread::sleep(Duration::from_millis(5));
            assert!(counts.records.load(Ordering::SeqCst) <= 2);
        }
        other.execute_batch("ROLLBACK").unwrap();
        drop(tell);
        assert_eq!(told.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_callback_that_panics_does_not_keep_the_engine_from_closing() {
        let dir = tempfile::tempdir().unwrap();
        let prepared = Prepared::open(&dir.path().join("e.db"), Arc::new(Real)).unwrap();
        let engine = prepared.start(Some(Box::new(Arc::<Counts>::default())), &[]).unwrap();
        engine.commit(1, None, batch(1, 1), Box::new(|_| panic!("as a test wants it")));
        // Nobody answers any more, but nobody waits for ever either.
        let (tell, told) = mpsc::channel();
        for number in 0..5 {
            let tell = tell.clone();
            engine.commit(1, None, batch(number, 1), Box::new(move |_| tell.send(()).unwrap()));
            std::thread::sleep(Duration::from_millis(5));
        }
        engine.close().unwrap();
        drop(tell);
        assert_eq!(told.iter().count(), 0);
    }
}
