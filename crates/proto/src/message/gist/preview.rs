//! The beginning of a message's text on one line (RFC 8970), gathered while the message streams past.
//!
//! The first part of plain text counts, else the first of HTML that says something; attachments do not. What
//! must hold: at most [`OCTETS_MAX`] octets of a part are looked at, whatever is in them.

use crate::message::structure::TextPart;
use crate::message::text::TextDecoder;

/// Octets of one part that are looked at: pages of HTML begin with much that is not shown.
const OCTETS_MAX: usize = 32 << 10;
/// Octets of its text that are enough.
const TEXT_BYTES_MAX: usize = 2 << 10;
/// Parts that are tried until one says something.
const PARTS_MAX: usize = 8;
const STEP_BYTES: usize = 1 << 10;

/// Gathers the text.
#[derive(Debug, Default)]
pub(super) struct Preview {
    /// The part that streams past now, and its octets that may still be looked at.
    decoder: Option<(TextDecoder, usize)>,
    text: String,
    tried: usize,
}

impl Preview {
    /// A part that is shown as text begins.
    pub(super) fn begin(&mut self, part: &TextPart<'_>) {
        if self.text.trim().is_empty() && self.tried < PARTS_MAX {
            self.text.clear();
            self.tried += 1;
            self.decoder = Some((TextDecoder::new(part), OCTETS_MAX));
        }
    }

    /// The next octets of the part.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        let Some((decoder, left)) = &mut self.decoder else { return };
        for step in piece[..piece.len().min(*left)].chunks(STEP_BYTES) {
            decoder.feed(step, &mut self.text);
            *left -= step.len();
            if self.text.len() > TEXT_BYTES_MAX {
                break;
            }
        }
        if *left == 0 || self.text.len() > TEXT_BYTES_MAX {
            self.cut();
        }
    }

    /// The part ends.
    pub(super) fn end(&mut self) {
        if let Some((decoder, _)) = self.decoder.take() {
            decoder.finish(&mut self.text);
            self.cut();
        }
    }

    /// Enough has been seen. The text is cut to one length, so that it does not depend on how the message was cut.
    fn cut(&mut self) {
        self.decoder = None;
        self.text.truncate(self.text.floor_char_boundary(TEXT_BYTES_MAX));
    }

    /// The preview.
    pub(super) fn finish(&self, chars_max: usize) -> String {
        let lines: Vec<&str> = self.text.lines().map(str::trim).filter(|line| line.contains(shown)).collect();
        let quoted = |at: usize| lines.get(at).is_some_and(|line| line.starts_with('>'));
        let mut out = Line { text: String::new(), left: chars_max, space: false };
        for (at, line) in lines.iter().enumerate() {
            // `On Monday Ann wrote:` in any language: a line with a colon at its end, above what is quoted.
            let attribution =
                line.ends_with(':') && quoted(at + 1) || begins_attribution(line, lines.get(at + 1));
            // RFC 3676 4.3: a signature; its space has been trimmed away.
            if *line == "--" && !out.text.is_empty() {
                break;
            }
            if !quoted(at) && !attribution && !is_attribution(line) {
                out.push(line);
            }
        }
        if out.text.is_empty() {
            lines.iter().for_each(|line| out.push(line.trim_start_matches(['>', ' '])));
        }
        out.text
    }
}

/// `On ... wrote:`
fn is_attribution(line: &str) -> bool {
    line.starts_with("On ") && line.ends_with("wrote:")
}

/// The same on two lines.
fn begins_attribution(line: &str, next: Option<&&str>) -> bool {
    line.starts_with("On ") && line.contains('@') && next.is_some_and(|next| next.ends_with("wrote:"))
}

/// Is it more than filling? Senders put characters without width behind a short text, so that programs show no more of it.
fn shown(c: char) -> bool {
    !c.is_whitespace()
        && !c.is_control()
        && !matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{fffd}')
}

struct Line {
    text: String,
    left: usize,
    space: bool,
}

impl Line {
    fn push(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() || c.is_control() {
                self.space = true;
            } else if shown(c) || c == '\u{200d}' {
                let space = std::mem::take(&mut self.space) && !self.text.is_empty();
                let size = 1 + usize::from(space);
                if self.left < size {
                    self.left = 0;
                    return;
                }
                self.left -= size;
                self.text.extend(space.then_some(' '));
                self.text.push(c);
            }
        }
        self.space = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::structure::Encoding;

    fn preview(parts: &[(bool, &str)]) -> String {
        let run = |cut: usize| {
            let mut preview = Preview::default();
            for (html, text) in parts {
                preview.begin(&TextPart {
                    body: 0..0,
                    encoding: Encoding::Identity,
                    charset: "",
                    html: *html,
                });
                text.as_bytes().chunks(cut).for_each(|piece| preview.feed(piece));
                preview.end();
            }
            preview.finish(40)
        };
        assert_eq!(run(1), run(usize::MAX));
        assert_eq!(run(7), run(usize::MAX));
        run(usize::MAX)
    }

    #[test]
    fn beginnings() {
        for (text, out) in [
            ("Hello\r\n\r\n  Ann \t x\r\n", "Hello Ann x"),
            ("> old\r\n> older\r\nnew\r\n", "new"),
            ("On Mon, Bob wrote:\r\n> old\r\nnew", "new"),
            ("On Mon, Bob <b@c.test>\r\nwrote:\r\n> old\r\nnew", "new"),
            ("Am Montag schrieb Bob:\r\n\r\n> old\r\n\r\nnew", "new"),
            ("Two things:\r\none\r\n", "Two things: one"),
            ("> only\r\n>> quoted", "only quoted"),
            ("text\r\n-- \r\nAnn", "text"),
            ("-- \r\nAnn", "-- Ann"),
            ("a\u{200c}\u{a0}\u{34f} \u{feff}b", "a b"),
            ("", ""),
            (" \r\n", ""),
            (
                "0123456789 123456789 123456789 123456789 123456789",
                "0123456789 123456789 123456789 123456789",
            ),
        ] {
            assert_eq!(preview(&[(false, text)]), out, "{text}");
        }
    }

    #[test]
    fn the_first_part_that_says_something() {
        assert_eq!(preview(&[(false, "plain"), (true, "<p>html")]), "plain");
        assert_eq!(preview(&[(false, " \r\n"), (true, "<style>x</style><p>A<p>b&amp;c")]), "A b&c");
        let long = format!("<style>{}</style>x", "y".repeat(OCTETS_MAX));
        assert_eq!(preview(&[(true, &long), (false, "z")]), "z");
        let much = "word ".repeat(OCTETS_MAX);
        assert_eq!(preview(&[(false, &much)]), "word word word word word word word word");
        assert_eq!(preview(&[(true, &"<br>".repeat(OCTETS_MAX)), (false, "z")]), "z");
    }
}
