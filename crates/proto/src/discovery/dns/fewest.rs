//! The least records for one customer's domain among hundreds, and what the hoster's own zone has once.
//!
//! What changes (keys, policies, addresses) stands in the hoster's zone; a customer's
//! zone only points there and is entered once. One wildcard covers all names under
//! which clients and servers ask for settings and policies; certificates for them are
//! made when they are first asked for. The digest that PACC demands is each domain's own and changes with the service,
//! so it is not among the fewest, and clients of customers' domains use the other ways.

use super::records::{self, List};
use super::{Data, Means, Wanted, Weight, policies};
use crate::service::publish::Published;

/// The two halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fewest {
    /// In the zone of the customer's domain.
    pub customer: Vec<Wanted>,
    /// In the hoster's own zone, once for all customers.
    pub once: Vec<Wanted>,
}

/// The fewest records of one customer's domain.
#[must_use]
pub fn fewest(published: &Published, means: &Means) -> Fewest {
    Fewest { customer: customer(published, means), once: once(published, means) }
}

fn customer(published: &Published, means: &Means) -> Vec<Wanted> {
    let (domain, host) = (&published.domain, &published.host);
    let mut list = List::default();
    if published.receives {
        let mx = Data::Mx { preference: records::MX_PREFERENCE, host: host.clone() };
        list.add(Weight::Needed, domain, mx, "Other servers bring the domain's mail here.");
    }
    list.add(
        Weight::Needed,
        domain,
        Data::Txt(format!("v=spf1 redirect=_spf.{host}")),
        "Says that the hoster's list of sending servers is the domain's too (SPF).",
    );
    for (selector, _) in &means.dkim {
        list.add(
            Weight::Needed,
            format!("{selector}._domainkey.{domain}"),
            Data::Cname(format!("{selector}._domainkey.{host}")),
            "Points to the public key of the signatures (DKIM), which the hoster can then change.",
        );
    }
    if published.web.is_some() {
        list.add(
            Weight::Advised,
            format!("*.{domain}"),
            Data::Cname(host.clone()),
            "Covers autoconfig, autodiscover, ua-auto-config, mta-sts and mail at once; names that exist, such as www, are not touched.",
        );
    }
    let mut point = |label: &str, why| {
        let (from, to) = (format!("{label}.{domain}"), format!("{label}.{host}"));
        list.add(Weight::Advised, from, Data::Cname(to), why);
    };
    point("_dmarc", "Points to the hoster's policy for forged mail (DMARC).");
    if published.receives && means.mta_sts_id.is_some() {
        point("_mta-sts", "Points to the id of the MTA-STS policy (RFC 8461 8.2).");
    }
    if published.receives && means.tls_reports.is_some() {
        point("_smtp._tls", "Points to where reports on encryption go (TLS-RPT).");
    }
    list.done()
}

fn once(published: &Published, means: &Means) -> Vec<Wanted> {
    let host = &published.host;
    let mut list = List::default();
    records::host(&mut list, published, means);
    list.add(
        Weight::Needed,
        format!("_spf.{host}"),
        Data::Txt(format!("v=spf1 a:{host} -all")),
        "The list of sending servers to which all customers point (SPF).",
    );
    policies::host(&mut list, published);
    for (selector, text) in &means.dkim {
        list.add(
            Weight::Needed,
            format!("{selector}._domainkey.{host}"),
            Data::Txt(text.clone()),
            "The public key to which all customers point (DKIM).",
        );
    }
    list.add(
        Weight::Advised,
        format!("_dmarc.{host}"),
        Data::Txt(policies::dmarc(means)),
        "The policy to which all customers point (DMARC).",
    );
    if let Some((_, domain)) = means.dmarc_reports.as_ref().and_then(|to| to.rsplit_once('@')) {
        list.add(
            Weight::Advised,
            format!("*._report._dmarc.{domain}"),
            Data::Txt("v=DMARC1".to_owned()),
            "Agrees that reports about customers' domains come here (RFC 7489 7.1).",
        );
    }
    if published.receives {
        if let Some(id) = &means.mta_sts_id {
            list.add(
                Weight::Advised,
                format!("_mta-sts.{host}"),
                Data::Txt(policies::mta_sts(id)),
                "The id of the MTA-STS policy to which all customers point.",
            );
        }
        if let Some(reports) = &means.tls_reports {
            list.add(
                Weight::Advised,
                format!("_smtp._tls.{host}"),
                Data::Txt(policies::tls_rpt(reports)),
                "Where reports on encryption go, to which all customers point (TLS-RPT).",
            );
        }
    }
    records::host_keys(&mut list, published, means);
    list.done()
}
