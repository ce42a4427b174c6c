//! The operator's commands, while the service runs and while it does not.

use crate::harness::{Own, message, run};

#[test]
fn accounts_aliases_and_domains() {
    let mut own = Own::prepare("");
    for running in [false, true] {
        if running {
            own.start();
        }
        let tag = if running { "on" } else { "off" };
        own.sealpost(&["domain", "add", &format!("{tag}.test"), "--cram-md5"], b"").success();
        let domain = format!("{tag}.test");
        let replaced = ["domain", "add", &domain, "--separator=-", "--replace"];
        assert!(own.sealpost(&replaced[..4], b"").failure().contains("exists"));
        own.sealpost(&replaced, b"").success();
        let line = own.sealpost(&["domain", "list"], b"").success();
        let line = line.lines().find(|l| l.starts_with(tag)).expect("listed").to_owned();
        assert!(line.contains(" -  ") && !line.contains("yes"), "{line}");
        let address = format!("b@{tag}.test");
        let add = ["account", "add", &address, "--name", "B", "--language"];
        let unknown = own.sealpost(&[&add[..], &["tlh"]].concat(), b"secret\n").failure();
        assert!(unknown.contains("'tlh'") && unknown.contains("de, en, es"), "{unknown}");
        own.sealpost(&[&add[..], &["de-AT"]].concat(), b"secret\n").success();
        let list = own.sealpost(&["account", "list"], b"").success();
        assert!(list.contains(&format!("b@{tag}.test")), "{list}");
        own.sealpost(
            &["alias", "add", &format!("all@{tag}.test"), &format!("b@{tag}.test"), "a@example.test"],
            b"",
        )
        .success();
        assert!(own.sealpost(&["alias", "list"], b"").success().contains(&format!("all@{tag}.test")));
        own.sealpost(&["alias", "remove", &format!("all@{tag}.test")], b"").success();
        let refused = own.sealpost(&["domain", "remove", &format!("{tag}.test")], b"").failure();
        assert!(refused.contains("account"), "{refused}");
        own.sealpost(&["account", "remove", &format!("b@{tag}.test"), "--yes"], b"").success();
        own.sealpost(&["domain", "remove", &format!("{tag}.test")], b"").success();
        let twice = own.sealpost(&["account", "add", "a@example.test"], b"x12345678\n").failure();
        assert!(twice.contains("exists"), "{twice}");
        let nowhere = own.sealpost(&["account", "add", "a@nowhere.test"], b"x12345678\n").failure();
        assert!(nowhere.contains("domain add"), "{nowhere}");
        assert!(own.sealpost(&["check"], b"").success().contains("consistent"));
    }
    assert!(own.stop());
}

#[test]
fn rules_of_a_domain_and_exceptions_from_them() {
    let mut own = Own::prepare("");
    for running in [false, true] {
        if running {
            own.start();
        }
        let policy = |options: &[&str]| {
            own.sealpost(&[&["domain", "policy", "example.test"][..], options].concat(), b"")
        };
        let shown = policy(&[]).success();
        assert!(shown.contains("ports") && shown.contains("all") && !shown.contains("warning"), "{shown}");
        let port = own.server().port("imaps").to_string();
        let set =
            ["--tls-min", "1.3", "--ports", &port, "--mechanisms", "SCRAM-SHA-256,plain", "--provider", "Ex"];
        let shown = policy(&set).success();
        for word in ["1.3", &format!("{port} (imap)"), "SCRAM-SHA-256, PLAIN", "Ex"] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        assert_eq!(policy(&[]).success(), shown, "what is not named stays");
        let closed = policy(&["--ports", "1"]).failure();
        assert!(closed.contains("Nothing listens at port 1; there are "), "{closed}");
        assert!(policy(&["--mechanisms", "MAGIC"]).failure().contains("There is no mechanism MAGIC"));
        assert!(policy(&["--tls-min", "1.1"]).failure().contains("TLS 1.1 is not spoken here"));
        let clear = policy(&["--clear-login", "staged", "--stage", "observe"]).success();
        assert!(clear.contains("every port begins with TLS") || clear.contains("can be read"), "{clear}");
        let back = ["--tls-min", "1.2", "--ports", "all", "--mechanisms", "all", "--provider", ""];
        policy(&back).success();
        assert!(!policy(&["--clear-login", "never"]).success().contains("warning"));

        let except = |options: &[&str]| {
            own.sealpost(&[&["account", "exception", "a@example.test"][..], options].concat(), b"")
        };
        assert!(except(&[]).success().contains("has no exception"));
        assert!(except(&["--until", "2000-01-01", "--reason", "x", "--clear"]).failure().contains("is over"));
        assert!(except(&["--until", "2099-13-01", "--reason", "x", "--clear"]).failure().contains("no day"));
        assert!(except(&["--until", "2099-01-01", "--reason", "x"]).failure().contains("what is allowed"));
        let set = ["--until", "2099-01-01", "--reason", "scanner in room 12", "--mechanisms", "CRAM-MD5"];
        let shown = except(&set).success();
        for word in ["2099-01-01", "scanner in room 12", "CRAM-MD5", "next password"] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        assert_eq!(except(&[]).success(), shown);
        except(&["--remove"]).success();
        assert!(except(&[]).success().contains("has no exception"));
        assert!(own.sealpost(&["check"], b"").success().contains("consistent"));
    }
    assert!(own.stop());
}

