//! The client's machine: what we say when we send.
//!
//! It reads the greeting and names itself on its own; then the caller says what it
//! wants (`start_tls`, `auth`, `send`, `quit`) and each reply comes back as an
//! [`Event`]. What must hold: nothing is said that the server did not offer; a
//! password is not sent in clear; what follows STARTTLS's go-ahead in clear ends
//! the conversation; content contains no end but its own; commands are pipelined
//! only where that is offered. Choosing servers, trying again and the meaning of
//! refusals are not here.

use super::capabilities::Capabilities;
use super::replies::Replies;
use super::requests::{mail_line, rcpt_line};
use super::stuffing::Stuffing;
use super::{Body, Mail, Rcpt, Reply, Role};
use crate::machine::{Machine, Tick};
use crate::proof::Security;
use crate::sasl::Mechanism;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::VecDeque;

/// How long the server may take (RFC 5321 4.5.3.2).
#[derive(Clone, Debug)]
pub struct Limits {
    /// The greeting, and every command but these.
    pub reply_seconds_max: u32,
    /// The answer to DATA.
    pub data_seconds_max: u32,
    /// The answer to a whole message.
    pub delivery_seconds_max: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { reply_seconds_max: 300, data_seconds_max: 120, delivery_seconds_max: 600 }
    }
}

/// How content travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// DATA, with dots doubled.
    Data,
    /// BDAT (RFC 3030), chunk by chunk.
    Chunks,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Greeted and named: what the server can do. Nothing if it knows HELO only.
    Ready(Capabilities),
    /// STARTTLS was answered 220: shake hands, then begin a new client.
    StartTls,
    /// The mechanism's next challenge, decoded: answer with `auth_message`.
    AuthChallenge(Vec<u8>),
    /// AUTH is over.
    AuthDone(Reply),
    /// The answer to MAIL.
    Mail(Reply),
    /// The answer to the recipient of this index.
    Rcpt(usize, Reply),
    /// At least one recipient was accepted: send content, then `end_content`.
    Content,
    /// The answer to the message; in LMTP one for each accepted recipient, by its index.
    Delivered(usize, Reply),
    /// The message was not taken: the answer that ended the transaction. With no
    /// recipient accepted it is the answer to DATA, or the last one to RCPT.
    NotDelivered(Reply),
    /// The answer to another command (STARTTLS refused, RSET, NOOP, EHLO refused).
    Other(Reply),
    /// The conversation failed.
    Failed(Fault),
    /// The server said goodbye.
    Closed,
}

/// Why a wish cannot be granted, or a conversation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What came is no reply, or one to no command.
    Protocol,
    /// The server said 421, or greeted with a refusal.
    Unavailable,
    /// Bytes came in clear behind the go-ahead of STARTTLS.
    EarlyBytes,
    /// The server took too long.
    TimedOut,
    /// The server does not offer what this needs.
    NotOffered,
    /// A password would be sent in clear.
    NeedsTls,
    /// Something else is under way.
    Busy,
    /// An address or name contains what would break the command.
    Unsendable,
}

/// The reply that is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Auth,
    AuthCancelled,
    Mail,
    Rcpt(usize),
    Data,
    Chunk,
    /// After the message, from the accepted recipient of this index.
    Delivery(usize),
    /// After an empty message that nobody was to get.
    Nobody,
    /// After the last chunk of a message that was refused before.
    Ignored,
    Other,
    Quit,
}

/// The client's side of SMTP and LMTP.
pub struct Client {
    role: Role,
    name: String,
    limits: Limits,
    security: Security,
    capabilities: Capabilities,
    replies: Replies,
    /// Said, and not answered yet.
    expected: VecDeque<Expect>,
    /// To be said as soon as the server's ability to pipeline allows.
    unsaid: VecDeque<(Expect, Vec<u8>)>,
    way: Way,
    accepted: Vec<usize>,
    mail_accepted: bool,
    /// A transaction was given up that the server may still hold open: RSET goes before the next.
    stale: bool,
    last_refusal: Option<Reply>,
    /// Content goes out: `Some` from [`Event::Content`] to `end_content`.
    stuffing: Option<Stuffing>,
    events: VecDeque<Event>,
    deadline: Tick,
    spoke: bool,
    ended: bool,
    output: Vec<u8>,
}

