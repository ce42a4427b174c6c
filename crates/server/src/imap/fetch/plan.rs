//! What a FETCH needs, decided before the first message.

use crate::imap::announce::Style;
use crate::imap::name::right;
use crate::session::imap::{ImapSession, rows};
use proto::imap::command::{Fetch, FetchItem, Partial};
use std::ops::Range;
use std::sync::Arc;
use store::account::{Account, View};
use store::blob::Bodies;

/// One FETCH.
pub(super) struct Plan {
    pub(super) account: Account,
    pub(super) bodies: Bodies,
    /// Numbers.
    pub(super) view: Arc<View>,
    /// Flags.
    pub(super) told: Arc<View>,
    pub(super) items: Vec<FetchItem>,
    pub(super) style: Style,
    pub(super) utf8: bool,
    /// The view knows all that is asked.
    pub(super) plain: bool,
    /// Sets `\Seen`.
    pub(super) sets_seen: bool,
    /// Asks for FLAGS.
    pub(super) has_flags: bool,
}

impl Plan {
    /// `None` if no mailbox is open.
    pub(super) fn new(s: &ImapSession, fetch: &Fetch) -> Option<Plan> {
        let selected = s.selected()?;
        let enabled = s.machine.enabled();
        let mut style = Style::of(enabled);
        style.modseq = enabled.condstore;
        let mut items = Vec::with_capacity(fetch.items.len() + 2);
        // RFC 9051 6.4.9; RFC 7162 3.2.4 with QRESYNC; under UIDONLY the number is the UID (RFC 9586 3.3).
        let with_uid = (fetch.uid || enabled.qresync) && !enabled.uid_only;
        if with_uid && !fetch.items.contains(&FetchItem::Uid) {
            items.push(FetchItem::Uid);
        }
        for item in &fetch.items {
            if !items.contains(item) {
                items.push(item.clone());
            }
        }
        if fetch.changed_since.is_some() && !items.contains(&FetchItem::ModSeq) {
            items.push(FetchItem::ModSeq);
        }
        let sets_seen =
            items.iter().any(is_reading) && !selected.read_only && selected.rights.holds(right::SEEN);
        Some(Plan {
            account: selected.account.clone(),
            bodies: s.app.store.bodies().clone(),
            view: selected.view.clone(),
            told: selected.told.clone(),
            plain: items.iter().all(is_plain),
            has_flags: items.contains(&FetchItem::Flags),
            items,
            style,
            utf8: enabled.utf8_names(),
            sets_seen,
        })
    }

    /// Narrows what was asked for by CHANGEDSINCE and PARTIAL.
    pub(super) fn choose(&self, mut seqs: Vec<Range<u32>>, fetch: &Fetch) -> Vec<Range<u32>> {
        if let Some(since) = fetch.changed_since {
            let mut changed: Vec<Range<u32>> = Vec::new();
            for range in seqs {
                let newer = rows(&self.view, &self.told, range).filter(|(_, row)| row.modseq > since);
                for (seq, _) in newer {
                    match changed.last_mut() {
                        Some(last) if last.end == seq => last.end += 1,
                        _ => changed.push(seq..seq + 1),
                    }
                }
            }
            seqs = changed;
        }
        match fetch.partial {
            Some(partial) => slice(&seqs, partial),
            None => seqs,
        }
    }
}

/// The command makes the client one that knows of MODSEQ (RFC 7162 3.1).
pub(super) fn wants_modseq(fetch: &Fetch) -> bool {
    fetch.changed_since.is_some() || fetch.items.contains(&FetchItem::ModSeq)
}

/// The view's columns have it.
fn is_plain(item: &FetchItem) -> bool {
    use FetchItem::{Flags, InternalDate, ModSeq, Size, Uid};
    matches!(item, Uid | Flags | InternalDate | Size | ModSeq)
}

/// Shows the message to its reader (RFC 9051 6.4.5).
fn is_reading(item: &FetchItem) -> bool {
    matches!(item, FetchItem::Section { peek: false, .. } | FetchItem::Binary { peek: false, .. })
}

/// The messages at these places among those chosen (RFC 9394 3.3).
fn slice(seqs: &[Range<u32>], partial: Partial) -> Vec<Range<u32>> {
    let count: u32 = seqs.iter().map(|range| range.end - range.start).sum();
    let (first, last) = if partial.from_end {
        // -1 is the last.
        let from = (u64::from(count) + 1).saturating_sub(u64::from(partial.last)).max(1);
        let to = (u64::from(count) + 1).saturating_sub(u64::from(partial.first));
        (from, to)
    } else {
        (u64::from(partial.first), u64::from(partial.last))
    };
    let mut chosen = Vec::new();
    let mut before = 0u64;
    for range in seqs {
        let len = u64::from(range.end - range.start);
        // Places in this range, from 0; both at most its length.
        let from = first.saturating_sub(1).saturating_sub(before).min(len) as u32;
        let to = last.saturating_sub(before).min(len) as u32;
        if from < to {
            chosen.push(range.start + from..range.start + to);
        }
        before += len;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_takes_from_either_end() {
        let seqs = [2..5, 10..13, 20..21];
        let cut = |from_end, first, last| -> Vec<(u32, u32)> {
            let cut = slice(&seqs, Partial { from_end, first, last });
            cut.into_iter().map(|range| (range.start, range.end)).collect()
        };
        assert_eq!(cut(false, 1, 2), [(2, 4)]);
        assert_eq!(cut(false, 3, 5), [(4, 5), (10, 12)]);
        assert_eq!(cut(false, 7, 99), [(20, 21)]);
        assert_eq!(cut(false, 8, 99), []);
        assert_eq!(cut(true, 1, 1), [(20, 21)]);
        assert_eq!(cut(true, 2, 4), [(10, 13)]);
        assert_eq!(cut(true, 6, u32::MAX), [(2, 4)]);
        assert_eq!(cut(true, 8, 9), []);
    }
}
