//! What two views of a mailbox differ in. What they share is skipped by looking at pointers, so that it costs
//! by what differs.

use super::{Block, View};
use std::cmp::Ordering;
use std::sync::Arc;

/// What a session that knew an older view has to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// UIDs that are gone, ascending, with the sequence number that each had in the older view.
    pub vanished: Vec<(u32, u32)>,
    /// Messages of both views whose MODSEQ is higher now: sequence number in the newer view.
    pub changed: Vec<u32>,
    /// Messages that are new: how many, at the newer view's end.
    pub added: u32,
}

impl Diff {
    /// There is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vanished.is_empty() && self.changed.is_empty() && self.added == 0
    }
}

impl View {
    /// What differs in `newer`, which is of the same mailbox (and UIDVALIDITY). Costs by what differs.
    #[must_use]
    pub fn diff(&self, newer: &View) -> Diff {
        let mut diff = Diff::default();
        let (mut old, mut new) = (Place::start(self), Place::start(newer));
        loop {
            skip_shared(&mut old, &mut new);
            let Some((old_block, old_at)) = old.here() else { break };
            let old_uid = old_block.fixed.uids[old_at];
            let Some((new_block, new_at)) = new.here() else {
                diff.vanished.push((old_uid, old.seq));
                old.step();
                continue;
            };
            match old_uid.cmp(&new_block.fixed.uids[new_at]) {
                Ordering::Less => {
                    diff.vanished.push((old_uid, old.seq));
                    old.step();
                }
                Ordering::Equal => {
                    if new_block.modseqs[new_at] > old_block.modseqs[old_at] {
                        diff.changed.push(new.seq);
                    }
                    old.step();
                    new.step();
                }
                // A UID between others that the older view lacks: it is not older. What it lacks counts as added.
                Ordering::Greater => new.step(),
            }
        }
        diff.added = (newer.len + diff.vanished.len() as u32).saturating_sub(self.len);
        diff
    }
}

/// Passes over nodes and blocks that both have, as long as both stand at the beginning of one.
fn skip_shared(old: &mut Place<'_>, new: &mut Place<'_>) {
    while old.at == 0 && new.at == 0 {
        let (Some(a), Some(b)) = (old.view.nodes.get(old.node), new.view.nodes.get(new.node)) else { return };
        if old.leaf == 0 && new.leaf == 0 && Arc::ptr_eq(&a.leaves, &b.leaves) {
            old.skip_node();
            new.skip_node();
            continue;
        }
        match (a.leaves.get(old.leaf), b.leaves.get(new.leaf)) {
            (Some(a), Some(b)) if Arc::ptr_eq(&a.block, &b.block) => {
                old.skip_leaf();
                new.skip_leaf();
            }
            _ => return,
        }
    }
}

/// A place in a view.
struct Place<'a> {
    view: &'a View,
    node: usize,
    leaf: usize,
    at: usize,
    /// The sequence number of the message here.
    seq: u32,
}

impl<'a> Place<'a> {
    fn start(view: &'a View) -> Place<'a> {
        Place { view, node: 0, leaf: 0, at: 0, seq: 1 }
    }

    fn here(&self) -> Option<(&'a Block, usize)> {
        let leaf = self.view.nodes.get(self.node)?.leaves.get(self.leaf)?;
        Some((&leaf.block, self.at))
    }

    /// To the next message, if there is one here.
    fn step(&mut self) {
        if let Some((block, at)) = self.here() {
            self.seq += 1;
            self.at += 1;
            if at + 1 == block.len() {
                self.next_leaf();
            }
        }
    }

    /// Past the block that it stands at the beginning of.
    fn skip_leaf(&mut self) {
        if let Some((block, _)) = self.here() {
            self.seq += block.len() as u32;
            self.next_leaf();
        }
    }

    /// Past the node that it stands at the beginning of.
    fn skip_node(&mut self) {
        (self.node, self.leaf) = (self.node + 1, 0);
        self.seq = self.view.nodes.get(self.node).map_or(self.view.len, |node| node.before) + 1;
    }

    fn next_leaf(&mut self) {
        (self.leaf, self.at) = (self.leaf + 1, 0);
        if self.view.nodes.get(self.node).is_some_and(|node| self.leaf == node.leaves.len()) {
            (self.node, self.leaf) = (self.node + 1, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{mailbox, row};
    use super::*;
    use crate::account::MessageRow;
    use proptest::prelude::*;

    /// By looking at every message.
    fn plain(old: &View, new: &View) -> Diff {
        let mut diff = Diff::default();
        for (seq, row) in old.rows(1..old.len() + 1) {
            match new.seq(row.uid) {
                None => diff.vanished.push((row.uid, seq)),
                Some(at) if new.row(at).unwrap().modseq > row.modseq => diff.changed.push(at),
                Some(_) => {}
            }
        }
        diff.added = new.rows(1..new.len() + 1).filter(|(_, row)| row.uid > old.last_uid()).count() as u32;
        diff
    }

    #[derive(Clone, Debug)]
    enum Edit {
        Append(u32),
        Flags(u32, u32, u32),
        Remove(u32, u32, u32),
    }

    fn edit() -> impl Strategy<Value = Edit> {
        prop_oneof![
            (1..700u32).prop_map(Edit::Append),
            (0..5000u32, 1..900u32, 1..200u32).prop_map(|(a, n, by)| Edit::Flags(a, n, by)),
            (0..5000u32, 1..900u32, 1..6u32).prop_map(|(a, n, by)| Edit::Remove(a, n, by)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn a_diff_is_what_looking_at_all_finds(first in 0..5000u32, edits in prop::collection::vec(edit(), 1..30)) {
            let mut list: Vec<MessageRow> = (1..=first).map(row).collect();
            let mut views = vec![View::new(mailbox(), list.clone())];
            let (mut next, mut modseq) = (first + 1, 100_000u64);
            for edit in edits {
                let mut view = views.last().unwrap().clone();
                modseq += 1;
                match edit {
                    Edit::Append(count) => {
                        let rows: Vec<MessageRow> = (next..next + count)
                            .map(|uid| MessageRow { modseq, ..row(uid) }).collect();
                        next += count;
                        view.append(&rows);
                        list.extend(rows);
                    }
                    Edit::Flags(from, count, by) => {
                        let changes: Vec<(u32, u64)> =
                            (from..from + count).step_by(by as usize).map(|uid| (uid, modseq)).collect();
                        view.set_flags(&changes, modseq);
                        for row in &mut list {
                            if changes.binary_search_by_key(&row.uid, |c| c.0).is_ok() {
                                row.flags.0 = modseq;
                                row.modseq = modseq;
                            }
                        }
                    }
                    Edit::Remove(from, count, by) => {
                        let gone: Vec<u32> = (from..from + count).step_by(by as usize).collect();
                        view.remove(&gone);
                        list.retain(|row| gone.binary_search(&row.uid).is_err());
                    }
                }
                prop_assert_eq!(view.messages(), list.clone());
                prop_assert_eq!(view.len() as usize, list.len());
                for (at, row) in list.iter().enumerate().step_by(97) {
                    prop_assert_eq!(view.seq(row.uid), Some(at as u32 + 1));
                    prop_assert_eq!(view.row(at as u32 + 1), Some(row.clone()));
                }
                views.push(view);
            }
            for (at, old) in views.iter().enumerate() {
                for new in &views[at..] {
                    prop_assert_eq!(old.diff(new), plain(old, new));
                }
            }
        }
    }
}
