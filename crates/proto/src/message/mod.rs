//! Messages: headers, trace fields, what submission adds and removes, and what a message is made of.
//!
//! `header` walks over the fields of a header, `intake` works on a message while
//! it streams in, `trace` builds the fields that each hop adds on top. `gist` is what is learnt of a
//! message once and kept, `structure` its tree of parts, `surrogate` its form for clients without UTF-8, `ascii` that of its gist, `text` what people read in it.

pub mod ascii;
pub mod gist;
pub mod header;
pub mod intake;
mod mailboxes;
mod mime;
pub mod structure;
pub mod surrogate;
pub mod text;
pub mod trace;
mod varint;
mod wire;
