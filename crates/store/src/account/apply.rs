//! What an operation does to an account: first all checks and reads, then changes in memory that
//! cannot fail; at the end one batch for all operations of a commit.

use super::index::Index;
use super::lane::{BodyMove, Outcome, Work};
use super::{Delivered, Delivery, Detail, Mailbox, MailboxId, MessageRow, Refused, canonical_name};
use crate::blob::{Condemned, Dead};
use crate::engine::{Batch, Engine, Snapshot};
use crate::row::{self, ChangeItem, ChangeKind, HeadRow, MailboxRow, TokenRow};
use crate::system::pending::OpenTokens;
use crate::{Error, key};
use proto::proof::AccountId;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

/// Commits that the change log reaches back.
pub(crate) const CHANGES_KEPT: u64 = 16_384;
/// The change log is trimmed by so many at a time.
const CHANGES_TRIMMED: u64 = 64;
/// Mailboxes of one account.
pub(crate) const MAILBOXES_MAX: u32 = 10_000;
/// Octets of a mailbox's name.
const NAME_BYTES_MAX: usize = 1024;
/// A seen token stays so long after its entry is done (seconds), for a delivery that is still on its way.
const TOKEN_KEEP_SECONDS: i64 = 600;
/// One in so many deliveries with a token looks for tokens to be removed, and removes up to twice as many.
const TOKEN_TRIM_EVERY: u32 = 32;
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
}

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
        }))
    }

    /// True if these operations cannot be applied without reading.
    pub(super) fn needs_disk<'w>(&self, waiting: impl ExactSizeIterator<Item = &'w Work>) -> bool {
        let count = waiting.len();
        let is_held = |id: &MailboxId| self.mailboxes.get(&id.0).is_some_and(|i| !i.is_fold_due_after(count));
        waiting.into_iter().any(|work| match work {
            Work::Deliver(delivery) => {
                let mailbox = self.names.get(&*canonical_name(&delivery.mailbox));
                delivery.token.is_some() || !mailbox.is_some_and(is_held)
            }
            Work::Expunge { .. } | Work::Move(_) => true,
            Work::Retire => false,
        })
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
    head: &'a mut Head,
    batch: Batch,
    touched: BTreeMap<u32, Touched>,
    fresh_tokens: HashMap<u64, Delivered>,
}

