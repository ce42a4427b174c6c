//! Our certificates: read from PEM files, chosen by what the client asks for,
//! read again when the files change.
//!
//! What must hold: a connection always finds a certificate (an unknown or missing
//! server name gets the default one, the first pair's); a broken new file keeps the
//! old certificate and is reported once; choosing
//! takes one read lock, held for the copy of a pointer.

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use x509_parser::prelude::X509Certificate;

/// One certificate with its chain, and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// PEM file: our certificate first, then the intermediates.
    pub chain: PathBuf,
    /// PEM file with the private key (PKCS#8, SEC1 or PKCS#1).
    pub key: PathBuf,
}

/// A certificate file that cannot be used: the operator must repair it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateError(String);

impl CertificateError {
    pub(super) fn file(path: &Path, why: &dyn fmt::Display) -> CertificateError {
        CertificateError(format!("{}: {why}", path.display()))
    }

    pub(super) fn other(text: String) -> CertificateError {
        CertificateError(text)
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CertificateError {}

/// All certificates of the service.
pub struct Certificates {
    pairs: Vec<Pair>,
    current: RwLock<Arc<Set>>,
    watched: Mutex<Watched>,
}

/// One certificate as it is served.
#[derive(Debug)]
pub(super) struct Served {
    key: Arc<CertifiedKey>,
    /// `tls-server-end-point` (RFC 5929 4.1).
    pub(super) end_point: Vec<u8>,
    names: Vec<String>,
    rank: u8,
}

/// The certificates of one reading of the files.
#[derive(Debug)]
struct Set {
    /// For each name, the certificates that cover it, in order of preference. Wildcards stand as `*.domain`.
    by_name: HashMap<String, Vec<Arc<Served>>>,
    /// For all other names: those of the first pair's host, then all others.
    default: Vec<Arc<Served>>,
}

/// What was last seen of the files.
#[derive(Debug, Default)]
struct Watched {
    /// At the last look.
    seen: Vec<Stamp>,
    /// When they were last read, with success or without.
    read: Vec<Stamp>,
}

type Stamp = Option<(SystemTime, u64)>;

impl Certificates {
    /// Reads all pairs. The first is the default; an RSA pair beside an ECDSA one for the same names is fine.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(pairs: Vec<Pair>) -> Result<Arc<Certificates>, CertificateError> {
        let stamps = stamps(&pairs);
        let set = Set::read(&pairs)?;
        Ok(Arc::new(Certificates {
            pairs,
            current: RwLock::new(Arc::new(set)),
            watched: Mutex::new(Watched { seen: stamps.clone(), read: stamps }),
        }))
    }

    /// Reads the files again now. Connections that are open keep what they have.
    ///
    /// # Errors
    /// What is wrong with the new files; the old certificates stay in use.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let stamps = stamps(&self.pairs);
        let read = Set::read(&self.pairs);
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).read = stamps;
        let set = Arc::new(read?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = set;
        Ok(())
    }

    /// Looks at the files every `interval` until `shutdown`, and reads them again when they have
    /// changed and then stood still for one interval: key and chain are replaced one after the other.
    pub async fn watch(self: Arc<Self>, interval: Duration, mut shutdown: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(interval) => {}
            }
            let this = self.clone();
            // Files may lie on a slow disk; a failure to join means that the runtime is stopping.
            let _ = tokio::task::spawn_blocking(move || this.look()).await;
        }
    }

    /// One look of [`Certificates::watch`].
    fn look(&self) {
        let now = stamps(&self.pairs);
        {
            let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            let standing_still = watched.seen == now;
            watched.seen = now;
            if !standing_still || watched.seen == watched.read {
                return;
            }
        }
        match self.reload() {
            Ok(()) => tracing::info!("certificates were read again"),
            Err(error) => tracing::error!(
                %error,
                "the operator must repair the certificate files; the old certificates stay in use"
            ),
        }
    }

    fn current(&self) -> Arc<Set> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("pairs", &self.pairs).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls has removed a trailing dot and the schemes that no offered suite of TLS 1.2 can use.
        let served = self.current().choose(hello.server_name(), hello.signature_schemes())?;
        let key = served.key.clone();
        CHOSEN.with_borrow_mut(|chosen| *chosen = Some(served));
        Some(key)
    }
}

thread_local! {
    /// What [`Certificates::resolve`] chose: rustls does not tell, and asking again could
    /// give another answer after a reload. Written and read within one call of [`observe`].
    static CHOSEN: RefCell<Option<Arc<Served>>> = const { RefCell::new(None) };
}

/// Runs one step of a handshake and returns with its outcome the certificate that was chosen in it.
pub(super) fn observe<T>(step: impl FnOnce() -> T) -> (T, Option<Arc<Served>>) {
    CHOSEN.take();
    let outcome = step();
    (outcome, CHOSEN.take())
}

