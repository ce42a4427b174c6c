//! Which certificate is served, what the handshake establishes, tickets, client certificates, reload.

use crate::talk::{HOST, Keys, Plan, ask, client, client_with, connect_tls, line, run};
use net::authority::{Authority, KeyKind};
use net::drive::End;
use net::tls::{Certificates, Failure, Pair, Shared};
use proto::service::Protection;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, SignatureScheme};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn field<'a>(facts: &'a str, name: &str) -> &'a str {
    let start = facts.find(&format!(" {name}=")).expect("a field") + name.len() + 2;
    facts[start..].split(' ').next().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Both channel bindings are the same at both ends, under both versions.
#[tokio::test]
async fn channel_bindings_agree() {
    let keys = Keys::both();
    let service = keys.run(Plan::new(Protection::Implicit));
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let config = with_versions(&keys, &[version]);
        let mut tls = connect_tls(service.address, config).await;
        line(&mut tls).await;
        let facts = ask(&mut tls, "SECURITY").await;
        let (_, connection) = tls.get_ref();
        let exporter =
            connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap();
        assert_eq!(field(&facts, "exporter"), hex(&exporter));
        let leaf = &connection.peer_certificates().unwrap()[0];
        use sha2::Digest;
        assert_eq!(field(&facts, "end_point"), hex(&sha2::Sha256::digest(leaf)));
    }
}

fn with_versions(keys: &Keys, versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(keys.authority_file()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

#[tokio::test]
async fn an_rsa_only_client_gets_the_rsa_certificate() {
    let keys = Keys::both();
    let service = keys.run(Plan::new(Protection::Implicit));
    let mut provider = aws_lc_rs::default_provider();
    let all = provider.signature_verification_algorithms;
    let rsa: Vec<_> =
        all.mapping.iter().filter(|(scheme, _)| name_of(*scheme).starts_with("RSA")).copied().collect();
    provider.signature_verification_algorithms.mapping = rsa.leak();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(keys.authority_file()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Our authority signs with ECDSA, which this client cannot verify: only the choice matters here.
    config.dangerous().set_certificate_verifier(Arc::new(Anything));
    let tls = connect_tls(service.address, Arc::new(config)).await;
    assert_eq!(served(&tls), leaf_file(&keys, "rsa"));
    let tls = connect_tls(service.address, Arc::new(client(&keys.authority_file()))).await;
    assert_eq!(served(&tls), leaf_file(&keys, "ecdsa"));
}

fn name_of(scheme: SignatureScheme) -> String {
    format!("{scheme:?}")
}

fn served(tls: &tokio_rustls::client::TlsStream<TcpStream>) -> Vec<u8> {
    tls.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn leaf_file(keys: &Keys, name: &str) -> Vec<u8> {
    CertificateDer::from_pem_file(keys.directory.path().join(format!("{name}.pem"))).unwrap().to_vec()
}

/// Verifies no chain, offers RSA schemes only.
#[derive(Debug)]
struct Anything;

impl rustls::client::danger::ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let all = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &all)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let all = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &all)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256]
    }
}

#[tokio::test]
async fn the_server_name_chooses() {
    let keys = Keys::of(&[
        ("first", KeyKind::Ecdsa, &[HOST]),
        ("other", KeyKind::Ecdsa, &["mx.other.test"]),
        ("wild", KeyKind::Rsa, &["*.wild.test"]),
    ]);
    let service = keys.run(Plan::new(Protection::Implicit));
    for (name, expected) in [
        (HOST, "first"),
        ("MX.Other.TEST", "other"),
        ("any.wild.test", "wild"),
        ("deep.any.wild.test", "first"),
        ("unknown.test", "first"),
        ("127.0.0.1", "first"),
    ] {
        let mut config = client(&keys.authority_file());
        config.dangerous().set_certificate_verifier(Arc::new(AllSchemes));
        let tcp = TcpStream::connect(service.address).await.unwrap();
        let name_sent = ServerName::try_from(name.to_owned()).unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name_sent, tcp).await.unwrap();
        assert_eq!(served(&tls), leaf_file(&keys, expected), "for {name}");
    }
}

/// Verifies no chain, offers all schemes.
#[derive(Debug)]
struct AllSchemes;

impl rustls::client::danger::ServerCertVerifier for AllSchemes {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Anything.verify_tls12_signature(message, cert, dss)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Anything.verify_tls13_signature(message, cert, dss)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn tickets_resume_and_establish_the_same_facts() {
    let keys = Keys::both();
    let service = keys.run(Plan::new(Protection::Implicit));
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let config = with_versions(&keys, &[version]);
        let mut kinds = Vec::new();
        let mut bindings = Vec::new();
        for _ in 0..2 {
            let mut tls = connect_tls(service.address, config.clone()).await;
            line(&mut tls).await;
            let facts = ask(&mut tls, "SECURITY").await;
            kinds.push(tls.get_ref().1.handshake_kind().unwrap());
            bindings.push(field(&facts, "end_point").to_owned());
            assert_eq!(ask(&mut tls, "QUIT").await, "221 bye");
        }
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed], "{version:?}");
        assert_eq!(bindings[0], bindings[1]);
        assert_eq!(bindings[0].len(), 64);
    }
}

