//! Mailboxes that go, and the mail that comes meanwhile.

use super::*;

#[test]
fn a_deleted_mailbox_is_gone_at_once_and_its_rows_later() {
    let house = House::new(1);
    let account = house.account();
    house.fill("a/b", 2500);
    house.fill("INBOX", 3);
    let (old, validity) = (house.mailbox("a/b"), house.mailbox("a/b").uid_validity);
    let gone = house.rt.block_on(async {
        account
            .set_notes(Some(old.id), house.ids[0], vec![("/shared/comment".into(), Some(b"x".to_vec()))])
            .await?;
        account.set_acl(old.id, "user9@x.test", Rights::ALL).await?;
        account.delete_mailbox(house.mailbox("a").id).await?;
        account.delete_mailbox(old.id).await?;
        Ok::<_, Refused>(account.delete_mailbox(old.id).await)
    });
    assert!(matches!(gone.unwrap(), Err(Refused::NoMailbox)));
    assert!(account.view("a/b").unwrap().is_none() && account.mailbox_by_id(old.id).unwrap().is_none());
    let inbox = house.mailbox("INBOX");
    assert_eq!(account.usage().unwrap(), Usage { bytes: inbox.bytes, messages: 3 });
    assert_eq!(account.acl(old.id).unwrap(), []);
    assert_eq!(account.notes(Some(old.id), house.ids[0]).unwrap(), []);
    assert_eq!(account.rights(old.id, "user0@x.test").unwrap(), Rights::default());
    clean(&house.store);
    house.fill("a/b", 1);
    let new = house.mailbox("a/b");
    assert!(new.id > old.id && new.uid_validity > validity && new.messages == 1);
    house.store.sweep().unwrap();
    assert_eq!(["R", "A", "O"].map(|tag| house.rows(tag)), [0, 0, 0]);
    assert_eq!(house.rows("M"), 4);
    let inbox = house.rt.block_on(account.delete_mailbox(inbox.id));
    assert!(matches!(inbox, Err(Refused::Cannot(_))));
    clean(&house.store);
}

/// What deleted mailboxes held becomes room on the disk.
#[test]
fn the_space_of_a_deleted_mailbox_is_reclaimed() {
    let house = House::new(1);
    house.rt.block_on(async {
        for n in 0..30u64 {
            let mut one = delivery(body(&house.store, &text(n, 30_000)).await.unwrap());
            one.mailbox = "a".to_owned();
            house.account().deliver(one).await.unwrap();
        }
        house.account().delete_mailbox(house.mailbox("a").id).await.unwrap();
    });
    house.store.sweep().unwrap();
    house.store.compact(NOW, 0).unwrap();
    let done = house.store.compact(NOW, 0).unwrap();
    assert!(done.bytes_reclaimed > 500_000, "{done:?}");
    clean(&house.store);
}

