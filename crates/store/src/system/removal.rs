//! Removing what an account kept, in bounded batches.
//!
//! A mark in the system's partition says that the partition of an id is to go. It is set
//! together with the account's disappearance from the directory (or before a new account
//! appears in it) and taken away last, so that a crash anywhere is mended at the next start.

use crate::account::{Accounts, Outcome, Refused, Tree, Work, left_by};
use crate::blob::Bodies;
use crate::engine::{self, Batch, CommitError, Engine};
use crate::{Error, key, row};
use proto::proof::AccountId;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Partitions that are looked at in one state of the engine.
const LOOK_PARTITIONS: usize = 256;
/// Keys deleted in one commit.
const KEYS_MAX: usize = 1000;

/// Removes the partitions of a marked account, then the mark. Waits on this thread.
pub(crate) fn remove(engine: &dyn Engine, accounts: &Arc<Accounts>, id: AccountId) -> Result<(), Error> {
    // The answer does not matter: in its lane, nothing comes after it. An account whose head cannot be read any
    // more answers that it does not exist, which is as good.
    drop(accounts.run_wait(id, Work::Retire));
    for partition in [key::partition(id), key::facts(Some(id)), key::search(id)] {
        while remove_some(engine, accounts.bodies(), partition)? {}
    }
    forget(engine, accounts, id)?;
    let mut batch = Batch::default();
    batch.delete(key::removal(id));
    engine::commit_wait(engine, key::SYSTEM, None, batch).map_err(CommitError::into_error)?;
    Ok(())
}

/// Removes what the account has left with others whose guest it was.
fn forget(engine: &dyn Engine, accounts: &Arc<Accounts>, guest: AccountId) -> Result<(), Error> {
    let mut partition = key::SYSTEM;
    loop {
        let (mut owners, mut last) = (Vec::new(), false);
        {
            let snapshot = engine.snapshot()?;
            for _ in 0..LOOK_PARTITIONS {
                partition = match snapshot.next_partition(partition)? {
                    Some(next) if next < key::SEARCH => next,
                    _ => {
                        last = true;
                        break;
                    }
                };
                if left_by(&*snapshot, partition, guest, &[])?.is_some() {
                    owners.push(AccountId(partition));
                }
            }
        }
        for owner in owners {
            let forget = || Work::Tree(Box::new(Tree::Forget(guest)));
            loop {
                match accounts.run_wait(owner, forget()) {
                    Ok(Outcome::Cleared { more: true }) => {}
                    Err(Refused::Store(error)) => return Err(error),
                    // An owner that is removed meanwhile takes everything with it.
                    _ => break,
                }
            }
        }
        if last {
            return Ok(());
        }
    }
}

/// The accounts that are marked.
pub(crate) fn marked(engine: &dyn Engine) -> Result<Vec<AccountId>, Error> {
    let mut found = Vec::new();
    engine.snapshot()?.scan(key::SYSTEM, &[key::REMOVAL], &[], &mut |key, _| {
        found.extend(key::number64(key, 1).map(AccountId));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// True if there may be more.
fn remove_some(engine: &dyn Engine, bodies: &Bodies, partition: u64) -> Result<bool, Error> {
    let mut batch = Batch::default();
    engine.snapshot()?.scan(partition, &[], &[], &mut |key, value| {
        batch.delete(key.to_vec());
        // What cannot be read any more is found by a later mark.
        if key.first() == Some(&key::DETAIL)
            && let Ok(detail) = row::decode_detail(value)
        {
            bodies.dead().add(&detail.body);
        }
        let enough = batch.changes().len() >= KEYS_MAX;
        Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    if batch.is_empty() {
        return Ok(false);
    }
    engine::commit_wait(engine, partition, None, batch).map_err(CommitError::into_error)?;
    Ok(true)
}
