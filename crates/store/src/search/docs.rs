//! Sets of the documents of one block, and where these are in a view.

use super::Bits;
use crate::account::View;

/// A set of documents, by their number within a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Docs {
    words: Vec<u64>,
}

impl Docs {
    pub(super) fn none(count: u32) -> Docs {
        Docs { words: vec![0; count.div_ceil(64) as usize] }
    }

    /// Puts one in; beyond the end: nothing.
    #[inline]
    pub(super) fn set(&mut self, doc: u32) {
        if let Some(word) = self.words.get_mut((doc / 64) as usize) {
            *word |= 1 << (doc % 64);
        }
    }

    /// Puts in those from `from` to before `end`.
    pub(super) fn set_range(&mut self, from: u32, end: u32) {
        let mut at = from;
        while at < end {
            let step = (64 - at % 64).min(end - at);
            if let Some(word) = self.words.get_mut((at / 64) as usize) {
                *word |= u64::MAX >> (64 - step) << (at % 64);
            }
            at += step;
        }
    }

    #[inline]
    pub(super) fn has(&self, doc: u32) -> bool {
        self.words.get((doc / 64) as usize).is_some_and(|word| word >> (doc % 64) & 1 == 1)
    }

    pub(super) fn and(&mut self, other: &Docs) {
        self.words.iter_mut().zip(&other.words).for_each(|(mine, theirs)| *mine &= theirs);
    }

    pub(super) fn or(&mut self, other: &Docs) {
        self.words.iter_mut().zip(&other.words).for_each(|(mine, theirs)| *mine |= theirs);
    }

    pub(super) fn without(&mut self, other: &Docs) {
        self.words.iter_mut().zip(&other.words).for_each(|(mine, theirs)| *mine &= !theirs);
    }

    /// Adds those of a bitmap, low bits first; what it has beyond the end belongs to none.
    pub(super) fn or_bitmap(&mut self, bitmap: &[u8]) {
        let mut chunks = bitmap.chunks_exact(8);
        let mut words = self.words.iter_mut();
        for (chunk, word) in chunks.by_ref().zip(words.by_ref()) {
            // A chunk has eight octets.
            *word |= u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        }
        if let (rest @ [_, ..], Some(word)) = (chunks.remainder(), words.next()) {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            *word |= u64::from_le_bytes(last);
        }
    }

    /// Holds all of `other`.
    pub(super) fn holds(&self, other: &Docs) -> bool {
        self.words.iter().zip(&other.words).all(|(mine, theirs)| theirs & !mine == 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }
}

/// Documents that follow each other in a block and in a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) doc: u32,
    pub(super) seq: u32,
    pub(super) len: u32,
}

/// UIDs as ascending ranges, each a first one and how many.
pub(super) type UidRanges = Vec<(u32, u32)>;

/// Adds a UID that is above all in `ranges`.
pub(super) fn push_uid(ranges: &mut UidRanges, uid: u32) {
    match ranges.last_mut() {
        Some((first, count)) if first.checked_add(*count) == Some(uid) => *count += 1,
        _ => ranges.push((uid, 1)),
    }
}

/// How many there are.
pub(super) fn count(ranges: &[(u32, u32)]) -> u32 {
    ranges.iter().fold(0u32, |sum, (_, count)| sum.saturating_add(*count))
}

/// Which of these UIDs, numbered from 0 in their order, are in the view, and where.
pub(super) fn runs(view: &View, ranges: &[(u32, u32)]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut doc = 0;
    for &(first, count) in ranges {
        let last = first.saturating_add(count.saturating_sub(1));
        let seqs = view.seqs(first, last);
        if seqs.len() == count as usize {
            push_run(&mut runs, Run { doc, seq: seqs.start, len: count });
        } else {
            for chunk in view.chunks_of(seqs) {
                for (seq, uid) in (chunk.first_seq..).zip(chunk.uids) {
                    push_run(&mut runs, Run { doc: doc + (uid - first), seq, len: 1 });
                }
            }
        }
        doc += count;
    }
    runs
}

fn push_run(runs: &mut Vec<Run>, next: Run) {
    match runs.last_mut() {
        Some(last) if last.doc + last.len == next.doc && last.seq + last.len == next.seq => {
            last.len += next.len;
        }
        _ if next.len > 0 => runs.push(next),
        _ => {}
    }
}

/// The documents of the messages in `bits`.
pub(super) fn to_docs(bits: &Bits, runs: &[Run], count: u32) -> Docs {
    let mut docs = Docs::none(count);
    for run in runs {
        or_bits(&bits.words, run.seq - 1, &mut docs.words, run.doc, run.len);
    }
    docs
}

/// Adds the messages of `docs` to `bits`.
pub(super) fn add_to_bits<'r>(docs: &Docs, runs: impl IntoIterator<Item = &'r Run>, bits: &mut Bits) {
    for run in runs {
        or_bits(&docs.words, run.doc, &mut bits.words, run.seq - 1, run.len);
    }
}

/// Ors `len` bits from `from` of one into the other from `to`, up to 64 at a time.
fn or_bits(source: &[u64], from: u32, target: &mut [u64], to: u32, len: u32) {
    let mut done = 0;
    while done < len {
        let (at, into) = (from + done, to + done);
        let step = (64 - at % 64).min(64 - into % 64).min(len - done);
        let (Some(word), Some(out)) = (source.get((at / 64) as usize), target.get_mut((into / 64) as usize))
        else {
            return;
        };
        let bits = word >> (at % 64) & (u64::MAX >> (64 - step));
        *out |= bits << (into % 64);
        done += step;
    }
}

/// The first from `from` on that is at least `least`, in an ascending list; a near one is found soonest.
pub(super) fn first_at_or_behind(ends: &[u32], from: usize, least: usize) -> usize {
    let rest = ends.get(from..).unwrap_or_default();
    let (mut low, mut step) = (0, 1);
    while rest.get(low + step - 1).is_some_and(|end| (*end as usize) < least) {
        low += step;
        step *= 2;
    }
    let within = &rest[low..(low + step).min(rest.len())];
    from + low + within.partition_point(|end| (*end as usize) < least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_move_between_blocks_and_views(
            set in proptest::collection::vec(any::<bool>(), 300), doc in 0u32..100, seq in 1u32..100, len in 1u32..200,
        ) {
            let run = Run { doc, seq, len };
            let mut bits = Bits::none(300);
            (1..=300).filter(|at| set[*at as usize - 1]).for_each(|at| bits.set(at));
            let docs = to_docs(&bits, &[run], 300);
            let mut back = Bits::none(300);
            add_to_bits(&docs, &[run], &mut back);
            for at in 1..=300 {
                prop_assert_eq!(back.has(at), bits.has(at) && (seq..seq + len).contains(&at));
            }
        }
    }

    #[test]
    fn uids_become_ranges() {
        let mut ranges = Vec::new();
        [3, 4, 5, 9, 11, 12].into_iter().for_each(|uid| push_uid(&mut ranges, uid));
        assert_eq!(ranges, [(3, 3), (9, 1), (11, 2)]);
        assert_eq!(count(&ranges), 6);
    }

    #[test]
    fn bitmaps_are_added() {
        let mut docs = Docs::none(75);
        docs.or_bitmap(&[1, 0, 0, 0, 0, 0, 0, 0x80, 5, 4]);
        let mut expected = Docs::none(75);
        [0, 63, 64, 66, 74].into_iter().for_each(|doc| expected.set(doc));
        assert_eq!(docs, expected);
        assert!(docs.holds(&expected) && !Docs::none(75).holds(&docs));
    }
}
