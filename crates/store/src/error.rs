//! What can go wrong, and the words for it.

use std::fmt;
use std::io;

/// What can go wrong, by who must act.
#[derive(Debug)]
pub enum Error {
    /// No room on the disk: the operator makes room, the peer tries again.
    DiskFull,
    /// The disk or the store is read-only.
    ReadOnly,
    /// Another process has the store open.
    InUse,
    /// What is stored does not make sense; the text says what and where.
    Damaged(String),
    /// The store was written by a newer program.
    TooNew(u32),
    /// Any other failure of the disk.
    Io(std::io::Error),
    /// The store is closing.
    Closed,
}

impl Error {
    /// The same error for one more of those who wait for the same sync.
    pub(crate) fn again(&self) -> Error {
        match self {
            Error::DiskFull => Error::DiskFull,
            Error::ReadOnly => Error::ReadOnly,
            Error::InUse => Error::InUse,
            Error::Damaged(text) => Error::Damaged(text.clone()),
            Error::TooNew(version) => Error::TooNew(*version),
            Error::Io(error) => Error::Io(match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            }),
            Error::Closed => Error::Closed,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::DiskFull => f.write_str("the operator must make room: the disk of the store is full"),
            Error::ReadOnly => f.write_str("the operator must act: the store cannot be written to"),
            Error::InUse => f.write_str("the operator must stop the other process that has the store open"),
            Error::Damaged(what) => {
                write!(f, "the operator must act (run the check of the store): {what}")
            }
            Error::TooNew(version) => write!(
                f,
                "the operator must use a newer program: the store has format {version}, which this one does not know"
            ),
            Error::Io(error) => write!(f, "the operator must look at the disk of the store: {error}"),
            Error::Closed => f.write_str("the store is closing; try again when it is open"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull,
            io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly,
            _ => Error::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Error;
    use std::io;

    #[test]
    fn the_system_says_which() {
        let from = |code| Error::from(io::Error::from_raw_os_error(code));
        // ENOSPC, EDQUOT, EROFS, EIO of Linux.
        assert!(matches!(from(28), Error::DiskFull));
        assert!(matches!(from(122), Error::DiskFull));
        assert!(matches!(from(30), Error::ReadOnly));
        assert!(matches!(from(5), Error::Io(_)));
        let Error::Io(again) = from(5).again() else { panic!("another kind of error") };
        assert_eq!(again.raw_os_error(), Some(5));
    }
}
