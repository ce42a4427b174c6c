//! COPY and MOVE.
//!
//! Within an account it is one commit. Into somebody else's mailbox (or out of it) the bodies are shared and the rest is
//! read and put in there, all in one commit; for MOVE the messages are removed after that, so that a crash
//! in between leaves them twice and never not at all.

use super::announce::{self, Known};
use super::expunge;
use super::name::{self, Found, right};
use super::no::No;
use super::select::{changeable, not_selected};
use crate::clock::unix_now;
use crate::session::imap::{ImapSession, Selected};
use net::drive::{Next, Wire};
use proto::imap::code::Code;
use proto::imap::command::Copy;
use proto::imap::language::Text;
use proto::imap::set::Set;
use std::ops::Range;
use store::account::{Copied, Copying, Delivery, Flags, MessageRow};

/// Messages that one command copies between two accounts.
const ACROSS_MAX: usize = 20_000;
/// Messages whose details are read together.
const BATCH: usize = 1000;

pub(crate) async fn copy(s: &mut ImapSession, copy: Copy, wire: &mut Wire<'_>) -> Next {
    let done = run(s, &copy).await;
    let expunges = copy.remove || s.machine.may_expunge();
    let code = match &done {
        Ok(copied) => copied_code(copied),
        Err(_) => None,
    };
    if copy.remove
        && let Some(code) = code.clone()
    {
        // RFC 6851 4.3: before the messages vanish.
        s.machine.untagged_ok(Some(code), Text::Moved);
    }
    if announce::tell(s, expunges, &Known::default(), Some(wire)).await.is_err() {
        return Next::Close;
    }
    match done {
        Ok(copied) if copied.uids.is_empty() => s.machine.ok(None, Text::NothingSuch),
        Ok(copied) if copy.remove => {
            // RFC 7162 3.2.9 asks for HIGHESTMODSEQ where messages were removed.
            let modseq = s.machine.enabled().condstore.then_some(Code::HighestModSeq(copied.modseq));
            s.machine.ok(modseq, Text::Moved);
        }
        Ok(_) => s.machine.ok(code, Text::Copied),
        Err(no) => no.tell(s),
    }
    Next::Go
}

async fn run(s: &ImapSession, copy: &Copy) -> Result<Copied, No> {
    let selected = s.selected().ok_or_else(not_selected)?;
    let seqs = selected.numbers(copy.uid, &copy.set)?;
    if copy.remove {
        if !selected.rights.holds(right::DELETE_MESSAGES) {
            return Err(No::code(Code::NoPerm, Text::NoRightDelete));
        }
        expunge::permitted(selected)?;
    }
    let target = target(s, &copy.mailbox).await?;
    let uids = selected.uid_ranges(&seqs);
    if uids.is_empty() {
        return Ok(Copied::default());
    }
    if !copy.uid {
        all_there(selected, &seqs).await?;
    }
    // Within an account the store takes flags along as they are; who may not set all of them in the target (RFC 4314 section 4)
    // copies as between accounts.
    let sets_all =
        [right::SEEN, right::WRITE, right::DELETE_MESSAGES].map(|one| target.rights.holds(one)) == [true; 3];
    if target.account.id() != selected.account.id() || !sets_all {
        return across(selected, &target, &uids, copy.remove).await;
    }
    let copying = Copying {
        from: selected.view.mailbox.id,
        uids,
        to: target.mailbox.id,
        remove: copy.remove,
        saved: unix_now(),
    };
    Ok(selected.account.copy(copying).await?)
}

/// A mailbox that messages may be put into. Where there is none the client is told that it may make it (RFC 9051 6.4.7).
pub(crate) async fn target(s: &ImapSession, mailbox: &str) -> Result<Found, No> {
    match name::find(s, mailbox).await? {
        Some(found) => name::permit(Some(found), right::INSERT),
        None => Err(No::code(Code::TryCreate, Text::NoMailboxCreate)),
    }
}

