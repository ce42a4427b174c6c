//! Outlook's Autodiscover (MS-OXDISCO 3.1.5, MS-OXDSCLI): the XML at the domain's own hosts, and the JSON that leads to it.
//!
//! The XML cannot be asked for without an address; it is never sent unencrypted. The JSON answers by domain, so it gets
//! the postmaster's. Redirects come in three forms (HTTP, `RedirectUrl`, `RedirectAddr`) and count together.

use super::ask::{Asker, REDIRECTS_MAX, Reached, Request, broken, is_https, nothing};
use super::endpoints::encoded;
use crate::seen::{Looked, Outcome, Source};
use futures_util::future::join_all;
use net::dns::{Kind, a_labels};
use proto::discovery::dns::Data;
use proto::discovery::{Document, Redirect, autodiscover};

const PATH: &str = "/autodiscover/autodiscover.xml";
const REQUEST_SCHEMA: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006";

/// The places in the order in which Outlook asks them, side by side.
pub(super) async fn pox(asker: &Asker<'_>) -> Vec<Looked> {
    let endpoints = &asker.question.endpoints;
    let domain = asker.domain();
    let host = format!("autodiscover.{domain}");
    let (at_domain, at_host, by_srv) =
        tokio::join!(place(asker, endpoints.https(domain, PATH)), own_host(asker, &host), by_srv(asker),);
    std::iter::once(at_domain).chain(at_host).chain(by_srv).collect()
}

/// The domain's own host and Microsoft's; what they name is asked in turn.
pub(super) async fn json(asker: &Asker<'_>) -> Vec<Looked> {
    let endpoints = &asker.question.endpoints;
    let path = "/autodiscover/autodiscover.json?Email=%ADDRESS%&Protocol=AutodiscoverV1";
    let own = endpoints.https(&format!("autodiscover.{}", asker.domain()), path);
    let address = encoded(&asker.neutral_address());
    let urls: Vec<String> = std::iter::once(&own)
        .chain(&endpoints.autodiscover_json)
        .map(|url| url.replace("%ADDRESS%", &address))
        .collect();
    join_all(urls.into_iter().map(|url| one_json(asker, url))).await
}

async fn one_json(asker: &Asker<'_>, url: String) -> Looked {
    let row = |outcome, asked, sent_address| Looked {
        source: Source::AutodiscoverJson,
        asked,
        sent_address,
        outcome,
    };
    let came = asker.http(Request { url: &url, xml: None, first_way: true }).await;
    let document = match came.answer.map(|answer| autodiscover::parse_json(&answer.body)) {
        Err(without) => return row(without.into(), url, false),
        Ok(Err(unreadable)) => return row(Outcome::Broken(unreadable.0), url, false),
        Ok(Ok(document)) => document,
    };
    let Some(Redirect::Url(next)) = &document.redirect else {
        return row(nothing("It names no place where settings are.").into(), url, false);
    };
    let (outcome, sent_address) = walk(asker, next.clone()).await;
    // That the domain leads there is worth knowing, even if the settings are given out after a login only.
    let outcome = if matches!(outcome, Outcome::Found(_)) { outcome } else { Outcome::Found(document) };
    row(outcome, url, sent_address)
}

/// By HTTPS; and if that gives nothing, by the redirect that a web server without a certificate for this name gives
/// over HTTP (MS-OXDISCO 3.1.5.4). Nothing is sent there but the request for it.
async fn own_host(asker: &Asker<'_>, host: &str) -> Vec<Looked> {
    let endpoints = &asker.question.endpoints;
    let first = place(asker, endpoints.https(host, PATH)).await;
    if matches!(first.outcome, Outcome::Found(_)) {
        return vec![first];
    }
    let url = endpoints.http(host, PATH);
    let row = |outcome, sent_address| Looked {
        source: Source::Autodiscover,
        asked: url.clone(),
        sent_address,
        outcome,
    };
    let second = match asker.once(&url, Request::get(&url)).await {
        Ok(answer) => match answer.location.filter(|_| (300..400).contains(&answer.status)) {
            Some(location) if is_https(&location) => {
                let (outcome, sent_address) = walk(asker, location).await;
                row(outcome, sent_address)
            }
            Some(_) => row(broken("It redirects to an address that is not encrypted.").into(), false),
            None => row(nothing("It does not redirect to an encrypted address.").into(), false),
        },
        Err(no_answer) => row(Outcome::Nothing(super::ask::sentence(&no_answer.to_string())), false),
    };
    vec![first, second]
}

