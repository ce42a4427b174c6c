//! Mailboxes by name: made, removed, renamed; subscriptions, notes, rights; and what happens to mail that comes meanwhile.

use crate::help::*;
use proto::proof::AccountId;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use store::account::{
    Account, Mailbox, MailboxId, NOTE_BYTES_MAX, NOTES_MAX, Quota, Refused, Rights, SPECIAL_MAILBOXES,
    SUBSCRIPTIONS_MAX, Usage, Uses,
};
use store::{Options, Store};
use tokio::runtime::Runtime;

const NOW: i64 = 1_700_000_000;
const NONE: Uses = Uses(0);

struct House {
    store: Store,
    rt: Runtime,
    ids: Vec<AccountId>,
    dir: tempfile::TempDir,
}

impl House {
    fn new(people_count: usize) -> House {
        let dir = tempfile::tempdir().unwrap();
        let rt = runtime();
        let store = Store::open(dir.path(), small()).unwrap();
        let ids = rt.block_on(people(&store, people_count));
        House { store, rt, ids, dir }
    }

    fn account(&self) -> Account {
        self.store.account(self.ids[0])
    }

    fn create(&self, name: &str) -> Result<MailboxId, Refused> {
        self.rt.block_on(self.account().create_mailbox(name, NONE, NOW))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Refused> {
        self.rt.block_on(self.account().rename_mailbox(from, to, NOW))
    }

    fn mailbox(&self, name: &str) -> Mailbox {
        self.account().mailbox(name).unwrap().unwrap_or_else(|| panic!("{name} is missing"))
    }

    fn names(&self) -> Vec<String> {
        self.account().mailboxes().unwrap().into_iter().map(|mailbox| mailbox.name).collect()
    }

    /// Delivers so many messages of one body in few commits.
    fn fill(&self, mailbox: &str, count: usize) {
        self.rt.block_on(async {
            let stored = body(&self.store, b"Subject: x\r\n\r\nx").await.unwrap();
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..count {
                let mut one = delivery(stored.clone());
                one.mailbox = mailbox.to_owned();
                let account = self.account();
                tasks.spawn(async move { account.deliver(one).await.unwrap() });
            }
            assert_eq!(tasks.join_all().await.len(), count);
        });
    }
}

/// Rows of the first account whose keys begin so.
fn rows(dir: &Path, tag: &str) -> i64 {
    let db = rusqlite::Connection::open(dir.join("store.db")).unwrap();
    let count = "SELECT count(*) FROM kv WHERE account=1 AND substr(key,1,1)=?1";
    db.query_row(count, [tag.as_bytes()], |row| row.get(0)).unwrap()
}

#[test]
fn an_account_is_born_with_special_mailboxes() {
    let house = House::new(1);
    let mailboxes = house.account().mailboxes().unwrap();
    for (name, uses) in SPECIAL_MAILBOXES {
        assert!(mailboxes.iter().any(|m| m.name == name && m.uses == uses), "{name}");
    }
    assert_eq!(house.account().subscriptions().unwrap(), house.names());
    assert_eq!(house.names(), ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]);
    let directory = house.store.directory();
    let add = |address: &str, special: &[(&str, Uses)]| {
        house.rt.block_on(directory.add_account_with(record(address), credentials(), special))
    };
    let id = add("d@x.test", &[("Entwürfe", Uses::DRAFTS), ("Gesendet", Uses::SENT)]).unwrap();
    let names: Vec<_> = house.store.account(id).mailboxes().unwrap().into_iter().map(|m| m.name).collect();
    assert_eq!(names, ["Entwürfe", "Gesendet", "INBOX"]);
    for bad in [
        &[("Inbox", Uses::SENT)][..],
        &[("a/b", Uses::SENT)],
        &[("", Uses::SENT)],
        &[("a", Uses::SENT), ("b", Uses::SENT)],
        &[("a", Uses::SENT), ("a", Uses::JUNK)],
    ] {
        assert!(add("e@x.test", bad).is_err(), "{bad:?}");
    }
    clean(&house.store);
}

