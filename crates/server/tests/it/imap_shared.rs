//! Mailboxes of somebody else: what COPY, MOVE and APPEND do there, by rights, and who hears of it.

use crate::house::House;
use crate::imap::Imap;

const ANN: &str = "ann@example.test";
const BOB: &str = "bob@example.test";
const LETTER: &[u8] = b"Subject: one\r\n\r\nText.\r\n";
const TEAM: &str = "\"Other Users/ann@example.test/team\"";

/// Ann with a mailbox `team`, Bob with three messages and these rights there.
async fn with_team(rights: &str) -> (House, Imap, Imap) {
    let house = House::new().await;
    house.fill(BOB, 3, LETTER).await;
    let mut ann = Imap::of(&house, ANN).await;
    ann.good("CREATE team").await;
    ann.good(&format!("SETACL team bob@example.test {rights}")).await;
    ann.good("SELECT team").await;
    let bob = Imap::at(&house, BOB, "INBOX").await;
    (house, ann, bob)
}

fn flags(line: &str) -> Vec<&str> {
    let (_, rest) = line.split_once("FLAGS (").unwrap_or_else(|| panic!("{line}"));
    let (flags, _) = rest.split_once(')').unwrap_or_else(|| panic!("{line}"));
    flags.split_whitespace().collect()
}

#[tokio::test]
async fn copies_go_into_a_shared_mailbox_with_the_flags_that_rights_allow() {
    let (house, mut ann, mut bob) = with_team("lrsi").await;
    bob.good("STORE 1:2 +FLAGS.SILENT (\\Seen \\Flagged \\Deleted $Work)").await;
    let watch = ann.idle().await;
    let copied = bob.good(&format!("COPY 1:2 {TEAM}")).await;
    assert!(copied.end.starts_with("OK [COPYUID ") && copied.end.contains(" 1:2 1:2]"), "{copied:?}");
    assert_eq!(ann.line().await, "* 2 EXISTS");
    assert!(ann.done(&watch).await.ok());
    // `s` is `\Seen`, `w` would be the others and keywords, `t` would be `\Deleted` (RFC 4314 section 4).
    // Whoever copies has seen what they copy; for the owner it is new.
    for line in ann.good("FETCH 1:* (FLAGS)").await.lines {
        assert!(flags(&line).is_empty(), "{line}");
    }
    assert!(bob.good(&format!("STATUS {TEAM} (UNSEEN)")).await.one("STATUS").ends_with("(UNSEEN 0)"));
    assert_eq!(bob.good("STATUS INBOX (MESSAGES)").await.lines, ["STATUS INBOX (MESSAGES 3)"]);
    ann.good("SETACL team bob@example.test +wt").await;
    bob.good(&format!("COPY 1 {TEAM}")).await;
    let answer = ann.good("NOOP").await;
    assert_eq!(answer.with("EXISTS"), ["3 EXISTS"]);
    let answer = ann.good("FETCH 3 (FLAGS)").await;
    assert_eq!(flags(answer.one("FETCH")), ["\\Flagged", "\\Deleted", "$Work"]);
    house.close().await;
}

#[tokio::test]
async fn rights_are_asked_before_anything_is_copied_or_moved() {
    let (house, mut ann, mut bob) = with_team("lr").await;
    for command in ["COPY 1", "MOVE 1", "UID MOVE 1:*"] {
        let answer = bob.ask(&format!("{command} {TEAM}")).await;
        assert!(answer.end.starts_with("NO [NOPERM]") && answer.lines.is_empty(), "{command}: {answer:?}");
    }
    assert!(bob.append(TEAM, &[("", LETTER)]).await.end.starts_with("NO [NOPERM]"));
    let hidden = "\"Other Users/ann@example.test/Drafts\"";
    assert!(bob.ask(&format!("COPY 1 {hidden}")).await.end.starts_with("NO [TRYCREATE]"));
    // Out of a mailbox where only reading is allowed.
    ann.append("team", &[("", LETTER)]).await;
    ann.good("SETACL team bob@example.test lrs").await;
    bob.good(&format!("SELECT {TEAM}")).await;
    assert!(bob.ask("MOVE 1 INBOX").await.end.starts_with("NO [NOPERM]"));
    assert!(bob.good("COPY 1 INBOX").await.end.starts_with("OK [COPYUID"));
    assert_eq!(
        bob.good(&format!("STATUS {TEAM} (MESSAGES)")).await.lines,
        [format!("STATUS {TEAM} (MESSAGES 1)")]
    );
    assert_eq!(bob.good("STATUS INBOX (MESSAGES)").await.lines, ["STATUS INBOX (MESSAGES 4)"]);
    house.close().await;
}

