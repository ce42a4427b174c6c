//! The real sessions above a real store, over real sockets on loopback, with our own
//! client machines at the other end.

mod house;
mod imap;
mod imap_append;
mod imap_fetch;
mod imap_find;
mod imap_language;
mod imap_model;
mod imap_names;
mod imap_notify;
mod imap_sessions;
mod imap_shared;
mod imap_sync;
mod imap_words;
mod logins;
mod maildrop;
mod receive;
mod rules;
mod submit;
mod wire;
