//! What a certificate says: names, times, key, what it demands of OCSP, and the channel binding that it gives.

use super::certificates::CertificateError;
use crate::ocsp::Demand;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use std::path::Path;
use x509_parser::prelude::X509Certificate;

/// SHA-256 of a certificate (DER), by which it is told from all others.
pub type Fingerprint = [u8; 32];

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The names that it covers, lower case.
    pub names: Vec<String>,
    /// The kind of its key: `ecdsa`, `rsa` or `other`.
    pub key: &'static str,
    /// First second, Unix time.
    pub not_before: i64,
    /// Last second.
    pub not_after: i64,
    /// What it says of OCSP.
    pub demand: Demand,
    /// The certificate itself, DER.
    pub leaf: Vec<u8>,
}

impl Described {
    /// Reads the first certificate of a PEM text; `file` is for what is said when it is none.
    ///
    /// # Errors
    /// There is none in it.
    pub fn read(file: &Path, pem: &[u8]) -> Result<Described, CertificateError> {
        let leaf =
            CertificateDer::from_pem_slice(pem).map_err(|error| CertificateError::file(file, &error))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf)
            .map_err(|error| CertificateError::file(file, &format!("not a certificate: {error}")))?;
        let key = match parsed.public_key().algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.10045.2.1" => "ecdsa",
            "1.2.840.113549.1.1.1" => "rsa",
            _ => "other",
        };
        Ok(Described {
            names: names(&parsed),
            key,
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            demand: Demand::of(&leaf),
            leaf: leaf.to_vec(),
        })
    }
}

/// All certificates of a PEM text (DER), in their order; `file` is for what is said when there is none.
///
/// # Errors
/// There is none in it.
pub fn chain(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CertificateError::file(file, &error))?;
    if chain.is_empty() {
        Err(CertificateError::file(file, &"no certificate in this file"))
    } else {
        Ok(chain)
    }
}

/// The fingerprint of a certificate (DER).
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> Fingerprint {
    Sha256::digest(certificate).into()
}

/// The channel binding and the names of a certificate.
pub(super) fn described(leaf: &[u8], path: &Path) -> Result<(Vec<u8>, Vec<String>), CertificateError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|error| CertificateError::file(path, &format!("not a certificate: {error}")))?;
    if !parsed.validity().is_valid() {
        tracing::error!(
            file = %path.display(),
            until = %parsed.validity().not_after,
            "the operator must renew this certificate: it is not valid now"
        );
    }
    Ok((end_point(leaf, &parsed), names(&parsed)))
}

/// The DNS names of a certificate (DER), lower case; none of one that cannot be read.
#[must_use]
pub fn names_of(certificate: &[u8]) -> Vec<String> {
    x509_parser::parse_x509_certificate(certificate).map_or_else(|_| Vec::new(), |(_, parsed)| names(&parsed))
}

/// The DNS names, lower case.
fn names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(Some(alternatives)) = parsed.subject_alternative_name() {
        for name in &alternatives.value.general_names {
            if let x509_parser::extensions::GeneralName::DNSName(name) = name {
                names.push(name.trim_end_matches('.').to_ascii_lowercase());
            }
        }
    }
    names
}

/// The certificate's digest by the hash of its signature; MD5 and SHA-1 are replaced
/// by SHA-256 (RFC 5929 4.1). Ed25519 has no separate hash and RFC 5929 no rule for it:
/// its own inner hash is taken.
fn end_point(certificate: &[u8], parsed: &X509Certificate<'_>) -> Vec<u8> {
    let oid = parsed.signature_algorithm.algorithm.to_id_string();
    let hash = match oid.as_str() {
        "1.2.840.113549.1.1.10" => pss_hash(parsed).unwrap_or_default(),
        other => other.to_owned(),
    };
    match hash.as_str() {
        // RSA, ECDSA, and the bare hash as RSASSA-PSS names it.
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" | "2.16.840.1.101.3.4.2.4" => {
            Sha224::digest(certificate).to_vec()
        }
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.2.2" => {
            Sha384::digest(certificate).to_vec()
        }
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.2.3" | "1.3.101.112" => {
            Sha512::digest(certificate).to_vec()
        }
        _ => Sha256::digest(certificate).to_vec(),
    }
}

/// The hash in the parameters of RSASSA-PSS (RFC 4055 3.1); missing means SHA-1.
fn pss_hash(parsed: &X509Certificate<'_>) -> Option<String> {
    use x509_parser::signature_algorithm::SignatureAlgorithm as Algorithm;
    match Algorithm::try_from(&parsed.signature_algorithm).ok()? {
        Algorithm::RSASSA_PSS(parameters) => Some(parameters.hash_algorithm_oid().to_id_string()),
        _ => None,
    }
}
