//! One SASL exchange or password pair, the same for every protocol.
//!
//! Walks a [`sasl::Server`] from step to step, asks `auth` what it wants to
//! know, asks the domain's rules once the credential is known to be right (before, a refusal would reveal
//! something), and counts the outcome as a session fact. Additional data with success
//! (RFC 4422 3.6) goes out as a last challenge, because neither SMTP nor POP3
//! can carry it in the success reply.

use super::Origin;
use crate::app::App;
use crate::auth::{self, Refused};
use crate::clock::unix_now;
use crate::facts::{self, Outcome};
use proto::language::{Common, Language};
use proto::login::Turn;
use proto::proof::{Authenticated, Secret, Security};
use proto::sasl::{self, Failure, Mechanism, Question, Step};
use proto::service::policy::Denied;

/// Where a login stands.
#[derive(Debug)]
pub enum Login {
    /// Send this challenge and come back with the reply.
    Challenge(Vec<u8>),
    /// The credential is right.
    Done(Authenticated),
    /// No login.
    Failed(Failure),
    /// The credential is right, and the domain's rules refuse it all the same; what to tell the person.
    Denied(Denied, String),
}

/// An exchange under way.
#[derive(Debug, Default)]
pub struct Exchange {
    running: Option<Box<Running>>,
    /// Made at the first attempt; dropped with the session, which counts an exchange that was left half-done.
    context: Option<Box<auth::Context>>,
}

#[derive(Debug)]
struct Running {
    server: sasl::Server,
    mechanism: Mechanism,
    /// Whom the client wants to be, as soon as it has said so; the proof may come a message later.
    asked: String,
    /// Success that waits for the client's empty answer to the last challenge.
    proved: Option<String>,
}

/// The connection on which a login happens.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The service.
    pub app: &'a App,
    /// Where it came in.
    pub origin: &'a Origin,
    /// How it is protected.
    pub security: &'a Security,
    /// What the client calls itself.
    pub client: &'a str,
    /// In which the refusal of an account is said.
    pub language: Language,
}

impl Exchange {
    /// The client's turn; `None`: it gave up, or went away after it had seen that it failed.
    pub async fn turn(&mut self, place: Place<'_>, turn: Turn) -> Option<Login> {
        match turn {
            Turn::Password { user, password } => Some(self.password(place, user, password).await),
            Turn::Start { mechanism, initial } => Some(self.start(place, mechanism, initial).await),
            Turn::Message(message) => Some(self.message(place, &message).await),
            Turn::Cancelled => {
                self.cancel(place);
                None
            }
        }
    }

    /// AUTH with a mechanism from the offer.
    async fn start(&mut self, place: Place<'_>, mechanism: Mechanism, initial: Option<Vec<u8>>) -> Login {
        let nonce: [u8; 24] = rand::random();
        let offered = place.app.mechanisms(&place.origin.listener, place.security);
        let host = &place.app.settings.model.host;
        let (server, step) =
            sasl::Server::start(mechanism, &offered, place.security, &nonce, unix_now(), host, initial);
        self.running = Some(Box::new(Running { server, mechanism, asked: String::new(), proved: None }));
        self.walk(place, step).await
    }

    /// The client's next message.
    async fn message(&mut self, place: Place<'_>, message: &[u8]) -> Login {
        let Some(running) = &mut self.running else { return Login::Failed(Failure::Malformed) };
        if let Some(user) = running.proved.take() {
            // RFC 4422 3.6: the answer to additional data is empty.
            let mechanism = running.mechanism;
            self.running = None;
            return if message.is_empty() {
                self.finish(place, &user, mechanism)
            } else {
                fail(place, Failure::Malformed, mechanism.name(), &user)
            };
        }
        let step = running.server.receive(message);
        self.walk(place, step).await
    }

    fn cancel(&mut self, place: Place<'_>) {
        let Some(running) = self.running.take() else { return };
        match running.server.cancel() {
            Failure::Aborted => {}
            failure => drop(fail(place, failure, running.mechanism.name(), &running.asked)),
        }
    }

    async fn password(&mut self, place: Place<'_>, user: String, password: Secret) -> Login {
        let context = self.context(place);
        let word = auth::sent_with(context.protocol);
        match place.app.auth.login(context, &user, password).await {
            Ok(who) => succeed(place, who),
            Err(Refused::Credentials) => fail(place, Failure::Credentials, word, &user),
            Err(Refused::Temporary) => fail(place, Failure::Temporary, word, &user),
        }
    }

    fn context(&mut self, place: Place<'_>) -> &auth::Context {
        self.context.get_or_insert_with(|| {
            let listener = &place.origin.listener;
            let peer = place.origin.ends.peer.ip();
            let name = listener.name.as_str().into();
            Box::new(auth::Context::new(peer, listener.protocol, name, place.security.clone()))
        })
    }

