//! Mailboxes by their names: listing, making and removing, status, quota, rights, notes.

use crate::house::House;
use crate::imap::Imap;

const ANN: &str = "ann@example.test";
const BOB: &str = "bob@example.test";
const LETTER: &[u8] = b"Subject: one\r\n\r\nText.\r\n";

/// Ann with `a`, `a/b`, `a/b/c`, `d`; subscribed to `a/b/c` and to `gone/x`, which is not there.
async fn with_names() -> (House, Imap) {
    let house = House::new().await;
    let mut ann = Imap::of(&house, ANN).await;
    for name in ["a/b/c", "d"] {
        ann.good(&format!("CREATE {name}")).await;
    }
    ann.good("SUBSCRIBE a/b/c").await;
    ann.good("SUBSCRIBE gone/x").await;
    (house, ann)
}

#[tokio::test]
async fn list_with_patterns() {
    let (house, mut ann) = with_names().await;
    assert_eq!(ann.good("LIST \"\" \"\"").await.lines, ["LIST (\\Noselect) \"/\" \"\""]);
    assert_eq!(
        ann.good("LIST \"\" a*").await.lines,
        [
            "LIST (\\HasChildren) \"/\" a",
            "LIST (\\HasChildren) \"/\" a/b",
            "LIST (\\HasNoChildren) \"/\" a/b/c",
        ]
    );
    assert_eq!(ann.good("LIST a/ %").await.lines, ["LIST (\\HasChildren) \"/\" a/b"]);
    assert_eq!(ann.good("LIST \"\" inbox").await.lines, ["LIST (\\HasNoChildren) \"/\" INBOX"]);
    let all = ann.good("LIST \"\" %").await;
    for special in ["Drafts", "Sent", "Junk", "Trash", "Archive"] {
        assert_eq!(
            all.one(&format!("/\" {special}")),
            format!("LIST (\\HasNoChildren \\{special}) \"/\" {special}")
        );
    }
    assert!(ann.good("LIST \"\" nothing").await.lines.is_empty());
    // A level whose mailbox is gone.
    ann.good("DELETE a").await;
    assert_eq!(ann.good("LIST \"\" a").await.lines, ["LIST (\\Noselect \\HasChildren) \"/\" a"]);
    assert_eq!(ann.good("LIST \"\" (a)").await.lines, ["LIST (\\NonExistent \\HasChildren) \"/\" a"]);
    house.close().await;
}

#[tokio::test]
async fn list_with_selection_and_return_options() {
    let (house, mut ann) = with_names().await;
    assert_eq!(
        ann.good("LIST (SUBSCRIBED) \"\" (a* gone*)").await.lines,
        ["LIST (\\HasNoChildren \\Subscribed) \"/\" a/b/c", "LIST (\\NonExistent \\Subscribed) \"/\" gone/x",]
    );
    assert_eq!(
        ann.good("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a gone d)").await.lines,
        [
            "LIST (\\HasChildren) \"/\" a (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            "LIST (\\NonExistent) \"/\" gone (\"CHILDINFO\" (\"SUBSCRIBED\"))",
        ]
    );
    // RFC 9590 section 4: of a name that is there for what is below it alone, nothing else is told.
    let beside = ann.good("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a a/b/c) RETURN (STATUS (MESSAGES) METADATA (/private/x))").await;
    assert_eq!(beside.lines.len(), 4, "{beside:?}");
    assert_eq!(beside.one("STATUS"), "STATUS a/b/c (MESSAGES 0)");
    assert_eq!(beside.one("METADATA"), "METADATA a/b/c (/private/x NIL)");
    let special = ann.good("LIST (SPECIAL-USE) \"\" *").await;
    assert_eq!(special.lines.len(), 5, "{special:?}");
    house.fill(ANN, 2, LETTER).await;
    let beside = ann.good("LIST \"\" INBOX RETURN (STATUS (MESSAGES UNSEEN SIZE) MYRIGHTS SUBSCRIBED)").await;
    assert_eq!(
        beside.lines,
        [
            "LIST (\\HasNoChildren \\Subscribed) \"/\" INBOX".to_owned(),
            format!("STATUS INBOX (MESSAGES 2 UNSEEN 2 SIZE {})", 2 * LETTER.len()),
            "MYRIGHTS INBOX lrswipkxteacd".to_owned(),
        ]
    );
    ann.good("SETMETADATA INBOX (/private/color \"blue\")").await;
    let noted = ann.good("LIST \"\" (INBOX d) RETURN (METADATA (/private/color))").await;
    assert_eq!(
        noted.with("METADATA"),
        ["METADATA INBOX (/private/color \"blue\")", "METADATA d (/private/color NIL)"]
    );
    assert_eq!(ann.good("LSUB \"\" a/%").await.lines, ["LSUB (\\Noselect) \"/\" a/b"]);
    assert_eq!(ann.good("LSUB \"\" a*").await.lines, ["LSUB () \"/\" a/b/c"]);
    assert_eq!(
        ann.good("NAMESPACE").await.lines,
        ["NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL"]
    );
    house.close().await;
}

