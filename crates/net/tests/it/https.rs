//! HTTP over real sockets: both versions, the limits, what is not HTTP, and the stop.

use crate::talk::{HOST, Keys, client};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use net::drive::{self, Ends};
use net::https::{Handler, Limits, Peer, Request, serve, whole};
use net::listen::{self, Gate, Means};
use net::tls::{Failure, Shared};
use proto::service::{Listener, Protection, Protocol};
use rustls::pki_types::ServerName;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::{TlsConnector, client::TlsStream};

const BIG: usize = 3 << 20;

/// Answers by path.
struct Site {
    failed: mpsc::UnboundedSender<Failure>,
}

impl Handler for Site {
    fn handle(
        &self,
        peer: Peer,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = net::https::Response> + Send>> {
        Box::pin(async move {
            match request.uri().path() {
                "/big" => Response::new(whole(vec![b'x'; BIG])),
                "/slow" => {
                    tokio::time::sleep(Duration::from_millis(400)).await;
                    Response::new(whole("slow"))
                }
                "/never" => std::future::pending().await,
                "/panic" => panic!("a handler that breaks"),
                _ => {
                    let (path, body) = (request.uri().path(), request.body().len());
                    let name = peer.security.tls().and_then(|tls| tls.server_name.as_deref());
                    let (encrypted, name) = (peer.security.is_encrypted(), name.unwrap_or("-"));
                    Response::new(whole(format!("{path} {body} {encrypted} {name}")))
                }
            }
        })
    }

    fn handshake_failed(&self, _ends: Ends, failure: &Failure) {
        // The test may be over.
        let _ = self.failed.send(failure.clone());
    }
}

struct Service {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    gate: Arc<Gate>,
    served: tokio::task::JoinHandle<()>,
    failed: mpsc::UnboundedReceiver<Failure>,
    keys: Keys,
}

fn start(protection: Protection, limits: Limits, connections: listen::Limits) -> Service {
    let keys = Keys::ecdsa();
    let listener = Listener {
        name: "web".to_owned(),
        protocol: Protocol::Web,
        protection,
        either_way: false,
        addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port: 0,
    };
    let bound = listen::bind(&listener).unwrap();
    let address = bound.addresses()[0];
    let shared = Shared::new(keys.certificates.clone()).unwrap();
    let acceptor = shared.acceptor(Protocol::Web, None, net::tls::Limits::default()).unwrap();
    let (stop, shutdown) = watch::channel(false);
    let gate = Gate::new(connections);
    let drive = drive::Limits { stall_seconds_max: 1, stop_seconds_max: 5, ..drive::Limits::default() };
    let means = Means {
        tls: Some(Arc::new(acceptor)),
        gate: gate.clone(),
        limits: drive,
        shutdown,
        greeting_wait: Duration::from_millis(300),
    };
    let (sender, failed) = mpsc::unbounded_channel();
    let served = tokio::spawn(serve(bound, Arc::new(Site { failed: sender }), means, limits));
    Service { address, stop, gate, served, failed, keys }
}

fn clear(limits: Limits) -> Service {
    start(Protection::Clear, limits, listen::Limits::default())
}

impl Service {
    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn tls(&self, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
        let mut config = client(&self.keys.authority_file());
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(HOST).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.tcp().await).await.unwrap()
    }
}

/// Everything until the peer closes, and how long that took.
async fn rest(mut from: impl tokio::io::AsyncRead + Unpin) -> (String, Duration) {
    let begin = Instant::now();
    let mut octets = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), from.read_to_end(&mut octets)).await;
    // A reset is an end too.
    let _ = read.expect("closed in time");
    (String::from_utf8_lossy(&octets).into_owned(), begin.elapsed())
}

async fn said(service: &Service, octets: &[u8]) -> String {
    let mut tcp = service.tcp().await;
    tcp.write_all(octets).await.unwrap();
    rest(tcp).await.0
}

