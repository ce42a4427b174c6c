//! Rows of commits that are durable in the journal and not in the table yet (a memtable, as in log-structured stores). Commits are answered
//! when their rows are here; the table gets many of them in one transaction (`behind`), each row once, however often it was
//! written meanwhile: the head of a busy mailbox changes with each delivery.
//!
//! Rows lie in generations: the youngest takes new ones, the one before it is on its way into the table. Whoever reads holds the generations
//! of one moment ([`View`]) as long as it likes, and sees of them what was committed by then.
//!
//! What must hold: a generation is let go only after the table has it, and whoever begins to read a state of the table does so while
//! none is let go (`pin` of [`Memtable::view`]): then what the table lacks is in the view, and what it has of what is in the view changes
//! nothing.

use super::writer::Request;
use super::{Pair, VERSION_KEY};
use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What a row takes beside its octets, about.
const ROW_BYTES: usize = 96;
/// Rows that a scan copies at once.
const CHUNK: usize = 32;

/// A value, or `None` where the key was deleted.
pub(super) type Value = Option<Vec<u8>>;

/// The values of a key by the number of their commit, ascending.
#[derive(Clone, Debug)]
struct Versions {
    older: Vec<(u64, Value)>,
    last: (u64, Value),
}

impl Versions {
    fn at(&self, at: u64) -> Option<&Value> {
        if self.last.0 <= at {
            return Some(&self.last.1);
        }
        self.older.iter().rev().find(|(number, _)| *number <= at).map(|(_, value)| value)
    }

    fn push(&mut self, number: u64, value: Value) {
        let before = std::mem::replace(&mut self.last, (number, value));
        // What a batch writes twice nobody sees in between.
        if before.0 != number {
            self.older.push(before);
        }
    }
}

type Keys = BTreeMap<Vec<u8>, Versions>;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Generation {
    partitions: RwLock<BTreeMap<u64, Keys>>,
    /// The journal's row, which goes into the table with all that was committed before it.
    row: RwLock<Option<Pair>>,
    bytes: AtomicUsize,
}

/// See above.
#[derive(Debug)]
pub(super) struct Memtable {
    /// Oldest first: one or two.
    generations: RwLock<Vec<Arc<Generation>>>,
    /// Number of the last commit that readers see.
    last: AtomicU64,
}

/// What was here at one moment. Empty: the table has all of it.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// Youngest first, none of them empty.
    generations: Vec<Arc<Generation>>,
    at: u64,
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Memtable {
    fn default() -> Memtable {
        Memtable { generations: RwLock::new(vec![Arc::default()]), last: AtomicU64::new(0) }
    }
}

impl Memtable {
    /// Takes the rows of a group out of its batches, all at once for whoever reads, and the journal's row. Called by one thread only.
    /// Octets that wait in the youngest generation: before, and now.
    pub(super) fn insert(&self, group: &mut [Request], row: Option<Pair>) -> (usize, usize) {
        let generations = read(&self.generations);
        let Some(young) = generations.last() else { return (0, 0) };
        let number = self.last.load(Ordering::Relaxed) + 1;
        let mut partitions = write(&young.partitions);
        let mut added = 0;
        for request in group {
            let keys = partitions.entry(request.partition).or_default();
            let version =
                request.version().map(|version| (VERSION_KEY.to_vec(), Some(version.to_be_bytes().to_vec())));
            for (key, value) in version.into_iter().chain(request.batch.take_changes()) {
                added += ROW_BYTES + key.len() + value.as_ref().map_or(0, Vec::len);
                put(keys, key, number, value);
            }
        }
        drop(partitions);
        if let Some(row) = row {
            added += ROW_BYTES;
            *write(&young.row) = Some(row);
        }
        let before = young.bytes.fetch_add(added, Ordering::Relaxed);
        self.last.store(number, Ordering::SeqCst);
        (before, before + added)
    }

    /// Octets that wait in the youngest generation.
    pub(super) fn bytes(&self) -> usize {
        read(&self.generations).last().map_or(0, |young| young.bytes.load(Ordering::Relaxed))
    }

