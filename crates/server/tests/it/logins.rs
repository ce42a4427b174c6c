//! Logins, refusals and failed handshakes, and what the ledger says of each.

use crate::house::{CHEAP, HOST, House, OTHER_HOST};
use crate::wire::{Look, Mailer, Reader, Wire};
use proto::proof::Secret;
use proto::sasl::Mechanism;
use proto::sasl::scram::Binding;
use server::auth::password::{self, Wanted};
use store::system::directory::CredentialKind;

#[tokio::test]
async fn logins_are_counted_by_their_outcome() {
    let house = House::new().await;
    drop(Reader::of(&house, "ann@example.test").await);
    let mut mailer = Mailer::open(&house, "submission").await;
    assert_eq!(mailer.plain("ann@example.test", "wrong").await.code, 535);
    assert_eq!(mailer.plain("nobody@other.test", "wrong").await.code, 535);
    assert_eq!(mailer.plain("ann", "ann-pass").await.code, 535);
    assert_eq!(mailer.plain("ann@example.test", "ann-pass").await.code, 235);
    let status = Reader::open(&house, "pop3").await.login("bob", "bob-pass").await;
    assert_eq!(status.code.as_deref(), Some("AUTH"));
    assert_eq!(
        house.facts(Some("ann@example.test")).await,
        [
            "login, pop3 implicit USER",
            "login, submission starttls PLAIN",
            "login failed, submission starttls PLAIN"
        ]
    );
    assert_eq!(
        house.facts(None).await,
        [
            "login failed, submission starttls PLAIN",
            "login failed: bare local part, pop3 starttls USER",
            "login failed: bare local part, submission starttls PLAIN"
        ]
    );
    house.close().await;
}

/// What was sent in clear is lost; the ledger says whose password that was likely to be.
#[tokio::test]
async fn logins_in_clear_are_refused_and_noted() {
    let house = House::new().await;
    let mut wire = Wire::clear(&house, "submission").await;
    wire.until("\r\n").await;
    wire.say(b"EHLO a\r\n").await;
    let ehlo = wire.until("250 HELP\r\n").await;
    assert!(!ehlo.contains("AUTH"), "{ehlo}");
    wire.say(b"AUTH LOGIN\r\n").await;
    let port = house.at("submissions").port().to_string();
    let refused = wire.until("\r\n").await;
    assert!(refused.starts_with("538 5.7.11 ") || refused.starts_with("530 5.7.0 "), "{refused}");
    assert!(refused.contains(&port), "it names the right port: {refused}");
    wire.say(b"AUTH PLAIN AGFubkBleGFtcGxlLnRlc3QAYW5uLXBhc3M=\r\n").await;
    wire.until("\r\n").await;
    drop(wire);
    let mut wire = Wire::clear(&house, "pop3").await;
    wire.until("\r\n").await;
    wire.say(b"USER ann@example.test\r\n").await;
    let refused = wire.until("\r\n").await;
    assert!(
        refused.starts_with("-ERR ") && refused.contains(&house.at("pop3s").port().to_string()),
        "{refused}"
    );
    wire.say(b"PASS ann-pass\r\n").await;
    wire.until("\r\n").await;
    drop(wire);
    assert_eq!(
        house.facts(None).await,
        [
            "refused: needs TLS, pop3 clear",
            "refused: needs TLS, submission clear",
            "refused: needs TLS, password exposed, pop3 clear",
            "refused: needs TLS, password exposed, submission clear"
        ]
    );
    house.close().await;
}

#[tokio::test]
async fn handshakes_that_cannot_be_are_noted_with_their_reason() {
    let house = House::new().await;
    // Recorded from OpenSSL; the fuzzer begins with the same.
    let old = include_bytes!("../../../../fuzz/seeds/hello/tls10_openssl");
    let cbc = include_bytes!("../../../../fuzz/seeds/hello/tls12_cbc_openssl");
    for (hello, alert) in [(&old[..], 70), (&cbc[..], 40)] {
        let mut wire = Wire::clear(&house, "pop3s").await;
        wire.say(hello).await;
        let mut answer = Vec::new();
        while wire.hear(&mut answer).await {}
        assert_eq!((answer[0], answer[5], answer[6]), (21, 2, alert), "{answer:?}");
    }
    let mut wire = Wire::clear(&house, "submission").await;
    wire.until("\r\n").await;
    wire.say(b"EHLO a\r\n").await;
    wire.until("250 HELP\r\n").await;
    wire.say(b"STARTTLS\r\n").await;
    wire.until("\r\n").await;
    wire.say(old).await;
    let mut answer = Vec::new();
    while wire.hear(&mut answer).await {}
    assert_eq!(answer.get(6), Some(&70), "{answer:?}");
    let mut wire = Wire::clear(&house, "pop3s").await;
    wire.say(b"USER ann@example.test\r\n").await;
    assert!(wire.rest().await.starts_with("-ERR "));
    assert_eq!(
        house.facts(None).await,
        [
            "handshake: CBC suites only, pop3 failed",
            "handshake: TLS too old, pop3 failed",
            "handshake: TLS too old, submission failed",
            "handshake: clear text on a TLS port, pop3 failed"
        ]
    );
    house.close().await;
}

