//! Secrets that were verified lately, so that a slow hash does not cost every
//! login anew.
//!
//! Kept is a keyed hash over account, generation of its credentials, and secret;
//! the key is random, lives as long as the process, and is nowhere else. A change
//! of password moves the generation and with it every entry out of reach.

use super::recent::Recent;
use hmac::{Hmac, KeyInit, Mac};
use proto::machine::Tick;
use proto::proof::{AccountId, Secret};
use sha2::Sha256;
use std::sync::Mutex;
use zeroize::Zeroizing;

pub(super) struct Remembered {
    key: Zeroizing<[u8; 32]>,
    seconds: u32,
    entries: Mutex<Recent<[u8; 32], Entry>>,
}

#[derive(Clone, Copy)]
struct Entry {
    verified: Tick,
    /// When the credential expires, Unix seconds.
    expires: Option<i64>,
}

/// Whose secret: the account and the generation of its credentials.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub(super) account: AccountId,
    pub(super) generation: u64,
}

impl Remembered {
    pub(super) fn new(entries_max: usize, seconds: u32) -> Remembered {
        Remembered {
            key: Zeroizing::new(rand::random()),
            seconds: if entries_max == 0 { 0 } else { seconds },
            entries: Mutex::new(Recent::new(entries_max)),
        }
    }

    pub(super) fn contains(&self, owner: Owner, secret: &Secret, now: Tick, unix: i64) -> bool {
        let name = self.name(owner, secret);
        let entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.get(&name).is_some_and(|entry| {
            now.millis_since(entry.verified) < u64::from(self.seconds) * 1000
                && entry.expires.is_none_or(|expires| unix < expires)
        })
    }

    pub(super) fn insert(&self, owner: Owner, secret: &Secret, now: Tick, expires: Option<i64>) {
        if self.seconds == 0 {
            return;
        }
        let name = self.name(owner, secret);
        let mut entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.insert(name, Entry { verified: now, expires });
    }

    fn name(&self, owner: Owner, secret: &Secret) -> [u8; 32] {
        // The two numbers have fixed lengths, so no two triples run together.
        Hmac::<Sha256>::new_from_slice(&*self.key)
            .expect("HMAC takes keys of every length")
            .chain_update(owner.account.0.to_be_bytes())
            .chain_update(owner.generation.to_be_bytes())
            .chain_update(secret.expose())
            .finalize()
            .into_bytes()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { account: AccountId(7), generation: 3 };

    #[test]
    fn remembers_exactly_what_was_verified() {
        let remembered = Remembered::new(100, 10);
        let secret = Secret::new("pw");
        let now = Tick(5_000);
        assert!(!remembered.contains(OWNER, &secret, now, 0));
        remembered.insert(OWNER, &secret, now, None);
        assert!(remembered.contains(OWNER, &secret, now, 0));
        assert!(!remembered.contains(OWNER, &Secret::new("pw2"), now, 0));
        assert!(!remembered.contains(Owner { generation: 4, ..OWNER }, &secret, now, 0), "password changed");
        assert!(!remembered.contains(Owner { account: AccountId(8), ..OWNER }, &secret, now, 0));
        assert!(remembered.contains(OWNER, &secret, Tick(14_999), 0));
        assert!(!remembered.contains(OWNER, &secret, Tick(15_000), 0), "time is up");
    }

    #[test]
    fn an_expired_credential_is_forgotten_in_time() {
        let remembered = Remembered::new(100, 10);
        remembered.insert(OWNER, &Secret::new("pw"), Tick(0), Some(50));
        assert!(remembered.contains(OWNER, &Secret::new("pw"), Tick(0), 49));
        assert!(!remembered.contains(OWNER, &Secret::new("pw"), Tick(0), 50));
    }

    #[test]
    fn can_be_turned_off() {
        let remembered = Remembered::new(0, 3600);
        remembered.insert(OWNER, &Secret::new("pw"), Tick(0), None);
        assert!(!remembered.contains(OWNER, &Secret::new("pw"), Tick(0), 0));
    }
}
