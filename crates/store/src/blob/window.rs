//! Small bodies that lie side by side, read together: whoever reads one message after the other of a mailbox that was filled in
//! this order makes a system call for many of them.
//!
//! What must hold: what it gives was checked. It never waits for the disk and never has the last word: whatever it cannot
//! give is read by [`super::BodyReader`], which also says what is wrong. Octets read ahead may be older than the body that
//! is asked for by now, since a segment grows; their checksum does not match then, and they are read again.

use super::frame::{CHUNK, CRC, HEADER, frame_bytes};
use super::{Bodies, BodyRef};
use rustix::io::ReadWriteFlags;
use std::fs::File;
use std::io::IoSliceMut;
use std::ops::Range;
use std::sync::Arc;

/// Octets read together.
const WINDOW_BYTES: usize = 192 << 10;
/// Octets of others between two bodies that are read in passing rather than with a call each, or as many as the second one has.
const GAP_BYTES: u64 = 8 << 10;

/// Some octets of a segment in memory. See above.
#[derive(Debug, Default)]
pub struct Window {
    segment: u64,
    /// Offset of the first octet.
    from: u64,
    /// Where the frame ends that was asked for last.
    last: u64,
    /// How much of `bytes` was read.
    filled: usize,
    bytes: Vec<u8>,
    file: Option<Arc<File>>,
}

impl Window {
    /// A range of a body, if it is a small one and can be had without waiting.
    pub fn get(&mut self, bodies: &Bodies, body: &BodyRef, range: Range<u64>) -> Option<&[u8]> {
        if body.len > CHUNK as u64 || range.start > range.end || range.end > body.len {
            return None;
        }
        if body.len == 0 {
            return Some(&[]);
        }
        // A small body is one chunk.
        let end = body.offset.checked_add(frame_bytes(body.len)?)?;
        let content = HEADER..HEADER + body.len as usize;
        let mut at = self.place(body, end);
        if at.is_none_or(|at| !self.is_sound(at, &content)) {
            self.fill(bodies, body, end)?;
            at = self.place(body, end).filter(|at| self.is_sound(*at, &content));
        }
        (self.segment, self.last) = (body.segment, end);
        let from = at? + HEADER;
        self.bytes.get(from + range.start as usize..from + range.end as usize)
    }

    /// Where in `bytes` the frame of `body` is that ends at `end`.
    fn place(&self, body: &BodyRef, end: u64) -> Option<usize> {
        let at = body.offset.checked_sub(self.from).filter(|_| self.segment == body.segment)?;
        (end - self.from <= self.filled as u64).then_some(at as usize)
    }

    fn is_sound(&self, at: usize, content: &Range<usize>) -> bool {
        let Some(frame) = self.bytes.get(at..at + content.end + CRC) else { return false };
        frame[content.end..] == crc32fast::hash(&frame[content.clone()]).to_le_bytes()
    }

    /// Reads what lies from `body` on: more than this one only if they are asked for in their order.
    fn fill(&mut self, bodies: &Bodies, body: &BodyRef, end: u64) -> Option<()> {
        if self.segment != body.segment {
            self.file = None;
        }
        let behind = body.offset.checked_sub(self.last).filter(|_| self.segment == body.segment);
        let frame = end - body.offset;
        let in_order = behind.is_some_and(|behind| behind <= frame.max(GAP_BYTES));
        let wanted = if in_order { WINDOW_BYTES } else { frame as usize };
        (self.segment, self.from, self.filled) = (body.segment, body.offset, 0);
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => bodies.shared.cached(body.segment)?,
        };
        let into = &mut [IoSliceMut::new(&mut self.bytes[..wanted])];
        self.filled = rustix::io::preadv2(&file, into, body.offset, ReadWriteFlags::NOWAIT).ok()?;
        self.file = Some(file);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Store};

    /// The runtime and the directory last as long as the bodies.
    fn bodies(run: impl AsyncFnOnce(&Bodies)) {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        runtime.block_on(run(store.bodies()));
    }

    async fn write(bodies: &Bodies, content: &[u8]) -> BodyRef {
        let mut writer = bodies.writer();
        writer.write(content).await.unwrap();
        writer.finish().await.unwrap()
    }

    fn content(n: usize) -> Vec<u8> {
        (0..n * 997 % 9000).map(|at| (at * n) as u8).collect()
    }

    #[test]
    fn gives_what_a_reader_gives_in_any_order() {
        bodies(async |bodies| {
            let mut places = Vec::new();
            for n in 0..200 {
                places.push(write(bodies, &content(n)).await);
            }
            // Opens the file, which the window leaves to the reader.
            bodies.read(&places[1], 0..1).next().await.unwrap();
            let mut window = Window::default();
            for n in (0..200).chain((0..200).rev()).chain((0..200).map(|n| n * 73 % 200)) {
                let (body, whole) = (&places[n], content(n));
                // The system may have let go of its pages meanwhile.
                bodies.read(body, 0..body.len).next().await.unwrap();
                assert_eq!(window.get(bodies, body, 0..body.len), Some(&whole[..]), "{n}");
                let (from, to) = (body.len / 3, body.len / 2);
                assert_eq!(window.get(bodies, body, from..to), Some(&whole[from as usize..to as usize]));
                assert_eq!(window.get(bodies, body, 0..body.len + 1), None);
            }
            let reads = window.bytes.len();
            assert_eq!(reads, WINDOW_BYTES, "bodies in order are read together");
        });
    }

    #[test]
    fn what_lies_between_is_read_only_if_it_is_little() {
        bodies(async |bodies| {
            let mut places = Vec::new();
            for n in 0..24u8 {
                places.push(write(bodies, &vec![n; 10_000]).await);
            }
            for (step, together) in [(4, false), (2, true)] {
                let mut window = Window::default();
                for at in (0..24).step_by(step) {
                    bodies.read(&places[at], 0..1).next().await.unwrap();
                    assert_eq!(window.get(bodies, &places[at], 0..1), Some(&[at as u8][..]));
                }
                assert_eq!(window.bytes.len() == WINDOW_BYTES, together, "every {step}th");
            }
        });
    }

    #[test]
    fn what_was_read_before_it_was_written_is_read_again() {
        bodies(async |bodies| {
            let first = [write(bodies, b"one").await, write(bodies, b"two").await];
            bodies.read(&first[0], 0..1).next().await.unwrap();
            let mut window = Window::default();
            for body in &first {
                assert!(window.get(bodies, body, 0..3).is_some());
            }
            // As if what was read had gone beyond the end of that time.
            window.filled = WINDOW_BYTES;
            let later = write(bodies, b"three").await;
            assert_eq!(window.get(bodies, &later, 0..5), Some(&b"three"[..]));
        });
    }

    #[test]
    fn leaves_to_others_what_is_large_or_damaged() {
        bodies(async |bodies| {
            let large = write(bodies, &vec![7; CHUNK + 1]).await;
            let small = write(bodies, b"small").await;
            bodies.read(&small, 0..1).next().await.unwrap();
            let mut window = Window::default();
            assert_eq!(window.get(bodies, &large, 0..10), None);
            let damaged = BodyRef { offset: small.offset - 1, ..small.clone() };
            assert_eq!(window.get(bodies, &damaged, 0..5), None);
            let beyond = BodyRef { offset: u64::MAX - 10, ..small.clone() };
            assert_eq!(window.get(bodies, &beyond, 0..5), None);
            assert_eq!(window.get(bodies, &small, 1..3), Some(&b"ma"[..]));
        });
    }
}
