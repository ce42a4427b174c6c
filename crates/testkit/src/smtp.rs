//! A tiny fixed session above the server's machine, and what drives both.
//!
//! Local are the recipients `*@example.test`. `full@` is over quota when the
//! message has come, `later@` refuses to begin the content, `gone@` is answered
//! 421. The sender `refused@*` is refused. `ann@example.test` has the password
//! `secret`, and so has `ann@strict.test` (see [`crate::rules`]); mechanisms other than
//! PLAIN and LOGIN take the response `right`.

use crate::login::{STRICT_USER, USER};
use crate::rules::Observed;
use crate::script::{Peer, Script, escape};
use proto::advice;
use proto::language::Language;
use proto::login::Turn;
use proto::machine::{Machine, Tick};
use proto::proof::{How, Security, Tls, TlsVersion};
use proto::sasl::Mechanism;
use proto::service::Protocol;
use proto::smtp::server::{Limits, Offer, Server};
use proto::smtp::{Body, Event, Mail, Rcpt, Reply, Role};

/// How a conversation begins; the head of a transcript.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What the machine says of itself before STARTTLS.
    pub offer: Offer,
    /// Of the machine.
    pub limits: Limits,
    /// At the beginning.
    pub security: Security,
    /// Mechanisms after STARTTLS.
    pub mechanisms_inside: Vec<Mechanism>,
    /// Rules of domains, which say what is offered and have the last word.
    pub rules: Option<Observed>,
    /// Bytes in clear are taken to have come behind STARTTLS.
    pub early_bytes: bool,
}

impl Setup {
    /// The usual one.
    #[must_use]
    pub fn new(role: Role) -> Setup {
        Setup {
            offer: Offer {
                host: "mx.example.test".into(),
                role,
                starttls: true,
                mechanisms: Vec::new(),
                needs_tls_text: "Encryption required: in your mail program set port N with SSL/TLS".into(),
                normalise_newlines: false,
            },
            limits: Limits::default(),
            security: Security::clear(),
            mechanisms_inside: Vec::new(),
            rules: None,
            early_bytes: false,
        }
    }

    /// What a transcript's head asks for.
    ///
    /// # Errors
    /// The setting that is none.
    pub fn of(script: &Script) -> Result<Setup, String> {
        let role = match script.setting("role") {
            Some("exchange") => Role::Exchange,
            Some("submission") => Role::Submission,
            Some("lmtp") => Role::Lmtp,
            other => return Err(format!("role: {other:?}")),
        };
        let mut setup = Setup::new(role);
        for (key, value) in script.settings() {
            let number = || value.parse::<u32>().map_err(|e| format!("{key}: {e}"));
            match key {
                "role" => {}
                "security" => match value {
                    "clear" => setup.offer.starttls = false,
                    "starttls" => {}
                    "implicit" => setup.security = tls(How::Implicit),
                    _ => return Err(format!("security: {value}")),
                },
                "mechanisms" => setup.offer.mechanisms = mechanisms(value)?,
                "mechanisms-inside" => setup.mechanisms_inside = mechanisms(value)?,
                "rules" if value == "observed" => setup.observe(),
                "newlines" if value == "normalise" => setup.offer.normalise_newlines = true,
                "early-bytes" if value == "yes" => setup.early_bytes = true,
                "line_bytes_max" => setup.limits.line_bytes_max = number()? as usize,
                "auth_line_bytes_max" => setup.limits.auth_line_bytes_max = number()? as usize,
                "message_bytes_max" => setup.limits.message_bytes_max = u64::from(number()?),
                "recipients_max" => setup.limits.recipients_max = number()?,
                "mails_max" => setup.limits.mails_max = number()?,
                "errors_max" => setup.limits.errors_max = number()?,
                "idle_commands_max" => setup.limits.idle_commands_max = number()?,
                "auth_failures_max" => setup.limits.auth_failures_max = number()?,
                _ => return Err(format!("unknown setting {key}: {value}")),
            }
        }
        Ok(setup)
    }

    fn observe(&mut self) {
        let rules = Observed::at(Protocol::Submission);
        self.offer.mechanisms = rules.offered(&Security::clear());
        self.offer.needs_tls_text = advice::needs_tls(rules.encrypted(), Language::default());
        self.mechanisms_inside = rules.offered(&tls(How::StartTls));
        self.rules = Some(rules);
    }

    /// The machine of a connection with this protection.
    #[must_use]
    pub fn server(&self, security: Security, now: Tick) -> Server {
        let mut offer = self.offer.clone();
        if security.how() == How::StartTls {
            offer.mechanisms.clone_from(&self.mechanisms_inside);
        }
        Server::new(offer, self.limits.clone(), security, now)
    }
}

fn mechanisms(names: &str) -> Result<Vec<Mechanism>, String> {
    names.split(' ').map(|n| Mechanism::from_name(n).ok_or(format!("no mechanism {n}"))).collect()
}

