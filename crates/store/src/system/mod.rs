//! What belongs to the whole service, in partitions of its own.

mod address;
pub mod directory;
pub mod ledger;
pub mod pending;
pub(crate) mod removal;
mod routing;
