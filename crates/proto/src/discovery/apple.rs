//! Apple configuration profiles (`.mobileconfig`): mail payloads as a property list. Signing happens where keys are.
//!
//! The keys are those of Apple's device management documentation (`com.apple.mail.managed`).
//! No password is ever in a profile: the device asks for it. What is the same stays the
//! same: identifiers are made from the address, so that a profile installed again
//! replaces the one before.

use super::xml::{self, Element};
use super::{Document, Unreadable, host, judge, kept, provider, shown, told, user};
use crate::service::preset::registered_port;
use crate::service::publish::{Authentication, Endpoint, Published, UserForm};
use crate::service::{Protection, Protocol};
use plist::{Dictionary, Value};
use uuid::Uuid;

/// Name space of our identifiers: version 5 of the URL name space and this name.
const NAMESPACE: &str = "urn:sealpost:mobileconfig";

/// The profile of one person, unsigned. `incoming`: IMAP or POP3; `None` if that is not offered to the domain.
/// Identifiers and UUIDs are the same at each rendering for the same address and protocol.
#[must_use]
pub fn render(
    published: &Published,
    address: &str,
    display_name: Option<&str>,
    incoming: Protocol,
) -> Option<String> {
    let kind = match incoming {
        Protocol::Imap => "EmailTypeIMAP",
        Protocol::Pop3 => "EmailTypePOP",
        _ => return None,
    };
    let receive = told(&published.incoming).find(|e| e.protocol == incoming)?;
    let send = told(&published.outgoing).find(|e| e.protocol == Protocol::Submission)?;
    let address = xml::plain(address);
    let provider = provider(published);
    let name = display_name.map(xml::plain).filter(|name| !name.trim().is_empty());

    let mut mail = payload("com.apple.mail.managed", "mail", kind, &published.domain, &address);
    text(&mut mail, "PayloadDisplayName", &format!("{provider}: {address}"));
    text(&mut mail, "EmailAccountDescription", &provider);
    text(&mut mail, "EmailAccountName", name.as_deref().unwrap_or(&address));
    text(&mut mail, "EmailAccountType", kind);
    text(&mut mail, "EmailAddress", &address);
    server(&mut mail, "Incoming", receive, &address);
    server(&mut mail, "Outgoing", send, &address);
    mail.insert("OutgoingPasswordSameAsIncomingPassword".to_owned(), Value::Boolean(true));
    mail.insert("PreventMove".to_owned(), Value::Boolean(false));
    mail.insert("SMIMEEnabled".to_owned(), Value::Boolean(false));

    let mut profile = payload("Configuration", "profile", kind, &published.domain, &address);
    profile.insert("PayloadContent".to_owned(), Value::Array(vec![Value::Dictionary(mail)]));
    text(&mut profile, "PayloadDisplayName", &format!("{provider} ({address})"));
    text(&mut profile, "PayloadDescription", &format!("Sets up mail for {address}."));
    text(&mut profile, "PayloadOrganization", &provider);
    profile.insert("PayloadRemovalDisallowed".to_owned(), Value::Boolean(false));

    let mut out = Vec::new();
    // Writing strings, numbers and booleans to memory cannot fail; if it does, there is no profile.
    Value::Dictionary(profile).to_writer_xml(&mut out).ok()?;
    let mut out = String::from_utf8(out).ok()?;
    out.push('\n');
    Some(out)
}

/// The keys that every payload has.
fn payload(kind: &str, part: &str, account: &str, domain: &str, address: &str) -> Dictionary {
    let space = Uuid::new_v5(&Uuid::NAMESPACE_URL, NAMESPACE.as_bytes());
    let id = Uuid::new_v5(&space, format!("{part}\n{account}\n{}", address.to_ascii_lowercase()).as_bytes());
    let id = id.hyphenated().to_string().to_ascii_uppercase();
    let reversed: Vec<&str> = domain.rsplit('.').collect();
    let mut out = Dictionary::new();
    text(&mut out, "PayloadType", kind);
    out.insert("PayloadVersion".to_owned(), Value::Integer(1.into()));
    text(&mut out, "PayloadIdentifier", &format!("{}.{part}.{id}", xml::plain(&reversed.join("."))));
    text(&mut out, "PayloadUUID", &id);
    out
}

