//! From a search key to the messages that it finds.
//!
//! Every key is asked only of messages that can still matter, the cheap ones first: flags, dates and sizes are columns of
//! the view, header fields are columns of their own, other headers are read, texts are looked for in the index last. What
//! must hold: the order changes the cost and never the result.

use crate::imap::name;
use crate::imap::no::No;
use proto::imap::command::{Flag, Key};
use proto::imap::set::SetOrSaved;
use proto::message::gist::Gist;
use proto::message::text::fold;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use store::account::{Account, Chunk, DetailRef, Flags, View};
use store::search::{Bits, Columns, Field, Scope};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Details that are read together where a key asks for what only they have.
const DETAILS_AT_ONCE: usize = 256;

/// Where a search looks.
#[derive(Debug)]
pub(crate) struct Haystack {
    account: Account,
    view: Arc<View>,
    /// UIDs that `$` means, as ascending ranges.
    saved: Vec<(u32, u32)>,
    /// Unix seconds.
    now: i64,
    /// Read when the first key needs them.
    columns: Option<Arc<Columns>>,
}

impl Haystack {
    pub(crate) fn new(account: Account, view: Arc<View>, saved: Vec<(u32, u32)>, now: i64) -> Haystack {
        Haystack { account, view, saved, now, columns: None }
    }

    /// The messages that a key finds.
    pub(crate) async fn find(&mut self, key: &Key) -> Result<Bits, No> {
        let all = Bits::all(self.view.len());
        self.find_among(key, &all).await
    }

