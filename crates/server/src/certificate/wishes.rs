//! What the operator wants of the keeper of certificates, handed over without waiting for each other.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Names whose certificates shall be renewed now.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    names: Arc<Mutex<BTreeSet<String>>>,
    bell: Arc<Notify>,
}

impl Wishes {
    /// Leaves names for the keeper.
    pub fn renew(&self, names: impl IntoIterator<Item = String>) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
        self.bell.notify_one();
    }

    /// Returns when something was left since the last time.
    pub(super) async fn came(&self) {
        self.bell.notified().await;
    }

    /// All that was left.
    pub(super) fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
