//! What an operation does to an account: first all checks and reads, then changes in memory that
//! cannot fail; at the end one batch for all operations of a commit.

mod body;
mod copy;
mod deliver;
mod expunge;
mod flags;
mod mark;
mod tree;

pub(crate) use mark::left_by;
pub(crate) use tree::birth;

use super::index::Index;
use super::lane::{Outcome, Work};
use super::views::{Delta, Moving, Views};
use super::{Delivered, Flags, Mailbox, MailboxId, MessageRow, Refused, Usage, View, canonical_name};
use crate::blob::{Condemned, Dead};
use crate::engine::{Batch, Engine, Snapshot};
use crate::row::{self, ChangeItem, ChangeKind, HeadRow, MailboxRow};
use crate::system::pending::OpenTokens;
use crate::{Error, key};
use proto::proof::AccountId;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Commits that the change log reaches back.
pub(crate) const CHANGES_KEPT: u64 = 16_384;
/// The change log is trimmed by so many at a time.
const CHANGES_TRIMMED: u64 = 64;
/// Versions whose changes are dropped in one commit at most.
const CHANGES_TRIMMED_MAX: u64 = 512;
/// Ranges of UIDs in one item of the change log.
const CHANGE_RANGES_MAX: usize = 1024;
/// Mailboxes held with their tails per warm account.
const WARM_MAILBOXES_MAX: usize = 64;

/// What writers of one account hold in memory: the engine's state as of `version`.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) version: u64,
    pub(super) row: HeadRow,
    pub(super) quota_bytes: Option<u64>,
    pub(super) quota_messages: Option<u64>,
    names: HashMap<String, MailboxId>,
    mailboxes: BTreeMap<u32, Index>,
    token_deliveries: u32,
    /// Details of removed messages are left: see [`key::grave`].
    pub(super) graves: bool,
}

/// Past so many messages an operation does not write a small row for each, but index records anew.
const SMALL_ROWS_MAX: usize = 64;

impl Head {
    /// Reads it; `None`: there is no such account (any more).
    pub(super) fn load(snapshot: &dyn Snapshot, account: AccountId) -> Result<Option<Head>, Error> {
        let Some(record) = snapshot.get(key::SYSTEM, &key::account(account))? else { return Ok(None) };
        let record = row::decode_account(&record)?;
        let partition = key::partition(account);
        let Some(stored) = snapshot.get(partition, &key::head())? else {
            return Err(Error::Damaged(format!("account {}: it has no head", account.0)));
        };
        Ok(Some(Head {
            version: snapshot.version(partition)?,
            row: HeadRow::decode(&stored)?,
            quota_bytes: record.quota_bytes,
            quota_messages: record.quota_messages,
            names: HashMap::new(),
            mailboxes: BTreeMap::new(),
            token_deliveries: 0,
            graves: any_grave(snapshot, partition)?,
        }))
    }

    /// True if these operations cannot be applied without reading.
    pub(super) fn needs_disk<'w>(
        &self,
        account: AccountId,
        views: &Views,
        waiting: impl Iterator<Item = &'w Work>,
    ) -> bool {
        let mut rows: HashMap<u32, usize> = HashMap::new();
        waiting.into_iter().any(|work| {
            let (id, count) = match work {
                Work::Deliver(one) if one.token.is_none() => (self.known(&one.mailbox), 1),
                Work::Append(many) if many.replaces.is_none() && many.guest.is_none() => {
                    match &many.messages[..] {
                        [one] => (self.known(&one.mailbox), 1),
                        // Those of one command go into one mailbox.
                        [one, rest @ ..] if rest.iter().all(|other| other.mailbox == one.mailbox) => {
                            (self.known(&one.mailbox), rest.len() + 1)
                        }
                        _ => return true,
                    }
                }
                Work::Flags { change, guest: None } => {
                    let Some(view) = views.get(account, change.mailbox, None) else { return true };
                    let count = change.uids.iter().map(|(from, to)| view.seqs(*from, *to).len()).sum();
                    if count > SMALL_ROWS_MAX {
                        return true;
                    }
                    (Some(change.mailbox), count)
                }
                Work::Retire => return false,
                _ => return true,
            };
            let Some(index) = id.and_then(|id| self.mailboxes.get(&id.0)) else { return true };
            let rows = rows.entry(index.row.mailbox.id.0).or_default();
            *rows += count;
            index.is_fold_due_after(*rows)
        })
    }

    fn known(&self, name: &str) -> Option<MailboxId> {
        self.names.get(&*canonical_name(name)).copied()
    }

    /// The mailbox of that name, if it is held.
    pub(super) fn mailbox(&self, name: &str) -> Option<Mailbox> {
        let id = self.known(name)?;
        self.mailboxes.get(&id.0).map(|index| index.row.mailbox.clone())
    }

    /// Octets and messages.
    pub(super) fn usage(&self) -> Usage {
        Usage { bytes: self.row.bytes, messages: self.row.messages }
    }

    /// Forgets mailboxes that need not be held. Only between commits.
    pub(super) fn shrink(&mut self) {
        if self.mailboxes.len() > WARM_MAILBOXES_MAX {
            self.mailboxes.clear();
            self.names.clear();
        }
    }
}

