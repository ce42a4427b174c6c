//! A small fixed session above the machine of IMAP's server, and what drives both.
//!
//! The account of [`crate::login`] has two mailboxes, INBOX with three messages and Archive
//! with one. What the commands do to mailboxes is not shown here, only that they arrive and are answered:
//! nothing changes them. Some names and sizes are refused, so that each step of APPEND can be.

use crate::login::{self, Login, Said};
use crate::rules::Observed;
use crate::script::Script;
use crate::talk::{self, Stage};
use proto::advice::Encrypted;
use proto::imap::code::Code;
use proto::imap::command::{Command, Fetch};
use proto::imap::encode;
use proto::imap::language::{self, Common, Text, Words};
use proto::imap::server::{Limits, Offer, Server};
use proto::imap::set::SetOrSaved;
use proto::imap::{Append, Event};
use proto::machine::{Machine, Tick};
use proto::proof::{How, Security};
use proto::sasl::Policy;
use proto::service::Protocol;

/// Mailboxes and how many messages they have; the UIDs are ten times the numbers.
pub const MAILBOXES: [(&str, u32); 2] = [("INBOX", 3), ("Archive", 1)];
/// Octets of a literal that the session refuses as too much for its quota.
const QUOTA_BYTES: u64 = 1000;

/// How a connection is set up; the head of a transcript.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Protection of the connection.
    pub how: How,
    /// Which mechanisms there are.
    pub policy: Policy,
    /// Rules of domains, which decide in place of the policy.
    pub rules: Option<Observed>,
    /// Of the machine.
    pub limits: Limits,
    /// STARTTLS can be had.
    pub starttls: bool,
    /// LOGIN may be used where passwords may.
    pub login: bool,
    /// COMPRESS can be had.
    pub compress: bool,
    /// Bytes in clear are taken to have come behind STARTTLS.
    pub early_bytes: bool,
    /// Octets of one message.
    pub append_bytes_max: u64,
    /// As CAPABILITY says it.
    pub message_limit: Option<u32>,
}

impl Setup {
    /// The usual one.
    #[must_use]
    pub fn new(how: How) -> Setup {
        Setup {
            how,
            policy: Policy { cram_md5: true, ..Policy::default() },
            rules: None,
            limits: Limits::default(),
            starttls: true,
            login: true,
            compress: true,
            early_bytes: false,
            append_bytes_max: 2000,
            message_limit: None,
        }
    }

    /// What a transcript's head asks for.
    ///
    /// # Errors
    /// The setting that is none.
    pub fn of(script: &Script) -> Result<Setup, String> {
        let mut setup = Setup::new(How::Implicit);
        for (key, value) in script.settings() {
            setup.set(key, value)?;
        }
        Ok(setup)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let number = || value.parse::<u32>().map_err(|e| format!("{key}: {e}"));
        match (key, value) {
            ("security", "clear") => self.how = How::Clear,
            ("security", "implicit") => self.how = How::Implicit,
            ("rules", "observed") => self.rules = Some(Observed::at(Protocol::Imap)),
            ("clear_allowed", _) => self.policy.clear_allowed = value == "yes",
            ("password_sent", _) => self.policy.password_sent = value == "yes",
            ("starttls", _) => self.starttls = value == "yes",
            ("login", _) => self.login = value == "yes",
            ("compress", _) => self.compress = value == "yes",
            ("early-bytes", _) => self.early_bytes = value == "yes",
            ("message_limit", _) => self.message_limit = Some(number()?),
            ("errors_max", _) => self.limits.errors_max = number()?,
            ("auth_failures_max", _) => self.limits.auth_failures_max = number()?,
            ("auth_line_bytes_max", _) => self.limits.auth_line_bytes_max = number()? as usize,
            ("line_bytes_max", _) => self.limits.line_bytes_max = number()? as usize,
            ("command_bytes_max", _) => self.limits.command_bytes_max = number()? as usize,
            ("append_messages_max", _) => self.limits.append_messages_max = number()?,
            ("literals_max", _) => self.limits.literals_max = number()? as usize,
            ("discard_bytes_max", _) => self.limits.discard_bytes_max = number()?.into(),
            ("login_discard_bytes_max", _) => self.limits.login_discard_bytes_max = number()?.into(),
            _ => return Err(format!("unknown setting {key}: {value}")),
        }
        Ok(())
    }

    /// Invented, where the connection is.
    #[must_use]
    pub fn security(&self) -> Security {
        login::security(self.how)
    }

