//! The rules of two domains above the fixed sessions, for transcripts whose head says `rules: observed`.
//!
//! `example.test` is being observed: its people may still log in in clear. `strict.test` has the rules of a new domain, and
//! an account of the same name and password. What is offered, who is let in and what is said stands in `proto`, as
//! for the real sessions; only the domains are invented here.

use crate::login::{STRICT_USER, USER};
use proto::advice::{self, Encrypted};
use proto::language::Language;
use proto::proof::Security;
use proto::sasl::Mechanism;
use proto::service::policy::{ClearLogin, Denied, DomainPolicy, Rules, Stage, offered, permit};
use proto::service::preset::Preset;
use proto::service::publish::Published;
use proto::service::{Listener, Model, Protection, Protocol};
use std::net::{IpAddr, Ipv4Addr};

/// Seconds since 1970, where somebody asks.
const NOW: i64 = 1_700_000_000;

/// A row that begins in clear, and who may use it how.
#[derive(Clone, Debug)]
pub struct Observed {
    model: Model,
    listener: Listener,
}

impl Observed {
    /// Where this protocol begins in clear.
    ///
    /// # Panics
    /// There is no such row.
    #[must_use]
    pub fn at(protocol: Protocol) -> Observed {
        let model = Preset::Compatible.model("mail.example.test", &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
        let row = |row: &&Listener| row.protocol == protocol && row.protection == Protection::StartTls;
        let listener = model.listeners.iter().find(row).expect("the preset has such a row").clone();
        Observed { model, listener }
    }

    /// The mechanisms before anybody has said who they are.
    #[must_use]
    pub fn offered(&self, security: &Security) -> Vec<Mechanism> {
        let rules = [USER, STRICT_USER].map(|user| Rules { policy: policy(user), exceptions: Vec::new() });
        offered(&self.model, &rules, &self.listener, security, NOW)
    }

    /// Where those go who log in in clear.
    #[must_use]
    pub fn encrypted(&self) -> Encrypted {
        Encrypted::of(&self.model, self.listener.protocol)
    }

    /// The last word on a login whose credential was right.
    ///
    /// # Errors
    /// What forbids it, and what the person is told.
    pub fn permit(
        &self,
        user: &str,
        mechanism: Option<Mechanism>,
        security: &Security,
    ) -> Result<(), (Denied, String)> {
        let policy = policy(user);
        permit(&self.model, &policy, None, &self.listener, security, mechanism, NOW).map_err(|denied| {
            let view = Published::new(&self.model, domain(user), &policy);
            (denied, advice::denied(&view, self.listener.protocol, denied, Language::default()))
        })
    }
}

fn domain(user: &str) -> &str {
    user.rsplit_once('@').map_or("", |(_, domain)| domain)
}

fn policy(user: &str) -> DomainPolicy {
    if domain(user) == domain(USER) {
        DomainPolicy { clear_login: ClearLogin::Staged, stage: Stage::Observe, ..DomainPolicy::default() }
    } else {
        DomainPolicy::default()
    }
}
