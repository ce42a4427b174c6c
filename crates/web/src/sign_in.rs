//! Signing in with what every browser has, without scripts or cookies: Basic (RFC 7617), inside TLS only.
//!
//! What must hold: the answer to a wrong password is the one to an unknown address; what is malformed is never tried;
//! no page that somebody signed in for is kept. Whether a request was caused by another site's page is asked before ([`Ask::is_from_elsewhere`]),
//! because browsers send the password along with all of them. Deliberately not here: who is who (`server`).

use crate::Inner;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::page;
use crate::words::{Words, words};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use proto::proof::{Authenticated, Secret};
use proto::sasl::prep;
use proto::service::policy::Denied;
use server::session::web::{SignIn, sign_in};
use zeroize::Zeroizing;

/// When the service is worth asking again if it cannot look up accounts.
const LATER_SECONDS: u64 = 10;

/// Who asks.
///
/// # Errors
/// Nobody who may; the answer says so, or asks for the password.
pub(crate) async fn who(web: &Inner, ask: &Ask) -> Result<Authenticated, Answer> {
    let Some((user, password)) = ask.authorization.as_ref().and_then(credentials) else {
        return Err(please(web, ask));
    };
    let words = words(ask.lang());
    let notice = |status, text: &str| page::notice(web, ask, status, words.sign_in_title, text);
    Err(match sign_in(&web.app, &ask.peer, user, password).await {
        SignIn::Done(who) => return Ok(who),
        SignIn::Wrong => please(web, ask),
        SignIn::Denied(denied) => notice(StatusCode::FORBIDDEN, denial(words, denied)),
        SignIn::Later => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Answer { retry_seconds: Some(LATER_SECONDS), ..notice(status, words.failed) }
        }
    })
}

/// Asks for the password.
fn please(web: &Inner, ask: &Ask) -> Answer {
    let words = words(ask.lang());
    // A host name has no characters that a quoted string would have to escape (RFC 9110 5.6.4).
    let challenge = format!("Basic realm=\"{}\", charset=\"UTF-8\"", web.app.settings.model.host);
    let status = StatusCode::UNAUTHORIZED;
    let notice = page::notice(web, ask, status, words.sign_in_title, words.sign_in);
    Answer { challenge: Some(challenge), ..notice }
}

fn denial(words: &Words, denied: Denied) -> &'static str {
    match denied {
        Denied::TlsTooOld(_) => words.sign_in_too_old,
        Denied::Clear | Denied::Way | Denied::Mechanism => words.sign_in_denied,
    }
}

/// Name and password out of an `Authorization` field (RFC 7617 2): the name ends at the first colon, and both are UTF-8, as the
/// challenge asks.
fn credentials(field: &Secret) -> Option<(String, Secret)> {
    let (scheme, token) = field.expose().split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let octets = Zeroizing::new(STANDARD.decode(token.trim_ascii()).ok()?);
    let colon = octets.iter().position(|octet| *octet == b':')?;
    Some((prep::user(&octets[..colon])?, prep::password(&octets[colon + 1..])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &str) -> Option<(String, Vec<u8>)> {
        let (user, password) = credentials(&Secret::new(field))?;
        Some((user, password.expose().to_vec()))
    }

    fn basic(text: &[u8]) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn examples_of_rfc_7617() {
        let found = |user: &str, password: &str| Some((user.to_owned(), password.as_bytes().to_vec()));
        assert_eq!(read("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), found("Aladdin", "open sesame"));
        // 2.1: "123" and a pound sign, in UTF-8.
        assert_eq!(read("Basic dGVzdDoxMjPCow=="), found("test", "123\u{a3}"));
        assert_eq!(read("bASIC  QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), found("Aladdin", "open sesame"));
        assert_eq!(read(&basic(b"ann@example.test:a:b:")), found("ann@example.test", "a:b:"));
    }

    #[test]
    fn what_is_malformed_is_nobody() {
        let long = [b"a:".as_slice(), &[b'x'; 5000]].concat();
        let texts: [&[u8]; 5] = [b"", b"no colon", b":password", b"name:", b"\xff:password"];
        for bad in texts.into_iter().chain([&long[..], b"na\0me:password", b"name\r\n:password"]) {
            assert_eq!(read(&basic(bad)), None, "{bad:?}");
        }
        for bad in [
            "",
            "Basic",
            "Basic ",
            "Basic a:b",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
            "Bearer YTpi",
            "\u{e4}\u{e4}\u{e4}\u{e4}",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
