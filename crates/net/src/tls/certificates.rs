//! Our certificates: read from PEM files, chosen by what the client asks for,
//! read again when the files change; and those that come and go while the service runs.
//!
//! What must hold: a connection always finds a certificate (an unknown or missing
//! server name gets the default one: the first pair's, else the service's host's, else a self-signed
//! one that stands in until a real one comes); a broken new file keeps the
//! old certificate and is reported once; choosing
//! takes one read lock, held for the copy of a pointer.

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
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
    pub(crate) fn file(path: &Path, why: &dyn fmt::Display) -> CertificateError {
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
    /// Where the operator has no pair, the certificates of this host are the default.
    host: String,
    stand_in: Option<Arc<Served>>,
    known: Mutex<Known>,
    current: RwLock<Arc<Set>>,
    watched: Mutex<Watched>,
    unknown_names: OnceLock<mpsc::Sender<String>>,
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The names that it covers, lower case.
    pub names: Vec<String>,
    /// The kind of its key: `ecdsa`, `rsa` or `other`.
    pub key: &'static str,
    /// First second, Unix time.
    pub not_before: i64,
    /// Last second.
    pub not_after: i64,
    /// The certificate itself, DER.
    pub leaf: Vec<u8>,
}

/// What the sets are made of.
#[derive(Debug, Default)]
struct Known {
    /// The operator's pairs, in their order.
    fixed: Vec<Arc<Served>>,
    /// By the file that keeps each.
    coming: BTreeMap<PathBuf, Arc<Served>>,
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
        Certificates::made(pairs, String::new(), None)
    }

    /// Reads all pairs, of which there may be none: until a certificate for `host` comes, a self-signed one stands in.
    ///
    /// # Errors
    /// As of [`Certificates::load`].
    pub fn expecting(pairs: Vec<Pair>, host: &str) -> Result<Arc<Certificates>, CertificateError> {
        let stand_in = if pairs.is_empty() { Some(self_signed(host)?) } else { None };
        Certificates::made(pairs, host.to_ascii_lowercase(), stand_in)
    }

    fn made(
        pairs: Vec<Pair>,
        host: String,
        stand_in: Option<Arc<Served>>,
    ) -> Result<Arc<Certificates>, CertificateError> {
        let stamps = stamps(&pairs);
        let known = Known { fixed: read_all(&pairs)?, coming: BTreeMap::new() };
        if known.fixed.is_empty() && stand_in.is_none() {
            return Err(CertificateError::other("no certificate is configured".to_owned()));
        }
        let set = Set::of(&known, &host, stand_in.as_ref());
        Ok(Arc::new(Certificates {
            pairs,
            host,
            stand_in,
            known: Mutex::new(known),
            current: RwLock::new(Arc::new(set)),
            watched: Mutex::new(Watched { seen: stamps.clone(), read: stamps }),
            unknown_names: OnceLock::new(),
        }))
    }

    /// Takes in a certificate that came while the service runs: PEM with key and chain. It takes the place of what
    /// the same file held before. Connections that are open keep what they have.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed then.
    pub fn put(&self, file: &Path, pem: &[u8]) -> Result<Described, CertificateError> {
        let served = Served::from_one(file, pem)?;
        let described = Described::read(file, pem)?;
        self.change(|known| {
            known.coming.insert(file.to_owned(), served);
        });
        Ok(described)
    }

    /// Lets go of a certificate that came while the service ran.
    pub fn remove(&self, file: &Path) {
        self.change(|known| {
            known.coming.remove(file);
        });
    }

    /// From now on, server names for which there is no certificate are sent here. What does not fit is dropped: a client
    /// that asks again sends it again. Only the first call counts.
    pub fn tell_unknown_names(&self, to: mpsc::Sender<String>) {
        // A second teller would be a fault of ours, and the first one still hears all.
        let _ = self.unknown_names.set(to);
    }

    /// Has the operator given a certificate for this name?
    #[must_use]
    pub fn configured(&self, host: &str) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.fixed.iter().any(|served| served.names.iter().any(|name| matches(name, host)))
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
        let set = Arc::new(Set::of(&known, &self.host, self.stand_in.as_ref()));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = set;
    }

    /// Reads the files again now. Connections that are open keep what they have.
    ///
    /// # Errors
    /// What is wrong with the new files; the old certificates stay in use.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let stamps = stamps(&self.pairs);
        let read = read_all(&self.pairs);
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).read = stamps;
        let fixed = read?;
        self.change(|known| known.fixed = fixed);
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

    /// The certificates with their keys for signing in the name of `host`, those that cover it first. RSA stands
    /// first among equals: what checks a signature is often older than what speaks TLS.
    #[must_use]
    pub fn identity(&self, host: &str) -> Vec<Arc<CertifiedKey>> {
        let set = self.current();
        let named = set.covering(host).unwrap_or_default().iter().rev();
        named.chain(&set.default).map(|served| served.key.clone()).collect()
    }

    /// Is there a certificate for this name?
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        self.current().covering(host).is_some()
    }

    /// SHA-256 of the public keys (SubjectPublicKeyInfo) of the certificates that cover `host`: what TLSA records with
    /// selector 1 and matching type 1 hold (RFC 6698 2.1), best certificate first.
    pub fn key_digests(&self, host: &str) -> Vec<[u8; 32]> {
        let set = self.current();
        let mut digests = Vec::new();
        for served in set.covering(host).unwrap_or_default() {
            let Ok(leaf) = served.key.end_entity_cert() else { continue };
            // It was read when the file was loaded, so it can be read now.
            let Ok((_, leaf)) = x509_parser::parse_x509_certificate(leaf) else { continue };
            let digest: [u8; 32] = Sha256::digest(leaf.public_key().raw).into();
            if !digests.contains(&digest) {
                digests.push(digest);
            }
        }
        digests
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
        let name = hello.server_name();
        let current = self.current();
        if let (Some(name), Some(teller)) = (name, self.unknown_names.get())
            && current.covering(name).is_none()
        {
            // Full: whoever listens is busy, and the client will be back.
            let _ = teller.try_send(name.to_ascii_lowercase());
        }
        let served = current.choose(name, hello.signature_schemes())?;
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
    fn of(known: &Known, host: &str, stand_in: Option<&Arc<Served>>) -> Set {
        let mut all: Vec<Arc<Served>> = known.fixed.iter().chain(known.coming.values()).cloned().collect();
        // Stable: within a rank, the order of the settings, and the operator's own first.
        all.sort_by_key(|served| served.rank);
        let mut by_name: HashMap<String, Vec<Arc<Served>>> = HashMap::new();
        for served in &all {
            for name in &served.names {
                by_name.entry(name.clone()).or_default().push(served.clone());
            }
        }
        let first = known.fixed.first();
        let is_default = |served: &Arc<Served>| match first {
            Some(first) => {
                Arc::ptr_eq(served, first) || served.names.iter().any(|name| first.names.contains(name))
            }
            None => served.names.iter().any(|name| matches(name, host)),
        };
        let (mut default, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_default);
        if default.is_empty() {
            default.extend(stand_in.cloned());
        }
        default.extend(others);
        Set { by_name, default }
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
        let key = PrivateKeyDer::from_pem_file(&pair.key)
            .map_err(|error| CertificateError::file(&pair.key, &error))?;
        Served::new(&pem, &pair.chain, &key, &pair.key)
    }

    /// From one PEM text with key and chain.
    fn from_one(file: &Path, pem: &[u8]) -> Result<Arc<Served>, CertificateError> {
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| CertificateError::file(file, &error))?;
        Served::new(pem, file, &key, file)
    }

    /// From the chain's PEM and the key; the paths are for what is said when one of them is wrong.
    fn new(
        chain: &[u8],
        chain_path: &Path,
        key: &PrivateKeyDer<'_>,
        key_path: &Path,
    ) -> Result<Arc<Served>, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| CertificateError::file(chain_path, &error))?;
        let Some(leaf) = chain.first() else {
            return Err(CertificateError::file(chain_path, &"no certificate in this file"));
        };
        let (end_point, names) = described(leaf, chain_path)?;
        let key = any_supported_type(key).map_err(|error| CertificateError::file(key_path, &error))?;
        let rank = match key.algorithm() {
            SignatureAlgorithm::ECDSA => 0,
            SignatureAlgorithm::ED25519 => 1,
            _ => 2,
        };
        let key = CertifiedKey::new(chain, key);
        if key.keys_match().is_err() {
            let why = format!("does not belong to the certificate in {}", chain_path.display());
            return Err(CertificateError::file(key_path, &why));
        }
        Ok(Arc::new(Served { key: Arc::new(key), end_point, names, rank }))
    }
}

