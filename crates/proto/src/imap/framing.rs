//! Where a command ends: lines, the literals between them, and what is read away.
//!
//! A line ends with CRLF; a lone LF is taken for one, as other servers do. A command is gathered
//! with its literals into one buffer, except that the texts of messages pass through. After each
//! announcement of a literal the machine decides: gather it, let it pass, or refuse the command.
//!
//! What must hold: octets of a literal are never taken for a command, whether the literal is wanted
//! or not, whether the line before it was too long or not: what is refused is read away with every
//! literal that its client sends without waiting. Nothing is kept of what is read away but the
//! end of its line. What is kept is wiped when it is dropped, for it may be a password.

use super::parse::{Announced, announced};
use std::ops::Deref;
use zeroize::Zeroizing;

/// Octets of the end of a line that is read away: an announcement, `~{`, 20 digits, `+}` and CRLF,
/// has room in it with many needless zeros.
const TAIL_BYTES: usize = 64;

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Octets of the command's lines, with their ends.
    pub line_bytes_max: usize,
    /// Octets that are read away for one refused command.
    pub away_bytes_max: u64,
    /// Literals may be announced; not so in SASL and IDLE, which have lines only.
    pub literals: bool,
}

/// What the bytes were.
pub(super) enum Framed<'a> {
    /// A whole command, or all of it behind a literal that passed through, without its line end.
    Command(Text<'a>),
    /// The command so far ([`Gather::text`]) ends with this announcement. Say what is to be done.
    Literal(Announced),
    /// Octets of a literal that passes through.
    Data(&'a [u8]),
    /// The lines of the command are over their limit. Refuse it.
    TooLong,
    /// A line has NUL or a lone CR in it. Refuse the command.
    BadBytes,
    /// What was refused is read away.
    ReadAway,
    /// There is more to read away than is allowed.
    Flood,
}

/// A command's text, in the input or in a buffer of its own.
pub(super) enum Text<'a> {
    /// It lay whole in the input.
    Input(&'a [u8]),
    /// It came in pieces.
    Kept(Zeroizing<Vec<u8>>),
}

impl Deref for Text<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Text::Input(bytes) => bytes,
            Text::Kept(bytes) => bytes,
        }
    }
}

// Neither prints what it holds: it may be a password.
impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} octets)", self.len())
    }
}

impl std::fmt::Debug for Gather {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gather").field("kept", &self.buffer.len()).field("phase", &self.phase).finish()
    }
}

/// Gathers commands out of any fragmentation.
pub(super) struct Gather {
    /// The command's lines (each but the last with CRLF) and its gathered literals.
    buffer: Zeroizing<Vec<u8>>,
    /// Where in the buffer the line at hand begins.
    line_start: usize,
    /// Octets of lines so far.
    line_bytes: usize,
    /// Literals gathered so far.
    literals: usize,
    phase: Phase,
    /// What of the command is still to come.
    ahead: Ahead,
}

#[derive(Debug)]
enum Phase {
    Line,
    /// A literal is gathered.
    Literal {
        left: u64,
    },
    /// A literal passes through.
    Stream {
        left: u64,
    },
    /// A refused command is read away: octets of the literal at hand, octets so far,
    /// the end of the line at hand.
    Away {
        left: u64,
        total: u64,
        tail: Vec<u8>,
        literals: bool,
    },
}

#[derive(Clone, Copy, Debug)]
enum Ahead {
    /// Nothing that comes by itself.
    Nothing,
    /// A literal, announced so.
    Literal(Announced),
    /// The rest of a line, behind what is left of a literal.
    Line { literals: bool },
}

impl Gather {
    /// Nothing read yet.
    pub(super) fn new() -> Gather {
        Gather {
            buffer: Zeroizing::default(),
            line_start: 0,
            line_bytes: 0,
            literals: 0,
            phase: Phase::Line,
            ahead: Ahead::Nothing,
        }
    }

    /// True if a command is half-read, or something is being read away.
    pub(super) fn partial(&self) -> bool {
        !self.buffer.is_empty() || !matches!(self.phase, Phase::Line)
    }

    /// The command so far.
    pub(super) fn text(&self) -> &[u8] {
        &self.buffer
    }

    /// Literals gathered of this command.
    pub(super) fn literals(&self) -> usize {
        self.literals
    }

    /// The announced literal is gathered with the command.
    pub(super) fn take_literal(&mut self) {
        if let Ahead::Literal(announced) = self.ahead {
            self.literals += 1;
            self.phase = match announced.bytes {
                0 => Phase::Line,
                left => Phase::Literal { left },
            };
            self.ahead = Ahead::Line { literals: true };
        }
    }

    /// The announced literal passes through; what was gathered before it is forgotten.
    pub(super) fn pass_literal(&mut self) {
        if let Ahead::Literal(announced) = self.ahead {
            self.forget();
            self.phase = match announced.bytes {
                0 => Phase::Line,
                left => Phase::Stream { left },
            };
            self.ahead = Ahead::Line { literals: true };
        }
    }

