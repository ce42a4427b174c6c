//! A pledge: certain octets are on their way to the disk, and somebody will say what became of it.
//!
//! A body's sync and the work on the rows that refer to it can so go on at the same time: a batch that rests on a pledge
//! is committed only after it was kept, and refused if it was broken.
//!
//! What must hold: who owes it says what became of it, or dies; in either case it is decided, so that nobody waits for ever.

use crate::Error;
use std::sync::{Arc, OnceLock};

/// Called after a pledge was decided.
pub(crate) type Nudge = Arc<dyn Fn() + Send + Sync>;

/// See above. Later ones have higher numbers.
#[derive(Debug)]
pub struct Pledge {
    number: u64,
    outcome: OnceLock<Result<(), Error>>,
}

impl Pledge {
    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// `None`: it is not decided yet.
    pub(crate) fn outcome(&self) -> Option<Result<(), Error>> {
        self.outcome.get().map(|outcome| outcome.as_ref().copied().map_err(Error::again))
    }

    /// True if it is kept or broken.
    pub(crate) fn is_decided(&self) -> bool {
        self.outcome.get().is_some()
    }
}

/// Two are equal only if they are one.
impl PartialEq for Pledge {
    fn eq(&self, other: &Pledge) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Pledge {}

/// What somebody owes. Dropped without a word, the pledge is broken.
pub(crate) struct Debt {
    pledge: Arc<Pledge>,
    nudge: Nudge,
}

impl Debt {
    pub(crate) fn new(number: u64, nudge: Nudge) -> Debt {
        Debt { pledge: Arc::new(Pledge { number, outcome: OnceLock::new() }), nudge }
    }

    pub(crate) fn pledge(&self) -> Arc<Pledge> {
        self.pledge.clone()
    }

    /// Decides it.
    pub(crate) fn settle(self, outcome: Result<(), Error>) {
        // Nobody else has the debt, so that it is not decided yet.
        drop(self.pledge.outcome.set(outcome));
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        // Without effect on one that is settled.
        drop(self.pledge.outcome.set(Err(Error::Closed)));
        (self.nudge)();
    }
}

#[cfg(test)]
mod tests {
    use super::Debt;
    use crate::Error;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_debt_is_settled_or_broken_and_tells_once() {
        let nudges = Arc::new(AtomicU32::new(0));
        let counter = nudges.clone();
        let nudge: super::Nudge = Arc::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let (kept, broken) = (Debt::new(1, nudge.clone()), Debt::new(2, nudge));
        let pledges = [kept.pledge(), broken.pledge()];
        assert!(pledges.iter().all(|pledge| !pledge.is_decided() && pledge.outcome().is_none()));
        kept.settle(Ok(()));
        assert!(matches!(pledges[0].outcome(), Some(Ok(()))));
        drop(broken);
        assert!(matches!(pledges[1].outcome(), Some(Err(Error::Closed))));
        assert_eq!(nudges.load(Ordering::SeqCst), 2);
        assert!(pledges[0] != pledges[1]);
    }
}
