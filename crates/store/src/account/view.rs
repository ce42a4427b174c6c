//! An open mailbox in memory: shared, immutable, compact columns.
//!
//! A view never changes; a commit makes a new one that shares with the old what the commit did not
//! touch. What must hold: at most 40 octets a message; moving a view from commit to commit costs by what was changed, not
//! by what is there; all sessions share one copy.
//!
//! Messages lie in blocks of up to 256 by ascending UID, and blocks in nodes of up to 64: a delivery into a mailbox of a
//! million copies one block and the pointers of one node. What a change of flags leaves alone (UIDs, sizes, dates)
//! stays shared also within a block that it touches. How a new view is made is in `edit`, what two views differ in is in
//! `diff`.

mod diff;
mod edit;
mod guest;

use super::{Flags, Mailbox, MessageRow};
use proto::proof::AccountId;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

pub use diff::Diff;

/// Messages in one block.
const BLOCK_MESSAGES_MAX: usize = 256;
/// Blocks in one node.
const NODE_BLOCKS_MAX: usize = 64;
/// Octets of a block beside its columns: two counted pointers with their slices, and its place in a node.
const BLOCK_BYTES: u64 = 240;
/// Octets of the columns for one message.
const MESSAGE_BYTES: u64 = 36;

/// A mailbox as of one commit.
#[derive(Clone)]
pub struct View {
    /// Its row.
    pub mailbox: Mailbox,
    nodes: Vec<Node>,
    len: u32,
    /// Whose `\Seen` it shows, if not the owner's.
    guest: Option<AccountId>,
    /// Goes from view to view: whoever has one of any age keeps the mailbox in memory.
    lease: Arc<()>,
    first_unseen: Lazy,
}

/// What is found at the first question. A view that is made from another one asks anew.
#[derive(Default)]
struct Lazy(OnceLock<Option<u32>>);

impl Clone for Lazy {
    fn clone(&self) -> Lazy {
        Lazy::default()
    }
}

#[derive(Clone)]
struct Node {
    /// Messages before it.
    before: u32,
    last_uid: u32,
    leaves: Arc<Vec<Leaf>>,
}

#[derive(Clone)]
struct Leaf {
    /// Messages before it in its node.
    before: u32,
    last_uid: u32,
    block: Arc<Block>,
}

/// Never empty.
#[derive(Clone)]
struct Block {
    fixed: Arc<Fixed>,
    flags: Box<[u64]>,
    modseqs: Box<[u64]>,
}

/// What a message keeps for life.
struct Fixed {
    uids: Box<[u32]>,
    sizes: Box<[u64]>,
    dates: Box<[i64]>,
}

/// Columns of neighbouring messages, for work in bulk. All slices are of the same length, which is not zero.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The sequence number of the first.
    pub first_seq: u32,
    /// UIDs, ascending.
    pub uids: &'a [u32],
    /// Flags, as in [`Flags`].
    pub flags: &'a [u64],
    /// MODSEQs.
    pub modseqs: &'a [u64],
    /// Octets as served.
    pub sizes: &'a [u64],
    /// Internal dates, Unix seconds.
    pub dates: &'a [i64],
}

impl<'a> Chunk<'a> {
    /// The messages one by one.
    pub fn rows(self) -> impl Iterator<Item = (u32, MessageRow)> + 'a {
        (0..self.uids.len()).map(move |at| (self.first_seq + at as u32, self.row(at)))
    }

    fn row(&self, at: usize) -> MessageRow {
        MessageRow {
            uid: self.uids[at],
            flags: Flags(self.flags[at]),
            modseq: self.modseqs[at],
            size: self.sizes[at],
            received: self.dates[at],
        }
    }
}

impl View {
    pub(crate) fn new(mailbox: Mailbox, rows: Vec<MessageRow>) -> View {
        let mut view = View {
            mailbox,
            nodes: Vec::new(),
            len: 0,
            guest: None,
            lease: Arc::new(()),
            first_unseen: Lazy::default(),
        };
        view.append(&rows);
        view
    }

    /// Messages.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// None at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The message with this sequence number, from 1.
    #[must_use]
    pub fn row(&self, seq: u32) -> Option<MessageRow> {
        let (block, at) = self.at(seq)?;
        Some(block.chunk(0, 0..block.len()).row(at))
    }

    /// The UID with this sequence number.
    #[must_use]
    pub fn uid(&self, seq: u32) -> Option<u32> {
        self.at(seq).map(|(block, at)| block.fixed.uids[at])
    }

    /// The sequence number of a UID.
    #[must_use]
    pub fn seq(&self, uid: u32) -> Option<u32> {
        let (before, block) = self.block_of(uid)?;
        block.fixed.uids.binary_search(&uid).ok().map(|at| before + at as u32 + 1)
    }

