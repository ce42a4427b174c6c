//! Keeps the index of mailboxes up to date, on two threads.
//!
//! One gathers the words of new messages into the mailbox's tail (`gatherer`). The other
//! makes blocks of tails that are full, and merges blocks that follow each other so that each is some times larger than
//! all behind it: a message is written a few times in its life, and a search looks at few blocks. A message whose
//! block was lost becomes part of a new one in the same place. Nothing waits for the index: what it lacks is read. Both threads let others go first.

use super::backlog::Backlog;
use super::block::{self, BLOCK_MESSAGES_MAX, Fresh, Head, Section};
use super::find::UNINDEXED_MAX;
use super::gathered::{Gathered, Heard};
use super::gatherer::{GATHERED_MESSAGES, gather_all};
use super::tail::{Id, Tail};
use super::terms::Terms;
use super::{Search, TermsKey};
use crate::account::{self, MailboxId};
use crate::engine::Snapshot;
use crate::row::MailboxRow;
use crate::{Error, key};
use proto::proof::AccountId;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Messages that are indexed in one step.
const STEP_MESSAGES_MAX: usize = 4096;
/// Octets that one step holds in memory, about.
const STEP_BYTES_MAX: usize = 48 << 20;
/// A mailbox in whose tail nothing was put for so long gets a block of it.
const QUIET: Duration = Duration::from_secs(60);
/// Between two looks at which are quiet.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Blocks are merged while their terms are together at most so large. Postings may grow by some factor, as gaps become
/// longer: what comes out is well below what `terms` can hold.
const MERGED_BYTES_MAX: u64 = 20 << 20;
/// A block is at least so many times larger than all that is behind it.
const GROWTH: u64 = 4;
/// As long as new messages were gathered so lately, blocks of a mailbox that has not many are not merged: whoever delivers needs the
/// processor more, and what comes in a burst is merged once instead of a few times.
const BURST: Duration = Duration::from_secs(1);
const BURST_BLOCKS_MAX: usize = 16;
/// Mailboxes that wait; more are found by a search, or at the next start.
pub(super) const WAITING_MAX: usize = 65536;
/// After an error, which is most likely a full disk.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(10);

/// A tenth of a processor is left to each thread where all are busy.
const NICE: i32 = 10;

/// What the threads are asked to do.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Mailboxes without a tail that got so many new messages each.
    pub(super) counted: HashMap<Id, u32>,
    /// Mailboxes with messages to be gathered.
    pub(super) news: Backlog,
    /// Who gathers has nothing to do and waits to be told.
    pub(super) resting: bool,
    /// Mailboxes whose blocks are to be looked at.
    due: Queue,
    /// Mailboxes whose blocks are to be merged when the burst is over.
    later: Queue,
    /// When messages were gathered last.
    pub(super) gathered: Option<Instant>,
    /// Blocks that a search could not read: account, mailbox, number.
    damaged: HashSet<(u64, u32, u64)>,
    pub(super) stop: bool,
}

impl Orders {
    /// Puts the merging of a mailbox's blocks off while messages come. False: there is no burst.
    fn put_off(&mut self, id: Id) -> bool {
        let burst = self.is_burst();
        if burst {
            self.later.push(id);
        }
        burst
    }

    fn is_burst(&self) -> bool {
        self.gathered.is_some_and(|last| last.elapsed() < BURST)
    }

    /// What was put off is due, if the burst is over.
    fn after_burst(&mut self) {
        while !self.is_burst()
            && let Some(id) = self.later.pop()
        {
            self.due.push(id);
        }
    }
}

/// Mailboxes, each once and in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Queue {
    order: VecDeque<Id>,
    set: HashSet<Id>,
}

impl Queue {
    /// True if it was not there and is now.
    pub(super) fn push(&mut self, id: Id) -> bool {
        let fresh = self.order.len() < WAITING_MAX && self.set.insert(id);
        if fresh {
            self.order.push_back(id);
        }
        fresh
    }

    pub(super) fn pop(&mut self) -> Option<Id> {
        let id = self.order.pop_front()?;
        self.set.remove(&id);
        Some(id)
    }

