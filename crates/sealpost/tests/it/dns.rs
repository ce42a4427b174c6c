//! The commands about a domain's zone, while the service runs and while it does not. The zone that is
//! checked is the one that the program itself printed, served on loopback.

use crate::harness::Own;
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CAA, CNAME, MX, SRV, TLSA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record};
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

const DOMAIN: &str = "example.test";

type Zone = Vec<(Name, RData)>;

/// A name server for one zone; silent if there is none.
struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Option<Zone>>>,
}

impl NameServer {
    fn run(zone: Zone) -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("an address");
        let zone = Arc::new(Mutex::new(Some(zone)));
        let shared = zone.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                let question = Message::from_vec(&buffer[..length]).expect("a question");
                let Some(zone) = shared.lock().expect("the zone").clone() else { continue };
                let octets = answer(&question, &zone).to_vec().expect("octets");
                socket.send_to(&octets, peer).expect("sent");
            }
        });
        NameServer { address, zone }
    }

    fn set(&self, zone: Option<Zone>) {
        *self.zone.lock().expect("the zone") = zone;
    }
}

fn answer(question: &Message, zone: &Zone) -> Message {
    let query = question.queries[0].clone();
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.add_query(query.clone());
    let at_name = || zone.iter().filter(|(name, _)| name == query.name());
    // An alias stands for all kinds at its name; what it points to is asked for by whoever wants it.
    let alias = at_name().filter(|(_, data)| matches!(data, RData::CNAME(_)));
    let of_kind = at_name().filter(|(_, data)| data.record_type() == query.query_type());
    for (name, data) in of_kind.chain(alias).take(8) {
        answer.add_answer(Record::from_rdata(name.clone(), 60, data.clone()));
    }
    if at_name().next().is_none() && !zone.iter().any(|(name, _)| query.name().zone_of(name)) {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    answer
}

/// The zone that `dns records --format json` prints.
fn zone_of(json: &str) -> Zone {
    let rows: Vec<Value> = serde_json::from_str(json).expect("JSON");
    let record = |row: &Value| {
        let text = |key: &str| row[key].as_str().expect("text").to_owned();
        let name = |text: &str| Name::from_ascii(text).expect("a name");
        let value = text("value");
        let words: Vec<&str> = value.split(' ').collect();
        let number = |at: usize| words[at].parse::<u16>().expect("a number");
        let octet = |at: usize| words[at].parse::<u8>().expect("a number");
        let data = match text("type").as_str() {
            "A" => RData::A(A(value.parse().expect("an address"))),
            "CNAME" => RData::CNAME(CNAME(name(&value))),
            "MX" => RData::MX(MX::new(number(0), name(words[1]))),
            "SRV" => RData::SRV(SRV::new(number(0), number(1), number(2), name(words[3]))),
            "TXT" => {
                let strings = value.trim_matches('"').split("\" \"").map(str::to_owned).collect();
                RData::TXT(TXT::new(strings))
            }
            "TLSA" => {
                let hex = words[3].as_bytes();
                let digest = hex
                    .chunks(2)
                    .map(|two| u8::from_str_radix(std::str::from_utf8(two).expect("hex"), 16).expect("hex"));
                RData::TLSA(TLSA::new(octet(0).into(), octet(1).into(), octet(2).into(), digest.collect()))
            }
            "CAA" => RData::CAA(CAA::new_issue(false, Some(name(words[2].trim_matches('"'))), Vec::new())),
            other => panic!("not known: {other}"),
        };
        (name(&format!("{}.", text("name"))), data)
    };
    rows.iter().map(record).collect()
}

#[test]
fn what_is_printed_is_what_is_checked() {
    let mut own = Own::prepare("");
    let server = NameServer::run(Vec::new());
    let at = server.address.to_string();
    let check = ["dns", "check", DOMAIN, "--resolver", &at];
    for running in [false, true] {
        if running {
            own.start();
        }
        let json = own.sealpost(&["dns", "records", DOMAIN, "--format", "json"], b"").success();
        let mut zone = zone_of(&json);
        let host = Name::from_ascii("mail.example.test.").expect("a name");
        if !zone.iter().any(|(name, _)| *name == host) {
            zone.push((host, RData::A(A::new(192, 0, 2, 1))));
        }
        server.set(Some(zone.clone()));
        let fine = own.sealpost(&check, b"");
        assert_eq!(fine.code, 0, "{}", fine.text);
        assert!(fine.text.contains("are as they should be"), "{}", fine.text);

        let selector = Name::from_ascii("sealpost-rsa._domainkey.example.test.").expect("a name");
        let less: Zone = zone.iter().filter(|(name, _)| *name != selector).cloned().collect();
        assert_eq!(less.len() + 1, zone.len());
        server.set(Some(less));
        let differs = own.sealpost(&check, b"");
        assert_eq!(differs.code, 1, "{}", differs.text);
        assert!(differs.text.contains("sealpost-rsa._domainkey.example.test (needed)"), "{}", differs.text);
        assert!(differs.text.contains("1 of "), "{}", differs.text);
    }
    server.set(None);
    let begun = std::time::Instant::now();
    let silent = own.sealpost(&check, b"");
    assert_eq!(silent.code, 2, "{}", silent.text);
    assert!(silent.text.contains("cannot tell"), "{}", silent.text);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    let unknown = own.sealpost(&["dns", "check", "nowhere.test", "--resolver", &at], b"");
    assert_eq!(unknown.code, 2, "{}", unknown.text);
    assert!(unknown.text.contains("no domain of this service"), "{}", unknown.text);
    assert!(own.stop());
}

#[test]
fn keys_are_made_once_and_never_printed() {
    let mut own = Own::prepare("");
    let records = ["dns", "records", DOMAIN, "--format", "zone"];
    let stopped = own.sealpost(&records, b"").success();
    assert!(stopped.contains("sealpost-ed25519._domainkey.example.test."), "{stopped}");
    assert!(stopped.contains("v=DKIM1; k=rsa; p=MII"), "{stopped}");
    own.start();
    assert_eq!(own.sealpost(&records, b"").success(), stopped, "the same keys, running or not");
    let hoster = own.sealpost(&["dns", "records", DOMAIN, "--hoster"], b"").success();
    assert!(hoster.contains("In the hoster's own zone, once for all customers:"), "{hoster}");
    assert!(hoster.contains("sealpost-rsa._domainkey.mail.example.test"), "{hoster}");
    let key = own.dir.join("data/dkim/example.test/sealpost-rsa.pem");
    let pem = std::fs::read_to_string(key).expect("the key");
    let secret = pem.lines().nth(1).expect("a line");
    let log = own.log();
    for text in [&stopped, &hoster, &log] {
        assert!(!text.contains(secret) && !text.contains("PRIVATE KEY"));
    }
    let refused = own.sealpost(&["dns", "records", "nowhere.test"], b"").failure();
    assert!(refused.contains("no domain of this service"), "{refused}");
    assert!(own.stop());
}

#[test]
fn what_the_operator_promises_stands_in_the_records() {
    let web = |mode: &str| {
        format!(
            "\n[[listener]]\nname = \"https\"\nprotocol = \"web\"\nsecurity = \"implicit\"\n\
             addresses = [\"127.0.0.1\"]\nport = 0\n\n[dns]\nca = \"ca.test\"\n\
             dmarc_reports = \"dmarc@reports.test\"\ntls_reports = \"tls@reports.test\"\n[smtp]\nmta_sts = \"{mode}\"\n"
        )
    };
    let mut ids = std::collections::BTreeSet::new();
    for mode in ["enforce", "testing", "none"] {
        let own = Own::prepare(&web(mode));
        let zone = own.sealpost(&["dns", "records", DOMAIN, "--format", "zone"], b"").success();
        // The certificate comes from a file: no account of ACME, no way of proof.
        assert!(zone.contains("CAA") && zone.contains("0 issue \"ca.test\"\n"), "{zone}");
        assert!(zone.contains("; rua=mailto:dmarc@reports.test\""), "{zone}");
        assert!(zone.contains("example.test._report._dmarc.reports.test."), "{zone}");
        assert!(zone.contains("v=TLSRPTv1; rua=mailto:tls@reports.test\""), "{zone}");
        let id = zone.split("v=STSv1; id=").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
        ids.insert(id.to_owned());
    }
    // No certificate covers the host, so nothing is enforced: the same policy as for testing.
    assert_eq!(ids.len(), 2);
}

#[test]
fn records_are_known_before_there_is_a_certificate() {
    let own = Own::prepare("");
    for file in std::fs::read_dir(own.dir.join("ca")).expect("the folder") {
        std::fs::remove_file(file.expect("a file").path()).expect("removed");
    }
    let zone = own.sealpost(&["dns", "records", DOMAIN, "--format", "zone"], b"").success();
    assert!(zone.contains("mail.example.test.") && !zone.contains("TLSA"), "{zone}");
}
