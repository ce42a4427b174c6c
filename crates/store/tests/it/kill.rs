//! `kill -9` under load: this test runs its own program again as the victim.

use crate::help::*;
use proto::proof::AccountId;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use store::Store;

const VICTIM: &str = "SEALPOST_STORE_TEST_VICTIM";
const TEST: &str = "kill::what_was_acknowledged_survives_kill";
const PRODUCERS: u64 = 12;

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
            note(&mut acknowledged, &lines.next().expect("the victim goes on until it is killed").unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            note(&mut acknowledged, &line.unwrap());
        }
        let store = Store::open(dir.path(), small()).unwrap();
        clean(&store);
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
}

fn note(acknowledged: &mut BTreeMap<(u64, u32), (u64, usize)>, line: &str) {
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
