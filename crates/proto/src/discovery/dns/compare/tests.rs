//! Each difference that there can be, on the records of one domain that is right but for it.

use super::*;
use crate::discovery::dns::{Fewest, Issuer, Means, fewest, records};
use crate::service::policy::DomainPolicy;
use crate::service::preset::Preset;
use crate::service::publish::Published;
use std::net::{IpAddr, Ipv4Addr};

fn published() -> Published {
    let model = Preset::SubmissionFirst.model("mail.host.test", &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
    Published::new(&model, "d.test", &DomainPolicy::default())
}

fn means() -> Means {
    Means {
        addresses: vec!["192.0.2.25".parse().unwrap(), "2001:db8::25".parse().unwrap()],
        dkim: vec![("s1".into(), "v=DKIM1; k=rsa; p=QUJD".into())],
        key_digests: vec![[1; 32], [2; 32]],
        next_key_digests: Vec::new(),
        ca: Some(Issuer {
            name: "ca.test".into(),
            account: Some("https://ca.test/acct/7".into()),
            methods: vec!["http-01".into(), "tls-alpn-01".into()],
        }),
        dmarc_reports: Some("r@host.test".into()),
        tls_reports: Some("r@host.test".into()),
        mta_sts_id: Some("1".into()),
    }
}

/// Answers as they are when all is right.
fn right(wanted: &[Wanted]) -> Vec<Answer> {
    let of = |q: &Question| {
        let records = wanted.iter().map(|w| &w.record);
        records
            .filter(|r| asked(&r.name) == q.name && r.data.kind() == q.kind)
            .map(|r| r.data.clone())
            .collect()
    };
    questions(wanted)
        .into_iter()
        .map(|question| Answer { found: Ok(of(&question)), question, unproven: false })
        .collect()
}

fn set(answers: &mut Vec<Answer>, name: &str, kind: Kind, found: &[Data]) {
    let question = Question { name: name.into(), kind };
    answers.retain(|answer| answer.question != question);
    answers.push(Answer { question, found: Ok(found.to_vec()), unproven: false });
}

/// The differences if only this is answered otherwise.
fn with(name: &str, kind: Kind, found: &[Data]) -> Vec<Difference> {
    let wanted = records(&published(), &means());
    let mut answers = right(&wanted);
    set(&mut answers, name, kind, found);
    compare(&wanted, &answers)
}

fn one(name: &str, kind: Kind, found: &[Data]) -> (Fault, Weight, String) {
    let mut all = with(name, kind, found);
    assert_eq!(all.len(), 1, "{all:?}");
    let difference = all.remove(0);
    assert_eq!((difference.name.as_str(), difference.kind), (name, kind));
    assert!(!difference.remedy.is_empty());
    (difference.fault, difference.weight, format!("{} {}", difference.text, difference.remedy))
}

fn txt(text: &str) -> Data {
    Data::Txt(text.into())
}

fn mx(preference: u16, host: &str) -> Data {
    Data::Mx { preference, host: host.into() }
}

fn srv(port: u16, target: &str) -> Data {
    Data::Srv { priority: 7, weight: 9, port, target: target.into() }
}

#[test]
fn what_is_right_has_no_difference_and_what_is_empty_has_all() {
    let wanted = records(&published(), &means());
    assert_eq!(compare(&wanted, &right(&wanted)), []);
    let nothing: Vec<Answer> = questions(&wanted)
        .into_iter()
        .map(|question| Answer { question, found: Ok(vec![]), unproven: false })
        .collect();
    let all = compare(&wanted, &nothing);
    assert!(all.iter().all(|d| d.fault == Fault::Missing && d.remedy.contains("has to add: ")), "{all:?}");
    let groups: std::collections::BTreeSet<_> =
        wanted.iter().map(|w| (w.record.name.clone(), w.record.data.kind())).collect();
    assert_eq!(all.len(), groups.len());
    let silent = compare(&wanted, &[]);
    assert!(silent.iter().all(|d| d.fault == Fault::Unknown));
    assert_eq!(silent.len(), groups.len());
}

#[test]
fn the_host() {
    let (ours, six) =
        (Data::Address("192.0.2.25".parse().unwrap()), Data::Address("2001:db8::25".parse().unwrap()));
    let other = Data::Address("203.0.113.9".parse().unwrap());
    let host = |found: &[Data]| one("mail.host.test", Kind::Address, found);
    assert!(host(&[]).2.contains("has no A record"));
    let (fault, _, text) = host(std::slice::from_ref(&ours));
    assert_eq!(fault, Fault::Missing);
    assert!(text.contains("AAAA 2001:db8::25"), "{text}");
    assert_eq!(host(&[six.clone(), ours, other.clone()]).0, Fault::Extra);
    assert_eq!(host(&[other]).0, Fault::Other);
}

#[test]
fn mail_exchangers() {
    let d = |found: &[Data]| one("d.test", Kind::Mx, found);
    assert_eq!(with("d.test", Kind::Mx, &[mx(50, "MAIL.host.test.")]), []);
    assert!(d(&[]).2.contains("do not know where to bring"));
    assert!(d(&[mx(0, "")]).2.contains("takes no mail at all"));
    assert!(d(&[mx(1, "old.test")]).2.contains("has to replace MX 1 old.test. by MX 10 mail.host.test."));
    let (fault, weight, text) = d(&[mx(10, "mail.host.test"), mx(20, "backup.test")]);
    assert_eq!((fault, weight), (Fault::Extra, Weight::Advised));
    assert!(text.contains("does not answer"));
    let (fault, weight, text) = d(&[mx(10, "mail.host.test"), mx(5, "old.test")]);
    assert_eq!((fault, weight), (Fault::Extra, Weight::Needed));
    assert!(text.contains("there first"));
}

#[test]
fn aliases_where_none_may_be() {
    let alias = [Data::Cname("x.test".into())];
    let (fault, _, text) = one("d.test", Kind::Cname, &alias);
    assert_eq!(fault, Fault::Several);
    assert!(text.contains("its MX is not looked at"), "{text}");
    assert!(one("mail.host.test", Kind::Cname, &alias).2.contains("some servers refuse"));
}

#[test]
fn services() {
    let imaps = |found: &[Data]| one("_imaps._tcp.d.test", Kind::Srv, found);
    assert_eq!(with("_imaps._tcp.d.test", Kind::Srv, &[srv(993, "mail.HOST.test.")]), []);
    assert!(imaps(&[]).2.contains("has no SRV record"));
    assert!(imaps(&[srv(0, "")]).2.contains("not offered, but it is"));
    assert!(imaps(&[srv(994, "mail.host.test")]).2.contains("old or wrong port"));
    assert_eq!(imaps(&[srv(993, "mail.host.test"), srv(993, "old.test")]).0, Fault::Extra);
    // 143 is closed in this preset: a stale record leads nowhere.
    assert_eq!(with("_imap._tcp.d.test", Kind::Srv, &[srv(5, "")]), []);
    let stale = one("_imap._tcp.d.test", Kind::Srv, &[srv(143, "mail.host.test")]);
    assert!(stale.2.contains("not offered (any more)"), "{stale:?}");
}

#[test]
fn names_may_be_aliases_or_addresses() {
    let name = "autoconfig.d.test";
    assert!(one(name, Kind::Cname, &[Data::Cname("old.test".into())]).2.contains("points elsewhere"));
    assert_eq!(one(name, Kind::Cname, &[]).0, Fault::Missing);
    let wanted = records(&published(), &means());
    for (address, fault) in [("192.0.2.25", None), ("203.0.113.1", Some(Fault::Other))] {
        let mut answers = right(&wanted);
        set(&mut answers, name, Kind::Cname, &[]);
        set(&mut answers, name, Kind::Address, &[Data::Address(address.parse().unwrap())]);
        let all = compare(&wanted, &answers);
        assert_eq!(all.first().map(|d| d.fault), fault, "{all:?}");
    }
}

#[test]
fn sender_policies() {
    let spf = |texts: &[&str]| with("d.test", Kind::Txt, &texts.iter().map(|t| txt(t)).collect::<Vec<_>>());
    for fine in [
        "v=spf1 mx ~all",
        "v=spf1 a:mail.host.test -all",
        "v=spf1 ip4:192.0.2.0/24 -all",
        "v=spf1 ip6:2001:db8::25 -all",
    ] {
        assert_eq!(spf(&[fine, "google-site-verification=x"]), [], "{fine}");
    }
    let fault = |texts: &[&str]| spf(texts).into_iter().map(|d| d.fault).collect::<Vec<_>>();
    assert_eq!(fault(&["other"]), [Fault::Missing]);
    assert_eq!(fault(&["v=spf1 mx -all", "v=spf1 a -all"]), [Fault::Several]);
    assert_eq!(fault(&["v=spf1 -mx -all"]), [Fault::Other]);
    assert_eq!(fault(&["v=spf1 a -all"]), [Fault::Other], "that is the domain's own address");
    assert_eq!(fault(&["v=spf1 mx"]), [Fault::Syntax]);
    assert_eq!(fault(&["v=spf1 mx +all"]), [Fault::Syntax]);
    assert_eq!(fault(&["v=spf1 mx ipv4:1.2.3.4 -all"]), [Fault::Syntax]);
    // Not known what is behind an include: no verdict.
    assert_eq!(fault(&["v=spf1 include:other.test -all"]), [Fault::Unknown]);
    let costly = format!("v=spf1 mx {} -all", "exists:x.test ".repeat(10).trim());
    assert!(spf(&[&costly])[0].text.contains("costs 11 look-ups"));
}

#[test]
fn includes_are_asked_for_and_judged() {
    let wanted = records(&published(), &means());
    let mut answers = right(&wanted);
    set(&mut answers, "d.test", Kind::Txt, &[txt("v=spf1 include:_spf.other.test -all")]);
    let more = further(&wanted, &answers);
    assert_eq!(more, [Question { name: "_spf.other.test".into(), kind: Kind::Txt }]);
    for (text, fault) in [
        ("v=spf1 ip4:192.0.2.25 -all", None),
        ("v=spf1 ip4:203.0.113.1 -all", Some(Fault::Other)),
        ("nothing", Some(Fault::Syntax)),
    ] {
        set(&mut answers, "_spf.other.test", Kind::Txt, &[txt(text)]);
        assert_eq!(further(&wanted, &answers), []);
        assert_eq!(compare(&wanted, &answers).first().map(|d| d.fault), fault, "{text}");
    }
}

#[test]
fn questions_about_includes_end() {
    let wanted = records(&published(), &means());
    let mut answers = right(&wanted);
    let mut rounds = 0;
    set(&mut answers, "d.test", Kind::Txt, &[txt("v=spf1 include:a include:b -all")]);
    loop {
        let more = further(&wanted, &answers);
        if more.is_empty() {
            break;
        }
        for question in more {
            let text = format!("v=spf1 include:{0}a include:{0}b -all", question.name);
            answers.push(Answer { question, found: Ok(vec![txt(&text)]), unproven: false });
        }
        rounds += 1;
        assert!(rounds < 30);
    }
    assert!(compare(&wanted, &answers).iter().any(|d| d.text.contains("look-ups")));
}

#[test]
fn signatures_and_policies() {
    let dkim =
        |text: &str| with("s1._domainkey.d.test", Kind::Txt, &[txt(text)]).into_iter().map(|d| d.text).next();
    assert_eq!(dkim("v=DKIM1;k=rsa;p=QU JD"), None);
    assert_eq!(dkim("p=QUJD"), None);
    assert!(dkim("v=DKIM1; p=").unwrap().contains("revoked"));
    assert!(dkim("v=DKIM1; p=WFla").unwrap().contains("another than the one that signs"));
    assert!(dkim("v=DKIM1; k=ed25519; p=QUJD").unwrap().contains("another"));
    let dmarc =
        |text: &str| with("_dmarc.d.test", Kind::Txt, &[txt(text)]).into_iter().map(|d| d.text).next();
    assert_eq!(dmarc("v=DMARC1; p=none"), None, "the owner's choice");
    assert_eq!(dmarc("v=DMARC1; p=REJECT; rua=mailto:a@b.test,mailto:c@d.test"), None);
    assert!(dmarc("v=DMARC1").unwrap().contains("no policy"));
    assert!(dmarc("v=DMARC1; p=maybe").unwrap().contains("\"maybe\""));
    assert!(dmarc("p=none; v=DMARC1").unwrap().contains("does not begin with v=DMARC1"));
    assert!(dmarc("v=DMARC1; p=none; rua=a@b.test").unwrap().contains("no mailto:"));
    assert!(dmarc("hello").unwrap().contains("has no TXT record"));
    let two = with("_dmarc.d.test", Kind::Txt, &[txt("v=DMARC1; p=none"), txt("v=DMARC1; p=reject")]);
    assert_eq!(two[0].fault, Fault::Several);
    let tls = |name: &str, text: &str| with(name, Kind::Txt, &[txt(text)]).into_iter().map(|d| d.text).next();
    assert!(tls("_mta-sts.d.test", "v=STSv1; id=0").unwrap().contains("keep the old one"));
    assert_eq!(tls("_mta-sts.d.test", "v=STSv1;id=1;"), None);
    assert_eq!(tls("_smtp._tls.d.test", "v=TLSRPTv1; rua=https://x.test/"), None);
    assert!(tls("_smtp._tls.d.test", "v=TLSRPTv1; rua=x").unwrap().contains("no place for reports"));
    assert!(
        tls("_ua-auto-config.d.test", "v=UAAC1; a=sha256; d=AAAA").unwrap().contains("refuse the document")
    );
}

#[test]
fn a_digest_may_be_told_twice_while_it_changes() {
    let wanted = records(&published(), &means());
    let name = "_ua-auto-config.d.test";
    let ours = wanted.iter().find(|w| w.record.name == name && w.record.data.kind() == Kind::Txt).unwrap();
    let found = [txt("v=UAAC1; a=sha256; d=AAAA"), ours.record.data.clone()];
    assert_eq!(with(name, Kind::Txt, &found), []);
}

#[test]
fn keys_and_authorities() {
    let key = |n: u8| Data::Tlsa(3, 1, 1, vec![n; 32]);
    let tlsa = |found: &[Data]| one("_25._tcp.mail.host.test", Kind::Tlsa, found);
    assert_eq!(with("_25._tcp.mail.host.test", Kind::Tlsa, &[key(1), key(2), key(9)]), []);
    assert!(tlsa(&[]).2.contains("DNSSEC"));
    assert_eq!(tlsa(&[key(1)]).0, Fault::Missing);
    let wrong = tlsa(&[key(9)]);
    assert_eq!((wrong.0, wrong.1), (Fault::Other, Weight::Needed));
    // Right, and yet of no use.
    let wanted = records(&published(), &means());
    let mut answers = right(&wanted);
    for answer in answers.iter_mut().filter(|answer| answer.question.kind == Kind::Tlsa) {
        answer.unproven = true;
    }
    let differences = compare(&wanted, &answers);
    assert!(!differences.is_empty());
    for difference in differences {
        assert_eq!(
            (difference.kind, difference.fault, difference.weight),
            (Kind::Tlsa, Fault::Unproven, Weight::Advised)
        );
        assert!(difference.text.contains("not proven by DNSSEC"), "{}", difference.text);
    }
    let issue = |value: &str| Data::Caa(0, "issue".into(), value.into());
    let caa = |found: &[Data]| one("mail.host.test", Kind::Caa, found);
    for fine in
        ["CA.test", "ca.test; accounturi=https://ca.test/acct/7", "ca.test; validationmethods=dns-01,http-01"]
    {
        assert_eq!(with("mail.host.test", Kind::Caa, &[issue("x.test"), issue(fine)]), [], "{fine}");
    }
    assert_eq!(caa(&[]).0, Fault::Missing);
    assert_eq!(caa(&[Data::Caa(0, "iodef".into(), "mailto:a@b".into())]).0, Fault::Missing);
    assert!(caa(&[issue(";")]).2.contains("cannot be renewed"));
    assert!(caa(&[issue("ca.test; accounturi=https://ca.test/acct/8")]).2.contains("another account"));
    assert!(caa(&[issue("ca.test; validationmethods=dns-01")]).2.contains("another way of proof"));
}

#[test]
fn customers_of_a_hoster() {
    let Fewest { customer, once } = fewest(&published(), &means());
    let shown: Vec<String> =
        customer.iter().map(|w| format!("{} {}", w.record.name, write::value(&w.record.data))).collect();
    assert_eq!(
        shown,
        [
            "d.test 10 mail.host.test.",
            "d.test \"v=spf1 redirect=_spf.mail.host.test\"",
            "s1._domainkey.d.test s1._domainkey.mail.host.test.",
            "*.d.test mail.host.test.",
            "_dmarc.d.test _dmarc.mail.host.test.",
            "_mta-sts.d.test _mta-sts.mail.host.test.",
            "_smtp._tls.d.test _smtp._tls.mail.host.test.",
        ]
    );
    // What customers point to is there once.
    for Wanted { record, .. } in &customer {
        if let Data::Cname(target) = &record.data {
            assert!(once.iter().any(|w| w.record.name == *target), "{target}");
        }
    }
    let both: Vec<Wanted> = customer.iter().chain(&once).cloned().collect();
    let mut answers = right(&both);
    assert_eq!(compare(&both, &answers), []);
    // The wildcard is seen in a name that it covers.
    set(&mut answers, "autoconfig.d.test", Kind::Cname, &[]);
    assert_eq!(compare(&both, &answers)[0].name, "*.d.test");
    // A customer's own texts.
    let mut answers = right(&both);
    set(&mut answers, "s1._domainkey.d.test", Kind::Cname, &[]);
    set(&mut answers, "s1._domainkey.d.test", Kind::Txt, &[txt("v=DKIM1; k=rsa; p=QUJD")]);
    assert_eq!(compare(&both, &answers), []);
    set(&mut answers, "s1._domainkey.d.test", Kind::Txt, &[txt("v=DKIM1; k=rsa; p=WFla")]);
    assert!(compare(&both, &answers)[0].text.contains("differs"));
    set(
        &mut answers,
        "d.test",
        Kind::Txt,
        &[txt("v=spf1 include:_spf.mail.host.test include:news.test -all")],
    );
    let all = compare(&both, &answers);
    assert!(all.iter().all(|d| d.kind != Kind::Txt), "{all:?}");
}
