//! Debian's Postfix and Dovecot from a directory of their own.
//!
//! Postfix takes mail for virtual mailboxes and hands it over a Unix socket by
//! LMTP to Dovecot, which keeps it as sdbox and serves POP3. Durability is
//! their default: Postfix syncs each message into its queue before it answers,
//! Dovecot (`mail_fsync = optimized`) syncs each into the mailbox. Where the
//! manuals advise a quicker way for busy servers (login processes that serve
//! many clients, POP3 processes that are used again), they get it.
//!
//! Both must be started by root, since they change to users of their own.
//! Nothing under `/etc`, `/var/spool` or `/run` is used.

use super::{
    DOMAIN, HOST, Hash, Identity, Kind, PASSWORD, Places, Running, Setup, directory, free_port, identity,
    logged, output, wait_ready,
};
use crate::client::bad;
use crate::measure::ProcessTree;
use std::fmt::Write;
use std::fs;
use std::io::Result;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const POSTFIX_MASTER: &str = "/usr/lib/postfix/sbin/master";
const DOVECOT: &str = "/usr/sbin/dovecot";

/// Starts both.
pub fn start(places: &Places, setup: &Setup) -> Result<Running> {
    for program in [POSTFIX_MASTER, DOVECOT] {
        if !Path::new(program).exists() {
            return Err(bad(format!(
                "{program} is missing: apt-get install postfix dovecot-core dovecot-pop3d dovecot-imapd dovecot-lmtpd"
            )));
        }
    }
    if !rustix::process::geteuid().is_root() {
        return Err(bad("Postfix and Dovecot must be started by root"));
    }
    let directory = directory(places, "peer")?;
    let root = directory.path();
    let identity = identity(root)?;
    let (smtp, pop3, pop3s, imaps) = (free_port()?, free_port()?, free_port()?, free_port()?);
    let ids = Ids::read()?;
    postfix_files(root, smtp, &identity, setup, &ids)?;
    dovecot_files(root, [pop3, pop3s, imaps], &identity, setup, &ids)?;

    let log = root.join("start.log");
    let began = Instant::now();
    let mut dovecot = Command::new(DOVECOT);
    dovecot.arg("-F").arg("-c").arg(root.join("dovecot.conf"));
    let mut postfix = Command::new(POSTFIX_MASTER);
    postfix.arg("-c").arg(root.join("postfix")).arg("-d").env("MAIL_CONFIG", root.join("postfix"));
    // Stopped in this order: what still stands in Postfix' queue is not ours to wait for.
    let commands = vec![super::remember(&postfix), super::remember(&dovecot)];
    let mut children = vec![logged(postfix, &log)?, logged(dovecot, &log)?];
    wait_ready(&[smtp, pop3], &[pop3s, imaps], &mut children, &log)?;
    Ok(Running {
        kind: Kind::PostfixDovecot,
        smtp,
        pop3,
        pop3s,
        imaps,
        ready_after: began.elapsed(),
        tree: ProcessTree::new(children.iter().map(std::process::Child::id).collect()),
        identity,
        queues: ["incoming", "active"].map(|q| root.join("queue").join(q)).to_vec(),
        failures: ["deferred", "bounce", "corrupt"].map(|q| root.join("queue").join(q)).to_vec(),
        children,
        commands,
        directory,
    })
}

/// Versions as the package manager has them.
pub fn version() -> Result<String> {
    let mut text = String::new();
    for package in ["postfix", "dovecot-core"] {
        let version = output(Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]))?;
        let _ = write!(text, "{}{package} {}", if text.is_empty() { "" } else { ", " }, version.trim());
    }
    Ok(text)
}

/// Users and groups of the packages.
struct Ids {
    postfix: (u32, u32),
    postdrop: u32,
    nobody: (u32, u32),
}

