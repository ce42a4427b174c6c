//! NOTIFY (RFC 5465): what a session is told unasked, of the open mailbox and of others.
//!
//! A session that asked for it waits for commits of the accounts that its groups reach. Of the open mailbox it is told by
//! `announce`, at once; of the others by comparing their rows with those that it was told of, at most once in
//! `LOOK_INTERVAL`. A client that names no group for the open mailbox, or says NONE, is told nothing of it by NOOP, CHECK and IDLE
//! (section 3.1, section 4); other commands go on to announce what changed, because numbers in their answers depend on it.
//!
//! Limits: `MAILBOXES_WATCHED_MAX` mailboxes, `NOTES_WATCHED_MAX` notes and `ACCOUNTS_WATCHED_MAX` accounts; beyond, the session is told
//! NOTIFICATIONOVERFLOW and it is as after NOTIFY NONE (section 5.8): nothing is told unasked.
//!
//! Not here: AnnotationChange (there are no annotations of messages), which is answered BADEVENT.

mod state;

use super::announce::{self, Known};
use super::no::{No, blocking};
use super::{list, multisearch, status};
use crate::session::FLUSH_BYTES;
use crate::session::imap::{ImapSession, User};
use net::drive::{Next, Wire};
use proto::imap::code::Code;
use proto::imap::command::{Fetch, FetchItem, MailboxFilter, Notify, NotifyEvent, NotifyGroup, StatusItem};
use proto::imap::encode;
use proto::imap::language::Text;
use proto::imap::set::{Set, SetOrSaved};
use proto::machine::Machine as _;
use proto::proof::AccountId;
use state::{Change, Look, Plan, Seen};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;
use store::account::Watch;
use tokio::time::Instant;

/// Mailboxes that one session is told of.
const MAILBOXES_WATCHED_MAX: usize = 2000;
/// Notes whose changes one session is told of.
const NOTES_WATCHED_MAX: usize = 2000;
/// Accounts that one session waits for.
const ACCOUNTS_WATCHED_MAX: usize = 64;
/// Between two looks at mailboxes that are not open.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// What a client asked to be told.
#[derive(Debug)]
pub(crate) struct Registered {
    plan: Plan,
    seen: Seen,
    /// Of the own account, of the open mailbox's, and of those that share what a group names.
    watches: Vec<(AccountId, Watch)>,
    /// Something was committed since the last look.
    due: bool,
    /// The next look is not before.
    not_before: Instant,
}

impl Registered {
    /// NOTIFY NONE: nothing is of interest.
    fn none() -> Registered {
        let (plan, seen) = (Plan::default(), Seen::default());
        Registered { plan, seen, watches: Vec::new(), due: false, not_before: Instant::now() }
    }
}

/// NOTIFY.
pub(crate) async fn notify(s: &mut ImapSession, notify: Notify, wire: &mut Wire<'_>) {
    let (status, groups) = match notify {
        Notify::None => {
            set(s, Registered::none());
            return s.machine.ok(None, Text::NotifyNone);
        }
        Notify::Set { status, groups } => (status, groups),
    };
    let before = s.user.as_deref_mut().map(|user| (user.notify.take(), user.watch.take()));
    match register(s, status, groups, wire).await {
        Ok(()) => {
            // What has gathered is told as NOOP would (section 3.1); what comes from now on is new.
            let expunges = s.machine.may_expunge();
            s.announce(expunges).await;
            if let Some(open) = s.user.as_deref_mut().and_then(|user| user.selected.as_mut()) {
                open.next_to_show = open.view.mailbox.uid_next;
            }
            s.machine.ok(None, Text::NotifySet);
        }
        Err(no) => {
            // RFC 5465 section 3.1: only a successful one takes the place of the one before.
            if let (Some(user), Some((notify, watch))) = (s.user.as_deref_mut(), before) {
                (user.notify, user.watch) = (notify, watch);
            }
            no.tell(s);
        }
    }
}

/// Does NOOP or IDLE tell of the open mailbox? Without NOTIFY it does; with it, if the client asked for that (section 3.1: no group
/// is the same as SELECTED NONE; section 4: IDLE tells exactly what NOTIFY says).
pub(crate) fn tells_of_open(s: &ImapSession) -> bool {
    let registered = s.user.as_deref().and_then(|user| user.notify.as_deref());
    registered.is_none_or(|registered| registered.plan.open.is_some())
}