impl Client {
    /// Begins: waits for the greeting or, behind STARTTLS, speaks first. `name` is
    /// our EHLO name.
    #[must_use]
    pub fn new(role: Role, name: &str, limits: Limits, security: Security, now: Tick) -> Client {
        let deadline = now.plus_seconds(limits.reply_seconds_max);
        let mut client = Client {
            role,
            name: name.to_owned(),
            limits,
            security,
            capabilities: Capabilities::default(),
            replies: Replies::default(),
            expected: VecDeque::new(),
            unsaid: VecDeque::new(),
            way: Way::Data,
            accepted: Vec::new(),
            mail_accepted: false,
            stale: false,
            last_refusal: None,
            stuffing: None,
            events: VecDeque::new(),
            deadline,
            spoke: false,
            ended: false,
            output: Vec::new(),
        };
        if client.security.how().upgraded() {
            client.hello();
        } else {
            client.expected.push_back(Expect::Greeting);
        }
        client
    }

    /// What the server offers.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Asks for TLS.
    ///
    /// # Errors
    /// It is not offered, or something else is under way.
    pub fn start_tls(&mut self) -> Result<(), Fault> {
        self.free()?;
        if !self.capabilities.starttls || self.security.is_encrypted() {
            return Err(Fault::NotOffered);
        }
        self.say(Expect::StartTls, b"STARTTLS\r\n".to_vec());
        Ok(())
    }

    /// Begins AUTH; the messages are the mechanism's.
    ///
    /// # Errors
    /// The mechanism is not offered, or would send the password in clear.
    pub fn auth(&mut self, mechanism: Mechanism, initial: Option<&[u8]>) -> Result<(), Fault> {
        self.free()?;
        if !self.capabilities.auth.iter().any(|name| name == mechanism.name()) {
            return Err(Fault::NotOffered);
        }
        if matches!(mechanism, Mechanism::Plain | Mechanism::Login) && !self.security.is_encrypted() {
            return Err(Fault::NeedsTls);
        }
        let mut line = format!("AUTH {}", mechanism.name());
        match initial {
            Some([]) => line.push_str(" ="),
            Some(initial) => {
                line.push(' ');
                line.push_str(&BASE64.encode(initial));
            }
            None => {}
        }
        line.push_str("\r\n");
        self.say(Expect::Auth, line.into_bytes());
        Ok(())
    }

    /// Answers a challenge; `None` cancels.
    pub fn auth_message(&mut self, message: Option<&[u8]>) {
        let (expect, mut line) = match message {
            Some(message) => (Expect::Auth, BASE64.encode(message)),
            None => (Expect::AuthCancelled, "*".to_owned()),
        };
        line.push_str("\r\n");
        self.say(expect, line.into_bytes());
    }

