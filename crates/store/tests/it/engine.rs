//! The engine's contract, for every engine.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, mpsc};
use store::Error;
use store::engine::{Batch, CommitError, Done, Embedded, Engine, Pair, Snapshot, Visit};

type State = Arc<BTreeMap<(u64, Vec<u8>), Vec<u8>>>;

/// The contract as plainly as it can be written: every state is a map of its own.
#[derive(Debug, Default)]
pub struct Plain(Mutex<State>);

struct PlainSnapshot(State);

impl Snapshot for PlainSnapshot {
    fn get(&self, partition: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.get(&(partition, key.to_vec())).cloned())
    }
    fn scan(&self, partition: u64, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), Error> {
        for ((p, key), value) in &*self.0 {
            let wanted = *p == partition && key.starts_with(prefix) && &key[..] >= from;
            if wanted && visit(key, value)? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
    fn floor(&self, partition: u64, prefix: &[u8], key: &[u8]) -> Result<Option<Pair>, Error> {
        let fits = |k: &Vec<u8>| k.starts_with(prefix) && &k[..] <= key;
        let found = self.0.iter().rfind(|((p, k), _)| *p == partition && fits(k));
        Ok(found.map(|((_, k), v)| (k.clone(), v.clone())))
    }
    fn next_partition(&self, after: u64) -> Result<Option<u64>, Error> {
        Ok(self.0.keys().map(|(p, _)| *p).find(|p| *p > after))
    }
}

impl Engine for Plain {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        Ok(Box::new(PlainSnapshot(self.0.lock().unwrap().clone())))
    }
    fn get(&self, partition: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.snapshot()?.get(partition, key)
    }
    fn commit(&self, partition: u64, expected: Option<u64>, batch: Batch, done: Done) {
        let mut state = self.0.lock().unwrap();
        let map = Arc::make_mut(&mut state);
        let at = (partition, Vec::new());
        let found = map.get(&at).map_or(0, |v| u64::from_be_bytes(v[..].try_into().unwrap()));
        let result = match expected {
            Some(expected) if expected != found => Err(CommitError::Conflict),
            _ => {
                let version = expected.map_or(0, |expected| expected + 1);
                if expected.is_some() {
                    map.insert(at, version.to_be_bytes().to_vec());
                }
                for (key, value) in batch.changes() {
                    match value {
                        Some(value) => map.insert((partition, key.clone()), value.clone()),
                        None => map.remove(&(partition, key.clone())),
                    };
                }
                Ok(version)
            }
        };
        drop(state);
        std::thread::spawn(move || done(result)).join().unwrap();
    }
    fn verify(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
    fn syncs(&self) -> u64 {
        0
    }
    fn settle(&self) -> Result<(), Error> {
        Ok(())
    }
    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn commit(
    engine: &dyn Engine,
    partition: u64,
    expected: Option<u64>,
    changes: &[(&[u8], Option<&[u8]>)],
) -> Result<u64, CommitError> {
    let mut batch = Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.put(key.to_vec(), value.to_vec()),
            None => batch.delete(key.to_vec()),
        }
    }
    let (tell, told) = mpsc::channel();
    engine.commit(partition, expected, batch, Box::new(move |result| tell.send(result).unwrap()));
    told.recv().unwrap()
}

