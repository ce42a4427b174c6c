//! What guests of shared mailboxes have seen is marked.
//!
//! Marks are read before anything is changed, changed in memory, and written as rows at the end. Those of messages that are
//! gone stay in their rows, which are written anew without them when the guest marks a neighbour, and removed when the
//! mailbox begins behind them.

use super::Change;
use crate::account::{MailboxId, Refused, View};
use crate::engine::Snapshot;
use crate::row::{self, Mark, Marks, mark_block};
use crate::{Error, key};
use proto::proof::AccountId;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Rows of marks that are behind the beginning of a mailbox, and are removed with one change.
const BEHIND_MAX: usize = 64;
/// Rows of a removed account's marks and notes that go in one commit.
const FORGOTTEN_MAX: usize = 256;

/// Marks of one guest, as far as an operation needs them.
pub(super) struct Marking {
    guest: AccountId,
    /// By mailbox and block; and whether they were changed.
    blocks: BTreeMap<(u32, u32), (Marks, bool)>,
}

impl Marking {
    /// What a message that was read in is marked with.
    pub(super) fn get(&self, id: MailboxId, uid: u32) -> Mark {
        let block = self.blocks.get(&(id.0, mark_block(uid)));
        let mark = block.and_then(|(marks, _)| marks.get(&uid));
        mark.copied().unwrap_or(Mark { seen: false, modseq: 0 })
    }

    /// Marks a message whose block was read in.
    pub(super) fn set(&mut self, id: MailboxId, uid: u32, mark: Mark) {
        if let Some((marks, changed)) = self.blocks.get_mut(&(id.0, mark_block(uid))) {
            marks.insert(uid, mark);
            *changed = true;
        }
    }
}

impl Change<'_> {
    /// To mark for a guest. An account that is gone marks nothing, so that nothing is left of it.
    pub(super) fn marking(&mut self, guest: AccountId) -> Result<Marking, Refused> {
        match self.snapshot()?.get(key::SYSTEM, &key::account(guest))? {
            Some(_) => Ok(Marking { guest, blocks: BTreeMap::new() }),
            None => Err(Refused::NoAccount),
        }
    }

    /// Reads in the marks of a message and its neighbours, if they are not.
    pub(super) fn read_mark(&mut self, marking: &mut Marking, id: MailboxId, uid: u32) -> Result<(), Error> {
        let block = mark_block(uid);
        if !marking.blocks.contains_key(&(id.0, block)) {
            let stored = self.row(&key::mark(id, marking.guest, block))?;
            let marks =
                stored.map_or_else(|| Ok(Marks::new()), |stored| row::decode_marks(block, &stored))?;
            marking.blocks.insert((id.0, block), (marks, false));
        }
        Ok(())
    }

    /// Reads in what the next `count` messages of a mailbox that is held will need.
    pub(super) fn read_next_marks(
        &mut self,
        marking: &mut Marking,
        id: MailboxId,
        count: usize,
    ) -> Result<(), Refused> {
        let Some(index) = self.head.mailboxes.get(&id.0) else { return Err(Refused::NoMailbox) };
        let next = index.row.mailbox.uid_next;
        let last = next.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        for block in mark_block(next)..=mark_block(last) {
            self.read_mark(marking, id, block * row::MARK_UIDS)?;
        }
        Ok(())
    }

    /// A message has been seen, or no longer.
    pub(super) fn mark(&mut self, marking: &mut Marking, id: MailboxId, uid: u32, seen: bool) {
        marking.set(id, uid, Mark { seen, modseq: self.head.version + 1 });
        self.touched.entry(id.0).or_default().seen.push((marking.guest, uid, seen));
    }

    /// Writes what was changed. `view`: the mailbox of which marks of messages that are gone are let go.
    pub(super) fn write_marks(&mut self, marking: Marking, view: Option<&View>) {
        for ((id, block), (mut marks, changed)) in marking.blocks {
            if !changed {
                continue;
            }
            if let Some(view) = view.filter(|view| view.mailbox.id.0 == id) {
                marks.retain(|uid, _| view.seq(*uid).is_some());
            }
            let at = key::mark(MailboxId(id), marking.guest, block);
            self.put_row(at, row::encode_marks(block, &marks));
        }
    }

    /// Removes some rows of marks of which no message is left, because the mailbox begins behind them.
    pub(super) fn drop_marks_behind(&mut self, marking: &Marking, view: &View) -> Result<(), Error> {
        let (id, partition) = (view.mailbox.id, key::partition(self.account));
        let first = view.uid(1).map_or(0, mark_block);
        let mut behind = Vec::new();
        self.snapshot()?.scan(partition, &key::marks(id, marking.guest), &[], &mut |key, _| {
            let enough = behind.len() == BEHIND_MAX || key::number32(key, 13).is_none_or(|at| at >= first);
            if enough {
                return Ok(ControlFlow::Break(()));
            }
            behind.push(key.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
        behind.into_iter().for_each(|at| self.remove_row(at));
        Ok(())
    }

    /// Removes some of what an account that is no more has left here. True: there may be more.
    pub(super) fn forget(&mut self, guest: AccountId) -> Result<bool, Refused> {
        let partition = key::partition(self.account);
        let snapshot = self.snapshot()?;
        let (mut found, mut from) = (Vec::new(), Vec::new());
        while found.len() < FORGOTTEN_MAX
            && let Some(prefix) = left_by(snapshot, partition, guest, &from)?
        {
            snapshot.scan(partition, &prefix, &[], &mut |key, _| {
                found.push(key.to_vec());
                let enough = found.len() >= FORGOTTEN_MAX;
                Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            // Behind all of them: nothing is of the account with the highest number.
            from = key::after(prefix);
        }
        let more = found.len() >= FORGOTTEN_MAX;
        found.into_iter().for_each(|at| self.remove_row(at));
        Ok(more)
    }
}

/// What the first key not below `from` begins with that is of this guest: marks of a mailbox, or notes on it.
pub(crate) fn left_by(
    snapshot: &dyn Snapshot,
    partition: u64,
    guest: AccountId,
    from: &[u8],
) -> Result<Option<Vec<u8>>, Error> {
    for tag in [key::NOTE, key::MARK] {
        let mut from = from.to_vec();
        loop {
            let mut next = None;
            snapshot.scan(partition, &[tag], &from, &mut |key, _| {
                next = key::number32(key, 1).zip(key::number64(key, 5));
                Ok(ControlFlow::Break(()))
            })?;
            let Some((mailbox, whose)) = next else { break };
            let (id, prefix) = (MailboxId(mailbox), key::of_guest(tag, MailboxId(mailbox), guest));
            from = match whose.cmp(&guest.0) {
                std::cmp::Ordering::Equal => return Ok(Some(prefix)),
                std::cmp::Ordering::Less => prefix,
                std::cmp::Ordering::Greater => match id.0.checked_add(1) {
                    Some(next) => key::of_mailbox(tag, MailboxId(next)),
                    None => break,
                },
            };
        }
    }
    Ok(None)
}
