//! GETMETADATA and SETMETADATA (RFC 5464).
//!
//! Entries are compared without letter case and kept in lower case. `/private/` ones are each user's own, `/shared/` ones go
//! with the mailbox. Of the server itself (mailbox `""`) there are `/private/` entries only, kept with the account.
//! `/private/specialuse` is what the mailbox is for (RFC 6154 section 5): it can be read here, and is set by CREATE.

use super::list::USE_NAMES;
use super::name::{self, Found, right};
use super::no::{No, blocking, finish};
use crate::session::imap::ImapSession;
use proto::imap::code::Code;
use proto::imap::command::MetadataOptions;
use proto::imap::encode;
use proto::imap::language::Text;
use proto::machine::Machine as _;
use proto::proof::AccountId;
use store::account::{Account, MailboxId, NOTE_BYTES_MAX, Refused, Uses};

const PRIVATE: &str = "/private/";
const SHARED: &str = "/shared/";
const SPECIAL_USE: &str = "/private/specialuse";

/// GETMETADATA.
pub(crate) async fn get(
    s: &mut ImapSession,
    mailbox: String,
    entries: Vec<String>,
    options: MetadataOptions,
) {
    let done = read(s, &mailbox, &entries, options).await;
    finish(s, done, Text::Entries).await;
}

/// SETMETADATA.
pub(crate) async fn set(s: &mut ImapSession, mailbox: String, entries: Vec<(String, Option<Vec<u8>>)>) {
    let done = write(s, &mailbox, entries).await;
    finish(s, done.map(|()| None), Text::EntriesSet).await;
}

/// `* METADATA` beside a name of LIST (RFC 9590).
pub(crate) async fn write_beside(
    s: &mut ImapSession,
    name: &str,
    found: &Found,
    entries: &[String],
    options: MetadataOptions,
) -> Result<(), No> {
    let entries = entries.iter().map(|entry| checked(entry)).collect::<Result<Vec<_>, No>>()?;
    let place = Place::of(s, Some(found))?;
    let notes = place.notes().await?;
    answer(s, name, &notes, &entries, options);
    Ok(())
}

async fn read(
    s: &mut ImapSession,
    mailbox: &str,
    entries: &[String],
    options: MetadataOptions,
) -> Result<Option<Code>, No> {
    let entries = entries.iter().map(|entry| checked(entry)).collect::<Result<Vec<_>, No>>()?;
    let found = match mailbox {
        "" => None,
        _ => Some(annotated(s, mailbox).await?),
    };
    let place = Place::of(s, found.as_ref())?;
    let notes = place.notes().await?;
    let longest = answer(s, mailbox, &notes, &entries, options);
    Ok(longest.map(Code::MetadataLongEntries))
}

/// A mailbox whose entries the user may use: by `l` and one of `r`, `s`, `w`, `i`, `p` (RFC 5464 3.3).
async fn annotated(s: &ImapSession, mailbox: &str) -> Result<Found, No> {
    let found = name::need(s, mailbox, right::LOOKUP).await?;
    let uses = [right::READ, right::SEEN, right::WRITE, right::INSERT, right::POST];
    if uses.iter().any(|right| found.rights.holds(*right)) {
        return Ok(found);
    }
    name::permit(Some(found), right::READ)
}

async fn write(
    s: &mut ImapSession,
    mailbox: &str,
    entries: Vec<(String, Option<Vec<u8>>)>,
) -> Result<(), No> {
    let entries = entries
        .into_iter()
        .map(|(entry, value)| Ok((checked(&entry)?, value)))
        .collect::<Result<Vec<_>, No>>()?;
    if entries.iter().any(|(entry, _)| entry == SPECIAL_USE) {
        return Err(No::code(Code::Cannot, Text::EntryUse));
    }
    let shared = entries.iter().any(|(entry, _)| entry.starts_with(SHARED));
    let found = match mailbox {
        "" if shared => {
            return Err(No::code(Code::NoPerm, Text::EntryOperator));
        }
        "" => None,
        _ => {
            let found = annotated(s, mailbox).await?;
            // What all see is changed by those who may change what all see.
            Some(if shared { name::permit(Some(found), right::WRITE)? } else { found })
        }
    };
    if entries.iter().any(|(_, value)| value.as_ref().is_some_and(|v| v.len() > NOTE_BYTES_MAX)) {
        let code = Code::MetadataMaxSize(NOTE_BYTES_MAX as u64);
        return Err(No::code(code, Text::EntryLong));
    }
    let place = Place::of(s, found.as_ref())?;
    match place.account.set_notes(place.mailbox, place.whose, entries).await {
        Err(Refused::Limit(why)) => Err(No::why(Code::MetadataTooMany, why)),
        done => Ok(done?),
    }
}

/// Where entries are kept.
struct Place {
    account: Account,
    mailbox: Option<MailboxId>,
    whose: AccountId,
    uses: Uses,
}

impl Place {
    fn of(s: &ImapSession, found: Option<&Found>) -> Result<Place, No> {
        let user = s.user.as_deref().ok_or_else(No::no_login)?;
        let whose = user.who.account();
        Ok(match found {
            None => Place { account: user.account.clone(), mailbox: None, whose, uses: Uses::default() },
            Some(found) => {
                let own = found.account.id() == whose;
                let uses = if own { found.mailbox.uses } else { Uses::default() };
                Place { account: found.account.clone(), mailbox: Some(found.mailbox.id), whose, uses }
            }
        })
    }

