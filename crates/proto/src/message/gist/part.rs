//! What is kept of each part until the message is complete, and the structure written from it.

use super::Addresses;
use super::fields::Fields;
use super::scan::BOUNDARY_BYTES_MAX;
use crate::date::{self, Moment};
use crate::message::mime::{self, ContentType, Param};
use crate::message::structure::{Encoding, Kind, Node};
use crate::message::wire::{clean, nstring, number, string};
use std::ops::Range;

/// Octets of the envelope of the message itself.
const ENVELOPE_BYTES_MAX: usize = 512 << 10;
/// Octets of what is written down of all parts: beyond them, only what a part must have.
const DESCRIBED_BYTES_MAX: usize = 512 << 10;
/// Octets of a charset's name; a longer one is none.
const CHARSET_BYTES_MAX: usize = 64;
/// Octets of a Message-ID that is kept (a line's length, RFC 5322 2.1.1).
const ID_BYTES_MAX: usize = 998;
/// Message-IDs that are kept of References: the first and the last ones.
const REFERENCES_MAX: usize = 64;

/// A part.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) children: u32,
    pub(super) start: u64,
    pub(super) body_start: u64,
    pub(super) end: u64,
    /// Line ends before the content and, in the end, within it.
    pub(super) body_lines: u64,
    pub(super) lines: u64,
    pub(super) encoding: Encoding,
    pub(super) text: bool,
    pub(super) html: bool,
    /// Text that is shown with the message, not attached to it.
    pub(super) shown: bool,
    /// `multipart/digest`.
    pub(super) digest: bool,
    /// Of a multipart that has not ended.
    pub(super) boundary: Vec<u8>,
    charset: Range<usize>,
    /// Up to the encoding; of a multipart, its subtype.
    fields: Range<usize>,
    /// Extension data.
    extension: Range<usize>,
    /// Of a message within.
    envelope: Range<usize>,
}

impl Part {
    pub(super) fn new(start: u64, lines: u64) -> Part {
        Part {
            kind: Kind::Leaf,
            children: 0,
            start,
            body_start: start,
            end: start,
            body_lines: lines,
            lines: 0,
            encoding: Encoding::Identity,
            text: false,
            html: false,
            shown: false,
            digest: false,
            boundary: Vec::new(),
            charset: 0..0,
            fields: 0..0,
            extension: 0..0,
            envelope: 0..0,
        }
    }
}

/// What a part's surroundings say about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Its parent is a `multipart/digest`.
    pub(super) digest: bool,
    /// It is the whole of a message within.
    pub(super) message: bool,
    /// It may have parts.
    pub(super) may_nest: bool,
}

/// What has been written down of all parts.
#[derive(Debug, Default)]
pub(super) struct Found {
    bytes: Vec<u8>,
}

impl Found {
    /// Writes down what a header says of its part.
    pub(super) fn describe(&mut self, part: &mut Part, fields: &Fields<'_>, shape: Shape) {
        let full = self.bytes.len() >= DESCRIBED_BYTES_MAX;
        if shape.message {
            let start = self.bytes.len();
            match full {
                true => Fields::default().envelope(0, &mut self.bytes),
                false => fields.envelope(DESCRIBED_BYTES_MAX - start, &mut self.bytes),
            }
            part.envelope = start..self.bytes.len();
        }
        // RFC 2045 5.2 and RFC 2046 5.1.5 say what a part is that does not say it, or not so that it can be read.
        let default = if shape.digest { ("message", "rfc822") } else { ("text", "plain") };
        let mut content = fields.content_type.and_then(mime::content_type).unwrap_or_else(|| ContentType {
            kind: default.0.into(),
            subtype: default.1.into(),
            params: Vec::new(),
        });
        part.encoding = encoding(fields.content_encoding);
        let is = |text: &[u8], word: &str| text.eq_ignore_ascii_case(word.as_bytes());
        let multipart = is(&content.kind, "multipart");
        let message = is(&content.kind, "message")
            && (is(&content.subtype, "rfc822") || is(&content.subtype, "global"));
        if (multipart || message) && !shape.may_nest {
            content = ContentType {
                kind: "application".into(),
                subtype: "octet-stream".into(),
                params: Vec::new(),
            };
        } else if multipart || message {
            part.kind = if multipart { Kind::Multipart } else { Kind::Message };
            // RFC 2045 6.4: these have no other encoding.
            part.encoding = Encoding::Identity;
        }
        part.digest = part.kind == Kind::Multipart && is(&content.subtype, "digest");
        if part.kind == Kind::Multipart {
            let boundary = content.param("boundary").unwrap_or_default().trim_ascii_end();
            part.boundary = boundary.get(..BOUNDARY_BYTES_MAX + 1).map_or(boundary, |_| &[]).to_vec();
        }
        part.text = is(&content.kind, "text");
        part.html = part.text && is(&content.subtype, "html");
        let disposition = fields.content_disposition.and_then(mime::disposition);
        let attached = disposition.as_ref().is_some_and(|(kind, _)| is(kind, "attachment"));
        part.shown = part.text && !attached && (part.html || is(&content.subtype, "plain"));
        if part.text {
            self.charset_of(part, &mut content);
        }
        if full {
            content.params.clear();
            return self.write(part, &content, &Fields::default(), None);
        }
        self.write(part, &content, fields, disposition);
    }