/// One commit in the making.
pub(super) struct Change<'a> {
    account: AccountId,
    engine: &'a dyn Engine,
    /// Opened at the first read that needs it: a delivery to a warm mailbox reads nothing.
    snapshot: Option<Box<dyn Snapshot>>,
    condemned: &'a Condemned,
    dead: &'a Dead,
    tokens: &'a OpenTokens,
    views: &'a Views,
    head: &'a mut Head,
    batch: Batch,
    written: tree::Written,
    touched: BTreeMap<u32, Touched>,
    works: HashMap<u32, Working>,
    fresh_tokens: HashMap<u64, Delivered>,
    /// Where in `batch` the detail of a message (mailbox, UID) is that this commit put there or removed.
    details: HashMap<(u32, u32), usize>,
}

/// What a commit does to a mailbox.
#[derive(Default)]
struct Touched {
    /// What happened to the mailbox itself, each kind once.
    tree: Vec<ChangeKind>,
    /// Together with it, no index of the mailbox is held any more.
    removed: bool,
    added: Vec<MessageRow>,
    /// UID and flags; later ones win.
    changed: Vec<(u32, u64)>,
    /// What guests have seen, or no longer; later ones win.
    seen: Vec<(AccountId, u32, bool)>,
    vanished: Vec<u32>,
    /// UIDs whose rows the index was not told of, because they are too many: it is written anew.
    bulk: Vec<u32>,
    is_bulk: bool,
    /// UIDs whose details are removed later, and of those the bodies that live on elsewhere.
    buried: Vec<u32>,
    moved: Vec<u32>,
}

impl Touched {
    fn is_created(&self) -> bool {
        self.tree.contains(&ChangeKind::Created)
    }

    /// Nothing that the mailbox's row or its view shows.
    fn is_aside(&self) -> bool {
        let messages = self.added.len() + self.changed.len() + self.seen.len() + self.vanished.len();
        messages == 0
            && self.tree.iter().all(|kind| matches!(kind, ChangeKind::Noted | ChangeKind::Subscribed))
    }
}

/// A mailbox as it is in the middle of a commit, for operations that have to look at it.
struct Working {
    /// Before the commit.
    base: Arc<View>,
    view: Arc<View>,
    /// How many of the changes are in it: added, changed, vanished.
    done: (usize, usize, usize),
}

impl Working {
    /// Brings the view up to date. UIDs of what one operation changed ascend.
    fn sync(&mut self, touched: &Touched, version: u64) {
        let all = (touched.added.len(), touched.changed.len(), touched.vanished.len());
        if self.done == all {
            return;
        }
        let view = Arc::make_mut(&mut self.view);
        view.append(&touched.added[self.done.0..]);
        view.set_flags(&touched.changed[self.done.1..], version);
        view.remove(&touched.vanished[self.done.2..]);
        self.done = all;
    }
}