    /// Begins a transaction. Parameters that the server does not offer are left
    /// out where that loses nothing but a wish (SIZE, DSN, AUTH, BODY=8BITMIME).
    ///
    /// # Errors
    /// Nothing was said: SMTPUTF8, REQUIRETLS, BINARYMIME or chunks are needed and
    /// not offered, or an address cannot be written.
    pub fn send(&mut self, mail: &Mail, recipients: &[Rcpt], way: Way) -> Result<(), Fault> {
        self.free()?;
        let offered = &self.capabilities;
        let binary = mail.body == Body::BinaryMime;
        if (mail.smtputf8 && !offered.smtputf8)
            || (mail.require_tls && !offered.require_tls)
            || (binary && (!offered.binary_mime || way != Way::Chunks))
            // Chunks are said without waiting for the answer to the one before.
            || (way == Way::Chunks && !(offered.chunking && offered.pipelining))
        {
            return Err(Fault::NotOffered);
        }
        let mut lines = vec![(Expect::Mail, mail_line(mail, offered)?)];
        for (i, rcpt) in recipients.iter().enumerate() {
            lines.push((Expect::Rcpt(i), rcpt_line(rcpt, mail.smtputf8, offered)?));
        }
        if way == Way::Data {
            lines.push((Expect::Data, b"DATA\r\n".to_vec()));
        }
        if std::mem::take(&mut self.stale) {
            // RFC 5321 4.1.4: a second MAIL within a transaction is out of sequence.
            self.unsaid.push_back((Expect::Ignored, b"RSET\r\n".to_vec()));
        }
        self.unsaid.extend(lines);
        self.way = way;
        self.accepted.clear();
        self.mail_accepted = false;
        self.last_refusal = None;
        self.pump();
        Ok(())
    }

    /// Appends content to the output, after [`Event::Content`]. With chunks each
    /// call is a chunk of its own: make them large.
    pub fn content(&mut self, piece: &[u8]) {
        let Some(stuffing) = &mut self.stuffing else { return };
        self.spoke = true;
        match self.way {
            Way::Data => stuffing.push(piece, &mut self.output),
            Way::Chunks if piece.is_empty() => {}
            Way::Chunks => {
                self.output.extend_from_slice(format!("BDAT {}\r\n", piece.len()).as_bytes());
                self.output.extend_from_slice(piece);
                self.expected.push_back(Expect::Chunk);
            }
        }
    }

    /// The content is complete.
    pub fn end_content(&mut self) {
        let Some(stuffing) = self.stuffing.take() else { return };
        self.spoke = true;
        match self.way {
            Way::Data => stuffing.end(&mut self.output),
            Way::Chunks => self.output.extend_from_slice(b"BDAT 0 LAST\r\n"),
        }
        let one = &self.accepted[..self.accepted.len().min(1)];
        let answers = if self.role == Role::Lmtp { &self.accepted[..] } else { one };
        self.expected.extend(answers.iter().map(|i| Expect::Delivery(*i)));
    }

    /// Forgets the transaction.
    ///
    /// # Errors
    /// Something else is under way.
    pub fn reset(&mut self) -> Result<(), Fault> {
        self.free()?;
        self.stale = false;
        self.say(Expect::Other, b"RSET\r\n".to_vec());
        Ok(())
    }

    /// Says goodbye.
    pub fn quit(&mut self) {
        self.say(Expect::Quit, b"QUIT\r\n".to_vec());
    }

    fn free(&self) -> Result<(), Fault> {
        let busy =
            self.ended || !self.expected.is_empty() || !self.unsaid.is_empty() || self.stuffing.is_some();
        if busy { Err(Fault::Busy) } else { Ok(()) }
    }

    fn say(&mut self, expect: Expect, line: Vec<u8>) {
        self.unsaid.push_back((expect, line));
        self.pump();
    }

    /// Says what may be said now: everything where pipelining is offered, else one
    /// command when the one before it was answered.
    fn pump(&mut self) {
        while self.capabilities.pipelining || self.expected.is_empty() {
            let Some((expect, line)) = self.unsaid.pop_front() else { return };
            self.output.extend_from_slice(&line);
            self.expected.push_back(expect);
            self.spoke = true;
        }
    }

    fn hello(&mut self) {
        let word = if self.role == Role::Lmtp { "LHLO" } else { "EHLO" };
        self.say(Expect::Ehlo, format!("{word} {}\r\n", self.name).into_bytes());
    }

    fn fail(&mut self, fault: Fault) {
        self.events.push_back(Event::Failed(fault));
        self.ended = true;
    }

