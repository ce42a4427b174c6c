//! Random changes of names on a store and on a map, several in one commit, with restarts in between.

use crate::help::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use store::Store;
use store::account::{Account, MailboxId, Refused, Uses};

const NOW: i64 = 1_700_000_000;

#[derive(Clone, Debug)]
enum Step {
    Create(String, u8),
    Delete(String),
    Rename(String, String),
    Subscribe(String, bool),
    Deliver(String),
}

#[derive(Clone, Debug)]
enum Round {
    /// Handed over together, so that most of it becomes one commit.
    Steps(Vec<Step>),
    Restart,
    Sweep,
}

fn name() -> impl Strategy<Value = String> {
    // Few words, so that names meet each other.
    let level = prop_oneof![8 => "[abc]", 1 => Just("INBOX".to_owned()), 1 => Just("inbox".to_owned()), 1 => Just(String::new())];
    prop::collection::vec(level, 1..4).prop_map(|levels| levels.join("/"))
}

fn round() -> impl Strategy<Value = Round> {
    let step = prop_oneof![
        4 => (name(), 0..64u8).prop_map(|(name, uses)| Step::Create(name, if uses < 32 { 0 } else { uses & 31 })),
        3 => name().prop_map(Step::Delete),
        4 => (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (name(), any::<bool>()).prop_map(|(name, on)| Step::Subscribe(name, on)),
        3 => name().prop_map(Step::Deliver),
    ];
    prop_oneof![
        12 => prop::collection::vec(step, 1..8).prop_map(Round::Steps),
        1 => Just(Round::Restart),
        1 => Just(Round::Sweep),
    ]
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Box_ {
    messages: u32,
    uses: u8,
}

#[derive(Clone, Debug, Default)]
struct Model {
    boxes: BTreeMap<String, Box_>,
    subscribed: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Done,
    Exists,
    Missing,
    Cannot,
    BadName,
}

fn canonical(name: &str) -> String {
    let mut levels: Vec<&str> = name.split('/').collect();
    if levels[0].eq_ignore_ascii_case("inbox") {
        levels[0] = "INBOX";
    }
    levels.join("/")
}

impl Model {
    fn apply(&mut self, step: &Step) -> Verdict {
        match step {
            Step::Create(name, uses) => self.create(&canonical(name), *uses),
            Step::Delete(name) => match canonical(name).as_str() {
                "INBOX" => Verdict::Cannot,
                name => self.boxes.remove(name).map_or(Verdict::Missing, |_| Verdict::Done),
            },
            Step::Rename(from, to) => self.rename(&canonical(from), &canonical(to)),
            Step::Subscribe(name, on) => {
                let name = canonical(name);
                if self.subscribed.contains(&name) == *on {
                    return Verdict::Done;
                }
                if *on && name.split('/').any(str::is_empty) {
                    return Verdict::BadName;
                }
                if *on {
                    self.subscribed.insert(name)
                } else {
                    self.subscribed.remove(&name)
                };
                Verdict::Done
            }
            Step::Deliver(name) => {
                let name = canonical(name);
                let verdict = match self.boxes.contains_key(&name) {
                    true => Verdict::Done,
                    false => self.create(&name, 0),
                };
                if let Some(mailbox) = self.boxes.get_mut(&name) {
                    mailbox.messages += 1;
                }
                verdict
            }
        }
    }

    fn create(&mut self, name: &str, uses: u8) -> Verdict {
        if name.split('/').any(str::is_empty) {
            return Verdict::BadName;
        }
        if self.boxes.contains_key(name) {
            return Verdict::Exists;
        }
        self.above(name);
        self.boxes.values_mut().for_each(|other| other.uses &= !uses);
        self.boxes.insert(name.to_owned(), Box_ { messages: 0, uses });
        Verdict::Done
    }

    fn above(&mut self, name: &str) {
        for (at, _) in name.match_indices('/') {
            self.boxes.entry(name[..at].to_owned()).or_default();
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Verdict {
        if to.split('/').any(str::is_empty) {
            return Verdict::BadName;
        }
        if to.starts_with(&format!("{from}/")) {
            return Verdict::Cannot;
        }
        let is_moved = |name: &str| name == from || name.starts_with(&format!("{from}/"));
        let (moved, mut left): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.boxes.clone().into_iter().partition(|(name, _)| is_moved(name));
        if moved.is_empty() {
            return Verdict::Missing;
        }
        if from == to || left.contains_key(to) {
            return Verdict::Exists;
        }
        for (name, mailbox) in moved {
            if left.insert(format!("{to}{}", &name[from.len()..]), mailbox).is_some() {
                return Verdict::Exists;
            }
        }
        self.boxes = left;
        self.above(to);
        Verdict::Done
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>>;

/// Ids of mailboxes are looked up before the round, as a session would: `None` is no mailbox.
fn begin(account: Account, stored: store::blob::BodyRef, step: Step, id: Option<MailboxId>) -> Answer {
    Box::pin(async move {
        match step {
            Step::Create(name, uses) => account.create_mailbox(&name, Uses(uses), NOW).await.map(drop),
            Step::Delete(_) => match id {
                Some(id) => account.delete_mailbox(id).await,
                None => Err(Refused::NoMailbox),
            },
            Step::Rename(from, to) => account.rename_mailbox(&from, &to, NOW).await,
            Step::Subscribe(name, on) => account.subscribe(&name, on).await,
            Step::Deliver(name) => {
                let mut one = delivery(stored);
                one.mailbox = name;
                account.deliver(one).await.map(drop)
            }
        }
    })
}

fn verdict(result: Result<(), Refused>) -> Verdict {
    match result {
        Ok(()) => Verdict::Done,
        Err(Refused::Exists) => Verdict::Exists,
        Err(Refused::NoMailbox) => Verdict::Missing,
        Err(Refused::Cannot(_)) => Verdict::Cannot,
        Err(Refused::BadName(_)) => Verdict::BadName,
        Err(other) => panic!("{other}"),
    }
}

/// INBOX is renamed by moving messages, which is tested elsewhere. A deletion by id stands alone: in
/// a round with others, the name might mean another mailbox by then.
fn suits(steps: &[Step]) -> bool {
    let is_inbox = |step: &Step| matches!(step, Step::Rename(from, _) if canonical(from) == "INBOX");
    !steps.iter().any(is_inbox)
}

async fn together(account: &Account, stored: &store::blob::BodyRef, steps: &[Step]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut begun: Vec<Answer> = Vec::new();
    for step in steps {
        let id = match step {
            Step::Delete(name) => {
                // What was begun has to be over before a name can be looked up.
                for answer in begun.drain(..) {
                    verdicts.push(verdict(answer.await));
                }
                account.mailbox(name).unwrap().map(|mailbox| mailbox.id)
            }
            _ => None,
        };
        let mut answer = begin(account.clone(), stored.clone(), step.clone(), id);
        // Polled once it is in the lane; operations are applied in that order.
        let ready = std::future::poll_fn(|cx| std::task::Poll::Ready(answer.as_mut().poll(cx))).await;
        match ready {
            std::task::Poll::Ready(result) => {
                for answer in begun.drain(..) {
                    verdicts.push(verdict(answer.await));
                }
                verdicts.push(verdict(result));
            }
            std::task::Poll::Pending => begun.push(answer),
        }
    }
    for answer in begun {
        verdicts.push(verdict(answer.await));
    }
    verdicts
}

fn compare(store: &Store, account: &Account, model: &Model) {
    let found: BTreeMap<String, Box_> = account
        .mailboxes()
        .unwrap()
        .into_iter()
        .map(|m| (m.name, Box_ { messages: m.messages, uses: m.uses.0 }))
        .collect();
    assert_eq!(found, model.boxes);
    for (name, expected) in &model.boxes {
        assert_eq!(account.view(name).unwrap().unwrap().len(), expected.messages, "{name}");
    }
    assert_eq!(account.subscriptions().unwrap(), model.subscribed.iter().cloned().collect::<Vec<_>>());
    let messages: u32 = model.boxes.values().map(|mailbox| mailbox.messages).sum();
    assert_eq!(account.usage().unwrap().messages, u64::from(messages));
    clean(store);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 300, ..ProptestConfig::default() })]
    #[test]
    fn names_do_what_a_map_does(rounds in prop::collection::vec(round(), 1..20)) {
        let dir = tempfile::tempdir().unwrap();
        let rt = runtime();
        let mut store = Store::open(dir.path(), small()).unwrap();
        let id = rt.block_on(people(&store, 1))[0];
        let stored = rt.block_on(body(&store, b"x")).unwrap();
        let mut model = Model::default();
        for mailbox in store.account(id).mailboxes().unwrap() {
            model.subscribed.insert(mailbox.name.clone());
            model.boxes.insert(mailbox.name, Box_ { messages: 0, uses: mailbox.uses.0 });
        }
        for round in rounds {
            match round {
                Round::Steps(steps) if suits(&steps) => {
                    let expected: Vec<Verdict> = steps.iter().map(|step| model.apply(step)).collect();
                    let got = rt.block_on(together(&store.account(id), &stored, &steps));
                    prop_assert_eq!(got, expected);
                }
                Round::Steps(_) => {}
                Round::Restart => {
                    store.close().unwrap();
                    store = Store::open(dir.path(), small()).unwrap();
                }
                Round::Sweep => store.sweep().unwrap(),
            }
            compare(&store, &store.account(id), &model);
        }
        store.sweep().unwrap();
        compare(&store, &store.account(id), &model);
    }
}
