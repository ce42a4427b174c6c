//! How a view is made from an older one: what an edit does not touch stays shared.

use super::{BLOCK_MESSAGES_MAX, Block, Fixed, Leaf, NODE_BLOCKS_MAX, Node, View};
use crate::account::MessageRow;
use std::sync::Arc;

/// Neighbouring blocks with so few messages together become one when either is touched.
const MERGED_MESSAGES_MAX: usize = BLOCK_MESSAGES_MAX / 2;
/// The same for nodes and their blocks.
const MERGED_BLOCKS_MAX: usize = NODE_BLOCKS_MAX / 2;

impl View {
    /// Adds messages, whose UIDs ascend and are above all others.
    pub(in crate::account) fn append(&mut self, rows: &[MessageRow]) {
        let mut rest = rows;
        if let Some(node) = self.nodes.last_mut().filter(|_| !rest.is_empty()) {
            node.append(&mut rest);
        }
        let mut before = self.nodes.last().map_or(0, |node| node.before + node.len());
        while !rest.is_empty() {
            let mut node = Node { before, last_uid: 0, leaves: Arc::default() };
            node.append(&mut rest);
            before += node.len();
            self.nodes.push(node);
        }
        self.len = before;
    }

    /// Gives messages other flags and the MODSEQ of that change. UIDs ascend; of equal ones the last holds, and those that are not
    /// there are passed over.
    pub(in crate::account) fn set_flags(&mut self, changes: &[(u32, u64)], modseq: u64) {
        let (mut rest, mut at) = (changes, 0);
        while let Some((uid, _)) = rest.first() {
            at += self.nodes[at..].partition_point(|node| node.last_uid < *uid);
            let Some(node) = self.nodes.get_mut(at) else { return };
            let mut of_node = take_until(&mut rest, node.last_uid, |change| change.0);
            let leaves = Arc::make_mut(&mut node.leaves);
            let mut leaf_at = 0;
            while let Some((uid, _)) = of_node.first() {
                leaf_at += leaves[leaf_at..].partition_point(|leaf| leaf.last_uid < *uid);
                let Some(leaf) = leaves.get_mut(leaf_at) else { break };
                let of_leaf = take_until(&mut of_node, leaf.last_uid, |change| change.0);
                Arc::make_mut(&mut leaf.block).set_flags(of_leaf, modseq);
            }
        }
    }

    /// Takes messages out. UIDs ascend; those that are not there are passed over.
    pub(in crate::account) fn remove(&mut self, uids: &[u32]) {
        let (mut rest, mut at) = (uids, 0);
        while let Some(uid) = rest.first() {
            at += self.nodes[at..].partition_point(|node| node.last_uid < *uid);
            let Some(node) = self.nodes.get_mut(at) else { break };
            let of_node = take_until(&mut rest, node.last_uid, |uid| *uid);
            node.remove(of_node);
            // The node's last UID may be lower now; what is left to take out is above its old one.
            at += 1;
        }
        self.nodes.retain(|node| !node.leaves.is_empty());
        self.merge_nodes();
        let mut before = 0;
        for node in &mut self.nodes {
            node.before = before;
            before += node.len();
        }
        self.len = before;
    }

    fn merge_nodes(&mut self) {
        let mergeable =
            |pair: &[Node]| pair.iter().map(|node| node.leaves.len()).sum::<usize>() <= MERGED_BLOCKS_MAX;
        if !self.nodes.windows(2).any(mergeable) {
            return;
        }
        let mut merged: Vec<Node> = Vec::with_capacity(self.nodes.len());
        for node in self.nodes.drain(..) {
            match merged.last_mut() {
                Some(last) if last.leaves.len() + node.leaves.len() <= MERGED_BLOCKS_MAX => {
                    let leaves = last.leaves.iter().chain(&*node.leaves).cloned().collect();
                    last.replace(leaves);
                }
                _ => merged.push(node),
            }
        }
        self.nodes = merged;
    }
}

impl Node {
    /// Messages in it.
    fn len(&self) -> u32 {
        self.leaves.last().map_or(0, |leaf| leaf.before + leaf.block.len() as u32)
    }

