//! Outlook's Autodiscover: POX (MS-OXDSCLI) and the JSON forms that lead to it.
//!
//! Outlook's older versions follow the XML answer to IMAP, POP3 and SMTP. The JSON
//! forms (`autodiscover.json?Email=…&Protocol=AutodiscoverV1` and
//! `autodiscover.json/v1.0/ADDRESS?Protocol=…`) have the same answer: the URL of the
//! XML. No answer says whether the account exists: it is the same for any address
//! of a domain. Which HTTP status belongs to an answer is said beside it.

use super::xml::{self, Element, Writer};
use super::{DOCUMENT_BYTES_MAX, Document, Redirect, Unreadable, host, judge, kept, shown, told, user};
use crate::service::preset::registered_port;
use crate::service::publish::{Authentication, Endpoint, Published, UserForm};
use crate::service::{Protection, Protocol};
use serde::Serialize;
use serde_json::Value;

/// Error code of a request that cannot be read (MS-ASCMD 2.2.3.64).
pub const INVALID_REQUEST: u32 = 600;
/// Error code of a request for a schema that is not answered here.
pub const NO_PROVIDER: u32 = 601;
/// The schema of our answers, as requests name it.
pub const OUTLOOK_SCHEMA: &str =
    "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";
/// The name space around every answer.
const RESPONSE_SCHEMA: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
/// The one protocol of the JSON forms that is served.
const JSON_PROTOCOL: &str = "AutodiscoverV1";
/// Characters of an asked protocol that are repeated in an error.
const PROTOCOL_CHARS_MAX: usize = 60;

/// What a POX request asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The mail address.
    pub address: String,
    /// The schema that it accepts in the answer.
    pub acceptable_schema: Option<String>,
}

impl Request {
    /// May it be answered with [`render`]? Otherwise the answer is [`NO_PROVIDER`].
    #[must_use]
    pub fn accepts_outlook(&self) -> bool {
        self.acceptable_schema.as_deref().is_none_or(|schema| schema.eq_ignore_ascii_case(OUTLOOK_SCHEMA))
    }
}

/// Reads the body of a POX request.
///
/// # Errors
/// It is none; the answer is a 400.
pub fn request(octets: &[u8]) -> Result<Request, Unreadable> {
    let (root, _) = xml::read(octets)?;
    if !root.name.eq_ignore_ascii_case("Autodiscover") {
        return Err(Unreadable("Its outermost element is not Autodiscover.".to_owned()));
    }
    let request = root.child("Request").ok_or_else(|| Unreadable("There is no Request in it.".to_owned()))?;
    let address = request
        .text_of("EMailAddress")
        .ok_or_else(|| Unreadable("There is no EMailAddress in it.".to_owned()))?;
    // Kept as it was typed, for the client compares; but it must be one.
    if let Err(why) = crate::address::Address::parse(address) {
        return Err(Unreadable(format!("Its EMailAddress is none: {why}.")));
    }
    Ok(Request {
        address: address.to_owned(),
        acceptable_schema: request.text_of("AcceptableResponseSchema").map(kept),
    })
}

/// The answer for an address.
#[must_use]
pub fn render(published: &Published, address: &str) -> String {
    let mut out = Writer::new();
    out.open("Autodiscover", &[("xmlns", RESPONSE_SCHEMA)]);
    out.open("Response", &[("xmlns", OUTLOOK_SCHEMA)]);
    out.open("User", &[]);
    out.leaf("DisplayName", &[], address);
    out.close();
    out.open("Account", &[]);
    out.leaf("AccountType", &[], "email");
    out.leaf("Action", &[], "settings");
    for endpoint in told(&published.incoming).chain(told(&published.outgoing)) {
        protocol(&mut out, endpoint, address);
    }
    out.finish()
}

