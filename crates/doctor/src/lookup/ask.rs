//! Asking within the time that is left: DNS, and HTTP with its redirects.

use crate::seen::Outcome;
use crate::{Question, Scope};
use net::dns::{self, Kind, Resolver};
use net::https::client::{self, Answer, Ask, NoAnswer};
use proto::discovery::DOCUMENT_BYTES_MAX;
use std::time::Duration;
use tokio::time::Instant;

/// Redirects that are followed.
pub(super) const REDIRECTS_MAX: usize = 5;
/// Share of the time after which a second way is tried where the first has not answered, in tenths.
const FIRST_WAY_TENTHS: u32 = 6;

/// What every source needs: the question, the resolver and the end of the time.
pub(super) struct Asker<'a> {
    pub(super) question: &'a Question,
    resolver: &'a Resolver,
    /// When the first way of a source with two must be through.
    first_way: Instant,
    deadline: Instant,
}

/// A request that was sent, or not.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) url: &'a str,
    /// Makes it a POST of XML.
    pub(super) xml: Option<&'a str>,
    /// There is a second way if this one is silent.
    pub(super) first_way: bool,
}

impl<'a> Request<'a> {
    pub(super) fn get(url: &'a str) -> Request<'a> {
        Request { url, xml: None, first_way: false }
    }
}

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reached {
    /// It never left this machine.
    No,
    /// Somebody may have read it.
    Perhaps,
    /// A web server says that it has no such document.
    Absent,
    /// A web server answered, if only with a refusal.
    Answered,
}

/// Why a source gave nothing to read, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// It may not be asked.
    NotAsked(String),
    /// There is nothing.
    Nothing(String),
    /// There is something that cannot be used.
    Broken(String),
}

impl From<Without> for Outcome {
    fn from(without: Without) -> Outcome {
        match without {
            Without::NotAsked(why) => Outcome::NotAsked(why),
            Without::Nothing(why) => Outcome::Nothing(why),
            Without::Broken(why) => Outcome::Broken(why),
        }
    }
}

/// What came, and how far the request got.
pub(super) struct Came {
    pub(super) answer: Result<Answer, Without>,
    pub(super) reached: Reached,
}

