//! An owner and guests of shared mailboxes: random changes on the store and on a plain list, in which everybody has seen what
//! they have seen, and all else is shared. Views that somebody kept must differ from later ones by what was changed.

use crate::help::*;
use proptest::prelude::*;
use proto::proof::AccountId;
use std::sync::Arc;
use store::Store;
use store::account::{Account, Copying, Delivery, FlagChange, Flags, How, MailboxId, View};
use store::blob::BodyRef;

const NAMES: [&str; 2] = ["INBOX", "Archive"];
/// The owner is the first.
const PEOPLE: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Append {
        who: usize,
        to: usize,
        count: usize,
        flags: u64,
    },
    Deliver {
        to: usize,
    },
    Flags {
        who: usize,
        of: usize,
        from: u32,
        count: u32,
        how: usize,
        flags: u64,
        since_back: Option<u64>,
    },
    Copy {
        who: usize,
        from: usize,
        first: u32,
        count: u32,
        remove: bool,
    },
    Expunge {
        of: usize,
        from: u32,
        count: u32,
    },
    /// Nobody has a view any more.
    Restart,
    Check,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..PEOPLE;
    prop_oneof![
        3 => (who.clone(), 0..2usize, 1..300usize, 0..16u64)
            .prop_map(|(who, to, count, flags)| Step::Append { who, to, count, flags }),
        1 => (0..2usize).prop_map(|to| Step::Deliver { to }),
        8 => (who.clone(), 0..2usize, 1..700u32, 1..600u32, 0..3usize, 0..16u64, prop::option::of(0..6u64))
            .prop_map(|(who, of, from, count, how, flags, since_back)| Step::Flags {
                who, of, from, count, how, flags, since_back,
            }),
        2 => (who, 0..2usize, 1..600u32, 1..200u32, any::<bool>())
            .prop_map(|(who, from, first, count, remove)| Step::Copy { who, from, first, count, remove }),
        2 => (0..2usize, 1..500u32, 1..500u32)
            .prop_map(|(of, from, count)| Step::Expunge { of, from, count }),
        1 => Just(Step::Restart),
        1 => Just(Step::Check),
    ]
}

#[derive(Clone, Debug)]
struct Message {
    uid: u32,
    /// Without `\Seen`.
    flags: u64,
    seen: [bool; PEOPLE],
    modseq: [u64; PEOPLE],
}

#[derive(Default)]
struct Held {
    id: u32,
    next: u32,
    messages: Vec<Message>,
}

#[derive(Default)]
struct World {
    boxes: [Held; 2],
    kept: Vec<(usize, usize, Arc<View>)>,
    modseq: u64,
}

impl Held {
    fn add(&mut self, flags: u64, seen: [bool; PEOPLE], modseq: u64) {
        let flags = flags & !Flags::SEEN.0;
        self.messages.push(Message { uid: self.next, flags, seen, modseq: [modseq; PEOPLE] });
        self.next += 1;
    }
}

/// The account as each of them has it.
fn handles(store: &Store, people: &[AccountId]) -> Vec<Account> {
    people.iter().map(|who| store.account(people[0]).seen_by(*who)).collect()
}

