//! One account's mail: mailboxes, messages, flags, quota, changes.
//!
//! What must hold: every change of an account is one commit of its partition, with the
//! account's version, which is also the MODSEQ of all that the commit changes. Operations that wait for
//! the same account share a commit (`lane`); what an operation does to the rows is in
//! `apply`, how messages lie in rows is in `index`. Reads here are of the engine, or of views that
//! move when a commit is durable (`views`), never of what is in memory for writers, so that they see what is durable
//! and nothing else.

mod apply;
mod change;
mod details;
mod hands;
mod index;
mod lane;
mod name;
mod share;
mod sweep;
mod tree;
mod view;
mod views;
mod watch;
mod why;

pub(crate) use apply::{CHANGES_KEPT, birth, left_by};
pub(crate) use index::{RECORD_MESSAGES_MAX, WideChange, messages};
pub(crate) use lane::{Accounts, BodyMove, Outcome, Tree, Work};
pub(crate) use name::{canonical_name, check_name, check_subscription};
pub(crate) use share::share_entries;

pub(crate) use sweep::run as sweep;

pub use change::{Copied, Copying, FlagChange, FlagsChanged, How};
pub(crate) use details::read as read_details;
pub use details::{DetailRef, Details};
pub use name::{NAME_BYTES_MAX, NAME_LEVELS_MAX};
pub use tree::{
    ACL_IDENTIFIERS_MAX, MAILBOXES_MAX, NOTE_BYTES_MAX, NOTE_NAME_BYTES_MAX, NOTES_MAX, Quota, Rights,
    SPECIAL_MAILBOXES, SUBSCRIPTIONS_MAX, Uses,
};
pub use view::{Chunk, Chunks, Diff, View};
pub use watch::Watch;
pub use why::Why;

use crate::blob::BodyRef;
use crate::row::{self, HeadRow, MailboxRow};
use crate::search::Search;
use crate::{Error, key};
use proto::proof::AccountId;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The mailbox that every account has, in any letter case.
pub const INBOX: &str = "INBOX";

/// Names a mailbox within its account for good; its name may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId(pub u32);

/// System flags as bits; keywords take the bits from 8 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u64);

impl Flags {
    /// `\Seen`.
    pub const SEEN: Flags = Flags(1);
    /// `\Answered`.
    pub const ANSWERED: Flags = Flags(2);
    /// `\Flagged`.
    pub const FLAGGED: Flags = Flags(4);
    /// `\Deleted`.
    pub const DELETED: Flags = Flags(8);
    /// `\Draft`.
    pub const DRAFT: Flags = Flags(16);
    /// The bits that are not keywords.
    pub const SYSTEM: Flags = Flags(0xff);
    /// The bit number of the first keyword.
    pub const KEYWORD_FIRST: u32 = 8;
    /// Keywords of one mailbox at most.
    pub const KEYWORDS_MAX: usize = 56;
    /// Octets of a keyword's name at most.
    pub const KEYWORD_BYTES_MAX: usize = 64;
}

/// A mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Its id.
    pub id: MailboxId,
    /// Full name, UTF-8, levels separated by `/`; `INBOX` exists always.
    pub name: String,
    /// Changes when UIDs do not continue.
    pub uid_validity: u32,
    /// The next UID to be given.
    pub uid_next: u32,
    /// Highest MODSEQ of any change in it.
    pub modseq: u64,
    /// Messages in it.
    pub messages: u32,
    /// Octets of them.
    pub bytes: u64,
    /// Those without `\\Seen`.
    pub unseen: u32,
    /// Those with `\\Deleted`.
    pub deleted: u32,
    /// Octets of those with `\\Deleted`.
    pub deleted_bytes: u64,
    /// What it is for.
    pub uses: Uses,
    /// Names of the flag bits from [`Flags::KEYWORD_FIRST`] on, as first written.
    pub keywords: Arc<[String]>,
}

/// What every listing needs of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// UID, ascending within a mailbox.
    pub uid: u32,
    /// Flags.
    pub flags: Flags,
    /// MODSEQ of its last change.
    pub modseq: u64,
    /// Octets as served (prefix and body).
    pub size: u64,
    /// Internal date, Unix seconds.
    pub received: i64,
}

/// Where a message's octets are: `prefix`, then `body`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Trace header lines of this recipient alone, before the shared body.
    pub prefix: Vec<u8>,
    /// The body (in the sense of a blob: header and body of the message).
    pub body: BodyRef,
    /// Octets of `prefix` and the blob up to and with the empty line after the header.
    pub header_bytes: u64,
    /// When it came into this mailbox, Unix seconds.
    pub saved: i64,
    /// What was learnt of the body once (`proto::message::gist`); offsets in it count from the body's first octet.
    pub gist: Vec<u8>,
}

