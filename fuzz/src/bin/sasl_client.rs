//! Law of a SASL exchange at the client, of each mechanism: whatever a server sends,
//! a client with SCRAM believes none that did not prove itself, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::sasl::Mechanism;
use sealpost_fuzz::{choice, messages};
use testkit::laws;

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let mechanism = Mechanism::ALL[choice(&mut input) % Mechanism::ALL.len()];
    laws::sasl_client(mechanism, &messages(input));
});
