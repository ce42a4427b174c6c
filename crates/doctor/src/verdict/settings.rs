//! The settings to type in: only what was seen to work, in the order of RFC 8314 and of the provider's own documents.

use super::view::{Standing, View};
use super::words;
use crate::seen::{Place, Probe};
use proto::service::publish::Endpoint;
use proto::service::{Protection, Protocol};

/// One row for each protocol and port, best first: reading before sending, TLS from the first octet before STARTTLS,
/// places that sources name before those that were guessed, and among those the order of the documents.
#[must_use]
pub fn settings(view: &View<'_>) -> Vec<Endpoint> {
    let mut ranked: Vec<_> = view
        .probes
        .iter()
        .enumerate()
        .filter(|(_, probe)| probe.place.port.protocol != Protocol::Smtp)
        .filter_map(|(order, probe)| {
            let row = endpoint(view, probe)?;
            Some(((place_in_table(&row), reputation(view, &probe.place), order), row))
        })
        .collect();
    ranked.sort_by_key(|(key, _)| *key);
    let mut out: Vec<Endpoint> = Vec::new();
    for (_, row) in ranked {
        if !out.iter().any(|known| known.protocol == row.protocol && known.port == row.port) {
            out.push(row);
        }
    }
    out
}

/// The row of a probe that could be used to sign in.
#[must_use]
pub fn endpoint(view: &View<'_>, probe: &Probe) -> Option<Endpoint> {
    let protection = view.works(probe)?;
    let place = &probe.place;
    let offer = probe.encrypted.as_ref()?;
    let protocol =
        if place.port.protocol == Protocol::Smtp { Protocol::Submission } else { place.port.protocol };
    Some(Endpoint {
        protocol,
        host: place.host.clone(),
        port: place.port.number,
        protection,
        authentication: view.authentication(offer, probe.login.as_ref()),
        user: view.user_form(protocol, &place.host),
    })
}

fn place_in_table(row: &Endpoint) -> (u8, u8) {
    let protocol = match row.protocol {
        Protocol::Imap => 0,
        Protocol::Pop3 => 1,
        _ => 2,
    };
    (protocol, u8::from(row.protection != Protection::Implicit))
}

/// Who stands for a place, and how early a document names it.
fn reputation(view: &View<'_>, place: &Place) -> (Standing, usize) {
    let named = view
        .documents()
        .flat_map(|(_, document)| document.incoming.iter().chain(&document.outgoing))
        .position(|row| {
            row.host.eq_ignore_ascii_case(&place.host)
                && row.port == place.port.number
                && words::same_language(row.protocol, place.port.protocol)
        });
    match (view.standing(place), named) {
        // That a person has it does not make it better than what the provider names.
        (Standing::Now, Some(position)) | (Standing::Named, Some(position)) => (Standing::Named, position),
        (Standing::Now, None) => (Standing::Asked, 0),
        (standing, _) => (standing, 0),
    }
}
