//! STATUS (RFC 9051 6.3.11, RFC 8438, 7162, 8474, 7889, 9208): counters of the mailbox's row, no view is opened but a guest's.

use super::name::{self, Found, right};
use super::no::{No, finish};
use crate::session::imap::ImapSession;
use proto::imap::command::StatusItem;
use proto::imap::encode;
use proto::imap::language::Text;
use proto::machine::Machine as _;
use std::borrow::Cow;

/// STATUS.
pub(crate) async fn status(s: &mut ImapSession, mailbox: String, items: Vec<StatusItem>) {
    let done = answer(s, &mailbox, &items).await;
    finish(s, done.map(|()| None), Text::Status).await;
}

async fn answer(s: &mut ImapSession, mailbox: &str, items: &[StatusItem]) -> Result<(), No> {
    let found = name::need(s, mailbox, right::READ).await?;
    write(s, mailbox, &found, items).await
}

/// `* STATUS name (...)`, also for LIST RETURN STATUS and NOTIFY.
pub(crate) async fn write(
    s: &mut ImapSession,
    name: &str,
    found: &Found,
    items: &[StatusItem],
) -> Result<(), No> {
    let (account, mut mailbox) = (&found.account, Cow::Borrowed(&found.mailbox));
    if account.is_guests() && items.contains(&StatusItem::Unseen) {
        // The row counts for its owner; what a guest has seen, their view knows.
        if let Some(view) = account.open(mailbox.id).await? {
            mailbox = Cow::Owned(view.mailbox.clone());
        }
    }
    if items.contains(&StatusItem::HighestModSeq) {
        // Asking for it is using CONDSTORE (RFC 7162 3.1).
        super::select::enable_condstore(s);
    }
    let append_bytes_max = s.app.settings.smtp.message_bytes_max;
    let utf8 = s.machine.enabled().utf8_names();
    let out = s.machine.output();
    out.extend_from_slice(b"* STATUS ");
    encode::mailbox(name, utf8, out);
    out.extend_from_slice(b" (");
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        let (word, value): (&str, u64) = match item {
            StatusItem::Messages => ("MESSAGES", mailbox.messages.into()),
            StatusItem::Recent => ("RECENT", 0),
            StatusItem::UidNext => ("UIDNEXT", mailbox.uid_next.into()),
            StatusItem::UidValidity => ("UIDVALIDITY", mailbox.uid_validity.into()),
            StatusItem::Unseen => ("UNSEEN", mailbox.unseen.into()),
            StatusItem::Deleted => ("DELETED", mailbox.deleted.into()),
            StatusItem::Size => ("SIZE", mailbox.bytes),
            // An empty mailbox has no change yet, and MODSEQs are positive (RFC 7162 3.1.2.1).
            StatusItem::HighestModSeq => ("HIGHESTMODSEQ", mailbox.modseq.max(1)),
            StatusItem::AppendLimit => ("APPENDLIMIT", append_bytes_max),
            StatusItem::DeletedStorage => ("DELETED-STORAGE", mailbox.deleted_bytes),
            StatusItem::MailboxId => {
                let id = name::mailbox_id(account, mailbox.id);
                out.extend_from_slice(format!("MAILBOXID ({id})").as_bytes());
                continue;
            }
        };
        out.extend_from_slice(word.as_bytes());
        out.push(b' ');
        encode::number(value, out);
    }
    out.extend_from_slice(b")\r\n");
    Ok(())
}