/// The keys turn once: a ticket from before still resumes. Twice: it does not, and the handshake is full.
#[tokio::test]
async fn a_ticket_outlives_one_turn_of_the_keys_and_not_two() {
    let keys = Keys::ecdsa();
    let plan = Plan::new(Protection::Implicit);
    let shared = Shared::new(keys.certificates.clone()).unwrap();
    let acceptor = shared.acceptor(plan.protocol, None, plan.tls).unwrap();
    let service = run(plan, Arc::new(acceptor));
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let clients = [with_versions(&keys, &[version]), with_versions(&keys, &[version])];
        let visit = async |config: &Arc<ClientConfig>| {
            let mut tls = connect_tls(service.address, config.clone()).await;
            line(&mut tls).await;
            assert_eq!(ask(&mut tls, "QUIT").await, "221 bye");
            tls.get_ref().1.handshake_kind().unwrap()
        };
        for config in &clients {
            assert_eq!(visit(config).await, HandshakeKind::Full, "{version:?}");
        }
        shared.turn_ticket_keys();
        assert_eq!(visit(&clients[0]).await, HandshakeKind::Resumed, "{version:?}, one turn");
        shared.turn_ticket_keys();
        // The second client's ticket is two turns old; the first has got a new one meanwhile.
        assert_eq!(visit(&clients[1]).await, HandshakeKind::Full, "{version:?}, two turns");
        assert_eq!(visit(&clients[0]).await, HandshakeKind::Resumed, "{version:?}, the new ticket");
    }
}

/// RFC 8446 8: what is sent early can be replayed, so no ticket allows it.
#[tokio::test]
async fn no_ticket_allows_early_data() {
    let keys = Keys::ecdsa();
    let service = keys.run(Plan::new(Protection::Implicit));
    let mut config = client(&keys.authority_file());
    config.enable_early_data = true;
    let config = Arc::new(config);
    let mut first = connect_tls(service.address, config.clone()).await;
    line(&mut first).await;
    assert_eq!(ask(&mut first, "QUIT").await, "221 bye");
    let mut next =
        rustls::ClientConnection::new(config.clone(), ServerName::try_from(HOST).unwrap()).unwrap();
    assert!(next.early_data().is_none());
    // It is the ticket that says so: this client has one, and it is good.
    let second = connect_tls(service.address, config).await;
    assert_eq!(
        second.get_ref().1.handshake_kind(),
        Some(HandshakeKind::Full),
        "`next` has taken the only one"
    );
}

#[tokio::test]
async fn alpn_never_fails_and_is_answered_where_it_fits() {
    let keys = Keys::ecdsa();
    let service = keys.run(Plan::new(Protection::Implicit));
    for (offered, answered) in
        [(vec!["imap"], None), (vec!["h2", "pop3"], Some("pop3")), (vec!["smtp", "http/1.1"], None)]
    {
        let mut config = client(&keys.authority_file());
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut tls = connect_tls(service.address, Arc::new(config)).await;
        assert_eq!(line(&mut tls).await, "220 hello");
        assert_eq!(tls.get_ref().1.alpn_protocol(), answered.map(str::as_bytes), "{offered:?}");
    }
}

#[tokio::test]
async fn a_trusted_client_certificate_proves_its_addresses() {
    let keys = Keys::ecdsa();
    let plan = Plan::new(Protection::Implicit);
    let ca = keys.authority_file();
    let acceptor = keys.acceptor(&plan, Some(&ca));
    let service = run(plan, acceptor);

    let leaf = keys.authority.client(&["fred@example.test", "f@example.test"]).unwrap();
    let config = Arc::new(client_with(&ca, Some(&leaf)));
    // The second time from a ticket.
    for _ in 0..2 {
        let mut tls = connect_tls(service.address, config.clone()).await;
        line(&mut tls).await;
        let facts = ask(&mut tls, "SECURITY").await;
        assert_eq!(field(&facts, "addresses"), "fred@example.test,f@example.test");
        assert_eq!(ask(&mut tls, "QUIT").await, "221 bye");
    }

    // Another authority's certificate does no harm and proves nothing.
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = Authority::open(elsewhere.path()).unwrap().client(&["fred@example.test"]).unwrap();
    let mut tls = connect_tls(service.address, Arc::new(client_with(&ca, Some(&stranger)))).await;
    line(&mut tls).await;
    assert_eq!(field(&ask(&mut tls, "SECURITY").await, "addresses"), "");

    // A server certificate of the right authority is not a client certificate.
    let server_leaf = keys.authority.server(KeyKind::Ecdsa, &["x.test"]).unwrap();
    let mut tls = connect_tls(service.address, Arc::new(client_with(&ca, Some(&server_leaf)))).await;
    line(&mut tls).await;
    assert_eq!(field(&ask(&mut tls, "SECURITY").await, "addresses"), "");

    // And none at all is fine.
    let mut tls = connect_tls(service.address, Arc::new(client(&ca))).await;
    assert_eq!(line(&mut tls).await, "220 hello");
}

