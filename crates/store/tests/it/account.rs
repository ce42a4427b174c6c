//! One account and several: deliveries, removal, quotas, bodies, syncs shared.

use crate::help::*;
use proto::message::text::fold;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use store::account::Refused;
use store::disk::{Disk, Real};
use store::search::{Bits, Field, Scope};
use store::system::pending::{Entry, Recipient};
use store::{Error, Options, Store};

#[test]
fn what_was_delivered_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let store = Store::open(dir.path(), small()).unwrap();
    assert!(matches!(Store::open(dir.path(), small()), Err(Error::InUse)));
    let id = rt.block_on(people(&store, 1))[0];
    let seed = *store.seed();
    let names: Vec<String> = store.account(id).mailboxes().unwrap().into_iter().map(|m| m.name).collect();
    assert_eq!(names, ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]);
    // In memory, at a chunk's border, spooled and copied, a segment of its own; and nothing at all.
    let sizes = [0, 1, (64 << 10) - 8, 64 << 10, 100_000, 250_000, 500_000, 1_000_000];
    rt.block_on(async {
        for (n, size) in sizes.iter().enumerate() {
            let body = body(&store, &text(n as u64, *size)).await.unwrap();
            let got = store.account(id).deliver(delivery(body)).await.unwrap();
            assert_eq!((got.uid, got.fresh), (n as u32 + 1, true));
        }
    });
    assert_eq!(std::fs::read_dir(dir.path().join("spool")).unwrap().count(), 0);
    let before = store.account(id).view("inbox").unwrap().unwrap();
    store.close().unwrap();
    assert!(matches!(store.account(id).usage(), Err(Error::Closed)));
    let store = Store::open(dir.path(), small()).unwrap();
    assert_eq!(*store.seed(), seed);
    let view = store.account(id).view("INBOX").unwrap().unwrap();
    assert_eq!((&view.mailbox, &view.messages()), (&before.mailbox, &before.messages()));
    assert!(store.account(id).view("none").unwrap().is_none());
    rt.block_on(async {
        for (n, size) in sizes.iter().enumerate() {
            let detail = store.account(id).detail(view.mailbox.id, n as u32 + 1).unwrap().unwrap();
            let whole = text(n as u64, *size);
            assert_eq!(content(&store, &detail.body).await.unwrap(), whole);
            let mut part = store.bodies().read(&detail.body, 5..70_000);
            let mut got = Vec::new();
            while let Some(piece) = part.next().await.unwrap() {
                got.extend_from_slice(&piece);
            }
            assert_eq!(got, whole[5.min(whole.len())..70_000.min(whole.len())]);
        }
    });
    let report = clean(&store);
    assert_eq!((report.accounts, report.messages, report.bodies), (1, 8, 8));
}

#[test]
fn many_deliveries_share_syncs_and_each_gets_its_uid() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    let before = store.syncs();
    let uids = rt.block_on(async {
        let tasks: Vec<_> = (0..600u64)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move {
                    let body = body(&store, &text(n, 500)).await.unwrap();
                    store.account(id).deliver(delivery(body)).await.unwrap().uid
                })
            })
            .collect();
        let mut uids = Vec::new();
        for task in tasks {
            uids.push(task.await.unwrap());
        }
        uids.sort_unstable();
        uids
    });
    assert_eq!(uids, (1..=600).collect::<Vec<u32>>());
    let syncs = store.syncs() - before;
    assert!(syncs < 600, "{syncs} syncs for 600 bodies and 600 deliveries");
    assert_eq!(clean(&store).messages, 600);
}

/// A disk on which no sync ends while the lock is held.
#[derive(Debug, Default)]
struct Held(Mutex<()>);

impl Disk for Held {
    fn sync(&self, file: &File) -> io::Result<()> {
        let _free = self.0.lock().unwrap();
        Real.sync(file)
    }
}

#[test]
fn a_caller_that_goes_away_takes_nothing_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let disk = Arc::new(Held::default());
    let store = Store::open_on(dir.path(), Options::default(), disk.clone()).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    rt.block_on(async {
        let body = body(&store, b"x").await.unwrap();
        for _ in 0..50 {
            let account = store.account(id);
            let mut gone = Box::pin(account.deliver(delivery(body.clone())));
            // Polled once, then dropped; while nothing can be synced nothing can be finished.
            let held = disk.0.lock().unwrap();
            assert!(gone.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(gone);
            drop(held);
            account.deliver(delivery(body.clone())).await.unwrap();
        }
    });
    assert_eq!(store.account(id).usage().unwrap().messages, 100);
    clean(&store);
}

