//! The one thread that appends to the active segment. It takes all frames that wait, writes them
//! together, tells where they are to those who need to know no more yet, syncs once, and answers the others.
//!
//! What must hold: a frame is called durable only after the sync that covers it. After a
//! write or sync that failed, nothing since the last good sync counts as written: the segment
//! is cut back and sealed, and the next frame begins a new one. A failed sync is never repeated and
//! believed, because the system may have dropped the pages that it could not write.

use super::placed::Placed;
use super::write::Spool;
use super::{Shared, frame, lock, segment_path};
use crate::Error;
use crate::disk::Disk;
use crate::pledge::{Debt, Nudge};
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

/// Called with segment and offset.
type Tell = Box<dyn FnOnce(Result<(u64, u64), Error>) + Send>;

/// What the owner of a frame waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// It has a place; a commit that refers to it rests on a pledge.
    Placed,
    Durable,
}

struct Job {
    frame: Frame,
    until: Until,
    tell: Tell,
}

impl Job {
    /// The spool file is removed before the answer, so that no file is left when all are answered.
    fn answer(self, outcome: Result<(u64, u64), Error>) {
        drop(self.frame);
        (self.tell)(outcome);
    }
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Job>,
    closing: bool,
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
    syncs: Arc<AtomicU64>,
    /// Number of the active segment; zero: none.
    active: Arc<AtomicU64>,
    placed: Arc<Placed>,
    start: Mutex<Option<(Option<Active>, Record, Nudge)>>,
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
        record: Record,
        nudge: Nudge,
    ) -> Appender {
        let active = resumed.as_ref().map_or(0, |active| active.number);
        Appender {
            shared,
            queue: Arc::default(),
            syncs: Arc::default(),
            active: Arc::new(AtomicU64::new(active)),
            placed,
            start: Mutex::new(Some((resumed, record, nudge))),
            thread: Mutex::new(None),
        }
    }

    pub(super) fn start(&self, shared: &Arc<Shared>) -> Result<(), Error> {
        let Some((active, record, nudge)) = lock(&self.start).take() else { return Ok(()) };
        let worker = Worker {
            dir: shared.dir.clone(),
            disk: shared.disk.clone(),
            segment_bytes_max: shared.options.segment_bytes_max,
            shared: self.shared.clone(),
            queue: self.queue.clone(),
            syncs: self.syncs.clone(),
            active_number: self.active.clone(),
            active,
            placed: self.placed.clone(),
            pledges: 0,
            record,
            nudge,
        };
        let thread =
            std::thread::Builder::new().name("store-append".to_owned()).spawn(move || worker.run())?;
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    /// Appends and waits without blocking a thread.
    pub(super) async fn append_async(&self, frame: Frame, until: Until) -> Result<(u64, u64), Error> {
        let (tell, told) = tokio::sync::oneshot::channel();
        self.push(Job { frame, until, tell: Box::new(move |result| drop(tell.send(result))) });
        told.await.unwrap_or(Err(Error::Closed))
    }

    /// Appends and waits on this thread.
    pub(super) fn append_wait(&self, frame: Frame) -> Result<(u64, u64), Error> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let tell = Box::new(move |result| drop(tell.send(result)));
        self.push(Job { frame, until: Until::Durable, tell });
        told.recv().unwrap_or(Err(Error::Closed))
    }

    fn push(&self, job: Job) {
        let (queue, wake) = &*self.queue;
        let mut queue = lock(queue);
        if queue.closing {
            drop(queue);
            return;
        }
        queue.waiting.push(job);
        let first = queue.waiting.len() == 1;
        drop(queue);
        if first {
            wake.notify_one();
        }
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
    segment_bytes_max: u64,
    shared: Weak<Shared>,
    queue: Arc<(Mutex<Queue>, Condvar)>,
    syncs: Arc<AtomicU64>,
    active_number: Arc<AtomicU64>,
    active: Option<Active>,
    placed: Arc<Placed>,
    /// Given so far.
    pledges: u64,
    record: Record,
    nudge: Nudge,
}

impl Worker {
    fn run(mut self) {
        while let Some(group) = self.next_group() {
            match self.write_group(&group) {
                Ok((places, end)) => self.sync_group(group.into_iter().zip(places), end),
                Err(error) => {
                    self.abandon();
                    group.into_iter().for_each(|job| job.answer(Err(error.again())));
                }
            }
        }
        if let Some(active) = &self.active
            && active.recorded < active.good
        {
            (self.record)(active.number, active.good);
        }
    }

    /// `None`: the store closes and nothing waits.
    fn next_group(&self) -> Option<Vec<Job>> {
        let (queue, wake) = &*self.queue;
        let mut queue = lock(queue);
        while queue.waiting.is_empty() {
            if queue.closing {
                return None;
            }
            queue = wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let mut bytes = 0;
        let mut count = 0;
        for job in &queue.waiting {
            bytes += job.frame.bytes();
            if count > 0 && bytes > GROUP_BYTES_MAX {
                break;
            }
            count += 1;
        }
        Some(if count == queue.waiting.len() {
            std::mem::take(&mut queue.waiting)
        } else {
            queue.waiting.drain(..count).collect()
        })
    }

    /// Writes `group`; where each frame is, and where the last one ends.
    fn write_group(&mut self, group: &[Job]) -> Result<(Vec<(u64, u64)>, u64), Error> {
        if self.active.as_ref().is_some_and(|active| active.good >= self.segment_bytes_max) {
            self.active = None;
        }
        if self.active.is_none() {
            self.active = Some(self.begin_segment()?);
        }
        let Some(active) = &mut self.active else { return Err(Error::Closed) };
        let mut places = Vec::with_capacity(group.len());
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(group.len());
        let (mut written, mut end) = (active.good, active.good);
        for job in group {
            places.push((active.number, end));
            match &job.frame {
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
            end += job.frame.bytes();
        }
        if !slices.is_empty() {
            self.disk.write_at(&active.file, &slices, written)?;
        }
        Ok((places, end))
    }

    /// Makes what was written durable up to `end`; answers each at its time.
    fn sync_group(&mut self, group: impl Iterator<Item = (Job, (u64, u64))>, end: u64) {
        let Some(active) = &mut self.active else { return };
        self.pledges += 1;
        let debt = Debt::new(self.pledges, self.nudge.clone());
        self.placed.written(active.number, active.good, debt.pledge());
        let mut later = Vec::new();
        for (job, place) in group {
            match job.until {
                Until::Placed => job.answer(Ok(place)),
                Until::Durable => later.push((job, place)),
            }
        }
        let synced = self.disk.sync(&active.file).map_err(Error::from);
        // A body is known to be void before its pledge is broken: see `placed`.
        self.placed.decided(&synced);
        match &synced {
            Ok(()) => {
                self.syncs.fetch_add(1, Ordering::Relaxed);
                active.good = end;
                if active.good - active.recorded >= RECORD_EVERY_BYTES {
                    active.recorded = active.good;
                    (self.record)(active.number, active.good);
                }
            }
            Err(_) => self.abandon(),
        }
        for (job, place) in later {
            job.answer(synced.as_ref().map(|()| place).map_err(Error::again));
        }
        debt.settle(synced);
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
