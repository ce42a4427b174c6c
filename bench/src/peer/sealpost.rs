//! Sealpost itself, as an operator runs it: `serve` with a settings file, and
//! the command line for domain and accounts.

use super::{
    DOMAIN, HOST, Hash, Kind, PASSWORD, Places, Running, Setup, directory, free_port, identity, logged,
    output, wait_ready,
};
use crate::client::bad;
use crate::measure::ProcessTree;
use std::fs;
use std::io::{Result, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Ports of one start.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// SMTP from other servers.
    pub smtp: SocketAddr,
    /// POP3 with STLS.
    pub pop3: SocketAddr,
    /// POP3 with implicit TLS.
    pub pop3s: SocketAddr,
    /// IMAP with implicit TLS.
    pub imaps: SocketAddr,
}

impl Ports {
    /// Free ones.
    pub fn free() -> Result<Ports> {
        Ok(Ports { smtp: free_port()?, pop3: free_port()?, pop3s: free_port()?, imaps: free_port()? })
    }
}

/// Starts it on an empty store and adds the accounts.
pub fn start(places: &Places, setup: &Setup) -> Result<Running> {
    let directory = directory(places, "sealpost")?;
    let data = directory.path().join("data");
    let running = serve(places, &data, directory, setup)?;
    add_domain_and_accounts(places, &running.directory.path().join("settings.toml"), &setup.accounts)?;
    Ok(running)
}

/// Gives the running server the domain and accounts.
pub fn add_domain_and_accounts(places: &Places, settings: &Path, accounts: &[String]) -> Result<()> {
    output(command(places, settings).args(["domain", "add", DOMAIN]))?;
    add_accounts(places, settings, accounts)
}

/// The running server's domain takes logins without encryption, as it does at the beginning of its way to it.
pub fn take_clear_logins(places: &Places, settings: &Path) -> Result<()> {
    let rules = ["domain", "policy", DOMAIN, "--clear-login", "staged", "--stage", "observe"];
    output(command(places, settings).args(rules)).map(drop)
}

/// Starts it on the store in `data`; `directory` takes its settings, certificate and log.
pub fn serve(places: &Places, data: &Path, directory: tempfile::TempDir, setup: &Setup) -> Result<Running> {
    if !places.sealpost.exists() {
        return Err(bad(format!(
            "{} is missing: build it, or name it with --sealpost",
            places.sealpost.display()
        )));
    }
    let identity = identity(directory.path())?;
    let ports = Ports::free()?;
    let file = directory.path().join("settings.toml");
    fs::write(&file, settings(data, directory.path(), ports, setup))?;
    let log = directory.path().join("sealpost.log");
    let began = Instant::now();
    let mut serve = command(places, &file);
    serve.arg("serve");
    let commands = vec![super::remember(&serve)];
    let mut children = vec![logged(serve, &log)?];
    wait_ready(&[ports.smtp, ports.pop3], &[ports.pop3s, ports.imaps], &mut children, &log)?;
    Ok(Running {
        kind: Kind::Sealpost,
        smtp: ports.smtp,
        pop3: ports.pop3,
        pop3s: ports.pop3s,
        imaps: ports.imaps,
        ready_after: began.elapsed(),
        tree: ProcessTree::new(children.iter().map(std::process::Child::id).collect()),
        identity,
        queues: vec![],
        failures: vec![],
        children,
        commands,
        directory,
    })
}

/// `sealpost` with these settings.
pub fn command(places: &Places, settings: &Path) -> Command {
    let mut command = Command::new(&places.sealpost);
    command.arg("--config").arg(settings);
    command
}

/// Adds accounts through the command line, two at a time.
fn add_accounts(places: &Places, settings: &Path, accounts: &[String]) -> Result<()> {
    let halves = accounts.split_at(accounts.len() / 2);
    std::thread::scope(|scope| {
        let second =
            scope.spawn(|| halves.1.iter().try_for_each(|local| add_account(places, settings, local)));
        halves.0.iter().try_for_each(|local| add_account(places, settings, local))?;
        second.join().map_err(|_| bad("a thread that added accounts panicked"))?
    })
}

fn add_account(places: &Places, settings: &Path, local: &str) -> Result<()> {
    let mut child = command(places, settings)
        .args(["account", "add", &Running::address(local)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        writeln!(stdin, "{PASSWORD}")?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(bad(format!("adding {local} failed: {}", String::from_utf8_lossy(&output.stderr))))
}

/// The settings file. Paths are quoted as TOML literal strings, so they hold no
/// apostrophe: they are temporary directories that this program named.
fn settings(data: &Path, directory: &Path, ports: Ports, setup: &Setup) -> String {
    let (data, directory) = (data.display(), directory.display());
    let connections = setup.connections + 100;
    let mut text = format!(
        "host = \"{HOST}\"\ndata = '{data}'\n\n\
         [[tls.certificates]]\nchain = '{directory}/cert.pem'\nkey = '{directory}/key.pem'\n\n\
         [limits]\nconnections = {connections}\nconnections_per_network = {connections}\n\n\
         [limits.pop3]\nlogin_silence = \"1h\"\nsilence = \"1h\"\n\n",
    );
    if setup.cheap_accounts && setup.hash == Hash::Fast {
        text.push_str(
            "[password]\nargon2_memory = \"8 MiB\"\nargon2_passes = 1\nscram_iterations = 4096\n\n",
        );
    }
    for (name, protocol, security, address) in [
        ("mx", "smtp", "starttls", ports.smtp),
        ("pop3", "pop3", "starttls", ports.pop3),
        ("pop3s", "pop3", "implicit", ports.pop3s),
        ("imaps", "imap", "implicit", ports.imaps),
    ] {
        text.push_str(&format!(
            "[[listener]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nsecurity = \"{security}\"\n\
             addresses = [\"{}\"]\nport = {}\n\n",
            address.ip(),
            address.port()
        ));
    }
    text
}

/// What the program says of itself.
pub fn version(places: &Places) -> Result<String> {
    Ok(output(Command::new(&places.sealpost).arg("--version"))?.trim().to_owned())
}
