//! The server's machine.
//!
//! It frames commands with their literals, asks the gate, answers what it can answer by itself
//! (CAPABILITY, ENABLE, LOGOUT, every refusal) and hands the rest up; while an event waits for its
//! answer no further command is taken, so pipelined commands are answered in order.
//!
//! What must hold: one tagged answer for each command, with its tag; a client that waits for the
//! go-ahead of a literal gets it or the refusal, never both; octets of a refused literal are read
//! away and never taken for a command; the text of a message is never gathered.
//!
//! Deliberately not here: mailboxes and numbers of messages (the session knows them), SASL
//! itself, compression (a matter of the socket), a limit on what IDLE and untagged answers tell.

mod append;
mod command;
mod reply;

use super::capability;
use super::code::Code;
use super::framing::{Framed, Gather, Room};
use super::gate::{Door, Numbers, Row, State};
use super::language::{self, Common, Text, Words};
use super::parse::Dialect;
use super::{Event, Refusal};
use crate::advice::Encrypted;
use crate::language::{DEFAULT_TAG, Language};
use crate::login;
use crate::machine::{Machine, Tick};
use crate::proof::Security;
use crate::sasl::Mechanism;
use append::Walk;
use reply::{Condition, Late};

/// What this listener and the service say of themselves.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Our name in the greeting.
    pub host: String,
    /// STARTTLS can be had.
    pub starttls: bool,
    /// Mechanisms in this state of security, strongest first.
    pub mechanisms: Vec<Mechanism>,
    /// LOGIN may be used in this state of security.
    pub login: bool,
    /// COMPRESS=DEFLATE can be had, once logged in.
    pub compress: bool,
    /// Where those go who log in in clear and are refused.
    pub encrypted: Encrypted,
    /// APPENDLIMIT: octets of one message.
    pub append_bytes_max: u64,
    /// MESSAGELIMIT: messages that one command works on; `None`: no limit, not advertised.
    pub message_limit: Option<u32>,
}

/// Every limit, with its default in `Default`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of one command without its literals (default 128 KiB: sets of UIDs are long).
    pub line_bytes_max: usize,
    /// Octets of one command with its literals, message texts apart (default 256 KiB).
    pub command_bytes_max: usize,
    /// Literals in one command, message texts apart (default 64).
    pub literals_max: usize,
    /// Messages that one APPEND brings (default 1000).
    pub append_messages_max: u32,
    /// Octets of one SASL line (default 12288).
    pub auth_line_bytes_max: usize,
    /// Octets of one literal before login (default 4096: RFC 7888 section 5).
    pub login_literal_bytes_max: u64,
    /// Octets that are read away after a refused literal before the connection ends (default 128 MiB).
    pub discard_bytes_max: u64,
    /// The same before login (default 64 KiB).
    pub login_discard_bytes_max: u64,
    /// Commands with errors in a row before the connection is closed (default 20). A command that
    /// is carried out, or refused by the session with NO, begins the row anew.
    pub errors_max: u32,
    /// Failed logins before the connection is closed (default 5).
    pub auth_failures_max: u32,
    /// Silence before the connection is closed (RFC 9051 5.4: at least 30 minutes).
    pub idle_seconds_max: u32,
    /// Silence before login (default 60).
    pub login_seconds_max: u32,
    /// A search that takes longer says that it goes on, again and again (RFC 9585; default 10,000). The session's affair: the
    /// machine has no clock.
    pub progress_milliseconds: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            line_bytes_max: 128 << 10,
            command_bytes_max: 256 << 10,
            literals_max: 64,
            login_literal_bytes_max: 4096,
            append_messages_max: 1000,
            auth_line_bytes_max: 12288,
            discard_bytes_max: 128 << 20,
            login_discard_bytes_max: 64 << 10,
            errors_max: 20,
            auth_failures_max: 5,
            idle_seconds_max: 1800,
            login_seconds_max: 60,
            progress_milliseconds: 10_000,
        }
    }
}

/// What the client has switched on, by ENABLE or by using it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enabled {
    /// IMAP4rev2.
    pub rev2: bool,
    /// UTF8=ACCEPT (RFC 6855).
    pub utf8: bool,
    /// CONDSTORE (RFC 7162).
    pub condstore: bool,
    /// QRESYNC.
    pub qresync: bool,
    /// UIDONLY (RFC 9586).
    pub uid_only: bool,
}

