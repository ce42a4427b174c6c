//! The bytes of POP3: framing of command lines and their arguments, dot-stuffing of what goes out
//! and its removal from what comes in.
//!
//! A line ends with CRLF (RFC 1939 section 3). A lone LF does not end one: the
//! line is refused as a whole, because a peer that reads line ends differently
//! from us could be made to see commands that we do not. The same goes for a
//! CR or NUL within a line.
//!
//! What must hold: nothing is kept of a line that is longer than its limit; a
//! kept line is wiped when it is dropped, for it may be a password.

use super::gate::Row;
use std::ops::Deref;
use zeroize::{Zeroize, Zeroizing};

/// Frames lines out of any fragmentation.
pub struct Lines {
    buffer: Zeroizing<Vec<u8>>,
    /// The line at hand is over its limit; its rest is read away.
    skipping: bool,
}

/// One framed line.
pub enum Framed<'a> {
    /// Without its CRLF.
    Line(Line<'a>),
    /// It was longer than its limit and is gone.
    TooLong,
    /// It ended with a lone LF, or had a CR or NUL inside, and is gone.
    BadBytes,
}

/// A line, in the input or in a buffer of its own.
pub enum Line<'a> {
    /// It lay whole in the input.
    Input(&'a [u8]),
    /// It came in pieces.
    Kept(Zeroizing<Vec<u8>>),
}

impl Deref for Line<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Line::Input(bytes) => bytes,
            Line::Kept(bytes) => bytes,
        }
    }
}

impl Lines {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Lines {
        Lines { buffer: Zeroizing::default(), skipping: false }
    }

    /// True if a line is half-read.
    #[must_use]
    pub fn partial(&self) -> bool {
        self.skipping || !self.buffer.is_empty()
    }

    /// Takes bytes from `input`: how many, and a line if one is complete. The
    /// limit, in octets with CRLF, is a function of how the line begins.
    pub fn next<'a>(
        &mut self,
        input: &'a [u8],
        limit: impl Fn(&[u8]) -> usize,
    ) -> (usize, Option<Framed<'a>>) {
        let Some(end) = memchr::memchr(b'\n', input) else {
            self.keep(input, &limit);
            return (input.len(), None);
        };
        let piece = &input[..=end];
        let line = if self.skipping {
            None
        } else if self.buffer.is_empty() {
            (piece.len() <= limit(piece)).then_some(Line::Input(piece))
        } else {
            self.keep(piece, &limit);
            (!self.skipping).then(|| Line::Kept(std::mem::take(&mut self.buffer)))
        };
        self.skipping = false;
        (piece.len(), Some(line.map_or(Framed::TooLong, strip)))
    }

    fn keep(&mut self, piece: &[u8], limit: &impl Fn(&[u8]) -> usize) {
        if self.skipping || piece.is_empty() {
            return;
        }
        let wanted = self.buffer.len() + piece.len();
        if wanted > self.buffer.capacity() {
            // Grown by hand: a vector that grows by itself leaves a copy behind unwiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(wanted.next_power_of_two().max(256)));
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
        }
        let room = limit_of_start(&self.buffer, piece, limit);
        if wanted > room {
            self.buffer.zeroize();
            self.buffer = Zeroizing::default();
            self.skipping = true;
            return;
        }
        self.buffer.extend_from_slice(piece);
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lines(..)")
    }
}

impl Default for Lines {
    fn default() -> Lines {
        Lines::new()
    }
}

/// The limit of a line whose start may be spread over what is kept and what came.
fn limit_of_start(kept: &[u8], piece: &[u8], limit: &impl Fn(&[u8]) -> usize) -> usize {
    let mut start = [0u8; 8];
    let mut length = 0;
    for (to, from) in start.iter_mut().zip(kept.iter().chain(piece)) {
        *to = *from;
        length += 1;
    }
    limit(&start[..length])
}

/// Takes CRLF off and refuses what must not be in a line.
fn strip(line: Line<'_>) -> Framed<'_> {
    let body = line.strip_suffix(b"\r\n").filter(|body| memchr::memchr2(b'\r', 0, body).is_none());
    let Some(length) = body.map(<[u8]>::len) else { return Framed::BadBytes };
    Framed::Line(match line {
        Line::Input(bytes) => Line::Input(&bytes[..length]),
        Line::Kept(mut bytes) => {
            bytes.truncate(length);
            Line::Kept(bytes)
        }
    })
}

/// Arguments of a command; no command has more than two.
pub(super) struct Arguments<'a> {
    pub(super) first: Option<&'a [u8]>,
    pub(super) second: Option<&'a [u8]>,
}