    /// Those of `among` that a key finds. Nesting is bounded by the parser.
    pub(crate) fn find_among<'a>(
        &'a mut self,
        key: &'a Key,
        among: &'a Bits,
    ) -> Pin<Box<dyn Future<Output = Result<Bits, No>> + Send + 'a>> {
        Box::pin(async move {
            if among.is_empty() {
                return Ok(Bits::none(among.len()));
            }
            match key {
                Key::And(keys) => self.all_of(keys, among).await,
                Key::Or(a, b) => {
                    let (first, second) = if cost(a) <= cost(b) { (a, b) } else { (b, a) };
                    let mut found = self.find_among(first, among).await?;
                    let mut rest = among.clone();
                    rest.without(&found);
                    found.or(&self.find_among(second, &rest).await?);
                    Ok(found)
                }
                Key::Not(key) => {
                    let found = self.find_among(key, among).await?;
                    let mut rest = among.clone();
                    rest.without(&found);
                    Ok(rest)
                }
                Key::Fuzzy(key) => self.find_among(key, among).await,
                key => self.single(key, among).await,
            }
        })
    }

    async fn all_of(&mut self, keys: &[Key], among: &Bits) -> Result<Bits, No> {
        let mut order: Vec<&Key> = keys.iter().collect();
        order.sort_by_key(|key| cost(key));
        let mut left = among.clone();
        for key in order {
            if left.is_empty() {
                break;
            }
            left = self.find_among(key, &left).await?;
        }
        Ok(left)
    }

    /// A key without others in it.
    async fn single(&mut self, key: &Key, among: &Bits) -> Result<Bits, No> {
        let mut found = match key {
            Key::Body(text) | Key::Text(text) => {
                let needle = fold(text);
                // What is empty is contained in everything (RFC 9051 6.4.4).
                if needle.is_empty() {
                    return Ok(among.clone());
                }
                let scope = if matches!(key, Key::Body(_)) { Scope::Body } else { Scope::Whole };
                return Ok(self.account.find_text(&self.view, among, &needle, scope).await?);
            }
            Key::Header(name, text) => match field(name) {
                Some(field) => self.columns().await?.contains(field, &fold(text)),
                None => {
                    return Ok(self.account.find_header(&self.view, among, name, &fold(text)).await?);
                }
            },
            Key::Subject(text) => self.field(Field::Subject, text).await?,
            Key::From(text) => self.field(Field::From, text).await?,
            Key::To(text) => self.field(Field::To, text).await?,
            Key::Cc(text) => self.field(Field::Cc, text).await?,
            Key::Bcc(text) => self.field(Field::Bcc, text).await?,
            Key::SentBefore(day) => self.sent(among, |sent| sent < *day).await?,
            Key::SentOn(day) => self.sent(among, |sent| sent == *day).await?,
            Key::SentSince(day) => self.sent(among, |sent| sent >= *day).await?,
            Key::SavedBefore(day) => self.details(among, |d| d.saved.div_euclid(DAY) < *day).await?,
            Key::SavedOn(day) => self.details(among, |d| d.saved.div_euclid(DAY) == *day).await?,
            Key::SavedSince(day) => self.details(among, |d| d.saved.div_euclid(DAY) >= *day).await?,
            Key::EmailId(id) => self.details(among, |d| name::email_id(&d.body) == *id).await?,
            Key::ThreadId(id) => {
                let same = |d: &DetailRef<'_>| {
                    Gist::read(d.gist).is_some_and(|gist| name::thread_id(&gist.thread()) == *id)
                };
                self.details(among, same).await?
            }
            key => self.of_view(key),
        };
        found.and(among);
        Ok(found)
    }

    async fn columns(&mut self) -> Result<Arc<Columns>, No> {
        if let Some(columns) = &self.columns {
            return Ok(columns.clone());
        }
        let columns = self.account.columns(&self.view).await?;
        self.columns = Some(columns.clone());
        Ok(columns)
    }

    async fn field(&mut self, field: Field, text: &str) -> Result<Bits, No> {
        let needle = fold(text);
        if needle.is_empty() {
            // RFC 9051 6.4.4: an empty text is contained in the field of every message, be there one or not.
            return Ok(Bits::all(self.view.len()));
        }
        Ok(self.columns().await?.contains(field, &needle))
    }

    async fn sent(&mut self, among: &Bits, fits: impl Fn(i64) -> bool) -> Result<Bits, No> {
        let columns = self.columns().await?;
        let mut found = Bits::none(self.view.len());
        for seq in among.seqs() {
            if fits(columns.sent_day(seq)) {
                found.set(seq);
            }
        }
        Ok(found)
    }

    /// Asks the details of each message; one that is gone meanwhile is not found.
    async fn details(&self, among: &Bits, fits: impl Fn(&DetailRef<'_>) -> bool) -> Result<Bits, No> {
        let mut found = Bits::none(self.view.len());
        let uids: Vec<u32> = among.seqs().filter_map(|seq| self.view.uid(seq)).collect();
        for batch in uids.chunks(DETAILS_AT_ONCE) {
            let details = self.account.details(self.view.mailbox.id, batch.to_vec()).await?;
            for detail in details.iter() {
                let detail = detail?;
                if fits(&detail)
                    && let Some(seq) = self.view.seq(detail.uid)
                {
                    found.set(seq);
                }
            }
        }
        Ok(found)
    }

    /// Keys that the columns of the view answer.
    fn of_view(&self, key: &Key) -> Bits {
        let view = &*self.view;
        match key {
            Key::Flag(flag) => match flag_bit(flag, view) {
                Some(bit) => pick(view, |chunk| chunk.flags, |flags| flags & bit != 0),
                None => Bits::none(view.len()),
            },
            Key::Before(day) => pick(view, |chunk| chunk.dates, |date| date.div_euclid(DAY) < *day),
            Key::On(day) => pick(view, |chunk| chunk.dates, |date| date.div_euclid(DAY) == *day),
            Key::Since(day) => pick(view, |chunk| chunk.dates, |date| date.div_euclid(DAY) >= *day),
            Key::Larger(size) => pick(view, |chunk| chunk.sizes, |octets| octets > *size),
            Key::Smaller(size) => pick(view, |chunk| chunk.sizes, |octets| octets < *size),
            Key::Older(seconds) => {
                let then = self.now - i64::from(*seconds);
                pick(view, |chunk| chunk.dates, |date| date <= then)
            }
            Key::Younger(seconds) => {
                let then = self.now - i64::from(*seconds);
                pick(view, |chunk| chunk.dates, |date| date >= then)
            }
            Key::ModSeq(modseq) => pick(view, |chunk| chunk.modseqs, |of| of >= *modseq),
            Key::Set(SetOrSaved::Set(set)) => {
                let mut found = Bits::none(view.len());
                for (from, to) in set.resolve(view.len()) {
                    (from..=to.min(view.len())).for_each(|seq| found.set(seq));
                }
                found
            }
            Key::Uid(SetOrSaved::Set(set)) => of_uids(view, &set.resolve(view.last_uid())),
            Key::Set(SetOrSaved::Saved) | Key::Uid(SetOrSaved::Saved) => of_uids(view, &self.saved),
            // No message is ever recent (RFC 9051 takes the flag away); the date of saving is always known.
            Key::Recent => Bits::none(view.len()),
            _ => Bits::all(view.len()),
        }
    }
}

