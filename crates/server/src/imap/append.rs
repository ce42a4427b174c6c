//! APPEND, MULTIAPPEND, CATENATE, BINARY literals and REPLACE.
//!
//! Octets go from the socket's buffer into the store's writer and past the scanner, as they came. What must hold: a command
//! that is refused or broken off leaves nothing behind; all messages of one command come in one commit. How many one command
//! brings is the machine's limit.
//!
//! Where we differ knowingly: RFC 6855 section 4 wants a NO for a header in UTF-8 from a client that did not say
//! `ENABLE UTF8=ACCEPT`. Such mail is what people move from other servers with programs that know nothing of it (mbsync, Thunderbird),
//! and Dovecot takes it too; to refuse it would be to lose it. It is kept as it came.

use super::copy::target;
use super::expunge;
use super::name::{self, Found, right};
use super::no::No;
use super::section::{self, Found as Part, Reader};
use super::select::{changeable, not_selected};
use super::store::split;
use super::url::{self, MessageUrl};
use crate::clock::unix_now;
use crate::deliver::Incoming;
use crate::session::imap::ImapSession;
use futures_util::future::join_all;
use proto::imap::Append;
use proto::imap::Replaces;
use proto::imap::code::Code;
use proto::imap::language::Text;
use proto::imap::set::{STAR, Set};
use proto::message::gist::Gist;
use store::account::{Account, Delivery, Flags, MailboxId};

/// Messages, and octets of them, that are written before they are made durable together.
const WAITING_MAX: usize = 64;
const WAITING_BYTES_MAX: u64 = 4 << 20;

/// Messages on their way in.
#[derive(Debug)]
pub(crate) struct Appending {
    target: Found,
    /// REPLACE: the message that goes.
    replaces: Option<(Account, MailboxId, u32)>,
    /// Octets that the quota has room for; `None`: any number.
    room: Option<u64>,
    /// Octets so far.
    bytes: u64,
    /// The message that is coming.
    message: Option<Message>,
    /// Whole messages that are not durable yet.
    waiting: Vec<Message>,
    /// Those whose bodies are.
    done: Vec<Delivery>,
    /// Why the command will be refused when it has come to its end.
    failure: Option<No>,
}

/// One message.
#[derive(Debug)]
struct Message {
    flags: Flags,
    keywords: Vec<String>,
    received: i64,
    body: Incoming,
}

/// One step.
pub(crate) async fn step(s: &mut ImapSession, step: Append<'_>) {
    let done = match step {
        Append::Begin { mailbox, replaces } => begin(s, &mailbox, replaces).await,
        Append::Message { flags, received } => {
            let (system, keywords) = split(&flags);
            message(s, system, keywords, received)
        }
        Append::Text { bytes, binary: _ } => text(s, bytes),
        Append::Url(url) => catenate(s, &url).await,
        Append::Data(piece) => return data(s, piece).await,
        Append::MessageEnd => return message_end(s).await,
        Append::End => return end(s).await,
        Append::Aborted => return s.append = None,
    };
    match done {
        Ok(()) => s.machine.append_go(),
        Err(no) => {
            s.append = None;
            no.refuse_append(s);
        }
    }
}

async fn begin(s: &mut ImapSession, mailbox: &str, replaces: Option<Replaces>) -> Result<(), No> {
    s.append = None;
    let replaces = replaces.map(|replaces| replaced(s, replaces)).transpose()?;
    let target = target(s, mailbox).await?;
    let quota = target.account.quota()?;
    let no_messages_left = quota.messages.is_some_and(|max| quota.usage.messages >= max);
    if no_messages_left && replaces.is_none() {
        return Err(store::account::Refused::OverQuota.into());
    }
    s.append = Some(Box::new(Appending {
        target,
        replaces,
        room: quota.bytes.map(|max| max.saturating_sub(quota.usage.bytes)),
        bytes: 0,
        message: None,
        waiting: Vec::new(),
        done: Vec::new(),
        failure: None,
    }));
    Ok(())
}

