//! One order: from a name to a certificate (RFC 8555 7.4).

use super::{Challenges, Client, Proof, Trouble};
use crate::acme::challenges::Held;
use crate::authority::KeyKind;
use instant_acme::{
    AuthorizationStatus, CertificateIdentifier, ChallengeStatus, ChallengeType, Error, Identifier, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData, SignatureAlgorithm};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// For the authority to ask, and then to sign.
const POLL_TIME_MAX: Duration = Duration::from_secs(120);
/// For one order from beginning to end.
const ORDER_TIME_MAX: Duration = Duration::from_secs(600);
/// Before the first look; later ones take longer.
const POLL_FIRST: Duration = Duration::from_millis(250);

/// With what a name is proven.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// Where the listeners find the answers.
    pub challenges: &'a Challenges,
    /// What the listeners can answer, best first.
    pub proofs: &'a [Proof],
}

/// A certificate and its key. The key does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// PEM: the key (PKCS#8), then the chain.
    pub pem: String,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").finish_non_exhaustive()
    }
}

/// The key of an earlier certificate, for the next one. It does not print.
pub struct Key(KeyPair);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    /// A fresh one. An RSA key takes up to a second to find.
    ///
    /// # Errors
    /// There is no randomness to be had.
    pub fn new(kind: KeyKind) -> Result<Key, String> {
        KeyPair::generate_for(algorithm(kind)).map(Key).map_err(|error| error.to_string())
    }

    /// As [`Key::read`] reads it. It is the secret itself.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// SHA-256 of the public key (SubjectPublicKeyInfo): what TLSA records with selector 1 and matching type 1 hold.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.subject_public_key_info()).into()
    }

    /// Reads it from the PEM of [`Issued`].
    ///
    /// # Errors
    /// There is none in it, or one of another kind.
    pub fn read(pem: &[u8], kind: KeyKind) -> Result<Key, String> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|error| error.to_string())?;
        let read = KeyPair::from_pkcs8_der_and_sign_algo(&der, algorithm(kind));
        read.map(Key).map_err(|error| error.to_string())
    }

    fn copy(&self, kind: KeyKind) -> Result<KeyPair, rcgen::Error> {
        let der = PrivatePkcs8KeyDer::from(self.0.serialized_der());
        KeyPair::from_pkcs8_der_and_sign_algo(&der, algorithm(kind))
    }
}

/// When the authority wants a certificate renewed (RFC 9773 4.2), Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalWindow {
    /// First second of the window.
    pub start: i64,
    /// Last one.
    pub end: i64,
    /// When to ask again.
    pub ask_again: i64,
}

impl Client {
    /// Orders a certificate for one name, with this key or a new one.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn order(
        &self,
        name: &str,
        kind: KeyKind,
        key: Option<&Key>,
        means: Means<'_>,
    ) -> Result<Issued, Trouble> {
        let carried_out = tokio::time::timeout(ORDER_TIME_MAX, self.carry_out(name, kind, key, means));
        carried_out.await.unwrap_or_else(|_| Err(Trouble::too_slow()))
    }

    async fn carry_out(
        &self,
        name: &str,
        kind: KeyKind,
        key: Option<&Key>,
        means: Means<'_>,
    ) -> Result<Issued, Trouble> {
        let key = key.map(|key| key.copy(kind)).transpose().map_err(|error| Trouble::ours(&error))?;
        let identifiers = [Identifier::Dns(name.to_owned())];
        let begun = self.account.new_order(&NewOrder::new(&identifiers)).await;
        let mut order = begun.map_err(|error| self.transport.trouble(&error))?;
        // Until the order is over, however it ends.
        let (proof, held) = self.answer(&mut order, name, means).await?;
        let policy = RetryPolicy::new().initial_delay(POLL_FIRST).timeout(POLL_TIME_MAX);
        let ready = order.poll_ready(&policy).await;
        drop(held);
        if !matches!(ready, Ok(OrderStatus::Ready)) {
            return Err(self.unproven(&mut order, name, proof, ready.err()).await);
        }
        let (key, csr) = tokio::task::spawn_blocking({
            let name = name.to_owned();
            move || request(&name, kind, key)
        })
        .await
        .map_err(|error| Trouble::ours(&error))?
        .map_err(|error| Trouble::ours(&error))?;
        let finished = async {
            order.finalize_csr(&csr).await?;
            order.poll_certificate(&policy).await
        };
        let chain = finished.await.map_err(|error| self.transport.trouble(&error))?;
        Ok(Issued { pem: format!("{}{chain}", key.serialize_pem()) })
    }

    /// When the authority wants this certificate (DER) renewed; `None` if it does not say.
    pub async fn renewal_window(&self, certificate: &[u8]) -> Option<RenewalWindow> {
        let certificate = CertificateDer::from(certificate);
        let id = CertificateIdentifier::try_from(&certificate).ok()?;
        let (info, again) = self.account.renewal_info(&id).await.ok()?;
        let (start, end) = (info.suggested_window.start, info.suggested_window.end);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let ask_again = i64::try_from(now.saturating_add(again.as_secs())).unwrap_or(i64::MAX);
        Some(RenewalWindow { start: start.unix_timestamp(), end: end.unix_timestamp(), ask_again })
    }

    /// Puts the answers up and tells the authority to ask. An authorization that it still has needs none.
    async fn answer(
        &self,
        order: &mut Order,
        name: &str,
        means: Means<'_>,
    ) -> Result<(Proof, Vec<Held>), Trouble> {
        let trouble = |error: Error| self.transport.trouble(&error);
        let mut held = Vec::new();
        let mut by = means.proofs.first().copied().unwrap_or(Proof::Http);
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(trouble)?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let offered = |proof: &&Proof| authorization.challenges.iter().any(|c| c.r#type == word(**proof));
            let Some(proof) = means.proofs.iter().find(offered).copied() else {
                return Err(Trouble::name(format!(
                    "the authority offers no way to prove {name} that this service can answer; it answers by HTTP-01 \
                     (a listener of the web without TLS) and TLS-ALPN-01 (one with TLS)"
                )));
            };
            by = proof;
            let Some(mut challenge) = authorization.challenge(word(proof)) else { continue };
            let key = challenge.key_authorization();
            held.push(match proof {
                Proof::Http => means.challenges.hold_http(&challenge.token, key.as_str()),
                Proof::TlsAlpn => {
                    let digest =
                        <[u8; 32]>::try_from(key.digest().as_ref()).map_err(|error| Trouble::ours(&error))?;
                    means.challenges.hold_tls(name, &digest).map_err(|error| Trouble::ours(&error))?
                }
            });
            challenge.set_ready().await.map_err(trouble)?;
        }
        Ok((by, held))
    }

    /// Why the order did not become ready: what the authority says beside the challenge, else the error of asking.
    async fn unproven(&self, order: &mut Order, name: &str, proof: Proof, error: Option<Error>) -> Trouble {
        if let Some(error) = error.filter(|error| !matches!(error, Error::Api(_))) {
            return self.transport.trouble(&error);
        }
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            let Ok(state) = authorization.refresh().await else { continue };
            let failed = state.challenges.iter().find(|c| c.status == ChallengeStatus::Invalid);
            if let Some(failed) = failed {
                return Trouble::unproven(name, proof, failed.error.as_ref());
            }
        }
        Trouble::unproven(name, proof, None)
    }
}

