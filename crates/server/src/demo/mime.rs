//! Writing MIME (RFC 2045 to 2047) into a buffer, deterministically.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::{Encoding, UTF_8};
use std::fmt::Write as _;

/// Content-Transfer-Encoding (RFC 2045 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// As it is, ASCII.
    SevenBit,
    /// As it is.
    EightBit,
    /// Quoted-printable.
    Quoted,
    /// Base64.
    Base64,
}

/// A MIME entity.
#[derive(Clone, Debug)]
pub struct Part {
    fields: Vec<(&'static str, String)>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Leaf(Vec<u8>, Transfer),
    Parts(String, Vec<Part>),
}

impl Part {
    /// A leaf with its Content-Type.
    pub fn leaf(content_type: impl Into<String>, body: impl Into<Vec<u8>>, transfer: Transfer) -> Part {
        Part { fields: vec![("Content-Type", content_type.into())], body: Body::Leaf(body.into(), transfer) }
    }

    /// Text in UTF-8: 7bit if it is ASCII, else quoted-printable.
    pub fn text(subtype: &str, text: &str) -> Part {
        let transfer = if text.is_ascii() { Transfer::SevenBit } else { Transfer::Quoted };
        Part::leaf(format!("text/{subtype}; charset=utf-8"), text, transfer)
    }

    /// A multipart. `boundary` must not occur in the parts.
    pub fn multi(subtype: &str, boundary: &str, parts: Vec<Part>) -> Part {
        Part {
            fields: vec![("Content-Type", format!("multipart/{subtype}; boundary=\"{boundary}\""))],
            body: Body::Parts(boundary.to_owned(), parts),
        }
    }

    /// Adds a field.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Part {
        self.fields.push((name, value.into()));
        self
    }

    /// As an attachment with a file name.
    pub fn attached(self, name: &str) -> Part {
        self.with("Content-Disposition", format!("attachment; {}", parameter("filename", name)))
    }

    /// Writes it, fields first.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.fields {
            field(out, name, value);
        }
        match &self.body {
            Body::Leaf(bytes, transfer) => {
                let word = match transfer {
                    Transfer::SevenBit => "7bit",
                    Transfer::EightBit => "8bit",
                    Transfer::Quoted => "quoted-printable",
                    Transfer::Base64 => "base64",
                };
                field(out, "Content-Transfer-Encoding", word);
                out.extend_from_slice(b"\r\n");
                match transfer {
                    Transfer::SevenBit | Transfer::EightBit => out.extend_from_slice(bytes),
                    Transfer::Quoted => quoted_printable(out, bytes),
                    Transfer::Base64 => base64_lines(out, bytes),
                }
            }
            Body::Parts(boundary, parts) => {
                out.extend_from_slice(b"\r\n");
                for part in parts {
                    out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
                    part.write(out);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
            }
        }
    }
}

/// Writes a field, folded at spaces so that lines stay below 79 octets where spaces allow (RFC 5322 2.1.1).
pub fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut width = name.len() + 1;
    for (i, word) in value.split(' ').enumerate() {
        if i > 0 && width + 1 + word.len() > 78 {
            out.extend_from_slice(b"\r\n");
            width = 0;
        }
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
        width += 1 + word.len();
    }
    out.extend_from_slice(b"\r\n");
}

/// A text for a field: as it is if ASCII, else in encoded words (RFC 2047) of `charset`.
pub fn words(text: &str, charset: &'static Encoding, label: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut chunk = String::new();
    // At most 75 characters a word: octets of the charset take 4 for 3 in base64;
    // ISO-2022-JP adds up to 6 octets of shifts to each word.
    let room = (75 - label.len() - 7) / 4 * 3 - 6;
    for c in text.chars() {
        let with = {
            chunk.push(c);
            charset.encode(&chunk).0.len()
        };
        if with > room {
            chunk.pop();
            encoded_word(&mut out, &chunk, charset, label);
            chunk.clear();
            chunk.push(c);
        }
    }
    encoded_word(&mut out, &chunk, charset, label);
    out
}

/// [`words`] in UTF-8.
pub fn utf8_words(text: &str) -> String {
    words(text, UTF_8, "utf-8")
}

