//! What a foreign client cannot be asked, each with its reason. There is no other
//! place where a test of this program is passed over.

/// Mechanisms that Debian 12's build of a client does not have.
pub const MISSING_IN_CLIENT: &[(&str, &str, &str)] = &[
    ("curl", "SCRAM-SHA-1", "Debian's curl is built without gsasl"),
    ("curl", "SCRAM-SHA-256", "Debian's curl is built without gsasl"),
];

/// True if this client is known not to have the mechanism.
pub fn skipped(client: &str, mechanism: &str) -> bool {
    MISSING_IN_CLIENT.iter().any(|(c, m, _)| *c == client && *m == mechanism)
}

/// The disk-full test mounts a small file system of its own, which only root may.
pub const DISK_FULL_NEEDS_ROOT: &str = "mounting a small file system needs root";

/// Other people's servers are started in namespaces of their own, with files of their own laid over the system's.
pub const SERVERS_NEED_ROOT: &str = "starting other servers needs root, and namespaces with overlay mounts";
