//! SMTP, submission and LMTP sessions: who may send what to whom, and the way of
//! a message from the wire to the store.
//!
//! A message streams: the header passes through `proto::message::intake`, the
//! body goes from the socket's buffer into the store's writer. Nothing is
//! answered `250` before [`crate::deliver`] says that it is durable.

use super::Origin;
use super::login::{Exchange, Login, Place};
use crate::app::App;
use crate::clock::unix_now;
use crate::deliver::{self, Incoming, Letter, Target};
use crate::facts::{self, Outcome};
use net::drive::{End, Next, Session, Wire};
use proto::language::Language;
use proto::machine::Machine;
use proto::message::intake::{Intake, Problem, Rules, Submission};
use proto::message::trace;
use proto::proof::{Authenticated, Security};
use proto::sasl::Failure;
use proto::service::Protocol;
use proto::smtp::server::Server;
use proto::smtp::{Event, Mail, Path, Rcpt, Refusal, Reply, Role};
use std::sync::Arc;
use store::system::directory::Route;

/// One connection.
#[derive(Debug)]
pub struct SmtpSession {
    machine: Server,
    app: Arc<App>,
    origin: Arc<Origin>,
    client: String,
    exchange: Exchange,
    who: Option<Authenticated>,
    transaction: Option<Box<Transaction>>,
}

/// From MAIL to the end of the message.
#[derive(Debug)]
struct Transaction {
    mail: Mail,
    targets: Vec<Target>,
    body: Option<Body>,
}

/// A message on its way in.
#[derive(Debug)]
struct Body {
    id: u64,
    received: i64,
    intake: Intake,
    incoming: Incoming,
    /// The refusal that waits for the end of the message.
    refusal: Option<Reply>,
    scratch: Vec<u8>,
}

impl SmtpSession {
    /// Begins; the machine greets unless TLS came by STARTTLS.
    #[must_use]
    pub fn new(app: Arc<App>, origin: Arc<Origin>, security: Security) -> SmtpSession {
        let offer = app.smtp_offer(&origin.listener, &security);
        let machine = Server::new(offer, app.settings.smtp.clone(), security, net::now());
        SmtpSession {
            machine,
            app,
            origin,
            client: String::new(),
            exchange: Exchange::default(),
            who: None,
            transaction: None,
        }
    }

    fn role(&self) -> Role {
        match self.origin.listener.protocol {
            Protocol::Submission => Role::Submission,
            Protocol::Lmtp => Role::Lmtp,
            Protocol::Smtp | Protocol::Pop3 | Protocol::Imap | Protocol::Web => Role::Exchange,
        }
    }

    /// Mail of our own user, whichever port it comes in by.
    fn submission(&self) -> bool {
        self.who.is_some()
    }

    fn lmtp(&self) -> bool {
        self.origin.listener.protocol == Protocol::Lmtp
    }

    fn fact(&self, outcome: Outcome) {
        let account = self.who.as_ref().map(Authenticated::account);
        let mechanism = self.who.as_ref().map_or("", Authenticated::mechanism);
        let security = self.machine.security();
        facts::record(&self.app.store, &self.origin, security, outcome, account, mechanism, &self.client);
    }

    fn refused(&self, refusal: Refusal) {
        match refusal {
            Refusal::Login(refusal) => self.fact(refusal.into()),
            Refusal::NeedsTls => self.fact(Outcome::NeedsTls),
            Refusal::NeedsAuth => self.fact(Outcome::NeedsAuth),
            Refusal::Verify | Refusal::TooManyRecipients | Refusal::Syntax | Refusal::TooManyErrors => {}
        }
    }

