//! From an accepted message to mailboxes.
//!
//! One account: one commit, then `250`. Several: the body and one pending entry
//! are durable, then `250`; the mailboxes follow, and again after a crash, each
//! delivery carrying the entry's token so that none is doubled. LMTP answers for
//! each recipient, so there each is delivered before its answer.

use crate::app::App;
use crate::clock::unix_now;
use futures_util::future::join_all;
use proto::message::gist::{Gist, Limits, Scanner};
use proto::message::trace;
use proto::proof::AccountId;
use proto::smtp::{Path, Reply};
use std::sync::Arc;
use store::Store;
use store::account::{Account, Delivery, Flags, INBOX, Refused};
use store::blob::{BodyRef, BodyWriter};
use store::system::pending::{Entry, Recipient};

/// A message on its way in: its octets are written and looked at in one pass, and copied once.
#[derive(Debug)]
pub struct Incoming {
    writer: BodyWriter,
    scanner: Scanner,
}

/// What became of it: durable as soon as a change that refers to it is.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The body.
    pub body: BodyRef,
    /// Octets of its header with the empty line.
    pub header_bytes: u64,
    /// See [`store::account::Detail::gist`].
    pub gist: Vec<u8>,
}

impl Incoming {
    /// Begins.
    #[must_use]
    pub fn new(store: &Store) -> Incoming {
        Incoming { writer: store.bodies().writer(), scanner: Scanner::new(Limits::default()) }
    }

    /// About so many octets are announced; see [`BodyWriter::expect`].
    pub fn expect(&mut self, octets: u64) {
        self.writer.expect(octets);
    }

    /// The next octets of the body. Lines of one recipient alone do not belong to it.
    ///
    /// # Errors
    /// The store's; what was written before is lost.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), store::Error> {
        self.scanner.feed(piece);
        self.writer.write(piece).await
    }

    /// Octets written so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.writer.len()
    }

    /// True before the first octet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writer.is_empty()
    }

    /// Gives it its place; see [`BodyWriter::place`].
    ///
    /// # Errors
    /// The store's.
    pub async fn finish(self) -> Result<Stored, store::Error> {
        let gist = self.scanner.finish();
        let body = self.writer.place().await?;
        // A gist that was made a moment ago can be read.
        let header_bytes = Gist::read(&gist).map_or(0, |gist| gist.header().end.min(body.len));
        Ok(Stored { body, header_bytes, gist })
    }
}

/// A message whose body is durable, or will be before anything that refers to it is.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its id, as in our `Received` field.
    pub id: u64,
    /// Reverse path; `None` is null.
    pub from: Option<Path>,
    /// The body.
    pub body: BodyRef,
    /// Octets of its header with the empty line.
    pub header_bytes: u64,
    /// See [`store::account::Detail::gist`].
    pub gist: Vec<u8>,
    /// Unix seconds.
    pub received: i64,
}

/// A recipient that was accepted.
#[derive(Clone, Debug)]
pub struct Target {
    /// As the client wrote it.
    pub address: Path,
    /// The accounts it leads to.
    pub accounts: Vec<AccountId>,
}

/// What `Delivered-To` says for a recipient.
#[must_use]
pub fn delivered_to(path: &Path) -> String {
    path.to_string()
}

/// Delivers to all recipients under one answer.
pub async fn all(app: &Arc<App>, letter: &Letter, targets: &[Target]) -> Reply {
    let recipients = recipients(letter, targets);
    if let [one] = recipients.as_slice() {
        return one_now(app, letter, one.account, one.prefix.clone()).await;
    }
    let entry = Entry {
        from: letter.from.as_ref().map(delivered_to).unwrap_or_default(),
        body: letter.body.clone(),
        header_bytes: letter.header_bytes,
        gist: letter.gist.clone(),
        received: letter.received,
        recipients,
    };
    match app.store.pending().add(entry.clone()).await {
        Ok(token) => {
            let worker = app.clone();
            app.deliveries.start(async move { finish(&worker, token, entry).await }).await;
            accepted(letter)
        }
        Err(error) => store_reply(&error),
    }
}

/// Delivers to each recipient under its own answer (RFC 2033 4.2). One that leads to
/// several accounts goes by the way of several: were one of them refused after
/// another had it, the sender would come again and double it there.
pub async fn each(app: &Arc<App>, letter: &Letter, targets: &[Target]) -> Vec<Reply> {
    let mut replies = Vec::with_capacity(targets.len());
    for target in targets {
        replies.push(all(app, letter, std::slice::from_ref(target)).await);
    }
    replies
}

/// Delivers what an earlier run of the service had accepted and not finished.
pub async fn resume(app: &Arc<App>) -> Result<usize, store::Error> {
    let entries = app.store.pending().entries()?;
    let count = entries.len();
    for (token, entry) in entries {
        let worker = app.clone();
        app.deliveries.start(async move { finish(&worker, token, entry).await }).await;
    }
    Ok(count)
}

