//! Rules about connecting: those of a domain, and what single accounts may do beyond them.
//!
//! What must hold: a CRAM-MD5 verifier, which is worth the password, is kept only while a rule asks for it.
//! What the rules mean is said in `proto::service::policy`.

use super::super::address::{domain_name, split};
use super::{Directory, DirectoryError, Domain, list};
use crate::engine::{Batch, Snapshot};
use crate::{Error, key, row};
use proto::proof::AccountId;
use proto::sasl::Mechanism;
use proto::service::policy::{DomainPolicy, Exception};

impl Directory {
    /// Replaces a domain's rules; all else of it stays.
    pub async fn put_policy(&self, name: &str, policy: DomainPolicy) -> Result<(), DirectoryError> {
        let name = domain_name(name).map_err(|_| DirectoryError::Missing)?;
        let policy = DomainPolicy { host: host(policy.host.as_deref())?, ..policy };
        self.change(|snapshot, batch| {
            let at = key::domain(&name);
            let before = snapshot.get(key::SYSTEM, &at)?.ok_or(DirectoryError::Missing)?;
            let before = row::decode_domain(&before)?;
            changed(snapshot, &before, &policy, batch)?;
            batch.put(at, row::encode_domain(&Domain { policy: policy.clone(), ..before }));
            Ok(())
        })
        .await
    }

    /// What an account may do beyond its domain's rules, also if its day has come.
    pub fn exception(&self, id: AccountId) -> Result<Option<Exception>, Error> {
        self.row(&key::exception(id), row::decode_exception)
    }

    /// All exceptions, by account.
    pub fn exceptions(&self) -> Result<Vec<(AccountId, Exception)>, Error> {
        list(&*self.snapshot()?, &[key::EXCEPTION], |at, value| {
            let id = key::number64(at, 1)
                .ok_or_else(|| Error::Damaged("exception: its key names no account".to_owned()))?;
            Ok((AccountId(id), row::decode_exception(value)?))
        })
    }

    /// Sets or (`None`) removes an account's exception. Verifiers that only the exception asked for go with it.
    pub async fn put_exception(
        &self,
        id: AccountId,
        exception: Option<Exception>,
    ) -> Result<(), DirectoryError> {
        self.change(|snapshot, batch| {
            let stored = snapshot.get(key::SYSTEM, &key::account(id))?.ok_or(DirectoryError::Missing)?;
            match &exception {
                Some(exception) => batch.put(key::exception(id), row::encode_exception(exception)),
                None => batch.delete(key::exception(id)),
            }
            let wanted = exception.as_ref().is_some_and(|e| e.mechanisms.contains(&Mechanism::CramMd5));
            if !wanted && !domain_takes_cram(snapshot, &row::decode_account(&stored)?.address)? {
                drop_cram_key(snapshot, id, batch)?;
            }
            Ok(())
        })
        .await
    }
}

/// A host as clients ask for it, in lower-case A-labels.
pub(super) fn host(host: Option<&str>) -> Result<Option<String>, DirectoryError> {
    host.map(domain_name).transpose().map_err(DirectoryError::Malformed)
}

/// What has to go when a domain gets these rules.
pub(super) fn changed(
    snapshot: &dyn Snapshot,
    before: &Domain,
    policy: &DomainPolicy,
    batch: &mut Batch,
) -> Result<(), DirectoryError> {
    if before.policy.takes(Mechanism::CramMd5) && !policy.takes(Mechanism::CramMd5) {
        drop_cram_keys(snapshot, &before.name, batch)?;
    }
    Ok(())
}

/// A domain that no longer wants CRAM-MD5 keeps nothing for it: a verifier is worth the password. What an exception
/// asks for is kept for that account.
fn drop_cram_keys(snapshot: &dyn Snapshot, domain: &str, batch: &mut Batch) -> Result<(), DirectoryError> {
    for id in list(snapshot, &key::of_domain(key::ADDRESS, domain), |_, value| row::decode_number(value))? {
        let exception = snapshot.get(key::SYSTEM, &key::exception(AccountId(id)))?;
        let exception = exception.map(|bytes| row::decode_exception(&bytes)).transpose()?;
        if !exception.is_some_and(|exception| exception.mechanisms.contains(&Mechanism::CramMd5)) {
            drop_cram_key(snapshot, AccountId(id), batch)?;
        }
    }
    Ok(())
}

fn drop_cram_key(snapshot: &dyn Snapshot, id: AccountId, batch: &mut Batch) -> Result<(), DirectoryError> {
    let at = key::credentials(id);
    let Some(stored) = snapshot.get(key::SYSTEM, &at)? else { return Ok(()) };
    let mut credentials = row::decode_credentials(&stored)?;
    if credentials.list.iter().any(|credential| credential.cram_md5.is_some()) {
        credentials.list.iter_mut().for_each(|credential| credential.cram_md5 = None);
        batch.put(at, row::encode_credentials(&credentials));
    }
    Ok(())
}

fn domain_takes_cram(snapshot: &dyn Snapshot, address: &str) -> Result<bool, DirectoryError> {
    let (_, domain) = split(address).map_err(DirectoryError::Malformed)?;
    let stored = snapshot.get(key::SYSTEM, &key::domain(&domain))?;
    let domain = stored.map(|bytes| row::decode_domain(&bytes)).transpose()?;
    Ok(domain.is_some_and(|domain| domain.policy.takes(Mechanism::CramMd5)))
}
