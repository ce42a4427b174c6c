//! Laws of gists and of text, for any bytes at all; and a strict reader of IMAP lists, written apart from what
//! writes them.

use proto::message::gist::{Addresses, Gist, Limits, Scanner};
use proto::message::structure::{Encoding, Place, TextPart};
use proto::message::text::{self, TextDecoder, TransferDecoder};

/// Something that can stand in an envelope or a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// NIL.
    Nil,
    /// A number.
    Number(u64),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    /// In parentheses.
    List(Vec<Value>),
}

/// Reads one value, which must be all there is. Panics where it is not well-formed (RFC 9051 9).
#[must_use]
pub fn value(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    let value = read(&mut rest);
    assert!(rest.is_empty(), "after the value: {}", rest.escape_ascii());
    value
}

fn take(rest: &mut &[u8]) -> u8 {
    let (first, after) = rest.split_first().expect("the value goes on");
    *rest = after;
    *first
}

fn read(rest: &mut &[u8]) -> Value {
    match take(rest) {
        b'(' => {
            let mut items: Vec<Value> = Vec::new();
            while rest.first() != Some(&b')') {
                // Bodies of a multipart and addresses of a list follow each other without a space; all else has one.
                let joined = matches!(items.last(), Some(Value::List(_))) && rest.first() == Some(&b'(');
                if !items.is_empty() && !joined {
                    assert_eq!(take(rest), b' ');
                }
                items.push(read(rest));
            }
            take(rest);
            assert!(!items.is_empty(), "an empty list");
            Value::List(items)
        }
        b'"' => {
            let mut text = Vec::new();
            loop {
                match take(rest) {
                    b'"' => return Value::Text(text),
                    b'\\' => {
                        let b = take(rest);
                        assert!(matches!(b, b'"' | b'\\'));
                        text.push(b);
                    }
                    b => {
                        assert!(b.is_ascii() && !matches!(b, 0 | b'\r' | b'\n'), "{b} in quotes");
                        text.push(b);
                    }
                }
            }
        }
        b'{' => {
            let mut size = 0;
            loop {
                match take(rest) {
                    b'}' => break,
                    b => {
                        size =
                            size * 10 + usize::from(b.checked_sub(b'0').filter(|d| *d < 10).expect("a digit"))
                    }
                }
            }
            assert_eq!((take(rest), take(rest)), (b'\r', b'\n'));
            let (text, after) = rest.split_at(size);
            *rest = after;
            assert!(!text.contains(&0), "NUL in a literal");
            Value::Text(text.to_vec())
        }
        b'N' => {
            assert_eq!((take(rest), take(rest)), (b'I', b'L'));
            Value::Nil
        }
        first => {
            let mut number = u64::from(first.checked_sub(b'0').filter(|d| *d < 10).expect("a digit"));
            while let Some(b @ b'0'..=b'9') = rest.first() {
                number = number * 10 + u64::from(b - b'0');
                *rest = &rest[1..];
            }
            Value::Number(number)
        }
    }
}

impl Value {
    fn list(&self) -> &[Value] {
        match self {
            Value::List(items) => items,
            other => panic!("{other:?} where a list must be"),
        }
    }

    fn text(&self) -> &[u8] {
        match self {
            Value::Text(text) => text,
            other => panic!("{other:?} where a string must be"),
        }
    }

    fn number(&self) -> u64 {
        match self {
            Value::Number(number) => *number,
            other => panic!("{other:?} where a number must be"),
        }
    }

    fn nstring(&self) {
        assert!(matches!(self, Value::Nil | Value::Text(_)), "{self:?} where a string or NIL must be");
    }
}

/// Checks an envelope: its ten members, and that groups are closed.
pub fn envelope(value: &Value) {
    let members = value.list();
    assert_eq!(members.len(), 10);
    for text in [0, 1, 8, 9] {
        members[text].nstring();
    }
    for list in &members[2..8] {
        if *list == Value::Nil {
            continue;
        }
        let mut group = false;
        for address in list.list() {
            let [name, route, local, domain] = address.list() else { panic!("{address:?}") };
            name.nstring();
            assert_eq!(*route, Value::Nil);
            match (local, domain) {
                (Value::Text(_), Value::Text(_)) => {}
                (Value::Text(_), Value::Nil) => assert!(!std::mem::replace(&mut group, true)),
                (Value::Nil, Value::Nil) => assert!(std::mem::replace(&mut group, false)),
                other => panic!("{other:?}"),
            }
        }
        assert!(!group, "an open group");
    }
}