#[test]
fn quotas_tokens_and_removals() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let store = Store::open(dir.path(), small()).unwrap();
    rt.block_on(async {
        let ids = people(&store, 2).await;
        let account = store.account(ids[0]);
        let body = body(&store, &text(1, 100)).await.unwrap();
        let mut limited = store.directory().account(ids[0]).unwrap().unwrap();
        limited.quota_messages = Some(2);
        store.directory().change_account(limited).await.unwrap();
        account.deliver(delivery(body.clone())).await.unwrap();
        let mut with_token = delivery(body.clone());
        with_token.token = Some(77);
        let first = account.deliver(with_token.clone()).await.unwrap();
        let again = account.deliver(with_token).await.unwrap();
        assert_eq!((first.uid, first.fresh, again.uid, again.fresh), (2, true, 2, false));
        assert!(matches!(account.deliver(delivery(body.clone())).await, Err(Refused::OverQuota)));
        let mut import = delivery(body.clone());
        import.quota = false;
        import.mailbox = "Lists/rust".to_owned();
        let other = account.deliver(import).await.unwrap();
        assert_eq!(other.uid, 1);
        assert_eq!(account.usage().unwrap().messages, 3);
        account.expunge(first.mailbox, &[2, 99]).await.unwrap();
        account.expunge(first.mailbox, &[2]).await.unwrap();
        let view = account.view("INBOX").unwrap().unwrap();
        assert_eq!(view.messages().iter().map(|m| m.uid).collect::<Vec<_>>(), [1]);
        assert_eq!(view.mailbox.uid_next, 3, "a UID is not given twice");
        assert!(account.detail(first.mailbox, 2).unwrap().is_none());
        let nowhere = account.expunge(store::account::MailboxId(99), &[1]).await;
        assert!(matches!(nowhere, Err(Refused::NoMailbox)));
        clean(&store);

        store.directory().remove_account(ids[0]).await.unwrap();
        assert!(matches!(account.deliver(delivery(body.clone())).await, Err(Refused::NoAccount)));
        assert!(store.directory().account(ids[0]).unwrap().is_none());
        assert_eq!(account.mailboxes().unwrap(), []);
        store.account(ids[1]).deliver(delivery(body)).await.unwrap();
        let new = store.directory().add_account(record("user0@x.test"), credentials()).await.unwrap();
        assert!(new > ids[1]);
        assert_eq!(store.account(new).usage().unwrap().messages, 0);
    });
    assert_eq!(clean(&store).accounts, 2);
}

#[test]
fn a_pending_entry_survives_until_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let store = Store::open(dir.path(), small()).unwrap();
    let (token, entry) = rt.block_on(async {
        let ids = people(&store, 2).await;
        let body = body(&store, b"hello").await.unwrap();
        let recipients = ids.iter().map(|id| Recipient { account: *id, prefix: b"P\r\n".to_vec() }).collect();
        let gist = vec![1, 2];
        let entry = Entry { from: String::new(), body, header_bytes: 0, received: 5, gist, recipients };
        (store.pending().add(entry.clone()).await.unwrap(), entry)
    });
    store.close().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    assert_eq!(store.pending().entries().unwrap(), [(token, entry.clone())]);
    clean(&store);
    let next = rt.block_on(async {
        store.pending().done(token).await.unwrap();
        store.pending().add(entry).await.unwrap()
    });
    assert!(next > token, "a token is not given twice");
    assert_eq!(store.pending().entries().unwrap().len(), 1);
}

