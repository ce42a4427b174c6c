//! The keys with which a domain's mail is signed (DKIM, RFC 6376), and the records that publish them.
//!
//! A domain has an RSA key, which every receiver can check (RFC 8301 3.2: 2048 bits), and an Ed25519 key (RFC 8463). They
//! are made at first need and kept in the data directory, `dkim/DOMAIN/SELECTOR.pem`, readable by the owner alone; the
//! selector is the file's name, so a further key is a further file.
//! What must hold: a key once published is never made anew, so a file that cannot be read is an error and not a
//! reason to write another; no private key prints. Deliberately not here: signing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData, RsaKeySize};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Selector and kind of the keys that are made for a domain, in the order in which they are published.
const MADE: [(&str, Algorithm); 2] =
    [("sealpost-rsa", Algorithm::Rsa), ("sealpost-ed25519", Algorithm::Ed25519)];
/// What a key's file is called behind its selector.
const SUFFIX: &str = ".pem";
/// Keys of one domain: more are a mistake in the directory.
const KEYS_MAX: usize = 16;
/// Octets of a key's file.
const FILE_BYTES_MAX: u64 = 16 << 10;
/// Octets of an Ed25519 public key; the end of its SubjectPublicKeyInfo (RFC 8410 4).
const ED25519_BYTES: usize = 32;

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `rsa-sha256`.
    Rsa,
    /// `ed25519-sha256`.
    Ed25519,
}

/// One key pair.
pub struct Key {
    /// Under which its record stands: `SELECTOR._domainkey.DOMAIN`.
    pub selector: String,
    /// How it signs.
    pub algorithm: Algorithm,
    pair: KeyPair,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("selector", &self.selector)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// The text of its record (RFC 6376 3.6.1, RFC 8463 4).
    #[must_use]
    pub fn record(&self) -> String {
        let public = self.pair.subject_public_key_info();
        match self.algorithm {
            Algorithm::Rsa => format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(public)),
            Algorithm::Ed25519 => {
                let raw = &public[public.len().saturating_sub(ED25519_BYTES)..];
                format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(raw))
            }
        }
    }

    fn read(selector: &str, file: &Path) -> io::Result<Key> {
        if fs::metadata(file)?.len() > FILE_BYTES_MAX {
            return Err(broken(file, "it is too long for a key"));
        }
        let pem = Zeroizing::new(fs::read_to_string(file)?);
        let pair = KeyPair::from_pem(&pem).map_err(|error| broken(file, &error))?;
        let algorithm = if *pair.algorithm() == rcgen::PKCS_ED25519 {
            Algorithm::Ed25519
        } else if *pair.algorithm() == rcgen::PKCS_RSA_SHA256 {
            Algorithm::Rsa
        } else {
            return Err(broken(file, "it is neither an RSA nor an Ed25519 key"));
        };
        Ok(Key { selector: selector.to_owned(), algorithm, pair })
    }
}

/// The keys of a domain, made if it has none. Computes for a good part of a second then: not for an async thread.
///
/// # Errors
/// The directory cannot be read or written, or a file in it is no key; the file is named.
pub fn keys(data: &Path, domain: &str) -> io::Result<Vec<Key>> {
    // Two requests at a time must not make two keys for one selector; one process at a time has the data directory.
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = directory(data, domain)?;
    let found = read_all(&directory)?;
    if !found.is_empty() {
        return Ok(found);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    let mut made = Vec::new();
    for (selector, algorithm) in MADE {
        let pair = match algorithm {
            Algorithm::Rsa => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
            Algorithm::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        };
        let pair = pair.map_err(io::Error::other)?;
        let pem = Zeroizing::new(pair.serialize_pem());
        made.push((pem, Key { selector: selector.to_owned(), algorithm, pair }));
    }
    // All are there before the first is written: what is found next time is the whole set or nothing, short of a crash
    // between two renames, after which the domain has one key less and signs all the same.
    for (pem, key) in &made {
        write(&directory, &key.selector, pem)?;
    }
    File::open(&directory)?.sync_all()?;
    Ok(made.into_iter().map(|(_, key)| key).collect())
}

/// Names of domains are A-labels; anything else could leave the directory.
fn directory(data: &Path, domain: &str) -> io::Result<PathBuf> {
    let fits = |label: &str| {
        !label.is_empty() && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    if !domain.split('.').all(fits) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{domain:?} is no domain")));
    }
    Ok(data.join("dkim").join(domain.to_ascii_lowercase()))
}

/// RSA first, then by selector, so that the order never changes.
fn read_all(directory: &Path) -> io::Result<Vec<Key>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut keys = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(selector) = name.strip_suffix(SUFFIX) else { continue };
        if keys.len() >= KEYS_MAX {
            return Err(broken(directory, "it holds too many keys"));
        }
        keys.push(Key::read(selector, &path)?);
    }
    keys.sort_by_key(|key| (key.algorithm != Algorithm::Rsa, key.selector.clone()));
    Ok(keys)
}

