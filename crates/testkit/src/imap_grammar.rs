//! Laws of IMAP's grammar that hold for any bytes; each function panics where its law is broken.

use proto::imap::client::{self, Literals};
use proto::imap::command::Command;
use proto::imap::name;
use proto::imap::parse::{self, Dialect, Fault, Item, Place};

/// What one octet of a command can become when it is written again: `NEW` is `(RECENT NOT SEEN)`, an
/// octet of a charset is up to three of UTF-8, one of those up to four of modified UTF-7.
const WRITTEN_PER_OCTET_MAX: usize = 12;
/// What is written besides: `CHARSET UTF-8`, the announcement of a literal.
const WRITTEN_BESIDES_MAX: usize = 200;

/// A command with its tag: it is refused or understood, and what was understood means the same
/// when it is written and read again, and is not larger than what came.
pub fn command(line: &[u8]) {
    for utf8 in [false, true] {
        let dialect = Dialect { utf8, utf8_alone: false };
        let Ok(head) = parse::head(line) else { return };
        assert!(head.arguments <= line.len());
        let rest = &line[head.arguments..];
        match parse::arguments(&head.word, rest, dialect) {
            Ok(command) => {
                let written = same_again(&command, dialect);
                let most = line.len() * WRITTEN_PER_OCTET_MAX + WRITTEN_BESIDES_MAX;
                assert!(written <= most, "{written} octets of {}", line.len());
            }
            Err(Fault::Syntax(text)) => assert!(text.starts_with("expected "), "{text}"),
            Err(_) => {}
        }
        let _ = parse::login(rest);
        let _ = parse::authenticate(rest);
        let _ = parse::enable(rest);
        append(rest, utf8, dialect);
    }
}

/// What is written means the same when it is read; says how long it is.
pub fn same_again(command: &Command, dialect: Dialect) -> usize {
    let mut longest = 0;
    for literals in [Literals::Sync, Literals::NonSync] {
        let mut out = b"a ".to_vec();
        client::write(command, dialect, literals, &mut out);
        out.extend_from_slice(b"\r\n");
        longest = longest.max(out.len());
        let head = parse::head(&out).expect("the tag is good");
        let again = parse::arguments(&head.word, &out[head.arguments..], dialect);
        assert_eq!(again.as_ref(), Ok(command), "{}", out.escape_ascii());
    }
    longest
}

/// Octets as a mailbox name: one form on the wire for each name, and each name has one.
pub fn mailbox_name(bytes: &[u8]) {
    if let Some(name) = name::from_utf7(bytes) {
        let mut out = Vec::new();
        name::to_utf7(&name, &mut out);
        assert_eq!(out.escape_ascii().to_string(), bytes.escape_ascii().to_string(), "{name:?}");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let mut out = Vec::new();
        name::to_utf7(text, &mut out);
        assert!(out.iter().all(|byte| matches!(byte, b' '..=b'~')), "{}", out.escape_ascii());
        assert_eq!(name::from_utf7(&out).as_deref(), Some(text));
        let canonical = name::canonical(text.to_owned());
        assert!(canonical.eq_ignore_ascii_case(text));
        assert_eq!(name::canonical(canonical.clone()), canonical);
    }
}

/// The arguments of APPEND or REPLACE, walked as a machine does: it comes to an end, and no octet is
/// used twice or before it has come.
fn append(command: &[u8], replace: bool, dialect: Dialect) {
    let mut end = line_end(command, 0);
    let mut at = loop {
        match parse::append_head(&command[..end], replace, dialect) {
            Err(_) => return,
            Ok(Some(head)) => break head.used,
            Ok(None) => match gather(command, end) {
                Some(more) => end = more,
                None => return,
            },
        }
    };
    let mut place = Place::First;
    for _ in 0..command.len() * 2 + 8 {
        assert!(at <= end && end <= command.len());
        let Ok(step) = parse::append_item(&command[at..end], place) else { return };
        at += step.used;
        place = step.next;
        match step.item {
            Item::End => return,
            Item::Incomplete => match gather(command, end) {
                Some(more) => end = more,
                None => return,
            },
            Item::Text(announced) => {
                assert_eq!(at, end, "a text is announced at the end of a line");
                let bytes = usize::try_from(announced.bytes).unwrap_or(usize::MAX);
                match at.checked_add(bytes).filter(|behind| *behind <= command.len()) {
                    Some(behind) => (at, end) = (behind, line_end(command, behind)),
                    None => return,
                }
            }
            _ => {}
        }
    }
    panic!("no end of {}", command.escape_ascii());
}

/// Behind the line that begins at `from`.
fn line_end(command: &[u8], from: usize) -> usize {
    command[from..].iter().position(|byte| *byte == b'\n').map_or(command.len(), |at| from + at + 1)
}

/// Behind the literal that is announced before `end`, and the line that follows it; `None` if so much
/// never comes.
fn gather(command: &[u8], end: usize) -> Option<usize> {
    let announced = parse::announced(&command[..end])?;
    let behind = end.checked_add(usize::try_from(announced.bytes).ok()?)?;
    (behind <= command.len() && behind > end).then(|| line_end(command, behind))
}
