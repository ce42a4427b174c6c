//! Mailboxes come, go and get other names; subscriptions, notes, rights.
//!
//! Rows written here are kept in memory too until the commit is made, so that the operations after it in the same commit see them.
//! A deleted mailbox is a mark at first: its name and its row are gone, what it held goes in steps (`clear`).

use super::{Change, Index, Touched};
use crate::account::lane::Tree;
use crate::account::name::{above, canonical_name, check_name, check_subscription};
use crate::account::tree::{
    ACL_IDENTIFIERS_MAX, MAILBOXES_MAX, NOTE_BYTES_MAX, NOTE_NAME_BYTES_MAX, NOTES_MAX, Rights,
    SUBSCRIPTIONS_MAX, Uses,
};
use crate::account::{INBOX, Mailbox, MailboxId, Outcome, Refused, Why};
use crate::engine::Batch;
use crate::row::{self, ChangeItem, ChangeKind, HeadRow, MailboxRow};
use crate::{Error, key};
use proto::proof::AccountId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Rows of a deleted mailbox that one commit removes: other changes of the account wait for it.
const CLEARED_ROWS_MAX: usize = 256;

/// What the operations of one commit did to rows that are not an index's.
#[derive(Default)]
pub(super) struct Written {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Mailboxes that were deleted.
    gone: BTreeSet<u32>,
    /// Rows of a deleted mailbox were removed.
    cleared: bool,
    /// Mailboxes that are not held, with their new names and uses.
    renamed: BTreeMap<u32, Mailbox>,
}

impl Written {
    /// A mailbox that is not held, if it was renamed.
    pub(super) fn renamed(&mut self, id: MailboxId) -> Option<Mailbox> {
        self.renamed.remove(&id.0)
    }

    /// Puts the rows into the batch.
    pub(super) fn flush(&mut self, batch: &mut Batch) {
        for (key, value) in std::mem::take(&mut self.rows) {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
    }
}

impl Change<'_> {
    pub(super) fn tree(&mut self, work: &Tree) -> Result<Outcome, Refused> {
        match work {
            Tree::Create { name, uses, now } => self.create(name, *uses, *now).map(Outcome::Made),
            Tree::Delete(mailbox) => self.delete(*mailbox).map(|()| Outcome::Done),
            Tree::Rename { from, to, now } => self.rename(from, to, *now).map(|()| Outcome::Done),
            Tree::Subscribe { name, on } => self.subscribe(name, *on).map(|()| Outcome::Done),
            Tree::Note { mailbox, whose, entries } => {
                self.note(*mailbox, *whose, entries).map(|()| Outcome::Done)
            }
            Tree::Allow { mailbox, identifier, rights } => {
                self.allow(*mailbox, identifier, *rights).map(|()| Outcome::Done)
            }
            Tree::Forget(guest) => self.forget(*guest).map(|more| Outcome::Cleared { more }),
            Tree::Clear => self.clear().map(|more| Outcome::Cleared { more }),
        }
    }

    /// The mailbox of that name, held in memory from now on.
    pub(super) fn mailbox(&mut self, name: &str) -> Result<Option<MailboxId>, Refused> {
        let name = canonical_name(name);
        if let Some(id) = self.head.names.get(&*name) {
            return Ok(Some(*id));
        }
        let Some(id) = self.id_of(&name)? else { return Ok(None) };
        self.hold(id)?;
        self.head.names.insert(name.into_owned(), id);
        Ok(Some(id))
    }

    /// The same; made if there is none.
    pub(super) fn mailbox_or_new(&mut self, name: &str, now: i64) -> Result<MailboxId, Refused> {
        match self.mailbox(name)? {
            Some(id) => Ok(id),
            None => self.create(name, Uses::default(), now),
        }
    }

