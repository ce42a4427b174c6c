//! From an address to accounts: account, alias, sub-address, catch-all, in this order, and
//! for `postmaster` at last the domain's first account.

use super::address::{Folded, domain_name, fold, split};
use super::directory::{AccountRecord, Route};
use crate::engine::Snapshot;
use crate::{Error, key, row};
use proto::proof::AccountId;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How deep aliases may lead to aliases.
const DEPTH_MAX: usize = 10;
/// Accounts and remote addresses that one address leads to.
const TARGETS_MAX: usize = 2000;

/// Routes that are remembered.
const ROUTES_MAX: usize = 4096;
/// Octets of an address whose route is remembered, and accounts that it may lead to.
const ROUTE_BYTES_MAX: usize = 256;
const ROUTE_ACCOUNTS_MAX: usize = 4;

/// Where addresses were found to lead, for as long as nothing changes in the directory: mail comes again and again for the same
/// ones, and each change of any account makes the engine read its pages anew.
///
/// What must hold: a change is counted (`changed`) after it was committed and before anybody is told that it was; what was looked
/// up before is not believed from then on. Only what leads to accounts is kept, so that strangers cannot fill it with names.
#[derive(Debug, Default)]
pub(super) struct Routes {
    changes: AtomicU64,
    known: Mutex<HashMap<String, (u64, Vec<AccountRecord>)>>,
}

impl Routes {
    /// Something in the directory has changed.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// What is remembered, or else what `look` finds.
    pub(super) fn get(
        &self,
        local: &str,
        domain: &str,
        look: impl FnOnce() -> Result<Route, Error>,
    ) -> Result<Route, Error> {
        let changes = self.changes.load(Ordering::SeqCst);
        let address = format!("{local}@{domain}");
        if let Some((at, accounts)) = self.lock().get(&address)
            && *at == changes
        {
            return Ok(Route::To { accounts: accounts.clone(), remote: Vec::new() });
        }
        let route = look()?;
        if let Route::To { accounts, remote } = &route
            && remote.is_empty()
            && accounts.len() <= ROUTE_ACCOUNTS_MAX
            && address.len() <= ROUTE_BYTES_MAX
        {
            let mut known = self.lock();
            if known.len() >= ROUTES_MAX {
                known.clear();
            }
            known.insert(address, (changes, accounts.clone()));
        }
        Ok(route)
    }

    /// Nothing is left half done by a panic in any critical section here.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (u64, Vec<AccountRecord>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Under which keys the address is looked up; `None`: the domain is not ours.
pub(crate) fn folded(snapshot: &dyn Snapshot, local: &str, domain: &str) -> Result<Option<Folded>, Error> {
    let Some(bytes) = snapshot.get(key::SYSTEM, &key::domain(domain))? else { return Ok(None) };
    let local = fold(local, row::decode_domain(&bytes)?.case_sensitive);
    Ok(Some(Folded { domain: domain.to_owned(), local }))
}

pub(super) fn account_at(snapshot: &dyn Snapshot, at: &Folded) -> Result<Option<AccountRecord>, Error> {
    let Some(id) = snapshot.get(key::SYSTEM, &at.account_key())? else { return Ok(None) };
    let id = AccountId(row::decode_number(&id)?);
    let record = snapshot.get(key::SYSTEM, &key::account(id))?;
    record.map(|bytes| row::decode_account(&bytes)).transpose()
}

pub(super) fn alias_at(snapshot: &dyn Snapshot, at: &Folded) -> Result<Option<Vec<String>>, Error> {
    let stored = snapshot.get(key::SYSTEM, &at.alias_key())?;
    stored.map(|bytes| row::decode_alias(&bytes).map(|(_, targets)| targets)).transpose()
}

/// See [`super::directory::Directory::route`].
pub(super) fn route(snapshot: &dyn Snapshot, local: &str, domain: &str) -> Result<Route, Error> {
    let Ok(domain) = domain_name(domain) else { return Ok(Route::NotOurs) };
    let mut walk = Walk { snapshot, path: Vec::new(), accounts: Vec::new(), remote: Vec::new() };
    let found = match walk.go(local, &domain, true)? {
        Found::NotOurs => return Ok(Route::NotOurs),
        Found::Loop => return Ok(Route::Loop),
        Found::Nobody => false,
        Found::Some => true,
    };
    if !found && local.eq_ignore_ascii_case("postmaster") {
        walk.accounts.extend(first_account(snapshot, &domain)?);
    }
    if walk.accounts.is_empty() && walk.remote.is_empty() {
        return Ok(Route::NoSuchUser);
    }
    Ok(Route::To { accounts: walk.accounts, remote: walk.remote })
}

/// True if the address is the account's own, a sub-address of it, or an alias that leads to it.
pub(super) fn leads_to(
    snapshot: &dyn Snapshot,
    account: AccountId,
    local: &str,
    domain: &str,
) -> Result<bool, Error> {
    let Ok(domain) = domain_name(domain) else { return Ok(false) };
    let mut walk = Walk { snapshot, path: Vec::new(), accounts: Vec::new(), remote: Vec::new() };
    let found = walk.go(local, &domain, false)?;
    Ok(matches!(found, Found::Some) && walk.accounts.iter().any(|record| record.id == account))
}

enum Found {
    Some,
    Nobody,
    NotOurs,
    Loop,
}

struct Walk<'a> {
    snapshot: &'a dyn Snapshot,
    /// The aliases that led here.
    path: Vec<Folded>,
    accounts: Vec<AccountRecord>,
    remote: Vec<String>,
}

