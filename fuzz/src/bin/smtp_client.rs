//! Law of SMTP's client: whatever a server says, in whatever cuts, it tells and says
//! the same, holds no more than one reply line, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::proof::{How, Security};
use proto::smtp::Role;
use sealpost_fuzz::{choice, cuts};
use testkit::{laws, smtp};

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let chosen = choice(&mut input);
    let cuts = cuts(&mut input);
    let role = [Role::Exchange, Role::Submission, Role::Lmtp][chosen % 3];
    let security = match chosen & 48 {
        0 => Security::clear(),
        16 => smtp::tls(How::StartTls),
        _ => smtp::tls(How::Implicit),
    };
    laws::smtp_client(input, &cuts, role, &security);
});
