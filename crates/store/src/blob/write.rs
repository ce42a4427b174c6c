//! A body on its way in: framed, hashed and checksummed as it arrives, so that nothing is copied or
//! read again at the end. Past a stated size it goes to a spool file, already in the shape of a
//! segment: a large body becomes one by being renamed. What is large enough for that is written past the page cache, which
//! nobody reads it from soon, and whose pages cost more than the writing.

use super::append::Until;
use super::buffer::{BLOCK, Buffer};
use super::frame::{CHUNK, CRC, HEADER, Header};
use super::{BodyRef, Shared, blocking, segment_path};
use crate::Error;
use std::fs::File;
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Room for the first octets of a body of unknown length.
const ROOM_MIN: usize = 16 << 10;
/// And of a body of announced length at most: who announces much need not send it.
const EXPECTED_MAX: usize = 256 << 10;

/// A body on its way in. Dropped without [`BodyWriter::finish`], nothing stays.
#[derive(Debug)]
pub struct BodyWriter {
    shared: Arc<Shared>,
    /// The part of the frame that is not yet in the spool file. While there is none, it begins with
    /// room for the header.
    buffer: Buffer,
    /// Where the unfinished chunk begins in `buffer`.
    chunk: usize,
    hasher: blake3::Hasher,
    len: u64,
    /// Octets of the frame that there is to be room for.
    expected: usize,
    spool: Option<Spool>,
}

/// A spool file; removed when dropped, unless it became a segment.
#[derive(Debug)]
pub(super) struct Spool {
    shared: Arc<Shared>,
    pub(super) file: Arc<File>,
    path: PathBuf,
    /// Octets in it.
    pub(super) bytes: u64,
    cache: Cache,
    renamed: bool,
}

/// What writes to a spool file do with the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cache {
    /// Fill it, as long as the body may become part of a segment and be read again for that.
    Through,
    Past,
    /// Fill it: this file system knows no other way.
    Only,
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.renamed
            && let Err(error) = self.shared.disk.remove(&self.path)
        {
            tracing::debug!(%error, "a spool file stays until the next start");
        }
    }
}

impl BodyWriter {
    pub(super) fn new(shared: Arc<Shared>) -> BodyWriter {
        BodyWriter {
            shared,
            buffer: Buffer::default(),
            chunk: HEADER,
            hasher: blake3::Hasher::new(),
            len: 0,
            expected: 0,
            spool: None,
        }
    }

    /// About so many octets are expected: there is room for them from the first one on, as far as they are held in memory, and what is
    /// written is not copied again while that grows. No promise is made by it, nor believed.
    pub fn expect(&mut self, octets: u64) {
        let held = octets.min(self.shared.options.body_memory_bytes_max.min(EXPECTED_MAX) as u64) as usize;
        self.expected = HEADER + held + (held / CHUNK + 1) * CRC;
    }

    /// Appends. Small bodies stay in memory, large ones go to a file.
    pub async fn write(&mut self, mut piece: &[u8]) -> Result<(), Error> {
        while !piece.is_empty() {
            piece = self.take(piece);
            if self.is_spill_due() {
                // If this future is dropped in between, the body is lost to its owner too.
                let mut spill = self.begin_spill();
                let spilled = blocking(move || {
                    spill.run()?;
                    Ok(spill)
                });
                self.go_on_after(spilled.await?);
            }
        }
        Ok(())
    }

    /// The same on a thread that may wait for the disk.
    pub(super) fn write_blocking(&mut self, mut piece: &[u8]) -> Result<(), Error> {
        while !piece.is_empty() {
            piece = self.take(piece);
            if self.is_spill_due() {
                let mut spill = self.begin_spill();
                spill.run()?;
                self.go_on_after(spill);
            }
        }
        Ok(())
    }

    /// Octets written so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True before the first octet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes the body durable (one sync shared with all others that finish now).
    pub async fn finish(self) -> Result<BodyRef, Error> {
        self.finish_until(Until::Durable).await
    }

    /// Gives the body its place. It becomes durable at once or soon: every change of this store that refers to it is answered
    /// `Ok` only when it is, and fails if it could not be made so. Until then it may not be there to be read, and nobody may be told
    /// that it is kept.
    pub async fn place(self) -> Result<BodyRef, Error> {
        self.finish_until(Until::Placed).await
    }

