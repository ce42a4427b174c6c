//! What a path is for, and by which methods: the one table.

use http::Method;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/`
    Front,
    /// `/guide` and what is below it, without `/guide/`.
    Guide(&'a str),
    /// `/guide/apple`: where a link to a profile is made.
    AppleForm,
    /// `/doctor`: why does my mail not connect?
    Doctor,
    /// `/apple/TOKEN`: the link, for people.
    AppleLink(&'a str),
    /// `/apple/TOKEN.mobileconfig`
    AppleProfile(&'a str),
    /// `/apple/TOKEN.svg`: the QR code of the link.
    AppleCode(&'a str),
    /// `/style-HASH.css`
    Style(&'a str),
    /// `/icon.svg`
    Icon,
    /// `/robots.txt`
    Robots,
    /// Thunderbird's autoconfig, at both of its places.
    Autoconfig,
    /// Outlook's Autodiscover, POX.
    Autodiscover,
    /// Outlook's JSON; the address if it stands in the path (v1.0).
    AutodiscoverJson(Option<&'a str>),
    /// PACC.
    Pacc,
    /// The MTA-STS policy.
    MtaSts,
    /// An answer to an ACME authority (RFC 8555 8.3).
    Challenge(&'a str),
}

/// Does the path take the method?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// Yes.
    Answer,
    /// It asks which ones.
    Options,
    /// No.
    No,
}

const READ: &[Method] = &[Method::GET, Method::HEAD, Method::OPTIONS];
const READ_AND_SEND: &[Method] = &[Method::GET, Method::HEAD, Method::POST, Method::OPTIONS];

const AUTODISCOVER: &str = "/autodiscover/autodiscover.xml";
const AUTODISCOVER_JSON: &str = "/autodiscover/autodiscover.json";

impl<'a> Route<'a> {
    /// The route of a decoded path.
    pub(crate) fn of(path: &'a str) -> Option<Route<'a>> {
        Some(match path {
            "/" => Route::Front,
            "/guide" | "/guide/" => Route::Guide(""),
            "/guide/apple" => Route::AppleForm,
            "/doctor" => Route::Doctor,
            "/icon.svg" | "/favicon.ico" => Route::Icon,
            "/robots.txt" => Route::Robots,
            "/mail/config-v1.1.xml" | "/.well-known/autoconfig/mail/config-v1.1.xml" => Route::Autoconfig,
            "/.well-known/user-agent-configuration.json" => Route::Pacc,
            "/.well-known/mta-sts.txt" => Route::MtaSts,
            _ => return Route::below(path),
        })
    }

    fn below(path: &'a str) -> Option<Route<'a>> {
        if let Some(below) = path.strip_prefix("/guide/") {
            return Some(Route::Guide(below));
        }
        if let Some(token) = path.strip_prefix("/.well-known/acme-challenge/") {
            return Some(Route::Challenge(token));
        }
        if let Some(below) = path.strip_prefix("/apple/") {
            return Some(match below.rsplit_once('.') {
                None => Route::AppleLink(below),
                Some((token, "mobileconfig")) => Route::AppleProfile(token),
                Some((token, "svg")) => Route::AppleCode(token),
                Some(_) => return None,
            });
        }
        if let Some(name) = path.strip_prefix("/style-") {
            return name.strip_suffix(".css").map(Route::Style);
        }
        // Outlook writes it in any letter case.
        if path.eq_ignore_ascii_case(AUTODISCOVER) {
            return Some(Route::Autodiscover);
        }
        let (head, rest) = path.split_at_checked(AUTODISCOVER_JSON.len())?;
        if !head.eq_ignore_ascii_case(AUTODISCOVER_JSON) {
            return None;
        }
        let address = match rest.split_at_checked("/v1.0/".len()) {
            None if rest.is_empty() || rest == "/" => None,
            Some((version, address)) if version.eq_ignore_ascii_case("/v1.0/") && !address.is_empty() => {
                Some(address)
            }
            _ => return None,
        };
        Some(Route::AutodiscoverJson(address))
    }

    /// The methods that it takes, for `Allow`.
    pub(crate) fn methods(self) -> &'static [Method] {
        match self {
            Route::AppleForm | Route::Doctor | Route::Autodiscover => READ_AND_SEND,
            _ => READ,
        }
    }

    pub(crate) fn admits(self, method: &Method) -> Admitted {
        match method {
            &Method::OPTIONS => Admitted::Options,
            method if self.methods().contains(method) => Admitted::Answer,
            _ => Admitted::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_their_routes() {
        for (path, route) in [
            ("/", Some(Route::Front)),
            ("/guide/", Some(Route::Guide(""))),
            ("/guide/outlook/switch", Some(Route::Guide("outlook/switch"))),
            ("/guide/apple", Some(Route::AppleForm)),
            ("/doctor", Some(Route::Doctor)),
            ("/doctor/", None),
            ("/apple/00ff", Some(Route::AppleLink("00ff"))),
            ("/apple/00ff.mobileconfig", Some(Route::AppleProfile("00ff"))),
            ("/apple/00ff.svg", Some(Route::AppleCode("00ff"))),
            ("/apple/00ff.exe", None),
            ("/mail/config-v1.1.xml", Some(Route::Autoconfig)),
            ("/Mail/config-v1.1.xml", None),
            ("/AutoDiscover/AutoDiscover.XML", Some(Route::Autodiscover)),
            ("/autodiscover/autodiscover.json", Some(Route::AutodiscoverJson(None))),
            (
                "/Autodiscover/Autodiscover.json/V1.0/a@b.test",
                Some(Route::AutodiscoverJson(Some("a@b.test"))),
            ),
            ("/autodiscover/autodiscover.jsonp", None),
            ("/autodiscover/autodiscover.json/v1.0/", None),
            ("/autodiscover/autodiscover.jso\u{e9}", None),
            ("/.well-known/acme-challenge/abc", Some(Route::Challenge("abc"))),
            ("/style-0123.css", Some(Route::Style("0123"))),
            ("/style-0123.js", None),
            ("/..", None),
            ("", None),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn only_forms_take_what_is_sent() {
        assert_eq!(Route::Front.admits(&Method::POST), Admitted::No);
        assert_eq!(Route::Front.admits(&Method::HEAD), Admitted::Answer);
        assert_eq!(Route::Front.admits(&Method::OPTIONS), Admitted::Options);
        assert_eq!(Route::Autodiscover.admits(&Method::POST), Admitted::Answer);
        assert_eq!(Route::Autodiscover.admits(&Method::DELETE), Admitted::No);
    }
}
