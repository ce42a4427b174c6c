//! Flags and keywords are changed.

use super::mark::Marking;
use super::{Change, SMALL_ROWS_MAX};
use crate::account::{FlagChange, Flags, FlagsChanged, How, Mailbox, Refused, View, Why, WideChange};
use proto::proof::AccountId;
use std::sync::Arc;

impl Change<'_> {
    pub(super) fn change_flags(
        &mut self,
        change: &FlagChange,
        guest: Option<AccountId>,
    ) -> Result<FlagsChanged, Refused> {
        let view = self.working(change.mailbox)?;
        let mut marking = guest.map(|guest| self.marks_to_change(change, guest, &view)).transpose()?;
        let Some(index) = self.head.mailboxes.get_mut(&change.mailbox.0) else {
            return Err(Refused::NoMailbox);
        };
        // Nothing is kept of this if no message is changed.
        let mut mailbox = index.row.mailbox.clone();
        let keywords = match change.how {
            How::Remove => mailbox.known_keywords(&change.keywords),
            How::Add | How::Replace => mailbox.make_keywords(&change.keywords, &view)?,
        };
        // Whether a guest has seen a message is not among the flags that all share.
        let shared = if guest.is_some() { !Flags::SEEN.0 } else { u64::MAX };
        let bits = (change.flags.0 & Flags::SYSTEM.0 | keywords) & shared;
        // First some are taken away, then some are set.
        let (clear, set) = match change.how {
            How::Add => (0, bits),
            How::Remove => (bits, 0),
            How::Replace => (shared, bits),
        };
        let mut done = FlagsChanged::default();
        let mut changed: Vec<(u32, u64)> = Vec::new();
        let mut marked: Vec<(u32, bool)> = Vec::new();
        for (from, to) in &change.uids {
            for chunk in view.chunks_of(view.seqs(*from, *to)) {
                for (at, uid) in chunk.uids.iter().enumerate() {
                    let mark = marking.as_ref().map(|marking| marking.get(change.mailbox, *uid));
                    let modseq = chunk.modseqs[at].max(mark.map_or(0, |mark| mark.modseq));
                    if change.unchanged_since.is_some_and(|since| modseq > since) {
                        done.modified.push(*uid);
                        continue;
                    }
                    let old = chunk.flags[at];
                    let new = old & !clear | set;
                    if let Some(mark) = mark
                        && let Some(seen) = seen_after(change, mark.seen)
                    {
                        marked.push((*uid, seen));
                    }
                    if new != old {
                        changed.push((*uid, new));
                        mailbox.count_out(Flags(old), chunk.sizes[at]);
                        mailbox.count_in(Flags(new), chunk.sizes[at]);
                    }
                }
            }
        }
        if changed.is_empty() && marked.is_empty() {
            return Ok(done);
        }
        done.modseq = self.head.version + 1;
        if let Some(mut marking) = marking.take().filter(|_| !marked.is_empty()) {
            marked.iter().for_each(|(uid, seen)| self.mark(&mut marking, change.mailbox, *uid, *seen));
            self.write_marks(marking, Some(&view));
        }
        if !changed.is_empty() {
            self.set_flags(mailbox, &view, (clear, set), changed);
        }
        Ok(done)
    }

    /// Reads in what a guest has marked of the messages of a change, and lets go of what is long gone.
    fn marks_to_change(
        &mut self,
        change: &FlagChange,
        guest: AccountId,
        view: &View,
    ) -> Result<Marking, Refused> {
        let mut marking = self.marking(guest)?;
        for (from, to) in &change.uids {
            for chunk in view.chunks_of(view.seqs(*from, *to)) {
                for uid in chunk.uids {
                    self.read_mark(&mut marking, change.mailbox, *uid)?;
                }
            }
        }
        self.drop_marks_behind(&marking, view)?;
        Ok(marking)
    }

    /// Gives messages of a mailbox that is held the flags that were found to differ; `mailbox` counts them already.
    /// All had the same bits taken away, and set.
    fn set_flags(&mut self, mailbox: Mailbox, view: &View, bits: (u64, u64), mut changed: Vec<(u32, u64)>) {
        let modseq = self.head.version + 1;
        let id = mailbox.id;
        let Some(index) = self.head.mailboxes.get_mut(&id.0) else { return };
        index.row.mailbox = mailbox;
        let touched = self.touched.entry(id.0).or_default();
        let is_large = changed.len() > SMALL_ROWS_MAX;
        // What an operation of this commit has put in or changed has the same MODSEQ.
        let is_first = !touched.is_bulk && touched.added.is_empty() && touched.changed.is_empty();
        let mut uids = changed.iter().map(|(uid, _)| *uid);
        if is_large && is_first && index.set_many(WideChange::new(modseq, bits, &mut uids)) {
            touched.changed.append(&mut changed);
            return;
        }
        touched.is_bulk |= is_large;
        if touched.is_bulk {
            touched.bulk.extend(changed.iter().map(|(uid, _)| *uid));
        } else {
            for (uid, flags) in &changed {
                if let Some(mut row) = view.seq(*uid).and_then(|seq| view.row(seq)) {
                    (row.flags, row.modseq) = (Flags(*flags), modseq);
                    index.set(row);
                }
            }
        }
        touched.changed.append(&mut changed);
    }
}

