//! The disk fails, or the power goes, at every single operation on the files of bodies; the database is
//! copied or cut at any point. What was acknowledged is there afterwards, and the check finds nothing.

use crate::help::*;
use proto::proof::AccountId;
use std::path::Path;
use std::sync::Arc;
use store::account::Refused;
use store::{Error, Store};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Sizes that take every path: in memory, spooled and copied, a segment of its own.
const SIZES: [usize; 7] = [100, 70_000, 180_000, 400_000, 150_000, 20, 220_000];

/// Delivers until something fails; what was acknowledged.
async fn load(store: &Store, id: AccountId) -> (Vec<(u32, u64, usize)>, Option<Error>) {
    let mut acknowledged = Vec::new();
    for (n, size) in SIZES.iter().enumerate() {
        let stored = match body(store, &text(n as u64, *size)).await {
            Ok(stored) => stored,
            Err(error) => return (acknowledged, Some(error)),
        };
        match store.account(id).deliver(delivery(stored)).await {
            Ok(got) => acknowledged.push((got.uid, n as u64, *size)),
            Err(Refused::Store(error)) => return (acknowledged, Some(error)),
            Err(other) => panic!("{other}"),
        }
    }
    (acknowledged, None)
}

async fn present(store: &Store, id: AccountId, acknowledged: &[(u32, u64, usize)]) {
    let view = store.account(id).view("INBOX").unwrap().unwrap();
    for (uid, n, size) in acknowledged {
        let detail = store.account(id).detail(view.mailbox.id, *uid).unwrap().expect("acknowledged");
        assert_eq!(content(store, &detail.body).await.unwrap(), text(*n, *size), "UID {uid}");
    }
}

#[test]
fn the_power_goes_at_every_write_of_a_body() {
    let rt = runtime();
    let mut operations = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(Failing::after(i64::MAX, EIO));
        let store = Store::open_on(dir.path(), small(), disk.clone()).unwrap();
        let id = rt.block_on(people(&store, 1))[0];
        disk.set(operations);
        let (acknowledged, failed) = rt.block_on(load(&store, id));
        // From here on nothing reaches the files any more.
        disk.set(0);
        drop(store);
        let store = Store::open(dir.path(), small()).unwrap();
        rt.block_on(present(&store, id, &acknowledged));
        clean(&store);
        assert_eq!(std::fs::read_dir(dir.path().join("spool")).unwrap().count(), 0);
        // Work goes on where it stopped.
        let (more, none) = rt.block_on(load(&store, id));
        assert!(none.is_none());
        rt.block_on(present(&store, id, &more));
        clean(&store);
        if failed.is_none() {
            break;
        }
        operations += 1;
    }
    assert!(operations > 15, "only {operations} operations were tried");
}

#[test]
fn a_disk_that_was_full_at_any_point_is_used_again_when_there_is_room() {
    let rt = runtime();
    for operations in 0..40 {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(Failing::after(i64::MAX, ENOSPC));
        let store = Store::open_on(dir.path(), small(), disk.clone()).unwrap();
        let id = rt.block_on(people(&store, 1))[0];
        disk.set(operations);
        let (before, failed) = rt.block_on(load(&store, id));
        assert!(matches!(failed, None | Some(Error::DiskFull)), "{failed:?}");
        disk.set(i64::MAX);
        let (after, none) = rt.block_on(load(&store, id));
        assert!(none.is_none(), "{none:?}");
        rt.block_on(present(&store, id, &before));
        rt.block_on(present(&store, id, &after));
        clean(&store);
    }
}

#[test]
fn a_torn_tail_is_cut_and_the_segment_goes_on() {
    let rt = runtime();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    let (first, _) = rt.block_on(async {
        let stored = body(&store, &text(0, 100)).await.unwrap();
        let got = store.account(id).deliver(delivery(stored)).await.unwrap();
        (vec![(got.uid, 0, 100)], ())
    });
    store.close().unwrap();
    let segment = dir.path().join("blobs/00000001.seg");
    let whole = std::fs::read(&segment).unwrap();
    for tail in [&b"SPB1"[..], &[0; 5000], &whole[..60]] {
        std::fs::write(&segment, [&whole, tail].concat()).unwrap();
        let store = Store::open(dir.path(), small()).unwrap();
        rt.block_on(present(&store, id, &first));
        clean(&store);
        store.close().unwrap();
        assert_eq!(std::fs::metadata(&segment).unwrap().len(), whole.len() as u64);
    }
    let store = Store::open(dir.path(), small()).unwrap();
    let next = rt.block_on(body(&store, b"next")).unwrap();
    assert_eq!((next.segment, next.offset), (1, whole.len() as u64));
}

fn copy_store(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("blobs")).unwrap();
    // The log first and the database after it would miss a checkpoint; there is none in these tests.
    for name in ["store.db", "store.db-wal"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
    for item in std::fs::read_dir(from.join("blobs")).unwrap() {
        let item = item.unwrap();
        std::fs::copy(item.path(), to.join("blobs").join(item.file_name())).unwrap();
    }
}

#[test]
fn the_database_copied_between_commits_or_with_its_log_cut_anywhere() {
    let rt = runtime();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    let wal = dir.path().join("store.db-wal");
    let mut acknowledged = Vec::new();
    // The length of the log when it had each message.
    let mut lengths = Vec::new();
    for n in 0..12u64 {
        rt.block_on(async {
            let stored = body(&store, &text(n, 300)).await.unwrap();
            let got = store.account(id).deliver(delivery(stored)).await.unwrap();
            acknowledged.push((got.uid, n, 300));
        });
        // Once before the database has it, and once when its log has it.
        let copy = tempfile::tempdir().unwrap();
        copy_store(dir.path(), copy.path());
        let copied = Store::open(copy.path(), small()).unwrap();
        rt.block_on(present(&copied, id, &acknowledged));
        clean(&copied);
        store.settle().unwrap();
        lengths.push(std::fs::metadata(&wal).unwrap().len());
        let copy = tempfile::tempdir().unwrap();
        copy_store(dir.path(), copy.path());
        let copied = Store::open(copy.path(), small()).unwrap();
        rt.block_on(present(&copied, id, &acknowledged));
        clean(&copied);
    }
    let whole = tempfile::tempdir().unwrap();
    copy_store(dir.path(), whole.path());
    drop(store);
    let first = lengths[0];
    let last = *lengths.last().unwrap();
    // A checkpoint in between would have made the log begin anew, and this test mean nothing.
    assert!(lengths.windows(2).all(|pair| pair[0] < pair[1]), "{lengths:?}");
    let frame = 8192 + 24;
    for cut in (first..=last).step_by(frame / 2).flat_map(|at| [at, at + 13]) {
        let copy = tempfile::tempdir().unwrap();
        copy_store(whole.path(), copy.path());
        let log = std::fs::File::options().write(true).open(copy.path().join("store.db-wal")).unwrap();
        log.set_len(cut.min(last)).unwrap();
        let copied = Store::open(copy.path(), small()).unwrap();
        // What the log lacks is in the journal.
        rt.block_on(present(&copied, id, &acknowledged));
        clean(&copied);
    }
}