impl Described {
    /// As [`Described::read`], of a text that holds the key too and could be given to [`Certificates::put`].
    ///
    /// # Errors
    /// It could not.
    pub fn with_key(file: &Path, pem: &[u8]) -> Result<Described, CertificateError> {
        Served::from_one(file, pem)?;
        Described::read(file, pem)
    }

    /// Reads the first certificate of a PEM text; `file` is for what is said when it is none.
    ///
    /// # Errors
    /// There is none in it.
    pub fn read(file: &Path, pem: &[u8]) -> Result<Described, CertificateError> {
        let leaf =
            CertificateDer::from_pem_slice(pem).map_err(|error| CertificateError::file(file, &error))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf)
            .map_err(|error| CertificateError::file(file, &format!("not a certificate: {error}")))?;
        let key = match parsed.public_key().algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.10045.2.1" => "ecdsa",
            "1.2.840.113549.1.1.1" => "rsa",
            _ => "other",
        };
        Ok(Described {
            names: names(&parsed),
            key,
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            leaf: leaf.to_vec(),
        })
    }
}

fn read_all(pairs: &[Pair]) -> Result<Vec<Arc<Served>>, CertificateError> {
    pairs.iter().map(Served::read).collect()
}

/// Stands in for a real one; nobody trusts it. Its key never leaves this process.
fn self_signed(host: &str) -> Result<Arc<Served>, CertificateError> {
    let failed = |error: &dyn fmt::Display| {
        CertificateError::other(format!("no certificate can be made for {host}: {error}"))
    };
    let key = KeyPair::generate().map_err(|error| failed(&error))?;
    let params = CertificateParams::new([host.to_owned()]).map_err(|error| failed(&error))?;
    let made = params.self_signed(&key).map_err(|error| failed(&error))?;
    let der = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| failed(&error))?;
    let place = Path::new("the certificate that stands in");
    Served::new(made.pem().as_bytes(), place, &der, place)
}

