//! Python's imaplib and IMAPClient do whole jobs over both kinds of TLS; the scripts assert, we run them.

use crate::harness::{demo, run_with, said};

const IMAPLIB: &str = r#"
import imaplib, ssl, sys, time, zlib
host, ca, user, password, imaps, imap = sys.argv[1:7]
imaplib._MAXLINE = 10_000_000
ctx = ssl.create_default_context(cafile=ca)
def want(answer):
    typ, data = answer
    assert typ == "OK", answer
    return data
message = lambda n: f"From: {user}\r\nTo: {user}\r\nSubject: n{n} =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <{n}@py>\r\n\r\nbody {n} w\u00f6rd\r\n.dot\r\n{'x' * 70}\r\n".encode()
for kind in "implicit", "starttls":
    if kind == "implicit":
        c = imaplib.IMAP4_SSL(host, int(imaps), ssl_context=ctx)
    else:
        c = imaplib.IMAP4(host, int(imap))
        assert "LOGINDISABLED" in c.capabilities, c.capabilities
        try:
            c.login(user, password)
        except imaplib.IMAP4.error as e:
            assert "TLS" in str(e), e
        else:
            raise AssertionError("let in without TLS")
        c.starttls(ctx)
    assert "IMAP4REV1" in c.capabilities and "AUTH=PLAIN" in c.capabilities, c.capabilities
    c.login(user, password)
    assert want(c.select("INBOX")) == [b"0"]
    uids = []
    for n in range(12):
        want(c.append("INBOX", r"(\Seen $Work)" if n % 2 else None, imaplib.Time2Internaldate(1700000000 + n), message(n)))
    assert want(c.noop()) is not None
    want(c.select("INBOX"))
    data = want(c.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
    got = [d for d in data if isinstance(d, tuple)]
    assert [d[1] for d in got] == [message(n) for n in range(12)]
    assert sum(b"\\Seen" in d[0] and b"$Work" in d[0] for d in got) == 6, got
    assert want(c.search(None, "UNSEEN"))[0].split() == [b"1", b"3", b"5", b"7", b"9", b"11"]
    assert want(c.search(None, "SUBJECT", '"n7 gr"'))[0] == b"8"
    assert want(c.search("UTF-8", "BODY", '"body 3 w\u00f6rd"'.encode()))[0] == b"4"
    assert want(c.search(None, "HEADER", "Message-ID", '"<5@py>"'))[0] == b"6"
    assert want(c.sort("(REVERSE SUBJECT)", "UTF-8", "1:3"))[0] == b"3 2 1"
    assert want(c.thread("REFERENCES", "UTF-8", "1:2"))[0] == b"(1)(2)"
    want(c.store("1:3", "+FLAGS.SILENT", r"(\Deleted)"))
    assert len(want(c.expunge())) == 3 and want(c.search(None, "ALL"))[0].split()[-1] == b"9"
    want(c.create("Arbeit/&AMQ-pfel"))
    assert any(b"&AMQ-pfel" in line for line in want(c.list()))
    want(c.copy("1:2", "Arbeit/&AMQ-pfel"))
    assert want(c.status("Arbeit/&AMQ-pfel", "(MESSAGES UNSEEN UIDNEXT)"))[0].endswith(b"(MESSAGES 2 UNSEEN 1 UIDNEXT 3)")
    uid = want(c.fetch("4", "(UID)"))[0].split()[2].rstrip(b")").decode()
    want(c.uid("MOVE", uid, "Arbeit/&AMQ-pfel"))
    want(c.rename("Arbeit/&AMQ-pfel", "Obst")); want(c.subscribe("Obst"))
    assert any(b"Obst" in line for line in want(c.lsub())), want(c.lsub())
    want(c.select("Obst", readonly=True))
    assert want(c.fetch("3", "(BODY[TEXT]<0.6>)"))[0][1] == b"body 6"
    want(c.unselect()); want(c.delete("Obst")); want(c.delete("Arbeit"))
    assert want(c.getquotaroot("INBOX")) is not None
    want(c.select("INBOX")); want(c.store("1:*", "FLAGS", r"(\Deleted)")); want(c.close())
    assert want(c.select("INBOX")) == [b"0"]
    assert c.logout()[0] == "BYE"
for mech in "PLAIN", "CRAM-MD5":
    c = imaplib.IMAP4_SSL(host, int(imaps), ssl_context=ctx)
    if mech == "PLAIN":
        want(c.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode()))
    else:
        want(c.login_cram_md5(user, password))
    c.logout()
