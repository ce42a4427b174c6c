//! Reading messages to see which hold a needle: what the index does not know, and what it is not sure of.

use super::read::{ReadRoom, Reading, top_header};
use super::words::Needle;
use super::{Scope, Search};
use crate::account::{self, DetailRef, MailboxId};
use crate::engine::Snapshot;
use crate::{Error, key, row};
use proto::message::{header, text};
use proto::proof::AccountId;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Threads that read for one search.
const THREADS_MAX: usize = 2;
/// Messages that a thread takes at a time.
const STEP: usize = 32;

/// What makes a message a match.
pub(super) enum Test<'a> {
    /// Its texts, or all of it, hold the needle.
    Text(&'a Needle, Scope),
    /// A field of this name holds the needle.
    Field(&'a str, &'a Needle),
}

/// Which messages, and whose.
pub(super) struct Scan<'a> {
    pub(super) search: &'a Search,
    pub(super) account: AccountId,
    pub(super) mailbox: MailboxId,
    /// Nobody waits for the answer any more.
    pub(super) cancelled: &'a AtomicBool,
}

/// What reading takes, used again for each message.
#[derive(Default)]
struct Room {
    unpacked: Vec<u8>,
    read: ReadRoom,
}

impl Scan<'_> {
    /// Those of `messages` (sequence number and UID) that pass. Messages that are gone do not, nor do those that are damaged.
    pub(super) fn run(&self, messages: &[(u32, u32)], test: &Test<'_>) -> Result<Vec<u32>, Error> {
        let next = AtomicUsize::new(0);
        let found: Mutex<Result<Vec<u32>, Error>> = Mutex::new(Ok(Vec::new()));
        let threads = messages.len().div_ceil(STEP).min(THREADS_MAX);
        let work = || {
            let mine = self.some(messages, &next, test);
            let mut all = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match (&mut *all, mine) {
                (Ok(all), Ok(mine)) => all.extend(mine),
                (_, Ok(_)) => {}
                (all, Err(error)) => {
                    // The others need not go on.
                    next.store(messages.len(), Ordering::Relaxed);
                    *all = Err(error);
                }
            }
        };
        std::thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn some(&self, messages: &[(u32, u32)], next: &AtomicUsize, test: &Test<'_>) -> Result<Vec<u32>, Error> {
        let mut found = Vec::new();
        let (snapshot, mut room) = (self.search.engine().snapshot()?, Room::default());
        loop {
            let from = next.fetch_add(STEP, Ordering::Relaxed);
            let Some(rest) = messages.get(from..).filter(|rest| !rest.is_empty()) else { return Ok(found) };
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(Error::Closed);
            }
            self.few(&*snapshot, &rest[..rest.len().min(STEP)], test, &mut room, &mut found)?;
        }
    }

    /// Some that follow each other, whose rows are most likely neighbours.
    fn few(
        &self,
        snapshot: &dyn Snapshot,
        messages: &[(u32, u32)],
        test: &Test<'_>,
        room: &mut Room,
        found: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let uids: Vec<u32> = messages.iter().map(|(_, uid)| *uid).collect();
        account::read_details(
            snapshot,
            key::partition(self.account),
            self.mailbox,
            &uids,
            &mut |uid, stored| {
                let passed = row::decode_detail_ref(uid, stored, &mut room.unpacked)
                    .and_then(|detail| self.passes(&detail, test, &mut room.read));
                match passed {
                    Ok(true) => {
                        let at = messages.binary_search_by_key(&uid, |(_, uid)| *uid);
                        found.extend(at.ok().and_then(|at| messages.get(at)).map(|(seq, _)| *seq));
                    }
                    Ok(false) => {}
                    Err(Error::Damaged(text)) => {
                        let (account, mailbox) = (self.account.0, self.mailbox.0);
                        tracing::warn!(account, mailbox, uid, text, "a damaged message was not searched");
                    }
                    Err(other) => return Err(other),
                }
                Ok(())
            },
        )
    }

    fn passes(&self, detail: &DetailRef<'_>, test: &Test<'_>, room: &mut ReadRoom) -> Result<bool, Error> {
        let bodies = self.search.bodies();
        match test {
            Test::Field(name, needle) => {
                let header = top_header(bodies, &mut room.last, detail)?;
                let mut fields = header::fields(&header).filter(|field| field.is(name));
                Ok(fields.any(|field| needle.is_in(text::fold(&text::header(field.value)).as_bytes())))
            }
            Test::Text(needle, scope) => {
                let mut reading = Reading::new(bodies, detail, room)?;
                let mut looking = Looking::new(needle);
                if *scope == Scope::Whole {
                    reading.headers(&mut |piece| looking.feed(piece))?;
                }
                if !looking.found {
                    reading.texts(&mut |piece| looking.feed(piece))?;
                }
                Ok(looking.found)
            }
        }
    }
}

/// Looks for a needle in a stream.
struct Looking<'a> {
    needle: &'a Needle,
    /// The end of what has passed, in which the needle may have begun.
    tail: Vec<u8>,
    found: bool,
}

impl<'a> Looking<'a> {
    fn new(needle: &'a Needle) -> Looking<'a> {
        Looking { needle, tail: Vec::new(), found: false }
    }

    fn feed(&mut self, piece: &[u8]) -> ControlFlow<()> {
        let keep = self.needle.len().saturating_sub(1);
        if !self.tail.is_empty() {
            self.tail.extend_from_slice(&piece[..piece.len().min(keep)]);
            self.found |= self.needle.is_in(&self.tail);
        }
        self.found |= self.needle.is_in(piece);
        if piece.len() >= keep {
            self.tail.clear();
            self.tail.extend_from_slice(&piece[piece.len() - keep..]);
        } else {
            if self.tail.is_empty() {
                self.tail.extend_from_slice(piece);
            }
            let surplus = self.tail.len().saturating_sub(keep);
            self.tail.drain(..surplus);
        }
        if self.found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_needle_is_found_across_pieces(text in "[ab]{0,40}", needle in "[ab]{1,6}", cuts in proptest::collection::vec(1usize..5, 40)) {
            let needle_text = needle;
            let needle = Needle::new(&needle_text);
            let mut looking = Looking::new(&needle);
            let (mut rest, mut cuts) = (text.as_bytes(), cuts.into_iter());
            while !rest.is_empty() && !looking.found {
                let (piece, left) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                if looking.feed(piece).is_break() {
                    break;
                }
                rest = left;
            }
            prop_assert_eq!(looking.found, text.contains(&needle_text));
        }
    }
}
