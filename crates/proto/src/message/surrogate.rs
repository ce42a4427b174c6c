//! A message for clients that know ASCII headers only (RFC 6856 section 2.1, RFC 6858).
//!
//! The headers of the message and of its parts pass through field by field; one with UTF-8 in it is written anew: encoded words
//! (RFC 2047), domains as A-labels, parameters as RFC 2231 has them. An address whose local part has no such form
//! becomes a name beside an address that leads nowhere. A field of which nothing would be left true is left out.
//!
//! What must hold: what is ASCII passes unchanged, and so does the body, whose encoding is MIME's affair; a field that is not
//! UTF-8 either is somebody's old charset, which the client may guess better than we. At most
//! [`FIELD_BYTES_MAX`] are held. Deliberately not here: sizes, which whoever tells them finds out by making the surrogate.

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
/// Stand for an address that ASCII cannot write; `.invalid` never exists (RFC 6761 section 6.4).
pub(super) const NOWHERE_LOCAL: &str = "invalid";
pub(super) const NOWHERE_HOST: &str = "internationalized-address.invalid";

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

/// Octets of a boundary that is looked for (RFC 2046 section 5.1.1 allows 70), and multiparts within each other.
const BOUNDARY_BYTES_MAX: usize = 200;
const DEPTH_MAX: usize = 100;

/// Takes a message in pieces of any size and gives its surrogate.
#[derive(Debug)]
pub struct Surrogate {
    in_header: bool,
    /// In the body: what comes begins a line.
    at_line: bool,
    /// A field, or a line that may be a boundary, that is not complete yet.
    held: Vec<u8>,
    /// What the header says of the body that follows it.
    follows: Follows,
    /// The boundaries of the multiparts around this place, the innermost last.
    boundaries: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
enum Follows {
    #[default]
    Text,
    Multipart(Vec<u8>),
    /// Another message with a header.
    Message,
}

impl Default for Surrogate {
    fn default() -> Surrogate {
        Surrogate {
            in_header: true,
            at_line: true,
            held: Vec::new(),
            follows: Follows::Text,
            boundaries: Vec::new(),
        }
    }
}

impl Surrogate {
    /// Hands on what can be said after this piece; false as soon as `into` wants no more.
    pub fn push(&mut self, piece: &[u8], into: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let held = std::mem::take(&mut self.held);
        let joined = if held.is_empty() { held } else { [&held[..], piece].concat() };
        let mut rest = if joined.is_empty() { piece } else { &joined };
        while !rest.is_empty() {
            let taken = if self.in_header { self.header(rest, into) } else { self.body(rest, into) };
            match taken {
                None => return false,
                Some(0) => {
                    self.held = rest.to_vec();
                    break;
                }
                Some(taken) => rest = &rest[taken..],
            }
        }
        true
    }

    /// The message is over; its last field may have had no end.
    pub fn end(&mut self, into: &mut dyn FnMut(&[u8]) -> bool) {
        let (held, mut out) = (std::mem::take(&mut self.held), Vec::new());
        if self.in_header {
            rewrite(&held, &mut out);
        } else {
            out = held;
        }
        if !out.is_empty() {
            into(&out);
        }
        *self = Surrogate::default();
    }

    /// How much of these octets is done; 0: more is needed. `None`: no more is wanted.
    fn header(&mut self, bytes: &[u8], into: &mut dyn FnMut(&[u8]) -> bool) -> Option<usize> {
        let (mut at, mut out) = (0, Vec::with_capacity(bytes.len()));
        while let Some(length) = field_end(&bytes[at..]) {
            if length == 0 {
                let end = header::line_end(bytes, at);
                out.extend_from_slice(&bytes[at..end]);
                self.header_ends();
                return into(&out).then_some(end);
            }
            let field = &bytes[at..at + length];
            self.learn(field);
            rewrite(field, &mut out);
            at += length;
        }
        if bytes.len() - at > FIELD_BYTES_MAX {
            ascii_only(&bytes[at..], &mut out);
            at = bytes.len();
        }
        (out.is_empty() || into(&out)).then_some(at)
    }

    /// What a field says of the body.
    fn learn(&mut self, raw: &[u8]) {
        let Some(field) = header::fields(raw).next().filter(|field| field.is("Content-Type")) else { return };
        let Some(value) = mime::content_type(field.value) else { return };
        if value.kind.eq_ignore_ascii_case(b"multipart") {
            let sound = |boundary: &&[u8]| (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len());
            if let Some(boundary) = value.param("boundary").filter(sound) {
                self.follows = Follows::Multipart(boundary.to_vec());
            }
        } else if value.kind.eq_ignore_ascii_case(b"message")
            && [&b"rfc822"[..], b"global"].iter().any(|kind| value.subtype.eq_ignore_ascii_case(kind))
        {
            self.follows = Follows::Message;
        }
    }

