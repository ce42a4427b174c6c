//! SELECT, EXAMINE, CLOSE, UNSELECT.

use super::announce::{self, Style};
use super::name::{self, Found, right};
use super::no::{No, blocking};
use crate::session::imap::{ImapSession, Selected};
use net::drive::{Next, Wire};
use proto::imap::code::Code;
use proto::imap::command::{Qresync, Select};
use proto::imap::encode;
use proto::imap::language::Text;
use proto::imap::set::Set;
use proto::language::Language;
use proto::machine::Machine;
use std::sync::Arc;
use store::account::{Account, Flags, MailboxId, Rights, View};

pub(crate) async fn select(s: &mut ImapSession, select: Select, wire: &mut Wire<'_>) -> Next {
    if select.qresync.is_some() && !s.machine.enabled().qresync {
        s.machine.bad(None, Text::QResyncFirst);
        return Next::Go;
    }
    // RFC 9051 6.3.2: whatever comes of it, the mailbox that was open is open no more.
    if let Some(user) = s.user.as_deref_mut()
        && user.selected.take().is_some()
    {
        s.machine.untagged_ok(Some(Code::Closed), Text::ClosedBefore);
        s.machine.set_selected(false);
    }
    let opened = match open(s, &select.mailbox).await {
        Ok(opened) => opened,
        Err(no) => {
            no.tell(s);
            return Next::Go;
        }
    };
    if select.condstore || select.qresync.is_some() {
        s.machine.enable_condstore();
    }
    let (found, view) = opened;
    let read_only = select.read_only || !may_change(found.rights);
    let selected = Selected {
        account: found.account,
        name: select.mailbox,
        told: view.clone(),
        keywords_told: view.mailbox.keywords.len(),
        next_to_show: view.mailbox.uid_next,
        view,
        read_only,
        rights: found.rights,
        saved: Vec::new(),
        contexts: Vec::new(),
    };
    write_state(s, &selected);
    if let Some(known) = select.qresync
        && let Err(no) = resync(s, &selected, known, wire).await
    {
        match no {
            Broken::No(no) => no.tell(s),
            Broken::Gone => return Next::Close,
        }
        return Next::Go;
    }
    if let Some(user) = s.user.as_deref_mut() {
        user.selected = Some(selected);
    }
    s.machine.set_selected(true);
    match (select.read_only, read_only) {
        (true, _) => s.machine.ok(Some(Code::ReadOnly), Text::OpenedReading),
        (false, true) => s.machine.ok(Some(Code::ReadOnly), Text::OpenedReadOnly),
        (false, false) => s.machine.ok(Some(Code::ReadWrite), Text::Opened),
    }
    Next::Go
}

pub(crate) async fn close(s: &mut ImapSession) {
    let Some(selected) = s.user.as_deref_mut().and_then(|user| user.selected.take()) else {
        return not_selected().tell(s);
    };
    s.machine.set_selected(false);
    // RFC 9051 6.4.1: no error where nothing may be removed; RFC 4314 section 4 asks for `e`.
    if !selected.read_only
        && selected.rights.holds(right::EXPUNGE)
        && let Err(no) = super::expunge::remove_deleted(&selected, None).await
    {
        return no.tell(s);
    }
    // RFC 7162 3.2.8: no HIGHESTMODSEQ, for what others did before it has not been told.
    s.machine.ok(None, Text::Closed);
}

pub(crate) fn unselect(s: &mut ImapSession) {
    if s.user.as_deref_mut().and_then(|user| user.selected.take()).is_none() {
        return not_selected().tell(s);
    }
    s.machine.set_selected(false);
    s.machine.ok(None, Text::Closed);
}

/// The gate lets commands about messages through with an open mailbox only.
pub(crate) fn not_selected() -> No {
    No::bad(None, Text::NotSelected)
}

async fn open(s: &ImapSession, mailbox: &str) -> Result<(Found, Arc<View>), No> {
    let found = name::need(s, mailbox, right::READ).await?;
    let view = found.account.open(found.mailbox.id).await?.ok_or_else(No::no_mailbox)?;
    Ok((found, view))
}

