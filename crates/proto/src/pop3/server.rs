//! The server's machine.
//!
//! It frames lines, asks the gate, answers what it can answer by itself (CAPA,
//! LANG, USER, NOOP, every refusal) and hands the rest up; while an event waits
//! for its answer no further line is taken, so pipelined commands are answered
//! in order (RFC 2449 section 6.6).
//!
//! What must hold: one reply for each command; a message that broke off is never
//! finished with a dot; deletions happen only after QUIT in the transaction
//! state, which is the session's [`Event::Update`] and nobody else's.
//!
//! Deliberately not here: message numbers and marks of deletion (the session
//! knows the maildrop), SASL itself, APOP.

use super::body::Body;
use super::capa;
use super::codec::{Arguments, Framed, Lines, number};
use super::gate::{self, Row, State, Verdict, Word};
use super::language::Text;
use super::{Event, Refusal};
use crate::advice::{self, Encrypted};
use crate::language::{Common, LANGUAGES, Language, Said};
use crate::login::{self, Door, Shut, Turn};
use crate::machine::{Machine, Tick};
use crate::proof::{Secret, Security};
use crate::sasl::{Mechanism, prep};

/// What this listener says of itself.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Our name in the greeting.
    pub host: String,
    /// STLS can be had.
    pub stls: bool,
    /// Mechanisms in this state of security, strongest first; empty hides SASL.
    pub mechanisms: Vec<Mechanism>,
    /// USER/PASS may be used in this state of security.
    pub user: bool,
    /// Where those go who log in in clear and are refused.
    pub encrypted: Encrypted,
    /// CAPA EXPIRE: days that mail is kept; `None` says NEVER.
    pub expire_days: Option<u32>,
    /// CAPA LOGIN-DELAY, seconds; 0 leaves it out.
    pub login_delay_seconds: u32,
}

/// Every limit, with its default in `Default`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of one command line with CRLF (RFC 2449: 255).
    pub line_bytes_max: usize,
    /// Octets of one SASL line (default 12288).
    pub auth_line_bytes_max: usize,
    /// Errors before the connection is closed (default 20).
    pub errors_max: u32,
    /// Failed logins before the connection is closed (default 5).
    pub auth_failures_max: u32,
    /// Silence before the connection is closed (RFC 1939: at least 10 minutes).
    pub idle_seconds_max: u32,
    /// Silence before login (default 60).
    pub login_seconds_max: u32,
    /// Commands before login that are no login (default 50). Any command resets the clock of silence, so that a
    /// stranger could hold a connection for ever with CAPA. After login nothing counts a NOOP: the lock of the
    /// maildrop gives an account one connection at a time (RFC 1939 section 8), and that is the bound.
    pub idle_commands_max: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            line_bytes_max: 255,
            auth_line_bytes_max: 12288,
            errors_max: 20,
            auth_failures_max: 5,
            idle_seconds_max: 600,
            login_seconds_max: 60,
            idle_commands_max: 50,
        }
    }
}

/// Response codes (RFC 2449, 3206, 6856).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// `[IN-USE]`.
    InUse,
    /// `[LOGIN-DELAY]`.
    LoginDelay,
    /// `[AUTH]`: the credentials are wrong.
    Auth,
    /// `[SYS/TEMP]`.
    SysTemp,
    /// `[SYS/PERM]`.
    SysPerm,
    /// `[UTF8]`.
    Utf8,
}

/// Octets of a reply line at most, with CRLF (RFC 1939 section 3).
const REPLY_BYTES_MAX: usize = 512;
/// Replies to pipelined commands are flushed when this many octets have gathered.
const OUTPUT_BYTES_FULL: usize = 32 << 10;

/// The server's side of POP3.
#[derive(Debug)]
pub struct Server {
    offer: Offer,
    limits: Limits,
    security: Security,
    state: State,
    wait: Wait,
    /// From USER; taken by PASS.
    user: String,
    language: Language,
    utf8: bool,
    errors: u32,
    /// Commands before login that were no login.
    idle_commands: u32,
    auth_failures: u32,
    lines: Lines,
    output: Vec<u8>,
    /// When the peer last said something whole.
    heard: Tick,
    /// An answer was given since, which took time that is not the peer's silence.
    answered: bool,
}

/// What the machine waits for.
#[derive(Debug)]
enum Wait {
    Command,
    SaslResponse,
    /// The session's answer; for TOP, how many lines of the body are wanted.
    Session {
        lines: Option<u32>,
    },
    /// More of a multi-line answer.
    Body(Body),
    /// Nothing: flush and close.
    End,
}

