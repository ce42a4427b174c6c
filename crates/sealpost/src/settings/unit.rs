//! Times and sizes as people write them.

/// Seconds of `"90s"`, `"5m"`, `"1h30m"`, `"7d"`; units may be spaced.
/// `None` for anything else, a number without unit and overflow included.
#[must_use]
pub fn duration_seconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    let mut last_unit = u64::MAX;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, behind) = leading_number(rest)?;
        let word_end = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (word, behind) = behind.split_at(word_end);
        let unit = match word {
            "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 86_400,
            _ => return None,
        };
        // Units descend, so that "5m1h" is caught as a slip and not read as 65 minutes.
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = behind.trim_start();
    }
    Some(total)
}

/// Milliseconds of `"300ms"`, or of whole seconds and more.
#[must_use]
pub fn duration_millis(text: &str) -> Option<u64> {
    match leading_number(text.trim())? {
        (number, "ms") => Some(number),
        _ => duration_seconds(text)?.checked_mul(1000),
    }
}

/// Milliseconds as they are written: `300ms`, `2s`.
#[must_use]
pub fn show_millis(millis: u64) -> String {
    if millis.is_multiple_of(1000) { show_seconds(millis / 1000) } else { format!("{millis}ms") }
}

/// Octets of `"512 B"`, `"50 MB"` (decimal), `"50 MiB"` (binary).
#[must_use]
pub fn size_bytes(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text.trim())?;
    let unit = match unit {
        "B" => 1,
        "KB" | "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Seconds in the largest units that fit: `1h30m`.
#[must_use]
pub fn show_seconds(mut seconds: u64) -> String {
    if seconds == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (unit, word) in [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")] {
        if seconds >= unit {
            out.push_str(&format!("{}{word}", seconds / unit));
            seconds %= unit;
        }
    }
    out
}

/// Octets in the largest binary unit that divides them: `50 MiB`.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    for (shift, word) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return format!("{} {word}", bytes >> shift);
        }
    }
    format!("{bytes} B")
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse().ok()?;
    Some((number, text[end..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("2 days 1 h", 176_400)]
        {
            assert_eq!(duration_seconds(text), Some(seconds), "{text}");
        }
        for text in ["", "5", "m", "5 m 1 h", "1m1m", "-5m", "1.5h", "5M", "99999999999999999d", "5m;"] {
            assert_eq!(duration_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("255 B", 255), ("4KiB", 4096), ("50 MB", 50_000_000), ("50 MiB", 50 << 20)] {
            assert_eq!(size_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "50", "MB", "50 mb", "50 M", "1.5 GB", "99999999999999 GiB", "50 MB 1 B"] {
            assert_eq!(size_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for n in [0, 1, 59, 60, 255, 3600, 5400, 86_400, 4096, 50 << 20, (1 << 30) + 1] {
            assert_eq!(duration_seconds(&show_seconds(n)), Some(n));
            assert_eq!(size_bytes(&show_bytes(n)), Some(n));
        }
        assert_eq!(show_seconds(90_061), "1d1h1m1s");
        assert_eq!(show_bytes(50 << 20), "50 MiB");
    }
}
