//! Dates as mail writes them (RFC 5322 3.3), from Unix seconds.
//!
//! Always in `+0000`: a server has no time zone of its own, and a fixed zone
//! makes equal moments equal text. Reading dates that others wrote is not here.

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The last second of the year 9999: RFC 5322 has four digits for a year.
const UNIX_MAX: i64 = 253_402_300_799;

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
fn civil(days: i64) -> (i64, i64, i64) {
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
    fn agrees_with_a_calendar_library() {
        for step in 0..60_000_i64 {
            let unix = step * 4_223_371 % UNIX_MAX;
            let other = jiff::Timestamp::from_second(unix).unwrap();
            assert_eq!(rfc5322(unix), other.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string());
        }
    }
}
