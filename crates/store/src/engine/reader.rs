//! Reading: connections to the table, and states of it with what the memtable has beyond them.

use super::embedded::{Shared, column, connect, lock};
use super::memtable::{Value, View};
use super::{Pair, Snapshot, Visit, prefix_end};
use crate::Error;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::cell::OnceCell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Idle connections kept.
const READERS_MAX: usize = 8;
/// Page cache of each, KiB.
const READER_CACHE_KIB: i64 = 4 << 10;

pub(super) const GET: &str = "SELECT value FROM kv WHERE account=?1 AND key=?2";
pub(super) const SCAN: &str = "SELECT key,value FROM kv WHERE account=?1 AND key>=?2 AND key<?3 ORDER BY key";
pub(super) const SCAN_OPEN: &str = "SELECT key,value FROM kv WHERE account=?1 AND key>=?2 ORDER BY key";
pub(super) const DOWN: &str = "SELECT key,value FROM kv WHERE account=?1 AND key<=?2 ORDER BY key DESC";
pub(super) const NEXT: &str = "SELECT account FROM kv WHERE account>?1 ORDER BY account LIMIT 1";
/// Reads as little as can be; what is read next in the transaction is of the same state.
const PIN: &str = "SELECT 1 FROM kv LIMIT 1";

/// A connection from the pool; goes back when dropped.
pub(super) struct Reader {
    shared: Arc<Shared>,
    connection: Option<Connection>,
}

impl Reader {
    pub(super) fn take(shared: &Arc<Shared>) -> Result<Reader, Error> {
        if shared.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        let pooled = lock(&shared.readers).pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => {
                // Not opened read-only: the first reader after a crash may have to recover the log's index.
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let db = connect(&shared.path, flags)?;
                db.pragma_update(None, "query_only", true)?;
                db.pragma_update(None, "wal_autocheckpoint", 0)?;
                db.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
                db
            }
        };
        Ok(Reader { shared: shared.clone(), connection: Some(connection) })
    }

    /// The value of a key as of now.
    pub(super) fn latest(shared: &Arc<Shared>, partition: u64, key: &[u8]) -> Result<Value, Error> {
        // What leaves the memtable after this look is in the table.
        let found = shared.memtable.get(partition, key);
        let reader = Reader::take(shared)?;
        found.map_or_else(|| reader.get(partition, key), Ok)
    }

    pub(super) fn db(&self) -> &Connection {
        // Taken out only in `drop`.
        self.connection.as_ref().expect("a reader has its connection until it is dropped")
    }

    fn get(&self, partition: u64, key: &[u8]) -> Result<Value, Error> {
        let mut statement = self.db().prepare_cached(GET)?;
        Ok(statement.query_row(params![column(partition), key], |row| row.get(0)).optional()?)
    }

    /// Visits the keys from `from` up to before `end`; whether the visitor went on to the last one.
    fn scan(&self, partition: u64, from: &[u8], end: Option<&[u8]>, visit: Visit<'_>) -> Result<bool, Error> {
        let mut statement = self.db().prepare_cached(if end.is_some() { SCAN } else { SCAN_OPEN })?;
        let rows = match end {
            Some(end) => statement.query(params![column(partition), from, end])?,
            None => statement.query(params![column(partition), from])?,
        };
        each(rows, visit)
    }

    /// Visits the keys from `key` downwards.
    fn down(&self, partition: u64, key: &[u8], visit: Visit<'_>) -> Result<bool, Error> {
        let mut statement = self.db().prepare_cached(DOWN)?;
        each(statement.query(params![column(partition), key])?, visit)
    }

    fn next_partition(&self, after: u64) -> Result<Option<u64>, Error> {
        let mut statement = self.db().prepare_cached(NEXT)?;
        let found: Option<i64> = statement.query_row(params![column(after)], |row| row.get(0)).optional()?;
        Ok(found.map(|account| account as u64))
    }
}

