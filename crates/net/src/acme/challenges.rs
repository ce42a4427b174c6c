//! Answers to an authority's challenges while it asks, shared by the orders and the listeners.
//!
//! What must hold: an answer is there from before the authority is told to ask until its [`Held`] is
//! dropped, however the order ends.

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_ecdsa_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// The protocol name by which an authority asks in a handshake (RFC 8737 6.2).
pub const ALPN: &[u8] = b"acme-tls/1";

/// Answers to challenges that are under way.
#[derive(Clone, Default)]
pub struct Challenges {
    http: Arc<RwLock<HashMap<String, String>>>,
    tls: Arc<RwLock<HashMap<String, Arc<CertifiedKey>>>>,
}

/// One answer; it is taken back when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    challenges: Challenges,
    /// The token of HTTP-01 or the name of TLS-ALPN-01.
    key: String,
}

impl Challenges {
    /// The key authorization for a token of HTTP-01.
    #[must_use]
    pub fn http(&self, token: &str) -> Option<String> {
        self.http.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Holds an answer until [`Challenges::forget`].
    pub fn put_http(&self, token: &str, authorization: &str) {
        let mut http = self.http.write().unwrap_or_else(PoisonError::into_inner);
        http.insert(token.to_owned(), authorization.to_owned());
    }

    /// The order for this token (HTTP-01) or name (TLS-ALPN-01) is over.
    pub fn forget(&self, key: &str) {
        self.http.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.tls.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    pub(super) fn hold_http(&self, token: &str, authorization: &str) -> Held {
        self.put_http(token, authorization);
        Held { challenges: self.clone(), key: token.to_owned() }
    }

    /// Holds the certificate that proves `name` (RFC 8737 3): self-signed, with the digest of the key authorization.
    pub(super) fn hold_tls(&self, name: &str, digest: &[u8; 32]) -> Result<Held, rcgen::Error> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate()?;
        let made = params.self_signed(&key)?;
        let der =
            PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        let signer = any_ecdsa_type(&der).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        let certified = CertifiedKey::new(vec![CertificateDer::from(made.der().to_vec())], signer);
        let mut tls = self.tls.write().unwrap_or_else(PoisonError::into_inner);
        tls.insert(name.to_ascii_lowercase(), Arc::new(certified));
        Ok(Held { challenges: self.clone(), key: name.to_ascii_lowercase() })
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenges").finish_non_exhaustive()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.challenges.forget(&self.key);
    }
}

/// For handshakes that offer [`ALPN`] alone. Without an order for that name there is no certificate, and the
/// handshake fails.
impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.tls.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_lives_as_long_as_its_order() {
        let challenges = Challenges::default();
        let held = challenges.hold_http("token", "token.thumb");
        assert_eq!(challenges.http("token").as_deref(), Some("token.thumb"));
        drop(held);
        assert_eq!(challenges.http("token"), None);
    }

    #[test]
    fn the_certificate_of_a_proof_is_as_rfc_8737_says() {
        let challenges = Challenges::default();
        let held = challenges.hold_tls("Mail.Example.test", &[7; 32]).unwrap();
        let certified = challenges.tls.read().unwrap()["mail.example.test"].clone();
        let (_, parsed) = x509_parser::parse_x509_certificate(&certified.cert[0]).unwrap();
        let names = parsed.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 1);
        let identifier = parsed
            .extensions()
            .iter()
            .find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.31")
            .unwrap();
        assert!(identifier.critical);
        // An OCTET STRING of 32 octets.
        assert_eq!(identifier.value, [&[4, 32][..], &[7; 32]].concat());
        drop(held);
        assert!(challenges.tls.read().unwrap().is_empty());
    }
}
