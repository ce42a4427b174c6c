//! The conversations, from outside: transcripts, gate tables and laws.

mod gate;
mod laws;
mod pairs;
mod pop3;
mod transcript;
