//! The network that an address belongs to: whom limits and facts count together, and what is public.
//!
//! What must hold: IPv4 written as IPv6 is IPv4, so that nobody counts twice by the family of the
//! socket, and nothing inside is reached by another spelling. Deliberately not here: what is counted, and who is exempt.

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

/// The address is one of the public internet: none of a machine, a site, a link or a provider's inside, in none of the forms in
/// which IPv6 carries IPv4 (mapped, compatible, NAT64 of RFC 6052 and RFC 8215, 6to4, Teredo), and nothing reserved
/// (the registries of RFC 6890).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && b & 0xc0 == 64; // RFC 6598
    let protocol = [a, b, c] == [192, 0, 0]; // RFC 6890
    let relay = [a, b, c] == [192, 88, 99]; // RFC 7526
    let benchmark = a == 198 && b & 0xfe == 18; // RFC 2544
    let not_unicast = a == 0 || a >= 224;
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || shared
        || protocol
        || relay
        || benchmark
        || not_unicast)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let carried = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        // NAT64 leads to the IPv4 address in its last octets (RFC 6052 2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(carried(high, low)),
        // 6to4 leads to the IPv4 address in front (RFC 3056).
        [0x2002, high, low, ..] => is_public_v4(carried(high, low)),
        // Teredo and the other protocol assignments (RFC 2928), ORCHID, benchmarks.
        [0x2001, 0..=0x1ff, ..] => false,
        // Documentation (RFC 3849, RFC 9637).
        [0x2001, 0xdb8, ..] => false,
        [0x3fff, 0..=0xfff, ..] => false,
        // Nothing outside 2000::/3 is routed: loopback, unspecified, IPv4-compatible, local NAT64, unique local, link-local,
        // site-local, multicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for address in [
            "1.1.1.1",
            "9.9.9.9",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:200::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert!(public(address), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1.1.1.1",
            "2001::1",
            "2001:db8::1",
            "2001:20::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
            "100::1",
            "5f00::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

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
