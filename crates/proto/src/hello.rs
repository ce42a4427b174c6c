//! ClientHello and alerts as bytes, for what the TLS library does not speak.
//!
//! The TLS library speaks 1.2 and 1.3 and does not tell what a client offered.
//! Here the first message of a client is read beside it: to recognise a client
//! that is too old, to answer it with an alert that it understands, and to know
//! facts of the offer (extended master secret, ALPN, server name).
//!
//! What must hold: [`parse`] is a pure function of the bytes from the start of
//! the connection, never panics, says [`Parsed::NeedMore`] for every proper prefix of
//! a hello, and looks at no more than [`HELLO_BYTES_MAX`] bytes. Nothing here is
//! trusted for security: the TLS library parses and checks the same bytes again.
//!
//! [`offer`] makes hellos of our own and reads what servers answer to them. Deliberately not here: everything
//! after the ServerHello.

pub mod chain;
pub mod offer;

/// Bytes of records in which a ClientHello must be complete. Post-quantum hellos
/// take about 2 KB; no client is known to send more than 8.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;

/// SSL 2.0, which RFC 6176 forbids.
pub const SSL2: u16 = 0x0002;
/// SSL 3.0 (RFC 6101).
pub const SSL3: u16 = 0x0300;
/// TLS 1.0 (RFC 2246).
pub const TLS10: u16 = 0x0301;
/// TLS 1.1 (RFC 4346).
pub const TLS11: u16 = 0x0302;
/// TLS 1.2 (RFC 5246).
pub const TLS12: u16 = 0x0303;
/// TLS 1.3 (RFC 8446).
pub const TLS13: u16 = 0x0304;

/// The suites that we speak under TLS 1.3, with their IANA names.
pub const SUITES_TLS13: &[(u16, &str)] = &[
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
];

/// The suites that we speak under TLS 1.2: forward secret and authenticated encryption only (RFC 9325 4.2).
pub const SUITES_TLS12: &[(u16, &str)] = &[
    (0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    (0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    (0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    (0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
];

/// What the bytes from the start of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// So far a beginning of a hello.
    NeedMore,
    /// Not TLS: clear text, or another protocol.
    NotTls,
    /// Shaped like TLS, but not a hello that anyone may send; what is wrong with it.
    Broken(&'static str),
    /// The whole hello is there.
    Hello(Box<Hello>),
}

/// What a client offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Version in the header of the first record.
    pub record_version: u16,
    /// `legacy_version` of the message: the highest offered by clients before TLS 1.3.
    pub legacy_version: u16,
    /// `supported_versions` (RFC 8446 4.2.1) without GREASE values; empty if the extension is missing.
    pub supported_versions: Vec<u16>,
    /// Cipher suites in the client's order, without GREASE values (RFC 8701).
    pub suites: Vec<u16>,
    /// Server name (RFC 6066 3), lower case, without trailing dot.
    pub server_name: Option<String>,
    /// ALPN protocol names (RFC 7301) in the client's order.
    pub alpn: Vec<Vec<u8>>,
    /// Key exchange groups in the client's order, without GREASE values.
    pub groups: Vec<u16>,
    /// Signature schemes in the client's order.
    pub signature_schemes: Vec<u16>,
    /// Extended master secret (RFC 7627).
    pub extended_master_secret: bool,
    /// Sent in the format of SSL 2 (RFC 5246 E.2).
    pub ssl2_format: bool,
}

/// Whether we have a way to talk with the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A version and a suite in common, as far as the hello tells.
    Speakable,
    /// Nothing newer than TLS 1.1 is offered; the highest offered version.
    TooOld(u16),
    /// TLS 1.2 or newer, but no suite with forward secrecy and authenticated encryption.
    CbcOnly,
}

/// Alerts that we write ourselves (RFC 8446 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    /// This does not come now: TLS where clear text and STARTTLS come first.
    UnexpectedMessage = 10,
    /// No suite in common.
    HandshakeFailure = 40,
    /// The hello cannot be read.
    DecodeError = 50,
    /// No version in common.
    ProtocolVersion = 70,
    /// It is our fault: there is no room for another connection.
    InternalError = 80,
}

/// Reads the bytes that a client sent first.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    match first_message(bytes) {
        Ok(Message::Tls { record_version, body }) => match client_hello(record_version, &body) {
            Some(hello) if hello.suites.is_empty() => Parsed::Broken("no cipher suites"),
            Some(hello) => Parsed::Hello(Box::new(hello)),
            None => Parsed::Broken("ClientHello is malformed"),
        },
        Ok(Message::Ssl2(body)) => match ssl2_hello(body) {
            Some(hello) => Parsed::Hello(Box::new(hello)),
            None => Parsed::Broken("SSL 2 ClientHello is malformed"),
        },
        Err(other) => other,
    }
}

