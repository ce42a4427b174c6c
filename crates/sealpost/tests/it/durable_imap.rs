//! IMAP clients under hard conditions: what was acknowledged to them is there, once and with its flags, after `kill -9` and on a full
//! disk; and who reads slowly holds up nobody and takes no memory.

use crate::harness::{Own, Server, User, run, run_with, said};
use crate::skips::DISK_FULL_NEEDS_ROOT;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ROUNDS: u64 = 10;
const CLIENTS: &str = include_str!("durable_imap.py");

struct Clients {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Clients {
    /// Begun, and everything that they know of is found to be as it was acknowledged.
    fn begin(server: &Server, state: &str, mode: &str) -> Clients {
        let port = server.port("imaps").to_string();
        let User { address, password } = &server.users[0];
        let mut child = Command::new("python3")
            .args(["-c", CLIENTS, &server.host, &port, &server.ca, address, password, state, mode])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("python3 is not installed ({e}); make test installs it"));
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("line");
        assert_eq!(line, "ready\n");
        Clients { child, out }
    }

    /// How many commands were acknowledged to them.
    fn end(mut self) -> u64 {
        let mut text = String::new();
        self.out.read_to_string(&mut text).expect("text");
        assert!(self.child.wait().expect("wait").success(), "what they say stands above");
        text.trim().parse().expect("a number")
    }
}

#[test]
fn imap_clients_find_what_was_acknowledged_after_ten_kills() {
    let mut own = Own::prepare("");
    let server = own.server();
    let state = own.dir.join("state.json").display().to_string();
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        own.start();
        let clients = Clients::begin(&server, &state, "work");
        std::thread::sleep(Duration::from_millis(300 + 73 * round));
        own.kill();
        acknowledged += clients.end();
        let checked = own.sealpost(&["check"], b"").success();
        assert!(checked.contains("consistent"), "round {round}: {checked}");
    }
    own.start();
    Clients::begin(&server, &state, "look").end();
    assert!(acknowledged > 100, "only {acknowledged} acknowledged: no load");
    assert!(own.stop());
    assert!(own.sealpost(&["check"], b"").success().contains("consistent"));
}

/// Appends until there is no room, and goes on when there is. Says the size of the mailbox at the end.
const FULL: &str = r#"
import imaplib, ssl, subprocess, sys
host, port, ca, user, password, mount = sys.argv[1:7]
c = imaplib.IMAP4_SSL(host, int(port), ssl_context=ssl.create_default_context(cafile=ca))
assert c.login(user, password)[0] == "OK"
assert c.select("INBOX") == ("OK", [b"0"])
message = lambda n: f"Subject: m{n}\r\n\r\n{n} {'x' * 100_000}\r\n".encode()
count = 0
while True:
    typ, data = c.append("INBOX", None, None, message(count))
    if typ != "OK":
        break
    count += 1
    assert count < 1000, "the disk never fills"
assert typ == "NO" and data[0].startswith(b"[UNAVAILABLE]"), (typ, data)
def all_there():
    assert c.noop()[0] == "OK"
    data = c.uid("FETCH", "1:*", "BODY.PEEK[]")[1]
    got = [d[1] for d in data if isinstance(d, tuple)]
    assert got == [message(n) for n in range(count)], (len(got), count)
# Who reads goes on, on the same connection; what was refused left nothing behind.
all_there()
typ, data = c.append("INBOX", None, None, message(count))
assert typ == "NO" and data[0].startswith(b"[UNAVAILABLE]"), (typ, data)
subprocess.run(["mount", "-o", "remount,size=64m", mount], check=True)
for _ in range(3):
    typ, data = c.append("INBOX", "(\\Seen)", None, message(count))
    assert typ == "OK" and b"APPENDUID" in data[0], (typ, data)
    count += 1
all_there()
assert c.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")[0] == "OK" and c.expunge()[0] == "OK"
count = 0
assert c.select("INBOX") == ("OK", [b"0"])
c.logout()
"#;

/// A small file system, unmounted at the end.
struct Small(String);

impl Drop for Small {
    fn drop(&mut self) {
        run("umount", &["-l", &self.0]);
    }
}

