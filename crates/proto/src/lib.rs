//! What is said in mail protocols, and what it means.
//!
//! Everything here is a function of values: no socket, no file, no clock, no
//! randomness, no `async`. Time and random bytes are arguments, so a week of a
//! conversation can be tested in a millisecond.

pub mod address;
pub mod advice;
pub mod date;
pub mod discovery;
pub mod guide;
pub mod hello;
pub mod imap;
pub mod knock;
pub mod language;
pub mod login;
pub mod machine;
pub mod message;
pub mod pop3;
pub mod proof;
pub mod sasl;
pub mod service;
pub mod smtp;
