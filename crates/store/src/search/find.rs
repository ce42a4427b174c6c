//! The answer to a search for text: what the index finds, and what is read to be sure.

use super::block::{self, Head, Section};
use super::cache::Round;
use super::docs::{self, Docs};
use super::gathered::Gathered;
use super::scan::{Scan, Test};
use super::terms::Terms;
use super::words::Needle;
use super::{Bits, Scope, Search, TermsKey};
use crate::account::View;
use crate::engine::Snapshot;
use crate::{Error, key};
use memchr::memmem::Finder;
use proto::proof::AccountId;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A search that had to read more messages than this, because they are not in the index, asks for them to be put there.
pub(super) const UNINDEXED_MAX: usize = 64;

/// Where candidates come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Among {
    Scope(Scope),
    /// Fields with this needle in their value.
    Headers,
}

/// A search for text that is under way.
pub(super) struct Finding<'a> {
    pub(super) search: &'a Search,
    pub(super) account: AccountId,
    pub(super) view: &'a View,
    pub(super) cancelled: &'a AtomicBool,
    /// Of the terms in memory.
    pub(super) round: Round,
}

/// What the index says.
struct Candidates {
    /// These do.
    found: Bits,
    /// These may.
    unsure: Bits,
    /// Of these it knows nothing.
    unknown: Bits,
}

impl Finding<'_> {
    /// Messages among `among` whose text holds `needle`.
    pub(super) fn text(&self, among: &Bits, needle: &str, scope: Scope) -> Result<Bits, Error> {
        if needle.is_empty() {
            return Ok(among.clone());
        }
        let needle = Needle::new(needle);
        let candidates = self.candidates(among, &[&needle], Among::Scope(scope))?;
        let mut found = candidates.found.clone();
        self.read(candidates, &Test::Text(&needle, scope), &mut found)?;
        Ok(found)
    }

    /// Messages among `among` with a field `name` whose value holds `needle`.
    pub(super) fn header(&self, among: &Bits, name: &str, needle: &str) -> Result<Bits, Error> {
        let needle = Needle::new(needle);
        // The index has fields as name, colon, space and value.
        let field = Needle::new(&proto::message::text::fold(&format!("{name}: ")));
        let mut candidates = self.candidates(among, &[&needle, &field], Among::Headers)?;
        candidates.unsure.or(&candidates.found);
        let mut found = Bits::none(among.len());
        self.read(candidates, &Test::Field(name, &needle), &mut found)?;
        Ok(found)
    }

    /// Reads what is not certain, and adds to `found` those that pass.
    fn read(&self, candidates: Candidates, test: &Test<'_>, found: &mut Bits) -> Result<(), Error> {
        let unknown = candidates.unknown.count() as usize;
        let mut bits = candidates.unsure;
        bits.or(&candidates.unknown);
        let messages: Vec<(u32, u32)> =
            bits.seqs().filter_map(|seq| Some((seq, self.view.uid(seq)?))).collect();
        let mailbox = self.view.mailbox.id;
        if unknown > UNINDEXED_MAX {
            self.search.gather_soon(self.account, mailbox);
            self.search.ask(self.account, mailbox);
        }
        if messages.is_empty() {
            return Ok(());
        }
        let scan = Scan { search: self.search, account: self.account, mailbox, cancelled: self.cancelled };
        scan.run(&messages, test)?.into_iter().for_each(|seq| found.set(seq));
        Ok(())
    }

    fn candidates(&self, among: &Bits, needles: &[&Needle], from: Among) -> Result<Candidates, Error> {
        let len = self.view.len();
        let (mut found, mut unsure, mut known) = (Bits::none(len), Bits::none(len), Bits::none(len));
        let (account, mailbox) = (self.account, self.view.mailbox.id);
        let mut ask = |source: &dyn Source| -> Result<(), Error> {
            let runs = docs::runs(self.view, source.uids());
            let count = docs::count(source.uids());
            let wanted = docs::to_docs(among, &runs, count);
            if wanted.is_empty() {
                return Ok(());
            }
            let (certain, maybe) = candidates(source, &wanted, needles, from)?;
            docs::add_to_bits(&certain, &runs, &mut found);
            docs::add_to_bits(&maybe, &runs, &mut unsure);
            docs::add_to_bits(&wanted, &runs, &mut known);
            Ok(())
        };
        // Before the blocks: what becomes one of them meanwhile is found twice, and not missed.
        if let Some(tail) = self.search.tail(account, mailbox) {
            let (full, open) = tail.look(|open| ask(open));
            open?;
            full.iter().try_for_each(|part| ask(&**part))?;
        }
        let snapshot = self.search.engine().snapshot()?;
        let heads = block::heads(&*snapshot, key::search(account), mailbox)?;
        let damaged = !heads.damaged.is_empty();
        for head in &heads.sound {
            match ask(&Block { finding: self, snapshot: &*snapshot, head }) {
                Ok(()) => {}
                Err(Error::Damaged(text)) => {
                    tracing::warn!(
                        account = account.0,
                        mailbox = mailbox.0,
                        text,
                        "a search block is made anew"
                    );
                    self.search.distrust(account, mailbox, head.number);
                }
                Err(other) => return Err(other),
            }
        }
        if damaged {
            self.search.ask(account, mailbox);
        }
        let mut unknown = among.clone();
        unknown.without(&known);
        Ok(Candidates { found, unsure, unknown })
    }
}