    fn login_step(&mut self, login: Login) {
        let refusal = match login {
            Login::Challenge(challenge) => return self.machine.auth_challenge(&challenge),
            Login::Done(who) => {
                self.who = Some(who);
                return self.machine.auth_done(Ok(()));
            }
            Login::Denied(denied, text) => Reply::denied(denied, text),
            // RFC 4954 section 6 and 4.
            Login::Failed(Failure::Temporary) => {
                Reply::new(454, (4, 7, 0), "The service cannot check logins now, try again later")
            }
            Login::Failed(Failure::Malformed) => Reply::new(501, (5, 5, 2), "Malformed login message"),
            Login::Failed(Failure::ChannelBinding) => {
                Reply::new(535, (5, 7, 8), "Channel binding does not match: somebody may be reading along")
            }
            Login::Failed(Failure::Credentials | Failure::Aborted) => Reply::new(
                535,
                (5, 7, 8),
                "Wrong user name or password; the user name is the full mail address",
            ),
        };
        self.machine.auth_done(Err(refusal));
    }

    fn mail(&mut self, mail: Mail) {
        if let (Some(who), Some(path)) = (&self.who, &mail.from) {
            match self.app.store.directory().may_send_as(who.account(), &path.local, &path.domain) {
                Ok(true) => {}
                Ok(false) => {
                    let text = format!("This sender address is not yours; send as {}", who.address());
                    return self.machine.reply(&Reply::new(550, (5, 7, 1), text));
                }
                Err(error) => return self.machine.reply(&deliver::store_reply(&error)),
            }
        }
        self.transaction = Some(Box::new(Transaction { mail, targets: Vec::new(), body: None }));
        self.machine.reply(&Reply::new(250, (2, 1, 0), "Sender ok"));
    }

    fn rcpt(&mut self, rcpt: Rcpt) {
        let reply = match self.route(&rcpt.to) {
            Ok(accounts) => match &mut self.transaction {
                Some(transaction) => {
                    transaction.targets.push(Target { address: rcpt.to, accounts });
                    Reply::new(250, (2, 1, 5), "Recipient ok")
                }
                None => Reply::new(503, (5, 5, 1), "MAIL first"),
            },
            Err(reply) => reply,
        };
        self.machine.reply(&reply);
    }

    /// Into which accounts mail for this path goes, or why it is not taken.
    fn route(&self, to: &Path) -> Result<Vec<proto::proof::AccountId>, Reply> {
        let directory = self.app.store.directory();
        let domain = if to.domain.is_empty() { &self.app.settings.model.host } else { &to.domain };
        let route = directory.route(&to.local, domain).map_err(|error| deliver::store_reply(&error))?;
        let accounts = match route {
            Route::To { accounts, remote } if remote.is_empty() => accounts,
            Route::To { .. } => {
                let text = "This address is forwarded to another server, which this service does not do yet";
                return Err(Reply::new(550, (5, 7, 1), text));
            }
            Route::NoSuchUser => return Err(Reply::new(550, (5, 1, 1), "No such mailbox here")),
            Route::NotOurs if self.submission() => {
                let text =
                    "This service does not send to other servers yet: only addresses of its own domains";
                return Err(Reply::new(550, (5, 7, 1), text));
            }
            Route::NotOurs => {
                let text = "Relaying denied: this domain is not served here";
                return Err(Reply::new(550, (5, 7, 1), text));
            }
            Route::Loop => {
                return Err(Reply::new(550, (5, 4, 6), "The aliases of this address lead in a circle"));
            }
        };
        let declared = self.transaction.as_ref().and_then(|t| t.mail.size).unwrap_or(0);
        for account in &accounts {
            let usage =
                self.app.store.account(account.id).usage().map_err(|error| deliver::store_reply(&error))?;
            let bytes_full =
                account.quota_bytes.is_some_and(|quota| usage.bytes.saturating_add(declared) > quota);
            let count_full = account.quota_messages.is_some_and(|quota| usage.messages >= quota);
            if bytes_full || count_full {
                return Err(Reply::new(
                    452,
                    (4, 2, 2),
                    "The mailbox is full; its owner must delete something",
                ));
            }
        }
        Ok(accounts.into_iter().map(|a| a.id).collect())
    }