    /// The sequence numbers of the messages with UIDs in `from..=to`, as a range; empty if there is none.
    #[must_use]
    pub fn seqs(&self, from: u32, to: u32) -> Range<u32> {
        let first = self.below(from) + 1;
        let end = to.checked_add(1).map_or(self.len, |end| self.below(end)) + 1;
        first..end.max(first)
    }

    /// Messages with sequence numbers in `seqs`, with their numbers.
    pub fn rows(&self, seqs: Range<u32>) -> impl Iterator<Item = (u32, MessageRow)> + '_ {
        self.chunks_of(seqs).flat_map(Chunk::rows)
    }

    /// All columns, in order.
    pub fn chunks(&self) -> Chunks<'_> {
        self.chunks_of(1..self.len + 1)
    }

    /// The sequence number of the first message without `\Seen`. Every session that opens the mailbox asks; one of them looks.
    #[must_use]
    pub fn first_unseen(&self) -> Option<u32> {
        if self.mailbox.unseen == 0 {
            return None;
        }
        *self.first_unseen.0.get_or_init(|| {
            // Nearly all of a large mailbox is seen: whole chunks are passed over at once.
            let all =
                |flags: &[u64]| flags.iter().fold(u64::MAX, |all, flags| all & flags) & Flags::SEEN.0 != 0;
            let chunk = self.chunks().find(|chunk| !all(chunk.flags))?;
            let at = chunk.flags.iter().position(|flags| flags & Flags::SEEN.0 == 0)?;
            // A chunk is much smaller than a mailbox may be.
            Some(chunk.first_seq + at as u32)
        })
    }

    /// The columns of the messages with sequence numbers in `seqs`, in order.
    pub fn chunks_of(&self, seqs: Range<u32>) -> Chunks<'_> {
        let (from, end) = (seqs.start.max(1) - 1, seqs.end.max(1) - 1);
        let node = self.nodes.partition_point(|node| node.before <= from).saturating_sub(1);
        let leaf = self.nodes.get(node).map_or(0, |node| {
            node.leaves.partition_point(|leaf| node.before + leaf.before <= from).saturating_sub(1)
        });
        Chunks { view: self, node, leaf, from, end: end.min(self.len) }
    }

    /// All messages, by ascending UID.
    #[must_use]
    pub fn messages(&self) -> Vec<MessageRow> {
        let mut rows = Vec::with_capacity(self.len as usize);
        rows.extend(self.rows(1..self.len + 1).map(|(_, row)| row));
        rows
    }

    /// The highest UID; 0 if there is none.
    #[must_use]
    pub fn last_uid(&self) -> u32 {
        self.nodes.last().map_or(0, |node| node.last_uid)
    }

    /// Octets in memory, about.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let blocks: u64 = self.nodes.iter().map(|node| node.leaves.len() as u64).sum();
        let own = size_of::<View>() + self.nodes.capacity() * size_of::<Node>();
        own as u64 + blocks * BLOCK_BYTES + u64::from(self.len) * MESSAGE_BYTES
    }

    /// Whose `\Seen` it shows, if not the owner's.
    pub(super) fn guest(&self) -> Option<AccountId> {
        self.guest
    }

    /// Somebody has this view or one of the same mailbox of another age. `view` is the one reference that does not count.
    pub(super) fn is_held(view: &Arc<View>) -> bool {
        Arc::strong_count(view) > 1 || Arc::strong_count(&view.lease) > 1
    }

    /// How many messages have a lower UID.
    fn below(&self, uid: u32) -> u32 {
        self.block_of(uid).map_or(self.len, |(before, block)| {
            before + block.fixed.uids.partition_point(|found| *found < uid) as u32
        })
    }

    /// The block that holds `uid` if any does, and the messages before it; `None`: all UIDs are lower.
    fn block_of(&self, uid: u32) -> Option<(u32, &Block)> {
        let node = self.nodes.get(self.nodes.partition_point(|node| node.last_uid < uid))?;
        let leaf = node.leaves.get(node.leaves.partition_point(|leaf| leaf.last_uid < uid))?;
        Some((node.before + leaf.before, &leaf.block))
    }

    fn at(&self, seq: u32) -> Option<(&Block, usize)> {
        let index = seq.checked_sub(1).filter(|index| *index < self.len)?;
        let node = self.nodes.get(self.nodes.partition_point(|node| node.before <= index).checked_sub(1)?)?;
        let inner = index - node.before;
        let leaf = node.leaves.get(node.leaves.partition_point(|l| l.before <= inner).checked_sub(1)?)?;
        Some((&leaf.block, (inner - leaf.before) as usize))
    }
}

/// A mailbox of a million is not printed.
impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("mailbox", &self.mailbox).field("len", &self.len).finish_non_exhaustive()
    }
}

