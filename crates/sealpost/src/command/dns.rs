//! `sealpost dns`

use super::{Failure, operate};
use crate::settings::Settings;
use clap::{Subcommand, ValueEnum};
use server::control::{DnsDifference, DnsFormat, Request, Response};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

/// Exit code if DNS says something else than it should.
const DIFFERENCES: u8 = 1;
/// Exit code if it could not be found out.
const CANNOT_TELL: u8 = 2;

/// What a domain's zone should say, and what it does say.
#[derive(Debug, Subcommand)]
pub enum Dns {
    /// Print the records that a domain should publish
    Records {
        /// The mail domain
        domain: String,
        /// How to write them: as a zone file, for programs, or for people
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        /// The domain is one of many customers': the fewest records, and what the hoster's own zone has once
        #[arg(long)]
        hoster: bool,
    },
    /// Ask DNS for each of these records and explain every difference (exit code 0: none, 1: some, 2: cannot tell)
    Check {
        /// The mail domain
        domain: String,
        /// The domain is one of many customers'
        #[arg(long)]
        hoster: bool,
        /// Ask this server, such as 192.0.2.53:53, and not the system's resolver
        #[arg(long, value_name = "ADDRESS:PORT")]
        resolver: Option<SocketAddr>,
    },
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A zone file
    Zone,
    /// JSON
    Json,
    /// A table for people
    Table,
}

impl Dns {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        match self {
            Dns::Records { domain, format, hoster } => {
                let format = match format {
                    Format::Zone => DnsFormat::Zone,
                    Format::Json => DnsFormat::Json,
                    Format::Table => DnsFormat::Table,
                };
                operate::ask(config, &Request::DnsRecords { domain, format, hoster })
            }
            // What hinders the check says nothing of the records, and must not look like a difference.
            Dns::Check { domain, hoster, resolver } => match check(config, &domain, hoster, resolver) {
                Err(failure) => {
                    operate::complain(&failure.to_string());
                    Ok(ExitCode::from(CANNOT_TELL))
                }
                checked => checked,
            },
        }
    }
}

fn check(
    config: Option<&Path>,
    domain: &str,
    hoster: bool,
    resolver: Option<SocketAddr>,
) -> Result<ExitCode, Failure> {
    let settings = Settings::load(&super::settings_path(config)?)?;
    let request = Request::DnsCheck { domain: domain.to_owned(), hoster, resolver };
    let response = super::block_on(async {
        let mut line = operate::Line::open(&settings).await?;
        line.send(&request).await?;
        let response = line.next().await?;
        line.close().await?;
        Ok(response)
    })?;
    match response {
        Response::DnsChecked { records, differences } => {
            operate::say(&told(domain, records, &differences));
            Ok(ExitCode::from(code(&differences)))
        }
        other => operate::print(other),
    }
}

fn code(differences: &[DnsDifference]) -> u8 {
    if differences.iter().any(|difference| !difference.unknown) {
        DIFFERENCES
    } else if differences.is_empty() {
        0
    } else {
        CANNOT_TELL
    }
}

fn told(domain: &str, records: usize, differences: &[DnsDifference]) -> String {
    if differences.is_empty() {
        return format!("All {records} records of {domain} are as they should be.");
    }
    let mut text = String::new();
    for difference in differences {
        let weight = match (difference.unknown, difference.needed) {
            (true, _) => "cannot tell",
            (false, true) => "needed",
            (false, false) => "advised",
        };
        text.push_str(&format!(
            "{} ({weight})\n  {}\n  {}\n\n",
            difference.name, difference.text, difference.remedy
        ));
    }
    let unknown = differences.iter().filter(|difference| difference.unknown).count();
    text.push_str(&format!(
        "{} of {records} records looked at differ; {unknown} could not be asked for.\n\
         All that should be there: sealpost dns records {domain}",
        differences.len() - unknown
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(unknown: bool) -> DnsDifference {
        DnsDifference {
            name: "example.org".to_owned(),
            needed: true,
            unknown,
            text: "There is no MX record.".to_owned(),
            remedy: "Enter it.".to_owned(),
        }
    }

    #[test]
    fn a_difference_outweighs_what_is_not_known() {
        assert_eq!(code(&[]), 0);
        assert_eq!(code(&[difference(true)]), CANNOT_TELL);
        assert_eq!(code(&[difference(true), difference(false)]), DIFFERENCES);
        let text = told("example.org", 9, &[difference(true), difference(false)]);
        assert!(
            text.starts_with("example.org (cannot tell)\n  There is no MX record.\n  Enter it.\n"),
            "{text}"
        );
        assert!(text.contains("1 of 9 records looked at differ; 1 could not be asked for."), "{text}");
    }
}
