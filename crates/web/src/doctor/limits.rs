//! How often people may have something examined, and how many at a time.
//!
//! What must hold: what is remembered is bounded by the limit for all, since only admitted examinations are; a place
//! is free again when its [`Place`] is dropped, however the examination ended.

use net::network::{Network, Prefix};
use proto::proof::AccountId;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Every limit of the page, with its default in `Default`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Examinations that begin within `window_seconds` for one network, /24 of IPv4 or /48 of IPv6 (default 10).
    pub network_examinations_max: usize,
    /// The same for one account, where people sign in (default 10).
    pub account_examinations_max: usize,
    /// Examinations that begin within `window_seconds` for all together (default 200).
    pub examinations_max: usize,
    /// The time over which examinations are counted (default 600).
    pub window_seconds: u32,
    /// Examinations at a time (default 4).
    pub running_max: usize,
    /// Whoever finds all places taken is asked to come back after this time (default 10, as long as an examination takes).
    pub busy_seconds: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            network_examinations_max: 10,
            account_examinations_max: 10,
            examinations_max: 200,
            window_seconds: 600,
            running_max: 4,
            busy_seconds: 10,
        }
    }
}

/// Lets examinations in.
#[derive(Debug)]
pub(super) struct Door {
    limits: Limits,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Those that began within the window, the oldest first.
    begun: VecDeque<Begun>,
    running: usize,
}

#[derive(Debug)]
struct Begun {
    at: Instant,
    network: Network,
    /// Who asked, if people sign in.
    account: Option<AccountId>,
}

/// The right to one examination.
#[derive(Debug)]
pub(super) struct Place(Arc<Mutex<Inner>>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.running = inner.running.saturating_sub(1);
    }
}

impl Door {
    pub(super) fn new(limits: Limits) -> Door {
        Door { limits, inner: Arc::default() }
    }

    /// A place for somebody at this address, of this account if they signed in.
    ///
    /// # Errors
    /// A limit is reached; the seconds after which it is worth asking again.
    pub(super) fn enter(&self, from: IpAddr, account: Option<AccountId>) -> Result<Place, u64> {
        self.enter_at(from, account, Instant::now())
    }

    fn enter_at(&self, from: IpAddr, account: Option<AccountId>, now: Instant) -> Result<Place, u64> {
        let network = Prefix::SITE.of(from);
        let window = Duration::from_secs(self.limits.window_seconds.into());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        while inner.begun.front().is_some_and(|begun| now.saturating_duration_since(begun.at) >= window) {
            inner.begun.pop_front();
        }
        let waits = [
            blocking(&inner.begun, self.limits.network_examinations_max, |begun| begun.network == network),
            blocking(&inner.begun, self.limits.account_examinations_max, |begun| {
                account.is_some() && begun.account == account
            }),
            blocking(&inner.begun, self.limits.examinations_max, |_| true),
        ];
        if let Some(at) = waits.into_iter().flatten().max() {
            let left = window.saturating_sub(now.saturating_duration_since(at));
            // Rounded up: who comes back in time is let in.
            return Err(left.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
        }
        if inner.running >= self.limits.running_max {
            return Err(self.limits.busy_seconds.into());
        }
        inner.running += 1;
        inner.begun.push_back(Begun { at: now, network, account });
        Ok(Place(self.inner.clone()))
    }
}

/// When the one began that has to leave the window first, so that one more of these fits; `None`: it fits now.
fn blocking(begun: &VecDeque<Begun>, max: usize, these: impl Fn(&Begun) -> bool) -> Option<Instant> {
    let of_these = begun.iter().filter(|begun| these(begun));
    let surplus = (of_these.clone().count() + 1).checked_sub(max.max(1)).filter(|surplus| *surplus > 0)?;
    of_these.map(|begun| begun.at).nth(surplus - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_network_waits_until_its_oldest_examination_is_long_ago() {
        let limits =
            Limits { network_examinations_max: 2, window_seconds: 60, running_max: 9, ..Limits::default() };
        let door = Door::new(limits);
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert!(door.enter_at(ip("192.0.2.1"), None, begun).is_ok());
        assert!(door.enter_at(ip("192.0.2.200"), None, after(10)).is_ok());
        assert_eq!(door.enter_at(ip("::ffff:192.0.2.9"), None, after(20)).err(), Some(40));
        // A refusal does not count, and others are not touched.
        assert!(door.enter_at(ip("198.51.100.1"), None, after(20)).is_ok());
        assert_eq!(door.enter_at(ip("192.0.2.9"), None, after(59)).err(), Some(1));
        assert!(door.enter_at(ip("192.0.2.9"), None, after(60)).is_ok());
        assert_eq!(door.enter_at(ip("192.0.2.9"), None, after(60)).err(), Some(10));
    }

    #[test]
    fn all_together_wait_too_and_nothing_grows() {
        let limits =
            Limits { examinations_max: 3, window_seconds: 60, running_max: 1000, ..Limits::default() };
        let door = Door::new(limits);
        let begun = Instant::now();
        for n in 0..200_u8 {
            let place = door.enter_at(IpAddr::from([n, 1, 1, 1]), None, begun);
            assert_eq!(place.is_ok(), n < 3, "{n}");
        }
        assert_eq!(door.inner.lock().unwrap().begun.len(), 3);
    }

    #[test]
    fn an_account_waits_wherever_it_comes_from() {
        let limits =
            Limits { account_examinations_max: 2, window_seconds: 60, running_max: 99, ..Limits::default() };
        let door = Door::new(limits);
        let begun = Instant::now();
        let enter = |from: &str, account, seconds| {
            door.enter_at(ip(from), account, begun + Duration::from_secs(seconds)).err()
        };
        let [ann, bob] = [AccountId(1), AccountId(2)].map(Some);
        assert_eq!(enter("192.0.2.1", ann, 0), None);
        assert_eq!(enter("198.51.100.1", ann, 10), None);
        assert_eq!(enter("203.0.113.1", ann, 20), Some(40));
        // Another one of the same network, and nobody in particular, are not touched.
        assert_eq!(enter("192.0.2.1", bob, 20), None);
        for second in 20..26 {
            assert_eq!(enter("203.0.113.1", None, second), None);
        }
        assert_eq!(enter("203.0.113.1", ann, 60), None);
        assert_eq!(enter("203.0.113.1", ann, 60), Some(10));
    }

    #[test]
    fn a_place_is_free_when_it_is_dropped() {
        let door = Door::new(Limits { running_max: 1, ..Limits::default() });
        let place = door.enter(ip("192.0.2.1"), None).expect("a place");
        assert_eq!(door.enter(ip("192.0.2.1"), None).err(), Some(10));
        drop(place);
        assert!(door.enter(ip("192.0.2.1"), None).is_ok());
    }
}
