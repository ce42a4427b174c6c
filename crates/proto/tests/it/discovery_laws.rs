//! Laws of discovery documents: whatever strangers send is read in bounds, and whatever names and
//! addresses are rendered, nothing breaks out of its place and the endpoints come back.

use proptest::prelude::*;
use proto::discovery::dns::{self, Means};
use proto::discovery::{Document, ENDPOINTS_MAX, apple, autoconfig, autodiscover, pacc};
use proto::service::publish::{Authentication, Endpoint, Published, UserForm};
use proto::service::{Protection, Protocol};

/// Pieces that documents are made of, so that random ones are nearly right.
const PIECES: [&str; 44] = [
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
    "<?xml version='1.0' encoding='utf-16'?>",
    "<clientConfig version=\"1.1\">",
    "</clientConfig>",
    "<emailProvider id=\"x\">",
    "</emailProvider>",
    "<incomingServer type=\"imap\">",
    "<incomingServer type=\"pop3\">",
    "</incomingServer>",
    "<outgoingServer type=\"smtp\">",
    "</outgoingServer>",
    "<hostname>mail.%EMAILDOMAIN%</hostname>",
    "<port>993</port>",
    "<port>99999</port>",
    "<socketType>SSL</socketType>",
    "<socketType>plain</socketType>",
    "<authentication>secure</authentication>",
    "<username>%EMAILLOCALPART%</username>",
    "<Autodiscover xmlns='u'>",
    "</Autodiscover>",
    "<Response>",
    "</Response>",
    "<Account><Action>settings</Action>",
    "</Account>",
    "<Protocol><Type>IMAP</Type><Server>h.test</Server>",
    "<SPA>off</SPA><Encryption>Auto</Encryption>",
    "</Protocol>",
    "<Request><EMailAddress>a@b.test</EMailAddress>",
    "</Request>",
    "<plist version='1.0'><dict><key>PayloadType</key><string>Configuration</string>",
    "<key>PayloadContent</key><array><dict>",
    "<key>PayloadType</key><string>com.apple.mail.managed</string>",
    "<key>IncomingMailServerHostName</key><string>h.test</string>",
    "</dict></array>",
    "</dict></plist>",
    "<!DOCTYPE x [<!ENTITY a 'b'>]>",
    "<![CDATA[",
    "]]>",
    "&amp;&#x41;&a;",
    "<!--",
    "-->",
    "{\"protocols\":{\"imap\":{\"host\":\"h.test\"}}}",
    "{\"Protocol\":\"AutodiscoverV1\",\"Url\":\"https://h.test/\"}",
    "\u{0}\u{1}\u{ffff}",
];

fn octets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        9 => (0..PIECES.len()).prop_map(|i| PIECES[i].as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..30),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// Texts that want to break out: markup, quotes, line breaks, other scripts.
fn evil() -> BoxedStrategy<String> {
    let piece = prop_oneof![
        Just("<x a='".to_owned()),
        Just("</string><key>".to_owned()),
        Just("\"; &amp;]]>".to_owned()),
        Just("\r\nX: y".to_owned()),
        Just("\\\"\n; evil. IN A 192.0.2.1".to_owned()),
        Just("%EMAILADDRESS%".to_owned()),
        Just("bücher.例え".to_owned()),
        Just("\u{0}\u{7f}\u{85}\u{2028}\u{ffff}".to_owned()),
        "\\PC{0,10}",
    ];
    proptest::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat()).boxed()
}

fn harmless() -> BoxedStrategy<String> {
    "[a-z]{1,10}\\.test".boxed()
}

fn endpoint(protocols: &'static [Protocol]) -> impl Strategy<Value = Endpoint> {
    (0..protocols.len(), "[a-z]{1,8}\\.test", 1..=u16::MAX, any::<bool>(), 0..3_usize).prop_map(
        |(protocol, host, port, implicit, authentication)| Endpoint {
            protocol: protocols[protocol],
            host,
            port,
            protection: if implicit { Protection::Implicit } else { Protection::StartTls },
            authentication: [
                Authentication::Password,
                Authentication::Challenge,
                Authentication::Certificate,
            ][..=authentication]
                .to_vec(),
            user: UserForm::Address,
        },
    )
}

