//! Mistakes in the settings file: where, what, and what to do.

use std::fmt;

/// One mistake. Line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// All mistakes of a file, or its warnings, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// The file as the operator named it.
    pub file: String,
    /// At least one where it is an error.
    pub list: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, m) in self.list.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{}:{}: {}; {}", self.file, m.line, m.column, m.what, m.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Line and column of an octet offset.
#[must_use]
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The candidate nearest to `word`, if it is near enough to be what was meant.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Least number of characters to insert, delete, replace or swap with the
/// neighbour (optimal string alignment), letter case aside. Words longer than
/// 64 characters are near to nothing.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, d) in [("", "abc", 3), ("prot", "port", 1), ("kitten", "sitting", 3), ("Host", "host", 0)]
        {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
        assert_eq!(distance(&"x".repeat(65), "x"), usize::MAX);
    }

    #[test]
    fn nearest_is_near() {
        let names = ["host", "data", "listen", "listener", "limits"];
        assert_eq!(nearest("hots", names), Some("host"));
        assert_eq!(nearest("lisener", names), Some("listener"));
        assert_eq!(nearest("certificate", names), None);
    }

    #[test]
    fn positions_count_characters() {
        let text = "a\nä = 1\r\nx";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 4), (2, 2), "behind the umlaut, which takes two octets");
        assert_eq!(position(text, 3), (2, 1), "within it");
        assert_eq!(position(text, 99), (3, 2));
    }
}
