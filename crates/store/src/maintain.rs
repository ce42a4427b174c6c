//! The store's own thread: finishes removals that a crash interrupted, writes session facts every two
//! seconds, compacts from time to time. Nothing waits for it.

use crate::Error;
use crate::account::Accounts;
use crate::compact::Compactor;
use crate::engine::Engine;
use crate::system::ledger::Ledger;
use crate::system::removal;
use proto::proof::AccountId;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Between two writings of session facts.
const LEDGER_EVERY: Duration = Duration::from_secs(2);
/// Between two compactions. The first comes after this time too, so that a start is not slowed.
const COMPACT_EVERY: Duration = Duration::from_secs(3600);
/// An emptied segment stays so long, for readers and deliveries that know it by its old place.
const COMPACT_GRACE_SECONDS: i64 = 3600;

#[derive(Debug, Default)]
struct Stop {
    asked: Mutex<bool>,
    wake: Condvar,
}

/// The thread's other end.
#[derive(Debug)]
pub(crate) struct Maintenance {
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Maintenance {
    pub(crate) fn start(
        engine: Arc<dyn Engine>,
        accounts: Arc<Accounts>,
        ledger: Ledger,
        compactor: Arc<Compactor>,
    ) -> Result<Maintenance, Error> {
        let stop = Arc::new(Stop::default());
        let mine = stop.clone();
        // Looked up before anybody can add an account: these marks are of an earlier run.
        let interrupted = removal::marked(&*engine)?;
        let thread = std::thread::Builder::new().name("store-maintain".to_owned()).spawn(move || {
            finish_removals(&*engine, &accounts, interrupted);
            run(&mine, &ledger, &compactor);
        })?;
        Ok(Maintenance { stop, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn stop(&self) {
        *self.stop.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the maintenance of the store panicked");
        }
    }
}

fn run(stop: &Stop, ledger: &Ledger, compactor: &Compactor) {
    let mut compacted = Instant::now();
    loop {
        let asked = stop.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = stop.wake.wait_timeout_while(asked, LEDGER_EVERY, |asked| !*asked);
        if *waited.unwrap_or_else(PoisonError::into_inner).0 {
            return;
        }
        if let Err(error) = ledger.write() {
            tracing::warn!(%error, "session facts wait");
        }
        if compacted.elapsed() >= COMPACT_EVERY {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
            match compactor.run(i64::try_from(now).unwrap_or(i64::MAX), COMPACT_GRACE_SECONDS) {
                Ok(done) if done.copied + done.segments_deleted == 0 => {}
                Ok(done) => tracing::info!(?done, "space of removed messages was reclaimed"),
                Err(error) => tracing::warn!(%error, "compaction is tried again later"),
            }
            compacted = Instant::now();
        }
    }
}

fn finish_removals(engine: &dyn Engine, accounts: &Arc<Accounts>, interrupted: Vec<AccountId>) {
    let finished = interrupted.into_iter().try_for_each(|id| removal::remove(engine, accounts, id));
    if let Err(error) = finished {
        tracing::warn!(%error, "removals that were interrupted are finished at the next start");
    }
}
