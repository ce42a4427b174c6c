//! Message bodies: immutable, named by their BLAKE3 hash, in append-only segments.
//!
//! A body is durable when a commit that refers to it is: such a commit rests on its pledge (`placed`), and is written
//! and synced with it (`log`). A crash leaves at most bytes that nothing names, which the compactor reclaims. Small bodies share
//! segments and syncs (`append`), large ones become a segment of their own. Reads check
//! the checksum of each chunk that they touch. Bodies are not counted: who refers to
//! what is known to the accounts alone, and `compact` asks them.

mod ahead;
mod append;
mod buffer;
mod dead;
pub(crate) mod frame;
mod last;
mod log;
mod placed;
mod records;
mod window;
mod write;

pub(crate) use dead::Dead;
pub(crate) use last::LastChunk;
pub use window::Window;
pub use write::BodyWriter;

use crate::disk::Disk;
use crate::pledge::Pledge;
use crate::row::Settled;
use crate::{Error, Options};
use append::Appender;
use bytes::Bytes;
use frame::{CHUNK, CRC};
use placed::Placed;
use rustix::io::{ReadWriteFlags, preadv2};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::IoSliceMut;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub(crate) use append::Nudge;
pub(crate) use log::Log;

/// Segment files held open for reading.
const OPEN_FILES_MAX: usize = 256;

/// Where a body lies. Stays valid until nothing refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyRef {
    /// BLAKE3 of the content.
    pub hash: [u8; 32],
    /// Segment number.
    pub segment: u64,
    /// Offset of the frame in the segment.
    pub offset: u64,
    /// Content octets.
    pub len: u64,
}

/// To what no new reference may be committed, at all or yet.
#[derive(Debug)]
pub(crate) struct Condemned {
    /// Segments about to be deleted.
    segments: BTreeSet<u64>,
    placed: Arc<Placed>,
}

impl Condemned {
    /// What a commit that refers to `body` has to rest on; `None` if the body is durable. An error if its sync has
    /// failed, or if it lies in a condemned segment: it does only if its owner waited longer than the grace time.
    pub(crate) fn admit(&self, body: &BodyRef) -> Result<Option<Arc<Pledge>>, Error> {
        if self.segments.contains(&body.segment) {
            let text = "the body has waited too long and was moved";
            return Err(Error::Io(std::io::Error::new(std::io::ErrorKind::NotFound, text)));
        }
        self.placed.standing(body)
    }
}

/// The bodies of a store.
#[derive(Clone, Debug)]
pub struct Bodies {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    dir: PathBuf,
    spool: PathBuf,
    disk: Arc<dyn Disk>,
    options: Options,
    next_segment: AtomicU64,
    next_spool: AtomicU64,
    files: Mutex<OpenFiles>,
    appender: Appender,
    condemned: RwLock<Condemned>,
    dead: Dead,
}

impl Bodies {
    /// Opens the bodies under `dir` (`blobs/` and `spool/`). `settled` is what was last recorded; `nudge` is called when there is something
    /// to write. Also the journal on the segments, and the records that the table may lack.
    pub(crate) fn open(
        dir: &Path,
        options: Options,
        disk: Arc<dyn Disk>,
        settled: &Settled,
        nudge: Nudge,
    ) -> Result<(Bodies, Log, Vec<Vec<u8>>), Error> {
        let (blobs, spool) = (dir.join("blobs"), dir.join("spool"));
        for path in [&blobs, &spool] {
            std::fs::create_dir_all(path)?;
        }
        disk.sync_dir(dir)?;
        for left in std::fs::read_dir(&spool)? {
            disk.remove(&left?.path())?;
        }
        let last = segments_in(&blobs)?.keys().next_back().copied().unwrap_or(0);
        let mut resumed = log::resume(&*disk, &blobs, settled, &options)?;
        let records = std::mem::take(&mut resumed.records);
        let placed = Arc::<Placed>::default();
        let shared = Arc::new(Shared {
            dir: blobs,
            spool,
            disk,
            next_segment: AtomicU64::new(last + 1),
            next_spool: AtomicU64::new(0),
            files: Mutex::default(),
            appender: Appender::new(resumed.open(&options), placed.clone(), nudge),
            condemned: RwLock::new(Condemned { segments: BTreeSet::new(), placed }),
            dead: Dead::default(),
            options,
        });
        let log = Log::new(shared.clone(), resumed);
        Ok((Bodies { shared }, log, records))
    }

