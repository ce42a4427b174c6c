//! Limits and refusals of changes to messages: keywords, quotas, what is all or none, what is swept.

use crate::help::*;
use std::time::{Duration, Instant};
use store::account::{
    Account, Copying, Delivery, FlagChange, Flags, How, MailboxId, MessageRow, Refused, View,
};
use store::blob::BodyRef;
use store::{Options, Store};

struct House {
    dir: tempfile::TempDir,
    rt: tokio::runtime::Runtime,
    store: Store,
    account: Account,
    inbox: MailboxId,
    body: BodyRef,
}

impl House {
    fn new() -> House {
        let (dir, rt) = (tempfile::tempdir().unwrap(), runtime());
        let store = Store::open(dir.path(), small()).unwrap();
        let account = store.account(rt.block_on(people(&store, 1))[0]);
        let inbox = account.view("INBOX").unwrap().unwrap().mailbox.id;
        let body = rt.block_on(body(&store, b"a body")).unwrap();
        House { dir, rt, store, account, inbox, body }
    }

    fn message(&self) -> Delivery {
        delivery(self.body.clone())
    }

    fn append(&self, count: usize) {
        self.rt.block_on(self.account.append(vec![self.message(); count], None)).unwrap();
    }

    fn id(&self, name: &str) -> MailboxId {
        self.account.view(name).unwrap().unwrap().mailbox.id
    }

    fn view(&self) -> std::sync::Arc<View> {
        self.account.view("INBOX").unwrap().unwrap()
    }

    fn flag(&self, uids: &[(u32, u32)], how: How, keywords: &[&str]) -> Result<u64, Refused> {
        let change = FlagChange {
            mailbox: self.inbox,
            uids: uids.to_vec(),
            how,
            flags: Flags::default(),
            keywords: keywords.iter().map(|k| (*k).to_owned()).collect(),
            unchanged_since: None,
        };
        self.rt.block_on(self.account.change_flags(change)).map(|done| done.modseq)
    }

    fn quota(&self, bytes: Option<u64>, messages: Option<u64>) {
        let directory = self.store.directory();
        let mut record = directory.accounts(None).unwrap().remove(0);
        (record.quota_bytes, record.quota_messages) = (bytes, messages);
        self.rt.block_on(directory.change_account(record)).unwrap();
    }

    fn copy(&self, uids: (u32, u32), to: MailboxId, remove: bool) -> Result<Vec<(u32, u32)>, Refused> {
        let copying = Copying { from: self.inbox, uids: vec![uids], to, remove, saved: 5 };
        self.rt.block_on(self.account.copy(copying)).map(|done| done.uids)
    }
}

