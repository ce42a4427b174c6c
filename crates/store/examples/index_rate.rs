//! What the index of words costs while mail comes: processor time of each thread, octets in memory and on disk.
//!
//! `index_rate DIR KIND [MESSAGES [MAILBOXES]]` delivers messages of 2 to 100 KB (log-uniform) with 8 producers. Of KIND `mail` they
//! are letters whose words come as often as those of languages do, half of them with markup in quoted-printable; of
//! KIND `noise` most of a large one is random digits of base64 in a text, and so nearly all words are new.

#![allow(clippy::print_stdout)]

#[path = "common/letter.rs"]
mod letter;
#[path = "common/person.rs"]
mod person;

use proto::proof::AccountId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::system::directory::Domain;
use store::{Options, Store};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const PRODUCERS: u64 = 8;
const BYTES: (f64, f64) = (2e3, 1e5);
/// Words of the language.
const VOCABULARY: u64 = 60_000;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: index_rate DIR mail|noise [MESSAGES [MAILBOXES]]";
    let [dir, kind, ..] = &arguments[..] else { return Err(usage.into()) };
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse::<u64>());
    let (messages, mailboxes) = (number(2, 20_000)?, number(3, 50)?.max(1));
    let write = match kind.as_str() {
        "mail" => letter,
        "noise" => noise,
        _ => return Err(usage.into()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    let store = Store::open(std::path::Path::new(dir), Options::default())?;
    let ids = runtime.block_on(people(&store, mailboxes))?;
    let words: Arc<Vec<String>> = Arc::new(vocabulary());
    let (began, octets) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for producer in 0..PRODUCERS {
        let (store, ids, words, octets) = (store.clone(), ids.clone(), words.clone(), octets.clone());
        tasks.push(runtime.spawn(async move {
            for n in (producer..messages).step_by(PRODUCERS as usize) {
                let text = write(n, &words);
                octets.fetch_add(text.len() as u64, Ordering::Relaxed);
                let account = store.account(ids[(n % ids.len() as u64) as usize]);
                account.deliver(letter::delivery(&store, n, &text).await?).await?;
            }
            Ok::<(), Failure>(())
        }));
    }
    tasks.into_iter().try_for_each(|task| runtime.block_on(task)?)?;
    let mail = octets.load(Ordering::Relaxed) as f64;
    println!(
        "{kind}: {messages} messages of {:.1} KB in {:.1} s",
        mail / 1e3 / messages as f64,
        began.elapsed().as_secs_f64()
    );
    show("delivered", &store, messages, mail, dir)?;
    still("store-words")?;
    show("gathered", &store, messages, mail, dir)?;
    still("store-index")?;
    show("merged", &store, messages, mail, dir)?;
    store.close()?;
    Ok(())
}

/// Prints processor time by thread, for a message, and what is held and written.
fn show(when: &str, store: &Store, messages: u64, mail: f64, dir: &str) -> Result<(), Failure> {
    let memory = store.memory();
    let of = |thread: &str, all: &BTreeMap<String, u64>| {
        all.get(thread).copied().unwrap_or(0) as f64 / 1e3 / messages as f64
    };
    let cpu = cpu()?;
    println!(
        "{when}: us a message: words {:.1}, index {:.1}, writer {:.1}; tails {:.1} MB, {} messages, {:.0} octets each; \
         {} blocks, {:.3} of the mail",
        of("store-words", &cpu),
        of("store-index", &cpu),
        of("store-writer", &cpu),
        memory.tail_bytes as f64 / 1e6,
        memory.tail_messages,
        memory.tail_bytes as f64 / memory.tail_messages.max(1) as f64,
        blocks(dir, "count(*)", " AND key<cast('p' AS BLOB)")?,
        blocks(dir, "coalesce(sum(length(value)),0)", "")? as f64 / mail,
    );
    Ok(())
}

/// Waits until a thread has done nothing for a while.
fn still(thread: &str) -> Result<(), Failure> {
    let (mut before, mut quiet) = (None, 0);
    while quiet < 20 {
        let now = cpu()?.get(thread).copied();
        // Looking whether something is to be done takes some microseconds.
        let is_same = now.zip(before).is_some_and(|(now, before): (u64, u64)| now - before < 200_000);
        quiet = if is_same { quiet + 1 } else { 0 };
        before = now;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Nanoseconds of processor time by the name of the thread.
fn cpu() -> Result<BTreeMap<String, u64>, Failure> {
    let mut all = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        let name = std::fs::read_to_string(task.join("comm"))?;
        let times = std::fs::read_to_string(task.join("schedstat"))?;
        let time: u64 = times.split(' ').next().ok_or("no times")?.parse()?;
        *all.entry(name.trim().to_owned()).or_default() += time;
    }
    Ok(all)
}

/// Something of the rows of the index.
fn blocks(dir: &str, what: &str, which: &str) -> Result<i64, Failure> {
    let db = rusqlite::Connection::open(std::path::Path::new(dir).join("store.db"))?;
    db.busy_timeout(Duration::from_secs(10))?;
    let query = format!("SELECT {what} FROM kv WHERE account BETWEEN 1<<59 AND (1<<60)-1{which}");
    Ok(db.query_row(&query, [], |row| row.get(0))?)
}

async fn people(store: &Store, count: u64) -> Result<Arc<Vec<AccountId>>, Failure> {
    store.directory().put_domain(Domain::named("example.test"), false).await?;
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(person::add(store, &format!("user{n}@example.test")).await?);
    }
    Ok(Arc::new(ids))
}

/// A generator of numbers; the same ones each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    /// At least 0 and below 1.
    fn even(&mut self) -> f64 {
        self.below(1 << 30) as f64 / f64::from(1 << 30)
    }

    fn bytes(&mut self) -> usize {
        (BYTES.0 * (BYTES.1 / BYTES.0).powf(self.even())) as usize
    }

    /// Small numbers are likely, about as the ranks of words in a text are.
    fn word<'w>(&mut self, words: &'w [String]) -> &'w str {
        &words[((words.len() as f64).powf(self.even()) - 1.0) as usize]
    }

    fn token(&mut self, letters: &[u8], len: usize, out: &mut String) {
        out.extend((0..len).map(|_| char::from(letters[self.below(letters.len() as u64) as usize])));
    }
}

