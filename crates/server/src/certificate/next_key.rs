//! The key of a certificate's successor, made and told beforehand: its TLSA record must be in DNS, and the caches of resolvers
//! without it gone, before a certificate with it is shown (RFC 7671 8.1).
//!
//! What must hold: once told, a key stays until a certificate has it; it lies beside the certificate, in a file that is
//! whole or not there, and only the owner reads it. Where DNS has records of keys and the next one's is not among them the
//! key is not used, however long it has waited.

use super::keep::{Keep, Kept};
use super::whole;
use futures_util::future;
use net::acme::Key;
use net::dns::Resolver;
use proto::discovery::dns::{Data, Kind};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Seconds from the word of the operator to the first certificate with the new key: two of the longest times for which
/// records are usually kept, a day each (RFC 7671 8.1).
pub const WAIT_SECONDS: i64 = 2 * 86_400;

/// [`NextKey::from`] of a key that is used at once, whatever stands in DNS.
pub const AT_ONCE: i64 = 0;

/// A key that waits.
#[derive(Debug)]
pub struct NextKey {
    /// It does not print.
    pub key: Key,
    /// From when certificates are ordered with it, Unix seconds.
    pub from: i64,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
struct File {
    from: i64,
    key: String,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Keep {
    /// The key for the successor of this certificate, if one is kept.
    ///
    /// # Errors
    /// The file is there and cannot be read, or is damaged.
    pub fn next_key(&self, kept: &Kept) -> io::Result<Option<NextKey>> {
        let octets = match whole::read(&place(kept)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let file: File = serde_json::from_slice(&octets)?;
        let key = Key::read(file.key.as_bytes(), kept.kind).map_err(io::Error::other)?;
        Ok(Some(NextKey { key, from: file.from }))
    }

    /// Makes the key for the successor of this certificate, to be used from then on. One that is kept stays, since its
    /// record may be in DNS already; only sooner may it be wanted.
    ///
    /// # Errors
    /// The data directory cannot be read or written.
    pub fn make_next_key(&self, kept: &Kept, from: i64) -> io::Result<NextKey> {
        let next = match self.next_key(kept)? {
            Some(next) if next.from <= from => return Ok(next),
            Some(next) => NextKey { from, ..next },
            None => NextKey { key: Key::new(kept.kind).map_err(io::Error::other)?, from },
        };
        let file = File { from: next.from, key: next.key.pem() };
        whole::write(&place(kept), &serde_json::to_vec(&file)?)?;
        Ok(next)
    }

    /// The successor is there, or no certificate any more.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub fn remove_next_key(&self, kept: &Kept) -> io::Result<()> {
        whole::remove(&place(kept))
    }
}

/// Is the record of this key in DNS wherever there are records of keys (`3 1 1`) for these ports of a host? `None` if
/// nothing could be found out.
pub(super) async fn recorded(
    resolver: &Resolver,
    host: &str,
    ports: &[u16],
    digest: &[u8; 32],
) -> Option<bool> {
    let asked = future::join_all(ports.iter().map(|port| async move {
        let answer = resolver.ask(&format!("_{port}._tcp.{host}"), Kind::Tlsa).await.ok()?;
        let digests = answer.records.into_iter().filter_map(|record| match record.data {
            Data::Tlsa(3, 1, 1, digest) => Some(digest),
            _ => None,
        });
        let digests: Vec<Vec<u8>> = digests.collect();
        Some(digests.is_empty() || digests.iter().any(|other| other.as_slice() == digest.as_slice()))
    }));
    let said: Vec<bool> = asked.await.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.iter().all(|fits| *fits))
}

fn place(kept: &Kept) -> PathBuf {
    kept.file.with_extension("next")
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::authority::KeyKind;
    use proto::discovery::dns::Record;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_record_that_is_not_there_is_missed_only_where_others_are() {
        let host = "mail.example.test";
        let record = |port: u16, data| Record { name: format!("_{port}._tcp.{host}"), data };
        let key = |octet| Data::Tlsa(3, 1, 1, vec![octet; 32]);
        let records = vec![
            record(25, key(1)),
            record(25, key(2)),
            record(993, key(1)),
            // The authority's key: that of the certificate may change.
            record(465, Data::Tlsa(2, 1, 1, vec![9; 32])),
        ];
        let resolver = Resolver::fixed(records, vec![format!("_143._tcp.{host}")]);
        let said = async |ports: &[u16]| recorded(&resolver, host, ports, &[2; 32]).await;
        assert_eq!(said(&[25]).await, Some(true));
        assert_eq!(said(&[25, 993]).await, Some(false), "it is missing at one port");
        assert_eq!(said(&[25, 465, 995]).await, Some(true), "no key of ours is pinned at the others");
        assert_eq!(said(&[143]).await, None);
        assert_eq!(said(&[143, 993]).await, Some(false));
        assert_eq!(said(&[]).await, None);
    }

    #[test]
    fn a_key_that_was_told_stays_and_only_its_time_moves_forward() {
        let data = tempfile::tempdir().unwrap();
        let keep = Keep::new(data.path(), "https://ca.test/dir");
        let kept = keep.place("mail.example.test", KeyKind::Ecdsa);
        assert!(keep.next_key(&kept).unwrap().is_none());
        let first = keep.make_next_key(&kept, 1000).unwrap();
        for (wanted, from) in [(2000, 1000), (500, 500), (1000, 500)] {
            let again = keep.make_next_key(&kept, wanted).unwrap();
            assert_eq!((again.key.digest(), again.from), (first.key.digest(), from));
            assert_eq!(keep.next_key(&kept).unwrap().unwrap().from, from);
        }
        assert_eq!(std::fs::metadata(place(&kept)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(keep.certificates().unwrap(), [], "it is no certificate");
        let secret = first.key.pem();
        let secret = secret.lines().nth(1).unwrap();
        assert!(!format!("{first:?}").contains(secret), "it does not print");
        std::fs::write(place(&kept), "{").unwrap();
        keep.next_key(&kept).unwrap_err();
        keep.make_next_key(&kept, 1).unwrap_err();
        keep.remove_next_key(&kept).unwrap();
        assert_ne!(keep.make_next_key(&kept, 1).unwrap().key.digest(), first.key.digest());
        let rsa = keep.place("mail.example.test", KeyKind::Rsa);
        assert!(keep.next_key(&rsa).unwrap().is_none(), "each kind has its own");
    }
}
