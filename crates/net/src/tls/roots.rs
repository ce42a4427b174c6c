//! The authorities that are trusted when we are the client.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::sync::{Arc, OnceLock};

/// The system's authorities, or Mozilla's list as it was when the program was built where the system has none; and
/// beside them `extra` (DER). Of `extra`, what is no certificate is left out.
#[must_use]
pub fn roots(extra: &[Vec<u8>]) -> Arc<RootCertStore> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let system = SYSTEM.get_or_init(|| Arc::new(system_roots()));
    if extra.is_empty() {
        return Arc::clone(system);
    }
    let mut roots = RootCertStore::clone(system);
    roots.add_parsable_certificates(extra.iter().map(|der| CertificateDer::from(der.as_slice())));
    Arc::new(roots)
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "an authority of the system cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_left_without_authorities() {
        let system = roots(&[]);
        assert!(system.len() > 10);
        assert!(Arc::ptr_eq(&system, &roots(&[])), "the files are read once");
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let extra = params.self_signed(&key).expect("a certificate").der().to_vec();
        assert_eq!(roots(&[extra, b"junk".to_vec()]).len(), system.len() + 1);
    }
}
