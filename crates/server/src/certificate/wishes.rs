//! What the operator wants of the keeper of certificates, handed over without waiting for each other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Names whose certificates shall be renewed now, and whether with a new key.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    names: Arc<Mutex<BTreeMap<String, bool>>>,
    bell: Arc<Notify>,
}

impl Wishes {
    /// Leaves names for the keeper.
    pub fn renew(&self, names: impl IntoIterator<Item = String>, new_key: bool) {
        let mut waiting = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            *waiting.entry(name).or_default() |= new_key;
        }
        drop(waiting);
        self.bell.notify_one();
    }

    /// Returns when something was left since the last time.
    pub(super) async fn came(&self) {
        self.bell.notified().await;
    }

    /// All that was left.
    pub(super) fn take(&self) -> BTreeMap<String, bool> {
        std::mem::take(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
