//! The files of what an authority gave us: our account there and the certificates with their keys.
//!
//! They lie in the data directory, one folder for each authority, so that a backup has them and a change of
//! authority mixes nothing up. What must hold: a file is whole or not there, also after
//! power fails ([`whole`]); key and chain of a certificate are one file; only the owner reads them.

use super::waits::Waits;
use super::whole;
use net::authority::KeyKind;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The folder within the data directory.
const FOLDER: &str = "acme";
/// Certificates that are looked at when the service starts.
const FILES_MAX: usize = 100_000;

/// The folder of one authority.
#[derive(Clone, Debug)]
pub struct Keep {
    folder: PathBuf,
}

/// What an authority last said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The names by which CAA records permit it (RFC 8555 7.1.1), its own choice first.
    #[serde(default)]
    pub caa_identities: Vec<String>,
}

/// A certificate's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its key.
    pub kind: KeyKind,
    /// Where it lies.
    pub file: PathBuf,
}

impl Keep {
    /// The folder for the authority with this directory URL; nothing is made yet.
    #[must_use]
    pub fn new(data: &Path, directory: &str) -> Keep {
        let host = directory.split('/').nth(2).unwrap_or_default();
        let host: String =
            host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        // Two directories of one host (one for trying out) are two authorities.
        let digest = Sha256::digest(directory.as_bytes());
        let mark: String = digest.iter().take(4).map(|octet| format!("{octet:02x}")).collect();
        Keep { folder: data.join(FOLDER).join(format!("{host}-{mark}")) }
    }

    /// What is kept of the account; `None` if there is none.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn account(&self) -> io::Result<Option<String>> {
        match whole::read(&self.folder.join("account.json")) {
            Ok(octets) => String::from_utf8(octets)
                .map(Some)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps the account.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub fn keep_account(&self, kept: &str) -> io::Result<()> {
        whole::write(&self.folder.join("account.json"), kept.as_bytes())
    }

    /// Puts the account aside that the authority does not have any more; what was put aside before goes.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub fn put_account_aside(&self) -> io::Result<()> {
        fs::rename(self.folder.join("account.json"), self.folder.join("account.old.json"))?;
        File::open(&self.folder)?.sync_all()
    }

