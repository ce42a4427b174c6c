//! Mail accepted for several recipients: durable before the `250`, then put
//! into one mailbox after the other; a crash in between repeats, never doubles.
//!
//! Entries are a partition of their own whose batches carry no expected version: they do not
//! depend on each other, and the engine commits them together.

use crate::blob::{Bodies, BodyRef};
use crate::engine::{self, Batch, Engine};
use crate::{Error, key, row};
use proto::proof::AccountId;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Each start sets so many tokens aside, so that none is given twice without a row being written for each.
const TOKENS_PER_START: u64 = 1 << 32;

/// One recipient of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Into which account.
    pub account: AccountId,
    /// See `account::Detail::prefix`.
    pub prefix: Vec<u8>,
}

/// An accepted message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Reverse path; empty is null.
    pub from: String,
    /// The durable body.
    pub body: BodyRef,
    /// Octets of the header within the body, with its empty line.
    pub header_bytes: u64,
    /// Unix seconds.
    pub received: i64,
    /// See `account::Detail::gist`.
    pub gist: Vec<u8>,
    /// Those not yet served.
    pub recipients: Vec<Recipient>,
}

/// All entries.
#[derive(Clone, Debug)]
pub struct Pending {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: Arc<dyn Engine>,
    bodies: Bodies,
    open: Arc<OpenTokens>,
    next: AtomicU64,
}

/// The tokens of entries that are not done.
#[derive(Debug, Default)]
pub(crate) struct OpenTokens(Mutex<BTreeSet<u64>>);

impl OpenTokens {
    pub(crate) fn is_open(&self, token: u64) -> bool {
        self.lock().contains(&token)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        // A set of numbers is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    pub(crate) fn open(engine: Arc<dyn Engine>, bodies: Bodies) -> Result<Pending, Error> {
        let stored = engine.get(key::PENDING, &key::token_floor())?;
        let floor = stored.map_or(Ok(1), |bytes| row::decode_number(&bytes))?;
        let mut batch = Batch::default();
        batch.put(key::token_floor(), row::encode_number(floor.saturating_add(TOKENS_PER_START)));
        engine::commit_wait(&*engine, key::PENDING, None, batch).map_err(engine::CommitError::into_error)?;
        let mut open = BTreeSet::new();
        engine.snapshot()?.scan(key::PENDING, &[key::ENTRY], &[], &mut |key, _| {
            open.extend(key::number64(key, 1));
            Ok(ControlFlow::Continue(()))
        })?;
        let open = Arc::new(OpenTokens(Mutex::new(open)));
        Ok(Pending { shared: Arc::new(Shared { engine, bodies, open, next: AtomicU64::new(floor) }) })
    }

    pub(crate) fn tokens(&self) -> Arc<OpenTokens> {
        self.shared.open.clone()
    }

    /// Makes an entry durable; the returned token goes with each delivery.
    pub async fn add(&self, entry: Entry) -> Result<u64, Error> {
        let token = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let mut batch = Batch::default();
        batch.put(key::entry(token), row::encode_entry(&entry));
        let told = self.shared.bodies.referring(|condemned| {
            condemned.admit(&entry.body)?.into_iter().for_each(|pledge| batch.rest_on(pledge));
            self.shared.open.lock().insert(token);
            Ok::<_, Error>(self.submit(batch))
        })?;
        let result = told.await.unwrap_or(Err(Error::Closed));
        if result.is_err() {
            self.shared.open.lock().remove(&token);
        }
        result.map(|()| token)
    }

    /// All recipients are served: the entry is removed.
    pub async fn done(&self, token: u64) -> Result<(), Error> {
        let mut batch = Batch::default();
        batch.delete(key::entry(token));
        let told = {
            // Closed and submitted under one lock: whoever finds the token closed and then
            // commits something (a body's move, the end of a seen token) commits it after this.
            let mut open = self.shared.open.lock();
            open.remove(&token);
            self.submit(batch)
        };
        let result = told.await.unwrap_or(Err(Error::Closed));
        if result.is_err() {
            self.shared.open.lock().insert(token);
        }
        result
    }

    /// What a crash left, to be delivered at start.
    pub fn entries(&self) -> Result<Vec<(u64, Entry)>, Error> {
        let mut found = Vec::new();
        self.shared.engine.snapshot()?.scan(key::PENDING, &[key::ENTRY], &[], &mut |key, value| {
            let token =
                key::number64(key, 1).ok_or_else(|| Error::Damaged("key of a pending entry".to_owned()))?;
            found.push((token, row::decode_entry(value)?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// The body of an entry was copied. Without effect on an entry that is done. Waits on this thread.
    pub(crate) fn move_body(&self, token: u64, from: &BodyRef, to: &BodyRef) -> Result<(), Error> {
        let told = {
            // An entry whose removal was handed over is no longer open; while the set is
            // locked, none is handed over.
            let open = self.shared.open.lock();
            if !open.contains(&token) {
                return Ok(());
            }
            let Some(stored) = self.shared.engine.get(key::PENDING, &key::entry(token))? else {
                return Ok(());
            };
            let entry = row::decode_entry(&stored)?;
            if entry.body != *from {
                return Ok(());
            }
            let mut batch = Batch::default();
            batch.put(key::entry(token), row::encode_entry(&Entry { body: to.clone(), ..entry }));
            self.submit(batch)
        };
        told.blocking_recv().unwrap_or(Err(Error::Closed))
    }

    fn submit(&self, batch: Batch) -> oneshot::Receiver<Result<(), Error>> {
        let (tell, told) = oneshot::channel();
        let done = Box::new(move |result: Result<u64, engine::CommitError>| {
            drop(tell.send(result.map(|_| ()).map_err(engine::CommitError::into_error)));
        });
        self.shared.engine.commit(key::PENDING, None, batch, done);
        told
    }
}