/// Whether a guest has seen a message after a change; `None`: as before it.
fn seen_after(change: &FlagChange, before: bool) -> Option<bool> {
    let named = change.flags.0 & Flags::SEEN.0 != 0;
    let after = match change.how {
        How::Add => before || named,
        How::Remove => before && !named,
        How::Replace => named,
    };
    (after != before).then_some(after)
}

impl Mailbox {
    /// The bit of a keyword that it has.
    fn keyword(&self, name: &str) -> Option<u64> {
        let at = self.keywords.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        Some(1 << (Flags::KEYWORD_FIRST as usize + at).min(63))
    }

    /// The bits of those that it has.
    fn known_keywords(&self, names: &[String]) -> u64 {
        names.iter().filter_map(|name| self.keyword(name)).fold(0, |bits, bit| bits | bit)
    }

    /// The bits of these keywords; those that are new are made as far as there is room.
    pub(super) fn keyword_bits(&mut self, names: &[String]) -> u64 {
        let mut bits = 0;
        for name in names {
            bits |= self.keyword(name).or_else(|| self.make_keyword(name)).unwrap_or(0);
        }
        bits
    }

    /// The same, all or an error. In a full table, keywords that no message of `view` has make room.
    fn make_keywords(&mut self, names: &[String], view: &View) -> Result<u64, Refused> {
        let mut bits = 0;
        for name in names {
            let bit = self.keyword(name).or_else(|| self.make_keyword(name));
            bits |= match bit {
                Some(bit) => bit,
                None if !is_keyword(name) => {
                    return Err(Refused::Limit(Why::KeywordLong));
                }
                None => self.reuse_keyword(name, view, bits).ok_or(Refused::Limit(Why::KeywordsMany))?,
            };
        }
        Ok(bits)
    }

    fn make_keyword(&mut self, name: &str) -> Option<u64> {
        let at = self.keywords.len();
        if at >= Flags::KEYWORDS_MAX || !is_keyword(name) {
            return None;
        }
        self.keywords = self.keywords.iter().cloned().chain([name.to_owned()]).collect();
        Some(1 << (Flags::KEYWORD_FIRST as usize + at))
    }

    /// Gives a bit that no message has, and that is not among `taken`, a new name.
    fn reuse_keyword(&mut self, name: &str, view: &View, taken: u64) -> Option<u64> {
        let used = view.chunks().fold(taken, |all, chunk| chunk.flags.iter().fold(all, |all, f| all | f));
        let at = (0..self.keywords.len()).find(|at| used >> (Flags::KEYWORD_FIRST as usize + at) & 1 == 0)?;
        let mut keywords: Vec<String> = self.keywords.to_vec();
        name.clone_into(&mut keywords[at]);
        self.keywords = Arc::from(keywords);
        Some(1 << (Flags::KEYWORD_FIRST as usize + at))
    }
}

fn is_keyword(name: &str) -> bool {
    !name.is_empty() && name.len() <= Flags::KEYWORD_BYTES_MAX
}
