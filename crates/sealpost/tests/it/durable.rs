//! What was acknowledged is there: after `kill -9`, on a full disk, at a stop.

use crate::harness::{Own, Server, User, message, run, run_with, said};
use crate::skips::DISK_FULL_NEEDS_ROOT;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Prints the Subject of every message in the maildrop.
const SUBJECTS: &str = r#"
import poplib, ssl, sys
host, port, ca, user, password = sys.argv[1:6]
poplib._MAXLINE = 1 << 20
p = poplib.POP3_SSL(host, int(port), context=ssl.create_default_context(cafile=ca))
p.user(user); p.pass_(password)
for i in range(p.stat()[0]):
    for line in p.retr(i + 1)[1]:
        if line.startswith(b"Subject: "):
            print(line[9:].decode())
            break
p.quit()
"#;

fn subjects(server: &Server, user: &User) -> Vec<String> {
    let port = server.port("pop3s").to_string();
    let arguments = ["-c", SUBJECTS, &server.host, &port, &server.ca, &user.address, &user.password];
    said(&run_with("python3", &arguments, b"", &[])).success().lines().map(str::to_owned).collect()
}

/// A plain SMTP client that notes what was acknowledged.
struct Client {
    socket: BufReader<TcpStream>,
}

impl Client {
    fn open(port: u16) -> io::Result<Client> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut client = Client { socket: BufReader::new(socket) };
        client.answer()?;
        client.say("EHLO x.test\r\n")?;
        Ok(client)
    }

    fn answer(&mut self) -> io::Result<String> {
        loop {
            let mut line = String::new();
            if self.socket.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }

    fn say(&mut self, text: &str) -> io::Result<String> {
        self.socket.get_mut().write_all(text.as_bytes())?;
        self.answer()
    }

    /// Sends one message; its final reply.
    fn send(&mut self, subject: &str, to: &[&str], bytes: usize) -> io::Result<String> {
        self.say("MAIL FROM:<x@x.test>\r\n")?;
        for to in to {
            self.say(&format!("RCPT TO:<{to}>\r\n"))?;
        }
        let go = self.say("DATA\r\n")?;
        if !go.starts_with("354") {
            return Ok(go);
        }
        // What `message` makes begins lines with dots; on the wire they are stuffed.
        let text = String::from_utf8(message(subject, "x@x.test", to[0], bytes)).expect("UTF-8");
        let stuffed = text.replace("\r\n.", "\r\n..");
        self.say(&format!("{stuffed}.\r\n"))
    }
}

#[test]
fn killed_twenty_times_under_load() {
    let mut own = Own::prepare("");
    own.sealpost(&["account", "add", "b@example.test"], b"secret of b\n").success();
    let server = own.server();
    let port = server.port("smtp");
    let serial = AtomicU64::new(0);
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..20 {
        own.start();
        let results: Vec<Vec<String>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut done = Vec::new();
                        let Ok(mut client) = Client::open(port) else { return done };
                        loop {
                            let n = serial.fetch_add(1, Ordering::Relaxed);
                            let subject = format!("m{n}");
                            // Every third goes to two mailboxes, every tenth has a large body.
                            let both = ["a@example.test", "b@example.test"];
                            let to = if n.is_multiple_of(3) { &both[..] } else { &both[..1] };
                            let bytes = if n.is_multiple_of(10) { 300_000 } else { 2_000 };
                            match client.send(&subject, to, bytes) {
                                Ok(reply) if reply.starts_with("250") => done.push(subject),
                                Ok(reply) => panic!("refused: {reply}"),
                                Err(_) => return done,
                            }
                        }
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(150 + 37 * round));
            own.kill();
            threads.into_iter().map(|t| t.join().expect("client")).collect()
        });
        acknowledged.extend(results.into_iter().flatten());
    }
    assert!(acknowledged.len() > 100, "only {} acknowledged: no load", acknowledged.len());
    let checked = own.sealpost(&["check"], b"");
    assert!(checked.text.contains("consistent"), "{}", checked.text);
    own.start();
    let b = User { address: "b@example.test".to_owned(), password: "secret of b".to_owned() };
    // Deliveries that a kill interrupted are resumed at the start.
    let wanted_of_b =
        acknowledged.iter().filter(|s| s[1..].parse::<u64>().expect("number").is_multiple_of(3)).count();
    crate::harness::wait_for("resumed deliveries", || {
        (subjects(&server, &b).len() >= wanted_of_b).then_some(())
    });
    for (user, every) in [(&server.users[0], 1), (&b, 3)] {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for subject in subjects(&server, user) {
            *counts.entry(subject).or_default() += 1;
        }
        for subject in &acknowledged {
            let n: u64 = subject[1..].parse().expect("number");
            if n.is_multiple_of(every) {
                assert_eq!(counts.get(subject), Some(&1), "{subject} of {}", user.address);
            }
        }
        assert!(counts.values().all(|n| *n == 1), "doubled: {counts:?}");
    }
    assert!(own.stop());
    assert!(own.sealpost(&["check"], b"").success().contains("consistent"));
}

