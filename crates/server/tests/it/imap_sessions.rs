//! Two and three sessions with one mailbox at once: who is told what, and when.

use crate::house::House;
use crate::imap::Imap;
use crate::wire::Mailer;

const ANN: &str = "ann@example.test";
const LETTER: &str = "Subject: one\r\n\r\nText.\r\n";

async fn with_messages(count: usize) -> House {
    let house = House::new().await;
    house.fill(ANN, count, LETTER.as_bytes()).await;
    house
}

#[tokio::test]
async fn select_tells_the_state_of_a_mailbox() {
    let house = with_messages(3).await;
    let mut imap = Imap::of(&house, ANN).await;
    let answer = imap.good("SELECT inbox").await;
    assert_eq!(answer.one("EXISTS"), "3 EXISTS");
    assert_eq!(answer.one("RECENT"), "0 RECENT");
    let flags = "(\\Seen \\Answered \\Flagged \\Deleted \\Draft)";
    assert_eq!(answer.with("FLAGS ").first(), Some(&format!("FLAGS {flags}").as_str()));
    assert!(answer.one("PERMANENTFLAGS").contains("\\Draft \\*)]"));
    assert_eq!((answer.number("UNSEEN"), answer.number("UIDNEXT")), (1, 4));
    assert!(answer.number("UIDVALIDITY") > 0 && answer.number("HIGHESTMODSEQ") > 0);
    assert!(answer.one("MAILBOXID").contains("[MAILBOXID (F"));
    assert!(answer.end.starts_with("OK [READ-WRITE]"), "{}", answer.end);
    let again = imap.good("SELECT INBOX").await;
    assert!(again.lines[0].starts_with("OK [CLOSED]"), "{again:?}");
    assert!(imap.ask("SELECT Nowhere").await.end.starts_with("NO [NONEXISTENT]"));
    assert!(imap.ask("FETCH 1 (UID)").await.end.starts_with("BAD"), "nothing is open now");
    house.close().await;
}

#[tokio::test]
async fn idle_hears_of_mail_flags_and_expunges() {
    let house = with_messages(2).await;
    let mut watcher = Imap::at(&house, ANN, "INBOX").await;
    let mut worker = Imap::at(&house, ANN, "INBOX").await;
    let tag = watcher.idle().await;
    let mut mailer = Mailer::open(&house, "smtp").await;
    mailer.send("", &[ANN], LETTER).await;
    assert_eq!(watcher.line().await, "* 3 EXISTS");
    worker.good("STORE 1 +FLAGS.SILENT (\\Deleted $Junk)").await;
    assert!(watcher.line().await.starts_with("* FLAGS ("), "a keyword is new");
    assert!(watcher.line().await.starts_with("* OK [PERMANENTFLAGS ("));
    assert_eq!(watcher.line().await, "* 1 FETCH (FLAGS (\\Deleted $Junk))");
    worker.good("EXPUNGE").await;
    assert_eq!(watcher.line().await, "* 1 EXPUNGE");
    let answer = watcher.done(&tag).await;
    assert!(answer.ok() && answer.lines.is_empty(), "{answer:?}");
    assert!(watcher.is_quiet().await);
    house.close().await;
}

#[tokio::test]
async fn nothing_is_said_unasked_outside_of_idle() {
    let house = with_messages(1).await;
    let mut watcher = Imap::at(&house, ANN, "INBOX").await;
    house.fill(ANN, 1, LETTER.as_bytes()).await;
    assert!(watcher.is_quiet().await);
    assert_eq!(watcher.good("NOOP").await.lines, ["2 EXISTS"]);
    assert!(watcher.good("NOOP").await.lines.is_empty());
    house.close().await;
}