impl Walk<'_> {
    /// `domain` is as kept.
    fn go(&mut self, local: &str, domain: &str, catch_all: bool) -> Result<Found, Error> {
        let Some(bytes) = self.snapshot.get(key::SYSTEM, &key::domain(domain))? else {
            return Ok(Found::NotOurs);
        };
        let rules = row::decode_domain(&bytes)?;
        let at = |local: &str| Folded { domain: domain.to_owned(), local: fold(local, rules.case_sensitive) };
        let whole = at(local);
        let found = self.exactly(&whole)?;
        if !matches!(found, Found::Nobody) {
            return Ok(found);
        }
        if let Some((base, _)) = rules.separator.and_then(|separator| local.split_once(separator))
            && !base.is_empty()
        {
            let found = self.exactly(&at(base))?;
            if !matches!(found, Found::Nobody) {
                return Ok(found);
            }
        }
        match &rules.catch_all {
            // A catch-all that is nobody's does not catch.
            Some(address) if catch_all => self.step(whole, std::slice::from_ref(address)),
            _ => Ok(Found::Nobody),
        }
    }

    fn exactly(&mut self, at: &Folded) -> Result<Found, Error> {
        if let Some(record) = account_at(self.snapshot, at)? {
            if !self.accounts.iter().any(|known| known.id == record.id) {
                self.accounts.push(record);
            }
            return Ok(Found::Some);
        }
        match alias_at(self.snapshot, at)? {
            Some(targets) => self.step(at.clone(), &targets),
            None => Ok(Found::Nobody),
        }
    }

    /// Follows the targets of `from`. Targets that are nobody's are passed over.
    fn step(&mut self, from: Folded, targets: &[String]) -> Result<Found, Error> {
        if self.path.len() >= DEPTH_MAX || self.path.contains(&from) {
            return Ok(Found::Loop);
        }
        self.path.push(from);
        let mut any = false;
        for target in targets {
            let Ok((local, domain)) = split(target) else { continue };
            match self.go(&local, &domain, false)? {
                Found::Some => any = true,
                Found::Nobody => {}
                Found::NotOurs => {
                    any = true;
                    if !self.remote.contains(target) {
                        self.remote.push(target.clone());
                    }
                }
                Found::Loop => return Ok(Found::Loop),
            }
            if self.accounts.len() + self.remote.len() > TARGETS_MAX {
                return Ok(Found::Loop);
            }
        }
        self.path.pop();
        Ok(if any { Found::Some } else { Found::Nobody })
    }
}

/// The account of a domain that was made first.
fn first_account(snapshot: &dyn Snapshot, domain: &str) -> Result<Option<AccountRecord>, Error> {
    let mut lowest: Option<u64> = None;
    snapshot.scan(key::SYSTEM, &key::of_domain(key::ADDRESS, domain), &[], &mut |_, value| {
        let id = row::decode_number(value)?;
        lowest = Some(lowest.map_or(id, |known| known.min(id)));
        Ok(ControlFlow::Continue(()))
    })?;
    let Some(id) = lowest else { return Ok(None) };
    let record = snapshot.get(key::SYSTEM, &key::account(AccountId(id)))?;
    record.map(|bytes| row::decode_account(&bytes)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: u64) -> AccountRecord {
        AccountRecord {
            id: AccountId(id),
            address: format!("{id}@example.test"),
            name: String::new(),
            enabled: true,
            quota_bytes: None,
            quota_messages: None,
            created: 0,
        }
    }

    #[test]
    fn a_route_is_remembered_until_something_changes() {
        let routes = Routes::default();
        let to = |id| Route::To { accounts: vec![record(id)], remote: Vec::new() };
        let none = || -> Result<Route, Error> { panic!("it was looked up again") };
        assert_eq!(routes.get("a", "example.test", || Ok(to(1))).unwrap(), to(1));
        assert_eq!(routes.get("a", "example.test", none).unwrap(), to(1));
        assert_eq!(routes.get("b", "example.test", || Ok(to(2))).unwrap(), to(2));
        routes.changed();
        assert_eq!(routes.get("a", "example.test", || Ok(Route::NoSuchUser)).unwrap(), Route::NoSuchUser);
        assert_eq!(routes.get("a", "example.test", || Ok(to(3))).unwrap(), to(3), "nobody is not remembered");
        // What was looked up before a change is not believed after it.
        let while_changing = routes.get("c", "example.test", || {
            routes.changed();
            Ok(to(4))
        });
        assert_eq!(while_changing.unwrap(), to(4));
        assert_eq!(routes.get("c", "example.test", || Ok(to(5))).unwrap(), to(5));
    }

    #[test]
    fn not_more_is_remembered_than_stated() {
        let routes = Routes::default();
        for n in 0..3 * ROUTES_MAX {
            let local = n.to_string();
            routes
                .get(&local, "example.test", || Ok(Route::To { accounts: Vec::new(), remote: Vec::new() }))
                .unwrap();
        }
        assert!(routes.lock().len() <= ROUTES_MAX);
    }
}
