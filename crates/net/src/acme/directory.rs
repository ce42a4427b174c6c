//! What an authority's directory says of the authority itself (RFC 8555 7.1.1), beside the addresses that the library
//! reads. What stands there becomes part of a record in DNS, so nothing passes that is no host name.

use serde_json::Value;

/// Names that are taken of one authority; those that are known have five at most.
const IDENTITIES_MAX: usize = 16;

/// The names by which CAA records permit this authority (`caaIdentities`, RFC 8555 7.1.1 and 9.7.6), the first the
/// authority's own choice; none where it says none.
pub(super) fn caa_identities(directory: &[u8]) -> Vec<String> {
    let Ok(directory) = serde_json::from_slice::<Value>(directory) else { return Vec::new() };
    let names = directory.pointer("/meta/caaIdentities").and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str).filter_map(host);
    names.take(IDENTITIES_MAX).collect()
}

/// They are to be in lower case, which makes no difference to DNS.
fn host(name: &str) -> Option<String> {
    let label = |label: &str| {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(plain)
    };
    let is_host = name.len() <= 253 && name.contains('.') && name.split('.').all(label);
    is_host.then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(meta: &str) -> Vec<String> {
        let directory = format!(r#"{{"newNonce": "https://ca.test/nonce", "meta": {meta}}}"#);
        caa_identities(directory.as_bytes())
    }

    #[test]
    fn the_names_for_caa_are_read() {
        let one = r#"{"caaIdentities": ["letsencrypt.org"], "website": "https://letsencrypt.org"}"#;
        assert_eq!(of(one), ["letsencrypt.org"]);
        let several = r#"{"caaIdentities": ["Sectigo.com", "usertrust.com"]}"#;
        assert_eq!(of(several), ["sectigo.com", "usertrust.com"]);
    }

    #[test]
    fn what_says_nothing_or_nonsense_names_nobody() {
        for meta in ["{}", "7", "null", r#"{"caaIdentities": null}"#, r#"{"caaIdentities": "ca.test"}"#] {
            assert_eq!(of(meta), Vec::<String>::new(), "{meta}");
        }
        for directory in [&b""[..], b"{}", b"[]", b"\xff"] {
            assert_eq!(caa_identities(directory), Vec::<String>::new());
        }
        let long = format!("{}.test", "a".repeat(64));
        let odd = serde_json::json!({ "caaIdentities": [7, "", "ca", "ca.test; x=y", "ca.test\"", "a..b", long, "ca.test"] });
        assert_eq!(of(&odd.to_string()), ["ca.test"]);
        let many = serde_json::json!({ "caaIdentities": vec!["ca.test"; 1000] });
        assert_eq!(of(&many.to_string()).len(), IDENTITIES_MAX);
    }
}
