//! Knocking at hosts and ports, side by side.
//!
//! Every place is probed once for each family of addresses that its host has ([`knock`]); where TLS was seen, further
//! short connections ask for old versions, weak suites and injection ([`deep`]); at the end, if the
//! question has a password, it is tried at one place for reading and one for sending ([`login`]).
//!
//! What must hold: all of it ends within the time that is given, and what there was no time for says so; earlier places
//! come first; a password is sent to nobody who has not proved who they are. Deliberately not here: which places to
//! probe (`lookup::plan`), and what it all means (`verdict`).

mod approach;
mod context;
mod deep;
mod knock;
mod login;
mod notes;
mod reachable;
mod trust;
mod wire;

use crate::seen::{First, Line, LoginSeen, Place, Probe, Reach, StartTls};
use crate::{Progress, Question};
use context::{Context, Target};
use deep::Checked;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use net::dns::Resolver;
use proto::service::Protocol;
use rustls::RootCertStore;
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use trust::Trust;

/// For resolving one name; `lookup` asked for most of them before.
const RESOLVE_MAX: Duration = Duration::from_secs(2);
/// Between the end of waiting and the end of the run, so that what was seen is put together in time.
const GRACE: Duration = Duration::from_millis(100);
/// Ports of one address that are asked for old versions and weak suites: each costs half a dozen connections.
const DEEP_PER_ADDRESS_MAX: usize = 6;

/// Probes all places within `time`. What there was no time for is in the result as not tried.
pub async fn all(
    question: &Question,
    places: &[Place],
    resolver: &Resolver,
    time: Duration,
    progress: &(dyn Fn(Progress) + Send + Sync),
    now: i64,
) -> Vec<Probe> {
    let end = Instant::now() + time;
    let mut hosts: Vec<&str> = places.iter().map(|place| place.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let asked = hosts.into_iter().map(|host| async move {
        if let Ok(address) = host.parse::<IpAddr>() {
            return (host.to_owned(), Ok(vec![address]));
        }
        let until = (Instant::now() + RESOLVE_MAX).min(end);
        let answer = match timeout_at(until, resolver.addresses(host)).await {
            Ok(answer) => answer.map_err(|failed| failed.0),
            Err(_) => Err("the resolver did not answer in time".to_owned()),
        };
        (host.to_owned(), answer)
    });
    let addresses: Addresses = join_all(asked).await.into_iter().collect();
    resolved(question, places, &addresses, end, progress, now).await
}

/// What is known of each host.
type Addresses = HashMap<String, Result<Vec<IpAddr>, String>>;

/// Probes places whose addresses are known.
async fn resolved(
    question: &Question,
    places: &[Place],
    addresses: &Addresses,
    end: Instant,
    progress: &(dyn Fn(Progress) + Send + Sync),
    now: i64,
) -> Vec<Probe> {
    // Reading the system's authorities takes a moment, once in the life of the program.
    let extra = question.extra_roots.clone();
    let roots = tokio::task::spawn_blocking(move || net::tls::roots(&extra)).await;
    // Only a panic while reading files is an error; then nobody is trusted.
    let trust = Trust::new(roots.unwrap_or_else(|_| Arc::new(RootCertStore::empty())), now);
    let slots: Vec<Slot> = places.iter().flat_map(|place| slots(place, addresses)).collect();
    let targets: Vec<Target> = slots.iter().map(|slot| slot.target.clone()).collect();
    let deadline = end.checked_sub(GRACE).unwrap_or(end);
    let context = Context::new(question, trust, deadline, &targets);
    progress(Progress::Planned(slots.iter().filter(|slot| !slot.done).count()));
    let mut run = Run {
        context: &context,
        targets: &targets,
        slots,
        work: FuturesUnordered::new(),
        deep: Vec::new(),
        signing: Signing::default(),
    };
    for (at, target) in targets.iter().enumerate() {
        if !run.slots[at].done {
            let context = &context;
            run.work.push(Box::pin(async move {
                Done::Knocked(at, Box::new(knock::knock(context, target).await))
            }));
        }
    }
    while let Ok(Some(done)) = timeout_at(end, run.work.next()).await {
        run.done(done, progress);
    }
    run.finish()
}

/// A place with the addresses of one family, and what is known of it.
struct Slot {
    target: Target,
    probe: Probe,
    done: bool,
}

fn slots(place: &Place, addresses: &Addresses) -> Vec<Slot> {
    let slot = |ipv6, addresses: Vec<IpAddr>, why: Option<&str>| {
        let target = Target { place: place.clone(), ipv6, addresses };
        let reach = if target.addresses.is_empty() { Reach::NoAddress } else { Reach::NotTried };
        let mut probe = Probe::blank(target.place.clone(), target.ipv6, reach);
        if let Some(why) = why {
            let text = notes::printable(why, notes::CHARS_MAX);
            probe.transcript.push(Line { at_millis: 0, who: '-', text });
        }
        Slot { done: target.addresses.is_empty(), target, probe }
    };
    let found = match addresses.get(&place.host) {
        Some(Ok(found)) if !found.is_empty() => found,
        Some(Err(why)) => return vec![slot(false, Vec::new(), Some(why))],
        Some(Ok(_)) | None => return vec![slot(false, Vec::new(), Some("the name has no address"))],
    };
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = found.iter().partition(|address| address.is_ipv6());
    let families = [(false, v4), (true, v6)].into_iter().filter(|(_, addresses)| !addresses.is_empty());
    families.map(|(ipv6, addresses)| slot(ipv6, addresses, None)).collect()
}

/// Something that was done.
enum Done {
    Knocked(usize, Box<Probe>),
    Checked(usize, Box<Checked>),
    SignedIn(usize, Option<LoginSeen>, Vec<Line>),
}

type Work<'a> = Pin<Box<dyn Future<Output = Done> + Send + 'a>>;

/// The state of a run.
struct Run<'a> {
    context: &'a Context<'a>,
    targets: &'a [Target],
    slots: Vec<Slot>,
    work: FuturesUnordered<Work<'a>>,
    /// Addresses and ports that are, or were, asked more.
    deep: Vec<Deep>,
    signing: Signing,
}