/// The session has used NOTIFY.
pub(crate) fn is_on(s: &ImapSession) -> bool {
    s.user.as_deref().is_some_and(|user| user.notify.is_some())
}

/// Resolves when there may be something to tell. Cancel-safe. For a session with NOTIFY.
pub(crate) async fn changed(user: &mut User) {
    let open = user.selected.as_ref().map(|open| open.account.clone());
    let Some(registered) = user.notify.as_deref_mut() else { return std::future::pending().await };
    if registered.plan.is_empty() {
        return std::future::pending().await;
    }
    if let Some(open) = open
        && !registered.watches.iter().any(|(id, _)| *id == open.id())
    {
        // What was committed before this watch is seen by a look now.
        registered.watches.push((open.id(), open.watch()));
        registered.due = true;
        return;
    }
    let Registered { watches, due, not_before, .. } = registered;
    let rung = poll_fn(|cx| {
        let mut any = false;
        for (_, watch) in watches.iter_mut() {
            any |= watch.poll_changed(cx).is_ready();
        }
        if any { Poll::Ready(()) } else { Poll::Pending }
    });
    if *due {
        // A look is waiting for its time; commits meanwhile may concern the open mailbox.
        tokio::select! {
            biased;
            () = rung => {}
            () = tokio::time::sleep_until(*not_before) => {}
        }
    } else {
        rung.await;
        *due = true;
    }
}

/// Writes what is due.
pub(crate) async fn tell(s: &mut ImapSession, wire: &mut Wire<'_>) -> Next {
    if tell_open(s, wire).await.is_err() {
        return Next::Close;
    }
    let Some(registered) = s.user.as_deref_mut().and_then(|user| user.notify.as_deref_mut()) else {
        return Next::Go;
    };
    if !registered.due || Instant::now() < registered.not_before {
        return Next::Go;
    }
    registered.due = false;
    registered.not_before = Instant::now() + LOOK_INTERVAL;
    if let Err(no) = tell_others(s, wire).await {
        no.log(s);
    }
    Next::Go
}

/// The open mailbox: by its own group, or not at all.
async fn tell_open(s: &mut ImapSession, wire: &mut Wire<'_>) -> Result<(), announce::Gone> {
    let idles = s.machine.is_idling();
    let Some(user) = s.user.as_deref() else { return Ok(()) };
    let (Some(_), Some(registered)) = (&user.selected, &user.notify) else { return Ok(()) };
    let (expunges, fetch) = match &registered.plan.open {
        Some(group) => (!group.delayed || idles, group.fetch.clone()),
        None => return Ok(()),
    };
    announce::tell(s, expunges, &Known::default(), Some(wire)).await?;
    let Some(open) = s.user.as_deref_mut().and_then(|user| user.selected.as_mut()) else { return Ok(()) };
    let last = open.view.last_uid();
    // Those that a command announced are among them (section 5.2).
    let next = std::mem::replace(&mut open.next_to_show, open.view.mailbox.uid_next);
    if !fetch.is_empty() && last >= next {
        let set = SetOrSaved::Set(Set(vec![(next, last)]));
        let fetch =
            Fetch { uid: true, set, items: fetch, changed_since: None, vanished: false, partial: None };
        super::fetch::untagged(s, &fetch, wire).await?;
    }
    Ok(())
}

