//! What the operator is told of the rules of single domains: in the guide, and by the check of the settings.

use crate::harness::Own;

#[test]
fn the_guide_shows_a_domains_own_rows() {
    let mut own = Own::prepare("");
    own.sealpost(&["domain", "add", "customer.test"], b"").success();
    let policy =
        ["domain", "policy", "customer.test", "--host", "imap.customer.test", "--provider", "Customer Mail"];
    own.sealpost(&policy, b"").success();
    for running in [false, true] {
        if running {
            own.start();
        }
        let guide = |address: &str| {
            own.sealpost(&["guide", "thunderbird", "--lang", "en", "--address", address], b"").success()
        };
        let theirs = guide("ann@customer.test");
        assert!(theirs.contains("imap.customer.test") && !theirs.contains("mail.example.test"), "{theirs}");
        let ours = guide("a@example.test");
        assert!(ours.contains("mail.example.test") && !ours.contains("imap.customer.test"), "{ours}");
        // Whether somebody has an account changes nothing but the name.
        assert_eq!(guide("xyz@customer.test").replace("xyz@", "ann@"), theirs);
        let unknown = own.sealpost(&["guide", "pine-tree", "--lang", "en"], b"").failure();
        assert!(unknown.contains("sealpost guide thunderbird"), "{unknown}");
    }
    assert!(own.stop());
}

#[test]
fn the_guide_can_be_read_before_there_is_a_store() {
    let own = Own::with_settings(|dir| {
        format!(
            "host = \"mail.example.test\"\ndata = \"{}\"\n[[tls.certificates]]\nchain = \"x\"\nkey = \"x\"\n",
            dir.join("data").display()
        )
    });
    let text = own.sealpost(&["guide", "thunderbird", "--lang", "en"], b"").success();
    assert!(text.contains("mail.example.test"), "{text}");
    let settings = own.sealpost(&["settings"], b"").success();
    assert!(
        settings.contains("No mistakes found") && settings.contains("/x: "),
        "the file is missing: {settings}"
    );
    assert!(!own.dir.join("data").exists(), "to read changes nothing");
}

#[test]
fn the_check_of_the_settings_names_what_no_certificate_covers() {
    let mut own = Own::prepare("");
    own.sealpost(&["domain", "add", "customer.test"], b"").success();
    own.sealpost(&["domain", "policy", "customer.test", "--host", "imap.customer.test"], b"").success();
    let mut said = Vec::new();
    for running in [false, true] {
        if running {
            own.start();
        }
        let text = own.sealpost(&["settings"], b"").success();
        // The certificate of the tests covers localhost alone.
        assert!(text.contains("mail.example.test") && text.contains("imap.customer.test"), "{text}");
        assert!(text.contains("No mistakes found; the service can start with that."), "{text}");
        said.push(text);
    }
    assert_eq!(said[0], said[1], "the same words, running or not");
    // They are those of the start.
    let log = own.log();
    for sentence in said[0].lines().filter(|line| line.contains("certificate")) {
        assert!(log.contains(sentence), "{sentence}: {log}");
    }
    assert!(own.stop());
}
