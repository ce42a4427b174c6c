//! Bodies that have a place and are not durable yet, and places that never became durable.
//!
//! What must hold: whoever refers to a body asks here first, and what the answer is cannot change to the worse without
//! the pledge being broken: a body is void from the moment its sync failed, before its pledge says so.

use super::{BodyRef, lock};
use crate::Error;
use crate::pledge::Pledge;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// See above.
#[derive(Debug, Default)]
pub(super) struct Placed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What is written and about to be synced: everything of a segment from an offset on.
    open: Option<(u64, u64, Arc<Pledge>)>,
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
    /// Everything of `segment` from `offset` on is written.
    pub(super) fn written(&self, segment: u64, offset: u64, pledge: Arc<Pledge>) {
        lock(&self.0).open = Some((segment, offset, pledge));
    }

    /// It is durable, or void.
    pub(super) fn decided(&self, outcome: &Result<(), Error>) {
        let mut state = lock(&self.0);
        let Some((segment, offset, _)) = state.open.take() else { return };
        let Err(error) = outcome else { return };
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
        let open =
            state.open.as_ref().filter(|(segment, from, _)| body.segment == *segment && body.offset >= *from);
        Ok(open.map(|(_, _, pledge)| pledge.clone()))
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
        let round = |segment, offset, kept| {
            let debt = Debt::new(1, Arc::new(|| ()));
            placed.written(segment, offset, debt.pledge());
            assert_eq!(placed.standing(&at(segment, offset)).unwrap(), Some(debt.pledge()));
            assert_eq!(placed.standing(&at(segment + 1, offset)).unwrap(), None);
            placed.decided(&if kept { Ok(()) } else { Err(Error::DiskFull) });
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
}