# Everything compressed (RFC 4978), which imaplib does not know of.
c = imaplib.IMAP4_SSL(host, int(imaps), ssl_context=ctx); c.login(user, password)
imaplib.Commands["COMPRESS"] = ("AUTH", "SELECTED")
want(c._simple_command("COMPRESS", "DEFLATE"))
unpack, pack, buffer = zlib.decompressobj(-15), zlib.compressobj(1, zlib.DEFLATED, -15), bytearray()
def fill(enough):
    while not enough():
        data = c.sock.recv(4096)
        assert data, "closed"
        buffer.extend(unpack.decompress(data))
def take(n):
    got = bytes(buffer[:n]); del buffer[:n]
    return got
def readline():
    fill(lambda: b"\n" in buffer)
    return take(buffer.index(b"\n") + 1)
def read(n):
    fill(lambda: len(buffer) >= n)
    return take(n)
c.readline, c.read = readline, read
c.send = lambda data: c.sock.sendall(pack.compress(data) + pack.flush(zlib.Z_SYNC_FLUSH))
want(c.select("INBOX"))
large = b"Subject: large\r\n\r\n" + b"all work and no play\r\n" * 20000
want(c.append("INBOX", None, None, large))
assert want(c.fetch("1", "(BODY.PEEK[])"))[0][1] == large
want(c.store("1", "FLAGS", r"(\Deleted)")); want(c.close())
print("all is well")
"#;

const IMAPCLIENT: &str = r#"
import ssl, sys, threading, time
from imapclient import IMAPClient, SEEN, DELETED
host, ca, user, password, imaps, imap = sys.argv[1:7]
ctx = ssl.create_default_context(cafile=ca)
c = IMAPClient(host, int(imaps), ssl=True, ssl_context=ctx); c.login(user, password)
w = IMAPClient(host, int(imap), ssl=False); w.starttls(ctx); w.login(user, password)
assert c.has_capability("CONDSTORE") and c.has_capability("IDLE")
assert c.namespace().personal[0][1] == "/"
assert c.find_special_folder(b"\\Sent") and c.find_special_folder(b"\\Trash")
c.select_folder("INBOX"); w.select_folder("INBOX")
w.idle()
began = time.monotonic()
c.append("INBOX", b"Subject: wake\r\n\r\nhello\r\n", flags=[SEEN])
told = w.idle_check(timeout=10)
assert any(b"EXISTS" in t for t in told), told
assert time.monotonic() - began < 5
w.idle_done()
uid = c.search(["SUBJECT", "wake"])[0]
data = c.fetch([uid], ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "MODSEQ", "INTERNALDATE"])[uid]
assert data[b"ENVELOPE"].subject == b"wake", data
assert data[b"BODYSTRUCTURE"][0] == b"text", data
c.add_flags([uid], ["$Later"]); assert b"$Later" in w.get_flags([uid])[uid] or w.noop() and b"$Later" in w.get_flags([uid])[uid]
c.create_folder("Büro/Ablage ☃"); c.subscribe_folder("Büro/Ablage ☃")
assert "Büro/Ablage ☃" in [f[2] for f in c.list_folders()]
c.move([uid], "Büro/Ablage ☃")
assert c.folder_status("Büro/Ablage ☃")[b"MESSAGES"] == 1
assert c.folder_status("INBOX")[b"MESSAGES"] == 0
w.idle(); time.sleep(0.2); w.idle_done()
c.select_folder("Büro/Ablage ☃")
assert c.sort(["REVERSE DATE"]) and c.thread() 
c.delete_messages(c.search()); c.expunge(); c.unselect_folder()
c.unsubscribe_folder("Büro/Ablage ☃"); c.delete_folder("Büro/Ablage ☃"); c.delete_folder("Büro")
assert c.get_quota_root("INBOX")
c.logout(); w.logout()
print("all is well")
"#;

fn run(script: &str) {
    let server = demo();
    let user = server.user();
    let (imaps, imap) = (server.port("imaps").to_string(), server.port("imap").to_string());
    let arguments = ["-c", script, &server.host, &server.ca, &user.address, &user.password, &imaps, &imap];
    // Where tools/install-clients.sh has put IMAPClient.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/clients/python");
    let output = run_with("python3", &arguments, b"", &[("PYTHONPATH", path)]);
    assert!(said(&output).success().contains("all is well"));
}

#[test]
fn imaplib() {
    run(IMAPLIB);
}

#[test]
fn imapclient() {
    run(IMAPCLIENT);
}
