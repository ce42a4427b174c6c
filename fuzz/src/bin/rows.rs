//! Law of the store's rows: damaged ones are refused and never panic or take memory
//! that they are not long; one that is read is written so that it reads the same.

#![no_main]
// The rows stand here as they stand in the store, which keeps them to itself.
#![allow(dead_code, unused_imports)]

#[path = "../../../crates/store/src/codec.rs"]
mod codec;
#[path = "../../../crates/store/src/row/mod.rs"]
mod row;

/// Where `row` and `codec` look for what they are about.
mod account {
    pub(crate) use store::account::*;

    /// The store has it for itself alone.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct WideChange {
        pub(crate) modseq: u64,
        pub(crate) clear: u64,
        pub(crate) set: u64,
        pub(crate) uids: Vec<(u32, u32)>,
    }
}
mod blob {
    pub(crate) use store::blob::BodyRef;
}
mod system {
    pub(crate) use store::system::*;
}

use libfuzzer_sys::fuzz_target;
use row::*;
use sealpost_fuzz::choice;
use std::fmt::Debug;
use store::Error;
use store::account::DetailRef;

fn law<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, Error>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    let Ok(value) = decode(bytes) else { return };
    let written = encode(&value);
    match decode(&written) {
        Ok(again) => assert_eq!(again, value),
        Err(error) => panic!("{error}: {value:?} was written as {written:?}"),
    }
}

fn records(bytes: &[u8]) -> Result<Vec<store::account::MessageRow>, Error> {
    let mut rows = Vec::new();
    decode_record(bytes, &mut rows)?;
    assert!(rows.capacity() <= 4 * bytes.len() + 4, "{} rows of {} octets", rows.capacity(), bytes.len());
    Ok(rows)
}

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    match choice(&mut input) % 18 {
        0 => law(input, HeadRow::decode, HeadRow::encode),
        1 => law(input, MailboxRow::decode, MailboxRow::encode),
        2 => law(input, decode_number, |n| encode_number(*n)),
        3 => law(input, |b| decode_tail(7, b), |row| encode_tail(row.as_ref())),
        4 => law(input, records, |rows| encode_record(rows)),
        5 => law(input, decode_detail, |detail| {
            let store::account::Detail { prefix, body, header_bytes, saved, gist } = detail;
            let (body, header_bytes, saved) = (body.clone(), *header_bytes, *saved);
            encode_detail_ref(&DetailRef { uid: 0, prefix, body, header_bytes, saved, gist })
        }),
        6 => law(input, TokenRow::decode, TokenRow::encode),
        7 => law(input, decode_change, |items| encode_change(items)),
        8 => law(input, decode_domain, encode_domain),
        9 => law(input, decode_account, encode_account),
        10 => law(input, decode_credentials, encode_credentials),
        11 => law(input, decode_alias, |(address, targets)| encode_alias(address, targets)),
        12 => law(input, Settled::decode, Settled::encode),
        13 => law(input, decode_entry, encode_entry),
        14 => law(input, decode_fact, encode_fact),
        15 => law(input, decode_exception, encode_exception),
        16 => law(input, |b| decode_wide_change(7, b), encode_wide_change),
        _ => law(input, |b| decode_marks(7, b), |marks| encode_marks(7, marks)),
    }
});
