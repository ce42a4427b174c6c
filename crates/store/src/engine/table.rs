//! The table's writing connection: groups of batches become rows, wholly or not at all.
//!
//! There is no savepoint for each batch, which would copy every page that it touches: whoever comes here has seen to conflicts, and a
//! group that fails leaves nothing.

use super::checkpoint::LOG_PAGES_MAX;
use super::embedded::{GET, Shared, WAL_PAGES, column};
use super::flush;
use super::journal;
use super::writer::Request;
use super::{Pair, VERSION_KEY};
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

/// How a group becomes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is in the journal.
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

    /// Commits the batches of `requests` in one transaction, with `row` of the system's partition. On an error nothing of it is there.
    pub(super) fn commit<'a>(
        &mut self,
        requests: impl IntoIterator<Item = &'a Request>,
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
        if let Err(error) = self.transaction(requests, row, way) {
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

    fn transaction<'a>(
        &mut self,
        requests: impl IntoIterator<Item = &'a Request>,
        row: Option<&Pair>,
        way: Way,
    ) -> Result<(), Error> {
        if self.way != Some(way) {
            // It takes effect when it is prepared.
            self.db.execute_batch(if way == Way::Past { SYNC } else { NO_SYNC })?;
            self.way = Some(way);
        }
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.write(requests)?;
        if let Some((key, value)) = row {
            self.db.prepare_cached(PUT)?.execute(params![column(key::SYSTEM), key, value])?;
        }
        self.db.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn write<'a>(&self, requests: impl IntoIterator<Item = &'a Request>) -> Result<(), Error> {
        let (mut put, mut delete) = (self.db.prepare_cached(PUT)?, self.db.prepare_cached(DELETE)?);
        for request in requests {
            let account = column(request.partition);
            if let Some(version) = request.version() {
                put.execute(params![account, VERSION_KEY, version.to_be_bytes().as_slice()])?;
            }
            for (key, value) in request.batch.changes() {
                match value {
                    Some(value) => put.execute(params![account, key, value])?,
                    None => delete.execute(params![account, key])?,
                };
            }
        }
        Ok(())
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

    /// Puts the journal's records into the table, not synced.
    pub(super) fn replay(&self, records: &[Vec<u8>]) -> Result<(), Error> {
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        {
            let (mut put, mut delete) = (self.db.prepare_cached(PUT)?, self.db.prepare_cached(DELETE)?);
            for record in records {
                journal::replay(record, |partition, key, value| {
                    match value {
                        Some(value) => put.execute(params![column(partition), key, value])?,
                        None => delete.execute(params![column(partition), key])?,
                    };
                    Ok(())
                })?;
            }
        }
        self.db.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}
