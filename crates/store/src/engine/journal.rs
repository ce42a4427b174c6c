//! What makes batches durable before the table has them.
//!
//! One sync is enough for a group of batches and for the bodies that they refer to: the journal writes both into one file and syncs it,
//! and only then the rows go into the table, which need not be synced for that. After a crash the records are
//! put into the table again, in their order; that a part of them was there already does no harm, since a record is nothing but keys with
//! new values.
//!
//! What must hold: the table never has what comes after the last record that is durable. What goes into the table past the journal is
//! synced there, together with the number of the last record: none up to that one is put into the table again.

use super::{Batch, VERSION_KEY};
use crate::Error;
use crate::codec::{Put, Take};

/// See above. Used by the one thread that makes batches durable.
pub(crate) trait Journal: Send {
    /// True if something of its own waits to be made durable.
    fn is_due(&self) -> bool;

    /// True if it needs a new file for what waits: see [`Journal::begin`].
    fn wants_file(&self) -> bool;

    /// Makes a new file. It is used after [`Journal::recorded`], or given up.
    fn begin(&mut self) -> Result<(), Error>;

    /// The new file cannot be used.
    fn give_up(&mut self, error: &Error);

    /// Makes durable what waits of its own, and `record` if there is room for it; whether there was.
    fn write(&mut self, record: Option<&[u8]>) -> Result<bool, Error>;

    /// The row (key and value in the system's partition) that says where it stands, with a file that was just made as the one in use.
    fn row(&self) -> (Vec<u8>, Vec<u8>);

    /// True if so much was written since the row was recorded that it is worth recording again.
    fn is_row_due(&self) -> bool;

    /// The row of now goes into the table behind all records; `durable`: it is there and synced, so that no record is needed any more.
    fn recorded(&mut self, durable: bool);

    /// Nothing is written any more, and everything is settled.
    fn close(&mut self);
}

/// Octets of a record: what is larger goes into the table at once.
pub(super) const RECORD_BYTES_MAX: usize = 64 << 10;

/// Makes a record.
#[derive(Default)]
pub(super) struct Writing(Put);

impl Writing {
    /// A batch of `partition`, and its new version if it has one.
    pub(super) fn batch(&mut self, partition: u64, version: Option<u64>, batch: &Batch) {
        let put = &mut self.0;
        put.num(partition).num((batch.changes().len() + usize::from(version.is_some())) as u64);
        if let Some(version) = version {
            put.bytes(VERSION_KEY).option(Some(version.to_be_bytes()), |p, v| p.bytes(&v));
        }
        for (key, value) in batch.changes() {
            put.bytes(key).option(value.as_deref(), Put::bytes);
        }
    }

    pub(super) fn done(mut self) -> Vec<u8> {
        self.0.done()
    }
}

/// Calls `each` with partition, key and new value of all changes of a record in their order.
pub(super) fn replay(
    record: &[u8],
    mut each: impl FnMut(u64, &[u8], Option<&[u8]>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut take = Take::unversioned("record", record);
    while !take.rest().is_empty() {
        let (partition, count) = (take.num()?, take.count()?);
        for _ in 0..count {
            let key = take.bytes()?;
            let value = take.option(Take::bytes)?;
            each(partition, key, value)?;
        }
    }
    take.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = (u64, Vec<u8>, Option<Vec<u8>>);

    fn changes(record: &[u8]) -> Result<Vec<Change>, Error> {
        let mut found = Vec::new();
        replay(record, |partition, key, value| {
            found.push((partition, key.to_vec(), value.map(<[u8]>::to_vec)));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn a_record_is_read_as_it_was_made_and_no_part_of_it_otherwise() {
        let mut batch = Batch::default();
        batch.put(b"k".to_vec(), b"value".to_vec());
        batch.delete(b"gone".to_vec());
        let mut writing = Writing::default();
        writing.batch(7, Some(3), &batch);
        writing.batch(1 << 40, None, &batch);
        let record = writing.done();
        let version = (7, Vec::new(), Some(3u64.to_be_bytes().to_vec()));
        let of = |partition| {
            [(partition, b"k".to_vec(), Some(b"value".to_vec())), (partition, b"gone".to_vec(), None)]
        };
        let expected: Vec<Change> = std::iter::once(version).chain(of(7)).chain(of(1 << 40)).collect();
        assert_eq!(changes(&record).unwrap(), expected);
        let whole = [0, record.len()];
        for cut in (0..record.len()).filter(|cut| !whole.contains(cut)) {
            // Between two batches a part is whole by itself; a checksum sees to that elsewhere.
            if let Ok(part) = changes(&record[..cut]) {
                assert_eq!(part, expected[..3], "cut at {cut}");
            }
        }
        assert_eq!(changes(&[]).unwrap(), Vec::new());
    }
}
