//! What lasts: the engine, message bodies, accounts, the directory.
//!
//! Knows no network protocol. Every transaction belongs to one account (the
//! directory and other things of the whole service live in partitions of
//! their own). What returns `Ok` is durable: a change is answered after one sync of the active segment, in which it
//! was written with the bodies that it refers to; the database follows (`engine::journal`).

pub mod account;
pub mod blob;
mod check;
mod codec;
mod compact;
pub mod disk;
pub mod engine;
mod error;
mod key;
mod lock;
mod maintain;
mod pledge;
mod row;
pub mod search;
pub mod system;

pub use check::Report;
pub use compact::Compacted;
pub use error::Error;

use account::Accounts;
use compact::Compactor;
use engine::{Batch, CommitError, Engine, Prepared};
use maintain::Maintenance;
use proto::proof::AccountId;
use row::Settled;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bodies up to this many octets are held in memory until they are committed (default 128 KiB).
    pub body_memory_bytes_max: usize,
    /// Bodies from this many octets on get a segment of their own (default 2 MiB).
    pub body_own_segment_bytes_min: u64,
    /// A shared segment is sealed at this size (default 256 MiB).
    pub segment_bytes_max: u64,
    /// Octets of changes that are held in the active segment until the database is durable without them (default 4 MiB).
    pub records_bytes_max: u64,
    /// Octets of what searches of header fields, sorting and threading hold in memory (default 256 MiB).
    pub columns_cache_bytes_max: usize,
    /// Octets of the search index that are held in memory (default 256 MiB).
    pub term_cache_bytes_max: usize,
    /// Open mailboxes that nobody uses stay in memory up to so many octets (default 256 MiB); those that a session uses are
    /// not counted.
    pub view_cache_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            body_memory_bytes_max: 128 << 10,
            body_own_segment_bytes_min: 2 << 20,
            segment_bytes_max: 256 << 20,
            records_bytes_max: 4 << 20,
            columns_cache_bytes_max: 256 << 20,
            term_cache_bytes_max: 256 << 20,
            view_cache_bytes_max: 256 << 20,
        }
    }
}

/// What a store holds in memory for as long as somebody is likely to want it again, beside what sessions hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Accounts that were changed lately, of which it is known what the next change needs: 2,048 at most, each for
    /// some minutes.
    pub accounts: usize,
    /// Mailboxes that are open or were lately.
    pub views: usize,
    /// Octets of them; of those that no session has, [`Options::view_cache_bytes_max`] at most.
    pub view_bytes: u64,
    /// See [`Options::columns_cache_bytes_max`].
    pub column_bytes: u64,
    /// See [`Options::term_cache_bytes_max`].
    pub term_bytes: u64,
    /// Octets of words of new messages: 96 MiB at most, and what one message more has.
    pub tail_bytes: u64,
    /// New messages whose words are searched in memory, because they are in no block yet.
    pub tail_messages: u64,
}

/// An open store; clones share it. Closed when the last one is dropped, if not before.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Arc<dyn Engine>,
    bodies: blob::Bodies,
    accounts: Arc<Accounts>,
    directory: system::directory::Directory,
    pending: system::pending::Pending,
    ledger: system::ledger::Ledger,
    compactor: Arc<Compactor>,
    maintenance: Maintenance,
    indexer: Mutex<Option<search::Indexer>>,
    seed: Seed,
    lock: Mutex<Option<lock::DirLock>>,
    closed: AtomicBool,
}