fn protocol(out: &mut Writer, endpoint: &Endpoint, address: &str) {
    let submission = endpoint.protocol == Protocol::Submission;
    // `SSL` alone means TLS from the first octet; `Encryption` has the last word for those who know it.
    let (ssl, encryption) = match endpoint.protection {
        Protection::Implicit => ("on", "SSL"),
        _ => ("off", "TLS"),
    };
    out.open("Protocol", &[]);
    out.leaf("Type", &[], judge::name(endpoint.protocol));
    out.leaf("Server", &[], &endpoint.host);
    out.leaf("Port", &[], &endpoint.port.to_string());
    out.leaf("LoginName", &[], address);
    out.leaf("DomainRequired", &[], "off");
    out.leaf("SPA", &[], "off");
    out.leaf("SSL", &[], ssl);
    out.leaf("Encryption", &[], encryption);
    out.leaf("AuthRequired", &[], "on");
    if submission {
        out.leaf("UsePOPAuth", &[], "on");
        out.leaf("SMTPLast", &[], "off");
    }
    out.close();
}

/// The error document (for a schema that is not ours, such as ActiveSync's). `time`: `HH:MM:SS.fffffff`, `id`: any number.
#[must_use]
pub fn render_error(code: u32, message: &str, time: &str, id: u32) -> String {
    let mut out = Writer::new();
    out.open("Autodiscover", &[("xmlns", RESPONSE_SCHEMA)]);
    out.open("Response", &[]);
    out.open("Error", &[("Time", time), ("Id", &id.to_string())]);
    out.leaf("ErrorCode", &[], &code.to_string());
    out.leaf("Message", &[], message);
    out.empty("DebugData", &[]);
    out.finish()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct JsonAnswer<'a> {
    protocol: &'a str,
    url: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct JsonError<'a> {
    error_code: &'a str,
    error_message: &'a str,
}

/// The JSON answer, which names the POX address; `Err` is the documented error for another protocol, with its status 400.
///
/// # Errors
/// The body of the error for a protocol that is not served.
pub fn render_json(_published: &Published, protocol: &str, pox_url: &str) -> Result<String, String> {
    // Outlook 2019 has been seen to ask for `Autodiscoverv1`.
    if protocol.eq_ignore_ascii_case(JSON_PROTOCOL) {
        return Ok(json(&JsonAnswer { protocol: JSON_PROTOCOL, url: pox_url }));
    }
    if protocol.is_empty() {
        return Err(json(&JsonError {
            error_code: "MandatoryParameterMissing",
            error_message: "A valid value must be provided for the query parameter 'Protocol'.",
        }));
    }
    let asked = super::cut(&xml::plain(protocol), PROTOCOL_CHARS_MAX);
    Err(json(&JsonError {
        error_code: "InvalidProtocol",
        error_message: &format!(
            "The given protocol value '{asked}' is invalid. Supported values are '{JSON_PROTOCOL}'."
        ),
    }))
}

/// JSON in which nothing can be taken for HTML.
fn json(value: &impl Serialize) -> String {
    // Strings under fixed keys can always be written.
    let text = serde_json::to_string(value).unwrap_or_default();
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027")
}

/// Reads a POX answer as a client would.
///
/// # Errors
/// It is none.
pub fn parse(octets: &[u8], address: &str) -> Result<Document, Unreadable> {
    let (root, remarks) = xml::read(octets)?;
    if root.name.eq_ignore_ascii_case("html") {
        return Err(Unreadable("It is a web page and no Autodiscover answer.".to_owned()));
    }
    if !root.name.eq_ignore_ascii_case("Autodiscover") {
        return Err(Unreadable(format!(
            "Its outermost element is {} and not Autodiscover.",
            shown(&root.name)
        )));
    }
    let response = root.child("Response").unwrap_or(&root);
    if let Some(error) = response.child("Error") {
        return Err(Unreadable(format!(
            "The server answers with error {}: {}.",
            shown(error.text_of("ErrorCode").unwrap_or_default()),
            shown(error.text_of("Message").unwrap_or_default())
        )));
    }
    let account = response.child("Account").ok_or_else(|| Unreadable("It names no account.".to_owned()))?;
    let mut document = Document { remarks, ..Document::default() };
    match account.text_of("Action").unwrap_or("settings").to_ascii_lowercase().as_str() {
        "settings" => settings(account, address, &mut document),
        "redirectaddr" => {
            let target = account
                .text_of("RedirectAddr")
                .ok_or_else(|| Unreadable("It redirects, but not to any address.".to_owned()))?;
            document.redirect = Some(Redirect::Address(kept(target)));
        }
        "redirecturl" => redirect(account.text_of("RedirectUrl").unwrap_or_default(), &mut document)?,
        other => return Err(Unreadable(format!("Its action is {}, which no client knows.", shown(other)))),
    }
    Ok(document.finish())
}

