//! Arguments of the commands on mailboxes: SELECT, CREATE, LIST, STATUS, quotas, rights and metadata.

use super::Fault;
use super::cursor::{Cursor, add_once, utf8};
use super::notify;
use crate::imap::command::{Change, Command, List, MetadataOptions, Qresync, Select, StatusItem};
use crate::imap::language::Text;

/// Patterns of one LIST: each is matched against each mailbox.
pub const LIST_PATTERNS_MAX: usize = 100;

/// Entries of one GETMETADATA or SETMETADATA.
pub const METADATA_ENTRIES_MAX: usize = 100;

/// Octets of an entry's name.
pub const METADATA_NAME_BYTES_MAX: usize = 255;

/// The command `word`.
pub(super) fn command(word: &str, c: &mut Cursor<'_>) -> Result<Command, Fault> {
    Ok(match word {
        "SELECT" => Command::Select(select(c, false)?),
        "EXAMINE" => Command::Select(select(c, true)?),
        "CREATE" => create(c)?,
        "DELETE" => Command::Delete(c.mailbox()?),
        "RENAME" => {
            let from = c.mailbox()?;
            c.space()?;
            Command::Rename { from, to: c.mailbox()? }
        }
        "SUBSCRIBE" => Command::Subscribe(c.mailbox()?),
        "UNSUBSCRIBE" => Command::Unsubscribe(c.mailbox()?),
        "LIST" => Command::List(list(c)?),
        "LSUB" => {
            let reference = c.mailbox_or_empty()?;
            c.space()?;
            Command::Lsub { reference, pattern: c.pattern()? }
        }
        "STATUS" => {
            let mailbox = c.mailbox()?;
            c.space()?;
            Command::Status { mailbox, items: status_items(c)? }
        }
        "NOTIFY" => notify::notify(c)?,
        "GETQUOTA" => Command::GetQuota(c.text()?),
        "GETQUOTAROOT" => Command::GetQuotaRoot(c.mailbox()?),
        "SETQUOTA" => set_quota(c)?,
        "GETACL" => Command::GetAcl(c.mailbox()?),
        "SETACL" => set_acl(c)?,
        "DELETEACL" => {
            let (mailbox, identifier) = mailbox_and_identifier(c)?;
            Command::DeleteAcl { mailbox, identifier }
        }
        "LISTRIGHTS" => {
            let (mailbox, identifier) = mailbox_and_identifier(c)?;
            Command::ListRights { mailbox, identifier }
        }
        "MYRIGHTS" => Command::MyRights(c.mailbox()?),
        "GETMETADATA" => get_metadata(c)?,
        "SETMETADATA" => set_metadata(c)?,
        _ => return Err(Fault::Unknown),
    })
}

/// SELECT and EXAMINE (RFC 9051 6.3.2, RFC 7162 3.1.8 and 3.2.5).
fn select(c: &mut Cursor<'_>, read_only: bool) -> Result<Select, Fault> {
    let mut select = Select { mailbox: c.mailbox()?, read_only, condstore: false, qresync: None };
    if c.more()? {
        c.list("expected parameters of SELECT in parentheses", |c| {
            match c.word().as_bytes() {
                b"CONDSTORE" => select.condstore = true,
                b"QRESYNC" if select.qresync.is_none() => {
                    c.space()?;
                    select.qresync = Some(qresync(c)?);
                }
                _ => return Err(Fault::Syntax("expected CONDSTORE or QRESYNC as a parameter, each once")),
            }
            Ok(())
        })?;
    }
    Ok(select)
}

