//! The page `/doctor`: why does my mail not connect, at whichever provider?
//!
//! A form that works without scripts; what it asks is examined by the crate `doctor`, and the page is
//! streamed: what is being done while it is done, then the answer. `format=json` gives the answer for programs.
//!
//! What must hold: nobody is led to addresses inside or to other ports than mail's ([`doctor::Scope::Public`] holds
//! it after resolution; here it is always set), and no answer tells which inside addresses there are; no password is taken for an
//! examination; how often and how many at a time is limited ([`Limits`]); an examination ends with the client that asked for
//! it; where people sign in, no other site's page can have anything examined in their name. All that is shown may be strangers'
//! words and is escaped.

mod limits;
mod question;
mod show;
mod words;

pub use limits::Limits;

use crate::Inner;
use crate::answer::{Answer, kind};
use crate::ask::Ask;
use crate::page::{self, Layout};
use crate::sign_in;
use askama::Template;
use bytes::Bytes;
use doctor::lookup::Endpoints;
use doctor::{Mistyped, Progress, Question, render};
use http::{Method, StatusCode};
use limits::{Door, Place};
use net::dns::Resolver;
use net::https::in_pieces;
use proto::guide::{self, Lang};
use question::Typed;
use server::app;
use server::clock::unix_now;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use words::Words;

/// Pieces that wait for a client that reads slowly; lines of progress beyond it are left out.
const PIECES_MAX: usize = 256;
/// Kept free of them for the answer.
const PIECES_KEPT: usize = 1;
/// One question to DNS.
const RESOLVE_MAX: Duration = Duration::from_secs(4);
/// So often something is sent, for only so is it noticed that a client is gone.
const BEAT: Duration = Duration::from_secs(1);
/// Where the page is cut for what comes later. Nothing that is escaped can look like it.
const CUT: &str = "<!-- here -->";

/// Where mail is examined: by which means and how often.
#[derive(Debug)]
pub struct Surgery {
    resolver: Resolver,
    endpoints: Endpoints,
    examination: doctor::Limits,
    door: Door,
    /// Only for people who sign in.
    accounts: bool,
}

impl Surgery {
    /// As the operator wants it. Where no password may be sent, nobody can sign in on a page.
    #[must_use]
    pub fn of(settings: &app::Settings) -> Option<Surgery> {
        let accounts = match settings.doctor {
            app::Doctor::Off => return None,
            app::Doctor::Accounts if !settings.model.password_sent => return None,
            app::Doctor::Accounts => true,
            app::Doctor::Everyone => false,
        };
        match Resolver::system(RESOLVE_MAX) {
            Ok(resolver) => Some(Surgery { accounts, ..Surgery::new(resolver, Limits::default()) }),
            Err(failed) => {
                tracing::error!(%failed, "the page /doctor is not served: the operator must mend the system's resolver");
                None
            }
        }
    }

    /// The same for people who sign in.
    #[must_use]
    pub fn for_accounts(self) -> Surgery {
        Surgery { accounts: true, ..self }
    }

    /// For everyone, with this resolver and these limits.
    #[must_use]
    pub fn new(resolver: Resolver, limits: Limits) -> Surgery {
        Surgery {
            resolver,
            endpoints: Endpoints::default(),
            examination: doctor::Limits::default(),
            door: Door::new(limits),
            accounts: false,
        }
    }
}

/// The words of a link to the page.
pub(crate) fn link(lang: Lang) -> &'static str {
    words::words(lang).link
}

#[derive(Template)]
#[template(path = "doctor.html")]
struct DoctorPage {
    layout: Layout,
    words: &'static Words,
    typed: Typed,
    note: Option<Note>,
    clients: Vec<guide::Client>,
    /// The answer follows.
    asked: bool,
    cut: &'static str,
}

impl DoctorPage {
    fn is_mistaken(&self) -> bool {
        matches!(self.note, Some(Note::Mistake(_)))
    }
}

/// What is said above the form.
enum Note {
    Mistake(Mistyped),
    /// Another site's page asks.
    Elsewhere,
}