impl Ids {
    fn read() -> Result<Ids> {
        let (users, groups) = (fs::read_to_string("/etc/passwd")?, fs::read_to_string("/etc/group")?);
        let field = |table: &str, name: &str, field: usize| -> Result<u32> {
            table
                .lines()
                .map(|line| line.split(':').collect::<Vec<_>>())
                .find(|row| row[0] == name)
                .and_then(|row| row.get(field)?.parse().ok())
                .ok_or_else(|| bad(format!("there is no user or group {name}: install the packages")))
        };
        Ok(Ids {
            postfix: (field(&users, "postfix", 2)?, field(&users, "postfix", 3)?),
            postdrop: field(&groups, "postdrop", 2)?,
            nobody: (field(&users, "nobody", 2)?, field(&users, "nobody", 3)?),
        })
    }
}

fn postfix_files(root: &Path, smtp: SocketAddr, identity: &Identity, setup: &Setup, ids: &Ids) -> Result<()> {
    let config = root.join("postfix");
    fs::create_dir(&config)?;
    let here = root.display();
    let (chain, key) = (identity.chain_file.display(), identity.key_file.display());
    let main = format!(
        "compatibility_level = 3.6\n\
         command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\n\
         queue_directory = {here}/queue\ndata_directory = {here}/postfix-data\n\
         mail_owner = postfix\nsetgid_group = postdrop\n\
         maillog_file = {here}/postfix.log\nmaillog_file_prefixes = {here}\n\
         myhostname = {HOST}\nmydestination =\nalias_maps =\nlocal_recipient_maps =\n\
         mynetworks = 127.0.0.0/8\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
         default_transport = error:nothing leaves this machine\nrelay_transport = $default_transport\n\
         virtual_mailbox_domains = {DOMAIN}\nvirtual_mailbox_maps = texthash:{here}/postfix/users\n\
         virtual_transport = lmtp:unix:private/dovecot-lmtp\n\
         message_size_limit = 52428800\n\
         smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {chain}\nsmtpd_tls_key_file = {key}\n"
    );
    fs::write(config.join("main.cf"), main)?;
    fs::write(config.join("master.cf"), master_cf(smtp))?;
    let users: String = setup.accounts.iter().map(|local| format!("{local}@{DOMAIN} x\n")).collect();
    fs::write(config.join("users"), users)?;

    let (user, group) = ids.postfix;
    let made = |name: &str, user: u32, group: u32, mode: u32| -> Result<()> {
        let path = root.join(name);
        fs::create_dir(&path)?;
        chown(&path, Some(user), Some(group))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
    };
    made("postfix-data", user, group, 0o700)?;
    made("queue", 0, 0, 0o755)?;
    made("queue/pid", 0, 0, 0o755)?;
    for queue in [
        "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved",
        "trace",
    ] {
        made(&format!("queue/{queue}"), user, 0, 0o700)?;
    }
    made("queue/maildrop", user, ids.postdrop, 0o730)?;
    made("queue/public", user, ids.postdrop, 0o710)
}

/// Debian's table of services without those that are never used here, and without chroot.
fn master_cf(smtp: SocketAddr) -> String {
    let rows = [
        "pickup    unix  n - n 60    1 pickup",
        "cleanup   unix  n - n -     0 cleanup",
        "qmgr      unix  n - n 300   1 qmgr",
        "tlsmgr    unix  - - n 1000? 1 tlsmgr",
        "rewrite   unix  - - n -     - trivial-rewrite",
        "bounce    unix  - - n -     0 bounce",
        "defer     unix  - - n -     0 bounce",
        "trace     unix  - - n -     0 bounce",
        "verify    unix  - - n -     1 verify",
        "flush     unix  n - n 1000? 0 flush",
        "proxymap  unix  - - n -     - proxymap",
        "proxywrite unix - - n -     1 proxymap",
        "showq     unix  n - n -     - showq",
        "error     unix  - - n -     - error",
        "retry     unix  - - n -     - error",
        "discard   unix  - - n -     - discard",
        "lmtp      unix  - - n -     - lmtp",
        "anvil     unix  - - n -     1 anvil",
        "scache    unix  - - n -     1 scache",
        "postlog   unix-dgram n - n - 1 postlogd",
    ];
    format!("{smtp} inet n - n - - smtpd\n{}\n", rows.join("\n"))
}

