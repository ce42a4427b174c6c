//! Read buffers, lent to connections while there is something to read.
//!
//! What must hold: a connection that waits for its peer owns no buffer. Each
//! worker thread keeps a few free ones; more than [`KEPT_MAX`] are freed, so that a
//! burst does not stay in memory.

use std::cell::RefCell;

/// Room of a lent buffer; also the most that a machine is shown at once. A TLS record of full size
/// (16 KiB and its frame) fits, so that a large message arrives one record at a read.
pub(crate) const BUFFER_BYTES: usize = 64 * 1024;
/// Free buffers kept by each thread.
const KEPT_MAX: usize = 32;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes from the peer that the machine has not used up yet.
///
/// Borrowed from the pool; an unfinished line left over while waiting shrinks to
/// its own size.
#[derive(Default)]
pub(crate) struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Input {
    /// What is not used up.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Marks the first `count` unread bytes as used up.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Room for more, after the unread bytes; empty if these fill a whole buffer.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.buffer.len() < BUFFER_BYTES {
            let mut larger = lend();
            let length = self.end - self.start;
            larger[..length].copy_from_slice(&self.buffer[self.start..self.end]);
            (self.buffer, self.start, self.end) = (larger, 0, length);
        } else if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// Says that `count` bytes were written into [`Input::room`].
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// Gives the buffer back before a wait, keeping the unread bytes in a small one.
    pub(crate) fn release(&mut self) {
        if self.buffer.len() < BUFFER_BYTES {
            return;
        }
        let rest: Box<[u8]> = self.unread().into();
        // A rest of nearly a buffer's size is not worth the copy.
        if rest.len() > BUFFER_BYTES / 2 {
            return;
        }
        (self.start, self.end) = (0, rest.len());
        take_back(std::mem::replace(&mut self.buffer, rest));
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if self.buffer.len() == BUFFER_BYTES {
            take_back(std::mem::take(&mut self.buffer));
        }
    }
}

fn lend() -> Box<[u8]> {
    let free = FREE.try_with(|free| free.borrow_mut().pop()).ok().flatten();
    free.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice())
}

fn take_back(buffer: Box<[u8]>) {
    // The thread's storage may be gone when a runtime shuts down; then the buffer is simply freed.
    let _ = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        if free.len() < KEPT_MAX {
            free.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_survives_release_and_growth() {
        let mut input = Input::default();
        input.room()[..10].copy_from_slice(b"0123456789");
        input.filled(10);
        input.consume(7);
        input.release();
        assert_eq!((input.unread(), input.buffer.len()), (&b"789"[..], 3));
        assert_eq!(input.room().len(), BUFFER_BYTES - 3);
        assert_eq!(input.unread(), b"789");
        input.consume(3);
        input.release();
        assert_eq!(input.buffer.len(), 0);
    }

    #[test]
    fn the_room_ends_when_a_buffer_is_full() {
        let mut input = Input::default();
        let room = input.room().len();
        input.filled(room);
        assert!(input.room().is_empty());
        input.consume(1);
        assert_eq!(input.room().len(), 1);
    }
}
