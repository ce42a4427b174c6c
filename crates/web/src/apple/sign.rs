//! CMS (RFC 5652): a profile inside a SignedData, with the service's certificate and its chain.
//!
//! Signed attributes name what is signed and when; the signature is over their DER (RFC 5652 5.4).

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{Any, GeneralizedTime, Null, ObjectIdentifier, OctetString, SetOfVec, UtcTime};
use der::{DateTime, Decode, Encode};
use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::time::SystemTime;
use x509_cert::Certificate;
use x509_cert::attr::{Attribute, AttributeValue};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ECDSA_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");

/// Signatures that Apple's systems check, with the digest and the name of each. No Ed25519: they do not know it.
const SCHEMES: [(SignatureScheme, ObjectIdentifier, ObjectIdentifier); 4] = [
    (SignatureScheme::ECDSA_NISTP256_SHA256, SHA_256, ECDSA_SHA_256),
    (SignatureScheme::ECDSA_NISTP384_SHA384, SHA_384, ECDSA_SHA_384),
    (SignatureScheme::ECDSA_NISTP521_SHA512, SHA_512, ECDSA_SHA_512),
    (SignatureScheme::RSA_PKCS1_SHA256, SHA_256, RSA),
];

/// Why nothing was signed: the operator's certificate.
#[derive(Debug)]
pub(super) enum Unsigned {
    /// No certificate has a key of a kind that can sign a profile.
    NoKey,
    /// It cannot be written into a signature.
    Certificate(der::Error),
    /// The key failed.
    Key(rustls::Error),
}

impl std::fmt::Display for Unsigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unsigned::NoKey => f.write_str("no certificate has an ECDSA or RSA key"),
            Unsigned::Certificate(error) => write!(f, "the certificate is unusual: {error}"),
            Unsigned::Key(error) => write!(f, "the key does not sign: {error}"),
        }
    }
}

impl From<der::Error> for Unsigned {
    fn from(error: der::Error) -> Unsigned {
        Unsigned::Certificate(error)
    }
}

/// The content inside a signature (DER). Of the certificates, best first, the first that can sign does.
///
/// # Errors
/// See [`Unsigned`].
pub(super) fn signed(
    identities: &[std::sync::Arc<CertifiedKey>],
    content: &[u8],
) -> Result<Vec<u8>, Unsigned> {
    let schemes = SCHEMES.map(|(scheme, ..)| scheme);
    let (identity, signer) = identities
        .iter()
        .find_map(|identity| Some((identity, identity.key.choose_scheme(&schemes)?)))
        .ok_or(Unsigned::NoKey)?;
    let (_, digest_oid, signature_oid) =
        SCHEMES.into_iter().find(|(scheme, ..)| *scheme == signer.scheme()).ok_or(Unsigned::NoKey)?;
    let leaf = Certificate::from_der(identity.cert.first().ok_or(Unsigned::NoKey)?)?;
    let digest_algorithm = AlgorithmIdentifierOwned { oid: digest_oid, parameters: None };
    let attributes = attributes(&digest(digest_oid, content))?;
    let signature = signer.sign(&attributes.to_der()?).map_err(Unsigned::Key)?;
    let parameters = (signature_oid == RSA).then(|| Any::encode_from(&Null)).transpose()?;
    let info = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: leaf.tbs_certificate.issuer.clone(),
            serial_number: leaf.tbs_certificate.serial_number.clone(),
        }),
        digest_alg: digest_algorithm.clone(),
        signed_attrs: Some(attributes),
        signature_algorithm: AlgorithmIdentifierOwned { oid: signature_oid, parameters },
        signature: OctetString::new(signature)?,
        unsigned_attrs: None,
    };
    let mut certificates = vec![CertificateChoices::Certificate(leaf)];
    for issuer in identity.cert.iter().skip(1) {
        // One that cannot be read here is one that the device may have anyway.
        let Ok(issuer) = Certificate::from_der(issuer) else { continue };
        let issuer = CertificateChoices::Certificate(issuer);
        if !certificates.contains(&issuer) {
            certificates.push(issuer);
        }
    }
    let data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![digest_algorithm])?,
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: DATA,
            econtent: Some(Any::encode_from(&OctetString::new(content)?)?),
        },
        certificates: Some(CertificateSet(SetOfVec::try_from(certificates)?)),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::try_from(vec![info])?),
    };
    let info = ContentInfo { content_type: SIGNED_DATA, content: Any::encode_from(&data)? };
    Ok(info.to_der()?)
}

/// What is signed: content type, digest, time (RFC 5652 11).
fn attributes(digest: &[u8]) -> Result<SetOfVec<Attribute>, der::Error> {
    let attribute = |oid, value: AttributeValue| -> Result<Attribute, der::Error> {
        Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
    };
    SetOfVec::try_from(vec![
        attribute(CONTENT_TYPE, Any::encode_from(&DATA)?)?,
        attribute(MESSAGE_DIGEST, Any::encode_from(&OctetString::new(digest)?)?)?,
        attribute(SIGNING_TIME, Any::encode_from(&signing_time()?)?)?,
    ])
}

/// RFC 5652 11.3: UTCTime through 2049, then GeneralizedTime.
fn signing_time() -> Result<Time, der::Error> {
    let now = DateTime::try_from(SystemTime::now())?;
    Ok(match UtcTime::from_date_time(now) {
        Ok(time) => Time::UtcTime(time),
        Err(_) => Time::GeneralTime(GeneralizedTime::from_date_time(now)),
    })
}

fn digest(oid: ObjectIdentifier, content: &[u8]) -> Vec<u8> {
    match oid {
        SHA_384 => Sha384::digest(content).to_vec(),
        SHA_512 => Sha512::digest(content).to_vec(),
        _ => Sha256::digest(content).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::authority::{Authority, KeyKind};
    use net::tls::Certificates;
    use std::process::Command;

    /// `openssl cms -verify` takes the signature of both kinds of key and gives the content back.
    #[test]
    fn openssl_verifies_what_is_signed() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(directory.path()).unwrap();
        for kind in [KeyKind::Ecdsa, KeyKind::Rsa] {
            let leaf = authority.server(kind, &["mail.example.test"]).unwrap();
            let pair = leaf.write(directory.path(), "server").unwrap();
            let certificates = Certificates::load(vec![pair]).unwrap();
            let content = b"<plist>\r\n\xc3\xa9</plist>\n";
            let signed = signed(&certificates.identity("mail.example.test"), content).unwrap();
            let file = directory.path().join("signed");
            std::fs::write(&file, &signed).unwrap();
            let verify = |file: &std::path::Path| {
                Command::new("openssl")
                    .args(["cms", "-verify", "-inform", "DER", "-binary", "-purpose", "any", "-in"])
                    .arg(file)
                    .arg("-CAfile")
                    .arg(authority.certificate_file())
                    .output()
                    .unwrap()
            };
            let said = verify(&file);
            assert!(said.status.success(), "{kind:?}: {}", String::from_utf8_lossy(&said.stderr));
            assert_eq!(said.stdout, content);
            // Another content is not what was signed.
            let at = signed.windows(7).position(|window| window == b"<plist>").unwrap();
            let mut forged = signed.clone();
            forged[at + 1] ^= 1;
            std::fs::write(&file, &forged).unwrap();
            assert!(!verify(&file).status.success());
        }
    }

    #[test]
    fn nothing_is_signed_without_a_key() {
        assert!(matches!(signed(&[], b"x"), Err(Unsigned::NoKey)));
    }
}