async fn act(store: &Store, people: &[AccountId], world: &mut World, body: &BodyRef, step: &Step) {
    let handles = handles(store, people);
    match *step {
        Step::Append { who, to, count, flags } => {
            let one =
                Delivery { mailbox: NAMES[to].to_owned(), flags: Flags(flags), ..delivery(body.clone()) };
            let made = handles[who].append(vec![one; count], None).await.unwrap();
            let mut seen = [false; PEOPLE];
            seen[who] = flags & Flags::SEEN.0 != 0;
            made.iter().for_each(|got| world.boxes[to].add(flags, seen, got.modseq));
            world.modseq = made[0].modseq;
        }
        Step::Deliver { to } => {
            let one = Delivery { mailbox: NAMES[to].to_owned(), ..delivery(body.clone()) };
            world.modseq = handles[0].deliver(one).await.unwrap().modseq;
            world.boxes[to].add(0, [false; PEOPLE], world.modseq);
        }
        Step::Flags { who, of, from, count, how, flags, since_back } => {
            let how = [How::Add, How::Remove, How::Replace][how];
            let since = since_back.map(|back| world.modseq.saturating_sub(back));
            let change = FlagChange {
                mailbox: MailboxId(world.boxes[of].id),
                uids: vec![(from, from + count)],
                how,
                flags: Flags(flags),
                keywords: Vec::new(),
                unchanged_since: since,
            };
            let done = handles[who].change_flags(change).await.unwrap();
            let (mut modified, mut changed) = (Vec::new(), false);
            for m in world.boxes[of].messages.iter_mut().filter(|m| (from..=from + count).contains(&m.uid)) {
                if since.is_some_and(|since| m.modseq[who] > since) {
                    modified.push(m.uid);
                    continue;
                }
                let old = m.flags | u64::from(m.seen[who]);
                let new = match how {
                    How::Add => old | flags,
                    How::Remove => old & !flags,
                    How::Replace => flags,
                };
                let (shared, seen) = (new & !Flags::SEEN.0, new & Flags::SEEN.0 != 0);
                if shared != m.flags || who == 0 && seen != m.seen[0] {
                    m.modseq = [done.modseq; PEOPLE];
                } else if seen != m.seen[who] {
                    m.modseq[who] = done.modseq;
                }
                changed |= (shared, seen) != (m.flags, m.seen[who]);
                (m.flags, m.seen[who]) = (shared, seen);
            }
            assert_eq!((done.modified, done.modseq > world.modseq), (modified, changed));
            world.modseq = world.modseq.max(done.modseq);
        }
        Step::Copy { who, from, first, count, remove } => {
            let to = 1 - from;
            let copying = Copying {
                from: MailboxId(world.boxes[from].id),
                uids: vec![(first, first + count)],
                to: MailboxId(world.boxes[to].id),
                remove,
                saved: 1_800_000_000,
            };
            let done = handles[who].copy(copying).await.unwrap();
            let within = |m: &Message| (first..=first + count).contains(&m.uid);
            let chosen: Vec<Message> =
                world.boxes[from].messages.iter().filter(|m| within(m)).cloned().collect();
            if remove {
                world.boxes[from].messages.retain(|m| !within(m));
            }
            for m in &chosen {
                let mut seen = [false; PEOPLE];
                (seen[0], seen[who]) = (m.seen[0], m.seen[who]);
                world.boxes[to].add(m.flags, seen, done.modseq);
            }
            assert_eq!(done.uids.len(), chosen.len());
            world.modseq = world.modseq.max(done.modseq);
        }
        Step::Expunge { of, from, count } => {
            let model = &mut world.boxes[of];
            let uids: Vec<u32> = (from..=from + count).collect();
            handles[0].expunge(MailboxId(model.id), &uids).await.unwrap();
            model.messages.retain(|m| !uids.contains(&m.uid));
            let view = handles[0].open(MailboxId(model.id)).await.unwrap().unwrap();
            world.modseq = world.modseq.max(view.mailbox.modseq);
        }
        Step::Restart | Step::Check => {}
    }
}

