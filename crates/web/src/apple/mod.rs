//! Profiles for Apple's devices: a short-lived link for one person, its QR code, and the signed profile behind it.
//!
//! A link carries an address and a display name and nothing secret: the device asks for the password.
//! So anyone may make one for any address of our domains, whether the account exists or not.

mod links;
mod sign;

pub(crate) use links::Links;

use crate::Inner;
use crate::answer::{Answer, Cache, kind};
use crate::ask::{self, Ask};
use crate::page::{self, Layout};
use crate::words::{Words, words};
use askama::Template;
use http::{Method, StatusCode};
use links::{Link, MINUTES};
use proto::discovery::apple;
use proto::service::Protocol;
use proto::service::publish::Published;
use qrcode::QrCode;
use qrcode::render::svg;

/// Characters of a display name.
const NAME_CHARS_MAX: usize = 100;
/// Pixels of a code's side, at least.
const CODE_PIXELS: u32 = 240;

#[derive(Template)]
#[template(path = "apple.html")]
struct FormPage {
    layout: Layout,
    words: &'static Words,
    address: String,
    mistake: Option<String>,
    pop3: bool,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    layout: Layout,
    words: &'static Words,
    address: String,
    token: String,
    url: String,
    valid: String,
}

/// The form, and what is sent with it.
pub(crate) fn form(web: &Inner, ask: &Ask) -> Answer {
    if ask.method != Method::POST {
        let address = ask.query("address").unwrap_or_default();
        return form_page(web, ask, address, None, StatusCode::OK);
    }
    let form = ask.form();
    let typed = form.get("address").unwrap_or_default();
    let words = words(ask.lang());
    let address = match ask::address(typed) {
        Ok(address) => address,
        Err(_) => {
            let mistake = Some(words.address_bad.to_owned());
            return form_page(web, ask, typed, mistake, StatusCode::BAD_REQUEST);
        }
    };
    let Some(published) = web.app.published(address.domain()) else {
        let mistake = Some(words.address_foreign.replace("{}", address.domain()));
        return form_page(web, ask, typed, mistake, StatusCode::NOT_FOUND);
    };
    let pop3 = form.get("protocol") == Some("pop3");
    let link = Link {
        address: address.to_string(),
        name: form.get("name").map(|name| name.chars().take(NAME_CHARS_MAX).collect()),
        incoming: offered(&published, if pop3 { Protocol::Pop3 } else { Protocol::Imap }),
    };
    let token = web.links.make(link, ask.peer.ends.peer.ip());
    // Relative to the root: the reader stays on the host that was asked.
    Answer::redirect(StatusCode::SEE_OTHER, format!("/apple/{token}?lang={}", ask.lang().code()))
}

/// The protocol that is wanted if the domain has it, else the other one.
fn offered(published: &Published, wanted: Protocol) -> Protocol {
    let other = if wanted == Protocol::Imap { Protocol::Pop3 } else { Protocol::Imap };
    if published.first(wanted).is_some() { wanted } else { other }
}

fn form_page(web: &Inner, ask: &Ask, address: &str, mistake: Option<String>, status: StatusCode) -> Answer {
    let lang = ask.lang();
    let words = words(lang);
    // Whether POP3 is offered depends on the domain; without one, on the service.
    let known = ask::address(address).ok();
    let published = web.published(ask, known.as_ref()).or_else(|_| web.published(ask, None));
    let pop3 = published.is_ok_and(|published| {
        published.first(Protocol::Imap).is_some() && published.first(Protocol::Pop3).is_some()
    });
    let layout = Layout::new(web, ask, words.apple_title);
    let page = FormPage { layout, words, address: address.to_owned(), mistake, pop3 };
    page::html(status, page.render())
}

/// The link for people: to open on the device, or to point its camera at.
pub(crate) fn link(web: &Inner, ask: &Ask, token: &str) -> Answer {
    let Some(link) = web.links.find(token) else { return gone(web, ask) };
    let Some(url) = profile_url(web, ask, token) else { return gone(web, ask) };
    let words = words(ask.lang());
    let page = LinkPage {
        layout: Layout::new(web, ask, words.link_title),
        words,
        address: link.address,
        token: token.to_owned(),
        url,
        valid: words.link_intro.replace("{}", &MINUTES.to_string()),
    };
    page::html(StatusCode::OK, page.render())
}

/// The QR code of the link.
pub(crate) fn code(web: &Inner, ask: &Ask, token: &str) -> Answer {
    let Some(_) = web.links.find(token) else { return gone(web, ask) };
    let code = profile_url(web, ask, token).and_then(|url| QrCode::new(url).ok());
    let Some(code) = code else { return gone(web, ask) };
    let picture = code.render::<svg::Color<'_>>().min_dimensions(CODE_PIXELS, CODE_PIXELS).build();
    Answer::ok(kind::SVG, picture, Cache::Never)
}

/// The profile, signed with the certificate of the host that is asked.
pub(crate) fn profile(web: &Inner, ask: &Ask, token: &str) -> Answer {
    let Some(link) = web.links.find(token) else { return gone(web, ask) };
    let profile = ask::address(&link.address)
        .ok()
        .and_then(|address| web.app.published(address.domain()))
        .and_then(|published| apple::render(&published, &link.address, link.name.as_deref(), link.incoming));
    let Some(profile) = profile else { return gone(web, ask) };
    let identity = web.certificates.identity(&ask.host);
    let octets = match sign::signed(&identity, profile.as_bytes()) {
        Ok(signed) => signed,
        Err(error) => {
            // Devices take it all the same and show it in red as not signed.
            tracing::error!(%error, "a profile cannot be signed with the service's certificate");
            profile.into_bytes()
        }
    };
    let mut answer = Answer::ok(kind::PROFILE, octets, Cache::Never);
    answer.file_name = Some("mail.mobileconfig");
    answer
}

fn gone(web: &Inner, ask: &Ask) -> Answer {
    let words = words(ask.lang());
    page::notice(web, ask, StatusCode::NOT_FOUND, words.link_gone_title, words.link_gone)
}

/// The link itself, under the name that the reader has reached us by.
fn profile_url(web: &Inner, ask: &Ask, token: &str) -> Option<String> {
    let host = if web.is_own_host(&ask.host) { &ask.host } else { &web.app.settings.model.host };
    Some(format!("{}/apple/{token}.mobileconfig", web.start_under(host)?))
}
