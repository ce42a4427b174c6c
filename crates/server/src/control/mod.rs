//! The operator's commands, one path for a running and a stopped service.
//!
//! `sealpost account add` and its like talk in [`frame`]s to an [`operator`]:
//! over the running service's Unix socket, or, when none runs, over a pipe
//! within the process to an operator that opened the store itself.

pub mod frame;
pub mod operator;

use serde::{Deserialize, Serialize};
use std::fmt;

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
    /// Checks the store.
    Check,
    /// Takes messages: [`Item`]s follow, each with its octets, until an end.
    Import {
        /// Into which account.
        address: String,
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
    /// It was refused.
    Refused {
        /// Why, and what to do.
        text: String,
    },
}
