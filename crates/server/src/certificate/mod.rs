//! Certificates that are ordered from an ACME authority: for which names, when, and where they are kept.
//!
//! One [`Keeper`] runs beside the service. It wants certificates for the service's host, for the names in the settings and
//! for each domain's own host at once, and for the names at which clients look for the settings of our domains when a
//! handshake asks for one (*on demand*). What to do next is [`plan`]'s word; an order is carried out by [`net::acme`]; what
//! comes is kept ([`keep`]) first and served then.
//!
//! What must hold: a certificate that is there is served until its successor is; a name that is not ours never causes an
//! order, nor does a client decide how many there are;
//! what fails is tried again ever more seldom. Nothing here is waited for by a connection.

pub mod keep;
mod keeper;
pub mod next_key;
pub mod plan;
pub mod staple;
mod waits;
mod whole;
mod wishes;

pub use keeper::Keeper;
pub use wishes::Wishes;

use crate::app;
use crate::publish::Domains;
use keep::{Keep, Kept};
use net::acme::{Authority, Proof};
use net::authority::KeyKind;
use net::tls::{CertificateError, Certificates, Described};
use proto::service::{Model, Protection, Protocol};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the operator says of ordering certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// URL of the authority's directory. That it is set says that its terms are agreed to.
    pub directory: String,
    /// A mail address at which the authority may tell of trouble.
    pub contact: Option<String>,
    /// A PEM file of authorities that vouch for the directory's host.
    pub ca: Option<PathBuf>,
    /// Names beside those of the service and its domains.
    pub names: Vec<String>,
    /// Order for names of our domains when they are asked for.
    pub on_demand: bool,
    /// The one way to prove names; `None`: what the listeners can.
    pub proof: Option<Proof>,
    /// Seconds before its end at which a certificate is renewed at the latest; 0 leaves it to its life and the authority.
    pub renew_before_seconds: i64,
    /// A renewed certificate has the key of the one before, so that records of it (TLSA) stay right.
    pub keep_key: bool,
}

/// Reads the certificates of the settings, and those that were ordered earlier. The keeper orders further ones once it runs.
///
/// # Errors
/// A file that the settings name cannot be used.
pub fn load(settings: &app::Settings) -> Result<(Arc<Certificates>, Option<Keeper>), CertificateError> {
    let pairs = settings.certificates.clone();
    let Some(acme) = &settings.acme else { return Ok((Certificates::load(pairs)?, None)) };
    let host = &settings.model.host;
    let certificates = Certificates::expecting(pairs, host)?;
    let roots = acme.ca.as_deref().map(net::acme::read_roots).transpose()?.unwrap_or_default();
    let authority = Authority {
        directory: acme.directory.clone(),
        contact: acme.contact.iter().cloned().collect(),
        roots,
    };
    let keep = Keep::new(&settings.data, &acme.directory);
    let held = read_kept(&keep, &certificates);
    if !certificates.covers(host) {
        tracing::warn!(host, "a self-signed certificate stands in until one has come from the authority");
    }
    let keeper = Keeper::new(acme, authority, keep, held, proofs(&settings.model, acme.proof));
    Ok((certificates, Some(keeper)))
}

/// All certificates that the service with these settings would serve now, and those whose keys stay.
///
/// # Errors
/// A file that the settings name cannot be used.
pub fn at_hand(settings: &app::Settings) -> Result<AtHand, CertificateError> {
    let pairs = settings.certificates.clone();
    let Some(acme) = &settings.acme else {
        let all = Certificates::load(pairs)?;
        return Ok(AtHand { lasting: all.clone(), all });
    };
    let host = &settings.model.host;
    let all = Certificates::expecting(pairs.clone(), host)?;
    read_kept(&Keep::new(&settings.data, &acme.directory), &all);
    let lasting = if acme.keep_key { all.clone() } else { Certificates::expecting(pairs, host)? };
    Ok(AtHand { all, lasting })
}

/// Digests of the keys that the next certificates for this host will have, where they are told beforehand; none where the
/// keys of certificates do not stay. What cannot be read is reported.
#[must_use]
pub fn next_keys(settings: &app::Settings, host: &str) -> Vec<[u8; 32]> {
    let Some(acme) = settings.acme.as_ref().filter(|acme| acme.keep_key) else { return Vec::new() };
    let keep = Keep::new(&settings.data, &acme.directory);
    let of = |kind| {
        let next = keep.next_key(&keep.place(host, kind));
        let next = next.inspect_err(|error| tracing::warn!(host, %error, "a next key cannot be read"));
        Some(next.ok()??.key.digest())
    };
    [KeyKind::Ecdsa, KeyKind::Rsa].into_iter().filter_map(of).collect()
}

/// See [`at_hand`].
#[derive(Debug)]
pub struct AtHand {
    /// All of them.
    pub all: Arc<Certificates>,
    /// Those whose next ones have the same key.
    pub lasting: Arc<Certificates>,
}

/// Names for which there shall be a certificate before anybody asks: the service's own, those of the settings, and the
/// hosts of domains.
pub(crate) fn at_once(model: &Model, names: &[String], domains: &Domains) -> Vec<String> {
    let mut hosts: Vec<&str> = domains.hosts().collect();
    hosts.sort_unstable();
    let mut seen = HashSet::new();
    let all = std::iter::once(model.host.as_str()).chain(names.iter().map(String::as_str)).chain(hosts);
    all.filter(|name| seen.insert(*name)).map(str::to_owned).collect()
}

/// What the listeners can answer.
#[must_use]
pub fn proofs(model: &Model, only: Option<Proof>) -> Vec<Proof> {
    let has = |protection| {
        model.listeners.iter().any(|l| l.protocol == Protocol::Web && l.protection == protection)
    };
    let all = [(Proof::Http, Protection::Clear), (Proof::TlsAlpn, Protection::Implicit)];
    all.into_iter()
        .filter(|(proof, protection)| has(*protection) && only.is_none_or(|only| only == *proof))
        .map(|(proof, _)| proof)
        .collect()
}

/// Serves what was kept. A file that cannot be used is reported, and ordered anew.
fn read_kept(keep: &Keep, certificates: &Certificates) -> Vec<(Kept, Described)> {
    let list = keep.certificates().unwrap_or_else(|error| {
        tracing::error!(%error, "the operator must repair the folder of ordered certificates: it cannot be read");
        Vec::new()
    });
    let mut all = Vec::new();
    for kept in list {
        let put = keep
            .read(&kept)
            .map_err(|error| error.to_string())
            .and_then(|pem| certificates.put(&kept.file, &pem).map_err(|error| error.to_string()));
        match put {
            Ok(put) => all.push((kept, put)),
            Err(error) => {
                tracing::error!(file = %file_name(&kept.file), error, "an ordered certificate cannot be used")
            }
        }
    }
    all
}

/// A moment as operators read it.
pub(crate) fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

fn file_name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
