//! What the targets share: how an input is read. Its first octets choose, the
//! rest is what the peer says, as it is: so a seed can be written with an editor.

/// The first octet, as a choice; 0 of an empty input.
pub fn choice(input: &mut &[u8]) -> usize {
    let Some((first, rest)) = input.split_first() else { return 0 };
    *input = rest;
    usize::from(*first)
}

/// The next octet as sizes of cuts: any small ones, in an order that is not even.
pub fn cuts(input: &mut &[u8]) -> [usize; 3] {
    let size = choice(input);
    [size % 64 + 1, size % 7 + 1, size % 23 + 1]
}

/// What stands between octets 0xFF.
pub fn messages(input: &[u8]) -> Vec<&[u8]> {
    input.split(|octet| *octet == 0xff).collect()
}