fn each(mut rows: rusqlite::Rows<'_>, visit: Visit<'_>) -> Result<bool, Error> {
    let not_bytes = |_| Error::Damaged("a key or value in the database is not a blob".to_owned());
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_blob().map_err(not_bytes)?;
        let value = row.get_ref(1)?.as_blob().map_err(not_bytes)?;
        if visit(key, value)? == ControlFlow::Break(()) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(db) = self.connection.take() {
            let ended =
                db.is_autocommit() || db.prepare_cached("COMMIT").and_then(|mut s| s.execute([])).is_ok();
            let mut readers = lock(&self.shared.readers);
            if ended && readers.len() < READERS_MAX && !self.shared.closed.load(Ordering::Relaxed) {
                readers.push(db);
            }
        }
    }
}

/// One state: of the table, in a transaction of its reader, and the view of the memtable that fits.
pub(super) struct State {
    reader: Reader,
    view: OnceCell<View>,
}

impl State {
    pub(super) fn begin(reader: Reader) -> Result<State, Error> {
        reader.db().prepare_cached("BEGIN")?.execute([])?;
        Ok(State { reader, view: OnceCell::new() })
    }

    /// That of the first read.
    fn view(&self) -> Result<&View, Error> {
        if let Some(view) = self.view.get() {
            return Ok(view);
        }
        let pin = || -> Result<(), Error> {
            let mut statement = self.reader.db().prepare_cached(PIN)?;
            statement.query_row([], |_| Ok(())).optional()?;
            Ok(())
        };
        let view = self.reader.shared.memtable.view(pin)?;
        Ok(self.view.get_or_init(|| view))
    }

