//! EXPUNGE and UID EXPUNGE.

use super::announce::{self, Known};
use super::name::right;
use super::no::No;
use super::select::not_selected;
use crate::session::imap::{ImapSession, Selected};
use net::drive::{Next, Wire};
use proto::imap::code::Code;
use proto::imap::language::Text;
use proto::imap::set::SetOrSaved;
use store::account::Flags;

pub(crate) async fn expunge(s: &mut ImapSession, set: Option<SetOrSaved>, wire: &mut Wire<'_>) -> Next {
    let Some(selected) = s.selected() else {
        not_selected().tell(s);
        return Next::Go;
    };
    let done = match permitted(selected) {
        Ok(()) => remove_deleted(selected, set.as_ref()).await,
        Err(no) => Err(no),
    };
    // What others removed meanwhile is told in any case.
    let expunges = s.machine.may_expunge();
    if announce::tell(s, expunges, &Known::default(), Some(wire)).await.is_err() {
        return Next::Close;
    }
    match done {
        // RFC 7162 3.2.7.
        Ok(Some(modseq)) if s.machine.enabled().condstore => {
            s.machine.ok(Some(Code::HighestModSeq(modseq)), Text::Expunged);
        }
        Ok(Some(_)) => s.machine.ok(None, Text::Expunged),
        Ok(None) => s.machine.ok(None, Text::NothingExpunged),
        Err(no) => no.tell(s),
    }
    Next::Go
}

/// May messages be removed from the open mailbox?
pub(crate) fn permitted(selected: &Selected) -> Result<(), No> {
    if !selected.rights.holds(right::EXPUNGE) {
        return Err(No::code(Code::NoPerm, Text::NoRightRemove));
    }
    if selected.read_only {
        return Err(read_only());
    }
    Ok(())
}

/// The mailbox is open for reading.
pub(crate) fn read_only() -> No {
    No::code(Code::ReadOnly, Text::ReadOnly)
}

/// Removes what has `\Deleted` now, in one commit; with a set of UIDs, only of these. The MODSEQ with it, if there was any.
pub(crate) async fn remove_deleted(
    selected: &Selected,
    among: Option<&SetOrSaved>,
) -> Result<Option<u64>, No> {
    let mailbox = selected.view.mailbox.id;
    let now = match selected.account.current(mailbox) {
        Some(now) => now,
        None => selected.account.open(mailbox).await?.ok_or_else(No::no_mailbox)?,
    };
    if now.mailbox.deleted == 0 {
        return Ok(None);
    }
    let ranges = match among {
        None => vec![(1, u32::MAX)],
        Some(SetOrSaved::Saved) => selected.saved.clone(),
        // `*` is the last message that the client knows of.
        Some(SetOrSaved::Set(set)) => set.resolve(selected.view.last_uid()),
    };
    let mut uids = Vec::new();
    for (from, to) in ranges {
        let rows = now.rows(now.seqs(from, to));
        uids.extend(rows.filter(|(_, row)| row.flags.0 & Flags::DELETED.0 != 0).map(|(_, row)| row.uid));
    }
    if uids.is_empty() {
        return Ok(None);
    }
    selected.account.expunge(mailbox, &uids).await?;
    let now = selected.account.open(mailbox).await?;
    Ok(now.map(|now| now.mailbox.modseq))
}
