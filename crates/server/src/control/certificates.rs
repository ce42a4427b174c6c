//! The operator's commands about certificates: what there is, what is missing, and renewal before its time.

use super::Response;
use super::operator::{No, Operator};
use crate::certificate;
use crate::certificate::keep::{Keep, Kept};
use crate::certificate::staple::{MUST_STAPLE, REVOKED, Shelf};
use crate::certificate::{at_once, date};
use crate::clock::unix_now;
use crate::publish::Domains;
use net::tls::{CertificateDer, Described};
use std::collections::HashSet;
use std::path::Path;

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

    /// Leaves the wish for the running service.
    pub(super) fn renew_certificates(&self, name: Option<String>, new_key: bool) -> Result<Response, No> {
        if self.settings.acme.is_none() {
            return Err(No(
                "no certificate is ordered by these settings: there is no [acme] in them".to_owned()
            ));
        }
        let Some(wishes) = &self.wishes else {
            return Err(No(
                "certificates are ordered by the running service, and none runs; it renews them by itself \
                           once it is started"
                    .to_owned(),
            ));
        };
        let known: HashSet<String> = self.kept()?.into_iter().map(|kept| kept.name).collect();
        let names: Vec<String> = match name {
            Some(name) => vec![name.to_ascii_lowercase()],
            None => known.into_iter().collect(),
        };
        let text = match names.as_slice() {
            [] => return Err(No("no certificate was ordered yet".to_owned())),
            [one] => format!("A certificate for {one} is being ordered."),
            several => format!("Certificates for {} names are being ordered.", several.len()),
        };
        wishes.renew(names, new_key);
        Ok(Response::Done {
            text: format!("{text} What becomes of it: sealpost certificate list, and the log."),
        })
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