/// A message to be put into a mailbox.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where to; `INBOX` or the name of an existing mailbox, otherwise created.
    pub mailbox: String,
    /// See [`Detail::prefix`].
    pub prefix: Vec<u8>,
    /// The durable body.
    pub body: BodyRef,
    /// See [`Detail::header_bytes`].
    pub header_bytes: u64,
    /// Flags it starts with; system flags only.
    pub flags: Flags,
    /// Keywords it starts with; those beyond the mailbox's limit are dropped.
    pub keywords: Vec<String>,
    /// See [`Detail::gist`].
    pub gist: Vec<u8>,
    /// Internal date, Unix seconds.
    pub received: i64,
    /// Now, Unix seconds.
    pub saved: i64,
    /// The pending entry it comes from: a second delivery with the same token is
    /// recognised and changes nothing.
    pub token: Option<u64>,
    /// Counts against the quota (an operator's import need not).
    pub quota: bool,
}

/// What a delivery came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Mailbox.
    pub mailbox: MailboxId,
    /// UID given.
    pub uid: u32,
    /// The account's version with it.
    pub modseq: u64,
    /// False if the token showed that it was there already.
    pub fresh: bool,
}

/// Why an account refused a change.
#[derive(Debug)]
pub enum Refused {
    /// Its quota is used up.
    OverQuota,
    /// There is no such account (any more).
    NoAccount,
    /// There is no such mailbox.
    NoMailbox,
    /// There is one of that name already.
    Exists,
    /// The name cannot be one.
    BadName(Why),
    /// A limit is reached.
    Limit(Why),
    /// INBOX, or what is bound to exist, cannot be removed or renamed so.
    Cannot(Why),
    /// The store failed.
    Store(Error),
}

/// What an account uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Octets of all messages.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::OverQuota => f.write_str("the owner must make room: the quota is used up"),
            Refused::NoAccount => f.write_str("there is no such account"),
            Refused::NoMailbox => f.write_str("there is no such mailbox"),
            Refused::Exists => f.write_str("there is a mailbox of that name already"),
            Refused::BadName(why) | Refused::Limit(why) | Refused::Cannot(why) => why.fmt(f),
            Refused::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Refused::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Store(error)
    }
}

/// A handle on one account's mail, for its owner or for a guest.
#[derive(Clone, Debug)]
pub struct Account {
    id: AccountId,
    guest: Option<AccountId>,
    accounts: Arc<Accounts>,
}

impl Account {
    pub(crate) fn new(id: AccountId, accounts: Arc<Accounts>) -> Account {
        Account { id, guest: None, accounts }
    }

    /// The same for somebody else: `\Seen` is then theirs in all that is read and changed through it, and the views that it opens
    /// count what they have not seen. Rights are for the caller to ask.
    #[must_use]
    pub fn seen_by(&self, who: AccountId) -> Account {
        Account { guest: (who != self.id).then_some(who), ..self.clone() }
    }

    /// It is for a guest.
    #[must_use]
    pub fn is_guests(&self) -> bool {
        self.guest.is_some()
    }

    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> AccountId {
        self.id
    }

    pub(crate) fn search(&self) -> &Search {
        self.accounts.search()
    }

    /// All mailboxes, by name. Blocks for the disk.
    pub fn mailboxes(&self) -> Result<Vec<Mailbox>, Error> {
        let snapshot = self.accounts.engine().snapshot()?;
        let mut found = Vec::new();
        snapshot.scan(key::partition(self.id), &[key::MAILBOX], &[], &mut |_, value| {
            found.push(MailboxRow::decode(value)?.mailbox);
            Ok(ControlFlow::Continue(()))
        })?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// A snapshot of one mailbox; `None` if there is none of that name. Blocks for the disk.
    pub fn view(&self, mailbox: &str) -> Result<Option<Arc<View>>, Error> {
        let snapshot = self.accounts.engine().snapshot()?;
        let Some(id) = snapshot.get(key::partition(self.id), &key::name(&canonical_name(mailbox)))? else {
            return Ok(None);
        };
        drop(snapshot);
        self.open_wait(row::decode_id(&id)?)
    }

    /// Where a message's octets are; `None` if it is gone. One key look-up. For a while after a message was removed it may still
    /// be found, for who knows an older view.
    pub fn detail(&self, mailbox: MailboxId, uid: u32) -> Result<Option<Detail>, Error> {
        let found = self.accounts.engine().get(key::partition(self.id), &key::detail(mailbox, uid))?;
        found.map(|bytes| row::decode_detail(&bytes)).transpose()
    }

    /// What is used. One key look-up.
    pub fn usage(&self) -> Result<Usage, Error> {
        if let Some(usage) = self.accounts.at_rest(self.id, |head| Some(head.usage())) {
            return Ok(usage);
        }
        let head = self.accounts.engine().get(key::partition(self.id), &key::head())?;
        let head = head.map_or_else(|| Ok(HeadRow::default()), |bytes| HeadRow::decode(&bytes))?;
        Ok(Usage { bytes: head.bytes, messages: head.messages })
    }

    /// Puts a message into a mailbox; durable on return.
    pub async fn deliver(&self, delivery: Delivery) -> Result<Delivered, Refused> {
        match self.accounts.run(self.id, Work::Deliver(Box::new(delivery))).await? {
            Outcome::Delivered(delivered) => Ok(delivered),
            other => Err(other.unexpected()),
        }
    }

    /// Removes messages, all or none; UIDs that are gone already are passed over.
    pub async fn expunge(&self, mailbox: MailboxId, uids: &[u32]) -> Result<(), Refused> {
        let mut uids = uids.to_vec();
        uids.sort_unstable();
        uids.dedup();
        self.accounts.run(self.id, Work::Expunge { mailbox, uids }).await.map(|_| ())
    }
}

/// Runs `work` on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Closed))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::engine::{self, Batch};
    use crate::search::{Bits, Scope};
    use crate::system::directory::{AccountRecord, Credentials, Domain};
    use crate::{Options, Store};

