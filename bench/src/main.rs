//! `sealpost-bench`: puts load on Sealpost and on mail servers from Debian's
//! packages, in the same run on the same machine, and reports the ratios.
//!
//! What must hold: both do the same work under the same load, the generator
//! costs little, and a figure is printed with what is needed to doubt it. It
//! only reports; nothing here fails because something was slow. See
//! `bench/README.md` for the method and its limits.
#![allow(clippy::print_stdout)] // The report goes to standard output.

mod client;
mod corpus;
mod load;
mod measure;
mod peer;
mod table;

use clap::{Parser, Subcommand, ValueEnum};
use load::{Options, Workload};
use peer::{Kind, Places};
use std::fs;
use std::io::{Result, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use table::Report;

/// Load generator for mail servers, and the comparison with peers.
#[derive(Debug, Parser)]
#[command(name = "sealpost-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs workloads and prints a table in Markdown.
    Run(Run),
}

#[derive(Debug, clap::Args)]
struct Run {
    /// Workloads; all if none is named.
    workloads: Vec<Workload>,
    /// Which servers.
    #[arg(long, value_enum, default_value = "all")]
    server: Servers,
    /// Length of a measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Measure so often, servers in turn, and report the middle figure.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Also write all figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The program `sealpost`; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    sealpost: Option<PathBuf>,
    /// Where servers keep their data during a run; must be on a disk.
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Idle connections to open.
    #[arg(long, default_value_t = 5000)]
    idle: usize,
    /// Idle connections after login to open at the peer, which has a process for each.
    #[arg(long, default_value_t = 1000)]
    idle_peer: usize,
    /// Messages in the POP3 workload.
    #[arg(long, default_value_t = 10_000)]
    messages: usize,
    /// Messages in the IMAP mailbox.
    #[arg(long, default_value_t = 100_000)]
    mailbox: usize,
    /// Accounts of the large store.
    #[arg(long, default_value_t = 1000)]
    large_accounts: usize,
    /// Messages in each account of the large store.
    #[arg(long, default_value_t = 1000)]
    large_messages: usize,
    /// Where the large store is kept between runs; by default in the user's cache directory.
    #[arg(long, value_name = "DIR")]
    large_store: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Servers {
    Sealpost,
    PostfixDovecot,
    All,
}

impl Servers {
    /// The peer first: its figures stand even if ours fail.
    fn kinds(self) -> &'static [Kind] {
        match self {
            Servers::Sealpost => &[Kind::Sealpost],
            Servers::PostfixDovecot => &[Kind::PostfixDovecot],
            Servers::All => &[Kind::PostfixDovecot, Kind::Sealpost],
        }
    }
}

fn main() -> ExitCode {
    let Command::Run(run) = Arguments::parse().command;
    match execute(&run) {
        Ok(report) => {
            println!("{}", table::markdown(&report));
            if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(e) => {
            eprintln!("sealpost-bench: {e}");
            ExitCode::FAILURE
        }
    }
}

fn execute(run: &Run) -> Result<Report> {
    let options = options(run)?;
    allow_files(run.idle.max(run.idle_peer))?;
    fs::create_dir_all(&options.places.work)?;
    let mut report = Report {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        sync_us: sync_micros(&options.places.work)?,
        seconds: run.seconds,
        rounds: run.rounds.max(1),
        load_average: (load_average(), 0.0),
        versions: versions(run, &options),
        ..Report::default()
    };
    let mut workloads = run.workloads.clone();
    if workloads.is_empty() {
        workloads = Workload::value_variants().to_vec();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let finished = runtime.block_on(async {
        tokio::select! {
            result = measure_all(run, &options, &workloads, &mut report) => result.map(|()| true),
            // Dropping the measurement stops the servers.
            result = stop_asked() => result.map(|()| false),
        }
    })?;
    if !finished {
        report.failures.push("the rest: stopped by a signal".to_owned());
    }
    Ok(report)
}

async fn measure_all(
    run: &Run,
    options: &Options,
    workloads: &[Workload],
    report: &mut Report,
) -> Result<()> {
    for workload in workloads {
        let word = workload.to_possible_value().map_or(String::new(), |v| v.get_name().to_owned());
        let kinds = run.server.kinds();
        let mut rounds: Vec<Vec<Vec<table::Row>>> = vec![Vec::new(); kinds.len()];
        for round in 1..=report.rounds {
            // In turn, so that a slow quarter of an hour hits both.
            for (kind, rows) in kinds.iter().zip(&mut rounds) {
                eprintln!("{word} on {}, round {round} of {} ...", kind.name(), report.rounds);
                match load::run(*workload, *kind, options).await {
                    Ok(found) => rows.push(found),
                    Err(e) => {
                        eprintln!("{word} on {}: {e}", kind.name());
                        report.failures.push(format!("{word} on {}, round {round}: {e}", kind.name()));
                    }
                }
            }
        }
        report.rows.extend(rounds.into_iter().flat_map(table::median));
        report.load_average.1 = load_average();
        // After each workload, so that a run that is broken off leaves what it has.
        if let Some(file) = &run.json {
            fs::write(file, serde_json::to_string_pretty(&report)? + "\n")?;
        }
    }
    Ok(())
}

/// Returns when the user wants to stop.
async fn stop_asked() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Over the last minute; 0 if it cannot be read.
fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

fn options(run: &Run) -> Result<Options> {
    let sealpost = match &run.sealpost {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("sealpost"),
    };
    let cache = || {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        base.unwrap_or_else(std::env::temp_dir).join("sealpost-bench")
    };
    Ok(Options {
        places: Places { sealpost, work: run.work.clone().unwrap_or_else(std::env::temp_dir) },
        duration: Duration::from_secs(run.seconds.max(1)),
        idle: run.idle.max(1),
        idle_peer: run.idle_peer.max(1),
        messages: run.messages.max(1),
        mailbox: run.mailbox.max(2000),
        large_store: (run.large_accounts.max(1), run.large_messages.max(1)),
        large_store_dir: run.large_store.clone().unwrap_or_else(cache),
    })
}

/// Versions of what is measured; a missing program shows up when it is started.
fn versions(run: &Run, options: &Options) -> Vec<String> {
    let mut versions = Vec::new();
    for kind in run.server.kinds() {
        let version = match kind {
            Kind::Sealpost => peer::sealpost::version(&options.places),
            Kind::PostfixDovecot => peer::postfix_dovecot::version(),
        };
        versions.push(format!("{}: {}", kind.name(), version.unwrap_or_else(|e| format!("unknown ({e})"))));
    }
    versions
}

/// Raises the limit on open files, which the servers inherit.
fn allow_files(connections: usize) -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // At the peer a connection takes up to three descriptors of one process.
    let wanted = connections as u64 * 3 + 2000;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = limit.maximum.map(|maximum| maximum.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).or_else(|_| {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    })?;
    Ok(())
}

/// What one sync of a small append costs on this disk, median in microseconds.
fn sync_micros(work: &Path) -> Result<u32> {
    let mut file = tempfile::NamedTempFile::new_in(work)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[7; 4096])?;
        let began = Instant::now();
        file.as_file().sync_data()?;
        times.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(measure::quantile(&mut times, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        let Command::Run(run) =
            Arguments::parse_from(["sealpost-bench", "run", "smtp-in", "idle", "--seconds", "3"]).command;
        assert_eq!(run.workloads, [Workload::SmtpIn, Workload::Idle]);
        assert_eq!(run.server.kinds(), [Kind::PostfixDovecot, Kind::Sealpost]);
    }
}
