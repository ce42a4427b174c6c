//! Who else may use a mailbox: rights by address, and the index that says who shares anything with an address.
//!
//! Rights are rows of the owner's account, the index is in the system's partition; nothing spans both. What must hold: where
//! there is a right, there is an entry of the index. So the entry is made before the right and removed after
//! it, under a lock; a crash in between leaves an entry too many, which is removed when it is found.
//!
//! Addresses are kept as the directory compares them. An address that a domain's rule of letter case has since made another
//! one has no rights any more.

use super::lane::Accounts;
use super::{Account, MailboxId, Refused, Rights, Tree, Why, Work};
use crate::engine::{self, Batch, CommitError, Snapshot};
use crate::system::{address, routing};
use crate::{Error, key, row};
use proto::proof::AccountId;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Identifiers with their rights.
type List = Vec<(String, Rights)>;

/// Everybody of the owner's domain.
const ANYONE: &str = "anyone";

impl Account {
    /// Who else may use a mailbox: identifiers (a full address, or `anyone` within the owner's domain; `-` in front takes
    /// away) and rights. The owner has all rights and is not listed. Blocks for the disk.
    pub fn acl(&self, mailbox: MailboxId) -> Result<Vec<(String, Rights)>, Error> {
        let snapshot = self.accounts.engine().snapshot()?;
        rights_of(&*snapshot, self.id, mailbox)
    }

    /// Sets the rights of one identifier; none removes it.
    pub async fn set_acl(&self, mailbox: MailboxId, identifier: &str, rights: Rights) -> Result<(), Refused> {
        let (accounts, id) = (self.accounts.clone(), self.id);
        let (identifier, entry) = {
            let snapshot = accounts.engine().snapshot()?;
            let identifier = normal(&*snapshot, identifier)?;
            let owner = Owner::read(&*snapshot, id)?.ok_or(Refused::NoAccount)?;
            let entry = owner.entry(&identifier);
            (identifier, entry)
        };
        // A task of its own: a caller that goes away must not let go of the lock before the rights are written.
        tokio::spawn(async move {
            let _sharing = accounts.sharing().lock().await;
            if let Some(entry) = &entry
                && rights != Rights::default()
            {
                put_entry(&accounts, entry, id).await?;
            }
            let work = Tree::Allow { mailbox, identifier: identifier.clone(), rights };
            accounts.run(id, Work::Tree(Box::new(work))).await?;
            if let Some(entry) = entry
                && rights == Rights::default()
                && !shares(&*accounts.engine().snapshot()?, id, &identifier)?
            {
                remove_entry(&accounts, &entry, id).await?;
            }
            Ok(())
        })
        .await
        // It ends only with the runtime.
        .unwrap_or(Err(Refused::Store(Error::Closed)))
    }

    /// What `address` may do with a mailbox of this account. Blocks for the disk.
    pub fn rights(&self, mailbox: MailboxId, address: &str) -> Result<Rights, Error> {
        let snapshot = self.accounts.engine().snapshot()?;
        let partition = key::partition(self.id);
        let Some(owner) = Owner::read(&*snapshot, self.id)? else { return Ok(Rights::default()) };
        let Some(guest) = Guest::of(&*snapshot, address)? else { return Ok(Rights::default()) };
        if guest.address == owner.address {
            let exists = snapshot.get(partition, &key::mailbox(mailbox))?.is_some();
            return Ok(if exists { Rights::ALL } else { Rights::default() });
        }
        Ok(guest.rights(&owner, &rights_of(&*snapshot, self.id, mailbox)?))
    }

