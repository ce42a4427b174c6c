//! Dates that tell when a message came.

use super::names::field;
use jiff::civil::date;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::{Offset, TimeZone};
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Unix seconds of a file's time.
pub fn unix_seconds(time: SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).ok(),
        Err(before) => i64::try_from(before.duration().as_secs()).ok().map(|s| -s),
    }
}

/// From the newest Received field, else from Date.
pub fn of_header(fields: &[(String, String)]) -> Option<i64> {
    let received = field(fields, "received").and_then(|value| parse(value.rsplit(';').next()?));
    received.or_else(|| field(fields, "date").and_then(parse))
}

/// A date as RFC 5322 3.3 has it, obsolete forms and comments included.
fn parse(text: &str) -> Option<i64> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let text = text.trim();
    // What stands behind the zone is dropped where the whole does not read: "+0200 (CEST) by hand".
    let read = |text: &str| PARSER.parse_timestamp(text).ok().map(|t| t.as_second());
    read(text).or_else(|| {
        let zone = text.rfind(['+', '-'])?;
        read(text.get(..zone + 5)?)
    })
}

/// From `... Thu Jan  1 00:00:00 1970`, with a zone `+0200` anywhere behind the
/// time, else taken as UTC: mbox does not say which zone it means.
pub fn of_from_line(text: &str) -> Option<i64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    // The sender may look like anything; the date is read from the end of the line.
    let at = words.windows(3).rposition(|w| {
        month(w[0]).is_some() && w[1].bytes().all(|b| b.is_ascii_digit()) && w[2].contains(':')
    })?;
    let month = month(words[at])?;
    let day = words[at + 1].parse().ok()?;
    let mut clock = words[at + 2].split(':').map(|n| n.parse::<i8>().ok());
    let hour = clock.next()??;
    let minute = clock.next()??;
    let second = match clock.next() {
        // A leap second does not exist in Unix time.
        Some(second) => second?.min(59),
        None => 0,
    };
    let behind = &words[at + 3..];
    let year = behind.iter().find(|w| w.len() == 4).and_then(|w| w.parse().ok())?;
    let zone = behind.iter().find_map(|w| zone(w)).unwrap_or(0);
    let clock_runs = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    let valid = clock_runs && (1..=31).contains(&day);
    if !valid || date_is_impossible(year, month, day) {
        return None;
    }
    let time = date(year, month, day).at(hour, minute, second, 0);
    let zone = TimeZone::fixed(Offset::from_seconds(zone).ok()?);
    Some(time.to_zoned(zone).ok()?.timestamp().as_second())
}

fn month(word: &str) -> Option<i8> {
    let index = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(word))?;
    // Twelve fit.
    Some(index as i8 + 1)
}

/// Seconds of `+0200`.
fn zone(word: &str) -> Option<i32> {
    let sign = match word.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = word.get(1..).filter(|d| d.len() == 4 && d.bytes().all(|b| b.is_ascii_digit()))?;
    let number: i32 = digits.parse().ok()?;
    Some(sign * (number / 100 * 3600 + number % 100 * 60))
}

fn date_is_impossible(year: i16, month: i8, day: i8) -> bool {
    jiff::civil::Date::new(year, month, day).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_lines() {
        for (text, seconds) in [
            ("a@b Thu Jan  1 00:00:01 1970", Some(1)),
            ("a@b Sat Nov 21 21:37:49 2026", Some(1_795_297_069)),
            ("a@b Sat Nov 21 23:37:49 2026 +0200", Some(1_795_297_069)),
            ("a@b Sat Nov 21 23:37:49 +0200 2026", Some(1_795_297_069)),
            ("a@b Sat Nov 21 21:37 CET 2026", Some(1_795_297_020)),
            ("May 1 12:00 Sat Nov 21 21:37:49 2026", Some(1_795_297_069)),
            ("a@b Sat Nov 31 21:37:49 2026", None),
            ("a@b Sat Nov 21 29:37:49 2026", None),
            ("a@b Sat Nov 21 21:99 2026", None),
            ("a@b Sat Nov 21 21:00:-1 2026", None),
            ("a@b Sat Nov 21 21:00:60 2026", Some(1_795_294_859)),
            ("a@b 2026", None),
            ("", None),
        ] {
            assert_eq!(of_from_line(text), seconds, "{text}");
        }
    }

    #[test]
    fn headers() {
        let fields = |text: &[(&str, &str)]| -> Vec<(String, String)> {
            text.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
        };
        let date = ("date", "Thu, 1 Jan 1970 00:00:02 +0000 (UTC)");
        assert_eq!(of_header(&fields(&[date])), Some(2));
        assert_eq!(
            of_header(&fields(&[("received", "from a; b; 1 Jan 1970 01:00:01 +0100"), date])),
            Some(1)
        );
        assert_eq!(of_header(&fields(&[("received", "from a"), date])), Some(2));
        assert_eq!(of_header(&fields(&[("date", "yesterday")])), None);
        assert_eq!(of_header(&fields(&[("date", "Thu, 1 Jan 1970 00:00:02 +0000 by hand")])), Some(2));
        assert_eq!(of_header(&fields(&[("date", "é+é")])), None);
    }
}
