//! The power goes at any moment of concurrent work, life after life on one store: whatever of the unsynced writes
//! the disk kept, what was acknowledged is there. And a disk that breaks a promise is found out, so that these
//! tests are known to see a sync that was forgotten.

use crate::forgetful::{Dice, Forgetful, Promise};
use crate::help::*;
use proto::proof::AccountId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use store::Store;
use store::account::{Copying, Delivery, Uses};

/// By mailbox and UID: which text, how long.
type Messages = BTreeMap<(String, u32), (u64, usize)>;

/// What was acknowledged while there was power.
#[derive(Debug, Default)]
struct Acknowledged {
    messages: Mutex<Messages>,
    disk: Mutex<Option<Arc<Forgetful>>>,
}

impl Acknowledged {
    /// The answer has come.
    fn note(&self, place: (String, u32), text: (u64, usize)) {
        if self.disk.lock().unwrap().as_ref().is_some_and(|disk| !disk.is_dark()) {
            self.messages.lock().unwrap().insert(place, text);
        }
    }

    /// It may come to pass, whether or not an answer comes.
    fn forget(&self, keep: impl FnMut(&(String, u32), &mut (u64, usize)) -> bool) {
        self.messages.lock().unwrap().retain(keep);
    }
}

/// Sizes that take every path: in memory, spooled and copied, a segment of its own.
const SIZES: [usize; 6] = [300, 20_000, 100_000, 180_000, 330_000, 7];

/// Appends several at a time, copies and moves them, into mailboxes too that are made, renamed and later deleted, until the disk fails.
async fn shift(store: Store, id: AccountId, life: u64, acknowledged: Arc<Acknowledged>) {
    let account = store.account(id);
    let of = |name: &str| account.mailbox(name).unwrap().unwrap().id;
    let [sent, archive, trash] = ["Sent", "Archive", "Trash"].map(of);
    let (made, named, old) =
        (format!("made/{life}"), format!("n/{life}"), format!("n/{}", life.saturating_sub(1)));
    let Ok(own) = account.create_mailbox(&made, Uses::default(), 1).await else { return };
    for turn in 0..8u64 {
        let texts: [(u64, usize); 3] = std::array::from_fn(|k| {
            (life << 16 | 9 << 8 | turn << 2 | k as u64, SIZES[(turn as usize + k) % 6])
        });
        let mut messages = Vec::new();
        for (n, size) in texts {
            let Ok(stored) = body(&store, &text(n, size)).await else { return };
            messages.push(Delivery { mailbox: "Sent".to_owned(), ..delivery(stored) });
        }
        let Ok(appended) = account.append(messages, None).await else { return };
        let known = |name: &str, uid: u32, at: usize| {
            acknowledged.note((name.to_owned(), uid), texts[at]);
        };
        (0..3).for_each(|at| known("Sent", appended[at].uid, at));
        let uids = vec![(appended[0].uid, appended[2].uid)];
        let copying = Copying { from: sent, uids, to: archive, remove: false, saved: 1 };
        // Whatever shares a commit with a message whose body could not be synced fails with it.
        let Ok(copied) = account.copy(copying.clone()).await else { return };
        (0..3).for_each(|at| known("Archive", copied.uids[at].1, at));
        let Ok(copied) = account.copy(Copying { to: own, ..copying.clone() }).await else { return };
        if turn == 0 && account.rename_mailbox(&made, &named, 1).await.is_err() {
            return;
        }
        (0..3).for_each(|at| known(&named, copied.uids[at].1, at));
        // The move is all that is left of the original, and the copies do not lose by it.
        let first = appended[0].uid;
        let moving = Copying { uids: vec![(first, first)], to: trash, remove: true, ..copying };
        acknowledged.forget(|(name, uid), _| (name.as_str(), *uid) != ("Sent", first));
        let Ok(moved) = account.copy(moving).await else { return };
        known("Trash", moved.uids[0].1, 0);
        if let Some(gone) = account.mailbox(&old).unwrap().filter(|_| turn == 1) {
            acknowledged.forget(|(name, _), _| *name != old);
            if account.delete_mailbox(gone.id).await.is_err() {
                return;
            }
        }
    }
}

/// Four producers deliver, and remove every third message, until the disk fails.
async fn work(store: &Store, id: AccountId, life: u64, acknowledged: &Arc<Acknowledged>) {
    let shifting = tokio::spawn(shift(store.clone(), id, life, acknowledged.clone()));
    let tasks: Vec<_> = (0..4u64)
        .map(|producer| {
            let (store, acknowledged) = (store.clone(), acknowledged.clone());
            tokio::spawn(async move {
                for turn in 0..12u64 {
                    let n = life << 16 | producer << 8 | turn;
                    let size = SIZES[((turn + producer) % 6) as usize];
                    let Ok(stored) = body(&store, &text(n, size)).await else { return };
                    let Ok(got) = store.account(id).deliver(delivery(stored)).await else { return };
                    let place = ("INBOX".to_owned(), got.uid);
                    acknowledged.note(place.clone(), (n, size));
                    if turn % 3 == 2 {
                        acknowledged.forget(|at, _| *at != place);
                        drop(store.account(id).expunge(got.mailbox, &[got.uid]).await);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    shifting.await.unwrap();
}

/// What is lost; empty is as it must be.
async fn losses(store: &Store, id: AccountId, acknowledged: &Acknowledged) -> Vec<String> {
    let mut lost = store.check(&mut |_, _| ()).unwrap().faults;
    let account = store.account(id);
    let acknowledged = acknowledged.messages.lock().unwrap().clone();
    for ((name, uid), (n, size)) in acknowledged {
        let Some(view) = account.view(&name).unwrap().filter(|view| view.seq(uid).is_some()) else {
            lost.push(format!("{name}: UID {uid} is not there"));
            continue;
        };
        let Some(detail) = account.detail(view.mailbox.id, uid).unwrap() else {
            lost.push(format!("{name}: UID {uid} has no detail"));
            continue;
        };
        if content(store, &detail.body).await.ok() != Some(text(n, size)) {
            lost.push(format!("{name}: UID {uid} has lost its body"));
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
        *acknowledged.disk.lock().unwrap() = Some(disk.clone());
        // The power may go while the store is still being opened.
        if let Ok(store) = Store::open_on(dir.path(), small(), disk.clone()) {
            rt.block_on(work(&store, id, seed, &acknowledged));
            if seed % 4 == 0 {
                drop(store.sweep());
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
