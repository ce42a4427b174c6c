//! For tests: the format of transcripts, small fixed sessions above the machines
//! of SMTP, POP3 and IMAP, and the laws that hold for any bytes.
//!
//! The tests of `proto`, those of `net` over real sockets, and the fuzzer's
//! targets stand on the same sessions and state the same laws. This crate stands
//! on `proto` alone, so that the tests of `proto` stay quick to build.
//! What a law or a transcript asks for is asserted here: a breach panics.

#[cfg(feature = "hall")]
pub mod hall;
pub mod imap;
pub mod imap_grammar;
pub mod laws;
pub mod login;
pub mod message;
pub mod openssl_ca;
pub mod pop3;
pub mod rules;
pub mod script;
pub mod smtp;
pub mod talk;
