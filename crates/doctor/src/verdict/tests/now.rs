//! What the person has today.

use super::*;

/// A service with every port, as many have it.
fn whole() -> Vec<Probe> {
    let mut probes: Vec<Probe> =
        [993, 143, 995, 110, 465, 587].into_iter().map(|port| good("mail.example.com", port)).collect();
    probes.push(guessed(shut("mail.example.com", 25, Reach::Silent)));
    probes
}

/// Only TLS from the first octet.
fn implicit() -> Vec<Probe> {
    [993, 995, 465].into_iter().map(|port| good("mail.example.com", port)).collect()
}

#[test]
fn says_which_of_the_two_has_to_change() {
    let rows: &[(&[&str], &str, &str)] = &[
        // The port alone.
        (
            &["imap:143:ssl"],
            "Your provider is fine; your port is wrong: change 143 to 993 and keep SSL/TLS.",
            "now-port",
        ),
        (
            &["smtp:587:ssl"],
            "Your provider is fine; your port is wrong: change 587 to 465 and keep SSL/TLS.",
            "now-port",
        ),
        // The security setting alone.
        (
            &["imap:993:starttls"],
            "Your provider is fine; your security setting is wrong: keep port 993 and choose SSL/TLS instead of STARTTLS.",
            "now-security",
        ),
        (
            &["imap:993:none"],
            "Your provider is fine; your security setting is wrong: keep port 993 and choose SSL/TLS instead of \"none\".",
            "now-security",
        ),
        (
            &["smtp:465:starttls"],
            "Your provider is fine; your security setting is wrong: keep port 465 and choose SSL/TLS instead of STARTTLS.",
            "now-security",
        ),
        // Both.
        (
            &["pop3:110:none"],
            "Your provider is fine; your port and your security setting do not match: change 110 to 995 and choose SSL/TLS.",
            "now-port-and-security",
        ),
        (
            &["smtp:587:none"],
            "Your provider is fine; your port and your security setting do not match: change 587 to 465 and choose SSL/TLS.",
            "now-port-and-security",
        ),
        // Swapped, and other mistakes about which port is whose.
        (
            &["imap:465:ssl"],
            "Your provider is fine; port 465 is for sending mail, not for reading: change 465 to 993 and keep SSL/TLS, with mail.example.com as server name.",
            "now-swapped",
        ),
        (
            &["pop3:587:starttls"],
            "Your provider is fine; port 587 is for sending mail, not for reading: change 587 to 995 and choose SSL/TLS, with mail.example.com as server name.",
            "now-swapped",
        ),
        (
            &["smtp:993:ssl"],
            "Your provider is fine; port 993 is for reading mail, not for sending: change 993 to 465 and keep SSL/TLS, with mail.example.com as server name.",
            "now-swapped",
        ),
        (
            &["imap:465:ssl", "smtp:993:ssl"],
            "Your incoming and outgoing settings are swapped: for reading mail with IMAP type mail.example.com, port 993 with SSL/TLS; for sending mail type mail.example.com, port 465 with SSL/TLS.",
            "now-swapped",
        ),
        (
            &["imap:995:ssl"],
            "Your provider is fine; port 995 belongs to POP3, but your account is IMAP: change 995 to 993 and keep SSL/TLS, with mail.example.com as server name.",
            "now-other-protocol",
        ),
        (
            &["smtp:25:starttls"],
            "Your network blocks port 25, as many do: change 25 to 465 and choose SSL/TLS.",
            "now-server-port",
        ),
        (
            &["imap:993:ssl:spa"],
            "Your provider is fine; turn \"Secure Password Authentication (SPA)\" off; everything else is right.",
            "now-spa",
        ),
        (
            &["imap:wrong.example.com:993:ssl"],
            "Your provider is fine; the server name is wrong: type mail.example.com instead of wrong.example.com.",
            "now-host",
        ),
        (
            &["imap:wrong.example.com:143:none"],
            "Your provider is fine; the server name is wrong: type mail.example.com instead of wrong.example.com, change 143 to 993 and choose SSL/TLS.",
            "now-host",
        ),
        (
            &["imap:143:ssl", "smtp:465:starttls"],
            "Your provider is fine; your settings are not: for reading mail with IMAP change 143 to 993 and keep SSL/TLS; for sending mail keep port 465 and choose SSL/TLS instead of STARTTLS.",
            "now-port",
        ),
    ];
    for (now, sentence, code) in rows {
        let answer = judge(&has(now), &usual(), &whole(), NOW);
        assert_eq!(answer.sentence, *sentence, "{now:?}");
        assert_eq!(answer.exit, Exit::Broken, "{now:?}");
        assert!(answer.findings.iter().any(|f| f.code == *code), "{now:?}: {:?}", told(&answer));
    }
}

#[test]
fn what_is_right_stays() {
    for (now, sentence) in [
        (&["imap:993:ssl"][..], "Your settings are right: IMAP on port 993 with SSL/TLS works."),
        (&["imap:143:starttls"], "Your settings are right: IMAP on port 143 with STARTTLS works."),
        (
            &["pop3:mail.example.com:995:ssl", "smtp:mail.example.com:587:starttls"],
            "Your settings are right: POP3 on port 995 with SSL/TLS and sending on port 587 with STARTTLS work.",
        ),
    ] {
        let answer = judge(&has(now), &usual(), &whole(), NOW);
        assert_eq!((answer.sentence.as_str(), answer.exit), (sentence, Exit::Fine), "{now:?}");
    }
}

