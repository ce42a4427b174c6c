//! `sealpost doctor`: the question from the command line, the answer in the form that was asked for.
//!
//! It reads no settings file and needs no service. Progress goes to standard error and only to a terminal; standard output
//! has the answer alone, so that it can be piped. The exit code is the answer's (`docs/doctor.md`).

use super::{Failure, guide, operate};
use crate::settings::unit;
use clap::Args;
use doctor::{Exit, Limits, Now, Progress, Question, Scope, Sources, Target, render, roots};
use indicatif::{ProgressBar, ProgressStyle};
use net::dns::Resolver;
use proto::guide::Lang;
use proto::proof::Secret;
use proto::service::ports;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Least and longest time of a run.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// Looking up may take this share of the run, in percent.
const LOOKUP_PERCENT: u32 = 42;
/// Octets of a file with authorities.
const CA_BYTES_MAX: u64 = 1 << 20;
/// Octets of a password from standard input.
const PASSWORD_BYTES_MAX: usize = 4096;
/// Milliseconds between two pictures of the progress display.
const PICTURE_MILLIS: u64 = 100;

/// Tells why mail does not connect.
#[derive(Debug, Args)]
#[command(after_help = help())]
pub struct Doctor {
    /// A mail address (me@example.com), a mail domain (@example.com) or a mail server (mail.example.com)
    target: String,
    /// What your mail program has today, PROTOCOL:[HOST:]PORT:SECURITY; say it once for reading and once for sending
    #[arg(long, value_name = "SETTING")]
    now: Vec<Now>,
    /// Show the steps for this mail program: outlook, apple, ios, thunderbird, android …
    #[arg(long, value_name = "PROGRAM", value_parser = client)]
    client: Option<String>,
    /// Try to sign in: asks for the password (or reads it from standard input), and sends it only where that is safe
    #[arg(long)]
    login: bool,
    #[command(flatten)]
    skip: Skip,
    /// Print the answer as JSON (documented in docs/doctor.md)
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the answer as Markdown, for a ticket
    #[arg(long)]
    markdown: bool,
    /// Show also what was looked up, probed and said
    #[arg(long, short)]
    verbose: bool,
    /// Language of the steps: en, de, el, es, fr; that of the terminal if not said
    #[arg(long, value_parser = guide::language)]
    lang: Option<Lang>,
    /// How long the whole may take
    #[arg(long, value_name = "TIME", value_parser = timeout, default_value = "9500ms")]
    timeout: Duration,
    /// Trust the authorities in this file too (PEM or DER)
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Sources that are not asked.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch on the command line")]
struct Skip {
    /// Do not ask the provider's own autoconfig documents
    #[arg(long)]
    no_autoconfig: bool,
    /// Do not ask the public database of mail providers
    #[arg(long)]
    no_ispdb: bool,
    /// Do not ask Autodiscover (the only source that gets the full address as a rule)
    #[arg(long)]
    no_autodiscover: bool,
    /// Do not ask for a PACC document
    #[arg(long)]
    no_pacc: bool,
    /// Do not ask for SRV records
    #[arg(long)]
    no_srv: bool,
    /// Do not ask for MX records
    #[arg(long)]
    no_mx: bool,
    /// Do not try names that people guess
    #[arg(long)]
    no_guess: bool,
}

impl Skip {
    fn sources(&self) -> Sources {
        Sources {
            autoconfig: !self.no_autoconfig,
            ispdb: !self.no_ispdb,
            autodiscover: !self.no_autodiscover,
            pacc: !self.no_pacc,
            srv: !self.no_srv,
            mx: !self.no_mx,
            guess: !self.no_guess,
        }
    }
}

/// What stands below the options.
fn help() -> String {
    let (imap, pop3, submission) = (ports::IMAP, ports::POP3S, ports::SUBMISSION);
    format!(
        "Examples:
  sealpost doctor me@example.com
      what to type in, and what is wrong with the provider or the network
  sealpost doctor me@example.com --now imap:{imap}:none --now smtp:{submission}:ssl
      which of your settings has to change: the port, the security, or both
  sealpost doctor me@example.com --client outlook --lang de
      the same with the steps for your mail program
  sealpost doctor me@example.com --login
      does the password work, and with which user name?
  sealpost doctor mail.example.com --markdown --verbose
      everything about one server, for a ticket

A setting of today is PROTOCOL:PORT:SECURITY or PROTOCOL:HOST:PORT:SECURITY, such as
pop3:mail.example.com:{pop3}:ssl. The protocol is imap, pop3 or smtp; the security is ssl (what
programs call SSL/TLS), starttls or none. With \":spa\" behind it \"Secure Password Authentication\"
is on.

Only the domain leaves this machine; where a source needs the full address, the answer says so.
A password is never sent without encryption, nor to a server that cannot prove its name.

Exit codes: 0 fine, 1 works but should change, 2 broken, 3 could not tell (no network, no time)."
    )
}

/// A program that the guide knows.
fn client(word: &str) -> Result<String, String> {
    let known = || proto::guide::clients(Lang::En).into_iter().map(|c| c.id).collect::<Vec<_>>().join(", ");
    proto::guide::find(word).map(|client| client.id).ok_or_else(|| format!("the guide has {}", known()))
}

/// `9s`, `9500ms`; a number alone is seconds.
fn timeout(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    let time = seconds.or_else(|| unit::duration_millis(text).map(Duration::from_millis));
    time.filter(|time| (TIMEOUT_MIN..=TIMEOUT_MAX).contains(time))
        .ok_or_else(|| "needs a time between 1s and 2m, such as 9s".to_owned())
}

impl Doctor {
    /// Runs it. A failure of its own is "could not tell": 1 would say that mail works.
    pub fn run(self) -> Result<ExitCode, Failure> {
        self.examine().or_else(|failure| {
            eprintln!("sealpost: {failure}");
            Ok(ExitCode::from(Exit::CannotTell.code()))
        })
    }

