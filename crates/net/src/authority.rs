//! A small certificate authority of our own, for the demo and for tests.
//!
//! What must hold: its key is made once and kept in a directory that only the owner
//! reads; the same directory gives the same authority again. Nothing
//! here is meant for a public service: those get their certificates by ACME.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Days that a leaf is valid: what Apple's systems accept of any authority is 825, of public ones 398.
const LEAF_DAYS: u64 = 397;
const AUTHORITY_DAYS: u64 = 3650;

/// An authority with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    certificate_file: PathBuf,
}

/// The key of a leaf certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256: what is served first.
    Ecdsa,
    /// RSA with 2048 bits, for old clients.
    Rsa,
}

/// A certificate and its key as PEM text. The key does not print.
#[derive(Clone)]
pub struct Leaf {
    /// The chain: the leaf alone, as clients hold the authority.
    pub chain_pem: String,
    /// The private key, PKCS#8.
    pub key_pem: String,
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaf").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("certificate_file", &self.certificate_file).finish_non_exhaustive()
    }
}

impl Authority {
    /// The authority kept in `directory` (`ca.pem`, `ca.key`), made there if there is none.
    ///
    /// # Errors
    /// The directory cannot be written or holds something else.
    pub fn open(directory: &Path) -> io::Result<Authority> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let (certificate_file, key_file) = (directory.join("ca.pem"), directory.join("ca.key"));
        let key = match fs::read_to_string(&key_file) {
            Ok(pem) => KeyPair::from_pem(&pem).map_err(|error| broken(&key_file, &error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = KeyPair::generate().map_err(|error| broken(&key_file, &error))?;
                write_private(&key_file, &key.serialize_pem())?;
                key
            }
            Err(error) => return Err(error),
        };
        let params = authority_params(&key);
        let certificate_pem = match fs::read_to_string(&certificate_file) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = params.self_signed(&key).map_err(|error| broken(&certificate_file, &error))?;
                write_private(&certificate_file, &made.pem())?;
                made.pem()
            }
            Err(error) => return Err(error),
        };
        Ok(Authority { issuer: Issuer::new(params, key), certificate_pem, certificate_file })
    }

    /// The authority's certificate, for clients to trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The file that holds it.
    #[must_use]
    pub fn certificate_file(&self) -> &Path {
        &self.certificate_file
    }

    /// A server certificate for `hosts`: names, wildcards and addresses.
    ///
    /// # Errors
    /// A host is neither a name nor an address.
    pub fn server(&self, kind: KeyKind, hosts: &[&str]) -> io::Result<Leaf> {
        let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(names).map_err(invalid)?;
        params.distinguished_name.push(DnType::CommonName, hosts.first().copied().unwrap_or("server"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.leaf(kind, params)
    }

    /// A client certificate for mail addresses.
    ///
    /// # Errors
    /// An address is not ASCII.
    pub fn client(&self, addresses: &[&str]) -> io::Result<Leaf> {
        let mut params = CertificateParams::default();
        for address in addresses {
            let name = (*address).try_into().map_err(invalid)?;
            params.subject_alt_names.push(SanType::Rfc822Name(name));
        }
        params.distinguished_name.push(DnType::CommonName, addresses.first().copied().unwrap_or("client"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.leaf(KeyKind::Ecdsa, params)
    }

    fn leaf(&self, kind: KeyKind, mut params: CertificateParams) -> io::Result<Leaf> {
        let key = match kind {
            KeyKind::Ecdsa => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyKind::Rsa => KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256),
        }
        .map_err(invalid)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        valid_for(&mut params, LEAF_DAYS);
        let made = params.signed_by(&key, &self.issuer).map_err(invalid)?;
        Ok(Leaf { chain_pem: made.pem(), key_pem: key.serialize_pem() })
    }
}

impl Leaf {
    /// Writes `name.pem` and `name.key` into `directory`, readable by the owner only.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn write(&self, directory: &Path, name: &str) -> io::Result<crate::tls::Pair> {
        let pair = crate::tls::Pair {
            chain: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        };
        write_private(&pair.key, &self.key_pem)?;
        write_private(&pair.chain, &self.chain_pem)?;
        Ok(pair)
    }
}

/// Everything in the authority's certificate follows from its key, so that the
/// issuer can be made again without reading the certificate.
fn authority_params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let id = params.key_identifier(key);
    let id: String = id.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Sealpost");
    params.distinguished_name.push(DnType::CommonName, format!("Sealpost local authority {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, AUTHORITY_DAYS);
    params
}

/// From yesterday, for clocks that are behind, for `days` from today.
fn valid_for(params: &mut CertificateParams, days: u64) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let today = seconds / 86_400;
    let date = |day: u64| {
        let (year, month, day) = civil(day);
        rcgen::date_time_ymd(year, month, day)
    };
    params.not_before = date(today.saturating_sub(1));
    params.not_after = date(today + days);
}

/// Year, month and day of a day since 1970 in the Gregorian calendar.
fn civil(days: u64) -> (i32, u8, u8) {
    let (mut year, mut left) = (1970, days);
    let leap = |year: i32| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
        if left < length {
            return (year, month, u8::try_from(left + 1).unwrap_or(1));
        }
        left -= length;
    }
    (year, 12, 31)
}

/// Replaces the file in one step, so that a reader never sees a half.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn broken(path: &Path, error: &rcgen::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
}

fn invalid(error: rcgen::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_calendar_is_gregorian() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_453), (2025, 12, 31));
        assert_eq!(civil(47_540), (2100, 2, 28));
        assert_eq!(civil(47_541), (2100, 3, 1));
    }

    #[test]
    fn the_same_directory_gives_the_same_authority() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("ca");
        let first = Authority::open(&inner).unwrap();
        let second = Authority::open(&inner).unwrap();
        assert_eq!(first.certificate_pem(), second.certificate_pem());
        let mode = fs::metadata(inner.join("ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // A leaf of the reopened authority names the first one's key and subject.
        let leaf = second.server(KeyKind::Rsa, &["mail.example.test", "127.0.0.1"]).unwrap();
        let (_, leaf) = x509_parser::pem::parse_x509_pem(leaf.chain_pem.as_bytes()).unwrap();
        let (_, ca) = x509_parser::pem::parse_x509_pem(first.certificate_pem().as_bytes()).unwrap();
        assert_eq!(leaf.parse_x509().unwrap().issuer(), ca.parse_x509().unwrap().subject());
    }

    #[test]
    fn a_foreign_key_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.key"), "not a key").unwrap();
        let error = Authority::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains("ca.key"), "{error}");
    }
}
