//! Many change a mailbox and many open it, all at once: every view that anybody sees is that of some commit, none goes back,
//! and whoever waits for changes misses none.

use crate::help::*;
use proto::proof::AccountId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::account::{Copying, Delivery, FlagChange, Flags, How, MailboxId, View};
use store::{Options, Store};

/// What is seen of a state: UID, flags and MODSEQ of all messages.
type Seen = Vec<(u32, u64, u64)>;

fn seen(view: &View) -> Seen {
    view.chunks()
        .flat_map(|c| (0..c.uids.len()).map(move |n| (c.uids[n], c.flags[n], c.modseqs[n])))
        .collect()
}

/// The same MODSEQ is the same state, whoever saw it and wherever it was read.
#[derive(Default)]
struct Book(Mutex<BTreeMap<u64, Seen>>);

impl Book {
    fn note(&self, view: &View) {
        let state = seen(view);
        assert_eq!(view.mailbox.messages as usize, state.len(), "the row and the messages are of one commit");
        let unseen = state.iter().filter(|(_, flags, _)| flags & Flags::SEEN.0 == 0).count();
        assert_eq!(view.mailbox.unseen as usize, unseen);
        let mut book = self.0.lock().unwrap();
        let known = book.entry(view.mailbox.modseq).or_insert_with(|| state.clone());
        assert_eq!(*known, state, "two states of one MODSEQ");
    }
}

async fn write(store: Store, id: AccountId, mailbox: MailboxId, producer: u32, turns: u32) {
    let account = store.account(id);
    let stored = body(&store, b"x").await.unwrap();
    for turn in 0..turns {
        let one = || delivery(stored.clone());
        match (turn + producer) % 6 {
            0 => drop(account.append(vec![one(); 30], None).await.unwrap()),
            1 | 2 => drop(account.deliver(one()).await.unwrap()),
            3 => {
                let change = FlagChange {
                    mailbox,
                    uids: vec![(turn, turn + 40 * (producer % 4)), (2000, u32::MAX)],
                    how: if turn.is_multiple_of(2) { How::Add } else { How::Remove },
                    flags: Flags::SEEN,
                    keywords: vec!["k".to_owned()],
                    unchanged_since: None,
                };
                drop(account.change_flags(change).await.unwrap());
            }
            4 => {
                let from = turn * 3 + producer;
                let (uids, remove) = (vec![(from, from + 5)], producer.is_multiple_of(2));
                let copying = Copying { from: mailbox, uids, to: mailbox, remove, saved: 1 };
                drop(account.copy(copying).await.unwrap());
            }
            _ => {
                let uids: Vec<u32> = (turn * 7..turn * 7 + 5).collect();
                account.expunge(mailbox, &uids).await.unwrap();
            }
        }
    }
}

/// Opens again and again; views do not go back, and the difference between two of them leads from one to the other.
async fn read(store: Store, id: AccountId, mailbox: MailboxId, book: Arc<Book>, end: Arc<AtomicBool>) {
    let account = store.account(id);
    let mut last: Option<Arc<View>> = None;
    while !end.load(Ordering::SeqCst) {
        let view = account.open(mailbox).await.unwrap().unwrap();
        book.note(&view);
        if let Some(old) = &last {
            assert!(old.mailbox.modseq <= view.mailbox.modseq, "a view went back");
            let diff = old.diff(&view);
            let gone = diff.vanished.len() as u32;
            assert_eq!(old.len() - gone + diff.added, view.len());
        }
        // Now and then nobody has it, so that it goes and is read anew.
        last = (!view.mailbox.modseq.is_multiple_of(3)).then_some(view);
        tokio::task::yield_now().await;
    }
}

/// Waits for changes; what is seen after the last is the end.
async fn wait(store: Store, id: AccountId, mailbox: MailboxId, done: Arc<AtomicU64>, end: Arc<AtomicBool>) {
    let account = store.account(id);
    let mut watch = account.watch();
    loop {
        let view = account.open(mailbox).await.unwrap().unwrap();
        if end.load(Ordering::SeqCst) && view.mailbox.modseq == done.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::timeout(Duration::from_secs(60), watch.changed()).await.expect("a change was missed");
    }
}

#[test]
fn every_view_is_of_some_commit_and_none_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    // Nothing stays in memory that nobody has.
    let options = Options { view_cache_bytes_max: 0, ..small() };
    let store = Store::open(dir.path(), options).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    let mailbox = store.account(id).view("INBOX").unwrap().unwrap().mailbox.id;
    let (book, end, done) = (Arc::new(Book::default()), Arc::new(AtomicBool::new(false)), Arc::default());
    rt.block_on(async {
        let writers: Vec<_> =
            (0..8).map(|n| tokio::spawn(write(store.clone(), id, mailbox, n, 60))).collect();
        let readers: Vec<_> = (0..4)
            .map(|_| tokio::spawn(read(store.clone(), id, mailbox, book.clone(), end.clone())))
            .collect();
        let waiting: Vec<_> = (0..3)
            .map(|_| tokio::spawn(wait(store.clone(), id, mailbox, Arc::clone(&done), end.clone())))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        // One more change, so that those who wait are woken after the end is known.
        let last = body(&store, b"last").await.unwrap();
        end.store(true, Ordering::SeqCst);
        let last = Delivery { flags: Flags::SEEN, ..delivery(last) };
        done.store(u64::MAX, Ordering::SeqCst);
        let modseq = store.account(id).deliver(last).await.unwrap().modseq;
        done.store(modseq, Ordering::SeqCst);
        // `done` is known only now; the bell of the commit itself may be over.
        let stored = body(&store, b"bell").await.unwrap();
        let bell = Delivery { mailbox: "Sent".to_owned(), ..delivery(stored) };
        store.account(id).deliver(bell).await.unwrap();
        for task in readers.into_iter().chain(waiting) {
            task.await.unwrap();
        }
    });
    let states = book.0.lock().unwrap().len();
    assert!(states > 20, "only {states} states were seen");
    // What is in memory is what is on the disk.
    let open = store.account(id).view("INBOX").unwrap().unwrap();
    clean(&store);
    store.close().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    let read = store.account(id).view("INBOX").unwrap().unwrap();
    assert_eq!((seen(&open), &open.mailbox), (seen(&read), &read.mailbox));
}
