//! From a password to a credential, and the check of one.
//!
//! A credential holds Argon2id (for passwords that are sent) and SCRAM keys (for
//! those that are not); a CRAM-MD5 verifier only where the domain asks for it.
//! All functions here are slow on purpose: call them where blocking is allowed.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use proto::proof::Secret;
use proto::sasl::{CramKey, ScramHash, ScramKeys, prep};
use std::fmt;
use store::system::directory::{Credential, CredentialKind, Credentials};
use subtle::ConstantTimeEq;

/// Octets of salt, for Argon2id and for SCRAM alike.
const SALT_BYTES: usize = 16;

/// Rounds of PBKDF2 at least (RFC 7677 section 4); clients refuse less.
pub const SCRAM_ITERATIONS_MIN: u32 = 4096;

/// How much work a password costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory of one Argon2id hash, KiB.
    pub argon2_memory_kib: u32,
    /// Passes over that memory.
    pub argon2_passes: u32,
    /// Lanes.
    pub argon2_lanes: u32,
    /// Rounds of PBKDF2 for SCRAM, SHA-1 and SHA-256 alike (an account has one
    /// count for both). RFC 7677 section 4 wants 4096 at least; each login makes
    /// the client's device work through them, so it is no place for millions.
    pub scram_iterations: u32,
}

impl Default for Cost {
    /// Argon2id as OWASP's password storage cheat sheet has it: 19 MiB, two passes, one lane.
    fn default() -> Cost {
        Cost { argon2_memory_kib: 19 << 10, argon2_passes: 2, argon2_lanes: 1, scram_iterations: 10_000 }
    }
}

/// Why no credential could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The password is empty or has more than 1024 octets.
    Length,
    /// The cost in the settings is none that Argon2id knows, or too few iterations.
    Cost,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Length => "the password must have 1 to 1024 octets, and no control characters",
            Refused::Cost => {
                "the cost of passwords in the settings ([password]) is not possible for Argon2id or SCRAM"
            }
        })
    }
}

impl std::error::Error for Refused {}

/// What is wanted beside the password.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Main or app password.
    pub kind: CredentialKind,
    /// The domain keeps CRAM-MD5 verifiers.
    pub cram_md5: bool,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds.
    pub expires: Option<i64>,
}

/// The first credentials of an account.
pub fn new(password: &Secret, wanted: &Wanted, cost: &Cost) -> Result<Credentials, Refused> {
    let mut credentials = Credentials {
        salt: rand::random::<[u8; SALT_BYTES]>().to_vec(),
        iterations: cost.scram_iterations,
        generation: 0,
        list: Vec::new(),
    };
    add(&mut credentials, password, wanted, cost)?;
    Ok(credentials)
}

/// Adds a credential. A main password takes the place of the one before; the
/// generation rises, so that nothing remembered of the old one counts any more.
///
/// Salt and iterations stay: the other credentials' keys were derived with them.
pub fn add(
    credentials: &mut Credentials,
    password: &Secret,
    wanted: &Wanted,
    cost: &Cost,
) -> Result<(), Refused> {
    let id =
        credentials.list.iter().map(|credential| credential.id).max().map_or(1, |id| id.saturating_add(1));
    let made = make(id, password, wanted, &credentials.salt, credentials.iterations, cost)?;
    if wanted.kind == CredentialKind::Main {
        credentials.list.retain(|credential| credential.kind != CredentialKind::Main);
        credentials.list.insert(0, made);
    } else {
        credentials.list.push(made);
    }
    credentials.generation = credentials.generation.wrapping_add(1);
    Ok(())
}

fn make(
    id: u32,
    password: &Secret,
    wanted: &Wanted,
    salt: &[u8],
    iterations: u32,
    cost: &Cost,
) -> Result<Credential, Refused> {
    let prepared = prep::password(password.expose()).ok_or(Refused::Length)?;
    let scram = |hash| ScramKeys::derive(hash, &prepared, salt, iterations).ok_or(Refused::Length);
    Ok(Credential {
        id,
        kind: wanted.kind.clone(),
        argon2: hash(&prepared, cost)?,
        scram_sha1: scram(ScramHash::Sha1)?,
        scram_sha256: scram(ScramHash::Sha256)?,
        cram_md5: if wanted.cram_md5 { CramKey::from_password(&prepared) } else { None },
        created: wanted.created,
        expires: wanted.expires,
    })
}

/// Argon2id in PHC form, with a salt of its own.
pub(super) fn hash(prepared: &Secret, cost: &Cost) -> Result<String, Refused> {
    if cost.scram_iterations < SCRAM_ITERATIONS_MIN {
        return Err(Refused::Cost);
    }
    let params = Params::new(cost.argon2_memory_kib, cost.argon2_passes, cost.argon2_lanes, None)
        .map_err(|_| Refused::Cost)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(prepared.expose(), &rand::random::<[u8; SALT_BYTES]>())
        .map(|hash| hash.to_string())
        .map_err(|_| Refused::Cost)
}

