//! Which sockets may be asked when strangers ask ([`Scope::Public`]): public addresses, looked at after the
//! name was resolved, so that no name leads inside; and mail's ports.

use crate::Scope;
use proto::service::ports;
use std::net::SocketAddr;

/// Ports of mail for clients and between servers.
const MAIL: [u16; 10] = [
    ports::SMTP,
    ports::SUBMISSIONS,
    ports::SUBMISSION,
    ports::IMAP,
    ports::IMAPS,
    ports::POP3,
    ports::POP3S,
    ports::SUBMISSION_26,
    ports::SUBMISSION_2025,
    ports::SUBMISSION_ALTERNATE,
];

/// May this socket be connected to?
pub(super) fn may_be_asked(scope: Scope, socket: SocketAddr) -> bool {
    match scope {
        Scope::Anywhere => true,
        Scope::Public => net::network::is_public(socket.ip()) && MAIL.contains(&socket.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_reach_public_mail_only() {
        let public = |socket: &str| may_be_asked(Scope::Public, socket.parse().unwrap());
        for port in [25, 110, 143, 465, 587, 993, 995, 26, 2025, 2525] {
            assert!(public(&format!("8.8.8.8:{port}")), "{port}");
        }
        for port in [0, 22, 24, 80, 443, 4190, 6379, 10_993] {
            assert!(!public(&format!("8.8.8.8:{port}")), "{port}");
        }
        for inside in [
            "127.0.0.1:993",
            "10.0.0.1:993",
            "169.254.169.254:993",
            "100.64.0.1:993",
            "192.0.2.1:993",
            "224.0.0.1:993",
            "[::1]:993",
            "[fe80::1]:993",
            "[fd00::1]:993",
            "[::ffff:127.0.0.1]:993",
            "[64:ff9b::7f00:1]:993",
        ] {
            assert!(!public(inside), "{inside}");
            assert!(may_be_asked(Scope::Anywhere, inside.parse().unwrap()));
        }
    }
}
