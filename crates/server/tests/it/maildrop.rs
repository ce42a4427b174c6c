//! POP3 above the store: the lock, deletions, snapshots, and a very full maildrop.

use crate::house::House;
use crate::imap::Imap;
use crate::wire::{Mailer, Reader};
use std::time::Duration;

const LETTER: &str = "Subject: one\r\n\r\n1\r\n.2\r\n3\r\n";

#[tokio::test]
async fn the_lock_dies_with_its_connection() {
    let house = House::new().await;
    let first = Reader::of(&house, "ann@example.test").await;
    let status = Reader::open(&house, "pop3").await.login("ann@example.test", "ann-pass").await;
    assert_eq!((status.ok, status.code.as_deref()), (false, Some("IN-USE")));
    // Another account's lock is another lock.
    drop(Reader::of(&house, "bob@example.test").await);
    // Without QUIT, without a goodbye of TLS.
    drop(first);
    drop(again(&house).await);
    house.close().await;
}

/// Logged in as soon as the server has noticed that the session before is gone.
async fn again(house: &House) -> Reader {
    let trying = async {
        loop {
            let mut reader = Reader::open(house, "pop3s").await;
            if reader.login("ann@example.test", "ann-pass").await.ok {
                return reader;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), trying).await.expect("the lock is given back")
}

/// RFC 6856 3.2: from LANG on, all texts are in that language, also those of the session.
#[tokio::test]
async fn the_session_speaks_the_language_that_was_chosen() {
    let house = House::new().await;
    house.fill("ann@example.test", 2, LETTER.as_bytes()).await;
    let mut reader = Reader::open(&house, "pop3s").await;
    assert!(reader.ask("LANG de").await.ok);
    let refused = reader.login("ann@example.test", "wrong").await;
    assert_eq!(refused.code.as_deref(), Some("AUTH"));
    assert!(refused.text.contains("Benutzername oder Passwort falsch"), "{refused:?}");
    assert_eq!(reader.login("ann@example.test", "ann-pass").await.text, "2 Nachrichten");
    assert_eq!(reader.ask("RETR 9").await.text, "keine solche Nachricht");
    assert_eq!(reader.ask("DELE 1").await.text, "wird bei QUIT gelöscht");
    let octets = LETTER.len() * 2;
    assert_eq!(reader.ask("RSET").await.text, format!("2 Nachrichten, {octets} Oktette"));
    assert!(reader.ask("LANG fr").await.ok);
    assert_eq!(reader.ask("RSET").await.text, format!("2 messages, {octets} octets"));
    assert_eq!(reader.ask("LANG xx").await.text, "langue non disponible");
    assert_eq!(reader.ask("QUIT").await.text, "au revoir");
    house.close().await;
}

/// RFC 6856 2.1: before UTF8 a header is ASCII, and what is stored stays as it was.
#[tokio::test]
async fn a_client_without_utf8_gets_a_surrogate() {
    let house = House::new().await;
    let letter = "Subject: Grüße\r\n\r\nschön\r\n";
    house.fill("ann@example.test", 1, letter.as_bytes()).await;
    let mut reader = Reader::of(&house, "ann@example.test").await;
    let surrogate = "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n\r\nschön\r\n";
    assert_eq!(reader.fetch("RETR 1").await.unwrap(), surrogate);
    assert!(reader.ask("QUIT").await.ok);
    let mut reader = Reader::open(&house, "pop3s").await;
    assert!(reader.ask("UTF8").await.ok);
    assert!(reader.login("ann@example.test", "ann-pass").await.ok);
    assert_eq!(reader.fetch("RETR 1").await.unwrap(), letter);
    house.close().await;
}

/// RFC 6856 2.1: sizes are those of what RETR sends, for either kind of client.
#[tokio::test]
async fn sizes_are_those_of_what_is_sent() {
    let house = House::new().await;
    let part = "--b\r\nContent-Type: text/plain; name=\"Grüße.txt\"\r\n\r\nschön\r\n--b--\r\n";
    let letters = [
        LETTER.to_owned(),
        format!("Subject: Grüße\r\n\r\n{}", "schön\r\n".repeat(20_000)),
        format!("Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{part}"),
        "Subject: Gr\u{fc}\r\n\r\nschön\r\n".to_owned(),
        LETTER.to_owned(),
    ];
    // As they are delivered, and as those are of which nothing was learnt then.
    let mut imap = Imap::of(&house, "ann@example.test").await;
    for (at, letter) in letters.iter().enumerate() {
        if at == 3 {
            house.fill("ann@example.test", 1, letter.as_bytes()).await;
        } else {
            imap.good(&format!("APPEND INBOX {{{}+}}\r\n{letter}", letter.len())).await;
        }
    }
    let kept: Vec<u64> = letters.iter().map(|letter| letter.len() as u64).collect();
    for round in 0..3 {
        let utf8 = round == 2;
        let mut reader = Reader::open(&house, "pop3s").await;
        assert!(!utf8 || reader.ask("UTF8").await.ok);
        assert!(reader.login("ann@example.test", "ann-pass").await.ok);
        let list = reader.fetch("LIST").await.unwrap();
        let sizes: Vec<u64> =
            list.lines().map(|line| line.split_once(' ').unwrap().1.parse().unwrap()).collect();
        let count = sizes.len();
        assert_eq!(count, letters.len() + round.min(1));
        for (at, size) in sizes.iter().enumerate() {
            let sent = reader.fetch(&format!("RETR {}", at + 1)).await.unwrap();
            assert_eq!(sent.len() as u64, *size, "message {} of round {round}", at + 1);
            assert_eq!(reader.ask(&format!("LIST {}", at + 1)).await.text, format!("{} {size}", at + 1));
        }
        assert_eq!(reader.ask("STAT").await.text, format!("{count} {}", sizes.iter().sum::<u64>()));
        assert_eq!(sizes[..5] == kept[..], utf8, "{sizes:?}");
        reader.ask("QUIT").await;
        if round == 0 {
            // What comes later is found too.
            house.fill("ann@example.test", 1, letters[3].as_bytes()).await;
        }
    }
    house.close().await;
}

#[tokio::test]
async fn deletions_are_made_at_quit_and_not_before() {
    let mut house = House::new().await;
    house.fill("ann@example.test", 3, LETTER.as_bytes()).await;
    let mut reader = Reader::of(&house, "ann@example.test").await;
    let uids = reader.fetch("UIDL").await.unwrap();
    assert!(reader.ask("DELE 2").await.ok);
    assert_eq!(reader.ask("STAT").await.text, format!("2 {}", 2 * LETTER.len()));
    assert!(!reader.ask("DELE 2").await.ok && reader.fetch("RETR 2").await.is_err());
    drop(reader);
    let mut reader = again(&house).await;
    assert_eq!(reader.fetch("UIDL").await.unwrap(), uids, "a lost connection deletes nothing");
    assert!(reader.ask("DELE 2").await.ok && reader.ask("RSET").await.ok && reader.ask("DELE 1").await.ok);
    assert!(reader.ask("QUIT").await.ok);
    assert_eq!(house.messages("ann@example.test").await.len(), 2);
    // Unique ids outlive a restart; numbers close up.
    house.restart().await;
    let left: Vec<String> = uids.lines().skip(1).map(|line| line[2..].to_owned()).collect();
    let uids = again(&house).await.fetch("UIDL").await.unwrap();
    assert_eq!(uids, format!("1 {}\r\n2 {}\r\n", left[0], left[1]));
    house.close().await;
}

#[tokio::test]
async fn a_session_sees_what_was_there_when_it_began() {
    let house = House::new().await;
    house.fill("ann@example.test", 2, LETTER.as_bytes()).await;
    let mut reader = Reader::of(&house, "ann@example.test").await;
    let mut mailer = Mailer::open(&house, "smtp").await;
    let sent = mailer.send("", &["ann@example.test"], LETTER).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 250 2.0.0", "its lock is for POP3 alone");
    assert_eq!(reader.ask("STAT").await.text, format!("2 {}", 2 * LETTER.len()));
    // Somebody else removes the first meanwhile.
    let account = house.store().account(house.id("ann@example.test"));
    let view = account.view("INBOX").unwrap().unwrap();
    account.expunge(view.mailbox.id, &[view.messages()[0].uid]).await.unwrap();
    let status = reader.fetch("RETR 1").await.unwrap_err();
    assert_eq!(status.code.as_deref(), Some("SYS/PERM"));
    assert_eq!(reader.fetch("RETR 2").await.unwrap(), LETTER);
    assert!(reader.ask("DELE 1").await.ok && reader.ask("QUIT").await.ok, "gone is gone");
    let mut reader = again(&house).await;
    assert!(reader.ask("STAT").await.text.starts_with("2 "), "the second and the new one");
    house.close().await;
}

/// In their order some are looked up together, which must not be mistaken for others, nor believed for long.
#[tokio::test]
async fn messages_are_read_in_any_order() {
    let house = House::new().await;
    let letter = |n: usize| match n % 5 {
        // Larger than what is read at once, not ASCII in the middle of a part, and one with nothing in it.
        0 => format!("Subject: {n}\r\n\r\n{}.\r\n", format!("line {n}\r\n.\r\n").repeat(9000)),
        1 => format!("Subject: {n}\r\n\r\nschön {n}\r\n"),
        2 => String::new(),
        _ => {
            format!("Subject: {n}\r\n\r\n{}", format!("{n} is what all lines of this one say.\r\n").repeat(n))
        }
    };
    for n in 1..=40 {
        house.fill("ann@example.test", 1, letter(n).as_bytes()).await;
    }
    let mut reader = Reader::of(&house, "ann@example.test").await;
    for n in (1..=40).chain((1..=40).rev()).chain([7, 8, 9, 30, 31, 3, 40]) {
        assert_eq!(reader.fetch(&format!("RETR {n}")).await.unwrap(), letter(n), "{n}");
    }
    for n in 1..=3 {
        assert_eq!(reader.fetch(&format!("RETR {n}")).await.unwrap(), letter(n));
    }
    let account = house.store().account(house.id("ann@example.test"));
    let view = account.view("INBOX").unwrap().unwrap();
    let gone: Vec<u32> = view.messages()[3..30].iter().map(|row| row.uid).collect();
    account.expunge(view.mailbox.id, &gone).await.unwrap();
    assert!(reader.fetch("RETR 20").await.is_err());
    assert_eq!(reader.fetch("RETR 3").await.unwrap(), letter(3));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(reader.fetch("RETR 4").await.is_err(), "what was looked up may be old");
    assert!(reader.fetch("RETR 5").await.is_err());
    assert_eq!(reader.fetch("RETR 31").await.unwrap(), letter(31));
    house.close().await;
}

#[tokio::test]
async fn an_account_that_is_removed_under_its_session() {
    let house = House::new().await;
    house.fill("bob@example.test", 2, LETTER.as_bytes()).await;
    let mut reader = Reader::of(&house, "bob@example.test").await;
    house.store().directory().remove_account(house.id("bob@example.test")).await.unwrap();
    assert!(reader.ask("STAT").await.ok, "its snapshot is its own");
    assert!(reader.fetch("RETR 1").await.is_err());
    assert!(reader.ask("DELE 1").await.ok && reader.ask("QUIT").await.ok);
    let status = Reader::open(&house, "pop3s").await.login("bob@example.test", "bob-pass").await;
    assert_eq!(status.code.as_deref(), Some("AUTH"));
    house.close().await;
}

#[tokio::test]
async fn top_utf8_and_languages() {
    let house = House::new().await;
    house.fill("ann@example.test", 1, LETTER.as_bytes()).await;
    let mut reader = Reader::open(&house, "pop3s").await;
    assert!(reader.ask("UTF8").await.ok);
    let languages = reader.fetch("LANG").await.unwrap();
    assert!(languages.lines().count() >= 2 && languages.contains("de "), "{languages}");
    assert!(reader.ask("LANG de").await.ok);
    let status = reader.login("ann@example.test", "no").await;
    assert_eq!((status.ok, status.code.as_deref()), (false, Some("AUTH")));
    assert!(reader.login("ann@example.test", "ann-pass").await.ok);
    assert_eq!(reader.fetch("TOP 1 0").await.unwrap(), "Subject: one\r\n\r\n");
    assert_eq!(reader.fetch("TOP 1 2").await.unwrap(), "Subject: one\r\n\r\n1\r\n.2\r\n");
    assert_eq!(reader.fetch("TOP 1 99").await.unwrap(), LETTER);
    assert!(reader.fetch("TOP 2 0").await.is_err());
    house.close().await;
}

#[tokio::test]
async fn the_pause_between_logins() {
    let house = House::with(|settings| settings.pop3_login_delay_seconds = 3600).await;
    let mut reader = Reader::of(&house, "ann@example.test").await;
    assert!(reader.fetch("CAPA").await.unwrap().contains("LOGIN-DELAY 3600\r\n"));
    assert!(reader.ask("QUIT").await.ok);
    let mut reader = Reader::open(&house, "pop3s").await;
    let status = reader.login("ann@example.test", "wrong").await;
    assert_eq!(status.code.as_deref(), Some("AUTH"), "who does not know the password learns of no pause");
    let status = reader.login("ann@example.test", "ann-pass").await;
    assert_eq!(status.code.as_deref(), Some("LOGIN-DELAY"));
    house.close().await;
}

#[tokio::test]
async fn a_huge_maildrop_and_a_slow_reader() {
    const COUNT: usize = 20_000;
    let house = House::new().await;
    house.fill("ann@example.test", COUNT, LETTER.as_bytes()).await;
    let reader = Reader::of(&house, "ann@example.test").await;
    let mut wire = reader.wire();
    wire.say(b"LIST\r\nUIDL\r\nSTAT\r\nQUIT\r\n").await;
    // Nobody reads; mail comes in all the same.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut mailer = Mailer::open(&house, "smtp").await;
    let sent = mailer.send("", &["ann@example.test"], LETTER).await;
    assert_eq!(sent.codes(), "250 2.1.0, 250 2.1.5, 250 2.0.0");
    let mut all = Vec::new();
    while wire.hear(&mut all).await {
        if all.len() % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let all = String::from_utf8(all).unwrap();
    let lines: Vec<&str> = all.split("\r\n").collect();
    assert_eq!(lines.len(), 2 * (COUNT + 2) + 3, "two listings, STAT, QUIT and the end");
    assert_eq!(lines[COUNT], format!("{COUNT} {}", LETTER.len()));
    assert_eq!(lines[COUNT + 1], ".");
    assert!(lines[2 * COUNT + 2].starts_with(&format!("{COUNT} ")), "{}", lines[2 * COUNT + 2]);
    assert_eq!(lines[2 * COUNT + 4], format!("+OK {COUNT} {}", COUNT * LETTER.len()));
    house.close().await;
}