/// Words of some messages, which are its documents.
trait Source {
    /// Its messages.
    fn uids(&self) -> &[(u32, u32)];
    /// Those that are not wholly in it.
    fn unsure(&self) -> &[(u32, u32)];
    /// Documents of `wanted`, and maybe others, with a word that matches.
    fn find(&self, section: Section, pattern: &Finder<'_>, wanted: &Docs) -> Result<Docs, Error>;
}

/// Documents among `wanted` that match, and those that may.
fn candidates(
    source: &dyn Source,
    wanted: &Docs,
    needles: &[&Needle],
    from: Among,
) -> Result<(Docs, Docs), Error> {
    let sections: &[Section] = match from {
        Among::Scope(Scope::Body) => &[Section::Body],
        Among::Scope(Scope::Whole) => &[Section::Body, Section::Header],
        Among::Headers => &[Section::Header],
    };
    let count = docs::count(source.uids());
    let mut hits = Docs::none(count);
    for section in sections {
        let mut left = wanted.clone();
        left.without(&hits);
        for needle in needles {
            for pattern in &needle.patterns {
                if !left.is_empty() {
                    left.and(&source.find(*section, pattern, &left)?);
                }
            }
        }
        hits.or(&left);
    }
    let mut unsure = documents(source.unsure(), source.uids(), count);
    unsure.and(wanted);
    if needles.iter().all(|needle| needle.exact) {
        unsure.without(&hits);
        return Ok((hits, unsure));
    }
    unsure.or(&hits);
    Ok((Docs::none(count), unsure))
}

/// Where some of the messages are.
fn documents(some: &[(u32, u32)], all: &[(u32, u32)], count: u32) -> Docs {
    let mut docs = Docs::none(count);
    if some.is_empty() {
        return docs;
    }
    let mut some = block::each(some).peekable();
    for (doc, uid) in (0..).zip(block::each(all)) {
        if some.next_if_eq(&uid).is_some() {
            docs.set(doc);
        }
    }
    docs
}

impl Source for Gathered {
    fn uids(&self) -> &[(u32, u32)] {
        &self.uids
    }

    fn unsure(&self) -> &[(u32, u32)] {
        &self.unsure
    }

    fn find(&self, section: Section, pattern: &Finder<'_>, wanted: &Docs) -> Result<Docs, Error> {
        Ok(self.find(section, pattern, wanted))
    }
}

/// One block that a search looks at.
struct Block<'a> {
    finding: &'a Finding<'a>,
    snapshot: &'a dyn Snapshot,
    head: &'a Head,
}

impl Source for Block<'_> {
    fn uids(&self) -> &[(u32, u32)] {
        &self.head.uids
    }

    fn unsure(&self) -> &[(u32, u32)] {
        &self.head.unsure
    }

    fn find(&self, section: Section, pattern: &Finder<'_>, wanted: &Docs) -> Result<Docs, Error> {
        Ok(self.terms(section)?.find(pattern, wanted))
    }
}

impl Block<'_> {
    fn terms(&self, section: Section) -> Result<Arc<Terms>, Error> {
        let Finding { search, account, view, round, .. } = self.finding;
        let mailbox = view.mailbox.id;
        let number = self.head.number;
        search.terms(TermsKey { account: *account, mailbox, number, section }, *round, || {
            self.head.terms(self.snapshot, key::search(*account), mailbox, section)
        })
    }
}
