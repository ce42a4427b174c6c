//! TLS 1.2 and 1.3 with rustls: certificates, handshakes, and what they establish.
//!
//! A handshake begins with our own look at the ClientHello (`proto::hello`): a client
//! that cannot be served gets the alert that it understands and becomes a [`Failure`]
//! that says why; then rustls is given the same bytes.
//!
//! What must hold: no byte that was read before the handshake is ever given to a
//! session; a [`Security`] is made only here, after the handshake is complete;
//! ALPN never makes a handshake fail; no early data; no renegotiation (rustls has none).
//! Addresses from a client certificate are listed only after its chain was
//! verified against the configured authorities in this very handshake.

mod certificates;
mod client;
mod described;
mod facts;
mod roots;
mod tickets;

pub use certificates::{CertificateError, Certificates, Pair};
pub use described::{Described, Fingerprint, chain, fingerprint, names_of};
pub use roots::roots;
pub use rustls::pki_types::CertificateDer;
pub use tickets::KEY_SECONDS;

use crate::acme::{self, Challenges};
use crate::stream::{Socket, Stream};
use client::ClientAuthority;
use proto::hello::{self, Alert, Hello, Parsed, Verdict};
use proto::proof::{How, Security};
use proto::service::Protocol;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tickets::Tickets;
use tokio::net::TcpStream;

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The client offers only TLS 1.1 or older; the highest that it offered, `TLSv1.0`, `SSLv3`.
    TooOld(&'static str),
    /// TLS 1.2, but only CBC or static-RSA suites (old Apple systems).
    CbcOnly,
    /// The first bytes are not TLS (clear text on an implicit-TLS port).
    NotTls,
    /// No bytes at all on an implicit-TLS port: a client that waits for a greeting in clear.
    Silent,
    /// TLS from the first byte on a port that begins in clear.
    TooEarly,
    /// No handshake within the limit.
    TimedOut,
    /// The peer went away.
    PeerClosed,
    /// The peer sent this alert (`unknown_ca`: it does not trust our certificate).
    Alert(String),
    /// No failure of anybody: an ACME authority asked for the proof of a name and has it (RFC 8737). Such a
    /// connection carries nothing.
    Proven,
    /// Anything else, in rustls' words.
    Other(String),
}

/// Every limit of a handshake, with its default in `Default`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte to the end of the handshake (default 30).
    pub handshake_seconds_max: u32,
    /// Bytes that a client may send until its hello is complete (default 16 KiB).
    pub hello_bytes_max: usize,
    /// Bytes that a client may send until the handshake is complete (default 96 KiB:
    /// a chain of client certificates is the largest part).
    pub handshake_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            handshake_seconds_max: 30,
            hello_bytes_max: hello::HELLO_BYTES_MAX,
            handshake_bytes_max: 96 * 1024,
        }
    }
}

/// A handshake that failed, and the connection if a last word can still be sent on it in clear.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub failure: Failure,
    /// Only with [`Failure::NotTls`].
    pub clear: Option<TcpStream>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused { failure, clear: None }
    }
}

/// What all listeners of the service share: certificates, session tickets, trusted
/// client authorities. Make one, then an [`Acceptor`] for each protocol.
#[derive(Clone, Debug)]
pub struct Shared {
    plain: ServerConfig,
    tickets: Arc<Tickets>,
    proving: Option<Arc<ServerConfig>>,
}

/// Shakes hands for the listeners of one protocol.
#[derive(Clone, Debug)]
pub struct Acceptor {
    client_authority: Option<Arc<ClientAuthority>>,
    /// Says nothing about ALPN.
    plain: Arc<ServerConfig>,
    /// Answers the protocol's own ALPN names; used only if the client offers one of them.
    named: Arc<ServerConfig>,
    /// For an ACME authority that asks for the proof of a name.
    proving: Option<Arc<ServerConfig>>,
    alpn: &'static [&'static [u8]],
    limits: Limits,
}

impl Shared {
    /// Settings with these certificates. The ticket keys live as long as this value and its acceptors.
    ///
    /// # Errors
    /// Only if the system gives no random bytes for the ticket keys.
    pub fn new(certificates: Arc<Certificates>) -> Result<Shared, CertificateError> {
        let provider = provider();
        let failed = |error: rustls::Error| CertificateError::other(format!("TLS cannot be set up: {error}"));
        let mut plain = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(failed)?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        let tickets = Arc::new(Tickets::new(crate::now()).map_err(failed)?);
        plain.ticketer = tickets.clone();
        // Tickets carry the state; a cache of our own would only hold memory.
        plain.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        // A mail client comes back with one connection, and gets a new ticket each time.
        plain.send_tls13_tickets = 1;
        plain.max_early_data_size = 0;
        Ok(Shared { plain, tickets, proving: None })
    }

