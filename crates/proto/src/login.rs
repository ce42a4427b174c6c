//! Logging in, as far as SMTP, IMAP and POP3 do it alike: what a client may say on the way, how it is
//! encoded, and when it is turned away before anything is asked.
//!
//! What must hold: a login on a clear connection is recognised before anything else is found wrong with it, and
//! it is told apart whether a secret was sent along; what a client sent never shows in `Debug`.
//!
//! Deliberately not here: what a mechanism says (`sasl`), who may log in (the session), the words of
//! refusals (each protocol has codes of its own).

use crate::proof::Secret;
use crate::sasl::Mechanism;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use zeroize::Zeroizing;

/// The client's turn in a login. The session answers it, but for the last.
pub enum Turn {
    /// A name and a password: LOGIN of IMAP, USER and PASS of POP3.
    Password {
        /// User name.
        user: String,
        /// Password, verbatim.
        password: Secret,
    },
    /// AUTH or AUTHENTICATE began.
    Start {
        /// Mechanism, already checked against the offer.
        mechanism: Mechanism,
        /// Decoded initial response.
        initial: Option<Vec<u8>>,
    },
    /// The client's next SASL message, decoded; it may be the password, so it is wiped when dropped.
    Message(Zeroizing<Vec<u8>>),
    /// The client cancelled with `*`, or what it sent was no message. *Answered* by the machine.
    Cancelled,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Turn::Password { user, .. } => write!(f, "Password({user:?}, ..)"),
            Turn::Start { mechanism, initial } => {
                let initial = if initial.is_some() { " with initial response" } else { "" };
                write!(f, "Start({}{initial})", mechanism.name())
            }
            Turn::Message(_) => f.write_str("Message(..)"),
            Turn::Cancelled => f.write_str("Cancelled"),
        }
    }
}

/// A login that the machine turned away by itself, for the session facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// On a clear connection.
    NeedsTls {
        /// A secret was sent in clear.
        exposed: bool,
    },
    /// A way to log in that is not offered.
    NotOffered,
}

/// What a connection has to offer to those who have not logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// Inside TLS.
    pub encrypted: bool,
    /// A password may be sent as it is (LOGIN of IMAP, USER and PASS of POP3).
    pub password: bool,
    /// Some SASL mechanism may be used.
    pub sasl: bool,
    /// It can be upgraded to TLS.
    pub starttls: bool,
}

/// What a command asks of the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A way to log in with a password that is sent.
    Password,
    /// A way to log in with SASL.
    Sasl,
    /// A clear connection that can be upgraded.
    Upgrade,
}

/// Why the door stays shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// A login on a clear connection.
    NeedsTls,
    /// A way to log in that is not offered here.
    NotOffered,
    /// STARTTLS inside TLS.
    AlreadyEncrypted,
    /// STARTTLS where there is no certificate.
    CannotEncrypt,
}

impl Door {
    /// May a command with this need pass before login?
    ///
    /// # Errors
    /// Why not.
    pub fn check(self, need: Need) -> Result<(), Shut> {
        let offered = match need {
            Need::Upgrade if self.encrypted => return Err(Shut::AlreadyEncrypted),
            Need::Upgrade if !self.starttls => return Err(Shut::CannotEncrypt),
            Need::Upgrade => true,
            Need::Password => self.password,
            Need::Sasl => self.sasl,
        };
        match (offered, self.encrypted) {
            (true, _) => Ok(()),
            (false, true) => Err(Shut::NotOffered),
            (false, false) => Err(Shut::NeedsTls),
        }
    }
}

/// The mechanism of this name, if it is offered.
#[must_use]
pub fn offered(name: &[u8], offer: &[Mechanism]) -> Option<Mechanism> {
    mechanism(name).filter(|mechanism| offer.contains(mechanism))
}

fn mechanism(name: &[u8]) -> Option<Mechanism> {
    std::str::from_utf8(name).ok().and_then(Mechanism::from_name)
}

/// What is no base64 (RFC 4648 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBase64;