fn dovecot_files(
    root: &Path,
    ports: [SocketAddr; 3],
    identity: &Identity,
    setup: &Setup,
    ids: &Ids,
) -> Result<()> {
    let (scheme, arguments): (&str, &[&str]) = match setup.hash {
        Hash::Fast => ("SHA256", &[]),
        // Dovecot's own default number of rounds.
        Hash::Slow => ("BLF-CRYPT", &[]),
    };
    let mut pw = Command::new("/usr/bin/doveadm");
    // Its own empty configuration: that of the system is none of our business.
    let empty = root.join("empty.conf");
    fs::write(&empty, "")?;
    pw.arg("-c").arg(&empty).args(["pw", "-s", scheme, "-p", PASSWORD]).args(arguments);
    let hash = output(&mut pw)?.trim().to_owned();
    let passwd: String = setup.accounts.iter().map(|local| format!("{local}@{DOMAIN}:{hash}\n")).collect();
    fs::write(root.join("passwd"), passwd)?;
    // Dovecot's authentication reads it as its own user.
    fs::set_permissions(root.join("passwd"), fs::Permissions::from_mode(0o644))?;
    let mail = root.join("mail");
    fs::create_dir(&mail)?;
    chown(&mail, Some(ids.nobody.0), Some(ids.nobody.1))?;
    fs::write(root.join("dovecot.conf"), dovecot_conf(root, ports, identity, setup))
}

fn dovecot_conf(root: &Path, ports: [SocketAddr; 3], identity: &Identity, setup: &Setup) -> String {
    let here = root.display();
    let (chain, key) = (identity.chain_file.display(), identity.key_file.display());
    let [pop3_port, pop3s_port, imaps_port] = ports.map(|address| address.port());
    // Head room: each client takes one connection of several internal services.
    let connections = setup.connections * 2 + 1000;
    let processes = setup.connections + 100;
    format!(
        "base_dir = {here}/run\nstate_dir = {here}/state\nlog_path = {here}/dovecot.log\n\
         instance_name = sealpost-bench\n\
         protocols = pop3 imap lmtp\nlisten = 127.0.0.1\n\
         ssl = yes\nssl_cert = <{chain}\nssl_key = <{key}\ndisable_plaintext_auth = no\n\
         auth_mechanisms = plain\n\
         mail_location = sdbox:{here}/mail/%n\nmail_uid = nobody\nmail_gid = nogroup\nfirst_valid_uid = 1\n\
         mail_max_userip_connections = {connections}\n\
         default_client_limit = {connections}\ndefault_process_limit = {processes}\n\
         passdb {{\n  driver = passwd-file\n  args = username_format=%u {here}/passwd\n}}\n\
         userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home={here}/mail/%n\n}}\n\
         service pop3-login {{\n\
         \x20 inet_listener pop3 {{\n    address = 127.0.0.1\n    port = {pop3_port}\n  }}\n\
         \x20 inet_listener pop3s {{\n    address = 127.0.0.1\n    port = {pop3s_port}\n    ssl = yes\n  }}\n\
         \x20 service_count = 0\n  process_min_avail = 2\n  process_limit = 2\n  client_limit = {connections}\n\
         \x20 vsz_limit = 2G\n}}\n\
         service imap-login {{\n\
         \x20 inet_listener imap {{\n    port = 0\n  }}\n\
         \x20 inet_listener imaps {{\n    address = 127.0.0.1\n    port = {imaps_port}\n    ssl = yes\n  }}\n\
         \x20 service_count = 0\n  process_min_avail = 2\n  process_limit = 2\n  client_limit = {connections}\n\
         \x20 vsz_limit = 2G\n}}\n\
         service imap {{\n  service_count = 1000\n  process_min_avail = 2\n  process_limit = {processes}\n\
         \x20 vsz_limit = 4G\n}}\n\
         service pop3 {{\n  service_count = 1000\n  process_min_avail = 2\n  process_limit = {processes}\n}}\n\
         service lmtp {{\n\
         \x20 unix_listener {here}/queue/private/dovecot-lmtp {{\n\
         \x20   mode = 0600\n    user = postfix\n    group = postfix\n  }}\n  process_min_avail = 2\n}}\n"
    )
}
