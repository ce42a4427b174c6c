//! A message for clients that know ASCII headers only (RFC 6856 section 2.1, RFC 6858).
//!
//! The header passes through field by field; one with UTF-8 in it is written anew: encoded words
//! (RFC 2047), domains as A-labels, parameters as RFC 2231 has them. An address whose local part has no such form
//! becomes a name beside an address that leads nowhere. A field of which nothing would be left true is left out.
//!
//! What must hold: what is ASCII passes unchanged, and so does the body, whose encoding is MIME's affair; a field that is not
//! UTF-8 either is somebody's old charset, which the client may guess better than we. At most
//! [`FIELD_BYTES_MAX`] are held. Deliberately not here: the headers of parts, and sizes (RFC 6856 asks for LIST to match where
//! it can: the size that is told is that of the message itself).

use super::header::{self, Field};
use super::mailboxes::{self, Entry};
use super::mime::{self, Param};
use crate::address::{domain_to_ascii, quoted};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;

/// Octets of one field that are held to be looked at; a longer one has `?` for what is not ASCII.
pub const FIELD_BYTES_MAX: usize = 64 << 10;
/// Octets of text in one encoded word: 60 of base64, 12 around them, of 75 at most (RFC 2047 section 2).
const WORD_TEXT_BYTES: usize = 45;
/// Octets of a line before it is folded (RFC 5322 section 2.1.1).
const LINE_BYTES: usize = 76;
/// Stands for an address that ASCII cannot write; `.invalid` never exists (RFC 6761 section 6.4).
const NOWHERE: &str = "<invalid@internationalized-address.invalid>";

const OF_ADDRESSES: [&str; 11] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
];
/// Fields for programs: an encoded word in them would mean something else (RFC 2047 section 5).
const FOR_PROGRAMS: [&str; 14] = [
    "Return-Path",
    "Delivered-To",
    "Received",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Resent-Date",
    "Resent-Message-ID",
    "MIME-Version",
    "Content-ID",
    "Content-Transfer-Encoding",
    "DKIM-Signature",
    "Authentication-Results",
];

/// Takes a message in pieces of any size and gives its surrogate.
#[derive(Debug)]
pub struct Surrogate {
    in_header: bool,
    /// A field that is not complete yet.
    held: Vec<u8>,
}

impl Default for Surrogate {
    fn default() -> Surrogate {
        Surrogate { in_header: true, held: Vec::new() }
    }
}

impl Surrogate {
    /// Hands on what can be said after this piece; false as soon as `into` wants no more.
    pub fn push(&mut self, piece: &[u8], into: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        if !self.in_header {
            return into(piece);
        }
        if self.held.is_empty() {
            // Nearly every header is ASCII and comes in one piece: nothing is copied then.
            let end = header_end(piece);
            if piece[..end.unwrap_or(piece.len())].is_ascii() && (end.is_some() || piece.ends_with(b"\n")) {
                self.in_header = end.is_none();
                return into(piece);
            }
        }
        self.held.extend_from_slice(piece);
        let held = std::mem::take(&mut self.held);
        let mut rest = &held[..];
        let mut out = Vec::with_capacity(held.len());
        while let Some(end) = field_end(rest) {
            if end == 0 {
                self.in_header = false;
                return into(&out) && into(rest);
            }
            rewrite(&rest[..end], &mut out);
            rest = &rest[end..];
        }
        if rest.len() > FIELD_BYTES_MAX {
            ascii_only(rest, &mut out);
        } else {
            self.held.extend_from_slice(rest);
        }
        out.is_empty() || into(&out)
    }

    /// The message is over; its last field may have had no end.
    pub fn end(&mut self, into: &mut dyn FnMut(&[u8]) -> bool) {
        let mut out = Vec::new();
        rewrite(&std::mem::take(&mut self.held), &mut out);
        if !out.is_empty() {
            into(&out);
        }
        *self = Surrogate::default();
    }
}

/// Where the body begins, if the empty line is there. The bytes begin with a line.
fn header_end(bytes: &[u8]) -> Option<usize> {
    let blank = |at: usize| header::is_blank(&bytes[at..]).then(|| header::line_end(bytes, at));
    blank(0).or_else(|| memchr::memchr_iter(b'\n', bytes).find_map(|end| blank(end + 1)))
}

/// The length of the first field, if what follows shows that it is complete; 0 at the empty line.
fn field_end(bytes: &[u8]) -> Option<usize> {
    if header::is_blank(bytes) {
        return Some(0);
    }
    let mut end = 0;
    loop {
        end += memchr::memchr(b'\n', &bytes[end..])? + 1;
        match bytes.get(end)? {
            b' ' | b'\t' => {}
            _ => return Some(end),
        }
    }
}

