//! Sessions: event in, one handler, answer out. One file a protocol.

pub mod imap;
pub mod login;
pub mod pop3;
pub mod smtp;
pub mod web;

use net::drive::Ends;
use proto::service::Listener;
use std::sync::Arc;

/// Output is handed to the socket when it has grown to this.
pub(crate) const FLUSH_BYTES: usize = 64 << 10;

/// Where a connection came in, known from its first moment.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Addresses.
    pub ends: Ends,
    /// The row of the service model.
    pub listener: Arc<Listener>,
    /// Names the session in logs and in `Received`.
    pub id: u64,
}

impl Origin {
    /// The protocol as facts and logs name it.
    #[must_use]
    pub fn protocol_word(&self) -> &'static str {
        self.listener.protocol.word()
    }

    /// The session's id as logs show it.
    #[must_use]
    pub fn id_text(&self) -> String {
        format!("{:013x}", self.id)
    }
}

/// Notes the end of a connection where it tells something.
pub(crate) fn ended(
    app: &crate::app::App,
    origin: &Origin,
    security: &proto::proof::Security,
    why: &net::drive::End,
) {
    match why {
        net::drive::End::EarlyBytes => {
            let outcome = crate::facts::Outcome::EarlyBytes;
            crate::facts::record(&app.store, origin, security, outcome, None, "", "");
        }
        net::drive::End::TlsFailed(failure) => crate::facts::record_handshake(&app.store, origin, failure),
        _ => {}
    }
    tracing::debug!(session = origin.id_text(), peer = %origin.ends.peer, end = ?why, "closed");
}
