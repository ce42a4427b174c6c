//! FETCH: sections, partial ranges, decoded parts, old rows, and readers that are slow.

use crate::house::House;
use crate::imap::Imap;
use crate::wire::Mailer;
use std::time::{Duration, Instant};

const ANN: &str = "ann@example.test";
const MIXED: &str = "From: Ann <ann@example.test>\r\n\
    Subject: parts\r\n\
    Message-ID: <1@example.test>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\
    \r\n\
    --b\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\
    \r\n\
    Gr=C3=BC=C3=9Fe\r\n\
    --b\r\n\
    Content-Type: message/rfc822\r\n\
    \r\n\
    Subject: inner\r\n\
    \r\n\
    Inner text.\r\n\
    --b\r\n\
    Content-Type: application/octet-stream\r\n\
    Content-Transfer-Encoding: base64\r\n\
    \r\n\
    AAEC\r\n\
    --b--\r\n";

async fn delivered(message: &str) -> (House, Imap) {
    let house = House::new().await;
    let mut mailer = Mailer::open(&house, "smtp").await;
    let sent = mailer.send("bob@example.test", &[ANN], message).await;
    assert!(sent.codes().ends_with("250 2.0.0"), "{}", sent.codes());
    let imap = Imap::at(&house, ANN, "INBOX").await;
    (house, imap)
}

/// The one literal of an answer.
fn literal(line: &str) -> &str {
    let (_, rest) = line.split_once("}\r\n").unwrap_or_else(|| panic!("no literal in {line}"));
    rest.strip_suffix(')').expect("the end of the answer")
}

#[tokio::test]
async fn sections_are_cut_out_of_the_message() {
    let (house, mut imap) = delivered(MIXED).await;
    let whole = String::from_utf8(house.messages(ANN).await.remove(0)).unwrap();
    let mut get = async |item: &str| -> String {
        let answer = imap.good(&format!("FETCH 1 (BODY.PEEK[{item}])")).await;
        literal(answer.one("BODY[")).to_owned()
    };
    assert_eq!(get("").await, whole);
    let (header, text) = whole.split_once("\r\n\r\n").unwrap();
    assert!(header.starts_with("Return-Path: <bob@example.test>"));
    assert_eq!(get("HEADER").await, format!("{header}\r\n\r\n"));
    assert_eq!(get("TEXT").await, text);
    assert_eq!(
        get("HEADER.FIELDS (SUBJECT return-path)").await,
        "Return-Path: <bob@example.test>\r\nSubject: parts\r\n\r\n"
    );
    assert!(!get("HEADER.FIELDS.NOT (Subject)").await.contains("Subject:"));
    assert_eq!(get("1").await, "Gr=C3=BC=C3=9Fe");
    assert!(get("1.MIME").await.starts_with("Content-Type: text/plain"));
    assert_eq!(get("2").await, "Subject: inner\r\n\r\nInner text.");
    assert_eq!(get("2.HEADER").await, "Subject: inner\r\n\r\n");
    assert_eq!(get("2.TEXT").await, "Inner text.");
    assert_eq!(get("2.1").await, "Inner text.");
    let answer = imap.good("FETCH 1 (BODY.PEEK[9] BODY.PEEK[1.1.1] BODY.PEEK[1.HEADER])").await;
    assert_eq!(answer.lines, ["1 FETCH (BODY[9] NIL BODY[1.1.1] NIL BODY[1.HEADER] NIL)"]);
    // Every range of the whole message, over the border between this recipient's lines and the shared body.
    for (from, count) in [(0, 10), (20, 60), (40, 1), (whole.len() - 3, 99), (whole.len(), 1), (1 << 40, 5)] {
        let answer = imap.good(&format!("FETCH 1 (BODY.PEEK[]<{from}.{count}>)")).await;
        let end = (from + count).min(whole.len());
        assert_eq!(literal(answer.one(&format!("BODY[]<{from}>"))), whole.get(from..end).unwrap_or(""));
    }
    house.close().await;
}

