//! The DNS records of a domain for the operator: what to enter, and what resolvers say of it.
//!
//! What must hold: nothing is written but DKIM keys at first need; questions are bounded in number and time.
//! What the records are and what a difference means is said by `proto::discovery::dns`.

use super::{DnsDifference, DnsFormat, Response};
use crate::app::Settings;
use crate::certificate;
use crate::certificate::keep::{Keep, Said};
use crate::dkim;
use futures_util::stream::{self, StreamExt};
use net::acme::Proof;
use net::dns::Resolver;
use proto::discovery::dns::{
    self, Answer, Data, Difference, Fault, Issuer, Kind, Means, Question, Wanted, Weight,
};
use proto::discovery::mta_sts;
use proto::service::publish::Published;
use std::io;
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

/// The records of keys that the domain's host does not have yet.
pub(super) async fn coming(settings: &Settings, domain: &Domain) -> Result<Vec<Wanted>, String> {
    let host = Published::new(&settings.model, &domain.name, &domain.policy).host;
    let next = certificate::next_keys(settings, &host);
    let mut records = wishes(settings, domain, false).await?.own;
    records.retain(|wanted| match &wanted.record.data {
        Data::Tlsa(_, _, _, digest) => next.iter().any(|next| next.as_slice() == digest.as_slice()),
        _ => false,
    });
    Ok(records)
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
    let said = resolver.ask(&question.name, question.kind).await;
    let found = match said {
        Ok(answer) => Ok(answer.records.into_iter().map(|record| record.data).collect::<Vec<_>>()),
        Err(failed) => Err(failed.0),
    };
    // Others take no notice of TLSA without a proof. Where none can be had in time, nothing is said of it.
    let needs_proof = question.kind == Kind::Tlsa && found.as_ref().is_ok_and(|found| !found.is_empty());
    let unproven = needs_proof
        && resolver.ask_proven(&question.name, question.kind).await.is_ok_and(|answer| !answer.secure);
    Answer { question, found, unproven }
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

/// Who may make our certificates: the authority of the settings, else that of ACME if no certificate comes from a file,
/// which may be of another one.
fn authority(settings: &Settings) -> Option<Issuer> {
    let acme = settings.acme.as_ref().filter(|_| settings.certificates.is_empty());
    let keep = acme.map(|acme| Keep::new(&settings.data, &acme.directory));
    let of_acme = || called(&acme?.directory, keep.as_ref()?.said());
    let name = settings.promises.ca.clone().or_else(of_acme)?;
    let (Some(acme), Some(keep)) = (acme, keep) else {
        return Some(Issuer { name, account: None, methods: Vec::new() });
    };
    let account = keep.account().ok().flatten();
    let words = |proof: &Proof| match proof {
        Proof::Http => "http-01".to_owned(),
        Proof::TlsAlpn => "tls-alpn-01".to_owned(),
    };
    Some(Issuer {
        name,
        account: account.and_then(|kept| net::acme::account_uri(&kept)),
        methods: certificate::proofs(&settings.model, acme.proof).iter().map(words).collect(),
    })
}

/// What CAA records call the authority with this directory: as it said when it was asked last, else, if it never was, as
/// its documentation says.
fn called(directory: &str, said: io::Result<Option<Said>>) -> Option<String> {
    match said {
        Ok(Some(said)) => said.caa_identities.into_iter().next(),
        Ok(None) => known(directory).map(str::to_owned),
        Err(error) => {
            tracing::warn!(%error, "what the authority said of itself cannot be read");
            known(directory).map(str::to_owned)
        }
    }
}

/// What CAA records call the authorities behind well-known directories, as they say in their documentation: for those who
/// enter the records before the first certificate is ordered.
fn known(directory: &str) -> Option<&'static str> {
    match directory.split('/').nth(2)? {
        "acme-v02.api.letsencrypt.org" | "acme-staging-v02.api.letsencrypt.org" => Some("letsencrypt.org"),
        "dv.acme-v02.api.pki.goog" => Some("pki.goog"),
        "acme.zerossl.com" => Some("sectigo.com"),
        _ => None,
    }
}

