//! Mail is fetched: whole mailboxes by POP3 RETR.
//!
//! The messages come in by SMTP first; one pass over all of them, not
//! measured, lets the server fill whatever it keeps for later. So this is the
//! rate for mail in the page cache.

use super::smtp_in::{Sending, Until, send, visible};
use super::{Meter, Options, joined, started, stopped};
use crate::client::pop3::Pop3;
use crate::client::tls;
use crate::corpus;
use crate::peer::{Kind, PASSWORD, Running, Setup};
use crate::table::Row;
use std::io::Result;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// The messages are spread over so many mailboxes.
const MAILBOXES: usize = 8;
/// Mailboxes fetched at once. Each connection keeps to its own, since a maildrop
/// belongs to one session.
const CONNECTIONS: usize = 4;
/// RETR commands under way where the client pipelines.
const WINDOW: usize = 32;

/// All four ways.
pub async fn run(kind: Kind, options: &Options) -> Result<Vec<Row>> {
    let setup = Setup::accounts("pop", MAILBOXES);
    let running = started(kind, options, setup.clone()).await?;
    let tls = running.tls(tls::KeyExchange::X25519)?;
    let sending = Sending {
        connections: 16,
        until: Until::Sent(options.messages as u64),
        templates: Arc::new(corpus::mix()),
        mailboxes: Arc::new(setup.accounts.clone()),
        tls: None,
    };
    let sent = send(&running, &sending).await?;
    visible(&running, &setup.accounts, &sent.per_mailbox, None).await?;

    let mut rows = Vec::new();
    let pass = |way: Way| passes(&running, &setup.accounts, way, options);
    let warm = Way { tls: Some(tls.clone()), window: WINDOW, once: true };
    pass(warm).await?;
    for (window, how) in [(WINDOW, "pipelined"), (1, "one by one")] {
        let mut row = pass(Way { tls: Some(tls.clone()), window, once: false }).await?;
        row.name = format!("POP3 RETR, TLS, {how}");
        rows.push(row);
    }
    running.take_clear_logins(&options.places)?;
    for (window, how) in [(WINDOW, "pipelined"), (1, "one by one")] {
        let mut row = pass(Way { tls: None, window, once: false }).await?;
        row.name = format!("POP3 RETR, in clear, {how}");
        rows.push(row);
    }
    stopped(running).await?;
    Ok(rows)
}

/// How mailboxes are fetched.
#[derive(Clone)]
struct Way {
    tls: Option<tls::Client>,
    window: usize,
    /// All mailboxes once, instead of again and again until it is time.
    once: bool,
}

async fn passes(running: &Running, mailboxes: &[String], way: Way, options: &Options) -> Result<Row> {
    let meter = Meter::new(running);
    let began = Instant::now();
    let duration = options.duration;
    let mut tasks = JoinSet::new();
    for mine in mailboxes.chunks(mailboxes.len().div_ceil(CONNECTIONS)) {
        let way = way.clone();
        let addresses: Vec<String> = mine.iter().map(|local| Running::address(local)).collect();
        let to = if way.tls.is_some() { running.pop3s } else { running.pop3 };
        tasks.spawn(async move {
            let (mut messages, mut octets) = (0, 0);
            for turn in 0.. {
                let over = if way.once { turn >= addresses.len() } else { began.elapsed() >= duration };
                if over {
                    break;
                }
                let mut pop3 = match &way.tls {
                    Some(tls) => Pop3::tls(to, tls).await?,
                    None => Pop3::clear(to).await?,
                };
                pop3.login(&addresses[turn % addresses.len()], PASSWORD).await?;
                let sizes = pop3.sizes().await?;
                octets += pop3.fetch_all(&sizes, way.window).await?;
                messages += sizes.len() as u64;
                pop3.quit().await?;
            }
            Ok((messages, octets))
        });
    }
    let (messages, octets) =
        joined(tasks).await?.into_iter().fold((0, 0), |a, b: (u64, u64)| (a.0 + b.0, a.1 + b.1));
    let spent = meter.read();
    let mut row = meter.rate("", "msg/s", messages, spent);
    row.note = format!(
        "{messages} messages of {:.1} KB, {:.0} MB/s",
        octets as f64 / 1e3 / messages.max(1) as f64,
        octets as f64 / 1e6 / spent.elapsed.as_secs_f64()
    );
    Ok(row)
}
