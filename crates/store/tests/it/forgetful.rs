//! A disk that forgets what was not synced. It keeps for every file what a sync covered and the writes since,
//! and for every directory the names that a sync covered and the changes since; at the loss of power each
//! of the later ones is there, is not there, or is there by half, as a seed decides.
//!
//! Reads go past a `Disk`, so the real files hold everything; [`Forgetful::lose_power`] then rewrites them. The database's log is
//! cut anywhere behind what was synced of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use store::disk::{Disk, Real};

/// What a disk writes as a whole or not at all.
const SECTOR: usize = 512;

/// Which promise the disk breaks, to show that the tests would see a sync that was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    AllKept,
    FileSyncsBroken,
    DirSyncsBroken,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

/// One file, by the number of its inode.
#[derive(Debug, Default)]
struct Content {
    synced: Vec<u8>,
    later: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Naming {
    Add(PathBuf, u64),
    Remove(PathBuf),
}

#[derive(Debug, Default)]
struct State {
    contents: BTreeMap<u64, Content>,
    synced_names: BTreeMap<PathBuf, u64>,
    later_names: Vec<Naming>,
    /// Files that are held, so that the number of an inode is not given again.
    held: Vec<File>,
    operations_left: u64,
    /// The database's log when it was synced last.
    log: Log,
    /// The database and its log when the power went, and how it was with the log.
    database: Option<(Vec<u8>, Vec<u8>, Log)>,
}

/// How far the database's log is, as its shared index says.
#[derive(Clone, Copy, Debug, Default)]
struct Log {
    /// Another one after each beginning.
    salt: [u8; 8],
    frames: u32,
    /// Frames that are in the database, synced.
    copied: u32,
}

impl Log {
    fn of(database: &Path) -> Log {
        let index = std::fs::read(database.with_extension("db-shm")).unwrap_or_default();
        let number =
            |at: usize| index.get(at..at + 4).map_or(0, |n| u32::from_ne_bytes(n.try_into().unwrap()));
        let salt = index.get(32..40).map_or([0; 8], |salt| salt.try_into().unwrap());
        Log { salt, frames: number(16), copied: number(96) }
    }
}

/// Octets of the log's header and of a frame.
const LOG_HEADER: usize = 32;
const LOG_FRAME: usize = 24 + 8192;

/// See above.
#[derive(Debug)]
pub struct Forgetful {
    state: Mutex<State>,
    promise: Promise,
    dirs: [PathBuf; 2],
    database: PathBuf,
}

/// A small generator: the same seed gives the same loss.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (from, to) = (offset as usize, offset as usize + bytes.len());
    if content.len() < to {
        content.resize(to, 0);
    }
    content[from..to].copy_from_slice(bytes);
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, bytes) => put(content, *offset, bytes),
        Change::Truncate(len) => content.resize(*len as usize, 0),
    }
}

impl Forgetful {
    /// A disk with the files that are under the store's directory `dir` now, all of them synced. After so
    /// many operations the power is gone: everything fails.
    pub fn new(dir: &Path, operations: u64, promise: Promise) -> Forgetful {
        let dirs = [dir.join("blobs"), dir.join("spool")];
        let mut state = State { operations_left: operations, ..State::default() };
        for dir in dirs.iter().filter(|dir| dir.exists()) {
            for item in std::fs::read_dir(dir).unwrap() {
                let path = item.unwrap().path();
                let file = File::open(&path).unwrap();
                let inode = file.metadata().unwrap().ino();
                let synced = std::fs::read(&path).unwrap();
                state.contents.insert(inode, Content { synced, later: Vec::new() });
                state.synced_names.insert(path, inode);
                state.held.push(file);
            }
        }
        Forgetful { state: Mutex::new(state), promise, dirs, database: dir.join("store.db") }
    }

    /// Runs `operation` if there is power, and notes what it changed.
    fn step<T>(&self, operation: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock().unwrap();
        if state.operations_left == 0 {
            self.go_dark(&mut state);
            return Err(io::Error::from_raw_os_error(5));
        }
        state.operations_left -= 1;
        operation(&mut state)
    }

    /// The power goes. What the database does from here on did not happen.
    fn go_dark(&self, state: &mut State) {
        state.operations_left = 0;
        if state.database.is_none() {
            let read = |path: &Path| std::fs::read(path).unwrap_or_default();
            // In this order: what is added or copied meanwhile is too much rather than too little.
            let then = Log::of(&self.database);
            let log = read(&self.database.with_extension("db-wal"));
            state.database = Some((read(&self.database), log, then));
        }
    }

    /// True if the power went before this.
    pub fn is_dark(&self) -> bool {
        self.state.lock().unwrap().database.is_some()
    }

    /// From here on nothing reaches the disk.
    pub fn cut(&self) {
        self.go_dark(&mut self.state.lock().unwrap());
    }

