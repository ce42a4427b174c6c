//! The words of some documents, and which documents each is in.
//!
//! All words lie in one run of octets, so that one pass over it finds those that contain a pattern. Words
//! that many documents have come first: a pattern that is in nearly all documents is then mostly answered by them.
//! What must hold: a `Terms` is the same however it was made, from texts or from other `Terms`.

use super::docs::{Docs, first_at_or_behind};
use super::words::{SEPARATOR, words};
use crate::Error;
use crate::codec::{Put, Take};
use memchr::memmem::Finder;
use std::collections::{BinaryHeap, HashMap};

/// A word that at least one in so many documents has is a common one.
const COMMON: u32 = 16;
/// Octets of words, and of postings, at most.
pub(super) const TERMS_BYTES_MAX: usize = 64 << 20;
/// Marks, in the end of a word's postings, that they are a bitmap.
const BITMAP: u32 = 1 << 31;
/// Words between two looks at whether all that is wanted was found.
const LOOK_EVERY: u32 = 256;

/// See above.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    count: u32,
    /// A separator, then each word with one: the common ones ascending, then the others ascending.
    words: Vec<u8>,
    /// Where the separator behind each word is.
    ends: Vec<u32>,
    /// How many are common.
    common: u32,
    /// Document numbers: gaps as varints, or a bitmap.
    postings: Vec<u8>,
    /// Where the postings of each word end, with [`BITMAP`].
    posting_ends: Vec<u32>,
}

impl Terms {
    /// Documents.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Octets in memory.
    pub(super) fn bytes(&self) -> usize {
        self.words.len() + self.postings.len() + 4 * (self.ends.len() + self.posting_ends.len())
    }

    /// Octets of words and of postings, the larger of both.
    pub(super) fn extent(&self) -> usize {
        self.words.len().max(self.postings.len())
    }

    /// Documents with a word that matches `pattern`, in which a separator stands for the begin or end of a word.
    /// May end early, when all of `wanted` are found.
    pub(super) fn find(&self, pattern: &Finder<'_>, wanted: &Docs) -> Docs {
        let mut found = Docs::none(self.count);
        let len = pattern.needle().len();
        let (mut at, mut word, mut matched) = (0usize, 0usize, 0u32);
        while let Some(hit) = pattern.find(&self.words[at.min(self.words.len())..]) {
            let last = at + hit + len - 1;
            word = first_at_or_behind(&self.ends, word, last);
            let Some(&end) = self.ends.get(word) else { break };
            self.add(word, &mut found);
            matched += 1;
            if matched % LOOK_EVERY == 0 && found.holds(wanted) {
                break;
            }
            // The separator may begin the next match.
            at = end as usize;
            word += 1;
        }
        found
    }

    fn add(&self, word: usize, into: &mut Docs) {
        let (bytes, bitmap) = self.posting(word);
        if bitmap {
            into.or_bitmap(bytes);
        } else {
            gaps(bytes, |doc| into.set(doc));
        }
    }

    fn posting(&self, word: usize) -> (&[u8], bool) {
        let from = word.checked_sub(1).map_or(0, |before| self.posting_ends[before] & !BITMAP);
        let end = self.posting_ends[word];
        (&self.postings[from as usize..(end & !BITMAP) as usize], end & BITMAP != 0)
    }

    fn word(&self, word: usize) -> &[u8] {
        let from = word.checked_sub(1).map_or(1, |before| self.ends[before] as usize + 1);
        &self.words[from..self.ends[word] as usize]
    }

    /// One `Terms` of several. `numbers` gives, for each of them, the new number of each of its documents, ascending over
    /// all, or [`GONE`]. `None`: it would be too large.
    pub(super) fn merge(parts: &[(&Terms, &[u32])], count: u32) -> Option<Terms> {
        let mut heap: BinaryHeap<std::cmp::Reverse<Cursor<'_>>> = BinaryHeap::new();
        for (part, (terms, _)) in parts.iter().enumerate() {
            let (common, all) = (terms.common as usize, terms.ends.len());
            for (at, end) in [(0, common), (common, all)] {
                if at < end {
                    heap.push(std::cmp::Reverse(Cursor { word: terms.word(at), part, at, end }));
                }
            }
        }
        let mut out = Assembler::new(count);
        let mut docs: Vec<u32> = Vec::new();
        let mut current: &[u8] = &[];
        while let Some(std::cmp::Reverse(mut cursor)) = heap.pop() {
            if cursor.word != current {
                out.push(current, &docs)?;
                docs.clear();
                current = cursor.word;
            }
            let (terms, numbers) = parts[cursor.part];
            terms.renumbered(cursor.at, numbers, &mut docs);
            cursor.at += 1;
            if cursor.at < cursor.end {
                cursor.word = terms.word(cursor.at);
                heap.push(std::cmp::Reverse(cursor));
            }
        }
        out.push(current, &docs)?;
        Some(out.finish())
    }