    fn header_ends(&mut self) {
        (self.in_header, self.at_line) = (false, true);
        match std::mem::take(&mut self.follows) {
            Follows::Multipart(boundary) if self.boundaries.len() < DEPTH_MAX => {
                self.boundaries.push(boundary)
            }
            Follows::Message => self.in_header = true,
            _ => {}
        }
    }

    /// The same as [`Surrogate::header`] for a body, up to the header of a part.
    fn body(&mut self, bytes: &[u8], into: &mut dyn FnMut(&[u8]) -> bool) -> Option<usize> {
        let mut at = if self.boundaries.is_empty() { bytes.len() } else { 0 };
        while at < bytes.len() && !self.in_header {
            let line = &bytes[at..];
            let end = memchr::memchr(b'\n', line).map(|end| end + 1);
            let may_be = self.at_line && line.iter().take(2).all(|b| *b == b'-');
            if may_be && end.is_none() && line.len() <= BOUNDARY_BYTES_MAX + 8 {
                break;
            }
            if may_be && let Some(end) = end {
                self.delimiter(&line[..end]);
            }
            self.at_line = end.is_some();
            at += end.unwrap_or(line.len());
        }
        (at == 0 || into(&bytes[..at])).then_some(at)
    }

    /// A line that begins with two hyphens (RFC 2046 section 5.1.1).
    fn delimiter(&mut self, line: &[u8]) {
        let line = line.trim_ascii_end();
        let Some(text) = line.strip_prefix(b"--") else { return };
        for at in (0..self.boundaries.len()).rev() {
            match text.strip_prefix(&self.boundaries[at][..]) {
                Some(b"") => {
                    self.boundaries.truncate(at + 1);
                    self.in_header = true;
                    return;
                }
                Some(b"--") => return self.boundaries.truncate(at),
                _ => {}
            }
        }
    }
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
pub(super) fn unstructured(text: &str) -> Vec<String> {
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
            return words.push(format!("<{NOWHERE_LOCAL}@{NOWHERE_HOST}>"));
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

    #[test]
    fn headers_of_parts_are_written_anew() {
        let part = |description: &str| {
            format!(
                "Content-Type: multipart/mixed; boundary=\"a b\"\r\n\r\n--no\r\nX: ä\r\n\r\n--a b \r\n\
                 Content-Type: multipart/alternative;\r\n boundary=c\r\n\r\n--c\r\n{description}\r\n\r\n\
                 Subject: ö\r\n-\r\n--\r\n--c--\r\nX: ä\r\n\r\n--a b\r\n\
                 content-type: Message/RFC822\r\n\r\n{description}\r\n\r\nbödy\r\n--a b--\r\nX: ä\r\n"
            )
        };
        let (message, expected) =
            (part("Content-Description: ä"), part("Content-Description: =?UTF-8?B?w6Q=?="));
        assert_eq!(surrogate(&[message.as_bytes()]), expected);
        let bytes: Vec<&[u8]> = message.as_bytes().chunks(1).collect();
        assert_eq!(surrogate(&bytes), expected, "byte by byte");
        // A line that never ends is no boundary.
        let long = format!("Content-Type: multipart/mixed; boundary=a\r\n\r\n--{}", "-".repeat(10_000));
        assert_eq!(surrogate(&[long.as_bytes(), b"x\r\n--a\r\n"]), format!("{long}x\r\n--a\r\n"));
    }

    proptest! {
        #[test]
        fn parts_come_out_the_same_however_cut(
            lines in prop::collection::vec(prop::sample::select(vec![
                "Content-Type: multipart/mixed; boundary=a", "Content-Type: multipart/mixed; boundary=b",
                "Content-Type: message/rfc822", "Subject: ä", "", "--a", "--b", "--a--", "--b--", "--", "-", "tëxt",
            ]), 0..24),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let message = format!("Content-Type: multipart/mixed; boundary=a\r\n\r\n{}", lines.join("\r\n"));
            let whole = surrogate(&[message.as_bytes()]);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
            cuts.extend([0, message.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &message.as_bytes()[w[0]..w[1]]).collect();
            prop_assert_eq!(surrogate(&pieces), whole.clone());
            // What needs no surrogate is left alone.
            if lines.iter().all(|line| line.is_ascii()) {
                prop_assert_eq!(whole, message);
            }
        }

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
