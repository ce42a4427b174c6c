//! `sealpost check`

use super::{Failure, operate};
use crate::settings::Settings;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use server::control::{Request, Response};
use std::path::Path;
use std::process::ExitCode;

/// Exit code when faults were found.
const FAULTS: u8 = 2;

/// Reads everything and compares; changes nothing.
#[derive(Debug, Args)]
pub struct Check {}

impl Check {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        let settings = Settings::load(&super::settings_path(config)?)?;
        super::block_on(async {
            let mut line = operate::Line::open(&settings).await?;
            line.send(&Request::Check).await?;
            let bar = progress_bar();
            let response = loop {
                match line.next().await? {
                    Response::Progress { done, total } => {
                        bar.set_length(total);
                        bar.set_position(done);
                    }
                    other => break other,
                }
            };
            bar.finish_and_clear();
            line.close().await?;
            let Response::Checked { accounts, messages, bodies, faults, remarks } = response else {
                return operate::print(response);
            };
            operate::say(&format!("{accounts} accounts, {messages} messages, {bodies} bodies looked at."));
            for remark in &remarks {
                operate::say(&format!("note: {remark}"));
            }
            for fault in &faults {
                operate::say(&format!("FAULT: {fault}"));
            }
            if faults.is_empty() {
                operate::say("The store is consistent.");
                return Ok(ExitCode::SUCCESS);
            }
            operate::say(&format!(
                "{} faults. Keep a copy of the data directory before anything else.",
                faults.len()
            ));
            Ok(ExitCode::from(FAULTS))
        })
    }
}

/// A bar on standard error; nothing when that is not a terminal.
pub fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}");
    let bar = ProgressBar::new(0);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
