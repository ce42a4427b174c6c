//! Which documents a word is in, in few octets.
//!
//! A list is one of: the number of the one document; a bitmap; or gaps in Golomb-Rice code, either between the
//! documents that have the word or between those that have it not. The parameter of the code is chosen for each list, and a gap far
//! beyond it is written as it is, so that documents that lie close together take little wherever they lie. What must hold:
//! any octets can be read, and give no document number beyond what the caller's set or list takes.

use super::docs::Docs;

/// Documents at most: a gap fits into [`GAP_BITS`].
pub(super) const DOCS_MAX: u32 = 1 << GAP_BITS;
const GAP_BITS: u32 = 14;
/// A gap that is so many times the parameter's power of two is written as it is.
const QUOTIENT_MAX: u32 = 16;
/// Zeros behind all lists, so that whoever reads looks at eight octets at any place.
pub(super) const PADDING: usize = 8;

/// How a list is written: the parameter of the code, or one of those below, which may have [`OTHERS`] added.
pub(super) type Form = u8;
const BITMAP: Form = 15;
/// Of the documents that have the word not.
const OTHERS: Form = 16;
/// No list has a form beyond.
pub(super) const FORM_MAX: Form = 31;

/// Octets of the number of a single document.
const SINGLE_BYTES: usize = 2;

/// Writes the list of `docs` (ascending, not empty, below `count`) at the end of `out`.
pub(super) fn write(docs: &[u32], count: u32, out: &mut Vec<u8>) -> Form {
    if let [one] = docs {
        out.extend_from_slice(&(*one as u16).to_le_bytes());
        return 0;
    }
    let many = docs.len() as u64;
    // A code with the parameter 0 takes as much as a bitmap at one in two.
    if many * 8 > u64::from(count) * 5 {
        let others = complement(docs, count);
        let (parameter, bits) = parameter(&others);
        if bits < u64::from(count) {
            write_gaps(&others, parameter, out);
            return parameter | OTHERS;
        }
    }
    let (parameter, bits) = parameter(docs);
    if bits < u64::from(count) {
        write_gaps(docs, parameter, out);
        return parameter;
    }
    let from = out.len();
    out.resize(from + count.div_ceil(8) as usize, 0);
    docs.iter().for_each(|doc| out[from + (doc / 8) as usize] |= 1 << (doc % 8));
    BITMAP
}

/// Octets of a list of one document, which need not be kept elsewhere.
pub(super) fn single_bytes(many: u32) -> Option<usize> {
    (many == 1).then_some(SINGLE_BYTES)
}

/// One list as it lies in the octets of many, with [`PADDING`] behind them.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    pub(super) octets: &'a [u8],
    pub(super) from: usize,
    pub(super) end: usize,
    pub(super) form: Form,
    /// Documents that have the word, and documents.
    pub(super) many: u32,
    pub(super) count: u32,
}

impl List<'_> {
    /// Adds its documents to a set.
    pub(super) fn add_to(&self, docs: &mut Docs) {
        if self.is_bitmap() {
            return docs.or_bitmap(self.octets.get(self.from..self.end).unwrap_or_default());
        }
        if self.form & OTHERS == 0 {
            return self.gaps(self.many, |doc| docs.set(doc));
        }
        let mut next = 0;
        self.gaps(self.others(), |doc| {
            docs.set_range(next, doc);
            next = doc + 1;
        });
        docs.set_range(next, self.count);
    }

    /// Calls `doc` with each document, ascending.
    pub(super) fn each(&self, mut doc: impl FnMut(u32)) {
        if self.is_bitmap() {
            let octets = self.octets.get(self.from..self.end).unwrap_or_default();
            for (octet, base) in octets.iter().zip((0u32..).step_by(8)) {
                let mut octet = *octet;
                while octet != 0 {
                    doc(base + octet.trailing_zeros());
                    octet &= octet - 1;
                }
            }
        } else if self.form & OTHERS == 0 {
            self.gaps(self.many, doc);
        } else {
            let mut next = 0;
            self.gaps(self.others(), |other| {
                (next..other).for_each(&mut doc);
                next = other + 1;
            });
            (next..self.count).for_each(doc);
        }
    }

    /// About what it costs to add it: documents that are looked at one by one.
    pub(super) fn work(&self) -> usize {
        let read = if self.form & OTHERS == 0 { self.many } else { self.others() };
        if self.is_bitmap() { self.end.saturating_sub(self.from) / 8 } else { read as usize }
    }

    fn is_bitmap(&self) -> bool {
        self.many > 1 && self.form & !OTHERS == BITMAP
    }

    fn others(&self) -> u32 {
        self.count.saturating_sub(self.many)
    }

    #[inline]
    fn gaps(&self, many: u32, mut doc: impl FnMut(u32)) {
        if self.many == 1 {
            let number = self.octets.get(self.from..self.from + SINGLE_BYTES).and_then(|n| n.try_into().ok());
            return doc(u16::from_le_bytes(number.unwrap_or_default()).into());
        }
        let parameter = u32::from(self.form & (OTHERS - 1));
        let (mut bit, mut next) = (self.from * 8, 0u32);
        for _ in 0..many {
            // Damaged lists may go beyond their end.
            let Some(window) = self.octets.get(bit / 8..bit / 8 + 8).and_then(|w| w.try_into().ok()) else {
                return;
            };
            let window = u64::from_le_bytes(window) >> (bit % 8);
            let quotient = window.trailing_zeros().min(QUOTIENT_MAX);
            let rest = window >> (quotient + 1);
            let wide = quotient == QUOTIENT_MAX;
            let (width, base) = if wide { (GAP_BITS, 0) } else { (parameter, quotient << parameter) };
            next += base + (rest & ((1 << width) - 1)) as u32;
            bit += (quotient + 1 + width) as usize;
            if next >= self.count {
                return;
            }
            doc(next);
            next += 1;
        }
    }
}

