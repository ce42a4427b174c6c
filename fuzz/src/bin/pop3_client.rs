//! Law of POP3's client: whatever a server says, in whatever cuts, to whatever was
//! asked, it tells the same, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost_fuzz::{choice, cuts};
use testkit::laws;

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let count = choice(&mut input) % 8;
    let (asked, said) = input.split_at(count.min(input.len()));
    let mut said = said;
    let cuts = cuts(&mut said);
    laws::pop3_client(asked, said, &cuts);
});