#[test]
fn keywords_are_made_up_to_the_limit_and_unused_ones_make_room() {
    let house = House::new();
    house.append(2);
    let names: Vec<String> = (0..56).map(|n| format!("Key{n}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    house.flag(&[(1, 1)], How::Add, &all).unwrap();
    assert_eq!(*house.view().mailbox.keywords, *names);
    assert!(matches!(house.flag(&[(2, 2)], How::Add, &["one more"]), Err(Refused::Limit(_))));
    let long = "x".repeat(65);
    assert!(matches!(house.flag(&[(2, 2)], How::Add, &[&long]), Err(Refused::Limit(_))));
    assert!(matches!(house.flag(&[(2, 2)], How::Add, &[""]), Err(Refused::Limit(_))));
    // Letter case does not make another keyword, and what no message is given is not made.
    house.flag(&[(2, 2)], How::Add, &["KEY7"]).unwrap();
    assert_eq!(house.flag(&[(9, 9)], How::Remove, &["unknown"]).unwrap(), 0);
    let old = house.view();
    // Message 2 keeps the bit of the eighth; all others become free.
    house.flag(&[(1, 1)], How::Replace, &["key0"]).unwrap();
    house.flag(&[(1, 2)], How::Add, &["fresh"]).unwrap();
    let new = house.view();
    let words = |view: &View, uid: u32| -> Vec<String> {
        let flags = view.row(uid).unwrap().flags.0 >> Flags::KEYWORD_FIRST;
        (0..56).filter(|n| flags >> n & 1 == 1).map(|n| view.mailbox.keywords[n].clone()).collect()
    };
    assert_eq!(
        (words(&new, 1), words(&new, 2)),
        (vec!["Key0".to_owned(), "fresh".to_owned()], vec!["fresh".to_owned(), "Key7".to_owned()],)
    );
    assert_eq!(words(&old, 1).len(), 56, "an older view knows its own names");
    let row = new.row(1).unwrap();
    let diff = old.diff(&new);
    assert_eq!(diff.changed, [1, 2]);
    assert!(row.modseq > old.row(1).unwrap().modseq);
    // A delivery drops what there is no room for, and a copy too.
    house.flag(&[(1, 1)], How::Replace, &all[1..6]).unwrap();
    house.copy((1, 1), house.id("Sent"), false).unwrap();
    assert_eq!(house.account.view("Sent").unwrap().unwrap().mailbox.keywords.len(), 5);
    clean(&house.store);
}

#[test]
fn many_are_put_in_all_or_none() {
    let house = House::new();
    house.append(3);
    let account = &house.account;
    let size = house.view().row(1).unwrap().size;
    let put = |messages: Vec<Delivery>, replaces| house.rt.block_on(account.append(messages, replaces));
    house.quota(None, Some(5));
    assert!(matches!(put(vec![house.message(); 3], None), Err(Refused::OverQuota)));
    assert_eq!(house.view().len(), 3);
    // What is replaced makes room.
    let made = put(vec![house.message(); 3], Some((house.inbox, 2))).unwrap();
    assert_eq!(made.iter().map(|one| one.uid).collect::<Vec<_>>(), [4, 5, 6]);
    assert_eq!(account.usage().unwrap().messages, 5);
    assert!(matches!(put(vec![house.message()], None), Err(Refused::OverQuota)));
    assert!(matches!(put(vec![house.message()], Some((house.inbox, 2))), Err(Refused::Cannot(_))));
    assert!(matches!(put(vec![house.message()], Some((MailboxId(99), 1))), Err(Refused::NoMailbox)));
    house.quota(Some(size * 5), None);
    assert!(matches!(put(vec![house.message()], None), Err(Refused::OverQuota)));
    put(vec![house.message()], Some((house.inbox, 4))).unwrap();
    house.quota(None, None);
    let elsewhere = Delivery { mailbox: "nowhere".to_owned(), ..house.message() };
    assert!(matches!(put(vec![house.message(), elsewhere], None), Err(Refused::NoMailbox)));
    let view = house.view();
    assert_eq!(view.messages().iter().map(|m| m.uid).collect::<Vec<_>>(), [1, 3, 5, 6, 7]);
    assert_eq!((view.mailbox.uid_next, view.mailbox.modseq), (8, view.row(5).unwrap().modseq));
    assert!(account.view("nowhere").unwrap().is_none());
    assert_eq!(put(Vec::new(), None).unwrap(), []);
    clean(&house.store);
}

#[test]
fn copies_count_and_moves_do_not() {
    let house = House::new();
    house.append(4);
    house.flag(&[(2, 3)], How::Add, &["kept"]).unwrap();
    let archive = house.id("Archive");
    house.quota(None, Some(5));
    assert!(matches!(house.copy((1, 2), archive, false), Err(Refused::OverQuota)));
    assert_eq!(house.copy((2, 3), archive, true).unwrap(), [(2, 1), (3, 2)]);
    assert_eq!(house.copy((9, 99), archive, false).unwrap(), []);
    assert!(matches!(house.copy((1, 1), MailboxId(77), false), Err(Refused::NoMailbox)));
    // To itself: new UIDs, the old ones vanish.
    let before = house.view();
    assert_eq!(house.copy((1, 4), house.inbox, true).unwrap(), [(1, 5), (4, 6)]);
    let diff = before.diff(&house.view());
    assert_eq!((diff.vanished, diff.added), (vec![(1, 1), (4, 2)], 2));
    let moved = house.account.view("Archive").unwrap().unwrap();
    let MessageRow { received, flags, .. } = moved.row(1).unwrap();
    assert_eq!(
        (received, flags.0 >> Flags::KEYWORD_FIRST, &moved.mailbox.keywords[0][..]),
        (1_700_000_000, 1, "kept",)
    );
    assert_eq!(house.account.detail(archive, 1).unwrap().unwrap().saved, 5);
    assert_eq!(house.account.usage().unwrap().messages, 4);
    clean(&house.store);
}

/// What is said of many messages in one row agrees with what is said of single ones before, after and in the same commit.
#[test]
fn changes_of_many_and_of_few_are_found_again() {
    let mut house = House::new();
    house.append(700);
    let spans: [(u32, u32); 7] = [(1, 700), (3, 3), (100, 650), (90, 110), (1, 80), (640, 700), (299, 301)];
    for round in 0..30u32 {
        let change = |n: u32| FlagChange {
            mailbox: house.inbox,
            uids: vec![spans[(n * 5 + round) as usize % spans.len()]],
            how: [How::Add, How::Remove, How::Add, How::Replace][(n + round) as usize % 4],
            flags: Flags([Flags::SEEN, Flags::FLAGGED, Flags::DELETED][n as usize % 3].0),
            keywords: if round % 5 == 4 { vec!["$Junk".to_owned()] } else { Vec::new() },
            unchanged_since: None,
        };
        // While the first is being committed the others wait, and become one commit.
        let begin = |change| {
            let account = house.account.clone();
            house.rt.spawn(async move { account.change_flags(change).await.unwrap() })
        };
        let together: Vec<_> = (0..4).map(|n| begin(change(n))).collect();
        for done in together {
            house.rt.block_on(done).unwrap();
        }
        if round % 3 == 0 {
            house.append(1);
        }
        if round % 7 == 6 {
            house.rt.block_on(house.account.expunge(house.inbox, &[round, round + 300])).unwrap();
        }
        let (messages, mailbox) = (house.view().messages(), house.view().mailbox.clone());
        house.store.close().unwrap();
        house.store = Store::open(house.dir.path(), small()).unwrap();
        house.account = house.store.account(house.account.id());
        assert_eq!(house.view().messages(), messages, "round {round}");
        assert_eq!(house.view().mailbox, mailbox);
        clean(&house.store);
    }
}

#[test]
fn details_of_many_that_were_removed_are_swept_later() {
    let house = House::new();
    house.append(1500);
    let uids: Vec<u32> = (1..=1500).filter(|uid| uid % 2 == 0).collect();
    house.rt.block_on(house.account.expunge(house.inbox, &uids)).unwrap();
    house.copy((1, 1000), house.id("Archive"), true).unwrap();
    let view = house.view();
    assert_eq!((view.len(), view.uid(1)), (250, Some(1001)));
    // At any moment of the sweep the store is consistent.
    clean(&house.store);
    let gone: Vec<u32> = (1..=1500).filter(|uid| view.seq(*uid).is_none()).collect();
    let began = Instant::now();
    while !house.rt.block_on(house.account.details(house.inbox, gone.clone())).unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30));
        clean(&house.store);
    }
    let left: Vec<u32> = view.messages().iter().map(|m| m.uid).collect();
    let details = house.rt.block_on(house.account.details(house.inbox, left.clone())).unwrap();
    assert_eq!(details.len(), 250);
    assert_eq!(details.iter().map(|d| d.unwrap().uid).collect::<Vec<_>>(), left);
    assert_eq!(details.get(1001).unwrap().unwrap().body, house.body);
    assert!(details.get(1).is_none());
    assert_eq!(house.account.view("Archive").unwrap().unwrap().len(), 500);
    clean(&house.store);
}

