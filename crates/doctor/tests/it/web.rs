//! A web server on loopback, with TLS and without, that answers by host and path as a table says.

use net::authority::{Authority, KeyKind};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Status, content type, body.
    Say(u16, &'static str, String),
    /// A redirect; `{https}` and `{http}` become the ports.
    To(u16, String),
    /// So many octets.
    Long(usize),
    /// No answer.
    Silence,
}

/// XML with status 200.
pub fn xml(body: impl Into<String>) -> Reply {
    Reply::Say(200, "text/xml", body.into())
}

/// A request: `https://host/path?query`, and its body.
pub type Asked = (String, String);

/// The server, and what it was asked.
pub struct Web {
    pub https_port: u16,
    pub http_port: u16,
    pub root: Vec<u8>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// `https://host/path` (query left out) to what is answered there; 404 for all others.
pub type Table = BTreeMap<&'static str, Reply>;

impl Web {
    /// With certificates for these names.
    pub async fn run(names: &[&str], table: Table) -> Web {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(directory.path()).unwrap();
        let leaf = authority.server(KeyKind::Ecdsa, names).unwrap();
        let root = CertificateDer::from_pem_file(authority.certificate_file()).unwrap().to_vec();
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(leaf.chain_pem.as_bytes()).collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let secure = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clear = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ports = [secure.local_addr().unwrap().port(), clear.local_addr().unwrap().port()];
        let asked = Arc::new(Mutex::new(Vec::new()));
        let site = Arc::new(Site { table, asked: asked.clone(), ports });
        let (of_secure, of_clear) = (site.clone(), site);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = secure.accept().await {
                let (acceptor, site) = (acceptor.clone(), of_secure.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        site.serve(stream, "https").await;
                    }
                });
            }
        });
        tokio::spawn(async move {
            while let Ok((tcp, _)) = clear.accept().await {
                let site = of_clear.clone();
                tokio::spawn(async move { site.serve(tcp, "http").await });
            }
        });
        Web { https_port: ports[0], http_port: ports[1], root, asked }
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

struct Site {
    table: Table,
    asked: Arc<Mutex<Vec<Asked>>>,
    ports: [u16; 2],
}

impl Site {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S, scheme: &str) {
        let Some((head, body)) = request(&mut stream).await else { return };
        let path = head.split(' ').nth(1).unwrap_or_default();
        let host = head
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .and_then(|host| host.split(':').next())
            .unwrap_or_default();
        self.asked.lock().unwrap().push((format!("{scheme}://{host}{path}"), body));
        // An entry with a query is for that request alone.
        let whole = format!("{scheme}://{host}{path}");
        let bare = whole.split('?').next().unwrap_or_default();
        let reply = self.table.get(whole.as_str()).or_else(|| self.table.get(bare));
        let (status, kind, text) = match reply {
            None => (404, "text/plain", "not here".to_owned()),
            Some(Reply::Silence) => {
                // Until the client hangs up.
                let _ = stream.read(&mut [0; 16]).await;
                return;
            }
            Some(Reply::Long(octets)) => {
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {octets}\r\n\r\n");
                let mut alive = stream.write_all(head.as_bytes()).await.is_ok();
                while alive {
                    alive = stream.write_all(&[b'x'; 4096]).await.is_ok();
                }
                return;
            }
            Some(Reply::To(status, location)) => {
                let [https, http] = self.ports.map(|port| port.to_string());
                let location = location.replace("{https}", &https).replace("{http}", &http);
                let head =
                    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.shutdown().await;
                return;
            }
            Some(Reply::Say(status, kind, text)) => {
                let https = self.ports[0].to_string();
                (*status, *kind, text.replace("{https}", &https))
            }
        };
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", text.len());
        let _ = stream.write_all((head + &text).as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<(String, String)> {
    let mut octets = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&octets).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().ok()? {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(length) if length > 0 => octets.extend_from_slice(&buffer[..length]),
            _ => return None,
        }
    }
}
