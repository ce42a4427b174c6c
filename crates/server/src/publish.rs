//! What the service says of itself to a domain's people, for discovery, DNS and the guide; and the domains
//! with their rules as sessions ask for them.
//!
//! What must hold: what is said before a login depends on no account, so that nothing can be learnt of one.

use crate::app::App;
use crate::clock::unix_now;
use proto::advice;
use proto::language::Language;
use proto::proof::{Authenticated, Security};
use proto::sasl::Mechanism;
use proto::service::flaw::of_policy;
use proto::service::policy::{Denied, DomainPolicy, Rules, permit};
use proto::service::publish::Published;
use proto::service::{Listener, Model};
use std::collections::HashMap;
use store::system::directory::Directory;

/// First labels of the hosts at which clients look for a domain's settings.
pub const DISCOVERY_LABELS: [&str; 5] = ["autoconfig", "autodiscover", "ua-auto-config", "mta-sts", "mail"];

impl App {
    /// What the people of `domain` are told; `None` if the domain is not ours.
    #[must_use]
    pub fn published(&self, domain: &str) -> Option<Published> {
        match self.store.directory().domain(domain) {
            Ok(domain) => {
                domain.map(|domain| Published::new(&self.settings.model, &domain.name, &domain.policy))
            }
            Err(error) => {
                tracing::error!(%error, "the directory cannot be asked for a domain");
                None
            }
        }
    }

    /// Our domain to which a host name of discovery belongs: `autoconfig.example.org`, `autodiscover.`, `ua-auto-config.`,
    /// `mta-sts.`, `mail.`, the domain itself, or the host that the domain's clients connect to if it is one domain's alone.
    #[must_use]
    pub fn domain_of_host(&self, host: &str) -> Option<String> {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.domains().of_host(&host)
    }
}

impl App {
    /// The domain's last word on a login whose credential was right.
    pub(crate) fn permit(
        &self,
        who: &Authenticated,
        listener: &Listener,
        security: &Security,
    ) -> Result<Result<(), Denied>, store::Error> {
        let directory = self.store.directory();
        let policy = directory.domain(domain_of(who))?.map(|domain| domain.policy).unwrap_or_default();
        let exception = directory.exception(who.account())?;
        let mechanism = Mechanism::from_name(who.mechanism());
        let model = &self.settings.model;
        Ok(permit(model, &policy, exception.as_ref(), listener, security, mechanism, unix_now()))
    }

    /// What to tell the person of an account that is denied: which port and which setting it may use.
    pub(crate) fn denial(
        &self,
        who: &Authenticated,
        listener: &Listener,
        denied: Denied,
        language: Language,
    ) -> String {
        let domain = domain_of(who);
        let view = self
            .published(domain)
            .unwrap_or_else(|| Published::new(&self.settings.model, domain, &DomainPolicy::default()));
        advice::denied(&view, listener.protocol, denied, language)
    }

    /// Says in the log what is wrong with the rules of the domains on this service.
    pub(crate) fn warn_of_rules(&self, covered: impl Fn(&str) -> bool) {
        for flaw in self.domains().flaws(&self.settings.model, covered) {
            tracing::warn!("{flaw}");
        }
    }
}

/// The names of the service that no certificate covers, each with what to do, where no domain has a host of its own.
#[must_use]
pub fn uncovered(model: &Model, covered: impl Fn(&str) -> bool) -> Vec<String> {
    Domains::default().flaws(model, covered)
}

fn domain_of(who: &Authenticated) -> &str {
    who.address().rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// All domains with their rules, as they were when the directory was last read.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    by_name: HashMap<String, Rules>,
    /// Which domain's clients connect to a host; `None`: those of several.
    hosts: HashMap<String, Option<String>>,
    /// Rules that are the same, with the exceptions of all who have them, once: a hoster's thousand domains differ little.
    distinct: Vec<Rules>,
}

impl Domains {
    pub(crate) fn read(directory: &Directory, model: &Model) -> Result<Domains, store::Error> {
        let mut by_name: HashMap<String, Rules> = directory
            .domains()?
            .into_iter()
            .map(|domain| (domain.name, Rules { policy: domain.policy, exceptions: Vec::new() }))
            .collect();
        for (id, exception) in directory.exceptions()? {
            let account = directory.account(id)?;
            let domain = account.as_ref().and_then(|account| account.address.rsplit_once('@'));
            // The address is as it was given, the domain's name is not.
            let domain = domain.map(|(_, domain)| directory.domain(domain)).transpose()?.flatten();
            if let Some(rules) = domain.and_then(|domain| by_name.get_mut(&domain.name)) {
                rules.exceptions.push(exception);
            }
        }
        Ok(Domains::new(by_name, model))
    }

