//! The authority over HTTPS: one connection a request, everything bounded.
//!
//! The operator named the authority, so its address may lie anywhere, inside too. It must speak HTTPS
//! (RFC 8555 6.1). What it says with `Retry-After` is kept, since the library
//! drops the header of an error, and so is what its directory says of CAA, which the library does not read.

use super::{Authority, Trouble, directory};
use bytes::{Bytes, BytesMut};
use http::header::{HOST, RETRY_AFTER};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use proto::service::ports;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// For one request, from the question to DNS to the last octet.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// Octets of an answer's body; a chain of certificates is some ten thousand.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Octets of an answer's header.
const HEADER_BYTES_MAX: usize = 32 << 10;

/// Asks the authority.
#[derive(Clone)]
pub(super) struct Transport {
    config: Arc<ClientConfig>,
    /// Seconds of the last `Retry-After` beside an error.
    wait: Arc<Mutex<Option<u64>>>,
    /// The URL of the directory.
    directory: Arc<str>,
    /// As the directory said when it was read last.
    caa_identities: Arc<Mutex<Vec<String>>>,
}

impl Transport {
    pub(super) fn new(authority: &Authority) -> Result<Transport, Trouble> {
        let mut config = ClientConfig::builder_with_provider(crate::tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Trouble::ours(&error))?
            .with_root_certificates(crate::tls::roots(&authority.roots))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Transport {
            config: Arc::new(config),
            wait: Arc::default(),
            directory: authority.directory.as_str().into(),
            caa_identities: Arc::default(),
        })
    }

    pub(super) fn caa_identities(&self) -> Vec<String> {
        self.caa_identities.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What an error means, with the wait that the authority asked for beside it.
    pub(super) fn trouble(&self, error: &Error) -> Trouble {
        let wait = self.wait.lock().unwrap_or_else(PoisonError::into_inner).take();
        Trouble::of(error, wait.map(Duration::from_secs))
    }

    async fn ask(&self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Failed> {
        let is_directory = *request.uri() == *self.directory;
        let asked = tokio::time::timeout(REQUEST_TIME_MAX, self.spoken(request)).await;
        let answer = asked.map_err(|_| "it does not answer in time".to_owned())??;
        if answer.status().is_client_error() || answer.status().is_server_error() {
            *self.wait.lock().unwrap_or_else(PoisonError::into_inner) = retry_after(&answer);
        } else if is_directory {
            let identities = directory::caa_identities(answer.body());
            *self.caa_identities.lock().unwrap_or_else(PoisonError::into_inner) = identities;
        }
        Ok(BytesResponse::from_whole(answer))
    }

    async fn spoken(&self, request: Request<BodyWrapper<Bytes>>) -> Result<Response<Bytes>, Failed> {
        let (mut head, body) = request.into_parts();
        let uri = head.uri.clone();
        let host = uri.host().ok_or("its URL has no host")?.to_owned();
        if uri.scheme_str() != Some("https") {
            return Err("its URL does not begin with https://".into());
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare.clone()).map_err(|_| "its URL has no proper host")?;
        let port = uri.port_u16().unwrap_or(ports::HTTPS);
        let tcp = TcpStream::connect((bare.as_str(), port))
            .await
            .map_err(|error| format!("{host}, port {port}, cannot be reached ({error})"))?;
        let connector = tokio_rustls::TlsConnector::from(self.config.clone());
        let tls = connector
            .connect(name, tcp)
            .await
            .map_err(|error| format!("there is no TLS with {host}, port {port} ({error})"))?;
        let authority = uri.authority().map_or(host.as_str(), http::uri::Authority::as_str);
        head.headers.insert(HOST, HeaderValue::from_str(authority)?);
        head.uri = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).parse()?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(HEADER_BYTES_MAX)
            .handshake(TokioIo::new(tls))
            .await?;
        // The set ends the connection's task when this function ends, however it ends.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let Ok(octets) = body.collect().await;
        let answer = sender.send_request(Request::from_parts(head, Full::new(octets.to_bytes()))).await?;
        let (head, mut body) = answer.into_parts();
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if whole.len() + data.len() > BODY_BYTES_MAX {
                return Err("its answer is too long".into());
            }
            whole.extend_from_slice(&data);
        }
        Ok(Response::from_parts(head, whole.freeze()))
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Makes the library's answer of one that is whole.
trait FromWhole {
    fn from_whole(answer: Response<Bytes>) -> Self;
}

impl FromWhole for BytesResponse {
    fn from_whole(answer: Response<Bytes>) -> BytesResponse {
        let (parts, body) = answer.into_parts();
        BytesResponse { parts, body: Box::new(body) }
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let this = self.clone();
        Box::pin(async move { this.ask(request).await.map_err(Error::Other) })
    }
}

/// Seconds; an authority that names a date (RFC 9110 10.2.3 allows both) is waited for by our own rule.
fn retry_after(answer: &Response<Bytes>) -> Option<u64> {
    answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}