    /// Begins a body.
    #[must_use]
    pub fn writer(&self) -> BodyWriter {
        BodyWriter::new(self.shared.clone())
    }

    /// Reads a range of a body, checked against its checksums.
    #[must_use]
    pub fn read(&self, body: &BodyRef, range: Range<u64>) -> BodyReader {
        let end = range.end.min(body.len);
        BodyReader {
            shared: self.shared.clone(),
            body: body.clone(),
            at: range.start.min(end),
            end,
            file: None,
        }
    }

    /// The same on a thread that may wait: `piece` gets the range in pieces, until it breaks off. `last` is used again for what the same
    /// caller reads next.
    pub(crate) fn read_wait(
        &self,
        last: &mut LastChunk,
        body: &BodyRef,
        range: Range<u64>,
        piece: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let (mut at, end) = (range.start, range.end.min(body.len));
        while at < end {
            let chunk = last.get(&self.shared, body, at)?;
            let start = at - at % CHUNK as u64;
            let to = chunk.len().min((end - start) as usize);
            if piece(&chunk[(at - start) as usize..to]).is_break() {
                break;
            }
            at = start + to as u64;
        }
        Ok(())
    }

    /// How often bodies were made durable so far: bodies share syncs.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.shared.appender.syncs()
    }

    /// Later bodies are refused. What waits is written before the engine is closed.
    pub(crate) fn close(&self) {
        self.shared.appender.close();
    }

    /// All segments with their octets.
    pub(crate) fn segments(&self) -> Result<BTreeMap<u64, u64>, Error> {
        segments_in(&self.shared.dir)
    }

    /// True of the segment that is being appended to, and of one that will be or was, as long as its records may be needed.
    pub(crate) fn is_open(&self, segment: u64) -> bool {
        self.shared.appender.is_open(segment)
    }

    /// Runs `commit`, which hands new references to the engine, while no segment can become condemned.
    pub(crate) fn referring<T>(&self, commit: impl FnOnce(&Condemned) -> T) -> T {
        commit(&self.shared.condemned.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on nothing new may refer to `segment`; false takes that back.
    pub(crate) fn condemn(&self, segment: u64, condemned: bool) {
        let mut set = self.shared.condemned.write().unwrap_or_else(PoisonError::into_inner);
        if condemned {
            set.segments.insert(segment);
        } else {
            set.segments.remove(&segment);
        }
    }

    /// What is probably dead.
    pub(crate) fn dead(&self) -> &Dead {
        &self.shared.dead
    }

    /// Deletes a segment to which nothing refers.
    pub(crate) fn delete(&self, segment: u64) -> Result<(), Error> {
        lock(&self.shared.files).open.remove(&segment);
        self.shared.disk.remove(&segment_path(&self.shared.dir, segment))?;
        self.shared.disk.sync_dir(&self.shared.dir)?;
        Ok(())
    }

    /// Reads a whole body and compares it with its header and hash. `None`: sound. Blocks for the disk.
    pub(crate) fn verify(&self, body: &BodyRef) -> Result<Option<String>, Error> {
        let file = match self.shared.file(body.segment) {
            Ok(file) => file,
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Some(format!("segment {} is missing", body.segment)));
            }
            Err(error) => return Err(error),
        };
        let mut header = [0; frame::HEADER];
        if file.read_exact_at(&mut header, body.offset).is_err() {
            return Ok(Some("the segment is too short".to_owned()));
        }
        match frame::Header::decode(&header) {
            Some(found) if found.len == body.len && found.hash == body.hash => {}
            _ => return Ok(Some("no such frame there".to_owned())),
        }
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        while at < body.len {
            let Ok(chunk) = read_chunk(&file, body, at) else {
                return Ok(Some(format!("the chunk at octet {at} is damaged")));
            };
            at += chunk.len() as u64;
            hasher.update(&chunk);
        }
        Ok((*hasher.finalize().as_bytes() != body.hash).then(|| "the hash differs".to_owned()))
    }

    /// Copies a body into the active segment. Blocks for the disk.
    pub(crate) fn copy(&self, body: &BodyRef) -> Result<BodyRef, Error> {
        let file = self.shared.file(body.segment)?;
        let mut writer = self.writer();
        let mut at = 0;
        while at < body.len {
            let chunk = read_chunk(&file, body, at)?;
            at += chunk.len() as u64;
            writer.write_blocking(&chunk)?;
        }
        let copy = writer.finish_blocking()?;
        if copy.hash != body.hash {
            return Err(damaged(body, "the hash differs"));
        }
        Ok(copy)
    }
}

