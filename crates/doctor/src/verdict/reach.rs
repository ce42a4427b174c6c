//! Ports and greetings: what could be reached, and what came first.

use super::codes;
use super::finds::{Finds, Said};
use super::view::{Standing, View};
use super::words;
use crate::seen::{First, Probe, Reach, StartTls};
use crate::{Actor, Level};
use proto::service::{Protection, Protocol};
use std::collections::BTreeSet;

/// Judges every place that matters.
pub fn judge(view: &View<'_>, finds: &mut Finds) {
    for probe in view.mattering() {
        match &probe.reach {
            Reach::Refused => refused(view, probe, finds),
            Reach::Silent => silent(view, probe, finds),
            Reach::Unreachable(how) => unreachable(view, probe, how, finds),
            Reach::NoAddress => no_address(view, probe, finds),
            Reach::NotTried if !view.serves(probe.place.port.protocol) => not_tried(probe, finds),
            Reach::Open => first(view, probe, finds),
            Reach::NotTried | Reach::Forbidden => {}
        }
    }
    exchange_blocked(view, finds);
    ipv6(view, finds);
}

/// Was this very port asked for, and not only as one of those that mail knows?
fn wanted(view: &View<'_>, probe: &Probe) -> bool {
    match view.standing(&probe.place) {
        Standing::Now | Standing::Named => true,
        Standing::Asked => view.question.ports.iter().any(|port| port.number == probe.place.port.number),
        Standing::Guessed => false,
    }
}

/// Another family of addresses serves the same place.
fn other_family_works(view: &View<'_>, probe: &Probe) -> bool {
    view.at(&probe.place.host, probe.place.port.number)
        .any(|p| p.ipv6 != probe.ipv6 && p.reach == Reach::Open)
}

fn refused(view: &View<'_>, probe: &Probe, finds: &mut Finds) {
    let place = &probe.place;
    // That a source names a closed port beside open ones is the source's fault, and told as that.
    let told = view.standing(place) == Standing::Named && view.serves(place.port.protocol);
    if told || !wanted(view, probe) || other_family_works(view, probe) {
        return;
    }
    let said = Said {
        seen: "The server refuses connections on this port: nothing listens there.".to_owned(),
        advice: instead(view, place.port.protocol),
        headline: format!("{} does not take connections on port {}", place.host, place.port.number),
    };
    finds.add(&codes::PORT_REFUSED, view.unusable(place), &words::place(place), said);
}

fn silent(view: &View<'_>, probe: &Probe, finds: &mut Finds) {
    let place = &probe.place;
    let alive = view.answers(&place.host);
    // A guessed port that is silent on a living host explains why nothing works for its protocol.
    let telling = wanted(view, probe) || alive && !view.serves(place.port.protocol);
    if !telling || other_family_works(view, probe) || place.port.protocol == Protocol::Smtp {
        return;
    }
    let (actor, seen, headline) = if alive {
        (
            Actor::Network,
            format!(
                "No answer at all on this port although {} answers on others: something on the way drops the packets.",
                place.host
            ),
            format!("port {} of {} is blocked on the way", place.port.number, place.host),
        )
    } else {
        (
            Actor::Provider,
            "No answer at all: the server is down, or something on the way drops the packets.".to_owned(),
            format!("{} does not answer on port {}", place.host, place.port.number),
        )
    };
    let said = Said { seen, advice: instead(view, place.port.protocol), headline };
    finds.add_for(&codes::PORT_SILENT, view.unusable(place), actor, &words::place(place), said);
}

/// What to use instead of a port that does not work.
fn instead(view: &View<'_>, protocol: Protocol) -> String {
    let wanted = if protocol == Protocol::Smtp { Protocol::Submission } else { protocol };
    match view.settings.iter().find(|row| row.protocol == wanted) {
        Some(row) => format!("For {} use {}.", words::purpose(wanted), words::endpoint(row)),
        None => "Try from another network (a telephone's, for example); if it is the same there, tell your provider."
            .to_owned(),
    }
}

