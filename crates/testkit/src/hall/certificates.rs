//! Certificates of every kind, good and bad.

use super::scenario::Certificate;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// The authorities of a hall.
pub(super) struct Authorities {
    /// What clients trust, DER.
    pub(super) root: CertificateDer<'static>,
    trusted: Issuer<'static, KeyPair>,
    intermediate: Issuer<'static, KeyPair>,
    intermediate_certificate: CertificateDer<'static>,
    unknown: Issuer<'static, KeyPair>,
}

impl Authorities {
    pub(super) fn new() -> Authorities {
        let (trusted, root) = authority("Hall Root", None);
        let (intermediate, intermediate_certificate) = authority("Hall Intermediate", Some(&trusted));
        let (unknown, _) = authority("Somebody's Root", None);
        Authorities { root, trusted, intermediate, intermediate_certificate, unknown }
    }

    /// A server's side of TLS with a certificate of this kind for the host.
    pub(super) fn server(&self, kind: Certificate, host: &str) -> Arc<ServerConfig> {
        let domain = host.split_once('.').map_or(host, |(_, domain)| domain);
        let name = match kind {
            Certificate::WrongName => "other.example.test".to_owned(),
            Certificate::Wildcard => format!("*.{domain}"),
            _ => host.to_owned(),
        };
        let mut params = CertificateParams::new(vec![name.clone()]).expect("a name of a scenario");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (from, to) = match kind {
            Certificate::Expired => (2019, 2020),
            Certificate::NotYet => (2048, 2049),
            _ => (2020, 2048),
        };
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let mut chain = Vec::new();
        match kind {
            Certificate::SelfSigned => chain.push(params.self_signed(&key).expect("signed").der().clone()),
            Certificate::Incomplete | Certificate::Complete => {
                params.custom_extensions.push(issuers_place());
                chain.push(params.signed_by(&key, &self.intermediate).expect("signed").der().clone());
                if kind == Certificate::Complete {
                    chain.push(self.intermediate_certificate.clone());
                }
            }
            Certificate::Unknown => {
                chain.push(params.signed_by(&key, &self.unknown).expect("signed").der().clone());
            }
            _ => chain.push(params.signed_by(&key, &self.trusted).expect("signed").der().clone()),
        }
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key that was just made");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of the library")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a key that fits");
        Arc::new(config)
    }
}

fn authority(
    name: &str,
    above: Option<&Issuer<'static, KeyPair>>,
) -> (Issuer<'static, KeyPair>, CertificateDer<'static>) {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "The Hall");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let made = match above {
        Some(above) => params.signed_by(&key, above),
        None => params.self_signed(&key),
    };
    let certificate = made.expect("signed").der().clone();
    (Issuer::new(params, key), certificate)
}

/// Authority information access (RFC 5280 4.2.2.1): the issuer's certificate is at `http://ca.test/`.
fn issuers_place() -> CustomExtension {
    let url = b"http://ca.test/";
    let method = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
    let mut access = method.to_vec();
    access.extend_from_slice(&[0x86, u8::try_from(url.len()).expect("a short URL")]);
    access.extend_from_slice(url);
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("short");
    let one = [&[0x30, length(&access)], access.as_slice()].concat();
    let all = [&[0x30, length(&one)], one.as_slice()].concat();
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], all)
}
