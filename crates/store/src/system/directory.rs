//! Domains, accounts, aliases, credentials.
//!
//! Look-ups are single reads from the page cache and may be called from async
//! code. Domains are kept as lower-case A-labels, local parts as given with a
//! folded form beside them for look-up (unless the domain is case-sensitive).
//!
//! Changes are made one after the other, each one commit of the system's partition with
//! its version. What belongs to an account's own partition is made before the
//! account can be found, and removed after it cannot be found any more; a removal mark in
//! between lets the next start finish either (`maintain`). How addresses are compared is in
//! `address`, how they lead to accounts in `routing`; `rules` are those about connecting.

mod rules;

use super::address::{Folded, domain_name, fold, split};
use super::routing::{self, Routes};
use crate::account::{Accounts, INBOX, SPECIAL_MAILBOXES, Uses, birth, check_name};
use crate::engine::{self, Batch, CommitError, Engine, Snapshot};
use crate::{Error, key, row};
use proto::proof::AccountId;
use proto::sasl::{CramKey, ScramKeys};
use proto::service::policy::DomainPolicy;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A domain that we are responsible for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Lower-case A-labels.
    pub name: String,
    /// Address that gets mail for unknown local parts.
    pub catch_all: Option<String>,
    /// Local parts differ by letter case.
    pub case_sensitive: bool,
    /// Separates a sub-address (`+`); `None` turns sub-addresses off.
    pub separator: Option<char>,
    /// How its users may connect.
    pub policy: DomainPolicy,
}

impl Domain {
    /// A domain of that name as it is if nothing else is said.
    #[must_use]
    pub fn named(name: &str) -> Domain {
        Domain {
            name: name.to_owned(),
            catch_all: None,
            case_sensitive: false,
            separator: Some('+'),
            policy: DomainPolicy::default(),
        }
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// For good.
    pub id: AccountId,
    /// Main address, as given.
    pub address: String,
    /// The person's name; may be empty.
    pub name: String,
    /// False: cannot log in; mail is still received.
    pub enabled: bool,
    /// Octets at most.
    pub quota_bytes: Option<u64>,
    /// Messages at most.
    pub quota_messages: Option<u64>,
    /// Unix seconds.
    pub created: i64,
}

/// What a credential is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// The account's password.
    Main,
    /// An app password, with the name that its owner gave it.
    App(String),
}

/// One way to prove to be the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Within the account.
    pub id: u32,
    /// What for.
    pub kind: CredentialKind,
    /// Argon2id in PHC form.
    pub argon2: String,
    /// With the account's salt.
    pub scram_sha1: ScramKeys,
    /// With the account's salt.
    pub scram_sha256: ScramKeys,
    /// Only where the domain asks for it.
    pub cram_md5: Option<CramKey>,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds.
    pub expires: Option<i64>,
}

/// An account's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// SCRAM salt of the account.
    pub salt: Vec<u8>,
    /// SCRAM iterations of the account.
    pub iterations: u32,
    /// Rises with each change; part of the key under which a verified secret is remembered.
    pub generation: u64,
    /// Main first.
    pub list: Vec<Credential>,
}

/// Where mail for an address goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Into these accounts (several by alias) and to these addresses elsewhere.
    To {
        /// Accounts, each once.
        accounts: Vec<AccountRecord>,
        /// Addresses in domains that are not ours.
        remote: Vec<String>,
    },
    /// The domain is ours, the local part is nobody's.
    NoSuchUser,
    /// The domain is not ours.
    NotOurs,
    /// Aliases that lead in a circle or too deep.
    Loop,
}

/// Why the directory refused a change.
#[derive(Debug)]
pub enum DirectoryError {
    /// It exists already.
    Exists,
    /// It does not exist.
    Missing,
    /// Something still hangs on it (accounts of a domain); the text says what.
    Occupied(String),
    /// The name or address is malformed; the text says how.
    Malformed(String),
    /// The store failed.
    Store(Error),
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DirectoryError::Exists => f.write_str("it exists already"),
            DirectoryError::Missing => f.write_str("it does not exist"),
            DirectoryError::Occupied(what) => write!(f, "something still hangs on it: {what}"),
            DirectoryError::Malformed(how) => f.write_str(how),
            DirectoryError::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DirectoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DirectoryError::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for DirectoryError {
    fn from(error: Error) -> DirectoryError {
        DirectoryError::Store(error)
    }
}

/// Targets of one alias.
const ALIAS_TARGETS_MAX: usize = 1000;

/// The directory.
#[derive(Clone, Debug)]
pub struct Directory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: Arc<dyn Engine>,
    accounts: Arc<Accounts>,
    /// Changes are rare and made one at a time.
    changing: tokio::sync::Mutex<()>,
    routes: Arc<Routes>,
}

