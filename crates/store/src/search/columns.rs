//! What searches of common header fields compare, in memory: one run of octets a field (`texts`), so that a search is one pass over it.
//!
//! Made from gists, a chunk of messages at a time, and only for messages that were not there the last time. A chunk never changes;
//! which of its messages a view has, and where, is worked out once for each view. Chunks are merged so that each is some times
//! larger than those behind it. `keys` keeps what sorting and threading compare in the same way.

use super::Bits;
use super::cache::Cache;
use super::docs::{self, Run, UidRanges, push_uid};
use super::keys::{SortFacts, SortKeys, ThreadFacts, ThreadKeys};
use super::texts::Texts;
use crate::account::{Account, DetailRef, MailboxId, View};
use crate::engine::Engine;
use crate::{Error, key, row};
use memchr::memmem::Finder;
use proto::message::gist::{Addresses, Gist};
use proto::message::text;
use proto::proof::AccountId;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Messages in a chunk, and octets, at most; one message more may be over.
const CHUNK_MESSAGES_MAX: u32 = 16384;
const CHUNK_BYTES_MAX: usize = 64 << 20;
/// A chunk has at least so many times the messages of all behind it.
const GROWTH: u32 = 4;
/// From so many messages on, two threads read.
const SHARED_FROM: u32 = 2048;
/// What a message has that has no date.
const NO_DATE: i64 = i64::MIN;

/// A header field that searches are quick for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Subject.
    Subject,
    /// From.
    From,
    /// To.
    To,
    /// Cc.
    Cc,
    /// Bcc.
    Bcc,
}

/// What header searches compare, for all messages of a view.
#[derive(Debug)]
pub struct Columns {
    facts: Mapped<Fields>,
}

impl Columns {
    /// Messages whose field contains `needle` (folded by `proto::message::text::fold`). An empty needle: messages whose field
    /// is there and not empty.
    #[must_use]
    pub fn contains(&self, field: Field, needle: &str) -> Bits {
        let mut bits = Bits::none(self.facts.view.len());
        let finder = Finder::new(needle);
        let chunks = &self.facts.group.chunks;
        let mut runs = &self.facts.runs[..];
        for (at, chunk) in (0u32..).zip(chunks) {
            let (mine, rest) = runs.split_at(runs.partition_point(|run| run.chunk <= at));
            runs = rest;
            let texts = &chunk.facts.texts[field as usize];
            let found = if needle.is_empty() { texts.present() } else { texts.find(&finder) };
            if !found.is_empty() {
                docs::add_to_bits(&found, mine.iter().map(|run| &run.run), &mut bits);
            }
        }
        bits
    }

    /// The day that the message's Date field writes (see `Gist::sent_day`), by sequence number; without one, that of the internal date.
    #[must_use]
    pub fn sent_day(&self, seq: u32) -> i64 {
        let kept = self.facts.get(seq).map_or(NO_DATE, |(facts, doc)| facts.sent[doc].1);
        if kept == NO_DATE { self.received(seq).div_euclid(86400) } else { kept }
    }

    /// The moment of the Date field, or else the internal date (RFC 5256 2.2).
    #[must_use]
    pub fn sent(&self, seq: u32) -> i64 {
        let kept = self.facts.get(seq).map_or(NO_DATE, |(facts, doc)| facts.sent[doc].0);
        if kept == NO_DATE { self.received(seq) } else { kept }
    }

    fn received(&self, seq: u32) -> i64 {
        self.facts.view.row(seq).map_or(0, |row| row.received)
    }
}

impl Account {
    /// The columns of a view. From memory where they are held, else read on a thread that may wait.
    pub async fn columns(&self, view: &Arc<View>) -> Result<Arc<Columns>, Error> {
        Ok(Arc::new(Columns { facts: self.facts(view).await? }))
    }

    /// What sorting compares, likewise.
    pub async fn sort_keys(&self, view: &Arc<View>) -> Result<Arc<SortKeys>, Error> {
        Ok(Arc::new(SortKeys { facts: self.facts(view).await? }))
    }

    /// What threading compares, likewise.
    pub async fn thread_keys(&self, view: &Arc<View>) -> Result<Arc<ThreadKeys>, Error> {
        Ok(Arc::new(ThreadKeys { facts: self.facts(view).await? }))
    }

    async fn facts<F: Facts>(&self, view: &Arc<View>) -> Result<Mapped<F>, Error> {
        let (search, id) = (self.search().clone(), (self.id(), view.mailbox.id));
        let held = F::held(&search.shared.columns).get(&id);
        let group = match held {
            Some(group) if group.upto >= view.last_uid() && !group.is_mostly_gone(view) => group,
            _ => {
                let view = view.clone();
                crate::blob::blocking(move || search.load::<F>(id.0, &view)).await?
            }
        };
        let runs = group.runs(view);
        Ok(Mapped { view: view.clone(), group, runs })
    }
}

