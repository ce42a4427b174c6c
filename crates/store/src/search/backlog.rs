//! Messages that wait for their words to be gathered, and when it is better to let them wait.
//!
//! Where others want the processors, most of what is new waits until they do not, up to stated numbers: a burst of mail is taken in faster,
//! and its words are gathered when it is over. What waits is read by searches, so it is bounded for each mailbox; a
//! mailbox that a search asks for does not wait. A priority so low that the system does the same by itself (`SCHED_IDLE`) is
//! not used: the thread has locks for moments that deliveries want too, and could lose the processor for long while it holds one.

use super::indexer::Queue;
use super::tail::Id;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Messages that wait in one mailbox: a search reads so many in some 8 ms.
const MAILBOX_MESSAGES_MAX: u32 = 128;
/// And in all together: less than a second's mail.
const MESSAGES_MAX: u64 = 2048;
/// Between two looks at how much the processors are wanted.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The processors are wanted if the thread waits for one longer than this part of the time for which it has one.
const WAITS_PART: u64 = 2;

/// Mailboxes with messages to be gathered, each once and in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    order: Queue,
    /// These go first.
    pressing: Queue,
    /// How many messages wait, as far as it is known. Whoever is in neither queue is not here.
    counts: HashMap<Id, u32>,
    total: u64,
}

impl Backlog {
    /// So many messages more.
    pub(super) fn add(&mut self, id: Id, messages: u32) {
        // One that was taken as pressing may still be there.
        if !self.order.push(id) && !self.order.has(id) {
            return;
        }
        let count = self.counts.entry(id).or_default();
        self.total += u64::from(count.saturating_add(messages) - *count);
        *count = count.saturating_add(messages);
        if *count >= MAILBOX_MESSAGES_MAX {
            self.pressing.push(id);
        }
    }

    /// Somebody wants it.
    pub(super) fn press(&mut self, id: Id) {
        self.add(id, 0);
        if self.counts.contains_key(&id) {
            self.pressing.push(id);
        }
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<Next> {
        loop {
            let pressing = self.pressing.pop();
            let id = pressing.or_else(|| self.order.pop())?;
            if let Some(messages) = self.counts.remove(&id) {
                self.total -= u64::from(messages);
                return Some(Next { id, messages, is_pressing: pressing.is_some() });
            }
        }
    }

    /// So many of its messages are done, but not all: it comes behind the others.
    pub(super) fn put_back(&mut self, next: Next, done: u32) {
        self.add(next.id, next.messages.saturating_sub(done));
        if next.is_pressing {
            self.press(next.id);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// It cannot wait.
    pub(super) fn is_pressing(&self) -> bool {
        !self.pressing.is_empty() || self.total >= MESSAGES_MAX
    }
}

/// A mailbox whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) id: Id,
    /// Messages that are known of.
    messages: u32,
    is_pressing: bool,
}

/// How much the processors are wanted, as the thread that asks finds.
#[derive(Debug, Default)]
pub(super) struct Pace {
    looked: Option<Instant>,
    times: Option<Times>,
    wanted: bool,
}

/// Of a thread, in nanoseconds: how long it had a processor, and how long it could have used one.
#[derive(Clone, Copy, Debug)]
struct Times {
    ran: u64,
    waited: u64,
}

impl Pace {
    /// Others want the processors. Where the system does not tell, nobody does.
    pub(super) fn is_wanted(&mut self) -> bool {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            self.looked = Some(Instant::now());
            let told = std::fs::read_to_string("/proc/thread-self/schedstat");
            self.judge(told.ok().and_then(|text| Times::parse(&text)));
        }
        self.wanted
    }

    fn judge(&mut self, now: Option<Times>) {
        let before = std::mem::replace(&mut self.times, now);
        self.wanted = before.zip(now).is_some_and(|(before, now)| {
            let (ran, waited) =
                (now.ran.saturating_sub(before.ran), now.waited.saturating_sub(before.waited));
            waited > ran / WAITS_PART
        });
    }
}

impl Times {
    /// Linux, `Documentation/scheduler/sched-stats.rst`, of a process: time on a processor, time that it waited for one.
    fn parse(text: &str) -> Option<Times> {
        let mut numbers = text.split_ascii_whitespace().map(str::parse);
        let (ran, waited) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(Times { ran, waited })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_come_in_their_order_unless_one_is_pressing() {
        let mut backlog = Backlog::default();
        assert!(backlog.is_empty() && backlog.pop().is_none());
        [(1, 1), (1, 2), (1, 1), (1, 3)].into_iter().for_each(|id| backlog.add(id, 2));
        assert!(!backlog.is_pressing());
        let next = |id, messages, is_pressing| Some(Next { id, messages, is_pressing });
        assert_eq!(backlog.pop(), next((1, 1), 4, false));
        backlog.press((1, 3));
        assert!(backlog.is_pressing());
        let third = backlog.pop();
        assert_eq!(third, next((1, 3), 2, true));
        assert!(!backlog.is_pressing());
        // It comes once, in the place that it had.
        backlog.add((1, 3), 5);
        backlog.add((1, 2), MAILBOX_MESSAGES_MAX);
        assert!(backlog.is_pressing());
        assert_eq!(backlog.pop(), next((1, 2), 2 + MAILBOX_MESSAGES_MAX, true));
        assert_eq!((backlog.pop(), backlog.pop()), (next((1, 3), 5, false), None));
        assert!(backlog.is_empty() && backlog.total == 0);
        // What was begun because it was pressing is finished.
        backlog.put_back(third.unwrap(), 1);
        assert!(backlog.is_pressing());
        assert_eq!(backlog.pop(), next((1, 3), 1, true));
        backlog.put_back(Next { id: (1, 4), messages: 900, is_pressing: false }, 899);
        assert_eq!((backlog.is_pressing(), backlog.pop()), (false, next((1, 4), 1, false)));
    }

    #[test]
    fn what_waits_in_all_mailboxes_together_is_bounded() {
        let mut backlog = Backlog::default();
        let each = MAILBOX_MESSAGES_MAX - 1;
        let enough = (MESSAGES_MAX as u32).div_ceil(each);
        (1..enough).for_each(|n| backlog.add((1, n), each));
        assert!(!backlog.is_pressing());
        backlog.add((1, enough), each);
        assert!(backlog.is_pressing());
        backlog.pop();
        assert!(!backlog.is_pressing());
    }

    #[test]
    fn who_waits_about_as_long_as_it_runs_sees_that_others_want_the_processors() {
        let mut pace = Pace::default();
        let mut look = |text: &str| {
            pace.judge(Times::parse(text));
            pace.wanted
        };
        assert!(!look("1000 90000 3\n"), "what was before says nothing");
        assert!(!look("2000 90500 4\n"));
        assert!(look("3000 91001 5\n"));
        assert!(!look("3000 91001 5\n"));
        assert!(!look(""), "a system that does not tell");
        assert!(!look("4000 99999 6\n"));
        assert!(look("4000 200000 6\n"));
        assert!(Times::parse(&std::fs::read_to_string("/proc/thread-self/schedstat").unwrap()).is_some());
    }
}
