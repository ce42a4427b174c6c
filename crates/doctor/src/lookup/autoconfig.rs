//! Thunderbird's autoconfig (draft-ietf-mailmaint-autoconfig-06 section 4): at the domain, in the public database, by the domain of the MX.
//!
//! The draft lets clients send the address to the domain's own host (URL 1.1). It is sent only where that host gives no document
//! without it; the other places never get it.

use super::ask::{Asker, Came, Reached, Request};
use super::endpoints::encoded;
use super::not_asked;
use crate::seen::{Looked, Outcome, Source};
use futures_util::future::join_all;
use proto::discovery::autoconfig;

const PATH: &str = "/mail/config-v1.1.xml";
const WELL_KNOWN_PATH: &str = "/.well-known/autoconfig/mail/config-v1.1.xml";
/// What is wrong with a document that came in clear.
const IN_CLEAR: &str =
    "It came over a connection that is not encrypted: anybody on the way could have changed it.";

/// URLs 1.1, 1.2 and, if neither gives a document, 1.3, which is not encrypted.
pub(super) async fn by_domain(asker: &Asker<'_>) -> Vec<Looked> {
    let endpoints = &asker.question.endpoints;
    let domain = asker.domain();
    let host = format!("autoconfig.{domain}");
    let well_known = endpoints.https(domain, WELL_KNOWN_PATH);
    let (own, well_known) =
        tokio::join!(own_host(asker, &host), one(asker, Source::WellKnown, well_known, true));
    let mut rows = vec![own, well_known];
    if !rows.iter().any(is_found) {
        let mut row = one(asker, Source::Autoconfig, endpoints.http(&host, PATH), false).await;
        if let Outcome::Found(document) = &mut row.outcome {
            document.remarks.insert(0, IN_CLEAR.to_owned());
        }
        rows.push(row);
    }
    rows
}

/// The domain in the public database.
pub(super) async fn by_database(asker: &Asker<'_>) -> Vec<Looked> {
    database(asker, Source::IspDb, asker.domain()).await
}

/// Both by the domain of the MX: the host without its first label, and the registered domain.
pub(super) async fn by_mx(asker: &Asker<'_>, host: Option<&str>) -> Vec<Looked> {
    let Some(host) = host else { return vec![not_asked(Source::AutoconfigMx, "The domain has no MX host.")] };
    let domains: Vec<String> =
        domains_of(host).into_iter().filter(|domain| domain != asker.domain()).collect();
    if domains.is_empty() {
        return vec![not_asked(Source::AutoconfigMx, "The MX host belongs to the domain itself.")];
    }
    let endpoints = &asker.question.endpoints;
    let asking = domains.iter().map(|domain| async move {
        let at = endpoints.https(&format!("autoconfig.{domain}"), PATH);
        let own = one(asker, Source::AutoconfigMx, at, false);
        let database = async {
            if asker.question.sources.ispdb {
                database(asker, Source::AutoconfigMx, domain).await
            } else {
                Vec::new()
            }
        };
        let (own, database) = tokio::join!(own, database);
        std::iter::once(own).chain(database).collect::<Vec<_>>()
    });
    join_all(asking).await.into_iter().flatten().collect()
}

/// `MXFULLDOMAIN` and `MXBASEDOMAIN` of the draft (4.3), the longer first. A public suffix such as `co.uk` is nobody's.
fn domains_of(host: &str) -> Vec<String> {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Vec::new();
    }
    let Some(base) = psl::domain_str(host) else { return Vec::new() };
    let full = host.split_once('.').map(|(_, rest)| rest).filter(|full| full.len() > base.len());
    full.into_iter().chain([base]).map(str::to_owned).collect()
}

/// URL 1.1: without the address, and with it if a web server is there that gives no document without.
async fn own_host(asker: &Asker<'_>, host: &str) -> Looked {
    let url = asker.question.endpoints.https(host, PATH);
    let came = asker.http(Request { url: &url, xml: None, first_way: true }).await;
    let answered = came.reached == Reached::Answered;
    let row = row(asker, Source::Autoconfig, url.clone(), came);
    let Some(address) = asker.question.address.as_deref() else { return row };
    if !answered || is_found(&row) {
        return row;
    }
    let came = asker.http(Request::get(&format!("{url}?emailaddress={}", encoded(address)))).await;
    let sent_address = came.reached > Reached::No;
    Looked { sent_address, ..self::row(asker, Source::Autoconfig, url, came) }
}

async fn database(asker: &Asker<'_>, source: Source, domain: &str) -> Vec<Looked> {
    let mut rows = Vec::new();
    for base in &asker.question.endpoints.isp_databases {
        let row = one(asker, source, format!("{base}{domain}"), rows.is_empty()).await;
        let found = is_found(&row);
        rows.push(row);
        if found {
            break;
        }
    }
    rows
}

async fn one(asker: &Asker<'_>, source: Source, url: String, first_way: bool) -> Looked {
    let came = asker.http(Request { url: &url, xml: None, first_way }).await;
    row(asker, source, url, came)
}

/// What came, read as a client of this person reads it.
fn row(asker: &Asker<'_>, source: Source, asked: String, came: Came) -> Looked {
    let outcome = match came.answer {
        Err(without) => without.into(),
        Ok(answer) => match autoconfig::parse(&answer.body, asker.question.address.as_deref()) {
            Ok(document) => Outcome::Found(document),
            Err(unreadable) => Outcome::Broken(unreadable.0),
        },
    };
    Looked { source, asked, sent_address: false, outcome }
}

fn is_found(row: &Looked) -> bool {
    matches!(row.outcome, Outcome::Found(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_an_mx_is_somebodys() {
        for (host, domains) in [
            ("mx.example.com", &["example.com"] as &[&str]),
            ("mx.example.co.uk", &["example.co.uk"]),
            ("mx.premium.europe.example.com", &["premium.europe.example.com", "example.com"]),
            ("example.com", &["example.com"]),
            ("co.uk", &[]),
            ("localhost", &[]),
            ("192.0.2.1", &[]),
        ] {
            assert_eq!(domains_of(host), domains, "{host}");
        }
    }
}
