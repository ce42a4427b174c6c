//! swaks and msmtp submit mail; swaks plays another server on port 25 and LMTP.

use crate::harness::{body, demo, message, run, run_with, said, wait_for};

/// Exit codes of swaks that name the step that failed.
mod swaks_code {
    pub const AUTH: i32 = 28;
    pub const RCPT: i32 = 24;
    pub const MAIL: i32 = 23;
}

#[test]
fn swaks_by_every_mechanism_it_has() {
    let server = demo();
    let (user, to) = (server.user(), server.user());
    let mut expected = Vec::new();
    for (tls, port) in [("--tls", "submission"), ("--tls-on-connect", "submissions")] {
        for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5"] {
            let text = format!("by swaks {tls} {mechanism}");
            let port = server.port(port).to_string();
            run(
                "swaks",
                &[
                    "--server",
                    &server.host,
                    "--port",
                    &port,
                    tls,
                    "--tls-ca-path",
                    &server.ca,
                    "--tls-verify",
                    "--from",
                    &user.address,
                    "--to",
                    &to.address,
                    "--auth",
                    mechanism,
                    "--auth-user",
                    &user.address,
                    "--auth-password",
                    &user.password,
                    "--body",
                    &text,
                    "-n",
                ],
            )
            .success();
            expected.push(text);
        }
    }
    let port = server.port("submission").to_string();
    run(
        "swaks",
        &[
            "--server",
            &server.host,
            "--port",
            &port,
            "--tls",
            "--from",
            &user.address,
            "--to",
            &to.address,
            "--auth",
            "PLAIN",
            "--auth-user",
            &user.address,
            "--auth-password",
            &user.password,
            "--body",
            "by swaks pipelined",
            "--pipeline",
            "-n",
        ],
    )
    .success();
    expected.push("by swaks pipelined".to_owned());
    let got = server.fetch_all(&to);
    assert_eq!(got.len(), expected.len());
    for text in expected {
        assert!(got.iter().any(|m| String::from_utf8_lossy(m).contains(&text)), "{text} is missing");
    }
}

#[test]
fn swaks_is_refused() {
    let server = demo();
    let user = &server.users[0];
    let port = server.port("submissions").to_string();
    let base = ["--server", &server.host, "--from", &user.address, "--to", &user.address, "-n"];
    let with = |more: &[&str]| {
        let mut all = base.to_vec();
        all.extend_from_slice(more);
        run("swaks", &all)
    };
    let login = ["--auth", "PLAIN", "--auth-user", &user.address, "--auth-password"];
    let mut wrong = vec!["--port", &port, "--tls-on-connect"];
    wrong.extend(login);
    wrong.push("wrong");
    let answer = with(&wrong);
    assert_eq!(answer.code, swaks_code::AUTH, "{}", answer.text);
    assert!(answer.text.contains("535 5.7.8"), "{}", answer.text);
    // No AUTH before TLS.
    let clear = server.port("submission").to_string();
    let mut early = vec!["--port", &clear];
    early.extend(login);
    early.push(&user.password);
    let answer = with(&early);
    assert_eq!(answer.code, swaks_code::AUTH, "{}", answer.text);
    assert!(!answer.text.contains("250-AUTH"), "{}", answer.text);
    // Submission without a login.
    let answer = with(&["--port", &port, "--tls-on-connect"]);
    assert_eq!(answer.code, swaks_code::MAIL, "{}", answer.text);
    assert!(answer.text.contains("530 5.7.0"), "{}", answer.text);
    // Somebody else's address.
    let mut forged = vec!["--port", &port, "--tls-on-connect"];
    forged.extend(login);
    forged.extend([user.password.as_str(), "--from", "somebody-else@example.test"]);
    let answer = with(&forged);
    assert_eq!(answer.code, swaks_code::MAIL, "{}", answer.text);
    // Elsewhere, until sending is built.
    let mut away = vec!["--port", &port, "--tls-on-connect"];
    away.extend(login);
    away.extend([user.password.as_str(), "--to", "x@elsewhere.test"]);
    let answer = with(&away);
    assert_eq!(answer.code, swaks_code::RCPT, "{}", answer.text);
}