fn rewrite(raw: &[u8], out: &mut Vec<u8>) {
    if raw.is_ascii() || std::str::from_utf8(raw).is_err() {
        return out.extend_from_slice(raw);
    }
    let Some(field) = header::fields(raw).next() else { return };
    let any = |names: &[&str]| names.iter().any(|name| field.is(name));
    let words = match field.name {
        b"" => return ascii_only(raw, out),
        _ if any(&FOR_PROGRAMS) || field.name.get(..5).is_some_and(|n| n.eq_ignore_ascii_case(b"List-")) => {
            return;
        }
        _ if any(&OF_ADDRESSES) => addresses(&field),
        _ if field.is("Content-Type") => mime::content_type(field.value).map_or(Vec::new(), |value| {
            parameters(format!("{}/{}", lossy(&value.kind), lossy(&value.subtype)), &value.params)
        }),
        _ if field.is("Content-Disposition") => mime::disposition(field.value)
            .map_or(Vec::new(), |(kind, params)| parameters(lossy(&kind), &params)),
        _ => unstructured(&field.text()),
    };
    if !words.is_empty() {
        fold(field.name, &words, out);
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is not ASCII is only shown to have been there.
fn ascii_only(raw: &[u8], out: &mut Vec<u8>) {
    out.extend(raw.iter().map(|&octet| if octet.is_ascii() { octet } else { b'?' }));
}

/// A field of these words, on as many lines as they need.
fn fold(name: &[u8], words: &[String], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.push(b':');
    let mut column = name.len() + 1;
    for (at, word) in words.iter().enumerate() {
        // The first word stays beside the name: a line of white space alone is obsolete (RFC 5322 section 4.2).
        if at > 0 && column + 1 + word.len() > LINE_BYTES {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
        column += 1 + word.len();
    }
    out.extend_from_slice(b"\r\n");
}

/// Text for people: from the first word that needs it to the last, encoded; the others as they are.
fn unstructured(text: &str) -> Vec<String> {
    let all: Vec<&str> = text.split_ascii_whitespace().collect();
    let Some(first) = all.iter().position(|word| !word.is_ascii()) else {
        return all.into_iter().map(str::to_owned).collect();
    };
    let behind = all.iter().rposition(|word| !word.is_ascii()).map_or(all.len(), |last| last + 1);
    let mut words: Vec<String> = all[..first].iter().map(|&word| word.to_owned()).collect();
    encoded(&all[first..behind].join(" "), &mut words);
    words.extend(all[behind..].iter().map(|&word| word.to_owned()));
    words
}

/// Encoded words (RFC 2047); none cuts a character (section 5).
fn encoded(text: &str, words: &mut Vec<String>) {
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(WORD_TEXT_BYTES));
        words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(piece)));
        rest = behind;
    }
}

fn addresses(field: &Field<'_>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut comma = false;
    mailboxes::parse(field.value, &mut |entry| {
        let end = |words: &mut Vec<String>, mark: char| {
            if let Some(last) = words.last_mut() {
                last.push(mark);
            }
        };
        if comma && entry != Entry::GroupEnd {
            end(&mut words, ',');
        }
        comma = true;
        match entry {
            Entry::Mailbox { name, local, domain } => mailbox(name, local, domain, &mut words),
            Entry::GroupStart(name) => {
                display_name(&lossy(name), &mut words);
                end(&mut words, ':');
                comma = false;
            }
            Entry::GroupEnd => end(&mut words, ';'),
        }
        true
    });
    words
}

fn mailbox(name: Option<&[u8]>, local: &[u8], domain: &[u8], words: &mut Vec<String>) {
    let (name, local, domain) = (lossy(name.unwrap_or_default()), lossy(local), lossy(domain));
    let ascii = if domain.is_ascii() { Some(domain.clone()) } else { domain_to_ascii(&domain).ok() };
    let address = match ascii.filter(|_| local.is_ascii()) {
        Some(domain) if domain.is_empty() && local.is_empty() => None,
        Some(domain) if domain.is_empty() => Some(local),
        Some(domain) => Some(format!("{}@{domain}", quoted(&local))),
        None => {
            // The reader sees who it was, and an answer goes nowhere.
            display_name(format!("{name} {local}@{domain}").trim_start(), words);
            return words.push(NOWHERE.to_owned());
        }
    };
    if name.is_empty() {
        return words.extend(address);
    }
    display_name(&name, words);
    words.extend(address.map(|address| format!("<{address}>")));
}

fn display_name(name: &str, words: &mut Vec<String>) {
    if !name.is_ascii() {
        encoded(name, words);
    } else if name.contains("=?") {
        // Encoded words are none within quotes (RFC 2047 section 5).
        words.extend(name.split_ascii_whitespace().map(str::to_owned));
    } else {
        words.push(in_quotes(name));
    }
}