/// Does a name of a certificate, which may be a wildcard, cover this host (lower case)?
fn matches(name: &str, host: &str) -> bool {
    name == host
        || name
            .strip_prefix("*.")
            .is_some_and(|parent| host.split_once('.').is_some_and(|(_, rest)| rest == parent))
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
    Ok((end_point(leaf, &parsed), names(&parsed)))
}

/// The DNS names, lower case.
fn names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(Some(alternatives)) = parsed.subject_alternative_name() {
        for name in &alternatives.value.general_names {
            if let x509_parser::extensions::GeneralName::DNSName(name) = name {
                names.push(name.trim_end_matches('.').to_ascii_lowercase());
            }
        }
    }
    names
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{Authority, KeyKind};

    const ANY: [SignatureScheme; 2] =
        [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256];

    fn pem(authority: &Authority, kind: KeyKind, name: &str) -> Vec<u8> {
        let leaf = authority.server(kind, &[name]).unwrap();
        format!("{}{}", leaf.key_pem, leaf.chain_pem).into_bytes()
    }

    fn names(certificates: &Certificates, name: Option<&str>, schemes: &[SignatureScheme]) -> String {
        let served = certificates.current().choose(name, schemes).unwrap();
        format!("{} {}", served.names.join(" "), served.rank)
    }

    #[test]
    fn certificates_come_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(directory.path()).unwrap();
        let certificates = Certificates::expecting(Vec::new(), "Mail.a.test").unwrap();
        let shown = |name| names(&certificates, name, &ANY);
        // The one that stands in is shown, and covers nothing.
        assert_eq!(shown(None), "mail.a.test 0");
        assert!(!certificates.covers("mail.a.test"));
        let (other, host) = (Path::new("other"), Path::new("host"));
        let put = certificates.put(other, &pem(&authority, KeyKind::Ecdsa, "b.test")).unwrap();
        assert_eq!((put.names, put.key), (vec!["b.test".to_owned()], "ecdsa"));
        assert_eq!((shown(Some("b.test")), shown(None)), ("b.test 0".to_owned(), "mail.a.test 0".to_owned()));
        // The host's own takes its place, also for names that nobody knows.
        certificates.put(host, &pem(&authority, KeyKind::Rsa, "mail.a.test")).unwrap();
        assert!(certificates.covers("mail.a.test") && !certificates.configured("mail.a.test"));
        assert_eq!(shown(Some("x.test")), "mail.a.test 2");
        // A file's successor replaces it; a broken one does not.
        certificates.put(host, &pem(&authority, KeyKind::Ecdsa, "mail.a.test")).unwrap();
        assert_eq!(names(&certificates, None, &ANY[1..]), "mail.a.test 0", "the RSA one is gone");
        certificates.put(host, b"nothing").unwrap_err();
        let foreign = [pem(&authority, KeyKind::Ecdsa, "c.test"), pem(&authority, KeyKind::Ecdsa, "c.test")];
        let mixed = [&foreign[0][..foreign[0].len() / 3], &foreign[1]].concat();
        assert!(certificates.put(host, &mixed).is_err(), "a key that does not belong to it");
        assert_eq!(shown(Some("mail.a.test")), "mail.a.test 0");
        certificates.remove(other);
        assert!(!certificates.covers("b.test"));
    }

    #[test]
    fn what_the_operator_gave_stays_the_default() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(directory.path()).unwrap();
        let leaf = authority.server(KeyKind::Rsa, &["*.a.test"]).unwrap();
        let pair = leaf.write(directory.path(), "given").unwrap();
        let certificates = Certificates::expecting(vec![pair], "mail.b.test").unwrap();
        certificates.put(Path::new("host"), &pem(&authority, KeyKind::Ecdsa, "mail.b.test")).unwrap();
        assert_eq!(names(&certificates, None, &ANY), "*.a.test 2");
        assert!(certificates.configured("mail.a.test") && !certificates.configured("mail.b.test"));
        certificates.reload().unwrap();
        assert!(
            certificates.covers("mail.b.test"),
            "what has come stays when the operator's files are read again"
        );
    }
}
