//! The mailboxes of an account: names, subscriptions, what each is for, who else may use it, notes on it.
//!
//! Names are UTF-8, levels are separated by `/`, `INBOX` exists always. A name on a level above may
//! be missing: it is then no mailbox. Notes and rights go with a mailbox when it is renamed, and with its deletion they go;
//! a subscription is to a name and stays.
//!
//! Deleting is one small commit, however many messages there are: the name is gone, the quota is free, and what the mailbox
//! held is removed later in steps (`sweep`, `apply::tree`). Ids of mailboxes are never given twice. Who shares what with whom is in `share`.

use super::apply::Head;
use super::name::canonical_name;
use super::{Account, Copying, INBOX, Mailbox, MailboxId, Outcome, Refused, Tree, Usage, Work};
use crate::engine::Snapshot;
use crate::row::{self, HeadRow, MailboxRow};
use crate::{Error, key};
use proto::proof::AccountId;
use std::ops::ControlFlow;

/// Mailboxes of one account.
pub const MAILBOXES_MAX: u32 = 10_000;
/// Names that an account is subscribed to.
pub const SUBSCRIPTIONS_MAX: u32 = 10_000;
/// Notes on one mailbox (and on the account): so many shared ones, and so many private ones of each person.
pub const NOTES_MAX: usize = 100;
/// Octets of a note's name.
pub const NOTE_NAME_BYTES_MAX: usize = 255;
/// Octets of a note.
pub const NOTE_BYTES_MAX: usize = 64 << 10;
/// Identifiers that have rights in one mailbox.
pub const ACL_IDENTIFIERS_MAX: usize = 100;
/// Messages that one step of renaming INBOX moves.
const INBOX_STEP_MESSAGES: u32 = 10_000;

/// Names of the special mailboxes of an account that asks for no language.
pub const SPECIAL_MAILBOXES: [(&str, Uses); 5] = [
    ("Drafts", Uses::DRAFTS),
    ("Sent", Uses::SENT),
    ("Junk", Uses::JUNK),
    ("Trash", Uses::TRASH),
    ("Archive", Uses::ARCHIVE),
];

/// What a mailbox is for (RFC 6154), as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses(pub u8);

impl Uses {
    /// Archive.
    pub const ARCHIVE: Uses = Uses(1);
    /// Drafts.
    pub const DRAFTS: Uses = Uses(2);
    /// Junk.
    pub const JUNK: Uses = Uses(4);
    /// Sent.
    pub const SENT: Uses = Uses(8);
    /// Trash.
    pub const TRASH: Uses = Uses(16);
    /// Important (RFC 8457).
    pub const IMPORTANT: Uses = Uses(32);
    /// All of them.
    pub const ALL: Uses = Uses(63);
    /// How many there are.
    pub const COUNT: usize = 6;
}

/// What an account may use, and uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Octets at most.
    pub bytes: Option<u64>,
    /// Messages at most.
    pub messages: Option<u64>,
    /// Used now.
    pub usage: Usage,
}

/// Rights of one identifier (RFC 4314) as bits, in the order of `lrswipkxtea`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(pub u16);

impl Rights {
    /// Letters, bit 0 first.
    pub const LETTERS: &'static str = "lrswipkxtea";
    /// All of them: the owner's.
    pub const ALL: Rights = Rights(0x7ff);
    /// What `c` stands for: `k` and `x` (RFC 4314 2.1.1).
    const CREATE: Rights = Rights(0xc0);
    /// What `d` stands for: `t` and `e`.
    const DELETE: Rights = Rights(0x300);

    /// From letters; `c` and `d` of RFC 2086 mean what RFC 4314 2.1.1 says. `None`: one that is none.
    #[must_use]
    pub fn parse(letters: &str) -> Option<Rights> {
        let mut rights = Rights::default();
        for letter in letters.chars() {
            rights.0 |= match letter {
                'c' => Rights::CREATE.0,
                'd' => Rights::DELETE.0,
                _ => 1 << Rights::LETTERS.find(letter)?,
            };
        }
        Some(rights)
    }

    /// As letters.
    #[must_use]
    pub fn letters(self) -> String {
        let has = |(bit, _): &(usize, char)| self.0 & (1 << bit) != 0;
        Rights::LETTERS.chars().enumerate().filter(has).map(|(_, letter)| letter).collect()
    }

