//! Law of mailbox names: one form in modified UTF-7 for each name, and one name for each form.

#![no_main]

use libfuzzer_sys::fuzz_target;
use testkit::imap_grammar;

fuzz_target!(|input: &[u8]| imap_grammar::mailbox_name(input));
