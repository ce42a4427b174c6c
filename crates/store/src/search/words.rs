//! Words: how a folded text is cut for the term index, and what a needle asks of the index.
//!
//! A word is a run of octets that are ASCII letters or digits, or belong to a character beyond ASCII that is no
//! punctuation. Kana and ideographs are written without spaces: a run of them is cut into its pairs of neighbours. What an octet
//! belongs to depends on its character alone, never on what is around it: so an occurrence of
//! a needle cuts the text where the needle itself is cut, and the index can be asked for the needle's words.

use memchr::memmem::Finder;

/// Stands between words in a dictionary and between texts that no match may span. It is no octet of UTF-8.
pub(super) const SEPARATOR: u8 = 0xff;
/// Octets of a word in a dictionary; longer ones are cut into pieces.
pub(super) const WORD_BYTES_MAX: usize = 96;
/// Octets that neighbouring pieces share: whatever is one longer lies within a piece.
const OVERLAP_BYTES: usize = 32;
/// Octets of a character that is indexed in pairs.
const PAIRED_BYTES: usize = 3;
/// Pairs of one run that the index is asked for.
const PAIRS_MAX: usize = 8;

/// What a search looks for.
#[derive(Debug)]
pub(super) struct Needle {
    /// The folded needle, for reading texts.
    pub(super) finder: Finder<'static>,
    /// What a dictionary must hold, each of them, for the message to be a candidate. None: every message is one.
    pub(super) patterns: Vec<Finder<'static>>,
    /// A message is found if and only if its words hold the one pattern.
    pub(super) exact: bool,
}

impl Needle {
    pub(super) fn new(folded: &str) -> Needle {
        let bytes = folded.as_bytes();
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        let mut exact = false;
        runs(bytes, |run, from, kind| {
            let to = from + run.len();
            let ends = (from == 0, to == bytes.len());
            exact |= match kind {
                Kind::Pairs => ask_for_pairs(run, ends, &mut patterns),
                _ => ask_for_word(run, ends, &mut patterns),
            };
        });
        // The longest is most likely the rarest: what it leaves is what the others look at.
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
        Needle {
            finder: Finder::new(bytes).into_owned(),
            patterns: patterns.iter().map(|pattern| Finder::new(pattern).into_owned()).collect(),
            exact,
        }
    }

    /// Is it in this text?
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.finder.find(text).is_some()
    }

    /// Octets of the needle.
    pub(super) fn len(&self) -> usize {
        self.finder.needle().len()
    }
}

/// What a dictionary holds if a text holds this run of a needle. `ends`: the needle begins with it, ends with it. True: it is all of
/// the needle, and what holds the pattern holds the needle.
fn ask_for_word(run: &[u8], ends: (bool, bool), patterns: &mut Vec<Vec<u8>>) -> bool {
    let head = &run[..run.len().min(WORD_BYTES_MAX)];
    match ends {
        (true, true) if run.len() <= OVERLAP_BYTES + 1 => {
            patterns.push(run.to_vec());
            return true;
        }
        (true, true) => {
            patterns.push(run[..=OVERLAP_BYTES].to_vec());
            patterns.push(run[run.len() - OVERLAP_BYTES - 1..].to_vec());
        }
        // The last piece of a word that is cut holds its last octets, the first one its first.
        (true, false) => {
            let tail = &run[run.len().saturating_sub(WORD_BYTES_MAX)..];
            patterns.push([tail, &[SEPARATOR]].concat());
        }
        (false, true) => patterns.push([&[SEPARATOR], head].concat()),
        (false, false) => patterns.push([&[SEPARATOR], head, &[SEPARATOR]].concat()),
    }
    false
}

/// The same for a run that is indexed in pairs.
fn ask_for_pairs(run: &[u8], ends: (bool, bool), patterns: &mut Vec<Vec<u8>>) -> bool {
    if run.len() <= PAIRED_BYTES {
        // Of a longer run in the text, it is the second of a pair, or the first, or either.
        let before: &[u8] = if ends.0 { &[] } else { &[SEPARATOR] };
        let behind: &[u8] = if ends.1 { &[] } else { &[SEPARATOR] };
        patterns.push([before, run, behind].concat());
        return ends == (true, true);
    }
    let pairs: Vec<&[u8]> = run.windows(2 * PAIRED_BYTES).step_by(PAIRED_BYTES).collect();
    // Spread over the run, so that what is common to many texts at its beginning does not fill it.
    let step = pairs.len().div_ceil(PAIRS_MAX).max(1);
    patterns.extend(pairs.iter().step_by(step).map(|pair| [&[SEPARATOR], *pair, &[SEPARATOR]].concat()));
    ends == (true, true) && pairs.len() == 1
}

