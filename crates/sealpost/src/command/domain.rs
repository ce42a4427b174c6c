//! `sealpost domain`

use super::{Failure, operate};
use clap::{Args, Subcommand};
use server::control::{PolicyChange, Request};
use std::path::Path;
use std::process::ExitCode;

/// Domains whose mail this service takes.
#[derive(Debug, Subcommand)]
pub enum Domain {
    /// Add a domain
    Add {
        /// Its name, such as example.org
        name: String,
        /// Address that gets mail for unknown local parts
        #[arg(long, value_name = "ADDRESS")]
        catch_all: Option<String>,
        /// Keep CRAM-MD5 verifiers for its accounts and offer the mechanism (for old devices; SCRAM is better)
        #[arg(long)]
        cram_md5: bool,
        /// Treat local parts that differ in letter case as different
        #[arg(long)]
        case_sensitive: bool,
        /// What separates a sub-address (alice+shop@…); "off" turns sub-addresses off
        #[arg(long, default_value = "+", value_parser = separator)]
        separator: Separator,
        /// Change an existing domain to what is said here; CRAM-MD5 verifiers come with each account's next password
        #[arg(long)]
        replace: bool,
    },
    /// Show how a domain's people may connect, or change it
    Policy {
        /// Its name
        name: String,
        #[command(flatten)]
        change: Change,
    },
    /// List domains
    List,
    /// Remove a domain that has no accounts and no aliases
    Remove {
        /// Its name
        name: String,
    },
}

/// What is to change; what is not named stays.
#[derive(Debug, Args)]
pub struct Change {
    /// The least TLS version of a login: 1.2 or 1.3
    #[arg(long, value_name = "VERSION")]
    tls_min: Option<String>,
    /// How its people may prove who they are, such as SCRAM-SHA-256,PLAIN; or all
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    mechanisms: Option<Vec<String>>,
    /// The ports that its people may use, such as 993,465; or all
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    ports: Option<Vec<String>>,
    /// Logins without encryption: never, or as the stage says (staged)
    #[arg(long, value_name = "WORD")]
    clear_login: Option<String>,
    /// Where the domain stands on its way to encryption: observe (logins without are taken and noted) or deny
    #[arg(long, value_name = "WORD")]
    stage: Option<String>,
    /// The host that its people connect to; empty for the service's own
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// What its people know the service as; empty for the service's own
    #[arg(long, value_name = "TEXT")]
    provider: Option<String>,
}

impl From<Change> for PolicyChange {
    fn from(change: Change) -> PolicyChange {
        let Change { tls_min, mechanisms, ports, clear_login, stage, host, provider } = change;
        PolicyChange { tls_min, mechanisms, ports, clear_login, stage, host, provider }
    }
}

/// What separates sub-addresses, if anything.
#[derive(Clone, Copy, Debug)]
pub struct Separator(Option<char>);

fn separator(text: &str) -> Result<Separator, String> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii_punctuation() && c != '@' && c != '.' => Ok(Separator(Some(c))),
        _ if text == "off" => Ok(Separator(None)),
        _ => Err("needs one character such as + or -, or off".to_owned()),
    }
}

impl Domain {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        let request = match self {
            Domain::Add { name, catch_all, cram_md5, case_sensitive, separator, replace } => {
                let separator = separator.0;
                Request::DomainAdd { name, catch_all, cram_md5, case_sensitive, separator, replace }
            }
            Domain::Policy { name, change } => Request::DomainPolicy { name, change: change.into() },
            Domain::List => Request::DomainList,
            Domain::Remove { name } => Request::DomainRemove { name },
        };
        operate::ask(config, &request)
    }
}
