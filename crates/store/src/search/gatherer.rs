//! Gathers the words of new messages into their mailboxes' tails, a moment after they were delivered, on a thread of its own.
//!
//! What a commit tells (`told`) is taken as it is; where something is missing, the rows are read. Nothing waits for this: what is
//! not gathered is read by the searches.

use super::Search;
use super::backlog::Pace;
use super::block;
use super::find::UNINDEXED_MAX;
use super::gathered::Heard;
use super::indexer::{Orders, WAITING_MAX};
use super::tail::Tail;
use super::told::News;
use crate::account::{Detail, MailboxId};
use crate::engine::Snapshot;
use crate::{Error, key};
use proto::proof::AccountId;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Messages, and octets of their details, that are gathered in one step.
pub(super) const GATHERED_MESSAGES: usize = 256;
const GATHERED_BYTES: usize = 1 << 20;
/// Between a delivery and its gathering, so that its answer goes first and those that come meanwhile are taken together.
const GATHER_PAUSE: Duration = Duration::from_millis(2);
/// Between two looks at whether there is room again.
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(20);
/// As long as others want the processors, and what waits can wait, so few messages are gathered after each such pause; by that it
/// is seen whether they still do.
const YIELD_PAUSE: Duration = Duration::from_millis(50);
const YIELDING_MESSAGES: usize = 16;

/// What a step came to.
pub(super) struct Step {
    messages: u32,
    /// There are more.
    pub(super) more: bool,
}

impl Search {
    /// A message was added to a mailbox, above all others: its UID, and its detail as it was committed.
    pub(crate) fn told(&self, account: AccountId, mailbox: MailboxId, uid: u32, detail: Detail) {
        self.news(account, mailbox, 1, Some((uid, detail)));
    }

    /// So many messages were added to a mailbox.
    pub(crate) fn added(&self, account: AccountId, mailbox: MailboxId, messages: u32) {
        self.news(account, mailbox, messages, None);
    }

    /// Those of a mailbox that is used little are gathered when there are some.
    fn news(&self, account: AccountId, mailbox: MailboxId, messages: u32, told: Option<(u32, Detail)>) {
        let id = (account.0, mailbox.0);
        let tail = self.shared.tails.get(id);
        if let Some(tail) = &tail {
            tail.told().tell(told);
        }
        let mut orders = self.orders();
        if tail.is_none() {
            if orders.counted.len() >= WAITING_MAX && !orders.counted.contains_key(&id) {
                return;
            }
            let counted = orders.counted.entry(id).or_default();
            *counted = counted.saturating_add(messages);
            if (*counted as usize) < UNINDEXED_MAX {
                return;
            }
            orders.counted.remove(&id);
        }
        let was_pressing = orders.news.is_pressing();
        orders.news.add(id, messages);
        // To wake a thread that sleeps for a stated time costs more than to let it sleep.
        if std::mem::take(&mut orders.resting) || (!was_pressing && orders.news.is_pressing()) {
            self.shared.news.notify_all();
        }
    }

    /// A mailbox has messages that a search had to read.
    pub(super) fn gather_soon(&self, account: AccountId, mailbox: MailboxId) {
        let mut orders = self.orders();
        orders.news.press((account.0, mailbox.0));
        orders.resting = false;
        self.shared.news.notify_all();
    }

    /// Puts some more messages of a mailbox into its tail, `most` or, if they have to be read from the rows, some more. There are none of a
    /// mailbox that is gone. Waits on this thread.
    pub(super) fn gather(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        most: usize,
        heard: &mut Heard,
    ) -> Result<Step, Error> {
        if let Some(tail) = self.tail(account, mailbox) {
            let mut upto = tail.upto();
            let (told, lacks) = tail.told().take_behind(*upto, most);
            if self.gather_told((account, mailbox), &tail, &mut upto, &told, heard) && !lacks {
                return Ok(Step { messages: told.len() as u32, more: !tail.told().is_empty() });
            }
        }
        let step = self.gather_rows(account, mailbox, most, heard)?;
        if let Some(tail) = self.tail(account, mailbox) {
            let upto = *tail.upto();
            tail.told().forget(upto);
        }
        Ok(step)
    }

