//! What a domain's people are told: the model seen by one domain.
//!
//! Every discovery document, the DNS records, the guide and the texts of
//! refusals are rendered from a [`Published`]; nothing else says a port.

use super::policy::DomainPolicy;
use super::{Listener, Model, Protection, Protocol, ports};
use crate::sasl::Mechanism;

/// How a client proves who it is, as client settings name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Authentication {
    /// The password itself, inside TLS (PLAIN, LOGIN, USER/PASS): "normal password".
    Password,
    /// A challenge (CRAM-MD5, SCRAM): "encrypted password".
    Challenge,
    /// A client certificate (EXTERNAL).
    Certificate,
    /// OAuth 2; never ours, but other providers' documents name it.
    OAuth2,
    /// None; never ours.
    None,
    /// A word that we do not know (NTLM, GSSAPI, "secure").
    Other,
}

/// One place where a client can connect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// IMAP, POP3 or submission (or the web).
    pub protocol: Protocol,
    /// Host name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Implicit TLS, STARTTLS; clear in other providers' documents only.
    pub protection: Protection,
    /// Best first.
    pub authentication: Vec<Authentication>,
    /// What to type as user name.
    pub user: UserForm,
}

/// What a client has to give as user name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UserForm {
    /// The full mail address; always ours.
    Address,
    /// What stands before the `@`.
    LocalPart,
    /// Something else: the document's own text, with its placeholders.
    Other(String),
}

/// What one domain's people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The mail domain, `example.org`.
    pub domain: String,
    /// Name of the service for people: the operator's setting, else the domain.
    pub provider: String,
    /// The host that the domain's clients connect to.
    pub host: String,
    /// IMAP and POP3, recommended first. Only what this domain's users may use.
    pub incoming: Vec<Endpoint>,
    /// Submission, recommended first.
    pub outgoing: Vec<Endpoint>,
    /// Start of the web pages, `https://mail.example.org` (without final slash), if there is a web listener.
    pub web: Option<String>,
    /// SMTP from other servers is taken (an MX record makes sense).
    pub receives: bool,
}

impl Published {
    /// The view of `domain` on the service: the rows that its policy allows, with the host of its own if it has one.
    ///
    /// Rows on loopback alone are for programs of the same machine and not told, unless there are no others (the demo).
    #[must_use]
    pub fn new(model: &Model, domain: &str, policy: &DomainPolicy) -> Published {
        let host = policy.host.as_deref().unwrap_or(&model.host);
        let anywhere = model.listeners.iter().any(|listener| !listener.is_local());
        let public = || model.listeners.iter().filter(move |listener| !(anywhere && listener.is_local()));
        let authentication = ways_to_prove(model, policy);
        let endpoint = |listener: &Listener| Endpoint {
            protocol: client_protocol(listener.protocol),
            host: host.to_owned(),
            port: listener.port,
            protection: listener.protection,
            authentication: authentication.clone(),
            user: UserForm::Address,
        };
        let told = |listener: &&Listener| {
            listener.protection != Protection::Clear
                && policy.opens(listener)
                && !authentication.is_empty()
                && (listener.protocol != Protocol::Smtp || model.clients_on_exchange)
        };
        let rows = |protocols: [Protocol; 2]| {
            let fits = public().filter(|listener| protocols.contains(&listener.protocol)).filter(told);
            fits.map(endpoint).collect()
        };
        Published {
            domain: domain.to_owned(),
            provider: policy
                .provider
                .as_ref()
                .or(model.provider.as_ref())
                .map_or(domain, String::as_str)
                .to_owned(),
            host: host.to_owned(),
            incoming: rows([Protocol::Imap, Protocol::Pop3]),
            outgoing: rows([Protocol::Submission, Protocol::Smtp]),
            web: public()
                .find(|l| l.protocol == Protocol::Web && l.protection == Protection::Implicit)
                .map(|listener| web_start(host, listener.port)),
            receives: public().any(|listener| listener.protocol == Protocol::Smtp),
        }
    }

    /// The recommended row of a protocol.
    #[must_use]
    pub fn first(&self, protocol: Protocol) -> Option<&Endpoint> {
        self.incoming.iter().chain(&self.outgoing).find(|row| row.protocol == protocol)
    }
}

/// The authentication of a mechanism.
#[must_use]
pub fn authentication(mechanism: Mechanism) -> Authentication {
    match mechanism {
        Mechanism::Plain | Mechanism::Login => Authentication::Password,
        Mechanism::External => Authentication::Certificate,
        Mechanism::ScramSha256Plus
        | Mechanism::ScramSha256
        | Mechanism::ScramSha1Plus
        | Mechanism::ScramSha1
        | Mechanism::CramMd5 => Authentication::Challenge,
    }
}

/// What a client speaks there: where other servers deliver, it submits.
fn client_protocol(protocol: Protocol) -> Protocol {
    if protocol == Protocol::Smtp { Protocol::Submission } else { protocol }
}

