//! What an authority says, from one that says whatever the test wants: only what stands before an order.

use net::acme::{Authority, Client};
use net::authority::{Authority as Issuer, KeyKind};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An authority that takes every account; its directory has this `meta`. The directory's URL, and who vouches for it.
async fn authority(dir: &std::path::Path, meta: &'static str) -> Authority {
    let issuer = Issuer::open(dir).unwrap();
    let pair = issuer.server(KeyKind::Ecdsa, &["localhost"]).unwrap().write(dir, "acme").unwrap();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&pair.chain).unwrap().collect();
    let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.unwrap(), key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let directory = format!("{base}/dir");
    let roots = net::acme::read_roots(issuer.certificate_file()).unwrap();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
            let mut asked = vec![0; 16 << 10];
            let count = tls.read(&mut asked).await.unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..count]).into_owned();
            let (status, body) = match asked.split(' ').nth(1) {
                Some("/dir") => {
                    let urls = ["newNonce", "newAccount", "newOrder"]
                        .map(|name| format!(r#""{name}": "{base}/{name}""#));
                    ("200 OK", format!(r#"{{{}, "meta": {meta}}}"#, urls.join(", ")))
                }
                Some("/newNonce") => ("200 OK", String::new()),
                _ => ("201 Created", r#"{"status": "valid"}"#.to_owned()),
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nReplay-Nonce: abc\r\nLocation: {base}/account/1\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = tls.write_all(answer.as_bytes()).await;
            let _ = tls.shutdown().await;
        }
    });
    Authority { directory, contact: Vec::new(), roots }
}

#[tokio::test]
async fn the_directory_names_the_authority_as_caa_does() {
    let dir = tempfile::tempdir().unwrap();
    let meta = r#"{"termsOfService": "https://ca.test/terms", "caaIdentities": ["ca.test", "ca.example"]}"#;
    let authority = authority(dir.path(), meta).await;
    let (client, kept) = Client::new(&authority).await.unwrap();
    assert_eq!(client.caa_identities(), ["ca.test", "ca.example"]);
    // The account of earlier reads the directory too.
    let again = Client::again(&authority, &kept).await.unwrap();
    assert_eq!(again.caa_identities(), ["ca.test", "ca.example"]);
}

#[tokio::test]
async fn an_authority_may_say_nothing_of_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (client, _) = Client::new(&authority(dir.path(), "{}").await).await.unwrap();
    assert_eq!(client.caa_identities(), Vec::<String>::new());
}