/// The port between servers is silent while submission answers: the usual block of networks for people.
fn exchange_blocked(view: &View<'_>, finds: &mut Finds) {
    let smtp = |probe: &&Probe| probe.place.port.protocol == Protocol::Smtp;
    let blocked: Vec<_> =
        view.probes.iter().filter(smtp).filter(|probe| probe.reach == Reach::Silent).collect();
    let open = view.probes.iter().filter(smtp).any(|probe| probe.reach == Reach::Open);
    if open || blocked.is_empty() || !view.has(Protocol::Submission) {
        return;
    }
    for probe in blocked {
        let place = &probe.place;
        let level = if view.standing(place) == Standing::Now { Level::Broken } else { Level::Note };
        let said = Said {
            seen: format!(
                "Port {} is silent while the port for sending mail answers: your network blocks it, as most networks for people do.",
                place.port.number
            ),
            advice: instead(view, Protocol::Submission),
            headline: format!("your network blocks port {}, as many do", place.port.number),
        };
        finds.add_for(&codes::PORT_SILENT, level, Actor::Network, &words::place(place), said);
    }
}

fn unreachable(view: &View<'_>, probe: &Probe, how: &str, finds: &mut Finds) {
    // A network without IPv6 is no fault of the server.
    if probe.ipv6 || !wanted(view, probe) || other_family_works(view, probe) {
        return;
    }
    let place = &probe.place;
    let said = Said {
        seen: format!("{} cannot be reached from here: {how}.", place.host),
        advice: "Try from another network; if it is the same there, tell your provider.".to_owned(),
        headline: format!("{} cannot be reached from your network", place.host),
    };
    finds.add(&codes::HOST_UNREACHABLE, view.unusable(place), &words::place(place), said);
}

fn no_address(view: &View<'_>, probe: &Probe, finds: &mut Finds) {
    let place = &probe.place;
    let has_other = view
        .probes
        .iter()
        .any(|p| p.place.host == place.host && !matches!(p.reach, Reach::NoAddress | Reach::NotTried));
    if has_other || !wanted(view, probe) && view.standing(place) != Standing::Asked {
        return;
    }
    let named = view.standing(place) == Standing::Named;
    let said = Said {
        seen: format!("There is no server {}: the name has no address.", place.host),
        advice: if named {
            "Your provider must mend the name or the document that names it.".to_owned()
        } else {
            "Check the spelling of the server name.".to_owned()
        },
        headline: format!("there is no server {}", place.host),
    };
    let actor = if named { Actor::Provider } else { Actor::You };
    finds.add_for(&codes::HOST_UNKNOWN, view.unusable(place), actor, &words::place(place), said);
}

fn not_tried(probe: &Probe, finds: &mut Finds) {
    let said = Said {
        seen: "There was no time left to try this.".to_owned(),
        advice: "Ask again with a longer limit (--timeout).".to_owned(),
        headline: "there was not enough time to try everything".to_owned(),
    };
    finds.add(&codes::NOT_ENOUGH_TIME, Level::Note, &words::place(&probe.place), said);
}

/// What came first on an open port, where it is not what the port is for.
fn first(view: &View<'_>, probe: &Probe, finds: &mut Finds) {
    let place = &probe.place;
    let (host, port) = (&place.host, place.port.number);
    let spot = words::place(place);
    let level = view.unusable(place);
    let provider = "Your provider must look at this server.".to_owned();
    let (code, seen, headline) = match probe.first {
        First::Greeting if place.port.protection == Protection::Implicit => {
            return plain_on_implicit(view, probe, finds);
        }
        First::Tls if place.port.protection != Protection::Implicit => {
            return tls_on_starttls(view, probe, finds);
        }
        First::Greeting | First::Tls => {
            lies(view, probe, finds);
            return refuses(view, probe, finds);
        }
        First::None => return,
        First::Silence => (
            &codes::GREETING_MISSING,
            "The connection is taken, then nothing comes: neither a greeting nor TLS.".to_owned(),
            format!("{host} takes connections on port {port} but never says a word"),
        ),
        First::NeverEnds => (
            &codes::GREETING_ENDLESS,
            "The greeting does not end: the server drips or floods.".to_owned(),
            format!("the greeting of {host} on port {port} never ends"),
        ),
        First::Foreign => (
            &codes::GREETING_FOREIGN,
            "What answers on this port speaks no mail protocol.".to_owned(),
            format!("what answers at {host} on port {port} is no mail server"),
        ),
        First::Closed => (
            &codes::CLOSED_AT_ONCE,
            "The server closes the connection at once.".to_owned(),
            format!("{host} closes each connection to port {port} at once"),
        ),
    };
    finds.add(code, level, &spot, Said { seen, advice: provider, headline });
}

