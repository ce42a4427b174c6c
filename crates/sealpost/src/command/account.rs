//! `sealpost account`

use super::{Failure, operate};
use clap::{Args, Subcommand};
use server::control::{ExceptionChange, Password, Request};
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

/// Octets of a generated password's alphabet: no letters that are mistaken for one another.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Characters of a generated password: 20 x 5 bits.
const GENERATED_CHARS: usize = 20;

/// People with a mailbox.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Add an account; asks for its password
    Add {
        /// Its address, which is also its user name
        address: String,
        /// The person's name
        #[arg(long, default_value = "")]
        name: String,
        /// The most its mail may occupy, such as 5GB
        #[arg(long, value_name = "SIZE", value_parser = super::size)]
        quota: Option<u64>,
        /// The most messages it may hold
        #[arg(long, value_name = "COUNT")]
        quota_messages: Option<u64>,
        /// In which language Drafts, Sent, Junk, Trash and Archive are named, such as de
        #[arg(long, value_name = "TAG")]
        language: Option<String>,
        #[command(flatten)]
        source: Source,
    },
    /// List accounts with what they hold
    List {
        /// Only those of this domain
        domain: Option<String>,
    },
    /// Set an account's password
    Password {
        /// Its address
        address: String,
        #[command(flatten)]
        source: Source,
    },
    /// Let an account connect in ways that its domain's rules do not allow, until a day; shows it without options
    Exception {
        /// Its address
        address: String,
        #[command(flatten)]
        what: Excepted,
    },
    /// Forbid an account to log in; its mail still comes in
    Disable {
        /// Its address
        address: String,
        /// Allow it again
        #[arg(long)]
        undo: bool,
    },
    /// Remove an account and all its mail, for good
    Remove {
        /// Its address
        address: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// What an account may do beyond the rules.
#[derive(Debug, Args)]
pub struct Excepted {
    /// The day from which on it does not hold any more, such as 2027-03-01
    #[arg(long, value_name = "DAY", requires = "reason")]
    until: Option<String>,
    /// Why: "scanner in room 12"
    #[arg(long, value_name = "TEXT", requires = "until")]
    reason: Option<String>,
    /// Ports that it may use beside its domain's
    #[arg(long, value_name = "PORTS", value_delimiter = ',', requires = "until")]
    ports: Vec<u16>,
    /// Mechanisms that it may use beside its domain's, such as CRAM-MD5
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "until")]
    mechanisms: Vec<String>,
    /// It may log in without encryption: everybody on the way can read its password and mail
    #[arg(long, requires = "until")]
    clear: bool,
    /// It has no exception any more
    #[arg(long, conflicts_with = "until")]
    remove: bool,
}

impl From<Excepted> for ExceptionChange {
    fn from(what: Excepted) -> ExceptionChange {
        match what {
            Excepted { remove: true, .. } => ExceptionChange::Remove,
            Excepted { until: Some(until), reason, ports, mechanisms, clear, .. } => {
                let reason = reason.unwrap_or_default();
                ExceptionChange::Set { until, reason, ports, mechanisms, clear }
            }
            Excepted { until: None, .. } => ExceptionChange::Show,
        }
    }
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub struct Source {
    /// Make one up and print it
    #[arg(long)]
    generate: bool,
}

impl Source {
    fn password(&self) -> Result<Password, Failure> {
        if self.generate {
            let mut text = String::with_capacity(GENERATED_CHARS);
            for _ in 0..GENERATED_CHARS {
                let pick = usize::from(rand::random::<u8>()) % ALPHABET.len();
                text.push(char::from(ALPHABET[pick]));
            }
            operate::say(&format!("Password: {text}"));
            return Ok(Password(text));
        }
        if std::io::stdin().is_terminal() {
            let first = rpassword::prompt_password("New password: ")?;
            let second = rpassword::prompt_password("Once more: ")?;
            if first != second {
                return Err(Failure("the two passwords differ; nothing was changed".to_owned()));
            }
            return Ok(Password(first));
        }
        let mut text = String::new();
        std::io::stdin().lock().read_line(&mut text)?;
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        Ok(Password(text))
    }
}

impl Account {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        let request = match self {
            Account::Add { address, name, quota: quota_bytes, quota_messages, language, source } => {
                let password = source.password()?;
                Request::AccountAdd { address, name, password, quota_bytes, quota_messages, language }
            }
            Account::List { domain } => Request::AccountList { domain },
            Account::Password { address, source } => {
                Request::AccountPassword { address, password: source.password()? }
            }
            Account::Exception { address, what } => {
                Request::AccountException { address, change: what.into() }
            }
            Account::Disable { address, undo } => Request::AccountEnable { address, enabled: undo },
            Account::Remove { address, yes } => {
                if !yes && !agreed(&address)? {
                    return Err(Failure("nothing was removed".to_owned()));
                }
                Request::AccountRemove { address }
            }
        };
        operate::ask(config, &request)
    }
}

/// Asks before what cannot be undone.
fn agreed(address: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure("removing an account cannot be undone; say --yes".to_owned()));
    }
    eprint!("Remove {address} and all its mail for good? Type the address to agree: ");
    let mut text = String::new();
    std::io::stdin().lock().read_line(&mut text)?;
    Ok(text.trim() == address)
}
