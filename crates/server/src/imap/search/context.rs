//! Results that are kept up to date (RFC 5267 UPDATE): ADDTO and REMOVEFROM while the mailbox changes.
//!
//! A context is a key and the UIDs that it finds. When the view moves on, the key is asked of what changed and came new,
//! nothing else. Keys whose answer time alone changes (OLDER, YOUNGER) are not asked again for messages that did not change.
//!
//! Not here: live results of SORT, which answer NOUPDATE (RFC 5267 4.3 allows it).

use super::evaluate::Haystack;
use crate::clock::unix_now;
use crate::session::imap::ImapSession;
use proto::imap::code::Code;
use proto::imap::command::{Key, Search};
use proto::imap::encode;
use proto::imap::set::{Set, SetOrSaved};
use proto::machine::Machine as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use store::account::{Diff, View};
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
}

/// Keeps a result live, or says that it is not (`* NO [NOUPDATE "tag"]`).
pub(crate) fn keep(s: &mut ImapSession, search: &Search, uids: &[u32]) {
    let tag = s.machine.tag().to_owned();
    let Some(open) = s.user.as_deref_mut().and_then(|user| user.selected.as_mut()) else { return };
    let held: usize = open.contexts.iter().map(|context| context.found.len()).sum();
    if open.contexts.len() >= CONTEXTS_MAX || held + uids.len() > UIDS_MAX {
        return refuse(s, tag);
    }
    let found = uids.iter().copied().collect();
    let key = freeze(&search.key, &open.view, &open.saved);
    open.contexts.push(Context { tag, key, uid: search.uid, found });
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
    s.machine.untagged_no(Some(Code::NoUpdate(tag)), "This result is not kept up to date");
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
        let numbers = gone.map(|(uid, seq)| if context.uid { *uid } else { *seq }).collect();
        write(&context.tag, context.uid, "REMOVEFROM", numbers, out);
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
    let mut haystack = Haystack::new(open.account.clone(), view.clone(), open.saved.clone(), unix_now());
    let mut lost = Vec::new();
    for context in &mut contexts {
        let Ok(found) = haystack.find_among(&context.key, &among).await else {
            lost.push(context.tag.clone());
            continue;
        };
        let mut removed = Vec::new();
        let mut added = Vec::new();
        for seq in among.seqs() {
            let Some(uid) = view.uid(seq) else { continue };
            let number = if context.uid { uid } else { seq };
            if found.has(seq) {
                if context.found.insert(uid) {
                    added.push(number);
                }
            } else if context.found.remove(&uid) {
                removed.push(number);
            }
        }
        let out = s.machine.output();
        write(&context.tag, context.uid, "REMOVEFROM", removed, out);
        write(&context.tag, context.uid, "ADDTO", added, out);
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

/// Position 0: the results of SEARCH have no order (RFC 5267 4.3.1).
fn write(tag: &str, uid: bool, word: &str, numbers: Vec<u32>, out: &mut Vec<u8>) {
    if numbers.is_empty() {
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
    out.extend_from_slice(b" (0 ");
    Set::of(numbers).write(out);
    out.extend_from_slice(b")\r\n");
}