#[test]
fn a_stop_lets_a_message_finish() {
    let mut own = Own::prepare("");
    own.start();
    let server = own.server();
    let mut client = Client::open(server.port("smtp")).expect("connect");
    client.say("MAIL FROM:<x@x.test>\r\n").expect("mail");
    client.say("RCPT TO:<a@example.test>\r\n").expect("rcpt");
    assert!(client.say("DATA\r\n").expect("data").starts_with("354"));
    let mut idle = Client::open(server.port("smtp")).expect("connect");
    own.begin_stop();
    assert!(idle.answer().expect("goodbye").starts_with("421 4.3.2"));
    std::thread::sleep(Duration::from_millis(300));
    assert!(!own.has_ended());
    let reply = client.say("Subject: last\r\n\r\nx\r\n.\r\n").expect("reply");
    assert!(reply.starts_with("250"), "{reply}");
    crate::harness::wait_for("the end", || own.has_ended().then_some(()));
    own.start();
    assert_eq!(subjects(&server, &server.users[0]), ["last"]);
    assert!(own.stop());
}

/// A small file system, unmounted at the end.
struct Small(std::path::PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        run("umount", &["-l", &self.0.display().to_string()]);
    }
}

#[test]
fn a_full_disk_refuses_for_now_and_loses_nothing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: {DISK_FULL_NEEDS_ROOT}");
        return;
    }
    let keep = tempfile::tempdir().expect("tempdir");
    let dir = keep.path().join("small");
    std::fs::create_dir(&dir).expect("dir");
    let small = Small(dir.clone());
    run("mount", &["-t", "tmpfs", "-o", "size=24m", "sealpost-test", &dir.display().to_string()]).success();
    let mut own = Own::prepare_in(dir.clone(), None, "");
    own.start();
    let server = own.server();
    let mut client = Client::open(server.port("smtp")).expect("connect");
    let mut accepted = Vec::new();
    let refusal = loop {
        let subject = format!("m{}", accepted.len());
        let reply = client.send(&subject, &["a@example.test"], 100_000).expect("the service lives");
        if !reply.starts_with("250") {
            break reply;
        }
        accepted.push(subject);
        assert!(accepted.len() < 1000, "the disk never fills");
    };
    assert!(refusal.starts_with("452 4.3.1"), "{refusal}");
    // Other sessions go on reading.
    assert_eq!(subjects(&server, &server.users[0]), accepted);
    // Space returns: so does the service, without a restart.
    run("mount", &["-o", "remount,size=64m", &dir.display().to_string()]).success();
    let reply = client.send("afterwards", &["a@example.test"], 100_000).expect("reply");
    assert!(reply.starts_with("250"), "{reply}");
    accepted.push("afterwards".to_owned());
    assert_eq!(subjects(&server, &server.users[0]), accepted);
    assert!(own.stop());
    assert!(own.sealpost(&["check"], b"").success().contains("consistent"));
    drop(own);
    drop(small);
}

#[test]
fn a_large_message_is_not_held_in_memory() {
    let mut own = Own::prepare("");
    own.start();
    let server = own.server();
    let mut client = Client::open(server.port("smtp")).expect("connect");
    // The hash of a first login takes memory of its own, and takes it once.
    assert!(server.fetch_all(&server.users[0]).is_empty());
    let before = own.peak_kib();
    let reply = client.send("large", &["a@example.test"], 45 << 20).expect("reply");
    assert!(reply.starts_with("250"), "{reply}");
    let got = server.fetch_all(&server.users[0]);
    assert!(got[0].len() > 45 << 20);
    let grown = own.peak_kib() - before;
    assert!(grown < 16 << 10, "peak memory grew by {grown} KiB");
    // Beyond the limit: refused, and nothing stays.
    let reply = client.send("too large", &["a@example.test"], 51 << 20).expect("reply");
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    assert_eq!(subjects(&server, &server.users[0]), ["large"]);
    assert!(own.stop());
}
