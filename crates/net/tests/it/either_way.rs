//! Listeners that serve both ways, and clients whose security setting does not fit their port.

use crate::talk::{Keys, Plan, Running, ask, client, connect_tls, line, secure};
use net::drive::End;
use net::tls::Failure;
use proto::service::Protection;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The greeting's delay in tests where it must not be met.
const LONG: Duration = Duration::from_secs(60);

fn both(keys: &Keys, protection: Protection, greeting_wait: Duration) -> Running {
    keys.run(Plan { either_way: true, greeting_wait, ..Plan::new(protection) })
}

fn config(keys: &Keys) -> Arc<ClientConfig> {
    Arc::new(client(&keys.authority_file()))
}

#[tokio::test]
async fn a_client_that_begins_tls_gets_it_at_once() {
    let keys = Keys::ecdsa();
    for (protection, how) in [(Protection::Implicit, "implicit"), (Protection::StartTls, "either-way")] {
        let mut service = both(&keys, protection, LONG);
        let mut tls = connect_tls(service.address, config(&keys)).await;
        assert_eq!(line(&mut tls).await, "220 hello");
        let facts = ask(&mut tls, "SECURITY").await;
        assert!(facts.starts_with(&format!("{how} TLSv1.3")), "{facts}");
        assert_eq!(ask(&mut tls, "QUIT").await, "221 bye");
        assert!(matches!(service.ended().await, End::Finished));
    }
}

#[tokio::test]
async fn a_client_that_waits_is_greeted_and_may_upgrade() {
    let keys = Keys::ecdsa();
    for (protection, how) in [(Protection::Implicit, "either-way"), (Protection::StartTls, "starttls")] {
        let wait = Duration::from_millis(200);
        let mut service = both(&keys, protection, wait);
        let begun = Instant::now();
        let mut tcp = TcpStream::connect(service.address).await.unwrap();
        assert_eq!(line(&mut tcp).await, "220 hello");
        assert!(begun.elapsed() >= wait, "{:?}", begun.elapsed());
        assert_eq!(ask(&mut tcp, "SECURITY").await, "clear");
        assert_eq!(ask(&mut tcp, "STARTTLS").await, "220 go ahead");
        let mut tls = secure(tcp, config(&keys)).await;
        let facts = ask(&mut tls, "SECURITY").await;
        assert!(facts.starts_with(&format!("{how} TLSv1.3")), "{facts}");
        assert_eq!(ask(&mut tls, "QUIT").await, "221 bye");
        assert!(matches!(service.ended().await, End::Finished));
    }
}

#[tokio::test]
async fn a_client_that_speaks_first_in_clear_is_greeted_at_once() {
    let keys = Keys::ecdsa();
    let service = both(&keys, Protection::Implicit, LONG);
    let mut tcp = TcpStream::connect(service.address).await.unwrap();
    tcp.write_all(b"ECHO early\r\n").await.unwrap();
    assert_eq!(line(&mut tcp).await, "220 hello");
    assert_eq!(line(&mut tcp).await, "early", "what it said before the greeting is not lost");
    assert_eq!(ask(&mut tcp, "QUIT").await, "221 bye");
}

/// Carries a client's octets one by one, the first at once and the others slower than the greeting's delay in all.
fn dawdle(tcp: TcpStream) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (mut from_client, mut to_client) = tokio::io::split(theirs);
    let (mut from_server, mut to_server) = tcp.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    tokio::spawn(async move {
        while let Ok(octet) = from_client.read_u8().await {
            if to_server.write_u8(octet).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    ours
}

#[tokio::test]
async fn a_hello_that_comes_octet_by_octet_is_one_from_its_first() {
    let keys = Keys::ecdsa();
    for protection in [Protection::Implicit, Protection::StartTls] {
        let service = both(&keys, protection, Duration::from_millis(100));
        let tcp = TcpStream::connect(service.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = ServerName::try_from(crate::talk::HOST).unwrap();
        let begun = Instant::now();
        let mut tls = TlsConnector::from(config(&keys)).connect(name, dawdle(tcp)).await.unwrap();
        assert!(begun.elapsed() > Duration::from_millis(150), "it did not dawdle: {:?}", begun.elapsed());
        assert_eq!(line(&mut tls).await, "220 hello");
        assert_eq!(ask(&mut tls, "ECHO x").await, "x");
    }
}

#[tokio::test]
async fn a_clear_client_that_comes_octet_by_octet_is_served() {
    let keys = Keys::ecdsa();
    let service = both(&keys, Protection::Implicit, Duration::from_millis(50));
    let tcp = TcpStream::connect(service.address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let mut slow = dawdle(tcp);
    assert_eq!(line(&mut slow).await, "220 hello");
    assert_eq!(ask(&mut slow, "ECHO slowly").await, "slowly");
}

#[tokio::test]
async fn who_goes_away_or_says_rubbish_is_noted() {
    let keys = Keys::ecdsa();
    let mut service = both(&keys, Protection::Implicit, LONG);
    drop(TcpStream::connect(service.address).await.unwrap());
    assert_eq!(service.failed().await, Failure::PeerClosed);
    // The high bit is that of an SSL 2 hello, and what follows is none.
    let mut odd = TcpStream::connect(service.address).await.unwrap();
    odd.write_all(b"\xc3\xa9t\xc3\xa9\r\n").await.unwrap();
    assert_eq!(line(&mut odd).await, "554 speak TLS here");
    assert_eq!(service.failed().await, Failure::NotTls);
    while service.gate.open_connections() > 0 {
        drop(odd.shutdown().await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_greeting() {
    let keys = Keys::ecdsa();
    let service = both(&keys, Protection::Implicit, LONG);
    let mut waits = TcpStream::connect(service.address).await.unwrap();
    while service.gate.open_connections() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    service.stop.send_replace(true);
    assert_eq!(waits.read(&mut [0; 8]).await.unwrap(), 0);
    tokio::time::timeout(Duration::from_secs(5), service.served).await.expect("it returns").unwrap();
}

#[tokio::test]
async fn who_waits_for_a_greeting_where_tls_comes_first_is_told() {
    let keys = Keys::ecdsa();
    let mut plan = Plan::new(Protection::Implicit);
    plan.tls.handshake_seconds_max = 1;
    let mut service = keys.run(plan);
    let mut tcp = TcpStream::connect(service.address).await.unwrap();
    assert_eq!(line(&mut tcp).await, "554 speak TLS here");
    assert_eq!(service.failed().await, Failure::Silent);
}

#[tokio::test]
async fn tls_where_starttls_comes_first_gets_an_alert() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan::new(Protection::StartTls));
    let mut tcp = TcpStream::connect(service.address).await.unwrap();
    assert_eq!(line(&mut tcp).await, "220 hello");
    tcp.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc").await.unwrap();
    let mut rest = Vec::new();
    tcp.read_to_end(&mut rest).await.unwrap();
    // RFC 8446 6: a fatal alert, unexpected_message.
    assert_eq!((rest[0], &rest[3..]), (21, &[0, 2, 2, 10][..]));
    assert!(matches!(service.ended().await, End::TlsFailed(Failure::TooEarly)));
    // Later than that it is rubbish like any other.
    let mut tcp = TcpStream::connect(service.address).await.unwrap();
    assert_eq!(line(&mut tcp).await, "220 hello");
    assert_eq!(ask(&mut tcp, "ECHO a").await, "a");
    assert_eq!(ask(&mut tcp, "\x16ECHO a").await, "500 what?");
}
