//! TXT records: each kind is recognised by how it begins, and texts of others are passed over.

use super::{Fault, Place, Report, Said, replace};
use crate::discovery::dns::spf::{self, Spf};
use crate::discovery::dns::{Data, Kind, Weight};
use crate::discovery::shown;
use std::net::IpAddr;

/// One group of wanted texts; there is one per name.
pub(super) fn txt(report: &mut Report<'_>, place: Place<'_>, wanted: &[&Data], found: &[Data]) {
    let texts: Vec<&str> = found.iter().filter_map(text).collect();
    for data in wanted {
        let Some(ours) = text(data) else { continue };
        if spf::is_spf(ours) {
            spf_record(report, place, data, &texts);
        } else {
            tagged(report, place, data, ours, &texts);
        }
    }
}

fn text(data: &Data) -> Option<&str> {
    match data {
        Data::Txt(text) => Some(text),
        _ => None,
    }
}

fn as_data(texts: &[&str]) -> Vec<Data> {
    texts.iter().map(|text| Data::Txt((*text).to_owned())).collect()
}

/// The one SPF record of a name, if exactly one was found; `None` if that is not known.
pub(super) fn spf_text(said: &Said<'_>, name: &str) -> Option<Option<String>> {
    let found = said.get(name, Kind::Txt).ok()?;
    let mut records = found.iter().filter_map(text).filter(|text| spf::is_spf(text));
    let first = records.next();
    Some(if records.next().is_some() { None } else { first.map(str::to_owned) })
}

fn spf_record(report: &mut Report<'_>, place: Place<'_>, wanted: &Data, texts: &[&str]) {
    let name = place.name;
    let records: Vec<&str> = texts.iter().copied().filter(|text| spf::is_spf(text)).collect();
    let record = match records.as_slice() {
        [] => return report.missing(place, &[wanted]),
        [one] => *one,
        _ => {
            let text = format!(
                "{name} has {} SPF records; only one may be, and receivers ignore all of them.",
                records.len()
            );
            let remedy =
                format!("Whoever keeps the zone with {name} has to make one of them that names all senders.");
            return report.add(place, Fault::Several, text, remedy);
        }
    };
    if text(wanted) == Some(record) {
        return;
    }
    let read = spf::read(record);
    for mistake in &read.mistakes {
        let text = format!("The SPF record of {name} is wrong. {mistake}");
        report.add(place, Fault::Syntax, text, mend(name, record, wanted));
    }
    let said = &report.said;
    let walked = spf::walk(name, |name| spf_text(said, name));
    if walked.lookups > spf::LOOKUPS_MAX {
        let text = format!(
            "The SPF record of {name} costs {} look-ups with all that it includes; receivers stop at {} and ignore it.",
            walked.lookups,
            spf::LOOKUPS_MAX
        );
        let remedy =
            format!("Whoever keeps the zone with {name} has to take out includes that are not needed.");
        report.add(place, Fault::Syntax, text, remedy);
    }
    for broken in &walked.broken {
        let text = format!(
            "The SPF record of {name} includes {}, which has no SPF record: receivers ignore the whole.",
            shown(broken)
        );
        let remedy = format!("Whoever keeps the zone with {name} has to take that include out.");
        report.add(place, Fault::Syntax, text, remedy);
    }
    if !sends(report, name, wanted, &read, &walked) {
        let (fault, text) = if walked.open.is_empty() {
            (Fault::Other, format!("The SPF record of {name} does not let this service send."))
        } else {
            (
                Fault::Unknown,
                format!("Whether the SPF record of {name} lets this service send could not be found out."),
            )
        };
        report.add(place, fault, text, mend(name, record, wanted));
    }
}

fn mend(name: &str, record: &str, wanted: &Data) -> String {
    replace(name, &[&Data::Txt(record.to_owned())], &[wanted])
}

/// Does the record, or one that it includes, let in our host? By name, by MX, by address, or by what we asked for.
fn sends(report: &Report<'_>, name: &str, wanted: &Data, read: &Spf, walked: &spf::Walked) -> bool {
    let ours = text(wanted).map(spf::read).unwrap_or_default();
    if ours.redirect.is_some() {
        let target = ours.redirect.as_deref();
        return read.redirect.as_deref() == target
            || read.terms.iter().any(|t| t.name == "include" && t.value.as_deref() == target);
    }
    let records = || report.wanted.iter().map(|wanted| &wanted.record);
    let hosts: Vec<&str> = records()
        .filter_map(|r| match &r.data {
            Data::Mx { host, .. } if r.name == name => Some(host.as_str()),
            Data::Address(_) => Some(r.name.as_str()),
            _ => None,
        })
        .collect();
    let addresses: Vec<IpAddr> = records()
        .filter_map(|r| match r.data {
            Data::Address(address) => Some(address),
            _ => None,
        })
        .collect();
    let receives = records().any(|r| r.name == name && r.data.kind() == Kind::Mx);
    walked.terms.iter().any(|(at, term)| {
        let value = term.value.as_deref();
        let own = value.is_none_or(|value| value.starts_with('/'));
        match term.name.as_str() {
            "mx" => receives && (own && at == name || value == Some(name)),
            "a" => hosts.iter().any(|host| own && at == host || value == Some(host)),
            "ip4" | "ip6" => {
                value.is_some_and(|value| addresses.iter().any(|address| spf::covers(value, *address)))
            }
            "all" => at == name,
            _ => false,
        }
    }) || ours.terms.iter().filter(|t| t.name != "all").any(|t| read.terms.contains(t))
}

