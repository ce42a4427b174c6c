//! How fast searches are: a mailbox of generated mail, its index, and the time of each kind of search.
//!
//! `search_speed DIR [MESSAGES [OCTETS]]` fills the store in DIR (unless it has mail already) with texts of so many octets and prints
//! what it cost and the times: right after the last delivery, and once all is in blocks.

#![allow(clippy::print_stdout)]

#[path = "common/letter.rs"]
mod letter;
#[path = "common/person.rs"]
mod person;

use proto::message::text::fold;
use proto::proof::AccountId;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::account::{Account, View};
use store::search::{Bits, Field, Scope};
use store::system::directory::Domain;
use store::{Options, Store};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Tasks that fill the mailbox, and messages that each adds at a time.
const AT_ONCE: u64 = 8;
const ADDED: usize = 64;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dir = arguments.first().ok_or("usage: search_speed DIR [MESSAGES [OCTETS]]")?;
    let messages = arguments.get(1).map_or(Ok(100_000), |text| text.parse::<u64>())?;
    let octets = arguments.get(2).map_or(Ok(3900), |text| text.parse::<usize>())?;
    let dir = std::path::Path::new(dir);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let store = Store::open(dir, Options::default())?;
    let account = store.account(runtime.block_on(owner(&store))?);
    let view = account.view("INBOX")?.ok_or("no INBOX")?;
    if view.is_empty() {
        let began = Instant::now();
        let bytes = runtime.block_on(fill(&store, &account, messages, octets))?;
        println!("{messages} messages, {:.0} MB, delivered in {:.1} s", bytes as f64 / 1e6, seconds(began));
        runtime.block_on(times(&store, &account))?;
        let waiting = Instant::now();
        account.index(view.mailbox.id)?;
        let (cpu, on_disk) = (index_cpu()?, index_bytes(dir)?);
        println!(
            "indexed {:.1} s later; {:.0} us CPU a message, {:.0} octets a message, {:.1} % of the mail",
            seconds(waiting),
            cpu.as_secs_f64() * 1e6 / messages as f64,
            on_disk as f64 / messages as f64,
            on_disk as f64 * 100.0 / bytes as f64,
        );
    }
    drop(view);
    runtime.block_on(times(&store, &account))?;
    drop(account);
    store.close()?;
    growth(dir)
}

/// Prints what opening the mailbox takes, its view's memory, and the disk's share of each kind of file.
fn growth(dir: &std::path::Path) -> Result<(), Failure> {
    let store = Store::open(dir, Options::default())?;
    let account = store.account(store.directory().accounts(None)?.first().ok_or("no account")?.id);
    let began = Instant::now();
    let view = account.view("INBOX")?.ok_or("no INBOX")?;
    let cold = seconds(began) * 1e3;
    let began = Instant::now();
    account.view("INBOX")?.ok_or("no INBOX")?;
    println!(
        "{} messages opened in {cold:.1} ms, again in {:.3} ms; {:.1} octets of memory a message",
        view.len(),
        seconds(began) * 1e3,
        view.bytes() as f64 / f64::from(view.len()),
    );
    let mail = view.mailbox.bytes as f64;
    drop((view, account));
    store.close()?;
    let rows = std::fs::metadata(dir.join("store.db"))?.len() as f64;
    let mut bodies = 0;
    for file in std::fs::read_dir(dir.join("blobs"))? {
        bodies += file?.metadata()?.len();
    }
    let bodies = bodies as f64;
    println!(
        "on disk: {:.3} of the mail: bodies {:.3}, rows {:.3}",
        (bodies + rows) / mail,
        bodies / mail,
        rows / mail
    );
    Ok(())
}

/// Prints how long each search takes, the first time and then at best.
async fn times(_store: &Store, account: &Account) -> Result<(), Failure> {
    let view = account.view("INBOX")?.ok_or("no INBOX")?;
    let all = Bits::all(view.len());
    let began = Instant::now();
    account.columns(&view).await?;
    println!("columns, cold: {:.1} ms", seconds(began) * 1e3);
    for (what, field, needle) in [
        ("SUBJECT, few", Field::Subject, "invoice 4711"),
        ("SUBJECT, many", Field::Subject, "re: "),
        ("FROM", Field::From, "user77@"),
    ] {
        let (mut first, mut best, mut found) = (None, Duration::MAX, 0);
        for _ in 0..20 {
            let began = Instant::now();
            found = account.columns(&view).await?.contains(field, &fold(needle)).count();
            best = best.min(began.elapsed());
            first.get_or_insert(began.elapsed());
        }
        show(what, first, best, found);
    }
    for (what, needle, scope) in [
        ("BODY, none", "zzznothing", Scope::Body),
        ("BODY, few", "q7x", Scope::Body),
        ("BODY, nearly all", "ba", Scope::Body),
        ("BODY, a letter", "e", Scope::Body),
        ("BODY, a common word", "the", Scope::Body),
        ("BODY, two words", "number 12345.", Scope::Body),
        // Each has both words, and which of them has them side by side is found by reading all.
        ("BODY, a phrase of all", "dear customer", Scope::Body),
        ("TEXT, none", "zzznothing", Scope::Whole),
        ("TEXT, few", "q7x", Scope::Whole),
    ] {
        let (mut first, mut best, mut found) = (None, Duration::MAX, 0);
        for _ in 0..5 {
            let began = Instant::now();
            found = account.find_text(&view, &all, &fold(needle), scope).await?.count();
            best = best.min(began.elapsed());
            first.get_or_insert(began.elapsed());
        }
        show(what, first, best, found);
    }
    header(account, &view, &all).await
}