/// The check must see what it is for: each kind of damage by itself.
#[test]
fn the_check_finds_damage() {
    let spoil = |sql: &str, expected: &str| {
        let dir = tempfile::tempdir().unwrap();
        let rt = runtime();
        let store = Store::open(dir.path(), small()).unwrap();
        rt.block_on(async {
            let id = people(&store, 1).await[0];
            for n in 0..3 {
                let body = body(&store, &text(n, 50)).await.unwrap();
                store.account(id).deliver(delivery(body)).await.unwrap();
            }
        });
        clean(&store);
        store.close().unwrap();
        if sql.is_empty() {
            let path = dir.path().join("blobs/00000001.seg");
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[60] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        } else {
            let db = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
            assert!(db.execute(sql, []).unwrap() > 0, "{sql} changed nothing");
        }
        let store = Store::open(dir.path(), small()).unwrap();
        let report = store.check(&mut |_, _| ()).unwrap();
        assert!(report.faults.iter().any(|f| f.contains(expected)), "{expected:?} in {:?}", report.faults);
    };
    spoil("", "damaged");
    spoil("DELETE FROM kv WHERE account=1 AND substr(key,1,1)=x'4d'", "no detail");
    spoil("DELETE FROM kv WHERE account=1 AND substr(key,1,1)=x'45'", "number of messages");
    let flag = |bits: &str| {
        format!(
            "UPDATE kv SET value=CAST(substr(value,1,2)||x'{bits}'||substr(value,4) AS BLOB)
             WHERE account=1 AND substr(key,1,1)=x'45'"
        )
    };
    spoil(&flag("01"), "number of unseen messages");
    spoil(&flag("08"), "to be removed");
    spoil(&flag("8002"), "does not know");
    spoil("INSERT INTO kv VALUES(1,x'4e0000000100000000000000020000000000',x'01010200')", "to be swept");
    spoil("DELETE FROM kv WHERE account=1 AND substr(key,1,1)=x'42'", "no head");
    spoil("DELETE FROM kv WHERE account=0 AND substr(key,1,1)=x'6c'", "exactly one address");
    spoil("DELETE FROM kv WHERE account=0 AND substr(key,1,1)=x'63'", "no credentials");
    spoil("UPDATE kv SET value=x'09' WHERE account=1 AND substr(key,1,1)=x'4d'", "row version 9");
    spoil("UPDATE kv SET account=50 WHERE account=1 AND substr(key,1,1)=x'47'", "belongs to no account");
    spoil("INSERT INTO kv VALUES(1,x'5a',x'01')", "unknown kind");
}

/// A removal that a crash cut short, and an addition: both leave a mark, and the next start finishes them.
#[test]
fn an_interrupted_removal_is_finished_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let store = Store::open(dir.path(), small()).unwrap();
    rt.block_on(async {
        let ids = people(&store, 2).await;
        let stored = body(&store, b"x").await.unwrap();
        for id in ids {
            for _ in 0..750 {
                store.account(id).deliver(delivery(stored.clone())).await.unwrap();
            }
        }
    });
    store.close().unwrap();
    let db = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
    let gone = "DELETE FROM kv WHERE account=0 AND key IN (x'610000000000000001', x'630000000000000001')";
    assert_eq!(db.execute(gone, []).unwrap(), 2);
    let address = "DELETE FROM kv WHERE account=0 AND hex(key)=hex('lx.test')||'00'||hex('user0')";
    let mark = "INSERT INTO kv VALUES(0,x'720000000000000001',x'0101')";
    assert_eq!(db.execute(address, []).unwrap(), 1);
    assert_eq!(db.execute(mark, []).unwrap(), 1);
    drop(db);
    let store = Store::open(dir.path(), small()).unwrap();
    let began = std::time::Instant::now();
    loop {
        let report = clean(&store);
        assert_eq!(report.accounts, 1);
        if !report.remarks.iter().any(|remark| remark.contains("being added or removed")) {
            break;
        }
        assert!(began.elapsed().as_secs() < 20, "{:?}", report.remarks);
    }
    assert_eq!(store.account(proto::proof::AccountId(1)).mailboxes().unwrap(), []);
    assert_eq!(store.account(proto::proof::AccountId(2)).usage().unwrap().messages, 750);
}

