//! The one thread that appends to the active segment. A frame gets its place from whoever brings it, under the lock of the
//! queue, so that nobody waits to learn it; the thread writes all frames of a group together, syncs once, and answers those who wait
//! until they are durable. What comes meanwhile is the next group.
//!
//! What must hold: frames lie in the segment in the order of their places, without gaps. A frame is called durable only after the
//! sync that covers it. After a write or sync that failed, nothing since the last good sync counts as written, nor does what
//! was given a place behind it: the segment is cut back and sealed, and the next frame begins a new one. A failed sync is never
//! repeated and believed, because the system may have dropped the pages that it could not write.

use super::placed::Placed;
use super::write::Spool;
use super::{Shared, frame, lock, segment_path};
use crate::Error;
use crate::disk::Disk;
use crate::pledge::{Debt, Nudge};
use std::collections::VecDeque;
use std::fs::File;
use std::io::IoSlice;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

/// Octets written together.
const GROUP_BYTES_MAX: u64 = 8 << 20;
/// After so many octets the end of the segment is recorded, so that little is scanned after a crash.
const RECORD_EVERY_BYTES: u64 = 16 << 20;
/// Octets copied at once from a spool file.
const COPY_BYTES: usize = 256 << 10;

/// Records the active segment and up to where it is good. Need not be durable at once: the record may lag.
pub(crate) type Record = Box<dyn Fn(u64, u64) + Send + Sync>;

/// A finished frame.
pub(super) enum Frame {
    Memory(Vec<u8>),
    Spooled(Spool),
}

impl Frame {
    fn bytes(&self) -> u64 {
        match self {
            Frame::Memory(bytes) => bytes.len() as u64,
            Frame::Spooled(spool) => spool.bytes,
        }
    }
}

/// Segment and offset.
type Place = (u64, u64);

/// Called with the place.
type Tell = Box<dyn FnOnce(Result<Place, Error>) + Send>;

/// What the owner of a frame waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// It has a place; a commit that refers to it rests on a pledge.
    Placed,
    Durable,
}

/// A frame without a place: a segment has to be begun first.
struct Job {
    frame: Frame,
    until: Until,
    tell: Tell,
}

/// A frame with its place, and who waits until it is durable.
struct Item {
    frame: Frame,
    waits: Option<(Place, Tell)>,
}

impl Item {
    /// The spool file is removed before the answer, so that no file is left when all are answered.
    fn answer(self, outcome: &Result<(), Error>) {
        drop(self.frame);
        if let Some((place, tell)) = self.waits {
            tell(outcome.as_ref().map(|()| place).map_err(Error::again));
        }
    }
}

/// Frames that lie side by side and share a sync.
struct Group {
    from: u64,
    end: u64,
    items: Vec<Item>,
    debt: Debt,
}

/// What waits for the thread. All groups lie in the open segment, or in the last one if none is open.
#[derive(Default)]
struct Queue {
    groups: VecDeque<Group>,
    /// They come behind all groups.
    unplaced: Vec<Job>,
    /// The segment in which places are given, and where the next one begins.
    open: Option<Place>,
    /// Pledges given so far.
    pledges: u64,
    closing: bool,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.unplaced.is_empty()
    }
}

/// What gives places.
struct Placing {
    segment_bytes_max: u64,
    placed: Arc<Placed>,
    nudge: Nudge,
}

impl Placing {
    /// Where a frame that comes now lies, if a segment is open and has room.
    fn next(&self, queue: &mut Queue) -> Option<Place> {
        queue.open = queue.open.filter(|(_, end)| *end < self.segment_bytes_max);
        queue.open
    }

    /// Puts a frame at `place`, which is the next one.
    fn put(&self, queue: &mut Queue, place: Place, item: Item) {
        let (segment, from) = place;
        let bytes = item.frame.bytes();
        let full = |group: &Group| group.end - group.from + bytes > GROUP_BYTES_MAX;
        if queue.groups.back().is_none_or(full) {
            queue.pledges += 1;
            let debt = Debt::new(queue.pledges, self.nudge.clone());
            self.placed.given(segment, from, debt.pledge());
            queue.groups.push_back(Group { from, end: from, items: Vec::new(), debt });
        }
        if let Some(group) = queue.groups.back_mut() {
            group.items.push(item);
            group.end = from + bytes;
            queue.open = Some((segment, group.end));
        }
    }
}

/// The segment being appended to.
pub(crate) struct Active {
    number: u64,
    file: File,
    /// Everything before is synced.
    good: u64,
    recorded: u64,
}

/// The thread's other end.
pub(crate) struct Appender {
    shared: Weak<Shared>,
    queue: Arc<(Mutex<Queue>, Condvar)>,
    placing: Arc<Placing>,
    syncs: Arc<AtomicU64>,
    /// Number of the active segment; zero: none.
    active: Arc<AtomicU64>,
    start: Mutex<Option<(Option<Active>, Record)>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appender").field("active", &self.active).finish_non_exhaustive()
    }
}

