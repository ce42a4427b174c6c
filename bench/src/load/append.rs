//! APPEND over IMAP inside TLS, 8 connections, each into a mailbox of its own account or all into one; one message a
//! command, and twenty.

use super::{Meter, Options, joined, latency, micros, started, stopped};
use crate::client::imap::Imap;
use crate::client::tls::{self, KeyExchange};
use crate::corpus::Letters;
use crate::peer::{Kind, PASSWORD, Running, Setup};
use crate::table::Row;
use std::io::Result;
use std::time::Instant;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 8;

/// One message a command, then twenty, then one a command into the same mailbox.
pub async fn run(kind: Kind, options: &Options) -> Result<Vec<Row>> {
    let running = started(kind, options, Setup::accounts("append", CONNECTIONS + 1)).await?;
    let tls = running.tls(KeyExchange::X25519)?;
    let own: Vec<String> = (0..CONNECTIONS).map(|n| format!("append{n}")).collect();
    let one = vec![format!("append{CONNECTIONS}"); CONNECTIONS];
    let rows = vec![
        measured(&running, &tls, options, &own, 1, "IMAP APPEND, TLS, 8 connections").await?,
        measured(&running, &tls, options, &own, 20, "IMAP MULTIAPPEND of 20, TLS, 8 connections").await?,
        measured(&running, &tls, options, &one, 1, "IMAP APPEND, TLS, 8 connections into one mailbox")
            .await?,
    ];
    stopped(running).await?;
    Ok(rows)
}

/// 8 connections into a mailbox that holds many.
pub async fn into_large(running: &Running, tls: &tls::Client, options: &Options, user: &str) -> Result<Row> {
    let users = vec![user.to_owned(); CONNECTIONS];
    let name = "IMAP APPEND, TLS, 8 connections into one large mailbox";
    measured(running, tls, options, &users, 1, name).await
}

/// One connection for each of the users.
async fn measured(
    running: &Running,
    tls: &tls::Client,
    options: &Options,
    users: &[String],
    at_once: usize,
    name: &str,
) -> Result<Row> {
    let mut open = Vec::new();
    for user in users {
        let mut imap = Imap::tls(running.imaps, tls).await?;
        imap.login(&Running::address(user), PASSWORD).await?;
        open.push(imap);
    }
    let meter = Meter::new(running);
    let until = Instant::now() + options.duration;
    let mut tasks = JoinSet::new();
    for (n, mut imap) in open.into_iter().enumerate() {
        tasks.spawn(async move {
            let mut letters = Letters::new(n as u64);
            let mut samples = Vec::new();
            while Instant::now() < until {
                let command = super::mailbox::append(&mut letters, at_once);
                let began = Instant::now();
                imap.command(&command).await?;
                samples.push(micros(began));
            }
            Ok(samples)
        });
    }
    let mut samples: Vec<u32> = joined(tasks).await?.concat();
    let spent = meter.read();
    let count = (samples.len() * at_once) as u64;
    let mut row = meter.rate(name, "msg/s", count, spent);
    row.latency_ms = latency(&mut samples);
    row.note = format!("{count} messages");
    Ok(row)
}