/// The form, and what is asked with it.
pub(crate) async fn answer(web: &Inner, ask: &Ask) -> Answer {
    let Some(surgery) = &web.surgery else { return page::not_found(web, ask) };
    let typed = Typed::read(ask);
    let mut account = None;
    if surgery.accounts {
        // Before the password is looked at: the browser sends it along, whoever makes it ask.
        if ask.is_from_elsewhere() && !(typed.is_empty() && ask.method != Method::POST) {
            return elsewhere(web, ask, typed);
        }
        match sign_in::who(web, ask).await {
            Ok(who) => account = Some(who.account()),
            Err(answer) => return answer,
        }
    }
    // Whoever asks for the header alone has nothing examined.
    if typed.is_empty() || ask.method == Method::HEAD {
        return form(web, ask, typed, None);
    }
    let json = typed.json;
    let question = match typed.question(ask.lang(), surgery.examination, surgery.endpoints.clone()) {
        Ok(question) => question,
        Err(mistake) if json => return Answer::plain(StatusCode::BAD_REQUEST, mistake),
        Err(mistake) => return form(web, ask, typed, Some(Note::Mistake(mistake))),
    };
    let place = match surgery.door.enter(ask.peer.ends.peer.ip(), account) {
        Ok(place) => place,
        Err(seconds) => return later(web, ask, json, seconds),
    };
    let form = match json {
        true => None,
        false => match frame(web, ask, typed) {
            Ok(frame) => Some(frame),
            Err(failed) => return *failed,
        },
    };
    let kind = if json { kind::JSON } else { kind::HTML };
    let (pieces, body) = mpsc::channel(PIECES_MAX);
    tokio::spawn(examine(question, surgery.resolver.clone(), pieces, form, ask.lang(), place));
    Answer {
        live: Some(in_pieces(body)),
        by_language: true,
        ..Answer::new(StatusCode::OK, kind, Bytes::new())
    }
}

/// The form alone.
fn form(web: &Inner, ask: &Ask, typed: Typed, note: Option<Note>) -> Answer {
    let status = match note {
        Some(Note::Mistake(_)) => StatusCode::BAD_REQUEST,
        Some(Note::Elsewhere) if ask.method == Method::POST => StatusCode::FORBIDDEN,
        Some(Note::Elsewhere) | None => StatusCode::OK,
    };
    let accounts = web.surgery.as_ref().is_some_and(|surgery| surgery.accounts);
    let general = !accounts && typed.is_empty() && ask.method != Method::POST;
    let answer = page::html(status, whole(web, ask, typed, note, false).render());
    if general { page::general(answer, ask) } else { answer }
}

/// Another site's page asks: nothing is examined, but a person who followed a link finds the question in the form.
fn elsewhere(web: &Inner, ask: &Ask, typed: Typed) -> Answer {
    match typed.json {
        true => Answer::plain(StatusCode::FORBIDDEN, "Pages of other sites may not ask this."),
        false => form(web, ask, typed, Some(Note::Elsewhere)),
    }
}

/// The page around the answer: what stands before and behind it.
///
/// # Errors
/// The page cannot be rendered; the answer says so.
fn frame(web: &Inner, ask: &Ask, typed: Typed) -> Result<(String, String), Box<Answer>> {
    let rendered = whole(web, ask, typed, None, true).render();
    match rendered {
        Ok(text) => match text.split_once(CUT) {
            Some((before, behind)) => Ok((before.to_owned(), behind.to_owned())),
            None => Ok((text, String::new())),
        },
        Err(error) => Err(Box::new(page::html(StatusCode::OK, Err(error)))),
    }
}

fn whole(web: &Inner, ask: &Ask, typed: Typed, note: Option<Note>, asked: bool) -> DoctorPage {
    let words = words::words(ask.lang());
    let layout = Layout::new(web, ask, words.title);
    DoctorPage { layout, words, typed, note, clients: guide::clients(ask.lang()), asked, cut: CUT }
}

/// A limit is reached.
fn later(web: &Inner, ask: &Ask, json: bool, seconds: u64) -> Answer {
    let words = words::words(ask.lang());
    let status = StatusCode::TOO_MANY_REQUESTS;
    let answer = match json {
        true => Answer::plain(status, "Too many examinations for now; see Retry-After."),
        false => {
            let text = words.busy.replace("{}", &seconds.to_string());
            page::notice(web, ask, status, words.busy_title, &text)
        }
    };
    Answer { retry_seconds: Some(seconds), ..answer }
}

/// Examines and tells of it, until the answer is there or nobody waits for it any more.
async fn examine(
    question: Question,
    resolver: Resolver,
    pieces: mpsc::Sender<Bytes>,
    form: Option<(String, String)>,
    lang: Lang,
    place: Place,
) {
    let tell = |piece: String| {
        if pieces.capacity() > PIECES_KEPT {
            // It fits, or the client is gone, which is noticed below.
            let _ = pieces.try_send(piece.into());
        }
    };
    let json = form.is_none();
    let (before, behind) = form.unwrap_or_default();
    if !json {
        tell(before);
    }
    let progress = |step: Progress| {
        if !json {
            tell(show::step(&step, lang));
        }
    };
    let mut work = pin!(doctor::examine(&question, &resolver, &progress, unix_now()));
    let mut beat = tokio::time::interval(BEAT);
    let mut answer = loop {
        tokio::select! {
            answer = &mut work => break answer,
            () = pieces.closed() => return,
            // White space means nothing in a list, nor before a document (RFC 8259 2).
            _ = beat.tick() => tell("\n".to_owned()),
        }
    };
    // The next may come in before this client has taken its answer.
    drop(place);
    show::without_inside(&mut answer);
    let last = match json {
        true => render::json(&answer) + "\n",
        false => show::answer(answer, question.address.as_deref(), lang) + &behind,
    };
    let _ = pieces.try_send(last.into());
}
