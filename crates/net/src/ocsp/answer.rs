//! What an answer proves (RFC 6960 3.2): who signed it, for which certificate, for which time.

use super::signed::{self, Signed};
use super::{ANSWER_BYTES_MAX, NoStaple, Question, Staple};
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use sha1::{Digest, Sha1};
use std::time::Duration;
use x509_cert::Certificate;
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_ocsp::{CertId, CertStatus, OcspResponse, OcspResponseStatus, ResponderId, ResponseData};

/// Certificates in an answer that are looked at; one is usual.
const CERTIFICATES_MAX: usize = 8;
/// Seconds that a responder's clock may be ahead of ours.
const AHEAD_SECONDS_MAX: i64 = 300;
/// Seconds for which an answer is taken that does not say until when it holds: something newer is always to be had
/// then (RFC 6960 4.2.2.1).
const UNLIMITED_SECONDS: i64 = 3600;

const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");

impl Question {
    /// Holds an answer (DER) to all that a client would hold it to.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn judge(&self, answer: &[u8], now: i64) -> Result<Staple, NoStaple> {
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(failed("its answer is too long"));
        }
        let damaged = |_| failed("its answer is damaged");
        let response = OcspResponse::from_der(answer).map_err(damaged)?;
        if response.response_status != OcspResponseStatus::Successful {
            return Err(failed(refusal(response.response_status)));
        }
        let bytes = response.response_bytes.filter(|bytes| bytes.response_type == BASIC);
        let bytes = bytes.ok_or_else(|| failed("its answer is of an unknown kind"))?;
        let signed = Signed::from_der(bytes.response.as_bytes()).map_err(damaged)?;
        let body = signed.body.to_der().map_err(damaged)?;
        let data = ResponseData::from_der(&body).map_err(damaged)?;
        self.signer(&signed, &data.responder_id, now)?;
        let about_us = data.responses.iter().find(|single| is_same(&single.cert_id, &self.id));
        let single = about_us.ok_or_else(|| failed("its answer is about another certificate"))?;
        let this_update = seconds(single.this_update.0.to_unix_duration());
        let next_update = match single.next_update {
            Some(next) => seconds(next.0.to_unix_duration()),
            None => this_update.saturating_add(UNLIMITED_SECONDS),
        };
        if this_update > now.saturating_add(AHEAD_SECONDS_MAX) {
            return Err(failed("its answer is of the future; one of the two clocks is wrong"));
        }
        if next_update <= now || next_update <= this_update {
            return Err(failed(
                "its answer is out of date; one of the two clocks is wrong, or the authority is late",
            ));
        }
        match single.cert_status {
            CertStatus::Good(_) => Ok(Staple { der: answer.to_vec(), this_update, next_update }),
            CertStatus::Revoked(_) => Err(NoStaple::Revoked),
            CertStatus::Unknown(_) => Err(failed("it does not know this certificate")),
        }
    }

    /// The issuer itself signed the answer, or one whom the issuer has charged with it (RFC 6960 4.2.2.2).
    fn signer(&self, answer: &Signed<'_>, said: &ResponderId, now: i64) -> Result<(), NoStaple> {
        let issuer = &self.issuer.tbs_certificate.subject_public_key_info;
        if names(said, &self.issuer) && answer.by(issuer) {
            return Ok(());
        }
        let certificates = answer.certificates.as_deref().unwrap_or_default();
        let charged = certificates.iter().take(CERTIFICATES_MAX).any(|certificate| {
            names(said, certificate)
                && self.has_charged(certificate, now)
                && answer.by(&certificate.tbs_certificate.subject_public_key_info)
        });
        if charged { Ok(()) } else { Err(failed("its answer is not signed by the authority or in its name")) }
    }

    fn has_charged(&self, certificate: &Certificate, now: i64) -> bool {
        let tbs = &certificate.tbs_certificate;
        let valid = seconds(tbs.validity.not_before.to_unix_duration()) <= now
            && now <= seconds(tbs.validity.not_after.to_unix_duration());
        let may_sign =
            matches!(tbs.get::<ExtendedKeyUsage>(), Ok(Some((_, usage))) if usage.0.contains(&OCSP_SIGNING));
        let issuer: &SubjectPublicKeyInfoOwned = &self.issuer.tbs_certificate.subject_public_key_info;
        valid
            && may_sign
            && tbs.issuer == self.issuer.tbs_certificate.subject
            && certificate.to_der().is_ok_and(|der| signed::certificate(&der, issuer))
    }
}

/// Is this certificate the one that the responder says it is?
fn names(said: &ResponderId, certificate: &Certificate) -> bool {
    let tbs = &certificate.tbs_certificate;
    match said {
        ResponderId::ByName(name) => *name == tbs.subject,
        ResponderId::ByKey(hash) => {
            let key = tbs.subject_public_key_info.subject_public_key.raw_bytes();
            hash.as_bytes() == Sha1::digest(key).as_slice()
        }
    }
}

/// The parameters of the hash may be written in two ways.
fn is_same(a: &CertId, b: &CertId) -> bool {
    a.hash_algorithm.oid == b.hash_algorithm.oid
        && a.issuer_name_hash == b.issuer_name_hash
        && a.issuer_key_hash == b.issuer_key_hash
        && a.serial_number == b.serial_number
}

fn refusal(status: OcspResponseStatus) -> &'static str {
    match status {
        OcspResponseStatus::TryLater => "it asks to be asked later",
        OcspResponseStatus::Unauthorized => "it does not answer for this certificate",
        _ => "it could not answer",
    }
}

fn failed(why: &str) -> NoStaple {
    NoStaple::Failed(format!("the OCSP responder gives no proof: {why}"))
}

fn seconds(since: Duration) -> i64 {
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
