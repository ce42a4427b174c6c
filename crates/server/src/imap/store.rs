//! STORE.
//!
//! A session is not told of its own silent changes: it knows the flags that its command makes of those it had been told.
//! What another session changed before or at the same time shows as a difference from that, and is told, once and as it is in
//! the end: a client that takes its own change for made must not hear of a state before it afterwards.

use super::announce::{self, Gone, Known, Style, pace};
use super::expunge::read_only;
use super::name::right;
use super::no::No;
use super::select::{self, changeable, not_selected};
use crate::session::imap::{ImapSession, Selected, rows};
use net::drive::{Next, Wire};
use proto::imap::code::Code;
use proto::imap::command::{Change, Flag, Store};
use proto::imap::language::Text;
use proto::imap::set::Set;
use proto::machine::Machine;
use std::ops::Range;
use store::account::{FlagChange, Flags, FlagsChanged, How, View};

pub(crate) async fn store(s: &mut ImapSession, store: Store, wire: &mut Wire<'_>) -> Next {
    match run(s, &store, wire).await {
        Ok(Ok((code, text))) => s.machine.ok(code, text),
        Ok(Err(no)) => no.tell(s),
        Err(Gone) => return Next::Close,
    }
    Next::Go
}

type Done = Result<(Option<Code>, Text), No>;

async fn run(s: &mut ImapSession, store: &Store, wire: &mut Wire<'_>) -> Result<Done, Gone> {
    if store.unchanged_since.is_some() && s.selected().is_some() {
        select::enable_condstore(s);
    }
    let Some(selected) = s.selected() else { return Ok(Err(not_selected())) };
    let seqs = match selected.numbers(store.uid, &store.set) {
        Ok(seqs) => seqs,
        Err(no) => return Ok(Err(no)),
    };
    let changed = match change(selected, store, &seqs).await {
        Ok(changed) => changed,
        Err(no) => return Ok(Err(no)),
    };
    let Some(now) = announce::latest(s).await else { return Ok(Err(No::no_mailbox())) };
    let Some(selected) = s.user.as_deref_mut().and_then(|user| user.selected.as_mut()) else {
        return Ok(Err(not_selected()));
    };
    let tongue = s.machine.tongue();
    announce::write_keywords(selected, &now, tongue, s.machine.output());
    let mut known = Known { flags: Vec::new(), modseq: s.machine.enabled().condstore };
    let mut gone = false;
    if store.silent {
        expected(selected, store, &seqs, &now, &changed.modified, &mut known);
    } else {
        known.modseq = false;
        let mut style = Style::of(s.machine.enabled());
        style.uid |= store.uid;
        let view = selected.view.clone();
        for range in &seqs {
            for (seq, row) in view.rows(range.clone()) {
                let Some(row) = now.seq(row.uid).and_then(|at| now.row(at)) else {
                    gone = true;
                    continue;
                };
                style.line(seq, &row, true, &now.mailbox.keywords, s.machine.output());
                known.flags.push((row.uid, row.flags));
                pace(&mut s.machine, Some(&mut *wire)).await?;
            }
        }
    }
    let expunges = s.machine.may_expunge();
    let modified = modified(s.selected(), store.uid, &changed.modified);
    announce::tell(s, expunges, &known, Some(wire)).await?;
    Ok(match modified {
        Some(code) => Ok((Some(code), Text::Modified)),
        // RFC 2180 4.2.1: whoever asks to hear of messages that are gone hears that they are.
        None if gone && !store.uid => Err(No::code(Code::ExpungeIssued, Text::SomeGone)),
        None => Ok((None, Text::Stored)),
    })
}

/// Makes the change, as far as the user's rights reach (RFC 4314 section 4).
async fn change(selected: &Selected, store: &Store, seqs: &[Range<u32>]) -> Result<FlagsChanged, No> {
    if selected.read_only {
        return Err(read_only());
    }
    let (flags, keywords) = split(&store.flags);
    let may = changeable(selected.rights);
    let all_keywords = selected.rights.holds(right::WRITE);
    let asked = flags.0 != 0 || !keywords.is_empty();
    let allowed = Flags(flags.0 & may);
    if asked && allowed.0 == 0 && (keywords.is_empty() || !all_keywords) || may == 0 {
        return Err(No::code(Code::NoPerm, Text::NoRightFlags));
    }
    let uids = selected.uid_ranges(seqs);
    if uids.is_empty() {
        return Ok(FlagsChanged::default());
    }
    let keywords = if all_keywords { keywords } else { Vec::new() };
    let mut first = FlagChange {
        mailbox: selected.view.mailbox.id,
        uids,
        how: how(store.how),
        flags: allowed,
        keywords,
        unchanged_since: store.unchanged_since,
    };
    // `s`, `t` and `w` together are all flags there are.
    let everything = may & changeable(store::account::Rights::ALL) == changeable(store::account::Rights::ALL);
    if store.how != Change::Replace || everything {
        return Ok(selected.account.change_flags(first).await?);
    }
    // To replace only some of the flags is to remove those of them that are not given, then to add the rest.
    let keep: Vec<&str> = first.keywords.iter().map(String::as_str).collect();
    let drop = selected.told.mailbox.keywords.iter();
    let drop = drop.filter(|word| all_keywords && !keep.iter().any(|k| k.eq_ignore_ascii_case(word)));
    let system = Flags::SEEN.0 | Flags::ANSWERED.0 | Flags::FLAGGED.0 | Flags::DELETED.0 | Flags::DRAFT.0;
    let removing = FlagChange {
        how: How::Remove,
        flags: Flags(may & system & !allowed.0),
        keywords: drop.cloned().collect(),
        ..first.clone()
    };
    let removed = selected.account.change_flags(removing).await?;
    first.how = How::Add;
    first.unchanged_since = None;
    first.uids = without(&first.uids, &removed.modified);
    let added = selected.account.change_flags(first).await?;
    Ok(FlagsChanged { modseq: added.modseq.max(removed.modseq), modified: removed.modified })
}

