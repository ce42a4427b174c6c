//! Keeps the index of mailboxes up to date, on a thread of its own, behind everybody else.
//!
//! New messages become small blocks, and blocks that follow each other are merged so that each is some times larger than
//! all behind it: a message is written a few times in its life, and a search looks at few blocks. A message whose
//! block was lost becomes part of a new one in the same place. Nothing waits for the index: what it lacks is read.

use super::block::{self, BLOCK_MESSAGES_MAX, Fresh, Head, Section};
use super::docs::{UidRanges, push_uid};
use super::find::UNINDEXED_MAX;
use super::read::Reading;
use super::terms::{Builder, Terms};
use super::{Search, TermsKey};
use crate::account::{self, MailboxId};
use crate::engine::Snapshot;
use crate::row::{self, MailboxRow};
use crate::{Error, key};
use proto::proof::AccountId;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// Messages that are indexed in one step.
const STEP_MESSAGES_MAX: usize = 4096;
/// Octets that one step holds in memory, about.
const STEP_BYTES_MAX: usize = 48 << 20;
/// Decoded octets of one message that are indexed; one with more is read by every search that could find it.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Octets of the different words of one message that are indexed, likewise.
const WORD_BYTES_MAX: usize = 256 << 10;
/// Blocks are merged while their terms are together at most so large. Postings may grow by some factor, as gaps become
/// longer: what comes out is well below what `terms` can hold.
const MERGED_BYTES_MAX: u64 = 20 << 20;
/// A block is at least so many times larger than all that is behind it.
const GROWTH: u64 = 4;
/// Mailboxes that wait; more are found by a search, or at the next start.
const WAITING_MAX: usize = 65536;
/// After an error, which is most likely a full disk.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(10);

/// What the thread is asked to do.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Mailboxes with so many new messages each.
    counted: HashMap<(u64, u32), u32>,
    /// Mailboxes to be looked at, each once and in this order.
    due: std::collections::VecDeque<(u64, u32)>,
    due_set: HashSet<(u64, u32)>,
    /// Blocks that a search could not read: account, mailbox, number.
    damaged: HashSet<(u64, u32, u64)>,
    stop: bool,
}

impl Search {
    /// So many messages were added to a mailbox.
    pub(crate) fn added(&self, account: AccountId, mailbox: MailboxId, messages: u32) {
        let mut orders = self.orders();
        let id = (account.0, mailbox.0);
        if orders.counted.len() >= WAITING_MAX && !orders.counted.contains_key(&id) {
            return;
        }
        let counted = orders.counted.entry(id).or_default();
        *counted = counted.saturating_add(messages);
        if *counted as usize >= UNINDEXED_MAX {
            orders.counted.remove(&id);
            drop(orders);
            self.ask(account, mailbox);
        }
    }

    /// A mailbox is to be looked at soon. If it is gone, so is its index then.
    pub(crate) fn ask(&self, account: AccountId, mailbox: MailboxId) {
        let mut orders = self.orders();
        let id = (account.0, mailbox.0);
        if orders.due.len() < WAITING_MAX && orders.due_set.insert(id) {
            orders.due.push_back(id);
            self.shared.wake.notify_all();
        }
    }

    /// A block cannot be read: it is to be made anew.
    pub(super) fn distrust(&self, account: AccountId, mailbox: MailboxId, number: u64) {
        let mut orders = self.orders();
        if orders.damaged.len() < WAITING_MAX {
            orders.damaged.insert((account.0, mailbox.0, number));
        }
        drop(orders);
        self.ask(account, mailbox);
    }

    fn orders(&self) -> std::sync::MutexGuard<'_, Orders> {
        // Nothing is left half done by a panic in any critical section here.
        self.shared.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts everything of a mailbox that is not in the index there. Waits on this thread.
    pub(crate) fn catch_up(&self, account: AccountId, mailbox: MailboxId) -> Result<(), Error> {
        self.index(account, mailbox, 1)
    }

    /// The same, but leaves fewer than `least` new messages at the end alone.
    fn index(&self, account: AccountId, mailbox: MailboxId, least: usize) -> Result<(), Error> {
        let _alone = self.shared.building.lock().unwrap_or_else(PoisonError::into_inner);
        let highest = block::remove_orphans(self.engine(), key::search(account), mailbox)?;
        let mut indexing = Indexing { search: self, account, mailbox, highest, least };
        while indexing.step()? {
            if self.orders().stop {
                break;
            }
        }
        Ok(())
    }
}