/// Decides from the offer alone whether we can talk.
#[must_use]
pub fn verdict(hello: &Hello) -> Verdict {
    let highest = hello.highest_version();
    if highest < TLS12 {
        return Verdict::TooOld(highest);
    }
    if hello.ssl2_format {
        // Whatever it offers inside, it begins in the language of SSL 2 (forbidden by RFC 6176 3).
        return Verdict::TooOld(SSL2);
    }
    let common = |ours: &[(u16, &str)]| ours.iter().any(|(suite, _)| hello.suites.contains(suite));
    let tls13 = hello.offers(TLS13) && common(SUITES_TLS13);
    let tls12 = hello.offers(TLS12) && common(SUITES_TLS12);
    if tls13 || tls12 { Verdict::Speakable } else { Verdict::CbcOnly }
}

/// One fatal alert record, in a version that the sender of `hello` understands.
#[must_use]
pub fn alert(hello: Option<&Hello>, alert: Alert) -> [u8; 7] {
    // A TLS 1.0 client refuses a record of a higher version than its own; newer ones do not look at it.
    let version = hello.map_or(TLS10, |hello| hello.legacy_version.clamp(SSL3, TLS12));
    let [major, minor] = version.to_be_bytes();
    [CONTENT_ALERT, major, minor, 0, 2, 2, alert as u8]
}

/// A version as people write it: `TLSv1.0`.
#[must_use]
pub fn version_name(version: u16) -> &'static str {
    match version {
        SSL2 => "SSLv2",
        SSL3 => "SSLv3",
        TLS10 => "TLSv1.0",
        TLS11 => "TLSv1.1",
        TLS12 => "TLSv1.2",
        TLS13 => "TLSv1.3",
        _ => "unknown",
    }
}

/// The name of an alert in the TLS alert registry: `unknown_ca`.
#[must_use]
pub fn alert_name(description: u8) -> &'static str {
    match description {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => "unknown",
    }
}

impl Hello {
    /// True if the client would speak `version`.
    #[must_use]
    pub fn offers(&self, version: u16) -> bool {
        if self.supported_versions.is_empty() {
            // Without the extension, TLS 1.3 cannot be negotiated and
            // `legacy_version` is the highest (RFC 8446 4.2.1).
            version <= TLS12 && version <= self.legacy_version
        } else {
            self.supported_versions.contains(&version)
        }
    }

    /// The highest version that we know the name of and the client offers.
    #[must_use]
    pub fn highest_version(&self) -> u16 {
        if self.supported_versions.is_empty() {
            return self.legacy_version.min(TLS12);
        }
        self.supported_versions.iter().copied().filter(|v| *v <= TLS13).max().unwrap_or(0)
    }

    /// True if the client can check an ECDSA signature. Without the extension a
    /// TLS 1.2 client is held to SHA-1 only (RFC 5246 7.4.1.4.1), so: no.
    #[must_use]
    pub fn knows_ecdsa(&self) -> bool {
        self.signature_schemes.iter().any(|scheme| matches!(scheme, 0x0403 | 0x0503 | 0x0603))
    }

    /// True if the client offers `name` by ALPN.
    #[must_use]
    pub fn offers_alpn(&self, name: &[u8]) -> bool {
        self.alpn.iter().any(|offered| offered == name)
    }
}

const CONTENT_ALERT: u8 = 21;
const CONTENT_HANDSHAKE: u8 = 22;
const HANDSHAKE_CLIENT_HELLO: u8 = 1;
/// A plaintext record carries at most this (RFC 8446 5.1).
const RECORD_BYTES_MAX: usize = 1 << 14;

enum Message<'a> {
    Tls { record_version: u16, body: Vec<u8> },
    Ssl2(&'a [u8]),
}