    pub(super) fn has(&self, id: Id) -> bool {
        self.set.contains(&id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

impl Search {
    /// A mailbox is to be looked at soon. If it is gone, so is its index then.
    pub(crate) fn ask(&self, account: AccountId, mailbox: MailboxId) {
        if self.orders().due.push((account.0, mailbox.0)) {
            self.shared.wake.notify_all();
        }
    }

    /// A block could not be read.
    pub(super) fn distrust(&self, account: AccountId, mailbox: MailboxId, number: u64) {
        let mut orders = self.orders();
        if orders.damaged.len() < WAITING_MAX {
            orders.damaged.insert((account.0, mailbox.0, number));
        }
        drop(orders);
        self.ask(account, mailbox);
    }

    pub(super) fn orders(&self) -> std::sync::MutexGuard<'_, Orders> {
        // Nothing is left half done by a panic in any critical section here.
        self.shared.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts everything of a mailbox into blocks. Waits on this thread.
    pub(crate) fn catch_up(&self, account: AccountId, mailbox: MailboxId) -> Result<(), Error> {
        let mut heard = Heard::default();
        while self.gather(account, mailbox, GATHERED_MESSAGES, &mut heard)?.more && !self.orders().stop {
            if self.shared.tails.is_full() {
                self.index(account, mailbox, false)?;
            }
        }
        if let Some(tail) = self.tail(account, mailbox) {
            tail.close();
        }
        self.index(account, mailbox, false)
    }

    /// Writes what is full of its tail, mends what is damaged, and merges; with `patient`, that may be put off.
    fn index(&self, account: AccountId, mailbox: MailboxId, patient: bool) -> Result<(), Error> {
        let mut sound = self.shared.building.lock().unwrap_or_else(PoisonError::into_inner);
        // A crash, an error or a panic leaves rows without a head, and then the mailbox is not among these.
        let highest = match sound.remove(&(account.0, mailbox.0)) {
            true => 0,
            false => block::remove_orphans(self.engine(), key::search(account), mailbox)?,
        };
        self.shared.numbers.fetch_max(highest + 1, Ordering::Relaxed);
        let mut indexing = Indexing { search: self, account, mailbox, highest, patient };
        while indexing.step()? {
            if self.orders().stop {
                break;
            }
        }
        if sound.len() < WAITING_MAX {
            sound.insert((account.0, mailbox.0));
        }
        Ok(())
    }

    pub(super) fn tail(&self, account: AccountId, mailbox: MailboxId) -> Option<Arc<Tail>> {
        self.shared.tails.get((account.0, mailbox.0))
    }
}

/// A mailbox whose index is brought up to date.
struct Indexing<'a> {
    search: &'a Search,
    account: AccountId,
    mailbox: MailboxId,
    /// No block that was ever seen has a higher number.
    highest: u64,
    /// Merging can wait until a burst is over.
    patient: bool,
}

impl Indexing<'_> {
    /// One block more, or several merged. False: there is nothing left to do.
    fn step(&mut self) -> Result<bool, Error> {
        let snapshot = self.search.engine().snapshot()?;
        let partition = key::search(self.account);
        let mut heads = block::heads(&*snapshot, partition, self.mailbox)?;
        let (account, mailbox) = (self.account.0, self.mailbox.0);
        let mut orders = self.search.orders();
        heads.damaged.extend(
            heads
                .sound
                .extract_if(.., |head| orders.damaged.remove(&(account, mailbox, head.number)))
                .map(|head| head.number),
        );
        drop(orders);
        let tail = self.search.tail(self.account, self.mailbox);
        let Some(uids) = self.uids(&*snapshot)? else {
            drop(snapshot);
            self.search.forget(self.account, self.mailbox);
            block::remove_all(self.search.engine(), partition, self.mailbox)?;
            return Ok(false);
        };
        let highest = heads.sound.iter().map(|head| head.number).chain(heads.damaged.iter().copied()).max();
        self.highest = self.highest.max(highest.unwrap_or(0));
        if !heads.damaged.is_empty() {
            drop(snapshot);
            block::remove(self.search.engine(), partition, self.mailbox, &heads.damaged)?;
            return Ok(true);
        }
        if let Some((tail, part)) = tail.as_ref().and_then(|tail| Some((tail, tail.first_full()?))) {
            drop(snapshot);
            self.write(&part.finish()?, &[])?;
            tail.written(&part);
            return Ok(true);
        }
        if let Some((from, to)) = mergeable(&heads.sound, &uids) {
            let wait = self.patient && heads.sound.len() < BURST_BLOCKS_MAX;
            if !(wait && self.search.orders().put_off((account, mailbox))) {
                self.merge(&*snapshot, &heads.sound[from..to], &uids)?;
                return Ok(true);
            }
        }
        // What is above is the tail's, which begins, if it is not there yet, behind the last block.
        let own = tail.map_or(0, |tail| tail.from()).max(heads.sound.last().map_or(0, |head| head.ends().1));
        let missing = missing(&uids[..uids.partition_point(|uid| *uid < own)], &heads.sound);
        if missing.is_empty() {
            return Ok(false);
        }
        let fresh = self.build(&*snapshot, &missing)?;
        drop(snapshot);
        self.write(&fresh, &[])?;
        Ok(true)
    }

    /// The mailbox's UIDs; `None` if it does not exist.
    fn uids(&self, snapshot: &dyn Snapshot) -> Result<Option<Vec<u32>>, Error> {
        let partition = key::partition(self.account);
        let Some(row) = snapshot.get(partition, &key::mailbox(self.mailbox))? else { return Ok(None) };
        let row = MailboxRow::decode(&row)?;
        let messages = account::messages(snapshot, partition, &row.mailbox)?;
        Ok(Some(messages.iter().map(|message| message.uid).collect()))
    }

    fn write(&mut self, fresh: &Fresh, replaced: &[Head]) -> Result<(), Error> {
        let (engine, partition) = (self.search.engine(), key::search(self.account));
        // What is held in memory is known by its number: those of blocks that are gone are not given again.
        let numbers = &self.search.shared.numbers;
        numbers.fetch_max(self.highest + 1, Ordering::Relaxed);
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        block::write(engine, partition, self.mailbox, number, fresh, replaced)?;
        for old in replaced {
            self.search.forget_block(self.account, self.mailbox, old.number);
        }
        // An account that was removed meanwhile leaves nothing behind.
        if engine.get(key::SYSTEM, &key::account(self.account))?.is_none() {
            block::remove_all(engine, partition, self.mailbox)?;
        }
        Ok(())
    }

    fn merge(&mut self, snapshot: &dyn Snapshot, heads: &[Head], uids: &[u32]) -> Result<(), Error> {
        let partition = key::search(self.account);
        let mut parts: Vec<(&Head, [Terms; 2])> = Vec::new();
        for head in heads {
            let read = |section| head.terms(snapshot, partition, self.mailbox, section);
            match read(Section::Body).and_then(|body| Ok([body, read(Section::Header)?])) {
                Ok(terms) => parts.push((head, terms)),
                Err(Error::Damaged(text)) => {
                    let (account, mailbox) = (self.account.0, self.mailbox.0);
                    tracing::warn!(account, mailbox, text, "a search block is made anew");
                    return block::remove(self.search.engine(), partition, self.mailbox, &[head.number]);
                }
                Err(other) => return Err(other),
            }
        }
        let borrowed: Vec<_> = parts.iter().map(|(head, [body, header])| (*head, [body, header])).collect();
        match block::merge(&borrowed, |uid| uids.binary_search(&uid).is_ok()) {
            Some(fresh) => self.write(&fresh, heads),
            // All its messages are gone; that a block grows too large is ruled out by what may be merged.
            None => {
                let numbers: Vec<u64> = heads.iter().map(|head| head.number).collect();
                block::remove(self.search.engine(), partition, self.mailbox, &numbers)
            }
        }
    }

    /// A block of the first of these messages, as many as fit.
    fn build(&self, snapshot: &dyn Snapshot, uids: &[u32]) -> Result<Fresh, Error> {
        let (mut gathered, mut heard) = (Gathered::default(), Heard::default());
        for &uid in uids {
            if gathered.bytes() > STEP_BYTES_MAX || self.search.orders().stop {
                break;
            }
            let detail = snapshot.get(key::partition(self.account), &key::detail(self.mailbox, uid))?;
            heard.read_stored(self.search.bodies(), uid, &detail.unwrap_or_default())?;
            gathered.add(uid, &mut heard);
        }
        gathered.finish()
    }
}

/// The first messages that are in no block and may be in one together, because no block lies between them.
fn missing(uids: &[u32], heads: &[Head]) -> Vec<u32> {
    let mut rest = uids;
    for head in heads {
        let (first, last) = head.ends();
        let before = rest.partition_point(|uid| *uid < first);
        let from = rest.partition_point(|uid| *uid <= last);
        // All that lies in the range of a block is in it: UIDs are not given out later.
        if before > 0 {
            return rest[..before.min(STEP_MESSAGES_MAX)].to_vec();
        }
        rest = &rest[from..];
    }
    rest[..rest.len().min(STEP_MESSAGES_MAX)].to_vec()
}

/// Blocks that follow each other and are better one: a range of `heads`.
fn mergeable(heads: &[Head], uids: &[u32]) -> Option<(usize, usize)> {
    let live: Vec<u64> = heads
        .iter()
        .map(|head| {
            let within = |(first, count): &(u32, u32)| {
                let end = u64::from(*first) + u64::from(*count);
                let below = uids.partition_point(|uid| u64::from(*uid) < end);
                below - uids.partition_point(|uid| uid < first)
            };
            head.uids.iter().map(within).sum::<usize>() as u64
        })
        .collect();
    for (at, head) in heads.iter().enumerate() {
        if live[at] * 2 < u64::from(head.count()) {
            return Some((at, at + 1));
        }
    }
    for end in (2..=heads.len()).rev() {
        let (mut from, mut messages, mut bytes) = (end - 1, live[end - 1], heads[end - 1].extent());
        while let Some(before) = from.checked_sub(1) {
            let (more, more_bytes) = (live[before], heads[before].extent());
            let fits =
                messages + more <= u64::from(BLOCK_MESSAGES_MAX) && bytes + more_bytes <= MERGED_BYTES_MAX;
            if !fits || more >= GROWTH * messages {
                break;
            }
            (from, messages, bytes) = (before, messages + more, bytes + more_bytes);
        }
        if from + 1 < end {
            return Some((from, end));
        }
    }
    None
}

/// The indexer's threads.
#[derive(Debug)]
pub(crate) struct Indexer {
    search: Search,
    threads: Vec<JoinHandle<()>>,
}

impl Indexer {
    pub(crate) fn start(search: Search) -> Result<Indexer, Error> {
        let (gathering, building) = (search.clone(), search.clone());
        let mut indexer = Indexer { search, threads: Vec::new() };
        indexer.begin("store-words", move || {
            look_at_all(&gathering);
            gather_all(&gathering);
        })?;
        indexer.begin("store-index", move || build_all(&building))?;
        Ok(indexer)
    }