#[test]
fn mailboxes_are_made_with_those_above() {
    let house = House::new(1);
    let before = house.account().tree_version().unwrap();
    let id = house.create("a/b/c").unwrap();
    assert!(house.account().tree_version().unwrap() > before);
    assert_eq!(house.mailbox("a/b/c").id, id);
    assert_eq!(house.account().mailbox_by_id(id).unwrap().unwrap(), house.mailbox("a/b/c"));
    assert!(house.account().mailbox_by_id(MailboxId(99)).unwrap().is_none());
    assert!(house.account().mailbox("a/b/d").unwrap().is_none());
    assert_eq!(house.names()[..4], ["Archive", "Drafts", "INBOX", "Junk"]);
    assert_eq!(house.names()[5..], ["Trash", "a", "a/b", "a/b/c"]);
    for exists in ["a/b", "a", "inbox", "INBOX", "Sent"] {
        assert!(matches!(house.create(exists), Err(Refused::Exists)), "{exists}");
    }
    house.create("inBox/Lists").unwrap();
    assert_eq!(house.mailbox("InBoX/Lists").name, "INBOX/Lists");
    for bad in ["", "/", "x/", "/x", "x//y", "x\0", "x\n", &"x".repeat(1025), &vec!["x"; 21].join("/")] {
        assert!(matches!(house.create(bad), Err(Refused::BadName(_))), "{bad:?}");
    }
    let mut highest = 0;
    for name in ["m", "n", "o"] {
        house.create(name).unwrap();
        assert!(house.mailbox(name).uid_validity > highest);
        highest = house.mailbox(name).uid_validity;
    }
    clean(&house.store);
}

