//! What is wrong with settings although a client could read them; the same for all formats.

use super::{Document, shown, user};
use crate::service::publish::{Authentication, Endpoint, UserForm};
use crate::service::{Protection, Protocol, ports};

/// Remarks on one server.
pub(super) fn endpoint(endpoint: &Endpoint) -> Vec<String> {
    let place = place(endpoint);
    let mut out = Vec::new();
    match (endpoint.protection, usual(endpoint.protocol, endpoint.port)) {
        (Protection::Clear, _) => out.push(format!(
            "{place} is without encryption: the password and all mail can be read on the way."
        )),
        (Protection::StartTls, Some(Protection::Implicit)) => out.push(format!(
            "{place} is to be used with STARTTLS, but on this port servers expect SSL/TLS from the first octet."
        )),
        (Protection::Implicit, Some(Protection::StartTls)) => out.push(format!(
            "{place} is to be used with SSL/TLS from the first octet, but on this port servers begin in clear and expect STARTTLS."
        )),
        _ => {}
    }
    if endpoint.protocol == Protocol::Submission && endpoint.port == ports::SMTP {
        out.push(format!("{place} is where servers deliver; many networks block this port for clients."));
    }
    let free = !endpoint.authentication.is_empty()
        && endpoint.authentication.iter().all(|way| *way == Authentication::None);
    if let UserForm::Other(name) = &endpoint.user {
        if name.is_empty() && !free {
            out.push(format!("For {place} no user name is given."));
        } else if user::unfilled(name) && name.matches('%').count() % 2 == 1 {
            out.push(format!("The user name {} for {place} has a broken placeholder.", shown(name)));
        }
    }
    if endpoint.authentication.is_empty() {
        out.push(format!("For {place} it is not said how to sign in."));
    } else if free {
        out.push(format!("For {place} no sign-in is asked for."));
    }
    out
}

/// Remarks on the whole.
pub(super) fn whole(document: &Document) -> Vec<String> {
    let mut out = Vec::new();
    if document.incoming.is_empty() {
        out.push("It names no IMAP or POP3 server that a client could use.".to_owned());
    }
    if document.outgoing.is_empty() {
        out.push("It names no server for sending that a client could use.".to_owned());
    }
    out
}

/// `IMAP on mail.example.org, port 993`.
pub(super) fn place(endpoint: &Endpoint) -> String {
    format!("{} on {}, port {},", name(endpoint.protocol), endpoint.host, endpoint.port)
}

/// A protocol's name for people.
pub(super) fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => "IMAP",
        Protocol::Pop3 => "POP3",
        Protocol::Submission | Protocol::Smtp => "SMTP",
        Protocol::Lmtp => "LMTP",
        Protocol::Web => "HTTP",
    }
}

/// What a registered port is for; `None` where there is no custom.
pub(super) fn usual(protocol: Protocol, port: u16) -> Option<Protection> {
    match (protocol, port) {
        (Protocol::Imap, ports::IMAPS)
        | (Protocol::Pop3, ports::POP3S)
        | (Protocol::Submission, ports::SUBMISSIONS) => Some(Protection::Implicit),
        (Protocol::Imap, ports::IMAP)
        | (Protocol::Pop3, ports::POP3)
        | (Protocol::Submission, ports::SMTP | ports::SUBMISSION) => Some(Protection::StartTls),
        _ => None,
    }
}

/// Is this one of the customary ports of submission with STARTTLS beside the registered one?
pub(super) fn alternate(protocol: Protocol, port: u16) -> bool {
    protocol == Protocol::Submission
        && [ports::SUBMISSION_26, ports::SUBMISSION_2025, ports::SUBMISSION_ALTERNATE].contains(&port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::preset::registered_port;

    fn at(protocol: Protocol, port: u16, protection: Protection) -> Endpoint {
        Endpoint {
            protocol,
            host: "mail.example.test".into(),
            port,
            protection,
            authentication: vec![Authentication::Password],
            user: UserForm::Address,
        }
    }

    #[test]
    fn what_fits_is_not_remarked_on() {
        for (protocol, protection) in [
            (Protocol::Imap, Protection::Implicit),
            (Protocol::Imap, Protection::StartTls),
            (Protocol::Pop3, Protection::Implicit),
            (Protocol::Pop3, Protection::StartTls),
            (Protocol::Submission, Protection::Implicit),
            (Protocol::Submission, Protection::StartTls),
        ] {
            let port = registered_port(protocol, protection).unwrap();
            assert_eq!(usual(protocol, port), Some(protection));
            assert_eq!(endpoint(&at(protocol, port, protection)), Vec::<String>::new());
        }
        assert_eq!(endpoint(&at(Protocol::Submission, 2525, Protection::StartTls)), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_has_a_sentence() {
        let one = |e: &Endpoint| {
            let mut remarks = endpoint(e);
            assert_eq!(remarks.len(), 1, "{remarks:?}");
            remarks.remove(0)
        };
        assert_eq!(
            one(&at(Protocol::Pop3, 110, Protection::Clear)),
            "POP3 on mail.example.test, port 110, is without encryption: the password and all mail can be read on the way."
        );
        assert!(one(&at(Protocol::Imap, 993, Protection::StartTls)).contains("expect SSL/TLS"));
        assert!(one(&at(Protocol::Imap, 143, Protection::Implicit)).contains("expect STARTTLS"));
        assert!(one(&at(Protocol::Submission, 25, Protection::StartTls)).contains("many networks block"));
        let mut e = at(Protocol::Imap, 993, Protection::Implicit);
        e.user = UserForm::Other(String::new());
        assert!(one(&e).contains("no user name"));
        e.user = UserForm::Other("%EMAILADDRESS".into());
        assert!(one(&e).contains("broken placeholder"));
        e.user = UserForm::Other("%EMAILLOCALPART%.x".into());
        e.authentication.clear();
        assert!(one(&e).contains("how to sign in"));
        e.authentication.push(Authentication::None);
        assert!(one(&e).contains("no sign-in"));
    }
}
