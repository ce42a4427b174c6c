//! Every row of the store, in one place: a version byte, then varints.
//!
//! Decoding refuses what encoding does not make. Golden bytes are in the tests:
//! a change of one is a change of the format and needs a new version byte.

mod detail;
mod domain;
mod mark;
mod settled;

pub(crate) use detail::{
    Front, decode_detail, decode_detail_ref, decode_unpacked_detail, encode_detail_ref, unpacked_detail,
};
pub(crate) use domain::{decode_domain, decode_exception, encode_domain, encode_exception};
pub(crate) use mark::{MARK_UIDS, Mark, Marks, decode_marks, encode_marks, mark_block};
pub(crate) use settled::Settled;

use crate::Error;
use crate::account::{Flags, Mailbox, MailboxId, MessageRow, Rights, Uses, WideChange};
use crate::blob::BodyRef;
use crate::codec::{Put, Take};
use crate::system::directory::{AccountRecord, Credential, CredentialKind, Credentials};
use crate::system::ledger::{Fact, FactKey};
use crate::system::pending::{Entry, Recipient};
use proto::proof::AccountId;
use proto::sasl::{CramKey, ScramKeys};

const V1: u8 = 1;

/// What an account as a whole knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadRow {
    pub(crate) next_mailbox: u32,
    /// The highest UIDVALIDITY given so far; a new mailbox gets a higher one.
    pub(crate) uid_validity_last: u32,
    pub(crate) bytes: u64,
    pub(crate) messages: u64,
    /// The change log holds all changes of this version and later ones.
    pub(crate) changes_from: u64,
    /// Mailboxes that there are.
    pub(crate) mailboxes: u32,
    /// Names subscribed to.
    pub(crate) subscriptions: u32,
    /// The version that last changed a name, a subscription, a note, or who may use a mailbox.
    pub(crate) tree: u64,
    /// For each bit of [`Uses`] the mailbox that has it; zero: none.
    pub(crate) uses: [u32; Uses::COUNT],
}

impl HeadRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        Put::version(V1)
            .num(self.next_mailbox.into())
            .num(self.uid_validity_last.into())
            .num(self.bytes)
            .num(self.messages)
            .num(self.changes_from)
            .num(self.mailboxes.into())
            .num(self.subscriptions.into())
            .num(self.tree)
            .each(self.uses.iter(), |p, id| p.num(u64::from(*id)))
            .done()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<HeadRow, Error> {
        let mut t = Take::version("account head", bytes)?;
        let mut row = HeadRow {
            next_mailbox: t.num32()?,
            uid_validity_last: t.num32()?,
            bytes: t.num()?,
            messages: t.num()?,
            changes_from: t.num()?,
            mailboxes: t.num32()?,
            subscriptions: t.num32()?,
            tree: t.num()?,
            uses: [0; Uses::COUNT],
        };
        for holder in &mut row.uses {
            *holder = t.num32()?;
        }
        t.end()?;
        Ok(row)
    }
}

/// A mailbox, and how far its messages are folded into index records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MailboxRow {
    pub(crate) mailbox: Mailbox,
    /// Messages below this UID are in index records, the others in tail rows only.
    pub(crate) folded_next: u32,
}

impl MailboxRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let m = &self.mailbox;
        Put::version(V1)
            .num(m.id.0.into())
            .text(&m.name)
            .num(m.uid_validity.into())
            .num(m.uid_next.into())
            .num(m.modseq)
            .num(m.messages.into())
            .num(m.bytes)
            .num(m.unseen.into())
            .num(m.deleted.into())
            .num(m.deleted_bytes)
            .byte(m.uses.0)
            .num(m.keywords.len() as u64)
            .each(m.keywords.iter(), |p, keyword| p.text(keyword))
            .num(self.folded_next.into())
            .done()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<MailboxRow, Error> {
        let mut t = Take::version("mailbox", bytes)?;
        let mailbox = Mailbox {
            id: MailboxId(t.num32()?),
            name: t.text()?,
            uid_validity: t.num32()?,
            uid_next: t.num32()?,
            modseq: t.num()?,
            messages: t.num32()?,
            bytes: t.num()?,
            unseen: t.num32()?,
            deleted: t.num32()?,
            deleted_bytes: t.num()?,
            uses: Uses(t.byte()?),
            keywords: (0..t.count()?).map(|_| t.text()).collect::<Result<_, _>>()?,
        };
        let row = MailboxRow { mailbox, folded_next: t.num32()? };
        t.end()?;
        Ok(row)
    }
}

