//! Our certificates: read from PEM files, chosen by what the client asks for,
//! read again when the files change; and those that come and go while the service runs.
//!
//! What must hold: a connection always finds a certificate (an unknown or missing
//! server name gets the default one: the first pair's, else the service's host's, else a self-signed
//! one that stands in until a real one comes); a broken new file keeps the
//! old certificate and is reported once; choosing
//! takes one read lock, held for the copy of a pointer; no staple is shown past its time.

use super::described::{self, Described, Fingerprint, described, fingerprint};
use crate::ocsp::Staple;
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, mpsc, watch};

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
    changed: Notify,
}

/// What the sets are made of.
#[derive(Debug, Default)]
struct Known {
    /// The operator's pairs, in their order.
    fixed: Vec<Arc<Served>>,
    /// By the file that keeps each.
    coming: BTreeMap<PathBuf, Arc<Served>>,
    /// For those that are served.
    staples: HashMap<Fingerprint, Staple>,
}

/// One certificate as it is served.
#[derive(Debug)]
pub(super) struct Served {
    key: Arc<CertifiedKey>,
    /// `tls-server-end-point` (RFC 5929 4.1).
    pub(super) end_point: Vec<u8>,
    fingerprint: Fingerprint,
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
    /// With their staple, those that have one.
    stapled: HashMap<Fingerprint, Stapled>,
}

/// A certificate with its staple.
#[derive(Debug)]
struct Stapled {
    key: Arc<CertifiedKey>,
    /// Unix seconds.
    until: u64,
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
        let known = Known { fixed: read_all(&pairs)?, ..Known::default() };
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
            changed: Notify::new(),
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
        self.rebuild(change);
        self.changed.notify_one();
    }

    fn rebuild(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
        let served: HashSet<Fingerprint> = known.all().map(|served| served.fingerprint).collect();
        known.staples.retain(|fingerprint, _| served.contains(fingerprint));
        let set = Arc::new(Set::of(&known, &self.host, self.stand_in.as_ref()));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = set;
    }

    /// Those that are served, each once. What stands in for a real one is not among them.
    #[must_use]
    pub fn served(&self) -> HashMap<Fingerprint, Arc<CertifiedKey>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.all().map(|served| (served.fingerprint, served.key.clone())).collect()
    }

    /// From now on, and until it is out of date, each staple is shown with its certificate to clients that ask for one.
    pub fn staple(&self, staples: impl IntoIterator<Item = (Fingerprint, Staple)>) {
        self.rebuild(|known| known.staples.extend(staples));
    }

    /// This certificate's staple is not shown any more: it says what is not so.
    pub fn unstaple(&self, fingerprint: &Fingerprint) {
        self.rebuild(|known| {
            known.staples.remove(fingerprint);
        });
    }

    /// Returns when certificates came, went or were read again since the last time. For one listener.
    pub async fn changed(&self) {
        self.changed.notified().await;
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
        let key = current.shown(&served, UnixTime::now().as_secs());
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

impl Known {
    fn all(&self) -> impl Iterator<Item = &Arc<Served>> {
        self.fixed.iter().chain(self.coming.values())
    }
}

impl Set {
    fn of(known: &Known, host: &str, stand_in: Option<&Arc<Served>>) -> Set {
        let mut all: Vec<Arc<Served>> = known.all().cloned().collect();
        // Stable: within a rank, the order of the settings, and the operator's own first.
        all.sort_by_key(|served| served.rank);
        let mut by_name: HashMap<String, Vec<Arc<Served>>> = HashMap::new();
        for served in &all {
            for name in &served.names {
                by_name.entry(name.clone()).or_default().push(served.clone());
            }
        }
        let stapled = all.iter().filter_map(|served| {
            let staple = known.staples.get(&served.fingerprint)?;
            let key = CertifiedKey { ocsp: Some(staple.der.clone()), ..(*served.key).clone() };
            // A time before 1970 has passed.
            let until = u64::try_from(staple.next_update).unwrap_or(0);
            Some((served.fingerprint, Stapled { key: Arc::new(key), until }))
        });
        let stapled = stapled.collect();
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
        Set { by_name, default, stapled }
    }

    /// With its staple, as long as that holds.
    fn shown(&self, served: &Served, now: u64) -> Arc<CertifiedKey> {
        match self.stapled.get(&served.fingerprint) {
            Some(stapled) if now < stapled.until => stapled.key.clone(),
            _ => served.key.clone(),
        }
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
        let chain = described::chain(chain_path, chain)?;
        // It is not empty.
        let leaf = &chain[0];
        let (end_point, names) = described(leaf, chain_path)?;
        let fingerprint = fingerprint(leaf);
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
        Ok(Arc::new(Served { key: Arc::new(key), end_point, fingerprint, names, rank }))
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
    fn a_staple_is_shown_with_its_certificate_until_its_time() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(directory.path()).unwrap();
        let certificates = Certificates::expecting(Vec::new(), "mail.a.test").unwrap();
        assert!(certificates.served().is_empty(), "what stands in has no responder");
        let file = Path::new("a");
        let first = pem(&authority, KeyKind::Ecdsa, "a.test");
        certificates.put(file, &first).unwrap();
        let served: Vec<Fingerprint> = certificates.served().into_keys().collect();
        let staple = Staple { der: b"staple".to_vec(), this_update: 0, next_update: 1000 };
        certificates.staple([(served[0], staple)]);
        let shown = |now| {
            let set = certificates.current();
            set.shown(&set.choose(Some("a.test"), &ANY).unwrap(), now).ocsp.clone()
        };
        assert_eq!((shown(999), shown(1000)), (Some(b"staple".to_vec()), None));
        // The same certificate read again keeps it, another one does not get it.
        certificates.put(file, &first).unwrap();
        assert_eq!(shown(999), Some(b"staple".to_vec()));
        certificates.put(file, &pem(&authority, KeyKind::Ecdsa, "a.test")).unwrap();
        assert_eq!(shown(999), None);
        certificates.put(file, &first).unwrap();
        assert_eq!(shown(999), None, "what is not served is forgotten");
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
