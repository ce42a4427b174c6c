//! The places that clients ask: what they say against what was seen, and against one another.

use super::codes;
use super::finds::{Finds, Said};
use super::view::View;
use super::words;
use crate::Level;
use crate::seen::{First, Outcome, Probe, Reach, Source, StartTls};
use proto::discovery::Document;
use proto::service::publish::Endpoint;
use proto::service::{Protection, Protocol};

/// Remarks told of one document.
const REMARKS_TOLD: usize = 3;

/// Judges all documents.
pub fn judge(view: &View<'_>, finds: &mut Finds) {
    for (source, document) in view.documents() {
        for row in document.incoming.iter().chain(&document.outgoing) {
            if row.protection == Protection::Clear {
                plaintext(view, source, document, row, finds);
            }
            lies(view, source, row, finds);
        }
        remarks(source, document, finds);
    }
    for protocol in [Protocol::Imap, Protocol::Pop3, Protocol::Submission] {
        disagree(view, protocol, finds);
    }
    broken(view, finds);
    address_sent(view, finds);
}

/// Sentences about where the full address went.
#[must_use]
pub fn address_sent_to(view: &View<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for looked in view.lookup.looked.iter().filter(|looked| looked.sent_address) {
        let sentence = format!("The full address was sent to {}.", host_of(&looked.asked));
        if !out.contains(&sentence) {
            out.push(sentence);
        }
    }
    out
}

