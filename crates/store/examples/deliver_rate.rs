//! How fast messages are delivered: N producers, each one body and one delivery after the other.
//!
//! `deliver_rate DIR PRODUCERS ACCOUNTS SECONDS [BODY_BYTES]` prints messages a second; CPU time, syncs and octets
//! written a message; then how long the store takes to open.

#![allow(clippy::print_stdout)]

#[path = "common/person.rs"]
mod person;

use proto::proof::AccountId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::account::{Delivery, Flags};
use store::system::directory::Domain;
use store::{Options, Store};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse::<u64>());
    let dir = arguments.first().ok_or("usage: deliver_rate DIR PRODUCERS ACCOUNTS SECONDS [BODY_BYTES]")?;
    let (producers, accounts) = (number(1, 32)?, number(2, 1)?.max(1));
    let (seconds, bytes) = (number(3, 5)?, number(4, 20 << 10)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let store = Store::open(std::path::Path::new(dir), Options::default())?;
    let ids = runtime.block_on(people(&store, accounts))?;
    let body: Arc<Vec<u8>> = Arc::new((0..bytes).map(|i| b"0123456789abcdef"[i as usize % 16]).collect());
    let (delivered, until) = (Arc::new(AtomicU64::new(0)), Instant::now() + Duration::from_secs(seconds));
    let (cpu, syncs, io, began) = (cpu_us()?, store.syncs(), written()?, Instant::now());
    let mut tasks = Vec::new();
    for producer in 0..producers {
        let (store, ids, body, delivered) = (store.clone(), ids.clone(), body.clone(), delivered.clone());
        tasks.push(runtime.spawn(async move {
            let mut turn = producer;
            while Instant::now() < until {
                deliver(&store, ids[(turn % ids.len() as u64) as usize], &body, turn).await?;
                turn += producers;
                delivered.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), Failure>(())
        }));
    }
    for task in tasks {
        runtime.block_on(task)?.map_err(|error| -> Failure { error })?;
    }
    let count = delivered.load(Ordering::Relaxed) as f64;
    println!(
        "{producers} producers, {accounts} accounts, {bytes} octets: {:.0} msg/s, {:.0} us CPU, {:.3} syncs, {:.1} KB written a message",
        count / began.elapsed().as_secs_f64(),
        (cpu_us()? - cpu) as f64 / count,
        (store.syncs() - syncs) as f64 / count,
        (written()? - io) as f64 / 1e3 / count,
    );
    store.close()?;
    drop(store);
    let opening = Instant::now();
    let store = Store::open(std::path::Path::new(dir), Options::default())?;
    let opened = opening.elapsed();
    let viewing = Instant::now();
    let view = store.account(ids[0]).view("INBOX")?.ok_or("no INBOX")?;
    println!(
        "open: {:.1} ms; a mailbox of {}: {:.1} ms",
        opened.as_secs_f64() * 1e3,
        view.messages().len(),
        viewing.elapsed().as_secs_f64() * 1e3
    );
    store.close()?;
    Ok(())
}

async fn deliver(store: &Store, account: AccountId, body: &[u8], turn: u64) -> Result<(), Failure> {
    let mut writer = store.bodies().writer();
    writer.write(&turn.to_le_bytes()).await?;
    for piece in body.chunks(8 << 10) {
        writer.write(piece).await?;
    }
    let delivery = Delivery {
        mailbox: "INBOX".to_owned(),
        prefix: b"Return-Path: <a@example.test>\r\n".to_vec(),
        body: writer.place().await?,
        header_bytes: 100,
        flags: Flags::default(),
        keywords: Vec::new(),
        gist: Vec::new(),
        received: 1_700_000_000,
        saved: 1_700_000_000,
        token: None,
        quota: true,
    };
    store.account(account).deliver(delivery).await?;
    Ok(())
}

async fn people(store: &Store, count: u64) -> Result<Arc<Vec<AccountId>>, Failure> {
    let directory = store.directory();
    let known = directory.accounts(None)?;
    if !known.is_empty() {
        return Ok(Arc::new(known.into_iter().map(|record| record.id).collect()));
    }
    directory.put_domain(Domain::named("example.test"), false).await?;
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(person::add(store, &format!("user{n}@example.test")).await?);
    }
    Ok(Arc::new(ids))
}

/// Octets that this process has given to the system to write.
fn written() -> Result<u64, Failure> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).ok_or("no wchar")?;
    Ok(line.parse()?)
}

/// CPU time of this process so far; a tick of the system is 10 ms.
fn cpu_us() -> Result<u64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no process name")?.1.split_whitespace().collect();
    let ticks =
        fields.get(11).ok_or("short")?.parse::<u64>()? + fields.get(12).ok_or("short")?.parse::<u64>()?;
    Ok(ticks * 10_000)
}
