//! The resolver against a scripted server on loopback.

use hickory_resolver::proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CAA, CNAME, MX, SRV, TLSA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use net::dns::{Answer, Kind, RECORDS_MAX, Resolver};
use proto::discovery::dns::Data;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const TIME_MAX: Duration = Duration::from_secs(2);

/// What the server does with a question; the second argument says that it came over TCP.
type Script = Arc<dyn Fn(&Query, bool) -> Reply + Send + Sync>;

enum Reply {
    Records(Vec<RData>),
    Code(ResponseCode),
    Truncated,
    Octets(Vec<u8>),
    Silence,
}

/// A server, and the questions that it was asked.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, RecordType, bool)>>>,
}

impl Server {
    async fn run(script: impl Fn(&Query, bool) -> Reply + Send + Sync + 'static) -> Server {
        let script: Script = Arc::new(script);
        let asked = Arc::new(Mutex::new(Vec::new()));
        // One port for both, so a port that is free for one and taken for the other is tried again.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let (by_udp, noted) = (script.clone(), asked.clone());
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = udp.recv_from(&mut buffer).await {
                if let Some(reply) = replied(&buffer[..length], &by_udp, &noted, false) {
                    udp.send_to(&reply, peer).await.unwrap();
                }
            }
        });
        let noted = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = tcp.accept().await {
                tokio::spawn(over_tcp(stream, script.clone(), noted.clone()));
            }
        });
        Server { address, asked }
    }

    fn resolver(&self) -> Resolver {
        Resolver::at(self.address, TIME_MAX)
    }

    fn asked(&self) -> Vec<(String, RecordType, bool)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn over_tcp(
    mut stream: TcpStream,
    script: Script,
    noted: Arc<Mutex<Vec<(String, RecordType, bool)>>>,
) -> Option<()> {
    loop {
        let length = stream.read_u16().await.ok()?;
        let mut question = vec![0; length.into()];
        stream.read_exact(&mut question).await.ok()?;
        if let Some(reply) = replied(&question, &script, &noted, true) {
            stream.write_u16(u16::try_from(reply.len()).unwrap()).await.ok()?;
            stream.write_all(&reply).await.ok()?;
        }
    }
}

fn replied(
    question: &[u8],
    script: &Script,
    noted: &Mutex<Vec<(String, RecordType, bool)>>,
    tcp: bool,
) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).expect("a question");
    let query = question.queries[0].clone();
    noted.lock().unwrap().push((query.name().to_ascii(), query.query_type(), tcp));
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    match script(&query, tcp) {
        Reply::Records(records) => {
            // Records after a CNAME stand under its target.
            let mut owner = query.name().clone();
            for data in records {
                let next = if let RData::CNAME(target) = &data { Some(target.0.clone()) } else { None };
                answer.add_answer(Record::from_rdata(owner.clone(), 60, data));
                owner = next.unwrap_or(owner);
            }
        }
        Reply::Code(code) => answer.metadata.response_code = code,
        Reply::Truncated => answer.metadata.truncation = true,
        Reply::Octets(octets) => return Some(octets),
        Reply::Silence => return None,
    }
    Some(answer.to_vec().expect("octets"))
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn data(answer: Answer) -> Vec<Data> {
    assert!(answer.records.iter().all(|record| record.name == "example.org"), "{answer:?}");
    answer.records.into_iter().map(|record| record.data).collect()
}

