//! Asking other servers over HTTP: one request, everything bounded, redirects left to the caller.
//!
//! What must hold: an address is judged *after* the name was resolved, and that very address is connected to, so that no
//! name can lead inside; the time counts for everything together, from the question to DNS to the last octet; of an answer
//! that is too long no more is read. The peer is a stranger: header, body, certificate and `Location` are hostile.
//! Deliberately not here: following redirects (each hop is a decision), cookies, compression, proxies.

use crate::dns::Resolver;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, LOCATION, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use proto::service::ports;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Octets of an answer's header.
pub const HEADER_BYTES_MAX: usize = 16 << 10;
/// Fields of an answer's header.
const FIELDS_MAX: usize = 100;
/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 4;
/// Head start of one address before the next is tried beside it (RFC 8305 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// Octets of a URL.
const URL_BYTES_MAX: usize = 2048;

/// Which addresses may be connected to; asked after the name was resolved, so that no name leads inside.
pub type Allowed = fn(IpAddr) -> bool;

/// One request.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// `https://…` or `http://…`.
    pub url: &'a str,
    /// A body makes it a POST: content type, octets.
    pub post: Option<(&'a str, &'a [u8])>,
    /// For the whole of it.
    pub time_max: Duration,
    /// Octets of the body of the answer.
    pub body_bytes_max: usize,
    /// Which addresses may be asked.
    pub allowed: Allowed,
    /// Trusted beside the system's authorities (DER), for tests and private services.
    pub extra_roots: &'a [Vec<u8>],
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `200`.
    pub status: u16,
    /// `Location`, made absolute.
    pub location: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The name does not exist or has no address.
    NoSuchHost,
    /// The resolver did not answer.
    Dns(String),
    /// All its addresses are ones that may not be asked.
    Forbidden,
    /// Nobody listens.
    Refused,
    /// Not within the time.
    TimedOut,
    /// TLS: the certificate or the handshake, in words.
    Tls(String),
    /// The answer is longer than allowed.
    TooLong,
    /// Not HTTP, or cut off.
    Broken(String),
    /// The URL is none, or of another kind.
    BadUrl,
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NoAnswer::NoSuchHost => "there is no such host",
            NoAnswer::Dns(words) | NoAnswer::Tls(words) | NoAnswer::Broken(words) => words,
            NoAnswer::Forbidden => "its address is none that may be asked",
            NoAnswer::Refused => "nobody listens there",
            NoAnswer::TimedOut => "no answer in time",
            NoAnswer::TooLong => "the answer is too long",
            NoAnswer::BadUrl => "that is no address of a web page",
        })
    }
}

impl std::error::Error for NoAnswer {}

/// Asks.
///
/// # Errors
/// See [`NoAnswer`].
pub async fn ask(resolver: &Resolver, ask: Ask<'_>) -> Result<Answer, NoAnswer> {
    let target = Target::parse(ask.url).ok_or(NoAnswer::BadUrl)?;
    tokio::time::timeout(ask.time_max, asked(resolver, &ask, &target))
        .await
        .map_err(|_| NoAnswer::TimedOut)?
}

async fn asked(resolver: &Resolver, ask: &Ask<'_>, target: &Target) -> Result<Answer, NoAnswer> {
    let tcp = connected(resolver, ask.allowed, target).await?;
    if !target.tls {
        return spoken(tcp, ask, target).await;
    }
    let server_name = ServerName::try_from(target.host.clone()).map_err(|_| NoAnswer::BadUrl)?;
    let connector = tokio_rustls::TlsConnector::from(config(ask.extra_roots)?);
    let tls = connector.connect(server_name, tcp).await.map_err(|error| tls_failure(&error))?;
    spoken(tls, ask, target).await
}

