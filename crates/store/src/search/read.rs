//! The texts of one message as searches see them: decoded, without markup, folded, in pieces of bounded size.
//!
//! What the index is made of and what is read to be sure is the same stream of octets: texts, with a separator that no
//! needle can hold behind each. Here is the one definition of what `Scope` means.

use super::words::SEPARATOR;
use crate::Error;
use crate::account::DetailRef;
use crate::blob::{Bodies, BodyRef, LastChunk};
use proto::message::gist::{Gist, Limits, Scanner};
use proto::message::header;
use proto::message::structure::TextPart;
use proto::message::text::{self, TextDecoder};
use std::borrow::Cow;
use std::ops::{ControlFlow, Range};

/// Octets of one header that are looked at.
const HEADER_BYTES_MAX: u64 = 256 << 10;
/// Octets of all headers of parts of one message that are looked at.
const PART_HEADER_BYTES_MAX: u64 = 1 << 20;
/// Decoded text is folded in pieces of about this size.
const FOLD_BYTES: usize = 64 << 10;
/// A piece without white space is cut when it is so long.
const UNBROKEN_BYTES_MAX: usize = 256 << 10;

/// Where the octets of a stream go, until it breaks off.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>;

/// What reading takes, used again for the next message.
#[derive(Debug, Default)]
pub(super) struct ReadRoom {
    pub(super) last: LastChunk,
    raw: String,
    folded: Vec<u8>,
}

/// One message, and room for reading it.
pub(super) struct Reading<'a> {
    bodies: &'a Bodies,
    room: &'a mut ReadRoom,
    detail: &'a DetailRef<'a>,
    gist: Cow<'a, [u8]>,
}