/// RFC 2180 4.4.2: by sequence numbers, all or none.
async fn all_there(selected: &Selected, seqs: &[Range<u32>]) -> Result<(), No> {
    let now = selected.account.open(selected.view.mailbox.id).await?.ok_or_else(No::no_mailbox)?;
    let there = |range: &Range<u32>| {
        let (Some(from), Some(to)) = (selected.view.uid(range.start), selected.view.uid(range.end - 1))
        else {
            return false;
        };
        now.seqs(from, to).len() == range.len()
    };
    if seqs.iter().all(there) {
        return Ok(());
    }
    Err(No::code(Code::ExpungeIssued, Text::SomeGoneNothing))
}

/// Copies into another account.
async fn across(
    selected: &Selected,
    target: &Found,
    uids: &[(u32, u32)],
    remove: bool,
) -> Result<Copied, No> {
    let from = selected.view.mailbox.id;
    let now = selected.account.open(from).await?.ok_or_else(No::no_mailbox)?;
    let rows: Vec<MessageRow> =
        uids.iter().flat_map(|(from, to)| now.rows(now.seqs(*from, *to))).map(|(_, row)| row).collect();
    if rows.len() > ACROSS_MAX {
        return Err(No::code(Code::Limit, Text::AcrossMany).with(ACROSS_MAX));
    }
    let saved = unix_now();
    let may = changeable(target.rights);
    let mut old = Vec::with_capacity(rows.len());
    let mut deliveries = Vec::with_capacity(rows.len());
    for batch in rows.chunks(BATCH) {
        let details = selected.account.details(from, batch.iter().map(|row| row.uid).collect()).await?;
        let mut rows = batch.iter().peekable();
        for detail in details.iter() {
            let detail = detail?;
            while rows.next_if(|row| row.uid < detail.uid).is_some() {}
            let Some(row) = rows.next_if(|row| row.uid == detail.uid) else { continue };
            old.push(row.uid);
            deliveries.push(Delivery {
                mailbox: target.mailbox.name.clone(),
                prefix: detail.prefix.to_vec(),
                body: detail.body.clone(),
                header_bytes: detail.header_bytes,
                flags: Flags(row.flags.0 & may & 0xff),
                keywords: keywords(row, &now.mailbox.keywords, target),
                gist: detail.gist.to_vec(),
                received: row.received,
                saved,
                token: None,
                quota: true,
            });
        }
    }
    if deliveries.is_empty() {
        return Ok(Copied::default());
    }
    let delivered = target.account.append(deliveries, None).await?;
    let mut copied = Copied {
        uid_validity: target.mailbox.uid_validity,
        uids: old.iter().copied().zip(delivered.iter().map(|d| d.uid)).collect(),
        modseq: now.mailbox.modseq,
    };
    if remove {
        selected.account.expunge(from, &old).await?;
        if let Some(now) = selected.account.open(from).await? {
            copied.modseq = now.mailbox.modseq;
        }
    }
    Ok(copied)
}

/// The keywords of a message, if the user may set any there.
fn keywords(row: &MessageRow, names: &[String], target: &Found) -> Vec<String> {
    if !target.rights.holds(right::WRITE) {
        return Vec::new();
    }
    let bit = |at: usize| row.flags.0.checked_shr(Flags::KEYWORD_FIRST + at as u32).unwrap_or(0) & 1 == 1;
    names.iter().enumerate().filter(|(at, _)| bit(*at)).map(|(_, name)| name.clone()).collect()
}

/// COPYUID (RFC 4315 section 3).
fn copied_code(copied: &Copied) -> Option<Code> {
    if copied.uids.is_empty() {
        return None;
    }
    Some(Code::CopyUid {
        validity: copied.uid_validity,
        from: Set::of(copied.uids.iter().map(|(from, _)| *from)),
        to: Set::of(copied.uids.iter().map(|(_, to)| *to)),
    })
}