/// The host of a URL; a name as it is.
fn host_of(asked: &str) -> &str {
    let rest = asked.split_once("://").map_or(asked, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// What a document should say, or a person type, instead of a row.
fn instead(view: &View<'_>, row: &Endpoint) -> Option<String> {
    let better = view.settings.iter().find(|other| other.protocol == row.protocol)?;
    Some(words::endpoint(better))
}

fn plaintext(view: &View<'_>, source: Source, document: &Document, row: &Endpoint, finds: &mut Finds) {
    let Endpoint { host, port, protocol, .. } = row;
    let encrypted = rows(document, *protocol).into_iter().find(|row| row.protection != Protection::Clear);
    let advice = match (instead(view, row), encrypted) {
        (Some(better), _) => format!("Use {better} instead; your provider should correct the entry."),
        (None, Some(other)) => format!("Do not use it: try {}, which is named too.", words::endpoint(other)),
        (None, None) => {
            "Do not use it: choose SSL/TLS or STARTTLS, or ask your provider which settings are encrypted."
                .to_owned()
        }
    };
    let said = Said {
        seen: format!(
            "{} {} {host}, port {port} without encryption, for {}.",
            words::capital(words::source(source)),
            words::verb(source, "says", "say"),
            words::purpose(*protocol)
        ),
        advice,
        headline: format!(
            "{} {} mail programs to use {host} without encryption",
            words::source(source),
            words::verb(source, "tells", "tell")
        ),
    };
    finds.add(&codes::PLAINTEXT_ENTRY, Level::Should, &words::spot(host, *port), said);
}

/// Why a named row cannot be used as it is named; `None` if it can, or if that was not seen.
fn fault(view: &View<'_>, row: &Endpoint) -> Option<String> {
    let probes: Vec<&Probe> = view.at(&row.host, row.port).collect();
    if probes.is_empty() || probes.iter().any(|probe| view.works(probe) == Some(row.protection)) {
        return None;
    }
    let all = |wanted: &dyn Fn(&Probe) -> bool| probes.iter().all(|probe| wanted(probe));
    let host_has_address = view
        .probes
        .iter()
        .any(|p| p.place.host.eq_ignore_ascii_case(&row.host) && p.reach != Reach::NoAddress);
    if all(&|p| p.reach == Reach::NoAddress) {
        return (!host_has_address).then(|| "there is no such server".to_owned());
    }
    if all(&|p| matches!(p.reach, Reach::Refused | Reach::NoAddress)) {
        return Some("nothing listens there".to_owned());
    }
    let open: Vec<&&Probe> = probes.iter().filter(|p| p.reach == Reach::Open).collect();
    let first = open.first()?;
    let spoken = first.protocol.filter(|p| !words::same_language(*p, row.protocol));
    if let Some(spoken) = spoken {
        return Some(format!("it speaks {}", words::protocol(spoken)));
    }
    match (row.protection, first.first, &first.starttls) {
        (Protection::Implicit, First::Greeting, _) => Some("it begins without encryption there".to_owned()),
        (Protection::StartTls, First::Tls, _) => Some("it wants SSL/TLS there".to_owned()),
        (Protection::StartTls, First::Greeting, StartTls::NotOffered) => {
            Some("it offers no STARTTLS there".to_owned())
        }
        (Protection::Clear, First::Tls, _) => Some("it wants SSL/TLS there".to_owned()),
        (_, First::Foreign, _) => Some("no mail server answers there".to_owned()),
        _ => None,
    }
}

fn lies(view: &View<'_>, source: Source, row: &Endpoint, finds: &mut Finds) {
    let Some(fault) = fault(view, row) else { return };
    let level = if view.serves(row.protocol) { Level::Should } else { Level::Broken };
    let advice = match instead(view, row) {
        Some(better) => format!("Use {better} instead; your provider should correct the entry."),
        None => "Ask your provider for the right settings.".to_owned(),
    };
    let said = Said {
        seen: format!(
            "{} {} {}, but {fault}.",
            words::capital(words::source(source)),
            words::verb(source, "says", "say"),
            words::endpoint(row)
        ),
        advice,
        headline: format!(
            "{} {} settings that do not work",
            words::source(source),
            words::verb(source, "names", "name")
        ),
    };
    finds.add(&codes::SOURCE_LIES, level, &words::spot(&row.host, row.port), said);
}

/// The rows of a document for a protocol.
fn rows(document: &Document, protocol: Protocol) -> Vec<&Endpoint> {
    document.incoming.iter().chain(&document.outgoing).filter(|row| row.protocol == protocol).collect()
}

fn same(one: &Endpoint, other: &Endpoint) -> bool {
    one.host.eq_ignore_ascii_case(&other.host) && one.port == other.port && one.protection == other.protection
}

/// Two sources recommend different rows, neither of which the other knows at all.
fn disagree(view: &View<'_>, protocol: Protocol, finds: &mut Finds) {
    let said: Vec<(Source, Vec<&Endpoint>)> = view
        .documents()
        .map(|(source, document)| (source, rows(document, protocol)))
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    let Some((first_source, first_rows)) = said.first() else { return };
    let first = first_rows[0]; // Empty lists were taken out above.
    let knows = |rows: &[&Endpoint], row: &Endpoint| rows.iter().any(|other| same(other, row));
    let other = said[1..].iter().find(|(_, rows)| !knows(rows, first) && !knows(first_rows, rows[0]));
    let Some((other_source, other_rows)) = other else { return };
    let other = other_rows[0];
    let works =
        |row: &Endpoint| view.at(&row.host, row.port).any(|probe| view.works(probe) == Some(row.protection));
    let (level, verdict, advice) = match (works(first), works(other)) {
        (true, true) => (Level::Note, "both work".to_owned(), "Either will do.".to_owned()),
        (true, false) => (Level::Should, right(*first_source), right_advice(first)),
        (false, true) => (Level::Should, right(*other_source), right_advice(other)),
        (false, false) => match instead(view, first) {
            Some(better) => (
                Level::Should,
                "neither is right".to_owned(),
                format!("Use {better}; your provider should correct both."),
            ),
            None => (
                Level::Should,
                "neither was seen to work".to_owned(),
                "Ask your provider for the right settings.".to_owned(),
            ),
        },
    };
    let places = [words::spot(&first.host, first.port), words::spot(&other.host, other.port)];
    let sentence = Said {
        seen: format!(
            "For {}, {} {} {}, and {} {} {}: {verdict}.",
            words::purpose(protocol),
            words::source(*first_source),
            words::verb(*first_source, "says", "say"),
            words::endpoint(first),
            words::source(*other_source),
            words::verb(*other_source, "says", "say"),
            words::endpoint(other)
        ),
        advice,
        headline: format!(
            "{} and {} name different settings for {}: {verdict}",
            words::source(*first_source),
            words::source(*other_source),
            words::purpose(protocol)
        ),
    };
    for place in &places {
        finds.add(&codes::SOURCES_DISAGREE, level, place, sentence.clone());
    }
}

fn right(source: Source) -> String {
    format!("{} {} right", words::source(source), words::verb(source, "is", "are"))
}

fn right_advice(row: &Endpoint) -> String {
    format!("Use {}; your provider should correct the other.", words::endpoint(row))
}

fn remarks(source: Source, document: &Document, finds: &mut Finds) {
    // A plaintext entry has its own finding.
    let remarks: Vec<&str> = document.remarks.iter().map(|r| r.trim_end_matches('.')).collect();
    for remark in remarks.iter().take(REMARKS_TOLD) {
        let said = Said {
            seen: format!("{}: {remark}.", words::capital(words::source(source))),
            advice: "Nothing for you to do; your provider should correct the document.".to_owned(),
            headline: format!("{} has faults", words::source(source)),
        };
        finds.add(&codes::SOURCE_REMARK, Level::Note, "", said);
    }
}

fn broken(view: &View<'_>, finds: &mut Finds) {
    for looked in &view.lookup.looked {
        let Outcome::Broken(why) = &looked.outcome else { continue };
        let said = Said {
            seen: format!(
                "{} ({}) cannot be used: {}.",
                words::capital(words::source(looked.source)),
                host_of(&looked.asked),
                why.trim_end_matches('.')
            ),
            advice: "Nothing for you to do; your provider should mend or remove it.".to_owned(),
            headline: format!("{} is broken", words::source(looked.source)),
        };
        let level = if view.settings.is_empty() { Level::Should } else { Level::Note };
        finds.add(&codes::SOURCE_BROKEN, level, "", said);
    }
}

fn address_sent(view: &View<'_>, finds: &mut Finds) {
    for seen in address_sent_to(view) {
        let said = Said {
            seen,
            advice: "If you do not want that, switch the source off (see --help).".to_owned(),
            headline: "the full address was sent to a source that needs it".to_owned(),
        };
        finds.add(&codes::ADDRESS_SENT, Level::Note, "", said);
    }
}
