//! Integration tests of `net`: real sockets on loopback, our own and foreign clients.

mod certificates;
mod conversation;
mod foreign;
mod limits;
mod memory;
mod talk;
mod transcripts;

/// Held by the test that weighs this process, and by those that make it heavy.
static SCALES: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
