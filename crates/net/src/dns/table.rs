//! Answers from a table, for tests.

use super::{Answer, Failed, Kind};
use proto::discovery::dns::{Data, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a silent name is waited for: a resolver whose time is over, without making tests slow.
const SILENCE: Duration = Duration::from_millis(50);
/// CNAMEs that are followed.
const CNAMES_MAX: usize = 8;

/// Records by name.
pub(super) struct Table {
    records: BTreeMap<String, Vec<Data>>,
    silent: BTreeSet<String>,
}

impl Table {
    pub(super) fn new(records: Vec<Record>, silent: Vec<String>) -> Table {
        let mut table = BTreeMap::<String, Vec<Data>>::new();
        for record in records {
            table.entry(record.name.to_ascii_lowercase()).or_default().push(record.data);
        }
        for data in table.values_mut() {
            // IPv6 before IPv4, as the network's face answers.
            data.sort_by_key(|data| matches!(data, Data::Address(address) if address.is_ipv4()));
        }
        Table { records: table, silent: silent.into_iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    pub(super) async fn ask(&self, name: &str, kind: Kind) -> Result<Answer, Failed> {
        let mut at = name;
        for _ in 0..CNAMES_MAX {
            if self.silent.contains(at) {
                tokio::time::sleep(SILENCE).await;
                return Err(Failed(format!("no answer for {at} in time")));
            }
            let Some(data) = self.records.get(at) else {
                let below = format!(".{at}");
                let no_such_name = !self.records.keys().any(|name| name.ends_with(&below));
                return Ok(Answer { no_such_name, ..Answer::default() });
            };
            let cname = data.iter().find_map(|data| match data {
                Data::Cname(target) if kind != Kind::Cname => Some(target),
                _ => None,
            });
            if let Some(target) = cname {
                at = target;
                continue;
            }
            let of_kind = data.iter().filter(|data| data.kind() == kind);
            let records = of_kind.map(|data| Record { name: name.to_owned(), data: data.clone() }).collect();
            return Ok(Answer { records, ..Answer::default() });
        }
        Err(Failed(format!("{name} is an endless chain of CNAME records")))
    }
}
