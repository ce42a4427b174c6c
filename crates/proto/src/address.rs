//! Mail addresses as they stand in envelopes (RFC 5321 4.1.2, RFC 6531).
//!
//! [`Address`] is what people and operators type: `local@domain`, checked, with
//! the domain as lower-case A-labels. The grammar of local parts and domains is
//! here too, for the paths of SMTP commands. What must hold: what is written by
//! `Display` reads back as the same address. Comments and display names belong
//! to header fields and are not here.

use std::borrow::Cow;
use std::fmt;

/// Octets of a local part (RFC 5321 4.5.3.1.1).
pub const LOCAL_BYTES_MAX: usize = 64;
/// Octets of a domain (RFC 5321 4.5.3.1.2).
pub const DOMAIN_BYTES_MAX: usize = 255;
/// Octets of a path with its brackets (RFC 5321 4.5.3.1.3).
pub const PATH_BYTES_MAX: usize = 256;
/// Octets of one label of a domain (RFC 1035 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// A checked address. Two are equal when local part (letter for letter) and
/// domain are; [`Address::same_mailbox`] compares as mailboxes are looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: String,
    domain: String,
}

/// Why a text is no address; the words say what to mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// No `@`.
    NoAt,
    /// Nothing before the `@`.
    NoLocal,
    /// More than 64 octets before the `@`.
    LocalTooLong,
    /// A dot at the start or end of the local part, or two in a row.
    Dots,
    /// A character that a local part has only between quotes.
    Character(char),
    /// A quoted local part without its end.
    Quote,
    /// Nothing after the `@`.
    NoDomain,
    /// The domain has more than 255 octets.
    DomainTooLong,
    /// The domain is not made of labels of letters, digits and hyphens.
    Domain,
    /// `[..]` without a valid IP address.
    Literal,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressError::NoAt => {
                f.write_str("the @ and the domain are missing: write it like name@example.com")
            }
            AddressError::NoLocal => f.write_str("nothing stands before the @"),
            AddressError::LocalTooLong => f.write_str("the part before the @ is longer than 64 octets"),
            AddressError::Dots => {
                f.write_str("the part before the @ begins or ends with a dot or has two in a row")
            }
            AddressError::Character(c) => {
                write!(f, "the part before the @ contains {c:?}, which is allowed only between quotes")
            }
            AddressError::Quote => f.write_str("the quoted part before the @ is not closed"),
            AddressError::NoDomain => f.write_str("nothing stands after the @"),
            AddressError::DomainTooLong => f.write_str("the domain is longer than 255 octets"),
            AddressError::Domain => f.write_str("the domain is not a valid host name"),
            AddressError::Literal => f.write_str("the address in brackets is not a valid IP address"),
        }
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// Reads `local@domain`; white space around it is dropped. The domain becomes
    /// lower-case A-labels (RFC 5891); an address literal stays as it is.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let text = text.trim();
        let (local, used) = read_local(text, Dots::Strict)?;
        let Some(domain) = text[used..].strip_prefix('@') else {
            return Err(match text[used..].chars().next() {
                Some(c) => AddressError::Character(c),
                None => AddressError::NoAt,
            });
        };
        let domain = if domain.starts_with('[') {
            check_domain(domain)?;
            domain.to_owned()
        } else {
            domain_to_ascii(domain)?
        };
        Ok(Address { local, domain })
    }

    /// The local part without quoting, as typed.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain: lower-case A-labels, or an address literal with brackets.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// True if both name one mailbox here: local parts compare without regard to
    /// letter case, which RFC 5321 2.4 leaves to the host that owns them.
    #[must_use]
    pub fn same_mailbox(&self, other: &Address) -> bool {
        self.domain.eq_ignore_ascii_case(&other.domain)
            && (self.local == other.local || self.local.to_lowercase() == other.local.to_lowercase())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", quoted(&self.local), self.domain)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Address, AddressError> {
        Address::parse(text)
    }
}

/// A domain as lower-case A-labels: `Bücher.example` is `xn--bcher-kva.example`.
/// A trailing dot is dropped.
pub fn domain_to_ascii(domain: &str) -> Result<String, AddressError> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.is_empty() {
        return Err(AddressError::NoDomain);
    }
    // A U-label can have more octets than its A-label; this bound only keeps the work small.
    if domain.len() > 4 * DOMAIN_BYTES_MAX {
        return Err(AddressError::DomainTooLong);
    }
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| AddressError::Domain)?;
    check_domain(&ascii)?;
    Ok(ascii)
}

/// A local part as it is written before the `@`: quoted only where it must be.
#[must_use]
pub fn quoted(local: &str) -> Cow<'_, str> {
    let plain = !local.is_empty()
        && local.chars().all(|c| c == '.' || is_atom_char(c))
        && check_dots(local, Dots::Strict).is_ok();
    if plain {
        return Cow::Borrowed(local);
    }
    let mut out = String::with_capacity(local.len() + 2);
    out.push('"');
    for c in local.chars() {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    Cow::Owned(out)
}

/// How a local part's dots are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dots {
    /// As RFC 5321 has it.
    Strict,
    /// Dots anywhere: large mobile carriers of Japan gave out such addresses, and their mail has them as sender.
    Anywhere,
}

/// Reads a local part from the front: its value without quoting, and the octets used.
pub(crate) fn read_local(text: &str, dots: Dots) -> Result<(String, usize), AddressError> {
    let (local, used) = if text.starts_with('"') { read_quoted(text)? } else { read_dotted(text, dots)? };
    if used > LOCAL_BYTES_MAX { Err(AddressError::LocalTooLong) } else { Ok((local, used)) }
}

