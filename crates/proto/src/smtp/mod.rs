//! SMTP (RFC 5321) and LMTP (RFC 2033).
//!
//! `server` is the server's machine with its `gate` (the table of commands),
//! `codec` (the bytes of commands and replies), `framing` and `receipt` (where
//! content ends and what becomes of it) and `listing` (EHLO and HELP). `client` is
//! ours when we send, with `capabilities`, `replies`, `requests` and `stuffing`.

use crate::login::{self, Turn};
use crate::service::policy::Denied;
use std::fmt;

/// Which conversation a listener holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Port 25: mail from other servers for local recipients.
    Exchange,
    /// Mail from our own users; AUTH required.
    Submission,
    /// LMTP: delivery by another local MTA; a reply for each recipient.
    Lmtp,
}

/// A reverse or forward path as the client wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Local part with quoting removed, as written.
    pub local: String,
    /// Domain as written (A-label or U-label or address literal with brackets).
    /// Empty for `<Postmaster>` without a domain.
    pub domain: String,
}

/// `BODY=` of RFC 6152 and 3030.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// Not given, or `7BIT`.
    #[default]
    SevenBit,
    /// `8BITMIME`.
    EightBitMime,
    /// `BINARYMIME`: only with BDAT.
    BinaryMime,
}

/// `MAIL FROM` with its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// `None` is the null path `<>`.
    pub from: Option<Path>,
    /// `SIZE=`, octets.
    pub size: Option<u64>,
    /// `BODY=`.
    pub body: Body,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
    /// `REQUIRETLS` (RFC 8689): kept for when mail is relayed.
    pub require_tls: bool,
    /// `RET=` (RFC 3461): true is FULL, false is HDRS.
    pub dsn_full: Option<bool>,
    /// `ENVID=`, xtext decoded.
    pub dsn_envelope_id: Option<String>,
    /// `AUTH=` of RFC 4954 section 5, xtext decoded.
    pub auth: Option<String>,
}

/// `NOTIFY=` of RFC 3461.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// `NEVER`.
    pub never: bool,
    /// `SUCCESS`.
    pub success: bool,
    /// `FAILURE`.
    pub failure: bool,
    /// `DELAY`.
    pub delay: bool,
}

/// `RCPT TO` with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rcpt {
    /// The forward path.
    pub to: Path,
    /// `NOTIFY=`.
    pub notify: Option<Notify>,
    /// `ORCPT=`, as written (`rfc822;xtext`), decoded.
    pub original: Option<String>,
}

/// A reply: code, enhanced status (RFC 2034, 3463), text lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// `5.7.1`; `None` for greetings, EHLO and 3xx.
    pub status: Option<(u8, u16, u16)>,
    /// One line or more; each is cut so that the line fits 512 octets.
    pub lines: Vec<String>,
}

impl Reply {
    /// A reply of one line with an enhanced status.
    #[must_use]
    pub fn new(code: u16, status: (u8, u16, u16), text: impl Into<String>) -> Reply {
        Reply { code, status: Some(status), lines: vec![text.into()] }
    }

    /// To a login whose credential was right, but which the rules forbid (RFC 4954 section 6). `text` is the advice.
    #[must_use]
    pub fn denied(denied: Denied, text: impl Into<String>) -> Reply {
        let (code, status) = match denied {
            Denied::Clear | Denied::TlsTooOld(_) => (538, (5, 7, 11)),
            Denied::Mechanism => (534, (5, 7, 9)),
            Denied::Way => (535, (5, 7, 1)),
        };
        Reply::new(code, status, text)
    }

    /// A reply without enhanced status.
    #[must_use]
    pub fn plain(code: u16, text: impl Into<String>) -> Reply {
        Reply { code, status: None, lines: vec![text.into()] }
    }

    /// True for 2xx and 3xx.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.code < 400
    }
}

/// What the server's session has to decide or take note of. Events marked
/// *answer* stop the machine until [`server::Server::reply`] (or the named method) is called.
pub enum Event<'a> {
    /// EHLO, HELO or LHLO was accepted and answered; the transaction is reset.
    Hello {
        /// What the client calls itself.
        name: &'a str,
    },
    /// STARTTLS was accepted: the session lets `drive` shake hands.
    StartTls,
    /// A step of AUTH: *answer* with `auth_challenge` or `auth_done`.
    Login(Turn),
    /// *Answer*: 2xx opens the transaction.
    Mail(Mail),
    /// *Answer*: 2xx counts the recipient.
    Rcpt(Rcpt),
    /// DATA, or the first BDAT, with at least one recipient: *answer* with
    /// `begin_body(Ok(()))` (the machine says 354 to DATA, nothing to BDAT) or
    /// `begin_body(Err(reply))`, which ends the transaction.
    BodyStart,
    /// A piece of the message, dot-unstuffed; line ends CRLF unless BINARYMIME.
    Body(&'a [u8]),
    /// The whole message has come: *answer* with `reply`, in LMTP with
    /// `replies`, one for each accepted recipient in order.
    BodyEnd,
    /// The message was given up (too big, bare LF, malformed BDAT, peer gone);
    /// the machine answers by itself. The transaction is over: forget it.
    BodyAborted(&'static str),
    /// RSET, or EHLO in mid-transaction: forget the transaction. Answered.
    Reset,
    /// Something was turned away, and answered, by the machine.
    Refused(Refusal),
    /// QUIT, answered.
    Quit,
}

/// What the gate turned away by itself, for the session facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// AUTH.
    Login(login::Refusal),
    /// MAIL without AUTH on submission.
    NeedsAuth,
    /// Mail command in clear where TLS comes first.
    NeedsTls,
    /// VRFY or EXPN.
    Verify,
    /// More recipients than one transaction takes; answered 452, no error of the client's.
    TooManyRecipients,
    /// Unknown words, bad syntax, bad sequence.
    Syntax,
    /// Too many errors: the machine says 421 and ends.
    TooManyErrors,
}

impl fmt::Display for Path {
    /// As it is written between the brackets of a path, quoted where it must be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::address::quoted(&self.local))?;
        if self.domain.is_empty() { Ok(()) } else { write!(f, "@{}", self.domain) }
    }
}

impl fmt::Debug for Event<'_> {
    /// Shows neither what a client sends to log in nor the content of messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Hello { name } => write!(f, "Hello({name:?})"),
            Event::StartTls => f.write_str("StartTls"),
            Event::Login(turn) => write!(f, "Login({turn:?})"),
            Event::Mail(mail) => write!(f, "{mail:?}"),
            Event::Rcpt(rcpt) => write!(f, "{rcpt:?}"),
            Event::BodyStart => f.write_str("BodyStart"),
            Event::Body(piece) => write!(f, "Body({} octets)", piece.len()),
            Event::BodyEnd => f.write_str("BodyEnd"),
            Event::BodyAborted(why) => write!(f, "BodyAborted({why:?})"),
            Event::Reset => f.write_str("Reset"),
            Event::Refused(refusal) => write!(f, "Refused({refusal:?})"),
            Event::Quit => f.write_str("Quit"),
        }
    }
}

pub mod capabilities;
pub mod client;
mod codec;
mod framing;
pub mod gate;
mod listing;
mod receipt;
mod replies;
mod requests;
pub mod server;
mod stuffing;

pub use codec::{REPLY_BYTES_MAX, xtext_decode, xtext_encode};
