//! LOGIN (draft-murchison-sasl-login): two prompts, the user name and the password.
//!
//! Obsolete, and still the only thing that some clients and devices speak.

use super::prep;
use super::{Failure, Question};

/// First prompt. The draft's own text is `User Name`; clients that look at the
/// prompt at all know this one.
pub(super) const USER_PROMPT: &[u8] = b"Username:";
/// Second prompt.
pub(super) const PASSWORD_PROMPT: &[u8] = b"Password:";

/// The first answer (or initial response): the user name.
pub(super) fn user(message: &[u8]) -> Result<String, Failure> {
    prep::user(message).ok_or(Failure::Malformed)
}

/// The second answer: the password.
pub(super) fn password(user: String, message: &[u8]) -> Result<Question, Failure> {
    let password = prep::password(message).ok_or(Failure::Malformed)?;
    Ok(Question::Password { user, password })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;

    #[test]
    fn prompts_are_those_that_clients_compare() {
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        assert_eq!(encode(USER_PROMPT), "VXNlcm5hbWU6");
        assert_eq!(encode(PASSWORD_PROMPT), "UGFzc3dvcmQ6");
    }

    #[test]
    fn empty_answers_are_malformed() {
        assert_eq!(user(b""), Err(Failure::Malformed));
        assert_eq!(password("a".to_owned(), b""), Err(Failure::Malformed));
    }
}
