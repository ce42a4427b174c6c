//! Discovery documents of each preset: golden octets, and read back they say what the model says.
//!
//! `SEALPOST_REWRITE=1` writes the files anew; read the difference before it is kept.

use proto::discovery::dns::{self, Means, records, zone};
use proto::discovery::{Document, apple, autoconfig, autodiscover, pacc};
use proto::service::policy::DomainPolicy;
use proto::service::preset::Preset;
use proto::service::publish::{Authentication, Endpoint, Published};
use proto::service::{Protection, Protocol};
use std::net::{IpAddr, Ipv4Addr};

const ADDRESS: &str = "ann@example.org";

/// What example.org's people are told by this preset.
pub fn published(preset: Preset) -> Published {
    let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    let policy = DomainPolicy { provider: Some("Example & Sons".into()), ..DomainPolicy::default() };
    Published::new(&preset.model("mail.example.net", &any), "example.org", &policy)
}

pub fn means() -> Means {
    Means {
        addresses: vec!["192.0.2.25".parse().unwrap(), "2001:db8::25".parse().unwrap()],
        dkim: vec![("s1".into(), format!("v=DKIM1; k=rsa; p={}", "MIIB".repeat(90)))],
        key_digests: vec![[0xab; 32]],
        next_key_digests: Vec::new(),
        ca: Some(dns::Issuer {
            name: "letsencrypt.org".into(),
            account: Some("https://acme.example/acct/7".into()),
            methods: vec!["http-01".into(), "tls-alpn-01".into()],
        }),
        dmarc_reports: Some("reports@example.net".into()),
        tls_reports: Some("reports@example.net".into()),
        mta_sts_id: Some("20260101".into()),
    }
}

/// The documents by file name.
fn documents(preset: Preset) -> Vec<(String, String)> {
    let published = published(preset);
    let file = |kind: &str| format!("{}.{kind}", preset.name());
    let mut out = vec![
        (file("autoconfig.xml"), autoconfig::render(&published, None)),
        (file("autoconfig-address.xml"), autoconfig::render(&published, Some(ADDRESS))),
        (file("autodiscover.xml"), autodiscover::render(&published, ADDRESS)),
        (file("zone"), zone(&records(&published, &means()))),
    ];
    out.extend(pacc::render(&published).map(|text| (file("pacc.json"), text)));
    for (kind, protocol) in [("imap.mobileconfig", Protocol::Imap), ("pop3.mobileconfig", Protocol::Pop3)] {
        let profile = apple::render(&published, ADDRESS, Some("Ann \"<b>\" Öst"), protocol);
        out.extend(profile.map(|text| (file(kind), text)));
    }
    out
}

#[test]
fn documents_of_the_presets_are_as_agreed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/discovery");
    let all: Vec<(String, String)> = Preset::ALL.into_iter().flat_map(documents).collect();
    assert_eq!(all.len(), 28);
    for (name, text) in all {
        let path = format!("{folder}/{name}");
        if std::env::var_os("SEALPOST_REWRITE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        let difference = golden.lines().zip(text.lines()).find(|(a, b)| a != b);
        assert_eq!(difference, None, "{name}");
        assert_eq!(golden, text, "{name}");
    }
}

#[test]
fn read_back_they_are_the_model() {
    for preset in Preset::ALL {
        let p = published(preset);
        for (rendered_for, read_for) in [(None, None), (None, Some(ADDRESS)), (Some(ADDRESS), Some(ADDRESS))]
        {
            let read = autoconfig::parse(autoconfig::render(&p, rendered_for).as_bytes(), read_for).unwrap();
            same(&read, &p.incoming, &p.outgoing);
            assert_eq!(read.provider.as_deref(), Some("Example & Sons"));
            assert_eq!(read.domains, ["example.org"]);
            assert_eq!(read.documentation, ["https://mail.example.net/guide"]);
        }
        let read = autodiscover::parse(autodiscover::render(&p, ADDRESS).as_bytes(), ADDRESS).unwrap();
        // Autodiscover knows no challenge but Microsoft's own.
        let password = |rows: &[Endpoint]| with(rows, vec![Authentication::Password]);
        same(&read, &password(&p.incoming), &password(&p.outgoing));

        let document = pacc::render(&p).unwrap();
        let read = pacc::parse(document.as_bytes()).unwrap();
        let implicit = |rows: &[Endpoint]| -> Vec<Endpoint> {
            password(rows).into_iter().filter(|row| row.protection == Protection::Implicit).collect()
        };
        same(&read, &implicit(&p.incoming), &implicit(&p.outgoing));
        assert_eq!(
            pacc::digest_matches(&pacc::digest_record(document.as_bytes()), document.as_bytes()),
            Some(true)
        );

        for protocol in [Protocol::Imap, Protocol::Pop3] {
            let profile = apple::render(&p, ADDRESS, None, protocol).unwrap();
            let read = apple::parse(profile.as_bytes()).unwrap();
            let first = p.first(protocol).unwrap().clone();
            same(&read, &[first], &p.outgoing[..1]);
            assert_eq!(read.provider.as_deref(), Some("Example & Sons"));
        }
    }
}

