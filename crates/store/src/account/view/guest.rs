//! A guest's view of a shared mailbox: `\Seen` is what the guest has marked, all else is as the owner has it.
//!
//! A message's MODSEQ is the higher of its own and its mark's, so that it rises with whatever the guest can see of it. UIDs,
//! sizes and dates are shared with the owner's view. How many are unseen is counted along, because the mailbox's row counts for
//! its owner.

use super::{Flags, View};
use crate::account::MessageRow;
use crate::row::Marks;
use proto::proof::AccountId;
use std::sync::Arc;

impl View {
    /// The owner's view as a guest with these marks sees it.
    pub(in crate::account) fn of_guest(&self, guest: AccountId, marks: &Marks) -> View {
        let mut view = View { guest: Some(guest), lease: Arc::new(()), ..self.clone() };
        let mut marks = marks.iter().peekable();
        let mut unseen = 0;
        for node in &mut view.nodes {
            for leaf in Arc::make_mut(&mut node.leaves) {
                let block = Arc::make_mut(&mut leaf.block);
                for (at, uid) in block.fixed.uids.iter().enumerate() {
                    block.flags[at] &= !Flags::SEEN.0;
                    while marks.next_if(|(marked, _)| *marked < uid).is_some() {}
                    if let Some((_, mark)) = marks.next_if(|(marked, _)| *marked == uid) {
                        block.flags[at] |= if mark.seen { Flags::SEEN.0 } else { 0 };
                        block.modseqs[at] = block.modseqs[at].max(mark.modseq);
                    }
                    unseen += u32::from(block.flags[at] & Flags::SEEN.0 == 0);
                }
            }
        }
        view.mailbox.unseen = unseen;
        view
    }

    /// Adds messages, which the guest has not seen.
    pub(in crate::account) fn append_unseen(&mut self, rows: &[MessageRow]) {
        let unseen =
            |row: &MessageRow| MessageRow { flags: Flags(row.flags.0 & !Flags::SEEN.0), ..row.clone() };
        let rows: Vec<MessageRow> = rows.iter().map(unseen).collect();
        self.append(&rows);
        self.mailbox.unseen = self.mailbox.unseen.saturating_add(rows.len() as u32);
    }

    /// Gives messages other flags as [`View::set_flags`] does, but leaves `\Seen` as it is.
    pub(in crate::account) fn set_flags_beside_seen(&mut self, changes: &[(u32, u64)], modseq: u64) {
        let beside = |(uid, flags): &(u32, u64)| {
            let old = self.flags_of(*uid)?;
            Some((*uid, flags & !Flags::SEEN.0 | old & Flags::SEEN.0))
        };
        let changes: Vec<(u32, u64)> = changes.iter().filter_map(beside).collect();
        self.set_flags(&changes, modseq);
    }

    /// The guest has seen messages, or takes that back. UIDs ascend; of equal ones the last holds.
    pub(in crate::account) fn set_seen(&mut self, changes: &[(u32, bool)], modseq: u64) {
        let mut marked: Vec<(u32, u64)> = Vec::with_capacity(changes.len());
        for (uid, seen) in changes {
            let Some(old) = self.flags_of(*uid) else { continue };
            let new = if *seen { old | Flags::SEEN.0 } else { old & !Flags::SEEN.0 };
            match marked.last_mut() {
                Some(last) if last.0 == *uid => last.1 = new,
                _ => marked.push((*uid, new)),
            }
        }
        for (uid, new) in &marked {
            let old = self.flags_of(*uid).unwrap_or(*new);
            match (old & Flags::SEEN.0 != 0, new & Flags::SEEN.0 != 0) {
                (false, true) => self.mailbox.unseen = self.mailbox.unseen.saturating_sub(1),
                (true, false) => self.mailbox.unseen = self.mailbox.unseen.saturating_add(1),
                _ => {}
            }
        }
        self.set_flags(&marked, modseq);
    }

    /// Takes messages out, and counts those that the guest had not seen. UIDs ascend.
    pub(in crate::account) fn remove_counted(&mut self, uids: &[u32]) {
        let mut gone = uids.to_vec();
        gone.dedup();
        let unseen = |uid: &&u32| self.flags_of(**uid).is_some_and(|flags| flags & Flags::SEEN.0 == 0);
        let unseen = gone.iter().filter(unseen).count() as u32;
        self.mailbox.unseen = self.mailbox.unseen.saturating_sub(unseen);
        self.remove(&gone);
    }

    fn flags_of(&self, uid: u32) -> Option<u64> {
        let (_, block) = self.block_of(uid)?;
        block.fixed.uids.binary_search(&uid).ok().map(|at| block.flags[at])
    }
}
