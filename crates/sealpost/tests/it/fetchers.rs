//! mpop, fetchmail and getmail collect a maildrop over both kinds of TLS.

use crate::harness::{Server, User, body, demo, files, message, run_with, said};
use std::collections::BTreeSet;
use std::path::Path;

const MESSAGES: usize = 12;

/// A user with messages, and their bodies.
fn filled(server: &Server) -> (User, BTreeSet<Vec<u8>>) {
    let user = server.user();
    let bodies = (0..MESSAGES).map(|n| {
        let text = message(&format!("fetch {n}"), &user.address, &user.address, 1000 + n * 4000);
        server.send(&user, &user.address, &text);
        body(&text)
    });
    let bodies = bodies.collect();
    (user, bodies)
}

fn bodies(dir: &Path) -> BTreeSet<Vec<u8>> {
    files(dir).iter().map(|m| body(m)).collect()
}

fn run_in(dir: &Path, program: &str, arguments: &[&str]) -> crate::harness::Said {
    let home = dir.display().to_string();
    said(&run_with(
        program,
        arguments,
        b"",
        &[("HOME", &home), ("FETCHMAILHOME", &home), ("GETMAILDIR", &home)],
    ))
}

/// Writes a file that its owner alone may use; mpop insists that a configuration cannot be executed.
fn private(path: &Path, mode: u32, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("write");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
}

#[test]
fn mpop_by_every_mechanism_then_collects_and_deletes() {
    let server = demo();
    let (user, sent) = filled(server);
    let rc = |dir: &Path, port: &str, starttls: &str, auth: &str, keep: &str| {
        for sub in ["md/cur", "md/new", "md/tmp"] {
            std::fs::create_dir_all(dir.join(sub)).expect("maildir");
        }
        let text = format!(
            "account default\nhost {}\nport {}\nuser {}\npassword {}\nauth {auth}\ntls on\ntls_starttls {starttls}\n\
             tls_trust_file {}\nkeep {keep}\nreceived_header off\ndelivery maildir {}\nuidls_file {}\n",
            server.host,
            server.port(port),
            user.address,
            user.password,
            server.ca,
            dir.join("md").display(),
            dir.join("uidls").display()
        );
        private(&dir.join("rc"), 0o600, &text);
    };
    for (port, starttls) in [("pop3s", "off"), ("pop3", "on")] {
        for auth in ["plain", "user", "login", "cram-md5", "scram-sha-1", "scram-sha-256"] {
            let dir = tempfile::tempdir().expect("tempdir");
            rc(dir.path(), port, starttls, auth, "on");
            let config = dir.path().join("rc").display().to_string();
            run_in(dir.path(), "mpop", &["-C", &config]).success();
            assert_eq!(bodies(&dir.path().join("md/new")), sent, "{port} {auth}");
            // UIDL is stable: nothing is fetched again.
            run_in(dir.path(), "mpop", &["-C", &config]).success();
            assert_eq!(files(&dir.path().join("md/new")).len(), MESSAGES, "{port} {auth}");
        }
    }
    let dir = tempfile::tempdir().expect("tempdir");
    rc(dir.path(), "pop3s", "off", "on", "off");
    run_in(dir.path(), "mpop", &["-C", &dir.path().join("rc").display().to_string()]).success();
    assert_eq!(bodies(&dir.path().join("md/new")), sent);
    assert!(server.fetch_all(&user).is_empty());
}

#[test]
fn fetchmail_and_getmail() {
    let server = demo();
    let (user, sent) = filled(server);
    for (port, tls) in [("pop3s", "ssl"), ("pop3", "sslproto 'TLS1.2+'")] {
        let dir = tempfile::tempdir().expect("tempdir");
        std::fs::create_dir(dir.path().join("out")).expect("out");
        let mda = dir.path().join("mda");
        private(&mda, 0o700, &format!("#!/bin/sh\ncat > $(mktemp {}/out/XXXXXXXX)\n", dir.path().display()));
        let rc = format!(
            "poll {} proto POP3 port {} user \"{}\" pass \"{}\" {tls} sslcertck sslcertfile \"{}\" fetchall keep \
             no rewrite mda \"{}\"\n",
            server.host,
            server.port(port),
            user.address,
            user.password,
            server.ca,
            mda.display()
        );
        let config = dir.path().join("fetchmailrc");
        private(&config, 0o600, &rc);
        run_in(dir.path(), "fetchmail", &["-f", &config.display().to_string(), "--nosyslog", "--invisible"])
            .success();
        assert_eq!(bodies(&dir.path().join("out")), sent, "fetchmail {port}");
    }
    let dir = tempfile::tempdir().expect("tempdir");
    std::fs::create_dir(dir.path().join("out")).expect("out");
    let mda = dir.path().join("mda");
    private(&mda, 0o700, &format!("#!/bin/sh\ncat > $(mktemp {}/out/XXXXXXXX)\n", dir.path().display()));
    let rc = format!(
        "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = {}\nport = {}\nusername = {}\npassword = {}\n\
         ca_certs = {}\n[destination]\ntype = MDA_external\npath = {}\nunixfrom = false\nallow_root_commands = true\n\
         [options]\nread_all = true\ndelete = false\nreceived = false\ndelivered_to = false\n",
        server.host,
        server.port("pop3s"),
        user.address,
        user.password,
        server.ca,
        mda.display()
    );
    private(&dir.path().join("rc"), 0o600, &rc);
    let home = dir.path().display().to_string();
    run_in(dir.path(), "getmail", &["--getmaildir", &home, "--rcfile", "rc"]).success();
    assert_eq!(bodies(&dir.path().join("out")), sent, "getmail");
}
