//! One message while it comes in: its size, its newlines, its fate.
//!
//! What must hold: a message that is given up is read away to its real end, so
//! that none of its content is ever taken for a command; how much is read away is
//! bounded. Content goes up as slices of the input.

use super::Reply;
use super::codec;
use super::framing::{Chunk, Dots, Found};

/// What the input gave; the number is how many octets were used up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Got<'a> {
    /// More input is needed.
    Need(usize),
    /// Content.
    Piece(usize, &'a [u8]),
    /// The message is given up from here on.
    Aborted(usize, &'static str),
    /// The peer sends on and on: close.
    Excess(usize),
    /// The message (true) or one chunk of it (false) is complete.
    End(usize, bool),
}

/// Whether the message is still wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Wanted,
    TooBig,
    BareNewline,
}

#[derive(Debug)]
enum Framing {
    Dots(Dots),
    Chunk(Chunk),
}

/// A message that is being received.
#[derive(Debug)]
pub(super) struct Receipt {
    framing: Framing,
    fate: Fate,
    octets: u64,
    read_away: u64,
    octets_max: u64,
    normalise: bool,
    binary: bool,
}

impl Receipt {
    /// A message that DATA brings.
    pub(super) fn data(octets_max: u64, normalise: bool) -> Receipt {
        Receipt {
            framing: Framing::Dots(Dots::new()),
            fate: Fate::Wanted,
            octets: 0,
            read_away: 0,
            octets_max,
            normalise,
            binary: false,
        }
    }

    /// A message that BDAT brings, with its first chunk.
    pub(super) fn chunk(octets_max: u64, normalise: bool, binary: bool, octets: u64, last: bool) -> Receipt {
        let framing = Framing::Chunk(Chunk::new(octets, last, binary, false));
        Receipt { framing, binary, ..Receipt::data(octets_max, normalise) }
    }

    /// The next chunk.
    pub(super) fn next_chunk(&mut self, octets: u64, last: bool) {
        let held_cr = matches!(&self.framing, Framing::Chunk(chunk) if chunk.held_cr());
        self.framing = Framing::Chunk(Chunk::new(octets, last, self.binary, held_cr));
    }

    /// Octets of content so far.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// The refusal of a message that was given up.
    pub(super) fn refusal(&self) -> Option<Reply> {
        match self.fate {
            Fate::Wanted => None,
            Fate::TooBig => Some(codec::too_big(self.octets_max)),
            Fate::BareNewline => Some(Reply::new(
                554,
                (5, 6, 11),
                "The message contains a lone CR or LF; lines end with CR LF (RFC 5321 2.3.8)",
            )),
        }
    }

    /// Takes from the front of the input.
    pub(super) fn next<'a>(&mut self, input: &'a [u8]) -> Got<'a> {
        let mut at = 0;
        loop {
            if self.read_away > self.octets_max {
                return Got::Excess(at);
            }
            let rest = &input[at..];
            let (used, found) = match &mut self.framing {
                Framing::Dots(dots) => dots.next(rest),
                Framing::Chunk(chunk) => chunk.next(rest),
            };
            at += used;
            let content: &'a [u8] = match found {
                Found::Need => return Got::Need(at),
                Found::End => return Got::End(at, self.is_last()),
                Found::Piece(range) => &rest[range],
                Found::Newline => b"\r\n",
                Found::Bare if self.normalise => b"\r\n",
                Found::Bare if self.fate == Fate::Wanted => {
                    self.fate = Fate::BareNewline;
                    return Got::Aborted(at, "a lone CR or LF");
                }
                Found::Bare => b"",
            };
            if self.fate != Fate::Wanted {
                self.read_away = self.read_away.saturating_add(used as u64);
                continue;
            }
            self.octets = self.octets.saturating_add(content.len() as u64);
            if self.octets > self.octets_max {
                self.fate = Fate::TooBig;
                // Counted to the octet, so that it does not matter how the input was cut.
                self.read_away = self.octets - self.octets_max;
                return Got::Aborted(at, "too big");
            }
            if !content.is_empty() {
                return Got::Piece(at, content);
            }
        }
    }

    fn is_last(&self) -> bool {
        match &self.framing {
            Framing::Dots(_) => true,
            Framing::Chunk(chunk) => chunk.last(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_size_counts_without_dots_and_end() {
        let mut receipt = Receipt::data(5, false);
        assert_eq!(receipt.next(b"..abc"), Got::Piece(5, b".abc"));
        assert_eq!(receipt.next(b"\r\n.\r\n"), Got::Aborted(2, "too big"));
        assert_eq!(receipt.next(b".\r\n"), Got::End(3, true));
        assert_eq!(receipt.refusal().map(|r| r.code), Some(552));
    }

    #[test]
    fn endless_excess() {
        let mut receipt = Receipt::data(4, false);
        assert_eq!(receipt.next(b"aaaaa"), Got::Aborted(5, "too big"));
        assert_eq!(receipt.next(b"aaa"), Got::Need(3));
        assert_eq!(receipt.next(b"a"), Got::Excess(1));
        let mut receipt = Receipt::data(4, false);
        assert_eq!(receipt.next(b"aaaaaaaaa\r\n.\r\n"), Got::Aborted(11, "too big"));
        assert_eq!(receipt.next(b".\r\n"), Got::Excess(0));
    }

    #[test]
    fn content_is_not_copied() {
        let message = [&b"line\r\n".repeat(5000)[..], b"..dot\r\n.\r\n"].concat();
        let (mut receipt, mut at, mut pieces) = (Receipt::data(1 << 20, false), 0, 0);
        while let Got::Piece(used, piece) = receipt.next(&message[at..]) {
            assert!(message.as_ptr_range().contains(&piece.as_ptr()));
            at += used;
            pieces += 1;
        }
        // One piece up to the stuffed dot and one behind it.
        assert_eq!((pieces, at), (2, message.len() - 3));
    }

    #[test]
    fn newlines_are_refused_or_mended() {
        let mut receipt = Receipt::data(100, false);
        assert_eq!(receipt.next(b"a\n.\nQUIT\r\n.\r\n"), Got::Piece(1, b"a"));
        assert_eq!(receipt.next(b"\n.\nQUIT\r\n.\r\n"), Got::Aborted(1, "a lone CR or LF"));
        assert_eq!(receipt.next(b".\nQUIT\r\n.\r\n"), Got::End(11, true));
        assert_eq!(receipt.refusal().and_then(|r| r.status), Some((5, 6, 11)));
        let mut receipt = Receipt::data(100, true);
        assert_eq!(receipt.next(b"\n.\r\n.\r\n"), Got::Piece(1, b"\r\n"));
        assert_eq!(receipt.next(b".\r\n.\r\n"), Got::Piece(3, b".\r\n"));
        assert_eq!(receipt.next(b".\r\n"), Got::End(3, true));
    }
}