    async fn body_start(&mut self) {
        let id = self.app.next_id();
        let received = unix_now();
        let Some(transaction) = &self.transaction else {
            return self.machine.begin_body(Err(Reply::new(503, (5, 5, 1), "MAIL first")));
        };
        let trace = self.trace(transaction, id, received);
        let mut incoming = Incoming::new(&self.app.store);
        if let Some(announced) = transaction.mail.size {
            incoming.expect(announced.saturating_add(trace.len() as u64));
        }
        if let Err(error) = incoming.write(&trace).await {
            return self.machine.begin_body(Err(deliver::store_reply(&error)));
        }
        let mail = &self.app.settings.mail;
        let host = &self.app.settings.model.host;
        let submission = self.submission().then(|| Submission {
            message_id: format!("<{id:014x}.{:08x}@{host}>", rand::random::<u32>()),
            date: proto::date::rfc5322(received),
        });
        let intake = Intake::new(Rules {
            received_max: mail.received_max,
            header_bytes_max: mail.header_bytes_max,
            submission,
        });
        if let Some(transaction) = &mut self.transaction {
            transaction.body =
                Some(Body { id, received, intake, incoming, refusal: None, scratch: Vec::new() });
        }
        self.machine.begin_body(Ok(()));
    }

    /// Our `Received` field (RFC 5321 4.4).
    fn trace(&self, transaction: &Transaction, id: u64, received: i64) -> Vec<u8> {
        let one = match transaction.targets.as_slice() {
            [one] => Some(&one.address),
            _ => None,
        };
        let security = self.machine.security();
        let id = format!("{id:014x}");
        let field = trace::Received {
            hello: &self.client,
            client: Some(self.origin.ends.peer.ip()),
            host: &self.app.settings.model.host,
            role: self.role(),
            extended: self.machine.standing().extended,
            tls: security.tls().map(|tls| (tls.version, tls.cipher)),
            authenticated: self.who.is_some(),
            smtputf8: transaction.mail.smtputf8,
            id: &id,
            recipient: one,
            time: received,
        };
        field.field().into_bytes()
    }

    async fn body_piece(&mut self, piece: &[u8]) {
        let Some(body) = self.transaction.as_mut().and_then(|t| t.body.as_mut()) else { return };
        if body.refusal.is_some() {
            return;
        }
        body.scratch.clear();
        let written = match body.intake.feed(piece, &mut body.scratch) {
            Ok(rest) => match write_both(&mut body.incoming, &body.scratch, rest).await {
                Ok(()) => return,
                Err(error) => deliver::store_reply(&error),
            },
            Err(problem) => problem_reply(&problem),
        };
        body.refusal = Some(written);
    }

    async fn body_end(&mut self) {
        let Some(mut transaction) = self.transaction.take() else {
            return self.machine.reply(&Reply::new(503, (5, 5, 1), "MAIL first"));
        };
        let outcome = match transaction.body.take() {
            Some(body) => self.complete(&transaction, body).await,
            None => Err(Reply::new(503, (5, 5, 1), "DATA first")),
        };
        let letter = match outcome {
            Ok(letter) => letter,
            Err(reply) if self.lmtp() => {
                return self.machine.replies(&vec![reply; transaction.targets.len()]);
            }
            Err(reply) => return self.machine.reply(&reply),
        };
        if self.lmtp() {
            let replies = deliver::each(&self.app, &letter, &transaction.targets).await;
            self.note(&letter, replies.iter().all(Reply::is_positive));
            self.machine.replies(&replies);
        } else {
            let reply = deliver::all(&self.app, &letter, &transaction.targets).await;
            self.note(&letter, reply.is_positive());
            self.machine.reply(&reply);
        }
    }

