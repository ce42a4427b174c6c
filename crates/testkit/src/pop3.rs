//! A small fixed maildrop above the machine of POP3's server, and what drives both.
//!
//! The account of [`crate::login`] has the three [`MESSAGES`].

use crate::login::{self, Login, Said};
use crate::rules::Observed;
use crate::script::Script;
use crate::talk::{self, Stage};
use proto::advice::Encrypted;
use proto::machine::Tick;
use proto::pop3::Event;
use proto::pop3::server::{Code, Limits, Offer, Server};
use proto::proof::{How, Security};
use proto::sasl::Policy;
use proto::service::Protocol;
use std::collections::BTreeSet;

/// What lies in the maildrop.
pub const MESSAGES: [&str; 3] = [
    "Subject: one\r\n\r\nfirst\r\n.dot\r\n..two\r\n",
    "Subject: two\n\nlone LF\rlone CR",
    "Subject: three\r\n\r\n1\r\n2\r\n3\r\n",
];

/// What lies there if a transcript asks for `mail: international`.
pub const INTERNATIONAL: [&str; 1] = [concat!(
    "From: Jörg <jörg@example.test>\r\nTo: Ann <ann@bücher.example>\r\nSubject: Grüße, Ann\r\n",
    "Content-Type: text/plain; charset=utf-8\r\n\r\nschöne Grüße\r\n.\r\nSubject: ä\r\n"
)];

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
    /// STLS can be had.
    pub stls: bool,
    /// What lies in the maildrop.
    pub messages: &'static [&'static str],
    /// Bytes in clear are taken to have come behind STLS.
    pub early_bytes: bool,
    /// As CAPA says it.
    pub expire_days: Option<u32>,
    /// As CAPA says it.
    pub login_delay_seconds: u32,
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
            stls: true,
            messages: &MESSAGES,
            early_bytes: false,
            expire_days: None,
            login_delay_seconds: 0,
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
            ("rules", "observed") => self.rules = Some(Observed::at(Protocol::Pop3)),
            ("clear_allowed", _) => self.policy.clear_allowed = value == "yes",
            ("password_sent", _) => self.policy.password_sent = value == "yes",
            ("mail", "international") => self.messages = &INTERNATIONAL,
            ("stls", _) => self.stls = value == "yes",
            ("early-bytes", _) => self.early_bytes = value == "yes",
            ("expire_days", _) => self.expire_days = Some(number()?),
            ("login_delay_seconds", _) => self.login_delay_seconds = number()?,
            ("idle_commands_max", _) => self.limits.idle_commands_max = number()?,
            ("errors_max", _) => self.limits.errors_max = number()?,
            ("auth_failures_max", _) => self.limits.auth_failures_max = number()?,
            ("auth_line_bytes_max", _) => self.limits.auth_line_bytes_max = number()? as usize,
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
            stls: self.stls,
            user: self.policy.password_sent && !mechanisms.is_empty(),
            mechanisms,
            encrypted: self.rules.as_ref().map_or(Encrypted::default(), Observed::encrypted),
            expire_days: self.expire_days,
            login_delay_seconds: self.login_delay_seconds,
        };
        Server::new(offer, self.limits.clone(), security, now)
    }
}

/// The session above the machine: what it knows and what it was told.
#[derive(Default)]
pub struct Above {
    login: Login,
    messages: &'static [&'static str],
    deleted: BTreeSet<u32>,
    /// What the machine answered by itself and told.
    pub events: Vec<String>,
}

impl Above {
    /// Begins, or begins anew behind STLS.
    #[must_use]
    pub fn new(setup: &Setup) -> Above {
        Above {
            login: Login::new(setup.policy.clone(), setup.rules.clone()),
            messages: setup.messages,
            ..Above::default()
        }
    }

    /// Answers an event. True: it was STLS, which whoever moves the bytes answers.
    pub fn answer(&mut self, server: &mut Server, event: Event<'_>) -> bool {
        match event {
            Event::Login(turn) => match self.login.turn(turn, server.security()) {
                Some(said) => Above::say(server, said),
                None => self.events.push("AuthCancelled".to_owned()),
            },
            Event::Quit | Event::Refused(_) | Event::Language(_) | Event::Utf8 => {
                self.events.push(format!("{event:?}"));
            }
            Event::StartTls => return true,
            about_mail => self.mail(server, &about_mail),
        }
        false
    }

    fn say(server: &mut Server, said: Said) {
        match said {
            Said::Challenge(challenge) => server.auth_challenge(&challenge),
            Said::In => server.logged_in("logged in"),
            Said::Denied(_, text) => server.login_failed(Code::Auth, &text),
            Said::Wrong => server.login_failed(Code::Auth, "wrong user name or password"),
            Said::Malformed => server.err(None, "malformed"),
        }
    }

    fn mail(&mut self, server: &mut Server, event: &Event<'_>) {
        let one = match *event {
            Event::Retr(n) | Event::Dele(n) | Event::Top { message: n, .. } => Some(n),
            Event::List(n) | Event::Uidl(n) => n,
            _ => None,
        };
        if one.is_some_and(|n| n as usize > self.messages.len() || self.deleted.contains(&n)) {
            return server.err(None, "no such message");
        }
        let row = |n: u32| match event {
            Event::List(_) => format!("{n} {}", self.messages[n as usize - 1].len()),
            _ => format!("{n} uid-{n}"),
        };
        let present: Vec<u32> =
            (1..=self.messages.len() as u32).filter(|n| !self.deleted.contains(n)).collect();
        match *event {
            Event::Stat => {
                let total: usize = present.iter().map(|&n| self.messages[n as usize - 1].len()).sum();
                server.ok(&format!("{} {total}", present.len()));
            }
            Event::List(Some(n)) | Event::Uidl(Some(n)) => server.ok(&row(n)),
            Event::List(None) | Event::Uidl(None) => {
                server.begin("list");
                for n in present {
                    server.line(&row(n));
                }
                server.end();
            }
            Event::Retr(n) | Event::Top { message: n, .. } => {
                server.begin("message");
                for piece in self.messages[n as usize - 1].as_bytes().chunks(7) {
                    if !server.message(piece) {
                        break;
                    }
                }
                server.end();
            }
            Event::Dele(n) => {
                self.deleted.insert(n);
                server.ok("deleted");
            }
            Event::Rset => {
                self.deleted.clear();
                server.ok("nothing is deleted");
            }
            Event::Update => server.updated(Ok("goodbye")),
            ref other => panic!("not about mail: {other:?}"),
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