fn params(value: &Value) {
    if *value != Value::Nil {
        assert!(value.list().len().is_multiple_of(2));
        assert!(value.list().iter().all(|text| matches!(text, Value::Text(_))), "{value:?}");
    }
}

fn extension(first: &Value, rest: &[Value], multipart: bool) {
    if multipart {
        params(first)
    } else {
        first.nstring()
    }
    let [disposition, language, location] = rest else { panic!("{rest:?}") };
    if *disposition != Value::Nil {
        let [kind, list] = disposition.list() else { panic!("{disposition:?}") };
        kind.text();
        params(list);
    }
    if let Value::List(tags) = language {
        assert!(tags.iter().all(|tag| matches!(tag, Value::Text(_))), "{tags:?}");
    } else {
        language.nstring();
    }
    location.nstring();
}

/// Checks a body structure against the places of its parts. `number` is that of the part; `size` that of the message.
fn body(value: &Value, gist: &Gist<'_>, number: &[u32], outer: &std::ops::Range<u64>, extended: bool) {
    let place = gist.find(number).unwrap_or_else(|| panic!("no part {number:?}"));
    within(&place, outer);
    let items = value.list();
    let child = |n: usize| [number, &[u32::try_from(n).expect("few parts")]].concat();
    if matches!(items[0], Value::List(_)) {
        assert!(place.multipart, "{number:?}");
        let count = items.iter().take_while(|i| matches!(i, Value::List(_))).count();
        for (part, n) in items[..count].iter().zip(1..) {
            body(part, gist, &child(n), &place.body, extended);
        }
        assert!(gist.find(&child(count + 1)).is_none() && gist.find(&child(0)).is_none());
        items[count].text();
        if extended {
            extension(&items[count + 1], &items[count + 2..], true);
        } else {
            assert_eq!(items.len(), count + 1);
        }
        return;
    }
    assert!(!place.multipart, "{number:?}");
    let kind = [items[0].text(), b"/", items[1].text()].concat().to_ascii_lowercase();
    params(&items[2]);
    items[3].nstring();
    items[4].nstring();
    items[5].text();
    assert_eq!(items[6].number(), place.body.end - place.body.start);
    let mut used = 7;
    let message = matches!(&kind[..], b"message/rfc822" | b"message/global");
    assert_eq!(place.message.is_some(), message);
    if let Some((header, text)) = &place.message {
        envelope(&items[7]);
        assert!(header.start == place.body.start && header.end == text.start && text.end == place.body.end);
        let inner = &items[8];
        // The parts of a message within are numbered as those of a message.
        let multipart = matches!(inner.list()[0], Value::List(_));
        if multipart {
            for (part, n) in inner.list().iter().take_while(|i| matches!(i, Value::List(_))).zip(1..) {
                body(part, gist, &child(n), text, extended);
            }
        } else {
            body(inner, gist, &child(1), &place.body, extended);
        }
        items[9].number();
        used = 10;
    } else if kind.starts_with(b"text/") {
        items[7].number();
        used = 8;
    }
    if extended {
        extension(&items[used], &items[used + 1..], false);
    } else {
        assert_eq!(items.len(), used);
    }
}

fn within(place: &Place, outer: &std::ops::Range<u64>) {
    assert!(outer.start <= place.mime.start, "{place:?} in {outer:?}");
    assert!(place.mime.start <= place.mime.end && place.mime.end == place.body.start, "{place:?}");
    assert!(place.body.start <= place.body.end && place.body.end <= outer.end, "{place:?} in {outer:?}");
}

/// The gist of a message fed in cuts of these sizes over and over; none: in one piece.
#[must_use]
pub fn gist(input: &[u8], cuts: &[usize], limits: Limits) -> Vec<u8> {
    let mut scanner = Scanner::new(limits);
    let mut rest = input;
    let mut sizes = cuts.iter().cycle();
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |s| (*s).clamp(1, rest.len()));
        scanner.feed(&rest[..size]);
        rest = &rest[size..];
    }
    scanner.finish()
}