/// Takes the records apart; the error is the answer of [`parse`].
fn first_message(bytes: &[u8]) -> Result<Message<'_>, Parsed> {
    match bytes {
        [] => return Err(Parsed::NeedMore),
        // The shortest SSL 2 hello has 9 bytes of body, the longest sensible one stays far under 256 suites.
        [high, ..] if *high & 0x80 != 0 => return ssl2_message(bytes),
        [CONTENT_HANDSHAKE, ..] => {}
        _ => return Err(Parsed::NotTls),
    }
    let needed = message_bytes(bytes)?;
    let mut body = Vec::with_capacity(needed);
    let mut rest = bytes;
    while let Some((payload, after)) = record(rest) {
        let wanted = needed - body.len();
        body.extend_from_slice(&payload[..payload.len().min(wanted)]);
        rest = after;
        if body.len() == needed {
            break;
        }
    }
    if body.len() < needed {
        return Err(Parsed::NeedMore);
    }
    body.drain(..4);
    Ok(Message::Tls { record_version: be16(bytes[1], bytes[2]), body })
}

/// Checks all record headers that are there, and says how long the first handshake
/// message is with its header of 4 bytes. Copies nothing, so that it is cheap to
/// ask again after each byte.
fn message_bytes(bytes: &[u8]) -> Result<usize, Parsed> {
    let (mut rest, mut seen, mut header) = (bytes, 0, [0; 4]);
    loop {
        match rest {
            [] | [CONTENT_HANDSHAKE] => {}
            [CONTENT_HANDSHAKE, 3, ..] => {}
            _ if seen > 0 => return Err(Parsed::Broken("another record inside the ClientHello")),
            _ => return Err(Parsed::NotTls),
        }
        if let [_, _, _, high, low, ..] = rest {
            let length = usize::from(be16(*high, *low));
            if length == 0 || length > RECORD_BYTES_MAX {
                return Err(Parsed::Broken("record of a forbidden length"));
            }
        }
        let part = match rest.len() {
            0..=5 => &[][..],
            available => &rest[5..available.min(5 + usize::from(be16(rest[3], rest[4])))],
        };
        for (slot, byte) in header.iter_mut().skip(seen).zip(part) {
            *slot = *byte;
        }
        seen += part.len();
        if seen >= 1 && header[0] != HANDSHAKE_CLIENT_HELLO {
            return Err(Parsed::Broken("the first handshake message is not a ClientHello"));
        }
        let needed = 4 + (usize::from(header[1]) << 16 | usize::from(be16(header[2], header[3])));
        if seen >= 4 && needed > HELLO_BYTES_MAX {
            return Err(Parsed::Broken("ClientHello is too long"));
        }
        if seen >= 4 && seen >= needed {
            return Ok(needed);
        }
        match record(rest) {
            Some((_, after)) if !after.is_empty() => rest = after,
            _ if bytes.len() >= HELLO_BYTES_MAX => return Err(Parsed::Broken("ClientHello is too long")),
            _ => return Err(Parsed::NeedMore),
        }
    }
}

/// The payload of the first record, cut where the bytes end, and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [_, _, _, high, low, rest @ ..] = bytes else { return None };
    let length = usize::from(be16(*high, *low)).min(rest.len());
    Some(rest.split_at(length))
}

fn ssl2_message(bytes: &[u8]) -> Result<Message<'_>, Parsed> {
    // Clear text of a mail client never has the high bit set in its first byte.
    match bytes {
        [_] | [_, _] | [_, _, 1] | [_, _, 1, 0 | 2 | 3] => return Err(Parsed::NeedMore),
        [_, _, 1, 0, 2, ..] | [_, _, 1, 2, 0, ..] | [_, _, 1, 3, ..] => {}
        _ => return Err(Parsed::NotTls),
    }
    let length = usize::from(be16(bytes[0] & 0x7f, bytes[1]));
    if !(9..=4096).contains(&length) {
        return Err(Parsed::Broken("SSL 2 record of a forbidden length"));
    }
    match bytes[2..].get(..length) {
        Some(body) => Ok(Message::Ssl2(body)),
        None => Err(Parsed::NeedMore),
    }
}

/// RFC 5246 E.2: type, version, three lengths, suites of three bytes.
fn ssl2_hello(body: &[u8]) -> Option<Hello> {
    let mut reader = Reader(body);
    reader.u8()?;
    let version = reader.u16()?;
    let suites_bytes = usize::from(reader.u16()?);
    let id_bytes = usize::from(reader.u16()?);
    let challenge_bytes = usize::from(reader.u16()?);
    let suites = reader.take(suites_bytes)?;
    reader.take(id_bytes)?;
    reader.take(challenge_bytes)?;
    if suites_bytes == 0 || !suites_bytes.is_multiple_of(3) || !reader.0.is_empty() {
        return None;
    }
    // SSL 2 itself is written 0x0002 or, by some, 0x0200.
    let version = if version == 0x0200 { SSL2 } else { version };
    Some(Hello {
        record_version: version,
        legacy_version: version,
        suites: suites.chunks_exact(3).filter(|s| s[0] == 0).map(|s| be16(s[1], s[2])).collect(),
        ssl2_format: true,
        ..Hello::default()
    })
}

