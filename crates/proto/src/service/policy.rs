//! What a domain's users may do to connect: decided once the account is known.
//!
//! Before a login nobody knows the domain, so a listener offers what any domain
//! may use ([`offered`]); after the credential was checked, [`permit`] has the last
//! word. What must hold: both ask the same rules, so that nothing is offered that
//! everybody would be refused for. Deliberately not here: the words of a refusal
//! (`advice`), and how the rules are kept (`store`).

use super::{Listener, Model, Protection, Protocol};
use crate::proof::{Security, TlsVersion};
use crate::sasl::{self, Mechanism};

/// May a password come in clear?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClearLogin {
    /// Never.
    #[default]
    Never,
    /// As the domain's [`Stage`] says.
    Staged,
}

/// Where the domain stands on its way to encryption only. Further stages come with the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Logins in clear work and are noted.
    Observe,
    /// Logins in clear are refused.
    #[default]
    Deny,
}

/// A port that a domain's users may use, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Way {
    /// What is spoken.
    pub protocol: Protocol,
    /// Where.
    pub port: u16,
}

/// One domain's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainPolicy {
    /// The host that this domain's clients connect to, if not the service's.
    pub host: Option<String>,
    /// Name of the service for people, if not the service's.
    pub provider: Option<String>,
    /// Logins in clear.
    pub clear_login: ClearLogin,
    /// Stage of the migration.
    pub stage: Stage,
    /// Mechanisms; `None` is what the service offers. Where CRAM-MD5 is missing no verifiers are kept.
    pub mechanisms: Option<Vec<Mechanism>>,
    /// CRAM-MD5 verifiers are kept and the mechanism offered.
    pub cram_md5: bool,
    /// Least TLS version of a login.
    pub tls_min: TlsVersion,
    /// Ways that the users may use; `None` is all.
    pub ways: Option<Vec<Way>>,
}

impl Default for DomainPolicy {
    fn default() -> DomainPolicy {
        DomainPolicy {
            host: None,
            provider: None,
            clear_login: ClearLogin::default(),
            stage: Stage::default(),
            mechanisms: None,
            cram_md5: false,
            tls_min: TlsVersion::Tls12,
            ways: None,
        }
    }
}

/// What one account may do beyond its domain's rules, until a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Why: the operator's words, `scanner in room 12`.
    pub reason: String,
    /// Seconds since 1970; from then on it does not hold.
    pub until: i64,
    /// Ways allowed beside the domain's.
    pub ways: Vec<Way>,
    /// Mechanisms allowed beside the domain's.
    pub mechanisms: Vec<Mechanism>,
    /// A login in clear is allowed.
    pub clear: bool,
}

/// Why a login whose credential was right is refused all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denied {
    /// The connection is in clear.
    Clear,
    /// The TLS version is too old for the domain; the least that it takes.
    TlsTooOld(TlsVersion),
    /// The domain's users may not use this port.
    Way,
    /// The domain's users may not use this mechanism.
    Mechanism,
}

impl DomainPolicy {
    /// May the domain's users log in with this mechanism?
    ///
    /// A mechanism with channel binding is allowed where the one without it is: it is the same
    /// and safer. CRAM-MD5 needs verifiers, which are kept only where the domain wants them.
    #[must_use]
    pub fn takes(&self, mechanism: Mechanism) -> bool {
        let listed = self.mechanisms.as_deref().is_none_or(|list| lists(list, mechanism));
        listed && (mechanism != Mechanism::CramMd5 || self.cram_md5)
    }

    /// May the domain's users use this row?
    #[must_use]
    pub fn opens(&self, listener: &Listener) -> bool {
        self.ways.as_deref().is_none_or(|ways| ways.contains(&listener.way()))
    }

    /// Are logins in clear taken now?
    #[must_use]
    pub fn takes_clear(&self) -> bool {
        self.clear_login == ClearLogin::Staged && self.stage == Stage::Observe
    }
}

impl Exception {
    /// Does it still hold?
    #[must_use]
    pub fn holds(&self, now: i64) -> bool {
        now < self.until
    }
}

impl Listener {
    /// The row as rules name it.
    #[must_use]
    pub fn way(&self) -> Way {
        Way { protocol: self.protocol, port: self.port }
    }
}

impl Model {
    /// What rules can name at this port.
    #[must_use]
    pub fn ways_at(&self, port: u16) -> Vec<Way> {
        let mut ways: Vec<Way> =
            self.listeners.iter().filter(|l| l.port == port).map(Listener::way).collect();
        let web = |l: &Listener| {
            l.port == port && l.protocol == Protocol::Web && l.protection == Protection::Implicit
        };
        if self.mail_on_web && self.listeners.iter().any(web) {
            ways.extend([Protocol::Imap, Protocol::Submission].map(|protocol| Way { protocol, port }));
        }
        ways.sort_unstable();
        ways.dedup();
        ways
    }
}

