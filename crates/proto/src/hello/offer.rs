//! A ClientHello made by hand, and what a server answers to it, for versions and suites that the
//! TLS library does not speak.
//!
//! Nobody shakes hands with these: the answer is read as far as the ServerHello or the alert, and that tells
//! whether a server *would* speak SSL 3 or RC4. What must hold: [`answer`] is a pure function of the octets
//! from the start of the server's side, never panics, and looks at no more than [`ANSWER_BYTES_MAX`] of them.

use super::{
    CONTENT_ALERT, CONTENT_HANDSHAKE, Parsed, Reader, SSL3, TLS10, TLS12, TLS13, be16, is_grease, parse,
};

/// Octets in which a ServerHello must be complete; real ones have about a hundred.
pub const ANSWER_BYTES_MAX: usize = 4096;

/// What is offered.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    /// The highest version, TLS 1.2 at most: what is above is the library's business.
    pub version: u16,
    /// Suites, best first.
    pub suites: &'a [u16],
    /// Name for SNI (RFC 6066 3); `None` for addresses. SSL 3 has no extensions and sends none.
    pub server_name: Option<&'a str>,
    /// Fresh random octets.
    pub random: [u8; 32],
}

/// What the server's octets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// So far the beginning of an answer.
    NeedMore,
    /// Not TLS.
    NotTls,
    /// Shaped like TLS, but no answer to a hello.
    Broken,
    /// A fatal alert.
    Alert(u8),
    /// The server agrees.
    Agreed {
        /// To this version.
        version: u16,
        /// With this suite.
        suite: u16,
    },
}

