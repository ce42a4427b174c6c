//! Random commands on open mailboxes and on a plain list of messages: UIDs, MODSEQ, flags, keywords, counts, what vanished,
//! and what any two kept views differ in must agree.

use crate::help::*;
use proptest::prelude::*;
use proto::proof::AccountId;
use std::collections::BTreeSet;
use std::sync::Arc;
use store::Store;
use store::account::{
    Copying, Delivery, Diff, FlagChange, Flags, How, Mailbox, MailboxId, MessageRow, Refused, View,
};
use store::blob::BodyRef;

const NAMES: [&str; 3] = ["INBOX", "Sent", "Archive"];
const KEYWORDS: [&str; 4] = ["$Junk", "work", "$Forwarded", "Later"];

#[derive(Clone, Debug)]
enum Step {
    Append { to: usize, count: usize, flags: u64, keywords: u8 },
    Replace { to: usize, nth: usize },
    Flags { of: usize, uids: Vec<(u32, u32)>, how: usize, flags: u64, keywords: u8, since_back: Option<u64> },
    Copy { from: usize, to: usize, uids: Vec<(u32, u32)>, remove: bool },
    Expunge { of: usize, from: u32, count: u32, every: usize },
    Restart,
    Check,
}

/// Ascending, disjoint ranges.
fn sets() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let range = prop_oneof![3 => (1..200u32, 0..4u32), 1 => (1..200u32, 0..900u32)];
    prop::collection::vec(range, 1..6).prop_map(|parts| {
        let mut at = 0;
        let parts = parts.into_iter().map(|(gap, len)| {
            let from = at + gap;
            at = from + len + 1;
            (from, from + len)
        });
        parts.collect()
    })
}

