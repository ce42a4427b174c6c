//! One large mailbox over IMAP inside TLS: what a client does with 100,000 messages.
//!
//! Commands one after another on one connection that is there already; the figure is the time from
//! sending the command to its tagged answer, the middle of several. The same messages in the same order at every server.

use super::{Meter, Options, joined, latency, micros, started, stopped};
use crate::client::bad;
use crate::client::imap::{Answer, Imap};
use crate::client::tls::{self, KeyExchange};
use crate::corpus::Letters;
use crate::peer::{Kind, PASSWORD, Running, Setup};
use crate::table::Row;
use std::io::Result;
use std::time::Instant;
use tokio::task::JoinSet;

/// Messages in one command while the mailbox is filled.
const FILL: usize = 100;
/// Bodies fetched by one connection.
const BODIES: usize = 20_000;

/// A timed command.
struct Timed {
    name: &'static str,
    command: String,
    /// Said before each, not timed.
    before: Option<&'static str>,
    repeats: usize,
    /// What the answer must hold.
    holds: fn(&Answer, u64) -> bool,
}

/// All of it.
pub async fn run(kind: Kind, options: &Options) -> Result<Vec<Row>> {
    let mut running = started(kind, options, Setup::accounts("big", 1)).await?;
    let tls = running.tls(KeyExchange::X25519)?;
    let count = options.mailbox;
    let (filled, octets) = fill(&running, &tls, count).await?;
    let mut rows = vec![filled];
    let mut imap = opened(&running, &tls).await?;
    imap.command("SELECT INBOX").await?;
    // A seventh is unread, as in a mailbox that somebody reads.
    imap.command("STORE 1:* +FLAGS.SILENT (\\Seen)").await?;
    imap.command(&format!("STORE {}:* -FLAGS.SILENT (\\Seen)", count - count / 7 + 1)).await?;
    for timed in commands(count as u64) {
        rows.push(time(&running, &mut imap, &timed, count as u64).await?);
    }
    rows.extend(bodies(&running, &mut imap, count.min(BODIES)).await?);
    rows.push(seen_by_another(&running, &tls, &mut imap).await?);
    imap.command("LOGOUT").await.ok();
    let running = tokio::task::spawn_blocking(move || running.restart().map(|()| running))
        .await
        .map_err(|e| bad(format!("restarting panicked: {e}")))??;
    rows.push(disk(&running, octets)?);
    let mut imap = opened(&running, &tls).await?;
    rows.push(cold(&running, &mut imap).await?);
    rows.push(expunge(&running, &mut imap, count).await?);
    rows.push(super::append::into_large(&running, &tls, options, "big0").await?);
    stopped(running).await?;
    Ok(rows)
}

fn commands(count: u64) -> Vec<Timed> {
    let timed = |name, command: &str, repeats, holds| Timed {
        name,
        command: command.to_owned(),
        before: None,
        repeats,
        holds,
    };
    let all: fn(&Answer, u64) -> bool = |answer, count| answer.lines >= count;
    let some: fn(&Answer, u64) -> bool = |answer, _| answer.found > 0;
    let none: fn(&Answer, u64) -> bool = |answer, _| answer.found == 0;
    let most: fn(&Answer, u64) -> bool = |answer, count| answer.found > count / 2;
    let envelopes = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)";
    let last = count.saturating_sub(999).max(1);
    vec![
        Timed {
            before: Some("CLOSE"),
            ..timed("SELECT, warm", "SELECT INBOX", 21, |answer, count| answer.exists == count)
        },
        timed("FETCH 1:* (FLAGS)", "FETCH 1:* (FLAGS)", 7, all),
        timed("FETCH 1:* with ENVELOPE", &format!("FETCH 1:* {envelopes}"), 5, all),
        timed("FETCH of the last 1,000 with ENVELOPE", &format!("FETCH {last}:* {envelopes}"), 15, |a, _| {
            a.lines >= 1000
        }),
        timed("SEARCH UNSEEN", "SEARCH UNSEEN", 15, some),
        timed("SEARCH SUBJECT, few match", "SEARCH SUBJECT \"quarterly zephyr\"", 15, some),
        timed("SEARCH FROM, few match", "SEARCH FROM \"wren17@\"", 15, some),
        timed("SEARCH BODY, none matches", "SEARCH BODY \"xylophonequartz\"", 7, none),
        timed("SEARCH BODY, nearly all match", "SEARCH BODY \"the\"", 7, most),
        timed("SORT (SUBJECT DATE)", "SORT (SUBJECT DATE) UTF-8 ALL", 5, |_, _| true),
        timed("THREAD REFERENCES", "THREAD REFERENCES UTF-8 ALL", 5, |_, _| true),
        timed("STORE 1:* +FLAGS.SILENT", "STORE 1:* +FLAGS.SILENT (\\Flagged)", 1, |_, _| true),
        timed("STORE 1:* -FLAGS.SILENT", "STORE 1:* -FLAGS.SILENT (\\Flagged)", 1, |_, _| true),
    ]
}

