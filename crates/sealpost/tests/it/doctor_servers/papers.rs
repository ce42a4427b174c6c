//! Certificates for servers, good and bad, in files that every server can read.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::path::Path;

/// What a server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Papers {
    /// For the host, of the authority that is trusted.
    Good,
    /// As good, with an RSA key, which old versions of TLS want.
    Rsa,
    /// The same, with a date in the past.
    Expired,
    /// The same, for another name.
    WrongName,
    /// It signed itself.
    SelfSigned,
    /// Of an authority that nobody trusts.
    Stranger,
}

/// Writes `chain.pem` and `key.pem`; the authority to trust, DER.
pub fn write(papers: Papers, directory: &Path) -> Vec<u8> {
    let (trusted, root) = authority("The Root");
    let (stranger, _) = authority("Somebody's Root");
    let name = if papers == Papers::WrongName { "other.example.test" } else { super::HOST };
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    let (from, to) = if papers == Papers::Expired { (2019, 2020) } else { (2020, 2048) };
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    let kind = if papers == Papers::Rsa { &rcgen::PKCS_RSA_SHA256 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
    let key = KeyPair::generate_for(kind).expect("a key");
    let made = match papers {
        Papers::SelfSigned => params.self_signed(&key),
        Papers::Stranger => params.signed_by(&key, &stranger),
        _ => params.signed_by(&key, &trusted),
    };
    std::fs::write(directory.join("chain.pem"), made.expect("signed").pem()).expect("write");
    std::fs::write(directory.join("key.pem"), key.serialize_pem()).expect("write");
    root
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, Vec<u8>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let root = params.self_signed(&key).expect("signed").der().to_vec();
    (Issuer::new(params, key), root)
}
