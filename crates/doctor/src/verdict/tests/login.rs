//! What came of signing in, and what is known of providers beforehand.

use super::*;
use crate::seen::{LoginResult, Offer, Outcome, Source};
use proto::service::publish::{Authentication, UserForm};

#[test]
fn attempts() {
    let tried = |result, full| {
        vec![login(good("imap.example.com", 993), result, full), good("smtp.example.com", 465)]
    };
    let rows = [
        (
            LoginResult::Works,
            true,
            "Mail for example.com works: read it at imap.example.com, port 993 with SSL/TLS, and send it at smtp.example.com, port 465 with SSL/TLS.",
            "N nobody login-works",
        ),
        (
            LoginResult::Works,
            false,
            "Your password is right, but the user name is only what stands before the @ of your address.",
            "B you login-user-form",
        ),
        (
            LoginResult::Wrong,
            true,
            "imap.example.com refuses your user name or password; everything else is right.",
            "B you login-wrong",
        ),
        (
            LoginResult::NeedsAppPassword,
            true,
            "Your provider does not take your usual password from mail programs: create an app password.",
            "B you login-needs-app-password",
        ),
        (
            LoginResult::NeedsOAuth,
            true,
            "Your provider takes no password from mail programs: choose OAuth2 as authentication method.",
            "B you login-needs-oauth",
        ),
        (
            LoginResult::MechanismRefused,
            true,
            "imap.example.com refuses the method PLAIN that it offers.",
            "B provider login-mechanism-refused",
        ),
        (
            LoginResult::SwitchedOff,
            true,
            "Mail programs are not allowed for your mailbox: switch that on in the web settings of your provider.",
            "B you login-switched-off",
        ),
        (
            LoginResult::Later,
            true,
            "imap.example.com does not let you in for the moment: wait, then try again.",
            "B you login-later",
        ),
        (
            LoginResult::Other,
            true,
            "imap.example.com refuses the sign-in for a reason of its own.",
            "B provider login-other",
        ),
    ];
    for (result, full, sentence, finding) in rows {
        let answer = judge(&question(), &usual(), &tried(result, full), NOW);
        assert_eq!(answer.sentence, sentence, "{result:?}");
        assert_eq!(told(&answer), [finding], "{result:?}");
        let exit = if finding.starts_with('N') { Exit::Fine } else { Exit::Broken };
        assert_eq!(answer.exit, exit, "{result:?}");
    }
    // One server takes the local part, the other only had time to refuse the full address.
    let mut both = tried(LoginResult::Works, false);
    both[1] = login(both[1].clone(), LoginResult::Wrong, true);
    let answer = judge(&question(), &usual(), &both, NOW);
    assert_eq!(told(&answer), ["B you login-user-form"; 2]);
    both[1] = login(both[1].clone(), LoginResult::Wrong, false);
    let answer = judge(&question(), &usual(), &both, NOW);
    assert_eq!(told(&answer), ["B you login-wrong", "B you login-user-form"]);
    let answer = judge(&question(), &usual(), &tried(LoginResult::Works, false), NOW);
    assert_eq!(answer.settings[0].user, UserForm::LocalPart, "what worked is what to type");
}

/// A question about an address at a provider, with its probes.
fn at(domain: &str, probes: Vec<Probe>) -> Answer {
    let question = Question { domain: domain.to_owned(), ..question() };
    let lookup = if probes.is_empty() { Lookup::default() } else { usual() };
    judge(&question, &lookup, &probes, NOW)
}

#[test]
fn providers() {
    let ends = |domain: &str, clause: &str, codes: &[&str]| {
        let answer = at(domain, fine());
        let sentence = format!(
            "Mail for {domain} works: read it at imap.example.com, port 993 with SSL/TLS, and send it at smtp.example.com, port 465 with SSL/TLS; {clause}."
        );
        assert_eq!(answer.sentence, sentence);
        assert_eq!(answer.exit, Exit::Fine, "{domain}");
        assert_eq!(told(&answer), codes, "{domain}");
    };
    ends(
        "icloud.com",
        "sign in with an app-specific password, not with your usual password",
        &["N you needs-app-password"],
    );
    ends(
        "gmail.com",
        "sign in with OAuth2 or with an app password, not with your usual password",
        &["N you needs-app-password"],
    );
    ends("hotmail.co.uk", "sign in with OAuth2, because passwords are not taken", &["N you oauth-only"]);
    ends(
        "gmx.de",
        "allow IMAP or POP3 in the web settings of GMX first",
        &["N you needs-app-password", "N you must-be-switched-on"],
    );
    ends("mail.com", "mail programs need a paid plan", &["N you needs-plan"]);
    ends(
        "qq.com",
        "sign in with an authorization code (授权码), not with your usual password",
        &["N you needs-app-password", "N you must-be-switched-on"],
    );

    // Those who need it hear what is asked with two-factor authentication, and what stands in nobody's answer but in the data.
    let answer = at("seznam.cz", fine());
    let advice = |answer: &Answer, code: &str| {
        answer
            .findings
            .iter()
            .find(|finding| finding.code == code)
            .map(|finding| finding.advice.clone())
            .unwrap_or_default()
    };
    assert!(
        advice(&answer, "needs-app-password")
            .starts_with("If you use two-factor authentication, create an application password")
    );
    let wrong = vec![login(good("imap.example.com", 993), LoginResult::Wrong, false)];
    let answer = at("posteo.de", wrong);
    assert!(advice(&answer, "login-wrong").ends_with("is active in the settings."), "{:?}", answer.findings);

    for (domain, sentence, code) in [
        (
            "tuta.com",
            "Tuta cannot be used with mail programs at all: use its own app or web pages.",
            "B you no-client-access",
        ),
        (
            "proton.me",
            "Proton Mail works with mail programs only through its own Bridge program: install that first.",
            "B you needs-bridge",
        ),
    ] {
        let silent = Lookup {
            looked: vec![outcome(Source::Srv, Outcome::Nothing("no records".to_owned()))],
            mx: vec!["mx.example.com".to_owned()],
            guessed: Vec::new(),
        };
        let answer = judge(&Question { domain: domain.to_owned(), ..question() }, &silent, &[], NOW);
        assert_eq!((answer.sentence.as_str(), answer.exit), (sentence, Exit::Broken));
        assert_eq!(told(&answer), [code]);
    }
}