#[tokio::test]
async fn names_beyond_ascii_in_both_writings() {
    let house = House::new().await;
    let mut ann = Imap::of(&house, ANN).await;
    ann.good("CREATE \"Entw&APw-rfe &- mehr\"").await;
    assert_eq!(
        ann.good("LIST \"\" Entw*").await.lines,
        ["LIST (\\HasNoChildren) \"/\" \"Entw&APw-rfe &- mehr\""]
    );
    let mut new = Imap::of(&house, ANN).await;
    new.good("ENABLE IMAP4rev2").await;
    assert_eq!(new.good("LIST \"\" Entw*").await.lines, ["LIST (\\HasNoChildren) \"/\" \"Entwürfe & mehr\""]);
    new.good("DELETE \"Entwürfe & mehr\"").await;
    assert!(ann.good("LIST \"\" Entw*").await.lines.is_empty());
    house.close().await;
}

#[tokio::test]
async fn mailboxes_are_made_renamed_and_removed() {
    let (house, mut ann) = with_names().await;
    let made = ann.good("CREATE x/y/").await;
    assert!(made.end.starts_with("OK [MAILBOXID (F"), "{made:?}");
    let id = made.end.split(['(', ')']).nth(1).unwrap().to_owned();
    for (command, code) in [
        ("CREATE x/y", "ALREADYEXISTS"),
        ("CREATE inbox", "ALREADYEXISTS"),
        ("CREATE a//b", "CANNOT"),
        ("CREATE z (USE (\\All))", "USEATTR"),
        ("CREATE \"Other Users/nobody@example.test/x\"", "NOPERM"),
        ("CREATE \"Other Users/bob@example.test/x\"", "NOPERM"),
        ("CREATE \"Other Users\"", "NOPERM"),
        ("DELETE INBOX", "CANNOT"),
        ("DELETE nothing", "NONEXISTENT"),
        ("RENAME nothing z", "NONEXISTENT"),
        ("RENAME a d", "ALREADYEXISTS"),
        ("RENAME a a/b/z", "CANNOT"),
        ("RENAME a \"Other Users/bob@example.test/x\"", "CANNOT"),
        ("STATUS nothing (MESSAGES)", "NONEXISTENT"),
    ] {
        let answer = ann.ask(command).await;
        assert!(answer.end.starts_with(&format!("NO [{code}]")), "{command}: {answer:?}");
    }
    ann.good("RENAME x z").await;
    let status = ann.good("STATUS z/y (MAILBOXID MESSAGES)").await;
    assert_eq!(status.lines, [format!("STATUS z/y (MAILBOXID ({id}) MESSAGES 0)")]);
    ann.good("CREATE Snoozed (USE (\\Important))").await;
    assert_eq!(
        ann.good("LIST \"\" Snoozed").await.lines,
        ["LIST (\\HasNoChildren \\Important) \"/\" Snoozed"]
    );
    house.fill(ANN, 2, LETTER).await;
    ann.good("RENAME INBOX old").await;
    assert_eq!(ann.good("STATUS old (MESSAGES)").await.lines, ["STATUS old (MESSAGES 2)"]);
    assert_eq!(ann.good("STATUS INBOX (MESSAGES)").await.lines, ["STATUS INBOX (MESSAGES 0)"]);
    ann.good("SELECT old").await;
    let deleted = ann.good("DELETE old").await;
    assert!(deleted.lines[0].starts_with("OK [CLOSED]"), "{deleted:?}");
    assert!(ann.ask("FETCH 1 (UID)").await.end.starts_with("BAD"));
    house.close().await;
}

