//! Transfer encodings undone (RFC 2045 6.7, 6.8), streaming and lenient.

use super::super::structure::Encoding;

/// White space at a line's end that is held until it is known what follows. A longer run is kept as text.
const HELD_BYTES_MAX: usize = 256;

/// Decodes a part's transfer encoding alone (BINARY, RFC 3516), streaming.
#[derive(Debug, Default)]
pub struct TransferDecoder {
    way: Way,
}

#[derive(Debug, Default)]
enum Way {
    #[default]
    Identity,
    Base64(Base64),
    QuotedPrintable(QuotedPrintable),
}

impl TransferDecoder {
    /// `None` if the encoding is not known.
    #[must_use]
    pub fn new(encoding: Encoding) -> Option<TransferDecoder> {
        let way = match encoding {
            Encoding::Identity => Way::Identity,
            Encoding::Base64 => Way::Base64(Base64::default()),
            Encoding::QuotedPrintable => Way::QuotedPrintable(QuotedPrintable::default()),
            Encoding::Unknown => return None,
        };
        Some(TransferDecoder { way })
    }

    /// Nothing changes on the way through.
    pub(super) fn is_identity(&self) -> bool {
        matches!(self.way, Way::Identity)
    }

    /// The next octets, decoded; what is no base64 is passed over as RFC 2045 6.8 asks.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match &mut self.way {
            Way::Identity => out.extend_from_slice(piece),
            Way::Base64(decoder) => decoder.feed(piece, out),
            Way::QuotedPrintable(decoder) => decoder.feed(piece, out),
        }
    }

    /// The part ends.
    pub fn finish(self, out: &mut Vec<u8>) {
        match self.way {
            Way::Identity => {}
            Way::Base64(mut decoder) => decoder.pad(out),
            Way::QuotedPrintable(decoder) => decoder.finish(out),
        }
    }
}

/// What is no digit of base64.
const NONE: u8 = 0x80;
const DIGITS: [u8; 256] = digits();

const fn digits() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [NONE; 256];
    let mut n = 0;
    while n < alphabet.len() {
        table[alphabet[n] as usize] = n as u8;
        n += 1;
    }
    table
}

/// The value of a digit of base64.
pub(super) fn base64_value(octet: u8) -> Option<u8> {
    Some(DIGITS[usize::from(octet)]).filter(|v| *v != NONE)
}

#[derive(Debug, Default)]
struct Base64 {
    bits: u32,
    /// Digits in `bits`: fewer than four.
    count: u32,
}

impl Base64 {
    fn feed(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() / 4 * 3 + 3);
        while let Some((&octet, rest)) = piece.split_first() {
            if self.count == 0 {
                piece = quads(piece, out);
                let Some((&octet, rest)) = piece.split_first() else { return };
                self.octet(octet, out);
                piece = rest;
            } else {
                self.octet(octet, out);
                piece = rest;
            }
        }
    }

    fn octet(&mut self, octet: u8, out: &mut Vec<u8>) {
        let value = DIGITS[usize::from(octet)];
        if value == NONE {
            // Padding ends a run; some writers join several.
            if octet == b'=' {
                self.pad(out);
            }
            return;
        }
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 1;
        if self.count == 4 {
            out.extend_from_slice(&self.bits.to_be_bytes()[1..]);
            (self.bits, self.count) = (0, 0);
        }
    }

    fn pad(&mut self, out: &mut Vec<u8>) {
        let bytes = (self.bits << (6 * (4 - self.count))).to_be_bytes();
        match self.count {
            2 => out.push(bytes[1]),
            3 => out.extend_from_slice(&bytes[1..3]),
            _ => {}
        }
        (self.bits, self.count) = (0, 0);
    }
}

