//! The exclusive lock on a maildrop (RFC 1939 section 8) and the pause between
//! two logins to it (RFC 2449 6.5).
//!
//! Both live in memory. A lock belongs to a connection: when the connection's
//! session is dropped, for whatever reason, the lock is gone. A restart leaves none. So do the sizes that sessions have
//! found out, see [`size`].

pub(crate) mod size;

use proto::machine::Tick;
use proto::proof::AccountId;
use size::Sizes;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Last logins that are remembered; when there are more, those that no longer matter are dropped.
const LAST_LOGINS_MAX: usize = 10_000;
/// Maildrops whose sizes are remembered; when there are more, some are forgotten and found out anew.
const SIZES_MAX: usize = 10_000;

/// Why a maildrop was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Another session holds it.
    InUse,
    /// The last login was too short a time ago.
    TooSoon,
}

/// All locks that are held.
#[derive(Clone, Debug, Default)]
pub struct Maildrops(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    locked: HashSet<AccountId>,
    last_login: HashMap<AccountId, Tick>,
    sizes: HashMap<AccountId, Arc<Sizes>>,
}

impl Maildrops {
    /// Takes the lock, unless it is held or `delay_seconds` have not passed since the last time.
    pub fn lock(&self, account: AccountId, delay_seconds: u32, now: Tick) -> Result<MaildropLock, Busy> {
        // A poisoned set is still a set: no change here can be half-done.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.locked.contains(&account) {
            return Err(Busy::InUse);
        }
        if delay_seconds > 0 {
            if held.last_login.get(&account).is_some_and(|last| now < last.plus_seconds(delay_seconds)) {
                return Err(Busy::TooSoon);
            }
            if held.last_login.len() >= LAST_LOGINS_MAX {
                held.last_login.retain(|_, last| now < last.plus_seconds(delay_seconds));
            }
            held.last_login.insert(account, now);
        }
        held.locked.insert(account);
        Ok(MaildropLock { all: self.clone(), account })
    }
}

/// A held lock; dropping it gives the maildrop back.
#[derive(Debug)]
pub struct MaildropLock {
    all: Maildrops,
    account: AccountId,
}

impl MaildropLock {
    /// What sessions before have found out of sizes.
    pub(crate) fn sizes(&self) -> Arc<Sizes> {
        let held = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.sizes.get(&self.account).cloned().unwrap_or_default()
    }

    /// Remembers them for those that follow.
    pub(crate) fn remember(&self, sizes: Arc<Sizes>) {
        let mut held = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.sizes.len() >= SIZES_MAX
            && let Some(any) = held.sizes.keys().next().copied()
        {
            held.sizes.remove(&any);
        }
        held.sizes.insert(self.account, sizes);
    }
}

impl Drop for MaildropLock {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).locked.remove(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_free_after_drop() {
        let all = Maildrops::default();
        let held = all.lock(AccountId(1), 0, Tick(0)).expect("free");
        assert_eq!(all.lock(AccountId(1), 0, Tick(0)).expect_err("held"), Busy::InUse);
        assert!(all.lock(AccountId(2), 0, Tick(0)).is_ok());
        drop(held);
        assert!(all.lock(AccountId(1), 0, Tick(0)).is_ok());
    }

    #[test]
    fn the_delay_counts_from_the_last_login() {
        let all = Maildrops::default();
        drop(all.lock(AccountId(1), 60, Tick(0)).expect("free"));
        assert_eq!(all.lock(AccountId(1), 60, Tick(59_999)).expect_err("too soon"), Busy::TooSoon);
        assert!(all.lock(AccountId(1), 60, Tick(60_000)).is_ok());
    }
}
