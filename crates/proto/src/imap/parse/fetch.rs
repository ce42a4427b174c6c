//! Arguments of FETCH, and the data items that NOTIFY shares with it.

use super::Fault;
use super::cursor::{Cursor, add_once, utf8};
use crate::imap::command::{Command, Fetch, FetchItem, Label, Section, SectionText};
use crate::imap::language::Text;

/// Different data items of one FETCH: each is an answer for each message.
pub const FETCH_ITEMS_MAX: usize = 128;

/// Levels of a part number such as `1.2.3`; no message that is read has more.
pub const PART_LEVELS_MAX: usize = 100;

/// Names in one HEADER.FIELDS: each is looked for among the fields of each message.
pub const FIELD_NAMES_MAX: usize = 200;

/// FETCH (RFC 9051 6.4.5, RFC 7162 3.1.4, RFC 9394).
pub(super) fn fetch(c: &mut Cursor<'_>, uid: bool) -> Result<Command, Fault> {
    let set = c.set_or_saved()?;
    c.space()?;
    let items = items_or_macro(c)?;
    let mut fetch = Fetch { uid, set, items, changed_since: None, vanished: false, partial: None };
    if c.more()? {
        c.list("expected modifiers of FETCH in parentheses", |c| modifier(c, &mut fetch))?;
    }
    if fetch.vanished && !(uid && fetch.changed_since.is_some()) {
        // RFC 7162 3.2.6.
        return Err(Fault::Syntax("expected VANISHED only in UID FETCH and together with CHANGEDSINCE"));
    }
    Ok(Command::Fetch(fetch))
}

/// `(item item)`, at least one.
pub(super) fn item_list(c: &mut Cursor<'_>) -> Result<Vec<FetchItem>, Fault> {
    let mut items = Vec::new();
    c.list("expected data items in parentheses", |c| {
        add_once(&mut items, item(c)?);
        if items.len() > FETCH_ITEMS_MAX { Err(Fault::Limit(Text::ItemsTooMany)) } else { Ok(()) }
    })?;
    if items.is_empty() { Err(Fault::Syntax("expected at least one data item")) } else { Ok(items) }
}

fn items_or_macro(c: &mut Cursor<'_>) -> Result<Vec<FetchItem>, Fault> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    if c.peek() == Some(b'(') {
        return item_list(c);
    }
    if c.eat_word(b"ALL") {
        return Ok(vec![Flags, InternalDate, Size, Envelope]);
    }
    if c.eat_word(b"FAST") {
        return Ok(vec![Flags, InternalDate, Size]);
    }
    if c.eat_word(b"FULL") {
        return Ok(vec![Flags, InternalDate, Size, Envelope, Body]);
    }
    Ok(vec![item(c)?])
}

fn modifier(c: &mut Cursor<'_>, fetch: &mut Fetch) -> Result<(), Fault> {
    match c.word().as_bytes() {
        b"CHANGEDSINCE" if fetch.changed_since.is_none() => {
            c.space()?;
            // The grammar has numbers from 1 on; clients without any state say 0.
            fetch.changed_since = Some(c.number64()?);
        }
        b"VANISHED" => fetch.vanished = true,
        b"PARTIAL" if fetch.partial.is_none() => {
            c.space()?;
            fetch.partial = Some(c.partial()?);
        }
        _ => return Err(Fault::Syntax("expected CHANGEDSINCE, VANISHED or PARTIAL, each once")),
    }
    Ok(())
}

const ITEM: Fault = Fault::Syntax("expected a data item such as FLAGS, ENVELOPE or BODY.PEEK[]");

fn item(c: &mut Cursor<'_>) -> Result<FetchItem, Fault> {
    let word = c.word();
    let bracket = c.peek() == Some(b'[');
    Ok(match (word.as_bytes(), bracket) {
        (b"UID", false) => FetchItem::Uid,
        (b"FLAGS", false) => FetchItem::Flags,
        (b"INTERNALDATE", false) => FetchItem::InternalDate,
        (b"RFC822.SIZE", false) => FetchItem::Size,
        (b"ENVELOPE", false) => FetchItem::Envelope,
        (b"BODY", false) => FetchItem::Body,
        (b"BODYSTRUCTURE", false) => FetchItem::BodyStructure,
        (b"MODSEQ", false) => FetchItem::ModSeq,
        (b"EMAILID", false) => FetchItem::EmailId,
        (b"THREADID", false) => FetchItem::ThreadId,
        (b"SAVEDATE", false) => FetchItem::SaveDate,
        (b"PREVIEW", false) => FetchItem::Preview { lazy: preview_is_lazy(c)? },
        (b"RFC822", false) => whole(SectionText::All, false, Label::Rfc822),
        (b"RFC822.HEADER", false) => whole(SectionText::Header, true, Label::Rfc822Header),
        (b"RFC822.TEXT", false) => whole(SectionText::Text, false, Label::Rfc822Text),
        (b"BODY", true) => body(c, false)?,
        (b"BODY.PEEK", true) => body(c, true)?,
        (b"BINARY", true) => binary(c, false)?,
        (b"BINARY.PEEK", true) => binary(c, true)?,
        (b"BINARY.SIZE", true) => FetchItem::BinarySize(binary_part(c)?),
        _ => return Err(ITEM),
    })
}

