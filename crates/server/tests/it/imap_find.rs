//! SEARCH, SORT, THREAD over the wire.

use crate::house::House;
use crate::imap::Imap;

const ANN: &str = "ann@example.test";

fn letter(from: &str, subject: &str, day: u32, more: &str, text: &str) -> Vec<u8> {
    format!(
        "From: {from}\r\nTo: Ann <ann@example.test>\r\nSubject: {subject}\r\n\
         Date: {day:02} Mar 2024 10:00:00 +0000\r\nMessage-ID: <{subject}{day}@x>\r\n{more}\r\n{text}\r\n"
    )
    .replace("{subject}", &subject.replace(' ', ""))
    .into_bytes()
}

/// Four messages: 1 and 3 of a thread, 2 and 4 alone.
async fn furnished() -> (House, Imap) {
    let house = House::new().await;
    let mut ann = Imap::of(&house, ANN).await;
    let all = [
        (
            "(\\Seen) \"01-Mar-2024 12:00:00 +0000\"",
            letter("Zoe <zoe@b.test>", "Plan", 4, "X-Mark: red\r\n", "The quick brown fox"),
        ),
        (
            "(\\Flagged work) \"02-Mar-2024 12:00:00 +0000\"",
            letter("bob@c.test", "Apples", 2, "", "nothing at all, really nothing"),
        ),
        (
            "() \"03-Mar-2024 12:00:00 +0000\"",
            letter("Carl <carl@a.test>", "Re: Plan", 5, "References: <Plan4@x>\r\n", "A quick answer"),
        ),
        (
            "() \"04-Mar-2024 12:00:00 +0000\"",
            letter("ann@example.test", "=?utf-8?q?=C3=84pfel?=", 1, "Cc: zed@d.test\r\n", "Grüße"),
        ),
    ];
    for (head, message) in &all {
        let answer = ann.append("INBOX", &[(head, message)]).await;
        assert!(answer.ok(), "{answer:?}");
    }
    ann.good("SELECT INBOX").await;
    (house, ann)
}

#[tokio::test]
async fn every_key_finds_what_it_says() {
    let (house, mut ann) = furnished().await;
    for (key, found) in [
        ("ALL", "1 2 3 4"),
        ("SEEN", "1"),
        ("UNSEEN UNFLAGGED", "3 4"),
        ("KEYWORD Work", "2"),
        ("UNKEYWORD work", "1 3 4"),
        ("KEYWORD none", ""),
        ("NEW", ""),
        ("OLD", "1 2 3 4"),
        ("OR SEEN KEYWORD work", "1 2"),
        ("NOT (OR SEEN KEYWORD work)", "3 4"),
        ("BEFORE 2-Mar-2024", "1"),
        ("ON 2-Mar-2024", "2"),
        ("SINCE 3-Mar-2024", "3 4"),
        ("SENTBEFORE 3-Mar-2024", "2 4"),
        ("SENTON 4-Mar-2024", "1"),
        ("SENTSINCE 4-Mar-2024", "1 3"),
        ("SAVEDBEFORE 1-Jan-2025", ""),
        ("SAVEDSINCE 1-Jan-2025", "1 2 3 4"),
        ("OLDER 3600", "1 2 3 4"),
        ("YOUNGER 3600", ""),
        ("LARGER 100000", ""),
        ("SMALLER 100000", "1 2 3 4"),
        ("SUBJECT plan", "1 3"),
        ("FROM ZOE", "1"),
        ("FROM @a.test", "3"),
        ("TO ann", "1 2 3 4"),
        ("CC zed", "4"),
        ("HEADER X-Mark RED", "1"),
        ("HEADER X-Mark \"\"", "1"),
        ("HEADER Subject lan", "1 3"),
        ("BODY quick", "1 3"),
        ("BODY \"quick brown\"", "1"),
        ("BODY QUICKER", ""),
        ("BODY \"\"", "1 2 3 4"),
        ("TEXT zed@d", "4"),
        ("BODY quick FROM carl", "3"),
        ("NOT BODY quick", "2 4"),
        ("OR BODY quick SUBJECT apples", "1 2 3"),
        ("2:3", "2 3"),
        ("UID 4:*", "4"),
        ("UID 9:*", "4"),
        ("MODSEQ 1", "1 2 3 4"),
        ("CHARSET UTF-8 SUBJECT {6+}\r\n\u{e4}pfel", "4"),
        ("FUZZY SUBJECT plan", "1 3"),
    ] {
        let answer = ann.good(&format!("SEARCH {key}")).await;
        let line = answer.one("SEARCH");
        let line = line.split(" (MODSEQ").next().unwrap();
        assert_eq!(line.trim_start_matches("SEARCH").trim(), found, "{key}");
    }
    house.close().await;
}

