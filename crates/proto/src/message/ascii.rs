//! Envelopes and structures for clients that know ASCII headers only (RFC 6855 section 8: they are not sent what RFC 5322
//! forbids). The same rules as in `surrogate`, applied to what was learnt of the headers.
//!
//! What must hold: the answer is as well-formed as what was given; ASCII passes unchanged; text in UTF-8 becomes encoded words
//! (RFC 2047), in parameters too, where most clients read them; an address that ASCII cannot write becomes a name beside one
//! that leads nowhere. What is not UTF-8 is somebody's old charset, which the client may guess better than we: it stays in a
//! literal. Nothing recurses.

use super::surrogate::{NOWHERE_HOST, NOWHERE_LOCAL, unstructured};
use super::wire::{self, Item, Walk};
use crate::address::domain_to_ascii;
use std::borrow::Cow;

/// An ENVELOPE, BODY or BODYSTRUCTURE in ASCII.
#[must_use]
pub fn in_ascii(list: &[u8]) -> Cow<'_, [u8]> {
    if list.is_ascii() {
        return Cow::Borrowed(list);
    }
    let mut out = Vec::with_capacity(list.len() + list.len() / 2);
    let mut rest = list;
    while let Some(&first) = rest.first() {
        let taken = match first {
            b'(' => match address(rest, &mut out) {
                Some(taken) => taken,
                None => {
                    out.push(b'(');
                    1
                }
            },
            b'"' | b'{' => {
                let mut walk = Walk::new(rest);
                // Kept bytes may come from a damaged disk: then they pass as they are.
                let Some(raw) = walk.raw() else {
                    out.extend_from_slice(rest);
                    break;
                };
                element(raw, &mut out);
                raw.len()
            }
            other => {
                out.push(other);
                1
            }
        };
        rest = &rest[taken..];
    }
    Cow::Owned(out)
}

/// A string as it stands.
fn element(raw: &[u8], out: &mut Vec<u8>) {
    let item = Walk::new(raw).next();
    match item.and_then(utf8) {
        Some(text) => wire::string(unstructured(&text).join(" ").as_bytes(), out),
        None => out.extend_from_slice(raw),
    }
}

/// The text of a string that is UTF-8 and not ASCII.
fn utf8(item: Item<'_>) -> Option<String> {
    let text = item.text().filter(|text| !text.is_ascii())?;
    String::from_utf8(text.into_owned()).ok()
}

/// Writes the address at the beginning, if there is one that needs more than encoded words; how many octets it had. An address has
/// four elements of which the second is NIL (a source route, which nobody has any more); nothing else has.
fn address(list: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let inner = list.strip_prefix(b"(").filter(|inner| inner.first() != Some(&b'('))?;
    let mut walk = Walk::new(inner);
    let raw = [walk.raw()?, walk.raw().filter(|route| *route == b"NIL")?, walk.raw()?, walk.raw()?];
    // Between elements stands one space.
    let length = raw.iter().map(|raw| raw.len() + 1).sum::<usize>();
    // The beginning of a group has no host: its name is text.
    if inner.get(length - 1) != Some(&b')') || !matches!(raw[3].first(), Some(b'"' | b'{')) {
        return None;
    }
    let [name, _, local, host] = raw.map(|raw| Walk::new(raw).next());
    let (name, local, host) = (name?, local?, host?);
    let host_ascii = utf8(host).map(|host| domain_to_ascii(&host));
    if utf8(local).is_none() && host_ascii.is_none() {
        return None;
    }
    let text = |item: Item<'_>| String::from_utf8_lossy(&item.text().unwrap_or_default()).into_owned();
    out.push(b'(');
    match host_ascii {
        Some(Ok(host)) if utf8(local).is_none() => {
            element(raw[0], out);
            out.extend_from_slice(b" NIL ");
            out.extend_from_slice(raw[2]);
            out.push(b' ');
            wire::string(host.as_bytes(), out);
        }
        _ => {
            // The reader sees who it was, and an answer goes nowhere.
            let shown = format!("{} {}@{}", text(name), text(local), text(host));
            wire::string(unstructured(shown.trim_start()).join(" ").as_bytes(), out);
            out.extend_from_slice(b" NIL ");
            wire::string(NOWHERE_LOCAL.as_bytes(), out);
            out.push(b' ');
            wire::string(NOWHERE_HOST.as_bytes(), out);
        }
    }
    out.push(b')');
    Some(1 + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::gist::{Gist, Limits, Scanner};
    use proptest::prelude::*;

    fn ascii(list: &str) -> String {
        String::from_utf8(in_ascii(list.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn text_becomes_encoded_words() {
        assert_eq!(ascii("(\"a\\\"b\" NIL {2}\r\nä 3)"), "(\"a\\\"b\" NIL \"=?UTF-8?B?w6Q=?=\" 3)");
        assert_eq!(
            ascii("(\"name\" {6}\r\nä.txt \"x\" \"y\")"),
            "(\"name\" \"=?UTF-8?B?w6QudHh0?=\" \"x\" \"y\")"
        );
        assert_eq!(in_ascii(b"({1}\r\n\xe4)"), &b"({1}\r\n\xe4)"[..], "an old charset stays");
    }

    #[test]
    fn addresses_stay_addresses() {
        assert_eq!(
            ascii("((\"Ann\" NIL \"a\" {12}\r\nbücher.test))"),
            "((\"Ann\" NIL \"a\" \"xn--bcher-kva.test\"))"
        );
        assert_eq!(
            ascii("((NIL NIL {6}\r\nbjörn \"x.test\")(\"b\" NIL \"b\" \"x.test\"))"),
            "((\"=?UTF-8?B?YmrDtnJuQHgudGVzdA==?=\" NIL \"invalid\" \"internationalized-address.invalid\")\
             (\"b\" NIL \"b\" \"x.test\"))"
        );
        assert_eq!(ascii("((NIL NIL {3}\r\nGä NIL))"), "((NIL NIL \"=?UTF-8?B?R8Ok?=\" NIL))");
    }

    proptest! {
        #[test]
        fn whatever_was_learnt_is_ascii_and_well_formed(
            subject in "[ -~äöλ\"\\\\]{0,30}",
            name in "[a-zäλ \"]{0,9}",
            local in "[a-zäλ]{1,5}",
            host in "[a-zäλ]{1,5}",
            file in "[ -~äλ]{0,12}",
        ) {
            let message = format!(
                "From: {name} <{local}@{host}.test>\r\nSubject: {subject}\r\n\
                 Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
                 Content-Type: message/rfc822\r\n\r\nTo: {local}@{host}\r\nSubject: {subject}\r\n\r\nx\r\n--b\r\n\
                 Content-Type: text/plain; name=\"{file}\"\r\nContent-Description: {subject}\r\n\r\nx\r\n--b--\r\n"
            );
            let mut scanner = Scanner::new(Limits::default());
            scanner.feed(message.as_bytes());
            let bytes = scanner.finish();
            let gist = Gist::read(&bytes).unwrap();
            for list in [gist.envelope(), gist.body_structure()] {
                let ascii = in_ascii(list);
                prop_assert!(ascii.is_ascii());
                // One element, of as many elements as before.
                let mut walk = Walk::new(&ascii);
                prop_assert_eq!(walk.raw(), Some(&*ascii));
                prop_assert_eq!(Walk::into(&ascii).count(), Walk::into(list).count());
            }
        }

        #[test]
        fn damaged_ones_do_not_panic(bytes in "[(){}\"0-9\\\\NIL äλ\r\n]{0,40}") {
            let _ = in_ascii(bytes.as_bytes());
        }
    }
}