impl super::Search {
    /// Adds what is missing to what is held.
    fn load<F: Facts>(&self, account: AccountId, view: &View) -> Result<Arc<Group<F>>, Error> {
        let cache = F::held(&self.shared.columns);
        let id = (account, view.mailbox.id);
        let mut chunks = Vec::new();
        let mut upto = 0;
        if let Some(held) = cache.get(&id).filter(|held| !held.is_mostly_gone(view)) {
            if held.upto >= view.last_uid() {
                return Ok(held);
            }
            (chunks, upto) = (held.chunks.clone(), held.upto);
        }
        let first = view.seqs(0, upto).end;
        let missing = first..view.len() + 1;
        let read = |seqs| read(self.engine(), account, view, seqs);
        if missing.len() < SHARED_FROM as usize {
            chunks.extend(read(missing)?);
        } else {
            let middle = first + missing.len() as u32 / 2;
            let (front, back) = std::thread::scope(|scope| {
                let back = scope.spawn(|| read(middle..missing.end));
                let front = read(first..middle);
                (front, back.join().unwrap_or(Err(Error::Closed)))
            });
            chunks.extend(front?);
            chunks.extend(back?);
        }
        merge_tail(&mut chunks);
        let bytes = chunks.iter().map(|chunk: &Arc<Chunk<F>>| chunk.bytes()).sum();
        let group = Arc::new(Group { chunks, upto: view.last_uid(), mapped: Mutex::default() });
        cache.put(id, group.clone(), bytes, cache.round());
        Ok(group)
    }
}

/// Reads what these messages say.
fn read<F: Facts>(
    engine: &dyn Engine,
    account: AccountId,
    view: &View,
    seqs: std::ops::Range<u32>,
) -> Result<Vec<Arc<Chunk<F>>>, Error> {
    let (Some(first), Some(last)) = (view.uid(seqs.start), view.uid(seqs.end - 1)) else {
        return Ok(Vec::new());
    };
    let mailbox = view.mailbox.id;
    let mut chunks = Vec::new();
    let mut open = Chunk::<F>::default();
    let mut messages = 0;
    let mut room = Vec::new();
    let from = key::detail(mailbox, first);
    engine.snapshot()?.scan(key::partition(account), &key::details(mailbox), &from, &mut |key, value| {
        let uid = key::number32(key, 5).unwrap_or(0);
        if uid > last {
            return Ok(ControlFlow::Break(()));
        }
        // A detail that is damaged says nothing; the check of the store tells of it.
        if let Ok(detail) = row::decode_detail_ref(uid, value, &mut room) {
            push_uid(&mut open.uids, uid);
            open.facts.push(&detail, Gist::read(detail.gist));
            messages += 1;
        }
        if messages >= CHUNK_MESSAGES_MAX || open.facts.bytes() >= CHUNK_BYTES_MAX {
            messages = 0;
            chunks.push(std::mem::take(&mut open).sealed());
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if messages > 0 {
        chunks.push(open.sealed());
    }
    Ok(chunks)
}

/// Merges the last chunks while they are too small for their place.
fn merge_tail<F: Facts>(chunks: &mut Vec<Arc<Chunk<F>>>) {
    let (mut from, mut messages, mut bytes) = (chunks.len(), 0u32, 0usize);
    while let Some(chunk) = from.checked_sub(1).and_then(|at| chunks.get(at)) {
        let (more, more_bytes) = (docs::count(&chunk.uids), chunk.bytes());
        let full = messages + more > CHUNK_MESSAGES_MAX || bytes + more_bytes > CHUNK_BYTES_MAX;
        if messages > 0 && (full || more >= GROWTH * messages) {
            break;
        }
        (from, messages, bytes) = (from - 1, messages + more, bytes + more_bytes);
    }
    if chunks.len() - from < 2 {
        return;
    }
    let mut merged = Chunk::<F>::default();
    for chunk in chunks.drain(from..) {
        for &(first, count) in &chunk.uids {
            match merged.uids.last_mut() {
                Some((begin, many)) if *begin + *many == first => *many += count,
                _ => merged.uids.push((first, count)),
            }
        }
        merged.facts.append(&chunk.facts);
    }
    chunks.push(merged.sealed());
}

/// What is held of all mailboxes.
pub(super) struct Held {
    fields: Cache<(AccountId, MailboxId), Group<Fields>>,
    pub(super) sort: Cache<(AccountId, MailboxId), Group<SortFacts>>,
    pub(super) threads: Cache<(AccountId, MailboxId), Group<ThreadFacts>>,
}

impl Held {
    pub(super) fn new(bytes_max: usize) -> Held {
        Held {
            fields: Cache::new(bytes_max / 2),
            sort: Cache::new(bytes_max / 4),
            threads: Cache::new(bytes_max / 4),
        }
    }

    /// Octets of all.
    pub(super) fn bytes(&self) -> usize {
        self.fields.bytes() + self.sort.bytes() + self.threads.bytes()
    }

    /// A mailbox is gone.
    pub(super) fn forget(&self, id: (AccountId, MailboxId)) {
        self.fields.retain(|key| *key != id);
        self.sort.retain(|key| *key != id);
        self.threads.retain(|key| *key != id);
    }
}

/// What is kept of messages, one group of questions at a time.
pub(super) trait Facts: Default + Send + Sync + 'static {
    /// Where it is kept.
    fn held(held: &Held) -> &Cache<(AccountId, MailboxId), Group<Self>>;
    /// One message more. Without a gist there is nothing to say of it.
    fn push(&mut self, detail: &DetailRef<'_>, gist: Option<Gist<'_>>);
    /// The messages of another behind those of this one.
    fn append(&mut self, other: &Self);
    /// Nothing more comes: gives back what only adding needs.
    fn seal(&mut self);
    /// Octets in memory.
    fn bytes(&self) -> usize;
}

/// What some messages say.
#[derive(Debug, Default)]
pub(super) struct Chunk<F> {
    uids: UidRanges,
    facts: F,
}

impl<F: Facts> Chunk<F> {
    fn sealed(mut self) -> Arc<Chunk<F>> {
        self.facts.seal();
        Arc::new(self)
    }

    fn bytes(&self) -> usize {
        8 * self.uids.len() + self.facts.bytes()
    }
}

/// The view that was looked at last, and where its messages are.
type Mapping = (Weak<View>, Arc<[ChunkRun]>);

/// What the messages of a mailbox say, up to a UID.
#[derive(Debug)]
pub(super) struct Group<F> {
    chunks: Vec<Arc<Chunk<F>>>,
    upto: u32,
    mapped: Mutex<Option<Mapping>>,
}

/// A run of messages of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkRun {
    chunk: u32,
    run: Run,
}

impl<F: Facts> Group<F> {
    /// Where the messages of the view are, by sequence number.
    fn runs(&self, view: &Arc<View>) -> Arc<[ChunkRun]> {
        // It is whole after any panic.
        let mut mapped = self.mapped.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, runs)) = &*mapped
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(view))
        {
            return runs.clone();
        }
        let chunks = (0..).zip(&self.chunks);
        let runs = chunks.flat_map(|(chunk, held)| {
            docs::runs(view, &held.uids).into_iter().map(move |run| ChunkRun { chunk, run })
        });
        let runs: Arc<[ChunkRun]> = runs.collect();
        *mapped = Some((Arc::downgrade(view), runs.clone()));
        runs
    }

    /// More than half of it is of messages that the view does not have any more.
    fn is_mostly_gone(&self, view: &View) -> bool {
        let held: u32 = self.chunks.iter().map(|chunk| docs::count(&chunk.uids)).sum();
        let live = view.seqs(0, self.upto).len() as u32;
        self.upto <= view.last_uid() && held > 1024 && live < held / 2
    }
}

