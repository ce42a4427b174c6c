//! How many octets of each segment are probably dead. Removals add to it, a compactor's mark sets it right.
//!
//! It only says when a mark may be worth its reads: a body that is shared is counted at each removal, and what
//! happened before the last start is not known. Nothing is deleted because of it.

use super::{BodyRef, frame};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// Segments remembered; beyond it the daily mark has to do.
const SEGMENTS_MAX: usize = 1 << 16;

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Dead(Mutex<HashMap<u64, u64>>);

impl Dead {
    /// A reference to `body` is gone.
    pub(crate) fn add(&self, body: &BodyRef) {
        self.raise(body.segment, frame::frame_bytes(body.len).unwrap_or(0));
    }

    fn raise(&self, segment: u64, bytes: u64) {
        // Numbers are whole after any panic.
        let mut dead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if dead.len() < SEGMENTS_MAX || dead.contains_key(&segment) {
            let known = dead.entry(segment).or_default();
            *known = known.saturating_add(bytes);
        }
    }

    /// Begins afresh: a mark begins, whose result is to be given to [`Dead::set`].
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What a mark found; removals since [`Dead::clear`] stay counted.
    pub(crate) fn set(&self, sizes: &BTreeMap<u64, u64>, living: &HashMap<u64, u64>) {
        for (segment, size) in sizes {
            let dead = size.saturating_sub(living.get(segment).copied().unwrap_or(0));
            if dead > 0 {
                self.raise(*segment, dead);
            }
        }
    }

    /// True if one of these segments may be half dead.
    pub(crate) fn is_worth_a_mark(&self, sizes: &BTreeMap<u64, u64>) -> bool {
        let dead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.iter().any(|(n, size)| dead.get(n).is_some_and(|dead| dead.saturating_mul(2) >= *size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_segment_makes_it_worth_a_look() {
        let body = |segment, len| BodyRef { hash: [0; 32], segment, offset: 0, len };
        let dead = Dead::default();
        let sizes = BTreeMap::from([(1, 2000), (2, 8000)]);
        assert!(!dead.is_worth_a_mark(&sizes));
        dead.add(&body(2, 1000));
        dead.add(&body(3, 9000));
        assert!(!dead.is_worth_a_mark(&sizes));
        dead.add(&body(1, 1000));
        assert!(dead.is_worth_a_mark(&sizes));
        dead.clear();
        dead.add(&body(1, 100));
        dead.set(&sizes, &HashMap::from([(1, 1900), (2, 4500)]));
        assert!(!dead.is_worth_a_mark(&sizes), "the mark found that most of them lives");
        dead.add(&body(2, 1000));
        assert!(dead.is_worth_a_mark(&sizes));
    }
}
