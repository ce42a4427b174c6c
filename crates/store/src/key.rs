//! Every key of the store, in one place.
//!
//! A key is a tag byte and big-endian numbers or text, so that keys sort as
//! what they name. Partitions: 0 is the system, ids of accounts begin at 1; an
//! account's session facts and its search index lie beside it in partitions of their own, because
//! writing them must not move the account's version.

use crate::account::MailboxId;
use proto::proof::AccountId;

/// The system's own partition: directory, removal marks, state of the bodies.
pub(crate) const SYSTEM: u64 = 0;
/// Pending entries.
pub(crate) const PENDING: u64 = 1 << 61;
/// Session facts of no known account; an account's facts are at this plus its id.
pub(crate) const FACTS: u64 = 1 << 60;
/// An account's search index is at this plus its id.
pub(crate) const SEARCH: u64 = 1 << 59;

/// The partition of an account's mail.
pub(crate) fn partition(account: AccountId) -> u64 {
    account.0
}

/// The partition of an account's session facts.
pub(crate) fn facts(account: Option<AccountId>) -> u64 {
    FACTS + account.map_or(0, |id| id.0)
}

/// The partition of an account's search index.
pub(crate) fn search(account: AccountId) -> u64 {
    SEARCH + account.0
}

fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|p| p.len()).sum::<usize>());
    key.push(tag);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

// Rows of an account. Head, mailboxes and tails are neighbours, because a delivery touches one of each.

/// Tag of the rows of mailboxes.
pub(crate) const MAILBOX: u8 = b'C';
/// Tag of mailbox names.
pub(crate) const NAME: u8 = b'D';
/// Tag of tail rows.
pub(crate) const TAIL: u8 = b'E';
/// Tag of tokens seen.
pub(crate) const TOKEN: u8 = b'F';
/// Tag of the change log.
pub(crate) const CHANGE: u8 = b'G';
/// Tag of wide changes.
pub(crate) const WIDE_CHANGE: u8 = b'H';
/// Tag of index records.
pub(crate) const RECORD: u8 = b'I';
/// Tag of details.
pub(crate) const DETAIL: u8 = b'M';
/// Tag of graves.
pub(crate) const GRAVE: u8 = b'N';
/// Tag of who else may use a mailbox.
pub(crate) const ACL: u8 = b'A';
/// Tag of notes on mailboxes.
pub(crate) const NOTE: u8 = b'O';
/// Tag of what guests have seen.
pub(crate) const MARK: u8 = b'P';
/// Tag of marks of mailboxes whose rows are to be removed.
pub(crate) const REMAINS: u8 = b'R';
/// Tag of subscriptions.
pub(crate) const SUBSCRIPTION: u8 = b'S';

/// Tags of all rows that begin with a mailbox's id and go with the mailbox. Its own row is not among them,
/// nor are graves, which go by themselves.
pub(crate) const OF_MAILBOX: [u8; 7] = [TAIL, WIDE_CHANGE, RECORD, DETAIL, ACL, NOTE, MARK];

