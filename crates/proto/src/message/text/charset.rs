//! Charsets into UTF-8, streaming.
//!
//! `encoding_rs` knows those of the web; UTF-7 (RFC 2152), which mail still has, is here. Where a charset is not
//! declared, not known, or said to be ASCII or UTF-8, each octet that is no UTF-8 is one of windows-1252.

use encoding_rs::{Decoder, Encoding, UTF_8, WINDOWS_1252};

/// Octets that are given to a decoder at a time.
const STEP_BYTES: usize = 4096;

/// A decoder of one text.
#[derive(Debug)]
pub(super) enum Charset {
    /// UTF-8 mostly.
    Guess(Guess),
    /// UTF-7.
    Utf7(Utf7),
    /// One of those that `encoding_rs` knows.
    Known(Box<Decoder>),
}

impl Charset {
    /// For a name as declared, in any letter case.
    pub(super) fn new(name: &str) -> Charset {
        let name = name.trim();
        if ["utf-7", "unicode-1-1-utf-7", "utf7"].iter().any(|n| name.eq_ignore_ascii_case(n)) {
            return Charset::Utf7(Utf7::default());
        }
        if name.eq_ignore_ascii_case("us-ascii") || name.eq_ignore_ascii_case("ascii") {
            return Charset::Guess(Guess::default());
        }
        match Encoding::for_label_no_replacement(name.as_bytes()) {
            Some(known) if known != UTF_8 => Charset::Known(Box::new(known.new_decoder_with_bom_removal())),
            _ => Charset::Guess(Guess::default()),
        }
    }

    /// Appends what the octets say.
    pub(super) fn feed(&mut self, octets: &[u8], out: &mut String) {
        match self {
            Charset::Guess(guess) => guess.feed(octets, out),
            Charset::Utf7(utf7) => octets.iter().for_each(|b| utf7.octet(*b, out)),
            Charset::Known(decoder) => octets.chunks(STEP_BYTES).for_each(|s| known(decoder, s, false, out)),
        }
    }

    /// The text ends.
    pub(super) fn finish(&mut self, out: &mut String) {
        match self {
            Charset::Guess(guess) => guess.finish(out),
            Charset::Utf7(utf7) => utf7.finish(out),
            Charset::Known(decoder) => known(decoder, &[], true, out),
        }
    }
}

fn known(decoder: &mut Decoder, octets: &[u8], last: bool, out: &mut String) {
    // The figure is small for a step of some kilobytes; it can only be missing where it would overflow.
    out.reserve(decoder.max_utf8_buffer_length(octets.len()).unwrap_or(0));
    let _ = decoder.decode_to_string(octets, out, last);
}

/// The whole of a text that declares no charset: UTF-8 if it is that, else windows-1252.
pub(super) fn undeclared(octets: &[u8], out: &mut String) {
    match std::str::from_utf8(octets) {
        Ok(text) => out.push_str(text),
        Err(_) => out.push_str(&WINDOWS_1252.decode_without_bom_handling(octets).0),
    }
}

/// UTF-8, and windows-1252 where it is not.
#[derive(Debug, Default)]
pub(super) struct Guess {
    /// The beginning of a character whose rest has not come.
    held: [u8; 3],
    held_len: usize,
}

impl Guess {
    fn feed(&mut self, mut octets: &[u8], out: &mut String) {
        if self.held_len > 0 {
            // With four more octets the character that was cut has an end, one way or the other.
            let mut joint = [0; 7];
            let held = self.held_len;
            let more = octets.len().min(4);
            joint[..held].copy_from_slice(&self.held[..held]);
            joint[held..held + more].copy_from_slice(&octets[..more]);
            let used = Self::decode(&joint[..held + more], false, out);
            if used < held || more == octets.len() {
                self.hold(&joint[used..held + more]);
                return;
            }
            self.held_len = 0;
            octets = &octets[used - held..];
        }
        let used = Self::decode(octets, false, out);
        self.hold(&octets[used..]);
    }

    fn finish(&mut self, out: &mut String) {
        Self::decode(&self.held[..std::mem::take(&mut self.held_len)], true, out);
    }

    /// What `decode` leaves is the beginning of one character: three octets at most.
    fn hold(&mut self, rest: &[u8]) {
        self.held_len = rest.len().min(3);
        self.held[..self.held_len].copy_from_slice(&rest[..self.held_len]);
    }

    /// Gives how many octets were used up.
    fn decode(octets: &[u8], last: bool, out: &mut String) -> usize {
        let mut at = 0;
        while at < octets.len() {
            let rest = &octets[at..];
            let error = match std::str::from_utf8(rest) {
                Ok(text) => {
                    out.push_str(text);
                    return octets.len();
                }
                Err(error) => error,
            };
            let valid = error.valid_up_to();
            // Valid by the error's own account, so nothing is replaced.
            out.push_str(&String::from_utf8_lossy(&rest[..valid]));
            at += valid;
            if error.error_len().is_none() && !last {
                break;
            }
            out.push(windows_1252(octets[at]));
            at += 1;
        }
        at
    }
}

