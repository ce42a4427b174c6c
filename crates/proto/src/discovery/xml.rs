//! XML as discovery documents need it: a small tree read under limits, and a writer that cannot be injected into.
//!
//! What comes in is hostile: entity bombs, external entities, endless nesting,
//! wrong charsets. No entity is ever expanded but the five of XML itself and
//! character references, nothing is ever fetched, and a document type with
//! declarations of its own is refused. Namespaces are ignored: a name is what
//! stands behind its prefix. What goes out is built from fixed names; only text
//! and attribute values vary, and both are escaped in one place.

use super::{DOCUMENT_BYTES_MAX, Unreadable, shown};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;

/// Levels of elements in each other.
const DEPTH_MAX: usize = 32;
/// Elements of one document.
const ELEMENTS_MAX: usize = 10_000;
/// Attributes of one element: comparing their names with each other must not take long.
const ATTRIBUTES_MAX: usize = 64;
/// Octets at the start in which an XML declaration is looked for.
const DECLARATION_BYTES_MAX: usize = 256;

/// An element: names without prefixes, its own text joined and trimmed.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// Local name.
    pub(super) name: String,
    /// Attributes by their local names.
    attributes: Vec<(String, String)>,
    /// Text directly inside, without that of its children.
    pub(super) text: String,
    /// Elements inside, in order.
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The attribute of that name.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The first child of that name; letter case does not matter.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children(name).next()
    }

    /// All children of that name; letter case does not matter.
    pub(super) fn children<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a Element> + use<'a, 'n> {
        self.children.iter().filter(move |child| child.name.eq_ignore_ascii_case(name))
    }

    /// The text of the first child of that name that has any.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.children(name).map(|child| child.text.as_str()).find(|text| !text.is_empty())
    }
}

/// The root of a document, and what is odd about its encoding.
///
/// # Errors
/// It is no XML, it is beyond a limit, or it declares or uses entities.
pub(super) fn read(octets: &[u8]) -> Result<(Element, Vec<String>), Unreadable> {
    if octets.len() > DOCUMENT_BYTES_MAX {
        return Err(Unreadable(format!(
            "It has more than {} kilobytes; a configuration document has a few.",
            DOCUMENT_BYTES_MAX >> 10
        )));
    }
    let mut remarks = Vec::new();
    let text = decode(octets, &mut remarks);
    if text.trim().is_empty() {
        return Err(Unreadable("It is empty.".to_owned()));
    }
    if let Some(c) = text.chars().find(|c| !is_xml(*c)) {
        return Err(Unreadable(format!(
            "It contains the character U+{:04X}, which XML does not allow.",
            u32::from(c)
        )));
    }
    Ok((tree(&text)?, remarks))
}

fn tree(text: &str) -> Result<Element, Unreadable> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut elements = 0;
    loop {
        match reader.read_event().map_err(not_xml)? {
            Event::Start(start) => {
                if open.len() >= DEPTH_MAX {
                    return Err(Unreadable(format!(
                        "Its elements are nested deeper than {DEPTH_MAX} levels."
                    )));
                }
                open.push(element(&start, &mut elements, root.is_some())?);
            }
            Event::Empty(start) => {
                let whole = element(&start, &mut elements, root.is_some())?;
                close(whole, &mut open, &mut root);
            }
            Event::End(_) => {
                // The reader has compared the names; without an open element it fails itself.
                let Some(whole) = open.pop() else { return Err(not_xml("an end without a start")) };
                close(whole, &mut open, &mut root);
            }
            Event::Text(inner) => add(&mut open, &inner.xml10_content())?,
            Event::CData(inner) => add(&mut open, &inner.xml10_content())?,
            Event::GeneralRef(reference) => add(&mut open, &resolve(&reference)?)?,
            Event::DocType(declared) if declared.contains('[') => {
                return Err(Unreadable(
                    "It declares entities of its own, which may hide an attack; no client needs them."
                        .to_owned(),
                ));
            }
            Event::DocType(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof if open.is_empty() => break,
            Event::Eof => return Err(not_xml("it ends in the middle")),
        }
    }
    root.ok_or_else(|| not_xml("there is no element in it"))
}

