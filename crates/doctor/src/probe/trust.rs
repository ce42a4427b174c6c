//! Certificates: taken whatever they are, then judged.
//!
//! The handshake never ends because of a certificate, so that an expired, wrong or self-made one is seen and can be
//! explained. What must hold: [`Verified`] is made here alone, from a chain that was verified against the authorities,
//! a key that was proven, a name that fits and a date within; what sends a password asks for it.

use crate::seen::{CertificateSeen, Chain};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, IpAddr as PkiIpAddr, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};
use x509_parser::public_key::PublicKey;

/// Names of a certificate that are kept.
const NAMES_MAX: usize = 100;
/// Certificates of a chain that are kept.
const CHAIN_MAX: usize = 16;
/// Characters of a name.
const NAME_CHARS_MAX: usize = 253;

/// Authorities and the moment at which certificates are judged.
pub(super) struct Trust {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    /// Seconds since 1970.
    now: i64,
}

/// Proof that the peer is who the name says.
#[derive(Debug)]
pub(super) struct Verified(());

impl Trust {
    /// `now`: seconds since 1970.
    pub(super) fn new(roots: Arc<RootCertStore>, now: i64) -> Trust {
        Trust { roots, provider: Arc::new(aws_lc_rs::default_provider()), now }
    }

    /// For a handshake that takes any certificate.
    pub(super) fn config(&self, recorder: Arc<Recorder>) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let mut config = builder.dangerous().with_custom_certificate_verifier(recorder).with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// What is to be said of the certificate of a chain; `None` if there is none that can be read.
    pub(super) fn certificate(
        &self,
        host: &str,
        chain: &[CertificateDer<'_>],
        proven: bool,
    ) -> Option<CertificateSeen> {
        let mut seen = self.read(host, chain)?;
        if seen.chain == Chain::Trusted && !proven {
            seen.chain = Chain::Broken;
        }
        Some(seen)
    }

    /// The same of a chain (DER) that was shown in clear by a server with which no handshake is possible: it was never
    /// asked for a proof, so what is wrong with the certificate can be said, and nobody signs in there.
    pub(super) fn shown(&self, host: &str, chain: &[Vec<u8>]) -> Option<CertificateSeen> {
        let chain: Vec<CertificateDer<'_>> =
            chain.iter().take(CHAIN_MAX).map(|der| CertificateDer::from(der.as_slice())).collect();
        self.read(host, &chain)
    }

    fn read(&self, host: &str, chain: &[CertificateDer<'_>]) -> Option<CertificateSeen> {
        let (leaf, others) = chain.split_first()?;
        let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
        let validity = parsed.validity();
        let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let judged = self.chain(leaf, &parsed, others, (not_before, not_after));
        Some(CertificateSeen {
            names: names(&parsed),
            covers_host: covers(leaf, host),
            not_before,
            not_after,
            issuer: issuer(&parsed),
            key: key(&parsed),
            weak_signature: weak_signature(&parsed),
            chain: judged,
        })
    }

    /// A password may be sent to a peer with this certificate.
    pub(super) fn verified(&self, seen: &CertificateSeen) -> Option<Verified> {
        let in_date = (seen.not_before..=seen.not_after).contains(&self.now);
        (seen.chain == Chain::Trusted && seen.covers_host && in_date).then_some(Verified(()))
    }

    /// How far the chain leads, dates of the leaf and names apart.
    fn chain(
        &self,
        leaf: &CertificateDer<'_>,
        parsed: &X509Certificate<'_>,
        others: &[CertificateDer<'_>],
        (not_before, not_after): (i64, i64),
    ) -> Chain {
        let Ok(end_entity) = ParsedCertificate::try_from(leaf) else { return Chain::Broken };
        // An expired certificate may still be of a known authority: it is verified as of its last moment.
        let at = self.now.clamp(not_before, not_after.max(not_before));
        let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).unwrap_or(0)));
        let algorithms = self.provider.signature_verification_algorithms.all;
        match verify_server_cert_signed_by_trust_anchor(&end_entity, &self.roots, others, at, algorithms) {
            Ok(()) => Chain::Trusted,
            Err(_) if parsed.subject() == parsed.issuer() => Chain::SelfSigned,
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => unknown(parsed, others),
            Err(_) => Chain::Broken,
        }
    }
}

