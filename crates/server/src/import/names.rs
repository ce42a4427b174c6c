//! What names and header fields tell: mailboxes and flags.

use super::Marks;
use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::path::Path;

/// Characters of one level of a mailbox name; what is longer is cut.
const LEVEL_CHARS_MAX: usize = 200;

/// Decodes modified UTF-7 (RFC 3501 5.1.3), in which Maildir++ writes names. What
/// does not decode stays as it is.
pub fn decode_utf7(name: &str) -> String {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &IMAP_MUTF7,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::RequireNone)
            .with_decode_allow_trailing_bits(true),
    );
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(shift) = rest.find('&') {
        out.push_str(&rest[..shift]);
        let Some(end) = rest[shift..].find('-') else { return name.to_owned() };
        let coded = &rest[shift + 1..shift + end];
        rest = &rest[shift + end + 1..];
        if coded.is_empty() {
            out.push('&');
            continue;
        }
        let Ok(octets) = ENGINE.decode(coded) else { return name.to_owned() };
        let (pairs, odd) = octets.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
        match String::from_utf16(&units) {
            Ok(text) if odd.is_empty() && !text.is_empty() => out.push_str(&text),
            _ => return name.to_owned(),
        }
    }
    out.push_str(rest);
    out
}

/// A level of a mailbox name: no separator, no control characters, not endless, not empty.
pub fn level(name: &str) -> String {
    let name: String = name
        .trim()
        .chars()
        .map(|c| if c == '/' || c.is_control() { '_' } else { c })
        .take(LEVEL_CHARS_MAX)
        .collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

/// Flags behind `:2,` in a Maildir file name (`;2,` and `!2,` where a file system forbids the colon).
pub fn maildir_marks(path: &Path) -> Marks {
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    let flags = [":2,", ";2,", "!2,"].iter().find_map(|sign| Some(name.rsplit_once(sign)?.1)).unwrap_or("");
    Marks {
        seen: flags.contains('S'),
        answered: flags.contains('R'),
        flagged: flags.contains('F'),
        deleted: flags.contains('T'),
        draft: flags.contains('D'),
    }
}

/// Flags in the fields that mbox programs write: Status, X-Status, X-Mozilla-Status.
pub fn mbox_marks(fields: &[(String, String)]) -> Marks {
    let status = field(fields, "status").unwrap_or("");
    let more = field(fields, "x-status").unwrap_or("");
    let mozilla = field(fields, "x-mozilla-status")
        .and_then(|value| u32::from_str_radix(value.trim(), 16).ok())
        .unwrap_or(0);
    Marks {
        seen: status.contains('R') || mozilla & 0x1 != 0,
        answered: more.contains('A') || mozilla & 0x2 != 0,
        flagged: more.contains('F') || mozilla & 0x4 != 0,
        deleted: more.contains('D') || mozilla & 0x8 != 0,
        draft: more.contains('T'),
    }
}

/// The note that the c-client family keeps as the first "message" of a file.
pub fn is_folder_note(fields: &[(String, String)]) -> bool {
    let subject = field(fields, "subject").unwrap_or("");
    (field(fields, "x-imap").is_some() || field(fields, "x-imapbase").is_some())
        && subject.starts_with("DON'T DELETE THIS MESSAGE")
}

/// The first field of a lower-case name.
pub fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// The fields of a header, names in lower case, values unfolded; it ends at an
/// empty line or a line that is no field.
pub fn fields(raw: &[u8]) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for line in raw.split(|b| *b == b'\n') {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        if line.starts_with([' ', '\t']) {
            match out.last_mut() {
                Some((_, value)) => value.push_str(&line),
                None => break,
            }
        } else if let Some((name, value)) = line.split_once(':') {
            out.push((name.trim_end().to_ascii_lowercase(), value.trim_start().to_owned()));
        } else {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf7_known_answers() {
        // The second is the example of RFC 3501 5.1.3.
        for (coded, text) in [
            ("Gel&APY-scht", "Gelöscht"),
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("R&-D", "R&D"),
            ("&2D3eAA-", "😀"),
            ("plain", "plain"),
            ("a&b", "a&b"),
            ("a&!-b", "a&!-b"),
            ("&2D0-", "&2D0-"),
            ("&AA-", "&AA-"),
        ] {
            assert_eq!(decode_utf7(coded), text, "{coded}");
        }
    }

    #[test]
    fn levels_are_safe() {
        assert_eq!(level(" a/b\u{7}\n "), "a_b_");
        assert_eq!(level(""), "_");
        assert_eq!(level(&"é".repeat(500)).chars().count(), LEVEL_CHARS_MAX);
    }

    #[test]
    fn marks() {
        let all = Marks { seen: true, answered: true, flagged: true, deleted: true, draft: true };
        assert_eq!(maildir_marks(Path::new("x/1.M2.host:2,DFRSTabc")), all);
        assert_eq!(maildir_marks(Path::new("x/1.M2.host;2,S")), Marks { seen: true, ..Marks::default() });
        assert_eq!(maildir_marks(Path::new("x/SRF.host")), Marks::default());
        assert_eq!(mbox_marks(&fields(b"Status: RO\nX-Status: AFDT\n")), all);
        let mozilla = mbox_marks(&fields(b"X-Mozilla-Status: 000d\n"));
        assert_eq!(mozilla, Marks { seen: true, flagged: true, deleted: true, ..Marks::default() });
    }

    #[test]
    fn fields_unfold_and_stop() {
        let read = fields(b"A: 1\r\n  2\r\nB :x\r\n\r\nC: body\r\n");
        assert_eq!(read, [("a".into(), "1  2".into()), ("b".into(), "x".into())]);
        assert_eq!(fields(b" folded\nA: 1\n"), []);
    }
}
