//! How a command ends: with what changed meanwhile and OK, or with the NO that says why it is not done.
//!
//! Handlers pass a [`No`] up with `?` and the outermost writes it. What must hold: the text says what to do next and
//! shows nothing of the inside; what the operator has to know goes to the log.

use crate::session::imap::ImapSession;
use proto::imap::code::Code;
use std::borrow::Cow;
use store::account::Refused;

/// A refusal: `tag NO [code] text`.
#[derive(Debug)]
pub(crate) struct No {
    /// What was asked has no meaning: BAD in place of NO.
    bad: bool,
    code: Option<Code>,
    text: Cow<'static, str>,
    /// What the log has to say.
    cause: Option<store::Error>,
}

impl No {
    /// With a code of RFC 5530 or of an extension.
    pub(crate) fn code(code: Code, text: impl Into<Cow<'static, str>>) -> No {
        No { bad: false, code: Some(code), text: text.into(), cause: None }
    }

    /// Without a code.
    pub(crate) fn plain(text: impl Into<Cow<'static, str>>) -> No {
        No { bad: false, code: None, text: text.into(), cause: None }
    }

    /// What was asked has no meaning: `tag BAD [code] text`.
    pub(crate) fn bad(code: Option<Code>, text: impl Into<Cow<'static, str>>) -> No {
        No { bad: true, code, text: text.into(), cause: None }
    }

    /// There is no such mailbox, or none that the user may know of.
    pub(crate) fn no_mailbox() -> No {
        No::code(Code::NonExistent, "There is no such mailbox")
    }

    /// A session without a login; the gate lets none through.
    pub(crate) fn no_login() -> No {
        No::plain("Log in first")
    }

    /// It is BAD.
    pub(crate) fn is_bad(&self) -> bool {
        self.bad
    }

    /// Tells the log alone: no command is under way.
    pub(crate) fn log(&self, s: &ImapSession) {
        if let Some(error) = &self.cause {
            tracing::error!(session = s.origin.id_text(), %error, "not done");
        }
    }

    /// Answers the command with it.
    pub(crate) fn tell(self, s: &mut ImapSession) {
        self.log(s);
        if self.bad {
            s.machine.bad(self.code, &self.text);
        } else {
            s.machine.no(self.code, &self.text);
        }
    }

    /// Ends APPEND or REPLACE with it, at whatever step.
    pub(crate) fn refuse_append(self, s: &mut ImapSession) {
        if let Some(error) = &self.cause {
            tracing::error!(session = s.origin.id_text(), %error, "message not taken");
        }
        s.machine.append_refuse(self.code, &self.text);
    }
}

impl From<store::Error> for No {
    fn from(error: store::Error) -> No {
        let text = match &error {
            store::Error::DiskFull => "There is no room on the server now, try again later",
            store::Error::Closed => "The service is stopping, try again later",
            _ => "The mailboxes cannot be used now, try again later",
        };
        No { bad: false, code: Some(Code::Unavailable), text: text.into(), cause: Some(error) }
    }
}

impl From<Refused> for No {
    fn from(refused: Refused) -> No {
        match refused {
            Refused::OverQuota => {
                No::code(Code::OverQuota, "The quota is used up: delete messages and empty the trash first")
            }
            Refused::NoAccount => No::code(Code::NonExistent, "There is no such account any more"),
            Refused::NoMailbox => No::no_mailbox(),
            Refused::Exists => No::code(Code::AlreadyExists, "There is a mailbox of that name already"),
            Refused::BadName(why) => No::code(Code::Cannot, sentence("This cannot be a name: ", why)),
            Refused::Limit(why) => No::code(Code::Limit, sentence("", why)),
            Refused::Cannot(why) => No::code(Code::Cannot, sentence("", why)),
            Refused::Store(error) => error.into(),
        }
    }
}

/// A clause of the store's as a sentence.
fn sentence(before: &str, clause: &str) -> String {
    if !before.is_empty() {
        return format!("{before}{clause}");
    }
    let mut letters = clause.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Ends a command: with OK after what others changed in the open mailbox, or with its NO.
pub(crate) async fn finish(s: &mut ImapSession, done: Result<Option<Code>, No>, text: &str) {
    match done {
        Ok(code) => {
            let expunges = s.machine.may_expunge();
            s.announce(expunges).await;
            s.machine.ok(code, text);
        }
        Err(no) => no.tell(s),
    }
}

/// Runs what waits for the disk on a thread that may.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, No>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, store::Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(No::from),
        // Cancelled by the end of the runtime, or a panic that has been reported.
        Err(_) => Err(No::code(Code::Unavailable, "The service is stopping, try again later")),
    }
}
