//! The operator's commands about certificates: what there is, what is missing, and renewal before its time.

use super::Response;
use super::dns;
use super::operator::{No, Operator};
use crate::certificate;
use crate::certificate::keep::{Keep, Kept};
use crate::certificate::next_key;
use crate::certificate::staple::{MUST_STAPLE, REVOKED, Shelf};
use crate::certificate::{at_once, date};
use crate::clock::unix_now;
use crate::publish::Domains;
use net::tls::{CertificateDer, Described};
use proto::discovery::dns::zone;
use proto::service::publish::Published;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use store::system::directory::Domain;

/// The state of a certificate that needs nothing; all others are findings.
pub const GOOD: &str = "good";
/// Seconds before its end at which a certificate should long have been renewed.
const SOON_SECONDS: i64 = 7 * 86_400;

impl Operator {
    /// A row for each certificate and for each name that lacks one.
    pub(super) fn certificates(&self) -> Result<Response, No> {
        let now = unix_now();
        let mut rows = Vec::new();
        let shelf = Shelf::new(&self.settings.data);
        let mut covered: HashSet<String> = HashSet::new();
        let mut take = |file: &Path, from: &str| {
            rows.push(match self.read_chain(file) {
                Ok((described, chain)) => {
                    if described.not_after > now {
                        covered.extend(described.names.iter().cloned());
                    }
                    let staple = if self.settings.staple {
                        shelf.state(chain.iter().map(AsRef::as_ref), now)
                    } else {
                        let refused = described.demand.must_staple.then_some(MUST_STAPLE);
                        ("not wanted by the settings".to_owned(), refused)
                    };
                    row(&described, from, staple, now)
                }
                Err(error) => cells([&file.display().to_string(), "", from, "", "", &error]),
            });
        };
        for pair in &self.settings.certificates {
            take(&pair.chain, "settings");
        }
        for kept in self.kept()? {
            take(&kept.file, "authority");
        }
        let names = self.settings.acme.as_ref().map(|acme| acme.names.as_slice()).unwrap_or_default();
        let domains = Domains::read(self.store.directory(), &self.settings.model)?;
        for name in at_once(&self.settings.model, names, &domains) {
            let parent = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
            if !covered.contains(&name) && !parent.is_some_and(|parent| covered.contains(&parent)) {
                rows.push(cells([&name, "", "", "", "", "missing"]));
            }
        }
        let columns = cells(["names", "key", "from", "until", "staple", "state"]);
        Ok(Response::Table { columns, rows })
    }

    /// As the log says it at the start.
    pub(super) fn flaws(&self) -> Result<Response, No> {
        let model = &self.settings.model;
        let domains = Domains::read(self.store.directory(), model)?;
        let sentences = match certificate::at_hand(&self.settings) {
            Ok(at_hand) => domains.flaws(model, |host| at_hand.all.covers(host)),
            Err(error) => vec![error.to_string()],
        };
        Ok(Response::Flaws { sentences })
    }

    /// Leaves the wish for the running service. Where records of keys stand in DNS a new key is made and told first, and
    /// used later, unless the operator cannot wait.
    pub(super) async fn renew_certificates(
        &self,
        name: Option<String>,
        new_key: bool,
        now: bool,
    ) -> Result<Response, No> {
        let Some(acme) = &self.settings.acme else {
            return Err(No(
                "no certificate is ordered by these settings: there is no [acme] in them".to_owned()
            ));
        };
        let Some(wishes) = &self.wishes else {
            return Err(No(
                "certificates are ordered by the running service, and none runs; it renews them by itself \
                           once it is started"
                    .to_owned(),
            ));
        };
        let kept = self.kept()?;
        let mut names: BTreeSet<String> = match name {
            Some(name) => BTreeSet::from([name.to_ascii_lowercase()]),
            None => kept.iter().map(|kept| kept.name.clone()).collect(),
        };
        if names.is_empty() {
            return Err(No("no certificate was ordered yet".to_owned()));
        }
        let mut texts = Vec::new();
        if new_key {
            // Hosts of which records of keys are proposed, and which have a certificate that those would disagree with.
            let mut recorded = self.hosts()?;
            recorded.retain(|host, _| {
                acme.keep_key && names.contains(host) && kept.iter().any(|kept| kept.name == *host)
            });
            let later: BTreeSet<String> = recorded.keys().filter(|_| !now).cloned().collect();
            names.retain(|name| !later.contains(name));
            self.make_keys(&kept, &names, &later).await?;
            wishes.next_keys(names.union(&later).cloned());
            if !later.is_empty() {
                texts.push(self.told_before(&recorded).await?);
            } else if !recorded.is_empty() {
                let text = "Their keys change at once: TLSA records must be replaced by those that sealpost dns records prints.";
                texts.push(text.to_owned());
            }
        }
        let ordered = match names.len() {
            0 => None,
            1 => names.first().map(|one| format!("A certificate for {one} is being ordered.")),
            several => Some(format!("Certificates for {several} names are being ordered.")),
        };
        if let Some(ordered) = ordered {
            wishes.renew(names);
            texts.insert(0, format!("{ordered} What becomes of it: sealpost certificate list, and the log."));
        }
        Ok(Response::Done { text: texts.join("\n\n") })
    }

