//! The operator's commands, one path for a running and a stopped service.
//!
//! `sealpost account add` and its like talk in [`frame`]s to an [`operator`]:
//! over the running service's Unix socket, or, when none runs, over a pipe
//! within the process to an operator that opened the store itself.

pub mod certificates;
mod dns;
pub mod frame;
pub mod guide;
pub mod operator;
mod rules;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// The socket's file name within the data directory.
pub const SOCKET: &str = "control";

/// A password on its way to the operator's side; not printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// What the operator asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// Adds a domain.
    DomainAdd {
        /// Name.
        name: String,
        /// Address that gets mail for unknown local parts.
        catch_all: Option<String>,
        /// Keep CRAM-MD5 verifiers and offer the mechanism.
        cram_md5: bool,
        /// Local parts differ by letter case.
        case_sensitive: bool,
        /// `None` turns sub-addresses off.
        separator: Option<char>,
        /// Change an existing domain to this.
        replace: bool,
    },
    /// Shows a domain's rules about connecting, after changing some of them.
    DomainPolicy {
        /// Which.
        name: String,
        /// What to change.
        change: PolicyChange,
    },
    /// Sets, removes or shows what an account may do beyond its domain's rules.
    AccountException {
        /// Which.
        address: String,
        /// What to do.
        change: ExceptionChange,
    },
    /// Lists domains.
    DomainList,
    /// Removes an empty domain.
    DomainRemove {
        /// Name.
        name: String,
    },
    /// Adds an account.
    AccountAdd {
        /// Main address.
        address: String,
        /// The person's name.
        name: String,
        /// Its password.
        password: Password,
        /// Octets at most.
        quota_bytes: Option<u64>,
        /// Messages at most.
        quota_messages: Option<u64>,
        /// Tag of the language in which its special mailboxes are named; English without.
        #[serde(default)]
        language: Option<String>,
    },
    /// Lists accounts.
    AccountList {
        /// Of one domain.
        domain: Option<String>,
    },
    /// Sets an account's password; its app passwords stay.
    AccountPassword {
        /// Which.
        address: String,
        /// New password.
        password: Password,
    },
    /// Forbids or allows logins.
    AccountEnable {
        /// Which.
        address: String,
        /// Allowed?
        enabled: bool,
    },
    /// Removes an account with its mail.
    AccountRemove {
        /// Which.
        address: String,
    },
    /// Adds or replaces an alias.
    AliasAdd {
        /// Address.
        address: String,
        /// Where its mail goes.
        targets: Vec<String>,
        /// Replace an existing one.
        replace: bool,
    },
    /// Lists aliases.
    AliasList {
        /// Of one domain.
        domain: Option<String>,
    },
    /// Removes an alias.
    AliasRemove {
        /// Address.
        address: String,
    },
    /// Writes the DNS records that a domain should have; keys for its signatures are made at first need.
    DnsRecords {
        /// Of which domain.
        domain: String,
        /// How they are written.
        format: DnsFormat,
        /// It is one of many customers': the fewest records.
        hoster: bool,
    },
    /// Asks DNS for these records.
    DnsCheck {
        /// Of which domain.
        domain: String,
        /// It is one of many customers'.
        hoster: bool,
        /// This server instead of the system's resolver.
        resolver: Option<SocketAddr>,
    },
    /// The guide with the rules of a domain.
    Guide(guide::Asked),
    /// What is wrong with the rules of the domains, and the names that no certificate covers.
    Flaws,
    /// Lists the certificates, and the names that have none.
    CertificateList,
    /// Orders certificates anew before their time.
    CertificateRenew {
        /// For which name; `None`: all that were ordered.
        name: Option<String>,
        /// With a new key, also where keys stay: its records are told first, and it is used when they can be in DNS.
        new_key: bool,
        /// With the new key at once.
        now: bool,
    },
    /// Checks the store.
    Check,
    /// Takes messages: [`Item`]s follow, each with its octets, until an end.
    Import {
        /// Into which account.
        address: String,
    },
}

/// How DNS records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DnsFormat {
    /// A zone file.
    Zone,
    /// For programs.
    Json,
    /// For people.
    Table,
}

/// What DNS says differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsDifference {
    /// At which name.
    pub name: String,
    /// Mail does not work without the record.
    pub needed: bool,
    /// There was no answer.
    pub unknown: bool,
    /// What is so.
    pub text: String,
    /// Who must do what.
    pub remedy: String,
}

/// Rules of a domain that are to change, in the words of the command line; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChange {
    /// `1.2` or `1.3`.
    pub tls_min: Option<String>,
    /// Names of mechanisms, or `all` alone.
    pub mechanisms: Option<Vec<String>>,
    /// Ports, or `all` alone.
    pub ports: Option<Vec<String>>,
    /// `never` or `staged`.
    pub clear_login: Option<String>,
    /// `observe` or `deny`.
    pub stage: Option<String>,
    /// The host that clients connect to; empty for the service's own.
    pub host: Option<String>,
    /// Name of the service for people; empty for the service's own.
    pub provider: Option<String>,
}

/// What to do with an account's exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum ExceptionChange {
    /// Nothing: show it.
    Show,
    /// There is none any more.
    Remove,
    /// It is this.
    Set {
        /// The day from which on it does not hold, `2027-03-01`.
        until: String,
        /// Why.
        reason: String,
        /// Ports beside the domain's.
        ports: Vec<u16>,
        /// Mechanisms beside the domain's.
        mechanisms: Vec<String>,
        /// A login in clear is allowed.
        clear: bool,
    },
}

/// One message of an import.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Item {
    /// Mailbox name.
    pub mailbox: String,
    /// System flags as `store::account::Flags` bits.
    pub flags: u64,
    /// Internal date, Unix seconds; `None` takes the time of the import.
    pub received: Option<i64>,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Response {
    /// It is done; a sentence.
    Done {
        /// For a person.
        text: String,
    },
    /// Rows under headings.
    Table {
        /// Headings.
        columns: Vec<String>,
        /// Cells.
        rows: Vec<Vec<String>>,
    },
    /// Sentences, one for each thing that is wrong.
    Flaws {
        /// None says that nothing is.
        sentences: Vec<String>,
    },
    /// Not the last response: how far it is.
    Progress {
        /// Steps done.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// The result of `check`.
    Checked {
        /// Accounts looked at.
        accounts: u64,
        /// Messages looked at.
        messages: u64,
        /// Bodies read.
        bodies: u64,
        /// Faults; none means consistent.
        faults: Vec<String>,
        /// Harmless remarks.
        remarks: Vec<String>,
    },
    /// The result of a look into DNS.
    DnsChecked {
        /// Records that should be there.
        records: usize,
        /// Those that are not, or are others.
        differences: Vec<DnsDifference>,
    },
    /// It was refused.
    Refused {
        /// Why, and what to do.
        text: String,
    },
}
