//! ESEARCH over several mailboxes (RFC 7377).
//!
//! One `* ESEARCH` line for each mailbox that has a match, with its name and UIDVALIDITY; results are UIDs. Mailboxes that the
//! user may not read are passed over. One mailbox is open at a time.

use super::list::tree::is_below;
use super::name::{Seeker, Visible, is_others, right};
use super::no::{No, blocking, finish};
use super::search::answer::{Place, Results};
use super::search::{self, evaluate};
use crate::clock::unix_now;
use crate::session::FLUSH_BYTES;
use crate::session::imap::ImapSession;
use evaluate::Haystack;
use net::drive::Wire;
use proto::imap::code::Code;
use proto::imap::command::{MailboxFilter, Returns, Search, Source};
use proto::imap::language::Text;
use proto::machine::Machine as _;
use std::collections::HashSet;
use store::account::INBOX;

/// ESEARCH.
pub(crate) async fn multisearch(
    s: &mut ImapSession,
    sources: Vec<Source>,
    search: Search,
    wire: &mut Wire<'_>,
) {
    let done = run(s, sources, &search, wire).await;
    finish(s, done.map(|()| None), Text::Found).await;
}

async fn run(
    s: &mut ImapSession,
    sources: Vec<Source>,
    search: &Search,
    wire: &mut Wire<'_>,
) -> Result<(), No> {
    search::check_relevancy(search)?;
    let returns = search.returns.unwrap_or_default();
    if evaluate::has_modseq(&search.key) {
        super::select::enable_condstore(s);
    }
    let sources = if sources.is_empty() { vec![MailboxFilter::Selected] } else { sources };
    if (returns.save || returns.update) && sources.iter().any(|source| *source != MailboxFilter::Selected) {
        // RFC 7377 2.2: a result of several mailboxes cannot be what `$` means, nor be kept up to date.
        return Err(No::bad(None, Text::SaveAlone));
    }
    search::check_update(s, search)?;
    for place in chosen(s, sources).await? {
        one(s, &place, search, &returns, wire).await?;
        if s.machine.output().len() >= FLUSH_BYTES && wire.flush(s.machine.output()).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn one(
    s: &mut ImapSession,
    place: &Visible,
    search: &Search,
    returns: &Returns,
    wire: &mut Wire<'_>,
) -> Result<(), No> {
    let account = place.found.account.clone();
    let id = place.found.mailbox.id;
    // The open mailbox is searched as the client knows it, and `$` and sequence numbers are of it alone.
    let open = s.selected().filter(|open| open.view.mailbox.id == id && open.account.id() == account.id());
    let (view, saved) = match open {
        Some(open) => (open.view.clone(), open.saved.clone()),
        None => match account.open(id).await? {
            Some(view) => (view, Vec::new()),
            None => return Ok(()),
        },
    };
    let mut haystack = Haystack::new(account, view.clone(), saved, unix_now());
    let found = search::patiently(s, haystack.find(&search.key), wire).await?;
    let rows = || found.seqs().filter_map(|seq| view.row(seq));
    let numbers: Vec<u32> = rows().map(|row| row.uid).collect();
    if returns.save {
        search::save(s, returns, &numbers, None);
    }
    if returns.update {
        search::context::keep(s, search, None, &numbers);
    }
    if numbers.is_empty() {
        return Ok(());
    }
    let modseqs: Option<Vec<u64>> =
        evaluate::has_modseq(&search.key).then(|| rows().map(|row| row.modseq).collect());
    let results = Results { numbers: &numbers, uid: true, sorted: false, modseqs: modseqs.as_deref() };
    let utf8 = s.machine.enabled().utf8_names();
    let told = Place { name: &place.name, uid_validity: view.mailbox.uid_validity, utf8 };
    let tag = s.machine.tag().to_owned();
    results.write_extended(&tag, Some(told), returns, s.machine.output());
    Ok(())
}

/// The mailboxes that the sources name, each once, those of the first source first.
async fn chosen(s: &ImapSession, sources: Vec<Source>) -> Result<Vec<Visible>, No> {
    let seeker = Seeker::of(s)?;
    let user = s.user.as_deref().ok_or_else(No::no_login)?;
    let open = user.selected.as_ref().map(|open| (open.account.id(), open.view.mailbox.id));
    if open.is_none() && sources.contains(&MailboxFilter::Selected) {
        return Err(No::bad(Some(Code::ClientBug), Text::NothingToSearch));
    }
    let others = sources.iter().any(reaches_others);
    let found = blocking(move || {
        let visible = seeker.visible(true, others)?;
        let subscribed: HashSet<String> = if sources.contains(&MailboxFilter::Subscribed) {
            seeker.account.subscriptions()?.into_iter().collect()
        } else {
            HashSet::new()
        };
        let mut found: Vec<Visible> = Vec::new();
        let mut known = HashSet::new();
        for source in &sources {
            for one in visible.iter().filter(|one| one.found.rights.holds(right::READ)) {
                let place = (one.found.account.id(), one.found.mailbox.id);
                let fits = match source {
                    MailboxFilter::Selected | MailboxFilter::SelectedDelayed => Some(place) == open,
                    filter => fits(filter, &one.name, &subscribed),
                };
                if fits && known.insert(place) {
                    found.push(one.clone());
                }
            }
        }
        Ok(found)
    });
    found.await
}

/// Is a name among those that a filter means (RFC 5465 section 6, RFC 7377 2.2)? For filters other than the open mailbox.
pub(crate) fn fits(filter: &MailboxFilter, name: &str, subscribed: &HashSet<String>) -> bool {
    match filter {
        MailboxFilter::Selected | MailboxFilter::SelectedDelayed => false,
        MailboxFilter::Inboxes => name == INBOX,
        MailboxFilter::Personal => !is_others(name),
        MailboxFilter::Subscribed => subscribed.contains(name),
        MailboxFilter::Subtree(roots) => roots.iter().any(|root| name == root || is_below(name, root)),
        MailboxFilter::SubtreeOne(roots) => roots
            .iter()
            .any(|root| name == root || is_below(name, root) && !name[root.len() + 1..].contains('/')),
        MailboxFilter::Mailboxes(names) => names.iter().any(|known| known == name),
    }
}

/// May a filter mean mailboxes of others?
pub(crate) fn reaches_others(filter: &MailboxFilter) -> bool {
    match filter {
        MailboxFilter::Selected | MailboxFilter::SelectedDelayed | MailboxFilter::Subscribed => true,
        MailboxFilter::Inboxes | MailboxFilter::Personal => false,
        MailboxFilter::Subtree(names)
        | MailboxFilter::SubtreeOne(names)
        | MailboxFilter::Mailboxes(names) => names.iter().any(|name| is_others(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_mean_what_the_rfcs_say() {
        let subscribed = HashSet::from(["a/b".to_owned()]);
        let fits = |filter: &MailboxFilter, name| fits(filter, name, &subscribed);
        let roots = vec!["a".to_owned()];
        let tree = MailboxFilter::Subtree(roots.clone());
        assert!(fits(&tree, "a") && fits(&tree, "a/b/c") && !fits(&tree, "ab"));
        let one = MailboxFilter::SubtreeOne(roots.clone());
        assert!(fits(&one, "a") && fits(&one, "a/b") && !fits(&one, "a/b/c"));
        let exact = MailboxFilter::Mailboxes(roots);
        assert!(fits(&exact, "a") && !fits(&exact, "a/b"));
        assert!(fits(&MailboxFilter::Subscribed, "a/b") && !fits(&MailboxFilter::Subscribed, "a"));
        assert!(fits(&MailboxFilter::Inboxes, "INBOX") && !fits(&MailboxFilter::Inboxes, "INBOX/x"));
        assert!(fits(&MailboxFilter::Personal, "a") && !fits(&MailboxFilter::Personal, "Other Users/b@c/d"));
    }
}