fn whole(text: SectionText, peek: bool, label: Label) -> FetchItem {
    FetchItem::Section { section: Section { part: Vec::new(), text }, peek, partial: None, label }
}

/// `PREVIEW` or `PREVIEW (LAZY)` (RFC 8970 section 3). Behind a bare PREVIEW the parentheses may also be
/// modifiers of FETCH, so they are looked into first.
fn preview_is_lazy(c: &mut Cursor<'_>) -> Result<bool, Fault> {
    let mut ahead = c.clone();
    ahead.skip_spaces();
    if !ahead.eat(b'(') {
        return Ok(false);
    }
    ahead.skip_spaces();
    match ahead.word().as_bytes() {
        b"LAZY" => {
            ahead.skip_spaces();
            ahead.expect(b')', "expected PREVIEW (LAZY)")?;
            *c = ahead;
            Ok(true)
        }
        b"CHANGEDSINCE" | b"VANISHED" | b"PARTIAL" => Ok(false),
        _ => Err(Fault::Syntax("expected PREVIEW (LAZY)")),
    }
}

fn body(c: &mut Cursor<'_>, peek: bool) -> Result<FetchItem, Fault> {
    let section = section(c)?;
    Ok(FetchItem::Section { section, peek, partial: octets(c)?, label: Label::Body })
}

fn binary(c: &mut Cursor<'_>, peek: bool) -> Result<FetchItem, Fault> {
    let part = binary_part(c)?;
    Ok(FetchItem::Binary { part, peek, partial: octets(c)? })
}

fn binary_part(c: &mut Cursor<'_>) -> Result<Vec<u32>, Fault> {
    c.expect(b'[', "expected a part number in brackets")?;
    let (part, dot) = part_numbers(c)?;
    if dot || !c.eat(b']') {
        return Err(Fault::Syntax("expected a part number such as 1.2 and a closing bracket"));
    }
    Ok(part)
}

/// `[1.2.HEADER.FIELDS (DATE FROM)]`.
fn section(c: &mut Cursor<'_>) -> Result<Section, Fault> {
    const EXPECTED: Fault = Fault::Syntax(
        "expected a section such as [], [HEADER], [TEXT], [1.2], [1.MIME] or [HEADER.FIELDS (DATE)]",
    );
    c.expect(b'[', "expected a section in brackets")?;
    let (part, dot) = part_numbers(c)?;
    let text = match c.word().as_bytes() {
        b"" if !dot => SectionText::All,
        // `[1HEADER]` and `[1 TEXT]` have no dot between.
        _ if !part.is_empty() && !dot => return Err(EXPECTED),
        b"HEADER" => SectionText::Header,
        b"TEXT" => SectionText::Text,
        b"MIME" if !part.is_empty() => SectionText::Mime,
        b"HEADER.FIELDS" => SectionText::HeaderFields { names: field_names(c)?, not: false },
        b"HEADER.FIELDS.NOT" => SectionText::HeaderFields { names: field_names(c)?, not: true },
        _ => return Err(EXPECTED),
    };
    if c.eat(b']') { Ok(Section { part, text }) } else { Err(EXPECTED) }
}

/// `1.2.3`, and whether a dot follows it.
fn part_numbers(c: &mut Cursor<'_>) -> Result<(Vec<u32>, bool), Fault> {
    let mut part = Vec::new();
    while matches!(c.peek(), Some(b'0'..=b'9')) {
        if part.len() == PART_LEVELS_MAX {
            return Err(Fault::Limit(Text::PartTooDeep));
        }
        part.push(c.nonzero()?);
        if !c.eat(b'.') {
            return Ok((part, false));
        }
    }
    let dot = !part.is_empty();
    Ok((part, dot))
}

fn field_names(c: &mut Cursor<'_>) -> Result<Vec<String>, Fault> {
    c.skip_spaces();
    let mut names = Vec::new();
    c.list("expected names of header fields in parentheses", |c| {
        let name = utf8(c.astring()?)?;
        // The answer repeats the name, so it must be one that an answer can hold.
        if name.is_empty() || !name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(Fault::Syntax("expected names of header fields in printable ASCII"));
        }
        names.push(name);
        if names.len() > FIELD_NAMES_MAX { Err(Fault::Limit(Text::FieldsTooMany)) } else { Ok(()) }
    })?;
    if names.is_empty() {
        Err(Fault::Syntax("expected at least one name of a header field"))
    } else {
        Ok(names)
    }
}

/// `<0.2048>`.
fn octets(c: &mut Cursor<'_>) -> Result<Option<(u64, u64)>, Fault> {
    const EXPECTED: &str = "expected a range of octets such as <0.2048>";
    if !c.eat(b'<') {
        return Ok(None);
    }
    let offset = c.number64()?;
    c.expect(b'.', EXPECTED)?;
    let count = c.nonzero64()?;
    c.expect(b'>', EXPECTED)?;
    Ok(Some((offset, count)))
}
