//! LANGUAGE, COMPARATOR, ID, PREVIEW and the word that a long command goes on.

use crate::house::House;
use crate::imap::Imap;

const ANN: &str = "ann@example.test";
const LETTER: &[u8] = b"Subject: one\r\n\r\nText.\r\n";

#[tokio::test]
async fn languages_and_comparators() {
    let house = House::new().await;
    // RFC 5255 3.2: before the login, too.
    let mut imap = Imap::open(&house).await;
    assert_eq!(imap.good("LANGUAGE").await.lines, ["LANGUAGE (i-default en de el es fr)"]);
    assert_eq!(imap.good("LANGUAGE xx en-GB").await.lines, ["LANGUAGE (en)"]);
    assert_eq!(imap.good("LANGUAGE \"*\"").await.lines, ["LANGUAGE (i-default)"]);
    let refused = imap.ask("LANGUAGE tlh").await;
    assert!(refused.end.starts_with("NO") && refused.lines.is_empty(), "{refused:?}");
    let mut imap = Imap::of(&house, ANN).await;
    let answer = imap.good("NAMESPACE").await;
    assert_eq!(answer.lines.len(), 1);
    for command in [
        "COMPARATOR",
        "COMPARATOR i;ascii-casemap i;unicode-casemap",
        "COMPARATOR default",
        "COMPARATOR \"*\"",
    ] {
        assert_eq!(imap.good(command).await.lines, ["COMPARATOR \"i;unicode-casemap\""], "{command}");
    }
    let refused = imap.ask("COMPARATOR i;ascii-numeric").await;
    assert!(refused.end.starts_with("NO") && refused.lines.is_empty(), "{refused:?}");
    house.close().await;
}

#[tokio::test]
async fn id_is_answered_in_every_state_and_noted_after_the_login() {
    let house = House::new().await;
    let mut imap = Imap::open(&house).await;
    let ours = ["ID (\"name\" \"Sealpost\")"];
    assert_eq!(imap.good("ID NIL").await.lines, ours);
    assert_eq!(imap.good("ID (\"name\" \"Kite\" \"version\" NIL)").await.lines, ours);
    assert!(imap.ask("ID (\"name\")").await.end.starts_with("BAD"));
    let many: String = (0..31).map(|n| format!("\"f{n}\" \"x\" ")).collect();
    let refused = imap.ask(&format!("ID ({})", many.trim_end())).await;
    assert!(refused.end.starts_with("BAD") || refused.end.starts_with("NO [LIMIT]"), "{refused:?}");
    let mut imap = Imap::at(&house, ANN, "INBOX").await;
    assert_eq!(imap.good("ID (\"name\" \"Kite\" \"version\" \"7\" \"x\" \"\\\"\")").await.lines, ours);
    house.store().ledger().flush().await.unwrap();
    let facts = house.store().ledger().facts(Some(house.id(ANN))).unwrap();
    assert!(facts.iter().any(|fact| fact.key.client == "Kite 7"), "{facts:?}");
    house.close().await;
}

#[tokio::test]
async fn previews() {
    let house = House::new().await;
    house.fill(ANN, 1, b"Subject: one\r\n\r\nHello  there,\r\n\r\n  all of you!\r\n").await;
    let html = b"Content-Type: text/html\r\n\r\n<style>p{}</style><p>Caf\xc3\xa9 <b>now</b></p>";
    house.fill(ANN, 1, html).await;
    house.fill(ANN, 1, b"Subject: empty\r\n\r\n").await;
    let mut imap = Imap::at(&house, ANN, "INBOX").await;
    let plain = imap.good("FETCH 1 (UID PREVIEW)").await;
    assert_eq!(plain.lines, ["1 FETCH (UID 1 PREVIEW \"Hello there, all of you!\")"]);
    // RFC 8970 3.2: what is there already is told also where it may be left out.
    for (lazy, eager) in [("FETCH 1:3 (PREVIEW (LAZY))", "FETCH 1:3 PREVIEW")] {
        assert_eq!(imap.good(lazy).await.lines, imap.good(eager).await.lines);
    }
    assert!(imap.good("FETCH 2 (PREVIEW (LAZY))").await.one("PREVIEW").contains("now"));
    assert_eq!(imap.good("FETCH 3 PREVIEW").await.lines, ["3 FETCH (PREVIEW \"\")"]);
    assert!(imap.ask("FETCH 1 (PREVIEW (EAGER))").await.end.starts_with("BAD"));
    house.close().await;
}

#[tokio::test]
async fn a_search_that_takes_long_says_so() {
    let house = House::with(|settings| settings.imap.progress_milliseconds = 1).await;
    // A phrase that spans words is verified by reading every message that has them.
    house
        .fill(ANN, 3000, format!("Subject: a\r\n\r\n{}\r\n", "some words here ".repeat(500)).as_bytes())
        .await;
    let mut imap = Imap::at(&house, ANN, "INBOX").await;
    let tag = imap.begin("SEARCH BODY \"words heres\"").await;
    let answer = imap.end(&tag).await;
    assert!(answer.ok(), "{answer:?}");
    let word = format!("OK [INPROGRESS (\"{tag}\" NIL NIL)]");
    let told = answer.with(&word).len();
    assert!(told > 0, "{answer:?}");
    assert_eq!(answer.lines.len(), told + 1, "{answer:?}");
    assert_eq!(answer.lines.last().map(String::as_str), Some("SEARCH"));
    house.close().await;
    // What is quick is not commented on.
    let house = House::new().await;
    house.fill(ANN, 1, LETTER).await;
    let mut imap = Imap::at(&house, ANN, "INBOX").await;
    assert_eq!(imap.good("SEARCH BODY text").await.lines, ["SEARCH 1"]);
    house.close().await;
}