    fn take(&mut self, reply: Reply) {
        let Some(expect) = self.expected.pop_front() else {
            // Servers say 421 without being asked when they stop or lose patience.
            return self.fail(if reply.code == 421 { Fault::Unavailable } else { Fault::Protocol });
        };
        if reply.code == 421 && expect != Expect::Quit {
            self.events.push_back(Event::Other(reply));
            return self.fail(Fault::Unavailable);
        }
        match expect {
            Expect::Greeting if reply.code == 220 => self.hello(),
            Expect::Greeting => {
                self.events.push_back(Event::Other(reply));
                self.fail(Fault::Unavailable);
            }
            Expect::Ehlo if reply.code == 250 => {
                self.capabilities = Capabilities::read(&reply);
                self.events.push_back(Event::Ready(self.capabilities.clone()));
            }
            // RFC 5321 3.2: a server of old knows HELO only.
            Expect::Ehlo if reply.code >= 500 && self.role != Role::Lmtp => {
                self.say(Expect::Helo, format!("HELO {}\r\n", self.name).into_bytes());
            }
            Expect::Helo if reply.code == 250 => {
                self.events.push_back(Event::Ready(Capabilities::default()));
            }
            Expect::StartTls if reply.code == 220 => self.events.push_back(Event::StartTls),
            Expect::Auth if reply.code == 334 => self.challenge(&reply),
            Expect::Auth | Expect::AuthCancelled => self.events.push_back(Event::AuthDone(reply)),
            Expect::Mail
            | Expect::Rcpt(_)
            | Expect::Data
            | Expect::Chunk
            | Expect::Delivery(_)
            | Expect::Nobody => {
                self.take_in_transaction(expect, reply);
            }
            Expect::Quit => {
                self.events.push_back(Event::Closed);
                self.ended = true;
            }
            Expect::Ignored => {}
            Expect::Ehlo | Expect::Helo | Expect::StartTls | Expect::Other => {
                self.events.push_back(Event::Other(reply));
            }
        }
        self.pump();
    }

    fn challenge(&mut self, reply: &Reply) {
        let text = reply.lines.first().map_or("", String::as_str);
        match BASE64.decode(text.trim()) {
            Ok(challenge) => self.events.push_back(Event::AuthChallenge(challenge)),
            // RFC 4954 4: cancel what cannot be decoded.
            Err(_) => self.auth_message(None),
        }
    }

    fn take_in_transaction(&mut self, expect: Expect, reply: Reply) {
        match expect {
            Expect::Mail => {
                self.mail_accepted = reply.code == 250;
                self.refused(&reply);
                self.events.push_back(Event::Mail(reply));
            }
            Expect::Rcpt(i) => {
                // RFC 5321 4.2.3: 251 accepts as well.
                if matches!(reply.code, 250 | 251) && self.mail_accepted {
                    self.accepted.push(i);
                }
                self.refused(&reply);
                self.events.push_back(Event::Rcpt(i, reply));
            }
            Expect::Data if reply.code == 354 && self.accepted.is_empty() => {
                // RFC 2920 3.1: the server waits for content although nobody is to get it.
                self.output.extend_from_slice(b".\r\n");
                self.expected.push_back(Expect::Nobody);
            }
            Expect::Data if reply.code == 354 => self.begin_content(),
            Expect::Data => {
                self.stale = self.mail_accepted;
                self.not_delivered(reply);
            }
            Expect::Chunk if reply.code == 250 => {}
            Expect::Chunk => {
                // RFC 3030 4.2: after a failed chunk only RSET makes sense; chunks on their way are refused too.
                let first = self.last_refusal.is_none();
                self.stale = true;
                self.refused(&reply);
                self.stuffing = None;
                self.expect_one_refusal();
                if first {
                    self.events.push_back(Event::NotDelivered(reply));
                }
            }
            Expect::Delivery(i) => self.events.push_back(Event::Delivered(i, reply)),
            _ => self.not_delivered(reply),
        }
        // Without DATA nobody but us knows that the recipients are complete.
        let complete = self.expected.is_empty() && self.unsaid.is_empty();
        if self.way == Way::Chunks && complete && matches!(expect, Expect::Mail | Expect::Rcpt(_)) {
            if self.accepted.is_empty() {
                self.stale = self.mail_accepted;
                let refusal = self.last_refusal.take().unwrap_or_else(|| Reply::plain(554, "No recipients"));
                self.events.push_back(Event::NotDelivered(refusal));
            } else {
                self.last_refusal = None;
                self.begin_content();
            }
        }
    }