fn word(proof: Proof) -> ChallengeType {
    match proof {
        Proof::Http => ChallengeType::Http01,
        Proof::TlsAlpn => ChallengeType::TlsAlpn01,
    }
}

fn algorithm(kind: KeyKind) -> &'static SignatureAlgorithm {
    match kind {
        KeyKind::Ecdsa => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyKind::Rsa => &rcgen::PKCS_RSA_SHA256,
    }
}

/// The key, fresh unless there is one, and the request for its certificate. An RSA key takes up to a second to find.
fn request(name: &str, kind: KeyKind, key: Option<KeyPair>) -> Result<(KeyPair, Vec<u8>), rcgen::Error> {
    let key = key.map_or_else(|| KeyPair::generate_for(algorithm(kind)), Ok)?;
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    let csr = params.serialize_request(&key)?;
    Ok((key, csr.der().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer, X509CertificationRequest};

    #[test]
    fn requests_name_one_host_and_nothing_else() {
        for (kind, algorithm) in
            [(KeyKind::Ecdsa, "1.2.840.10045.2.1"), (KeyKind::Rsa, "1.2.840.113549.1.1.1")]
        {
            let (_, csr) = request("mail.example.test", kind, None).unwrap();
            let (_, csr) = X509CertificationRequest::from_der(&csr).unwrap();
            let info = &csr.certification_request_info;
            assert_eq!(info.subject.iter().count(), 0);
            assert_eq!(info.subject_pki.algorithm.algorithm.to_id_string(), algorithm);
            let extensions = csr.requested_extensions().unwrap().count();
            assert!(extensions >= 1);
        }
    }

    #[test]
    fn a_key_that_stays_is_the_same_and_of_its_kind() {
        for (kind, other) in [(KeyKind::Ecdsa, KeyKind::Rsa), (KeyKind::Rsa, KeyKind::Ecdsa)] {
            let (first, _) = request("mail.example.test", kind, None).unwrap();
            // The file has the key first, then the chain.
            let pem = format!(
                "{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                first.serialize_pem()
            );
            let key = Key::read(pem.as_bytes(), kind).unwrap();
            let (again, csr) = request("mail.example.test", kind, Some(key.copy(kind).unwrap())).unwrap();
            assert_eq!(again.serialize_der(), first.serialize_der());
            let (_, csr) = X509CertificationRequest::from_der(&csr).unwrap();
            assert_eq!(csr.certification_request_info.subject_pki.raw, first.subject_public_key_info());
            assert!(Key::read(pem.as_bytes(), other).is_err());
        }
        assert!(Key::read(b"", KeyKind::Rsa).is_err());
    }
}
