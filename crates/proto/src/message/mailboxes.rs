//! Lists of addresses for envelopes (RFC 5322 3.4, RFC 9051 7.5.2): names, groups and all, whatever was sent.
//!
//! Works on octets, because names may be in any charset, and keeps them as they are. What must hold: a group that
//! is opened is closed. [`super::header::mailboxes`] answers another question: which addresses a
//! policy has to look at.

/// One element of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    /// An address. Quotes and routes are gone; what is missing is empty.
    Mailbox { name: Option<&'a [u8]>, local: &'a [u8], domain: &'a [u8] },
    /// `Team:`
    GroupStart(&'a [u8]),
    /// `;`
    GroupEnd,
}

/// Reads a list. `each` says whether to go on; an open group is closed even then.
pub(super) fn parse(value: &[u8], each: &mut dyn FnMut(Entry<'_>) -> bool) {
    let mut parser = Parser { rest: value, ..Parser::default() };
    while let Some(&b) = parser.rest.first() {
        let mut going = true;
        match b {
            b'(' => parser.comment(),
            b'"' => parser.quoted(),
            b'<' => {
                if parser.angle {
                    going = parser.flush(each);
                }
                parser.route();
            }
            b'[' if parser.at.is_some() => parser.domain_literal(),
            b',' | b';' => {
                parser.rest = &parser.rest[1..];
                going = parser.flush(each);
                if b == b';' && std::mem::take(&mut parser.group) {
                    going &= each(Entry::GroupEnd);
                }
            }
            b':' if !parser.angle && !parser.group && parser.at.is_none() => {
                parser.rest = &parser.rest[1..];
                parser.group = true;
                going = each(Entry::GroupStart(&parser.phrase));
                parser.clear();
            }
            _ => parser.atom(),
        }
        if !going {
            if parser.group {
                each(Entry::GroupEnd);
            }
            return;
        }
    }
    parser.flush(each);
    if parser.group {
        each(Entry::GroupEnd);
    }
}

#[derive(Default)]
struct Parser<'a> {
    rest: &'a [u8],
    /// The words so far, as a display name.
    phrase: Vec<u8>,
    /// The same words as an address, without white space; with `angle`, what stood in the brackets.
    plain: Vec<u8>,
    /// Where the last unquoted `@` of `plain` is.
    at: Option<usize>,
    /// The first comment: the name in `ann@example.test (Ann Lee)`.
    comment: Vec<u8>,
    /// Words of the phrase; white space has been seen since the last.
    words: usize,
    space: bool,
    /// An address in brackets has been read.
    angle: bool,
    group: bool,
}

impl Parser<'_> {
    fn clear(&mut self) {
        self.phrase.clear();
        self.plain.clear();
        self.comment.clear();
        (self.at, self.words, self.space, self.angle) = (None, 0, false, false);
    }

    /// The mailbox so far, if there is one.
    fn flush(&mut self, each: &mut dyn FnMut(Entry<'_>) -> bool) -> bool {
        let mut going = true;
        if self.angle || !self.plain.is_empty() || !self.phrase.is_empty() {
            let (mut local, domain) = match self.at {
                Some(at) => (&self.plain[..at], &self.plain[at + 1..]),
                None => (&self.plain[..], &[][..]),
            };
            let mut name = [&self.phrase, &self.comment].into_iter().find(|n| !n.is_empty());
            if !self.angle {
                // Several words and no `@` are a name; one word or an address has only a comment for a name.
                if self.words > 1 && self.at.is_none() {
                    local = &[];
                } else {
                    name = Some(&self.comment).filter(|n| !n.is_empty());
                }
            }
            going = each(Entry::Mailbox { name: name.map(|n| &n[..]), local, domain });
        }
        self.clear();
        going
    }

    fn word(&mut self, word: &[u8]) {
        if self.angle {
            return;
        }
        if std::mem::take(&mut self.space) || self.words == 0 {
            if !self.phrase.is_empty() {
                self.phrase.push(b' ');
            }
            self.words += 1;
        }
        self.phrase.extend_from_slice(word);
        self.plain.extend_from_slice(word);
    }

    /// Octets that mean nothing of their own, white space, and `@`.
    fn atom(&mut self) {
        let b = self.rest[0];
        if b.is_ascii_whitespace() || b == 0 {
            self.space = true;
            self.rest = &self.rest[1..];
            return;
        }
        // An encoded word may hold commas and brackets that its writer should have encoded.
        let encoded = if b == b'=' { encoded_word_len(self.rest) } else { None };
        let ends = |b: &u8| b.is_ascii_whitespace() || b"\0()<\"[,;:@".contains(b);
        let end = encoded
            .unwrap_or_else(|| self.rest.iter().skip(1).position(ends).map_or(self.rest.len(), |n| n + 1));
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if b == b'@' && !self.angle {
            self.at = Some(self.plain.len());
        }
        self.word(word);
    }

    fn quoted(&mut self) {
        let mut text = Vec::new();
        self.rest = unquote(&self.rest[1..], &mut text);
        self.word(&text);
    }

    fn comment(&mut self) {
        let first = self.comment.is_empty();
        let mut depth = 0_usize;
        let mut bytes = self.rest.iter();
        while let Some(&b) = bytes.next() {
            let mut take = Some(b);
            match b {
                b'\\' => take = bytes.next().copied(),
                b'(' => {
                    depth += 1;
                    take = take.filter(|_| depth > 1);
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                _ => {}
            }
            if first {
                self.comment.extend(take);
            }
        }
        self.rest = bytes.as_slice();
        self.space = true;
    }

    /// `<@relay.test:ann@example.test>`: the route is left out.
    fn route(&mut self) {
        self.angle = true;
        self.plain.clear();
        self.at = None;
        self.rest = &self.rest[1..];
        while let Some((&b, rest)) = self.rest.split_first() {
            match b {
                b'>' => {
                    self.rest = rest;
                    return;
                }
                b'"' => {
                    self.rest = unquote(rest, &mut self.plain);
                    continue;
                }
                b'[' if self.at.is_some() => {
                    self.domain_literal();
                    continue;
                }
                // A comment may stand between any two words of an address (RFC 5322 3.2.2); it is not the person's name.
                b'(' if rest.contains(&b')') => {
                    let name = std::mem::take(&mut self.comment);
                    self.comment();
                    self.comment = name;
                    continue;
                }
                b':' if self.plain.first() == Some(&b'@') => {
                    self.plain.clear();
                    self.at = None;
                }
                b'@' => {
                    self.at = Some(self.plain.len());
                    self.plain.push(b);
                }
                b if b.is_ascii_whitespace() || b == 0 => {}
                _ => self.plain.push(b),
            }
            self.rest = rest;
        }
    }

    /// `[IPv6:2001:db8::1]`, in which a colon opens no group.
    fn domain_literal(&mut self) {
        let end = memchr::memchr3(b']', b',', b'>', self.rest).unwrap_or(self.rest.len());
        let end = if self.rest.get(end) == Some(&b']') { end + 1 } else { end };
        let (literal, rest) = self.rest.split_at(end);
        self.plain.extend(literal.iter().filter(|b| !b.is_ascii_whitespace() && **b != 0));
        self.rest = rest;
    }
}

/// What stands up to the closing quote; gives what follows it.
fn unquote<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let mut bytes = rest.iter();
    while let Some(&b) = bytes.next() {
        match b {
            b'"' => break,
            b'\\' => out.extend(bytes.next()),
            b'\r' | b'\n' | 0 => {}
            _ => out.push(b),
        }
    }
    bytes.as_slice()
}

/// The length of the encoded word at the beginning (RFC 2047 2); it has no white space and ends on the same line.
fn encoded_word_len(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"=?")?;
    let charset = rest.iter().position(|b| *b == b'?')?;
    let encoding = rest.get(charset + 1..charset + 3)?;
    if encoding[1] != b'?' || !b"bBqQ".contains(&encoding[0]) {
        return None;
    }
    let text = rest.get(charset + 3..)?;
    let end = text.iter().position(|b| matches!(b, b'?' | b' ' | b'\t' | b'\r' | b'\n'))?;
    text[end..].starts_with(b"?=").then_some(2 + charset + 3 + end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> String {
        let mut out = Vec::new();
        parse(value.as_bytes(), &mut |entry| {
            out.push(match entry {
                Entry::Mailbox { name, local, domain } => format!(
                    "{}<{}|{}>",
                    name.map(|n| n.escape_ascii().to_string()).unwrap_or_default(),
                    local.escape_ascii(),
                    domain.escape_ascii()
                ),
                Entry::GroupStart(name) => format!("{}:", name.escape_ascii()),
                Entry::GroupEnd => ";".into(),
            });
            true
        });
        out.join(" ")
    }

    #[test]
    fn lists() {
        for (value, out) in [
            ("ann@example.test", "<ann|example.test>"),
            ("Ann Lee <ann@example.test>, bob@example.test", "Ann Lee<ann|example.test> <bob|example.test>"),
            ("\"Lee, Ann \\\"A\\\"\" <ann@example.test>", "Lee, Ann \\\"A\\\"<ann|example.test>"),
            ("ann@example.test (Ann (A) Lee)", "Ann (A) Lee<ann|example.test>"),
            ("Ann (not this) Lee <ann@example.test> (nor this)", "Ann Lee<ann|example.test>"),
            (
                "Team: ann@a.test, Bob <bob@b.test>;, c@d.test",
                "Team: <ann|a.test> Bob<bob|b.test> ; <c|d.test>",
            ),
            ("undisclosed-recipients:;", "undisclosed-recipients: ;"),
            ("A Group: x@y.test", "A Group: <x|y.test> ;"),
            ("\"a b\"@example.test", "<a b|example.test>"),
            ("<\"a@b\"@example.test>", "<a@b|example.test>"),
            ("X <@relay.test,@r.test:ann@example.test>", "X<ann|example.test>"),
            ("ann @ example . test", "<ann|example.test>"),
            // RFC 5322 A.5 and A.6.3.
            ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete<pete|silly.test>"),
            ("John <jdoe@machine(comment).  example>", "John<jdoe|machine.example>"),
            ("<a(b@c.test>", "<a(b|c.test>"),
            ("<ann@[IPv6:::1]>, b@[1.2.3.4]", "<ann|[IPv6:::1]> <b|[1.2.3.4]>"),
            ("a@[IPv6:::1", "<a|[IPv6:::1>"),
            ("not an address", "not an address<|>"),
            ("root", "<root|>"),
            ("<>", "<|>"),
            ("Ann <>", "Ann<|>"),
            ("<a@b.test><c@d.test>", "<a|b.test> <c|d.test>"),
            ("=?utf-8?Q?Lee,_<A>?= <a@b.test>", "=?utf-8?Q?Lee,_<A>?=<a|b.test>"),
            ("J.R. Smith <j@b.test>", "J.R. Smith<j|b.test>"),
            ("John Q. Public@x <j@b.test>", "John Q. Public@x<j|b.test>"),
            ("Ann <ann@b.test", "Ann<ann|b.test>"),
            ("Ann\r\n\tLee\r\n <ann@\r\n b.test>", "Ann Lee<ann|b.test>"),
            (",, ;,", ""),
            ("", ""),
            ("(open", ""),
            ("\"open", "<open|>"),
            ("a:b:c@d.test;", "a: <b:c|d.test> ;"),
            ("a; b", "<a|> <b|>"),
        ] {
            assert_eq!(shown(value), out, "{value}");
        }
    }

    #[test]
    fn stopping_closes_the_group() {
        let mut seen = Vec::new();
        parse(b"g: a@b, c@d", &mut |entry| {
            seen.push(format!("{entry:?}"));
            seen.len() < 2
        });
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[2], "GroupEnd");
    }
}
