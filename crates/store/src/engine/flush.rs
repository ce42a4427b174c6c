//! Writing SQLite's log to the disk a little at a time, on a thread of its own. Transactions that the journal has made durable are not
//! synced; without this their pages would pile up until a checkpoint, or a commit that goes past the journal, has to wait for
//! all of them, and everybody with it.
//!
//! Nothing rests on it: a failure is seen again by whoever has to sync.

use super::embedded::{Shared, lock};
use std::fs::File;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Pages (8 KB each) that may wait.
pub(super) const PAGES_MAX: u64 = 256;

/// Runs until the engine closes.
pub(super) fn run(shared: &Shared) {
    let log = shared.path.with_extension("db-wal");
    let mut file: Option<File> = None;
    let mut closing = lock(&shared.flusher);
    while !*closing {
        closing = shared.wake_flusher.wait(closing).unwrap_or_else(PoisonError::into_inner);
        if *closing || !shared.flush.swap(false, Ordering::Relaxed) {
            continue;
        }
        drop(closing);
        if file.is_none() {
            file = File::options().write(true).open(&log).ok();
        }
        if let Some(Err(error)) = file.as_ref().map(File::sync_data) {
            tracing::warn!(%error, "the database's log cannot be written");
        }
        closing = lock(&shared.flusher);
    }
}
