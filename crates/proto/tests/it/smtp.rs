//! A tiny fixed session above the server's machine, and what drives both.
//!
//! Local are the recipients `*@example.test`. `full@` is over quota when the
//! message has come, `later@` refuses to begin the content, `gone@` is answered
//! 421. The sender `refused@*` is refused. `ann@example.test` has the password
//! `secret`; mechanisms other than PLAIN and LOGIN take the response `right`.

use proto::machine::{Machine, Tick};
use proto::proof::{How, Security, Tls, TlsVersion};
use proto::sasl::Mechanism;
use proto::smtp::server::{Limits, Offer, Server};
use proto::smtp::{Body, Event, Mail, Rcpt, Reply, Role};

/// How a conversation begins.
#[derive(Clone, Debug)]
pub struct Setup {
    pub offer: Offer,
    pub limits: Limits,
    pub security: Security,
    /// Mechanisms after STARTTLS.
    pub mechanisms_inside: Vec<Mechanism>,
    /// Bytes in clear are taken to have come behind STARTTLS.
    pub early_bytes: bool,
}

impl Setup {
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
            early_bytes: false,
        }
    }
}

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
    pub machine: Server,
    setup: Setup,
    now: Tick,
    input: Vec<u8>,
    recipients: Vec<String>,
    message: Vec<u8>,
    mechanism: Option<Mechanism>,
    user: Option<Vec<u8>>,
    /// What the session was told.
    pub events: Vec<String>,
    /// What the machine said and was not taken yet.
    pub said: Vec<u8>,
    /// The most octets of input and output that lay about at one time.
    pub held_max: usize,
}

impl Talk {
    pub fn new(setup: Setup) -> Talk {
        let machine = Server::new(setup.offer.clone(), setup.limits.clone(), setup.security.clone(), Tick(0));
        Talk {
            machine,
            setup,
            now: Tick(0),
            input: Vec::new(),
            recipients: Vec::new(),
            message: Vec::new(),
            mechanism: None,
            user: None,
            events: Vec::new(),
            said: Vec::new(),
            held_max: 0,
        }
    }

    /// The client says this.
    pub fn feed(&mut self, bytes: &[u8]) {
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
            if let Some(event) = event {
                answer(
                    &mut self.machine,
                    event,
                    &mut Memory {
                        setup: &self.setup,
                        recipients: &mut self.recipients,
                        message: &mut self.message,
                        mechanism: &mut self.mechanism,
                        user: &mut self.user,
                        events: &mut self.events,
                    },
                );
            }
            self.input = input[used..].to_vec();
            if self.events.last().is_some_and(|e| e == "StartTls") && !self.machine.ended() && !quiet {
                self.secure();
            }
            self.held_max = self.held_max.max(self.input.len() + self.machine.output().len());
            if quiet && used == 0 {
                self.said.append(self.machine.output());
                return;
            }
        }
    }

    /// The content of the last message.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Time passes.
    pub fn pass(&mut self, seconds: u32) {
        self.now = self.now.plus_seconds(seconds);
        if self.now >= self.machine.deadline() {
            self.machine.timeout(self.now);
        }
        self.said.append(self.machine.output());
    }

    pub fn shutdown(&mut self) {
        self.machine.shutdown();
        self.said.append(self.machine.output());
    }

    /// After the handshake: everything learnt in clear is forgotten (RFC 3207 4.2).
    fn secure(&mut self) {
        self.said.append(self.machine.output());
        self.setup.offer.mechanisms = self.setup.mechanisms_inside.clone();
        self.setup.security = tls(How::StartTls);
        self.machine = Server::new(
            self.setup.offer.clone(),
            self.setup.limits.clone(),
            self.setup.security.clone(),
            self.now,
        );
        self.recipients.clear();
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

struct Memory<'a> {
    setup: &'a Setup,
    recipients: &'a mut Vec<String>,
    message: &'a mut Vec<u8>,
    mechanism: &'a mut Option<Mechanism>,
    user: &'a mut Option<Vec<u8>>,
    events: &'a mut Vec<String>,
}

fn answer(machine: &mut Server, event: Event<'_>, memory: &mut Memory<'_>) {
    // Pieces depend on how the input was cut; what counts is the message they make.
    if let Event::Body(piece) = event {
        memory.message.extend_from_slice(piece);
        return;
    }
    memory.events.push(match &event {
        Event::AuthMessage(message) => format!("AuthMessage {}", crate::script::escape(message)),
        Event::Auth { mechanism, initial } => {
            let initial = initial.as_ref().map(|i| format!(" with {:?}", String::from_utf8_lossy(i)));
            format!("Auth {}{}", mechanism.name(), initial.unwrap_or_default())
        }
        Event::BodyEnd => format!("Message {}", crate::script::escape(memory.message)),
        Event::Mail(mail) => mail_words(mail),
        Event::Rcpt(rcpt) => rcpt_words(rcpt),
        Event::BodyAborted(why) => {
            memory.message.clear();
            format!("BodyAborted({why:?})")
        }
        other => format!("{other:?}"),
    });
    match event {
        Event::StartTls if memory.setup.early_bytes => machine.tls_early_bytes(),
        Event::StartTls => machine.tls_go_ahead(),
        Event::Auth { mechanism, initial } => {
            *memory.mechanism = Some(mechanism);
            *memory.user = None;
            match initial {
                Some(message) => auth(machine, &message, memory),
                None if mechanism == Mechanism::Login => machine.auth_challenge(b"Username:"),
                None => machine.auth_challenge(b""),
            }
        }
        Event::AuthMessage(message) => auth(machine, &message, memory),
        Event::Mail(mail) => {
            memory.recipients.clear();
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
                memory.recipients.push(rcpt.to.local);
                machine.reply(&Reply::new(250, (2, 1, 5), "Recipient ok"));
            } else {
                machine.reply(&Reply::new(550, (5, 7, 1), "No relaying"));
            }
        }
        Event::BodyStart => {
            memory.message.clear();
            let later = memory.recipients.iter().any(|r| r == "later");
            machine.begin_body(if later { Err(Reply::new(451, (4, 3, 0), "Later")) } else { Ok(()) });
        }
        Event::BodyEnd => {
            let replies: Vec<_> = memory.recipients.iter().map(|r| delivered(r)).collect();
            match machine.standing().role {
                Role::Lmtp => machine.replies(&replies),
                _ => machine.reply(replies.first().unwrap_or(&delivered("nobody"))),
            }
        }
        _ => {}
    }
}

fn delivered(recipient: &str) -> Reply {
    match recipient {
        "full" => Reply::new(452, (4, 2, 2), "Mailbox full"),
        _ => Reply::new(250, (2, 0, 0), "Delivered"),
    }
}

fn auth(machine: &mut Server, message: &[u8], memory: &mut Memory<'_>) {
    let right = match *memory.mechanism {
        Some(Mechanism::Login) => match memory.user.take() {
            None => {
                *memory.user = Some(message.to_vec());
                return machine.auth_challenge(b"Password:");
            }
            Some(user) => user == b"ann@example.test" && message == b"secret",
        },
        Some(Mechanism::Plain) => message == b"\0ann@example.test\0secret",
        _ => message == b"right",
    };
    machine.auth_done(if right {
        Ok(())
    } else {
        Err(Reply::new(535, (5, 7, 8), "Name or password is wrong"))
    });
}
