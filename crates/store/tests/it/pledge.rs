//! Bodies that are placed and not durable yet: a delivery is answered, and seen, only when its body's sync is done;
//! what comes meanwhile shares its commit; and a sync that fails takes with it what rests on it, nothing else.

use crate::help::*;
use std::fs::File;
use std::future::Future;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use store::account::{Delivered, Refused};
use store::disk::{Disk, Real};
use store::{Error, Store};

/// A disk whose syncs of segments wait for a word.
#[derive(Debug, Default)]
struct Held {
    /// What is said to those that wait; `None`: they wait.
    word: Mutex<Word>,
    said: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Word {
    #[default]
    Go,
    Wait,
    Fail,
}

impl Held {
    fn say(&self, word: Word) {
        *self.word.lock().unwrap() = word;
        self.said.notify_all();
    }
}

impl Disk for Held {
    fn sync(&self, file: &File) -> io::Result<()> {
        let waiting = |word: &mut Word| *word == Word::Wait;
        let word = *self.said.wait_while(self.word.lock().unwrap(), waiting).unwrap();
        if word == Word::Fail {
            return Err(io::Error::from_raw_os_error(5));
        }
        Real.sync(file)
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// A delivery under way, and how many messages the mailbox has.
async fn begin(
    store: &Store,
    account: proto::proof::AccountId,
    n: u64,
) -> impl Future<Output = Result<Delivered, Refused>> + use<> {
    let placed = body(store, &text(n, 100)).await.unwrap();
    let account = store.account(account);
    let task = tokio::spawn(async move { account.deliver(delivery(placed)).await });
    async move { task.await.unwrap() }
}

fn count(store: &Store, account: proto::proof::AccountId) -> usize {
    store.account(account).view("INBOX").unwrap().unwrap().messages().len()
}

#[test]
fn a_delivery_is_answered_and_seen_when_its_body_is_durable() {
    runtime().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(Held::default());
        let store = Store::open_on(dir.path(), small(), disk.clone()).unwrap();
        let ids = people(&store, 2).await;
        // Warm, and the segment is there.
        for id in &ids {
            begin(&store, *id, 1).await.await.unwrap();
        }
        let syncs = store.syncs();
        disk.say(Word::Wait);
        let first = tokio::spawn(begin(&store, ids[0], 2).await);
        pause().await;
        assert!(!first.is_finished());
        assert_eq!((count(&store, ids[0]), store.syncs()), (1, syncs));
        // This body is written only after the sync of the first.
        let second = {
            let (store, id) = (store.clone(), ids[1]);
            tokio::spawn(async move { begin(&store, id, 3).await.await })
        };
        pause().await;
        assert!(!second.is_finished());
        disk.say(Word::Go);
        assert_eq!(first.await.unwrap().unwrap().uid, 2);
        assert_eq!(second.await.unwrap().unwrap().uid, 2);
        assert_eq!((count(&store, ids[0]), count(&store, ids[1])), (2, 2));
        clean(&store);
    });
}

#[test]
fn what_comes_while_a_body_is_synced_shares_its_commit() {
    runtime().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(Held::default());
        let store = Store::open_on(dir.path(), small(), disk.clone()).unwrap();
        let ids = people(&store, 2).await;
        for id in &ids {
            begin(&store, *id, 1).await.await.unwrap();
        }
        disk.say(Word::Wait);
        let first = tokio::spawn(begin(&store, ids[0], 2).await);
        pause().await;
        let syncs = store.syncs();
        // This one rests on nothing.
        let (other, id) = (store.account(ids[1]), ids[1]);
        let made = tokio::spawn(async move { other.expunge(store::account::MailboxId(1), &[1]).await });
        pause().await;
        assert!(!made.is_finished());
        disk.say(Word::Go);
        first.await.unwrap().unwrap();
        made.await.unwrap().unwrap();
        assert_eq!(store.syncs() - syncs, 2, "one of the body, one of the commit");
        assert_eq!(count(&store, id), 0);
    });
}

#[test]
fn a_sync_that_fails_takes_with_it_what_rests_on_it() {
    runtime().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(Held::default());
        let store = Store::open_on(dir.path(), small(), disk.clone()).unwrap();
        let ids = people(&store, 2).await;
        for id in &ids {
            begin(&store, *id, 1).await.await.unwrap();
        }
        disk.say(Word::Wait);
        let late = body(&store, &text(2, 100)).await.unwrap();
        let first = {
            let (account, late) = (store.account(ids[0]), late.clone());
            tokio::spawn(async move { account.deliver(delivery(late)).await })
        };
        pause().await;
        let other = store.account(ids[1]);
        let removed = tokio::spawn(async move { other.expunge(store::account::MailboxId(1), &[1]).await });
        pause().await;
        disk.say(Word::Fail);
        let refused = first.await.unwrap();
        assert!(matches!(refused, Err(Refused::Store(Error::Io(_)))), "{refused:?}");
        removed.await.unwrap().unwrap();
        disk.say(Word::Go);
        // Who comes with it only now is refused too; a new one goes to a new segment.
        let refused = store.account(ids[0]).deliver(delivery(late.clone())).await;
        assert!(matches!(refused, Err(Refused::Store(Error::Io(_)))), "{refused:?}");
        assert_eq!(begin(&store, ids[0], 4).await.await.unwrap().uid, 2);
        assert_eq!((count(&store, ids[0]), count(&store, ids[1])), (2, 0));
        clean(&store);
        store.close().unwrap();
        drop(store);
        clean(&Store::open(dir.path(), small()).unwrap());
    });
}

#[test]
fn bodies_that_nobody_refers_to_are_written_before_they_are_too_many() {
    runtime().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), store::Options::default()).unwrap();
        // The segment is there.
        let id = people(&store, 1).await[0];
        begin(&store, id, 1).await.await.unwrap();
        pause().await;
        let syncs = store.syncs();
        let mut last = body(&store, &text(1, 60_000)).await.unwrap();
        for n in 2..40 {
            last = body(&store, &text(n, 60_000)).await.unwrap();
        }
        // More than two MiB: they do not wait for a commit, which does not come.
        let written = async {
            while store.syncs() == syncs {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), written).await.expect("they are written");
        // The last ones may still wait; a commit takes them with it.
        store.account(id).deliver(delivery(last.clone())).await.unwrap();
        assert_eq!(content(&store, &last).await.unwrap(), text(39, 60_000));
    });
}
