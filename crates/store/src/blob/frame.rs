//! How a body lies in a segment: a header, then the content in chunks, each with its checksum.
//!
//! ```text
//! header, 52 octets: "SPB1", version 1, three zeros, content length (u64 LE),
//!                    BLAKE3 of the content (32), CRC-32 of the 48 octets before (u32 LE)
//! chunk:             up to 64 KiB of content, CRC-32 of it (u32 LE)
//! ```
//!
//! Every chunk but the last is full, so that the chunk of a given octet is found by arithmetic.
//! A segment is frames and nothing else, but for the one that is being appended to (`records`); what follows the last whole frame
//! was never acknowledged.

use crate::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Octets of a frame's header.
pub(crate) const HEADER: usize = 52;
/// Content octets of a full chunk.
pub(crate) const CHUNK: usize = 64 << 10;
/// Octets of a chunk's checksum.
pub(crate) const CRC: usize = 4;

const MAGIC: &[u8; 4] = b"SPB1";
const VERSION: u8 = 1;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) len: u64,
    pub(crate) hash: [u8; 32],
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..4].copy_from_slice(MAGIC);
        out[4] = VERSION;
        out[8..16].copy_from_slice(&self.len.to_le_bytes());
        out[16..48].copy_from_slice(&self.hash);
        let crc = crc32fast::hash(&out[..48]);
        out[48..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// `None` if this is no header.
    pub(crate) fn decode(bytes: &[u8; HEADER]) -> Option<Header> {
        let crc = u32::from_le_bytes(bytes[48..].try_into().ok()?);
        if crc != crc32fast::hash(&bytes[..48]) || &bytes[..4] != MAGIC || bytes[4] != VERSION {
            return None;
        }
        let len = u64::from_le_bytes(bytes[8..16].try_into().ok()?);
        Some(Header { len, hash: bytes[16..48].try_into().ok()? })
    }
}

/// Octets of a whole frame with `len` octets of content; `None` if there is no such number.
pub(crate) fn frame_bytes(len: u64) -> Option<u64> {
    let checksums = len.div_ceil(CHUNK as u64).checked_mul(CRC as u64)?;
    len.checked_add(checksums)?.checked_add(HEADER as u64)
}

/// Where the chunk with content octet `at` begins in its frame.
pub(crate) fn chunk_offset(at: u64) -> u64 {
    HEADER as u64 + at / CHUNK as u64 * (CHUNK + CRC) as u64
}

/// Takes the checksum off a chunk as read; `None` if it does not match.
pub(crate) fn verified(chunk: &mut Vec<u8>) -> Option<()> {
    is_sound(chunk).then(|| chunk.truncate(chunk.len() - CRC))
}

/// Does the checksum at the end of a chunk as read match?
pub(crate) fn is_sound(chunk: &[u8]) -> bool {
    let parts = chunk.split_last_chunk::<CRC>();
    parts.is_some_and(|(content, crc)| u32::from_le_bytes(*crc) == crc32fast::hash(content))
}

/// Where the last whole frame at or after `from` ends; `from` must be the end of a frame. There is none from `limit` on.
pub(crate) fn scan_end(file: &File, from: u64, limit: u64) -> Result<u64, Error> {
    let file_len = file.metadata()?.len().min(limit);
    let mut end = from;
    let mut header = [0; HEADER];
    let mut chunk = Vec::new();
    'frames: while file_len.saturating_sub(end) >= HEADER as u64 {
        file.read_exact_at(&mut header, end)?;
        let Some(found) = Header::decode(&header) else { break };
        let next = frame_bytes(found.len).and_then(|bytes| end.checked_add(bytes));
        let Some(next) = next.filter(|next| *next <= file_len) else { break };
        let mut at = 0;
        while at < found.len {
            let content = (found.len - at).min(CHUNK as u64) as usize;
            chunk.resize(content + CRC, 0);
            file.read_exact_at(&mut chunk, end + chunk_offset(at))?;
            if verified(&mut chunk).is_none() {
                break 'frames;
            }
            at += content as u64;
        }
        end = next;
    }
    Ok(end)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;

    /// A frame made by the plain reading of the description above.
    pub(crate) fn frame(content: &[u8]) -> Vec<u8> {
        let hash = *blake3::hash(content).as_bytes();
        let mut out = Header { len: content.len() as u64, hash }.encode().to_vec();
        for chunk in content.chunks(CHUNK) {
            out.extend_from_slice(chunk);
            out.extend_from_slice(&crc32fast::hash(chunk).to_le_bytes());
        }
        out
    }

    #[test]
    fn golden_header() {
        let header = Header { len: 5, hash: [7; 32] }.encode();
        assert_eq!(&header[..16], b"SPB1\x01\0\0\0\x05\0\0\0\0\0\0\0");
        assert_eq!(Header::decode(&header), Some(Header { len: 5, hash: [7; 32] }));
        for at in 0..HEADER {
            let mut bad = header;
            bad[at] ^= 1;
            assert_eq!(Header::decode(&bad), None, "octet {at}");
        }
    }

    #[test]
    fn sizes() {
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            assert_eq!(frame_bytes(len as u64), Some(frame(&vec![1; len]).len() as u64));
        }
        assert_eq!(frame_bytes(u64::MAX), None);
    }

    #[test]
    fn a_torn_tail_ends_the_scan_wherever_it_is_torn() {
        let (first, second) = (frame(b"hello"), frame(&vec![3; CHUNK + 10]));
        let whole = [first.clone(), second.clone()].concat();
        let scan = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            scan_end(&file, 0, u64::MAX).unwrap()
        };
        assert_eq!(scan(&whole), whole.len() as u64);
        for cut in (first.len()..whole.len()).step_by(997).chain([whole.len() - 1]) {
            assert_eq!(scan(&whole[..cut]), first.len() as u64, "cut at {cut}");
            let mut zeroed = whole.clone();
            zeroed[cut..].fill(0);
            // Zeros can equal the last octets of a checksum only by chance; this content has none such.
            assert_eq!(scan(&zeroed), first.len() as u64, "zeros from {cut}");
        }
    }
}
