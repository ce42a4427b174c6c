//! From the bytes of one whole command to a [`Command`].
//!
//! The machine has gathered the command with its literals (`{5}\r\nhello` stands in
//! the bytes as it came, without our continuation); here it gets a meaning.
//! What must hold: no bytes make it panic, what it keeps is not larger than a small multiple of
//! what came, and the same bytes mean the same whatever came before. What a client may
//! ask in which state is the gate's business, what exists is the session's.
//!
//! [`head`] splits off tag and word; [`arguments`] reads what most commands have behind the
//! word; [`login`], [`authenticate`], [`enable`] and [`append`] read those that are events of their own.

pub mod append;
mod cursor;
mod fetch;
mod mailbox;
mod message;
mod notify;
mod search;

pub use append::{AppendHead, AppendItem, Item, Place, append_head, append_item};
pub use cursor::{Announced, FLAGS_MAX, KEYWORD_BYTES_MAX, MAILBOX_BYTES_MAX, announced};
pub use fetch::{FETCH_ITEMS_MAX, FIELD_NAMES_MAX, PART_LEVELS_MAX};
pub use mailbox::{LIST_PATTERNS_MAX, METADATA_ENTRIES_MAX, METADATA_NAME_BYTES_MAX};
pub use notify::{FILTER_MAILBOXES_MAX, NOTIFY_GROUPS_MAX};
pub use search::{SEARCH_DEPTH_MAX, SEARCH_KEYS_MAX};

use super::command::Command;
use super::language::Text;
use crate::proof::Secret;
use cursor::Cursor;
use std::borrow::Cow;

/// Octets of a tag.
pub const TAG_BYTES_MAX: usize = 64;

/// Pairs in ID (RFC 2971 3.3).
pub const ID_PAIRS_MAX: usize = 30;

/// Octets of a value in ID (RFC 2971 3.3).
pub const ID_VALUE_BYTES_MAX: usize = 1024;

/// What the client may write, by what it has enabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// Mailbox names and other strings are UTF-8 (UTF8=ACCEPT or IMAP4rev2).
    pub utf8: bool,
    /// UTF8=ACCEPT is enabled: SEARCH names no charset (RFC 6855 section 3).
    pub utf8_alone: bool,
}

/// Why a command has no meaning. The texts go to the client behind BAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The tag is none: the answer is untagged.
    Tag,
    /// No such word.
    Unknown,
    /// The word is known, what follows is wrong: what was expected, as a clause.
    Syntax(&'static str),
    /// NO [BADCHARSET].
    Charset,
    /// NO [BADEVENT] (RFC 5465 section 5): NOTIFY named an event that does not exist.
    Event,
    /// More parts, deeper nesting, longer strings than is allowed: which.
    Limit(Text),
}

/// The beginning of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Its tag.
    pub tag: &'a str,
    /// Its word in upper case, with `UID ` before it if it is of that kind; empty if there is none.
    pub word: Cow<'a, str>,
    /// Where the arguments begin: behind the spaces after the word, or where the line ends.
    pub arguments: usize,
}

/// Splits off tag and word. `line` may be the first line of a command that is still to be gathered.
///
/// # Errors
/// [`Fault::Tag`] if there is no tag, or one that cannot be repeated in an answer.
pub fn head(line: &[u8]) -> Result<Head<'_>, Fault> {
    let tag_len = line.iter().position(|byte| !is_tag_char(*byte)).unwrap_or(line.len());
    let (tag, behind) = line.split_at(tag_len);
    let ends = matches!(behind.first(), None | Some(b' ' | b'\r' | b'\n'));
    let tag =
        std::str::from_utf8(tag).ok().filter(|tag| !tag.is_empty() && tag.len() <= TAG_BYTES_MAX && ends);
    let tag = tag.ok_or(Fault::Tag)?;
    let start = tag_len + spaces(&line[tag_len..]);
    let (first, mut at) = word(line, start);
    let mut name = upper(first);
    if name == "UID" && line.get(at) == Some(&b' ') {
        let second_start = at + spaces(&line[at..]);
        let (second, end) = word(line, second_start);
        if !second.is_empty() {
            // In the usual case the two words stand in the line just as they are wanted.
            name = match line.get(start..end).and_then(|both| std::str::from_utf8(both).ok()) {
                Some(both) if second_start == at + 1 && !both.bytes().any(|b| b.is_ascii_lowercase()) => {
                    Cow::Borrowed(both)
                }
                _ => Cow::Owned(format!("UID {}", upper(second))),
            };
            at = end;
        }
    }
    Ok(Head { tag, word: name, arguments: at + spaces(&line[at..]) })
}