fn element(start: &BytesStart<'_>, elements: &mut usize, after_root: bool) -> Result<Element, Unreadable> {
    *elements += 1;
    if *elements > ELEMENTS_MAX {
        return Err(Unreadable(format!("It has more than {ELEMENTS_MAX} elements.")));
    }
    if after_root {
        return Err(not_xml("it goes on behind its end"));
    }
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        if attributes.len() >= ATTRIBUTES_MAX {
            return Err(Unreadable(format!(
                "One of its elements has more than {ATTRIBUTES_MAX} attributes."
            )));
        }
        let attribute = attribute.map_err(not_xml)?;
        let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).map_err(not_xml)?;
        if let Some(c) = value.chars().find(|c| !is_xml(*c)) {
            return Err(not_xml(format!("character U+{:04X}", u32::from(c))));
        }
        let name = attribute.key.local_name();
        attributes.push((name.as_ref().to_owned(), value.trim().to_owned()));
    }
    let name = start.local_name().as_ref().to_owned();
    Ok(Element { name, attributes, text: String::new(), children: Vec::new() })
}

/// Puts a whole element into its parent, or makes it the root.
fn close(mut whole: Element, open: &mut [Element], root: &mut Option<Element>) {
    whole.text = whole.text.trim().to_owned();
    match open.last_mut() {
        Some(parent) => parent.children.push(whole),
        None => *root = Some(whole),
    }
}

fn add(open: &mut [Element], text: &str) -> Result<(), Unreadable> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(not_xml("there is text outside of its element")),
    }
    Ok(())
}

/// The five entities of XML and character references; nothing else.
fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Result<Cow<'static, str>, Unreadable> {
    if let Some(c) = reference.resolve_char_ref().map_err(not_xml)? {
        if is_xml(c) {
            return Ok(Cow::Owned(c.to_string()));
        }
        return Err(not_xml(format!("character U+{:04X}", u32::from(c))));
    }
    match quick_xml::escape::resolve_xml_entity(reference) {
        Some(known) => Ok(Cow::Borrowed(known)),
        None => Err(not_xml(format!("the entity {} is none of XML", shown(reference)))),
    }
}

fn not_xml(why: impl std::fmt::Display) -> Unreadable {
    Unreadable(format!("It is not well-formed XML: {}.", shown(&why.to_string()).trim_matches('"')))
}

/// Octets to text: byte order mark, then declaration, then UTF-8, and
/// Windows-1252 for what is none (every octet has a meaning there).
fn decode(octets: &[u8], remarks: &mut Vec<String>) -> String {
    if let Some((encoding, mark)) = Encoding::for_bom(octets) {
        // The draft of autoconfig wants UTF-8 without a mark; clients skip it.
        return encoding.decode_without_bom_handling(&octets[mark..]).0.into_owned();
    }
    let encoding = match octets {
        [b'<', 0, ..] => UTF_16LE,
        [0, b'<', ..] => UTF_16BE,
        _ => declared(octets, remarks),
    };
    let (text, wrong) = encoding.decode_without_bom_handling(octets);
    if !wrong {
        return text.into_owned();
    }
    remarks.push(format!(
        "Its characters are not encoded in {} as it says; strict clients refuse it.",
        encoding.name()
    ));
    WINDOWS_1252.decode_without_bom_handling(octets).0.into_owned()
}

