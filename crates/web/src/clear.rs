//! What is answered in clear HTTP: an ACME authority, Thunderbird's autoconfig, and to everything else
//! where to go instead.
//!
//! Nothing personal: the configuration is answered without the address that the
//! request may carry, so it holds placeholders.

use crate::answer::{Answer, kind};
use crate::ask::Ask;
use crate::route::{Admitted, Route};
use crate::{Inner, discovery};
use http::{Method, StatusCode};

pub(crate) fn answer(web: &Inner, ask: &Ask) -> Answer {
    if ask.authorization.is_some() {
        server::session::web::exposed(&web.app, &ask.peer);
    }
    match Route::of(&ask.path) {
        Some(route @ (Route::Challenge(_) | Route::Autoconfig)) => match (route, route.admits(&ask.method)) {
            (Route::Challenge(token), Admitted::Answer) => challenge(web, token),
            (_, Admitted::Answer) => discovery::autoconfig(web, ask),
            (_, Admitted::Options) => Answer::options(route.methods()),
            (_, Admitted::No) => Answer::method_not_allowed(route.methods()),
        },
        route => elsewhere(web, ask, route),
    }
}

/// The key authorization for an authority's token (RFC 8555 8.3).
pub(crate) fn challenge(web: &Inner, token: &str) -> Answer {
    match web.app.challenges.http(token) {
        Some(authorization) => Answer::new(StatusCode::OK, kind::TEXT, authorization),
        None => Answer::plain(StatusCode::NOT_FOUND, "There is no such challenge."),
    }
}

/// The same under HTTPS; under our own name if the request's is none of ours.
fn elsewhere(web: &Inner, ask: &Ask, route: Option<Route<'_>>) -> Answer {
    let model = &web.app.settings.model;
    let host = if web.is_own_host(&ask.host) { &ask.host } else { &model.host };
    let Some(start) = web.start_under(host) else {
        return Answer::plain(StatusCode::NOT_FOUND, "There is nothing here.");
    };
    let status = match (route, ask.method.clone()) {
        // Outlook's lookup asks in clear for exactly this one (MS-OXDISCO 3.1.5.4) and for no other.
        (Some(Route::Autodiscover), Method::GET) => StatusCode::FOUND,
        (_, Method::GET | Method::HEAD) => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    // Two slashes at the front would name another host for whoever puts the pieces together again.
    Answer::redirect(status, format!("{start}/{}", ask.target.trim_start_matches('/')))
}
