//! Patterns of LIST: `*` stands for anything, `%` for anything but the separator (RFC 9051 6.3.9).
//!
//! All states of the pattern advance together, as bits of words, so that a name costs its octets times the pattern's words
//! and no pattern (`*a*a*a*a`) makes it more.

/// Octets of a pattern at most, with its reference: more than any name can have.
pub(crate) const PATTERN_BYTES_MAX: usize = 2048;

/// Levels are separated by it.
const SEPARATOR: u8 = b'/';

/// A pattern, ready to be compared. Bit `p` of a state: the first `p` steps are matched.
#[derive(Debug)]
pub(crate) struct Pattern {
    words: usize,
    steps: usize,
    /// For each octet, the steps that take it: `words` words each.
    literal: Vec<u64>,
    /// Steps that are `*`.
    star: Vec<u64>,
    /// Steps that are `%`.
    percent: Vec<u64>,
    /// What stands before the first wildcard.
    prefix: Vec<u8>,
    /// `%` is its last step.
    ends_in_percent: bool,
}

impl Pattern {
    /// A reference and a pattern, one behind the other. `None`: longer than [`PATTERN_BYTES_MAX`].
    pub(crate) fn new(reference: &str, pattern: &str) -> Option<Pattern> {
        if reference.len() + pattern.len() > PATTERN_BYTES_MAX {
            return None;
        }
        let mut text: Vec<u8> = Vec::with_capacity(reference.len() + pattern.len());
        for octet in reference.bytes().chain(pattern.bytes()) {
            // Wildcards side by side are one: the wider.
            match (text.last(), octet) {
                (Some(b'*'), b'*' | b'%') | (Some(b'%'), b'%') => {}
                (Some(b'%'), b'*') => {
                    text.pop();
                    text.push(b'*');
                }
                _ => text.push(octet),
            }
        }
        let words = (text.len() + 1).div_ceil(64);
        let wild = |octet: &u8| matches!(octet, b'*' | b'%');
        let mut made = Pattern {
            words,
            steps: text.len(),
            literal: vec![0; 256 * words],
            star: vec![0; words],
            percent: vec![0; words],
            prefix: text.iter().copied().take_while(|octet| !wild(octet)).collect(),
            ends_in_percent: text.last() == Some(&b'%'),
        };
        for (at, octet) in text.iter().enumerate() {
            let bit = 1 << (at % 64);
            match octet {
                b'*' => made.star[at / 64] |= bit,
                b'%' => made.percent[at / 64] |= bit,
                _ => made.literal[*octet as usize * words + at / 64] |= bit,
            }
        }
        Some(made)
    }

    /// `%` is its last wildcard and nothing follows: the parents of what it would show below are shown (RFC 3501 6.3.9).
    pub(crate) fn ends_in_percent(&self) -> bool {
        self.ends_in_percent
    }

    /// Could it match any name that begins so?
    pub(crate) fn reaches(&self, beginning: &str) -> bool {
        let beginning = beginning.as_bytes();
        let common = self.prefix.len().min(beginning.len());
        let all_literal = self.prefix.len() == self.steps;
        self.prefix[..common] == beginning[..common] && !(all_literal && self.steps < beginning.len())
    }