/// A URL, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    tls: bool,
    /// Without the brackets of IPv6.
    host: String,
    port: u16,
    /// As the `Host` field wants it.
    authority: String,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Option<Target> {
        if url.len() > URL_BYTES_MAX {
            return None;
        }
        let uri: Uri = url.parse().ok()?;
        let tls = match uri.scheme()? {
            scheme if *scheme == Scheme::HTTPS => true,
            scheme if *scheme == Scheme::HTTP => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        // A name and password in a URL would be sent to whoever wrote it.
        if authority.as_str().contains('@') {
            return None;
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        // "example.org:" and ":99999" are no ports.
        let port = match authority.as_str().get(authority.host().len()..)?.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if tls => ports::HTTPS,
            None => ports::HTTP,
        };
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        (!host.is_empty()).then(|| Target { tls, host, port, authority: authority.as_str().to_owned(), path })
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// A `Location` seen from here (RFC 9110 10.2.2, RFC 3986 5.2), without its fragment.
    fn resolved(&self, location: &str) -> String {
        let location = location.trim().split('#').next().unwrap_or_default();
        let (scheme, authority) = (self.scheme(), &self.authority);
        let path = self.path.split('?').next().unwrap_or_default();
        if location.find("://").is_some_and(|at| location[..at].bytes().all(|o| o.is_ascii_alphanumeric())) {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else if location.starts_with('/') {
            format!("{scheme}://{authority}{location}")
        } else if location.is_empty() || location.starts_with('?') {
            format!("{scheme}://{authority}{path}{location}")
        } else {
            let directory = &path[..path.rfind('/').map_or(0, |at| at + 1)];
            format!("{scheme}://{authority}{directory}{location}")
        }
    }
}

/// Connects to the first of the host's permitted addresses that answers; each later one starts a little later.
async fn connected(resolver: &Resolver, allowed: Allowed, target: &Target) -> Result<TcpStream, NoAnswer> {
    let addresses = resolver.addresses(&target.host).await.map_err(|failed| NoAnswer::Dns(failed.0))?;
    if addresses.is_empty() {
        return Err(NoAnswer::NoSuchHost);
    }
    let mut attempts = JoinSet::new();
    let permitted = interleaved(addresses).into_iter().filter(|address| allowed(*address));
    for (place, address) in (0_u32..).zip(permitted.take(ADDRESSES_MAX)) {
        let at = SocketAddr::new(address, target.port);
        attempts.spawn(async move {
            tokio::time::sleep(HEAD_START * place).await;
            TcpStream::connect(at).await
        });
    }
    let mut failure = NoAnswer::Forbidden;
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => failure = connect_failure(&error),
            // A task of ours that panicked, or the runtime is stopping.
            Err(error) => failure = NoAnswer::Broken(error.to_string()),
        }
    }
    Err(failure)
}

/// IPv6 and IPv4 by turns, so that one broken family costs one head start only (RFC 8305 4).
fn interleaved(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let mut mixed = Vec::new();
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return mixed;
        }
        mixed.extend(pair.into_iter().flatten());
    }
}

fn connect_failure(error: &io::Error) -> NoAnswer {
    match error.kind() {
        ErrorKind::ConnectionRefused => NoAnswer::Refused,
        ErrorKind::TimedOut => NoAnswer::TimedOut,
        _ => NoAnswer::Broken(format!("the host cannot be reached ({error})")),
    }
}

/// TLS 1.2 and 1.3, HTTP/1.1.
fn config(extra_roots: &[Vec<u8>]) -> Result<Arc<ClientConfig>, NoAnswer> {
    let builder = ClientConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| NoAnswer::Tls(error.to_string()))?;
    let mut config = builder.with_root_certificates(crate::tls::roots(extra_roots)).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn tls_failure(error: &io::Error) -> NoAnswer {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => {
                NoAnswer::Tls("the server closed the connection during the TLS handshake".to_owned())
            }
            _ => NoAnswer::Tls(format!("the TLS handshake failed ({error})")),
        };
    };
    NoAnswer::Tls(match error {
        rustls::Error::InvalidCertificate(why) => certificate_words(why),
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS there".to_owned(),
        rustls::Error::AlertReceived(alert) => {
            format!("the server refused the TLS handshake ({})", proto::hello::alert_name(u8::from(*alert)))
        }
        rustls::Error::PeerIncompatible(_) => "the server speaks only outdated TLS".to_owned(),
        error => format!("the TLS handshake failed ({error})"),
    })
}

fn certificate_words(why: &CertificateError) -> String {
    let words = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is made for another name"
        }
        CertificateError::UnknownIssuer => "was issued by an authority that is not trusted",
        CertificateError::Revoked => "was revoked",
        CertificateError::BadEncoding | CertificateError::BadSignature => "is damaged",
        other => return format!("the server's certificate cannot be used ({other})"),
    };
    format!("the server's certificate {words}")
}