    /// The value under a key, as operations before this one have left it.
    pub(super) fn row(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if let Some(written) = self.written.rows.get(key) {
            return Ok(written.clone());
        }
        let partition = key::partition(self.account);
        self.snapshot()?.get(partition, key)
    }

    /// The rows under keys that begin with `prefix`, likewise.
    fn rows(&mut self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Error> {
        let partition = key::partition(self.account);
        let mut found = BTreeMap::new();
        self.snapshot()?.scan(partition, prefix, &[], &mut |key, value| {
            found.insert(key.to_vec(), value.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
        for (key, value) in self.written.rows.range(prefix.to_vec()..) {
            if !key.starts_with(prefix) {
                break;
            }
            match value {
                Some(value) => drop(found.insert(key.clone(), value.clone())),
                None => drop(found.remove(key)),
            }
        }
        Ok(found)
    }

    pub(super) fn put_row(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.written.rows.insert(key, Some(value));
    }

    pub(super) fn remove_row(&mut self, key: Vec<u8>) {
        self.written.rows.insert(key, None);
    }

    /// To be told of a change; the number 0 is of the account.
    fn tell(&mut self, id: u32, kind: ChangeKind) {
        let touched = self.touched.entry(id).or_default();
        if !touched.tree.contains(&kind) {
            touched.tree.push(kind);
        }
    }

    fn id_of(&mut self, name: &str) -> Result<Option<MailboxId>, Error> {
        if let Some(id) = self.head.names.get(name) {
            return Ok(Some(*id));
        }
        self.row(&key::name(name))?.map(|stored| row::decode_id(&stored)).transpose()
    }

    /// A mailbox's row, held or not.
    fn mailbox_row(&mut self, id: MailboxId) -> Result<MailboxRow, Refused> {
        if let Some(index) = self.head.mailboxes.get(&id.0) {
            return Ok(index.row.clone());
        }
        let stored = self.row(&key::mailbox(id))?.ok_or(Refused::NoMailbox)?;
        Ok(MailboxRow::decode(&stored)?)
    }

    /// Gives a mailbox another name and other uses.
    fn set_row(&mut self, mut changed: MailboxRow) {
        let id = changed.mailbox.id;
        self.tell(id.0, ChangeKind::Renamed);
        if let Some(index) = self.head.mailboxes.get_mut(&id.0) {
            (index.row.mailbox.name, index.row.mailbox.uses) = (changed.mailbox.name, changed.mailbox.uses);
        } else {
            changed.mailbox.modseq = self.head.version + 1;
            self.put_row(key::mailbox(id), changed.encode());
            self.written.renamed.insert(id.0, changed.mailbox);
        }
    }

    fn create(&mut self, name: &str, uses: Uses, now: i64) -> Result<MailboxId, Refused> {
        let name = canonical_name(name);
        check_name(&name)?;
        if self.id_of(&name)?.is_some() {
            return Err(Refused::Exists);
        }
        let above = self.missing_above(&name, 1)?;
        let mut deprived: BTreeMap<u32, MailboxRow> = BTreeMap::new();
        for (bit, holder) in self.head.row.uses.into_iter().enumerate() {
            if uses.0 & (1 << bit) != 0 && holder != 0 {
                let mut row = match deprived.remove(&holder) {
                    Some(row) => row,
                    None => self.mailbox_row(MailboxId(holder))?,
                };
                row.mailbox.uses.0 &= !(1 << bit);
                deprived.insert(holder, row);
            }
        }
        for name in above {
            self.make(&name, Uses::default(), now);
        }
        deprived.into_values().for_each(|row| self.set_row(row));
        Ok(self.make(&name, uses, now))
    }

    /// Levels above a name that are no mailboxes. There is room for them and for so many more.
    fn missing_above(&mut self, name: &str, more: usize) -> Result<Vec<String>, Refused> {
        let mut missing = Vec::new();
        for name in above(name) {
            if self.id_of(name)?.is_none() {
                missing.push(name.to_owned());
            }
        }
        if self.head.row.mailboxes as usize + missing.len() + more > MAILBOXES_MAX as usize {
            return Err(Refused::Limit(Why::MailboxesMany));
        }
        Ok(missing)
    }

    /// A new mailbox, held in memory.
    fn make(&mut self, name: &str, uses: Uses, now: i64) -> MailboxId {
        let row = new_mailbox(&mut self.head.row, name, uses, now);
        let id = row.mailbox.id;
        self.put_row(key::name(name), row::encode_number(id.0.into()));
        self.head.mailboxes.insert(id.0, Index::new(row));
        self.head.names.insert(name.to_owned(), id);
        self.tell(id.0, ChangeKind::Created);
        id
    }

    fn delete(&mut self, id: MailboxId) -> Result<(), Refused> {
        let row = self.mailbox_row(id)?;
        let mailbox = &row.mailbox;
        if mailbox.name == INBOX {
            return Err(Refused::Cannot(Why::InboxStays));
        }
        self.head.mailboxes.remove(&id.0);
        self.head.names.remove(&mailbox.name);
        let head = &mut self.head.row;
        head.bytes = head.bytes.saturating_sub(mailbox.bytes);
        head.messages = head.messages.saturating_sub(mailbox.messages.into());
        head.mailboxes = head.mailboxes.saturating_sub(1);
        head.uses.iter_mut().filter(|holder| **holder == id.0).for_each(|holder| *holder = 0);
        self.remove_row(key::name(&mailbox.name));
        self.remove_row(key::mailbox(id));
        self.put_row(key::remains(id), row::encode_number(mailbox.messages.into()));
        self.written.gone.insert(id.0);
        // Whatever else this commit did to it is of no interest any more.
        let tree = vec![ChangeKind::Removed];
        self.touched.insert(id.0, Touched { tree, removed: true, ..Touched::default() });
        self.works.remove(&id.0);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str, now: i64) -> Result<(), Refused> {
        let (from, to) = (canonical_name(from), canonical_name(to));
        check_name(&to)?;
        if from == INBOX {
            return Err(Refused::Cannot(Why::InboxName));
        }
        let below = format!("{from}/");
        if to.starts_with(&below) {
            return Err(Refused::Cannot(Why::BelowItself));
        }
        let mut moved: BTreeMap<String, MailboxRow> = BTreeMap::new();
        if let Some(id) = self.id_of(&from)? {
            moved.insert(from.to_string(), self.mailbox_row(id)?);
        }
        for id in self.rows(&key::name(&below))?.into_values() {
            let row = self.mailbox_row(row::decode_id(&id)?)?;
            moved.insert(row.mailbox.name.clone(), row);
        }
        if moved.is_empty() {
            return Err(Refused::NoMailbox);
        }
        if !moved.contains_key(&*to) && self.id_of(&to)?.is_some() {
            return Err(Refused::Exists);
        }
        let mut renamed = Vec::with_capacity(moved.len());
        for (old, row) in &moved {
            let name = format!("{to}{}", &old[from.len()..]);
            check_name(&name)?;
            if !moved.contains_key(&name) && self.id_of(&name)?.is_some() {
                return Err(Refused::Exists);
            }
            let mut row = row.clone();
            row.mailbox.name = name;
            renamed.push(row);
        }
        if from == to {
            return Err(Refused::Exists);
        }
        let above = self.missing_above(&to, 0)?;
        for name in above {
            self.make(&name, Uses::default(), now);
        }
        for old in moved.keys() {
            self.head.names.remove(old);
            self.remove_row(key::name(old));
        }
        for row in renamed {
            let (id, name) = (row.mailbox.id, row.mailbox.name.clone());
            self.put_row(key::name(&name), row::encode_number(id.0.into()));
            if self.head.mailboxes.contains_key(&id.0) {
                self.head.names.insert(name, id);
            }
            self.set_row(row);
        }
        Ok(())
    }

    fn subscribe(&mut self, name: &str, on: bool) -> Result<(), Refused> {
        let name = canonical_name(name);
        let at = key::subscription(&name);
        let known = self.row(&at)?.is_some();
        if known == on {
            return Ok(());
        }
        let count = &mut self.head.row.subscriptions;
        if on {
            check_subscription(&name)?;
            if *count >= SUBSCRIPTIONS_MAX {
                return Err(Refused::Limit(Why::SubscriptionsMany));
            }
            *count += 1;
            self.put_row(at, row::encode_number(1));
        } else {
            *count = count.saturating_sub(1);
            self.remove_row(at);
        }
        self.tell(0, ChangeKind::Subscribed);
        Ok(())
    }

    fn note(
        &mut self,
        mailbox: Option<MailboxId>,
        whose: AccountId,
        entries: &[(String, Option<Vec<u8>>)],
    ) -> Result<(), Refused> {
        let id = mailbox.unwrap_or(MailboxId(0));
        if mailbox.is_some() {
            self.mailbox_row(id)?;
        }
        let mut changes: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        for (entry, value) in entries {
            let owner = note_owner(entry, whose)?;
            if value.as_ref().is_some_and(|value| value.len() > NOTE_BYTES_MAX) {
                return Err(Refused::Limit(Why::NoteLong));
            }
            changes.insert(key::note(id, owner, entry), value.as_deref().map(row::encode_note));
        }
        let mut changed = false;
        for owner in [AccountId(0), whose] {
            let prefix = key::notes(id, owner);
            let mut there = self.rows(&prefix)?;
            for (at, value) in changes.iter().filter(|(at, _)| at.starts_with(&prefix)) {
                let before = match value {
                    Some(value) => there.insert(at.clone(), value.clone()),
                    None => there.remove(at),
                };
                changed |= before != *value;
            }
            if there.len() > NOTES_MAX {
                return Err(Refused::Limit(Why::NotesMany));
            }
        }
        if changed {
            self.written.rows.extend(changes);
            self.tell(id.0, ChangeKind::Noted);
        }
        Ok(())
    }

    fn allow(&mut self, id: MailboxId, identifier: &str, rights: Rights) -> Result<(), Refused> {
        self.mailbox_row(id)?;
        let at = key::acl(id);
        let mut list = self.row(&at)?.map_or_else(|| Ok(Vec::new()), |stored| row::decode_acl(&stored))?;
        let before = list.clone();
        list.retain(|(known, _)| known != identifier);
        if rights != Rights::default() {
            list.push((identifier.to_owned(), rights));
            list.sort_by(|a, b| a.0.cmp(&b.0));
        }
        if list.len() > ACL_IDENTIFIERS_MAX {
            return Err(Refused::Limit(Why::GuestsMany));
        }
        if list == before {
            return Ok(());
        }
        if list.is_empty() {
            self.remove_row(at);
        } else {
            self.put_row(at, row::encode_acl(&list));
        }
        self.tell(id.0, ChangeKind::Noted);
        Ok(())
    }

    /// Removes some of what one deleted mailbox has left. True: there may be more.
    fn clear(&mut self) -> Result<bool, Refused> {
        if !self.written.gone.is_empty() || self.written.cleared {
            // The mark is in this very commit, or rows that would be read are already removed in it.
            return Ok(true);
        }
        let partition = key::partition(self.account);
        let mut marked = None;
        self.snapshot()?.scan(partition, &[key::REMAINS], &[], &mut |key, _| {
            marked = key::number32(key, 1).map(MailboxId);
            Ok(ControlFlow::Break(()))
        })?;
        let Some(id) = marked else { return Ok(false) };
        let (mut found, mut freed) = (Vec::new(), Vec::new());
        for tag in key::OF_MAILBOX {
            if found.len() >= CLEARED_ROWS_MAX {
                break;
            }
            self.snapshot()?.scan(partition, &key::of_mailbox(tag, id), &[], &mut |key, value| {
                found.push(key.to_vec());
                // What cannot be read any more is found by a later mark of the compactor.
                if tag == key::DETAIL
                    && let Ok(detail) = row::decode_detail(value)
                {
                    freed.push(detail.body);
                }
                let enough = found.len() >= CLEARED_ROWS_MAX;
                Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
        }
        // An estimate: it does no harm if the commit fails.
        freed.iter().for_each(|body| self.dead.add(body));
        if found.len() < CLEARED_ROWS_MAX {
            found.push(key::remains(id));
        }
        for key in found {
            match (key.first(), key::number32(&key, 5)) {
                (Some(&key::DETAIL), Some(uid)) => self.delete_detail(id, uid),
                _ => self.batch.delete(key),
            }
        }
        self.written.cleared = true;
        Ok(true)
    }
}

/// Whose a note is: 0 for all who may read them (RFC 5464 3.1).
fn note_owner(entry: &str, whose: AccountId) -> Result<AccountId, Refused> {
    if entry.len() > NOTE_NAME_BYTES_MAX {
        return Err(Refused::Limit(Why::NoteNameLong));
    }
    let sound = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"*%".contains(&byte);
    let (scope, name) = entry.strip_prefix('/').and_then(|rest| rest.split_once('/')).unwrap_or(("", ""));
    if !entry.bytes().all(sound) || name.split('/').any(str::is_empty) {
        return Err(Refused::BadName(Why::NoteName));
    }
    match scope {
        "shared" => Ok(AccountId(0)),
        "private" => Ok(whose),
        _ => Err(Refused::BadName(Why::NoteNameBegin)),
    }
}

/// The row of a mailbox that comes to be.
fn new_mailbox(head: &mut HeadRow, name: &str, uses: Uses, now: i64) -> MailboxRow {
    let id = head.next_mailbox;
    head.next_mailbox += 1;
    head.mailboxes += 1;
    // Time makes it differ from that of any mailbox of this name in an earlier life of the account.
    let by_time = u32::try_from(now).unwrap_or(1);
    head.uid_validity_last = by_time.max(head.uid_validity_last.saturating_add(1));
    for (bit, holder) in head.uses.iter_mut().enumerate() {
        if uses.0 & (1 << bit) != 0 {
            *holder = id;
        }
    }
    let mailbox = Mailbox {
        id: MailboxId(id),
        name: name.to_owned(),
        uid_validity: head.uid_validity_last,
        uid_next: 1,
        modseq: 1,
        messages: 0,
        bytes: 0,
        unseen: 0,
        deleted: 0,
        deleted_bytes: 0,
        uses: Uses(uses.0 & Uses::ALL.0),
        keywords: Arc::default(),
    };
    MailboxRow { mailbox, folded_next: 1 }
}

/// The first commit of an account: its head, INBOX, and mailboxes with what they are for; subscribed all.
pub(crate) fn birth(special: &[(&str, Uses)], now: i64) -> Batch {
    let mut head = HeadRow { next_mailbox: 1, tree: 1, ..HeadRow::default() };
    let mut batch = Batch::default();
    let mut items = Vec::new();
    for (name, uses) in std::iter::once(&(INBOX, Uses::default())).chain(special) {
        let row = new_mailbox(&mut head, name, *uses, now);
        let mailbox = row.mailbox.id;
        batch.put(key::name(name), row::encode_number(mailbox.0.into()));
        batch.put(key::mailbox(mailbox), row.encode());
        batch.put(key::subscription(name), row::encode_number(1));
        head.subscriptions += 1;
        items.push(ChangeItem { mailbox, kind: ChangeKind::Created, uids: Vec::new() });
    }
    batch.put(key::head(), head.encode());
    batch.put(key::change(1), row::encode_change(&items));
    batch
}
