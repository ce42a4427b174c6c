//! Signing in on the web pages: a request brings a name and a password (Basic, RFC 7617) and is answered, so each
//! is a login of its own, through the same door as every other.
//!
//! What must hold: no password is looked at that came in clear, nor where the service wants none sent. Deliberately not
//! here: HTTP, and what the browser calls itself, which is no mail program.

use super::Origin;
use super::login::{Exchange, Login, Place};
use crate::app::App;
use crate::facts::{self, Outcome};
use net::https::Peer;
use proto::language::Language;
use proto::login::Turn;
use proto::proof::{Authenticated, Secret};
use proto::sasl::Failure;
use proto::service::policy::Denied;

/// What came of it.
#[derive(Debug)]
pub enum SignIn {
    /// The password is right.
    Done(Authenticated),
    /// Wrong password, unknown user, disabled account: not told apart.
    Wrong,
    /// The password is right, and the rules of the account's domain refuse it all the same.
    Denied(Denied),
    /// It cannot be tried now.
    Later,
}

/// Signs somebody in for one request. Takes its time where somebody has been guessing.
pub async fn sign_in(app: &App, peer: &Peer, user: String, password: Secret) -> SignIn {
    let origin = origin(app, peer);
    if !peer.security.is_encrypted() || !app.settings.model.password_sent {
        return SignIn::Wrong;
    }
    let place =
        Place { app, origin: &origin, security: &peer.security, client: "", language: Language::default() };
    match Exchange::default().turn(place, Turn::Password { user, password }).await {
        Some(Login::Done(who)) => SignIn::Done(who),
        Some(Login::Denied(denied, _)) => SignIn::Denied(denied),
        Some(Login::Failed(Failure::Temporary)) => SignIn::Later,
        // A password has no challenges.
        Some(Login::Failed(_) | Login::Challenge(_)) | None => SignIn::Wrong,
    }
}

/// A password came in clear: it is exposed, and was not looked at.
pub fn exposed(app: &App, peer: &Peer) {
    let origin = origin(app, peer);
    facts::record(&app.store, &origin, &peer.security, Outcome::NeedsTlsExposed, None, "Basic", "");
}

fn origin(app: &App, peer: &Peer) -> Origin {
    Origin { ends: peer.ends, listener: peer.listener.clone(), id: app.next_id() }
}
