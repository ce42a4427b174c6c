//! `sealpost certificate`

use super::{Failure, operate};
use crate::settings::Settings;
use clap::Subcommand;
use server::control::certificates::GOOD;
use server::control::{Request, Response};
use std::path::Path;
use std::process::ExitCode;

/// Exit code when something needs the operator.
const FINDINGS: u8 = 2;

/// The certificates of the service.
#[derive(Debug, Subcommand)]
pub enum Certificate {
    /// List certificates, and the names that have none
    List,
    /// Say only what is wrong with them; exit code 2 if anything is
    Check,
    /// Order certificates anew before their time
    Renew {
        /// Only for this name
        name: Option<String>,
        /// With new keys: the TLSA records to enter are told first, and the keys used two days later
        #[arg(long)]
        new_key: bool,
        /// With the new keys at once, where somebody else may know the old ones
        #[arg(long, requires = "new_key")]
        now: bool,
    },
}

impl Certificate {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        match self {
            Certificate::List => operate::ask(config, &Request::CertificateList),
            Certificate::Renew { name, new_key, now } => {
                operate::ask(config, &Request::CertificateRenew { name, new_key, now })
            }
            Certificate::Check => check(config),
        }
    }
}

fn check(config: Option<&Path>) -> Result<ExitCode, Failure> {
    let settings = Settings::load(&super::settings_path(config)?)?;
    super::block_on(async {
        let mut line = operate::Line::open(&settings).await?;
        line.send(&Request::CertificateList).await?;
        let response = line.next().await?;
        line.close().await?;
        let Response::Table { columns, mut rows } = response else { return operate::print(response) };
        let count = rows.len();
        rows.retain(|row| row.last().is_some_and(|state| state != GOOD));
        if rows.is_empty() {
            operate::say(&format!("{count} certificates, all of them good."));
            return Ok(ExitCode::SUCCESS);
        }
        operate::say(&operate::table(&columns, &rows));
        Ok(ExitCode::from(FINDINGS))
    })
}
