//! What the person has today: what of it has to change, the server name, the port, the security setting, or nothing.

use super::codes::{self, Code};
use super::finds::{Finds, Said};
use super::settings;
use super::view::{self, View};
use super::words;
use crate::seen::{First, Probe, Reach};
use crate::{Level, Now};
use proto::service::publish::Endpoint;
use proto::service::{Protection, Protocol};

/// What of a setting has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it was seen to work.
    Nothing,
    /// "Secure Password Authentication" is on.
    Spa,
    /// It works, but without encryption.
    Clear,
    /// The port is one for sending, the protocol one for reading, or the other way round.
    Swapped,
    /// The port is that of the other reading protocol.
    OtherProtocol(Protocol),
    /// The port between servers.
    Exchange {
        /// It does not even answer.
        blocked: bool,
    },
    /// The server name, and perhaps more.
    Host,
    /// The setting fits the port, but the place is faulty; another port serves.
    Elsewhere,
    /// Port and security setting.
    Both,
    /// The port alone.
    Port,
    /// The security setting alone.
    Security,
    /// The setting is as it should be, but the place is faulty; findings say how.
    Faulty,
    /// Nothing was seen to work for the protocol.
    NoChoice,
}

/// A setting, judged.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// What the person has.
    pub now: &'a Now,
    /// What has to change.
    pub change: Change,
    /// What to type instead; where nothing has to change, what it is.
    pub target: Option<Endpoint>,
    /// The places where the person connects today, as findings name them.
    pub spots: Vec<String>,
}

/// Judges each setting that the person has.
#[must_use]
pub fn judge_all<'a>(view: &View<'a>) -> Vec<Judged<'a>> {
    view.question.now.iter().map(|now| judge(view, now)).collect()
}

fn judge<'a>(view: &View<'a>, now: &'a Now) -> Judged<'a> {
    let done = |change, target: Option<Endpoint>| Judged {
        now,
        change,
        spots: spots(view, now, target.as_ref()),
        target,
    };
    let here: Vec<&Probe> = view.probes.iter().filter(|probe| view::is_at(now, &probe.place)).collect();
    let as_it_is = here
        .iter()
        .filter(|probe| words::same_language(now.protocol, probe.place.port.protocol))
        .filter_map(|probe| settings::endpoint(view, probe))
        .find(|row| row.protection == now.protection);
    let owner = view.owner(now.port);
    let exchange =
        now.protocol == Protocol::Submission && owner.is_some_and(|o| o.protocol == Protocol::Smtp);
    let fits = owner
        .is_some_and(|o| words::same_language(o.protocol, now.protocol) && o.protection == now.protection);
    let target = target(view, now);
    if let Some(row) = as_it_is.filter(|_| !exchange || target.is_none()) {
        let change = if now.spa { Change::Spa } else { Change::Nothing };
        return done(change, Some(row));
    }
    let Some(target) = target else {
        // The port may be right and the place faulty; then findings say more than "no choice".
        let change = if fits && !here.is_empty() { Change::Faulty } else { Change::NoChoice };
        return done(change, None);
    };
    let change = match change(now, &target, &here, owner.map(|o| o.protocol)) {
        Change::Both | Change::Port if fits && !here.is_empty() => Change::Elsewhere,
        change => change,
    };
    done(change, Some(target))
}

/// Where the person connects: at the host that they named, else at the one that serves, else wherever it was tried.
fn spots(view: &View<'_>, now: &Now, target: Option<&Endpoint>) -> Vec<String> {
    let host = now.host.as_ref().or(target.map(|row| &row.host));
    if let Some(host) = host {
        return vec![words::spot(host, now.port)];
    }
    let here = view.probes.iter().filter(|probe| view::is_at(now, &probe.place));
    let mut spots: Vec<String> = here.map(|probe| words::place(&probe.place)).collect();
    spots.dedup();
    spots
}

