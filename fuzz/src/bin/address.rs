//! Law of addresses: what is read is written so that it reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use testkit::laws;

fuzz_target!(|input: &str| laws::address(input));
