//! The values of the fields that say what a part is (RFC 2045 5, RFC 2183, RFC 2231).
//!
//! Read leniently: forgotten semicolons, file names with spaces and no quotes, comments anywhere.
//! What must hold: at most [`PARAMS_MAX`] parameters; no value is longer than the field.

use super::wire::clean;

/// Parameters of one field that are kept.
const PARAMS_MAX: usize = 64;
/// Octets of a type, a subtype, a disposition (RFC 6838 4.2 allows 127).
const TOKEN_BYTES_MAX: usize = 127;
/// Pieces of one parameter (RFC 2231 3).
const PIECES_MAX: usize = 256;

/// A parameter. In the form of RFC 2231 its name ends with `*` and its value is encoded as that RFC says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Param {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// `text/plain; charset=utf-8`, letters as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContentType {
    pub(super) kind: Vec<u8>,
    pub(super) subtype: Vec<u8>,
    pub(super) params: Vec<Param>,
}

impl ContentType {
    /// The value of a parameter, as it stands.
    pub(super) fn param(&self, name: &str) -> Option<&[u8]> {
        self.params.iter().find(|p| p.name.eq_ignore_ascii_case(name.as_bytes())).map(|p| &p.value[..])
    }
}

/// The value of Content-Type; `None` if it names no type.
pub(super) fn content_type(value: &[u8]) -> Option<ContentType> {
    let value = clean(value);
    let mut lexer = Lexer { rest: &value };
    let kind = lexer.token()?.to_vec();
    lexer.blanks();
    if !lexer.eat(b'/') {
        return None;
    }
    let subtype = lexer.token()?.to_vec();
    Some(ContentType { kind, subtype, params: lexer.params() })
}

/// The value of Content-Disposition; `None` if it names none.
pub(super) fn disposition(value: &[u8]) -> Option<(Vec<u8>, Vec<Param>)> {
    let value = clean(value);
    let mut lexer = Lexer { rest: &value };
    let kind = lexer.token()?.to_vec();
    Some((kind, lexer.params()))
}

/// The first token of a value, as that of Content-Transfer-Encoding.
pub(super) fn token(value: &[u8]) -> Option<Vec<u8>> {
    let value = clean(value);
    Lexer { rest: &value }.token().map(<[u8]>::to_vec)
}

/// The tokens of a list with commas, as that of Content-Language (RFC 3282).
pub(super) fn tokens(value: &[u8]) -> Vec<Vec<u8>> {
    let value = clean(value);
    let mut lexer = Lexer { rest: &value };
    let mut found = Vec::new();
    while found.len() < PARAMS_MAX {
        match lexer.token() {
            Some(token) => found.push(token.to_vec()),
            None if lexer.rest.is_empty() => break,
            None => lexer.rest = &lexer.rest[1..],
        }
    }
    found
}

struct Lexer<'a> {
    rest: &'a [u8],
}

impl<'a> Lexer<'a> {
    /// White space and comments, which nest.
    fn blanks(&mut self) {
        let mut depth = 0_usize;
        let mut escaped = false;
        let end = self.rest.iter().position(|b| {
            match b {
                _ if escaped => escaped = false,
                b'\\' if depth > 0 => escaped = true,
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b' ' | b'\t' => {}
                _ => return depth == 0,
            }
            false
        });
        self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
    }

    fn eat(&mut self, octet: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// A token of RFC 2045 5.1.
    fn token(&mut self) -> Option<&'a [u8]> {
        self.blanks();
        let special = |b: &u8| !b.is_ascii_graphic() || b"()<>@,;:\\\"/[]?=".contains(b);
        let end = self.rest.iter().position(special).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (1..=TOKEN_BYTES_MAX).contains(&end).then_some(token)
    }