/// What RFC 9051 6.3.2 and RFC 3501 6.3.1 ask for.
fn write_state(s: &mut ImapSession, selected: &Selected) {
    let enabled = s.machine.enabled();
    let view = &selected.view;
    let tongue = s.machine.tongue();
    write_flags(selected.read_only, selected.rights, &view.mailbox.keywords, tongue, s.machine.output());
    announce::exists(view.len(), s.machine.output());
    if !enabled.rev2 {
        s.machine.output().extend_from_slice(b"* 0 RECENT\r\n");
        if let Some(first) = view.first_unseen().filter(|_| !enabled.uid_only) {
            s.machine.untagged_ok(Some(Code::Unseen(first)), Text::FirstUnseen);
        }
    }
    s.machine.untagged_ok(Some(Code::UidValidity(view.mailbox.uid_validity)), Text::UidValidity);
    s.machine.untagged_ok(Some(Code::UidNext(view.mailbox.uid_next)), Text::UidNext);
    let modseq = view.mailbox.modseq.max(1);
    s.machine.untagged_ok(Some(Code::HighestModSeq(modseq)), Text::HighestModSeq);
    let id = name::mailbox_id(&selected.account, view.mailbox.id);
    s.machine.untagged_ok(Some(Code::MailboxId(id)), Text::MailboxId);
    if enabled.rev2 {
        let out = s.machine.output();
        out.extend_from_slice(b"* LIST () \"/\" ");
        encode::mailbox(&selected.name, enabled.utf8_names(), out);
        out.extend_from_slice(b"\r\n");
    }
}