impl<'a> Asker<'a> {
    pub(super) fn new(question: &'a Question, resolver: &'a Resolver) -> Asker<'a> {
        let now = Instant::now();
        let time = question.limits.lookup;
        Asker { question, resolver, first_way: now + time * FIRST_WAY_TENTHS / 10, deadline: now + time }
    }

    /// The mail domain.
    pub(super) fn domain(&self) -> &'a str {
        &self.question.domain
    }

    /// The address for sources that cannot do without one, and whether it is the person's own. The neutral one is the
    /// postmaster's, whom every domain has (RFC 5321 4.5.1).
    pub(super) fn address(&self) -> (String, bool) {
        match &self.question.address {
            Some(address) => (address.clone(), true),
            None => (self.neutral_address(), false),
        }
    }

    /// An address that says nothing but the domain.
    pub(super) fn neutral_address(&self) -> String {
        format!("postmaster@{}", self.domain())
    }

    pub(super) async fn dns(&self, name: &str, kind: Kind) -> Result<dns::Answer, Without> {
        match tokio::time::timeout_at(self.deadline, self.resolver.ask(name, kind)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failed)) => Err(Without::Broken(sentence(&failed.0))),
            Err(_) => Err(Without::Broken(format!("DNS did not answer the question for {name} in time."))),
        }
    }

    /// One answer, redirects followed. A redirect may not lead out of encryption, nor in a circle, nor, with `Scope::Public`,
    /// to a port that is not the web's.
    pub(super) async fn http(&self, request: Request<'_>) -> Came {
        let mut came = Came {
            answer: Err(broken("It redirects more often than clients follow.")),
            reached: Reached::No,
        };
        let mut url = request.url.to_owned();
        let mut visited = Vec::new();
        while visited.len() <= REDIRECTS_MAX {
            let answer = match self.once(&url, request).await {
                Ok(answer) => answer,
                Err(no_answer) => {
                    if may_have_been_read(&no_answer) {
                        came.reached = came.reached.max(Reached::Perhaps);
                    }
                    came.answer = Err(without(&no_answer));
                    return came;
                }
            };
            came.reached =
                if matches!(answer.status, 404 | 410) { Reached::Absent } else { Reached::Answered };
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                came.answer = judged(answer);
                return came;
            }
            visited.push(url.clone());
            match self.next(&url, &visited, answer) {
                Ok(next) => url = next,
                Err(without) => {
                    came.answer = Err(without);
                    return came;
                }
            }
        }
        came
    }

    /// Where the redirect leads, and whether it may be followed.
    fn next(&self, url: &str, visited: &[String], answer: Answer) -> Result<String, Without> {
        let Some(location) = answer.location else {
            return Err(broken("It redirects without saying where to."));
        };
        if visited.contains(&location) {
            return Err(broken("It redirects in a circle."));
        }
        if is_https(url) && !is_https(&location) {
            return Err(broken("It redirects to an address that is not encrypted."));
        }
        Ok(location)
    }

    /// One request without redirects.
    pub(super) async fn once(&self, url: &str, request: Request<'_>) -> Result<Answer, NoAnswer> {
        if self.question.scope == Scope::Public && !self.is_web_port(url) {
            return Err(NoAnswer::Forbidden);
        }
        let end = if request.first_way { self.first_way } else { self.deadline };
        let time_max = end.saturating_duration_since(Instant::now());
        if time_max == Duration::ZERO {
            return Err(NoAnswer::TimedOut);
        }
        let ask = Ask {
            url,
            post: request.xml.map(|xml| ("text/xml; charset=utf-8", xml.as_bytes())),
            time_max,
            body_bytes_max: DOCUMENT_BYTES_MAX,
            allowed: match self.question.scope {
                Scope::Anywhere => |_| true,
                Scope::Public => net::network::is_public,
            },
            extra_roots: &self.question.extra_roots,
        };
        client::ask(self.resolver, ask).await
    }

    fn is_web_port(&self, url: &str) -> bool {
        let Some((scheme, rest)) = url.split_once("://") else { return false };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // Behind the bracket of an IPv6 address, if it is one.
        let tail = authority.rsplit(']').next().unwrap_or_default();
        let endpoints = &self.question.endpoints;
        match tail.rsplit_once(':') {
            None => true,
            Some((_, port)) if scheme.eq_ignore_ascii_case("https") => {
                port.parse() == Ok(endpoints.https_port)
            }
            Some((_, port)) => port.parse() == Ok(endpoints.http_port),
        }
    }
}

/// `https://…`
pub(super) fn is_https(url: &str) -> bool {
    url.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
}

pub(super) fn broken(why: &str) -> Without {
    Without::Broken(why.to_owned())
}

pub(super) fn nothing(why: &str) -> Without {
    Without::Nothing(why.to_owned())
}

/// An answer with a document in it, or what its status means.
fn judged(answer: Answer) -> Result<Answer, Without> {
    let is_page = answer
        .content_type
        .as_deref()
        .is_some_and(|kind| kind.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("text/html")));
    match answer.status {
        200..=299 if is_page => Err(nothing("There is a web page in place of settings.")),
        200..=299 => Ok(answer),
        401 => Err(nothing("It answers only after a login, and the doctor does not log in there.")),
        404 | 410 => Err(nothing("The web server has no such document.")),
        status @ 500..=599 => {
            Err(Without::Broken(format!("The web server reports a failure of its own ({status}).")))
        }
        status => Err(Without::Nothing(format!("The web server refuses ({status})."))),
    }
}

/// Could the other side have read the request? If in doubt, yes.
fn may_have_been_read(no_answer: &NoAnswer) -> bool {
    matches!(no_answer, NoAnswer::TimedOut | NoAnswer::TooLong | NoAnswer::Broken(_))
}

fn without(no_answer: &NoAnswer) -> Without {
    let words = sentence(&no_answer.to_string());
    match no_answer {
        NoAnswer::NoSuchHost | NoAnswer::Refused => Without::Nothing(words),
        NoAnswer::Forbidden => Without::NotAsked(words),
        _ => Without::Broken(words),
    }
}

/// With a capital in front and a full stop behind.
pub(super) fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if words.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}
