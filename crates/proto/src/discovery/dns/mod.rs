//! The DNS records that a domain should publish, and what the difference to what it does publish means.
//!
//! `records` says what one domain wants, `fewest` the least that one of many customer
//! domains wants; `zone`, `json` and `table` write either; `questions` and `compare`
//! hold it against what resolvers say. Asking them is not here.

mod compare;
mod fewest;
mod policies;
mod records;
mod spf;
mod write;

pub use compare::{Answer, Difference, Fault, Question, compare, further, questions};
pub use fewest::{Fewest, fewest};
pub use records::{SERVICES, Service, records};
pub use write::{json, table, zone};

use std::net::IpAddr;

/// Seconds that records are proposed to be kept by resolvers.
pub const TTL_SECONDS: u32 = 3600;

/// Data of one record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Data {
    /// A host's address.
    Address(IpAddr),
    /// Another name (without final dot).
    Cname(String),
    /// RFC 5321 5; an empty host is the null MX of RFC 7505.
    Mx {
        /// Lower is preferred.
        preference: u16,
        /// Host.
        host: String,
    },
    /// RFC 2782; an empty target says "not offered".
    Srv {
        /// Lower is preferred.
        priority: u16,
        /// Share among equals.
        weight: u16,
        /// Port.
        port: u16,
        /// Host.
        target: String,
    },
    /// Text, joined.
    Txt(String),
    /// RFC 6698: usage, selector, matching, digest.
    Tlsa(u8, u8, u8, Vec<u8>),
    /// RFC 8659: flags, tag, value.
    Caa(u8, String, String),
}

/// What is asked for: the kinds of [`Data`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A and AAAA.
    Address,
    /// CNAME.
    Cname,
    /// MX.
    Mx,
    /// SRV.
    Srv,
    /// TXT.
    Txt,
    /// TLSA.
    Tlsa,
    /// CAA.
    Caa,
}

impl Data {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Data::Address(_) => Kind::Address,
            Data::Cname(_) => Kind::Cname,
            Data::Mx { .. } => Kind::Mx,
            Data::Srv { .. } => Kind::Srv,
            Data::Txt(_) => Kind::Txt,
            Data::Tlsa(..) => Kind::Tlsa,
            Data::Caa(..) => Kind::Caa,
        }
    }

    /// Its type as zone files write it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Data::Address(IpAddr::V4(_)) => "A",
            Data::Address(IpAddr::V6(_)) => "AAAA",
            Data::Cname(_) => "CNAME",
            Data::Mx { .. } => "MX",
            Data::Srv { .. } => "SRV",
            Data::Txt(_) => "TXT",
            Data::Tlsa(..) => "TLSA",
            Data::Caa(..) => "CAA",
        }
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// Absolute name without final dot, lower case: `_imaps._tcp.example.org`.
    pub name: String,
    /// Its data.
    pub data: Data,
}

/// What the records need that is not in the model.
#[derive(Clone, Debug, Default)]
pub struct Means {
    /// Addresses of the service's host.
    pub addresses: Vec<IpAddr>,
    /// DKIM: selector and the record's text.
    pub dkim: Vec<(String, String)>,
    /// Digests (SHA-256) of the public keys of the service's certificates.
    pub key_digests: Vec<[u8; 32]>,
    /// Those of the keys that the next certificates will have.
    pub next_key_digests: Vec<[u8; 32]>,
    /// The authority of the certificates.
    pub ca: Option<Issuer>,
    /// The address to which reports on forged mail go (DMARC).
    pub dmarc_reports: Option<String>,
    /// The address to which reports on encryption go (TLS-RPT).
    pub tls_reports: Option<String>,
    /// Id of the MTA-STS policy; `None` where no policy is served.
    pub mta_sts_id: Option<String>,
}

/// An authority, as CAA names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// `letsencrypt.org`.
    pub name: String,
    /// The URI of our ACME account there (RFC 8657 3).
    pub account: Option<String>,
    /// How it verifies names (RFC 8657 4): `http-01`; none where that is not restricted.
    pub methods: Vec<String>,
}

impl Issuer {
    /// The value of the record (RFC 8659 4.2).
    #[must_use]
    pub fn value(&self) -> String {
        let mut value = self.name.clone();
        if let Some(account) = &self.account {
            value.push_str("; accounturi=");
            value.push_str(account);
        }
        if !self.methods.is_empty() {
            value.push_str("; validationmethods=");
            value.push_str(&self.methods.join(","));
        }
        value
    }
}

/// Why a record should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Mail does not work without it.
    Needed,
    /// Clients or receivers do better with it.
    Advised,
}

/// A record that is wanted, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The record.
    pub record: Record,
    /// How much it matters.
    pub weight: Weight,
    /// What it is for, a sentence.
    pub why: &'static str,
}
