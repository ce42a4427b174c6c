//! The journal on the segments: the active segment takes the frames of bodies and, far behind them, the records of commits (`records`),
//! and one sync makes both durable.
//!
//! What must hold: a frame is called durable only after the sync that covers it. After a write or sync that failed, nothing since the
//! last good sync counts as written, nor does what was given a place behind it: the segment is left, and cut back when
//! the table is durable without its records; the next frame begins a new one. A failed sync is never repeated and believed, because the
//! system may have dropped the pages that it could not write.

use super::ahead::{self, Ahead};
use super::append::{Frame, Group, Open};
use super::buffer::BLOCK;
use super::write::Spool;
use super::{Shared, frame, lock, records, segment_path};
use crate::disk::Disk;
use crate::engine::journal::Journal;
use crate::row::Settled;
use crate::{Error, Options, key};
use std::fs::File;
use std::io::{IoSlice, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// So often in a segment it is recorded up to where frames are good, so that little is scanned after a crash.
const RECORDED_TIMES: u64 = 16;
/// Octets copied at once from a spool file.
const COPY_BYTES: usize = 256 << 10;
/// What a frame has beside its content, and more.
const FRAME_ROOM: u64 = 256 << 10;
/// What is behind the last octet that is written, up to the end of its block: a part of a block would have to be read first.
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// A segment that is written to, or was.
#[derive(Debug)]
struct Active {
    number: u64,
    file: File,
    /// Frames before are durable.
    good: u64,
    /// What of this the table knows.
    recorded: u64,
    /// Where the next record goes.
    records_end: u64,
    salt: u64,
}

/// See above.
pub(crate) struct Log {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    layout: Layout,
    active: Option<Active>,
    /// Made, and used when the table knows of it.
    next: Option<Active>,
    /// Given up after a failure; holds records until the table is durable without them.
    left: Option<Active>,
    /// Number of the last record.
    number: u64,
    ahead: Option<Ahead>,
}

/// Where what lies in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// No frame begins here or behind.
    frames: u64,
    /// Records begin here,
    records: u64,
    /// and end before this.
    end: u64,
}

impl Layout {
    fn of(options: &Options) -> Layout {
        let frame = options.body_own_segment_bytes_min.max(options.body_memory_bytes_max as u64) + FRAME_ROOM;
        let records = (options.segment_bytes_max + frame).next_multiple_of(BLOCK as u64);
        Layout { frames: options.segment_bytes_max, records, end: records + options.records_bytes_max }
    }
}

/// What the last run left.
#[derive(Default)]
pub(super) struct Resumed {
    active: Option<Active>,
    /// The same if it cannot be used, because other options lay it out in another way.
    left: Option<Active>,
    /// The table may lack them.
    pub(super) records: Vec<Vec<u8>>,
    number: u64,
}

impl Resumed {
    pub(super) fn open(&self, options: &Options) -> Option<Open> {
        let limit = Layout::of(options).frames;
        self.active.as_ref().map(|active| Open { segment: active.number, end: active.good, limit })
    }
}

/// Looks at the segment that was active at the end of the last run. If it is gone, shorter than it was, or made with other options, a new one
/// is begun.
pub(super) fn resume(
    disk: &dyn Disk,
    dir: &Path,
    settled: &Settled,
    options: &Options,
) -> Result<Resumed, Error> {
    let nothing = Resumed { number: settled.number, ..Resumed::default() };
    if settled.segment == 0 || settled.records == 0 {
        return Ok(nothing);
    }
    let file = match disk.open(&segment_path(dir, settled.segment)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            tracing::error!(segment = settled.segment, "a segment is missing; run the check of the store");
            return Ok(nothing);
        }
        Err(error) => return Err(error.into()),
    };
    let len = file.metadata()?.len();
    if len < settled.good {
        tracing::error!(
            segment = settled.segment,
            "a segment is shorter than it was; run the check of the store"
        );
        return Ok(nothing);
    }
    let good = frame::scan_end(&file, settled.good, settled.records)?;
    let (records, number) = records::read(&file, settled, good)?;
    if records.is_empty() && good < len {
        tracing::info!(segment = settled.segment, "an unfinished write was cut off");
        disk.truncate(&file, good)?;
    }
    if len > settled.good {
        disk.sync(&file)?;
    }
    let (layout, salt) = (Layout::of(options), settled.salt);
    let records_end = layout.records;
    let active = Active { number: settled.segment, file, good, recorded: settled.good, records_end, salt };
    let (active, left) = match layout.records == settled.records {
        true => (Some(active), None),
        false => (None, Some(active)),
    };
    Ok(Resumed { active, left, records, number })
}

