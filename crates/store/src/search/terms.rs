//! The words of some documents, and which documents each is in.
//!
//! All words lie in one run of octets, so that one pass over it finds those that contain a pattern. Words
//! that many documents have come first: a pattern that is in nearly all documents is then mostly answered by them.
//! What must hold: a `Terms` is the same however it was made, from texts or from other `Terms`.

use super::docs::{Docs, first_at_or_behind};
use super::postings::{self, FORM_MAX, Form, List, PADDING};
use super::words::{SEPARATOR, WORD_BYTES_MAX};
use crate::Error;
use crate::codec::{Put, Take};
use memchr::memmem::Finder;
use std::collections::BinaryHeap;

/// A word that at least one in so many documents has is a common one.
const COMMON: u32 = 16;
/// Octets of words, and of postings, at most.
pub(super) const TERMS_BYTES_MAX: usize = 64 << 20;
/// After how much work it is looked whether all that is wanted was found: words, and documents of them.
const LOOK_EVERY: usize = 4096;
const WORD_WORK: usize = 16;

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
    /// The lists of documents, and padding.
    postings: Vec<u8>,
    /// Of each word.
    lists: Vec<Place>,
}

/// Where a list ends, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    end: u32,
    /// How many documents, and in the low five bits the form.
    many_form: u32,
}

impl Place {
    fn new(end: usize, many: u32, form: Form) -> Place {
        Place { end: end as u32, many_form: many << 5 | u32::from(form) }
    }

    fn many(self) -> u32 {
        self.many_form >> 5
    }

    fn form(self) -> Form {
        (self.many_form & 31) as Form
    }
}

impl Terms {
    /// Documents.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Octets in memory.
    pub(super) fn bytes(&self) -> usize {
        self.words.len() + self.postings.len() + 4 * self.ends.len() + 8 * self.lists.len()
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
        let (mut at, mut word, mut work) = (0usize, 0usize, 0usize);
        while let Some(hit) = pattern.find(&self.words[at.min(self.words.len())..]) {
            let last = at + hit + len - 1;
            word = first_at_or_behind(&self.ends, word, last);
            let Some(&end) = self.ends.get(word) else { break };
            let list = self.list(word);
            list.add_to(&mut found);
            work += WORD_WORK + list.work();
            if work >= LOOK_EVERY {
                work = 0;
                if found.holds(wanted) {
                    break;
                }
            }
            // The separator may begin the next match.
            at = end as usize;
            word += 1;
        }
        found
    }

    fn list(&self, word: usize) -> List<'_> {
        let from = word.checked_sub(1).map_or(0, |before| self.lists[before].end as usize);
        let place = self.lists[word];
        List {
            octets: &self.postings,
            from,
            end: place.end as usize,
            form: place.form(),
            many: place.many(),
            count: self.count,
        }
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
        while let Some(mut top) = heap.peek_mut() {
            let cursor = &mut top.0;
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
            } else {
                std::collections::binary_heap::PeekMut::pop(top);
            }
        }
        out.push(current, &docs)?;
        Some(out.finish())
    }

    fn renumbered(&self, word: usize, numbers: &[u32], docs: &mut Vec<u32>) {
        self.list(word).each(|doc| docs.extend(numbers.get(doc as usize).filter(|number| **number != GONE)));
    }

    /// As it is stored, one kind of number behind the other: each word by what it shares with the one before, the lists; compressed.
    pub(super) fn encode(&self) -> Result<Vec<u8>, Error> {
        let (mut shared, mut fresh, mut octets) = (Vec::new(), Vec::new(), Vec::new());
        let (mut many, mut forms, mut sizes) = (Put::default(), Vec::new(), Put::default());
        let mut before: &[u8] = &[];
        for at in 0..self.ends.len() {
            let (word, list) = (self.word(at), self.list(at));
            let same = word.iter().zip(before).take_while(|(a, b)| a == b).count();
            // Words have less than 256 octets.
            shared.push(same as u8);
            fresh.push((word.len() - same) as u8);
            octets.extend_from_slice(&word[same..]);
            before = word;
            many.num(list.many.into());
            if postings::single_bytes(list.many).is_none() {
                forms.push(list.form);
                sizes.num((list.end - list.from) as u64);
            }
        }
        let mut raw = Put::default();
        raw.num(self.count.into()).num(self.ends.len() as u64).num(self.common.into());
        raw.raw(&shared).raw(&fresh).bytes(&octets).bytes(&many.done()).bytes(&forms).bytes(&sizes.done());
        let raw = raw.bytes(&self.postings[..self.postings.len() - PADDING.min(self.postings.len())]).done();
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
        let (count, words, common) = (t.num32()?, t.num32()?, t.num32()?);
        let words = words as usize;
        if common as usize > words || words > raw.len() || count > postings::DOCS_MAX {
            return Err(bad());
        }
        let (shared, fresh, octets) = (t.raw(words)?, t.raw(words)?, t.bytes()?);
        let mut many = Take::unversioned(WHAT, t.bytes()?);
        let (mut forms, mut sizes) = (t.bytes()?.iter(), Take::unversioned(WHAT, t.bytes()?));
        let lists = t.bytes()?;
        t.end()?;
        if lists.len() > TERMS_BYTES_MAX {
            return Err(bad());
        }
        let mut terms =
            Terms { count, common, postings: [lists, &[0; PADDING]].concat(), ..Terms::default() };
        terms.put_words(shared, fresh, octets)?;
        terms.lists.reserve_exact(words);
        let mut end = 0usize;
        for _ in 0..words {
            let many = many.num32()?;
            let (size, form) = match postings::single_bytes(many) {
                Some(size) => (size, 0),
                None => (sizes.num32()? as usize, *forms.next().ok_or_else(bad)?),
            };
            end += size;
            if end > lists.len() || many > count || form > FORM_MAX {
                return Err(bad());
            }
            terms.lists.push(Place::new(end, many, form));
        }
        Ok(terms)
    }

    /// Takes the words of a stored one.
    fn put_words(&mut self, shared: &[u8], fresh: &[u8], mut octets: &[u8]) -> Result<(), Error> {
        self.words.push(SEPARATOR);
        self.ends.reserve_exact(shared.len());
        let mut before = 1..1usize;
        for (shared, fresh) in shared.iter().zip(fresh) {
            let (shared, fresh) = (usize::from(*shared), usize::from(*fresh));
            let new = octets.get(..fresh).filter(|_| shared <= before.len()).ok_or_else(bad)?;
            octets = &octets[fresh..];
            let from = self.words.len();
            if from + shared + fresh >= TERMS_BYTES_MAX {
                return Err(bad());
            }
            self.words.extend_from_within(before.start..before.start + shared);
            self.words.extend_from_slice(new);
            before = from..self.words.len();
            self.ends.push(self.words.len() as u32);
            self.words.push(SEPARATOR);
        }
        Ok(())
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

/// Where a merge is in one ascending part of a `Terms`. Ordered by word, then by part, so that documents stay ascending.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Cursor<'a> {
    word: &'a [u8],
    part: usize,
    at: usize,
    end: usize,
}

