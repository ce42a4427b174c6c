//! PACC (draft-ietf-mailmaint-pacc): `user-agent-configuration.json` and its digest record.
//!
//! The document is the same for every user of a domain, and its octets are the same
//! at each rendering, because a digest of them stands in DNS: a client that was read (pimconf, after -02) takes no document
//! whose digest is not there. It knows only implicit
//! TLS on the registered ports; a service that is not there is left out.
//!
//! Up to -02 the draft called sending `smtp`, since -03 `submit`. Clients skip what they do not know, so our
//! document says both; of foreign ones either is read, the newer first.

use super::{
    DOCUMENT_BYTES_MAX, Document, Unreadable, guide, host, kept, provider, short_provider, shown, told,
};
use crate::service::preset::registered_port;
use crate::service::publish::{Authentication, Endpoint, Published, UserForm};
use crate::service::{Protection, Protocol};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Keys of the servers that we know.
const KEYS: [(&str, Protocol); 4] = [
    ("imap", Protocol::Imap),
    ("pop3", Protocol::Pop3),
    ("submit", Protocol::Submission),
    (OLD_SUBMIT, Protocol::Submission),
];
/// What `submit` was called.
const OLD_SUBMIT: &str = "smtp";

#[derive(Serialize)]
struct Out<'a> {
    protocols: Protocols<'a>,
    authentication: Authentications,
    info: Info,
}

#[derive(Serialize)]
struct Protocols<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    imap: Option<Host<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pop3: Option<Host<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submit: Option<Host<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smtp: Option<Host<'a>>,
}

#[derive(Clone, Copy, Serialize)]
struct Host<'a> {
    host: &'a str,
}

#[derive(Serialize)]
struct Authentications {
    password: bool,
}

