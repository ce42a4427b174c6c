//! Law of xtext: what is encoded is decoded again, and cannot end its word.

#![no_main]

use libfuzzer_sys::fuzz_target;
use testkit::laws;

fuzz_target!(|input: &str| laws::xtext(input));
