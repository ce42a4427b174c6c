//! Messages are copied or moved within the account.

use super::Change;
use super::mark::Marking;
use crate::account::{Copied, Copying, Flags, Mailbox, MailboxId, MessageRow, Refused, details};
use crate::row;
use crate::{Error, key};
use proto::proof::AccountId;

impl Change<'_> {
    /// `guest`: who copies, if not the owner.
    pub(super) fn copy(&mut self, copying: &Copying, guest: Option<AccountId>) -> Result<Copied, Refused> {
        let (from, to) = (copying.from, copying.to);
        let view = self.working(from)?;
        self.hold(to)?;
        let rows: Vec<MessageRow> = copying
            .uids
            .iter()
            .flat_map(|(first, last)| view.rows(view.seqs(*first, *last)).map(|(_, row)| row))
            .collect();
        let mailbox = |this: &Self, id: MailboxId| {
            this.head.mailboxes.get(&id.0).map(|index| index.row.mailbox.clone()).ok_or(Refused::NoMailbox)
        };
        let (source, mut target) = (mailbox(self, from)?, mailbox(self, to)?);
        let mut copied = Copied { uid_validity: target.uid_validity, ..Copied::default() };
        if rows.is_empty() {
            return Ok(copied);
        }
        if !copying.remove {
            let bytes = rows.iter().fold(0u64, |sum, row| sum.saturating_add(row.size));
            self.quota_left(bytes, rows.len() as u64)?;
        }
        self.uids_left(to, rows.len())?;
        let details = self.details_for_copies(from, &rows, copying.saved)?;
        let mut seen = self.seen_to_copy(from, to, &rows, guest)?;
        let maps = KeywordMap::new(&source, &mut target, &rows);
        if copying.remove {
            self.take_out(from, &rows, true)?;
        }
        if let Some(index) = self.head.mailboxes.get_mut(&to.0) {
            index.row.mailbox.keywords = target.keywords;
        }
        let modseq = self.head.version + 1;
        copied.modseq = modseq;
        copied.uids.reserve(rows.len());
        for (row, detail) in rows.iter().zip(details) {
            let new = MessageRow { flags: maps.map(row.flags), modseq, ..row.clone() };
            let uid = self.add(to, new).ok_or(Refused::NoMailbox)?;
            self.put_detail(to, uid, detail);
            copied.uids.push((row.uid, uid));
        }
        if let Some(mut marking) = seen.take() {
            for (old, new) in &copied.uids {
                if marking.get(from, *old).seen {
                    self.mark(&mut marking, to, *new, true);
                }
            }
            self.write_marks(marking, None);
        }
        Ok(copied)
    }

    /// What the guest who copies has seen of these messages, and room for the marks of the copies. What other guests have seen stays
    /// behind: for them, the copies are new.
    fn seen_to_copy(
        &mut self,
        from: MailboxId,
        to: MailboxId,
        rows: &[MessageRow],
        guest: Option<AccountId>,
    ) -> Result<Option<Marking>, Refused> {
        let Some(guest) = guest else { return Ok(None) };
        let mut marking = self.marking(guest)?;
        for row in rows {
            self.read_mark(&mut marking, from, row.uid)?;
        }
        self.read_next_marks(&mut marking, to, rows.len())?;
        Ok(Some(marking))
    }

    /// The rows of the copies' details, in the order of `rows`.
    fn details_for_copies(
        &mut self,
        from: MailboxId,
        rows: &[MessageRow],
        saved: i64,
    ) -> Result<Vec<Vec<u8>>, Refused> {
        let lacks = |uid| Error::Damaged(format!("mailbox {}: UID {uid} has no detail", from.0));
        let condemned = self.condemned;
        let anew = |stored: &[u8]| -> Result<Vec<u8>, Error> {
            let mut detail = row::Front::decode(stored)?;
            // What a commit refers to is durable, and what this one refers to it rests on already.
            condemned.admit(&detail.body)?;
            detail.saved = saved;
            Ok(detail.encode())
        };
        let mut out = Vec::with_capacity(rows.len());
        if rows.iter().any(|row| self.details.contains_key(&(from.0, row.uid))) {
            // Some came or changed in this very commit.
            for row in rows {
                let stored = self.detail(from, row.uid)?.ok_or_else(|| lacks(row.uid))?;
                out.push(anew(&stored)?);
            }
            return Ok(out);
        }
        let partition = key::partition(self.account);
        let uids: Vec<u32> = rows.iter().map(|row| row.uid).collect();
        details::read(self.snapshot()?, partition, from, &uids, &mut |uid, stored| {
            if uids.get(out.len()) != Some(&uid) {
                return Err(lacks(uids.get(out.len()).copied().unwrap_or(0)));
            }
            out.push(anew(stored)?);
            Ok(())
        })?;
        if out.len() < rows.len() {
            return Err(lacks(uids[out.len()]).into());
        }
        Ok(out)
    }
}

/// From the keyword bits of one mailbox to those of another.
struct KeywordMap(Vec<(u64, u64)>);

impl KeywordMap {
    /// For the keywords that `rows` have. What the target has no room for is dropped.
    fn new(source: &Mailbox, target: &mut Mailbox, rows: &[MessageRow]) -> KeywordMap {
        let used = rows.iter().fold(0, |used, row| used | row.flags.0);
        let pairs = source.keywords.iter().enumerate().filter_map(|(at, name)| {
            let bit = 1u64 << (Flags::KEYWORD_FIRST as usize + at).min(63);
            (used & bit != 0).then(|| (bit, target.keyword_bits(std::slice::from_ref(name))))
        });
        KeywordMap(pairs.collect())
    }

    fn map(&self, flags: Flags) -> Flags {
        let mut out = flags.0 & Flags::SYSTEM.0;
        for (from, to) in &self.0 {
            if flags.0 & from != 0 {
                out |= to;
            }
        }
        Flags(out)
    }
}
