//! One process for each store: an advisory lock on the file `LOCK`, which the system releases
//! however the process ends. The file itself means nothing and stays.

use crate::Error;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::path::Path;

/// Held until it is dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock of the store in `dir`, or fails with [`Error::InUse`] at once.
    pub(crate) fn take(dir: &Path) -> Result<DirLock, Error> {
        let path = dir.join("LOCK");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DirLock { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(Error::InUse),
            Err(error) => Err(Error::from(std::io::Error::from(error))),
        }
    }
}
