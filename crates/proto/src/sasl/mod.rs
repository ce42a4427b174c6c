//! SASL (RFC 4422): the mechanisms, both sides of each, one file a mechanism.
//!
//! A server exchange is a value that is stepped: a message of the client goes
//! in, a [`Step`] comes out. What the exchange needs to know (is this password
//! right, which keys does this user have) it asks as a [`Question`]; the answer
//! comes back through [`Server::answer`]. Nonces are arguments. For a user who
//! does not exist the caller answers with keys made up for that name, so that
//! nothing here tells the two cases apart.

//!
//! What must hold: every message is bounded before it is parsed; a comparison
//! with a secret takes the same time wherever the difference lies; a failure
//! does not say whether the user or the password was wrong.
//!
//! Deliberately not here: how a password is kept (Argon2id and the look-up of
//! credentials live above), base64 and the cancelling `*` (each protocol frames
//! SASL in its own way).

pub mod client;
pub mod cram_md5;
pub mod external;
pub mod login;
pub mod plain;
pub mod prep;
pub mod scram;
mod server;

pub use server::Server;

use crate::proof::{Secret, Security, Tls};

/// Octets of a user name at most (a mail address has 254, RFC 5321 4.5.3.1; some room for others).
pub const USER_BYTES_MAX: usize = 320;
/// Octets of a password at most: long enough for any pass phrase, short enough to hash.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The mechanisms that exist here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// RFC 5802 and 7677 with channel binding.
    ScramSha256Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802 with channel binding.
    ScramSha1Plus,
    /// RFC 5802.
    ScramSha1,
    /// RFC 2195.
    CramMd5,
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login.
    Login,
    /// RFC 4422 appendix A: a client certificate.
    External,
}

impl Mechanism {
    /// All, strongest first: the order in which they are offered.
    pub const ALL: [Mechanism; 8] = [
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha256,
        Mechanism::ScramSha1Plus,
        Mechanism::ScramSha1,
        Mechanism::CramMd5,
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::External,
    ];

    /// Registered name, `SCRAM-SHA-256-PLUS`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::CramMd5 => "CRAM-MD5",
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
            Mechanism::External => "EXTERNAL",
        }
    }

    /// The mechanism of that name, in any letter case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|m| m.name().eq_ignore_ascii_case(name))
    }
}

/// What the operator allows.
#[derive(Clone, Debug)]
pub struct Policy {
    /// CRAM-MD5 is offered: some domain keeps verifiers for it.
    pub cram_md5: bool,
    /// Mechanisms that send the password (PLAIN, LOGIN, USER/PASS) are offered inside TLS.
    pub password_sent: bool,
    /// Passwords may be sent in clear. False always, until a migration stage says otherwise.
    pub clear_allowed: bool,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { cram_md5: false, password_sent: true, clear_allowed: false }
    }
}

/// The two hashes of SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScramHash {
    /// SHA-1 (RFC 5802).
    Sha1,
    /// SHA-256 (RFC 7677).
    Sha256,
}

/// One credential's SCRAM keys (RFC 5802 section 3); 20 or 32 bytes each.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// H(ClientKey).
    pub stored: Vec<u8>,
    /// HMAC(SaltedPassword, "Server Key").
    pub server: Vec<u8>,
}

impl std::fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScramKeys(..)")
    }
}

/// What an exchange must be told before it can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is this the user's password? Answer with [`Answer::Verdict`].
    Password {
        /// Who logs in.
        user: String,
        /// What they sent.
        password: Secret,
    },
    /// Answer with [`Answer::Scram`].
    ScramKeys {
        /// Who logs in.
        user: String,
        /// Which hash.
        hash: ScramHash,
    },
    /// Answer with [`Answer::Cram`].
    CramKeys {
        /// Who logs in.
        user: String,
    },
    /// May the holder of the connection's client certificate, which names this
    /// address, act as this identity? Answer with [`Answer::Verdict`].
    Certificate {
        /// One of the certificate's addresses; never empty.
        user: String,
    },
}

/// What the caller knows.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Right or wrong.
    Verdict(bool),
    /// The account's salt and iteration count, one for all its credentials, and
    /// each credential's keys, so that app passwords work with SCRAM too.
    Scram {
        /// Raw salt.
        salt: Vec<u8>,
        /// Iteration count.
        iterations: u32,
        /// Keys of each credential; for an unknown user made up by the caller.
        keys: Vec<ScramKeys>,
    },
    /// Each credential's CRAM-MD5 verifier; empty if there is none.
    Cram(Vec<CramKey>),
    /// The store cannot tell now: ends the exchange with [`Failure::Temporary`].
    Unavailable,
}

