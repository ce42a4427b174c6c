//! The conversations, from outside: transcripts, gate tables and laws.

mod discovery;
mod discovery_laws;
mod gate;
mod imap;
mod imap_grammar;
mod laws;
mod message;
mod pairs;
mod pop3;
mod transcript;
