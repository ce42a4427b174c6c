//! Results that are kept up to date (RFC 5267 UPDATE): ADDTO and REMOVEFROM while the mailbox changes.
//!
//! A context is a key and the UIDs that it finds. When the view moves on, the key is asked of what changed and came new,
//! nothing else. Keys whose answer time alone changes (OLDER, YOUNGER) are not asked again for messages that did not change.
//!
//! A result of SORT has its order beside it, and is told by positions. What SORT goes by never changes of a message, so that
//! messages come and go in that order and none changes its place.

use super::evaluate::Haystack;
use crate::clock::unix_now;
use crate::imap::no::No;
use crate::imap::sort::Sorter;
use crate::session::imap::ImapSession;
use proto::imap::code::Code;
use proto::imap::command::{Key, Search, SortBy};
use proto::imap::encode;
use proto::imap::language::Text;
use proto::imap::set::{Set, SetOrSaved};
use proto::machine::Machine as _;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use store::account::{Account, Diff, View};
use store::search::Bits;

/// Live results of one session at most.
const CONTEXTS_MAX: usize = 8;

/// UIDs of all live results of one session at most.
const UIDS_MAX: usize = 1_000_000;

/// A live result.
#[derive(Debug)]
pub(crate) struct Context {
    tag: String,
    key: Key,
    /// Told by UIDs, else by sequence numbers.
    uid: bool,
    found: BTreeSet<u32>,
    sorted: Option<Sorted>,
}

/// The order of a live result of SORT.
#[derive(Debug)]
struct Sorted {
    by: Vec<SortBy>,
    /// What is found, in that order.
    uids: Vec<u32>,
}

/// Keeps a result live, or says that it is not (`* NO [NOUPDATE "tag"]`). `order`: that of SORT, in which the UIDs are.
pub(crate) fn keep(s: &mut ImapSession, search: &Search, order: Option<&[SortBy]>, uids: &[u32]) {
    let tag = s.machine.tag().to_owned();
    let Some(open) = s.user.as_deref_mut().and_then(|user| user.selected.as_mut()) else { return };
    let held: usize = open.contexts.iter().map(|context| context.found.len()).sum();
    if open.contexts.len() >= CONTEXTS_MAX || held + uids.len() > UIDS_MAX {
        return refuse(s, tag);
    }
    let found = uids.iter().copied().collect();
    let sorted = order.map(|by| Sorted { by: by.to_vec(), uids: uids.to_vec() });
    let key = freeze(&search.key, &open.view, &open.saved);
    open.contexts.push(Context { tag, key, uid: search.uid, found, sorted });
}

/// A tag that names a live result already cannot name another (RFC 5267 4.3).
pub(crate) fn is_taken(s: &ImapSession) -> bool {
    let tag = s.machine.tag();
    s.selected().is_some_and(|open| open.contexts.iter().any(|context| context.tag == tag))
}

/// The key with what its sequence numbers and `$` mean now (RFC 5267 4.3): both move while the result lives.
fn freeze(key: &Key, view: &View, saved: &[(u32, u32)]) -> Key {
    let frozen = |key: &Key| Box::new(freeze(key, view, saved));
    match key {
        Key::And(keys) => Key::And(keys.iter().map(|key| freeze(key, view, saved)).collect()),
        Key::Or(one, other) => Key::Or(frozen(one), frozen(other)),
        Key::Not(key) => Key::Not(frozen(key)),
        Key::Fuzzy(key) => Key::Fuzzy(frozen(key)),
        Key::Set(SetOrSaved::Set(set)) => {
            let known = set.resolve(view.len()).into_iter();
            let uids = known.filter_map(|(from, to)| Some((view.uid(from)?, view.uid(to.min(view.len()))?)));
            Key::Uid(SetOrSaved::Set(Set(uids.collect())))
        }
        Key::Set(SetOrSaved::Saved) | Key::Uid(SetOrSaved::Saved) => {
            Key::Uid(SetOrSaved::Set(Set(saved.to_vec())))
        }
        key => key.clone(),
    }
}

/// Says that a result is not kept up to date.
pub(crate) fn refuse(s: &mut ImapSession, tag: String) {
    s.machine.untagged_no(Some(Code::NoUpdate(tag)), Text::NoUpdates);
}

/// Ends those with these tags.
pub(crate) fn cancel(s: &mut ImapSession, tags: &[String]) {
    if let Some(open) = s.user.as_deref_mut().and_then(|user| user.selected.as_mut()) {
        open.contexts.retain(|context| !tags.contains(&context.tag));
    }
}

/// These messages (UID, and number of the client's view) are about to be told as gone: RFC 5267 4.3.4 wants REMOVEFROM before
/// that, while the numbers still hold.
pub(crate) fn vanishing(contexts: &mut [Context], vanished: &[(u32, u32)], out: &mut Vec<u8>) {
    for context in contexts {
        let gone = vanished.iter().filter(|(uid, _)| context.found.remove(uid));
        let gone: Vec<(u32, u32)> =
            gone.map(|(uid, seq)| (*uid, if context.uid { *uid } else { *seq })).collect();
        context.write_removed(&gone, out);
    }
}

