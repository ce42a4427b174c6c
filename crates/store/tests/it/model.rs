//! Random operations on a store and on maps, with restarts in between: both must always agree.

use crate::help::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use store::Store;

#[derive(Clone, Debug)]
enum Step {
    Deliver { mailbox: usize, size: usize },
    Burst { mailbox: usize, count: usize },
    Expunge { mailbox: usize, from: u32, count: u32, every: usize },
    Restart,
    Check,
}

const MAILBOXES: [&str; 3] = ["INBOX", "Sent", "Lists/a"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3usize, 0..200_000usize).prop_map(|(mailbox, size)| Step::Deliver { mailbox, size }),
        3 => (0..3usize, 1..400usize).prop_map(|(mailbox, count)| Step::Burst { mailbox, count }),
        4 => (0..3usize, 1..900u32, 1..500u32, 1..4usize)
            .prop_map(|(mailbox, from, count, every)| Step::Expunge { mailbox, from, count, every }),
        1 => Just(Step::Restart),
        1 => Just(Step::Check),
    ]
}

/// UID to size, by mailbox; and the next UID.
type Model = [(BTreeMap<u32, u64>, u32); 3];

fn compare(store: &Store, id: proto::proof::AccountId, model: &Model) {
    let account = store.account(id);
    let mut bytes = 0;
    for (name, (messages, next)) in MAILBOXES.iter().zip(model) {
        let view = account.view(name).unwrap();
        let Some(view) = view else {
            assert_eq!(*next, 1, "{name} is missing");
            continue;
        };
        let found: BTreeMap<u32, u64> = view.messages().iter().map(|m| (m.uid, m.size)).collect();
        assert_eq!((&found, view.mailbox.uid_next), (messages, *next), "{name}");
        assert_eq!(found.len(), view.messages().len());
        bytes += messages.values().sum::<u64>();
    }
    assert_eq!(account.usage().unwrap().bytes, bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..ProptestConfig::default() })]
    #[test]
    fn the_store_does_what_maps_do(steps in prop::collection::vec(step(), 1..25)) {
        let dir = tempfile::tempdir().unwrap();
        let rt = runtime();
        let mut store = Store::open(dir.path(), small()).unwrap();
        let id = rt.block_on(people(&store, 1))[0];
        let mut model: Model = [(BTreeMap::new(), 1), (BTreeMap::new(), 1), (BTreeMap::new(), 1)];
        for step in steps {
            match step {
                Step::Deliver { mailbox, size } => rt.block_on(async {
                    let mut one = delivery(body(&store, &text(7, size)).await.unwrap());
                    one.mailbox = MAILBOXES[mailbox].to_owned();
                    let size = one.body.len + one.prefix.len() as u64;
                    let uid = store.account(id).deliver(one).await.unwrap().uid;
                    let (messages, next) = &mut model[mailbox];
                    assert_eq!(uid, *next);
                    messages.insert(uid, size);
                    *next += 1;
                }),
                Step::Burst { mailbox, count } => rt.block_on(async {
                    let mut one = delivery(body(&store, b"burst").await.unwrap());
                    one.mailbox = MAILBOXES[mailbox].to_owned();
                    let size = one.body.len + one.prefix.len() as u64;
                    let tasks: Vec<_> = (0..count).map(|_| {
                        let (account, one) = (store.account(id), one.clone());
                        tokio::spawn(async move { account.deliver(one).await.unwrap().uid })
                    }).collect();
                    for task in tasks {
                        let (messages, next) = &mut model[mailbox];
                        assert!(messages.insert(task.await.unwrap(), size).is_none());
                        *next += 1;
                    }
                }),
                Step::Expunge { mailbox, from, count, every } => {
                    let Some(view) = store.account(id).view(MAILBOXES[mailbox]).unwrap() else { continue };
                    let uids: Vec<u32> = (from..from + count).step_by(every).collect();
                    rt.block_on(store.account(id).expunge(view.mailbox.id, &uids)).unwrap();
                    model[mailbox].0.retain(|uid, _| !uids.contains(uid));
                }
                Step::Restart => {
                    store.close().unwrap();
                    store = Store::open(dir.path(), small()).unwrap();
                }
                Step::Check => drop(clean(&store)),
            }
            compare(&store, id, &model);
        }
        clean(&store);
        store.close().unwrap();
        let store = Store::open(dir.path(), small()).unwrap();
        compare(&store, id, &model);
    }
}
