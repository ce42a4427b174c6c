//! A map that forgets: bounded, and cheap to keep so.
//!
//! Two generations of half the size each. What is used moves to the young one;
//! when that is full the old one is dropped whole. So at least the last half of
//! the capacity is always remembered, at the cost of an ordinary map.

use std::collections::HashMap;
use std::hash::Hash;

#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    pub(super) fn new(entries_max: usize) -> Recent<K, V> {
        Recent { young: HashMap::new(), old: HashMap::new(), half: (entries_max / 2).max(1) }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_and_stays_bounded() {
        let mut recent = Recent::new(10);
        for key in 0..1000 {
            recent.insert(key, key);
            assert!(recent.young.len() + recent.old.len() <= 10);
        }
        assert_eq!(recent.get(&999), Some(&999));
        assert_eq!(recent.get(&995), Some(&995));
        assert_eq!(recent.get(&980), None);
    }

    #[test]
    fn what_is_written_again_stays() {
        let mut recent = Recent::new(10);
        for key in 0..100 {
            recent.insert(key, 1);
            recent.insert(0, key);
        }
        assert_eq!(recent.get(&0), Some(&99));
    }
}
