//! What the demo shows: mailboxes with varied, real-looking messages.
//!
//! [`corpus`] makes them one after the other from a seed and a date, so that two
//! runs with equal arguments agree to the octet and never more than one message
//! is in memory. All texts, pictures and names are made here. [`sized`] makes
//! plain load of a given size for benches. Not here: accounts, delivery, the
//! certificate authority; the demo's command wires those.
//!
//! MIME is written by hand ([`mime`]) and not by a library, because libraries
//! draw boundaries and ids from the clock, and because some of these messages
//! have to be wrong in ways that no library would write.

mod corpus;
mod kinds;
mod language;
mod mime;
mod picture;
mod random;
pub mod stage;

pub use corpus::{Kind, Person, Sample, corpus, sized};