/// Opens the segment that was active at the end of the last run, cut to its last whole frame.
/// `None`: it is gone or shorter than it was; then a new one is begun.
pub(super) fn resume(disk: &dyn Disk, dir: &Path, number: u64, good: u64) -> Result<Option<Active>, Error> {
    let file = match disk.open(&segment_path(dir, number)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let len = file.metadata()?.len();
    if len < good {
        tracing::error!(segment = number, "a segment is shorter than it was; run the check of the store");
        return Ok(None);
    }
    let end = frame::scan_end(&file, good)?;
    if end < len {
        tracing::info!(segment = number, octets = len - end, "an unfinished write was cut off");
        disk.truncate(&file, end)?;
    }
    if len > good {
        disk.sync(&file)?;
    }
    Ok(Some(Active { number, file, good: end, recorded: good }))
}

impl Appender {
    pub(super) fn new(
        shared: Weak<Shared>,
        resumed: Option<Active>,
        placed: Arc<Placed>,
        segment_bytes_max: u64,
        record: Record,
        nudge: Nudge,
    ) -> Appender {
        let active = resumed.as_ref().map_or(0, |active| active.number);
        let open = resumed.as_ref().map(|active| (active.number, active.good));
        Appender {
            shared,
            queue: Arc::new((Mutex::new(Queue { open, ..Queue::default() }), Condvar::new())),
            placing: Arc::new(Placing { segment_bytes_max, placed, nudge }),
            syncs: Arc::default(),
            active: Arc::new(AtomicU64::new(active)),
            start: Mutex::new(Some((resumed, record))),
            thread: Mutex::new(None),
        }
    }

    pub(super) fn start(&self, shared: &Arc<Shared>) -> Result<(), Error> {
        let Some((active, record)) = lock(&self.start).take() else { return Ok(()) };
        let worker = Worker {
            dir: shared.dir.clone(),
            disk: shared.disk.clone(),
            shared: self.shared.clone(),
            queue: self.queue.clone(),
            placing: self.placing.clone(),
            syncs: self.syncs.clone(),
            active_number: self.active.clone(),
            active,
            record,
        };
        let thread =
            std::thread::Builder::new().name("store-append".to_owned()).spawn(move || worker.run())?;
        *lock(&self.thread) = Some(thread);
        Ok(())
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
        let (queue, wake) = &*self.queue;
        let mut queue = lock(queue);
        if queue.closing {
            drop(queue);
            return None;
        }
        let first = queue.is_empty();
        let mut known = None;
        match self.placing.next(&mut queue) {
            Some(place) => {
                let waits = match until {
                    Until::Durable => Some((place, tell)),
                    Until::Placed => None,
                };
                known = waits.is_none().then_some(place);
                self.placing.put(&mut queue, place, Item { frame, waits });
            }
            None => queue.unplaced.push(Job { frame, until, tell }),
        }
        drop(queue);
        if first {
            wake.notify_one();
        }
        known
    }

    pub(super) fn close(&self) {
        lock(&self.queue.0).closing = true;
        self.queue.1.notify_all();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the thread that appends bodies panicked");
        }
    }

    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    pub(super) fn count_sync(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn active(&self) -> Option<u64> {
        Some(self.active.load(Ordering::SeqCst)).filter(|number| *number != 0)
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.close();
    }
}

struct Worker {
    dir: std::path::PathBuf,
    disk: Arc<dyn Disk>,
    shared: Weak<Shared>,
    queue: Arc<(Mutex<Queue>, Condvar)>,
    placing: Arc<Placing>,
    syncs: Arc<AtomicU64>,
    active_number: Arc<AtomicU64>,
    /// The segment of all groups that wait.
    active: Option<Active>,
    record: Record,
}

impl Worker {
    fn run(mut self) {
        while let Some(group) = self.next_group() {
            let written = match &self.active {
                Some(active) => self.write(active, &group),
                None => Err(Error::Closed),
            };
            match written {
                Ok(()) => self.kept(group),
                Err(error) => self.broken(group, error),
            }
        }
        if let Some(active) = &self.active
            && active.recorded < active.good
        {
            (self.record)(active.number, active.good);
        }
    }

    /// `None`: the store closes and nothing waits.
    fn next_group(&mut self) -> Option<Group> {
        let shared = self.queue.clone();
        let mut queue = lock(&shared.0);
        loop {
            if let Some(group) = queue.groups.pop_front() {
                return Some(group);
            }
            if !queue.unplaced.is_empty() {
                drop(queue);
                self.place();
                queue = lock(&shared.0);
            } else if queue.closing {
                return None;
            } else {
                queue = shared.1.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Begins a segment and gives places to those that wait for one; if there is none to be had, refuses them.
    fn place(&mut self) {
        self.active = None;
        let begun = self.begin_segment();
        let mut told = Vec::new();
        let mut queue = lock(&self.queue.0);
        // No segment is open, so that nobody else gives places.
        let jobs = std::mem::take(&mut queue.unplaced);
        match begun {
            Ok(active) => {
                queue.open = Some((active.number, 0));
                self.active = Some(active);
                let mut jobs = jobs.into_iter();
                while let Some(place) = self.placing.next(&mut queue)
                    && let Some(Job { frame, until, tell }) = jobs.next()
                {
                    let waits = match until {
                        Until::Durable => Some((place, tell)),
                        Until::Placed => {
                            told.push((tell, Ok(place)));
                            None
                        }
                    };
                    self.placing.put(&mut queue, place, Item { frame, waits });
                }
                queue.unplaced = jobs.collect();
            }
            Err(error) => {
                for Job { frame, tell, .. } in jobs {
                    drop(frame);
                    told.push((tell, Err(error.again())));
                }
            }
        }
        drop(queue);
        told.into_iter().for_each(|(tell, outcome)| tell(outcome));
    }

    /// Writes a group and makes it durable.
    fn write(&self, active: &Active, group: &Group) -> Result<(), Error> {
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(group.items.len());
        let (mut written, mut end) = (group.from, group.from);
        for item in &group.items {
            match &item.frame {
                Frame::Memory(bytes) => slices.push(IoSlice::new(bytes)),
                Frame::Spooled(spool) => {
                    if !slices.is_empty() {
                        self.disk.write_at(&active.file, &slices, written)?;
                        slices.clear();
                    }
                    copy(&*self.disk, spool, &active.file, end)?;
                    written = end + spool.bytes;
                }
            }
            end += item.frame.bytes();
        }
        if !slices.is_empty() {
            self.disk.write_at(&active.file, &slices, written)?;
        }
        Ok(self.disk.sync(&active.file)?)
    }

    /// The group is durable.
    fn kept(&mut self, group: Group) {
        let Group { end, items, debt, .. } = group;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        if let Some(active) = &mut self.active {
            active.good = end;
            if active.good - active.recorded >= RECORD_EVERY_BYTES {
                active.recorded = active.good;
                (self.record)(active.number, active.good);
            }
        }
        self.placing.placed.kept(debt.pledge().number());
        // First, because somebody else goes on with that.
        debt.settle(Ok(()));
        items.into_iter().for_each(|item| item.answer(&Ok(())));
    }

    /// The group could not be made durable: neither it nor what has a place behind it counts, and nothing more is appended here.
    fn broken(&mut self, group: Group, error: Error) {
        let mut queue = lock(&self.queue.0);
        queue.open = None;
        let behind = std::mem::take(&mut queue.groups);
        if let Some(active) = &self.active {
            // Bodies are known to be void before their pledges are broken, and before another segment is begun: see `placed`.
            self.placing.placed.void(active.number, group.from, &error);
        }
        drop(queue);
        self.abandon();
        for group in std::iter::once(group).chain(behind) {
            group.debt.settle(Err(error.again()));
            group.items.into_iter().for_each(|item| item.answer(&Err(error.again())));
        }
    }

    fn begin_segment(&self) -> Result<Active, Error> {
        let number = self.shared.upgrade().ok_or(Error::Closed)?.number();
        let path = segment_path(&self.dir, number);
        let file = self.disk.create(&path)?;
        if let Err(error) = self.disk.sync_dir(&self.dir) {
            // It may be left as an empty segment, which harms nothing.
            drop(self.disk.remove(&path));
            return Err(error.into());
        }
        self.active_number.store(number, Ordering::SeqCst);
        (self.record)(number, 0);
        Ok(Active { number, file, good: 0, recorded: 0 })
    }

    /// After a failure: what was not synced does not count, and nothing more is appended here.
    fn abandon(&mut self) {
        if let Some(active) = self.active.take() {
            let cut = if active.good == 0 {
                self.disk.remove(&segment_path(&self.dir, active.number))
            } else {
                self.disk.truncate(&active.file, active.good)
            };
            if let Err(error) = cut {
                tracing::warn!(%error, segment = active.number, "what a failed write left stays, unused");
            }
        }
        self.active_number.store(0, Ordering::SeqCst);
    }
}

fn copy(disk: &dyn Disk, spool: &Spool, to: &File, offset: u64) -> Result<(), Error> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut at = 0;
    while at < spool.bytes {
        let step = (spool.bytes - at).min(COPY_BYTES as u64) as usize;
        spool.file.read_exact_at(&mut buffer[..step], at)?;
        disk.write_at(to, &[IoSlice::new(&buffer[..step])], offset + at)?;
        at += step as u64;
    }
    Ok(())
}
