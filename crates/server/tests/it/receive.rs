//! Mail from other servers and over LMTP: who gets it, who does not, and what is said.

use crate::house::{House, delivery};
use crate::wire::{Mailer, Wire, path};
use proto::smtp::client::Way;
use proto::smtp::{Body, Mail};
use store::system::pending::{Entry, Recipient};

const LETTER: &str = "From: x@far.test\r\nSubject: hello\r\n\r\nA line\r\n.a dot\r\n";

fn text(message: &[u8]) -> String {
    String::from_utf8_lossy(message).into_owned()
}

#[tokio::test]
async fn several_recipients_get_one_each() {
    let house = House::new().await;
    let team = ["bob@example.test".to_owned(), "ann@example.test".to_owned()];
    house.store().directory().put_alias("team@example.test", &team, false).await.unwrap();
    let mut mailer = Mailer::open(&house, "smtp").await;
    let to = ["Ann@example.test", "team@example.test", "bob@example.test", "x@far.test", "x@other.test"];
    let sent = mailer.send("x@far.test", &to, LETTER).await;
    assert_eq!(
        sent.codes(),
        "250 2.1.0, 250 2.1.5, 250 2.1.5, 250 2.1.5, 550 5.7.1, 550 5.1.1, 250 2.0.0",
        "a stranger's domain is relaying; a name that is nobody's is none"
    );
    house.arrived("ann@example.test", 1).await;
    house.arrived("bob@example.test", 1).await;
    let got = text(&house.messages("ann@example.test").await[0]);
    assert!(
        got.starts_with("Return-Path: <x@far.test>\r\nDelivered-To: Ann@example.test\r\nReceived: "),
        "{got}"
    );
    assert!(got.contains("with ESMTPS") && got.ends_with(LETTER), "{got}");
    assert!(!got.contains("bob@"), "nobody learns of the others: {got}");
    let got = text(&house.messages("bob@example.test").await[0]);
    assert!(got.contains("Delivered-To: team@example.test\r\n"), "the first address that led to him: {got}");
    house.close().await;
}

#[tokio::test]
async fn a_full_mailbox() {
    let house = House::new().await;
    house.add("small@example.test", false, Some(1500)).await;
    let mut mailer = Mailer::open(&house, "smtp").await;
    let long = format!("{LETTER}{}", "x".repeat(900) + "\r\n");
    // Nothing was said of its size, so it is known at its end only.
    let huge = format!("{long}{}", "y".repeat(900) + "\r\n");
    let sent = mailer.send("x@far.test", &["small@example.test"], &huge).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 552 5.2.2");
    let mail = Mail { from: path("x@far.test"), size: Some(2000), ..Mail::default() };
    let sent = mailer.send_as(&mail, &["small@example.test"], huge.as_bytes(), Way::Data).await;
    assert!(sent.codes().starts_with("250 2.1.0, 452 4.2.2"), "{}", sent.codes());
    let sent = mailer.send("x@far.test", &["small@example.test"], &long).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 250 2.0.0");
    // Of two recipients the full one is put off at once and the other served.
    let sent =
        mailer.send_as(&mail, &["small@example.test", "bob@example.test"], long.as_bytes(), Way::Data).await;
    assert_eq!(sent.codes(), "250 2.1.0, 452 4.2.2, 250 2.1.5, 250 2.0.0");
    house.arrived("bob@example.test", 1).await;
    house.arrived("small@example.test", 1).await;
    house.close().await;
}

#[tokio::test]
async fn sub_addresses_and_the_catch_all() {
    let house = House::new().await;
    let mut mailer = Mailer::open(&house, "smtp").await;
    for to in ["bob+lists@example.test", "\"nobody at all\"@example.test", "postmaster@other.test"] {
        let sent = mailer.send("", &[to], LETTER).await;
        assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 250 2.0.0", "{to}");
    }
    let got = text(&house.messages("bob@example.test").await[0]);
    assert!(got.starts_with("Return-Path: <>\r\nDelivered-To: bob+lists@example.test\r\n"), "{got}");
    assert_eq!(house.messages("ann@example.test").await.len(), 1, "the catch-all");
    assert_eq!(house.messages("jürgen@other.test").await.len(), 1, "the domain's first account");
    house.close().await;
}

