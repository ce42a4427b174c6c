//! Where a message ends: the dots of DATA and the counts of BDAT.
//!
//! What must hold: only CR LF `.` CR LF ends DATA. Whoever takes a lone LF or CR
//! for a line end there lets an attacker hide a second message inside the first
//! (SMTP smuggling, CVE-2023-51764), so a lone one is reported as [`Found::Bare`]
//! and never ends a line here, whether the caller then refuses or mends it.
//! Content is never copied: what is found are ranges of the input. Bytes whose
//! meaning is open (a CR at the end of the input) are left in the input by DATA;
//! across the border of two chunks one CR is remembered.

use std::ops::Range;

/// What stands at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing can be said before more bytes come.
    Need,
    /// Content.
    Piece(Range<usize>),
    /// A CRLF whose CR was used up earlier.
    Newline,
    /// A CR or LF without its partner, used up.
    Bare,
    /// The message, or the chunk, ends here.
    End,
}

/// The reader of a DATA message.
#[derive(Debug)]
pub(super) struct Dots {
    line_start: bool,
}

impl Dots {
    pub(super) fn new() -> Dots {
        Dots { line_start: true }
    }

    /// Octets to use up, and what they were.
    pub(super) fn next(&mut self, input: &[u8]) -> (usize, Found) {
        let mut skip = 0;
        if self.line_start && input.first() == Some(&b'.') {
            match input {
                [_, b'\r', b'\n', ..] => return (3, Found::End),
                [_] | [_, b'\r'] => return (0, Found::Need),
                // RFC 5321 4.5.2: the first dot of a line is taken away.
                _ => skip = 1,
            }
        }
        let text = &input[skip..];
        let run = clean_run(text, true);
        if run.len > 0 {
            // A run never ends between CR and LF, so its last octet tells whether a line is complete.
            self.line_start = text[run.len - 1] == b'\n';
            let end = skip + run.len;
            return (end, Found::Piece(skip..end));
        }
        if run.bare {
            self.line_start = false;
            return (skip + 1, Found::Bare);
        }
        (0, Found::Need)
    }
}

/// The reader of one BDAT chunk (RFC 3030).
#[derive(Debug)]
pub(super) struct Chunk {
    left: u64,
    last: bool,
    binary: bool,
    held_cr: bool,
}

impl Chunk {
    /// A chunk of so many octets. `held_cr`: the chunk before ended with a CR.
    pub(super) fn new(octets: u64, last: bool, binary: bool, held_cr: bool) -> Chunk {
        Chunk { left: octets, last, binary, held_cr }
    }

    /// A CR was the last octet and waits for its LF in the next chunk.
    pub(super) fn held_cr(&self) -> bool {
        self.held_cr
    }

    /// The chunk that ends the message.
    pub(super) fn last(&self) -> bool {
        self.last
    }

    /// Octets to use up, and what they were.
    pub(super) fn next(&mut self, input: &[u8]) -> (usize, Found) {
        let available = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
        let text = &input[..available];
        if self.left == 0 {
            if self.last && self.held_cr {
                self.held_cr = false;
                return (0, Found::Bare);
            }
            return (0, Found::End);
        }
        let Some(first) = text.first() else { return (0, Found::Need) };
        if self.held_cr {
            self.held_cr = false;
            if *first == b'\n' {
                self.left -= 1;
                return (1, Found::Newline);
            }
            return (0, Found::Bare);
        }
        if self.binary {
            self.left -= available as u64;
            return (available, Found::Piece(0..available));
        }
        let run = clean_run(text, false);
        let (used, found) = if run.len > 0 {
            (run.len, Found::Piece(0..run.len))
        } else if run.bare {
            (1, Found::Bare)
        } else {
            // Only a CR at the very end is left over.
            self.held_cr = true;
            (1, Found::Piece(0..0))
        };
        self.left -= used as u64;
        (used, found)
    }
}

struct Run {
    /// Octets of whole and partial lines in which each CR is followed by LF.
    len: usize,
    /// The octet behind them is a lone CR or LF.
    bare: bool,
}

