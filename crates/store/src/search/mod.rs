//! Finding messages by what is in them.
//!
//! Two things serve searches. `columns` holds in memory, per mailbox, what searches of common header fields, sorting and threading compare;
//! it is made from gists. The term index answers searches of texts: `words` says how texts are cut, `distinct` finds the different ones of a text, `builder` gathers those
//! of some messages in one run of octets, `gathered` and `tail` keep those of new messages in memory, of which `told` tells, `terms` are the same sorted,
//! with `postings`, `block` stores them, `gatherer` and `indexer` make all that behind everybody's back (`backlog`: when), `find` asks, and
//! `scan` reads (`read`) what the index does not know. What must hold: the answer is always that of a plain scan, whatever of the
//! index is there. The index names no bodies, so that these may move; messages never change under their UID.

mod backlog;
mod block;
mod builder;
mod cache;
mod columns;
mod distinct;
mod docs;
mod find;
mod gathered;
mod gatherer;
mod indexer;
mod keys;
mod postings;
mod read;
mod scan;
mod tail;
mod terms;
mod texts;
mod told;
mod words;

pub(crate) use block::check;
pub(crate) use indexer::Indexer;

pub use columns::{Columns, Field};
pub use keys::{Address, SortKeys, ThreadKeys};

use crate::account::{Account, MailboxId, View};
use crate::blob::Bodies;
use crate::engine::Engine;
use crate::{Error, Options};
use block::Section;
use cache::{Cache, Round};
use proto::proof::AccountId;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use terms::Terms;

/// Some of a view's messages: bit `seq - 1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    len: u32,
}

impl Bits {
    /// None of `len`.
    #[must_use]
    pub fn none(len: u32) -> Bits {
        Bits { words: vec![0; len.div_ceil(64) as usize], len }
    }

    /// All of `len`.
    #[must_use]
    pub fn all(len: u32) -> Bits {
        let mut bits = Bits { words: vec![u64::MAX; len.div_ceil(64) as usize], len };
        bits.trim();
        bits
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// No message is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    /// How many messages are in it.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.words.iter().map(|w| w.count_ones()).sum()
    }

    /// Is the message with this sequence number in it?
    #[must_use]
    pub fn has(&self, seq: u32) -> bool {
        let at = seq.wrapping_sub(1);
        at < self.len && self.words[(at / 64) as usize] >> (at % 64) & 1 == 1
    }

    /// Puts it in; beyond the end: nothing.
    pub fn set(&mut self, seq: u32) {
        let at = seq.wrapping_sub(1);
        if at < self.len {
            self.words[(at / 64) as usize] |= 1 << (at % 64);
        }
    }

    /// Keeps those that are in both.
    pub fn and(&mut self, other: &Bits) {
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine &= theirs;
        }
    }

    /// Adds the other's.
    pub fn or(&mut self, other: &Bits) {
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine |= theirs;
        }
    }

    /// Takes the other's away.
    pub fn without(&mut self, other: &Bits) {
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine &= !theirs;
        }
    }

    /// Those in it, ascending.
    pub fn seqs(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().zip(0u32..).flat_map(|(word, at)| {
            let mut word = *word;
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros();
                (word != 0).then(|| {
                    word &= word - 1;
                    at * 64 + bit + 1
                })
            })
        })
    }

    /// The words, for filling in bulk: bit `seq - 1` of all.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// Clears what is beyond the end.
    fn trim(&mut self) {
        let used = self.len % 64;
        if used != 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }
}

/// Where a text is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The texts of the body's parts, and nothing of any header.
    Body,
    /// The message's header, the headers of its parts, and the texts.
    Whole,
}

/// What searches of all accounts share.
#[derive(Clone)]
pub(crate) struct Search {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Arc<dyn Engine>,
    bodies: Bodies,
    terms: Cache<TermsKey, Terms>,
    columns: columns::Held,
    tails: tail::Tails,
    orders: Mutex<indexer::Orders>,
    /// There are blocks to be written; there are messages to be gathered.
    wake: Condvar,
    news: Condvar,
    /// Who changes blocks holds it: mailboxes in which no change was cut short since somebody looked.
    building: Mutex<std::collections::HashSet<tail::Id>>,
    /// The next block gets this number, or a higher one.
    numbers: AtomicU64,
}