/// Makes `Terms` of words that come in ascending order.
pub(super) struct Assembler {
    count: u32,
    common: Half,
    rare: Half,
}

#[derive(Default)]
struct Half {
    words: Vec<u8>,
    ends: Vec<u32>,
    postings: Vec<u8>,
    lists: Vec<Place>,
}

impl Assembler {
    pub(super) fn new(count: u32) -> Assembler {
        Assembler { count, common: Half::default(), rare: Half::default() }
    }

    /// `None`: too much. A word in no document is left out.
    pub(super) fn push(&mut self, word: &[u8], docs: &[u32]) -> Option<()> {
        if docs.is_empty() || word.is_empty() {
            return Some(());
        }
        if word.len() > WORD_BYTES_MAX || self.count > postings::DOCS_MAX {
            return None;
        }
        let common = docs.len() as u64 * u64::from(COMMON) >= u64::from(self.count);
        let half = if common { &mut self.common } else { &mut self.rare };
        half.words.extend_from_slice(word);
        half.ends.push(half.words.len() as u32);
        half.words.push(SEPARATOR);
        let form = postings::write(docs, self.count, &mut half.postings);
        half.lists.push(Place::new(half.postings.len(), docs.len() as u32, form));
        let words = self.common.words.len() + self.rare.words.len();
        let postings = self.common.postings.len() + self.rare.postings.len();
        (words.max(postings) < TERMS_BYTES_MAX).then_some(())
    }

    pub(super) fn finish(self) -> Terms {
        let (common, rare) = (self.common, self.rare);
        let words_before = 1 + common.words.len() as u32;
        let postings_before = common.postings.len() as u32;
        let ends = common.ends.iter().map(|end| end + 1);
        let ends = ends.chain(rare.ends.iter().map(|end| end + words_before)).collect();
        let rare_lists = rare.lists.iter().map(|list| Place { end: list.end + postings_before, ..*list });
        Terms {
            count: self.count,
            common: common.ends.len() as u32,
            words: [&[SEPARATOR][..], &common.words, &rare.words].concat(),
            ends,
            postings: [&common.postings[..], &rare.postings, &[0; PADDING]].concat(),
            lists: common.lists.iter().copied().chain(rare_lists).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::builder::{Builder, Room};
    use crate::search::distinct::Distinct;
    use proptest::prelude::*;

    fn build(texts: &[String]) -> Terms {
        gather(texts).finish().unwrap()
    }

    fn gather(texts: &[String]) -> Builder {
        let (mut builder, mut room, mut distinct) =
            (Builder::default(), Room::default(), Distinct::default());
        for text in texts {
            assert!(distinct.take(text.as_bytes(), &mut usize::MAX.clone()));
            builder.add(text.as_bytes(), &distinct, &mut room);
        }
        builder
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
            prop_assert_eq!(&found, &holding(&texts, &needle));
            let found = gather(&texts).find(&Finder::new(needle.as_bytes()), &all(terms.count()));
            prop_assert_eq!(found, holding(&texts, &needle), "before they are sorted");
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
