//! How fast the operations on one large mailbox are.
//!
//! `mailbox_rate DIR MESSAGES` makes a store in DIR, which must not exist, with so many messages whose gists have 800 octets,
//! and prints how long each operation took.

#![allow(clippy::print_stdout)]

#[path = "common/person.rs"]
mod person;

use proto::proof::AccountId;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use store::account::{Account, Copying, Delivery, FlagChange, Flags, How, MailboxId};
use store::blob::BodyRef;
use store::system::directory::Domain;
use store::{Options, Store};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Messages in one append while filling.
const AT_ONCE: u32 = 2000;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, messages] = &arguments[..] else { return Err("usage: mailbox_rate DIR MESSAGES".into()) };
    let (dir, count) = (Path::new(dir), messages.parse::<u32>()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let store = Store::open(dir, Options::default())?;
    let (account, body) = runtime.block_on(fill(&store, count))?;
    let id = account.id_of("INBOX")?;
    store.close()?;
    drop(account);
    let store = Store::open(dir, Options::default())?;
    let account = store.account(AccountId(1));
    runtime.block_on(run(&account, id, count, &body))?;
    store.close()?;
    Ok(())
}

/// Prints what an operation took.
fn say(what: &str, began: Instant) {
    println!("{what}: {:.3} ms", began.elapsed().as_secs_f64() * 1e3);
}

async fn run(account: &Account, id: MailboxId, count: u32, body: &BodyRef) -> Result<(), Failure> {
    let began = Instant::now();
    let view = account.open(id).await?.ok_or("no INBOX")?;
    say("open, cold", began);
    println!("octets of the view for a message: {:.2}", view.bytes() as f64 / f64::from(view.len()));
    let began = Instant::now();
    black_box(account.open(id).await?);
    say("open, warm", began);
    let began = Instant::now();
    let unseen: usize = view.chunks().flat_map(|c| c.flags).filter(|flags| **flags & 1 == 0).count();
    say(&format!("unseen ({unseen})"), began);
    for (what, how) in [("flags of all, added", How::Add), ("flags of all, removed", How::Remove)] {
        let began = Instant::now();
        account.change_flags(change(id, 1, u32::MAX, how)).await?;
        say(what, began);
    }
    let newer = account.current(id).ok_or("the view is gone")?;
    let began = Instant::now();
    println!("differing: {}", view.diff(&newer).changed.len());
    say("their difference", began);
    let began = Instant::now();
    for uid in 1..=200 {
        account.change_flags(change(id, uid, uid, How::Add)).await?;
    }
    say("flags of one, 200 times", began);
    let before = account.current(id).ok_or("the view is gone")?;
    let began = Instant::now();
    for _ in 0..200 {
        account.append(vec![message(body)], None).await?;
    }
    say("one appended, 200 times", began);
    let after = account.current(id).ok_or("the view is gone")?;
    let began = Instant::now();
    let added = before.diff(&after).added;
    say(&format!("the difference of {added} added"), began);
    let uids: Vec<u32> = (1..=count.min(100_000)).collect();
    for turn in ["first", "again"] {
        let began = Instant::now();
        let details = account.details(id, uids.clone()).await?;
        let octets: usize = details.iter().map(|d| d.map_or(0, |d| d.gist.len())).sum();
        say(&format!("details of {} ({octets} octets of gists), {turn}", details.len()), began);
    }
    let target = account.id_of("Archive")?;
    let began = Instant::now();
    let uids = vec![(1, 10_000)];
    account.copy(Copying { from: id, uids, to: target, remove: false, saved: 1 }).await?;
    say("10,000 copied", began);
    let tenth: Vec<u32> = (1..=count).filter(|uid| uid % 10 == 0).collect();
    let began = Instant::now();
    account.expunge(id, &tenth).await?;
    say(&format!("{} expunged, every tenth", tenth.len()), began);
    let began = Instant::now();
    account.append(vec![message(body)], None).await?;
    say("one appended right after", began);
    // Details of what was removed are cleared away from within a second on.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for (when, how) in [("while details are swept", How::Add), ("afterwards", How::Remove)] {
        let swept = async || Ok::<_, Failure>(account.details(id, vec![tenth_last(count)]).await?.is_empty());
        let (began, mut slowest, mut turns) = (Instant::now(), Duration::ZERO, 0u32);
        while turns < 200 && (when == "afterwards" || !swept().await?) {
            let one = Instant::now();
            account.change_flags(change(id, 301 + turns, 301 + turns, how)).await?;
            slowest = slowest.max(one.elapsed());
            turns += 1;
        }
        say(&format!("flags of one, {turns} times, {when}"), began);
        println!("the slowest: {:.3} ms", slowest.as_secs_f64() * 1e3);
        while !swept().await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

/// The last UID of every tenth.
fn tenth_last(count: u32) -> u32 {
    count / 10 * 10
}

fn change(mailbox: MailboxId, from: u32, to: u32, how: How) -> FlagChange {
    let (flags, keywords) = (Flags::FLAGGED, Vec::new());
    FlagChange { mailbox, uids: vec![(from, to)], how, flags, keywords, unchanged_since: None }
}

fn message(body: &BodyRef) -> Delivery {
    Delivery {
        mailbox: "INBOX".to_owned(),
        prefix: b"Return-Path: <someone@example.test>\r\n".to_vec(),
        body: body.clone(),
        header_bytes: 14,
        flags: Flags::SEEN,
        keywords: Vec::new(),
        gist: vec![b'g'; 800],
        received: 1_700_000_000,
        saved: 1_700_000_000,
        token: None,
        quota: true,
    }
}

/// What this program needs of an account.
trait Look {
    fn id_of(&self, mailbox: &str) -> Result<MailboxId, Failure>;
}

impl Look for Account {
    fn id_of(&self, mailbox: &str) -> Result<MailboxId, Failure> {
        let found = self.mailboxes()?.into_iter().find(|m| m.name == mailbox);
        Ok(found.ok_or("no such mailbox")?.id)
    }
}

async fn fill(store: &Store, count: u32) -> Result<(Account, BodyRef), Failure> {
    let domain = Domain { separator: None, ..Domain::named("example.test") };
    store.directory().put_domain(domain, false).await?;
    let account = store.account(person::add(store, "user@example.test").await?);
    let mut writer = store.bodies().writer();
    writer.write(b"Subject: x\r\n\r\nx\r\n").await?;
    let body = writer.finish().await?;
    let began = Instant::now();
    for from in (0..count).step_by(AT_ONCE as usize) {
        let mut messages = vec![message(&body); AT_ONCE.min(count - from) as usize];
        for (one, n) in messages.iter_mut().zip(from..) {
            one.received += i64::from(n) * 60;
            one.flags = if n % 7 == 0 { Flags::default() } else { Flags::SEEN };
        }
        account.append(messages, None).await?;
    }
    println!("filled: {:.0} messages a second", f64::from(count) / began.elapsed().as_secs_f64());
    Ok((account, body))
}
