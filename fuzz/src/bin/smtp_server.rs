//! Law of SMTP's server: whatever a client says, in whatever cuts, the conversation
//! is the same, memory is bounded, every reply is a line, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::smtp::Role;
use sealpost_fuzz::{choice, cuts};
use testkit::laws;

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let chosen = choice(&mut input);
    let cuts = cuts(&mut input);
    let role = [Role::Exchange, Role::Submission, Role::Lmtp][chosen % 3];
    let setup = laws::smtp_setup(role, chosen & 16 != 0, chosen & 32 != 0);
    laws::smtp_server(input, &cuts, &setup);
});