    /// A thread that lets those go first who have somebody waiting for them.
    fn begin(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let behind = move || {
            // Of this thread alone, as the system counts it. Refused, it changes nothing but the pace.
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::debug!(%error, "the search indexer runs like everybody");
            }
            work();
        };
        self.threads.push(std::thread::Builder::new().name(name.to_owned()).spawn(behind)?);
        Ok(())
    }
}

/// Ends after what is under way.
impl Drop for Indexer {
    fn drop(&mut self) {
        self.search.orders().stop = true;
        self.search.shared.wake.notify_all();
        self.search.shared.news.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("the search indexer panicked");
            }
        }
    }
}

/// Writes, mends and merges blocks where that is asked for, for ever.
fn build_all(search: &Search) {
    let mut orders = search.orders();
    while !orders.stop {
        let Some(id) = orders.due.pop() else {
            let pause = if orders.later.is_empty() { LOOK_EVERY } else { BURST };
            let waited =
                search.shared.wake.wait_timeout(orders, pause).unwrap_or_else(PoisonError::into_inner);
            if waited.1.timed_out() {
                drop(waited);
                for id in search.shared.tails.close_quiet(UNINDEXED_MAX as u32, QUIET) {
                    search.ask(AccountId(id.0), MailboxId(id.1));
                }
                orders = search.orders();
                orders.after_burst();
            } else {
                orders = waited.0;
            }
            continue;
        };
        drop(orders);
        let done = search.index(AccountId(id.0), MailboxId(id.1), true);
        orders = search.orders();
        if let Err(error) = done
            && !orders.stop
        {
            tracing::warn!(account = id.0, mailbox = id.1, %error, "the search index waits");
            let waited =
                search.shared.wake.wait_timeout_while(orders, PAUSE_AFTER_ERROR, |orders| !orders.stop);
            orders = waited.unwrap_or_else(PoisonError::into_inner).0;
            // What waits to be written is not given up.
            orders.due.push(id);
        }
    }
}