#[tokio::test]
async fn results_in_all_forms() {
    let (house, mut ann) = furnished().await;
    let tagged =
        |answer: &crate::imap::Answer| answer.one("ESEARCH").split_once(')').unwrap().1.trim().to_owned();
    assert_eq!(tagged(&ann.good("SEARCH RETURN (MIN MAX COUNT) ALL").await), "COUNT 4 MIN 1 MAX 4");
    assert_eq!(tagged(&ann.good("UID SEARCH RETURN () UNSEEN").await), "UID ALL 2:4");
    assert_eq!(tagged(&ann.good("UID SEARCH RETURN (PARTIAL -1:-2) ALL").await), "UID PARTIAL (-1:-2 3:4)");
    assert!(ann.ask("SEARCH RETURN (RELEVANCY ALL) ALL").await.end.starts_with("BAD"));
    assert_eq!(
        tagged(&ann.good("SEARCH RETURN (RELEVANCY ALL) FUZZY BODY quick").await),
        "ALL 1,3 RELEVANCY (100 100)"
    );
    let saved = ann.good("SEARCH RETURN (SAVE) BODY quick").await;
    assert!(saved.with("ESEARCH").is_empty(), "{saved:?}");
    assert_eq!(ann.good("FETCH $ (UID)").await.lines, ["1 FETCH (UID 1)", "3 FETCH (UID 3)"]);
    assert_eq!(ann.good("SEARCH $ SEEN").await.lines, ["SEARCH 1"]);
    ann.good("UID SEARCH RETURN (SAVE MAX) ALL").await;
    assert_eq!(ann.good("UID SEARCH UID $").await.lines, ["SEARCH 4"]);
    // RFC 9394 3.2: what PARTIAL has shown, and the ends if they were asked for; with COUNT all.
    for (returns, kept) in [
        ("SAVE PARTIAL 2:3", "SEARCH 2 3"),
        ("SAVE PARTIAL 2:2 MIN", "SEARCH 1 2"),
        ("SAVE PARTIAL -1:-1 MIN", "SEARCH 1 4"),
        ("SAVE PARTIAL 2:2 COUNT", "SEARCH 1 2 3 4"),
    ] {
        ann.good(&format!("SEARCH RETURN ({returns}) ALL")).await;
        assert_eq!(ann.good("SEARCH $").await.lines, [kept], "{returns}");
    }
    // RFC 5182 2.1: BAD leaves it alone.
    assert!(ann.ask("SEARCH RETURN (SAVE RELEVANCY) ALL").await.end.starts_with("BAD"));
    assert_eq!(ann.good("SEARCH $").await.lines, ["SEARCH 1 2 3 4"]);
    ann.good("UID SORT RETURN (SAVE PARTIAL 1:2) (REVERSE ARRIVAL) UTF-8 ALL").await;
    assert_eq!(ann.good("SEARCH $").await.lines, ["SEARCH 3 4"]);
    let modseq = ann.good("SEARCH MODSEQ 1").await;
    assert!(modseq.one("SEARCH").contains("(MODSEQ "), "{modseq:?}");
    let mut new = Imap::of(&house, ANN).await;
    new.good("ENABLE IMAP4rev2").await;
    new.good("SELECT INBOX").await;
    assert_eq!(tagged(&new.good("SEARCH SEEN").await), "ALL 1");
    house.close().await;
}

#[tokio::test]
async fn sorted_by_every_criterion() {
    let (house, mut ann) = furnished().await;
    for (order, found) in [
        ("ARRIVAL", "1 2 3 4"),
        ("REVERSE ARRIVAL", "4 3 2 1"),
        ("DATE", "4 2 1 3"),
        ("SUBJECT", "4 2 1 3"),
        ("SUBJECT REVERSE DATE", "4 2 3 1"),
        ("FROM", "4 2 3 1"),
        ("DISPLAYFROM", "4 2 3 1"),
        ("TO REVERSE SUBJECT", "1 3 2 4"),
        ("CC", "1 2 3 4"),
    ] {
        let answer = ann.good(&format!("SORT ({order}) UTF-8 ALL")).await;
        let line = answer.one("SORT").trim_start_matches("SORT").trim();
        if order.contains("SUBJECT") {
            // Ä is A with something behind: both orders of 2 and 4 would be read as apples.
            let apples = |text: &str| text.replace('4', "2");
            assert_eq!(apples(line), apples(found), "{order}");
        } else {
            assert_eq!(line, found, "{order}");
        }
    }
    let extended = ann.good("UID SORT RETURN (COUNT ALL) (REVERSE DATE) UTF-8 UNSEEN").await;
    assert!(extended.one("ESEARCH").ends_with("UID COUNT 3 ALL 3,2,4"), "{extended:?}");
    house.close().await;
}

