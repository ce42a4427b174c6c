//! What is asked of a port where TLS was seen, each on a short connection of its own: old versions, weak suites,
//! and whether commands sent in clear behind STARTTLS are carried into TLS (CVE-2011-0411).
//!
//! Versions and suites are asked with hellos made by hand and read as far as the ServerHello or the alert.
//! What must hold: what could not be told is in no list; the command that is injected changes nothing.

use super::approach;
use super::context::{Context, Target};
use super::knock::{TAG_LEAVE, TAG_TLS};
use super::notes::Notes;
use super::wire::{Trouble, Wire};
use crate::seen::{Line, TlsSeen};
use proto::hello::{self, chain, offer};
use proto::knock::{Awaited, Language, Verdict};
use std::net::IpAddr;
use std::time::Duration;

/// Connections that look for weak suites: one for each kind and the last that is refused.
const WEAK_ROUNDS_MAX: usize = 6;
/// What an injected command's answer is waited for before anything else is said.
const INJECTED_WAIT: Duration = Duration::from_millis(300);
const TAG_INJECTED: u32 = 7;
/// In the place of an alert where the server hung up without one; it is that of a good end, which refuses nothing.
const NO_WORD: u8 = 0;
/// RFC 8446 6.2.
const ALERT_INTERNAL_ERROR: u8 = 80;

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Does it speak this version?
    Version(u16),
    /// Which weak suites does it take?
    Weak,
    /// Is what comes behind STARTTLS in clear executed?
    Injection,
}

/// What one question brought.
#[derive(Clone, Debug, Default)]
pub(super) struct Checked {
    accepts: Vec<&'static str>,
    refuses: Vec<&'static str>,
    weak: Vec<&'static str>,
    /// The suite without forward secrecy that was chosen although better ones were offered.
    static_rsa: Option<&'static str>,
    pub(super) injectable: bool,
    /// The certificates that were shown in clear, DER, where no handshake brought any.
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) lines: Vec<Line>,
}

/// The questions that a port is worth.
pub(super) fn checks(tls: &TlsSeen, starttls_works: bool) -> Vec<Check> {
    let mut checks: Vec<Check> = [hello::TLS10, hello::TLS12, hello::TLS11, hello::SSL3]
        .into_iter()
        .filter(|version| !tls.accepts.iter().any(|known| known == hello::version_name(*version)))
        .map(Check::Version)
        .collect();
    if starttls_works {
        checks.push(Check::Injection);
    }
    checks.push(Check::Weak);
    checks
}

/// Asks one. `certificate_known`: a handshake brought the server's certificate.
pub(super) async fn check(
    context: &Context<'_>,
    target: &Target,
    starttls: bool,
    certificate_known: bool,
    check: Check,
) -> Checked {
    let notes = Notes::new();
    let permit = context.enter(target).await;
    let mut checked = Checked::default();
    if context.is_over() {
        return checked;
    }
    match check {
        Check::Version(version) => {
            let asked = Asked { context, target, starttls };
            version_check(&asked, version, certificate_known, &mut checked).await;
        }
        Check::Weak => weak_check(&Asked { context, target, starttls }, &mut checked).await,
        Check::Injection => {
            checked.injectable = injected(context, target).await.unwrap_or(false);
            if checked.injectable {
                notes.remark("a command sent in clear behind STARTTLS was executed under TLS");
            }
        }
    }
    drop(permit);
    for version in &checked.accepts {
        notes.remark(&format!("{version} is taken"));
    }
    for suite in &checked.weak {
        notes.remark(&format!("{suite} is taken"));
    }
    checked.lines = notes.into_lines();
    checked
}

impl Checked {
    /// Adds what was found to what is known.
    pub(super) fn add_to(&self, tls: &mut TlsSeen) {
        add(&mut tls.accepts, &self.accepts);
        let accepts = tls.accepts.clone();
        let refuses: Vec<&str> =
            self.refuses.iter().filter(|v| !accepts.iter().any(|known| known == *v)).copied().collect();
        add(&mut tls.refuses, &refuses);
        tls.refuses.retain(|version| !accepts.contains(version));
        add(&mut tls.weak, &self.weak);
        if tls.version.is_none() {
            // A server with which no good handshake succeeds has nothing better.
            add(&mut tls.weak, self.static_rsa.as_slice());
        }
        tls.accepts.sort();
        tls.refuses.sort();
    }
}