    /// The same, with web listeners that answer an authority's challenges in the handshake (TLS-ALPN-01).
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn proving(self, challenges: &Challenges) -> Result<Shared, CertificateError> {
        let mut config = ServerConfig::builder_with_provider(self.plain.crypto_provider().clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| CertificateError::other(format!("TLS cannot be set up: {error}")))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(challenges.clone()));
        config.alpn_protocols = vec![acme::ALPN.to_vec()];
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Shared { proving: Some(Arc::new(config)), ..self })
    }

    /// Turns the keys of session tickets before their time, [`KEY_SECONDS`]: tickets of the key before are
    /// taken until the next turn, older ones are not. Twice in a row forgets all tickets.
    pub fn turn_ticket_keys(&self) {
        self.tickets.turn(crate::now());
    }

    /// An acceptor for listeners of `protocol`. With `client_authorities`, a PEM file, clients are
    /// asked for a certificate; one that is missing or not trusted does no harm and proves nothing.
    ///
    /// # Errors
    /// The file cannot be read or holds no usable certificate.
    pub fn acceptor(
        &self,
        protocol: Protocol,
        client_authorities: Option<&Path>,
        limits: Limits,
    ) -> Result<Acceptor, CertificateError> {
        self.acceptor_named(alpn_names(protocol), client_authorities, limits)
    }

    /// An acceptor for the web's port where mail is served too, to clients that ask for it by ALPN: what they get is
    /// decided before the handshake, and a client that asks for nothing gets the web.
    ///
    /// # Errors
    /// As of [`Shared::acceptor`].
    pub fn acceptor_with_mail(
        &self,
        client_authorities: Option<&Path>,
        limits: Limits,
    ) -> Result<Acceptor, CertificateError> {
        self.acceptor_named(WEB_AND_MAIL, client_authorities, limits)
    }

    fn acceptor_named(
        &self,
        alpn: &'static [&'static [u8]],
        client_authorities: Option<&Path>,
        limits: Limits,
    ) -> Result<Acceptor, CertificateError> {
        let mut plain = self.plain.clone();
        let client_authority = client_authorities.map(ClientAuthority::load).transpose()?;
        if let Some(authority) = &client_authority {
            plain = rebuilt_with(plain, authority)?;
        }
        let mut named = plain.clone();
        named.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        // The authority asks at the web's port alone (RFC 8737 3).
        let proving = self.proving.clone().filter(|_| alpn.starts_with(WEB));
        Ok(Acceptor {
            client_authority,
            plain: Arc::new(plain),
            named: Arc::new(named),
            proving,
            alpn,
            limits,
        })
    }
}

impl Acceptor {
    /// The longest that a handshake may take.
    pub(crate) fn handshake_max(&self) -> Duration {
        Duration::from_secs(u64::from(self.limits.handshake_seconds_max))
    }
}

/// Shakes hands on `tcp`. The returned stream may still hold session tickets to
/// send: they leave with the first flush.
///
/// # Errors
/// Why there is no TLS; the alert has been sent.
pub async fn accept(
    tcp: TcpStream,
    how: How,
    acceptor: &Acceptor,
) -> Result<(Stream, Security), Box<Refused>> {
    match tokio::time::timeout(acceptor.handshake_max(), shake_hands(tcp, how, acceptor)).await {
        Ok(outcome) => outcome.map_err(Box::new),
        Err(_) => Err(Box::new(Failure::TimedOut.into())),
    }
}

/// The cryptography: aws-lc-rs with the hybrid post-quantum group first and no
/// suite without forward secrecy.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The failure that an error of rustls means.
pub(crate) fn failure_of(error: &rustls::Error) -> Failure {
    match error {
        rustls::Error::AlertReceived(alert) => match u8::from(*alert) {
            // Some clients hang up on our certificate with these; it is their word for going away.
            0 | 90 => Failure::PeerClosed,
            code => match hello::alert_name(code) {
                "unknown" => Failure::Alert(format!("alert {code}")),
                name => Failure::Alert(name.to_owned()),
            },
        },
        other => Failure::Other(other.to_string()),
    }
}