impl<'a> Reading<'a> {
    /// Its gist is made anew if it is missing or damaged.
    pub(super) fn new(
        bodies: &'a Bodies,
        detail: &'a DetailRef<'a>,
        room: &'a mut ReadRoom,
    ) -> Result<Reading<'a>, Error> {
        let mut gist = Cow::Borrowed(detail.gist);
        if Gist::read(&gist).is_none() {
            let mut scanner = Scanner::new(Limits::default());
            bodies.read_wait(&mut room.last, &detail.body, 0..detail.body.len, &mut |piece| {
                scanner.feed(piece);
                ControlFlow::Continue(())
            })?;
            gist = Cow::Owned(scanner.finish());
        }
        Ok(Reading { bodies, room, detail, gist })
    }

    /// The texts of the parts. False if a long one without white space had to be cut somewhere.
    pub(super) fn texts(&mut self, sink: Sink<'_>) -> Result<bool, Error> {
        let Some(gist) = Gist::read(&self.gist) else { return Ok(true) };
        let ReadRoom { last, raw, folded } = &mut *self.room;
        let mut folding = Folding { raw, folded, sink, whole: true, ended: false };
        for part in gist.parts().texts() {
            folding.raw.clear();
            folding.part(self.bodies, last, &self.detail.body, &part)?;
            if folding.ended {
                break;
            }
        }
        Ok(folding.whole)
    }

    /// The fields of the message's header and of its parts' headers, each as name, colon, space and decoded value.
    pub(super) fn headers(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        let mut line = Vec::new();
        let mut folded = |field: header::Field<'_>| {
            let name = String::from_utf8_lossy(field.name);
            line.clear();
            text::fold_into(&format!("{name}: {}", text::header(field.value).trim()), &mut line);
            line.push(SEPARATOR);
            sink(&line)
        };
        let last = &mut self.room.last;
        let top = top_header(self.bodies, last, self.detail)?;
        for field in header::fields(&top) {
            if folded(field).is_break() {
                return Ok(());
            }
        }
        let Some(gist) = Gist::read(&self.gist) else { return Ok(()) };
        let mut left = PART_HEADER_BYTES_MAX;
        for range in gist.parts().headers() {
            let len = range.end.saturating_sub(range.start).min(HEADER_BYTES_MAX).min(left);
            left -= len;
            // The message's own header was looked at together with the prefix.
            if range.start == 0 || len == 0 {
                continue;
            }
            let bytes =
                octets(self.bodies, last, &self.detail.body, range.start..range.start + len, Vec::new())?;
            for field in header::fields(&bytes) {
                if folded(field).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Prefix and header of a message; nothing of the body that lies behind.
pub(super) fn top_header(
    bodies: &Bodies,
    last: &mut LastChunk,
    detail: &DetailRef<'_>,
) -> Result<Vec<u8>, Error> {
    let header = detail.header_bytes.saturating_sub(detail.prefix.len() as u64).min(HEADER_BYTES_MAX);
    octets(bodies, last, &detail.body, 0..header, detail.prefix.to_vec())
}

fn octets(
    bodies: &Bodies,
    last: &mut LastChunk,
    body: &BodyRef,
    range: Range<u64>,
    mut out: Vec<u8>,
) -> Result<Vec<u8>, Error> {
    bodies.read_wait(last, body, range, &mut |piece| {
        out.extend_from_slice(piece);
        ControlFlow::Continue(())
    })?;
    Ok(out)
}

/// Folds decoded text piece by piece.
struct Folding<'s, 'f> {
    raw: &'s mut String,
    /// Room for a piece.
    folded: &'s mut Vec<u8>,
    sink: &'s mut (dyn FnMut(&[u8]) -> ControlFlow<()> + 'f),
    whole: bool,
    ended: bool,
}

impl Folding<'_, '_> {
    fn part(
        &mut self,
        bodies: &Bodies,
        last: &mut LastChunk,
        body: &BodyRef,
        part: &TextPart<'_>,
    ) -> Result<(), Error> {
        let mut decoder = TextDecoder::new(part);
        bodies.read_wait(last, body, part.body.clone(), &mut |piece| {
            // A piece of markup can become longer than it is, by some factor.
            for piece in piece.chunks(FOLD_BYTES) {
                decoder.feed(piece, self.raw);
                self.fold_ahead();
            }
            if self.ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if self.ended {
            return Ok(());
        }
        decoder.finish(self.raw);
        self.fold_ahead();
        self.give(self.raw.len(), Some(SEPARATOR));
        Ok(())
    }

    /// Gives what can be folded without knowing what comes.
    fn fold_ahead(&mut self) {
        while self.raw.len() >= FOLD_BYTES && !self.ended {
            let (end, next, space) = match cut_at_space(self.raw) {
                Some((end, next)) => (end, next, true),
                None if self.raw.len() < UNBROKEN_BYTES_MAX => return,
                None => {
                    self.whole = false;
                    let end = self.raw.floor_char_boundary(UNBROKEN_BYTES_MAX);
                    (end, end, false)
                }
            };
            self.give(end, space.then_some(b' '));
            self.raw.drain(..next);
        }
    }

    /// Gives what is decoded up to there, folded, and then an octet.
    fn give(&mut self, end: usize, then: Option<u8>) {
        self.folded.clear();
        text::fold_into(&self.raw[..end], self.folded);
        self.folded.extend(then);
        self.ended |= (self.sink)(self.folded).is_break();
    }
}

/// The last place where white space stands between two ASCII letters: where it begins and where it ends. Folding both sides by
/// themselves is there the same as folding the whole.
fn cut_at_space(raw: &str) -> Option<(usize, usize)> {
    let bytes = raw.as_bytes();
    let space = |octet: u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let mut at = bytes.len();
    while let Some(last) = bytes[..at].iter().rposition(|octet| space(*octet)) {
        let begin = bytes[..last].iter().rposition(|octet| !space(*octet))? + 1;
        let next = last + 1;
        if bytes[begin - 1].is_ascii_graphic() && bytes.get(next).is_some_and(u8::is_ascii_graphic) {
            return Some((begin, next));
        }
        at = begin;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_where_folding_does_not_notice() {
        assert_eq!(cut_at_space("one two \r\n three"), Some((7, 11)));
        assert_eq!(cut_at_space("one two "), Some((3, 4)));
        assert_eq!(cut_at_space("one \u{e9}t\u{e9}"), None);
        assert_eq!(cut_at_space("  x"), None);
        assert_eq!(cut_at_space(""), None);
    }
}
