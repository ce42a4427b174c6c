//! Which messages there are, when they came, and for whom.

use super::kinds::{self, Context};
use super::language::ENGLISH;
use super::mime;
use super::random::Random;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// Whose mailbox is filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Display name.
    pub name: String,
    /// Mail address.
    pub address: String,
}

/// A message of the corpus.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Index into the people that were given.
    pub to: usize,
    /// What it is an example of.
    pub kind: Kind,
    /// When it came, Unix seconds.
    pub received: i64,
    /// It has been read already.
    pub seen: bool,
    /// The message, CRLF line ends.
    pub bytes: Vec<u8>,
}

/// What a message is an example of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Plain text.
    Plain,
    /// Plain text beside HTML.
    Html,
    /// A PDF attached.
    Pdf,
    /// A table attached.
    Csv,
    /// A picture attached.
    Picture,
    /// Another message attached.
    Forwarded,
    /// HTML with a picture in it.
    InlineImage,
    /// An old charset, in header and body.
    Charset,
    /// Another language, in UTF-8.
    Language,
    /// Emoji in header and body.
    Emoji,
    /// RFC 3676.
    Flowed,
    /// Part of a conversation over weeks.
    Thread,
    /// A newsletter with the fields of RFC 2369, 2919 and 8058.
    Newsletter,
    /// A calendar invitation (RFC 5545).
    Invite,
    /// A delivery status report (RFC 3464).
    Report,
    /// Looks signed (RFC 8551); the signature is no real one.
    Signed,
    /// Very long header lines, folded and not.
    LongHeader,
    /// No subject.
    NoSubject,
    /// Wrong in some way that is met in the wild.
    Broken,
    /// 10 MB.
    Big,
}

/// How many of each kind one person gets. The big one goes to the first person only.
pub const COUNTS: &[(Kind, usize)] = &[
    (Kind::Plain, 36),
    (Kind::Html, 24),
    (Kind::Pdf, 8),
    (Kind::Csv, 6),
    (Kind::Picture, 6),
    (Kind::Forwarded, 5),
    (Kind::InlineImage, 6),
    (Kind::Charset, 30),
    (Kind::Language, 20),
    (Kind::Emoji, 5),
    (Kind::Flowed, 8),
    (Kind::Thread, 36),
    (Kind::Newsletter, 14),
    (Kind::Invite, 4),
    (Kind::Report, 3),
    (Kind::Signed, 4),
    (Kind::LongHeader, 3),
    (Kind::NoSubject, 3),
    (Kind::Broken, 9),
    (Kind::Big, 1),
];

const DAY: i64 = 86_400;
/// The oldest message is about this old.
const SPAN_DAYS: i64 = 120;

/// The messages for `people`, person by person, each person's oldest first.
/// `now` (Unix seconds) is the end of the time that they cover.
pub fn corpus(seed: u64, now: i64, people: &[Person]) -> impl Iterator<Item = Sample> + '_ {
    // What no calendar shows is brought into its range (the year 9000 will do).
    let now = now.clamp(SPAN_DAYS * DAY, 221_845_392_000);
    people.iter().enumerate().flat_map(move |(to, person)| {
        let mut random = Random::new(seed, to as u64 + 1);
        let mut slots: Vec<(Kind, usize)> = COUNTS
            .iter()
            .filter(|(kind, _)| to == 0 || *kind != Kind::Big)
            .flat_map(|&(kind, count)| (0..count).map(move |_| (kind, 0)))
            .collect();
        for i in (1..slots.len()).rev() {
            let other = random.below(i + 1);
            slots.swap(i, other);
        }
        // The number within the kind is given after shuffling, so that a thread's answers come in order.
        let mut next = std::collections::BTreeMap::new();
        for (kind, number) in &mut slots {
            let counter = next.entry(*kind).or_insert(0);
            *number = *counter;
            *counter += 1;
        }
        let total = slots.len() as i64;
        slots.into_iter().enumerate().map(move |(index, (kind, number))| {
            let mut random = Random::new(seed, ((to as u64 + 1) << 32) | (index as u64 + 1));
            let slot = SPAN_DAYS * DAY / total;
            let age = slot * (total - index as i64) - random.below(slot as usize) as i64;
            let received = now - age;
            let context = Context { seed, person, index, number, sent: received - 20 };
            let bytes = kinds::write(kind, &context, &mut random);
            Sample { to, kind, received, seen: age > 14 * DAY || random.chance(40), bytes }
        })
    })
}

/// A plain message of exactly `bytes` octets (never less than its header needs, some 250),
/// for load. Different seeds give different Message-IDs and texts.
#[must_use]
pub fn sized(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = Random::new(seed, 0);
    let mut out = Vec::with_capacity(bytes + 512);
    mime::field(&mut out, "From", &mime::mailbox(ENGLISH.writer.0, ENGLISH.writer.1));
    mime::field(&mut out, "To", "reader@example.test");
    mime::field(&mut out, "Subject", random.word(ENGLISH.subjects));
    mime::field(&mut out, "Date", &date(1_790_000_000 + (seed % 10_000_000) as i64, 0));
    mime::field(
        &mut out,
        "Message-ID",
        &format!("<load.{seed:016x}.{:08x}@bench.example>", random.next() >> 32),
    );
    mime::field(&mut out, "MIME-Version", "1.0");
    mime::field(&mut out, "Content-Type", "text/plain; charset=us-ascii");
    out.extend_from_slice(b"\r\n");
    while out.len() + 160 < bytes {
        out.extend_from_slice(random.word(ENGLISH.sentences).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    // The rest in lines of at most 78 octets, the last one ended by CRLF.
    while out.len() < bytes {
        let rest = bytes - out.len();
        let text = match rest {
            0..=2 => 0,
            3..=80 => rest - 2,
            81..=82 => 60,
            _ => 78,
        };
        out.extend(std::iter::repeat_n(b'x', text));
        out.extend_from_slice(if rest == 1 { b" " } else { b"\r\n" });
    }
    out
}

/// The date of an RFC 5322 field with a zone of whole hours.
pub(super) fn date(seconds: i64, zone_hours: i8) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // Times that the calendar cannot show become its start; they only come from an absurd `now`.
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let zone = Offset::from_hours(zone_hours).unwrap_or(Offset::UTC);
    let t = time.to_zoned(TimeZone::fixed(zone)).datetime();
    format!(
        "{}, {} {} {:04} {:02}:{:02}:{:02} {}{:02}00",
        DAYS[t.weekday().to_monday_zero_offset() as usize],
        t.day(),
        MONTHS[t.month() as usize - 1],
        t.year(),
        t.hour(),
        t.minute(),
        t.second(),
        if zone_hours < 0 { '-' } else { '+' },
        zone_hours.unsigned_abs()
    )
}

#[cfg(test)]
mod tests;
