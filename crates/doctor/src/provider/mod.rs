//! What cannot be probed of large providers (OAuth only, app passwords, a switch in the web settings): data, one file each.
//!
//! Only facts that are sure stand here, with the month in which they were last looked up; whatever a probe can tell is
//! not here (no host, no port). A file without `sign_in`, `access` and `note` only lends its name to [`closest`].
//! The keys:
//!
//! * `name`, `checked` (`YYYY-MM`), `domains` (`example.com`; `example.*` is that name under any top-level domain),
//!   `mx` (the ends of mail exchangers' names, for people with a domain of their own);
//! * `sign_in`: how mail programs prove who one is; `help`: the page that explains it; `password_name`: what the
//!   provider calls an app password;
//! * `access`: what stands between a mail program and the mailbox; `access_help`: the page that explains it;
//! * `note`: one more sentence that people need; also told to those whose password was refused;
//! * `source`, a list: on which `page` the facts were found at the last look, and its own month (`dated`) where it bears one. Files that
//!   have none were not found again since.

use serde::Deserialize;
use std::sync::LazyLock;

/// One provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Name for people.
    pub name: String,
    /// The month in which the facts were last looked up.
    pub checked: String,
    /// Mail domains.
    pub domains: Vec<String>,
    /// Ends of the mail exchangers' names.
    pub mx: Vec<String>,
    /// How mail programs sign in.
    #[serde(default)]
    pub sign_in: SignIn,
    /// The page about it.
    pub help: Option<String>,
    /// What the provider calls its app passwords.
    pub password_name: Option<String>,
    /// What stands between a mail program and the mailbox.
    #[serde(default)]
    pub access: Access,
    /// The page about it.
    pub access_help: Option<String>,
    /// One more sentence.
    pub note: Option<String>,
    /// Where the facts were found.
    #[serde(default, rename = "source")]
    pub sources: Vec<Source>,
}

/// A page that was read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its address.
    pub page: String,
    /// The month that it bears, `YYYY-MM`.
    pub dated: Option<String>,
}

/// How mail programs sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignIn {
    /// Nothing is known: as what is offered says.
    #[default]
    Unknown,
    /// Only with a password that was made for the program.
    AppPassword,
    /// The same for those who use two-factor authentication; others with their own.
    AppPasswordWithTwoFactor,
    /// In the browser (OAuth 2), or with an app password.
    #[serde(rename = "oauth-or-app-password")]
    OAuthOrAppPassword,
    /// Only in the browser (OAuth 2), whatever is offered.
    #[serde(rename = "oauth")]
    OAuth,
}

/// What stands between a mail program and the mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Nothing that is known.
    #[default]
    Open,
    /// It must be allowed on the provider's web pages.
    Switch,
    /// Only paid plans.
    Plan,
    /// Only through a program of the provider.
    Bridge,
    /// Never.
    None,
}

impl Provider {
    /// What to call the password that mail programs need, with its article.
    #[must_use]
    pub fn app_password(&self) -> String {
        match self.password_name.as_deref() {
            None => "an app password".to_owned(),
            Some(name) if name.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {name}"),
            Some(name) => format!("a {name}"),
        }
    }
}

/// Longest domain that is compared with known names.
const DOMAIN_CHARS_MAX: usize = 64;

