//! What was seen, in the order in which it is judged: places with their probes, who named them, what works.

use super::words;
use crate::provider::{self, Provider, SignIn};
use crate::seen::{
    CertificateSeen, Chain, First, LoginResult, LoginSeen, Lookup, Offer, Outcome, Place, Probe, Reach,
    Source, StartTls,
};
use crate::{Level, Now, Port, Question};
use proto::discovery::Document;
use proto::service::preset::registered_port;
use proto::service::publish::{Authentication, Endpoint, UserForm};
use proto::service::{Protection, Protocol, ports};

/// Everything that a judgement looks at.
#[derive(Debug)]
pub struct View<'a> {
    /// The question.
    pub question: &'a Question,
    /// What was looked up.
    pub lookup: &'a Lookup,
    /// What was probed.
    pub probes: &'a [Probe],
    /// Seconds since 1970.
    pub now: i64,
    /// What is known of the provider beforehand.
    pub provider: Option<&'static Provider>,
    /// What was seen to work, best first.
    pub settings: Vec<Endpoint>,
}

/// Why a place was probed; the first reason counts most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The person has it in their client.
    Now,
    /// A source names it.
    Named,
    /// The person asked about this very host.
    Asked,
    /// People guess it.
    Guessed,
}

impl<'a> View<'a> {
    /// Looks at everything once.
    #[must_use]
    pub fn new(question: &'a Question, lookup: &'a Lookup, probes: &'a [Probe], now: i64) -> View<'a> {
        let provider = if question.is_host { None } else { provider::find(&question.domain, &lookup.mx) };
        let mut view = View { question, lookup, probes, now, provider, settings: Vec::new() };
        view.settings = super::settings::settings(&view);
        view
    }

    /// Documents with settings, and who gave them.
    pub fn documents(&self) -> impl Iterator<Item = (Source, &'a Document)> {
        self.lookup.looked.iter().filter_map(|looked| match &looked.outcome {
            Outcome::Found(document) if words::names_settings(looked.source) => {
                Some((looked.source, document))
            }
            _ => None,
        })
    }

    /// Why a place was probed.
    #[must_use]
    pub fn standing(&self, place: &Place) -> Standing {
        if self.question.now.iter().any(|now| is_at(now, place)) {
            Standing::Now
        } else if place.sources.iter().any(|source| words::names_settings(*source)) {
            Standing::Named
        } else if self.question.is_host && place.host.eq_ignore_ascii_case(&self.question.domain) {
            Standing::Asked
        } else {
            Standing::Guessed
        }
    }

    /// Is this place one of the settings to type in?
    #[must_use]
    pub fn is_setting(&self, place: &Place) -> bool {
        self.settings.iter().any(|row| row.host == place.host && row.port == place.port.number)
    }

    /// Does anything work for the protocol?
    #[must_use]
    pub fn has(&self, protocol: Protocol) -> bool {
        self.settings.iter().any(|row| words::same_language(row.protocol, protocol))
    }

    /// Does anything work for what the protocol is for? IMAP and POP3 both read mail.
    #[must_use]
    pub fn serves(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Imap | Protocol::Pop3 => self.has(Protocol::Imap) || self.has(Protocol::Pop3),
            other => self.has(other),
        }
    }

    /// Do faults of this place concern the person? Guesses do only where nothing better was found.
    #[must_use]
    pub fn matters(&self, place: &Place) -> bool {
        match self.standing(place) {
            Standing::Now | Standing::Named | Standing::Asked => true,
            Standing::Guessed => {
                self.is_setting(place)
                    || place.port.protocol != Protocol::Smtp && !self.serves(place.port.protocol)
            }
        }
    }