#[tokio::test]
async fn one_connection_carries_several_requests() {
    let service = clear(Limits::default());
    let said = said(
        &service,
        b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
          GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(said.matches("HTTP/1.1 200 OK").count(), 3, "{said}");
    for body in ["/a 0 false -", "/b 3 false -", "/c 0 false -"] {
        assert!(said.contains(body), "{said}");
    }
}

#[tokio::test]
async fn a_header_that_does_not_end_is_cut_off() {
    let service = clear(Limits { header_seconds_max: 1, idle_seconds_max: 10, ..Limits::default() });
    let mut tcp = service.tcp().await;
    let begin = Instant::now();
    let (mut reader, mut writer) = tcp.split();
    let drip = async {
        // One octet at a time keeps no connection alive.
        writer.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        _ = rest(&mut reader) => {}
        () = drip => {}
    }
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test]
async fn silence_ends_the_connection() {
    let service = clear(Limits { idle_seconds_max: 1, ..Limits::default() });
    let (said, took) = rest(service.tcp().await).await;
    assert_eq!(said, "");
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(6), "{took:?}");
    // Under TLS and HTTP/2 too, though the client's frames came.
    let service =
        start(Protection::Implicit, Limits { idle_seconds_max: 1, ..Limits::default() }, Default::default());
    let mut tls = service.tls(&[b"h2"]).await;
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let (_, took) = rest(tls).await;
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test]
async fn bodies_and_headers_have_their_limits() {
    let service = clear(Limits { body_bytes_max: 1000, body_seconds_max: 1, ..Limits::default() });
    let told = said(&service, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n").await;
    assert!(told.starts_with("HTTP/1.1 413 ") && told.contains("connection: close"), "{told}");
    // Not asked for either.
    let asked = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n";
    assert!(said(&service, asked).await.starts_with("HTTP/1.1 413 "));
    let mut chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..11 {
        chunked.extend_from_slice(b"64\r\n");
        chunked.extend_from_slice(&[b'x'; 100]);
        chunked.extend_from_slice(b"\r\n");
    }
    let told = said(&service, &chunked).await;
    assert!(told.starts_with("HTTP/1.1 413 "), "{told}");
    // One that stops in the middle.
    let told = said(&service, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc").await;
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    let mut long = b"GET / HTTP/1.1\r\nX: ".to_vec();
    long.resize(40 << 10, b'x');
    let told = said(&service, &long).await;
    assert!(told.starts_with("HTTP/1.1 431 "), "{told}");
    let mut many = b"GET / HTTP/1.1\r\n".to_vec();
    for n in 0..200 {
        many.extend_from_slice(format!("x{n}: 1\r\n").as_bytes());
    }
    many.extend_from_slice(b"\r\n");
    assert!(said(&service, &many).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn an_answer_that_never_comes_has_an_end() {
    let service = clear(Limits { answer_seconds_max: 1, ..Limits::default() });
    let told = said(&service, b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_let_go() {
    let limits =
        Limits { answer_seconds_max: 1, body_seconds_max: 1, idle_seconds_max: 1, ..Limits::default() };
    let service = clear(limits);
    let mut tcp = service.tcp().await;
    tcp.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let gone = async {
        // Its place is free again while it is still connected and reads nothing.
        while service.gate.open_connections() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        while service.gate.open_connections() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), gone).await.expect("let go in time");
}

#[tokio::test]
async fn http_1_under_tls_gives_everything() {
    let service = start(Protection::Implicit, Limits::default(), listen::Limits::default());
    for alpn in [&[b"http/1.1".as_slice()][..], &[], &[b"imap"]] {
        let mut tls = service.tls(alpn).await;
        tls.write_all(
            b"GET /x HTTP/1.1\r\nHost: x\r\n\r\nGET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        .await
        .unwrap();
        let (said, _) = rest(tls).await;
        assert!(said.contains(&format!("/x 0 true {HOST}")), "{}", &said[..said.len().min(500)]);
        let (_, big) = said.rsplit_once("\r\n\r\n").unwrap();
        assert!(big.len() == BIG && big.bytes().all(|byte| byte == b'x'), "{alpn:?}: {}", big.len());
    }
}

#[tokio::test]
async fn http_2_carries_requests_side_by_side() {
    let limits = Limits { streams_max: 4, body_bytes_max: 1000, ..Limits::default() };
    let service = start(Protection::Implicit, limits, listen::Limits::default());
    let tls = service.tls(&[b"h2", b"http/1.1"]).await;
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
    let connection = tokio::spawn(connection);
    let ask = |path: &str, body: Vec<u8>| {
        let mut sender = sender.clone();
        let request =
            http::Request::post(format!("https://{HOST}{path}")).body(Full::new(Bytes::from(body))).unwrap();
        async move {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
        }
    };
    // The client hears of the limit with the first answer; what it sends too much before that is refused.
    assert_eq!(ask("/first", Vec::new()).await.unwrap().0, StatusCode::OK);
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..20 {
        asked.spawn(ask(if n == 0 { "/big" } else { "/slow" }, vec![b'y'; 10]));
    }
    while let Some(answer) = asked.join_next().await {
        let (status, body) = answer.unwrap().unwrap();
        assert_eq!(status, StatusCode::OK);
        assert!(body.len() == BIG || body == "slow");
    }
    assert_eq!(ask("/", vec![b'y'; 1001]).await.unwrap().0, StatusCode::PAYLOAD_TOO_LARGE);
    // A handler that panics takes its own request along, and no more.
    assert!(ask("/panic", Vec::new()).await.is_err());
    assert_eq!(ask("/after", Vec::new()).await.unwrap().0, StatusCode::OK);
    // The stop finishes what runs and says goodbye.
    let last = tokio::spawn(ask("/slow", Vec::new()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    service.stop.send_replace(true);
    assert_eq!(last.await.unwrap().unwrap().1, "slow");
    connection.await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(5), service.served).await.expect("stopped").unwrap();
}

#[tokio::test]
async fn the_stop_ends_idle_connections_and_waits_for_answers() {
    let service = clear(Limits::default());
    let idle = service.tcp().await;
    let mut busy = service.tcp().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    service.stop.send_replace(true);
    let (said, took) = rest(idle).await;
    assert!(said.is_empty() && took < Duration::from_secs(3), "{said} {took:?}");
    let (said, _) = rest(busy).await;
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.ends_with("slow"), "{said}");
    tokio::time::timeout(Duration::from_secs(8), service.served).await.expect("stopped").unwrap();
}

#[tokio::test]
async fn a_panic_ends_no_other_connection() {
    let service = clear(Limits::default());
    let mut other = service.tcp().await;
    assert_eq!(said(&service, b"GET /panic HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
    other.write_all(b"GET /still HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(rest(other).await.0.contains("/still 0"));
}

#[tokio::test]
async fn http_on_the_https_port_is_told_so() {
    let mut service = start(Protection::Implicit, Limits::default(), listen::Limits::default());
    let told = said(&service, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(told.starts_with("HTTP/1.1 400 ") && told.contains("https://"), "{told}");
    assert_eq!(service.failed.recv().await, Some(Failure::NotTls));
    // A hello that offers TLS 1.0 at most: recognised, and answered with the alert for it (RFC 5246 E.1).
    let mut tcp = service.tcp().await;
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 2, 0, 47, 1, 0]);
    tcp.write_all(&hello).await.unwrap();
    let mut octets = Vec::new();
    tcp.read_to_end(&mut octets).await.unwrap();
    assert_eq!(octets, [21, 3, 1, 0, 2, 2, 70]);
    assert_eq!(service.failed.recv().await, Some(Failure::TooOld("TLSv1.0")));
}

#[tokio::test]
async fn the_gate_holds_for_the_web() {
    let connections = listen::Limits { connections_max: 1, ..listen::Limits::default() };
    let service = start(Protection::Clear, Limits::default(), connections);
    let mut first = service.tcp().await;
    first.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    first.read_exact(&mut byte).await.unwrap();
    let told = said(&service, b"").await;
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
}