#[tokio::test]
async fn status_tells_all_items() {
    let house = House::new().await;
    house.fill(ANN, 3, LETTER).await;
    let mut ann = Imap::at(&house, ANN, "INBOX").await;
    ann.good("STORE 1 +FLAGS (\\Seen \\Deleted)").await;
    let status = ann
        .good("STATUS INBOX (MESSAGES RECENT UIDNEXT UNSEEN DELETED SIZE DELETED-STORAGE APPENDLIMIT)")
        .await;
    let size = LETTER.len();
    assert_eq!(
        status.with("STATUS"),
        [format!(
            "STATUS INBOX (MESSAGES 3 RECENT 0 UIDNEXT 4 UNSEEN 2 DELETED 1 SIZE {} DELETED-STORAGE {size} APPENDLIMIT 52428800)",
            3 * size
        )]
    );
    let status = ann.good("STATUS INBOX (HIGHESTMODSEQ UIDVALIDITY)").await;
    assert_eq!(status.with("STATUS INBOX (HIGHESTMODSEQ ").len(), 1, "{status:?}");
    house.close().await;
}

#[tokio::test]
async fn quota_of_the_account() {
    let house = House::new().await;
    house.add("carl@example.test", false, Some(10 * 1024)).await;
    house.fill("carl@example.test", 100, LETTER).await;
    let mut carl = Imap::of(&house, "carl@example.test").await;
    let used = (100 * LETTER.len()).div_ceil(1024);
    let quota = format!("QUOTA \"\" (STORAGE {used} 10)");
    assert_eq!(carl.good("GETQUOTAROOT inbox").await.lines, ["QUOTAROOT INBOX \"\"", &*quota]);
    assert_eq!(carl.good("GETQUOTA \"\"").await.lines, [quota]);
    assert!(carl.ask("GETQUOTA other").await.end.starts_with("NO [NONEXISTENT]"));
    assert!(carl.ask("SETQUOTA \"\" (STORAGE 512)").await.end.starts_with("NO [NOPERM]"));
    let mut ann = Imap::of(&house, ANN).await;
    assert_eq!(ann.good("GETQUOTA \"\"").await.lines, ["QUOTA \"\" ()"], "no limit, none listed");
    house.close().await;
}

