//! One account's mail: mailboxes, messages, flags, quota, changes.
//!
//! What must hold: every change of an account is one commit of its partition, with the
//! account's version, which is also the MODSEQ of all that the commit changes. Operations that wait for
//! the same account share a commit (`lane`); what an operation does to the rows is in
//! `apply`, how messages lie in rows is in `index`. Reads here are of the engine, never of
//! what is in memory for writers, so that they see what is durable and nothing else.

mod apply;
mod hands;
mod index;
mod lane;

pub(crate) use apply::{CHANGES_KEPT, birth};
pub(crate) use index::{RECORD_MESSAGES_MAX, messages};
pub(crate) use lane::{Accounts, BodyMove, Outcome, Work};

use crate::blob::BodyRef;
use crate::row::{self, HeadRow, MailboxRow};
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
}

/// A snapshot of a mailbox.
#[derive(Clone, Debug)]
pub struct View {
    /// The mailbox as of the snapshot.
    pub mailbox: Mailbox,
    /// Its messages, by ascending UID.
    pub messages: Vec<MessageRow>,
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
    /// Flags it starts with.
    pub flags: Flags,
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

/// A handle on one account's mail.
#[derive(Clone, Debug)]
pub struct Account {
    id: AccountId,
    accounts: Arc<Accounts>,
}

impl Account {
    pub(crate) fn new(id: AccountId, accounts: Arc<Accounts>) -> Account {
        Account { id, accounts }
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
        let partition = key::partition(self.id);
        let snapshot = self.accounts.engine().snapshot()?;
        let Some(id) = snapshot.get(partition, &key::name(&canonical_name(mailbox)))? else {
            return Ok(None);
        };
        let id = MailboxId(u32::try_from(row::decode_number(&id)?).unwrap_or(0));
        let stored = snapshot.get(partition, &key::mailbox(id))?.ok_or_else(|| {
            Error::Damaged(format!("account {}: mailbox {} has a name and no row", self.id.0, id.0))
        })?;
        let mailbox = MailboxRow::decode(&stored)?.mailbox;
        if let Some(view) = self.accounts.cached_view(self.id, &mailbox) {
            return Ok(Some(view));
        }
        let messages = index::messages(&*snapshot, partition, &mailbox)?;
        let view = Arc::new(View { mailbox, messages });
        self.accounts.remember_view(self.id, &view);
        Ok(Some(view))
    }

    /// Where a message's octets are; `None` if it is gone. One key look-up.
    pub fn detail(&self, mailbox: MailboxId, uid: u32) -> Result<Option<Detail>, Error> {
        let found = self.accounts.engine().get(key::partition(self.id), &key::detail(mailbox, uid))?;
        found.map(|bytes| row::decode_detail(&bytes)).transpose()
    }

    /// What is used. One key look-up.
    pub fn usage(&self) -> Result<Usage, Error> {
        let head = self.accounts.engine().get(key::partition(self.id), &key::head())?;
        let head = head.map_or_else(|| Ok(HeadRow::default()), |bytes| HeadRow::decode(&bytes))?;
        Ok(Usage { bytes: head.bytes, messages: head.messages })
    }

    /// Puts a message into a mailbox; durable on return.
    pub async fn deliver(&self, delivery: Delivery) -> Result<Delivered, Refused> {
        match self.accounts.run(self.id, Work::Deliver(Box::new(delivery))).await? {
            Outcome::Delivered(delivered) => Ok(delivered),
            Outcome::Done => Err(Refused::Store(Error::Damaged("a delivery without result".to_owned()))),
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

/// `INBOX` is the same in any letter case; other names are as they are.
pub(crate) fn canonical_name(name: &str) -> std::borrow::Cow<'_, str> {
    if name.eq_ignore_ascii_case(INBOX) { INBOX.into() } else { name.into() }
}
