//! What is gathered of mailboxes and stands in no block yet.
//!
//! A mailbox's tail has the words of all messages above its blocks: parts that are full and wait to be written, and one that is open.
//! What must hold: parts are written in their order, so that blocks do not overlap; whoever looks for a message looks
//! at the tail first and at the blocks then, so that it is not missed on its way; all tails together are bounded.

use super::gathered::{Gathered, Heard};
use super::told::{Told, Waiting};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Octets of all tails together: past that, gathering waits until something is written.
pub(super) const TAILS_BYTES_MAX: usize = 96 << 20;
/// A part is full with so many octets, or with as many messages as a block.
const PART_BYTES_MAX: usize = 24 << 20;

/// Account and mailbox.
pub(super) type Id = (u64, u32);

/// Those of all mailboxes.
#[derive(Debug, Default)]
pub(super) struct Tails {
    all: Mutex<HashMap<Id, Arc<Tail>>>,
    bytes: Arc<AtomicUsize>,
    waiting: Waiting,
}

/// That of one mailbox.
#[derive(Debug)]
pub(super) struct Tail {
    /// All messages up to this UID have been looked at. Who adds holds it.
    upto: Mutex<u32>,
    held: Mutex<Held>,
    /// New messages that wait to be added.
    told: Mutex<Told>,
    all_bytes: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Held {
    /// Messages with lower UIDs are in blocks or nowhere.
    from: u32,
    full: Vec<Arc<Gathered>>,
    open: Gathered,
    /// As counted among all.
    bytes: usize,
    touched: Instant,
}

impl Tails {
    pub(super) fn get(&self, id: Id) -> Option<Arc<Tail>> {
        lock(&self.all).get(&id).cloned()
    }

    /// One that begins above `last`, unless there is one by now.
    pub(super) fn begin(&self, id: Id, last: u32) -> Arc<Tail> {
        let held = Held {
            from: last.saturating_add(1),
            full: Vec::new(),
            open: Gathered::default(),
            bytes: 0,
            touched: Instant::now(),
        };
        let fresh = Tail {
            upto: Mutex::new(last),
            held: Mutex::new(held),
            told: Mutex::new(Told::new(self.waiting.clone())),
            all_bytes: self.bytes.clone(),
        };
        lock(&self.all).entry(id).or_insert_with(|| Arc::new(fresh)).clone()
    }

    pub(super) fn forget(&self, id: Id) {
        lock(&self.all).remove(&id);
    }

    /// Octets of all.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Messages of all.
    pub(super) fn messages(&self) -> u64 {
        let all: Vec<Arc<Tail>> = lock(&self.all).values().cloned().collect();
        all.iter().map(|tail| tail.held().messages()).sum()
    }

    /// There is no room for more.
    pub(super) fn is_full(&self) -> bool {
        self.bytes() > TAILS_BYTES_MAX
    }

    /// Closes the open parts of mailboxes that have `least` messages in them and were not touched for so long; these mailboxes.
    pub(super) fn close_quiet(&self, least: u32, quiet: Duration) -> Vec<Id> {
        let all: Vec<(Id, Arc<Tail>)> =
            lock(&self.all).iter().map(|(id, tail)| (*id, tail.clone())).collect();
        let mut closed = Vec::new();
        for (id, tail) in all {
            let mut held = tail.held();
            if held.open.count() >= least && held.touched.elapsed() >= quiet {
                held.close();
                closed.push(id);
            }
        }
        closed
    }

    /// Makes room from the largest that have `least` messages, so that blocks are large: their open parts are closed, and these
    /// mailboxes are returned. Where that is not enough, those that were not touched for longest are given up, and read by searches.
    pub(super) fn make_room(&self, least: u32) -> Vec<Id> {
        let all: Vec<(Id, Arc<Tail>)> =
            lock(&self.all).iter().map(|(id, tail)| (*id, tail.clone())).collect();
        let (mut large, mut small) = (Vec::new(), Vec::new());
        for (id, tail) in all {
            let held = tail.held();
            let (bytes, touched) = (held.bytes, held.touched);
            let is_large = held.open.count() >= least || !held.full.is_empty();
            drop(held);
            if is_large { large.push((bytes, id, tail)) } else { small.push((touched, id, bytes)) }
        }
        large.sort_unstable_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes));
        small.sort_unstable_by_key(|(touched, ..)| *touched);
        let (mut room, mut closed) = (0, Vec::new());
        for (bytes, id, tail) in large {
            if room > TAILS_BYTES_MAX / 4 {
                return closed;
            }
            room += bytes;
            let mut held = tail.held();
            // What was closed before is on its way.
            if held.open.count() >= least {
                held.close();
                closed.push(id);
            }
        }
        for (_, id, bytes) in small {
            if room > TAILS_BYTES_MAX / 4 {
                break;
            }
            room += bytes;
            self.forget(id);
        }
        closed
    }
}

