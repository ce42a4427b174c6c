//! The places that clients ask.

use super::*;
use crate::seen::{Outcome, Source};
use proto::service::Protection;
use proto::service::publish::Endpoint;

fn about(looked: Vec<crate::seen::Looked>, probes: Vec<Probe>) -> Answer {
    judge(&question(), &lookup(looked), &probes, NOW)
}

fn seen<'a>(answer: &'a Answer, code: &str) -> Vec<&'a str> {
    answer.findings.iter().filter(|f| f.code == code).map(|f| f.seen.as_str()).collect()
}

#[test]
fn plaintext_entries_are_told_with_what_to_use() {
    let plain =
        Endpoint { protection: Protection::Clear, ..crate::tests::sample::row("imap.example.com", 143) };
    let smtp = crate::tests::sample::row("smtp.example.com", 465);
    let probes = [fine(), vec![clear("imap.example.com", 143)]].concat();
    let answer = about(vec![says(Source::IspDb, vec![plain, smtp])], probes);
    let finding = answer.findings.iter().find(|f| f.code == "plaintext-entry").expect("found");
    assert_eq!(
        finding.seen,
        "The public database of mail providers (ISPDB) says imap.example.com, port 143 without encryption, for reading mail with IMAP."
    );
    assert_eq!(
        finding.advice,
        "Use imap.example.com, port 993 with SSL/TLS instead; your provider should correct the entry."
    );
    assert_eq!(finding.places, ["imap.example.com:143"]);
    assert_eq!(answer.exit, Exit::Change);
}

#[test]
fn disagreement_is_settled_by_the_probes() {
    let old = || {
        says(
            Source::Autoconfig,
            vec![
                crate::tests::sample::row("old.example.com", 993),
                crate::tests::sample::row("smtp.example.com", 465),
            ],
        )
    };
    let new = || {
        says(
            Source::Srv,
            vec![
                crate::tests::sample::row("imap.example.com", 993),
                crate::tests::sample::row("smtp.example.com", 465),
            ],
        )
    };
    let answer =
        about(vec![old(), new()], [fine(), vec![shut("old.example.com", 993, Reach::Refused)]].concat());
    assert_eq!(
        seen(&answer, "sources-disagree"),
        [
            "For reading mail with IMAP, the provider's autoconfig document says old.example.com, port 993 with SSL/TLS, and the SRV records in DNS say imap.example.com, port 993 with SSL/TLS: the SRV records in DNS are right."
        ]
    );
    assert_eq!(
        seen(&answer, "source-lies"),
        [
            "The provider's autoconfig document says old.example.com, port 993 with SSL/TLS, but nothing listens there."
        ]
    );
    assert_eq!(answer.exit, Exit::Change);
    // Both work: good to know, no more.
    let both = about(vec![old(), new()], [fine(), vec![good("old.example.com", 993)]].concat());
    assert_eq!(told(&both), ["N provider sources-disagree"]);
    // A source that says less does not disagree.
    let less = says(Source::Pacc, vec![crate::tests::sample::row("imap.example.com", 993)]);
    let more = says(
        Source::Autoconfig,
        vec![
            crate::tests::sample::row("imap.example.com", 143),
            crate::tests::sample::row("imap.example.com", 993),
        ],
    );
    let probes = [fine(), vec![good("imap.example.com", 143)]].concat();
    assert!(seen(&about(vec![more, less], probes), "sources-disagree").is_empty());
}

#[test]
fn lies_are_told_with_the_reason() {
    let named = |probe: Probe| {
        let row = crate::tests::sample::row("imap.example.com", probe.place.port.number);
        let answer =
            about(vec![says(Source::Autoconfig, vec![row])], vec![probe, good("smtp.example.com", 465)]);
        seen(&answer, "source-lies").first().map(|text| (*text).to_owned())
    };
    let tail =
        |text: Option<String>| text.and_then(|t| t.split_once(", but ").map(|(_, tail)| tail.to_owned()));
    assert_eq!(
        tail(named(shut("imap.example.com", 993, Reach::NoAddress))).as_deref(),
        Some("there is no such server.")
    );
    assert_eq!(
        tail(named(shut("imap.example.com", 993, Reach::Refused))).as_deref(),
        Some("nothing listens there.")
    );
    assert_eq!(
        tail(named(but(good("imap.example.com", 993), |p| {
            p.first = First::Greeting;
            p.tls = None;
        })))
        .as_deref(),
        Some("it begins without encryption there.")
    );
    assert_eq!(
        tail(named(but(good("imap.example.com", 143), |p| p.first = First::Tls))).as_deref(),
        Some("it wants SSL/TLS there.")
    );
    assert_eq!(tail(named(clear("imap.example.com", 143))).as_deref(), Some("it offers no STARTTLS there."));
    assert_eq!(
        tail(named(but(good("imap.example.com", 993), |p| p.protocol = Some(Protocol::Pop3)))).as_deref(),
        Some("it speaks POP3.")
    );
    // Silence may be the network's.
    assert_eq!(named(shut("imap.example.com", 993, Reach::Silent)), None);
}

#[test]
fn broken_documents_and_the_address() {
    let broken = || {
        outcome(Source::Autoconfig, Outcome::Broken("the document is longer than 262144 octets".to_owned()))
    };
    let answer = about(vec![broken()], fine());
    assert_eq!(told(&answer), ["N provider source-broken"]);
    assert_eq!(
        seen(&answer, "source-broken"),
        [
            "The provider's autoconfig document (autoconfig.example.com) cannot be used: the document is longer than 262144 octets."
        ]
    );
    let mut asked = usual().looked;
    asked[0].sent_address = true;
    let answer = about(asked, fine());
    assert_eq!(answer.address_sent_to, ["The full address was sent to autoconfig.example.com."]);
    assert_eq!(told(&answer), ["N nobody address-sent"]);
    assert_eq!(answer.exit, Exit::Fine);
}

#[test]
fn a_guess_that_leads_nowhere_is_no_finding() {
    let guesses = ["mail.example.com", "pop.example.com"];
    let mut probes = fine();
    for guess in guesses {
        probes.push(guessed(shut(guess, 993, Reach::Refused)));
        probes.push(guessed(shut(guess, 465, Reach::Silent)));
        probes.push(guessed(with(good(guess, 143), |c| c.not_after = NOW - DAY)));
    }
    let answer = about(usual().looked, probes);
    assert_eq!(told(&answer), [""; 0]);
    assert_eq!(answer.exit, Exit::Fine);
}

#[test]
fn settings_stand_in_the_order_of_trust() {
    let probes = vec![
        guessed(good("mail.example.com", 993)),
        good("smtp.example.com", 587),
        good("imap.example.com", 143),
        good("smtp.example.com", 465),
        good("imap.example.com", 993),
        guessed(good("mail.example.com", 995)),
        guessed(good("mail.example.com", 25)),
        with(guessed(good("mail.example.com", 110)), |c| c.covers_host = false),
    ];
    let answer = about(usual().looked, probes);
    let rows: Vec<String> = answer.settings.iter().map(words::endpoint).collect();
    assert_eq!(
        rows,
        [
            "imap.example.com, port 993 with SSL/TLS",
            "imap.example.com, port 143 with STARTTLS",
            "mail.example.com, port 995 with SSL/TLS",
            "smtp.example.com, port 465 with SSL/TLS",
            "smtp.example.com, port 587 with STARTTLS",
        ]
    );
}
