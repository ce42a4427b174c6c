//! Rows of what guests of a shared mailbox have seen: `\Seen` is each person's own, all else of a message is its owner's.
//!
//! A row holds the marks of one guest for [`MARK_UIDS`] UIDs in a row. Where there is no mark the guest has not seen the message.
//! Marks of messages that are gone may be there; nobody looks at them.

use super::V1;
use crate::Error;
use crate::codec::{Put, Take};
use std::collections::BTreeMap;

/// UIDs of one row.
pub(crate) const MARK_UIDS: u32 = 256;

/// What a guest last did to `\Seen` of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) seen: bool,
    /// MODSEQ of that.
    pub(crate) modseq: u64,
}

/// By UID.
pub(crate) type Marks = BTreeMap<u32, Mark>;

/// The row in which a UID is.
pub(crate) fn mark_block(uid: u32) -> u32 {
    uid / MARK_UIDS
}

/// Marks of one block.
pub(crate) fn encode_marks(block: u32, marks: &Marks) -> Vec<u8> {
    let mut runs: Vec<(u32, u32, Mark)> = Vec::new();
    for (uid, mark) in marks {
        match runs.last_mut() {
            Some((_, to, last)) if *uid == *to + 1 && last == mark => *to = *uid,
            _ => runs.push((*uid, *uid, *mark)),
        }
    }
    let mut p = Put::version(V1);
    p.num(runs.len() as u64);
    let (mut next, mut modseq) = (block * MARK_UIDS, 0u64);
    for (from, to, mark) in runs {
        p.num(u64::from(from - next)).num(u64::from(to - from) << 1 | u64::from(mark.seen));
        p.int(mark.modseq.wrapping_sub(modseq) as i64);
        (next, modseq) = (to + 1, mark.modseq);
    }
    p.done()
}

pub(crate) fn decode_marks(block: u32, bytes: &[u8]) -> Result<Marks, Error> {
    let beyond = || Error::Damaged(format!("marks: block {block} has a UID of another one"));
    let mut t = Take::version("marks", bytes)?;
    let mut marks = Marks::new();
    let first = block.checked_mul(MARK_UIDS).ok_or_else(beyond)?;
    // Offsets in the block.
    let (mut next, mut modseq) = (0u32, 0u64);
    for _ in 0..t.num()? {
        let from = next.checked_add(t.num32()?).ok_or_else(beyond)?;
        let length = t.num32()?;
        let to = from.checked_add(length >> 1).filter(|to| *to < MARK_UIDS).ok_or_else(beyond)?;
        modseq = modseq.wrapping_add(t.int()? as u64);
        let mark = Mark { seen: length & 1 == 1, modseq };
        marks.extend((from..=to).map(|at| (first + at, mark)));
        next = to + 1;
    }
    t.end()?;
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden() {
        let seen = |modseq| Mark { seen: true, modseq };
        let marks = Marks::from([
            (256, seen(9)),
            (257, seen(9)),
            (258, Mark { seen: false, modseq: 7 }),
            (511, seen(10)),
        ]);
        let row = [1, 3, 0, 3, 18, 0, 0, 3, 0xfc, 1, 1, 6];
        assert_eq!(encode_marks(1, &marks), row);
        assert_eq!(decode_marks(1, &row).unwrap(), marks);
        assert_eq!((mark_block(255), mark_block(256), mark_block(u32::MAX)), (0, 1, (1 << 24) - 1));
    }

    #[test]
    fn marks_stay_in_their_block() {
        for bad in [&[1, 1, 0xff, 1, 2, 0][..], &[1, 1, 0x80, 2, 0, 0], &[1, 1, 0, 0], &[1, 0, 0], &[2, 0]] {
            assert!(decode_marks(1, bad).is_err(), "{bad:?}");
        }
        assert!(decode_marks(u32::MAX, &[1, 0]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            block in 0..1u32 << 24,
            marks in prop::collection::btree_map(0..MARK_UIDS, (any::<bool>(), 1..4u64), 0..256),
            base in any::<u64>(),
        ) {
            let mark = |(at, (seen, modseq))| {
                (block * MARK_UIDS + at, Mark { seen, modseq: base.saturating_add(modseq) })
            };
            let marks: Marks = marks.into_iter().map(mark).collect();
            prop_assert_eq!(decode_marks(block, &encode_marks(block, &marks)).unwrap(), marks);
        }

        #[test]
        fn whatever_lies_there_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(marks) = decode_marks(3, &bytes) {
                prop_assert!(marks.keys().all(|uid| mark_block(*uid) == 3));
                prop_assert_eq!(decode_marks(3, &encode_marks(3, &marks)).unwrap(), marks);
            }
        }
    }
}
