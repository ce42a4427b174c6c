//! Each situation: what was seen, and exactly what is said of it.

use super::*;
use crate::seen::{Chain, First, Reach, StartTls};
use crate::tests::sample::*;
use proto::service::Protocol;

mod login;
mod now;
mod source;
mod tls;

/// What is expected.
struct Row {
    name: &'static str,
    question: Question,
    lookup: Lookup,
    probes: Vec<Probe>,
    sentence: &'static str,
    exit: Exit,
    /// Codes with their levels' first letters and actors, in order: `B provider certificate-expired`.
    findings: &'static [&'static str],
}

fn told(answer: &Answer) -> Vec<String> {
    let level = |level| match level {
        Level::Broken => "B",
        Level::Should => "S",
        Level::Note => "N",
    };
    answer
        .findings
        .iter()
        .map(|f| format!("{} {} {}", level(f.level), format!("{:?}", f.actor).to_lowercase(), f.code))
        .collect()
}

fn check(rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for row in rows {
        let answer = judge(&row.question, &row.lookup, &row.probes, NOW);
        if (answer.sentence.as_str(), answer.exit) != (row.sentence, row.exit)
            || told(&answer) != row.findings
        {
            wrong.push(format!(
                "{}:\n  {}\n  {:?}\n  {:?}\nexpected\n  {}\n  {:?}\n  {:?}",
                row.name,
                answer.sentence,
                answer.exit,
                told(&answer),
                row.sentence,
                row.exit,
                row.findings
            ));
        }
        for finding in &answer.findings {
            for text in [&finding.seen, &finding.why, &finding.advice] {
                assert!(text.ends_with(['.', '?']) || text.contains("https://"), "{}: {text}", row.name);
                assert!(!text.contains("..") && !text.contains("  "), "{}: {text}", row.name);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn row(
    name: &'static str,
    probes: Vec<Probe>,
    sentence: &'static str,
    exit: Exit,
    findings: &'static [&'static str],
) -> Row {
    Row { name, question: question(), lookup: usual(), probes, sentence, exit, findings }
}

fn imap(change: impl FnOnce(&mut Probe)) -> Vec<Probe> {
    vec![but(good("imap.example.com", 993), change), good("smtp.example.com", 465)]
}

/// IMAP only with STARTTLS.
fn upgrade(change: impl FnOnce(&mut Probe)) -> Vec<Probe> {
    vec![but(good("imap.example.com", 143), change), good("smtp.example.com", 465)]
}

#[test]
fn certificates() {
    let with = |change: fn(&mut crate::seen::CertificateSeen)| {
        vec![with(good("imap.example.com", 993), change), good("smtp.example.com", 465)]
    };
    check(vec![
        row(
            "expired",
            with(|c| c.not_after = NOW - DAY),
            "The certificate of imap.example.com expired on 31 October 2026; your provider must renew it.",
            Exit::Broken,
            &["B provider certificate-expired", "B provider no-reading-service"],
        ),
        row(
            "not yet valid",
            with(|c| c.not_before = NOW + DAY),
            "The certificate of imap.example.com is valid only from 2 November 2026 on; check your computer's clock.",
            Exit::Broken,
            &["B provider certificate-not-yet-valid", "B provider no-reading-service"],
        ),
        row(
            "for another name that is not known",
            with(|c| {
                c.names = vec!["*.hoster.example".to_owned()];
                c.covers_host = false;
            }),
            "The certificate of imap.example.com is not for that name; ask your provider which server name to type.",
            Exit::Broken,
            &["B provider certificate-wrong-name", "B provider no-reading-service"],
        ),
        row(
            "for another name",
            with(|c| {
                c.names = vec!["*.hoster.example".to_owned(), "server5.hoster.example".to_owned()];
                c.covers_host = false;
            }),
            "The certificate is not for imap.example.com but for server5.hoster.example: if that is your provider's, type it as server name instead.",
            Exit::Broken,
            &["B provider certificate-wrong-name", "B provider no-reading-service"],
        ),
        row(
            "self-signed",
            with(|c| c.chain = Chain::SelfSigned),
            "Nobody vouches for the certificate of imap.example.com; your provider must install another.",
            Exit::Broken,
            &["B provider certificate-self-signed", "B provider no-reading-service"],
        ),
        row(
            "incomplete",
            with(|c| c.chain = Chain::Incomplete),
            "The certificate chain of imap.example.com is incomplete; your provider must add the missing part.",
            Exit::Broken,
            &["B provider certificate-incomplete", "B provider no-reading-service"],
        ),
        row(
            "unknown authority",
            with(|c| c.chain = Chain::UnknownAuthority),
            "The certificate of imap.example.com comes from an authority that nobody knows.",
            Exit::Broken,
            &["B provider certificate-unknown-authority", "B provider no-reading-service"],
        ),
        row(
            "broken",
            with(|c| c.chain = Chain::Broken),
            "The certificate of imap.example.com is broken; your provider must install another.",
            Exit::Broken,
            &["B provider certificate-broken", "B provider no-reading-service"],
        ),
        row(
            "expires soon",
            with(|c| c.not_after = NOW + 3 * DAY),
            "Mail for example.com works, but the certificate of imap.example.com expires on 4 November 2026; your provider should renew it now.",
            Exit::Change,
            &["S provider certificate-expires-soon"],
        ),
        row(
            "lives a week only, as some do, and has half of it left",
            with(|c| {
                c.not_before = NOW - 3 * DAY;
                c.not_after = NOW + 3 * DAY;
            }),
            "Mail for example.com works: read it at imap.example.com, port 993 with SSL/TLS, and send it at smtp.example.com, port 465 with SSL/TLS.",
            Exit::Fine,
            &[],
        ),
        row(
            "weak key",
            with(|c| c.key = "RSA 1024".to_owned()),
            "Mail for example.com works, but the certificate of imap.example.com is weak; your provider should install a new one.",
            Exit::Change,
            &["S provider certificate-weak"],
        ),
        row(
            "weak signature",
            with(|c| c.weak_signature = true),
            "Mail for example.com works, but the certificate of imap.example.com is weak; your provider should install a new one.",
            Exit::Change,
            &["S provider certificate-weak"],
        ),
    ]);
}

#[test]
fn the_name_to_type_is_one_that_works() {
    let names = vec!["mail.other.example".to_owned(), "imap.example.com".to_owned()];
    let wrong = with(good("mail.example.com", 993), |c| {
        c.names = names;
        c.covers_host = false;
    });
    let answer =
        judge(&host("mail.example.com"), &lookup(vec![]), &[wrong, good("imap.example.com", 993)], NOW);
    let finding = answer.findings.iter().find(|f| f.code == "certificate-wrong-name").expect("found");
    assert_eq!(finding.advice, "Type imap.example.com as server name instead of mail.example.com.");
}

#[test]
fn ports_and_greetings() {
    check(vec![
        row(
            "fine",
            fine(),
            "Mail for example.com works: read it at imap.example.com, port 993 with SSL/TLS, and send it at smtp.example.com, port 465 with SSL/TLS.",
            Exit::Fine,
            &[],
        ),
        row(
            "refused",
            vec![shut("imap.example.com", 993, Reach::Refused), good("smtp.example.com", 465)],
            "imap.example.com does not take connections on port 993.",
            Exit::Broken,
            &["B provider port-refused", "B provider source-lies", "B provider no-reading-service"],
        ),
        row(
            "silent",
            vec![shut("imap.example.com", 993, Reach::Silent), good("smtp.example.com", 465)],
            "imap.example.com does not answer on port 993.",
            Exit::Broken,
            &["B provider port-silent", "B provider no-reading-service"],
        ),
        row(
            "blocked on the way",
            vec![
                shut("smtp.example.com", 465, Reach::Silent),
                good("smtp.example.com", 587),
                good("imap.example.com", 993),
            ],
            "Mail for example.com works, but port 465 of smtp.example.com is blocked on the way.",
            Exit::Change,
            &["S network port-silent"],
        ),
        row(
            "the port between servers is blocked",
            [fine(), vec![guessed(shut("smtp.example.com", 25, Reach::Silent))]].concat(),
            "Mail for example.com works: read it at imap.example.com, port 993 with SSL/TLS, and send it at smtp.example.com, port 465 with SSL/TLS.",
            Exit::Fine,
            &["N network port-silent"],
        ),
        row(
            "plain on 993",
            imap(|p| {
                p.first = First::Greeting;
                p.tls = None;
                p.encrypted = None;
            }),
            "imap.example.com speaks no encryption on port 993, where encryption must come first; your provider must mend that.",
            Exit::Broken,
            &["B provider plain-on-implicit-port", "B provider source-lies", "B provider no-reading-service"],
        ),
        row(
            "TLS on 143",
            upgrade(|p| {
                p.first = First::Tls;
                p.starttls = StartTls::NotTried;
            }),
            "Mail for example.com works, but port 143 of imap.example.com wants SSL/TLS, not STARTTLS.",
            Exit::Change,
            &["S provider tls-on-starttls-port"],
        ),
        row(
            "endless greeting",
            imap(|p| {
                p.first = First::NeverEnds;
                p.tls = None;
                p.encrypted = None;
            }),
            "The greeting of imap.example.com on port 993 never ends.",
            Exit::Broken,
            &["B provider greeting-never-ends", "B provider no-reading-service"],
        ),
        row(
            "foreign",
            imap(|p| {
                p.first = First::Foreign;
                p.protocol = None;
                p.tls = None;
                p.encrypted = None;
            }),
            "What answers at imap.example.com on port 993 is no mail server.",
            Exit::Broken,
            &["B provider greeting-foreign", "B provider source-lies", "B provider no-reading-service"],
        ),
        row(
            "mute",
            imap(|p| {
                p.first = First::Silence;
                p.tls = None;
                p.encrypted = None;
            }),
            "imap.example.com takes connections on port 993 but never says a word.",
            Exit::Broken,
            &["B provider greeting-missing", "B provider no-reading-service"],
        ),
        row(
            "closed",
            imap(|p| {
                p.first = First::Closed;
                p.tls = None;
                p.encrypted = None;
            }),
            "imap.example.com closes each connection to port 993 at once.",
            Exit::Broken,
            &["B provider closed-at-once", "B provider no-reading-service"],
        ),
        row(
            "another protocol",
            imap(|p| p.protocol = Some(Protocol::Pop3)),
            "Port 993 of imap.example.com speaks POP3 instead of IMAP.",
            Exit::Broken,
            &["B provider greeting-lies", "B provider source-lies", "B provider no-reading-service"],
        ),
        row(
            "IPv6 refused",
            [fine(), vec![but(shut("imap.example.com", 993, Reach::Refused), |p| p.ipv6 = true)]].concat(),
            "Mail for example.com works, but imap.example.com serves IPv4 only although its name has an IPv6 address.",
            Exit::Change,
            &["S provider ipv6-broken"],
        ),
        row(
            "no IPv6 here",
            [
                fine(),
                vec![but(shut("imap.example.com", 993, Reach::Unreachable("no route".to_owned())), |p| {
                    p.ipv6 = true
                })],
            ]
            .concat(),
            "Mail for example.com works: read it at imap.example.com, port 993 with SSL/TLS, and send it at smtp.example.com, port 465 with SSL/TLS.",
            Exit::Fine,
            &[],
        ),
        row(
            "no time",
            vec![shut("imap.example.com", 993, Reach::NotTried), good("smtp.example.com", 465)],
            "There was not enough time to tell; ask again with a longer limit.",
            Exit::CannotTell,
            &["N nobody not-enough-time"],
        ),
    ]);
}

#[test]
fn steps_are_filled_in_with_what_was_seen_to_work() {
    let steps = |client: Option<&str>, now: &[&str], probes: &[Probe]| {
        let question = Question { client: client.map(str::to_owned), ..has(now) };
        judge(&question, &usual(), probes, NOW).steps.map(|page| proto::guide::text(&page, 80))
    };
    for client in ["outlook", "apple", "ios", "thunderbird", "android"] {
        let text = steps(Some(client), &[], &fine()).unwrap_or_else(|| panic!("{client} has no steps"));
        for value in ["imap.example.com", "993", "smtp.example.com", "465"] {
            assert!(text.contains(value), "{client} lacks {value}:\n{text}");
        }
    }
    let (new, switch) =
        (steps(Some("thunderbird"), &[], &fine()), steps(Some("thunderbird"), &["imap:143:none"], &fine()));
    assert_ne!(new, switch, "who has an account switches it");
    let pop3 = [good("pop.example.com", 995), good("smtp.example.com", 465)];
    assert!(steps(Some("thunderbird"), &["pop3:110:none"], &pop3).is_some_and(|text| text.contains("995")));
    assert_eq!(steps(None, &[], &fine()), None);
    assert_eq!(steps(Some("pine-cone"), &[], &fine()), None);
    assert_eq!(steps(Some("thunderbird"), &[], &[]), None, "nothing works: there is nothing to type");
}
