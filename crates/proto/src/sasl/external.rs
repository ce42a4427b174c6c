//! EXTERNAL (RFC 4422 appendix A): the client's certificate says who it is.

use super::Failure;
use super::prep;

/// The identity that the holder of a certificate with these addresses gets when
/// asking for `asked`: one of them (letter case aside, as addresses are looked up
/// without it), or, when nothing is asked for, the only one there is. A
/// certificate with several addresses must be told which.
#[must_use]
pub fn identity<'a>(addresses: &'a [String], asked: &str) -> Option<&'a str> {
    match addresses {
        [only] if asked.is_empty() => Some(only),
        _ => addresses.iter().find(|address| address.eq_ignore_ascii_case(asked)).map(String::as_str),
    }
}

/// The client's message is the identity that it wants, or nothing.
pub(super) fn parse(addresses: &[String], message: &[u8]) -> Result<String, Failure> {
    let asked =
        if message.is_empty() { String::new() } else { prep::user(message).ok_or(Failure::Malformed)? };
    identity(addresses, &asked).map(str::to_owned).ok_or(Failure::Credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities() {
        let one = ["ann@example.test".to_owned()];
        let two = ["ann@example.test".to_owned(), "bob@example.test".to_owned()];
        assert_eq!(identity(&one, ""), Some("ann@example.test"));
        assert_eq!(identity(&one, "ANN@example.test"), Some("ann@example.test"));
        assert_eq!(identity(&one, "bob@example.test"), None);
        assert_eq!(identity(&two, ""), None, "which of the two?");
        assert_eq!(identity(&two, "bob@example.test"), Some("bob@example.test"));
        assert_eq!(identity(&[], ""), None);
        assert_eq!(identity(&[], "ann@example.test"), None);
    }

    #[test]
    fn names_with_control_characters_are_malformed() {
        assert_eq!(parse(&["a@b".to_owned()], b"a@b\0"), Err(Failure::Malformed));
    }
}
