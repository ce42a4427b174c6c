//! Arguments of SEARCH, SORT, THREAD, ESEARCH and CANCELUPDATE.
//!
//! Texts are decoded to UTF-8 here, so that no one behind knows of charsets. The number of
//! keys and their depth are bounded, because every key may be looked at for every message.

use super::Fault;
use super::cursor::{Cursor, utf8};
use super::{fetch, notify};
use crate::imap::command::{Command, FetchItem, Flag, Key, Returns, Search, SortBy, SortKey, ThreadBy};
use crate::imap::language::Text;
use encoding_rs::Encoding;
use std::borrow::Cow;

/// Keys of one search.
pub const SEARCH_KEYS_MAX: usize = 1000;

/// Keys inside of keys.
pub const SEARCH_DEPTH_MAX: usize = 32;

/// Criteria of SORT.
const SORT_CRITERIA_MAX: usize = 32;

/// Tags in CANCELUPDATE.
const CANCEL_TAGS_MAX: usize = 100;

/// SEARCH (RFC 9051 6.4.4).
pub(super) fn search_command(c: &mut Cursor<'_>, uid: bool) -> Result<Command, Fault> {
    Ok(Command::Search(search(c, uid)?))
}

/// ESEARCH (RFC 7377): its answers have UIDs.
pub(super) fn multisearch(c: &mut Cursor<'_>) -> Result<Command, Fault> {
    let mut sources = Vec::new();
    if c.eat_word(b"IN") {
        c.space()?;
        c.list("expected the mailboxes to search in parentheses", |c| {
            sources.push(notify::filter(c, true)?);
            Ok(())
        })?;
        c.space()?;
        if sources.is_empty() {
            return Err(Fault::Syntax("expected at least one source of mailboxes"));
        }
    }
    Ok(Command::Multisearch { sources, search: search(c, true)? })
}

/// SORT (RFC 5256, RFC 5267, RFC 5957).
pub(super) fn sort(c: &mut Cursor<'_>, uid: bool) -> Result<Command, Fault> {
    let (returns, update_items) = returns(c)?;
    let mut order = Vec::new();
    c.list("expected criteria of SORT in parentheses", |c| {
        let reverse = c.eat_word(b"REVERSE");
        if reverse {
            c.space()?;
        }
        order.push(SortBy { reverse, what: sort_key(c)? });
        if order.len() > SORT_CRITERIA_MAX { Err(Fault::Limit(Text::CriteriaTooMany)) } else { Ok(()) }
    })?;
    if order.is_empty() {
        return Err(Fault::Syntax("expected at least one criterion of SORT"));
    }
    c.space()?;
    let key = criteria(c)?;
    Ok(Command::Sort { order, search: Search { uid, returns, update_items, key } })
}

/// THREAD (RFC 5256).
pub(super) fn thread(c: &mut Cursor<'_>, uid: bool) -> Result<Command, Fault> {
    let by = match c.word().as_bytes() {
        b"ORDEREDSUBJECT" => ThreadBy::OrderedSubject,
        b"REFERENCES" => ThreadBy::References,
        _ => return Err(Fault::Syntax("expected ORDEREDSUBJECT or REFERENCES")),
    };
    c.space()?;
    let key = criteria(c)?;
    Ok(Command::Thread { by, search: Search { uid, returns: None, update_items: Vec::new(), key } })
}

/// CANCELUPDATE (RFC 5267 4.3.2).
pub(super) fn cancel_update(c: &mut Cursor<'_>) -> Result<Command, Fault> {
    let mut tags = Vec::new();
    loop {
        tags.push(c.text()?);
        if tags.len() > CANCEL_TAGS_MAX {
            return Err(Fault::Limit(Text::TagsTooMany));
        }
        if !c.more()? {
            return Ok(Command::CancelUpdate(tags));
        }
    }
}

/// `[RETURN (...)] [CHARSET x] keys`.
fn search(c: &mut Cursor<'_>, uid: bool) -> Result<Search, Fault> {
    let (returns, update_items) = returns(c)?;
    let charset = if c.eat_word(b"CHARSET") {
        if c.dialect().utf8_alone {
            return Err(Fault::Syntax("with UTF8=ACCEPT a search is in UTF-8 and names no charset"));
        }
        c.space()?;
        let charset = Charset::named(&c.astring()?)?;
        c.space()?;
        charset
    } else {
        Charset::Utf8
    };
    let key = keys(c, charset)?;
    Ok(Search { uid, returns, update_items, key })
}

