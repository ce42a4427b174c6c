//! PACC (draft-ietf-mailmaint-pacc): one document for all users, and a digest of it in DNS.

use super::ask::{Asker, Request, Without};
use crate::seen::{Looked, Outcome, Source};
use net::dns::{self, Kind};
use proto::discovery::dns::Data;
use proto::discovery::{Document, pacc};

/// Never sends the address: the document is the same for everybody.
pub(super) async fn pacc(asker: &Asker<'_>) -> Vec<Looked> {
    let domain = asker.domain();
    let host = format!("ua-auto-config.{domain}");
    let url = asker.question.endpoints.https(&host, "/.well-known/user-agent-configuration.json");
    let digest_at = format!("_ua-auto-config.{domain}");
    let (came, digests) = tokio::join!(asker.http(Request::get(&url)), asker.dns(&digest_at, Kind::Txt));
    let outcome = match came.answer {
        Err(without) => without.into(),
        Ok(answer) => match pacc::parse(&answer.body) {
            Err(unreadable) => Outcome::Broken(unreadable.0),
            Ok(document) => checked(document, &answer.body, &digest_at, digests),
        },
    };
    vec![Looked { source: Source::Pacc, asked: url, sent_address: false, outcome }]
}

/// A document that differs from its digest is not used by any client. One without a digest may be by some, and tells the
/// settings in any case.
fn checked(
    mut document: Document,
    octets: &[u8],
    digest_at: &str,
    digests: Result<dns::Answer, Without>,
) -> Outcome {
    let records = match digests {
        Ok(answer) => answer.records,
        Err(_) => {
            document.remarks.push(format!("Its digest at {digest_at} could not be asked for."));
            return Outcome::Found(document);
        }
    };
    let verdicts: Vec<bool> = records
        .iter()
        .filter_map(|record| match &record.data {
            Data::Txt(text) => pacc::digest_matches(text, octets),
            _ => None,
        })
        .collect();
    if verdicts.is_empty() {
        document
            .remarks
            .push(format!("There is no digest of it at {digest_at}, without which clients may not take it."));
    } else if !verdicts.contains(&true) {
        return Outcome::Broken(format!(
            "The document is not the one whose digest stands at {digest_at}: one of the two is outdated, or somebody \
             changed the document."
        ));
    }
    Outcome::Found(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::discovery::dns::Record;

    #[test]
    fn a_document_that_differs_from_its_digest_is_not_used() {
        let octets = b"{}";
        let record =
            |text: String| Record { name: "_ua-auto-config.example.org".into(), data: Data::Txt(text) };
        let answer = |texts: &[String]| {
            Ok(dns::Answer { records: texts.iter().cloned().map(record).collect(), ..dns::Answer::default() })
        };
        let (good, bad) = (pacc::digest_record(octets), pacc::digest_record(b"[]"));
        let outcome = |digests| checked(Document::default(), octets, "_x", digests);
        assert!(
            matches!(outcome(answer(std::slice::from_ref(&good))), Outcome::Found(d) if d.remarks.is_empty())
        );
        assert!(matches!(outcome(answer(&[bad.clone(), good])), Outcome::Found(d) if d.remarks.is_empty()));
        assert!(matches!(outcome(answer(&[bad])), Outcome::Broken(_)));
        assert!(matches!(outcome(answer(&["v=spf1".into()])), Outcome::Found(d) if d.remarks.len() == 1));
        assert!(matches!(outcome(answer(&[])), Outcome::Found(d) if d.remarks.len() == 1));
        assert!(
            matches!(outcome(Err(Without::Broken("x".into()))), Outcome::Found(d) if d.remarks.len() == 1)
        );
    }
}
