//! Thunderbird's autoconfig (draft-ietf-mailmaint-autoconfig), versions 1.1 and 1.2.
//!
//! One document serves both versions: it says 1.2 and uses only what 1.1 has too,
//! and the draft (-06, 3.2.1) forbids a client to refuse a document for its version. So
//! the answer is the same at every URL, whatever the version in its path.

use super::xml::{self, Element, Writer};
use super::{DOMAINS_MAX, judge::name};
use super::{
    Document, PAGES_MAX, Unreadable, guide, host, kept, provider, short_provider, shown, told, user,
};
use crate::service::publish::{Authentication, Endpoint, Published, UserForm};
use crate::service::{Protection, Protocol};

/// What the link to the guide says, by language.
const GUIDE_TITLES: [(&str, &str); 5] = [
    ("en", "How to set up your mail client"),
    ("de", "So richten Sie Ihr Mailprogramm ein"),
    ("el", "Πώς να ρυθμίσετε το πρόγραμμα αλληλογραφίας σας"),
    ("es", "Cómo configurar su programa de correo"),
    ("fr", "Comment configurer votre logiciel de messagerie"),
];

/// The document of a domain. With an `address` its values are filled in; without, placeholders stand (`%EMAILADDRESS%`).
#[must_use]
pub fn render(published: &Published, address: Option<&str>) -> String {
    let user = address.unwrap_or(user::ADDRESS);
    let mut out = Writer::new();
    out.open("clientConfig", &[("version", "1.2")]);
    out.open("emailProvider", &[("id", &published.domain)]);
    out.leaf("domain", &[], &published.domain);
    if published.receives && published.host != published.domain {
        out.leaf("domain", &[("purpose", "mx")], &published.host);
    }
    out.leaf("displayName", &[], &provider(published));
    out.leaf("displayShortName", &[], &short_provider(published));
    for endpoint in told(&published.incoming) {
        server(&mut out, "incomingServer", endpoint, user);
    }
    for endpoint in told(&published.outgoing) {
        server(&mut out, "outgoingServer", endpoint, user);
    }
    if let Some(url) = guide(published) {
        out.open("documentation", &[("url", &url)]);
        for (language, title) in GUIDE_TITLES {
            out.leaf("descr", &[("lang", language)], title);
        }
        out.close();
    }
    out.finish()
}

fn server(out: &mut Writer, element: &'static str, endpoint: &Endpoint, user: &str) {
    let kind = match endpoint.protocol {
        Protocol::Imap => "imap",
        Protocol::Pop3 => "pop3",
        _ => "smtp",
    };
    out.open(element, &[("type", kind)]);
    out.leaf("hostname", &[], &endpoint.host);
    out.leaf("port", &[], &endpoint.port.to_string());
    let security = if endpoint.protection == Protection::Implicit { "SSL" } else { "STARTTLS" };
    out.leaf("socketType", &[], security);
    for word in endpoint.authentication.iter().filter_map(|a| word(*a)) {
        out.leaf("authentication", &[], word);
    }
    out.leaf("username", &[], user);
    out.close();
}

/// The word of version 1.1, which is what clients know. The draft (-06, 3.7.4) calls the last two `OAuth` and
/// `client-IP-address`, which are never ours.
fn word(authentication: Authentication) -> Option<&'static str> {
    match authentication {
        Authentication::Password => Some("password-cleartext"),
        Authentication::Challenge => Some("password-encrypted"),
        Authentication::Certificate => Some("TLS-client-cert"),
        Authentication::OAuth2 => Some("OAuth2"),
        Authentication::None => Some("none"),
        Authentication::Other => None,
    }
}

/// Reads a document as a client would, for `address` if one is known.
///
/// # Errors
/// It is none.
pub fn parse(octets: &[u8], address: Option<&str>) -> Result<Document, Unreadable> {
    let (root, remarks) = xml::read(octets)?;
    if root.name.eq_ignore_ascii_case("html") {
        return Err(Unreadable("It is a web page and no configuration document.".to_owned()));
    }
    if root.name != "clientConfig" {
        return Err(Unreadable(format!(
            "Its outermost element is {} and not clientConfig.",
            shown(&root.name)
        )));
    }
    let mut document = Document { remarks, ..Document::default() };
    if root.attribute("version").is_none() {
        document.remark("It does not say its version.");
    }
    let Some(provider) = root.child("emailProvider") else {
        return Err(Unreadable("It has no emailProvider, so it says nothing about mail.".to_owned()));
    };
    if root.children("emailProvider").count() > 1 {
        document.remark("It has several emailProvider elements; clients read the first.");
    }
    head(provider, address, &mut document);
    for element in &provider.children {
        match element.name.as_str() {
            "incomingServer" => section(element, false, address, &mut document),
            "outgoingServer" => section(element, true, address, &mut document),
            _ => {}
        }
    }
    Ok(document.finish())
}