impl Enabled {
    /// UTF-8 stands in quoted strings and mailbox names.
    #[must_use]
    pub fn utf8_names(self) -> bool {
        self.utf8 || self.rev2
    }
}

/// Answers to pipelined commands are flushed when this many octets have gathered.
const OUTPUT_BYTES_FULL: usize = 32 << 10;
/// Octets of the line that ends IDLE.
const IDLE_LINE_BYTES_MAX: usize = 1024;

/// The server's side of IMAP.
#[derive(Debug)]
pub struct Server {
    offer: Offer,
    limits: Limits,
    security: Security,
    state: State,
    wait: Wait,
    enabled: Enabled,
    compressed: bool,
    language: Language,
    /// As LANGUAGE told it: `i-default` and `en` are the same language in other octets.
    language_tag: &'static str,
    /// Of the command under way; empty if it has none that can be repeated.
    tag: String,
    /// Of the command under way.
    row: Option<&'static Row>,
    /// The command under way names sequence numbers in its keys, whatever its word.
    counts: bool,
    gather: Gather,
    /// The answer to a refused command that is being read away.
    late: Option<Late>,
    errors: u32,
    auth_failures: u32,
    output: Vec<u8>,
    /// When the peer last said something whole.
    heard: Tick,
    /// An answer was given since, which took time that is not the peer's silence.
    answered: bool,
}

/// What the machine waits for.
#[derive(Debug)]
enum Wait {
    /// A command, or the end of one that is read away.
    Command,
    SaslResponse,
    /// The line that ends IDLE.
    Done,
    /// The session's answer.
    Session,
    /// The session's answer to an IDLE that was broken off by something else than DONE.
    BrokenIdle,
    /// The next piece of APPEND, from the client or the session.
    Append(Box<Walk>),
    /// Nothing: flush and close.
    End,
}

impl Server {
    /// Starts and, unless `security` came by STARTTLS, greets.
    #[must_use]
    pub fn new(offer: Offer, limits: Limits, security: Security, now: Tick) -> Server {
        let greets = !security.how().upgraded();
        let mut server = Server {
            offer,
            limits,
            security,
            state: State::NotAuthenticated,
            wait: Wait::Command,
            enabled: Enabled::default(),
            compressed: false,
            language: Language::default(),
            language_tag: DEFAULT_TAG,
            tag: String::new(),
            row: None,
            counts: false,
            gather: Gather::new(),
            late: None,
            errors: 0,
            auth_failures: 0,
            output: Vec::new(),
            heard: now,
            answered: false,
        };
        if greets {
            server.output.extend_from_slice(b"* OK [");
            server.capabilities();
            server.output.extend_from_slice(b"] ");
            let ready = server.language.text(Common::Ready);
            let greeting = format!("{} {ready}", server.offer.host);
            server.end_with(&greeting.into());
        }
        server
    }

    /// The connection's security.
    #[must_use]
    pub fn security(&self) -> &Security {
        &self.security
    }

    /// What is switched on.
    #[must_use]
    pub fn enabled(&self) -> Enabled {
        self.enabled
    }

    /// A command used CONDSTORE (RFC 7162 3.1) and thereby switched it on.
    pub fn enable_condstore(&mut self) {
        self.enabled.condstore = true;
    }

    /// The tag of the command under way.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// May EXPUNGE (or VANISHED) be announced during the command under way (RFC 9051 7.5.1)?
    /// Never where no command is under way.
    #[must_use]
    pub fn may_expunge(&self) -> bool {
        match self.wait {
            Wait::Command | Wait::SaslResponse | Wait::End => false,
            Wait::Done | Wait::Session | Wait::BrokenIdle | Wait::Append(_) => {
                // RFC 7162 3.2.10.2: nor in UID SEARCH where it names numbers.
                !self.counts && self.row.is_some_and(|row| row.numbers != Numbers::SequenceHeld)
            }
        }
    }

