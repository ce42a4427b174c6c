//! Octets on their way into a file. They can be made to begin where a write past the page cache has to.

/// Writes past the page cache begin at multiples of this, in memory and in the file, and are as long. No disk in use asks for more.
pub(super) const BLOCK: usize = 4096;

/// By what a buffer grows, and by how many octets at most.
const GROWTH: usize = 4;
const GROWTH_BYTES_MAX: usize = 128 << 10;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    octets: Vec<u8>,
    /// Octets before the content.
    pad: usize,
}

impl Buffer {
    /// Octets of the content.
    pub(super) fn len(&self) -> usize {
        self.octets.len() - self.pad
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.octets.capacity()
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.octets[self.pad..]
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.octets.reserve(more);
    }

    /// Room for so many more. It grows by a factor that lets little be copied: room that is not written to costs next to nothing.
    pub(super) fn make_room(&mut self, more: usize) {
        if self.octets.capacity() - self.octets.len() < more {
            let grown = (self.octets.capacity() * GROWTH).min(self.octets.capacity() + GROWTH_BYTES_MAX);
            self.octets.reserve_exact(more.max(grown - self.octets.len()));
        }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.octets.extend_from_slice(piece);
    }

    /// As many zeros at the end.
    pub(super) fn push_zeros(&mut self, count: usize) {
        self.octets.resize(self.octets.len() + count, 0);
    }

    /// Takes away the first octets, which were written.
    pub(super) fn drop_front(&mut self, count: usize) {
        let from = self.pad + count;
        self.octets.copy_within(from.., self.pad);
        self.octets.truncate(self.octets.len() - count);
    }

    /// The content begins at a block of memory from now on, as long as it grows by no more than `room`.
    pub(super) fn align(&mut self, room: usize) {
        if self.content().as_ptr().align_offset(BLOCK) == 0 {
            return;
        }
        let mut octets: Vec<u8> = Vec::with_capacity(BLOCK + self.len() + room);
        let pad = octets.as_ptr().align_offset(BLOCK);
        octets.resize(pad, 0);
        octets.extend_from_slice(self.content());
        *self = Buffer { octets, pad };
    }

    pub(super) fn into_content(mut self) -> Vec<u8> {
        self.octets.drain(..self.pad);
        self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_copied_seldom() {
        let mut buffer = Buffer::default();
        let (mut moves, mut at) = (0, std::ptr::null());
        for _ in 0..100 {
            buffer.make_room(1000);
            buffer.push(&[1; 1000]);
            moves += usize::from(std::mem::replace(&mut at, buffer.content().as_ptr()) != at);
        }
        assert!(moves <= 5, "{moves}");
        assert!(buffer.octets.capacity() <= 100_000 + GROWTH_BYTES_MAX);
    }

    #[test]
    fn content_stays_when_it_moves() {
        let mut buffer = Buffer::default();
        buffer.push(b"abcdef");
        buffer.drop_front(2);
        buffer.push_zeros(1);
        buffer.align(100);
        assert_eq!((buffer.content(), buffer.len()), (&b"cdef\0"[..], 5));
        assert_eq!(buffer.content().as_ptr().align_offset(BLOCK), 0);
        let at = buffer.content().as_ptr();
        buffer.push(&[b'x'; 90]);
        buffer.drop_front(94);
        buffer.align(100);
        assert_eq!((buffer.content(), buffer.content().as_ptr()), (&b"x"[..], at), "without moving");
        assert_eq!(buffer.into_content(), b"x");
    }
}
