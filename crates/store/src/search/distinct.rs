//! The different words of one text.

use super::words::words;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

/// See above. Used again for each text, so that what it takes is at hand.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    /// In the order of their first appearance.
    words: Vec<Word>,
    /// Number of a word plus one, at the place that its hash names or behind. A power of two, at most half full.
    table: Vec<u32>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    /// See [`ends`].
    ends: (u64, u64),
    pub(super) hash: u32,
    from: u32,
    len: u32,
}

impl Word {
    /// Its octets in the text.
    #[inline]
    pub(super) fn of(self, text: &[u8]) -> &[u8] {
        &text[self.from as usize..(self.from + self.len) as usize]
    }

    /// Is it this one? `text` is its own.
    #[inline]
    pub(super) fn is(&self, word: &[u8], text: &[u8]) -> bool {
        self.len as usize == word.len()
            && self.ends == ends(word)
            && (word.len() <= SHORT || self.of(text) == word)
    }
}

/// Places at the beginning.
const TABLE_MIN: usize = 512;

impl Distinct {
    /// Takes the words of a folded text, and their octets from `left`; false if that was not enough, and words are missing.
    /// The text has less than 4 GiB.
    pub(super) fn take(&mut self, text: &[u8], left: &mut usize) -> bool {
        // One large text does not make all that follow dear.
        let places =
            if self.words.len() * 16 < self.table.len() { self.table.len() / 2 } else { self.table.len() };
        self.table.clear();
        self.table.resize(places.max(TABLE_MIN), 0);
        self.words.clear();
        let mut whole = true;
        let (base, seeds) = (text.as_ptr().addr(), *SEEDS);
        words(text, |word| {
            let ends = ends(word);
            let hash = hash_of(seeds, word, ends);
            let mask = self.table.len() - 1;
            let mut at = hash as usize & mask;
            while let Some(known) = self.table[at].checked_sub(1) {
                let known = &self.words[known as usize];
                if known.hash == hash && known.is(word, text) {
                    return;
                }
                at = (at + 1) & mask;
            }
            if word.len() > *left {
                whole = false;
                return;
            }
            *left -= word.len();
            let from = word.as_ptr().addr() - base;
            self.words.push(Word { ends, hash, from: from as u32, len: word.len() as u32 });
            self.table[at] = self.words.len() as u32;
            if self.words.len() * 2 > self.table.len() {
                self.grow();
            }
        });
        whole
    }

    pub(super) fn words(&self) -> &[Word] {
        &self.words
    }

    #[cold]
    fn grow(&mut self) {
        let places = self.table.len() * 2;
        self.table.clear();
        self.table.resize(places, 0);
        for (number, word) in (1..).zip(&self.words) {
            let mut at = word.hash as usize & (places - 1);
            while self.table[at] != 0 {
                at = (at + 1) & (places - 1);
            }
            self.table[at] = number;
        }
    }
}

/// Unknown to whoever sends mail, who could else choose words that fall on one place.
static SEEDS: LazyLock<[u64; 2]> = LazyLock::new(|| [0, 1].map(|n| RandomState::new().hash_one(n) | 1));

/// Of a word; the same one as long as the process runs.
pub(super) fn hash(word: &[u8]) -> u32 {
    hash_of(*SEEDS, word, ends(word))
}

#[inline]
fn hash_of([seed, other]: [u64; 2], word: &[u8], ends: (u64, u64)) -> u32 {
    let mix = |left: u64, right: u64| {
        let product = u128::from(left) * u128::from(right);
        (product >> 64) as u64 ^ product as u64
    };
    let mut state = seed ^ word.len() as u64;
    if word.len() > SHORT {
        // What lies before the last ones.
        for sixteen in word[..word.len() - 1].as_chunks::<SHORT>().0 {
            let (left, right) = self::ends(sixteen);
            state = mix(left ^ state, right ^ other);
        }
    }
    mix(mix(ends.0 ^ state, ends.1 ^ other) ^ state, seed ^ other | 1) as u32
}

/// Octets that are taken at once.
const SHORT: usize = 16;

/// All octets of at most [`SHORT`] in two numbers: of words that are equally long, different ones. Of a longer word the last.
#[inline]
fn ends(word: &[u8]) -> (u64, u64) {
    let len = word.len();
    if let (Some(last), Some(first)) = (word.last_chunk(), word[len.saturating_sub(SHORT)..].first_chunk()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(last), Some(first)) = (word.last_chunk(), word.first_chunk()) {
        return (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into());
    }
    match word {
        [] => (0, 0),
        // Of three octets at most: the first, the one in the middle, the last.
        [first, .., last] => (u64::from(*first), u64::from(word[len / 2]) << 8 | u64::from(*last)),
        [only] => (u64::from(*only), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_word_is_there_once(texts in proptest::collection::vec("([abc]{1,3}[ .]){0,60}", 1..4), many in 0u32..6000) {
            let mut distinct = Distinct::default();
            let many: String = (0..many).map(|n| format!("w{n} x{} ", n / 2)).collect();
            for text in texts.iter().chain([&many]).chain(&texts) {
                let mut expected: Vec<&str> = Vec::new();
                let mut seen = std::collections::HashSet::new();
                expected.extend(text.split([' ', '.']).filter(|word| !word.is_empty() && seen.insert(*word)));
                let mut left = text.len();
                prop_assert!(distinct.take(text.as_bytes(), &mut left));
                let found: Vec<&str> =
                    distinct.words().iter().map(|word| std::str::from_utf8(word.of(text.as_bytes())).unwrap()).collect();
                prop_assert_eq!(text.len() - left, found.iter().map(|word| word.len()).sum::<usize>());
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn words_that_differ_in_one_octet_are_not_the_same() {
        for len in 1..100usize {
            let text: Vec<u8> = (0..len as u8).collect();
            let word = Word { ends: ends(&text), hash: hash(&text), from: 0, len: len as u32 };
            assert!(word.is(&text, &text) && !word.is(&text[1..], &text));
            for at in 0..len {
                let mut other = text.clone();
                other[at] ^= 0x80;
                assert!(!word.is(&other, &text), "{at} of {len}");
                assert_ne!(word.hash, hash(&other), "{at} of {len}: possible, and most unlikely");
            }
        }
    }

    #[test]
    fn words_are_left_out_when_there_is_too_much() {
        let (mut distinct, mut left) = (Distinct::default(), 4);
        let text = b"abc abc abcd d abc e";
        assert!(!distinct.take(text, &mut left));
        let found: Vec<&[u8]> = distinct.words().iter().map(|word| word.of(text)).collect();
        assert_eq!((found, left), (vec![&b"abc"[..], b"d"], 0));
    }
}
