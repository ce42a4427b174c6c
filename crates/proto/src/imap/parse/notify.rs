//! Arguments of NOTIFY (RFC 5465), and the sets of mailboxes that ESEARCH (RFC 7377) shares with it.

use super::Fault;
use super::cursor::{Cursor, add_once};
use super::fetch;
use crate::imap::command::{Command, MailboxFilter, Notify, NotifyEvent, NotifyGroup};
use crate::imap::language::Text;

/// Event groups of one NOTIFY: each is looked at for each change in any mailbox.
pub const NOTIFY_GROUPS_MAX: usize = 100;

/// Mailboxes that one filter names.
pub const FILTER_MAILBOXES_MAX: usize = 1000;

/// Events of one group.
const EVENTS_MAX: usize = 16;

/// NOTIFY NONE, or NOTIFY SET with its groups.
pub(super) fn notify(c: &mut Cursor<'_>) -> Result<Command, Fault> {
    match c.word().as_bytes() {
        b"NONE" => return Ok(Command::Notify(Notify::None)),
        b"SET" => {}
        _ => return Err(Fault::Syntax("expected NONE or SET")),
    }
    c.space()?;
    let status = c.eat_word(b"STATUS");
    if status {
        c.space()?;
    }
    let mut groups = Vec::new();
    loop {
        groups.push(group(c)?);
        if groups.len() > NOTIFY_GROUPS_MAX {
            return Err(Fault::Limit(Text::EventGroupsTooMany));
        }
        if c.is_end() {
            break;
        }
        // The examples of RFC 5465 have groups without a space between.
        c.skip_spaces();
    }
    let selected =
        |g: &&NotifyGroup| matches!(g.filter, MailboxFilter::Selected | MailboxFilter::SelectedDelayed);
    if groups.iter().filter(selected).count() > 1 {
        return Err(Fault::Syntax("expected only one of selected and selected-delayed"));
    }
    Ok(Command::Notify(Notify::Set { status, groups }))
}

/// Which mailboxes; `search`: as the source of ESEARCH, which has no selected-delayed.
pub(super) fn filter(c: &mut Cursor<'_>, search: bool) -> Result<MailboxFilter, Fault> {
    Ok(match c.word().as_bytes() {
        b"SELECTED" => MailboxFilter::Selected,
        b"SELECTED-DELAYED" if !search => MailboxFilter::SelectedDelayed,
        b"INBOXES" => MailboxFilter::Inboxes,
        b"PERSONAL" => MailboxFilter::Personal,
        b"SUBSCRIBED" => MailboxFilter::Subscribed,
        b"SUBTREE" => MailboxFilter::Subtree(mailboxes(c)?),
        b"SUBTREE-ONE" => MailboxFilter::SubtreeOne(mailboxes(c)?),
        b"MAILBOXES" => MailboxFilter::Mailboxes(mailboxes(c)?),
        _ => {
            return Err(Fault::Syntax(
                "expected selected, inboxes, personal, subscribed, subtree, subtree-one or mailboxes",
            ));
        }
    })
}

/// One name, or names in parentheses.
fn mailboxes(c: &mut Cursor<'_>) -> Result<Vec<String>, Fault> {
    c.space()?;
    if c.peek() != Some(b'(') {
        return Ok(vec![c.mailbox()?]);
    }
    let mut names = Vec::new();
    c.list("expected names of mailboxes", |c| {
        names.push(c.mailbox()?);
        if names.len() > FILTER_MAILBOXES_MAX { Err(Fault::Limit(Text::FilterTooMany)) } else { Ok(()) }
    })?;
    if names.is_empty() { Err(Fault::Syntax("expected at least one name of a mailbox")) } else { Ok(names) }
}