impl Directory {
    pub(crate) fn new(engine: Arc<dyn Engine>, accounts: Arc<Accounts>) -> Directory {
        let (changing, routes) = (tokio::sync::Mutex::new(()), Arc::default());
        Directory { shared: Arc::new(Shared { engine, accounts, changing, routes }) }
    }

    /// The domain of that name (any letter case, U-labels too).
    pub fn domain(&self, name: &str) -> Result<Option<Domain>, Error> {
        let Ok(name) = domain_name(name) else { return Ok(None) };
        self.row(&key::domain(&name), row::decode_domain)
    }

    /// All domains by name.
    pub fn domains(&self) -> Result<Vec<Domain>, Error> {
        list(&*self.snapshot()?, &[key::DOMAIN], |_, value| row::decode_domain(value))
    }

    /// Adds or changes (`replace`) a domain.
    pub async fn put_domain(&self, mut domain: Domain, replace: bool) -> Result<(), DirectoryError> {
        domain.name = domain_name(&domain.name).map_err(DirectoryError::Malformed)?;
        domain.policy.host = rules::host(domain.policy.host.as_deref())?;
        if let Some(address) = &domain.catch_all {
            split(address).map_err(DirectoryError::Malformed)?;
        }
        if domain.separator.is_some_and(|c| c == '@' || c.is_control() || c.is_whitespace()) {
            return Err(DirectoryError::Malformed("that character cannot separate a sub-address".to_owned()));
        }
        self.change(|snapshot, batch| {
            let at = key::domain(&domain.name);
            let before = snapshot.get(key::SYSTEM, &at)?;
            match (&before, replace) {
                (Some(_), false) => return Err(DirectoryError::Exists),
                (None, true) => return Err(DirectoryError::Missing),
                _ => {}
            }
            if let Some(before) = before {
                let before = row::decode_domain(&before)?;
                if before.case_sensitive != domain.case_sensitive {
                    fold_again(snapshot, &domain, batch)?;
                }
                rules::changed(snapshot, &before, &domain.policy, batch)?;
            }
            batch.put(at, row::encode_domain(&domain));
            Ok(())
        })
        .await
    }

    /// Removes a domain that has no accounts and no aliases.
    pub async fn remove_domain(&self, name: &str) -> Result<(), DirectoryError> {
        let name = domain_name(name).map_err(|_| DirectoryError::Missing)?;
        self.change(|snapshot, batch| {
            if snapshot.get(key::SYSTEM, &key::domain(&name))?.is_none() {
                return Err(DirectoryError::Missing);
            }
            let count = |tag| list(snapshot, &key::of_domain(tag, &name), |_, _| Ok(())).map(|l| l.len());
            let (accounts, aliases) = (count(key::ADDRESS)?, count(key::ALIAS)?);
            if accounts + aliases > 0 {
                let text = format!("{accounts} accounts and {aliases} aliases");
                return Err(DirectoryError::Occupied(text));
            }
            batch.delete(key::domain(&name));
            Ok(())
        })
        .await
    }

    /// Where mail for `local@domain` goes: account, alias, sub-address, catch-all, in this order.
    /// `postmaster` that is none of these goes to the domain's first account (RFC 5321 4.5.1).
    pub fn route(&self, local: &str, domain: &str) -> Result<Route, Error> {
        self.shared.routes.get(local, domain, || routing::route(&*self.snapshot()?, local, domain))
    }

    /// The account with exactly this main address (letter case as the domain says).
    pub fn account_by_address(&self, address: &str) -> Result<Option<AccountRecord>, Error> {
        let Ok((local, domain)) = split(address) else { return Ok(None) };
        let snapshot = self.snapshot()?;
        let Some(at) = routing::folded(&*snapshot, &local, &domain)? else { return Ok(None) };
        routing::account_at(&*snapshot, &at)
    }