#[derive(Serialize)]
struct Info {
    provider: Provider,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Help>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Provider {
    name: String,
    short_name: String,
}

#[derive(Serialize)]
struct Help {
    documentation: String,
}

/// The document; the same for all users of a domain. `None` if nothing that it can name is served (it knows only implicit TLS on registered ports).
#[must_use]
pub fn render(published: &Published) -> Option<String> {
    let of = |protocol| {
        told(&published.incoming)
            .chain(told(&published.outgoing))
            .find(|e| e.protocol == protocol && expressible(e))
    };
    let rows = [Protocol::Imap, Protocol::Pop3, Protocol::Submission].map(of);
    // `password` is any way of proving that one knows it, in clear inside TLS or by a challenge.
    let password = rows.iter().flatten().any(|e| {
        e.authentication.iter().any(|a| matches!(a, Authentication::Password | Authentication::Challenge))
    });
    if rows.iter().all(Option::is_none) {
        return None;
    }
    let [imap, pop3, submit] = rows.map(|row| row.map(|e| Host { host: &e.host }));
    let out = Out {
        protocols: Protocols { imap, pop3, submit, smtp: submit },
        authentication: Authentications { password },
        info: Info {
            provider: Provider { name: provider(published), short_name: short_provider(published) },
            help: guide(published).map(|documentation| Help { documentation }),
        },
    };
    // Strings and booleans under fixed keys can always be written; if not, there is no document.
    serde_json::to_string_pretty(&out).ok().map(|text| text + "\n")
}

fn expressible(endpoint: &Endpoint) -> bool {
    endpoint.protection == Protection::Implicit
        && registered_port(endpoint.protocol, Protection::Implicit) == Some(endpoint.port)
}

/// The text of the digest record at `_ua-auto-config.DOMAIN`.
#[must_use]
pub fn digest_record(document: &[u8]) -> String {
    format!("v=UAAC1; a=sha256; d={}", STANDARD.encode(Sha256::digest(document)))
}

/// Is this the digest record of these octets? `None` if the text is no digest record, or one of an algorithm that is not known.
#[must_use]
pub fn digest_matches(record: &str, document: &[u8]) -> Option<bool> {
    let (mut version, mut algorithm, mut digest) = (None, None, None);
    // In any order; what a later version adds is skipped. A tag that stands twice means nothing.
    for (key, value) in record.split(';').filter_map(|tag| tag.split_once('=')) {
        let slot = match key.trim() {
            "v" => &mut version,
            "a" => &mut algorithm,
            "d" => &mut digest,
            _ => continue,
        };
        if slot.replace(value.trim()).is_some() {
            return None;
        }
    }
    if (version, algorithm) != (Some("UAAC1"), Some("sha256")) {
        return None;
    }
    let digest = STANDARD.decode(digest?).ok()?;
    Some(digest.as_slice().ct_eq(Sha256::digest(document).as_slice()).into())
}

/// Reads a document.
///
/// # Errors
/// It is none.
pub fn parse(octets: &[u8]) -> Result<Document, Unreadable> {
    if octets.len() > DOCUMENT_BYTES_MAX {
        return Err(Unreadable(format!(
            "It has more than {} kilobytes; a configuration document has a few.",
            DOCUMENT_BYTES_MAX >> 10
        )));
    }
    let root: Value = serde_json::from_slice(octets).map_err(|why| {
        Unreadable(format!("It is not JSON: {}.", shown(&why.to_string()).trim_matches('"')))
    })?;
    let Some(protocols) = root.get("protocols").and_then(Value::as_object) else {
        return Err(Unreadable("It has no list of protocols.".to_owned()));
    };
    let mut document = Document::default();
    let authentication = authentication(&root, &mut document);
    for (name, protocol) in KEYS {
        let Some(entry) = protocols.get(name) else { continue };
        if name == OLD_SUBMIT && protocols.contains_key("submit") {
            continue;
        }
        let text = entry.get("host").and_then(Value::as_str).unwrap_or_default();
        let port = registered_port(protocol, Protection::Implicit);
        match (host(text), port) {
            (Some(host), Some(port)) => document.endpoint(Endpoint {
                protocol,
                host,
                port,
                protection: Protection::Implicit,
                authentication: authentication.clone(),
                user: UserForm::Address,
            }),
            _ => document.remark(format!("For {name} {} is no host name.", shown(text))),
        }
    }
    for name in protocols.keys().filter(|name| !KEYS.iter().any(|(key, _)| key == name)) {
        document.remark(format!("It also names {}.", shown(name)));
    }
    info(&root, &mut document);
    Ok(document.finish())
}

fn authentication(root: &Value, document: &mut Document) -> Vec<Authentication> {
    let mut out = Vec::new();
    if root.pointer("/authentication/password").and_then(Value::as_bool) == Some(true) {
        out.push(Authentication::Password);
    }
    if let Some(issuer) = root.pointer("/authentication/oauth-public/issuer") {
        if issuer.as_str().is_some_and(|url| url.starts_with("https://")) {
            out.push(Authentication::OAuth2);
        } else {
            document.remark("Its OAuth issuer is no https address.");
        }
    }
    out
}

fn info(root: &Value, document: &mut Document) {
    let text = |path: &str| root.pointer(path).and_then(Value::as_str);
    match text("/info/provider/name") {
        Some(name) => {
            if name.chars().count() > super::NAME_CHARS_MAX {
                document.remark("The provider's name is longer than the 60 characters that are allowed.");
            }
            document.provider = Some(kept(name));
        }
        None => document.remark("It does not name its provider."),
    }
    if text("/info/provider/shortName").is_some_and(|name| name.chars().count() > super::SHORT_NAME_CHARS_MAX)
    {
        document.remark("The provider's short name is longer than the 20 characters that are allowed.");
    }
    document.documentation.extend(text("/info/help/documentation").map(kept));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_document() {
        let document = parse(
            br#"{"protocols":{"jmap":{"url":"https://a.test"},"imap":{"host":"IMAP.a.test"},"smtp":{"host":"a b"},"pop3":7},
                "authentication":{"oauth-public":{"issuer":"https://id.a.test/"},"password":true},
                "info":{"provider":{"name":"A","shortName":"123456789012345678901"},"help":{"documentation":"https://a.test/h"}},
                "more":[1,2,{"x":null}]}"#,
        )
        .unwrap();
        assert_eq!(document.incoming.len(), 1);
        assert_eq!(document.incoming[0].host, "imap.a.test");
        assert_eq!(document.incoming[0].port, 993);
        assert_eq!(document.incoming[0].authentication, [Authentication::Password, Authentication::OAuth2]);
        assert_eq!(document.outgoing, []);
        assert_eq!(document.provider.as_deref(), Some("A"));
        assert_eq!(document.documentation, ["https://a.test/h"]);
        assert_eq!(
            document.remarks,
            [
                "For pop3 \"\" is no host name.",
                "For smtp \"a b\" is no host name.",
                "It also names \"jmap\".",
                "The provider's short name is longer than the 20 characters that are allowed.",
                "It names no server for sending that a client could use.",
            ]
        );
    }