    /// Login succeeded: `tag OK [CAPABILITY ...] text`, authenticated state.
    pub fn logged_in<'w>(&mut self, text: impl Into<Words<'w>>) {
        self.state = State::Authenticated;
        self.auth_failures = 0;
        self.ok_with_capabilities(text);
    }

    /// Login failed: `tag NO [code] text`; with `AuthenticationFailed` it counts against `auth_failures_max`,
    /// at which the connection ends.
    pub fn login_failed<'w>(&mut self, code: Code, text: impl Into<Words<'w>>) {
        let counts = code == Code::AuthenticationFailed;
        self.no(Some(code), text);
        if counts {
            self.auth_failures += 1;
            if self.auth_failures >= self.limits.auth_failures_max {
                self.bye(None, Text::AuthFailures);
            }
        }
    }

    /// `+ base64` challenge.
    pub fn auth_challenge(&mut self, challenge: &[u8]) {
        login::challenge("+ ", challenge, &mut self.output);
        self.wait = Wait::SaslResponse;
        self.answered = true;
    }

    /// UNAUTHENTICATE worked: everything is as after the greeting, TLS and compression apart
    /// (RFC 8437 section 2); answers it.
    pub fn unauthenticated(&mut self) {
        self.state = State::NotAuthenticated;
        self.enabled = Enabled::default();
        (self.language, self.language_tag) = (Language::default(), DEFAULT_TAG);
        self.ok_with_capabilities(Text::Unauthenticated);
    }

    /// A mailbox is open now, or none. The session calls it before it answers.
    pub fn set_selected(&mut self, open: bool) {
        if self.state != State::NotAuthenticated {
            self.state = if open { State::Selected } else { State::Authenticated };
        }
    }

    /// The texts of this connection; the tag was negotiated with LANGUAGE. A tag that
    /// [`language::find`] does not know changes nothing.
    pub fn set_language(&mut self, tag: &str) {
        if let Some(found) = language::find(&[tag.to_owned()]) {
            (self.language, self.language_tag) = found;
        }
    }

    /// What [`Server::set_language`] was told last; `i-default` at the beginning.
    #[must_use]
    pub fn language(&self) -> &'static str {
        self.language_tag
    }

    /// The language of this connection's texts, for those with names or numbers in them.
    #[must_use]
    pub fn tongue(&self) -> Language {
        self.language
    }

    /// COMPRESS was answered and is in use from now on: it is no longer announced.
    pub fn set_compressed(&mut self) {
        self.compressed = true;
    }

    /// `+ idling`; then [`Event::IdleDone`] comes when the client is done.
    pub fn idle_begin(&mut self) {
        self.output.extend_from_slice(b"+ ");
        self.end_with(&Text::Idling.into());
        self.wait = Wait::Done;
        self.answered = true;
    }

    /// In IDLE: the session may write what changed at any time.
    #[must_use]
    pub fn is_idling(&self) -> bool {
        matches!(self.wait, Wait::Done)
    }

    /// Octets that are kept of commands that are not complete.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        let walked = if let Wait::Append(walk) = &self.wait { walk.kept_bytes() } else { 0 };
        self.gather.text().len() + walked
    }

    fn door(&self) -> Door {
        Door {
            login: login::Door {
                encrypted: self.security.is_encrypted(),
                password: self.offer.login,
                sasl: !self.offer.mechanisms.is_empty(),
                starttls: self.offer.starttls,
            },
            compress: self.offer.compress,
            compressed: self.compressed,
            uid_only: self.enabled.uid_only,
        }
    }

    fn dialect(&self) -> Dialect {
        Dialect { utf8: self.enabled.utf8_names(), utf8_alone: self.enabled.utf8 }
    }

    fn room(&self) -> Room {
        let limits = &self.limits;
        let stranger = self.state == State::NotAuthenticated;
        let away_bytes_max = if stranger { limits.login_discard_bytes_max } else { limits.discard_bytes_max };
        let line_bytes_max = match self.wait {
            Wait::Done => IDLE_LINE_BYTES_MAX,
            // An initial response may stand in a command before login, and nothing longer.
            _ if stranger => limits.auth_line_bytes_max,
            _ => limits.line_bytes_max,
        };
        let literals = !matches!(self.wait, Wait::SaslResponse | Wait::Done);
        Room { line_bytes_max, away_bytes_max, literals }
    }

    fn capabilities(&mut self) {
        let door = self.door();
        capability::write(&self.offer, self.state, door, self.compressed, &mut self.output);
    }

    fn listens(&self) -> bool {
        match &self.wait {
            Wait::Command | Wait::SaslResponse | Wait::Done => true,
            Wait::Append(walk) => walk.listens(),
            Wait::Session | Wait::BrokenIdle | Wait::End => false,
        }
    }

    /// What the client said.
    fn take<'a>(&mut self, framed: Framed<'a>) -> Option<Event<'a>> {
        match framed {
            Framed::ReadAway => return self.late_answer(),
            Framed::Flood => {
                self.late = None;
                self.bye(None, Text::Flood);
                return Some(Event::Refused(Refusal::Syntax));
            }
            _ => {}
        }
        match self.wait {
            Wait::Command => self.command(framed),
            Wait::SaslResponse => self.sasl_response(framed),
            Wait::Done => Some(self.idle_line(framed)),
            Wait::Append(_) => self.append_piece(framed),
            // Nothing is framed in these; see `listens`.
            Wait::Session | Wait::BrokenIdle | Wait::End => None,
        }
    }

    /// RFC 2177: DONE, and nothing else, ends IDLE. Whatever else comes ends it too, for its client
    /// believes to be out of it; IDLE is then answered with BAD.
    fn idle_line<'a>(&mut self, framed: Framed<'_>) -> Event<'a> {
        let done = matches!(&framed, Framed::Command(line) if line.eq_ignore_ascii_case(b"DONE"));
        if !done {
            // If it is an endless line, its rest is read away without a further answer.
            self.gather.refuse();
        }
        self.wait = if done { Wait::Session } else { Wait::BrokenIdle };
        Event::IdleDone
    }
}