/// The request and its answer over an open connection.
async fn spoken<S>(stream: S, ask: &Ask<'_>, target: &Target) -> Result<Answer, NoAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(FIELDS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    // The set ends the connection's task when this function ends, however it ends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request(ask, target)?).await.map_err(|error| broken(&error))?;
    let (head, body) = response.into_parts();
    let body = bounded(body, &head.headers, ask.body_bytes_max).await?;
    Ok(Answer {
        status: head.status.as_u16(),
        location: field(&head.headers, &LOCATION).map(|location| target.resolved(&location)),
        content_type: field(&head.headers, &CONTENT_TYPE),
        body,
    })
}

fn request(ask: &Ask<'_>, target: &Target) -> Result<Request<Full<Bytes>>, NoAnswer> {
    let method = if ask.post.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::builder()
        .method(method)
        .uri(&target.path)
        .header(HOST, &target.authority)
        .header(USER_AGENT, concat!("Sealpost/", env!("CARGO_PKG_VERSION")));
    let mut body = Bytes::new();
    if let Some((content_type, octets)) = ask.post {
        request = request.header(CONTENT_TYPE, content_type);
        body = Bytes::copy_from_slice(octets);
    }
    request.body(Full::new(body)).map_err(|_| NoAnswer::BadUrl)
}

async fn bounded(mut body: Incoming, headers: &HeaderMap, max: usize) -> Result<Bytes, NoAnswer> {
    let announced = field(headers, &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > max)) {
        return Err(NoAnswer::TooLong);
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| body_broken(&error))?.into_data() else { continue };
        if whole.len() + data.len() > max {
            return Err(NoAnswer::TooLong);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Within a body all that can go wrong is that it ends too early, or that its trailers are endless.
fn body_broken(error: &hyper::Error) -> NoAnswer {
    if error.is_parse_too_large() { NoAnswer::TooLong } else { cut_off() }
}

fn cut_off() -> NoAnswer {
    NoAnswer::Broken("the server closed the connection before its answer was complete".to_owned())
}

fn broken(error: &hyper::Error) -> NoAnswer {
    if error.is_parse_too_large() {
        NoAnswer::TooLong
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        cut_off()
    } else if error.is_parse() {
        NoAnswer::Broken("the server does not speak HTTP there".to_owned())
    } else {
        NoAnswer::Broken(format!("the connection broke ({error})"))
    }
}

fn field(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_or_refused() {
        let target = Target::parse("https://Example.org/a?b=c").expect("a URL");
        assert_eq!((target.tls, target.host.as_str(), target.port), (true, "example.org", 443));
        assert_eq!(target.path, "/a?b=c");
        let target = Target::parse("http://[::1]:8080").expect("a URL");
        assert_eq!((target.tls, target.host.as_str(), target.port), (false, "::1", 8080));
        assert_eq!((target.path.as_str(), target.authority.as_str()), ("/", "[::1]:8080"));
        assert_eq!(Target::parse("http://example.org/").map(|target| target.port), Some(80));
        for bad in [
            "",
            "example.org",
            "/path",
            "ftp://example.org/",
            "file:///etc/passwd",
            "https://user:secret@example.org/",
            "https://example.org:99999/",
            "https://example.org:/",
            "https://exa mple.org/",
            "https://example.org/a\r\nX: y",
            "https://",
        ] {
            assert_eq!(Target::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Target::parse(&format!("https://example.org/{}", "a".repeat(URL_BYTES_MAX))), None);
    }

    #[test]
    fn locations_become_absolute() {
        let from = Target::parse("https://example.org:8443/a/b?c=d").expect("a URL");
        for (location, expected) in [
            ("https://other.example/x", "https://other.example/x"),
            ("HTTP://other.example/x#part", "HTTP://other.example/x"),
            ("//other.example/x", "https://other.example/x"),
            ("/x", "https://example.org:8443/x"),
            ("x", "https://example.org:8443/a/x"),
            ("?q=http://y", "https://example.org:8443/a/b?q=http://y"),
            ("", "https://example.org:8443/a/b"),
        ] {
            assert_eq!(from.resolved(location), expected, "{location:?}");
        }
    }

    #[test]
    fn families_take_turns() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let mixed = interleaved(["::1", "::2", "127.0.0.1"].map(ip).to_vec());
        assert_eq!(mixed, ["::1", "127.0.0.1", "::2"].map(ip));
        assert_eq!(interleaved(Vec::new()), Vec::<IpAddr>::new());
    }
}
