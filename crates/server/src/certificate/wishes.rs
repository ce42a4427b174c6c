//! What others want of the keeper of certificates, handed over without waiting for each other.

use net::tls::Fingerprint;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// A letter box: whoever has something for the keeper leaves it here.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    left: Arc<Mutex<Left>>,
    bell: Arc<Notify>,
}

/// What was left.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Names whose certificates the operator wants renewed now, and whether with a new key.
    pub(super) renew: BTreeMap<String, bool>,
    /// Certificates of which their authority says that it has revoked them; as many as are served, at most.
    pub(super) revoked: BTreeSet<Fingerprint>,
}

impl Wishes {
    /// Leaves names for the keeper.
    pub fn renew(&self, names: impl IntoIterator<Item = String>, new_key: bool) {
        self.leave(|left| {
            for name in names {
                *left.renew.entry(name).or_default() |= new_key;
            }
        });
    }

    /// The authority has revoked this certificate, which is served.
    pub(super) fn revoked(&self, mark: Fingerprint) {
        self.leave(|left| {
            left.revoked.insert(mark);
        });
    }

    fn leave(&self, what: impl FnOnce(&mut Left)) {
        what(&mut self.left.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.notify_one();
    }

    /// Returns when something was left since the last time.
    pub(super) async fn came(&self) {
        self.bell.notified().await;
    }

    /// All that was left.
    pub(super) fn take(&self) -> Left {
        std::mem::take(&mut self.left.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
