//! A change of flags that goes over many messages is one row: which UIDs, which bits are set, which are taken away. Index records are
//! not written anew for it, until there are some of these rows.
//!
//! What must hold: a wide change is for the messages whose MODSEQ is below its own; what has a higher one was changed later, and what
//! has the same one was written with the change in it.

use crate::account::{Flags, MailboxId, MessageRow, View};
use crate::engine::Snapshot;
use crate::{Error, key, row};
use std::ops::ControlFlow;

/// Ranges of UIDs in one: changes of messages that lie scattered are written into their records.
const RANGES_MAX: usize = 512;
/// Rows of a mailbox; with the next change over many messages they go into the records.
pub(super) const WIDE_CHANGES_MAX: usize = 8;

/// See above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WideChange {
    /// Of the change.
    pub(crate) modseq: u64,
    /// Bits that are taken away, before others are set.
    pub(crate) clear: u64,
    pub(crate) set: u64,
    /// Of the messages that it has changed; ascending, disjoint.
    pub(crate) uids: Vec<(u32, u32)>,
}

impl WideChange {
    /// `None`: the UIDs (ascending) lie too scattered.
    pub(in crate::account) fn new(
        modseq: u64,
        (clear, set): (u64, u64),
        uids: &mut dyn Iterator<Item = u32>,
    ) -> Option<WideChange> {
        let uids = crate::account::apply::ranges(uids);
        (uids.len() <= RANGES_MAX).then_some(WideChange { modseq, clear, set, uids })
    }

    /// What it leaves of these flags.
    pub(in crate::account) fn after(&self, flags: u64) -> u64 {
        flags & !self.clear | self.set
    }

    /// Changes those of `rows` (ascending by UID) that are as they were before it.
    fn apply(&self, rows: &mut [MessageRow]) {
        let mut at = 0;
        for (from, to) in &self.uids {
            at += rows[at..].partition_point(|row| row.uid < *from);
            let end = at + rows[at..].partition_point(|row| row.uid <= *to);
            for row in rows[at..end].iter_mut().filter(|row| row.modseq < self.modseq) {
                (row.flags, row.modseq) = (Flags(self.after(row.flags.0)), self.modseq);
            }
            at = end;
        }
    }

    /// UIDs of those of its messages that are there.
    pub(super) fn present(&self, view: &View) -> impl Iterator<Item = u32> {
        let seqs = self.uids.iter().map(|(from, to)| view.seqs(*from, *to));
        seqs.flat_map(|seqs| view.rows(seqs).map(|(_, row)| row.uid))
    }
}

/// Those of a mailbox, ascending.
pub(super) fn load(snapshot: &dyn Snapshot, partition: u64, id: MailboxId) -> Result<Vec<WideChange>, Error> {
    let mut all = Vec::new();
    snapshot.scan(partition, &key::wide_changes(id), &[], &mut |at, value| {
        let bad = || Error::Damaged("key of a wide change".to_owned());
        all.push(row::decode_wide_change(key::number64(at, 5).ok_or_else(bad)?, value)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(all)
}

/// Applies all of a mailbox to its messages, which ascend by UID.
pub(super) fn apply_all(
    snapshot: &dyn Snapshot,
    partition: u64,
    id: MailboxId,
    rows: &mut [MessageRow],
) -> Result<(), Error> {
    load(snapshot, partition, id)?.iter().for_each(|change| change.apply(rows));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_later_stays() {
        let row = |uid, flags, modseq| MessageRow { uid, flags: Flags(flags), modseq, size: 1, received: 0 };
        let mut rows =
            [row(1, 0b01, 3), row(2, 0b01, 9), row(4, 0b11, 10), row(5, 0b101, 3), row(9, 0b01, 3)];
        let change = WideChange { modseq: 9, clear: 0b01, set: 0b10, uids: vec![(1, 5), (7, 8)] };
        change.apply(&mut rows);
        let found: Vec<(u64, u64)> = rows.iter().map(|row| (row.flags.0, row.modseq)).collect();
        assert_eq!(found, [(0b10, 9), (0b01, 9), (0b11, 10), (0b110, 9), (0b01, 3)]);
        let many = |step| WideChange::new(1, (0, 1), &mut (1..3000).step_by(step));
        assert_eq!(many(1).unwrap().uids, [(1, 2999)]);
        assert_eq!(many(2), None, "scattered");
    }
}
