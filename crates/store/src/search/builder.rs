//! The words of some documents while they are gathered, and searches in them.
//!
//! All words lie in one run of octets in the order of their first appearance, as in `terms`; for each document there are the numbers
//! of its words. Nothing is sorted until a block is made of it. Most words of a text come in it more than once, and the tables of all
//! mailboxes together are larger than what processors keep at hand: so a text's words are made [`Distinct`] first, in a table that is
//! used again for each, and only these are looked up.

use super::distinct::{self, Distinct, Word};
use super::docs::{Docs, first_at_or_behind};
use super::terms::{Assembler, Terms};
use super::words::SEPARATOR;
use memchr::memmem::Finder;

/// See above.
#[derive(Debug)]
pub(super) struct Builder {
    /// A separator, then each word with one.
    words: Vec<u8>,
    /// Where the separator behind each word is.
    ends: Vec<u32>,
    /// At the place that the low bits of its hash name, or behind: a word's number plus one in so many bits, the others of its hash
    /// above them. A power of two, at most three quarters full.
    table: Vec<u32>,
    /// The words of each document, and where they begin: ascending numbers as gaps, less than 128 in an octet.
    docs: Vec<u8>,
    starts: Vec<u32>,
}

/// What looking up takes, used again for each text.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Bit `number` of words that were known.
    known: Vec<u64>,
}

/// Places at the beginning.
const TABLE_MIN: usize = 64;
/// Words that are looked up together, so that what memory has to bring for them is under way at the same time.
const TOGETHER: usize = 16;
/// Lists grow by this part of their length: there are many, and what they hold for later is room that others want.
const GROWTH: usize = 4;

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            words: vec![SEPARATOR],
            ends: Vec::new(),
            table: vec![0; TABLE_MIN],
            docs: Vec::new(),
            starts: Vec::new(),
        }
    }
}

impl Builder {
    /// Adds a document with these words of a text.
    pub(super) fn add(&mut self, text: &[u8], distinct: &Distinct, room: &mut Room) {
        grow(&mut self.starts, 1);
        self.starts.push(self.docs.len() as u32);
        let fresh = self.ends.len() as u32;
        room.known.resize(self.ends.len().div_ceil(64), 0);
        for some in distinct.words().chunks(TOGETHER) {
            let spans = self.spans(some);
            for (word, (id, from, end)) in some.iter().zip(spans) {
                let found = match self.words.get(from as usize..end as usize) {
                    Some(held) if word.is(held, text) => Some(id),
                    _ => self.id(word.of(text), word.hash),
                };
                if let Some(id) = found {
                    room.known[(id / 64) as usize] |= 1 << (id % 64);
                }
            }
        }
        grow(&mut self.docs, distinct.words().len() * 2);
        let mut next = 0;
        for (at, known) in room.known.iter_mut().enumerate() {
            let mut known = std::mem::take(known);
            while known != 0 {
                let id = at as u32 * 64 + known.trailing_zeros();
                known &= known - 1;
                put_gap(&mut self.docs, id - next);
                next = id + 1;
            }
        }
        for id in fresh..self.ends.len() as u32 {
            put_gap(&mut self.docs, id - next);
            next = id + 1;
        }
    }

    /// Documents.
    pub(super) fn count(&self) -> u32 {
        self.starts.len() as u32
    }

