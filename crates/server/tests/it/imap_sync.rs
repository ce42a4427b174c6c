//! CONDSTORE, QRESYNC and UIDONLY: clients that were away for any stretch of history, and changes that meet.

use crate::house::House;
use crate::imap::{Answer, Imap};
use std::collections::BTreeMap;

const ANN: &str = "ann@example.test";
const LETTER: &[u8] = b"Subject: x\r\n\r\nText.\r\n";

async fn with_messages(count: usize) -> House {
    let house = House::new().await;
    house.fill(ANN, count, LETTER).await;
    house
}

#[tokio::test]
async fn changes_meet_and_the_later_one_hears_of_it() {
    let house = with_messages(3).await;
    let mut a = Imap::at(&house, ANN, "INBOX").await;
    let mut b = Imap::of(&house, ANN).await;
    let modseq = b.good("SELECT INBOX (CONDSTORE)").await.number("HIGHESTMODSEQ");
    a.good("STORE 2 +FLAGS.SILENT (\\Flagged)").await;
    let answer = b.good(&format!("STORE 1:3 (UNCHANGEDSINCE {modseq}) +FLAGS.SILENT (\\Seen)")).await;
    assert!(answer.end.starts_with("OK [MODIFIED 2]"), "{answer:?}");
    assert_eq!(answer.one("2 FETCH (").matches("\\Flagged").count(), 1, "told what it is now: {answer:?}");
    for seq in [1, 3] {
        let line = answer.one(&format!("{seq} FETCH ("));
        assert!(line.contains("MODSEQ (") && !line.contains("FLAGS"), "{line}");
    }
    // The first that asks for MODSEQ is told the highest (RFC 7162 3.1).
    let answer = a.good("FETCH 1 (MODSEQ)").await;
    assert!(answer.number("HIGHESTMODSEQ") >= modseq);
    let answer = a.good(&format!("FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq})")).await;
    assert_eq!(answer.with("FLAGS").len(), 3);
    assert!(answer.with("FLAGS").iter().all(|line| line.contains("MODSEQ")));
    house.close().await;
}

/// A client that keeps what it is told.
#[derive(Clone, Debug, Default, PartialEq)]
struct Cache {
    validity: u64,
    modseq: u64,
    flags: BTreeMap<u32, String>,
}

impl Cache {
    /// Opens the mailbox and takes what changed.
    async fn sync(&mut self, imap: &mut Imap) {
        let known = format!("SELECT INBOX (QRESYNC ({} {}))", self.validity, self.modseq.max(1));
        let answer = if self.modseq == 0 { imap.good("SELECT INBOX").await } else { imap.good(&known).await };
        self.validity = answer.number("UIDVALIDITY");
        if self.modseq == 0 {
            let all = imap.good("UID FETCH 1:* (FLAGS)").await;
            self.take(&all);
        }
        self.take(&answer);
        self.modseq = answer.number("HIGHESTMODSEQ");
        imap.good("UNSELECT").await;
    }

    fn take(&mut self, answer: &Answer) {
        for line in &answer.lines {
            if let Some(set) = line.strip_prefix("VANISHED (EARLIER) ") {
                for range in set.split(',') {
                    let (from, to) = range.split_once(':').unwrap_or((range, range));
                    let gone = from.parse::<u32>().unwrap()..=to.parse().unwrap();
                    self.flags.retain(|uid, _| !gone.contains(uid));
                }
            } else if let Some((_, items)) = line.split_once("FETCH (UID ") {
                let (uid, rest) = items.split_once(' ').unwrap();
                let flags = rest.split_once("FLAGS ").unwrap().1;
                let end = flags.find(')').unwrap();
                self.flags.insert(uid.parse().unwrap(), flags[..=end].to_owned());
            }
        }
    }
}

#[tokio::test]
async fn clients_come_back_from_any_stretch_of_history() {
    let house = with_messages(20).await;
    let mut reader = Imap::of(&house, ANN).await;
    reader.good("ENABLE QRESYNC").await;
    let mut worker = Imap::at(&house, ANN, "INBOX").await;
    let mut stages = Vec::new();
    for step in 0..12u32 {
        let mut cache = stages.last().cloned().unwrap_or_default();
        Cache::sync(&mut cache, &mut reader).await;
        stages.push(cache);
        let flag = ["\\Seen", "\\Flagged", "$Label"][step as usize % 3];
        worker.good(&format!("STORE {} +FLAGS.SILENT ({flag})", step % 7 + 1)).await;
        if step % 3 == 1 {
            worker.good(&format!("STORE {} +FLAGS.SILENT (\\Deleted)", step % 5 + 2)).await;
            worker.good("EXPUNGE").await;
        }
        if step % 4 == 0 {
            worker.append("INBOX", &[("(\\Draft)", LETTER), ("", LETTER)]).await;
        }
    }
    let mut truth = Cache::default();
    truth.sync(&mut reader).await;
    assert!(truth.flags.len() > 15);
    for (at, stage) in stages.iter().enumerate() {
        let mut cache = stage.clone();
        cache.sync(&mut reader).await;
        assert_eq!(cache, truth, "away since step {at}");
    }
    // Another UIDVALIDITY is another mailbox: nothing but the state comes.
    let answer = reader.good(&format!("SELECT INBOX (QRESYNC ({} 1))", truth.validity + 1)).await;
    assert!(answer.with("VANISHED").is_empty() && answer.with("FETCH").is_empty());
    house.close().await;
}

