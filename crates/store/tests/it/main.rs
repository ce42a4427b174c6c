//! Integration tests of the store: the engine's contract, operations against a model, crashes, full disks.

mod account;
mod bodies;
mod change;
mod compact;
mod crash;
mod directory;
mod engine;
mod forgetful;
mod guests;
mod help;
mod judge;
mod kill;
mod ledger;
mod mailbox;
mod model;
mod mounted;
mod pledge;
mod power;
mod race;
mod search;
mod tree;
mod tree_model;