/// The client's view has moved on, and what vanished has been told: tells what the rest does to live results.
pub(crate) async fn moved(s: &mut ImapSession, view: &Arc<View>, diff: &Diff) {
    let Some(open) = s.user.as_deref_mut().and_then(|user| user.selected.as_mut()) else { return };
    if open.contexts.is_empty() {
        return;
    }
    let mut among = Bits::none(view.len());
    diff.changed.iter().for_each(|seq| among.set(*seq));
    let first_new = view.len() - diff.added.min(view.len()) + 1;
    (first_new..=view.len()).for_each(|seq| among.set(seq));
    let mut contexts = std::mem::take(&mut open.contexts);
    let account = open.account.clone();
    let mut haystack = Haystack::new(account.clone(), view.clone(), open.saved.clone(), unix_now());
    let mut lost = Vec::new();
    for context in &mut contexts {
        let done = match haystack.find_among(&context.key, &among).await {
            Ok(found) => context.change(&account, view, &among, &found, s.machine.output()).await,
            Err(no) => Err(no),
        };
        if done.is_err() {
            lost.push(context.tag.clone());
        }
    }
    contexts.retain(|context| !lost.contains(&context.tag));
    let held: usize = contexts.iter().map(|context| context.found.len()).sum();
    if held > UIDS_MAX
        && let Some(last) = contexts.pop()
    {
        lost.push(last.tag);
    }
    if let Some(open) = s.user.as_deref_mut().and_then(|user| user.selected.as_mut()) {
        open.contexts = contexts;
    }
    lost.into_iter().for_each(|tag| refuse(s, tag));
}

impl Context {
    /// Of the messages `among`, those that are `found` belong to it from now on, and no others.
    async fn change(
        &mut self,
        account: &Account,
        view: &Arc<View>,
        among: &Bits,
        found: &Bits,
        out: &mut Vec<u8>,
    ) -> Result<(), No> {
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for seq in among.seqs() {
            let Some(uid) = view.uid(seq) else { continue };
            let number = if self.uid { uid } else { seq };
            if found.has(seq) {
                if self.found.insert(uid) {
                    added.push((uid, number));
                }
            } else if self.found.remove(&uid) {
                removed.push((uid, number));
            }
        }
        self.write_removed(&removed, out);
        let Some(sorted) = self.sorted.as_mut().filter(|_| !added.is_empty()) else {
            write(&self.tag, self.uid, "ADDTO", &at_zero(&added), out);
            return Ok(());
        };
        let sorter = Sorter::new(account, view, &sorted.by).await?;
        let parts = sorted.insert(&added, |a, b| match (view.seq(a), view.seq(b)) {
            (Some(a), Some(b)) => sorter.compare(a, b),
            // Whatever vanished was taken out before.
            (a, b) => a.cmp(&b),
        });
        write(&self.tag, self.uid, "ADDTO", &parts, out);
        Ok(())
    }

    /// REMOVEFROM of messages (UID, and number to be told) that were taken out of what is found.
    fn write_removed(&mut self, removed: &[(u32, u32)], out: &mut Vec<u8>) {
        let parts = match &mut self.sorted {
            Some(sorted) if !removed.is_empty() => sorted.remove(removed),
            _ => at_zero(removed),
        };
        write(&self.tag, self.uid, "REMOVEFROM", &parts, out);
    }
}

/// Numbers at a position of a result.
type Part = (u32, Set);

/// Position 0: the results of SEARCH have no order of their own (RFC 5267 4.3.3).
fn at_zero(messages: &[(u32, u32)]) -> Vec<Part> {
    match messages {
        [] => Vec::new(),
        some => vec![(0, Set::of(some.iter().map(|(_, number)| *number)))],
    }
}

impl Sorted {
    /// Takes messages (UID, number) out. Each position holds when what is before it is done (RFC 5267 4.3.4).
    fn remove(&mut self, messages: &[(u32, u32)]) -> Vec<Part> {
        let numbers: HashMap<u32, u32> = messages.iter().copied().collect();
        let mut runs = Runs::default();
        let mut left = 0;
        self.uids.retain(|uid| match numbers.get(uid) {
            // Those that go from one position follow each other there.
            Some(number) => {
                runs.push(left + 1, left + 1, *number);
                false
            }
            None => {
                left += 1;
                true
            }
        });
        runs.parts
    }

    /// Puts messages (UID, number) where they belong. From the first position to the last, each is where it stays (RFC 5267 4.3.3).
    fn insert(&mut self, messages: &[(u32, u32)], compare: impl Fn(u32, u32) -> Ordering) -> Vec<Part> {
        let mut new = messages.to_vec();
        new.sort_by(|a, b| compare(a.0, b.0));
        let mut merged = Vec::with_capacity(self.uids.len() + new.len());
        let mut runs = Runs::default();
        let mut taken = 0;
        for (uid, number) in new {
            let rest = &self.uids[taken..];
            let before = rest.partition_point(|old| compare(*old, uid) == Ordering::Less);
            merged.extend_from_slice(&rest[..before]);
            taken += before;
            merged.push(uid);
            let position = merged.len() as u32;
            runs.push(position, position + 1, number);
        }
        merged.extend_from_slice(&self.uids[taken..]);
        self.uids = merged;
        runs.parts
    }
}

