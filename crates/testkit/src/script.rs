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
//! In said lines `\r`, `\n`, `\0`, `\t`, `\\` and `\xHH` stand for odd bytes and
//! `\*N(text)` for N times the text. Lines of one side that stand together are
//! said at once. Deeds: `time` and seconds pass; `shutdown`, the service stops;
//! `ended` or `open`, what the conversation must be by now. Where no `E:` line
//! stands, events are not compared.
//!
//! With `SEALPOST_REWRITE=1` the `S:`, `E:` and state lines are written anew from
//! what the machine does; read the difference before it is kept.

use std::path::{Path, PathBuf};

/// A run of one character that is written as `\*N(c)`.
const RUN_MIN: usize = 100;

/// The other side of a transcript: a machine and a fixed session above it.
pub trait Peer {
    /// The client says this.
    fn feed(&mut self, bytes: &[u8]);
    /// What was said since the last time.
    fn take_said(&mut self) -> Vec<u8>;
    /// What the session was told since the last time.
    fn take_events(&mut self) -> Vec<String>;
    /// Time passes.
    fn pass(&mut self, seconds: u32);
    /// The service stops.
    fn shutdown(&mut self);
    /// The conversation is over.
    fn ended(&self) -> bool;
}

/// Plays every transcript of a protocol, whole and in cuts.
///
/// # Panics
/// Fewer than `count_min` are found, or something else happens than is written down.
pub fn hold_all<P: Peer>(protocol: &str, count_min: usize, open: impl Fn(&Script) -> Result<P, String>) {
    let files = files(protocol);
    assert!(files.len() >= count_min, "only {} transcripts were found", files.len());
    let rewrite = std::env::var_os("SEALPOST_REWRITE").is_some();
    let mut failed = String::new();
    for path in files {
        let (name, script) = read(&path);
        let open = || open(&script).unwrap_or_else(|e| panic!("{name}: {e}"));
        if rewrite {
            let happened = script.play(&mut open(), usize::MAX).render();
            std::fs::write(&path, happened).unwrap_or_else(|e| panic!("{name}: {e}"));
            continue;
        }
        for cut in [usize::MAX, 1, 2, 3, 7] {
            let happened = script.play(&mut open(), cut).render();
            if let Some(difference) = first_difference(&script.render(), &happened) {
                failed.push_str(&format!("\n=== {name}, cut into {cut}\n{difference}"));
                break;
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

/// One file's name and content.
///
/// # Panics
/// It cannot be read, or has no head that says what it shows.
#[must_use]
pub fn read(path: &Path) -> (String, Script) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(text.starts_with("# RFC "), "{name}: the head begins with the RFC section that it shows");
    (name.clone(), Script::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}")))
}

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
            } else if let Some(said) = line.strip_prefix("S: ").or((line == "S:").then_some("")) {
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

    /// Plays the client's part, cut into pieces of `cut` octets, and writes down what
    /// the other side did.
    ///
    /// # Panics
    /// There is no such deed.
    pub fn play(&self, peer: &mut impl Peer, cut: usize) -> Script {
        let mut out = Script { head: self.head.clone(), steps: Vec::new() };
        let events = self.tells_events();
        peer.feed(b"");
        note(&mut out, peer, events);
        let mut at = 0;
        while at < self.steps.len() {
            match &self.steps[at] {
                Step::Client(_) => {
                    let mut said = Vec::new();
                    while let Some(Step::Client(bytes)) = self.steps.get(at) {
                        said.extend_from_slice(bytes);
                        out.steps.push(Step::Client(bytes.clone()));
                        at += 1;
                    }
                    said.chunks(cut.min(said.len()).max(1)).for_each(|piece| peer.feed(piece));
                    note(&mut out, peer, events);
                    continue;
                }
                Step::Do(deed) => {
                    // Whether the conversation is over is written down like what is said.
                    let over = if peer.ended() { "ended" } else { "open" };
                    let state = matches!(deed.as_str(), "ended" | "open");
                    out.steps.push(Step::Do(if state { over.to_owned() } else { deed.clone() }));
                    match deed.split_once(' ') {
                        Some(("time", seconds)) => {
                            peer.pass(seconds.parse().unwrap_or_else(|e| panic!("{deed}: {e}")));
                        }
                        None if deed == "shutdown" => peer.shutdown(),
                        _ if state => {}
                        _ => panic!("unknown deed {deed:?}"),
                    }
                    note(&mut out, peer, events);
                }
                Step::Note(note) => out.steps.push(Step::Note(note.clone())),
                Step::Server(_) | Step::Event(_) => {}
            }
            at += 1;
        }
        out
    }

    /// True if what the session is told is written down.
    #[must_use]
    pub fn tells_events(&self) -> bool {
        self.steps.iter().any(|s| matches!(s, Step::Event(_)))
    }

    /// The value of a line `key: value` in the head.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// All `key: value` lines of the head.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.iter().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_once(": "))
    }

    /// The text that [`Script::parse`] reads.
    #[must_use]
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
            // `C:` or `S:` alone is the empty line; white space at an end is written out.
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

fn note(out: &mut Script, peer: &mut impl Peer, events: bool) {
    let told = peer.take_events();
    if events {
        out.steps.extend(told.into_iter().map(Step::Event));
    }
    out.steps
        .extend(peer.take_said().split_inclusive(|b| *b == b'\n').map(|line| Step::Server(line.to_vec())));
}

/// The first line in which two renderings differ.
#[must_use]
pub fn first_difference(expected: &str, happened: &str) -> Option<String> {
    let (mut e, mut h) = (expected.lines(), happened.lines());
    let mut number = 1;
    loop {
        match (e.next(), h.next()) {
            (None, None) => return None,
            (a, b) if a == b => number += 1,
            (a, b) => {
                let show = |l: Option<&str>| l.unwrap_or("(nothing)").to_owned();
                return Some(format!("line {number}\n  expected {}\n  happened {}", show(a), show(b)));
            }
        }
    }
}

/// The transcripts of one protocol, by name.
///
/// # Panics
/// There is no such directory.
#[must_use]
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
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(c) = rest.chars().next() {
            let run = rest.len() - rest.trim_start_matches(c).len();
            let count = run / c.len_utf8();
            if count >= RUN_MIN && c.is_alphanumeric() {
                out.push_str(&format!("\\*{count}({c})"));
                rest = &rest[run..];
                continue;
            }
            push_escaped(&mut out, c);
            rest = &rest[c.len_utf8()..];
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

fn push_escaped(out: &mut String, c: char) {
    match c {
        '\r' => out.push_str("\\r"),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\0' => out.push_str("\\0"),
        '\\' => out.push_str("\\\\"),
        c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
        c => out.push(c),
    }
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let mark = rest.chars().next()?;
        rest = &rest[mark.len_utf8()..];
        match mark {
            'r' => out.push(b'\r'),
            'n' => out.push(b'\n'),
            't' => out.push(b'\t'),
            '0' => out.push(0),
            '\\' => out.push(b'\\'),
            'x' => {
                out.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
                rest = &rest[2..];
            }
            '*' => {
                let (count, tail) = rest.split_once('(')?;
                let (text, tail) = tail.split_once(')')?;
                let count: usize = count.parse().ok().filter(|count| *count <= 1 << 20)?;
                out.extend_from_slice(&unescape(text)?.repeat(count));
                rest = tail;
            }
            _ => return None,
        }
    }
    out.extend_from_slice(rest.as_bytes());
    Some(out)
}

#[test]
fn reads_what_it_writes() {
    let text = "# Head\nrole: exchange\n\nC: a\\0\\xff\\\\\nC: \\*200(x)\nc: \\r\nS: 250 ü\nE: Quit\nX: time 3\n\n# note\n";
    let script = Script::parse(text).unwrap();
    assert_eq!(script.render(), text);
    assert_eq!(script.setting("role"), Some("exchange"));
    assert_eq!(script.steps[0], Step::Client(b"a\0\xff\\\r\n".to_vec()));
    let Step::Client(run) = &script.steps[1] else { panic!("{:?}", script.steps[1]) };
    assert_eq!(run.len(), 202);
    assert!(Script::parse("C: a\nwhat\n").is_err());
    assert!(Script::parse("C: \\q\n").is_err());
}
