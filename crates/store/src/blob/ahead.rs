//! Zeros written ahead into the segment that is being appended to, on a thread of its own. A sync that makes a file longer has to write its inode
//! too; into octets that were written before it takes half to two thirds of the time. The zeros go past the page cache, where that can be had.
//!
//! What must hold: zeros are written only where nothing was written yet: whoever writes claims the place first (`claim`), which waits for
//! zeros on their way there. Nothing rests on zeros being there.

use super::buffer::{BLOCK, Buffer};
use super::lock;
use crate::disk::Disk;
use std::fs::File;
use std::io::{ErrorKind, IoSlice};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Octets ahead of what was written, and octets written at once.
const AHEAD_BYTES: u64 = 4 << 20;
const STEP_BYTES: u64 = 1 << 20;

/// Two stretches of a file are written to: frames and records.
pub(super) const FRAMES: usize = 0;
pub(super) const RECORDS: usize = 1;

/// A stretch of the file.
#[derive(Clone, Debug, Default)]
struct Stretch {
    /// Everything before was written, or is about to be.
    done: u64,
    /// Zeros are wanted up to here.
    wanted: u64,
    limit: u64,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: nothing is to be done.
    file: Option<Arc<File>>,
    stretches: [Stretch; 2],
    /// Where zeros are being written.
    busy: Option<Range<u64>>,
    closing: bool,
}

impl State {
    /// What is to be filled next.
    fn next(&self) -> Option<(Arc<File>, usize, Range<u64>)> {
        let file = self.file.as_ref()?;
        let open = |stretch: &Stretch| stretch.done < stretch.wanted;
        let at = self.stretches.iter().position(open)?;
        let stretch = &self.stretches[at];
        Some((file.clone(), at, stretch.done..(stretch.done + STEP_BYTES).min(stretch.limit)))
    }
}

/// See above.
#[derive(Debug)]
pub(super) struct Ahead {
    shared: Arc<(Mutex<State>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    pub(super) fn start(disk: Arc<dyn Disk>) -> std::io::Result<Ahead> {
        let shared = Arc::<(Mutex<State>, Condvar)>::default();
        let other = shared.clone();
        let thread =
            std::thread::Builder::new().name("store-ahead".to_owned()).spawn(move || run(&*disk, &other))?;
        Ok(Ahead { shared, thread: Some(thread) })
    }

    /// From here on `file` is written to in these stretches, of which nothing was written yet. It is a handle of its own.
    pub(super) fn turn_to(&self, file: Option<File>, stretches: [Range<u64>; 2]) {
        let (state, changed) = &*self.shared;
        let mut state = lock(state);
        while state.busy.is_some() {
            state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.file = file.map(Arc::new);
        state.stretches = stretches.map(|Range { start, end }| {
            let done = start.next_multiple_of(BLOCK as u64);
            Stretch { done, wanted: done, limit: end - end % BLOCK as u64 }
        });
    }

    /// These octets are written by the caller from here on.
    pub(super) fn claim(&self, stretch: usize, range: &Range<u64>) {
        let (state, changed) = &*self.shared;
        let mut state = lock(state);
        while state.busy.as_ref().is_some_and(|busy| busy.start < range.end && range.start < busy.end) {
            state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let stretch = &mut state.stretches[stretch];
        stretch.done = stretch.done.max(range.end.next_multiple_of(BLOCK as u64));
        stretch.wanted = (range.end + AHEAD_BYTES).min(stretch.limit);
        if stretch.done < stretch.wanted && stretch.wanted - stretch.done >= STEP_BYTES {
            changed.notify_all();
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        lock(&self.shared.0).closing = true;
        self.shared.1.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes ahead panicked");
        }
    }
}

fn run(disk: &dyn Disk, shared: &(Mutex<State>, Condvar)) {
    let mut zeros = Buffer::default();
    zeros.align(STEP_BYTES as usize);
    zeros.push_zeros(STEP_BYTES as usize);
    let (state, changed) = shared;
    let mut held = lock(state);
    while !held.closing {
        let Some((file, at, range)) = held.next() else {
            held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        held.busy = Some(range.clone());
        drop(held);
        let octets = &zeros.content()[..(range.end - range.start) as usize];
        let write = || disk.write_at(&file, &[IoSlice::new(octets)], range.start);
        let written = match write() {
            // This file system knows no way past the page cache.
            Err(error) if error.kind() == ErrorKind::InvalidInput && disk.set_direct(&file, false) => write(),
            other => other,
        };
        held = lock(state);
        held.busy = None;
        match written {
            Ok(()) => held.stretches[at].done = held.stretches[at].done.max(range.end),
            // Most likely the disk is full, as the next one who writes will learn.
            Err(_) => held.file = None,
        }
        changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Real;
    use std::os::unix::fs::FileExt;

    fn wait_for(len: u64, file: &File) {
        while file.metadata().unwrap().len() < len {
            std::thread::yield_now();
        }
    }

    #[test]
    fn zeros_never_take_the_place_of_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = Real.create(&path).unwrap();
        let ahead = Ahead::start(Arc::new(Real)).unwrap();
        let direct = Real.open(&path).unwrap();
        Real.set_direct(&direct, true);
        let (frames, records) = (0..64 << 20, 96 << 20..100 << 20);
        ahead.turn_to(Some(direct), [frames.clone(), records.clone()]);
        // Faster than zeros can be written, in uneven steps.
        let (mut at, mut written) = (0u64, Vec::new());
        for n in 0..600u64 {
            let piece = vec![n as u8 | 1; 40_000 + (n as usize * 7919) % 50_000];
            let end = at + piece.len() as u64;
            ahead.claim(FRAMES, &(at..end));
            file.write_all_at(&piece, at).unwrap();
            written.push((at, piece));
            at = end;
        }
        ahead.claim(RECORDS, &(records.start..records.start + 100));
        file.write_all_at(&[7; 100], records.start).unwrap();
        wait_for(records.end, &file);
        ahead.turn_to(None, [0..0, 0..0]);
        for (at, piece) in written {
            let mut found = vec![0; piece.len()];
            file.read_exact_at(&mut found, at).unwrap();
            assert!(found == piece, "at {at}");
        }
        let mut found = vec![1; (AHEAD_BYTES - STEP_BYTES) as usize];
        file.read_exact_at(&mut found, at).unwrap();
        assert!(found.iter().all(|octet| *octet == 0));
        assert_eq!(file.metadata().unwrap().len(), records.end, "nothing is written behind the limit");
    }
}
