//! SORT (RFC 5256), by displayed names too (RFC 5957), with the extended answers of RFC 5267.

use super::facts;
use super::no::No;
use super::search::answer::Results;
use super::search::{self, context, evaluate};
use crate::session::imap::ImapSession;
use net::drive::Wire;
use proto::imap::command::{Search, SortBy, SortKey};
use proto::machine::Machine as _;
use proto::message::gist::Addresses;
use std::cmp::Ordering;
use std::sync::Arc;
use store::account::{Account, View};

/// SORT and UID SORT.
pub(crate) async fn sort(s: &mut ImapSession, order: Vec<SortBy>, search: Search, wire: &mut Wire<'_>) {
    let expunges = s.machine.may_expunge();
    s.announce(expunges).await;
    let saves = search.returns.is_some_and(|returns| returns.save);
    match run(s, &order, &search, wire).await {
        Ok(()) => s.machine.ok(None, "That is the order"),
        Err(no) => {
            search::forget_saved(s, saves);
            no.tell(s);
        }
    }
}

async fn run(s: &mut ImapSession, order: &[SortBy], search: &Search, wire: &mut Wire<'_>) -> Result<(), No> {
    search::check_relevancy(search)?;
    let found = search::find(s, &search.key, wire).await?;
    let open = search::selected(s)?;
    let (account, view) = (open.account.clone(), open.view.clone());
    let seqs: Vec<u32> = found.seqs().collect();
    let sorted = search::patiently(s, in_order(&account, &view, &seqs, order), wire).await?;
    let uid = |seq: &u32| view.uid(*seq);
    let numbers: Vec<u32> = if search.uid { sorted.iter().filter_map(uid).collect() } else { sorted.clone() };
    let modseqs: Option<Vec<u64>> = evaluate::has_modseq(&search.key)
        .then(|| sorted.iter().filter_map(|seq| view.row(*seq)).map(|row| row.modseq).collect());
    let results = Results { numbers: &numbers, uid: search.uid, sorted: true, modseqs: modseqs.as_deref() };
    let Some(returns) = search.returns else {
        results.write_plain("SORT", s.machine.output());
        return Ok(());
    };
    let tag = s.machine.tag().to_owned();
    if returns.save {
        let ascending: Vec<u32> = seqs.iter().filter_map(uid).collect();
        search::save(s, &returns, &ascending);
    }
    if returns.update {
        context::refuse(s, tag.clone());
    }
    results.write_extended(&tag, None, &returns, s.machine.output());
    Ok(())
}

/// These messages (ascending) in the order asked for; what is equal stays in the order of the mailbox (RFC 5256 section 3).
pub(crate) async fn in_order(
    account: &Account,
    view: &Arc<View>,
    seqs: &[u32],
    order: &[SortBy],
) -> Result<Vec<u32>, No> {
    let mut ranks: Vec<(Ranks, bool)> = Vec::with_capacity(order.len());
    for by in order {
        if let Some(column) = column(account, view, seqs, by.what).await? {
            ranks.push((column, by.reverse));
        }
    }
    let mut places: Vec<u32> = (0..seqs.len() as u32).collect();
    places.sort_unstable_by(|a, b| compare(&ranks, *a as usize, *b as usize).then(a.cmp(b)));
    Ok(places.into_iter().filter_map(|place| seqs.get(place as usize).copied()).collect())
}

/// What is compared of each message.
#[derive(Debug)]
enum Ranks {
    Number(Vec<i64>),
    Text(Vec<Box<str>>),
}

fn compare(ranks: &[(Ranks, bool)], a: usize, b: usize) -> Ordering {
    for (column, reverse) in ranks {
        let order = match column {
            Ranks::Number(values) => values.get(a).cmp(&values.get(b)),
            Ranks::Text(values) => values.get(a).cmp(&values.get(b)),
        };
        if order != Ordering::Equal {
            return if *reverse { order.reverse() } else { order };
        }
    }
    Ordering::Equal
}

async fn column(
    account: &Account,
    view: &Arc<View>,
    seqs: &[u32],
    what: SortKey,
) -> Result<Option<Ranks>, No> {
    let rows = || seqs.iter().filter_map(|seq| view.row(*seq));
    let address = |which, display| async move {
        let texts = facts::of_each(account, view, seqs, |gist| facts::address(gist, which, display));
        texts.await.map(|texts| Some(Ranks::Text(texts)))
    };
    match what {
        SortKey::Arrival => Ok(Some(Ranks::Number(rows().map(|row| row.received).collect()))),
        SortKey::Size => {
            let sizes = rows().map(|row| i64::try_from(row.size).unwrap_or(i64::MAX));
            Ok(Some(Ranks::Number(sizes.collect())))
        }
        SortKey::Date => {
            let columns = account.columns(view).await?;
            Ok(Some(Ranks::Number(seqs.iter().map(|seq| columns.sent(*seq)).collect())))
        }
        SortKey::Subject => {
            let subjects = facts::of_each(account, view, seqs, facts::subject).await?;
            Ok(Some(Ranks::Text(subjects)))
        }
        SortKey::From => address(Addresses::From, false).await,
        SortKey::To => address(Addresses::To, false).await,
        SortKey::Cc => address(Addresses::Cc, false).await,
        SortKey::DisplayFrom => address(Addresses::From, true).await,
        SortKey::DisplayTo => address(Addresses::To, true).await,
        // All matches are exact and score the same (RFC 6203 section 5).
        SortKey::Relevancy => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_criterion_decides_where_the_one_before_does_not() {
        let texts = Ranks::Text(["b", "a", "b", "a"].map(Box::from).to_vec());
        let numbers = Ranks::Number(vec![1, 2, 3, 2]);
        let ranks = [(texts, false), (numbers, true)];
        let mut places = [0usize, 1, 2, 3];
        places.sort_by(|a, b| compare(&ranks, *a, *b));
        assert_eq!(
            places,
            [1, 3, 2, 0],
            "equal ones keep their order, REVERSE turns its own criterion alone"
        );
    }
}
