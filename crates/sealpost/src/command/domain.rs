//! `sealpost domain`

use super::{Failure, operate};
use clap::Subcommand;
use server::control::Request;
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
    /// List domains
    List,
    /// Remove a domain that has no accounts and no aliases
    Remove {
        /// Its name
        name: String,
    },
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
            Domain::List => Request::DomainList,
            Domain::Remove { name } => Request::DomainRemove { name },
        };
        operate::ask(config, &request)
    }
}
