//! The part of the check that looks at mailboxes as such: names, uses, subscriptions, notes, rights, marks of deleted ones.

use super::Report;
use crate::account::{
    ACL_IDENTIFIERS_MAX, NOTE_BYTES_MAX, NOTES_MAX, Rights, canonical_name, check_name, check_subscription,
    share_entries,
};
use crate::engine::Snapshot;
use crate::row::{self, HeadRow, MailboxRow};
use crate::{Error, key};
use proto::proof::AccountId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// One account's mailboxes, and what the rest of the check has found of them.
pub(super) struct Tree<'a> {
    pub(super) id: AccountId,
    pub(super) snapshot: &'a dyn Snapshot,
    pub(super) head: &'a HeadRow,
    pub(super) version: u64,
    pub(super) mailboxes: &'a BTreeMap<u32, MailboxRow>,
}

impl Tree<'_> {
    /// The ids of deleted mailboxes of which rows are left.
    pub(super) fn check(&self, report: &mut Report) -> Result<BTreeSet<u32>, Error> {
        self.head(report);
        self.subscriptions(report)?;
        let marked = self.marks(report)?;
        self.notes(&marked, report)?;
        self.seen_by_guests(report)?;
        self.rights(report)?;
        Ok(marked)
    }

    fn whose(&self) -> String {
        format!("account {}", self.id.0)
    }

    fn head(&self, report: &mut Report) {
        let whose = self.whose();
        if self.mailboxes.len() as u64 != u64::from(self.head.mailboxes) {
            report.fault(format!("{whose}: its number of mailboxes is wrong"));
        }
        if self.head.tree > self.version {
            report.fault(format!("{whose}: its names changed at a version that is still to come"));
        }
        for (bit, holder) in self.head.uses.iter().enumerate() {
            let users = self.mailboxes.values().filter(|row| row.mailbox.uses.0 & (1 << bit) != 0);
            let users: Vec<u32> = users.map(|row| row.mailbox.id.0).collect();
            if users != [*holder] && !(users.is_empty() && *holder == 0) {
                report.fault(format!("{whose}: mailboxes {users:?} are for what {holder} should be for"));
            }
        }
        for row in self.mailboxes.values() {
            let name = &row.mailbox.name;
            if check_name(name).is_err() || canonical_name(name) != name.as_str() {
                report.fault(format!("{whose}, mailbox {}: its name cannot be one", row.mailbox.id.0));
            }
        }
    }

    fn subscriptions(&self, report: &mut Report) -> Result<(), Error> {
        let (whose, mut count) = (self.whose(), 0u64);
        self.snapshot.scan(key::partition(self.id), &[key::SUBSCRIPTION], &[], &mut |key, value| {
            count += 1;
            report.sound(&whose, row::decode_number(value))?;
            let name = std::str::from_utf8(&key[1..]).unwrap_or("");
            if check_subscription(name).is_err() || canonical_name(name) != name {
                report.fault(format!("{whose}: it is subscribed to what cannot be a name"));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if count != u64::from(self.head.subscriptions) {
            report.fault(format!("{whose}: its number of subscriptions is wrong"));
        }
        Ok(())
    }

    fn marks(&self, report: &mut Report) -> Result<BTreeSet<u32>, Error> {
        let (whose, mut marked) = (self.whose(), BTreeSet::new());
        self.snapshot.scan(key::partition(self.id), &[key::REMAINS], &[], &mut |key, value| {
            let id = key::number32(key, 1).unwrap_or(0);
            report.sound(&whose, row::decode_number(value))?;
            if self.mailboxes.contains_key(&id) || id == 0 || id >= self.head.next_mailbox {
                report.fault(format!("{whose}: mailbox {id} is to be removed, and it was not deleted"));
            }
            marked.insert(id);
            Ok(ControlFlow::Continue(()))
        })?;
        if !marked.is_empty() {
            report.remarks.push(format!("{whose}: what {} deleted mailboxes held is to go", marked.len()));
        }
        Ok(marked)
    }

    fn notes(&self, marked: &BTreeSet<u32>, report: &mut Report) -> Result<(), Error> {
        let whose = self.whose();
        let mut counts: BTreeMap<(u32, u64), usize> = BTreeMap::new();
        self.snapshot.scan(key::partition(self.id), &[key::NOTE], &[], &mut |key, value| {
            let (id, owner) = (key::number32(key, 1).unwrap_or(0), key::number64(key, 5).unwrap_or(0));
            *counts.entry((id, owner)).or_default() += 1;
            let value = report.sound(&whose, row::decode_note(value))?.unwrap_or_default();
            let entry = std::str::from_utf8(key.get(13..).unwrap_or(&[])).unwrap_or("");
            let scope = if owner == 0 { "/shared/" } else { "/private/" };
            if !entry.starts_with(scope) || value.len() > NOTE_BYTES_MAX {
                report.fault(format!("{whose}: a note on mailbox {id} is not sound"));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for ((id, _), count) in counts {
            if id != 0 && !self.mailboxes.contains_key(&id) && !marked.contains(&id) {
                report.fault(format!("{whose}: notes on mailbox {id}, which does not exist"));
            }
            if count > NOTES_MAX {
                report.fault(format!("{whose}: there are {count} notes on mailbox {id}"));
            }
        }
        Ok(())
    }

    /// What guests have seen: of accounts that there are, within mailboxes that there are.
    fn seen_by_guests(&self, report: &mut Report) -> Result<(), Error> {
        let (whose, mut guests) = (self.whose(), BTreeSet::new());
        self.snapshot.scan(key::partition(self.id), &[key::MARK], &[], &mut |key, value| {
            let id = key::number32(key, 1).unwrap_or(0);
            let block = key::number32(key, 13).unwrap_or(u32::MAX);
            guests.insert(key::number64(key, 5).unwrap_or(0));
            let marks = report.sound(&whose, row::decode_marks(block, value))?.unwrap_or_default();
            let sound = self.mailboxes.get(&id).is_none_or(|row| {
                let mailbox = &row.mailbox;
                marks.iter().all(|(uid, mark)| *uid < mailbox.uid_next && mark.modseq <= mailbox.modseq)
            });
            if !sound {
                report.fault(format!("{whose}: what a guest has seen of mailbox {id} is not sound"));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for guest in guests {
            let known = self.snapshot.get(key::SYSTEM, &key::account(AccountId(guest)))?.is_some();
            let going = self.snapshot.get(key::SYSTEM, &key::removal(AccountId(guest)))?.is_some();
            if guest == self.id.0 || !(known || going) {
                report.fault(format!("{whose}: account {guest} has seen messages and cannot be a guest"));
            }
        }
        Ok(())
    }

    /// Whoever has rights is in the index of who shares what.
    fn rights(&self, report: &mut Report) -> Result<(), Error> {
        let whose = self.whose();
        let mut identifiers = BTreeSet::new();
        self.snapshot.scan(key::partition(self.id), &[key::ACL], &[], &mut |key, value| {
            let id = key::number32(key, 1).unwrap_or(0);
            let list = report.sound(&whose, row::decode_acl(value))?.unwrap_or_default();
            let sorted = list.windows(2).all(|pair| pair[0].0 < pair[1].0);
            let useful = list.iter().all(|(_, rights)| *rights != Rights::default());
            if list.is_empty() || list.len() > ACL_IDENTIFIERS_MAX || !sorted || !useful {
                report.fault(format!("{whose}: the rights in mailbox {id} are not sound"));
            }
            if self.mailboxes.contains_key(&id) {
                identifiers.extend(list.into_iter().map(|(identifier, _)| identifier));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for entry in share_entries(self.snapshot, self.id, &identifiers)? {
            if self.snapshot.get(key::SYSTEM, &key::share(&entry, self.id))?.is_none() {
                report.fault(format!("{whose}: {entry} has rights and cannot find them"));
            }
        }
        Ok(())
    }
}
