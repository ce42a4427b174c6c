//! `sealpost settings`

use super::{Failure, operate};
use crate::settings::{self, Settings};
use clap::Args;
use server::control::{Request, Response};
use std::path::Path;
use std::process::ExitCode;

/// Shows every key, or checks the settings file.
#[derive(Debug, Args)]
pub struct Show {
    /// Print a complete settings file with every key explained
    #[arg(long)]
    example: bool,
    /// Print the reference of all keys as Markdown
    #[arg(long, conflicts_with = "example")]
    markdown: bool,
}

impl Show {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        if self.example {
            operate::say(settings::render::example().trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        if self.markdown {
            operate::say(settings::render::markdown().trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        let path = super::settings_path(config)?;
        let settings = Settings::load(&path)?;
        let mut warnings: Vec<String> = settings.warnings.to_string().lines().map(str::to_owned).collect();
        warnings.extend(super::block_on(flaws(&settings))?);
        if warnings.is_empty() {
            operate::say(&format!("{}: no mistakes found.", path.display()));
        } else {
            operate::say(&format!(
                "{}\nNo mistakes found; the service can start with that.",
                warnings.join("\n")
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What the log would say at the start: names that no certificate covers, and rules of domains that lead nowhere. Before
/// there is a store there are no domains either.
async fn flaws(settings: &Settings) -> Result<Vec<String>, Failure> {
    let mut line = match operate::Line::open_if_there(settings).await {
        Ok(Some(line)) => line,
        unknown => {
            let running = settings.running();
            let mut sentences = match server::certificate::at_hand(&running) {
                Ok(at_hand) => server::publish::uncovered(&running.model, |host| at_hand.all.covers(host)),
                Err(error) => vec![error.to_string()],
            };
            if let Err(Failure(error)) = unknown {
                sentences.push(format!("the rules of the domains cannot be read: {error}"));
            }
            return Ok(sentences);
        }
    };
    line.send(&Request::Flaws).await?;
    let response = line.next().await?;
    line.close().await?;
    match response {
        Response::Flaws { sentences } => Ok(sentences),
        Response::Refused { text } => Err(Failure(text)),
        _ => Err(Failure("the service answered something else; is it of another version?".to_owned())),
    }
}
