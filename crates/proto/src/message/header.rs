//! The fields of a header (RFC 5322 2.2), walked over without copying.
//!
//! Lines may end with CRLF or, in mail that was imported, with LF. What must hold:
//! the raw fields, joined, are the header's bytes; a line that is no field is
//! handed out as one without a name, never dropped.

use std::borrow::Cow;

/// One field with its folded lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// All its bytes, line ends included.
    pub raw: &'a [u8],
    /// The name; empty if the line is no field.
    pub name: &'a [u8],
    /// What follows the colon, still folded, without the last line end.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// True if the field has this name, in any letter case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value on one line, without the white space around it (RFC 5322 2.2.3);
    /// bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        let value = self.value.trim_ascii();
        if !value.iter().any(|b| matches!(b, b'\r' | b'\n')) {
            return String::from_utf8_lossy(value);
        }
        let unfolded: Vec<u8> = value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
        Cow::Owned(String::from_utf8_lossy(&unfolded).into_owned())
    }
}

/// The fields of a header, or of a message up to its body.
#[must_use]
pub fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { rest: bytes }
}

/// See [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || is_blank(self.rest) {
            return None;
        }
        let mut end = line_end(self.rest, 0);
        while matches!(self.rest.get(end), Some(b' ' | b'\t')) {
            end = line_end(self.rest, end);
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        let line = raw.strip_suffix(b"\n").unwrap_or(raw);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (name, value) = match name_bytes(line) {
            Some(name) => {
                let colon = memchr::memchr(b':', line).map_or(line.len(), |c| c + 1);
                (&line[..name], &line[colon..])
            }
            None => (&line[..0], line),
        };
        Some(Field { raw, name, value })
    }
}

/// Where the line that begins at `from` ends, with its line end.
pub(super) fn line_end(bytes: &[u8], from: usize) -> usize {
    memchr::memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |n| from + n + 1)
}

/// True if the bytes begin with an empty line.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\n") || bytes.starts_with(b"\r\n")
}

/// The length of the field name at the start of a line, if it is a field.
/// White space before the colon is obsolete syntax (RFC 5322 4.5) and occurs.
pub(super) fn name_bytes(line: &[u8]) -> Option<usize> {
    let colon = memchr::memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    let valid = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    valid.then_some(name.len())
}

/// The addresses (`local@domain`) of a field of mailboxes such as From: display
/// names, comments, groups and source routes are left out (RFC 5322 3.4). What
/// cannot be understood as an address is returned as it stands, so that a check
/// of the result does not overlook it.
#[must_use]
pub fn mailboxes(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut plain, mut angle) = (String::new(), None::<String>);
    let mut chars = value.chars();
    let mut flush = |plain: &mut String, angle: &mut Option<String>| {
        let text = angle.take().unwrap_or_else(|| std::mem::take(plain));
        plain.clear();
        if !text.is_empty() {
            found.push(tidy(&text));
        }
    };
    let mut open = false;
    while let Some(c) = chars.next() {
        let into = if open { angle.get_or_insert_default() } else { &mut plain };
        match c {
            '(' => skip_comment(&mut chars),
            '"' => copy_quoted(&mut chars, into),
            '<' => {
                // A second address in brackets within one mailbox is no syntax at all: both are shown.
                if angle.is_some() {
                    flush(&mut plain, &mut angle);
                }
                open = true;
                angle = Some(String::new());
            }
            '>' => open = false,
            // A comma within brackets belongs to a source route.
            ',' | ';' if !open => flush(&mut plain, &mut angle),
            ':' if !open => plain.clear(),
            c if c.is_whitespace() => {}
            c => into.push(c),
        }
    }
    flush(&mut plain, &mut angle);
    found
}

/// Comments nest, and a backslash takes the next character's meaning away.
fn skip_comment(chars: &mut std::str::Chars<'_>) {
    let mut depth = 1_u32;
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

fn copy_quoted(chars: &mut std::str::Chars<'_>, into: &mut String) {
    into.push('"');
    while let Some(c) = chars.next() {
        into.push(c);
        match c {
            '\\' => into.extend(chars.next()),
            '"' => return,
            _ => {}
        }
    }
}

fn tidy(text: &str) -> String {
    let address = match text.strip_prefix('@').and_then(|route| route.split_once(':')) {
        Some((_, address)) => address,
        None => text,
    };
    crate::address::Address::parse(address).map_or_else(|_| address.to_owned(), |a| a.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_walked_over() {
        let header = b"From: a\r\nSubject : one\r\n\ttwo\r\nno field\r\nX:\r\n\r\nBody: x\r\n";
        let all: Vec<_> = fields(header).collect();
        let names: Vec<_> = all.iter().map(|f| std::str::from_utf8(f.name).unwrap()).collect();
        assert_eq!(names, ["From", "Subject", "", "X"]);
        assert_eq!(all[1].text(), "one\ttwo");
        assert_eq!(all[1].raw, b"Subject : one\r\n\ttwo\r\n");
        assert!(all[1].is("SUBJECT"));
        assert_eq!(all[3].value, b"");
        let joined: Vec<u8> = all.iter().flat_map(|f| f.raw.to_vec()).collect();
        assert_eq!(joined, header[..header.len() - 11]);
        assert_eq!(fields(b"").count(), 0);
        assert_eq!(fields(b"\r\nx").count(), 0);
        assert_eq!(fields(b"A: b").next().unwrap().value, b" b");
        assert_eq!(fields(b"A: b\n c\n\nX: y").count(), 1);
    }

    #[test]
    fn mailboxes_of_a_field() {
        for (value, expected) in [
            ("ann@example.test", &["ann@example.test"][..]),
            ("Ann <ann@Example.test>, bob@example.test", &["ann@example.test", "bob@example.test"]),
            ("\"A, <x@y.test>\" <ann@example.test>", &["ann@example.test"]),
            ("ann (not <bob@x.test>, (really)) @example.test", &["ann@example.test"]),
            (
                "Team: ann@example.test, Bob <bob@example.test>;, c@d.test",
                &["ann@example.test", "bob@example.test", "c@d.test"],
            ),
            ("\"a b\"@example.test", &["\"a b\"@example.test"]),
            ("X <@relay.test,@r.test:ann@example.test>", &["ann@example.test"]),
            ("ann @ example . test", &["ann@example.test"]),
            ("undisclosed:;", &[]),
            ("", &[]),
            ("not an address", &["notanaddress"]),
            ("<a@b.test><c@d.test>", &["a@b.test", "c@d.test"]),
            ("\"open", &["\"open"]),
            ("(open", &[]),
        ] {
            assert_eq!(mailboxes(value), expected, "{value}");
        }
    }
}
