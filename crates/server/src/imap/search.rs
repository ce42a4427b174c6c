//! SEARCH (RFC 9051 6.4.4), and the evaluation that SORT, THREAD and ESEARCH share.
//!
//! What must hold: numbers in an answer are those of the view that the client knows; a search that takes long says so
//! (RFC 9585) and holds up nobody else; a live result (RFC 5267 UPDATE) costs by what changed.

pub(crate) mod answer;
pub(crate) mod context;
pub(crate) mod evaluate;

use super::no::No;
use crate::clock::unix_now;
use crate::session::imap::{ImapSession, Selected};
use answer::Results;
use evaluate::Haystack;
use net::drive::Wire;
use proto::imap::code::Code;
use proto::imap::command::{Key, Returns, Search};
use proto::imap::language::Text;
use proto::imap::set::Set;
use proto::machine::Machine as _;
use std::future::Future;
use std::time::Duration;
use store::search::Bits;

/// SEARCH and UID SEARCH.
pub(crate) async fn search(s: &mut ImapSession, search: Search, wire: &mut Wire<'_>) {
    let expunges = s.machine.may_expunge();
    s.announce(expunges).await;
    let saves = search.returns.is_some_and(|returns| returns.save);
    match run(s, &search, wire).await {
        Ok(()) => s.machine.ok(None, Text::Found),
        Err(no) => {
            forget_saved(s, saves, &no);
            no.tell(s);
        }
    }
}

/// CANCELUPDATE (RFC 5267): live results end.
pub(crate) fn cancel_update(s: &mut ImapSession, tags: Vec<String>) {
    context::cancel(s, &tags);
    s.machine.ok(None, Text::UpdatesEnd);
}

/// The open mailbox; the gate lets these commands through with one only.
pub(crate) fn selected(s: &ImapSession) -> Result<&Selected, No> {
    let open = s.user.as_deref().and_then(|user| user.selected.as_ref());
    open.ok_or_else(|| No::bad(None, Text::NotSelected))
}

/// The messages of the open mailbox that a key finds.
pub(crate) async fn find(s: &mut ImapSession, key: &Key, wire: &mut Wire<'_>) -> Result<Bits, No> {
    let open = selected(s)?;
    let saved = open.saved.clone();
    let mut haystack = Haystack::new(open.account.clone(), open.view.clone(), saved, unix_now());
    if evaluate::has_modseq(key) {
        // Using it is switching it on (RFC 7162 3.1).
        super::select::enable_condstore(s);
    }
    patiently(s, haystack.find(key), wire).await
}

/// Waits for `work`, and tells the client again and again that it goes on (RFC 9585).
pub(crate) async fn patiently<T>(
    s: &mut ImapSession,
    work: impl Future<Output = Result<T, No>>,
    wire: &mut Wire<'_>,
) -> Result<T, No> {
    let mut work = std::pin::pin!(work);
    let interval = Duration::from_millis(s.app.settings.imap.progress_milliseconds.into());
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(interval) => {
                let code = Code::InProgress(s.machine.tag().to_owned(), None);
                s.machine.untagged_ok(Some(code), Text::StillAtIt);
                if wire.flush(s.machine.output()).await.is_err() {
                    return Err(No::plain(Text::PeerGone));
                }
            }
        }
    }
}

/// RFC 5182 2.1: a search that was to save its result and is answered NO leaves an empty one; BAD leaves what there was.
pub(crate) fn forget_saved(s: &mut ImapSession, saves: bool, no: &No) {
    if saves
        && !no.is_bad()
        && let Some(open) = s.user.as_deref_mut().and_then(|user| user.selected.as_mut())
    {
        open.saved.clear();
    }
}

/// Keeps what RFC 5182 2.4 and RFC 9394 3.2 say of a result, given in ascending UIDs: with MIN, MAX or PARTIAL alone only
/// these, else all. `window` is what PARTIAL has shown, where SORT has its own order.
pub(crate) fn save(s: &mut ImapSession, returns: &Returns, uids: &[u32], window: Option<&[u32]>) {
    let Some(open) = s.user.as_deref_mut().and_then(|user| user.selected.as_mut()) else { return };
    let some = returns.min || returns.max || returns.partial.is_some();
    open.saved = if some && !returns.all && !returns.count {
        let first = uids.first().filter(|_| returns.min);
        let last = uids.last().filter(|_| returns.max);
        let shown = returns
            .partial
            .map_or(&[][..], |partial| window.unwrap_or_else(|| &uids[answer::window(partial, uids.len())]));
        let mut kept: Vec<u32> = first.into_iter().chain(last).chain(shown).copied().collect();
        kept.sort_unstable();
        kept.dedup();
        Set::of(kept).0
    } else {
        Set::of(uids.iter().copied()).0
    };
}

/// `RELEVANCY` without a fuzzy key has no meaning (RFC 6203 section 4).
pub(crate) fn check_relevancy(search: &Search) -> Result<(), No> {
    if search.returns.is_some_and(|r| r.relevancy) && !evaluate::has_fuzzy(&search.key) {
        return Err(No::bad(None, Text::RelevancyFuzzy));
    }
    Ok(())
}

/// RFC 5267 4.3.
pub(crate) fn check_update(s: &ImapSession, search: &Search) -> Result<(), No> {
    if search.returns.is_some_and(|returns| returns.update) && context::is_taken(s) {
        return Err(No::bad(None, Text::UpdateTaken));
    }
    Ok(())
}

async fn run(s: &mut ImapSession, search: &Search, wire: &mut Wire<'_>) -> Result<(), No> {
    check_relevancy(search)?;
    check_update(s, search)?;
    let found = find(s, &search.key, wire).await?;
    let view = selected(s)?.view.clone();
    let seqs: Vec<u32> = found.seqs().collect();
    let uids = || seqs.iter().filter_map(|seq| view.uid(*seq)).collect::<Vec<u32>>();
    let modseqs: Option<Vec<u64>> = evaluate::has_modseq(&search.key)
        .then(|| seqs.iter().filter_map(|seq| view.row(*seq)).map(|row| row.modseq).collect());
    let numbers = if search.uid { uids() } else { seqs.clone() };
    let results = Results { numbers: &numbers, uid: search.uid, sorted: false, modseqs: modseqs.as_deref() };
    // RFC 9051 6.4.4: IMAP4rev2 knows the extended answer alone.
    let extended = search.returns.or_else(|| s.machine.enabled().rev2.then(Returns::default));
    let Some(returns) = extended else {
        results.write_plain("SEARCH", s.machine.output());
        return Ok(());
    };
    if returns.save {
        save(s, &returns, &uids(), None);
    }
    if returns.update {
        context::keep(s, search, None, &uids());
    }
    let only_saved = returns.save
        && !(returns.min || returns.max || returns.all || returns.count || returns.partial.is_some());
    if !only_saved {
        let tag = s.machine.tag().to_owned();
        results.write_extended(&tag, None, &returns, s.machine.output());
    }
    Ok(())
}