#[tokio::test]
async fn records_of_every_kind_are_read() {
    let server = Server::run(|query, _| {
        Reply::Records(match query.query_type() {
            RecordType::A => vec![RData::A(A::new(192, 0, 2, 1))],
            RecordType::AAAA => vec![RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))],
            RecordType::CNAME => vec![RData::CNAME(CNAME(name("Other.Example.")))],
            RecordType::MX => {
                vec![RData::MX(MX::new(10, name("MX.example.org."))), RData::MX(MX::new(0, name(".")))]
            }
            RecordType::SRV => vec![RData::SRV(SRV::new(1, 2, 993, name("imap.example.org.")))],
            RecordType::TXT => vec![RData::TXT(TXT::from_bytes(vec![b"v=spf1 ", b"-all \xff"]))],
            RecordType::TLSA => vec![RData::TLSA(TLSA::new(3.into(), 1.into(), 1.into(), vec![7; 32]))],
            RecordType::CAA => vec![RData::CAA(CAA::new_issue(true, Some(name("ca.example")), Vec::new()))],
            other => panic!("not asked for: {other}"),
        })
    })
    .await;
    let resolver = server.resolver();
    let ask = async |kind| data(resolver.ask("Example.ORG.", kind).await.expect("an answer"));
    let address = |text: &str| Data::Address(text.parse().unwrap());
    assert_eq!(ask(Kind::Address).await, [address("2001:db8::1"), address("192.0.2.1")]);
    assert_eq!(ask(Kind::Cname).await, [Data::Cname("other.example".into())]);
    let mx = |preference, host: &str| Data::Mx { preference, host: host.into() };
    assert_eq!(ask(Kind::Mx).await, [mx(10, "mx.example.org"), mx(0, "")]);
    let srv = Data::Srv { priority: 1, weight: 2, port: 993, target: "imap.example.org".into() };
    assert_eq!(ask(Kind::Srv).await, [srv]);
    assert_eq!(ask(Kind::Txt).await, [Data::Txt("v=spf1 -all \u{fffd}".into())]);
    assert_eq!(ask(Kind::Tlsa).await, [Data::Tlsa(3, 1, 1, vec![7; 32])]);
    assert_eq!(ask(Kind::Caa).await, [Data::Caa(128, "issue".into(), "ca.example".into())]);
    assert_eq!(server.asked()[0].0, "example.org.");
}

#[tokio::test]
async fn a_cname_is_followed_and_names_leave_in_a_labels() {
    let server = Server::run(|query, _| {
        let alias = RData::CNAME(CNAME(name("host.example.")));
        match (query.name().to_ascii().as_str(), query.query_type()) {
            ("xn--bcher-kva.example.", RecordType::A) => {
                Reply::Records(vec![alias, RData::A(A::new(192, 0, 2, 1))])
            }
            // Where the alias comes without its address, the resolver asks for that.
            ("xn--bcher-kva.example.", _) => Reply::Records(vec![alias]),
            ("host.example.", _) => Reply::Records(Vec::new()),
            _ => Reply::Code(ResponseCode::Refused),
        }
    })
    .await;
    let answer = server.resolver().ask("bücher.example", Kind::Address).await.expect("an answer");
    assert_eq!(answer.records.len(), 1, "{answer:?}");
    assert_eq!(answer.records[0].name, "xn--bcher-kva.example");
    assert!(!answer.no_such_name);
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let server = Server::run(|_, tcp| {
        if tcp {
            Reply::Records(vec![RData::TXT(TXT::new(vec!["x".repeat(200); 8]))])
        } else {
            Reply::Truncated
        }
    })
    .await;
    let answer = server.resolver().ask("example.org", Kind::Txt).await.expect("an answer");
    assert_eq!(data(answer), [Data::Txt("x".repeat(1600))]);
    let over_tcp: Vec<bool> = server.asked().into_iter().map(|(_, _, tcp)| tcp).collect();
    assert_eq!(over_tcp, [false, true]);
}

#[tokio::test]
async fn no_such_name_and_no_such_record_are_two_answers() {
    let server = Server::run(|query, _| {
        if query.name().to_ascii() == "gone.example." {
            Reply::Code(ResponseCode::NXDomain)
        } else {
            Reply::Records(Vec::new())
        }
    })
    .await;
    let resolver = server.resolver();
    for kind in [Kind::Mx, Kind::Address] {
        let gone = resolver.ask("gone.example", kind).await.expect("an answer");
        assert_eq!(gone, Answer { no_such_name: true, ..Answer::default() });
        assert_eq!(resolver.ask("here.example", kind).await.expect("an answer"), Answer::default());
    }
    assert_eq!(resolver.addresses("gone.example").await, Ok(Vec::new()));
}

