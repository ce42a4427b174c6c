//! What the domain's mail promises to others: SPF, DKIM, DMARC, MTA-STS, TLS-RPT.

use super::records::List;
use super::{Data, Means, Weight};
use crate::service::publish::Published;

/// Who may send for the domain.
pub(super) fn sender(list: &mut List, published: &Published, means: &Means) {
    let domain = &published.domain;
    list.add(
        Weight::Needed,
        domain,
        Data::Txt(spf(published)),
        "Says which servers may send mail of the domain (SPF); without it much of it is refused.",
    );
    host(list, published);
    for (selector, text) in &means.dkim {
        list.add(
            Weight::Needed,
            format!("{selector}._domainkey.{domain}"),
            Data::Txt(text.clone()),
            "The public key of the signatures on the domain's mail (DKIM).",
        );
    }
    list.add(
        Weight::Advised,
        format!("_dmarc.{domain}"),
        Data::Txt(dmarc(means)),
        "Says what receivers do with mail that only pretends to be of the domain (DMARC).",
    );
    let elsewhere = means.dmarc_reports.as_deref().and_then(|to| to.rsplit_once('@')).map(|(_, at)| at);
    if let Some(at) = elsewhere.filter(|at| at != domain) {
        list.add(
            Weight::Advised,
            format!("{domain}._report._dmarc.{at}"),
            Data::Txt("v=DMARC1".to_owned()),
            "Agrees that reports about this domain come there (RFC 7489 7.1).",
        );
    }
}

/// SPF of the host's own name, which is what HELO says (RFC 7208 2.3).
pub(super) fn host(list: &mut List, published: &Published) {
    if published.host != published.domain {
        list.add(
            Weight::Advised,
            &published.host,
            Data::Txt("v=spf1 a -all".to_owned()),
            "The same for the name that the server says in HELO (SPF).",
        );
    }
}

fn spf(published: &Published) -> String {
    if published.receives { "v=spf1 mx -all".to_owned() } else { format!("v=spf1 a:{} -all", published.host) }
}

/// Without signatures a strict policy would hit the domain's own forwarded mail.
pub(super) fn dmarc(means: &Means) -> String {
    let policy = if means.dkim.is_empty() { "none" } else { "quarantine" };
    let mut out = format!("v=DMARC1; p={policy}");
    if let Some(reports) = &means.dmarc_reports {
        out.push_str("; rua=mailto:");
        out.push_str(reports);
    }
    out
}

/// How other servers bring mail here.
pub(super) fn transport(list: &mut List, published: &Published, means: &Means) {
    let domain = &published.domain;
    if !published.receives {
        return;
    }
    if let Some(id) = &means.mta_sts_id {
        list.add(
            Weight::Advised,
            format!("_mta-sts.{domain}"),
            Data::Txt(mta_sts(id)),
            "Other servers then insist on encryption (MTA-STS); it changes with every change of the policy.",
        );
    }
    if let Some(reports) = &means.tls_reports {
        list.add(
            Weight::Advised,
            format!("_smtp._tls.{domain}"),
            Data::Txt(tls_rpt(reports)),
            "Other servers report where encryption failed (TLS-RPT).",
        );
    }
}

pub(super) fn mta_sts(id: &str) -> String {
    format!("v=STSv1; id={id}")
}

pub(super) fn tls_rpt(reports: &str) -> String {
    format!("v=TLSRPTv1; rua=mailto:{reports}")
}
