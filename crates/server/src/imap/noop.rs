//! Commands that touch no mailbox: NOOP, CHECK, ID, UNAUTHENTICATE, COMPRESS, LANGUAGE, COMPARATOR.

use super::announce::{self, Known};
use crate::facts::{self, Outcome};
use crate::session::imap::ImapSession;
use net::drive::{Next, Wire};
use proto::imap::code::Code;
use proto::imap::language::{Common, Text};
use proto::imap::{encode, language};
use proto::machine::Machine;

/// Octets of a client's name that are kept.
const CLIENT_BYTES_MAX: usize = 128;
/// The collation that searches use (RFC 5255 4.1, RFC 5051).
const COLLATION: &str = "i;unicode-casemap";

pub(crate) async fn noop(s: &mut ImapSession, wire: &mut Wire<'_>) -> Next {
    let expunges = s.machine.may_expunge();
    if super::notify::tells_of_open(s)
        && announce::tell(s, expunges, &Known::default(), Some(wire)).await.is_err()
    {
        return Next::Close;
    }
    s.machine.ok(None, Common::Done);
    Next::Go
}

/// Says who we are without the version, which would help who looks for old ones; and notes who the client is.
pub(crate) fn id(s: &mut ImapSession, fields: &[(String, Option<String>)]) {
    let client = client_name(fields);
    if !client.is_empty() && client != s.client {
        s.client = client;
        if let Some(user) = s.user.as_deref() {
            // Most clients say it after their login, which is counted then without it.
            facts::record(
                &s.app.store,
                &s.origin,
                s.machine.security(),
                Outcome::ClientNamed,
                Some(user.who.account()),
                user.who.mechanism(),
                &s.client,
            );
        }
    }
    s.machine.output().extend_from_slice(b"* ID (\"name\" \"Sealpost\")\r\n");
    s.machine.ok(None, Text::Hello);
}

/// `name version` (RFC 2971 3.3), bounded.
fn client_name(fields: &[(String, Option<String>)]) -> String {
    let value = |wanted: &str| {
        let found = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(wanted));
        found.and_then(|(_, value)| value.as_deref()).unwrap_or_default().trim()
    };
    let mut name = format!("{} {}", value("name"), value("version")).trim().to_owned();
    let end = name.floor_char_boundary(CLIENT_BYTES_MAX);
    name.truncate(end);
    name
}

/// Everything that the login brought is forgotten (RFC 8437).
pub(crate) fn unauthenticate(s: &mut ImapSession) {
    s.user = None;
    s.append = None;
    s.exchange = crate::session::login::Exchange::default();
    s.machine.unauthenticated();
}

/// The answer is the last thing that goes uncompressed (RFC 4978 section 3).
pub(crate) fn compress(s: &mut ImapSession) -> Next {
    if s.compressed {
        s.machine.no(Some(Code::CompressionActive), Text::DeflateActive);
        return Next::Go;
    }
    s.compressed = true;
    s.machine.ok(None, Text::DeflateBegins);
    s.machine.set_compressed();
    Next::Compress
}

/// Lists the languages, or changes to the first that we have (RFC 5255 3.2).
pub(crate) fn language(s: &mut ImapSession, tags: &[String]) {
    if tags.is_empty() {
        write_list(s, "LANGUAGE", &language::tags().collect::<Vec<_>>());
        return s.machine.ok(None, Text::Languages);
    }
    match language::find(tags) {
        Some((_, tag)) => {
            s.machine.set_language(tag);
            write_list(s, "LANGUAGE", &[tag]);
            if s.user.is_some() {
                super::list::write_namespace(s);
            }
            s.machine.ok(None, Common::Language);
        }
        None => s.machine.no(None, Text::NoLanguages),
    }
}

/// One collation serves all (I18NLEVEL=1); asking which is harmless (RFC 5255 4.7).
pub(crate) fn comparator(s: &mut ImapSession, names: &[String]) {
    let wanted = names.is_empty()
        || names.iter().any(|name| {
            name.eq_ignore_ascii_case(COLLATION) || name.eq_ignore_ascii_case("default") || name == "*"
        });
    if !wanted {
        return s.machine.no(None, Text::NoComparator);
    }
    let out = s.machine.output();
    out.extend_from_slice(b"* COMPARATOR ");
    encode::string(COLLATION.as_bytes(), false, out);
    out.extend_from_slice(b"\r\n");
    s.machine.ok(None, Text::Comparator);
}

fn write_list(s: &mut ImapSession, word: &str, items: &[&str]) {
    let line = format!("* {word} ({})\r\n", items.join(" "));
    s.machine.output().extend_from_slice(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_named_by_what_they_say() {
        let said = |pairs: &[(&str, Option<&str>)]| {
            let pairs: Vec<(String, Option<String>)> =
                pairs.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned))).collect();
            client_name(&pairs)
        };
        assert_eq!(said(&[("Name", Some("Mail")), ("VERSION", Some("16.0"))]), "Mail 16.0");
        assert_eq!(said(&[("vendor", Some("x")), ("name", None)]), "");
        let long = "ä".repeat(100);
        assert_eq!(said(&[("name", Some(&long))]).len(), CLIENT_BYTES_MAX);
    }
}