fn step() -> impl Strategy<Value = Step> {
    let keywords = 0..16u8;
    prop_oneof![
        4 => (0..3usize, 1..400usize, 0..32u64, keywords.clone())
            .prop_map(|(to, count, flags, keywords)| Step::Append { to, count, flags, keywords }),
        1 => (0..3usize, 0..500usize).prop_map(|(to, nth)| Step::Replace { to, nth }),
        6 => (0..3usize, sets(), 0..3usize, 0..32u64, keywords, prop::option::of(0..6u64)).prop_map(
            |(of, uids, how, flags, keywords, since_back)| Step::Flags { of, uids, how, flags, keywords, since_back }
        ),
        3 => (0..3usize, 0..3usize, sets(), any::<bool>())
            .prop_map(|(from, to, uids, remove)| Step::Copy { from, to, uids, remove }),
        3 => (0..3usize, 1..500u32, 1..900u32, 1..4usize)
            .prop_map(|(of, from, count, every)| Step::Expunge { of, from, count, every }),
        1 => Just(Step::Restart),
        1 => Just(Step::Check),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Message {
    uid: u32,
    flags: u64,
    keywords: BTreeSet<String>,
    modseq: u64,
    size: u64,
    body: BodyRef,
}

#[derive(Clone, Default)]
struct Held {
    id: u32,
    messages: Vec<Message>,
    next: u32,
    /// UID, and the MODSEQ with which it went.
    gone: Vec<(u32, u64)>,
}

struct World {
    boxes: [Held; 3],
    /// Views and what the model was then.
    kept: Vec<(usize, Arc<View>, Vec<Message>)>,
    modseq: u64,
}

fn names(bits: u8) -> Vec<String> {
    KEYWORDS
        .iter()
        .enumerate()
        .filter(|(n, _)| bits >> n & 1 == 1)
        .map(|(_, name)| (*name).to_owned())
        .collect()
}

fn keywords(mailbox: &Mailbox, flags: Flags) -> BTreeSet<String> {
    let has = |at: &usize| flags.0 >> (Flags::KEYWORD_FIRST as usize + at) & 1 == 1;
    (0..mailbox.keywords.len()).filter(has).map(|at| mailbox.keywords[at].clone()).collect()
}

fn within(uids: &[(u32, u32)], uid: u32) -> bool {
    uids.iter().any(|(from, to)| (*from..=*to).contains(&uid))
}

fn message(stored: &BodyRef, mailbox: usize) -> Delivery {
    Delivery { mailbox: NAMES[mailbox].to_owned(), ..delivery(stored.clone()) }
}

fn compare(store: &Store, id: AccountId, world: &mut World, rt: &tokio::runtime::Runtime) {
    let account = store.account(id);
    let mut usage = (0, 0);
    for (n, model) in world.boxes.iter().enumerate() {
        let view = rt.block_on(account.open(MailboxId(model.id))).unwrap().unwrap();
        let seen: Vec<Message> = view
            .messages()
            .into_iter()
            .zip(&model.messages)
            .map(|(MessageRow { uid, flags, modseq, size, .. }, expected)| Message {
                uid,
                flags: flags.0 & Flags::SYSTEM.0,
                keywords: keywords(&view.mailbox, flags),
                modseq,
                size,
                body: expected.body.clone(),
            })
            .collect();
        assert_eq!(seen, model.messages, "{}", NAMES[n]);
        let row = &view.mailbox;
        assert_eq!((view.len(), row.uid_next), (model.messages.len() as u32, model.next));
        let with = |flag: Flags| model.messages.iter().filter(move |m| m.flags & flag.0 != 0);
        assert_eq!(row.messages, view.len());
        assert_eq!(row.unseen as usize, model.messages.len() - with(Flags::SEEN).count());
        assert_eq!(row.deleted as usize, with(Flags::DELETED).count());
        assert_eq!(row.deleted_bytes, with(Flags::DELETED).map(|m| m.size).sum::<u64>());
        assert_eq!(row.bytes, model.messages.iter().map(|m| m.size).sum::<u64>());
        assert!(row.modseq >= model.messages.iter().map(|m| m.modseq).max().unwrap_or(0));
        usage = (usage.0 + row.bytes, usage.1 + u64::from(row.messages));
        let uids: Vec<u32> = model.messages.iter().map(|m| m.uid).collect();
        let details = rt.block_on(account.details(row.id, uids)).unwrap();
        let bodies: Vec<(u32, BodyRef)> =
            details.iter().map(|d| d.unwrap()).map(|d| (d.uid, d.body)).collect();
        let expected: Vec<(u32, BodyRef)> = model.messages.iter().map(|m| (m.uid, m.body.clone())).collect();
        assert_eq!(bodies, expected);
        for (_, old, then) in world.kept.iter().filter(|(of, ..)| *of == n) {
            differ(old, then, &view, model);
            let since = old.mailbox.modseq;
            let expected: Vec<u32> = (1..model.next)
                .filter(|uid| model.gone.iter().any(|(gone, modseq)| gone == uid && *modseq > since))
                .collect();
            assert_eq!(spread(&account.vanished(&view, since, None).unwrap()), expected);
            let known = [(3, 90), (100, 300)];
            let some: Vec<u32> = expected.into_iter().filter(|uid| within(&known, *uid)).collect();
            assert_eq!(spread(&account.vanished(&view, since, Some(&known)).unwrap()), some);
        }
        world.kept.push((n, view, model.messages.clone()));
    }
    let used = account.usage().unwrap();
    assert_eq!((used.bytes, used.messages), usage);
    if world.kept.len() > 12 {
        world.kept.drain(3..6);
    }
}

fn spread(ranges: &[(u32, u32)]) -> Vec<u32> {
    assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "{ranges:?}");
    ranges.iter().flat_map(|(from, to)| *from..=*to).collect()
}

fn differ(old: &View, then: &[Message], new: &View, now: &Held) {
    let at = |uid: u32| now.messages.iter().position(|m| m.uid == uid);
    let mut expected = Diff::default();
    for (seq, message) in (1u32..).zip(then) {
        match at(message.uid) {
            None => expected.vanished.push((message.uid, seq)),
            Some(at) if now.messages[at].modseq > message.modseq => expected.changed.push(at as u32 + 1),
            Some(_) => {}
        }
    }
    let last = old.mailbox.uid_next;
    expected.added = now.messages.iter().filter(|m| m.uid >= last).count() as u32;
    assert_eq!(old.diff(new), expected);
}

async fn act(store: &Store, id: AccountId, world: &mut World, bodies: &[BodyRef], step: &Step) {
    let account = store.account(id);
    let before = world.modseq;
    match step {
        Step::Append { to, count, flags, keywords } => {
            let mut messages: Vec<Delivery> =
                (0..*count).map(|n| message(&bodies[n % bodies.len()], *to)).collect();
            for one in &mut messages {
                (one.flags, one.keywords) = (Flags(*flags), names(*keywords));
            }
            let made = account.append(messages.clone(), None).await.unwrap();
            for (one, got) in messages.into_iter().zip(made) {
                let model = &mut world.boxes[*to];
                assert_eq!((got.uid, got.mailbox.0), (model.next, model.id));
                world.modseq = got.modseq;
                model.add(one.body, *flags, names(*keywords).into_iter().collect(), got.modseq);
            }
        }
        Step::Replace { to, nth } => {
            let model = &mut world.boxes[*to];
            if model.messages.is_empty() {
                return;
            }
            let old = model.messages.remove(nth % model.messages.len());
            let made = account.append(vec![message(&bodies[0], *to)], Some((MailboxId(model.id), old.uid)));
            let modseq = made.await.unwrap()[0].modseq;
            world.modseq = modseq;
            model.gone.push((old.uid, modseq));
            model.add(bodies[0].clone(), 0, BTreeSet::new(), modseq);
            let again = account.append(vec![message(&bodies[0], *to)], Some((MailboxId(model.id), old.uid)));
            assert!(matches!(again.await, Err(Refused::Cannot(_))));
        }
        Step::Flags { of, uids, how, flags, keywords, since_back } => {
            let since = since_back.map(|back| before.saturating_sub(back));
            let how = [How::Add, How::Remove, How::Replace][*how];
            let model = &mut world.boxes[*of];
            let change = FlagChange {
                mailbox: MailboxId(model.id),
                uids: uids.clone(),
                how,
                flags: Flags(*flags),
                // Letter case does not matter, and the first spelling is kept.
                keywords: names(*keywords).iter().map(|name| name.to_lowercase()).collect(),
                unchanged_since: since,
            };
            let done = account.change_flags(change).await.unwrap();
            let (mut modified, mut changed) = (Vec::new(), false);
            let given: BTreeSet<String> = names(*keywords).into_iter().collect();
            for m in model.messages.iter_mut().filter(|m| within(uids, m.uid)) {
                if since.is_some_and(|since| m.modseq > since) {
                    modified.push(m.uid);
                    continue;
                }
                let (new, words) = match how {
                    How::Add => (m.flags | flags, m.keywords.union(&given).cloned().collect()),
                    How::Remove => (m.flags & !flags, m.keywords.difference(&given).cloned().collect()),
                    How::Replace => (*flags, given.clone()),
                };
                if (new, &words) != (m.flags, &m.keywords) {
                    (m.flags, m.keywords, m.modseq, changed) = (new, words, done.modseq, true);
                }
            }
            assert_eq!((done.modified, done.modseq > before), (modified, changed));
            if changed {
                world.modseq = done.modseq;
            } else {
                assert_eq!(done.modseq, 0);
            }
        }
        Step::Copy { from, to, uids, remove } => {
            let [source, target] = [*from, *to].map(|n| MailboxId(world.boxes[n].id));
            let copying = Copying {
                from: source,
                uids: uids.clone(),
                to: target,
                remove: *remove,
                saved: 1_800_000_000,
            };
            let done = account.copy(copying).await.unwrap();
            let chosen: Vec<Message> =
                world.boxes[*from].messages.iter().filter(|m| within(uids, m.uid)).cloned().collect();
            if chosen.is_empty() {
                assert_eq!((done.modseq, done.uids.len()), (0, 0));
                return;
            }
            world.modseq = done.modseq;
            if *remove {
                let source = &mut world.boxes[*from];
                source.messages.retain(|m| !within(uids, m.uid));
                source.gone.extend(chosen.iter().map(|m| (m.uid, done.modseq)));
            }
            let target = &mut world.boxes[*to];
            let first = target.next;
            let expected: Vec<(u32, u32)> = chosen.iter().zip(first..).map(|(m, new)| (m.uid, new)).collect();
            assert_eq!(done.uids, expected);
            for m in chosen {
                target.add(m.body, m.flags, m.keywords, done.modseq);
            }
            let saved = account.detail(MailboxId(target.id), first).unwrap().unwrap().saved;
            assert_eq!(saved, 1_800_000_000);
        }
        Step::Expunge { of, from, count, every } => {
            let model = &mut world.boxes[*of];
            let uids: Vec<u32> = (*from..from + count).step_by(*every).collect();
            account.expunge(MailboxId(model.id), &uids).await.unwrap();
            let row = account.current(MailboxId(model.id)).map_or(0, |view| view.mailbox.modseq);
            let gone: Vec<u32> =
                model.messages.iter().map(|m| m.uid).filter(|uid| uids.contains(uid)).collect();
            if !gone.is_empty() {
                assert!(row > before);
                world.modseq = row;
                model.gone.extend(gone.iter().map(|uid| (*uid, row)));
                model.messages.retain(|m| !gone.contains(&m.uid));
            }
        }
        Step::Restart | Step::Check => {}
    }
    assert!(world.modseq >= before);
}

impl Held {
    fn add(&mut self, body: BodyRef, flags: u64, keywords: BTreeSet<String>, modseq: u64) {
        let size = body.len + 6;
        self.messages.push(Message { uid: self.next, flags, keywords, modseq, size, body });
        self.next += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn mailboxes_do_what_lists_do(steps in prop::collection::vec(step(), 1..30)) {
        let dir = tempfile::tempdir().unwrap();
        let rt = runtime();
        let mut store = Store::open(dir.path(), small()).unwrap();
        let id = rt.block_on(people(&store, 1))[0];
        let bodies: Vec<BodyRef> =
            (0..5).map(|n| rt.block_on(body(&store, &text(n, 20 + n as usize))).unwrap()).collect();
        let boxes = NAMES.map(|name| {
            let id = store.account(id).view(name).unwrap().unwrap().mailbox.id.0;
            Held { id, next: 1, ..Held::default() }
        });
        let mut world = World { boxes, kept: Vec::new(), modseq: 1 };
        // So that keywords keep the spelling that the model has.
        for n in 0..3 {
            let first = Step::Append { to: n, count: 1, flags: 0, keywords: 15 };
            rt.block_on(act(&store, id, &mut world, &bodies, &first));
        }
        for step in &steps {
            match step {
                Step::Restart => {
                    store.close().unwrap();
                    store = Store::open(dir.path(), small()).unwrap();
                }
                Step::Check => drop(clean(&store)),
                other => rt.block_on(act(&store, id, &mut world, &bodies, other)),
            }
            compare(&store, id, &mut world, &rt);
        }
        clean(&store);
        store.close().unwrap();
        let store = Store::open(dir.path(), small()).unwrap();
        compare(&store, id, &mut world, &rt);
    }
}
