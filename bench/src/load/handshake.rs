//! Short visits: connect, full TLS 1.3 handshake, login, QUIT, as fast as they
//! come. No session is resumed. This is what a mail server's morning is like.

use super::{Meter, Options, joined, latency, micros, started, stopped};
use crate::client::pop3::Pop3;
use crate::client::tls::{self, KeyExchange};
use crate::peer::{Hash, Kind, PASSWORD, Running, Setup};
use crate::table::Row;
use std::io::Result;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Visitors at once.
const CONNECTIONS: usize = 16;
/// Accounts of each visitor, taken in turn; nobody else uses them.
const ACCOUNTS_EACH: usize = 4;

/// With a fast and a slow password hash. Sealpost has a slow one only and gives both figures.
pub async fn run(kind: Kind, options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (hash, exchange, name) in [
        (Hash::Fast, KeyExchange::X25519, "TLS handshake + login + QUIT, fast hash (peer: SHA-256)"),
        (Hash::Slow, KeyExchange::X25519, "TLS handshake + login + QUIT, slow hash (peer: BLF-CRYPT)"),
        (Hash::Slow, KeyExchange::X25519MlKem768, "TLS handshake + login + QUIT, X25519MLKEM768"),
    ] {
        if kind != Kind::Sealpost && exchange != KeyExchange::X25519 {
            // Debian's OpenSSL 3.0 cannot; a row without a peer is for information.
            continue;
        }
        let setup = Setup { hash, ..Setup::accounts("visit", CONNECTIONS * ACCOUNTS_EACH) };
        let running = started(kind, options, setup.clone()).await?;
        let tls = running.tls(exchange)?;
        // Each account once, so that mailboxes exist and a server that remembers a
        // proven password has proven it.
        visits(&running, &setup.accounts, &tls, None).await?;
        let meter = Meter::new(&running);
        let mut latencies = visits(&running, &setup.accounts, &tls, Some(options.duration)).await?;
        let mut row = meter.rate(name, "login/s", latencies.len() as u64, meter.read());
        row.latency_ms = latency(&mut latencies);
        row.note = format!("{} visits, {CONNECTIONS} at once", latencies.len());
        if kind == Kind::Sealpost && hash == Hash::Fast {
            row.note.push_str("; Argon2id: there is no fast hash");
        }
        rows.push(row);
        stopped(running).await?;
    }
    Ok(rows)
}

/// Visits for this long, or each account once; the length of each in microseconds.
async fn visits(
    running: &Running,
    accounts: &[String],
    tls: &tls::Client,
    duration: Option<Duration>,
) -> Result<Vec<u32>> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for mine in accounts.chunks(ACCOUNTS_EACH) {
        let addresses: Vec<String> = mine.iter().map(|local| Running::address(local)).collect();
        let (to, tls) = (running.pop3s, tls.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            for address in addresses.iter().cycle() {
                let over = match duration {
                    Some(duration) => began.elapsed() >= duration,
                    None => latencies.len() == addresses.len(),
                };
                if over {
                    break;
                }
                let came = Instant::now();
                let mut pop3 = Pop3::tls(to, &tls).await?;
                pop3.login(address, PASSWORD).await?;
                pop3.quit().await?;
                latencies.push(micros(came));
            }
            Ok(latencies)
        });
    }
    Ok(joined(tasks).await?.into_iter().flatten().collect())
}