impl Machine for Server {
    type Event<'a> = Event<'a>;

    fn receive<'a>(&mut self, input: &'a [u8], now: Tick) -> (usize, Option<Event<'a>>) {
        if std::mem::take(&mut self.answered) {
            self.heard = now;
        }
        let mut used = 0;
        loop {
            if let Some(event) = self.append_step() {
                return (used, Some(event));
            }
            if !self.listens() {
                break;
            }
            let (taken, framed) = self.gather.next(&input[used..], &self.room());
            used += taken;
            if let Some(framed) = framed {
                // Only something whole counts: one octet a minute is silence too.
                self.heard = now;
                let event = self.take(framed);
                // Asked only behind a step: a caller that is told (0, None) waits for more input.
                if event.is_some() || self.output.len() >= OUTPUT_BYTES_FULL {
                    return (used, event);
                }
            } else if used == input.len() {
                break;
            }
        }
        (used, None)
    }

    fn timeout(&mut self, now: Tick) {
        if std::mem::take(&mut self.answered) {
            // The time went by while the peer was being answered.
            self.heard = now;
        } else if self.listens() {
            self.bye(None, Text::Silence);
        }
    }

    fn deadline(&self) -> Tick {
        if !self.listens() {
            // It is our turn: the peer's silence means nothing.
            return Tick(u64::MAX);
        }
        self.heard.plus_seconds(match self.state {
            State::NotAuthenticated => self.limits.login_seconds_max,
            State::Authenticated | State::Selected => self.limits.idle_seconds_max,
        })
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    fn ended(&self) -> bool {
        matches!(self.wait, Wait::End)
    }

    /// In IDLE too: a client there waits for us, and a graceful stop need not wait for it.
    fn idle(&self) -> bool {
        matches!(self.wait, Wait::Command | Wait::Done) && !self.gather.partial()
    }

    fn shutdown(&mut self) {
        match self.wait {
            // The session may be in the middle of a literal, where a BYE would be taken for its text.
            Wait::Session | Wait::End => self.wait = Wait::End,
            _ => self.bye(Some(Code::Unavailable), Common::Stopping),
        }
    }

    fn tls_go_ahead(&mut self) {
        self.ok(None, Common::BeginTls);
    }

    fn tls_early_bytes(&mut self) {
        self.tagged(Condition::Bad, None, &Common::EarlyBytes.into());
        self.bye(None, Common::EarlyBytes);
    }
}
