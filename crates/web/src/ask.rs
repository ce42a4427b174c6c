//! A request as the rooms read it: host, path, query and form, decoded and bounded.
//!
//! Everything here is a stranger's word. Octets that are no UTF-8 become U+FFFD, which no address
//! and no token contains.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use net::https::Peer;
use proto::address::{Address, AddressError};
use proto::guide::Lang;
use proto::proof::Secret;

/// Octets of a path and query that are looked at; longer ones name nothing of ours.
const TARGET_BYTES_MAX: usize = 4096;
/// Pairs taken from a query or a form.
const PAIRS_MAX: usize = 32;

/// One request.
#[derive(Debug)]
pub(crate) struct Ask {
    /// Where from.
    pub peer: Peer,
    /// `GET` …
    pub method: Method,
    /// The host that is asked, lower case, without port and final dot; empty if the request names none.
    pub host: String,
    /// The same with its port, as it was asked.
    authority: String,
    /// The path, percent-encoding decoded.
    pub path: String,
    /// Path and query as they came, for a redirect.
    pub target: String,
    /// Fields of the header, without `Authorization`.
    pub fields: HeaderMap,
    /// `Authorization`, which may hold a password.
    pub authorization: Option<Secret>,
    /// The body.
    pub body: Bytes,
    query: Vec<(String, String)>,
}

impl Ask {
    pub(crate) fn new(peer: Peer, request: Request<Bytes>) -> Ask {
        let (mut head, body) = request.into_parts();
        let authorization = head.headers.remove(header::AUTHORIZATION);
        let named = head.fields_host().or_else(|| head.uri.authority().map(|name| name.as_str().to_owned()));
        let named = named.unwrap_or_default();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let (path, query) = match (target.len() <= TARGET_BYTES_MAX, target.split_once('?')) {
            (false, _) => ("/..", ""),
            (true, Some(parts)) => parts,
            (true, None) => (target, ""),
        };
        Ask {
            host: normal_host(&named),
            authority: named,
            path: percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned(),
            target: if target.len() <= TARGET_BYTES_MAX { target.to_owned() } else { "/".to_owned() },
            query: pairs(query.as_bytes()),
            peer,
            method: head.method,
            fields: head.headers,
            authorization: authorization.map(|value| Secret::new(value.as_bytes())),
            body,
        }
    }

    /// A value of the query; names in any letter case, as Outlook writes them. Empty ones count as missing.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        found(&self.query, name)
    }

    /// The values of a form that was sent in the body.
    pub(crate) fn form(&self) -> Form {
        Form(pairs(&self.body))
    }

    /// A field of the header as text.
    pub(crate) fn field(&self, name: header::HeaderName) -> &str {
        self.fields.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Under TLS?
    pub(crate) fn encrypted(&self) -> bool {
        self.peer.security.is_encrypted()
    }

    /// Did a page of another site cause the request? Browsers send a password along with it all the same.
    ///
    /// `Sec-Fetch-Site` (Fetch Metadata) cannot be made up by a page; browsers that do not send it yet name the page in
    /// `Origin`, at least where something is sent. Programs send neither, and nobody can make them ask.
    pub(crate) fn is_from_elsewhere(&self) -> bool {
        match self.fields.get("sec-fetch-site") {
            // Typed, a bookmark or a mail program; or a page of ours.
            Some(site) => site != "none" && site != "same-origin",
            None => self.fields.get(header::ORIGIN).is_some_and(|origin| {
                let page = origin.to_str().ok().and_then(|origin| origin.strip_prefix("https://"));
                page.is_none_or(|page| !page.eq_ignore_ascii_case(&self.authority))
            }),
        }
    }

    /// The language for the reader: `?lang=` if it is one of ours, else what the browser says.
    pub(crate) fn lang(&self) -> Lang {
        let asked = self.asked_lang();
        asked.unwrap_or_else(|| Lang::choose(self.field(header::ACCEPT_LANGUAGE)))
    }

    /// The language of `?lang=`.
    pub(crate) fn asked_lang(&self) -> Option<Lang> {
        let code = self.query("lang")?;
        Lang::ALL.into_iter().find(|lang| lang.code() == code)
    }

    /// The mail address that a program sent as the query's value `name`. Some write a plus as it is (FairEmail), where
    /// browsers write `%2B`; a space, which a plus would be in a form, is in no address that they send.
    pub(crate) fn programs_address(&self, name: &str) -> Option<Result<Address, AddressError>> {
        let (_, query) = self.target.split_once('?')?;
        found(&programs_pairs(query), name).map(address)
    }

    /// The mail address of the query's value `name`, as a browser sends it.
    pub(crate) fn address(&self, name: &str) -> Option<Result<Address, AddressError>> {
        self.query(name).map(address)
    }
}

/// An address that somebody typed. U+FFFD stands for octets that were no UTF-8 and belongs to no address.
///
/// # Errors
/// It is none.
pub(crate) fn address(text: &str) -> Result<Address, AddressError> {
    match text.contains(char::REPLACEMENT_CHARACTER) {
        true => Err(AddressError::Character(char::REPLACEMENT_CHARACTER)),
        false => Address::parse(text),
    }
}

/// A form's values.
#[derive(Debug)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// A value; empty ones count as missing.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        found(&self.0, name)
    }
}

fn found<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let (_, value) = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(value.trim()).filter(|value| !value.is_empty())
}

fn pairs(octets: &[u8]) -> Vec<(String, String)> {
    let pairs = form_urlencoded::parse(octets).take(PAIRS_MAX);
    pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

/// Pairs in which a plus is one.
fn programs_pairs(query: &str) -> Vec<(String, String)> {
    pairs(query.replace('+', "%2B").as_bytes())
}

/// The name in `Host` or `:authority`, without port, brackets kept.
fn normal_host(named: &str) -> String {
    let name = match named.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => named,
    };
    // Microsoft's fetcher writes the final dot.
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Reads the `Host` field of a request's head.
trait FieldsHost {
    fn fields_host(&self) -> Option<String>;
}

impl FieldsHost for http::request::Parts {
    fn fields_host(&self) -> Option<String> {
        Some(self.headers.get(header::HOST)?.to_str().ok()?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_normal() {
        for (named, host) in [
            ("Autoconfig.Example.TEST.:443", "autoconfig.example.test"),
            ("autodiscover.example.test.", "autodiscover.example.test"),
            ("[::1]:8443", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
            ("a:b", "a:b"),
        ] {
            assert_eq!(normal_host(named), host);
        }
    }

    #[test]
    fn pairs_are_bounded_and_any_case() {
        let many = "a=1&".repeat(1000);
        assert_eq!(pairs(many.as_bytes()).len(), PAIRS_MAX);
        let query = pairs(b"EmailAddress=a%40b.test&x=&bad=%ff");
        assert_eq!(found(&query, "emailaddress"), Some("a@b.test"));
        assert_eq!(found(&query, "x"), None);
        assert_eq!(found(&query, "bad"), Some("\u{fffd}"));
    }

    #[test]
    fn a_plus_in_the_address_of_a_program_is_one() {
        for written in ["ann+x@b.test", "ann%2Bx@b.test", "ann%2bx%40b.test"] {
            let query = programs_pairs(&format!("a=1&emailaddress={written}"));
            assert_eq!(found(&query, "emailaddress"), Some("ann+x@b.test"), "{written}");
        }
    }
}
