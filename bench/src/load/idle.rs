//! Memory of connections that do nothing: TLS 1.3 on the POP3 port, before and
//! after login.
//!
//! The figure is the growth of the proportional set size of all processes,
//! divided by the connections; the memory that the kernel keeps for sockets is
//! not in it (about the same for everyone).

use super::{Options, joined, started, stopped};
use crate::client::bad;
use crate::client::pop3::Pop3;
use crate::client::tls::{self, KeyExchange};
use crate::peer::{Kind, PASSWORD, Running, Setup};
use crate::table::Row;
use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Connections opened at the same time.
const OPENING: usize = 16;
/// Visits before the first look at memory.
const WARM: usize = 4 * OPENING;
/// Rest before memory is read, so that what was needed for the handshakes has been given back.
const REST: Duration = Duration::from_secs(3);

/// Before and after login.
pub async fn run(kind: Kind, options: &Options) -> Result<Vec<Row>> {
    let after = if kind == Kind::Sealpost { options.idle } else { options.idle_peer };
    Ok(vec![
        measured("Memory of an idle TLS connection before login", kind, options, options.idle, false).await?,
        measured("Memory of an idle TLS connection after login", kind, options, after, true).await?,
    ])
}

async fn measured(name: &str, kind: Kind, options: &Options, count: usize, login: bool) -> Result<Row> {
    // A maildrop belongs to one session, so each connection has its own account.
    let setup = Setup {
        connections: count,
        cheap_accounts: true,
        ..Setup::accounts("idle", if login { count } else { 1 })
    };
    let running = started(kind, options, setup.clone()).await?;
    let tls = running.tls(KeyExchange::X25519)?;
    // The first visits pay for what is set up once, such as the memory in which
    // passwords are hashed: as many at a time as below.
    for pop3 in opened(&running, &setup.accounts, &tls, count.min(WARM), login).await? {
        pop3.quit().await?;
    }
    tokio::time::sleep(REST).await;
    let before = running.tree.memory();
    let mut open = opened(&running, &setup.accounts, &tls, count, login).await?;
    tokio::time::sleep(REST).await;
    let with = running.tree.memory();
    // They must still be there; a server that hung up would have saved memory.
    for pop3 in open.iter_mut().step_by((count / 50).max(1)) {
        if login {
            pop3.count().await?;
        } else if !pop3.alive().await? {
            return Err(bad("the server closed idle connections during the measurement"));
        }
    }
    let each = with.pss_bytes.saturating_sub(before.pss_bytes) as f64 / count as f64;
    let mut row = Row::new(name, kind, each / 1e3, "KB", false);
    row.pss_bytes = Some(with.pss_bytes);
    row.processes = Some(with.processes);
    row.note = format!("{count} connections; without them {:.1} MB", before.pss_bytes as f64 / 1e6);
    drop(open);
    stopped(running).await?;
    Ok(row)
}

async fn opened(
    running: &Running,
    accounts: &[String],
    tls: &tls::Client,
    count: usize,
    login: bool,
) -> Result<Vec<Pop3>> {
    let next = Arc::new(AtomicUsize::new(0));
    let accounts = Arc::new(accounts.to_vec());
    let mut tasks = JoinSet::new();
    for _ in 0..OPENING {
        let (to, tls, next, accounts) =
            (running.pop3s, tls.clone(), Arc::clone(&next), Arc::clone(&accounts));
        tasks.spawn(async move {
            let mut open = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= count {
                    return Ok(open);
                }
                let mut pop3 = Pop3::tls_small(to, &tls).await?;
                if login {
                    pop3.login(&Running::address(&accounts[i]), PASSWORD).await?;
                }
                open.push(pop3);
            }
        });
    }
    Ok(joined(tasks).await?.into_iter().flatten().collect())
}
