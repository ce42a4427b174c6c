//! Index records are written anew from a view that has all changes, when many messages changed.

use super::wide::WIDE_CHANGES_MAX;
use super::{Index, RECORD_MESSAGES_MAX};
use crate::account::{MailboxId, MessageRow, View};
use crate::engine::{Batch, Snapshot};
use crate::{Error, key, row};
use std::ops::ControlFlow;

impl Index {
    /// Puts all changes into index records: those of `dirty` (UIDs, ascending) and those of the tail, which is empty
    /// afterwards; those of wide changes too, if there are many. `view` is the mailbox with all of them; of the records only the keys are read.
    pub(in crate::account) fn rewrite(
        &mut self,
        view: &View,
        dirty: &[u32],
        snapshot: &dyn Snapshot,
        partition: u64,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let id = self.row.mailbox.id;
        let folded_next = self.row.folded_next;
        let mut changed: Vec<u32> = dirty.iter().copied().filter(|uid| *uid < folded_next).collect();
        changed.extend(self.tail.range(..folded_next).map(|(uid, _)| *uid));
        if self.wide.len() >= WIDE_CHANGES_MAX {
            for change in self.wide.drain(..) {
                changed.extend(change.present(view).take_while(|uid| *uid < folded_next));
                batch.delete(key::wide_change(id, change.modseq));
            }
            self.wide_fresh = 0;
        }
        changed.sort_unstable();
        let fresh = view.seqs(folded_next, u32::MAX);
        let last = if fresh.is_empty() { changed.last().copied().unwrap_or(0) } else { u32::MAX };
        let from = changed.first().copied().unwrap_or(folded_next);
        let keys = keys(snapshot, partition, id, from, last)?;
        let mut out = Records { batch, id, open: None, rows: Vec::new() };
        for (at, record) in keys.iter().enumerate() {
            let end = keys.get(at + 1).copied().unwrap_or(folded_next);
            let is_changed =
                changed.get(changed.partition_point(|uid| uid < record)).is_some_and(|uid| *uid < end);
            let seqs = view.seqs(*record, end.saturating_sub(1));
            let is_last = at + 1 == keys.len() && !fresh.is_empty();
            if is_changed {
                out.record(*record, view.rows(seqs).map(|(_, row)| row));
            } else if is_last && seqs.len() < RECORD_MESSAGES_MAX {
                // It has room for what is new.
                out.flush();
                out.record(*record, view.rows(seqs).map(|(_, row)| row));
            } else {
                out.flush();
            }
        }
        for (_, row) in view.rows(fresh) {
            out.push(row);
        }
        out.flush();
        for (uid, _) in std::mem::take(&mut self.tail).iter().filter(|(_, tail)| tail.stored) {
            batch.delete(key::tail(id, *uid));
        }
        self.dirty.clear();
        self.row.folded_next = self.row.mailbox.uid_next;
        Ok(())
    }
}

/// Records in the making. Neighbours that are rewritten become one as long as that is not too long.
struct Records<'a> {
    batch: &'a mut Batch,
    id: MailboxId,
    /// The key of the one that is being filled.
    open: Option<u32>,
    rows: Vec<MessageRow>,
}

impl Records<'_> {
    /// The record under this key has these messages now.
    fn record(&mut self, key: u32, rows: impl Iterator<Item = MessageRow>) {
        let before = self.rows.len();
        self.rows.extend(rows);
        if self.open.is_some() && self.rows.len() <= RECORD_MESSAGES_MAX {
            // Its messages are in the one before.
            self.batch.delete(key::record(self.id, key));
            return;
        }
        let mine = self.rows.split_off(before);
        self.flush();
        (self.open, self.rows) = (Some(key), mine);
    }

    /// A new message at the end.
    fn push(&mut self, row: MessageRow) {
        if self.rows.len() >= RECORD_MESSAGES_MAX {
            self.flush();
        }
        self.open.get_or_insert(row.uid);
        self.rows.push(row);
    }

    fn flush(&mut self) {
        if let Some(key) = self.open.take() {
            let key = key::record(self.id, key);
            match self.rows.first() {
                // A record stays under the key that it has, so that its key is never above its rows.
                Some(_) => self.batch.put(key, row::encode_record(&self.rows)),
                None => self.batch.delete(key),
            }
        }
        self.rows.clear();
    }
}

/// Keys of the records from the one that may hold `from` to the first above `last`.
fn keys(
    snapshot: &dyn Snapshot,
    partition: u64,
    id: MailboxId,
    from: u32,
    last: u32,
) -> Result<Vec<u32>, Error> {
    let bad = || Error::Damaged("key of a record".to_owned());
    let prefix = key::records(id);
    let floor = snapshot.floor(partition, &prefix, &key::record(id, from))?;
    let start = floor.map_or_else(|| key::record(id, from), |(at, _)| at);
    let mut keys = Vec::new();
    snapshot.scan(partition, &prefix, &start, &mut |at, _| {
        let at = key::number32(at, 5).ok_or_else(bad)?;
        keys.push(at);
        Ok(if at > last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(keys)
}
