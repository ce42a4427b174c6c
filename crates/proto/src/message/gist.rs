//! What is learnt of a message once, while it streams in, and kept beside it: its envelope, its
//! structure with the offsets of all parts, its dates, the beginning of its text.
//!
//! A gist is bytes to whoever keeps it; [`Gist`] reads them without copying. Offsets count from
//! the first octet that was fed. What must hold: any bytes give a gist, in bounded memory and time,
//! and everything that it gives out is well-formed; the gist of a message is the same for ever and however it was cut.
//!
//! The bytes: a version, flags, the date, then five sections, each after its length: envelope, structure, the tree
//! of parts, preview, Message-IDs. `scan` walks through the message, `fields` makes the envelope, `part` the structure.

mod fields;
mod part;
mod preview;
mod scan;

use super::structure::{Parts, Place};
use super::text;
use super::varint;
use super::wire::{Item, Walk};
use scan::Scan;
use sha2::{Digest as _, Sha256};
use std::ops::Range;

/// Every limit, with its default in `Default`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets of the message's header that are looked at; what is beyond counts as header but is not read (default 256 KiB).
    pub header_bytes_max: usize,
    /// Parts; the rest of the message belongs to the last one (default 1000).
    pub parts_max: usize,
    /// Depth of nesting; what is deeper is a leaf (default 50).
    pub depth_max: usize,
    /// Characters of the preview (RFC 8970 3.1: 256 at most; default 200).
    pub preview_chars_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { header_bytes_max: 256 << 10, parts_max: 1000, depth_max: 50, preview_chars_max: 200 }
    }
}

/// The first octet of a gist. A change of the format or of what is written takes the next number.
const VERSION: u8 = 1;
const HAS_SENT: u8 = 1;
const HAS_MESSAGE_ID: u8 = 1 << 1;
const HAS_SENDER: u8 = 1 << 2;
const HAS_REPLY_TO: u8 = 1 << 3;

/// Looks at a message while it streams past.
#[derive(Debug)]
pub struct Scanner {
    scan: Scan,
}

impl Scanner {
    /// Begins.
    #[must_use]
    pub fn new(limits: Limits) -> Scanner {
        Scanner { scan: Scan::new(limits) }
    }

    /// The next octets of the message, in any fragmentation.
    pub fn feed(&mut self, piece: &[u8]) {
        self.scan.feed(piece);
    }

    /// The message is complete: its gist.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let (parts, found, whole, preview) = self.scan.finish();
        let mut flags = 0;
        for (flag, on) in [
            (HAS_SENT, whole.sent.is_some()),
            (HAS_MESSAGE_ID, whole.message_id.is_some()),
            (HAS_SENDER, whole.sender),
            (HAS_REPLY_TO, whole.reply_to),
        ] {
            flags |= if on { flag } else { 0 };
        }
        let mut structure = Vec::with_capacity(512);
        found.structure(&parts, &mut 0, &mut structure);
        let mut tree = Vec::with_capacity(16 * parts.len());
        found.tree(&parts, &mut tree);
        let mut ids = Vec::new();
        for id in whole.message_id.iter().chain(&whole.references) {
            write_id(id, &whole.envelope, &mut ids);
        }
        let sections = [&whole.envelope, &structure, &tree, preview.as_bytes(), &ids];
        let size: usize = sections.iter().map(|s| s.len() + 3).sum();
        let mut out = Vec::with_capacity(size + 16);
        out.extend_from_slice(&[VERSION, flags]);
        if let Some(sent) = whole.sent {
            varint::write(zigzag(sent.unix), &mut out);
            varint::write(zigzag(sent.zone_minutes.into()), &mut out);
        }
        for section in sections {
            varint::write(section.len() as u64, &mut out);
            out.extend_from_slice(section);
        }
        out
    }
}

