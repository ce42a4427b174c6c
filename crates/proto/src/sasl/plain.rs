//! PLAIN (RFC 4616): `authzid NUL authcid NUL password` in one message.

use super::prep;
use super::{Failure, Question};
use zeroize::Zeroizing;

/// Takes the client's message apart. Exactly two NULs; acting as somebody else
/// is not possible here, so the authorization identity is empty or the same.
pub(super) fn parse(message: &[u8]) -> Result<Question, Failure> {
    let mut parts = message.split(|&byte| byte == 0);
    let (Some(authzid), Some(authcid), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::Malformed);
    };
    let user = prep::user(authcid).ok_or(Failure::Malformed)?;
    let password = prep::password(password).ok_or(Failure::Malformed)?;
    if !authzid.is_empty() && prep::user(authzid).as_deref() != Some(user.as_str()) {
        return Err(Failure::Credentials);
    }
    Ok(Question::Password { user, password })
}

/// The client's message.
pub(super) fn message(authzid: &str, user: &str, password: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(authzid.len() + user.len() + password.len() + 2));
    out.extend_from_slice(authzid.as_bytes());
    out.push(0);
    out.extend_from_slice(user.as_bytes());
    out.push(0);
    out.extend_from_slice(password);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::Secret;
    use crate::sasl::{PASSWORD_BYTES_MAX, USER_BYTES_MAX};

    fn question(user: &str, password: &str) -> Result<Question, Failure> {
        Ok(Question::Password { user: user.to_owned(), password: Secret::new(password) })
    }

    #[test]
    fn examples_of_rfc_4616_section_4() {
        assert_eq!(parse(b"\0tim\0tanstaaftanstaaf"), question("tim", "tanstaaftanstaaf"));
        assert_eq!(parse(b"Ursel\0Kurt\0xipj3plmq"), Err(Failure::Credentials));
        assert_eq!(message("", "tim", b"tanstaaftanstaaf").as_slice(), b"\0tim\0tanstaaftanstaaf");
    }

    #[test]
    fn own_identity_may_be_repeated() {
        assert_eq!(parse(b"tim\0tim\0x"), question("tim", "x"));
        assert_eq!(parse(b"Tim\0tim\0x"), Err(Failure::Credentials));
    }

    #[test]
    fn wrong_shapes_are_malformed() {
        for bad in
            [&b""[..], b"\0", b"tim\0x", b"\0tim\0x\0", b"\0tim\0x\0y", b"\0\0x", b"\0tim\0", b"\0\xff\0x"]
        {
            assert_eq!(parse(bad), Err(Failure::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let longest = message("", &"u".repeat(USER_BYTES_MAX), &[b'p'; PASSWORD_BYTES_MAX]);
        assert!(parse(&longest).is_ok());
        let user = message("", &"u".repeat(USER_BYTES_MAX + 1), b"p");
        assert_eq!(parse(&user), Err(Failure::Malformed));
        let password = message("", "u", &[b'p'; PASSWORD_BYTES_MAX + 1]);
        assert_eq!(parse(&password), Err(Failure::Malformed));
    }
}