#[tokio::test]
async fn a_shared_mailbox_is_seen_by_its_rights() {
    let house = House::new().await;
    house.fill(ANN, 2, LETTER).await;
    let (mut ann, mut bob) = (Imap::of(&house, ANN).await, Imap::of(&house, BOB).await);
    ann.good("CREATE team/plans").await;
    let shared = "\"Other Users/ann@example.test/team\"";
    assert!(bob.ask(&format!("SELECT {shared}")).await.end.starts_with("NO [NONEXISTENT]"));
    assert!(bob.good("LIST \"\" \"Other*\"").await.lines.is_empty());
    ann.good("SETACL team bob@example.test lr").await;
    assert_eq!(
        ann.good("GETACL team").await.lines,
        ["ACL team ann@example.test lrswipkxteacd bob@example.test lr"]
    );
    assert_eq!(
        bob.good("LIST \"\" \"Other*\"").await.lines,
        [
            "LIST (\\Noselect \\HasChildren) \"/\" \"Other Users\"".to_owned(),
            "LIST (\\Noselect \\HasChildren) \"/\" \"Other Users/ann@example.test\"".to_owned(),
            format!("LIST (\\HasNoChildren) \"/\" {shared}"),
        ]
    );
    assert!(bob.good(&format!("SELECT {shared}")).await.end.starts_with("OK [READ-ONLY]"));
    assert_eq!(bob.good(&format!("MYRIGHTS {shared}")).await.lines, [format!("MYRIGHTS {shared} lr")]);
    assert!(bob.ask(&format!("GETACL {shared}")).await.end.starts_with("NO [NOPERM]"));
    assert!(bob.ask(&format!("DELETE {shared}")).await.end.starts_with("NO [NOPERM]"));
    assert!(
        bob.ask(&format!("CREATE {}/sub\"", &shared[..shared.len() - 1]))
            .await
            .end
            .starts_with("NO [NOPERM]")
    );
    assert!(
        bob.ask("MYRIGHTS \"Other Users/ann@example.test/team/plans\"")
            .await
            .end
            .starts_with("NO [NONEXISTENT]")
    );
    ann.good("SETACL team bob@example.test +kx").await;
    let made = bob.good(&format!("CREATE {}/sub\"", &shared[..shared.len() - 1])).await;
    assert!(made.end.starts_with("OK [MAILBOXID"));
    assert_eq!(
        ann.good("GETACL team/sub").await.one("ACL"),
        "ACL team/sub ann@example.test lrswipkxteacd bob@example.test lrkxc"
    );
    bob.good("DELETE \"Other Users/ann@example.test/team/sub\"").await;
    // Quota roots of others stay theirs.
    assert_eq!(bob.good(&format!("GETQUOTAROOT {shared}")).await.lines, [format!("QUOTAROOT {shared}")]);
    ann.good("DELETEACL team bob@example.test").await;
    assert!(bob.ask(&format!("STATUS {shared} (MESSAGES)")).await.end.starts_with("NO [NONEXISTENT]"));
    house.close().await;
}

#[tokio::test]
async fn rights_are_given_within_the_domain() {
    let house = House::new().await;
    let mut ann = Imap::of(&house, ANN).await;
    for (command, answer) in [
        ("SETACL INBOX jürgen@other.test lr", "NO [CANNOT]"),
        ("SETACL INBOX bob lr", "NO [CANNOT]"),
        ("SETACL INBOX ann@example.test lr", "NO [CANNOT]"),
        ("SETACL INBOX bob@example.test lrz", "BAD"),
        ("SETACL INBOX nobody@example.test lr", "OK"),
        ("SETACL INBOX anyone lrs", "OK"),
        ("SETACL INBOX anyone -s", "OK"),
        ("SETACL INBOX -bob@example.test r", "OK"),
    ] {
        let got = if command.is_ascii() { ann.ask(command).await.end } else { continue };
        assert!(got.starts_with(answer), "{command}: {got}");
    }
    let listed = ann.good("GETACL INBOX").await;
    assert!(
        listed.lines[0].contains(" anyone lr") && listed.lines[0].contains(" -bob@example.test r"),
        "{listed:?}"
    );
    let mut bob = Imap::of(&house, BOB).await;
    assert_eq!(
        bob.good("MYRIGHTS \"Other Users/ann@example.test/inbox\"").await.lines,
        ["MYRIGHTS \"Other Users/ann@example.test/inbox\" l"]
    );
    let possible = ann.good("LISTRIGHTS INBOX bob@example.test").await;
    assert_eq!(possible.lines, ["LISTRIGHTS INBOX bob@example.test \"\" l r s w i p k x t e a c d"]);
    house.close().await;
}

