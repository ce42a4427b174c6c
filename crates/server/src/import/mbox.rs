//! Finding the messages of an mbox file.
//!
//! A message begins behind a line `From sender date` that stands at the start of
//! the file or after an empty line and whose date can be recognised; other lines
//! that begin with `From ` are text of sloppy writers. A Content-Length is taken
//! only if a message or the end of the file follows exactly where it points
//! (mboxcl2 needs it, all others lie with it sooner or later).

use super::{Error, names, when};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Octets of a line that are kept; the rest of a longer line is passed over.
const LINE_BYTES_MAX: usize = 4096;
/// Octets of a header that are looked at (a line more at most).
const HEADER_BYTES_MAX: usize = 64 << 10;
/// Octets of a large file that are read for an estimate.
const ESTIMATE_BYTES: u64 = 32 << 20;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where its `From ` line begins.
    pub from_line: u64,
    /// Where the message begins.
    pub start: u64,
    /// Its octets, without the empty line that mbox adds.
    pub bytes: u64,
    /// `From ` in its lines is quoted.
    pub quoted: bool,
    /// From the `From ` line.
    pub received: Option<i64>,
}

/// The messages of a file, one after the other.
#[derive(Debug)]
pub struct Messages {
    path: PathBuf,
    lines: Lines<BufReader<File>>,
    /// The `From ` line that was read and whose message is next: offset and date.
    pending: Option<(u64, Option<i64>)>,
    started: bool,
    failed: bool,
}