    /// Puts the database back as it was, with a log of which anything behind the last sync may be lost.
    fn lose_log(&self, state: &State, dice: &mut Dice) {
        let Some((database, log, then)) = &state.database else { return };
        let synced = if then.salt == state.log.salt { state.log.frames } else { 0 };
        let kept = synced.max(then.copied);
        let more = dice.below(u64::from(then.frames.saturating_sub(kept)) + 1) as usize;
        let torn = if dice.below(2) == 0 { 0 } else { dice.below(LOG_FRAME as u64) as usize };
        let end = LOG_HEADER + (kept as usize + more) * LOG_FRAME + torn;
        std::fs::write(&self.database, database).unwrap();
        std::fs::write(self.database.with_extension("db-wal"), &log[..end.min(log.len())]).unwrap();
        drop(std::fs::remove_file(self.database.with_extension("db-shm")));
    }

    /// Makes the real files what a disk may hold after the loss of power.
    pub fn lose_power(&self, seed: u64) {
        let state = self.state.lock().unwrap();
        let mut dice = Dice(seed);
        // Now and then everything since the sync is lost, now and then nothing, most often some of it.
        let kept_of_four = dice.below(5);
        let kept = |dice: &mut Dice| dice.below(4) < kept_of_four;
        self.lose_log(&state, &mut dice);
        let mut names = state.synced_names.clone();
        for naming in &state.later_names {
            if kept(&mut dice) {
                match naming {
                    Naming::Add(path, inode) => drop(names.insert(path.clone(), *inode)),
                    Naming::Remove(path) => drop(names.remove(path)),
                }
            }
        }
        for dir in &self.dirs {
            for item in std::fs::read_dir(dir).into_iter().flatten() {
                std::fs::remove_file(item.unwrap().path()).unwrap();
            }
        }
        for (path, inode) in names {
            let content = &state.contents[&inode];
            let mut bytes = content.synced.clone();
            for change in &content.later {
                match change {
                    // Each sector by itself, in any order of arrival.
                    Change::Write(offset, written) => {
                        for (n, sector) in written.chunks(SECTOR).enumerate() {
                            if kept(&mut dice) {
                                put(&mut bytes, offset + (n * SECTOR) as u64, sector);
                            }
                        }
                    }
                    Change::Truncate(_) if kept(&mut dice) => apply(&mut bytes, change),
                    Change::Truncate(_) => {}
                }
            }
            std::fs::write(path, bytes).unwrap();
        }
    }
}

fn inode(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.ino())
}

impl Disk for Forgetful {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.step(|state| {
            let file = Real.create(path)?;
            let inode = inode(&file)?;
            state.contents.insert(inode, Content::default());
            state.later_names.push(Naming::Add(path.to_owned(), inode));
            state.held.push(file.try_clone()?);
            Ok(file)
        })
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        self.step(|_| Real.open(path))
    }

    fn write_at(&self, file: &File, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.step(|state| {
            let whole: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
            Real.write_at(file, pieces, offset)?;
            let content =
                state.contents.get_mut(&inode(file)?).expect("every file was created or found here");
            content.later.push(Change::Write(offset, whole));
            Ok(())
        })
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.step(|state| {
            if self.promise != Promise::FileSyncsBroken {
                let content =
                    state.contents.get_mut(&inode(file)?).expect("every file was created or found here");
                for change in std::mem::take(&mut content.later) {
                    apply(&mut content.synced, &change);
                }
            }
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(|state| {
            if self.promise != Promise::DirSyncsBroken {
                let here = |naming: &Naming| match naming {
                    Naming::Add(path, _) | Naming::Remove(path) => path.parent() == Some(dir),
                };
                let (done, later) = std::mem::take(&mut state.later_names).into_iter().partition(here);
                state.later_names = later;
                let done: Vec<Naming> = done;
                for naming in done {
                    match naming {
                        Naming::Add(path, inode) => drop(state.synced_names.insert(path, inode)),
                        Naming::Remove(path) => drop(state.synced_names.remove(&path)),
                    }
                }
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|state| {
            let inode = std::fs::metadata(from)?.ino();
            Real.rename(from, to)?;
            state.later_names.push(Naming::Add(to.to_owned(), inode));
            state.later_names.push(Naming::Remove(from.to_owned()));
            Ok(())
        })
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        self.step(|state| {
            Real.truncate(file, len)?;
            let content =
                state.contents.get_mut(&inode(file)?).expect("every file was created or found here");
            content.later.push(Change::Truncate(len));
            Ok(())
        })
    }

    fn log_synced(&self, path: &Path) {
        let mut state = self.state.lock().unwrap();
        if state.database.is_none() {
            state.log = Log::of(path);
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(|state| {
            Real.remove(path)?;
            state.later_names.push(Naming::Remove(path.to_owned()));
            Ok(())
        })
    }
}
