//! From a finding to words: the texts that tell people what to do.
//!
//! Refusals in every protocol take their words from here, filled in from the
//! one [`crate::service::Model`], so that no text names a port that is closed.

use crate::service::{Model, Protection, Protocol};

/// The refusal of a password on a clear connection: which port and which
/// setting to choose instead. One line, ASCII, at most 200 octets, no code.
#[must_use]
pub fn needs_tls(model: &Model, protocol: Protocol) -> String {
    let wanted = if protocol == Protocol::Smtp { Protocol::Submission } else { protocol };
    let row = |protection| {
        model.listeners.iter().find(|l| l.protocol == wanted && l.protection == protection).map(|l| l.port)
    };
    match (row(Protection::Implicit), row(Protection::StartTls)) {
        (Some(tls), Some(starttls)) => format!(
            "Encryption required: in your mail program set port {tls} with SSL/TLS, or port {starttls} with STARTTLS"
        ),
        (Some(tls), None) => format!("Encryption required: in your mail program set port {tls} with SSL/TLS"),
        (None, Some(starttls)) => {
            format!("Encryption required: in your mail program set port {starttls} with STARTTLS")
        }
        (None, None) => "Encryption required: ask your provider for a port with SSL/TLS".to_owned(),
    }
}

/// For a client that speaks clear text where TLS comes first. One line, no code.
#[must_use]
pub fn tls_from_the_start() -> &'static str {
    "This port is encrypted from the first byte: in your mail program choose SSL/TLS for it, not STARTTLS and not \"none\""
}
