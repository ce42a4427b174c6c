//! Every operation that changes a file of bodies, behind a trait, so that tests can make the disk fail
//! or the power go at any one of them. Reading goes past it.

use crate::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::path::Path;

/// The file operations that the bodies need: those of the system, unless an implementation says otherwise.
pub trait Disk: Send + Sync + std::fmt::Debug {
    /// A new file, which must not exist yet, open for reading and writing.
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }
    /// Writes all of `pieces`, one after the other, at `offset`.
    fn write_at(&self, file: &File, pieces: &[IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        // The system takes at most 1024 pieces at once.
        for pieces in pieces.chunks(1024) {
            let mut skip = 0usize;
            let total: usize = pieces.iter().map(|piece| piece.len()).sum();
            while skip < total {
                let written = match rustix::io::pwritev(file, &rest(pieces, skip), offset) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => written,
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(error) => return Err(error.into()),
                };
                skip += written;
                offset += written as u64;
            }
        }
        Ok(())
    }
    /// Content and length are durable on return.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
    /// Names in the directory are durable on return.
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
    /// Renames a file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }
    /// Cuts a file to `len`.
    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
    /// All that was committed to the database `path` so far is durable. Nothing is to be done: a disk that forgets takes note of it.
    fn log_synced(&self, _path: &Path) {}
    /// Whether writes to `file` go past the page cache from now on: they are of whole blocks then. False: that cannot be had. A file
    /// system may say otherwise and refuse the first such write.
    fn set_direct(&self, file: &File, on: bool) -> bool {
        let set = rustix::fs::fcntl_getfl(file).and_then(|mut flags| {
            flags.set(rustix::fs::OFlags::DIRECT, on);
            rustix::fs::fcntl_setfl(file, flags)
        });
        set.is_ok()
    }
}

/// The real disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Real;

impl Disk for Real {}

/// `pieces` without their first `skip` octets.
fn rest<'a>(pieces: &'a [IoSlice<'_>], mut skip: usize) -> Vec<IoSlice<'a>> {
    let mut out = Vec::with_capacity(pieces.len());
    for piece in pieces {
        if skip >= piece.len() {
            skip -= piece.len();
        } else {
            out.push(IoSlice::new(&piece[skip..]));
            skip = 0;
        }
    }
    out
}

/// Makes the name of a new file durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => Ok(Real.sync_dir(dir)?),
        _ => Ok(Real.sync_dir(Path::new("."))?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_more_pieces_than_the_system_takes_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = Real.create(&dir.path().join("f")).unwrap();
        let bytes: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
        let pieces: Vec<IoSlice<'_>> = bytes.chunks(2).map(IoSlice::new).collect();
        Real.write_at(&file, &pieces, 3).unwrap();
        let read = std::fs::read(dir.path().join("f")).unwrap();
        assert_eq!((&read[..3], &read[3..]), (&[0u8; 3][..], &bytes[..]));
    }

    #[test]
    fn the_rest_after_a_short_write() {
        let pieces = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        let all = |skip| rest(&pieces, skip).iter().flat_map(|p| p.to_vec()).collect::<Vec<u8>>();
        assert_eq!(all(0), b"abcde");
        assert_eq!(all(2), b"cde");
        assert_eq!(all(3), b"de");
        assert_eq!(all(5), b"");
    }
}