/// One number.
pub(crate) fn encode_number(value: u64) -> Vec<u8> {
    Put::version(V1).num(value).done()
}

pub(crate) fn decode_number(bytes: &[u8]) -> Result<u64, Error> {
    let mut t = Take::version("number", bytes)?;
    let value = t.num()?;
    t.end()?;
    Ok(value)
}

/// Who else may use a mailbox: identifiers, ascending, with their rights.
pub(crate) fn encode_acl(list: &[(String, Rights)]) -> Vec<u8> {
    Put::version(V1)
        .num(list.len() as u64)
        .each(list.iter(), |p, (identifier, rights)| p.text(identifier).num(rights.0.into()))
        .done()
}

pub(crate) fn decode_acl(bytes: &[u8]) -> Result<Vec<(String, Rights)>, Error> {
    let mut t = Take::version("rights", bytes)?;
    let mut list = Vec::new();
    for _ in 0..t.count()? {
        let identifier = t.text()?;
        let rights = u16::try_from(t.num()?).ok().map(Rights).filter(|rights| Rights::ALL.holds(*rights));
        list.push((identifier, rights.ok_or_else(|| Error::Damaged("rights: unknown ones".to_owned()))?));
    }
    t.end()?;
    Ok(list)
}

/// A note on a mailbox.
pub(crate) fn encode_note(value: &[u8]) -> Vec<u8> {
    Put::version(V1).bytes(value).done()
}

pub(crate) fn decode_note(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut t = Take::version("note", bytes)?;
    let value = t.bytes()?.to_vec();
    t.end()?;
    Ok(value)
}

/// A number that is a mailbox's id.
pub(crate) fn decode_id(bytes: &[u8]) -> Result<MailboxId, Error> {
    let number = decode_number(bytes)?;
    u32::try_from(number)
        .map(MailboxId)
        .map_err(|_| Error::Damaged(format!("number: {number} is no mailbox's id")))
}

/// A tail row: the message as it is now, or that it is gone from its record.
pub(crate) fn encode_tail(row: Option<&MessageRow>) -> Vec<u8> {
    Put::version(V1).option(row, |p, m| p.num(m.flags.0).num(m.modseq).num(m.size).int(m.received)).done()
}

pub(crate) fn decode_tail(uid: u32, bytes: &[u8]) -> Result<Option<MessageRow>, Error> {
    let mut t = Take::version("tail", bytes)?;
    let row = t.option(|t| {
        Ok(MessageRow { uid, flags: Flags(t.num()?), modseq: t.num()?, size: t.num()?, received: t.int()? })
    })?;
    t.end()?;
    Ok(row)
}

/// A wide change; its MODSEQ is in its key.
pub(crate) fn encode_wide_change(change: &WideChange) -> Vec<u8> {
    let mut p = Put::version(V1);
    p.num(change.clear).num(change.set);
    put_ranges(&mut p, &change.uids);
    p.done()
}

pub(crate) fn decode_wide_change(modseq: u64, bytes: &[u8]) -> Result<WideChange, Error> {
    let mut t = Take::version("wide change", bytes)?;
    let (clear, set) = (t.num()?, t.num()?);
    let uids = take_ranges(&mut t)?;
    t.end()?;
    Ok(WideChange { modseq, clear, set, uids })
}

