//! Dates as mail writes them (RFC 5322 3.3), from Unix seconds and back.
//!
//! Written always in `+0000`: a server has no time zone of its own, and a fixed zone
//! makes equal moments equal text. Read leniently: obsolete forms (RFC 5322 4.3), what old
//! libraries wrote (asctime, `21-Nov-2026`, ISO 8601), and nothing that is no day of the calendar.

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
/// As RFC 5322 and IMAP name them.
pub(crate) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The last second of the year 9999: RFC 5322 has four digits for a year.
pub(crate) const UNIX_MAX: i64 = 253_402_300_799;
/// The first second of the year 1.
pub(crate) const UNIX_YEAR_1: i64 = -62_135_596_800;

/// `Sat, 21 Nov 2026 21:37:49 +0000`. Moments before 1970 and after 9999, which
/// only a broken clock gives, are written as the nearest that can be.
#[must_use]
pub fn rfc5322(unix_seconds: i64) -> String {
    let seconds = unix_seconds.clamp(0, UNIX_MAX);
    let days = seconds / 86_400;
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    // 1 January 1970 was a Thursday; both indices are reduced to the arrays' lengths.
    let weekday = DAYS[((days + 4) % 7) as usize];
    let month = MONTHS[month as usize];
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

/// Year, month from 0, day from 1 of a day counted from 1 January 1970, in the
/// Gregorian calendar. Counting years from March puts the leap day at a year's end.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let from_march_0 = days + 719_468;
    let era = from_march_0.div_euclid(146_097);
    let day_of_era = from_march_0.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year_of_era + i64::from(from_march >= 10);
    (year, month, day)
}

/// Midnight (UTC) of a day written as `2027-03-01` (RFC 3339 full-date), Unix seconds; `None` if there is no such day.
#[must_use]
pub fn parse_day(text: &str) -> Option<i64> {
    let mut parts = text.split('-').map(|part| number(part.as_bytes()));
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let shape = text.len() == 10 && parts.next().is_none();
    let exists = (1..=12).contains(&month) && (1..=month_days(month - 1, year)).contains(&day);
    (shape && exists).then(|| days_from_civil(year, month - 1, day) * 86_400)
}

/// A day as `2027-03-01`, UTC.
#[must_use]
pub fn show_day(unix_seconds: i64) -> String {
    let (year, month, day) = civil(unix_seconds.div_euclid(86_400));
    format!("{year:04}-{:02}-{day:02}", month + 1)
}

/// A moment that somebody wrote down, and how far their clock was ahead of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Unix seconds.
    pub unix: i64,
    /// Minutes, less than a day to either side.
    pub zone_minutes: i32,
}

impl Moment {
    /// The day that stands in the text, counted from 1 January 1970.
    #[must_use]
    pub fn day(self) -> i64 {
        self.unix.saturating_add(i64::from(self.zone_minutes) * 60).div_euclid(86_400)
    }
}

/// Tokens of a date that are looked at; real ones have seven.
const TOKENS_MAX: usize = 16;

/// Reads the value of a Date field. `None` if it names no day of the calendar. A missing time is midnight, an
/// unknown zone is UTC (RFC 5322 4.3), a weekday is not believed and not looked at.
#[must_use]
pub fn parse(value: &[u8]) -> Option<Moment> {
    let mut read = Reading::default();
    let mut rest = value;
    for _ in 0..TOKENS_MAX {
        let Some(token) = next_token(&mut rest) else { break };
        read.token(token);
    }
    let (day, month, year) = (read.day?, read.month?, read.year?);
    if day == 0 || day > month_days(month, year) {
        return None;
    }
    let (hour, minute, second) = read.time.unwrap_or_default();
    let hour = match read.afternoon {
        Some(afternoon) if (1..=12).contains(&hour) => hour % 12 + if afternoon { 12 } else { 0 },
        _ => hour,
    };
    let zone_minutes = read.zone.unwrap_or(0);
    let local = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Moment { unix: local - i64::from(zone_minutes) * 60, zone_minutes })
}