/// What came of a commit in the making.
pub(super) struct Finished {
    /// Empty if nothing changed.
    pub(super) batch: Batch,
    /// What becomes of views in memory when it is durable.
    pub(super) moving: Vec<Moving>,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        account: AccountId,
        engine: &'a dyn Engine,
        condemned: &'a Condemned,
        dead: &'a Dead,
        tokens: &'a OpenTokens,
        views: &'a Views,
        head: &'a mut Head,
    ) -> Change<'a> {
        Change {
            account,
            engine,
            snapshot: None,
            condemned,
            dead,
            tokens,
            views,
            head,
            batch: Batch::default(),
            written: tree::Written::default(),
            touched: BTreeMap::new(),
            works: HashMap::new(),
            fresh_tokens: HashMap::new(),
            details: HashMap::new(),
        }
    }

    /// Applies one operation. An error leaves everything as it was.
    pub(super) fn apply(&mut self, work: &Work) -> Result<Outcome, Refused> {
        match work {
            Work::Deliver(delivery) => self.deliver(delivery).map(Outcome::Delivered),
            Work::Append(append) => self.append(append).map(Outcome::Appended),
            Work::Flags { change, guest } => self.change_flags(change, *guest).map(Outcome::FlagsChanged),
            Work::Copy { copying, guest } => self.copy(copying, *guest).map(Outcome::Copied),
            Work::Expunge { mailbox, uids } => self.expunge(*mailbox, uids).map(|()| Outcome::Done),
            Work::Sweep => {
                let swept = self.sweep();
                // A grave that cannot be read is let be until the head is read anew, not tried again for ever.
                self.head.graves &= swept.is_ok();
                swept.map(|()| Outcome::Cleared { more: self.head.graves })
            }
            Work::Move(moves) => self.move_bodies(moves).map(|()| Outcome::Done),
            Work::Tree(work) => self.tree(work),
            Work::Retire => Ok(Outcome::Done),
        }
    }

    /// The batch that makes it so, and what becomes of views.
    pub(super) fn finish(mut self) -> Result<Finished, Error> {
        let mut moving = Vec::new();
        // Before the rows of mailboxes that are held, which know better.
        self.written.flush(&mut self.batch);
        if self.touched.is_empty() {
            return Ok(Finished { batch: self.batch, moving });
        }
        let version = self.head.version + 1;
        if self.touched.values().any(|touched| !touched.tree.is_empty()) {
            self.head.row.tree = version;
        }
        let mut items = Vec::new();
        for (id, mut touched) in std::mem::take(&mut self.touched) {
            // Before the lists are sorted, because it goes by places in them.
            if let Some(work) = self.works.get_mut(&id) {
                work.sync(&touched, version);
            }
            self.log(MailboxId(id), &mut touched, &mut items);
            // Rows beside the mailbox's own: its view is as it was.
            let is_aside = touched.is_aside();
            self.bury(MailboxId(id), &mut touched);
            moving.push(self.settle(MailboxId(if is_aside { 0 } else { id }), touched)?);
        }
        self.batch.put(key::change(version), row::encode_change(&items));
        self.trim_changes(version);
        self.batch.put(key::head(), self.head.row.encode());
        Ok(Finished { batch: self.batch, moving })
    }

    /// What the change log says of a mailbox.
    fn log(&self, mailbox: MailboxId, touched: &mut Touched, items: &mut Vec<ChangeItem>) {
        // Of equal ones the last still holds; of a single operation they are in order already.
        touched.changed.sort_by_key(|(uid, _)| *uid);
        touched.vanished.sort_unstable();
        let mut item = |kind, uids: &mut dyn Iterator<Item = u32>| {
            items.push(ChangeItem { mailbox, kind, uids: bounded(ranges(uids)) });
        };
        touched.tree.iter().for_each(|kind| item(*kind, &mut std::iter::empty()));
        if !touched.added.is_empty() {
            item(ChangeKind::Added, &mut touched.added.iter().map(|row| row.uid));
        }
        if !touched.changed.is_empty() {
            item(ChangeKind::Flagged, &mut touched.changed.iter().map(|(uid, _)| *uid));
        }
        if !touched.seen.is_empty() {
            let mut seen: Vec<u32> = touched.seen.iter().map(|(_, uid, _)| *uid).collect();
            seen.sort_unstable();
            item(ChangeKind::Flagged, &mut seen.into_iter());
        }
        if !touched.vanished.is_empty() {
            item(ChangeKind::Vanished, &mut touched.vanished.iter().copied());
        }
    }

    /// Writes a mailbox's rows, and makes its next view.
    fn settle(&mut self, id: MailboxId, touched: Touched) -> Result<Moving, Error> {
        let (version, partition) = (self.head.version + 1, key::partition(self.account));
        let work = self.works.remove(&id.0);
        let mut mailbox = None;
        if let Some(index) = self.head.mailboxes.get_mut(&id.0).filter(|_| !touched.removed) {
            index.row.mailbox.modseq = version;
            match &work {
                Some(work) if touched.is_bulk || index.is_fold_due() => {
                    let snapshot = open(&mut self.snapshot, self.engine)?;
                    index.rewrite(&work.view, &touched.bulk, snapshot, partition, &mut self.batch)?;
                }
                None if index.is_fold_due() => {
                    let snapshot = open(&mut self.snapshot, self.engine)?;
                    index.fold(snapshot, partition, &mut self.batch)?;
                }
                _ => {}
            }
            index.write(&mut self.batch);
            mailbox = Some(index.row.mailbox.clone());
        } else if !touched.removed {
            mailbox = self.written.renamed(id);
        }
        let worked = work.zip(mailbox.clone()).map(|(mut work, mailbox)| {
            Arc::make_mut(&mut work.view).mailbox = mailbox;
            (work.base, work.view)
        });
        let Touched { added, changed, seen, vanished, .. } = touched;
        let delta = Delta { mailbox, version, added, changed, seen, vanished };
        Ok(Moving::new(self.views, self.account, id, delta, worked))
    }

    /// Shortens the change log, now and then.
    fn trim_changes(&mut self, version: u64) {
        let from = self.head.row.changes_from;
        let end = version.saturating_sub(CHANGES_KEPT);
        if end >= from.saturating_add(CHANGES_TRIMMED) {
            let end = end.min(from.saturating_add(CHANGES_TRIMMED_MAX));
            for old in from..end {
                self.batch.delete(key::change(old));
            }
            self.head.row.changes_from = end;
        }
    }

    /// A mailbox as the operations of this commit before this one left it, held in memory from now on.
    fn working(&mut self, id: MailboxId) -> Result<Arc<View>, Refused> {
        self.hold(id)?;
        let base = match self.works.contains_key(&id.0) {
            true => None,
            false => Some(self.base(id)?),
        };
        let work = self.works.entry(id.0);
        let work = match (work, base) {
            (Entry::Occupied(work), _) => work.into_mut(),
            (Entry::Vacant(room), Some(base)) => {
                room.insert(Working { view: base.clone(), base, done: (0, 0, 0) })
            }
            (Entry::Vacant(_), None) => return Err(Refused::NoMailbox),
        };
        if let Some(touched) = self.touched.get(&id.0) {
            work.sync(touched, self.head.version + 1);
        }
        Ok(work.view.clone())
    }

    /// A mailbox as it was before this commit.
    fn base(&mut self, id: MailboxId) -> Result<Arc<View>, Refused> {
        let Some(index) = self.head.mailboxes.get(&id.0) else { return Err(Refused::NoMailbox) };
        if self.touched.get(&id.0).is_some_and(Touched::is_created) {
            let mailbox = Mailbox { messages: 0, ..index.row.mailbox.clone() };
            return Ok(Arc::new(View::new(mailbox, Vec::new())));
        }
        // Another MODSEQ: the head is not that of the engine, and the commit will be refused.
        if let Some(view) = self.views.get(self.account, id, None)
            && view.mailbox.modseq == index.row.mailbox.modseq
        {
            return Ok(view);
        }
        let partition = key::partition(self.account);
        let snapshot = open(&mut self.snapshot, self.engine)?;
        let Some(stored) = snapshot.get(partition, &key::mailbox(id))? else {
            return Err(Refused::NoMailbox);
        };
        let mailbox = MailboxRow::decode(&stored)?.mailbox;
        let rows = super::index::messages(snapshot, partition, &mailbox)?;
        let view = Arc::new(View::new(mailbox, rows));
        self.views.offer(self.account, &view);
        Ok(view)
    }

    /// Puts a detail into the batch.
    fn put_detail(&mut self, id: MailboxId, uid: u32, detail: Vec<u8>) {
        self.details.insert((id.0, uid), self.batch.changes().len());
        self.batch.put(key::detail(id, uid), detail);
    }

    /// A message's detail as it is in the middle of this commit.
    fn detail(&mut self, id: MailboxId, uid: u32) -> Result<Option<Vec<u8>>, Error> {
        if let Some(at) = self.details.get(&(id.0, uid)) {
            return Ok(self.batch.changes().get(*at).and_then(|(_, value)| value.clone()));
        }
        let partition = key::partition(self.account);
        self.snapshot()?.get(partition, &key::detail(id, uid))
    }

    /// Removes a detail.
    fn delete_detail(&mut self, id: MailboxId, uid: u32) {
        self.details.insert((id.0, uid), self.batch.changes().len());
        self.batch.delete(key::detail(id, uid));
    }

    fn snapshot(&mut self) -> Result<&dyn Snapshot, Error> {
        open(&mut self.snapshot, self.engine)
    }

    /// Reads a mailbox into memory, as the operations of this commit before this one left it: it may have got another name or
    /// other uses, or be gone. The engine's row would undo that, since held rows are written last.
    fn hold(&mut self, id: MailboxId) -> Result<(), Refused> {
        if self.head.mailboxes.contains_key(&id.0) {
            return Ok(());
        }
        let Some(stored) = self.row(&key::mailbox(id))? else { return Err(Refused::NoMailbox) };
        let partition = key::partition(self.account);
        let index = Index::load(self.snapshot()?, partition, MailboxRow::decode(&stored)?)?;
        self.head.mailboxes.insert(id.0, index);
        Ok(())
    }
}