/// An index record: messages by ascending UID, each as the difference to the one before.
pub(crate) fn encode_record(rows: &[MessageRow]) -> Vec<u8> {
    let mut p = Put::sized(V1, rows.len() * 12 + 8);
    p.num(rows.len() as u64);
    let (mut uid, mut modseq, mut received) = (0u32, 0u64, 0i64);
    for m in rows {
        p.num(u64::from(m.uid.wrapping_sub(uid)))
            .num(m.flags.0)
            .int(m.modseq.wrapping_sub(modseq) as i64)
            .num(m.size)
            .int(m.received.wrapping_sub(received));
        (uid, modseq, received) = (m.uid, m.modseq, m.received);
    }
    p.done()
}

/// Appends a record's messages to `rows`.
pub(crate) fn decode_record(bytes: &[u8], rows: &mut Vec<MessageRow>) -> Result<(), Error> {
    let mut t = Take::version("index record", bytes)?;
    let count = t.count()?;
    rows.reserve(count);
    let (mut uid, mut modseq, mut received) = (0u32, 0u64, 0i64);
    for _ in 0..count {
        uid = match uid.checked_add(t.num32()?) {
            Some(next) if next > uid => next,
            _ => return Err(Error::Damaged("index record: UIDs do not ascend".to_owned())),
        };
        let flags = Flags(t.num()?);
        modseq = modseq.wrapping_add(t.int()? as u64);
        let size = t.num()?;
        received = received.wrapping_add(t.int()?);
        rows.push(MessageRow { uid, flags, modseq, size, received });
    }
    t.end()
}

fn put_body(p: &mut Put, body: &BodyRef) {
    p.raw(&body.hash).num(body.segment).num(body.offset).num(body.len);
}

fn take_body(t: &mut Take<'_>) -> Result<BodyRef, Error> {
    Ok(BodyRef { hash: t.array()?, segment: t.num()?, offset: t.num()?, len: t.num()? })
}

/// A token seen by an account, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenRow {
    pub(crate) mailbox: MailboxId,
    pub(crate) uid: u32,
    pub(crate) modseq: u64,
    pub(crate) saved: i64,
}

impl TokenRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let p = &mut Put::version(V1);
        p.num(self.mailbox.0.into()).num(self.uid.into()).num(self.modseq).int(self.saved).done()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<TokenRow, Error> {
        let mut t = Take::version("token", bytes)?;
        let mailbox = MailboxId(t.num32()?);
        let row = TokenRow { mailbox, uid: t.num32()?, modseq: t.num()?, saved: t.int()? };
        t.end()?;
        Ok(row)
    }
}

/// What one commit did to one mailbox; UIDs as inclusive ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangeItem {
    pub(crate) mailbox: MailboxId,
    pub(crate) kind: ChangeKind,
    pub(crate) uids: Vec<(u32, u32)>,
}

/// The kinds of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    /// The mailbox itself came to be.
    Created,
    /// Messages were added.
    Added,
    /// Messages are gone.
    Vanished,
    /// Flags of messages were changed.
    Flagged,
    /// The mailbox itself is gone.
    Removed,
    /// The mailbox has another name, or is for something else now.
    Renamed,
    /// A subscription began or ended; of no mailbox (id 0).
    Subscribed,
    /// A note changed, or who may use the mailbox; id 0: of the account.
    Noted,
}

pub(crate) fn encode_change(items: &[ChangeItem]) -> Vec<u8> {
    let mut p = Put::version(V1);
    p.num(items.len() as u64);
    for item in items {
        p.num(item.mailbox.0.into()).byte(item.kind as u8);
        put_ranges(&mut p, &item.uids);
    }
    p.done()
}

fn put_ranges(p: &mut Put, ranges: &[(u32, u32)]) {
    p.num(ranges.len() as u64);
    let mut last = 0;
    for &(from, to) in ranges {
        p.num(u64::from(from.wrapping_sub(last))).num(u64::from(to.wrapping_sub(from)));
        last = to;
    }
}

fn take_ranges(t: &mut Take<'_>) -> Result<Vec<(u32, u32)>, Error> {
    let disorder = || Error::Damaged("ranges: UIDs do not ascend".to_owned());
    let mut uids = Vec::new();
    let mut last = 0u32;
    for _ in 0..t.count()? {
        let from = last.checked_add(t.num32()?).filter(|from| *from > last).ok_or_else(disorder)?;
        last = from.checked_add(t.num32()?).ok_or_else(disorder)?;
        uids.push((from, last));
    }
    Ok(uids)
}

