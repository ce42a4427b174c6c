//! Law of the header's reader: its raw fields, joined, are the header; the mailboxes
//! of a field are not longer than the field; nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use testkit::laws;

fuzz_target!(|input: &[u8]| {
    laws::header(input);
    laws::mailboxes(&String::from_utf8_lossy(input));
});
