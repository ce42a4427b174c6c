//! `sealpost demo`: a whole service on loopback, furnished and explained.

use super::{Failure, operate};
use crate::settings::Settings;
use clap::Args;
use net::authority::{Authority, KeyKind};
use proto::service::preset::Preset;
use proto::service::{self, Model, Protection, Protocol};
use server::demo::stage::{self, Stage};
use server::run::{Running, StartError};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The name on the certificate: every machine resolves it to itself (RFC 6761).
const HOST: &str = "localhost";

/// Runs a complete service to try things out.
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep the store, the certificates and the passwords in this directory (default: a temporary one, removed at the end)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Which listeners: modern, submission-first, compatible or challenge-only
    #[arg(long, value_name = "NAME", default_value = "compatible", value_parser = preset)]
    preset: Preset,
    /// Write a description of the running service (host, CA, ports, 20 users) as TOML to this file
    #[arg(long, value_name = "FILE")]
    describe: Option<PathBuf>,
    /// Log level: error, warn, info, debug
    #[arg(long, default_value = "warn")]
    log: tracing::Level,
}

fn preset(name: &str) -> Result<Preset, String> {
    Preset::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Preset::ALL.iter().map(|p| p.name()).collect();
        format!("there are {}", names.join(", "))
    })
}

impl Demo {
    /// Runs it until Ctrl-C.
    pub fn run(self) -> Result<ExitCode, Failure> {
        super::serve::start_log(false, self.log);
        let temporary = match &self.data {
            Some(_) => None,
            None => Some(Temporary::new()?),
        };
        let data = match (&self.data, &temporary) {
            (Some(data), _) => data.clone(),
            (None, Some(temporary)) => temporary.0.clone(),
            (None, None) => return Err(Failure("no directory".to_owned())),
        };
        std::fs::create_dir_all(&data)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let outcome = runtime.block_on(self.serve(&data));
        drop(runtime);
        drop(temporary);
        outcome
    }