/// What to type: the best row for the protocol, if there is one on the person's own host the best of that.
fn target(view: &View<'_>, now: &Now) -> Option<Endpoint> {
    let rows = || view.settings.iter().filter(|row| row.protocol == now.protocol);
    let Some(host) = &now.host else { return rows().next().cloned() };
    if let Some(row) = rows().find(|row| row.host.eq_ignore_ascii_case(host)) {
        return Some(row.clone());
    }
    // The list has one host for each port; the person's may serve as well.
    let mut own: Vec<Endpoint> = view
        .probes
        .iter()
        .filter(|p| p.place.host.eq_ignore_ascii_case(host) && p.place.port.protocol == now.protocol)
        .filter_map(|probe| settings::endpoint(view, probe))
        .collect();
    own.sort_by_key(|row| row.protection != Protection::Implicit);
    own.into_iter().next().or_else(|| rows().next().cloned())
}

/// What differs, and why.
fn change(now: &Now, target: &Endpoint, here: &[&Probe], owner: Option<Protocol>) -> Change {
    let reading = |protocol| matches!(protocol, Protocol::Imap | Protocol::Pop3);
    match owner {
        Some(Protocol::Smtp) if now.protocol == Protocol::Submission => {
            let blocked = !here.is_empty() && here.iter().all(|probe| probe.reach != Reach::Open);
            return Change::Exchange { blocked };
        }
        Some(other) if reading(other) != reading(now.protocol) => return Change::Swapped,
        Some(other) if !words::same_language(other, now.protocol) => return Change::OtherProtocol(other),
        _ => {}
    }
    let other_host = now.host.as_ref().is_some_and(|host| !host.eq_ignore_ascii_case(&target.host));
    if other_host {
        return Change::Host;
    }
    let takes_clear = here.iter().any(|probe| {
        probe.first == First::Greeting
            && probe.clear.as_ref().is_some_and(|offer| !view::methods(offer).is_empty())
    });
    if now.protection == Protection::Clear && takes_clear {
        return Change::Clear;
    }
    match (now.port == target.port, now.protection == target.protection) {
        (false, false) => Change::Both,
        (false, true) => Change::Port,
        (true, false) => Change::Security,
        // It is the very row that works, on another host that has no name of its own here.
        (true, true) => Change::Faulty,
    }
}

