//! The answer for a terminal, for programs, for a ticket.
//!
//! Much of what is rendered was said by strangers (host names in documents, greetings, certificates): `clean` takes out what
//! could steer a terminal, and the Markdown escapes what could become markup. No wording of findings is here.

mod json;
mod markdown;
mod record;
mod text;

use crate::{Actor, Answer, Exit, Level};

/// For a terminal. `colour`: with escape sequences; `verbose`: with lookups, probes and transcripts; `width`: columns.
#[must_use]
pub fn text(answer: &Answer, colour: bool, verbose: bool, width: usize) -> String {
    text::render(answer, colour, verbose, width)
}

/// JSON, schema version 1 (`docs/doctor.md`).
#[must_use]
pub fn json(answer: &Answer) -> String {
    json::render(answer)
}

/// Markdown for a ticket.
#[must_use]
pub fn markdown(answer: &Answer, verbose: bool) -> String {
    markdown::render(answer, verbose)
}

/// Characters of one foreign text that are shown.
const CLEAN_CHARS_MAX: usize = 2000;

/// What strangers said, on one line and without characters that steer a terminal or turn the direction of writing.
#[must_use]
pub fn clean(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().take(CLEAN_CHARS_MAX).map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// Who must act, as people read it.
fn actor(actor: Actor) -> &'static str {
    match actor {
        Actor::You => "you",
        Actor::Provider => "your provider",
        Actor::Network => "your network",
        Actor::Nobody => "nobody",
    }
}

/// How much it weighs, as people read it.
fn level(level: Level) -> &'static str {
    match level {
        Level::Broken => "broken",
        Level::Should => "should change",
        Level::Note => "note",
    }
}

/// How it stands, in a word.
fn exit(exit: Exit) -> &'static str {
    match exit {
        Exit::Fine => "fine",
        Exit::Change => "works, should change",
        Exit::Broken => "broken",
        Exit::CannotTell => "could not tell",
    }
}

#[cfg(test)]
mod tests;
