//! Gathers the words of new messages into their mailboxes' tails, a moment after they were delivered, on a thread of its own.
//!
//! What a commit tells (`told`) is taken as it is; where something is missing, the rows are read. Nothing waits for this: what is
//! not gathered is read by the searches.

use super::Search;
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
const GATHERED_MESSAGES: usize = 256;
const GATHERED_BYTES: usize = 1 << 20;
/// Between a delivery and its gathering, so that its answer goes first and those that come meanwhile are taken together.
const GATHER_PAUSE: Duration = Duration::from_millis(2);
/// Between two looks at whether there is room again.
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(20);

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
        if orders.news.push(id) {
            self.shared.news.notify_all();
        }
    }

    /// A mailbox has messages that a search had to read.
    pub(super) fn gather_soon(&self, account: AccountId, mailbox: MailboxId) {
        if self.orders().news.push((account.0, mailbox.0)) {
            self.shared.news.notify_all();
        }
    }

    /// Puts some more messages of a mailbox into its tail. False: there are no more, or no mailbox. Waits on this thread.
    pub(super) fn gather(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        heard: &mut Heard,
    ) -> Result<bool, Error> {
        if let Some(tail) = self.tail(account, mailbox) {
            let mut upto = tail.upto();
            let (told, lacks) = tail.told().take(GATHERED_MESSAGES);
            if self.gather_told((account, mailbox), &tail, &mut upto, &told, heard) && !lacks {
                return Ok(!tail.told().is_empty());
            }
        }
        self.gather_rows(account, mailbox, heard)
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

    fn gather_rows(&self, account: AccountId, mailbox: MailboxId, heard: &mut Heard) -> Result<bool, Error> {
        let snapshot = self.engine().snapshot()?;
        let Some(tail) = self.tail_or_new(&*snapshot, account, mailbox)? else { return Ok(false) };
        let mut upto = tail.upto();
        let (mut rows, mut bytes, mut more) = (Vec::new(), 0, false);
        let from = key::detail(mailbox, upto.saturating_add(1));
        snapshot.scan(key::partition(account), &key::details(mailbox), &from, &mut |key, stored| {
            more = rows.len() >= GATHERED_MESSAGES || bytes >= GATHERED_BYTES;
            if more {
                return Ok(ControlFlow::Break(()));
            }
            bytes += stored.len();
            rows.extend(key::number32(key, 5).map(|uid| (uid, stored.to_vec())));
            Ok(ControlFlow::Continue(()))
        })?;
        drop(snapshot);
        for (uid, stored) in rows {
            heard.read_stored(self.bodies(), uid, &stored)?;
            let full = tail.add(uid, heard);
            *upto = uid;
            if full {
                self.ask(account, mailbox);
            }
        }
        Ok(more)
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
    let mut heard = Heard::default();
    let mut orders = search.orders();
    while !orders.stop {
        if orders.news.order.is_empty() {
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
        let Some(id) = orders.news.pop() else { continue };
        drop(orders);
        let more = search.gather(AccountId(id.0), MailboxId(id.1), &mut heard);
        orders = search.orders();
        orders.gathered = Some(Instant::now());
        match more {
            // Behind the others.
            Ok(true) => drop(orders.news.push(id)),
            Ok(false) => {}
            Err(error) if !orders.stop => {
                tracing::warn!(account = id.0, mailbox = id.1, %error, "new messages are not indexed");
            }
            Err(_) => {}
        }
    }
}
