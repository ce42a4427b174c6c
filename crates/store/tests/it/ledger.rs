//! Session facts: counted together, kept over a restart, bounded.

use crate::help::*;
use proto::proof::AccountId;
use store::Store;
use store::system::ledger::FactKey;

fn fact(account: Option<AccountId>, client: &str) -> FactKey {
    FactKey {
        account,
        outcome: "login".to_owned(),
        protocol: "p".to_owned(),
        listener: "l".to_owned(),
        port: 1,
        security: "implicit".to_owned(),
        tls_version: "TLSv1.3".to_owned(),
        cipher: String::new(),
        mechanism: "PLAIN".to_owned(),
        client: client.to_owned(),
        network: "192.0.2.0/24".to_owned(),
    }
}

#[test]
fn equal_facts_are_counted_together() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let store = Store::open(dir.path(), small()).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    for now in [50, 40, 60] {
        store.ledger().record(fact(Some(id), "phone"), now);
    }
    store.ledger().record(fact(None, &"é".repeat(100)), 1);
    // Of an account that does not exist: no partition may come to be.
    store.ledger().record(fact(Some(AccountId(99)), ""), 1);
    rt.block_on(store.ledger().flush()).unwrap();
    store.ledger().record(fact(Some(id), "phone"), 70);
    store.close().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    let facts = store.ledger().facts(Some(id)).unwrap();
    assert_eq!(facts.len(), 1);
    assert_eq!((facts[0].first, facts[0].last, facts[0].count), (40, 70, 4));
    assert_eq!(store.ledger().facts(None).unwrap()[0].key.client, "é".repeat(64));
    assert_eq!(store.ledger().facts(Some(AccountId(99))).unwrap(), []);
    clean(&store);
}

#[test]
fn strangers_cannot_fill_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let rt = runtime();
    let store = Store::open(dir.path(), small()).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    let total = 12_000;
    for n in 0..total {
        store.ledger().record(fact(Some(id), &n.to_string()), n);
    }
    rt.block_on(store.ledger().flush()).unwrap();
    let facts = store.ledger().facts(Some(id)).unwrap();
    assert!(facts.len() <= 4100, "{} distinct facts", facts.len());
    assert_eq!(facts.iter().map(|f| f.count).sum::<u64>(), total as u64, "every one is counted");
    clean(&store);
}