#[test]
fn other_servers_deliver_and_relay_nothing() {
    let server = demo();
    let user = server.user();
    let port = server.port("smtp").to_string();
    let base = ["--server", &server.host, "--port", &port, "--from", "stranger@elsewhere.test", "-n"];
    let with = |more: &[&str]| {
        let mut all = base.to_vec();
        all.extend_from_slice(more);
        run("swaks", &all)
    };
    with(&["--tls", "--to", &user.address, "--body", "under TLS"]).success();
    with(&["--to", &user.address.to_uppercase(), "--body", "in clear, other letters"]).success();
    let sub_address = user.address.replace('@', "+list@");
    with(&["--to", &sub_address, "--body", "to a sub-address"]).success();
    assert_eq!(with(&["--to", "x@third.test"]).code, swaks_code::RCPT);
    let unknown = with(&["--to", "nobody-here@example.test"]);
    assert_eq!(unknown.code, swaks_code::RCPT);
    assert!(unknown.text.contains("550 5.1.1"), "{}", unknown.text);
    let got = server.fetch_all(&user);
    assert_eq!(got.len(), 3);
    let first = String::from_utf8_lossy(&got[0]).into_owned();
    assert!(
        first.contains("Return-Path: <stranger@elsewhere.test>") && first.contains("with ESMTPS"),
        "{first}"
    );
}

#[test]
fn several_recipients_get_one_message_each() {
    let server = demo();
    let (a, b) = (server.user(), server.user());
    let port = server.port("smtp").to_string();
    let to = format!("{},{},{}", a.address, b.address, a.address.replace('@', "+twice@"));
    run(
        "swaks",
        &[
            "--server",
            &server.host,
            "--port",
            &port,
            "--from",
            "stranger@elsewhere.test",
            "--to",
            &to,
            "--body",
            "for two",
            "-n",
        ],
    )
    .success();
    for user in [&a, &b] {
        let got = wait_for("both deliveries", || Some(server.fetch_all(user)).filter(|got| !got.is_empty()));
        assert_eq!(got.len(), 1);
        let text = String::from_utf8_lossy(&got[0]);
        assert!(text.contains(&format!("Delivered-To: {}\r\n", user.address)), "{text}");
    }
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let server = demo();
    let user = server.user();
    let port = server.port("lmtp").to_string();
    let to = format!("{},nobody@example.test", user.address);
    let answer = run(
        "swaks",
        &[
            "--protocol",
            "LMTP",
            "--server",
            &server.host,
            "--port",
            &port,
            "--from",
            "mta@elsewhere.test",
            "--to",
            &to,
            "--body",
            "by LMTP",
            "-n",
        ],
    );
    assert!(answer.text.contains("250 2.0.0") && answer.text.contains("550 5.1.1"), "{}", answer.text);
    assert_eq!(server.fetch_all(&user).len(), 1);
}

#[test]
fn msmtp_by_every_mechanism() {
    let server = demo();
    let (user, to) = (server.user(), server.user());
    let mut sent = Vec::new();
    for (port, starttls) in [("submissions", "off"), ("submission", "on")] {
        for mechanism in ["plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"] {
            let text = message(&format!("msmtp {port} {mechanism}"), &user.address, &to.address, 3000);
            let unix: Vec<u8> = text.iter().copied().filter(|b| *b != b'\r').collect();
            let arguments = [
                "-C".to_owned(),
                "/dev/null".to_owned(),
                format!("--host={}", server.host),
                format!("--port={}", server.port(port)),
                format!("--auth={mechanism}"),
                format!("--user={}", user.address),
                format!("--passwordeval=echo '{}'", user.password),
                "--tls=on".to_owned(),
                format!("--tls-starttls={starttls}"),
                format!("--tls-trust-file={}", server.ca),
                format!("--from={}", user.address),
                "--".to_owned(),
                to.address.clone(),
            ];
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            said(&run_with("msmtp", &arguments, &unix, &[])).success();
            sent.push(body(&text));
        }
    }
    let got: Vec<Vec<u8>> = server.fetch_all(&to).iter().map(|m| body(m)).collect();
    assert_eq!(got.len(), sent.len());
    assert_eq!(got, sent);
}
