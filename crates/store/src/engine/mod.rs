//! The engine: an ordered store of bytes under keys, in partitions.
//!
//! The contract, which `tests/it/engine.rs` holds every engine to:
//!
//! * A partition is a number; in it, keys sort as bytes. Partitions know nothing of each other.
//! * A [`Snapshot`] sees one state of all partitions, that of its first read, for as long as it lives.
//!   A read that is begun after a commit was answered sees that commit.
//! * [`Engine::commit`] applies a batch of one partition wholly or not at all, and is durable when it is
//!   answered `Ok`: neither `kill -9` nor the loss of power takes it back.
//! * Each partition has a version, zero at first. A batch with an expected version raises it by one
//!   and is refused with [`CommitError::Conflict`], without effect, if the version is another. A batch
//!   without one leaves the version alone. The version is the value, as eight big-endian bytes, of
//!   the empty key, so that a snapshot reads it together with what it counts. A batch writes the
//!   empty key only to delete it, when the partition is removed.
//! * After an error other than a conflict, the batch is not applied as far as any later read can
//!   tell, and the engine goes on: room on the disk is enough for the next commit to succeed.
//!   After a crash, a batch that was answered with an error may be found applied.
//! * Batches take effect in the order of the calls, if the calls themselves are ordered.
//! * A batch that rests on pledges (`Batch::rest_on`) is refused if one of them was broken.
//! * `done` is called once, on a thread of the engine's own and never inside `commit`. It must
//!   not block. If the engine closes first it is dropped without a call.
//!
//! Not here: what keys and values mean.

mod behind;
mod checkpoint;
mod embedded;
mod flush;
pub(crate) mod journal;
mod memtable;
mod reader;
mod table;
mod writer;

pub use embedded::Embedded;
pub(crate) use embedded::Prepared;

use crate::Error;
use crate::pledge::Pledge;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Changes to one partition: keys with new values, or `None` to delete. Later ones win.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    rests_on: Vec<Arc<Pledge>>,
}

impl Batch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.push((key, Some(value)));
    }

    /// Deletes `key`, if it is there.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.changes.push((key, None));
    }

    /// Nothing of it may be committed before `pledge` is kept.
    pub(crate) fn rest_on(&mut self, pledge: Arc<Pledge>) {
        if !self.rests_on.contains(&pledge) {
            self.rests_on.push(pledge);
        }
    }

    /// An error if a pledge that it rests on was broken.
    pub(crate) fn standing(&self) -> Result<(), Error> {
        self.rests_on.iter().try_for_each(|pledge| pledge.outcome().unwrap_or(Ok(())))
    }

    /// An error if a pledge that it rests on was broken. All are decided.
    pub(crate) fn kept(&self) -> Result<(), Error> {
        // One that is not decided would be an error of ours; then nothing is committed on it.
        self.rests_on.iter().try_for_each(|pledge| pledge.outcome().unwrap_or(Err(Error::Closed)))
    }

    /// The changes in their order.
    #[must_use]
    pub fn changes(&self) -> &[(Vec<u8>, Option<Vec<u8>>)] {
        &self.changes
    }

    /// Takes the changes out.
    pub(crate) fn take_changes(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        std::mem::take(&mut self.changes)
    }

    /// True if there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Octets of keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.changes.iter().map(|(k, v)| k.len() + v.as_ref().map_or(0, Vec::len)).sum()
    }
}

/// Why a batch was not applied.
#[derive(Debug)]
pub enum CommitError {
    /// The partition's version has moved: read again and try again.
    Conflict,
    /// The engine failed.
    Store(Error),
}

/// Called with the partition's new version (zero for a batch without an expected one).
pub type Done = Box<dyn FnOnce(Result<u64, CommitError>) + Send>;

/// What [`Snapshot::scan`] calls for each key and value.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, Error>;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// One state of all partitions.
pub trait Snapshot: Send {
    /// The value under `key`.
    fn get(&self, partition: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Visits, in ascending order, the keys that begin with `prefix` and are not below `from`.
    fn scan(&self, partition: u64, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), Error>;

    /// The highest key that is not above `key` and begins with `prefix`, with its value.
    fn floor(&self, partition: u64, prefix: &[u8], key: &[u8]) -> Result<Option<Pair>, Error>;

    /// The lowest partition above `after` that has a key.
    fn next_partition(&self, after: u64) -> Result<Option<u64>, Error>;

    /// The version of a partition.
    fn version(&self, partition: u64) -> Result<u64, Error> {
        self.get(partition, VERSION_KEY)?.map_or(Ok(0), |value| decode_version(&value))
    }
}

/// See the contract above.
pub trait Engine: Send + Sync + std::fmt::Debug {
    /// Begins to read.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error>;

    /// One read, as of now.
    fn get(&self, partition: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Applies a batch; see the contract.
    fn commit(&self, partition: u64, expected: Option<u64>, batch: Batch, done: Done);

    /// Looks for damage below the level of keys and values; one sentence for each.
    fn verify(&self) -> Result<Vec<String>, Error>;

    /// How often data was made durable so far: commits share syncs.
    fn syncs(&self) -> u64;

    /// Puts all that was committed where tools find it that read the engine's files by themselves.
    fn settle(&self) -> Result<(), Error>;

    /// Commits what was taken, releases everything. Later calls fail with [`Error::Closed`].
    fn close(&self) -> Result<(), Error>;
}

/// The key of a partition's version.
pub(crate) const VERSION_KEY: &[u8] = b"";

pub(crate) fn decode_version(value: &[u8]) -> Result<u64, Error> {
    let bytes = value.try_into().map_err(|_| Error::Damaged("version of a partition".to_owned()))?;
    Ok(u64::from_be_bytes(bytes))
}

/// The first key above all that begin with `prefix`; `None` if there is none.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// Commits and waits without blocking a thread.
pub(crate) async fn commit(
    engine: &dyn Engine,
    partition: u64,
    expected: Option<u64>,
    batch: Batch,
) -> Result<u64, CommitError> {
    commit_then(engine, partition, expected, batch, || ()).await
}

/// The same; `then` is called, whatever came of it, before anybody is told, also if nobody waits any more.
pub(crate) async fn commit_then(
    engine: &dyn Engine,
    partition: u64,
    expected: Option<u64>,
    batch: Batch,
    then: impl FnOnce() + Send + 'static,
) -> Result<u64, CommitError> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let done = move |result| {
        then();
        // Who no longer listens does not need the answer.
        drop(tell.send(result));
    };
    engine.commit(partition, expected, batch, Box::new(done));
    told.await.unwrap_or(Err(CommitError::Store(Error::Closed)))
}

/// Commits and waits on this thread; for threads of the store's own.
pub(crate) fn commit_wait(
    engine: &dyn Engine,
    partition: u64,
    expected: Option<u64>,
    batch: Batch,
) -> Result<u64, CommitError> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    engine.commit(partition, expected, batch, Box::new(move |result| drop(tell.send(result))));
    told.recv().unwrap_or(Err(CommitError::Store(Error::Closed)))
}

impl CommitError {
    /// For batches without an expected version, which cannot conflict.
    pub(crate) fn into_error(self) -> Error {
        match self {
            CommitError::Conflict => Error::Damaged("a commit without version conflicted".to_owned()),
            CommitError::Store(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::prefix_end;

    #[test]
    fn ends_of_prefixes() {
        assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(prefix_end(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(prefix_end(b"\xff"), None);
        assert_eq!(prefix_end(b""), None);
    }
}