/// UIDs as ascending, disjoint, inclusive ranges.
pub(crate) fn encode_ranges(ranges: &[(u32, u32)]) -> Vec<u8> {
    let mut p = Put::version(V1);
    put_ranges(&mut p, ranges);
    p.done()
}

pub(crate) fn decode_ranges(bytes: &[u8]) -> Result<Vec<(u32, u32)>, Error> {
    let mut t = Take::version("ranges", bytes)?;
    let ranges = take_ranges(&mut t)?;
    t.end()?;
    Ok(ranges)
}

pub(crate) fn decode_change(bytes: &[u8]) -> Result<Vec<ChangeItem>, Error> {
    let mut t = Take::version("change", bytes)?;
    let mut items = Vec::new();
    for _ in 0..t.count()? {
        let mailbox = MailboxId(t.num32()?);
        let kind = match t.byte()? {
            0 => ChangeKind::Created,
            1 => ChangeKind::Added,
            2 => ChangeKind::Vanished,
            3 => ChangeKind::Flagged,
            4 => ChangeKind::Removed,
            5 => ChangeKind::Renamed,
            6 => ChangeKind::Subscribed,
            7 => ChangeKind::Noted,
            other => return Err(Error::Damaged(format!("change: kind {other} is not known"))),
        };
        let uids = take_ranges(&mut t)?;
        items.push(ChangeItem { mailbox, kind, uids });
    }
    t.end()?;
    Ok(items)
}

pub(crate) fn encode_account(a: &AccountRecord) -> Vec<u8> {
    Put::version(V1)
        .num(a.id.0)
        .text(&a.address)
        .text(&a.name)
        .flag(a.enabled)
        .option(a.quota_bytes, |p, v| p.num(v))
        .option(a.quota_messages, |p, v| p.num(v))
        .int(a.created)
        .done()
}

pub(crate) fn decode_account(bytes: &[u8]) -> Result<AccountRecord, Error> {
    let mut t = Take::version("account", bytes)?;
    let record = AccountRecord {
        id: AccountId(t.num()?),
        address: t.text()?,
        name: t.text()?,
        enabled: t.flag()?,
        quota_bytes: t.option(|t| t.num())?,
        quota_messages: t.option(|t| t.num())?,
        created: t.int()?,
    };
    t.end()?;
    Ok(record)
}

pub(crate) fn encode_credentials(c: &Credentials) -> Vec<u8> {
    let mut p = Put::version(V1);
    p.bytes(&c.salt).num(c.iterations.into()).num(c.generation).num(c.list.len() as u64);
    for one in &c.list {
        p.num(one.id.into());
        match &one.kind {
            CredentialKind::Main => p.byte(0),
            CredentialKind::App(name) => p.byte(1).text(name),
        };
        p.text(&one.argon2)
            .bytes(&one.scram_sha1.stored)
            .bytes(&one.scram_sha1.server)
            .bytes(&one.scram_sha256.stored)
            .bytes(&one.scram_sha256.server)
            .option(one.cram_md5.as_ref(), |p, k| p.raw(&k.0))
            .int(one.created)
            .option(one.expires, |p, v| p.int(v));
    }
    p.done()
}

pub(crate) fn decode_credentials(bytes: &[u8]) -> Result<Credentials, Error> {
    let mut t = Take::version("credentials", bytes)?;
    let salt = t.bytes()?.to_vec();
    let (iterations, generation) = (t.num32()?, t.num()?);
    let mut list = Vec::new();
    for _ in 0..t.count()? {
        let id = t.num32()?;
        let kind = match t.byte()? {
            0 => CredentialKind::Main,
            1 => CredentialKind::App(t.text()?),
            other => return Err(Error::Damaged(format!("credentials: kind {other} is not known"))),
        };
        let argon2 = t.text()?;
        let mut keys = || -> Result<ScramKeys, Error> {
            Ok(ScramKeys { stored: t.bytes()?.to_vec(), server: t.bytes()?.to_vec() })
        };
        let (scram_sha1, scram_sha256) = (keys()?, keys()?);
        list.push(Credential {
            id,
            kind,
            argon2,
            scram_sha1,
            scram_sha256,
            cram_md5: t.option(|t| t.array().map(CramKey))?,
            created: t.int()?,
            expires: t.option(|t| t.int())?,
        });
    }
    t.end()?;
    Ok(Credentials { salt, iterations, generation, list })
}

