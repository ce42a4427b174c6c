//! The words of some messages of one mailbox in memory, as they are gathered; a block is made of them.

use super::block::{Fresh, Section};
use super::builder::{Builder, Room};
use super::distinct::Distinct;
use super::docs::{Docs, UidRanges, push_uid};
use super::read::{ReadRoom, Reading};
use crate::account::DetailRef;
use crate::blob::Bodies;
use crate::{Error, row};
use memchr::memmem::Finder;
use std::ops::ControlFlow;

/// Decoded octets of one message that are indexed; one with more is read by every search that could find it.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Octets of the different words of one message that are indexed, likewise.
const WORD_BYTES_MAX: usize = 256 << 10;

/// See above. Messages are its documents, in ascending order of UIDs.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) uids: UidRanges,
    /// Of those the ones that have to be read in any case.
    pub(super) unsure: UidRanges,
    body: Builder,
    header: Builder,
}

impl Gathered {
    /// Puts in what was read of a message; its UID is above all others.
    pub(super) fn add(&mut self, uid: u32, heard: &mut Heard) {
        push_uid(&mut self.uids, uid);
        if !heard.whole {
            push_uid(&mut self.unsure, uid);
        }
        self.header.add(&heard.header, &heard.header_words, &mut heard.room);
        self.body.add(&heard.texts, &heard.text_words, &mut heard.room);
    }

    /// Messages.
    pub(super) fn count(&self) -> u32 {
        self.body.count()
    }

    /// Octets in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.body.bytes() + self.header.bytes() + 8 * (self.uids.capacity() + self.unsure.capacity())
    }

    /// See [`Builder::find`].
    pub(super) fn find(&self, section: Section, pattern: &Finder<'_>, wanted: &Docs) -> Docs {
        match section {
            Section::Body => self.body.find(pattern, wanted),
            Section::Header => self.header.find(pattern, wanted),
        }
    }

    /// A block of it.
    pub(super) fn finish(&self) -> Result<Fresh, Error> {
        let too_much = || Error::Damaged("a search block grew beyond its limits".to_owned());
        let (body, header) = (self.body.finish(), self.header.finish());
        let (body, header) = (body.ok_or_else(too_much)?, header.ok_or_else(too_much)?);
        Ok(Fresh { uids: self.uids.clone(), unsure: self.unsure.clone(), body, header })
    }
}

/// What one message says, folded. Used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Heard {
    header: Vec<u8>,
    texts: Vec<u8>,
    header_words: Distinct,
    text_words: Distinct,
    /// Nothing of it was left out.
    whole: bool,
    room: Room,
    read: ReadRoom,
    /// For unpacking details.
    unpacked: Vec<u8>,
}

impl Heard {
    #[cfg(test)]
    pub(super) fn of(header: &str, texts: &str) -> Heard {
        let mut heard = Heard { header: header.into(), texts: texts.into(), ..Heard::default() };
        heard.whole = heard.take_words();
        heard
    }

    /// Reads a message, whose stored detail this is. What cannot be read now is read by the searches, which tell of it.
    pub(super) fn read_stored(&mut self, bodies: &Bodies, uid: u32, stored: &[u8]) -> Result<(), Error> {
        let mut room = std::mem::take(&mut self.unpacked);
        let read = match row::decode_detail_ref(uid, stored, &mut room) {
            Ok(detail) => self.read(bodies, &detail),
            Err(error) => self.heard(Err(error)),
        };
        self.unpacked = room;
        read
    }

    /// The same for a message whose detail is known.
    pub(super) fn read(&mut self, bodies: &Bodies, detail: &DetailRef<'_>) -> Result<(), Error> {
        self.header.clear();
        self.texts.clear();
        let read = self.try_read(bodies, detail);
        self.heard(read)
    }

    /// Takes the words of what could be read.
    fn heard(&mut self, read: Result<bool, Error>) -> Result<(), Error> {
        self.whole = match read {
            Err(Error::Damaged(_)) => false,
            other => other?,
        };
        self.whole &= self.take_words();
        Ok(())
    }

    /// False if there were too many.
    fn take_words(&mut self) -> bool {
        let mut left = WORD_BYTES_MAX;
        let header = self.header_words.take(&self.header, &mut left);
        self.text_words.take(&self.texts, &mut left) && header
    }

    fn try_read(&mut self, bodies: &Bodies, detail: &DetailRef<'_>) -> Result<bool, Error> {
        let mut reading = Reading::new(bodies, detail, &mut self.read)?;
        let (mut whole, mut left) = (true, TEXT_BYTES_MAX);
        let mut limited = |piece: &[u8], into: &mut Vec<u8>| {
            if piece.len() > left {
                whole = false;
                return ControlFlow::Break(());
            }
            left -= piece.len();
            into.extend_from_slice(piece);
            ControlFlow::Continue(())
        };
        let (header, texts) = (&mut self.header, &mut self.texts);
        reading.headers(&mut |piece| limited(piece, header))?;
        let unbroken = reading.texts(&mut |piece| limited(piece, texts))?;
        Ok(whole && unbroken)
    }
}
