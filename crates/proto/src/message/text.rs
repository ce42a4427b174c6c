//! Text as people see it, for searches: decoded from transfer encodings and charsets, without
//! markup, and folded so that letter case and form of writing do not matter.
//!
//! What must hold: any octets give text; what a decoder says does not depend on how its input was cut; a decoder
//! holds a few octets, never a line or a part.

mod charset;
mod html;
mod subject;
mod transfer;
mod words;

pub use subject::base_subject;
pub use transfer::TransferDecoder;
pub use words::header;

use super::structure::{Encoding, TextPart};
use charset::Charset;
use html::Markup;
use unicode_normalization::char::decompose_compatible;

/// Folds by `i;unicode-casemap` (RFC 5051), runs of white space becoming one space: what is searched and what is
/// searched for are both folded.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut out = Vec::new();
    fold_into(text, &mut out);
    // Whole characters were put in; if ever not, they are mended rather than lost.
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// Appends the octets of what [`fold`] gives, without looking whether they are UTF-8, which they are if `out` was.
pub fn fold_into(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len());
    let mut out = Folded { bytes: out, space: false };
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, after) = rest.split_at(ascii_len(rest.as_bytes()));
        out.ascii_run(plain.as_bytes());
        let mut chars = after.chars();
        while let Some(c) = chars.next() {
            decompose_compatible(title_case(c), |c| out.push(c));
            if chars.as_str().bytes().next().is_none_or(|b| b.is_ascii()) {
                break;
            }
        }
        rest = chars.as_str();
    }
}

/// Octets that are looked at together, as one number.
const RUN: usize = 8;
const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * EACH;

/// How many octets at the beginning are ASCII.
fn ascii_len(bytes: &[u8]) -> usize {
    let (runs, _) = bytes.as_chunks::<RUN>();
    let from = RUN * runs.iter().take_while(|run| u64::from_le_bytes(**run) & HIGH == 0).count();
    bytes[from..].iter().position(|b| !b.is_ascii()).map_or(bytes.len(), |at| from + at)
}

/// The high bit of each of eight ASCII characters that is at least so much (1 to 127). What is taken from an octet is less than it
/// has, so no octet borrows of its neighbour.
fn least(run: u64, least: u8) -> u64 {
    ((run | HIGH) - u64::from(least) * EACH) & HIGH
}

/// Eight ASCII characters in upper case.
fn upper(run: u64) -> u64 {
    run ^ (least(run, b'a') & !least(run, b'z' + 1)) >> 2
}

struct Folded<'o> {
    bytes: &'o mut Vec<u8>,
    /// White space was last.
    space: bool,
}

impl Folded<'_> {
    fn ascii_run(&mut self, plain: &[u8]) {
        let (runs, rest) = plain.as_chunks::<RUN>();
        for octets in runs {
            let run = u64::from_le_bytes(*octets);
            let spaces = least(run, b' ') & !least(run, b' ' + 1);
            let before = spaces << 8 | if self.space { 0x80 } else { 0 };
            let other = least(run, b'\t') & !least(run, b'\r' + 1);
            // Where spaces stand alone and there is no other white space, only letters change.
            if spaces & before | other == 0 {
                self.bytes.extend_from_slice(&upper(run).to_le_bytes());
                self.space = spaces >> 63 == 1;
            } else {
                self.some(octets);
            }
        }
        self.some(rest);
    }

    /// At most [`RUN`] octets of ASCII, without a branch for any of them.
    fn some(&mut self, plain: &[u8]) {
        let (mut folded, mut len) = ([0; RUN], 0);
        for b in plain {
            let (white, last) = (is_white(*b), std::mem::replace(&mut self.space, is_white(*b)));
            folded[len % RUN] = if white { b' ' } else { b.to_ascii_uppercase() };
            len += usize::from(!(white && last));
        }
        self.bytes.extend_from_slice(&folded[..len]);
    }

    fn push(&mut self, c: char) {
        if c.is_whitespace() {
            self.some(b" ");
        } else {
            self.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            self.space = false;
        }
    }
}

/// The ASCII characters that `char::is_whitespace` knows.
fn is_white(b: u8) -> bool {
    matches!(b, b' ' | b'\t'..=b'\r')
}