fn keys(snapshot: &dyn Snapshot, partition: u64, prefix: &[u8], from: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    snapshot
        .scan(partition, prefix, from, &mut |key, _| {
            found.push(key.to_vec());
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    found
}

fn contract(engine: &dyn Engine) {
    // Versions: checked, raised, left alone.
    assert_eq!(engine.snapshot().unwrap().version(7).unwrap(), 0);
    assert_eq!(commit(engine, 7, Some(0), &[(b"a", Some(b"1")), (b"b", Some(b"2"))]).unwrap(), 1);
    assert!(matches!(commit(engine, 7, Some(0), &[(b"a", Some(b"9"))]), Err(CommitError::Conflict)));
    assert!(matches!(commit(engine, 7, Some(2), &[(b"a", Some(b"9"))]), Err(CommitError::Conflict)));
    assert_eq!(engine.get(7, b"a").unwrap(), Some(b"1".to_vec()), "a conflict has no effect");
    assert_eq!(commit(engine, 7, None, &[(b"c", Some(b"3"))]).unwrap(), 0);
    assert_eq!(engine.snapshot().unwrap().version(7).unwrap(), 1);
    assert_eq!(commit(engine, 8, Some(0), &[(b"a", Some(b"8"))]).unwrap(), 1);

    // A snapshot stays what it is.
    let before = engine.snapshot().unwrap();
    assert_eq!(before.get(7, b"a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(
        commit(engine, 7, Some(1), &[(b"a", None), (b"d", Some(b"4")), (b"d", Some(b"5"))]).unwrap(),
        2
    );
    assert_eq!(before.get(7, b"a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(before.version(7).unwrap(), 1);
    assert_eq!(keys(&*before, 7, b"", b"a"), [b"a", b"b", b"c"]);
    drop(before);
    assert_eq!(engine.get(7, b"a").unwrap(), None);
    assert_eq!(engine.get(7, b"d").unwrap(), Some(b"5".to_vec()), "the later change wins");

    // Order, prefixes, floors, partitions.
    let odd: [&[u8]; 5] = [b"p", b"p\0", b"p\xff", b"p\xff\xff", b"q"];
    let puts: Vec<(&[u8], Option<&[u8]>)> = odd.iter().map(|key| (*key, Some(&b"x"[..]))).collect();
    commit(engine, 9, None, &puts).unwrap();
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(keys(&*snapshot, 9, b"p", b""), odd[..4]);
    assert_eq!(keys(&*snapshot, 9, b"p", b"p\xff"), odd[2..4]);
    assert_eq!(keys(&*snapshot, 9, b"p\xff\xff", b""), odd[3..4]);
    let floor = |prefix: &[u8], key: &[u8]| snapshot.floor(9, prefix, key).unwrap().map(|(key, _)| key);
    assert_eq!(floor(b"p", b"p\x80"), Some(b"p\0".to_vec()));
    assert_eq!(floor(b"p\xff", b"p\x80"), None);
    assert_eq!(floor(b"q", b"z"), Some(b"q".to_vec()));
    assert_eq!(snapshot.next_partition(7).unwrap(), Some(8));
    assert_eq!(snapshot.next_partition(9).unwrap(), None);
    let mut seen = 0;
    let stop = &mut |_: &[u8], _: &[u8]| {
        seen += 1;
        Ok(ControlFlow::Break(()))
    };
    snapshot.scan(9, b"p", b"", stop).unwrap();
    assert_eq!(seen, 1);
    drop(snapshot);

    // A partition is removed with its version.
    commit(engine, 8, None, &[(b"a", None), (b"", None)]).unwrap();
    assert_eq!(engine.snapshot().unwrap().version(8).unwrap(), 0);
    assert_eq!(commit(engine, 8, Some(0), &[(b"a", Some(b"1"))]).unwrap(), 1);
    assert_eq!(engine.verify().unwrap(), Vec::<String>::new());
}

#[test]
fn the_plain_engine_keeps_the_contract() {
    contract(&Plain::default());
}

#[test]
fn the_embedded_engine_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Embedded::open(&dir.path().join("e.db")).unwrap();
    contract(&engine);
    engine.close().unwrap();
    assert!(matches!(engine.get(7, b"b"), Err(Error::Closed)));
    let engine = Embedded::open(&dir.path().join("e.db")).unwrap();
    assert_eq!(engine.get(7, b"d").unwrap(), Some(b"5".to_vec()));
}

#[test]
fn threads_that_race_for_a_version_share_it_out_without_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Embedded::open(&dir.path().join("e.db")).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let engine = &engine;
            scope.spawn(move || {
                let mut won = 0u64;
                while won < 50 {
                    let version = engine.snapshot().unwrap().version(1).unwrap();
                    let key = [b"k".as_slice(), &(version + 1).to_be_bytes()].concat();
                    match commit(engine, 1, Some(version), &[(&key, Some(&thread.to_be_bytes()))]) {
                        Ok(now) => {
                            assert_eq!(now, version + 1);
                            won += 1;
                        }
                        Err(CommitError::Conflict) => {}
                        Err(CommitError::Store(error)) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(snapshot.version(1).unwrap(), 200);
    assert_eq!(keys(&*snapshot, 1, b"k", b"").len(), 200);
}

#[test]
fn commits_share_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Embedded::open(&dir.path().join("e.db")).unwrap();
    let (tell, told) = mpsc::channel();
    let before = engine.syncs();
    for partition in 1..=2000 {
        let mut batch = Batch::default();
        batch.put(b"k".to_vec(), vec![0; 100]);
        let tell = tell.clone();
        engine.commit(partition, Some(0), batch, Box::new(move |result| tell.send(result).unwrap()));
    }
    for _ in 0..2000 {
        assert_eq!(told.recv().unwrap().unwrap(), 1);
    }
    assert!(engine.syncs() - before < 500, "{} syncs for 2000 commits", engine.syncs() - before);
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Embedded::open_limited(&dir.path().join("e.db"), Some(20)).unwrap();
    let mut kept = Vec::new();
    let refused = loop {
        let n = kept.len() as u64;
        match commit(&engine, 1, Some(n), &[(&n.to_be_bytes(), Some(&vec![1; 6000]))]) {
            Ok(_) => kept.push(n),
            Err(error) => break error,
        }
        assert!(kept.len() < 100, "the limit does not hold");
    };
    assert!(matches!(refused, CommitError::Store(Error::DiskFull)), "{refused:?}");
    let n = kept.len() as u64;
    assert_eq!(engine.snapshot().unwrap().version(1).unwrap(), n);
    // Small changes of the same group still find room.
    commit(&engine, 2, Some(0), &[(b"k", None)]).unwrap();
    engine.set_pages_max(1000);
    assert_eq!(commit(&engine, 1, Some(n), &[(&n.to_be_bytes(), Some(&vec![1; 6000]))]).unwrap(), n + 1);
    for n in kept {
        assert_eq!(engine.get(1, &n.to_be_bytes()).unwrap(), Some(vec![1; 6000]));
    }
    assert_eq!(engine.verify().unwrap(), Vec::<String>::new());
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.db");
    Embedded::open(&path).unwrap().close().unwrap();
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 2).unwrap();
    drop(db);
    assert!(matches!(Embedded::open(&path), Err(Error::TooNew(2))));
}

/// Without checkpoints beside the commits the log would be as long as all that was ever written.
#[test]
fn the_log_stays_short_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.db");
    let engine = Embedded::open(&path).unwrap();
    let value = vec![7; 512 << 10];
    let mut longest = 0;
    for turn in 0..640u32 {
        commit(&engine, 1, None, &[(&(turn % 8).to_be_bytes(), Some(&value))]).unwrap();
        longest = longest.max(std::fs::metadata(dir.path().join("e.db-wal")).unwrap().len());
    }
    assert!(longest < 240 << 20, "the log grew to {longest} octets");
    assert_eq!(engine.verify().unwrap(), Vec::<String>::new());
}

#[test]
fn a_batch_in_the_group_that_removes_its_partition_conflicts() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Embedded::open(&dir.path().join("e.db")).unwrap();
    let put = || {
        let mut batch = Batch::default();
        batch.put(b"k".to_vec(), b"v".to_vec());
        batch
    };
    // While this is answered, what comes waits, and is one group then.
    let (begun, wait_begun) = mpsc::channel();
    let (go, wait_go) = mpsc::channel::<()>();
    let held = move |result: Result<u64, CommitError>| {
        begun.send(result.unwrap()).unwrap();
        wait_go.recv().unwrap();
    };
    engine.commit(7, Some(0), put(), Box::new(held));
    assert_eq!(wait_begun.recv().unwrap(), 1);
    let mut removal = Batch::default();
    removal.delete(Vec::new());
    removal.delete(b"k".to_vec());
    let (tell, told) = mpsc::channel();
    for (name, expected, batch) in
        [("removal", None, removal), ("late", Some(1), put()), ("anew", Some(0), put())]
    {
        let tell = tell.clone();
        engine.commit(7, expected, batch, Box::new(move |result| tell.send((name, result)).unwrap()));
    }
    go.send(()).unwrap();
    let mut answers: BTreeMap<&str, Result<u64, CommitError>> =
        (0..3).map(|_| told.recv().unwrap()).collect();
    assert!(matches!(answers.remove("late"), Some(Err(CommitError::Conflict))));
    assert!(matches!(answers.remove("removal"), Some(Ok(0))));
    assert!(matches!(answers.remove("anew"), Some(Ok(1))));
    assert_eq!(engine.snapshot().unwrap().version(7).unwrap(), 1);
}