fn with(rows: &[Endpoint], authentication: Vec<Authentication>) -> Vec<Endpoint> {
    rows.iter().map(|row| Endpoint { authentication: authentication.clone(), ..row.clone() }).collect()
}

/// The same rows, and nothing to remark on but the one row where servers deliver.
fn same(read: &Document, incoming: &[Endpoint], outgoing: &[Endpoint]) {
    assert_eq!(read.incoming, incoming);
    assert_eq!(read.outgoing, outgoing);
    let remarks: Vec<&String> =
        read.remarks.iter().filter(|r| !r.contains("port 25, is where servers deliver")).collect();
    assert_eq!(remarks, Vec::<&String>::new());
}

#[test]
fn what_is_published_compares_without_a_difference() {
    for preset in Preset::ALL {
        let p = published(preset);
        let wanted = records(&p, &means());
        let answers: Vec<dns::Answer> = dns::questions(&wanted)
            .into_iter()
            .map(|question| {
                let of = |r: &dns::Record| r.name == question.name && r.data.kind() == question.kind;
                let found =
                    wanted.iter().map(|w| &w.record).filter(|r| of(r)).map(|r| r.data.clone()).collect();
                dns::Answer { question, found: Ok(found), unproven: false }
            })
            .collect();
        assert_eq!(dns::further(&wanted, &answers), []);
        assert_eq!(dns::compare(&wanted, &answers), []);
    }
}

/// What may stand in what, and how often, as the draft's grammar and the clients that came before it have it.
const SHAPE: [(&str, &str, &[&str]); 14] = [
    ("clientConfig", "version", &["emailProvider"]),
    (
        "emailProvider",
        "id",
        &["domain", "displayName", "displayShortName", "incomingServer", "outgoingServer", "documentation"],
    ),
    ("domain", "purpose", &[]),
    ("displayName", "", &[]),
    ("displayShortName", "", &[]),
    ("incomingServer", "type", &["hostname", "port", "socketType", "authentication", "username"]),
    ("outgoingServer", "type", &["hostname", "port", "socketType", "authentication", "username"]),
    ("hostname", "", &[]),
    ("port", "", &[]),
    ("socketType", "", &[]),
    ("authentication", "", &[]),
    ("username", "", &[]),
    ("documentation", "url", &["descr"]),
    ("descr", "lang", &[]),
];

#[test]
fn autoconfig_has_the_shape_that_every_version_of_clients_takes() {
    use quick_xml::events::Event;
    for preset in Preset::ALL {
        let text = autoconfig::render(&published(preset), Some("a&b@example.org"));
        let mut reader = quick_xml::Reader::from_str(&text);
        let mut open: Vec<(String, Vec<String>)> = vec![(String::new(), vec![])];
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) => {
                    let name = start.local_name().as_ref().to_owned();
                    let (_, attribute, _) = SHAPE.iter().find(|(element, ..)| *element == name).unwrap();
                    for found in start.attributes() {
                        assert_eq!(found.unwrap().key.local_name().as_ref(), *attribute, "{name}");
                    }
                    open.last_mut().unwrap().1.push(name.clone());
                    open.push((name, vec![]));
                }
                Event::End(_) => {
                    let (name, children) = open.pop().unwrap();
                    let (_, _, allowed) = SHAPE.iter().find(|(element, ..)| *element == name).unwrap();
                    // All of them are there, in this order, and nothing else.
                    let mut seen: Vec<&str> = children.iter().map(String::as_str).collect();
                    seen.dedup();
                    assert_eq!(seen, *allowed, "{name}");
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(open, [(String::new(), vec!["clientConfig".to_owned()])]);
    }
}
