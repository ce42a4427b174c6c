//! mbsync, curl, neomutt in a terminal, and imapflow.

use crate::harness::{Server, User, body, demo, files, message, run_with, said};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Messages that mbsync carries in each direction.
const MESSAGES: usize = 500;

fn curl(server: &Server, user: &User, scheme: &str, path: &str, more: &[&str]) -> String {
    let login = format!("{}:{}", user.address, user.password);
    let port = if scheme == "imaps" { "imaps" } else { "imap" };
    let url = format!("{scheme}://{}:{}/{path}", server.host, server.port(port));
    let mut all = vec!["-sS", "--ssl-reqd", "--cacert", &server.ca, "-u", &login, &url];
    all.extend_from_slice(more);
    said(&run_with("curl", &all, b"", &[])).success()
}

#[test]
fn curl_over_both_kinds_of_tls() {
    let server = demo();
    let user = server.user();
    let dir = tempfile::tempdir().expect("tempdir");
    let file = dir.path().join("m.eml");
    for (n, scheme) in ["imaps", "imap"].into_iter().enumerate() {
        let sent = message(&format!("imap {n}"), &user.address, &user.address, 30_000);
        std::fs::write(&file, &sent).expect("write");
        curl(server, &user, scheme, "INBOX", &["-T", &file.display().to_string()]);
        let got = curl(server, &user, scheme, &format!("INBOX;UID={}", n + 1), &[]);
        assert_eq!(body(got.as_bytes()), body(&sent));
        let header = curl(server, &user, scheme, "INBOX;MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)", &[]);
        assert_eq!(header, format!("Subject: imap {n}\r\n\r\n"));
        assert!(curl(server, &user, scheme, "INBOX?SUBJECT%20imap", &[]).starts_with("* SEARCH 1"));
        assert!(curl(server, &user, scheme, "", &["-X", "LIST \"\" *"]).contains("\"/\" INBOX"));
        let store = "STORE 1 +FLAGS.SILENT \\Deleted";
        curl(server, &user, scheme, "INBOX", &["-X", store]);
        assert_eq!(curl(server, &user, scheme, "INBOX", &["-X", "EXPUNGE"]), "* 1 EXPUNGE\r\n");
    }
}

fn mbsync(dir: &Path) {
    let output = run_with("mbsync", &["-c", &dir.join("rc").display().to_string(), "-a"], b"", &[]);
    said(&output).success();
}

fn maildir(dir: &Path) -> Vec<std::path::PathBuf> {
    let list = |sub: &str| std::fs::read_dir(dir.join(sub)).expect("maildir");
    list("cur").chain(list("new")).map(|entry| entry.expect("entry").path()).collect()
}

#[test]
fn mbsync_two_ways() {
    let server = demo();
    let user = server.user();
    let dir = tempfile::tempdir().expect("tempdir");
    let here = dir.path();
    let inbox = here.join("md/INBOX");
    for sub in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(inbox.join(sub)).expect("maildir");
    }
    let mut sent = BTreeSet::new();
    for n in 0..MESSAGES {
        let text = message(&format!("sync {n}"), &user.address, &user.address, n % 7 * 1000);
        sent.insert(String::from_utf8_lossy(&text).replace('\r', ""));
        let unix: String = String::from_utf8_lossy(&text).replace("\r\n", "\n");
        std::fs::write(inbox.join("new").join(format!("{n}.here")), unix).expect("write");
    }
    let rc = format!(
        "IMAPAccount a\nHost {}\nPort {}\nUser {}\nPass \"{}\"\nSSLType IMAPS\nCertificateFile {}\n\
         PipelineDepth 50\n\nIMAPStore far\nAccount a\n\nMaildirStore near\nPath {here}/md/\nInbox {here}/md/INBOX\n\
         SubFolders Verbatim\n\nChannel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nRemove Both\n\
         Expunge Both\nSyncState *\nCopyArrivalDate yes\n",
        server.host,
        server.port("imaps"),
        user.address,
        user.password,
        server.ca,
        here = here.display(),
    );
    std::fs::write(here.join("rc"), rc).expect("write");
    mbsync(here);
    let status = curl(server, &user, "imaps", "", &["-X", "STATUS INBOX (MESSAGES UNSEEN)"]);
    assert_eq!(status.trim_end(), format!("* STATUS INBOX (MESSAGES {MESSAGES} UNSEEN {MESSAGES})"));
    // Changes on both sides: 30 flagged and 20 removed there, 25 removed and 10 read here.
    curl(server, &user, "imaps", "INBOX", &["-X", "STORE 1:30 +FLAGS.SILENT (\\Flagged)"]);
    curl(server, &user, "imaps", "INBOX", &["-X", "STORE 31:50 +FLAGS.SILENT (\\Deleted)"]);
    curl(server, &user, "imaps", "INBOX", &["-X", "EXPUNGE"]);
    let uid = |path: &Path| -> u32 {
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        name.split("U=")
            .nth(1)
            .and_then(|t| t.split([':', ',']).next()?.parse().ok())
            .expect("UID in the name")
    };
    for path in maildir(&inbox) {
        let flags = match uid(&path) {
            101..=125 => "T",
            201..=210 => "S",
            _ => continue,
        };
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        let base = name.split(":2,").next().expect("first").to_owned();
        std::fs::rename(&path, inbox.join("cur").join(format!("{base}:2,{flags}"))).expect("rename");
    }
    mbsync(here);
    let left = MESSAGES - 20 - 25;
    let status = curl(server, &user, "imaps", "", &["-X", "STATUS INBOX (MESSAGES UNSEEN)"]);
    assert_eq!(status.trim_end(), format!("* STATUS INBOX (MESSAGES {left} UNSEEN {})", left - 10));
    let flagged = maildir(&inbox).iter().filter(|p| p.to_string_lossy().ends_with('F')).count();
    assert_eq!((maildir(&inbox).len(), flagged), (left, 30));
    for text in files(&inbox.join("cur")) {
        let text = String::from_utf8_lossy(&text).into_owned();
        // mbsync adds a line of its own to what it uploads.
        let plain: String =
            text.lines().filter(|l| !l.starts_with("X-TUID")).map(|l| format!("{l}\n")).collect();
        assert!(sent.contains(&plain), "a message came back changed: {plain}");
    }
}

