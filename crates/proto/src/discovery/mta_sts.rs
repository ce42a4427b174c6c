//! The MTA-STS policy of a domain (RFC 8461): other servers then insist on encryption when they bring mail.

use crate::service::publish::Published;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// How long an enforced policy is kept by others; RFC 8461 3.2 advises weeks or more.
const ENFORCE_SECONDS: u32 = 14 * 86_400;
/// How long a policy is kept that only asks for reports.
const TESTING_SECONDS: u32 = 86_400;

/// The document; `None` if the service takes no mail from other servers.
///
/// `enforce` only where the certificate covers the host: another server that holds the policy
/// brings no mail to a host whose certificate it cannot check (RFC 8461 5).
#[must_use]
pub fn render(published: &Published, enforce: bool) -> Option<String> {
    let (mode, seconds) = if enforce { ("enforce", ENFORCE_SECONDS) } else { ("testing", TESTING_SECONDS) };
    let host = &published.host;
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
        let policy = render(&published(true), true).unwrap();
        assert_eq!(
            policy,
            "version: STSv1\r\nmode: enforce\r\nmx: mail.example.test\r\nmax_age: 1209600\r\n"
        );
        assert!(render(&published(true), false).unwrap().contains("mode: testing\r\n"));
        assert_eq!(render(&published(false), true), None);
        // RFC 8461 3.1: 1 to 32 letters and digits.
        let id = id(&policy);
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
