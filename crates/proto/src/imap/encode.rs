//! Pieces of answers, written straight into the output.
//!
//! Each function writes one syntactic element and no space around it. What must hold: whatever
//! text or bytes come in, what goes out is well-formed. Strings are of octets that came
//! from messages and from users: NUL, which no string may have (RFC 9051 4.3.1), is left out.

use super::command::{Section, SectionText};
use super::name;
use crate::date;

/// Octets that are written in quotes at most; longer strings are literals, which
/// clients read without looking at each octet.
const QUOTED_BYTES_MAX: usize = 1024;

/// A number.
pub fn number(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A string: quoted where it can be, else a literal. `utf8`: UTF-8 may stand in quotes.
pub fn string(text: &[u8], utf8: bool, out: &mut Vec<u8>) {
    let mut seen = 0;
    for &byte in text {
        seen |= CLASS[usize::from(byte)];
    }
    if seen & NUL != 0 {
        let without: Vec<u8> = text.iter().copied().filter(|&byte| byte != 0).collect();
        return string(&without, utf8, out);
    }
    let quotable = text.len() <= QUOTED_BYTES_MAX
        && seen & UNQUOTABLE == 0
        && (seen & EIGHT_BIT == 0 || (utf8 && std::str::from_utf8(text).is_ok()));
    if !quotable {
        return literal(text, out);
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    if seen & ESCAPED == 0 {
        out.extend_from_slice(text);
    } else {
        for &byte in text {
            if CLASS[usize::from(byte)] & ESCAPED != 0 {
                out.push(b'\\');
            }
            out.push(byte);
        }
    }
    out.push(b'"');
}

/// A string, or NIL.
pub fn nstring(text: Option<&[u8]>, utf8: bool, out: &mut Vec<u8>) {
    match text {
        Some(text) => string(text, utf8, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// An atom where it can be one, else a string: for the names of users and entries. `NIL` is
/// written in quotes, since clients take the atom for an absent value.
pub fn astring(text: &[u8], utf8: bool, out: &mut Vec<u8>) {
    let atom = text.iter().all(|&byte| CLASS[usize::from(byte)] & NOT_ATOM == 0);
    if atom && !text.is_empty() && !text.eq_ignore_ascii_case(b"NIL") {
        out.extend_from_slice(text);
    } else {
        string(text, utf8, out);
    }
}

/// A mailbox name: modified UTF-7, or UTF-8 with `utf8`.
pub fn mailbox(name: &str, utf8: bool, out: &mut Vec<u8>) {
    // Most names are the same in both.
    if utf8 || name.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'&') {
        return astring(name.as_bytes(), utf8, out);
    }
    let mut encoded = Vec::with_capacity(name.len() * 2);
    name::to_utf7(name, &mut encoded);
    astring(&encoded, false, out);
}

/// `"17-Jul-1996 02:44:25 +0000"`. A year has four digits: moments outside the years 1 to 9999
/// are written as the nearest inside.
pub fn date_time(unix: i64, out: &mut Vec<u8>) {
    let seconds = unix.clamp(date::UNIX_YEAR_1, date::UNIX_MAX);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date::civil(days);
    let mut text = *b"\"00-xxx-0000 00:00:00 +0000\"";
    // All values are below 100 (the year's halves too), and the month's index below 12.
    let mut two = |at: usize, value: i64| {
        text[at] = b'0' + (value / 10) as u8;
        text[at + 1] = b'0' + (value % 10) as u8;
    };
    two(1, day);
    two(8, year / 100);
    two(10, year % 100);
    two(13, second / 3600);
    two(16, second / 60 % 60);
    two(19, second % 60);
    if day < 10 {
        // `date-day-fixed` (RFC 9051): a space in the place of the first digit.
        text[1] = b' ';
    }
    text[4..7].copy_from_slice(date::MONTHS[month as usize].as_bytes());
    out.extend_from_slice(&text);
}

/// System flags and keywords in parentheses. `system` has bit 0 for `\Seen`, then `\Answered`, `\Flagged`,
/// `\Deleted`, `\Draft`; bit 8 and up are the `keywords` in their order.
pub fn flags(bits: u64, keywords: &[String], out: &mut Vec<u8>) {
    out.push(b'(');
    let start = out.len();
    let mut left = bits & SYSTEM_FLAGS_MASK;
    while left != 0 {
        out.extend_from_slice(SYSTEM_FLAGS[left.trailing_zeros() as usize].as_bytes());
        out.push(b' ');
        left &= left - 1;
    }
    let mut left = bits >> KEYWORD_BIT;
    while left != 0 {
        // A bit without a name has no meaning here and is left out.
        if let Some(keyword) = keywords.get(left.trailing_zeros() as usize) {
            out.extend_from_slice(keyword.as_bytes());
            out.push(b' ');
        }
        left &= left - 1;
    }
    if out.len() > start {
        out.pop();
    }
    out.push(b')');
}

/// The section between `[` and `]`, as an answer names it.
pub fn section(section: &Section, out: &mut Vec<u8>) {
    for (at, &part) in section.part.iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        number(u64::from(part), out);
    }
    if !section.part.is_empty() && section.text != SectionText::All {
        out.push(b'.');
    }
    match &section.text {
        SectionText::All => {}
        SectionText::Header => out.extend_from_slice(b"HEADER"),
        SectionText::Text => out.extend_from_slice(b"TEXT"),
        SectionText::Mime => out.extend_from_slice(b"MIME"),
        SectionText::HeaderFields { names, not } => {
            out.extend_from_slice(if *not { b"HEADER.FIELDS.NOT (" } else { b"HEADER.FIELDS (" });
            for (at, name) in names.iter().enumerate() {
                if at > 0 {
                    out.push(b' ');
                }
                astring(name.as_bytes(), false, out);
            }
            out.push(b')');
        }
    }
}

/// The flags of bits 0 to 4.
pub(super) const SYSTEM_FLAGS: [&str; 5] = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"];
const SYSTEM_FLAGS_MASK: u64 = (1 << SYSTEM_FLAGS.len()) - 1;
const KEYWORD_BIT: u32 = 8;

fn literal(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 24);
    out.push(b'{');
    number(text.len() as u64, out);
    out.extend_from_slice(b"}\r\n");
    out.extend_from_slice(text);
}

/// Must be a literal: CR, LF, and the controls that a terminal would act on.
const UNQUOTABLE: u8 = 1;
/// `"` and `\`.
const ESCAPED: u8 = 2;
const EIGHT_BIT: u8 = 4;
const NUL: u8 = 8;
/// `atom-specials` without `]`, which an astring may have.
const NOT_ATOM: u8 = 16;

/// What an octet means for a string that has it.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            0 => NUL | NOT_ATOM,
            b'\t' | b' ' | b'(' | b')' | b'{' | b'%' | b'*' => NOT_ATOM,
            1..=0x1f | 0x7f => UNQUOTABLE | NOT_ATOM,
            b'"' | b'\\' => ESCAPED | NOT_ATOM,
            0x80..=0xff => EIGHT_BIT | NOT_ATOM,
            _ => 0,
        };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        out.escape_ascii().to_string().replace("\\\"", "\"").replace("\\\\", "\\")
    }

    #[test]
    fn numbers() {
        for value in [0, 7, 10, 4_294_967_295, u64::MAX] {
            assert_eq!(written(|out| number(value, out)), value.to_string());
        }
    }

    #[test]
    fn strings() {
        for (text, utf8, expected) in [
            (&b""[..], false, r#""""#),
            (b"a b", false, r#""a b""#),
            (br#"a"b\c"#, false, r#""a\"b\\c""#),
            (b"a\r\nb", false, r"{4}\r\na\r\nb"),
            (b"a\x01", true, r"{2}\r\na\x01"),
            (b"a\0b\0", false, r#""ab""#),
            (b"\0\r", false, r"{1}\r\n\r"),
            (b"\xc3\xbc", false, r"{2}\r\n\xc3\xbc"),
            (b"\xc3\xbc", true, r#""\xc3\xbc""#),
            (b"\xc3", true, r"{1}\r\n\xc3"),
        ] {
            assert_eq!(written(|out| string(text, utf8, out)), expected);
        }
        assert_eq!(written(|out| nstring(None, false, out)), "NIL");
        let long = vec![b'x'; QUOTED_BYTES_MAX + 1];
        assert!(written(|out| string(&long, false, out)).starts_with("{1025}"));
        assert!(written(|out| string(&long[1..], false, out)).starts_with("\"xxx"));
    }

    #[test]
    fn atoms_and_names() {
        for (text, expected) in [
            ("INBOX", "INBOX"),
            ("", r#""""#),
            ("nil", r#""nil""#),
            ("a b", r#""a b""#),
            ("a]b[", "a]b["),
            ("a%", r#""a%""#),
            ("/private/comment", "/private/comment"),
        ] {
            assert_eq!(written(|out| astring(text.as_bytes(), false, out)), expected);
        }
        assert_eq!(written(|out| mailbox("INBOX/Sent Mail", false, out)), r#""INBOX/Sent Mail""#);
        assert_eq!(written(|out| mailbox("Müll", true, out)), r#""M\xc3\xbcll""#);
    }

    #[test]
    fn dates() {
        for (unix, expected) in [
            (837_571_465, r#""17-Jul-1996 02:44:25 +0000""#),
            (0, r#"" 1-Jan-1970 00:00:00 +0000""#),
            (-1, r#""31-Dec-1969 23:59:59 +0000""#),
            (951_782_400, r#""29-Feb-2000 00:00:00 +0000""#),
            (i64::MAX, r#""31-Dec-9999 23:59:59 +0000""#),
            (i64::MIN, r#"" 1-Jan-0001 00:00:00 +0000""#),
        ] {
            assert_eq!(written(|out| date_time(unix, out)), expected);
        }
    }

    #[test]
    fn flags_in_order() {
        let keywords = ["$Forwarded".to_owned(), "todo".to_owned()];
        for (bits, expected) in [
            (0, "()"),
            (1, r"(\Seen)"),
            (0b11111, r"(\Seen \Answered \Flagged \Deleted \Draft)"),
            (0x201, r"(\Seen todo)"),
            (!0x1f, "($Forwarded todo)"),
        ] {
            assert_eq!(written(|out| flags(bits, &keywords, out)), expected);
        }
    }

    #[test]
    fn sections() {
        let fields = |not| SectionText::HeaderFields { names: vec!["From".into(), "X (y)".into()], not };
        for (part, text, expected) in [
            (vec![], SectionText::All, ""),
            (vec![1, 2], SectionText::All, "1.2"),
            (vec![], SectionText::Header, "HEADER"),
            (vec![3], SectionText::Mime, "3.MIME"),
            (vec![3], SectionText::Text, "3.TEXT"),
            (vec![], fields(false), r#"HEADER.FIELDS (From "X (y)")"#),
            (vec![4], fields(true), r#"4.HEADER.FIELDS.NOT (From "X (y)")"#),
        ] {
            assert_eq!(written(|out| section(&Section { part, text }, out)), expected);
        }
    }

    /// Reads one string as a client does; `None` if it is none, or something follows.
    fn read(bytes: &[u8]) -> Option<Vec<u8>> {
        if let Some(rest) = bytes.strip_prefix(b"{") {
            let close = rest.iter().position(|&byte| byte == b'}')?;
            let count: usize = std::str::from_utf8(&rest[..close]).ok()?.parse().ok()?;
            let text = rest[close + 1..].strip_prefix(b"\r\n")?;
            return (text.len() == count && !text.contains(&0)).then(|| text.to_vec());
        }
        let inner = bytes.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let (mut text, mut octets) = (Vec::new(), inner.iter());
        while let Some(&octet) = octets.next() {
            match octet {
                b'\\' => text.push(*octets.next().filter(|next| matches!(next, b'"' | b'\\'))?),
                0 | b'\r' | b'\n' | b'"' => return None,
                other => text.push(other),
            }
        }
        Some(text)
    }

    proptest! {
        #[test]
        fn what_goes_out_is_what_came_in(text: Vec<u8>, utf8: bool) {
            let mut out = Vec::new();
            string(&text, utf8, &mut out);
            let wanted: Vec<u8> = text.into_iter().filter(|&byte| byte != 0).collect();
            prop_assert_eq!(read(&out), Some(wanted));
            let seven_bit = out[0] == b'{' || out.is_ascii();
            prop_assert!(utf8 || seven_bit);
        }
    }
}