    /// Takes as many of `rows` as it has room for.
    fn append(&mut self, rows: &mut &[MessageRow]) {
        let leaves = Arc::make_mut(&mut self.leaves);
        if let Some(last) = leaves.last_mut().filter(|leaf| leaf.block.len() < BLOCK_MESSAGES_MAX) {
            let fresh = take_some(rows, BLOCK_MESSAGES_MAX - last.block.len());
            last.block = Arc::new(last.block.with(fresh));
            last.last_uid = fresh.last().map_or(last.last_uid, |row| row.uid);
        }
        let mut before = leaves.last().map_or(0, |leaf| leaf.before + leaf.block.len() as u32);
        while leaves.len() < NODE_BLOCKS_MAX && !rows.is_empty() {
            let fresh = take_some(rows, BLOCK_MESSAGES_MAX);
            let last_uid = fresh.last().map_or(0, |row| row.uid);
            leaves.push(Leaf { before, last_uid, block: Arc::new(Block::new(fresh)) });
            before += fresh.len() as u32;
        }
        self.last_uid = leaves.last().map_or(0, |leaf| leaf.last_uid);
    }

    fn remove(&mut self, uids: &[u32]) {
        let mut rest = uids;
        let mut kept: Vec<Leaf> = Vec::with_capacity(self.leaves.len());
        for leaf in &*self.leaves {
            let gone = take_until(&mut rest, leaf.last_uid, |uid| *uid);
            let mut leaf = leaf.clone();
            if !gone.is_empty() {
                match leaf.block.without(gone) {
                    Some(block) => leaf.block = Arc::new(block),
                    None => continue,
                }
            }
            match kept.last_mut() {
                Some(last) if last.block.len() + leaf.block.len() <= MERGED_MESSAGES_MAX => {
                    last.block = Arc::new(last.block.joined(&leaf.block));
                }
                _ => kept.push(leaf),
            }
        }
        self.replace(kept);
    }

    fn replace(&mut self, mut leaves: Vec<Leaf>) {
        let mut before = 0;
        for leaf in &mut leaves {
            leaf.before = before;
            // No block is empty.
            leaf.last_uid = leaf.block.fixed.uids.last().copied().unwrap_or(0);
            before += leaf.block.len() as u32;
        }
        self.last_uid = leaves.last().map_or(0, |leaf| leaf.last_uid);
        self.leaves = Arc::new(leaves);
    }
}

impl Block {
    fn new(rows: &[MessageRow]) -> Block {
        let fixed = Fixed {
            uids: rows.iter().map(|row| row.uid).collect(),
            sizes: rows.iter().map(|row| row.size).collect(),
            dates: rows.iter().map(|row| row.received).collect(),
        };
        Block {
            fixed: Arc::new(fixed),
            flags: rows.iter().map(|row| row.flags.0).collect(),
            modseqs: rows.iter().map(|row| row.modseq).collect(),
        }
    }

    fn with(&self, rows: &[MessageRow]) -> Block {
        self.joined(&Block::new(rows))
    }

    /// This one's messages, then the other's.
    fn joined(&self, other: &Block) -> Block {
        let fixed = Fixed {
            uids: [&*self.fixed.uids, &*other.fixed.uids].concat().into(),
            sizes: [&*self.fixed.sizes, &*other.fixed.sizes].concat().into(),
            dates: [&*self.fixed.dates, &*other.fixed.dates].concat().into(),
        };
        Block {
            fixed: Arc::new(fixed),
            flags: [&*self.flags, &*other.flags].concat().into(),
            modseqs: [&*self.modseqs, &*other.modseqs].concat().into(),
        }
    }

    /// `None`: nothing is left.
    fn without(&self, uids: &[u32]) -> Option<Block> {
        let mut rest = uids;
        let mut kept: Vec<usize> = Vec::with_capacity(self.len());
        for (at, uid) in self.fixed.uids.iter().enumerate() {
            rest = &rest[rest.partition_point(|gone| gone < uid)..];
            if rest.first() != Some(uid) {
                kept.push(at);
            }
        }
        if kept.is_empty() {
            return None;
        }
        let fixed = Fixed {
            uids: kept.iter().map(|at| self.fixed.uids[*at]).collect(),
            sizes: kept.iter().map(|at| self.fixed.sizes[*at]).collect(),
            dates: kept.iter().map(|at| self.fixed.dates[*at]).collect(),
        };
        Some(Block {
            fixed: Arc::new(fixed),
            flags: kept.iter().map(|at| self.flags[*at]).collect(),
            modseqs: kept.iter().map(|at| self.modseqs[*at]).collect(),
        })
    }

    fn set_flags(&mut self, changes: &[(u32, u64)], modseq: u64) {
        let mut at = 0;
        for (uid, flags) in changes {
            let uids = &self.fixed.uids;
            // Most often the next one, when many are changed.
            if uids.get(at) != Some(uid) {
                at = uids.partition_point(|found| found < uid);
            }
            if uids.get(at) == Some(uid) {
                (self.flags[at], self.modseqs[at]) = (*flags, modseq);
                if changes.len() > 1 && at + 1 < uids.len() {
                    at += 1;
                }
            }
        }
    }
}

