//! Bodies that have a place and are not durable yet, and places that never became durable.
//!
//! What must hold: whoever refers to a body asks here first, and what the answer is cannot change to the worse without
//! the pledge being broken: a body is void from the moment its sync failed, before its pledge says so.

use super::{BodyRef, lock};
use crate::Error;
use crate::pledge::Pledge;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

/// See above.
#[derive(Debug, Default)]
pub(super) struct Placed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What is about to be written and synced, in this order: of a segment everything from an offset on, as far as the next one.
    given: VecDeque<(u64, u64, Arc<Pledge>)>,
    /// Void places by their first segment. Segments that failed one after the other without a success in between
    /// share an entry, so that a dead disk fills no memory.
    void: BTreeMap<u64, Void>,
}

/// Places that never became durable.
#[derive(Debug)]
struct Void {
    /// The last segment.
    last: u64,
    /// From this offset on.
    offset: u64,
    /// Why.
    error: Error,
}

impl Placed {
    /// Whatever gets a place in `segment` from `offset` on will be durable when `pledge` is kept.
    pub(super) fn given(&self, segment: u64, offset: u64, pledge: Arc<Pledge>) {
        lock(&self.0).given.push_back((segment, offset, pledge));
    }

    /// The pledge of this number and those before it are kept.
    pub(super) fn kept(&self, number: u64) {
        let mut state = lock(&self.0);
        while state.given.front().is_some_and(|(_, _, pledge)| pledge.number() <= number) {
            state.given.pop_front();
        }
    }

    /// Everything of `segment` from `offset` on is void, and no other place is given.
    pub(super) fn void(&self, segment: u64, offset: u64, error: &Error) {
        let mut state = lock(&self.0);
        state.given.clear();
        let error = error.again();
        match state.void.last_entry() {
            Some(mut last)
                if offset == 0
                    && last.get().offset == 0
                    && last.get().last.checked_add(1) == Some(segment) =>
            {
                last.get_mut().last = segment;
                last.get_mut().error = error;
            }
            _ => drop(state.void.insert(segment, Void { last: segment, offset, error })),
        }
    }

    /// What a commit that refers to `body` has to rest on; the error of its sync if the body is void.
    pub(super) fn standing(&self, body: &BodyRef) -> Result<Option<Arc<Pledge>>, Error> {
        let state = lock(&self.0);
        if let Some((_, void)) = state.void.range(..=body.segment).next_back()
            && body.segment <= void.last
            && body.offset >= void.offset
        {
            return Err(void.error.again());
        }
        let mut given = state.given.iter().rev();
        let found = given.find(|(segment, from, _)| body.segment == *segment && body.offset >= *from);
        Ok(found.map(|(_, _, pledge)| pledge.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pledge::Debt;

    fn at(segment: u64, offset: u64) -> BodyRef {
        BodyRef { hash: [0; 32], segment, offset, len: 1 }
    }

    #[test]
    fn what_is_written_rests_on_its_pledge_and_what_failed_is_void() {
        let placed = Placed::default();
        let mut number = 0;
        let mut round = |segment, offset, kept| {
            number += 1;
            let debt = Debt::new(number);
            placed.given(segment, offset, debt.pledge());
            assert_eq!(placed.standing(&at(segment, offset)).unwrap(), Some(debt.pledge()));
            assert_eq!(placed.standing(&at(segment + 1, offset)).unwrap(), None);
            match kept {
                true => placed.kept(number),
                false => placed.void(segment, offset, &Error::DiskFull),
            }
        };
        round(1, 0, true);
        assert_eq!(placed.standing(&at(1, 0)).unwrap(), None);
        round(1, 500, false);
        assert_eq!(placed.standing(&at(1, 499)).unwrap(), None);
        assert!(matches!(placed.standing(&at(1, 500)), Err(Error::DiskFull)));
        // Others are as they were; failures in a row are one entry, and a success between them is spared.
        for segment in 2..100 {
            round(segment, 0, false);
        }
        assert_eq!(lock(&placed.0).void.len(), 2);
        round(100, 0, true);
        round(101, 0, false);
        assert!(placed.standing(&at(99, 0)).is_err() && placed.standing(&at(101, 7)).is_err());
        assert!(placed.standing(&at(100, 0)).unwrap().is_none() && placed.standing(&at(102, 0)).is_ok());
    }

    #[test]
    fn each_place_has_the_pledge_of_its_group() {
        let placed = Placed::default();
        let debts: Vec<Debt> = (1..=3).map(Debt::new).collect();
        for (debt, from) in debts.iter().zip([100, 200, 300]) {
            placed.given(7, from, debt.pledge());
        }
        let standing = |offset| placed.standing(&at(7, offset)).unwrap();
        assert_eq!(
            [99, 100, 199, 250, 300].map(standing).map(|found| found.map(|pledge| pledge.number())),
            [None, Some(1), Some(1), Some(2), Some(3)]
        );
        placed.kept(1);
        assert_eq!(
            [100, 250].map(standing).map(|found| found.map(|pledge| pledge.number())),
            [None, Some(2)]
        );
        placed.void(7, 200, &Error::DiskFull);
        assert!(placed.standing(&at(7, 199)).is_ok_and(|found| found.is_none()));
        assert!(placed.standing(&at(7, 200)).is_err() && placed.standing(&at(7, 999)).is_err());
        assert!(placed.standing(&at(8, 0)).is_ok_and(|found| found.is_none()));
    }
}