/// `Name <address>` with the name quoted or encoded as it needs.
pub fn mailbox(name: &str, address: &str) -> String {
    if name.is_empty() {
        address.to_owned()
    } else if !name.is_ascii() {
        format!("{} <{address}>", utf8_words(name))
    } else if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ') {
        format!("{name} <{address}>")
    } else {
        format!("\"{}\" <{address}>", name.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

fn encoded_word(out: &mut String, chunk: &str, charset: &'static Encoding, label: &str) {
    if !out.is_empty() {
        out.push(' ');
    }
    // Writing to a String does not fail.
    let _ = write!(out, "=?{label}?B?{}?=", STANDARD.encode(charset.encode(chunk).0));
}

/// `name="value"`, or in the form of RFC 2231 if it is not ASCII.
fn parameter(name: &str, value: &str) -> String {
    if value.is_ascii() {
        return format!("{name}=\"{value}\"");
    }
    let mut out = format!("{name}*=utf-8''");
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Quoted-printable (RFC 2045 6.7); CRLF stays a line end.
fn quoted_printable(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut width = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let at_line_end = bytes.get(i + 1..).is_none_or(|rest| rest.is_empty() || rest.starts_with(b"\r\n"));
        if byte == b'\n' || (byte == b'\r' && bytes.get(i + 1) == Some(&b'\n')) {
            out.push(byte);
            width = 0;
            continue;
        }
        let plain =
            matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && !at_line_end);
        let needs = if plain { 1 } else { 3 };
        if width + needs > 75 {
            out.extend_from_slice(b"=\r\n");
            width = 0;
        }
        if plain {
            out.push(byte);
        } else {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'=', HEX[high], HEX[low]]);
        }
        width += needs;
    }
}

/// Base64 in lines of 76 (RFC 2045 6.8).
fn base64_lines(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() / 3 * 4 + bytes.len() / 28 + 8);
    let mut line = [0; 76];
    for chunk in bytes.chunks(57) {
        // 57 octets make 76 characters, so the slice always suffices.
        let length = STANDARD.encode_slice(chunk, &mut line).unwrap_or(0);
        out.extend_from_slice(&line[..length]);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_fold_at_spaces() {
        let mut out = Vec::new();
        field(&mut out, "Subject", &"wort ".repeat(30));
        for line in String::from_utf8(out).unwrap().lines() {
            assert!(line.len() <= 78 && !line.trim().is_empty() || line == " ", "{line:?}");
        }
    }

    #[test]
    fn encoded_words_are_short_and_each_decodes_alone() {
        let text = "Überraschung für Jürgen: 日本語の件名はとても長いことがあります 🎉";
        for word in utf8_words(text).split(' ') {
            assert!(word.len() <= 75 && word.starts_with("=?utf-8?B?") && word.ends_with("?="), "{word}");
            let inner = STANDARD.decode(&word[10..word.len() - 2]).unwrap();
            assert!(String::from_utf8(inner).is_ok());
        }
        let jis = Encoding::for_label(b"iso-2022-jp").unwrap();
        let japanese = "お打ち合わせの日程についてのご相談がございます、どうぞよろしくお願いします";
        let mut back = String::new();
        for word in words(japanese, jis, "ISO-2022-JP").split(' ') {
            assert!(word.len() <= 75, "{word}");
            let inner = STANDARD.decode(&word[16..word.len() - 2]).unwrap();
            assert!(inner.ends_with(b"\x1b(B"), "a word ends in ASCII, RFC 2047 and RFC 1468");
            back.push_str(&jis.decode(&inner).0);
        }
        assert_eq!(back, japanese);
    }

    #[test]
    fn quoted_printable_known_answers() {
        let qp = |text: &str| {
            let mut out = Vec::new();
            quoted_printable(&mut out, text.as_bytes());
            String::from_utf8(out).unwrap()
        };
        assert_eq!(qp("a=b \r\né\t"), "a=3Db=20\r\n=C3=A9=09");
        assert_eq!(qp(&"x".repeat(80)), format!("{}=\r\n{}", "x".repeat(75), "x".repeat(5)));
    }

    #[test]
    fn parameters() {
        assert_eq!(parameter("filename", "a b.pdf"), "filename=\"a b.pdf\"");
        assert_eq!(parameter("filename", "é.pdf"), "filename*=utf-8''%C3%A9.pdf");
    }

    #[test]
    fn mailboxes() {
        assert_eq!(mailbox("", "a@b"), "a@b");
        assert_eq!(mailbox("A B", "a@b"), "A B <a@b>");
        assert_eq!(mailbox("B, A \"x\"", "a@b"), "\"B, A \\\"x\\\"\" <a@b>");
        assert!(mailbox("Jürgen", "a@b").starts_with("=?utf-8?B?"));
    }
}
