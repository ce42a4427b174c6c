//! The header of every answer: security, caching, conditional requests, HEAD.

use crate::answer::{Answer, Cache};
use crate::ask::Ask;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use net::https::{Body, whole};
use sha2::{Digest, Sha256};

/// A year; without subdomains, which may be other people's machines (RFC 6797 6.1).
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// No scripts at all; styles, pictures and forms only from here and to here.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Makes the answer to this request of what a room gave.
pub(crate) fn dress(ask: &Ask, mut answer: Answer) -> Response<Body> {
    let mut fields = HeaderMap::with_capacity(16);
    for (name, value) in ALWAYS {
        fields.insert(name, value);
    }
    fields.insert(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    if ask.encrypted() && is_name(&ask.host) {
        fields.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    let cache = match answer.cache {
        Cache::Never => "no-store",
        Cache::Short => "public, max-age=300",
        Cache::Forever => "public, max-age=31536000, immutable",
    };
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if answer.by_language {
        fields.insert(header::VARY, HeaderValue::from_static("accept-language"));
    }
    if let Some(location) = &answer.location {
        // Made of our own URL and a request's target, which has no control characters.
        match HeaderValue::from_str(location) {
            Ok(value) => drop(fields.insert(header::LOCATION, value)),
            Err(_) => answer = Answer::plain(StatusCode::BAD_REQUEST, "The request is not understood."),
        }
    }
    if let Some(value) = answer.allow.and_then(|methods| HeaderValue::from_str(&joined(methods)).ok()) {
        fields.insert(header::ALLOW, value);
    }
    if let Some(value) = answer.challenge.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
        fields.insert(header::WWW_AUTHENTICATE, value);
    }
    if let Some(seconds) = answer.retry_seconds {
        fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let disposition = answer.file_name.map(|name| format!("attachment; filename=\"{name}\""));
    if let Some(value) = disposition.and_then(|text| HeaderValue::from_str(&text).ok()) {
        fields.insert(header::CONTENT_DISPOSITION, value);
    }
    if answer.cache != Cache::Never && answer.status == StatusCode::OK {
        let tag = tag(&answer.body);
        let known = names_tag(ask.field(header::IF_NONE_MATCH), &tag);
        if let Ok(value) = HeaderValue::from_str(&tag) {
            fields.insert(header::ETAG, value);
        }
        if known {
            answer.status = StatusCode::NOT_MODIFIED;
        }
    }
    let bare = matches!(answer.status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
    if !bare {
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.kind));
        if answer.live.is_none() {
            fields.insert(header::CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
        }
    }
    if bare || ask.method == Method::HEAD {
        (answer.body, answer.live) = (Bytes::new(), None);
    }
    let mut response = Response::new(answer.live.unwrap_or_else(|| whole(answer.body)));
    *response.status_mut() = answer.status;
    *response.headers_mut() = fields;
    response
}

/// HSTS is for names; and not for this machine's own, whose other services are not ours.
fn is_name(host: &str) -> bool {
    host.contains('.') && host.bytes().any(|byte| byte.is_ascii_alphabetic()) && !host.starts_with('[')
}

fn joined(methods: &[Method]) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

/// The strong tag of a content (RFC 9110 8.8.3).
fn tag(body: &[u8]) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(body)[..12]))
}

/// Does `If-None-Match` name it (RFC 9110 13.1.2)? Our tags contain no comma.
fn names_tag(field: &str, tag: &str) -> bool {
    let mut named = field.split(',').map(|one| one.trim().trim_start_matches("W/"));
    named.any(|one| one == "*" || one == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_recognised() {
        let tag = tag(b"body");
        assert!(names_tag(&tag, &tag) && names_tag(&format!("\"x\", W/{tag}"), &tag) && names_tag("*", &tag));
        assert!(!names_tag("", &tag) && !names_tag("\"x\"", &tag));
    }

    #[test]
    fn strict_transport_is_for_names() {
        assert!(is_name("mail.example.test"));
        for host in ["localhost", "127.0.0.1", "[::1]", ""] {
            assert!(!is_name(host), "{host}");
        }
    }
}
