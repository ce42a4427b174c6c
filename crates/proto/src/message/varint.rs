//! Numbers in as few octets as they need, seven bits each, the lowest first.

/// Appends a number.
pub(super) fn write(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number from the front; `None` if there is none.
pub(super) fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&octet, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Takes a length and as many octets.
pub(super) fn read_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let size = usize::try_from(read(bytes)?).ok()?;
    let (taken, rest) = bytes.split_at_checked(size)?;
    *bytes = rest;
    Some(taken)
}

/// The same, if they are UTF-8.
pub(super) fn read_str<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(read_bytes(bytes)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            write(value, &mut out);
            assert_eq!(read(&mut &out[..]), Some(value));
            assert_eq!(read(&mut &out[..out.len() - 1]), None);
        }
        assert_eq!(read(&mut &[0xff; 12][..]), None);
        assert_eq!(read_str(&mut &b"\x02abc"[..]), Some("ab"));
        assert_eq!(read_str(&mut &b"\x04abc"[..]), None);
        assert_eq!(read_str(&mut &b"\x01\xff"[..]), None);
    }
}
