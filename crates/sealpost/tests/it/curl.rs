//! curl: smtp, smtps, pop3, pop3s, mechanisms, and what must be refused.

use crate::harness::{body, command, demo, message, run};
use crate::skips::skipped;

#[test]
fn sends_and_fetches_over_both_kinds_of_tls() {
    let server = demo();
    let user = server.user();
    let dir = tempfile::tempdir().expect("tempdir");
    let file = dir.path().join("m.eml").display().to_string();
    let login = format!("{}:{}", user.address, user.password);
    let base = ["-sS", "--ssl-reqd", "--cacert", &server.ca, "-u", &login];
    for (n, (smtp, pop3)) in
        [(("smtps", "submissions"), ("pop3s", "pop3s")), (("smtp", "submission"), ("pop3", "pop3"))]
            .into_iter()
            .enumerate()
    {
        let sent = message(&format!("curl {n}"), &user.address, &user.address, 5000);
        std::fs::write(&file, &sent).expect("write");
        let url = format!("{}://{}:{}", smtp.0, server.host, server.port(smtp.1));
        let mut send = base.to_vec();
        send.extend([&url, "--mail-from", &user.address, "--mail-rcpt", &user.address, "-T", &file]);
        run("curl", &send).success();

        let url = format!("{}://{}:{}/", pop3.0, server.host, server.port(pop3.1));
        let mut list = base.to_vec();
        list.push(&url);
        let listed = run("curl", &list).success();
        assert_eq!(listed.lines().count(), 1, "{listed}");
        let one = format!("{url}1");
        let mut fetch = base.to_vec();
        fetch.push(&one);
        let got = command("curl", &fetch).stdout;
        assert_eq!(body(&got), body(&sent));
        let text = String::from_utf8_lossy(&got);
        assert!(
            text.starts_with(&format!(
                "Return-Path: <{}>\r\nDelivered-To: {}\r\n",
                user.address, user.address
            )),
            "{text}"
        );
        assert!(text.contains("\r\nMessage-ID: <") && text.contains("\r\nDate: "), "{text}");
        for request in ["UIDL", "TOP 1 0", "CAPA"] {
            let mut ask = list.clone();
            ask.extend(["-X", request]);
            run("curl", &ask).success();
        }
        let mut delete = fetch.clone();
        delete.extend(["-X", "DELE", "-I"]);
        run("curl", &delete).success();
        assert_eq!(run("curl", &list).success().trim(), "");
    }
}

#[test]
fn every_mechanism() {
    let server = demo();
    let user = server.user();
    let login = format!("{}:{}", user.address, user.password);
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"] {
        if skipped("curl", mechanism) {
            continue;
        }
        let option = format!("AUTH={mechanism}");
        let base = ["-sS", "--cacert", &server.ca, "-u", &login, "--login-options", &option];
        let smtps = format!("smtps://{}:{}", server.host, server.port("submissions"));
        run("curl", &[&base[..], &[smtps.as_str(), "-X", "NOOP"]].concat()).success();
        // Without a command of its own curl lists; it takes the answer to any other for a listing without an end.
        let pop3s = format!("pop3s://{}:{}/", server.host, server.port("pop3s"));
        run("curl", &[&base[..], &[pop3s.as_str()]].concat()).success();
    }
}

#[test]
fn refusals() {
    let server = demo();
    let user = &server.users[0];
    let login = format!("{}:{}", user.address, user.password);
    let wrong = format!("{}:wrong", user.address);
    let pop3s = format!("pop3s://{}:{}/", server.host, server.port("pop3s"));
    let login_denied = 67;
    assert_eq!(run("curl", &["-sS", "--cacert", &server.ca, "-u", &wrong, &pop3s]).code, login_denied);
    // Without our CA the client refuses us.
    assert_eq!(run("curl", &["-sS", "-u", &login, &pop3s]).code, 60);
    // Clear text: no login, and the words say what to do.
    let pop3 = format!("pop3://{}:{}/", server.host, server.port("pop3"));
    let said = run("curl", &["-sS", "-v", "-u", &login, &pop3]).failure();
    assert!(!said.contains(&user.password), "{said}");
    let smtp = format!("smtp://{}:{}", server.host, server.port("submission"));
    let said = run("curl", &["-sS", "-v", "-u", &login, &smtp, "-X", "NOOP"]).text;
    assert!(!said.contains("AUTH "), "{said}");
    // Old TLS gets the alert.
    for version in ["1.0", "1.1"] {
        for port in ["pop3s", "submissions"] {
            let scheme = if port == "pop3s" { "pop3s" } else { "smtps" };
            let url = format!("{scheme}://{}:{}/", server.host, server.port(port));
            let flag = format!("--tlsv{version}");
            let said = run(
                "curl",
                &[
                    "-sS",
                    "--cacert",
                    &server.ca,
                    &flag,
                    "--tls-max",
                    version,
                    "--ciphers",
                    "DEFAULT@SECLEVEL=0",
                    "-u",
                    &login,
                    &url,
                ],
            );
            assert_eq!(said.code, 35, "{}", said.text);
            assert!(said.text.contains("protocol version"), "{}", said.text);
        }
    }
}
