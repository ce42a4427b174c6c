//! Mailbox names on the wire: modified UTF-7 (RFC 3501 5.1.3) or UTF-8.
//!
//! What must hold: a name has exactly one form in modified UTF-7, the one that [`to_utf7`]
//! writes, and [`from_utf7`] takes no other; so two clients cannot name one mailbox in two ways,
//! and no name hides a character in base64 that would be refused in the open.
//! Which characters a name may have is decided by [`is_allowed`]; levels are not looked at here.

/// The name that modified UTF-7 stands for; `None` if it is not well-formed.
///
/// Strict as RFC 3501 5.1.3 asks: no printable ASCII in base64, no shift that could have been
/// left out, whole UTF-16, and zero bits behind the last character.
#[must_use]
pub fn from_utf7(bytes: &[u8]) -> Option<String> {
    let mut name = String::with_capacity(bytes.len());
    let mut rest = bytes;
    // Where a base64 run ended: another one directly behind it would be one run cut in two.
    let mut shifted = false;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'&' => {
                let end = memchr::memchr(b'-', rest)?;
                let (run, behind) = (&rest[..end], &rest[end + 1..]);
                rest = behind;
                if run.is_empty() {
                    name.push('&');
                    shifted = false;
                } else if shifted {
                    return None;
                } else {
                    decode_run(run, &mut name)?;
                    shifted = true;
                }
            }
            0x20..=0x7e => {
                name.push(char::from(byte));
                shifted = false;
            }
            _ => return None,
        }
    }
    Some(name)
}

/// A name in modified UTF-7.
pub fn to_utf7(name: &str, out: &mut Vec<u8>) {
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(is_open(!is_open_char(first))).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        rest = behind;
        if is_open_char(first) {
            for byte in run.bytes() {
                out.push(byte);
                if byte == b'&' {
                    out.push(b'-');
                }
            }
        } else {
            encode_run(run, out);
        }
    }
}

/// May stand in the name of a mailbox: all but control characters and the two separators of lines
/// and paragraphs (RFC 6855 section 3, RFC 5198 section 2).
#[must_use]
pub fn is_allowed(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{2028}' | '\u{2029}')
}

/// `INBOX` in any letter case is `INBOX`, as a first level too (`inbox/x`).
#[must_use]
pub fn canonical(name: String) -> String {
    match name.get(..5) {
        Some(head)
            if head.eq_ignore_ascii_case("INBOX") && matches!(name.as_bytes().get(5), None | Some(b'/')) =>
        {
            let mut name = name;
            name.replace_range(..5, "INBOX");
            name
        }
        _ => name,
    }
}

/// Stands for itself in modified UTF-7 (`&` as `&-`).
fn is_open_char(character: char) -> bool {
    matches!(character, ' '..='~')
}

fn is_open(wanted: bool) -> impl Fn(char) -> bool {
    move |character| is_open_char(character) == wanted
}

/// Base64 with `,` for `/` and no padding (RFC 3501 5.1.3).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

fn decode_digit(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b',' => 63,
        _ => return None,
    }))
}

/// What stands between `&` and `-`.
fn decode_run(run: &[u8], name: &mut String) -> Option<()> {
    let (mut bits, mut count) = (0u32, 0u32);
    let mut high: Option<u32> = None;
    for &byte in run {
        bits = bits << 6 | decode_digit(byte)?;
        count += 6;
        if count < 16 {
            continue;
        }
        count -= 16;
        let unit = bits >> count & 0xffff;
        bits &= (1 << count) - 1;
        let scalar = match (high.take(), unit) {
            (None, 0xd800..=0xdbff) => {
                high = Some(unit - 0xd800);
                continue;
            }
            (None, _) => unit,
            (Some(high), 0xdc00..=0xdfff) => 0x10000 + (high << 10) + (unit - 0xdc00),
            (Some(_), _) => return None,
        };
        // A low surrogate on its own is no `char` either.
        let character = char::from_u32(scalar)?;
        if is_open_char(character) {
            return None;
        }
        name.push(character);
    }
    (high.is_none() && count < 6 && bits == 0).then_some(())
}

fn encode_run(run: &str, out: &mut Vec<u8>) {
    out.push(b'&');
    let (mut bits, mut count) = (0u32, 0u32);
    for unit in run.encode_utf16() {
        bits = bits << 16 | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            out.push(ALPHABET[(bits >> count & 0x3f) as usize]);
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        out.push(ALPHABET[(bits << (6 - count) & 0x3f) as usize]);
    }
    out.push(b'-');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wire(name: &str) -> String {
        let mut out = Vec::new();
        to_utf7(name, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_names() {
        for (utf7, name) in [
            ("INBOX", "INBOX"),
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("&Jjo-!", "☺!"),
            ("&U,BTF2XlZyyKng-", "台北日本語"),
            ("AT&-T", "AT&T"),
            ("&-&-", "&&"),
            ("Entw&APw-rfe", "Entwürfe"),
            ("&2D3eAA-", "😀"),
            ("&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-", "Отправленные"),
            ("", ""),
        ] {
            assert_eq!(from_utf7(utf7.as_bytes()).as_deref(), Some(name));
            assert_eq!(wire(name), utf7);
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for utf7 in [
            "&Jjo!",              // RFC 3501 5.1.3: does not return to ASCII
            "&U,BTFw-&ZeVnLIqe-", // its superfluous shift
            "&AGE-",              // "a", which stands for itself
            "&ACY-",              // "&" is "&-"
            "&",
            "x&",
            "&AP-",   // 12 bits are no character
            "&APx-",  // bits behind the last character
            "&APwA-", // a digit more than needed
            "&2D0-",  // half a pair
            "&3gA-",
            "&2D0A,A-",
            "&AP/8-", // the alphabet of ordinary base64
            "&APw=-",
            "\u{fc}",
            "a\tb",
            "\x7f",
        ] {
            assert_eq!(from_utf7(utf7.as_bytes()), None, "{utf7}");
        }
    }

    #[test]
    fn inbox_in_any_case() {
        for (given, name) in [
            ("inbox", "INBOX"),
            ("InBoX/a", "INBOX/a"),
            ("inboxes", "inboxes"),
            ("inbo", "inbo"),
            ("ünbox", "ünbox"),
        ] {
            assert_eq!(canonical(given.into()), name);
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "\\PC{0,20}|[a&ü\u{1f600}日 -]{0,20}") {
            prop_assert_eq!(from_utf7(wire(&name).as_bytes()), Some(name));
        }

        #[test]
        fn one_form_for_each_name(bytes in "[&A-Za-d,+0-9-]{0,12}|(&[A-H][A-Za-z][A-Z0-9]-|a|&-){0,4}") {
            if let Some(name) = from_utf7(bytes.as_bytes()) {
                prop_assert_eq!(wire(&name), bytes);
            }
        }
    }
}