    /// The account of that id.
    pub fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, Error> {
        self.row(&key::account(id), row::decode_account)
    }

    /// Accounts, of one domain or all, by address.
    pub fn accounts(&self, domain: Option<&str>) -> Result<Vec<AccountRecord>, Error> {
        let Some(prefix) = of_domain(key::ADDRESS, domain) else { return Ok(Vec::new()) };
        let snapshot = self.snapshot()?;
        let ids = list(&*snapshot, &prefix, |_, value| row::decode_number(value))?;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(bytes) = snapshot.get(key::SYSTEM, &key::account(AccountId(id)))? {
                found.push(row::decode_account(&bytes)?);
            }
        }
        Ok(found)
    }

    /// Adds an account with its INBOX and special mailboxes; `id` and `created` of the record are set here.
    pub async fn add_account(
        &self,
        record: AccountRecord,
        credentials: Credentials,
    ) -> Result<AccountId, DirectoryError> {
        self.add_account_with(record, credentials, &SPECIAL_MAILBOXES).await
    }

    /// The same with special mailboxes of other names; each name and each use once.
    pub async fn add_account_with(
        &self,
        mut record: AccountRecord,
        credentials: Credentials,
        special: &[(&str, Uses)],
    ) -> Result<AccountId, DirectoryError> {
        check_special(special).map_err(DirectoryError::Malformed)?;
        let (local, domain) = split(&record.address).map_err(DirectoryError::Malformed)?;
        let now = unix_seconds();
        let _changing = self.shared.changing.lock().await;
        // First the id, with a mark that has the partition removed if we do not get to the end.
        let mut id = AccountId(0);
        self.change_held(|snapshot, batch| {
            vacant(snapshot, &local, &domain)?;
            let stored = snapshot.get(key::SYSTEM, &key::next_account())?;
            id = AccountId(stored.map_or(Ok(1), |bytes| row::decode_number(&bytes))?);
            batch.put(key::next_account(), row::encode_number(id.0 + 1));
            batch.put(key::removal(id), row::encode_number(id.0));
            Ok(())
        })
        .await?;
        engine::commit(&*self.shared.engine, key::partition(id), Some(0), birth(special, now))
            .await
            .map_err(|error| match error {
                CommitError::Conflict => {
                    Error::Damaged(format!("account {}: a new account's partition is in use", id.0))
                }
                CommitError::Store(error) => error,
            })?;
        record.id = id;
        record.created = now;
        self.change_held(|snapshot, batch| {
            let at = vacant(snapshot, &local, &domain)?;
            batch.put(key::account(id), row::encode_account(&record));
            batch.put(at.account_key(), row::encode_number(id.0));
            batch.put(key::credentials(id), row::encode_credentials(&credentials));
            batch.delete(key::removal(id));
            Ok(())
        })
        .await?;
        Ok(id)
    }

    /// Changes name, enabled, quotas of an existing account.
    pub async fn change_account(&self, record: AccountRecord) -> Result<(), DirectoryError> {
        self.change(|snapshot, batch| {
            let stored = snapshot.get(key::SYSTEM, &key::account(record.id))?;
            let stored = row::decode_account(&stored.ok_or(DirectoryError::Missing)?)?;
            let changed =
                AccountRecord { address: stored.address, created: stored.created, ..record.clone() };
            batch.put(key::account(record.id), row::encode_account(&changed));
            Ok(())
        })
        .await?;
        self.shared.accounts.set_quota(record.id, record.quota_bytes, record.quota_messages);
        Ok(())
    }

    /// Removes an account and its mail.
    pub async fn remove_account(&self, id: AccountId) -> Result<(), DirectoryError> {
        self.change(|snapshot, batch| {
            let stored = snapshot.get(key::SYSTEM, &key::account(id))?.ok_or(DirectoryError::Missing)?;
            let (local, domain) =
                split(&row::decode_account(&stored)?.address).map_err(DirectoryError::Malformed)?;
            if let Some(at) = routing::folded(snapshot, &local, &domain)? {
                batch.delete(at.account_key());
            }
            batch.delete(key::account(id));
            batch.delete(key::credentials(id));
            batch.delete(key::exception(id));
            batch.put(key::removal(id), row::encode_number(id.0));
            Ok(())
        })
        .await?;
        let (engine, accounts) = (self.shared.engine.clone(), self.shared.accounts.clone());
        // It fails only when the runtime is going down; the mark stays and the next start goes on.
        tokio::task::spawn_blocking(move || super::removal::remove(&*engine, &accounts, id))
            .await
            .unwrap_or(Err(Error::Closed))?;
        Ok(())
    }

    /// Its credentials.
    pub fn credentials(&self, id: AccountId) -> Result<Option<Credentials>, Error> {
        self.row(&key::credentials(id), row::decode_credentials)
    }

    /// Replaces its credentials.
    pub async fn put_credentials(
        &self,
        id: AccountId,
        credentials: Credentials,
    ) -> Result<(), DirectoryError> {
        self.change(|snapshot, batch| {
            if snapshot.get(key::SYSTEM, &key::account(id))?.is_none() {
                return Err(DirectoryError::Missing);
            }
            batch.put(key::credentials(id), row::encode_credentials(&credentials));
            Ok(())
        })
        .await
    }

    /// Targets of an alias.
    pub fn alias(&self, address: &str) -> Result<Option<Vec<String>>, Error> {
        let Ok((local, domain)) = split(address) else { return Ok(None) };
        let snapshot = self.snapshot()?;
        let Some(at) = routing::folded(&*snapshot, &local, &domain)? else { return Ok(None) };
        routing::alias_at(&*snapshot, &at)
    }

    /// Aliases with their targets, of one domain or all, by address.
    pub fn aliases(&self, domain: Option<&str>) -> Result<Vec<(String, Vec<String>)>, Error> {
        let Some(prefix) = of_domain(key::ALIAS, domain) else { return Ok(Vec::new()) };
        list(&*self.snapshot()?, &prefix, |_, value| row::decode_alias(value))
    }

    /// Adds or replaces an alias of one of our domains.
    pub async fn put_alias(
        &self,
        address: &str,
        targets: &[String],
        replace: bool,
    ) -> Result<(), DirectoryError> {
        let (local, domain) = split(address).map_err(DirectoryError::Malformed)?;
        if targets.is_empty() || targets.len() > ALIAS_TARGETS_MAX {
            let text = format!("an alias has 1 to {ALIAS_TARGETS_MAX} targets");
            return Err(DirectoryError::Malformed(text));
        }
        for target in targets {
            split(target).map_err(DirectoryError::Malformed)?;
        }
        self.change(|snapshot, batch| {
            let at = routing::folded(snapshot, &local, &domain)?.ok_or(DirectoryError::Missing)?;
            let held = routing::alias_at(snapshot, &at)?.is_some();
            if (held && !replace) || snapshot.get(key::SYSTEM, &at.account_key())?.is_some() {
                return Err(DirectoryError::Exists);
            }
            batch.put(at.alias_key(), row::encode_alias(&format!("{local}@{domain}"), targets));
            Ok(())
        })
        .await
    }

    /// Removes an alias.
    pub async fn remove_alias(&self, address: &str) -> Result<(), DirectoryError> {
        let (local, domain) = split(address).map_err(|_| DirectoryError::Missing)?;
        self.change(|snapshot, batch| {
            let at = routing::folded(snapshot, &local, &domain)?.ok_or(DirectoryError::Missing)?;
            if routing::alias_at(snapshot, &at)?.is_none() {
                return Err(DirectoryError::Missing);
            }
            batch.delete(at.alias_key());
            Ok(())
        })
        .await
    }

    /// May this account send as this address? Its own, its sub-addresses, an alias that leads to it.
    pub fn may_send_as(&self, account: AccountId, local: &str, domain: &str) -> Result<bool, Error> {
        routing::leads_to(&*self.snapshot()?, account, local, domain)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        self.shared.engine.snapshot()
    }

    fn row<T>(&self, key: &[u8], decode: impl Fn(&[u8]) -> Result<T, Error>) -> Result<Option<T>, Error> {
        self.shared.engine.get(key::SYSTEM, key)?.map(|bytes| decode(&bytes)).transpose()
    }

    /// One commit: `make` checks against the state as it is and fills the batch.
    async fn change(
        &self,
        make: impl FnMut(&dyn Snapshot, &mut Batch) -> Result<(), DirectoryError>,
    ) -> Result<(), DirectoryError> {
        let _changing = self.shared.changing.lock().await;
        self.change_held(make).await
    }

    /// The same for who holds the lock of changes.
    async fn change_held(
        &self,
        mut make: impl FnMut(&dyn Snapshot, &mut Batch) -> Result<(), DirectoryError>,
    ) -> Result<(), DirectoryError> {
        loop {
            let mut batch = Batch::default();
            let version = {
                let snapshot = self.snapshot()?;
                make(&*snapshot, &mut batch)?;
                snapshot.version(key::SYSTEM)?
            };
            // Counted where it is committed: who waits for it may have gone.
            let routes = self.shared.routes.clone();
            let counted = move || routes.changed();
            match engine::commit_then(&*self.shared.engine, key::SYSTEM, Some(version), batch, counted).await
            {
                Ok(_) => return Ok(()),
                // Another change came between, one that a dropped caller had begun.
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
    }
}

/// Says what is wrong with the names of special mailboxes.
fn check_special(special: &[(&str, Uses)]) -> Result<(), String> {
    let mut names = std::collections::BTreeSet::from([INBOX.to_owned()]);
    let mut used = 0;
    for (name, uses) in special {
        check_name(name).map_err(|refused| format!("mailbox '{name}': {refused}"))?;
        let levels = name.contains('/') || name.eq_ignore_ascii_case(INBOX);
        if levels || !names.insert((*name).to_owned()) || used & uses.0 != 0 {
            return Err(format!("'{name}' cannot be a special mailbox beside the others"));
        }
        used |= uses.0;
    }
    Ok(())
}

/// Where an account or alias of that address would be; an error if there is one, or no such domain.
fn vacant(snapshot: &dyn Snapshot, local: &str, domain: &str) -> Result<Folded, DirectoryError> {
    let at = routing::folded(snapshot, local, domain)?.ok_or(DirectoryError::Missing)?;
    let taken = snapshot.get(key::SYSTEM, &at.account_key())?.is_some()
        || snapshot.get(key::SYSTEM, &at.alias_key())?.is_some();
    if taken { Err(DirectoryError::Exists) } else { Ok(at) }
}

/// A domain's addresses under the keys that its new rule of letter case asks for.
fn fold_again(snapshot: &dyn Snapshot, domain: &Domain, batch: &mut Batch) -> Result<(), DirectoryError> {
    let mut taken = std::collections::BTreeMap::new();
    let mut rows = Vec::new();
    let accounts = key::of_domain(key::ADDRESS, &domain.name);
    for (at, value) in list(snapshot, &accounts, |at, value| Ok((at.to_vec(), value.to_vec())))? {
        let id = AccountId(row::decode_number(&value)?);
        let record = snapshot.get(key::SYSTEM, &key::account(id))?.ok_or(DirectoryError::Missing)?;
        rows.push((at, value, row::decode_account(&record)?.address, key::ADDRESS));
    }
    let aliases = key::of_domain(key::ALIAS, &domain.name);
    for (at, value) in list(snapshot, &aliases, |at, value| Ok((at.to_vec(), value.to_vec())))? {
        let address = row::decode_alias(&value)?.0;
        rows.push((at, value, address, key::ALIAS));
    }
    for (at, _, _, _) in &rows {
        batch.delete(at.clone());
    }
    for (_, value, address, tag) in rows {
        let (local, _) = split(&address).map_err(DirectoryError::Malformed)?;
        let at = Folded { domain: domain.name.clone(), local: fold(&local, domain.case_sensitive) };
        if let Some(other) = taken.insert(at.local.clone(), address.clone()) {
            return Err(DirectoryError::Occupied(format!("{other} and {address} would be the same")));
        }
        batch.put(if tag == key::ADDRESS { at.account_key() } else { at.alias_key() }, value);
    }
    Ok(())
}

/// The prefix of all rows with `tag`, or of those of one domain; `None`: there is no such domain.
fn of_domain(tag: u8, domain: Option<&str>) -> Option<Vec<u8>> {
    match domain {
        None => Some(vec![tag]),
        Some(name) => Some(key::of_domain(tag, &domain_name(name).ok()?)),
    }
}

fn list<T>(
    snapshot: &dyn Snapshot,
    prefix: &[u8],
    read: impl Fn(&[u8], &[u8]) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    snapshot.scan(key::SYSTEM, prefix, &[], &mut |key, value| {
        found.push(read(key, value)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

fn unix_seconds() -> i64 {
    // A clock before 1970 is as good as none.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