#[tokio::test]
async fn vanished_takes_the_place_of_expunge() {
    let house = with_messages(6).await;
    let mut a = Imap::of(&house, ANN).await;
    assert!(a.ask("SELECT INBOX (QRESYNC (1 1))").await.end.starts_with("BAD"), "not enabled");
    a.good("ENABLE QRESYNC").await;
    let modseq = a.good("SELECT INBOX").await.number("HIGHESTMODSEQ");
    let mut b = Imap::at(&house, ANN, "INBOX").await;
    a.good("STORE 2:4 +FLAGS.SILENT (\\Deleted)").await;
    let answer = a.good("EXPUNGE").await;
    assert_eq!(answer.lines, ["VANISHED 2:4"]);
    assert!(answer.number("HIGHESTMODSEQ") > modseq, "{answer:?}");
    assert_eq!(b.good("NOOP").await.with("EXPUNGE"), ["4 EXPUNGE", "3 EXPUNGE", "2 EXPUNGE"]);
    let answer = a.good(&format!("UID FETCH 1:3 (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")).await;
    assert_eq!(answer.lines, ["VANISHED (EARLIER) 2:3"]);
    assert!(a.ask("UID FETCH 1 (FLAGS) (VANISHED)").await.end.starts_with("BAD"));
    // Known sequence numbers cut off what the client cannot have missed (RFC 7162 3.2.5.2).
    let validity = a.good("SELECT INBOX").await.number("UIDVALIDITY");
    let answer = a.good(&format!("SELECT INBOX (QRESYNC ({validity} 1 1:6 (1,2 1,5)))")).await;
    assert!(answer.with("VANISHED").is_empty(), "{answer:?}");
    house.close().await;
}

#[tokio::test]
async fn with_uidonly_there_are_no_numbers() {
    let house = with_messages(3).await;
    let mut a = Imap::of(&house, ANN).await;
    a.good("ENABLE UIDONLY").await;
    a.good("SELECT INBOX").await;
    assert!(a.ask("FETCH 1 (FLAGS)").await.end.starts_with("BAD [UIDREQUIRED]"));
    let answer = a.good("UID FETCH 2 (FLAGS RFC822.SIZE)").await;
    assert_eq!(answer.lines, [format!("2 UIDFETCH (FLAGS () RFC822.SIZE {})", LETTER.len())]);
    assert_eq!(a.good("UID STORE 2 +FLAGS (\\Deleted)").await.lines, ["2 UIDFETCH (FLAGS (\\Deleted))"]);
    assert_eq!(a.good("UID EXPUNGE 2").await.lines, ["VANISHED 2"]);
    house.close().await;
}

#[tokio::test]
async fn a_client_that_is_cut_off_while_removals_wait_loses_nothing() {
    let house = with_messages(4).await;
    let mut b = Imap::of(&house, ANN).await;
    b.good("ENABLE QRESYNC").await;
    let opened = b.good("SELECT INBOX").await;
    let (validity, before) = (opened.number("UIDVALIDITY"), opened.number("HIGHESTMODSEQ"));
    let mut a = Imap::at(&house, ANN, "INBOX").await;
    a.good("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    a.good("EXPUNGE").await;
    a.good("STORE 2 +FLAGS.SILENT (\\Flagged)").await;
    // The flag is told with its MODSEQ, the removal below it is not (RFC 7162 section 3.2).
    for _ in 0..2 {
        let answer = b.good("STORE 4 +FLAGS.SILENT (\\Seen)").await;
        assert_eq!(answer.number("HIGHESTMODSEQ"), before, "{answer:?}");
    }
    let answer = b.good("NOOP").await;
    assert_eq!(answer.lines[0], "VANISHED 2");
    assert!(answer.number("HIGHESTMODSEQ") > before + 2);
    let back = format!("SELECT INBOX (QRESYNC ({validity} {before}))");
    assert_eq!(b.good(&back).await.one("VANISHED"), "VANISHED (EARLIER) 2");
    // What others did meanwhile was not told at CLOSE (RFC 7162 3.2.8).
    b.good("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    a.good("STORE 3 +FLAGS.SILENT (\\Answered)").await;
    assert_eq!(b.good("CLOSE").await.end, "OK Closed");
    house.close().await;
}
