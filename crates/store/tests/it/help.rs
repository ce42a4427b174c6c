//! What the tests share: stores with an account, deliveries, a disk that fails when told to.

use proto::message::gist::{Limits, Scanner};
use proto::proof::AccountId;
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use store::account::{Delivery, Flags};
use store::blob::BodyRef;
use store::disk::{Disk, Real};
use store::system::directory::{AccountRecord, Credentials, Domain};
use store::{Error, Options, Store};

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Small limits, so that every path is taken with little data.
pub fn small() -> Options {
    Options {
        body_memory_bytes_max: 64 << 10,
        body_own_segment_bytes_min: 300 << 10,
        segment_bytes_max: 256 << 10,
        records_bytes_max: 8 << 10,
        view_cache_bytes_max: 1 << 20,
        ..Options::default()
    }
}

pub fn domain(name: &str) -> Domain {
    Domain::named(name)
}

pub fn record(address: &str) -> AccountRecord {
    AccountRecord {
        id: AccountId(0),
        address: address.to_owned(),
        name: String::new(),
        enabled: true,
        quota_bytes: None,
        quota_messages: None,
        created: 0,
    }
}

pub fn credentials() -> Credentials {
    Credentials { salt: vec![1; 16], iterations: 4096, generation: 1, list: Vec::new() }
}

/// A store with accounts `user0@x.test` and so on.
pub async fn people(store: &Store, count: usize) -> Vec<AccountId> {
    let directory = store.directory();
    directory.put_domain(domain("x.test"), false).await.unwrap();
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(directory.add_account(record(&format!("user{n}@x.test")), credentials()).await.unwrap());
    }
    ids
}

/// A body as deliveries have it: placed, and not always durable yet.
pub async fn body(store: &Store, content: &[u8]) -> Result<BodyRef, Error> {
    let mut writer = store.bodies().writer();
    for piece in content.chunks(10_000) {
        writer.write(piece).await?;
    }
    writer.place().await
}

pub async fn content(store: &Store, body: &BodyRef) -> Result<Vec<u8>, Error> {
    let mut reader = store.bodies().read(body, 0..u64::MAX);
    let mut out = Vec::new();
    while let Some(piece) = reader.next().await? {
        assert!(piece.len() <= 64 << 10);
        out.extend_from_slice(&piece);
    }
    Ok(out)
}

pub fn delivery(body: BodyRef) -> Delivery {
    Delivery {
        mailbox: "INBOX".to_owned(),
        prefix: b"P: 1\r\n".to_vec(),
        header_bytes: body.len.min(6),
        body,
        flags: Flags::default(),
        keywords: Vec::new(),
        gist: Vec::new(),
        received: 1_700_000_000,
        saved: 1_700_000_000,
        token: None,
        quota: true,
    }
}

/// A message that is read as one, with its gist.
pub async fn mail(store: &Store, octets: &[u8]) -> Result<Delivery, Error> {
    let mut scanner = Scanner::new(Limits::default());
    scanner.feed(octets);
    let header = octets.windows(4).position(|w| w == b"\r\n\r\n").map_or(octets.len(), |at| at + 4);
    let made = delivery(body(store, octets).await?);
    let header_bytes = made.prefix.len() as u64 + header as u64;
    Ok(Delivery { gist: scanner.finish(), header_bytes, ..made })
}

/// Content that tells which message it is.
pub fn text(n: u64, len: usize) -> Vec<u8> {
    let mut out = n.to_le_bytes().to_vec();
    out.extend((0..len).map(|i| (i as u64).wrapping_mul(n | 1) as u8));
    out
}

pub fn clean(store: &Store) -> store::Report {
    let report = store.check(&mut |_, _| ()).unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
    report
}

/// A disk on which everything fails once so many operations were done; a write that fails is done by half.
#[derive(Debug)]
pub struct Failing {
    left: AtomicI64,
    code: i32,
}

impl Failing {
    /// `code` is the system's number of the error.
    pub fn after(operations: i64, code: i32) -> Failing {
        Failing { left: AtomicI64::new(operations), code }
    }

    pub fn set(&self, operations: i64) {
        self.left.store(operations, Ordering::SeqCst);
    }

    fn step(&self) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        self.left.store(0, Ordering::SeqCst);
        Err(io::Error::from_raw_os_error(self.code))
    }
}

impl Disk for Failing {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        Real.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        Real.open(path)
    }
    fn write_at(&self, file: &File, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        if let Err(error) = self.step() {
            let whole: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
            Real.write_at(file, &[IoSlice::new(&whole[..whole.len() / 2])], offset)?;
            return Err(error);
        }
        Real.write_at(file, pieces, offset)
    }
    fn sync(&self, file: &File) -> io::Result<()> {
        self.step()?;
        Real.sync(file)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step()?;
        Real.sync_dir(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        Real.rename(from, to)
    }
    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        self.step()?;
        Real.truncate(file, len)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        Real.remove(path)
    }
}
