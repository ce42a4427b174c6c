//! A pledge: certain octets are on their way to the disk, and somebody will say what became of it.
//!
//! A body has a place before it is written, so that the rows that refer to it can be made meanwhile: a batch that rests on a
//! pledge is committed with what was pledged or after it, and refused if it was broken.
//!
//! What must hold: who owes it says what became of it, or dies; in either case it is decided, so that nobody waits for ever.

use crate::Error;
use std::sync::{Arc, OnceLock};

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
}

impl Debt {
    pub(crate) fn new(number: u64) -> Debt {
        Debt { pledge: Arc::new(Pledge { number, outcome: OnceLock::new() }) }
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
    }
}

#[cfg(test)]
mod tests {
    use super::Debt;
    use crate::Error;

    #[test]
    fn a_debt_is_settled_or_broken() {
        let (kept, broken) = (Debt::new(1), Debt::new(2));
        let pledges = [kept.pledge(), broken.pledge()];
        assert!(pledges.iter().all(|pledge| pledge.outcome().is_none()));
        kept.settle(Ok(()));
        assert!(matches!(pledges[0].outcome(), Some(Ok(()))));
        drop(broken);
        assert!(matches!(pledges[1].outcome(), Some(Err(Error::Closed))));
        assert!(pledges[0] != pledges[1]);
    }
}