#[test]
fn what_the_change_log_does_not_reach_is_answered_with_all_that_is_missing() {
    let house = House::new();
    house.append(10);
    house.rt.block_on(house.account.expunge(house.inbox, &[2, 3])).unwrap();
    let since = house.view().mailbox.modseq;
    house.rt.block_on(house.account.expunge(house.inbox, &[5, 9, 10])).unwrap();
    let vanished = |store: &Store, since, known: Option<&[(u32, u32)]>| {
        let account = store.account(store.directory().accounts(None).unwrap()[0].id);
        let view = account.view("INBOX").unwrap().unwrap();
        account.vanished(&view, since, known).unwrap()
    };
    assert_eq!(vanished(&house.store, since, None), [(5, 5), (9, 10)]);
    assert_eq!(vanished(&house.store, 0, None), [(2, 3), (5, 5), (9, 10)]);
    assert_eq!(vanished(&house.store, since, Some(&[(1, 5)])), [(5, 5)]);
    assert_eq!(vanished(&house.store, u64::MAX, None), []);
    house.store.close().unwrap();
    let db = rusqlite::Connection::open(house.dir.path().join("store.db")).unwrap();
    // The head says that the log begins later: that number has one octet, as the nine behind it have.
    let later = "UPDATE kv SET value=CAST(substr(value,1,length(value)-10)||x'7f'||substr(value,-9) AS BLOB)
                 WHERE account=1 AND key=x'42'";
    assert_eq!(db.execute(later, []).unwrap(), 1);
    drop(db);
    let store = Store::open(house.dir.path(), Options::default()).unwrap();
    assert_eq!(vanished(&store, since, None), [(2, 3), (5, 5), (9, 10)]);
    assert_eq!(vanished(&store, since, Some(&[(3, 7)])), [(3, 3), (5, 5)]);
}