    fn renumbered(&self, word: usize, numbers: &[u32], docs: &mut Vec<u32>) {
        let mut push = |doc: u32| docs.extend(numbers.get(doc as usize).filter(|number| **number != GONE));
        let (bytes, bitmap) = self.posting(word);
        if !bitmap {
            return gaps(bytes, push);
        }
        for (octet, base) in bytes.iter().zip((0u32..).step_by(8)) {
            let mut octet = *octet;
            while octet != 0 {
                push(base + octet.trailing_zeros());
                octet &= octet - 1;
            }
        }
    }

    /// As it is stored: each word by what it shares with the one before, then all else; compressed.
    pub(super) fn encode(&self) -> Result<Vec<u8>, Error> {
        let (mut shape, mut octets) = (Put::default(), Vec::new());
        shape.num(self.count.into()).num(self.ends.len() as u64).num(self.common.into());
        let mut before: &[u8] = &[];
        for at in 0..self.ends.len() {
            let word = self.word(at);
            let shared = word.iter().zip(before).take_while(|(a, b)| a == b).count();
            shape.num(shared as u64).num((word.len() - shared) as u64);
            octets.extend_from_slice(&word[shared..]);
            before = word;
        }
        for at in 0..self.ends.len() {
            let (bytes, bitmap) = self.posting(at);
            shape.num((bytes.len() as u64) << 1 | u64::from(bitmap));
        }
        let raw = Put::default().bytes(&shape.done()).bytes(&octets).bytes(&self.postings).done();
        let mut out = Put::default().num(raw.len() as u64).done();
        out.extend(zstd::bulk::compress(&raw, LEVEL)?);
        Ok(out)
    }

    /// Damaged bytes give an error, or at worst `Terms` that answer wrongly: a checksum is the caller's.
    pub(super) fn decode(bytes: &[u8]) -> Result<Terms, Error> {
        let mut t = Take::unversioned(WHAT, bytes);
        let raw = usize::try_from(t.num()?).ok().filter(|raw| *raw <= 3 * TERMS_BYTES_MAX).ok_or_else(bad)?;
        let raw = zstd::bulk::decompress(t.rest(), raw).map_err(|_| bad())?;
        let mut t = Take::unversioned(WHAT, &raw);
        let mut shape = Take::unversioned(WHAT, t.bytes()?);
        let (mut octets, postings) = (t.bytes()?, t.bytes()?.to_vec());
        t.end()?;
        let (count, words, common) = (shape.num32()?, shape.num32()?, shape.num32()?);
        // A word has two numbers in the shape at least.
        if common > words || words as usize > raw.len() || postings.len() > TERMS_BYTES_MAX {
            return Err(bad());
        }
        let mut terms = Terms { count, common, postings, words: vec![SEPARATOR], ..Terms::default() };
        terms.ends.reserve_exact(words as usize);
        terms.posting_ends.reserve_exact(words as usize);
        let mut before = 1..1usize;
        for _ in 0..words {
            let (shared, fresh) = (shape.num32()? as usize, shape.num32()? as usize);
            let new = octets.get(..fresh).filter(|_| shared <= before.len()).ok_or_else(bad)?;
            octets = &octets[fresh..];
            let from = terms.words.len();
            if from + shared + fresh >= TERMS_BYTES_MAX {
                return Err(bad());
            }
            terms.words.extend_from_within(before.start..before.start + shared);
            terms.words.extend_from_slice(new);
            before = from..terms.words.len();
            terms.ends.push(terms.words.len() as u32);
            terms.words.push(SEPARATOR);
        }
        let mut end = 0u32;
        for _ in 0..words {
            let number = shape.num32()?;
            end = end
                .checked_add(number >> 1)
                .filter(|end| *end as usize <= terms.postings.len())
                .ok_or_else(bad)?;
            terms.posting_ends.push(end | if number & 1 == 1 { BITMAP } else { 0 });
        }
        shape.end()?;
        Ok(terms)
    }
}

/// A document that is not taken along by [`Terms::merge`].
pub(super) const GONE: u32 = u32::MAX;
/// Of compression: its cost is far below that of decoding the texts.
const LEVEL: i32 = 3;
const WHAT: &str = "words of a search block";