fn redirect(url: &str, document: &mut Document) -> Result<(), Unreadable> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(Unreadable(format!("It redirects to {}, which is no web address.", shown(url))));
    }
    if url.starts_with("http://") {
        document.remark("It redirects to an address without encryption; clients refuse or ask.");
    }
    document.redirect = Some(Redirect::Url(kept(url)));
    Ok(())
}

fn settings(account: &Element, address: &str, document: &mut Document) {
    for element in account.children("Protocol") {
        let kind = element.text_of("Type").or(element.attribute("Type")).unwrap_or_default();
        let protocol = match kind.to_ascii_uppercase().as_str() {
            "IMAP" => Protocol::Imap,
            "POP3" => Protocol::Pop3,
            "SMTP" => Protocol::Submission,
            _ => {
                document.remark(format!(
                    "It also names a server of type {}, which is neither IMAP, POP3 nor SMTP.",
                    shown(kind)
                ));
                continue;
            }
        };
        match endpoint(element, protocol, address, document) {
            Ok(endpoint) => document.endpoint(endpoint),
            Err(why) => {
                let name = judge::name(protocol);
                document.remark(format!("One of its {name} servers cannot be used: {why}."));
            }
        }
    }
}

fn endpoint(
    element: &Element,
    protocol: Protocol,
    address: &str,
    document: &mut Document,
) -> Result<Endpoint, String> {
    let name = judge::name(protocol);
    let host_text = element.text_of("Server").ok_or("no Server is given")?;
    let host = host(host_text).ok_or_else(|| format!("{} is no host name", shown(host_text)))?;
    let port = match element.text_of("Port") {
        Some(text) => match text.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(format!("{} is no port", shown(text))),
        },
        None => None,
    };
    let protection = protection(element, protocol, port)?;
    let start = if protection == Protection::Implicit { protection } else { Protection::StartTls };
    let Some(port) = port.or_else(|| registered_port(protocol, start)) else {
        return Err("no Port is given".to_owned());
    };
    if element.text_of("Port").is_none() {
        document.remark(format!("For {name} on {host} no port is given; clients take the registered one."));
    }
    if element.text_of("Encryption").is_some_and(|text| text.eq_ignore_ascii_case("Auto")) {
        document.remark(format!("For {name} on {host} the client is to find out the encryption by itself."));
    }
    let spa = switch(element, "SPA", true);
    if spa {
        document.remark(format!(
            "For {name} on {host} Secure Password Authentication (SPA) is on (or not said to be off); only Exchange knows it."
        ));
    }
    let authentication = match (switch(element, "AuthRequired", true), spa) {
        (false, _) => Authentication::None,
        (true, true) => Authentication::Other,
        (true, false) => Authentication::Password,
    };
    Ok(Endpoint {
        protocol,
        host,
        port,
        protection,
        authentication: vec![authentication],
        user: login(element, protocol, address, document),
    })
}

