//! What the probes see in each scenario, and what they never send.

use crate::hall::{now, places, question, resolver};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use doctor::probe;
use doctor::seen::{Probe, StartTls};
use proto::service::Protocol;
use serde::Serialize;
use std::time::{Duration, Instant};
use testkit::hall::scenario::Seen;
use testkit::hall::{Hall, files};

/// Every file is played, and what its `[[seen]]` says is compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_is_seen_as_it_is() {
    let mut wrong = Vec::new();
    let mut played = 0;
    for file in files() {
        let hall = Hall::play(&file).await;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let question = question(&hall);
        let begun = Instant::now();
        let time = Duration::from_secs(9);
        let probes = probe::all(&question, &places(&hall), &resolver(&hall), time, &|_| {}, now()).await;
        assert!(begun.elapsed() <= time, "{name} took {:?}", begun.elapsed());
        for seen in &hall.scenario.seen {
            wrong.extend(compare(&name, &hall, seen, &probes));
            played += 1;
        }
        never_in_clear(&name, &hall);
        nowhere_in_words(&name, &hall, &probes);
    }
    assert!(played > 40, "the scenarios were not found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The words with which an expectation differs from what was seen.
fn compare(name: &str, hall: &Hall, seen: &Seen, probes: &[Probe]) -> Vec<String> {
    let port = hall.port(seen.port);
    let found = probes.iter().find(|probe| {
        probe.place.port.number == port
            && probe.ipv6 == seen.ipv6
            && seen.host.as_ref().is_none_or(|host| *host == probe.place.host)
    });
    let Some(probe) = found else { return vec![format!("{name}: no probe of {}", seen.port)] };
    let mut wrong = Vec::new();
    let mut check = |what: &str, wanted: Option<String>, found: String| {
        if wanted.as_ref().is_some_and(|wanted| *wanted != found) {
            wrong.push(format!(
                "{name} {}: {what} is {found}, not {}",
                seen.port,
                wanted.unwrap_or_default()
            ));
        }
    };
    let tls = probe.tls.as_ref();
    let certificate = tls.and_then(|tls| tls.certificate.as_ref());
    let login = probe.login.as_ref();
    let in_date = certificate.map(|c| (c.not_before..=c.not_after).contains(&now()));
    let show = |list: Option<&Vec<String>>| list.map_or_else(|| "none".to_owned(), |list| list.join(" "));
    check("reach", seen.reach.clone(), word(&probe.reach));
    check("first", seen.first.clone(), word(&probe.first));
    check("protocol", seen.protocol.clone(), probe.protocol.map(protocol).unwrap_or("none").to_owned());
    check("starttls", seen.starttls.clone(), starttls(&probe.starttls).to_owned());
    check("chain", seen.chain.clone(), certificate.map_or("none".to_owned(), |c| word(&c.chain)));
    check("covers-host", seen.covers_host.map(shown), shown(certificate.is_some_and(|c| c.covers_host)));
    check("in-date", seen.in_date.map(shown), shown(in_date == Some(true)));
    check("accepts", seen.accepts.as_ref().map(|list| list.join(" ")), show(tls.map(|tls| &tls.accepts)));
    for version in seen.refuses.iter().flatten() {
        let refuses = tls.is_some_and(|tls| tls.refuses.contains(version));
        check(&format!("refusal of {version}"), Some(shown(true)), shown(refuses));
    }
    let weak = seen.weak.as_ref().map(|suite| tls.is_some_and(|tls| tls.weak.contains(suite)));
    check("weak", weak.map(|_| shown(true)), shown(weak == Some(true)));
    let password = |offer: Option<&doctor::seen::Offer>| shown(offer.is_some_and(|offer| offer.password));
    check("clear-password", seen.clear_password.map(shown), password(probe.clear.as_ref()));
    check("encrypted-password", seen.encrypted_password.map(shown), password(probe.encrypted.as_ref()));
    let mechanisms = show(probe.encrypted.as_ref().map(|offer| &offer.mechanisms));
    check("mechanisms", seen.encrypted_mechanisms.as_ref().map(|list| list.join(" ")), mechanisms);
    check("login", seen.login.clone(), login.map_or("none".to_owned(), |login| word(&login.result)));
    check("full-address", seen.full_address.map(shown), shown(login.is_some_and(|login| login.full_address)));
    check("mechanism", seen.mechanism.clone(), login.map_or(String::new(), |login| login.mechanism.clone()));
    if !wrong.is_empty() {
        let lines = probe.transcript.iter().map(|l| format!("    {:5} {} {}", l.at_millis, l.who, l.text));
        wrong.extend(lines);
        wrong.push(format!("    tls: {:?}, login: {:?}", probe.tls, probe.login));
    }
    wrong
}

/// No octet of a password before TLS, in no form; and none at all to those who do not prove who they are.
fn never_in_clear(name: &str, hall: &Hall) {
    let Some(password) = &hall.scenario.question.password else { return };
    let forms = [password.clone(), BASE64.encode(password)];
    for heard in hall.heard() {
        let clear = String::from_utf8_lossy(&heard.clear).into_owned();
        assert!(!forms.iter().any(|form| clear.contains(form.as_str())), "{name}: {clear}");
        let words = ["LOGIN ", "AUTH", "USER", "PASS"];
        assert!(!words.iter().any(|word| clear.contains(word)), "{name}: {clear}");
        if name == "login-never" {
            assert_eq!(heard.attempts, [""; 0], "{name}");
            let encrypted = String::from_utf8_lossy(&heard.encrypted).into_owned();
            assert!(!words.iter().any(|word| encrypted.contains(word)), "{name}: {encrypted}");
        }
    }
    // Nobody is locked out: two attempts at most for one protocol.
    let attempts: usize = hall.heard().iter().map(|heard| heard.attempts.len()).sum();
    assert!(attempts <= 4, "{name}: {attempts} attempts");
    assert!(name == "login-never" || attempts > 0, "{name}: nobody signed in");
}

/// No password in anything that is shown, even if a server says it back.
fn nowhere_in_words(name: &str, hall: &Hall, probes: &[Probe]) {
    let Some(password) = &hall.scenario.question.password else { return };
    let all = format!("{probes:?}");
    for form in [password.clone(), BASE64.encode(password)] {
        assert!(!all.contains(&form), "{name} shows the password");
    }
}

/// A word of the doctor's JSON.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}

fn shown(value: bool) -> String {
    value.to_string()
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => "imap",
        Protocol::Pop3 => "pop3",
        Protocol::Submission => "submission",
        Protocol::Smtp => "smtp",
        Protocol::Lmtp | Protocol::Web => "other",
    }
}

fn starttls(starttls: &StartTls) -> &'static str {
    match starttls {
        StartTls::NotTried => "not-tried",
        StartTls::NotOffered => "not-offered",
        StartTls::Stripped(_) => "stripped",
        StartTls::Works { injectable: false } => "works",
        StartTls::Works { injectable: true } => "injectable",
        StartTls::Fails(_) => "fails",
    }
}
