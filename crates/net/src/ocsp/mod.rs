//! OCSP (RFC 6960): asks an authority whether a certificate of ours still holds, for the answer to be stapled.
//!
//! A [`Question`] is made of a chain whose certificate names a responder and in which its issuer stands; an answer that
//! proves what clients would check becomes a [`Staple`].
//!
//! What must hold: the responder, and whoever sits before it, is a stranger: nothing becomes a staple whose signature,
//! certificate or time is wrong; all of it is bounded in octets and time. Deliberately not here: when to ask, where
//! staples are kept, and that none is shown past its time (`tls::certificates` sees to that).

mod answer;
mod signed;

use crate::dns::Resolver;
use crate::https::client::{self, Ask};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::asn1::{Null, ObjectIdentifier, OctetString};
use der::{Decode, Encode};
use sha1::{Digest, Sha1};
use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;
use x509_cert::Certificate;
use x509_cert::ext::pkix::AuthorityInfoAccessSyntax;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_ocsp::{CertId, OcspRequest, Request, TbsRequest};

/// For one request with its answer.
const ASK_TIME_MAX: Duration = Duration::from_secs(15);
/// Octets of an answer; those of real authorities are below 3,000.
pub const ANSWER_BYTES_MAX: usize = 32 << 10;
/// Octets of a URL for which a request goes by GET, so that caches can answer (RFC 5019 5).
const GET_BYTES_MAX: usize = 255;

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const ID_AD_OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
/// `id-pe-tlsfeature` (RFC 7633 4).
const TLS_FEATURE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.24");
/// `status_request`, the feature that a certificate demands which must be stapled.
const STATUS_REQUEST: u64 = 5;

/// What a certificate says of OCSP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Where its responder is asked.
    pub responder: Option<String>,
    /// It is worth nothing without a staple to clients that know the rule (RFC 7633).
    pub must_staple: bool,
}

impl Demand {
    /// Of a certificate (DER). One that cannot be read demands nothing.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Demand {
        match Certificate::from_der(certificate) {
            Ok(certificate) => {
                Demand { responder: responder(&certificate), must_staple: must_staple(&certificate) }
            }
            Err(_) => Demand::default(),
        }
    }
}

/// A certificate about which its responder can be asked.
#[derive(Clone, Debug)]
pub struct Question {
    url: String,
    id: CertId,
    request: Vec<u8>,
    issuer: Certificate,
}

/// An answer that may be stapled.
#[derive(Clone, PartialEq, Eq)]
pub struct Staple {
    /// The response, DER.
    pub der: Vec<u8>,
    /// From when it speaks, Unix seconds.
    pub this_update: i64,
    /// To the second before which a newer one comes; it is not shown any more then.
    pub next_update: i64,
}

/// Why there is no staple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoStaple {
    /// The certificate was revoked: another one is needed.
    Revoked,
    /// The responder cannot be asked, or answered something that proves nothing; a sentence.
    Failed(String),
}

impl fmt::Debug for Staple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staple").field("next_update", &self.next_update).finish_non_exhaustive()
    }
}

impl fmt::Display for NoStaple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoStaple::Revoked => {
                "the authority has revoked this certificate; where it was ordered by this service another one is ordered, \
                 else the operator must get one in its place"
            }
            NoStaple::Failed(why) => why,
        })
    }
}

impl std::error::Error for NoStaple {}

impl Question {
    /// About the first certificate of a chain (DER each); `None` where it names no responder.
    ///
    /// # Errors
    /// The chain lacks the issuer, or a certificate cannot be read.
    pub fn about<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Question>, NoStaple> {
        let failed = |why: &str| NoStaple::Failed(why.to_owned());
        let mut chain = chain.into_iter();
        let leaf_der = chain.next().ok_or_else(|| failed("there is no certificate"))?;
        let Ok(leaf) = Certificate::from_der(leaf_der) else { return Ok(None) };
        let Some(url) = responder(&leaf) else { return Ok(None) };
        let signed_it = |issuer: &Certificate| {
            issuer.tbs_certificate.subject == leaf.tbs_certificate.issuer
                && signed::certificate(leaf_der, &issuer.tbs_certificate.subject_public_key_info)
        };
        let issuer = chain.filter_map(|der| Certificate::from_der(der).ok()).find(signed_it).ok_or_else(|| {
            failed(
                "the certificate's issuer does not stand behind it in its file; the operator must add the intermediate \
                 certificate",
            )
        })?;
        let id = id_of(&leaf, &issuer).map_err(|error| NoStaple::Failed(error.to_string()))?;
        let request = OcspRequest {
            tbs_request: TbsRequest {
                request_list: vec![Request { req_cert: id.clone(), single_request_extensions: None }],
                ..TbsRequest::default()
            },
            optional_signature: None,
        };
        let request = request.to_der().map_err(|error| NoStaple::Failed(error.to_string()))?;
        Ok(Some(Question { url, id, request, issuer }))
    }

