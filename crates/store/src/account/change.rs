//! Changes to messages: flags, copies, moves, removal, several at once.

use super::lane::{Append, Outcome, Work};
use super::{Account, Delivered, Delivery, Flags, MailboxId, Refused, View};
use crate::row::{self, ChangeKind, HeadRow};
use crate::{Error, key};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Add, remove, or set to exactly these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Add.
    Add,
    /// Remove.
    Remove,
    /// Replace.
    Replace,
}

/// A change of flags.
#[derive(Clone, Debug)]
pub struct FlagChange {
    /// Where.
    pub mailbox: MailboxId,
    /// UIDs as ascending, disjoint, inclusive ranges; those that are not there are passed over.
    pub uids: Vec<(u32, u32)>,
    /// How.
    pub how: How,
    /// System flags.
    pub flags: Flags,
    /// Keywords; new ones are made as long as there is room, else [`Refused::Limit`].
    pub keywords: Vec<String>,
    /// Leave alone (and report) messages whose MODSEQ is higher.
    pub unchanged_since: Option<u64>,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagsChanged {
    /// The account's version with it; 0 if nothing changed.
    pub modseq: u64,
    /// UIDs that were left alone because of `unchanged_since`, ascending.
    pub modified: Vec<u32>,
}

/// Copies, and moves.
#[derive(Clone, Debug)]
pub struct Copying {
    /// From where.
    pub from: MailboxId,
    /// UIDs, as in [`FlagChange`].
    pub uids: Vec<(u32, u32)>,
    /// Where to; may be `from` itself.
    pub to: MailboxId,
    /// Take them away where they were.
    pub remove: bool,
    /// Now, Unix seconds.
    pub saved: i64,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub uid_validity: u32,
    /// Old and new UID, ascending.
    pub uids: Vec<(u32, u32)>,
    /// The account's version with it; 0 if there was nothing to copy.
    pub modseq: u64,
}

impl Account {
    /// A mailbox's current view; `None` if there is no such mailbox. From memory if it is held there (most often), else
    /// read on a thread that may wait.
    pub async fn open(&self, mailbox: MailboxId) -> Result<Option<Arc<View>>, Error> {
        if let Some(view) = self.current(mailbox) {
            return Ok(Some(view));
        }
        let this = self.clone();
        super::blocking(move || this.open_wait(mailbox)).await
    }

    /// The same on a thread that may wait.
    pub fn open_wait(&self, mailbox: MailboxId) -> Result<Option<Arc<View>>, Error> {
        self.accounts.views().load(self.accounts.engine(), self.id, mailbox, self.guest)
    }

    /// The current view if it is in memory: no waiting.
    #[must_use]
    pub fn current(&self, mailbox: MailboxId) -> Option<Arc<View>> {
        self.accounts.views().get(self.id, mailbox, self.guest)
    }

    /// Puts messages in, all or none, in one commit and in this order; takes away `replaces` (mailbox, UID) in the same commit,
    /// and refuses if that message is gone. Unlike a delivery this makes no mailbox, and tokens mean nothing here.
    pub async fn append(
        &self,
        messages: Vec<Delivery>,
        replaces: Option<(MailboxId, u32)>,
    ) -> Result<Vec<Delivered>, Refused> {
        let append = Append { messages, replaces, guest: self.guest };
        match self.accounts.run(self.id, Work::Append(Box::new(append))).await? {
            Outcome::Appended(delivered) => Ok(delivered),
            other => Err(other.unexpected()),
        }
    }

    /// Changes flags, in one commit.
    pub async fn change_flags(&self, change: FlagChange) -> Result<FlagsChanged, Refused> {
        let work = Work::Flags { change: Box::new(change), guest: self.guest };
        match self.accounts.run(self.id, work).await? {
            Outcome::FlagsChanged(changed) => Ok(changed),
            other => Err(other.unexpected()),
        }
    }

    /// Copies or moves within the account, all or none, in one commit. Flags and dates go along, `\Seen` for the owner and
    /// for the guest who copies; keywords for which the target has no room do not. The quota counts for copies.
    pub async fn copy(&self, copying: Copying) -> Result<Copied, Refused> {
        let work = Work::Copy { copying: Box::new(copying), guest: self.guest };
        match self.accounts.run(self.id, work).await? {
            Outcome::Copied(copied) => Ok(copied),
            other => Err(other.unexpected()),
        }
    }

