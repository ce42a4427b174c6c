//! POP3 (RFC 1939 and its extensions).
//!
//! `server` is the server's machine, `client` ours (for the doctor and tests),
//! `gate` the table of commands, `codec` the bytes, `language` the machine's texts.

use crate::login::{self, Turn};

/// What the server's session has to do. All but those marked *answered* stop
/// the machine until one of its reply methods is called.
#[derive(Debug)]
pub enum Event<'a> {
    /// STLS was accepted.
    StartTls,
    /// A step of a login (USER alone is answered by the machine).
    Login(Turn),
    /// Total of messages not marked deleted.
    Stat,
    /// One message's size, or all (None).
    List(Option<u32>),
    /// One message's unique id, or all.
    Uidl(Option<u32>),
    /// The whole message.
    Retr(u32),
    /// Header and `lines` of the body.
    Top {
        /// Message number.
        message: u32,
        /// Body lines wanted.
        lines: u32,
    },
    /// Mark deleted.
    Dele(u32),
    /// Unmark all.
    Rset,
    /// QUIT in the transaction state: apply the deletions, then answer.
    Update,
    /// QUIT before login. *Answered.*
    Quit,
    /// UTF8 was accepted (RFC 6856). *Answered.*
    Utf8,
    /// LANG with a tag; the texts of this session are in that language. *Answered.*
    Language(&'a str),
    /// What the gate turned away by itself. *Answered.*
    Refused(Refusal),
}

/// What the gate turned away, for the session facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// USER, PASS or AUTH.
    Login(login::Refusal),
    /// Unknown words, wrong state, bad syntax.
    Syntax,
    /// Too many errors: the machine says so and ends.
    TooManyErrors,
}

mod body;
mod capa;
pub mod client;
pub mod codec;
pub mod gate;
pub mod language;
pub mod server;