#[test]
fn a_use_has_one_holder() {
    let house = House::new(1);
    let make = |name: &str, uses| house.rt.block_on(house.account().create_mailbox(name, uses, NOW)).unwrap();
    let both = Uses(Uses::SENT.0 | Uses::JUNK.0);
    make("a", both);
    assert_eq!((house.mailbox("a").uses, house.mailbox("Sent").uses), (both, NONE));
    // Held in memory by a delivery, and not.
    house.fill("a", 1);
    make("b", Uses::SENT);
    assert_eq!((house.mailbox("a").uses, house.mailbox("b").uses), (Uses::JUNK, Uses::SENT));
    house.rename("b", "c").unwrap();
    assert_eq!(house.mailbox("c").uses, Uses::SENT);
    house.rt.block_on(house.account().delete_mailbox(house.mailbox("c").id)).unwrap();
    make("d", Uses(Uses::SENT.0 | Uses::IMPORTANT.0));
    assert_eq!(house.mailbox("d").uses, Uses(Uses::SENT.0 | Uses::IMPORTANT.0));
    clean(&house.store);
}

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
    assert_eq!(["R", "A", "O"].map(|tag| rows(house.dir.path(), tag)), [0, 0, 0]);
    assert_eq!(rows(house.dir.path(), "M"), 4);
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
    while rows(house.dir.path(), "M") > 9000 {
        assert!(std::time::Instant::now() < limit, "nothing is removed");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    house.store.close().unwrap();
    let left = rows(house.dir.path(), "M");
    assert!(left > 0 && rows(house.dir.path(), "R") == 1, "{left} rows: it was not cut short");
    let House { store, rt, ids, dir } = house;
    drop(store);
    let store = Store::open(dir.path(), small()).unwrap();
    let report = clean(&store);
    assert_eq!(report.messages, 0);
    let house = House { store, rt, ids, dir };
    house.fill("a", 2);
    while rows(house.dir.path(), "R") > 0 {
        assert!(std::time::Instant::now() < limit, "nothing is removed");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(rows(house.dir.path(), "M"), 2);
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
        assert_eq!(rows(copy.path(), "M") + rows(copy.path(), "R"), 0);
        clean(&copied);
        let left = rows(house.dir.path(), "M");
        assert!(left <= last);
        last = left;
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    house.store.sweep().unwrap();
}

#[test]
fn a_mailbox_is_renamed_with_those_below() {
    let house = House::new(1);
    for name in ["a/b/c", "a/bb", "ab", "other/b", "INBOX/x/y"] {
        house.create(name).unwrap();
    }
    house.fill("a/b", 3);
    house.rt.block_on(house.account().subscribe("a/b", true)).unwrap();
    let (a, b) = (house.mailbox("a").id, house.mailbox("a/b"));
    house.rename("a", "z/y").unwrap();
    assert_eq!(
        house.names()[6..],
        ["Sent", "Trash", "ab", "other", "other/b", "z", "z/y", "z/y/b", "z/y/b/c", "z/y/bb"]
    );
    assert_eq!((house.mailbox("z/y").id, house.mailbox("z/y/b").id), (a, b.id));
    let moved = house.mailbox("z/y/b");
    assert_eq!((moved.messages, moved.uid_validity, moved.uid_next), (3, b.uid_validity, b.uid_next));
    assert!(house.account().subscriptions().unwrap().contains(&"a/b".to_owned()));
    // Mail to the old name makes a new mailbox, mail to the new one finds the old.
    house.fill("a/b", 1);
    house.fill("z/y/b", 1);
    assert_eq!((house.mailbox("a/b").messages, house.mailbox("z/y/b").messages), (1, 4));
    let refused = |from: &str, to: &str| house.rename(from, to).unwrap_err();
    assert!(matches!(refused("z", "ab"), Refused::Exists));
    assert!(matches!(refused("z", "z"), Refused::Exists));
    assert!(matches!(refused("z", "inbox"), Refused::Exists));
    assert!(matches!(refused("z/y", "z"), Refused::Exists));
    assert!(matches!(refused("z", "z/w"), Refused::Cannot(_)));
    assert!(matches!(refused("none", "w"), Refused::NoMailbox));
    assert!(matches!(refused("ab", "w/"), Refused::BadName(_)));
    let deep = vec!["d"; 19].join("/");
    assert!(matches!(refused("z", &deep), Refused::BadName(_)), "those below would be too deep");
    // A name that is no mailbox itself; one of those below would meet another.
    house.rt.block_on(house.account().delete_mailbox(house.mailbox("other").id)).unwrap();
    house.create("q/b").unwrap();
    house.rt.block_on(house.account().delete_mailbox(house.mailbox("q").id)).unwrap();
    assert!(matches!(refused("other", "q"), Refused::Exists));
    house.rename("other", "p").unwrap();
    assert!(house.account().mailbox("p").unwrap().is_none() && house.mailbox("p/b").messages == 0);
    // Upwards over itself.
    house.create("u/u/u").unwrap();
    house.rename("u/u", "v").unwrap();
    house.rename("v", "u/v").unwrap();
    house.rename("inbox/X", "x").unwrap_err();
    house.rename("inbox/x", "x").unwrap();
    assert!(house.names().contains(&"x/y".to_owned()));
    clean(&house.store);
}

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
fn there_are_so_many_mailboxes_and_no_more() {
    let house = House::new(1);
    house.rt.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..9_991 {
            let account = house.account();
            let name = if n < 5000 { format!("m/{n}") } else { format!("m{n}") };
            tasks.spawn(async move { account.create_mailbox(&name, NONE, NOW).await.unwrap() });
        }
        tasks.join_all().await;
    });
    // Half of them are renamed in one commit.
    house.rename("m", "q").unwrap();
    let names = house.names();
    assert_eq!(names.iter().filter(|name| name.starts_with("q/")).count(), 5000);
    assert!(names.iter().all(|name| *name != "m" && !name.starts_with("m/")));
    assert!(matches!(house.create("a/b/c"), Err(Refused::Limit(_))));
    house.create("a/b").unwrap();
    assert!(matches!(house.create("c"), Err(Refused::Limit(_))));
    let refused = house.rt.block_on(async {
        let mut one = delivery(body(&house.store, b"x").await.unwrap());
        one.mailbox = "c".to_owned();
        house.account().deliver(one).await.unwrap_err()
    });
    assert!(matches!(refused, Refused::Limit(_)));
    house.rt.block_on(house.account().delete_mailbox(house.mailbox("a").id)).unwrap();
    house.create("c").unwrap();
    assert_eq!(house.names().len(), 10_000);
    assert!(matches!(house.rename("a", "d/e"), Err(Refused::Limit(_))), "the level above is one too many");
    house.rename("a", "d").unwrap();
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
    assert_eq!(rows(house.dir.path(), "M"), kept);
}

