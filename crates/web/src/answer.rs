//! What a room gives back: status, kind, octets, and how long they may be kept.

use bytes::Bytes;
use http::{Method, StatusCode};
use std::fmt::Display;

/// How long an answer may be kept by those who got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    /// Not at all: it depends on a person or on the moment.
    Never,
    /// Some minutes, then asked again by its tag.
    Short,
    /// For ever: another content has another name.
    Forever,
}

/// Kinds of content.
pub(crate) mod kind {
    pub const HTML: &str = "text/html; charset=utf-8";
    pub const TEXT: &str = "text/plain; charset=utf-8";
    /// Thunderbird's draft asks for this one.
    pub const XML: &str = "text/xml; charset=utf-8";
    pub const JSON: &str = "application/json";
    pub const CSS: &str = "text/css; charset=utf-8";
    pub const SVG: &str = "image/svg+xml";
    pub const PROFILE: &str = "application/x-apple-aspen-config";
}

/// An answer before it is dressed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub kind: &'static str,
    pub body: Bytes,
    /// What comes instead of `body`, in pieces while it is made.
    pub live: Option<net::https::Body>,
    pub cache: Cache,
    /// `Location`.
    pub location: Option<String>,
    /// `Allow`.
    pub allow: Option<&'static [Method]>,
    /// `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// `Retry-After`, in seconds.
    pub retry_seconds: Option<u64>,
    /// Offered to be kept under this name.
    pub file_name: Option<&'static str>,
    /// The content differs by language.
    pub by_language: bool,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
        Answer {
            status,
            kind,
            body: body.into(),
            live: None,
            cache: Cache::Never,
            location: None,
            allow: None,
            challenge: None,
            retry_seconds: None,
            file_name: None,
            by_language: false,
        }
    }

    pub(crate) fn ok(kind: &'static str, body: impl Into<Bytes>, cache: Cache) -> Answer {
        Answer { cache, ..Answer::new(StatusCode::OK, kind, body) }
    }

    /// A sentence for whoever reads it; never words of the request.
    pub(crate) fn plain(status: StatusCode, text: impl Display) -> Answer {
        Answer::new(status, kind::TEXT, format!("{text}\n"))
    }

    pub(crate) fn redirect(status: StatusCode, to: String) -> Answer {
        Answer { location: Some(to), ..Answer::new(status, kind::TEXT, Bytes::new()) }
    }

    pub(crate) fn options(methods: &'static [Method]) -> Answer {
        Answer { allow: Some(methods), ..Answer::new(StatusCode::NO_CONTENT, kind::TEXT, Bytes::new()) }
    }

    pub(crate) fn method_not_allowed(methods: &'static [Method]) -> Answer {
        let text = "This address does not take that method.";
        Answer { allow: Some(methods), ..Answer::plain(StatusCode::METHOD_NOT_ALLOWED, text) }
    }
}
