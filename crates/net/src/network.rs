//! The network that an address belongs to: whom limits and facts count together.
//!
//! What must hold: IPv4 written as IPv6 is IPv4, so that nobody counts twice by the family of the
//! socket. Deliberately not here: what is counted, and who is exempt.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How much of an address tells its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Bits of IPv4.
    pub ipv4_bits: u8,
    /// Bits of IPv6.
    pub ipv6_bits: u8,
}

impl Prefix {
    /// Of connections and session facts: /24 of IPv4 and /48 of IPv6, what one site usually gets.
    pub const SITE: Prefix = Prefix { ipv4_bits: 24, ipv6_bits: 48 };

    /// The network of an address.
    #[must_use]
    pub fn of(self, address: IpAddr) -> Network {
        let (address, bits) = match address.to_canonical() {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(self.ipv4_bits.into())).unwrap_or(0);
                (IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask)), self.ipv4_bits.min(32))
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(self.ipv6_bits.into())).unwrap_or(0);
                (IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask)), self.ipv6_bits.min(128))
            }
        };
        Network { address, bits }
    }
}

/// A network; shown as `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_cut_to_their_network() {
        let shown = |prefix: Prefix, text: &str| prefix.of(text.parse().unwrap()).to_string();
        for (address, network) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2::5", "2001:db8:1::/48"),
            ("127.0.0.1", "127.0.0.0/24"),
            ("::1", "::/48"),
        ] {
            assert_eq!(shown(Prefix::SITE, address), network);
        }
        assert_eq!(
            shown(Prefix { ipv6_bits: 56, ..Prefix::SITE }, "2001:db8:1:2ff::5"),
            "2001:db8:1:200::/56"
        );
        let all = Prefix { ipv4_bits: 0, ipv6_bits: 0 };
        assert_eq!((shown(all, "192.0.2.77"), shown(all, "::1")), ("0.0.0.0/0".into(), "::/0".into()));
        let whole = Prefix { ipv4_bits: 200, ipv6_bits: 200 };
        assert_eq!(
            (shown(whole, "192.0.2.77"), shown(whole, "::1")),
            ("192.0.2.77/32".into(), "::1/128".into())
        );
    }
}
