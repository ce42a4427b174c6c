//! Servers under test: started for one workload on free loopback ports in a
//! directory of their own, and stopped and removed after it.
//!
//! Each gets the same accounts, the same certificate and the same disk. Only
//! one runs at a time.

pub mod postfix_dovecot;
pub mod sealpost;

use crate::client::bad;
use crate::client::tls::{Client, KeyExchange};
use crate::measure::ProcessTree;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use std::fs;
use std::io::Result;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The host name of every server under test.
pub const HOST: &str = "mx.example.test";
/// Its mail domain.
pub const DOMAIN: &str = "example.test";
/// Everybody's password.
pub const PASSWORD: &str = "correct-horse-battery";
/// A server must answer within this time after its start.
const START_SECONDS_MAX: u64 = 60;
/// A server must end within this time after it was told to.
const STOP_SECONDS_MAX: u64 = 30;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// This project.
    Sealpost,
    /// Debian's Postfix, delivering by LMTP to Debian's Dovecot.
    PostfixDovecot,
}

impl Kind {
    /// Its name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sealpost => "sealpost",
            Kind::PostfixDovecot => "postfix-dovecot",
        }
    }
}

/// How passwords are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// As cheap as the server has it: one SHA-256 at the peer. Sealpost has one way only.
    Fast,
    /// A slow hash: BLF-CRYPT at the peer, Argon2id at Sealpost.
    Slow,
}

/// What a workload needs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Local parts of the accounts.
    pub accounts: Vec<String>,
    /// How passwords are kept.
    pub hash: Hash,
    /// Connections at once, at most.
    pub connections: usize,
    /// The cheapest hash that the server allows, where adding accounts is not what is measured.
    pub cheap_accounts: bool,
}

impl Setup {
    /// Accounts `prefix0`, `prefix1`, ...
    pub fn accounts(prefix: &str, count: usize) -> Setup {
        let accounts = (0..count).map(|i| format!("{prefix}{i}")).collect();
        Setup { accounts, hash: Hash::Fast, connections: 256, cheap_accounts: false }
    }
}

/// Where things are on this machine.
#[derive(Clone, Debug)]
pub struct Places {
    /// The program `sealpost`.
    pub sealpost: PathBuf,
    /// Parent of the servers' directories; on the disk to be measured.
    pub work: PathBuf,
}

/// A program, its arguments, and what is added to its environment.
type Start = (std::ffi::OsString, Vec<std::ffi::OsString>, Vec<(std::ffi::OsString, std::ffi::OsString)>);

/// What is needed to start this once more.
fn remember(command: &Command) -> Start {
    let variables =
        command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    (command.get_program().to_owned(), command.get_args().map(ToOwned::to_owned).collect(), variables)
}

/// Certificate and key that a server gets.
pub struct Identity {
    /// The certificate, alone.
    pub certificate: CertificateDer<'static>,
    /// PEM file of it.
    pub chain_file: PathBuf,
    /// PEM file of the key.
    pub key_file: PathBuf,
}

/// A running server.
pub struct Running {
    /// Which.
    pub kind: Kind,
    /// SMTP from other servers.
    pub smtp: SocketAddr,
    /// POP3 that begins in clear.
    pub pop3: SocketAddr,
    /// POP3 with implicit TLS.
    pub pop3s: SocketAddr,
    /// IMAP with implicit TLS.
    pub imaps: SocketAddr,
    /// Its processes.
    pub tree: ProcessTree,
    /// From the start of the program to the first greeting on each port.
    pub ready_after: Duration,
    identity: Identity,
    /// Directories that are empty when nothing waits for delivery any more.
    queues: Vec<PathBuf>,
    /// A file there means that a delivery failed.
    failures: Vec<PathBuf>,
    children: Vec<Child>,
    /// How the children are started, for starting them again.
    commands: Vec<Start>,
    // Last, so that it is removed after everything that uses it.
    directory: tempfile::TempDir,
}

impl Running {
    /// A TLS client of this server.
    pub fn tls(&self, exchange: KeyExchange) -> Result<Client> {
        Client::new(HOST, self.identity.certificate.clone(), exchange)
    }

    /// Full address of an account.
    pub fn address(local: &str) -> String {
        format!("{local}@{DOMAIN}")
    }

    /// Passwords may be sent in clear from now on. Sealpost refuses them unless the domain's rules take them while it is observed.
    pub fn take_clear_logins(&self, places: &Places) -> Result<()> {
        match self.kind {
            Kind::Sealpost => {
                sealpost::take_clear_logins(places, &self.directory.path().join("settings.toml"))
            }
            Kind::PostfixDovecot => Ok(()),
        }
    }