impl<'a> Arguments<'a> {
    /// Splits at single spaces as the row says; spaces at the very end, which
    /// some clients leave behind, are dropped unless the rest is one argument.
    pub(super) fn parse(row: &Row, rest: &'a [u8]) -> Option<Arguments<'a>> {
        let (least, most) = row.arguments;
        let Some(most) = most else {
            return (!rest.is_empty()).then_some(Arguments { first: Some(rest), second: None });
        };
        let rest = rest.trim_ascii_end();
        let mut words = rest.split(|&byte| byte == b' ').filter(|_| !rest.is_empty());
        let arguments = Arguments { first: words.next(), second: words.next() };
        let given = [arguments.first, arguments.second].into_iter().flatten().count();
        let empty = [arguments.first, arguments.second].contains(&Some(b""));
        (words.next().is_none() && (least..=most).contains(&given) && !empty).then_some(arguments)
    }
}

/// A number of at most ten digits, and digits only.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    if text.len() > 10 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Writes a message as a multi-line answer (RFC 1939 section 3): a line that
/// begins with a dot gets another, a lone CR or LF becomes CRLF, and the lines
/// after the header are counted for TOP. Takes pieces of any size.
#[derive(Debug)]
pub struct Stuffer {
    at_line_start: bool,
    /// A CR was the last octet; what follows decides whether it was alone.
    after_cr: bool,
    in_header: bool,
    /// Body lines still wanted; `None`: all.
    lines_left: Option<u32>,
}

impl Stuffer {
    /// For a whole message (`None`), or its header and so many lines.
    #[must_use]
    pub fn new(lines: Option<u32>) -> Stuffer {
        Stuffer { at_line_start: true, after_cr: false, in_header: true, lines_left: lines }
    }

    /// Appends a piece to `out`; false when no more is wanted.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> bool {
        if self.done() {
            return false;
        }
        out.reserve(piece.len() + piece.len() / 32 + 8);
        let mut rest = piece;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            if !self.newline(out) {
                return false;
            }
        }
        while !rest.is_empty() {
            let plain = self.plain(rest);
            if plain > 0 {
                out.extend_from_slice(&rest[..plain]);
                self.at_line_start = rest[plain - 1] == b'\n';
                rest = &rest[plain..];
                continue;
            }
            if self.at_line_start && rest[0] == b'.' {
                out.push(b'.');
            }
            let Some(end) = memchr::memchr2(b'\r', b'\n', rest) else {
                out.extend_from_slice(rest);
                self.at_line_start = false;
                return true;
            };
            let length = match &rest[end..] {
                [b'\r', b'\n', ..] => 2,
                [b'\r'] => {
                    out.extend_from_slice(&rest[..end]);
                    self.at_line_start &= end == 0;
                    self.after_cr = true;
                    return true;
                }
                _ => 1,
            };
            out.extend_from_slice(&rest[..end]);
            self.at_line_start &= end == 0;
            rest = &rest[end + length..];
            if !self.newline(out) {
                return false;
            }
        }
        true
    }

    /// How many octets, in whole blocks but for a CR at their end, go out as they are: nearly all of nearly every message. Looked at side by side,
    /// not line by line.
    fn plain(&self, bytes: &[u8]) -> usize {
        const BLOCK: usize = 64;
        if self.lines_left.is_some() || bytes[0] == b'\n' || (self.at_line_start && bytes[0] == b'.') {
            return 0;
        }
        let blocks = bytes[1..].chunks_exact(BLOCK).zip(bytes.chunks_exact(BLOCK));
        let is_plain = |(block, before): &(&[u8], &[u8])| {
            let odd = |odd: u8, (&now, &before): (&u8, &u8)| {
                let half_an_end = (now == b'\n') != (before == b'\r');
                odd | u8::from(half_an_end) | u8::from((before == b'\n') & (now == b'.'))
            };
            block.iter().zip(*before).fold(0, odd) == 0
        };
        match blocks.take_while(is_plain).count() * BLOCK {
            0 => 0,
            // The last octet looked at may be a CR, of which only what follows tells.
            octets => octets + usize::from(bytes[octets] != b'\r'),
        }
    }

    /// Completes the last line and writes the final dot.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.after_cr || !self.at_line_start {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
        *self = Stuffer::new(None);
    }

    fn newline(&mut self, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(b"\r\n");
        if !self.in_header {
            self.lines_left = self.lines_left.map(|lines| lines.saturating_sub(1));
        } else if self.at_line_start {
            self.in_header = false;
        }
        self.at_line_start = true;
        !self.done()
    }

    fn done(&self) -> bool {
        !self.in_header && self.lines_left == Some(0)
    }
}