/// Most Message-IDs stand in the envelope already: then only where.
fn write_id(id: &str, envelope: &[u8], out: &mut Vec<u8>) {
    let size = (id.len() as u64) << 1;
    match memchr::memmem::find(envelope, id.as_bytes()) {
        Some(at) => {
            varint::write(size | 1, out);
            varint::write(at as u64, out);
        }
        None => {
            varint::write(size, out);
            out.extend_from_slice(id.as_bytes());
        }
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A kept gist.
#[derive(Clone, Copy, Debug)]
pub struct Gist<'a> {
    flags: u8,
    sent: i64,
    zone_minutes: i64,
    envelope: &'a [u8],
    structure: &'a [u8],
    tree: &'a [u8],
    preview: &'a str,
    ids: &'a [u8],
}

impl<'a> Gist<'a> {
    /// Reads one; `None` if the bytes are no gist.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Gist<'a>> {
        let (&[VERSION, flags], mut rest) = bytes.split_first_chunk()? else { return None };
        let (mut sent, mut zone_minutes) = (0, 0);
        if flags & HAS_SENT != 0 {
            sent = unzigzag(varint::read(&mut rest)?);
            zone_minutes = unzigzag(varint::read(&mut rest)?);
        }
        let envelope = varint::read_bytes(&mut rest)?;
        let structure = varint::read_bytes(&mut rest)?;
        let tree = varint::read_bytes(&mut rest)?;
        let preview = varint::read_str(&mut rest)?;
        let ids = varint::read_bytes(&mut rest)?;
        Some(Gist { flags, sent, zone_minutes, envelope, structure, tree, preview, ids })
    }

    /// ENVELOPE as IMAP writes it, with its parentheses (RFC 9051 7.5.2).
    #[must_use]
    pub fn envelope(&self) -> &'a [u8] {
        self.envelope
    }

    /// BODYSTRUCTURE as IMAP writes it, with its parentheses.
    #[must_use]
    pub fn body_structure(&self) -> &'a [u8] {
        self.structure
    }

    /// BODY: the same without extension data.
    pub fn body(&self, out: &mut Vec<u8>) {
        without_extensions(self.structure, DEPTH_READ_MAX, out);
    }

    /// The parts with their places.
    #[must_use]
    pub fn parts(&self) -> Parts<'a> {
        Parts::new(self.tree)
    }

    /// The header with the empty line that ends it.
    #[must_use]
    pub fn header(&self) -> Range<u64> {
        self.parts().find(&[]).map_or(0..0, |whole| whole.mime)
    }

    /// Where a section's part is; see [`Parts::find`].
    #[must_use]
    pub fn find(&self, part: &[u32]) -> Option<Place> {
        self.parts().find(part)
    }

    /// The Date field, Unix seconds; `None` if there is none that can be read.
    #[must_use]
    pub fn sent(&self) -> Option<i64> {
        (self.flags & HAS_SENT != 0).then_some(self.sent)
    }

    /// The day that the Date field writes, in its own zone, counted from 1 January 1970.
    #[must_use]
    pub fn sent_day(&self) -> Option<i64> {
        let local = self.sent.saturating_add(self.zone_minutes.saturating_mul(60));
        (self.flags & HAS_SENT != 0).then(|| local.div_euclid(86_400))
    }

    /// The beginning of the text (RFC 8970): one line, no markup, no quoted lines first.
    #[must_use]
    pub fn preview(&self) -> &'a str {
        self.preview
    }

    /// The message's own Message-ID, without angle brackets.
    #[must_use]
    pub fn message_id(&self) -> Option<&'a str> {
        (self.flags & HAS_MESSAGE_ID != 0).then(|| self.ids().next()).flatten()
    }

    /// Those of References, or else of In-Reply-To, oldest first (RFC 5256 section 3). Of very many, the
    /// first and the last ones.
    pub fn references(&self) -> impl Iterator<Item = &'a str> {
        self.ids().skip(usize::from(self.flags & HAS_MESSAGE_ID != 0))
    }

    fn ids(&self) -> Ids<'a> {
        Ids { rest: self.ids, envelope: self.envelope }
    }

    /// Names the conversation: a digest of the oldest Message-ID that the message refers to, or of its own. A message
    /// without any is a conversation of its own, named by its envelope.
    #[must_use]
    pub fn thread(&self) -> [u8; 16] {
        let oldest = self.references().next().or_else(|| self.message_id());
        let digest = match oldest {
            Some(id) => Sha256::new().chain_update(b"conversation:").chain_update(id),
            None => Sha256::new().chain_update(b"envelope:").chain_update(self.envelope),
        };
        let digest: [u8; 32] = digest.finalize().into();
        let mut name = [0; 16];
        name.copy_from_slice(&digest[..16]);
        name
    }

    /// The decoded texts that header searches look at, unfolded and not case-folded.
    #[must_use]
    pub fn subject(&self) -> String {
        decoded(Walk::into(self.envelope).nth(1))
    }

    /// From, To, Cc, Bcc, Sender or Reply-To: decoded display names and addresses, `Ann Lee <ann@example.test>, ...`.
    /// Empty if the message has no such field, although an envelope shows From for an absent Sender.
    #[must_use]
    pub fn addresses(&self, which: Addresses) -> String {
        let mut out = String::new();
        // Nothing goes between a group's name and its first address.
        let mut first = true;
        for address in self.list(which) {
            if !matches!(address, Address::GroupEnd) && !first {
                out.push_str(", ");
            }
            first = matches!(address, Address::GroupStart(_));
            match address {
                Address::Mailbox { name, address } if name.is_empty() => out.push_str(&address),
                Address::Mailbox { name, address } => {
                    out.push_str(&name);
                    out.push_str(" <");
                    out.push_str(&address);
                    out.push('>');
                }
                Address::GroupStart(name) => {
                    out.push_str(&name);
                    out.push_str(": ");
                }
                Address::GroupEnd => out.push(';'),
            }
        }
        out
    }

    /// What SORT compares of the first address: its local part (RFC 5256) or, with `display`, its display name if any, else
    /// the whole address (RFC 5957). Decoded. Of a group, its name.
    #[must_use]
    pub fn first_address(&self, which: Addresses, display: bool) -> String {
        match self.list(which).next() {
            Some(Address::Mailbox { name, .. }) if display && !name.is_empty() => name,
            Some(Address::Mailbox { address, .. }) if display => address,
            Some(Address::Mailbox { mut address, .. }) => {
                address.truncate(address.rfind('@').unwrap_or(address.len()));
                address
            }
            Some(Address::GroupStart(name)) => name,
            Some(Address::GroupEnd) | None => String::new(),
        }
    }

    fn list(&self, which: Addresses) -> impl Iterator<Item = Address> {
        let (place, there) = match which {
            Addresses::From => (2, true),
            Addresses::Sender => (3, self.flags & HAS_SENDER != 0),
            Addresses::ReplyTo => (4, self.flags & HAS_REPLY_TO != 0),
            Addresses::To => (5, true),
            Addresses::Cc => (6, true),
            Addresses::Bcc => (7, true),
        };
        let list = match Walk::into(self.envelope).nth(place) {
            Some(Item::List(list)) if there => list,
            _ => &[],
        };
        Walk::into(list).filter_map(|item| match item {
            Item::List(address) => Some(Address::read(address)),
            _ => None,
        })
    }
}

