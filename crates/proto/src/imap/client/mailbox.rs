//! The commands on mailboxes.

use super::Writer;
use super::fetch::items;
use crate::imap::command::{
    Change, Command, List, MailboxFilter, MetadataOptions, Notify, NotifyEvent, NotifyGroup, Qresync, Select,
    StatusItem,
};

pub(super) fn command(w: &mut Writer<'_>, command: &Command) {
    match command {
        Command::Select(which) => select(w, which),
        Command::Create { mailbox, level, uses } => create(w, mailbox, *level, uses),
        Command::Delete(name) => named(w, "DELETE ", name),
        Command::Subscribe(name) => named(w, "SUBSCRIBE ", name),
        Command::Unsubscribe(name) => named(w, "UNSUBSCRIBE ", name),
        Command::GetQuotaRoot(name) => named(w, "GETQUOTAROOT ", name),
        Command::GetAcl(name) => named(w, "GETACL ", name),
        Command::MyRights(name) => named(w, "MYRIGHTS ", name),
        Command::Rename { from, to } => {
            named(w, "RENAME ", from);
            named(w, " ", to);
        }
        Command::List(which) => list(w, which),
        Command::Lsub { reference, pattern } => {
            named(w, "LSUB ", reference);
            named(w, " ", pattern);
        }
        Command::Status { mailbox, items } => {
            named(w, "STATUS ", mailbox);
            w.raw(" ");
            status_items(w, items);
        }
        Command::Notify(which) => notify(w, which),
        Command::GetQuota(root) => {
            w.raw("GETQUOTA ");
            w.string(root.as_bytes());
        }
        Command::SetQuota { root, limits } => {
            w.raw("SETQUOTA ");
            w.string(root.as_bytes());
            w.raw(" ");
            w.list(limits, |w, (resource, limit)| {
                w.raw(resource);
                w.raw(" ");
                w.number(*limit);
            });
        }
        Command::SetAcl { mailbox, identifier, how, rights } => {
            identified(w, "SETACL ", mailbox, identifier);
            let sign = match how {
                Change::Add => "+",
                Change::Remove => "-",
                Change::Replace => "",
            };
            w.raw(" ");
            w.string(format!("{sign}{rights}").as_bytes());
        }
        Command::DeleteAcl { mailbox, identifier } => identified(w, "DELETEACL ", mailbox, identifier),
        Command::ListRights { mailbox, identifier } => identified(w, "LISTRIGHTS ", mailbox, identifier),
        Command::GetMetadata { mailbox, entries, options } => {
            w.raw("GETMETADATA ");
            metadata_options(w, options);
            w.mailbox(mailbox);
            w.raw(" ");
            w.list(entries, |w, entry| w.string(entry.as_bytes()));
        }
        Command::SetMetadata { mailbox, entries } => {
            named(w, "SETMETADATA ", mailbox);
            w.raw(" ");
            w.list(entries, |w, (entry, value)| {
                w.string(entry.as_bytes());
                w.raw(" ");
                w.nstring(value.as_deref());
            });
        }
        // The others were written before this was asked.
        _ => {}
    }
}

/// As in NOTIFY and ESEARCH.
pub(super) fn filter(w: &mut Writer<'_>, filter: &MailboxFilter) {
    let (word, names) = match filter {
        MailboxFilter::Selected => ("selected", None),
        MailboxFilter::SelectedDelayed => ("selected-delayed", None),
        MailboxFilter::Inboxes => ("inboxes", None),
        MailboxFilter::Personal => ("personal", None),
        MailboxFilter::Subscribed => ("subscribed", None),
        MailboxFilter::Subtree(names) => ("subtree", Some(names)),
        MailboxFilter::SubtreeOne(names) => ("subtree-one", Some(names)),
        MailboxFilter::Mailboxes(names) => ("mailboxes", Some(names)),
    };
    w.raw(word);
    if let Some(names) = names {
        w.raw(" ");
        w.list(names, |w, name| w.mailbox(name));
    }
}

fn named(w: &mut Writer<'_>, word: &str, name: &str) {
    w.raw(word);
    w.mailbox(name);
}

fn identified(w: &mut Writer<'_>, word: &str, mailbox: &str, identifier: &str) {
    named(w, word, mailbox);
    w.raw(" ");
    w.string(identifier.as_bytes());
}

fn select(w: &mut Writer<'_>, select: &Select) {
    named(w, if select.read_only { "EXAMINE " } else { "SELECT " }, &select.mailbox);
    if !select.condstore && select.qresync.is_none() {
        return;
    }
    w.raw(" (");
    w.raw(if select.condstore { "CONDSTORE" } else { "" });
    if let Some(state) = &select.qresync {
        w.raw(if select.condstore { " " } else { "" });
        qresync(w, state);
    }
    w.raw(")");
}