    const INBOX_ID: MailboxId = MailboxId(1);

    /// A store's first account, `a@x.test`.
    pub(crate) async fn person(store: &Store) -> AccountId {
        let domain = Domain { separator: None, ..Domain::named("x.test") };
        store.directory().put_domain(domain, false).await.unwrap();
        let record = AccountRecord {
            id: AccountId(0),
            address: "a@x.test".to_owned(),
            name: String::new(),
            enabled: true,
            quota_bytes: None,
            quota_messages: None,
            created: 0,
        };
        let nothing = Credentials { salt: vec![1; 16], iterations: 4096, generation: 1, list: Vec::new() };
        store.directory().add_account(record, nothing).await.unwrap()
    }

    async fn message(store: &Store) -> Delivery {
        let mut writer = store.bodies().writer();
        writer.write(b"Subject: s\r\n\r\nTEXT\r\n").await.unwrap();
        Delivery {
            mailbox: INBOX.to_owned(),
            prefix: Vec::new(),
            header_bytes: 14,
            body: writer.finish().await.unwrap(),
            flags: Flags::default(),
            keywords: Vec::new(),
            gist: Vec::new(),
            received: 1,
            saved: 1,
            token: None,
            quota: true,
        }
    }

    /// A mailbox that has given nearly all its UIDs works like any other up to the last but one; the highest number is never given,
    /// so that the next one always has a number too (RFC 9051 2.3.1.1).
    #[tokio::test(flavor = "multi_thread")]
    async fn uids_end_before_the_highest_number() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let id = person(&store).await;
        let (engine, partition) = (&*store.inner.engine, key::partition(id));
        let stored = engine.get(partition, &key::mailbox(INBOX_ID)).unwrap().unwrap();
        let mut row = MailboxRow::decode(&stored).unwrap();
        (row.mailbox.uid_next, row.folded_next) = (u32::MAX - 5, u32::MAX - 5);
        let mut batch = Batch::default();
        batch.put(key::mailbox(INBOX_ID), row.encode());
        engine::commit_wait(engine, partition, None, batch).unwrap();
        let account = store.account(id);
        let one = message(&store).await;
        let before = account.open(INBOX_ID).await.unwrap().unwrap();
        for uid in u32::MAX - 5..u32::MAX {
            assert_eq!(account.deliver(one.clone()).await.unwrap().uid, uid);
        }
        assert!(account.deliver(one.clone()).await.is_err());
        assert!(account.append(vec![one.clone()], None).await.is_err());
        let uids = vec![(1, u32::MAX)];
        let copying = Copying { from: INBOX_ID, uids: uids.clone(), to: INBOX_ID, remove: false, saved: 1 };
        assert!(account.copy(copying.clone()).await.is_err());
        let (how, flags) = (How::Add, Flags::SEEN);
        let change = FlagChange {
            mailbox: INBOX_ID,
            uids: uids.clone(),
            how,
            flags,
            keywords: Vec::new(),
            unchanged_since: None,
        };
        account.change_flags(change).await.unwrap();
        account.index(INBOX_ID).unwrap();
        account.expunge(INBOX_ID, &[u32::MAX - 3, u32::MAX]).await.unwrap();
        let archive = account.mailbox("Archive").unwrap().unwrap().id;
        assert_eq!(account.copy(Copying { to: archive, ..copying }).await.unwrap().uids.len(), 4);
        let view = account.open(INBOX_ID).await.unwrap().unwrap();
        assert_eq!((before.diff(&view).added, view.mailbox.unseen, view.last_uid()), (4, 0, u32::MAX - 1));
        let expected = view.messages();
        store.close().unwrap();
        drop((view, account, store));
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let account = store.account(id);
        let view = account.open(INBOX_ID).await.unwrap().unwrap();
        assert_eq!(view.messages(), expected);
        assert_eq!(view.seqs(u32::MAX - 2, u32::MAX), 3..5);
        let all = Bits::all(4);
        for _ in 0..2 {
            assert_eq!(account.find_text(&view, &all, "TEXT", Scope::Body).await.unwrap(), all);
            account.index(INBOX_ID).unwrap();
        }
        assert_eq!(store.check(&mut |_, _| ()).unwrap().faults, Vec::<String>::new());
    }
}
