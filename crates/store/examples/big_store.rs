//! How long a large store takes to open, and a large mailbox.
//!
//! `big_store DIR ACCOUNTS MESSAGES` fills a store in DIR if there is none (MESSAGES in all, of one shared body),
//! then opens it ten times and looks at the first account's mailbox as often; it prints the middle times.

#![allow(clippy::print_stdout)]

#[path = "common/person.rs"]
mod person;

use proto::proof::AccountId;
use std::time::{Duration, Instant};
use store::account::{Delivery, Flags};
use store::system::directory::Domain;
use store::{Options, Store};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Deliveries under way at once.
const AT_ONCE: u64 = 400;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, accounts, messages] = &arguments[..] else { return Err("usage: DIR ACCOUNTS MESSAGES".into()) };
    let dir = std::path::Path::new(dir);
    let (accounts, messages) = (accounts.parse::<u64>()?, messages.parse::<u64>()?);
    if !dir.exists() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let store = Store::open(dir, Options::default())?;
        let began = Instant::now();
        runtime.block_on(fill(&store, accounts, messages))?;
        println!("filled: {:.0} messages a second", messages as f64 / began.elapsed().as_secs_f64());
        store.close()?;
    }
    let (mut opened, mut viewed, mut count) = (Vec::new(), Vec::new(), 0);
    for _ in 0..10 {
        let began = Instant::now();
        let store = Store::open(dir, Options::default())?;
        opened.push(began.elapsed());
        let began = Instant::now();
        count = store.account(AccountId(1)).view("INBOX")?.ok_or("no INBOX")?.len() as usize;
        viewed.push(began.elapsed());
        // The first look of a connection also fills its cache.
        let began = Instant::now();
        drop(store.account(AccountId(1)).view("INBOX")?);
        viewed.push(began.elapsed());
        store.close()?;
    }
    println!(
        "{accounts} accounts, {messages} messages: open {:.1} ms; a mailbox of {count}: {:.1} ms",
        middle(opened),
        middle(viewed)
    );
    Ok(())
}

fn middle(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

async fn fill(store: &Store, accounts: u64, messages: u64) -> Result<(), Failure> {
    let directory = store.directory();
    directory.put_domain(Domain::named("example.test"), false).await?;
    let mut ids = Vec::new();
    for n in 0..accounts {
        ids.push(person::add(store, &format!("user{n}@example.test")).await?);
    }
    let mut writer = store.bodies().writer();
    writer.write(b"Subject: x\r\n\r\nx\r\n").await?;
    let body = writer.finish().await?;
    let mut tasks = Vec::new();
    for task in 0..AT_ONCE {
        let (store, ids, body) = (store.clone(), ids.clone(), body.clone());
        tasks.push(tokio::spawn(async move {
            for n in (task..messages).step_by(AT_ONCE as usize) {
                let delivery = Delivery {
                    mailbox: "INBOX".to_owned(),
                    prefix: Vec::new(),
                    body: body.clone(),
                    header_bytes: 14,
                    flags: if n % 7 == 0 { Flags::default() } else { Flags::SEEN },
                    keywords: Vec::new(),
                    gist: Vec::new(),
                    received: 1_700_000_000 + n as i64,
                    saved: 1_700_000_000,
                    token: None,
                    quota: true,
                };
                // A run of messages of one account shares its commits.
                let at = (n / AT_ONCE % ids.len() as u64) as usize;
                store.account(ids[at]).deliver(delivery).await?;
            }
            Ok::<(), Failure>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}
