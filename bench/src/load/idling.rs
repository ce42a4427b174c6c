//! Connections in IDLE: what each costs in memory, and how soon mail that arrives is told.

use super::{Meter, Options, joined, latency, micros, started, stopped};
use crate::client::bad;
use crate::client::imap::Imap;
use crate::client::tls::{self, KeyExchange};
use crate::corpus::Letters;
use crate::peer::{Kind, PASSWORD, Running, Setup};
use crate::table::Row;
use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const OPENING: usize = 16;
const WARM: usize = 4 * OPENING;
const REST: Duration = Duration::from_secs(3);
/// Messages whose arrival is timed.
const ARRIVALS: usize = 60;

/// Both.
pub async fn run(kind: Kind, options: &Options) -> Result<Vec<Row>> {
    let count = if kind == Kind::Sealpost { options.idle } else { options.idle_peer };
    let setup = Setup { connections: count + 64, cheap_accounts: true, ..Setup::accounts("idle", 50) };
    let running = started(kind, options, setup).await?;
    let tls = running.tls(KeyExchange::X25519)?;
    for (mut imap, tag) in opened(&running, &tls, count.min(WARM)).await? {
        imap.done(&tag).await?;
    }
    tokio::time::sleep(REST).await;
    let before = running.tree.memory();
    let mut open = opened(&running, &tls, count).await?;
    tokio::time::sleep(REST).await;
    let with = running.tree.memory();
    let each = with.pss_bytes.saturating_sub(before.pss_bytes) as f64 / count as f64;
    let mut memory = Row::new("Memory of a TLS connection in IMAP IDLE", kind, each / 1e3, "KB", false);
    memory.pss_bytes = Some(with.pss_bytes);
    memory.processes = Some(with.processes);
    memory.note = format!("{count} connections; without them {:.1} MB", before.pss_bytes as f64 / 1e6);
    let arrivals = arrivals(&running, &tls).await?;
    for (imap, tag) in open.iter_mut().step_by((count / 20).max(1)) {
        imap.done(tag).await.map_err(|e| bad(format!("an idle connection was gone: {e}")))?;
    }
    drop(open);
    stopped(running).await?;
    Ok(vec![memory, arrivals])
}

/// APPEND on one connection, EXISTS on another that is in IDLE.
async fn arrivals(running: &Running, tls: &tls::Client) -> Result<Row> {
    let user = Running::address("idle0");
    let mut waiting = Imap::tls(running.imaps, tls).await?;
    waiting.login(&user, PASSWORD).await?;
    waiting.command("SELECT INBOX").await?;
    let tag = waiting.idle().await?;
    let mut sender = Imap::tls(running.imaps, tls).await?;
    sender.login(&user, PASSWORD).await?;
    let mut letters = Letters::new(9);
    let meter = Meter::new(running);
    let mut samples = Vec::new();
    for _ in 0..ARRIVALS {
        let command = super::mailbox::append(&mut letters, 1);
        sender.command(&command).await?;
        // From the moment at which the delivery is acknowledged.
        let began = Instant::now();
        waiting.exists().await?;
        samples.push(micros(began));
    }
    let spent = meter.read();
    waiting.done(&tag).await?;
    let (middle, last) = latency(&mut samples).unwrap_or_default();
    let mut row = Row::new("IMAP delivery acknowledged to EXISTS in IDLE", running.kind, middle, "ms", false);
    row.latency_ms = Some((middle, last));
    row.cpu_us = Some(spent.server_cpu.as_secs_f64() * 1e6 / ARRIVALS as f64);
    row.note = format!("longest {:.1} ms", f64::from(samples.iter().copied().max().unwrap_or(0)) / 1e3);
    Ok(row)
}

async fn opened(running: &Running, tls: &tls::Client, count: usize) -> Result<Vec<(Imap, String)>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..OPENING {
        let (to, tls, next) = (running.imaps, tls.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let mut open = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= count {
                    return Ok(open);
                }
                let mut imap = Imap::tls_small(to, &tls).await?;
                imap.login(&Running::address(&format!("idle{}", i % 50)), PASSWORD).await?;
                imap.command("SELECT INBOX").await?;
                let tag = imap.idle().await?;
                open.push((imap, tag));
            }
        });
    }
    Ok(joined(tasks).await?.into_iter().flatten().collect())
}