/// RFC 8446 4.1.2 and RFC 5246 7.4.1.2, without the four bytes of header.
fn client_hello(record_version: u16, body: &[u8]) -> Option<Hello> {
    let mut reader = Reader(body);
    let mut hello = Hello { record_version, legacy_version: reader.u16()?, ..Hello::default() };
    if hello.legacy_version < SSL3 {
        return None;
    }
    reader.take(32)?;
    let session = reader.vector8()?;
    if session.len() > 32 {
        return None;
    }
    hello.suites = numbers(reader.vector16()?)?;
    if reader.vector8()?.is_empty() {
        return None;
    }
    // SSL 3 and bare TLS 1.0 hellos end here.
    if !reader.0.is_empty() {
        let mut extensions = Reader(reader.vector16()?);
        if !reader.0.is_empty() {
            return None;
        }
        while !extensions.0.is_empty() {
            let kind = extensions.u16()?;
            extension(&mut hello, kind, extensions.vector16()?)?;
        }
    }
    Some(hello)
}

fn extension(hello: &mut Hello, kind: u16, body: &[u8]) -> Option<()> {
    let mut reader = Reader(body);
    match kind {
        0 => {
            let mut names = Reader(reader.vector16()?);
            while !names.0.is_empty() {
                let name_type = names.u8()?;
                let name = names.vector16()?;
                if name_type == 0 && hello.server_name.is_none() {
                    hello.server_name = host_name(name);
                }
            }
        }
        10 => hello.groups = numbers(reader.vector16()?)?,
        13 => hello.signature_schemes = numbers(reader.vector16()?)?,
        16 => {
            let mut names = Reader(reader.vector16()?);
            while !names.0.is_empty() {
                hello.alpn.push(names.vector8()?.to_vec());
            }
        }
        23 => hello.extended_master_secret = true,
        43 => hello.supported_versions = numbers(reader.vector8()?)?,
        _ => {}
    }
    Some(())
}

/// A host name as everyone may store it, print it and look it up: lower case,
/// letters, digits, hyphen, underscore and dots, without the trailing dot that
/// RFC 6066 forbids and clients send.
fn host_name(name: &[u8]) -> Option<String> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 253 || !name.iter().all(legal) {
        return None;
    }
    Some(name.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect())
}

/// Pairs of bytes as numbers, without GREASE (RFC 8701).
fn numbers(bytes: &[u8]) -> Option<Vec<u16>> {
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    Some(bytes.chunks_exact(2).map(|pair| be16(pair[0], pair[1])).filter(|n| !is_grease(*n)).collect())
}

/// Means nothing, so that nobody comes to rely on what is not said (RFC 8701 2).
fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

fn be16(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}

/// Takes values from the front; `None` where the bytes end too early.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| be16(bytes[0], bytes[1]))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let count = self.u8()?;
        self.take(usize::from(count))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let count = self.u16()?;
        self.take(usize::from(count))
    }
}

