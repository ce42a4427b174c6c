//! The tree of a message's parts (RFC 2045, RFC 2046) with the place of each.
//!
//! Kept as bytes, read in place: the parts in the order of the message, each as one octet that says what it is, then
//! varints: for a multipart the number of its parts; how far its header begins behind the beginning of the
//! previous part's content; the lengths of header and content; for a text part the charset. So numbers stay small, and a
//! part is found by passing over those before it. What must hold: any bytes can be read; what
//! does not lie within the message is clipped.

use super::varint;
use std::ops::Range;

/// How a part's octets are encoded (RFC 2045 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit or binary: as it is.
    Identity,
    /// base64.
    Base64,
    /// quoted-printable.
    QuotedPrintable,
    /// Anything else: cannot be decoded (RFC 3516 UNKNOWN-CTE).
    Unknown,
}

/// Where a part is. Offsets as in [`super::gist`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its MIME header with the empty line that ends it; of the message itself, the message's header.
    pub mime: Range<u64>,
    /// Its content.
    pub body: Range<u64>,
    /// Of its content.
    pub encoding: Encoding,
    /// `message/rfc822` or `message/global`: header and text of the message within.
    pub message: Option<(Range<u64>, Range<u64>)>,
    /// It has parts of its own.
    pub multipart: bool,
}

/// One leaf that holds text, for searches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPart<'a> {
    /// Its content.
    pub body: Range<u64>,
    /// Of its content.
    pub encoding: Encoding,
    /// As declared, lower case; empty: none.
    pub charset: &'a str,
    /// `text/html`.
    pub html: bool,
}

/// The parts of one message.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    bytes: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Over a tree as it is kept.
    pub(super) fn new(bytes: &'a [u8]) -> Parts<'a> {
        Parts { bytes }
    }

    /// The part with these numbers (RFC 9051 6.4.5.1); with none, the message itself. A message that is no
    /// multipart has one part, number 1.
    #[must_use]
    pub fn find(&self, numbers: &[u32]) -> Option<Place> {
        let mut nodes = self.nodes();
        let mut part = nodes.next()?;
        // Is `part` the whole of a message, whose part 1 may be itself?
        let mut whole = true;
        for &number in numbers {
            let mut inside = whole;
            if !whole && part.kind == Kind::Message {
                part = nodes.next()?;
                inside = true;
            }
            whole = false;
            if part.kind == Kind::Multipart {
                if number == 0 || number > part.children {
                    return None;
                }
                for _ in 1..number {
                    nodes.pass_over_part()?;
                }
                part = nodes.next()?;
            } else if !inside || number != 1 {
                return None;
            }
        }
        let message = match part.kind {
            Kind::Message => nodes.next().map(|inner| (inner.mime, inner.body)),
            _ => None,
        };
        let multipart = part.kind == Kind::Multipart;
        Some(Place { mime: part.mime, body: part.body, encoding: part.encoding, message, multipart })
    }

    /// All leaves of type text (and the headers of messages within messages are not among them).
    pub fn texts(&self) -> impl Iterator<Item = TextPart<'a>> {
        self.nodes().filter(|n| n.text).map(|n| TextPart {
            body: n.body,
            encoding: n.encoding,
            charset: n.charset,
            html: n.html,
        })
    }

    /// The header ranges of the message itself (first), of all its parts and of messages within, for searches
    /// for TEXT.
    pub fn headers(&self) -> impl Iterator<Item = Range<u64>> {
        self.nodes().map(|n| n.mime).filter(|mime| !mime.is_empty())
    }

    fn nodes(&self) -> Nodes<'a> {
        Nodes { rest: self.bytes, origin: 0, total: None }
    }
}

/// What a part is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Leaf,
    Multipart,
    Message,
}

/// One part of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node<'a> {
    pub(super) kind: Kind,
    /// Parts of a multipart.
    pub(super) children: u32,
    pub(super) mime: Range<u64>,
    pub(super) body: Range<u64>,
    pub(super) encoding: Encoding,
    pub(super) text: bool,
    pub(super) html: bool,
    pub(super) charset: &'a str,
}

impl Node<'_> {
    /// Appends the node; `origin` is where the previous one's content begins, 0 for the first.
    pub(super) fn write(&self, origin: u64, out: &mut Vec<u8>) {
        let kind = match self.kind {
            Kind::Leaf => 0,
            Kind::Multipart => 1,
            Kind::Message => 2,
        };
        let encoding = match self.encoding {
            Encoding::Identity => 0,
            Encoding::Base64 => 1 << 2,
            Encoding::QuotedPrintable => 2 << 2,
            Encoding::Unknown => 3 << 2,
        };
        let flags = u8::from(self.text) << 4 | u8::from(self.html) << 5;
        out.push(kind | encoding | flags);
        if self.kind == Kind::Multipart {
            varint::write(u64::from(self.children), out);
        }
        varint::write(self.mime.start.saturating_sub(origin), out);
        varint::write(self.mime.end.saturating_sub(self.mime.start), out);
        varint::write(self.body.end.saturating_sub(self.body.start), out);
        if self.text {
            varint::write(self.charset.len() as u64, out);
            out.extend_from_slice(self.charset.as_bytes());
        }
    }
}

/// Reads the nodes one after the other; ends where the bytes make no sense.
struct Nodes<'a> {
    rest: &'a [u8],
    origin: u64,
    /// The message's size, which the first node tells.
    total: Option<u64>,
}

