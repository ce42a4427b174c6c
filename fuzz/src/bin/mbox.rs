//! Law of the reader of mbox files: whatever the file holds, messages lie one behind
//! the other within it, each behind a `From ` line, and nothing panics.

#![no_main]
// The target uses one part of the module.
#![allow(dead_code, unused_imports, missing_docs)]

#[path = "../../../crates/server/src/import/mbox.rs"]
mod mbox;
#[path = "../../../crates/server/src/import/names.rs"]
mod names;
#[path = "../../../crates/server/src/import/when.rs"]
mod when;

/// As in the module that these parts belong to.
#[derive(Debug)]
pub enum Error {
    Io(PathBuf, io::Error),
}

/// Likewise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub seen: bool,
    pub answered: bool,
    pub flagged: bool,
    pub deleted: bool,
    pub draft: bool,
}

use libfuzzer_sys::fuzz_target;
use mbox::{Messages, estimate};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// One file in memory for all inputs.
fn file() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| Path::new("/dev/shm").join(format!("sealpost-fuzz-mbox-{}", std::process::id())))
}

fuzz_target!(|input: &[u8]| {
    let path = file();
    let mut writer = std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(path)
        .expect("shared memory can be written");
    writer.write_all(input).expect("shared memory can be written");
    let mut end = 0;
    let mut count = 0;
    for span in Messages::open(path).expect("it was written just now") {
        let span = span.expect("memory can be read");
        assert!(end <= span.from_line && span.from_line < span.start, "{span:?} behind {end}");
        end = span.start + span.bytes;
        assert!(end <= input.len() as u64, "{span:?} is longer than the file");
        let line = &input[usize::try_from(span.from_line).expect("small")..];
        assert!(line.starts_with(b"From "), "{span:?}");
        count += 1;
    }
    assert_eq!(estimate(path).expect("memory can be read"), (count, input.len() as u64));
    std::fs::remove_file(path).expect("it was written just now");
});