fn bad() -> Error {
    Error::Damaged(format!("{WHAT}: not as they were written"))
}

/// The document numbers of a list of gaps.
#[inline]
fn gaps(bytes: &[u8], mut doc: impl FnMut(u32)) {
    let (mut next, mut gap, mut shift) = (0u32, 0u32, 0);
    for octet in bytes {
        gap |= u32::from(octet & 0x7f) << shift;
        if octet & 0x80 != 0 {
            shift = (shift + 7).min(28);
            continue;
        }
        next = next.wrapping_add(gap);
        doc(next);
        next = next.wrapping_add(1);
        (gap, shift) = (0, 0);
    }
}

/// Where a merge is in one ascending part of a `Terms`. Ordered by word, then by part, so that documents stay ascending.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Cursor<'a> {
    word: &'a [u8],
    part: usize,
    at: usize,
    end: usize,
}

/// Makes `Terms` of words that come in ascending order.
struct Assembler {
    count: u32,
    common: Half,
    rare: Half,
    scratch: Vec<u8>,
}

#[derive(Default)]
struct Half {
    words: Vec<u8>,
    ends: Vec<u32>,
    postings: Vec<u8>,
    posting_ends: Vec<u32>,
}

impl Assembler {
    fn new(count: u32) -> Assembler {
        Assembler { count, common: Half::default(), rare: Half::default(), scratch: Vec::new() }
    }

    /// `None`: too much. A word in no document is left out.
    fn push(&mut self, word: &[u8], docs: &[u32]) -> Option<()> {
        if docs.is_empty() || word.is_empty() {
            return Some(());
        }
        self.scratch.clear();
        let mut next = 0;
        for &doc in docs {
            let mut gap = doc - next;
            while gap >= 0x80 {
                self.scratch.push(gap as u8 | 0x80);
                gap >>= 7;
            }
            self.scratch.push(gap as u8);
            next = doc + 1;
        }
        let bitmap_bytes = self.count.div_ceil(8) as usize;
        let bitmap = bitmap_bytes < self.scratch.len();
        let common = docs.len() as u64 * u64::from(COMMON) >= u64::from(self.count);
        let half = if common { &mut self.common } else { &mut self.rare };
        half.words.extend_from_slice(word);
        half.ends.push(half.words.len() as u32);
        half.words.push(SEPARATOR);
        if bitmap {
            let from = half.postings.len();
            half.postings.resize(from + bitmap_bytes, 0);
            docs.iter().for_each(|doc| half.postings[from + (doc / 8) as usize] |= 1 << (doc % 8));
        } else {
            half.postings.extend_from_slice(&self.scratch);
        }
        half.posting_ends.push(half.postings.len() as u32 | if bitmap { BITMAP } else { 0 });
        let words = self.common.words.len() + self.rare.words.len();
        let postings = self.common.postings.len() + self.rare.postings.len();
        (words.max(postings) < TERMS_BYTES_MAX).then_some(())
    }

    fn finish(self) -> Terms {
        let (common, rare) = (self.common, self.rare);
        let words_before = 1 + common.words.len() as u32;
        let postings_before = common.postings.len() as u32;
        let ends = common.ends.iter().map(|end| end + 1);
        let ends = ends.chain(rare.ends.iter().map(|end| end + words_before)).collect();
        let rare_postings = rare.posting_ends.iter().map(|end| end + postings_before);
        Terms {
            count: self.count,
            common: common.ends.len() as u32,
            words: [&[SEPARATOR][..], &common.words, &rare.words].concat(),
            ends,
            postings: [common.postings, rare.postings].concat(),
            posting_ends: common.posting_ends.iter().copied().chain(rare_postings).collect(),
        }
    }
}

/// Gathers the words of documents.
#[derive(Debug, Default)]
pub(super) struct Builder {
    ids: HashMap<Box<[u8]>, u32>,
    /// Of each word: the last document that had it, plus one; and how many had it.
    seen: Vec<(u32, u32)>,
    /// Word and document.
    pairs: Vec<(u32, u32)>,
    word_bytes: usize,
    count: u32,
}

impl Builder {
    /// A new document begins: what is added from now on is in it.
    pub(super) fn begin(&mut self) {
        self.count += 1;
    }

    /// A folded text of the document. Returns the octets of words that the document did not have yet.
    pub(super) fn add(&mut self, text: &[u8]) -> usize {
        let mut fresh = 0;
        words(text, |word| {
            let id = match self.ids.get(word) {
                Some(id) => *id,
                None => {
                    let id = self.seen.len() as u32;
                    self.ids.insert(word.into(), id);
                    self.seen.push((0, 0));
                    self.word_bytes += word.len() + 1;
                    id
                }
            };
            let (last, many) = &mut self.seen[id as usize];
            if *last != self.count {
                (*last, *many) = (self.count, *many + 1);
                self.pairs.push((id, self.count - 1));
                fresh += word.len();
            }
        });
        fresh
    }