    #[test]
    fn sending_has_an_old_and_a_new_name() {
        let read = |protocols: &str| parse(format!("{{\"protocols\":{{{protocols}}}}}").as_bytes()).unwrap();
        for (protocols, host) in [
            (r#""submit":{"host":"new.test"}"#, "new.test"),
            (r#""smtp":{"host":"old.test"}"#, "old.test"),
            (r#""smtp":{"host":"old.test"},"submit":{"host":"new.test"}"#, "new.test"),
        ] {
            let document = read(protocols);
            assert_eq!(document.outgoing.len(), 1, "{protocols}");
            assert_eq!((document.outgoing[0].host.as_str(), document.outgoing[0].port), (host, 465));
        }
    }

    #[test]
    fn what_is_none() {
        let long = vec![b' '; DOCUMENT_BYTES_MAX + 1];
        let deep = "{\"protocols\":".repeat(10_000);
        for octets in [
            &b""[..],
            b"<a/>",
            b"[]",
            b"{}",
            b"{\"protocols\":[]}",
            b"{\"protocols\":{}",
            &long,
            deep.as_bytes(),
        ] {
            assert!(parse(octets).is_err());
        }
        assert_eq!(parse(b"{\"protocols\":{}}").unwrap().remarks.len(), 3);
        let issuer = br#"{"protocols":{},"authentication":{"oauth-public":{"issuer":"http://x"}}}"#;
        assert!(parse(issuer).unwrap().remarks.contains(&"Its OAuth issuer is no https address.".to_owned()));
    }

    #[test]
    fn only_implicit_tls_on_registered_ports_is_told() {
        let row = |port, protection| Endpoint {
            protocol: Protocol::Imap,
            host: "h.test".into(),
            port,
            protection,
            authentication: vec![Authentication::Challenge],
            user: UserForm::Address,
        };
        let with = |row| Published {
            domain: "d.test".into(),
            provider: "\"\\\u{7}".into(),
            host: "h.test".into(),
            incoming: vec![row],
            outgoing: vec![],
            web: None,
            receives: false,
        };
        assert_eq!(render(&with(row(143, Protection::StartTls))), None);
        assert_eq!(render(&with(row(10_993, Protection::Implicit))), None);
        let text = render(&with(row(993, Protection::Implicit))).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "protocols": {"imap": {"host": "h.test"}},
                "authentication": {"password": true},
                "info": {"provider": {"name": "\"\\", "shortName": "\"\\"}}
            })
        );
    }

    #[test]
    fn digests() {
        let record = digest_record(b"abc");
        assert_eq!(record, "v=UAAC1; a=sha256; d=ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert_eq!(digest_matches(&record, b"abc"), Some(true));
        assert_eq!(digest_matches(&record, b"abd"), Some(false));
        assert_eq!(digest_matches(&record.replace("; ", ";"), b"abc"), Some(true));
        assert_eq!(digest_matches("v=UAAC1; a=sha256; d=AAAA", b"abc"), Some(false));
        let turned: Vec<&str> = record.split("; ").collect();
        let turned = format!(" {} ;{};{}; n=new;", turned[2], turned[1], turned[0]);
        assert_eq!(digest_matches(&turned, b"abc"), Some(true));
        for none in [
            "",
            "v=spf1 -all",
            "v=UAAC2; a=sha256; d=AAAA",
            "v=UAAC1; a=md5; d=AAAA",
            "v=UAAC1; a=sha256",
            "v=UAAC1; a=sha256; d=*",
            "v=UAAC1; a=sha256; d=AAAA; d=AAAA",
        ] {
            assert_eq!(digest_matches(none, b"abc"), None, "{none}");
        }
    }
}
