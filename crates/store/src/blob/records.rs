//! Records that are written ahead of the table of rows, in the segment that is being appended to: so one sync covers them and
//! the bodies that they refer to.
//!
//! They lie far behind the frames, at an offset that no frame of this segment reaches, one after the other:
//!
//! ```text
//! header, 32 octets: "SPR1", octets of the content (u32 LE), number (u64 LE), where the frames end that it needs (u64 LE),
//!                    CRC-32 of the content (u32 LE), CRC-32 of the 28 octets before and of a salt (u32 LE)
//! content
//! ```
//!
//! Numbers follow each other. When the table is durable without them, the next one is written over the first; when the segment is
//! left, they are cut off. What is left of older ones behind the last has lower numbers and is nothing; what they hold cannot be taken
//! for a record, since nobody else knows the salt.

use crate::Error;
use crate::row::Settled;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Octets of a record's header.
pub(super) const HEADER: usize = 32;

const MAGIC: &[u8; 4] = b"SPR1";

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Octets of the content.
    pub(super) bytes: u32,
    pub(super) number: u64,
    /// It refers to bodies in frames that end here or before.
    pub(super) frames_end: u64,
    /// Checksum of the content.
    pub(super) crc: u32,
}

impl Header {
    pub(super) fn encode(&self, salt: u64) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..4].copy_from_slice(MAGIC);
        out[4..8].copy_from_slice(&self.bytes.to_le_bytes());
        out[8..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..24].copy_from_slice(&self.frames_end.to_le_bytes());
        out[24..28].copy_from_slice(&self.crc.to_le_bytes());
        let crc = salted(&out[..28], salt);
        out[28..].copy_from_slice(&crc);
        out
    }

    fn decode(octets: &[u8; HEADER], salt: u64) -> Option<Header> {
        let (content, crc) = octets.split_at(28);
        if content[..4] != MAGIC[..] || crc != salted(content, salt) {
            return None;
        }
        let small = |at: usize| Some(u32::from_le_bytes(content[at..at + 4].try_into().ok()?));
        let large = |at: usize| Some(u64::from_le_bytes(content[at..at + 8].try_into().ok()?));
        Some(Header { bytes: small(4)?, number: large(8)?, frames_end: large(16)?, crc: small(24)? })
    }
}

fn salted(octets: &[u8], salt: u64) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(octets);
    hasher.finalize().to_le_bytes()
}

/// The contents of all records with numbers above what is settled, as far as they are whole and so are the frames
/// that they need, which end at `frames_end`; and the number of the last one.
pub(super) fn read(file: &File, settled: &Settled, frames_end: u64) -> Result<(Vec<Vec<u8>>, u64), Error> {
    let len = file.metadata()?.len();
    let mut at = settled.records;
    let (mut found, mut last) = (Vec::new(), None);
    let mut octets = [0; HEADER];
    while len.saturating_sub(at) >= HEADER as u64 {
        file.read_exact_at(&mut octets, at)?;
        at += HEADER as u64;
        let Some(header) = Header::decode(&octets, settled.salt) else { break };
        let follows = last.is_none_or(|last| header.number == last + 1);
        if !follows || header.frames_end > frames_end || len - at < u64::from(header.bytes) {
            break;
        }
        let mut content = vec![0; header.bytes as usize];
        file.read_exact_at(&mut content, at)?;
        if crc32fast::hash(&content) != header.crc {
            break;
        }
        at += u64::from(header.bytes);
        last = Some(header.number);
        if header.number > settled.number {
            found.push(content);
        }
    }
    Ok((found, last.unwrap_or(0).max(settled.number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const SALT: u64 = 77;

    fn record(number: u64, frames_end: u64, content: &[u8]) -> Vec<u8> {
        let bytes = content.len() as u32;
        let header = Header { bytes, number, frames_end, crc: crc32fast::hash(content) };
        [&header.encode(SALT)[..], content].concat()
    }

    fn found(octets: &[u8], frames_end: u64, settled: u64) -> (Vec<Vec<u8>>, u64) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[&[0; 100], octets].concat()).unwrap();
        let settled = Settled { records: 100, number: settled, salt: SALT, ..Settled::default() };
        read(&file, &settled, frames_end).unwrap()
    }

    #[test]
    fn records_are_found_in_their_order_above_what_is_settled() {
        let all = [record(5, 10, b"a"), record(6, 10, b""), record(7, 20, b"bc")].concat();
        let contents = |list: &[&[u8]]| list.iter().map(|c| c.to_vec()).collect::<Vec<_>>();
        assert_eq!(found(&all, 20, 0), (contents(&[b"a", b"", b"bc"]), 7));
        assert_eq!(found(&all, 20, 5), (contents(&[b"", b"bc"]), 7));
        assert_eq!(found(&all, 20, 9), (contents(&[]), 9));
        assert_eq!(found(&[], 20, 3), (contents(&[]), 3));
        // Frames that the last one needs are not whole.
        assert_eq!(found(&all, 19, 0), (contents(&[b"a", b""]), 6));
        // Of another salt.
        let other = Header { bytes: 0, number: 8, frames_end: 0, crc: 0 };
        assert_eq!(found(&[&all[..], &other.encode(SALT + 1)].concat(), 20, 6), (contents(&[b"bc"]), 7));
        assert_eq!(found(&[&all[..], &other.encode(SALT)].concat(), 20, 7), (contents(&[b""]), 8));
        // Left of an earlier use.
        assert_eq!(found(&[record(9, 0, b"z"), all].concat(), 20, 8), (contents(&[b"z"]), 9));
        let gap = [record(5, 0, b"a"), record(7, 0, b"b")].concat();
        assert_eq!(found(&gap, 0, 0), (contents(&[b"a"]), 5));
    }

    #[test]
    fn what_is_torn_ends_them_wherever_it_is_torn() {
        let (first, second) = (record(1, 0, b"first"), record(2, 0, b"second"));
        let whole = [first.clone(), second].concat();
        for at in first.len()..whole.len() {
            assert_eq!(found(&whole[..at], 0, 0), (vec![b"first".to_vec()], 1), "cut at {at}");
            let mut turned = whole.clone();
            turned[at] ^= 1;
            assert_eq!(found(&turned, 0, 0), (vec![b"first".to_vec()], 1), "turned at {at}");
        }
    }
}