#[tokio::test]
async fn a_certificate_proves_an_address() {
    let house = House::new().await;
    let leaf = house.authority.client(&["ann@example.test", "stranger@far.test"]).unwrap();
    let look = Look { server_name: HOST, certificate: Some(&leaf) };
    let mut mailer = Mailer::looking(&house, "submissions", &look).await;
    assert!(mailer.mechanisms().contains(&"EXTERNAL".to_owned()), "{:?}", mailer.mechanisms());
    assert_eq!(mailer.auth(Mechanism::External, b"bob@example.test").await.code, 535);
    assert_eq!(mailer.auth(Mechanism::External, b"stranger@far.test").await.code, 535);
    assert_eq!(mailer.auth(Mechanism::External, b"ann@example.test").await.code, 235);
    assert!(
        house
            .facts(Some("ann@example.test"))
            .await
            .contains(&"login, submission implicit EXTERNAL".to_owned())
    );
    // Without a certificate there is nothing to offer, and asking for it all the same is noted.
    let mut wire = Wire::clear(&house, "pop3s").await.secure(&house, &Look::default()).await;
    wire.until("\r\n").await;
    wire.say(b"AUTH EXTERNAL =\r\n").await;
    assert!(wire.until("\r\n").await.starts_with("-ERR "));
    assert!(house.facts(None).await.contains(&"refused: mechanism, pop3 implicit".to_owned()));
    assert!(!Mailer::open(&house, "submissions").await.mechanisms().contains(&"EXTERNAL".to_owned()));
    house.close().await;
}

/// Every mechanism with our own client, and somebody in between (RFC 5802 section 6).
#[tokio::test]
async fn mechanisms_and_channel_bindings() {
    let house = House::new().await;
    let ann = "ann@example.test";
    for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha1, Mechanism::CramMd5, Mechanism::Login] {
        let mut mailer = Mailer::open(&house, "submission").await;
        assert_eq!(mailer.sasl(mechanism, ann, "wrong", Binding::None).await.code, 535, "{mechanism:?}");
        assert_eq!(mailer.sasl(mechanism, ann, "ann-pass", Binding::None).await.code, 235, "{mechanism:?}");
    }
    for mechanism in [Mechanism::ScramSha256Plus, Mechanism::ScramSha1Plus] {
        let mut mailer = Mailer::open(&house, "submission").await;
        let other = Binding::Exporter([1; 32]);
        assert_eq!(mailer.sasl(mechanism, ann, "ann-pass", other).await.code, 535, "{mechanism:?}");
        let ours = Binding::Exporter(mailer.exporter());
        assert_eq!(mailer.sasl(mechanism, ann, "ann-pass", ours).await.code, 235, "{mechanism:?}");
    }
    let facts = house.facts(Some(ann)).await;
    let logins: Vec<&str> = facts.iter().filter_map(|fact| fact.strip_prefix("login, ")).collect();
    let mechanisms =
        ["CRAM-MD5", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"];
    assert_eq!(logins, mechanisms.map(|name| format!("submission starttls {name}")));
    // "We could bind, you cannot": although the list said that we can.
    let mut mailer = Mailer::open(&house, "submissions").await;
    let reply = mailer.sasl(Mechanism::ScramSha256, ann, "ann-pass", Binding::Unoffered).await;
    assert_eq!(reply.code, 535);
    // What failed behind the name is the account's, however many messages later.
    let failed: Vec<&str> =
        facts.iter().filter(|fact| !fact.starts_with("login, ")).map(String::as_str).collect();
    assert_eq!(
        failed,
        [
            "login failed, submission starttls CRAM-MD5",
            "login failed, submission starttls LOGIN",
            "login failed, submission starttls SCRAM-SHA-1",
            "login failed, submission starttls SCRAM-SHA-256",
            "refused: channel binding, submission starttls SCRAM-SHA-1-PLUS",
            "refused: channel binding, submission starttls SCRAM-SHA-256-PLUS",
        ]
    );
    assert_eq!(house.facts(None).await, ["refused: channel binding, submission implicit SCRAM-SHA-256"]);
    house.close().await;
}

#[tokio::test]
async fn cram_md5_is_a_matter_of_the_domain() {
    let house = House::new().await;
    for (server_name, offered) in [(HOST, true), (OTHER_HOST, false)] {
        for listener in ["submissions", "submission"] {
            let look = Look { server_name, certificate: None };
            let names = Mailer::looking(&house, listener, &look).await.mechanisms();
            assert_eq!(names.contains(&"CRAM-MD5".to_owned()), offered, "{server_name}: {names:?}");
            assert!(names.contains(&"SCRAM-SHA-256-PLUS".to_owned()), "{names:?}");
        }
        let mut reader = Reader::looking(&house, "pop3", &Look { server_name, certificate: None }).await;
        assert_eq!(reader.fetch("CAPA").await.unwrap().contains("CRAM-MD5"), offered, "{server_name}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_new_password_ends_the_old_one_at_once() {
    let house = House::new().await;
    let id = house.id("ann@example.test");
    // Twice: the second is from memory.
    for _ in 0..2 {
        Mailer::of(&house, "ann@example.test").await;
    }
    let directory = house.store().directory();
    let mut credentials = directory.credentials(id).unwrap().unwrap();
    let wanted = Wanted { kind: CredentialKind::Main, cram_md5: true, created: 0, expires: None };
    password::add(&mut credentials, &Secret::new("another"), &wanted, &CHEAP).unwrap();
    directory.put_credentials(id, credentials).await.unwrap();
    let mut mailer = Mailer::open(&house, "submissions").await;
    assert_eq!(mailer.plain("ann@example.test", "ann-pass").await.code, 535);
    assert_eq!(mailer.plain("ann@example.test", "another").await.code, 235);
    house.close().await;
}
