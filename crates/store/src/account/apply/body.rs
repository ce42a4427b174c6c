//! The compactor has copied bodies.

use super::Change;
use crate::account::Refused;
use crate::account::lane::BodyMove;
use crate::row;

impl Change<'_> {
    /// Details that still refer to the old place refer to the new one.
    pub(super) fn move_bodies(&mut self, moves: &[BodyMove]) -> Result<(), Refused> {
        let mut rows = Vec::new();
        for step in moves {
            let pledge = self.condemned.admit(&step.to)?;
            // Removed by an operation of the same commit, it does not come back.
            if let Some(stored) = self.detail(step.mailbox, step.uid)? {
                let mut detail = row::Front::decode(&stored)?;
                if (detail.body.segment, detail.body.offset) == (step.from.segment, step.from.offset) {
                    detail.body = step.to.clone();
                    rows.push((step.mailbox, step.uid, detail.encode(), pledge));
                }
            }
        }
        for (mailbox, uid, detail, pledge) in rows {
            pledge.into_iter().for_each(|pledge| self.batch.rest_on(pledge));
            self.put_detail(mailbox, uid, detail);
        }
        Ok(())
    }
}
