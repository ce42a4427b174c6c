//! Files that are whole or not there, also after power fails: written beside, synced, renamed, the folder synced.
//!
//! What must hold: at no moment does the file's own name lead to anything but all of the old or all of the
//! new octets; only the owner reads them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Octets of a file; a chain with its key is some ten thousand.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Writes a file in place of an older one; its folder is made if there is none.
///
/// # Errors
/// The folder cannot be written; an older file is still there then.
pub(super) fn write(file: &Path, octets: &[u8]) -> io::Result<()> {
    write_in_steps(file, octets, &mut |_| Ok(()))
}

/// Reads a file that [`write`] wrote.
///
/// # Errors
/// It is not there, cannot be read, or is too long to be one.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(file)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is too long"));
    }
    fs::read(file)
}

/// Removes a file; one that is not there is no error.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync(folder_of(file)),
    }
}

/// What has just been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Created,
    Written,
    Synced,
    Renamed,
    FolderSynced,
}

/// `done` is told of each step; the tests cut there.
fn write_in_steps(
    file: &Path,
    octets: &[u8],
    done: &mut dyn FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    let folder = folder_of(file);
    make(folder)?;
    let beside = beside(file);
    let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    done(Step::Created)?;
    new.write_all(octets)?;
    done(Step::Written)?;
    new.sync_all()?;
    done(Step::Synced)?;
    fs::rename(&beside, file)?;
    done(Step::Renamed)?;
    sync(folder)?;
    done(Step::FolderSynced)
}

/// A folder that is new must itself be found again: what holds it is synced too.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make(above)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync(above.unwrap_or(Path::new("."))),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(file: &Path) -> PathBuf {
    let mut beside: OsString = file.as_os_str().to_owned();
    beside.push(".new");
    PathBuf::from(beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Step; 5] = [Step::Created, Step::Written, Step::Synced, Step::Renamed, Step::FolderSynced];

    /// Writes until this step is done, and no further: as if the process were killed there.
    fn cut_after(file: &Path, octets: &[u8], last: Step) {
        let mut seen = Vec::new();
        let cut = write_in_steps(file, octets, &mut |step| {
            seen.push(step);
            if step == last { Err(io::Error::other("killed")) } else { Ok(()) }
        });
        assert_eq!(cut.unwrap_err().to_string(), "killed");
        assert!(ALL.starts_with(&seen), "synced before it is renamed: {seen:?}");
    }

    #[test]
    fn killed_at_any_step_the_file_is_the_old_or_the_new_one() {
        for last in ALL {
            let data = tempfile::tempdir().unwrap();
            let file = data.path().join("a/b/mail.pem");
            write(&file, b"the old one").unwrap();
            cut_after(&file, b"the new one", last);
            let expected: &[u8] = if ALL[..3].contains(&last) { b"the old one" } else { b"the new one" };
            assert_eq!(read(&file).unwrap(), expected, "{last:?}");
            // What lies beside does not disturb the next one.
            write(&file, b"third").unwrap();
            assert_eq!(read(&file).unwrap(), b"third");
            assert!(!beside(&file).exists());
        }
    }

    #[test]
    fn without_power_what_was_not_synced_may_be_anything() {
        // What the disk has of a file that was not synced is any beginning of it, or zeros.
        let new = b"the new one";
        let lost = (0..=new.len()).map(|n| new[..n].to_vec()).chain([vec![0; new.len()]]);
        for left in lost {
            for last in [Step::Created, Step::Written] {
                let data = tempfile::tempdir().unwrap();
                let file = data.path().join("mail.pem");
                write(&file, b"the old one").unwrap();
                cut_after(&file, new, last);
                fs::write(beside(&file), &left).unwrap();
                assert_eq!(read(&file).unwrap(), b"the old one", "{last:?}");
            }
        }
        // Until the folder is synced its entry is the old or the new one; both lead to octets that were synced.
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("mail.pem");
        write(&file, b"the old one").unwrap();
        cut_after(&file, new, Step::Synced);
        assert_eq!(
            (read(&file).unwrap(), read(&beside(&file)).unwrap()),
            (b"the old one".to_vec(), new.to_vec())
        );
    }

    #[test]
    fn a_full_disk_leaves_the_old_one() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("mail.pem");
        write(&file, b"the old one").unwrap();
        // A folder stands where the file beside should: it cannot be made.
        fs::create_dir(beside(&file)).unwrap();
        write(&file, b"new").unwrap_err();
        assert_eq!(read(&file).unwrap(), b"the old one");
    }
}