async fn one_now(app: &App, letter: &Letter, account: AccountId, prefix: Vec<u8>) -> Reply {
    let delivery = Delivery {
        mailbox: INBOX.to_owned(),
        prefix,
        body: letter.body.clone(),
        header_bytes: letter.header_bytes,
        flags: Flags::default(),
        keywords: Vec::new(),
        gist: letter.gist.clone(),
        received: letter.received,
        saved: unix_now(),
        token: None,
        quota: true,
    };
    match app.store.account(account).deliver(delivery).await {
        Ok(_) => accepted(letter),
        Err(Refused::OverQuota) => {
            Reply::new(552, (5, 2, 2), "The mailbox is full; its owner must delete something")
        }
        Err(Refused::Store(error)) => store_reply(&error),
        Err(_) => Reply::new(550, (5, 1, 1), "No such mailbox here"),
    }
}

/// Puts a pending entry into its mailboxes, trying again for as long as the store
/// fails. A stop of the service may end the trying: the next start resumes it.
async fn finish(app: &App, token: u64, entry: Entry) {
    const PAUSE_SECONDS_MAX: u64 = 60;
    let mut pause = 1;
    let mut left = entry.recipients.clone();
    loop {
        left = round(app, token, &entry, left).await;
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(pause)).await;
        pause = (pause * 2).min(PAUSE_SECONDS_MAX);
    }
    if let Err(error) = app.store.pending().done(token).await {
        tracing::error!(%error, "delivered, but still listed as pending; the next start recognises it");
    }
}

/// Tries each recipient once; returns those whose account could not be written.
async fn round(app: &App, token: u64, entry: &Entry, recipients: Vec<Recipient>) -> Vec<Recipient> {
    let mut failed = Vec::new();
    for recipient in recipients {
        let delivery = Delivery {
            mailbox: INBOX.to_owned(),
            prefix: recipient.prefix.clone(),
            body: entry.body.clone(),
            header_bytes: entry.header_bytes,
            flags: Flags::default(),
            keywords: Vec::new(),
            gist: entry.gist.clone(),
            received: entry.received,
            saved: unix_now(),
            token: Some(token),
            // The quota was asked at RCPT; once accepted, a message is not lost to it.
            quota: false,
        };
        match app.store.account(recipient.account).deliver(delivery).await {
            Ok(_) => {}
            Err(Refused::NoAccount | Refused::NoMailbox) => {
                tracing::warn!(
                    account = recipient.account.0,
                    "account removed while mail was on its way to it"
                );
            }
            Err(error) => {
                tracing::error!(account = recipient.account.0, %error, "delivery waits");
                failed.push(recipient);
            }
        }
    }
    failed
}

/// Each account once, with its own header lines.
fn recipients(letter: &Letter, targets: &[Target]) -> Vec<Recipient> {
    let mut list: Vec<Recipient> = Vec::new();
    for target in targets {
        for account in &target.accounts {
            if !list.iter().any(|r| r.account == *account) {
                list.push(Recipient { account: *account, prefix: prefix(letter, target) });
            }
        }
    }
    list
}

/// `Return-Path` (RFC 5321 4.4) and `Delivered-To` (RFC 9228) of one recipient.
fn prefix(letter: &Letter, target: &Target) -> Vec<u8> {
    let mut prefix = trace::return_path(letter.from.as_ref());
    prefix.push_str(&trace::delivered_to(&delivered_to(&target.address)));
    prefix.into_bytes()
}

/// A message that is written and not yet durable, for [`put`].
#[derive(Debug)]
pub struct Parcel {
    /// Mailbox name.
    pub mailbox: String,
    /// Flags it starts with.
    pub flags: Flags,
    /// Internal date, Unix seconds; `None` takes the present.
    pub received: Option<i64>,
    /// Its octets.
    pub body: Incoming,
}

/// Puts existing messages into an account, in this order and outside its quota:
/// their bodies share a sync, their rows a commit.
pub async fn put(account: &Account, batch: Vec<Parcel>) -> Result<(), Refused> {
    let now = unix_now();
    let (heads, bodies): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|p| ((p.mailbox, p.flags, p.received), p.body.finish())).unzip();
    let mut rows = Vec::with_capacity(heads.len());
    for ((mailbox, flags, received), stored) in heads.into_iter().zip(join_all(bodies).await) {
        let stored = stored.map_err(Refused::Store)?;
        rows.push(account.deliver(Delivery {
            mailbox,
            prefix: Vec::new(),
            body: stored.body,
            header_bytes: stored.header_bytes,
            flags,
            keywords: Vec::new(),
            gist: stored.gist,
            received: received.unwrap_or(now),
            saved: now,
            token: None,
            quota: false,
        }));
    }
    // `join_all` polls in order, and an account takes its changes in the order of their first poll.
    join_all(rows).await.into_iter().try_for_each(|row| row.map(|_| ()))
}

fn accepted(letter: &Letter) -> Reply {
    Reply::new(250, (2, 0, 0), format!("Accepted as {:014x}", letter.id))
}

/// The reply for a failing store: the peer keeps the message and tries again.
#[must_use]
pub fn store_reply(error: &store::Error) -> Reply {
    tracing::error!(%error, "mail refused for now");
    match error {
        store::Error::DiskFull => Reply::new(452, (4, 3, 1), "No room for mail now, try again later"),
        store::Error::Closed => Reply::new(421, (4, 3, 2), "The service is stopping, try again later"),
        _ => Reply::new(451, (4, 3, 0), "The mail store fails now, try again later"),
    }
}
