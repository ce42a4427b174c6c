//! THREAD (RFC 5256): ORDEREDSUBJECT and REFERENCES.

pub(crate) mod forest;
mod references;
mod subject;

use super::facts;
use super::no::{No, blocking};
use super::search;
use crate::session::imap::ImapSession;
use net::drive::Wire;
use proto::imap::command::{Search, ThreadBy};
use proto::machine::Machine as _;
use proto::message::gist::Gist;
use proto::message::text::{base_subject, fold};

/// THREAD and UID THREAD.
pub(crate) async fn thread(s: &mut ImapSession, by: ThreadBy, search: Search, wire: &mut Wire<'_>) {
    let expunges = s.machine.may_expunge();
    s.announce(expunges).await;
    match run(s, by, &search, wire).await {
        Ok(()) => s.machine.ok(None, "Those are the threads"),
        Err(no) => no.tell(s),
    }
}

/// What threading needs of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// Message-ID, without angle brackets.
    pub(crate) id: Option<Box<str>>,
    /// Message-IDs that it refers to, oldest first.
    pub(crate) references: Vec<Box<str>>,
    /// Base subject, folded.
    pub(crate) subject: Box<str>,
    /// The subject says that it answers or forwards.
    pub(crate) is_reply: bool,
    /// When it was sent, Unix seconds.
    pub(crate) sent: i64,
}

async fn run(s: &mut ImapSession, by: ThreadBy, search: &Search, wire: &mut Wire<'_>) -> Result<(), No> {
    let found = search::find(s, &search.key, wire).await?;
    let open = search::selected(s)?;
    let (account, view) = (open.account.clone(), open.view.clone());
    let seqs: Vec<u32> = found.seqs().collect();
    let work = async {
        let columns = account.columns(&view).await?;
        let take = |gist: &Gist<'_>| message(gist, by);
        let mut messages = facts::of_each(&account, &view, &seqs, take).await?;
        for (message, seq) in messages.iter_mut().zip(&seqs) {
            message.sent = columns.sent(*seq);
        }
        let numbers: Vec<u32> =
            if search.uid { seqs.iter().filter_map(|seq| view.uid(*seq)).collect() } else { seqs.clone() };
        blocking(move || {
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

fn message(gist: &Gist<'_>, by: ThreadBy) -> Message {
    let (subject, is_reply) = base_subject(&gist.subject());
    let subject = fold(&subject).into();
    match by {
        ThreadBy::OrderedSubject => Message { subject, is_reply, ..Message::default() },
        ThreadBy::References => Message {
            id: gist.message_id().map(Box::from),
            references: gist.references().map(Box::from).collect(),
            subject,
            is_reply,
            sent: 0,
        },
    }
}