/// neomutt in a terminal of tmux: opens INBOX, reads a message, deletes another.
#[test]
fn neomutt_in_a_terminal() {
    let server = demo();
    let user = server.user();
    for n in 0..3 {
        server.send(
            &user,
            &user.address,
            &message(&format!("mutt number {n}"), &user.address, &user.address, 900),
        );
    }
    let dir = tempfile::tempdir().expect("tempdir");
    let here = dir.path().display().to_string();
    let rc = format!(
        "set folder = \"imaps://{}:{}/\"\nset spoolfile = \"+INBOX\"\nset imap_user = \"{}\"\nset imap_pass = \"{}\"\n\
         set ssl_ca_certificates_file = \"{}\"\nset ssl_verify_host = yes\nset header_cache = \"{here}/hc\"\n\
         set quit = yes\nset delete = yes\nset move = no\nset sort = mailbox-order\n",
        server.host,
        server.port("imaps"),
        user.address,
        user.password,
        server.ca,
    );
    std::fs::write(dir.path().join("rc"), rc).expect("write");
    let socket = format!("{here}/tmux");
    let tmux = |arguments: &[&str]| -> String {
        let output =
            Command::new("tmux").args(["-S", &socket]).args(arguments).output().expect("tmux is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let start = format!("HOME={here} TERM=xterm neomutt -F {here}/rc");
    tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", &start]);
    let until = |what: &str| {
        crate::harness::wait_for(what, || {
            let screen = tmux(&["capture-pane", "-p"]);
            screen.contains(what).then_some(screen)
        })
    };
    until("mutt number 2");
    // A number goes to the message, Enter opens it.
    tmux(&["send-keys", "1", "Enter"]);
    tmux(&["send-keys", "Enter"]);
    until("the quick brown fox jumps over the lazy dog");
    tmux(&["send-keys", "q"]);
    until("mutt number 2");
    tmux(&["send-keys", "d"]);
    tmux(&["send-keys", "q"]);
    crate::harness::wait_for("neomutt's goodbye", || {
        let status = curl(server, &user, "imaps", "", &["-X", "STATUS INBOX (MESSAGES)"]);
        status.contains("(MESSAGES 2)").then_some(())
    });
    tmux(&["kill-server"]);
}

const IMAPFLOW: &str = r#"
const { createRequire } = require('node:module');
const fs = require('node:fs');
const [host, ca, user, pass, imaps, imap, modules] = process.argv.slice(2);
const { ImapFlow } = createRequire(modules + '/x.js')('imapflow');
const assert = require('node:assert');
(async () => {
  for (const implicit of [true, false]) {
    const options = { host, port: Number(implicit ? imaps : imap), secure: implicit, tls: { ca: fs.readFileSync(ca) }, auth: { user, pass }, logger: false };
    if (!implicit) options.doSTARTTLS = true;
    const c = new ImapFlow(options);
    await c.connect();
    assert((await c.list()).some(box => box.specialUse === '\\Sent'));
    await c.mailboxCreate('Node/Ünder');
    const added = await c.append('Node/Ünder', 'Subject: n\r\nMessage-ID: <n@x>\r\n\r\nbody', ['\\Seen']);
    assert(added.uid && added.uidValidity);
    const lock = await c.getMailboxLock('Node/Ünder');
    const found = await c.search({ header: { 'message-id': '<n@x>' } }, { uid: true });
    assert.deepStrictEqual(found, [added.uid]);
    const one = await c.fetchOne(added.uid, { source: true, envelope: true, bodyStructure: true, flags: true, internalDate: true }, { uid: true });
    assert(one.source.toString().endsWith('body') && one.envelope.subject === 'n' && one.flags.has('\\Seen'));
    await c.messageFlagsAdd(added.uid, ['\\Flagged', '$Custom'], { uid: true });
    const moved = await c.messageMove(added.uid, 'INBOX', { uid: true });
    assert(moved.uidMap.size === 1);
    lock.release();
    await c.mailboxDelete('Node/Ünder');
    await c.mailboxDelete('Node');
    const inbox = await c.getMailboxLock('INBOX');
    await c.messageDelete('1:*');
    assert((await c.status('INBOX', { messages: true })).messages === 0);
    inbox.release();
    assert((await c.getQuota()).path === 'INBOX');
    await c.logout();
  }
  console.log('all is well');
})().catch(error => { console.error(error); process.exit(1); });
"#;

#[test]
fn imapflow() {
    let server = demo();
    let user = server.user();
    let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/clients/node_modules");
    let (imaps, imap) = (server.port("imaps").to_string(), server.port("imap").to_string());
    let dir = tempfile::tempdir().expect("tempdir");
    let script = dir.path().join("job.cjs");
    std::fs::write(&script, IMAPFLOW).expect("write");
    let script = script.display().to_string();
    let arguments =
        [&script, &server.host, &server.ca, &user.address, &user.password, &imaps, &imap, modules];
    let output = run_with("node", &arguments.map(AsRef::as_ref), b"", &[]);
    assert!(said(&output).success().contains("all is well"));
}