/// The exported outer and inner MD5 states of HMAC-MD5 (RFC 2195; the order and
/// form in which Dovecot writes `{CRAM-MD5}`): 32 bytes, enough to check CRAM-MD5
/// and nothing else. Made by [`CramKey::from_password`](cram_md5).
#[derive(Clone, PartialEq, Eq)]
pub struct CramKey(pub [u8; 32]);

impl std::fmt::Debug for CramKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CramKey(..)")
    }
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Wrong password, unknown user, wrong proof: never told apart.
    Credentials,
    /// The client's message breaks the mechanism's syntax.
    Malformed,
    /// gs2 flag `y` although -PLUS was offered, or the binding differs: somebody is in between.
    ChannelBinding,
    /// The client sent `*`.
    Aborted,
    /// The store could not be asked.
    Temporary,
}

/// Where an exchange stands.
#[derive(Clone, Debug)]
pub enum Step {
    /// Send this (the protocol encodes it), then pass the reply to [`Server::receive`].
    Challenge(Vec<u8>),
    /// Ask, then pass the reply to [`Server::answer`].
    Ask(Question),
    /// Done: this identity has proved itself. `last` is a final server message
    /// that must reach the client with or before the success reply (RFC 4422 3.6).
    Success {
        /// Who logged in.
        user: String,
        /// Additional data with success.
        last: Option<Vec<u8>>,
    },
    /// Over, without a login.
    Failure(Failure),
}

/// What to offer on a connection in this state, strongest first.
///
/// Nothing is offered in clear unless the policy says so, not even a mechanism
/// that hides the password: what follows the login would still be readable.
#[must_use]
pub fn offer(policy: &Policy, security: &Security) -> Vec<Mechanism> {
    let tls = security.tls();
    if tls.is_none() && !policy.clear_allowed {
        return Vec::new();
    }
    let binding = tls.is_some_and(has_binding);
    let certificate = tls.is_some_and(|tls| !tls.client_addresses.is_empty());
    let fits = |mechanism: &Mechanism| match mechanism {
        Mechanism::ScramSha256Plus | Mechanism::ScramSha1Plus => binding,
        Mechanism::ScramSha256 | Mechanism::ScramSha1 => true,
        Mechanism::CramMd5 => policy.cram_md5,
        Mechanism::Plain | Mechanism::Login => policy.password_sent,
        Mechanism::External => certificate,
    };
    Mechanism::ALL.into_iter().filter(fits).collect()
}

/// True if a -PLUS mechanism has something to bind to.
fn has_binding(tls: &Tls) -> bool {
    tls.exporter.is_some() || !tls.end_point.is_empty()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::proof::{How, TlsVersion};

    pub(crate) fn encrypted(exporter: Option<[u8; 32]>, addresses: &[&str]) -> Security {
        let tls = Tls {
            version: TlsVersion::Tls13,
            cipher: "TLS_AES_256_GCM_SHA384",
            group: None,
            server_name: None,
            exporter,
            end_point: Vec::new(),
            client_addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
        };
        Security::established(How::Implicit, tls)
    }

    #[test]
    fn names_are_found_in_any_case() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::from_name(&mechanism.name().to_ascii_lowercase()), Some(mechanism));
        }
        assert_eq!(Mechanism::from_name("SCRAM-SHA-256-"), None);
        assert_eq!(Mechanism::from_name(""), None);
    }

    #[test]
    fn clear_offers_nothing_by_default() {
        assert!(offer(&Policy::default(), &Security::clear()).is_empty());
    }

    #[test]
    fn clear_when_allowed_offers_neither_binding_nor_certificate() {
        let policy = Policy { clear_allowed: true, cram_md5: true, password_sent: true };
        assert_eq!(
            offer(&policy, &Security::clear()),
            [
                Mechanism::ScramSha256,
                Mechanism::ScramSha1,
                Mechanism::CramMd5,
                Mechanism::Plain,
                Mechanism::Login
            ]
        );
    }

    #[test]
    fn tls_offers_by_binding_policy_and_certificate() {
        let all = Policy { clear_allowed: false, cram_md5: true, password_sent: true };
        assert_eq!(offer(&all, &encrypted(Some([1; 32]), &["a@example.test"])), Mechanism::ALL);
        let challenge_only = Policy { clear_allowed: false, cram_md5: false, password_sent: false };
        assert_eq!(
            offer(&challenge_only, &encrypted(None, &[])),
            [Mechanism::ScramSha256, Mechanism::ScramSha1]
        );
    }

    #[test]
    fn keys_do_not_print() {
        let keys = ScramKeys { stored: vec![77; 32], server: vec![88; 32] };
        assert_eq!(format!("{keys:?} {:?}", CramKey([99; 32])), "ScramKeys(..) CramKey(..)");
    }
}