/// A mailbox whose index is brought up to date.
struct Indexing<'a> {
    search: &'a Search,
    account: AccountId,
    mailbox: MailboxId,
    /// No block that was ever seen has a higher number.
    highest: u64,
    least: usize,
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
        if let Some((from, to)) = mergeable(&heads.sound, &uids) {
            self.merge(&*snapshot, &heads.sound[from..to], &uids)?;
            return Ok(true);
        }
        let missing = missing(&uids, &heads.sound, self.least);
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
        let (mut body, mut header) = (Builder::default(), Builder::default());
        let (mut indexed, mut unsure) = (UidRanges::new(), UidRanges::new());
        for &uid in uids {
            if body.bytes() + header.bytes() > STEP_BYTES_MAX || self.search.orders().stop {
                break;
            }
            body.begin();
            header.begin();
            push_uid(&mut indexed, uid);
            let detail = snapshot.get(key::partition(self.account), &key::detail(self.mailbox, uid))?;
            // What cannot be read now is read by the searches, which tell of it.
            let whole = match detail.map(|bytes| self.add(uid, &bytes, &mut body, &mut header)) {
                Some(Ok(whole)) => whole,
                None | Some(Err(Error::Damaged(_))) => false,
                Some(Err(other)) => return Err(other),
            };
            if !whole {
                push_uid(&mut unsure, uid);
            }
        }
        let too_much = || Error::Damaged("a search block grew beyond its limits".to_owned());
        let (body, header) = (body.finish().ok_or_else(too_much)?, header.finish().ok_or_else(too_much)?);
        Ok(Fresh { uids: indexed, unsure, body, header })
    }

    /// False: not all of it is in.
    fn add(&self, uid: u32, detail: &[u8], body: &mut Builder, header: &mut Builder) -> Result<bool, Error> {
        let detail = row::decode_detail_ref(uid, detail)?;
        let reading = Reading::new(self.search.bodies(), &detail)?;
        let mut whole = true;
        let (mut text_bytes, mut word_bytes) = (0, 0);
        let mut limited = |piece: &[u8], into: &mut Builder| {
            text_bytes += piece.len();
            word_bytes += into.add(piece);
            if text_bytes > TEXT_BYTES_MAX || word_bytes > WORD_BYTES_MAX {
                whole = false;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        reading.headers(&mut |piece| limited(piece, header))?;
        let unbroken = reading.texts(&mut |piece| limited(piece, body))?;
        Ok(whole && unbroken)
    }
}

/// The first messages that are in no block and may be in one together, because no block lies between them.
fn missing(uids: &[u32], heads: &[Head], least: usize) -> Vec<u32> {
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
    if rest.len() < least { Vec::new() } else { rest[..rest.len().min(STEP_MESSAGES_MAX)].to_vec() }
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

/// The indexer's thread.
#[derive(Debug)]
pub(crate) struct Indexer {
    search: Search,
    thread: Option<JoinHandle<()>>,
}

impl Indexer {
    pub(crate) fn start(search: Search) -> Result<Indexer, Error> {
        let mine = search.clone();
        let thread = std::thread::Builder::new().name("store-index".to_owned()).spawn(move || {
            // Of this thread alone, as the system counts it. Refused, it changes nothing but the pace.
            if let Err(error) = rustix::process::nice(10) {
                tracing::debug!(%error, "the search indexer runs like everybody");
            }
            look_at_all(&mine);
            work(&mine);
        })?;
        Ok(Indexer { search, thread: Some(thread) })
    }
}

/// Ends after what is under way.
impl Drop for Indexer {
    fn drop(&mut self) {
        self.search.orders().stop = true;
        self.search.shared.wake.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the search indexer panicked");
        }
    }
}

fn work(search: &Search) {
    let mut orders = search.orders();
    while !orders.stop {
        let Some(id) = orders.due.pop_front() else {
            orders = search.shared.wake.wait(orders).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        orders.due_set.remove(&id);
        drop(orders);
        let done = search.index(AccountId(id.0), MailboxId(id.1), UNINDEXED_MAX);
        orders = search.orders();
        if let Err(error) = done
            && !orders.stop
        {
            tracing::warn!(account = id.0, mailbox = id.1, %error, "the search index waits");
            let waited =
                search.shared.wake.wait_timeout_while(orders, PAUSE_AFTER_ERROR, |orders| !orders.stop);
            orders = waited.unwrap_or_else(PoisonError::into_inner).0;
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
        self.shared.terms.retain(|key: &TermsKey| (key.account, key.mailbox) != (account, mailbox));
        self.shared.columns.forget((account, mailbox));
    }
}