/// `charset keys`, as SORT and THREAD have it.
fn criteria(c: &mut Cursor<'_>) -> Result<Key, Fault> {
    let charset = Charset::named(&c.astring()?)?;
    c.space()?;
    keys(c, charset)
}

/// `RETURN (...)` with the space behind it, if it is there.
fn returns(c: &mut Cursor<'_>) -> Result<(Option<Returns>, Vec<FetchItem>), Fault> {
    let mut update_items = Vec::new();
    if !c.eat_word(b"RETURN") {
        return Ok((None, update_items));
    }
    c.space()?;
    let mut returns = Returns::default();
    c.list("expected result options in parentheses", |c| {
        match c.word().as_bytes() {
            b"MIN" => returns.min = true,
            b"MAX" => returns.max = true,
            b"ALL" => returns.all = true,
            b"COUNT" => returns.count = true,
            b"SAVE" => returns.save = true,
            b"CONTEXT" => returns.context = true,
            b"UPDATE" => {
                returns.update = true;
                update_items = optional_items(c)?;
            }
            b"RELEVANCY" => returns.relevancy = true,
            b"PARTIAL" if returns.partial.is_none() => {
                c.space()?;
                returns.partial = Some(c.partial()?);
            }
            _ => {
                return Err(Fault::Syntax(
                    "expected MIN, MAX, ALL, COUNT, SAVE, PARTIAL, CONTEXT, UPDATE or RELEVANCY as a result option",
                ));
            }
        }
        Ok(())
    })?;
    if returns.all && returns.partial.is_some() {
        // RFC 9394 3.1.
        return Err(Fault::Syntax("expected either ALL or PARTIAL"));
    }
    c.space()?;
    Ok((Some(returns), update_items))
}

/// The data items behind UPDATE (RFC 5465 section 7), with or without a space before them: its grammar
/// has none and its example has one.
fn optional_items(c: &mut Cursor<'_>) -> Result<Vec<FetchItem>, Fault> {
    let mut ahead = c.clone();
    ahead.skip_spaces();
    if ahead.peek() != Some(b'(') {
        return Ok(Vec::new());
    }
    *c = ahead;
    fetch::item_list(c)
}

fn sort_key(c: &mut Cursor<'_>) -> Result<SortKey, Fault> {
    Ok(match c.word().as_bytes() {
        b"ARRIVAL" => SortKey::Arrival,
        b"CC" => SortKey::Cc,
        b"DATE" => SortKey::Date,
        b"FROM" => SortKey::From,
        b"SIZE" => SortKey::Size,
        b"SUBJECT" => SortKey::Subject,
        b"TO" => SortKey::To,
        b"DISPLAYFROM" => SortKey::DisplayFrom,
        b"DISPLAYTO" => SortKey::DisplayTo,
        b"RELEVANCY" => SortKey::Relevancy,
        _ => return Err(Fault::Syntax("expected a criterion of SORT such as DATE or REVERSE ARRIVAL")),
    })
}

/// How texts are to be read.
#[derive(Clone, Copy, Debug)]
enum Charset {
    /// UTF-8, and US-ASCII, in which clients send UTF-8 too.
    Utf8,
    Other(&'static Encoding),
}

impl Charset {
    fn named(name: &[u8]) -> Result<Charset, Fault> {
        if name.eq_ignore_ascii_case(b"US-ASCII") || name.eq_ignore_ascii_case(b"ASCII") {
            return Ok(Charset::Utf8);
        }
        match Encoding::for_label(name) {
            Some(encoding) if encoding == encoding_rs::UTF_8 => Ok(Charset::Utf8),
            // Texts of a command cannot be UTF-16, which has NUL in it; what encoding_rs calls replacement
            // and x-user-defined are no charsets of texts.
            Some(encoding)
                if encoding != encoding_rs::REPLACEMENT
                    && encoding != encoding_rs::X_USER_DEFINED
                    && encoding != encoding_rs::UTF_16BE
                    && encoding != encoding_rs::UTF_16LE =>
            {
                Ok(Charset::Other(encoding))
            }
            _ => Err(Fault::Charset),
        }
    }

