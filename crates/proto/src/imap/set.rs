//! Sets of sequence numbers or UIDs (RFC 9051 `sequence-set`).
//!
//! A set is kept as it was written, so that `1:4294967295` costs two numbers;
//! what it means is asked with the largest number of the moment.

/// What `*` is kept as. No message has this number: UIDs end one below.
pub const STAR: u32 = u32::MAX;

/// A set. `*` is [`STAR`]; the ends of a range may stand in either order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set(pub Vec<(u32, u32)>);

/// A set, or the result of the last search (`$`, RFC 9051 6.4.4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetOrSaved {
    /// Written out.
    Set(Set),
    /// `$`.
    Saved,
}

impl Set {
    /// One number.
    #[must_use]
    pub fn one(number: u32) -> Set {
        Set(vec![(number, number)])
    }

    /// Ascending, disjoint, not touching ranges, with `*` replaced by `largest` (0: there is
    /// nothing, and `*` means nothing). Numbers above `largest` stay: the caller finds nothing there.
    #[must_use]
    pub fn resolve(&self, largest: u32) -> Vec<(u32, u32)> {
        let number = |n| if n == STAR { largest } else { n };
        let mut ranges: Vec<(u32, u32)> = self
            .0
            .iter()
            .map(|&(a, b)| (number(a), number(b)))
            .map(|(a, b)| if a <= b { (a, b) } else { (b, a) })
            .filter(|&(_, to)| to > 0)
            .map(|(from, to)| (from.max(1), to))
            .collect();
        ranges.sort_unstable();
        join(ranges)
    }

    /// From ascending numbers.
    #[must_use]
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Set {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                Some((_, to)) if number <= to.saturating_add(1) => *to = (*to).max(number),
                _ => ranges.push((number, number)),
            }
        }
        Set(ranges)
    }

    /// Writes it: `1:3,5,7:*`.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (at, &(from, to)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_number(from, out);
            if to != from {
                out.push(b':');
                write_number(to, out);
            }
        }
    }
}

fn write_number(number: u32, out: &mut Vec<u8>) {
    if number == STAR {
        out.push(b'*');
    } else {
        super::encode::number(u64::from(number), out);
    }
}

fn join(sorted: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    let mut out: Vec<(u32, u32)> = Vec::with_capacity(sorted.len());
    for (from, to) in sorted {
        match out.last_mut() {
            Some((_, end)) if from <= end.saturating_add(1) => *end = (*end).max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_is_the_largest() {
        let set = Set(vec![(STAR, 4), (2, 2), (3, 1)]);
        assert_eq!(set.resolve(9), [(1, 9)]);
        assert_eq!(set.resolve(0), [(1, 4)]);
        assert_eq!(Set(vec![(STAR, STAR)]).resolve(0), []);
        assert_eq!(Set(vec![(559, STAR)]).resolve(10), [(10, 559)], "RFC 9051: * is also the lower end");
    }

    #[test]
    fn written_as_ranges() {
        let mut out = Vec::new();
        Set::of([1, 2, 3, 5, 7, 8]).write(&mut out);
        out.push(b' ');
        Set(vec![(4, STAR)]).write(&mut out);
        assert_eq!(out, b"1:3,5,7:8 4:*");
    }
}
