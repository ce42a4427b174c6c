//! The chunk of a body that was read last: whoever looks at a message's header and then at its parts, which are mostly in one chunk,
//! reads and checks it once; and the next message comes into the same room.

use super::{BodyRef, Shared, chunk_content, damaged, frame};
use crate::Error;
use std::os::unix::fs::FileExt;

/// See above. What must hold: `of` is there only while its chunk is, checked.
#[derive(Debug, Default)]
pub(crate) struct LastChunk {
    /// The body, and its octet with which the chunk begins.
    of: Option<(BodyRef, u64)>,
    /// Octets of the chunk's content, at the beginning of `room`.
    content: usize,
    /// Grows to what the largest chunk takes.
    room: Vec<u8>,
}

impl LastChunk {
    /// The content of the chunk with octet `at` of a body. Blocks for the disk.
    pub(super) fn get(&mut self, shared: &Shared, body: &BodyRef, at: u64) -> Result<&[u8], Error> {
        let start = at - at % frame::CHUNK as u64;
        if !self.of.as_ref().is_some_and(|(of, from)| of == body && *from == start) {
            self.of = None;
            let (content, offset) = chunk_content(body, at)?;
            let whole = content + frame::CRC;
            if self.room.len() < whole {
                self.room.resize(whole, 0);
            }
            let chunk = &mut self.room[..whole];
            shared.file(body.segment)?.read_exact_at(chunk, offset).map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => damaged(body, "the segment is too short"),
                _ => Error::from(error),
            })?;
            if !frame::is_sound(chunk) {
                return Err(damaged(body, "a checksum differs"));
            }
            (self.of, self.content) = (Some((body.clone(), start)), content);
        }
        Ok(&self.room[..self.content])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::segment_path;
    use crate::{Options, Store};
    use std::ops::ControlFlow;

    #[test]
    fn a_chunk_is_read_once_and_another_never_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let bodies = store.bodies();
        let write = |content: &[u8]| {
            let mut writer = bodies.writer();
            writer.write_blocking(content).unwrap();
            writer.finish_blocking().unwrap()
        };
        let content: Vec<u8> = (0..100_000u32).map(|n| (n / 251 + n % 251) as u8).collect();
        let (large, small) = (write(&content), write(b"small"));
        let mut last = LastChunk::default();
        let mut read = |body: &BodyRef, from: u64, to: u64| {
            let mut out = Vec::new();
            let piece = &mut |piece: &[u8]| {
                out.extend_from_slice(piece);
                ControlFlow::Continue(())
            };
            bodies.read_wait(&mut last, body, from..to, piece).map(|()| out)
        };
        for (from, to) in [(0, 10), (5, 99_999), (70_000, 70_001), (0, 100_000), (65_535, 65_537)] {
            assert_eq!(read(&large, from, to).unwrap(), content[from as usize..to as usize]);
            assert_eq!(read(&small, 1, 9).unwrap(), b"mall");
        }
        let path = segment_path(&dir.path().join("blobs"), small.segment);
        let octets = std::fs::read(&path).unwrap();
        std::fs::write(&path, vec![0; octets.len()]).unwrap();
        assert_eq!(read(&small, 0, 5).unwrap(), b"small", "it was checked when it was read");
        assert!(read(&large, 0, 1).is_err());
        assert!(read(&small, 0, 5).is_err(), "what could not be read is not taken for the one before");
        std::fs::write(&path, octets).unwrap();
        assert_eq!(read(&small, 0, 5).unwrap(), b"small");
    }
}
