//! STARTTLS, versions, suites, and what is offered inside.

use super::*;
use crate::seen::Offer;

#[test]
fn starttls() {
    let plain = |p: &mut Probe| {
        p.tls = None;
        p.encrypted = None;
    };
    check(vec![
        row(
            "works",
            upgrade(|_| {}),
            "Mail for example.com works: read it at imap.example.com, port 143 with STARTTLS, and send it at smtp.example.com, port 465 with SSL/TLS.",
            Exit::Fine,
            &[],
        ),
        row(
            "missing",
            upgrade(|p| {
                p.starttls = StartTls::NotOffered;
                p.clear = None;
                plain(p);
            }),
            "imap.example.com offers no encryption on port 143; your provider must mend that.",
            Exit::Broken,
            &["B provider starttls-missing", "B provider no-reading-service"],
        ),
        row(
            "stripped",
            upgrade(|p| {
                p.starttls = StartTls::Stripped("the answer is masked with X".to_owned());
                plain(p);
            }),
            "Somebody between you and imap.example.com removes the encryption.",
            Exit::Broken,
            &["B network starttls-stripped", "B provider no-reading-service"],
        ),
        row(
            "missing on one port only, as a filter does it",
            vec![
                good("imap.example.com", 993),
                good("smtp.example.com", 465),
                good("smtp.example.com", 587),
                but(good("smtp.example.com", 2525), |p| {
                    p.starttls = StartTls::NotOffered;
                    p.clear = None;
                    plain(p);
                }),
            ],
            "Mail for example.com works, but somebody between you and smtp.example.com removes the encryption.",
            Exit::Change,
            &["S network starttls-stripped"],
        ),
        row(
            "fails",
            upgrade(|p| {
                p.starttls = StartTls::Fails("the connection was closed".to_owned());
                plain(p);
            }),
            "The encryption that imap.example.com offers on port 143 fails; your provider must mend it.",
            Exit::Broken,
            &["B provider starttls-fails", "B provider no-reading-service"],
        ),
        row(
            "injectable",
            upgrade(|p| p.starttls = StartTls::Works { injectable: true }),
            "Mail for example.com works, but imap.example.com executes commands on port 143 that somebody slipped in before the encryption; your provider must update it.",
            Exit::Change,
            &["S provider starttls-injectable"],
        ),
    ]);
}

#[test]
fn versions_and_suites() {
    let with = |change: fn(&mut crate::seen::TlsSeen)| {
        vec![tls(good("imap.example.com", 993), change), good("smtp.example.com", 465)]
    };
    check(vec![
        row(
            "only TLS 1.0",
            with(|t| {
                t.version = None;
                t.accepts = vec!["TLSv1.0".to_owned()];
            }),
            "imap.example.com speaks only TLS 1.0, which is too old; your provider must update it.",
            Exit::Broken,
            &["B provider tls-too-old", "B provider no-reading-service"],
        ),
        row(
            "no handshake",
            with(|t| {
                t.version = None;
                t.accepts.clear();
                t.failure = Some("handshake_failure".to_owned());
            }),
            "The encryption of imap.example.com on port 993 fails; your provider must mend it.",
            Exit::Broken,
            &["B provider tls-fails", "B provider no-reading-service"],
        ),
        row(
            "TLS 1.0 beside newer ones",
            with(|t| t.accepts.push("TLSv1.0".to_owned())),
            "Mail for example.com works: read it at imap.example.com, port 993 with SSL/TLS, and send it at smtp.example.com, port 465 with SSL/TLS.",
            Exit::Fine,
            &["N provider old-tls-accepted"],
        ),
        row(
            "SSL 3 beside newer ones",
            with(|t| t.accepts.push("SSLv3".to_owned())),
            "Mail for example.com works, but imap.example.com still accepts SSL 3.",
            Exit::Change,
            &["S provider old-tls-accepted"],
        ),
        row(
            "weak suite",
            with(|t| t.weak = vec!["TLS_RSA_WITH_RC4_128_SHA".to_owned()]),
            "Mail for example.com works, but imap.example.com accepts weak ciphers.",
            Exit::Change,
            &["S provider weak-suites"],
        ),
        row(
            "suite without forward secrecy",
            with(|t| t.weak = vec!["TLS_RSA_WITH_AES_128_CBC_SHA".to_owned()]),
            "Mail for example.com works: read it at imap.example.com, port 993 with SSL/TLS, and send it at smtp.example.com, port 465 with SSL/TLS.",
            Exit::Fine,
            &["N provider weak-suites"],
        ),
        row(
            "suite without authentication",
            with(|t| t.weak = vec!["TLS_ECDH_anon_WITH_AES_128_CBC_SHA".to_owned()]),
            "Mail for example.com works: read it at imap.example.com, port 993 with SSL/TLS, and send it at smtp.example.com, port 465 with SSL/TLS.",
            Exit::Fine,
            &["N provider weak-suites"],
        ),
    ]);
}

#[test]
fn what_is_offered() {
    let mechanisms = |words: &[&str]| Offer {
        mechanisms: words.iter().map(|&word| word.to_owned()).collect(),
        starttls: true,
        ..Offer::default()
    };
    check(vec![
        row(
            "a password in clear",
            upgrade(|p| p.clear = Some(Offer { password: true, starttls: true, ..Offer::default() })),
            "Mail for example.com works, but imap.example.com would take your password without encryption.",
            Exit::Change,
            &["S provider password-offered-in-clear"],
        ),
        row(
            "only a challenge in clear",
            upgrade(|p| {
                p.clear = Some(mechanisms(&["CRAM-MD5"]));
                p.encrypted = Some(mechanisms(&["CRAM-MD5", "PLAIN"]));
            }),
            "Mail for example.com works: read it at imap.example.com, port 143 with STARTTLS, and send it at smtp.example.com, port 465 with SSL/TLS.",
            Exit::Fine,
            &[],
        ),
        row(
            "login disabled inside too",
            upgrade(|p| p.encrypted = Some(Offer::default())),
            "imap.example.com offers no way to sign in on port 143.",
            Exit::Broken,
            &["B provider login-disabled", "B provider no-reading-service"],
        ),
        row(
            "mechanisms vanish",
            upgrade(|p| {
                p.clear = Some(mechanisms(&["CRAM-MD5"]));
                p.encrypted = Some(Offer::default());
            }),
            "imap.example.com offers a sign-in on port 143 only before the encryption; your provider must mend that.",
            Exit::Broken,
            &["B provider mechanisms-vanish", "B provider no-reading-service"],
        ),
        row(
            "one mechanism vanishes",
            upgrade(|p| p.clear = Some(mechanisms(&["CRAM-MD5"]))),
            "Mail for example.com works: read it at imap.example.com, port 143 with STARTTLS, and send it at smtp.example.com, port 465 with SSL/TLS.",
            Exit::Fine,
            &["N provider mechanisms-vanish"],
        ),
    ]);
}
