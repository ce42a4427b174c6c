//! Law of the ClientHello's parser: an answer other than "need more" is final, and
//! nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| proto::hello::law(input));