    /// Mailboxes of this account in which `address` has any rights, by id, with those rights: one scan, for listings. For
    /// the owner's own address: none. Blocks for the disk.
    pub fn shared_with(&self, address: &str) -> Result<Vec<(MailboxId, Rights)>, Error> {
        let snapshot = self.accounts.engine().snapshot()?;
        let Some(owner) = Owner::read(&*snapshot, self.id)? else { return Ok(Vec::new()) };
        let Some(guest) = Guest::of(&*snapshot, address)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        if guest.address == owner.address {
            return Ok(found);
        }
        visit_rights(&*snapshot, self.id, &mut |mailbox, list| {
            let rights = guest.rights(&owner, &list);
            if rights != Rights::default() {
                found.push((mailbox, rights));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }
}

impl crate::Store {
    /// Accounts that let `address` use some mailbox of theirs, or let everybody of their domain do so: candidates, whose
    /// mailboxes' rights are asked one by one. Blocks for the disk.
    pub fn sharers(&self, address: &str) -> Result<Vec<AccountId>, Error> {
        let accounts = &self.inner.accounts;
        let snapshot = accounts.engine().snapshot()?;
        let Some(guest) = Guest::of(&*snapshot, address)? else { return Ok(Vec::new()) };
        let mut owners = BTreeSet::new();
        let mut stale = Vec::new();
        for (entry, identifier) in [(guest.address.clone(), &*guest.address), (guest.everybody(), ANYONE)] {
            snapshot.scan(key::SYSTEM, &key::shares(&entry), &[], &mut |key, _| {
                let owner = AccountId(key::number64(key, key.len().saturating_sub(8)).unwrap_or(0));
                if shares(&*snapshot, owner, identifier)? {
                    owners.insert(owner);
                } else {
                    stale.push((entry.clone(), identifier.to_owned(), owner));
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        for (entry, identifier, owner) in stale {
            prune(accounts, &entry, &identifier, owner)?;
        }
        if let Some(account) = guest.account(&*snapshot)? {
            owners.remove(&account);
        }
        Ok(owners.into_iter().collect())
    }
}

/// Removes an entry that leads to nothing, unless it is about to lead to something.
fn prune(accounts: &Arc<Accounts>, entry: &str, identifier: &str, owner: AccountId) -> Result<(), Error> {
    // Somebody shares something at this moment: there is no hurry.
    let Ok(_sharing) = accounts.sharing().try_lock() else { return Ok(()) };
    if shares(&*accounts.engine().snapshot()?, owner, identifier)? {
        return Ok(());
    }
    let mut batch = Batch::default();
    batch.delete(key::share(entry, owner));
    engine::commit_wait(accounts.engine(), key::SYSTEM, None, batch)
        .map(drop)
        .map_err(CommitError::into_error)
}

/// The owner of mailboxes.
struct Owner {
    address: String,
    domain: String,
}

impl Owner {
    /// `None`: there is no such account.
    fn read(snapshot: &dyn Snapshot, id: AccountId) -> Result<Option<Owner>, Error> {
        let Some(record) = snapshot.get(key::SYSTEM, &key::account(id))? else { return Ok(None) };
        let record = row::decode_account(&record)?;
        let guest = Guest::of(snapshot, &record.address)?;
        Ok(guest.map(|guest| Owner { address: guest.address, domain: guest.domain }))
    }

    /// Under which name an identifier is in the index; what only takes away is not.
    fn entry(&self, identifier: &str) -> Option<String> {
        match identifier {
            ANYONE => Some(format!("@{}", self.domain)),
            _ if identifier.starts_with('-') => None,
            _ => Some(identifier.to_owned()),
        }
    }
}

/// Somebody who may have rights.
struct Guest {
    local: String,
    address: String,
    domain: String,
}

impl Guest {
    /// `None`: that is no address.
    fn of(snapshot: &dyn Snapshot, text: &str) -> Result<Option<Guest>, Error> {
        let Ok((local, domain)) = address::split(text) else { return Ok(None) };
        let local = match routing::folded(snapshot, &local, &domain)? {
            Some(at) => at.local,
            None => address::fold(&local, false),
        };
        Ok(Some(Guest { address: format!("{local}@{domain}"), local, domain }))
    }

    fn everybody(&self) -> String {
        format!("@{}", self.domain)
    }

    fn account(&self, snapshot: &dyn Snapshot) -> Result<Option<AccountId>, Error> {
        let stored = snapshot.get(key::SYSTEM, &key::address(&self.domain, &self.local))?;
        stored.map(|bytes| row::decode_number(&bytes).map(AccountId)).transpose()
    }

    /// What the list gives, without what it takes away (RFC 4314 2).
    fn rights(&self, owner: &Owner, list: &[(String, Rights)]) -> Rights {
        let (mut given, mut taken) = (0, 0);
        for (identifier, rights) in list {
            let (name, sum) = match identifier.strip_prefix('-') {
                Some(name) => (name, &mut taken),
                None => (identifier.as_str(), &mut given),
            };
            if name == self.address || (name == ANYONE && self.domain == owner.domain) {
                *sum |= rights.0;
            }
        }
        Rights(given & !taken)
    }
}

/// An identifier as it is kept.
fn normal(snapshot: &dyn Snapshot, identifier: &str) -> Result<String, Refused> {
    let (sign, name) = match identifier.strip_prefix('-') {
        Some(name) => ("-", name),
        None => ("", identifier),
    };
    // A sign in front of a name would not be told from the one that takes away.
    if name.eq_ignore_ascii_case(ANYONE) {
        return Ok(format!("{sign}{ANYONE}"));
    }
    match Guest::of(snapshot, name)? {
        Some(guest) if !guest.address.starts_with('-') => Ok(format!("{sign}{}", guest.address)),
        _ => Err(Refused::BadName(Why::Guest)),
    }
}

/// The list of a mailbox that exists; else none.
fn rights_of(snapshot: &dyn Snapshot, owner: AccountId, mailbox: MailboxId) -> Result<List, Error> {
    let partition = key::partition(owner);
    match snapshot.get(partition, &key::acl(mailbox))? {
        Some(stored) if snapshot.get(partition, &key::mailbox(mailbox))?.is_some() => {
            row::decode_acl(&stored)
        }
        _ => Ok(Vec::new()),
    }
}

/// The lists of all mailboxes that exist and have one.
fn visit_rights(
    snapshot: &dyn Snapshot,
    owner: AccountId,
    visit: &mut dyn FnMut(MailboxId, List) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Error> {
    let partition = key::partition(owner);
    snapshot.scan(partition, &[key::ACL], &[], &mut |key, value| {
        let mailbox = MailboxId(key::number32(key, 1).unwrap_or(0));
        if snapshot.get(partition, &key::mailbox(mailbox))?.is_none() {
            return Ok(ControlFlow::Continue(()));
        }
        visit(mailbox, row::decode_acl(value)?)
    })
}

/// Under which names these identifiers of an account's mailboxes are in the index.
pub(crate) fn share_entries(
    snapshot: &dyn Snapshot,
    owner: AccountId,
    identifiers: &BTreeSet<String>,
) -> Result<Vec<String>, Error> {
    let owner = Owner::read(snapshot, owner)?;
    Ok(owner.map_or_else(Vec::new, |owner| identifiers.iter().filter_map(|i| owner.entry(i)).collect()))
}

/// True if the account gives this identifier any rights.
fn shares(snapshot: &dyn Snapshot, owner: AccountId, identifier: &str) -> Result<bool, Error> {
    if snapshot.get(key::SYSTEM, &key::account(owner))?.is_none() {
        return Ok(false);
    }
    let mut found = false;
    visit_rights(snapshot, owner, &mut |_, list| {
        found = list.iter().any(|(known, _)| known == identifier);
        Ok(if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(found)
}

async fn put_entry(accounts: &Accounts, entry: &str, owner: AccountId) -> Result<(), Error> {
    let at = key::share(entry, owner);
    if accounts.engine().get(key::SYSTEM, &at)?.is_some() {
        return Ok(());
    }
    let mut batch = Batch::default();
    batch.put(at, row::encode_number(1));
    engine::commit(accounts.engine(), key::SYSTEM, None, batch)
        .await
        .map(drop)
        .map_err(CommitError::into_error)
}

async fn remove_entry(accounts: &Accounts, entry: &str, owner: AccountId) -> Result<(), Error> {
    let mut batch = Batch::default();
    batch.delete(key::share(entry, owner));
    engine::commit(accounts.engine(), key::SYSTEM, None, batch)
        .await
        .map(drop)
        .map_err(CommitError::into_error)
}