impl Judged<'_> {
    /// Must anything be changed in the mail program?
    #[must_use]
    pub fn is_change(&self) -> bool {
        !matches!(self.change, Change::Nothing | Change::Faulty | Change::NoChoice)
    }

    /// `change 110 to 995 and choose SSL/TLS`: what to do, by what differs.
    #[must_use]
    pub fn steps(&self) -> String {
        let (now, Some(target)) = (self.now, &self.target) else { return String::new() };
        let wanted = words::security(target.protection);
        let values = match (now.port == target.port, now.protection == target.protection) {
            (false, false) => format!("change {} to {} and choose {wanted}", now.port, target.port),
            (false, true) => format!("change {} to {} and keep {wanted}", now.port, target.port),
            (true, false) => {
                format!("keep port {} and choose {wanted} instead of {}", now.port, present(now.protection))
            }
            (true, true) => format!("keep port {} and {wanted}", now.port),
        };
        match (&now.host, self.change) {
            (Some(host), _) if !host.eq_ignore_ascii_case(&target.host) => {
                let same = now.port == target.port && now.protection == target.protection;
                let rest = if same { String::new() } else { format!(", {values}") };
                format!("type {} instead of {host}{rest}", target.host)
            }
            (None, Change::Swapped | Change::OtherProtocol(_)) => {
                format!("{values}, with {} as server name", target.host)
            }
            _ => values,
        }
    }

    /// Why, as a clause without "your provider is fine".
    #[must_use]
    pub fn why(&self) -> String {
        let now = self.now;
        match self.change {
            Change::Nothing => "it works as it is".to_owned(),
            Change::Spa => "\"Secure Password Authentication (SPA)\" must be off".to_owned(),
            Change::Clear => "your password travels without encryption".to_owned(),
            Change::Swapped if now.protocol == Protocol::Submission => {
                format!("port {} is for reading mail, not for sending", now.port)
            }
            Change::Swapped => format!("port {} is for sending mail, not for reading", now.port),
            Change::OtherProtocol(other) => {
                format!(
                    "port {} belongs to {}, but your account is {}",
                    now.port,
                    words::protocol(other),
                    words::protocol(now.protocol)
                )
            }
            Change::Exchange { blocked: true } => {
                format!("your network blocks port {}, as many do", now.port)
            }
            Change::Exchange { blocked: false } => {
                format!("port {} is for mail between servers", now.port)
            }
            Change::Host => "the server name is wrong".to_owned(),
            Change::Elsewhere => "the server does not serve what your setting asks for".to_owned(),
            Change::Both => "your port and your security setting do not match".to_owned(),
            Change::Port => "your port is wrong".to_owned(),
            Change::Security => "your security setting is wrong".to_owned(),
            Change::Faulty => "the setting is right but the server is not".to_owned(),
            Change::NoChoice => {
                format!("no safe setting was found for {}", words::purpose(now.protocol))
            }
        }
    }

    /// The setting as the person has it: `IMAP on port 143 with no encryption`.
    fn as_given(&self) -> String {
        let now = self.now;
        let host = now.host.as_ref().map(|host| format!(" at {host}")).unwrap_or_default();
        let with = match now.protection {
            Protection::Clear => "without encryption".to_owned(),
            other => format!("with {}", words::security(other)),
        };
        format!("{}{host} on port {} {with}", words::protocol(now.protocol), now.port)
    }

    fn code(&self) -> &'static Code {
        match self.change {
            Change::Nothing => &codes::NOW_RIGHT,
            Change::Spa => &codes::NOW_SPA,
            Change::Clear => &codes::NOW_CLEAR,
            Change::Swapped => &codes::NOW_SWAPPED,
            Change::OtherProtocol(_) => &codes::NOW_OTHER_PROTOCOL,
            Change::Exchange { .. } => &codes::NOW_EXCHANGE,
            Change::Host => &codes::NOW_HOST,
            Change::Elsewhere => &codes::NOW_ELSEWHERE,
            Change::Both => &codes::NOW_BOTH,
            Change::Port => &codes::NOW_PORT,
            Change::Security => &codes::NOW_SECURITY,
            Change::Faulty | Change::NoChoice => &codes::NOW_NO_CHOICE,
        }
    }

    /// The finding of this setting; a faulty place has findings of its own.
    pub fn find(&self, view: &View<'_>, finds: &mut Finds) {
        if self.change == Change::Faulty {
            return;
        }
        let works_today = matches!(self.change, Change::Exchange { blocked: false })
            && view
                .probes
                .iter()
                .any(|p| view::is_at(self.now, &p.place) && view.works(p) == Some(self.now.protection));
        let level = match self.change {
            Change::Nothing => Level::Note,
            _ if works_today => Level::Should,
            _ => Level::Broken,
        };
        let advice = match self.change {
            Change::Nothing => "Leave it as it is.".to_owned(),
            Change::Spa => {
                "Switch \"Secure Password Authentication (SPA)\" off in your mail program.".to_owned()
            }
            Change::NoChoice => {
                "See the other findings; ask your provider for a port with SSL/TLS.".to_owned()
            }
            _ => format!("{}.", words::capital(&self.steps())),
        };
        let headline = if self.is_change() && self.change != Change::Spa {
            format!("{}: {}", self.why(), self.steps())
        } else {
            self.why()
        };
        let seen = format!("You have {}: {}.", self.as_given(), self.why());
        finds.add(
            self.code(),
            level,
            self.spots.first().map_or("", String::as_str),
            Said { seen, advice, headline },
        );
    }
}

/// A present security setting inside a sentence.
fn present(protection: Protection) -> &'static str {
    match protection {
        Protection::Clear => "\"none\"",
        other => words::security(other),
    }
}