/// Nobody waits for ever on a store that closes under load, and what is asked afterwards is refused.
#[test]
fn a_store_that_closes_under_load_answers_everybody() {
    let rt = runtime();
    for round in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), small()).unwrap();
        rt.block_on(async {
            let ids = people(&store, 2).await;
            let stored = body(&store, b"x").await.unwrap();
            let tasks: Vec<_> = (0..64usize)
                .map(|n| {
                    let (account, stored) = (store.account(ids[n % 2]), stored.clone());
                    tokio::spawn(async move {
                        let mut delivered = 0;
                        while account.deliver(delivery(stored.clone())).await.is_ok() {
                            delivered += 1;
                        }
                        let refused = account.deliver(delivery(stored)).await;
                        assert!(matches!(refused, Err(Refused::Store(Error::Closed))), "{refused:?}");
                        delivered
                    })
                })
                .collect();
            tokio::time::sleep(std::time::Duration::from_millis(10 * round)).await;
            let closing = store.clone();
            tokio::task::spawn_blocking(move || closing.close().unwrap()).await.unwrap();
            let mut delivered = 0;
            for task in tasks {
                let ended = tokio::time::timeout(std::time::Duration::from_secs(20), task).await;
                delivered += ended.expect("somebody still waits").unwrap();
            }
            let store = Store::open(dir.path(), small()).unwrap();
            let there: u64 = ids.iter().map(|id| store.account(*id).usage().unwrap().messages).sum();
            assert!(there >= delivered, "{there} of {delivered}");
            clean(&store);
        });
    }
}

/// A process that is being started holds a copy of every handle for a moment, the lock of a store that was closed too.
#[test]
fn a_store_is_opened_again_while_processes_are_started() {
    let dir = tempfile::tempdir().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let starting: Vec<_> = (0..3)
        .map(|_| {
            let over = over.clone();
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    assert!(std::process::Command::new("true").status().unwrap().success());
                }
            })
        })
        .collect();
    for turn in 0..60 {
        let opened = Store::open(dir.path(), small());
        let closed = opened.map(|store| store.close());
        assert!(matches!(closed, Ok(Ok(()))), "turn {turn}: {closed:?}");
    }
    over.store(true, Ordering::Relaxed);
    starting.into_iter().for_each(|thread| thread.join().unwrap());
}

/// What idle accounts hold is bounded: their heads go with time, their mailboxes, columns and words at a number of octets.
#[test]
fn idle_accounts_hold_no_memory_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let options = Options {
        view_cache_bytes_max: 40_000,
        columns_cache_bytes_max: 64_000,
        term_cache_bytes_max: 20_000,
        ..small()
    };
    let store = Store::open(dir.path(), options).unwrap();
    let ids = rt.block_on(people(&store, 20));
    let mut held = Vec::new();
    let mut most = 0;
    for (n, id) in ids.iter().enumerate() {
        rt.block_on(async {
            let account = store.account(*id);
            let words: String = (0..200).map(|word| format!("w{n}x{word} ")).collect();
            let text = format!("Subject: of account {n}\r\n\r\n{words}\r\n");
            let one = mail(&store, text.as_bytes()).await.unwrap();
            account.append(vec![one; 100], None).await.unwrap();
            let view = account.view("INBOX").unwrap().unwrap();
            account.index(view.mailbox.id).unwrap();
            let all = Bits::all(100);
            assert_eq!(account.find_text(&view, &all, &fold("7"), Scope::Body).await.unwrap(), all);
            let found =
                account.columns(&view).await.unwrap().contains(Field::Subject, &fold("account")).count();
            assert_eq!(found, 100);
            if n < 4 {
                held.push(view);
            }
        });
        store.let_go();
        let memory = store.memory();
        assert!(memory.column_bytes <= 64_000 && memory.term_bytes <= 20_000, "{memory:?}");
        assert!(memory.column_bytes > 0 && memory.term_bytes > 0, "{memory:?}");
        let of_sessions: u64 = held.iter().map(|view| view.bytes()).sum();
        assert!(memory.view_bytes <= of_sessions + 40_000, "{memory:?}");
        most = most.max(memory.views);
    }
    // What a session has stays, whatever there is of others.
    assert!(most < ids.len() && store.memory().views >= held.len());
    for (id, view) in ids.iter().zip(&held) {
        let again = store.account(*id).view("INBOX").unwrap().unwrap();
        assert!(Arc::ptr_eq(&again, view));
    }
    store.let_go();
    store.let_go();
    assert_eq!(store.memory().accounts, 0);
    drop(held);
    store.let_go();
    assert!(store.memory().view_bytes <= 40_000);
    rt.block_on(async {
        let stored = body(&store, b"after all that").await.unwrap();
        let uid = store.account(ids[0]).deliver(delivery(stored)).await.unwrap().uid;
        assert_eq!((uid, store.memory().accounts), (101, 1));
    });
    clean(&store);
}
