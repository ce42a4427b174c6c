//! The command line: one file a subcommand.

mod account;
mod alias;
mod certificate;
mod check;
mod demo;
mod dns;
mod doctor;
mod domain;
mod guide;
mod import;
mod operate;
mod serve;
mod show;

use clap::{Parser, Subcommand};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A mail service that makes encrypted connections the only kind.
#[derive(Debug, Parser)]
#[command(name = "sealpost", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "First steps:
  sealpost demo                             a whole service on this machine, to try things out
  sealpost settings --example > sealpost.toml   a settings file with every key explained
  sealpost domain add example.org
  sealpost account add alice@example.org
  sealpost serve

The commands for domains, accounts, aliases, import and check work while the service runs
and while it does not. Settings are read from --config, $SEALPOST_CONFIG, ./sealpost.toml or
/etc/sealpost/sealpost.toml, whichever comes first.")]
pub struct Arguments {
    /// Settings file
    #[arg(long, global = true, value_name = "FILE", env = "SEALPOST_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until it is told to stop (Ctrl-C or SIGTERM)
    Serve(serve::Serve),
    /// Run a complete service on free ports of this machine, with accounts full of mail, to try things out
    Demo(demo::Demo),
    /// Accounts: add, list, change passwords, disable, remove
    #[command(subcommand)]
    Account(account::Account),
    /// Domains: add, list, remove
    #[command(subcommand)]
    Domain(domain::Domain),
    /// What a domain's DNS zone should say: print the records, check them
    #[command(subcommand)]
    Dns(dns::Dns),
    /// Aliases: add, list, remove
    #[command(subcommand)]
    Alias(alias::Alias),
    /// Certificates: list, check, renew
    #[command(subcommand)]
    Certificate(certificate::Certificate),
    /// Put existing mail (mbox, Maildir, a folder of .eml files) into an account
    Import(import::Import),
    /// Check that the store is consistent: every row, every body, every counter
    Check(check::Check),
    /// Why does my mail not connect, and what exactly do I type? For any provider, needs no service and no account
    Doctor(doctor::Doctor),
    /// How to set up a mail program for this service, step by step
    Guide(guide::Guide),
    /// Show or check the settings
    Settings(show::Show),
}

/// A message for the person at the keyboard: what happened and what to do.
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(error.to_string())
    }
}

/// Runs the subcommand.
pub fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let config = arguments.config.as_deref();
    match arguments.command {
        Command::Serve(serve) => serve.run(config),
        Command::Demo(demo) => demo.run(),
        Command::Account(account) => account.run(config),
        Command::Domain(domain) => domain.run(config),
        Command::Dns(dns) => dns.run(config),
        Command::Alias(alias) => alias.run(config),
        Command::Certificate(certificate) => certificate.run(config),
        Command::Import(import) => import.run(config),
        Command::Check(check) => check.run(config),
        Command::Doctor(doctor) => doctor.run(),
        Command::Guide(guide) => guide.run(config),
        Command::Settings(show) => show.run(config),
    }
}

/// The settings file to read.
fn settings_path(config: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = config {
        return Ok(path.to_owned());
    }
    ["sealpost.toml", "/etc/sealpost/sealpost.toml"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .ok_or_else(|| {
            Failure(
                "there is no settings file: neither ./sealpost.toml nor /etc/sealpost/sealpost.toml exists.\n\
                 Write one with: sealpost settings --example > sealpost.toml\n\
                 or name one with --config FILE. To only try things out: sealpost demo"
                    .to_owned(),
            )
        })
}

/// A runtime for a command that is not the service.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work)
}

/// A size such as `5GB` on the command line, octets.
fn size(text: &str) -> Result<u64, String> {
    crate::settings::unit::size_bytes(text).ok_or_else(|| "needs a size such as 500MB or 5GiB".to_owned())
}