#[test]
fn append_on_a_full_disk_is_refused_for_now_and_loses_nothing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: {DISK_FULL_NEEDS_ROOT}");
        return;
    }
    let keep = tempfile::tempdir().expect("tempdir");
    let dir = keep.path().join("small");
    std::fs::create_dir(&dir).expect("dir");
    let small = Small(dir.display().to_string());
    run("mount", &["-t", "tmpfs", "-o", "size=24m", "sealpost-test", &small.0]).success();
    let mut own = Own::prepare_in(dir, None, "");
    own.start();
    let server = own.server();
    let (port, User { address, password }) = (server.port("imaps").to_string(), &server.users[0]);
    let arguments = ["-c", FULL, &server.host, &port, &server.ca, address, password, &small.0];
    said(&run_with("python3", &arguments, b"", &[])).success();
    assert!(own.stop());
    assert!(own.sealpost(&["check"], b"").success().contains("consistent"));
    drop(own);
    drop(small);
}

/// Fills a mailbox with 200,000 messages; or takes an answer about all of them slowly while somebody else works.
const SLOW: &str = r#"
import imaplib, socket, ssl, sys, time
host, port, ca, user, password, mode = sys.argv[1:7]
context = ssl.create_default_context(cafile=ca)
COUNT = 200_000
def login():
    c = imaplib.IMAP4_SSL(host, int(port), ssl_context=context)
    assert c.login(user, password)[0] == "OK"
    return c
c = login()
if mode == "fill":
    for n in range(100):
        text = f"From: p{n}@example.test\r\nSubject: letter {n} {'x' * 80}\r\nMessage-ID: <{n}@x>\r\n\r\ntext\r\n".encode()
        assert c.append("INBOX", None, None, text)[0] == "OK"
    count = 100
    while count < COUNT:
        assert c.select("INBOX") == ("OK", [str(count).encode()])
        more = min(count, COUNT - count)
        assert c.copy(f"1:{more}", "INBOX")[0] == "OK"
        count += more
assert c.select("INBOX") == ("OK", [str(COUNT).encode()])
assert c.fetch("1:50", "(UID FLAGS ENVELOPE)")[0] == "OK"
if mode == "fill":
    c.logout()
    sys.exit()
raw = socket.create_connection((host, int(port)))
raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
slow = context.wrap_socket(raw, server_hostname=host)
slow.settimeout(60)
def until(word):
    data = b""
    while word not in data:
        piece = slow.recv(65536)
        assert piece, data
        data += piece
until(b"\r\n")
slow.sendall(f'a LOGIN {user} "{password}"\r\n'.encode()); until(b"a OK")
slow.sendall(b"b SELECT INBOX\r\n"); until(b"b OK")
slow.sendall(b"c FETCH 1:* (UID FLAGS ENVELOPE)\r\n")
longest, began, rounds = 0.0, time.monotonic(), 0
while mode == "slow" and rounds < 40:
    for work in (c.noop, lambda: c.fetch("199000:199050", "(UID FLAGS ENVELOPE)"), lambda: c.store("7", "+FLAGS.SILENT", "(\\Flagged)"),
                 lambda: c.search(None, "UNSEEN", "1:100"), lambda: c.append("Drafts", None, None, b"Subject: x\r\n\r\nx\r\n")):
        begin = time.monotonic()
        assert work()[0] == "OK"
        longest = max(longest, time.monotonic() - begin)
    # A little of the long answer, so that it goes on and stalls again.
    assert slow.recv(2048)
    rounds += 1
assert longest < 2, f"somebody waited {longest} s"
# In the end it is whole.
seen, tail = 0, b""
while b"\r\nc OK" not in tail:
    piece = slow.recv(65536)
    assert piece, tail
    seen += len(piece)
    tail = tail[-16:] + piece
assert seen > COUNT * 100, seen
"#;

#[test]
fn a_slow_fetch_of_200_000_messages_holds_up_nobody_and_takes_no_memory() {
    let mut own = Own::prepare("");
    own.start();
    let server = own.server();
    let (port, User { address, password }) = (server.port("imaps").to_string(), &server.users[0]);
    let step = |mode| {
        let arguments = ["-c", SLOW, &server.host, &port, &server.ca, address, password, mode];
        said(&run_with("python3", &arguments, b"", &[])).success();
    };
    step("fill");
    // From here on: the mailbox is in memory, and filling it took what it took.
    assert!(own.stop());
    own.start();
    own.settle();
    // What reading it at once takes: the view, the rows under way, what any session needs.
    step("fast");
    let read_at_once = own.peak_kib();
    step("slow");
    // The answer is more than 40 MB; nobody keeps it for the one who reads slowly.
    let grown = own.peak_kib() - read_at_once;
    assert!(grown < 20 << 10, "peak memory grew from {read_at_once} KiB by {grown} KiB");
    assert!(own.stop());
}
