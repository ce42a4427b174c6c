//! Mail comes in: SMTP on the port for other servers, into mailboxes.
//!
//! The clock runs until the last message accepted is *visible* in its mailbox,
//! not merely taken: a server that answers early and delivers later has its
//! queue's drain counted. Visible is what a POP3 client sees: every mailbox is
//! asked for its count, in rounds, and the end of the measurement is the
//! beginning of the first round in which all had everything. (Where there is a
//! queue on disk, rounds begin when it is empty, so that asking does not cost
//! the server anything while it still delivers.)

use super::{Meter, Options, Spent, joined, latency, micros, started, stopped};
use crate::client::bad;
use crate::client::pop3::Pop3;
use crate::client::smtp::Smtp;
use crate::client::tls;
use crate::corpus::{self, Template};
use crate::peer::{Kind, PASSWORD, Running, Setup};
use crate::table::Row;
use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Mailboxes that get the mail.
const MAILBOXES: usize = 50;
/// Messages in one connection.
const MESSAGES_PER_CONNECTION: usize = 10;
/// The large message.
const BIG_BYTES: usize = 10_000_000;
const BIG_CONNECTIONS: usize = 8;
/// Each mailbox gets one message of this size before anything is measured.
const WARM_BYTES: usize = 4_000;
/// A queue that has not drained by then never will.
const DRAIN_SECONDS_MAX: u64 = 600;

/// When the senders stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// No message begins after this time.
    Elapsed(Duration),
    /// After so many messages.
    Sent(u64),
}

/// How mail is sent.
#[derive(Clone)]
pub struct Sending {
    /// Connections at once.
    pub connections: usize,
    /// When to stop.
    pub until: Until,
    /// Messages, taken in turn.
    pub templates: Arc<Vec<Template>>,
    /// Local parts, taken in turn.
    pub mailboxes: Arc<Vec<String>>,
    /// With STARTTLS, as most servers send today.
    pub tls: Option<tls::Client>,
}

/// What was sent.
#[derive(Debug)]
pub struct Sent {
    /// Messages accepted.
    pub messages: u64,
    /// Of each mailbox.
    pub per_mailbox: Vec<u64>,
    /// From MAIL to the final 250, microseconds.
    pub latencies: Vec<u32>,
}

/// Everyday messages over 8 and 32 connections, in clear and with STARTTLS.
pub async fn mix(kind: Kind, options: &Options) -> Result<Vec<Row>> {
    let templates = Arc::new(corpus::mix());
    let mut rows = Vec::new();
    for (connections, tls) in [(8, false), (32, false), (32, true)] {
        let name =
            format!("SMTP in, 2-100 KB, {connections} connections{}", if tls { ", STARTTLS" } else { "" });
        rows.push(measured(name, kind, options, connections, Arc::clone(&templates), tls).await?);
    }
    Ok(rows)
}

/// Large messages.
pub async fn big(kind: Kind, options: &Options) -> Result<Vec<Row>> {
    let templates = Arc::new(vec![Template::new(1, BIG_BYTES)]);
    let name = format!("SMTP in, 10 MB, {BIG_CONNECTIONS} connections");
    Ok(vec![measured(name, kind, options, BIG_CONNECTIONS, templates, false).await?])
}

async fn measured(
    name: String,
    kind: Kind,
    options: &Options,
    connections: usize,
    templates: Arc<Vec<Template>>,
    tls: bool,
) -> Result<Row> {
    let setup = Setup::accounts("in", MAILBOXES);
    let running = started(kind, options, setup.clone()).await?;
    let exchange = tls::KeyExchange::X25519;
    let sending = Sending {
        connections,
        until: Until::Elapsed(options.duration),
        templates,
        mailboxes: Arc::new(setup.accounts),
        tls: if tls { Some(running.tls(exchange)?) } else { None },
    };
    // A first message each, so that mailboxes exist, passwords have been
    // proven once, and processes run.
    let warm = Sending {
        connections: 8,
        until: Until::Sent(MAILBOXES as u64),
        templates: Arc::new(vec![Template::new(0, WARM_BYTES)]),
        ..sending.clone()
    };
    let mut expected = send(&running, &warm).await?.per_mailbox;
    visible(&running, &sending.mailboxes, &expected, None).await?;

    let meter = Meter::new(&running);
    let mut sent = send(&running, &sending).await?;
    let accepted = meter.read();
    for (all, new) in expected.iter_mut().zip(&sent.per_mailbox) {
        *all += new;
    }
    let spent = visible(&running, &sending.mailboxes, &expected, Some(&meter)).await?.unwrap_or(accepted);
    let mut row = meter.rate(name, "msg/s", sent.messages, spent);
    row.latency_ms = latency(&mut sent.latencies);
    row.note = format!(
        "{} messages; accepted after {:.1} s, visible after {:.1} s",
        sent.messages,
        accepted.elapsed.as_secs_f64(),
        spent.elapsed.as_secs_f64()
    );
    stopped(running).await?;
    Ok(row)
}