    /// What is here now. If it is not empty `pin` is called first: it begins to read the table.
    pub(super) fn view<E>(&self, pin: impl FnOnce() -> Result<(), E>) -> Result<View, E> {
        let generations = read(&self.generations);
        let at = self.last.load(Ordering::SeqCst);
        let held = |generation: &&Arc<Generation>| generation.bytes.load(Ordering::Relaxed) > 0;
        let generations: Vec<_> = generations.iter().rev().filter(held).cloned().collect();
        if !generations.is_empty() {
            pin()?;
        }
        Ok(View { generations, at })
    }

    /// The last value of a key: what was committed before this was called, or later. `None`: the table knows.
    pub(super) fn get(&self, partition: u64, key: &[u8]) -> Option<Value> {
        let generations = read(&self.generations);
        generations.iter().rev().find_map(|generation| generation.get(partition, key, u64::MAX))
    }

    /// The rows that go into the table next, and whether there are more; new ones come into another generation. `None` if there are none. Whoever
    /// takes them lets them go or gives them back; if it panicked instead they are the next once more, since others rest on them.
    pub(super) fn rotate(&self) -> Option<(Arc<Generation>, bool)> {
        let mut generations = write(&self.generations);
        if let [left, _, ..] = &generations[..] {
            return Some((left.clone(), true));
        }
        let young = generations.last().filter(|young| young.bytes.load(Ordering::Relaxed) > 0)?.clone();
        generations.push(Arc::default());
        Some((young, false))
    }

    /// The table has this generation.
    pub(super) fn let_go(&self, generation: &Arc<Generation>) {
        write(&self.generations).retain(|one| !Arc::ptr_eq(one, generation));
    }

    /// The table did not take this generation: its rows stand below those that came since.
    pub(super) fn give_back(&self, generation: &Arc<Generation>) {
        let mut generations = write(&self.generations);
        let Some(young) = generations.last() else { return };
        let mut partitions = write(&young.partitions);
        for (partition, old) in &*read(&generation.partitions) {
            let keys = partitions.entry(*partition).or_default();
            for (key, versions) in old {
                // Who reads a state from before has this generation; all others want the last value.
                let last = || Versions { older: Vec::new(), last: versions.last.clone() };
                keys.entry(key.clone()).or_insert_with(last);
            }
        }
        drop(partitions);
        let mut row = write(&young.row);
        if row.is_none() {
            row.clone_from(&*read(&generation.row));
        }
        drop(row);
        young.bytes.fetch_add(generation.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        generations.retain(|one| !Arc::ptr_eq(one, generation));
    }
}

fn put(keys: &mut Keys, key: Vec<u8>, number: u64, value: Value) {
    match keys.entry(key) {
        Entry::Vacant(entry) => drop(entry.insert(Versions { older: Vec::new(), last: (number, value) })),
        Entry::Occupied(mut entry) => entry.get_mut().push(number, value),
    }
}

impl Generation {
    fn get(&self, partition: u64, key: &[u8], at: u64) -> Option<Value> {
        read(&self.partitions).get(&partition)?.get(key)?.at(at).cloned()
    }

