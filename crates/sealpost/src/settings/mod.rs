//! The settings file: one TOML file, read whole, with every mistake at once.
//!
//! [`key`] is the table of all keys; [`read`] holds a file against it, here the
//! values become plain Rust ones, and [`render`] makes the commented example and
//! `docs/settings.md` of the same table. What must hold: a file either gives
//! complete settings or a list of all its mistakes with places and remedies;
//! nothing is guessed and nothing unknown passes. Not here: whether files exist
//! or ports can be bound; those who open them say so.

mod acme;
pub mod key;
mod listeners;
pub mod mistake;
pub mod read;
pub mod render;
pub mod unit;

use mistake::{Mistake, Mistakes};
use proto::discovery::mta_sts::Mode;
use proto::service::Model;
use proto::service::preset::Preset;
use proto::{imap, pop3, smtp};
use read::{Answers, Value};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Everything that an operator can set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Directory of the store.
    pub data: PathBuf,
    /// Host and listeners.
    pub model: Model,
    /// Certificates.
    pub tls: Tls,
    /// Certificates that are ordered; `None` orders none.
    pub acme: Option<Acme>,
    /// Limits on connections.
    pub connections: Connections,
    /// Mail coming in.
    pub smtp: Smtp,
    /// POP3.
    pub pop3: Pop3,
    /// Of one IMAP connection.
    pub imap: imap::server::Limits,
    /// Of one HTTP connection.
    pub web: net::https::Limits,
    /// What is promised of all domains to others.
    pub promises: server::app::Promises,
    /// Who may have mail examined on the web pages.
    pub doctor: server::app::Doctor,
    /// Passwords.
    pub password: Password,
    /// The store's own.
    pub store: store::Options,
    /// The log.
    pub log: Log,
    /// Time for commands under way at a stop.
    pub shutdown_grace_seconds: u32,
    /// What is hardly meant so, with its places.
    pub warnings: Mistakes,
}

/// Certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// (chain, key), the default first.
    pub certificates: Vec<(PathBuf, PathBuf)>,
    /// Ask OCSP responders and staple what they say.
    pub staple: bool,
    /// Authorities of client certificates.
    pub client_ca: Option<PathBuf>,
    /// Time for a handshake.
    pub handshake_seconds_max: u32,
}

/// Certificates that are ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// URL of the authority's directory.
    pub directory: String,
    /// A mail address for the authority.
    pub contact: Option<String>,
    /// Authorities of the directory's own host.
    pub ca: Option<PathBuf>,
    /// Names beside those of the service and its domains.
    pub names: Vec<String>,
    /// Names of our domains when they are asked for.
    pub on_demand: bool,
    /// `http-01` or `tls-alpn-01`; `None`: what the listeners can.
    pub challenge: Option<String>,
    /// Before its end a certificate is renewed at the latest; 0 sets nothing.
    pub renew_before_seconds: u32,
    /// Keys stay when certificates are renewed.
    pub keep_key: bool,
}

/// Limits on connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    /// In all.
    pub connections_max: usize,
    /// From one network.
    pub connections_per_network_max: usize,
    /// A peer that takes nothing is disconnected.
    pub stall_seconds_max: u32,
}

/// Mail coming in.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// Of one connection.
    pub limits: smtp::server::Limits,
    /// Lone CR or LF becomes CRLF instead of a refusal.
    pub normalise_newlines: bool,
    /// The From field must be the account's.
    pub require_from_match: bool,
    /// Received fields before a message counts as looping.
    pub received_max: u32,
    /// Octets of a header.
    pub header_bytes_max: usize,
}

/// POP3.
#[derive(Clone, Debug)]
pub struct Pop3 {
    /// Of one connection.
    pub limits: pop3::server::Limits,
    /// Between two logins of an account; 0 sets none.
    pub login_delay_seconds: u32,
}

/// Passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Password {
    /// Argon2id memory in KiB.
    pub argon2_memory_kib: u32,
    /// Argon2id passes.
    pub argon2_passes: u32,
    /// PBKDF2 rounds of new SCRAM keys.
    pub scram_iterations: u32,
    /// How long a proven secret is remembered; 0 remembers none.
    pub remember_seconds_max: u32,
    /// How many are remembered.
    pub remember_count_max: usize,
}

/// The log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// One JSON object a line.
    pub json: bool,
    /// Least important level: `error`, `warn`, `info`, `debug`, `trace`.
    pub level: tracing::Level,
}

