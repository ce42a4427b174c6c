//! APPEND in all its forms, quota, and what is left of one that breaks off.

use crate::house::House;
use crate::imap::Imap;

const ANN: &str = "ann@example.test";
const ONE: &[u8] = b"Subject: one\r\n\r\nFirst.\r\n";
const TWO: &[u8] = b"Subject: two\r\n\r\nSecond.\r\n";

#[tokio::test]
async fn messages_come_as_they_were_sent() {
    let house = House::new().await;
    let mut imap = Imap::at(&house, ANN, "INBOX").await;
    let head = "(\\Seen $Label) \"17-Jul-1996 02:44:25 -0700\"";
    let answer = imap.append("INBOX", &[(head, ONE)]).await;
    assert!(answer.end.starts_with("OK [APPENDUID "), "{answer:?}");
    assert!(answer.lines.contains(&"1 EXISTS".to_owned()), "{answer:?}");
    let fetched = imap.good("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])").await;
    let text = String::from_utf8_lossy(ONE);
    assert_eq!(
        fetched.lines,
        [format!(
            "1 FETCH (FLAGS (\\Seen $Label) INTERNALDATE \"17-Jul-1996 09:44:25 +0000\" RFC822.SIZE {} BODY[] {{{}}}\r\n{text})",
            ONE.len(),
            ONE.len()
        )]
    );
    assert_eq!(house.messages(ANN).await, [ONE]);
    house.close().await;
}

#[tokio::test]
async fn several_in_one_commit() {
    let house = House::new().await;
    let mut imap = Imap::of(&house, ANN).await;
    let answer = imap.append("INBOX", &[("", ONE), ("(\\Flagged)", TWO), ("", ONE)]).await;
    assert!(answer.end.contains(" 1:3] "), "{answer:?}");
    assert_eq!(house.messages(ANN).await, [ONE, TWO, ONE]);
    // An empty message takes all of them back (RFC 3502).
    let answer = imap.append("INBOX", &[("", ONE), ("", b"")]).await;
    assert!(answer.end.starts_with("NO "), "{answer:?}");
    assert_eq!(house.messages(ANN).await.len(), 3);
    // As many as are made durable in several rounds.
    let many: Vec<(&str, &[u8])> = (0..150).map(|_| ("", TWO)).collect();
    assert!(imap.append("INBOX", &many).await.end.contains(" 4:153] "));
    house.close().await;
}

#[tokio::test]
async fn refused_before_a_single_octet() {
    let house = House::new().await;
    house.add("tiny@example.test", false, Some(100)).await;
    let mut imap = Imap::of(&house, "tiny@example.test").await;
    assert!(imap.ask("APPEND Nowhere {10}").await.end.starts_with("NO [TRYCREATE]"));
    assert!(imap.ask("APPEND INBOX {101}").await.end.starts_with("NO [OVERQUOTA]"));
    assert!(imap.ask("APPEND INBOX {999999999}").await.end.starts_with("NO [TOOBIG]"));
    // Non-synchronising: read away, then refused; the connection goes on.
    let answer = imap.append("INBOX", &[("", &[b'x'; 101])]).await;
    assert!(answer.end.starts_with("NO [OVERQUOTA]"), "{answer:?}");
    // Together they are too many; neither is taken.
    let answer = imap.append("INBOX", &[("", &[b'x'; 60]), ("", &[b'y'; 60])]).await;
    assert!(answer.end.starts_with("NO [OVERQUOTA]"), "{answer:?}");
    assert_eq!(house.store().account(house.id("tiny@example.test")).usage().unwrap().messages, 0);
    assert!(imap.append("INBOX", &[("", &[b'x'; 100])]).await.ok());
    house.close().await;
}

