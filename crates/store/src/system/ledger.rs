//! Session facts: who connects how, as counters per distinct way of connecting.
//!
//! Facts are gathered in memory and merged into the stored rows by a thread of the store's own
//! (`maintain`), so that no session waits for them; a crash may lose the last seconds. Both what
//! waits and what is stored is bounded, since strangers choose names and networks: past a limit
//! a fact is counted under a coarser key, never without bound and never not at all. Only the
//! outermost limit in memory drops facts, and says so in the log.

use crate::engine::{self, Batch, Engine};
use crate::{Error, key, row};
use proto::proof::AccountId;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Distinct facts that wait; beyond, `client` is dropped from the key.
const WAITING_MAX: usize = 8192;
/// Beyond, `network` is dropped too.
const WAITING_COARSE_MAX: usize = 2 * WAITING_MAX;
/// Beyond, new keys are dropped; only a caller that invents outcomes gets here.
const WAITING_HARD_MAX: usize = 4 * WAITING_MAX;
/// Distinct stored facts of an account; beyond, new ones are counted under coarser keys.
const STORED_MAX: u64 = 4096;
/// The same for those of no known account.
const STORED_UNKNOWN_MAX: u64 = 65_536;
/// Octets of what a client calls itself.
const CLIENT_BYTES_MAX: usize = 128;
/// Facts written in one batch.
const BATCH_MAX: usize = 1024;

/// A way of connecting and what came of it. Equal keys are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FactKey {
    /// The account, if known.
    pub account: Option<AccountId>,
    /// What happened: `login`, `refused: needs TLS`, `handshake: too old` and so on.
    pub outcome: String,
    /// Protocol word, given by the caller.
    pub protocol: String,
    /// Listener's name.
    pub listener: String,
    /// Local port.
    pub port: u16,
    /// `clear`, `starttls`, `implicit`, `either-way`.
    pub security: String,
    /// `TLSv1.3`; for a failed handshake the highest version offered; or empty.
    pub tls_version: String,
    /// Suite or empty.
    pub cipher: String,
    /// Mechanism or empty.
    pub mechanism: String,
    /// What the client calls itself, at most 128 octets, or empty.
    pub client: String,
    /// Network of the peer: /24 of IPv4, /48 of IPv6.
    pub network: String,
}

/// A counted fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Which.
    pub key: FactKey,
    /// Unix seconds.
    pub first: i64,
    /// Unix seconds.
    pub last: i64,
    /// How often.
    pub count: u64,
}

/// The ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: Arc<dyn Engine>,
    waiting: Mutex<HashMap<FactKey, Counter>>,
    /// One writer at a time, because rows are read, added to and written.
    writing: Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    first: i64,
    last: i64,
    count: u64,
}

impl Counter {
    fn add(&mut self, other: Counter) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count = self.count.saturating_add(other.count);
    }
}

impl Ledger {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Ledger {
        let shared = Shared { engine, waiting: Mutex::default(), writing: Mutex::default() };
        Ledger { shared: Arc::new(shared) }
    }

    /// Counts a fact; returns at once, written within seconds. Bounded: beyond a stated
    /// number of distinct waiting facts, `client` is dropped from the key.
    pub fn record(&self, mut key: FactKey, now: i64) {
        truncate(&mut key.client, CLIENT_BYTES_MAX);
        self.gather(key, Counter { first: now, last: now, count: 1 });
    }

    /// Writes what waits.
    pub async fn flush(&self) -> Result<(), Error> {
        let this = self.clone();
        // It fails only when the runtime is going down.
        tokio::task::spawn_blocking(move || this.write()).await.unwrap_or(Err(Error::Closed))
    }

    /// Facts of one account, or (None) those of no known account.
    pub fn facts(&self, account: Option<AccountId>) -> Result<Vec<Fact>, Error> {
        let mut found = Vec::new();
        let snapshot = self.shared.engine.snapshot()?;
        snapshot.scan(key::facts(account), &[key::FACT], &[], &mut |_, value| {
            found.push(row::decode_fact(value)?);
            Ok(ControlFlow::Continue(()))
        })?;
        found.sort_by(|a: &Fact, b: &Fact| a.key.cmp(&b.key));
        Ok(found)
    }

