//! Law of the intake: cuts do not matter; fields that are not ours to touch, and the
//! body, come out octet for octet; the header stays within its limit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost_fuzz::{choice, cuts};
use testkit::laws;

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let submission = choice(&mut input) % 2 == 1;
    let cuts = cuts(&mut input);
    laws::intake(input, &cuts, submission);
});
