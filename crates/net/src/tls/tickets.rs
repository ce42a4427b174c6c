//! The keys of session tickets, and when they turn.
//!
//! A key makes tickets for [`KEY_SECONDS`] and opens them for as long again; then it is gone, so that
//! what was recorded cannot be read with it later. The library's own ticketer turns a key only when it is next
//! asked and keeps the one before at any age, so that a quiet service would take a ticket of last week.
//!
//! What must hold: no ticket is opened that is older than twice [`KEY_SECONDS`], however long nobody came.

use proto::machine::Tick;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// So long a key makes tickets.
pub const KEY_SECONDS: u32 = 6 * 3600;
const KEY_MILLIS: u64 = KEY_SECONDS as u64 * 1000;

/// Makes and opens tickets for all listeners.
pub(super) struct Tickets {
    keys: RwLock<Keys>,
}

struct Keys {
    /// `None` if the system gave no random bytes: there are no tickets then, and every handshake is full.
    current: Option<Arc<dyn ProducesTickets>>,
    previous: Option<Arc<dyn ProducesTickets>>,
    /// When `current` came into use.
    since: Tick,
}

impl Tickets {
    /// With a fresh key.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(super) fn new(now: Tick) -> Result<Tickets, rustls::Error> {
        let keys = Keys { current: Some(Ticketer::new()?), previous: None, since: now };
        Ok(Tickets { keys: RwLock::new(keys) })
    }

    /// Turns the keys before their time.
    pub(super) fn turn(&self, now: Tick) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.previous = keys.current.take();
        keys.current = Ticketer::new().ok();
        keys.since = now;
    }

    /// The key that makes tickets, and the one before it.
    fn at(&self, now: Tick) -> [Option<Arc<dyn ProducesTickets>>; 2] {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if now.millis_since(keys.since) < KEY_MILLIS {
            return [keys.current.clone(), keys.previous.clone()];
        }
        drop(keys);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been first.
        match now.millis_since(keys.since) / KEY_MILLIS {
            0 => {}
            1 => {
                keys.previous = keys.current.take();
                keys.current = Ticketer::new().ok();
                // By the schedule and not by the moment: a key's end does not wait for a visitor.
                keys.since = Tick(keys.since.0 + KEY_MILLIS);
            }
            _ => *keys = Keys { current: Ticketer::new().ok(), previous: None, since: now },
        }
        [keys.current.clone(), keys.previous.clone()]
    }

    fn make(&self, message: &[u8], now: Tick) -> Option<Vec<u8>> {
        let [current, _] = self.at(now);
        current?.encrypt(message)
    }

    fn open(&self, ticket: &[u8], now: Tick) -> Option<Vec<u8>> {
        self.at(now).into_iter().flatten().find_map(|key| key.decrypt(ticket))
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        2 * KEY_SECONDS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.make(plain, crate::now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, crate::now())
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Tick = Tick(1_000);

    fn after(seconds: u32) -> Tick {
        START.plus_seconds(seconds)
    }

    #[test]
    fn a_key_opens_for_as_long_again_as_it_made_tickets() {
        let tickets = Tickets::new(START).unwrap();
        let ticket = tickets.make(b"state", after(KEY_SECONDS - 1)).unwrap();
        assert_eq!(tickets.open(&ticket, after(KEY_SECONDS - 1)).unwrap(), b"state");
        // The first visitor after the turn comes late; the key's end does not move for that.
        assert_eq!(tickets.open(&ticket, after(2 * KEY_SECONDS - 1)).unwrap(), b"state");
        assert_eq!(tickets.open(&ticket, after(2 * KEY_SECONDS)), None);
    }

    #[test]
    fn a_quiet_service_takes_no_old_ticket() {
        let tickets = Tickets::new(START).unwrap();
        let ticket = tickets.make(b"state", START).unwrap();
        assert_eq!(tickets.open(&ticket, after(7 * 24 * 3600)), None);
        let fresh = tickets.make(b"new", after(7 * 24 * 3600)).unwrap();
        assert_eq!(tickets.open(&fresh, after(7 * 24 * 3600 + KEY_SECONDS)).unwrap(), b"new");
    }

    #[test]
    fn rubbish_is_no_ticket() {
        let tickets = Tickets::new(START).unwrap();
        let mut ticket = tickets.make(b"state", START).unwrap();
        assert_eq!(tickets.open(b"", START), None);
        let last = ticket.len() - 1;
        ticket[last] ^= 1;
        assert_eq!(tickets.open(&ticket, START), None);
    }
}