fn text(out: &mut Dictionary, key: &str, value: &str) {
    out.insert(key.to_owned(), Value::String(value.to_owned()));
}

fn server(out: &mut Dictionary, side: &str, endpoint: &Endpoint, address: &str) {
    text(out, &format!("{side}MailServerAuthentication"), word(&endpoint.authentication));
    text(out, &format!("{side}MailServerHostName"), &xml::plain(&endpoint.host));
    out.insert(format!("{side}MailServerPortNumber"), Value::Integer(u64::from(endpoint.port).into()));
    // True for STARTTLS too: the system finds out which of the two it is.
    out.insert(format!("{side}MailServerUseSSL"), Value::Boolean(true));
    text(out, &format!("{side}MailServerUsername"), address);
}

/// Apple knows one challenge, CRAM-MD5, and takes it at its word; so the password comes first where it is allowed.
fn word(authentication: &[Authentication]) -> &'static str {
    if authentication.contains(&Authentication::Password) {
        "EmailAuthPassword"
    } else if authentication.contains(&Authentication::Challenge) {
        "EmailAuthCRAMMD5"
    } else {
        "EmailAuthNone"
    }
}

/// Reads an unsigned profile.
///
/// # Errors
/// It is none.
pub fn parse(octets: &[u8]) -> Result<Document, Unreadable> {
    if octets.starts_with(b"bplist") {
        return Err(Unreadable("It is a binary property list; only the XML form is read.".to_owned()));
    }
    // DER of CMS begins with a SEQUENCE of a long form.
    if octets.starts_with(&[0x30, 0x82]) || octets.starts_with(&[0x30, 0x80]) {
        return Err(Unreadable("It is signed or encrypted; only the profile inside can be read.".to_owned()));
    }
    let (root, remarks) = xml::read(octets)?;
    let profile = match (root.name.as_str(), root.children.as_slice()) {
        ("plist", [profile]) if profile.name == "dict" => profile,
        _ => return Err(Unreadable("It is no property list of one dictionary.".to_owned())),
    };
    if string(profile, "PayloadType") != Some("Configuration") {
        return Err(Unreadable("It is a property list, but no configuration profile.".to_owned()));
    }
    let mut document = Document { remarks, ..Document::default() };
    document.provider = string(profile, "PayloadOrganization").map(kept);
    let payloads = value(profile, "PayloadContent").map(|list| list.children.as_slice()).unwrap_or_default();
    for payload in payloads.iter().filter(|p| string(p, "PayloadType") == Some("com.apple.mail.managed")) {
        account(payload, &mut document);
    }
    Ok(document.finish())
}

fn account(payload: &Element, document: &mut Document) {
    let address = string(payload, "EmailAddress");
    let incoming = match string(payload, "EmailAccountType") {
        Some("EmailTypeIMAP") => Some(Protocol::Imap),
        Some("EmailTypePOP") => Some(Protocol::Pop3),
        other => {
            document.remark(format!("{} is no type of account.", shown(other.unwrap_or_default())));
            None
        }
    };
    if string(payload, "IncomingPassword").or(string(payload, "OutgoingPassword")).is_some() {
        document.remark("It has the password in it: whoever gets the file can read the mail.");
    }
    for (side, protocol) in [("Incoming", incoming), ("Outgoing", Some(Protocol::Submission))] {
        let Some(protocol) = protocol else { continue };
        match endpoint(payload, side, protocol, address) {
            Ok(endpoint) => document.endpoint(endpoint),
            Err(why) => document.remark(why),
        }
    }
}