/// `Encryption` has the last word (MS-OXDSCLI 2.2.4.1.1.2.6), then `SSL`, which is on if it is missing.
fn protection(element: &Element, protocol: Protocol, port: Option<u16>) -> Result<Protection, String> {
    match element.text_of("Encryption").map(str::to_ascii_uppercase).as_deref() {
        Some("SSL") => Ok(Protection::Implicit),
        Some("TLS") => Ok(Protection::StartTls),
        Some("NONE") => Ok(Protection::Clear),
        Some("AUTO") => {
            let usual = port.and_then(|port| judge::usual(protocol, port));
            Ok(usual.unwrap_or(Protection::StartTls))
        }
        Some(other) => Err(format!("{} is no kind of encryption", shown(other))),
        None if switch(element, "SSL", true) => Ok(Protection::Implicit),
        None => Ok(Protection::Clear),
    }
}

fn switch(element: &Element, name: &str, default: bool) -> bool {
    element.text_of(name).map_or(default, |text| text.eq_ignore_ascii_case("on"))
}

/// Without a LoginName the part before the `@` is taken; for SMTP with UsePOPAuth what is taken for receiving.
fn login(element: &Element, protocol: Protocol, address: &str, document: &Document) -> UserForm {
    let form = match element.text_of("LoginName") {
        Some(name) => user::form(name, Some(address)),
        None if protocol == Protocol::Submission && switch(element, "UsePOPAuth", false) => {
            return document.incoming.first().map_or(UserForm::LocalPart, |e| e.user.clone());
        }
        None => UserForm::LocalPart,
    };
    match (form, element.text_of("DomainName")) {
        (UserForm::LocalPart, Some(domain)) if switch(element, "DomainRequired", false) => {
            let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
            user::form(&format!("{local}@{domain}"), Some(address))
        }
        (form, _) => form,
    }
}