    /// The message is whole: judge it and make its body durable.
    async fn complete(&self, transaction: &Transaction, mut body: Body) -> Result<Letter, Reply> {
        if let Some(refusal) = body.refusal {
            return Err(refusal);
        }
        body.scratch.clear();
        let summary = body.intake.finish(&mut body.scratch).map_err(|problem| problem_reply(&problem))?;
        body.incoming.write(&body.scratch).await.map_err(|error| deliver::store_reply(&error))?;
        if transaction.targets.iter().any(|t| summary.was_delivered_to(&deliver::delivered_to(&t.address))) {
            return Err(Reply::new(
                554,
                (5, 4, 6),
                "Mail loop: this message was delivered to this address before",
            ));
        }
        self.check_from(&summary.from)?;
        let stored = body.incoming.finish().await.map_err(|error| deliver::store_reply(&error))?;
        Ok(Letter {
            id: body.id,
            from: transaction.mail.from.clone(),
            body: stored.body,
            header_bytes: stored.header_bytes,
            gist: stored.gist,
            received: body.received,
        })
    }

    /// On submission the From field, too, must name addresses of the account (RFC 6409 8.1).
    fn check_from(&self, from: &[String]) -> Result<(), Reply> {
        let Some(who) = &self.who else { return Ok(()) };
        if !self.app.settings.mail.from_must_match {
            return Ok(());
        }
        for address in from {
            let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
            match self.app.store.directory().may_send_as(who.account(), local, domain) {
                Ok(true) => {}
                Ok(false) => {
                    let text = format!(
                        "The From field names an address that is not yours; send as {}",
                        who.address()
                    );
                    return Err(Reply::new(550, (5, 7, 1), text));
                }
                Err(error) => return Err(deliver::store_reply(&error)),
            }
        }
        Ok(())
    }

    fn note(&self, letter: &Letter, accepted: bool) {
        if accepted {
            self.fact(Outcome::MailAccepted);
        }
        tracing::info!(
            session = self.origin.id_text(),
            protocol = self.origin.protocol_word(),
            peer = %self.origin.ends.peer,
            mail = format_args!("{:014x}", letter.id),
            bytes = letter.body.len,
            accepted,
            "mail"
        );
    }
}

async fn write_both(writer: &mut Incoming, first: &[u8], rest: &[u8]) -> Result<(), store::Error> {
    if !first.is_empty() {
        writer.write(first).await?;
    }
    if !rest.is_empty() {
        writer.write(rest).await?;
    }
    Ok(())
}

fn problem_reply(problem: &Problem) -> Reply {
    match problem {
        Problem::Loop => Reply::new(554, (5, 4, 6), "Mail loop: too many Received fields"),
        Problem::HeaderTooBig => Reply::new(552, (5, 3, 4), "The message's header is too big"),
    }
}

impl Session for SmtpSession {
    type Machine = Server;

    fn machine(&mut self) -> &mut Server {
        &mut self.machine
    }

    async fn event<'a>(&mut self, event: <Server as Machine>::Event<'a>, _wire: &mut Wire<'_>) -> Next {
        match event {
            Event::Hello { name } => {
                self.client.clear();
                self.client.push_str(name);
                self.transaction = None;
            }
            Event::StartTls => return Next::StartTls,
            Event::Login(turn) => {
                let security = self.machine.security().clone();
                let place = Place {
                    app: &self.app,
                    origin: &self.origin,
                    security: &security,
                    client: &self.client,
                    language: Language::default(),
                };
                if let Some(login) = self.exchange.turn(place, turn).await {
                    self.login_step(login);
                }
            }
            Event::Mail(mail) => self.mail(mail),
            Event::Rcpt(rcpt) => self.rcpt(rcpt),
            Event::BodyStart => self.body_start().await,
            Event::Body(piece) => self.body_piece(piece).await,
            Event::BodyEnd => self.body_end().await,
            Event::BodyAborted(_) | Event::Reset => self.transaction = None,
            Event::Refused(refusal) => self.refused(refusal),
            Event::Quit => {}
        }
        Next::Go
    }

    fn secured(self, security: Security) -> SmtpSession {
        SmtpSession::new(self.app, self.origin, security)
    }

    async fn ended(self, why: End) {
        super::ended(&self.app, &self.origin, self.machine.security(), &why);
    }
}
