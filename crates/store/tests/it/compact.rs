//! Reclaiming space: with readers, with deliveries on their way, with a disk that fails.

use crate::help::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use store::account::{Account, Refused};
use store::system::pending::{Entry, Recipient};
use store::{Compacted, Error, Store};

async fn fill(store: &Store, account: &Account, count: u64) {
    for n in 0..count {
        let stored = body(store, &text(n, 20_000)).await.unwrap();
        account.deliver(delivery(stored)).await.unwrap();
    }
}

async fn all_there(store: &Store, account: &Account, uids: impl Iterator<Item = u32>) {
    let inbox = account.view("INBOX").unwrap().unwrap().mailbox.id;
    for uid in uids {
        let detail = account.detail(inbox, uid).unwrap().unwrap();
        assert_eq!(content(store, &detail.body).await.unwrap(), text(u64::from(uid) - 1, 20_000));
    }
}

#[test]
fn dead_bytes_are_reclaimed_and_living_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let store = Store::open(dir.path(), small()).unwrap();
    rt.block_on(async {
        let id = people(&store, 1).await[0];
        let account = store.account(id);
        // A body on its way, whose reference is committed only after its segment was emptied.
        let late = body(&store, b"late").await.unwrap();
        let too_late = body(&store, b"too late").await.unwrap();
        let waiting = body(&store, &text(5, 100)).await.unwrap();
        let recipients = vec![Recipient { account: id, prefix: Vec::new() }];
        let entry = Entry {
            from: String::new(),
            body: waiting,
            header_bytes: 0,
            received: 1,
            gist: Vec::new(),
            recipients,
        };
        let token = store.pending().add(entry).await.unwrap();
        fill(&store, &account, 100).await;
        let inbox = account.view("INBOX").unwrap().unwrap().mailbox.id;
        let held = account.detail(inbox, 10).unwrap().unwrap().body;
        let gone: Vec<u32> = (1..=100).filter(|uid| uid % 10 != 0).collect();
        account.expunge(inbox, &gone).await.unwrap();
        let compact = |now: i64| {
            let store = store.clone();
            async move { tokio::task::spawn_blocking(move || store.compact(now, 60)).await.unwrap().unwrap() }
        };
        let mut slow = store.bodies().read(&held, 0..u64::MAX);
        let first = compact(1000).await;
        assert!(first.segments_emptied >= 3 && first.copied >= 8, "{first:?}");
        assert_eq!(first.segments_deleted, 0, "the grace time is kept");
        all_there(&store, &account, (1..=10).map(|n| n * 10)).await;
        assert_eq!(content(&store, &held).await.unwrap(), text(9, 20_000), "the old place can still be read");
        account.deliver(delivery(late.clone())).await.unwrap();
        let mut reading = store.bodies().read(&held, 0..u64::MAX);
        assert!(reading.next().await.unwrap().is_some());
        assert!(slow.next().await.unwrap().is_some());

        let second = compact(1060).await;
        assert_eq!(second.segments_deleted, first.segments_emptied - 1, "one is named by the late delivery");
        assert!(second.bytes_reclaimed > 500_000, "{second:?}");
        all_there(&store, &account, (1..=10).map(|n| n * 10)).await;
        clean(&store);
        // It is emptied again and goes at last; from then on nothing can name it.
        for now in [1061, 1200, 1400] {
            compact(now).await;
        }
        assert_eq!(compact(3000).await, Compacted::default());
        let refused = account.deliver(delivery(too_late)).await;
        assert!(matches!(refused, Err(Refused::Store(Error::Io(_)))), "{refused:?}");
        let (found, entry) = store.pending().entries().unwrap().remove(0);
        assert_eq!(found, token);
        assert_eq!(content(&store, &entry.body).await.unwrap(), text(5, 100));
        let late_now = account.detail(inbox, 101).unwrap().unwrap().body;
        assert_eq!(content(&store, &late_now).await.unwrap(), b"late");
    });
    clean(&store);
}

#[test]
fn readers_and_writers_do_not_notice() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let store = Store::open(dir.path(), small()).unwrap();
    rt.block_on(async {
        let account = store.account(people(&store, 1).await[0]);
        fill(&store, &account, 60).await;
        let inbox = account.view("INBOX").unwrap().unwrap().mailbox.id;
        let stop = Arc::new(AtomicBool::new(false));
        let passes: Vec<Arc<AtomicU64>> = (0..3).map(|_| Arc::default()).collect();
        let readers: Vec<_> = passes
            .iter()
            .map(|passes| {
                let (store, account, stop) = (store.clone(), account.clone(), stop.clone());
                let passes = passes.clone();
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        all_there(&store, &account, (1..=6).map(|n| n * 10)).await;
                        passes.fetch_add(1, Ordering::Relaxed);
                        // What lies in the page cache is read without waiting, and there are more readers than threads.
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for round in 0..10 {
            // The grace time is one round here, and no read takes longer than the grace time.
            for passes in &passes {
                let upto = passes.load(Ordering::Relaxed) + 2;
                while passes.load(Ordering::Relaxed) < upto
                    && !readers.iter().any(|reader| reader.is_finished())
                {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
            let gone: Vec<u32> = (1..=60).filter(|uid| uid % 10 != 0).collect();
            account.expunge(inbox, &gone).await.unwrap();
            let compacting = store.clone();
            let compacted =
                tokio::task::spawn_blocking(move || compacting.compact(round * 100, 100).unwrap());
            for n in 0..10 {
                let stored = body(&store, &text(n, 30_000)).await.unwrap();
                let got = account.deliver(delivery(stored)).await.unwrap();
                account.expunge(inbox, &[got.uid]).await.unwrap();
            }
            compacted.await.unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.await.unwrap();
        }
    });
    clean(&store);
}

#[test]
fn a_compaction_that_fails_anywhere_loses_nothing() {
    let rt = runtime();
    let mut operations = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(Failing::after(i64::MAX, 5));
        let store = Store::open_on(dir.path(), small(), disk.clone()).unwrap();
        let id = rt.block_on(async {
            let id = people(&store, 1).await[0];
            fill(&store, &store.account(id), 40).await;
            let inbox = store.account(id).view("INBOX").unwrap().unwrap().mailbox.id;
            let gone: Vec<u32> = (1..=40).filter(|uid| uid % 10 != 0).collect();
            store.account(id).expunge(inbox, &gone).await.unwrap();
            id
        });
        disk.set(operations);
        let result = store.compact(1, 0).and_then(|_| store.compact(2, 0));
        disk.set(0);
        drop(store);
        let store = Store::open(dir.path(), small()).unwrap();
        rt.block_on(all_there(&store, &store.account(id), (1..=4).map(|n| n * 10)));
        clean(&store);
        if result.is_ok() {
            break;
        }
        operations += 1;
    }
    assert!(operations > 4, "only {operations} operations were tried");
}