/// What has been understood of a date so far; months count from 0.
#[derive(Default)]
struct Reading {
    day: Option<i64>,
    month: Option<i64>,
    year: Option<i64>,
    time: Option<(i64, i64, i64)>,
    afternoon: Option<bool>,
    zone: Option<i32>,
}

impl Reading {
    fn token(&mut self, token: &[u8]) {
        let first = token[0];
        if first.is_ascii_digit() && (token.get(1) == Some(&b':') || token.get(2) == Some(&b':')) {
            return self.clock(token);
        }
        if matches!(first, b'+' | b'-') && self.time.is_some() {
            self.zone = self.zone.or_else(|| offset(token));
            return;
        }
        if first.is_ascii_digit() {
            if token.iter().all(u8::is_ascii_digit) {
                return self.number(token);
            }
            // 21-Nov-2026, 2026-11-21, 2026-11-21T21:37:49Z.
            return self.joined(token);
        }
        self.word(token);
    }

    fn word(&mut self, word: &[u8]) {
        if let Some(month) = month_of(word).filter(|_| self.month.is_none()) {
            self.month = Some(month);
        } else if self.time.is_some() {
            match word {
                [b'a' | b'A', b'm' | b'M'] => self.afternoon = Some(false),
                [b'p' | b'P', b'm' | b'M'] => self.afternoon = Some(true),
                _ => self.zone = self.zone.or_else(|| named_zone(word)),
            }
        }
    }

    fn number(&mut self, digits: &[u8]) {
        if self.day.is_none() && digits.len() <= 2 {
            self.day = number(digits);
        } else if self.year.is_none() {
            self.year = year_of(digits);
        }
    }

    fn joined(&mut self, token: &[u8]) {
        let (date, time) = match memchr::memchr2(b'T', b't', token).filter(|t| *t >= 8) {
            Some(t) => (&token[..t], Some(&token[t + 1..])),
            None => (token, None),
        };
        let mut pieces = date.split(|b| matches!(b, b'-' | b'/' | b'.'));
        let (Some(a), Some(b), Some(c)) = (pieces.next(), pieces.next(), pieces.next()) else { return };
        if a.len() == 4 {
            self.year = self.year.or_else(|| year_of(a));
            self.month = self.month.or_else(|| number(b).map(|m| m - 1).filter(|m| (0..12).contains(m)));
            self.day = self.day.or_else(|| number(c));
        } else if let Some(month) = month_of(b) {
            self.day = self.day.or_else(|| number(a));
            self.month = self.month.or(Some(month));
            self.year = self.year.or_else(|| year_of(c));
        }
        if let Some(time) = time.filter(|t| !t.is_empty()) {
            self.clock(time);
        }
    }

    /// `21:37`, `21:37:49.5`, and what is glued to it: `21:37:49+0100`, `21:37:49Z`, `9:37PM`.
    fn clock(&mut self, token: &[u8]) {
        let end = token.iter().position(|b| !matches!(b, b'0'..=b'9' | b':' | b'.')).unwrap_or(token.len());
        let (clock, tail) = token.split_at(end);
        let mut pieces = clock.split(|b| *b == b':');
        let hour = pieces.next().and_then(number);
        let minute = pieces.next().and_then(number);
        let second = match pieces.next().map(|s| s.split(|b| *b == b'.').next().unwrap_or_default()) {
            None | Some(b"") => Some(0),
            Some(second) => number(second),
        };
        if let (None, Some(hour @ 0..=23), Some(minute @ 0..=59), Some(second @ 0..=60)) =
            (self.time, hour, minute, second)
        {
            self.time = Some((hour, minute, second));
            if !tail.is_empty() {
                self.token(tail);
            }
        }
    }
}

/// The next run of octets between white space, commas and comments.
fn next_token<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut depth = 0_usize;
    let mut escaped = false;
    let start = rest.iter().position(|b| {
        match b {
            _ if escaped => escaped = false,
            b'\\' if depth > 0 => escaped = true,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 || b.is_ascii_whitespace() || matches!(b, b',' | b';' | 0) => {}
            _ => return true,
        }
        false
    })?;
    let bytes = &rest[start..];
    let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b',' | b';' | b'(' | 0);
    let end = bytes.iter().position(ends).unwrap_or(bytes.len());
    *rest = &bytes[end..];
    // `start` is at an octet that ends nothing, except for a backslash or a parenthesis at depth 0, which are
    // passed over above; so a token has at least one octet.
    Some(&bytes[..end.max(1)])
}

