//! Law of the import's line ends: whatever the octets and however they come in
//! pieces, the output is the same, has no lone CR or LF, and translating it again
//! changes nothing (without unquoting).

#![no_main]

#[path = "../../../crates/server/src/import/newlines.rs"]
mod newlines;

use libfuzzer_sys::fuzz_target;
use newlines::Newlines;
use std::io::{BufReader, Read};

fn read(bytes: &[u8], unquote: bool, piece: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let reader = BufReader::with_capacity(piece.max(1), bytes);
    Newlines::new(reader, unquote).read_to_end(&mut out).expect("reading memory does not fail");
    out
}

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (piece, unquote, bytes) = input;
    let whole = read(bytes, unquote, bytes.len());
    assert_eq!(whole, read(bytes, unquote, usize::from(piece)));
    let pairs = whole.windows(2).filter(|w| w == b"\r\n").count();
    assert_eq!(whole.iter().filter(|b| **b == b'\r').count(), pairs);
    assert_eq!(whole.iter().filter(|b| **b == b'\n').count(), pairs);
    assert_eq!(whole, read(&whole, false, 4096));
});
