//! Copying SQLite's log into its database, on a thread of its own: in quiet moments, and when the log
//! has grown past [`LOG_PAGES_MAX`].
//!
//! Under load commits always add to the log while a checkpoint runs, and it would grow without end; so who commits
//! copies the little that is left (`finish_log`), and the next commit begins the log anew. To write over
//! a file costs half of what growing it does.

use super::embedded::{Shared, lock};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The log is checkpointed at this many pages even while commits go on (8 KB each).
pub(super) const LOG_PAGES_MAX: u64 = 4096;
/// What commits have added during a checkpoint is copied by who commits, if it is no more than this,
const LOG_PAGES_LEFT_MAX: u64 = 128;
/// or in any case when the log is so long: commits must not be faster than the log is copied.
const LOG_PAGES_HARD_MAX: u64 = 12_288;
/// After a checkpoint so many pages come before the next one, unless the log has begun anew.
const LOG_PAGES_STEP: u64 = 1024;
/// Without a commit for so long, the moment is quiet.
const QUIET: Duration = Duration::from_millis(500);

/// Runs until the engine closes.
pub(super) fn run(shared: &Shared) {
    let db = match open_for_checkpoints(&shared.path) {
        Ok(db) => db,
        Err(error) => {
            tracing::error!(%error, "no connection for checkpoints; the log grows until the store is closed");
            return;
        }
    };
    let mut seen = 0;
    let mut clean = false;
    let mut closing = lock(&shared.checkpointer);
    while !*closing {
        closing =
            shared.wake_checkpointer.wait_timeout(closing, QUIET).unwrap_or_else(PoisonError::into_inner).0;
        let commits = shared.commits.load(Ordering::Relaxed);
        let pages = shared.wal_pages.load(Ordering::Relaxed);
        let quiet = commits == seen;
        clean &= quiet;
        seen = commits;
        let full = pages >= shared.checkpoint_at.load(Ordering::Relaxed);
        if *closing || clean || pages == 0 || (!quiet && !full) {
            continue;
        }
        drop(closing);
        match checkpoint(&db, shared) {
            Ok(whole) => clean = whole,
            Err(error) => {
                tracing::warn!(%error, "a checkpoint failed; it is tried again");
                std::thread::sleep(QUIET);
            }
        }
        closing = lock(&shared.checkpointer);
    }
}

/// A connection that has not read yet does not know that there is a log, and copies nothing.
fn open_for_checkpoints(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(db)
}

/// Copies the log into the database. True: all of it.
fn checkpoint(db: &Connection, shared: &Shared) -> rusqlite::Result<bool> {
    let mut left = u64::MAX;
    loop {
        let (_, done) = db.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE)?;
        // SQLite tells how long the log was when it began to copy; meanwhile commits have added to it.
        let in_log = shared.wal_pages.load(Ordering::Relaxed);
        let before = left;
        left = in_log.saturating_sub(u64::try_from(done).unwrap_or(0));
        if left <= LOG_PAGES_LEFT_MAX || left >= before || in_log >= LOG_PAGES_HARD_MAX {
            // A reader of an old state may keep the log from beginning anew: then more has to come
            // before it is tried again.
            shared.checkpoint_at.store(in_log + LOG_PAGES_STEP, Ordering::Relaxed);
            shared.finish_log.store(left > 0 || in_log >= LOG_PAGES_MAX, Ordering::Relaxed);
            return Ok(left == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::embedded::Prepared;
    use super::super::table::Way;
    use super::*;
    use crate::disk::Real;
    use std::sync::Arc;

    /// Else each commit that comes while the log is copied would have it copied again, with two syncs.
    #[test]
    fn what_came_meanwhile_is_left_to_the_writer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.db");
        let mut prepared = Prepared::open(&path, Arc::new(Real)).unwrap();
        let db = open_for_checkpoints(&path).unwrap();
        let mut commit = |value: &[u8]| {
            prepared.table.commit(|_| Ok(()), Some(&(b"k".to_vec(), value.to_vec())), Way::Ahead).unwrap();
            prepared.shared.wal_pages.load(Ordering::Relaxed)
        };
        let shared = prepared.shared.clone();
        let long = commit(&vec![1; LOG_PAGES_MAX as usize * 8192]);
        assert!(long >= LOG_PAGES_MAX);
        // As if a commit came while it is copied.
        shared.wal_pages.store(long + 3, Ordering::Relaxed);
        assert!(!checkpoint(&db, &shared).unwrap());
        assert!(shared.finish_log.load(Ordering::Relaxed));
        assert!(shared.checkpoint_at.load(Ordering::Relaxed) > long + 3, "it is not asked for at once again");
        assert!(commit(b"v") < 10, "the log begins anew");
        assert_eq!(shared.checkpoint_at.load(Ordering::Relaxed), LOG_PAGES_MAX);
        assert!(checkpoint(&db, &shared).unwrap());
        assert!(!shared.finish_log.load(Ordering::Relaxed), "there is nothing to finish");
    }
}