/// The words of a folded text as they stand in a dictionary.
#[inline]
pub(super) fn words(text: &[u8], mut word: impl FnMut(&[u8])) {
    runs(text, |mut run, _, kind| {
        if matches!(kind, Kind::Pairs) && run.len() > PAIRED_BYTES {
            return run.windows(2 * PAIRED_BYTES).step_by(PAIRED_BYTES).for_each(&mut word);
        }
        while run.len() > WORD_BYTES_MAX {
            word(&run[..WORD_BYTES_MAX]);
            // The last piece is a whole one too, so that short tails do not fill the dictionary.
            let step = (WORD_BYTES_MAX - OVERLAP_BYTES).min(run.len() - WORD_BYTES_MAX);
            run = &run[step..];
        }
        word(run);
    });
}

/// Calls `run` with each run of one kind, and where it is.
#[inline]
fn runs<'t>(text: &'t [u8], mut run: impl FnMut(&'t [u8], usize, Kind)) {
    let mut at = 0;
    while at < text.len() {
        if let Some(block) = text[at..].first_chunk::<BLOCK>() {
            let (mut words, ascii) = look(block);
            let mut done = 0;
            while words != 0 {
                let begin = words.trailing_zeros() as usize;
                done = begin;
                let end = begin + (!(words >> begin)).trailing_zeros() as usize;
                if end >= ascii {
                    break;
                }
                run(&text[at + begin..at + end], at + begin, Kind::Word);
                // It ends before the block does.
                words &= u64::MAX << end;
            }
            // What begins last may go on behind the block; else all of it was seen up to where it is no longer ASCII.
            at += if words == 0 { ascii } else { done };
            if (words == 0 && ascii == BLOCK) || (words != 0 && done > 0) {
                continue;
            }
        }
        at += step(&text[at..], at, &mut run);
    }
}

/// The run at the beginning of `rest`, which is not empty and lies at `from`, or what is none: its length.
#[inline]
fn step<'t>(rest: &'t [u8], from: usize, run: &mut impl FnMut(&'t [u8], usize, Kind)) -> usize {
    // Nearly all that is no word is one octet.
    let (kind, len) = match KIND[usize::from(rest[0])] {
        Kind::Apart => return 1,
        Kind::Word => (Kind::Word, word_len(rest)),
        _ => wide(rest),
    };
    if matches!(kind, Kind::Word | Kind::Pairs) {
        run(&rest[..len], from, kind);
    }
    len
}

/// Octets that are looked at together.
const BLOCK: usize = 64;

/// Which octets of a block are letters or digits before the first that is beyond ASCII, the first in the lowest bit; and how many are
/// before that.
#[inline]
fn look(block: &[u8; BLOCK]) -> (u64, usize) {
    let mut marks = [0u8; BLOCK];
    for (mark, octet) in marks.iter_mut().zip(block) {
        let letter = (octet | 0x20).wrapping_sub(b'a') < 26;
        let digit = octet.wrapping_sub(b'0') < 10;
        *mark = u8::from(letter | digit);
    }
    let words = side_by_side(&marks);
    if block.is_ascii() {
        return (words, BLOCK);
    }
    let ascii = block.iter().take_while(|octet| octet.is_ascii()).count();
    (words & !u64::MAX.unbounded_shl(ascii as u32), ascii)
}