/// Words that look like some language's; the frequent ones are short, and some are not ASCII.
fn vocabulary() -> Vec<String> {
    const SOUNDS: [&str; 25] = [
        "the", "ba", "re", "in", "on", "te", "ni", "so", "la", "mi", "ver", "kon", "al", "es", "tra", "du",
        "gi", "pro", "ma", "fe", "lo", "sti", "nu", "ar", "\u{fc}",
    ];
    let mut dice = Dice(7);
    (0..VOCABULARY)
        .map(|rank| {
            let sounds = 1 + u64::from(rank.max(1).ilog2()) / 4 + dice.below(2);
            (0..sounds).map(|_| SOUNDS[dice.below(25) as usize]).collect()
        })
        .collect()
}

fn header(n: u64, dice: &mut Dice, words: &[String]) -> String {
    const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut token = |len: usize| {
        let mut out = String::new();
        dice.token(LOWER, len, &mut out);
        out
    };
    let (id, signature, other) = (token(24), token(172), token(12));
    let person = dice.below(500);
    let mut text = format!(
        "Received: from mx{}.example.test (mx.example.test [192.0.2.{}])\r\n\tby mail.example.test with ESMTPS id {other}\r\n\
         DKIM-Signature: v=1; a=rsa-sha256; d=example.test; s=s1;\r\n\th=from:to:subject:date; b={signature}\r\n\
         From: \"Person {person}\" <user{person}@example.test>\r\nTo: user@example.test\r\nSubject: Invoice {n}",
        n % 7,
        n % 250,
    );
    for _ in 0..3 {
        text.push(' ');
        text.extend(dice.word(words).chars().filter(char::is_ascii));
    }
    text.push_str(&format!(
        "\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <m{n}.{id}@example.test>\r\nMIME-Version: 1.0\r\n"
    ));
    text
}

fn letter(n: u64, words: &[String]) -> Vec<u8> {
    let mut dice = Dice(n << 20);
    let (octets, mut text) = (dice.bytes(), header(n, &mut dice, words));
    let mut link = String::new();
    dice.token(b"abcdefghijklmnopqrstuvwxyz0123456789", 32, &mut link);
    if n.is_multiple_of(2) {
        text.push_str("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        text.push_str(&format!("Dear customer, see https://www.example.test/track?id={link}\r\n"));
        prose(&mut dice, words, octets, &mut text);
        return text.into_bytes();
    }
    text.push_str("Content-Type: multipart/alternative; boundary=zz\r\n\r\n--zz\r\n");
    text.push_str("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
    let mut plain = String::new();
    prose(&mut dice, words, octets / 4, &mut plain);
    text.push_str(&plain);
    text.push_str("--zz\r\nContent-Type: text/html; charset=utf-8\r\n");
    text.push_str("Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    text.push_str(&format!("<html><body><a href=3D\"https://www.example.test/{link}\">=\r\n"));
    for line in plain.lines() {
        text.push_str("<tr><td style=3D\"font-family: Arial; color: #333333\"><p class=3D\"one=\r\n\">");
        for c in line.chars() {
            if c.is_ascii() {
                text.push(c);
            } else {
                text.push_str("=C3=BC");
            }
        }
        text.push_str("</p></td></tr>=\r\n");
    }
    text.push_str("</body></html>\r\n--zz--\r\n");
    text.into_bytes()
}

fn noise(n: u64, words: &[String]) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut dice = Dice(n << 20);
    let (octets, mut text) = (dice.bytes(), header(n, &mut dice, words));
    text.push_str("Content-Type: text/plain; charset=us-ascii\r\n\r\n");
    prose(&mut dice, &words[..32], octets.min(6000 + octets / 4), &mut text);
    while text.len() < octets {
        dice.token(DIGITS, 76, &mut text);
        text.push_str("\r\n");
    }
    text.into_bytes()
}

fn prose(dice: &mut Dice, words: &[String], octets: usize, text: &mut String) {
    let mut line = 0;
    while text.len() < octets {
        let word = dice.word(words);
        line += word.len() + 1;
        text.push_str(word);
        text.push_str(if line > 70 { "\r\n" } else { " " });
        line = if line > 70 { 0 } else { line };
    }
    text.push_str("\r\n");
}
