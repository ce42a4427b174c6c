//! `sealpost alias`

use super::{Failure, operate};
use clap::Subcommand;
use server::control::Request;
use std::path::Path;
use std::process::ExitCode;

/// Addresses whose mail goes to others.
#[derive(Debug, Subcommand)]
pub enum Alias {
    /// Add an alias
    Add {
        /// Its address, such as sales@example.org
        address: String,
        /// Where its mail goes
        #[arg(required = true)]
        targets: Vec<String>,
        /// Replace the targets of an existing alias
        #[arg(long)]
        replace: bool,
    },
    /// List aliases
    List {
        /// Only those of this domain
        domain: Option<String>,
    },
    /// Remove an alias
    Remove {
        /// Its address
        address: String,
    },
}

impl Alias {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        let request = match self {
            Alias::Add { address, targets, replace } => Request::AliasAdd { address, targets, replace },
            Alias::List { domain } => Request::AliasList { domain },
            Alias::Remove { address } => Request::AliasRemove { address },
        };
        operate::ask(config, &request)
    }
}