/// Ranges without these UIDs (ascending).
fn without(ranges: &[(u32, u32)], uids: &[u32]) -> Vec<(u32, u32)> {
    let mut left = Vec::with_capacity(ranges.len());
    for &(mut from, to) in ranges {
        let within = uids.partition_point(|uid| *uid < from)..uids.partition_point(|uid| *uid <= to);
        for &uid in &uids[within] {
            if from < uid {
                left.push((from, uid - 1));
            }
            from = uid.saturating_add(1);
        }
        if from <= to {
            left.push((from, to));
        }
    }
    left
}

/// What a client expects that it did silently: the flags that it knew, changed as it said.
fn expected(
    selected: &Selected,
    store: &Store,
    seqs: &[Range<u32>],
    now: &View,
    modified: &[u32],
    known: &mut Known,
) {
    let (flags, keywords) = split(&store.flags);
    let mut bits = flags.0;
    for (at, name) in now.mailbox.keywords.iter().enumerate() {
        if keywords.iter().any(|keyword| keyword.eq_ignore_ascii_case(name)) {
            bits |= 1u64.checked_shl(Flags::KEYWORD_FIRST + at as u32).unwrap_or(0);
        }
    }
    known.flags.reserve_exact(seqs.iter().map(Range::len).sum());
    for range in seqs {
        for (_, row) in rows(&selected.view, &selected.told, range.clone()) {
            if modified.binary_search(&row.uid).is_ok() {
                continue;
            }
            let flags = match store.how {
                Change::Add => row.flags.0 | bits,
                Change::Remove => row.flags.0 & !bits,
                Change::Replace => bits,
            };
            known.flags.push((row.uid, Flags(flags)));
        }
    }
}

/// MODIFIED: those left alone, numbered as the command numbers (RFC 7162 3.1.3).
fn modified(selected: Option<&Selected>, uid: bool, modified: &[u32]) -> Option<Code> {
    if modified.is_empty() {
        return None;
    }
    let view = &selected?.view;
    let seq = |uid: &u32| view.seq(*uid);
    let numbers: Vec<u32> = if uid { modified.to_vec() } else { modified.iter().filter_map(seq).collect() };
    Some(Code::Modified(Set::of(numbers)))
}

fn how(change: Change) -> How {
    match change {
        Change::Add => How::Add,
        Change::Remove => How::Remove,
        Change::Replace => How::Replace,
    }
}

/// System flags as bits, and keywords.
pub(crate) fn split(flags: &[Flag]) -> (Flags, Vec<String>) {
    let mut system = Flags::default();
    let mut keywords = Vec::new();
    for flag in flags {
        system.0 |= match flag {
            Flag::Seen => Flags::SEEN.0,
            Flag::Answered => Flags::ANSWERED.0,
            Flag::Flagged => Flags::FLAGGED.0,
            Flag::Deleted => Flags::DELETED.0,
            Flag::Draft => Flags::DRAFT.0,
            Flag::Keyword(name) => {
                keywords.push(name.clone());
                0
            }
        };
    }
    (system, keywords)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_lose_what_was_left_alone() {
        assert_eq!(without(&[(1, 5), (8, 9)], &[1, 3, 9]), [(2, 2), (4, 5), (8, 8)]);
        assert_eq!(without(&[(7, 7)], &[7]), []);
        assert_eq!(without(&[(7, 9)], &[]), [(7, 9)]);
    }

    #[test]
    fn flags_are_split() {
        let flags = [Flag::Seen, Flag::Keyword("$Junk".to_owned()), Flag::Draft];
        assert_eq!(split(&flags), (Flags(1 | 16), vec!["$Junk".to_owned()]));
    }
}