fn qresync(w: &mut Writer<'_>, state: &Qresync) {
    w.raw("QRESYNC (");
    w.number(u64::from(state.uid_validity));
    w.raw(" ");
    w.number(state.modseq);
    if let Some(known) = &state.known {
        w.raw(" ");
        known.write(w.out);
    }
    if let Some((numbers, uids)) = &state.matches {
        w.raw(" (");
        numbers.write(w.out);
        w.raw(" ");
        uids.write(w.out);
        w.raw(")");
    }
    w.raw(")");
}

fn create(w: &mut Writer<'_>, mailbox: &str, level: bool, uses: &[String]) {
    let level = if level { "/" } else { "" };
    named(w, "CREATE ", &format!("{mailbox}{level}"));
    if !uses.is_empty() {
        w.raw(" (USE ");
        w.list(uses, |w, each| w.raw(each));
        w.raw(")");
    }
}

fn list(w: &mut Writer<'_>, list: &List) {
    w.raw("LIST ");
    if list.extended {
        w.options(&[
            (list.select_subscribed, "SUBSCRIBED"),
            (list.select_remote, "REMOTE"),
            (list.recursive_match, "RECURSIVEMATCH"),
            (list.select_special_use, "SPECIAL-USE"),
        ]);
        w.raw(" ");
    }
    w.mailbox(&list.reference);
    w.raw(" ");
    match list.patterns.as_slice() {
        [pattern] => w.mailbox(pattern),
        patterns => w.list(patterns, |w, pattern| w.mailbox(pattern)),
    }
    let returns = [
        (list.return_subscribed, "SUBSCRIBED"),
        (list.return_children, "CHILDREN"),
        (list.return_special_use, "SPECIAL-USE"),
        (list.return_my_rights, "MYRIGHTS"),
        (!list.return_status.is_empty(), "STATUS"),
        (list.return_metadata.is_some(), "METADATA"),
    ];
    if returns.iter().any(|(chosen, _)| *chosen) {
        w.raw(" RETURN ");
        w.list(returns.iter().filter(|(chosen, _)| *chosen), |w, (_, word)| {
            w.raw(word);
            match (*word, &list.return_metadata) {
                ("STATUS", _) => {
                    w.raw(" ");
                    status_items(w, &list.return_status);
                }
                ("METADATA", Some((options, entries))) => {
                    w.raw(" ");
                    metadata_options(w, options);
                    w.list(entries, |w, entry| w.string(entry.as_bytes()));
                }
                _ => {}
            }
        });
    }
}

fn status_items(w: &mut Writer<'_>, items: &[StatusItem]) {
    w.list(items, |w, item| {
        w.raw(match item {
            StatusItem::Messages => "MESSAGES",
            StatusItem::Recent => "RECENT",
            StatusItem::UidNext => "UIDNEXT",
            StatusItem::UidValidity => "UIDVALIDITY",
            StatusItem::Unseen => "UNSEEN",
            StatusItem::Deleted => "DELETED",
            StatusItem::Size => "SIZE",
            StatusItem::HighestModSeq => "HIGHESTMODSEQ",
            StatusItem::MailboxId => "MAILBOXID",
            StatusItem::AppendLimit => "APPENDLIMIT",
            StatusItem::DeletedStorage => "DELETED-STORAGE",
        });
    });
}

/// `(MAXSIZE 1024 DEPTH 1) `, or nothing where the options say nothing.
fn metadata_options(w: &mut Writer<'_>, options: &MetadataOptions) {
    if *options == MetadataOptions::default() {
        return;
    }
    w.raw("(DEPTH ");
    w.raw(match options.depth {
        0 => "0",
        1 => "1",
        _ => "infinity",
    });
    if let Some(bytes) = options.bytes_max {
        w.raw(" MAXSIZE ");
        w.number(bytes);
    }
    w.raw(") ");
}

fn notify(w: &mut Writer<'_>, notify: &Notify) {
    let Notify::Set { status, groups } = notify else { return w.raw("NOTIFY NONE") };
    w.raw("NOTIFY SET");
    if *status {
        w.word("STATUS");
    }
    for group in groups {
        w.raw(" ");
        notify_group(w, group);
    }
}

fn notify_group(w: &mut Writer<'_>, group: &NotifyGroup) {
    w.raw("(");
    filter(w, &group.filter);
    if group.events.is_empty() {
        w.raw(" NONE)");
        return;
    }
    w.raw(" ");
    w.list(&group.events, |w, event| match event {
        NotifyEvent::MessageNew(fetch) => {
            w.raw("MessageNew");
            if !fetch.is_empty() {
                w.raw(" ");
                items(w, fetch);
            }
        }
        NotifyEvent::MessageExpunge => w.raw("MessageExpunge"),
        NotifyEvent::FlagChange => w.raw("FlagChange"),
        NotifyEvent::AnnotationChange => w.raw("AnnotationChange"),
        NotifyEvent::MailboxName => w.raw("MailboxName"),
        NotifyEvent::SubscriptionChange => w.raw("SubscriptionChange"),
        NotifyEvent::MailboxMetadataChange => w.raw("MailboxMetadataChange"),
        NotifyEvent::ServerMetadataChange => w.raw("ServerMetadataChange"),
    });
    w.raw(")");
}
