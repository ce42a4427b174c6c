//! Placeholders of user names and hosts, and what a user name amounts to.

use super::kept;
use crate::service::publish::UserForm;

/// The mail address.
pub(super) const ADDRESS: &str = "%EMAILADDRESS%";
/// What stands before the `@`.
const LOCAL_PART: &str = "%EMAILLOCALPART%";
/// What stands behind it.
const DOMAIN: &str = "%EMAILDOMAIN%";

/// Fills the placeholders in, if the address is known.
pub(super) fn fill(text: &str, address: Option<&str>) -> String {
    let Some((local, domain)) = address.and_then(|address| address.rsplit_once('@')) else {
        return text.to_owned();
    };
    // One pass: what was filled in is not looked at again.
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(behind) = rest.strip_prefix(ADDRESS) {
            out.push_str(local);
            out.push('@');
            out.push_str(domain);
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix(LOCAL_PART) {
            out.push_str(local);
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix(DOMAIN) {
            out.push_str(domain);
            rest = behind;
        } else {
            out.push('%');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

/// What somebody with this address has to type, if the document's text is `text`.
pub(super) fn form(text: &str, address: Option<&str>) -> UserForm {
    let text = text.trim();
    if text == ADDRESS || text == format!("{LOCAL_PART}@{DOMAIN}") {
        return UserForm::Address;
    }
    if text == LOCAL_PART {
        return UserForm::LocalPart;
    }
    let filled = fill(text, address);
    match address.and_then(|address| Some((address, address.rsplit_once('@')?.0))) {
        Some((whole, _)) if whole.eq_ignore_ascii_case(&filled) => UserForm::Address,
        Some((_, local)) if local.eq_ignore_ascii_case(&filled) => UserForm::LocalPart,
        _ => UserForm::Other(kept(&filled)),
    }
}

/// Is there a placeholder left, or something that was meant as one (`%EMAILADDRESS`)?
pub(super) fn unfilled(text: &str) -> bool {
    text.contains("%EMAIL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_once() {
        let address = Some("%EMAILDOMAIN%@example.test");
        assert_eq!(fill("%EMAILLOCALPART%.%EMAILDOMAIN%", address), "%EMAILDOMAIN%.example.test");
        assert_eq!(fill("%EMAILADDRESS%", address), "%EMAILDOMAIN%@example.test");
        assert_eq!(fill("50%%EMAILDOMAIN%%", Some("a@b")), "50%b%");
        assert_eq!(fill("%EMAILDOMAIN%", None), "%EMAILDOMAIN%");
        assert_eq!(fill("%ü%", Some("a@b")), "%ü%");
    }

    #[test]
    fn forms() {
        let ann = Some("ann@example.test");
        for (text, address, form_) in [
            ("%EMAILADDRESS%", None, UserForm::Address),
            (" %EMAILLOCALPART%@%EMAILDOMAIN%", None, UserForm::Address),
            ("%EMAILLOCALPART%", None, UserForm::LocalPart),
            ("Ann@example.test", ann, UserForm::Address),
            ("ann", ann, UserForm::LocalPart),
            ("%EMAILLOCALPART%.%EMAILDOMAIN%", ann, UserForm::Other("ann.example.test".into())),
            ("%EMAILLOCALPART%.x", None, UserForm::Other("%EMAILLOCALPART%.x".into())),
            ("%EMAILADDRESS", ann, UserForm::Other("%EMAILADDRESS".into())),
        ] {
            assert_eq!(form(text, address), form_, "{text}");
        }
        assert!(unfilled("%EMAILADDRESS") && !unfilled("ann%x"));
    }
}