/// The simple titlecase mapping of Unicode, which is the simple uppercase mapping but for a few characters; the
/// standard library has the full uppercase mapping.
fn title_case(c: char) -> char {
    match c {
        // Digraphs have a titlecase form of their own, in the middle of three.
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        // Georgian has no titlecase: these letters are mapped to themselves.
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => c,
        // Greek with iota subscript: one character in the simple mapping, two in the full one.
        '\u{1f80}'..='\u{1faf}' => char::from_u32(u32::from(c) | 8).unwrap_or(c),
        '\u{1fb3}' => '\u{1fbc}',
        '\u{1fc3}' => '\u{1fcc}',
        '\u{1ff3}' => '\u{1ffc}',
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}

/// Octets that are decoded at a time, so that what stands between two steps is small.
const STEP_BYTES: usize = 4096;

/// Decodes the octets of one text part while they stream in.
#[derive(Debug)]
pub struct TextDecoder {
    transfer: TransferDecoder,
    charset: Charset,
    markup: Option<Markup>,
    octets: Vec<u8>,
    text: String,
}

impl TextDecoder {
    /// For this part. An encoding that is not known is taken for none: such parts mostly name a charset there.
    #[must_use]
    pub fn new(part: &TextPart<'_>) -> TextDecoder {
        let known = TransferDecoder::new(part.encoding).or_else(|| TransferDecoder::new(Encoding::Identity));
        TextDecoder {
            transfer: known.unwrap_or_default(),
            charset: Charset::new(part.charset),
            markup: part.html.then(Markup::default),
            octets: Vec::new(),
            text: String::new(),
        }
    }

    /// The next octets of the part's content, in any fragmentation; appends what they say, markup removed, not folded.
    pub fn feed(&mut self, piece: &[u8], out: &mut String) {
        for step in piece.chunks(STEP_BYTES) {
            if self.transfer.is_identity() {
                decode(&mut self.charset, self.markup.as_mut(), step, &mut self.text, out);
            } else {
                self.octets.clear();
                self.transfer.feed(step, &mut self.octets);
                decode(&mut self.charset, self.markup.as_mut(), &self.octets, &mut self.text, out);
            }
        }
    }

    /// The part ends.
    pub fn finish(mut self, out: &mut String) {
        let mut rest = Vec::new();
        self.transfer.finish(&mut rest);
        decode(&mut self.charset, self.markup.as_mut(), &rest, &mut self.text, out);
        match self.markup {
            None => self.charset.finish(out),
            Some(mut markup) => {
                self.text.clear();
                self.charset.finish(&mut self.text);
                markup.feed(&self.text, out);
                markup.finish(out);
            }
        }
    }
}

fn decode(
    charset: &mut Charset,
    markup: Option<&mut Markup>,
    octets: &[u8],
    text: &mut String,
    out: &mut String,
) {
    match markup {
        None => charset.feed(octets, out),
        Some(markup) => {
            text.clear();
            charset.feed(octets, text);
            markup.feed(text, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folding() {
        for (text, folded) in [
            ("Hello  World", "HELLO WORLD"),
            (" \t\r\n a", " A"),
            // RFC 5051: titlecase, then full compatibility decomposition.
            ("Ärger", "A\u{308}RGER"),
            ("a\u{308}rger", "A\u{308}RGER"),
            ("straße", "STRAßE"),
            ("ﬁn", "fiN"),
            ("ǆ Ǆ ǅ", "Dz\u{30c} Dz\u{30c} Dz\u{30c}"),
            ("Σίσυφος ΣΊΣΥΦΟΣ", "ΣΙ\u{301}ΣΥΦΟΣ ΣΙ\u{301}ΣΥΦΟΣ"),
            ("ᾳ ᾼ", "Α\u{345} Α\u{345}"),
            ("ｆｕｌｌ", "FULL"),
            ("a\u{a0}\u{2003}b", "A B"),
            ("ჯ", "ჯ"),
            ("한", "\u{1112}\u{1161}\u{11ab}"),
            ("Жж", "ЖЖ"),
            ("", ""),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }

    proptest! {
        /// However long the runs of ASCII are, and wherever white space stands in them.
        #[test]
        fn folding_in_runs_is_folding_one_by_one(text in "[a-cXYZ09@`\\[{ \t\r\n\u{b}\u{1f}\u{fc}\u{a0}\u{2003}\u{fb01}]{0,120}|( ?[a-z]{1,9}){0,40}") {
            let (mut folded, mut space) = (String::new(), false);
            for c in text.chars() {
                decompose_compatible(title_case(c), |c| {
                    let white = c.is_whitespace();
                    if !(white && space) {
                        folded.push(if white { ' ' } else { c });
                    }
                    space = white;
                });
            }
            prop_assert_eq!(fold(&text), folded);
        }
    }

    pub(super) fn decoded(part: &TextPart<'_>, octets: &[u8]) -> String {
        let run = |cut: usize| {
            let mut decoder = TextDecoder::new(part);
            let mut out = String::new();
            octets.chunks(cut).for_each(|piece| decoder.feed(piece, &mut out));
            decoder.finish(&mut out);
            out
        };
        let whole = run(octets.len().max(1));
        for cut in 1..9 {
            assert_eq!(run(cut), whole, "cut every {cut}");
        }
        whole
    }

    fn part(encoding: Encoding, charset: &str, html: bool) -> TextPart<'_> {
        TextPart { body: 0..0, encoding, charset, html }
    }

    #[test]
    fn parts_are_decoded_in_any_cut() {
        use Encoding::{Base64, Identity, QuotedPrintable, Unknown};
        for (part, octets, text) in [
            (part(Identity, "", false), &b"plain \xc3\xbc \xfc\r\n"[..], "plain ü ü\r\n"),
            (part(Identity, "us-ascii", false), b"\xe2\x82\xac \xe2\x82", "€ â‚"),
            (part(Identity, "iso-8859-1", false), b"\xfc\x80", "ü€"),
            (part(Identity, "no-such", false), b"\xc3\xbc", "ü"),
            (part(Identity, "shift_jis", false), b"\x93\xfa\x96\x7b", "日本"),
            (part(Identity, "iso-2022-jp", false), b"\x1b$BF|K\\\x1b(B!", "日本!"),
            (part(Identity, "utf-16le", false), b"a\0\xfc\0", "aü"),
            (part(Identity, "utf-7", false), b"A+ImIDkQ.+ZeVnLIqe- +- x", "A\u{2262}\u{391}.日本語 + x"),
            (part(Base64, "utf-8", false), b"ZGllIFRv\r\nbiB1bmQgw7w=\r\n", "die Ton und ü"),
            (part(QuotedPrintable, "utf-8", false), b"a=C3=BC b=\r\nc  \r\nd = e", "aü bc\r\nd = e"),
            (part(Unknown, "utf-8", false), b"x=20y", "x=20y"),
            (
                part(QuotedPrintable, "utf-8", true),
                b"<p class=3D\"a>b\">A &amp; <b>w</b>ord</p>&eu=\r\nro;<style>x{}</style>",
                "\nA & word\n€",
            ),
            (part(Base64, "utf-8", true), b"PGI+eDwvYj4=", "x"),
        ] {
            assert_eq!(decoded(&part, octets), text);
        }
    }
}
