//! A real small disk: full at any point, and read-only. The database and the bodies share it.

use crate::help::*;
use proto::message::text::fold;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use store::account::Refused;
use store::engine::Embedded;
use store::search::{Bits, Scope};
use store::{Error, Store};

/// The one reason for which these tests are passed over.
const SKIPPED: &str = "mounting a small file system needs root";
const EROFS: i32 = 30;

/// A small file system in memory, unmounted at the end.
struct Small {
    dir: PathBuf,
    _keep: tempfile::TempDir,
}

fn mount(arguments: &[&str], dir: &Path) -> bool {
    Command::new("mount").args(arguments).arg(dir).status().is_ok_and(|status| status.success())
}

impl Small {
    fn mount() -> Option<Small> {
        let keep = tempfile::tempdir().unwrap();
        let dir = keep.path().join("small");
        std::fs::create_dir(&dir).unwrap();
        if mount(&["-t", "tmpfs", "-o", "size=6m", "sealpost-test"], &dir) {
            return Some(Small { dir, _keep: keep });
        }
        eprintln!("skipped: {SKIPPED}");
        None
    }

    fn remount(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], &self.dir), "remount,{options}");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.dir).status());
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let Some(small_disk) = Small::mount() else { return };
    let rt = runtime();
    let dir = small_disk.dir.join("store");
    let store = Store::open(&dir, small()).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    let mut room = 6;
    let mut there = Vec::new();
    let stored = rt.block_on(body(&store, &text(1, 200))).unwrap();
    for round in 0..4u64 {
        // In turn mostly the bodies fill the disk and mostly the database.
        let refusal = loop {
            let n = there.len() as u64;
            let one = async {
                let mut one = match round % 2 {
                    0 => delivery(body(&store, &text(n, 30_000)).await?),
                    _ => delivery(stored.clone()),
                };
                one.prefix = vec![b'p'; if round % 2 == 0 { 10 } else { 20_000 }];
                match store.account(id).deliver(one).await {
                    Ok(got) => Ok(got.uid),
                    Err(Refused::Store(error)) => Err(error),
                    Err(other) => panic!("{other}"),
                }
            };
            match rt.block_on(one) {
                Ok(uid) => there.push(uid),
                Err(error) => break error,
            }
            assert!(there.len() < 5000, "the disk never fills");
        };
        assert!(matches!(refusal, Error::DiskFull), "round {round}: {refusal:?}");
        // Reading goes on.
        let view = store.account(id).view("INBOX").unwrap().unwrap();
        assert_eq!(view.messages().iter().map(|m| m.uid).collect::<Vec<_>>(), there);
        room += 3;
        small_disk.remount(&format!("size={room}m"));
    }
    let got = rt.block_on(store.account(id).deliver(delivery(stored))).unwrap();
    there.push(got.uid);
    clean(&store);
    store.close().unwrap();
    let store = Store::open(&dir, small()).unwrap();
    assert_eq!(clean(&store).messages, there.len() as u64);
}

/// The index cannot be written: it says so, leaves nothing that is wrong, and searches read what it lacks.
#[test]
fn searches_are_exact_while_the_disk_is_too_full_for_the_index() {
    let Some(small_disk) = Small::mount() else { return };
    let rt = runtime();
    let dir = small_disk.dir.join("store");
    let store = Store::open(&dir, small()).unwrap();
    let account = store.account(rt.block_on(people(&store, 1))[0]);
    let mut refused = 0;
    let mut room = 6;
    for round in 0..120u64 {
        // Words that do not compress: their index is about as large as they are.
        let words: String = (0..1500u64)
            .map(|n| format!("{:016x} ", (round << 20 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        let octets = format!("Subject: s{round}\r\n\r\nword{round} all {words}\r\n").into_bytes();
        let put = async {
            match account.deliver(mail(&store, &octets).await?).await {
                Err(Refused::Store(error)) => Err(error),
                other => other.map(|_| ()).map_err(|refused| panic!("{refused}")),
            }
        };
        let kept = rt.block_on(put);
        assert!(matches!(kept, Ok(()) | Err(Error::DiskFull)), "{kept:?}");
        let view = account.view("INBOX").unwrap().unwrap();
        let indexed = account.index(view.mailbox.id);
        assert!(matches!(indexed, Ok(()) | Err(Error::DiskFull)), "{indexed:?}");
        if indexed.is_err() || kept.is_err() {
            refused += u32::from(indexed.is_err());
            let all = Bits::all(view.len());
            let found = rt.block_on(account.find_text(&view, &all, &fold(" all "), Scope::Body)).unwrap();
            assert_eq!(found, all, "round {round}");
            room += 1;
            small_disk.remount(&format!("size={room}m"));
        }
    }
    assert!(refused > 0, "the index always had room");
    small_disk.remount(&format!("size={}m", room + 20));
    let view = account.view("INBOX").unwrap().unwrap();
    account.index(view.mailbox.id).unwrap();
    let report = clean(&store);
    assert!(report.remarks.iter().all(|remark| !remark.contains("search")), "{:?}", report.remarks);
}

#[test]
fn a_read_only_disk_says_so() {
    let Some(small_disk) = Small::mount() else { return };
    let rt = runtime();
    let dir = small_disk.dir.join("store");
    let store = Store::open(&dir, small()).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    rt.block_on(async {
        let stored = body(&store, b"x").await.unwrap();
        store.account(id).deliver(delivery(stored)).await.unwrap();
    });
    store.close().unwrap();
    small_disk.remount("ro");
    let refused = Store::open(&dir, small());
    assert!(matches!(refused, Err(Error::ReadOnly)), "{refused:?}");
    let refused = Embedded::open(&dir.join("store.db"));
    assert!(matches!(refused, Err(Error::ReadOnly)), "{refused:?}");
    let refused = Embedded::open(&dir.join("none.db"));
    assert!(matches!(refused, Err(Error::ReadOnly)), "{refused:?}");
    small_disk.remount("rw");
    let store = Store::open(&dir, small()).unwrap();
    assert_eq!(clean(&store).messages, 1);
}

/// The system made the disk read-only while the store was at work.
#[test]
fn a_disk_that_becomes_read_only_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let disk = Arc::new(Failing::after(i64::MAX, EROFS));
    let store = Store::open_on(dir.path(), small(), disk.clone()).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    for size in [100, 180_000, 400_000] {
        disk.set(0);
        let refused = rt.block_on(body(&store, &text(1, size)));
        assert!(matches!(refused, Err(Error::ReadOnly)), "{refused:?}");
        disk.set(i64::MAX);
        rt.block_on(async {
            let stored = body(&store, &text(1, size)).await.unwrap();
            store.account(id).deliver(delivery(stored)).await.unwrap();
        });
    }
    assert_eq!(clean(&store).messages, 3);
}