fn endpoint(
    payload: &Element,
    side: &str,
    protocol: Protocol,
    address: Option<&str>,
) -> Result<Endpoint, String> {
    let key = |name: &str| format!("{side}MailServer{name}");
    let host_text = string(payload, &key("HostName")).unwrap_or_default();
    let host = host(host_text)
        .ok_or_else(|| format!("For {} {} is no host name.", judge::name(protocol), shown(host_text)))?;
    let encrypted = value(payload, &key("UseSSL")).is_some_and(|v| v.name == "true");
    let port = match value(payload, &key("PortNumber")) {
        // The system takes the registered port where none is given.
        None => {
            let protection = if encrypted { Protection::Implicit } else { Protection::StartTls };
            registered_port(protocol, protection).unwrap_or_default()
        }
        Some(number) => number.text.parse().unwrap_or_default(),
    };
    if port == 0 {
        return Err(format!("For {} no port is given that there can be.", judge::name(protocol)));
    }
    let protection = match (encrypted, judge::usual(protocol, port)) {
        (false, _) => Protection::Clear,
        // The profile does not say which; the registered port does.
        (true, Some(usual)) => usual,
        (true, None) if judge::alternate(protocol, port) => Protection::StartTls,
        (true, None) => Protection::Implicit,
    };
    let authentication = match string(payload, &key("Authentication")) {
        Some("EmailAuthPassword") => vec![Authentication::Password],
        Some("EmailAuthCRAMMD5" | "EmailAuthHTTPMD5") => vec![Authentication::Challenge],
        Some("EmailAuthNone") => vec![Authentication::None],
        Some(_) => vec![Authentication::Other],
        None => vec![],
    };
    let user = match string(payload, &key("Username")) {
        Some(name) => user::form(name, address),
        None => UserForm::Other(String::new()),
    };
    Ok(Endpoint { protocol, host, port, protection, authentication, user })
}

/// The value of a key: in a dictionary it is the next element.
fn value<'a>(dictionary: &'a Element, key: &str) -> Option<&'a Element> {
    dictionary.children.windows(2).find_map(|pair| match pair {
        [name, value] if name.name == "key" && name.text == key => Some(value),
        _ => None,
    })
}