    /// Makes the next keys for certificates that are kept.
    async fn make_keys(
        &self,
        kept: &[Kept],
        now: &BTreeSet<String>,
        later: &BTreeSet<String>,
    ) -> Result<(), No> {
        let Some(acme) = &self.settings.acme else { return Ok(()) };
        let keep = Keep::new(&self.settings.data, &acme.directory);
        let from = |kept: &Kept| match (now.contains(&kept.name), later.contains(&kept.name)) {
            (true, _) => Some(next_key::AT_ONCE),
            (_, true) => Some(unix_now().saturating_add(next_key::WAIT_SECONDS)),
            _ => None,
        };
        let wanted: Vec<(Kept, i64)> =
            kept.iter().filter_map(|kept| Some((kept.clone(), from(kept)?))).collect();
        let made = tokio::task::spawn_blocking(move || {
            wanted.iter().try_for_each(|(kept, from)| keep.make_next_key(kept, *from).map(|_| ()))
        });
        let made = made.await.map_err(|error| No(error.to_string()))?;
        made.map_err(|error| No(format!("the next keys cannot be kept in the data directory: {error}")))
    }

    /// The hosts of all domains, each with one of its domains: the records of its keys are the same for all of them.
    fn hosts(&self) -> Result<BTreeMap<String, Domain>, No> {
        let domains = self.store.directory().domains()?;
        let host = |domain: &Domain| Published::new(&self.settings.model, &domain.name, &domain.policy).host;
        Ok(domains.into_iter().map(|domain| (host(&domain), domain)).collect())
    }

    /// What to enter in DNS before the keys of these hosts change, and until when.
    async fn told_before(&self, hosts: &BTreeMap<String, Domain>) -> Result<String, No> {
        let mut records = Vec::new();
        for domain in hosts.values() {
            records.extend(dns::coming(&self.settings, domain).await.map_err(No)?);
        }
        let (kept, acme) = (self.kept()?, self.settings.acme.as_ref());
        let keep = acme.map(|acme| Keep::new(&self.settings.data, &acme.directory));
        let next = kept.iter().filter(|kept| hosts.contains_key(&kept.name));
        let from = next.filter_map(|kept| keep.as_ref()?.next_key(kept).ok()?).map(|next| next.from).max();
        let date = date(from.unwrap_or_else(unix_now));
        let names = hosts.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        Ok(format!(
            "The next keys for {names} are made. Where the zone is signed with DNSSEC, enter these records now, beside those \
             that are there:\n\n{}\nThey must have been there for two of their lifetimes when certificates with the new keys \
             are ordered, on {date}. Until then the present keys stay, and as long as DNS has records of keys but not these; \
             afterwards sealpost dns records says which can go. If somebody else may know a key do not wait: sealpost certificate renew --new-key --now",
            zone(&records)
        ))
    }

    fn read_chain(&self, file: &Path) -> Result<(Described, Vec<CertificateDer<'static>>), String> {
        let pem = std::fs::read(file).map_err(|error| error.to_string())?;
        let described = Described::read(file, &pem).map_err(|error| error.to_string())?;
        let chain = net::tls::chain(file, &pem).map_err(|error| error.to_string())?;
        Ok((described, chain))
    }

    fn kept(&self) -> Result<Vec<Kept>, No> {
        let Some(acme) = &self.settings.acme else { return Ok(Vec::new()) };
        let keep = Keep::new(&self.settings.data, &acme.directory);
        keep.certificates()
            .map_err(|error| No(format!("the folder of ordered certificates cannot be read: {error}")))
    }
}

/// `staple`: how it stands, and why clients may refuse the certificate for it, if they may.
fn row(described: &Described, from: &str, staple: (String, Option<&'static str>), now: i64) -> Vec<String> {
    let state = match described.not_after - now {
        ..=0 => "expired",
        _ if staple.1 == Some(REVOKED) => REVOKED,
        // One that lives shorter than that is renewed in time all the same.
        1..SOON_SECONDS if described.not_after - described.not_before > 2 * SOON_SECONDS => "expires soon",
        _ if described.not_before > now => "not valid yet",
        _ => staple.1.unwrap_or(GOOD),
    };
    cells([&described.names.join(" "), described.key, from, &date(described.not_after), &staple.0, state])
}

fn cells(texts: [&str; 6]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::ocsp::Demand;

    #[test]
    fn the_state_says_what_needs_somebody() {
        let state = |not_before, not_after| {
            let names = vec!["a.test".to_owned()];
            let described = Described {
                names,
                key: "rsa",
                not_before,
                not_after,
                demand: Demand::default(),
                leaf: Vec::new(),
            };
            let refused = match not_before / 86_400 {
                60 => Some(MUST_STAPLE),
                61 => Some(REVOKED),
                _ => None,
            };
            row(&described, "settings", (String::new(), refused), 100 * 86_400).pop().unwrap()
        };
        let day = 86_400;
        assert_eq!(state(50 * day, 140 * day), GOOD);
        assert_eq!(state(60 * day, 140 * day), "must be stapled");
        assert_eq!(state(61 * day, 140 * day), "revoked");
        assert_eq!(state(61 * day, 106 * day), "revoked", "it is worth nothing until then either");
        assert_eq!(state(50 * day, 106 * day), "expires soon");
        assert_eq!(state(99 * day, 105 * day), GOOD, "made for six days");
        assert_eq!(state(0, 100 * day), "expired");
        assert_eq!(state(101 * day, 200 * day), "not valid yet");
    }
}
