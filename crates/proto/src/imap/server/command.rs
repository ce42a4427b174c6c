//! One command: through the gate, then answered here or handed up.

use super::append::Walk;
use super::reply::Condition;
use super::{Server, Wait};
use crate::advice;
use crate::imap::code::Code;
use crate::imap::command::{Command, Key};
use crate::imap::framing::Framed;
use crate::imap::gate::{self, Row, State, Verdict};
use crate::imap::language::{Common, Text, Words};
use crate::imap::parse::{self, Announced};
use crate::imap::set::SetOrSaved;
use crate::imap::{Event, Refusal};
use crate::login::{self, Shut, Turn};
use zeroize::Zeroizing;

/// Stops the path of a command: it was refused, with what is to be told of it.
type Stopped<'a> = Option<Event<'a>>;

impl Server {
    pub(super) fn command<'a>(&mut self, framed: Framed<'a>) -> Option<Event<'a>> {
        match framed {
            Framed::Command(text) => match self.admit(&text, None) {
                Ok((row, at)) => self.run(row, &text, at),
                Err(stopped) => stopped,
            },
            Framed::Literal(announced) => self.announced(announced),
            Framed::TooLong => {
                self.name_kept();
                self.refuse(Some(Refusal::Syntax), Condition::Bad, Some(Code::Limit), Text::LineTooLong)
            }
            Framed::BadBytes => {
                self.name_kept();
                self.refuse_syntax(Text::LineBytes)
            }
            // Read away, or a literal that passes: neither comes between commands.
            Framed::Data(_) | Framed::ReadAway | Framed::Flood => None,
        }
    }

    /// A command so far, with a literal to come. The gate is asked now: a client that waits is
    /// refused before it has sent its password.
    fn announced<'a>(&mut self, announced: Announced) -> Option<Event<'a>> {
        if self.gather.literals() == 0 {
            let text = Zeroizing::new(self.gather.text().to_vec());
            let (row, at) = match self.admit(&text, Some(announced)) {
                Ok(admitted) => admitted,
                Err(stopped) => return stopped,
            };
            if streams(row) {
                self.wait = Wait::Append(Box::new(Walk::new(&text, at, false)));
                return None;
            }
        }
        self.gather_literal(announced).err().flatten()
    }

    /// Gathers a literal with the command, if there is room for it.
    pub(super) fn gather_literal<'a>(&mut self, announced: Announced) -> Result<(), Stopped<'a>> {
        let limits = &self.limits;
        let (all, one) = if self.state == State::NotAuthenticated {
            // LOGIN has two arguments; a stranger needs no more room than that.
            let one = limits.login_literal_bytes_max;
            (limits.auth_line_bytes_max as u64 + 2 * one, one)
        } else {
            (limits.command_bytes_max as u64, u64::MAX)
        };
        let room = all.saturating_sub(self.gather.text().len() as u64).min(one);
        let syntax = Some(Refusal::Syntax);
        if announced.bytes > room {
            return Err(self.refuse(syntax, Condition::Bad, Some(Code::TooBig), Text::LiteralTooLong));
        }
        if self.gather.literals() >= self.limits.literals_max {
            return Err(self.refuse(syntax, Condition::Bad, Some(Code::Limit), Text::LiteralsTooMany));
        }
        self.go_ahead(announced);
        self.gather.take_literal();
        Ok(())
    }

    /// Lets a client that waits send its literal.
    pub(super) fn go_ahead(&mut self, announced: Announced) {
        if announced.sync {
            let text = self.language.say(Text::ReadyFor, &[announced.bytes]);
            self.output.extend_from_slice(b"+ ");
            self.end_with(&text.into());
            self.answered = true;
        }
    }

    /// Takes tag and word from what is kept of a command that is no good otherwise.
    fn name_kept(&mut self) {
        self.tag.clear();
        if let Ok(head) = parse::head(self.gather.text()) {
            self.tag.push_str(head.tag);
        }
    }

    /// May this command pass? Its row, and where its arguments begin. `ahead` is the literal with which
    /// the text ends.
    fn admit<'a>(
        &mut self,
        text: &[u8],
        ahead: Option<Announced>,
    ) -> Result<(&'static Row, usize), Stopped<'a>> {
        self.tag.clear();
        let head = match parse::head(text) {
            Ok(head) => head,
            Err(fault) => return Err(self.refuse_fault(&fault)),
        };
        self.tag.push_str(head.tag);
        let Some(row) = gate::find(&head.word) else {
            return Err(self.refuse_syntax(Common::Unknown));
        };
        self.row = Some(row);
        let bug = |server: &mut Server, text: Words<'static>| {
            Err(server.refuse(Some(Refusal::Syntax), Condition::Bad, Some(Code::ClientBug), text))
        };
        match gate::check(row, self.state, self.door()) {
            Verdict::Go => Ok((row, head.arguments)),
            Verdict::Shut(Shut::NeedsTls) => {
                let rest = text.get(head.arguments..).unwrap_or_default();
                let exposed = if row.name == "LOGIN" {
                    // A client that waits to send a literal has not sent its password yet.
                    !rest.is_empty() && !ahead.is_some_and(|announced| announced.sync)
                } else {
                    login::exposed(rest)
                };
                let refusal = Some(Refusal::Login(login::Refusal::NeedsTls { exposed }));
                let text = advice::needs_tls(self.offer.encrypted, self.language);
                Err(self.refuse(refusal, Condition::No, Some(Code::PrivacyRequired), text))
            }
            Verdict::Shut(Shut::NotOffered) => {
                let login = row.name == "LOGIN";
                Err(self.not_offered(if login {
                    Text::NoLoginCommand.into()
                } else {
                    Common::NotOffered.into()
                }))
            }
            Verdict::Shut(Shut::AlreadyEncrypted) => bug(self, Common::TlsActive.into()),
            Verdict::Shut(Shut::CannotEncrypt) => bug(self, Common::TlsUnavailable.into()),
            Verdict::CannotCompress => bug(self, Text::CompressUnavailable.into()),
            Verdict::Compressed => bug(self, Text::Compressed.into()),
            Verdict::LoggedIn => bug(self, Text::LoggedInAlready.into()),
            Verdict::NotLoggedIn => bug(self, Text::NotLoggedIn.into()),
            Verdict::NotSelected => bug(self, Text::NotSelected.into()),
            Verdict::Selected => bug(self, Text::SelectedAlready.into()),
            Verdict::UidRequired => Err(self.uid_required()),
        }
    }

    fn not_offered<'a>(&mut self, text: Words<'static>) -> Stopped<'a> {
        let refusal = Refusal::Login(login::Refusal::NotOffered);
        self.refuse(Some(refusal), Condition::No, Some(Code::Cannot), text)
    }

    fn uid_required<'a>(&mut self) -> Stopped<'a> {
        self.refuse(Some(Refusal::Syntax), Condition::Bad, Some(Code::UidRequired), Text::UidRequired)
    }

    /// A whole command that the gate let through.
    fn run<'a>(&mut self, row: &'static Row, text: &[u8], at: usize) -> Option<Event<'a>> {
        let rest = text.get(at..).unwrap_or_default();
        match row.name {
            _ if streams(row) => {
                self.wait = Wait::Append(Box::new(Walk::new(text, at, true)));
                None
            }
            "CAPABILITY" | "LOGOUT" | "STARTTLS" if !rest.is_empty() => self.refuse_syntax(Text::NoArguments),
            "CAPABILITY" => {
                self.output.extend_from_slice(b"* ");
                self.capabilities();
                self.output.extend_from_slice(b"\r\n");
                self.say(Text::Capabilities);
                None
            }
            "LOGOUT" => {
                self.output.extend_from_slice(b"* BYE ");
                self.end_with(&Common::Bye.into());
                self.say(Text::LoggedOut);
                self.wait = Wait::End;
                Some(Event::Logout)
            }
            "STARTTLS" => self.ask(Event::StartTls),
            "ENABLE" => self.enable(rest),
            "LOGIN" => match parse::login(rest) {
                Ok((user, password)) => self.ask(Event::Login(Turn::Password { user, password })),
                Err(fault) => self.refuse_fault(&fault),
            },
            "AUTHENTICATE" => self.authenticate(rest),
            word => match parse::arguments(word, rest, self.dialect()) {
                Ok(command) if self.enabled.uid_only && names_sequence(&command) => self.uid_required(),
                Ok(command) => {
                    self.counts = names_sequence(&command);
                    self.ask(Event::Command(Box::new(command)))
                }
                Err(fault) => self.refuse_fault(&fault),
            },
        }
    }

    /// Hands it up; the session answers.
    fn ask<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        self.wait = Wait::Session;
        Some(event)
    }

    /// The machine's own tagged OK.
    fn say(&mut self, text: Text) {
        self.tagged(Condition::Ok, None, &text.into());
        self.errors = 0;
        self.finish();
    }

    /// ENABLE (RFC 5161): names what it newly switched on, and nothing else.
    fn enable<'a>(&mut self, rest: &[u8]) -> Option<Event<'a>> {
        let words = match parse::enable(rest) {
            Ok(words) => words,
            Err(fault) => return self.refuse_fault(&fault),
        };
        self.output.extend_from_slice(b"* ENABLED");
        for word in words {
            let enabled = &mut self.enabled;
            let (flag, name) = match word.as_str() {
                "IMAP4REV2" => (&mut enabled.rev2, "IMAP4rev2"),
                "UTF8=ACCEPT" => (&mut enabled.utf8, "UTF8=ACCEPT"),
                "CONDSTORE" => (&mut enabled.condstore, "CONDSTORE"),
                "QRESYNC" => (&mut enabled.qresync, "QRESYNC"),
                "UIDONLY" => (&mut enabled.uid_only, "UIDONLY"),
                _ => continue,
            };
            if !std::mem::replace(flag, true) {
                self.output.push(b' ');
                self.output.extend_from_slice(name.as_bytes());
            }
        }
        // RFC 7162 3.2.3: QRESYNC switches CONDSTORE on.
        self.enabled.condstore |= self.enabled.qresync;
        self.output.extend_from_slice(b"\r\n");
        self.say(Text::Enabled);
        None
    }

    /// AUTHENTICATE (RFC 9051 6.2.2) with an initial response (RFC 4959).
    fn authenticate<'a>(&mut self, rest: &[u8]) -> Option<Event<'a>> {
        let (name, initial) = match parse::authenticate(rest) {
            Ok(parsed) => parsed,
            Err(fault) => return self.refuse_fault(&fault),
        };
        let Some(mechanism) = login::offered(name.as_bytes(), &self.offer.mechanisms) else {
            return self.not_offered(Common::NotOffered.into());
        };
        match login::initial(initial) {
            Ok(initial) => self.ask(Event::Login(Turn::Start { mechanism, initial })),
            Err(_) => self.refuse_syntax(Common::Base64),
        }
    }

    /// The client's turn in a SASL exchange.
    pub(super) fn sasl_response<'a>(&mut self, framed: Framed<'a>) -> Option<Event<'a>> {
        let Framed::Command(line) = framed else {
            let long = matches!(framed, Framed::TooLong);
            return self.cancel(if long { Text::LineTooLong } else { Text::LineBytes });
        };
        match login::message(&line) {
            Ok(Some(message)) => self.ask(Event::Login(Turn::Message(message))),
            Ok(None) => self.cancel(Common::Cancelled),
            Err(_) => self.cancel(Common::Base64),
        }
    }

    /// Ends a SASL exchange by the client's wish or fault: BAD (RFC 9051 6.2.2).
    fn cancel<'a>(&mut self, text: impl Into<Words<'static>>) -> Option<Event<'a>> {
        match self.refuse_syntax(text) {
            Some(Event::Refused(Refusal::TooManyErrors)) => Some(Event::Refused(Refusal::TooManyErrors)),
            _ => Some(Event::Login(Turn::Cancelled)),
        }
    }
}

/// Commands whose literals pass through.
fn streams(row: &Row) -> bool {
    matches!(row.name, "APPEND" | "REPLACE" | "UID REPLACE")
}

/// Sequence numbers inside a command whose word says nothing of them: refused with UIDONLY (RFC 9586 section 3), and no
/// removal may be announced meanwhile.
fn names_sequence(command: &Command) -> bool {
    match command {
        Command::Search(search)
        | Command::Sort { search, .. }
        | Command::Thread { search, .. }
        | Command::Multisearch { search, .. } => key_names_sequence(&search.key),
        Command::Select(select) => select.qresync.as_ref().is_some_and(|known| known.matches.is_some()),
        _ => false,
    }
}

/// The parser bounds the depth of keys.
fn key_names_sequence(key: &Key) -> bool {
    match key {
        Key::Set(SetOrSaved::Set(_)) => true,
        Key::And(keys) => keys.iter().any(key_names_sequence),
        Key::Or(one, other) => key_names_sequence(one) || key_names_sequence(other),
        Key::Not(key) | Key::Fuzzy(key) => key_names_sequence(key),
        _ => false,
    }
}