#[tokio::test]
async fn messages_move_between_accounts_and_both_hear_of_it() {
    let (house, mut ann, mut bob) = with_team("lrswite").await;
    bob.good("STORE 2 +FLAGS.SILENT ($Todo)").await;
    let moved = bob.good(&format!("MOVE 2:3 {TEAM}")).await;
    assert!(moved.one("COPYUID").contains(" 2:3 1:2]"), "{moved:?}");
    assert_eq!(moved.with("EXPUNGE"), ["3 EXPUNGE", "2 EXPUNGE"]);
    assert_eq!(ann.good("NOOP").await.with("EXISTS"), ["2 EXISTS"]);
    let answer = ann.good("FETCH 1:2 (FLAGS BODY.PEEK[])").await;
    assert_eq!(answer.with("Subject: one\r\n\r\nText.").len(), 2);
    assert_eq!(flags(answer.one("1 FETCH")), ["$Todo"]);
    // And back, from her side as he sees it.
    bob.good(&format!("SELECT {TEAM}")).await;
    let back = bob.good("UID MOVE 1 INBOX").await;
    assert_eq!(back.with("EXPUNGE"), ["1 EXPUNGE"]);
    assert_eq!(ann.good("NOOP").await.with("EXPUNGE"), ["1 EXPUNGE"]);
    assert_eq!(bob.good("STATUS INBOX (MESSAGES)").await.lines, ["STATUS INBOX (MESSAGES 2)"]);
    let usage = |who: &str| house.store().account(house.id(who)).usage().unwrap().messages;
    assert_eq!((usage(ANN), usage(BOB)), (1, 2));
    house.close().await;
}

#[tokio::test]
async fn within_one_owners_mailboxes_rights_hold_for_flags_too() {
    let (house, mut ann, mut bob) = with_team("lrswite").await;
    ann.good("CREATE other").await;
    ann.good("SETACL other bob@example.test lri").await;
    ann.append("team", &[("(\\Seen \\Flagged $Work)", LETTER), ("(\\Answered)", LETTER)]).await;
    bob.good(&format!("SELECT {TEAM}")).await;
    let other = "\"Other Users/ann@example.test/other\"";
    let copied = bob.good(&format!("COPY 1 {other}")).await;
    assert!(copied.end.contains(" 1 1]"), "{copied:?}");
    let moved = bob.good(&format!("MOVE 2 {other}")).await;
    assert!(moved.one("COPYUID").contains(" 2 2]"), "{moved:?}");
    assert_eq!(moved.with("EXPUNGE"), ["2 EXPUNGE"]);
    ann.good("SELECT other").await;
    for line in ann.good("FETCH 1:* (FLAGS)").await.lines {
        assert!(flags(&line).is_empty(), "{line}");
    }
    house.close().await;
}

#[tokio::test]
async fn append_into_a_shared_mailbox() {
    let (house, mut ann, mut bob) = with_team("lrswi").await;
    let flagged = "(\\Seen \\Deleted $Work)";
    let answer = bob.append(TEAM, &[(flagged, LETTER), ("", LETTER)]).await;
    assert!(answer.end.starts_with("OK [APPENDUID ") && answer.end.contains(" 1:2]"), "{answer:?}");
    assert_eq!(ann.good("NOOP").await.with("EXISTS"), ["2 EXISTS"]);
    let answer = ann.good("FETCH 1:2 (FLAGS)").await;
    assert_eq!(flags(answer.one("1 FETCH")), ["$Work"], "\\Deleted needs `t`, \\Seen is Bob's");
    assert!(bob.good(&format!("STATUS {TEAM} (UNSEEN)")).await.one("STATUS").ends_with("(UNSEEN 1)"));
    // The owner's quota counts, not that of who appends.
    let usage = |who: &str| house.store().account(house.id(who)).usage().unwrap();
    assert_eq!((usage(ANN).messages, usage(BOB).messages), (2, 3));
    let mut record = house.store().directory().account(house.id(ANN)).unwrap().unwrap();
    record.quota_messages = Some(2);
    house.store().directory().change_account(record).await.unwrap();
    assert!(bob.append(TEAM, &[("", LETTER)]).await.end.starts_with("NO [OVERQUOTA]"));
    assert!(bob.ask(&format!("COPY 1 {TEAM}")).await.end.starts_with("NO [OVERQUOTA]"));
    // Taking a right away takes effect on the next command.
    ann.good("SETACL team bob@example.test lr").await;
    assert!(bob.append(TEAM, &[("", LETTER)]).await.end.starts_with("NO [NOPERM]"));
    house.close().await;
}

