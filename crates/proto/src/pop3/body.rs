//! The body of a multi-line answer, on its way out.

use super::codec::Stuffer;
use crate::message::surrogate::Surrogate;

/// Stuffs dots, counts TOP's lines, and makes a surrogate for clients that did not say UTF8.
#[derive(Debug)]
pub(super) struct Body {
    stuffer: Stuffer,
    /// RFC 6856 section 2.1: nothing but ASCII goes out as it is to a client that has not asked for UTF-8. Failing
    /// instead would keep the message from most clients, which know no UTF8 and meet such headers every day.
    surrogate: Option<Surrogate>,
}

impl Body {
    /// For a whole message (`None`), or its header and so many lines.
    pub(super) fn new(lines: Option<u32>, utf8: bool) -> Body {
        Body { stuffer: Stuffer::new(lines), surrogate: (!utf8).then(Surrogate::default) }
    }

    /// The whole message is ASCII: it is its own surrogate. Before the first piece.
    pub(super) fn is_ascii(&mut self) {
        self.surrogate = None;
    }

    /// Appends a piece to `out`; false when no more is wanted.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> bool {
        let stuffer = &mut self.stuffer;
        match &mut self.surrogate {
            Some(surrogate) => surrogate.push(piece, &mut |said| stuffer.push(said, out)),
            None => stuffer.push(piece, out),
        }
    }

    /// Completes the last line and writes the final dot.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        let stuffer = &mut self.stuffer;
        if let Some(surrogate) = &mut self.surrogate {
            surrogate.end(&mut |said| stuffer.push(said, out));
        }
        self.stuffer.end(out);
    }
}