impl Server {
    /// Starts and, unless `security` came by STLS, greets. The greeting has no
    /// timestamp in angle brackets: that would offer APOP.
    #[must_use]
    pub fn new(offer: Offer, limits: Limits, security: Security, now: Tick) -> Server {
        let greets = !security.how().upgraded();
        let mut server = Server {
            offer,
            limits,
            security,
            state: State::ExpectLogin,
            wait: Wait::Command,
            user: String::new(),
            language: Language::default(),
            utf8: false,
            errors: 0,
            idle_commands: 0,
            auth_failures: 0,
            lines: Lines::new(),
            output: Vec::new(),
            heard: now,
            answered: false,
        };
        if greets {
            let text = format!("{} {}", server.offer.host, server.language.text(Common::Ready));
            server.reply("+OK ", &text);
        }
        server
    }

    /// `+OK text` to the pending event.
    pub fn ok(&mut self, text: &str) {
        self.reply("+OK ", text);
        self.answered();
    }

    /// `-ERR [CODE] text` to the pending event; the state stays.
    pub fn err(&mut self, code: Option<Code>, text: &str) {
        self.reply(code.map_or("-ERR ", Code::head), text);
        self.answered();
    }

    /// Login succeeded and the maildrop is open: `+OK text`, transaction state.
    pub fn logged_in(&mut self, text: &str) {
        self.state = State::Transaction;
        self.ok(text);
    }

    /// Login failed: `-ERR [CODE] text`; with [`Code::Auth`] it counts against
    /// `auth_failures_max`, at which the connection ends.
    pub fn login_failed(&mut self, code: Code, text: &str) {
        self.err(Some(code), text);
        if code == Code::Auth {
            self.auth_failures += 1;
            if self.auth_failures >= self.limits.auth_failures_max {
                self.wait = Wait::End;
            }
        }
    }

    /// `+ base64` challenge.
    pub fn auth_challenge(&mut self, challenge: &[u8]) {
        login::challenge("+ ", challenge, &mut self.output);
        self.answered();
        self.wait = Wait::SaslResponse;
    }

    /// Begins a multi-line answer with `+OK text`.
    pub fn begin(&mut self, text: &str) {
        let lines = if let Wait::Session { lines } = self.wait { lines } else { None };
        self.reply("+OK ", text);
        self.wait = Wait::Body(Body::new(lines, self.utf8));
    }

    /// One line of a multi-line answer, without CRLF (`1 120`); dot-stuffed here.
    pub fn line(&mut self, text: &str) {
        if text.starts_with('.') {
            self.output.push(b'.');
        }
        self.put_text(text);
        self.output.extend_from_slice(b"\r\n");
    }

    /// A piece of a message for RETR or TOP, in any fragmentation; dot-stuffed
    /// here, lone CR or LF made CRLF, TOP's line count kept here, and before UTF8 the
    /// header made ASCII (RFC 6856 section 2.1): returns false when no more is wanted.
    pub fn message(&mut self, piece: &[u8]) -> bool {
        match &mut self.wait {
            Wait::Body(body) => body.push(piece, &mut self.output),
            _ => false,
        }
    }

    /// The message that begins now is ASCII, header and body: said before its first piece it saves looking for what is not.
    pub fn message_is_ascii(&mut self) {
        if let Wait::Body(body) = &mut self.wait {
            body.is_ascii();
        }
    }

    /// Ends a multi-line answer: completes the last line, `.`.
    pub fn end(&mut self) {
        if let Wait::Body(body) = &mut self.wait {
            body.end(&mut self.output);
            self.answered();
        }
    }

    /// A multi-line answer broke off (the store failed): the connection must close
    /// without the final dot, so that the client does not take a part for the whole.
    pub fn break_off(&mut self) {
        self.wait = Wait::End;
    }

    /// QUIT's update is done: `+OK text` or `-ERR [SYS/TEMP] text`, then the end.
    pub fn updated(&mut self, outcome: Result<&str, &str>) {
        match outcome {
            Ok(text) => self.reply("+OK ", text),
            Err(text) => self.reply(Code::SysTemp.head(), text),
        }
        self.wait = Wait::End;
    }

    /// The client said UTF8: it is sent messages as they are kept, and no surrogates.
    #[must_use]
    pub fn utf8(&self) -> bool {
        self.utf8
    }

