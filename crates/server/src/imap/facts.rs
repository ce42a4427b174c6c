//! What SORT and THREAD compare of messages, read from their details.
//!
//! Texts are decoded and folded once for each message of a command and dropped with it.

use super::no::No;
use proto::message::gist::{Addresses, Gist};
use proto::message::text::{base_subject, fold};
use std::sync::Arc;
use store::account::{Account, View};

/// Details that are read together.
const DETAILS_AT_ONCE: usize = 1024;

/// Takes one value of each of these messages, in their order (ascending sequence numbers). A message that is gone meanwhile, or whose
/// gist is damaged, has the default.
pub(crate) async fn of_each<T: Default>(
    account: &Account,
    view: &Arc<View>,
    seqs: &[u32],
    take: impl Fn(&Gist<'_>) -> T,
) -> Result<Vec<T>, No> {
    let mut values: Vec<T> = Vec::with_capacity(seqs.len());
    for batch in seqs.chunks(DETAILS_AT_ONCE) {
        let uids: Vec<u32> = batch.iter().filter_map(|seq| view.uid(*seq)).collect();
        let details = account.details(view.mailbox.id, uids.clone()).await?;
        let mut details = details.iter().peekable();
        for uid in uids {
            while details.peek().is_some_and(|d| d.as_ref().is_ok_and(|d| d.uid < uid)) {
                details.next();
            }
            let found = details.next_if(|d| d.as_ref().map_or(true, |d| d.uid == uid)).transpose()?;
            let gist = found.as_ref().and_then(|detail| Gist::read(detail.gist));
            values.push(gist.map_or_else(T::default, |gist| take(&gist)));
        }
        tokio::task::yield_now().await;
    }
    Ok(values)
}

/// The base subject, folded (RFC 5256 2.1).
pub(crate) fn subject(gist: &Gist<'_>) -> Box<str> {
    fold(&base_subject(&gist.subject()).0).into()
}

/// What is compared of the first address of a field, folded: its local part, or with `display` the name that is shown.
pub(crate) fn address(gist: &Gist<'_>, which: Addresses, display: bool) -> Box<str> {
    fold(&gist.first_address(which, display)).into()
}