    async fn finish_until(self, until: Until) -> Result<BodyRef, Error> {
        let shared = self.shared.clone();
        let (hash, len, finished) = self.into_finished();
        let (segment, offset) = match finished {
            Finished::Small(frame) => shared.appender.append_async(append(frame), until).await?,
            Finished::Spooled(spill) => {
                let own = len >= shared.options.body_own_segment_bytes_min;
                let spool = blocking(move || spill.complete(own)).await?;
                match spool {
                    Completed::Own(segment) => (segment, 0),
                    Completed::ToCopy(spool) => {
                        shared.appender.append_async(super::append::Frame::Spooled(spool), until).await?
                    }
                }
            }
        };
        Ok(BodyRef { hash, segment, offset, len })
    }

    /// The same on a thread that may wait for the disk.
    pub(super) fn finish_blocking(self) -> Result<BodyRef, Error> {
        let shared = self.shared.clone();
        let (hash, len, finished) = self.into_finished();
        let frame = match finished {
            Finished::Small(frame) => append(frame),
            Finished::Spooled(spill) => {
                match spill.complete(len >= shared.options.body_own_segment_bytes_min)? {
                    Completed::Own(segment) => return Ok(BodyRef { hash, segment, offset: 0, len }),
                    Completed::ToCopy(spool) => super::append::Frame::Spooled(spool),
                }
            }
        };
        let (segment, offset) = shared.appender.append_wait(frame)?;
        Ok(BodyRef { hash, segment, offset, len })
    }

    /// Takes as much of `piece` as fits into the current chunk; returns what is left.
    fn take<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        if self.len == 0 {
            self.buffer.reserve(self.expected.max(HEADER + piece.len().max(ROOM_MIN) + CRC));
            self.buffer.push_zeros(HEADER);
        }
        let room = CHUNK - (self.buffer.len() - self.chunk);
        let (now, later) = piece.split_at(piece.len().min(room));
        self.buffer.make_room(now.len() + CRC);
        self.buffer.push(now);
        self.len += now.len() as u64;
        if self.buffer.len() - self.chunk == CHUNK {
            self.end_chunk();
        }
        later
    }

    fn end_chunk(&mut self) {
        let content = &self.buffer.content()[self.chunk..];
        self.hasher.update(content);
        let crc = crc32fast::hash(content);
        self.buffer.push(&crc.to_le_bytes());
        self.chunk = self.buffer.len();
    }

    /// Only whole chunks are spilled, so that a chunk is hashed in one piece.
    fn is_spill_due(&self) -> bool {
        self.chunk == self.buffer.len() && self.buffer.len() > self.shared.options.body_memory_bytes_max
    }

    fn begin_spill(&mut self) -> Spill {
        let buffer = std::mem::take(&mut self.buffer);
        Spill { shared: self.shared.clone(), buffer, header: None, spool: self.spool.take() }
    }

    /// Takes the spool file back, and the buffer with its room and with what is not yet a whole block: the next octets come behind.
    fn go_on_after(&mut self, spill: Spill) {
        self.spool = spill.spool;
        self.buffer = spill.buffer;
        self.chunk = self.buffer.len();
    }

    fn into_finished(mut self) -> ([u8; 32], u64, Finished) {
        if self.len == 0 {
            self.buffer.push_zeros(HEADER);
        }
        if self.buffer.len() > self.chunk {
            self.end_chunk();
        }
        let hash = *self.hasher.finalize().as_bytes();
        let header = Header { len: self.len, hash }.encode();
        if self.spool.is_none() {
            let mut frame = std::mem::take(&mut self.buffer).into_content();
            frame[..HEADER].copy_from_slice(&header);
            return (hash, self.len, Finished::Small(frame));
        }
        let mut spill = self.begin_spill();
        spill.header = Some(header);
        (hash, self.len, Finished::Spooled(spill))
    }
}

fn append(frame: Vec<u8>) -> super::append::Frame {
    super::append::Frame::Memory(frame)
}

enum Finished {
    Small(Vec<u8>),
    Spooled(Spill),
}

enum Completed {
    Own(u64),
    ToCopy(Spool),
}

/// Work on a spool file, to be done where it may block.
struct Spill {
    shared: Arc<Shared>,
    buffer: Buffer,
    /// There when the body is complete.
    header: Option<[u8; HEADER]>,
    spool: Option<Spool>,
}

