//! Numbers and strings as bytes: LEB128 varints, zigzag for signed ones, length-prefixed strings.
//!
//! Reading never panics and never allocates more than the input is long: what
//! is stored may have been damaged. No meaning lives here; rows are in `row`.

use crate::Error;

/// Appends fields to a row.
#[derive(Debug, Default)]
pub(crate) struct Put(Vec<u8>);

impl Put {
    /// Begins a row with its version byte.
    pub(crate) fn version(version: u8) -> Put {
        Put::sized(version, 64)
    }

    /// The same for a row of about so many octets.
    pub(crate) fn sized(version: u8, bytes: usize) -> Put {
        let mut out = Vec::with_capacity(bytes);
        out.push(version);
        Put(out)
    }

    pub(crate) fn byte(&mut self, value: u8) -> &mut Put {
        self.0.push(value);
        self
    }

    pub(crate) fn num(&mut self, mut value: u64) -> &mut Put {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    /// A signed number, zigzag so that small negative ones stay short.
    pub(crate) fn int(&mut self, value: i64) -> &mut Put {
        self.num(((value << 1) ^ (value >> 63)) as u64)
    }

    pub(crate) fn flag(&mut self, value: bool) -> &mut Put {
        self.byte(u8::from(value))
    }

    pub(crate) fn raw(&mut self, value: &[u8]) -> &mut Put {
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Put {
        self.num(value.len() as u64).raw(value)
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Put {
        self.bytes(value.as_bytes())
    }

    /// Absent: one zero byte. Present: a one, then what `write` adds.
    pub(crate) fn option<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Put, T) -> &mut Put,
    ) -> &mut Put {
        match value {
            None => self.byte(0),
            Some(value) => write(self.byte(1), value),
        }
    }

    /// What `write` adds for each item.
    pub(crate) fn each<T>(
        &mut self,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(&mut Put, T) -> &mut Put,
    ) -> &mut Put {
        for item in items {
            write(self, item);
        }
        self
    }

    /// What was put so far, for a checksum of it.
    pub(crate) fn so_far(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn done(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Takes fields off a row; every method fails with [`Error::Damaged`] naming the row.
#[derive(Debug)]
pub(crate) struct Take<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Take<'a> {
    /// Begins a row of version 1 (the only version of most).
    pub(crate) fn version(what: &'static str, bytes: &'a [u8]) -> Result<Take<'a>, Error> {
        Take::versions(what, bytes, 1).map(|(take, _)| take)
    }

    /// Begins a row of any version up to this one, and says which it is.
    pub(crate) fn versions(what: &'static str, bytes: &'a [u8], newest: u8) -> Result<(Take<'a>, u8), Error> {
        let mut take = Take { rest: bytes, what };
        match take.byte()? {
            version if (1..=newest).contains(&version) => Ok((take, version)),
            found => Err(Error::Damaged(format!("{what}: row version {found} is not known"))),
        }
    }

    /// Bytes that are part of a row and have no version of their own.
    pub(crate) fn unversioned(what: &'static str, bytes: &'a [u8]) -> Take<'a> {
        Take { rest: bytes, what }
    }

    /// What was not taken yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn short(&self) -> Error {
        Error::Damaged(format!("{}: row is too short", self.what))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Error> {
        let (&first, rest) = self.rest.split_first().ok_or_else(|| self.short())?;
        self.rest = rest;
        Ok(first)
    }

    #[inline]
    pub(crate) fn num(&mut self) -> Result<u64, Error> {
        // Nearly all numbers in records have one octet or two: a mailbox of a million is five million of them.
        match *self.rest {
            [one @ 0..0x80, ..] => {
                self.rest = &self.rest[1..];
                Ok(u64::from(one))
            }
            [low, high @ 0..0x80, ..] => {
                self.rest = &self.rest[2..];
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => match long_number(self.rest) {
                Some((value, octets)) => {
                    self.rest = &self.rest[octets..];
                    Ok(value)
                }
                None => Err(self.bad_number()),
            },
        }
    }

    #[cold]
    fn bad_number(&self) -> Error {
        Error::Damaged(format!("{}: bad number", self.what))
    }

    #[inline]
    pub(crate) fn num32(&mut self) -> Result<u32, Error> {
        let value = self.num()?;
        u32::try_from(value).map_err(|_| self.too_large(value))
    }

    #[cold]
    fn too_large(&self, value: u64) -> Error {
        Error::Damaged(format!("{}: {value} is too large a number", self.what))
    }

    #[inline]
    pub(crate) fn int(&mut self) -> Result<i64, Error> {
        let value = self.num()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Error> {
        Ok(self.byte()? != 0)
    }

    pub(crate) fn raw(&mut self, len: usize) -> Result<&'a [u8], Error> {
        if len > self.rest.len() {
            return Err(self.short());
        }
        let (head, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut out = [0; N];
        out.copy_from_slice(self.raw(N)?);
        Ok(out)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let len = self.num()?;
        self.raw(usize::try_from(len).unwrap_or(usize::MAX))
    }

    pub(crate) fn text(&mut self) -> Result<String, Error> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.to_vec())
            .map_err(|_| Error::Damaged(format!("{}: text is not UTF-8", self.what)))
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match self.byte()? {
            0 => Ok(None),
            _ => read(self).map(Some),
        }
    }

    /// The number of items to follow, each at least one byte long.
    pub(crate) fn count(&mut self) -> Result<usize, Error> {
        let count = usize::try_from(self.num()?).unwrap_or(usize::MAX);
        if count > self.rest.len() { Err(self.short()) } else { Ok(count) }
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::Damaged(format!("{}: {} octets too many", self.what, self.rest.len())))
        }
    }
}

/// A number of any length, and its octets.
fn long_number(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        if i == 9 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let row = Put::version(1).num(value).int(value as i64).done();
            let mut take = Take::version("test", &row).unwrap();
            assert_eq!((take.num().unwrap(), take.int().unwrap()), (value, value as i64));
            take.end().unwrap();
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        let row = Put::version(1).num(1 << 40).text("naïve").option(Some(7u64), |p, v| p.num(v)).done();
        let read = |bytes: &[u8]| -> Result<(u64, String, Option<u64>), Error> {
            let mut take = Take::version("test", bytes)?;
            let out = (take.num()?, take.text()?, take.option(|t| t.num())?);
            take.end()?;
            Ok(out)
        };
        assert_eq!(read(&row).unwrap(), (1 << 40, "naïve".to_owned(), Some(7)));
        for cut in 0..row.len() {
            assert!(matches!(read(&row[..cut]), Err(Error::Damaged(_))), "cut at {cut}");
        }
    }

    #[test]
    fn an_eleventh_byte_is_no_number() {
        let mut take = Take { rest: &[0xff; 12], what: "test" };
        assert!(take.num().is_err());
    }
}
