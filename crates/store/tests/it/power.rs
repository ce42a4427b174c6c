//! The power goes at any moment of concurrent work, life after life on one store: whatever of the unsynced writes
//! the disk kept, what was acknowledged is there. And a disk that breaks a promise is found out, so that these
//! tests are known to see a sync that was forgotten.

use crate::forgetful::{Dice, Forgetful, Promise};
use crate::help::*;
use proto::proof::AccountId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use store::Store;

/// By UID: which text, how long.
type Acknowledged = Mutex<BTreeMap<u32, (u64, usize)>>;

/// Sizes that take every path: in memory, spooled and copied, a segment of its own.
const SIZES: [usize; 6] = [300, 20_000, 100_000, 180_000, 330_000, 7];

/// Four producers deliver, and remove every third message, until the disk fails.
async fn work(store: &Store, id: AccountId, life: u64, acknowledged: &Arc<Acknowledged>) {
    let tasks: Vec<_> = (0..4u64)
        .map(|producer| {
            let (store, acknowledged) = (store.clone(), acknowledged.clone());
            tokio::spawn(async move {
                for turn in 0..12u64 {
                    let n = life << 16 | producer << 8 | turn;
                    let size = SIZES[((turn + producer) % 6) as usize];
                    let Ok(stored) = body(&store, &text(n, size)).await else { return };
                    let Ok(got) = store.account(id).deliver(delivery(stored)).await else { return };
                    acknowledged.lock().unwrap().insert(got.uid, (n, size));
                    if turn % 3 == 2 {
                        acknowledged.lock().unwrap().remove(&got.uid);
                        drop(store.account(id).expunge(got.mailbox, &[got.uid]).await);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// What is lost; empty is as it must be.
async fn losses(store: &Store, id: AccountId, acknowledged: &Acknowledged) -> Vec<String> {
    let mut lost = store.check(&mut |_, _| ()).unwrap().faults;
    let inbox = store.account(id).view("INBOX").unwrap().unwrap().mailbox.id;
    let acknowledged = acknowledged.lock().unwrap().clone();
    for (uid, (n, size)) in acknowledged {
        let detail = store.account(id).detail(inbox, uid).unwrap();
        let Some(detail) = detail else {
            lost.push(format!("UID {uid} has no detail"));
            continue;
        };
        if content(store, &detail.body).await.ok() != Some(text(n, size)) {
            lost.push(format!("UID {uid} has lost its body"));
        }
    }
    lost
}

/// Lives one after the other on one store; what was lost on the way.
fn lives(seeds: std::ops::Range<u64>, promise: Promise) -> Vec<String> {
    let rt = runtime();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    store.close().unwrap();
    drop(store);
    let acknowledged = Arc::new(Acknowledged::default());
    let mut went_dark = 0;
    for seed in seeds {
        let operations = 1 + Dice(seed).below(150);
        let disk = Arc::new(Forgetful::new(dir.path(), operations, promise));
        // The power may go while the store is still being opened.
        if let Ok(store) = Store::open_on(dir.path(), small(), disk.clone()) {
            rt.block_on(work(&store, id, seed, &acknowledged));
            if seed % 4 == 0 {
                // Whether it came to its end does not matter.
                drop(store.compact(seed as i64 * 10, 15));
            }
            went_dark += u64::from(disk.is_dark());
            disk.cut();
            drop(store);
        }
        disk.lose_power(seed);
        let store = match Store::open(dir.path(), small()) {
            Ok(store) => store,
            Err(error) => return vec![format!("it does not open: {error}")],
        };
        let lost = rt.block_on(losses(&store, id, &acknowledged));
        if !lost.is_empty() {
            return lost.into_iter().map(|text| format!("life {seed}: {text}")).collect();
        }
        store.close().unwrap();
    }
    assert!(went_dark > 0, "the power never went");
    Vec::new()
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_power() {
    assert_eq!(lives(0..40, Promise::AllKept), Vec::<String>::new());
}

#[test]
fn a_disk_that_breaks_its_promises_is_found_out() {
    for promise in [Promise::FileSyncsBroken, Promise::DirSyncsBroken] {
        assert_ne!(lives(0..40, promise), Vec::<String>::new(), "{promise:?} was not noticed");
    }
}
