//! The DNS records of a domain for the operator: what to enter, and what resolvers say of it.
//!
//! What must hold: nothing is written but DKIM keys at first need; questions are bounded in number and time.
//! What the records are and what a difference means is said by `proto::discovery::dns`.

use super::{DnsDifference, DnsFormat, Response};
use crate::app::Settings;
use crate::dkim;
use futures_util::stream::{self, StreamExt};
use net::dns::Resolver;
use proto::discovery::dns::{self, Answer, Difference, Fault, Means, Question, Wanted, Weight};
use proto::discovery::mta_sts;
use proto::service::publish::Published;
use std::net::SocketAddr;
use std::time::Duration;
use store::system::directory::Domain;

/// For each question.
const ANSWER_TIME: Duration = Duration::from_secs(6);
/// Questions at a time.
const QUESTIONS_AT_ONCE: usize = 64;
/// Rounds of further questions (what SPF records include), each of which asks many at once.
const ROUNDS_MAX: usize = 12;

/// The records of a domain: all of its own, or the fewest of a customer's domain and what the hoster has once.
pub(super) struct Wishes {
    own: Vec<Wanted>,
    once: Vec<Wanted>,
}

/// What the domain should have. `hoster`: its zone is a customer's, and points to the service's host for what changes.
pub(super) async fn wishes(settings: &Settings, domain: &Domain, hoster: bool) -> Result<Wishes, String> {
    let published = Published::new(&settings.model, &domain.name, &domain.policy);
    let settings = settings.clone();
    // Keys are made and files read: not on an async thread.
    let work = tokio::task::spawn_blocking(move || {
        let means = means(&settings, &published, hoster)?;
        Ok(if hoster {
            let fewest = dns::fewest(&published, &means);
            Wishes { own: fewest.customer, once: fewest.once }
        } else {
            Wishes { own: dns::records(&published, &means), once: Vec::new() }
        })
    });
    work.await.map_err(|error| format!("the records could not be worked out: {error}"))?
}

/// The records as text.
pub(super) fn written(wishes: &Wishes, format: DnsFormat) -> String {
    let write = |records: &[Wanted]| match format {
        DnsFormat::Zone => dns::zone(records),
        DnsFormat::Json => dns::json(records),
        DnsFormat::Table => dns::table(records),
    };
    if wishes.once.is_empty() {
        return write(&wishes.own);
    }
    match format {
        DnsFormat::Json => {
            let all: Vec<Wanted> = wishes.own.iter().chain(&wishes.once).cloned().collect();
            write(&all)
        }
        DnsFormat::Zone => format!(
            "; In the zone of the customer's domain\n{}\n; In the hoster's own zone, once for all customers\n{}",
            write(&wishes.own),
            write(&wishes.once)
        ),
        DnsFormat::Table => format!(
            "In the zone of the customer's domain:\n\n{}\n\nIn the hoster's own zone, once for all customers:\n\n{}",
            write(&wishes.own),
            write(&wishes.once)
        ),
    }
}

/// Asks what resolvers say, and explains the differences.
pub(super) async fn checked(wishes: &Wishes, server: Option<SocketAddr>) -> Result<Response, String> {
    let resolver = match server {
        Some(server) => Resolver::at(server, ANSWER_TIME),
        None => Resolver::system(ANSWER_TIME).map_err(|failed| failed.0)?,
    };
    let wanted: Vec<Wanted> = wishes.own.iter().chain(&wishes.once).cloned().collect();
    let mut answers: Vec<Answer> = Vec::new();
    let mut questions = dns::questions(&wanted);
    for _ in 0..ROUNDS_MAX {
        if questions.is_empty() {
            break;
        }
        let asking = questions.into_iter().map(|question| ask(&resolver, question));
        let said: Vec<Answer> = stream::iter(asking).buffered(QUESTIONS_AT_ONCE).collect().await;
        answers.extend(said);
        // What was not answered is open still, and is not asked again.
        questions = dns::further(&wanted, &answers);
        questions.retain(|question| answers.iter().all(|answer| answer.question != *question));
    }
    let differences = dns::compare(&wanted, &answers).into_iter().map(told).collect();
    Ok(Response::DnsChecked { records: wanted.len(), differences })
}

async fn ask(resolver: &Resolver, question: Question) -> Answer {
    let found = match resolver.ask(&question.name, question.kind).await {
        Ok(answer) => Ok(answer.records.into_iter().map(|record| record.data).collect()),
        Err(failed) => Err(failed.0),
    };
    Answer { question, found }
}

fn told(difference: Difference) -> DnsDifference {
    DnsDifference {
        name: difference.name,
        needed: difference.weight == Weight::Needed,
        unknown: difference.fault == Fault::Unknown,
        text: difference.text,
        remedy: difference.remedy,
    }
}

/// What the records need and the model does not have.
fn means(settings: &Settings, published: &Published, hoster: bool) -> Result<Means, String> {
    // A hoster's customers point to one key, which is that of the host.
    let signer = if hoster { &published.host } else { &published.domain };
    let keys = dkim::keys(&settings.data, signer).map_err(|error| format!("the DKIM keys: {error}"))?;
    // Records are wanted before there is a certificate too: those of its key are left out until then.
    let certificates = match net::tls::Certificates::load(settings.certificates.clone()) {
        Ok(certificates) => Some(certificates),
        Err(error) => {
            tracing::warn!(%error, "no records for the certificate's key");
            None
        }
    };
    let certificates = certificates.filter(|certificates| certificates.covers(&published.host));
    // Where a wildcard is bound the machine's own address may be anything, behind a translation even: it is left out.
    let bound = settings.model.listeners.iter().flat_map(|listener| &listener.addresses).copied();
    let mut addresses: Vec<_> = bound.filter(|address| net::network::is_public(*address)).collect();
    addresses.sort();
    addresses.dedup();
    let policy = published.web.as_ref().and_then(|_| mta_sts::render(published, certificates.is_some()));
    Ok(Means {
        addresses,
        dkim: keys.iter().map(|key| (key.selector.clone(), key.record())).collect(),
        // A digest of a certificate that is made for another name would only break delivery.
        key_digests: certificates.as_ref().map(|c| c.key_digests(&published.host)).unwrap_or_default(),
        ca: None,
        reports: None,
        mta_sts_id: policy.as_deref().map(mta_sts::id),
    })
}