/// ALPN identifiers of the web, best first.
pub(crate) const WEB: &[&[u8]] = &[b"h2", b"http/1.1"];
/// IMAP, asked for on the web's port.
pub const IMAP_ON_WEB: &[u8] = b"imap";
/// Submission, asked for on the web's port.
pub const SUBMISSIONS_ON_WEB: &[u8] = b"submissions";
const WEB_AND_MAIL: &[&[u8]] = &[WEB[0], WEB[1], IMAP_ON_WEB, SUBMISSIONS_ON_WEB];

/// ALPN identifiers of the IANA registry where there is one, and what clients send where there is none.
/// Best first.
fn alpn_names(protocol: Protocol) -> &'static [&'static [u8]] {
    match protocol {
        Protocol::Smtp | Protocol::Submission => &[b"smtp"],
        Protocol::Lmtp => &[b"lmtp"],
        Protocol::Pop3 => &[b"pop3"],
        Protocol::Imap => &[b"imap"],
        Protocol::Web => WEB,
    }
}

/// rustls fixes the verifier when a configuration is built; everything else is taken over.
fn rebuilt_with(
    plain: ServerConfig,
    authority: &Arc<ClientAuthority>,
) -> Result<ServerConfig, CertificateError> {
    let mut config = ServerConfig::builder_with_provider(plain.crypto_provider().clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| CertificateError::other(format!("TLS cannot be set up: {error}")))?
        .with_client_cert_verifier(authority.clone())
        .with_cert_resolver(plain.cert_resolver);
    // A ticket carries the client's certificate. It is verified anew at each resumption, so that
    // sharing the keys between acceptors with different authorities gives nothing away.
    config.ticketer = plain.ticketer;
    config.session_storage = plain.session_storage;
    config.send_tls13_tickets = plain.send_tls13_tickets;
    config.max_early_data_size = plain.max_early_data_size;
    Ok(config)
}

async fn shake_hands(tcp: TcpStream, how: How, acceptor: &Acceptor) -> Result<(Stream, Security), Refused> {
    let mut received = Vec::with_capacity(1024);
    let hello = match read_hello(&tcp, &mut received, acceptor.limits.hello_bytes_max).await? {
        Parsed::Hello(hello) => hello,
        Parsed::NotTls => return Err(Refused { failure: Failure::NotTls, clear: Some(tcp) }),
        Parsed::Broken(what) => {
            refuse(&tcp, None, Alert::DecodeError);
            return Err(Failure::Other(what.to_owned()).into());
        }
        Parsed::NeedMore => {
            refuse(&tcp, None, Alert::DecodeError);
            return Err(Failure::Other("ClientHello is too long".to_owned()).into());
        }
    };
    match hello::verdict(&hello) {
        Verdict::Speakable => {}
        Verdict::TooOld(highest) => {
            refuse(&tcp, Some(&hello), Alert::ProtocolVersion);
            return Err(Failure::TooOld(hello::version_name(highest)).into());
        }
        Verdict::CbcOnly => {
            refuse(&tcp, Some(&hello), Alert::HandshakeFailure);
            return Err(Failure::CbcOnly.into());
        }
    }
    if let Some(proving) = acceptor.proving.as_ref().filter(|_| hello.alpn == [acme::ALPN]) {
        return Err(prove(&tcp, proving, &received, acceptor.limits.handshake_bytes_max).await.into());
    }
    let named = acceptor.alpn.iter().any(|name| hello.offers_alpn(name));
    let config = if named { &acceptor.named } else { &acceptor.plain };
    let tls = ServerConnection::new(config.clone()).map_err(|e| Failure::Other(e.to_string()))?;
    let mut tls = Box::new(tls);
    let chosen = converse(&tcp, &mut tls, &received, acceptor.limits.handshake_bytes_max).await?;
    let established = facts::gather(&tls, &hello, chosen.as_deref(), acceptor.client_authority.as_deref())
        .map_err(Failure::Other)?;
    Ok((Stream::secured(tcp, tls), Security::established(how, established)))
}

/// Shows an authority the proof that it asks for; the connection ends with the handshake (RFC 8737 3).
async fn prove(tcp: &TcpStream, config: &Arc<ServerConfig>, received: &[u8], bytes_max: usize) -> Failure {
    let mut tls = match ServerConnection::new(config.clone()) {
        Ok(tls) => tls,
        Err(error) => return Failure::Other(error.to_string()),
    };
    if let Err(failure) = converse(tcp, &mut tls, received, bytes_max).await {
        return failure;
    }
    tls.send_close_notify();
    match flush(tcp, &mut tls) {
        Ok(_) => Failure::Proven,
        Err(failure) => failure,
    }
}

