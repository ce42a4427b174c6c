//! What stands beside a mailbox: subscriptions, notes, rights, the quota.

use super::*;

#[test]
fn subscriptions_are_to_names() {
    let house = House::new(1);
    let account = house.account();
    let set = |name: &str, on| house.rt.block_on(account.subscribe(name, on));
    let before = account.tree_version().unwrap();
    set("Other Users/ann@x.test/a", true).unwrap();
    let after = account.tree_version().unwrap();
    assert!(after > before);
    set("Other Users/ann@x.test/a", true).unwrap();
    set("none", false).unwrap();
    assert_eq!(account.tree_version().unwrap(), after, "nothing changed");
    set("inbox/A", true).unwrap();
    set("Sent", false).unwrap();
    let names = ["Archive", "Drafts", "INBOX", "INBOX/A", "Junk", "Other Users/ann@x.test/a", "Trash"];
    assert_eq!(account.subscriptions().unwrap(), names);
    assert!(matches!(set("a//b", true), Err(Refused::BadName(_))));
    house.rt.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for n in names.len() as u32..SUBSCRIPTIONS_MAX {
            let account = account.clone();
            tasks.spawn(async move { account.subscribe(&format!("n{n}"), true).await.unwrap() });
        }
        tasks.join_all().await;
    });
    assert!(matches!(set("one more", true), Err(Refused::Limit(_))));
    set("n77", false).unwrap();
    set("one more", true).unwrap();
    assert_eq!(account.subscriptions().unwrap().len(), SUBSCRIPTIONS_MAX as usize);
    clean(&house.store);
}

#[test]
fn notes_are_shared_or_private() {
    let house = House::new(2);
    let (account, me, you) = (house.account(), house.ids[0], house.ids[1]);
    let inbox = house.mailbox("INBOX").id;
    let set = |mailbox, whose, entries: &[(&str, Option<&[u8]>)]| {
        let own = entries.iter().map(|(entry, value)| ((*entry).to_owned(), value.map(<[u8]>::to_vec)));
        house.rt.block_on(account.set_notes(mailbox, whose, own.collect()))
    };
    let get = |mailbox, whose| account.notes(mailbox, whose).unwrap();
    set(Some(inbox), me, &[("/shared/comment", Some(b"s")), ("/private/comment", Some(b"\0mine"))]).unwrap();
    set(Some(inbox), you, &[("/private/comment", Some(b"yours"))]).unwrap();
    set(None, me, &[("/shared/comment", Some(b""))]).unwrap();
    let own = |entry: &str, value: &[u8]| (entry.to_owned(), value.to_vec());
    assert_eq!(get(Some(inbox), me), [own("/private/comment", b"\0mine"), own("/shared/comment", b"s")]);
    assert_eq!(get(Some(inbox), you), [own("/private/comment", b"yours"), own("/shared/comment", b"s")]);
    assert_eq!(get(None, you), [own("/shared/comment", b"")]);
    assert_eq!(get(Some(MailboxId(99)), me), []);
    let version = account.tree_version().unwrap();
    set(Some(inbox), me, &[("/shared/comment", Some(b"s")), ("/private/none", None)]).unwrap();
    assert_eq!(account.tree_version().unwrap(), version, "nothing changed");
    let long = format!("/shared/{}", "x".repeat(248));
    for bad in [
        "",
        "comment",
        "/shared",
        "/shared/",
        "/public/x",
        "/shared/a//b",
        "/shared/a/",
        "/shared/A",
        "/shared/a*",
        "/shared/%",
        "/shared/é",
        "/shared/a b",
    ] {
        let refused = set(None, me, &[("/private/x", Some(b"x")), (bad, Some(b"x"))]);
        assert!(matches!(refused, Err(Refused::BadName(_))), "{bad:?}");
    }
    assert!(matches!(set(None, me, &[(&long, Some(b"x"))]), Err(Refused::Limit(_))));
    let large = vec![0; NOTE_BYTES_MAX + 1];
    assert!(matches!(set(None, me, &[("/private/x", Some(&large))]), Err(Refused::Limit(_))));
    set(None, me, &[("/private/x", Some(&large[1..]))]).unwrap();
    assert_eq!(get(None, me).len(), 2, "all or none");
    assert!(matches!(set(Some(MailboxId(99)), me, &[("/private/x", None)]), Err(Refused::NoMailbox)));
    let names: Vec<String> = (0..=NOTES_MAX).map(|n| format!("/private/n{n}")).collect();
    let many: Vec<(&str, Option<&[u8]>)> = names.iter().map(|n| (n.as_str(), Some(&b"x"[..]))).collect();
    assert!(matches!(set(Some(inbox), you, &many[1..]), Err(Refused::Limit(_))));
    set(Some(inbox), you, &many[2..]).unwrap();
    let full = set(Some(inbox), you, &[("/private/n1", Some(b"x"))]);
    assert!(matches!(full, Err(Refused::Limit(_))));
    set(Some(inbox), you, &[("/private/n1", Some(b"x")), ("/private/n2", None)]).unwrap();
    set(Some(inbox), me, &[("/private/n1", Some(b"x"))]).unwrap();
    assert_eq!(get(Some(inbox), you).len(), NOTES_MAX + 1);
    clean(&house.store);
}