    /// Octets in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity()
            + self.docs.capacity()
            + 4 * (self.ends.capacity() + self.table.capacity() + self.starts.capacity())
    }

    /// Documents of `wanted` with a word that matches `pattern`, in which a separator stands for the begin or end of a word.
    pub(super) fn find(&self, pattern: &Finder<'_>, wanted: &Docs) -> Docs {
        let mut found = Docs::none(self.count());
        let mut matched = vec![0u64; self.ends.len().div_ceil(64)];
        let (mut at, mut word, mut any) = (0usize, 0usize, false);
        while let Some(hit) = self.words.get(at..).and_then(|rest| pattern.find(rest)) {
            word = first_at_or_behind(&self.ends, word, at + hit + pattern.needle().len() - 1);
            let Some(&end) = self.ends.get(word) else { break };
            matched[word / 64] |= 1 << (word % 64);
            any = true;
            // The separator may begin the next match.
            at = end as usize;
            word += 1;
        }
        if any {
            let matches = |id: u32| matched[(id / 64) as usize] >> (id % 64) & 1 == 1;
            for doc in (0..self.count()).filter(|doc| wanted.has(*doc)) {
                if self.document(doc).any(matches) {
                    found.set(doc);
                }
            }
        }
        found
    }

    /// `None`: too much.
    pub(super) fn finish(&self) -> Option<Terms> {
        // By word with a pass over the documents: these stay ascending within a word.
        let mut starts = vec![0u32; self.ends.len() + 1];
        (0..self.count()).for_each(|doc| self.document(doc).for_each(|id| starts[id as usize + 1] += 1));
        let mut sum = 0;
        starts.iter_mut().for_each(|start| {
            sum += *start;
            *start = sum;
        });
        let (mut postings, mut next) = (vec![0u32; sum as usize], starts.clone());
        for doc in 0..self.count() {
            for id in self.document(doc) {
                let at = &mut next[id as usize];
                postings[*at as usize] = doc;
                *at += 1;
            }
        }
        let mut sorted: Vec<(u64, u32)> =
            (0..self.ends.len() as u32).map(|id| (beginning(self.word(id)), id)).collect();
        sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.word(a.1).cmp(self.word(b.1))));
        let mut out = Assembler::new(self.count());
        for (_, id) in sorted {
            let of = starts[id as usize] as usize..starts[id as usize + 1] as usize;
            out.push(self.word(id), &postings[of])?;
        }
        Some(out.finish())
    }

    /// The numbers of a document's words.
    fn document(&self, doc: u32) -> Gaps<'_> {
        let from = self.starts[doc as usize] as usize;
        let end = self.starts.get(doc as usize + 1).map_or(self.docs.len(), |end| *end as usize);
        Gaps { octets: self.docs[from..end].iter(), next: 0 }
    }

    #[inline]
    fn word(&self, id: u32) -> &[u8] {
        let from = id.checked_sub(1).map_or(0, |before| self.ends[before as usize]) + 1;
        &self.words[from as usize..self.ends[id as usize] as usize]
    }

    /// What each of some words most likely is: its number, and where its octets lie.
    #[inline]
    fn spans(&self, words: &[Word]) -> [(u32, u32, u32); TOGETHER] {
        let (mut places, mut spans) = ([0; TOGETHER], [(0, 0, 0); TOGETHER]);
        let mask = self.table.len() as u32 - 1;
        for (place, word) in places.iter_mut().zip(words) {
            *place = self.table[(word.hash & mask) as usize];
        }
        for (span, (place, word)) in spans.iter_mut().zip(places.iter().zip(words)) {
            if let Some(id) = (place & mask).checked_sub(1)
                && place & !mask == word.hash & !mask
            {
                let from = id.checked_sub(1).map_or(0, |before| self.ends[before as usize]) + 1;
                *span = (id, from, self.ends[id as usize]);
            }
        }
        spans
    }

    /// The number of a word; `None` if it gets a new one now.
    fn id(&mut self, word: &[u8], hash: u32) -> Option<u32> {
        let mask = self.table.len() as u32 - 1;
        let mut at = (hash & mask) as usize;
        while let Some(id) = (self.table[at] & mask).checked_sub(1) {
            if self.table[at] & !mask == hash & !mask && self.word(id) == word {
                return Some(id);
            }
            at = (at + 1) & mask as usize;
        }
        grow(&mut self.words, word.len() + 1);
        self.words.extend_from_slice(word);
        grow(&mut self.ends, 1);
        self.ends.push(self.words.len() as u32);
        self.words.push(SEPARATOR);
        // The number plus one is within the mask, for the table is not full.
        self.table[at] = hash & !mask | self.ends.len() as u32;
        if self.ends.len() * 4 > self.table.len() * 3 {
            self.grow_table();
        }
        None
    }

    fn grow_table(&mut self) {
        let mask = self.table.len() as u32 * 2 - 1;
        let mut table = vec![0; mask as usize + 1];
        let mut from = 1;
        for (id, end) in (1..).zip(&self.ends) {
            let hash = distinct::hash(&self.words[from..*end as usize]);
            from = *end as usize + 1;
            let mut at = (hash & mask) as usize;
            while table[at] != 0 {
                at = (at + 1) & mask as usize;
            }
            table[at] = hash & !mask | id;
        }
        self.table = table;
    }
}

/// Reads what [`put_gap`] wrote.
struct Gaps<'a> {
    octets: std::slice::Iter<'a, u8>,
    next: u32,
}

impl Iterator for Gaps<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let mut octet = *self.octets.next()?;
        let (mut gap, mut shift) = (u32::from(octet & 0x7f), 0);
        while octet >= 0x80 {
            octet = *self.octets.next()?;
            shift += 7;
            gap |= u32::from(octet & 0x7f) << shift;
        }
        let id = self.next + gap;
        self.next = id + 1;
        Some(id)
    }
}

#[inline]
fn put_gap(docs: &mut Vec<u8>, mut gap: u32) {
    while gap >= 0x80 {
        docs.push(gap as u8 | 0x80);
        gap >>= 7;
    }
    docs.push(gap as u8);
}

/// Makes room for so many more.
#[inline]
fn grow<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more.max(list.len() / GROWTH));
    }
}

/// Sorts as the word does, as far as it goes.
fn beginning(word: &[u8]) -> u64 {
    let mut first = [0; 8];
    let len = word.len().min(8);
    first[..len].copy_from_slice(&word[..len]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Known words and new ones, near numbers and far ones, while the table grows.
        #[test]
        fn each_document_has_its_words(
            texts in proptest::collection::vec(proptest::collection::vec((0u32..40_000, 1u32..200), 0..6), 1..12),
        ) {
            let (mut builder, mut room, mut distinct) = (Builder::default(), Room::default(), Distinct::default());
            let mut expected: Vec<BTreeSet<String>> = Vec::new();
            for runs in &texts {
                let words = runs.iter().flat_map(|(from, many)| *from..from + many);
                let words: Vec<String> = words.map(|n| format!("w{n}{}", "x".repeat(n as usize % 40))).collect();
                let text = words.join(" ");
                prop_assert!(distinct.take(text.as_bytes(), &mut text.len()));
                builder.add(text.as_bytes(), &distinct, &mut room);
                expected.push(words.into_iter().collect());
            }
            prop_assert_eq!(builder.count() as usize, expected.len());
            for (doc, expected) in (0..).zip(&expected) {
                let words: Vec<String> =
                    builder.document(doc).map(|id| String::from_utf8_lossy(builder.word(id)).into_owned()).collect();
                prop_assert_eq!(words.len(), expected.len(), "no word comes twice");
                prop_assert_eq!(&words.into_iter().collect::<BTreeSet<_>>(), expected);
            }
            let all: BTreeSet<&String> = expected.iter().flatten().collect();
            prop_assert_eq!(builder.ends.len(), all.len(), "each word has one number");
        }
    }
}
