//! The whole program, judged by clients that are not ours.

mod curl;
mod durable;
mod durable_imap;
mod fetchers;
mod gsasl;
mod harness;
mod imap_programs;
mod imap_python;
mod openssl;
mod operator;
mod python;
mod senders;
mod skips;
mod wire;