/// Sends; returns when the last message has been accepted.
pub async fn send(running: &Running, sending: &Sending) -> Result<Sent> {
    let next = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..sending.connections {
        tasks.spawn(sender(running.smtp, sending.clone(), Arc::clone(&next), began));
    }
    let mut sent = Sent { messages: 0, per_mailbox: vec![0; sending.mailboxes.len()], latencies: Vec::new() };
    for (per_mailbox, latencies) in joined(tasks).await? {
        sent.messages += per_mailbox.iter().sum::<u64>();
        sent.latencies.extend(latencies);
        for (all, one) in sent.per_mailbox.iter_mut().zip(per_mailbox) {
            *all += one;
        }
    }
    Ok(sent)
}

/// One sending server: connection after connection until it is time.
async fn sender(
    to: std::net::SocketAddr,
    sending: Sending,
    next: Arc<AtomicU64>,
    began: Instant,
) -> Result<(Vec<u64>, Vec<u32>)> {
    let addresses: Vec<String> = sending.mailboxes.iter().map(|local| Running::address(local)).collect();
    let mut per_mailbox = vec![0; addresses.len()];
    let mut latencies = Vec::new();
    let mut data = Vec::new();
    loop {
        let mut smtp: Option<Smtp> = None;
        for _ in 0..MESSAGES_PER_CONNECTION {
            if matches!(sending.until, Until::Elapsed(limit) if began.elapsed() >= limit) {
                break;
            }
            let number = next.fetch_add(1, Ordering::Relaxed);
            if matches!(sending.until, Until::Sent(limit) if number >= limit) {
                break;
            }
            // Different strides, so that each mailbox gets every size. Both fit: they are below a length.
            let mailbox = (number % addresses.len() as u64) as usize;
            let template =
                ((number / addresses.len() as u64 + number * 7) % sending.templates.len() as u64) as usize;
            sending.templates[template].stamped(number, &mut data);
            let connection = match &mut smtp {
                Some(connection) => connection,
                None => smtp.insert(Smtp::connect(to, sending.tls.as_ref()).await?),
            };
            let asked = Instant::now();
            connection.message(&addresses[mailbox], &data).await?;
            latencies.push(micros(asked));
            per_mailbox[mailbox] += 1;
        }
        match smtp {
            Some(connection) => connection.quit().await?,
            None => return Ok((per_mailbox, latencies)),
        }
    }
}

/// Waits until every mailbox shows what it should; clocks of the moment (see the module's head).
pub async fn visible(
    running: &Running,
    mailboxes: &[String],
    expected: &[u64],
    meter: Option<&Meter<'_>>,
) -> Result<Option<Spent>> {
    let until = Instant::now() + Duration::from_secs(DRAIN_SECONDS_MAX);
    let tls = running.tls(tls::KeyExchange::X25519)?;
    let mut missing: Vec<usize> = (0..mailboxes.len()).collect();
    loop {
        while running.queued()? {
            if Instant::now() > until {
                return Err(bad("the queue does not drain"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let spent = meter.map(Meter::read);
        let mut still = Vec::new();
        for i in missing {
            let mut pop3 = Pop3::tls(running.pop3s, &tls).await?;
            pop3.login(&Running::address(&mailboxes[i]), PASSWORD).await?;
            let count = pop3.count().await?;
            pop3.quit().await?;
            if count > expected[i] {
                return Err(bad(format!(
                    "{} holds {count} messages, {} were sent",
                    mailboxes[i], expected[i]
                )));
            }
            if count < expected[i] {
                still.push(i);
            }
        }
        if still.is_empty() {
            return Ok(spent);
        }
        if Instant::now() > until {
            return Err(bad(format!("{} mailboxes lack accepted messages", still.len())));
        }
        missing = still;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