#[test]
fn a_password_that_is_offered_but_never_taken_is_not_recommended() {
    let offers = but(good("imap.example.com", 993), |p| {
        if let Some(offer) = &mut p.encrypted {
            offer.mechanisms = vec!["PLAIN".to_owned(), "XOAUTH2".to_owned()];
        }
    });
    let first = |domain| at(domain, vec![offers.clone()]).settings[0].authentication.clone();
    assert_eq!(first("outlook.com"), [Authentication::OAuth2]);
    assert_eq!(first("example.com"), [Authentication::Password, Authentication::OAuth2]);
}

#[test]
fn nothing_there() {
    let nothing = |what: Outcome| Lookup {
        looked: vec![outcome(Source::Srv, what)],
        mx: Vec::new(),
        guessed: Vec::new(),
    };
    let ask = |domain: &str, what: Outcome| {
        let answer = judge(&Question { domain: domain.to_owned(), ..question() }, &nothing(what), &[], NOW);
        (answer.sentence.clone(), answer.exit, told(&answer))
    };
    assert_eq!(
        ask("gmial.com", Outcome::Nothing("no such name".to_owned())),
        (
            "There is no mail service for gmial.com; did you mean gmail.com?".to_owned(),
            Exit::Broken,
            vec!["B you closest-name".to_owned()]
        )
    );
    assert_eq!(
        ask("nowhere.example", Outcome::Nothing("no such name".to_owned())),
        (
            "No mail service was found for nowhere.example; check the spelling.".to_owned(),
            Exit::Broken,
            vec!["B you no-mail-service".to_owned()]
        )
    );
    assert_eq!(
        ask("nowhere.example", Outcome::Broken("DNS did not answer.".to_owned())),
        (
            "Nothing can be reached from here: check this computer's connection to the internet.".to_owned(),
            Exit::CannotTell,
            vec!["N you cannot-tell".to_owned()]
        )
    );
    let (sentence, exit, _) = ask("gmail.com", Outcome::Nothing("no such name".to_owned()));
    assert_eq!(
        (sentence.as_str(), exit),
        (
            "Nothing can be reached from here: check this computer's connection to the internet.",
            Exit::CannotTell
        ),
        "a provider that exists does not vanish"
    );
    let dead =
        vec![shut("mail.example.com", 993, Reach::Refused), shut("mail.example.com", 465, Reach::Refused)];
    let answer = judge(&host("mail.example.com"), &Lookup::default(), &dead, NOW);
    assert_eq!(answer.sentence, "No mail service answers at mail.example.com.");
    assert_eq!(answer.exit, Exit::Broken);
    let cut: Vec<Probe> =
        fine().into_iter().map(|p| but(p, |p| p.reach = Reach::Unreachable("no route".to_owned()))).collect();
    assert_eq!(judge(&question(), &usual(), &cut, NOW).exit, Exit::CannotTell);
}

/// USER among POP3's capabilities says little where mechanisms are named that do not send the password.
#[test]
fn user_of_pop3_comes_last_where_only_challenges_are_named() {
    let row = |capabilities: &[&str], mechanisms: &[&str], tried: Option<&str>| {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        let mut probe = good("pop.example.com", 995);
        let (capabilities, mechanisms) = (words(capabilities), words(mechanisms));
        probe.encrypted = Some(Offer { capabilities, mechanisms, password: true, ..Offer::default() });
        if let Some(mechanism) = tried {
            probe = login(probe, LoginResult::Works, true);
            probe.login.as_mut().expect("it was tried").mechanism = mechanism.to_owned();
        }
        judge(&question(), &usual(), &[probe, good("smtp.example.com", 465)], NOW).settings[0]
            .authentication
            .clone()
    };
    use Authentication::{Challenge, OAuth2, Password};
    assert_eq!(row(&["USER", "SASL CRAM-MD5"], &["CRAM-MD5"], None), [Challenge, Password]);
    assert_eq!(row(&["TOP", "user", "SASL XOAUTH2"], &["XOAUTH2"], None), [OAuth2, Password]);
    assert_eq!(row(&["USER", "SASL PLAIN CRAM-MD5"], &["PLAIN", "CRAM-MD5"], None), [Password, Challenge]);
    assert_eq!(row(&["USER"], &[], None), [Password]);
    // IMAP's LOGIN is allowed unless it is said to be disabled.
    assert_eq!(row(&["IMAP4rev1", "AUTH=CRAM-MD5"], &["CRAM-MD5"], None), [Password, Challenge]);
    // What was tried is known: CRAM-MD5 is tried last.
    assert_eq!(row(&["USER", "SASL CRAM-MD5"], &["CRAM-MD5"], Some("CRAM-MD5")), [Challenge]);
    assert_eq!(row(&["USER", "SASL CRAM-MD5"], &["CRAM-MD5"], Some("USER")), [Password, Challenge]);
}