/// Cuts off the front of `items`: those up to and with this UID.
fn take_until<'i, T>(items: &mut &'i [T], last_uid: u32, uid: impl Fn(&T) -> u32) -> &'i [T] {
    let (front, rest) = items.split_at(items.partition_point(|item| uid(item) <= last_uid));
    *items = rest;
    front
}

/// Cuts off the front of `items`: so many at most.
fn take_some<'i, T>(items: &mut &'i [T], count: usize) -> &'i [T] {
    let (front, rest) = items.split_at(items.len().min(count));
    *items = rest;
    front
}

#[cfg(test)]
mod tests {
    use super::super::tests::{mailbox, row};
    use super::*;
    use crate::account::Flags;

    fn view(uids: impl Iterator<Item = u32>) -> View {
        View::new(mailbox(), uids.map(row).collect())
    }

    #[test]
    fn what_is_appended_one_by_one_is_what_is_appended_at_once() {
        let whole = view(1..=20_000);
        let mut grown = view(1..=16_300);
        for uid in 16_301..=20_000 {
            grown.append(&[row(uid)]);
        }
        assert_eq!(grown.messages(), whole.messages());
        assert_eq!(grown.nodes.len(), whole.nodes.len());
        grown.append(&[]);
        assert_eq!(grown.len(), 20_000);
        let mut none = view(1..1);
        none.append(&[]);
        assert!(none.is_empty());
    }

    #[test]
    fn the_first_unseen_is_looked_for_anew_in_each_view() {
        let seen: Vec<(u32, u64)> = (1..=700).map(|uid| (uid, Flags::SEEN.0)).collect();
        let mut old = view(1..=700);
        old.set_flags(&seen, 2);
        old.set_flags(&[(2, 0), (650, 0)], 3);
        old.mailbox.unseen = 2;
        assert_eq!(old.first_unseen(), Some(2));
        let mut new = old.clone();
        new.set_flags(&[(2, Flags::SEEN.0)], 4);
        new.remove(&[1, 300]);
        new.mailbox.unseen = 1;
        assert_eq!((new.first_unseen(), old.first_unseen()), (Some(648), Some(2)));
        new.mailbox.unseen = 0;
        assert_eq!(new.first_unseen(), None);
    }

    #[test]
    fn only_what_is_touched_is_copied() {
        let old = view(1..=100_000);
        let mut new = old.clone();
        new.append(&[row(100_001)]);
        new.set_flags(&[(300, 9), (301, 9), (301, 10)], 500_000);
        new.remove(&[70_000]);
        let blocks = |view: &View| -> Vec<*const Block> {
            view.nodes.iter().flat_map(|n| n.leaves.iter().map(|l| Arc::as_ptr(&l.block))).collect()
        };
        let differing = blocks(&old).iter().zip(blocks(&new)).filter(|(a, b)| **a != *b).count();
        assert_eq!(differing, 3);
        let shared = Arc::ptr_eq(&old.nodes[0].leaves[1].block.fixed, &new.nodes[0].leaves[1].block.fixed);
        assert!(shared, "UIDs, sizes and dates do not change with the flags");
        assert_eq!(new.row(301).unwrap().flags, Flags(10));
        assert_eq!((new.row(300).unwrap().modseq, old.row(300).unwrap().modseq), (500_000, 307));
        assert_eq!((new.len(), new.uid(70_000), old.uid(70_000)), (100_000, Some(70_001), Some(70_000)));
    }

    #[test]
    fn a_view_that_is_thinned_out_grows_compact() {
        let mut thin = view(1..=100_000);
        let gone: Vec<u32> = (1..=100_000).filter(|uid| uid % 100 != 0).collect();
        for some in gone.chunks(777) {
            thin.remove(some);
        }
        let expected: Vec<MessageRow> = (1..=1000).map(|n| row(n * 100)).collect();
        assert_eq!(thin.messages(), expected);
        assert_eq!(thin.seq(50_000), Some(500));
        let blocks: usize = thin.nodes.iter().map(|node| node.leaves.len()).sum();
        assert!(blocks <= 24 && thin.nodes.len() <= 2, "{blocks} in {}", thin.nodes.len());
        thin.remove(&(1..=100_000).collect::<Vec<u32>>());
        assert_eq!((thin.len(), thin.nodes.len(), thin.last_uid()), (0, 0, 0));
        thin.append(&[row(100_001)]);
        assert_eq!(thin.messages(), [row(100_001)]);
    }
}
