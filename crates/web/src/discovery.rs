//! Client configuration over HTTP: the documents of `proto::discovery` at the addresses that clients ask.
//!
//! The domain comes from the address in the request if there is one, else from the host that is
//! asked. A domain that is not ours is a 404, whatever the address; an address of ours is never looked up.

use crate::Inner;
use crate::answer::{Answer, Cache, kind};
use crate::ask::{self, Ask};
use http::{Method, StatusCode};
use proto::address::Address;
use proto::discovery;
use proto::service::publish::Published;
use std::time::{SystemTime, UNIX_EPOCH};

const BAD_ADDRESS: &str = "The mail address in the request is none.";
const NOT_OURS: &str = "This service has no configuration for that domain.";

/// Thunderbird's autoconfig (draft-ietf-mailmaint-autoconfig); in clear without the address.
pub(crate) fn autoconfig(web: &Inner, ask: &Ask) -> Answer {
    let address = match ask.programs_address("emailaddress").transpose() {
        Ok(address) => address,
        Err(_) => return Answer::plain(StatusCode::BAD_REQUEST, BAD_ADDRESS),
    };
    let Some(published) = domain(web, ask, address.as_ref()) else {
        return Answer::plain(StatusCode::NOT_FOUND, NOT_OURS);
    };
    let told = address.filter(|_| ask.encrypted()).map(|address| address.to_string());
    let cache = if told.is_some() { Cache::Never } else { Cache::Short };
    Answer::ok(kind::XML, discovery::autoconfig::render(&published, told.as_deref()), cache)
}

/// Outlook's POX. A GET has no question: the documented error, with a 4xx, so that the client goes
/// on to the next place.
pub(crate) fn autodiscover(web: &Inner, ask: &Ask) -> Answer {
    use discovery::autodiscover::{INVALID_REQUEST, NO_PROVIDER, render, render_error, request};
    let error = |status, code, message| {
        let (time, id) = error_marks();
        Answer::new(status, kind::XML, render_error(code, message, &time, id))
    };
    let asked = match (&ask.method, request(&ask.body)) {
        (&Method::POST, Ok(asked)) => asked,
        _ => return error(StatusCode::BAD_REQUEST, INVALID_REQUEST, "Invalid Request"),
    };
    let Ok(address) = ask::address(&asked.address) else {
        return error(StatusCode::BAD_REQUEST, INVALID_REQUEST, "Invalid Request");
    };
    let Some(published) = domain(web, ask, Some(&address)) else {
        return Answer::plain(StatusCode::NOT_FOUND, NOT_OURS);
    };
    if !asked.accepts_outlook() {
        // ActiveSync and kin read the document whatever the status, and some only with 200 (MS-ASCMD 2.2.1.1).
        return error(StatusCode::OK, NO_PROVIDER, "Provider is not available");
    }
    Answer::ok(kind::XML, render(&published, &asked.address), Cache::Never)
}

/// Outlook's JSON forms; the address stands in the path (v1.0) or in the query (v2).
pub(crate) fn autodiscover_json(web: &Inner, ask: &Ask, in_path: Option<&str>) -> Answer {
    let Some(Ok(address)) = in_path.map(ask::address).or_else(|| ask.programs_address("Email")) else {
        return Answer::plain(StatusCode::BAD_REQUEST, BAD_ADDRESS);
    };
    let Some(published) = domain(web, ask, Some(&address)) else {
        return Answer::plain(StatusCode::NOT_FOUND, NOT_OURS);
    };
    // The client has reached us under the name that it asks now, if that is one of ours.
    let host = if web.is_own_host(&ask.host) { &ask.host } else { &published.host };
    let Some(start) = web.start_under(host) else {
        return Answer::plain(StatusCode::NOT_FOUND, NOT_OURS);
    };
    let pox = format!("{start}/autodiscover/autodiscover.xml");
    let protocol = ask.query("Protocol").unwrap_or_default();
    match discovery::autodiscover::render_json(&published, protocol, &pox) {
        Ok(json) => Answer::ok(kind::JSON, json, Cache::Never),
        Err(json) => Answer::new(StatusCode::BAD_REQUEST, kind::JSON, json),
    }
}

/// PACC (draft-ietf-mailmaint-pacc): the same octets for all users of a domain, since their digest stands in DNS.
pub(crate) fn pacc(web: &Inner, ask: &Ask) -> Answer {
    match domain(web, ask, None).as_ref().and_then(discovery::pacc::render) {
        Some(json) => Answer::ok(kind::JSON, json, Cache::Short),
        None => Answer::plain(StatusCode::NOT_FOUND, NOT_OURS),
    }
}

/// The MTA-STS policy, only under its own name (RFC 8461 3.3).
pub(crate) fn mta_sts(web: &Inner, ask: &Ask) -> Answer {
    let published = ask.host.starts_with("mta-sts.").then(|| domain(web, ask, None)).flatten();
    let policy = published
        .and_then(|published| web.app.settings.mta_sts(&published, web.certificates.covers(&published.host)));
    match policy {
        Some(policy) => Answer::ok(kind::TEXT, policy, Cache::Short),
        None => Answer::plain(StatusCode::NOT_FOUND, NOT_OURS),
    }
}

fn domain(web: &Inner, ask: &Ask, address: Option<&Address>) -> Option<Published> {
    match address {
        Some(address) => web.app.published(address.domain()),
        None => web.app.published(&web.app.domain_of_host(&ask.host)?),
    }
}

/// The time of day and a number, which an error document carries so that an operator can find it in a log.
fn error_marks() -> (String, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let day = since.as_secs() % 86_400;
    let (hour, minute, second) = (day / 3600, day / 60 % 60, day % 60);
    let time = format!("{hour:02}:{minute:02}:{second:02}.{:07}", since.subsec_nanos() / 100);
    (time, rand::random())
}