/// The account's head.
pub(crate) fn head() -> Vec<u8> {
    vec![b'B']
}
/// A mailbox.
pub(crate) fn mailbox(id: MailboxId) -> Vec<u8> {
    tagged(MAILBOX, &[&id.0.to_be_bytes()])
}
/// From a mailbox's name to its id.
pub(crate) fn name(name: &str) -> Vec<u8> {
    tagged(NAME, &[name.as_bytes()])
}
/// All tail rows of a mailbox begin so.
pub(crate) fn tails(id: MailboxId) -> Vec<u8> {
    tagged(TAIL, &[&id.0.to_be_bytes()])
}
/// What a recently changed message is now.
pub(crate) fn tail(id: MailboxId, uid: u32) -> Vec<u8> {
    tagged(TAIL, &[&id.0.to_be_bytes(), &uid.to_be_bytes()])
}
/// A delivery token that this account has seen.
pub(crate) fn token(token: u64) -> Vec<u8> {
    tagged(TOKEN, &[&token.to_be_bytes()])
}
/// What one commit changed.
pub(crate) fn change(modseq: u64) -> Vec<u8> {
    tagged(CHANGE, &[&modseq.to_be_bytes()])
}
/// All wide changes of a mailbox begin so.
pub(crate) fn wide_changes(id: MailboxId) -> Vec<u8> {
    of_mailbox(WIDE_CHANGE, id)
}
/// A change of the flags of many messages.
pub(crate) fn wide_change(id: MailboxId, modseq: u64) -> Vec<u8> {
    tagged(WIDE_CHANGE, &[&id.0.to_be_bytes(), &modseq.to_be_bytes()])
}
/// All index records of a mailbox begin so.
pub(crate) fn records(id: MailboxId) -> Vec<u8> {
    tagged(RECORD, &[&id.0.to_be_bytes()])
}
/// The index record whose first UID this is.
pub(crate) fn record(id: MailboxId, first: u32) -> Vec<u8> {
    tagged(RECORD, &[&id.0.to_be_bytes(), &first.to_be_bytes()])
}
/// All details of a mailbox begin so.
pub(crate) fn details(id: MailboxId) -> Vec<u8> {
    tagged(DETAIL, &[&id.0.to_be_bytes()])
}
/// A message's detail.
pub(crate) fn detail(id: MailboxId, uid: u32) -> Vec<u8> {
    tagged(DETAIL, &[&id.0.to_be_bytes(), &uid.to_be_bytes()])
}
/// All rows with `tag` of a mailbox begin so.
pub(crate) fn of_mailbox(tag: u8, id: MailboxId) -> Vec<u8> {
    tagged(tag, &[&id.0.to_be_bytes()])
}
/// Who else may use a mailbox.
pub(crate) fn acl(id: MailboxId) -> Vec<u8> {
    of_mailbox(ACL, id)
}
/// All notes on a mailbox (0: on the account) begin so that belong to one account (0: to all).
pub(crate) fn notes(id: MailboxId, whose: AccountId) -> Vec<u8> {
    tagged(NOTE, &[&id.0.to_be_bytes(), &whose.0.to_be_bytes()])
}
/// A note.
pub(crate) fn note(id: MailboxId, whose: AccountId, entry: &str) -> Vec<u8> {
    tagged(NOTE, &[&id.0.to_be_bytes(), &whose.0.to_be_bytes(), entry.as_bytes()])
}
/// What a guest has seen of a mailbox begins so.
pub(crate) fn marks(id: MailboxId, guest: AccountId) -> Vec<u8> {
    of_guest(MARK, id, guest)
}
/// All rows with `tag` (of marks, or of notes) that are one account's own in a mailbox begin so.
pub(crate) fn of_guest(tag: u8, id: MailboxId, guest: AccountId) -> Vec<u8> {
    tagged(tag, &[&id.0.to_be_bytes(), &guest.0.to_be_bytes()])
}
/// The lowest key that is above all that begin with `prefix`, which is not of `0xff` alone.
pub(crate) fn after(mut prefix: Vec<u8>) -> Vec<u8> {
    while let Some(last) = prefix.pop() {
        if let Some(next) = last.checked_add(1) {
            prefix.push(next);
            break;
        }
    }
    prefix
}
/// The same of some neighbouring UIDs.
pub(crate) fn mark(id: MailboxId, guest: AccountId, block: u32) -> Vec<u8> {
    tagged(MARK, &[&id.0.to_be_bytes(), &guest.0.to_be_bytes(), &block.to_be_bytes()])
}
/// A grave: ranges of UIDs that are gone and whose details are still to be removed. The version is that of the commit that removed the
/// messages, which may dig several. `moved`: their bodies live on elsewhere.
pub(crate) fn grave(id: MailboxId, version: u64, number: u32, moved: bool) -> Vec<u8> {
    let parts: [&[u8]; 4] =
        [&id.0.to_be_bytes(), &version.to_be_bytes(), &number.to_be_bytes(), &[u8::from(moved)]];
    tagged(GRAVE, &parts)
}
/// A mark: the rows of this mailbox are to be removed.
pub(crate) fn remains(id: MailboxId) -> Vec<u8> {
    of_mailbox(REMAINS, id)
}
/// A name that is subscribed to.
pub(crate) fn subscription(name: &str) -> Vec<u8> {
    tagged(SUBSCRIPTION, &[name.as_bytes()])
}
/// The four bytes at `at` as a number; `None` if the key is too short.
pub(crate) fn number32(key: &[u8], at: usize) -> Option<u32> {
    key.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}
