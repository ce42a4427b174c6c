//! Law of IMAP's server: whatever a client says, in whatever cuts, the conversation
//! is the same, memory is bounded, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::proof::How;
use sealpost_fuzz::{choice, cuts};
use testkit::laws;

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let how = [How::Implicit, How::Clear, How::StartTls][choice(&mut input) % 3];
    let logged_in = choice(&mut input) % 2 == 0;
    let cuts = cuts(&mut input);
    laws::imap_server(input, &cuts, how, logged_in);
});
