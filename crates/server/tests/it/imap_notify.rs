//! What NOTIFY leaves out, and where it ends (RFC 5465).

use crate::house::House;
use crate::imap::Imap;

const ANN: &str = "ann@example.test";
const LETTER: &[u8] = b"Subject: one\r\n\r\nText.\r\n";

#[tokio::test]
async fn noop_and_idle_tell_of_the_open_mailbox_only_if_that_was_asked() {
    let house = House::new().await;
    house.fill(ANN, 1, LETTER).await;
    let mut watcher = Imap::at(&house, ANN, "INBOX").await;
    let mut worker = Imap::at(&house, ANN, "INBOX").await;
    worker.good("CREATE lists").await;
    let silent = [
        "NOTIFY SET (personal (MessageNew MessageExpunge))",
        "NOTIFY SET (selected NONE) (subtree lists (MessageNew MessageExpunge))",
        "NOTIFY NONE",
    ];
    for (n, command) in silent.into_iter().enumerate() {
        watcher.good(command).await;
        worker.append("INBOX", &[("", LETTER)]).await;
        assert!(watcher.good("NOOP").await.lines.is_empty(), "{command}");
        let idle = watcher.idle().await;
        worker.append("INBOX", &[("", LETTER)]).await;
        assert!(watcher.is_quiet().await, "{command}");
        assert!(watcher.done(&idle).await.lines.is_empty(), "{command}");
        // NOTIFY SET brings what has accumulated (section 3.1).
        let answer = watcher.good("NOTIFY SET (selected (MessageNew (UID) MessageExpunge FlagChange))").await;
        assert_eq!(answer.with("EXISTS"), [format!("{} EXISTS", 3 + 2 * n)], "{command}");
    }
    // Section 5.1: of flags with the UID, although neither CONDSTORE nor IMAP4rev2 is on.
    let idle = watcher.idle().await;
    worker.good("STORE 2 +FLAGS.SILENT (\\Flagged)").await;
    assert_eq!(watcher.line().await, "* 2 FETCH (UID 2 FLAGS (\\Flagged))");
    worker.append("INBOX", &[("", LETTER)]).await;
    assert_eq!(watcher.line().await, "* 8 EXISTS");
    assert_eq!(watcher.line().await, "* 8 FETCH (UID 8)");
    assert!(watcher.done(&idle).await.ok());
    house.close().await;
}

#[tokio::test]
async fn too_much_to_watch_is_refused_and_what_grows_too_large_ends() {
    let house = House::new().await;
    let mut worker = Imap::of(&house, ANN).await;
    let account = house.store().account(house.id(ANN));
    // INBOX and five special ones are there.
    for n in 0..1994 {
        account.create_mailbox(&format!("many/n{n}"), store::account::Uses(0), 1).await.unwrap();
    }
    let mut watcher = Imap::of(&house, ANN).await;
    let set = "NOTIFY SET (personal (MessageNew MessageExpunge MailboxName))";
    let refused = watcher.ask(set).await;
    assert!(
        refused.end.starts_with("NO [NOTIFICATIONOVERFLOW]"),
        "`many` itself is one too many: {refused:?}"
    );
    worker.good("DELETE many/n1993").await;
    watcher.good(set).await;
    worker.good("CREATE straw").await;
    assert!(watcher.line().await.starts_with("* OK [NOTIFICATIONOVERFLOW]"));
    // As after NOTIFY NONE (section 5.8).
    worker.good("DELETE straw").await;
    worker.append("INBOX", &[("", LETTER)]).await;
    assert!(watcher.is_quiet().await);
    assert!(watcher.good("NOOP").await.lines.is_empty());
    // A smaller wish is granted.
    watcher.good("NOTIFY SET (mailboxes INBOX (MessageNew MessageExpunge))").await;
    worker.append("INBOX", &[("", LETTER)]).await;
    assert!(watcher.line().await.starts_with("* STATUS INBOX (MESSAGES 2 "));
    house.close().await;
}
