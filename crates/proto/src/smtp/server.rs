//! The server's machine.
//!
//! Takes lines and content from the input, asks the gate, decodes, answers what
//! needs no decision and hands up the rest as [`Event`]s. What must hold: while an
//! event waits for its answer no further command is looked at, so pipelined
//! commands are answered in their order; replies gather in one output; a message
//! is never copied; whatever was not recognised as content's real end stays
//! content. Who may send to whom, and what becomes of a message, is not here.

use super::codec::{self, Line};
use super::gate::{Phase, Standing};
use super::receipt::Receipt;
use super::{Event, Refusal, Reply, Role};
use crate::login;
use crate::machine::{Machine, Tick};
use crate::proof::Security;
use crate::sasl::Mechanism;

mod command;

/// What this listener says of itself.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Our name in greeting and replies.
    pub host: String,
    /// Which conversation.
    pub role: Role,
    /// STARTTLS can be had (a certificate is there).
    pub starttls: bool,
    /// Mechanisms in this state of security, strongest first; empty hides AUTH.
    pub mechanisms: Vec<Mechanism>,
    /// Refusal of AUTH in clear, from `advice::needs_tls`.
    pub needs_tls_text: String,
    /// Lone CR or LF in a message: false refuses it, true turns it into CRLF.
    pub normalise_newlines: bool,
}

/// Octets of output at which the machine lets its caller send before it takes more input.
const OUTPUT_BYTES_SOFT_MAX: usize = 16 << 10;

/// Every limit, with its default in `Default`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of one command line with its CRLF (default 4096, RFC 5321 4.5.3.1.4 asks for 512 and more with extensions).
    pub line_bytes_max: usize,
    /// Octets of one SASL line (RFC 4954: 12288).
    pub auth_line_bytes_max: usize,
    /// Octets of a message (default 50 MiB).
    pub message_bytes_max: u64,
    /// Recipients in one transaction (default 1000; RFC 5321 asks for 100).
    pub recipients_max: u32,
    /// Transactions in one connection (default 1000).
    pub mails_max: u32,
    /// Errors before 421 (default 20).
    pub errors_max: u32,
    /// NOOP, RSET, HELP, VRFY, EXPN and further greetings between two messages before 421 (default 500):
    /// a client that keeps a connection alive has room, one that only occupies us has not.
    pub idle_commands_max: u32,
    /// Failed AUTH exchanges before 421 (default 5).
    pub auth_failures_max: u32,
    /// Silence between commands (RFC 5321 4.5.3.2.7: 5 minutes).
    pub command_seconds_max: u32,
    /// Silence within a message.
    pub data_seconds_max: u32,
    /// A message must come with so many octets a second on average (default 100), once `data_seconds_max` have passed: the
    /// silence limit alone would let a peer drip an octet each time.
    pub data_bytes_per_second_min: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            line_bytes_max: 4096,
            auth_line_bytes_max: 12288,
            message_bytes_max: 50 << 20,
            recipients_max: 1000,
            mails_max: 1000,
            errors_max: 20,
            idle_commands_max: 500,
            auth_failures_max: 5,
            command_seconds_max: 300,
            data_seconds_max: 300,
            data_bytes_per_second_min: 100,
        }
    }
}

/// What the machine waits for.
#[derive(Debug)]
enum State {
    ExpectCommand,
    /// The rest of a line that was too long; then this answer.
    ExpectLineEnd(TooLong),
    ExpectAuthMessage,
    /// Content of the message in `receipt`.
    ExpectContent,
    /// So many octets of an unwanted chunk, then this answer and,
    /// if the command was turned away, this refusal.
    ExpectChunkEnd(u64, Reply, Option<Refusal>),
    /// The session's answer.
    ExpectAnswer(Question),
    /// The handshake, in which this machine is given up.
    ExpectHandshake,
    Ended,
}

#[derive(Clone, Copy, Debug)]
enum TooLong {
    Command,
    AuthMessage,
}

/// What the session was asked.
#[derive(Clone, Copy, Debug)]
enum Question {
    Auth,
    Mail { smtputf8: bool, binary: bool },
    Rcpt,
    Data,
    Chunk { octets: u64, last: bool },
    BodyEnd,
    StartTls,
}

/// One step through the input: octets used up, and an event.
enum Step<'a> {
    /// Nothing more can be done with this input.
    Need(usize),
    /// Go on behind these octets.
    Go(usize),
    Event(usize, Event<'a>),
}