/// Everybody has seen what they have seen; all other flags are shared (RFC 4314 section 2.1, `s`).
#[tokio::test]
async fn each_has_seen_what_they_have_seen() {
    let (house, mut ann, mut bob) = with_team("lrsw").await;
    ann.append("team", &[("(\\Seen)", LETTER), ("", LETTER), ("(\\Seen)", LETTER)]).await;
    ann.good("NOOP").await;
    bob.good(&format!("SELECT {TEAM}")).await;
    assert_eq!(bob.good("SEARCH UNSEEN").await.lines, ["SEARCH 1 2 3"]);
    let mut again = Imap::of(&house, BOB).await;
    again.good("ENABLE CONDSTORE").await;
    again.good(&format!("SELECT {TEAM}")).await;
    // Reading marks for the reader alone; his other session hears of it, the owner does not.
    let read = bob.good("FETCH 1 (BODY[TEXT])").await;
    assert_eq!(flags(read.one("1 FETCH")), ["\\Seen"]);
    assert_eq!(flags(again.good("NOOP").await.one("1 FETCH")), ["\\Seen"]);
    assert!(ann.good("NOOP").await.lines.is_empty());
    bob.good("STORE 2 +FLAGS.SILENT (\\Seen $Work)").await;
    let told = ann.good("NOOP").await;
    assert_eq!(flags(told.one("2 FETCH")), ["$Work"]);
    assert_eq!(ann.good("STATUS team (UNSEEN)").await.lines, ["STATUS team (UNSEEN 1)"]);
    assert!(bob.good(&format!("STATUS {TEAM} (UNSEEN)")).await.one("STATUS").ends_with("(UNSEEN 1)"));
    let listed = again.good("LIST \"\" \"Other Users/*\" RETURN (STATUS (UNSEEN))").await;
    assert!(listed.one("STATUS").ends_with("(UNSEEN 1)"), "{listed:?}");
    // The owner unsees: nothing of it is shown to a guest who does not ask for MODSEQs.
    ann.good("STORE 1:3 -FLAGS.SILENT (\\Seen)").await;
    assert!(bob.good("NOOP").await.with("FETCH").is_empty());
    assert_eq!(bob.good("SEARCH SEEN").await.lines, ["SEARCH 1 2"]);
    assert_eq!(ann.good("SEARCH SEEN").await.lines, ["SEARCH"]);
    // To replace flags is to replace one's own `\\Seen` too.
    bob.good("STORE 2 FLAGS.SILENT ($Work)").await;
    assert_eq!(bob.good("SEARCH SEEN").await.lines, ["SEARCH 1"]);
    // Away and back: what the guest did is behind the MODSEQ that the guest knew.
    let since = again.good(&format!("SELECT {TEAM}")).await.number("HIGHESTMODSEQ");
    bob.good("STORE 3 +FLAGS (\\Seen)").await;
    let changed = again.good(&format!("FETCH 1:* (FLAGS) (CHANGEDSINCE {since})")).await;
    assert!(changed.with("3 FETCH").iter().all(|line| flags(line) == ["\\Seen"]), "{changed:?}");
    assert!(changed.with("1 FETCH").is_empty() && !changed.with("3 FETCH").is_empty(), "{changed:?}");
    let changed = ann.good(&format!("FETCH 1:* (FLAGS) (CHANGEDSINCE {since})")).await;
    assert!(changed.with("FETCH").is_empty(), "{changed:?}");
    house.close().await;
}