impl Shared {
    /// An open file of a segment, from the cache if it is there.
    fn file(&self, segment: u64) -> Result<Arc<File>, Error> {
        if let Some(file) = self.cached(segment) {
            return Ok(file);
        }
        let file = Arc::new(File::open(segment_path(&self.dir, segment))?);
        lock(&self.files).put(segment, file.clone());
        Ok(file)
    }

    fn cached(&self, segment: u64) -> Option<Arc<File>> {
        let mut files = lock(&self.files);
        files.tick += 1;
        let tick = files.tick;
        let (file, used) = files.open.get_mut(&segment)?;
        *used = tick;
        Some(file.clone())
    }

    /// A number for a new segment.
    fn number(&self) -> u64 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }
}

/// Open files by segment, with the tick of their last use.
#[derive(Debug, Default)]
struct OpenFiles {
    open: HashMap<u64, (Arc<File>, u64)>,
    tick: u64,
}

impl OpenFiles {
    fn put(&mut self, segment: u64, file: Arc<File>) {
        if self.open.len() >= OPEN_FILES_MAX
            && let Some(oldest) = self.open.iter().min_by_key(|(_, (_, used))| *used).map(|(n, _)| *n)
        {
            self.open.remove(&oldest);
        }
        self.open.insert(segment, (file, self.tick));
    }
}

/// A body on its way out.
#[derive(Debug)]
pub struct BodyReader {
    shared: Arc<Shared>,
    body: BodyRef,
    at: u64,
    end: u64,
    file: Option<Arc<File>>,
}

thread_local! {
    /// Room for a chunk that is looked at and done with.
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl BodyReader {
    /// Hands the next piece to `take`, if there is one and it can be had at once, and without new room for it. `None`: it was not called;
    /// [`BodyReader::next`] tells why.
    pub fn now<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Option<T> {
        if self.at >= self.end {
            return None;
        }
        let file = self.file.take().or_else(|| self.shared.cached(self.body.segment))?;
        let (content, offset) = chunk_content(&self.body, self.at).ok()?;
        ROOM.with(|room| {
            let mut room = room.try_borrow_mut().ok()?;
            if room.len() < content + CRC {
                room.resize(content + CRC, 0);
            }
            let chunk = &mut room[..content + CRC];
            let read = preadv2(&file, &mut [IoSliceMut::new(chunk)], offset, ReadWriteFlags::NOWAIT);
            if read != Ok(chunk.len()) || !frame::is_sound(chunk) {
                return None;
            }
            self.file = Some(file);
            let (from, to) = self.pass(content);
            Some(take(&chunk[from..to]))
        })
    }

    /// Goes past the rest of the chunk: where in its content that is.
    fn pass(&mut self, content: usize) -> (usize, usize) {
        let chunk_start = self.at - self.at % CHUNK as u64;
        let from = (self.at - chunk_start) as usize;
        let to = content.min((self.end - chunk_start) as usize);
        self.at = chunk_start + to as u64;
        (from, to)
    }

    /// The next piece, at most 64 KiB; `None` at the end. Does not block the
    /// calling thread for a slow disk.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.at >= self.end {
            return Ok(None);
        }
        let file = match self.file.take().or_else(|| self.shared.cached(self.body.segment)) {
            Some(file) => file,
            None => {
                let (shared, segment) = (self.shared.clone(), self.body.segment);
                blocking(move || shared.file(segment)).await?
            }
        };
        let chunk = match read_chunk_cached(&file, &self.body, self.at)? {
            Some(chunk) => chunk,
            None => {
                let (file, body, at) = (file.clone(), self.body.clone(), self.at);
                blocking(move || read_chunk(&file, &body, at)).await?
            }
        };
        self.file = Some(file);
        let (from, to) = self.pass(chunk.len());
        Ok(Some(Bytes::from(chunk).slice(from..to)))
    }
}

