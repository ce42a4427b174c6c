//! A block of the index: the terms of some messages of one mailbox, as rows.
//!
//! A block has a head, which names its messages, and parts, which are pieces of its two compressed terms: those of
//! the texts and those of the headers. Blocks of one mailbox have ranges of UIDs that do not overlap. What must hold: a block is there
//! when its head is, and the head is written last; parts without a head are left by a crash and removed. Numbers
//! of blocks are not used again while the store is open. A block that cannot be read counts as if it were not there.

use super::docs::{self, UidRanges, push_uid};
use super::terms::Terms;
use crate::account::MailboxId;
use crate::codec::{Put, Take};
use crate::engine::{self, Batch, CommitError, Engine, Snapshot};
use crate::{Error, key};
use proto::proof::AccountId;
use std::ops::ControlFlow;

/// Messages in one block at most.
pub(super) const BLOCK_MESSAGES_MAX: u32 = 16384;
/// Of heads and terms. A block of another version counts as damaged, and so is made anew; but for the one before, which says nothing of
/// its parts' size.
const VERSION: u8 = 3;
const VERSION_OF_LARGE_PARTS: u8 = 2;
const LARGE_PART_BYTES: u32 = 256 << 10;
/// Octets of a part. Whoever looks for a key in the engine's table may compare it with a part's, and SQLite reads all of a row for that:
/// so parts are small. In so many octets the row fills its overflow pages.
const PART_BYTES: u32 = 17 << 10;
/// No head names parts of fewer octets.
const PART_BYTES_MIN: u32 = 1 << 10;
/// Octets of parts in one commit, which hold up no delivery.
const COMMIT_BYTES: usize = 256 << 10;
/// Parts that are deleted in one commit.
const DELETED_PARTS_MAX: usize = 256;

/// Which of a block's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Section {
    Body,
    Header,
}

/// A compressed section: octets and checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stored {
    bytes: u64,
    crc: u32,
    /// See [`Terms::extent`].
    extent: u64,
}

/// The head of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) number: u64,
    /// Its messages, which are its documents in this order.
    pub(super) uids: UidRanges,
    /// UIDs of those that have to be read in any case, ascending.
    pub(super) unsure: UidRanges,
    body: Stored,
    header: Stored,
    /// Octets of each part but the last of a section.
    part_bytes: u32,
}

/// A block that is not stored yet.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) uids: UidRanges,
    pub(super) unsure: UidRanges,
    pub(super) body: Terms,
    pub(super) header: Terms,
}

/// The blocks of a mailbox, by UID; and the numbers of those that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Heads {
    pub(super) sound: Vec<Head>,
    pub(super) damaged: Vec<u64>,
}

impl Head {
    /// Messages, gone ones too.
    pub(super) fn count(&self) -> u32 {
        docs::count(&self.uids)
    }

    /// How large its terms are in memory; see [`Terms::extent`].
    pub(super) fn extent(&self) -> u64 {
        self.body.extent.max(self.header.extent)
    }

    /// The lowest UID and the highest.
    pub(super) fn ends(&self) -> (u32, u32) {
        let first = self.uids.first().map_or(0, |(first, _)| *first);
        (first, self.uids.last().map_or(0, |(first, count)| first + (count - 1)))
    }

    fn part_count(&self, section: Section) -> u32 {
        let stored = if section == Section::Body { self.body } else { self.header };
        stored.bytes.div_ceil(self.part_bytes.into()) as u32
    }

    /// All parts by number.
    fn parts(&self) -> std::ops::Range<u32> {
        0..self.part_count(Section::Body) + self.part_count(Section::Header)
    }

