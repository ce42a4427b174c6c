//! Laws of the hello that the doctor writes by hand: what a server answers is read in one way only, however it is cut,
//! and what is offered reads as it was meant.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::hello::offer::{self, Offer};
use proto::hello::{SSL3, TLS12};
use sealpost_fuzz::choice;

/// The law of answers reads each beginning of them; what is longer than this only takes longer.
const ANSWER_BYTES_MAX: usize = 600;

fuzz_target!(|input: &[u8]| {
    offer::law(&input[..input.len().min(ANSWER_BYTES_MAX)]);
    let mut rest = input;
    let versions = usize::from(TLS12 - SSL3) + 1;
    let version = SSL3 + (choice(&mut rest) % versions) as u16;
    let (suites, name) = rest.split_at(2 * choice(&mut rest).min(rest.len() / 2));
    let suites: Vec<u16> = suites.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let name = std::str::from_utf8(&name[..name.len().min(255)]).ok();
    offer::law_of_writing(&Offer { version, suites: &suites, server_name: name, random: [7; 32] });
});
