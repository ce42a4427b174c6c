//! From the first octets and the time that passed: TLS, clear text, greet, or wait.

/// What to do with a fresh connection on a listener that takes both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniff {
    /// A ClientHello begins: TLS.
    Tls,
    /// The client speaks first and in clear, or has waited long enough: greet it.
    Greet,
    /// Nothing can be said yet.
    Wait,
}

/// Decides from what has come (not yet taken from the socket) and the milliseconds since the connection was made.
#[must_use]
pub fn sniff(first: &[u8], waited_millis: u64, greeting_wait_millis: u32) -> Sniff {
    match first {
        // A TLS record of type handshake (RFC 8446 5.1); an SSL 2 hello has its high bit set.
        [0x16 | 0x80..=0xff, ..] => Sniff::Tls,
        [] if waited_millis < u64::from(greeting_wait_millis) => Sniff::Wait,
        _ => Sniff::Greet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_octet_decides() {
        // Cut anywhere, a hello is one from its first octet on.
        for first in [&b"\x16"[..], b"\x16\x03\x01\x02\0\x01", b"\x80\x2e\x01\x03\x01"] {
            assert_eq!(sniff(first, 0, 300), Sniff::Tls, "{first:?}");
            assert_eq!(sniff(first, u64::MAX, 300), Sniff::Tls, "{first:?}");
        }
        for first in [&b"a"[..], b"EHLO x\r\n", b"\r", b"\0", b"\x15\x03\x01"] {
            assert_eq!(sniff(first, 0, 300), Sniff::Greet, "{first:?}");
        }
    }

    #[test]
    fn silence_is_waited_for_and_no_longer() {
        assert_eq!(sniff(b"", 0, 300), Sniff::Wait);
        assert_eq!(sniff(b"", 299, 300), Sniff::Wait);
        assert_eq!(sniff(b"", 300, 300), Sniff::Greet);
        assert_eq!(sniff(b"", 0, 0), Sniff::Greet);
    }
}