impl Block {
    fn len(&self) -> usize {
        self.flags.len()
    }

    /// Some of its columns; the first of them has this sequence number.
    fn chunk(&self, first_seq: u32, range: Range<usize>) -> Chunk<'_> {
        Chunk {
            first_seq,
            uids: &self.fixed.uids[range.clone()],
            flags: &self.flags[range.clone()],
            modseqs: &self.modseqs[range.clone()],
            sizes: &self.fixed.sizes[range.clone()],
            dates: &self.fixed.dates[range],
        }
    }
}

/// See [`View::chunks_of`].
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    view: &'a View,
    node: usize,
    leaf: usize,
    /// Messages before the next one.
    from: u32,
    end: u32,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        if self.from >= self.end {
            return None;
        }
        let mut node = self.view.nodes.get(self.node)?;
        if self.leaf >= node.leaves.len() {
            (self.node, self.leaf) = (self.node + 1, 0);
            node = self.view.nodes.get(self.node)?;
        }
        let leaf = node.leaves.get(self.leaf)?;
        let before = node.before + leaf.before;
        let end = (before + leaf.block.len() as u32).min(self.end);
        let range = (self.from - before) as usize..(end - before) as usize;
        let first_seq = self.from + 1;
        (self.from, self.leaf) = (end, self.leaf + 1);
        Some(leaf.block.chunk(first_seq, range))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::account::{MailboxId, Uses};

    pub(in crate::account) fn mailbox() -> Mailbox {
        Mailbox {
            id: MailboxId(1),
            name: "INBOX".to_owned(),
            uid_validity: 1,
            uid_next: 1,
            modseq: 1,
            messages: 0,
            bytes: 0,
            unseen: 0,
            deleted: 0,
            deleted_bytes: 0,
            uses: Uses::default(),
            keywords: Arc::default(),
        }
    }

    pub(super) fn row(uid: u32) -> MessageRow {
        let flags = Flags(u64::from(uid % 3));
        MessageRow {
            uid,
            flags,
            modseq: u64::from(uid) + 7,
            size: u64::from(uid) * 2,
            received: -i64::from(uid),
        }
    }

    #[test]
    fn looks_are_those_of_a_list() {
        // UIDs with gaps; lengths at the borders of blocks and nodes.
        for len in [0u32, 1, 255, 256, 257, 16_384, 16_385, 40_000] {
            let rows: Vec<MessageRow> = (1..=len).map(|n| row(n * 3)).collect();
            let view = View::new(mailbox(), rows.clone());
            assert_eq!((view.len(), view.messages()), (len, rows.clone()));
            assert_eq!(view.last_uid(), len * 3);
            for seq in [0, 1, 2, 256, 257, 16_384, 16_385, len, len + 1] {
                let expected = seq.checked_sub(1).and_then(|at| rows.get(at as usize));
                assert_eq!(view.row(seq), expected.cloned(), "{seq} of {len}");
                assert_eq!(view.uid(seq), expected.map(|row| row.uid));
            }
            for uid in [0, 1, 2, 3, 4, 768, 769, 49_152, 49_155, len * 3, len * 3 + 1, u32::MAX] {
                let at = rows.binary_search_by_key(&uid, |row| row.uid).ok();
                assert_eq!(view.seq(uid), at.map(|at| at as u32 + 1), "{uid} of {len}");
                let below = rows.partition_point(|row| row.uid < uid) as u32;
                let to = rows.partition_point(|row| row.uid <= uid.saturating_add(900)) as u32;
                assert_eq!(view.seqs(uid, uid.saturating_add(900)), below + 1..to + 1, "{uid} of {len}");
            }
            assert_eq!(view.seqs(9, 3), 3.min(len + 1)..3.min(len + 1));
            for range in [0..3, 1..1, 5..900, 250..260, 16_300..16_500, 1..u32::MAX, 7..7] {
                let expected: Vec<_> =
                    (1u32..).zip(rows.clone()).filter(|(n, _)| range.contains(n)).collect();
                assert_eq!(view.rows(range.clone()).collect::<Vec<_>>(), expected, "{range:?} of {len}");
            }
        }
    }

    #[test]
    fn a_million_in_forty_octets_each() {
        let view = View::new(mailbox(), (1..=1_000_000).map(row).collect());
        let each = view.bytes() as f64 / 1e6;
        assert!(each <= 40.0, "{each}");
        // What is counted is what the columns have.
        let columns: usize = view
            .chunks()
            .map(|c| size_of_val(c.uids) + size_of_val(c.flags) * 2 + size_of_val(c.sizes) * 2)
            .sum();
        assert_eq!(columns as u64, MESSAGE_BYTES * 1_000_000);
    }
}