/// The message that REPLACE takes away (RFC 8508 section 3).
fn replaced(s: &ImapSession, replaces: Replaces) -> Result<(Account, MailboxId, u32), No> {
    let selected = s.selected().ok_or_else(not_selected)?;
    expunge::permitted(selected)?;
    if !selected.rights.holds(right::DELETE_MESSAGES) {
        return Err(No::code(Code::NoPerm, Text::NoRightDelete));
    }
    let view = &selected.view;
    let uid = match (replaces.number, replaces.uid) {
        (STAR, _) => view.uid(view.len()),
        (uid, true) => view.seq(uid).map(|_| uid),
        (seq, false) => view.uid(seq),
    };
    let uid = uid.ok_or_else(|| No::code(Code::NonExistent, Text::ReplacedMissing))?;
    Ok((selected.account.clone(), view.mailbox.id, uid))
}

fn message(
    s: &mut ImapSession,
    flags: Flags,
    keywords: Vec<String>,
    received: Option<i64>,
) -> Result<(), No> {
    let body = Incoming::new(&s.app.store);
    let appending = s.append.as_mut().ok_or_else(out_of_order)?;
    let rights = appending.target.rights;
    appending.message = Some(Message {
        // RFC 4314 section 4: flags that the user may not set are left out.
        flags: Flags(flags.0 & changeable(rights)),
        keywords: if rights.holds(right::WRITE) { keywords } else { Vec::new() },
        received: received.unwrap_or_else(unix_now),
        body,
    });
    Ok(())
}

/// So many octets are announced: is there room for them?
fn text(s: &mut ImapSession, bytes: u64) -> Result<(), No> {
    let message_max = s.app.settings.smtp.message_bytes_max;
    let appending = s.append.as_mut().ok_or_else(out_of_order)?;
    let message = appending.message.as_mut().ok_or_else(out_of_order)?;
    message.body.expect(bytes);
    let whole = message.body.len().saturating_add(bytes);
    if whole > message_max {
        return Err(No::code(Code::TooBig, Text::MessageTooBig).with(message_max).with(whole));
    }
    appending.bytes = appending.bytes.saturating_add(bytes);
    if appending.room.is_some_and(|room| appending.bytes > room) {
        return Err(store::account::Refused::OverQuota.into());
    }
    Ok(())
}

async fn data(s: &mut ImapSession, piece: &[u8]) {
    let Some(appending) = &mut s.append else { return };
    let Some(message) = &mut appending.message else { return };
    if appending.failure.is_none()
        && let Err(error) = message.body.write(piece).await
    {
        appending.failure = Some(error.into());
    }
}

async fn message_end(s: &mut ImapSession) {
    let Some(appending) = &mut s.append else { return };
    let Some(message) = appending.message.take() else { return };
    if message.body.is_empty() {
        // RFC 3502 6.3.11: this is how a client takes the command back.
        appending.failure.get_or_insert_with(|| No::plain(Text::NothingTaken));
    }
    appending.waiting.push(message);
    let bytes: u64 = appending.waiting.iter().map(|message| message.body.len()).sum();
    if appending.waiting.len() >= WAITING_MAX || bytes >= WAITING_BYTES_MAX {
        appending.settle().await;
    }
}

async fn end(s: &mut ImapSession) {
    let Some(mut appending) = s.append.take() else {
        return out_of_order().tell(s);
    };
    appending.settle().await;
    let is_replace = appending.replaces.is_some();
    match appending.commit().await {
        Ok(code) => {
            let code = if is_replace {
                // RFC 8508 section 4: before the old message vanishes.
                s.machine.untagged_ok(Some(code), Text::NewMessageHere);
                None
            } else {
                Some(code)
            };
            let expunges = is_replace || s.machine.may_expunge();
            s.announce(expunges).await;
            s.machine.ok(code, if is_replace { Text::Replaced } else { Text::Taken });
        }
        Err(no) => no.tell(s),
    }
}

