//! Encoded words in header fields (RFC 2047).

use super::charset::{self, Charset};
use super::transfer::{TransferDecoder, hex};
use crate::message::structure::Encoding;
use crate::message::wire::clean;

/// Decodes encoded words (RFC 2047) and stray 8-bit octets of a header field's value; unfolds it.
///
/// Encoded words are recognised wherever they stand, also within quotes and without white space around them, because they
/// are written so. Neighbours of one charset are joined before they are decoded, since some programs cut characters in two.
#[must_use]
pub fn header(value: &[u8]) -> String {
    let value = clean(value);
    if value.iter().all(|b| matches!(b, b' '..=b'~') && *b != b'=') {
        return String::from_utf8_lossy(&value).into_owned();
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = &value[..];
    // The octets of encoded words of one charset that follow each other.
    let mut run: Option<(&[u8], Vec<u8>)> = None;
    while !rest.is_empty() {
        let begin =
            memchr::memchr_iter(b'=', rest).find(|n| rest.get(n + 1) == Some(&b'?')).unwrap_or(rest.len());
        let word = Word::parse(&rest[begin..]);
        let plain_len = match &word {
            Some(_) => begin,
            // No encoded word begins there: go on behind it.
            None => (begin + 2).min(rest.len()),
        };
        let (plain, after) = rest.split_at(plain_len);
        rest = after;
        // White space between two encoded words is there only to part them (RFC 2047 6.2).
        if run.is_none() || word.is_none() || !plain.trim_ascii().is_empty() {
            flush(&mut run, &mut out);
            charset::undeclared(plain, &mut out);
        }
        if let Some(word) = word {
            if run.as_ref().is_none_or(|(charset, _)| !charset.eq_ignore_ascii_case(word.charset)) {
                flush(&mut run, &mut out);
            }
            let (_, octets) = run.get_or_insert_with(|| (word.charset, Vec::new()));
            word.decode(octets);
            rest = &rest[word.len..];
        }
    }
    flush(&mut run, &mut out);
    // Encoded words may hold line ends and other controls, which no field's value has.
    if out.contains(|c: char| c.is_control() && c != '\t') {
        out = out
            .chars()
            .filter_map(|c| if c.is_control() { c.is_whitespace().then_some(' ') } else { Some(c) })
            .collect();
    }
    out
}

fn flush(run: &mut Option<(&[u8], Vec<u8>)>, out: &mut String) {
    let Some((name, octets)) = run.take() else { return };
    // The name was checked to be ASCII.
    let mut charset = Charset::new(std::str::from_utf8(name).unwrap_or_default());
    charset.feed(&octets, out);
    charset.finish(out);
}

/// `=?charset*language?encoding?text?=`
struct Word<'a> {
    charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
    len: usize,
}

impl<'a> Word<'a> {
    /// The encoded word at the beginning.
    fn parse(bytes: &'a [u8]) -> Option<Word<'a>> {
        let rest = bytes.strip_prefix(b"=?")?;
        let name = rest.iter().take(64).position(|b| *b == b'?')?;
        let charset = &rest[..name];
        if charset.is_empty() || !charset.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let base64 = match rest.get(name + 1)? {
            b'b' | b'B' => true,
            b'q' | b'Q' => false,
            _ => return None,
        };
        if rest.get(name + 2) != Some(&b'?') {
            return None;
        }
        let text = &rest[name + 3..];
        let end = memchr::memchr_iter(b'?', text).find(|n| text.get(n + 1) == Some(&b'='))?;
        let language = charset.iter().position(|b| *b == b'*').unwrap_or(name);
        Some(Word { charset: &charset[..language], base64, text: &text[..end], len: 2 + name + 3 + end + 2 })
    }

    fn decode(&self, out: &mut Vec<u8>) {
        if self.base64 {
            if let Some(mut decoder) = TransferDecoder::new(Encoding::Base64) {
                decoder.feed(self.text, out);
                decoder.finish(out);
            }
            return;
        }
        let mut at = 0;
        while let Some(&b) = self.text.get(at) {
            at += 1;
            match (b, self.text.get(at..at + 2)) {
                (b'_', _) => out.push(b' '),
                (b'=', Some([high, low])) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    out.push(hex(*high) << 4 | hex(*low));
                    at += 2;
                }
                _ => out.push(b),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values() {
        for (value, text) in [
            ("", ""),
            ("plain  text", "plain  text"),
            (" folded\r\n text\r\n", "folded text"),
            ("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
            ("=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
            (
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
                "If you can read this you understand the example.",
            ),
            // RFC 2047 8.
            ("(=?ISO-8859-1?Q?a?=)", "(a)"),
            ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=  \r\n\t =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
            // A character cut in two, in either encoding.
            ("=?utf-8?Q?=C3?= =?UTF-8?Q?=BC?=", "ü"),
            ("=?utf-8?B?w7w=?= =?utf-8?b?w?= =?utf-8?B?w7w=?=", "üü"),
            ("=?utf-8?Q?=C3?= =?utf-8?B?vA==?=", "ü"),
            ("=?utf-8*en?Q?a?=x\"=?utf-8?q?=3D?=\"", "ax\"=\""),
            (
                "=?utf-8?Q?with space?= and =?utf-8?X?no?= =?utf-8?Q?open",
                "with space and =?utf-8?X?no?= =?utf-8?Q?open",
            ),
            ("=?no-such?Q?=C3=BC?=", "ü"),
            ("=?utf-7?Q?+AKM-?=", "£"),
            ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
            ("=?utf-8?Q?a=0D=0Ab=00?=", "a  b"),
            ("=?=?=??=?", "=?=?=??=?"),
            ("ü raw", "ü raw"),
        ] {
            assert_eq!(header(value.as_bytes()), text, "{value}");
        }
        assert_eq!(header(b"gr\xfc\xdfe"), "grüße");
        assert_eq!(header(b"gr\xfc\xdfe =?utf-8?Q?=C3=BC?= \xc3\xbc"), "grüße ü ü");
    }

    proptest! {
        #[test]
        fn any_octets_give_one_line(value in proptest::collection::vec(prop_oneof![
            Just(b'='), Just(b'?'), Just(b'Q'), Just(b'B'), Just(b' '), Just(b'u'), any::<u8>()], 0..80)) {
            prop_assert!(!header(&value).contains(['\r', '\n', '\0']));
        }
    }
}