    fn params(&mut self) -> Vec<Param> {
        let mut found = Vec::new();
        while found.len() < PARAMS_MAX + PIECES_MAX {
            self.blanks();
            while self.eat(b';') {
                self.blanks();
            }
            if self.rest.is_empty() {
                break;
            }
            let end = self.rest.iter().position(|b| matches!(b, b'=' | b';' | b' ' | b'\t' | b'('));
            let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest;
            self.blanks();
            if !self.eat(b'=') {
                continue;
            }
            self.blanks();
            let value = if self.eat(b'"') { self.quoted() } else { self.bare() };
            if !name.is_empty() {
                found.push(Param { name: name.to_vec(), value });
            }
        }
        let mut params: Vec<Param> = Vec::new();
        for param in join(found) {
            // A second value of one name has no meaning (RFC 2045 section 5.1); whoever looks it up finds the first.
            if params.len() < PARAMS_MAX && !params.iter().any(|p| p.name.eq_ignore_ascii_case(&param.name)) {
                params.push(param);
            }
        }
        params
    }

    /// After the opening quote.
    fn quoted(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut bytes = self.rest.iter();
        while let Some(&b) = bytes.next() {
            match b {
                b'"' => break,
                b'\\' => out.extend(bytes.next()),
                _ => out.push(b),
            }
        }
        self.rest = bytes.as_slice();
        out
    }

    /// A value without quotes. Spaces belong to it unless another parameter follows them, because file names are
    /// written so.
    fn bare(&mut self) -> Vec<u8> {
        let end = self.rest.iter().position(|b| *b == b';').unwrap_or(self.rest.len());
        let segment = &self.rest[..end];
        let word = segment.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(end);
        let (value, used) = match memchr::memchr2(b'=', b'(', &segment[word..]) {
            Some(_) => (&segment[..word], word),
            None => (segment.trim_ascii_end(), end),
        };
        self.rest = &self.rest[used..];
        value.to_vec()
    }
}

/// Joins the pieces `name*0`, `name*1*`, ... of RFC 2231 3 into `name` or, if any of them is encoded, `name*`.
fn join(params: Vec<Param>) -> Vec<Param> {
    if !params.iter().any(|p| p.name.contains(&b'*')) {
        return params;
    }
    let mut joined: Vec<Param> = Vec::with_capacity(params.len());
    // Of every name in pieces: the name, its place in `joined`, and its pieces.
    let mut split: Vec<(Vec<u8>, usize, Vec<Piece>)> = Vec::new();
    for param in params {
        let Some((base, index, encoded)) = piece_name(&param.name) else {
            joined.push(param);
            continue;
        };
        let piece = Piece { index, encoded, value: param.value };
        match split.iter_mut().find(|(name, ..)| name.eq_ignore_ascii_case(base)) {
            Some((.., pieces)) => pieces.push(piece),
            None => {
                split.push((base.to_vec(), joined.len(), vec![piece]));
                joined.push(Param { name: base.to_vec(), value: Vec::new() });
            }
        }
    }
    for (_, place, mut pieces) in split {
        pieces.sort_by_key(|p| p.index);
        let whole = pieces.iter().zip(0..).take_while(|(p, n)| p.index == *n).count();
        let pieces = &pieces[..whole.max(1)];
        let encoded = pieces.iter().any(|p| p.encoded);
        let param = &mut joined[place];
        if encoded {
            param.name.push(b'*');
            if !pieces[0].encoded {
                param.value.extend_from_slice(b"''");
            }
        }
        for piece in pieces {
            if encoded && !piece.encoded {
                piece.value.iter().for_each(|b| percent(*b, &mut param.value));
            } else {
                param.value.extend_from_slice(&piece.value);
            }
        }
    }
    joined
}

struct Piece {
    index: u32,
    encoded: bool,
    value: Vec<u8>,
}

/// `filename*12*`: its base, its number, and whether it is encoded. `filename*` alone is no piece.
fn piece_name(name: &[u8]) -> Option<(&[u8], u32, bool)> {
    let encoded = name.ends_with(b"*");
    let name = name.strip_suffix(b"*").unwrap_or(name);
    let star = name.iter().rposition(|b| *b == b'*')?;
    let digits = &name[star + 1..];
    if star == 0 || digits.len() > 4 {
        return None;
    }
    let index = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((&name[..star], index, encoded))
}