/// An invented handshake.
#[must_use]
pub fn tls(how: How) -> Security {
    Security::established(
        how,
        Tls {
            version: TlsVersion::Tls13,
            cipher: "TLS_AES_256_GCM_SHA384",
            group: None,
            server_name: None,
            exporter: None,
            end_point: Vec::new(),
            client_addresses: Vec::new(),
        },
    )
}

/// Machine, session and the input that was not used up yet.
pub struct Talk {
    /// The machine.
    pub machine: Server,
    setup: Setup,
    now: Tick,
    input: Vec<u8>,
    above: Above,
    /// What the machine said and was not taken yet.
    pub said: Vec<u8>,
    /// The most octets of input and output that lay about at one time.
    pub held_max: usize,
}

impl Talk {
    /// A fresh connection.
    #[must_use]
    pub fn new(setup: Setup) -> Talk {
        let machine = setup.server(setup.security.clone(), Tick(0));
        let above = Above::new(&setup);
        Talk { machine, setup, now: Tick(0), input: Vec::new(), above, said: Vec::new(), held_max: 0 }
    }

    /// The content of the last message.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.above.message
    }

    /// What the session was told.
    #[must_use]
    pub fn events(&self) -> &[String] {
        &self.above.events
    }

    /// STARTTLS: after the handshake everything learnt in clear is forgotten (RFC 3207 4.2).
    fn secure(&mut self) {
        if self.setup.early_bytes {
            return self.machine.tls_early_bytes();
        }
        self.machine.tls_go_ahead();
        self.said.append(self.machine.output());
        self.machine = self.setup.server(tls(How::StartTls), self.now);
        let events = std::mem::take(&mut self.above.events);
        self.above = Above { events, ..Above::new(&self.setup) };
    }
}

impl Peer for Talk {
    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        loop {
            self.said.append(self.machine.output());
            if self.machine.ended() {
                self.input.clear();
                return;
            }
            let input = std::mem::take(&mut self.input);
            let (used, event) = self.machine.receive(&input, self.now);
            let quiet = event.is_none();
            let starts_tls = event.is_some_and(|event| self.above.answer(&mut self.machine, event));
            self.input = input[used..].to_vec();
            if starts_tls {
                self.secure();
            }
            self.held_max = self.held_max.max(self.input.len() + self.machine.output().len());
            if quiet && used == 0 {
                self.said.append(self.machine.output());
                return;
            }
        }
    }

    fn take_said(&mut self) -> Vec<u8> {
        self.said.append(self.machine.output());
        std::mem::take(&mut self.said)
    }

    fn take_events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.above.events)
    }

    fn pass(&mut self, seconds: u32) {
        self.now = self.now.plus_seconds(seconds);
        if self.now >= self.machine.deadline() {
            self.machine.timeout(self.now);
        }
    }

    fn shutdown(&mut self) {
        self.machine.shutdown();
    }

    fn ended(&self) -> bool {
        self.machine.ended()
    }
}

/// What MAIL brought, without what was not given.
fn mail_words(mail: &Mail) -> String {
    let mut words = match &mail.from {
        Some(path) => format!("Mail <{path}>"),
        None => "Mail <>".to_owned(),
    };
    if let Some(size) = mail.size {
        words.push_str(&format!(" size {size}"));
    }
    if mail.body != Body::SevenBit {
        words.push_str(&format!(" {:?}", mail.body));
    }
    for (given, name) in [(mail.smtputf8, " smtputf8"), (mail.require_tls, " require_tls")] {
        words.push_str(if given { name } else { "" });
    }
    if let Some(full) = mail.dsn_full {
        words.push_str(if full { " ret full" } else { " ret headers" });
    }
    for (name, value) in [("envid", &mail.dsn_envelope_id), ("auth", &mail.auth)] {
        if let Some(value) = value {
            words.push_str(&format!(" {name} {value:?}"));
        }
    }
    words
}

fn rcpt_words(rcpt: &Rcpt) -> String {
    let mut words = format!("Rcpt <{}>", rcpt.to);
    if let Some(notify) = rcpt.notify {
        words.push_str(" notify");
        for (given, name) in [
            (notify.never, " never"),
            (notify.success, " success"),
            (notify.failure, " failure"),
            (notify.delay, " delay"),
        ] {
            words.push_str(if given { name } else { "" });
        }
    }
    if let Some(original) = &rcpt.original {
        words.push_str(&format!(" original {original:?}"));
    }
    words
}

/// The session above the machine: what it knows and what it was told.
#[derive(Default)]
pub struct Above {
    recipients: Vec<String>,
    message: Vec<u8>,
    mechanism: Option<Mechanism>,
    user: Option<Vec<u8>>,
    rules: Option<Observed>,
    /// Every event but the pieces of a message; `Message` has them together.
    pub events: Vec<String>,
}