impl Settings {
    /// Reads a file; relative paths in it start at its directory.
    pub fn load(path: &Path) -> Result<Settings, Mistakes> {
        let name = path.display().to_string();
        let text = std::fs::read(path).map_err(|e| {
            let what = format!("the settings cannot be read: {e}");
            let remedy = "make the file with: sealpost settings --example".to_owned();
            Mistakes { file: name.clone(), list: vec![Mistake { line: 1, column: 1, what, remedy }] }
        })?;
        let text = String::from_utf8(text).map_err(|e| {
            let (line, column) =
                mistake::position(&String::from_utf8_lossy(e.as_bytes()), e.utf8_error().valid_up_to());
            let (what, remedy) = ("this is not UTF-8".to_owned(), "save the file as UTF-8".to_owned());
            Mistakes { file: name.clone(), list: vec![Mistake { line, column, what, remedy }] }
        })?;
        Settings::parse(&text, &name, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads a text. `name` stands before each mistake; relative paths start at `base`.
    pub fn parse(text: &str, name: &str, base: &Path) -> Result<Settings, Mistakes> {
        let mut answers = read::read(text, true);
        let mut settings = Builder { answers: &mut answers, base }.settings();
        acme::check(&settings, &mut answers);
        settings.warnings = Mistakes { file: name.to_owned(), list: answers.take_warnings() };
        let list = answers.into_mistakes();
        if list.is_empty() { Ok(settings) } else { Err(Mistakes { file: name.to_owned(), list }) }
    }

    /// Settings in which everything that may be left out is left out: for the
    /// demo and tests, which bring their own certificates.
    #[must_use]
    pub fn defaults(host: &str, data: &Path, preset: Preset, addresses: &[IpAddr]) -> Settings {
        let mut answers = read::read("", false);
        let mut settings = Builder { answers: &mut answers, base: Path::new("") }.settings();
        settings.data = data.to_owned();
        settings.model = preset.model(host, addresses);
        settings
    }
}

/// Turns answers into settings. The getters give a harmless value where a
/// mistake was found; the mistakes then keep the settings from being used.
struct Builder<'a, 'b> {
    answers: &'a mut Answers<'b>,
    base: &'a Path,
}

impl Builder<'_, '_> {
    fn settings(&mut self) -> Settings {
        let preset = self.text("listen.preset").and_then(|name| Preset::from_name(&name)).unwrap_or_default();
        let model = self.model(preset);
        Settings {
            data: self.path("data").unwrap_or_default(),
            model,
            tls: self.tls(),
            acme: self.acme(),
            connections: Connections {
                connections_max: self.usize("limits.connections"),
                connections_per_network_max: self.usize("limits.connections_per_network"),
                stall_seconds_max: self.u32("limits.stall"),
            },
            smtp: Smtp {
                limits: self.smtp_limits(),
                normalise_newlines: self.switch("smtp.normalise_newlines").unwrap_or_default(),
                require_from_match: self.switch("smtp.require_from_match").unwrap_or_default(),
                received_max: self.u32("limits.received_fields"),
                header_bytes_max: self.usize("limits.message_header"),
            },
            imap: self.imap_limits(),
            pop3: Pop3 { limits: self.pop3_limits(), login_delay_seconds: self.u32("pop3.login_delay") },
            web: net::https::Limits {
                header_bytes_max: self.usize("limits.web.header"),
                body_bytes_max: self.usize("limits.web.body"),
                header_seconds_max: self.u32("limits.web.header_time"),
                body_seconds_max: self.u32("limits.web.body_time"),
                answer_seconds_max: self.u32("limits.web.answer_time"),
                idle_seconds_max: self.u32("limits.web.silence"),
                streams_max: self.u32("limits.web.streams"),
            },
            promises: self.promises(),
            doctor: match self.text("web.doctor").as_deref() {
                Some("off") => server::app::Doctor::Off,
                Some("everyone") => server::app::Doctor::Everyone,
                _ => server::app::Doctor::Accounts,
            },
            password: Password {
                argon2_memory_kib: narrow(self.number("password.argon2_memory").unwrap_or(0) >> 10),
                argon2_passes: self.u32("password.argon2_passes"),
                scram_iterations: self.u32("password.scram_iterations"),
                remember_seconds_max: self.u32("password.remember_for"),
                remember_count_max: self.usize("password.remember_count"),
            },
            store: store::Options {
                body_memory_bytes_max: self.usize("store.body_memory"),
                body_own_segment_bytes_min: self.number("store.body_own_segment").unwrap_or(0),
                segment_bytes_max: self.number("store.segment").unwrap_or(0),
                records_bytes_max: store::Options::default().records_bytes_max,
                columns_cache_bytes_max: self.usize("store.columns_cache"),
                term_cache_bytes_max: self.usize("store.term_cache"),
                view_cache_bytes_max: self.number("store.view_cache").unwrap_or(0),
            },
            log: Log {
                json: self.text("log.format").as_deref() == Some("json"),
                // The words of the key are tracing's own.
                level: self
                    .text("log.level")
                    .and_then(|word| word.parse().ok())
                    .unwrap_or(tracing::Level::INFO),
            },
            shutdown_grace_seconds: self.u32("shutdown.grace"),
            warnings: Mistakes::default(),
        }
    }

    fn tls(&mut self) -> Tls {
        let certificates = (0..self.answers.count("tls.certificates"))
            .filter_map(|i| {
                let chain = self.path(&format!("tls.certificates[{i}].chain"))?;
                Some((chain, self.path(&format!("tls.certificates[{i}].key"))?))
            })
            .collect();
        Tls {
            certificates,
            staple: self.switch("tls.staple").unwrap_or_default(),
            client_ca: self.path("tls.client_ca"),
            handshake_seconds_max: self.u32("limits.handshake"),
        }
    }

    fn promises(&mut self) -> server::app::Promises {
        let mut address = |path: &str| {
            let address = self.text(path)?;
            self.must_be_address(path, &address, "reports@example.org");
            Some(address)
        };
        let (dmarc_reports, tls_reports) = (address("dns.dmarc_reports"), address("dns.tls_reports"));
        let mode = self.text("smtp.mta_sts");
        server::app::Promises {
            ca: self.text("dns.ca"),
            dmarc_reports,
            tls_reports,
            mta_sts: Mode::ALL.into_iter().find(|known| mode.as_deref() == Some(known.word())),
        }
    }

    fn smtp_limits(&mut self) -> smtp::server::Limits {
        smtp::server::Limits {
            line_bytes_max: self.usize("limits.smtp.line"),
            auth_line_bytes_max: self.usize("limits.smtp.auth_line"),
            message_bytes_max: self.number("limits.smtp.message").unwrap_or(0),
            recipients_max: self.u32("limits.smtp.recipients"),
            mails_max: self.u32("limits.smtp.messages"),
            errors_max: self.u32("limits.smtp.errors"),
            idle_commands_max: self.u32("limits.smtp.idle_commands"),
            auth_failures_max: self.u32("limits.smtp.failed_logins"),
            command_seconds_max: self.u32("limits.smtp.command_silence"),
            data_seconds_max: self.u32("limits.smtp.message_silence"),
            data_bytes_per_second_min: self.u32("limits.smtp.message_rate"),
        }
    }

    fn imap_limits(&mut self) -> imap::server::Limits {
        imap::server::Limits {
            line_bytes_max: self.usize("limits.imap.line"),
            command_bytes_max: self.usize("limits.imap.command"),
            literals_max: self.usize("limits.imap.literals"),
            append_messages_max: self.u32("limits.imap.append_messages"),
            login_literal_bytes_max: self.number("limits.imap.login_literal").unwrap_or(0),
            login_discard_bytes_max: self.number("limits.imap.login_discard").unwrap_or(0),
            auth_line_bytes_max: self.usize("limits.imap.auth_line"),
            discard_bytes_max: self.number("limits.imap.discard").unwrap_or(0),
            errors_max: self.u32("limits.imap.errors"),
            auth_failures_max: self.u32("limits.imap.failed_logins"),
            idle_seconds_max: self.u32("limits.imap.silence"),
            login_seconds_max: self.u32("limits.imap.login_silence"),
            progress_milliseconds: self.u32("limits.imap.progress").saturating_mul(1000),
        }
    }

    fn pop3_limits(&mut self) -> pop3::server::Limits {
        pop3::server::Limits {
            line_bytes_max: self.usize("limits.pop3.line"),
            auth_line_bytes_max: self.usize("limits.pop3.auth_line"),
            errors_max: self.u32("limits.pop3.errors"),
            auth_failures_max: self.u32("limits.pop3.failed_logins"),
            idle_seconds_max: self.u32("limits.pop3.silence"),
            login_seconds_max: self.u32("limits.pop3.login_silence"),
            idle_commands_max: self.u32("limits.pop3.idle_commands"),
        }
    }

    fn text(&self, path: &str) -> Option<String> {
        match self.answers.get(path)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn path(&self, path: &str) -> Option<PathBuf> {
        self.text(path).map(|text| self.base.join(text))
    }

    fn number(&self, path: &str) -> Option<u64> {
        match self.answers.get(path)? {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    fn u32(&self, path: &str) -> u32 {
        self.number(path).map_or(0, narrow)
    }

    fn usize(&self, path: &str) -> usize {
        self.number(path).map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX))
    }

    fn switch(&self, path: &str) -> Option<bool> {
        match self.answers.get(path)? {
            Value::Switch(on) => Some(on),
            _ => None,
        }
    }

    fn hosts(&self, path: &str) -> Option<Vec<String>> {
        match self.answers.get(path)? {
            Value::Hosts(list) => Some(list),
            _ => None,
        }
    }

    fn addresses(&self, path: &str) -> Option<Vec<IpAddr>> {
        match self.answers.get(path)? {
            Value::Addresses(list) => Some(list),
            _ => None,
        }
    }
}

/// The table's ranges keep numbers far below this.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