/// Asks for each mailbox that fell behind in an earlier run.
fn look_at_all(search: &Search) {
    let mut after = key::SYSTEM;
    loop {
        if search.orders().stop {
            return;
        }
        match look_at_next(search, after) {
            Ok(Some(account)) => after = account,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "mailboxes are indexed when they are searched"),
        }
    }
}

fn look_at_next(search: &Search, after: u64) -> Result<Option<u64>, Error> {
    let snapshot = search.engine().snapshot()?;
    let Some(account) = snapshot.next_partition(after)?.filter(|partition| *partition < key::SEARCH) else {
        return Ok(None);
    };
    let mut mailboxes: Vec<account::Mailbox> = Vec::new();
    snapshot.scan(account, &[key::MAILBOX], &[], &mut |_, value| {
        mailboxes.extend(MailboxRow::decode(value).ok().map(|row| row.mailbox));
        Ok(ControlFlow::Continue(()))
    })?;
    // Blocks of a mailbox that was removed just before the store closed, or crashed.
    snapshot.scan(key::search(AccountId(account)), &[key::BLOCK], &[], &mut |key, _| {
        let id = key::number32(key, 1).map(MailboxId);
        if let Some(gone) = id.filter(|id| mailboxes.iter().all(|mailbox| mailbox.id != *id)) {
            search.ask(AccountId(account), gone);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for mailbox in mailboxes {
        let heads = block::heads(&*snapshot, key::search(AccountId(account)), mailbox.id)?;
        let above = heads.sound.last().map_or(0, |head| head.ends().1);
        // Messages that are gone count here too: a look too many does no harm.
        if mailbox.messages > 0 && (mailbox.uid_next - 1).saturating_sub(above) as usize >= UNINDEXED_MAX {
            search.gather_soon(AccountId(account), mailbox.id);
        }
        if !heads.damaged.is_empty() {
            search.ask(AccountId(account), mailbox.id);
        }
    }
    Ok(Some(account))
}

impl Search {
    /// Drops what is held of a block that is replaced.
    fn forget_block(&self, account: AccountId, mailbox: MailboxId, number: u64) {
        self.shared
            .terms
            .retain(|key: &TermsKey| (key.account, key.mailbox, key.number) != (account, mailbox, number));
    }

    /// Drops what is held of a mailbox.
    fn forget(&self, account: AccountId, mailbox: MailboxId) {
        self.orders().counted.remove(&(account.0, mailbox.0));
        self.shared.tails.forget((account.0, mailbox.0));
        self.shared.terms.retain(|key: &TermsKey| (key.account, key.mailbox) != (account, mailbox));
        self.shared.columns.forget((account, mailbox));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_put_off_until_a_burst_is_over() {
        let mut orders = Orders::default();
        assert!(!orders.put_off((1, 1)), "nothing was gathered");
        orders.gathered = Some(Instant::now());
        assert!(orders.put_off((1, 1)) && orders.put_off((1, 2)) && orders.put_off((1, 1)));
        orders.after_burst();
        assert!(orders.due.order.is_empty());
        orders.gathered = Instant::now().checked_sub(BURST);
        orders.after_burst();
        assert_eq!(orders.due.order, [(1, 1), (1, 2)]);
        assert!(orders.later.is_empty() && !orders.put_off((1, 3)));
    }
}
