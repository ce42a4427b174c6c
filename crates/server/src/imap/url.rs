//! URLs of CATENATE (RFC 4469 section 3, RFC 5092): parts of messages of the user's own, relative to this server.
//!
//! `/Drafts;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2/;PARTIAL=0.1024`; without a mailbox the selected one is meant.
//! Absolute URLs and authorised ones (RFC 4467) are refused: what they name may be elsewhere or somebody else's.

use proto::imap::command::{Section, SectionText};

/// What a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessageUrl {
    /// `None`: the selected one.
    pub(crate) mailbox: Option<String>,
    /// The message is meant only if the mailbox still has this.
    pub(crate) uid_validity: Option<u32>,
    pub(crate) uid: u32,
    pub(crate) section: Section,
    pub(crate) partial: Option<(u64, u64)>,
}

/// Reads one.
pub(crate) fn parse(url: &str) -> Option<MessageUrl> {
    let (front, rest) = split_keyword(url, ";UID=")?;
    let (mailbox, uid_validity) = match front.strip_suffix('/').unwrap_or(front) {
        "" => (None, None),
        path => {
            let path = path.strip_prefix('/').filter(|path| !path.starts_with('/'))?;
            let (name, validity) = match split_keyword(path, ";UIDVALIDITY=") {
                Some((name, validity)) => (name, Some(number(validity)?)),
                None => (path, None),
            };
            (Some(proto::imap::name::canonical(decode(name)?)), validity)
        }
    };
    let mut parts = rest.split("/;");
    let uid = number(parts.next()?)?;
    let mut section = Section { part: Vec::new(), text: SectionText::All };
    let mut partial = None;
    for part in parts {
        let (key, value) = part.split_once('=')?;
        if key.eq_ignore_ascii_case("SECTION") {
            section = section_of(&decode(value)?)?;
        } else if key.eq_ignore_ascii_case("PARTIAL") {
            partial = Some(range(value)?);
        } else {
            return None;
        }
    }
    Some(MessageUrl { mailbox, uid_validity, uid, section, partial })
}

/// What stands before and behind a keyword in any letter case.
fn split_keyword<'a>(text: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let at =
        text.as_bytes().windows(keyword.len()).position(|w| w.eq_ignore_ascii_case(keyword.as_bytes()))?;
    Some((text.get(..at)?, text.get(at + keyword.len()..)?))
}

/// A number that is not 0.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| *n > 0 && digits)
}

/// `offset` or `offset.length` (RFC 5092 section 6).
fn range(text: &str) -> Option<(u64, u64)> {
    let (offset, length) = text.split_once('.').unwrap_or((text, ""));
    let length = if length.is_empty() { u64::MAX } else { length.parse().ok()? };
    Some((offset.parse().ok()?, length))
}

/// Percent-decoded; UTF-8 without controls.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok().filter(|text| !text.is_empty() && !text.chars().any(char::is_control))
}

/// `1.2`, `1.2.MIME`, `HEADER.FIELDS (From To)`: as between the brackets of BODY[].
fn section_of(text: &str) -> Option<Section> {
    let mut part = Vec::new();
    let mut rest = text;
    while rest.starts_with(|c: char| c.is_ascii_digit()) {
        let (digits, behind) = rest.split_once('.').unwrap_or((rest, ""));
        part.push(number(digits)?);
        if behind.is_empty() && rest.ends_with('.') {
            return None;
        }
        rest = behind;
    }
    let word = rest.to_ascii_uppercase();
    let text = match word.as_str() {
        "" if !part.is_empty() => SectionText::All,
        "HEADER" => SectionText::Header,
        "TEXT" => SectionText::Text,
        "MIME" if !part.is_empty() => SectionText::Mime,
        _ => {
            let (word, names) = rest.split_once(' ')?;
            let not = word.eq_ignore_ascii_case("HEADER.FIELDS.NOT");
            if !not && !word.eq_ignore_ascii_case("HEADER.FIELDS") {
                return None;
            }
            let names = names.strip_prefix('(')?.strip_suffix(')')?;
            SectionText::HeaderFields { names: names.split_whitespace().map(str::to_owned).collect(), not }
        }
    };
    Some(Section { part, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rfc_4469_shows() {
        let url = parse("/Drafts;UIDVALIDITY=385759045/;UID=20/;SECTION=HEADER").expect("a URL");
        assert_eq!(url.mailbox.as_deref(), Some("Drafts"));
        assert_eq!((url.uid_validity, url.uid, url.partial), (Some(385_759_045), 20, None));
        assert_eq!(url.section, Section { part: Vec::new(), text: SectionText::Header });
        let url = parse("/inbox/;uid=7/;section=1.2.mime/;partial=10.20").expect("a URL");
        assert_eq!(url.mailbox.as_deref(), Some("INBOX"));
        assert_eq!(url.section, Section { part: vec![1, 2], text: SectionText::Mime });
        assert_eq!(url.partial, Some((10, 20)));
        let url = parse(";UID=9").expect("a URL");
        assert_eq!((url.mailbox, url.uid), (None, 9));
        let url = parse("/a%20b%2F%C3%A4/;UID=1/;SECTION=HEADER.FIELDS%20(From%20To)").expect("a URL");
        assert_eq!(url.mailbox.as_deref(), Some("a b/ä"));
        let names = vec!["From".to_owned(), "To".to_owned()];
        assert_eq!(url.section.text, SectionText::HeaderFields { names, not: false });
    }

    #[test]
    fn what_is_none() {
        for bad in [
            "",
            "/INBOX",
            "/INBOX/;UID=0",
            "/INBOX/;UID=x",
            "/INBOX/;UID=+1",
            "//host/INBOX/;UID=1",
            "imap://host/INBOX/;UID=1",
            "/INBOX/;UID=1/;SECTION=1.",
            "/INBOX/;UID=1/;SECTION=MIME",
            "/INBOX/;UID=1/;SECTION=x",
            "/%zz/;UID=1",
            "/a%00/;UID=1",
            "/%ff/;UID=1",
            "/INBOX/;UID=1;URLAUTH=anonymous:internal",
            "/INBOX/;UID=1/;PARTIAL=x",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
