//! The words of some documents while they are gathered, and searches in them.
//!
//! All words lie in one run of octets in the order of their first appearance, as in `terms`; for each document there are the numbers
//! of its words. Nothing is sorted until a block is made of it.

use super::docs::{Docs, first_at_or_behind};
use super::terms::{Assembler, Terms};
use super::words::{SEPARATOR, words};
use memchr::memmem::Finder;
use std::hash::{BuildHasher as _, RandomState};

/// See above.
#[derive(Debug)]
pub(super) struct Builder {
    /// A separator, then each word with one.
    words: Vec<u8>,
    /// Where the separator behind each word is.
    ends: Vec<u32>,
    /// Of each word.
    seen: Vec<Seen>,
    /// Number of a word plus one, at the place that its hash names or behind. A power of two, at most three quarters full.
    table: Vec<u32>,
    /// Unknown to whoever sends mail, who could else choose words that fall on one place.
    seed: u64,
    /// The words of each document, and where they begin.
    docs: Vec<u32>,
    starts: Vec<u32>,
}

/// What is asked of a word each time that it comes, close together.
#[derive(Clone, Copy, Debug)]
struct Seen {
    hash: u32,
    from: u32,
    /// The last document that had it, plus one.
    last: u32,
    len: u32,
}

/// Places at the beginning.
const TABLE_MIN: usize = 64;

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            words: vec![SEPARATOR],
            ends: Vec::new(),
            seen: Vec::new(),
            table: vec![0; TABLE_MIN],
            seed: RandomState::new().hash_one(0),
            docs: Vec::new(),
            starts: Vec::new(),
        }
    }
}

impl Builder {
    /// A new document begins: what is added from now on is in it.
    pub(super) fn begin(&mut self) {
        self.starts.push(self.docs.len() as u32);
    }

    /// A folded text of the document. Takes the octets of words that the document did not have yet from `left`; false if that
    /// was not enough, and words are missing.
    pub(super) fn add(&mut self, text: &[u8], left: &mut usize) -> bool {
        let mut whole = true;
        words(text, |word| {
            if word.len() > *left {
                whole = false;
                return;
            }
            let id = self.id(word);
            let last = &mut self.seen[id as usize].last;
            let document = self.starts.len() as u32;
            if *last != document {
                *last = document;
                self.docs.push(id);
                *left -= word.len();
            }
        });
        whole
    }

    /// Documents.
    pub(super) fn count(&self) -> u32 {
        self.starts.len() as u32
    }

    /// Octets in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity()
            + 4 * (self.ends.capacity()
                + self.table.capacity()
                + self.docs.capacity()
                + self.starts.capacity())
            + size_of::<Seen>() * self.seen.capacity()
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
            let matches = |id: &u32| matched[(*id / 64) as usize] >> (id % 64) & 1 == 1;
            for doc in (0..self.count()).filter(|doc| wanted.has(*doc)) {
                if self.document(doc).iter().any(matches) {
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
        self.docs.iter().for_each(|id| starts[*id as usize + 1] += 1);
        let mut sum = 0;
        starts.iter_mut().for_each(|start| {
            sum += *start;
            *start = sum;
        });
        let (mut postings, mut next) = (vec![0u32; self.docs.len()], starts.clone());
        for doc in 0..self.count() {
            for id in self.document(doc) {
                let at = &mut next[*id as usize];
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

    fn document(&self, doc: u32) -> &[u32] {
        let from = self.starts[doc as usize] as usize;
        let end = self.starts.get(doc as usize + 1).map_or(self.docs.len(), |end| *end as usize);
        &self.docs[from..end]
    }

    #[inline]
    fn word(&self, id: u32) -> &[u8] {
        let seen = &self.seen[id as usize];
        &self.words[seen.from as usize..(seen.from + seen.len) as usize]
    }

    /// The number of a word, a new one if it has none.
    #[inline]
    fn id(&mut self, word: &[u8]) -> u32 {
        let hash = hash(self.seed, word);
        let mask = self.table.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(id) = self.table[at].checked_sub(1) {
            if self.seen[id as usize].hash == hash && self.word(id) == word {
                return id;
            }
            at = (at + 1) & mask;
        }
        let id = self.ends.len() as u32;
        self.table[at] = id + 1;
        self.seen.push(Seen { hash, from: self.words.len() as u32, last: 0, len: word.len() as u32 });
        self.words.extend_from_slice(word);
        self.ends.push(self.words.len() as u32);
        self.words.push(SEPARATOR);
        if self.ends.len() * 4 > self.table.len() * 3 {
            self.grow();
        }
        id
    }

    fn grow(&mut self) {
        let mask = self.table.len() * 2 - 1;
        let mut table = vec![0; mask + 1];
        for (id, seen) in (1..).zip(&self.seen) {
            let mut at = seen.hash as usize & mask;
            while table[at] != 0 {
                at = (at + 1) & mask;
            }
            table[at] = id;
        }
        self.table = table;
    }
}

/// Sorts as the word does, as far as it goes.
fn beginning(word: &[u8]) -> u64 {
    let mut first = [0; 8];
    let len = word.len().min(8);
    first[..len].copy_from_slice(&word[..len]);
    u64::from_be_bytes(first)
}

#[inline]
fn hash(seed: u64, word: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |state: u64, next: u64| {
        let product = u128::from(state ^ next) * u128::from(seed ^ FACTOR | 1);
        (product >> 64) as u64 ^ product as u64
    };
    let mut state = seed ^ word.len() as u64;
    let (eights, rest) = word.as_chunks::<8>();
    for eight in eights {
        state = mix(state, u64::from_le_bytes(*eight));
    }
    let last = rest.iter().fold(0u64, |all, octet| all << 8 | u64::from(*octet));
    let state = mix(state, last);
    mix(state, FACTOR) as u32
}
