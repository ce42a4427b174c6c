//! What was read is kept in memory, up to a number of octets; what was not used for longest goes first.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See above.
pub(super) struct Cache<K, V> {
    bytes_max: usize,
    held: Mutex<Held<K, V>>,
}

struct Held<K, V> {
    items: HashMap<K, Item<V>>,
    bytes: usize,
    tick: u64,
}

struct Item<V> {
    value: Arc<V>,
    bytes: usize,
    used: u64,
}

impl<K: Clone + Eq + Hash, V> Cache<K, V> {
    pub(super) fn new(bytes_max: usize) -> Cache<K, V> {
        Cache { bytes_max, held: Mutex::new(Held { items: HashMap::new(), bytes: 0, tick: 0 }) }
    }

    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        let mut held = self.lock();
        held.tick += 1;
        let tick = held.tick;
        let item = held.items.get_mut(key)?;
        item.used = tick;
        Some(item.value.clone())
    }

    /// Puts it in, in place of what was there. What alone is too large is not kept.
    pub(super) fn put(&self, key: K, value: Arc<V>, bytes: usize) {
        let mut held = self.lock();
        held.remove(&key);
        if bytes > self.bytes_max {
            return;
        }
        // Few items are large: a look at all of them costs less than a list that is mended with each use.
        while held.bytes + bytes > self.bytes_max {
            let oldest = held.items.iter().min_by_key(|(_, item)| item.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            held.remove(&oldest);
        }
        held.tick += 1;
        let used = held.tick;
        held.bytes += bytes;
        held.items.insert(key, Item { value, bytes, used });
    }

    /// Octets of all.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Drops those for whose key `keep` is false.
    pub(super) fn retain(&self, keep: impl Fn(&K) -> bool) {
        let mut held = self.lock();
        held.items.retain(|key, _| keep(key));
        held.bytes = held.items.values().map(|item| item.bytes).sum();
    }

    /// Nothing is left half done by a panic in any critical section here.
    fn lock(&self) -> MutexGuard<'_, Held<K, V>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V> Held<K, V> {
    fn remove(&mut self, key: &K) {
        if let Some(item) = self.items.remove(key) {
            self.bytes -= item.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let cache = Cache::new(100);
        cache.put(1, Arc::new("a"), 40);
        cache.put(2, Arc::new("b"), 40);
        assert!(cache.get(&1).is_some());
        cache.put(3, Arc::new("c"), 40);
        assert_eq!((cache.get(&1).is_some(), cache.get(&2), cache.get(&3).is_some()), (true, None, true));
        cache.put(4, Arc::new("d"), 101);
        assert!(cache.get(&4).is_none());
        cache.put(1, Arc::new("e"), 90);
        assert_eq!((cache.get(&1).as_deref(), cache.get(&3)), (Some(&"e"), None));
        cache.retain(|key| *key != 1);
        cache.put(5, Arc::new("f"), 100);
        assert!(cache.get(&5).is_some());
    }
}
