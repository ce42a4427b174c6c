//! Every row of every preset on the started program, and the rows that serve both ways, judged by openssl, curl and Python.

use crate::harness::{Server, demo, demo_of, run, run_with, said};
use std::collections::BTreeSet;

/// What a row has to show.
#[derive(Clone, Copy, Debug)]
enum Row {
    /// TLS from the first byte, and this beginning of the greeting.
    Tls(&'static str),
    /// STARTTLS by openssl's name of the protocol; and whether somebody may log in.
    Upgrade(&'static str, bool),
    /// A page over TLS.
    Pages,
    /// The way to the pages.
    Redirect,
}

const IMAPS: (&str, Row) = ("imaps", Row::Tls("* OK ["));
const POP3S: (&str, Row) = ("pop3s", Row::Tls("+OK "));
const SUBMISSIONS: (&str, Row) = ("submissions", Row::Tls("220 "));
const SUBMISSION: (&str, Row) = ("submission", Row::Upgrade("smtp", true));
const IMAP: (&str, Row) = ("imap", Row::Upgrade("imap", true));
const POP3: (&str, Row) = ("pop3", Row::Upgrade("pop3", true));
const HTTPS: (&str, Row) = ("https", Row::Pages);
const HTTP: (&str, Row) = ("http", Row::Redirect);
const LMTP: (&str, Row) = ("lmtp", Row::Upgrade("lmtp", false));

/// `clients`: people may submit where other servers deliver.
const fn smtp(clients: bool) -> (&'static str, Row) {
    ("smtp", Row::Upgrade("smtp", clients))
}

#[test]
fn modern() {
    let server = demo_of("modern");
    rows(&server, &[IMAPS, POP3S, SUBMISSIONS, smtp(false), HTTPS, HTTP, LMTP], true);
}

#[test]
fn submission_first() {
    let server = demo_of("submission-first");
    rows(&server, &[IMAPS, POP3S, SUBMISSION, SUBMISSIONS, smtp(false), HTTPS, HTTP, LMTP], true);
}

#[test]
fn compatible() {
    let alternate = |name| (name, Row::Upgrade("smtp", true));
    let alternates = ["submission-2525", "submission-2025", "submission-26"].map(alternate);
    let rest = [IMAPS, POP3S, SUBMISSIONS, SUBMISSION, IMAP, POP3, smtp(true), HTTPS, HTTP, LMTP];
    rows(demo(), &[&rest[..], &alternates].concat(), true);
}

#[test]
fn challenge_only() {
    let server = demo_of("challenge-only");
    let all = [IMAPS, POP3S, SUBMISSIONS, SUBMISSION, IMAP, POP3, smtp(true), HTTPS, HTTP, LMTP];
    rows(&server, &all, false);
}

/// Holds the service against exactly these rows. `sent`: mechanisms that send the password are offered.
fn rows(server: &Server, rows: &[(&str, Row)], sent: bool) {
    let there: BTreeSet<&str> = server.ports.keys().map(String::as_str).collect();
    let wanted: BTreeSet<&str> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(there, wanted);
    crate::doctor_servers::ours::healthy(server);
    for (name, row) in rows {
        let port = server.port(name);
        match row {
            Row::Tls(greeting) => {
                let input = offers_of(name);
                let said = openssl(server, port, &[], input);
                assert!(said.contains(greeting), "{name}: {said}");
                offers(name, &said, true, sent);
            }
            Row::Upgrade(protocol, login) => {
                let said = openssl(server, port, &["-starttls", protocol], offers_of(name));
                assert!(
                    said.contains("Verify return code: 0") || said.contains("Verification: OK"),
                    "{name}: {said}"
                );
                offers(name, &said, *login, sent);
            }
            Row::Pages => {
                let url = format!("https://{}:{port}/", server.host);
                let head = run("curl", &["-sS", "-i", "--cacert", &server.ca, &url]).success();
                assert!(head.starts_with("HTTP/2 200") || head.starts_with("HTTP/1.1 200"), "{head}");
            }
            Row::Redirect => {
                let url = format!("http://{}:{port}/", server.host);
                let head = run("curl", &["-sS", "-i", &url]).success();
                assert!(head.starts_with("HTTP/1.1 30"), "{head}");
                let aim = format!("https://{}:{}/", server.host, server.port("https"));
                assert!(head.to_lowercase().contains(&format!("location: {aim}")), "{head}");
            }
        }
    }
}

/// What asks for the offer, in the protocol of the row.
fn offers_of(name: &str) -> &'static [u8] {
    match name {
        "imap" | "imaps" => b"a CAPABILITY\r\nb LOGOUT\r\n",
        "pop3" | "pop3s" => b"CAPA\r\nQUIT\r\n",
        "lmtp" => b"LHLO x\r\nQUIT\r\n",
        _ => b"EHLO x\r\nQUIT\r\n",
    }
}

fn offers(name: &str, said: &str, login: bool, sent: bool) {
    assert_eq!(said.contains("SCRAM-SHA-256"), login, "{name}: {said}");
    let plain = [" PLAIN", "AUTH=PLAIN"].iter().any(|word| said.contains(word));
    assert_eq!(plain, login && sent, "{name}: {said}");
}

fn openssl(server: &Server, port: u16, more: &[&str], input: &[u8]) -> String {
    let address = format!("{}:{port}", server.host);
    let base = [
        "s_client",
        "-crlf",
        "-ign_eof",
        "-CAfile",
        &server.ca,
        "-verify_return_error",
        "-connect",
        &address,
    ];
    // openssl reads its input as lines; a CR of ours would be doubled.
    let lines: Vec<u8> = input.iter().copied().filter(|octet| *octet != b'\r').collect();
    said(&run_with("openssl", &[&base[..], more].concat(), &lines, &[])).text
}

/// The three ports of the commonest mistake, in both ways.
const BOTH: [(&str, &str); 3] = [("imaps", "imap"), ("pop3s", "pop3"), ("submissions", "smtp")];

#[test]
fn both_ways_with_openssl() {
    let server = demo();
    for (name, protocol) in BOTH {
        let port = server.port(name);
        for more in [&[][..], &["-starttls", protocol]] {
            let said = openssl(server, port, more, offers_of(name));
            offers(name, &said, true, true);
            assert!(!said.contains("STARTTLS\r\n") && !said.contains("STLS"), "{name} {more:?}: {said}");
        }
    }
}

#[test]
fn both_ways_with_curl() {
    let server = demo();
    let user = server.user();
    let login = format!("{}:{}", user.address, user.password);
    let dir = tempfile::tempdir().expect("tempdir");
    let file = dir.path().join("m.eml").display().to_string();
    let text = crate::harness::message("both ways", &user.address, &user.address, 300);
    std::fs::write(&file, text).expect("write");
    for (name, protocol) in BOTH {
        for url in [format!("{protocol}s"), protocol.to_owned()] {
            let url = format!("{url}://{}:{}/", server.host, server.port(name));
            let mut all = vec!["-sS", "--ssl-reqd", "--cacert", &server.ca, "-u", &login, &url];
            if protocol == "smtp" {
                all.extend(["--mail-from", &user.address, "--mail-rcpt", &user.address, "-T", &file]);
            }
            run("curl", &all).success();
        }
    }
}

const PYTHON: &str = r#"
import imaplib, poplib, smtplib, ssl, sys
host, ca, user, password, imaps, pop3s, submissions = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
c = imaplib.IMAP4_SSL(host, int(imaps), ssl_context=context); c.login(user, password); c.select(); c.logout()
c = imaplib.IMAP4(host, int(imaps)); assert "LOGINDISABLED" in c.capabilities, c.capabilities
c.starttls(context); c.login(user, password); c.select(); c.logout()
c = poplib.POP3_SSL(host, int(pop3s), context=context); c.user(user); c.pass_(password); c.quit()
c = poplib.POP3(host, int(pop3s)); assert "STLS" in c.capa() and "USER" not in c.capa()
c.stls(context); c.user(user); c.pass_(password); c.quit()
c = smtplib.SMTP_SSL(host, int(submissions), context=context); c.login(user, password); c.quit()
c = smtplib.SMTP(host, int(submissions)); c.ehlo(); assert not c.has_extn("auth")
c.starttls(context=context); c.login(user, password); c.quit()
print("all done")
"#;

#[test]
fn both_ways_with_python() {
    let server = demo();
    let user = server.user();
    let ports = ["imaps", "pop3s", "submissions"].map(|name| server.port(name).to_string());
    let arguments = ["-c", PYTHON, &server.host, &server.ca, &user.address, &user.password];
    let ports = ports.each_ref().map(String::as_str);
    let said = run("python3", &[&arguments[..], &ports].concat()).success();
    assert!(said.contains("all done"), "{said}");
}

#[test]
fn mail_over_the_webs_port_by_alpn() {
    let mut own = crate::harness::Own::prepare_on_web();
    own.start();
    let server = own.server();
    let port = server.port("https");
    let imap = openssl(&server, port, &["-alpn", "imap"], b"a CAPABILITY\r\nb LOGOUT\r\n");
    assert!(imap.contains("ALPN protocol: imap") && imap.contains("* BYE"), "{imap}");
    offers("imap on web", &imap, true, true);
    let mail = openssl(&server, port, &["-alpn", "submissions"], b"EHLO x\r\nQUIT\r\n");
    assert!(mail.contains("ALPN protocol: submissions") && mail.contains("221 "), "{mail}");
    offers("submission on web", &mail, true, true);
    let url = format!("https://{}:{port}/", server.host);
    let page = run("curl", &["-sS", "-i", "--cacert", &server.ca, &url]).success();
    assert!(page.starts_with("HTTP/2 200"), "{page}");
    assert!(own.stop());
}