/// A number of up to nine digits.
fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
}

/// RFC 5322 4.3: two digits are 1950 to 2049, three are counted from 1900.
fn year_of(digits: &[u8]) -> Option<i64> {
    let year = number(digits)?;
    match digits.len() {
        1 | 2 if year < 50 => Some(year + 2000),
        1..=3 => Some(year + 1900),
        4 if year > 0 => Some(year),
        _ => None,
    }
}

fn month_of(word: &[u8]) -> Option<i64> {
    let word = word.get(..3)?;
    MONTHS.iter().zip(0..).find(|(m, _)| word.eq_ignore_ascii_case(m.as_bytes())).map(|(_, n)| n)
}

/// `+0100`, `-08:00`, `+1`; an offset of a day or more is none.
fn offset(token: &[u8]) -> Option<i32> {
    let mut digits = [0_u8; 4];
    let mut count = 0;
    for b in token[1..].iter().filter(|b| **b != b':') {
        if !b.is_ascii_digit() || count == digits.len() {
            break;
        }
        digits[count] = b - b'0';
        count += 1;
    }
    let value = digits[..count].iter().fold(0, |n, d| n * 10 + i32::from(*d));
    let minutes = match count {
        1 | 2 => value * 60,
        3 | 4 => value / 100 * 60 + value % 100,
        _ => return None,
    };
    (minutes < 24 * 60).then_some(if token[0] == b'-' { -minutes } else { minutes })
}

/// The zones of RFC 5322 4.3 and a few that programs wrote although no RFC has them. The military letters were
/// given with the wrong sign in RFC 822 and therefore say nothing.
fn named_zone(word: &[u8]) -> Option<i32> {
    const ZONES: [(&str, i32); 20] = [
        ("UT", 0),
        ("GMT", 0),
        ("UTC", 0),
        ("Z", 0),
        ("EST", -5),
        ("EDT", -4),
        ("CST", -6),
        ("CDT", -5),
        ("MST", -7),
        ("MDT", -6),
        ("PST", -8),
        ("PDT", -7),
        ("CET", 1),
        ("MET", 1),
        ("CEST", 2),
        ("MEST", 2),
        ("BST", 1),
        ("EET", 2),
        ("EEST", 3),
        ("JST", 9),
    ];
    let letters = word.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(word.len());
    let (name, tail) = word.split_at(letters);
    if matches!(tail.first(), Some(b'+' | b'-')) {
        return offset(tail);
    }
    ZONES.iter().find(|(z, _)| name.eq_ignore_ascii_case(z.as_bytes())).map(|(_, hours)| hours * 60)
}