    fn examine(&self) -> Result<ExitCode, Failure> {
        let question = self.question()?;
        let resolver = Resolver::system(question.limits.lookup).map_err(|failed| Failure(failed.0))?;
        let bar = progress_bar();
        let progress = |step| show(&bar, step);
        let answer =
            super::block_on(async { Ok(doctor::examine(&question, &resolver, &progress, now()).await) })?;
        bar.finish_and_clear();
        let text = if self.json {
            render::json(&answer)
        } else if self.markdown {
            render::markdown(&answer, self.verbose)
        } else {
            render::text(&answer, coloured(), self.verbose, guide::columns())
        };
        operate::say(text.trim_end());
        Ok(ExitCode::from(answer.exit.code()))
    }

    fn question(&self) -> Result<Question, Failure> {
        let target = Target::read(&self.target, Scope::Anywhere)
            .map_err(|mistyped| Failure(format!("\"{}\" is {mistyped}", self.target.trim())))?;
        if self.login && target.address.is_none() {
            return Err(Failure(
                "to sign in the doctor needs the full address, such as me@example.com".to_owned(),
            ));
        }
        let password = if self.login { Some(password(&self.target)?) } else { None };
        let limits = Limits {
            run: self.timeout,
            lookup: (self.timeout * LOOKUP_PERCENT / 100).min(Limits::default().lookup),
            ..Limits::default()
        };
        Ok(Question {
            now: self.now.clone(),
            client: self.client.clone(),
            password,
            sources: self.skip.sources(),
            limits,
            lang: self.lang.unwrap_or_else(guide::locale),
            extra_roots: self.ca.as_deref().map(authorities).transpose()?.unwrap_or_default(),
            ..Question::of(target)
        })
    }
}

/// The password, without echo from a terminal, else a line of standard input.
fn password(address: &str) -> Result<Secret, Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(Secret::new(rpassword::prompt_password(format!("Password of {address}: "))?));
    }
    let mut line = Vec::new();
    let mut limited = std::io::Read::take(std::io::stdin().lock(), PASSWORD_BYTES_MAX as u64 + 1);
    limited.read_until(b'\n', &mut line)?;
    while matches!(line.last(), Some(b'\r' | b'\n')) {
        line.pop();
    }
    match line.len() {
        0 => Err(Failure("there is no password on standard input".to_owned())),
        length if length > PASSWORD_BYTES_MAX => Err(Failure("the password is too long".to_owned())),
        _ => Ok(Secret::new(line)),
    }
}

fn authorities(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let fault = |why: &str| Failure(format!("{} cannot be used: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| fault(&error.to_string()))?.len();
    if size > CA_BYTES_MAX {
        return Err(fault("it is too large"));
    }
    let octets = std::fs::read(path).map_err(|error| fault(&error.to_string()))?;
    roots::read(&octets).map_err(|why| fault(&why))
}

/// A display on standard error, which shows nothing where that is no terminal.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(PICTURE_MILLIS));
    bar.set_message("looking up");
    bar
}

fn show(bar: &ProgressBar, step: Progress) {
    match step {
        Progress::Looked(source, what) => bar.set_message(render::clean(&format!("{source}: {what}"))),
        Progress::Planned(count) => bar.set_length(count as u64),
        Progress::Probed(host, port, what) => {
            bar.inc(1);
            bar.set_message(render::clean(&format!("{host}:{port} {what}")));
        }
    }
}

/// Colour goes to terminals only, and not where <https://no-color.org> is asked for.
fn coloured() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    std::io::stdout().is_terminal() && !refused && !dumb
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(timeout("9s"), Ok(Duration::from_secs(9)));
        assert_eq!(timeout("9"), Ok(Duration::from_secs(9)));
        assert_eq!(timeout("9500ms"), Ok(Duration::from_millis(9500)));
        for text in ["", "0", "0s", "1h", "soon"] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_help_teaches_with_settings_that_are_read() {
        for word in
            help().split_whitespace().filter(|word| word.starts_with("imap:") || word.starts_with("pop3:"))
        {
            assert!(word.trim_end_matches('.').parse::<Now>().is_ok(), "{word}");
        }
    }

    #[test]
    fn clients_are_those_of_the_guide() {
        for word in ["outlook", "apple", "ios", "thunderbird", "android"] {
            assert!(client(word).is_ok(), "{word}");
        }
        assert!(client("pine-cone").is_err());
    }
}
