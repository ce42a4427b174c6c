//! How a command ends: with what changed meanwhile and OK, or with the NO that says why it is not done.
//!
//! Handlers pass a [`No`] up with `?` and the outermost writes it. What must hold: the text says what to do next and
//! shows nothing of the inside; what the operator has to know goes to the log.

use crate::session::imap::ImapSession;
use proto::imap::code::Code;
use proto::imap::language::{Common, Text, Words};
use store::account::{Refused, Why};

/// A refusal: `tag NO [code] text`.
#[derive(Debug)]
pub(crate) struct No {
    /// What was asked has no meaning: BAD in place of NO.
    bad: bool,
    code: Option<Code>,
    text: Key,
    /// What stands in the text's places.
    places: Vec<String>,
    /// What the log has to say.
    cause: Option<store::Error>,
}

/// What a refusal says, in whatever language.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    /// A text of IMAP.
    Imap(Text),
    /// A text that POP3 has too.
    Common(Common),
}

impl From<Text> for Key {
    fn from(text: Text) -> Key {
        Key::Imap(text)
    }
}

impl From<Common> for Key {
    fn from(text: Common) -> Key {
        Key::Common(text)
    }
}

impl No {
    /// With a code of RFC 5530 or of an extension.
    pub(crate) fn code(code: Code, text: impl Into<Key>) -> No {
        No { code: Some(code), ..No::plain(text) }
    }

    /// Without a code.
    pub(crate) fn plain(text: impl Into<Key>) -> No {
        No { bad: false, code: None, text: text.into(), places: Vec::new(), cause: None }
    }

    /// What was asked has no meaning: `tag BAD [code] text`.
    pub(crate) fn bad(code: Option<Code>, text: impl Into<Key>) -> No {
        No { bad: true, code, ..No::plain(text) }
    }

    /// With this in the next place of the text.
    pub(crate) fn with(mut self, place: impl ToString) -> No {
        self.places.push(place.to_string());
        self
    }

    /// There is no such mailbox, or none that the user may know of.
    pub(crate) fn no_mailbox() -> No {
        No::code(Code::NonExistent, Text::NoMailbox)
    }

    /// A session without a login; the gate lets none through.
    pub(crate) fn no_login() -> No {
        No::plain(Text::NotLoggedIn)
    }

    /// For a rule or a limit of the store.
    pub(crate) fn why(code: Code, why: Why) -> No {
        let text = match why {
            Why::NameEmpty => Text::NameEmpty,
            Why::NameTooLong(_) => Text::NameTooLong,
            Why::NameControl => Text::NameControl,
            Why::NameLevelEmpty => Text::NameLevelEmpty,
            Why::NameLevels(_) => Text::NameLevels,
            Why::NoteName => Text::NameOfNote,
            Why::NoteNameBegin => Text::NameOfNoteBegin,
            Why::NoteNameLong => Text::NoteNameLong,
            Why::NoteLong => Text::NoteLong,
            Why::NotesMany => Text::NotesMany,
            Why::Guest => Text::RightsAddress,
            Why::GuestsMany => Text::GuestsMany,
            Why::KeywordLong => Text::KeywordLong,
            Why::KeywordsMany => Text::KeywordsMany,
            Why::MailboxesMany => Text::MailboxesMany,
            Why::SubscriptionsMany => Text::SubscriptionsMany,
            Why::InboxStays => Text::InboxStays,
            Why::InboxName => Text::InboxName,
            Why::BelowItself => Text::BelowItself,
            Why::ReplacedGone => Text::ReplacedGone,
        };
        let no = No::code(code, text);
        match why.most() {
            Some(most) => no.with(most),
            None => no,
        }
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
        let words = self.words(s);
        if self.bad {
            s.machine.bad(self.code, words);
        } else {
            s.machine.no(self.code, words);
        }
    }

    /// Ends APPEND or REPLACE with it, at whatever step.
    pub(crate) fn refuse_append(self, s: &mut ImapSession) {
        if let Some(error) = &self.cause {
            tracing::error!(session = s.origin.id_text(), %error, "message not taken");
        }
        let words = self.words(s);
        s.machine.append_refuse(self.code, words);
    }

    /// The text, in the language of the session where something has its place in it.
    fn words(&self, s: &ImapSession) -> Words<'static> {
        match self.text {
            Key::Imap(text) if self.places.is_empty() => text.into(),
            Key::Imap(text) => s.machine.tongue().say(text, &self.places).into(),
            Key::Common(text) => text.into(),
        }
    }
}

impl From<store::Error> for No {
    fn from(error: store::Error) -> No {
        let text = match &error {
            store::Error::DiskFull => Key::Imap(Text::DiskFull),
            store::Error::Closed => Key::Common(Common::Stopping),
            _ => Key::Imap(Text::Unusable),
        };
        No { cause: Some(error), ..No::code(Code::Unavailable, text) }
    }
}

impl From<Refused> for No {
    fn from(refused: Refused) -> No {
        match refused {
            Refused::OverQuota => No::code(Code::OverQuota, Text::OverQuota),
            Refused::NoAccount => No::code(Code::NonExistent, Text::NoAccount),
            Refused::NoMailbox => No::no_mailbox(),
            Refused::Exists => No::code(Code::AlreadyExists, Text::Exists),
            Refused::BadName(why) | Refused::Cannot(why) => No::why(Code::Cannot, why),
            Refused::Limit(why) => No::why(Code::Limit, why),
            Refused::Store(error) => error.into(),
        }
    }
}

/// Ends a command: with OK after what others changed in the open mailbox, or with its NO.
pub(crate) async fn finish(s: &mut ImapSession, done: Result<Option<Code>, No>, text: Text) {
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
        Err(_) => Err(No::code(Code::Unavailable, Common::Stopping)),
    }
}
