//! Integration tests of `net`: real sockets on loopback, our own and foreign clients.

mod acme;
mod ask;
mod certificates;
mod conversation;
mod dns;
mod either_way;
mod foreign;
mod https;
mod limits;
mod memory;
mod ocsp;
mod talk;
mod transcripts;

/// Held by the test that weighs this process, and by those that make it heavy.
static SCALES: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
