//! Guessing slowed, without locking anybody out.
//!
//! Failures are counted per account and per network; they delay attempts that
//! are not proven yet. A network from which the account has logged in lately is
//! its owner's as far as we can tell: there only its own failures for that
//! account count, so a stranger's guessing elsewhere does not slow the owner.
//!
//! An attempt that is neither proven nor failed (a client that goes away in the
//! middle of a challenge) counts as failed: see [`Attempt`]. Pure but for the
//! lock: the time is an argument.

use super::recent::Recent;
use net::network::{Network, Prefix};
use proto::machine::Tick;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How guessing is slowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Failures for one account that cost nothing: mistyping.
    pub account_failures_free: u32,
    /// Failures from one network that cost nothing: an office behind one address.
    pub network_failures_free: u32,
    /// Attempts under way at once, per account and network, that cost nothing.
    pub under_way_free: u32,
    /// The first delay; each further failure doubles it.
    pub first_delay_millis: u64,
    /// The longest delay.
    pub delay_millis_max: u64,
    /// After so long without a failure the count begins anew.
    pub window_seconds: u32,
    /// For so long a network is the owner's after a login.
    pub owner_seconds: u32,
    /// Accounts, networks and pairs of both that are remembered, each.
    pub entries_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            account_failures_free: 3,
            network_failures_free: 10,
            under_way_free: 64,
            first_delay_millis: 1_000,
            delay_millis_max: 15_000,
            window_seconds: 900,
            owner_seconds: 30 * 86_400,
            entries_max: 50_000,
        }
    }
}

/// A network as far as guessing is concerned. Of IPv6 what one customer usually gets: whoever has a /56 can
/// change the rest at will, and all of a /48 would slow a provider's whole street for one of its houses.
const GUESSER: Prefix = Prefix { ipv4_bits: Prefix::SITE.ipv4_bits, ipv6_bits: 56 };

/// The network that an address's guesses are counted for.
pub(super) fn network_of(address: IpAddr) -> Network {
    GUESSER.of(address)
}

/// Our own host. What comes from there (a webmail, a proxy, a test) stands for many
/// people, so its failures are counted for their accounts and not for it.
fn is_own_host(network: Network) -> bool {
    [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into_iter().any(|own| network == network_of(own))
}

/// A name, keyed and hashed by the caller, so that memory does not depend on its length.
pub(super) type AccountKey = u64;

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    failures: u32,
    last_failure: Tick,
    under_way: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    count: Count,
    login: Option<Tick>,
}

#[derive(Debug)]
struct Counts {
    accounts: Recent<AccountKey, Count>,
    networks: Recent<Network, Count>,
    pairs: Recent<(AccountKey, Network), Pair>,
}

#[derive(Debug)]
pub(super) struct Throttle {
    settings: Settings,
    counts: Mutex<Counts>,
}

impl Throttle {
    pub(super) fn new(settings: Settings) -> Throttle {
        let counts = Counts {
            accounts: Recent::new(settings.entries_max),
            networks: Recent::new(settings.entries_max),
            pairs: Recent::new(settings.entries_max),
        };
        Throttle { settings, counts: Mutex::new(counts) }
    }

    /// Begins an attempt: how long to wait before it is answered.
    pub(super) fn begin(
        self: &Arc<Throttle>,
        account: AccountKey,
        network: Network,
        clock: &Arc<dyn super::Clock>,
    ) -> (Attempt, Duration) {
        let now = clock.tick();
        let delay = self.delay(account, network, now);
        self.change(account, network, now, |count| count.under_way = count.under_way.saturating_add(1));
        let attempt =
            Attempt { throttle: self.clone(), clock: clock.clone(), account, network, settled: false };
        (attempt, delay)
    }