    async fn serve(&self, data: &Path) -> Result<ExitCode, Failure> {
        let mut stop = super::serve::StopSignal::new()?;
        let authority = Authority::open(&data.join("ca"))?;
        let below = |label: &&str| format!("{label}.{}", stage::DOMAIN);
        let discovery: Vec<String> = server::publish::DISCOVERY_LABELS.iter().map(below).collect();
        let mut hosts = vec![HOST, stage::DOMAIN, "127.0.0.1", "::1"];
        hosts.extend(discovery.iter().map(String::as_str));
        let mut pairs = Vec::new();
        for (kind, name) in [(KeyKind::Ecdsa, "server-ecdsa"), (KeyKind::Rsa, "server-rsa")] {
            let pair = authority.server(kind, &hosts)?.write(&data.join("ca"), name)?;
            pairs.push((pair.chain, pair.key));
        }
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let mut settings = Settings::defaults(HOST, data, self.preset, &loopback);
        settings.tls.certificates = pairs;
        settings.model = Model::demo(HOST, self.preset, &loopback);
        settings.connections.connections_per_network_max = usize::MAX;
        let running = match Running::start(settings.running(), Some(web::pages)).await {
            Err(StartError::AddressInUse(_)) => {
                settings.model.listeners.iter_mut().for_each(|l| l.port = 0);
                Running::start(settings.running(), Some(web::pages)).await?
            }
            other => other?,
        };
        operate::say("Filling the mailboxes ...");
        let app = running.app();
        let stage = stage::set(&app.store, &app.settings.auth.cost).await?;
        app.refresh()?;
        let ca = authority.certificate_file().to_owned();
        if let Some(file) = &self.describe {
            std::fs::write(file, describe(&ca, running.addresses(), &stage))?;
        }
        operate::say(&explain(&ca, running.addresses(), &stage, &app.settings.model));
        stop.came().await;
        operate::say("\nStopping ...");
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

/// A directory that is gone when the demo ends.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Result<Temporary, Failure> {
        let path = std::env::temp_dir().join(format!("sealpost-demo-{:08x}", rand::random::<u32>()));
        std::fs::create_dir(&path)?;
        Ok(Temporary(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

type Addresses = [(std::sync::Arc<proto::service::Listener>, SocketAddr)];

fn port(addresses: &Addresses, protocol: Protocol, protection: Protection) -> Option<u16> {
    addresses
        .iter()
        .find(|(l, _)| l.protocol == protocol && l.protection == protection)
        .map(|(_, a)| a.port())
}

/// The description for other programs' trials.
fn describe(ca: &Path, addresses: &Addresses, stage: &Stage) -> String {
    let mut text = format!(
        "name = \"sealpost demo\"\nhost = \"{HOST}\"\nca = {}\ndomain = \"{}\"\n\n[ports]\n",
        quoted(&ca.display().to_string()),
        stage::DOMAIN
    );
    // Writing to a String cannot fail.
    for (listener, address) in addresses {
        let _ = writeln!(text, "{} = {}", listener.name, address.port());
    }
    for user in &stage.trial_users {
        let _ = write!(
            text,
            "\n[[user]]\naddress = {}\npassword = {}\n",
            quoted(&user.address),
            quoted(&user.password)
        );
    }
    // Where mail for elsewhere will go once sending is built; until then it is refused.
    let relay = service::ports::SUBMISSION_ALTERNATE;
    let _ = write!(text, "\n[relay]\ndomain = \"elsewhere.test\"\nport = {relay}\n");
    text.push_str("\n[expect]\nscram_plus = true\npq_group = true\n");
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What the person at the keyboard needs to know.
fn explain(ca: &Path, addresses: &Addresses, stage: &Stage, model: &Model) -> String {
    let cells = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = addresses
        .iter()
        .map(|(listener, address)| {
            let (what, who) = match listener.protocol {
                Protocol::Smtp if model.clients_on_exchange => ("mail from other servers (SMTP)", "possible"),
                Protocol::Smtp => ("mail from other servers (SMTP)", "none"),
                Protocol::Submission => ("send mail (SMTP submission)", "needed"),
                Protocol::Lmtp => ("mail from a local mail server (LMTP)", "none"),
                Protocol::Imap => ("read mail (IMAP)", "needed"),
                Protocol::Pop3 => ("fetch mail (POP3)", "needed"),
                // The doctor's page wants to know who asks.
                Protocol::Web if model.password_sent && listener.protection == Protection::Implicit => {
                    ("web pages", "possible")
                }
                Protocol::Web => ("web pages", "none"),
            };
            let security = match listener.protection {
                Protection::Implicit => "SSL/TLS",
                Protection::StartTls => "STARTTLS",
                Protection::Clear => "none",
            };
            cells(&[what, HOST, &address.port().to_string(), security, who])
        })
        .collect();
    let mut text = format!("\nSealpost runs. Domain {}, CA file {}\n\n", stage::DOMAIN, ca.display());
    text.push_str(&operate::table(&cells(&["what", "host", "port", "security", "login"]), &rows));
    text.push_str("\n\n");
    let people: Vec<Vec<String>> = stage
        .people
        .iter()
        .map(|u| cells(&[&u.address, &u.password, &u.name, &u.messages.to_string()]))
        .collect();
    text.push_str(&operate::table(&cells(&["user", "password", "name", "messages"]), &people));
    let empty = match (stage.trial_users.first(), stage.trial_users.last()) {
        (Some(first), Some(last)) => format!(
            "\n\nEmpty mailboxes: {} to {}; {}'s password is {}. team@{} leads to all of the people above.\n",
            first.address,
            last.address,
            first.address,
            first.password,
            stage::DOMAIN
        ),
        _ => "\n".to_owned(),
    };
    text.push_str(&empty);
    text.push_str(&examples(ca, addresses, stage));
    text.push_str("\nCtrl-C ends it.");
    text
}

/// Lines to copy and paste.
fn examples(ca: &Path, addresses: &Addresses, stage: &Stage) -> String {
    let (Some(alice), Some(bob)) = (stage.people.first(), stage.people.get(1)) else { return String::new() };
    let ca = ca.display();
    let (user, password, to) = (&alice.address, &alice.password, &bob.address);
    let mut text = String::new();
    if let Some(port) = port(addresses, Protocol::Web, Protection::Implicit) {
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "\nWeb pages: https://{HOST}:{port}/  (a browser asks before it trusts this CA)");
    }
    text.push_str("\nTo copy and paste:\n");
    let mut add = |line: String| {
        let _ = writeln!(text, "  {line}");
    };
    if let Some(port) = port(addresses, Protocol::Imap, Protection::Implicit) {
        add(format!("curl --cacert {ca} -u {user}:{password} imaps://{HOST}:{port}/        # mailboxes"));
        add(format!(
            "curl --cacert {ca} -u {user}:{password} 'imaps://{HOST}:{port}/INBOX;UID=1'  # read a message"
        ));
        add(format!("curl --cacert {ca} -u {user}:{password} 'imaps://{HOST}:{port}/INBOX?ALL'    # search"));
        add(format!("openssl s_client -quiet -crlf -CAfile {ca} -connect {HOST}:{port}"));
    }
    if let Some(port) = port(addresses, Protocol::Imap, Protection::StartTls) {
        add(format!("openssl s_client -quiet -crlf -CAfile {ca} -starttls imap -connect {HOST}:{port}"));
    }
    if let Some(port) = port(addresses, Protocol::Pop3, Protection::Implicit) {
        add(format!("curl --cacert {ca} -u {user}:{password} pop3s://{HOST}:{port}/        # list"));
        add(format!(
            "curl --cacert {ca} -u {user}:{password} pop3s://{HOST}:{port}/1       # read the first"
        ));
        add(format!("openssl s_client -quiet -crlf -CAfile {ca} -connect {HOST}:{port}"));
    }
    if let Some(port) = port(addresses, Protocol::Submission, Protection::Implicit) {
        add(format!(
            "swaks --server {HOST}:{port} --tls-on-connect --tls-ca-path {ca} --tls-verify \
             --auth PLAIN --auth-user {user} --auth-password {password} --from {user} --to {to}"
        ));
    }
    if let Some(port) = port(addresses, Protocol::Submission, Protection::StartTls) {
        add(format!(
            "swaks --server {HOST}:{port} --tls --tls-ca-path {ca} --tls-verify \
             --auth PLAIN --auth-user {user} --auth-password {password} --from {user} --to {to}"
        ));
    }
    if let Some(port) = port(addresses, Protocol::Smtp, Protection::StartTls) {
        add(format!(
            "swaks --server {HOST}:{port} --tls --tls-ca-path {ca} --from friend@elsewhere.test --to {to}"
        ));
    }
    if let Some(port) = port(addresses, Protocol::Pop3, Protection::StartTls) {
        add(format!("openssl s_client -quiet -crlf -CAfile {ca} -starttls pop3 -connect {HOST}:{port}"));
    }
    if let Some(port) = port(addresses, Protocol::Web, Protection::Implicit) {
        let name = format!("autoconfig.{}", stage::DOMAIN);
        add(format!(
            "curl --cacert {ca} --connect-to {name}:{port}:{HOST}:{port} \
             'https://{name}:{port}/mail/config-v1.1.xml?emailaddress={user}'"
        ));
    }
    text
}