    /// The connection's security.
    #[must_use]
    pub fn security(&self) -> &Security {
        &self.security
    }

    /// The language that the client has chosen; all texts of the session are in it (RFC 6856 section 3.2).
    #[must_use]
    pub fn tongue(&self) -> Language {
        self.language
    }

    fn answered(&mut self) {
        self.wait = Wait::Command;
        self.answered = true;
    }

    fn door(&self) -> Door {
        Door {
            encrypted: self.security.is_encrypted(),
            password: self.offer.user,
            sasl: !self.offer.mechanisms.is_empty(),
            starttls: self.offer.stls && !self.utf8,
        }
    }

    /// One whole line.
    fn take<'a>(&mut self, framed: Framed<'_>) -> Option<Event<'a>> {
        let sasl = matches!(self.wait, Wait::SaslResponse);
        let line = match framed {
            Framed::Line(line) => line,
            bad => {
                let text = if matches!(bad, Framed::TooLong) { Text::LineTooLong } else { Text::LineEnd };
                return if sasl { self.cancel(text) } else { self.refuse(Refusal::Syntax, text) };
            }
        };
        if sasl {
            return self.sasl_response(&line);
        }
        let word = line.split(|&byte| byte == b' ').next().unwrap_or_default();
        let Some(row) = gate::find(word) else {
            return self.refuse(Refusal::Syntax, Common::Unknown);
        };
        let rest = line.get(word.len() + 1..).unwrap_or_default();
        match gate::check(row, self.state, self.door()) {
            Verdict::Go => self.command(row, rest),
            Verdict::Shut(Shut::NeedsTls) => self.login_in_clear(row.word, rest),
            Verdict::Shut(Shut::NotOffered) => self.not_offered(),
            Verdict::Shut(Shut::AlreadyEncrypted) => self.refuse(Refusal::Syntax, Common::TlsActive),
            Verdict::Shut(Shut::CannotEncrypt) => self.refuse(Refusal::Syntax, Common::TlsUnavailable),
            Verdict::WrongState => self.refuse(Refusal::Syntax, Text::WrongState),
        }
    }

    fn command<'a>(&mut self, row: &Row, rest: &[u8]) -> Option<Event<'a>> {
        let Some(arguments) = Arguments::parse(row, rest) else {
            return self.refuse(Refusal::Syntax, Text::Syntax);
        };
        if matches!(row.word, Word::Auth | Word::Capa | Word::Lang | Word::User | Word::Utf8)
            && self.state != State::Transaction
        {
            self.idle_commands += 1;
            if self.idle_commands > self.limits.idle_commands_max {
                return self.too_many();
            }
        }
        match row.word {
            Word::Auth => return self.auth(&arguments),
            Word::Capa => self.capabilities(),
            Word::Lang => return self.language(&arguments),
            Word::Noop => self.say(Common::Done),
            Word::Pass => {
                self.state = State::ExpectLogin;
                let user = std::mem::take(&mut self.user);
                let password = Secret::new(rest);
                return self.ask(Event::Login(Turn::Password { user, password }));
            }
            Word::Quit if self.state == State::Transaction => return self.ask(Event::Update),
            Word::Quit => {
                self.say(Common::Bye);
                self.wait = Wait::End;
                return Some(Event::Quit);
            }
            Word::Rset => return self.ask(Event::Rset),
            Word::Stat => return self.ask(Event::Stat),
            Word::Stls => return self.ask(Event::StartTls),
            Word::User => match prep::user(rest) {
                // Whether the user exists is not told here (RFC 1939 section 13).
                Some(user) => {
                    self.user = user;
                    self.state = State::ExpectPass;
                    self.say(Text::SendPassword);
                }
                None => return self.refuse(Refusal::Syntax, Text::Syntax),
            },
            Word::Utf8 => {
                self.utf8 = true;
                self.say(Text::Utf8);
                return Some(Event::Utf8);
            }
            Word::Dele | Word::List | Word::Retr | Word::Top | Word::Uidl => {
                return self.about_messages(row.word, &arguments);
            }
        }
        None
    }

    fn about_messages<'a>(&mut self, word: Word, arguments: &Arguments<'_>) -> Option<Event<'a>> {
        // Messages count from 1; TOP may ask for 0 lines.
        let message = arguments.first.map(|text| number(text).filter(|&n| n > 0));
        let lines = arguments.second.map(number);
        if message == Some(None) || lines == Some(None) {
            return self.refuse(Refusal::Syntax, Text::Syntax);
        }
        let (message, lines) = (message.flatten(), lines.flatten());
        let one = message.unwrap_or_default();
        let event = match word {
            Word::Dele => Event::Dele(one),
            Word::Retr => Event::Retr(one),
            Word::Top => Event::Top { message: one, lines: lines.unwrap_or_default() },
            Word::List => Event::List(message),
            _ => Event::Uidl(message),
        };
        self.ask(event)
    }

    fn ask<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        let lines = if let Event::Top { lines, .. } = event { Some(lines) } else { None };
        self.wait = Wait::Session { lines };
        Some(event)
    }

    /// AUTH (RFC 5034 section 4). Without an argument it lists the mechanisms, as
    /// clients older than CAPA expect.
    fn auth<'a>(&mut self, arguments: &Arguments<'_>) -> Option<Event<'a>> {
        let Some(name) = arguments.first else {
            self.say(Text::ListFollows);
            for mechanism in &self.offer.mechanisms {
                self.output.extend_from_slice(mechanism.name().as_bytes());
                self.output.extend_from_slice(b"\r\n");
            }
            self.output.extend_from_slice(b".\r\n");
            return None;
        };
        let Some(mechanism) = login::offered(name, &self.offer.mechanisms) else { return self.not_offered() };
        let Ok(initial) = login::initial(arguments.second) else {
            return self.refuse(Refusal::Syntax, Common::Base64);
        };
        self.state = State::ExpectLogin;
        self.ask(Event::Login(Turn::Start { mechanism, initial }))
    }

    fn sasl_response<'a>(&mut self, line: &[u8]) -> Option<Event<'a>> {
        match login::message(line) {
            Ok(Some(message)) => self.ask(Event::Login(Turn::Message(message))),
            Ok(None) => self.cancel(Common::Cancelled),
            Err(_) => self.cancel(Common::Base64),
        }
    }

    /// Ends a SASL exchange by the client's wish or fault (RFC 5034 section 4).
    fn cancel<'a>(&mut self, text: impl Said) -> Option<Event<'a>> {
        self.wait = Wait::Command;
        match self.refuse(Refusal::Syntax, text) {
            Some(Event::Refused(Refusal::TooManyErrors)) => Some(Event::Refused(Refusal::TooManyErrors)),
            _ => Some(Event::Login(Turn::Cancelled)),
        }
    }

    /// A login on a clear connection. What came with it was readable by anybody.
    fn login_in_clear<'a>(&mut self, word: Word, rest: &[u8]) -> Option<Event<'a>> {
        let exposed = match word {
            Word::Pass => !rest.is_empty(),
            Word::Auth => login::exposed(rest),
            _ => false,
        };
        let text = advice::needs_tls(self.offer.encrypted, self.language);
        self.refuse_with(Refusal::Login(login::Refusal::NeedsTls { exposed }), &text)
    }

    fn not_offered<'a>(&mut self) -> Option<Event<'a>> {
        self.refuse(Refusal::Login(login::Refusal::NotOffered), Common::NotOffered)
    }

    fn refuse<'a>(&mut self, refusal: Refusal, text: impl Said) -> Option<Event<'a>> {
        self.refuse_with(refusal, self.language.text(text))
    }

    /// The one refusal path: every refusal counts as an error.
    fn refuse_with<'a>(&mut self, refusal: Refusal, text: &str) -> Option<Event<'a>> {
        self.errors += 1;
        if self.errors < self.limits.errors_max {
            self.reply("-ERR ", text);
            return Some(Event::Refused(refusal));
        }
        self.too_many()
    }

    fn too_many<'a>(&mut self) -> Option<Event<'a>> {
        self.reply("-ERR ", self.language.text(Common::TooManyErrors));
        self.wait = Wait::End;
        Some(Event::Refused(Refusal::TooManyErrors))
    }

    fn capabilities(&mut self) {
        self.say(Text::ListFollows);
        capa::write(&self.offer, self.state, self.door(), &mut self.output);
    }

    /// LANG (RFC 6856 section 3).
    fn language<'a>(&mut self, arguments: &Arguments<'_>) -> Option<Event<'a>> {
        let Some(tag) = arguments.first else {
            self.say(Text::ListFollows);
            for (tag, name) in LANGUAGES {
                self.output.extend_from_slice(format!("{tag} {name}\r\n").as_bytes());
            }
            self.output.extend_from_slice(b".\r\n");
            return None;
        };
        let Some((language, tag)) = std::str::from_utf8(tag).ok().and_then(Language::find) else {
            return self.refuse(Refusal::Syntax, Text::NoLanguage);
        };
        self.language = language;
        self.reply("+OK ", &format!("{tag} {}", language.text(Common::Language)));
        Some(Event::Language(tag))
    }

    fn say(&mut self, text: impl Said) {
        self.reply("+OK ", self.language.text(text));
    }

    fn reply(&mut self, head: &str, text: &str) {
        self.output.extend_from_slice(head.as_bytes());
        let mut room = REPLY_BYTES_MAX - 2 - head.len();
        if text.len() <= room {
            room = text.len();
        }
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        self.put_text(&text[..room]);
        self.output.extend_from_slice(b"\r\n");
    }

    /// A text on one line, whatever is in it.
    fn put_text(&mut self, text: &str) {
        if memchr::memchr2(b'\r', b'\n', text.as_bytes()).is_none() {
            self.output.extend_from_slice(text.as_bytes());
        } else {
            self.output.extend_from_slice(text.replace(['\r', '\n'], " ").as_bytes());
        }
    }
}