#[test]
fn rights_are_added_up_and_taken_away() {
    let house = House::new(2);
    let account = house.account();
    let inbox = house.mailbox("INBOX").id;
    let rights = |letters: &str| Rights::parse(letters).unwrap();
    let set = |identifier: &str, letters: &str| {
        house.rt.block_on(account.set_acl(inbox, identifier, rights(letters)))
    };
    let of = |address: &str| account.rights(inbox, address).unwrap().letters();
    assert_eq!(of("USER0@x.test"), Rights::LETTERS);
    assert_eq!(of("user1@x.test"), "");
    set("Anyone", "lr").unwrap();
    set("USER1@X.test", "sw").unwrap();
    set("-user1@x.test", "rw").unwrap();
    assert_eq!((of("User1@x.test").as_str(), of("user2@x.test").as_str()), ("ls", "lr"));
    assert_eq!(of("user2@y.test"), "", "of another domain");
    assert_eq!(of("nonsense"), "");
    set("-anyone", "l").unwrap();
    assert_eq!((of("user1@x.test").as_str(), of("user2@x.test").as_str()), ("s", "r"));
    let list: Vec<String> =
        account.acl(inbox).unwrap().into_iter().map(|(identifier, _)| identifier).collect();
    assert_eq!(list, ["-anyone", "-user1@x.test", "anyone", "user1@x.test"]);
    assert_eq!(account.shared_with("user1@x.test").unwrap(), [(inbox, rights("s"))]);
    assert_eq!(account.shared_with("user0@x.test").unwrap(), []);
    for bad in ["", "-", "user1", "a@b@", "--a@x.test", "a b\n@x.test"] {
        assert!(matches!(set(bad, "l"), Err(Refused::BadName(_))), "{bad:?}");
    }
    let nowhere = house.rt.block_on(account.set_acl(MailboxId(99), "a@x.test", Rights::ALL));
    assert!(matches!(nowhere, Err(Refused::NoMailbox)));
    for n in 0..96 {
        set(&format!("p{n}@y.test"), "l").unwrap();
    }
    assert!(matches!(set("one.more@y.test", "l"), Err(Refused::Limit(_))));
    set("p1@y.test", "").unwrap();
    set("one.more@y.test", "l").unwrap();
    clean(&house.store);
}

#[test]
fn who_shares_is_found_from_the_other_side() {
    let house = House::new(4);
    let account = |n: usize| house.store.account(house.ids[n]);
    let sharers = |address: &str| house.store.sharers(address).unwrap();
    let entries = || {
        house.store.settle().unwrap();
        let db = rusqlite::Connection::open(house.dir.path().join("store.db")).unwrap();
        let count = "SELECT count(*) FROM kv WHERE account=0 AND substr(key,1,1)=x'68'";
        db.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let set = |n: usize, mailbox: &str, identifier: &str, rights: Rights| {
        let id = account(n).mailbox(mailbox).unwrap().unwrap().id;
        house.rt.block_on(account(n).set_acl(id, identifier, rights)).unwrap();
    };
    set(0, "INBOX", "user3@x.test", Rights::ALL);
    set(0, "Sent", "User3@x.test", Rights::ALL);
    set(1, "INBOX", "anyone", Rights(1));
    set(2, "INBOX", "-user3@x.test", Rights(1));
    assert_eq!(sharers("user3@x.test"), house.ids[..2]);
    assert_eq!(sharers("user1@x.test"), [], "not with oneself");
    assert_eq!(sharers("user3@y.test"), []);
    assert_eq!(sharers("USER2@X.test"), house.ids[1..2]);
    assert_eq!(entries(), 2);
    set(0, "INBOX", "user3@x.test", Rights::default());
    assert_eq!((sharers("user3@x.test").len(), entries()), (2, 2), "another mailbox is still shared");
    set(0, "Sent", "user3@x.test", Rights::default());
    assert_eq!((sharers("user3@x.test").len(), entries()), (1, 1));
    // What goes with its mailbox or its account is pruned when it is found.
    house.rt.block_on(async {
        let id = account(0).create_mailbox("a", NONE, NOW).await.unwrap();
        account(0).set_acl(id, "user3@x.test", Rights::ALL).await.unwrap();
        account(0).delete_mailbox(id).await.unwrap();
        house.store.directory().remove_account(house.ids[1]).await.unwrap();
        // A limit refuses after the entry was made: it is left over.
        let nowhere = account(2).set_acl(MailboxId(99), "user3@x.test", Rights::ALL).await;
        assert!(matches!(nowhere, Err(Refused::NoMailbox)));
    });
    assert_eq!(entries(), 3);
    clean(&house.store);
    assert_eq!(sharers("user3@x.test"), []);
    assert_eq!(entries(), 0);
    clean(&house.store);
}

#[test]
fn the_quota_is_told() {
    let house = House::new(1);
    let mut limited = house.store.directory().account(house.ids[0]).unwrap().unwrap();
    (limited.quota_bytes, limited.quota_messages) = (Some(70), Some(9));
    house.rt.block_on(house.store.directory().change_account(limited)).unwrap();
    house.fill("a", 2);
    let usage = house.account().usage().unwrap();
    assert_eq!(usage.messages, 2);
    assert_eq!(house.account().quota().unwrap(), Quota { bytes: Some(70), messages: Some(9), usage });
    // What a deleted mailbox held is free at once.
    house.rt.block_on(house.account().delete_mailbox(house.mailbox("a").id)).unwrap();
    house.fill("INBOX", 2);
    assert_eq!(house.store.account(AccountId(99)).quota().unwrap(), Quota::default());
}