#[test]
fn a_removal_that_was_cut_short_goes_on_at_the_next_start() {
    let House { store, rt, ids, dir } = House::new(1);
    let house = House { store, rt, ids, dir };
    house.fill("a", 10_000);
    house.rt.block_on(house.account().delete_mailbox(house.mailbox("a").id)).unwrap();
    // The store's own thread begins within a second, and is stopped between two steps.
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while house.rows("M") > 9000 {
        assert!(std::time::Instant::now() < limit, "nothing is removed");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    house.store.close().unwrap();
    let left = house.rows("M");
    assert!(left > 0 && house.rows("R") == 1, "{left} rows: it was not cut short");
    let House { store, rt, ids, dir } = house;
    drop(store);
    let store = Store::open(dir.path(), small()).unwrap();
    let report = clean(&store);
    assert_eq!(report.messages, 0);
    let house = House { store, rt, ids, dir };
    house.fill("a", 2);
    while house.rows("R") > 0 {
        assert!(std::time::Instant::now() < limit, "nothing is removed");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(house.rows("M"), 2);
    assert_eq!(house.account().usage().unwrap().messages, 2);
    clean(&house.store);
}

/// A database as it is after any commit of a removal is sound, and the removal ends.
#[test]
fn a_removal_survives_a_crash_after_each_commit() {
    let house = House::new(1);
    house.fill("a", 2500);
    house.rt.block_on(house.account().delete_mailbox(house.mailbox("a").id)).unwrap();
    let mut last = i64::MAX;
    for _ in 0..5 {
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(copy.path().join("blobs")).unwrap();
        for name in ["store.db", "store.db-wal", "blobs/00000001.seg"] {
            std::fs::copy(house.dir.path().join(name), copy.path().join(name)).unwrap();
        }
        let copied = Store::open(copy.path(), small()).unwrap();
        clean(&copied);
        copied.sweep().unwrap();
        copied.settle().unwrap();
        assert_eq!(rows(copy.path(), "M") + rows(copy.path(), "R"), 0);
        clean(&copied);
        let left = house.rows("M");
        assert!(left <= last);
        last = left;
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    house.store.sweep().unwrap();
}

/// Mail comes while its mailbox is removed, made and renamed: each message that was acknowledged is where it was said to
/// be, or went with a mailbox that was removed after it had come.
#[test]
fn mail_is_never_lost_between_names() {
    let house = House::new(1);
    let removed: Arc<Mutex<BTreeSet<MailboxId>>> = Arc::default();
    let delivered = house.rt.block_on(async {
        let stored = body(&house.store, b"x").await.unwrap();
        // Else all turns could pass before the first delivery makes one.
        house.account().create_mailbox("a/b", NONE, NOW).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..6 {
            let (account, stored, removed) = (house.account(), stored.clone(), removed.clone());
            tasks.spawn(async move {
                let mut got = Vec::new();
                for _ in 0..150 {
                    let mut one = delivery(stored.clone());
                    one.mailbox = ["a/b", "c/b"][n % 2].to_owned();
                    let before = removed.lock().unwrap().clone();
                    let there = account.deliver(one).await.unwrap();
                    assert!(!before.contains(&there.mailbox), "into a mailbox that was gone");
                    got.push((there.mailbox, there.uid));
                }
                got
            });
        }
        let account = house.account();
        for n in 0..60 {
            drop(account.rename_mailbox("a", "c", NOW).await);
            drop(account.rename_mailbox("c/b", "a/b", NOW).await);
            if n % 3 == 0
                && let Some(mailbox) = account.mailbox("a/b").unwrap()
            {
                account.delete_mailbox(mailbox.id).await.unwrap();
                removed.lock().unwrap().insert(mailbox.id);
            }
        }
        tasks.join_all().await.concat()
    });
    let removed = removed.lock().unwrap();
    assert!(!removed.is_empty());
    let mut kept = 0;
    for (mailbox, uid) in &delivered {
        if !removed.contains(mailbox) {
            assert!(house.account().detail(*mailbox, *uid).unwrap().is_some(), "{mailbox:?} {uid}");
            kept += 1;
        }
    }
    assert_eq!(house.account().usage().unwrap().messages, kept as u64);
    assert_eq!(delivered.iter().collect::<BTreeSet<_>>().len(), delivered.len());
    clean(&house.store);
    house.store.sweep().unwrap();
    clean(&house.store);
    assert_eq!(house.rows("M"), kept);
}

/// Messages are changed, moved and expunged in a mailbox in the same commits in which it is renamed and removed.
#[test]
fn messages_change_while_their_mailbox_is_renamed_and_removed() {
    let house = House::new(1);
    for round in 0..12u32 {
        house.fill("a", 400);
        let id = house.mailbox("a").id;
        house.rt.block_on(async {
            let account = house.account();
            let stored = body(&house.store, b"x").await.unwrap();
            let mut one = delivery(stored);
            one.mailbox = "a".to_owned();
            let uids: Vec<u32> = (1..=300).collect();
            let copying = store::account::Copying {
                from: id,
                uids: vec![(310, 330)],
                to: account.mailbox("Sent").unwrap().unwrap().id,
                remove: round % 2 == 0,
                saved: NOW,
            };
            // All in one commit or two; expunging is the one that buries details.
            let (expunged, delivered, copied, renamed, deleted) = tokio::join!(
                account.expunge(id, &uids),
                account.deliver(one),
                account.copy(copying),
                account.rename_mailbox("a", "b", NOW),
                account.delete_mailbox(id),
            );
            expunged.unwrap();
            assert_eq!(delivered.unwrap().mailbox, id);
            assert_eq!(copied.unwrap().uids.len(), 21);
            renamed.unwrap();
            deleted.unwrap();
            assert!(account.mailbox("b").unwrap().is_none());
            assert_eq!(account.usage().unwrap().messages, u64::from(21 * (round + 1)));
        });
        clean(&house.store);
        if round % 3 == 0 {
            house.store.sweep().unwrap();
        }
    }
    house.store.sweep().unwrap();
    house.store.compact(NOW, 0).unwrap();
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while house.rows("M") > 21 * 12 || house.rows("N") > 0 {
        assert!(std::time::Instant::now() < limit, "graves are not swept");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(clean(&house.store).messages, 21 * 12);
}
