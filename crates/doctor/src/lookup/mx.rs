//! MX records (RFC 5321 5.1): which hosts take the domain's mail.

use super::ask::{Asker, nothing};
use crate::seen::{Looked, Outcome, Source};
use net::dns::{Kind, a_labels};
use proto::discovery::Document;
use proto::discovery::dns::Data;

/// Hosts that are kept.
const HOSTS_MAX: usize = 16;

/// The row, and the hosts, best first.
pub(super) async fn mx(asker: &Asker<'_>) -> (Looked, Vec<String>) {
    let (outcome, hosts) = match asker.dns(asker.domain(), Kind::Mx).await {
        Err(without) => (without.into(), Vec::new()),
        Ok(answer) if answer.no_such_name => (nothing("The domain does not exist.").into(), Vec::new()),
        Ok(answer) => judged(answer.records.into_iter().map(|record| record.data)),
    };
    (Looked { source: Source::Mx, asked: asker.domain().to_owned(), sent_address: false, outcome }, hosts)
}

fn judged(records: impl Iterator<Item = Data>) -> (Outcome, Vec<String>) {
    let mut named: Vec<(u16, String)> = records
        .filter_map(|data| match data {
            Data::Mx { preference, host } => Some((preference, host)),
            _ => None,
        })
        .collect();
    named.sort();
    if named.is_empty() {
        return (
            nothing("The domain has no MX record; mail for it goes to the host of the same name.").into(),
            Vec::new(),
        );
    }
    // RFC 7505 3: a null MX stands alone.
    if named.iter().all(|(_, host)| host.is_empty()) {
        return (nothing("The domain says that it takes no mail (null MX).").into(), Vec::new());
    }
    let mut document = Document::default();
    let mut hosts = Vec::new();
    for (_, host) in named {
        match a_labels(&host) {
            Some(host) if host.parse::<std::net::IpAddr>().is_err() => {
                if !hosts.contains(&host) && hosts.len() < HOSTS_MAX {
                    hosts.push(host);
                }
            }
            // RFC 5321 5.1: a name, and nothing else.
            _ => document.remarks.push("An MX record names something that is no host.".to_owned()),
        }
    }
    document.remarks.dedup();
    if hosts.is_empty() {
        return (Outcome::Broken("The MX records name no host.".to_owned()), hosts);
    }
    (Outcome::Found(document), hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(records: &[(u16, &str)]) -> (Outcome, Vec<String>) {
        judged(
            records
                .iter()
                .map(|(preference, host)| Data::Mx { preference: *preference, host: (*host).into() }),
        )
    }

    #[test]
    fn the_best_host_comes_first() {
        let (outcome, found) =
            hosts(&[(20, "b.example"), (10, "a.example"), (20, "a.example"), (5, "192.0.2.1")]);
        assert_eq!(found, ["a.example", "b.example"]);
        assert!(matches!(outcome, Outcome::Found(document) if document.remarks.len() == 1));
    }

    #[test]
    fn no_mx_and_null_mx_are_said() {
        for (records, words) in [(&[] as &[_], "no MX record"), (&[(0, "")], "null MX")] {
            let (outcome, found) = hosts(records);
            assert!(found.is_empty());
            assert!(matches!(outcome, Outcome::Nothing(why) if why.contains(words)));
        }
        assert!(matches!(hosts(&[(1, "a b")]), (Outcome::Broken(_), found) if found.is_empty()));
    }
}