/// Damage of each kind is found.
#[test]
fn the_check_finds_damage_of_names() {
    let spoil = |sql: &str, expected: &str| {
        let house = House::new(2);
        house.rt.block_on(async {
            let account = house.account();
            let id = account.create_mailbox("a", Uses::IMPORTANT, NOW).await.unwrap();
            account.set_acl(id, "user1@x.test", Rights::ALL).await.unwrap();
            let note = vec![("/shared/comment".to_owned(), Some(b"x".to_vec()))];
            account.set_notes(Some(id), house.ids[0], note).await.unwrap();
        });
        clean(&house.store);
        house.store.close().unwrap();
        let db = rusqlite::Connection::open(house.dir.path().join("store.db")).unwrap();
        assert!(db.execute(sql, []).unwrap() > 0, "{sql} changed nothing");
        let store = Store::open(house.dir.path(), Options::default()).unwrap();
        let report = store.check(&mut |_, _| ()).unwrap();
        assert!(report.faults.iter().any(|f| f.contains(expected)), "{expected:?} in {:?}", report.faults);
    };
    spoil("DELETE FROM kv WHERE account=0 AND substr(key,1,1)=x'68'", "cannot find them");
    spoil("DELETE FROM kv WHERE account=1 AND key=CAST('SSent' AS BLOB)", "number of subscriptions");
    spoil("DELETE FROM kv WHERE account=1 AND key=CAST('Da' AS BLOB)", "its name does not lead to it");
    spoil("DELETE FROM kv WHERE account=1 AND key=x'4300000007'", "number of mailboxes");
    spoil("UPDATE kv SET key=x'4100000063' WHERE account=1 AND key=x'4100000007'", "which does not exist");
    spoil("UPDATE kv SET value=x'0100' WHERE account=1 AND substr(key,1,1)=x'41'", "the rights in mailbox 7");
    spoil("INSERT INTO kv VALUES(1,x'5200000007',x'0100')", "it was not deleted");
    spoil(
        "UPDATE kv SET key=x'4f0000006300000000000000002f7368617265642f61' WHERE account=1 AND substr(key,1,1)=x'4f'",
        "notes on mailbox 99",
    );
}

/// Messages of INBOX move to a new mailbox; INBOX, what is below it, and mail that comes meanwhile stay.
#[test]
fn renaming_the_inbox_moves_its_messages() {
    let house = House::new(1);
    house.create("INBOX/x").unwrap();
    house.fill("INBOX", 10_500);
    house.fill("Sent", 1);
    let (inbox, version) = (house.mailbox("INBOX"), house.account().tree_version().unwrap());
    house.rename("inbox", "old/mail").unwrap();
    let (after, moved) = (house.mailbox("INBOX"), house.mailbox("old/mail"));
    assert_eq!(
        (after.id, after.uid_validity, after.uid_next),
        (inbox.id, inbox.uid_validity, inbox.uid_next)
    );
    assert_eq!((after.messages, moved.messages, moved.bytes), (0, 10_500, inbox.bytes));
    assert!(house.account().tree_version().unwrap() > version);
    house.mailbox("INBOX/x");
    assert!(matches!(house.rename("INBOX", "Sent"), Err(Refused::Exists)));
    // Nothing in it: the mailbox is made all the same.
    house.rename("INBOX", "INBOX/y").unwrap();
    assert_eq!(house.mailbox("INBOX/y").messages, 0);
    clean(&house.store);
}

/// Who has a mailbox open learns its new name, that it is gone, and that something beside it has changed.
#[test]
fn open_mailboxes_learn_what_happens_to_them() {
    let house = House::new(1);
    let account = house.account();
    house.fill("a/b", 3);
    house.fill("c", 2);
    house.rt.block_on(async {
        for (name, other, count) in [("a/b", "x/b", 3), ("c", "d", 2)] {
            let id = account.mailbox(name).unwrap().unwrap().id;
            let view = account.open(id).await.unwrap().unwrap();
            // More mailboxes than are kept warm, so that the lane no longer holds this one.
            for n in 0..70 {
                account.create_mailbox(&format!("f{count}n{n}"), NONE, NOW).await.unwrap();
            }
            let mut watch = account.watch();
            watch.seen();
            account.set_acl(id, "user9@x.test", Rights::ALL).await.unwrap();
            watch.changed().await;
            assert!(Arc::ptr_eq(&account.current(id).unwrap(), &view), "rights do not show in it");
            let (from, to) = (name.split('/').next().unwrap(), other.split('/').next().unwrap());
            account.rename_mailbox(from, to, NOW).await.unwrap();
            watch.changed().await;
            let renamed = account.current(id).expect("it is still open");
            assert_eq!((renamed.mailbox.name.as_str(), renamed.len()), (other, count));
            assert_eq!(renamed.mailbox, account.mailbox(other).unwrap().unwrap());
            // The view of a mailbox that was read anew is the same.
            account.subscribe(other, true).await.unwrap();
            watch.changed().await;
            account.delete_mailbox(id).await.unwrap();
            watch.changed().await;
            assert!(account.current(id).is_none() && account.open(id).await.unwrap().is_none());
            assert_eq!(view.len(), count, "an old view stays as it was");
        }
    });
    clean(&house.store);
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
    while rows(house.dir.path(), "M") > 21 * 12 || rows(house.dir.path(), "N") > 0 {
        assert!(std::time::Instant::now() < limit, "graves are not swept");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(clean(&house.store).messages, 21 * 12);
}
