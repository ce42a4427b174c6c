//! From an address to accounts: account, alias, sub-address, catch-all, in this order, and
//! for `postmaster` at last the domain's first account.

use super::address::{Folded, domain_name, fold, split};
use super::directory::{AccountRecord, Route};
use crate::engine::Snapshot;
use crate::{Error, key, row};
use proto::proof::AccountId;
use std::ops::ControlFlow;

/// How deep aliases may lead to aliases.
const DEPTH_MAX: usize = 10;
/// Accounts and remote addresses that one address leads to.
const TARGETS_MAX: usize = 2000;

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