fn plain_on_implicit(view: &View<'_>, probe: &Probe, finds: &mut Finds) {
    let place = &probe.place;
    let said = Said {
        seen: "This port should speak TLS from the first byte, but the server greets in clear.".to_owned(),
        advice: format!(
            "Your provider must switch TLS on for this port. {}",
            instead(view, place.port.protocol)
        ),
        headline: format!(
            "{} speaks no encryption on port {}, where encryption must come first; your provider must mend that",
            place.host, place.port.number
        ),
    };
    finds.add(&codes::PLAIN_ON_IMPLICIT, view.unusable(place), &words::place(place), said);
}

fn tls_on_starttls(view: &View<'_>, probe: &Probe, finds: &mut Finds) {
    let place = &probe.place;
    let port = place.port.number;
    // It can be used, if one knows how; but documents and habits say otherwise.
    let level = if view.works(probe).is_some() { Level::Should } else { view.unusable(place) };
    let said = Said {
        seen: "This port should begin in clear and offer STARTTLS, but the server speaks TLS from the first byte."
            .to_owned(),
        advice: format!("Choose SSL/TLS for port {port}, or use another port. Your provider should mend it."),
        headline: format!("port {port} of {} wants SSL/TLS, not STARTTLS", place.host),
    };
    finds.add(&codes::TLS_ON_STARTTLS, level, &words::place(place), said);
}

/// The greeting is that of another protocol.
fn lies(view: &View<'_>, probe: &Probe, finds: &mut Finds) {
    let place = &probe.place;
    let Some(spoken) = probe.protocol else { return };
    if words::same_language(spoken, place.port.protocol) {
        return;
    }
    let (spoken, expected) = (words::protocol(spoken), words::protocol(place.port.protocol));
    let said = Said {
        seen: format!("This port should speak {expected}, but what answers speaks {spoken}."),
        advice: format!("Your provider must mend it; do not use this port for {expected}."),
        headline: format!(
            "port {} of {} speaks {spoken} instead of {expected}",
            place.port.number, place.host
        ),
    };
    finds.add(&codes::GREETING_LIES, view.unusable(place), &words::place(place), said);
}

/// The greeting turns the client away: nothing was said behind it.
fn refuses(view: &View<'_>, probe: &Probe, finds: &mut Finds) {
    let place = &probe.place;
    let in_clear =
        probe.first == First::Greeting && probe.starttls == StartTls::NotTried && probe.clear.is_none();
    let inside = probe.first == First::Tls
        && probe.encrypted.is_none()
        && probe.tls.as_ref().is_some_and(|tls| tls.version.is_some());
    let Some(greeting) = probe.greeting.as_deref().filter(|_| in_clear || inside) else { return };
    let said = Said {
        seen: format!("The server ends the conversation with its greeting: \"{}\".", greeting.trim()),
        advice: "Use another port, or ask your provider and quote these words.".to_owned(),
        headline: format!("{} turns mail programs away on port {}", place.host, place.port.number),
    };
    finds.add(&codes::GREETING_REFUSES, view.unusable(place), &words::place(place), said);
}

/// IPv4 works and IPv6 does not, where this machine has IPv6 at all.
fn ipv6(view: &View<'_>, finds: &mut Finds) {
    let mut hosts = BTreeSet::new();
    for probe in view.mattering().filter(|probe| probe.ipv6) {
        let how = match &probe.reach {
            Reach::Refused => "refused",
            Reach::Silent => "not answered",
            // Said by our own network as a rule; if another IPv6 host can be reached it is not.
            Reach::Unreachable(_) if view.probes.iter().any(|p| p.ipv6 && p.reach == Reach::Open) => {
                "not reachable"
            }
            Reach::Open if view.works(probe).is_none() => "taken, but not served in the same way",
            _ => continue,
        };
        let place = &probe.place;
        let good = |p: &&Probe| !p.ipv6 && view.works(p).is_some();
        let Some(_) = view.at(&place.host, place.port.number).find(good) else { continue };
        hosts.insert(&place.host);
        let said = Said {
            seen: format!("Over IPv4 {} works, over IPv6 connections are {how}.", place.host),
            advice: "Your provider must serve IPv6 as it serves IPv4, or take the IPv6 address out of DNS."
                .to_owned(),
            headline: format!("{} serves IPv4 only although its name has an IPv6 address", place.host),
        };
        finds.add(&codes::IPV6_BROKEN, Level::Should, &words::place(place), said);
    }
}