impl Log {
    pub(super) fn new(shared: Arc<Shared>, resumed: Resumed) -> Log {
        let (disk, layout) = (shared.disk.clone(), Layout::of(&shared.options));
        let Resumed { active, left, number, .. } = resumed;
        let ahead = Ahead::start(disk.clone())
            .inspect_err(|error| tracing::warn!(%error, "nothing is written ahead; deliveries take longer"))
            .ok();
        let log = Log { shared, disk, layout, active, next: None, left, number, ahead };
        log.write_zeros();
        log
    }

    /// Has zeros written ahead into the segment in use, and into no other.
    fn write_zeros(&self) {
        let Some(ahead) = &self.ahead else { return };
        let file = self.active.as_ref().and_then(|active| {
            let file = self.disk.open(&segment_path(&self.shared.dir, active.number)).ok()?;
            self.disk.set_direct(&file, true);
            Some(file)
        });
        let good = self.active.as_ref().map_or(0, |active| active.good);
        ahead.turn_to(file, [good..self.layout.frames, self.layout.records..self.layout.end]);
    }

    /// Writes pieces that begin at `from`, and zeros up to the end of their last block.
    fn put_at(
        &self,
        active: &Active,
        stretch: usize,
        pieces: &mut Vec<IoSlice<'_>>,
        from: u64,
    ) -> Result<(), Error> {
        let end = from + pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let rest = (end.next_multiple_of(BLOCK as u64) - end) as usize;
        pieces.push(IoSlice::new(&ZEROS[..rest]));
        if let Some(ahead) = &self.ahead {
            ahead.claim(stretch, &(from..end + rest as u64));
        }
        self.disk.write_at(&active.file, pieces, from)?;
        pieces.clear();
        Ok(())
    }

    /// Writes a group and a record, and makes them durable.
    fn put(&self, active: &Active, group: Option<&Group>, record: Option<&[u8]>) -> Result<(), Error> {
        if let Some(group) = group {
            self.put_frames(active, group)?;
        }
        if let Some(content) = record {
            let header = records::Header {
                bytes: content.len() as u32,
                number: self.number,
                frames_end: group.map_or(active.good, |group| group.end),
                crc: crc32fast::hash(content),
            };
            let header = header.encode(active.salt);
            let mut pieces = vec![IoSlice::new(&header), IoSlice::new(content)];
            self.put_at(active, ahead::RECORDS, &mut pieces, active.records_end)?;
        }
        Ok(self.disk.sync(&active.file)?)
    }

    fn put_frames(&self, active: &Active, group: &Group) -> Result<(), Error> {
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(group.items.len());
        let (mut written, mut end) = (group.from, group.from);
        for item in &group.items {
            match &item.frame {
                Frame::Memory(bytes) => slices.push(IoSlice::new(bytes)),
                Frame::Spooled(spool) => {
                    if !slices.is_empty() {
                        self.put_at(active, ahead::FRAMES, &mut slices, written)?;
                    }
                    if let Some(ahead) = &self.ahead {
                        ahead.claim(ahead::FRAMES, &(end..end + spool.bytes));
                    }
                    copy(&*self.disk, spool, &active.file, end)?;
                    written = end + spool.bytes;
                }
            }
            end += item.frame.bytes();
        }
        if !slices.is_empty() {
            self.put_at(active, ahead::FRAMES, &mut slices, written)?;
        }
        Ok(())
    }

    /// A group is durable.
    fn kept(&self, group: Group) {
        let Group { items, debt, .. } = group;
        self.shared.appender.placed.kept(debt.pledge().number());
        debt.settle(Ok(()));
        items.into_iter().for_each(|item| item.answer(&Ok(())));
    }

    /// What was to be written is not durable: neither it nor what has a place behind it counts, and nothing more is appended here.
    fn broken(&mut self, active: Active, group: Option<Group>, error: &Error) {
        let appender = &self.shared.appender;
        let mut queue = lock(&appender.queue);
        queue.open = None;
        let behind = queue.group.take();
        // Bodies are known to be void before their pledges are broken, and before another segment is begun: see `placed`.
        appender.placed.void(active.number, active.good, error);
        drop(queue);
        self.left = Some(active);
        self.write_zeros();
        for group in group.into_iter().chain(behind) {
            group.debt.settle(Err(error.again()));
            group.items.into_iter().for_each(|item| item.answer(&Err(error.again())));
        }
    }