#[test]
fn a_rule_holds_from_the_next_login_on() {
    let mut own = Own::prepare("");
    own.start();
    let server = own.server();
    let curl = |more: &[&str]| {
        let url = format!("imaps://localhost:{}/", server.port("imaps"));
        let login = format!("a@example.test:{}", server.users[0].password);
        let base = ["-v", "-sS", "--cacert", &server.ca, "-u", &login, &url];
        run("curl", &[&base[..], more].concat())
    };
    curl(&["--tls-max", "1.2"]).success();
    own.sealpost(&["domain", "policy", "example.test", "--tls-min", "1.3"], b"").success();
    let refused = curl(&["--tls-max", "1.2"]).failure();
    assert!(
        refused.contains("[PRIVACYREQUIRED] Encryption too old: this account needs TLS 1.3"),
        "{refused}"
    );
    curl(&[]).success();
    let except =
        ["account", "exception", "a@example.test", "--until", "2099-01-01", "--reason", "old", "--clear"];
    own.sealpost(&except, b"").success();
    curl(&["--tls-max", "1.2"]).success();
    assert!(own.stop());
}

#[test]
fn password_change_and_disabling_hold_at_once() {
    let mut own = Own::prepare("");
    own.start();
    let server = own.server();
    let mut user = server.users[0].clone();
    assert!(server.fetch_all(&user).is_empty());
    own.sealpost(&["account", "password", "a@example.test"], b"another one\n").success();
    let url = format!("pop3s://localhost:{}/", server.port("pop3s"));
    let login = |user: &crate::harness::User| {
        let login = format!("{}:{}", user.address, user.password);
        crate::harness::run("curl", &["-sS", "--cacert", &server.ca, "-u", &login, &url]).code
    };
    assert_eq!(login(&user), 67);
    user.password = "another one".to_owned();
    assert_eq!(login(&user), 0);
    own.sealpost(&["account", "disable", "a@example.test"], b"").success();
    assert_eq!(login(&user), 67);
    own.sealpost(&["account", "disable", "a@example.test", "--undo"], b"").success();
    assert_eq!(login(&user), 0);
    let log = own.log();
    assert!(!log.contains("secret of a") && !log.contains("another one"), "a password is in the log");
    assert!(own.stop());
}

#[test]
fn imports_mbox_maildir_and_eml() {
    let mut own = Own::prepare("");
    let mbox = own.dir.join("old.mbox");
    let mut text = String::new();
    for n in 0..3 {
        text.push_str(&format!(
            "From a@b.test Sat Jan  3 01:05:34 2015\nSubject: mbox {n}\nFrom: a@b.test\n\nbody {n}\n>From quoted\n\n"
        ));
    }
    std::fs::write(&mbox, text).expect("mbox");
    let eml = own.dir.join("eml");
    std::fs::create_dir(&eml).expect("dir");
    std::fs::write(eml.join("1.eml"), message("an eml", "x@y.test", "a@example.test", 300_000)).expect("eml");
    let maildir = own.dir.join("maildir");
    for sub in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(maildir.join(sub)).expect("dir");
    }
    std::fs::write(maildir.join("cur/1.host:2,S"), b"Subject: seen\n\nx\n").expect("maildir");
    std::fs::write(maildir.join("new/2.host"), b"Subject: new\n\ny\n").expect("maildir");
    own.sealpost(&["import", "a@example.test", &mbox.display().to_string()], b"").success();
    own.start();
    own.sealpost(&["import", "a@example.test", &eml.display().to_string()], b"").success();
    own.sealpost(&["import", "a@example.test", &maildir.display().to_string()], b"").success();
    let refused =
        own.sealpost(&["import", "nobody@example.test", &mbox.display().to_string()], b"").failure();
    assert!(refused.contains("no account"), "{refused}");
    let server = own.server();
    let got = server.fetch_all(&server.users[0]);
    assert_eq!(got.len(), 6);
    let first = String::from_utf8_lossy(&got[0]).into_owned();
    assert!(first.contains("Subject: mbox 0\r\n") && first.contains("\r\nFrom quoted\r\n"), "{first}");
    assert!(own.sealpost(&["check"], b"").success().contains("6 messages"));
    assert!(own.stop());
}

#[test]
fn mistakes_in_settings_are_all_told() {
    let dir = tempfile::tempdir().expect("tempdir");
    let file = dir.path().join("s.toml");
    std::fs::write(&file, "hots = \"mail.example.org\"\n[limits]\nstall = \"soon\"\n").expect("write");
    let file = file.display().to_string();
    let said =
        crate::harness::run(env!("CARGO_BIN_EXE_sealpost"), &["--config", &file, "settings"]).failure();
    for part in ["hots", "host", "stall", ":1:", ":3:", "certificate"] {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
}