/// One octet as RFC 2231 7 writes it.
fn percent(b: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if b.is_ascii_alphanumeric() || b"-._~!#$&+^`{}|".contains(&b) {
        out.push(b);
    } else {
        out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> String {
        let Some(found) = content_type(value.as_bytes()) else { return "none".into() };
        let lossy = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let mut out = format!("{}/{}", lossy(&found.kind), lossy(&found.subtype));
        for p in found.params {
            out += &format!("|{}={}", lossy(&p.name), lossy(&p.value));
        }
        out
    }

    #[test]
    fn content_types() {
        for (value, out) in [
            ("text/plain", "text/plain"),
            (" Text / HTML ;charset = \"utf-8\"", "Text/HTML|charset=utf-8"),
            ("text/plain (a (b)) ; (c) charset=us-ascii (Plain text)", "text/plain|charset=us-ascii"),
            ("multipart/mixed; boundary=\"a\\\"b c\"; x=y", "multipart/mixed|boundary=a\"b c|x=y"),
            (
                "multipart/mixed;\r\n\tboundary=----=_Next:Part/1",
                "multipart/mixed|boundary=----=_Next:Part/1",
            ),
            ("application/pdf; name=My file (1).pdf; x=1", "application/pdf|name=My|x=1"),
            ("application/pdf; name=My big file.pdf; x=1", "application/pdf|name=My big file.pdf|x=1"),
            ("text/plain charset=utf-8 format=flowed", "text/plain|charset=utf-8|format=flowed"),
            ("text/plain; charset", "text/plain"),
            ("text/plain; =x; ;; a=\"open", "text/plain|a=open"),
            ("text/plain; name=", "text/plain|name="),
            ("a/b; x=1; X=2; y=3; x*0=4", "a/b|x=1|y=3"),
            ("text", "none"),
            ("text/", "none"),
            ("", "none"),
            ("/plain", "none"),
            ("(text/plain", "none"),
        ] {
            assert_eq!(shown(value), out, "{value}");
        }
        assert_eq!(shown(&format!("text/{}", "x".repeat(128))), "none");
        let many: String = (0..5000).map(|n| format!(";c{n}=d")).collect();
        assert_eq!(content_type(format!("a/b{many}").as_bytes()).unwrap().params.len(), PARAMS_MAX);
    }

    /// RFC 2231 3, 4 and 4.1, and what is not as it should be.
    #[test]
    fn continuations() {
        for (value, out) in [
            (
                "message/external-body; access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/x\"",
                "message/external-body|access-type=URL|URL=ftp://cs.utk.edu/x",
            ),
            (
                "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
                "application/x-stuff|title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            ),
            (
                "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*2=\"isn't it!\"; title*1*=%2A%2A%2Afun%2A%2A%2A%20",
                "application/x-stuff|title*=us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!",
            ),
            ("a/b; n*0=x; n*2=z; m=1", "a/b|n=x|m=1"),
            ("a/b; n*0=x; n*1*=%20", "a/b|n*=''x%20"),
            ("a/b; n*7=x", "a/b|n=x"),
            ("a/b; *0=x; n**=y; n*99999=z", "a/b|*0=x|n**=y|n*99999=z"),
        ] {
            assert_eq!(shown(value), out, "{value}");
        }
    }

    #[test]
    fn other_fields() {
        let (kind, params) = disposition(b"attachment; filename=\"a b.txt\"").unwrap();
        assert_eq!((&kind[..], &params[0].value[..]), (&b"attachment"[..], &b"a b.txt"[..]));
        assert_eq!(disposition(b"=x"), None);
        assert_eq!(token(b" Base64 (yes)"), Some(b"Base64".to_vec()));
        assert_eq!(tokens(b"en, de-AT (x),, fr"), [&b"en"[..], b"de-AT", b"fr"]);
        assert_eq!(tokens(b""), Vec::<Vec<u8>>::new());
    }
}
