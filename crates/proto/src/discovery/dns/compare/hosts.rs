//! Records that name hosts, ports, keys and authorities.

use super::{Fault, Place, Report, add_to_zone, cut, replace, same, take_out};
use crate::discovery::dns::{Data, Kind, Weight, write};

/// A and AAAA of the host: all of them, and no others.
pub(super) fn addresses(report: &mut Report<'_>, place: Place<'_>, wanted: &[&Data], found: &[Data]) {
    let missing: Vec<&Data> = wanted.iter().copied().filter(|data| !found.contains(data)).collect();
    let extra: Vec<&Data> = found.iter().filter(|data| !wanted.contains(data)).collect();
    if missing.len() == wanted.len() {
        if extra.is_empty() {
            return report.missing(place, wanted);
        }
        let text = format!("{} has addresses, but none of this service.", place.name);
        return report.add(place, Fault::Other, text, replace(place.name, &extra, &missing));
    }
    if !missing.is_empty() {
        let text = format!("{} lacks addresses of this service.", place.name);
        report.add(place, Fault::Missing, text, add_to_zone(place.name, &missing));
    }
    if !extra.is_empty() {
        let text = format!(
            "{} also has addresses that are not of this service; some clients try them first.",
            place.name
        );
        report.add(place, Fault::Extra, text, take_out(place.name, &extra));
    }
}

/// A pointer; the addresses, or the text, of what it should point to do as well.
pub(super) fn alias(report: &mut Report<'_>, place: Place<'_>, wanted: &[&Data], found: &[Data]) {
    let Some(Data::Cname(target)) = wanted.first() else { return };
    if found.iter().any(|data| matches!(data, Data::Cname(name) if same(name, target))) {
        return;
    }
    if found.is_empty() {
        let kind =
            if place.name.starts_with('_') || place.name.contains("._") { Kind::Txt } else { Kind::Address };
        let here = report.said.get(place.name, kind).unwrap_or_default();
        if here.is_empty() {
            return report.missing(place, wanted);
        }
        let there: Vec<&Data> = match report.said.get(target, kind) {
            Ok(there) if !there.is_empty() => there.iter().collect(),
            _ => wanted_at(report, target, kind),
        };
        if here.iter().any(|data| there.contains(&data)) {
            return;
        }
        let here: Vec<&Data> = here.iter().collect();
        let text = if kind == Kind::Txt {
            format!("{} has a text of its own that differs from the one at {target}.", place.name)
        } else {
            format!("{} leads to another host than {target}.", place.name)
        };
        return report.add(place, Fault::Other, text, replace(place.name, &here, wanted));
    }
    let found: Vec<&Data> = found.iter().collect();
    let text = format!("{} points elsewhere than to {target}.", place.name);
    report.add(place, Fault::Other, text, replace(place.name, &found, wanted));
}

fn wanted_at<'a>(report: &Report<'a>, name: &str, kind: Kind) -> Vec<&'a Data> {
    let records = report.wanted.iter().map(|wanted| &wanted.record);
    records.filter(|r| r.name == name && r.data.kind() == kind).map(|r| &r.data).collect()
}

/// Where other servers bring mail.
pub(super) fn mx(report: &mut Report<'_>, place: Place<'_>, wanted: &[&Data], found: &[Data]) {
    let Some(Data::Mx { host, .. }) = wanted.first() else { return };
    no_alias(report, place, host);
    if found.is_empty() {
        let text =
            format!("{} has no MX record, so other servers do not know where to bring its mail.", place.name);
        return report.add(place, Fault::Missing, text, add_to_zone(place.name, wanted));
    }
    if found.iter().any(|data| matches!(data, Data::Mx { host, .. } if host.is_empty())) {
        let text = format!("{} says that it takes no mail at all (null MX).", place.name);
        let null: Vec<&Data> = found.iter().collect();
        return report.add(place, Fault::Other, text, replace(place.name, &null, wanted));
    }
    let ours: Vec<u16> = preferences(found, |name| same(name, host));
    let others: Vec<&Data> = found
        .iter()
        .filter(|data| !matches!(data, Data::Mx { host: name, .. } if same(name, host)))
        .collect();
    let Some(best) = ours.iter().min() else {
        let text = format!("The mail of {} is brought elsewhere and not to {host}.", place.name);
        return report.add(place, Fault::Other, text, replace(place.name, &others, wanted));
    };
    if others.is_empty() {
        return;
    }
    let first = preferences(found, |name| !same(name, host)).iter().any(|other| other <= best);
    let text = if first {
        format!("The mail of {} is also brought elsewhere, and there first or as often as here.", place.name)
    } else {
        format!("When {host} does not answer, the mail of {} is brought elsewhere.", place.name)
    };
    let weight = if first { place.weight } else { Weight::Advised };
    let remedy = format!("{}, unless that host hands it on to this service.", take_out(place.name, &others));
    report.add(Place { weight, ..place }, Fault::Extra, text, remedy);
}

