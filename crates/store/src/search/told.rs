//! Details of new messages of a mailbox, on their way from the commit that put them in to the thread that gathers their words: what is
//! told needs not be looked up.
//!
//! What must hold: nothing is told that was not committed; those that wait have UIDs that follow each other, and where one was
//! left out, that is known (`lacks`), so that the rows are looked at. All that wait, of all mailboxes, are bounded. Nobody is told
//! of messages that go again: what searches see of them is nothing, whether they are gathered or not.

use crate::account::{Detail, DetailRef};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Octets that wait, of all mailboxes together. What is beyond is looked up, many in one read.
const TOLD_BYTES_MAX: usize = 8 << 20;

/// Octets that wait of all mailboxes.
pub(super) type Waiting = Arc<AtomicUsize>;

/// Those of one mailbox that wait.
#[derive(Debug)]
pub(super) struct Told {
    queue: VecDeque<News>,
    /// There are messages behind these that were not told.
    lacks: bool,
    waiting: Waiting,
}

/// A new message.
#[derive(Debug)]
pub(super) struct News {
    pub(super) uid: u32,
    detail: Detail,
}

impl News {
    pub(super) fn detail(&self) -> DetailRef<'_> {
        let Detail { prefix, body, header_bytes, saved, gist } = &self.detail;
        let (header_bytes, saved, body) = (*header_bytes, *saved, body.clone());
        DetailRef { uid: self.uid, prefix, body, header_bytes, saved, gist }
    }

    fn bytes(&self) -> usize {
        size_of::<News>() + self.detail.prefix.capacity() + self.detail.gist.capacity()
    }
}

impl Told {
    pub(super) fn new(waiting: Waiting) -> Told {
        Told { queue: VecDeque::new(), lacks: false, waiting }
    }

    /// One more, above all others; or something came of which nothing is known here.
    pub(super) fn tell(&mut self, news: Option<(u32, Detail)>) {
        let Some((uid, detail)) = news else {
            self.lacks = true;
            return;
        };
        let news = News { uid, detail };
        let follows = self.queue.back().is_none_or(|last| last.uid.checked_add(1) == Some(uid));
        let bytes = news.bytes();
        if self.lacks || !follows || self.waiting.load(Ordering::Relaxed) + bytes > TOLD_BYTES_MAX {
            self.lacks = true;
            return;
        }
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
        self.queue.push_back(news);
    }

    /// The same for what comes behind `upto`: where those that wait begin later, they stay, and the rows are looked at up to them.
    pub(super) fn take_behind(&mut self, upto: u32, most: usize) -> (Vec<News>, bool) {
        let is_gap = self.queue.front().is_some_and(|first| first.uid > upto.saturating_add(1));
        if is_gap { (Vec::new(), true) } else { self.take(most) }
    }

    /// The first ones, and whether others are to be looked for in the rows now. What comes later is told again.
    fn take(&mut self, most: usize) -> (Vec<News>, bool) {
        let some: Vec<News> = self.queue.drain(..self.queue.len().min(most)).collect();
        let lacks = self.queue.is_empty() && (std::mem::take(&mut self.lacks) || some.is_empty());
        self.waiting.fetch_sub(some.iter().map(News::bytes).sum(), Ordering::Relaxed);
        (some, lacks)
    }

    /// Those up to `upto` were found in the rows.
    pub(super) fn forget(&mut self, upto: u32) {
        let known = self.queue.partition_point(|news| news.uid <= upto);
        let bytes = self.queue.drain(..known).map(|news| news.bytes()).sum();
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.queue.iter().map(News::bytes).sum(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::BodyRef;

    fn detail(gist: usize) -> Detail {
        let body = BodyRef { hash: [0; 32], segment: 1, offset: 0, len: 1 };
        Detail { prefix: Vec::new(), body, header_bytes: 0, saved: 0, gist: Vec::with_capacity(gist) }
    }

    fn take(told: &mut Told, most: usize) -> (Vec<u32>, bool) {
        let (some, lacks) = told.take(most);
        (some.iter().map(|news| news.uid).collect(), lacks)
    }

    #[test]
    fn those_that_follow_each_other_are_told_until_one_is_missing() {
        let waiting = Waiting::default();
        let mut told = Told::new(waiting.clone());
        assert_eq!(take(&mut told, 9), (vec![], true), "nothing was told: whoever asks looks");
        (5..8).for_each(|uid| told.tell(Some((uid, detail(10)))));
        assert_eq!(take(&mut told, 2), (vec![5, 6], false));
        told.tell(Some((9, detail(10))));
        told.tell(Some((10, detail(10))));
        assert_eq!(take(&mut told, 9), (vec![7], true), "the eighth is missing");
        told.tell(Some((11, detail(10))));
        told.tell(None);
        told.tell(Some((12, detail(10))));
        assert_eq!(take(&mut told, 9), (vec![11], true), "one came of which nothing is known");
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn those_behind_a_gap_wait_until_it_is_closed() {
        let waiting = Waiting::default();
        let mut told = Told::new(waiting.clone());
        let behind = |told: &mut Told, upto| {
            let (some, lacks) = told.take_behind(upto, 2);
            (some.iter().map(|news| news.uid).collect::<Vec<_>>(), lacks)
        };
        (5..10).for_each(|uid| told.tell(Some((uid, detail(10)))));
        assert_eq!(behind(&mut told, 2), (vec![], true));
        // Somebody looked.
        told.forget(5);
        assert_eq!(behind(&mut told, 5), (vec![6, 7], false));
        told.forget(20);
        assert!(told.is_empty() && waiting.load(Ordering::Relaxed) == 0);
    }

    #[test]
    fn all_mailboxes_together_are_bounded() {
        let waiting = Waiting::default();
        let (mut one, mut other) = (Told::new(waiting.clone()), Told::new(waiting.clone()));
        one.tell(Some((1, detail(TOLD_BYTES_MAX - 1000))));
        other.tell(Some((1, detail(2000))));
        assert!(other.is_empty() && waiting.load(Ordering::Relaxed) <= TOLD_BYTES_MAX);
        other.tell(Some((2, detail(1))));
        assert_eq!(take(&mut other, 9), (vec![], true), "nor what comes behind what was left out");
        drop(one);
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
        other.tell(Some((3, detail(2000))));
        assert_eq!(
            take(&mut other, 9),
            (vec![3], false),
            "that the first two are missing is seen by its number"
        );
    }
}