/// How the domain's users can prove who they are, in the words of client settings.
///
/// "Encrypted password" means CRAM-MD5 to nearly all clients, so it is told only where that works, or where the
/// password itself is not taken, in which case the client has no other choice. Inside TLS the password is
/// offered first: it works with every client, and no weaker verifier has to be kept for it.
fn ways_to_prove(model: &Model, policy: &DomainPolicy) -> Vec<Authentication> {
    let takes = |mechanism| policy.takes(mechanism);
    let password = model.password_sent && takes(Mechanism::Plain);
    let scram = takes(Mechanism::ScramSha256) || takes(Mechanism::ScramSha1);
    let challenge = takes(Mechanism::CramMd5) || (!password && scram);
    // Certificates work where the operator named authorities for them, which a domain that lists EXTERNAL says.
    let certificate = policy.mechanisms.as_deref().is_some_and(|list| list.contains(&Mechanism::External));
    let all = [
        (password, Authentication::Password),
        (challenge, Authentication::Challenge),
        (certificate, Authentication::Certificate),
    ];
    all.into_iter().filter_map(|(works, way)| works.then_some(way)).collect()
}

fn web_start(host: &str, port: u16) -> String {
    if port == ports::HTTPS { format!("https://{host}") } else { format!("https://{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::super::policy::Way;
    use super::super::preset::Preset;
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn ports_of(rows: &[Endpoint]) -> Vec<u16> {
        rows.iter().map(|row| row.port).collect()
    }

    fn view(preset: Preset, policy: &DomainPolicy) -> Published {
        Published::new(&preset.model("mail.example.test", &[ANY]), "example.org", policy)
    }

    #[test]
    fn a_domain_has_the_rows_of_the_service_in_its_order() {
        let modern = view(Preset::Modern, &DomainPolicy::default());
        assert_eq!(modern.provider, "example.org");
        assert_eq!(modern.host, "mail.example.test");
        assert_eq!(ports_of(&modern.incoming), [993, 995]);
        assert_eq!(ports_of(&modern.outgoing), [465]);
        assert_eq!(modern.outgoing[0].authentication, [Authentication::Password]);
        assert!(modern.receives);
        let first = view(Preset::SubmissionFirst, &DomainPolicy::default());
        assert_eq!(ports_of(&first.outgoing), [587, 465]);
        assert_eq!(first.first(Protocol::Submission).map(|row| row.port), Some(587));
    }

    #[test]
    fn where_clients_may_submit_beside_other_servers_that_is_the_last_of_the_rows() {
        let all = view(Preset::ChallengeOnly, &DomainPolicy::default());
        assert_eq!(all.outgoing.last().map(|row| (row.port, row.protocol)), Some((25, Protocol::Submission)));
        assert_eq!(all.outgoing[0].authentication, [Authentication::Challenge]);
    }

    #[test]
    fn rules_of_the_domain_change_what_is_told() {
        let policy = DomainPolicy {
            host: Some("mail.example.org".into()),
            provider: Some("Example".into()),
            cram_md5: true,
            ways: Some(vec![
                Way { protocol: Protocol::Imap, port: 993 },
                Way { protocol: Protocol::Submission, port: 465 },
            ]),
            ..DomainPolicy::default()
        };
        let told = view(Preset::Compatible, &policy);
        assert_eq!((told.host.as_str(), told.provider.as_str()), ("mail.example.org", "Example"));
        assert_eq!((ports_of(&told.incoming), ports_of(&told.outgoing)), (vec![993], vec![465]));
        assert_eq!(told.incoming[0].authentication, [Authentication::Password, Authentication::Challenge]);
        assert!(told.incoming.iter().chain(&told.outgoing).all(|row| row.host == "mail.example.org"));
    }

    #[test]
    fn a_mechanism_that_nobody_can_use_is_not_told() {
        let only =
            |list: &[Mechanism]| DomainPolicy { mechanisms: Some(list.to_vec()), ..DomainPolicy::default() };
        let told = |preset, list: &[Mechanism]| {
            view(preset, &only(list)).incoming.first().map(|row| row.authentication.clone())
        };
        assert_eq!(told(Preset::ChallengeOnly, &[Mechanism::Plain]), None);
        assert_eq!(told(Preset::Modern, &[Mechanism::CramMd5]), None, "no verifiers are kept");
        assert_eq!(
            told(Preset::Modern, &[Mechanism::ScramSha256, Mechanism::External]),
            Some(vec![Authentication::Challenge, Authentication::Certificate])
        );
    }

    #[test]
    fn rows_on_loopback_are_told_only_where_there_are_no_others() {
        let mut model = Preset::Modern.model("h.example.test", &[LOCAL]);
        assert_eq!(Published::new(&model, "example.org", &DomainPolicy::default()).incoming.len(), 2);
        model.listeners[0].addresses = vec![ANY];
        let told = Published::new(&model, "example.org", &DomainPolicy::default());
        assert_eq!((told.incoming.len(), told.outgoing.len(), told.receives), (1, 0, false));
    }
}
