//! What X.509 signs, and whether a key signed it: over the very octets that came, never over what was made of them.

use der::asn1::{AnyRef, BitString};
use der::{Decode, Encode, Sequence};
use x509_cert::Certificate;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// The form that certificates (RFC 5280 4.1) and responses (RFC 6960 4.2.1) share.
#[derive(Sequence)]
pub(super) struct Signed<'a> {
    pub(super) body: AnyRef<'a>,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
    /// Of responses: certificates that lead to the key.
    #[asn1(context_specific = "0", optional = "true", tag_mode = "EXPLICIT")]
    pub(super) certificates: Option<Vec<Certificate>>,
}

impl Signed<'_> {
    /// Did this key sign it? With an algorithm that we know and trust: neither MD5 nor SHA-1.
    pub(super) fn by(&self, key: &SubjectPublicKeyInfoOwned) -> bool {
        let (Some(body), Some(signature), Some(bits)) =
            (self.body.to_der().ok(), self.signature.as_bytes(), key.subject_public_key.as_bytes())
        else {
            return false;
        };
        let (Some(of_key), Some(of_signature)) = (contents(&key.algorithm), contents(&self.algorithm)) else {
            return false;
        };
        crate::tls::provider()
            .signature_verification_algorithms
            .all
            .iter()
            .filter(|known| known.public_key_alg_id().as_ref() == of_key)
            .filter(|known| known.signature_alg_id().as_ref() == of_signature)
            .any(|known| known.verify_signature(bits, &body, signature).is_ok())
    }
}

/// Did this key sign the certificate (DER)?
pub(super) fn certificate(der: &[u8], key: &SubjectPublicKeyInfoOwned) -> bool {
    Signed::from_der(der).is_ok_and(|signed| signed.by(key))
}

/// What stands within the sequence of an algorithm's identifier; rustls names algorithms by it.
fn contents(algorithm: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let mut all = algorithm.oid.to_der().ok()?;
    if let Some(parameters) = &algorithm.parameters {
        all.extend(parameters.to_der().ok()?);
    }
    Some(all)
}
