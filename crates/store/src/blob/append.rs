//! How frames get their places in the active segment, and wait until they are durable there. A frame gets its place from whoever
//! brings it, under the lock of the queue, so that nobody waits to learn it; the journal (`log`) writes all that wait together and syncs once.
//!
//! What must hold: frames lie in the segment in the order of their places, without gaps.

use super::lock;
use super::placed::Placed;
use super::write::Spool;
use crate::Error;
use crate::pledge::Debt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Octets that may wait without anybody waiting for them.
const WAITING_BYTES_MAX: u64 = 1 << 20;

/// Called when there is something to write.
pub(crate) type Nudge = Arc<dyn Fn() + Send + Sync>;

/// A finished frame.
pub(super) enum Frame {
    Memory(Vec<u8>),
    Spooled(Spool),
}

impl Frame {
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Frame::Memory(bytes) => bytes.len() as u64,
            Frame::Spooled(spool) => spool.bytes,
        }
    }
}

/// Segment and offset.
pub(super) type Place = (u64, u64);

/// Called with the place.
type Tell = Box<dyn FnOnce(Result<Place, Error>) + Send>;

/// What the owner of a frame waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// It has a place. It is written at the latest with a commit that refers to it, which rests on its pledge.
    Placed,
    Durable,
}

/// A frame without a place: a segment has to be begun first.
pub(super) struct Job {
    frame: Frame,
    until: Until,
    tell: Tell,
}

impl Job {
    /// There is no segment to be had.
    pub(super) fn refuse(self, error: &Error) {
        drop(self.frame);
        (self.tell)(Err(error.again()));
    }
}

/// A frame with its place, and who waits until it is durable.
pub(super) struct Item {
    pub(super) frame: Frame,
    waits: Option<(Place, Tell)>,
}

impl Item {
    /// The spool file is removed before the answer, so that no file is left when all are answered.
    pub(super) fn answer(self, outcome: &Result<(), Error>) {
        drop(self.frame);
        if let Some((place, tell)) = self.waits {
            tell(outcome.as_ref().map(|()| place).map_err(Error::again));
        }
    }
}

/// Frames that lie side by side and share a sync.
pub(super) struct Group {
    pub(super) from: u64,
    pub(super) end: u64,
    pub(super) items: Vec<Item>,
    pub(super) debt: Debt,
    /// Somebody waits for one of them.
    awaited: bool,
}

/// The segment in which places are given.
#[derive(Clone, Copy)]
pub(super) struct Open {
    pub(super) segment: u64,
    /// Where the next frame begins,
    pub(super) end: u64,
    /// if that is below this.
    pub(super) limit: u64,
}

/// What waits for the journal.
#[derive(Default)]
pub(super) struct Queue {
    /// It lies in the open segment, or in the last one if none is open.
    pub(super) group: Option<Group>,
    /// They come behind it.
    pub(super) unplaced: Vec<Job>,
    pub(super) open: Option<Open>,
    /// Pledges given so far.
    pledges: u64,
    closing: bool,
}

impl Queue {
    /// True if it is not to wait for a commit.
    pub(super) fn is_due(&self) -> bool {
        let much = |group: &Group| group.awaited || group.end - group.from >= WAITING_BYTES_MAX;
        !self.unplaced.is_empty() || self.group.as_ref().is_some_and(much)
    }

    /// Where a frame that comes now lies, if a segment is open and has room.
    fn next(&mut self) -> Option<Place> {
        self.open = self.open.filter(|open| open.end < open.limit);
        self.open.map(|open| (open.segment, open.end))
    }

    /// Puts a frame at `place`, which is the next one. What its owner is told at once, if that is all that it waits for.
    fn put(&mut self, placed: &Placed, place: Place, job: Job) -> Option<(Tell, Place)> {
        let Job { frame, until, tell } = job;
        let (segment, from) = place;
        let pledges = &mut self.pledges;
        let group = self.group.get_or_insert_with(|| {
            *pledges += 1;
            let debt = Debt::new(*pledges);
            placed.given(segment, from, debt.pledge());
            Group { from, end: from, items: Vec::new(), debt, awaited: false }
        });
        group.end = from + frame.bytes();
        if let Some(open) = &mut self.open {
            open.end = group.end;
        }
        let (waits, known) = match until {
            Until::Durable => (Some((place, tell)), None),
            Until::Placed => (None, Some((tell, place))),
        };
        group.awaited |= waits.is_some();
        group.items.push(Item { frame, waits });
        known
    }

    /// Gives places to those that wait for one, as far as the open segment has room; who is to be told.
    pub(super) fn place(&mut self, placed: &Placed) -> Vec<(Tell, Place)> {
        let mut told = Vec::new();
        let mut jobs = std::mem::take(&mut self.unplaced).into_iter();
        while let Some(place) = self.next()
            && let Some(job) = jobs.next()
        {
            told.extend(self.put(placed, place, job));
        }
        self.unplaced = jobs.collect();
        told
    }
}

/// What gives places.
pub(crate) struct Appender {
    pub(super) queue: Mutex<Queue>,
    pub(super) placed: Arc<Placed>,
    pub(super) syncs: AtomicU64,
    /// Numbers of the segments that are not sealed yet: the one in use, or that was until a failure, and the next one; zero: none.
    pub(super) active: AtomicU64,
    pub(super) next: AtomicU64,
    nudge: Nudge,
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appender").field("active", &self.active).finish_non_exhaustive()
    }
}

impl Appender {
    pub(super) fn new(open: Option<Open>, placed: Arc<Placed>, nudge: Nudge) -> Appender {
        let active = AtomicU64::new(open.map_or(0, |open| open.segment));
        let queue = Mutex::new(Queue { open, ..Queue::default() });
        let (syncs, next) = (AtomicU64::new(0), AtomicU64::new(0));
        Appender { queue, placed, syncs, active, next, nudge }
    }

    /// Appends and waits without blocking a thread; to learn a place there is mostly nothing to wait for.
    pub(super) async fn append_async(&self, frame: Frame, until: Until) -> Result<Place, Error> {
        let (tell, told) = tokio::sync::oneshot::channel();
        if let Some(place) = self.push(frame, until, Box::new(move |result| drop(tell.send(result)))) {
            return Ok(place);
        }
        told.await.unwrap_or(Err(Error::Closed))
    }

    /// Appends and waits on this thread.
    pub(super) fn append_wait(&self, frame: Frame) -> Result<Place, Error> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let tell = Box::new(move |result| drop(tell.send(result)));
        // Who waits for more than a place is told by `tell`.
        let _none = self.push(frame, Until::Durable, tell);
        told.recv().unwrap_or(Err(Error::Closed))
    }

    /// The place, if that is all that is waited for and it is known; else `tell` is called.
    fn push(&self, frame: Frame, until: Until, tell: Tell) -> Option<Place> {
        let mut queue = lock(&self.queue);
        if queue.closing {
            return None;
        }
        let was_due = queue.is_due();
        let job = Job { frame, until, tell };
        let known = match queue.next() {
            Some(place) => queue.put(&self.placed, place, job).map(|(_, place)| place),
            None => {
                queue.unplaced.push(job);
                None
            }
        };
        let nudge = !was_due && queue.is_due();
        drop(queue);
        if nudge {
            (self.nudge)();
        }
        known
    }

    /// Nothing is taken any more.
    pub(super) fn close(&self) {
        lock(&self.queue).closing = true;
        (self.nudge)();
    }

    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    pub(super) fn count_sync(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_open(&self, segment: u64) -> bool {
        [&self.next, &self.active].iter().any(|number| number.load(Ordering::SeqCst) == segment)
    }
}
