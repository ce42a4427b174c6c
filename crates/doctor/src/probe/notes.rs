//! The transcript of a probe: bounded, printable, without secrets.
//!
//! What must hold: a secret that was made known here is in no line, whoever sent it: a server that echoes
//! what it was sent does not get a password into a ticket.

use crate::seen::Line;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proto::proof::Secret;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// Lines of one transcript.
const LINES_MAX: usize = 200;
/// Characters of one line.
pub(super) const CHARS_MAX: usize = 500;
/// Characters of a greeting, and of a server's words elsewhere.
pub(super) const WORDS_CHARS_MAX: usize = 200;
const MASK: &str = "****";

/// What was said so far. Both sides of a race write into it.
pub(super) struct Notes {
    begun: Instant,
    lines: Mutex<Vec<Line>>,
    secrets: Mutex<Vec<Secret>>,
}

impl Notes {
    pub(super) fn new() -> Notes {
        Notes { begun: Instant::now(), lines: Mutex::default(), secrets: Mutex::default() }
    }

    /// From now on these octets, as they are and in base64, are masked.
    pub(super) fn hide(&self, secret: &[u8]) {
        if secret.is_empty() {
            return;
        }
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.push(Secret::new(secret));
        secrets.push(Secret::new(BASE64.encode(secret)));
    }

    pub(super) fn client(&self, text: &str) {
        self.add('C', text);
    }

    pub(super) fn server(&self, text: &str) {
        self.add('S', text);
    }

    pub(super) fn remark(&self, text: &str) {
        self.add('-', text);
    }

    /// The text with secrets masked, control characters taken out, cut.
    pub(super) fn clean(&self, text: &str, chars_max: usize) -> String {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = text.to_owned();
        for secret in secrets.iter() {
            if let Ok(secret) = std::str::from_utf8(secret.expose()) {
                text = text.replace(secret, MASK);
            }
        }
        printable(&text, chars_max)
    }

    pub(super) fn into_lines(self) -> Vec<Line> {
        self.lines.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, who: char, text: &str) {
        let text = self.clean(text, CHARS_MAX);
        let at_millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        append(
            &mut self.lines.lock().unwrap_or_else(PoisonError::into_inner),
            [Line { at_millis, who, text }],
        );
    }
}

/// Puts further lines behind a transcript, within its limit.
pub(super) fn append(lines: &mut Vec<Line>, more: impl IntoIterator<Item = Line>) {
    let room = LINES_MAX.saturating_sub(lines.len());
    lines.extend(more.into_iter().take(room));
}

/// Without what a terminal might take for a command.
pub(super) fn printable(text: &str, chars_max: usize) -> String {
    let shown = |c: char| {
        if c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.trim_end().chars().map(shown).take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_whoever_says_them() {
        let notes = Notes::new();
        notes.hide(b"open sesame");
        notes.client("d1 LOGIN ann \"open sesame\"");
        notes.server(&format!("535 you said {}", BASE64.encode("open sesame")));
        let lines = notes.into_lines();
        assert_eq!(lines[0].text, "d1 LOGIN ann \"****\"");
        assert_eq!(lines[1].text, "535 you said ****");
    }

    #[test]
    fn lines_are_printable_and_bounded() {
        let notes = Notes::new();
        for _ in 0..LINES_MAX + 5 {
            notes.server(&format!("\x1b[31m{}\r\n", "\u{e4}".repeat(900)));
        }
        let lines = notes.into_lines();
        assert_eq!(lines.len(), LINES_MAX);
        assert_eq!(lines[0].text.chars().count(), CHARS_MAX);
        assert!(lines[0].text.starts_with("\u{fffd}[31m"));
        assert_eq!(printable("a\u{202e}b", 9), "a\u{fffd}b");
    }
}
