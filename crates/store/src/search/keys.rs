//! What sorting and threading compare, for all messages of a view (RFC 5256, RFC 5957). Held as `columns` are.

use super::cache::Cache;
use super::columns::{Facts, Group, Held, Mapped};
use super::texts::Texts;
use crate::account::{DetailRef, MailboxId};
use proto::message::gist::{Addresses, Gist};
use proto::message::text;
use proto::proof::AccountId;

/// A first address that sorting compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// The local part of From.
    From,
    /// The local part of To.
    To,
    /// The local part of Cc.
    Cc,
    /// The display name, or else the address, of From.
    DisplayFrom,
    /// The display name, or else the address, of To.
    DisplayTo,
}

/// See above.
#[derive(Debug)]
pub struct SortKeys {
    pub(super) facts: Mapped<SortFacts>,
}

impl SortKeys {
    /// The base subject (RFC 5256 2.1), folded.
    #[must_use]
    pub fn subject(&self, seq: u32) -> &str {
        self.facts.get(seq).map_or("", |(facts, at)| facts.subjects.get(at))
    }

    /// A first address, folded; empty if there is none.
    #[must_use]
    pub fn address(&self, which: Address, seq: u32) -> &str {
        self.facts.get(seq).map_or("", |(facts, at)| facts.addresses[which as usize].get(at))
    }
}

/// See above.
#[derive(Debug)]
pub struct ThreadKeys {
    pub(super) facts: Mapped<ThreadFacts>,
}

impl ThreadKeys {
    /// The base subject, folded.
    #[must_use]
    pub fn subject(&self, seq: u32) -> &str {
        self.facts.get(seq).map_or("", |(facts, at)| facts.subjects.get(at))
    }

    /// The subject says that it is a reply or was forwarded.
    #[must_use]
    pub fn is_reply(&self, seq: u32) -> bool {
        self.facts.get(seq).is_some_and(|(facts, at)| facts.names[at].reply)
    }

    /// The Message-ID, without angle brackets.
    #[must_use]
    pub fn message_id(&self, seq: u32) -> Option<&str> {
        self.facts.get(seq).and_then(|(facts, at)| facts.ids(at).next()).filter(|id| !id.is_empty())
    }

    /// What it refers to, oldest first (RFC 5256 section 3).
    pub fn references(&self, seq: u32) -> impl Iterator<Item = &str> {
        self.facts.get(seq).into_iter().flat_map(|(facts, at)| facts.ids(at).skip(1))
    }

    /// Names the conversation; see `Gist::thread`.
    #[must_use]
    pub fn thread(&self, seq: u32) -> Option<[u8; 16]> {
        self.facts.get(seq).and_then(|(facts, at)| facts.names[at].thread)
    }

    /// Names the content: the hash of the body.
    #[must_use]
    pub fn content(&self, seq: u32) -> Option<[u8; 32]> {
        self.facts.get(seq).map(|(facts, at)| facts.names[at].content)
    }
}

#[derive(Debug, Default)]
pub(super) struct SortFacts {
    subjects: Texts,
    /// In the order of [`Address`].
    addresses: [Texts; 5],
}

impl Facts for SortFacts {
    fn held(held: &Held) -> &Cache<(AccountId, MailboxId), Group<SortFacts>> {
        &held.sort
    }

    fn push(&mut self, _detail: &DetailRef<'_>, gist: Option<Gist<'_>>) {
        let Some(gist) = gist else {
            self.subjects.push("");
            return self.addresses.iter_mut().for_each(|texts| texts.push(""));
        };
        self.subjects.push(&base_subject(&gist).0);
        let which = [
            (Addresses::From, false),
            (Addresses::To, false),
            (Addresses::Cc, false),
            (Addresses::From, true),
            (Addresses::To, true),
        ];
        for (texts, (field, display)) in self.addresses.iter_mut().zip(which) {
            texts.push(&text::fold(&gist.first_address(field, display)));
        }
    }

    fn append(&mut self, other: &SortFacts) {
        self.subjects.append(&other.subjects);
        self.addresses.iter_mut().zip(&other.addresses).for_each(|(mine, theirs)| mine.append(theirs));
    }

    fn seal(&mut self) {
        self.subjects.seal();
        self.addresses.iter_mut().for_each(Texts::seal);
    }

    fn bytes(&self) -> usize {
        self.subjects.bytes() + self.addresses.iter().map(Texts::bytes).sum::<usize>()
    }
}

#[derive(Debug, Default)]
pub(super) struct ThreadFacts {
    subjects: Texts,
    /// Of each message its own and those that it refers to, with a NUL between.
    ids: Texts,
    names: Vec<Names>,
}

#[derive(Clone, Copy, Debug)]
struct Names {
    thread: Option<[u8; 16]>,
    content: [u8; 32],
    reply: bool,
}

impl ThreadFacts {
    fn ids(&self, at: usize) -> impl Iterator<Item = &str> {
        self.ids.get(at).split('\0')
    }
}

impl Facts for ThreadFacts {
    fn held(held: &Held) -> &Cache<(AccountId, MailboxId), Group<ThreadFacts>> {
        &held.threads
    }

    fn push(&mut self, detail: &DetailRef<'_>, gist: Option<Gist<'_>>) {
        let content = detail.body.hash;
        let Some(gist) = gist else {
            self.subjects.push("");
            self.ids.push("");
            return self.names.push(Names { thread: None, content, reply: false });
        };
        let (subject, reply) = base_subject(&gist);
        self.subjects.push(&subject);
        let mut ids = gist.message_id().unwrap_or_default().replace('\0', "");
        for id in gist.references().filter(|id| !id.is_empty() && !id.contains('\0')) {
            ids.push('\0');
            ids.push_str(id);
        }
        self.ids.push(&ids);
        self.names.push(Names { thread: Some(gist.thread()), content, reply });
    }

    fn append(&mut self, other: &ThreadFacts) {
        self.subjects.append(&other.subjects);
        self.ids.append(&other.ids);
        self.names.extend_from_slice(&other.names);
    }

    fn seal(&mut self) {
        self.subjects.seal();
        self.ids.seal();
        self.names.shrink_to_fit();
    }

    fn bytes(&self) -> usize {
        self.subjects.bytes() + self.ids.bytes() + self.names.capacity() * size_of::<Names>()
    }
}

fn base_subject(gist: &Gist<'_>) -> (String, bool) {
    let (subject, reply) = text::base_subject(&gist.subject());
    (text::fold(&subject), reply)
}