#[derive(Default)]
struct Touched {
    created: bool,
    added: Vec<u32>,
    vanished: Vec<u32>,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        account: AccountId,
        engine: &'a dyn Engine,
        condemned: &'a Condemned,
        dead: &'a Dead,
        tokens: &'a OpenTokens,
        head: &'a mut Head,
    ) -> Change<'a> {
        Change {
            account,
            engine,
            snapshot: None,
            condemned,
            dead,
            tokens,
            head,
            batch: Batch::default(),
            touched: BTreeMap::new(),
            fresh_tokens: HashMap::new(),
        }
    }

    /// Applies one operation. An error leaves everything as it was.
    pub(super) fn apply(&mut self, work: &Work) -> Result<Outcome, Refused> {
        match work {
            Work::Deliver(delivery) => self.deliver(delivery).map(Outcome::Delivered),
            Work::Expunge { mailbox, uids } => self.expunge(*mailbox, uids).map(|()| Outcome::Done),
            Work::Move(moves) => self.move_bodies(moves).map(|()| Outcome::Done),
            Work::Retire => Ok(Outcome::Done),
        }
    }

    /// The batch that makes it so; empty if nothing changed.
    pub(super) fn finish(mut self) -> Result<Batch, Error> {
        let partition = key::partition(self.account);
        if self.touched.is_empty() {
            return Ok(self.batch);
        }
        let version = self.head.version + 1;
        let mut items = Vec::new();
        for (id, touched) in std::mem::take(&mut self.touched) {
            let mailbox = MailboxId(id);
            let mut item = |kind, uids: &[u32]| {
                items.push(ChangeItem { mailbox, kind, uids: ranges(uids) });
            };
            if touched.created {
                item(ChangeKind::Created, &[]);
            }
            if !touched.added.is_empty() {
                item(ChangeKind::Added, &touched.added);
            }
            if !touched.vanished.is_empty() {
                item(ChangeKind::Vanished, &touched.vanished);
            }
            if let Some(index) = self.head.mailboxes.get_mut(&id) {
                index.row.mailbox.modseq = version;
                if index.is_fold_due() {
                    let snapshot = open(&mut self.snapshot, self.engine)?;
                    index.fold(snapshot, partition, &mut self.batch)?;
                }
                index.write(&mut self.batch);
            }
        }
        self.batch.put(key::head(), self.head.row.encode());
        self.batch.put(key::change(version), row::encode_change(&items));
        if version.is_multiple_of(CHANGES_TRIMMED)
            && let Some(end) = version.checked_sub(CHANGES_KEPT)
        {
            for old in end.saturating_sub(CHANGES_TRIMMED)..end {
                self.batch.delete(key::change(old));
            }
        }
        Ok(self.batch)
    }

    fn snapshot(&mut self) -> Result<&dyn Snapshot, Error> {
        open(&mut self.snapshot, self.engine)
    }

    fn deliver(&mut self, delivery: &Delivery) -> Result<Delivered, Refused> {
        if let Some(token) = delivery.token
            && let Some(seen) = self.seen(token)?
        {
            return Ok(Delivered { fresh: false, ..seen });
        }
        let size = delivery.body.len.saturating_add(delivery.prefix.len() as u64);
        if delivery.quota {
            let over = |limit: Option<u64>, used: u64| limit.is_some_and(|limit| used > limit);
            if over(self.head.quota_bytes, self.head.row.bytes.saturating_add(size))
                || over(self.head.quota_messages, self.head.row.messages + 1)
            {
                return Err(Refused::OverQuota);
            }
        }
        self.condemned.refuse(&delivery.body)?;
        let trim = match delivery.token {
            Some(_) => self.tokens_to_trim(delivery.saved)?,
            None => Vec::new(),
        };
        let id = self.mailbox_or_new(&delivery.mailbox, delivery.saved)?;
        let modseq = self.head.version + 1;
        let Some(index) = self.head.mailboxes.get_mut(&id.0) else { return Err(Refused::NoMailbox) };
        let uid = index.row.mailbox.uid_next;
        if uid == u32::MAX {
            return Err(Refused::Store(Error::Damaged(format!("mailbox {}: UIDs are used up", id.0))));
        }
        let mailbox = &mut index.row.mailbox;
        mailbox.uid_next += 1;
        mailbox.messages += 1;
        mailbox.bytes += size;
        index.append(MessageRow { uid, flags: delivery.flags, modseq, size, received: delivery.received });
        self.head.row.bytes += size;
        self.head.row.messages += 1;
        self.touched.entry(id.0).or_default().added.push(uid);
        let detail = Detail {
            prefix: delivery.prefix.clone(),
            body: delivery.body.clone(),
            header_bytes: delivery.header_bytes,
            saved: delivery.saved,
        };
        self.batch.put(key::detail(id, uid), row::encode_detail(&detail));
        let delivered = Delivered { mailbox: id, uid, modseq, fresh: true };
        if let Some(token) = delivery.token {
            let seen = TokenRow { mailbox: id, uid, modseq, saved: delivery.saved };
            self.batch.put(key::token(token), seen.encode());
            self.fresh_tokens.insert(token, delivered);
            for old in trim {
                self.batch.delete(key::token(old));
            }
        }
        Ok(delivered)
    }

    fn seen(&mut self, token: u64) -> Result<Option<Delivered>, Error> {
        if let Some(delivered) = self.fresh_tokens.get(&token) {
            return Ok(Some(*delivered));
        }
        let partition = key::partition(self.account);
        let Some(stored) = self.snapshot()?.get(partition, &key::token(token))? else { return Ok(None) };
        let row = TokenRow::decode(&stored)?;
        Ok(Some(Delivered { mailbox: row.mailbox, uid: row.uid, modseq: row.modseq, fresh: true }))
    }

    /// Tokens whose entries are done for long enough. Now and then only.
    fn tokens_to_trim(&mut self, now: i64) -> Result<Vec<u64>, Error> {
        let turn = self.head.token_deliveries;
        self.head.token_deliveries = turn.wrapping_add(1);
        if !turn.is_multiple_of(TOKEN_TRIM_EVERY) {
            return Ok(Vec::new());
        }
        let (partition, tokens) = (key::partition(self.account), self.tokens);
        let mut old = Vec::new();
        let mut looked = 0;
        self.snapshot()?.scan(partition, &[key::TOKEN], &[], &mut |key, value| {
            let token = key::number64(key, 1).unwrap_or(0);
            looked += 1;
            if TokenRow::decode(value)?.saved.saturating_add(TOKEN_KEEP_SECONDS) >= now {
                return Ok(ControlFlow::Break(()));
            }
            if !tokens.is_open(token) {
                old.push(token);
            }
            let enough = looked >= 2 * TOKEN_TRIM_EVERY;
            Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(old)
    }

    /// The mailbox of that name, held in memory from now on; made if there is none.
    fn mailbox_or_new(&mut self, name: &str, now: i64) -> Result<MailboxId, Refused> {
        let name = canonical_name(name);
        if let Some(id) = self.head.names.get(&*name) {
            return Ok(*id);
        }
        let partition = key::partition(self.account);
        if let Some(stored) = self.snapshot()?.get(partition, &key::name(&name))? {
            let id = MailboxId(u32::try_from(row::decode_number(&stored)?).unwrap_or(0));
            self.hold(id)?;
            self.head.names.insert(name.into_owned(), id);
            return Ok(id);
        }
        let sound = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains('\0');
        if !sound || self.head.row.next_mailbox > MAILBOXES_MAX {
            return Err(Refused::NoMailbox);
        }
        let row = new_mailbox(&mut self.head.row, &name, now);
        let id = row.mailbox.id;
        self.batch.put(key::name(&name), row::encode_number(id.0.into()));
        self.head.mailboxes.insert(id.0, Index::new(row));
        self.head.names.insert(name.into_owned(), id);
        self.touched.entry(id.0).or_default().created = true;
        Ok(id)
    }

    /// Reads a mailbox into memory.
    fn hold(&mut self, id: MailboxId) -> Result<(), Refused> {
        if self.head.mailboxes.contains_key(&id.0) {
            return Ok(());
        }
        let partition = key::partition(self.account);
        let snapshot = self.snapshot()?;
        let Some(stored) = snapshot.get(partition, &key::mailbox(id))? else {
            return Err(Refused::NoMailbox);
        };
        let index = Index::load(snapshot, partition, MailboxRow::decode(&stored)?)?;
        self.head.mailboxes.insert(id.0, index);
        Ok(())
    }

    fn expunge(&mut self, id: MailboxId, uids: &[u32]) -> Result<(), Refused> {
        self.hold(id)?;
        let partition = key::partition(self.account);
        let snapshot = open(&mut self.snapshot, self.engine)?;
        let Some(index) = self.head.mailboxes.get_mut(&id.0) else { return Err(Refused::NoMailbox) };
        let found = index.find(snapshot, partition, uids)?;
        if found.is_empty() {
            return Ok(());
        }
        let mut freed = Vec::with_capacity(found.len());
        for message in &found {
            let stored = snapshot.get(partition, &key::detail(id, message.uid))?;
            freed.extend(stored.map(|bytes| row::decode_detail(&bytes)).transpose()?);
        }
        // An estimate: it does no harm if the commit fails.
        freed.iter().for_each(|detail| self.dead.add(&detail.body));
        let touched = self.touched.entry(id.0).or_default();
        for message in &found {
            index.remove(message.uid);
            let mailbox = &mut index.row.mailbox;
            mailbox.messages = mailbox.messages.saturating_sub(1);
            mailbox.bytes = mailbox.bytes.saturating_sub(message.size);
            self.head.row.messages = self.head.row.messages.saturating_sub(1);
            self.head.row.bytes = self.head.row.bytes.saturating_sub(message.size);
            touched.vanished.push(message.uid);
            self.batch.delete(key::detail(id, message.uid));
        }
        Ok(())
    }

    /// Details that still refer to the old place refer to the new one.
    fn move_bodies(&mut self, moves: &[BodyMove]) -> Result<(), Refused> {
        let partition = key::partition(self.account);
        let mut rows = Vec::new();
        for step in moves {
            self.condemned.refuse(&step.to)?;
            let at = key::detail(step.mailbox, step.uid);
            // Removed by an operation of the same commit, it must not come back.
            let removed = self.touched.get(&step.mailbox.0).is_some_and(|t| t.vanished.contains(&step.uid));
            if removed {
                continue;
            }
            if let Some(stored) = self.snapshot()?.get(partition, &at)? {
                let detail = row::decode_detail(&stored)?;
                if (detail.body.segment, detail.body.offset) == (step.from.segment, step.from.offset) {
                    rows.push((at, row::encode_detail(&Detail { body: step.to.clone(), ..detail })));
                }
            }
        }
        for (at, value) in rows {
            self.batch.put(at, value);
        }
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

/// The row of a mailbox that comes to be.
fn new_mailbox(head: &mut HeadRow, name: &str, now: i64) -> MailboxRow {
    let id = head.next_mailbox;
    head.next_mailbox += 1;
    // Time makes it differ from that of any mailbox of this name in an earlier life of the account.
    let by_time = u32::try_from(now).unwrap_or(1);
    head.uid_validity_last = by_time.max(head.uid_validity_last.saturating_add(1));
    let mailbox = Mailbox {
        id: MailboxId(id),
        name: name.to_owned(),
        uid_validity: head.uid_validity_last,
        uid_next: 1,
        modseq: 1,
        messages: 0,
        bytes: 0,
    };
    MailboxRow { mailbox, folded_next: 1 }
}

/// The first commit of an account: its head and its mailboxes.
pub(crate) fn birth(names: &[&str], now: i64) -> Batch {
    let mut head = HeadRow { next_mailbox: 1, ..HeadRow::default() };
    let mut batch = Batch::default();
    let mut items = Vec::new();
    for name in names {
        let row = new_mailbox(&mut head, name, now);
        let mailbox = row.mailbox.id;
        batch.put(key::name(name), row::encode_number(mailbox.0.into()));
        batch.put(key::mailbox(mailbox), row.encode());
        items.push(ChangeItem { mailbox, kind: ChangeKind::Created, uids: Vec::new() });
    }
    batch.put(key::head(), head.encode());
    batch.put(key::change(1), row::encode_change(&items));
    batch
}

/// Numbers as inclusive ranges.
fn ranges(uids: &[u32]) -> Vec<(u32, u32)> {
    let mut uids = uids.to_vec();
    uids.sort_unstable();
    let mut out: Vec<(u32, u32)> = Vec::new();
    for uid in uids {
        match out.last_mut() {
            Some((_, to)) if uid <= to.saturating_add(1) => *to = uid,
            _ => out.push((uid, uid)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn runs_become_ranges() {
        assert_eq!(ranges(&[7, 1, 2, 3, 9, 8, u32::MAX]), [(1, 3), (7, 9), (u32::MAX, u32::MAX)]);
        assert_eq!(ranges(&[]), []);
    }
}
