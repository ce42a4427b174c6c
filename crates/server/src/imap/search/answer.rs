//! How results of SEARCH, SORT and multi-mailbox searches are written: `* SEARCH`, `* SORT`, `* ESEARCH` (RFC 9051 7.3.4,
//! RFC 4731, RFC 5267, RFC 9394).

use proto::imap::command::{Partial, Returns};
use proto::imap::encode;
use proto::imap::set::Set;

/// Results in their order: ascending numbers of SEARCH, or the order of SORT.
#[derive(Debug)]
pub(crate) struct Results<'a> {
    /// Sequence numbers or UIDs.
    pub(crate) numbers: &'a [u32],
    /// They are UIDs.
    pub(crate) uid: bool,
    /// Their order is that of SORT: ranges are not put together.
    pub(crate) sorted: bool,
    /// MODSEQ of each, in the same order, if the search asked for MODSEQ.
    pub(crate) modseqs: Option<&'a [u64]>,
}

impl Results<'_> {
    /// `* SEARCH 2 84 882 (MODSEQ 917)`, or with `word` SORT.
    pub(crate) fn write_plain(&self, word: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* ");
        out.extend_from_slice(word.as_bytes());
        for number in self.numbers {
            out.push(b' ');
            encode::number(u64::from(*number), out);
        }
        if let Some(highest) = self.modseqs.and_then(|modseqs| modseqs.iter().max()) {
            out.extend_from_slice(b" (MODSEQ ");
            encode::number(*highest, out);
            out.push(b')');
        }
        out.extend_from_slice(b"\r\n");
    }

    /// `* ESEARCH (TAG "a") UID ...` with what was asked for; `place` names the mailbox of a search over several (RFC 7377).
    pub(crate) fn write_extended(
        &self,
        tag: &str,
        place: Option<Place<'_>>,
        returns: &Returns,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(b"* ESEARCH (TAG ");
        encode::string(tag.as_bytes(), false, out);
        if let Some(place) = place {
            out.extend_from_slice(b" MAILBOX ");
            encode::mailbox(place.name, place.utf8, out);
            out.extend_from_slice(b" UIDVALIDITY ");
            encode::number(u64::from(place.uid_validity), out);
        }
        out.push(b')');
        if self.uid {
            out.extend_from_slice(b" UID");
        }
        if returns.count {
            out.extend_from_slice(b" COUNT ");
            encode::number(self.numbers.len() as u64, out);
        }
        let all = returns.all
            || !(returns.min || returns.max || returns.count || returns.partial.is_some() || returns.save);
        if let (Some(first), Some(last)) = (self.numbers.first(), self.numbers.last()) {
            // Of SORT, they are the first and the last in its order (RFC 5267 4.2).
            for (asked, word, number) in [(returns.min, " MIN ", first), (returns.max, " MAX ", last)] {
                if asked {
                    out.extend_from_slice(word.as_bytes());
                    encode::number(u64::from(*number), out);
                }
            }
            if all {
                out.extend_from_slice(b" ALL ");
                self.write_set(self.numbers, out);
            }
        }
        if let Some(partial) = returns.partial {
            self.write_partial(partial, out);
        }
        if let Some(modseq) = self.modseq_told(returns, all) {
            out.extend_from_slice(b" MODSEQ ");
            encode::number(modseq, out);
        }
        if returns.relevancy {
            self.write_relevancy(returns, all, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn write_partial(&self, partial: Partial, out: &mut Vec<u8>) {
        out.extend_from_slice(b" PARTIAL (");
        let sign: &[u8] = if partial.from_end { b"-" } else { b"" };
        out.extend_from_slice(sign);
        encode::number(u64::from(partial.first), out);
        out.push(b':');
        out.extend_from_slice(sign);
        encode::number(u64::from(partial.last), out);
        out.push(b' ');
        let window = &self.numbers[window(partial, self.numbers.len())];
        if window.is_empty() {
            out.extend_from_slice(b"NIL");
        } else {
            self.write_set(window, out);
        }
        out.push(b')');
    }

    /// Ranges stand for their numbers in ascending order: those of SORT must be such runs.
    fn write_set(&self, numbers: &[u32], out: &mut Vec<u8>) {
        if !self.sorted {
            return Set::of(numbers.iter().copied()).write(out);
        }
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for &number in numbers {
            match ranges.last_mut() {
                Some((_, to)) if to.checked_add(1) == Some(number) => *to = number,
                _ => ranges.push((number, number)),
            }
        }
        Set(ranges).write(out);
    }

    /// RFC 7162 3.1.10: of what is told, the highest.
    fn modseq_told(&self, returns: &Returns, all: bool) -> Option<u64> {
        let modseqs = self.modseqs?;
        if all || returns.count || returns.partial.is_some() {
            return modseqs.iter().copied().max();
        }
        let first = modseqs.first().filter(|_| returns.min);
        let last = modseqs.last().filter(|_| returns.max);
        first.max(last).copied()
    }

    /// Every match is exact, so that each has the highest score (RFC 6203 section 4).
    fn write_relevancy(&self, returns: &Returns, all: bool, out: &mut Vec<u8>) {
        let scores = match (all, returns.partial) {
            (true, _) => self.numbers.len(),
            (false, Some(partial)) => window(partial, self.numbers.len()).len(),
            (false, None) => usize::from(returns.min) + usize::from(returns.max),
        };
        let scores = scores.min(self.numbers.len());
        if scores > 0 {
            out.extend_from_slice(b" RELEVANCY (100");
            (1..scores).for_each(|_| out.extend_from_slice(b" 100"));
            out.push(b')');
        }
    }
}

/// The mailbox of a result (RFC 7377 2.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) name: &'a str,
    pub(crate) uid_validity: u32,
    /// Names are UTF-8.
    pub(crate) utf8: bool,
}

/// Where the window of PARTIAL lies in so many results.
pub(crate) fn window(partial: Partial, count: usize) -> std::ops::Range<usize> {
    let first = (partial.first as usize).saturating_sub(1).min(count);
    let end = (partial.last as usize).min(count).max(first);
    if partial.from_end { count - end..count - first } else { first..end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extended(numbers: &[u32], modseqs: Option<&[u64]>, sorted: bool, returns: Returns) -> String {
        let mut out = Vec::new();
        let results = Results { numbers, uid: true, sorted, modseqs };
        results.write_extended("A1", None, &returns, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_results() {
        let mut out = Vec::new();
        let mut results = Results { numbers: &[2, 5], uid: false, sorted: false, modseqs: Some(&[7, 917]) };
        results.write_plain("SEARCH", &mut out);
        results.numbers = &[];
        results.modseqs = Some(&[]);
        results.write_plain("SEARCH", &mut out);
        assert_eq!(out, b"* SEARCH 2 5 (MODSEQ 917)\r\n* SEARCH\r\n");
    }

    #[test]
    fn extended_results_have_what_was_asked_for() {
        let all = Returns::default();
        assert_eq!(extended(&[1, 2, 3, 9], None, false, all), "* ESEARCH (TAG \"A1\") UID ALL 1:3,9\r\n");
        assert_eq!(extended(&[], None, false, all), "* ESEARCH (TAG \"A1\") UID\r\n");
        let some = Returns { min: true, max: true, count: true, ..Returns::default() };
        assert_eq!(
            extended(&[4, 8, 9], Some(&[5, 99, 6]), false, some),
            "* ESEARCH (TAG \"A1\") UID COUNT 3 MIN 4 MAX 9 MODSEQ 99\r\n"
        );
        let ends = Returns { min: true, max: true, ..Returns::default() };
        assert!(extended(&[4, 8, 9], Some(&[5, 99, 6]), false, ends).ends_with("MIN 4 MAX 9 MODSEQ 6\r\n"));
        assert_eq!(extended(&[], None, false, some), "* ESEARCH (TAG \"A1\") UID COUNT 0\r\n");
        let scored = Returns { relevancy: true, all: true, ..Returns::default() };
        assert!(extended(&[4, 8], None, false, scored).ends_with("ALL 4,8 RELEVANCY (100 100)\r\n"));
    }

    #[test]
    fn order_of_sort_is_kept() {
        assert!(extended(&[5, 3, 4, 1, 9], None, true, Returns::default()).ends_with("ALL 5,3:4,1,9\r\n"));
    }

    #[test]
    fn windows_from_both_ends() {
        let partial = |from_end, first, last| {
            let partial = Some(Partial { from_end, first, last });
            extended(&[2, 4, 6, 8], None, false, Returns { partial, ..Returns::default() })
        };
        assert!(partial(false, 2, 3).ends_with("PARTIAL (2:3 4,6)\r\n"));
        assert!(partial(false, 5, 9).ends_with("PARTIAL (5:9 NIL)\r\n"));
        assert!(partial(true, 1, 2).ends_with("PARTIAL (-1:-2 6,8)\r\n"));
        assert!(partial(true, 4, 100).ends_with("PARTIAL (-4:-100 2)\r\n"));
    }
}
