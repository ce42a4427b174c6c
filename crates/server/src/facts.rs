//! Session facts: every login, refusal and failed handshake, as the ledger keeps them.
//!
//! One place decides how a fact is worded and which network a peer belongs to.
//! Recording never waits; the store gathers and writes in batches.

use crate::clock::unix_now;
use crate::session::Origin;
use net::network::Prefix;
use net::tls::Failure;
use proto::login;
use proto::proof::{AccountId, Security};
use store::Store;
use store::system::ledger::FactKey;

/// What happened, in the words the ledger keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A login succeeded.
    Login,
    /// A login failed: wrong password or no such user.
    LoginFailed,
    /// A login failed and the name was a bare local part.
    LoginFailedBareName,
    /// A login was refused because the connection was clear; nothing secret had been sent.
    NeedsTls,
    /// As before, but the password had been sent: it is exposed.
    NeedsTlsExposed,
    /// A mechanism was asked for that is not offered, or that the domain's rules do not allow.
    MechanismRefused,
    /// A login was refused by its domain's rules: the TLS version is too old.
    TlsTooOld,
    /// The same: the domain's users may not use this port.
    WayRefused,
    /// The channel binding did not fit: somebody may be in between.
    BindingFailed,
    /// Mail or login was tried without AUTH where it is required.
    NeedsAuth,
    /// Clear bytes came behind STARTTLS.
    EarlyBytes,
    /// Mail was accepted.
    MailAccepted,
    /// A client that had logged in said which program it is.
    ClientNamed,
}

impl From<login::Refusal> for Outcome {
    fn from(refusal: login::Refusal) -> Outcome {
        match refusal {
            login::Refusal::NeedsTls { exposed: true } => Outcome::NeedsTlsExposed,
            login::Refusal::NeedsTls { exposed: false } => Outcome::NeedsTls,
            login::Refusal::NotOffered => Outcome::MechanismRefused,
        }
    }
}

impl Outcome {
    /// The ledger's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Login => "login",
            Outcome::LoginFailed => "login failed",
            Outcome::LoginFailedBareName => "login failed: bare local part",
            Outcome::NeedsTls => "refused: needs TLS",
            Outcome::NeedsTlsExposed => "refused: needs TLS, password exposed",
            Outcome::MechanismRefused => "refused: mechanism",
            Outcome::TlsTooOld => "refused: TLS too old",
            Outcome::WayRefused => "refused: port",
            Outcome::BindingFailed => "refused: channel binding",
            Outcome::NeedsAuth => "refused: needs authentication",
            Outcome::EarlyBytes => "refused: bytes before TLS",
            Outcome::MailAccepted => "mail accepted",
            Outcome::ClientNamed => "client named",
        }
    }
}

/// Records what happened on a connection.
pub fn record(
    store: &Store,
    origin: &Origin,
    security: &Security,
    outcome: Outcome,
    account: Option<AccountId>,
    mechanism: &str,
    client: &str,
) {
    let tls = security.tls();
    let key = FactKey {
        account,
        outcome: outcome.word().to_owned(),
        protocol: origin.protocol_word().to_owned(),
        listener: origin.listener.name.clone(),
        port: origin.ends.local.port(),
        security: security.how().name().to_owned(),
        tls_version: tls.map(|t| t.version.name().to_owned()).unwrap_or_default(),
        cipher: tls.map(|t| t.cipher.to_owned()).unwrap_or_default(),
        mechanism: mechanism.to_owned(),
        client: printable(client),
        network: Prefix::SITE.of(origin.ends.peer.ip()).to_string(),
    };
    store.ledger().record(key, unix_now());
}

/// Records a handshake that failed.
pub fn record_handshake(store: &Store, origin: &Origin, failure: &Failure) {
    let (outcome, version) = match failure {
        Failure::TooOld(version) => ("handshake: TLS too old", *version),
        Failure::CbcOnly => ("handshake: CBC suites only", "TLSv1.2"),
        Failure::NotTls => ("handshake: clear text on a TLS port", ""),
        Failure::Silent => ("handshake: waits for a greeting on a TLS port", ""),
        Failure::TooEarly => ("handshake: TLS on a STARTTLS port", ""),
        Failure::TimedOut => ("handshake: timed out", ""),
        Failure::PeerClosed => ("handshake: peer closed", ""),
        Failure::Alert(_) => ("handshake: refused by peer", ""),
        Failure::Other(_) => ("handshake: failed", ""),
        // Nobody's session.
        Failure::Proven => return,
    };
    let detail = match failure {
        Failure::Alert(alert) => format!("{outcome}: {alert}"),
        _ => outcome.to_owned(),
    };
    let key = FactKey {
        account: None,
        outcome: printable(&detail),
        protocol: origin.protocol_word().to_owned(),
        listener: origin.listener.name.clone(),
        port: origin.ends.local.port(),
        security: "failed".to_owned(),
        tls_version: version.to_owned(),
        cipher: String::new(),
        mechanism: String::new(),
        client: String::new(),
        network: Prefix::SITE.of(origin.ends.peer.ip()).to_string(),
    };
    store.ledger().record(key, unix_now());
}

/// At most 128 octets, control characters replaced: what a client says of itself is hostile.
fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() + c.len_utf8() > 128 {
            break;
        }
        out.push(if c.is_control() { '?' } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_names_are_cut_and_cleaned() {
        assert_eq!(printable("a\r\nb"), "a??b");
        assert_eq!(printable(&"ä".repeat(100)).len(), 128);
    }
}
