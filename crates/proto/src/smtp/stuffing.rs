//! Content as it is sent behind DATA (RFC 5321 4.5.2).
//!
//! What must hold: whatever the content is, what is written contains CR LF `.`
//! CR LF exactly once, at its end, and neither a lone CR nor a lone LF, so that no
//! receiver, however lax, sees an end that was not meant.

/// The writer of one message.
#[derive(Debug)]
pub(super) struct Stuffing {
    line_start: bool,
    /// The last octet was a CR; whether it is alone the next one tells.
    held_cr: bool,
}

impl Stuffing {
    pub(super) fn new() -> Stuffing {
        Stuffing { line_start: true, held_cr: false }
    }

    /// Appends a piece: dots doubled, lone CR and LF made CRLF.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() + 16);
        let mut rest = piece;
        if self.held_cr && !rest.is_empty() {
            self.held_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.newline(out);
        }
        while !rest.is_empty() {
            let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            if end > 0 {
                if self.line_start && rest[0] == b'.' {
                    out.push(b'.');
                }
                out.extend_from_slice(&rest[..end]);
                self.line_start = false;
            }
            rest = match &rest[end..] {
                [b'\r'] => {
                    self.held_cr = true;
                    return;
                }
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => {
                    self.newline(out);
                    rest
                }
                [] => return,
            };
        }
    }

    /// Appends the end.
    pub(super) fn end(mut self, out: &mut Vec<u8>) {
        if self.held_cr || !self.line_start {
            self.newline(out);
        }
        out.extend_from_slice(b".\r\n");
    }

    fn newline(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        self.line_start = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffed_in_every_cut() {
        for (content, sent) in [
            (&b""[..], &b".\r\n"[..]),
            (b".", b"..\r\n.\r\n"),
            (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\n.\r.\r\nb", b"a\r\n..\r\n..\r\nb\r\n.\r\n"),
            (b"a\r", b"a\r\n.\r\n"),
            (b"a\r\r\n\n", b"a\r\n\r\n\r\n.\r\n"),
        ] {
            for cut in 1..=content.len().max(1) {
                let (mut stuffing, mut out) = (Stuffing::new(), Vec::new());
                content.chunks(cut).for_each(|piece| stuffing.push(piece, &mut out));
                stuffing.end(&mut out);
                assert_eq!(out.escape_ascii().to_string(), sent.escape_ascii().to_string());
            }
        }
    }
}