/// What [`check`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Right {
    /// When the credential that fits expires, Unix seconds.
    pub(super) expires: Option<i64>,
}

/// Does the password fit one of the credentials that are valid at `now`?
///
/// The SCRAM keys share one salt, so one derivation tells which credential is
/// meant; that one is then checked with Argon2id. Where none is meant `decoy`, an
/// Argon2id hash of nobody's password, is checked instead: right or wrong, one
/// app password or nine, account or none, the work is the same.
pub(super) fn check(credentials: &Credentials, password: &Secret, decoy: &str, now: i64) -> Option<Right> {
    let password = prep::password(password.expose())?;
    let keys = ScramKeys::derive(ScramHash::Sha256, &password, &credentials.salt, credentials.iterations)?;
    let mut meant = None;
    for credential in credentials.list.iter().filter(|credential| valid(credential, now)) {
        if bool::from(credential.scram_sha256.stored.ct_eq(&keys.stored)) {
            meant = Some(credential);
        }
    }
    let hash = meant.map_or(decoy, |credential| &credential.argon2);
    let fits = PasswordVerifier::<str>::verify_password(&Argon2::default(), password.expose(), hash).is_ok();
    meant.filter(|_| fits).map(|credential| Right { expires: credential.expires })
}

/// Not expired.
pub(super) fn valid(credential: &Credential, now: i64) -> bool {
    credential.expires.is_none_or(|expires| now < expires)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const CHEAP: Cost = Cost {
        argon2_memory_kib: 8,
        argon2_passes: 1,
        argon2_lanes: 1,
        scram_iterations: SCRAM_ITERATIONS_MIN,
    };

    pub(crate) fn main(cram_md5: bool) -> Wanted {
        Wanted { kind: CredentialKind::Main, cram_md5, created: 1, expires: None }
    }

    pub(crate) fn app(name: &str, expires: Option<i64>) -> Wanted {
        Wanted { kind: CredentialKind::App(name.to_owned()), cram_md5: false, created: 2, expires }
    }

    fn fits(credentials: &Credentials, password: &str, now: i64) -> bool {
        let decoy = hash(&Secret::new("decoy"), &CHEAP).unwrap();
        check(credentials, &Secret::new(password), &decoy, now).is_some()
    }

    #[test]
    fn main_and_app_passwords() {
        let mut credentials = new(&Secret::new("main one"), &main(false), &CHEAP).unwrap();
        add(&mut credentials, &Secret::new("phone"), &app("phone", None), &CHEAP).unwrap();
        add(&mut credentials, &Secret::new("guest"), &app("guest", Some(100)), &CHEAP).unwrap();
        assert!(fits(&credentials, "main one", 0));
        assert!(fits(&credentials, "phone", 0));
        assert!(fits(&credentials, "guest", 99));
        assert!(!fits(&credentials, "guest", 100), "expired");
        assert!(!fits(&credentials, "decoy", 0), "nobody's password");
        assert!(!fits(&credentials, "", 0));
    }

    #[test]
    fn a_new_main_password_takes_the_place_of_the_old() {
        let mut credentials = new(&Secret::new("old"), &main(true), &CHEAP).unwrap();
        add(&mut credentials, &Secret::new("phone"), &app("phone", None), &CHEAP).unwrap();
        let (salt, generation) = (credentials.salt.clone(), credentials.generation);
        assert!(credentials.list[0].cram_md5.is_some());
        add(&mut credentials, &Secret::new("new"), &main(false), &CHEAP).unwrap();
        assert_eq!(credentials.list.iter().map(|c| c.id).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(credentials.list[0].cram_md5, None);
        assert_eq!(credentials.salt, salt);
        assert!(credentials.generation > generation);
        assert!(!fits(&credentials, "old", 0));
        assert!(fits(&credentials, "new", 0) && fits(&credentials, "phone", 0));
    }

    #[test]
    fn unicode_forms_are_one_password() {
        let credentials = new(&Secret::new("p\u{e4}ss"), &main(false), &CHEAP).unwrap();
        assert!(fits(&credentials, "pa\u{308}ss", 0));
    }

    #[test]
    fn what_cannot_be_a_password_is_refused() {
        assert_eq!(new(&Secret::new(""), &main(false), &CHEAP).unwrap_err(), Refused::Length);
        assert_eq!(new(&Secret::new("x".repeat(1025)), &main(false), &CHEAP).unwrap_err(), Refused::Length);
        let cost = Cost { argon2_passes: 0, ..CHEAP };
        assert_eq!(new(&Secret::new("x"), &main(false), &cost).unwrap_err(), Refused::Cost);
        let cost = Cost { scram_iterations: 4095, ..CHEAP };
        assert_eq!(new(&Secret::new("x"), &main(false), &cost).unwrap_err(), Refused::Cost);
    }
}
