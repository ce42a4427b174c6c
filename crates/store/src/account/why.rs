//! Which rule or limit a change would break, as a value: whoever speaks to people says it in their language.

use super::{
    ACL_IDENTIFIERS_MAX, Flags, MAILBOXES_MAX, NOTE_BYTES_MAX, NOTE_NAME_BYTES_MAX, NOTES_MAX,
    SUBSCRIPTIONS_MAX,
};
use std::fmt;

/// What [`super::Refused`] says of names, limits and what is bound to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A name of no octets.
    NameEmpty,
    /// A name over its limit, in octets.
    NameTooLong(usize),
    /// A control character in a name.
    NameControl,
    /// `/` at an end of a name, or twice in a row.
    NameLevelEmpty,
    /// More levels than may be.
    NameLevels(usize),
    /// No name of a note.
    NoteName,
    /// A note's name without its scope.
    NoteNameBegin,
    /// A note's name over [`NOTE_NAME_BYTES_MAX`].
    NoteNameLong,
    /// A note over [`NOTE_BYTES_MAX`].
    NoteLong,
    /// Over [`NOTES_MAX`].
    NotesMany,
    /// Rights for nobody that can have any.
    Guest,
    /// Over [`ACL_IDENTIFIERS_MAX`].
    GuestsMany,
    /// A keyword over [`Flags::KEYWORD_BYTES_MAX`].
    KeywordLong,
    /// Over [`Flags::KEYWORDS_MAX`].
    KeywordsMany,
    /// Over [`MAILBOXES_MAX`].
    MailboxesMany,
    /// Over [`SUBSCRIPTIONS_MAX`].
    SubscriptionsMany,
    /// INBOX cannot be removed.
    InboxStays,
    /// INBOX cannot be renamed so.
    InboxName,
    /// A mailbox below itself.
    BelowItself,
    /// What is to be replaced is gone.
    ReplacedGone,
}

impl Why {
    /// The limit, where it is one.
    #[must_use]
    pub fn most(self) -> Option<u64> {
        let most = match self {
            Why::NameTooLong(most) | Why::NameLevels(most) => most,
            Why::NoteNameLong => NOTE_NAME_BYTES_MAX,
            Why::NoteLong => NOTE_BYTES_MAX,
            Why::NotesMany => NOTES_MAX,
            Why::GuestsMany => ACL_IDENTIFIERS_MAX,
            Why::KeywordLong => Flags::KEYWORD_BYTES_MAX,
            Why::KeywordsMany => Flags::KEYWORDS_MAX,
            Why::MailboxesMany => return Some(MAILBOXES_MAX.into()),
            Why::SubscriptionsMany => SUBSCRIPTIONS_MAX as usize,
            Why::NameEmpty
            | Why::NameControl
            | Why::NameLevelEmpty
            | Why::NoteName
            | Why::NoteNameBegin
            | Why::Guest
            | Why::InboxStays
            | Why::InboxName
            | Why::BelowItself
            | Why::ReplacedGone => return None,
        };
        Some(most as u64)
    }
}

/// A clause in English, for operators and logs.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.most().unwrap_or_default();
        match self {
            Why::NameEmpty => f.write_str("the name is empty"),
            Why::NameTooLong(_) => write!(f, "the name is too long; {most} octets are allowed"),
            Why::NameControl => f.write_str("the name has control characters"),
            Why::NameLevelEmpty => f.write_str("the name has an empty level: a / at an end, or two in a row"),
            Why::NameLevels(_) => write!(f, "the name has too many levels; {most} are allowed"),
            Why::NoteName => f.write_str("that is not the name of a note"),
            Why::NoteNameBegin => f.write_str("the name of a note begins with /shared/ or /private/"),
            Why::NoteNameLong => write!(f, "the name of a note has {most} octets at most"),
            Why::NoteLong => write!(f, "a note has {most} octets at most"),
            Why::NotesMany => write!(f, "a mailbox has {most} notes at most"),
            Why::Guest => f.write_str("rights are given to a full address, or to anyone"),
            Why::GuestsMany => write!(f, "a mailbox is shared with {most} others at most"),
            Why::KeywordLong => write!(f, "a keyword has {most} octets at most"),
            Why::KeywordsMany => write!(f, "a mailbox has {most} keywords at most"),
            Why::MailboxesMany => write!(f, "an account has {most} mailboxes at most"),
            Why::SubscriptionsMany => write!(f, "an account has {most} subscriptions at most"),
            Why::InboxStays => f.write_str("INBOX cannot be removed"),
            Why::InboxName => f.write_str("INBOX keeps its name"),
            Why::BelowItself => f.write_str("a mailbox cannot be moved below itself"),
            Why::ReplacedGone => f.write_str("the message to be replaced is gone"),
        }
    }
}
