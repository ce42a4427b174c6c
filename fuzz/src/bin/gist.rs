//! Law of gists: any message has one, however it is cut; what it says is well-formed and its parts lie within it. A
//! damaged gist does no harm.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost_fuzz::{choice, cuts};
use testkit::message;

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let damaged = choice(&mut input) % 4 == 3;
    let cuts = cuts(&mut input);
    if damaged {
        message::damaged_gists(input);
    } else {
        message::gists(input, &cuts);
    }
});