/// Names, domains and pages.
fn head(provider: &Element, address: Option<&str>, document: &mut Document) {
    let display = provider.text_of("displayName").or_else(|| provider.text_of("displayShortName"));
    document.provider = display.map(|text| kept(&user::fill(text, address)));
    for domain in provider.children("domain").take(DOMAINS_MAX) {
        // Domains of MX hosts are no domains of addresses.
        if domain.attribute("purpose").is_some_and(|purpose| purpose == "mx") {
            continue;
        }
        match host(&user::fill(&domain.text, address)) {
            Some(name) if !document.domains.contains(&name) => document.domains.push(name),
            Some(_) => {}
            None => document.remark(format!("{} is no domain.", shown(&domain.text))),
        }
    }
    for page in provider.children("documentation").take(PAGES_MAX) {
        match page.attribute("url") {
            Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
                document.documentation.push(kept(url));
            }
            _ => document.remark("A documentation element has no web address."),
        }
    }
}

/// One server; what no client could use is left out with a remark.
fn section(element: &Element, outgoing: bool, address: Option<&str>, document: &mut Document) {
    let kind = element.attribute("type").unwrap_or_default();
    let protocol = match (kind.to_ascii_lowercase().as_str(), outgoing) {
        ("imap", false) => Protocol::Imap,
        ("pop3", false) => Protocol::Pop3,
        ("smtp", true) => Protocol::Submission,
        _ => {
            return document.remark(format!(
                "It also names a server of type {}, which is neither IMAP, POP3 nor SMTP.",
                shown(kind)
            ));
        }
    };
    match endpoint(element, protocol, address, document) {
        Ok(endpoint) => document.endpoint(endpoint),
        Err(why) => {
            document.remark(format!("One of its {} servers cannot be used: {why}.", name(protocol)));
        }
    }
}

fn endpoint(
    element: &Element,
    protocol: Protocol,
    address: Option<&str>,
    document: &mut Document,
) -> Result<Endpoint, String> {
    let host_text = element.text_of("hostname").ok_or("no hostname is given")?;
    let filled = user::fill(host_text, address);
    let Some(host) = host(&filled) else {
        if address.is_none() && user::unfilled(host_text) {
            return Err(format!("its hostname {} depends on the address", shown(host_text)));
        }
        return Err(format!("{} is no host name", shown(host_text)));
    };
    let mut protections = Vec::new();
    for text in element.children("socketType").map(|child| child.text.as_str()) {
        match socket_type(text) {
            Some(protection) => protections.push(protection),
            None => document.remark(format!("{} is no socketType.", shown(text))),
        }
    }
    let protection = *protections.first().ok_or("no socketType is given that is known")?;
    let port_text = element.text_of("port").ok_or("no port is given")?;
    let port = match port_text.parse::<u16>() {
        Ok(port) if port > 0 => port,
        _ => return Err(format!("{} is no port", shown(port_text))),
    };
    let mut authentication = Vec::new();
    for child in element.children("authentication").filter(|child| !child.text.is_empty()) {
        let (kind, old) = authentication_of(&child.text);
        if let Some(new) = old {
            document.remark(format!("It uses the old word {} for {new}.", shown(&child.text)));
        }
        if !authentication.contains(&kind) {
            authentication.push(kind);
        }
    }
    let user = match element.text_of("username") {
        Some(text) => user::form(text, address),
        None => UserForm::Other(String::new()),
    };
    Ok(Endpoint { protocol, host, port, protection, authentication, user })
}

/// The words of the draft, in any letter case.
fn socket_type(text: &str) -> Option<Protection> {
    match text.to_ascii_lowercase().as_str() {
        "ssl" | "tls" => Some(Protection::Implicit),
        "starttls" => Some(Protection::StartTls),
        "plain" => Some(Protection::Clear),
        _ => None,
    }
}