/// The longest front of `text` without a lone CR or LF. With `stop_at_dots` it
/// also ends behind a CRLF that a dot follows. A CR at the very end is left out.
fn clean_run(text: &[u8], stop_at_dots: bool) -> Run {
    let mut at = 0;
    while let Some(hit) = memchr::memchr2(b'\r', b'\n', &text[at..]) {
        let hit = at + hit;
        if text[hit] == b'\n' {
            return Run { len: hit, bare: true };
        }
        match text.get(hit + 1) {
            None => return Run { len: hit, bare: false },
            Some(b'\n') => at = hit + 2,
            Some(_) => return Run { len: hit, bare: true },
        }
        if stop_at_dots && text.get(at) == Some(&b'.') {
            return Run { len: at, bare: false };
        }
    }
    Run { len: text.len(), bare: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `input` in cuts of `step` octets: content with `|` for each lone CR or LF, and whether it ended.
    fn data(input: &[u8], step: usize) -> (Vec<u8>, Option<usize>) {
        let (mut dots, mut out, mut at, mut end) = (Dots::new(), Vec::new(), 0, 0);
        loop {
            match dots.next(&input[at..end]) {
                (0, Found::Need) if end == input.len() => return (out, None),
                (0, Found::Need) => end = (end + step).min(input.len()),
                (used, Found::End) => return (out, Some(at + used)),
                (used, found) => {
                    match found {
                        Found::Piece(range) => out.extend_from_slice(&input[at..end][range]),
                        Found::Bare => out.push(b'|'),
                        other => panic!("{other:?}"),
                    }
                    at += used;
                }
            }
        }
    }

    #[test]
    fn only_crlf_dot_crlf_ends() {
        let cases: &[(&[u8], &[u8], bool)] = &[
            (b".\r\n", b"", true),
            (b"a\r\n.\r\n", b"a\r\n", true),
            (b"a\r\n..\r\n.b\r\n.\r\n", b"a\r\n.\r\nb\r\n", true),
            (b"a\n.\n\r\n.\r\n", b"a|.|\r\n", true),
            (b"a\n.\r\n\r\n.\r\n", b"a|.\r\n\r\n", true),
            (b"a\r\n.\n\r\n.\r\n", b"a\r\n|\r\n", true),
            (b"a\r.\r\r\n.\r\n", b"a|.|\r\n", true),
            (b"a\r\n.\rb\r\n.\r\n", b"a\r\n|b\r\n", true),
            (b"a\r\r\n.\r\n", b"a|\r\n", true),
            (b"a\r\n.\r\r\n.\r\n", b"a\r\n|\r\n", true),
            (b"a\n.\n", b"a|.|", false),
            (b"a\n.\r\n", b"a|.\r\n", false),
            (b"a\r\n.\r", b"a\r\n", false),
            (b"a\r.\r", b"a|.", false),
        ];
        for (input, content, ended) in cases {
            for step in 1..=input.len() {
                let (out, end) = data(input, step);
                assert_eq!(out.escape_ascii().to_string(), content.escape_ascii().to_string());
                assert_eq!(end, ended.then_some(input.len()), "{}", input.escape_ascii());
            }
        }
    }

    #[test]
    fn a_cr_may_be_cut_from_its_lf_by_a_chunk() {
        let mut one = Chunk::new(2, false, false, false);
        assert_eq!(one.next(b"a\rxxxx"), (1, Found::Piece(0..1)));
        assert_eq!(one.next(b"\rxxxx"), (1, Found::Piece(0..0)));
        assert_eq!(one.next(b"xxxx"), (0, Found::End));
        let mut two = Chunk::new(2, true, false, one.held_cr());
        assert_eq!(two.next(b"\nbQUIT"), (1, Found::Newline));
        assert_eq!(two.next(b"bQUIT"), (1, Found::Piece(0..1)));
        assert_eq!(two.next(b"QUIT"), (0, Found::End));
        let mut lone = Chunk::new(0, true, false, true);
        assert_eq!(lone.next(b""), (0, Found::Bare));
        assert_eq!(lone.next(b""), (0, Found::End));
    }
}