/// Takes the stuffing off a multi-line answer, in any fragmentation and without
/// a copy.
#[derive(Debug, Default)]
pub struct Unstuffer {
    state: Unstuff,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Unstuff {
    #[default]
    LineStart,
    Dot,
    DotCr,
    Inside,
    InsideCr,
}

/// A piece of a multi-line answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Content, line ends included.
    Data(&'a [u8]),
    /// The final dot.
    End,
}

impl Unstuffer {
    /// At the start of a body.
    #[must_use]
    pub fn new() -> Unstuffer {
        Unstuffer::default()
    }

    /// Takes bytes from `input`: how many, and what they are.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> (usize, Option<Piece<'a>>) {
        let Some(&first) = input.first() else { return (0, None) };
        match (self.state, first) {
            (Unstuff::LineStart, b'.') => {
                self.state = Unstuff::Dot;
                (1, None)
            }
            (Unstuff::Dot, b'\r') => {
                self.state = Unstuff::DotCr;
                (1, None)
            }
            (Unstuff::DotCr, b'\n') => {
                self.state = Unstuff::LineStart;
                (1, Some(Piece::End))
            }
            (Unstuff::DotCr, _) => {
                // The CR that was held back belongs to the content after all.
                self.state = Unstuff::InsideCr;
                (0, Some(Piece::Data(b"\r")))
            }
            _ => self.data(input),
        }
    }

