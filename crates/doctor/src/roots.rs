//! Authorities that a person trusts beside the system's: a file as it comes, PEM or DER. How they are used is for `probe`.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Certificates taken from one file.
const CERTIFICATES_MAX: usize = 256;

/// Reads the certificates of a file.
///
/// # Errors
/// There is none in it; a sentence.
pub fn read(octets: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    // DER begins with a SEQUENCE whose length takes two octets (X.690 8.1.3.5); no PEM file does.
    if octets.starts_with(&[0x30, 0x82]) {
        return Ok(vec![octets.to_vec()]);
    }
    let mut out = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(octets).take(CERTIFICATES_MAX) {
        let certificate = certificate.map_err(|error| format!("it is damaged: {error:?}"))?;
        out.push(certificate.as_ref().to_vec());
    }
    if out.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_and_nothing_else() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let made = rcgen::CertificateParams::new(vec!["a.example".to_owned()])
            .and_then(|params| params.self_signed(&key))
            .expect("a certificate");
        let der = made.der().to_vec();
        assert_eq!(read(&der), Ok(vec![der.clone()]));
        let twice = format!("# comment\n{}{}", made.pem(), made.pem());
        assert_eq!(read(twice.as_bytes()), Ok(vec![der.clone(), der]));
        assert!(read(b"").is_err());
        assert!(read(b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").is_err());
    }
}