    /// The one part of a multipart that has none: all that stands in it, as text.
    pub(super) fn undescribed(&mut self, parent: &Part) -> Part {
        let mut part = Part::new(parent.body_start, parent.body_lines);
        (part.end, part.lines) = (parent.end, parent.lines);
        self.describe(
            &mut part,
            &Fields::default(),
            Shape { digest: false, message: false, may_nest: false },
        );
        part
    }

    /// The charset of a part, lower case.
    pub(super) fn charset(&self, part: &Part) -> &str {
        // What was written there is ASCII.
        std::str::from_utf8(&self.bytes[part.charset.clone()]).unwrap_or_default()
    }

    fn charset_of(&mut self, part: &mut Part, content: &mut ContentType) {
        match content.param("charset") {
            Some(name) if name.len() <= CHARSET_BYTES_MAX && name.iter().all(u8::is_ascii_graphic) => {
                let start = self.bytes.len();
                self.bytes.extend(name.iter().map(u8::to_ascii_lowercase));
                part.charset = start..self.bytes.len();
            }
            Some(_) => {}
            // The default of RFC 2046 4.1.2 is shown to clients; decoders need not know that nothing was declared.
            None => content.params.push(Param { name: "charset".into(), value: "us-ascii".into() }),
        }
    }

    fn write(
        &mut self,
        part: &mut Part,
        content: &ContentType,
        fields: &Fields<'_>,
        disposition: Option<(Vec<u8>, Vec<Param>)>,
    ) {
        let out = &mut self.bytes;
        let start = out.len();
        let text = |value: Option<&[u8]>, out: &mut Vec<u8>| nstring(value.map(clean).as_deref(), out);
        if part.kind == Kind::Multipart {
            string(&content.subtype, out);
        } else {
            string(&content.kind, out);
            out.push(b' ');
            string(&content.subtype, out);
            out.push(b' ');
            params(&content.params, out);
            out.push(b' ');
            text(fields.content_id, out);
            out.push(b' ');
            text(fields.content_description, out);
            out.push(b' ');
            string(&fields.content_encoding.and_then(mime::token).unwrap_or_else(|| b"7bit".to_vec()), out);
        }
        part.fields = start..out.len();
        let start = out.len();
        if part.kind == Kind::Multipart {
            params(&content.params, out);
        } else {
            text(fields.content_md5, out);
        }
        out.push(b' ');
        match disposition {
            None => out.extend_from_slice(b"NIL"),
            Some((kind, list)) => {
                out.push(b'(');
                string(&kind, out);
                out.push(b' ');
                params(&list, out);
                out.push(b')');
            }
        }
        out.push(b' ');
        languages(fields.content_language, out);
        out.push(b' ');
        text(fields.content_location, out);
        part.extension = start..out.len();
    }

    /// BODYSTRUCTURE of the part at `at` with all that is in it; `at` moves on behind them.
    pub(super) fn structure(&self, parts: &[Part], at: &mut usize, out: &mut Vec<u8>) {
        let Some(part) = parts.get(*at) else { return };
        *at += 1;
        out.push(b'(');
        if part.kind == Kind::Multipart {
            for _ in 0..part.children {
                self.structure(parts, at, out);
            }
            out.push(b' ');
            out.extend_from_slice(&self.bytes[part.fields.clone()]);
        } else {
            out.extend_from_slice(&self.bytes[part.fields.clone()]);
            out.push(b' ');
            number(part.end - part.body_start, out);
            if part.kind == Kind::Message {
                out.push(b' ');
                if let Some(inner) = parts.get(*at) {
                    out.extend_from_slice(&self.bytes[inner.envelope.clone()]);
                }
                out.push(b' ');
                self.structure(parts, at, out);
            }
            if part.text || part.kind == Kind::Message {
                out.push(b' ');
                number(part.lines, out);
            }
        }
        out.push(b' ');
        out.extend_from_slice(&self.bytes[part.extension.clone()]);
        out.push(b')');
    }