/// The eight bytes at `at` as a number; `None` if the key is too short.
pub(crate) fn number64(key: &[u8], at: usize) -> Option<u64> {
    key.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes)
}

// Rows of the system.

/// Tag of domains.
pub(crate) const DOMAIN: u8 = b'd';
/// Tag of accounts.
pub(crate) const ACCOUNT: u8 = b'a';
/// Tag of the addresses of accounts.
pub(crate) const ADDRESS: u8 = b'l';
/// Tag of aliases.
pub(crate) const ALIAS: u8 = b's';
/// Tag of credentials.
pub(crate) const CREDENTIALS: u8 = b'c';
/// Tag of removal marks.
pub(crate) const REMOVAL: u8 = b'r';

/// A domain.
pub(crate) fn domain(name: &str) -> Vec<u8> {
    tagged(DOMAIN, &[name.as_bytes()])
}
/// An account's record.
pub(crate) fn account(id: AccountId) -> Vec<u8> {
    tagged(ACCOUNT, &[&id.0.to_be_bytes()])
}
/// From an address to its account. No domain holds a NUL.
pub(crate) fn address(domain: &str, folded_local: &str) -> Vec<u8> {
    tagged(ADDRESS, &[domain.as_bytes(), b"\0", folded_local.as_bytes()])
}
/// An alias.
pub(crate) fn alias(domain: &str, folded_local: &str) -> Vec<u8> {
    tagged(ALIAS, &[domain.as_bytes(), b"\0", folded_local.as_bytes()])
}
/// All rows with `tag` of a domain begin so.
pub(crate) fn of_domain(tag: u8, domain: &str) -> Vec<u8> {
    tagged(tag, &[domain.as_bytes(), b"\0"])
}
/// Credentials of an account.
pub(crate) fn credentials(id: AccountId) -> Vec<u8> {
    tagged(CREDENTIALS, &[&id.0.to_be_bytes()])
}
/// Tag of exceptions from a domain's rules.
pub(crate) const EXCEPTION: u8 = b'x';
/// An account's exception from its domain's rules.
pub(crate) fn exception(id: AccountId) -> Vec<u8> {
    tagged(EXCEPTION, &[&id.0.to_be_bytes()])
}
/// A mark: this account's mail is to be removed.
pub(crate) fn removal(id: AccountId) -> Vec<u8> {
    tagged(REMOVAL, &[&id.0.to_be_bytes()])
}
/// Tag of who was let into whose mailboxes.
pub(crate) const SHARE: u8 = b'h';
/// All accounts that let this one in begin so. Nobody's name holds a NUL.
pub(crate) fn shares(with: &str) -> Vec<u8> {
    tagged(SHARE, &[with.as_bytes(), b"\0"])
}
/// An account lets somebody into a mailbox of its own.
pub(crate) fn share(with: &str, owner: AccountId) -> Vec<u8> {
    tagged(SHARE, &[with.as_bytes(), b"\0", &owner.0.to_be_bytes()])
}
/// The next account id.
pub(crate) fn next_account() -> Vec<u8> {
    vec![b'n']
}
/// The store's seed.
pub(crate) fn seed() -> Vec<u8> {
    vec![b'i']
}
/// Which segment is written to, and up to where the table is durable by itself.
pub(crate) fn settled() -> Vec<u8> {
    vec![b'b']
}

// Rows of the other partitions.