    /// Calls `each` with partition, key and last value of all rows in their order. Nothing is added to it any more.
    pub(super) fn rows<E>(
        &self,
        mut each: impl FnMut(u64, &[u8], Option<&[u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        for (partition, keys) in &*read(&self.partitions) {
            for (key, versions) in keys {
                each(*partition, key, versions.last.1.as_deref())?;
            }
        }
        Ok(())
    }

    /// The journal's row.
    pub(super) fn row(&self) -> Option<Pair> {
        read(&self.row).clone()
    }
}

impl View {
    /// True if it has a row of this partition, or had.
    pub(super) fn knows(&self, partition: u64) -> bool {
        self.generations.iter().any(|generation| read(&generation.partitions).contains_key(&partition))
    }

    /// The value of a key. `None`: the table knows.
    pub(super) fn get(&self, partition: u64, key: &[u8]) -> Option<Value> {
        self.generations.iter().find_map(|generation| generation.get(partition, key, self.at))
    }

    /// The rows from `from` up to before `end`, ascending.
    pub(super) fn rows(&self, partition: u64, from: &[u8], end: Option<&[u8]>) -> Rows {
        let source = |generation: &Arc<Generation>| Source {
            generation: generation.clone(),
            chunk: VecDeque::new(),
            next: Some(Bound::Included(from.to_vec())),
        };
        let sources = self.generations.iter().map(source).collect();
        Rows { sources, partition, end: end.map(<[u8]>::to_vec), at: self.at }
    }

    /// The highest key that is not above `key`, begins with `prefix` and is not deleted, with its value.
    pub(super) fn floor(&self, partition: u64, prefix: &[u8], key: &[u8]) -> Option<Pair> {
        let mut bound = Bound::Included(key.to_vec());
        loop {
            let below = |generation: &Arc<Generation>| {
                let partitions = read(&generation.partitions);
                let mut keys = partitions
                    .get(&partition)?
                    .range::<[u8], _>((Bound::Unbounded, bound.as_ref().map(Vec::as_slice)));
                keys.rfind(|(_, versions)| versions.at(self.at).is_some()).map(|(key, _)| key.clone())
            };
            let found =
                self.generations.iter().filter_map(below).max().filter(|key| key.as_slice() >= prefix)?;
            if found.starts_with(prefix)
                && let Some(Some(value)) = self.get(partition, &found)
            {
                return Some((found, value));
            }
            bound = Bound::Excluded(found);
        }
    }

    /// The lowest partition above `after` that has a row here, which may be a deleted one.
    pub(super) fn next_partition(&self, after: u64) -> Option<u64> {
        let above = |generation: &Arc<Generation>| {
            let range = (Bound::Excluded(after), Bound::Unbounded);
            read(&generation.partitions).range(range).next().map(|(partition, _)| *partition)
        };
        self.generations.iter().filter_map(above).min()
    }
}

/// The rows of a view in their order.
#[derive(Debug)]
pub(super) struct Rows {
    /// Youngest first.
    sources: Vec<Source>,
    partition: u64,
    end: Option<Vec<u8>>,
    at: u64,
}

/// The rows of one generation. They are copied a few at a time, since commits must not wait for whoever reads.
#[derive(Debug)]
struct Source {
    generation: Arc<Generation>,
    chunk: VecDeque<(Vec<u8>, Value)>,
    /// Where the next chunk begins, if there is one.
    next: Option<Bound<Vec<u8>>>,
}

impl Source {
    fn fill(&mut self, partition: u64, end: Option<&[u8]>, at: u64) {
        let Some(next) = self.next.take_if(|_| self.chunk.is_empty()) else { return };
        let from = next.as_ref().map(Vec::as_slice);
        if end.is_some_and(|end| matches!(from, Bound::Included(from) | Bound::Excluded(from) if from >= end))
        {
            return;
        }
        let partitions = read(&self.generation.partitions);
        let Some(keys) = partitions.get(&partition) else { return };
        let rows = keys.range::<[u8], _>((from, end.map_or(Bound::Unbounded, Bound::Excluded)));
        let visible = rows.filter_map(|(key, versions)| Some((key.clone(), versions.at(at)?.clone())));
        self.chunk.extend(visible.take(CHUNK));
        if self.chunk.len() == CHUNK {
            self.next = self.chunk.back().map(|(key, _)| Bound::Excluded(key.clone()));
        }
    }
}

impl Iterator for Rows {
    type Item = (Vec<u8>, Value);

    fn next(&mut self) -> Option<(Vec<u8>, Value)> {
        for source in &mut self.sources {
            source.fill(self.partition, self.end.as_deref(), self.at);
        }
        let heads = self.sources.iter().enumerate();
        // Of equal ones the first, of the youngest generation.
        let (_, at) = heads.filter_map(|(at, source)| Some((&source.chunk.front()?.0, at))).min()?;
        let row = self.sources[at].chunk.pop_front()?;
        for older in &mut self.sources[at + 1..] {
            older.chunk.pop_front_if(|(key, _)| *key == row.0);
        }
        Some(row)
    }
}