/// The server's side of SMTP and LMTP.
#[derive(Debug)]
pub struct Server {
    offer: Offer,
    limits: Limits,
    security: Security,
    state: State,
    phase: Phase,
    extended: bool,
    authenticated: bool,
    /// SMTPUTF8 and BINARYMIME of the open transaction.
    smtputf8: bool,
    binary: bool,
    recipients: u32,
    receipt: Option<Receipt>,
    mails: u32,
    errors: u32,
    /// Harmless commands since the last message.
    idle_commands: u32,
    /// When the content under way began, and its octets so far.
    content: Option<(Tick, u64)>,
    auth_failures: u32,
    deadline: Tick,
    /// An answer was given since the deadline was set; it is set anew at the next chance.
    answered: bool,
    output: Vec<u8>,
}

impl Server {
    /// Starts and, unless `security` came by STARTTLS, greets.
    #[must_use]
    pub fn new(offer: Offer, limits: Limits, security: Security, now: Tick) -> Server {
        let deadline = now.plus_seconds(limits.command_seconds_max);
        let mut server = Server {
            offer,
            limits,
            security,
            state: State::ExpectCommand,
            phase: Phase::Start,
            extended: false,
            authenticated: false,
            smtputf8: false,
            binary: false,
            recipients: 0,
            receipt: None,
            mails: 0,
            errors: 0,
            idle_commands: 0,
            content: None,
            auth_failures: 0,
            deadline,
            answered: false,
            output: Vec::new(),
        };
        // RFC 3207 4.2: after the handshake the client speaks first.
        if !server.security.how().upgraded() {
            let protocol = if server.offer.role == Role::Lmtp { "LMTP" } else { "ESMTP" };
            server.say(&Reply::plain(220, format!("{} {protocol} Sealpost ready", server.offer.host)));
        }
        server
    }

    /// Answers the pending event. A 421 also ends the conversation.
    pub fn reply(&mut self, reply: &Reply) {
        let State::ExpectAnswer(question) = self.state else { return };
        match question {
            Question::BodyEnd if self.offer.role == Role::Lmtp => {
                return self.replies(std::slice::from_ref(reply));
            }
            Question::Data | Question::Chunk { .. } => return self.begin_body(Err(reply.clone())),
            Question::Auth => return self.auth_done(Err(reply.clone())),
            Question::StartTls => {}
            Question::Mail { smtputf8, binary } if reply.is_positive() => {
                self.phase = Phase::Mail;
                self.mails += 1;
                (self.smtputf8, self.binary) = (smtputf8, binary);
            }
            Question::Rcpt if reply.is_positive() => {
                self.phase = Phase::Rcpt;
                self.recipients += 1;
            }
            // Whoever tries one name after the other gets none right; a list with dead members gets some.
            Question::Rcpt if reply.code >= 500 && self.recipients == 0 => self.errors += 1,
            Question::Mail { .. } | Question::Rcpt => {}
            Question::BodyEnd => {
                self.idle_commands = 0;
                self.end_transaction(reply.is_positive());
            }
        }
        self.resume(State::ExpectCommand);
        self.say(reply);
        self.end_if_too_many_errors();
    }

    /// Answers `BodyEnd` in LMTP, one reply for each accepted recipient. A single
    /// one stands for all; missing ones are answered 451.
    pub fn replies(&mut self, replies: &[Reply]) {
        let State::ExpectAnswer(Question::BodyEnd) = self.state else { return };
        let missing = Reply::new(451, (4, 3, 0), "Not delivered: try again later");
        let count = if self.offer.role == Role::Lmtp { self.recipients as usize } else { 1 };
        self.resume(State::ExpectCommand);
        for i in 0..count {
            let reply = if replies.len() == 1 { replies.first() } else { replies.get(i) };
            self.say(reply.unwrap_or(&missing));
        }
        self.end_transaction(replies.iter().any(Reply::is_positive));
    }

    /// Answers `BodyStart`.
    pub fn begin_body(&mut self, go: Result<(), Reply>) {
        let State::ExpectAnswer(question) = self.state else { return };
        let (octets_max, normalise) = (self.limits.message_bytes_max, self.offer.normalise_newlines);
        match (question, go) {
            (Question::Data, Ok(())) => {
                self.receipt = Some(Receipt::data(octets_max, normalise));
                self.resume(State::ExpectContent);
                self.say(&Reply::plain(354, "Send the message; end it with a line that has only a dot"));
            }
            (Question::Chunk { octets, last }, Ok(())) => {
                self.receipt = Some(Receipt::chunk(octets_max, normalise, self.binary, octets, last));
                self.phase = Phase::Chunks;
                self.resume(State::ExpectContent);
            }
            (Question::Data, Err(reply)) => {
                self.end_transaction(false);
                self.resume(State::ExpectCommand);
                self.say(&reply);
            }
            (Question::Chunk { octets, .. }, Err(reply)) => {
                self.end_transaction(false);
                self.answered = true;
                self.read_away(octets, reply, None);
            }
            _ => {}
        }
    }