/// The files.
const FILES: &[(&str, &str)] = &[
    ("aol", include_str!("data/aol.toml")),
    ("att", include_str!("data/att.toml")),
    ("bluewin", include_str!("data/bluewin.toml")),
    ("comcast", include_str!("data/comcast.toml")),
    ("daum", include_str!("data/daum.toml")),
    ("fastmail", include_str!("data/fastmail.toml")),
    ("free-fr", include_str!("data/free-fr.toml")),
    ("freenet", include_str!("data/freenet.toml")),
    ("gmail", include_str!("data/gmail.toml")),
    ("gmx", include_str!("data/gmx.toml")),
    ("google-workspace", include_str!("data/google-workspace.toml")),
    ("hey", include_str!("data/hey.toml")),
    ("icloud", include_str!("data/icloud.toml")),
    ("ionos", include_str!("data/ionos.toml")),
    ("laposte", include_str!("data/laposte.toml")),
    ("libero", include_str!("data/libero.toml")),
    ("mail-com", include_str!("data/mail-com.toml")),
    ("mail-ru", include_str!("data/mail-ru.toml")),
    ("mailbox-org", include_str!("data/mailbox-org.toml")),
    ("microsoft-365", include_str!("data/microsoft-365.toml")),
    ("naver", include_str!("data/naver.toml")),
    ("netease", include_str!("data/netease.toml")),
    ("onet", include_str!("data/onet.toml")),
    ("orange-fr", include_str!("data/orange-fr.toml")),
    ("outlook", include_str!("data/outlook.toml")),
    ("posteo", include_str!("data/posteo.toml")),
    ("proton", include_str!("data/proton.toml")),
    ("qq", include_str!("data/qq.toml")),
    ("rambler", include_str!("data/rambler.toml")),
    ("seznam", include_str!("data/seznam.toml")),
    ("sfr", include_str!("data/sfr.toml")),
    ("t-online", include_str!("data/t-online.toml")),
    ("tuta", include_str!("data/tuta.toml")),
    ("ukr-net", include_str!("data/ukr-net.toml")),
    ("web-de", include_str!("data/web-de.toml")),
    ("wp", include_str!("data/wp.toml")),
    ("yahoo", include_str!("data/yahoo.toml")),
    ("yandex", include_str!("data/yandex.toml")),
    ("zoho", include_str!("data/zoho.toml")),
];

/// All providers. A file that cannot be read is left out here and fails a test.
static PROVIDERS: LazyLock<Vec<Provider>> =
    LazyLock::new(|| FILES.iter().filter_map(|(_, text)| toml::from_str(text).ok()).collect());

/// The provider of a mail domain: by its name, else by its mail exchangers (best first).
#[must_use]
pub fn find(domain: &str, mx: &[String]) -> Option<&'static Provider> {
    let by_name = PROVIDERS.iter().find(|p| p.domains.iter().any(|pattern| names(pattern, domain)));
    by_name.or_else(|| {
        mx.iter().find_map(|host| PROVIDERS.iter().find(|p| p.mx.iter().any(|end| ends_with(host, end))))
    })
}

/// A known domain that differs from this one by one slip of the finger.
#[must_use]
pub fn closest(domain: &str) -> Option<&'static str> {
    let known = || PROVIDERS.iter().flat_map(|p| &p.domains).filter(|name| !name.ends_with(".*"));
    // The common ones stand under `.*` and are meant with `.com`.
    const COMMON: [&str; 4] = ["hotmail.com", "outlook.com", "yahoo.com", "live.com"];
    let domain = domain.to_ascii_lowercase();
    if domain.len() > DOMAIN_CHARS_MAX || find(&domain, &[]).is_some() {
        return None;
    }
    COMMON
        .into_iter()
        .chain(known().map(String::as_str))
        // Short names are too close to too many others.
        .filter(|name| name.len() >= 7)
        .find(|name| one_slip(&domain, name))
}

/// Does a pattern of `domains` mean this domain?
fn names(pattern: &str, domain: &str) -> bool {
    match pattern.strip_suffix(".*") {
        None => pattern.eq_ignore_ascii_case(domain),
        Some(name) => domain.split_once('.').is_some_and(|(first, rest)| {
            // `yahoo.com`, `yahoo.co.uk`, but not `yahoo.example.co.uk`.
            let labels = rest.split('.').count();
            first.eq_ignore_ascii_case(name)
                && (labels == 1 || labels == 2 && rest.split('.').all(|label| label.len() <= 3))
        }),
    }
}

/// Is the host this name or below it?
fn ends_with(host: &str, end: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.len() >= end.len()
        && host.is_char_boundary(host.len() - end.len())
        && host[host.len() - end.len()..].eq_ignore_ascii_case(end)
        && (host.len() == end.len() || host.as_bytes()[host.len() - end.len() - 1] == b'.')
}