/// By the SRV record (MS-OXDISCO 3.1.5.5).
async fn by_srv(asker: &Asker<'_>) -> Vec<Looked> {
    let name = format!("_autodiscover._tcp.{}", asker.domain());
    // A failure of DNS is told by the other records; without this one there is nothing to tell.
    let Ok(answer) = asker.dns(&name, Kind::Srv).await else { return Vec::new() };
    let best = answer.records.into_iter().filter_map(|record| match record.data {
        Data::Srv { priority, weight, port, target } => {
            Some((priority, u16::MAX - weight, port, a_labels(&target)?))
        }
        _ => None,
    });
    let Some((_, _, port, host)) = best.min() else { return Vec::new() };
    vec![place(asker, format!("https://{host}:{port}{PATH}")).await]
}

async fn place(asker: &Asker<'_>, url: String) -> Looked {
    let (outcome, sent_address) = walk(asker, url.clone()).await;
    Looked { source: Source::Autodiscover, asked: url, sent_address, outcome }
}

/// From a URL to settings; and whether the person's address was sent on the way.
async fn walk(asker: &Asker<'_>, url: String) -> (Outcome, bool) {
    let (mut address, is_own) = asker.address();
    let mut urls = vec![url];
    let mut visited: Vec<(String, String)> = Vec::new();
    let mut sent = false;
    let mut last: Outcome = nothing("Nobody answers there.").into();
    while let Some(url) = urls.pop() {
        if !is_https(&url) {
            return (broken("It leads to an address that is not encrypted.").into(), sent);
        }
        if visited.contains(&(url.clone(), address.clone())) {
            return (broken("It redirects in a circle.").into(), sent);
        }
        if visited.len() > REDIRECTS_MAX {
            return (broken("It redirects more often than clients follow.").into(), sent);
        }
        visited.push((url.clone(), address.clone()));
        let first_way = visited.len() == 1;
        let came = asker.http(Request { url: &url, xml: Some(&request(&address)), first_way }).await;
        sent |= is_own && came.reached > Reached::No;
        let document = match came.answer.map(|answer| autodiscover::parse(&answer.body, &address)) {
            Err(without) => {
                last = without.into();
                continue;
            }
            Ok(Err(unreadable)) => {
                last = Outcome::Broken(unreadable.0);
                continue;
            }
            Ok(Ok(document)) => document,
        };
        match document.redirect.clone() {
            None => return (settings(document), sent),
            Some(Redirect::Url(next)) => urls = vec![next],
            Some(Redirect::Address(next)) => {
                let Some(domain) = next.rsplit_once('@').and_then(|(_, domain)| a_labels(domain)) else {
                    return (broken("It redirects to an address that is none.").into(), sent);
                };
                // The last is asked first.
                let endpoints = &asker.question.endpoints;
                urls = vec![
                    endpoints.https(&domain, PATH),
                    endpoints.https(&format!("autodiscover.{domain}"), PATH),
                ];
                address = next;
            }
        }
    }
    (last, sent)
}

/// A document for Exchange alone has nothing for IMAP, POP3 or SMTP.
fn settings(document: Document) -> Outcome {
    if document.incoming.is_empty() && document.outgoing.is_empty() {
        return nothing("It names no server for IMAP, POP3 or SMTP.").into();
    }
    Outcome::Found(document)
}

/// MS-OXDSCLI 2.2.3.
fn request(address: &str) -> String {
    let address = address.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover xmlns=\"{REQUEST_SCHEMA}\"><Request>\
         <EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{}</AcceptableResponseSchema>\
         </Request></Autodiscover>",
        autodiscover::OUTLOOK_SCHEMA
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_request_is_what_servers_read() {
        for address in ["me@example.org", "a&b@example.org"] {
            let request = autodiscover::request(request(address).as_bytes()).expect("a request");
            assert_eq!(request.address, address);
            assert!(request.accepts_outlook());
        }
    }
}
