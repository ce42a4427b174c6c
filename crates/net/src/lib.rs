//! Everything that touches a socket: listening, TLS, and the one loop that
//! moves bytes between a socket and a machine. Knows no users and no policy.

pub mod acme;
pub mod authority;
pub mod dns;
pub mod drive;
pub mod https;
pub mod listen;
pub mod local;
pub mod network;
pub mod ocsp;
mod pool;
mod squeeze;
mod stream;
pub mod tls;

pub use stream::Stream;

use proto::machine::Tick;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The time of all machines: milliseconds since it was first asked for.
#[must_use]
pub fn now() -> Tick {
    Tick(u64::try_from(start().elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// The moment that `tick` means, for a timer; far ahead is cut to a day, so that
/// no machine's "never" overflows a timer.
pub(crate) fn instant_of(tick: Tick) -> tokio::time::Instant {
    const AHEAD_MAX: Duration = Duration::from_secs(24 * 3600);
    let ahead = Duration::from_millis(tick.millis_since(now())).min(AHEAD_MAX);
    tokio::time::Instant::now() + ahead
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}