/// What the records need and the model does not have.
fn means(settings: &Settings, published: &Published, hoster: bool) -> Result<Means, String> {
    // A hoster's customers point to one key, which is that of the host.
    let signer = if hoster { &published.host } else { &published.domain };
    let keys = dkim::keys(&settings.data, signer).map_err(|error| format!("the DKIM keys: {error}"))?;
    // Records are wanted before there is a certificate too: those of its key are left out until then.
    let certificates = certificate::at_hand(settings)
        .inspect_err(|error| tracing::warn!(%error, "no records for the certificate's key"))
        .ok();
    let covered = certificates.as_ref().is_some_and(|certificates| certificates.all.covers(&published.host));
    // Where a wildcard is bound the machine's own address may be anything, behind a translation even: it is left out.
    let bound = settings.model.listeners.iter().flat_map(|listener| &listener.addresses).copied();
    let mut addresses: Vec<_> = bound.filter(|address| net::network::is_public(*address)).collect();
    addresses.sort();
    addresses.dedup();
    let policy = settings.mta_sts(published, covered);
    Ok(Means {
        addresses,
        dkim: keys.iter().map(|key| (key.selector.clone(), key.record())).collect(),
        // A digest of a certificate that is made for another name, or of a key that goes with its certificate, would
        // only break delivery.
        key_digests: certificates.map(|c| c.lasting.key_digests(&published.host)).unwrap_or_default(),
        next_key_digests: certificate::next_keys(settings, &published.host),
        ca: authority(settings),
        dmarc_reports: settings.promises.dmarc_reports.clone(),
        tls_reports: settings.promises.tls_reports.clone(),
        mta_sts_id: policy.as_deref().map(mta_sts::id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::discovery::dns::Record;

    #[tokio::test]
    async fn what_counts_only_with_a_proof_is_asked_for_it() {
        let name = "_25._tcp.mail.test".to_owned();
        let tlsa = Record { name: name.clone(), data: Data::Tlsa(3, 1, 1, vec![7; 32]) };
        let text = Record { name: "mail.test".to_owned(), data: Data::Txt("v=spf1 -all".to_owned()) };
        // A table proves nothing.
        let resolver = Resolver::fixed(vec![tlsa, text], vec!["silent.test".to_owned()]);
        let asked = |name: &str, kind| ask(&resolver, Question { name: name.to_owned(), kind });
        assert!(asked(&name, Kind::Tlsa).await.unproven);
        assert!(!asked("mail.test", Kind::Txt).await.unproven, "the proof of others is nobody's business");
        assert!(!asked("other.test", Kind::Tlsa).await.unproven, "what is not there needs none");
        let silent = asked("silent.test", Kind::Tlsa).await;
        assert!(silent.found.is_err() && !silent.unproven);
    }

    #[test]
    fn an_authority_has_the_name_that_it_gave_itself() {
        let of = |directory: &str, said| called(directory, said);
        let (ours, theirs) = ("https://ca.test/dir", "https://acme-v02.api.letsencrypt.org/directory");
        let said = |names: &[&str]| {
            Ok(Some(Said { caa_identities: names.iter().map(|name| (*name).to_owned()).collect() }))
        };
        assert_eq!(of(ours, said(&["ca.test", "other.test"])).as_deref(), Some("ca.test"));
        assert_eq!(of(theirs, said(&["letsencrypt.example"])).as_deref(), Some("letsencrypt.example"));
        assert_eq!(of(ours, said(&[])), None);
        assert_eq!((of(ours, Ok(None)), of(theirs, Ok(None)).as_deref()), (None, Some("letsencrypt.org")));
        let damaged = Err(io::Error::from(io::ErrorKind::InvalidData));
        assert_eq!(of(theirs, damaged).as_deref(), Some("letsencrypt.org"));
    }

    #[test]
    fn well_known_authorities_have_their_names() {
        assert_eq!(known("https://acme-v02.api.letsencrypt.org/directory"), Some("letsencrypt.org"));
        assert_eq!(known("https://acme-v02.api.letsencrypt.org.evil.test/directory"), None);
        assert_eq!(known("nonsense"), None);
    }
}