/// Runs `work` where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    // It fails only when the runtime is going down.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Closed))
}

/// Content octets of the chunk with content octet `at`, and where it is in the segment.
fn chunk_content(body: &BodyRef, at: u64) -> Result<(usize, u64), Error> {
    let start = at - at % CHUNK as u64;
    let content = body.len.saturating_sub(start).min(CHUNK as u64) as usize;
    let offset = body.offset.checked_add(frame::chunk_offset(at));
    Ok((content, offset.ok_or_else(|| damaged(body, "its offset is out of range"))?))
}

/// Room for that chunk, and where it is.
fn chunk_room(body: &BodyRef, at: u64) -> Result<(Vec<u8>, u64), Error> {
    let (content, offset) = chunk_content(body, at)?;
    Ok((vec![0; content + CRC], offset))
}

/// The chunk with content octet `at`, if it can be had without waiting for the disk.
fn read_chunk_cached(file: &File, body: &BodyRef, at: u64) -> Result<Option<Vec<u8>>, Error> {
    let (mut chunk, offset) = chunk_room(body, at)?;
    // Whatever goes wrong here goes wrong again in the call that may wait, which then tells.
    match preadv2(file, &mut [IoSliceMut::new(&mut chunk)], offset, ReadWriteFlags::NOWAIT) {
        Ok(read) if read == chunk.len() => {}
        _ => return Ok(None),
    }
    frame::verified(&mut chunk).ok_or_else(|| damaged(body, "a checksum differs"))?;
    Ok(Some(chunk))
}

fn read_chunk(file: &File, body: &BodyRef, at: u64) -> Result<Vec<u8>, Error> {
    let (mut chunk, offset) = chunk_room(body, at)?;
    file.read_exact_at(&mut chunk, offset).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => damaged(body, "the segment is too short"),
        _ => Error::from(error),
    })?;
    frame::verified(&mut chunk).ok_or_else(|| damaged(body, "a checksum differs"))?;
    Ok(chunk)
}

fn damaged(body: &BodyRef, what: &str) -> Error {
    Error::Damaged(format!("body at {} of segment {}: {what}", body.offset, body.segment))
}

fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.seg"))
}

/// Segments in `dir` with their octets. Other names are passed over.
fn segments_in(dir: &Path) -> Result<BTreeMap<u64, u64>, Error> {
    let mut found = BTreeMap::new();
    for item in std::fs::read_dir(dir)? {
        let item = item?;
        let name = item.file_name();
        let number = name.to_str().and_then(|n| n.strip_suffix(".seg")).and_then(|n| n.parse().ok());
        if let Some(number) = number {
            match item.metadata() {
                Ok(metadata) => drop(found.insert(number, metadata.len())),
                // Deleted between the listing and the look at it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(found)
}

/// Nothing is left half done by a panic in any critical section here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
