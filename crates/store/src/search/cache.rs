//! What was read is kept in memory, up to a number of octets; what was not used for longest goes first. But who goes through more
//! than there is room for, again and again, would so find nothing of it: what the same round has used stays, and what comes then
//! is not kept.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See above.
pub(super) struct Cache<K, V> {
    bytes_max: usize,
    held: Mutex<Held<K, V>>,
}

/// When somebody began to go through some items.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round(u64);

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

    /// A round begins: what is used from now on is not in its own way.
    pub(super) fn round(&self) -> Round {
        Round(self.lock().tick)
    }

    /// Puts it in, in place of what was there. What alone is too large is not kept, nor what has no room beside the items that
    /// were used since `round` began.
    pub(super) fn put(&self, key: K, value: Arc<V>, bytes: usize, round: Round) {
        let mut held = self.lock();
        held.remove(&key);
        if bytes > self.bytes_max {
            return;
        }
        // Few items are large: a look at all of them costs less than a list that is mended with each use.
        while held.bytes + bytes > self.bytes_max {
            let before = held.items.iter().filter(|(_, item)| item.used <= round.0);
            let Some(oldest) = before.min_by_key(|(_, item)| item.used).map(|(key, _)| key.clone()) else {
                return;
            };
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
        let put = |key, value, bytes| cache.put(key, Arc::new(value), bytes, cache.round());
        put(1, "a", 40);
        put(2, "b", 40);
        assert!(cache.get(&1).is_some());
        put(3, "c", 40);
        assert_eq!((cache.get(&1).is_some(), cache.get(&2), cache.get(&3).is_some()), (true, None, true));
        put(4, "d", 101);
        assert!(cache.get(&4).is_none());
        put(1, "e", 90);
        assert_eq!((cache.get(&1).as_deref(), cache.get(&3)), (Some(&"e"), None));
        cache.retain(|key| *key != 1);
        put(5, "f", 100);
        assert!(cache.get(&5).is_some());
    }

    #[test]
    fn a_round_that_is_too_long_finds_its_first_items_again() {
        let cache = Cache::new(100);
        let pass = |keys: std::ops::Range<u32>| {
            let round = cache.round();
            let found = |key: &u32| {
                let found = cache.get(key).is_some();
                if !found {
                    cache.put(*key, Arc::new(()), 10, round);
                }
                found
            };
            keys.filter(found).count()
        };
        assert_eq!([pass(0..30), pass(0..30), pass(0..30)], [0, 10, 10]);
        assert_eq!([pass(30..35), pass(30..35)], [0, 5], "somebody else's");
        // What was left of its first items made room for those that had gone.
        assert_eq!([pass(0..30), pass(0..30)], [0, 10]);
    }
}