    async fn walk(&mut self, place: Place<'_>, mut step: Step) -> Login {
        loop {
            let Some(running) = &mut self.running else { return Login::Failed(Failure::Malformed) };
            let mechanism = running.mechanism;
            match step {
                Step::Challenge(challenge) => return Login::Challenge(challenge),
                Step::Ask(question) => {
                    asked_user(&question).clone_into(&mut running.asked);
                    let answer = place.app.auth.answer(self.context(place), question).await;
                    let Some(running) = &mut self.running else { return Login::Failed(Failure::Malformed) };
                    step = running.server.answer(answer);
                }
                Step::Success { user, last: Some(last) } => {
                    running.proved = Some(user);
                    return Login::Challenge(last);
                }
                Step::Success { user, last: None } => {
                    self.running = None;
                    return self.finish(place, &user, mechanism);
                }
                Step::Failure(failure) => {
                    let asked = std::mem::take(&mut running.asked);
                    self.running = None;
                    return fail(place, failure, mechanism.name(), &asked);
                }
            }
        }
    }

    fn finish(&mut self, place: Place<'_>, user: &str, mechanism: Mechanism) -> Login {
        match place.app.auth.finish(self.context(place), user, mechanism) {
            Ok(who) => succeed(place, who),
            Err(Refused::Credentials) => fail(place, Failure::Credentials, mechanism.name(), user),
            Err(Refused::Temporary) => fail(place, Failure::Temporary, mechanism.name(), user),
        }
    }
}

fn succeed(place: Place<'_>, who: Authenticated) -> Login {
    let account = Some(who.account());
    let Place { app, origin, security, client, .. } = place;
    match app.permit(&who, &origin.listener, security) {
        Ok(Ok(())) => {}
        Ok(Err(denied)) => return deny(place, &who, denied),
        Err(error) => {
            tracing::error!(%error, "the rules of a domain cannot be read; a login is deferred");
            return fail(place, Failure::Temporary, who.mechanism(), who.address());
        }
    }
    facts::record(&app.store, origin, security, Outcome::Login, account, who.mechanism(), client);
    tracing::info!(
        session = origin.id_text(),
        protocol = origin.protocol_word(),
        account = who.address(),
        mechanism = who.mechanism(),
        peer = %origin.ends.peer,
        security = security.how().name(),
        "login"
    );
    Login::Done(who)
}

fn deny(place: Place<'_>, who: &Authenticated, denied: Denied) -> Login {
    let sent = matches!(who.mechanism(), "PLAIN" | "LOGIN" | "USER" | "Basic");
    let outcome = match denied {
        Denied::Clear if sent => Outcome::NeedsTlsExposed,
        Denied::Clear => Outcome::NeedsTls,
        Denied::TlsTooOld(_) => Outcome::TlsTooOld,
        Denied::Way => Outcome::WayRefused,
        Denied::Mechanism => Outcome::MechanismRefused,
    };
    let Place { app, origin, security, client, language } = place;
    facts::record(&app.store, origin, security, outcome, Some(who.account()), who.mechanism(), client);
    tracing::info!(
        session = origin.id_text(),
        protocol = origin.protocol_word(),
        account = who.address(),
        mechanism = who.mechanism(),
        peer = %origin.ends.peer,
        outcome = outcome.word(),
        "login denied"
    );
    Login::Denied(denied, app.denial(who, &origin.listener, denied, language))
}

fn fail(place: Place<'_>, failure: Failure, mechanism: &str, user: &str) -> Login {
    let outcome = match failure {
        Failure::ChannelBinding => Outcome::BindingFailed,
        Failure::Credentials if !user.is_empty() && !user.contains('@') => Outcome::LoginFailedBareName,
        _ => Outcome::LoginFailed,
    };
    let Place { app, origin, security, client, .. } = place;
    // Only an account that exists is named; a made-up name would let a stranger fill the ledger.
    let account = app.store.directory().account_by_address(user).ok().flatten().map(|a| a.id);
    facts::record(&app.store, origin, security, outcome, account, mechanism, client);
    tracing::info!(
        session = origin.id_text(),
        protocol = origin.protocol_word(),
        peer = %origin.ends.peer,
        mechanism,
        outcome = outcome.word(),
        "login refused"
    );
    Login::Failed(failure)
}

/// What POP3 and IMAP say of a login that failed.
pub(crate) fn words(failure: Failure) -> Common {
    match failure {
        Failure::Temporary => Common::CannotCheck,
        Failure::Malformed => Common::MalformedLogin,
        Failure::ChannelBinding => Common::ChannelBinding,
        Failure::Credentials | Failure::Aborted => Common::WrongPassword,
    }
}

fn asked_user(question: &Question) -> &str {
    match question {
        Question::Password { user, .. }
        | Question::ScramKeys { user, .. }
        | Question::CramKeys { user }
        | Question::Certificate { user } => user,
    }
}