    /// The machine of a connection with this protection.
    #[must_use]
    pub fn server(&self, security: Security, now: Tick) -> Server {
        let mechanisms = login::offered(&self.policy, self.rules.as_ref(), &security);
        let offer = Offer {
            host: "mail.example.test".to_owned(),
            starttls: self.starttls,
            login: self.login && self.policy.password_sent && !mechanisms.is_empty(),
            mechanisms,
            compress: self.compress,
            encrypted: self.rules.as_ref().map_or(Encrypted::default(), Observed::encrypted),
            append_bytes_max: self.append_bytes_max,
            message_limit: self.message_limit,
        };
        Server::new(offer, self.limits.clone(), security, now)
    }
}

/// What the session here says in words of its own.
#[must_use]
pub fn ready(text: &str) -> Words<'_> {
    Words::Ready(text.into())
}

/// The session above the machine: what it knows and what it was told.
#[derive(Default)]
pub struct Above {
    login: Login,
    /// How many messages the open mailbox has.
    selected: Option<u32>,
    /// Octets of the text of a message, so far.
    text: Vec<u8>,
    /// APPEND goes to a mailbox whose disk fails.
    failing: bool,
    /// What the machine answered by itself and told, and the steps of APPEND.
    pub events: Vec<String>,
}

impl Above {
    /// Begins, or begins anew behind STARTTLS.
    #[must_use]
    pub fn new(setup: &Setup) -> Above {
        Above { login: Login::new(setup.policy.clone(), setup.rules.clone()), ..Above::default() }
    }

    /// Answers an event. True: it was STARTTLS, which whoever moves the bytes answers.
    pub fn answer(&mut self, server: &mut Server, event: Event<'_>) -> bool {
        match event {
            Event::Login(turn) => match self.login.turn(turn, server.security()) {
                Some(said) => Above::say(server, said),
                None => self.events.push("AuthCancelled".to_owned()),
            },
            Event::Logout | Event::Refused(_) => self.events.push(format!("{event:?}")),
            Event::StartTls => return true,
            Event::IdleDone => {
                self.events.push("IdleDone".to_owned());
                server.ok(None, ready("IDLE is over"));
            }
            Event::Append(step) => self.append(server, step),
            Event::Command(command) => {
                self.events.push(format!("{command:?}"));
                self.command(server, *command);
            }
        }
        false
    }

    fn say(server: &mut Server, said: Said) {
        let wrong = "wrong user name or password";
        match said {
            Said::Challenge(challenge) => server.auth_challenge(&challenge),
            Said::In => server.logged_in(ready("logged in")),
            Said::Denied(denied, text) => server.login_failed(Code::of_denied(denied), text),
            Said::Wrong => server.login_failed(Code::AuthenticationFailed, ready(wrong)),
            Said::Malformed => server.bad(None, ready("malformed")),
        }
    }

    /// Each step is told; the text of a message in one piece, when it is complete.
    fn append(&mut self, server: &mut Server, step: Append<'_>) {
        if let Append::Data(octets) = step {
            self.text.extend_from_slice(octets);
            if self.failing {
                server.append_refuse(Some(Code::ServerBug), ready("the disk is broken"));
                self.text.clear();
            }
            return;
        }
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() && !matches!(step, Append::Aborted) {
            self.events.push(format!("Data {}", crate::script::escape(&text)));
        }
        self.events.push(format!("{step:?}"));
        match step {
            Append::Begin { mailbox, .. } => {
                self.failing = mailbox == "Failing";
                match mailbox.as_str() {
                    "Locked" => {
                        server.append_refuse(Some(Code::NoPerm), ready("you may not put messages there"))
                    }
                    "INBOX" | "Archive" | "Failing" => server.append_go(),
                    _ => server.append_refuse(Some(Code::TryCreate), ready("no such mailbox")),
                }
            }
            Append::Message { flags, .. } if flags.len() > 5 => {
                server.append_refuse(Some(Code::Limit), ready("too many flags"));
            }
            Append::Text { bytes, .. } if bytes > QUOTA_BYTES => {
                server.append_refuse(Some(Code::OverQuota), ready("the mailbox is full"));
            }
            Append::Url(url) if !url.starts_with("/INBOX") => {
                server.append_refuse(Some(Code::BadUrl(url)), ready("no such message"));
            }
            Append::Message { .. } | Append::Text { .. } | Append::Url(_) => server.append_go(),
            Append::End => server.ok(None, ready("APPEND completed")),
            Append::Data(_) | Append::MessageEnd | Append::Aborted => {}
        }
    }

