//! Values that prove something because they are made in one place only.
//!
//! [`Tls`] is made by `net::tls` after a handshake, [`Authenticated`] by
//! `server::auth` after a credential was checked. What opens a mailbox asks for
//! an `Authenticated`; what accepts a password asks for a [`Security`]. A test
//! of house rules looks for other places that make them.

use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Names an account for good; addresses may change, ids do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u64);

/// TLS protocol versions that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl TlsVersion {
    /// As written in `Received` fields and logs: `TLSv1.3`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TlsVersion::Tls12 => "TLSv1.2",
            TlsVersion::Tls13 => "TLSv1.3",
        }
    }

    /// The version of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<TlsVersion> {
        [TlsVersion::Tls12, TlsVersion::Tls13].into_iter().find(|version| version.name() == name)
    }
}

/// How a connection came to be as it is (terms of RFC 8314).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// No TLS (yet).
    Clear,
    /// Upgraded by STARTTLS or STLS.
    StartTls,
    /// TLS from the first byte.
    Implicit,
    /// TLS from the first byte on an either-way listener whose port usually begins in clear.
    EitherWay,
    /// Upgraded by STARTTLS or STLS on an either-way listener whose port usually begins with TLS.
    EitherWayUpgraded,
}

impl How {
    /// The word used in facts and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            How::Clear => "clear",
            How::StartTls => "starttls",
            How::Implicit => "implicit",
            How::EitherWay | How::EitherWayUpgraded => "either-way",
        }
    }

    /// True behind an upgrade: the server has greeted in clear already, and the client speaks first (RFC 3207 4.2).
    #[must_use]
    pub fn upgraded(self) -> bool {
        matches!(self, How::StartTls | How::EitherWayUpgraded)
    }
}

/// What a finished handshake established.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Negotiated version.
    pub version: TlsVersion,
    /// IANA name of the suite, `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// Key exchange group, `X25519MLKEM768`, if the library tells.
    pub group: Option<&'static str>,
    /// Server name that the client asked for, lower case, without trailing dot.
    pub server_name: Option<String>,
    /// Channel binding `tls-exporter` (RFC 9266), 32 bytes; `None` under TLS 1.2 without extended master secret.
    pub exporter: Option<[u8; 32]>,
    /// Channel binding `tls-server-end-point` (RFC 5929): digest of our certificate.
    pub end_point: Vec<u8>,
    /// Mail addresses (SAN rfc822Name) of a client certificate that our settings trust.
    pub client_addresses: Vec<String>,
}

/// The state of protection of a connection.
#[derive(Clone, Debug)]
pub struct Security {
    how: How,
    tls: Option<Arc<Tls>>,
}

impl Security {
    /// A connection without TLS.
    #[must_use]
    pub fn clear() -> Security {
        Security { how: How::Clear, tls: None }
    }

    /// Only for `net::tls`, after a completed handshake, and for tests.
    #[must_use]
    pub fn established(how: How, tls: Tls) -> Security {
        Security { how, tls: Some(Arc::new(tls)) }
    }

    /// How the connection is protected.
    #[must_use]
    pub fn how(&self) -> How {
        self.how
    }

    /// The handshake's results; `None` in clear.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_deref()
    }

    /// True if everything on the connection is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }
}

/// A password or key: never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(Zeroizing::new(bytes.into()))
    }

    /// The bytes, for the one place that checks them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// An account whose credential was checked on this connection.
#[derive(Clone, Debug)]
pub struct Authenticated {
    account: AccountId,
    address: String,
    mechanism: &'static str,
}

impl Authenticated {
    /// Only for `server::auth`, after a credential was checked, and for tests.
    #[must_use]
    pub fn checked(account: AccountId, address: String, mechanism: &'static str) -> Authenticated {
        Authenticated { account, address, mechanism }
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Its main address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// SASL mechanism name, `USER` for passwords without SASL, or `Basic` for those of HTTP.
    #[must_use]
    pub fn mechanism(&self) -> &'static str {
        self.mechanism
    }
}
