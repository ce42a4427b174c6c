//! The store's own threads: one finishes removals that a crash interrupted, and every two seconds writes session facts
//! and lets go of views that nobody uses; another compacts from time to time, which may take long; a third removes what
//! deleted mailboxes and many deleted messages have left. Nothing waits for them.

use crate::Error;
use crate::account::{self, Accounts};
use crate::compact::Compactor;
use crate::engine::Engine;
use crate::system::ledger::Ledger;
use crate::system::removal;
use proto::proof::AccountId;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Between two writings of session facts, and two looks at which views to keep.
const TIDY_EVERY: Duration = Duration::from_secs(2);
/// After so long without a change, or up to twice as long, what writers need of an account is no longer in memory.
const HEADS_EVERY: Duration = Duration::from_secs(150);
/// Between two compactions. The first comes after this time too, so that a start is not slowed.
const COMPACT_EVERY: Duration = Duration::from_secs(3600);
/// An emptied segment stays so long, for readers and deliveries that know it by its old place.
const COMPACT_GRACE_SECONDS: i64 = 3600;

/// Between two looks at whether a mailbox was deleted, or many messages.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// After each step of clearing that away, so that others come to their turn; or as long as the step took, if that is longer.
const SWEEP_PAUSE: Duration = Duration::from_millis(2);
/// After a failure of the store.
const SWEEP_AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Stop {
    asked: Mutex<bool>,
    wake: Condvar,
}

/// The thread's other end.
#[derive(Debug)]
pub(crate) struct Maintenance {
    stop: Arc<Stop>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Maintenance {
    pub(crate) fn start(
        engine: Arc<dyn Engine>,
        accounts: Arc<Accounts>,
        ledger: Ledger,
        compactor: Arc<Compactor>,
    ) -> Result<Maintenance, Error> {
        let stop = Arc::new(Stop::default());
        // Looked up before anybody can add an account: these marks are of an earlier run.
        let interrupted = removal::marked(&*engine)?;
        let mut maintenance = Maintenance { stop: stop.clone(), threads: Mutex::default() };
        let (mine, swept) = (stop.clone(), accounts.clone());
        let sweeper = stop.clone();
        maintenance.begin("store-sweep", move || sweep(&sweeper, &swept))?;
        maintenance.begin("store-maintain", move || {
            finish_removals(&*engine, &accounts, interrupted);
            tidy(&mine, &ledger, &accounts);
        })?;
        maintenance.begin("store-compact", move || compact(&stop, &compactor))?;
        Ok(maintenance)
    }

    fn begin(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
        self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    pub(crate) fn stop(&self) {
        *self.stop.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.wake.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("the maintenance of the store panicked");
            }
        }
    }
}

/// A start that fails half-way leaves no thread behind.
impl Drop for Maintenance {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Stop {
    /// Waits so long. False: the store closes.
    fn wait(&self, time: Duration) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(asked, time, |asked| !*asked);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn tidy(stop: &Stop, ledger: &Ledger, accounts: &Accounts) {
    let mut looked = Instant::now();
    while stop.wait(TIDY_EVERY) {
        accounts.trim_views();
        if looked.elapsed() >= HEADS_EVERY {
            accounts.trim_heads();
            looked = Instant::now();
        }
        if let Err(error) = ledger.write() {
            tracing::warn!(%error, "session facts wait");
        }
    }
}

fn sweep(stop: &Stop, accounts: &Arc<Accounts>) {
    while stop.wait(SWEEP_EVERY) {
        let mut began = Instant::now();
        let mut go_on = || {
            let waited = stop.wait(began.elapsed().max(SWEEP_PAUSE));
            began = Instant::now();
            waited
        };
        if let Err(error) = account::sweep(accounts, &mut go_on) {
            tracing::warn!(%error, "what was removed is cleared away later");
            stop.wait(SWEEP_AGAIN);
        }
    }
}

fn compact(stop: &Stop, compactor: &Compactor) {
    while stop.wait(COMPACT_EVERY) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        match compactor.run_if_worth(i64::try_from(now).unwrap_or(i64::MAX), COMPACT_GRACE_SECONDS) {
            Ok(done) if done.copied + done.segments_deleted == 0 => {}
            Ok(done) => tracing::info!(?done, "space of removed messages was reclaimed"),
            Err(error) => tracing::warn!(%error, "compaction is tried again later"),
        }
    }
}

fn finish_removals(engine: &dyn Engine, accounts: &Arc<Accounts>, interrupted: Vec<AccountId>) {
    let finished = interrupted.into_iter().try_for_each(|id| removal::remove(engine, accounts, id));
    if let Err(error) = finished {
        tracing::warn!(%error, "removals that were interrupted are finished at the next start");
    }
}
