//! Staples on certificates from files: openssl is the authority, the responder and the client.

use crate::harness::{Own, free_port, run_with, said, wait_for};
use testkit::openssl_ca::OpensslCa;

const HOST: &str = "mail.example.test";

/// A service with a certificate of this authority.
fn service(ca: &OpensslCa, imaps: u16, more: &str) -> Own {
    Own::with_settings(|dir| {
        format!(
            "host = \"{HOST}\"\ndata = \"{}\"\n[tls]\n{more}\n[[tls.certificates]]\nchain = \"{}\"\nkey = \"{}\"\n\
             [[listener]]\nname = \"imaps\"\nprotocol = \"imap\"\nsecurity = \"implicit\"\n\
             addresses = [\"127.0.0.1\"]\nport = {imaps}\n",
            dir.join("data").display(),
            ca.file(&format!("{HOST}.chain.pem")).display(),
            ca.file(&format!("{HOST}.key")).display(),
        )
    })
}

/// What a client that asks for a staple is shown; openssl verifies it against the authority.
fn status(ca: &OpensslCa, imaps: u16) -> String {
    let at = format!("127.0.0.1:{imaps}");
    let root = ca.file("ca.pem").display().to_string();
    let hello = ["s_client", "-status", "-connect", &at, "-servername", HOST, "-CAfile", &root];
    said(&run_with("openssl", &hello, b"", &[])).text
}

const NONE: &str = "OCSP response: no response sent";
const GOOD: &str = "Cert Status: good";

fn settled(what: &str, own: &Own, ca: &OpensslCa, imaps: u16, expected: &str) -> String {
    let mut shown = String::new();
    let begin = std::time::Instant::now();
    while begin.elapsed().as_secs() < 60 {
        shown = status(ca, imaps);
        if shown.contains(expected) {
            return shown;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{what}: {shown}\n{}", own.log());
}

#[test]
fn a_staple_is_fetched_shown_and_kept_over_a_restart() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut ca = OpensslCa::new(dir.path());
    let (responder, imaps) = (free_port(), free_port());
    let named = format!("authorityInfoAccess=OCSP;URI:http://127.0.0.1:{responder}");
    ca.issue(HOST, &format!("{named}\ntlsfeature=status_request"));
    let mut own = service(&ca, imaps, "");
    own.start();
    // Without the responder: service goes on, and it is said what clients may do.
    assert!(status(&ca, imaps).contains(NONE));
    let log = wait_for("the words", || Some(own.log()).filter(|log| log.contains("there is no staple")));
    assert!(
        log.contains("clients may refuse the certificate") && log.contains("nobody listens there"),
        "{log}"
    );
    let check = own.sealpost(&["certificate", "check"], b"");
    assert_eq!(check.code, 2, "{}", check.text);
    assert!(
        check.text.contains("must be stapled") && check.text.contains("nobody listens"),
        "{}",
        check.text
    );
    assert!(own.stop());
    // With it.
    let running = ca.serve(responder, "ca", 60);
    own.start();
    let shown = settled("the staple", &own, &ca, imaps, GOOD);
    assert!(shown.contains("OCSP Response Status: successful"), "{shown}");
    let list = own.sealpost(&["certificate", "list"], b"").success();
    assert!(list.contains("until 2") && list.contains("good"), "{list}");
    assert_eq!(own.sealpost(&["certificate", "check"], b"").success(), "1 certificates, all of them good.\n");
    // It is kept: the next start shows it at once, with nobody to ask.
    assert!(own.stop());
    drop(running);
    own.start();
    assert!(status(&ca, imaps).contains(GOOD), "{}", own.log());
    // The same files with another certificate: the old staple is not shown with it.
    ca.issue(HOST, &named);
    settled("the new certificate", &own, &ca, imaps, NONE);
    assert!(own.stop());
}

#[test]
fn a_staple_is_renewed_and_never_shown_past_its_time() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut ca = OpensslCa::new(dir.path());
    let (responder, imaps) = (free_port(), free_port());
    ca.issue(HOST, &format!("authorityInfoAccess=OCSP;URI:http://127.0.0.1:{responder}"));
    let mut own = service(&ca, imaps, "");
    // It holds a minute, and is asked for again when that is over.
    let running = ca.serve(responder, "ca", 1);
    own.start();
    settled("the first staple", &own, &ca, imaps, GOOD);
    drop(running);
    settled("out of date", &own, &ca, imaps, NONE);
    ca.revoke(HOST);
    let _running = ca.serve(responder, "ca", 60);
    let log = wait_for("the revocation", || Some(own.log()).filter(|log| log.contains("has revoked")));
    assert!(log.contains("ERROR"), "{log}");
    assert!(status(&ca, imaps).contains(NONE));
    let list = own.sealpost(&["certificate", "list"], b"").success();
    assert!(list.contains("the authority has revoked this certificate"), "{list}");
}

#[test]
fn turned_off_nobody_is_asked() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut ca = OpensslCa::new(dir.path());
    let (responder, imaps) = (free_port(), free_port());
    ca.issue(HOST, &format!("authorityInfoAccess=OCSP;URI:http://127.0.0.1:{responder}"));
    let _running = ca.serve(responder, "ca", 60);
    let mut own = service(&ca, imaps, "staple = false");
    own.start();
    for _ in 0..5 {
        assert!(status(&ca, imaps).contains(NONE));
    }
    assert!(own.stop());
    assert!(!own.log().contains("staple"), "{}", own.log());
}