/// RFC 5267 4.3.3 and 4.3.4: positions in the order of SORT, which a client that does as it is told always has.
#[tokio::test]
async fn live_orders_follow_the_mailbox() {
    let house = House::new().await;
    let mut ann = Imap::of(&house, ANN).await;
    let letter = |lines: usize| format!("Subject: {lines}\r\n\r\n{}", "text\r\n".repeat(lines)).into_bytes();
    let letters: Vec<Vec<u8>> = [5, 2, 8, 4].into_iter().map(letter).collect();
    for letter in &letters {
        ann.append("INBOX", &[("", letter)]).await;
    }
    ann.good("SELECT INBOX").await;
    let mut other = Imap::at(&house, ANN, "INBOX").await;
    let uids = ann.begin("UID SORT RETURN (UPDATE ALL) (REVERSE SIZE) UTF-8 UNSEEN").await;
    let first = ann.end(&uids).await;
    assert!(
        first.one("ESEARCH").ends_with("UID ALL 3,1,4,2") && first.with("NOUPDATE").is_empty(),
        "{first:?}"
    );
    let numbers = ann.begin("SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 SMALLER 60").await;
    assert!(ann.end(&numbers).await.one("ESEARCH").ends_with("COUNT 3"));
    let told = |answer: crate::imap::Answer| -> Vec<String> {
        answer
            .with("SEARCH")
            .into_iter()
            .map(|line| line.replace(&uids, "u").replace(&numbers, "n"))
            .collect()
    };
    for letter in [letter(6), letter(7), letter(3)] {
        other.append("INBOX", &[("", &letter)]).await;
    }
    assert_eq!(
        told(ann.good("NOOP").await),
        [r#"ESEARCH (TAG "u") UID ADDTO (2 6,5 6 7)"#, r#"ESEARCH (TAG "n") ADDTO (2 7 5 5:6)"#]
    );
    other.good("STORE 3,6,1 +FLAGS.SILENT (\\Seen)").await;
    assert_eq!(told(ann.good("NOOP").await), [r#"ESEARCH (TAG "u") UID REMOVEFROM (1 3,6 2 1)"#]);
    other.good("STORE 1 -FLAGS.SILENT (\\Seen)").await;
    other.good("STORE 2,5 +FLAGS.SILENT (\\Deleted)").await;
    other.good("EXPUNGE").await;
    let answer = ann.good("NOOP").await;
    let at = |word: &str| answer.lines.iter().position(|line| line.contains(word)).unwrap();
    assert!(at("REMOVEFROM") < at("EXPUNGE"), "the numbers still hold: {answer:?}");
    assert_eq!(
        told(answer),
        [
            r#"ESEARCH (TAG "u") UID REMOVEFROM (1 5 3 2)"#,
            r#"ESEARCH (TAG "n") REMOVEFROM (1 2 4 5)"#,
            r#"ESEARCH (TAG "u") UID ADDTO (1 1)"#,
        ]
    );
    ann.good(&format!("CANCELUPDATE \"{uids}\" \"{numbers}\"")).await;
    other.append("INBOX", &[("", &letter(9))]).await;
    assert!(told(ann.good("NOOP").await).is_empty());
    house.close().await;
}

#[tokio::test]
async fn threads_by_subject_and_by_references() {
    let (house, mut ann) = furnished().await;
    assert_eq!(ann.good("THREAD REFERENCES UTF-8 ALL").await.one("THREAD"), "THREAD (4)(2)(1 3)");
    assert_eq!(ann.good("THREAD ORDEREDSUBJECT UTF-8 ALL").await.one("THREAD"), "THREAD (4)(2)(1 3)");
    assert_eq!(ann.good("UID THREAD REFERENCES UTF-8 SUBJECT plan").await.one("THREAD"), "THREAD (1 3)");
    assert_eq!(ann.good("THREAD REFERENCES UTF-8 SUBJECT none").await.one("THREAD"), "THREAD");
    house.close().await;
}

#[tokio::test]
async fn live_results_follow_the_mailbox() {
    let (house, mut ann) = furnished().await;
    let mut other = Imap::at(&house, ANN, "INBOX").await;
    let tag = ann.begin("UID SEARCH RETURN (UPDATE ALL) UNSEEN").await;
    let first = ann.end(&tag).await;
    assert!(first.one("ESEARCH").ends_with("UID ALL 2:4"), "{first:?}");
    other.good("STORE 3 +FLAGS.SILENT (\\Seen)").await;
    other.good("STORE 1 -FLAGS.SILENT (\\Seen)").await;
    let told = ann.good("NOOP").await;
    assert_eq!(
        told.with("ESEARCH"),
        [
            format!("ESEARCH (TAG \"{tag}\") UID REMOVEFROM (0 3)"),
            format!("ESEARCH (TAG \"{tag}\") UID ADDTO (0 1)"),
        ]
    );
    other.good("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    other.good("EXPUNGE").await;
    assert_eq!(
        ann.good("NOOP").await.with("REMOVEFROM"),
        [format!("ESEARCH (TAG \"{tag}\") UID REMOVEFROM (0 2)")]
    );
    // RFC 5267 4.3: a tag that is in use names no other result, and numbers mean what they meant.
    ann.say(format!("{tag} SEARCH RETURN (UPDATE) ALL\r\n").as_bytes()).await;
    assert!(ann.end(&tag).await.end.starts_with("BAD"));
    ann.good("SEARCH RETURN (SAVE) 2").await;
    let fixed = ann.begin("SEARCH RETURN (UPDATE) OR $ 1").await;
    assert!(ann.end(&fixed).await.one("ESEARCH").ends_with("ALL 1:2"));
    other.good("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    other.good("EXPUNGE").await;
    // RFC 5267 4.3.4: REMOVEFROM while the numbers still hold.
    let told = ann.good("NOOP").await;
    let lines: Vec<&str> = told.lines.iter().map(String::as_str).collect();
    assert_eq!(
        lines,
        [
            format!("ESEARCH (TAG \"{tag}\") UID REMOVEFROM (0 1)").as_str(),
            &format!("ESEARCH (TAG \"{fixed}\") REMOVEFROM (0 1)"),
            "1 EXPUNGE",
        ]
    );
    other.good("STORE 1:* +FLAGS.SILENT ($Later)").await;
    assert!(ann.good("NOOP").await.with("ESEARCH").is_empty());
    ann.good(&format!("CANCELUPDATE \"{tag}\" \"{fixed}\"")).await;
    other.good("STORE 1 +FLAGS.SILENT (\\Seen)").await;
    assert!(ann.good("NOOP").await.with("ESEARCH").is_empty());
    for _ in 0..8 {
        assert!(ann.good("SEARCH RETURN (UPDATE COUNT) ALL").await.with("NOUPDATE").is_empty());
    }
    assert_eq!(ann.good("SEARCH RETURN (UPDATE COUNT) ALL").await.with("NOUPDATE").len(), 1);
    house.close().await;
}

#[tokio::test]
async fn several_mailboxes_are_searched_at_once() {
    let (house, mut ann) = furnished().await;
    ann.good("CREATE a/b").await;
    ann.good("COPY 1 a/b").await;
    ann.good("COPY 1:2 a").await;
    let found = ann.good("ESEARCH IN (mailboxes INBOX subtree a) RETURN (COUNT) BODY quick").await;
    let seen: Vec<&str> = found
        .with("ESEARCH")
        .iter()
        .map(|line| line.split_once("MAILBOX ").unwrap().1.split(' ').next().unwrap())
        .collect();
    assert_eq!(seen, ["INBOX", "a", "a/b"], "{found:?}");
    let counts: Vec<&str> =
        found.with("ESEARCH").iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(counts, ["2", "1", "1"]);
    let selected = ann.good("ESEARCH IN (selected) SUBJECT plan").await;
    assert!(selected.one("ESEARCH").ends_with("UID ALL 1,3"), "{selected:?}");
    assert!(ann.ask("ESEARCH IN (personal) RETURN (SAVE) ALL").await.end.starts_with("BAD"));
    // RFC 7377 2.2: of the open mailbox alone they have a meaning; numbers beyond its end are no error (section 2).
    ann.good("ESEARCH RETURN (SAVE COUNT) SUBJECT plan").await;
    assert_eq!(ann.good("UID SEARCH $").await.lines, ["SEARCH 1 3"]);
    let live = ann.begin("ESEARCH IN (selected) RETURN (UPDATE) DRAFT").await;
    assert!(ann.end(&live).await.ok());
    let told = ann.good("STORE 2 +FLAGS.SILENT (\\Draft)").await;
    assert!(told.one("ESEARCH").ends_with("UID ADDTO (0 2)"), "{told:?}");
    assert!(ann.good("ESEARCH 100:200").await.lines.is_empty());
    assert_eq!(ann.good("SEARCH 100:200").await.lines, ["SEARCH"]);
    ann.good("UNSELECT").await;
    assert!(ann.ask("ESEARCH ALL").await.end.starts_with("BAD"));
    house.close().await;
}