    /// What there is, ascending.
    async fn notes(&self) -> Result<Vec<(String, Vec<u8>)>, No> {
        let (account, mailbox, whose) = (self.account.clone(), self.mailbox, self.whose);
        let mut notes = blocking(move || account.notes(mailbox, whose)).await?;
        let uses: Vec<&str> =
            USE_NAMES.iter().filter(|(bit, _)| self.uses.0 & bit.0 != 0).map(|(_, name)| *name).collect();
        if !uses.is_empty() {
            let at = notes.partition_point(|(entry, _)| entry.as_str() < SPECIAL_USE);
            notes.insert(at, (SPECIAL_USE.to_owned(), uses.join(" ").into_bytes()));
        }
        Ok(notes)
    }
}

/// Writes the entries that were asked for, those without value as NIL. Returns the length of the longest that MAXSIZE left out.
fn answer(
    s: &mut ImapSession,
    name: &str,
    notes: &[(String, Vec<u8>)],
    entries: &[String],
    options: MetadataOptions,
) -> Option<u64> {
    let bytes_max = options.bytes_max.unwrap_or(u64::MAX);
    let (chosen, longest) = choose(notes, entries, options.depth, bytes_max);
    if chosen.is_empty() {
        return longest;
    }
    let utf8 = s.machine.enabled().utf8_names();
    let out = s.machine.output();
    out.extend_from_slice(b"* METADATA ");
    encode::mailbox(name, utf8, out);
    for (at, (entry, value)) in chosen.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b" (" } else { b" " });
        encode::astring(entry.as_bytes(), utf8, out);
        out.push(b' ');
        match value {
            // Only a literal8 may hold NUL (RFC 3516, RFC 5464 section 5).
            Some(value) if value.contains(&0) => {
                out.extend_from_slice(format!("~{{{}}}\r\n", value.len()).as_bytes());
                out.extend_from_slice(value);
            }
            value => encode::nstring(*value, utf8, out),
        }
    }
    out.extend_from_slice(b")\r\n");
    longest
}

type Chosen<'a> = Vec<(&'a str, Option<&'a [u8]>)>;

/// Entries to answer, each once, and the length of the longest that was left out for its size.
fn choose<'a>(
    notes: &'a [(String, Vec<u8>)],
    entries: &'a [String],
    depth: u32,
    bytes_max: u64,
) -> (Chosen<'a>, Option<u64>) {
    let mut chosen: Chosen<'a> = Vec::new();
    let mut longest = None;
    for asked in entries {
        let mut exact = false;
        for (entry, value) in notes {
            let Some(below) = entry.strip_prefix(asked.as_str()) else { continue };
            let levels = below.bytes().filter(|octet| *octet == b'/').count();
            if !(below.is_empty() || below.starts_with('/')) || levels as u64 > u64::from(depth) {
                continue;
            }
            exact |= below.is_empty();
            if value.len() as u64 > bytes_max {
                longest = longest.max(Some(value.len() as u64));
            } else if !chosen.iter().any(|(known, _)| known == entry) {
                chosen.push((entry, Some(value)));
            }
        }
        if !exact && depth == 0 && !chosen.iter().any(|(known, _)| known == asked) {
            chosen.push((asked, None));
        }
    }
    (chosen, longest)
}

/// An entry's name in lower case, or BAD (RFC 5464 section 3.2).
fn checked(entry: &str) -> Result<String, No> {
    let entry = entry.to_ascii_lowercase();
    let octets_fit = entry.bytes().all(|octet| (0x20..0x7f).contains(&octet) && !b"*%".contains(&octet));
    let rest = entry.strip_prefix(PRIVATE).or_else(|| entry.strip_prefix(SHARED));
    let levels_fit = rest.is_some_and(|rest| rest.split('/').all(|level| !level.is_empty()));
    if octets_fit && levels_fit { Ok(entry) } else { Err(No::bad(None, Text::EntryName)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_entries() {
        assert_eq!(checked("/Shared/Comment").unwrap(), "/shared/comment");
        assert_eq!(checked("/private/vendor/x y").unwrap(), "/private/vendor/x y");
        for refused in
            ["/comment", "/private/", "/private", "/shared/a//b", "/shared/a/", "/shared/*", "/shared/ü"]
        {
            assert!(checked(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn depth_and_size_choose() {
        let notes: Vec<(String, Vec<u8>)> =
            [("/private/a", 1), ("/private/a/b", 2), ("/private/a/b/c", 30), ("/private/ab", 4)]
                .map(|(entry, len)| (entry.to_owned(), vec![b'x'; len]))
                .to_vec();
        let asked = ["/private/a".to_owned()];
        let names = |depth, max| {
            let (chosen, longest) = choose(&notes, &asked, depth, max);
            (chosen.iter().map(|(entry, _)| *entry).collect::<Vec<_>>(), longest)
        };
        assert_eq!(names(0, 99), (vec!["/private/a"], None));
        assert_eq!(names(1, 99), (vec!["/private/a", "/private/a/b"], None));
        assert_eq!(names(u32::MAX, 99), (vec!["/private/a", "/private/a/b", "/private/a/b/c"], None));
        assert_eq!(names(u32::MAX, 10), (vec!["/private/a", "/private/a/b"], Some(30)));
        let missing = ["/shared/none".to_owned()];
        assert_eq!(choose(&notes, &missing, 0, 99).0, [("/shared/none", None)]);
    }
}