impl Spill {
    fn run(&mut self) -> Result<(), Error> {
        let spool = match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(Spool::create(&self.shared)?),
        };
        spool.write(&mut self.buffer)?;
        if let Some(header) = &self.header {
            spool.end(&mut self.buffer, header)?;
        }
        Ok(())
    }

    fn complete(mut self, own: bool) -> Result<Completed, Error> {
        self.run()?;
        let mut spool = self.spool.take().ok_or(Error::Closed)?;
        if !own {
            return Ok(Completed::ToCopy(spool));
        }
        let disk = &self.shared.disk;
        disk.sync(&spool.file)?;
        let number = self.shared.number();
        let path = segment_path(&self.shared.dir, number);
        disk.rename(&spool.path, &path)?;
        spool.renamed = true;
        disk.sync_dir(&self.shared.dir)?;
        self.shared.appender.count_sync();
        Ok(Completed::Own(number))
    }
}

impl Spool {
    fn create(shared: &Arc<Shared>) -> Result<Spool, Error> {
        let number = shared.next_spool.fetch_add(1, Ordering::Relaxed);
        let path = shared.spool.join(format!("{number}.body"));
        let file = Arc::new(shared.disk.create(&path)?);
        Ok(Spool { shared: shared.clone(), file, path, bytes: 0, cache: Cache::Through, renamed: false })
    }

    /// Writes what is in the buffer; past the page cache only whole blocks, so that something may stay in it.
    fn write(&mut self, buffer: &mut Buffer) -> Result<(), Error> {
        if self.cache == Cache::Through && self.bytes >= self.shared.options.body_own_segment_bytes_min {
            let whole = self.bytes.next_multiple_of(BLOCK as u64) - self.bytes;
            self.put(buffer, buffer.len().min(whole as usize))?;
            let can = self.shared.disk.set_direct(&self.file, true);
            self.cache = if can { Cache::Past } else { Cache::Only };
        }
        if self.cache == Cache::Past {
            // What comes until the next write.
            buffer.align(self.shared.options.body_memory_bytes_max + CHUNK + CRC);
            match self.put(buffer, buffer.len() - buffer.len() % BLOCK) {
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::InvalidInput => {
                    self.shared.disk.set_direct(&self.file, false);
                    self.cache = Cache::Only;
                }
                other => return other,
            }
        }
        self.put(buffer, buffer.len())
    }

    /// Writes the first octets of the buffer at the end.
    fn put(&mut self, buffer: &mut Buffer, count: usize) -> Result<(), Error> {
        if count > 0 {
            let octets = &buffer.content()[..count];
            self.shared.disk.write_at(&self.file, &[IoSlice::new(octets)], self.bytes)?;
            self.bytes += count as u64;
            buffer.drop_front(count);
        }
        Ok(())
    }

    /// Writes the last octets, and the header.
    fn end(&mut self, buffer: &mut Buffer, header: &[u8; HEADER]) -> Result<(), Error> {
        if self.cache == Cache::Past {
            self.shared.disk.set_direct(&self.file, false);
            self.cache = Cache::Only;
        }
        self.put(buffer, buffer.len())?;
        Ok(self.shared.disk.write_at(&self.file, &[IoSlice::new(header)], 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Store};

    #[test]
    fn what_is_expected_is_not_moved_and_what_is_announced_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { body_memory_bytes_max: 8 << 20, ..Options::default() };
        let store = Store::open(dir.path(), options).unwrap();
        for (announced, sent) in [(100_000, 100_000), (1, 100_000), (1 << 40, 300_000), (0, 0)] {
            let mut writer = store.bodies().writer();
            writer.expect(announced);
            let content: Vec<u8> = (0..sent).map(|at| at as u8).collect();
            let mut first = None;
            for piece in content.chunks(1000) {
                writer.write_blocking(piece).unwrap();
                first.get_or_insert(writer.buffer.content().as_ptr());
                assert!(writer.buffer.capacity() <= EXPECTED_MAX + sent + (128 << 10));
            }
            if announced == sent as u64 && sent > 0 {
                assert_eq!(first, Some(writer.buffer.content().as_ptr()));
            }
            let body = writer.finish_blocking().unwrap();
            assert_eq!((body.len, body.hash), (sent as u64, *blake3::hash(&content).as_bytes()));
        }
    }
}
