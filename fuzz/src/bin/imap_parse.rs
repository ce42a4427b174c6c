//! Law of IMAP's commands: any bytes are refused or understood; what was understood means the
//! same when it is written and read again, and is not larger than what came.

#![no_main]

use libfuzzer_sys::fuzz_target;
use testkit::imap_grammar;

fuzz_target!(|input: &[u8]| imap_grammar::command(input));