#[tokio::test]
async fn a_connection_that_dies_in_a_literal_leaves_nothing() {
    let house = House::new().await;
    let mut imap = Imap::of(&house, ANN).await;
    imap.say(b"x APPEND INBOX {24+}\r\n").await;
    imap.say(ONE).await;
    imap.say(b" {1000000+}\r\n").await;
    imap.say(&vec![b'z'; 600_000]).await;
    drop(imap);
    let mut again = Imap::of(&house, ANN).await;
    assert_eq!(again.good("SELECT INBOX").await.one("EXISTS"), "0 EXISTS");
    house.close().await;
}

#[tokio::test]
async fn messages_are_put_together_from_parts() {
    let house = House::new().await;
    let mut imap = Imap::at(&house, ANN, "INBOX").await;
    imap.append("INBOX", &[("", ONE)]).await;
    let validity = imap.good("SELECT INBOX").await.number("UIDVALIDITY");
    let url = format!("/INBOX;UIDVALIDITY={validity}/;UID=1");
    let begin = format!("APPEND INBOX CATENATE (URL \"{url}/;SECTION=HEADER\" TEXT {{6+}}\r\nSecond");
    let answer = imap.good(&format!("{begin} URL \"{url}/;SECTION=TEXT/;PARTIAL=5.3\")")).await;
    assert!(answer.end.contains("[APPENDUID "), "{answer:?}");
    assert_eq!(house.messages(ANN).await[1], b"Subject: one\r\n\r\nSecond.\r\n");
    for bad in ["/INBOX/;UID=99", "/Nowhere/;UID=1", "imap://elsewhere/INBOX/;UID=1"] {
        let answer = imap.ask(&format!("APPEND INBOX CATENATE (URL \"{bad}\")")).await;
        assert!(answer.end.starts_with("NO [BADURL "), "{bad}: {answer:?}");
    }
    let stale = format!("/INBOX;UIDVALIDITY={}/;UID=1", validity + 1);
    assert!(
        imap.ask(&format!("APPEND INBOX CATENATE (URL \"{stale}\")")).await.end.starts_with("NO [BADURL ")
    );
    assert_eq!(house.messages(ANN).await.len(), 2);
    house.close().await;
}

#[tokio::test]
async fn nul_comes_and_goes_in_binary_literals() {
    let house = House::new().await;
    let mut imap = Imap::at(&house, ANN, "INBOX").await;
    let message = b"Content-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b";
    imap.say(format!("b1 APPEND INBOX ~{{{}+}}\r\n", message.len()).as_bytes()).await;
    imap.say(message).await;
    imap.say(b"\r\n").await;
    assert!(imap.end("b1").await.ok());
    assert_eq!(house.messages(ANN).await, [message]);
    let answer = imap.good("FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])").await;
    assert_eq!(answer.lines, ["1 FETCH (BINARY[1] ~{3}\r\na\0b BINARY.SIZE[1] 3)"]);
    house.close().await;
}

#[tokio::test]
async fn replace_is_one_step() {
    let house = House::new().await;
    let mut imap = Imap::at(&house, ANN, "INBOX").await;
    let mut other = Imap::at(&house, ANN, "INBOX").await;
    imap.append("INBOX", &[("", ONE), ("", ONE)]).await;
    let answer = imap.good("REPLACE 1 INBOX (\\Draft) {25+}\r\nSubject: two\r\n\r\nSecond.\r\n").await;
    assert!(answer.lines[0].starts_with("OK [APPENDUID "), "{answer:?}");
    assert!(answer.lines.contains(&"1 EXPUNGE".to_owned()) && answer.lines.contains(&"2 EXISTS".to_owned()));
    assert_eq!(house.messages(ANN).await, [ONE, TWO]);
    assert_eq!(other.good("NOOP").await.lines.last().map(String::as_str), Some("2 EXISTS"));
    let answer = imap.ask("UID REPLACE 77 INBOX {25}").await;
    assert!(answer.end.starts_with("NO [NONEXISTENT]"), "{answer:?}");
    imap.good("UNSELECT").await;
    house.close().await;
}
