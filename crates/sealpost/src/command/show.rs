//! `sealpost settings`

use super::{Failure, operate};
use crate::settings::{self, Settings};
use clap::Args;
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
        if settings.warnings.list.is_empty() {
            operate::say(&format!("{}: no mistakes found.", path.display()));
        } else {
            operate::say(&format!(
                "{}\nNo mistakes found; the service can start with that.",
                settings.warnings
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}