/// Mailboxes that are not open: what differs from what the client was told.
async fn tell_others(s: &mut ImapSession, wire: &mut Wire<'_>) -> Result<(), No> {
    let look = look(s).await?;
    let Some(registered) = s.user.as_deref_mut().and_then(|user| user.notify.as_deref_mut()) else {
        return Ok(());
    };
    if !watch_all(registered, &look) || look.is_too_much() {
        overflow(s);
        return Ok(());
    }
    let changes = registered.seen.compare(&look, &registered.plan);
    registered.seen = Seen::of(look);
    for change in changes {
        write(s, &change).await?;
        if s.machine.output().len() >= FLUSH_BYTES && wire.flush(s.machine.output()).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn register(
    s: &mut ImapSession,
    status: bool,
    groups: Vec<NotifyGroup>,
    wire: &mut Wire<'_>,
) -> Result<(), No> {
    let plan = Plan::of(groups)?;
    let user = s.user.as_deref_mut().ok_or_else(No::no_login)?;
    let watches = vec![(user.account.id(), user.account.watch())];
    set(s, Registered { plan, watches, ..Registered::none() });
    let look = look(s).await?;
    let Some(registered) = s.user.as_deref_mut().and_then(|user| user.notify.as_deref_mut()) else {
        return Ok(());
    };
    if !watch_all(registered, &look) || look.is_too_much() {
        // RFC 5465 section 3.1.
        let text = Text::NotifyMany;
        return Err(No::code(Code::NotificationOverflow, text));
    }
    let mut states = registered.plan.closed(&look);
    if status {
        states.extend(registered.plan.states(&look));
    }
    registered.seen = Seen::of(look);
    for state in states {
        write(s, &state).await?;
        if s.machine.output().len() >= FLUSH_BYTES && wire.flush(s.machine.output()).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn set(s: &mut ImapSession, registered: Registered) {
    if let Some(user) = s.user.as_deref_mut() {
        user.notify = Some(Box::new(registered));
        // The watches of a registration take its place.
        user.watch = None;
    }
}

/// Too much to keep an eye on (section 5.8).
fn overflow(s: &mut ImapSession) {
    set(s, Registered::none());
    s.machine.untagged_ok(Some(Code::NotificationOverflow), Text::NotifyOverflow);
}

/// Waits for the accounts of all mailboxes from now on; false: they are too many.
fn watch_all(registered: &mut Registered, look: &Look) -> bool {
    for one in &look.mailboxes {
        let account = &one.found.account;
        if !registered.watches.iter().any(|(id, _)| *id == account.id()) {
            registered.watches.push((account.id(), account.watch()));
            registered.due = true;
        }
    }
    registered.watches.len() <= ACCOUNTS_WATCHED_MAX
}

/// The mailboxes of the groups as they are now.
async fn look(s: &ImapSession) -> Result<Look, No> {
    let seeker = super::name::Seeker::of(s)?;
    let user = s.user.as_deref().ok_or_else(No::no_login)?;
    let whose = user.who.account();
    let open = user.selected.as_ref().map(|open| (open.account.id(), open.view.mailbox.id));
    let Some(registered) = &user.notify else { return Ok(Look::default()) };
    let plan = registered.plan.clone();
    blocking(move || Look::now(&seeker, &plan, whose, open)).await
}

async fn write(s: &mut ImapSession, change: &Change) -> Result<(), No> {
    let utf8 = s.machine.enabled().utf8_names();
    let rev2 = s.machine.enabled().rev2;
    match change {
        Change::Messages { name, found } => {
            let mut items =
                vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity, StatusItem::Unseen];
            if s.machine.enabled().condstore {
                items.push(StatusItem::HighestModSeq);
            }
            return status::write(s, name, found, &items).await;
        }
        Change::Name { name, attributes, old } => {
            let mut more = Vec::new();
            if let Some(old) = old {
                more.extend_from_slice(b"\"OLDNAME\" (");
                encode::mailbox(old, utf8 || rev2, &mut more);
                more.push(b')');
            }
            list::line("LIST", attributes, name, &more, utf8, s.machine.output());
        }
        Change::Notes { name, entries } => {
            let out = s.machine.output();
            out.extend_from_slice(b"* METADATA ");
            encode::mailbox(name, utf8, out);
            for entry in entries {
                out.push(b' ');
                encode::astring(entry.as_bytes(), utf8, out);
            }
            out.extend_from_slice(b"\r\n");
        }
    }
    Ok(())
}

/// Items of MessageNew, none of which sets `\Seen` (section 5.2).
fn quiet(items: &[FetchItem]) -> Vec<FetchItem> {
    let mut items = items.to_vec();
    for item in &mut items {
        if let FetchItem::Section { peek, .. } | FetchItem::Binary { peek, .. } = item {
            *peek = true;
        }
    }
    items
}

/// Is it about messages? Only such events may be asked of the open mailbox.
fn is_of_messages(event: &NotifyEvent) -> bool {
    matches!(event, NotifyEvent::MessageNew(_) | NotifyEvent::MessageExpunge | NotifyEvent::FlagChange)
}

fn is_open(filter: &MailboxFilter) -> bool {
    matches!(filter, MailboxFilter::Selected | MailboxFilter::SelectedDelayed)
}
