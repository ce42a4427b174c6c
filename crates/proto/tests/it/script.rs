//! The format of transcripts: a head, then what both sides say.
//!
//! ```text
//! # What is shown, and the RFC section it comes from.
//! role: exchange
//!
//! C: NOOP            the client says this and CR LF
//! c: NO              the client says exactly this
//! S: 250 2.0.0 OK    the server says this and CR LF
//! E: Quit            the session above was told this
//! X: time 300        something happens, in the runner's words
//! ```
//!
//! In said lines `\r`, `\n`, `\0`, `\t`, `\\` and `\xHH` stand for odd bytes.
//! Lines of one side that stand together are said at once.

use std::path::{Path, PathBuf};

/// One transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The lines before the first step, as written.
    pub head: Vec<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One line of the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `C:` (with CRLF) and `c:`.
    Client(Vec<u8>),
    /// `S:`.
    Server(Vec<u8>),
    /// `E:`.
    Event(String),
    /// `X:`.
    Do(String),
    /// A comment or an empty line, kept for rewriting.
    Note(String),
}

impl Script {
    /// Reads a transcript.
    ///
    /// # Errors
    /// The number and text of the line that is none.
    pub fn parse(text: &str) -> Result<Script, String> {
        let mut script = Script { head: Vec::new(), steps: Vec::new() };
        for (i, line) in text.lines().enumerate() {
            let fault = || format!("line {}: {line}", i + 1);
            let step = if let Some(said) = line.strip_prefix("C: ").or((line == "C:").then_some("")) {
                let mut bytes = unescape(said).ok_or_else(fault)?;
                bytes.extend_from_slice(b"\r\n");
                Step::Client(bytes)
            } else if let Some(said) = line.strip_prefix("c: ") {
                Step::Client(unescape(said).ok_or_else(fault)?)
            } else if let Some(said) = line.strip_prefix("S: ") {
                let mut bytes = unescape(said).ok_or_else(fault)?;
                bytes.extend_from_slice(b"\r\n");
                Step::Server(bytes)
            } else if let Some(event) = line.strip_prefix("E: ") {
                Step::Event(event.to_owned())
            } else if let Some(deed) = line.strip_prefix("X: ") {
                Step::Do(deed.to_owned())
            } else if script.steps.is_empty() {
                script.head.push(line.to_owned());
                continue;
            } else if line.is_empty() || line.starts_with('#') {
                Step::Note(line.to_owned())
            } else {
                return Err(fault());
            };
            script.steps.push(step);
        }
        Ok(script)
    }

    /// The value of a line `key: value` in the head.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// All `key: value` lines of the head.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.iter().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_once(": "))
    }

    /// The text that [`Script::parse`] reads.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for line in &self.head {
            out.push_str(line);
            out.push('\n');
        }
        for step in &self.steps {
            let line = match step {
                Step::Client(bytes) => match bytes.strip_suffix(b"\r\n") {
                    Some(bytes) => format!("C: {}", escape(bytes)),
                    None => format!("c: {}", escape(bytes)),
                },
                Step::Server(bytes) => format!("S: {}", escape(bytes.strip_suffix(b"\r\n").unwrap_or(bytes))),
                Step::Event(event) => format!("E: {event}"),
                Step::Do(deed) => format!("X: {deed}"),
                Step::Note(note) => note.clone(),
            };
            // `C:` alone is the empty line; white space at an end is written out.
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// The transcripts of one protocol, by name.
pub fn files(protocol: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../transcripts").join(protocol);
    let mut files: Vec<_> = std::fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    files
}

/// Printable text of bytes; valid UTF-8 stays.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\r' => out.push_str("\\r"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\0' => out.push_str("\\0"),
                '\\' => out.push_str("\\\\"),
                c if c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if out.ends_with(' ') {
        out.pop();
        out.push_str("\\x20");
    }
    out
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        out.push(match chars.next()? {
            'r' => b'\r',
            'n' => b'\n',
            't' => b'\t',
            '0' => 0,
            '\\' => b'\\',
            'x' => {
                let (high, low) = (chars.next()?.to_digit(16)?, chars.next()?.to_digit(16)?);
                u8::try_from(high * 16 + low).ok()?
            }
            _ => return None,
        });
    }
    Some(out)
}

#[test]
fn reads_what_it_writes() {
    let text = "# Head\nrole: exchange\n\nC: a\\0\\xff\\\\\nc: \\r\nS: 250 ü\nE: Quit\nX: time 3\n\n# note\n";
    let script = Script::parse(text).unwrap();
    assert_eq!(script.render(), text);
    assert_eq!(script.setting("role"), Some("exchange"));
    assert_eq!(script.steps[0], Step::Client(b"a\0\xff\\\r\n".to_vec()));
    assert!(Script::parse("C: a\nwhat\n").is_err());
    assert!(Script::parse("C: \\q\n").is_err());
}