#[test]
fn what_works_in_clear_is_told_as_exposed() {
    let mut probes = whole();
    probes[1] = but(good("mail.example.com", 143), |p| {
        p.clear = Some(crate::seen::Offer { password: true, starttls: true, ..Default::default() });
    });
    let answer = judge(&has(&["imap:143:none"]), &usual(), &probes, NOW);
    assert_eq!(
        answer.sentence,
        "Your password travels without encryption: change 143 to 993 and choose SSL/TLS."
    );
    assert_eq!(answer.exit, Exit::Broken);
    // Where there is STARTTLS only, the port stays.
    let only = vec![probes[1].clone(), good("mail.example.com", 465)];
    let answer = judge(&has(&["imap:143:none"]), &usual(), &only, NOW);
    assert_eq!(
        answer.sentence,
        "Your password travels without encryption: keep port 143 and choose STARTTLS instead of \"none\"."
    );
    let never = vec![clear("mail.example.com", 143), good("mail.example.com", 465)];
    let answer = judge(&has(&["imap:143:none"]), &usual(), &never, NOW);
    assert_eq!(
        answer.sentence,
        "mail.example.com offers no encryption on port 143; your provider must mend that."
    );
    assert!(answer.findings.iter().any(|f| f.code == "now-no-choice"));
    assert_eq!(answer.exit, Exit::Broken);
}

#[test]
fn faults_of_the_place_are_told_although_the_setting_is_right() {
    let mut probes = implicit();
    probes[0] = with(good("mail.example.com", 993), |c| c.not_after = NOW - DAY);
    let answer = judge(&has(&["imap:mail.example.com:993:ssl"]), &usual(), &probes, NOW);
    assert_eq!(
        answer.sentence,
        "The certificate of mail.example.com expired on 31 October 2026; your provider must renew it."
    );
    assert_eq!(answer.exit, Exit::Broken);
    probes[0] = with(good("mail.example.com", 993), |c| c.not_after = NOW + DAY);
    let answer = judge(&has(&["imap:mail.example.com:993:ssl"]), &usual(), &probes, NOW);
    assert_eq!(
        answer.sentence,
        "Your settings are right, but the certificate of mail.example.com expires on 2 November 2026; your provider should renew it now."
    );
    assert_eq!(answer.exit, Exit::Change);
    // What is wrong elsewhere does not make right settings wrong.
    let mut probes = implicit();
    probes[1] = with(good("mail.example.com", 995), |c| c.not_after = NOW + DAY);
    let answer = judge(&has(&["imap:mail.example.com:993:ssl"]), &usual(), &probes, NOW);
    assert_eq!(answer.exit, Exit::Fine, "{}", answer.sentence);
}

#[test]
fn a_setting_that_fits_a_faulty_port_goes_elsewhere() {
    let mut probes = whole();
    probes[1] = but(good("mail.example.com", 143), |p| {
        p.protocol = Some(Protocol::Pop3);
    });
    let answer = judge(&has(&["imap:143:starttls"]), &usual(), &probes, NOW);
    assert_eq!(
        answer.sentence,
        "Port 143 of mail.example.com speaks POP3 instead of IMAP; until that is mended change 143 to 993 and choose SSL/TLS."
    );
    assert_eq!(answer.exit, Exit::Broken);
    assert!(answer.findings.iter().any(|f| f.code == "now-elsewhere"));
}

#[test]
fn what_the_person_takes_a_port_for_is_not_what_it_is_for() {
    // Probed only because the person has them so: planned as IMAP on 465 and submission on 993.
    let planned = |probe: Probe, protocol| guessed(but(probe, |p| p.place.port.protocol = protocol));
    let probes = vec![
        planned(good("mail.example.com", 465), Protocol::Imap),
        planned(good("mail.example.com", 993), Protocol::Submission),
    ];
    let answer = judge(&has(&["imap:465:ssl", "smtp:993:ssl"]), &lookup(vec![]), &probes, NOW);
    assert_eq!(
        answer.sentence,
        "Your incoming and outgoing settings are swapped: for reading mail with IMAP type mail.example.com, port 993 with SSL/TLS; for sending mail type mail.example.com, port 465 with SSL/TLS."
    );
}

#[test]
fn a_wrong_name_says_which_to_type() {
    let wrong = with(good("imap.customer.example", 993), |c| {
        c.names = vec!["*.example.com".to_owned()];
        c.covers_host = false;
    });
    let probes = [implicit(), vec![wrong]].concat();
    let answer = judge(&has(&["imap:imap.customer.example:993:ssl"]), &usual(), &probes, NOW);
    assert_eq!(
        answer.sentence,
        "Your provider is fine; the server name is wrong: type mail.example.com instead of imap.customer.example."
    );
    let finding = answer.findings.iter().find(|f| f.code == "certificate-wrong-name").expect("found");
    assert_eq!(finding.advice, "Type mail.example.com as server name instead of imap.customer.example.");
}

#[test]
fn ports_of_the_question_count_instead_of_the_registered_ones() {
    let at = |probe: Probe, number: u16| but(probe, |p| p.place.port.number = number);
    let probes = vec![at(good("mail.example.com", 995), 40_995), at(clear("mail.example.com", 110), 40_110)];
    let ports = [995, 110].map(|number| crate::Port { number: number + 40_000, ..port(number) });
    let question = Question { ports: ports.to_vec(), ..has(&["pop3:40110:ssl"]) };
    let answer = judge(&question, &usual(), &probes, NOW);
    assert_eq!(
        answer.sentence,
        "Your provider is fine; your port is wrong: change 40110 to 40995 and keep SSL/TLS."
    );
}