    /// The command is refused. True: there is something to read away first, at the end
    /// of which [`Framed::ReadAway`] comes. False: its client waits for the answer now.
    pub(super) fn refuse(&mut self) -> bool {
        let (left, literals) = match (&self.phase, self.ahead) {
            (_, Ahead::Nothing) => (None, true),
            (_, Ahead::Literal(announced)) => ((!announced.sync).then_some(announced.bytes), true),
            (Phase::Literal { left } | Phase::Stream { left }, Ahead::Line { literals }) => {
                (Some(*left), literals)
            }
            (_, Ahead::Line { literals }) => (Some(0), literals),
        };
        let tail = match self.ahead {
            Ahead::Line { .. } => {
                let line = self.buffer.get(self.line_start..).unwrap_or_default();
                line[line.len().saturating_sub(TAIL_BYTES)..].to_vec()
            }
            _ => Vec::new(),
        };
        self.forget();
        self.phase = match left {
            Some(left) => Phase::Away { left, total: left, tail, literals },
            None => Phase::Line,
        };
        self.ahead = Ahead::Nothing;
        left.is_some()
    }

    /// Takes bytes from `input`: how many, and what they were if that can be said.
    pub(super) fn next<'a>(&mut self, input: &'a [u8], room: &Room) -> (usize, Option<Framed<'a>>) {
        match &mut self.phase {
            Phase::Line if input.is_empty() => (0, None),
            Phase::Line => self.line(input, room),
            Phase::Literal { left } => {
                let count = within(*left, input);
                *left -= count as u64;
                if *left == 0 {
                    self.phase = Phase::Line;
                }
                self.keep(&input[..count]);
                self.line_start = self.buffer.len();
                (count, None)
            }
            Phase::Stream { left } => {
                let count = within(*left, input);
                *left -= count as u64;
                if *left == 0 {
                    self.phase = Phase::Line;
                }
                (count, (count > 0).then(|| Framed::Data(&input[..count])))
            }
            Phase::Away { .. } => self.away(input, room.away_bytes_max),
        }
    }

    fn line<'a>(&mut self, input: &'a [u8], room: &Room) -> (usize, Option<Framed<'a>>) {
        let end = memchr::memchr(b'\n', input);
        let piece = end.map_or(input, |end| &input[..=end]);
        let left = room.line_bytes_max.saturating_sub(self.line_bytes);
        self.line_bytes += piece.len();
        self.ahead = Ahead::Line { literals: room.literals };
        if piece.len() > left {
            self.keep(&piece[..left]);
            return (left, Some(Framed::TooLong));
        }
        if end.is_none() {
            self.keep(piece);
            return (piece.len(), None);
        }
        // A whole line. Alone in the input it is not copied, if nothing is to follow it.
        let alone = self.buffer.is_empty();
        if !alone {
            self.keep(piece);
        }
        let line = strip(if alone { piece } else { &self.buffer[self.line_start..] });
        let announced = if room.literals { announced(line) } else { None };
        let bad = memchr::memchr2(b'\r', b'\0', line).is_some();
        self.ahead = announced.map_or(Ahead::Nothing, Ahead::Literal);
        if alone && !bad && announced.is_none() {
            self.forget();
            return (piece.len(), Some(Framed::Command(Text::Input(strip(piece)))));
        }
        let line_bytes = line.len();
        if alone {
            self.keep(strip(piece));
        } else {
            self.buffer.truncate(self.line_start + line_bytes);
        }
        if bad {
            return (piece.len(), Some(Framed::BadBytes));
        }
        let framed = match announced {
            Some(announced) => {
                self.keep(b"\r\n");
                self.line_start = self.buffer.len();
                Framed::Literal(announced)
            }
            None => {
                let text = std::mem::take(&mut self.buffer);
                self.forget();
                Framed::Command(Text::Kept(text))
            }
        };
        (piece.len(), Some(framed))
    }

    fn away<'a>(&mut self, input: &'a [u8], bytes_max: u64) -> (usize, Option<Framed<'a>>) {
        let Phase::Away { left, total, tail, literals } = &mut self.phase else { return (0, None) };
        if *total > bytes_max {
            return (0, Some(Framed::Flood));
        }
        if *left > 0 {
            let count = within(*left, input);
            *left -= count as u64;
            return (count, None);
        }
        let end = memchr::memchr(b'\n', input);
        let piece = end.map_or(input, |end| &input[..=end]);
        *total += piece.len() as u64;
        if *total > bytes_max {
            return (piece.len(), Some(Framed::Flood));
        }
        tail.extend_from_slice(&piece[piece.len().saturating_sub(TAIL_BYTES)..]);
        tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
        if end.is_none() {
            return (piece.len(), None);
        }
        match if *literals { announced(strip(tail)) } else { None } {
            Some(announced) if !announced.sync => {
                *left = announced.bytes;
                *total = total.saturating_add(announced.bytes);
                tail.clear();
                (piece.len(), None)
            }
            _ => {
                self.phase = Phase::Line;
                (piece.len(), Some(Framed::ReadAway))
            }
        }
    }

    fn forget(&mut self) {
        self.buffer = Zeroizing::default();
        self.line_start = 0;
        self.line_bytes = 0;
        self.literals = 0;
    }

    fn keep(&mut self, piece: &[u8]) {
        let wanted = self.buffer.len() + piece.len();
        if wanted > self.buffer.capacity() {
            // Grown by hand: a vector that grows by itself leaves a copy behind unwiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(wanted.next_power_of_two().max(256)));
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
        }
        self.buffer.extend_from_slice(piece);
    }
}

