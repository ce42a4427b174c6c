//! The row that says up to where the table of rows is durable by itself, and where what came later was written ahead of it.

use crate::Error;
use crate::codec::{Put, Take};

/// The first version knew no records.
const WITH_RECORDS: u8 = 2;

/// See above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The segment being appended to; zero: none.
    pub(crate) segment: u64,
    /// Its frames are whole and durable up to here.
    pub(crate) good: u64,
    /// Where its records begin; zero: it has none.
    pub(crate) records: u64,
    /// The table has all records up to this number.
    pub(crate) number: u64,
    /// Goes into the checksums of records: nobody who sends mail can make octets that look like one.
    pub(crate) salt: u64,
}

impl Settled {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut p = Put::version(WITH_RECORDS);
        p.num(self.segment).num(self.good).num(self.records).num(self.number).num(self.salt).done()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Settled, Error> {
        let (mut t, version) = Take::versions("what is settled", bytes, WITH_RECORDS)?;
        let mut row = Settled { segment: t.num()?, good: t.num()?, ..Settled::default() };
        if version >= WITH_RECORDS {
            (row.records, row.number, row.salt) = (t.num()?, t.num()?, t.num()?);
        }
        t.end()?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::Settled;

    #[test]
    fn known_answers() {
        let row = Settled { segment: 2, good: 300, records: 4, number: 5, salt: 6 };
        assert_eq!(row.encode(), [2, 2, 0xac, 2, 4, 5, 6]);
        assert_eq!(Settled::decode(&row.encode()).unwrap(), row);
        let old = Settled { segment: 2, good: 300, ..Settled::default() };
        assert_eq!(Settled::decode(&[1, 2, 0xac, 2]).unwrap(), old);
        assert!(Settled::decode(&[2, 2, 0xac, 2]).is_err() && Settled::decode(&[3, 1, 1]).is_err());
    }
}
