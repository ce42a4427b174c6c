//! Every rule against every kind of connection, and what is offered.

use super::super::preset::Preset;
use super::super::{Listener, Model, Protocol, ports};
use super::*;
use crate::proof::{How, Tls};
use std::net::{IpAddr, Ipv4Addr};

const NOW: i64 = 1_000;

fn model(preset: Preset) -> Model {
    preset.model("mail.example.test", &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)])
}

fn row(model: &Model, port: u16) -> &Listener {
    model.listeners.iter().find(|listener| listener.port == port).expect("the preset has that row")
}

fn tls(version: TlsVersion) -> Security {
    let tls = Tls {
        version,
        cipher: "TLS_AES_256_GCM_SHA384",
        group: None,
        server_name: None,
        exporter: Some([1; 32]),
        end_point: Vec::new(),
        client_addresses: Vec::new(),
    };
    Security::established(How::Implicit, tls)
}

fn exception() -> Exception {
    Exception {
        reason: "scanner".into(),
        until: NOW + 1,
        ways: Vec::new(),
        mechanisms: Vec::new(),
        clear: false,
    }
}

fn policies() -> [(&'static str, DomainPolicy); 6] {
    let base = DomainPolicy::default;
    let staged = DomainPolicy { clear_login: ClearLogin::Staged, ..base() };
    [
        ("default", base()),
        ("staged, deny", staged.clone()),
        ("staged, observe", DomainPolicy { stage: Stage::Observe, ..staged }),
        ("TLS 1.3", DomainPolicy { tls_min: TlsVersion::Tls13, ..base() }),
        (
            "only 993",
            DomainPolicy { ways: Some(vec![Way { protocol: Protocol::Imap, port: ports::IMAPS }]), ..base() },
        ),
        (
            "only SCRAM",
            DomainPolicy { mechanisms: Some(vec![Mechanism::ScramSha256]), cram_md5: true, ..base() },
        ),
    ]
}

fn exceptions() -> [(&'static str, Option<Exception>); 5] {
    [
        ("none", None),
        ("clear", Some(Exception { clear: true, ..exception() })),
        (
            "port 143",
            Some(Exception {
                ways: vec![Way { protocol: Protocol::Imap, port: ports::IMAP }],
                ..exception()
            }),
        ),
        (
            "CRAM-MD5 and PLAIN",
            Some(Exception { mechanisms: vec![Mechanism::CramMd5, Mechanism::Plain], ..exception() }),
        ),
        ("clear, over", Some(Exception { clear: true, until: NOW, ..exception() })),
    ]
}

/// Each line a policy and an exception; in it each connection (clear on 143, TLS 1.2 on 143, TLS 1.3 on 993) with
/// each way to log in (LOGIN command, CRAM-MD5, SCRAM-SHA-256-PLUS).
#[test]
fn who_may_log_in_how() {
    let model = model(Preset::Compatible);
    let connections =
        [(143, Security::clear()), (143, tls(TlsVersion::Tls12)), (993, tls(TlsVersion::Tls13))];
    let mechanisms = [None, Some(Mechanism::CramMd5), Some(Mechanism::ScramSha256Plus)];
    let mut found = String::new();
    for (policy_name, policy) in policies() {
        for (exception_name, exception) in exceptions() {
            found.push_str(&format!("{policy_name} / {exception_name}:"));
            for (port, security) in &connections {
                found.push(' ');
                for mechanism in mechanisms {
                    let exception = exception.as_ref();
                    let listener = row(&model, *port);
                    found.push(
                        match permit(&model, &policy, exception, listener, security, mechanism, NOW) {
                            Ok(()) => '+',
                            Err(Denied::Clear) => 'c',
                            Err(Denied::TlsTooOld(TlsVersion::Tls13)) => 't',
                            Err(Denied::TlsTooOld(TlsVersion::Tls12)) => '?',
                            Err(Denied::Way) => 'w',
                            Err(Denied::Mechanism) => 'm',
                        },
                    );
                }
            }
            found.push('\n');
        }
    }
    assert_eq!(found, include_str!("permit.golden"), "what was found:\n{found}");
}

#[test]
fn people_submit_where_servers_deliver_only_by_rule_or_exception() {
    let here = |model: &Model, exception: Option<&Exception>| {
        let policy = DomainPolicy::default();
        permit(model, &policy, exception, row(model, ports::SMTP), &tls(TlsVersion::Tls13), None, NOW)
    };
    let (open, closed) = (model(Preset::Compatible), model(Preset::Modern));
    assert_eq!(here(&open, None), Ok(()));
    assert_eq!(here(&closed, None), Err(Denied::Way));
    let scanner =
        Exception { ways: vec![Way { protocol: Protocol::Smtp, port: ports::SMTP }], ..exception() };
    assert_eq!(here(&closed, Some(&scanner)), Ok(()));
}

fn offers(model: &Model, domains: &[Rules], port: u16, security: &Security) -> Vec<Mechanism> {
    offered(model, domains, row(model, port), security, NOW)
}

#[test]
fn an_offer_is_what_some_domain_takes() {
    use Mechanism::{CramMd5, Login, Plain, ScramSha1, ScramSha1Plus, ScramSha256, ScramSha256Plus};
    let model = model(Preset::Compatible);
    let encrypted = tls(TlsVersion::Tls13);
    let usual = [ScramSha256Plus, ScramSha256, ScramSha1Plus, ScramSha1, Plain, Login];
    assert_eq!(offers(&model, &[], 993, &encrypted), usual);
    let rules = |policy| Rules { policy, exceptions: Vec::new() };
    let scram = rules(DomainPolicy { mechanisms: Some(vec![ScramSha256]), ..DomainPolicy::default() });
    let cram =
        rules(DomainPolicy { mechanisms: Some(vec![CramMd5]), cram_md5: true, ..DomainPolicy::default() });
    assert_eq!(offers(&model, std::slice::from_ref(&scram), 993, &encrypted), [ScramSha256Plus, ScramSha256]);
    assert_eq!(offers(&model, &[scram, cram], 993, &encrypted), [ScramSha256Plus, ScramSha256, CramMd5]);
    // The order of domains plays no part, and neither do rows that a domain has closed: only a login can say why.
    let elsewhere =
        rules(DomainPolicy { ways: Some(Vec::new()), tls_min: TlsVersion::Tls13, ..DomainPolicy::default() });
    assert_eq!(offers(&model, &[elsewhere], 143, &tls(TlsVersion::Tls12)), usual);
}

#[test]
fn nothing_is_offered_in_clear_until_a_domain_or_an_exception_takes_it() {
    let model = model(Preset::Compatible);
    let clear = Security::clear();
    let mut rules = vec![Rules::default(); 3];
    assert_eq!(offers(&model, &rules, 143, &clear), []);
    rules[1].policy = DomainPolicy { clear_login: ClearLogin::Staged, ..DomainPolicy::default() };
    assert_eq!(offers(&model, &rules, 143, &clear), [], "the stage is deny");
    rules[1].policy.stage = Stage::Observe;
    let inside = [Mechanism::ScramSha256, Mechanism::ScramSha1, Mechanism::Plain, Mechanism::Login];
    assert_eq!(offers(&model, &rules, 143, &clear), inside);
    rules[1].policy.stage = Stage::Deny;
    rules[2].exceptions = vec![Exception { clear: true, ..exception() }];
    assert_eq!(offers(&model, &rules, 143, &clear), inside);
    rules[2].exceptions[0].until = NOW;
    assert_eq!(offers(&model, &rules, 143, &clear), []);
}

#[test]
fn an_exception_opens_the_exchange_for_its_mechanisms() {
    let model = model(Preset::Modern);
    let encrypted = tls(TlsVersion::Tls12);
    let mut rules = [Rules {
        policy: DomainPolicy { mechanisms: Some(vec![Mechanism::ScramSha256]), ..DomainPolicy::default() },
        exceptions: Vec::new(),
    }];
    assert_eq!(offers(&model, &rules, ports::SMTP, &encrypted), []);
    rules[0].exceptions = vec![Exception {
        ways: vec![Way { protocol: Protocol::Smtp, port: ports::SMTP }],
        mechanisms: vec![Mechanism::CramMd5],
        ..exception()
    }];
    assert_eq!(
        offers(&model, &rules, ports::SMTP, &encrypted),
        [Mechanism::ScramSha256Plus, Mechanism::ScramSha256, Mechanism::CramMd5]
    );
}

#[test]
fn rules_can_name_mail_on_the_webs_port_where_it_is_served() {
    let mut model = model(Preset::Modern);
    let way = |protocol| Way { protocol, port: ports::HTTPS };
    assert_eq!(model.ways_at(ports::HTTPS), [way(Protocol::Web)]);
    model.mail_on_web = true;
    assert_eq!(
        model.ways_at(ports::HTTPS),
        [way(Protocol::Submission), way(Protocol::Imap), way(Protocol::Web)]
    );
    assert_eq!(model.ways_at(ports::HTTP), [Way { protocol: Protocol::Web, port: ports::HTTP }]);
    assert_eq!(model.ways_at(1), []);
}

#[test]
fn lmtp_and_the_web_offer_nothing() {
    let mut model = model(Preset::Modern);
    for protocol in [Protocol::Lmtp, Protocol::Web] {
        model.listeners[0].protocol = protocol;
        let listener = &model.listeners[0];
        assert_eq!(offered(&model, &[], listener, &tls(TlsVersion::Tls13), NOW), []);
    }
}
