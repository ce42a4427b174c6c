//! The certificates that a server shows in clear before TLS 1.3, read behind its ServerHello: of a server whose
//! versions our library does not speak, this is all that can be told.
//!
//! What must hold: [`shown`] is a pure function of the octets from the start of the server's side, never panics, and
//! looks at no more than [`CHAIN_BYTES_MAX`] of them. That a certificate was shown proves nothing: anybody can
//! show anybody's. Deliberately not here: what a certificate says.

use super::{CONTENT_ALERT, CONTENT_HANDSHAKE, Reader, be16};

/// Octets in which the certificates must be complete; usual chains have about four thousand.
pub const CHAIN_BYTES_MAX: usize = 64 * 1024;
/// Certificates that are read; the rest is passed over.
const CERTIFICATES_MAX: usize = 16;

const HANDSHAKE_SERVER_HELLO: u8 = 2;
const HANDSHAKE_CERTIFICATE: u8 = 11;
const ALERT_FATAL: u8 = 2;

/// What a server's octets show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// So far nothing can be told.
    NeedMore,
    /// No certificate comes: an anonymous suite, an alert, or no TLS.
    Nothing,
    /// DER, the server's own first.
    Chain(Vec<Vec<u8>>),
}

/// Reads the server's first flight as far as the certificates (RFC 5246 7.4.2, the same since SSL 3).
#[must_use]
pub fn shown(bytes: &[u8]) -> Shown {
    let mut rest = &bytes[..bytes.len().min(CHAIN_BYTES_MAX)];
    let mut stream = Vec::new();
    let mut ended = bytes.len() >= CHAIN_BYTES_MAX;
    while let [kind, _, _, high, low, after @ ..] = rest {
        let length = usize::from(be16(*high, *low));
        let payload = &after[..after.len().min(length)];
        match (*kind, payload) {
            (CONTENT_HANDSHAKE, payload) => stream.extend_from_slice(payload),
            // A warning, such as that the server name is not known.
            (CONTENT_ALERT, [level, ..]) if *level != ALERT_FATAL => {}
            (CONTENT_ALERT, []) if length > 0 => break,
            _ => {
                ended = true;
                break;
            }
        }
        rest = &after[payload.len()..];
    }
    match messages(&stream) {
        Shown::NeedMore if ended => Shown::Nothing,
        other => other,
    }
}

fn messages(stream: &[u8]) -> Shown {
    let mut rest = stream;
    while let [kind, high, middle, low, after @ ..] = rest {
        let length = be24([*high, *middle, *low]);
        match *kind {
            HANDSHAKE_SERVER_HELLO | HANDSHAKE_CERTIFICATE if length > CHAIN_BYTES_MAX => {
                return Shown::Nothing;
            }
            HANDSHAKE_SERVER_HELLO | HANDSHAKE_CERTIFICATE => {}
            _ => return Shown::Nothing,
        }
        let Some(body) = after.get(..length) else { return Shown::NeedMore };
        if *kind == HANDSHAKE_CERTIFICATE {
            return list(body).filter(|list| !list.is_empty()).map_or(Shown::Nothing, Shown::Chain);
        }
        rest = &after[length..];
    }
    Shown::NeedMore
}

fn list(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut outer = Reader(body);
    let mut list = Reader(vector24(&mut outer)?);
    let mut chain = Vec::new();
    while !list.0.is_empty() {
        let der = vector24(&mut list)?;
        if chain.len() < CERTIFICATES_MAX {
            chain.push(der.to_vec());
        }
    }
    outer.0.is_empty().then_some(chain)
}

fn vector24<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let [high, middle, low] = *reader.take(3)? else { return None };
    reader.take(be24([high, middle, low]))
}

fn be24([high, middle, low]: [u8; 3]) -> usize {
    usize::from(high) << 16 | usize::from(be16(middle, low))
}

/// The law for the fuzzer: an answer other than [`Shown::NeedMore`] is final.
#[doc(hidden)]
pub fn law(bytes: &[u8]) {
    let whole = shown(bytes);
    for cut in 0..bytes.len() {
        let part = shown(&bytes[..cut]);
        if part != Shown::NeedMore {
            assert_eq!(part, whole, "the answer at octet {cut} was not final");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        [&[kind], &length[1..], body].concat()
    }

    fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).expect("short").to_be_bytes();
        [&[kind, 3, 2], &length[..], payload].concat()
    }

    fn certificates(chain: &[&[u8]]) -> Vec<u8> {
        let one = |der: &&[u8]| message(0, der)[1..].to_vec();
        let list: Vec<u8> = chain.iter().flat_map(one).collect();
        message(HANDSHAKE_CERTIFICATE, &message(0, &list)[1..])
    }

    /// ServerHello, two certificates and the end of the flight.
    fn flight() -> Vec<u8> {
        [message(HANDSHAKE_SERVER_HELLO, &[7; 40]), certificates(&[b"leaf", b"above"]), message(14, &[])]
            .concat()
    }

    #[test]
    fn a_chain_is_read_however_it_is_cut_into_records() {
        let chain = Shown::Chain(vec![b"leaf".to_vec(), b"above".to_vec()]);
        assert_eq!(shown(&record(22, &flight())), chain);
        let octets: Vec<u8> = flight().iter().flat_map(|octet| record(22, &[*octet])).collect();
        assert_eq!(shown(&octets), chain);
        let warned = [record(21, &[1, 112]), record(22, &flight()), record(21, &[2, 40])].concat();
        assert_eq!(shown(&warned), chain);
    }

    #[test]
    fn what_is_no_chain_is_nothing() {
        let hello = message(HANDSHAKE_SERVER_HELLO, &[7; 40]);
        for (octets, why) in [
            (record(21, &[2, 70]), "an alert"),
            (record(22, &[hello.clone(), message(12, &[1; 30])].concat()), "an anonymous suite"),
            (record(22, &[hello.clone(), certificates(&[])].concat()), "an empty list"),
            (
                record(22, &message(HANDSHAKE_CERTIFICATE, &[0, 0, 9, 0, 0, 1, 1])),
                "a list that ends too soon",
            ),
            (
                record(22, &message(HANDSHAKE_CERTIFICATE, &[0, 0, 4, 0, 0, 1, 1, 5])),
                "something behind the list",
            ),
            (record(22, &[HANDSHAKE_CERTIFICATE, 255, 255, 255]), "an endless message"),
            (b"220 mail.example.test ESMTP\r\n".to_vec(), "no TLS"),
            (record(22, &[]).repeat(20_000), "endless records of nothing"),
            (record(21, &[1, 0]).repeat(20_000), "endless warnings"),
        ] {
            assert_eq!(shown(&octets), Shown::Nothing, "{why}");
        }
        assert_eq!(shown(&record(22, &hello)), Shown::NeedMore);
        let many: Vec<&[u8]> = vec![b"x"; 100];
        let Shown::Chain(chain) = shown(&record(22, &certificates(&many))) else { panic!("a chain") };
        assert_eq!(chain.len(), CERTIFICATES_MAX);
    }

    proptest! {
        #[test]
        fn any_octets_obey_the_law(input in prop::collection::vec(any::<u8>(), 0..120)) {
            law(&input);
        }

        #[test]
        fn damaged_flights_obey_the_law(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut input = [record(21, &[1, 112]), record(22, &flight()), record(21, &[2, 40])].concat();
            let at = at.index(input.len());
            input[at] = byte;
            law(&input);
        }
    }
}
