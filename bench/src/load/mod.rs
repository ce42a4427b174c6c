//! The workloads, one file each, and what they share.
//!
//! A workload starts a server with the accounts that it needs, puts load on
//! it, and gives rows. It knows nothing of which server it is, but for what
//! the server does not offer.

pub mod append;
pub mod handshake;
pub mod idle;
pub mod idling;
pub mod mailbox;
pub mod pop3_retr;
pub mod smtp_in;
pub mod start;
pub mod stress;

use crate::client::bad;
use crate::measure;
use crate::peer::{self, Kind, Places, Running, Setup};
use crate::table::Row;
use std::io::Result;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Workload {
    /// Messages of 2 to 100 KB by SMTP into 50 mailboxes, over 8 and 32 connections.
    SmtpIn,
    /// Messages of 10 MB by SMTP.
    SmtpBig,
    /// 10,000 messages by POP3, pipelined and not, inside TLS and (where it can be had) in clear.
    Pop3Retr,
    /// TLS handshake, login, QUIT.
    Handshake,
    /// Memory of idle TLS connections.
    Idle,
    /// From the start to ready on a large store.
    Start,
    /// A mailbox of 100,000 messages over IMAP.
    ImapMailbox,
    /// APPEND and MULTIAPPEND.
    ImapAppend,
    /// IDLE: memory, and delivery to EXISTS.
    ImapIdle,
    /// Random commands of many clients.
    ImapStress,
}

/// What the command line says about all workloads.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where things are.
    pub places: Places,
    /// Length of a measurement.
    pub duration: Duration,
    /// Idle connections to open.
    pub idle: usize,
    /// Idle connections after login to open at the peer, which has a process for each.
    pub idle_peer: usize,
    /// Messages in the POP3 workload, over all mailboxes.
    pub messages: usize,
    /// Messages in the IMAP mailbox.
    pub mailbox: usize,
    /// Accounts and messages each of the large store.
    pub large_store: (usize, usize),
    /// Where the large store is kept between runs.
    pub large_store_dir: PathBuf,
}

/// Runs a workload against a server.
pub async fn run(workload: Workload, kind: Kind, options: &Options) -> Result<Vec<Row>> {
    match workload {
        Workload::SmtpIn => smtp_in::mix(kind, options).await,
        Workload::SmtpBig => smtp_in::big(kind, options).await,
        Workload::Pop3Retr => pop3_retr::run(kind, options).await,
        Workload::Handshake => handshake::run(kind, options).await,
        Workload::Idle => idle::run(kind, options).await,
        Workload::Start => start::run(kind, options).await,
        Workload::ImapMailbox => mailbox::run(kind, options).await,
        Workload::ImapAppend => append::run(kind, options).await,
        Workload::ImapIdle => idling::run(kind, options).await,
        Workload::ImapStress => stress::run(kind, options).await,
    }
}

/// Starts a server outside the threads that carry the load.
async fn started(kind: Kind, options: &Options, setup: Setup) -> Result<Running> {
    let places = options.places.clone();
    tokio::task::spawn_blocking(move || {
        // What the measurement before this one left for the disk to do is done first.
        rustix::fs::syncfs(std::fs::File::open(&places.work)?)?;
        peer::start(kind, &places, &setup)
    })
    .await
    .map_err(|e| bad(format!("starting the server panicked: {e}")))?
}

/// Stops a server likewise.
async fn stopped(running: Running) -> Result<()> {
    tokio::task::spawn_blocking(move || running.stop())
        .await
        .map_err(|e| bad(format!("stopping the server panicked: {e}")))?
}

/// Clocks at the beginning of a measurement.
pub struct Meter<'a> {
    running: &'a Running,
    began: Instant,
    server_cpu: Duration,
    own_cpu: Duration,
}

/// Clocks at some later moment.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    elapsed: Duration,
    server_cpu: Duration,
    own_cpu: Duration,
}

impl<'a> Meter<'a> {
    fn new(running: &'a Running) -> Meter<'a> {
        // The clock last: reading the process list takes milliseconds.
        let server_cpu = running.tree.cpu();
        Meter { running, server_cpu, own_cpu: measure::own_cpu(), began: Instant::now() }
    }

    fn read(&self) -> Spent {
        let elapsed = self.began.elapsed();
        Spent {
            elapsed,
            server_cpu: self.running.tree.cpu().saturating_sub(self.server_cpu),
            own_cpu: measure::own_cpu().saturating_sub(self.own_cpu),
        }
    }

    /// A row for a rate.
    fn rate(&self, name: impl Into<String>, unit: &'static str, count: u64, spent: Spent) -> Row {
        let mut row =
            Row::new(name, self.running.kind, count as f64 / spent.elapsed.as_secs_f64(), unit, true);
        if count > 0 {
            row.cpu_us = Some(spent.server_cpu.as_secs_f64() * 1e6 / count as f64);
            row.load_cpu_us = Some(spent.own_cpu.as_secs_f64() * 1e6 / count as f64);
        }
        let memory = self.running.tree.memory();
        row.pss_bytes = Some(memory.pss_bytes);
        row.processes = Some(memory.processes);
        row
    }
}

/// Median and 99th percentile, from microseconds to milliseconds.
fn latency(samples: &mut [u32]) -> Option<(f64, f64)> {
    if samples.is_empty() {
        return None;
    }
    Some((
        f64::from(measure::quantile(samples, 0.5)) / 1e3,
        f64::from(measure::quantile(samples, 0.99)) / 1e3,
    ))
}

fn micros(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)
}

/// Waits for tasks; the first error wins.
async fn joined<T: 'static>(mut tasks: tokio::task::JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(result) = tasks.join_next().await {
        results.push(result.map_err(|e| bad(format!("a client panicked: {e}")))??);
    }
    Ok(results)
}
