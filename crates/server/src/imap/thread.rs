//! THREAD (RFC 5256): ORDEREDSUBJECT and REFERENCES.

pub(crate) mod forest;
mod references;
mod subject;

use super::no::{No, blocking};
use super::search;
use crate::session::imap::ImapSession;
use net::drive::Wire;
use proto::imap::command::{Search, ThreadBy};
use proto::imap::language::Text;
use proto::machine::Machine as _;
use std::borrow::Cow;
use store::search::ThreadKeys;

/// THREAD and UID THREAD.
pub(crate) async fn thread(s: &mut ImapSession, by: ThreadBy, search: Search, wire: &mut Wire<'_>) {
    let expunges = s.machine.may_expunge();
    s.announce(expunges).await;
    match run(s, by, &search, wire).await {
        Ok(()) => s.machine.ok(None, Text::Threads),
        Err(no) => no.tell(s),
    }
}

/// What threading needs of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message<'a> {
    /// Message-ID, without angle brackets.
    pub(crate) id: Option<Cow<'a, str>>,
    /// Message-IDs that it refers to, oldest first.
    pub(crate) references: Vec<Cow<'a, str>>,
    /// Base subject, folded.
    pub(crate) subject: Cow<'a, str>,
    /// The subject says that it answers or forwards.
    pub(crate) is_reply: bool,
    /// When it was sent, Unix seconds.
    pub(crate) sent: i64,
}

async fn run(s: &mut ImapSession, by: ThreadBy, search: &Search, wire: &mut Wire<'_>) -> Result<(), No> {
    let found = search::find(s, &search.key, wire).await?;
    let open = search::selected(s)?;
    let (account, view) = (open.account.clone(), open.view.clone());
    let uid = search.uid;
    let work = async {
        let columns = account.columns(&view).await?;
        let keys = account.thread_keys(&view).await?;
        let view = view.clone();
        blocking(move || {
            let messages = found.seqs().map(|seq| message(&keys, by, seq, columns.sent(seq)));
            let messages: Vec<Message<'_>> = messages.collect();
            let number = |seq| if uid { view.uid(seq) } else { Some(seq) };
            let numbers: Vec<u32> = found.seqs().filter_map(number).collect();
            let forest = match by {
                ThreadBy::OrderedSubject => subject::thread(&messages),
                ThreadBy::References => references::thread(&messages),
            };
            let mut out = b"* THREAD".to_vec();
            forest.write(&numbers, &mut out);
            out.extend_from_slice(b"\r\n");
            Ok(out)
        })
        .await
    };
    let answer = search::patiently(s, work, wire).await?;
    s.machine.output().extend_from_slice(&answer);
    Ok(())
}

fn message(keys: &ThreadKeys, by: ThreadBy, seq: u32, sent: i64) -> Message<'_> {
    let subject = Cow::Borrowed(keys.subject(seq));
    let is_reply = keys.is_reply(seq);
    match by {
        ThreadBy::OrderedSubject => Message { subject, is_reply, sent, ..Message::default() },
        ThreadBy::References => Message {
            id: keys.message_id(seq).map(Cow::Borrowed),
            references: keys.references(seq).map(Cow::Borrowed).collect(),
            subject,
            is_reply,
            sent,
        },
    }
}