async fn opened(running: &Running, tls: &tls::Client) -> Result<Imap> {
    let mut imap = Imap::tls(running.imaps, tls).await?;
    imap.login(&Running::address("big0"), PASSWORD).await?;
    Ok(imap)
}

/// Fills INBOX over two connections, many messages a command. How many octets of mail that was, too.
async fn fill(running: &Running, tls: &tls::Client, count: usize) -> Result<(Row, u64)> {
    let meter = Meter::new(running);
    let mut tasks = JoinSet::new();
    for half in 0..2 {
        let (to, tls) = (running.imaps, tls.clone());
        tasks.spawn(async move {
            let mut imap = Imap::tls(to, &tls).await?;
            imap.login(&Running::address("big0"), PASSWORD).await?;
            let mut letters = Letters::new(half as u64);
            let mut left = count / 2 + if half == 0 { count % 2 } else { 0 };
            let mut octets = 0;
            while left > 0 {
                let now = left.min(FILL);
                let command = append(&mut letters, now);
                imap.command(&command).await?;
                left -= now;
                octets += command.len() as u64;
            }
            Ok(octets)
        });
    }
    let octets = joined(tasks).await?.into_iter().sum();
    let spent = meter.read();
    let mut row = meter.rate(
        format!("MULTIAPPEND of {FILL} into one mailbox, 2 connections"),
        "msg/s",
        count as u64,
        spent,
    );
    row.note = format!("{count} messages, {:.0} MB", octets as f64 / 1e6);
    Ok((row, octets))
}

/// APPEND of so many letters into INBOX.
pub fn append(letters: &mut Letters, count: usize) -> String {
    let mut command = String::from("APPEND INBOX");
    for _ in 0..count {
        let letter = letters.next_letter();
        command.push_str(&format!(" {{{}+}}\r\n", letter.len()));
        command.push_str(&letter);
    }
    command
}

async fn time(running: &Running, imap: &mut Imap, timed: &Timed, count: u64) -> Result<Row> {
    let mut samples = Vec::new();
    let meter = Meter::new(running);
    for _ in 0..timed.repeats {
        if let Some(before) = timed.before {
            imap.command(before).await?;
        }
        let began = Instant::now();
        let answer = imap.command(&timed.command).await?;
        samples.push(micros(began));
        if !(timed.holds)(&answer, count) {
            return Err(bad(format!("{}: not the answer that was wanted: {answer:?}", timed.command)));
        }
    }
    let spent = meter.read();
    Ok(row(running, timed.name, samples, Some(spent), timed.repeats))
}