/// `(validity modseq [known] [(numbers uids)])`.
fn qresync(c: &mut Cursor<'_>) -> Result<Qresync, Fault> {
    const CLOSE: &str = "expected a closing parenthesis behind the parameters of QRESYNC";
    c.expect(b'(', "expected parameters of QRESYNC such as (67890007 90060115194045000 41:211)")?;
    c.skip_spaces();
    let uid_validity = c.nonzero()?;
    c.space()?;
    let modseq = c.nonzero64()?;
    let mut qresync = Qresync { uid_validity, modseq, known: None, matches: None };
    c.skip_spaces();
    if matches!(c.peek(), Some(b'0'..=b'9' | b'*')) {
        qresync.known = Some(c.known_set()?);
        c.skip_spaces();
    }
    if c.eat(b'(') {
        let numbers = c.known_set()?;
        c.space()?;
        let uids = c.known_set()?;
        c.skip_spaces();
        c.expect(b')', CLOSE)?;
        qresync.matches = Some((numbers, uids));
        c.skip_spaces();
    }
    c.expect(b')', CLOSE)?;
    Ok(qresync)
}

/// CREATE (RFC 9051 6.3.4, RFC 6154 section 5.2). A separator at the end says that only a
/// level is meant.
fn create(c: &mut Cursor<'_>) -> Result<Command, Fault> {
    let mut mailbox = c.mailbox()?;
    let level = mailbox.ends_with('/');
    if level {
        mailbox.truncate(mailbox.len() - 1);
        if mailbox.is_empty() {
            return Err(Fault::Syntax("expected the name of a mailbox, not an empty one"));
        }
    }
    let mut uses = Vec::new();
    if c.more()? {
        c.list("expected (USE (\\Sent))", |c| {
            if !c.eat_word(b"USE") {
                return Err(Fault::Syntax("expected USE as the parameter of CREATE"));
            }
            c.space()?;
            c.list("expected the uses in parentheses", |c| {
                c.expect(b'\\', "expected a use such as \\Sent")?;
                let name = c.atom("expected a use such as \\Sent")?;
                add_once(&mut uses, format!("\\{}", String::from_utf8_lossy(name)));
                if uses.len() > 32 { Err(Fault::Limit(Text::UsesTooMany)) } else { Ok(()) }
            })
        })?;
    }
    Ok(Command::Create { mailbox, level, uses })
}

/// LIST in its two forms (RFC 9051 6.3.9, RFC 5258).
fn list(c: &mut Cursor<'_>) -> Result<List, Fault> {
    let mut list = List::default();
    if c.peek() == Some(b'(') {
        list.extended = true;
        c.list("expected selection options", |c| selection_option(c, &mut list))?;
        if list.recursive_match && !(list.select_subscribed || list.select_special_use) {
            // RFC 5258 section 3.
            return Err(Fault::Syntax("expected RECURSIVEMATCH together with SUBSCRIBED or SPECIAL-USE"));
        }
        c.space()?;
    }
    list.reference = c.mailbox_or_empty()?;
    c.space()?;
    if c.peek() == Some(b'(') {
        list.extended = true;
        c.list("expected patterns", |c| {
            list.patterns.push(c.pattern()?);
            if list.patterns.len() > LIST_PATTERNS_MAX {
                Err(Fault::Limit(Text::PatternsTooMany))
            } else {
                Ok(())
            }
        })?;
        if list.patterns.is_empty() {
            return Err(Fault::Syntax("expected at least one pattern"));
        }
    } else {
        list.patterns.push(c.pattern()?);
    }
    if c.more()? {
        list.extended = true;
        if !c.eat_word(b"RETURN") {
            return Err(Fault::Syntax("expected RETURN or the end of the command"));
        }
        c.space()?;
        c.list("expected return options in parentheses", |c| return_option(c, &mut list))?;
    }
    Ok(list)
}

fn selection_option(c: &mut Cursor<'_>, list: &mut List) -> Result<(), Fault> {
    match c.word().as_bytes() {
        b"SUBSCRIBED" => list.select_subscribed = true,
        b"REMOTE" => list.select_remote = true,
        b"RECURSIVEMATCH" => list.recursive_match = true,
        b"SPECIAL-USE" => list.select_special_use = true,
        _ => return Err(Fault::Syntax("expected SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE")),
    }
    Ok(())
}