#[tokio::test]
async fn notes_on_mailboxes() {
    let house = House::new().await;
    let mut ann = Imap::of(&house, ANN).await;
    ann.good("SETMETADATA INBOX (/private/Comment \"mine\" /shared/comment \"ours\")").await;
    assert_eq!(
        ann.good("GETMETADATA INBOX (/private/comment /shared/COMMENT /shared/none)").await.lines,
        ["METADATA INBOX (/private/comment \"mine\" /shared/comment \"ours\" /shared/none NIL)"]
    );
    ann.good("SETMETADATA INBOX (/private/comment NIL)").await;
    assert_eq!(
        ann.good("GETMETADATA INBOX /private/comment").await.lines,
        ["METADATA INBOX (/private/comment NIL)"]
    );
    let long = ann.good("GETMETADATA (MAXSIZE 2) INBOX /shared/comment").await;
    assert!(long.end.starts_with("OK [METADATA LONGENTRIES 4]") && long.lines.is_empty(), "{long:?}");
    ann.good("SETMETADATA INBOX (/shared/comment/deep \"x\")").await;
    let deep = ann.good("GETMETADATA (DEPTH 1) INBOX /shared/comment").await;
    assert_eq!(deep.lines, ["METADATA INBOX (/shared/comment \"ours\" /shared/comment/deep \"x\")"]);
    assert!(ann.ask("SETMETADATA INBOX (/comment \"x\")").await.end.starts_with("BAD"));
    assert!(ann.ask("SETMETADATA \"\" (/shared/comment \"x\")").await.end.starts_with("NO [NOPERM]"));
    ann.good("SETMETADATA \"\" (/private/vendor/x \"y\")").await;
    assert_eq!(
        ann.good("GETMETADATA \"\" (/private/vendor/x /shared/admin)").await.lines,
        ["METADATA \"\" (/private/vendor/x \"y\" /shared/admin NIL)"]
    );
    assert_eq!(
        ann.good("GETMETADATA Sent /private/specialuse").await.lines,
        ["METADATA Sent (/private/specialuse \"\\\\Sent\")"]
    );
    let many = |from: usize| {
        let values: Vec<String> = (from..from + 60).map(|n| format!("/private/n{n} \"v\"")).collect();
        format!("SETMETADATA INBOX ({})", values.join(" "))
    };
    ann.good(&many(0)).await;
    let full = ann.ask(&many(60)).await;
    assert!(full.end.starts_with("NO [METADATA TOOMANY]"), "{full:?}");
    // Private ones are each user's own.
    ann.good("SETMETADATA INBOX (/private/comment \"mine\")").await;
    ann.good("SETACL INBOX bob@example.test lr").await;
    let mut bob = Imap::of(&house, BOB).await;
    let seen = bob
        .good("GETMETADATA \"Other Users/ann@example.test/INBOX\" (/private/comment /shared/comment)")
        .await;
    assert!(seen.lines[0].ends_with("(/private/comment NIL /shared/comment \"ours\")"), "{seen:?}");
    assert!(
        bob.ask("SETMETADATA \"Other Users/ann@example.test/INBOX\" (/shared/comment \"b\")")
            .await
            .end
            .starts_with("NO [NOPERM]")
    );
    house.close().await;
}

#[tokio::test]
async fn ten_thousand_mailboxes_are_listed() {
    let house = House::new().await;
    let mut ann = Imap::of(&house, ANN).await;
    let account = house.store().account(house.id(ANN));
    let made = (0..2000).map(|n| {
        let account = account.clone();
        async move {
            account.create_mailbox(&format!("many/{n}"), store::account::Uses::default(), 0).await.unwrap()
        }
    });
    futures_util::future::join_all(made).await;
    let listed = ann.good("LIST \"\" many/% RETURN (STATUS (MESSAGES UIDNEXT))").await;
    assert_eq!(listed.with("LIST (").len(), 2000);
    assert_eq!(listed.with("STATUS many/").len(), 2000);
    let pattern = "%*".repeat(400);
    assert!(ann.good(&format!("LIST \"\" \"{pattern}\"")).await.lines.len() > 2000);
    let long = "x".repeat(3000);
    assert!(ann.ask(&format!("LIST \"\" {long}")).await.end.starts_with("NO [LIMIT]"));
    house.close().await;
}