    /// UIDs that vanished after `since` (a MODSEQ), as ascending ranges; within `known` if given (ascending, disjoint). What the
    /// change log no longer reaches is answered with every UID that is not there (RFC 7162 3.2.5.2 allows more than
    /// asked). Blocks for the disk.
    pub fn vanished(
        &self,
        view: &View,
        since: u64,
        known: Option<&[(u32, u32)]>,
    ) -> Result<Vec<(u32, u32)>, Error> {
        if since >= view.mailbox.modseq {
            return Ok(Vec::new());
        }
        let last = view.mailbox.uid_next.saturating_sub(1);
        let mut gone = match self.logged(view, since)? {
            Some(gone) => gone,
            None => vec![(1, last)],
        };
        if let Some(known) = known {
            gone = intersection(&gone, known);
        }
        let mut out = Vec::new();
        for (from, to) in gone {
            missing(view, from, to.min(last), &mut out);
        }
        Ok(out)
    }

    /// What the change log says of messages that vanished after `since` and until the view: ascending, disjoint ranges that hold all of
    /// them, and maybe others. `None`: it does not reach so far.
    fn logged(&self, view: &View, since: u64) -> Result<Option<Vec<(u32, u32)>>, Error> {
        let partition = key::partition(self.id);
        let snapshot = self.accounts.engine().snapshot()?;
        let head = snapshot.get(partition, &key::head())?;
        let head = head.map_or_else(|| Ok(HeadRow::default()), |bytes| HeadRow::decode(&bytes))?;
        if since.saturating_add(1) < head.changes_from {
            return Ok(None);
        }
        let mut gone = Vec::new();
        let from = key::change(since.saturating_add(1));
        snapshot.scan(partition, &[key::CHANGE], &from, &mut |at, value| {
            if key::number64(at, 1).is_none_or(|version| version > view.mailbox.modseq) {
                return Ok(ControlFlow::Break(()));
            }
            for item in row::decode_change(value)? {
                if item.mailbox == view.mailbox.id && item.kind == ChangeKind::Vanished {
                    gone.extend(item.uids);
                }
            }
            if gone.len() > GONE_RANGES_MAX {
                gone = united(std::mem::take(&mut gone));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Some(united(gone)))
    }

    /// Tells of commits from now on.
    #[must_use]
    pub fn watch(&self) -> super::Watch {
        self.accounts.bells().watch(self.id)
    }
}

/// Ranges are united when there are so many.
const GONE_RANGES_MAX: usize = 1 << 16;

/// The same numbers in ascending, disjoint ranges.
fn united(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut out: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        match out.last_mut() {
            Some((_, end)) if from <= end.saturating_add(1) => *end = to.max(*end),
            _ => out.push((from, to)),
        }
    }
    out
}

/// What is in both; each is ascending and disjoint.
fn intersection(a: &[(u32, u32)], b: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let (mut a_at, mut b_at) = (0, 0);
    let mut out = Vec::new();
    while let (Some((a_from, a_to)), Some((b_from, b_to))) = (a.get(a_at), b.get(b_at)) {
        let (from, to) = (*a_from.max(b_from), *a_to.min(b_to));
        if from <= to {
            out.push((from, to));
        }
        if a_to < b_to { a_at += 1 } else { b_at += 1 }
    }
    out
}

/// UIDs of `from..=to` that are not in the view, appended as ranges.
fn missing(view: &View, from: u32, to: u32, out: &mut Vec<(u32, u32)>) {
    let mut next = from;
    for chunk in view.chunks_of(view.seqs(from, to)) {
        for uid in chunk.uids {
            if next < *uid {
                out.push((next, uid - 1));
            }
            next = uid.saturating_add(1);
        }
    }
    if next <= to {
        out.push((next, to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_united_and_cut() {
        assert_eq!(united(vec![(5, 9), (1, 2), (3, 3), (7, 12)]), [(1, 3), (5, 12)]);
        assert_eq!(united(vec![(1, u32::MAX), (u32::MAX, u32::MAX)]), [(1, u32::MAX)]);
        let a = [(1, 5), (8, 20), (30, 30)];
        assert_eq!(
            intersection(&a, &[(4, 9), (10, 10), (19, 40)]),
            [(4, 5), (8, 9), (10, 10), (19, 20), (30, 30)]
        );
        assert_eq!(intersection(&a, &[]), []);
    }
}