    /// Content up to the end of a line, or as far as there is any.
    fn data<'a>(&mut self, input: &'a [u8]) -> (usize, Option<Piece<'a>>) {
        let end = memchr::memchr(b'\n', input).map_or(input.len(), |at| at + 1);
        let data = &input[..end];
        let cr_before = if end == 1 { self.state == Unstuff::InsideCr } else { data[end - 2] == b'\r' };
        self.state = match data[end - 1] {
            b'\n' if cr_before => Unstuff::LineStart,
            b'\r' => Unstuff::InsideCr,
            _ => Unstuff::Inside,
        };
        (end, Some(Piece::Data(data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuffed(pieces: &[&[u8]], lines: Option<u32>) -> String {
        let mut stuffer = Stuffer::new(lines);
        let mut out = Vec::new();
        for piece in pieces {
            if !stuffer.push(piece, &mut out) {
                break;
            }
        }
        stuffer.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dots_and_line_ends() {
        assert_eq!(stuffed(&[b""], None), ".\r\n");
        assert_eq!(stuffed(&[b"a\r\n"], None), "a\r\n.\r\n");
        assert_eq!(stuffed(&[b"a"], None), "a\r\n.\r\n");
        assert_eq!(stuffed(&[b".\r\n..\r\na.b\r\n"], None), "..\r\n...\r\na.b\r\n.\r\n");
        assert_eq!(stuffed(&[b"a\n.b\rc\r"], None), "a\r\n..b\r\nc\r\n.\r\n");
        assert_eq!(stuffed(&[b"a\r\r\n\n"], None), "a\r\n\r\n\r\n.\r\n");
    }

    /// Octet by octet nothing is looked at in blocks.
    #[test]
    fn blocks_are_stuffed_as_octets_are() {
        let word = prop_oneof![
            6 => Just(&b"a line of a letter, of common length.\r\n"[..]),
            2 => Just(&b"more"[..]), 1 => Just(&b"."[..]), 1 => Just(&b"\r"[..]), 1 => Just(&b"\n"[..]), 1 => Just(&b"\r\n."[..]),
        ];
        proptest!(|(words in proptest::collection::vec(word, 0..60), cut in 0usize..400)| {
            let message = words.concat();
            let octets: Vec<&[u8]> = message.chunks(1).collect();
            let (first, second) = message.split_at(cut.min(message.len()));
            let expected = stuffed(&octets, None);
            prop_assert_eq!(&stuffed(&[&message], None), &expected);
            prop_assert_eq!(&stuffed(&[first, second], None), &expected);
        });
    }

    #[test]
    fn top_counts_lines_of_the_body() {
        let message: &[u8] = b"A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n";
        assert_eq!(stuffed(&[message], Some(0)), "A: 1\r\nB: 2\r\n\r\n.\r\n");
        assert_eq!(stuffed(&[message], Some(2)), "A: 1\r\nB: 2\r\n\r\none\r\n\r\n.\r\n");
        assert_eq!(stuffed(&[message], Some(9)), "A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n.\r\n");
        assert_eq!(stuffed(&[b"A: 1\r\n"], Some(5)), "A: 1\r\n.\r\n", "no body");
        assert_eq!(stuffed(&[b"\r\nbody\r\nmore\r\n"], Some(1)), "\r\nbody\r\n.\r\n", "no header");
    }

    #[test]
    fn lines_are_framed_strictly() {
        let mut lines = Lines::new();
        let mut one = |input: &[u8]| match lines.next(input, |_| 10) {
            (used, Some(Framed::Line(line))) => format!("{used} {}", String::from_utf8_lossy(&line)),
            (used, Some(Framed::TooLong)) => format!("{used} too long"),
            (used, Some(Framed::BadBytes)) => format!("{used} bad"),
            (used, None) => format!("{used} -"),
        };
        assert_eq!(one(b"NOOP\r\nSTAT"), "6 NOOP");
        assert_eq!(one(b"NOOP\n"), "5 bad");
        assert_eq!(one(b"NO\rOP\r\n"), "7 bad");
        assert_eq!(one(b"NO\0OP\r\n"), "7 bad");
        assert_eq!(one(b"12345678\r\n"), "10 12345678");
        assert_eq!(one(b"123456789\r\n"), "11 too long");
        assert_eq!(one(b"1234"), "4 -");
        assert_eq!(one(b"5678\r"), "5 -");
        assert_eq!(one(b"\n"), "1 12345678");
        assert_eq!(one(b"12345678901"), "11 -");
        assert_eq!(one(b"still the same line"), "19 -");
        assert_eq!(one(b"end\r\nQUIT\r\n"), "5 too long");
        assert_eq!(one(b"QUIT\r\n"), "6 QUIT");
    }

    #[test]
    fn the_limit_sees_the_start_of_a_line_in_pieces() {
        let limit = |start: &[u8]| if start.starts_with(b"AUTH ") { 100 } else { 10 };
        let mut lines = Lines::new();
        for byte in b"AUTH 0123456789\r" {
            assert!(lines.next(&[*byte], limit).1.is_none());
        }
        assert!(matches!(lines.next(b"\n", limit).1, Some(Framed::Line(line)) if line.len() == 15));
    }

    fn unstuffed(input: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<u8>) {
        let mut unstuffer = Unstuffer::new();
        let mut out = Vec::new();
        let mut at = 0;
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
        ends.push(input.len());
        ends.sort_unstable();
        for end in ends {
            while at < end {
                let (used, piece) = unstuffer.next(&input[at..end]);
                at += used;
                match piece {
                    Some(Piece::Data(data)) => out.extend_from_slice(data),
                    Some(Piece::End) => return (out, input[at..].to_vec()),
                    None => {}
                }
            }
        }
        panic!("no end in {input:?}");
    }

    #[test]
    fn unstuffing_keeps_odd_content() {
        assert_eq!(unstuffed(b"..a\r\n.\rb\r\n.\r\n+OK", &[]), (b".a\r\n\rb\r\n".to_vec(), b"+OK".to_vec()));
        assert_eq!(unstuffed(b".\r\n", &[1, 2]), (Vec::new(), Vec::new()));
        assert_eq!(unstuffed(b"a\n.\r\nb\r\n.\r\n", &[2]), (b"a\n.\r\nb\r\n".to_vec(), Vec::new()));
    }

    proptest! {
        #[test]
        fn what_is_stuffed_comes_back(
            words in proptest::collection::vec("[.a\r\n]{0,6}", 0..20),
            cuts in proptest::collection::vec(any::<usize>(), 0..6),
        ) {
            let pieces: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            let whole = words.concat();
            let out = stuffed(&pieces, None);
            prop_assert_eq!(&out, &stuffed(&[whole.as_bytes()], None), "fragments");
            let (back, rest) = unstuffed(out.as_bytes(), &cuts);
            prop_assert!(rest.is_empty());
            let mut normal = whole.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
            if !normal.is_empty() && !normal.ends_with('\n') {
                normal.push_str("\r\n");
            }
            prop_assert_eq!(String::from_utf8(back).unwrap(), normal);
        }
    }
}