/// Reads a JSON answer: the URL that it names.
///
/// # Errors
/// It is none.
pub fn parse_json(octets: &[u8]) -> Result<Document, Unreadable> {
    if octets.len() > DOCUMENT_BYTES_MAX {
        return Err(Unreadable(format!(
            "It has more than {} kilobytes; an Autodiscover answer has a few lines.",
            DOCUMENT_BYTES_MAX >> 10
        )));
    }
    let root: Value = serde_json::from_slice(octets).map_err(|why| {
        Unreadable(format!("It is not JSON: {}.", shown(&why.to_string()).trim_matches('"')))
    })?;
    let text = |key: &str| {
        root.as_object()
            .and_then(|object| object.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)))
            .and_then(|(_, value)| value.as_str())
    };
    if let Some(code) = text("ErrorCode") {
        return Err(Unreadable(format!(
            "The server answers with error {}: {}.",
            shown(code),
            shown(text("ErrorMessage").unwrap_or_default())
        )));
    }
    let mut document = Document::default();
    match text("Protocol") {
        Some(protocol) if !protocol.eq_ignore_ascii_case(JSON_PROTOCOL) => {
            document.remark(format!("It names the place of {} and not of {JSON_PROTOCOL}.", shown(protocol)));
        }
        _ => {}
    }
    let url = text("Url").ok_or_else(|| Unreadable("It names no URL.".to_owned()))?;
    redirect(url, &mut document)?;
    Ok(document.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(account: &str) -> String {
        format!(
            "<?xml version='1.0'?><Autodiscover xmlns='{RESPONSE_SCHEMA}'><Response xmlns='{OUTLOOK_SCHEMA}'><Account>{account}</Account></Response></Autodiscover>"
        )
    }

    fn read(account: &str) -> Document {
        parse(answer(account).as_bytes(), "ann@example.test").unwrap()
    }

    /// One IMAP server with these elements beside type and host.
    fn imap(rest: &str) -> Document {
        read(&format!("<Protocol><Type>IMAP</Type><Server>h.test</Server>{rest}</Protocol>"))
    }

    #[test]
    fn requests_of_outlook_and_of_others() {
        let outlook = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\"><Request><EMailAddress>Ann.B@Example.test</EMailAddress><AcceptableResponseSchema>{OUTLOOK_SCHEMA}</AcceptableResponseSchema></Request></Autodiscover>"
        );
        let read = request(outlook.as_bytes()).unwrap();
        assert_eq!(read.address, "Ann.B@Example.test");
        assert!(read.accepts_outlook());
        let phone = b"<q:Autodiscover xmlns:q='http://schemas.microsoft.com/exchange/autodiscover/mobilesync/requestschema/2006'><q:Request><q:EMailAddress> a@b.test </q:EMailAddress><q:AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006</q:AcceptableResponseSchema></q:Request></q:Autodiscover>";
        let read = request(phone).unwrap();
        assert_eq!(read.address, "a@b.test");
        assert!(!read.accepts_outlook());
        let bare = b"<autodiscover><request><emailaddress>a@b.test</emailaddress></request></autodiscover>";
        assert!(request(bare).unwrap().accepts_outlook());
    }

    #[test]
    fn requests_that_are_none() {
        let with = |address: &str| {
            request(
                format!(
                    "<Autodiscover><Request><EMailAddress>{address}</EMailAddress></Request></Autodiscover>"
                )
                .as_bytes(),
            )
        };
        assert!(with("a@b.test").is_ok());
        for address in
            ["", "ann", "a@b.test&#13;&#10;Bcc: c@d.test", "&lt;script&gt;@b.test", "a@b&#0;.test", "a@b@c d"]
        {
            assert!(with(address).is_err(), "{address}");
        }
        for text in [
            "",
            "<Autodiscover/>",
            "<Autodiscover><Request/></Autodiscover>",
            "<Other><Request><EMailAddress>a@b.test</EMailAddress></Request></Other>",
            "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><Autodiscover><Request><EMailAddress>&x;@b.test</EMailAddress></Request></Autodiscover>",
        ] {
            assert!(request(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn encryption_has_the_last_word() {
        for (rest, port, protection) in [
            ("<Port>993</Port>", 993, Protection::Implicit),
            ("<Port>993</Port><SSL>on</SSL>", 993, Protection::Implicit),
            ("<Port>143</Port><SSL>off</SSL>", 143, Protection::Clear),
            ("<Port>143</Port><SSL>on</SSL><Encryption>TLS</Encryption>", 143, Protection::StartTls),
            ("<Port>993</Port><SSL>off</SSL><Encryption>SSL</Encryption>", 993, Protection::Implicit),
            ("<Port>143</Port><Encryption>None</Encryption>", 143, Protection::Clear),
            ("<Port>993</Port><Encryption>Auto</Encryption>", 993, Protection::Implicit),
            ("<Port>143</Port><Encryption>auto</Encryption>", 143, Protection::StartTls),
            ("", 993, Protection::Implicit),
            ("<Encryption>TLS</Encryption>", 143, Protection::StartTls),
            ("<SSL>off</SSL>", 143, Protection::Clear),
        ] {
            let document = imap(rest);
            assert_eq!(
                (document.incoming[0].port, document.incoming[0].protection),
                (port, protection),
                "{rest}"
            );
        }
        for (rest, why) in [
            ("<Port>0</Port>", "\"0\" is no port"),
            ("<Port>993</Port><Encryption>rot13</Encryption>", "\"ROT13\" is no kind of encryption"),
        ] {
            let document = imap(rest);
            assert_eq!(document.incoming, []);
            assert!(document.remarks.iter().any(|r| r.contains(why)), "{:?}", document.remarks);
        }
    }

    #[test]
    fn sign_in_and_user_names() {
        let one = |rest: &str| imap(&format!("<Port>993</Port>{rest}")).incoming.remove(0);
        let named = one("<LoginName>ann@example.test</LoginName><SPA>off</SPA>");
        assert_eq!((named.user, named.authentication), (UserForm::Address, vec![Authentication::Password]));
        let bare = one("");
        assert_eq!((bare.user, bare.authentication), (UserForm::LocalPart, vec![Authentication::Other]));
        let open = one("<AuthRequired>off</AuthRequired>");
        assert_eq!(open.authentication, [Authentication::None]);
        let domain = one("<DomainRequired>on</DomainRequired><DomainName>other.test</DomainName>");
        assert_eq!(domain.user, UserForm::Other("ann@other.test".into()));
        let both = read(
            "<Protocol><Type>POP3</Type><Server>h.test</Server><Port>995</Port><LoginName>x</LoginName><SPA>off</SPA></Protocol>\
             <Protocol><Type>SMTP</Type><Server>h.test</Server><Port>465</Port><UsePOPAuth>on</UsePOPAuth><SPA>off</SPA></Protocol>\
             <Protocol><Type>EXCH</Type><Server>x</Server></Protocol>",
        );
        assert_eq!(both.outgoing[0].user, UserForm::Other("x".into()));
        assert_eq!(
            both.remarks,
            ["It also names a server of type \"EXCH\", which is neither IMAP, POP3 nor SMTP."]
        );
    }

    #[test]
    fn redirects_and_errors() {
        let to = |account: &str| read(account).redirect;
        assert_eq!(
            to("<Action>redirectAddr</Action><RedirectAddr>ann@real.test</RedirectAddr>"),
            Some(Redirect::Address("ann@real.test".into()))
        );
        assert_eq!(
            to("<Action>RedirectUrl</Action><RedirectUrl>https://a.test/x</RedirectUrl>"),
            Some(Redirect::Url("https://a.test/x".into()))
        );
        let clear = read("<Action>redirectUrl</Action><RedirectUrl>http://a.test/x</RedirectUrl>");
        assert!(clear.remarks[0].contains("without encryption"));
        let fails = |text: &str| parse(text.as_bytes(), "a@b.test").unwrap_err().0;
        assert!(
            fails(&answer("<Action>redirectUrl</Action><RedirectUrl>file:///x</RedirectUrl>"))
                .contains("no web address")
        );
        assert!(fails(&answer("<Action>redirectAddr</Action>")).contains("not to any address"));
        assert!(fails(&answer("<Action>dance</Action>")).contains("no client knows"));
        assert_eq!(
            fails(&render_error(NO_PROVIDER, "Provider is not available", "10:11:12.1234567", 7)),
            "The server answers with error \"601\": \"Provider is not available\"."
        );
        assert!(fails("<html/>").contains("web page"));
        assert!(fails("<Autodiscover/>").contains("names no account"));
    }

    #[test]
    fn json_forms() {
        let published = Published {
            domain: "b.test".into(),
            provider: "b".into(),
            host: "b.test".into(),
            incoming: vec![],
            outgoing: vec![],
            web: None,
            receives: false,
        };
        let url = "https://autodiscover.b.test/autodiscover/autodiscover.xml";
        let named = render_json(&published, "Autodiscoverv1", url).unwrap();
        assert_eq!(named, format!("{{\"Protocol\":\"AutodiscoverV1\",\"Url\":\"{url}\"}}"));
        assert_eq!(parse_json(named.as_bytes()).unwrap().redirect, Some(Redirect::Url(url.into())));
        let error = render_json(&published, "ActiveSync", url).unwrap_err();
        assert_eq!(
            error,
            "{\"ErrorCode\":\"InvalidProtocol\",\"ErrorMessage\":\"The given protocol value \\u0027ActiveSync\\u0027 is invalid. Supported values are \\u0027AutodiscoverV1\\u0027.\"}"
        );
        assert_eq!(
            parse_json(error.as_bytes()).unwrap_err().0,
            "The server answers with error \"InvalidProtocol\": \"The given protocol value 'ActiveSync' is invalid. Supported…\"."
        );
        assert!(render_json(&published, "", url).unwrap_err().contains("MandatoryParameterMissing"));
        let other = parse_json(b"{\"protocol\":\"Ews\",\"url\":\"https://x.test/\"}").unwrap();
        assert!(other.remarks[0].contains("\"Ews\""));
        for text in ["", "[]", "{}", "{\"Url\":7}", "{\"Url\":\"ftp://x\"}", &"[".repeat(5000)] {
            assert!(parse_json(text.as_bytes()).is_err(), "{text:.20}");
        }
    }
}
