//! Where the octets of a message's sections are, and the way of them to whoever wants them (RFC 9051 6.4.5).
//!
//! A message is its prefix, then its body; the gist's offsets count in the body. What must hold: a section is
//! found without looking at the body again, and only what is asked for is read of it.
//!
//! Where we differ knowingly: RFC 6855 section 8 makes us answerable for ASCII in all headers that go to a client which said
//! neither `ENABLE UTF8=ACCEPT` nor IMAP4rev2. What such a client *shows* is ASCII: envelope, structure, HEADER, MIME and HEADER.FIELDS, as
//! `message::surrogate` writes them. What it *takes away*, which is BODY[], RFC822, TEXT and whole parts, is the message as it came.
//! Programs that fetch whole messages keep them (mbsync, imapsync, Thunderbird's offline folders): a surrogate, of which section 7
//! says that it is no substitute, would take the message's place for good, signatures broken and addresses lost. They fetch in pieces
//! up to RFC822.SIZE and compare sizes; so every size, range and part number is that of the one message for all clients. To hide or
//! refuse it, the other choices of section 7, is worse: K-9 cannot read such mail from Courier, which refuses. mox sends
//! it as it is, too. POP3 sends surrogates: RETR is all that its clients have to show, and RFC 6856 2.1 leaves no choice.

use proto::imap::command::{Section, SectionText};
use proto::message::gist::{Gist, Limits, Scanner};
use proto::message::header;
use proto::message::structure::{Encoding, Place};
use proto::message::surrogate::Surrogate;
use proto::message::text::TransferDecoder;
use std::borrow::Cow;
use std::ops::Range;
use store::account::DetailRef;
use store::blob::{Bodies, BodyReader};

/// Octets of a header that are looked at for HEADER.FIELDS: what [`Limits`] reads of one, with room.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// Octets of a message: some of its prefix, then some of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Octets {
    /// Of the prefix.
    pub(crate) prefix: Range<usize>,
    /// Of the body.
    pub(crate) body: Range<u64>,
}

impl Octets {
    /// How many.
    pub(crate) fn len(&self) -> u64 {
        self.prefix.len() as u64 + (self.body.end - self.body.start)
    }

    /// `<offset.count>` of it (RFC 9051 6.4.5): what lies beyond its end is not there.
    pub(crate) fn partial(&self, partial: Option<(u64, u64)>) -> Octets {
        let Some((offset, count)) = partial else { return self.clone() };
        let start = offset.min(self.len());
        let end = offset.saturating_add(count).min(self.len());
        let head = self.prefix.len() as u64;
        // Both are at most the prefix's length, which is a `usize`.
        let within = |at: u64| self.prefix.start + at.min(head) as usize;
        let beyond = |at: u64| self.body.start + at.saturating_sub(head);
        Octets { prefix: within(start)..within(end), body: beyond(start)..beyond(end) }
    }
}

/// What a section is.
#[derive(Debug)]
pub(crate) enum Found {
    /// There is no such part.
    Nothing,
    /// As it is kept.
    Kept(Octets),
    /// Put together: chosen header fields.
    Made(Vec<u8>),
}

/// The gist of a message: the kept one, or a new one where none is kept (or it is damaged).
pub(crate) async fn gist<'a>(bodies: &Bodies, detail: &DetailRef<'a>) -> Result<Cow<'a, [u8]>, store::Error> {
    if Gist::read(detail.gist).is_some() {
        return Ok(Cow::Borrowed(detail.gist));
    }
    let mut scanner = Scanner::new(Limits::default());
    let mut reader = bodies.read(&detail.body, 0..detail.body.len);
    while let Some(piece) = reader.next().await? {
        scanner.feed(&piece);
    }
    Ok(Cow::Owned(scanner.finish()))
}

