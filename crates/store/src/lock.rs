//! One process for each store: an advisory lock on the file `LOCK`, which the system releases
//! however the process ends. The file itself means nothing and stays.
//!
//! What must hold: once it is dropped, the store can be opened again at once. The system gives up such a lock only when the last
//! copy of the handle is closed, and a child process that is being started has one until it becomes its program: so the
//! lock is given up by name, which counts for all copies.

use crate::Error;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::path::Path;

/// Held until it is dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    file: File,
}

impl Drop for DirLock {
    fn drop(&mut self) {
        if let Err(error) = flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!(%error, "the lock of the store is given up a little later");
        }
    }
}

impl DirLock {
    /// Takes the lock of the store in `dir`, or fails with [`Error::InUse`] at once.
    pub(crate) fn take(dir: &Path) -> Result<DirLock, Error> {
        let path = dir.join("LOCK");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DirLock { file }),
            Err(Errno::WOULDBLOCK) => Err(Error::InUse),
            Err(error) => Err(Error::from(std::io::Error::from(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirLock::take(dir.path()).unwrap();
        assert!(matches!(DirLock::take(dir.path()), Err(Error::InUse)));
        drop(held);
        DirLock::take(dir.path()).unwrap();
    }

    /// A process that is being started has a copy of each handle until it becomes its program.
    #[test]
    fn a_copy_of_the_handle_does_not_keep_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirLock::take(dir.path()).unwrap();
        let of_child = held.file.try_clone().unwrap();
        drop(held);
        let again = DirLock::take(dir.path()).unwrap();
        // Nor does its end give up what others have taken since.
        drop(of_child);
        assert!(matches!(DirLock::take(dir.path()), Err(Error::InUse)));
        drop(again);
    }
}
