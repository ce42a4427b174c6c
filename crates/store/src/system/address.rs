//! How addresses are read and compared: domains as lower-case A-labels (UTS 46), local parts
//! in NFC, and in lower case unless the domain tells them apart.

use crate::key;
use unicode_normalization::UnicodeNormalization;

/// Octets of a local part (RFC 5321 4.5.3.1.1), generously, because UTF-8 ones may be stored longer.
const LOCAL_BYTES_MAX: usize = 256;
/// Octets of a domain (RFC 1035 2.3.4).
const DOMAIN_BYTES_MAX: usize = 253;

/// An address of one of our domains, as it is looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Folded {
    pub(crate) domain: String,
    pub(crate) local: String,
}

impl Folded {
    pub(super) fn account_key(&self) -> Vec<u8> {
        key::address(&self.domain, &self.local)
    }

    pub(super) fn alias_key(&self) -> Vec<u8> {
        key::alias(&self.domain, &self.local)
    }
}

/// A domain's name as it is kept; the error says what is wrong with it.
pub(super) fn domain_name(name: &str) -> Result<String, String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    // The commonest case by far needs no tables; `xn--` labels are checked like the others.
    let checked = if name.bytes().all(plain) && !name.contains("xn--") {
        Ok(std::borrow::Cow::Borrowed(name))
    } else {
        idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::STD3)
    };
    let name = checked.map_err(|_| format!("'{name}' is not a domain name"))?;
    let sound_label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    if name.len() > DOMAIN_BYTES_MAX || !name.split('.').all(sound_label) {
        return Err(format!("'{name}' is not a domain name"));
    }
    Ok(name.into_owned())
}

/// Local part in NFC and domain as kept; the error says what is wrong.
pub(crate) fn split(address: &str) -> Result<(String, String), String> {
    let (local, domain) =
        address.rsplit_once('@').ok_or_else(|| format!("'{address}' has no @ and so is no address"))?;
    let sound = !local.is_empty() && local.len() <= LOCAL_BYTES_MAX && !local.chars().any(char::is_control);
    if !sound {
        return Err(format!("'{address}' has no usable part before the @"));
    }
    Ok((local.nfc().collect(), domain_name(domain)?))
}

/// A local part as it is compared.
pub(crate) fn fold(local: &str, case_sensitive: bool) -> String {
    if local.is_ascii() {
        return if case_sensitive { local.to_owned() } else { local.to_ascii_lowercase() };
    }
    // Lower case can undo the normal form, so it is made again.
    let normal: String = local.nfc().collect();
    if case_sensitive { normal } else { normal.to_lowercase().nfc().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        assert_eq!(domain_name("Example.TEST."), Ok("example.test".to_owned()));
        assert_eq!(domain_name("Bücher.example"), Ok("xn--bcher-kva.example".to_owned()));
        assert_eq!(domain_name("xn--bcher-kva.example"), Ok("xn--bcher-kva.example".to_owned()));
        for bad in ["", ".", "a..b", "-a.test", "a_b.test", "a b.test", "xn--\u{80}", &"a".repeat(64)] {
            assert!(domain_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(split("a@b@X.test"), Ok(("a@b".to_owned(), "x.test".to_owned())));
        for bad in ["", "@x.test", "a", "a@", "a\0@x.test"] {
            assert!(split(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn folding() {
        assert_eq!(fold("Ann", false), "ann");
        assert_eq!(fold("Ann", true), "Ann");
        assert_eq!(fold("JOSE\u{301}", false), "jos\u{e9}");
        assert_eq!(fold("Jose\u{301}", true), "Jos\u{e9}");
    }
}