fn compare(store: &Store, people: &[AccountId], world: &mut World, rt: &tokio::runtime::Runtime) {
    for (who, account) in handles(store, people).iter().enumerate() {
        for (of, model) in world.boxes.iter().enumerate() {
            let view = rt.block_on(account.open(MailboxId(model.id))).unwrap().unwrap();
            let found: Vec<(u32, u64, u64)> =
                view.messages().iter().map(|row| (row.uid, row.flags.0, row.modseq)).collect();
            let expected: Vec<(u32, u64, u64)> = model
                .messages
                .iter()
                .map(|m| (m.uid, m.flags | u64::from(m.seen[who]), m.modseq[who]))
                .collect();
            assert_eq!(found, expected, "{who} in {}", NAMES[of]);
            let unseen: Vec<usize> =
                (0..model.messages.len()).filter(|at| !model.messages[*at].seen[who]).collect();
            assert_eq!(view.mailbox.unseen as usize, unseen.len(), "{who} in {}", NAMES[of]);
            assert_eq!(view.first_unseen(), unseen.first().map(|at| *at as u32 + 1));
            assert!(found.iter().all(|row| row.2 <= view.mailbox.modseq));
            for (_, _, old) in
                world.kept.iter().filter(|(person, mailbox, _)| (*person, *mailbox) == (who, of))
            {
                let diff = old.diff(&view);
                let then = |uid: u32| old.seq(uid).and_then(|seq| old.row(seq));
                let changed: Vec<u32> = (1..=view.len())
                    .filter(|seq| {
                        let row = view.row(*seq).unwrap();
                        then(row.uid).is_some_and(|old| old.modseq < row.modseq)
                    })
                    .collect();
                assert_eq!(diff.changed, changed);
                assert!(old.mailbox.modseq <= view.mailbox.modseq);
            }
            world.kept.push((who, of, view));
        }
    }
    if world.kept.len() > 24 {
        world.kept.drain(..12);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn everybody_has_seen_what_they_have_seen(steps in prop::collection::vec(step(), 1..30)) {
        let dir = tempfile::tempdir().unwrap();
        let rt = runtime();
        let mut store = Store::open(dir.path(), small()).unwrap();
        let people = rt.block_on(people(&store, PEOPLE));
        let body = rt.block_on(body(&store, b"text")).unwrap();
        let mut world = World { modseq: 1, ..World::default() };
        for (held, name) in world.boxes.iter_mut().zip(NAMES) {
            held.id = store.account(people[0]).view(name).unwrap().unwrap().mailbox.id.0;
            held.next = 1;
        }
        for step in &steps {
            match step {
                Step::Restart => {
                    world.kept.clear();
                    store.close().unwrap();
                    store = Store::open(dir.path(), small()).unwrap();
                }
                Step::Check => drop(clean(&store)),
                other => rt.block_on(act(&store, &people, &mut world, &body, other)),
            }
            compare(&store, &people, &mut world, &rt);
        }
        clean(&store);
        // Whoever goes leaves nothing behind with others: the check would find it.
        for guest in &people[1..] {
            rt.block_on(store.directory().remove_account(*guest)).unwrap();
            let none = rt.block_on(store.account(people[0]).seen_by(*guest).change_flags(FlagChange {
                mailbox: MailboxId(world.boxes[0].id),
                uids: vec![(1, u32::MAX)],
                how: How::Add,
                flags: Flags::SEEN,
                keywords: Vec::new(),
                unchanged_since: None,
            }));
            prop_assert!(none.is_err());
        }
        clean(&store);
        store.close().unwrap();
        clean(&Store::open(dir.path(), small()).unwrap());
    }
}

/// Marks go with their mailbox, and those of long gone messages with the guest's next one.
#[test]
fn marks_go_with_what_they_mark() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let store = Store::open(dir.path(), small()).unwrap();
    rt.block_on(async {
        let people = people(&store, 2).await;
        let owner = store.account(people[0]);
        let guest = owner.seen_by(people[1]);
        let id = owner.create_mailbox("shared", Default::default(), 1).await.unwrap();
        let body = body(&store, b"text").await.unwrap();
        let one = Delivery { mailbox: "shared".to_owned(), ..delivery(body) };
        owner.append(vec![one; 1000], None).await.unwrap();
        let seen = |from, to, unchanged_since| FlagChange {
            mailbox: id,
            uids: vec![(from, to)],
            how: How::Add,
            flags: Flags::SEEN,
            keywords: Vec::new(),
            unchanged_since,
        };
        let before = guest.open(id).await.unwrap().unwrap();
        let first = guest.change_flags(seen(1, 999, None)).await.unwrap();
        let again = guest.change_flags(seen(1, 1000, Some(before.mailbox.modseq))).await.unwrap();
        assert_eq!((again.modified.len(), again.modseq), (999, first.modseq + 1));
        assert_eq!(owner.open(id).await.unwrap().unwrap().mailbox.unseen, 1000);
        let view = guest.open(id).await.unwrap().unwrap();
        assert_eq!((view.mailbox.unseen, view.first_unseen()), (0, None));
        assert_eq!(before.diff(&view).changed.len(), 1000);
        owner.expunge(id, &(1..=999).collect::<Vec<u32>>()).await.unwrap();
        let off = FlagChange { how: How::Remove, ..seen(1, 1000, None) };
        guest.change_flags(off).await.unwrap();
        assert_eq!(guest.open(id).await.unwrap().unwrap().first_unseen(), Some(1));
        clean(&store);
        owner.delete_mailbox(id).await.unwrap();
        assert!(guest.open(id).await.unwrap().is_none());
    });
    clean(&store);
    store.close().unwrap();
}
