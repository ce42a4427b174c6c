//! What belongs to the whole service, in partitions of its own.

pub(crate) mod address;
pub mod directory;
pub mod ledger;
pub mod pending;
pub(crate) mod removal;
pub(crate) mod routing;