/// May this login be? `mechanism` is `None` for passwords without SASL (LOGIN, USER), which count as PLAIN. `now`: seconds since 1970.
///
/// An exception that allows a login in clear allows one under an old TLS version too, which is the lesser evil.
///
/// # Errors
/// The first rule that forbids it and that no exception lifts.
pub fn permit(
    model: &Model,
    policy: &DomainPolicy,
    exception: Option<&Exception>,
    listener: &Listener,
    security: &Security,
    mechanism: Option<Mechanism>,
    now: i64,
) -> Result<(), Denied> {
    let exception = exception.filter(|exception| exception.holds(now));
    protected(policy, exception, security)?;
    if let Some(tls) = security.tls()
        && tls.version < policy.tls_min
        && !exception.is_some_and(|exception| exception.clear)
    {
        return Err(Denied::TlsTooOld(policy.tls_min));
    }
    // Where other servers deliver, people log in only if the service says so.
    let open = policy.opens(listener) && (listener.protocol != Protocol::Smtp || model.clients_on_exchange);
    if !open && !exception.is_some_and(|exception| exception.ways.contains(&listener.way())) {
        return Err(Denied::Way);
    }
    known(policy, exception, mechanism.unwrap_or(Mechanism::Plain))
}

/// One domain's rules, and the exceptions of its accounts: what an offer is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The domain's.
    pub policy: DomainPolicy,
    /// Those of its accounts.
    pub exceptions: Vec<Exception>,
}

/// The mechanisms to offer before anybody has said who they are: what some account of these domains may use
/// here, strongest first. Without domains, what the rules of a new domain say.
///
/// Which TLS version it is and which of the rows for clients it is are not asked: a client that may not come this
/// way shall hear why, and only a login can tell it.
#[must_use]
pub fn offered<'a>(
    model: &Model,
    domains: impl IntoIterator<Item = &'a Rules>,
    listener: &Listener,
    security: &Security,
    now: i64,
) -> Vec<Mechanism> {
    match listener.protocol {
        Protocol::Lmtp | Protocol::Web => return Vec::new(),
        Protocol::Smtp | Protocol::Submission | Protocol::Pop3 | Protocol::Imap => {}
    }
    // Where nothing is forbidden: what this connection can do and the service wants.
    let all = sasl::Policy { cram_md5: true, password_sent: model.password_sent, clear_allowed: true };
    let possible = sasl::offer(&all, security);
    let mut wanted = vec![false; possible.len()];
    let mut ask = |policy: &DomainPolicy, exception: Option<&Exception>| {
        let client_row = listener.protocol != Protocol::Smtp || model.clients_on_exchange;
        let here = client_row || exception.is_some_and(|e| e.ways.contains(&listener.way()));
        if here && protected(policy, exception, security).is_ok() {
            for (mechanism, wanted) in possible.iter().zip(&mut wanted) {
                *wanted |= known(policy, exception, *mechanism).is_ok();
            }
        }
    };
    let mut none = true;
    for rules in domains {
        none = false;
        ask(&rules.policy, None);
        for exception in rules.exceptions.iter().filter(|exception| exception.holds(now)) {
            ask(&rules.policy, Some(exception));
        }
    }
    if none {
        ask(&DomainPolicy::default(), None);
    }
    possible.into_iter().zip(wanted).filter_map(|(mechanism, wanted)| wanted.then_some(mechanism)).collect()
}

fn protected(
    policy: &DomainPolicy,
    exception: Option<&Exception>,
    security: &Security,
) -> Result<(), Denied> {
    let clear = policy.takes_clear() || exception.is_some_and(|exception| exception.clear);
    if security.is_encrypted() || clear { Ok(()) } else { Err(Denied::Clear) }
}

fn known(policy: &DomainPolicy, exception: Option<&Exception>, mechanism: Mechanism) -> Result<(), Denied> {
    let excepted = exception.is_some_and(|exception| lists(&exception.mechanisms, mechanism));
    if policy.takes(mechanism) || excepted { Ok(()) } else { Err(Denied::Mechanism) }
}

/// Is it in the list, or the same without channel binding?
fn lists(list: &[Mechanism], mechanism: Mechanism) -> bool {
    let weaker = match mechanism {
        Mechanism::ScramSha256Plus => Mechanism::ScramSha256,
        Mechanism::ScramSha1Plus => Mechanism::ScramSha1,
        other => other,
    };
    list.contains(&mechanism) || list.contains(&weaker)
}

#[cfg(test)]
mod tests;
