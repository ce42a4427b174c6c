//! The operator's socket: a Unix-domain socket in the data directory, open to
//! its owner only.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::net::{UnixListener, UnixStream};

/// A listening operator's socket.
#[derive(Debug)]
pub struct Local(UnixListener);

impl Local {
    /// Binds; a file left over from a run that was killed is replaced. The caller
    /// holds the store's lock, so nobody else can be listening.
    pub fn bind(path: &Path) -> io::Result<Local> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Local(listener))
    }

    /// The next connection.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.0.accept().await.map(|(stream, _)| stream)
    }
}

/// Connects to a running service; `None` if none listens there.
pub async fn connect(path: &Path) -> io::Result<Option<UnixStream>> {
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