fn preferences(found: &[Data], which: impl Fn(&str) -> bool) -> Vec<u16> {
    let one = |data: &Data| match data {
        Data::Mx { preference, host } if which(host) => Some(*preference),
        _ => None,
    };
    found.iter().filter_map(one).collect()
}

/// Neither the domain (RFC 1034 3.6.2) nor the host of an MX (RFC 2181 10.3) may be an alias.
fn no_alias(report: &mut Report<'_>, place: Place<'_>, host: &str) {
    for (name, why) in [
        (place.name, "so it cannot have records of its own, and its MX is not looked at"),
        (host, "and some servers refuse an MX that is one"),
    ] {
        let Ok(found) = report.said.get(name, Kind::Cname) else { continue };
        if let Some(alias @ Data::Cname(target)) = found.first() {
            let text = format!("{name} is an alias (CNAME) of {}, {why}.", cut(target));
            let place = Place { name, kind: Kind::Cname, ..place };
            let remedy = format!("{} and enter addresses instead.", take_out(name, &[alias]));
            report.add(place, Fault::Several, text, remedy);
        }
    }
}

/// A service: host and port matter; priority and weight do not.
pub(super) fn srv(report: &mut Report<'_>, place: Place<'_>, wanted: &[&Data], found: &[Data]) {
    if found.is_empty() {
        return report.missing(place, wanted);
    }
    let is = |a: &Data, b: &Data| match (a, b) {
        (Data::Srv { port, target, .. }, Data::Srv { port: other_port, target: other, .. }) => {
            same(target, other) && (port == other_port || target.is_empty())
        }
        _ => false,
    };
    let missing: Vec<&Data> = wanted.iter().copied().filter(|w| !found.iter().any(|f| is(f, w))).collect();
    let extra: Vec<&Data> = found.iter().filter(|f| !wanted.iter().any(|w| is(f, w))).collect();
    if missing.is_empty() && extra.is_empty() {
        return;
    }
    let closed = wanted.iter().any(|data| matches!(data, Data::Srv { target, .. } if target.is_empty()));
    let denied = extra.iter().any(|data| matches!(data, Data::Srv { target, .. } if target.is_empty()));
    let text = if closed {
        format!("{} leads clients to a service that is not offered (any more).", place.name)
    } else if denied {
        format!("{} says that the service is not offered, but it is.", place.name)
    } else if missing.is_empty() {
        format!("{} also leads clients to a port or host that is not this service's.", place.name)
    } else if extra.is_empty() {
        let text = format!("{} does not name all ports of the service.", place.name);
        return report.add(place, Fault::Missing, text, add_to_zone(place.name, &missing));
    } else {
        format!("{} leads clients to an old or wrong port or host.", place.name)
    };
    let (fault, remedy) = if missing.is_empty() {
        (Fault::Extra, take_out(place.name, &extra))
    } else {
        (Fault::Other, replace(place.name, &extra, &missing))
    };
    report.add(place, fault, text, remedy);
}