    /// Probes of places that matter.
    pub fn mattering(&self) -> impl Iterator<Item = &'a Probe> {
        self.probes.iter().filter(|probe| self.matters(&probe.place))
    }

    /// How much it weighs that a place cannot be used.
    #[must_use]
    pub fn unusable(&self, place: &Place) -> Level {
        match self.standing(place) {
            Standing::Now => Level::Broken,
            // People do not connect to the port between servers.
            _ if place.port.protocol == Protocol::Smtp => Level::Note,
            _ if !self.serves(place.port.protocol) => Level::Broken,
            // The other family of addresses serves them.
            _ if self.is_setting(place) => Level::Should,
            Standing::Named | Standing::Asked => Level::Should,
            Standing::Guessed => Level::Note,
        }
    }

    /// The protection with which this probe could be used to sign in safely.
    #[must_use]
    pub fn works(&self, probe: &Probe) -> Option<Protection> {
        let protection = match (probe.first, &probe.starttls) {
            (First::Tls, _) => Protection::Implicit,
            (First::Greeting, StartTls::Works { .. }) => Protection::StartTls,
            _ => return None,
        };
        let speaks = probe.protocol.is_none_or(|p| words::same_language(p, probe.place.port.protocol));
        let proven = certificate(probe).is_some_and(|c| self.proves(c))
            && probe.tls.as_ref().is_some_and(|tls| tls.version.is_some());
        let opens = probe.encrypted.as_ref().is_some_and(|offer| !methods(offer).is_empty());
        (probe.reach == Reach::Open && speaks && proven && opens).then_some(protection)
    }

    /// The certificate proves the host's name now.
    #[must_use]
    pub fn proves(&self, certificate: &CertificateSeen) -> bool {
        certificate.covers_host
            && certificate.chain == Chain::Trusted
            && certificate.not_before <= self.now
            && self.now < certificate.not_after
    }

    /// All probes of a host's port.
    pub fn at<'b>(&'b self, host: &'b str, port: u16) -> impl Iterator<Item = &'a Probe> + 'b {
        let probes = self.probes;
        probes.iter().filter(move |probe| {
            probe.place.port.number == port && probe.place.host.eq_ignore_ascii_case(host)
        })
    }

    /// Has the host any port open?
    #[must_use]
    pub fn answers(&self, host: &str) -> bool {
        self.probes.iter().any(|p| p.place.host.eq_ignore_ascii_case(host) && p.reach == Reach::Open)
    }

    /// What a port is for: as asked, as registered, as a source names it.
    #[must_use]
    pub fn owner(&self, number: u16) -> Option<Port> {
        let named = self.probes.iter().map(|probe| &probe.place).filter(|place| !place.sources.is_empty());
        purpose(self.question, number)
            .or_else(|| named.map(|place| place.port).find(|port| port.number == number))
    }

    /// Mail can be read only with OAuth 2, as far as was seen.
    #[must_use]
    pub fn is_oauth_only(&self) -> bool {
        let mut reading = self.settings.iter().filter(|row| row.protocol != Protocol::Submission).peekable();
        reading.peek().is_some() && reading.all(|row| row.authentication == [Authentication::OAuth2])
    }

    /// The user name that the documents name for a place.
    #[must_use]
    pub fn user_form(&self, protocol: Protocol, host: &str) -> UserForm {
        let login = self
            .probes
            .iter()
            .filter(|probe| probe.place.host == host)
            .find_map(|probe| probe.login.as_ref().filter(|login| login.result == LoginResult::Works));
        if let Some(login) = login {
            return if login.full_address { UserForm::Address } else { UserForm::LocalPart };
        }
        self.documents()
            .flat_map(|(_, document)| document.incoming.iter().chain(&document.outgoing))
            .find(|row| row.protocol == protocol && row.host.eq_ignore_ascii_case(host))
            .map_or(UserForm::Address, |row| row.user.clone())
    }

    /// How to prove who one is with an offer, best first, given what came of trying.
    #[must_use]
    pub fn authentication(&self, offer: &Offer, login: Option<&LoginSeen>) -> Vec<Authentication> {
        let mut out = methods(offer);
        let worked = login.filter(|login| login.result == LoginResult::Works);
        match worked.map(|login| login.mechanism.as_str()) {
            // It is tried last (`probe::login`): all else that is offered was refused.
            Some("CRAM-MD5") => out = vec![Authentication::Challenge],
            Some("USER") => out.sort_by_key(|method| *method != Authentication::Password),
            _ => {}
        }
        // The provider offers a password that it then refuses; nobody can see that from outside.
        if self.provider.is_some_and(|p| p.sign_in == SignIn::OAuth) && out.contains(&Authentication::OAuth2)
        {
            out = vec![Authentication::OAuth2];
        }
        out
    }
}

/// The probes with what their ports are for. A place that is probed only because the person has it was planned as what they
/// take it for, which is the very thing in question; and no port is for clear text, whatever a source says.
#[must_use]
pub fn as_registered(question: &Question, probes: &[Probe]) -> Vec<Probe> {
    let mut out = probes.to_vec();
    for place in out.iter_mut().map(|probe| &mut probe.place) {
        let Some(port) = purpose(question, place.port.number) else { continue };
        if place.sources.is_empty() {
            place.port = port;
        } else if place.port.protection == Protection::Clear {
            place.port.protection = port.protection;
        }
    }
    out
}

/// What a port is for, as asked or as registered.
fn purpose(question: &Question, number: u16) -> Option<Port> {
    question.ports.iter().copied().chain(registered()).find(|port| port.number == number)
}

/// Methods that an offer allows, those first that every client can do. The command USER of POP3 comes last where mechanisms
/// are named and none of them sends the password: many servers (Dovecot) list it whatever is configured, and then refuse it.
#[must_use]
pub fn methods(offer: &Offer) -> Vec<Authentication> {
    let has = |wanted: fn(&str) -> bool| offer.mechanisms.iter().any(|m| wanted(&m.to_ascii_uppercase()));
    let mut out = Vec::new();
    let sends = has(|m| m == "PLAIN" || m == "LOGIN");
    let doubtful = !sends && offer.capabilities.iter().any(|line| line.eq_ignore_ascii_case("USER"));
    if sends || offer.password && !doubtful {
        out.push(Authentication::Password);
    }
    if has(|m| m == "CRAM-MD5" || m == "DIGEST-MD5" || m.starts_with("SCRAM-")) {
        out.push(Authentication::Challenge);
    }
    if has(|m| m == "XOAUTH2" || m == "OAUTHBEARER") {
        out.push(Authentication::OAuth2);
    }
    if offer.password && doubtful {
        out.push(Authentication::Password);
    }
    out
}

/// The certificate that a probe saw.
#[must_use]
pub fn certificate(probe: &Probe) -> Option<&CertificateSeen> {
    probe.tls.as_ref()?.certificate.as_ref()
}

/// Is this where the person connects today?
#[must_use]
pub fn is_at(now: &Now, place: &Place) -> bool {
    now.port == place.port.number
        && now.host.as_ref().is_none_or(|host| host.eq_ignore_ascii_case(&place.host))
}

/// The ports that are registered or customary, with what they are for.
fn registered() -> impl Iterator<Item = Port> {
    let rows = [Protocol::Imap, Protocol::Pop3, Protocol::Submission, Protocol::Smtp].into_iter().flat_map(
        |protocol| {
            [Protection::Implicit, Protection::StartTls].into_iter().filter_map(move |protection| {
                Some(Port { number: registered_port(protocol, protection)?, protocol, protection })
            })
        },
    );
    let alternates = [ports::SUBMISSION_26, ports::SUBMISSION_2025, ports::SUBMISSION_ALTERNATE];
    rows.chain(alternates.into_iter().map(|number| Port {
        number,
        protocol: Protocol::Submission,
        protection: Protection::StartTls,
    }))
}