    /// Where it is asked.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks the responder, by GET where the request is short (RFC 6960 A.1) and else, or where it does not take that,
    /// by POST. No redirect is followed.
    ///
    /// # Errors
    /// Why there is no staple.
    pub async fn ask(&self, resolver: &Resolver, now: i64) -> Result<Staple, NoStaple> {
        let get = self.get_url();
        if get.len() <= GET_BYTES_MAX
            && let Ok(Some(answer)) = self.spoken(resolver, &get, None).await
        {
            return self.judge(&answer, now);
        }
        let post = Some(("application/ocsp-request", self.request.as_slice()));
        match self.spoken(resolver, &self.url, post).await? {
            Some(answer) => self.judge(&answer, now),
            None => Err(NoStaple::Failed(format!("what answers at {} is no OCSP responder", self.url))),
        }
    }

    /// The body of an answer of OCSP; `None` if it is something else.
    async fn spoken(
        &self,
        resolver: &Resolver,
        url: &str,
        post: Option<(&str, &[u8])>,
    ) -> Result<Option<Vec<u8>>, NoStaple> {
        let ask = Ask {
            url,
            post,
            time_max: ASK_TIME_MAX,
            body_bytes_max: ANSWER_BYTES_MAX,
            // The address stands in a certificate that the operator chose or the operator's authority made; the responder
            // of a private authority may well be inside.
            allowed: |_| true,
            extra_roots: &[],
        };
        let answer = client::ask(resolver, ask).await.map_err(|error| {
            NoStaple::Failed(format!("the OCSP responder {} cannot be asked: {error}", self.url))
        })?;
        let is_ocsp = answer
            .content_type
            .as_deref()
            .is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("application/ocsp-response"));
        Ok((answer.status == 200 && is_ocsp).then(|| answer.body.to_vec()))
    }

    fn get_url(&self) -> String {
        let mut url = format!("{}/", self.url.trim_end_matches('/'));
        for c in STANDARD.encode(&self.request).chars() {
            if c.is_ascii_alphanumeric() {
                url.push(c);
            } else {
                // Writing to a String cannot fail.
                let _ = write!(url, "%{:02X}", u32::from(c));
            }
        }
        url
    }
}

/// SHA-1 names the issuer here and proves nothing; it is what all responders know (RFC 5019 2.1.1).
fn id_of(leaf: &Certificate, issuer: &Certificate) -> der::Result<CertId> {
    let issuer = &issuer.tbs_certificate;
    let key = issuer.subject_public_key_info.subject_public_key.raw_bytes();
    Ok(CertId {
        hash_algorithm: AlgorithmIdentifierOwned { oid: SHA1, parameters: Some(Null.into()) },
        issuer_name_hash: OctetString::new(Sha1::digest(issuer.subject.to_der()?).to_vec())?,
        issuer_key_hash: OctetString::new(Sha1::digest(key).to_vec())?,
        serial_number: leaf.tbs_certificate.serial_number.clone(),
    })
}

/// The first responder that is asked over HTTP, which is how OCSP travels: its answers are signed.
fn responder(certificate: &Certificate) -> Option<String> {
    let (_, access) = certificate.tbs_certificate.get::<AuthorityInfoAccessSyntax>().ok()??;
    access.0.iter().filter(|access| access.access_method == ID_AD_OCSP).find_map(|access| {
        match &access.access_location {
            GeneralName::UniformResourceIdentifier(uri)
                if uri.as_str().starts_with("http://") || uri.as_str().starts_with("https://") =>
            {
                Some(uri.as_str().to_owned())
            }
            _ => None,
        }
    })
}

fn must_staple(certificate: &Certificate) -> bool {
    let extensions = certificate.tbs_certificate.extensions.as_deref().unwrap_or_default();
    extensions.iter().filter(|extension| extension.extn_id == TLS_FEATURE).any(|extension| {
        Vec::<u64>::from_der(extension.extn_value.as_bytes())
            .is_ok_and(|features| features.contains(&STATUS_REQUEST))
    })
}
