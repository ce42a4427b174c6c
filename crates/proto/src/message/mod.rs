//! Messages: headers, trace fields, what submission adds and removes.
//!
//! `header` walks over the fields of a header, `intake` works on a message while
//! it streams in, `trace` builds the fields that each hop adds on top. MIME
//! structure is not here yet.

pub mod header;
pub mod intake;
pub mod trace;