/// Any message has a gist, however it is cut; what it says is well-formed and lies within the message.
pub fn gists(input: &[u8], cuts: &[usize]) {
    let small = Limits { header_bytes_max: 200, parts_max: 5, depth_max: 3, preview_chars_max: 20 };
    for limits in [Limits::default(), small] {
        let bytes = gist(input, &[], limits);
        assert!(bytes == gist(input, cuts, limits), "another gist in cuts {cuts:?}");
        let gist = Gist::read(&bytes).expect("a gist");
        let size = 0..input.len() as u64;
        assert_eq!((gist.header().start, gist.find(&[]).expect("the whole").body.end), (0, size.end));
        envelope(&value(gist.envelope()));
        let structure = value(gist.body_structure());
        let mut short = Vec::new();
        gist.body(&mut short);
        for (value, extended) in [(&structure, true), (&value(&short), false)] {
            if matches!(value.list()[0], Value::List(_)) {
                body(value, &gist, &[], &size, extended);
            } else {
                body(value, &gist, &[1], &size, extended);
            }
        }
        for part in gist.parts().texts() {
            assert!(part.body.end <= size.end);
        }
        assert!(gist.parts().headers().all(|h| h.start < h.end && h.end <= size.end));
        assert!(gist.preview().chars().count() <= limits.preview_chars_max);
        assert!(!gist.preview().contains(char::is_control));
        look_at(&gist);
    }
}

/// Asks everything that can be asked.
fn look_at(gist: &Gist<'_>) {
    let mut out = Vec::new();
    gist.body(&mut out);
    for which in
        [Addresses::From, Addresses::Sender, Addresses::ReplyTo, Addresses::To, Addresses::Cc, Addresses::Bcc]
    {
        assert!(!gist.addresses(which).contains(['\r', '\n', '\0']));
        let _ = gist.first_address(which, true);
        let _ = gist.first_address(which, false);
    }
    let _ = gist.subject();
    let _ = gist.message_id();
    gist.references().for_each(drop);
    let _ = gist.thread();
    let _ = gist.sent_day();
    let _ = gist.find(&[2, 1, 1]);
}

/// A gist from a damaged disk is none, or says something, and never more.
pub fn damaged_gists(bytes: &[u8]) {
    if let Some(gist) = Gist::read(bytes) {
        look_at(&gist);
        assert!(gist.parts().texts().all(|part| part.body.start <= part.body.end));
        assert!(gist.parts().headers().all(|header| header.start <= header.end));
    }
}

/// Text does not depend on the cuts, nor does what a transfer encoding holds; folding twice is folding once where
/// nothing but ASCII is folded.
pub fn texts(input: &[u8], cuts: &[usize], charset: &str) {
    for encoding in [Encoding::Identity, Encoding::Base64, Encoding::QuotedPrintable, Encoding::Unknown] {
        for html in [false, true] {
            let part = TextPart { body: 0..0, encoding, charset, html };
            let run = |cuts: &[usize]| {
                let mut decoder = TextDecoder::new(&part);
                let mut out = String::new();
                for piece in pieces(input, cuts) {
                    decoder.feed(piece, &mut out);
                }
                decoder.finish(&mut out);
                out
            };
            assert_eq!(run(&[]), run(cuts), "{part:?}");
        }
        let run = |cuts: &[usize]| {
            let mut decoder = TransferDecoder::new(encoding)?;
            let mut out = Vec::new();
            for piece in pieces(input, cuts) {
                decoder.feed(piece, &mut out);
            }
            decoder.finish(&mut out);
            Some(out)
        };
        let whole = run(&[]);
        assert_eq!(whole, run(cuts));
        assert!(whole.is_none_or(|w| w.len() <= input.len() + 1));
    }
    let header = text::header(input);
    assert!(!header.contains(['\r', '\n', '\0']));
    let folded = text::fold(&header);
    assert!(!folded.contains("  "));
    if header.is_ascii() {
        assert_eq!(text::fold(&folded), folded);
    }
    let (base, _) = text::base_subject(&header);
    assert_eq!(text::base_subject(&base), (base.clone(), false), "of {header:?}");
}

fn pieces<'a>(input: &'a [u8], cuts: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = input;
    let mut sizes = cuts.iter().cycle();
    std::iter::from_fn(move || {
        let size = sizes.next().map_or(rest.len(), |s| (*s).clamp(1, rest.len().max(1)));
        let (piece, after) = rest.split_at_checked(size).filter(|(piece, _)| !piece.is_empty())?;
        rest = after;
        Some(piece)
    })
}
