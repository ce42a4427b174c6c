//! Large bodies: written past the page cache where the file system lets them, read back as they were.

use crate::help::*;
use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use store::Store;
use store::disk::{Disk, Real};

/// What a disk says to writes past the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direct {
    /// What the real one says.
    Asked,
    /// It cannot do that.
    Refused,
    /// It says that it can, and refuses the write.
    Failing,
}

#[derive(Debug)]
struct Choosy {
    direct: Direct,
    /// Writes past the cache that were refused.
    refused: Arc<AtomicU32>,
    /// It was asked to write past the cache last.
    on: AtomicU32,
}

impl Disk for Choosy {
    fn write_at(&self, file: &File, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        if self.on.load(Ordering::SeqCst) == 1 && bytes > 0 {
            assert!(bytes.is_multiple_of(4096) && offset.is_multiple_of(4096), "{bytes} at {offset}");
            if self.direct == Direct::Failing {
                self.refused.fetch_add(1, Ordering::SeqCst);
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
        Real.write_at(file, pieces, offset)
    }
    fn set_direct(&self, file: &File, on: bool) -> bool {
        let can = match self.direct {
            Direct::Asked => Real.set_direct(file, on),
            Direct::Refused => false,
            Direct::Failing => true,
        };
        self.on.store(u32::from(on && can), Ordering::SeqCst);
        can
    }
}

/// Lengths below, at and beyond where a body gets a segment of its own, in pieces that end anywhere.
#[test]
fn large_bodies_are_read_as_they_were_written() {
    let own = small().body_own_segment_bytes_min as usize;
    for direct in [Direct::Asked, Direct::Refused, Direct::Failing] {
        let (dir, rt) = (tempfile::tempdir().unwrap(), runtime());
        let refused = Arc::new(AtomicU32::new(0));
        let disk = Choosy { direct, refused: refused.clone(), on: AtomicU32::new(0) };
        let store = Store::open_on(dir.path(), small(), Arc::new(disk)).unwrap();
        let mut kept = Vec::new();
        for (n, len) in [own - 1, own, own + 4096, 2 * own + 77, 3_000_001].into_iter().enumerate() {
            let text = text(n as u64, len);
            let mut writer = store.bodies().writer();
            rt.block_on(async {
                for piece in text.chunks([7001, 65_536, 300_000][n % 3]) {
                    writer.write(piece).await.unwrap();
                }
                kept.push((writer.finish().await.unwrap(), text));
            });
        }
        store.close().unwrap();
        let store = Store::open(dir.path(), small()).unwrap();
        for (body, text) in kept {
            assert!(
                rt.block_on(content(&store, &body)).unwrap() == text,
                "{direct:?}, {} octets",
                text.len()
            );
        }
        assert_eq!(refused.load(Ordering::SeqCst) > 0, direct == Direct::Failing);
    }
}