impl Set {
    fn read(pairs: &[Pair]) -> Result<Set, CertificateError> {
        let mut all = pairs.iter().map(Served::read).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = all.first().cloned() else {
            return Err(CertificateError::other("no certificate is configured".to_owned()));
        };
        // Stable: within a rank, the order of the settings.
        all.sort_by_key(|served| served.rank);
        let mut by_name: HashMap<String, Vec<Arc<Served>>> = HashMap::new();
        for served in &all {
            for name in &served.names {
                by_name.entry(name.clone()).or_default().push(served.clone());
            }
        }
        let shares_a_name = |served: &Served| served.names.iter().any(|name| first.names.contains(name));
        let (mut default, others): (Vec<_>, Vec<_>) =
            all.iter().cloned().partition(|served| Arc::ptr_eq(served, &first) || shares_a_name(served));
        default.extend(others);
        Ok(Set { by_name, default })
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<Served>> {
        let usable = |served: &&Arc<Served>| served.key.key.choose_scheme(schemes).is_some();
        let named = name.and_then(|name| self.covering(name)).unwrap_or_default();
        // With none that the client can check, rustls refuses the first with the alert for that.
        named.iter().chain(&self.default).find(usable).or_else(|| self.default.first()).cloned()
    }

    fn covering(&self, name: &str) -> Option<&[Arc<Served>]> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let lower;
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = name.to_ascii_lowercase();
            &lower
        } else {
            name
        };
        if let Some(found) = self.by_name.get(name) {
            return Some(found);
        }
        let (_, parent) = name.split_once('.')?;
        self.by_name.get(&format!("*.{parent}")).map(Vec::as_slice)
    }
}

impl Served {
    fn read(pair: &Pair) -> Result<Arc<Served>, CertificateError> {
        let pem = std::fs::read(&pair.chain).map_err(|error| CertificateError::file(&pair.chain, &error))?;
        let chain = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| CertificateError::file(&pair.chain, &error))?;
        let Some(leaf) = chain.first() else {
            return Err(CertificateError::file(&pair.chain, &"no certificate in this file"));
        };
        let (end_point, names) = described(leaf, &pair.chain)?;
        let key = PrivateKeyDer::from_pem_file(&pair.key)
            .map_err(|error| CertificateError::file(&pair.key, &error))?;
        let key = any_supported_type(&key).map_err(|error| CertificateError::file(&pair.key, &error))?;
        let rank = match key.algorithm() {
            SignatureAlgorithm::ECDSA => 0,
            SignatureAlgorithm::ED25519 => 1,
            _ => 2,
        };
        let key = CertifiedKey::new(chain, key);
        if key.keys_match().is_err() {
            let why = format!("does not belong to the certificate in {}", pair.chain.display());
            return Err(CertificateError::file(&pair.key, &why));
        }
        Ok(Arc::new(Served { key: Arc::new(key), end_point, names, rank }))
    }
}

/// The channel binding and the names of a certificate.
fn described(leaf: &[u8], path: &Path) -> Result<(Vec<u8>, Vec<String>), CertificateError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|error| CertificateError::file(path, &format!("not a certificate: {error}")))?;
    if !parsed.validity().is_valid() {
        tracing::error!(
            file = %path.display(),
            until = %parsed.validity().not_after,
            "the operator must renew this certificate: it is not valid now"
        );
    }
    let mut names = Vec::new();
    if let Ok(Some(alternatives)) = parsed.subject_alternative_name() {
        for name in &alternatives.value.general_names {
            if let x509_parser::extensions::GeneralName::DNSName(name) = name {
                names.push(name.trim_end_matches('.').to_ascii_lowercase());
            }
        }
    }
    Ok((end_point(leaf, &parsed), names))
}

/// The certificate's digest by the hash of its signature; MD5 and SHA-1 are replaced
/// by SHA-256 (RFC 5929 4.1). Ed25519 has no separate hash and RFC 5929 no rule for it:
/// its own inner hash is taken.
fn end_point(certificate: &[u8], parsed: &X509Certificate<'_>) -> Vec<u8> {
    let oid = parsed.signature_algorithm.algorithm.to_id_string();
    let hash = match oid.as_str() {
        "1.2.840.113549.1.1.10" => pss_hash(parsed).unwrap_or_default(),
        other => other.to_owned(),
    };
    match hash.as_str() {
        // RSA, ECDSA, and the bare hash as RSASSA-PSS names it.
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" | "2.16.840.1.101.3.4.2.4" => {
            Sha224::digest(certificate).to_vec()
        }
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.2.2" => {
            Sha384::digest(certificate).to_vec()
        }
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.2.3" | "1.3.101.112" => {
            Sha512::digest(certificate).to_vec()
        }
        _ => Sha256::digest(certificate).to_vec(),
    }
}

/// The hash in the parameters of RSASSA-PSS (RFC 4055 3.1); missing means SHA-1.
fn pss_hash(parsed: &X509Certificate<'_>) -> Option<String> {
    use x509_parser::signature_algorithm::SignatureAlgorithm as Algorithm;
    match Algorithm::try_from(&parsed.signature_algorithm).ok()? {
        Algorithm::RSASSA_PSS(parameters) => Some(parameters.hash_algorithm_oid().to_id_string()),
        _ => None,
    }
}

fn stamps(pairs: &[Pair]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    pairs.iter().flat_map(|pair| [stamp(&pair.chain), stamp(&pair.key)]).collect()
}
