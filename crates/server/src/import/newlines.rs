//! A reader that gives every line a CRLF end, and takes mbox quoting off.

use std::io::{self, BufRead, Read};

const FROM: &[u8; 5] = b"From ";

/// Streams `inner` with CRLF line ends. LF alone, CR alone, and a run of CR
/// before LF (an old transfer's mistake) each end one line. With `unquote`, one
/// `>` is taken from each line of `>` signs followed by `From ` (mboxrd; mboxo is
/// the case of one sign). What the last line ends with is kept, so a file without
/// a last line end gives a message without one.
#[derive(Debug)]
pub struct Newlines<R> {
    inner: R,
    unquote: bool,
    /// CR read and not yet decided on.
    carriage_returns: usize,
    /// Where in the line we are, for the quoting.
    line: Line,
    out: Vec<u8>,
    given: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Start,
    /// A `>` is held back, further ones have been given, and this many octets of `From ` were seen.
    Quoted(usize),
    Within,
}

impl<R: BufRead> Newlines<R> {
    /// Reads from `inner`.
    pub fn new(inner: R, unquote: bool) -> Newlines<R> {
        Newlines { inner, unquote, carriage_returns: 0, line: Line::Start, out: Vec::new(), given: 0 }
    }

    /// Takes in the next piece; false at the end.
    fn refill(&mut self) -> io::Result<bool> {
        self.out.clear();
        self.given = 0;
        // The buffer leaves `self` while it is walked over.
        let mut out = std::mem::take(&mut self.out);
        let taken = {
            let piece = match self.inner.fill_buf() {
                Ok(piece) => piece,
                Err(e) => {
                    self.out = out;
                    return Err(e);
                }
            };
            let mut state = (self.line, self.carriage_returns);
            translate(piece, self.unquote, &mut state, &mut out);
            (self.line, self.carriage_returns) = state;
            piece.len()
        };
        self.inner.consume(taken);
        if taken == 0 {
            release(&mut self.line, &mut out);
            for _ in 0..std::mem::take(&mut self.carriage_returns) {
                out.extend_from_slice(b"\r\n");
            }
        }
        self.out = out;
        Ok(taken > 0 || !self.out.is_empty())
    }
}

impl<R: BufRead> Read for Newlines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.out.len() {
            match self.refill() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let count = buffer.len().min(self.out.len() - self.given);
        buffer[..count].copy_from_slice(&self.out[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

fn translate(mut piece: &[u8], unquote: bool, state: &mut (Line, usize), out: &mut Vec<u8>) {
    let (line, carriage_returns) = state;
    while let Some((&byte, rest)) = piece.split_first() {
        if byte == b'\r' || byte == b'\n' {
            release(line, out);
            piece = rest;
            if byte == b'\r' {
                *carriage_returns += 1;
                continue;
            }
            *carriage_returns = 0;
            out.extend_from_slice(b"\r\n");
            *line = Line::Start;
            continue;
        }
        if *carriage_returns > 0 {
            for _ in 0..std::mem::take(carriage_returns) {
                out.extend_from_slice(b"\r\n");
            }
            *line = Line::Start;
        }
        match *line {
            Line::Start if unquote && byte == b'>' => {
                *line = Line::Quoted(0);
                piece = rest;
            }
            Line::Quoted(0) if byte == b'>' => {
                out.push(b'>');
                piece = rest;
            }
            Line::Quoted(seen) if byte == FROM[seen] => {
                piece = rest;
                if seen + 1 == FROM.len() {
                    out.extend_from_slice(FROM);
                    *line = Line::Within;
                } else {
                    *line = Line::Quoted(seen + 1);
                }
            }
            Line::Quoted(_) => release(line, out),
            Line::Start | Line::Within => {
                let end = piece.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(piece.len());
                out.extend_from_slice(&piece[..end]);
                piece = &piece[end..];
                *line = Line::Within;
            }
        }
    }
}

/// Gives what was held back: it was no quoting.
fn release(line: &mut Line, out: &mut Vec<u8>) {
    if let Line::Quoted(seen) = *line {
        out.push(b'>');
        out.extend_from_slice(&FROM[..seen]);
        *line = Line::Within;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn read(text: &str, unquote: bool, buffer: usize) -> String {
        let mut out = String::new();
        let reader = BufReader::with_capacity(buffer, text.as_bytes());
        Newlines::new(reader, unquote).read_to_string(&mut out).unwrap();
        out
    }

    #[test]
    fn known_answers_in_any_cut() {
        for (text, unquote, expected) in [
            ("a\nb\r\nc\rd\r\r\ne", false, "a\r\nb\r\nc\r\nd\r\ne"),
            ("", false, ""),
            ("\n\r", false, "\r\n\r\n"),
            ("a\r\rb", false, "a\r\n\r\nb"),
            (
                ">From x\n>>From y\n>Fro\n>>\n> From\n >From z\n>",
                true,
                "From x\r\n>From y\r\n>Fro\r\n>>\r\n> From\r\n >From z\r\n>",
            ),
            ("a\r>From b\r>From", true, "a\r\nFrom b\r\n>From"),
            (">From x\n", false, ">From x\r\n"),
        ] {
            for buffer in 1..12 {
                assert_eq!(read(text, unquote, buffer), expected, "{text:?} in pieces of {buffer}");
            }
        }
    }
}