fn add(list: &mut Vec<String>, more: &[&str]) {
    for one in more {
        if !list.iter().any(|known| known == one) {
            list.push((*one).to_owned());
        }
    }
}

/// Where is asked.
struct Asked<'a> {
    context: &'a Context<'a>,
    target: &'a Target,
    starttls: bool,
}

async fn version_check(asked: &Asked<'_>, version: u16, certificate_known: bool, checked: &mut Checked) {
    let name = hello::version_name(version);
    let Some((mut wire, answer)) = hello_to(asked, version, &offer::suites_for_version()).await else {
        return;
    };
    match answer {
        offer::Answer::Agreed { version: agreed, suite } => {
            checked.accepts.push(hello::version_name(agreed));
            if agreed != version {
                checked.refuses.push(name);
            }
            checked.weak.extend(offer::weak_suite(suite));
            checked.static_rsa = offer::static_rsa_suite(suite);
            if !certificate_known {
                checked.chain = shown_chain(asked, &mut wire).await;
            }
        }
        offer::Answer::Alert(_) => checked.refuses.push(name),
        _ => {}
    }
}

/// The certificates behind the ServerHello that was read; none if they do not come.
async fn shown_chain(asked: &Asked<'_>, wire: &mut Wire) -> Vec<Vec<u8>> {
    let (until, mut have) = (asked.context.answer(), 0);
    loop {
        let Ok(octets) = wire.octets(have, until).await else { return Vec::new() };
        have = octets.len();
        match chain::shown(octets) {
            chain::Shown::NeedMore => {}
            chain::Shown::Nothing => return Vec::new(),
            chain::Shown::Chain(chain) => return chain,
        }
    }
}

async fn weak_check(asked: &Asked<'_>, checked: &mut Checked) {
    let mut left: Vec<(u16, &'static str)> = offer::SUITES_WEAK.to_vec();
    for _ in 0..WEAK_ROUNDS_MAX {
        let suites: Vec<u16> = left.iter().map(|(suite, _)| *suite).collect();
        let Some((_, answer)) = hello_to(asked, hello::TLS12, &suites).await else { return };
        match answer {
            offer::Answer::Agreed { suite, .. } => {
                let Some(name) = offer::weak_suite(suite) else { return };
                checked.weak.push(name);
                left.retain(|(_, other)| kind(other) != kind(name));
            }
            // It chose one that it cannot do: without parameters for finite fields Dovecot then hangs up.
            offer::Answer::Alert(NO_WORD | ALERT_INTERNAL_ERROR)
                if left.iter().any(|(_, name)| finite_field(name)) =>
            {
                left.retain(|(_, name)| !finite_field(name));
            }
            _ => return,
        }
        if left.is_empty() {
            return;
        }
    }
}

/// Diffie and Hellman's method over finite fields, for which a server needs parameters.
fn finite_field(name: &str) -> bool {
    name.starts_with("TLS_DH_") || name.starts_with("TLS_DHE_")
}

/// What is weak about a suite.
fn kind(name: &str) -> &'static str {
    let kinds = ["_NULL_", "_anon_", "_EXPORT_", "_RC4_", "_3DES_", "_DES_"];
    kinds.into_iter().find(|kind| name.contains(kind)).unwrap_or_default()
}

/// Sends a hello and reads the answer to it; `None` if none came or it could not be sent. A server that hangs up
/// without a word has refused.
async fn hello_to(asked: &Asked<'_>, version: u16, suites: &[u16]) -> Option<(Wire, offer::Answer)> {
    let Asked { context, target, starttls } = *asked;
    // The dialogue before TLS is in the transcript already.
    let unnoted = Notes::new();
    let (mut wire, _) = approach::at_tls(context, target, starttls, &unnoted).await.ok()?;
    let host = &target.place.host;
    let server_name = host.parse::<IpAddr>().is_err().then_some(host.as_str());
    let octets = offer::write(&offer::Offer { version, suites, server_name, random: rand::random() });
    wire.send(&octets, context.answer()).await.ok()?;
    let (until, mut have) = (context.answer(), 0);
    loop {
        let octets = match wire.octets(have, until).await {
            Ok(octets) => octets,
            Err(Trouble::Closed) => return Some((wire, offer::Answer::Alert(NO_WORD))),
            Err(_) => return None,
        };
        have = octets.len();
        match offer::answer(octets) {
            offer::Answer::NeedMore => {}
            answer => return Some((wire, answer)),
        }
    }
}

