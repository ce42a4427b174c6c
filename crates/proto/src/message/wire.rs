//! The strings and lists of IMAP that envelopes and structures are made of (RFC 9051 4), written and walked over.
//!
//! What must hold: whatever octets come in, what is written is one well-formed element that any client may be sent
//! (octets above 127 stand in literals, which need no extension); whatever octets are walked over, nothing
//! panics and nothing recurses, because kept bytes may come from a damaged disk.

use std::borrow::Cow;

/// A field's value on one line: folds become one space, NUL goes, so does white space around it.
pub(super) fn clean(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if !value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(&b) = value.get(at) {
        at += 1;
        match b {
            0 => {}
            b'\r' | b'\n' => {
                while matches!(value.get(at), Some(b'\r' | b'\n' | b' ' | b'\t')) {
                    at += 1;
                }
                out.push(b' ');
            }
            _ => out.push(b),
        }
    }
    Cow::Owned(out)
}

/// A string: quoted if it is ASCII, else a literal. NUL is left out, line ends become spaces.
pub(super) fn string(text: &[u8], out: &mut Vec<u8>) {
    if text.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return string(&clean(text), out);
    }
    if !text.is_ascii() {
        out.push(b'{');
        number(text.len() as u64, out);
        out.extend_from_slice(b"}\r\n");
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    let mut rest = text;
    while let Some(special) = memchr::memchr2(b'"', b'\\', rest) {
        out.extend_from_slice(&rest[..special]);
        out.extend_from_slice(&[b'\\', rest[special]]);
        rest = &rest[special + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// A string, or NIL.
pub(super) fn nstring(text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        Some(text) => string(text, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// A number.
pub(super) fn number(value: u64, out: &mut Vec<u8>) {
    crate::imap::encode::number(value, out);
}

/// One element as it is walked over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// NIL, a number.
    Atom(&'a [u8]),
    /// What stands between the quotes, still escaped.
    Quoted(&'a [u8]),
    /// The octets of a literal.
    Literal(&'a [u8]),
    /// With its parentheses.
    List(&'a [u8]),
}

impl<'a> Item<'a> {
    /// The text of a string; `None` for NIL and all else.
    pub(super) fn text(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Item::Literal(text) => Some(Cow::Borrowed(text)),
            Item::Quoted(text) if !text.contains(&b'\\') => Some(Cow::Borrowed(text)),
            Item::Quoted(text) => {
                let mut out = Vec::with_capacity(text.len());
                let mut bytes = text.iter();
                while let Some(&b) = bytes.next() {
                    out.push(if b == b'\\' { bytes.next().copied().unwrap_or(b) } else { b });
                }
                Some(Cow::Owned(out))
            }
            Item::Atom(_) | Item::List(_) => None,
        }
    }
}

/// Walks over the elements of a list, or of the inside of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// Over these bytes; an opening parenthesis in front is passed over by [`Walk::into`].
    pub(super) fn new(bytes: &'a [u8]) -> Walk<'a> {
        Walk { bytes, at: 0 }
    }

    /// Over what stands in a list.
    pub(super) fn into(list: &'a [u8]) -> Walk<'a> {
        let inner = list.strip_prefix(b"(").unwrap_or(list);
        Walk::new(inner.strip_suffix(b")").unwrap_or(inner))
    }

    /// The next element with all its bytes; `None` at the end or where the bytes make no sense.
    pub(super) fn raw(&mut self) -> Option<&'a [u8]> {
        while self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            let rest = self.bytes.get(self.at..)?;
            self.at += match *rest.first()? {
                b'(' => {
                    depth += 1;
                    1
                }
                b')' => {
                    depth = depth.checked_sub(1)?;
                    1
                }
                b'"' => quoted_len(rest)?,
                b'{' => literal_len(rest)?.1,
                b' ' => 1,
                _ => rest.iter().position(|b| matches!(b, b' ' | b'(' | b')' | b'"')).unwrap_or(rest.len()),
            };
            if depth == 0 {
                return self.bytes.get(start..self.at);
            }
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let raw = self.raw()?;
        Some(match raw.first()? {
            b'(' => Item::List(raw),
            b'"' => Item::Quoted(raw.get(1..raw.len() - 1)?),
            b'{' => Item::Literal(raw.get(literal_len(raw)?.0..)?),
            _ => Item::Atom(raw),
        })
    }
}

/// The length of the quoted string at the beginning, with both quotes.
fn quoted_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// Where the octets of the literal at the beginning begin, and where they end.
fn literal_len(bytes: &[u8]) -> Option<(usize, usize)> {
    let close = bytes.iter().take(22).position(|b| *b == b'}')?;
    let size: usize = std::str::from_utf8(&bytes[1..close]).ok()?.parse().ok()?;
    let start = close + 3;
    let end = start.checked_add(size)?;
    (bytes.get(close + 1..start)? == b"\r\n" && end <= bytes.len()).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        string(text, &mut out);
        out
    }

    #[test]
    fn strings() {
        for (text, out) in [
            (&b""[..], &b"\"\""[..]),
            (b"a b", b"\"a b\""),
            (b"say \"hi\" \\", b"\"say \\\"hi\\\" \\\\\""),
            (b"\xc3\xbc\"", b"{3}\r\n\xc3\xbc\""),
            (b"a\0b\r\n\t c\rd", b"\"ab c d\""),
            (b"\xff\0\n", b"{1}\r\n\xff"),
        ] {
            assert_eq!(written(text), out);
            let walked = Walk::new(out).next().unwrap().text().unwrap();
            assert_eq!(walked, clean(text));
        }
    }

    #[test]
    fn walking() {
        let list = b"(NIL 12 \"a\\\"(\" ({3}\r\n)\"( (x) \"y\")(z)())";
        let items: Vec<_> = Walk::into(list).collect();
        assert_eq!(
            items,
            [
                Item::Atom(b"NIL"),
                Item::Atom(b"12"),
                Item::Quoted(b"a\\\"("),
                Item::List(b"({3}\r\n)\"( (x) \"y\")"),
                Item::List(b"(z)"),
                Item::List(b"()"),
            ]
        );
        assert_eq!(items[2].text().unwrap(), &b"a\"("[..]);
        for broken in [
            &b"(a"[..],
            b"\"a",
            b"\"a\\",
            b"{9}\r\nx",
            b"{99999999999999999999}\r\n",
            b"{",
            b"{}\r\n",
            b")",
            b"",
            b"{18446744073709551615}\r\nx",
        ] {
            assert_eq!(Walk::new(broken).next(), None);
        }
    }
}
