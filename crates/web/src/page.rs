//! The frame of all pages, the front page, notices, and the few files that do not change.

use crate::Inner;
use crate::answer::{Answer, Cache, kind};
use crate::ask::Ask;
use crate::doctor;
use crate::words::{Words, own_name, words};
use askama::Template;
use http::StatusCode;
use proto::guide::Lang;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

const STYLE: &str = include_str!("../templates/style.css");
const ICON: &str = include_str!("../templates/icon.svg");
/// Pages for people may be found; links that live for minutes need not be, and examinations are for people.
const ROBOTS: &str = "User-agent: *\nDisallow: /apple/\nDisallow: /doctor?\nDisallow: /autodiscover/\n";

/// What stands around a page's content.
pub(crate) struct Layout {
    pub lang: &'static str,
    pub title: String,
    pub words: &'static Words,
    pub style: String,
    /// Address of a language's version of this page, its code, its own name; whether it is this one.
    pub languages: Vec<Choice>,
    /// What links inside carry on: `?lang=de&address=…` or nothing.
    pub carried: String,
}

/// One language to choose.
pub(crate) struct Choice {
    pub href: String,
    pub code: &'static str,
    pub name: &'static str,
    pub current: bool,
}

impl Layout {
    pub(crate) fn new(web: &Inner, ask: &Ask, title: &str) -> Layout {
        let lang = ask.lang();
        // What is no address of ours was a mistake, and does not go along.
        let address = ask.address("address").and_then(Result::ok);
        let address = address.filter(|address| web.app.published(address.domain()).is_some());
        let address = address.map(|address| address.to_string());
        let carry = |lang: Option<Lang>| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            if let Some(lang) = lang {
                query.append_pair("lang", lang.code());
            }
            if let Some(address) = &address {
                query.append_pair("address", address);
            }
            match query.finish() {
                query if query.is_empty() => query,
                query => format!("?{query}"),
            }
        };
        let choice = |lang_of: Lang| Choice {
            href: carry(Some(lang_of)),
            code: lang_of.code(),
            name: own_name(lang_of),
            current: lang_of == lang,
        };
        Layout {
            lang: lang.code(),
            title: title.to_owned(),
            words: words(lang),
            style: web.assets.style_path.clone(),
            languages: Lang::ALL.into_iter().map(choice).collect(),
            carried: carry(ask.asked_lang()),
        }
    }
}

#[derive(Template)]
#[template(path = "front.html")]
struct Front {
    layout: Layout,
    words: &'static Words,
    /// The words of the link to the doctor, where the operator offers one.
    doctor: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice {
    layout: Layout,
    text: String,
}

pub(crate) fn front(web: &Inner, ask: &Ask) -> Answer {
    let words = words(ask.lang());
    let provider = match web.app.domain_of_host(&ask.host).and_then(|domain| web.app.published(&domain)) {
        Some(published) => published.provider,
        None => {
            let model = &web.app.settings.model;
            model.provider.clone().unwrap_or_else(|| model.host.clone())
        }
    };
    let title = words.front_title.replace("{}", &provider);
    let doctor = web.surgery.is_some().then(|| doctor::link(ask.lang()));
    let page = Front { layout: Layout::new(web, ask, &title), words, doctor };
    general(html(StatusCode::OK, page.render()), ask)
}

/// A page with a title and a sentence.
pub(crate) fn notice(web: &Inner, ask: &Ask, status: StatusCode, title: &str, text: &str) -> Answer {
    let page = Notice { layout: Layout::new(web, ask, title), text: text.to_owned() };
    html(status, page.render())
}

pub(crate) fn not_found(web: &Inner, ask: &Ask) -> Answer {
    let words = words(ask.lang());
    notice(web, ask, StatusCode::NOT_FOUND, words.missing_title, words.missing)
}

/// An answer from a rendered template.
pub(crate) fn html(status: StatusCode, rendered: Result<String, askama::Error>) -> Answer {
    match rendered {
        Ok(text) => Answer { by_language: true, ..Answer::new(status, kind::HTML, text) },
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered: this is a fault of the program");
            Answer::plain(StatusCode::INTERNAL_SERVER_ERROR, words(Lang::En).failed)
        }
    }
}

/// A page that is the same for everybody may be kept for a while.
pub(crate) fn general(answer: Answer, ask: &Ask) -> Answer {
    let personal = ask.query("address").is_some();
    let cache = if personal || answer.status != StatusCode::OK { Cache::Never } else { Cache::Short };
    Answer { cache, ..answer }
}

/// The files that do not change while the program runs.
pub(crate) struct Assets {
    /// `/style-HASH.css`: another style has another name, so that it may be kept for ever.
    pub style_path: String,
}

impl Assets {
    pub(crate) fn new() -> Assets {
        let mut style_path = String::from("/style-");
        for octet in &Sha256::digest(STYLE)[..4] {
            // Writing to a String cannot fail.
            let _ = write!(style_path, "{octet:02x}");
        }
        style_path.push_str(".css");
        Assets { style_path }
    }

    /// The style; a name of another version leads to today's.
    pub(crate) fn style(&self, web: &Inner, ask: &Ask, hash: &str) -> Answer {
        if self.style_path == format!("/style-{hash}.css") {
            return Answer::ok(kind::CSS, STYLE, Cache::Forever);
        }
        not_found(web, ask)
    }

    pub(crate) fn icon() -> Answer {
        Answer::ok(kind::SVG, ICON, Cache::Short)
    }

    pub(crate) fn robots() -> Answer {
        Answer::ok(kind::TEXT, ROBOTS, Cache::Short)
    }
}
