//! Where public services are asked. Data only: tests and closed networks put their own here.

use proto::service::ports;

/// Addresses of the services that answer for any domain, and the ports of the web.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Bases of the public ISP database (draft-ietf-mailmaint-autoconfig-06 4.2); the domain is put behind. The
    /// first that knows the domain wins.
    pub isp_databases: Vec<String>,
    /// Where Outlook asks for any domain; `%ADDRESS%` becomes the address.
    pub autodiscover_json: Vec<String>,
    /// Port of `https://` addresses that are made here.
    pub https_port: u16,
    /// Port of `http://` addresses that are made here.
    pub http_port: u16,
}

impl Default for Endpoints {
    fn default() -> Endpoints {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Endpoints {
            isp_databases: owned(&["https://v1.ispdb.net/", "https://autoconfig.thunderbird.net/v1.1/"]),
            autodiscover_json: owned(&[
                "https://autodiscover-s.outlook.com/autodiscover/autodiscover.json?Email=%ADDRESS%&Protocol=AutodiscoverV1",
            ]),
            https_port: ports::HTTPS,
            http_port: ports::HTTP,
        }
    }
}

impl Endpoints {
    /// `https://HOST/PATH`; `path` begins with a slash.
    #[must_use]
    pub fn https(&self, host: &str, path: &str) -> String {
        match self.https_port {
            ports::HTTPS => format!("https://{host}{path}"),
            port => format!("https://{host}:{port}{path}"),
        }
    }

    /// `http://HOST/PATH`.
    #[must_use]
    pub fn http(&self, host: &str, path: &str) -> String {
        match self.http_port {
            ports::HTTP => format!("http://{host}{path}"),
            port => format!("http://{host}:{port}{path}"),
        }
    }
}

/// An address as the value of a query (RFC 3986 3.4): what is not unreserved is percent-encoded.
pub(super) fn encoded(address: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(address.len());
    for octet in address.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(octet));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{octet:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_ports_are_not_written_out() {
        let mut endpoints = Endpoints::default();
        assert_eq!(endpoints.https("a.example", "/x"), "https://a.example/x");
        assert_eq!(endpoints.http("a.example", "/x"), "http://a.example/x");
        endpoints.https_port = 8443;
        assert_eq!(endpoints.https("a.example", "/x"), "https://a.example:8443/x");
    }

    #[test]
    fn nothing_of_an_address_ends_the_query() {
        assert_eq!(encoded("a+b&c=d@example.org"), "a%2Bb%26c%3Dd%40example.org");
        assert_eq!(encoded("jörg #%\r\n"), "j%C3%B6rg%20%23%25%0D%0A");
    }
}