impl Messages {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Messages, Error> {
        let file = File::open(path).map_err(|e| Error::Io(path.to_owned(), e))?;
        Ok(Messages {
            path: path.to_owned(),
            lines: Lines::new(BufReader::with_capacity(64 << 10, file)),
            pending: None,
            started: false,
            failed: false,
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next message that is one: not the note that some programs keep at the start.
    fn find(&mut self) -> io::Result<Option<Span>> {
        if !self.started {
            self.started = true;
            self.skip_to_first()?;
        }
        while let Some((from_line, received)) = self.pending.take() {
            let (span, note) = self.message(from_line, received)?;
            if !note {
                return Ok(Some(span));
            }
        }
        Ok(None)
    }

    /// Passes over empty lines; anything but a `From ` line then means no messages.
    fn skip_to_first(&mut self) -> io::Result<()> {
        while let Some(at) = self.lines.next()? {
            if let Some(received) = from_line(&self.lines.line) {
                self.pending = Some((at, received));
                break;
            }
            if !is_empty(&self.lines.line) {
                break;
            }
        }
        Ok(())
    }

    /// Reads to the end of the message; the `From ` line behind it becomes pending.
    /// True beside it if this is a program's own note and no message.
    fn message(&mut self, from_line_at: u64, received: Option<i64>) -> io::Result<(Span, bool)> {
        let start = self.lines.offset;
        let mut header = Vec::new();
        let mut in_header = true;
        let mut note = false;
        let mut until = None;
        let mut unquoted_from = false;
        let mut after_empty = false;
        // Without the empty line that mbox adds; the one that ends the header is the message's own.
        let mut end = start;
        while let Some(at) = self.lines.next()? {
            let line = &self.lines.line;
            if line.starts_with(b"From ") {
                let within = until.is_some_and(|until| at < until);
                if !within
                    && after_empty
                    && let Some(next) = from_line(line)
                {
                    self.pending = Some((at, next));
                    break;
                }
                unquoted_from |= within;
            }
            let empty = is_empty(line);
            end = if empty && !in_header { at } else { self.lines.offset };
            if in_header && empty {
                in_header = false;
                let fields = names::fields(&header);
                note = names::is_folder_note(&fields);
                until = self.content_end(&fields)?;
            } else if in_header && header.len() < HEADER_BYTES_MAX {
                header.extend_from_slice(line);
            }
            after_empty = empty;
        }
        let end = end.max(until.unwrap_or(0));
        let span =
            Span { from_line: from_line_at, start, bytes: end - start, quoted: !unquoted_from, received };
        Ok((span, note))
    }

    /// The end that Content-Length gives, if it fits: then a `From ` line or the
    /// end of the file is there, behind empty lines at most.
    fn content_end(&mut self, fields: &[(String, String)]) -> io::Result<Option<u64>> {
        let Some(length) = names::field(fields, "content-length").and_then(|v| v.trim().parse::<u64>().ok())
        else {
            return Ok(None);
        };
        let here = self.lines.offset;
        let Some(end) = here.checked_add(length) else { return Ok(None) };
        let file = self.lines.inner.get_mut();
        let position = file.stream_position()?;
        let size = file.seek(SeekFrom::End(0))?;
        let mut behind = Vec::new();
        if end <= size {
            file.seek(SeekFrom::Start(end))?;
            file.take(512).read_to_end(&mut behind)?;
        }
        file.seek(SeekFrom::Start(position))?;
        if end > size {
            return Ok(None);
        }
        let text = behind.trim_ascii_start();
        let line = text.split_inclusive(|b| *b == b'\n').next().unwrap_or_default();
        let separated = text.len() < behind.len() || behind.is_empty();
        Ok(((text.is_empty() || from_line(line).is_some()) && separated).then_some(end))
    }
}

impl Iterator for Messages {
    type Item = Result<Span, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match self.find() {
            Ok(span) => span.map(Ok),
            Err(e) => {
                // Behind a read error nothing says where the next message begins.
                self.failed = true;
                Some(Err(Error::Io(self.path.clone(), e)))
            }
        }
    }
}

/// Messages and octets of a file; of a large one the messages are estimated from its start.
pub fn estimate(path: &Path) -> Result<(u64, u64), Error> {
    let failed = |e| Error::Io(path.to_owned(), e);
    let size = File::open(path).and_then(|f| f.metadata()).map_err(failed)?.len();
    let mut count = 0;
    let mut read = 0;
    for span in Messages::open(path)? {
        let span = span?;
        count += 1;
        read = span.start + span.bytes;
        if read > ESTIMATE_BYTES {
            break;
        }
    }
    if read <= ESTIMATE_BYTES {
        return Ok((count, size));
    }
    let estimated = u128::from(count) * u128::from(size) / u128::from(read);
    Ok((u64::try_from(estimated).unwrap_or(u64::MAX), size))
}

/// Does a file begin as an mbox?
pub fn looks_like_mbox(path: &Path) -> io::Result<bool> {
    let mut lines = Lines::new(BufReader::with_capacity(4096, File::open(path)?.take(64 << 10)));
    while lines.next()?.is_some() {
        if !is_empty(&lines.line) {
            return Ok(from_line(&lines.line).is_some());
        }
    }
    Ok(false)
}

/// `From sender date`: `Some` with the date, if a time of day and a year stand in it.
fn from_line(line: &[u8]) -> Option<Option<i64>> {
    let text = std::str::from_utf8(line.strip_prefix(b"From ")?).ok()?.trim_end();
    let mut words = text.split_whitespace();
    let has_time =
        words.clone().any(|w| w.len() >= 4 && w.contains(':') && w.starts_with(|c: char| c.is_ascii_digit()));
    let has_year = words.any(|w| w.len() == 4 && w.bytes().all(|b| b.is_ascii_digit()));
    (has_time && has_year).then(|| when::of_from_line(text))
}

fn is_empty(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

/// Lines with their offsets, the kept part of each bounded.
#[derive(Debug)]
struct Lines<R> {
    inner: R,
    /// Octets read so far: where the next line begins.
    offset: u64,
    /// The line with its end, as far as it is kept.
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    fn new(inner: R) -> Lines<R> {
        Lines { inner, offset: 0, line: Vec::new() }
    }

    /// Reads a line and gives its offset.
    fn next(&mut self) -> io::Result<Option<u64>> {
        self.line.clear();
        let at = self.offset;
        loop {
            let piece = match self.inner.fill_buf() {
                Ok(piece) => piece,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let end = piece.iter().position(|b| *b == b'\n').map(|p| p + 1);
            let taken = end.unwrap_or(piece.len());
            let room = LINE_BYTES_MAX - self.line.len();
            self.line.extend_from_slice(&piece[..taken.min(room)]);
            self.inner.consume(taken);
            self.offset += taken as u64;
            if end.is_some() || taken == 0 {
                return Ok((self.offset > at).then_some(at));
            }
        }
    }
}