/// An alias: the address as given, and its targets.
pub(crate) fn encode_alias(address: &str, targets: &[String]) -> Vec<u8> {
    let mut p = Put::version(V1);
    p.text(address).num(targets.len() as u64);
    for target in targets {
        p.text(target);
    }
    p.done()
}

pub(crate) fn decode_alias(bytes: &[u8]) -> Result<(String, Vec<String>), Error> {
    let mut t = Take::version("alias", bytes)?;
    let address = t.text()?;
    let mut targets = Vec::new();
    for _ in 0..t.count()? {
        targets.push(t.text()?);
    }
    t.end()?;
    Ok((address, targets))
}

pub(crate) fn encode_entry(e: &Entry) -> Vec<u8> {
    let mut p = Put::version(V1);
    p.text(&e.from);
    put_body(&mut p, &e.body);
    p.num(e.header_bytes).int(e.received).bytes(&e.gist).num(e.recipients.len() as u64);
    for r in &e.recipients {
        p.num(r.account.0).bytes(&r.prefix);
    }
    p.done()
}

pub(crate) fn decode_entry(bytes: &[u8]) -> Result<Entry, Error> {
    let mut t = Take::version("pending entry", bytes)?;
    let from = t.text()?;
    let body = take_body(&mut t)?;
    let (header_bytes, received) = (t.num()?, t.int()?);
    let gist = t.bytes()?.to_vec();
    let mut recipients = Vec::new();
    for _ in 0..t.count()? {
        recipients.push(Recipient { account: AccountId(t.num()?), prefix: t.bytes()?.to_vec() });
    }
    t.end()?;
    Ok(Entry { from, body, header_bytes, received, gist, recipients })
}

pub(crate) fn encode_fact_key(k: &FactKey) -> Vec<u8> {
    let mut p = Put::version(V1);
    put_fact_key(&mut p, k);
    p.done()
}

fn put_fact_key(p: &mut Put, k: &FactKey) {
    p.option(k.account, |p, id| p.num(id.0));
    for text in [&k.outcome, &k.protocol, &k.listener] {
        p.text(text);
    }
    p.num(k.port.into());
    for text in [&k.security, &k.tls_version, &k.cipher, &k.mechanism, &k.client, &k.network] {
        p.text(text);
    }
}

pub(crate) fn encode_fact(f: &Fact) -> Vec<u8> {
    let mut p = Put::version(V1);
    p.int(f.first).int(f.last).num(f.count);
    put_fact_key(&mut p, &f.key);
    p.done()
}

pub(crate) fn decode_fact(bytes: &[u8]) -> Result<Fact, Error> {
    let mut t = Take::version("session fact", bytes)?;
    let (first, last, count) = (t.int()?, t.int()?, t.num()?);
    let key = FactKey {
        account: t.option(|t| t.num().map(AccountId))?,
        outcome: t.text()?,
        protocol: t.text()?,
        listener: t.text()?,
        port: u16::try_from(t.num()?)
            .map_err(|_| Error::Damaged("session fact: port out of range".to_owned()))?,
        security: t.text()?,
        tls_version: t.text()?,
        cipher: t.text()?,
        mechanism: t.text()?,
        client: t.text()?,
        network: t.text()?,
    };
    t.end()?;
    Ok(Fact { key, first, last, count })
}

#[cfg(test)]
mod tests {
    use super::detail::encode_detail;
    use super::*;
    use crate::account::Detail;
    use crate::system::directory::Domain;
    use proto::service::policy::DomainPolicy;