    fn decode(self, bytes: Cow<'_, [u8]>) -> Result<String, Fault> {
        match self {
            Charset::Utf8 => utf8(bytes),
            Charset::Other(encoding) => encoding
                .decode_without_bom_handling_and_without_replacement(&bytes)
                .map(Cow::into_owned)
                .ok_or(Fault::Syntax("expected text in the charset that was named")),
        }
    }
}

/// Reads keys and counts them.
struct Keys<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    charset: Charset,
    count: usize,
}

/// All keys to the end of the command.
fn keys(cursor: &mut Cursor<'_>, charset: Charset) -> Result<Key, Fault> {
    let mut keys = Keys { cursor, charset, count: 0 };
    let mut all = Vec::with_capacity(1);
    loop {
        all.push(keys.key(0)?);
        if !keys.cursor.more()? {
            return Ok(joined(all));
        }
    }
}

/// One key alone needs no `And` around it.
fn joined(mut keys: Vec<Key>) -> Key {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(last) => {
            keys.push(last);
            Key::And(keys)
        }
        None => Key::All,
    }
}

fn not(key: Key) -> Key {
    Key::Not(Box::new(key))
}

impl<'a> Keys<'_, 'a> {
    fn key(&mut self, depth: usize) -> Result<Key, Fault> {
        self.count += 1;
        if self.count > SEARCH_KEYS_MAX {
            return Err(Fault::Limit(Text::KeysTooMany));
        }
        if depth > SEARCH_DEPTH_MAX {
            return Err(Fault::Limit(Text::KeysTooDeep));
        }
        match self.cursor.peek() {
            Some(b'(') => self.group(depth),
            Some(b'0'..=b'9' | b'*' | b'$') => self.cursor.set_or_saved().map(Key::Set),
            _ => self.worded(depth),
        }
    }

    fn group(&mut self, depth: usize) -> Result<Key, Fault> {
        self.cursor.skip(1);
        self.cursor.skip_spaces();
        let mut keys = Vec::new();
        loop {
            keys.push(self.key(depth + 1)?);
            let spaced = self.cursor.eat(b' ');
            self.cursor.skip_spaces();
            if self.cursor.eat(b')') {
                return Ok(joined(keys));
            }
            if !spaced {
                return Err(Fault::Syntax("expected a space or a closing parenthesis behind a search key"));
            }
        }
    }

    /// Keys of one word, and those that hold others; the rest goes on to [`Keys::with_argument`].
    fn worded(&mut self, depth: usize) -> Result<Key, Fault> {
        let word = self.cursor.word();
        Ok(match word.as_bytes() {
            b"ALL" => Key::All,
            b"ANSWERED" => Key::Flag(Flag::Answered),
            b"DELETED" => Key::Flag(Flag::Deleted),
            b"DRAFT" => Key::Flag(Flag::Draft),
            b"FLAGGED" => Key::Flag(Flag::Flagged),
            b"SEEN" => Key::Flag(Flag::Seen),
            b"UNANSWERED" => not(Key::Flag(Flag::Answered)),
            b"UNDELETED" => not(Key::Flag(Flag::Deleted)),
            b"UNDRAFT" => not(Key::Flag(Flag::Draft)),
            b"UNFLAGGED" => not(Key::Flag(Flag::Flagged)),
            b"UNSEEN" => not(Key::Flag(Flag::Seen)),
            b"RECENT" => Key::Recent,
            b"OLD" => not(Key::Recent),
            b"NEW" => Key::And(vec![Key::Recent, not(Key::Flag(Flag::Seen))]),
            b"SAVEDATESUPPORTED" => Key::SaveDateSupported,
            b"NOT" => not(self.inner(depth)?),
            b"FUZZY" => Key::Fuzzy(Box::new(self.inner(depth)?)),
            b"OR" => {
                let either = self.inner(depth)?;
                Key::Or(Box::new(either), Box::new(self.inner(depth)?))
            }
            word => return self.with_argument(word),
        })
    }

    /// The key behind NOT, OR and FUZZY.
    fn inner(&mut self, depth: usize) -> Result<Key, Fault> {
        self.cursor.space()?;
        self.key(depth + 1)
    }

    fn with_argument(&mut self, word: &[u8]) -> Result<Key, Fault> {
        Ok(match word {
            b"KEYWORD" => Key::Flag(Flag::Keyword(self.arg(Cursor::keyword)?)),
            b"UNKEYWORD" => not(Key::Flag(Flag::Keyword(self.arg(Cursor::keyword)?))),
            b"BEFORE" => Key::Before(self.arg(Cursor::date)?),
            b"ON" => Key::On(self.arg(Cursor::date)?),
            b"SINCE" => Key::Since(self.arg(Cursor::date)?),
            b"SENTBEFORE" => Key::SentBefore(self.arg(Cursor::date)?),
            b"SENTON" => Key::SentOn(self.arg(Cursor::date)?),
            b"SENTSINCE" => Key::SentSince(self.arg(Cursor::date)?),
            b"SAVEDBEFORE" => Key::SavedBefore(self.arg(Cursor::date)?),
            b"SAVEDON" => Key::SavedOn(self.arg(Cursor::date)?),
            b"SAVEDSINCE" => Key::SavedSince(self.arg(Cursor::date)?),
            b"LARGER" => Key::Larger(self.arg(Cursor::number64)?),
            b"SMALLER" => Key::Smaller(self.arg(Cursor::number64)?),
            b"OLDER" => Key::Older(self.arg(Cursor::nonzero)?),
            b"YOUNGER" => Key::Younger(self.arg(Cursor::nonzero)?),
            b"HEADER" => {
                let name = self.arg(Cursor::text)?;
                Key::Header(name, self.text()?)
            }
            b"BCC" => Key::Bcc(self.text()?),
            b"CC" => Key::Cc(self.text()?),
            b"FROM" => Key::From(self.text()?),
            b"TO" => Key::To(self.text()?),
            b"SUBJECT" => Key::Subject(self.text()?),
            b"BODY" => Key::Body(self.text()?),
            b"TEXT" => Key::Text(self.text()?),
            b"UID" => Key::Uid(self.arg(Cursor::set_or_saved)?),
            b"MODSEQ" => Key::ModSeq(self.modseq()?),
            b"EMAILID" => Key::EmailId(self.arg(object_id)?),
            b"THREADID" => Key::ThreadId(self.arg(object_id)?),
            _ => {
                return Err(Fault::Syntax(
                    "expected a search key such as UNSEEN, SINCE 1-Feb-1994 or a sequence set",
                ));
            }
        })
    }

    fn arg<T>(&mut self, take: impl FnOnce(&mut Cursor<'a>) -> Result<T, Fault>) -> Result<T, Fault> {
        self.cursor.space()?;
        take(self.cursor)
    }

    fn text(&mut self) -> Result<String, Fault> {
        self.cursor.space()?;
        self.charset.decode(self.cursor.astring()?)
    }

    /// `[entry type] number` (RFC 7162 3.1.5): the entry names a flag whose changes are meant, and a
    /// server that keeps one number for all flags may look at that.
    fn modseq(&mut self) -> Result<u64, Fault> {
        let c = &mut *self.cursor;
        c.space()?;
        if c.peek() == Some(b'"') {
            let entry = c.string()?;
            if !entry.starts_with(b"/flags/") {
                return Err(Fault::Syntax("expected an entry such as \"/flags/\\\\Seen\" behind MODSEQ"));
            }
            c.space()?;
            if !matches!(c.word().as_bytes(), b"PRIV" | b"SHARED" | b"ALL") {
                return Err(Fault::Syntax("expected priv, shared or all behind the entry of MODSEQ"));
            }
            c.space()?;
        }
        c.number64()
    }
}

/// RFC 8474 section 7: letters, digits, `_` and `-`; what was never given out is just not found.
fn object_id(c: &mut Cursor<'_>) -> Result<String, Fault> {
    utf8(Cow::Borrowed(c.atom("expected an object identifier")?))
}