#[tokio::test]
async fn loops_end() {
    let house = House::with(|settings| settings.mail.received_max = 5).await;
    let directory = house.store().directory();
    directory.put_alias("a@example.test", &["b@example.test".to_owned()], false).await.unwrap();
    directory.put_alias("b@example.test", &["a@example.test".to_owned()], false).await.unwrap();
    let mut mailer = Mailer::open(&house, "smtp").await;
    let sent = mailer.send("", &["a@example.test"], LETTER).await;
    assert_eq!(sent.codes(), "250 2.1.0, 550 5.4.6, 550 5.4.6");
    let known = format!("Delivered-To: bob@EXAMPLE.test\r\n{LETTER}");
    let sent = mailer.send("", &["bob@example.test"], &known).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 554 5.4.6");
    let hops = |count: usize| format!("{}{LETTER}", "Received: from a by b; Sat\r\n".repeat(count));
    let sent = mailer.send("", &["bob@example.test"], &hops(6)).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 554 5.4.6");
    let sent = mailer.send("", &["bob@example.test"], &hops(5)).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 250 2.0.0");
    house.close().await;
}

#[tokio::test]
async fn chunks_binary_utf8_and_requiretls() {
    let house = House::new().await;
    let mut mailer = Mailer::open(&house, "smtp").await;
    let binary = b"Subject: b\r\nMIME-Version: 1.0\r\n\r\n\0\n\r\xff.\r\n.\r\nend".to_vec();
    let mail = Mail { from: path("x@far.test"), body: Body::BinaryMime, ..Mail::default() };
    let sent = mailer.send_as(&mail, &["bob@example.test"], &binary, Way::Chunks).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 250 2.0.0");
    let got = &house.messages("bob@example.test").await[0];
    assert!(got.ends_with(&binary), "{}", got.escape_ascii());
    let mail = Mail { from: path("ü@far.test"), smtputf8: true, require_tls: true, ..Mail::default() };
    let sent = mailer.send_as(&mail, &["JÜRGEN@other.test"], LETTER.as_bytes(), Way::Chunks).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 250 2.0.0");
    let got = text(&house.messages("jürgen@other.test").await[0]);
    assert!(got.starts_with("Return-Path: <ü@far.test>\r\n") && got.contains("with UTF8SMTPS"), "{got}");
    house.close().await;
}

#[tokio::test]
async fn lmtp_answers_for_each() {
    let house = House::new().await;
    house.add("small@example.test", false, Some(100)).await;
    let mut mailer = Mailer::open(&house, "lmtp").await;
    let to = ["ann@example.test", "small@example.test", "x@far.test", "bob@example.test"];
    let sent = mailer.send("x@far.test", &to, LETTER).await;
    assert_eq!(
        sent.codes(),
        "250 2.1.0, 250 2.1.5, 250 2.1.5, 550 5.7.1, 250 2.1.5, 250 2.0.0, 552 5.2.2, 250 2.0.0"
    );
    let whom: Vec<usize> = sent.delivered.iter().map(|(index, _)| *index).collect();
    assert_eq!(whom, [0, 1, 3]);
    // Delivered before the answer, not behind it.
    assert_eq!(house.messages("ann@example.test").await.len(), 1);
    let got = text(&house.messages("bob@example.test").await[0]);
    assert!(got.contains("with LMTPS"), "{got}");
    house.close().await;
}