struct Deep {
    address: IpAddr,
    port: u16,
    found: Vec<Checked>,
}

/// Where signing in was begun.
#[derive(Default)]
struct Signing {
    reading: bool,
    sending: bool,
}

/// For what a password is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Reading,
    Sending,
}

impl<'a> Run<'a> {
    fn done(&mut self, done: Done, progress: &(dyn Fn(Progress) + Send + Sync)) {
        match done {
            Done::Knocked(at, probe) => {
                let place = &probe.place;
                progress(Progress::Probed(place.host.clone(), place.port.number, word(&probe)));
                self.slots[at].probe = *probe;
                self.slots[at].done = true;
                self.look_deeper(at);
                self.sign_in(Purpose::Reading);
                self.sign_in(Purpose::Sending);
            }
            Done::Checked(deep, checked) => self.deep[deep].found.push(*checked),
            Done::SignedIn(at, login, lines) => {
                self.slots[at].probe.login = login;
                notes::append(&mut self.slots[at].probe.transcript, lines);
            }
        }
    }

    /// Old versions, weak suites, injection: once for each address and port.
    fn look_deeper(&mut self, at: usize) {
        let Slot { target, probe, .. } = &self.slots[at];
        let (Some(tls), Some(address)) = (&probe.tls, probe.address) else { return };
        let port = target.place.port.number;
        let known = self.deep.iter().any(|deep| (deep.address, deep.port) == (address, port));
        let of_address = self.deep.iter().filter(|deep| deep.address == address).count();
        if known || of_address >= DEEP_PER_ADDRESS_MAX {
            return;
        }
        let starttls = probe.first == First::Greeting;
        let checks = deep::checks(tls, matches!(probe.starttls, StartTls::Works { .. }));
        let certificate_known = tls.certificate.is_some();
        let index = self.deep.len();
        self.deep.push(Deep { address, port, found: Vec::new() });
        let (context, target) = (self.context, &self.targets[at]);
        for check in checks {
            self.work.push(Box::pin(async move {
                let checked = deep::check(context, target, starttls, certificate_known, check).await;
                Done::Checked(index, Box::new(checked))
            }));
        }
    }

    /// Begins to sign in as soon as the best place for it is certain.
    fn sign_in(&mut self, purpose: Purpose) {
        let question = self.context.question;
        let (Some(password), Some(address)) = (&question.password, &question.address) else { return };
        let begun = match purpose {
            Purpose::Reading => &mut self.signing.reading,
            Purpose::Sending => &mut self.signing.sending,
        };
        if *begun {
            return;
        }
        let mut candidates = self.slots.iter().enumerate().filter(|(_, slot)| serves(slot, purpose));
        // A place that is still being probed may be the better one.
        let best = candidates.find(|(_, slot)| !slot.done || may_sign_in(self.context, &slot.probe));
        let Some((at, Slot { done: true, probe, .. })) = best else { return };
        *begun = true;
        let starttls = probe.first == First::Greeting;
        let (context, target) = (self.context, &self.targets[at]);
        self.work.push(Box::pin(async move {
            let (login, lines) = login::sign_in(context, target, starttls, address, password).await;
            Done::SignedIn(at, login, lines)
        }));
    }

    fn finish(mut self) -> Vec<Probe> {
        for deep in &self.deep {
            for slot in &mut self.slots {
                let probe = &mut slot.probe;
                if (probe.address, slot.target.place.port.number) != (Some(deep.address), deep.port) {
                    continue;
                }
                for checked in &deep.found {
                    if let Some(tls) = &mut probe.tls {
                        checked.add_to(tls);
                        if tls.certificate.is_none() {
                            let host = &slot.target.place.host;
                            tls.certificate = self.context.trust.shown(host, &checked.chain);
                        }
                    }
                    if let StartTls::Works { injectable } = &mut probe.starttls {
                        *injectable |= checked.injectable;
                    }
                    notes::append(&mut probe.transcript, checked.lines.iter().cloned());
                }
            }
        }
        if self.context.question.password.is_some() {
            self.say_why_not(Purpose::Reading, self.signing.reading);
            self.say_why_not(Purpose::Sending, self.signing.sending);
        }
        let mut probes: Vec<Probe> = self.slots.into_iter().map(|slot| slot.probe).collect();
        stripped_on_one_family(&mut probes);
        probes
    }

