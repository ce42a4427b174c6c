//! Messages are removed.
//!
//! Of many, the details are not removed in the same commit: they lie in as many pages as there are messages, and whoever waits
//! would wait for all of these. They are noted in *graves*, and removed from there some at a time in later commits (`sweep`).

use super::{Change, SMALL_ROWS_MAX, Touched, ranges};
use crate::account::{MailboxId, MessageRow, Refused};
use crate::{key, row};
use std::ops::ControlFlow;

/// Details of so many messages are removed at once.
const DIRECT_MAX: usize = 256;
/// Details removed by one sweep: each lies in a page of its own, and whoever comes meanwhile waits for all of them.
const SWEPT_MAX: usize = 64;
/// Ranges of UIDs in one grave.
const GRAVE_RANGES_MAX: usize = 512;

impl Change<'_> {
    /// Removes those of `uids` (ascending) that exist.
    pub(super) fn expunge(&mut self, id: MailboxId, uids: &[u32]) -> Result<(), Refused> {
        let view = self.working(id)?;
        let rows: Vec<MessageRow> =
            uids.iter().filter_map(|uid| view.seq(*uid).and_then(|seq| view.row(seq))).collect();
        drop(view);
        self.take_out(id, &rows, false)
    }

    /// Removes messages that exist, UIDs ascending. `moved`: their bodies live on elsewhere. An error leaves everything as it was.
    pub(super) fn take_out(
        &mut self,
        id: MailboxId,
        rows: &[MessageRow],
        moved: bool,
    ) -> Result<(), Refused> {
        if rows.is_empty() {
            return Ok(());
        }
        let buried = rows.len() > DIRECT_MAX;
        if !buried && !moved {
            for row in rows {
                let stored = self.detail(id, row.uid)?;
                // An estimate: it does no harm if the commit fails.
                if let Some(detail) = stored.map(|bytes| row::decode_detail(&bytes)).transpose()? {
                    self.dead.add(&detail.body);
                }
            }
        }
        let Some(index) = self.head.mailboxes.get_mut(&id.0) else { return Err(Refused::NoMailbox) };
        let touched = self.touched.entry(id.0).or_default();
        touched.is_bulk |= rows.len() > SMALL_ROWS_MAX;
        for row in rows {
            index.row.mailbox.count_out(row.flags, row.size);
            self.head.row.messages = self.head.row.messages.saturating_sub(1);
            self.head.row.bytes = self.head.row.bytes.saturating_sub(row.size);
            touched.vanished.push(row.uid);
            if touched.is_bulk {
                touched.bulk.push(row.uid);
            } else {
                index.remove(row.uid);
            }
        }
        if buried {
            let list = if moved { &mut touched.moved } else { &mut touched.buried };
            list.extend(rows.iter().map(|row| row.uid));
        } else {
            rows.iter().for_each(|row| self.delete_detail(id, row.uid));
        }
        Ok(())
    }

    /// Notes what is to be swept.
    pub(super) fn bury(&mut self, id: MailboxId, touched: &mut Touched) {
        let version = self.head.version + 1;
        for (list, moved) in [(&mut touched.buried, false), (&mut touched.moved, true)] {
            list.sort_unstable();
            let ranges = ranges(&mut list.iter().copied());
            for (n, some) in ranges.chunks(GRAVE_RANGES_MAX).enumerate() {
                let at = key::grave(id, version, n as u32, moved);
                self.batch.put(at, row::encode_ranges(some));
                self.head.graves = true;
            }
        }
    }

    /// Removes some details of messages that are gone, if there are any.
    pub(super) fn sweep(&mut self) -> Result<(), Refused> {
        let partition = key::partition(self.account);
        let mut grave = None;
        self.snapshot()?.scan(partition, &[key::GRAVE], &[], &mut |key, value| {
            grave = Some((key.to_vec(), row::decode_ranges(value)?));
            Ok(ControlFlow::Break(()))
        })?;
        let Some((at, ranges)) = grave else {
            self.head.graves = false;
            return Ok(());
        };
        let id = MailboxId(key::number32(&at, 1).unwrap_or(0));
        let moved = at.last() == Some(&1);
        let (mut found, mut rest) = (Vec::new(), Vec::new());
        for (from, to) in ranges {
            let mut next = Some(from);
            if found.len() < SWEPT_MAX {
                next = None;
                let (prefix, begin) = (key::details(id), key::detail(id, from));
                self.snapshot()?.scan(partition, &prefix, &begin, &mut |key, value| {
                    let uid = key::number32(key, 5).unwrap_or(u32::MAX);
                    if uid > to {
                        return Ok(ControlFlow::Break(()));
                    }
                    if found.len() == SWEPT_MAX {
                        next = Some(uid);
                        return Ok(ControlFlow::Break(()));
                    }
                    // What cannot be read any more is found by a later mark.
                    found.push((uid, row::decode_detail(value).ok().filter(|_| !moved)));
                    Ok(ControlFlow::Continue(()))
                })?;
            }
            rest.extend(next.map(|next| (next, to)));
        }
        for (uid, detail) in found {
            self.delete_detail(id, uid);
            if let Some(detail) = detail {
                self.dead.add(&detail.body);
            }
        }
        if rest.is_empty() {
            self.batch.delete(at);
        } else {
            self.batch.put(at, row::encode_ranges(&rest));
        }
        Ok(())
    }
}
