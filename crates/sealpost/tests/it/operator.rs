//! The operator's commands, while the service runs and while it does not.

use crate::harness::{Own, message};

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