#[tokio::test]
async fn parts_are_decoded() {
    let (house, mut imap) = delivered(MIXED).await;
    let answer = imap.good("FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])").await;
    assert_eq!(answer.lines, ["1 FETCH (BINARY[1] {7}\r\nGrüße BINARY.SIZE[1] 7)"]);
    let answer = imap.good("FETCH 1 (BINARY.PEEK[3] BINARY.PEEK[3]<1.1>)").await;
    assert_eq!(answer.lines, ["1 FETCH (BINARY[3] ~{3}\r\n\0\u{1}\u{2} BINARY[3]<1> {1}\r\n\u{1})"]);
    let odd = "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-odd\r\n\r\nabc\r\n";
    imap.append("INBOX", &[("", odd.as_bytes())]).await;
    assert!(imap.ask("FETCH 2 (BINARY.PEEK[1])").await.end.starts_with("NO [UNKNOWN-CTE]"));
    house.close().await;
}

#[tokio::test]
async fn what_was_learnt_at_delivery() {
    let (house, mut imap) = delivered(MIXED).await;
    let answer = imap.good("FETCH 1 (ENVELOPE BODYSTRUCTURE PREVIEW EMAILID THREADID SAVEDATE)").await;
    let line = answer.one("1 FETCH");
    assert!(line.contains("ENVELOPE (") && line.contains("\"parts\""), "{line}");
    assert!(line.contains("\"mixed\"") || line.contains("\"MIXED\""), "{line}");
    assert!(line.contains("Grüße"), "the preview is decoded: {line}");
    assert!(line.contains("EMAILID (M") && line.contains("THREADID (T") && line.contains("SAVEDATE \""));
    // Rows without a gist (of an older store) are looked at when they are asked for.
    let old = house.fill(ANN, 1, MIXED.as_bytes()).await;
    assert_eq!(old.len, MIXED.len() as u64);
    let again = imap.good("FETCH 2 (ENVELOPE BODYSTRUCTURE)").await;
    let structure =
        |line: &str| line.split_once("BODYSTRUCTURE").map(|(_, s)| s.trim_end_matches(')').to_owned());
    let first = imap.good("FETCH 1 (BODYSTRUCTURE)").await;
    assert_eq!(structure(again.one("2 FETCH")), structure(first.one("1 FETCH")));
    house.close().await;
}

#[tokio::test]
async fn sets_and_numbers() {
    let house = House::new().await;
    house.fill(ANN, 10, b"Subject: x\r\n\r\n").await;
    let mut imap = Imap::at(&house, ANN, "INBOX").await;
    let uids = |answer: &crate::imap::Answer| -> Vec<u32> {
        let uid = |line: &String| {
            line.split_once("UID ").and_then(|(_, uid)| uid.trim_end_matches(')').parse().ok())
        };
        answer.lines.iter().filter_map(uid).collect()
    };
    assert_eq!(uids(&imap.good("FETCH 3,1:2,9:* (UID)").await), [1, 2, 3, 9, 10]);
    assert_eq!(uids(&imap.good("UID FETCH 8:4294967290 (UID)").await), [8, 9, 10]);
    assert_eq!(uids(&imap.good("UID FETCH 99:* (UID)").await), [10], "`*` is the last, also as a lower end");
    assert!(uids(&imap.good("UID FETCH 99 (UID)").await).is_empty());
    assert!(imap.ask("FETCH 11 (UID)").await.end.starts_with("BAD"));
    assert!(imap.ask("FETCH 0 (UID)").await.end.starts_with("BAD"));
    assert_eq!(uids(&imap.good("UID FETCH 1:* (UID) (PARTIAL 2:3)").await), [2, 3]);
    assert_eq!(uids(&imap.good("UID FETCH 1:* (UID) (PARTIAL -1:-2)").await), [9, 10]);
    let fast = imap.good("FETCH 1 FAST").await;
    assert_eq!(fast.lines, ["1 FETCH (FLAGS () INTERNALDATE \"14-Nov-2023 22:13:20 +0000\" RFC822.SIZE 14)"]);
    house.close().await;
}

#[tokio::test]
async fn one_who_reads_slowly_holds_nobody_up() {
    let house = House::new().await;
    let large = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(30_000));
    house.fill(ANN, 200, large.as_bytes()).await;
    let mut slow = Imap::at(&house, ANN, "INBOX").await;
    let mut quick = Imap::at(&house, ANN, "INBOX").await;
    // A hundred megabytes are due and nobody takes them.
    let tag = slow.begin("FETCH 1:200 (BODY.PEEK[])").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    quick.good("STORE 1:100 +FLAGS.SILENT (\\Deleted)").await;
    quick.good("EXPUNGE").await;
    house.fill(ANN, 1, b"Subject: y\r\n\r\n").await;
    assert!(quick.good("NOOP").await.lines.contains(&"101 EXISTS".to_owned()));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // Those that were removed under the reader are missing, and it is told so.
    let answer = slow.end(&tag).await;
    assert!(answer.ok() || answer.end.starts_with("NO [EXPUNGEISSUED]"), "{}", answer.end);
    let bodies: Vec<&str> = answer.with("BODY[]");
    assert!(bodies.len() >= 100 && bodies.iter().all(|line| literal(line) == large), "{}", bodies.len());
    house.close().await;
}