/// Finds a section. Without `utf8` (UTF8=ACCEPT or IMAP4rev2) headers that stand alone are in ASCII (RFC 6855 section 8); whole
/// messages and parts are what they are, see the head of this file.
pub(crate) async fn find(
    bodies: &Bodies,
    detail: &DetailRef<'_>,
    gist: &Gist<'_>,
    section: &Section,
    utf8: bool,
) -> Result<Found, store::Error> {
    let Some(octets) = place(detail, gist, section) else { return Ok(Found::Nothing) };
    let may_be_made = match section.text {
        SectionText::HeaderFields { .. } => true,
        SectionText::Header | SectionText::Mime => !utf8 && octets.len() <= HEADER_BYTES_MAX,
        SectionText::All | SectionText::Text => false,
    };
    if !may_be_made {
        return Ok(Found::Kept(octets));
    }
    let bounded = octets.partial(Some((0, HEADER_BYTES_MAX)));
    let mut text = Vec::with_capacity(bounded.len() as usize);
    let mut reader = Reader::new(bodies, detail, &bounded);
    while let Some(piece) = reader.next().await? {
        text.extend_from_slice(&piece);
    }
    if !utf8 && !text.is_ascii() {
        text = surrogate(&text);
    }
    Ok(Found::Made(match &section.text {
        SectionText::HeaderFields { names, not } => choose(&text, names, *not),
        _ => text,
    }))
}

/// A header whose fields in UTF-8 are written anew.
fn surrogate(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len());
    let mut surrogate = Surrogate::default();
    let mut take = |piece: &[u8]| {
        out.extend_from_slice(piece);
        true
    };
    surrogate.push(header, &mut take);
    surrogate.end(&mut take);
    out
}

/// The octets that a section is, or is chosen from.
fn place(detail: &DetailRef<'_>, gist: &Gist<'_>, section: &Section) -> Option<Octets> {
    let len = detail.body.len;
    let within = |range: Range<u64>| {
        // A gist may come from a damaged disk.
        let end = range.end.min(len);
        Octets { prefix: 0..0, body: range.start.min(end)..end }
    };
    if section.part.is_empty() {
        let header = within(gist.header()).body.end;
        return match section.text {
            SectionText::All => Some(Octets { prefix: 0..detail.prefix.len(), body: 0..len }),
            SectionText::Header | SectionText::HeaderFields { .. } => {
                Some(Octets { prefix: 0..detail.prefix.len(), body: 0..header })
            }
            SectionText::Text => Some(within(header..len)),
            // The grammar asks for a part number.
            SectionText::Mime => None,
        };
    }
    let place = gist.find(&section.part)?;
    match section.text {
        SectionText::All => Some(within(place.body)),
        SectionText::Mime => Some(within(place.mime)),
        SectionText::Header | SectionText::HeaderFields { .. } => {
            place.message.map(|(header, _)| within(header))
        }
        SectionText::Text => place.message.map(|(_, text)| within(text)),
    }
}

/// The fields of these names, or all others, with the empty line that ends a header.
fn choose(text: &[u8], names: &[String], not: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for field in header::fields(text) {
        let named = names.iter().any(|name| field.is(name));
        if named != not {
            out.extend_from_slice(field.raw);
            if !field.raw.ends_with(b"\n") {
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// `<offset.count>` of what is in memory.
pub(crate) fn cut(text: &[u8], partial: Option<(u64, u64)>) -> &[u8] {
    let Some((offset, count)) = partial else { return text };
    let from = offset.min(text.len() as u64) as usize;
    let rest = &text[from..];
    &rest[..count.min(rest.len() as u64) as usize]
}

/// A part to be decoded (RFC 3516), and how it is encoded.
pub(crate) fn binary(detail: &DetailRef<'_>, gist: &Gist<'_>, part: &[u32]) -> Option<(Octets, Encoding)> {
    let all = Section { part: part.to_vec(), text: SectionText::All };
    let octets = place(detail, gist, &all)?;
    if part.is_empty() {
        return Some((octets, Encoding::Identity));
    }
    let Place { encoding, multipart, message, .. } = gist.find(part)?;
    // RFC 2045 6.4: what holds parts has no encoding of its own.
    let encoding = if multipart || message.is_some() { Encoding::Identity } else { encoding };
    Some((octets, encoding))
}

/// Octets of a message on their way out.
pub(crate) struct Reader<'a> {
    prefix: Option<&'a [u8]>,
    body: Option<BodyReader>,
}

/// A piece of a message.
pub(crate) enum Piece<'a> {
    /// Of the prefix.
    Prefix(&'a [u8]),
    /// Of the body.
    Body(bytes::Bytes),
}

impl std::ops::Deref for Piece<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Piece::Prefix(piece) => piece,
            Piece::Body(piece) => piece,
        }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bodies: &Bodies, detail: &DetailRef<'a>, octets: &Octets) -> Reader<'a> {
        let prefix = detail.prefix.get(octets.prefix.clone()).filter(|prefix| !prefix.is_empty());
        let body = (!octets.body.is_empty()).then(|| bodies.read(&detail.body, octets.body.clone()));
        Reader { prefix, body }
    }

    /// The next piece, at most 64 KiB of a body; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece<'a>>, store::Error> {
        if let Some(prefix) = self.prefix.take() {
            return Ok(Some(Piece::Prefix(prefix)));
        }
        let Some(body) = &mut self.body else { return Ok(None) };
        Ok(body.next().await?.map(Piece::Body))
    }
}

