//! `kill -9` under load: this test runs its own program again as the victim.

use crate::help::*;
use proto::message::text::fold;
use proto::proof::AccountId;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use store::Store;
use store::account::{Account, Copying, Delivery, FlagChange, Flags, How, MailboxId, Uses};
use store::search::{Bits, Scope};

const VICTIM: &str = "SEALPOST_STORE_TEST_VICTIM";
const TEST: &str = "kill::what_was_acknowledged_survives_kill";
const PRODUCERS: u64 = 12;

/// Says how far it came.
const NOTE: &str = "/private/turn";

/// What is appended.
const MANY_TEXT: &[u8] = b"Subject: many\r\n\r\nmany words\r\n";

/// Messages of one append, and of them those that are moved.
const MANY: u32 = 20;
const MOVED: u32 = 10;
/// Removed at once: enough for their details to be swept later.
const HEAP: u32 = 600;

fn mailbox(account: &Account, name: &str) -> MailboxId {
    account.view(name).unwrap().unwrap().mailbox.id
}

/// Appends, flags, copies, moves and removes for ever, many messages at a time; makes mailboxes, renames and removes them,
/// takes notes; and says what was acknowledged.
async fn shift(store: Store, id: AccountId) {
    let account = store.account(id);
    let [sent, archive, trash, junk] =
        ["Sent", "Archive", "Trash", "Junk"].map(|name| mailbox(&account, name));
    let say = |what: &str, uid: u32| {
        let line = format!("did {what} {} {uid}\n", id.0);
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    };
    let (of_index, stored_in) = (account.clone(), [sent, archive, trash]);
    // Blocks are written and merged all the while.
    std::thread::spawn(move || {
        for mailbox in stored_in.into_iter().cycle() {
            of_index.index(mailbox).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
    let mut named = None;
    loop {
        let many = mail(&store, MANY_TEXT).await.unwrap();
        let into = |name: &str| Delivery { mailbox: name.to_owned(), ..many.clone() };
        let made = account.append(vec![into("Sent"); MANY as usize], None).await.unwrap();
        let first = made[0].uid;
        say("append", first);
        let uids = vec![(first, first + MANY - 1)];
        let change = FlagChange {
            mailbox: sent,
            uids: uids.clone(),
            how: How::Add,
            flags: Flags::FLAGGED,
            keywords: vec!["kept".to_owned()],
            unchanged_since: None,
        };
        account.change_flags(change).await.unwrap();
        say("flag", first);
        let copying = Copying { from: sent, uids, to: archive, remove: false, saved: 1 };
        say("copy", account.copy(copying.clone()).await.unwrap().uids[0].1);
        let some = vec![(first, first + MOVED - 1)];
        let moving = Copying { uids: some, to: trash, remove: true, ..copying };
        say("move", account.copy(moving).await.unwrap().uids[0].1);
        let heap = account.append(vec![into("Junk"); HEAP as usize], None).await.unwrap();
        let uids: Vec<u32> = heap.iter().map(|one| one.uid).collect();
        account.expunge(junk, &uids).await.unwrap();
        say("expunge", uids[0]);
        let (made, new) = (format!("made/{first}"), format!("named/{first}"));
        account.create_mailbox(&made, Uses::default(), 1).await.unwrap();
        say("create", first);
        account.rename_mailbox(&made, &new, 1).await.unwrap();
        say("rename", first);
        let note = Some(first.to_string().into_bytes());
        account.set_notes(None, id, vec![(NOTE.to_owned(), note)]).await.unwrap();
        say("note", first);
        if let Some((before, mailbox)) = named.replace((first, mailbox(&account, &new))) {
            account.delete_mailbox(mailbox).await.unwrap();
            say("delete", before);
        }
    }
}

/// A search index that a kill cut short finds everything, and nothing of it is damaged.
async fn searched(store: &Store, id: AccountId) {
    let account = store.account(id);
    for name in ["Sent", "Archive", "Trash"] {
        let view = account.view(name).unwrap().unwrap();
        let all = Bits::all(view.len());
        for _ in 0..2 {
            let found = account.find_text(&view, &all, &fold("any word"), Scope::Body).await.unwrap();
            assert_eq!(found, all, "{name}");
            let found = account.find_text(&view, &all, &fold("subject"), Scope::Body).await.unwrap();
            assert!(found.is_empty(), "{name}");
            account.index(view.mailbox.id).unwrap();
        }
    }
    let report = clean(store);
    assert!(report.remarks.iter().all(|remark| !remark.contains("search")), "{:?}", report.remarks);
}

/// What was acknowledged of `shift`, and that nothing was done by half.
fn verify(store: &Store, did: &Did) {
    for (what, id, first) in did {
        let account = store.account(AccountId(*id));
        let view = |name: &str| account.view(name).unwrap().unwrap();
        let all = |name: &str, count: u32| view(name).seqs(*first, first + count - 1).len() as u32 == count;
        let flagged = |row: store::account::MessageRow| {
            row.flags.0 & Flags::FLAGGED.0 != 0 && row.flags.0 >> Flags::KEYWORD_FIRST != 0
        };
        let rest = view("Sent");
        let rest = rest.rows(rest.seqs(first + MOVED, first + MANY - 1)).map(|(_, row)| row);
        match what.as_str() {
            "append" => assert_eq!(rest.count() as u32, MANY - MOVED, "appended {first}"),
            "flag" => assert!(rest.into_iter().all(flagged), "flagged {first}"),
            "copy" => assert!(all("Archive", MANY), "copied {first}"),
            "move" => assert!(all("Trash", MOVED), "moved {first}"),
            "create" | "rename" | "note" | "delete" => verify_tree(&account, *id, what, *first, did),
            "expunge" => assert!(view("Junk").seqs(*first, first + HEAP - 1).is_empty(), "expunged {first}"),
            other => panic!("{other} is not known"),
        }
    }
    for id in did.iter().map(|(_, id, _)| AccountId(*id)) {
        let view = |name: &str| store.account(id).view(name).unwrap().unwrap();
        for (name, step) in [("Sent", MANY), ("Archive", MANY), ("Trash", MOVED), ("Junk", HEAP)] {
            assert_eq!((view(name).mailbox.uid_next - 1) % step, 0, "{name}: done by half");
        }
        assert_eq!(view("Junk").len() % HEAP, 0);
        // A move is one thing: each message is in one place.
        assert_eq!(view("Sent").len() + view("Trash").len(), view("Sent").mailbox.uid_next - 1);
        assert!(view("Archive").rows(1..u32::MAX).all(|(_, row)| row.flags.0 & Flags::FLAGGED.0 != 0));
    }
}

/// The same of mailboxes and notes.
fn verify_tree(account: &Account, id: u64, what: &str, first: u32, did: &Did) {
    let there = |kind: &str| account.mailbox(&format!("{kind}/{first}")).unwrap().is_some();
    let later =
        |other: &str, least: u32| did.iter().any(|(what, of, n)| *of == id && what == other && *n >= least);
    match what {
        // It was removed only after the next note.
        "create" => assert!(there("made") || there("named") || later("note", first + 1), "created {first}"),
        "rename" => {
            assert!(!there("made"), "renamed {first}: the old name");
            assert!(there("named") || later("note", first + 1), "renamed {first}: the new name");
        }
        "delete" => assert!(!there("made") && !there("named"), "deleted {first}"),
        _ => {
            let notes = account.notes(None, AccountId(id)).unwrap();
            let text = notes.iter().find(|(name, _)| name == NOTE).map(|(_, value)| value);
            let noted: u32 = std::str::from_utf8(text.expect("a note is lost")).unwrap().parse().unwrap();
            assert!(noted >= first, "noted {first}, found {noted}");
        }
    }
}

/// Delivers for ever and says what was acknowledged, one line each.
fn victim(dir: &std::path::Path, round: u64) {
    let rt = runtime();
    let store = Store::open(dir, small()).unwrap();
    let ids: Vec<AccountId> =
        store.directory().accounts(None).unwrap().into_iter().map(|record| record.id).collect();
    rt.block_on(async {
        let mut tasks = Vec::new();
        for producer in 0..PRODUCERS {
            let (store, ids) = (store.clone(), ids.clone());
            tasks.push(tokio::spawn(async move {
                for turn in 0u64.. {
                    let n = round << 40 | producer << 32 | turn;
                    let size = [200, 5000, 70_000, 250_000, 400_000][(turn % 40).min(4) as usize];
                    let id = ids[(turn % ids.len() as u64) as usize];
                    let stored = body(&store, &text(n, size)).await.unwrap();
                    let got = store.account(id).deliver(delivery(stored)).await.unwrap();
                    if turn % 5 == 4 {
                        store.account(id).expunge(got.mailbox, &[got.uid]).await.unwrap();
                        continue;
                    }
                    // One write for one line, so that a kill does not mix them.
                    let line = format!("acknowledged {} {} {n} {size}\n", id.0, got.uid);
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            }));
        }
        tasks.extend(ids.into_iter().take(2).map(|id| tokio::spawn(shift(store.clone(), id))));
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn what_was_acknowledged_survives_kill() {
    if let Ok(argument) = std::env::var(VICTIM) {
        let (round, dir) = argument.split_once(':').unwrap();
        return victim(std::path::Path::new(dir), round.parse().unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let store = Store::open(dir.path(), small()).unwrap();
    let ids = rt.block_on(people(&store, 3));
    store.close().unwrap();
    let mut acknowledged: BTreeMap<(u64, u32), (u64, usize)> = BTreeMap::new();
    let mut did = Vec::new();
    for round in 0..5u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
            .env(VICTIM, format!("{round}:{}", dir.path().display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let wanted = acknowledged.len() + 150 + 70 * round as usize;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while acknowledged.len() < wanted {
            let line = lines.next().expect("the victim goes on until it is killed").unwrap();
            note(&mut acknowledged, &mut did, &line);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            note(&mut acknowledged, &mut did, &line.unwrap());
        }
        let store = Store::open(dir.path(), small()).unwrap();
        clean(&store);
        verify(&store, &did);
        ids.iter().take(2).for_each(|id| rt.block_on(searched(&store, *id)));
        let inbox = store.account(ids[0]).view("INBOX").unwrap().unwrap().mailbox.id;
        rt.block_on(async {
            for ((id, uid), (n, size)) in &acknowledged {
                let detail = store.account(AccountId(*id)).detail(inbox, *uid).unwrap();
                let detail = detail.unwrap_or_else(|| panic!("round {round}: {id} {uid} is lost"));
                assert_eq!(content(&store, &detail.body).await.unwrap(), text(*n, *size));
            }
        });
        store.close().unwrap();
    }
    for what in ["append", "flag", "copy", "move", "expunge", "create", "rename", "note", "delete"] {
        assert!(did.iter().any(|(did, ..)| did == what), "the victim never came to {what}");
    }
    let store = Store::open(dir.path(), small()).unwrap();
    rt.block_on(swept(&store, ids[0]));
    clean(&store);
}

/// What a kill left to be swept is swept after the next change.
async fn swept(store: &Store, id: AccountId) {
    let account = store.account(id);
    let stored = body(store, b"x").await.unwrap();
    account.deliver(delivery(stored)).await.unwrap();
    let junk = account.view("Junk").unwrap().unwrap();
    let gone: Vec<u32> = (1..junk.mailbox.uid_next).filter(|uid| junk.seq(*uid).is_none()).collect();
    let began = std::time::Instant::now();
    while !account.details(junk.mailbox.id, gone.clone()).await.unwrap().is_empty() {
        assert!(began.elapsed().as_secs() < 30, "details of removed messages stay");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

type Did = Vec<(String, u64, u32)>;

fn note(acknowledged: &mut BTreeMap<(u64, u32), (u64, usize)>, did: &mut Did, line: &str) {
    if let Some((_, fields)) = line.split_once("did ") {
        let fields: Vec<&str> = fields.split(' ').collect();
        if let [what, id, uid] = fields[..] {
            did.push((what.to_owned(), id.parse().unwrap(), uid.parse().unwrap()));
        }
        return;
    }
    // A line that the kill cut short was not acknowledged to anybody.
    let Some((_, fields)) = line.split_once("acknowledged ") else { return };
    let fields: Vec<u64> = fields.split(' ').map_while(|field| field.parse().ok()).collect();
    if let [id, uid, n, size] = fields[..] {
        // A cut number would be a wrong one; sizes are known.
        if [200, 5000, 70_000, 250_000, 400_000].contains(&size) {
            acknowledged.insert((id, uid as u32), (n, size as usize));
        }
    }
}