/// A refusal for one account of an alias would bring the message to the others twice.
#[tokio::test]
async fn an_alias_over_lmtp_is_answered_as_a_whole() {
    let house = House::new().await;
    house.add("small@example.test", false, Some(100)).await;
    let team = ["bob@example.test".to_owned(), "small@example.test".to_owned()];
    house.store().directory().put_alias("team@example.test", &team, false).await.unwrap();
    let mut mailer = Mailer::open(&house, "lmtp").await;
    let sent = mailer.send("x@far.test", &["team@example.test"], LETTER).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 250 2.0.0", "its quota was asked at RCPT");
    house.arrived("bob@example.test", 1).await;
    house.arrived("small@example.test", 1).await;
    let sent = mailer.send("x@far.test", &["team@example.test"], LETTER).await;
    assert!(sent.codes().starts_with("250 2.1.0, 452 4.2.2"), "{}", sent.codes());
    house.arrived("bob@example.test", 1).await;
    house.close().await;
}

/// Many at once do not get past a quota that one alone could not pass.
#[tokio::test]
async fn a_quota_holds_against_many_at_once() {
    let house = House::new().await;
    let size = {
        let mut mailer = Mailer::open(&house, "lmtp").await;
        mailer.send("x@far.test", &["bob@example.test"], LETTER).await;
        house.messages("bob@example.test").await[0].len() as u64
    };
    house.add("small@example.test", false, Some(3 * size + size / 2)).await;
    let sending = (0..12).map(|_| async {
        let mut mailer = Mailer::open(&house, "lmtp").await;
        mailer.send("x@far.test", &["small@example.test"], LETTER).await.codes()
    });
    let codes = futures_util::future::join_all(sending).await;
    let accepted = codes.iter().filter(|c| c.ends_with("250 2.0.0")).count();
    assert_eq!(accepted, 3, "{codes:?}");
    assert!(
        codes.iter().all(|c| c.ends_with("250 2.0.0") || c.contains(" 5.2.2") || c.contains(" 4.2.2")),
        "{codes:?}"
    );
    house.arrived("small@example.test", 3).await;
    house.close().await;
}

#[tokio::test]
async fn a_message_that_breaks_off_is_none() {
    let house = House::new().await;
    for half in
        ["DATA\r\nSubject: x\r\n\r\nhalf a li", "BDAT 9000\r\nSubject: x\r\n\r\nhalf", "BDAT 5\r\nabcde"]
    {
        let mut wire = Wire::clear(&house, "smtp").await;
        wire.until("\r\n").await;
        wire.say(b"EHLO a\r\n").await;
        wire.until("250 HELP\r\n").await;
        wire.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\n").await;
        wire.until("Recipient ok\r\n").await;
        wire.say(half.as_bytes()).await;
        drop(wire);
    }
    let mut mailer = Mailer::open(&house, "smtp").await;
    let sent = mailer.send("", &["bob@example.test"], LETTER).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 250 2.0.0");
    house.arrived("bob@example.test", 1).await;
    assert!(house.store().pending().entries().unwrap().is_empty());
    assert_eq!(house.facts(None).await, ["mail accepted, smtp starttls"]);
    house.close().await;
}

#[tokio::test]
async fn what_was_accepted_goes_on_after_a_restart_and_is_not_doubled() {
    let mut house = House::new().await;
    let body = house.fill("ann@example.test", 1, LETTER.as_bytes()).await;
    let [ann, bob] = ["ann@example.test", "bob@example.test"].map(|address| house.id(address));
    let recipient = |account| Recipient { account, prefix: b"Delivered-To: x\r\n".to_vec() };
    let entry = Entry {
        from: "x@far.test".to_owned(),
        body: body.clone(),
        header_bytes: 10,
        received: 1_700_000_000,
        gist: Vec::new(),
        recipients: vec![recipient(ann), recipient(bob)],
    };
    // As after a crash between the first delivery and the second.
    let token = house.store().pending().add(entry).await.unwrap();
    house.store().account(ann).deliver(delivery(&body, 10, Some(token))).await.unwrap();
    house.restart().await;
    house.arrived("bob@example.test", 1).await;
    house.arrived("ann@example.test", 2).await;
    let nothing_waits = async {
        while !house.store().pending().entries().unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), nothing_waits).await.expect("it is done");
    house.restart().await;
    house.arrived("ann@example.test", 2).await;
    house.arrived("bob@example.test", 1).await;
    house.close().await;
}
