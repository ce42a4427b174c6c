//! What others want of the keeper of certificates, handed over without waiting for each other.

use net::tls::Fingerprint;
use std::collections::BTreeSet;
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
    /// Names whose certificates the operator wants renewed now.
    pub(super) renew: BTreeSet<String>,
    /// Names whose certificates have next keys that were not there before, or are wanted sooner.
    pub(super) next_keys: BTreeSet<String>,
    /// Certificates of which their authority says that it has revoked them; as many as are served, at most.
    pub(super) revoked: BTreeSet<Fingerprint>,
}

impl Wishes {
    /// Leaves names for the keeper, to renew now.
    pub fn renew(&self, names: impl IntoIterator<Item = String>) {
        self.leave(|left| left.renew.extend(names));
    }

    /// Leaves names for the keeper, to look at their next keys.
    pub fn next_keys(&self, names: impl IntoIterator<Item = String>) {
        self.leave(|left| left.next_keys.extend(names));
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
