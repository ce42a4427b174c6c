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
    failure: Option<Failure>,
    closing: bool,
}

/// See above.
pub(super) struct Behind {
    state: Mutex<State>,
    changed: Condvar,
    /// There is a failure.
    failed: AtomicBool,
    table: Mutex<Table>,
}

impl Behind {
    pub(super) fn new(table: Table) -> Behind {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Behind { state, changed, failed: AtomicBool::new(false), table: Mutex::new(table) }
    }

    /// The table. Who wants to write there what comes behind all jobs waits for these first.
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    pub(super) fn push(&self, job: Job) {
        let mut state = lock(&self.state);
        state.waiting.push(job);
        let wake = !state.busy;
        drop(state);
        if wake {
            self.changed.notify_all();
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
        let mut state = lock(&self.state);
        while state.busy || !state.waiting.is_empty() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
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
        self.changed.notify_all();
    }

    /// Runs until it is closed. `nudge` is called when something has failed.
    pub(super) fn run(&self, nudge: &dyn Fn()) {
        let mut state = lock(&self.state);
        loop {
            if state.waiting.is_empty() {
                if state.closing {
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let jobs = std::mem::take(&mut state.waiting);
            if let Some(failure) = &mut state.failure {
                failure.group.extend(jobs.into_iter().flat_map(|job| job.group));
                self.changed.notify_all();
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
            self.changed.notify_all();
        }
    }

    fn commit(&self, jobs: Vec<Job>) -> Option<Failure> {
        let row = jobs.iter().rev().find_map(|job| job.row.as_ref());
        let requests = jobs.iter().flat_map(|job| &job.group);
        match self.table().commit(requests, row, Way::Ahead) {
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

    /// Has always room, and counts.
    #[derive(Default)]
    struct Counts {
        /// Groups, whether or not they were written.
        groups: AtomicUsize,
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
            self.groups.fetch_add(1, Ordering::SeqCst);
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

    /// Groups pile up behind one that cannot be committed for a while, until the disk is full in the middle of them.
    #[test]
    fn what_fails_behind_the_journal_is_tried_again_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.db");
        let counts = Arc::<Counts>::default();
        let prepared = Prepared::open(&path, Arc::new(Real)).unwrap();
        let engine = prepared.start(Some(Box::new(counts.clone())), &[]).unwrap();
        engine.set_pages_max(40);
        let (tell, told) = mpsc::channel();
        let commit = |partition: u64, expected: u64, bytes: usize| {
            let tell = tell.clone();
            let done = move |outcome| tell.send((partition, expected, outcome)).unwrap();
            engine.commit(partition, Some(expected), batch(expected % 64, bytes), Box::new(done));
        };
        commit(9, 0, 1);
        assert_eq!(told.recv().unwrap().2.unwrap(), 1);
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut small = 1;
        for number in 0..20 {
            for partition in 1..=4 {
                let groups = counts.groups.load(Ordering::SeqCst);
                commit(partition, number, BIG);
                // It takes no room.
                commit(9, small, 1);
                small += 1;
                while counts.groups.load(Ordering::SeqCst) == groups {
                    std::thread::yield_now();
                }
            }
        }
        assert!(counts.records.load(Ordering::SeqCst) > 80, "they did not go by the journal");
        let before = engine.syncs();
        other.execute_batch("ROLLBACK").unwrap();
        let mut outcomes = BTreeMap::<u64, Vec<_>>::new();
        for _ in 0..160 {
            let (partition, expected, outcome) = told.recv().unwrap();
            let outcomes = outcomes.entry(partition).or_default();
            assert_eq!(outcomes.len() as u64 + u64::from(partition == 9), expected, "answers in order");
            outcomes.push(outcome);
        }
        assert!(outcomes[&9].iter().all(Result::is_ok), "what takes no room has to suffer nothing");
        let mut kept = BTreeMap::new();
        for partition in 1..=4 {
            let outcomes = &outcomes[&partition];
            let good = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
            assert!(matches!(outcomes[good], Err(CommitError::Store(Error::DiskFull))));
            for outcome in &outcomes[good + 1..] {
                assert!(
                    matches!(outcome, Err(CommitError::Conflict)),
                    "{outcome:?} rests on what is not there"
                );
            }
            kept.insert(partition, good as u64);
        }
        assert!(engine.syncs() > before, "after a failure nothing rests on the journal");
        engine.set_pages_max(1000);
        for (partition, good) in &kept {
            assert_eq!(engine.snapshot().unwrap().version(*partition).unwrap(), *good);
            for number in 0..20u64 {
                let found = engine.get(*partition, &number.to_be_bytes()).unwrap();
                assert_eq!(found.is_some(), number < *good, "{number} of {partition}");
            }
            commit(*partition, *good, BIG);
            assert_eq!(told.recv().unwrap().2.unwrap(), *good + 1);
        }
        let before = (engine.syncs(), counts.records.load(Ordering::SeqCst));
        commit(1, kept[&1] + 1, 1);
        assert!(told.recv().unwrap().2.is_ok());
        let after = (engine.syncs(), counts.records.load(Ordering::SeqCst));
        assert_eq!(after, (before.0, before.1 + 1), "and then it does again");
    }
}