/// Numbers at positions: those that follow each other stand together, and so do ascending ones.
#[derive(Default)]
struct Runs {
    parts: Vec<Part>,
    /// Where the next one must be to follow.
    next: u32,
}

impl Runs {
    fn push(&mut self, position: u32, next: u32, number: u32) {
        match self.parts.last_mut() {
            Some((_, set)) if position == self.next => match set.0.last_mut() {
                Some((_, to)) if to.checked_add(1) == Some(number) => *to = number,
                _ => set.0.push((number, number)),
            },
            _ => self.parts.push((position, Set(vec![(number, number)]))),
        }
        self.next = next;
    }
}

/// `* ESEARCH (TAG "a") UID ADDTO (1 7:8 5 12)`.
fn write(tag: &str, uid: bool, word: &str, parts: &[Part], out: &mut Vec<u8>) {
    if parts.is_empty() {
        return;
    }
    out.extend_from_slice(b"* ESEARCH (TAG ");
    encode::string(tag.as_bytes(), false, out);
    out.push(b')');
    if uid {
        out.extend_from_slice(b" UID");
    }
    out.push(b' ');
    out.extend_from_slice(word.as_bytes());
    for (at, (position, set)) in parts.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b" (" } else { b" " });
        encode::number(u64::from(*position), out);
        out.push(b' ');
        set.write(out);
    }
    out.extend_from_slice(b")\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a client makes of REMOVEFROM and ADDTO, told by UIDs.
    fn heard(list: &mut Vec<u32>, line: &str) {
        let (_, rest) = line.split_once(" UID ").unwrap();
        let (word, rest) = rest.split_once(" (").unwrap();
        let rest = rest.strip_suffix(")\r\n").unwrap();
        let words: Vec<&str> = rest.split(' ').collect();
        for pair in words.chunks(2) {
            let at: usize = pair[0].parse::<usize>().unwrap() - 1;
            let numbers = pair[1].split(',').flat_map(|range| {
                let (from, to) = range.split_once(':').unwrap_or((range, range));
                from.parse::<u32>().unwrap()..=to.parse().unwrap()
            });
            let numbers: Vec<u32> = numbers.collect();
            if word == "ADDTO" {
                list.splice(at..at, numbers);
            } else {
                assert_eq!(list.drain(at..at + numbers.len()).collect::<Vec<u32>>(), numbers);
            }
        }
    }

    /// The example of RFC 5267 4.3.3 in its preferred form.
    #[test]
    fn what_follows_each_other_is_told_together() {
        let mut sorted = Sorted { by: Vec::new(), uids: vec![2734, 2735] };
        let parts = sorted.insert(&[(2733, 2733), (2731, 2731), (2732, 2732)], |a, b| a.cmp(&b));
        let mut out = Vec::new();
        write("C01", true, "ADDTO", &parts, &mut out);
        assert_eq!(out, b"* ESEARCH (TAG \"C01\") UID ADDTO (1 2731:2733)\r\n");
        let parts = sorted.remove(&[(2731, 1), (2733, 3), (2734, 4)]);
        assert_eq!(parts, [(1, Set(vec![(1, 1)])), (2, Set(vec![(3, 4)]))]);
        assert_eq!(sorted.uids, [2732, 2735]);
    }

    proptest! {
        #[test]
        fn a_client_that_does_as_told_has_the_order(
            steps in prop::collection::vec(
                (prop::collection::btree_set(1..60u32, 0..20), prop::collection::btree_set(1..60u32, 0..20)), 1..12),
            turn in 1..59u32,
        ) {
            // Some order that is not that of the UIDs.
            let compare = |a: u32, b: u32| (a * turn % 61).cmp(&(b * turn % 61));
            let mut sorted = Sorted { by: Vec::new(), uids: Vec::new() };
            let (mut client, mut all) = (Vec::new(), BTreeSet::new());
            for (gone, come) in steps {
                let gone: Vec<(u32, u32)> = gone.into_iter().filter(|uid| all.remove(uid)).map(|u| (u, u)).collect();
                let come: Vec<(u32, u32)> = come.into_iter().filter(|uid| all.insert(*uid)).map(|u| (u, u)).collect();
                for (word, parts) in [("REMOVEFROM", sorted.remove(&gone)), ("ADDTO", sorted.insert(&come, compare))] {
                    let mut out = Vec::new();
                    write("t", true, word, &parts, &mut out);
                    if !out.is_empty() {
                        heard(&mut client, std::str::from_utf8(&out).unwrap());
                    }
                }
                let mut real: Vec<u32> = all.iter().copied().collect();
                real.sort_by(|a, b| compare(*a, *b));
                prop_assert_eq!(&sorted.uids, &real);
                prop_assert_eq!(&client, &real);
            }
        }
    }
}