    fn body() -> BodyRef {
        BodyRef { hash: [7; 32], segment: 3, offset: 300, len: 5 }
    }

    fn message(uid: u32, modseq: u64, received: i64) -> MessageRow {
        MessageRow { uid, flags: Flags::SEEN, modseq, size: 200, received }
    }

    /// The bytes on the disk of every store there is: a change here needs a new version byte.
    #[test]
    fn golden_rows_of_accounts() {
        let head = HeadRow {
            next_mailbox: 7,
            uid_validity_last: 300,
            bytes: 1,
            messages: 2,
            changes_from: 5,
            mailboxes: 3,
            subscriptions: 4,
            tree: 6,
            uses: [6, 0, 0, 0, 1, 0],
        };
        assert_eq!(head.encode(), [1, 7, 0xac, 2, 1, 2, 5, 3, 4, 6, 6, 0, 0, 0, 1, 0]);
        assert_eq!(HeadRow::decode(&head.encode()).unwrap(), head);
        let mailbox = Mailbox {
            id: MailboxId(1),
            name: "INBOX".to_owned(),
            uid_validity: 9,
            uid_next: 4,
            modseq: 8,
            messages: 2,
            bytes: 200,
            unseen: 5,
            deleted: 1,
            deleted_bytes: 100,
            uses: Uses::SENT,
            keywords: ["$Junk".to_owned(), "x".to_owned()].into(),
        };
        let row = MailboxRow { mailbox, folded_next: 3 };
        assert_eq!(
            row.encode(),
            b"\x01\x01\x05INBOX\x09\x04\x08\x02\xc8\x01\x05\x01\x64\x08\x02\x05$Junk\x01x\x03"
        );
        assert_eq!(MailboxRow::decode(&row.encode()).unwrap(), row);
        let rows = [message(2, 5, 10), message(4, 3, 9)];
        let record = encode_record(&rows);
        assert_eq!(record, [1, 2, 2, 1, 10, 0xc8, 1, 20, 2, 1, 3, 0xc8, 1, 1]);
        let mut back = Vec::new();
        decode_record(&record, &mut back).unwrap();
        assert_eq!(back, rows);
        let tail = encode_tail(Some(&rows[0]));
        assert_eq!(tail, [1, 1, 1, 5, 0xc8, 1, 20]);
        assert_eq!(decode_tail(2, &tail).unwrap(), Some(rows[0].clone()));
        assert_eq!(encode_tail(None), [1, 0]);
        let wide = WideChange { modseq: 7, clear: 1, set: 300, uids: vec![(2, 4), (9, 9)] };
        assert_eq!(encode_wide_change(&wide), [1, 1, 0xac, 2, 2, 2, 2, 5, 0]);
        assert_eq!(decode_wide_change(7, &encode_wide_change(&wide)).unwrap(), wide);
        let token = TokenRow { mailbox: MailboxId(1), uid: 2, modseq: 3, saved: 4 };
        assert_eq!(token.encode(), [1, 1, 2, 3, 8]);
        assert_eq!(TokenRow::decode(&token.encode()).unwrap(), token);
        let mailbox = MailboxId(1);
        let change = [
            ChangeItem { mailbox, kind: ChangeKind::Vanished, uids: vec![(2, 4), (9, 9)] },
            ChangeItem { mailbox, kind: ChangeKind::Flagged, uids: vec![(1, 1)] },
        ];
        assert_eq!(encode_change(&change), [1, 2, 1, 2, 2, 2, 2, 5, 0, 1, 3, 1, 1, 0]);
        assert_eq!(encode_ranges(&change[0].uids), [1, 2, 2, 2, 5, 0]);
        assert_eq!(decode_ranges(&[1, 2, 2, 2, 5, 0]).unwrap(), change[0].uids);
        assert!(decode_ranges(&[1, 1, 0, 2]).is_err(), "zero is no UID");
        assert_eq!(decode_change(&encode_change(&change)).unwrap(), change);
    }