#[tokio::test]
async fn notify_tells_of_the_open_mailbox_and_of_others() {
    let house = House::new().await;
    house.fill(ANN, 2, LETTER).await;
    let mut watcher = Imap::at(&house, ANN, "INBOX").await;
    let mut worker = Imap::of(&house, ANN).await;
    worker.good("CREATE lists").await;
    for (wrong, answer) in [
        ("NOTIFY SET (selected (MessageNew))", "BAD"),
        ("NOTIFY SET (selected (MailboxName))", "BAD"),
        ("NOTIFY SET (personal (MessageNew (UID) MessageExpunge))", "BAD"),
        ("NOTIFY SET (personal (AnnotationChange MessageNew MessageExpunge))", "NO [BADEVENT ("),
    ] {
        let got = watcher.ask(wrong).await;
        assert!(got.end.starts_with(answer), "{wrong}: {got:?}");
    }
    let set = "NOTIFY SET STATUS (selected-delayed (MessageNew (UID RFC822.SIZE) MessageExpunge FlagChange)) \
               (personal (MessageNew MessageExpunge MailboxName SubscriptionChange MailboxMetadataChange))";
    let first = watcher.good(set).await;
    assert_eq!(first.with("STATUS INBOX").len(), 0);
    assert!(
        first.one("STATUS lists").starts_with("STATUS lists (MESSAGES 0 UIDNEXT 1 UIDVALIDITY"),
        "{first:?}"
    );
    worker.append("INBOX", &[("", LETTER)]).await;
    assert_eq!(watcher.line().await, "* 3 EXISTS");
    let size = LETTER.len();
    assert_eq!(watcher.line().await, format!("* 3 FETCH (UID 3 RFC822.SIZE {size})"));
    worker.append("lists", &[("", LETTER)]).await;
    assert!(watcher.line().await.starts_with("* STATUS lists (MESSAGES 1 UIDNEXT 2 "));
    worker.good("CREATE new").await;
    assert_eq!(watcher.line().await, "* LIST () \"/\" new");
    worker.good("SUBSCRIBE new").await;
    assert_eq!(watcher.line().await, "* LIST (\\Subscribed) \"/\" new");
    worker.good("RENAME lists mail").await;
    assert_eq!(watcher.line().await, "* LIST () \"/\" mail (\"OLDNAME\" (lists))");
    worker.good("SETMETADATA mail (/shared/comment \"x\")").await;
    assert_eq!(watcher.line().await, "* METADATA mail /shared/comment");
    worker.good("DELETE mail").await;
    assert_eq!(watcher.line().await, "* LIST (\\NonExistent) \"/\" mail");
    worker.good("SELECT INBOX").await;
    worker.good("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert!(watcher.line().await.starts_with("* 1 FETCH (UID 1 FLAGS (\\Deleted)"));
    worker.good("EXPUNGE").await;
    assert!(watcher.is_quiet().await, "EXPUNGE waits for a command");
    assert_eq!(watcher.good("NOOP").await.with("EXPUNGE"), ["1 EXPUNGE"]);
    // RFC 5465 3.1: one that is refused leaves the one before; 5.2: what NOOP announces is shown as well.
    assert!(
        watcher
            .ask("NOTIFY SET (personal (AnnotationChange MessageNew MessageExpunge))")
            .await
            .end
            .starts_with("NO")
    );
    let noop = watcher.begin("NOOP").await;
    house.fill("ann@example.test", 1, b"Subject: late\r\n\r\nx\r\n").await;
    let mut seen = Vec::new();
    while !seen.iter().any(|line: &String| line.contains("RFC822.SIZE 20")) {
        seen.push(watcher.line().await);
    }
    assert!(seen.iter().any(|line| line.starts_with(&noop)), "{seen:?}");
    watcher.good("NOTIFY NONE").await;
    worker.append("INBOX", &[("", LETTER)]).await;
    assert!(watcher.is_quiet().await);
    house.close().await;
}
