//! Wall-clock time, read here and handed down.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in seconds.
#[must_use]
pub fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