/// One letter too many, too few, another, or two exchanged.
fn one_slip(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let same = short.iter().zip(&long).take_while(|(a, b)| a == b).count();
    match long.len() - short.len() {
        0 => {
            let rest = |from: usize| short.get(from..) == long.get(from..);
            same < short.len()
                && (rest(same + 1)
                    || rest(same + 2)
                        && short.get(same) == long.get(same + 1)
                        && short.get(same + 1) == long.get(same))
        }
        1 => short.get(same..) == long.get(same + 1..),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_read_and_listed() {
        for (id, text) in FILES {
            let provider: Provider =
                toml::from_str(text).unwrap_or_else(|error| panic!("{id}.toml: {error}"));
            assert!(!provider.domains.is_empty() || !provider.mx.is_empty(), "{id}.toml names nobody");
            let is_month = |text: &str| {
                let parts: Vec<_> = text.split('-').collect();
                matches!(parts[..], [year, month] if year.len() == 4 && month.len() == 2)
            };
            assert!(is_month(&provider.checked), "{id}.toml: checked");
            let dated = provider.sources.iter().filter_map(|source| source.dated.as_deref());
            for month in dated {
                assert!(is_month(month) && *month <= *provider.checked, "{id}.toml: {month}");
            }
            let looked_up = provider.checked.as_str() > "2025-01";
            assert_eq!(
                looked_up,
                !provider.sources.is_empty(),
                "{id}.toml: what was looked up has its source"
            );
            let pages = provider.sources.iter().map(|source| &source.page);
            for url in provider.help.iter().chain(&provider.access_help).chain(pages) {
                assert!(url.starts_with("https://"), "{id}.toml: {url}");
            }
            let sign_in = provider.sign_in != SignIn::Unknown;
            assert_eq!(sign_in, provider.help.is_some(), "{id}.toml: what is needed has a page about it");
        }
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/provider/data");
        let on_disk = std::fs::read_dir(directory).expect("the data lie beside the source").count();
        assert_eq!(on_disk, FILES.len(), "a file in data/ is missing in FILES");
    }

    #[test]
    fn no_domain_stands_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for name in PROVIDERS.iter().flat_map(|p| &p.domains) {
            assert!(seen.insert(name), "{name} stands in two files");
        }
    }

    #[test]
    fn finds_by_domain_and_by_exchanger() {
        let name = |domain, mx: &[&str]| {
            let mx: Vec<String> = mx.iter().map(|&host| host.to_owned()).collect();
            find(domain, &mx).map(|p| p.name.as_str())
        };
        assert_eq!(name("gmail.com", &[]), Some("Gmail"));
        assert_eq!(name("Yahoo.co.uk", &[]), Some("Yahoo Mail"));
        assert_eq!(name("yahoo.example.org", &[]), None);
        assert_eq!(name("verizon.net", &[]), Some("AOL Mail"));
        assert_eq!(name("a.example", &["aspmx.l.google.com"]), Some("Google Workspace"));
        assert_eq!(name("a.example", &["a-example.mail.protection.outlook.com."]), Some("Microsoft 365"));
        assert_eq!(name("a.example", &["notmail.protection.outlook.com"]), None);
        assert_eq!(name("a.example", &["mx.a.example"]), None);
    }

    #[test]
    fn notices_one_slip() {
        for (typed, meant) in [
            ("gmial.com", Some("gmail.com")),
            ("gmai.com", Some("gmail.com")),
            ("gmaill.com", Some("gmail.com")),
            ("gnail.com", Some("gmail.com")),
            ("hotmial.com", Some("hotmail.com")),
            ("yaho.com", Some("yahoo.com")),
            ("gmail.com", None),
            ("example.com", None),
            ("ab.de", None),
            ("", None),
        ] {
            assert_eq!(closest(typed), meant, "{typed}");
        }
        assert_eq!(closest(&"x".repeat(100_000)), None);
    }
}
