//! Certificates of clients.
//!
//! A client that shows a certificate which we do not trust is no worse than one that
//! shows none: mail servers present their own to everyone, and mail programs
//! present what they find. So the handshake accepts any certificate whose
//! key the client holds, and the chain is verified afterwards, where a failure means
//! "no address proven". That happens at each handshake, resumed ones too, so a
//! certificate that expired since does not live on in a ticket.

use super::CertificateError;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;
use x509_parser::extensions::GeneralName;

/// Mail addresses taken from one certificate.
const ADDRESSES_MAX: usize = 32;

/// The authorities whose client certificates prove an address.
#[derive(Debug)]
pub(super) struct ClientAuthority {
    strict: Arc<dyn ClientCertVerifier>,
}

impl ClientAuthority {
    /// Reads a PEM file of authorities.
    pub(super) fn load(path: &Path) -> Result<Arc<ClientAuthority>, CertificateError> {
        let pem = std::fs::read(path).map_err(|error| CertificateError::file(path, &error))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| CertificateError::file(path, &error))?;
            roots.add(certificate).map_err(|error| CertificateError::file(path, &error))?;
        }
        let strict = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), super::provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| CertificateError::file(path, &error))?;
        Ok(Arc::new(ClientAuthority { strict }))
    }

    /// The rfc822Names of the first certificate, if its chain leads to one of our authorities.
    pub(super) fn addresses(&self, chain: &[CertificateDer<'_>]) -> Vec<String> {
        let Some((leaf, intermediates)) = chain.split_first() else { return Vec::new() };
        if let Err(error) = self.strict.verify_client_cert(leaf, intermediates, UnixTime::now()) {
            tracing::debug!(%error, "client certificate proves nothing");
            return Vec::new();
        }
        rfc822_names(leaf)
    }
}

fn rfc822_names(certificate: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let addresses = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::RFC822Name(address) => Some((*address).to_owned()),
        _ => None,
    });
    addresses.take(ADDRESSES_MAX).collect()
}

impl ClientCertVerifier for ClientAuthority {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.strict.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// Lets every certificate pass; [`ClientAuthority::addresses`] is what trusts.
    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.strict.supported_verify_schemes()
    }
}