fn month_days(month: i64, year: i64) -> i64 {
    match month {
        1 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

/// The inverse of [`civil`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month < 2 { year - 1 } else { year };
    let from_march = (month + 10) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (unix, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_795_297_069, "Sat, 21 Nov 2026 21:37:49 +0000"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 +0000"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 +0000"),
            (UNIX_MAX, "Fri, 31 Dec 9999 23:59:59 +0000"),
            (i64::MIN, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 +0000"),
        ] {
            assert_eq!(rfc5322(unix), text);
        }
    }

    #[test]
    fn days_are_read_and_shown() {
        for (text, unix) in [("1970-01-01", 0), ("2024-02-29", 1_709_164_800), ("2027-03-01", 1_803_859_200)]
        {
            assert_eq!(parse_day(text), Some(unix), "{text}");
            assert_eq!(show_day(unix), text);
            assert_eq!(show_day(unix + 86_399), text);
        }
        for text in [
            "2023-02-29",
            "2027-13-01",
            "2027-00-01",
            "2027-01-00",
            "2027-1-1",
            "20270301",
            "",
            "2027-03-01-",
            "2027-03-1x",
        ] {
            assert_eq!(parse_day(text), None, "{text}");
        }
    }

    #[test]
    fn agrees_with_a_calendar_library() {
        for step in 0..60_000_i64 {
            let unix = step * 4_223_371 % UNIX_MAX;
            let other = jiff::Timestamp::from_second(unix).unwrap();
            assert_eq!(rfc5322(unix), other.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string());
        }
    }

    #[test]
    fn what_others_write() {
        let at = |text: &str| parse(text.as_bytes()).map(|m| (m.unix, m.zone_minutes));
        let moment = 1_795_297_069;
        for (text, zone) in [
            ("Sat, 21 Nov 2026 21:37:49 +0000", 0),
            ("21 Nov 2026 21:37:49 GMT", 0),
            ("Sat, 21 Nov 2026 22:37:49 +0100 (CET)", 60),
            ("Sat, 21 (a (nested\\) comment)) Nov 26 16:37:49 EST", -300),
            ("Sat,21 Nov 2026 13:37:49 PST", -480),
            ("Sat Nov 21 21:37:49 2026", 0),
            ("Sat Nov 21 21:37:49 UTC 2026", 0),
            ("Saturday, 21-Nov-26 21:37:49 GMT", 0),
            ("21-Nov-2026 09:37:49 PM", 0),
            ("2026-11-21T21:37:49Z", 0),
            ("2026-11-21T21:37:49.123+00:00", 0),
            ("2026-11-22 03:07:49 +0530", 330),
            ("Sat, 21 Nov 2026 23:37:49 GMT+0200", 120),
            ("Sat, 21 Nov 2026 21:37:49 A", 0),
            ("Sat, 21 Nov 2026 21:37:49 +9999", 0),
            ("  Sat, 21 November 126 21:37:49\t-0000  ", 0),
        ] {
            assert_eq!(at(text), Some((moment, zone)), "{text}");
        }
        assert_eq!(at("1 Jan 1970"), Some((0, 0)));
        assert_eq!(at("1 Jan 50 0:0:0 +0000").map(|m| m.0), Some(-631_152_000));
        assert_eq!(at("Tue, 29 Feb 2000 00:00 +0000").map(|m| m.0), Some(951_782_400));
        for bad in [
            "",
            "x",
            "Sat",
            "31 Feb 2026 1:1:1",
            "0 Jan 2026",
            "Jan 2026",
            "(open 1 Jan 2026",
            "1 Jan 99999",
            "\\",
            ")",
            "::: 1",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
        assert_eq!(at("1 Jan 1970 99:99:99 +0000"), Some((0, 0)));
        assert_eq!(parse(b"Sat, 21 Nov 2026 23:37:49 -0800").unwrap().day(), 20_778);
        assert_eq!(parse(b"Sun, 22 Nov 2026 00:37:49 +1400").unwrap().day(), 20_779);
    }

    #[test]
    fn reading_agrees_with_a_calendar_library() {
        for step in 0..60_000_i64 {
            let unix = step * 4_223_371 % UNIX_MAX;
            let zone = (step * 7 % 1440 - 720) as i32;
            let offset = jiff::tz::Offset::from_seconds(zone * 60).unwrap();
            let zoned = jiff::Timestamp::from_second(unix).unwrap().to_zoned(offset.to_time_zone());
            let text = zoned.strftime("%a, %d %b %Y %H:%M:%S %z").to_string();
            if zoned.year() > 9999 {
                continue;
            }
            assert_eq!(parse(text.as_bytes()), Some(Moment { unix, zone_minutes: zone }), "{text}");
        }
    }

    #[test]
    fn any_octets_are_read_without_harm() {
        let alphabet = b"2026 Nov:,()\\+-TZ1./a\0\xff\t";
        let mut state = 1_u32;
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..24)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    alphabet[(state >> 16) as usize % alphabet.len()]
                })
                .collect();
            if let Some(moment) = parse(&text) {
                assert!(moment.zone_minutes.abs() < 1440);
            }
        }
    }
}
