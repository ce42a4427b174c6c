//! The table's writing connection: what is committed together is there wholly or not at all.
//!
//! There is no savepoint for each batch, which would copy every page that it touches: whoever comes here has seen to conflicts, and what
//! fails leaves nothing.

use super::Pair;
use super::checkpoint::LOG_PAGES_MAX;
use super::embedded::{Shared, WAL_PAGES, column};
use super::flush;
use super::reader::GET;
use crate::disk::Disk;
use crate::{Error, key};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) const PUT: &str = "REPLACE INTO kv(account,key,value) VALUES(?1,?2,?3)";
pub(super) const DELETE: &str = "DELETE FROM kv WHERE account=?1 AND key=?2";
/// Whether transactions from now on are synced.
const SYNC: &str = "PRAGMA synchronous=FULL";
const NO_SYNC: &str = "PRAGMA synchronous=NORMAL";

/// Takes a row: partition, key, and its new value or `None` to delete it.
pub(super) type Put<'a> = &'a mut dyn FnMut(u64, &[u8], Option<&[u8]>) -> Result<(), Error>;

/// How rows become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// They are in the journal.
    Ahead,
    /// By the table's own sync.
    Past,
}

/// See above.
pub(super) struct Table {
    shared: Arc<Shared>,
    db: Connection,
    disk: Arc<dyn Disk>,
    /// What the connection was set to.
    way: Option<Way>,
    /// Pages of the log that were written or are about to be.
    flushed: u64,
}

impl Table {
    pub(super) fn new(shared: Arc<Shared>, db: Connection, disk: Arc<dyn Disk>) -> Table {
        Table { shared, db, disk, way: None, flushed: 0 }
    }

    /// The value under a key of the system's partition.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut statement = self.db.prepare_cached(GET)?;
        Ok(statement.query_row(params![column(key::SYSTEM), key], |row| row.get(0)).optional()?)
    }

    /// The database never has more than this many pages from here on.
    pub(super) fn limit(&self, pages: u64) -> Result<(), Error> {
        Ok(self.db.pragma_update_and_check(None, "max_page_count", pages as i64, |_| Ok(()))?)
    }

    /// Commits `rows` in one transaction, with `row` of the system's partition. On an error nothing of it is there.
    pub(super) fn commit(
        &mut self,
        rows: impl FnOnce(Put<'_>) -> Result<(), Error>,
        row: Option<&Pair>,
        way: Way,
    ) -> Result<(), Error> {
        let wanted = self.shared.pages_wanted.swap(0, Ordering::SeqCst);
        if wanted != 0 {
            self.limit(wanted)?;
        }
        if self.shared.finish_log.swap(false, Ordering::Relaxed) {
            self.finish_log();
        }
        if let Err(error) = self.transaction(rows, row, way) {
            self.roll_back();
            return Err(error);
        }
        if way == Way::Past {
            self.shared.syncs.fetch_add(1, Ordering::Relaxed);
            self.disk.log_synced(&self.shared.path);
        }
        self.committed(way);
        Ok(())
    }

    fn transaction(
        &mut self,
        rows: impl FnOnce(Put<'_>) -> Result<(), Error>,
        row: Option<&Pair>,
        way: Way,
    ) -> Result<(), Error> {
        if self.way != Some(way) {
            // It takes effect when it is prepared.
            self.db.execute_batch(if way == Way::Past { SYNC } else { NO_SYNC })?;
            self.way = Some(way);
        }
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.write(rows, row)?;
        self.db.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn write(
        &self,
        rows: impl FnOnce(Put<'_>) -> Result<(), Error>,
        row: Option<&Pair>,
    ) -> Result<(), Error> {
        let (mut put, mut delete) = (self.db.prepare_cached(PUT)?, self.db.prepare_cached(DELETE)?);
        let mut each = |partition, key: &[u8], value: Option<&[u8]>| {
            match value {
                Some(value) => put.execute(params![column(partition), key, value])?,
                None => delete.execute(params![column(partition), key])?,
            };
            Ok(())
        };
        rows(&mut each)?;
        row.map_or(Ok(()), |(key, value)| each(key::SYSTEM, key, Some(value)))
    }

    fn roll_back(&self) {
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    /// Has the log written when enough of it waits, and copied when it is long.
    fn committed(&mut self, way: Way) {
        let shared = &self.shared;
        shared.commits.fetch_add(1, Ordering::Relaxed);
        let pages = WAL_PAGES.get();
        if pages < shared.wal_pages.swap(pages, Ordering::Relaxed) {
            // It began anew.
            self.flushed = 0;
            shared.checkpoint_at.store(LOG_PAGES_MAX, Ordering::Relaxed);
        }
        if way == Way::Past {
            self.flushed = pages;
        } else if pages - self.flushed >= flush::PAGES_MAX {
            self.flushed = pages;
            shared.flush.store(true, Ordering::Relaxed);
            shared.wake_flusher.notify_one();
        }
        if pages >= shared.checkpoint_at.load(Ordering::Relaxed) {
            shared.wake_checkpointer.notify_one();
        }
    }

    /// Nobody else writes: unless a reader holds an old state, all of the log is copied, and the next
    /// commit begins it anew.
    fn finish_log(&self) {
        if let Err(error) = self.db.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE) {
            tracing::warn!(%error, "a checkpoint failed; it is tried again");
        }
    }

    /// Copies the whole log, before the connection is closed.
    pub(super) fn end(&self) {
        if let Err(error) = self.db.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE) {
            tracing::warn!(%error, "the last checkpoint failed; the log is replayed at the next start");
        }
    }
}
