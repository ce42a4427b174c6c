//! Details of many messages in one read.

use super::{Account, MailboxId};
use crate::engine::Snapshot;
use crate::{Error, key, row};
use std::ops::ControlFlow;

/// Details of so many messages are looked up on the caller's thread.
const INLINE_MAX: usize = 16;
/// UIDs with no more than this between them are read in one go.
const GAP_MAX: u32 = 8;
/// Octets of one buffer; rows are not copied when more are read.
const BUFFER_BYTES: usize = 1 << 20;

/// One of them, borrowed.
#[derive(Clone, Debug)]
pub struct DetailRef<'a> {
    /// UID.
    pub uid: u32,
    /// See [`super::Detail::prefix`].
    pub prefix: &'a [u8],
    /// See [`super::Detail::body`].
    pub body: crate::blob::BodyRef,
    /// See [`super::Detail::header_bytes`].
    pub header_bytes: u64,
    /// See [`super::Detail::saved`].
    pub saved: i64,
    /// See [`super::Detail::gist`].
    pub gist: &'a [u8],
}

/// Details that were read together. Rows are decoded when they are looked at.
#[derive(Debug, Default)]
pub struct Details {
    buffers: Vec<Vec<u8>>,
    rows: Vec<Row>,
    /// For unpacking.
    room: Vec<u8>,
}

#[derive(Debug)]
struct Row {
    uid: u32,
    buffer: u32,
    from: usize,
    to: usize,
}

impl Details {
    /// In ascending order of UIDs.
    pub fn iter(&self) -> impl Iterator<Item = Result<DetailRef<'_>, Error>> {
        self.rows.iter().map(|row| self.decode(row))
    }

    /// That of one message; `None` if it was gone.
    #[must_use]
    pub fn get(&self, uid: u32) -> Option<Result<DetailRef<'_>, Error>> {
        let at = self.rows.binary_search_by_key(&uid, |row| row.uid).ok()?;
        self.rows.get(at).map(|row| self.decode(row))
    }

    /// True if that of this message is here.
    #[must_use]
    pub fn holds(&self, uid: u32) -> bool {
        self.rows.binary_search_by_key(&uid, |row| row.uid).is_ok()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// None of the messages is there any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn decode(&self, row: &Row) -> Result<DetailRef<'_>, Error> {
        // Made in `push` alone, so that the range is within the buffer.
        row::decode_unpacked_detail(row.uid, &self.buffers[row.buffer as usize][row.from..row.to])
    }

    fn push(&mut self, uid: u32, stored: &[u8]) {
        let unpacked = row::unpacked_detail(stored, &mut self.room);
        let stored = unpacked.as_deref().unwrap_or(stored);
        let fits = |buffer: &Vec<u8>| buffer.capacity() - buffer.len() >= stored.len();
        if !self.buffers.last().is_some_and(fits) {
            // What is asked for is often little.
            let first = if self.buffers.is_empty() { 16 << 10 } else { BUFFER_BYTES };
            self.buffers.push(Vec::with_capacity(stored.len().max(first)));
        }
        let Some(at) = self.buffers.len().checked_sub(1) else { return };
        let from = self.buffers[at].len();
        self.buffers[at].extend_from_slice(stored);
        self.rows.push(Row { uid, buffer: at as u32, from, to: from + stored.len() });
    }
}

impl Account {
    /// Details of these messages (ascending UIDs) in one read; those that are gone are missing. Does not block the caller's thread
    /// for long: large sets are read on a thread that may wait. All are held in memory: who wants those of a large mailbox asks
    /// for some at a time.
    pub async fn details(&self, mailbox: MailboxId, uids: Vec<u32>) -> Result<Details, Error> {
        let this = self.clone();
        let is_short = uids.len() <= INLINE_MAX;
        let work = move || {
            let mut details = Details::default();
            let snapshot = this.accounts.engine().snapshot()?;
            read(&*snapshot, key::partition(this.id), mailbox, &uids, &mut |uid, stored| {
                details.push(uid, stored);
                Ok(())
            })?;
            Ok(details)
        };
        if is_short { work() } else { super::blocking(work).await }
    }
}

/// Called with a UID and a stored detail.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(u32, &[u8]) -> Result<(), Error>;

/// Visits the details of these messages (ascending UIDs), as far as they are there.
pub(crate) fn read(
    snapshot: &dyn Snapshot,
    partition: u64,
    mailbox: MailboxId,
    uids: &[u32],
    visit: Visit<'_>,
) -> Result<(), Error> {
    let prefix = key::details(mailbox);
    let mut rest = uids;
    while let Some(first) = rest.first() {
        let gap = |pair: &[u32]| pair[1].saturating_sub(pair[0]) > GAP_MAX;
        let run = rest.windows(2).position(gap).map_or(rest.len(), |at| at + 1);
        let (mut run, later) = rest.split_at(run);
        rest = later;
        if run.len() == 1 {
            if let Some(stored) = snapshot.get(partition, &key::detail(mailbox, *first))? {
                visit(*first, &stored)?;
            }
            continue;
        }
        snapshot.scan(partition, &prefix, &key::detail(mailbox, *first), &mut |key, stored| {
            let uid = key::number32(key, 5).ok_or_else(|| Error::Damaged("key of a detail".to_owned()))?;
            run = &run[run.iter().take_while(|wanted| **wanted < uid).count()..];
            if run.first() == Some(&uid) {
                visit(uid, stored)?;
                run = &run[1..];
            }
            Ok(if run.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
    }
    Ok(())
}