/// `(filter (event event))` or `(filter NONE)`. The examples of RFC 5465 leave out the inner
/// parentheses in places, so they may be left out.
fn group(c: &mut Cursor<'_>) -> Result<NotifyGroup, Fault> {
    c.expect(b'(', "expected an event group such as (personal (MessageNew MessageExpunge))")?;
    c.skip_spaces();
    let filter = filter(c, false)?;
    c.space()?;
    let mut events = Vec::new();
    if c.peek() == Some(b'(') {
        c.list("expected events in parentheses", |c| event_into(c, &filter, &mut events))?;
    } else if !c.eat_word(b"NONE") {
        while !matches!(c.peek(), Some(b')') | None) {
            event_into(c, &filter, &mut events)?;
            c.skip_spaces();
        }
    }
    c.skip_spaces();
    c.expect(b')', "expected the end of the event group")?;
    check(&filter, &events)?;
    Ok(NotifyGroup { filter, events })
}

fn event_into(
    c: &mut Cursor<'_>,
    filter: &MailboxFilter,
    events: &mut Vec<NotifyEvent>,
) -> Result<(), Fault> {
    add_once(events, event(c, filter)?);
    if events.len() > EVENTS_MAX { Err(Fault::Limit(Text::EventsTooMany)) } else { Ok(()) }
}

fn event(c: &mut Cursor<'_>, filter: &MailboxFilter) -> Result<NotifyEvent, Fault> {
    let word = c.word();
    Ok(match word.as_bytes() {
        b"MESSAGENEW" => NotifyEvent::MessageNew(message_items(c, filter)?),
        b"MESSAGEEXPUNGE" => NotifyEvent::MessageExpunge,
        b"FLAGCHANGE" => NotifyEvent::FlagChange,
        b"ANNOTATIONCHANGE" => NotifyEvent::AnnotationChange,
        b"MAILBOXNAME" => NotifyEvent::MailboxName,
        b"SUBSCRIPTIONCHANGE" => NotifyEvent::SubscriptionChange,
        b"MAILBOXMETADATACHANGE" => NotifyEvent::MailboxMetadataChange,
        b"SERVERMETADATACHANGE" => NotifyEvent::ServerMetadataChange,
        b"" => return Err(Fault::Syntax("expected the name of an event such as MessageNew")),
        // RFC 5465 section 5: NO with BADEVENT, not BAD.
        _ => return Err(Fault::Event),
    })
}

/// `MessageNew (uid flags)`: what to tell of a message that has come.
fn message_items(
    c: &mut Cursor<'_>,
    filter: &MailboxFilter,
) -> Result<Vec<crate::imap::command::FetchItem>, Fault> {
    let mut ahead = c.clone();
    ahead.skip_spaces();
    if ahead.peek() != Some(b'(') {
        return Ok(Vec::new());
    }
    if !matches!(filter, MailboxFilter::Selected | MailboxFilter::SelectedDelayed) {
        return Err(Fault::Syntax("expected data items of MessageNew only for the selected mailbox"));
    }
    *c = ahead;
    fetch::item_list(c)
}

/// What RFC 5465 5.1 to 5.3 and its grammar ask of a group's events.
fn check(filter: &MailboxFilter, events: &[NotifyEvent]) -> Result<(), Fault> {
    let new = events.iter().any(|event| matches!(event, NotifyEvent::MessageNew(_)));
    let expunge = events.contains(&NotifyEvent::MessageExpunge);
    let changes = events.iter().any(|e| matches!(e, NotifyEvent::FlagChange | NotifyEvent::AnnotationChange));
    if new != expunge {
        return Err(Fault::Syntax("expected MessageNew and MessageExpunge together"));
    }
    if changes && !new {
        return Err(Fault::Syntax("expected MessageNew and MessageExpunge together with FlagChange"));
    }
    let of_messages = |event: &NotifyEvent| {
        use NotifyEvent::{AnnotationChange, FlagChange, MessageExpunge, MessageNew};
        matches!(event, MessageNew(_) | MessageExpunge | FlagChange | AnnotationChange)
    };
    let selected = matches!(filter, MailboxFilter::Selected | MailboxFilter::SelectedDelayed);
    if selected && !events.iter().all(of_messages) {
        return Err(Fault::Syntax("expected only events of messages for the selected mailbox"));
    }
    Ok(())
}