/// What a word means, and the word of today where it is an old one. Names of SASL mechanisms are words too.
fn authentication_of(text: &str) -> (Authentication, Option<&'static str>) {
    match text.to_ascii_lowercase().as_str() {
        "password-cleartext" | "login" => (Authentication::Password, None),
        "plain" => (Authentication::Password, Some("password-cleartext")),
        "password-encrypted" | "cram-md5" | "digest-md5" => (Authentication::Challenge, None),
        "secure" => (Authentication::Challenge, Some("password-encrypted")),
        scram if scram.starts_with("scram-") => (Authentication::Challenge, None),
        "tls-client-cert" | "external" => (Authentication::Certificate, None),
        "oauth2" | "oauth" | "oauthbearer" | "xoauth2" => (Authentication::OAuth2, None),
        "none" | "client-ip-address" => (Authentication::None, None),
        _ => (Authentication::Other, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A document with this inside of its provider.
    fn read(inside: &str, address: Option<&str>) -> Document {
        let text = format!(
            "<clientConfig version='1.1'><emailProvider id='x'>{inside}</emailProvider></clientConfig>"
        );
        parse(text.as_bytes(), address).unwrap()
    }

    fn server(inside: &str) -> String {
        format!("<incomingServer type='imap'>{inside}</incomingServer>")
    }

    const REST: &str = "<port>993</port><socketType>SSL</socketType><authentication>OAuth2</authentication><username>u</username>";

    #[test]
    fn a_foreign_document_is_read_as_a_client_would() {
        let document = parse(
            br#"<?xml version="1.0" encoding="iso-8859-1"?>
<clientConfig version="1.1"><!-- c -->
 <emailProvider id="isp.test">
  <domain>ISP.test</domain><domain>isp.test</domain><domain>b&#252;cher.test</domain><domain>a b</domain>
  <domain purpose="mx">hosting.test</domain>
  <displayName>Caf&#233; &amp; Mail f</displayName><displayShortName>C</displayShortName>
  <incomingServer type="exchange"><hostname>x</hostname></incomingServer>
  <incomingServer type="imap">
   <hostname>imap.%EMAILDOMAIN%</hostname><port>993</port><socketType>SSL</socketType>
   <authentication>OAuth2</authentication><authentication>password-cleartext</authentication>
   <authentication>plain</authentication><authentication>NTLM</authentication>
   <username>%EMAILLOCALPART%</username>
   <pop3><leaveMessagesOnServer>true</leaveMessagesOnServer></pop3>
  </incomingServer>
  <incomingServer type="pop3">
   <hostname>Pop.ISP.test.</hostname><port>110</port><socketType>plain</socketType>
   <authentication>secure</authentication><username>%EMAILLOCALPART%.%EMAILDOMAIN%</username>
  </incomingServer>
  <outgoingServer type="smtp">
   <hostname>192.0.2.7</hostname><port>587</port><socketType>STARTTLS</socketType>
   <authentication system="sasl">SCRAM-SHA-256-PLUS</authentication><authentication>none</authentication>
   <username>ann@isp.test</username>
   <addThisServer>true</addThisServer>
  </outgoingServer>
  <documentation url="https://isp.test/help"><descr lang="en">Help</descr></documentation>
  <documentation url="javascript:alert(1)"/>
 </emailProvider>
 <webMail><loginPage url="https://isp.test/"/></webMail>
</clientConfig>"#,
            Some("ann@isp.test"),
        )
        .unwrap();
        let row = |protocol, host: &str, port, protection, authentication: &[_], user| Endpoint {
            protocol,
            host: host.to_owned(),
            port,
            protection,
            authentication: authentication.to_vec(),
            user,
        };
        use Authentication as A;
        assert_eq!(document.provider.as_deref(), Some("Café & Mail f"));
        assert_eq!(document.domains, ["isp.test", "xn--bcher-kva.test"]);
        assert_eq!(
            document.incoming,
            [
                row(
                    Protocol::Imap,
                    "imap.isp.test",
                    993,
                    Protection::Implicit,
                    &[A::OAuth2, A::Password, A::Other],
                    UserForm::LocalPart
                ),
                row(
                    Protocol::Pop3,
                    "pop.isp.test",
                    110,
                    Protection::Clear,
                    &[A::Challenge],
                    UserForm::Other("ann.isp.test".into())
                ),
            ]
        );
        assert_eq!(
            document.outgoing,
            [row(
                Protocol::Submission,
                "192.0.2.7",
                587,
                Protection::StartTls,
                &[A::Challenge, A::None],
                UserForm::Address
            )]
        );
        assert_eq!(document.documentation, ["https://isp.test/help"]);
        assert_eq!(
            document.remarks,
            [
                "\"a b\" is no domain.",
                "A documentation element has no web address.",
                "It also names a server of type \"exchange\", which is neither IMAP, POP3 nor SMTP.",
                "It uses the old word \"plain\" for password-cleartext.",
                "It uses the old word \"secure\" for password-encrypted.",
                "POP3 on pop.isp.test, port 110, is without encryption: the password and all mail can be read on the way.",
            ]
        );
    }

    #[test]
    fn a_server_that_no_client_could_use_is_left_out() {
        for (inside, why) in [
            (REST.to_owned(), "no hostname is given"),
            (format!("<hostname>a b</hostname>{REST}"), "\"a b\" is no host name"),
            (format!("<hostname>h.%EMAILDOMAIN%</hostname>{REST}"), "depends on the address"),
            (format!("<hostname>h</hostname>{}", REST.replace("993", "0")), "\"0\" is no port"),
            (format!("<hostname>h</hostname>{}", REST.replace("993", "70000")), "\"70000\" is no port"),
            (format!("<hostname>h</hostname>{}", REST.replace("<port>993</port>", "")), "no port is given"),
            (format!("<hostname>h</hostname>{}", REST.replace("SSL", "magic")), "no socketType is given"),
        ] {
            let document = read(&server(&inside), None);
            assert_eq!(document.incoming, [], "{inside}");
            assert!(document.remarks.iter().any(|r| r.contains(why)), "{:?}", document.remarks);
        }
        let document =
            read(&server(&format!("<hostname>h.%EMAILDOMAIN%</hostname>{REST}")), Some("a@b.test"));
        assert_eq!(document.incoming[0].host, "h.b.test");
        // Directions are not mixed up.
        let document =
            read(&format!("<outgoingServer type='imap'><hostname>h</hostname>{REST}</outgoingServer>"), None);
        assert_eq!((document.incoming.len(), document.outgoing.len()), (0, 0));
    }

    #[test]
    fn missing_parts_are_remarked_on() {
        let bare = "<hostname>h.test</hostname><port>993</port><socketType>ssl</socketType>";
        let document = read(&server(bare), None);
        assert_eq!(document.incoming[0].user, UserForm::Other(String::new()));
        assert_eq!(
            document.remarks,
            [
                "For IMAP on h.test, port 993, no user name is given.",
                "For IMAP on h.test, port 993, it is not said how to sign in.",
                "It names no server for sending that a client could use."
            ]
        );
        let none = read("", None);
        assert_eq!(none.remarks.len(), 2);
    }

    #[test]
    fn lists_are_bounded() {
        let rows =
            server(&format!("<hostname>h.test</hostname>{REST}")).repeat(super::super::ENDPOINTS_MAX + 5);
        let document = read(&rows, None);
        assert_eq!(document.incoming.len(), super::super::ENDPOINTS_MAX);
        assert!(document.remarks[0].starts_with("It names more than 64 servers"));
        let domains: String = (0..DOMAINS_MAX + 5).map(|n| format!("<domain>d{n}.test</domain>")).collect();
        assert_eq!(read(&domains, None).domains.len(), DOMAINS_MAX);
        let wrong: String = (0..500).map(|n| format!("<domain>a {n}</domain>")).collect();
        assert_eq!(read(&wrong, None).remarks.len(), super::super::REMARKS_MAX);
        let name = format!("<displayName>{}</displayName>", "x".repeat(5000));
        assert_eq!(read(&name, None).provider.map(|name| name.len()), Some(super::super::TEXT_CHARS_MAX));
    }

    #[test]
    fn what_is_none_says_why() {
        let why = |text: &str| parse(text.as_bytes(), None).unwrap_err().0;
        assert_eq!(why("<!DOCTYPE html><html></html>"), "It is a web page and no configuration document.");
        assert_eq!(why("<rss/>"), "Its outermost element is \"rss\" and not clientConfig.");
        assert!(why("<clientConfig version='1.1'/>").contains("no emailProvider"));
        assert!(why("Not found").starts_with("It is not well-formed XML"));
    }

    #[test]
    fn names_are_cut_to_what_the_draft_allows() {
        let published = Published {
            domain: "example.test".into(),
            provider: "A provider whose name is much longer than any client would ever show in its window"
                .into(),
            host: "example.test".into(),
            incoming: vec![],
            outgoing: vec![],
            web: None,
            receives: true,
        };
        let text = render(&published, None);
        let long = &published.provider[..super::super::NAME_CHARS_MAX];
        assert!(text.contains(&format!("<displayName>{long}</displayName>")));
        assert!(text.contains("<displayShortName>A provider whose nam</displayShortName>"));
        assert!(!text.contains("documentation") && !text.contains("purpose"));
        let nameless = render(&Published { provider: " \n".into(), ..published }, None);
        assert!(nameless.contains("<displayName>example.test</displayName>"));
    }
}
