//! SASLprep (RFC 4013): user names and passwords brought to one form.
//!
//! What must hold: whoever makes a credential and whoever checks one go through
//! the same function here, so that a password typed on two systems compares equal.

use super::{PASSWORD_BYTES_MAX, USER_BYTES_MAX};
use crate::proof::Secret;

/// A user name in prepared form; `None` if it is empty, too long, no UTF-8, or
/// holds what SASLprep prohibits (control characters above all: a name goes into
/// logs and replies).
#[must_use]
pub fn user(raw: &[u8]) -> Option<String> {
    if raw.len() > USER_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(raw).ok()?;
    let prepared = stringprep::saslprep(text).ok()?;
    if prepared.is_empty() || prepared.len() > USER_BYTES_MAX { None } else { Some(prepared.into_owned()) }
}

/// A password in prepared form; `None` if it is empty or longer than
/// [`PASSWORD_BYTES_MAX`].
///
/// A password that SASLprep refuses (an octet string that is not UTF-8, a
/// character younger than Unicode 3.2 such as most emoji) is taken as it is:
/// people have such passwords, and the octets are the same at every login.
#[must_use]
pub fn password(raw: &[u8]) -> Option<Secret> {
    if raw.is_empty() || raw.len() > PASSWORD_BYTES_MAX {
        return None;
    }
    if raw.is_ascii() {
        return Some(Secret::new(raw));
    }
    let prepared = std::str::from_utf8(raw).ok().and_then(|text| stringprep::saslprep(text).ok());
    Some(match prepared {
        Some(text) if !text.is_empty() => Secret::new(text.into_owned()),
        _ => Secret::new(raw),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_rfc_4013_section_3() {
        assert_eq!(user("I\u{AD}X".as_bytes()).as_deref(), Some("IX"));
        assert_eq!(user(b"user").as_deref(), Some("user"));
        assert_eq!(user(b"USER").as_deref(), Some("USER"));
        assert_eq!(user("\u{AA}".as_bytes()).as_deref(), Some("a"));
        assert_eq!(user("\u{2168}".as_bytes()).as_deref(), Some("IX"));
        assert_eq!(user(b"\x07"), None);
        assert_eq!(user("\u{627}1".as_bytes()), None);
    }

    #[test]
    fn names_are_bounded_text() {
        assert_eq!(user(b""), None);
        assert_eq!(user("\u{AD}".as_bytes()), None, "nothing is left after mapping");
        assert_eq!(user(b"a\xff"), None);
        assert_eq!(user(b"a\r\nb"), None);
        assert!(user(&[b'a'; USER_BYTES_MAX]).is_some());
        assert_eq!(user(&[b'a'; USER_BYTES_MAX + 1]), None);
    }

    #[test]
    fn passwords_compare_across_keyboards() {
        let composed = password("p\u{e4}ss".as_bytes()).unwrap();
        assert_eq!(composed, password("pa\u{308}ss".as_bytes()).unwrap());
        assert_eq!(password("a\u{a0}b".as_bytes()).unwrap().expose(), b"a b");
    }

    #[test]
    fn passwords_that_saslprep_refuses_stay_as_they_are() {
        assert_eq!(password("\u{1F980}!".as_bytes()).unwrap().expose(), "\u{1F980}!".as_bytes());
        assert_eq!(password(b"\xff\xfe").unwrap().expose(), b"\xff\xfe");
        assert_eq!(password(b"tab\there").unwrap().expose(), b"tab\there");
        assert_eq!(password(b""), None);
        assert!(password(&[b'x'; PASSWORD_BYTES_MAX]).is_some());
        assert_eq!(password(&[b'x'; PASSWORD_BYTES_MAX + 1]), None);
    }
}