    /// A login that needed no guess (remembered, or by certificate).
    pub(super) fn owner_was_here(&self, account: AccountKey, network: Network, now: Tick) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = counts.pairs.get(&(account, network)).copied().unwrap_or_default();
        // Written at most once a minute: this is on the path of every login.
        if pair.login.is_none_or(|login| now.millis_since(login) > 60_000) || pair.count.failures > 0 {
            let count = Count { failures: 0, ..pair.count };
            counts.pairs.insert((account, network), Pair { count, login: Some(now) });
        }
    }

    fn delay(&self, account: AccountKey, network: Network, now: Tick) -> Duration {
        let settings = &self.settings;
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = counts.pairs.get(&(account, network)).copied().unwrap_or_default();
        let owner_millis = u64::from(settings.owner_seconds) * 1000;
        let owners = pair.login.is_some_and(|login| now.millis_since(login) < owner_millis);
        let crowd = self.step(pair.count.under_way, settings.under_way_free);
        let failures = |count: Option<&Count>, free| self.step(self.current(count, now), free);
        if owners {
            return crowd.max(failures(Some(&pair.count), settings.account_failures_free));
        }
        let by_account = failures(counts.accounts.get(&account), settings.account_failures_free);
        if is_own_host(network) {
            return crowd.max(by_account);
        }
        crowd.max(by_account).max(failures(counts.networks.get(&network), settings.network_failures_free))
    }

    /// Failures that still count.
    fn current(&self, count: Option<&Count>, now: Tick) -> u32 {
        let window = u64::from(self.settings.window_seconds) * 1000;
        count.filter(|count| now.millis_since(count.last_failure) < window).map_or(0, |count| count.failures)
    }

    /// Nothing for the free ones, then 1, 2, 4, ... times the first delay.
    fn step(&self, number: u32, free: u32) -> Duration {
        let Some(over) = number.checked_sub(free) else { return Duration::ZERO };
        let millis = self.settings.first_delay_millis.saturating_mul(1 << over.min(32));
        Duration::from_millis(millis.min(self.settings.delay_millis_max))
    }

    fn change(&self, account: AccountKey, network: Network, now: Tick, change: impl Fn(&mut Count)) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |count: Option<&Count>| Count {
            failures: self.current(count, now),
            ..count.copied().unwrap_or_default()
        };
        let mut of_account = fresh(counts.accounts.get(&account));
        change(&mut of_account);
        counts.accounts.insert(account, of_account);
        let mut of_network = fresh(counts.networks.get(&network));
        change(&mut of_network);
        counts.networks.insert(network, of_network);
        let mut pair = counts.pairs.get(&(account, network)).copied().unwrap_or_default();
        pair.count.failures = self.current(Some(&pair.count), now);
        change(&mut pair.count);
        counts.pairs.insert((account, network), pair);
    }
}

/// One attempt under way. Dropped without a word it has failed.
#[derive(Debug)]
pub(super) struct Attempt {
    throttle: Arc<Throttle>,
    clock: Arc<dyn super::Clock>,
    account: AccountKey,
    network: Network,
    settled: bool,
}

impl Attempt {
    pub(super) fn is_for(&self, account: AccountKey) -> bool {
        self.account == account
    }

    /// The secret was right: the network is the owner's from now on.
    pub(super) fn proven(mut self) {
        self.settled = true;
        let now = self.clock.tick();
        self.throttle.change(self.account, self.network, now, finished);
        self.throttle.owner_was_here(self.account, self.network, now);
    }

    /// It could not be tried (the store failed): counts for nothing.
    pub(super) fn withdrawn(mut self) {
        self.settled = true;
        self.throttle.change(self.account, self.network, self.clock.tick(), finished);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.settled {
            let now = self.clock.tick();
            self.throttle.change(self.account, self.network, now, |count| {
                finished(count);
                count.failures = count.failures.saturating_add(1);
                count.last_failure = now;
            });
        }
    }
}

fn finished(count: &mut Count) {
    count.under_way = count.under_way.saturating_sub(1);
}

#[cfg(test)]
mod tests {
    use super::super::tests::Hand;
    use super::*;