/// Digests of keys: all of ours must be there; others may be, for keys to come.
pub(super) fn tlsa(report: &mut Report<'_>, place: Place<'_>, wanted: &[&Data], found: &[Data]) {
    if found.is_empty() {
        let text = format!(
            "{} has no TLSA record. That is no fault where the zone is not signed with DNSSEC.",
            place.name
        );
        return report.add(place, Fault::Missing, text, add_to_zone(place.name, wanted));
    }
    let missing: Vec<&Data> = wanted.iter().copied().filter(|data| !found.contains(data)).collect();
    if missing.len() == wanted.len() {
        let text = format!(
            "No TLSA record at {} fits the key of the certificate: servers that check it bring no mail.",
            place.name
        );
        let found: Vec<&Data> = found.iter().collect();
        let place = Place { weight: Weight::Needed, ..place };
        report.add(place, Fault::Other, text, replace(place.name, &found, wanted));
    } else if !missing.is_empty() {
        let text = format!("The TLSA records at {} do not name all keys of the service.", place.name);
        report.add(place, Fault::Missing, text, add_to_zone(place.name, &missing));
    }
}

/// Records that count for others only with a proof (RFC 6698 4.1), and have none.
pub(super) fn unproven(report: &mut Report<'_>, place: Place<'_>, found: &[Data]) {
    let Some(first) = found.first() else { return };
    let kind = first.type_name();
    report.add(
        place,
        Fault::Unproven,
        format!(
            "The {kind} records at {} are not proven by DNSSEC, so they are worth nothing: nobody takes notice of them.",
            place.name
        ),
        format!(
            "Whoever keeps the zone with {} has to sign it with DNSSEC and have its DS record entered above it, or may \
             take the {kind} records out; if it is signed, ask a resolver that passes signatures on (--resolver).",
            place.name
        ),
    );
}

/// Who may make certificates: our authority must be among them, with our account if accounts are named.
pub(super) fn caa(report: &mut Report<'_>, place: Place<'_>, wanted: &[&Data], found: &[Data]) {
    let Some(Data::Caa(_, _, ours)) = wanted.first() else { return };
    let issuers: Vec<&str> = found
        .iter()
        .filter_map(|data| match data {
            Data::Caa(_, tag, value) if tag.eq_ignore_ascii_case("issue") => Some(value.as_str()),
            _ => None,
        })
        .collect();
    if issuers.is_empty() {
        return report.missing(place, wanted);
    }
    if issuers.iter().any(|theirs| permits(theirs, ours)) {
        return;
    }
    let (authority, _) = parameters(ours);
    let text = if issuers.iter().any(|theirs| same(&parameters(theirs).0, &authority)) {
        format!("{} permits {authority} for another account or another way of proof.", place.name)
    } else {
        format!("{} forbids {authority} to make certificates, so they cannot be renewed.", place.name)
    };
    let found: Vec<&Data> = found.iter().collect();
    let remedy = format!(
        "Whoever keeps the zone with {} has to add CAA {} beside {}",
        place.name,
        wanted.iter().map(|d| write::value(d)).collect::<Vec<_>>().join(" and "),
        cut(&found.iter().map(|d| write::value(d)).collect::<Vec<_>>().join(" and "))
    );
    report.add(Place { weight: Weight::Needed, ..place }, Fault::Other, text, remedy);
}

/// Does their value let in what ours asks for? What they do not restrict is free (RFC 8657 3 and 4).
fn permits(theirs: &str, ours: &str) -> bool {
    let ((authority, bounds), (ours, account)) = (parameters(theirs), parameters(ours));
    let of = |list: &[(String, String)], key: &str| -> Option<String> {
        list.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    };
    let account_fits = match (of(&bounds, "accounturi"), of(&account, "accounturi")) {
        (Some(theirs), Some(ours)) => theirs == ours,
        (Some(_), None) | (None, _) => true,
    };
    let methods_fit = match (of(&bounds, "validationmethods"), of(&account, "validationmethods")) {
        (Some(theirs), Some(ours)) => {
            ours.split(',').any(|method| theirs.split(',').any(|other| other.trim() == method.trim()))
        }
        _ => true,
    };
    same(&authority, &ours) && account_fits && methods_fit
}

/// `ca.example; accounturi=…; validationmethods=…`.
fn parameters(value: &str) -> (String, Vec<(String, String)>) {
    let mut parts = value.split(';').map(str::trim);
    let authority = parts.next().unwrap_or_default().to_ascii_lowercase();
    let pairs = parts
        .filter_map(|part| part.split_once('='))
        .map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    (authority, pairs)
}