/// Tag of pending entries.
pub(crate) const ENTRY: u8 = b'e';
/// A pending entry.
pub(crate) fn entry(token: u64) -> Vec<u8> {
    tagged(ENTRY, &[&token.to_be_bytes()])
}
/// No token below this was ever given out by an earlier run.
pub(crate) fn token_floor() -> Vec<u8> {
    vec![b't']
}
/// Tag of session facts.
pub(crate) const FACT: u8 = b'f';
/// A session fact, by the hash of its key.
pub(crate) fn fact(hash: &[u8]) -> Vec<u8> {
    tagged(FACT, &[hash])
}
/// Tag of the heads of search blocks.
pub(crate) const BLOCK: u8 = b'h';
/// Tag of the parts of search blocks.
pub(crate) const PART: u8 = b'p';
/// The heads of a mailbox's search blocks begin so.
pub(crate) fn blocks(id: MailboxId) -> Vec<u8> {
    tagged(BLOCK, &[&id.0.to_be_bytes()])
}
/// The head of a search block.
pub(crate) fn block(id: MailboxId, number: u64) -> Vec<u8> {
    tagged(BLOCK, &[&id.0.to_be_bytes(), &number.to_be_bytes()])
}
/// All parts of a mailbox's search blocks begin so.
pub(crate) fn block_parts(id: MailboxId) -> Vec<u8> {
    tagged(PART, &[&id.0.to_be_bytes()])
}
/// A part of a search block.
pub(crate) fn block_part(id: MailboxId, number: u64, part: u32) -> Vec<u8> {
    tagged(PART, &[&id.0.to_be_bytes(), &number.to_be_bytes(), &part.to_be_bytes()])
}
/// How many distinct facts this partition holds.
pub(crate) fn fact_count() -> Vec<u8> {
    vec![b'g']
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes on the disk of every store there is: a change here needs a migration.
    #[test]
    fn golden() {
        let m = MailboxId(0x0102_0304);
        let golden: [(Vec<u8>, &[u8]); 29] = [
            (head(), b"B"),
            (mailbox(m), b"C\x01\x02\x03\x04"),
            (name("INBOX"), b"DINBOX"),
            (tail(m, 5), b"E\x01\x02\x03\x04\0\0\0\x05"),
            (token(6), b"F\0\0\0\0\0\0\0\x06"),
            (change(7), b"G\0\0\0\0\0\0\0\x07"),
            (wide_change(m, 7), b"H\x01\x02\x03\x04\0\0\0\0\0\0\0\x07"),
            (record(m, 8), b"I\x01\x02\x03\x04\0\0\0\x08"),
            (detail(m, 9), b"M\x01\x02\x03\x04\0\0\0\x09"),
            (grave(m, 5, 6, true), b"N\x01\x02\x03\x04\0\0\0\0\0\0\0\x05\0\0\0\x06\x01"),
            (acl(m), b"A\x01\x02\x03\x04"),
            (note(m, AccountId(3), "/a"), b"O\x01\x02\x03\x04\0\0\0\0\0\0\0\x03/a"),
            (mark(m, AccountId(3), 2), b"P\x01\x02\x03\x04\0\0\0\0\0\0\0\x03\0\0\0\x02"),
            (remains(m), b"R\x01\x02\x03\x04"),
            (subscription("a/b"), b"Sa/b"),
            (share("a@x.test", AccountId(3)), b"ha@x.test\0\0\0\0\0\0\0\0\x03"),
            (domain("example.test"), b"dexample.test"),
            (account(AccountId(3)), b"a\0\0\0\0\0\0\0\x03"),
            (address("x.test", "ann"), b"lx.test\0ann"),
            (alias("x.test", "info"), b"sx.test\0info"),
            (credentials(AccountId(3)), b"c\0\0\0\0\0\0\0\x03"),
            (exception(AccountId(3)), b"x\0\0\0\0\0\0\0\x03"),
            (removal(AccountId(3)), b"r\0\0\0\0\0\0\0\x03"),
            (next_account(), b"n"),
            (entry(4), b"e\0\0\0\0\0\0\0\x04"),
            (token_floor(), b"t"),
            (fact(b"hash"), b"fhash"),
            (block(m, 7), b"h\x01\x02\x03\x04\0\0\0\0\0\0\0\x07"),
            (block_part(m, 7, 2), b"p\x01\x02\x03\x04\0\0\0\0\0\0\0\x07\0\0\0\x02"),
        ];
        for (made, expected) in golden {
            assert_eq!(made, expected);
        }
        assert_eq!(after(marks(m, AccountId(255))), b"P\x01\x02\x03\x04\0\0\0\0\0\0\x01");
        assert_eq!(number32(&tail(m, 5), 5), Some(5));
        assert_eq!(number64(&change(7), 1), Some(7));
        assert_eq!(number32(b"E\0", 1), None);
    }
}