fn read_dotted(text: &str, dots: Dots) -> Result<(String, usize), AddressError> {
    let end = text.find(|c: char| c != '.' && !is_atom_char(c)).unwrap_or(text.len());
    if end == 0 {
        return Err(match text.chars().next() {
            None | Some('@') => AddressError::NoLocal,
            Some(c) => AddressError::Character(c),
        });
    }
    check_dots(&text[..end], dots)?;
    Ok((text[..end].to_owned(), end))
}

fn check_dots(local: &str, dots: Dots) -> Result<(), AddressError> {
    if dots == Dots::Strict && local.split('.').any(str::is_empty) {
        return Err(AddressError::Dots);
    }
    Ok(())
}

fn read_quoted(text: &str) -> Result<(String, usize), AddressError> {
    let mut local = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            // An empty quoted string is allowed by the grammar of RFC 5321 and names nobody.
            '"' if local.is_empty() => return Err(AddressError::NoLocal),
            '"' => return Ok((local, at + 1)),
            '\\' => match chars.next() {
                Some((_, c @ ' '..='~')) => local.push(c),
                Some((_, c)) => return Err(AddressError::Character(c)),
                None => return Err(AddressError::Quote),
            },
            c if c.is_control() => return Err(AddressError::Character(c)),
            c => local.push(c),
        }
    }
    Err(AddressError::Quote)
}

/// Checks a domain or address literal as it stands in a path. U-labels pass;
/// whether they may is the caller's to say. An underscore passes too: it is in
/// no host name by the book and in many by use.
pub(crate) fn check_domain(domain: &str) -> Result<(), AddressError> {
    if domain.is_empty() {
        return Err(AddressError::NoDomain);
    }
    if domain.len() > DOMAIN_BYTES_MAX {
        return Err(AddressError::DomainTooLong);
    }
    if let Some(literal) = domain.strip_prefix('[') {
        return check_literal(literal.strip_suffix(']').ok_or(AddressError::Literal)?);
    }
    for label in domain.split('.') {
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || (!c.is_ascii() && !is_unsafe(c));
        if label.is_empty()
            || label.len() > LABEL_BYTES_MAX
            || label.starts_with('-')
            || label.ends_with('-')
            || !label.chars().all(allowed)
        {
            return Err(AddressError::Domain);
        }
    }
    Ok(())
}

/// RFC 5321 4.1.3; no tag but `IPv6` is registered.
fn check_literal(inside: &str) -> Result<(), AddressError> {
    let valid = match inside.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inside[5..].parse::<std::net::Ipv6Addr>().is_ok(),
        _ => inside.parse::<std::net::Ipv4Addr>().is_ok(),
    };
    if valid { Ok(()) } else { Err(AddressError::Literal) }
}

/// `atext` of RFC 5322 3.2.3, and beyond ASCII RFC 6531 3.3.
fn is_atom_char(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) } else { !is_unsafe(c) }
}

/// Characters beyond ASCII that only serve to deceive the eye: C1 controls,
/// other spaces, and marks that turn the direction of writing.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_writes() {
        for (typed, written) in [
            ("ann@example.test", "ann@example.test"),
            ("  Ann.B+x@EXAMPLE.Test \n", "Ann.B+x@example.test"),
            ("\"a b\"@example.test", "\"a b\"@example.test"),
            ("\"ab\"@example.test", "ab@example.test"),
            ("\"a..b\"@example.test", "\"a..b\"@example.test"),
            (r#""q\"\\"@example.test"#, r#""q\"\\"@example.test"#),
            ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
            ("x@[192.0.2.1]", "x@[192.0.2.1]"),
            ("x@[IPv6:2001:db8::1]", "x@[IPv6:2001:db8::1]"),
            ("x@example.test.", "x@example.test"),
        ] {
            let address = Address::parse(typed).unwrap();
            assert_eq!(address.to_string(), written);
            assert_eq!(Address::parse(written).unwrap(), address);
        }
    }

    #[test]
    fn refuses_with_the_reason() {
        let long = format!("{}@example.test", "a".repeat(65));
        for (typed, error) in [
            ("", AddressError::NoLocal),
            ("ann", AddressError::NoAt),
            ("@example.test", AddressError::NoLocal),
            ("ann@", AddressError::NoDomain),
            ("a..b@example.test", AddressError::Dots),
            (".a@example.test", AddressError::Dots),
            ("a.@example.test", AddressError::Dots),
            ("a b@example.test", AddressError::Character(' ')),
            ("<a@example.test>", AddressError::Character('<')),
            ("\"a@example.test", AddressError::Quote),
            ("\"\"@example.test", AddressError::NoLocal),
            ("a@exa mple.test", AddressError::Domain),
            ("a@-x.test", AddressError::Domain),
            ("a@b@c", AddressError::Domain),
            ("a@[300.0.0.1]", AddressError::Literal),
            ("a@[IPv6:zz]", AddressError::Literal),
            ("a\u{202e}b@example.test", AddressError::Character('\u{202e}')),
            (long.as_str(), AddressError::LocalTooLong),
        ] {
            assert_eq!(Address::parse(typed), Err(error), "{typed:?}");
        }
    }

    #[test]
    fn mailboxes_compare_without_case() {
        let one = Address::parse("Ann@Example.test").unwrap();
        assert!(one.same_mailbox(&Address::parse("aNN@example.TEST").unwrap()));
        assert!(!one.same_mailbox(&Address::parse("ann@other.test").unwrap()));
        assert_ne!(one, Address::parse("ann@example.test").unwrap());
    }
}