/// What a part is when it is decoded: how many octets, and whether there is a NUL among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) len: u64,
    pub(crate) has_nul: bool,
}

/// A part on its way out, decoded.
pub(crate) struct DecodingReader<'a> {
    reader: Reader<'a>,
    decoder: Option<TransferDecoder>,
}

impl<'a> DecodingReader<'a> {
    /// `None` if the encoding is not known.
    pub(crate) fn new(reader: Reader<'a>, encoding: Encoding) -> Option<DecodingReader<'a>> {
        Some(DecodingReader { reader, decoder: Some(TransferDecoder::new(encoding)?) })
    }

    /// Appends some of it; false at the end.
    pub(crate) async fn next(&mut self, out: &mut Vec<u8>) -> Result<bool, store::Error> {
        let Some(decoder) = &mut self.decoder else { return Ok(false) };
        match self.reader.next().await? {
            Some(piece) => decoder.feed(&piece, out),
            None => {
                if let Some(decoder) = self.decoder.take() {
                    decoder.finish(out);
                }
            }
        }
        Ok(true)
    }

    /// Reads all of it and keeps nothing.
    pub(crate) async fn measure(mut self) -> Result<Decoded, store::Error> {
        let mut decoded = Decoded::default();
        let mut piece = Vec::new();
        while self.next(&mut piece).await? {
            decoded.len += piece.len() as u64;
            decoded.has_nul |= piece.contains(&0);
            piece.clear();
        }
        Ok(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partials_cross_from_the_prefix_into_the_body() {
        let all = Octets { prefix: 0..10, body: 5..25 };
        assert_eq!(all.len(), 30);
        assert_eq!(all.partial(None), all);
        assert_eq!(all.partial(Some((0, 4))), Octets { prefix: 0..4, body: 5..5 });
        assert_eq!(all.partial(Some((8, 4))), Octets { prefix: 8..10, body: 5..7 });
        assert_eq!(all.partial(Some((12, u64::MAX))), Octets { prefix: 10..10, body: 7..25 });
        assert_eq!(all.partial(Some((31, 5))).len(), 0);
    }

    #[test]
    fn header_fields_are_chosen_with_their_lines() {
        let text = b"From: a\r\nX-Long: 1\r\n 2\r\nsubject: s\r\n\r\n";
        let chosen = |names: &[&str], not| {
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            String::from_utf8(choose(text, &names, not)).unwrap()
        };
        assert_eq!(chosen(&["SUBJECT", "x-long"], false), "X-Long: 1\r\n 2\r\nsubject: s\r\n\r\n");
        assert_eq!(chosen(&["SUBJECT", "x-long"], true), "From: a\r\n\r\n");
        assert_eq!(chosen(&["none"], false), "\r\n");
    }

    #[test]
    fn pieces_in_memory() {
        assert_eq!(cut(b"abcdef", None), b"abcdef");
        assert_eq!(cut(b"abcdef", Some((2, 3))), b"cde");
        assert_eq!(cut(b"abcdef", Some((4, u64::MAX))), b"ef");
        assert_eq!(cut(b"abcdef", Some((9, 1))), b"");
    }
}
