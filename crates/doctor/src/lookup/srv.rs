//! SRV records (RFC 6186 3, RFC 8314 5.1).

use super::ask::{Asker, Without};
use crate::seen::{Looked, Outcome, Source};
use futures_util::future::join_all;
use net::dns::{self, Kind, a_labels};
use proto::discovery::dns::{Data, SERVICES, Service};
use proto::discovery::{Document, ENDPOINTS_MAX};
use proto::service::Protocol;
use proto::service::publish::{Authentication, Endpoint, UserForm};

/// One row for all six names.
pub(super) async fn srv(asker: &Asker<'_>) -> Vec<Looked> {
    let domain = asker.domain();
    let names: Vec<String> = SERVICES.iter().map(|service| format!("{}.{domain}", service.label)).collect();
    let answers = join_all(names.iter().map(|name| asker.dns(name, Kind::Srv))).await;
    let outcome = judged(SERVICES.iter().zip(answers));
    vec![Looked { source: Source::Srv, asked: names.join(", "), sent_address: false, outcome }]
}

fn judged<'a>(answers: impl Iterator<Item = (&'a Service, Result<dns::Answer, Without>)>) -> Outcome {
    let mut document = Document::default();
    let mut unanswered = None;
    let mut rows: Vec<((u16, usize, u16), Endpoint)> = Vec::new();
    for (place, (service, answer)) in answers.enumerate() {
        let records = match answer {
            Ok(answer) => answer.records,
            Err(without) => {
                unanswered = Some(without);
                continue;
            }
        };
        for record in records {
            let Data::Srv { priority, weight, port, target } = record.data else { continue };
            if target.is_empty() {
                let name = service.label;
                document.remarks.push(format!("{name}: the domain says that it does not offer this."));
                continue;
            }
            match a_labels(&target) {
                Some(host) if port != 0 && rows.len() < ENDPOINTS_MAX => {
                    // Heavier first among equals (RFC 2782), so the weight is turned around.
                    rows.push(((priority, place, u16::MAX - weight), endpoint(service, host, port)));
                }
                _ => document.remarks.push(format!("{}: the record names no usable host.", service.label)),
            }
        }
    }
    rows.sort_by_key(|(order, _)| *order);
    for (_, row) in rows {
        match row.protocol {
            Protocol::Submission => document.outgoing.push(row),
            _ => document.incoming.push(row),
        }
    }
    let is_empty = document.incoming.is_empty() && document.outgoing.is_empty();
    match unanswered {
        Some(without) if is_empty => without.into(),
        _ if is_empty && document.remarks.is_empty() => {
            Outcome::Nothing("The domain has no SRV records for mail programs.".to_owned())
        }
        _ => Outcome::Found(document),
    }
}

/// The records say nothing of how to log in: clients begin with the full address (RFC 6186 4) and a password.
fn endpoint(service: &Service, host: String, port: u16) -> Endpoint {
    Endpoint {
        protocol: service.protocol,
        host,
        port,
        protection: service.protection,
        authentication: vec![Authentication::Password],
        user: UserForm::Address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::discovery::dns::Record;

    fn answer(records: &[(u16, u16, u16, &str)]) -> Result<dns::Answer, Without> {
        let record = |&(priority, weight, port, target): &(u16, u16, u16, &str)| Record {
            name: String::new(),
            data: Data::Srv { priority, weight, port, target: target.to_owned() },
        };
        Ok(dns::Answer { records: records.iter().map(record).collect(), ..dns::Answer::default() })
    }

    fn judge(answers: Vec<Result<dns::Answer, Without>>) -> Outcome {
        judged(SERVICES.iter().zip(answers))
    }

    #[test]
    fn priority_comes_before_protection_and_weight_last() {
        let outcome = judge(vec![
            answer(&[
                (10, 0, 993, "slow.example"),
                (0, 1, 993, "light.example"),
                (0, 9, 993, "heavy.example"),
            ]),
            answer(&[(0, 0, 143, "start.example")]),
            answer(&[(0, 0, 0, "")]),
            answer(&[]),
            answer(&[(0, 0, 465, "out.example")]),
            answer(&[(0, 0, 0, "no-port.example"), (0, 0, 587, "a b")]),
        ]);
        let Outcome::Found(document) = outcome else { panic!("{outcome:?}") };
        let hosts: Vec<&str> = document.incoming.iter().map(|row| row.host.as_str()).collect();
        assert_eq!(hosts, ["heavy.example", "light.example", "start.example", "slow.example"]);
        assert_eq!(document.outgoing.len(), 1);
        assert_eq!(document.remarks.len(), 3, "{:?}", document.remarks);
    }

    #[test]
    fn no_records_are_nothing_and_silence_is_not() {
        assert!(matches!(judge(vec![answer(&[])]), Outcome::Nothing(_)));
        let silent = || Err(Without::Broken("DNS did not answer.".into()));
        assert!(matches!(judge(vec![answer(&[]), silent()]), Outcome::Broken(_)));
        let found = judge(vec![silent(), answer(&[(0, 0, 143, "a.example")])]);
        assert!(matches!(found, Outcome::Found(document) if document.incoming.len() == 1));
        // All closed is something that the domain says.
        assert!(matches!(judge(vec![answer(&[(0, 0, 0, "")])]), Outcome::Found(_)));
    }
}
