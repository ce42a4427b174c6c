//! What the doctor says of each document in a folder of autoconfig documents (`*.xml`), such as a copy of the public
//! database of mail providers: every plaintext entry with its sentence, then counts. Nothing is asked over the network.
//!
//! `cargo run -p sealpost-doctor --example ispdb -- DIR`

#![allow(clippy::print_stdout, reason = "it is a program for the terminal")]

use doctor::seen::{Looked, Lookup, Outcome, Source};
use doctor::{Question, verdict};
use proto::discovery::autoconfig;
use proto::service::Protection;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("which folder?")?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
    files.sort();
    let (mut unreadable, mut rows, mut plain, mut told, mut known) = (0, 0, 0, 0, 0);
    for path in &files {
        let domain = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let address = format!("me@{domain}");
        let document = match autoconfig::parse(&std::fs::read(path)?, Some(&address)) {
            Ok(document) => document,
            Err(why) => {
                unreadable += 1;
                println!("{domain}: {why}");
                continue;
            }
        };
        let entries = || document.incoming.iter().chain(&document.outgoing);
        rows += entries().count();
        let mut clear: Vec<String> = entries()
            .filter(|row| row.protection == Protection::Clear)
            .map(|row| verdict::words::spot(&row.host, row.port))
            .collect();
        clear.sort();
        clear.dedup();
        plain += clear.len();
        let looked = Looked {
            source: Source::IspDb,
            asked: domain.clone(),
            sent_address: false,
            outcome: Outcome::Found(document),
        };
        let lookup = Lookup { looked: vec![looked], ..Lookup::default() };
        let answer = verdict::judge(&question(&domain, address), &lookup, &[], 0);
        known += usize::from(doctor::provider::find(&domain, &[]).is_some());
        for finding in answer.findings.iter().filter(|finding| finding.code == "plaintext-entry") {
            told += finding.places.iter().filter(|place| clear.contains(place)).count();
            println!("{domain}: {} {}", finding.seen, finding.advice);
        }
    }
    println!(
        "{} documents, {unreadable} unreadable; {rows} entries, {plain} in plain text, {told} of them told; {known} domains with facts of their own",
        files.len()
    );
    if told == plain { Ok(()) } else { Err("a plaintext entry was not told".into()) }
}

fn question(domain: &str, address: String) -> Question {
    Question { address: Some(address), ..Question::about(domain) }
}