    /// What is wrong with the rules of the domains on this service, and the names that no certificate covers.
    pub(crate) fn flaws(&self, model: &Model, covered: impl Fn(&str) -> bool) -> Vec<String> {
        let policies = self.by_name.values().map(|rules| &rules.policy);
        let uncovered = model.uncovered(policies, covered).into_iter();
        let mut all: Vec<String> = uncovered.map(|flaw| format!("{flaw}; {}", flaw.remedy())).collect();
        let mut sorted: Vec<_> = self.by_name.iter().collect();
        sorted.sort_unstable_by_key(|(domain, _)| domain.as_str());
        for (domain, rules) in sorted {
            all.extend(of_policy(model, &rules.policy).into_iter().map(|flaw| format!("{domain}: {flaw}")));
        }
        all
    }

    fn new(by_name: HashMap<String, Rules>, model: &Model) -> Domains {
        let mut hosts = HashMap::new();
        let mut distinct: Vec<Rules> = Vec::new();
        for (name, rules) in &by_name {
            let host = rules.policy.host.as_ref().unwrap_or(&model.host);
            hosts.entry(host.clone()).and_modify(|whose| *whose = None).or_insert_with(|| Some(name.clone()));
            // Names say nothing about what may be used.
            let policy = DomainPolicy { host: None, provider: None, ..rules.policy.clone() };
            match distinct.iter_mut().find(|known| known.policy == policy) {
                Some(known) => known.exceptions.extend_from_slice(&rules.exceptions),
                None => distinct.push(Rules { policy, exceptions: rules.exceptions.clone() }),
            }
        }
        Domains { by_name, hosts, distinct }
    }

    /// The rules of the domain that the client asked for by name, or of all: before a login nobody knows more.
    pub(crate) fn rules_for(&self, server_name: Option<&str>) -> &[Rules] {
        let named = server_name.and_then(|name| match self.hosts.get(name) {
            Some(whose) => whose.as_deref().and_then(|domain| self.by_name.get(domain)),
            None => self.around(name).and_then(|domain| self.by_name.get(domain)),
        });
        named.map_or(&self.distinct, std::slice::from_ref)
    }

    fn of_host(&self, host: &str) -> Option<String> {
        let below = host.split_once('.').filter(|(label, _)| DISCOVERY_LABELS.contains(label));
        let known = |name: &str| self.by_name.contains_key(name).then(|| name.to_owned());
        below
            .and_then(|(_, domain)| known(domain))
            .or_else(|| known(host))
            .or_else(|| self.hosts.get(host).cloned().flatten())
    }

    /// The hosts that clients of our domains connect to, the service's own among them if a domain uses it.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    /// The domain in which a host lies.
    fn around<'n>(&self, name: &'n str) -> Option<&'n str> {
        std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, rest)| rest))
            .find(|name| self.by_name.contains_key(*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::service::preset::Preset;

    fn domains(list: &[(&str, DomainPolicy)]) -> Domains {
        let by_name = list.iter().map(|(name, policy)| {
            ((*name).to_owned(), Rules { policy: policy.clone(), exceptions: Vec::new() })
        });
        Domains::new(by_name.collect(), &Preset::Modern.model("mail.hoster.test", &[]))
    }

    fn cram() -> DomainPolicy {
        DomainPolicy { cram_md5: true, ..DomainPolicy::default() }
    }

    fn with_host(host: &str) -> DomainPolicy {
        DomainPolicy { host: Some(host.to_owned()), ..cram() }
    }

    #[test]
    fn hosts_of_discovery_lead_to_their_domain() {
        let all = domains(&[
            ("a.test", DomainPolicy::default()),
            ("b.test", DomainPolicy::default()),
            ("c.test", with_host("imap.c-mail.test")),
        ]);
        for host in ["a.test", "autoconfig.a.test", "mail.a.test", "ua-auto-config.a.test", "mta-sts.a.test"]
        {
            assert_eq!(all.of_host(host).as_deref(), Some("a.test"), "{host}");
        }
        assert_eq!(all.of_host("imap.c-mail.test").as_deref(), Some("c.test"));
        for host in
            ["mail.hoster.test", "www.a.test", "autoconfig.x.test", "autoconfig.mail.a.test", "test", ""]
        {
            assert_eq!(all.of_host(host), None, "{host}");
        }
        let alone = domains(&[("a.test", DomainPolicy::default())]);
        assert_eq!(alone.of_host("mail.hoster.test").as_deref(), Some("a.test"));
    }

    #[test]
    fn a_name_that_is_one_domains_alone_narrows_the_rules() {
        let all = domains(&[
            ("a.test", DomainPolicy::default()),
            ("b.test", DomainPolicy::default()),
            ("c.test", with_host("imap.c-mail.test")),
            ("hoster.test", cram()),
        ]);
        let rules = |name| all.rules_for(name);
        assert_eq!(rules(None).len(), 2, "what is the same is asked once");
        assert_eq!(rules(Some("other.test")).len(), 2);
        // The service's own host lies in one of the domains and serves all of them.
        assert_eq!(rules(Some("mail.hoster.test")).len(), 2);
        assert_eq!(rules(Some("imap.c-mail.test")), [all.by_name["c.test"].clone()]);
        assert_eq!(rules(Some("imap.a.test")), [Rules::default()]);
    }
}