/// The low bits of octets that are 0 or 1.
#[inline]
fn side_by_side(marks: &[u8; BLOCK]) -> u64 {
    marks.as_chunks::<8>().0.iter().rev().fold(0, |bits, eight| {
        bits << 8 | u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

/// The kind and length of a run that begins with a character of three octets, or with one that is cut off.
fn wide(rest: &[u8]) -> (Kind, usize) {
    let kind = kind(rest);
    let len = match kind {
        Kind::Apart => 1,
        Kind::ApartWide => PAIRED_BYTES.min(rest.len()),
        Kind::Word | Kind::Look => word_len(rest),
        Kind::Pairs => {
            let chars = rest.chunks_exact(PAIRED_BYTES);
            let many = chars.take_while(|c| matches!(self::kind(c), Kind::Pairs)).count();
            (many * PAIRED_BYTES).max(1)
        }
    };
    (kind, len)
}

/// Octets at the beginning that belong to a word; the first one does.
#[inline]
fn word_len(rest: &[u8]) -> usize {
    let mut at = 0;
    loop {
        while let Some(eight) = rest.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let same = alphanumeric(u64::from_le_bytes(*eight));
            at += same;
            if same < 8 {
                break;
            }
        }
        // Beyond ASCII, and near the end, each octet is looked at.
        match rest.get(at).map(|octet| KIND[usize::from(*octet)]) {
            Some(Kind::Word) => at += 1,
            Some(Kind::Look) if matches!(kind(&rest[at..]), Kind::Word) => at += 1,
            _ => return at,
        }
    }
}

/// How many of eight octets, the lowest first, are ASCII letters or digits before one is not.
#[inline]
fn alphanumeric(eight: u64) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    // The high bit of each octet below 0x80 that is at least so much. What is taken from an octet is less than it has, so no
    // octet borrows of its neighbour.
    let least = |octets: u64, least: u8| (octets | HIGH) - u64::from(least) * EACH;
    let lower = eight | (0x20 * EACH);
    let letters = least(lower, b'a') & !least(lower, b'z' + 1);
    let digits = least(eight, b'0') & !least(eight, b'9' + 1);
    let others = !((letters | digits) & !eight) & HIGH;
    (others.trailing_zeros() / 8) as usize
}

/// Of the character at the start of `rest`, which is not empty, or of the octet there within one.
#[inline]
fn kind(rest: &[u8]) -> Kind {
    match KIND[usize::from(rest[0])] {
        // General punctuation (U+2000 to U+207F), and that of East Asia (U+3000 to U+303F); kana lies behind.
        Kind::Look => match rest {
            [0xe2, 0x80 | 0x81, _, ..] | [0xe3, 0x80, _, ..] => Kind::ApartWide,
            [0xe3, ..] => Kind::Pairs,
            _ => Kind::Word,
        },
        kind => kind,
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Word,
    /// A character of three octets that makes words with its neighbours.
    Pairs,
    Apart,
    /// An octet that begins a separator of three.
    ApartWide,
    /// What follows decides.
    Look,
}

const KIND: [Kind; 256] = {
    let mut kinds = [Kind::Apart; 256];
    let mut at = 0usize;
    while at < 255 {
        let octet = at as u8;
        if octet.is_ascii_alphanumeric() || octet >= 0x80 {
            kinds[at] = match octet {
                0xe2 | 0xe3 => Kind::Look,
                // U+4000 to U+9FFF.
                0xe4..=0xe9 => Kind::Pairs,
                _ => Kind::Word,
            };
        }
        at += 1;
    }
    kinds
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        words(text.as_bytes(), |word| found.push(String::from_utf8_lossy(word).into_owned()));
        found
    }

    #[test]
    fn texts_are_cut_at_what_is_no_letter() {
        assert_eq!(cut("one two-3four, FIVE."), ["one", "two", "3four", "FIVE"]);
        assert_eq!(
            cut("\u{201c}gr\u{fc}n\u{201d}\u{2014}blau\u{3002}\u{65e5}\u{672c}"),
            ["grün", "blau", "日本"]
        );
        assert_eq!(cut("a\u{65e5}\u{672c}\u{8a9e}b \u{3042}"), ["a", "日本", "本語", "b", "あ"]);
        assert_eq!(cut(" .,"), Vec::<String>::new());
        assert_eq!(cut(""), Vec::<String>::new());
    }

    #[test]
    fn long_words_become_pieces_that_overlap() {
        let long: Vec<u8> = (0..250u8).map(|n| b'a' + n % 26).collect();
        let mut pieces = Vec::new();
        words(&long, |piece| pieces.push(piece.to_vec()));
        assert!(pieces.iter().all(|piece| piece.len() == WORD_BYTES_MAX));
        for window in long.windows(OVERLAP_BYTES + 1) {
            assert!(pieces.iter().any(|piece| piece.windows(window.len()).any(|w| w == window)));
        }
        assert!(long.starts_with(&pieces[0]) && long.ends_with(pieces.last().unwrap()));
    }

    #[test]
    fn eight_octets_are_judged_as_each_is() {
        for octet in 0..=255u8 {
            for (at, others) in (0..8).flat_map(|at| [(at, b'a'), (at, 0xff), (at, b'9')]) {
                let mut eight = [others; 8];
                eight[..at].fill(b'Z');
                eight[at] = octet;
                let expected = eight.iter().take_while(|octet| octet.is_ascii_alphanumeric()).count();
                assert_eq!(alphanumeric(u64::from_le_bytes(eight)), expected, "{eight:?}");
            }
        }
    }

    proptest! {
        /// Runs are found eight octets at a time as they are one by one.
        #[test]
        fn words_end_where_an_octet_says_so(text in "[aZ09@\\[`{/: \u{fc}\u{2014}\u{65e5}\u{3002}]{0,60}|[a-z]{1,30}\u{fc}[a-z]{0,30}[ ,]") {
            let text = text.as_bytes();
            for (at, _) in text.iter().enumerate().filter(|(at, _)| matches!(kind(&text[*at..]), Kind::Word)) {
                let same = (at..text.len()).take_while(|at| matches!(kind(&text[*at..]), Kind::Word)).count();
                prop_assert_eq!(word_len(&text[at..]), same);
            }
        }

        /// Runs are found a block at a time as they are one by one.
        #[test]
        fn blocks_are_cut_as_single_runs_are(
            text in "([a-z]{1,9}[ .,]{1,2}){0,30}[a-z]{0,140}([a-z]{1,9}[ .,@\u{fc}\u{2014}]){0,30}[\u{65e5}\u{3042}\u{3002}a ]{0,9}([0-9A-Z]{1,7}[\r\n/:`{]){0,20}",
            cut in 0usize..9,
        ) {
            // What is cut off within a character counts, too.
            let text = &text.as_bytes()[..text.len().saturating_sub(cut)];
            let (mut found, mut expected, mut at) = (Vec::new(), Vec::new(), 0);
            runs(text, |run, from, kind| found.push((run, from, matches!(kind, Kind::Pairs))));
            while at < text.len() {
                at += step(&text[at..], at, &mut |run, from, kind| {
                    expected.push((run, from, matches!(kind, Kind::Pairs)));
                });
            }
            prop_assert_eq!(found, expected);
        }

        /// The index never overlooks: where the needle is in the text, a dictionary of its words holds all patterns.
        #[test]
        fn candidates_are_never_missed(
            text in "[ab .\u{2014}\u{fc}\u{65e5}]{0,60}([ab]{90,300})?[ab -]{0,20}[\u{65e5}\u{3042}\u{3002}a]{0,40}",
            from in 0usize..300, len in 1usize..150,
        ) {
            let chars: Vec<char> = text.chars().collect();
            let from = from.min(chars.len());
            let needle: String = chars[from..(from + len).min(chars.len())].iter().collect();
            prop_assume!(!needle.is_empty());
            let mut dictionary = vec![SEPARATOR];
            words(text.as_bytes(), |word| {
                dictionary.extend_from_slice(word);
                dictionary.push(SEPARATOR);
            });
            let needle = Needle::new(&needle);
            prop_assert!(needle.is_in(text.as_bytes()));
            for pattern in &needle.patterns {
                prop_assert!(pattern.find(&dictionary).is_some());
            }
        }

        /// An exact needle is in the text if and only if it is in a word.
        #[test]
        fn exact_needles_need_no_reading(
            text in "[ab ]{0,60}[ab]{0,200}[\u{65e5}\u{3042}a]{0,20}", needle in "[ab]{1,40}|[\u{65e5}\u{3042}]{1,3}",
        ) {
            let mut found = false;
            let needle = Needle::new(&needle);
            words(text.as_bytes(), |word| {
                let padded = [&[SEPARATOR], word, &[SEPARATOR]].concat();
                found |= needle.patterns[0].find(&padded).is_some();
            });
            if needle.exact {
                prop_assert_eq!(found, needle.is_in(text.as_bytes()));
            }
        }
    }
}