/// One octet of windows-1252.
pub(super) fn windows_1252(octet: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match octet {
        0x80..=0x9f => HIGH[usize::from(octet - 0x80)],
        _ => char::from(octet),
    }
}

/// UTF-7: UTF-16 in base64 between `+` and `-`.
#[derive(Debug, Default)]
pub(super) struct Utf7 {
    shifted: bool,
    /// Nothing has come since the `+`.
    fresh: bool,
    bits: u32,
    bits_len: u32,
    /// The first half of a character outside the basic plane.
    high: Option<u16>,
}

impl Utf7 {
    fn octet(&mut self, octet: u8, out: &mut String) {
        if !self.shifted {
            if octet == b'+' {
                (self.shifted, self.fresh) = (true, true);
            } else {
                out.push(windows_1252(octet));
            }
            return;
        }
        let value = super::transfer::base64_value(octet);
        if let Some(value) = value {
            self.fresh = false;
            self.bits = self.bits << 6 | u32::from(value);
            self.bits_len += 6;
            if self.bits_len >= 16 {
                self.bits_len -= 16;
                // Truncation takes the 16 bits that are complete.
                self.unit((self.bits >> self.bits_len) as u16, out);
                self.bits &= (1 << self.bits_len) - 1;
            }
            return;
        }
        if self.fresh {
            out.push('+');
        }
        let ended_by_fresh_minus = self.fresh && octet == b'-';
        self.finish(out);
        if octet != b'-' && !ended_by_fresh_minus {
            self.octet(octet, out);
        }
    }

    fn unit(&mut self, unit: u16, out: &mut String) {
        let high = self.high.take();
        if let (Some(high), 0xdc00..=0xdfff) = (high, unit) {
            out.extend(char::decode_utf16([high, unit]).flatten());
            return;
        }
        if high.is_some() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
        match unit {
            0xd800..=0xdbff => self.high = Some(unit),
            _ => out.push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }

    fn finish(&mut self, out: &mut String) {
        if self.high.is_some() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
        *self = Utf7::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(name: &str, octets: &[u8]) -> String {
        let run = |cut: usize| {
            let mut charset = Charset::new(name);
            let mut out = String::new();
            octets.chunks(cut).for_each(|piece| charset.feed(piece, &mut out));
            charset.finish(&mut out);
            out
        };
        for cut in 1..6 {
            assert_eq!(run(cut), run(usize::MAX), "{name}, cut every {cut}");
        }
        run(usize::MAX)
    }

    #[test]
    fn guessing() {
        for (octets, text) in [
            (&b"\xf0\x9f\x98\x80"[..], "😀"),
            (b"\xf0\x9f\x98", "ðŸ˜"),
            (b"\xe2\x82\x41\xe2", "â‚Aâ"),
            (b"\xe2\xe2\x82\xac\xc3\xc3\xbc\xff", "â€Ãüÿ"),
            (b"\x80\x9f", "€Ÿ"),
        ] {
            assert_eq!(all("", octets), text);
        }
        for octet in 0..=255_u8 {
            let other = WINDOWS_1252.decode_without_bom_handling(&[octet]).0.into_owned();
            assert_eq!(windows_1252(octet).to_string(), other);
        }
    }

    /// RFC 2152.
    #[test]
    fn utf7() {
        for (octets, text) in [
            (&b"A+ImIDkQ."[..], "A\u{2262}\u{391}."),
            (b"Hi Mom -+Jjo--!", "Hi Mom -\u{263a}-!"),
            (b"+ZeVnLIqe-", "日本語"),
            (b"Item 3 is +AKM-1.", "Item 3 is £1."),
            (b"1 +- 1 = 2", "1 + 1 = 2"),
            (b"+2D3eAA-", "😀"),
            (b"+2D0-x", "\u{fffd}x"),
            (b"+ x+", "+ x"),
        ] {
            assert_eq!(all("UTF-7", octets), text);
        }
    }

    #[test]
    fn names() {
        assert!(matches!(Charset::new(" UTF8 "), Charset::Guess(_)));
        assert!(matches!(Charset::new("iso-2022-kr"), Charset::Guess(_)));
        assert!(matches!(Charset::new("GB2312"), Charset::Known(_)));
        assert_eq!(all("utf-16", b"\xff\xfea\0"), "a");
        let mut out = String::new();
        undeclared(b"\xfc", &mut out);
        undeclared(b"\xc3\xbc", &mut out);
        assert_eq!(out, "üü");
    }
}