impl<'a> Nodes<'a> {
    /// Passes over a part with all that is in it.
    fn pass_over_part(&mut self) -> Option<()> {
        let mut waiting = 1_u64;
        while waiting > 0 {
            let node = self.next()?;
            waiting -= 1;
            waiting += match node.kind {
                Kind::Leaf => 0,
                Kind::Message => 1,
                Kind::Multipart => u64::from(node.children),
            };
        }
        Some(())
    }
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        let (&octet, rest) = self.rest.split_first()?;
        self.rest = rest;
        let kind = match octet & 3 {
            0 => Kind::Leaf,
            1 => Kind::Multipart,
            2 => Kind::Message,
            _ => return None,
        };
        let encoding = match octet >> 2 & 3 {
            0 => Encoding::Identity,
            1 => Encoding::Base64,
            2 => Encoding::QuotedPrintable,
            _ => Encoding::Unknown,
        };
        let (text, html) = (octet & 1 << 4 != 0, octet & 1 << 5 != 0);
        let children = match kind {
            Kind::Multipart => u32::try_from(varint::read(&mut self.rest)?).ok()?,
            _ => 0,
        };
        let start = self.origin.saturating_add(varint::read(&mut self.rest)?);
        let middle = start.saturating_add(varint::read(&mut self.rest)?);
        let end = middle.saturating_add(varint::read(&mut self.rest)?);
        let total = *self.total.get_or_insert(end);
        let charset = if text { varint::read_str(&mut self.rest)? } else { "" };
        self.origin = middle;
        let (start, middle, end) = (start.min(total), middle.min(total), end.min(total));
        Some(Node { kind, children, mime: start..middle, body: middle..end, encoding, text, html, charset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(mime: Range<u64>, body: Range<u64>) -> Node<'static> {
        let encoding = Encoding::Base64;
        Node { kind: Kind::Leaf, children: 0, mime, body, encoding, text: true, html: true, charset: "utf-8" }
    }

    fn tree(nodes: &[Node<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut origin = 0;
        for node in nodes {
            node.write(origin, &mut out);
            origin = node.body.start;
        }
        out
    }

    fn sample() -> Vec<Node<'static>> {
        let inner = Node { kind: Kind::Multipart, children: 1, text: false, ..leaf(40..50, 50..90) };
        let charset = "";
        vec![
            Node {
                kind: Kind::Multipart,
                children: 3,
                charset,
                html: false,
                text: false,
                ..leaf(0..10, 10..200)
            },
            leaf(10..12, 12..20),
            Node { kind: Kind::Message, text: false, html: false, charset, ..leaf(30..40, 40..90) },
            Node { html: false, charset, ..inner },
            leaf(55..60, 60..80),
            leaf(100..105, 105..190),
        ]
    }

    #[test]
    fn nodes_round_trip() {
        let nodes = sample();
        let bytes = tree(&nodes);
        assert_eq!(Parts::new(&bytes).nodes().collect::<Vec<_>>(), nodes);
        assert!(bytes.len() < 48, "{}", bytes.len());
    }

    #[test]
    fn finding() {
        let bytes = tree(&sample());
        let parts = Parts::new(&bytes);
        let body = |numbers: &[u32]| parts.find(numbers).map(|p| p.body);
        assert_eq!(body(&[]), Some(10..200));
        assert_eq!(body(&[1]), Some(12..20));
        assert_eq!(body(&[2]), Some(40..90));
        assert_eq!(parts.find(&[2]).unwrap().message, Some((40..50, 50..90)));
        assert_eq!(body(&[2, 1]), Some(60..80));
        assert_eq!(body(&[3]), Some(105..190));
        for none in [&[0][..], &[4], &[1, 1], &[2, 2], &[2, 1, 1], &[u32::MAX]] {
            assert_eq!(body(none), None, "{none:?}");
        }
        let single = tree(&[leaf(0..5, 5..9)]);
        let single = Parts::new(&single);
        assert_eq!(single.find(&[1]).unwrap(), single.find(&[]).unwrap());
        assert_eq!(single.find(&[2]), None);
        assert_eq!(single.find(&[1, 1]), None);
        let message =
            Node { kind: Kind::Message, text: false, html: false, charset: "", ..leaf(0..5, 5..90) };
        let message = tree(&[message, leaf(5..7, 7..90)]);
        let message = Parts::new(&message);
        assert_eq!(message.find(&[1]).unwrap().message, Some((5..7, 7..90)));
        assert_eq!(message.find(&[1, 1]).unwrap().body, 7..90);
        assert_eq!(message.find(&[1, 2]), None);
        assert_eq!(message.find(&[1, 1, 1]), None);
    }

    #[test]
    fn damaged_trees() {
        let bytes = tree(&sample());
        for at in 0..bytes.len() {
            for octet in [0, 1, 2, 3, 0x7f, 0x80, 0xff] {
                let mut bad = bytes.clone();
                bad[at] = octet;
                let parts = Parts::new(&bad);
                let total = parts.find(&[]).map_or(0, |p| p.body.end);
                for place in [parts.find(&[2, 1]), parts.find(&[3])].into_iter().flatten() {
                    assert!(place.body.end <= total && place.mime.start <= place.mime.end);
                }
                assert!(parts.texts().count() + parts.headers().count() < 40);
            }
            assert!(Parts::new(&bytes[..at]).texts().count() <= 3);
        }
    }
}