async fn header(account: &Account, view: &Arc<View>, all: &Bits) -> Result<(), Failure> {
    let (mut first, mut best, mut found) = (None, Duration::MAX, 0);
    for _ in 0..5 {
        let began = Instant::now();
        found = account.find_header(view, all, "Message-ID", &fold("<m4711.")).await?.count();
        best = best.min(began.elapsed());
        first.get_or_insert(began.elapsed());
    }
    show("HEADER Message-ID", first, best, found);
    Ok(())
}

fn show(what: &str, first: Option<Duration>, best: Duration, found: u32) {
    let first = first.unwrap_or_default().as_secs_f64() * 1e3;
    println!("{what}: {found} found, first {first:.2} ms, then {:.2} ms", best.as_secs_f64() * 1e3);
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

async fn owner(store: &Store) -> Result<AccountId, Failure> {
    let directory = store.directory();
    if let Some(known) = directory.accounts(None)?.first() {
        return Ok(known.id);
    }
    directory.put_domain(Domain::named("example.test"), false).await?;
    person::add(store, "user@example.test").await
}

/// Delivers; the octets of all.
async fn fill(store: &Store, account: &Account, messages: u64, text: usize) -> Result<u64, Failure> {
    let words: Arc<Vec<String>> = Arc::new(vocabulary());
    let mut tasks = Vec::new();
    for task in 0..AT_ONCE {
        let (store, account, words) = (store.clone(), account.clone(), words.clone());
        tasks.push(tokio::spawn(async move {
            let mut bytes = 0;
            let mine: Vec<u64> = (task..messages).step_by(AT_ONCE as usize).collect();
            for some in mine.chunks(ADDED) {
                let mut deliveries = Vec::with_capacity(some.len());
                for n in some {
                    let octets = message(*n, &words, text);
                    bytes += octets.len() as u64;
                    deliveries.push(letter::delivery(&store, *n, &octets).await?);
                }
                account.append(deliveries, None).await?;
            }
            Ok::<u64, Failure>(bytes)
        }));
    }
    let mut bytes = 0;
    for task in tasks {
        bytes += task.await??;
    }
    Ok(bytes)
}

/// A generator of numbers; the same ones each time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ self.0 >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ mixed >> 29
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Small numbers are likely, about as the ranks of words in a text are.
    fn rank(&mut self, end: u64) -> usize {
        let even = self.below(1 << 30) as f64 / f64::from(1 << 30);
        ((end as f64).powf(even) - 1.0) as usize
    }
}

/// Words that look like some language's; the frequent ones are short.
fn vocabulary() -> Vec<String> {
    const SOUNDS: [&str; 24] = [
        "the", "ba", "re", "in", "on", "te", "ni", "so", "la", "mi", "ver", "kon", "al", "es", "tra", "du",
        "gi", "pro", "ma", "fe", "lo", "sti", "nu", "ar",
    ];
    let mut dice = Dice(7);
    (0..60_000u64)
        .map(|rank| {
            let sounds = 1 + rank.max(1).ilog2() as u64 / 4 + dice.below(2);
            (0..sounds).map(|_| SOUNDS[dice.below(24) as usize]).collect()
        })
        .collect()
}

fn message(n: u64, words: &[String], octets: usize) -> Vec<u8> {
    let mut dice = Dice(n);
    let mut token = |len: usize| -> String {
        (0..len)
            .map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[dice.below(36) as usize]))
            .collect()
    };
    let (id, signature, link, other) = (token(24), token(172), token(32), token(12));
    let re = if n.is_multiple_of(3) { "Re: " } else { "" };
    let mut text = format!(
        "Received: from mx{}.example.test (mx.example.test [192.0.2.{}])\r\n\tby mail.example.test with ESMTPS id {other}\r\n\
         DKIM-Signature: v=1; a=rsa-sha256; d=example.test; s=s1;\r\n\th=from:to:subject:date; b={signature}\r\n\
         From: \"Person {}\" <user{}@example.test>\r\nTo: user@example.test\r\nSubject: {re}Invoice {n} {}\r\n\
         Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <m{n}.{id}@example.test>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
        n % 7,
        n % 250,
        n % 500,
        n % 500,
        words[dice.rank(60_000)],
    );
    let begin = text.len();
    text.push_str(&format!("Dear customer, number {n}.\r\nSee https://www.example.test/track?id={link}\r\n"));
    let mut line = 0;
    while text.len() - begin < octets {
        let word = &words[dice.rank(60_000)];
        line += word.len() + 1;
        text.push_str(word);
        text.push_str(if line > 70 { "\r\n" } else { " " });
        line = if line > 70 { 0 } else { line };
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// CPU time of the threads that index; a tick of the system is 10 ms.
fn index_cpu() -> Result<Duration, Failure> {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let stat = std::fs::read_to_string(task?.path().join("stat"))?;
        let (name, rest) = stat.rsplit_once(')').ok_or("no name of a thread")?;
        if name.ends_with("(store-index") || name.ends_with("(store-words") {
            let fields: Vec<&str> = rest.split_whitespace().collect();
            let field = |at: usize| fields.get(at).ok_or("short").map(|text| text.parse::<u64>());
            ticks += field(11)?? + field(12)??;
        }
    }
    Ok(Duration::from_millis(ticks * 10))
}

/// Octets of the values of the index.
fn index_bytes(dir: &std::path::Path) -> Result<u64, Failure> {
    let db = rusqlite::Connection::open(dir.join("store.db"))?;
    let sum: i64 = db.query_row(
        "SELECT coalesce(sum(length(value)),0) FROM kv WHERE account BETWEEN 1<<59 AND (1<<60)-1",
        [],
        |row| row.get(0),
    )?;
    Ok(sum as u64)
}
