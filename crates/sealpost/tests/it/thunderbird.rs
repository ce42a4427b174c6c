//! Thunderbird's own account set-up: a person types a name, an address and a password, and everything else is
//! found; then a message is fetched and one is sent.
//!
//! `tools/thunderbird/` uses the real Account Hub in a virtual display. One run takes about ten seconds, and
//! only one runs at a time. `SEALPOST_THUNDERBIRD=modern` runs that preset alone.

use crate::harness::{Server, User, demo_with, message, run_with, said, wait_for};
use serde_json::{Value, json};
use std::sync::Mutex;

/// What Thunderbird must arrive at: the first rows of a preset's model, in its own words.
struct Row {
    /// The listener's name.
    listener: &'static str,
    /// Its constant of `nsMsgSocketType`.
    security: &'static str,
    /// How our log says the same.
    logged: &'static str,
}

const IMAPS: Row = Row { listener: "imaps", security: "SSL", logged: "implicit" };
const SUBMISSIONS: Row = Row { listener: "submissions", security: "SSL", logged: "implicit" };
const SUBMISSION: Row = Row { listener: "submission", security: "alwaysSTARTTLS", logged: "starttls" };

/// Its constant of `nsMsgAuthMethod`, and the mechanism that it uses then.
const PASSWORD: (&str, &str) = ("passwordCleartext", "PLAIN");
const ENCRYPTED: (&str, &str) = ("passwordEncrypted", "CRAM-MD5");

#[test]
fn modern() {
    sets_itself_up("modern", &SUBMISSIONS, PASSWORD);
}

#[test]
fn submission_first() {
    sets_itself_up("submission-first", &SUBMISSION, PASSWORD);
}

/// Both ways on its ports, and mechanisms of both kinds.
#[test]
fn compatible() {
    sets_itself_up("compatible", &SUBMISSIONS, PASSWORD);
}

#[test]
fn challenge_only() {
    sets_itself_up("challenge-only", &SUBMISSIONS, ENCRYPTED);
}

fn sets_itself_up(preset: &'static str, outgoing: &Row, (method, mechanism): (&str, &str)) {
    static ONE: Mutex<()> = Mutex::new(());
    if std::env::var("SEALPOST_THUNDERBIRD").is_ok_and(|only| only != preset) {
        return;
    }
    // Where one has failed, the next may still run.
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let server = demo_with(preset, "debug");
    let (friend, user) = (server.user(), server.user());
    let waits = message("It waits for Thunderbird", &friend.address, &user.address, 2000);
    server.send(&friend, &user.address, &waits);
    let told = thunderbird(&server, &user);

    // What it says that it has found, and what its account has then.
    assert_eq!(told["found"]["source"], "account-hub-config-success-description-isp", "{told:#}");
    for (row, side, kind) in [(&IMAPS, "incoming", "imap"), (outgoing, "outgoing", "smtp")] {
        let port = server.port(row.listener);
        let found = json!({ "type": kind, "host": server.host, "port": port.to_string() });
        assert_eq!(told["found"][side], found, "{told:#}");
        let settings = json!({
            "type": kind, "host": server.host, "port": port, "user": user.address,
            "security": row.security, "auth": method,
        });
        assert_eq!(told["settings"][side], settings, "{told:#}");
    }
    assert_eq!(told["made"]["step"], "emailAddedSuccessSubview", "{told:#}");

    // What it read and what it sent, which a copy in "Sent" shows too.
    let text = |name: &str| told[name].as_str().unwrap_or_else(|| panic!("{name}: {told:#}")).to_owned();
    // Thunderbird hands over octets as characters of the same number.
    let octets: Vec<u8> = text("fetched").chars().map(|c| u8::try_from(c).expect("an octet")).collect();
    assert_eq!(crate::harness::body(&octets), crate::harness::body(&waits));
    for name in ["received", "kept"] {
        assert!(text(name).contains("User-Agent: Mozilla Thunderbird\r\n"), "{name}: {told:#}");
        assert!(text(name).ends_with("\r\n\r\nSent by Thunderbird.\r\n"), "{name}: {told:#}");
    }
    let arrived = server.fetch_all(&user);
    assert_eq!(arrived.len(), 2, "{told:#}");
    assert!(arrived[1].ends_with(b"\r\n\r\nSent by Thunderbird.\r\n"));

    logged(&server, &user, outgoing, mechanism);
}

/// Runs it; the answer is what it printed.
fn thunderbird(server: &Server, user: &User) -> Value {
    let dir = tempfile::tempdir().expect("tempdir");
    let folder = dir.path().join("run").display().to_string();
    let (https, http) = (server.port("https").to_string(), server.port("http").to_string());
    let domain = user.address.split_once('@').expect("an address").1;
    let arguments = [
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/thunderbird/set_up.py"),
        "--ca",
        &server.ca,
        "--domain",
        domain,
        "--https",
        &https,
        "--http",
        &http,
        "--address",
        &user.address,
        "--fetch",
        "It waits for Thunderbird",
        "--send",
        "From Thunderbird to itself",
        "--folder",
        &folder,
    ];
    let input = format!("{}\n", user.password);
    let output = run_with("python3", &arguments, input.as_bytes(), &[]);
    if !output.status.success() {
        let log = std::fs::read_to_string(dir.path().join("run/thunderbird.log")).unwrap_or_default();
        panic!("{}\n{log}\n{}", said(&output).text, server.log());
    }
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Our side of it: which document was asked for, and how it logged in.
fn logged(server: &Server, user: &User, outgoing: &Row, mechanism: &str) {
    let asked = format!(
        "encrypted=true method=GET host=\"autoconfig.{}\" path=\"/mail/config-v1.1.xml\" status=200",
        user.address.split_once('@').expect("an address").1
    );
    assert!(server.log().contains(&asked), "{}", server.log());
    for (protocol, row) in [("imap", &IMAPS), ("submission", outgoing)] {
        // POP3 was curl's.
        let logins = || {
            let log = server.log();
            let own = |line: &&str| {
                line.contains(&format!("account=\"{}\"", user.address))
                    && line.contains(&format!("protocol=\"{protocol}\""))
            };
            let lines: Vec<String> =
                log.lines().filter(|line| line.contains(" login ")).filter(own).map(str::to_owned).collect();
            (!lines.is_empty()).then_some(lines)
        };
        for line in wait_for("a login in the log", logins) {
            assert!(line.contains(&format!("mechanism=\"{mechanism}\"")), "{line}");
            assert!(line.contains(&format!("security=\"{}\"", row.logged)), "{line}");
        }
    }
}
