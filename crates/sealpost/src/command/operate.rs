//! Talks to the operator's side: the running service, or, when none runs, one
//! within this process that has the store open itself.

use super::Failure;
use crate::settings::Settings;
use server::control::frame::{self, Pipe};
use server::control::operator::Operator;
use server::control::{Request, Response, SOCKET};
use std::path::Path;
use std::process::ExitCode;
use store::Store;

/// A connection to an operator.
pub struct Line {
    pipe: Box<dyn Pipe>,
    /// The store, where this process opened it.
    own: Option<Store>,
}

impl Line {
    /// Connects to the service of these settings, or opens its store.
    pub async fn open(settings: &Settings) -> Result<Line, Failure> {
        let running = settings.running();
        Line::open_at(&running).await
    }

    /// As [`Line::open`], where there is something to open: a service that runs, or a store. Nothing is made.
    pub async fn open_if_there(settings: &Settings) -> Result<Option<Line>, Failure> {
        if Store::is_at(&settings.data) { Line::open(settings).await.map(Some) } else { Ok(None) }
    }

    async fn open_at(settings: &server::app::Settings) -> Result<Line, Failure> {
        if let Some(stream) = net::local::connect(&settings.data.join(SOCKET)).await? {
            return Ok(Line { pipe: Box::new(stream), own: None });
        }
        let store = Store::open(&settings.data, settings.store.clone())?;
        let operator = Operator::new(store.clone(), settings);
        let (ours, mut theirs) = tokio::io::duplex(256 << 10);
        tokio::spawn(async move {
            // The pipe closes when the command is done; that is no error.
            let _ = operator.serve(&mut theirs).await;
        });
        Ok(Line { pipe: Box::new(ours), own: Some(store) })
    }

    /// Sends a request.
    pub async fn send(&mut self, request: &Request) -> Result<(), Failure> {
        Ok(frame::write_json(&mut self.pipe, request).await?)
    }

    /// The next response.
    pub async fn next(&mut self) -> Result<Response, Failure> {
        frame::read_json(&mut self.pipe)
            .await?
            .ok_or_else(|| Failure("the service ended before it answered; see its log".to_owned()))
    }

    /// The connection itself, for what is not a request.
    pub fn pipe(&mut self) -> &mut Box<dyn Pipe> {
        &mut self.pipe
    }

    /// Hangs up; a store of our own is closed in order.
    pub async fn close(self) -> Result<(), Failure> {
        drop(self.pipe);
        if let Some(store) = self.own {
            tokio::task::spawn_blocking(move || store.close()).await??;
        }
        Ok(())
    }
}

/// One request, one answer, printed.
pub fn ask(config: Option<&Path>, request: &Request) -> Result<ExitCode, Failure> {
    let settings = Settings::load(&super::settings_path(config)?)?;
    super::block_on(async {
        let mut line = Line::open(&settings).await?;
        line.send(request).await?;
        let response = line.next().await?;
        line.close().await?;
        print(response)
    })
}

/// Shows a response.
pub fn print(response: Response) -> Result<ExitCode, Failure> {
    match response {
        Response::Done { text } => say(&text),
        Response::Table { columns, rows } => say(&table(&columns, &rows)),
        Response::Refused { text } => return Err(Failure(text)),
        Response::Flaws { sentences } => sentences.iter().for_each(|sentence| say(sentence)),
        Response::Progress { .. } | Response::Checked { .. } | Response::DnsChecked { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a line for the person at the keyboard.
#[allow(clippy::print_stdout, reason = "the one place of commands that writes to standard output")]
pub fn say(text: &str) {
    println!("{text}");
}

/// Prints what went wrong, as the program does at its end.
pub fn complain(text: &str) {
    eprintln!("sealpost: {text}");
}

/// Rows under headings, columns as wide as their widest cell.
#[must_use]
pub fn table(columns: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(columns.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count()))));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    std::iter::once(line(columns)).chain(rows.iter().map(|row| line(row))).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let cells = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let text = table(&cells(&["a", "name"]), &[cells(&["longer", "x"]), cells(&["é", "yy"])]);
        assert_eq!(text, "a       name\nlonger  x\né       yy");
    }
}