impl Tail {
    /// Whoever adds messages holds it, and moves it behind what was looked at.
    pub(super) fn upto(&self) -> MutexGuard<'_, u32> {
        lock(&self.upto)
    }

    /// New messages that wait to be added. It is never held while anything is read.
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        lock(&self.told)
    }

    /// The lowest UID that it is for.
    pub(super) fn from(&self) -> u32 {
        self.held().from
    }

    /// Adds a message above all others. True: there is something to be written now.
    pub(super) fn add(&self, uid: u32, heard: &mut Heard) -> bool {
        let mut held = self.held();
        held.open.add(uid, heard);
        held.touched = Instant::now();
        let full =
            held.open.count() >= super::block::BLOCK_MESSAGES_MAX || held.open.bytes() >= PART_BYTES_MAX;
        if full {
            held.close();
        }
        self.count(&mut held);
        full
    }

    /// Closes the open part, if there is anything in it.
    pub(super) fn close(&self) {
        self.held().close();
    }

    /// The part to be written next.
    pub(super) fn first_full(&self) -> Option<Arc<Gathered>> {
        self.held().full.first().cloned()
    }

    /// That part is in a block now.
    pub(super) fn written(&self, part: &Gathered) {
        let mut held = self.held();
        if let Some(last) = part.uids.last() {
            held.from = held.from.max(last.0 + last.1);
        }
        held.full.retain(|held| !std::ptr::eq(&**held, part));
        self.count(&mut held);
    }

    /// Looks at the open part, and gives the others.
    pub(super) fn look<T>(&self, open: impl FnOnce(&Gathered) -> T) -> (Vec<Arc<Gathered>>, T) {
        let held = self.held();
        (held.full.clone(), open(&held.open))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(|poisoned| {
            // A message may be half in: without all of it, everything is read or made anew.
            let mut held = poisoned.into_inner();
            (held.full, held.open) = (Vec::new(), Gathered::default());
            self.held.clear_poison();
            held
        })
    }

    fn count(&self, held: &mut Held) {
        let now = held.open.bytes() + held.full.iter().map(|part| part.bytes()).sum::<usize>();
        // Never below nothing, for what is taken off was added before.
        self.all_bytes.fetch_add(now, Ordering::Relaxed);
        self.all_bytes.fetch_sub(std::mem::replace(&mut held.bytes, now), Ordering::Relaxed);
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let bytes = self.held.get_mut().unwrap_or_else(PoisonError::into_inner).bytes;
        self.all_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Held {
    fn messages(&self) -> u64 {
        self.full.iter().map(|part| u64::from(part.count())).sum::<u64>() + u64::from(self.open.count())
    }

    fn close(&mut self) {
        if self.open.count() > 0 {
            self.full.push(Arc::new(std::mem::take(&mut self.open)));
        }
    }
}

/// What is held here is whole after any panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::block::Section;
    use crate::search::docs::Docs;
    use memchr::memmem::Finder;

    fn add(tail: &Tail, uids: std::ops::Range<u32>) {
        for uid in uids {
            tail.add(uid, &mut Heard::of("SUBJECT: S", &format!("WORD{uid} ")));
        }
    }

    #[test]
    fn parts_are_written_in_their_order_and_searched_until_then() {
        let tails = Tails::default();
        let tail = tails.begin((1, 2), 9);
        assert_eq!((tail.from(), *tail.upto()), (10, 9));
        add(&tail, 10..14);
        tail.close();
        add(&tail, 14..16);
        assert!(tails.bytes() > 0);
        assert_eq!(tails.messages(), 6);
        let (full, open) = tail.look(|open| open.uids.clone());
        assert_eq!((full.len(), open), (1, vec![(14, 2)]));
        let mut all = Docs::none(4);
        all.set_range(0, 4);
        let mut third = Docs::none(4);
        third.set(2);
        assert_eq!(full[0].find(Section::Body, &Finder::new("WORD12"), &all), third);
        let part = tail.first_full().unwrap();
        tail.written(&part);
        assert_eq!((tail.from(), tails.messages()), (14, 2));
        assert!(tail.first_full().is_none());
        tails.forget((1, 2));
        drop(tail);
        assert_eq!(tails.bytes(), 0, "what is gone is not counted");
    }

    #[test]
    fn room_is_made_of_what_is_largest_and_has_enough() {
        let tails = Tails::default();
        let (few, many) = (tails.begin((1, 1), 0), tails.begin((1, 2), 0));
        add(&few, 1..3);
        add(&many, 1..10);
        assert_eq!(tails.close_quiet(5, Duration::from_secs(3600)), []);
        assert_eq!(tails.make_room(5), [(1, 2)]);
        assert!(tails.get((1, 1)).is_none(), "too few for a block");
        assert_eq!(many.first_full().unwrap().count(), 9);
        add(&many, 10..20);
        assert_eq!(tails.close_quiet(5, Duration::ZERO), [(1, 2)]);
        assert_eq!(tails.close_quiet(5, Duration::ZERO), []);
    }

    #[test]
    fn after_a_panic_nothing_is_taken_for_whole() {
        let tails = Tails::default();
        let tail = tails.begin((1, 1), 0);
        add(&tail, 1..5);
        let broken = tail.clone();
        std::thread::spawn(move || broken.look(|_| panic!("a test"))).join().unwrap_err();
        assert_eq!(tail.look(|open| open.count()).1, 0);
        assert_eq!(tail.from(), 1);
    }
}