/// What asking costs: a column of the view, other columns, details or headers, texts.
fn cost(key: &Key) -> u8 {
    match key {
        Key::And(keys) => keys.iter().map(cost).max().unwrap_or(0),
        Key::Or(a, b) => cost(a).max(cost(b)),
        Key::Not(key) | Key::Fuzzy(key) => cost(key),
        Key::Body(_) => 4,
        Key::Text(_) => 5,
        Key::Header(name, _) if field(name).is_none() => 3,
        Key::SavedBefore(_) | Key::SavedOn(_) | Key::SavedSince(_) | Key::EmailId(_) | Key::ThreadId(_) => 2,
        Key::Header(..)
        | Key::Subject(_)
        | Key::From(_)
        | Key::To(_)
        | Key::Cc(_)
        | Key::Bcc(_)
        | Key::SentBefore(_)
        | Key::SentOn(_)
        | Key::SentSince(_) => 1,
        _ => 0,
    }
}

/// Does the key, or one within it, ask for MODSEQ? Then the answer tells it (RFC 7162 3.1.5).
pub(crate) fn has_modseq(key: &Key) -> bool {
    any(key, &|key| matches!(key, Key::ModSeq(_)))
}

/// Is any part of it fuzzy (RFC 6203)?
pub(crate) fn has_fuzzy(key: &Key) -> bool {
    any(key, &|key| matches!(key, Key::Fuzzy(_)))
}

fn any(key: &Key, is: &dyn Fn(&Key) -> bool) -> bool {
    is(key)
        || match key {
            Key::And(keys) => keys.iter().any(|key| any(key, is)),
            Key::Or(a, b) => any(a, is) || any(b, is),
            Key::Not(key) | Key::Fuzzy(key) => any(key, is),
            _ => false,
        }
}

fn field(name: &str) -> Option<Field> {
    const FIELDS: [(&str, Field); 5] = [
        ("Subject", Field::Subject),
        ("From", Field::From),
        ("To", Field::To),
        ("Cc", Field::Cc),
        ("Bcc", Field::Bcc),
    ];
    FIELDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, field)| *field)
}

fn flag_bit(flag: &Flag, view: &View) -> Option<u64> {
    Some(match flag {
        Flag::Seen => Flags::SEEN.0,
        Flag::Answered => Flags::ANSWERED.0,
        Flag::Flagged => Flags::FLAGGED.0,
        Flag::Deleted => Flags::DELETED.0,
        Flag::Draft => Flags::DRAFT.0,
        Flag::Keyword(name) => {
            let at = view.mailbox.keywords.iter().position(|known| known.eq_ignore_ascii_case(name))?;
            1u64.checked_shl(Flags::KEYWORD_FIRST + u32::try_from(at).ok()?)?
        }
    })
}

/// Messages with UIDs in ascending ranges.
pub(crate) fn of_uids(view: &View, ranges: &[(u32, u32)]) -> Bits {
    let mut found = Bits::none(view.len());
    for &(from, to) in ranges {
        view.seqs(from, to).for_each(|seq| found.set(seq));
    }
    found
}

/// The messages whose value in a column fits, without a branch for each.
fn pick<T: Copy>(view: &View, column: impl Fn(Chunk<'_>) -> &[T], fits: impl Fn(T) -> bool) -> Bits {
    let mut found = Bits::none(view.len());
    for chunk in view.chunks() {
        let first = chunk.first_seq as usize - 1;
        let words = found.words_mut();
        for (at, value) in (first..).zip(column(chunk)) {
            // A view's chunks hold as many messages as it has.
            if let Some(word) = words.get_mut(at / 64) {
                *word |= u64::from(fits(*value)) << (at % 64);
            }
        }
    }
    found
}
