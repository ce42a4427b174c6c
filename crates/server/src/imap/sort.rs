//! SORT (RFC 5256), by displayed names too (RFC 5957), with the extended answers of RFC 5267, also live.

use super::no::{No, blocking};
use super::search::answer::{Results, window};
use super::search::{self, context, evaluate};
use crate::session::imap::ImapSession;
use net::drive::Wire;
use proto::imap::command::{Search, SortBy, SortKey};
use proto::imap::language::Text;
use proto::machine::Machine as _;
use std::cmp::Ordering;
use std::sync::Arc;
use store::account::{Account, View};
use store::search::{Address, Columns, SortKeys};

/// SORT and UID SORT.
pub(crate) async fn sort(s: &mut ImapSession, order: Vec<SortBy>, search: Search, wire: &mut Wire<'_>) {
    let expunges = s.machine.may_expunge();
    s.announce(expunges).await;
    let saves = search.returns.is_some_and(|returns| returns.save);
    match run(s, &order, &search, wire).await {
        Ok(()) => s.machine.ok(None, Text::Sorted),
        Err(no) => {
            search::forget_saved(s, saves, &no);
            no.tell(s);
        }
    }
}

async fn run(s: &mut ImapSession, order: &[SortBy], search: &Search, wire: &mut Wire<'_>) -> Result<(), No> {
    search::check_relevancy(search)?;
    search::check_update(s, search)?;
    let found = search::find(s, &search.key, wire).await?;
    let open = search::selected(s)?;
    let (account, view) = (open.account.clone(), open.view.clone());
    let seqs = found.seqs().collect();
    let sorted = async { Sorter::new(&account, &view, order).await?.all(seqs).await };
    let sorted = search::patiently(s, sorted, wire).await?;
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
        let ascending: Vec<u32> = found.seqs().filter_map(|seq| view.uid(seq)).collect();
        let shown = returns.partial.map(|partial| {
            sorted[window(partial, sorted.len())].iter().filter_map(uid).collect::<Vec<u32>>()
        });
        search::save(s, &returns, &ascending, shown.as_deref());
    }
    if returns.update {
        let uids: Vec<u32> = sorted.iter().filter_map(uid).collect();
        context::keep(s, search, Some(order), &uids);
    }
    results.write_extended(&tag, None, &returns, s.machine.output());
    Ok(())
}

/// What messages are sorted by, at hand.
#[derive(Clone, Debug)]
pub(crate) struct Sorter {
    view: Arc<View>,
    columns: Option<Arc<Columns>>,
    keys: Option<Arc<SortKeys>>,
    order: Vec<SortBy>,
}

impl Sorter {
    /// For messages of this view.
    pub(crate) async fn new(account: &Account, view: &Arc<View>, order: &[SortBy]) -> Result<Sorter, No> {
        let asks = |of: fn(SortKey) -> bool| order.iter().any(|by| of(by.what));
        let columns = match asks(|what| what == SortKey::Date) {
            true => Some(account.columns(view).await?),
            false => None,
        };
        let keys = match asks(|what| what == SortKey::Subject || address(what).is_some()) {
            true => Some(account.sort_keys(view).await?),
            false => None,
        };
        Ok(Sorter { view: view.clone(), columns, keys, order: order.to_vec() })
    }

    /// These messages (ascending) in the order asked for; what is equal stays in the order of the mailbox (RFC 5256 section 3).
    async fn all(self, seqs: Vec<u32>) -> Result<Vec<u32>, No> {
        blocking(move || {
            let ranks = self.ranks(&seqs);
            let mut places: Vec<u32> = (0..seqs.len() as u32).collect();
            places.sort_unstable_by(|a, b| compare(&ranks, *a as usize, *b as usize).then(a.cmp(b)));
            Ok(places.into_iter().filter_map(|place| seqs.get(place as usize).copied()).collect())
        })
        .await
    }

    /// Which of two messages comes first. What it goes by never changes of a message.
    pub(crate) fn compare(&self, a: u32, b: u32) -> Ordering {
        compare(&self.ranks(&[a, b]), 0, 1).then(a.cmp(&b))
    }

    fn ranks(&self, seqs: &[u32]) -> Vec<(Ranks<'_>, bool)> {
        let (columns, keys) = (self.columns.as_deref(), self.keys.as_deref());
        let order = self.order.iter();
        order
            .filter_map(|by| Some((ranks_of(&self.view, columns, keys, seqs, by.what)?, by.reverse)))
            .collect()
    }
}

/// What is compared of each message.
#[derive(Debug)]
enum Ranks<'a> {
    Number(Vec<i64>),
    Text(Vec<&'a str>),
}

fn compare(ranks: &[(Ranks<'_>, bool)], a: usize, b: usize) -> Ordering {
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

/// The address that a criterion compares, if it compares one.
fn address(what: SortKey) -> Option<Address> {
    match what {
        SortKey::From => Some(Address::From),
        SortKey::To => Some(Address::To),
        SortKey::Cc => Some(Address::Cc),
        SortKey::DisplayFrom => Some(Address::DisplayFrom),
        SortKey::DisplayTo => Some(Address::DisplayTo),
        _ => None,
    }
}

/// One criterion's values; `None` if it decides nothing.
fn ranks_of<'a>(
    view: &View,
    columns: Option<&Columns>,
    keys: Option<&'a SortKeys>,
    seqs: &[u32],
    what: SortKey,
) -> Option<Ranks<'a>> {
    let rows = || seqs.iter().filter_map(|seq| view.row(*seq));
    Some(match what {
        SortKey::Arrival => Ranks::Number(rows().map(|row| row.received).collect()),
        SortKey::Size => {
            Ranks::Number(rows().map(|row| i64::try_from(row.size).unwrap_or(i64::MAX)).collect())
        }
        SortKey::Date => Ranks::Number(seqs.iter().map(|seq| columns.map_or(0, |c| c.sent(*seq))).collect()),
        SortKey::Subject => {
            Ranks::Text(seqs.iter().map(|seq| keys.map_or("", |keys| keys.subject(*seq))).collect())
        }
        // All matches are exact and score the same (RFC 6203 section 5).
        SortKey::Relevancy => return None,
        what => {
            let which = address(what)?;
            Ranks::Text(seqs.iter().map(|seq| keys.map_or("", |keys| keys.address(which, *seq))).collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_criterion_decides_where_the_one_before_does_not() {
        let texts = Ranks::Text(vec!["b", "a", "b", "a"]);
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