    /// Octets that it holds, about.
    pub(super) fn bytes(&self) -> usize {
        self.word_bytes + 8 * self.pairs.len() + 64 * self.seen.len()
    }

    /// `None`: too much.
    pub(super) fn finish(self) -> Option<Terms> {
        // Sorted by word with a pass over the pairs: documents stay ascending within a word.
        let mut starts = Vec::with_capacity(self.seen.len() + 1);
        let mut sum = 0;
        for (_, many) in &self.seen {
            starts.push(sum);
            sum += *many as usize;
        }
        starts.push(sum);
        let mut docs = vec![0u32; self.pairs.len()];
        let mut next = starts.clone();
        for (id, doc) in self.pairs {
            docs[next[id as usize]] = doc;
            next[id as usize] += 1;
        }
        let mut words: Vec<(&[u8], u32)> = self.ids.iter().map(|(word, id)| (&**word, *id)).collect();
        words.sort_unstable();
        let mut out = Assembler::new(self.count);
        for (word, id) in words {
            out.push(word, &docs[starts[id as usize]..starts[id as usize + 1]])?;
        }
        Some(out.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn build(texts: &[String]) -> Terms {
        let mut builder = Builder::default();
        for text in texts {
            builder.begin();
            builder.add(text.as_bytes());
        }
        builder.finish().unwrap()
    }

    fn all(count: u32) -> Docs {
        let mut docs = Docs::none(count);
        (0..count).for_each(|doc| docs.set(doc));
        docs
    }

    fn holding(texts: &[String], needle: &str) -> Docs {
        let mut docs = Docs::none(texts.len() as u32);
        for (doc, _) in (0..).zip(texts).filter(|(_, text)| text.contains(needle)) {
            docs.set(doc);
        }
        docs
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[abc]{0,3}( [abc]{1,4}){0,12}", 1..60)
    }

    proptest! {
        #[test]
        fn it_finds_what_the_texts_hold(texts in texts(), needle in "[abc]{1,4}") {
            let terms = build(&texts);
            let found = terms.find(&Finder::new(needle.as_bytes()), &all(terms.count()));
            prop_assert_eq!(found, holding(&texts, &needle));
        }

        #[test]
        fn separators_stand_for_the_ends_of_words(texts in texts(), word in "[abc]{1,3}") {
            let terms = build(&texts);
            let pattern = [&[SEPARATOR], word.as_bytes(), &[SEPARATOR]].concat();
            let found = terms.find(&Finder::new(&pattern), &all(terms.count()));
            let padded: Vec<String> = texts.iter().map(|text| format!(" {text} ")).collect();
            prop_assert_eq!(found, holding(&padded, &format!(" {word} ")));
        }

        #[test]
        fn a_stored_one_is_the_same(texts in texts()) {
            let terms = build(&texts);
            prop_assert_eq!(Terms::decode(&terms.encode().unwrap()).unwrap(), terms);
        }

        #[test]
        fn a_merged_one_is_as_if_made_from_the_texts_that_are_left(
            texts in texts(), cut in 0usize..60, gone in proptest::collection::vec(any::<bool>(), 60),
        ) {
            let (first, second) = texts.split_at(cut.min(texts.len()));
            let mut left = Vec::new();
            let mut number = |(at, text): (usize, &String)| {
                if gone[at] {
                    return GONE;
                }
                left.push(text.clone());
                left.len() as u32 - 1
            };
            let numbers: Vec<u32> = texts.iter().enumerate().map(&mut number).collect();
            let parts = [build(first), build(second)];
            let (a, b) = numbers.split_at(first.len());
            let merged = Terms::merge(&[(&parts[0], a), (&parts[1], b)], left.len() as u32).unwrap();
            prop_assert_eq!(merged, build(&left));
        }

        #[test]
        fn damaged_ones_do_not_panic(texts in texts(), at in 0usize..4000, octet: u8, cut in 0usize..4000) {
            let mut bytes = build(&texts).encode().unwrap();
            let at = at % bytes.len();
            bytes[at] = octet;
            bytes.truncate(cut.max(1));
            if let Ok(terms) = Terms::decode(&bytes) {
                terms.find(&Finder::new(b"a"), &all(terms.count()));
            }
        }
    }
}