fn write(directory: &Path, selector: &str, pem: &str) -> io::Result<()> {
    let path = directory.join(format!("{selector}{SUFFIX}"));
    let beside = directory.join(format!("{selector}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, &path)
}

fn broken(file: &Path, why: &(impl fmt::Display + ?Sized)) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_and_kept_to_the_owner() {
        let data = tempfile::tempdir().expect("a directory");
        let made = keys(data.path(), "Example.org").expect("keys");
        let records: Vec<String> = made.iter().map(Key::record).collect();
        let again = keys(data.path(), "example.org").expect("keys");
        assert_eq!(again.iter().map(Key::record).collect::<Vec<_>>(), records);
        assert_eq!(again[0].selector, "sealpost-rsa");
        assert_eq!(again.len(), 2);
        let other = keys(data.path(), "example.net").expect("keys");
        assert_ne!(other[0].record(), records[0]);
        let directory = data.path().join("dkim/example.org");
        for entry in fs::read_dir(&directory).expect("a directory") {
            let entry = entry.expect("an entry");
            assert_eq!(entry.metadata().expect("metadata").permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&directory).expect("metadata").permissions().mode() & 0o777, 0o700);
        assert!(!format!("{made:?}").contains("pair"));
    }

    #[test]
    fn records_are_those_of_the_rfcs() {
        let data = tempfile::tempdir().expect("a directory");
        let made = keys(data.path(), "example.org").expect("keys");
        let public = |key: &Key| {
            let text = key.record();
            let (_, public) = text.split_once("p=").expect("a public key");
            STANDARD.decode(public).expect("Base64")
        };
        assert!(made[0].record().starts_with("v=DKIM1; k=rsa; p=MIIBIjAN"));
        // 2048 bits: a SubjectPublicKeyInfo of 294 octets.
        assert_eq!(public(&made[0]).len(), 294);
        assert!(made[1].record().starts_with("v=DKIM1; k=ed25519; p="));
        assert_eq!(public(&made[1]).len(), ED25519_BYTES);
    }

    /// RFC 8463 A.1 and A.2: the private key of the example gives the record of the example.
    #[test]
    fn the_example_of_rfc_8463() {
        let data = tempfile::tempdir().expect("a directory");
        let directory = data.path().join("dkim/football.example.com");
        fs::create_dir_all(&directory).expect("a directory");
        let seed = STANDARD.decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").expect("Base64");
        // PKCS#8 of RFC 8410 7 around the seed.
        let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend_from_slice(&seed);
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
        write(&directory, "brisbane", &pem).expect("written");
        let keys = keys(data.path(), "football.example.com").expect("keys");
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].selector, "brisbane");
        assert_eq!(keys[0].record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    }

    #[test]
    fn what_is_no_key_is_named_and_not_replaced() {
        let data = tempfile::tempdir().expect("a directory");
        let directory = data.path().join("dkim/example.org");
        fs::create_dir_all(&directory).expect("a directory");
        write(&directory, "mine", "junk").expect("written");
        let error = keys(data.path(), "example.org").expect_err("no key");
        assert!(error.to_string().contains("mine.pem"), "{error}");
        assert_eq!(fs::read_to_string(directory.join("mine.pem")).expect("the file"), "junk");
        for domain in ["..", "a/b", "", "a..b", "a\0b"] {
            assert!(keys(data.path(), domain).is_err(), "{domain:?}");
        }
    }
}