/// The text of a key, if it is text and not empty.
fn string<'a>(dictionary: &'a Element, key: &str) -> Option<&'a str> {
    value(dictionary, key).filter(|v| v.name == "string").map(|v| v.text.as_str()).filter(|t| !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> Published {
        let row = |protocol, port, protection, authentication: &[Authentication]| Endpoint {
            protocol,
            host: "mail.d.test".into(),
            port,
            protection,
            authentication: authentication.to_vec(),
            user: UserForm::Address,
        };
        use Authentication::{Challenge, Password};
        Published {
            domain: "d.test".into(),
            provider: "D".into(),
            host: "mail.d.test".into(),
            incoming: vec![row(Protocol::Imap, 143, Protection::StartTls, &[Challenge, Password])],
            outgoing: vec![row(Protocol::Submission, 2525, Protection::StartTls, &[Challenge])],
            web: None,
            receives: true,
        }
    }

    #[test]
    fn identifiers_are_stable_and_of_one_person_and_protocol() {
        let uuids = |address: &str, protocol| -> Vec<String> {
            let mut published = published();
            published.incoming.push(Endpoint { protocol: Protocol::Pop3, ..published.incoming[0].clone() });
            let text = render(&published, address, None, protocol).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            let after = |pair: &[&str]| pair[0].contains("PayloadUUID").then(|| pair[1].to_owned());
            lines.windows(2).filter_map(after).collect()
        };
        let ann = uuids("ann@d.test", Protocol::Imap);
        assert_eq!(ann.len(), 2);
        assert_ne!(ann[0], ann[1]);
        assert_eq!(ann, uuids("Ann@D.test", Protocol::Imap));
        assert_ne!(ann, uuids("bob@d.test", Protocol::Imap));
        assert_ne!(ann, uuids("ann@d.test", Protocol::Pop3));
    }

    #[test]
    fn what_is_not_offered_has_no_profile() {
        assert_eq!(render(&published(), "a@d.test", None, Protocol::Pop3), None);
        assert_eq!(render(&published(), "a@d.test", None, Protocol::Submission), None);
        let silent = Published { outgoing: vec![], ..published() };
        assert_eq!(render(&silent, "a@d.test", None, Protocol::Imap), None);
    }

    #[test]
    fn another_library_reads_the_same() {
        let text = render(&published(), "a@d.test", Some("A </string>"), Protocol::Imap).unwrap();
        let value = Value::from_reader_xml(text.as_bytes()).unwrap();
        let mail =
            value.as_dictionary().unwrap()["PayloadContent"].as_array().unwrap()[0].as_dictionary().unwrap();
        assert_eq!(mail["EmailAccountName"].as_string(), Some("A </string>"));
        assert_eq!(mail["IncomingMailServerPortNumber"].as_unsigned_integer(), Some(143));
        assert_eq!(mail["IncomingMailServerAuthentication"].as_string(), Some("EmailAuthPassword"));
        assert_eq!(mail["OutgoingMailServerAuthentication"].as_string(), Some("EmailAuthCRAMMD5"));
        assert!(!text.contains("<key>IncomingPassword<") && !text.contains("<key>OutgoingPassword<"));
        let read = parse(text.as_bytes()).unwrap();
        assert_eq!(read.outgoing, published().outgoing);
        assert_eq!(read.incoming[0].protection, Protection::StartTls);
    }

    #[test]
    fn foreign_profiles() {
        let profile = |mail: &str| {
            format!(
                "<!DOCTYPE plist PUBLIC '-//Apple//DTD PLIST 1.0//EN' 'http://www.apple.com/DTDs/PropertyList-1.0.dtd'><plist version='1.0'><dict><key>PayloadType</key><string>Configuration</string><key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.wifi.managed</string></dict><dict><key>PayloadType</key><string>com.apple.mail.managed</string>{mail}</dict></array></dict></plist>"
            )
        };
        let text = profile(
            "<key>EmailAccountType</key><string>EmailTypePOP</string><key>EmailAddress</key><string>a@b.test</string>\
             <key>IncomingMailServerHostName</key><string>p.b.test</string><key>IncomingMailServerUseSSL</key><true/>\
             <key>IncomingMailServerUsername</key><string>a</string><key>IncomingPassword</key><string>s3cret</string>\
             <key>IncomingMailServerAuthentication</key><string>EmailAuthNTLM</string>\
             <key>OutgoingMailServerHostName</key><string>s.b.test</string><key>OutgoingMailServerPortNumber</key><integer>25</integer>\
             <key>OutgoingMailServerAuthentication</key><string>EmailAuthNone</string>",
        );
        let read = parse(text.as_bytes()).unwrap();
        assert_eq!((read.incoming[0].port, read.incoming[0].protection), (995, Protection::Implicit));
        assert_eq!(read.incoming[0].user, UserForm::LocalPart);
        assert_eq!(read.incoming[0].authentication, [Authentication::Other]);
        assert_eq!((read.outgoing[0].port, read.outgoing[0].protection), (25, Protection::Clear));
        assert!(read.remarks[0].contains("has the password in it"));
        assert!(!format!("{read:?}").contains("s3cret"));
        let odd = parse(profile("<key>EmailAccountType</key><string>x</string>").as_bytes()).unwrap();
        assert_eq!((odd.incoming.len(), odd.outgoing.len()), (0, 0));
        let why = |octets: &[u8]| parse(octets).unwrap_err().0;
        assert!(why(b"bplist00").contains("binary"));
        assert!(why(&[0x30, 0x82, 1, 2]).contains("signed"));
        assert!(why(b"<plist><dict/></plist>").contains("no configuration profile"));
        assert!(why(b"<plist><array/></plist>").contains("no property list"));
        let deep = format!("<plist>{}", "<array>".repeat(10_000));
        assert!(why(deep.as_bytes()).contains("nested deeper"));
    }
}
