//! Many clients that do everything at random in shared mailboxes: processor time a command, and that no command is
//! answered wrongly.

use super::{Meter, Options, joined, latency, micros, started, stopped};
use crate::client::imap::Imap;
use crate::client::tls::KeyExchange;
use crate::corpus::{Dice, Letters};
use crate::peer::{Kind, PASSWORD, Running, Setup};
use crate::table::Row;
use std::io::Result;
use std::time::Instant;
use tokio::task::JoinSet;

const CLIENTS: usize = 32;
const ACCOUNTS: usize = 4;

/// Runs it.
pub async fn run(kind: Kind, options: &Options) -> Result<Vec<Row>> {
    let running = started(kind, options, Setup::accounts("stress", ACCOUNTS)).await?;
    let tls = running.tls(KeyExchange::X25519)?;
    let meter = Meter::new(&running);
    let until = Instant::now() + options.duration;
    let mut tasks = JoinSet::new();
    for n in 0..CLIENTS {
        let (to, tls) = (running.imaps, tls.clone());
        tasks.spawn(async move {
            let mut imap = Imap::tls(to, &tls).await?;
            imap.login(&Running::address(&format!("stress{}", n % ACCOUNTS)), PASSWORD).await?;
            let (mut letters, mut dice) = (Letters::new(n as u64), Dice::new(n as u64));
            imap.command(&super::mailbox::append(&mut letters, 3)).await?;
            imap.command("SELECT INBOX").await?;
            let mut samples = Vec::new();
            while Instant::now() < until {
                let command = any(&mut dice, &mut letters);
                let began = Instant::now();
                imap.command(&command).await?;
                samples.push(micros(began));
            }
            Ok(samples)
        });
    }
    let mut samples: Vec<u32> = joined(tasks).await?.concat();
    let spent = meter.read();
    let count = samples.len() as u64;
    let mut row = meter.rate("IMAP random commands, 32 clients in 4 mailboxes", "cmd/s", count, spent);
    row.latency_ms = latency(&mut samples);
    row.note = format!("{count} commands, every one answered OK");
    stopped(running).await?;
    Ok(vec![row])
}

/// Commands that may always be said, whatever the others do meanwhile: by UID, or on sets that reach to the end.
fn any(dice: &mut Dice, letters: &mut Letters) -> String {
    let uid = dice.below(400) + 1;
    let more = uid + dice.below(20);
    match dice.below(20) {
        0..3 => super::mailbox::append(letters, 1),
        3..8 => format!("UID FETCH {uid}:{more} (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"),
        8..10 => format!("UID FETCH {uid} (BODY.PEEK[])"),
        10..12 => format!("UID STORE {uid}:{more} +FLAGS (\\Seen)"),
        12 => format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"),
        13 => "EXPUNGE".to_owned(),
        14 => "UID SEARCH UNSEEN".to_owned(),
        15 => "UID SEARCH SUBJECT \"quarterly\"".to_owned(),
        16 => "STATUS INBOX (MESSAGES UNSEEN UIDNEXT)".to_owned(),
        17 => "LIST \"\" *".to_owned(),
        18 => "SELECT INBOX".to_owned(),
        _ => "NOOP".to_owned(),
    }
}