impl Appending {
    /// Makes the bodies of whole messages durable: they share a sync.
    async fn settle(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        if self.failure.is_some() {
            return;
        }
        let now = unix_now();
        let (heads, bodies): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|message| ((message.flags, message.keywords, message.received), message.body.finish()))
            .unzip();
        for ((flags, keywords, received), body) in heads.into_iter().zip(join_all(bodies).await) {
            match body {
                Ok(letter) => self.done.push(Delivery {
                    mailbox: self.target.mailbox.name.clone(),
                    prefix: Vec::new(),
                    body: letter.body,
                    header_bytes: letter.header_bytes,
                    flags,
                    keywords,
                    gist: letter.gist,
                    received,
                    saved: now,
                    token: None,
                    quota: true,
                }),
                Err(error) => self.failure = Some(error.into()),
            }
        }
    }

    /// Puts all of them in; APPENDUID (RFC 4315 section 3).
    async fn commit(self) -> Result<Code, No> {
        if let Some(no) = self.failure {
            return Err(no);
        }
        let (account, mailbox) = (self.target.account, self.target.mailbox);
        let is_own = |replaces: &(Account, MailboxId, u32)| replaces.0.id() == account.id();
        let within = self.replaces.as_ref().filter(|r| is_own(r)).map(|(_, mailbox, uid)| (*mailbox, *uid));
        let delivered = account.append(self.done, within).await?;
        if let Some((other, mailbox, uid)) = self.replaces.filter(|r| !is_own(r)) {
            // Two accounts are two commits; the new one is there before the old one goes.
            other.expunge(mailbox, &[uid]).await?;
        }
        let uids = Set::of(delivered.iter().map(|delivered| delivered.uid));
        Ok(Code::AppendUid { validity: mailbox.uid_validity, uids })
    }
}

/// CATENATE URL: a part of a message that is here already (RFC 4469).
async fn catenate(s: &mut ImapSession, text_of_url: &str) -> Result<(), No> {
    let bad = || No::code(Code::BadUrl(text_of_url.to_owned()), Text::UrlNothing);
    let url = url::parse(text_of_url).ok_or_else(bad)?;
    let (account, mailbox) = url_mailbox(s, &url).await?.ok_or_else(bad)?;
    let details = account.details(mailbox, vec![url.uid]).await?;
    let detail = details.iter().next().ok_or_else(bad)??;
    let bodies = s.app.store.bodies().clone();
    let gist = section::gist(&bodies, &detail).await?;
    let gist = Gist::read(&gist).ok_or_else(bad)?;
    match section::find(&bodies, &detail, &gist, &url.section, true).await? {
        Part::Nothing => Err(bad()),
        Part::Made(octets) => {
            let octets = section::cut(&octets, url.partial);
            text(s, octets.len() as u64)?;
            data(s, octets).await;
            Ok(())
        }
        Part::Kept(octets) => {
            let octets = octets.partial(url.partial);
            text(s, octets.len())?;
            let mut reader = Reader::new(&bodies, &detail, &octets);
            while let Some(piece) = reader.next().await? {
                data(s, &piece).await;
            }
            Ok(())
        }
    }
}

/// The mailbox of a URL, if the user may read there.
async fn url_mailbox(s: &ImapSession, url: &MessageUrl) -> Result<Option<(Account, MailboxId)>, No> {
    let (account, mailbox, validity) = match &url.mailbox {
        None => match s.selected() {
            Some(selected) => {
                (selected.account.clone(), selected.view.mailbox.id, selected.view.mailbox.uid_validity)
            }
            None => return Ok(None),
        },
        Some(name) => match name::find(s, name).await? {
            Some(found) if found.rights.holds(right::READ) => {
                (found.account, found.mailbox.id, found.mailbox.uid_validity)
            }
            _ => return Ok(None),
        },
    };
    let same = url.uid_validity.is_none_or(|wanted| wanted == validity);
    Ok(same.then_some((account, mailbox)))
}

/// The machine keeps the order of steps; were it broken, the command is refused and nothing else.
fn out_of_order() -> No {
    No::code(Code::ServerBug, Text::Lost)
}
