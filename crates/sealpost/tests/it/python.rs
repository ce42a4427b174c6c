//! Python's smtplib and poplib do whole jobs; the script asserts, we run it.

use crate::harness::{demo, run_with, said};

const SCRIPT: &str = r#"
import email.message, poplib, smtplib, ssl, sys
host, ca, user, password, smtps, smtp, pop3s, pop3 = sys.argv[1:9]
ctx = ssl.create_default_context(cafile=ca)
poplib._MAXLINE = 1 << 20
msgs = [f"From: {user}\r\nTo: {user}\r\nSubject: n{i}\r\n\r\nbody {i}\r\n.dot\r\n..\r\n{'x' * 70}\r\n".encode() for i in range(12)]
for kind in "implicit", "starttls":
    c = smtplib.SMTP_SSL(host, int(smtps), context=ctx) if kind == "implicit" else smtplib.SMTP(host, int(smtp))
    if kind == "starttls":
        c.starttls(context=ctx)
    c.login(user, password)
    for m in msgs:
        assert c.sendmail(user, [user], m) == {}
    c.quit()
    p = poplib.POP3_SSL(host, int(pop3s), context=ctx) if kind == "implicit" else poplib.POP3(host, int(pop3))
    if kind == "starttls":
        p.stls(ctx)
    p.user(user); p.pass_(password)
    n, size = p.stat()
    assert n == 12, n
    assert len(p.list()[1]) == 12 and len({x.split()[1] for x in p.uidl()[1]}) == 12
    assert sum(int(x.split()[1]) for x in p.list()[1]) == size
    for i in range(12):
        got = b"\r\n".join(p.retr(i + 1)[1]) + b"\r\n"
        assert len(got) == int(p.list(i + 1).split()[2]), (len(got), p.list(i + 1))
        assert got.endswith(msgs[i].split(b"\r\n\r\n")[1]), got
    assert len(p.top(1, 0)[1]) < len(p.retr(1)[1])
    p.dele(1); p.rset(); assert p.stat()[0] == 12
    for i in range(12):
        p.dele(i + 1)
    p.quit()
    p = poplib.POP3_SSL(host, int(pop3s), context=ctx); p.user(user); p.pass_(password)
    assert p.stat() == (0, 0), p.stat()
    k = p.capa()
    assert {"TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "UTF8", "LANG", "SASL", "USER", "EXPIRE"} <= set(k), k
    p.quit()
for mech in "auth_plain", "auth_login", "auth_cram_md5":
    c = smtplib.SMTP(host, int(smtp)); c.starttls(context=ctx); c.ehlo()
    c.user, c.password = user, password
    assert c.auth(mech[5:].replace("_", "-").upper(), getattr(c, mech))[0] == 235
    c.quit()
c = smtplib.SMTP_SSL(host, int(smtps), context=ctx); c.login(user, password)
m = email.message.EmailMessage(); m["From"] = user; m["To"] = user; m["Bcc"] = "hidden@example.test"; m["Subject"] = "Γειά σου 📬"; m.set_content("ж")
assert "smtputf8" in c.esmtp_features
c.sendmail(user, [user], m.as_bytes(policy=m.policy.clone(utf8=True, linesep="\r\n")), mail_options=["SMTPUTF8", "BODY=8BITMIME"])
c.quit()
p = poplib.POP3_SSL(host, int(pop3s), context=ctx); p.user(user); p.pass_(password)
got = b"\n".join(p.retr(1)[1])
assert b"Subject: =?UTF-8?B?" in got and b"hidden@" not in got and b"UTF8SMTPSA" in got, got
p.quit()
p = poplib.POP3_SSL(host, int(pop3s), context=ctx); p.utf8(); p.user(user); p.pass_(password)
got = b"\n".join(p.retr(1)[1])
assert "Subject: Γειά σου 📬".encode() in got, got
try:
    q = poplib.POP3_SSL(host, int(pop3s), context=ctx); q.user(user); q.pass_(password)
except poplib.error_proto as e:
    assert b"[IN-USE]" in e.args[0], e
else:
    raise AssertionError("the maildrop was opened twice")
p.quit()
try:
    q = poplib.POP3_SSL(host, int(pop3s), context=ctx); q.user(user); q.pass_(password + "x")
except poplib.error_proto as e:
    assert b"[AUTH]" in e.args[0], e
else:
    raise AssertionError("let in")
print("all is well")
"#;

#[test]
fn smtplib_and_poplib() {
    let server = demo();
    let user = server.user();
    let port = |name: &str| server.port(name).to_string();
    let output = run_with(
        "python3",
        &[
            "-c",
            SCRIPT,
            &server.host,
            &server.ca,
            &user.address,
            &user.password,
            &port("submissions"),
            &port("submission"),
            &port("pop3s"),
            &port("pop3"),
        ],
        b"",
        &[],
    );
    assert!(said(&output).success().contains("all is well"));
}