/// One address structure of an envelope, decoded.
enum Address {
    Mailbox { name: String, address: String },
    GroupStart(String),
    GroupEnd,
}

impl Address {
    fn read(structure: &[u8]) -> Address {
        let mut items = Walk::into(structure);
        let (name, _) = (items.next(), items.next());
        let (local, domain) = (items.next(), items.next());
        let there = |item: &Option<Item<'_>>| !matches!(item, None | Some(Item::Atom(_)));
        match (there(&local), there(&domain)) {
            (false, _) => Address::GroupEnd,
            (true, false) => Address::GroupStart(decoded(local)),
            (true, true) => {
                let mut address = decoded(local);
                let domain = decoded(domain);
                if !domain.is_empty() {
                    address.push('@');
                    address.push_str(&domain);
                }
                Address::Mailbox { name: decoded(name), address }
            }
        }
    }
}

fn decoded(item: Option<Item<'_>>) -> String {
    item.and_then(Item::text).map(|text| text::header(&text)).unwrap_or_default()
}

/// Reads kept Message-IDs.
struct Ids<'a> {
    rest: &'a [u8],
    envelope: &'a [u8],
}

impl<'a> Iterator for Ids<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let head = varint::read(&mut self.rest)?;
        let size = usize::try_from(head >> 1).ok()?;
        let bytes = if head & 1 == 1 {
            let at = usize::try_from(varint::read(&mut self.rest)?).ok()?;
            self.envelope.get(at..at.checked_add(size)?)?
        } else {
            let (bytes, rest) = self.rest.split_at_checked(size)?;
            self.rest = rest;
            bytes
        };
        std::str::from_utf8(bytes).ok()
    }
}

/// Levels of a kept structure that are read: more than are ever written, so that a damaged one does no harm.
const DEPTH_READ_MAX: usize = 1000;

/// Appends a body structure as far as BODY shows it (RFC 9051 7.5.2: what comes before the extension data).
fn without_extensions(structure: &[u8], depth: usize, out: &mut Vec<u8>) {
    out.push(b'(');
    let mut items = Walk::into(structure);
    let mut ahead = items;
    if matches!(ahead.next(), Some(Item::List(_))) {
        while let Some(Item::List(part)) = {
            ahead = items;
            ahead.next()
        } {
            if depth > 0 {
                without_extensions(part, depth - 1, out);
            }
            items = ahead;
        }
        out.push(b' ');
        out.extend_from_slice(items.raw().unwrap_or(b"NIL"));
    } else {
        let (kind, subtype) = (ahead_text(&mut items.clone(), 0), ahead_text(&mut items.clone(), 1));
        let message = kind == "message" && matches!(&subtype[..], "rfc822" | "global");
        let count = if message { 10 } else { 7 + usize::from(kind == "text") };
        for at in 0..count {
            if at > 0 {
                out.push(b' ');
            }
            match items.raw() {
                Some(inner) if message && at == 8 && depth > 0 => without_extensions(inner, depth - 1, out),
                item => out.extend_from_slice(item.unwrap_or(b"NIL")),
            }
        }
    }
    out.push(b')');
}

/// A string of a list, in lower case.
fn ahead_text(items: &mut Walk<'_>, at: usize) -> String {
    let text = items.nth(at).and_then(Item::text).unwrap_or_default();
    String::from_utf8_lossy(&text).to_ascii_lowercase()
}

/// A field of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// From.
    From,
    /// Sender.
    Sender,
    /// Reply-To.
    ReplyTo,
    /// To.
    To,
    /// Cc.
    Cc,
    /// Bcc.
    Bcc,
}

#[cfg(test)]
mod tests;