    /// The tree as [`crate::message::structure::Parts`] reads it.
    pub(super) fn tree(&self, parts: &[Part], out: &mut Vec<u8>) {
        let mut origin = 0;
        for part in parts {
            let node = Node {
                kind: part.kind,
                children: part.children,
                mime: part.start..part.body_start,
                body: part.body_start..part.end,
                encoding: part.encoding,
                text: part.text,
                html: part.html,
                charset: self.charset(part),
            };
            node.write(origin, out);
            origin = part.body_start;
        }
    }
}

fn encoding(value: Option<&[u8]>) -> Encoding {
    let Some(value) = value else { return Encoding::Identity };
    let token = mime::token(value).unwrap_or_default();
    match token.to_ascii_lowercase().as_slice() {
        b"7bit" | b"8bit" | b"binary" => Encoding::Identity,
        b"base64" => Encoding::Base64,
        b"quoted-printable" => Encoding::QuotedPrintable,
        b"" if clean(value).is_empty() => Encoding::Identity,
        _ => Encoding::Unknown,
    }
}

fn params(list: &[Param], out: &mut Vec<u8>) {
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    let mut before = b'(';
    for param in list {
        out.push(before);
        string(&param.name, out);
        out.push(b' ');
        string(&param.value, out);
        before = b' ';
    }
    out.push(b')');
}

fn languages(value: Option<&[u8]>, out: &mut Vec<u8>) {
    let tags = value.map(mime::tokens).unwrap_or_default();
    match &tags[..] {
        [] => out.extend_from_slice(b"NIL"),
        [one] => string(one, out),
        several => {
            let mut before = b'(';
            for tag in several {
                out.push(before);
                string(tag, out);
                before = b' ';
            }
            out.push(b')');
        }
    }
}

/// What is learnt of the message's own header.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) envelope: Vec<u8>,
    pub(super) sent: Option<Moment>,
    pub(super) sender: bool,
    pub(super) reply_to: bool,
    pub(super) message_id: Option<String>,
    pub(super) references: Vec<String>,
}

impl Whole {
    pub(super) fn read(fields: &Fields<'_>) -> Whole {
        let mut envelope = Vec::new();
        fields.envelope(ENVELOPE_BYTES_MAX, &mut envelope);
        let mut references = fields.references.map(ids).unwrap_or_default();
        if references.is_empty() {
            // RFC 5256 section 3: of In-Reply-To only the first counts, because others may stand there for other reasons.
            references = fields.in_reply_to.map(ids).unwrap_or_default();
            references.truncate(1);
        }
        if references.len() > REFERENCES_MAX {
            references.drain(1..=references.len() - REFERENCES_MAX);
        }
        Whole {
            envelope,
            sent: fields.date.and_then(date::parse),
            sender: fields.has(Addresses::Sender),
            reply_to: fields.has(Addresses::ReplyTo),
            message_id: fields.message_id.and_then(|value| ids(value).into_iter().next()),
            references,
        }
    }
}

/// The Message-IDs of a field, without brackets. Quotes that need not be there are taken away (RFC 5256 section 3), and
/// white space, because `<"a"@b>`, `<a@b>` and `<a@ b>` are the same.
fn ids(value: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some(open) = memchr::memchr(b'<', rest) {
        rest = &rest[open + 1..];
        let Some(close) = memchr::memchr2(b'>', b'<', rest) else { break };
        if rest[close] == b'<' {
            rest = &rest[close..];
            continue;
        }
        let id: Vec<u8> =
            rest[..close].iter().copied().filter(|b| !b.is_ascii_whitespace() && *b != 0).collect();
        rest = &rest[close + 1..];
        let id = String::from_utf8_lossy(unquoted(&id).as_deref().unwrap_or(&id)).into_owned();
        if !id.is_empty() && id.len() <= ID_BYTES_MAX {
            found.push(id);
        }
    }
    found
}

/// `"local"@domain` without its quotes, where `local` needs none (RFC 5322 3.2.3).
fn unquoted(id: &[u8]) -> Option<Vec<u8>> {
    let inner = id.strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', inner)?;
    let (local, rest) = (&inner[..end], &inner[end + 1..]);
    let atom = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(b);
    let dotted =
        !local.is_empty() && local.split(|b| *b == b'.').all(|a| !a.is_empty() && a.iter().all(atom));
    (dotted && rest.starts_with(b"@")).then(|| [local, rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids() {
        for (value, expected) in [
            ("<a@b>", &["a@b"][..]),
            (" <a@b>\r\n\t<c@d> junk <\"e.f\"@g>", &["a@b", "c@d", "e.f@g"]),
            ("<\"a b\"@c> <\"a..b\"@c>", &["ab@c", "\"a..b\"@c"]),
            ("<a@\r\n b> <x <y@z>", &["a@b", "y@z"]),
            ("a@b", &[]),
            ("<>", &[]),
            ("<open", &[]),
        ] {
            assert_eq!(ids(value.as_bytes()), expected, "{value}");
        }
    }
}
