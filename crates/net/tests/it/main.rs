//! Integration tests of `net`: real sockets on loopback, our own and foreign clients.

mod certificates;
mod conversation;
mod foreign;
mod memory;
mod talk;
mod transcripts;