/// The encoding of the XML declaration.
fn declared(octets: &[u8], remarks: &mut Vec<String>) -> &'static Encoding {
    let head = &octets[..octets.len().min(DECLARATION_BYTES_MAX)];
    let head = String::from_utf8_lossy(head);
    let Some(declaration) = head.strip_prefix("<?xml").and_then(|rest| rest.split("?>").next()) else {
        return UTF_8;
    };
    let Some(value) = declaration.split("encoding").nth(1) else { return UTF_8 };
    let label: String = value
        .chars()
        .skip_while(|c| "= \t\r\n\"'".contains(*c))
        .take_while(|c| !"\"'".contains(*c))
        .collect();
    match Encoding::for_label(label.as_bytes()) {
        // What could be read so far as ASCII is no UTF-16; programs on .NET say so all the same.
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => {
            remarks.push(format!("It says that it is encoded in {} and is not.", shown(&label)));
            UTF_8
        }
        Some(encoding) => encoding,
        None => {
            remarks.push(format!("It names the encoding {}, which nobody knows.", shown(&label)));
            UTF_8
        }
    }
}

/// May XML 1.0 have this character at all (2.2)?
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Writes a document, indented by two.
pub(super) struct Writer {
    out: String,
    open: Vec<&'static str>,
}

impl Writer {
    /// Begins with the declaration.
    pub(super) fn new() -> Writer {
        Writer { out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), open: Vec::new() }
    }

    /// Opens an element that will have children.
    pub(super) fn open(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        self.start(name, attributes);
        self.out.push_str(">\n");
        self.open.push(name);
    }

    /// Closes the element that was opened last.
    pub(super) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push_str(">\n");
        }
    }

    /// An element with text.
    pub(super) fn leaf(&mut self, name: &'static str, attributes: &[(&'static str, &str)], text: &str) {
        self.start(name, attributes);
        self.out.push('>');
        self.out.push_str(&escaped(text));
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push_str(">\n");
    }

    /// An element without anything.
    pub(super) fn empty(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        self.start(name, attributes);
        self.out.push_str("/>\n");
    }

    /// The document, with what is open closed.
    pub(super) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }

    fn start(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        self.indent();
        self.out.push('<');
        self.out.push_str(name);
        for (attribute, value) in attributes {
            self.out.push(' ');
            self.out.push_str(attribute);
            self.out.push_str("=\"");
            self.out.push_str(&escaped(value));
            self.out.push('"');
        }
    }

    fn indent(&mut self) {
        for _ in &self.open {
            self.out.push_str("  ");
        }
    }
}

fn escaped(text: &str) -> String {
    quick_xml::escape::escape(plain(text)).into_owned()
}