/// Names the terms of a stored block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct TermsKey {
    account: AccountId,
    mailbox: MailboxId,
    number: u64,
    section: Section,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search").finish_non_exhaustive()
    }
}

impl Search {
    pub(crate) fn new(engine: Arc<dyn Engine>, bodies: Bodies, options: &Options) -> Search {
        let shared = Shared {
            engine,
            bodies,
            terms: Cache::new(options.term_cache_bytes_max),
            columns: columns::Held::new(options.columns_cache_bytes_max),
            tails: tail::Tails::default(),
            orders: Mutex::default(),
            wake: Condvar::new(),
            news: Condvar::new(),
            building: Mutex::default(),
            numbers: AtomicU64::new(0),
        };
        Search { shared: Arc::new(shared) }
    }

    /// Octets in memory: of columns, and of terms.
    pub(crate) fn held(&self) -> (u64, u64) {
        (self.shared.columns.bytes() as u64, self.shared.terms.bytes() as u64)
    }

    /// Octets and messages that are gathered and in no block yet.
    pub(crate) fn gathered(&self) -> (u64, u64) {
        (self.shared.tails.bytes() as u64, self.shared.tails.messages())
    }

    fn engine(&self) -> &dyn Engine {
        &*self.shared.engine
    }

    fn bodies(&self) -> &Bodies {
        &self.shared.bodies
    }

    /// Terms from memory, or else by `read`. `round`: of the search that wants them.
    fn terms(
        &self,
        key: TermsKey,
        round: Round,
        read: impl FnOnce() -> Result<Terms, Error>,
    ) -> Result<Arc<Terms>, Error> {
        if let Some(held) = self.shared.terms.get(&key) {
            return Ok(held);
        }
        let terms = Arc::new(read()?);
        self.shared.terms.put(key, terms.clone(), terms.bytes(), round);
        Ok(terms)
    }
}

impl Account {
    /// Messages among `among` whose text contains `needle` (folded); all of them if it is empty. Exact. What is not indexed yet is
    /// read, which may take long: dropping the future ends that.
    pub async fn find_text(
        &self,
        view: &Arc<View>,
        among: &Bits,
        needle: &str,
        scope: Scope,
    ) -> Result<Bits, Error> {
        let (among, needle) = (among.clone(), needle.to_owned());
        self.finding(view, move |finding| finding.text(&among, &needle, scope)).await
    }

    /// Messages among `among` that have a header field `name` (any letter case) whose decoded, folded value contains `needle`
    /// (any value if it is empty); headers are read where the index is not sure, never a body.
    pub async fn find_header(
        &self,
        view: &Arc<View>,
        among: &Bits,
        name: &str,
        needle: &str,
    ) -> Result<Bits, Error> {
        let (among, name, needle) = (among.clone(), name.to_owned(), needle.to_owned());
        self.finding(view, move |finding| finding.header(&among, &name, &needle)).await
    }

    /// Runs a search where it may wait.
    async fn finding(
        &self,
        view: &Arc<View>,
        find: impl FnOnce(&find::Finding<'_>) -> Result<Bits, Error> + Send + 'static,
    ) -> Result<Bits, Error> {
        let (search, account, view) = (self.search().clone(), self.id(), view.clone());
        let cancelled = Arc::new(AtomicBool::new(false));
        let guard = CancelOnDrop(cancelled.clone());
        let found = crate::blob::blocking(move || {
            let round = search.shared.terms.round();
            find(&find::Finding { search: &search, account, view: &view, cancelled: &cancelled, round })
        })
        .await;
        drop(guard);
        found
    }

    /// Brings the search index of a mailbox up to date, which else happens in the background. Blocks for the disk.
    pub fn index(&self, mailbox: MailboxId) -> Result<(), Error> {
        self.search().catch_up(self.id(), mailbox)
    }
}

/// Who waited has gone.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
