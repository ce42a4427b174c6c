//! The one sentence that leads: each situation has one template, and each template a row in the test of this module.

use super::finds::Draft;
use super::needs::{self, Ground};
use super::now::{Change, Judged};
use super::view::View;
use super::words;
use crate::{Actor, Exit, Level};
use proto::service::Protocol;
use proto::service::publish::Endpoint;

/// The sentence.
#[must_use]
pub fn sentence(
    view: &View<'_>,
    ground: Ground,
    judged: &[Judged<'_>],
    drafts: &[Draft],
    exit: Exit,
) -> String {
    let clause = if ground == Ground::NoNetwork {
        "nothing can be reached from here: check this computer's connection to the internet".to_owned()
    } else if judged.is_empty() {
        without_now(view, drafts, exit)
    } else {
        with_now(view, judged, drafts, exit)
    };
    let sentence = words::capital(&clause);
    if sentence.ends_with('?') { sentence } else { format!("{sentence}.") }
}

/// The finding that explains the exit best.
fn heaviest(drafts: &[Draft], exit: Exit) -> Option<&Draft> {
    let level = match exit {
        Exit::Broken => Level::Broken,
        Exit::Change => Level::Should,
        Exit::Fine | Exit::CannotTell => return None,
    };
    // That something is missing is told only if nothing says why.
    let summary = |draft: &&Draft| {
        matches!(draft.finding.code, "no-reading-service" | "no-sending-service" | "now-no-choice")
    };
    let of_level = || drafts.iter().filter(|draft| draft.finding.level == level);
    of_level().find(|draft| !summary(draft)).or_else(|| of_level().next())
}

fn without_now(view: &View<'_>, drafts: &[Draft], exit: Exit) -> String {
    let domain = &view.question.domain;
    let subject = if view.question.is_host { domain.clone() } else { format!("mail for {domain}") };
    match (exit, heaviest(drafts, exit)) {
        (Exit::Broken, Some(draft)) => draft.headline.clone(),
        (Exit::Change, Some(draft)) => format!("{subject} works, but {}", draft.headline),
        (Exit::CannotTell, _) => {
            "there was not enough time to tell; ask again with a longer limit".to_owned()
        }
        _ => {
            let how = needs::last_clause(view);
            format!("{subject} works: {}{how}", ways(view))
        }
    }
}

/// `read it at imap.example.com, port 993 with SSL/TLS, and send it at …`.
fn ways(view: &View<'_>) -> String {
    let first = |wanted: &dyn Fn(&Endpoint) -> bool| view.settings.iter().find(|row| wanted(row));
    let read = first(&|row| row.protocol != Protocol::Submission);
    let send = first(&|row| row.protocol == Protocol::Submission);
    match (read, send) {
        (Some(read), Some(send)) => {
            format!("read it at {}, and send it at {}", words::endpoint(read), words::endpoint(send))
        }
        (Some(one), None) => {
            format!("{} on {}", words::protocol(one.protocol), words::port_and_security(one))
        }
        (None, Some(one)) => format!("sending on {}", words::port_and_security(one)),
        // A host that is only there for other servers.
        (None, None) => "it answers, but offers nothing for mail programs".to_owned(),
    }
}

fn with_now(view: &View<'_>, judged: &[Judged<'_>], drafts: &[Draft], exit: Exit) -> String {
    let changes: Vec<&Judged<'_>> = judged.iter().filter(|judged| judged.is_change()).collect();
    let swapped = changes.iter().filter(|judged| judged.change == Change::Swapped).count();
    if swapped > 1 {
        return swapped_sentence(&changes);
    }
    match changes[..] {
        [] => without_change(view, judged, drafts, exit),
        [one] => {
            let steps = one.steps();
            if let Some(fault) = fault(one, drafts) {
                return format!("{fault}; until that is mended {steps}");
            }
            let clause = if one.change == Change::Spa {
                "turn \"Secure Password Authentication (SPA)\" off; everything else is right".to_owned()
            } else {
                format!("{}: {steps}", one.why())
            };
            // Where the password goes out in clear the provider takes it.
            let fine = !matches!(one.change, Change::Clear | Change::Exchange { .. }) && is_fine(one, drafts);
            if fine { format!("your provider is fine; {clause}") } else { clause }
        }
        _ => {
            let parts: Vec<String> = changes
                .iter()
                .map(|one| {
                    let what =
                        if one.change == Change::Spa { "turn SPA off".to_owned() } else { one.steps() };
                    format!("for {} {what}", words::purpose(one.now.protocol))
                })
                .collect();
            let clear = changes.iter().any(|one| one.change == Change::Clear);
            let why = if clear {
                "your password travels without encryption"
            } else if changes.iter().all(|one| is_fine(one, drafts)) {
                "your provider is fine; your settings are not"
            } else {
                "your settings have to change"
            };
            format!("{why}: {}", parts.join("; "))
        }
    }
}

/// What is wrong at the place that the person's setting fits.
fn fault<'a>(judged: &Judged<'_>, drafts: &'a [Draft]) -> Option<&'a str> {
    if judged.change != Change::Elsewhere {
        return None;
    }
    let here = |draft: &&Draft| {
        draft.finding.level != Level::Note
            && !draft.finding.code.starts_with("now-")
            && draft.finding.places.iter().any(|place| judged.spots.contains(place))
    };
    // The advice to the provider would stand between the fault and what the person can do.
    drafts.iter().find(here).map(|draft| draft.headline.split(';').next().unwrap_or_default())
}

/// No fault of the provider weighs on what the person shall type.
fn is_fine(judged: &Judged<'_>, drafts: &[Draft]) -> bool {
    let Some(target) = &judged.target else { return false };
    let spot = words::spot(&target.host, target.port);
    !drafts.iter().any(|draft| {
        draft.finding.actor == Actor::Provider
            && draft.finding.level != Level::Note
            && draft.finding.places.contains(&spot)
    })
}

fn swapped_sentence(changes: &[&Judged<'_>]) -> String {
    let parts: Vec<String> = changes
        .iter()
        .filter_map(|one| {
            let target = one.target.as_ref()?;
            Some(format!("for {} type {}", words::purpose(one.now.protocol), words::endpoint(target)))
        })
        .collect();
    format!("your incoming and outgoing settings are swapped: {}", parts.join("; "))
}

fn without_change(view: &View<'_>, judged: &[Judged<'_>], drafts: &[Draft], exit: Exit) -> String {
    let right: Vec<String> = judged
        .iter()
        .filter_map(|one| {
            let target = one.target.as_ref().filter(|_| one.change == Change::Nothing)?;
            let what = match target.protocol {
                Protocol::Submission => "sending",
                other => words::protocol(other),
            };
            Some(format!("{what} on {}", words::port_and_security(target)))
        })
        .collect();
    let all_right = right.len() == judged.len();
    let works = if right.len() > 1 { "work" } else { "works" };
    match heaviest(drafts, exit) {
        Some(draft) if all_right => format!("your settings are right, but {}", draft.headline),
        Some(draft) => draft.headline.clone(),
        None if all_right => {
            let how = needs::last_clause(view);
            format!("your settings are right: {} {works}{how}", words::list(&right, right.len()))
        }
        None => judged.iter().find(|one| one.change != Change::Nothing).map_or_else(String::new, Judged::why),
    }
}