    /// True if accepted mail may still wait in a queue. An error if some could not be delivered.
    pub fn queued(&self) -> Result<bool> {
        for directory in &self.failures {
            if has_file(directory)? {
                return Err(bad(format!("mail could not be delivered: see {}", directory.display())));
            }
        }
        for directory in &self.queues {
            if has_file(directory)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stops it and starts it again on the same data, and waits until it greets.
    pub fn restart(&mut self) -> Result<()> {
        stop_all(&mut self.children)?;
        let log = self.directory.path().join("restart.log");
        for (program, arguments, variables) in &self.commands {
            let mut command = Command::new(program);
            command.args(arguments).envs(variables.iter().cloned());
            self.children.push(logged(command, &log)?);
        }
        self.tree = ProcessTree::new(self.children.iter().map(Child::id).collect());
        let (clear, implicit) = ([self.smtp, self.pop3], [self.pop3s, self.imaps]);
        wait_ready(&clear, &implicit, &mut self.children, &log)
    }

    /// What the files with the mail and all that is kept of it take on the disk.
    pub fn disk_bytes(&self) -> Result<u64> {
        let mail = match self.kind {
            Kind::Sealpost => "data",
            Kind::PostfixDovecot => "mail",
        };
        disk_bytes(&self.directory.path().join(mail))
    }

    /// Stops it in its own order and waits for the end of all its processes.
    pub fn stop(mut self) -> Result<()> {
        stop_all(&mut self.children)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only where a workload failed; then the first error is the one to report.
        let _ = stop_all(&mut self.children);
    }
}

/// Starts a server. Call it where blocking is allowed.
pub fn start(kind: Kind, places: &Places, setup: &Setup) -> Result<Running> {
    match kind {
        Kind::Sealpost => sealpost::start(places, setup),
        Kind::PostfixDovecot => postfix_dovecot::start(places, setup),
    }
}

/// A directory that the servers' own users may enter.
pub fn directory(places: &Places, name: &str) -> Result<tempfile::TempDir> {
    fs::create_dir_all(&places.work)?;
    refuse_memory_disk(&places.work)?;
    let directory =
        tempfile::Builder::new().prefix(&format!("sealpost-bench-{name}-")).tempdir_in(&places.work)?;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
    Ok(directory)
}

/// A sync to a memory disk costs nothing; figures from there would be wrong.
fn refuse_memory_disk(path: &Path) -> Result<()> {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    const RAMFS_MAGIC: u64 = 0x8584_58f6;
    let kind = rustix::fs::statfs(path)?.f_type as u64;
    if kind == TMPFS_MAGIC || kind == RAMFS_MAGIC {
        return Err(bad(format!("{} is in memory; name a directory on a disk with --work", path.display())));
    }
    Ok(())
}

/// Makes a self-signed ECDSA P-256 certificate, the same kind for every server.
fn identity(directory: &Path) -> Result<Identity> {
    let key = KeyPair::generate().map_err(|e| bad(e.to_string()))?;
    let params = CertificateParams::new(vec![HOST.to_owned()]).map_err(|e| bad(e.to_string()))?;
    let certificate = params.self_signed(&key).map_err(|e| bad(e.to_string()))?;
    let (chain_file, key_file) = (directory.join("cert.pem"), directory.join("key.pem"));
    fs::write(&chain_file, certificate.pem())?;
    fs::write(&key_file, key.serialize_pem())?;
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600))?;
    Ok(Identity { certificate: certificate.der().clone(), chain_file, key_file })
}

/// A loopback port that is free now.
fn free_port() -> Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Waits until each port greets; `children` must stay alive meanwhile.
fn wait_ready(
    clear: &[SocketAddr],
    implicit: &[SocketAddr],
    children: &mut [Child],
    log: &Path,
) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
    let mut open: Vec<(SocketAddr, bool)> =
        clear.iter().map(|a| (*a, true)).chain(implicit.iter().map(|a| (*a, false))).collect();
    while let Some((address, greets)) = open.last() {
        if answers(*address, *greets) {
            open.pop();
            continue;
        }
        for child in children.iter_mut() {
            if let Some(status) = child.try_wait()? {
                let log = log_head(log);
                return Err(bad(format!("the server ended at its start ({status}):\n{log}")));
            }
        }
        if Instant::now() > until {
            let log = log_head(log);
            return Err(bad(format!("no greeting on {address} within {START_SECONDS_MAX} s:\n{log}")));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The beginning of a log, where the reason for a failed start stands.
fn log_head(log: &Path) -> String {
    const LINES_MAX: usize = 12;
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().take(LINES_MAX).collect::<Vec<_>>().join("\n")
}

/// Does something listen there, and (in clear) say the first word?
fn answers(address: SocketAddr, greets: bool) -> bool {
    use std::io::Read;
    let Ok(mut stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    if !greets {
        return true;
    }
    let mut first = [0; 1];
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.read(&mut first).is_ok_and(|n| n == 1)
}

/// A command whose output goes to `log`.
fn logged(mut command: Command, log: &Path) -> Result<Child> {
    let file = fs::OpenOptions::new().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    command.spawn().map_err(|e| bad(format!("cannot start {:?}: {e}", command.get_program())))
}

/// Runs a command to its end; its standard output.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|e| bad(format!("cannot run {:?}: {e}", command.get_program())))?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        return Err(bad(format!("{command:?} failed ({}):\n{out}{err}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn stop_all(children: &mut Vec<Child>) -> Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    for mut child in children.drain(..) {
        if child.try_wait()?.is_some() {
            continue;
        }
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        let until = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while child.try_wait()?.is_none() {
            if Instant::now() > until {
                child.kill()?;
                child.wait()?;
                return Err(bad(format!("a server did not end within {STOP_SECONDS_MAX} s and was killed")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

/// What all files below this directory take on the disk, which is less than their length where they have holes.
fn disk_bytes(directory: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // What is gone by now takes nothing.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += match metadata.is_dir() {
            true => disk_bytes(&entry.path())?,
            false => metadata.blocks() * 512,
        };
    }
    Ok(bytes)
}

/// Is there a file in this directory or below?
fn has_file(directory: &Path) -> Result<bool> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // An entry that is gone by now is no file any more.
        let Ok(kind) = entry.file_type() else { continue };
        if !kind.is_dir() || has_file(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}
