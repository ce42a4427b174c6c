//! From what was seen to what it means. Pure.
//!
//! [`View`](view::View) looks at everything once and finds the settings that were seen to work; one file a subject adds findings
//! (`reach`, `tls`, `certificate`, `login`, `source`, `needs`, `now`), whose words and reasons stand in `codes`; `sentence` leads.
//!
//! What must hold: a setting is recommended only if it was seen to work with a certificate that proves the name; a
//! finding says what was seen, why it matters, what to do and who must act; a guess that leads nowhere is no finding.

mod certificate;
pub mod codes;
mod finds;
mod login;
mod needs;
mod now;
mod reach;
mod sentence;
mod settings;
mod source;
mod steps;
mod tls;
mod view;
pub mod words;

use crate::seen::{Lookup, Probe};
use crate::{Answer, Exit, Level, Question};
use finds::{Draft, Finds};
use needs::Ground;
use view::View;

/// Judges. `now`: seconds since 1970.
#[must_use]
pub fn judge(question: &Question, lookup: &Lookup, probes: &[Probe], now: i64) -> Answer {
    let registered = view::as_registered(question, probes);
    let view = View::new(question, lookup, &registered, now);
    let ground = needs::ground(&view);
    let mut finds = Finds::default();
    let judged = now::judge_all(&view);
    if ground != Ground::NoNetwork {
        judged.iter().for_each(|judged| judged.find(&view, &mut finds));
        reach::judge(&view, &mut finds);
        tls::judge(&view, &mut finds);
        certificate::judge(&view, &mut finds);
        login::judge(&view, &mut finds);
        source::judge(&view, &mut finds);
    }
    needs::judge(&view, ground, &mut finds);
    let drafts = finds.sorted();
    // Who tells what they have wants to know of that; the rest of the provider is told but does not count.
    let spots: Vec<String> = judged.iter().flat_map(|judged| judged.spots.clone()).collect();
    let counting: Vec<Draft> =
        drafts.iter().filter(|draft| judged.is_empty() || concerns(draft, &spots)).cloned().collect();
    let exit = exit(ground, &counting);
    Answer {
        sentence: sentence::sentence(&view, ground, &judged, &counting, exit),
        exit,
        steps: steps::steps(&view, !judged.is_empty()),
        address_sent_to: source::address_sent_to(&view),
        findings: drafts.into_iter().map(|draft| draft.finding).collect(),
        settings: view.settings,
        lookup: lookup.clone(),
        probes: probes.to_vec(),
        took_millis: 0,
    }
}

/// Does a finding concern one of these places, or everything?
fn concerns(draft: &Draft, spots: &[String]) -> bool {
    draft.finding.places.is_empty() || draft.finding.places.iter().any(|place| spots.contains(place))
}

fn exit(ground: Ground, drafts: &[Draft]) -> Exit {
    let worst = drafts.iter().map(|draft| draft.finding.level).min();
    // What was not tried may be what works.
    let unfinished = drafts.iter().any(|draft| draft.finding.code == codes::NOT_ENOUGH_TIME.word);
    match worst {
        _ if ground == Ground::NoNetwork => Exit::CannotTell,
        Some(Level::Broken) => Exit::Broken,
        _ if unfinished => Exit::CannotTell,
        Some(Level::Should) => Exit::Change,
        Some(Level::Note) | None => Exit::Fine,
    }
}

#[cfg(test)]
mod tests;
