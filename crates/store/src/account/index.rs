//! How the messages of a mailbox lie in rows: index records of up to 256 messages, and over them a tail
//! of small rows for what changed lately.
//!
//! What must hold: a message with a UID below the mailbox's `folded_next` is in a record, and a
//! tail row of it, if any, overrides the record (or says that it is gone); a message with a higher
//! UID is in the tail only. So a delivery writes one small row, and a record is rewritten once for many
//! changes, when the tail is folded. What one command changes of very many messages is a row of its own (`wide`).

mod rewrite;
mod wide;

pub(crate) use wide::WideChange;

use super::{Mailbox, MailboxId, MessageRow};
use crate::engine::{Batch, Snapshot};
use crate::row::{self, MailboxRow};
use crate::{Error, key};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Messages in one record.
pub(crate) const RECORD_MESSAGES_MAX: usize = 256;
/// Past so many rows the tail is folded.
pub(crate) const TAIL_ROWS_MAX: usize = 256;

/// A tail row in memory.
#[derive(Clone, Debug)]
pub(super) struct TailRow {
    /// `None`: gone from its record.
    pub(super) row: Option<MessageRow>,
    /// There is a row of it in the engine, possibly an older one.
    pub(super) stored: bool,
}

/// A mailbox as a writer holds it: its row and its tail.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) row: MailboxRow,
    tail: BTreeMap<u32, TailRow>,
    /// UIDs of tail rows of which the engine has to be told. A row may be gone, and a UID be here twice.
    dirty: Vec<u32>,
    /// UIDs whose stored tail rows are to be deleted.
    dropped: Vec<u32>,
    /// Ascending; the last `wide_fresh` of them are to be stored.
    wide: Vec<WideChange>,
    wide_fresh: usize,
}

impl Index {
    /// A mailbox that is not stored yet.
    pub(super) fn new(row: MailboxRow) -> Index {
        Index::of(row, BTreeMap::new(), Vec::new())
    }

    pub(super) fn load(snapshot: &dyn Snapshot, partition: u64, row: MailboxRow) -> Result<Index, Error> {
        let tail = load_tail(snapshot, partition, row.mailbox.id)?
            .into_iter()
            .map(|(uid, row)| (uid, TailRow { row, stored: true }))
            .collect();
        let wide = wide::load(snapshot, partition, row.mailbox.id)?;
        Ok(Index::of(row, tail, wide))
    }

    fn of(row: MailboxRow, tail: BTreeMap<u32, TailRow>, wide: Vec<WideChange>) -> Index {
        Index { row, tail, dirty: Vec::new(), dropped: Vec::new(), wide, wide_fresh: 0 }
    }

    fn put(&mut self, uid: u32, row: Option<MessageRow>) {
        let stored = self.tail.get(&uid).is_some_and(|tail| tail.stored);
        self.tail.insert(uid, TailRow { row, stored });
        self.dirty.push(uid);
    }

    /// A new message; its UID is above all others.
    pub(super) fn append(&mut self, row: MessageRow) {
        self.put(row.uid, Some(row));
    }

    /// A message that exists has changed.
    pub(super) fn set(&mut self, row: MessageRow) {
        self.put(row.uid, Some(row));
    }

    /// Many messages have changed in the same way. False: that cannot be said in one row.
    pub(super) fn set_many(&mut self, change: Option<WideChange>) -> bool {
        let room = self.wide.len() < wide::WIDE_CHANGES_MAX;
        match change.filter(|_| room) {
            Some(change) => {
                self.wide.push(change);
                self.wide_fresh += 1;
                true
            }
            None => false,
        }
    }

    /// Removes a message that exists.
    pub(super) fn remove(&mut self, uid: u32) {
        if uid < self.row.folded_next {
            self.put(uid, None);
        } else if self.tail.remove(&uid).is_some_and(|tail| tail.stored) {
            self.dropped.push(uid);
        }
    }

    /// The tail has grown long.
    pub(super) fn is_fold_due(&self) -> bool {
        self.is_fold_due_after(0)
    }

    /// It will have with so many further rows.
    pub(super) fn is_fold_due_after(&self, rows: usize) -> bool {
        self.tail.len() + rows > TAIL_ROWS_MAX
    }