impl Code {
    fn head(self) -> &'static str {
        match self {
            Code::InUse => "-ERR [IN-USE] ",
            Code::LoginDelay => "-ERR [LOGIN-DELAY] ",
            Code::Auth => "-ERR [AUTH] ",
            Code::SysTemp => "-ERR [SYS/TEMP] ",
            Code::SysPerm => "-ERR [SYS/PERM] ",
            Code::Utf8 => "-ERR [UTF8] ",
        }
    }
}

impl Machine for Server {
    type Event<'a> = Event<'a>;

    fn receive<'a>(&mut self, input: &'a [u8], now: Tick) -> (usize, Option<Event<'a>>) {
        if std::mem::take(&mut self.answered) {
            self.heard = now;
        }
        let mut used = 0;
        while used < input.len() && matches!(self.wait, Wait::Command | Wait::SaslResponse) {
            let sasl = matches!(self.wait, Wait::SaslResponse);
            let limits = &self.limits;
            let (taken, framed) = self.lines.next(&input[used..], |start| line_limit(limits, sasl, start));
            used += taken;
            let Some(framed) = framed else { break };
            // Only a whole line counts: one octet a minute is silence too.
            self.heard = now;
            let event = self.take(framed);
            if event.is_some() {
                return (used, event);
            }
            if self.output.len() >= OUTPUT_BYTES_FULL {
                break;
            }
        }
        (used, None)
    }

    /// RFC 1939 section 3: the connection is closed without removing any message
    /// *and without sending any response*, which a client could take for the
    /// answer to the command that it is just about to send.
    fn timeout(&mut self, now: Tick) {
        if std::mem::take(&mut self.answered) {
            // The time went by while the peer was being answered.
            self.heard = now;
        } else if matches!(self.wait, Wait::Command | Wait::SaslResponse) {
            self.wait = Wait::End;
        }
    }

    fn deadline(&self) -> Tick {
        match self.wait {
            // It is our turn: the peer's silence means nothing.
            Wait::Session { .. } | Wait::Body(_) => Tick(u64::MAX),
            _ if self.state == State::Transaction => self.heard.plus_seconds(self.limits.idle_seconds_max),
            _ => self.heard.plus_seconds(self.limits.login_seconds_max),
        }
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    fn ended(&self) -> bool {
        matches!(self.wait, Wait::End)
    }

    fn idle(&self) -> bool {
        matches!(self.wait, Wait::Command) && !self.lines.partial()
    }

    /// The code tells the client that the next try will do (RFC 3206 section 4).
    fn shutdown(&mut self) {
        if !matches!(self.wait, Wait::End | Wait::Body(_)) {
            self.reply(Code::SysTemp.head(), self.language.text(Common::Stopping));
        }
        self.wait = Wait::End;
    }

    fn tls_go_ahead(&mut self) {
        self.say(Common::BeginTls);
        self.answered();
    }

    fn tls_early_bytes(&mut self) {
        self.reply("-ERR ", self.language.text(Common::EarlyBytes));
        self.wait = Wait::End;
    }
}

/// AUTH may carry an initial response, which needs more room than RFC 2449's 255 octets.
fn line_limit(limits: &Limits, sasl: bool, start: &[u8]) -> usize {
    let auth = start.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"AUTH "));
    if sasl || auth { limits.auth_line_bytes_max } else { limits.line_bytes_max }
}