#[tokio::test]
async fn numbers_stand_still_while_expunges_may_not_be_told() {
    let house = with_messages(5).await;
    let mut a = Imap::at(&house, ANN, "INBOX").await;
    let mut b = Imap::at(&house, ANN, "INBOX").await;
    a.good("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    a.good("EXPUNGE").await;
    house.fill(ANN, 1, LETTER.as_bytes()).await;
    a.good("STORE 4 +FLAGS.SILENT (\\Flagged)").await;
    // B still counts five: its fifth is A's fourth. The new message has no number for B yet.
    let answer = b.good("FETCH 3:5 (UID)").await;
    assert_eq!(
        answer.lines,
        ["5 FETCH (FLAGS (\\Flagged))", "3 FETCH (UID 3)", "4 FETCH (UID 4)", "5 FETCH (UID 5)"]
    );
    let answer = b.ask("FETCH 1:* (UID BODY.PEEK[HEADER])").await;
    assert!(answer.end.starts_with("NO [EXPUNGEISSUED]"), "{}", answer.end);
    assert_eq!(answer.lines.len(), 4);
    assert!(b.ask("FETCH 6 (UID)").await.end.starts_with("BAD"));
    let answer = b.ask("STORE 2:3 +FLAGS (\\Answered)").await;
    assert!(answer.end.starts_with("NO [EXPUNGEISSUED]"), "{}", answer.end);
    assert_eq!(answer.lines, ["3 FETCH (FLAGS (\\Answered))"]);
    // UID commands may tell of expunges (RFC 9051 7.5.1).
    let answer = b.good("NOOP").await;
    assert_eq!(answer.lines, ["2 EXPUNGE", "5 EXISTS"]);
    assert_eq!(b.good("FETCH 2:* (UID)").await.lines.len(), 4);
    house.close().await;
}

#[tokio::test]
async fn numbers_in_a_uid_search_are_those_that_the_client_knows() {
    let house = with_messages(5).await;
    let mut a = Imap::at(&house, ANN, "INBOX").await;
    let mut b = Imap::at(&house, ANN, "INBOX").await;
    a.good("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    a.good("EXPUNGE").await;
    // RFC 9051 7.5.1, RFC 7162 3.2.10.2.
    for (command, found) in [
        ("UID SEARCH OR 3 4", "SEARCH 3 4"),
        ("UID SORT (ARRIVAL) UTF-8 NOT (1:3,5)", "SORT 4"),
        ("UID THREAD REFERENCES UTF-8 5", "THREAD (5)"),
    ] {
        assert_eq!(b.good(command).await.lines, [found], "{command}");
    }
    assert_eq!(b.good("UID SEARCH UID 3").await.lines, ["1 EXPUNGE", "SEARCH 3"]);
    house.close().await;
}

#[tokio::test]
async fn a_silent_change_on_top_of_anothers_is_told_once_as_it_is_in_the_end() {
    let house = with_messages(2).await;
    let mut a = Imap::at(&house, ANN, "INBOX").await;
    let mut b = Imap::at(&house, ANN, "INBOX").await;
    a.good("STORE 1 +FLAGS.SILENT (\\Flagged)").await;
    assert_eq!(
        b.good("STORE 1:2 +FLAGS.SILENT (\\Seen)").await.lines,
        ["1 FETCH (FLAGS (\\Seen \\Flagged))"]
    );
    assert!(b.good("NOOP").await.lines.is_empty());
    house.close().await;
}

#[tokio::test]
async fn silent_changes_are_not_echoed_and_those_of_others_are() {
    let house = with_messages(3).await;
    let mut a = Imap::at(&house, ANN, "INBOX").await;
    let mut b = Imap::at(&house, ANN, "INBOX").await;
    assert!(a.good("STORE 1:3 +FLAGS.SILENT (\\Seen)").await.lines.is_empty());
    assert!(a.good("NOOP").await.lines.is_empty());
    // B has not heard of it yet; its own answer tells the whole truth, and what A did to the others follows.
    let answer = b.good("STORE 2 +FLAGS (\\Flagged)").await;
    assert_eq!(answer.with("2 FETCH").last(), Some(&"2 FETCH (FLAGS (\\Seen \\Flagged))"));
    assert_eq!(answer.one("1 FETCH"), "1 FETCH (FLAGS (\\Seen))");
    assert_eq!(a.good("NOOP").await.lines, ["2 FETCH (FLAGS (\\Seen \\Flagged))"]);
    // Without a change there is an answer, and nothing for the other.
    assert_eq!(b.good("STORE 2 +FLAGS (\\Flagged)").await.lines, ["2 FETCH (FLAGS (\\Seen \\Flagged))"]);
    assert!(a.good("NOOP").await.lines.is_empty());
    assert_eq!(a.good("UID STORE 3 FLAGS (\\Draft)").await.lines, ["3 FETCH (UID 3 FLAGS (\\Draft))"]);
    house.close().await;
}

#[tokio::test]
async fn reading_marks_as_seen_for_all() {
    let house = with_messages(2).await;
    let mut a = Imap::at(&house, ANN, "INBOX").await;
    let mut b = Imap::at(&house, ANN, "INBOX").await;
    let answer = a.good("FETCH 1 (BODY[TEXT])").await;
    assert_eq!(answer.lines, ["1 FETCH (BODY[TEXT] {7}\r\nText.\r\n FLAGS (\\Seen))"]);
    assert_eq!(a.good("FETCH 1 (BODY[TEXT])").await.lines, ["1 FETCH (BODY[TEXT] {7}\r\nText.\r\n)"]);
    assert_eq!(
        a.good("FETCH 2 (FLAGS RFC822.TEXT)").await.lines,
        ["2 FETCH (FLAGS (\\Seen) RFC822.TEXT {7}\r\nText.\r\n)"]
    );
    assert_eq!(b.good("NOOP").await.lines, ["1 FETCH (FLAGS (\\Seen))", "2 FETCH (FLAGS (\\Seen))"]);
    let mut c = Imap::of(&house, ANN).await;
    assert!(c.good("EXAMINE INBOX").await.end.starts_with("OK [READ-ONLY]"));
    assert!(c.ask("STORE 1 -FLAGS (\\Seen)").await.end.starts_with("NO [READ-ONLY]"));
    a.good("STORE 1 -FLAGS.SILENT (\\Seen)").await;
    assert!(c.good("FETCH 1 (BODY[TEXT])").await.with("\\Seen").is_empty(), "EXAMINE changes nothing");
    house.close().await;
}

#[tokio::test]
async fn copies_and_moves_between_mailboxes() {
    let house = with_messages(4).await;
    let mut a = Imap::at(&house, ANN, "INBOX").await;
    let mut b = Imap::at(&house, ANN, "INBOX").await;
    assert!(a.ask("COPY 1 Nowhere").await.end.starts_with("NO [TRYCREATE]"));
    a.good("CREATE Work").await;
    a.good("STORE 2 +FLAGS.SILENT (\\Flagged $Done)").await;
    let copied = a.good("COPY 1:2 Work").await;
    assert!(copied.end.contains("[COPYUID ") && copied.end.contains(" 1:2 1:2]"), "{}", copied.end);
    let moved = a.good("MOVE 2:3 Work").await;
    assert_eq!(moved.lines.len(), 3, "{moved:?}");
    assert!(moved.lines[0].starts_with("OK [COPYUID ") && moved.lines[0].contains(" 2:3 3:4]"));
    assert_eq!(moved.lines[1..], ["3 EXPUNGE", "2 EXPUNGE"]);
    assert_eq!(b.good("NOOP").await.with("EXPUNGE"), ["3 EXPUNGE", "2 EXPUNGE"]);
    assert_eq!(a.good("UID MOVE 77 Work").await.lines.len(), 0);
    b.good("SELECT Work").await;
    let answer = b.good("FETCH 1:* (UID FLAGS)").await;
    assert_eq!(answer.lines[1], "2 FETCH (UID 2 FLAGS (\\Flagged $Done))");
    assert_eq!(answer.lines[2], "3 FETCH (UID 3 FLAGS (\\Flagged $Done))");
    assert_eq!(answer.lines.len(), 4);
    // Into itself.
    assert!(b.good("COPY 1 Work").await.lines.contains(&"5 EXISTS".to_owned()));
    house.close().await;
}

#[tokio::test]
async fn expunge_close_and_uid_expunge() {
    let house = with_messages(6).await;
    let mut imap = Imap::at(&house, ANN, "INBOX").await;
    imap.good("STORE 1:4 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(imap.good("UID EXPUNGE 2:3,99").await.lines, ["3 EXPUNGE", "2 EXPUNGE"]);
    assert_eq!(imap.good("EXPUNGE").await.lines, ["2 EXPUNGE", "1 EXPUNGE"]);
    imap.good("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert!(imap.good("CLOSE").await.lines.is_empty());
    assert!(imap.ask("FETCH 1 (UID)").await.end.starts_with("BAD"));
    assert_eq!(imap.good("SELECT INBOX").await.one("EXISTS"), "1 EXISTS");
    imap.good("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    imap.good("UNSELECT").await;
    let again = imap.good("EXAMINE INBOX").await;
    assert_eq!(again.one("EXISTS"), "1 EXISTS", "UNSELECT removes nothing");
    assert!(imap.ask("EXPUNGE").await.end.starts_with("NO [READ-ONLY]"));
    imap.good("CLOSE").await;
    assert_eq!(imap.good("SELECT INBOX").await.one("EXISTS"), "1 EXISTS", "nor CLOSE after EXAMINE");
    house.close().await;
}

#[tokio::test]
async fn a_mailbox_that_is_deleted_under_its_session() {
    let house = House::new().await;
    let mut a = Imap::of(&house, ANN).await;
    a.good("CREATE Gone").await;
    let mut b = Imap::at(&house, ANN, "Gone").await;
    a.good("DELETE Gone").await;
    let tag = b.begin("NOOP").await;
    let line = b.line().await;
    assert!(line.starts_with("* BYE") && !line.starts_with(&tag), "{line}");
    house.close().await;
}

#[tokio::test]
async fn a_thousand_changes_while_a_session_idles() {
    let house = with_messages(1000).await;
    let mut watcher = Imap::at(&house, ANN, "INBOX").await;
    let mut worker = Imap::at(&house, ANN, "INBOX").await;
    let tag = watcher.idle().await;
    worker.good("STORE 1:* +FLAGS.SILENT (\\Deleted)").await;
    for _ in 0..1000 {
        assert!(watcher.line().await.ends_with("FETCH (FLAGS (\\Deleted))"));
    }
    worker.good("EXPUNGE").await;
    for seq in (1..=1000).rev() {
        assert_eq!(watcher.line().await, format!("* {seq} EXPUNGE"));
    }
    assert!(watcher.done(&tag).await.lines.is_empty());
    assert!(watcher.ask("FETCH 1:* (UID)").await.end.starts_with("BAD"), "`*` in an empty mailbox");
    assert!(watcher.good("UID FETCH 1:* (UID)").await.lines.is_empty());
    house.close().await;
}