    /// What the authority last said of itself; `None` if it was never asked.
    ///
    /// # Errors
    /// The file is there and cannot be read, or is damaged.
    pub fn said(&self) -> io::Result<Option<Said>> {
        match whole::read(&self.folder.join("authority.json")) {
            Ok(octets) => Ok(Some(serde_json::from_slice(&octets)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps what the authority says of itself, so that it is known without asking.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub fn keep_said(&self, said: &Said) -> io::Result<()> {
        whole::write(&self.folder.join("authority.json"), &serde_json::to_vec_pretty(said)?)
    }

    /// What is kept of waits and orders; `None` if there is nothing.
    ///
    /// # Errors
    /// The file is there and cannot be read, or is damaged.
    pub fn waits(&self, now: i64) -> io::Result<Option<Waits>> {
        match whole::read(&self.folder.join("waits.json")) {
            Ok(octets) => Ok(Some(Waits::read(&octets, now)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps waits and orders.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub fn keep_waits(&self, waits: &Waits) -> io::Result<()> {
        whole::write(&self.folder.join("waits.json"), &waits.written())
    }

    /// All certificates, by name.
    ///
    /// # Errors
    /// The folder is there and cannot be read.
    pub fn certificates(&self) -> io::Result<Vec<Kept>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut list = Vec::new();
        for entry in entries.take(FILES_MAX) {
            let file = entry?.path();
            let parts = file.file_name().and_then(|name| name.to_str()).and_then(|name| {
                let (name, kind) = name.strip_suffix(".pem")?.rsplit_once('.')?;
                Some((name.to_owned(), kind_of(kind)?))
            });
            if let Some((name, kind)) = parts.filter(|(name, _)| is_host(name)) {
                list.push(Kept { name, kind, file });
            }
        }
        list.sort_by(|a, b| (&a.name, word(a.kind)).cmp(&(&b.name, word(b.kind))));
        Ok(list)
    }

    /// Where the certificate of this name and kind lies, or will.
    #[must_use]
    pub fn place(&self, name: &str, kind: KeyKind) -> Kept {
        let file = self.folder.join(format!("{name}.{}.pem", word(kind)));
        Kept { name: name.to_owned(), kind, file }
    }

    /// Keeps a certificate with its key, in place of an older one.
    ///
    /// # Errors
    /// The data directory cannot be written; an older one is still there then.
    pub fn keep(&self, kept: &Kept, pem: &str) -> io::Result<()> {
        whole::write(&kept.file, pem.as_bytes())
    }

    /// Reads a certificate with its key.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, kept: &Kept) -> io::Result<Vec<u8>> {
        whole::read(&kept.file)
    }

    /// Removes a certificate that is no longer wanted.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub fn remove(&self, kept: &Kept) -> io::Result<()> {
        whole::remove(&kept.file)
    }
}

/// The word for a key's kind in the names of files and in what the operator reads.
#[must_use]
pub fn word(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Ecdsa => "ecdsa",
        KeyKind::Rsa => "rsa",
    }
}

/// A name that an authority takes and that is safe as the name of a file: labels of letters, digits and hyphens, lower case.
#[must_use]
pub fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-')
    };
    name.len() <= 230 && name.contains('.') && name.split('.').all(label)
}

fn kind_of(text: &str) -> Option<KeyKind> {
    [KeyKind::Ecdsa, KeyKind::Rsa].into_iter().find(|kind| word(*kind) == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_found_again_and_only_by_the_owner() {
        let data = tempfile::tempdir().unwrap();
        let keep = Keep::new(data.path(), "https://ca.test:14000/dir");
        assert_eq!((keep.account().unwrap(), keep.certificates().unwrap()), (None, Vec::new()));
        keep.keep_account("{}").unwrap();
        let rsa = keep.place("mail.example.test", KeyKind::Rsa);
        let ecdsa = keep.place("mail.example.test", KeyKind::Ecdsa);
        keep.keep(&rsa, "old").unwrap();
        keep.keep(&rsa, "new").unwrap();
        keep.keep(&ecdsa, "x").unwrap();
        assert_eq!(keep.account().unwrap().as_deref(), Some("{}"));
        assert_eq!(keep.certificates().unwrap(), [ecdsa.clone(), rsa.clone()]);
        assert_eq!(keep.read(&rsa).unwrap(), b"new");
        for path in [&rsa.file, &ecdsa.file, &keep.folder.join("account.json")] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&keep.folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(keep.said().unwrap(), None);
        let said = Said { caa_identities: vec!["ca.test".to_owned(), "ca.example".to_owned()] };
        keep.keep_said(&said).unwrap();
        assert_eq!(keep.said().unwrap(), Some(said));
        fs::write(keep.folder.join("authority.json"), "{").unwrap();
        keep.said().unwrap_err();
        keep.put_account_aside().unwrap();
        assert_eq!(keep.account().unwrap(), None);
        keep.remove(&rsa).unwrap();
        assert_eq!(keep.certificates().unwrap(), [ecdsa]);
        let other = Keep::new(data.path(), "https://ca.test:14000/staging");
        assert_eq!(other.account().unwrap(), None, "another authority has another folder");
    }

    #[test]
    fn only_plain_host_names_become_files() {
        for good in ["a.test", "xn--bcher-kva.example", "1.2.test"] {
            assert!(is_host(good), "{good}");
        }
        let long = format!("{}.test", "a".repeat(64));
        for bad in [
            "",
            "test",
            "A.test",
            "a..test",
            ".a.test",
            "a/b.test",
            "../a.test",
            "*.a.test",
            "a_b.test",
            &long,
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
