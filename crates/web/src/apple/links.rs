//! Links that live for minutes: in memory, bounded, gone at a restart.
//!
//! What must hold: a token cannot be guessed (128 random bits); one network cannot push out the
//! links of others.

use net::network::{Network, Prefix};
use proto::service::Protocol;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a link works.
pub(super) const MINUTES: u64 = 15;
/// Links of all together.
const LINKS_MAX: usize = 10_000;
/// Links made from one network ([`Prefix::SITE`]); the oldest of them gives way.
const NETWORK_LINKS_MAX: usize = 50;

/// What a link carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub address: String,
    pub name: Option<String>,
    pub incoming: Protocol,
}

/// All links that work now.
#[derive(Debug, Default)]
pub(crate) struct Links {
    kept: Mutex<HashMap<u128, Kept>>,
}

#[derive(Debug)]
struct Kept {
    link: Link,
    network: Network,
    made: Instant,
}

impl Links {
    /// Makes a link and gives its token.
    pub(super) fn make(&self, link: Link, maker: IpAddr) -> String {
        self.make_at(link, maker, rand::random(), Instant::now())
    }

    fn make_at(&self, link: Link, maker: IpAddr, token: u128, made: Instant) -> String {
        let network = Prefix::SITE.of(maker);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, old| lives(old, made));
        let of_network = kept.values().filter(|old| old.network == network).count();
        if of_network >= NETWORK_LINKS_MAX {
            forget_oldest(&mut kept, |old| old.network == network);
        } else if kept.len() >= LINKS_MAX {
            forget_oldest(&mut kept, |_| true);
        }
        kept.insert(token, Kept { link, network, made });
        let mut text = String::with_capacity(32);
        // Writing to a String cannot fail.
        let _ = write!(text, "{token:032x}");
        text
    }

    /// The link of a token, if it still works.
    pub(super) fn find(&self, token: &str) -> Option<Link> {
        self.find_at(token, Instant::now())
    }

    fn find_at(&self, token: &str, now: Instant) -> Option<Link> {
        let written = token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        let token = written.then(|| u128::from_str_radix(token, 16).ok()).flatten()?;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&token).filter(|kept| lives(kept, now)).map(|kept| kept.link.clone())
    }
}

fn lives(kept: &Kept, now: Instant) -> bool {
    now.saturating_duration_since(kept.made) < Duration::from_secs(MINUTES * 60)
}

fn forget_oldest(kept: &mut HashMap<u128, Kept>, among: impl Fn(&Kept) -> bool) {
    let candidates = kept.iter().filter(|(_, old)| among(old));
    if let Some(token) = candidates.min_by_key(|(_, old)| old.made).map(|(token, _)| *token) {
        kept.remove(&token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(address: &str) -> Link {
        Link { address: address.to_owned(), name: None, incoming: Protocol::Imap }
    }

    #[test]
    fn a_link_works_for_its_time() {
        let links = Links::default();
        let (maker, now) = ("192.0.2.1".parse().unwrap(), Instant::now());
        let token = links.make_at(link("a@b.test"), maker, 0xff, now);
        assert_eq!(token, "000000000000000000000000000000ff");
        assert_eq!(links.find_at(&token, now), Some(link("a@b.test")));
        let end = now + Duration::from_secs(MINUTES * 60);
        assert_eq!(links.find_at(&token, end), None);
        for other in ["", "ff", "+00000000000000000000000000000ff", "0000000000000000000000000000000ff"] {
            assert_eq!(links.find_at(other, now), None, "{other}");
        }
        // The next one clears away what is over.
        links.make_at(link("c@b.test"), maker, 1, end);
        assert_eq!(links.kept.lock().unwrap().len(), 1);
    }

    #[test]
    fn one_network_pushes_out_only_its_own() {
        let links = Links::default();
        let now = Instant::now();
        let others = links.make_at(link("a@b.test"), "198.51.100.1".parse().unwrap(), u128::MAX, now);
        let greedy = "192.0.2.1".parse().unwrap();
        for n in 0..200_u32 {
            let made = now + Duration::from_millis(u64::from(n));
            links.make_at(link("x@b.test"), greedy, u128::from(n), made);
        }
        assert_eq!(links.kept.lock().unwrap().len(), NETWORK_LINKS_MAX + 1);
        assert!(links.find(&others).is_some());
        assert!(links.find(&format!("{:032x}", 199)).is_some());
        assert!(links.find(&format!("{:032x}", 0)).is_none());
    }
}