    /// Answers `Auth` or `AuthMessage` with a challenge (encoded here).
    pub fn auth_challenge(&mut self, challenge: &[u8]) {
        if !matches!(self.state, State::ExpectAnswer(Question::Auth)) {
            return;
        }
        self.resume(State::ExpectAuthMessage);
        // Not through `Reply`, which cuts lines: RFC 4954 4 lets challenges be longer.
        login::challenge("334 ", challenge, &mut self.output);
    }

    /// Ends AUTH: `Ok` opens the door for MAIL; `Err` carries the refusal.
    pub fn auth_done(&mut self, outcome: Result<(), Reply>) {
        if !matches!(self.state, State::ExpectAnswer(Question::Auth)) {
            return;
        }
        self.resume(State::ExpectCommand);
        match outcome {
            Ok(()) => {
                self.authenticated = true;
                self.say(&Reply::new(235, (2, 7, 0), "Authentication successful"));
            }
            Err(reply) => {
                self.auth_failures += 1;
                self.say(&reply);
                if self.auth_failures >= self.limits.auth_failures_max {
                    self.farewell((4, 7, 0), "Too many failed logins");
                }
            }
        }
    }

    /// The connection's security.
    #[must_use]
    pub fn security(&self) -> &Security {
        &self.security
    }

    /// What the gate looks at.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            role: self.offer.role,
            phase: self.phase,
            extended: self.extended,
            encrypted: self.security.is_encrypted(),
            starttls: self.offer.starttls,
            mechanisms: !self.offer.mechanisms.is_empty(),
            authenticated: self.authenticated,
            binary: self.binary,
        }
    }

    fn step<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        match &mut self.state {
            State::ExpectAnswer(_) | State::ExpectHandshake | State::Ended => Step::Need(0),
            State::ExpectContent => self.content(input),
            State::ExpectLineEnd(what) => {
                let what = *what;
                match memchr::memchr(b'\n', input) {
                    None => Step::Need(input.len()),
                    Some(newline) => self.line_too_long(newline + 1, what),
                }
            }
            State::ExpectChunkEnd(left, _, _) if *left > 0 => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= used as u64;
                if used == 0 { Step::Need(0) } else { Step::Go(used) }
            }
            State::ExpectChunkEnd(..) => self.chunk_end(),
            State::ExpectAuthMessage => match codec::line(input, self.limits.auth_line_bytes_max) {
                Line::Partial => Step::Need(0),
                Line::TooLong => self.skip_line(TooLong::AuthMessage),
                Line::Broken(used) => {
                    Step::Event(used, self.cancel_auth((501, (5, 5, 2)), "Malformed authentication message"))
                }
                Line::Whole(text, used) => Step::Event(used, self.auth_message(text)),
            },
            State::ExpectCommand => {
                // RFC 4954 4: the initial response may make AUTH as long as the messages that follow it.
                let auth = input.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"AUTH "));
                let plain_max = self.limits.line_bytes_max;
                let bytes_max = if auth { self.limits.auth_line_bytes_max.max(plain_max) } else { plain_max };
                match codec::line(input, bytes_max) {
                    Line::Partial => Step::Need(0),
                    Line::TooLong => self.skip_line(TooLong::Command),
                    Line::Broken(used) => Step::Event(used, self.broken_line()),
                    Line::Whole(text, used) => self.command(text, used),
                }
            }
        }
    }

    fn skip_line<'a>(&mut self, what: TooLong) -> Step<'a> {
        self.state = State::ExpectLineEnd(what);
        Step::Go(0)
    }

    fn line_too_long<'a>(&mut self, used: usize, what: TooLong) -> Step<'a> {
        self.state = State::ExpectCommand;
        Step::Event(
            used,
            match what {
                TooLong::Command => {
                    self.refuse(&Reply::new(500, (5, 5, 2), "Line too long"), Refusal::Syntax)
                }
                TooLong::AuthMessage => self.cancel_auth((500, (5, 5, 6)), "Authentication message too long"),
            },
        )
    }

    fn ask<'a>(&mut self, question: Question, event: Event<'a>) -> Event<'a> {
        self.state = State::ExpectAnswer(question);
        event
    }

    /// Goes on after an answer.
    fn resume(&mut self, state: State) {
        self.state = state;
        self.answered = true;
    }

    fn end_transaction(&mut self, delivered: bool) {
        if self.phase != Phase::Start {
            self.phase = Phase::Ready;
        }
        if delivered {
            self.errors = 0;
        }
        self.recipients = 0;
        self.receipt = None;
        (self.smtputf8, self.binary) = (false, false);
    }

    /// The one way to turn a command away.
    fn refuse(&mut self, reply: &Reply, refusal: Refusal) -> Event<'static> {
        self.say(reply);
        self.errors += 1;
        if self.end_if_too_many_errors() {
            return Event::Refused(Refusal::TooManyErrors);
        }
        Event::Refused(refusal)
    }

    /// Content that comes too slowly ends the conversation although it is never silent for long.
    fn mind_rate(&mut self, octets: usize, now: Tick) {
        if !matches!(self.state, State::ExpectContent | State::ExpectChunkEnd(..)) {
            // A message that comes in chunks is one message, however long its sender rests between them.
            if self.phase != Phase::Chunks && !matches!(self.state, State::ExpectAnswer(_)) {
                self.content = None;
            }
            return;
        }
        let (began, before) = self.content.unwrap_or((now, 0));
        let so_far = before + octets as u64;
        self.content = Some((began, so_far));
        let earned = so_far / u64::from(self.limits.data_bytes_per_second_min.max(1));
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        let last = began.plus_seconds(self.limits.data_seconds_max).plus_seconds(earned);
        self.deadline = self.deadline.min(last);
    }

    /// Counts a command that moves nothing; false: it was one too many, and the conversation is over.
    fn harmless(&mut self) -> bool {
        self.idle_commands += 1;
        if self.idle_commands <= self.limits.idle_commands_max {
            return true;
        }
        self.farewell((4, 7, 0), "Too many commands without a message");
        false
    }

    fn end_if_too_many_errors(&mut self) -> bool {
        let end = self.errors >= self.limits.errors_max && !self.ended();
        if end {
            self.farewell((4, 7, 0), "Too many errors");
        }
        end
    }

    fn say(&mut self, reply: &Reply) {
        reply.encode(&mut self.output);
        // RFC 5321 3.8: who says 421 closes.
        if reply.code == 421 {
            self.state = State::Ended;
        }
    }

    fn farewell(&mut self, status: (u8, u16, u16), text: &str) {
        self.say(&Reply::new(421, status, format!("{} {text}", self.offer.host)));
    }
}