    #[test]
    fn golden_rows_of_notes_and_rights() {
        let acl = [("a@x.test".to_owned(), Rights(5))];
        assert_eq!(encode_acl(&acl), b"\x01\x01\x08a@x.test\x05");
        assert_eq!(decode_acl(&encode_acl(&acl)).unwrap(), acl);
        assert!(matches!(decode_acl(b"\x01\x01\x01a\x80\x10"), Err(Error::Damaged(_))));
        assert_eq!(encode_note(b"ab"), [1, 2, b'a', b'b']);
        assert_eq!(decode_note(&encode_note(b"ab")).unwrap(), b"ab");
    }

    #[test]
    fn golden_rows_of_the_system() {
        let domain = Domain {
            name: "x.test".to_owned(),
            catch_all: Some("a@x.test".to_owned()),
            case_sensitive: false,
            separator: Some('+'),
            policy: DomainPolicy { cram_md5: true, ..DomainPolicy::default() },
        };
        let rules = b"\0\0\0\x04\0\x01\x07TLSv1.2\0";
        let golden = [&b"\x02\x06x.test\x01\x08a@x.test\0\x01+"[..], rules].concat();
        assert_eq!(encode_domain(&domain), golden);
        assert_eq!(decode_domain(&golden).unwrap(), domain);
        assert_eq!(decode_domain(b"\x01\x06x.test\x01\x08a@x.test\x01\0\x01+").unwrap(), domain);
        let account = AccountRecord {
            id: AccountId(3),
            address: "a@x.test".to_owned(),
            name: "Ann".to_owned(),
            enabled: true,
            quota_bytes: Some(300),
            quota_messages: None,
            created: 1,
        };
        assert_eq!(encode_account(&account), b"\x01\x03\x08a@x.test\x03Ann\x01\x01\xac\x02\0\x02");
        assert_eq!(decode_account(&encode_account(&account)).unwrap(), account);
        let keys = |n| ScramKeys { stored: vec![n], server: vec![n + 1] };
        let credential = Credential {
            id: 1,
            kind: CredentialKind::App("tv".to_owned()),
            argon2: "$a".to_owned(),
            scram_sha1: keys(1),
            scram_sha256: keys(3),
            cram_md5: Some(CramKey([9; 32])),
            created: 1,
            expires: Some(2),
        };
        let all = Credentials { salt: vec![5], iterations: 2, generation: 3, list: vec![credential] };
        let front = b"\x01\x01\x05\x02\x03\x01\x01\x01\x02tv\x02$a\x01\x01\x01\x02\x01\x03\x01\x04\x01";
        let expected = [&front[..], &[9; 32], &[2, 1, 4]].concat();
        assert_eq!(encode_credentials(&all), expected);
        assert_eq!(decode_credentials(&expected).unwrap(), all);
        let targets = vec!["b@y.test".to_owned()];
        assert_eq!(encode_alias("i@x.test", &targets), b"\x01\x08i@x.test\x01\x08b@y.test");
        let recipients = vec![Recipient { account: AccountId(3), prefix: b"P".to_vec() }];
        let entry = Entry {
            from: String::new(),
            body: body(),
            header_bytes: 4,
            received: 1,
            gist: vec![6],
            recipients,
        };
        let expected = [&[1, 0][..], &[7; 32], &[3, 0xac, 2, 5, 4, 2, 1, 6, 1, 3, 1, b'P']].concat();
        assert_eq!(encode_entry(&entry), expected);
        assert_eq!(decode_entry(&expected).unwrap(), entry);
    }

    #[test]
    fn a_cut_row_is_damaged() {
        let detail =
            Detail { prefix: b"P".to_vec(), body: body(), header_bytes: 4, saved: 1, gist: Vec::new() };
        let row = encode_detail(&detail);
        for cut in 0..row.len() {
            assert!(matches!(decode_detail(&row[..cut]), Err(Error::Damaged(_))), "cut at {cut}");
        }
        let mut newer = row;
        newer[0] = 3;
        assert!(matches!(decode_detail(&newer), Err(Error::Damaged(_))));
    }
}