fn complement(docs: &[u32], count: u32) -> Vec<u32> {
    let mut others = Vec::with_capacity(count as usize - docs.len());
    let mut next = 0;
    for &doc in docs {
        others.extend(next..doc);
        next = doc + 1;
    }
    others.extend(next..count);
    others
}

/// The best parameter, and the bits that it takes.
fn parameter(docs: &[u32]) -> (Form, u64) {
    let (Some(first), Some(last)) = (docs.first(), docs.last()) else { return (0, 0) };
    let middle = |span: u32| (span / docs.len() as u32 * 11 / 16).max(1).ilog2();
    // Lists of documents that lie close together want less than the mean says.
    let candidates = middle(last - first + 1).saturating_sub(2)..=(middle(last + 1) + 1).min(GAP_BITS - 1);
    let mut best = (0, u64::MAX);
    for parameter in candidates {
        let (mut bits, mut next) = (0u64, 0);
        for &doc in docs {
            let quotient = (doc - next) >> parameter;
            let code = if quotient >= QUOTIENT_MAX { QUOTIENT_MAX + GAP_BITS } else { quotient + parameter };
            bits += u64::from(code + 1);
            next = doc + 1;
        }
        if bits < best.1 {
            best = (parameter as Form, bits);
        }
    }
    best
}

fn write_gaps(docs: &[u32], parameter: Form, out: &mut Vec<u8>) {
    let (mut held, mut bits, mut next) = (0u64, 0u32, 0);
    let parameter = u32::from(parameter);
    for &doc in docs {
        let gap = doc - next;
        next = doc + 1;
        let quotient = (gap >> parameter).min(QUOTIENT_MAX);
        let width = if quotient == QUOTIENT_MAX { GAP_BITS } else { parameter };
        let code = (u64::from(gap) & ((1 << width) - 1)) << 1 | 1;
        held |= code << (bits + quotient);
        bits += quotient + 1 + width;
        while bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(held as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(octets: &[u8], form: Form, many: u32, count: u32) -> (Vec<u32>, Docs) {
        let padded = [octets, &[0; PADDING]].concat();
        let list = List { octets: &padded, from: 0, end: octets.len(), form, many, count };
        let (mut docs, mut set) = (Vec::new(), Docs::none(count));
        list.each(|doc| docs.push(doc));
        list.add_to(&mut set);
        (docs, set)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            count in 1u32..=DOCS_MAX, density in 1u32..1000, clusters in proptest::collection::vec((0u32..DOCS_MAX, 1u32..300), 0..4),
            seed: u64,
        ) {
            let mut dice = seed;
            let chosen = |doc: &u32| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (dice >> 33) % 1000 < u64::from(density)
                    || clusters.iter().any(|(from, len)| (*from..from + len).contains(doc))
            };
            let mut docs: Vec<u32> = (0..count).filter(chosen).collect();
            if docs.is_empty() {
                docs.push(count - 1);
            }
            let mut octets = Vec::new();
            let form = write(&docs, count, &mut octets);
            prop_assert!(form <= FORM_MAX);
            prop_assert!(octets.len() <= count.div_ceil(8).max(2) as usize);
            let mut expected = Docs::none(count);
            docs.iter().for_each(|doc| expected.set(*doc));
            prop_assert_eq!(read(&octets, form, docs.len() as u32, count), (docs, expected));
        }

        #[test]
        fn any_octets_can_be_read(
            octets in proptest::collection::vec(any::<u8>(), 0..60), form in 0..=FORM_MAX, many in 1u32..300, count in 1u32..300,
        ) {
            // Bits beyond the end of a bitmap are let pass, as those who read do.
            let (docs, _) = read(&octets, form, many, count);
            prop_assert!(docs.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn lists_are_short() {
        let bytes = |docs: Vec<u32>, count| {
            let mut out = Vec::new();
            write(&docs, count, &mut out);
            out.len()
        };
        assert_eq!(bytes((0..1000).collect(), 1000), 0, "a word of all documents takes nothing");
        assert_eq!(bytes((0..1000).filter(|d| d % 2 == 0).collect(), 1000), 125, "a bitmap");
        assert_eq!(bytes((0..16384).step_by(100).collect(), 16384), (164 * 8 - 6_usize).div_ceil(8));
        assert!(bytes((9000..9100).collect(), 16384) < 20, "a cluster far from the beginning");
    }
}
