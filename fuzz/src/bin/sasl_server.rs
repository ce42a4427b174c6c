//! Law of a SASL exchange at the server, of each mechanism: whatever a client sends,
//! nobody but the one user who knows the password comes out of it, what is over
//! stays over, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::sasl::Mechanism;
use sealpost_fuzz::{choice, messages};
use testkit::laws;

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let mechanism = Mechanism::ALL[choice(&mut input) % Mechanism::ALL.len()];
    let sent_first = choice(&mut input) % 2 == 1;
    let messages = messages(input);
    match messages.split_first() {
        Some((first, rest)) if sent_first => laws::sasl_server(mechanism, Some(first), rest),
        _ => laws::sasl_server(mechanism, None, &messages),
    }
});