/// The law for the fuzzer: whatever `bytes` are, an answer other than
/// [`Parsed::NeedMore`] is final, and no prefix of a whole hello is taken for one.
#[doc(hidden)]
pub fn law(bytes: &[u8]) {
    let whole = parse(bytes);
    for cut in 0..bytes.len() {
        let part = parse(&bytes[..cut]);
        if part != Parsed::NeedMore {
            assert_eq!(part, whole, "the answer at byte {cut} was not final");
        }
    }
    if let Parsed::Hello(hello) = &whole {
        let _ = verdict(hello);
        let written = alert(Some(hello), Alert::ProtocolVersion);
        assert_eq!(written[1..3], hello.legacy_version.clamp(SSL3, TLS12).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sent by `openssl s_client -tls1 -servername Mail.Example.TEST.`.
    const TLS10_OPENSSL: &str = "160301007e0100007a0301f1ff6a8221ff8611bd6904a8527e87dafd8a0cae063c4cf03e305779cfd9199b000012c00a\
         c0140039c009c01300330035002f00ff0100003f0000001700150000124d61696c2e4578616d706c652e544553542e00\
         0b000403000102000a000c000a001d0017001e00190018002300000016000000170000";

    /// Sent by `openssl s_client -tls1_2 -cipher ECDHE-RSA-AES128-SHA:AES256-SHA -alpn imap,pop3`.
    const TLS12_CBC_OPENSSL: &str = "16030100af010000ab0303a3691c44c9a96550ce704176844806a63d6389dae91032f0a8a2d17585b44b79000006c013\
         003500ff0100007c0000001600140000116d61696c2e6578616d706c652e74657374000b000403000102000a000c000a\
         001d0017001e00190018002300000010000c000a04696d617004706f70330016000000170000000d002a002804030503\
         0603080708080809080a080b080408050806040105010601030303010302040205020602";

    /// Sent by `openssl s_client -tls1_2 -noservername -cipher ECDHE-RSA-AES128-GCM-SHA256`.
    const TLS12_OPENSSL: &str = "16030100830100007f03032128f12fef0b29a256b364da1e29136a058f7096dcedab3eb72333a497b1cc41000004c02f\
         00ff01000052000b000403000102000a000c000a001d0017001e00190018002300000016000000170000000d002a0028\
         040305030603080708080809080a080b080408050806040105010601030303010302040205020602";

    /// Sent by `openssl s_client -servername mail.example.test -alpn imap`.
    const TLS13_OPENSSL: &str = "1603010149010001450303212e68991e71633730bae700184dc08dc0d66a7f86301654aa1774801f37230720d65ad6c5\
         123dcfe71ec633ec093fa5f7243e34089ec3150f996cb5c1a6e73687003e130213031301c02cc030009fcca9cca8ccaa\
         c02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff010000be\
         0000001600140000116d61696c2e6578616d706c652e74657374000b000403000102000a00160014001d0017001e0019\
         0018010001010102010301040023000000100007000504696d61700016000000170000000d002a002804030503060308\
         0708080809080a080b080408050806040105010601030303010302040205020602002b0009080304030303020301002d\
         00020101003300260024001d0020da7b9dd9b3b54d7a2b1bfc17fdac055d7a77758ee50ed13485595cae8926ff18";

    /// SSL 2 format, offering TLS 1.0, as Java 6 and old OpenSSL send it.
    const SSL2_FORMAT: &str =
        "802b0103010012000000100000040000050000090700c0060040020080000102030405060708090a0b0c0d0e0f";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn hello(bytes: &[u8]) -> Hello {
        match parse(bytes) {
            Parsed::Hello(hello) => *hello,
            other => panic!("no hello: {other:?}"),
        }
    }

    #[test]
    fn too_old_clients_are_recognised() {
        let old = hello(&bytes(TLS10_OPENSSL));
        assert_eq!(verdict(&old), Verdict::TooOld(TLS10));
        assert_eq!(old.server_name.as_deref(), Some("mail.example.test"));
        assert!(old.extended_master_secret);
        assert!(!old.knows_ecdsa());
        // RFC 5246 E.1: the alert goes out in a version that the client speaks.
        assert_eq!(alert(Some(&old), Alert::ProtocolVersion), [21, 3, 1, 0, 2, 2, 70]);

        let older = hello(&bytes(SSL2_FORMAT));
        assert!(older.ssl2_format);
        assert_eq!(older.suites, [0x0004, 0x0005, 0x0009]);
        assert_eq!(verdict(&older), Verdict::TooOld(TLS10));
    }

    #[test]
    fn cbc_only_is_a_reason_of_its_own() {
        let apple = hello(&bytes(TLS12_CBC_OPENSSL));
        assert_eq!(verdict(&apple), Verdict::CbcOnly);
        assert_eq!(apple.suites, [0xc013, 0x0035, 0x00ff]);
        assert_eq!(apple.alpn, [b"imap".to_vec(), b"pop3".to_vec()]);
        assert!(apple.knows_ecdsa());
        assert_eq!(alert(Some(&apple), Alert::HandshakeFailure), [21, 3, 3, 0, 2, 2, 40]);
    }

    #[test]
    fn current_clients_are_read() {
        let two = hello(&bytes(TLS12_OPENSSL));
        assert_eq!(
            (verdict(&two), two.server_name.clone(), two.highest_version()),
            (Verdict::Speakable, None, TLS12)
        );
        let three = hello(&bytes(TLS13_OPENSSL));
        assert_eq!(verdict(&three), Verdict::Speakable);
        assert_eq!(three.supported_versions, [TLS13, TLS12, TLS11, TLS10]);
        assert_eq!(three.highest_version(), TLS13);
        assert_eq!(three.groups[..2], [0x001d, 0x0017]);
        assert!(three.offers_alpn(b"imap") && !three.offers_alpn(b"pop3"));
    }

    #[test]
    fn every_truncation_needs_more() {
        for hex in [TLS10_OPENSSL, TLS12_CBC_OPENSSL, TLS12_OPENSSL, TLS13_OPENSSL, SSL2_FORMAT] {
            let whole = bytes(hex);
            for cut in 0..whole.len() {
                assert_eq!(parse(&whole[..cut]), Parsed::NeedMore, "cut at {cut} of {hex}");
            }
            law(&whole);
        }
    }

    #[test]
    fn a_hello_may_be_split_over_records_anywhere() {
        let whole = bytes(TLS13_OPENSSL);
        let expected = hello(&whole);
        for size in [1, 2, 3, 5, 100, 300] {
            let split = in_records(&whole[5..], size);
            assert_eq!(hello(&split), expected, "records of {size}");
            assert_eq!(parse(&split[..split.len() - 1]), Parsed::NeedMore);
            // What follows the hello is not looked at.
            assert_eq!(hello(&[&split[..], b"\x17garbage"].concat()), expected);
        }
    }

    #[test]
    fn clear_text_is_known_by_its_first_byte() {
        for text in ["E", "EHLO x\r\n", "USER fred\r\n", "\r\n", "GET / HTTP/1.1\r\n"] {
            assert_eq!(parse(text.as_bytes()), Parsed::NotTls);
        }
        assert_eq!(parse(b"\x16\x04"), Parsed::NotTls);
        assert_eq!(parse("\u{e9}t\u{e9}".as_bytes()), Parsed::NotTls);
    }

    #[test]
    fn broken_hellos_are_told_apart() {
        assert_eq!(parse(b"\x16\x03\x01\x00\x00"), Parsed::Broken("record of a forbidden length"));
        assert_eq!(parse(b"\x16\x03\x01\x40\x01"), Parsed::Broken("record of a forbidden length"));
        assert_eq!(
            parse(b"\x16\x03\x01\x00\x04\x02"),
            Parsed::Broken("the first handshake message is not a ClientHello")
        );
        assert_eq!(parse(b"\x16\x03\x01\x00\x04\x01\x01\x00\x00"), Parsed::Broken("ClientHello is too long"));
        let mut whole = bytes(TLS12_OPENSSL);
        let length = whole.len() - 44;
        whole[length] = 0xff;
        assert_eq!(parse(&whole), Parsed::Broken("ClientHello is malformed"));
        // One byte in each record: all the allowed bytes are headers.
        let endless = in_records(&[&[1, 0, 0x30, 0][..], &[0; 0x3000]].concat(), 1);
        assert_eq!(parse(&endless[..HELLO_BYTES_MAX]), Parsed::Broken("ClientHello is too long"));
    }

    #[test]
    fn server_names_are_normal() {
        assert_eq!(host_name(b"Mail.Example.").as_deref(), Some("mail.example"));
        assert_eq!(host_name(b"."), None);
        assert_eq!(host_name(b"a b"), None);
        assert_eq!(host_name(b"a\nb"), None);
        assert_eq!(host_name(&[b'a'; 254]), None);
    }

    #[test]
    fn grease_is_ignored() {
        assert_eq!(numbers(&[0x0a, 0x0a, 0x13, 0x01, 0xfa, 0xfa, 0x0a, 0x1a]), Some(vec![0x1301, 0x0a1a]));
    }

    /// The handshake message `body` in records of `size` bytes.
    fn in_records(body: &[u8], size: usize) -> Vec<u8> {
        let record = |part: &[u8]| {
            let [high, low] = u16::try_from(part.len()).unwrap().to_be_bytes();
            [&[22, 3, 1, high, low], part].concat()
        };
        body.chunks(size).flat_map(record).collect()
    }

    proptest! {
        #[test]
        fn any_bytes_obey_the_law(input in prop::collection::vec(any::<u8>(), 0..200)) {
            law(&input);
        }

        #[test]
        fn damaged_hellos_obey_the_law(which in 0..5_usize, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let all = [TLS10_OPENSSL, TLS12_CBC_OPENSSL, TLS12_OPENSSL, TLS13_OPENSSL, SSL2_FORMAT];
            let mut input = bytes(all[which]);
            let at = at.index(input.len());
            input[at] = byte;
            law(&input);
        }
    }
}
