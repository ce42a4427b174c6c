//! Law of texts: no cut changes what is decoded, any octets give text, a base subject is its own.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost_fuzz::{choice, cuts};
use testkit::message;

const CHARSETS: [&str; 8] =
    ["", "utf-8", "utf-7", "iso-2022-jp", "gb18030", "utf-16", "windows-1252", "shift_jis"];

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let charset = CHARSETS[choice(&mut input) % CHARSETS.len()];
    let cuts = cuts(&mut input);
    message::texts(input, &cuts, charset);
});