    /// A password that was given and not used is not passed over in silence.
    fn say_why_not(&mut self, purpose: Purpose, begun: bool) {
        const WHY: &str = "the password was not sent: no place proved who it is, under TLS";
        let open = |slot: &&mut Slot| serves(slot, purpose) && slot.probe.reach == Reach::Open;
        if let (false, Some(slot)) = (begun, self.slots.iter_mut().find(open)) {
            let line = Line { at_millis: 0, who: '-', text: WHY.to_owned() };
            notes::append(&mut slot.probe.transcript, [line]);
        }
    }
}

/// Could people read, or send, there? Between servers nobody signs in.
fn serves(slot: &Slot, purpose: Purpose) -> bool {
    let reading = |protocol| matches!(protocol, Protocol::Imap | Protocol::Pop3);
    match (slot.probe.protocol.unwrap_or(slot.target.place.port.protocol), purpose) {
        (protocol, Purpose::Reading) => reading(protocol),
        (protocol, Purpose::Sending) => protocol == Protocol::Submission,
    }
}

fn may_sign_in(context: &Context<'_>, probe: &Probe) -> bool {
    let certificate = probe.tls.as_ref().and_then(|tls| tls.certificate.as_ref());
    let verified = certificate.is_some_and(|seen| context.trust.verified(seen).is_some());
    verified && probe.encrypted.as_ref().is_some_and(|offer| offer.password || !offer.mechanisms.is_empty())
}

/// What the same host and port offers over the other family, somebody on the way takes out of this one.
fn stripped_on_one_family(probes: &mut [Probe]) {
    let works: Vec<(Place, bool)> = probes
        .iter()
        .filter(|probe| matches!(probe.starttls, StartTls::Works { .. }))
        .map(|probe| (probe.place.clone(), probe.ipv6))
        .collect();
    for probe in probes {
        let other = works.iter().any(|(place, ipv6)| *place == probe.place && *ipv6 != probe.ipv6);
        if other && probe.starttls == StartTls::NotOffered {
            let family = if probe.ipv6 { "IPv4" } else { "IPv6" };
            probe.starttls = StartTls::Stripped(format!("offered over {family}"));
        }
    }
}

/// A probe in a word.
fn word(probe: &Probe) -> String {
    if probe.reach != Reach::Open {
        return context::reach_words(&probe.reach);
    }
    let word = match probe.first {
        First::Tls => "TLS",
        First::Greeting if probe.tls.is_some() => "STARTTLS",
        First::Greeting => "clear",
        First::Silence => "silence",
        First::NeverEnds => "never ends",
        First::Foreign => "no mail",
        First::Closed | First::None => "closed",
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Port;
    use proto::service::Protection;

    fn probe(ipv6: bool, number: u16, starttls: StartTls) -> Probe {
        let port = Port { number, protocol: Protocol::Imap, protection: Protection::StartTls };
        let place = Place { host: "mail.example.test".to_owned(), port, sources: Vec::new() };
        Probe { starttls, ..Probe::blank(place, ipv6, Reach::Open) }
    }

    #[test]
    fn what_the_other_family_offers_was_taken_away() {
        let works = StartTls::Works { injectable: false };
        let mut probes = [
            probe(false, 143, StartTls::NotOffered),
            probe(true, 143, works.clone()),
            probe(false, 110, StartTls::NotOffered),
            probe(true, 110, StartTls::NotOffered),
        ];
        stripped_on_one_family(&mut probes);
        let seen: Vec<&StartTls> = probes.iter().map(|probe| &probe.starttls).collect();
        let stripped = StartTls::Stripped("offered over IPv6".to_owned());
        assert_eq!(seen, [&stripped, &works, &StartTls::NotOffered, &StartTls::NotOffered]);
    }

    #[test]
    fn families_are_probed_apart_and_failures_say_why() {
        let place = probe(false, 993, StartTls::NotTried).place;
        let with = |answer: Result<Vec<IpAddr>, String>| {
            slots(&place, &HashMap::from([(place.host.clone(), answer)]))
        };
        let both = with(Ok(vec!["2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap()]));
        assert_eq!(
            both.iter().map(|slot| (slot.target.ipv6, slot.done)).collect::<Vec<_>>(),
            [(false, false), (true, false)]
        );
        for nothing in
            [with(Ok(Vec::new())), with(Err("SERVFAIL".to_owned())), slots(&place, &HashMap::new())]
        {
            assert_eq!(
                (nothing.len(), nothing[0].done, &nothing[0].probe.reach),
                (1, true, &Reach::NoAddress)
            );
            assert_eq!(nothing[0].probe.transcript.len(), 1);
        }
    }
}