    /// Puts the changed rows into `batch`.
    pub(super) fn write(&mut self, batch: &mut Batch) {
        let id = self.row.mailbox.id;
        for uid in self.dropped.drain(..) {
            batch.delete(key::tail(id, uid));
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        for uid in dirty {
            if let Some(tail) = self.tail.get_mut(&uid) {
                batch.put(key::tail(id, uid), row::encode_tail(tail.row.as_ref()));
                tail.stored = true;
            }
        }
        let stored = self.wide.len() - std::mem::take(&mut self.wide_fresh);
        for change in &self.wide[stored..] {
            batch.put(key::wide_change(id, change.modseq), row::encode_wide_change(change));
        }
        batch.put(key::mailbox(id), self.row.encode());
    }

    /// Puts the tail into index records.
    pub(super) fn fold(
        &mut self,
        snapshot: &dyn Snapshot,
        partition: u64,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let id = self.row.mailbox.id;
        let tail = std::mem::take(&mut self.tail);
        self.dirty.clear();
        for (uid, _) in tail.iter().filter(|(_, tail)| tail.stored) {
            batch.delete(key::tail(id, *uid));
        }
        let mut records: BTreeMap<u32, Vec<MessageRow>> = BTreeMap::new();
        let mut fresh = Vec::new();
        for (uid, tail) in tail {
            if uid >= self.row.folded_next {
                fresh.extend(tail.row);
                continue;
            }
            let first = record_of(snapshot, partition, id, uid, &mut records)?;
            let Some(rows) = first.and_then(|first| records.get_mut(&first)) else {
                return Err(Error::Damaged(format!("mailbox {}: no record holds UID {uid}", id.0)));
            };
            match (rows.binary_search_by_key(&uid, |m| m.uid), tail.row) {
                (Ok(at), Some(row)) => rows[at] = row,
                (Ok(at), None) => drop(rows.remove(at)),
                (Err(_), _) => {
                    return Err(Error::Damaged(format!("mailbox {}: its record lacks UID {uid}", id.0)));
                }
            }
        }
        if let Some(first) = fresh.first().map(|m| m.uid) {
            append_records(snapshot, partition, id, first, fresh, &mut records)?;
        }
        for (first, rows) in &records {
            match rows.first() {
                // A record stays under the key that it has, so that its key is never above its rows.
                Some(_) => batch.put(key::record(id, *first), row::encode_record(rows)),
                None => batch.delete(key::record(id, *first)),
            }
        }
        self.row.folded_next = self.row.mailbox.uid_next;
        Ok(())
    }
}

/// Reads the record that holds `uid` into `records`, unless it is there; its key.
fn record_of(
    snapshot: &dyn Snapshot,
    partition: u64,
    id: MailboxId,
    uid: u32,
    records: &mut BTreeMap<u32, Vec<MessageRow>>,
) -> Result<Option<u32>, Error> {
    // UIDs come in ascending order: only the record read last can hold this one too.
    if let Some((first, rows)) = records.range(..=uid).next_back()
        && rows.last().is_some_and(|last| last.uid >= uid)
    {
        return Ok(Some(*first));
    }
    let Some((at, bytes)) = snapshot.floor(partition, &key::records(id), &key::record(id, uid))? else {
        return Ok(None);
    };
    let first = key::number32(&at, 5).ok_or_else(|| Error::Damaged("key of a record".to_owned()))?;
    if let std::collections::btree_map::Entry::Vacant(room) = records.entry(first) {
        let mut rows = Vec::new();
        row::decode_record(&bytes, &mut rows)?;
        room.insert(rows);
    }
    Ok(Some(first))
}

/// Fills the last record up with `fresh` and begins new ones for the rest.
fn append_records(
    snapshot: &dyn Snapshot,
    partition: u64,
    id: MailboxId,
    first: u32,
    fresh: Vec<MessageRow>,
    records: &mut BTreeMap<u32, Vec<MessageRow>>,
) -> Result<(), Error> {
    let last = snapshot.floor(partition, &key::records(id), &key::record(id, first))?;
    let mut open = None;
    if let Some((at, bytes)) = last {
        let key = key::number32(&at, 5).ok_or_else(|| Error::Damaged("key of a record".to_owned()))?;
        if let std::collections::btree_map::Entry::Vacant(room) = records.entry(key) {
            let mut rows = Vec::new();
            row::decode_record(&bytes, &mut rows)?;
            room.insert(rows);
        }
        open = Some(key);
    }
    for message in fresh {
        let full = |rows: &Vec<MessageRow>| rows.len() >= RECORD_MESSAGES_MAX;
        let at = match open {
            Some(at) if records.get(&at).is_some_and(|rows| !full(rows)) => at,
            _ => message.uid,
        };
        open = Some(at);
        records.entry(at).or_default().push(message);
    }
    Ok(())
}

fn load_tail(
    snapshot: &dyn Snapshot,
    partition: u64,
    id: MailboxId,
) -> Result<BTreeMap<u32, Option<MessageRow>>, Error> {
    let mut tail = BTreeMap::new();
    snapshot.scan(partition, &key::tails(id), &[], &mut |key, value| {
        let uid = key::number32(key, 5).ok_or_else(|| Error::Damaged("key of a tail row".to_owned()))?;
        tail.insert(uid, row::decode_tail(uid, value)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(tail)
}

/// All messages of a mailbox by ascending UID.
pub(crate) fn messages(
    snapshot: &dyn Snapshot,
    partition: u64,
    mailbox: &Mailbox,
) -> Result<Vec<MessageRow>, Error> {
    let mut rows = Vec::with_capacity(mailbox.messages.min(1 << 24) as usize);
    let tail = load_tail(snapshot, partition, mailbox.id)?;
    let mut problem = None;
    snapshot.scan(partition, &key::records(mailbox.id), &[], &mut |_, value| {
        let before = rows.len();
        row::decode_record(value, &mut rows)?;
        if before > 0 && rows.get(before).is_some_and(|m| m.uid <= rows[before - 1].uid) {
            problem = Some(rows[before].uid);
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some(uid) = problem {
        return Err(Error::Damaged(format!("mailbox {}: UID {uid} is out of order", mailbox.id.0)));
    }
    let mut gone = false;
    let mut fresh = Vec::new();
    for (uid, row) in tail {
        match (rows.binary_search_by_key(&uid, |m| m.uid), row) {
            (Ok(at), Some(row)) => rows[at] = row,
            (Ok(at), None) => {
                // No message is as large as that: it marks what is taken out below, all at once.
                rows[at].size = u64::MAX;
                gone = true;
            }
            (Err(_), Some(row)) => fresh.push(row),
            (Err(_), None) => {}
        }
    }
    if gone {
        rows.retain(|m| m.size != u64::MAX);
    }
    rows.extend(fresh);
    wide::apply_all(snapshot, partition, mailbox.id, &mut rows)?;
    Ok(rows)
}