    fn new_segment(&self) -> Result<Active, Error> {
        let number = self.shared.number();
        let path = segment_path(&self.shared.dir, number);
        let salt = random()?;
        // Before anybody can find it.
        self.shared.appender.next.store(number, Ordering::SeqCst);
        let file = self.disk.create(&path)?;
        if let Err(error) = self.disk.sync_dir(&self.shared.dir) {
            // It may be left as an empty segment, which harms nothing.
            drop(self.disk.remove(&path));
            return Err(error.into());
        }
        Ok(Active { number, file, good: 0, recorded: 0, records_end: self.layout.records, salt })
    }

    /// Nobody writes to it any more, and its records are not needed.
    fn seal(&self, active: &Active) {
        let cut = if active.good == 0 {
            self.disk.remove(&segment_path(&self.shared.dir, active.number))
        } else {
            self.disk.truncate(&active.file, active.good)
        };
        if let Err(error) = cut {
            tracing::warn!(%error, segment = active.number, "what stands behind the last frame stays, unused");
        }
    }
}

impl Journal for Log {
    fn is_due(&self) -> bool {
        lock(&self.shared.appender.queue).is_due()
    }

    fn wants_file(&self) -> bool {
        !lock(&self.shared.appender.queue).unplaced.is_empty()
    }

    fn begin(&mut self) -> Result<(), Error> {
        lock(&self.shared.appender.queue).open = None;
        // What came of it was told.
        drop(self.write(None));
        match self.new_segment() {
            Ok(active) => {
                self.next = Some(active);
                Ok(())
            }
            Err(error) => {
                self.give_up(&error);
                Err(error)
            }
        }
    }

    fn give_up(&mut self, error: &Error) {
        if let Some(next) = self.next.take() {
            self.seal(&next);
        }
        let jobs = std::mem::take(&mut lock(&self.shared.appender.queue).unplaced);
        jobs.into_iter().for_each(|job| job.refuse(error));
    }

    fn write(&mut self, record: Option<&[u8]>) -> Result<bool, Error> {
        let group = lock(&self.shared.appender.queue).group.take();
        let Some(mut active) = self.active.take() else { return Ok(false) };
        let bytes = |record: &[u8]| (records::HEADER + record.len()) as u64;
        let record = record.filter(|record| active.records_end + bytes(record) <= self.layout.end);
        if group.is_none() && record.is_none() {
            self.active = Some(active);
            return Ok(false);
        }
        // Also if it fails: a record of this number may be found after a crash.
        self.number += u64::from(record.is_some());
        if let Err(error) = self.put(&active, group.as_ref(), record) {
            self.broken(active, group, &error);
            return Err(error);
        }
        self.shared.appender.count_sync();
        active.records_end += record.map_or(0, bytes);
        active.good = group.as_ref().map_or(active.good, |group| group.end);
        self.active = Some(active);
        if let Some(group) = group {
            self.kept(group);
        }
        Ok(record.is_some())
    }

    fn row(&self) -> (Vec<u8>, Vec<u8>) {
        let row = Settled { number: self.number, ..Settled::default() };
        let row = match self.next.as_ref().or(self.active.as_ref()) {
            Some(Active { number, good, salt, .. }) => {
                Settled { segment: *number, good: *good, records: self.layout.records, salt: *salt, ..row }
            }
            None => row,
        };
        (key::settled(), row.encode())
    }

    fn is_row_due(&self) -> bool {
        let step = self.layout.frames / RECORDED_TIMES;
        self.active.as_ref().is_some_and(|active| active.good - active.recorded >= step)
    }

    fn recorded(&mut self, durable: bool) {
        if durable {
            if let Some(left) = self.left.take() {
                self.seal(&left);
            }
            let next = self.next.take();
            let told = match next {
                None => Vec::new(),
                Some(next) => {
                    let open = Open { segment: next.number, end: next.good, limit: self.layout.frames };
                    let old = self.active.replace(next);
                    self.write_zeros();
                    if let Some(old) = old {
                        self.seal(&old);
                    }
                    let appender = &self.shared.appender;
                    let mut queue = lock(&appender.queue);
                    queue.open = Some(open);
                    queue.place(&appender.placed)
                }
            };
            let active = self.active.as_ref().map_or(0, |active| active.number);
            // In this order, so that it is known to be open all the time.
            self.shared.appender.active.store(active, Ordering::SeqCst);
            self.shared.appender.next.store(0, Ordering::SeqCst);
            told.into_iter().for_each(|(tell, place)| tell(Ok(place)));
        }
        if let Some(active) = &mut self.active {
            active.recorded = active.good;
            if durable {
                active.records_end = self.layout.records;
            }
        }
    }

    fn close(&mut self) {
        if let Some(active) = self.active.take() {
            self.write_zeros();
            self.seal(&active);
        }
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

fn random() -> Result<u64, Error> {
    let mut octets = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut octets)?;
    Ok(u64::from_le_bytes(octets))
}
