//! Messages are put into mailboxes.

use super::Change;
use crate::account::lane::Append;
use crate::account::{Delivered, Delivery, DetailRef, Flags, MailboxId, MessageRow, Refused, Why};
use crate::row::{self, TokenRow};
use crate::{Error, key};
use std::ops::ControlFlow;

/// A seen token stays so long after its entry is done (seconds), for a delivery that is still on its way.
const TOKEN_KEEP_SECONDS: i64 = 600;
/// One in so many deliveries with a token looks for tokens to be removed, and removes up to twice as many.
const TOKEN_TRIM_EVERY: u32 = 32;

impl Change<'_> {
    pub(super) fn deliver(&mut self, delivery: &Delivery) -> Result<Delivered, Refused> {
        if let Some(token) = delivery.token
            && let Some(seen) = self.seen(token)?
        {
            return Ok(Delivered { fresh: false, ..seen });
        }
        let size = size_of(delivery);
        if delivery.quota {
            self.quota_left(size, 1)?;
        }
        let pledge = self.condemned.admit(&delivery.body)?;
        let trim = match delivery.token {
            Some(_) => self.tokens_to_trim(delivery.saved)?,
            None => Vec::new(),
        };
        let id = self.mailbox_or_new(&delivery.mailbox, delivery.saved)?;
        self.uids_left(id, 1)?;
        let Some(delivered) = self.put(id, delivery) else { return Err(Refused::NoMailbox) };
        pledge.into_iter().for_each(|pledge| self.batch.rest_on(pledge));
        if let Some(token) = delivery.token {
            let Delivered { mailbox, uid, modseq, .. } = delivered;
            let seen = TokenRow { mailbox, uid, modseq, saved: delivery.saved };
            self.batch.put(key::token(token), seen.encode());
            self.fresh_tokens.insert(token, delivered);
            for old in trim {
                self.batch.delete(key::token(old));
            }
        }
        Ok(delivered)
    }

    /// Puts messages in, all or none; unlike a delivery it makes no mailbox.
    pub(super) fn append(&mut self, append: &Append) -> Result<Vec<Delivered>, Refused> {
        let mut replaced = None;
        if let Some((id, uid)) = append.replaces {
            let view = self.working(id)?;
            let row = view.seq(uid).and_then(|seq| view.row(seq));
            let row = row.ok_or(Refused::Cannot(Why::ReplacedGone))?;
            replaced = Some((id, row));
        }
        let (mut places, mut pledges) = (Vec::with_capacity(append.messages.len()), Vec::new());
        let (mut bytes, mut count) = (0u64, 0u64);
        for message in &append.messages {
            places.push(self.mailbox(&message.mailbox)?.ok_or(Refused::NoMailbox)?);
            pledges.extend(self.condemned.admit(&message.body)?);
            if message.quota {
                bytes = bytes.saturating_add(size_of(message));
                count += 1;
            }
        }
        let freed = replaced.as_ref().map_or(0, |(_, row)| row.size);
        self.quota_left(bytes.saturating_sub(freed), count.saturating_sub(u64::from(replaced.is_some())))?;
        for place in &places {
            self.uids_left(*place, append.messages.len())?;
        }
        let mut marking = match append.guest {
            Some(guest) => Some(self.marking(guest)?),
            None => None,
        };
        if let Some(marking) = &mut marking {
            for place in &places {
                self.read_next_marks(marking, *place, append.messages.len())?;
            }
        }
        // What follows may fail only by reading, and comes first.
        if let Some((id, row)) = replaced {
            self.take_out(id, &[row], false)?;
        }
        pledges.into_iter().for_each(|pledge| self.batch.rest_on(pledge));
        let mut all = Vec::with_capacity(places.len());
        for (place, message) in places.into_iter().zip(&append.messages) {
            let Some(marking) = &mut marking else {
                all.extend(self.put(place, message));
                continue;
            };
            // The guest has seen what they put in; for everybody else it is new.
            let seen = message.flags.0 & Flags::SEEN.0 != 0;
            let flags = Flags(message.flags.0 & !Flags::SEEN.0);
            let Some(delivered) = self.put(place, &Delivery { flags, ..message.clone() }) else { continue };
            if seen {
                self.mark(marking, place, delivered.uid, true);
            }
            all.push(delivered);
        }
        if let Some(marking) = marking {
            self.write_marks(marking, None);
        }
        Ok(all)
    }

    /// An error if so much more is more than the quota.
    pub(super) fn quota_left(&self, bytes: u64, messages: u64) -> Result<(), Refused> {
        let over = |limit: Option<u64>, used: u64, more: u64| {
            more > 0 && limit.is_some_and(|limit| used.saturating_add(more) > limit)
        };
        let (head, used) = (&*self.head, &self.head.row);
        if over(head.quota_bytes, used.bytes, bytes) || over(head.quota_messages, used.messages, messages) {
            return Err(Refused::OverQuota);
        }
        Ok(())
    }

    /// An error if a mailbox has not so many UIDs left to give. The highest is never given.
    pub(super) fn uids_left(&self, id: MailboxId, count: usize) -> Result<(), Refused> {
        let Some(index) = self.head.mailboxes.get(&id.0) else { return Err(Refused::NoMailbox) };
        let left = u32::MAX - index.row.mailbox.uid_next;
        if count > left as usize {
            return Err(Refused::Store(Error::Damaged(format!("mailbox {}: UIDs are used up", id.0))));
        }
        Ok(())
    }

    /// Puts a message into a mailbox that is held. All was checked.
    fn put(&mut self, id: MailboxId, delivery: &Delivery) -> Option<Delivered> {
        let modseq = self.head.version + 1;
        let mailbox = &mut self.head.mailboxes.get_mut(&id.0)?.row.mailbox;
        let flags = delivery.flags.0 & Flags::SYSTEM.0 | mailbox.keyword_bits(&delivery.keywords);
        let size = size_of(delivery);
        let row = MessageRow { uid: 0, flags: Flags(flags), modseq, size, received: delivery.received };
        let uid = self.add(id, row)?;
        let detail = DetailRef {
            uid,
            prefix: &delivery.prefix,
            body: delivery.body.clone(),
            header_bytes: delivery.header_bytes,
            saved: delivery.saved,
            gist: &delivery.gist,
        };
        self.put_detail(id, uid, row::encode_detail_ref(&detail));
        Some(Delivered { mailbox: id, uid, modseq, fresh: true })
    }

    /// Gives a message the next UID of a mailbox that is held, and counts it.
    pub(super) fn add(&mut self, id: MailboxId, row: MessageRow) -> Option<u32> {
        let index = self.head.mailboxes.get_mut(&id.0)?;
        let mailbox = &mut index.row.mailbox;
        let row = MessageRow { uid: mailbox.uid_next, ..row };
        mailbox.uid_next += 1;
        mailbox.count_in(row.flags, row.size);
        self.head.row.bytes = self.head.row.bytes.saturating_add(row.size);
        self.head.row.messages += 1;
        index.append(row.clone());
        let uid = row.uid;
        self.touched.entry(id.0).or_default().added.push(row);
        Some(uid)
    }

    fn seen(&mut self, token: u64) -> Result<Option<Delivered>, Error> {
        if let Some(delivered) = self.fresh_tokens.get(&token) {
            return Ok(Some(*delivered));
        }
        let partition = key::partition(self.account);
        let Some(stored) = self.snapshot()?.get(partition, &key::token(token))? else { return Ok(None) };
        let row = TokenRow::decode(&stored)?;
        Ok(Some(Delivered { mailbox: row.mailbox, uid: row.uid, modseq: row.modseq, fresh: true }))
    }

    /// Tokens whose entries are done for long enough. Now and then only.
    fn tokens_to_trim(&mut self, now: i64) -> Result<Vec<u64>, Error> {
        let turn = self.head.token_deliveries;
        self.head.token_deliveries = turn.wrapping_add(1);
        if !turn.is_multiple_of(TOKEN_TRIM_EVERY) {
            return Ok(Vec::new());
        }
        let (partition, tokens) = (key::partition(self.account), self.tokens);
        let mut old = Vec::new();
        let mut looked = 0;
        self.snapshot()?.scan(partition, &[key::TOKEN], &[], &mut |key, value| {
            let token = key::number64(key, 1).unwrap_or(0);
            looked += 1;
            if TokenRow::decode(value)?.saved.saturating_add(TOKEN_KEEP_SECONDS) >= now {
                return Ok(ControlFlow::Break(()));
            }
            if !tokens.is_open(token) {
                old.push(token);
            }
            let enough = looked >= 2 * TOKEN_TRIM_EVERY;
            Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(old)
    }
}

/// Octets as served.
fn size_of(delivery: &Delivery) -> u64 {
    delivery.body.len.saturating_add(delivery.prefix.len() as u64)
}