    /// Puts those in whose details were told. False if the rows have to be looked at instead, because of a gap, or because a body was
    /// moved meanwhile.
    fn gather_told(
        &self,
        (account, mailbox): (AccountId, MailboxId),
        tail: &Tail,
        upto: &mut u32,
        told: &[News],
        heard: &mut Heard,
    ) -> bool {
        let known = *upto;
        for news in told.iter().skip_while(|news| news.uid <= known) {
            if upto.checked_add(1) != Some(news.uid) || heard.read(self.bodies(), &news.detail()).is_err() {
                return false;
            }
            let full = tail.add(news.uid, heard);
            *upto = news.uid;
            if full {
                self.ask(account, mailbox);
            }
        }
        true
    }

    fn gather_rows(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        most: usize,
        heard: &mut Heard,
    ) -> Result<Step, Error> {
        let snapshot = self.engine().snapshot()?;
        let Some(tail) = self.tail_or_new(&*snapshot, account, mailbox)? else {
            return Ok(Step { messages: 0, more: false });
        };
        let mut upto = tail.upto();
        let (mut rows, mut bytes, mut more) = (Vec::new(), 0, false);
        let from = key::detail(mailbox, upto.saturating_add(1));
        snapshot.scan(key::partition(account), &key::details(mailbox), &from, &mut |key, stored| {
            more = rows.len() >= most || bytes >= GATHERED_BYTES;
            if more {
                return Ok(ControlFlow::Break(()));
            }
            bytes += stored.len();
            rows.extend(key::number32(key, 5).map(|uid| (uid, stored.to_vec())));
            Ok(ControlFlow::Continue(()))
        })?;
        drop(snapshot);
        let messages = rows.len() as u32;
        for (uid, stored) in rows {
            heard.read_stored(self.bodies(), uid, &stored)?;
            let full = tail.add(uid, heard);
            *upto = uid;
            if full {
                self.ask(account, mailbox);
            }
        }
        Ok(Step { messages, more })
    }

    /// The tail of a mailbox; one that begins now is for all messages above its blocks. `None`: there is no such mailbox.
    fn tail_or_new(
        &self,
        snapshot: &dyn Snapshot,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<Arc<Tail>>, Error> {
        if let Some(tail) = self.tail(account, mailbox) {
            return Ok(Some(tail));
        }
        if snapshot.get(key::partition(account), &key::mailbox(mailbox))?.is_none() {
            return Ok(None);
        }
        let heads = block::heads(snapshot, key::search(account), mailbox)?;
        let last = heads.sound.last().map_or(0, |head| head.ends().1);
        Ok(Some(self.shared.tails.begin((account.0, mailbox.0), last)))
    }
}

/// Gathers what is new, for ever.
pub(super) fn gather_all(search: &Search) {
    let (mut heard, mut pace, mut wanted) = (Heard::default(), Pace::default(), false);
    let mut orders = search.orders();
    while !orders.stop {
        if orders.news.is_empty() {
            orders.resting = true;
            orders = search.shared.news.wait(orders).unwrap_or_else(PoisonError::into_inner);
            // A condition variable, so that a store that closes does not wait.
            let pause = search.shared.news.wait_timeout_while(orders, GATHER_PAUSE, |orders| !orders.stop);
            orders = pause.unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        if search.shared.tails.is_full() {
            drop(orders);
            for id in search.shared.tails.make_room(UNINDEXED_MAX as u32) {
                search.ask(AccountId(id.0), MailboxId(id.1));
            }
            let wait = |orders: &mut Orders| !orders.stop && search.shared.tails.is_full();
            let waited = search.shared.news.wait_timeout_while(search.orders(), ROOM_LOOK_EVERY, wait);
            orders = waited.unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        let mut most = GATHERED_MESSAGES;
        if wanted && !orders.news.is_pressing() {
            let wait = |orders: &mut Orders| !orders.stop && !orders.news.is_pressing();
            let waited = search.shared.news.wait_timeout_while(orders, YIELD_PAUSE, wait);
            orders = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !orders.news.is_pressing() {
                most = YIELDING_MESSAGES;
            }
        }
        let Some(next) = orders.news.pop() else { continue };
        drop(orders);
        let step = search.gather(AccountId(next.id.0), MailboxId(next.id.1), most, &mut heard);
        wanted = pace.is_wanted();
        orders = search.orders();
        orders.gathered = Some(Instant::now());
        match step {
            Ok(step) if step.more => orders.news.put_back(next, step.messages),
            Ok(_) => {}
            Err(error) if !orders.stop => {
                let (account, mailbox) = next.id;
                tracing::warn!(account, mailbox, %error, "new messages are not indexed");
            }
            Err(_) => {}
        }
    }
}