/// Sends a command in the same packet behind STARTTLS and looks whether it is answered under TLS.
async fn injected(context: &Context<'_>, target: &Target) -> Option<bool> {
    let notes = Notes::new();
    let (mut wire, language) = approach::before_tls(context, target, true, &notes).await.ok()?;
    let language = language?;
    let both = format!("{}\r\n{}\r\n", language.ask_tls(TAG_TLS), language.harmless(TAG_INJECTED));
    wire.send(both.as_bytes(), context.answer()).await.ok()?;
    let answer = wire.answer(language, Awaited::Reply(TAG_TLS), &notes, context.answer()).await.ok()?;
    if answer.verdict != Verdict::Ok {
        // It refuses both: nothing is carried over.
        return Some(false);
    }
    let shaken = wire.shake(&context.trust, &target.place.host, context.answer()).await;
    let Ok((mut wire, _)) = shaken else { return Some(false) };
    let until = context.until(INJECTED_WAIT);
    if wire.first_octet(until).await.is_ok() {
        return Some(true);
    }
    wire.say(&language.leave(TAG_LEAVE), &notes, context.answer()).await.ok()?;
    Some(answered_before_leave(context, &mut wire, language, &notes).await)
}

/// Does another answer come before, or beside, the one to the goodbye?
async fn answered_before_leave(
    context: &Context<'_>,
    wire: &mut Wire,
    language: Language,
    notes: &Notes,
) -> bool {
    let until = context.answer();
    let Ok(first) = wire.answer(language, Awaited::Reply(TAG_INJECTED), notes, until).await else {
        return false;
    };
    match language {
        // LOGOUT brings BYE; the tag of the injected command only comes if it was executed.
        Language::Imap => matches!(first.verdict, Verdict::Ok | Verdict::No | Verdict::Bad),
        // QUIT is answered 221, NOOP 250.
        Language::Smtp => first.lines.iter().any(|line| line.starts_with("250")),
        // QUIT is never refused; after +OK a second answer tells.
        Language::Pop3 => {
            first.verdict == Verdict::No
                || wire.answer(language, Awaited::Reply(TAG_LEAVE), notes, until).await.is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(version: Option<&str>, accepts: &[&str]) -> TlsSeen {
        TlsSeen {
            version: version.map(str::to_owned),
            cipher: None,
            accepts: accepts.iter().map(|v| (*v).to_owned()).collect(),
            refuses: Vec::new(),
            weak: Vec::new(),
            failure: None,
            certificate: None,
        }
    }

    #[test]
    fn what_is_known_is_not_asked_again() {
        let checks = checks(&seen(Some("TLSv1.2"), &["TLSv1.2"]), false);
        assert!(!checks.contains(&Check::Version(hello::TLS12)) && !checks.contains(&Check::Injection));
        assert!(checks.contains(&Check::Version(hello::SSL3)));
    }

    #[test]
    fn a_version_is_in_one_list_only() {
        let mut tls = seen(None, &[]);
        let refused = Checked { refuses: vec!["TLSv1.0", "TLSv1.2"], ..Checked::default() };
        let lower = Checked {
            accepts: vec!["TLSv1.0"],
            static_rsa: Some("TLS_RSA_WITH_AES_128_CBC_SHA"),
            ..Checked::default()
        };
        refused.add_to(&mut tls);
        lower.add_to(&mut tls);
        refused.add_to(&mut tls);
        assert_eq!((tls.accepts, tls.refuses), (vec!["TLSv1.0".to_owned()], vec!["TLSv1.2".to_owned()]));
        assert_eq!(tls.weak, ["TLS_RSA_WITH_AES_128_CBC_SHA"]);
        // A server that also does better is not blamed for static RSA.
        let mut good = seen(Some("TLSv1.3"), &["TLSv1.3"]);
        lower.add_to(&mut good);
        assert_eq!(good.weak, [""; 0]);
    }

    #[test]
    fn every_weak_suite_has_a_kind() {
        assert!(offer::SUITES_WEAK.iter().all(|(_, name)| !kind(name).is_empty()));
        assert_eq!(kind("TLS_DH_anon_WITH_RC4_128_MD5"), "_anon_");
        assert_eq!(kind("TLS_RSA_WITH_DES_CBC_SHA"), "_DES_");
        assert!(
            finite_field("TLS_DH_anon_WITH_RC4_128_MD5")
                && !finite_field("TLS_ECDH_anon_WITH_AES_128_CBC_SHA")
        );
    }
}