    fn begin_content(&mut self) {
        self.stuffing = Some(Stuffing::new());
        self.events.push_back(Event::Content);
    }

    /// The last chunk of a refused message is answered once, in LMTP too: there is
    /// no transaction any more whose recipients could be answered one by one.
    fn expect_one_refusal(&mut self) {
        if let Some(first) = self.expected.iter().position(|e| matches!(e, Expect::Delivery(_))) {
            self.expected[first] = Expect::Ignored;
            self.expected.retain(|e| !matches!(e, Expect::Delivery(_)));
        }
    }

    fn refused(&mut self, reply: &Reply) {
        if !reply.is_positive() {
            self.last_refusal = Some(reply.clone());
        }
    }

    /// What MAIL or RCPT said tells more than that there are no recipients.
    fn not_delivered(&mut self, reply: Reply) {
        let telling = if self.accepted.is_empty() { self.last_refusal.take() } else { None };
        self.events.push_back(Event::NotDelivered(telling.unwrap_or(reply)));
    }
}

impl std::fmt::Debug for Client {
    /// Without what was said: credentials may be in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("role", &self.role)
            .field("capabilities", &self.capabilities)
            .field("expected", &self.expected)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Machine for Client {
    type Event<'a> = Event;

    fn receive(&mut self, input: &[u8], now: Tick) -> (usize, Option<Event>) {
        let mut at = 0;
        while self.events.is_empty() && !self.ended {
            match self.replies.next(&input[at..]) {
                Ok((0, _)) => break,
                Ok((used, reply)) => {
                    at += used;
                    if let Some(reply) = reply {
                        self.take(reply);
                    }
                }
                Err(_) => self.fail(Fault::Protocol),
            }
        }
        let mut event = self.events.pop_front();
        if event == Some(Event::StartTls) && at < input.len() {
            // The mirror of CVE-2011-0411: what came in clear must not be read as said inside TLS.
            self.ended = true;
            event = Some(Event::Failed(Fault::EarlyBytes));
        }
        if at > 0 || self.spoke {
            self.spoke = false;
            let seconds = match self.expected.front() {
                Some(Expect::Data) => self.limits.data_seconds_max,
                Some(Expect::Delivery(_) | Expect::Chunk | Expect::Nobody) => {
                    self.limits.delivery_seconds_max
                }
                _ => self.limits.reply_seconds_max,
            };
            self.deadline = now.plus_seconds(seconds);
        }
        (at, event)
    }

    /// The next call of `receive` tells of it.
    fn timeout(&mut self, _now: Tick) {
        if !self.ended {
            self.fail(Fault::TimedOut);
        }
    }

    fn deadline(&self) -> Tick {
        self.deadline
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    fn ended(&self) -> bool {
        self.ended && self.events.is_empty()
    }

    fn idle(&self) -> bool {
        self.free().is_ok() && self.events.is_empty()
    }

    fn shutdown(&mut self) {
        if self.free().is_ok() {
            self.quit();
        } else {
            self.ended = true;
        }
    }

    /// Nothing: the server gives the go-ahead.
    fn tls_go_ahead(&mut self) {}

    fn tls_early_bytes(&mut self) {
        self.fail(Fault::EarlyBytes);
    }
}
