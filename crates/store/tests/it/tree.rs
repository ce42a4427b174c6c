//! Mailboxes by name: made, removed, renamed; subscriptions, notes, rights; and what happens to mail that comes meanwhile.

mod beside;
mod removal;
mod together;

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

    /// The same as [`rows`], with all that was committed.
    fn rows(&self, tag: &str) -> i64 {
        self.store.settle().unwrap();
        rows(self.dir.path(), tag)
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

/// Rows of the first account in the database whose keys begin so.
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