fn in_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// `kind; name="value"; other*=UTF-8''%C3%A4` (RFC 2231 section 4).
fn parameters(kind: String, params: &[Param]) -> Vec<String> {
    let mut words = vec![kind];
    for param in params.iter().filter(|param| param.name.is_ascii()) {
        let (name, value) = (lossy(&param.name), lossy(&param.value));
        let word = match (value.is_ascii(), name.ends_with('*')) {
            (true, true) => format!("{name}={value}"),
            (true, false) => format!("{name}={}", in_quotes(&value)),
            (false, true) => continue,
            (false, false) => {
                let mut word = format!("{name}*=UTF-8''");
                for octet in value.bytes() {
                    if octet.is_ascii_alphanumeric() || b"-._".contains(&octet) {
                        word.push(octet.into());
                    } else {
                        // Writing to a String cannot fail.
                        let _ = write!(word, "%{octet:02X}");
                    }
                }
                word
            }
        };
        if let Some(last) = words.last_mut() {
            last.push(';');
        }
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn surrogate(pieces: &[&[u8]]) -> String {
        let mut all = Vec::new();
        let mut keep = |said: &[u8]| {
            all.extend_from_slice(said);
            true
        };
        let mut surrogate = Surrogate::default();
        for piece in pieces {
            assert!(surrogate.push(piece, &mut keep));
        }
        surrogate.end(&mut keep);
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn fields_in_utf8_are_written_anew() {
        for (field, expected) in [
            ("Subject: plain\r\n  folded\r\n", "Subject: plain\r\n  folded\r\n"),
            (
                "Subject: Re: Grüße aus Köln today\r\n",
                "Subject: Re: =?UTF-8?B?R3LDvMOfZSBhdXMgS8O2bG4=?= today\r\n",
            ),
            ("X-Note: ä\r\n", "X-Note: =?UTF-8?B?w6Q=?=\r\n"),
            ("From: Jörg <joerg@example.test>\r\n", "From: =?UTF-8?B?SsO2cmc=?= <joerg@example.test>\r\n"),
            ("To: ann@bücher.example\r\n", "To: ann@xn--bcher-kva.example\r\n"),
            (
                "Cc: \"Lee, Ann\" <ann@example.test>, jörg@example.test\r\n",
                "Cc: \"Lee, Ann\" <ann@example.test>, =?UTF-8?B?asO2cmdAZXhhbXBsZS50ZXN0?=\r\n <invalid@internationalized-address.invalid>\r\n",
            ),
            (
                "To: Füße: ann@example.test, b@c.test;\r\n",
                "To: =?UTF-8?B?RsO8w59l?=: ann@example.test, b@c.test;\r\n",
            ),
            (
                "Content-Disposition: attachment; size=3; filename=\"Größe 1.txt\"\r\n",
                "Content-Disposition: attachment; size=\"3\";\r\n filename*=UTF-8''Gr%C3%B6%C3%9Fe%201.txt\r\n",
            ),
            ("Content-Type: text/plain; name=\"ä\"\r\n", "Content-Type: text/plain; name*=UTF-8''%C3%A4\r\n"),
            ("Delivered-To: jörg@example.test\r\n", ""),
            ("List-Id: <ö.example.test>\r\n", ""),
            ("no field ä\r\n", "no field ??\r\n"),
        ] {
            let message = format!("{field}A: b\r\n\r\nbödy\r\nSubject: ä\r\n");
            let expected = format!("{expected}A: b\r\n\r\nbödy\r\nSubject: ä\r\n");
            assert_eq!(surrogate(&[message.as_bytes()]), expected, "{field}");
            let bytes: Vec<&[u8]> = message.as_bytes().chunks(1).collect();
            assert_eq!(surrogate(&bytes), expected, "byte by byte");
        }
    }

    #[test]
    fn ends_that_are_missing_and_fields_that_never_end() {
        assert_eq!(surrogate(&[b"Subject: \xc3\xa4"]), "Subject: =?UTF-8?B?w6Q=?=\r\n");
        assert_eq!(surrogate(&[b"\r\nb\xc3\xb6dy"]), "\r\nbödy");
        assert_eq!(
            surrogate(&[b"A: b\nSubject: \xc3\xa4\n\nbody"]),
            "A: b\nSubject: =?UTF-8?B?w6Q=?=\r\n\nbody"
        );
        let long = format!("Subject: {}", "ä".repeat(FIELD_BYTES_MAX));
        assert!(surrogate(&[long.as_bytes(), b"\r\n\r\nx"]).is_ascii());
        // Not UTF-8: an old charset, which the client may guess.
        let mut all = Vec::new();
        Surrogate::default().push(b"Subject: \xe4\r\n\r\n", &mut |said| {
            all.extend_from_slice(said);
            true
        });
        assert_eq!(all, b"Subject: \xe4\r\n\r\n");
    }

    proptest! {
        #[test]
        fn headers_come_out_in_ascii_however_cut(
            message in "((From|To|Subject|Content-Type|X): [ä<>@,;:\"\\\\(a/=.]{0,20}\r\n){0,4}(\r\n[äa\r\n]{0,9})?",
            at in any::<prop::sample::Index>(),
        ) {
            let whole = surrogate(&[message.as_bytes()]);
            let (header, _) = whole.split_once("\r\n\r\n").unwrap_or((&whole, ""));
            prop_assert!(whole.starts_with("\r\n") || header.is_ascii(), "{header}");
            let cut = at.index(message.len() + 1);
            prop_assert_eq!(surrogate(&[&message.as_bytes()[..cut], &message.as_bytes()[cut..]]), whole);
        }
    }
}