    /// True if the partition has a key.
    fn has_key(&self, partition: u64) -> Result<bool, Error> {
        let mut found = false;
        self.scan(partition, b"", b"", &mut |_, _| {
            found = true;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }
}

impl Snapshot for State {
    fn get(&self, partition: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.view()?.get(partition, key).map_or_else(|| self.reader.get(partition, key), Ok)
    }

    fn scan(&self, partition: u64, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), Error> {
        let from = if from < prefix { prefix } else { from };
        let end = prefix_end(prefix);
        let mut recent = self.view()?.rows(partition, from, end.as_deref()).peekable();
        let whole = self.reader.scan(partition, from, end.as_deref(), &mut |key, value| {
            while let Some((before, value)) = recent.next_if(|(recent, _)| recent.as_slice() <= key) {
                let flow = value.map_or(Ok(ControlFlow::Continue(())), |value| visit(&before, &value))?;
                if before == key || flow == ControlFlow::Break(()) {
                    return Ok(flow);
                }
            }
            visit(key, value)
        })?;
        for (key, value) in recent.filter(|_| whole) {
            if let Some(value) = value
                && visit(&key, &value)? == ControlFlow::Break(())
            {
                break;
            }
        }
        Ok(())
    }

    fn floor(&self, partition: u64, prefix: &[u8], key: &[u8]) -> Result<Option<Pair>, Error> {
        let view = self.view()?;
        let recent = view.floor(partition, prefix, key);
        let mut found = None;
        self.reader.down(partition, key, &mut |key, value| {
            if key < prefix || recent.as_ref().is_some_and(|(recent, _)| recent.as_slice() >= key) {
                return Ok(ControlFlow::Break(()));
            }
            // One that the view knows is deleted: if it had a value it would be `recent`.
            if !key.starts_with(prefix) || view.get(partition, key).is_some() {
                return Ok(ControlFlow::Continue(()));
            }
            found = Some((key.to_vec(), value.to_vec()));
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found.or(recent))
    }

    fn next_partition(&self, after: u64) -> Result<Option<u64>, Error> {
        let view = self.view()?;
        let mut after = after;
        loop {
            let next = [self.reader.next_partition(after)?, view.next_partition(after)];
            let Some(next) = next.into_iter().flatten().min() else { return Ok(None) };
            if !view.knows(next) || self.has_key(next)? {
                return Ok(Some(next));
            }
            after = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::behind::Behind;
    use super::super::embedded::Prepared;
    use super::super::writer::Request;
    use super::super::{Batch, VERSION_KEY};
    use super::*;
    use crate::disk::Real;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

    fn open(path: &Path) -> (Arc<Shared>, Behind) {
        let Prepared { shared, table } = Prepared::open(path, Arc::new(Real)).unwrap();
        (shared.clone(), Behind::new(shared, table))
    }

    fn request(partition: u64, expected: Option<u64>, changes: Vec<(Vec<u8>, Value)>) -> Request {
        let mut batch = Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        Request { partition, expected, batch, done: Box::new(|_| ()) }
    }

    type Model = BTreeMap<(u64, Vec<u8>), Vec<u8>>;

    #[derive(Clone, Debug)]
    enum Step {
        Commit(u64, Vec<(Vec<u8>, Value)>),
        /// All that waits goes into the table.
        Flush,
        /// The table does not take it.
        Fail,
        /// A state is held from now on.
        Hold,
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        // Few, of two prefixes, and some that others begin with.
        (prop_oneof![Just(b'a'), Just(b'b'), Just(0xff)], proptest::collection::vec(0u8..6, 0..3))
            .prop_map(|(first, rest)| [vec![first], rest].concat())
    }

    fn step() -> impl Strategy<Value = Step> {
        let change = (key(), proptest::option::weighted(0.6, proptest::collection::vec(any::<u8>(), 0..4)));
        let many = (0u8..4).prop_map(|value| {
            (0..100u8).map(|n| (vec![b'b', n], (n % 3 != value).then(|| vec![value]))).collect()
        });
        let changes = prop_oneof![6 => proptest::collection::vec(change, 1..5), 1 => many];
        prop_oneof![
            8 => (1u64..5, changes).prop_map(|(partition, changes)| Step::Commit(partition, changes)),
            2 => Just(Step::Flush),
            1 => Just(Step::Fail),
            2 => Just(Step::Hold),
        ]
    }

    /// Everything that can be asked of a state is as the model has it.
    fn compare(state: &State, model: &Model) {
        let mut after = 0;
        for partition in 1..6 {
            let next = model.keys().map(|(partition, _)| *partition).find(|partition| *partition > after);
            assert_eq!(state.next_partition(after).unwrap(), next);
            after = partition;
            let of = |prefix: &'static [u8]| {
                let rows =
                    model.iter().filter(move |((of, key), _)| *of == partition && key.starts_with(prefix));
                rows.map(|((_, key), value)| (key.clone(), value.clone()))
            };
            for prefix in [&b""[..], b"a", b"b", b"b\x02", b"\xff"] {
                for from in [&b""[..], b"a\x03", b"b\x01", b"b\x31", b"\xff\x02"] {
                    for most in [1, 3, usize::MAX] {
                        let mut found = Vec::new();
                        let visit = &mut |key: &[u8], value: &[u8]| {
                            found.push((key.to_vec(), value.to_vec()));
                            let flow = ControlFlow::Continue(());
                            Ok(if found.len() == most { ControlFlow::Break(()) } else { flow })
                        };
                        state.scan(partition, prefix, from, visit).unwrap();
                        let expected: Vec<_> =
                            of(prefix).filter(|(key, _)| key.as_slice() >= from).take(most).collect();
                        assert_eq!(found, expected, "{prefix:?} from {from:?}");
                    }
                    let expected = of(prefix).rfind(|(key, _)| key.as_slice() <= from);
                    assert_eq!(state.floor(partition, prefix, from).unwrap(), expected);
                }
            }
            for key in [&b"a"[..], b"b\x02", b"b\x02\x03", b"b\x40", b"\xff"] {
                let expected = model.get(&(partition, key.to_vec())).cloned();
                assert_eq!(state.get(partition, key).unwrap(), expected);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn states_are_the_same_wherever_their_rows_are(steps in proptest::collection::vec(step(), 1..40)) {
            let dir = tempfile::tempdir().unwrap();
            let (shared, behind) = open(&dir.path().join("e.db"));
            let mut model = Model::new();
            let mut held = Vec::new();
            for step in steps {
                match step {
                    Step::Commit(partition, changes) => {
                        for (key, value) in &changes {
                            let at = (partition, key.clone());
                            match value {
                                Some(value) => drop(model.insert(at, value.clone())),
                                None => drop(model.remove(&at)),
                            }
                        }
                        shared.memtable.insert(&mut [request(partition, None, changes)], None);
                    }
                    Step::Flush => behind.flush().unwrap(),
                    Step::Fail => {
                        if let Some((generation, false)) = shared.memtable.rotate() {
                            // Meanwhile commits go on.
                            let change = (b"a\x01".to_vec(), Some(b"new".to_vec()));
                            model.insert((1, change.0.clone()), b"new".to_vec());
                            shared.memtable.insert(&mut [request(1, None, vec![change])], None);
                            compare(&State::begin(Reader::take(&shared).unwrap()).unwrap(), &model);
                            shared.memtable.give_back(&generation);
                        }
                    }
                    Step::Hold => {
                        let state = State::begin(Reader::take(&shared).unwrap()).unwrap();
                        state.get(1, b"a").unwrap();
                        held.push((state, model.clone()));
                    }
                }
                for ((partition, key), value) in &model {
                    let latest = Reader::latest(&shared, *partition, key).unwrap();
                    prop_assert_eq!(latest.as_ref(), Some(value));
                }
            }
            held.push((State::begin(Reader::take(&shared).unwrap()).unwrap(), model));
            for (state, model) in &held {
                compare(state, model);
            }
        }
    }

    /// Whoever put rows into the table panicked; the journal's row behind them must not come there without them.
    #[test]
    fn rows_that_were_on_their_way_are_not_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e.db");
        let (shared, behind) = open(&path);
        for number in 0..3 {
            let change = (vec![number], Some(vec![number]));
            shared.memtable.insert(&mut [request(1, None, vec![change])], None);
            if number == 0 {
                drop(shared.memtable.rotate());
            }
        }
        behind.flush().unwrap();
        assert!(shared.memtable.view(|| Err(())).is_ok(), "nothing is left");
        let state = State::begin(Reader::take(&shared).unwrap()).unwrap();
        for number in 0..3 {
            assert_eq!(state.get(1, &[number]).unwrap(), Some(vec![number]));
        }
    }

    /// A state is that of one moment while rows go from the memtable into the table.
    #[test]
    fn no_state_is_torn_by_rows_that_move() {
        const COMMITS: u64 = 4000;
        let dir = tempfile::tempdir().unwrap();
        let (shared, behind) = open(&dir.path().join("e.db"));
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..COMMITS {
                    let value = (number + 1).to_be_bytes().to_vec();
                    let keys = [b"a".to_vec(), [b"b", &number.to_be_bytes()[6..]].concat(), b"c".to_vec()];
                    let changes = keys.into_iter().map(|key| (key, Some(value.clone()))).collect();
                    let mut group = [request(1, Some(number), changes), request(2, Some(number), Vec::new())];
                    shared.memtable.insert(&mut group, None);
                }
                ended.store(true, Ordering::SeqCst);
            });
            scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    behind.flush().unwrap();
                }
            });
            let mut last = 0;
            while last < COMMITS {
                let state = State::begin(Reader::take(&shared).unwrap()).unwrap();
                let number = |value: Option<Vec<u8>>| {
                    value.map_or(0, |value| u64::from_be_bytes(value.try_into().unwrap()))
                };
                let now = number(state.get(2, VERSION_KEY).unwrap());
                assert!(now >= last, "{now} after {last}");
                for key in [VERSION_KEY, b"a", b"c"] {
                    assert_eq!(number(state.get(1, key).unwrap()), now);
                }
                assert_eq!(number(state.floor(1, b"b", b"b\xff\xff").unwrap().map(|(_, value)| value)), now);
                last = now;
            }
        });
    }
}