/// No authority that we trust is at the end of what was sent: is a certificate between missing, or the
/// authority unknown? A certificate that says where its issuer's can be fetched (RFC 5280 4.2.2.1) was made by one
/// below an authority; private ones hardly ever say so.
fn unknown(leaf: &X509Certificate<'_>, others: &[CertificateDer<'_>]) -> Chain {
    let others: Vec<X509Certificate<'_>> = others
        .iter()
        .take(CHAIN_MAX)
        .filter_map(|der| X509Certificate::from_der(der).ok().map(|(_, parsed)| parsed))
        .collect();
    let mut top = leaf;
    for _ in 0..=others.len() {
        match others.iter().find(|other| other.subject() == top.issuer()) {
            Some(next) if next.subject() == next.issuer() => return Chain::UnknownAuthority,
            Some(next) => top = next,
            None => break,
        }
    }
    let says_where = top.extensions().iter().any(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => {
            access.accessdescs.iter().any(|one| one.access_method.to_id_string() == "1.3.6.1.5.5.7.48.2")
        }
        _ => false,
    });
    if says_where { Chain::Incomplete } else { Chain::UnknownAuthority }
}

/// The name that a host is verified by and that SNI carries; addresses have no SNI.
pub(super) fn server_name(host: &str) -> Option<ServerName<'static>> {
    match host.parse::<IpAddr>() {
        Ok(address) => Some(ServerName::IpAddress(PkiIpAddr::from(address))),
        Err(_) => ServerName::try_from(host.to_owned()).ok(),
    }
}

fn covers(leaf: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(end_entity) = ParsedCertificate::try_from(leaf) else { return false };
    server_name(host).is_some_and(|name| verify_server_name(&end_entity, &name).is_ok())
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let shown = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => {
            Some(super::notes::printable(name, NAME_CHARS_MAX).to_ascii_lowercase())
        }
        GeneralName::IPAddress(octets) => match octets {
            [a, b, c, d] => Some(IpAddr::from([*a, *b, *c, *d]).to_string()),
            _ => <[u8; 16]>::try_from(*octets).ok().map(|octets| IpAddr::from(octets).to_string()),
        },
        _ => None,
    });
    shown.take(NAMES_MAX).collect()
}

/// Organization and name, as a person would know the authority.
fn issuer(certificate: &X509Certificate<'_>) -> String {
    let issuer = certificate.issuer();
    let organization = issuer.iter_organization().find_map(|part| part.as_str().ok());
    let name = issuer.iter_common_name().find_map(|part| part.as_str().ok());
    let text = match (organization, name) {
        (Some(organization), Some(name)) => format!("{organization}, {name}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => issuer.to_string(),
    };
    super::notes::printable(&text, super::notes::WORDS_CHARS_MAX)
}

fn key(certificate: &X509Certificate<'_>) -> String {
    let info = certificate.public_key();
    match info.parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("RSA {}", rsa.key_size()),
        Ok(PublicKey::EC(_)) => {
            let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            match curve.map(|oid| oid.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => "ECDSA P-256".to_owned(),
                Some("1.3.132.0.34") => "ECDSA P-384".to_owned(),
                Some("1.3.132.0.35") => "ECDSA P-521".to_owned(),
                _ => "ECDSA".to_owned(),
            }
        }
        Ok(PublicKey::DSA(_)) => "DSA".to_owned(),
        _ => match info.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => "Ed25519".to_owned(),
            "1.3.101.113" => "Ed448".to_owned(),
            other => other.to_owned(),
        },
    }
}

/// Signed with MD2, MD5 or SHA-1.
fn weak_signature(certificate: &X509Certificate<'_>) -> bool {
    let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
    matches!(
        algorithm.as_str(),
        "1.2.840.113549.1.1.2"
            | "1.2.840.113549.1.1.4"
            | "1.2.840.113549.1.1.5"
            | "1.2.840.10045.4.1"
            | "1.2.840.10040.4.3"
    )
}

/// Lets every certificate pass and remembers the chain; whether the key was proven too.
#[derive(Debug)]
pub(super) struct Recorder {
    provider: Arc<CryptoProvider>,
    seen: Mutex<(Vec<CertificateDer<'static>>, bool)>,
}

impl Recorder {
    pub(super) fn new(trust: &Trust) -> Recorder {
        Recorder { provider: Arc::clone(&trust.provider), seen: Mutex::default() }
    }

    /// The chain, leaf first, and whether the key was proven.
    pub(super) fn seen(&self) -> (Vec<CertificateDer<'static>>, bool) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A signature that cannot be verified (a key too short for the library) is let pass and remembered as such.
    fn proof(&self, outcome: &Result<HandshakeSignatureValid, Error>) -> HandshakeSignatureValid {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).1 = outcome.is_ok();
        HandshakeSignatureValid::assertion()
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).take(CHAIN_MAX);
        let chain = chain.map(|certificate| certificate.clone().into_owned()).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (chain, false);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        Ok(self.proof(&verify_tls12_signature(message, cert, dss, algorithms)))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        Ok(self.proof(&verify_tls13_signature(message, cert, dss, algorithms)))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
