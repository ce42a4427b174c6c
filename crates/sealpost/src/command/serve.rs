//! `sealpost serve`

use super::{Failure, operate};
use crate::settings::Settings;
use clap::Args;
use server::run::Running;
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs the service.
#[derive(Debug, Args)]
pub struct Serve {}

impl Serve {
    /// Runs it until SIGINT or SIGTERM.
    pub fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        let settings = Settings::load(&super::settings_path(config)?)?;
        start_log(settings.log.json, settings.log.level);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut stop = StopSignal::new()?;
            for warning in settings.warnings.to_string().lines() {
                tracing::warn!("{warning}");
            }
            if let Err(error) = net::listen::raise_file_limit() {
                tracing::warn!(%error, "the limit of open files stays low");
            }
            let running = Running::start(settings.running(), Some(web::pages)).await?;
            for (listener, address) in running.addresses() {
                tracing::info!(listener = listener.name, %address, "listening");
            }
            operate::say("Sealpost is ready.");
            stop.came().await;
            tracing::info!("stopping");
            running.stop().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Begins to log, on standard error.
pub fn start_log(json: bool, level: tracing::Level) {
    let lines = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false)
        // A line that cannot be written is lost. To tell so where it could not be written either is a panic, and would end the session
        // between its message's commit and the answer.
        .log_internal_errors(false);
    if json {
        lines.json().init()
    } else {
        lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init()
    }
}

/// SIGINT and SIGTERM, listened for from the moment that this is made: one that comes
/// while the service starts must stop it in order too.
pub struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    /// Begins to listen; inside a runtime.
    pub fn new() -> std::io::Result<StopSignal> {
        Ok(StopSignal {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns when the first has come.
    pub async fn came(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