/// The arguments of `word` (upper case, with its `UID ` if any), which begin behind the space.
/// The line's end may stand there or not.
///
/// # Errors
/// See [`Fault`].
pub fn arguments(word: &str, rest: &[u8], dialect: Dialect) -> Result<Command, Fault> {
    let mut cursor = Cursor::new(rest, dialect);
    cursor.skip_spaces();
    let c = &mut cursor;
    let (uid, word) = match word.strip_prefix("UID ") {
        Some(word) => (true, word),
        None => (false, word),
    };
    let command = match word {
        "FETCH" => fetch::fetch(c, uid)?,
        "STORE" => message::store(c, uid)?,
        "COPY" => message::copy(c, uid, false)?,
        "MOVE" => message::copy(c, uid, true)?,
        "EXPUNGE" if uid => Command::Expunge(Some(c.set_or_saved()?)),
        "SEARCH" => search::search_command(c, uid)?,
        "SORT" => search::sort(c, uid)?,
        "THREAD" => search::thread(c, uid)?,
        _ if uid => return Err(Fault::Unknown),
        "ESEARCH" => search::multisearch(c)?,
        "CANCELUPDATE" => search::cancel_update(c)?,
        "NOOP" => Command::Noop,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "EXPUNGE" => Command::Expunge(None),
        "IDLE" => Command::Idle,
        "NAMESPACE" => Command::Namespace,
        "UNAUTHENTICATE" => Command::Unauthenticate,
        "UNSELECT" => Command::Unselect,
        "COMPRESS" => compress(c)?,
        "COMPARATOR" => Command::Comparator(texts(c)?),
        "ID" => id(c)?,
        "LANGUAGE" => Command::Language(texts(c)?),
        _ => mailbox::command(word, c)?,
    };
    cursor.end()?;
    Ok(command)
}

/// LOGIN (RFC 9051 6.2.3): user name and password.
///
/// # Errors
/// See [`Fault`].
pub fn login(rest: &[u8]) -> Result<(String, Secret), Fault> {
    let mut cursor = Cursor::new(rest, Dialect::default());
    cursor.skip_spaces();
    let user = cursor.text()?;
    cursor.space()?;
    let password = Secret::new(cursor.astring()?);
    cursor.end()?;
    Ok((user, password))
}

/// AUTHENTICATE (RFC 9051 6.2.2): the mechanism in upper case, and the initial response (RFC 4959) as
/// it came: base64, or `=` for an empty one.
///
/// # Errors
/// See [`Fault`].
pub fn authenticate(rest: &[u8]) -> Result<(String, Option<&[u8]>), Fault> {
    let mut cursor = Cursor::new(rest, Dialect::default());
    cursor.skip_spaces();
    let mechanism = cursor.atom("expected the name of a SASL mechanism")?;
    let mechanism = String::from_utf8_lossy(mechanism).to_ascii_uppercase();
    let initial = match cursor.more()? {
        true => Some(cursor.atom("expected an initial response in base64, or =")?),
        false => None,
    };
    cursor.end()?;
    Ok((mechanism, initial))
}

/// ENABLE (RFC 5161): capabilities in upper case.
///
/// # Errors
/// See [`Fault`].
pub fn enable(rest: &[u8]) -> Result<Vec<String>, Fault> {
    let mut cursor = Cursor::new(rest, Dialect::default());
    cursor.skip_spaces();
    let mut words = Vec::new();
    loop {
        let word = cursor.atom("expected the name of a capability")?;
        cursor::add_once(&mut words, String::from_utf8_lossy(word).to_ascii_uppercase());
        if words.len() > 64 {
            return Err(Fault::Limit(Text::CapabilitiesTooMany));
        }
        if !cursor.more()? {
            return Ok(words);
        }
    }
}

/// RFC 9051 `tag`: ASTRING-CHAR without `+`.
fn is_tag_char(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b'+')
}

fn spaces(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == b' ').count()
}

/// The word that begins at `from`, and where it ends.
fn word(line: &[u8], from: usize) -> (&str, usize) {
    let rest = &line[from..];
    let len = rest.iter().position(|byte| !matches!(byte, 0x21..=0x7e)).unwrap_or(rest.len());
    // Printable ASCII, as was just seen.
    (std::str::from_utf8(&rest[..len]).unwrap_or_default(), from + len)
}

fn upper(word: &str) -> Cow<'_, str> {
    if word.bytes().any(|byte| byte.is_ascii_lowercase()) {
        Cow::Owned(word.to_ascii_uppercase())
    } else {
        Cow::Borrowed(word)
    }
}

fn compress(c: &mut Cursor<'_>) -> Result<Command, Fault> {
    if c.eat_word(b"DEFLATE") {
        Ok(Command::Compress)
    } else {
        Err(Fault::Syntax("expected DEFLATE, the only way of compression"))
    }
}

/// Languages or comparators in one command.
const TEXTS_MAX: usize = 100;

/// Strings to the end of the command.
fn texts(c: &mut Cursor<'_>) -> Result<Vec<String>, Fault> {
    let mut texts = Vec::new();
    if c.is_end() {
        return Ok(texts);
    }
    loop {
        texts.push(c.text()?);
        if texts.len() > TEXTS_MAX {
            return Err(Fault::Limit(Text::ArgumentsTooMany));
        }
        if !c.more()? {
            return Ok(texts);
        }
    }
}

/// `NIL` or `("name" "value" ...)`.
fn id(c: &mut Cursor<'_>) -> Result<Command, Fault> {
    let mut pairs = Vec::new();
    if c.eat_word(b"NIL") {
        return Ok(Command::Id(pairs));
    }
    c.list("expected NIL or a list of names and values", |c| {
        let name = cursor::utf8(c.string()?)?;
        c.space()?;
        let value = c.nstring()?.map(cursor::utf8).transpose()?;
        if pairs.len() == ID_PAIRS_MAX || value.as_ref().is_some_and(|v| v.len() > ID_VALUE_BYTES_MAX) {
            return Err(Fault::Limit(Text::IdTooMuch));
        }
        pairs.push((name, value));
        Ok(())
    })?;
    Ok(Command::Id(pairs))
}

#[cfg(test)]
mod tests;
