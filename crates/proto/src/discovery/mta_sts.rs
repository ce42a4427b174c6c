//! The MTA-STS policy of a domain (RFC 8461): other servers then insist on encryption when they bring mail.

use crate::service::publish::Published;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// How long an enforced policy is kept by others; RFC 8461 3.2 advises weeks or more.
const ENFORCE_SECONDS: u32 = 14 * 86_400;
/// How long a policy is kept that only asks for reports, or for nothing.
const TESTING_SECONDS: u32 = 86_400;

/// What other servers are to do with a host that they cannot check (RFC 8461 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bring no mail.
    Enforce,
    /// Bring it, and report.
    Testing,
    /// As if there were no policy: the way out for those who hold one (RFC 8461 8.3).
    None,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 3] = [Mode::Enforce, Mode::Testing, Mode::None];

    /// Its word in the policy.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        }
    }

    /// The one that holds. Nothing is enforced unless the certificate covers the host (`covered`): another server that
    /// holds such a policy would bring no mail. Without a choice it is enforced where it can be.
    #[must_use]
    pub fn effective(chosen: Option<Mode>, covered: bool) -> Mode {
        match chosen {
            None | Some(Mode::Enforce) if covered => Mode::Enforce,
            None | Some(Mode::Enforce) => Mode::Testing,
            Some(other) => other,
        }
    }
}

/// The document; `None` if the service takes no mail from other servers.
#[must_use]
pub fn render(published: &Published, mode: Mode) -> Option<String> {
    let seconds = if mode == Mode::Enforce { ENFORCE_SECONDS } else { TESTING_SECONDS };
    let (mode, host) = (mode.word(), &published.host);
    published
        .receives
        .then(|| format!("version: STSv1\r\nmode: {mode}\r\nmx: {host}\r\nmax_age: {seconds}\r\n"))
}

/// The id of the policy for the record at `_mta-sts.DOMAIN`: another policy has another id (RFC 8461 3.1).
#[must_use]
pub fn id(document: &str) -> String {
    let mut id = String::with_capacity(32);
    for octet in &Sha256::digest(document)[..16] {
        // Writing to a String cannot fail.
        let _ = write!(id, "{octet:02x}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(receives: bool) -> Published {
        Published {
            domain: "example.org".to_owned(),
            provider: "example.org".to_owned(),
            host: "mail.example.test".to_owned(),
            incoming: Vec::new(),
            outgoing: Vec::new(),
            web: None,
            receives,
        }
    }

    #[test]
    fn the_policy_is_that_of_the_rfc() {
        let policy = render(&published(true), Mode::Enforce).unwrap();
        assert_eq!(
            policy,
            "version: STSv1\r\nmode: enforce\r\nmx: mail.example.test\r\nmax_age: 1209600\r\n"
        );
        let testing = render(&published(true), Mode::Testing).unwrap();
        assert!(testing.contains("mode: testing\r\n"));
        let none = render(&published(true), Mode::None).unwrap();
        assert!(none.contains("mode: none\r\n") && none.contains("max_age: 86400\r\n"));
        assert!(id(&testing) != id(&policy) && id(&none) != id(&testing), "another policy has another id");
        assert_eq!(render(&published(false), Mode::Enforce), None);
        // RFC 8461 3.1: 1 to 32 letters and digits.
        let id = id(&policy);
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn nothing_is_enforced_that_cannot_be_kept() {
        let effective = |chosen| [true, false].map(|covered| Mode::effective(chosen, covered).word());
        assert_eq!(effective(None), ["enforce", "testing"]);
        assert_eq!(effective(Some(Mode::Enforce)), ["enforce", "testing"]);
        assert_eq!(effective(Some(Mode::Testing)), ["testing", "testing"]);
        assert_eq!(effective(Some(Mode::None)), ["none", "none"]);
    }
}