/// An initial response as it was sent, decoded. `=` is one of no octets (RFC 4954 section 4, RFC 4959 section 3,
/// RFC 5034 section 4).
///
/// # Errors
/// It is not base64.
pub fn initial(encoded: Option<&[u8]>) -> Result<Option<Vec<u8>>, NotBase64> {
    match encoded {
        None => Ok(None),
        Some(b"=") => Ok(Some(Vec::new())),
        Some(encoded) => STANDARD.decode(encoded).map(Some).map_err(|_| NotBase64),
    }
}

/// A line within an exchange: the next message, or `None` for `*`, by which the client gives up.
///
/// # Errors
/// It is not base64.
pub fn message(line: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, NotBase64> {
    if line == b"*" {
        return Ok(None);
    }
    STANDARD.decode(line).map(|message| Some(Zeroizing::new(message))).map_err(|_| NotBase64)
}

/// Writes a challenge: `head`, which is `+ ` or `334 `, and the challenge in base64.
pub fn challenge(head: &str, challenge: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(STANDARD.encode(challenge).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Did the arguments of a refused AUTH (a mechanism, perhaps an initial response) give a secret away? The
/// challenge mechanisms and the user name of LOGIN did not; PLAIN and whatever we do not know (bearer tokens) did.
#[must_use]
pub fn exposed(arguments: &[u8]) -> bool {
    let mut words = arguments.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let name = words.next().unwrap_or_default();
    let initial = words.next().unwrap_or_default();
    let tells = matches!(mechanism(name), None | Some(Mechanism::Plain));
    tells && !initial.is_empty() && initial != b"="
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_clear_is_told_before_one_that_is_not_offered() {
        let door = |encrypted, password, sasl, starttls| Door { encrypted, password, sasl, starttls };
        for (door, need, expected) in [
            (door(false, false, false, true), Need::Password, Err(Shut::NeedsTls)),
            (door(false, false, true, true), Need::Password, Err(Shut::NeedsTls)),
            (door(false, true, false, true), Need::Password, Ok(())),
            (door(true, false, true, false), Need::Password, Err(Shut::NotOffered)),
            (door(true, true, false, false), Need::Sasl, Err(Shut::NotOffered)),
            (door(true, true, true, false), Need::Sasl, Ok(())),
            (door(false, false, false, true), Need::Upgrade, Ok(())),
            (door(false, false, false, false), Need::Upgrade, Err(Shut::CannotEncrypt)),
            (door(true, true, true, true), Need::Upgrade, Err(Shut::AlreadyEncrypted)),
        ] {
            assert_eq!(door.check(need), expected, "{door:?} {need:?}");
        }
    }

    #[test]
    fn only_what_gives_a_secret_away_is_exposed() {
        for (arguments, expected) in [
            ("", false),
            ("PLAIN", false),
            ("PLAIN =", false),
            ("PLAIN AGEAYg==", true),
            ("plain AGEAYg==", true),
            ("LOGIN YW5u", false),
            ("SCRAM-SHA-256 biws", false),
            ("XOAUTH2 dG9rZW4=", true),
            ("  XOAUTH2  dG9rZW4=", true),
        ] {
            assert_eq!(exposed(arguments.as_bytes()), expected, "{arguments}");
        }
    }

    #[test]
    fn what_clients_send_does_not_show() {
        let turns = [
            Turn::Password { user: "ann".to_owned(), password: Secret::new("opensesame") },
            Turn::Start { mechanism: Mechanism::Plain, initial: Some(b"\0ann\0opensesame".to_vec()) },
            Turn::Message(Zeroizing::new(b"opensesame".to_vec())),
        ];
        assert_eq!(
            format!("{turns:?}"),
            r#"[Password("ann", ..), Start(PLAIN with initial response), Message(..)]"#
        );
    }

    #[test]
    fn base64_of_initial_responses_and_messages() {
        assert_eq!(initial(None), Ok(None));
        assert_eq!(initial(Some(b"=")), Ok(Some(Vec::new())));
        assert_eq!(initial(Some(b"YWI=")), Ok(Some(b"ab".to_vec())));
        assert_eq!(initial(Some(b"YWI")), Err(NotBase64));
        assert_eq!(message(b"*"), Ok(None));
        assert_eq!(message(b""), Ok(Some(Zeroizing::new(Vec::new()))));
        assert_eq!(message(b"="), Err(NotBase64));
    }
}