    const OWNER: &str = "192.0.2.10";
    #[test]
    fn our_own_host_stands_for_many() {
        let bench = Bench::new();
        for account in 0..50 {
            drop(bench.begin(account, "127.0.0.1"));
        }
        assert_eq!(bench.begin(99, "127.0.0.1").1, 0);
        assert_eq!(bench.begin(99, "::1").1, 0);
    }

    const STRANGER: &str = "198.51.100.7";

    struct Bench {
        throttle: Arc<Throttle>,
        hand: Arc<Hand>,
        clock: Arc<dyn super::super::Clock>,
    }

    impl Bench {
        fn new() -> Bench {
            let hand = Arc::new(Hand::default());
            let throttle = Arc::new(Throttle::new(Settings::default()));
            Bench { throttle, clock: hand.clone(), hand }
        }

        fn begin(&self, account: AccountKey, from: &str) -> (Attempt, u64) {
            let network = network_of(from.parse().unwrap());
            let (attempt, delay) = self.throttle.begin(account, network, &self.clock);
            (attempt, delay.as_millis() as u64)
        }

        fn fail(&self, account: AccountKey, from: &str) -> u64 {
            self.begin(account, from).1
        }
    }

    #[test]
    fn networks() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.2.255"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.9"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:1:200::1"), of("2001:db8:1:2ff:ffff::1"));
        assert_ne!(of("2001:db8:1:200::1"), of("2001:db8:1:300::1"));
    }

    #[test]
    fn delays_double_up_to_the_cap_and_pass() {
        let bench = Bench::new();
        let delays: Vec<u64> = (0..10).map(|_| bench.fail(1, STRANGER)).collect();
        assert_eq!(delays, [0, 0, 0, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
        bench.hand.pass(900);
        assert_eq!(bench.fail(1, STRANGER), 0, "the window is over");
    }

    #[test]
    fn the_owner_is_not_slowed_by_strangers() {
        let bench = Bench::new();
        bench.begin(1, OWNER).0.proven();
        for _ in 0..20 {
            bench.fail(1, STRANGER);
        }
        assert_eq!(bench.begin(1, OWNER).1, 0);
        assert_eq!(bench.begin(1, "203.0.113.1").1, 15_000, "a third network is slowed");
    }

    #[test]
    fn the_owners_network_is_slowed_by_its_own_failures() {
        let bench = Bench::new();
        bench.begin(1, OWNER).0.proven();
        let delays: Vec<u64> = (0..5).map(|_| bench.fail(1, OWNER)).collect();
        assert_eq!(delays, [0, 0, 0, 1_000, 2_000]);
        bench.begin(1, OWNER).0.proven();
        assert_eq!(bench.begin(1, OWNER).1, 0, "a proof clears them");
    }

    #[test]
    fn one_network_trying_many_accounts_is_slowed() {
        let bench = Bench::new();
        let delays: Vec<u64> = (0..12).map(|account| bench.fail(account, STRANGER)).collect();
        assert_eq!(delays[..10], [0; 10]);
        assert_eq!(delays[10..], [1_000, 2_000]);
    }

    #[test]
    fn a_crowd_at_once_is_slowed_but_not_counted_as_failed() {
        let bench = Bench::new();
        let crowd: Vec<(Attempt, u64)> = (0..66).map(|_| bench.begin(1, OWNER)).collect();
        assert!(crowd[..64].iter().all(|(_, delay)| *delay == 0));
        assert_eq!(crowd[65].1, 2_000);
        for (attempt, _) in crowd {
            attempt.proven();
        }
        assert_eq!(bench.begin(1, OWNER).1, 0);
    }

    #[test]
    fn an_attempt_withdrawn_counts_for_nothing() {
        let bench = Bench::new();
        for _ in 0..10 {
            bench.begin(1, STRANGER).0.withdrawn();
        }
        assert_eq!(bench.begin(1, STRANGER).1, 0);
    }
}
