//! IMAP (RFC 3501, RFC 9051 and their extensions).
//!
//! `command` is what clients may ask, as values; `parse` makes them from bytes;
//! `gate` is the table of commands; `server` the server's machine; `encode` and
//! `code` write answers; `client` writes commands; `name` is modified UTF-7, `set` sets of numbers.

mod capability;
pub mod client;
pub mod code;
pub mod command;
pub mod encode;
mod framing;
pub mod gate;
pub mod language;
pub mod name;
pub mod parse;
pub mod server;
pub mod set;

use crate::login::{self, Turn};
use command::{Command, Flag};

/// What the server's session has to do. All but those marked *answered* stop
/// the machine until one of its reply methods is called.
#[derive(Debug)]
pub enum Event<'a> {
    /// STARTTLS was accepted.
    StartTls,
    /// A step of a login.
    Login(Turn),
    /// Any other command that the gate let through; the session answers it with
    /// [`server::Server::ok`], `no` or `bad`.
    Command(Box<Command>),
    /// A step of APPEND or REPLACE.
    Append(Append<'a>),
    /// DONE after IDLE (or the client broke IDLE off): announce what is left, then answer.
    IdleDone,
    /// LOGOUT. *Answered.*
    Logout,
    /// What the gate turned away by itself. *Answered.*
    Refused(Refusal),
}

/// Steps of APPEND (RFC 9051 6.3.12, RFC 3502, RFC 4469, RFC 3516) and REPLACE (RFC 8508), in this
/// order: `Begin`, then for each message `Message`, its parts (`Text` followed by `Data`, or
/// `Url`) and `MessageEnd`, then `End`. After [`server::Server::append_refuse`] the machine reads the
/// rest of the command away and nothing more of it comes up.
#[derive(Debug)]
pub enum Append<'a> {
    /// Answer with `append_go` or `append_refuse`.
    Begin {
        /// Where to.
        mailbox: String,
        /// REPLACE: the message that goes.
        replaces: Option<Replaces>,
    },
    /// A message begins. Answer with `append_go` or `append_refuse`.
    Message {
        /// Flags it starts with.
        flags: Vec<Flag>,
        /// Internal date, Unix seconds.
        received: Option<i64>,
    },
    /// A literal of so many octets was announced. Answer with `append_go` or `append_refuse`.
    Text {
        /// Octets.
        bytes: u64,
        /// `~{n}`: BINARY (RFC 3516) or UTF8 (RFC 6855).
        binary: bool,
    },
    /// Octets of the literal. *Answered.*
    Data(&'a [u8]),
    /// CATENATE URL: the message part that comes here. Answer with `append_go` or `append_refuse`.
    Url(String),
    /// The message is complete. *Answered.*
    MessageEnd,
    /// The command is complete: make it durable, then answer with `ok`, `no` or `bad`.
    End,
    /// The command was broken in its middle and has been answered; forget it. *Answered.*
    Aborted,
}

/// The message that REPLACE takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// `number` is a UID.
    pub uid: bool,
    /// UID or sequence number; `u32::MAX` for `*`.
    pub number: u32,
}

/// What the gate turned away, for the session facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// LOGIN or AUTHENTICATE.
    Login(login::Refusal),
    /// Unknown words, wrong state, bad syntax, too long.
    Syntax,
    /// Too many errors: the machine says so and ends.
    TooManyErrors,
}
