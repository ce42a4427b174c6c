//! What deleted mailboxes and many removed messages have left is removed in steps, through the lanes of their accounts.
//!
//! A mailbox leaves a mark when it is deleted, in the same commit; the mark goes with the last of its rows. Messages leave
//! graves (`apply::expunge`). Which accounts have either is remembered here and is looked up after a start, so that a crash
//! costs nothing but time. Steps are small, and there is a pause after each: other changes of the account come in between.

use super::Refused;
use super::lane::{self, Accounts, Outcome, Tree, Work};
use crate::engine::Engine;
use crate::{Error, key};
use proto::proof::AccountId;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

/// Accounts remembered; with more, all are looked at.
const ACCOUNTS_MAX: usize = 4096;
/// Partitions that are looked at in one state of the engine.
const LOOK_PARTITIONS: usize = 256;

/// Accounts that may have marks.
pub(crate) struct Sweeps {
    known: Mutex<Known>,
    /// One run at a time, so that after a run of one's own everything earlier is done.
    running: Mutex<()>,
}

struct Known {
    accounts: BTreeSet<AccountId>,
    /// Any account may have some.
    any: bool,
}

impl Default for Sweeps {
    fn default() -> Sweeps {
        let known = Known { accounts: BTreeSet::new(), any: true };
        Sweeps { known: Mutex::new(known), running: Mutex::default() }
    }
}

impl Sweeps {
    /// A mailbox of this account is being deleted, or messages leave graves.
    pub(super) fn add(&self, account: AccountId) {
        let mut known = lane::lock(&self.known);
        if known.accounts.len() < ACCOUNTS_MAX {
            known.accounts.insert(account);
        } else {
            known.any = true;
        }
    }
}

/// Removes what there is; `go_on` is asked after each step and may wait. False: all that was deleted before is not yet removed.
/// Waits on this thread.
pub(crate) fn run(accounts: &Arc<Accounts>, go_on: &mut dyn FnMut() -> bool) -> Result<bool, Error> {
    let sweeps = accounts.sweeps();
    let _running = lane::lock(&sweeps.running);
    let (some, any) = {
        let mut known = lane::lock(&sweeps.known);
        (std::mem::take(&mut known.accounts), std::mem::take(&mut known.any))
    };
    let done = (|| {
        for account in some {
            if !sweep(accounts, account, go_on)? {
                return Ok(false);
            }
        }
        if any { sweep_all(accounts, go_on) } else { Ok(true) }
    })();
    if !matches!(done, Ok(true)) {
        lane::lock(&sweeps.known).any = true;
    }
    done
}

fn sweep(
    accounts: &Arc<Accounts>,
    account: AccountId,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<bool, Error> {
    for step in [|| Work::Sweep, || Work::Tree(Box::new(Tree::Clear))] {
        loop {
            match accounts.run_wait(account, step()) {
                Ok(Outcome::Cleared { more: true }) => {}
                Err(Refused::Store(Error::Damaged(text))) => {
                    // Others are not to wait for what a repair has to mend.
                    tracing::warn!(account = account.0, text, "what was removed cannot be cleared away");
                    break;
                }
                Err(Refused::Store(error)) => return Err(error),
                // An account that was removed meanwhile takes everything with it.
                _ => break,
            }
            if !go_on() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn sweep_all(accounts: &Arc<Accounts>, go_on: &mut dyn FnMut() -> bool) -> Result<bool, Error> {
    let mut partition = key::SYSTEM;
    loop {
        let (marked, next) = marked(accounts.engine(), partition)?;
        for account in marked {
            if !sweep(accounts, account, go_on)? {
                return Ok(false);
            }
        }
        match next {
            Some(next) if go_on() => partition = next,
            Some(_) => return Ok(false),
            None => return Ok(true),
        }
    }
}

/// Accounts with marks among the next few partitions, and where to go on.
fn marked(engine: &dyn Engine, mut partition: u64) -> Result<(Vec<AccountId>, Option<u64>), Error> {
    let snapshot = engine.snapshot()?;
    let mut found = Vec::new();
    for _ in 0..LOOK_PARTITIONS {
        partition = match snapshot.next_partition(partition)? {
            Some(next) if next < key::FACTS => next,
            _ => return Ok((found, None)),
        };
        for tag in [key::REMAINS, key::GRAVE] {
            snapshot.scan(partition, &[tag], &[], &mut |_, _| {
                found.push(AccountId(partition));
                Ok(ControlFlow::Break(()))
            })?;
        }
        found.dedup();
    }
    Ok((found, Some(partition)))
}
