//! What a completed handshake established, read out of the TLS library.
//!
//! Every field of [`proto::proof::Tls`] is filled here and nowhere else.

use super::certificates::Served;
use super::client::ClientAuthority;
use proto::hello::{Hello, SUITES_TLS12, SUITES_TLS13};
use proto::proof::{Tls, TlsVersion};
use rustls::{NamedGroup, ProtocolVersion, ServerConnection};

/// RFC 9266 2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// Collects the facts; the error says what the library failed to tell.
pub(super) fn gather(
    tls: &ServerConnection,
    hello: &Hello,
    served: Option<&Served>,
    client_authority: Option<&ClientAuthority>,
) -> Result<Tls, String> {
    let version = match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
        Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
        other => return Err(format!("unexpected protocol version {other:?}")),
    };
    let suite = tls.negotiated_cipher_suite().ok_or("no cipher suite was negotiated")?;
    let client_addresses = match (client_authority, tls.peer_certificates()) {
        (Some(authority), Some(chain)) => authority.addresses(chain),
        _ => Vec::new(),
    };
    Ok(Tls {
        version,
        cipher: suite_name(u16::from(suite.suite())),
        group: tls.negotiated_key_exchange_group().and_then(|group| group_name(group.name())),
        server_name: hello.server_name.clone(),
        exporter: exporter(tls, version, hello)?,
        end_point: served.map(|served| served.end_point.clone()).unwrap_or_default(),
        client_addresses,
    })
}

/// `tls-exporter` with a zero-length context (RFC 9266 2). Under TLS 1.2 it binds
/// the connection only with extended master secret (RFC 9266 4.2), which rustls uses
/// whenever the client offers it.
fn exporter(tls: &ServerConnection, version: TlsVersion, hello: &Hello) -> Result<Option<[u8; 32]>, String> {
    if version == TlsVersion::Tls12 && !hello.extended_master_secret {
        return Ok(None);
    }
    tls.export_keying_material([0; 32], EXPORTER_LABEL, Some(b""))
        .map(Some)
        .map_err(|error| format!("no channel binding: {error}"))
}

fn suite_name(suite: u16) -> &'static str {
    let mut all = SUITES_TLS13.iter().chain(SUITES_TLS12);
    all.find(|(id, _)| *id == suite).map_or("unknown", |(_, name)| name)
}

fn group_name(group: NamedGroup) -> Option<&'static str> {
    Some(match group {
        NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        NamedGroup::X25519 => "x25519",
        NamedGroup::secp256r1 => "secp256r1",
        NamedGroup::secp384r1 => "secp384r1",
        _ => return None,
    })
}
