//! Operations that are begun together share a commit: each of them finds what those before it have done.
//!
//! Each test begins with a store that was just opened, so that no mailbox is held in memory and rows have to be read, and is
//! repeated, because which operations meet in one commit is a matter of time.

use super::*;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use store::account::{Copied, Copying, FlagChange, Flags, How};

const ROUNDS: u32 = 12;

/// Puts an operation into the account's lane, where operations are applied in this order.
async fn begin<'f, T: 'f>(operation: impl Future<Output = T> + 'f) -> Pin<Box<dyn Future<Output = T> + 'f>> {
    let mut operation = Box::pin(operation);
    let mut early = None;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = operation.as_mut().poll(cx) {
            early = Some(result);
        }
        Poll::Ready(())
    })
    .await;
    match early {
        Some(result) => Box::pin(std::future::ready(result)),
        None => operation,
    }
}

/// Something that keeps the lane busy, while what is begun behind it gathers for one commit.
async fn busy(account: &Account, round: u32) -> impl Future<Output = Result<(), Refused>> {
    let account = account.clone();
    begin(async move { account.subscribe("busy", round.is_multiple_of(2)).await }).await
}

impl House {
    fn reopened(self) -> House {
        let House { store, rt, ids, dir } = self;
        store.close().unwrap();
        let store = Store::open(dir.path(), small()).unwrap();
        House { store, rt, ids, dir }
    }
}

#[test]
fn a_use_that_was_taken_away_stays_away() {
    let mut house = House::new(1);
    house.create("c").unwrap();
    house.rt.block_on(house.account().create_mailbox("holder 0", Uses::DRAFTS, NOW)).unwrap();
    for round in 0..ROUNDS {
        house = house.reopened();
        let (last, next) = (format!("holder {round}"), format!("holder {}", round + 1));
        let account = house.account();
        let (made, delivered) = house.rt.block_on(async {
            let mut one = delivery(body(&house.store, b"x").await.unwrap());
            one.mailbox.clone_from(&last);
            let first = busy(&account, round).await;
            let create = begin(account.create_mailbox(&next, Uses::DRAFTS, NOW)).await;
            let deliver = begin(account.deliver(one)).await;
            first.await.unwrap();
            (create.await, deliver.await)
        });
        made.unwrap();
        delivered.unwrap();
        let (last, next) = (house.mailbox(&last), house.mailbox(&next));
        assert_eq!((last.uses, last.messages, next.uses), (Uses(0), 1, Uses::DRAFTS), "round {round}");
        let view = house.account().view(&last.name).unwrap().unwrap();
        assert_eq!((view.len(), view.mailbox.uses), (1, Uses(0)));
        clean(&house.store);
    }
}

#[test]
fn a_name_that_was_given_stays() {
    let mut house = House::new(1);
    house.fill("name 0", 3);
    for round in 0..ROUNDS {
        house = house.reopened();
        let (old, new) = (format!("name {round}"), format!("name {}", round + 1));
        let (account, id) = (house.account(), house.mailbox(&old).id);
        let change = FlagChange {
            mailbox: id,
            uids: vec![(1, 2)],
            how: if round.is_multiple_of(2) { How::Add } else { How::Remove },
            flags: Flags::SEEN,
            keywords: Vec::new(),
            unchanged_since: None,
        };
        // A view in memory, which the commit has to move.
        assert_eq!(house.rt.block_on(account.open(id)).unwrap().unwrap().len(), 3);
        let (renamed, changed) = house.rt.block_on(async {
            let first = busy(&account, round).await;
            let rename = begin(account.rename_mailbox(&old, &new, NOW)).await;
            let change = begin(account.change_flags(change)).await;
            first.await.unwrap();
            (rename.await, change.await)
        });
        renamed.unwrap();
        assert_ne!(changed.unwrap().modseq, 0);
        assert_eq!(house.account().mailbox(&old).unwrap(), None);
        assert_eq!(house.mailbox(&new).id, id);
        let view = house.rt.block_on(account.open(id)).unwrap().unwrap();
        let unseen = if round.is_multiple_of(2) { 1 } else { 3 };
        assert_eq!(
            (view.mailbox.name.as_str(), view.mailbox.unseen),
            (new.as_str(), unseen),
            "round {round}"
        );
        clean(&house.store);
    }
}

#[test]
fn nothing_goes_into_a_mailbox_that_is_deleted() {
    let mut house = House::new(1);
    house.fill("source", 2);
    for round in 0..ROUNDS {
        house = house.reopened();
        house.create("target").unwrap();
        house = house.reopened();
        let (account, source, target) = (house.account(), house.mailbox("source"), house.mailbox("target"));
        let copying =
            |remove| Copying { from: source.id, uids: vec![(1, 9)], to: target.id, remove, saved: NOW };
        let change = FlagChange {
            mailbox: target.id,
            uids: vec![(1, 9)],
            how: How::Add,
            flags: Flags::SEEN,
            keywords: Vec::new(),
            unchanged_since: None,
        };
        house.rt.block_on(async {
            let first = busy(&account, round).await;
            let delete = begin(account.delete_mailbox(target.id)).await;
            let moving = begin(account.copy(copying(true))).await;
            let copy = begin(account.copy(copying(false))).await;
            let change = begin(account.change_flags(change)).await;
            let expunge = begin(account.expunge(target.id, &[1])).await;
            first.await.unwrap();
            delete.await.unwrap();
            let refused = |result: Result<Copied, Refused>| {
                assert!(matches!(result, Err(Refused::NoMailbox)), "round {round}: {result:?}");
            };
            refused(moving.await);
            refused(copy.await);
            assert!(matches!(change.await, Err(Refused::NoMailbox)), "round {round}");
            assert!(matches!(expunge.await, Err(Refused::NoMailbox)), "round {round}");
        });
        assert_eq!(house.account().usage().unwrap().messages, 2);
        assert_eq!(house.account().view("source").unwrap().unwrap().len(), 2, "round {round}");
        assert!(house.account().mailbox_by_id(target.id).unwrap().is_none());
        clean(&house.store);
    }
}