    /// The whole name matches. INBOX, as the first level, does in any letter case.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let any_case = if name == "INBOX" || name.starts_with("INBOX/") { 5 } else { 0 };
        let mut state = vec![0u64; self.words];
        state[0] = 1;
        self.skip_wildcards(&mut state);
        for (at, octet) in name.bytes().enumerate() {
            let literal = self.taking(octet);
            let other = if at < any_case { self.taking(octet.to_ascii_lowercase()) } else { literal };
            let mut carry = 0;
            let mut alive = 0;
            for word in 0..self.words {
                let now = state[word];
                let taken = now & (literal[word] | other[word]);
                let mut next = taken << 1 | carry | now & self.star[word];
                if octet != SEPARATOR {
                    next |= now & self.percent[word];
                }
                carry = taken >> 63;
                alive |= next;
                state[word] = next;
            }
            if alive == 0 {
                return false;
            }
            self.skip_wildcards(&mut state);
        }
        state[self.steps / 64] >> (self.steps % 64) & 1 == 1
    }

    /// The steps that take an octet.
    fn taking(&self, octet: u8) -> &[u64] {
        let at = octet as usize * self.words;
        &self.literal[at..at + self.words]
    }

    /// A wildcard may stand for nothing. Two never stand side by side, so that once is enough.
    fn skip_wildcards(&self, state: &mut [u64]) {
        let mut carry = 0;
        for (word, state) in state.iter_mut().enumerate() {
            let wild = *state & (self.star[word] | self.percent[word]);
            *state |= wild << 1 | carry;
            carry = wild >> 63;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new("", pattern).unwrap().matches(name)
    }

    #[test]
    fn wildcards_stand_for_what_the_rfc_says() {
        assert!(matches("*", "a/b/c") && matches("*", ""));
        assert!(matches("%", "a") && !matches("%", "a/b"));
        assert!(matches("a/%", "a/b") && matches("a/%", "a/") && !matches("a/%", "a"));
        assert!(matches("%/%", "a/b") && !matches("%/%", "a/b/c"));
        assert!(matches("a*c", "a/b/c") && matches("%*", "a/b") && matches("*%", "a/b"));
        assert!(!matches("a", "ab") && !matches("ab", "a") && !matches("", "a"));
        assert!(matches("Entwürfe", "Entwürfe") && matches("Entw%fe", "Entwürfe"));
    }

    #[test]
    fn inbox_has_no_letter_case() {
        assert!(matches("inbox", "INBOX") && matches("iNb%", "INBOX") && matches("inbox/*", "INBOX/x"));
        assert!(!matches("inbox/x", "INBOX/X") && !matches("a", "A") && !matches("inboxes", "INBOXES"));
    }

    #[test]
    fn reference_goes_before() {
        assert!(Pattern::new("Other Users/", "%").unwrap().matches("Other Users/x"));
        assert!(Pattern::new("", &"a".repeat(PATTERN_BYTES_MAX + 1)).is_none());
    }

    #[test]
    fn reach_is_told_from_the_beginning() {
        let reaches = |pattern: &str| Pattern::new("", pattern).unwrap().reaches("Other Users");
        assert!(reaches("*") && reaches("O%") && reaches("Other Users/*") && reaches("Other Users"));
        assert!(!reaches("INBOX") && !reaches("Other") && !reaches("a*"));
    }

    #[test]
    fn hostile_patterns_cost_no_more_than_others() {
        let pattern = "*a".repeat(1000);
        let name = "a".repeat(1024);
        let pattern = Pattern::new("", &pattern).unwrap();
        assert!(
            pattern.matches(&name) && !pattern.matches(&name[..999]) && !pattern.matches(&"b".repeat(1024))
        );
    }

    /// What a pattern means, by trying everything.
    fn plainly(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some((b'*' | b'%', rest)), None) => plainly(rest, name),
            (Some((wild @ (b'*' | b'%'), rest)), Some((octet, after))) => {
                plainly(rest, name) || (*wild == b'*' || *octet != b'/') && plainly(pattern, after)
            }
            (Some((a, rest)), Some((b, after))) => a == b && plainly(rest, after),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_trying_everything(pattern in "[ab/*%]{0,9}", name in "[ab/]{0,9}") {
            prop_assert_eq!(matches(&pattern, &name), plainly(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn agrees_beyond_one_word(head in "[ab]{60,70}", pattern in "[ab/*%]{0,6}", name in "[ab/]{0,6}") {
            let (pattern, name) = (format!("{head}{pattern}"), format!("{head}{name}"));
            prop_assert_eq!(matches(&pattern, &name), plainly(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