/// Decodes whole groups of four digits from the front, as long as there are such; gives what is left.
fn quads<'a>(piece: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let mut rest = piece;
    let mut done = [0_u8; 48];
    loop {
        let mut filled = 0;
        while filled < done.len()
            && let Some((quad, after)) = rest.split_first_chunk::<4>()
        {
            let digits = quad.map(|b| DIGITS[usize::from(b)]);
            if digits.iter().fold(0, |all, d| all | d) & NONE != 0 {
                break;
            }
            let bits = digits.iter().fold(0_u32, |bits, d| bits << 6 | u32::from(*d));
            done[filled..filled + 3].copy_from_slice(&bits.to_be_bytes()[1..]);
            filled += 3;
            rest = after;
        }
        out.extend_from_slice(&done[..filled]);
        if filled < done.len() {
            return rest;
        }
    }
}

#[derive(Debug, Default)]
struct QuotedPrintable {
    /// White space that is dropped if the line ends with it (RFC 2045 6.7, rule 3).
    held: Vec<u8>,
    /// The run of white space is too long to be held.
    long: bool,
    /// What came since a `=`.
    escape: Option<Vec<u8>>,
}

impl QuotedPrintable {
    fn feed(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        while let Some((&octet, rest)) = piece.split_first() {
            if let Some(escape) = self.escape.take() {
                if self.escaped(escape, octet, out) {
                    piece = rest;
                }
                continue;
            }
            let end = memchr::memchr2(b'=', b'\n', piece).unwrap_or(piece.len());
            self.text(&piece[..end], out);
            match piece.get(end..).unwrap_or_default() {
                // Mostly an escape is whole and what it should be.
                [b'=', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    self.release(out);
                    out.push(hex(*high) << 4 | hex(*low));
                    piece = &piece[end + 3..];
                    continue;
                }
                [b'=', b'\r', b'\n', ..] => {
                    self.release(out);
                    piece = &piece[end + 3..];
                    continue;
                }
                [b'=', ..] => {
                    self.release(out);
                    self.escape = Some(Vec::new());
                }
                [_, ..] => self.line_end(out),
                [] => {}
            }
            piece = piece.get(end + 1..).unwrap_or_default();
        }
    }

    /// One octet after a `=`; true if it is used up.
    fn escaped(&mut self, mut escape: Vec<u8>, octet: u8, out: &mut Vec<u8>) -> bool {
        match (&escape[..], octet) {
            ([], b) if b.is_ascii_hexdigit() => {
                escape.push(b);
                self.escape = Some(escape);
                true
            }
            ([high], low) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(low));
                true
            }
            // A soft line break, perhaps with white space before the line end.
            ([] | [b' ' | b'\t' | b'\r', ..], b'\n') => true,
            ([] | [b' ' | b'\t' | b'\r', ..], b' ' | b'\t' | b'\r') if escape.len() < HELD_BYTES_MAX => {
                escape.push(octet);
                self.escape = Some(escape);
                true
            }
            _ => {
                // No escape at all: it stays as it stands.
                out.push(b'=');
                self.text(&escape, out);
                false
            }
        }
    }

    /// Octets that are neither `=` nor a line end.
    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let end = text.iter().rposition(|b| !matches!(b, b' ' | b'\t' | b'\r')).map_or(0, |n| n + 1);
        let (solid, white) = text.split_at(end);
        if !solid.is_empty() {
            self.release(out);
            out.extend_from_slice(solid);
        }
        if self.long || self.held.len() + white.len() > HELD_BYTES_MAX {
            out.append(&mut self.held);
            out.extend_from_slice(white);
            self.long = true;
        } else {
            self.held.extend_from_slice(white);
        }
    }

    /// White space turns out to be within the line.
    fn release(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        self.long = false;
    }

    fn line_end(&mut self, out: &mut Vec<u8>) {
        let end: &[u8] = if self.held.last() == Some(&b'\r') { b"\r\n" } else { b"\n" };
        out.extend_from_slice(end);
        self.held.clear();
        self.long = false;
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        if let Some(escape) = self.escape.take()
            && let [digit] = escape[..]
            && digit.is_ascii_hexdigit()
        {
            out.extend_from_slice(&[b'=', digit]);
        }
    }
}

