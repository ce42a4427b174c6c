//! Mail of our own users.

use crate::house::House;
use crate::wire::{Mailer, Wire};

const LETTER: &str = "From: Ann <ann@example.test>\r\nTo: bob@example.test\r\nBcc: secret@far.test,\r\n\tmore@far.test\r\nSubject: x\r\n\r\nbody\r\n";

#[tokio::test]
async fn a_letter_is_completed_and_its_bcc_removed() {
    let house = House::new().await;
    let mut mailer = Mailer::of(&house, "ann@example.test").await;
    let sent = mailer.send("ann@example.test", &["bob@example.test"], LETTER).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 250 2.0.0");
    let got = String::from_utf8(house.messages("bob@example.test").await.remove(0)).unwrap();
    assert!(!got.contains("far.test") && got.contains("Subject: x\r\n"), "{got}");
    for added in ["\r\nMessage-ID: <", "\r\nDate: ", "with ESMTPSA"] {
        assert_eq!(got.matches(added).count(), 1, "{added} in {got}");
    }
    assert!(got.ends_with("\r\n\r\nbody\r\n"), "{got}");
    house.close().await;
}

#[tokio::test]
async fn only_under_ones_own_name() {
    let house = House::with(|settings| settings.mail.from_must_match = true).await;
    let directory = house.store().directory();
    directory.put_alias("sales@example.test", &["ann@example.test".to_owned()], false).await.unwrap();
    let mut mailer = Mailer::of(&house, "ann@example.test").await;
    let to = ["bob@example.test"];
    let sent = mailer.send("bob@example.test", &to, LETTER).await;
    assert!(sent.codes().starts_with("550 5.7.1"), "{}", sent.codes());
    let from = |who: &str| LETTER.replace("Ann <ann@example.test>", who);
    for (envelope, header, ok) in [
        ("ann@example.test", "Bob <bob@example.test>", false),
        ("ann@example.test", "ann@example.test, bob@example.test", false),
        ("ann@example.test", "\"ann@example.test\" <bob@example.test>", false),
        ("ann@example.test", "Sales <SALES@example.test>", true),
        ("sales@example.test", "ann+tag@example.test", true),
        ("", "ann@example.test", true),
        ("", "bob@example.test", false),
    ] {
        let sent = mailer.send(envelope, &to, &from(header)).await;
        let last = if ok { "250 2.0.0" } else { "550 5.7.1" };
        assert_eq!(sent.codes(), format!("250 2.1.0, 250 2.1.5, {last}"), "<{envelope}> {header}");
    }
    // A second From field hides nothing.
    let twice = format!("From: ann@example.test\r\n{}", from("bob@example.test"));
    let sent = mailer.send("ann@example.test", &to, &twice).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 550 5.7.1");
    let sent = mailer.send("ann@example.test", &["x@far.test"], LETTER).await;
    assert!(sent.codes().starts_with("250 2.1.0, 550 5.7.1"), "{}", sent.codes());
    house.arrived("bob@example.test", 3).await;
    house.close().await;
}

/// Programs that send for others write another name there; the envelope is checked all the same.
#[tokio::test]
async fn the_from_field_is_checked_where_it_is_asked_for() {
    let house = House::new().await;
    let mut mailer = Mailer::of(&house, "ann@example.test").await;
    let other = LETTER.replace("Ann <ann@example.test>", "bob@example.test");
    let sent = mailer.send("ann@example.test", &["bob@example.test"], &other).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 250 2.0.0");
    let sent = mailer.send("bob@example.test", &["bob@example.test"], &other).await;
    assert!(sent.codes().starts_with("550 5.7.1"), "{}", sent.codes());
    house.close().await;
}

#[tokio::test]
async fn nothing_without_a_login() {
    let house = House::new().await;
    let mut mailer = Mailer::open(&house, "submission").await;
    let sent = mailer.send("ann@example.test", &["bob@example.test"], LETTER).await;
    assert!(sent.codes().starts_with("530 5.7.0"), "{}", sent.codes());
    assert_eq!(house.facts(None).await, ["refused: needs authentication, submission starttls"]);
    assert_eq!(mailer.plain("ann@example.test", "ann-pass").await.code, 235);
    let sent = mailer.send("ann@example.test", &["bob@example.test"], LETTER).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 250 2.0.0");
    // Port 25 has no AUTH here, in clear or not.
    assert!(Mailer::open(&house, "smtp").await.mechanisms().is_empty());
    house.close().await;
}

/// RFC 3207 4.2 and 6: what was said in clear is forgotten, or refused where it came too early.
#[tokio::test]
async fn clear_bytes_do_not_reach_into_tls() {
    let house = House::new().await;
    let mut wire = Wire::clear(&house, "submission").await;
    wire.until("\r\n").await;
    wire.say(b"EHLO a\r\nSTARTTLS\r\nMAIL FROM:<ann@example.test>\r\n").await;
    let rest = wire.rest().await;
    assert!(rest.contains("\r\n554 5.7.0 ") && !rest.contains("220 2.0.0"), "{rest}");
    assert!(house.facts(None).await.contains(&"refused: bytes before TLS, submission clear".to_owned()));
    house.close().await;
}