impl Above {
    /// Begins, or begins anew behind STARTTLS.
    #[must_use]
    pub fn new(setup: &Setup) -> Above {
        Above { rules: setup.rules.clone(), ..Above::default() }
    }

    /// Answers an event. True: it was STARTTLS, which whoever moves the bytes answers.
    pub fn answer(&mut self, machine: &mut Server, event: Event<'_>) -> bool {
        // Pieces depend on how the input was cut; what counts is the message they make.
        if let Event::Body(piece) = event {
            self.message.extend_from_slice(piece);
            return false;
        }
        self.events.push(match &event {
            Event::Login(Turn::Message(message)) => format!("AuthMessage {}", escape(message)),
            Event::Login(Turn::Cancelled) => "AuthCancelled".to_owned(),
            Event::Login(Turn::Start { mechanism, initial }) => {
                let initial = initial.as_ref().map(|i| format!(" with {:?}", String::from_utf8_lossy(i)));
                format!("Auth {}{}", mechanism.name(), initial.unwrap_or_default())
            }
            Event::BodyEnd => format!("Message {}", escape(&self.message)),
            Event::Mail(mail) => mail_words(mail),
            Event::Rcpt(rcpt) => rcpt_words(rcpt),
            Event::BodyAborted(why) => {
                self.message.clear();
                format!("BodyAborted({why:?})")
            }
            other => format!("{other:?}"),
        });
        match event {
            Event::StartTls => return true,
            Event::Login(Turn::Start { mechanism, initial }) => {
                self.mechanism = Some(mechanism);
                self.user = None;
                match initial {
                    Some(message) => self.auth(machine, &message),
                    None if mechanism == Mechanism::Login => machine.auth_challenge(b"Username:"),
                    None => machine.auth_challenge(b""),
                }
            }
            Event::Login(Turn::Message(message)) => self.auth(machine, &message),
            Event::Mail(mail) => {
                self.recipients.clear();
                match mail.from {
                    Some(from) if from.local == "refused" => {
                        machine.reply(&Reply::new(550, (5, 7, 1), "Sender refused"));
                    }
                    _ => machine.reply(&Reply::new(250, (2, 1, 0), "Sender ok")),
                }
            }
            Event::Rcpt(rcpt) => {
                if rcpt.to.local == "gone" {
                    machine.reply(&Reply::new(421, (4, 3, 0), "Out of order"));
                } else if rcpt.to.domain == "example.test" || rcpt.to.domain.is_empty() {
                    self.recipients.push(rcpt.to.local);
                    machine.reply(&Reply::new(250, (2, 1, 5), "Recipient ok"));
                } else {
                    machine.reply(&Reply::new(550, (5, 7, 1), "No relaying"));
                }
            }
            Event::BodyStart => {
                self.message.clear();
                let later = self.recipients.iter().any(|r| r == "later");
                machine.begin_body(if later { Err(Reply::new(451, (4, 3, 0), "Later")) } else { Ok(()) });
            }
            Event::BodyEnd => {
                let replies: Vec<_> = self.recipients.iter().map(|r| delivered(r)).collect();
                match machine.standing().role {
                    Role::Lmtp => machine.replies(&replies),
                    _ => machine.reply(replies.first().unwrap_or(&delivered("nobody"))),
                }
            }
            _ => {}
        }
        false
    }

    fn auth(&mut self, machine: &mut Server, message: &[u8]) {
        let said = match self.mechanism {
            Some(Mechanism::Login) => match self.user.take() {
                None => {
                    self.user = Some(message.to_vec());
                    return machine.auth_challenge(b"Password:");
                }
                Some(user) => [&b"\0"[..], &user, b"\0", message].concat(),
            },
            Some(Mechanism::Plain) => message.to_vec(),
            _ if message == b"right" => plain(USER),
            _ => Vec::new(),
        };
        let user = [USER, STRICT_USER].into_iter().find(|user| said == plain(user));
        let security = machine.security().clone();
        machine.auth_done(match user {
            None => Err(Reply::new(535, (5, 7, 8), "Name or password is wrong")),
            Some(user) => {
                let rules = self.rules.as_ref();
                let permitted = rules.map_or(Ok(()), |rules| rules.permit(user, self.mechanism, &security));
                permitted.map_err(|(denied, text)| Reply::denied(denied, text))
            }
        });
    }
}

/// What PLAIN says for an account of ours.
fn plain(user: &str) -> Vec<u8> {
    format!("\0{user}\0secret").into_bytes()
}

fn delivered(recipient: &str) -> Reply {
    match recipient {
        "full" => Reply::new(452, (4, 2, 2), "Mailbox full"),
        _ => Reply::new(250, (2, 0, 0), "Delivered"),
    }
}