/// A group as a view sees it.
#[derive(Debug)]
pub(super) struct Mapped<F> {
    view: Arc<View>,
    group: Arc<Group<F>>,
    runs: Arc<[ChunkRun]>,
}

impl<F> Mapped<F> {
    /// What a message says: at this place of these.
    pub(super) fn get(&self, seq: u32) -> Option<(&F, usize)> {
        let at = self.runs.partition_point(|run| run.run.seq <= seq).checked_sub(1)?;
        let ChunkRun { chunk, run } = self.runs[at];
        let within = seq - run.seq;
        let chunk = self.group.chunks.get(chunk as usize)?;
        (within < run.len).then_some((&chunk.facts, (run.doc + within) as usize))
    }
}

/// What header searches compare.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// In the order of [`Field`].
    texts: [Texts; 5],
    /// Moment and day.
    sent: Vec<(i64, i64)>,
}

impl Facts for Fields {
    fn held(held: &Held) -> &Cache<(AccountId, MailboxId), Group<Fields>> {
        &held.fields
    }

    fn push(&mut self, _detail: &DetailRef<'_>, gist: Option<Gist<'_>>) {
        let Some(gist) = gist else {
            self.texts.iter_mut().for_each(|texts| texts.push(""));
            return self.sent.push((NO_DATE, NO_DATE));
        };
        let [subject, rest @ ..] = &mut self.texts;
        subject.push(&text::fold(&gist.subject()));
        let fields = [Addresses::From, Addresses::To, Addresses::Cc, Addresses::Bcc];
        for (texts, field) in rest.iter_mut().zip(fields) {
            texts.push(&text::fold(&gist.addresses(field)));
        }
        self.sent.push((gist.sent().unwrap_or(NO_DATE), gist.sent_day().unwrap_or(NO_DATE)));
    }

    fn append(&mut self, other: &Fields) {
        self.texts.iter_mut().zip(&other.texts).for_each(|(mine, theirs)| mine.append(theirs));
        self.sent.extend_from_slice(&other.sent);
    }

    fn seal(&mut self) {
        self.texts.iter_mut().for_each(Texts::seal);
        self.sent.shrink_to_fit();
    }

    fn bytes(&self) -> usize {
        self.texts.iter().map(Texts::bytes).sum::<usize>() + 16 * self.sent.capacity()
    }
}