/// Reads until the hello is whole, or is none.
async fn read_hello(tcp: &TcpStream, received: &mut Vec<u8>, bytes_max: usize) -> Result<Parsed, Failure> {
    loop {
        tcp.readable().await.map_err(|_| Failure::PeerClosed)?;
        let mut piece = [0; 2048];
        let room = piece.len().min(bytes_max.saturating_sub(received.len()));
        match tcp.try_read(&mut piece[..room]) {
            Ok(0) => return Err(Failure::PeerClosed),
            Ok(count) => received.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(_) => return Err(Failure::PeerClosed),
        }
        match hello::parse(received) {
            Parsed::NeedMore if received.len() < bytes_max => {}
            parsed => return Ok(parsed),
        }
    }
}

/// Sends an alert, as far as the socket takes it at once, and ends our direction.
fn refuse(tcp: &TcpStream, hello: Option<&Hello>, alert: Alert) {
    // Seven bytes on a fresh connection fit; if not, the peer learns from the close.
    let _ = tcp.try_write(&hello::alert(hello, alert));
    let _ = rustix::net::shutdown(tcp, rustix::net::Shutdown::Write);
}

/// Moves handshake messages until the handshake is complete. Returns the certificate that was served.
async fn converse(
    tcp: &TcpStream,
    tls: &mut ServerConnection,
    received: &[u8],
    bytes_max: usize,
) -> Result<Option<Arc<certificates::Served>>, Failure> {
    let mut chosen = None;
    let mut unread = received;
    while !unread.is_empty() {
        tls.read_tls(&mut unread).map_err(|error| Failure::Other(error.to_string()))?;
        step(tcp, tls, &mut chosen)?;
    }
    let mut total = received.len();
    while tls.is_handshaking() {
        if flush(tcp, tls)? {
            tcp.readable().await.map_err(|_| Failure::PeerClosed)?;
        } else {
            tcp.ready(tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE)
                .await
                .map_err(|_| Failure::PeerClosed)?;
        }
        match tls.read_tls(&mut ReadSocket(tcp)) {
            Ok(0) => return Err(Failure::PeerClosed),
            Ok(count) => total += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Err(Failure::Other(error.to_string()));
            }
            Err(_) => return Err(Failure::PeerClosed),
        }
        if total > bytes_max {
            return Err(Failure::Other("the handshake takes too many bytes".to_owned()));
        }
        step(tcp, tls, &mut chosen)?;
    }
    Ok(chosen)
}

/// Lets rustls work on what it was given, and learns which certificate it chose meanwhile.
fn step(
    tcp: &TcpStream,
    tls: &mut ServerConnection,
    chosen: &mut Option<Arc<certificates::Served>>,
) -> Result<(), Failure> {
    let (outcome, served) = certificates::observe(|| tls.process_new_packets());
    if served.is_some() {
        *chosen = served;
    }
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => {
            // The alert that rustls has queued tells the client why.
            let _ = flush(tcp, tls);
            let _ = rustix::net::shutdown(tcp, rustix::net::Shutdown::Write);
            Err(failure_of(&error))
        }
    }
}

/// Writes what rustls has to say; false if some is left because the socket is full.
fn flush(tcp: &TcpStream, tls: &mut ServerConnection) -> Result<bool, Failure> {
    while tls.wants_write() {
        match tls.write_tls(&mut Socket(tcp)) {
            Ok(0) => return Err(Failure::PeerClosed),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(_) => return Err(Failure::PeerClosed),
        }
    }
    Ok(true)
}

/// The socket as rustls wants to read from it.
struct ReadSocket<'a>(&'a TcpStream);

impl io::Read for ReadSocket<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hello_table_names_exactly_the_suites_of_the_library() {
        let mut ours: Vec<u16> =
            hello::SUITES_TLS13.iter().chain(hello::SUITES_TLS12).map(|(id, _)| *id).collect();
        let mut theirs: Vec<u16> =
            provider().cipher_suites.iter().map(|suite| u16::from(suite.suite())).collect();
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn the_hybrid_group_comes_first() {
        assert_eq!(provider().kx_groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
    }

    #[test]
    fn alerts_have_their_registered_names() {
        let unknown_ca = rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA);
        assert_eq!(failure_of(&unknown_ca), Failure::Alert("unknown_ca".to_owned()));
        let private = rustls::Error::AlertReceived(rustls::AlertDescription::Unknown(200));
        assert_eq!(failure_of(&private), Failure::Alert("alert 200".to_owned()));
    }
}