#[tokio::test]
async fn a_client_that_does_not_trust_us_says_why() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan::new(Protection::Implicit));
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = Authority::open(elsewhere.path()).unwrap();
    let tcp = TcpStream::connect(service.address).await.unwrap();
    let config = Arc::new(client(stranger.certificate_file()));
    let mut refused =
        TlsConnector::from(config).connect(ServerName::try_from(HOST).unwrap(), tcp).into_fallible();
    let _ = (&mut refused).await;
    match service.failed().await {
        Failure::Alert(name) => assert!(["unknown_ca", "bad_certificate"].contains(&name.as_str()), "{name}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn new_files_are_served_and_broken_ones_are_not() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan::new(Protection::Implicit));
    let (_stop, shutdown) = tokio::sync::watch::channel(false);
    tokio::spawn(keys.certificates.clone().watch(Duration::from_millis(50), shutdown));
    let config = Arc::new(client(&keys.authority_file()));
    let now_served = || async { served(&connect_tls(service.address, config.clone()).await) };
    let old = now_served().await;
    let mut open = connect_tls(service.address, config.clone()).await;
    line(&mut open).await;

    // A broken file: the old certificate stays.
    std::fs::write(&keys.pairs[0].chain, "-----BEGIN CERTIFICATE-----\nbroken\n").unwrap();
    let error = keys.certificates.reload().unwrap_err().to_string();
    assert!(error.contains("ecdsa.pem"), "{error}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(now_served().await, old);

    // A key that does not belong to the certificate is told.
    let leaf = keys.authority.server(KeyKind::Ecdsa, &[HOST]).unwrap();
    std::fs::write(&keys.pairs[0].chain, &leaf.chain_pem).unwrap();
    let error = keys.certificates.reload().unwrap_err().to_string();
    assert!(error.contains("ecdsa.key") && error.contains("does not belong"), "{error}");

    // Both renewed: served without a restart, and without being told.
    leaf.write(keys.directory.path(), "ecdsa").unwrap();
    let renewed = leaf_file(&keys, "ecdsa");
    let changed = async {
        while now_served().await != renewed {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), changed).await.expect("the new one is served");
    // The open connection never noticed.
    assert_eq!(ask(&mut open, "ECHO still here").await, "still here");
    open.shutdown().await.unwrap();
    while !matches!(service.ended().await, End::PeerClosed) {}
    assert_eq!(
        connect_tls(service.address, config).await.get_ref().1.protocol_version(),
        Some(ProtocolVersion::TLSv1_3)
    );
}

/// RFC 5929 4.1: the hash is that of the certificate's signature, never weaker than SHA-256.
#[tokio::test]
async fn the_end_point_binding_follows_the_signature() {
    use sha2::Digest;
    type Hash = fn(&[u8]) -> Vec<u8>;
    let sha256: Hash = |bytes| sha2::Sha256::digest(bytes).to_vec();
    let sha384: Hash = |bytes| sha2::Sha384::digest(bytes).to_vec();
    let sha512: Hash = |bytes| sha2::Sha512::digest(bytes).to_vec();
    let pss = &["rsa:2048", "-sha384", "-sigopt", "rsa_padding_mode:pss"][..];
    let p384 = &["ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-sha512"][..];
    for (arguments, hash) in
        [(&["rsa:2048", "-sha1"][..], sha256), (pss, sha384), (p384, sha512), (&["ed25519"][..], sha512)]
    {
        let directory = tempfile::tempdir().unwrap();
        let pair = Pair { chain: directory.path().join("c.pem"), key: directory.path().join("k.pem") };
        let made = std::process::Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-subj", "/CN=x", "-addext", "subjectAltName=DNS:x.test"])
            .arg("-keyout")
            .arg(&pair.key)
            .arg("-out")
            .arg(&pair.chain)
            .arg("-newkey")
            .args(arguments)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let certificates = Certificates::load(vec![pair.clone()]).unwrap();
        let plan = Plan::new(Protection::Implicit);
        let acceptor = Shared::new(certificates).unwrap().acceptor(plan.protocol, None, plan.tls).unwrap();
        let service = run(plan, Arc::new(acceptor));
        let ca = Keys::ecdsa();
        let mut config = client(&ca.authority_file());
        config.dangerous().set_certificate_verifier(Arc::new(AllSchemes));
        let mut tls = connect_tls(service.address, Arc::new(config)).await;
        line(&mut tls).await;
        let facts = ask(&mut tls, "SECURITY").await;
        assert_eq!(field(&facts, "end_point"), hex(&hash(&served(&tls))), "{arguments:?}");
    }
}