/// As many of `left` octets as the input has.
fn within(left: u64, input: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(input.len())
}

/// A line without its end.
fn strip(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOM: Room = Room { line_bytes_max: 30, away_bytes_max: 200, literals: true };

    /// What is found in `input`, cut into pieces of `step`. Literals of an `L` command are gathered, of
    /// a `P` command passed, all others refused.
    fn found(input: &[u8], step: usize) -> Vec<String> {
        let mut gather = Gather::new();
        let (mut out, mut data) = (Vec::new(), Vec::new());
        for piece in input.chunks(step) {
            let mut rest = piece;
            loop {
                let (used, framed) = gather.next(rest, &ROOM);
                rest = &rest[used..];
                let Some(framed) = framed else {
                    if used == 0 {
                        break;
                    }
                    continue;
                };
                if let Framed::Data(bytes) = framed {
                    data.extend_from_slice(bytes);
                    continue;
                }
                if !data.is_empty() {
                    out.push(format!("data {}", data.escape_ascii()));
                    data.clear();
                }
                let refused = |gather: &mut Gather, what: &str| {
                    let text = gather.text().escape_ascii().to_string();
                    format!("{what} {text}{}", if gather.refuse() { ", away" } else { "" })
                };
                out.push(match framed {
                    Framed::Command(text) => format!("command {}", text.escape_ascii()),
                    Framed::Literal(_) if gather.text().first() == Some(&b'L') => {
                        gather.take_literal();
                        format!("literal {}", gather.literals())
                    }
                    Framed::Literal(_) if gather.text().first() == Some(&b'P') => {
                        gather.pass_literal();
                        "pass".to_owned()
                    }
                    Framed::Literal(_) => refused(&mut gather, "refused"),
                    Framed::TooLong => refused(&mut gather, "long"),
                    Framed::BadBytes => refused(&mut gather, "bad"),
                    Framed::ReadAway => "read away".to_owned(),
                    Framed::Flood => {
                        out.push("flood".to_owned());
                        return out;
                    }
                    Framed::Data(_) => unreachable!("handled above"),
                });
            }
        }
        if gather.partial() {
            out.push("more to come".to_owned());
        }
        out
    }

    #[test]
    fn lines_and_literals() {
        for (input, expected) in [
            (&b"a\r\nb\n\r\n"[..], &["command a", "command b", "command "][..]),
            (b"L {3}\r\na\nb c\r\n", &["literal 1", r"command L {3}\r\na\nb c"]),
            (b"L {0+}\n {1}\r\n}\r\n", &["literal 1", "literal 2", r"command L {0+}\r\n {1}\r\n}"]),
            (b"P {5}\r\na\r\n\0b rest\r\n", &["pass", r"data a\r\n\x00b", "command  rest"]),
            (b"P {0}\r\n)\r\nx\r\n", &["pass", "command )", "command x"]),
            (b"x {3}\r\nabc\r\n", &[r"refused x {3}\r\n", "command abc"]),
            (
                b"x {3+}\r\nabc {4+}\r\nq\r\nr\r\ny\r\n",
                &[r"refused x {3+}\r\n, away", "read away", "command y"],
            ),
            (b"x {3+}\r\nabc {4}\r\ny\r\n", &[r"refused x {3+}\r\n, away", "read away", "command y"]),
            (
                b"a\rb\r\nc\0 {1+}\r\nzz\r\ny\r\n",
                &[r"bad a\rb", r"bad c\x00 {1+}, away", "read away", "command y"],
            ),
            (
                b"0123456789012345678901234567890 {4+}\r\nq\r\nr\r\ny\r\n",
                &["long 012345678901234567890123456789, away", "read away", "command y"],
            ),
            (
                b"0123456789012345678901234567{9+}\r\nq\r\nr56789\r\ny\r\n",
                &["long 0123456789012345678901234567{9, away", "read away", "command y"],
            ),
            (b"x {201+}\r\nx", &[r"refused x {201+}\r\n, away", "flood"]),
            (
                b"x {99999999999999999999999+}\r\nx",
                &[r"refused x {99999999999999999999999+}\r\n, away", "flood"],
            ),
            (b"a {5", &["more to come"]),
        ] {
            for step in 1..=input.len() {
                assert_eq!(found(input, step), expected, "in cuts of {step}");
            }
        }
    }

    const PIECES: [&[u8]; 11] = [
        b"L ",
        b"P ",
        b"x",
        b" {7+}",
        b"{3}",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"{190+}",
        b"0123456789012345678901234567",
    ];

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            pieces in proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..30),
            step in 1_usize..9,
        ) {
            let input = pieces.concat();
            prop_assert_eq!(found(&input, step), found(&input, input.len().max(1)));
        }
    }
}
