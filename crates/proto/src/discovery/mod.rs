//! Client configuration documents: the model rendered, and other people's documents parsed.
//!
//! One file a format. Rendering takes a [`Published`](crate::service::publish::Published)
//! and gives the exact octets; parsing takes any octets from strangers (entity
//! bombs, endless lists, wrong charsets) in bounded time and memory and gives
//! [`Document`]: what a client would make of it, and what is wrong with it.

pub mod apple;
pub mod autoconfig;
pub mod autodiscover;
pub mod dns;
mod judge;
pub mod mta_sts;
pub mod pacc;
mod user;
mod xml;

use crate::service::publish::{Endpoint, Published};
use crate::service::{Protection, Protocol};

/// Octets of a document that are looked at; longer ones are refused.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 10;
/// Endpoints taken from one document.
pub const ENDPOINTS_MAX: usize = 64;
/// Domains taken from one document.
const DOMAINS_MAX: usize = 1_000;
/// Pages with instructions taken from one document.
const PAGES_MAX: usize = 16;
/// Remarks made about one document.
const REMARKS_MAX: usize = 100;
/// Characters of a stranger's text that are kept: names of providers and users, URLs.
const TEXT_CHARS_MAX: usize = 500;
/// Characters of a stranger's text that are repeated in a sentence.
const SHOWN_CHARS_MAX: usize = 60;
/// Characters of a provider's name (autoconfig and PACC say the same).
const NAME_CHARS_MAX: usize = 60;
/// Characters of its short name (autoconfig and PACC say the same).
const SHORT_NAME_CHARS_MAX: usize = 20;
/// Path of the guide below the start of the web pages.
const GUIDE_PATH: &str = "/guide";

/// What a document says, as a client would understand it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Name of the provider for people.
    pub provider: Option<String>,
    /// Domains that the document says it is for; empty if the format has none.
    pub domains: Vec<String>,
    /// IMAP and POP3, in the document's order. Hosts and user names with placeholders filled in where an address was given.
    pub incoming: Vec<Endpoint>,
    /// Submission, in the document's order.
    pub outgoing: Vec<Endpoint>,
    /// Pages with instructions.
    pub documentation: Vec<String>,
    /// What is wrong with it although it could be read, each a sentence.
    pub remarks: Vec<String>,
    /// The document only names another place to ask: an address (mail) or a URL.
    pub redirect: Option<Redirect>,
}

/// Where a document sends its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// Ask this URL.
    Url(String),
    /// Ask for this mail address instead.
    Address(String),
}

/// Why octets are no document of the format, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl Document {
    /// Adds a remark, if there are not too many already.
    fn remark(&mut self, remark: impl Into<String>) {
        if self.remarks.len() < REMARKS_MAX {
            let remark = remark.into();
            if !self.remarks.contains(&remark) {
                self.remarks.push(remark);
            }
        }
    }

    /// Adds an endpoint where it belongs, with remarks about what is wrong with it.
    fn endpoint(&mut self, endpoint: Endpoint) {
        if self.incoming.len() + self.outgoing.len() >= ENDPOINTS_MAX {
            return self.remark(format!("It names more than {ENDPOINTS_MAX} servers; the rest is ignored."));
        }
        for remark in judge::endpoint(&endpoint) {
            self.remark(remark);
        }
        match endpoint.protocol {
            Protocol::Submission => self.outgoing.push(endpoint),
            _ => self.incoming.push(endpoint),
        }
    }

    /// Remarks on the whole, once it has been read.
    fn finish(mut self) -> Document {
        if self.redirect.is_none() {
            for remark in judge::whole(&self) {
                self.remark(remark);
            }
        }
        self
    }
}

/// What is told to clients: mail, encrypted.
fn told(endpoints: &[Endpoint]) -> impl Iterator<Item = &Endpoint> {
    endpoints.iter().filter(|endpoint| {
        matches!(endpoint.protocol, Protocol::Imap | Protocol::Pop3 | Protocol::Submission)
            && endpoint.protection != Protection::Clear
    })
}

/// Address of the guide.
fn guide(published: &Published) -> Option<String> {
    published.web.as_ref().map(|web| format!("{web}{GUIDE_PATH}"))
}

/// The provider's name, no longer than the formats allow.
fn provider(published: &Published) -> String {
    let name = if published.provider.trim().is_empty() { &published.domain } else { &published.provider };
    cut(&xml::plain(name), NAME_CHARS_MAX)
}

/// The provider's name, short.
fn short_provider(published: &Published) -> String {
    cut(&provider(published), SHORT_NAME_CHARS_MAX)
}

/// The beginning of a text.
fn cut(text: &str, chars_max: usize) -> String {
    let text: String = text.trim().chars().take(chars_max).collect();
    text.trim_end().to_owned()
}

/// A stranger's text as it may be kept: bounded, without control characters.
fn kept(text: &str) -> String {
    cut(&xml::plain(text), TEXT_CHARS_MAX)
}

/// A stranger's text as it may stand in a sentence: bounded, printable, quoted.
fn shown(text: &str) -> String {
    let text = xml::plain(text);
    let start = cut(&text, SHOWN_CHARS_MAX);
    let more = if start.len() < text.trim().len() { "…" } else { "" };
    format!("\"{start}{more}\"")
}

/// A host as a document names it, as a name that can be asked for; an IP address stays one.
fn host(text: &str) -> Option<String> {
    let text = text.trim();
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Some(address.to_string());
    }
    crate::address::domain_to_ascii(text).ok()
}