    fn command(&mut self, server: &mut Server, command: Command) {
        match command {
            Command::Select(select) => return self.select(server, &select.mailbox, select.read_only),
            Command::Close | Command::Unselect => {
                self.selected = None;
                server.set_selected(false);
            }
            Command::Fetch(fetch) => self.fetch(server, &fetch),
            Command::Search(_) => server.output().extend_from_slice(b"* SEARCH 1\r\n"),
            Command::List(_) => {
                for (name, _) in MAILBOXES {
                    server.output().extend_from_slice(format!("* LIST () \"/\" {name}\r\n").as_bytes());
                }
            }
            Command::Idle => {
                server.idle_begin();
                server.output().extend_from_slice(b"* 4 EXISTS\r\n");
                return;
            }
            Command::Unauthenticate => {
                self.selected = None;
                return server.unauthenticated();
            }
            Command::Compress => server.set_compressed(),
            Command::Language(ranges) => return Above::language(server, &ranges),
            Command::Delete(name) if name == "INBOX" => {
                return server.no(Some(Code::Cannot), ready("not INBOX"));
            }
            Command::Noop if self.selected.is_some() && server.may_expunge() => {
                server.untagged_ok(None, ready("an EXPUNGE could be told here"));
            }
            _ => {}
        }
        server.ok(None, ready("done"));
    }

    fn select(&mut self, server: &mut Server, mailbox: &str, read_only: bool) {
        let found = MAILBOXES.iter().find(|(name, _)| *name == mailbox);
        self.selected = found.map(|(_, count)| *count);
        // RFC 9051 6.3.2: a SELECT that fails leaves no mailbox open.
        server.set_selected(found.is_some());
        let Some((_, count)) = found else {
            return server.no(Some(Code::NonExistent), ready("no such mailbox"));
        };
        server.output().extend_from_slice(format!("* {count} EXISTS\r\n").as_bytes());
        server.untagged_ok(Some(Code::UidValidity(7)), ready("UIDs are valid"));
        server.ok(Some(if read_only { Code::ReadOnly } else { Code::ReadWrite }), ready("selected"));
    }

    fn fetch(&mut self, server: &mut Server, fetch: &Fetch) {
        let count = self.selected.unwrap_or_default();
        let SetOrSaved::Set(set) = &fetch.set else { return };
        let factor = if fetch.uid { 10 } else { 1 };
        let ranges = set.resolve(count * factor);
        let named = |n: u32| ranges.iter().any(|&(from, to)| (from..=to).contains(&(n * factor)));
        let uid_only = server.enabled().uid_only;
        for n in (1..=count).filter(|&n| named(n)) {
            let out = server.output();
            let line = if uid_only {
                format!("* {} UIDFETCH (FLAGS ", n * 10)
            } else {
                format!("* {n} FETCH (FLAGS ")
            };
            out.extend_from_slice(line.as_bytes());
            encode::flags(u64::from(n), &[], out);
            out.extend_from_slice(b")\r\n");
        }
        if !server.may_expunge() {
            server.untagged_ok(None, ready("no EXPUNGE may be told here"));
        }
    }

    fn language(server: &mut Server, ranges: &[String]) {
        if ranges.is_empty() {
            let tags: Vec<String> = language::tags().map(|tag| format!("\"{tag}\"")).collect();
            let tags = tags.join(" ");
            server.output().extend_from_slice(format!("* LANGUAGE ({tags})\r\n").as_bytes());
            return server.ok(None, ready("done"));
        }
        match language::find(ranges) {
            Some((_, tag)) => {
                server.output().extend_from_slice(format!("* LANGUAGE (\"{tag}\")\r\n").as_bytes());
                server.set_language(tag);
                server.ok(None, Common::Language);
            }
            None => server.no(None, Text::NoLanguages),
        }
    }
}

impl Stage for Above {
    type Setup = Setup;
    type Server = Server;

    fn new(setup: &Setup) -> Above {
        Above::new(setup)
    }

    fn answer(&mut self, server: &mut Server, event: Event<'_>) -> bool {
        Above::answer(self, server, event)
    }

    fn events(&mut self) -> &mut Vec<String> {
        &mut self.events
    }

    fn server(setup: &Setup, now: Tick) -> Server {
        setup.server(setup.security(), now)
    }

    fn secure(setup: &mut Setup) -> bool {
        if !setup.early_bytes {
            setup.how = How::StartTls;
        }
        !setup.early_bytes
    }
}

/// A machine and the fixed session above it.
pub type Talk = talk::Talk<Above>;