/// Not to be printed.
struct Seed([u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// The file of rows within the store's directory.
const DATABASE: &str = "store.db";

impl Store {
    /// Opens or creates the store in `dir`; one process at a time ([`Error::InUse`]).
    pub fn open(dir: &Path, options: Options) -> Result<Store, Error> {
        Store::open_on(dir, options, Arc::new(disk::Real))
    }

    /// Is there a store in `dir`? Nothing is opened or made.
    #[must_use]
    pub fn is_at(dir: &Path) -> bool {
        dir.join(DATABASE).exists()
    }

    /// The same on a disk of the caller's choice for the bodies, for tests of failing disks.
    pub fn open_on(dir: &Path, options: Options, disk: Arc<dyn disk::Disk>) -> Result<Store, Error> {
        make_dir(dir)?;
        let lock = lock::DirLock::take(dir)?;
        let prepared = Prepared::open(&dir.join(DATABASE), disk.clone())?;
        let settled = prepared.get(&key::settled())?;
        let settled = settled.map_or(Ok(Settled::default()), |bytes| Settled::decode(&bytes))?;
        let (bodies, log, records) =
            blob::Bodies::open(dir, options.clone(), disk, &settled, prepared.nudge())?;
        let engine: Arc<dyn Engine> = Arc::new(prepared.start(Some(Box::new(log)), &records)?);
        let seed = seed(&*engine)?;
        let search = search::Search::new(engine.clone(), bodies.clone(), &options);
        let pending = system::pending::Pending::open(engine.clone(), bodies.clone())?;
        let accounts = Arc::new(Accounts::new(
            engine.clone(),
            bodies.clone(),
            pending.tokens(),
            search.clone(),
            options.view_cache_bytes_max,
        ));
        let directory = system::directory::Directory::new(engine.clone(), accounts.clone());
        let ledger = system::ledger::Ledger::new(engine.clone());
        let compactor =
            Arc::new(Compactor::new(engine.clone(), bodies.clone(), accounts.clone(), pending.clone()));
        let maintenance =
            Maintenance::start(engine.clone(), accounts.clone(), ledger.clone(), compactor.clone())?;
        let indexer = Mutex::new(Some(search::Indexer::start(search)?));
        let inner = Inner {
            engine,
            bodies,
            accounts,
            directory,
            pending,
            ledger,
            compactor,
            maintenance,
            indexer,
            seed: Seed(seed),
            lock: Mutex::new(Some(lock)),
            closed: AtomicBool::new(false),
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// Flushes, checkpoints and closes; later calls on clones answer [`Error::Closed`].
    pub fn close(&self) -> Result<(), Error> {
        self.inner.close()
    }

    /// Domains, accounts, aliases, credentials.
    pub fn directory(&self) -> &system::directory::Directory {
        &self.inner.directory
    }

    /// One account's mail. Cheap; the account need not be loaded.
    pub fn account(&self, id: AccountId) -> account::Account {
        account::Account::new(id, self.inner.accounts.clone())
    }

    /// Message bodies.
    pub fn bodies(&self) -> &blob::Bodies {
        &self.inner.bodies
    }

    /// Mail accepted for several recipients and not yet in all their mailboxes.
    pub fn pending(&self) -> &system::pending::Pending {
        &self.inner.pending
    }

    /// Session facts.
    pub fn ledger(&self) -> &system::ledger::Ledger {
        &self.inner.ledger
    }

    /// A secret of this store, 32 random bytes made at its creation: for salts of
    /// users who do not exist and the like.
    pub fn seed(&self) -> &[u8; 32] {
        &self.inner.seed.0
    }

    /// How often anything was made durable since the store was opened: bodies and commits share syncs.
    pub fn syncs(&self) -> u64 {
        self.inner.engine.syncs() + self.inner.bodies.syncs()
    }

    /// Puts all that was committed into the database, for tools that read it by themselves; the store does it by itself a moment after each
    /// commit. Blocks for the disk.
    pub fn settle(&self) -> Result<(), Error> {
        self.inner.engine.settle()
    }

    /// Reclaims what removed messages occupy: copies what is left of mostly dead segments, and
    /// deletes the segments that were emptied `grace_seconds` or more before `now` (Unix seconds). The store does
    /// it by itself from time to time. Blocks for the disk.
    pub fn compact(&self, now: i64, grace_seconds: i64) -> Result<Compacted, Error> {
        self.inner.compactor.run(now, grace_seconds)
    }

    /// Removes what deleted mailboxes and messages have left. The store does it by itself soon after. Blocks for the disk.
    pub fn sweep(&self) -> Result<(), Error> {
        account::sweep(&self.inner.accounts, &mut || true).map(drop)
    }

    /// What it holds in memory.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let accounts = &self.inner.accounts;
        let (views, view_bytes) = accounts.views().held();
        let (column_bytes, term_bytes) = accounts.search().held();
        let (tail_bytes, tail_messages) = accounts.search().gathered();
        Memory {
            accounts: accounts.warm_accounts(),
            views,
            view_bytes,
            column_bytes,
            term_bytes,
            tail_bytes,
            tail_messages,
        }
    }

    /// Lets go of what is held for accounts that were not changed since the last call, and of mailboxes beyond their limit. The
    /// store does it by itself from time to time.
    pub fn let_go(&self) {
        self.inner.accounts.trim_heads();
        self.inner.accounts.trim_views();
    }

    /// Checks everything; `progress` gets (done, total) steps. Blocks for the disk; the store may be at work.
    pub fn check(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, Error> {
        let _no_compaction = self.inner.compactor.pause();
        check::run(&*self.inner.engine, &self.inner.bodies, progress)
    }
}

impl Inner {
    fn close(&self) -> Result<(), Error> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.compactor.stop();
        // It is whole after any panic; dropping it ends its thread.
        drop(self.indexer.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.maintenance.stop();
        let written = self.ledger.write();
        self.bodies.close();
        self.accounts.close();
        self.engine.close()?;
        self.accounts.forget_heads();
        // The lock is a file handle; it is whole after any panic.
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        written
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the store did not close well");
        }
    }
}

/// Makes the directory if there is none, for its owner alone: it holds mail and credentials.
fn make_dir(dir: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    // Those above it may be new too, and a name is durable only when the directory that holds it is.
    let new: Vec<&Path> =
        dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()).collect();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    new.into_iter().rev().try_for_each(disk::sync_parent)
}

/// The store's seed, made now if there is none.
fn seed(engine: &dyn Engine) -> Result<[u8; 32], Error> {
    if let Some(found) = engine.get(key::SYSTEM, &key::seed())? {
        return found.try_into().map_err(|_| Error::Damaged("the seed is not 32 octets".to_owned()));
    }
    let mut seed = [0u8; 32];
    let mut file = std::fs::File::open("/dev/urandom")?;
    std::io::Read::read_exact(&mut file, &mut seed)?;
    let mut batch = Batch::default();
    batch.put(key::seed(), seed.to_vec());
    engine::commit_wait(engine, key::SYSTEM, None, batch).map_err(CommitError::into_error)?;
    Ok(seed)
}
