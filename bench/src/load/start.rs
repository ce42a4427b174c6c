//! From the start of the program to the first greeting, on a store of a
//! thousand accounts and a million small messages.
//!
//! The store is made once through `sealpost import` and kept for later runs.
//! Two figures: with its files in the page cache, and after they were dropped
//! from it. Peers keep no store that they open at their start; theirs is on
//! an empty one and is for information.

use super::{Options, started, stopped};
use crate::client::bad;
use crate::measure::quantile;
use crate::peer::sealpost::{command, serve};
use crate::peer::{Kind, Running, Setup};
use crate::table::Row;
use std::fs;
use std::io::{BufWriter, Result, Write};
use std::path::Path;

/// Starts of which the median counts.
const STARTS: usize = 5;

/// Warm and cold.
pub async fn run(kind: Kind, options: &Options) -> Result<Vec<Row>> {
    if kind != Kind::Sealpost {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            let running = started(kind, options, Setup::accounts("start", 1000)).await?;
            times.push(running.ready_after.as_micros().min(u128::from(u32::MAX)) as u32);
            stopped(running).await?;
        }
        let mut row = row("Start to ready, nothing stored", kind, &mut times);
        row.note = "for information".to_owned();
        return Ok(vec![row]);
    }
    let options = options.clone();
    tokio::task::spawn_blocking(move || ours(&options))
        .await
        .map_err(|e| bad(format!("a start panicked: {e}")))?
}

fn ours(options: &Options) -> Result<Vec<Row>> {
    let data = large_store(options)?;
    let (mut warm, mut cold) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        cold.push(once(options, &data, true)?);
        warm.push(once(options, &data, false)?);
    }
    let (accounts, each) = options.large_store;
    let store = format!("{accounts} accounts, {} messages", accounts * each);
    Ok(vec![
        row(&format!("Start to ready, {store}"), Kind::Sealpost, &mut warm),
        row(&format!("Start to ready, {store}, not in the page cache"), Kind::Sealpost, &mut cold),
    ])
}

fn row(name: &str, kind: Kind, times: &mut [u32]) -> Row {
    let mut row = Row::new(name, kind, f64::from(quantile(times, 0.5)) / 1e3, "ms", false);
    row.latency_ms = Some((f64::from(quantile(times, 0.5)) / 1e3, f64::from(quantile(times, 1.0)) / 1e3));
    row.note = format!("{STARTS} starts; right figure is the longest");
    row
}

/// One start; microseconds.
fn once(options: &Options, data: &Path, drop_cache: bool) -> Result<u32> {
    if drop_cache {
        dropped_from_cache(data)?;
    }
    let directory = crate::peer::directory(&options.places, "start")?;
    let running = serve(&options.places, data, directory, &Setup::accounts("start", 0))?;
    let micros = running.ready_after.as_micros().min(u128::from(u32::MAX)) as u32;
    running.stop()?;
    Ok(micros)
}

/// Asks the kernel to forget the pages of these files, and of no others.
fn dropped_from_cache(path: &Path) -> Result<()> {
    use rustix::fs::{Advice, fadvise};
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            dropped_from_cache(&path)?;
        } else {
            let file = fs::File::open(&path)?;
            // Pages that are not on the disk yet would stay.
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// The data directory of the large store; made if it is not there yet.
fn large_store(options: &Options) -> Result<std::path::PathBuf> {
    let (accounts, each) = options.large_store;
    let kept = options.large_store_dir.join(format!("{accounts}x{each}"));
    let (data, done) = (kept.join("data"), kept.join("complete"));
    if done.exists() {
        return Ok(data);
    }
    if kept.exists() {
        fs::remove_dir_all(&kept)?;
    }
    fs::create_dir_all(&kept)?;
    eprintln!("making a store of {accounts} accounts and {} messages in {}", accounts * each, kept.display());
    let directory = crate::peer::directory(&options.places, "large")?;
    let mbox = directory.path().join("import.mbox");
    let settings = directory.path().join("settings.toml");
    let setup = Setup { cheap_accounts: true, ..Setup::accounts("large", accounts) };
    let running = serve(&options.places, &data, directory, &setup)?;
    crate::peer::sealpost::add_domain_and_accounts(&options.places, &settings, &setup.accounts)?;
    for (i, local) in setup.accounts.iter().enumerate() {
        write_mbox(&mbox, local, each)?;
        let import = command(&options.places, &settings)
            .args(["import", &Running::address(local)])
            .arg(&mbox)
            .output()?;
        if !import.status.success() {
            return Err(bad(format!("import failed: {}", String::from_utf8_lossy(&import.stderr))));
        }
        if (i + 1) % 100 == 0 {
            eprintln!("{} of {accounts} mailboxes filled", i + 1);
        }
    }
    running.stop()?;
    fs::write(done, "")?;
    Ok(data)
}

/// A mailbox of small messages, each different from all others in the store.
fn write_mbox(path: &Path, local: &str, messages: usize) -> Result<()> {
    let mut out = BufWriter::new(fs::File::create(path)?);
    for i in 0..messages {
        write!(
            out,
            "From sender@load.example.net Mon Mar  2 10:00:00 2026\n\
             From: Load <sender@load.example.net>\nTo: you@example.test\n\
             Date: Mon, 02 Mar 2026 10:00:00 +0000\nSubject: Small {i}\nMessage-ID: <{local}.{i}@load.example.net>\n\n\
             A small message, number {i} for {local}, as most are.\n\n"
        )?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mailbox_file_holds_its_messages() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.mbox");
        write_mbox(&path, "a", 3).unwrap();
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("From ")).count(), 3);
        assert_eq!(text.matches("\n\nFrom ").count(), 2, "an empty line before each further one");
    }
}
