//! Texts of messages: each different one is held once, all in one run of octets.

use super::docs::{self, Docs};
use super::words::SEPARATOR;
use memchr::memmem::Finder;
use std::hash::{BuildHasher as _, RandomState};

/// Octets of one text; what is longer is cut (some 1,500 addresses).
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Places of the table at the beginning.
const TABLE_MIN: usize = 64;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// The different texts in the order in which they came, a separator behind each.
    octets: Vec<u8>,
    /// Where the separator behind each is.
    ends: Vec<u32>,
    /// The text of each message.
    of: Vec<u32>,
    /// While texts are added: number of a text plus one, at the place that its hash names or behind. A power of two.
    table: Vec<u32>,
    /// Unknown to whoever sends mail, who could else choose texts that fall on one place.
    state: RandomState,
}

impl Texts {
    pub(super) fn push(&mut self, text: &str) {
        let id = self.id(&text[..text.floor_char_boundary(TEXT_BYTES_MAX)]);
        self.of.push(id);
    }

    pub(super) fn get(&self, at: usize) -> &str {
        std::str::from_utf8(self.text(self.of[at])).unwrap_or_default()
    }

    pub(super) fn append(&mut self, other: &Texts) {
        let ids: Vec<u32> = (0..other.ends.len() as u32)
            .map(|id| self.id(std::str::from_utf8(other.text(id)).unwrap_or_default()))
            .collect();
        self.of.extend(other.of.iter().map(|id| ids[*id as usize]));
    }

    /// Gives back what only adding needs.
    pub(super) fn seal(&mut self) {
        self.table = Vec::new();
        self.octets.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.of.shrink_to_fit();
    }

    pub(super) fn bytes(&self) -> usize {
        self.octets.capacity() + 4 * (self.ends.capacity() + self.of.capacity() + self.table.capacity())
    }

    /// The messages whose text holds a needle.
    pub(super) fn find(&self, needle: &Finder<'_>) -> Docs {
        let mut found = Docs::none(self.ends.len() as u32);
        let (mut at, mut text) = (0, 0);
        while let Some(hit) = self.octets.get(at..).and_then(|rest| needle.find(rest)) {
            text = docs::first_at_or_behind(&self.ends, text, at + hit);
            let Some(end) = self.ends.get(text) else { break };
            found.set(text as u32);
            at = *end as usize + 1;
            text += 1;
        }
        self.messages(&found)
    }

    /// The messages whose text is not empty.
    pub(super) fn present(&self) -> Docs {
        let mut found = Docs::none(self.ends.len() as u32);
        (0..self.ends.len() as u32).filter(|id| !self.text(*id).is_empty()).for_each(|id| found.set(id));
        self.messages(&found)
    }

    /// The messages that have one of these texts.
    fn messages(&self, texts: &Docs) -> Docs {
        let mut found = Docs::none(self.of.len() as u32);
        if !texts.is_empty() {
            (0..).zip(&self.of).filter(|(_, id)| texts.has(**id)).for_each(|(doc, _)| found.set(doc));
        }
        found
    }

    fn text(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let from = id.checked_sub(1).map_or(0, |before| self.ends[before] as usize + 1);
        &self.octets[from..self.ends[id] as usize]
    }

    /// The number of a text, a new one if it has none.
    fn id(&mut self, text: &str) -> u32 {
        if (self.ends.len() + 1) * 4 > self.table.len() * 3 {
            self.grow();
        }
        let mask = self.table.len() - 1;
        let mut at = self.state.hash_one(text.as_bytes()) as usize & mask;
        while let Some(id) = self.table[at].checked_sub(1) {
            if self.text(id) == text.as_bytes() {
                return id;
            }
            at = (at + 1) & mask;
        }
        let id = self.ends.len() as u32;
        self.table[at] = id + 1;
        self.octets.extend_from_slice(text.as_bytes());
        self.ends.push(self.octets.len() as u32);
        self.octets.push(SEPARATOR);
        id
    }

    /// Makes the table, or one twice as large.
    fn grow(&mut self) {
        let places = (2 * self.ends.len()).next_power_of_two().max(TABLE_MIN);
        let mut table = vec![0; places];
        for id in 0..self.ends.len() as u32 {
            let mut at = self.state.hash_one(self.text(id)) as usize & (places - 1);
            while table[at] != 0 {
                at = (at + 1) & (places - 1);
            }
            table[at] = id + 1;
        }
        self.table = table;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_are_searched_one_by_one(
            some in proptest::collection::vec("[ab]{0,5}", 0..90), more in proptest::collection::vec("[ab]{0,5}", 0..90),
            needle in "[ab]{1,3}", sealed: bool,
        ) {
            let (mut texts, mut tail) = (Texts::default(), Texts::default());
            some.iter().for_each(|text| texts.push(text));
            more.iter().for_each(|text| tail.push(text));
            if sealed {
                texts.seal();
                tail.seal();
            }
            texts.append(&tail);
            let all: Vec<&String> = some.iter().chain(&more).collect();
            let (found, present) = (texts.find(&Finder::new(&needle)), texts.present());
            let (mut expected, mut there) = (Docs::none(all.len() as u32), Docs::none(all.len() as u32));
            for (at, text) in all.iter().enumerate() {
                prop_assert_eq!(texts.get(at), text.as_str());
                if text.contains(&needle) {
                    expected.set(at as u32);
                }
                if !text.is_empty() {
                    there.set(at as u32);
                }
            }
            prop_assert_eq!((found, present), (expected, there));
        }
    }

    #[test]
    fn each_text_is_held_once() {
        let mut texts = Texts::default();
        (0..10_000).for_each(|n| texts.push(["ANN@EXAMPLE.TEST", "BOB@EXAMPLE.TEST", ""][n % 3]));
        texts.seal();
        assert_eq!(texts.ends.len(), 3);
        assert!(texts.bytes() < 41_000);
    }
}