/// Records of `tag=value; …`: DKIM, DMARC, MTA-STS, TLS-RPT, the digest of PACC.
fn tagged(report: &mut Report<'_>, place: Place<'_>, wanted: &Data, ours: &str, texts: &[&str]) {
    let name = place.name;
    let our_tags = tags(ours);
    let kind = our_tags.first().filter(|(key, _)| key == "v").map_or("", |(_, value)| value.as_str());
    let theirs: Vec<&str> = texts
        .iter()
        .copied()
        .filter(|text| {
            tags(text).iter().any(|(k, v)| k == "v" && v == kind) || dkim_without_version(kind, text)
        })
        .collect();
    let record = match theirs.as_slice() {
        [] => return report.missing(place, &[wanted]),
        [one] => *one,
        // A digest may be told twice while it changes (the old and the new).
        many if kind == "UAAC1" && many.iter().any(|text| tags(text) == our_tags) => return,
        many => {
            let text = format!(
                "{name} has {} such records ({kind}); only one may be, and all are ignored.",
                many.len()
            );
            let data = as_data(many);
            let remedy = replace(name, &data.iter().collect::<Vec<_>>(), &[wanted]);
            return report.add(place, Fault::Several, text, remedy);
        }
    };
    let found = tags(record);
    if found == our_tags {
        return;
    }
    let Some((fault, text)) = differs(kind, name, &our_tags, &found) else { return };
    let weight = if fault == Fault::Other { place.weight } else { Weight::Needed };
    report.add(Place { weight, ..place }, fault, text, mend(name, record, wanted));
}

/// DKIM's version may be left out (RFC 6376 3.6.1).
fn dkim_without_version(kind: &str, text: &str) -> bool {
    let tags = tags(text);
    kind == "DKIM1" && tags.iter().any(|(k, _)| k == "p") && tags.iter().all(|(k, _)| k != "v")
}

/// What a difference in tags means, by the kind of record; `None` if it is the owner's choice.
fn differs(
    kind: &str,
    name: &str,
    ours: &[(String, String)],
    theirs: &[(String, String)],
) -> Option<(Fault, String)> {
    let of =
        |list: &[(String, String)], key: &str| list.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
    if kind != "DKIM1" && theirs.first().is_none_or(|(key, _)| key != "v") {
        return Some((
            Fault::Syntax,
            format!("The record at {name} does not begin with v={kind}, so it is ignored."),
        ));
    }
    match kind {
        "DKIM1" => {
            let (our_key, key) = (of(ours, "p"), of(theirs, "p"));
            if key.as_deref().is_none_or(str::is_empty) {
                return Some((
                    Fault::Other,
                    format!("The DKIM key at {name} is revoked: signatures count as wrong."),
                ));
            }
            let algorithm = |list: &[_]| of(list, "k").unwrap_or_else(|| "rsa".to_owned());
            (our_key != key || algorithm(ours) != algorithm(theirs)).then(|| {
                (Fault::Other, format!("The DKIM key at {name} is another than the one that signs: signatures count as wrong."))
            })
        }
        "DMARC1" => dmarc(name, theirs, of),
        "STSv1" => (of(ours, "id") != of(theirs, "id")).then(|| {
            (
                Fault::Other,
                format!(
                    "The id at {name} is not that of the present policy, so other servers keep the old one."
                ),
            )
        }),
        "TLSRPTv1" => match of(theirs, "rua") {
            Some(to)
                if to
                    .split(',')
                    .all(|to| to.trim().starts_with("mailto:") || to.trim().starts_with("https:")) =>
            {
                None
            }
            _ => Some((Fault::Syntax, format!("The record at {name} names no place for reports."))),
        },
        "UAAC1" => Some((
            Fault::Other,
            format!(
                "The digest at {name} is not that of the present document, so clients refuse the document."
            ),
        )),
        _ => Some((Fault::Other, format!("{name} has another text than it should."))),
    }
}

/// The policy is the owner's choice; that it can be read is not.
fn dmarc(
    name: &str,
    theirs: &[(String, String)],
    of: impl Fn(&[(String, String)], &str) -> Option<String>,
) -> Option<(Fault, String)> {
    match of(theirs, "p").map(|p| p.to_ascii_lowercase()).as_deref() {
        Some("none" | "quarantine" | "reject") => {}
        Some(other) => {
            return Some((
                Fault::Syntax,
                format!("The DMARC record at {name} has the policy {}, which there is not.", shown(other)),
            ));
        }
        None => {
            return Some((
                Fault::Syntax,
                format!("The DMARC record at {name} has no policy (p=), so it is ignored."),
            ));
        }
    }
    let wrong =
        of(theirs, "rua")?.split(',').map(str::trim).find(|to| !to.starts_with("mailto:")).map(shown)?;
    Some((
        Fault::Syntax,
        format!("The DMARC record at {name} sends reports to {wrong}, which is no mailto: address."),
    ))
}

/// Tags in order, with white space taken out of the values of keys, where it has no meaning.
fn tags(text: &str) -> Vec<(String, String)> {
    text.split(';')
        .filter_map(|tag| tag.split_once('='))
        .map(|(key, value)| {
            let key = key.trim().to_ascii_lowercase();
            let value = if key == "p" { value.split_whitespace().collect() } else { value.trim().to_owned() };
            (key, value)
        })
        .collect()
}