fn row(
    running: &Running,
    name: &str,
    mut samples: Vec<u32>,
    spent: Option<super::Spent>,
    repeats: usize,
) -> Row {
    samples.sort_unstable();
    let middle = f64::from(samples[samples.len() / 2]) / 1e3;
    let mut row = Row::new(format!("IMAP {name}"), running.kind, middle, "ms", false);
    row.cpu_us = spent.map(|spent| spent.server_cpu.as_secs_f64() * 1e6 / repeats.max(1) as f64);
    row.latency_ms = latency(&mut samples);
    row
}

/// Bodies: one command a message (with some under way), and one for all.
async fn bodies(running: &Running, imap: &mut Imap, count: usize) -> Result<Vec<Row>> {
    let meter = Meter::new(running);
    let mut octets = 0;
    for n in 1..=count {
        octets += imap.command(&format!("FETCH {n} (BODY.PEEK[])")).await?.octets;
    }
    let spent = meter.read();
    let mut one = meter.rate("IMAP FETCH of a body, one command a message", "msg/s", count as u64, spent);
    one.note = format!("{count} messages of {:.1} KB", octets as f64 / 1e3 / count as f64);
    let meter = Meter::new(running);
    let began = Instant::now();
    let octets = imap.command(&format!("FETCH 1:{count} (BODY.PEEK[])")).await?.octets;
    let seconds = began.elapsed().as_secs_f64();
    let spent = meter.read();
    let mut all = meter.rate("IMAP FETCH of bodies, one command for all", "MB/s", count as u64, spent);
    all.value = octets as f64 / 1e6 / seconds;
    all.note = format!("{count} messages, {:.0} msg/s", count as f64 / seconds);
    Ok(vec![one, all])
}

/// A flag set here is seen there: from sending STORE to the other's FETCH answer in IDLE.
async fn seen_by_another(running: &Running, tls: &tls::Client, imap: &mut Imap) -> Result<Row> {
    let mut samples = Vec::new();
    let mut other = opened(running, tls).await?;
    other.command("SELECT INBOX").await?;
    for n in 0..20 {
        let began = Instant::now();
        let sign = if n % 2 == 0 { '+' } else { '-' };
        imap.command(&format!("STORE 1 {sign}FLAGS.SILENT (\\Answered)")).await?;
        let answer = other.command("NOOP").await?;
        if answer.lines == 0 {
            return Err(bad("a change of flags was not told to another session"));
        }
        samples.push(micros(began));
    }
    Ok(row(running, "STORE of one flag, and NOOP that tells it elsewhere", samples, None, 1))
}

/// EXPUNGE of every tenth message.
async fn expunge(running: &Running, imap: &mut Imap, count: usize) -> Result<Row> {
    let set: Vec<String> = (1..=count).step_by(10).map(|n| n.to_string()).collect();
    for part in set.chunks(2000) {
        imap.command(&format!("STORE {} +FLAGS.SILENT (\\Deleted)", part.join(","))).await?;
    }
    let meter = Meter::new(running);
    let began = Instant::now();
    let answer = imap.command("EXPUNGE").await?;
    let samples = vec![micros(began)];
    let spent = meter.read();
    if answer.lines < set.len() as u64 {
        return Err(bad("not all that was marked was expunged"));
    }
    Ok(row(running, "EXPUNGE of a tenth", samples, Some(spent), 1))
}

/// The first SELECT after a start.
async fn cold(running: &Running, imap: &mut Imap) -> Result<Row> {
    let began = Instant::now();
    imap.command("SELECT INBOX").await?;
    Ok(row(running, "SELECT, first after a restart", vec![micros(began)], None, 1))
}

/// What all files of the mailbox take, after a restart, so that logs are as short as they get.
fn disk(running: &Running, octets: u64) -> Result<Row> {
    let used = running.disk_bytes()?;
    let ratio = used as f64 / octets as f64;
    let mut row = Row::new("IMAP octets on disk for one of mail", running.kind, ratio, "", false);
    row.note = format!("{:.0} MB for {:.0} MB", used as f64 / 1e6, octets as f64 / 1e6);
    Ok(row)
}
