//! FETCH.
//!
//! What the view knows (flags, UIDs, dates, sizes, MODSEQ) goes from its columns into the output. The rest is read in
//! batches of messages, bodies as streams. What must hold: a client that reads slowly holds a view and two batches, never
//! a lock; between two batches others have their turn.

mod items;
mod plan;

use super::announce::{self, Gone, Known, pace};
use super::no::No;
use super::select::{self, not_selected};
use crate::session::imap::{ImapSession, rows};
use items::{Trouble, Writer};
use net::drive::{Next, Wire};
use plan::Plan;
use proto::imap::command::Fetch;
use proto::imap::language::Text;
use proto::machine::Machine;
use std::ops::Range;
use store::account::{DetailRef, Details, FlagChange, Flags, How, MessageRow};
use tokio::task::JoinHandle;

/// Messages whose details are read together.
const BATCH: usize = 256;

pub(crate) async fn fetch(s: &mut ImapSession, fetch: Fetch, wire: &mut Wire<'_>) -> Next {
    match run(s, &fetch, wire).await {
        Ok(Ok(trouble)) => match trouble.refusal(fetch.uid) {
            Some((code, text)) => s.machine.no(Some(code), text),
            None => s.machine.ok(None, Text::Fetched),
        },
        Ok(Err(no)) => no.tell(s),
        Err(Gone) => return Next::Close,
    }
    Next::Go
}

/// What FETCH answers, without its end: for a session that tells of new messages unasked (RFC 5465 5.2).
pub(crate) async fn untagged(s: &mut ImapSession, fetch: &Fetch, wire: &mut Wire<'_>) -> Result<(), Gone> {
    if let Err(no) = run(s, fetch, wire).await? {
        no.log(s);
    }
    Ok(())
}

/// Everything but the tagged answer.
async fn run(s: &mut ImapSession, fetch: &Fetch, wire: &mut Wire<'_>) -> Result<Result<Trouble, No>, Gone> {
    if s.selected().is_none() {
        return Ok(Err(not_selected()));
    }
    if fetch.vanished && (fetch.changed_since.is_none() || !fetch.uid || !s.machine.enabled().qresync) {
        // RFC 7162 3.2.6.
        let text = Text::VanishedWhere;
        return Ok(Err(No::bad(None, text)));
    }
    if plan::wants_modseq(fetch) {
        select::enable_condstore(s);
    }
    // First what is new, so that what is fetched is told as it is now.
    let expunges = s.machine.may_expunge();
    announce::tell(s, expunges, &Known::default(), Some(&mut *wire)).await?;
    let Some(selected) = s.selected() else { return Ok(Err(not_selected())) };
    let seqs = match selected.numbers(fetch.uid, &fetch.set) {
        Ok(seqs) => seqs,
        Err(no) => return Ok(Err(no)),
    };
    if fetch.vanished
        && let Err(no) = vanished(s, fetch).await
    {
        return Ok(Err(no));
    }
    let Some(plan) = Plan::new(s, fetch) else { return Ok(Err(not_selected())) };
    let seqs = plan.choose(seqs, fetch);
    let mut known = Known::default();
    let done = if plan.plain {
        plain(s, &plan, &seqs, wire).await?;
        Ok(Trouble::default())
    } else {
        batches(s, &plan, &seqs, &mut known, wire).await?
    };
    announce::tell(s, expunges, &known, Some(wire)).await?;
    Ok(done)
}

/// UIDs of the set that vanished since (RFC 7162 3.2.6).
async fn vanished(s: &mut ImapSession, fetch: &Fetch) -> Result<(), No> {
    let Some(selected) = s.selected() else { return Ok(()) };
    let view = selected.view.clone();
    let account = selected.account.clone();
    let last = view.mailbox.uid_next.saturating_sub(1);
    let within = selected.uids(&fetch.set, last);
    let vanished = select::vanished(&account, view, fetch.changed_since.unwrap_or(0), within).await?;
    select::write_vanished_earlier(vanished, s.machine.output());
    Ok(())
}

/// What the view alone can tell.
async fn plain(
    s: &mut ImapSession,
    plan: &Plan,
    seqs: &[Range<u32>],
    wire: &mut Wire<'_>,
) -> Result<(), Gone> {
    let mut writer = Writer::new(plan);
    for range in seqs {
        let mut next = range.start;
        while next < range.end {
            // Few enough that they do not make the output much larger than it is let grow.
            let end = range.end.min(next.saturating_add(BATCH as u32));
            let out = s.machine.output();
            for (seq, row) in rows(&plan.view, &plan.told, next..end) {
                writer.plain(seq, &row, out);
            }
            next = end;
            pace(&mut s.machine, Some(&mut *wire)).await?;
        }
    }
    Ok(())
}