/// The value of a hexadecimal digit, which it is known to be.
pub(super) fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10) & 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use proptest::prelude::*;

    fn run(encoding: Encoding, octets: &[u8], cut: usize) -> Vec<u8> {
        let mut decoder = TransferDecoder::new(encoding).unwrap();
        let mut out = Vec::new();
        octets.chunks(cut).for_each(|piece| decoder.feed(piece, &mut out));
        decoder.finish(&mut out);
        out
    }

    fn every_cut(encoding: Encoding, octets: &[u8]) -> Vec<u8> {
        let whole = run(encoding, octets, usize::MAX);
        for cut in 1..8 {
            assert_eq!(
                run(encoding, octets, cut).escape_ascii().to_string(),
                whole.escape_ascii().to_string()
            );
        }
        whole
    }

    #[test]
    fn base64_of_all_kinds() {
        for (octets, out) in [
            (&b"aGVsbG8="[..], &b"hello"[..]),
            (b"aGVs\r\nbG8=\r\n", b"hello"),
            (b"aGVsbG8", b"hello"),
            (b"a G!V*s-bG8=\0\xff", b"hello"),
            (b"aA==aQ==", b"hi"),
            // What follows the padding is data again, as far as it is base64 at all.
            (
                b"aGk=
*** aGk=",
                b"hihi",
            ),
            (b"a", b""),
            (b"=", b""),
            (b"", b""),
        ] {
            assert_eq!(every_cut(Encoding::Base64, octets), out);
        }
    }

    /// RFC 2045 6.7.
    #[test]
    fn quoted_printable_of_all_kinds() {
        for (octets, out) in [
            (
                &b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country."[..],
                &b"Now's the time for all folk to come to the aid of their country."[..],
            ),
            (b"=C3=bc=3D", b"\xc3\xbc="),
            (b"a  \t\r\nb \nc ", b"a\r\nb\nc"),
            (b"a = b =zz =4", b"a = b =zz =4"),
            (b"a= \t\r\nb", b"ab"),
            (b"a= b", b"a= b"),
            (b"a=\nb=", b"ab"),
            (b"a\r\rb\r", b"a\r\rb"),
            (b"=\r=41", b"=\rA"),
        ] {
            assert_eq!(
                every_cut(Encoding::QuotedPrintable, octets).escape_ascii().to_string(),
                out.escape_ascii().to_string()
            );
        }
        let spaces =
            [" ".repeat(HELD_BYTES_MAX), "\n".into(), " ".repeat(HELD_BYTES_MAX + 1), "\nx".into()].concat();
        let out = every_cut(Encoding::QuotedPrintable, spaces.as_bytes());
        assert_eq!(out.len(), 1 + HELD_BYTES_MAX + 1 + 2);
        let endless = format!("={}", " ".repeat(5 * HELD_BYTES_MAX));
        assert_eq!(every_cut(Encoding::QuotedPrintable, endless.as_bytes())[0], b'=');
    }

    #[test]
    fn unknown_encodings_have_no_decoder() {
        assert!(TransferDecoder::new(Encoding::Unknown).is_none());
        assert_eq!(every_cut(Encoding::Identity, b"a=\r\n\0"), b"a=\r\n\0");
    }

    proptest! {
        #[test]
        fn base64_agrees_with_a_library(octets in proptest::collection::vec(any::<u8>(), 0..400), cut in 1_usize..90) {
            let text = base64::engine::general_purpose::STANDARD.encode(&octets);
            let lines: Vec<u8> = text.as_bytes().chunks(76).flat_map(|l| [l, b"\r\n"].concat()).collect();
            prop_assert_eq!(run(Encoding::Base64, &lines, cut), octets);
        }

        #[test]
        fn cuts_do_not_matter(octets in proptest::collection::vec(prop_oneof![
            Just(b'='), Just(b' '), Just(b'\r'), Just(b'\n'), Just(b'4'), Just(b'F'), Just(b'z'), any::<u8>()], 0..60), cut in 1_usize..9) {
            for encoding in [Encoding::Base64, Encoding::QuotedPrintable] {
                prop_assert_eq!(run(encoding, &octets, cut), run(encoding, &octets, usize::MAX));
            }
        }
    }
}