    fn gather(&self, mut key: FactKey, counter: Counter) {
        let mut waiting = lock(&self.shared.waiting);
        if let Some(found) = waiting.get_mut(&key) {
            return found.add(counter);
        }
        if waiting.len() >= WAITING_MAX {
            key.client.clear();
        }
        if waiting.len() >= WAITING_COARSE_MAX {
            key.network.clear();
        }
        if waiting.len() >= WAITING_HARD_MAX && !waiting.contains_key(&key) {
            tracing::warn!("too many different session facts; one was dropped");
            return;
        }
        waiting.entry(key).and_modify(|found| found.add(counter)).or_insert(counter);
    }

    /// Writes what waits and waits for it on this thread. After an error all of it waits again.
    pub(crate) fn write(&self) -> Result<(), Error> {
        let _writing = lock(&self.shared.writing);
        let mut by_partition: BTreeMap<Option<AccountId>, Vec<(FactKey, Counter)>> = BTreeMap::new();
        for (key, counter) in std::mem::take(&mut *lock(&self.shared.waiting)) {
            by_partition.entry(key.account).or_default().push((key, counter));
        }
        let mut result = Ok(());
        for (account, facts) in by_partition {
            for facts in facts.chunks(BATCH_MAX) {
                if result.is_ok() {
                    result = self.write_some(account, facts);
                }
                if result.is_err() {
                    for (key, counter) in facts {
                        self.gather(key.clone(), *counter);
                    }
                }
            }
        }
        result
    }

    fn write_some(&self, account: Option<AccountId>, facts: &[(FactKey, Counter)]) -> Result<(), Error> {
        let partition = key::facts(account);
        let snapshot = self.shared.engine.snapshot()?;
        if let Some(id) = account
            && snapshot.get(key::SYSTEM, &key::account(id))?.is_none()
        {
            // The account was removed meanwhile, and its facts with it.
            return Ok(());
        }
        let stored = snapshot.get(partition, &key::fact_count())?;
        let mut held = stored.map_or(Ok(0), |bytes| row::decode_number(&bytes))?;
        let limit = if account.is_some() { STORED_MAX } else { STORED_UNKNOWN_MAX };
        let mut merged: BTreeMap<Vec<u8>, Fact> = BTreeMap::new();
        for (key, counter) in facts {
            let mut key = key.clone();
            let mut at = fact_at(&key);
            let mut known = merged.contains_key(&at) || snapshot.get(partition, &at)?.is_some();
            for coarser in [|k: &mut FactKey| k.client.clear(), |k: &mut FactKey| k.network.clear()] {
                if !known && held >= limit {
                    coarser(&mut key);
                    at = fact_at(&key);
                    known = merged.contains_key(&at) || snapshot.get(partition, &at)?.is_some();
                }
            }
            held += u64::from(!known);
            let fact = match merged.entry(at) {
                std::collections::btree_map::Entry::Occupied(found) => found.into_mut(),
                std::collections::btree_map::Entry::Vacant(room) => {
                    let fact = match snapshot.get(partition, room.key())? {
                        Some(bytes) => row::decode_fact(&bytes)?,
                        None => Fact { key, first: counter.first, last: counter.last, count: 0 },
                    };
                    room.insert(fact)
                }
            };
            let mut sum = Counter { first: fact.first, last: fact.last, count: fact.count };
            sum.add(*counter);
            (fact.first, fact.last, fact.count) = (sum.first, sum.last, sum.count);
        }
        let mut batch = Batch::default();
        for (at, fact) in merged {
            batch.put(at, row::encode_fact(&fact));
        }
        batch.put(key::fact_count(), row::encode_number(held));
        engine::commit_wait(&*self.shared.engine, partition, None, batch)
            .map_err(engine::CommitError::into_error)?;
        Ok(())
    }
}

fn fact_at(key: &FactKey) -> Vec<u8> {
    let hash = blake3::hash(&row::encode_fact_key(key));
    key::fact(&hash.as_bytes()[..16])
}

/// Cuts at a character's border.
fn truncate(text: &mut String, bytes_max: usize) {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// Counters are whole after any panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