#[tokio::test]
async fn failures_of_servers_are_failures_in_words() {
    let server = Server::run(|query, _| {
        Reply::Code(match query.name().to_ascii().as_str() {
            "servfail.example." => ResponseCode::ServFail,
            "refused.example." => ResponseCode::Refused,
            _ => ResponseCode::FormErr,
        })
    })
    .await;
    for (name, words) in [
        ("servfail.example", "(SERVFAIL) when asked for servfail.example"),
        ("refused.example", "refused to answer when asked for refused.example"),
        ("formerr.example", "when asked for formerr.example"),
    ] {
        let failed = server.resolver().ask(name, Kind::Mx).await.expect_err("no answer");
        assert!(failed.0.contains(words), "{failed}");
        assert!(server.resolver().addresses(name).await.is_err());
    }
}

#[tokio::test]
async fn silence_and_junk_end_within_the_time() {
    let server = Server::run(|query, _| match query.name().to_ascii().as_str() {
        "junk.example." => Reply::Octets(b"\0\0\xff junk".to_vec()),
        _ => Reply::Silence,
    })
    .await;
    let time_max = Duration::from_millis(600);
    let resolver = Resolver::at(server.address, time_max);
    for name in ["junk.example", "silent.example"] {
        let begun = Instant::now();
        let failed = resolver.ask(name, Kind::Mx).await.expect_err("no answer");
        assert!(failed.0.contains(name), "{failed}");
        assert!(begun.elapsed() < time_max * 3, "{name}: {:?}", begun.elapsed());
    }
    // A lost datagram is sent again.
    let questions = server.asked().iter().filter(|(name, ..)| name == "silent.example.").count();
    assert!(questions >= 2, "{questions}");
}

#[tokio::test]
async fn one_family_is_enough_when_the_other_fails() {
    let server = Server::run(|query, _| match query.query_type() {
        RecordType::A => Reply::Records(vec![RData::A(A::new(192, 0, 2, 1))]),
        _ => Reply::Code(ResponseCode::ServFail),
    })
    .await;
    let addresses = server.resolver().addresses("example.org").await.expect("an answer");
    assert_eq!(addresses, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let server = Server::run(|_, tcp| {
        let many = (0..500).map(|n| RData::MX(MX::new(n, name("mx.example.org.")))).collect();
        if tcp { Reply::Records(many) } else { Reply::Truncated }
    })
    .await;
    let answer = server.resolver().ask("example.org", Kind::Mx).await.expect("an answer");
    assert_eq!(answer.records.len(), RECORDS_MAX);
}

/// Behind a server that knows no signatures nothing is proven, whatever it says of itself.
#[tokio::test]
async fn nothing_is_proven_without_signatures() {
    let server = Server::run(|query, _| match query.query_type() {
        RecordType::TLSA => {
            Reply::Records(vec![RData::TLSA(TLSA::new(3.into(), 1.into(), 1.into(), vec![7; 32]))])
        }
        _ => Reply::Records(Vec::new()),
    })
    .await;
    match server.resolver().ask_proven("_25._tcp.example.org", Kind::Tlsa).await {
        Ok(answer) => assert!(!answer.secure, "{answer:?}"),
        Err(failed) => assert!(failed.0.contains("_25._tcp.example.org"), "{failed}"),
    }
    let plain = server.resolver().ask("_25._tcp.example.org", Kind::Tlsa).await.expect("an answer");
    assert!(!plain.secure);
    assert_eq!(plain.records.len(), 1);
}

#[tokio::test]
async fn the_system_knows_this_machine() {
    let resolver = Resolver::system(TIME_MAX).expect("the system's settings");
    let addresses = resolver.addresses("localhost").await.expect("an answer");
    assert!(addresses.iter().all(std::net::IpAddr::is_loopback) && !addresses.is_empty(), "{addresses:?}");
}