fn return_option(c: &mut Cursor<'_>, list: &mut List) -> Result<(), Fault> {
    match c.word().as_bytes() {
        b"SUBSCRIBED" => list.return_subscribed = true,
        b"CHILDREN" => list.return_children = true,
        b"SPECIAL-USE" => list.return_special_use = true,
        b"MYRIGHTS" => list.return_my_rights = true,
        b"STATUS" if list.return_status.is_empty() => {
            c.space()?;
            list.return_status = status_items(c)?;
        }
        b"METADATA" if list.return_metadata.is_none() => {
            c.space()?;
            let options = metadata_options(c)?;
            if options.is_some() {
                c.space()?;
            }
            list.return_metadata = Some((options.unwrap_or_default(), metadata_entries(c)?));
        }
        _ => {
            return Err(Fault::Syntax(
                "expected SUBSCRIBED, CHILDREN, SPECIAL-USE, MYRIGHTS, STATUS or METADATA as a return option",
            ));
        }
    }
    Ok(())
}

/// `(MESSAGES UNSEEN)`.
fn status_items(c: &mut Cursor<'_>) -> Result<Vec<StatusItem>, Fault> {
    let mut items = Vec::new();
    c.list("expected STATUS items in parentheses", |c| {
        let item = match c.word().as_bytes() {
            b"MESSAGES" => StatusItem::Messages,
            b"RECENT" => StatusItem::Recent,
            b"UIDNEXT" => StatusItem::UidNext,
            b"UIDVALIDITY" => StatusItem::UidValidity,
            b"UNSEEN" => StatusItem::Unseen,
            b"DELETED" => StatusItem::Deleted,
            b"SIZE" => StatusItem::Size,
            b"HIGHESTMODSEQ" => StatusItem::HighestModSeq,
            b"MAILBOXID" => StatusItem::MailboxId,
            b"APPENDLIMIT" => StatusItem::AppendLimit,
            b"DELETED-STORAGE" => StatusItem::DeletedStorage,
            _ => return Err(Fault::Syntax("expected a STATUS item such as MESSAGES or UNSEEN")),
        };
        add_once(&mut items, item);
        Ok(())
    })?;
    if items.is_empty() { Err(Fault::Syntax("expected at least one STATUS item")) } else { Ok(items) }
}

/// SETQUOTA (RFC 9208 4.1.3).
fn set_quota(c: &mut Cursor<'_>) -> Result<Command, Fault> {
    let root = c.text()?;
    c.space()?;
    let mut limits = Vec::new();
    c.list("expected resources and limits such as (STORAGE 512)", |c| {
        let resource = c.atom("expected the name of a resource such as STORAGE")?;
        c.space()?;
        limits.push((String::from_utf8_lossy(resource).to_ascii_uppercase(), c.number64()?));
        if limits.len() > 32 { Err(Fault::Limit(Text::ResourcesTooMany)) } else { Ok(()) }
    })?;
    Ok(Command::SetQuota { root, limits })
}

fn mailbox_and_identifier(c: &mut Cursor<'_>) -> Result<(String, String), Fault> {
    let mailbox = c.mailbox()?;
    c.space()?;
    let identifier = c.text()?;
    if identifier.is_empty() || identifier.chars().any(char::is_control) {
        return Err(Fault::Syntax("expected an identifier such as a user's name"));
    }
    Ok((mailbox, identifier))
}

/// SETACL (RFC 4314 3.1).
fn set_acl(c: &mut Cursor<'_>) -> Result<Command, Fault> {
    let (mailbox, identifier) = mailbox_and_identifier(c)?;
    c.space()?;
    let given = c.text()?;
    let (how, rights) = match given.as_bytes().first() {
        Some(b'+') => (Change::Add, &given[1..]),
        Some(b'-') => (Change::Remove, &given[1..]),
        _ => (Change::Replace, given.as_str()),
    };
    if !rights.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return Err(Fault::Syntax("expected rights as lower-case letters, perhaps with + or - before them"));
    }
    Ok(Command::SetAcl { mailbox, identifier, how, rights: rights.to_owned() })
}