    /// Reads one of its terms. [`Error::Damaged`] if they are not as they were written.
    pub(super) fn terms(
        &self,
        snapshot: &dyn Snapshot,
        partition: u64,
        mailbox: MailboxId,
        section: Section,
    ) -> Result<Terms, Error> {
        let body_parts = self.part_count(Section::Body);
        let (stored, parts) = match section {
            Section::Body => (self.body, 0..body_parts),
            Section::Header => (self.header, body_parts..self.parts().end),
        };
        let from = key::block_part(mailbox, self.number, parts.start);
        let (mut bytes, mut next) = (Vec::new(), parts.start);
        snapshot.scan(partition, &key::block_parts(mailbox), &from, &mut |key, value| {
            if next == parts.end || key != key::block_part(mailbox, self.number, next) {
                return Ok(ControlFlow::Break(()));
            }
            bytes.extend_from_slice(value);
            next += 1;
            Ok(if next == parts.end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if next != parts.end {
            return Err(self.bad("a part is missing"));
        }
        if bytes.len() as u64 != stored.bytes || crc32fast::hash(&bytes) != stored.crc {
            return Err(self.bad("a checksum differs"));
        }
        let terms = Terms::decode(&bytes)?;
        if terms.count() != self.count() {
            return Err(self.bad("it has other messages than its head says"));
        }
        Ok(terms)
    }

    fn bad(&self, what: &str) -> Error {
        Error::Damaged(format!("search block {}: {what}", self.number))
    }

    fn encode(&self) -> Vec<u8> {
        let mut p = Put::version(VERSION);
        for ranges in [&self.uids, &self.unsure] {
            p.num(ranges.len() as u64);
            let mut next = 0;
            p.each(ranges.iter(), |p, (first, count)| {
                p.num(u64::from(first - next)).num(u64::from(*count));
                next = first + (count - 1);
                p
            });
        }
        for stored in [self.body, self.header] {
            p.num(stored.bytes).raw(&stored.crc.to_le_bytes()).num(stored.extent);
        }
        p.num(self.part_bytes.into());
        let crc = crc32fast::hash(p.so_far());
        p.raw(&crc.to_le_bytes()).done()
    }

    fn decode(number: u64, bytes: &[u8]) -> Result<Head, Error> {
        let bad = || Error::Damaged(format!("head of search block {number}"));
        let (row, crc) = bytes.split_last_chunk().ok_or_else(bad)?;
        if crc32fast::hash(row) != u32::from_le_bytes(*crc) {
            return Err(bad());
        }
        let (mut t, version) = Take::versions("head of a search block", row, VERSION)?;
        if version < VERSION_OF_LARGE_PARTS {
            return Err(bad());
        }
        let mut lists = [Vec::new(), Vec::new()];
        for ranges in &mut lists {
            let mut next = 0u32;
            for _ in 0..t.count()? {
                let (gap, count) = (t.num32()?, t.num32()?);
                let first = next.checked_add(gap).ok_or_else(bad)?;
                next = count.checked_sub(1).and_then(|more| first.checked_add(more)).ok_or_else(bad)?;
                ranges.push((first, count));
            }
        }
        let mut stored = || {
            let (bytes, crc) = (t.num()?, u32::from_le_bytes(t.array()?));
            Ok::<_, Error>(Stored { bytes, crc, extent: t.num()? })
        };
        let (body, header) = (stored()?, stored()?);
        let part_bytes = if version == VERSION { t.num32()? } else { LARGE_PART_BYTES };
        t.end()?;
        let [uids, unsure] = lists;
        let head = Head { number, uids, unsure, body, header, part_bytes };
        let fits = |stored: Stored| stored.bytes <= 1 << 32;
        let whole = !head.uids.is_empty() && head.count() <= BLOCK_MESSAGES_MAX;
        let whole = whole && part_bytes >= PART_BYTES_MIN;
        if whole && fits(body) && fits(header) { Ok(head) } else { Err(bad()) }
    }
}

/// The heads of a mailbox's blocks.
pub(super) fn heads(snapshot: &dyn Snapshot, partition: u64, mailbox: MailboxId) -> Result<Heads, Error> {
    let mut heads = Heads::default();
    snapshot.scan(partition, &key::blocks(mailbox), &[], &mut |key, value| {
        let Some(number) = key::number64(key, 5) else { return Ok(ControlFlow::Continue(())) };
        match Head::decode(number, value) {
            Ok(head) => heads.sound.push(head),
            Err(Error::Damaged(_)) => heads.damaged.push(number),
            Err(other) => return Err(other),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    heads.sound.sort_by_key(|head| head.ends());
    // No two are written so; if it is found, one of them is not to be trusted, and the other can do without it.
    let mut above = 0;
    let (sound, overlapping): (Vec<Head>, Vec<Head>) = heads.sound.into_iter().partition(|head| {
        let (first, last) = head.ends();
        let apart = first > above || above == 0;
        above = above.max(last);
        apart
    });
    heads.damaged.extend(overlapping.into_iter().map(|head| head.number));
    heads.sound = sound;
    Ok(heads)
}

/// Writes a block and takes away those that it replaces. Waits on this thread.
pub(super) fn write(
    engine: &dyn Engine,
    partition: u64,
    mailbox: MailboxId,
    number: u64,
    fresh: &Fresh,
    replaced: &[Head],
) -> Result<Head, Error> {
    let sections = [fresh.body.encode()?, fresh.header.encode()?];
    let stored = |bytes: &Vec<u8>, terms: &Terms| Stored {
        bytes: bytes.len() as u64,
        crc: crc32fast::hash(bytes),
        extent: terms.extent() as u64,
    };
    let [body, header] = [stored(&sections[0], &fresh.body), stored(&sections[1], &fresh.header)];
    let (uids, unsure) = (fresh.uids.clone(), fresh.unsure.clone());
    let head = Head { number, uids, unsure, body, header, part_bytes: PART_BYTES };
    let pieces = sections.iter().flat_map(|bytes| bytes.chunks(PART_BYTES as usize));
    let mut batch = Batch::default();
    for (part, piece) in (0..).zip(pieces) {
        if batch.bytes() + piece.len() > COMMIT_BYTES {
            commit(engine, partition, std::mem::take(&mut batch))?;
        }
        batch.put(key::block_part(mailbox, number, part), piece.to_vec());
    }
    replaced.iter().for_each(|old| batch.delete(key::block(mailbox, old.number)));
    batch.put(key::block(mailbox, number), head.encode());
    commit(engine, partition, batch)?;
    for old in replaced {
        delete_parts(engine, partition, mailbox, old.number, old.parts())?;
    }
    Ok(head)
}

/// Removes blocks that cannot be read, their heads first.
pub(super) fn remove(
    engine: &dyn Engine,
    partition: u64,
    mailbox: MailboxId,
    numbers: &[u64],
) -> Result<(), Error> {
    let mut batch = Batch::default();
    numbers.iter().for_each(|number| batch.delete(key::block(mailbox, *number)));
    commit(engine, partition, batch)?;
    remove_orphans(engine, partition, mailbox).map(|_| ())
}

/// Removes parts without a head; the highest number that was ever seen.
pub(super) fn remove_orphans(engine: &dyn Engine, partition: u64, mailbox: MailboxId) -> Result<u64, Error> {
    let prefix = key::block_parts(mailbox);
    let (mut from, mut highest) = (0u64, 0u64);
    loop {
        let snapshot = engine.snapshot()?;
        let mut found = None;
        snapshot.scan(partition, &prefix, &key::block_part(mailbox, from, 0), &mut |key, _| {
            found = key::number64(key, 5).zip(key::number32(key, 13));
            Ok(ControlFlow::Break(()))
        })?;
        let Some((number, part)) = found else { return Ok(highest) };
        highest = highest.max(number);
        if snapshot.get(partition, &key::block(mailbox, number))?.is_some() {
            from = number + 1;
            continue;
        }
        drop(snapshot);
        delete_parts(engine, partition, mailbox, number, part..part + DELETED_PARTS_MAX as u32)?;
        from = number;
    }
}

/// Removes all rows of a mailbox's index. Waits on this thread.
pub(super) fn remove_all(engine: &dyn Engine, partition: u64, mailbox: MailboxId) -> Result<(), Error> {
    loop {
        let mut batch = Batch::default();
        engine.snapshot()?.scan(partition, &key::blocks(mailbox), &[], &mut |key, _| {
            batch.delete(key.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
        if batch.is_empty() {
            return remove_orphans(engine, partition, mailbox).map(|_| ());
        }
        commit(engine, partition, batch)?;
    }
}

/// Looks at all blocks of an account; a remark for each that will be made anew. What they lack, searches read.
pub(crate) fn check(
    snapshot: &dyn Snapshot,
    account: AccountId,
    remarks: &mut Vec<String>,
) -> Result<(), Error> {
    let partition = key::search(account);
    let mut mailboxes = std::collections::BTreeSet::new();
    snapshot.scan(partition, &[key::BLOCK], &[], &mut |key, _| {
        mailboxes.extend(key::number32(key, 1));
        Ok(ControlFlow::Continue(()))
    })?;
    for mailbox in mailboxes.into_iter().map(MailboxId) {
        let heads = heads(snapshot, partition, mailbox)?;
        let mut damaged = heads.damaged.len();
        for head in &heads.sound {
            for section in [Section::Body, Section::Header] {
                match head.terms(snapshot, partition, mailbox, section) {
                    Ok(_) => {}
                    Err(Error::Damaged(_)) => damaged += 1,
                    Err(other) => return Err(other),
                }
            }
        }
        if damaged > 0 {
            let (account, mailbox) = (account.0, mailbox.0);
            remarks
                .push(format!("account {account}, mailbox {mailbox}: {damaged} search blocks are damaged"));
        }
    }
    Ok(())
}

fn delete_parts(
    engine: &dyn Engine,
    partition: u64,
    mailbox: MailboxId,
    number: u64,
    parts: std::ops::Range<u32>,
) -> Result<(), Error> {
    let parts: Vec<u32> = parts.collect();
    for some in parts.chunks(DELETED_PARTS_MAX) {
        let mut batch = Batch::default();
        some.iter().for_each(|part| batch.delete(key::block_part(mailbox, number, *part)));
        commit(engine, partition, batch)?;
    }
    Ok(())
}

fn commit(engine: &dyn Engine, partition: u64, batch: Batch) -> Result<(), Error> {
    engine::commit_wait(engine, partition, None, batch).map_err(CommitError::into_error)?;
    Ok(())
}

/// One block of several, whose ranges follow each other, without the messages that `lives` denies. `None`: there would be
/// too much of it, or nothing.
pub(super) fn merge(parts: &[(&Head, [&Terms; 2])], lives: impl Fn(u32) -> bool) -> Option<Fresh> {
    let (mut uids, mut unsure) = (UidRanges::new(), UidRanges::new());
    let mut next = 0;
    let mut numbers: Vec<Vec<u32>> = Vec::new();
    for (head, _) in parts {
        let mut of_block = Vec::with_capacity(head.count() as usize);
        for uid in each(&head.uids) {
            if lives(uid) {
                push_uid(&mut uids, uid);
                of_block.push(next);
                next += 1;
            } else {
                of_block.push(super::terms::GONE);
            }
        }
        each(&head.unsure).filter(|uid| lives(*uid)).for_each(|uid| push_uid(&mut unsure, uid));
        numbers.push(of_block);
    }
    if next == 0 || next > BLOCK_MESSAGES_MAX {
        return None;
    }
    let section = |which: usize| {
        let terms: Vec<(&Terms, &[u32])> =
            parts.iter().zip(&numbers).map(|((_, terms), numbers)| (terms[which], &numbers[..])).collect();
        Terms::merge(&terms, next)
    };
    Some(Fresh { body: section(0)?, header: section(1)?, uids, unsure })
}

/// The UIDs of ranges.
pub(super) fn each(ranges: &[(u32, u32)]) -> impl Iterator<Item = u32> + '_ {
    ranges.iter().flat_map(|(first, count)| (*first..).take(*count as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::builder::{Builder, Room};
    use crate::search::distinct::Distinct;

    /// The bytes on the disk of every store there is: a change here needs a new version byte.
    #[test]
    fn golden_head() {
        let stored = |bytes| Stored { bytes, crc: 0x0403_0201, extent: 2 };
        let head = Head {
            number: 7,
            uids: vec![(3, 2), (9, 1)],
            unsure: vec![(4, 1)],
            body: stored(300),
            header: stored(5),
            part_bytes: 17 << 10,
        };
        let row = head.encode();
        let (front, crc) = row.split_last_chunk::<4>().unwrap();
        let lists = [2, 3, 2, 5, 1, 1, 4, 1, 0xac, 2, 1, 2, 3, 4, 2, 5, 1, 2, 3, 4, 2];
        assert_eq!(front, [&[3][..], &lists, &[0x80, 0x88, 1]].concat());
        assert_eq!(*crc, crc32fast::hash(front).to_le_bytes());
        assert_eq!(Head::decode(7, &row).unwrap(), head);
        assert_eq!((head.ends(), head.count()), ((3, 9), 3));
        for at in 0..row.len() {
            let mut bad = row.clone();
            bad[at] ^= 1;
            assert!(matches!(Head::decode(7, &bad), Err(Error::Damaged(_))), "octet {at}");
        }
        let sealed = |front: &[u8]| [front, &crc32fast::hash(front).to_le_bytes()].concat();
        let older = sealed(&[&[2][..], &lists].concat());
        assert_eq!(Head::decode(7, &older).unwrap(), Head { part_bytes: 256 << 10, ..head });
        for front in [[&[3][..], &lists, &[0]].concat(), [&[1][..], &lists].concat()] {
            assert!(matches!(Head::decode(7, &sealed(&front)), Err(Error::Damaged(_))), "{front:?}");
        }
    }

    /// An engine that commits so many batches, and then nothing any more.
    #[derive(Debug)]
    struct Dying {
        engine: engine::Embedded,
        left: std::sync::atomic::AtomicI64,
    }

    impl Engine for Dying {
        fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
            self.engine.snapshot()
        }
        fn get(&self, partition: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
            self.engine.get(partition, key)
        }
        fn commit(&self, partition: u64, expected: Option<u64>, batch: Batch, done: engine::Done) {
            if self.left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) > 0 {
                self.engine.commit(partition, expected, batch, done);
            } else {
                done(Err(CommitError::Store(Error::DiskFull)));
            }
        }
        fn verify(&self) -> Result<Vec<String>, Error> {
            self.engine.verify()
        }
        fn settle(&self) -> Result<(), Error> {
            self.engine.settle()
        }
        fn syncs(&self) -> u64 {
            self.engine.syncs()
        }
        fn close(&self) -> Result<(), Error> {
            self.engine.close()
        }
    }

    /// Messages with words that hardly compress, so that a block has several parts.
    fn fresh(first: u32, count: u32) -> Fresh {
        let (mut body, mut header) = (Builder::default(), Builder::default());
        let (mut room, mut distinct) = (Room::default(), Distinct::default());
        let mut add = |builder: &mut Builder, text: &[u8]| {
            distinct.take(text, &mut text.len());
            builder.add(text, &distinct, &mut room);
        };
        for uid in first..first + count {
            let word = |n: u64| {
                let word = (u64::from(uid) << 20 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                format!("{word:x}{:x} ", word.rotate_left(29).wrapping_mul(n | 1))
            };
            add(&mut body, (0..400).map(word).collect::<String>().as_bytes());
            add(&mut header, b"subject: all\n");
        }
        let (body, header) = (body.finish().unwrap(), header.finish().unwrap());
        Fresh { uids: vec![(first, count)], unsure: UidRanges::new(), body, header }
    }

    /// Whichever commit is the last one before a crash or on a full disk: there are the old blocks or the merged one, whole,
    /// and what is left of the others goes with the next look.
    #[test]
    fn a_merge_that_is_cut_short_leaves_one_or_the_other() {
        let (partition, mailbox) = (key::search(AccountId(1)), MailboxId(3));
        let mut last = 0;
        for commits in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let engine = engine::Embedded::open(&dir.path().join("e.db")).unwrap();
            let engine = Dying { engine, left: i64::MAX.into() };
            let old = [fresh(1, 120), fresh(121, 40)];
            let heads_of_old: Vec<Head> = (1..)
                .zip(&old)
                .map(|(n, fresh)| write(&engine, partition, mailbox, n, fresh, &[]).unwrap())
                .collect();
            let parts: Vec<_> = heads_of_old
                .iter()
                .zip(&old)
                .map(|(head, fresh)| (head, [&fresh.body, &fresh.header]))
                .collect();
            let merged = merge(&parts, |uid| uid % 10 != 0).unwrap();
            engine.left.store(commits, std::sync::atomic::Ordering::SeqCst);
            let done = write(&engine, partition, mailbox, 3, &merged, &heads_of_old);
            engine.left.store(i64::MAX, std::sync::atomic::Ordering::SeqCst);
            for swept in [false, true] {
                let snapshot = engine.snapshot().unwrap();
                let found = heads(&*snapshot, partition, mailbox).unwrap();
                assert!(found.damaged.is_empty(), "{:?} after {commits} commits", found.damaged);
                let numbers: Vec<u64> = found.sound.iter().map(|head| head.number).collect();
                assert!([&[1, 2][..], &[3]].contains(&&numbers[..]), "{numbers:?} after {commits} commits");
                for head in &found.sound {
                    for section in [Section::Body, Section::Header] {
                        head.terms(&*snapshot, partition, mailbox, section).unwrap();
                    }
                }
                if swept {
                    let mut rows = 0;
                    let all = key::block_parts(mailbox);
                    let count = &mut |_: &[u8], _: &[u8]| {
                        rows += 1;
                        Ok(ControlFlow::Continue(()))
                    };
                    snapshot.scan(partition, &all, &[], count).unwrap();
                    let expected: usize = found.sound.iter().map(|head| head.parts().len()).sum();
                    assert_eq!(rows, expected, "parts that belong to nothing after {commits} commits");
                }
                drop(snapshot);
                remove_orphans(&engine, partition, mailbox).unwrap();
            }
            last = commits;
            if done.is_ok() {
                break;
            }
        }
        assert!(last >= 6, "it was cut {last} times only");
    }
}
