//! The messages that are sent: made once, stamped anew for each sending.
//!
//! The same messages in the same order for every server and every run. Each
//! sending carries a number of its own in header and body, so that no server
//! can keep one body for many messages. No line begins with a dot, so that
//! the octets on the wire are the octets of the message.

use std::fmt::Write;

/// Sizes of the everyday mix, octets: log-uniform between these two.
const MIX_BYTES: (f64, f64) = (2_000.0, 100_000.0);
/// How many different messages the mix has.
const MIX_COUNT: usize = 256;
/// Digits of the stamp.
const STAMP_DIGITS: usize = 20;
const WORDS: &[&str] = &[
    "the",
    "meeting",
    "offer",
    "please",
    "invoice",
    "harbour",
    "and",
    "of",
    "a",
    "ledger",
    "window",
    "schedule",
    "regards",
    "tomorrow",
    "we",
    "should",
    "have",
    "letter",
    "garden",
    "station",
    "review",
    "draft",
    "number",
    "attached",
    "sincerely",
    "to",
    "for",
    "from",
    "measure",
    "quietly",
    "winter",
    "report",
];

/// A message that can be stamped.
#[derive(Clone, Debug)]
pub struct Template {
    /// Octets on the wire, with the closing CR LF `.` CR LF.
    wire: Vec<u8>,
    stamps_at: [usize; 2],
}

impl Template {
    /// A message of about `octets`; equal for equal `seed`.
    pub fn new(seed: u64, octets: usize) -> Template {
        let mut dice = Dice(seed);
        let mut text = String::with_capacity(octets + 200);
        let zeros = "0".repeat(STAMP_DIGITS);
        // Writing to a String cannot fail, here and below.
        let _ = write!(
            text,
            "From: Load <sender@load.example.net>\r\nTo: you@example.test\r\n\
             Date: Mon, 02 Mar 2026 10:00:00 +0000\r\nSubject: Note {seed} about {}\r\nMessage-ID: <",
            WORDS[dice.below(WORDS.len())],
        );
        let in_header = text.len();
        let _ = write!(
            text,
            "{zeros}@load.example.net>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nNumber "
        );
        let in_body = text.len();
        text.push_str(&zeros);
        text.push_str("\r\n");
        // The larger part of larger messages is what attachments look like on the wire.
        let words_until = octets.min(6_000 + octets / 4);
        while text.len() < words_until {
            let line_end = text.len() + 60;
            while text.len() < line_end {
                text.push_str(WORDS[dice.below(WORDS.len())]);
                text.push(' ');
            }
            text.push_str("\r\n");
        }
        while text.len() < octets {
            for _ in 0..76 {
                let digit =
                    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[dice.below(64)];
                text.push(char::from(digit));
            }
            text.push_str("\r\n");
        }
        text.push_str(".\r\n");
        Template { wire: text.into_bytes(), stamps_at: [in_header, in_body] }
    }

    /// Puts the message with this number into `out`, as it goes over the wire.
    pub fn stamped(&self, number: u64, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.wire);
        let digits = format!("{number:0width$}", width = STAMP_DIGITS);
        for at in self.stamps_at {
            out[at..at + STAMP_DIGITS].copy_from_slice(digits.as_bytes());
        }
    }

    /// Octets of the message itself.
    #[cfg(test)]
    pub fn octets(&self) -> usize {
        self.wire.len() - ".\r\n".len()
    }
}

/// The everyday mix, in a shuffled order that is always the same.
pub fn mix() -> Vec<Template> {
    let (low, high) = MIX_BYTES;
    let mut templates: Vec<Template> = (0..MIX_COUNT)
        .map(|i| {
            let octets = low * (high / low).powf(i as f64 / (MIX_COUNT - 1) as f64);
            Template::new(i as u64, octets as usize)
        })
        .collect();
    let mut dice = Dice(1);
    for i in (1..templates.len()).rev() {
        templates.swap(i, dice.below(i + 1));
    }
    templates
}

/// Repeatable dice (splitmix64): the same messages for every server.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_what_it_says() {
        let mix = mix();
        assert_eq!(mix.len(), MIX_COUNT);
        let sizes: Vec<usize> = mix.iter().map(Template::octets).collect();
        assert!(sizes.iter().all(|s| (2_000..=100_200).contains(s)), "{sizes:?}");
        // Log-uniform: as many below the geometric mean as above it.
        let below = sizes.iter().filter(|s| **s < 14_142).count();
        assert!((MIX_COUNT / 2 - 4..=MIX_COUNT / 2 + 4).contains(&below), "{below}");
    }

    #[test]
    fn stamps_differ_and_nothing_else_does() {
        let template = Template::new(7, 5_000);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        template.stamped(1, &mut a);
        template.stamped(u64::MAX, &mut b);
        assert_eq!(a.len(), b.len());
        let different = a.iter().zip(&b).filter(|(x, y)| x != y).count();
        assert!((2..=2 * STAMP_DIGITS).contains(&different), "{different}");
        let text = String::from_utf8(b).unwrap();
        assert_eq!(text.matches("18446744073709551615").count(), 2);
    }

    #[test]
    fn wire_form_is_well_formed() {
        for template in mix() {
            let mut wire = Vec::new();
            template.stamped(0, &mut wire);
            let text = std::str::from_utf8(&wire).unwrap();
            assert!(text.ends_with("\r\n.\r\n"));
            assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
            assert!(!text[..text.len() - 3].contains("\r\n."), "no line begins with a dot");
            assert!(text.split("\r\n").all(|line| line.len() <= 200));
            assert_eq!(wire.len(), template.octets() + 3);
        }
    }
}