/// FLAGS and PERMANENTFLAGS; of the latter only what this user may change (RFC 4314 section 4).
pub(crate) fn write_flags(
    read_only: bool,
    rights: Rights,
    keywords: &[String],
    tongue: Language,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"* FLAGS ");
    let all = all_flags(keywords.len());
    encode::flags(all, keywords, out);
    out.extend_from_slice(b"\r\n* OK [PERMANENTFLAGS ");
    let may = if read_only { 0 } else { all & changeable(rights) };
    let start = out.len();
    encode::flags(may, keywords, out);
    if !read_only && rights.holds(right::WRITE) && keywords.len() < Flags::KEYWORDS_MAX {
        // New keywords can be made.
        out.pop();
        if out.len() > start + 1 {
            out.push(b' ');
        }
        out.extend_from_slice(b"\\*)");
    }
    out.extend_from_slice(b"] ");
    out.extend_from_slice(tongue.text(Text::PermanentFlags).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The system flags, and so many keywords.
fn all_flags(keywords: usize) -> u64 {
    let system = Flags::SEEN.0 | Flags::ANSWERED.0 | Flags::FLAGGED.0 | Flags::DELETED.0 | Flags::DRAFT.0;
    let keywords = u32::try_from(keywords.min(Flags::KEYWORDS_MAX)).unwrap_or(0);
    system | ((1u128 << keywords) as u64).wrapping_sub(1) << Flags::KEYWORD_FIRST
}

/// Some right that changes what is in a mailbox (RFC 4314 section 5.2).
fn may_change(rights: Rights) -> bool {
    let changing = [right::SEEN, right::WRITE, right::INSERT, right::DELETE_MESSAGES, right::EXPUNGE];
    changing.into_iter().any(|right| rights.holds(right))
}

/// Flags that somebody with these rights may change: `s`, `t` and `w` of RFC 4314.
pub(crate) fn changeable(rights: Rights) -> u64 {
    let mut bits = 0;
    if rights.holds(right::SEEN) {
        bits |= Flags::SEEN.0;
    }
    if rights.holds(right::DELETE_MESSAGES) {
        bits |= Flags::DELETED.0;
    }
    if rights.holds(right::WRITE) {
        bits |= !(Flags::SEEN.0 | Flags::DELETED.0);
    }
    bits
}

/// What became of QRESYNC.
enum Broken {
    No(No),
    Gone,
}

/// What changed since the client was here (RFC 7162 3.2.5).
async fn resync(
    s: &mut ImapSession,
    selected: &Selected,
    known: Qresync,
    wire: &mut Wire<'_>,
) -> Result<(), Broken> {
    let view = &selected.view;
    if known.uid_validity != view.mailbox.uid_validity {
        return Ok(());
    }
    let last = view.mailbox.uid_next.saturating_sub(1);
    let within = known.known.as_ref().map_or_else(|| Set(vec![(1, last.max(1))]), Set::clone).resolve(last);
    let mut vanished =
        vanished(&selected.account, view.clone(), known.modseq, within.clone()).await.map_err(Broken::No)?;
    if let Some((seqs, uids)) = &known.matches {
        cut_below(&mut vanished, matched(view, seqs, uids));
    }
    write_vanished_earlier(vanished, s.machine.output());
    let mut style = Style::of(s.machine.enabled());
    style.modseq = true;
    for (from, to) in within {
        for (seq, row) in view.rows(view.seqs(from, to)) {
            if row.modseq > known.modseq {
                style.line(seq, &row, true, &view.mailbox.keywords, s.machine.output());
                announce::pace(&mut s.machine, Some(&mut *wire)).await.map_err(|_| Broken::Gone)?;
            }
        }
    }
    Ok(())
}

/// UIDs that vanished since, within `known`.
pub(crate) async fn vanished(
    account: &Account,
    view: Arc<View>,
    since: u64,
    known: Vec<(u32, u32)>,
) -> Result<Vec<(u32, u32)>, No> {
    if since >= view.mailbox.modseq {
        return Ok(Vec::new());
    }
    let account = account.clone();
    blocking(move || account.vanished(&view, since, Some(&known))).await
}

/// `* VANISHED (EARLIER) 41,43:116`.
pub(crate) fn write_vanished_earlier(vanished: Vec<(u32, u32)>, out: &mut Vec<u8>) {
    if !vanished.is_empty() {
        out.extend_from_slice(b"* VANISHED (EARLIER) ");
        Set(vanished).write(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// The highest UID up to which the client's numbering is still right: nothing at or below it has vanished unheard
/// (RFC 7162 3.2.5.2).
fn matched(view: &View, seqs: &Set, uids: &Set) -> u32 {
    let each = |set: &Set| set.0.clone().into_iter().flat_map(|(a, b)| a.min(b)..=a.max(b));
    let pairs = each(seqs).zip(each(uids));
    pairs.take_while(|(seq, uid)| view.uid(*seq) == Some(*uid)).map(|(_, uid)| uid).last().unwrap_or(0)
}

/// Takes away what is not above `uid`.
fn cut_below(ranges: &mut Vec<(u32, u32)>, uid: u32) {
    ranges.retain(|(_, to)| *to > uid);
    if let Some((from, _)) = ranges.first_mut() {
        *from = (*from).max(uid.saturating_add(1));
    }
}

/// HIGHESTMODSEQ of the open mailbox, when a command has just switched CONDSTORE on (RFC 7162 3.1).
pub(crate) fn enable_condstore(s: &mut ImapSession) {
    if s.machine.enabled().condstore {
        return;
    }
    s.machine.enable_condstore();
    if let Some(selected) = s.selected() {
        let modseq = selected.told.mailbox.modseq.max(1);
        s.machine.untagged_ok(Some(Code::HighestModSeq(modseq)), Text::HighestModSeq);
    }
}

/// Deselects a mailbox that this session has just deleted.
pub(crate) fn forget(s: &mut ImapSession, account: &Account, mailbox: MailboxId) {
    let Some(user) = s.user.as_deref_mut() else { return };
    let is_it =
        |selected: &Selected| selected.view.mailbox.id == mailbox && selected.account.id() == account.id();
    if user.selected.as_ref().is_some_and(is_it) {
        user.selected = None;
        s.machine.set_selected(false);
        s.machine.untagged_ok(Some(Code::Closed), Text::ClosedDeleted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permanent_flags_follow_the_rights() {
        let told = |read_only, letters: u16, keywords: &[String]| {
            let mut out = Vec::new();
            write_flags(read_only, Rights(letters), keywords, Language::default(), &mut out);
            String::from_utf8(out).unwrap()
        };
        let all = told(false, Rights::ALL.0, &["$Junk".to_owned()]);
        assert_eq!(
            all,
            "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Junk)\r\n\
             * OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Junk \\*)] \
             Flags that you can change\r\n"
        );
        assert!(told(true, Rights::ALL.0, &[]).contains("[PERMANENTFLAGS ()]"));
        let seen = right::READ.0 | right::SEEN.0;
        assert!(told(false, seen, &["x".to_owned()]).contains("[PERMANENTFLAGS (\\Seen)]"));
        let full: Vec<String> = (0..Flags::KEYWORDS_MAX).map(|n| format!("k{n}")).collect();
        assert!(!told(false, Rights::ALL.0, &full).contains("\\*"), "no room for more");
    }

    #[test]
    fn vanished_is_cut_at_what_the_client_has_right() {
        let mut ranges = vec![(1, 5), (8, 12), (20, 20)];
        cut_below(&mut ranges, 9);
        assert_eq!(ranges, [(10, 12), (20, 20)]);
        cut_below(&mut ranges, 20);
        assert_eq!(ranges, []);
    }
}