    /// As letters for clients: with `c` and `d`, which stand for any right of those that they are made of. These letters
    /// are not to be parsed again: they may say more than there is.
    #[must_use]
    pub fn letters_shown(self) -> String {
        let mut letters = self.letters();
        for (letter, members) in [('c', Rights::CREATE), ('d', Rights::DELETE)] {
            if self.0 & members.0 != 0 {
                letters.push(letter);
            }
        }
        letters
    }

    /// Holds all of `other`.
    #[must_use]
    pub fn holds(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Account {
    /// The mailbox of that name. Short look-ups, or none for one that was written to lately.
    pub fn mailbox(&self, name: &str) -> Result<Option<Mailbox>, Error> {
        if let Some(held) = self.accounts.at_rest(self.id, |head| head.mailbox(name)) {
            return Ok(Some(held));
        }
        let snapshot = self.accounts.engine().snapshot()?;
        self.named(&*snapshot, name)
    }

    /// The mailbox with that id. One key look-up.
    pub fn mailbox_by_id(&self, mailbox: MailboxId) -> Result<Option<Mailbox>, Error> {
        let stored = self.accounts.engine().get(key::partition(self.id), &key::mailbox(mailbox))?;
        stored.map(|bytes| MailboxRow::decode(&bytes).map(|row| row.mailbox)).transpose()
    }

    /// A number that rises with each change of a name, a subscription, a note, or of who may use a mailbox. One key look-up.
    pub fn tree_version(&self) -> Result<u64, Error> {
        Ok(self.head(self.accounts.engine().get(key::partition(self.id), &key::head())?)?.tree)
    }

    /// The limits and what is used of them. Short look-ups; all zero and without limit if there is no such account.
    pub fn quota(&self) -> Result<Quota, Error> {
        let held = |head: &Head| {
            Some(Quota { bytes: head.quota_bytes, messages: head.quota_messages, usage: head.usage() })
        };
        if let Some(quota) = self.accounts.at_rest(self.id, held) {
            return Ok(quota);
        }
        let snapshot = self.accounts.engine().snapshot()?;
        let head = self.head(snapshot.get(key::partition(self.id), &key::head())?)?;
        let usage = Usage { bytes: head.bytes, messages: head.messages };
        let Some(record) = snapshot.get(key::SYSTEM, &key::account(self.id))? else {
            return Ok(Quota::default());
        };
        let record = row::decode_account(&record)?;
        Ok(Quota { bytes: record.quota_bytes, messages: record.quota_messages, usage })
    }

    /// Makes a mailbox, and those above it that are missing. `Uses` that another mailbox has are taken from that one.
    pub async fn create_mailbox(&self, name: &str, uses: Uses, now: i64) -> Result<MailboxId, Refused> {
        match self.tree(Tree::Create { name: name.to_owned(), uses, now }).await? {
            Outcome::Made(id) => Ok(id),
            other => Err(other.unexpected()),
        }
    }

    /// Removes a mailbox with its messages; those below it stay. One commit; the rows of its messages go later.
    pub async fn delete_mailbox(&self, mailbox: MailboxId) -> Result<(), Refused> {
        self.tree(Tree::Delete(mailbox)).await.map(drop)
    }

    /// Renames a mailbox and all below it, in one commit; those above the new name are made. Where `from` itself is no
    /// mailbox, those below it are renamed. INBOX keeps its name, and those below it keep theirs: its messages move to a new
    /// mailbox (RFC 9051 6.3.6), in steps of 10,000 messages. Of this a crash may leave a part undone: the new mailbox is
    /// there, each message is in one of both. Mail that comes meanwhile stays in INBOX.
    pub async fn rename_mailbox(&self, from: &str, to: &str, now: i64) -> Result<(), Refused> {
        if canonical_name(from) == INBOX {
            return self.empty_inbox(to, now).await;
        }
        self.tree(Tree::Rename { from: from.to_owned(), to: to.to_owned(), now }).await.map(drop)
    }

    async fn empty_inbox(&self, to: &str, now: i64) -> Result<(), Refused> {
        let inbox = self.mailbox(INBOX)?.ok_or(Refused::NoMailbox)?;
        let target = self.create_mailbox(to, Uses::default(), now).await?;
        let Some(view) = self.open(inbox.id).await? else { return Err(Refused::NoMailbox) };
        let mut next = 1;
        while let (Some(first), Some(last)) =
            (view.uid(next), view.uid((next + INBOX_STEP_MESSAGES - 1).min(view.len())))
        {
            let uids = vec![(first, last)];
            let (from, to) = (inbox.id, target);
            self.copy(Copying { from, uids, to, remove: true, saved: now }).await?;
            next += INBOX_STEP_MESSAGES;
        }
        Ok(())
    }

    /// Subscribes to a name, or ends that. The mailbox need not exist.
    pub async fn subscribe(&self, name: &str, on: bool) -> Result<(), Refused> {
        self.tree(Tree::Subscribe { name: name.to_owned(), on }).await.map(drop)
    }

    /// Names subscribed to, ascending. Blocks for the disk.
    pub fn subscriptions(&self) -> Result<Vec<String>, Error> {
        let snapshot = self.accounts.engine().snapshot()?;
        let mut found = Vec::new();
        snapshot.scan(key::partition(self.id), &[key::SUBSCRIPTION], &[], &mut |key, _| {
            found.push(text(&key[1..])?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Notes on a mailbox, or on the account with `None`: entry name and value, ascending. Private ones of `whose` alone.
    /// Blocks for the disk.
    pub fn notes(
        &self,
        mailbox: Option<MailboxId>,
        whose: AccountId,
    ) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let partition = key::partition(self.id);
        let snapshot = self.accounts.engine().snapshot()?;
        let mut found = Vec::new();
        // What a deleted mailbox has left is nobody's.
        if let Some(id) = mailbox
            && snapshot.get(partition, &key::mailbox(id))?.is_none()
        {
            return Ok(found);
        }
        // `/private/` comes before `/shared/`.
        for owner in [whose, AccountId(0)] {
            let prefix = key::notes(mailbox.unwrap_or(MailboxId(0)), owner);
            snapshot.scan(partition, &prefix, &[], &mut |key, value| {
                found.push((text(&key[prefix.len()..])?, row::decode_note(value)?));
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(found)
    }

    /// Sets notes; `None` removes. All or none. Entries are lower case; those that begin with `/private/` belong to `whose`.
    pub async fn set_notes(
        &self,
        mailbox: Option<MailboxId>,
        whose: AccountId,
        entries: Vec<(String, Option<Vec<u8>>)>,
    ) -> Result<(), Refused> {
        self.tree(Tree::Note { mailbox, whose, entries }).await.map(drop)
    }

    pub(super) async fn tree(&self, work: Tree) -> Result<Outcome, Refused> {
        self.accounts.run(self.id, Work::Tree(Box::new(work))).await
    }

    pub(super) fn named(&self, snapshot: &dyn Snapshot, name: &str) -> Result<Option<Mailbox>, Error> {
        let partition = key::partition(self.id);
        let Some(id) = snapshot.get(partition, &key::name(&canonical_name(name)))? else {
            return Ok(None);
        };
        let id = row::decode_id(&id)?;
        let stored = snapshot.get(partition, &key::mailbox(id))?.ok_or_else(|| {
            Error::Damaged(format!("account {}: mailbox {} has a name and no row", self.id.0, id.0))
        })?;
        Ok(Some(MailboxRow::decode(&stored)?.mailbox))
    }

    fn head(&self, stored: Option<Vec<u8>>) -> Result<HeadRow, Error> {
        stored.map_or_else(|| Ok(HeadRow::default()), |bytes| HeadRow::decode(&bytes))
    }
}

fn text(bytes: &[u8]) -> Result<String, Error> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::Damaged("a key that is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::Rights;

    #[test]
    fn rights_are_letters() {
        assert_eq!(Rights::parse(Rights::LETTERS), Some(Rights::ALL));
        assert_eq!(Rights::ALL.letters(), Rights::LETTERS);
        assert_eq!(Rights::ALL.letters_shown(), "lrswipkxteacd");
        assert_eq!(Rights::parse("c").map(Rights::letters).as_deref(), Some("kx"));
        assert_eq!(Rights::parse("drl").map(Rights::letters).as_deref(), Some("lrte"));
        assert_eq!(Rights::parse("t").map(Rights::letters_shown).as_deref(), Some("td"));
        assert_eq!(Rights::parse(""), Some(Rights::default()));
        for none in ["L", "z", "l r", "0", "é"] {
            assert_eq!(Rights::parse(none), None, "{none}");
        }
        let (some, other) = (Rights::parse("lr").unwrap(), Rights::parse("ls").unwrap());
        assert!(Rights::ALL.holds(some) && !some.holds(other) && some.holds(Rights::default()));
    }
}
