//! `sealpost import`

use super::check::progress_bar;
use super::{Failure, operate};
use crate::settings::Settings;
use clap::{Args, ValueEnum};
use server::control::{Item, Request, Response, frame};
use server::import::{self, Kind, Options};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::account::Flags;

/// Octets of a message that travel in one frame.
const PIECE_BYTES: usize = 64 << 10;

/// Puts existing mail into an account.
#[derive(Debug, Args)]
pub struct Import {
    /// Which account
    address: String,
    /// An mbox file, a Maildir, or a folder of .eml files
    path: PathBuf,
    /// What it is; found out from the path if left out
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The mailbox for what lies at the root of the path
    #[arg(long, default_value = store::account::INBOX)]
    mailbox: String,
    /// Put subfolders into that mailbox too, instead of one mailbox each
    #[arg(long)]
    flat: bool,
}

/// Formats that can be read.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One file, messages between `From ` lines
    Mbox,
    /// A folder with cur and new, subfolders as mailboxes
    Maildir,
    /// A folder of files, one message each
    Eml,
}

impl Import {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        let settings = Settings::load(&super::settings_path(config)?)?;
        let kind = self.format.map(|format| match format {
            Format::Mbox => Kind::Mbox,
            Format::Maildir => Kind::Maildir,
            Format::Eml => Kind::Folder,
        });
        let plan = import::scan(&self.path, kind)?;
        let bar = progress_bar();
        bar.set_length(plan.messages);
        super::block_on(async {
            let mut line = operate::Line::open(&settings).await?;
            line.send(&Request::Import { address: self.address.clone() }).await?;
            let mut skipped = Vec::new();
            let options = Options { root: self.mailbox.clone(), mailboxes: !self.flat };
            for item in plan.items(options) {
                match item {
                    Ok(mut item) => {
                        let sent = send(&mut line, &mut item).await;
                        if let Err(failure) = sent {
                            // The other side stopped listening: its answer says why.
                            skipped.push(failure.to_string());
                            break;
                        }
                        bar.inc(1);
                    }
                    Err(problem) => skipped.push(problem.to_string()),
                }
            }
            // If the other side has hung up, the answer that it left is read below.
            let _ = frame::write_end(line.pipe()).await;
            let response = loop {
                match line.next().await? {
                    Response::Progress { .. } => {}
                    other => break other,
                }
            };
            bar.finish_and_clear();
            line.close().await?;
            for problem in &skipped {
                eprintln!("skipped: {problem}");
            }
            operate::print(response)
        })
    }
}

/// Sends one message.
async fn send(line: &mut operate::Line, item: &mut import::Item) -> Result<(), Failure> {
    let head = Item { mailbox: item.mailbox.clone(), flags: flags(item.marks).0, received: item.received };
    frame::write_json(line.pipe(), &head).await?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = item.reader.read(&mut piece)?;
        if read == 0 {
            break;
        }
        frame::write_piece(line.pipe(), &piece[..read]).await?;
    }
    Ok(frame::write_end(line.pipe()).await?)
}

/// The store's flags for what the other program had noted.
fn flags(marks: import::Marks) -> Flags {
    let all = [
        (marks.seen, Flags::SEEN),
        (marks.answered, Flags::ANSWERED),
        (marks.flagged, Flags::FLAGGED),
        (marks.deleted, Flags::DELETED),
        (marks.draft, Flags::DRAFT),
    ];
    Flags(all.iter().filter(|(set, _)| *set).fold(0, |bits, (_, flag)| bits | flag.0))
}