/// What has to be read, a batch at a time. While one is written the next is read.
async fn batches(
    s: &mut ImapSession,
    plan: &Plan,
    seqs: &[Range<u32>],
    known: &mut Known,
    wire: &mut Wire<'_>,
) -> Result<Result<Trouble, No>, Gone> {
    let mut trouble = Trouble::default();
    let mut writer = Writer::new(plan);
    let mut all = seqs.iter().flat_map(|range| rows(&plan.view, &plan.told, range.clone()));
    let mut next = Batch::begin(plan, &mut all).await;
    loop {
        let Some(Batch { mut rows, details }) = next else { return Ok(Ok(trouble)) };
        let details = match details.get().await {
            Ok(details) => details,
            Err(error) => return Ok(Err(error.into())),
        };
        next = Batch::begin(plan, &mut all).await;
        let seen = if plan.sets_seen { see(s, plan, &mut rows).await } else { Vec::new() };
        known.flags.extend(&seen);
        let details = ordered(&details, &mut trouble, s);
        let mut details = details.iter().peekable();
        for (seq, row) in &rows {
            while details.next_if(|detail| detail.uid < row.uid).is_some() {}
            let Some(detail) = details.next_if(|detail| detail.uid == row.uid) else {
                trouble.expunged = true;
                continue;
            };
            let is_new = seen.binary_search_by_key(&row.uid, |(uid, _)| *uid).is_ok();
            writer.message(s, (*seq, row), detail, is_new, &mut trouble, wire).await?;
        }
    }
}

/// Messages whose details are read together.
struct Batch {
    rows: Vec<(u32, MessageRow)>,
    details: Reading,
}

/// Details on their way.
enum Reading {
    Done(Result<Details, store::Error>),
    /// Read by another task.
    Ahead(JoinHandle<Result<Details, store::Error>>),
}

impl Batch {
    /// Takes the next messages and begins to read their details; `None` if there are no more.
    async fn begin(plan: &Plan, all: &mut impl Iterator<Item = (u32, MessageRow)>) -> Option<Batch> {
        let rows: Vec<(u32, MessageRow)> = all.take(BATCH).collect();
        let uids: Vec<u32> = rows.iter().map(|(_, row)| row.uid).collect();
        if uids.is_empty() {
            return None;
        }
        let (account, mailbox) = (plan.account.clone(), plan.view.mailbox.id);
        let details = if uids.len() < BATCH {
            // The last: nothing is written meanwhile.
            Reading::Done(account.details(mailbox, uids).await)
        } else {
            Reading::Ahead(tokio::spawn(async move { account.details(mailbox, uids).await }))
        };
        Some(Batch { rows, details })
    }
}

impl Reading {
    async fn get(self) -> Result<Details, store::Error> {
        match self {
            Reading::Done(details) => details,
            // It fails only when the runtime is going down.
            Reading::Ahead(task) => task.await.unwrap_or(Err(store::Error::Closed)),
        }
    }
}

/// The details that can be read.
fn ordered<'a>(details: &'a Details, trouble: &mut Trouble, s: &ImapSession) -> Vec<DetailRef<'a>> {
    let mut readable = Vec::with_capacity(BATCH);
    for detail in details.iter() {
        match detail {
            Ok(detail) => readable.push(detail),
            Err(error) => {
                tracing::error!(session = s.origin.id_text(), %error, "cannot read what is kept of a message");
                trouble.unreadable = true;
            }
        }
    }
    readable
}

/// Sets `\Seen` on those of the batch that lack it, in one commit, and brings the batch up to date. What was set, by UID.
async fn see(s: &ImapSession, plan: &Plan, batch: &mut [(u32, MessageRow)]) -> Vec<(u32, Flags)> {
    let unseen = batch.iter().filter(|(_, row)| row.flags.0 & Flags::SEEN.0 == 0);
    let uids: Vec<(u32, u32)> = unseen.map(|(_, row)| (row.uid, row.uid)).collect();
    if uids.is_empty() {
        return Vec::new();
    }
    let mailbox = plan.view.mailbox.id;
    let change = FlagChange {
        mailbox,
        uids: uids.clone(),
        how: How::Add,
        flags: Flags::SEEN,
        keywords: Vec::new(),
        unchanged_since: None,
    };
    if let Err(error) = plan.account.change_flags(change).await {
        // The message can be read all the same.
        tracing::warn!(session = s.origin.id_text(), %error, "cannot mark messages as seen");
        return Vec::new();
    }
    let Ok(Some(now)) = plan.account.open(mailbox).await else { return Vec::new() };
    let mut seen = Vec::with_capacity(uids.len());
    for (_, row) in batch.iter_mut().filter(|(_, row)| row.flags.0 & Flags::SEEN.0 == 0) {
        if let Some(new) = now.seq(row.uid).and_then(|seq| now.row(seq)) {
            seen.push((new.uid, new.flags));
            *row = new;
        }
    }
    seen
}