/// Without what XML cannot carry, and without line breaks: no value of ours has any.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_control() => ' ',
            c if !is_xml(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(octets: &[u8]) -> String {
        read(octets).unwrap_err().0
    }

    #[test]
    fn reads_a_tree_whatever_the_prefixes() {
        let (root, remarks) = read(
            b"<?xml version='1.0'?><!-- c --><a:r xmlns:a='u' x='1 &amp; 2'> t&lt;<b:K>&#x41;</b:K><![CDATA[<z>]]><k/></a:r>",
        )
        .unwrap();
        assert_eq!((root.name.as_str(), root.text.as_str()), ("r", "t<<z>"));
        assert_eq!(root.attribute("x"), Some("1 & 2"));
        assert_eq!(root.text_of("k"), Some("A"));
        assert_eq!(root.children("k").count(), 2);
        assert_eq!(remarks, Vec::<String>::new());
    }

    #[test]
    fn entities_of_strangers_are_refused() {
        let bomb = b"<!DOCTYPE b [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><b>&b;</b>";
        assert!(refused(bomb).contains("entities of its own"));
        let file = b"<!DOCTYPE b [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><b>&x;</b>";
        assert!(refused(file).contains("entities of its own"));
        let outside = b"<!DOCTYPE b SYSTEM 'http://evil.test/x.dtd'><b>&x;</b>";
        assert_eq!(refused(outside), "It is not well-formed XML: the entity \"x\" is none of XML.");
        assert!(refused(b"<b a='&x;'/>").starts_with("It is not well-formed XML"));
        // A document type without declarations does nothing, and property lists have one.
        assert!(read(b"<!DOCTYPE b PUBLIC 'a' 'http://b.test/'><b/>").is_ok());
    }

    #[test]
    fn limits_hold() {
        assert!(refused(&vec![b' '; DOCUMENT_BYTES_MAX + 1]).contains("more than 256 kilobytes"));
        assert!(refused("<a>".repeat(DEPTH_MAX + 1).as_bytes()).contains("deeper than 32"));
        let deep = format!("{}{}", "<a>".repeat(DEPTH_MAX), "</a>".repeat(DEPTH_MAX));
        assert!(read(deep.as_bytes()).is_ok());
        let many = format!("<r>{}</r>", "<a/>".repeat(ELEMENTS_MAX));
        assert!(refused(many.as_bytes()).contains("more than 10000 elements"));
        let attributes = |n: usize| -> String { (0..n).map(|n| format!(" a{n}=''")).collect() };
        assert!(
            refused(format!("<a{}/>", attributes(ATTRIBUTES_MAX + 1)).as_bytes()).contains("64 attributes")
        );
        assert!(read(format!("<a{}/>", attributes(ATTRIBUTES_MAX)).as_bytes()).is_ok());
        let most = format!("<r>{}</r>", "<a/>".repeat(ELEMENTS_MAX - 1));
        assert!(read(most.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_xml_says_so() {
        for broken in [
            "",
            "  ",
            "x",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a/>x",
            "x<a/>",
            "<a x='1' x='2'/>",
            "<a>&#0;</a>",
            "<a>&#1;</a>",
            "<a>\u{1}</a>",
            "<a x='&#1;'/>",
            "<a>&nbsp;</a>",
            "<!-- only -->",
            "<a",
            "{\"a\":1}",
            "<a>&#xD800;</a>",
            "<a>\u{ffff}</a>",
        ] {
            assert!(read(broken.as_bytes()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn charsets() {
        let text = |octets: &[u8]| {
            let (root, remarks) = read(octets).unwrap();
            (root.text, remarks.len())
        };
        assert_eq!(text("<a>ü</a>".as_bytes()), ("ü".into(), 0));
        assert_eq!(text(b"\xef\xbb\xbf<a>\xc3\xbc</a>"), ("ü".into(), 0));
        assert_eq!(text(b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xfc</a>"), ("ü".into(), 0));
        assert_eq!(text(b"<?xml version='1.0' encoding = \"windows-1253\"?><a>\xe1</a>"), ("α".into(), 0));
        assert_eq!(text(b"<?xml version='1.0' encoding='UTF-8'?><a>\xfc</a>"), ("ü".into(), 1));
        assert_eq!(text(b"<?xml version='1.0' encoding='klingon'?><a>\xc3\xbc</a>"), ("ü".into(), 1));
        assert_eq!(text(b"<?xml version='1.0' encoding='utf-16'?><a>\xc3\xbc</a>"), ("ü".into(), 1));
        for (mark, order) in [(&b"\xff\xfe"[..], true), (b"\xfe\xff", false), (b"", true), (b"", false)] {
            let mut octets = mark.to_vec();
            for unit in "<a>ü</a>".encode_utf16() {
                octets.extend(if order { unit.to_le_bytes() } else { unit.to_be_bytes() });
            }
            assert_eq!(text(&octets), ("ü".into(), 0), "{mark:?} {order}");
        }
    }

    #[test]
    fn nothing_breaks_out_of_what_is_written() {
        let evil = "</a><b x=\"'&]]>\r\n\0\u{ffff}";
        let mut writer = Writer::new();
        writer.open("a", &[("k", evil)]);
        writer.leaf("t", &[], evil);
        writer.empty("e", &[]);
        let written = writer.finish();
        let (root, _) = read(written.as_bytes()).unwrap();
        let back = "</a><b x=\"'&]]>   \u{fffd}";
        assert_eq!(root.attribute("k"), Some(back));
        assert_eq!(root.text_of("t"), Some(back));
        assert_eq!(root.children.len(), 2);
    }
}
