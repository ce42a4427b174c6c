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
/// Octets of text in a larger message, beside a quarter of the rest; what is more is an attachment.
const TEXT_BYTES: usize = 6_000;
const BOUNDARY: &str = "a-part-of-the-load";
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
        let _ = write!(text, "{zeros}@load.example.net>\r\nMIME-Version: 1.0\r\n");
        let words_until = octets.min(TEXT_BYTES + octets / 4);
        let has_attachment = octets > words_until;
        if has_attachment {
            let _ =
                write!(text, "Content-Type: multipart/mixed; boundary={BOUNDARY}\r\n\r\n--{BOUNDARY}\r\n");
        }
        text.push_str("Content-Type: text/plain; charset=us-ascii\r\n\r\nNumber ");
        let in_body = text.len();
        text.push_str(&zeros);
        text.push_str("\r\n");
        while text.len() < words_until {
            let line_end = text.len() + 60;
            while text.len() < line_end {
                text.push_str(WORDS[dice.below(WORDS.len())]);
                text.push(' ');
            }
            text.push_str("\r\n");
        }
        if has_attachment {
            let _ = write!(
                text,
                "\r\n--{BOUNDARY}\r\nContent-Type: application/pdf; name=note.pdf\r\n\
                 Content-Disposition: attachment; filename=note.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            );
        }
        while text.len() < octets {
            for _ in 0..76 {
                let digit =
                    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[dice.below(64)];
                text.push(char::from(digit));
            }
            text.push_str("\r\n");
        }
        if has_attachment {
            let _ = write!(text, "--{BOUNDARY}--\r\n");
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

/// Everyday letters of one to eight KB, each different: a vocabulary of 20,000 words of which some are said often and
/// most seldom, 500 senders.
pub struct Letters {
    dice: Dice,
    number: u64,
    series: u64,
}

/// Words of the vocabulary.
const VOCABULARY: f64 = 20_000.0;

impl Letters {
    /// The series with this number, always the same.
    pub fn new(series: u64) -> Letters {
        Letters { dice: Dice(series.wrapping_mul(0x5851_f42d_4c95_7f2d)), number: 0, series }
    }

    /// The next one, as it is stored.
    pub fn next_letter(&mut self) -> String {
        self.number += 1;
        let bytes = 1000 + self.dice.below(7000) * self.dice.below(100) / 100;
        let mut text = String::with_capacity(bytes + 700);
        let (from, number, series) = (self.dice.below(500), self.number, self.series);
        let (day, hour, minute) = (1 + self.dice.below(28), self.dice.below(24), self.dice.below(60));
        let _ = write!(
            text,
            "From: Sender {from} <wren{from}@birds.example.net>\r\nTo: Big Box <big0@example.test>\r\n\
             Date: Mon, {day:02} Mar 2026 {hour:02}:{minute:02}:00 +0000\r\n\
             Message-ID: <{number}.{series}@birds.example.net>\r\nSubject: "
        );
        if number.is_multiple_of(1000) {
            text.push_str("quarterly zephyr ");
        }
        for _ in 0..4 {
            self.word(&mut text);
        }
        text.push_str(
            "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 8bit\r\n\r\nthe ",
        );
        while text.len() < bytes {
            let line_end = text.len() + 64;
            while text.len() < line_end {
                self.word(&mut text);
            }
            text.push_str("\r\n");
        }
        text
    }

    /// A word and a space. Of rank r with a likelihood of about 1/r.
    fn word(&mut self, text: &mut String) {
        const SYLLABLES: [&str; 16] = [
            "ba", "re", "mi", "to", "lun", "sha", "ver", "ko", "pen", "dri", "fa", "gos", "hel", "wu", "ni",
            "zar",
        ];
        let rank = VOCABULARY.powf(self.dice.below(1 << 20) as f64 / f64::from(1 << 20)) as usize;
        match WORDS.get(rank.wrapping_sub(1)) {
            Some(word) => text.push_str(word),
            None => {
                let mut rest = rank;
                while rest > 0 {
                    text.push_str(SYLLABLES[rest % 16]);
                    rest /= 16;
                }
            }
        }
        text.push(' ');
    }
}

/// Repeatable dice (splitmix64): the same messages for every server.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// For this seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
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
    fn what_is_large_is_an_attachment() {
        let wire = |octets| String::from_utf8(Template::new(3, octets).wire).unwrap();
        assert!(!wire(8_000).contains(BOUNDARY));
        let large = wire(20_000);
        assert_eq!(large.matches(&format!("\r\n--{BOUNDARY}")).count(), 3);
        let attached = large.split_once("base64\r\n\r\n").unwrap().1;
        assert!((8_000..10_000).contains(&attached.len()), "{}", attached.len());
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
