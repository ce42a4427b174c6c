//! What a session says in another language than English (RFC 5255 section 3).

use crate::house::{House, password_of};
use crate::imap::{Answer, Imap};

const ANN: &str = "ann@example.test";

/// Whole sessions: what is done, what is not done for the person's sake, what the mail program is to blame for.
const COMMANDS: &[&str] = &[
    "NOOP",
    "CAPABILITY",
    "ID NIL",
    "NAMESPACE",
    "ENABLE CONDSTORE",
    "COMPARATOR",
    "COMPARATOR x",
    "LANGUAGE",
    "LANGUAGE tlh",
    "LIST \"\" *",
    "LSUB \"\" *",
    "CREATE a",
    "CREATE a",
    "CREATE a//b",
    "CREATE b (USE (\\All))",
    "DELETE INBOX",
    "RENAME a a/b",
    "RENAME a b",
    "DELETE nothing",
    "SUBSCRIBE b",
    "UNSUBSCRIBE b",
    "STATUS INBOX (MESSAGES)",
    "STATUS nothing (MESSAGES)",
    "GETACL INBOX",
    "SETACL INBOX ann r",
    "SETACL INBOX nobody@elsewhere.test r",
    "DELETEACL INBOX anyone",
    "LISTRIGHTS INBOX anyone",
    "MYRIGHTS INBOX",
    "GETMETADATA INBOX /private/comment",
    "SETMETADATA INBOX (/private/comment \"x\")",
    "SETMETADATA \"\" (/shared/comment \"x\")",
    "GETQUOTA \"\"",
    "GETQUOTA x",
    "GETQUOTAROOT INBOX",
    "SETQUOTA \"\" (STORAGE 1)",
    "NOTIFY SET (personal (MailboxName))",
    "NOTIFY SET (personal (MessageNew))",
    "NOTIFY NONE",
    "FETCH 1 FLAGS",
    "SELECT nothing",
    "EXAMINE INBOX",
    "STORE 1 +FLAGS (\\Seen)",
    "SELECT INBOX",
    "FETCH 1 FLAGS",
    "FETCH 9 FLAGS",
    "FETCH 1 (",
    "UID FETCH 1 FLAGS (VANISHED)",
    "STORE 1 +FLAGS (\\Flagged)",
    "STORE 1 (UNCHANGEDSINCE 1) -FLAGS (\\Flagged)",
    "SEARCH ALL",
    "SEARCH CHARSET x SUBJECT y",
    "SORT (DATE) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
    "ESEARCH IN (personal) ALL",
    "CANCELUPDATE \"x\"",
    "COPY 1 b",
    "COPY 1 nothing",
    "MOVE 1 b",
    "EXPUNGE",
    "APPEND nothing {3+}\r\nx\r\n",
    "APPEND b {3+}\r\nx\r\n",
    "CHECK",
    "UNSELECT",
    "UNKNOWN",
    "COMPRESS DEFLATE x",
];

/// The text of a tagged line: behind the condition and the response code.
fn text(end: &str) -> &str {
    let (_, rest) = end.split_once(' ').unwrap_or_default();
    match rest.strip_prefix('[') {
        Some(code) => code.split_once("] ").unwrap_or_default().1,
        None => rest,
    }
}

fn is_greek(text: &str) -> bool {
    text.chars().any(|letter| ('\u{370}'..='\u{3ff}').contains(&letter))
}

async fn greek(house: &House) -> Imap {
    let mut imap = Imap::open(house).await;
    let answer = imap.good("LANGUAGE el-GR").await;
    assert_eq!(answer.lines, ["LANGUAGE (el)"]);
    assert_eq!(answer.end, "OK η γλώσσα άλλαξε σε ελληνικά");
    imap
}

#[tokio::test]
async fn every_answer_is_in_the_language() {
    let house = House::new().await;
    house.fill(ANN, 2, b"Subject: one\r\n\r\nText.\r\n").await;
    let mut imap = greek(&house).await;
    let wrong = imap.ask(&format!("LOGIN {ANN} wrong")).await;
    assert!(wrong.end.starts_with("NO [AUTHENTICATIONFAILED] λάθος όνομα"), "{wrong:?}");
    let right = imap.good(&format!("LOGIN {ANN} {}", password_of(ANN))).await;
    assert!(right.end.ends_with("] Συνδεθήκατε ως ann@example.test"), "{right:?}");
    for command in COMMANDS {
        let Answer { lines, end } = imap.ask(command).await;
        assert!(is_greek(text(&end)), "{command}: {end}");
        for line in
            lines.iter().filter(|line| ["OK ", "NO ", "BAD "].iter().any(|word| line.starts_with(word)))
        {
            assert!(is_greek(text(line)), "{command}: {line}");
        }
    }
    // What is told unasked, and of the state that RFC 8437 begins anew.
    assert!(is_greek(&imap.ask("UNAUTHENTICATE x").await.end));
    assert!(imap.good("UNAUTHENTICATE").await.end.ends_with("begin again"));
    house.close().await;
}

#[tokio::test]
async fn names_and_numbers_stand_in_their_places() {
    let house = House::new().await;
    let mut imap = Imap::of(&house, ANN).await;
    let answer = imap.good("LANGUAGE de").await;
    // RFC 5255 3.4: in modified UTF-7, whatever is enabled.
    let names =
        "NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\" \"TRANSLATION\" (\"Andere Benutzer/\"))) NIL";
    assert_eq!(answer.lines, ["LANGUAGE (de)", names]);
    assert_eq!(answer.end, "OK ab jetzt Deutsch");
    let refused = imap.ask(&format!("CREATE {}", "x".repeat(1025))).await;
    assert_eq!(refused.end, "NO [LIMIT] der Name eines Postfachs ist zu lang");
    let refused = imap.ask(&format!("CREATE {}x", "x/".repeat(20))).await;
    assert_eq!(refused.end, "NO [CANNOT] Das kann kein Name sein: er hat zu viele Ebenen; 20 sind erlaubt");
    imap.good("SELECT INBOX").await;
    let beyond = imap.ask("FETCH 7 FLAGS").await;
    assert_eq!(beyond.end, "BAD Keine Nachricht hat diese Nummer: die letzte ist 0");
    let answer = imap.good("LANGUAGE el").await;
    let greek = "\"TRANSLATION\" (\"&A4YDuwO7A78DuQ- &A8cDwQOuA8MDxAO1A8I-/\")";
    assert!(answer.one("NAMESPACE").contains(greek), "{answer:?}");
    assert_eq!(
        imap.good("LANGUAGE en").await.one("NAMESPACE"),
        "NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL"
    );
    house.close().await;
}