impl Machine for Server {
    type Event<'a> = Event<'a>;

    fn receive<'a>(&mut self, input: &'a [u8], now: Tick) -> (usize, Option<Event<'a>>) {
        let mut at = 0;
        let event = loop {
            // A few octets of input can ask for many of output (HELP): let the caller send between.
            if at > 0 && self.output.len() > OUTPUT_BYTES_SOFT_MAX {
                break None;
            }
            match self.step(&input[at..]) {
                Step::Go(used) => at += used,
                Step::Need(used) => {
                    at += used;
                    break None;
                }
                Step::Event(used, event) => {
                    at += used;
                    break Some(event);
                }
            }
        };
        // Half a line does not count as a sign of life: it would let a client hold on for ever with an octet at a time.
        if at > 0 || self.answered {
            self.answered = false;
            let seconds = match self.state {
                State::ExpectContent | State::ExpectChunkEnd(..) => self.limits.data_seconds_max,
                _ => self.limits.command_seconds_max,
            };
            self.deadline = now.plus_seconds(seconds);
        }
        self.mind_rate(at, now);
        (at, event)
    }

    fn timeout(&mut self, _now: Tick) {
        if !self.ended() {
            self.farewell((4, 4, 2), "Nothing came for too long");
        }
    }

    fn deadline(&self) -> Tick {
        self.deadline
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    fn ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    fn idle(&self) -> bool {
        matches!(self.state, State::ExpectCommand)
    }

    fn shutdown(&mut self) {
        if !self.ended() {
            self.farewell((4, 3, 2), "The service stops; try again in a moment");
        }
    }

    fn tls_go_ahead(&mut self) {
        if matches!(self.state, State::ExpectAnswer(Question::StartTls)) {
            self.say(&Reply::new(220, (2, 0, 0), "Ready to start TLS"));
            self.state = State::ExpectHandshake;
        }
    }

    fn tls_early_bytes(&mut self) {
        let text = "Bytes came in clear behind STARTTLS; the connection is closed";
        self.say(&Reply::new(554, (5, 7, 0), text));
        self.state = State::Ended;
    }
}