fn published(names: fn() -> BoxedStrategy<String>) -> impl Strategy<Value = Published> {
    (
        names(),
        names(),
        proptest::collection::vec(endpoint(&[Protocol::Imap, Protocol::Pop3]), 0..8),
        proptest::collection::vec(endpoint(&[Protocol::Submission]), 0..8),
        any::<bool>(),
    )
        .prop_map(|(domain, provider, incoming, outgoing, receives)| Published {
            host: domain.clone(),
            domain,
            provider,
            incoming,
            outgoing,
            web: Some("https://mail.example.test".into()),
            receives,
        })
}

fn bounded(document: &Document) {
    let rows = document.incoming.iter().chain(&document.outgoing);
    assert!(document.incoming.len() + document.outgoing.len() <= ENDPOINTS_MAX);
    for row in rows {
        assert!(row.port > 0 && !row.host.is_empty() && row.host.len() <= 255);
        assert!(row.host.bytes().all(|b| b.is_ascii_graphic()), "{:?}", row.host);
    }
    assert!(document.remarks.len() <= 100);
    assert!(document.remarks.iter().all(|r| r.chars().count() < 1000 && !r.chars().any(char::is_control)));
}

/// What was read, as a service of ours would have it, is rendered so that it reads the same.
fn reads_the_same(document: &Document) {
    let ours = |rows: &[Endpoint]| -> Vec<Endpoint> {
        rows.iter()
            .filter(|row| row.protection != Protection::Clear)
            .filter(|row| !row.authentication.contains(&Authentication::Other))
            .map(|row| Endpoint { user: UserForm::Address, ..row.clone() })
            .collect()
    };
    let published = Published {
        domain: document.domains.first().cloned().unwrap_or_default(),
        provider: document.provider.clone().unwrap_or_default(),
        host: "mail.example.test".into(),
        incoming: ours(&document.incoming),
        outgoing: ours(&document.outgoing),
        web: document.documentation.first().cloned(),
        receives: true,
    };
    let again = autoconfig::parse(autoconfig::render(&published, None).as_bytes(), None).unwrap();
    assert_eq!((again.incoming, again.outgoing), (published.incoming, published.outgoing));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_octets_are_read_in_bounds(input in octets()) {
        for address in [None, Some("ann@example.test"), Some("@"), Some("")] {
            if let Ok(document) = autoconfig::parse(&input, address) {
                bounded(&document);
                reads_the_same(&document);
            }
        }
        for result in [
            autodiscover::parse(&input, "ann@example.test"),
            autodiscover::parse(&input, ""),
            autodiscover::parse_json(&input),
            pacc::parse(&input),
            apple::parse(&input),
        ] {
            match result {
                Ok(document) => {
                    bounded(&document);
                    reads_the_same(&document);
                }
                Err(why) => prop_assert!(why.0.chars().count() < 500 && !why.0.chars().any(char::is_control)),
            }
        }
        if let Ok(request) = autodiscover::request(&input) {
            prop_assert!(proto::address::Address::parse(&request.address).is_ok());
        }
    }

    #[test]
    fn endpoints_come_back(p in published(harmless), address in "[a-z0-9+.!#]{1,20}@[a-z]{1,9}\\.test") {
        let read = autoconfig::parse(autoconfig::render(&p, Some(&address)).as_bytes(), Some(&address)).unwrap();
        prop_assert_eq!((&read.incoming, &read.outgoing), (&p.incoming, &p.outgoing));
        let read = autodiscover::parse(autodiscover::render(&p, &address).as_bytes(), &address).unwrap();
        let places = |rows: &[Endpoint]| -> Vec<_> {
            rows.iter().map(|r| (r.protocol, r.host.clone(), r.port, r.protection, r.user.clone())).collect()
        };
        prop_assert_eq!(places(&read.incoming), places(&p.incoming));
        prop_assert_eq!(places(&read.outgoing), places(&p.outgoing));
    }

    #[test]
    fn nothing_breaks_out_of_a_document(p in published(evil), address in evil(), other in evil()) {
        let whole = |read: Document| (read.incoming.len(), read.outgoing.len());
        let rows = (p.incoming.len(), p.outgoing.len());
        for text in [autoconfig::render(&p, Some(&address)), autoconfig::render(&p, None)] {
            prop_assert_eq!(whole(autoconfig::parse(text.as_bytes(), None).unwrap()), rows);
        }
        let text = autodiscover::render(&p, &address);
        prop_assert_eq!(whole(autodiscover::parse(text.as_bytes(), &address).unwrap()), rows);
        let error = autodiscover::render_error(600, &other, &address, 7);
        let why = autodiscover::parse(error.as_bytes(), &address).unwrap_err();
        prop_assert!(why.0.starts_with("The server answers with error \"600\""));
        for protocol in [Protocol::Imap, Protocol::Pop3] {
            if let Some(text) = apple::render(&p, &address, Some(&other), protocol) {
                prop_assert_eq!(whole(apple::parse(text.as_bytes()).unwrap()), (1, 1));
                let foreign = plist::Value::from_reader_xml(text.as_bytes()).unwrap();
                let content = foreign.as_dictionary().and_then(|d| d.get("PayloadContent")).and_then(|v| v.as_array());
                prop_assert_eq!(content.map(Vec::len), Some(1));
            }
        }
        if let Some(text) = pacc::render(&p) {
            pacc::parse(text.as_bytes()).unwrap();
        }
        for answer in [
            autodiscover::render_json(&p, &other, &address),
            autodiscover::render_json(&p, "autodiscoverv1", &address),
        ] {
            let text = answer.unwrap_or_else(|error| error);
            prop_assert!(!text.contains(['<', '>', '&', '\'', '\n', '\r']), "{}", text);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(value.as_object().map(serde_json::Map::len), Some(2));
        }
    }

    #[test]
    fn nothing_breaks_out_of_a_zone(p in published(evil), text in evil()) {
        let means = Means {
            addresses: vec!["192.0.2.1".parse().unwrap()],
            dkim: vec![(text.clone(), text.clone())],
            key_digests: vec![[1; 32]],
            next_key_digests: Vec::new(),
            ca: Some(dns::Issuer {
                name: text.clone(),
                account: Some(text.clone()),
                methods: vec![text.clone()],
            }),
            dmarc_reports: Some(text.clone()),
            tls_reports: Some(text.clone()),
            mta_sts_id: Some(text),
        };
        let fewest = dns::fewest(&p, &means);
        for records in [dns::records(&p, &means), fewest.customer, fewest.once] {
            let zone = dns::zone(&records);
            prop_assert!(zone.chars().all(|c| c == '\n' || c == '\t' || (' '..='~').contains(&c)), "{}", zone);
            let lines: Vec<&str> = zone.lines().filter(|line| !line.starts_with("; ")).collect();
            prop_assert_eq!(lines.len(), records.len());
            for line in lines {
                prop_assert_eq!(line.split('\t').count(), 5, "{}", line);
                // Quotes are closed: an even number of those that are not escaped.
                let bare = line.replace("\\\\", "").replace("\\\"", "");
                prop_assert_eq!(bare.matches('"').count() % 2, 0, "{}", line);
                prop_assert!(!bare.split('"').step_by(2).any(|outside| outside.contains(';')), "{}", line);
            }
            let rows: Vec<serde_json::Value> = serde_json::from_str(&dns::json(&records)).unwrap();
            prop_assert_eq!(rows.len(), records.len());
            prop_assert_eq!(dns::table(&records).lines().count(), records.len() + 1);
            let answers: Vec<dns::Answer> = dns::questions(&records)
                .into_iter()
                .map(|question| dns::Answer { question, found: Ok(Vec::new()), unproven: false })
                .collect();
            prop_assert!(dns::compare(&records, &answers).iter().all(|d| !d.text.is_empty() && !d.remedy.is_empty()));
        }
    }
}