/// Suites that no server should take any more, each with its IANA name.
pub const SUITES_WEAK: &[(u16, &str)] = &[
    // No encryption.
    (0x0001, "TLS_RSA_WITH_NULL_MD5"),
    (0x0002, "TLS_RSA_WITH_NULL_SHA"),
    (0x003b, "TLS_RSA_WITH_NULL_SHA256"),
    (0xc006, "TLS_ECDHE_ECDSA_WITH_NULL_SHA"),
    (0xc010, "TLS_ECDHE_RSA_WITH_NULL_SHA"),
    // No authentication.
    (0x0018, "TLS_DH_anon_WITH_RC4_128_MD5"),
    (0x001b, "TLS_DH_anon_WITH_3DES_EDE_CBC_SHA"),
    (0x0034, "TLS_DH_anon_WITH_AES_128_CBC_SHA"),
    (0x003a, "TLS_DH_anon_WITH_AES_256_CBC_SHA"),
    (0x00a6, "TLS_DH_anon_WITH_AES_128_GCM_SHA256"),
    (0x00a7, "TLS_DH_anon_WITH_AES_256_GCM_SHA384"),
    (0xc018, "TLS_ECDH_anon_WITH_AES_128_CBC_SHA"),
    (0xc019, "TLS_ECDH_anon_WITH_AES_256_CBC_SHA"),
    // Keys of 40 and 56 bits.
    (0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5"),
    (0x0006, "TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5"),
    (0x0008, "TLS_RSA_EXPORT_WITH_DES40_CBC_SHA"),
    (0x0014, "TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA"),
    (0x0009, "TLS_RSA_WITH_DES_CBC_SHA"),
    (0x0015, "TLS_DHE_RSA_WITH_DES_CBC_SHA"),
    // RC4 (RFC 7465).
    (0x0004, "TLS_RSA_WITH_RC4_128_MD5"),
    (0x0005, "TLS_RSA_WITH_RC4_128_SHA"),
    (0xc007, "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA"),
    (0xc011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA"),
    // Blocks of 64 bits.
    (0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0x0016, "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc008, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"),
];

/// Suites without forward secrecy: weak where a server takes nothing better (RFC 9325 4.1).
pub const SUITES_STATIC_RSA: &[(u16, &str)] = &[
    (0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256"),
    (0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384"),
    (0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256"),
    (0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256"),
    (0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA"),
    (0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA"),
    (0x0041, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA"),
    (0x0084, "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA"),
];

/// Suites with forward secrecy that our library does not speak: authenticated encryption with
/// finite fields, and the CBC suites that all versions have.
const SUITES_FORWARD: &[u16] = &[
    0x009e, 0x009f, 0xccaa, // DHE with GCM and ChaCha20.
    0xc023, 0xc024, 0xc027, 0xc028, // ECDHE with CBC and SHA-2.
    0xc009, 0xc00a, 0xc013, 0xc014, // ECDHE with CBC and SHA-1.
    0x0067, 0x006b, 0x0033, 0x0039, // DHE with CBC.
];

/// The suites to find out whether a server speaks `version` at all: the good ones first, those of
/// static RSA and the weak ones last, so that a server chooses as well as it can.
#[must_use]
pub fn suites_for_version() -> Vec<u16> {
    let good = super::SUITES_TLS12.iter().map(|(suite, _)| *suite);
    let named = SUITES_STATIC_RSA.iter().chain(SUITES_WEAK).map(|(suite, _)| *suite);
    good.chain(SUITES_FORWARD.iter().copied()).chain(named).collect()
}

/// The name of a weak suite.
#[must_use]
pub fn weak_suite(suite: u16) -> Option<&'static str> {
    SUITES_WEAK.iter().find(|(weak, _)| *weak == suite).map(|(_, name)| *name)
}

/// The name of a suite without forward secrecy.
#[must_use]
pub fn static_rsa_suite(suite: u16) -> Option<&'static str> {
    SUITES_STATIC_RSA.iter().find(|(found, _)| *found == suite).map(|(_, name)| *name)
}

/// Writes the hello as one record.
#[must_use]
pub fn write(offer: &Offer<'_>) -> Vec<u8> {
    let version = offer.version.min(TLS12);
    let mut body = version.to_be_bytes().to_vec();
    body.extend_from_slice(&offer.random);
    // No session to resume.
    body.push(0);
    let suites: Vec<u8> =
        offer.suites.iter().chain(&[RENEGOTIATION_INFO]).flat_map(|suite| suite.to_be_bytes()).collect();
    vector16(&mut body, &suites);
    // No compression.
    body.extend_from_slice(&[1, 0]);
    if version > SSL3 {
        let mut extensions = Vec::new();
        if let Some(name) = offer.server_name {
            let mut entry = vec![0];
            vector16(&mut entry, name.as_bytes());
            let mut list = Vec::new();
            vector16(&mut list, &entry);
            extension(&mut extensions, 0, &list);
        }
        // x25519, P-256, P-384, P-521; points uncompressed.
        extension(&mut extensions, 10, &[0, 8, 0, 29, 0, 23, 0, 24, 0, 25]);
        extension(&mut extensions, 11, &[1, 0]);
        if version == TLS12 {
            extension(&mut extensions, 13, SIGNATURES);
        }
        vector16(&mut body, &extensions);
    }
    let mut message = vec![HANDSHAKE_CLIENT_HELLO, 0];
    vector16(&mut message, &body);
    // Some servers refuse a first record above TLS 1.0 (RFC 5246 E.1).
    let [major, minor] = version.min(TLS10).to_be_bytes();
    let mut record = vec![CONTENT_HANDSHAKE, major, minor];
    vector16(&mut record, &message);
    record
}

/// Reads what the server sent first.
#[must_use]
pub fn answer(bytes: &[u8]) -> Answer {
    let mut rest = &bytes[..bytes.len().min(ANSWER_BYTES_MAX)];
    let mut message: Vec<u8> = Vec::new();
    loop {
        match rest {
            [] => break,
            [CONTENT_ALERT | CONTENT_HANDSHAKE] | [CONTENT_ALERT | CONTENT_HANDSHAKE, 3] => break,
            [CONTENT_ALERT | CONTENT_HANDSHAKE, 3, ..] => {}
            _ => return Answer::NotTls,
        }
        let [kind, _, _, high, low, after @ ..] = rest else { break };
        let length = usize::from(be16(*high, *low));
        let payload = &after[..after.len().min(length)];
        if *kind == CONTENT_ALERT {
            match payload {
                _ if length != 2 => return Answer::Broken,
                [2, description] => return Answer::Alert(*description),
                // A warning, such as that the server name is not known: the hello follows.
                [_, _] => {}
                _ => break,
            }
        } else {
            message.extend_from_slice(payload);
            match server_hello(&message) {
                Answer::NeedMore => {}
                other => return other,
            }
        }
        rest = &after[payload.len()..];
        if payload.len() < length {
            break;
        }
    }
    if bytes.len() >= ANSWER_BYTES_MAX { Answer::Broken } else { Answer::NeedMore }
}

const HANDSHAKE_CLIENT_HELLO: u8 = 1;
const HANDSHAKE_SERVER_HELLO: u8 = 2;
/// RFC 5746 3.3: says "I know secure renegotiation" without an extension.
const RENEGOTIATION_INFO: u16 = 0x00ff;
/// Schemes of RSA and ECDSA from SHA-512 down to SHA-1, PSS first, as a vector.
const SIGNATURES: &[u8] = &[0, 22, 8, 4, 8, 5, 8, 6, 4, 3, 5, 3, 6, 3, 4, 1, 5, 1, 6, 1, 2, 1, 2, 3];

/// RFC 5246 7.4.1.3 and RFC 8446 4.1.3, header of four octets included.
fn server_hello(message: &[u8]) -> Answer {
    match message {
        [] => return Answer::NeedMore,
        [HANDSHAKE_SERVER_HELLO, ..] => {}
        _ => return Answer::Broken,
    }
    let [_, high, middle, low, rest @ ..] = message else { return Answer::NeedMore };
    let length = usize::from(*high) << 16 | usize::from(be16(*middle, *low));
    if length > ANSWER_BYTES_MAX {
        return Answer::Broken;
    }
    let Some(body) = rest.get(..length) else { return Answer::NeedMore };
    hello_body(body).map_or(Answer::Broken, |(version, suite)| Answer::Agreed { version, suite })
}

fn hello_body(body: &[u8]) -> Option<(u16, u16)> {
    let mut reader = Reader(body);
    let mut version = reader.u16()?;
    reader.take(32)?;
    reader.vector8()?;
    let suite = reader.u16()?;
    reader.u8()?;
    if !reader.0.is_empty() {
        let mut extensions = Reader(reader.vector16()?);
        while !extensions.0.is_empty() {
            let kind = extensions.u16()?;
            let value = extensions.vector16()?;
            if let (43, [high, low]) = (kind, value) {
                version = be16(*high, *low);
            }
        }
    }
    (SSL3..=TLS13).contains(&version).then_some((version, suite))
}

/// `bytes` with their length before them; what is written here is far shorter than 64 KiB.
fn vector16(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn extension(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    vector16(out, value);
}

/// The law for the fuzzer: an answer other than [`Answer::NeedMore`] is final.
#[doc(hidden)]
pub fn law(bytes: &[u8]) {
    let whole = answer(bytes);
    for cut in 0..bytes.len() {
        let part = answer(&bytes[..cut]);
        if part != Answer::NeedMore {
            assert_eq!(part, whole, "the answer at octet {cut} was not final");
        }
    }
}

/// The law for the fuzzer: what is written reads as what was offered, however odd name and suites are, and is read only
/// when it is whole.
#[doc(hidden)]
pub fn law_of_writing(offer: &Offer<'_>) {
    let written = write(offer);
    let Parsed::Hello(read) = parse(&written) else { panic!("no hello: {written:x?}") };
    assert_eq!(read.legacy_version, offer.version.min(TLS12));
    let said = offer.suites.iter().chain(&[RENEGOTIATION_INFO]);
    assert!(said.filter(|suite| !is_grease(**suite)).eq(&read.suites), "{:x?}", read.suites);
    let mut cut = written;
    cut.truncate(cut.len() - 1);
    assert_eq!(parse(&cut), Parsed::NeedMore);
}

#[cfg(test)]
mod tests {
    use super::super::{TLS11, Verdict, verdict};
    use super::*;
    use proptest::prelude::*;

    fn hello(version: u16, suites: &[u16]) -> Vec<u8> {
        write(&Offer { version, suites, server_name: Some("mail.example.test"), random: [7; 32] })
    }

    /// A ServerHello in one record.
    fn agreed(version: u16, suite: u16, extensions: &[u8]) -> Vec<u8> {
        let mut body = version.to_be_bytes().to_vec();
        body.extend_from_slice(&[9; 32]);
        body.push(0);
        body.extend_from_slice(&suite.to_be_bytes());
        body.push(0);
        if !extensions.is_empty() {
            vector16(&mut body, extensions);
        }
        let mut message = vec![2, 0];
        vector16(&mut message, &body);
        let mut record = vec![22, 3, 1];
        vector16(&mut record, &message);
        record
    }

    #[test]
    fn what_is_written_is_a_hello_of_that_version() {
        for version in [SSL3, TLS10, TLS11, TLS12] {
            let written = hello(version, &suites_for_version());
            let Parsed::Hello(read) = parse(&written) else { panic!("{version:x} is no hello") };
            assert_eq!(read.legacy_version, version);
            assert_eq!(read.record_version, version.min(TLS10));
            assert_eq!(read.server_name.is_some(), version > SSL3);
            assert_eq!(read.suites.len(), suites_for_version().len() + 1);
            let expected = if version == TLS12 { Verdict::Speakable } else { Verdict::TooOld(version) };
            assert_eq!(verdict(&read), expected);
        }
    }

    #[test]
    fn answers_are_read() {
        assert_eq!(answer(&agreed(TLS10, 0x2f, &[])), Answer::Agreed { version: TLS10, suite: 0x2f });
        let tls13 = agreed(TLS12, 0x1301, &[0, 43, 0, 2, 3, 4]);
        assert_eq!(answer(&tls13), Answer::Agreed { version: TLS13, suite: 0x1301 });
        assert_eq!(answer(&[21, 3, 1, 0, 2, 2, 70]), Answer::Alert(70));
        let warned = [&[21, 3, 1, 0, 2, 1, 112][..], &agreed(SSL3, 5, &[])].concat();
        assert_eq!(answer(&warned), Answer::Agreed { version: SSL3, suite: 5 });
        for (bytes, expected) in [
            (&b"* OK hi\r\n"[..], Answer::NotTls),
            (b"220 hi", Answer::NotTls),
            (&[22, 3, 1, 0, 1, 1], Answer::Broken),
            (&[21, 3, 1, 0, 3, 2, 70, 0], Answer::Broken),
            (&[21, 3, 1, 0, 2, 2], Answer::NeedMore),
            (&[], Answer::NeedMore),
        ] {
            assert_eq!(answer(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_hello_in_many_records_is_read_and_an_endless_one_is_not() {
        let whole = agreed(TLS11, 0x35, &[]);
        let pieces: Vec<u8> = whole[5..].iter().flat_map(|byte| [22, 3, 2, 0, 1, *byte]).collect();
        assert_eq!(answer(&pieces), Answer::Agreed { version: TLS11, suite: 0x35 });
        assert_eq!(answer(&[21, 3, 1, 0, 2, 1, 112].repeat(1000)), Answer::Broken);
        assert_eq!(answer(&[22, 3, 1, 0, 0].repeat(1000)), Answer::Broken);
    }

    #[test]
    fn every_suite_has_one_name() {
        let suites = suites_for_version();
        let unique: std::collections::BTreeSet<_> = suites.iter().collect();
        assert_eq!(unique.len(), suites.len());
        assert_eq!(weak_suite(0x0005), Some("TLS_RSA_WITH_RC4_128_SHA"));
        assert_eq!(static_rsa_suite(0x002f), Some("TLS_RSA_WITH_AES_128_CBC_SHA"));
        assert_eq!(weak_suite(0xc02f), None);
    }

    proptest! {
        #[test]
        fn any_octets_obey_the_law(input in prop::collection::vec(any::<u8>(), 0..120)) {
            law(&input);
        }

        #[test]
        fn any_offer_obeys_the_law(
            version in SSL3..=TLS12,
            suites in prop::collection::vec(any::<u16>(), 0..40),
            name in prop::option::of("\\PC{0,40}"),
        ) {
            let server_name = name.as_deref();
            law_of_writing(&Offer { version, suites: &suites, server_name, random: [7; 32] });
        }

        #[test]
        fn damaged_answers_obey_the_law(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut input = agreed(TLS12, 0xc02f, &[0, 43, 0, 2, 3, 4]);
            let at = at.index(input.len());
            input[at] = byte;
            law(&input);
        }
    }
}