#[tokio::test]
async fn headers_in_utf8_are_for_those_who_can_read_them() {
    let house = House::new().await;
    let message = "From: J\u{f6}rg <joerg@example.test>\r\nSubject: Gr\u{fc}\u{df}e\r\nX-Plain: x\r\n\
                   Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Description: \u{e4}\r\n\r\n\u{f6}\r\n--b--\r\n";
    house.fill(ANN, 1, message.as_bytes()).await;
    let mut imap = Imap::at(&house, ANN, "INBOX").await;
    let fields = "FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT X-PLAIN)]";
    let subject = "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\nX-Plain: x\r\n\r\n";
    assert!(imap.good(fields).await.one("FETCH").ends_with(&format!("{{{}}}\r\n{subject})", subject.len())));
    let header = imap.good("FETCH 1 BODY.PEEK[HEADER]").await;
    let header = header.one("FETCH");
    assert!(header.is_ascii() && header.contains("=?UTF-8?B?SsO2cmc=?= <joerg@example.test>"), "{header}");
    assert!(imap.good("FETCH 1 BODY.PEEK[HEADER]<9.19>").await.one("FETCH").is_ascii());
    let mime = imap.good("FETCH 1 BODY.PEEK[1.MIME]").await;
    assert!(mime.one("FETCH").contains("Content-Description: =?UTF-8?B?w6Q=?=\r\n\r\n"), "{mime:?}");
    // RFC 6855 section 8.
    let learnt = imap.good("FETCH 1 (ENVELOPE BODY BODYSTRUCTURE)").await;
    let learnt = learnt.one("FETCH");
    assert!(learnt.is_ascii() && !learnt.contains('{'), "{learnt}");
    assert!(learnt.contains(
        "\"=?UTF-8?B?R3LDvMOfZQ==?=\" ((\"=?UTF-8?B?SsO2cmc=?=\" NIL \"joerg\" \"example.test\"))"
    ));
    assert_eq!(learnt.matches("NIL \"=?UTF-8?B?w6Q=?=\" \"7").count(), 2, "{learnt}");
    // What is taken away is the message itself, and all its sizes and ranges are of it (see `imap::section`).
    let size = message.len();
    let whole = format!("{{{size}}}\r\n{message}");
    let answer = imap.good("FETCH 1 (RFC822.SIZE BODY.PEEK[])").await;
    assert_eq!(answer.one("FETCH"), format!("1 FETCH (RFC822.SIZE {size} BODY[] {whole})"));
    assert_eq!(
        imap.good("FETCH 1 RFC822").await.one("RFC822"),
        format!("1 FETCH (RFC822 {whole} FLAGS (\\Seen))")
    );
    let mut pieces = Vec::new();
    for from in (0..size).step_by(40) {
        let tag = imap.begin(&format!("FETCH 1 BODY.PEEK[]<{from}.40>")).await;
        let line = imap.octets().await;
        let begin = line.windows(3).position(|octets| octets == b"}\r\n").expect("a literal") + 3;
        pieces.extend_from_slice(&line[begin..line.len() - 1]);
        assert!(imap.end(&tag).await.ok());
    }
    assert_eq!(pieces, message.as_bytes());
    let mut imap = Imap::of(&house, ANN).await;
    imap.good("ENABLE UTF8=ACCEPT").await;
    imap.good("SELECT INBOX").await;
    assert!(imap.good(fields).await.one("FETCH").contains("Subject: Gr\u{fc}\u{df}e\r\n"));
    assert!(imap.good("FETCH 1 ENVELOPE").await.one("FETCH").contains("Gr\u{fc}\u{df}e"));
    assert!(
        imap.good("FETCH 1 BODY.PEEK[1.MIME]").await.one("FETCH").contains("Content-Description: \u{e4}")
    );
    house.close().await;
}
