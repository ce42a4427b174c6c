//! IMAP's commands, one file each. `session::imap` calls them.

pub(crate) mod acl;
pub(crate) mod announce;
pub(crate) mod append;
pub(crate) mod copy;
pub(crate) mod expunge;
pub(crate) mod fetch;
pub(crate) mod idle;
pub(crate) mod list;
pub(crate) mod mailbox;
pub(crate) mod metadata;
pub(crate) mod multisearch;
pub(crate) mod name;
pub(crate) mod no;
pub(crate) mod noop;
pub(crate) mod notify;
pub(crate) mod quota;
pub(crate) mod search;
pub(crate) mod section;
pub(crate) mod select;
pub(crate) mod sort;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod thread;
pub(crate) mod url;