/// GETMETADATA (RFC 5464 4.2). Its grammar has the options before the mailbox and its examples behind;
/// both are taken.
fn get_metadata(c: &mut Cursor<'_>) -> Result<Command, Fault> {
    let mut options = None;
    if c.peek() == Some(b'(') {
        options = metadata_options(c)?;
        c.space()?;
    }
    let mailbox = c.mailbox_or_empty()?;
    c.space()?;
    if options.is_none() {
        options = metadata_options(c)?;
        if options.is_some() {
            c.space()?;
        }
    }
    let entries = metadata_entries(c)?;
    Ok(Command::GetMetadata { mailbox, entries, options: options.unwrap_or_default() })
}

/// `(MAXSIZE 1024 DEPTH 1)`, if that is what stands there and not entries.
fn metadata_options(c: &mut Cursor<'_>) -> Result<Option<MetadataOptions>, Fault> {
    let mut ahead = c.clone();
    ahead.eat(b'(');
    ahead.skip_spaces();
    if c.peek() != Some(b'(') || !matches!(ahead.word().as_bytes(), b"MAXSIZE" | b"DEPTH") {
        return Ok(None);
    }
    let mut options = MetadataOptions::default();
    let mut depth = None;
    c.list("expected options of GETMETADATA", |c| {
        match c.word().as_bytes() {
            b"MAXSIZE" if options.bytes_max.is_none() => {
                c.space()?;
                options.bytes_max = Some(c.number64()?);
            }
            b"DEPTH" if depth.is_none() => {
                c.space()?;
                depth = Some(match c.word().as_bytes() {
                    b"0" => 0,
                    b"1" => 1,
                    b"INFINITY" => u32::MAX,
                    _ => return Err(Fault::Syntax("expected DEPTH 0, 1 or infinity")),
                });
            }
            _ => return Err(Fault::Syntax("expected MAXSIZE or DEPTH, each once")),
        }
        Ok(())
    })?;
    options.depth = depth.unwrap_or_default();
    Ok(Some(options))
}

/// One entry, or entries in parentheses.
fn metadata_entries(c: &mut Cursor<'_>) -> Result<Vec<String>, Fault> {
    if c.peek() != Some(b'(') {
        return Ok(vec![metadata_entry(c)?]);
    }
    let mut entries = Vec::new();
    c.list("expected entries such as (/private/comment)", |c| {
        add_once(&mut entries, metadata_entry(c)?);
        limited(&entries)
    })?;
    if entries.is_empty() { Err(Fault::Syntax("expected at least one entry")) } else { Ok(entries) }
}

/// The name of an entry (RFC 5464 3.2): levels of ASCII without wildcards, none of them empty. Letter case
/// does not count, so the lower-case form stands for all.
fn metadata_entry(c: &mut Cursor<'_>) -> Result<String, Fault> {
    let name = utf8(c.astring()?)?;
    if name.len() > METADATA_NAME_BYTES_MAX {
        return Err(Fault::Limit(Text::EntryNameTooLong));
    }
    let plain = name.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'*' | b'%'));
    if !plain || !name.starts_with('/') || name.ends_with('/') || name.contains("//") {
        return Err(Fault::Syntax("expected the name of an entry such as /private/comment"));
    }
    Ok(name.to_ascii_lowercase())
}

fn limited<T>(entries: &[T]) -> Result<(), Fault> {
    if entries.len() > METADATA_ENTRIES_MAX { Err(Fault::Limit(Text::EntriesTooMany)) } else { Ok(()) }
}

/// SETMETADATA (RFC 5464 4.3); a value may have any octets as `~{n}`.
fn set_metadata(c: &mut Cursor<'_>) -> Result<Command, Fault> {
    let mailbox = c.mailbox_or_empty()?;
    c.space()?;
    let mut entries = Vec::new();
    c.list("expected entries and values such as (/private/comment \"text\")", |c| {
        let name = metadata_entry(c)?;
        c.space()?;
        entries.push((name, c.nstring()?.map(|value| value.into_owned())));
        limited(&entries)
    })?;
    if entries.is_empty() {
        return Err(Fault::Syntax("expected at least one entry"));
    }
    Ok(Command::SetMetadata { mailbox, entries })
}