/// The snapshot of this change, opened if it is not. A function, so that other fields stay free.
fn open<'s>(slot: &'s mut Option<Box<dyn Snapshot>>, engine: &dyn Engine) -> Result<&'s dyn Snapshot, Error> {
    let snapshot = match slot {
        Some(snapshot) => snapshot,
        none => none.insert(engine.snapshot()?),
    };
    Ok(&**snapshot)
}

/// Ascending numbers as inclusive ranges.
pub(super) fn ranges(uids: &mut dyn Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut out: Vec<(u32, u32)> = Vec::new();
    for uid in uids {
        match out.last_mut() {
            Some((_, to)) if uid <= to.saturating_add(1) => *to = uid,
            _ => out.push((uid, uid)),
        }
    }
    out
}

/// The change log names no more than so many ranges of one kind: past that, one that spans all.
fn bounded(ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    match (ranges.first(), ranges.last()) {
        (Some((from, _)), Some((_, to))) if ranges.len() > CHANGE_RANGES_MAX => vec![(*from, *to)],
        _ => ranges,
    }
}

fn any_grave(snapshot: &dyn Snapshot, partition: u64) -> Result<bool, Error> {
    let mut any = false;
    snapshot.scan(partition, &[key::GRAVE], &[], &mut |_, _| {
        any = true;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(any)
}

impl Mailbox {
    /// A message is in it from now on.
    fn count_in(&mut self, flags: Flags, size: u64) {
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size);
        self.unseen += u32::from(flags.0 & Flags::SEEN.0 == 0);
        if flags.0 & Flags::DELETED.0 != 0 {
            self.deleted += 1;
            self.deleted_bytes = self.deleted_bytes.saturating_add(size);
        }
    }

    /// A message is no longer in it, or not with these flags.
    fn count_out(&mut self, flags: Flags, size: u64) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
        self.unseen = self.unseen.saturating_sub(u32::from(flags.0 & Flags::SEEN.0 == 0));
        if flags.0 & Flags::DELETED.0 != 0 {
            self.deleted = self.deleted.saturating_sub(1);
            self.deleted_bytes = self.deleted_bytes.saturating_sub(size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_become_ranges() {
        let of = |uids: &[u32]| ranges(&mut uids.iter().copied());
        assert_eq!(of(&[1, 2, 3, 7, 8, 9, u32::MAX]), [(1, 3), (7, 9), (u32::MAX, u32::MAX)]);
        assert_eq!(of(&[]), []);
        let odd: Vec<u32> = (0..3000).map(|n| n * 2 + 1).collect();
        assert_eq!(bounded(of(&odd)), [(1, 5999)]);
        assert_eq!(bounded(of(&odd[..CHANGE_RANGES_MAX])).len(), CHANGE_RANGES_MAX);
    }
}
