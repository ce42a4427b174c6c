//! One HTTP request of ours against servers that do what they like.

use crate::talk::{HOST, Keys};
use net::authority::KeyKind;
use net::dns::Resolver;
use net::https::client::{Answer, Ask, NoAnswer, ask};
use proto::discovery::dns::{Data, Record};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

const TIME_MAX: Duration = Duration::from_secs(10);
const BODY_MAX: usize = 64 << 10;

/// What a server does after it has read a request's header.
#[derive(Clone)]
enum Do {
    Say(&'static [u8]),
    /// This again and again, with so many milliseconds between.
    Drip(&'static [u8], &'static [u8], u64),
    Close,
    Nothing,
}

/// A server for every connection that comes; what was asked, and how many octets the client took.
struct Server {
    at: SocketAddr,
    asked: mpsc::UnboundedReceiver<String>,
    sent: mpsc::UnboundedReceiver<usize>,
}

impl Server {
    async fn run(what: Do, tls: Option<Arc<ServerConfig>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (ask_sender, asked) = mpsc::unbounded_channel();
        let (sent_sender, sent) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (what, asked, sent, tls) =
                    (what.clone(), ask_sender.clone(), sent_sender.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(tcp, what, asked, sent).await,
                        Some(config) => {
                            let Ok(stream) = TlsAcceptor::from(config).accept(tcp).await else { return };
                            let name = stream.get_ref().1.server_name().unwrap_or("-").to_owned();
                            asked.send(name).unwrap();
                            serve(stream, what, asked, sent).await;
                        }
                    }
                });
            }
        });
        Server { at, asked, sent }
    }

    async fn get(&self, scheme: &str) -> Result<Answer, NoAnswer> {
        self.get_with(scheme, &[], TIME_MAX).await
    }

    async fn get_with(
        &self,
        scheme: &str,
        roots: &[Vec<u8>],
        time_max: Duration,
    ) -> Result<Answer, NoAnswer> {
        let url = format!("{scheme}://{HOST}:{}/a/b?c=d", self.at.port());
        let ask_ = Ask { extra_roots: roots, time_max, ..plain(&url) };
        ask(&resolver(), ask_).await
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    what: Do,
    asked: mpsc::UnboundedSender<String>,
    sent: mpsc::UnboundedSender<usize>,
) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(length) if length > 0 => request.extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
    let _ = asked.send(String::from_utf8_lossy(&request).into_owned());
    let mut octets = 0;
    match what {
        Do::Say(answer) => {
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
        Do::Drip(first, then, millis) => {
            let mut alive = stream.write_all(first).await.is_ok();
            while alive {
                alive = stream.write_all(then).await.is_ok() && stream.flush().await.is_ok();
                octets += then.len();
                if millis > 0 {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                }
            }
            let _ = sent.send(octets);
        }
        Do::Close => {}
        Do::Nothing => {
            let _ = stream.read(&mut buffer).await;
        }
    }
}

fn resolver() -> Resolver {
    let record = |name: &str, address: &str| Record {
        name: name.to_owned(),
        data: Data::Address(address.parse().unwrap()),
    };
    Resolver::fixed(
        vec![
            record(HOST, "127.0.0.1"),
            record("mapped.example", "::ffff:127.0.0.1"),
            record("nat64.example", "64:ff9b::7f00:1"),
            record("zero.example", "0.0.0.0"),
            record("link.example", "169.254.169.254"),
            record("link6.example", "fe80::1"),
            record("both.example", "127.0.0.1"),
            record("both.example", "10.0.0.1"),
        ],
        vec!["silent.example".to_owned()],
    )
}

fn plain(url: &str) -> Ask<'_> {
    Ask { url, post: None, time_max: TIME_MAX, body_bytes_max: BODY_MAX, allowed: |_| true, extra_roots: &[] }
}

#[tokio::test]
async fn a_request_and_its_answer() {
    let reply =
        b"HTTP/1.1 302 Found\r\nLocation: ../x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
    let mut server = Server::run(Do::Say(reply), None).await;
    let answer = server.get("http").await.expect("an answer");
    assert_eq!((answer.status, &answer.body[..]), (302, &b"hello"[..]));
    assert_eq!(answer.content_type.as_deref(), Some("text/plain"));
    let port = server.at.port();
    assert_eq!(answer.location, Some(format!("http://{HOST}:{port}/a/../x")));
    let request = server.asked.recv().await.unwrap();
    assert!(request.starts_with("GET /a/b?c=d HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: {HOST}:{port}\r\n")), "{request}");
    assert!(request.contains("user-agent: Sealpost/"), "{request}");
}

#[tokio::test]
async fn a_body_makes_it_a_post() {
    let mut server = Server::run(Do::Say(b"HTTP/1.1 204 No Content\r\n\r\n"), None).await;
    let url = format!("http://{HOST}:{}/", server.at.port());
    let answer = ask(&resolver(), Ask { post: Some(("text/xml", b"<a/>")), ..plain(&url) }).await;
    assert_eq!(answer.expect("an answer").status, 204);
    let request = server.asked.recv().await.unwrap();
    assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: text/xml\r\ncontent-length: 4\r\n"), "{request}");
}

#[tokio::test]
async fn what_is_too_long_is_not_read() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n";
    let begun = Instant::now();
    let announced = Server::run(Do::Drip(head, &[b'x'; 4096], 0), None).await;
    assert_eq!(announced.get("http").await.unwrap_err(), NoAnswer::TooLong);
    let mut endless = Server::run(Do::Drip(b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 4096], 0), None).await;
    assert_eq!(endless.get("http").await.unwrap_err(), NoAnswer::TooLong);
    assert!(begun.elapsed() < TIME_MAX);
    // What the client took, and what lay in the sockets' buffers.
    let octets = endless.sent.recv().await.unwrap();
    assert!(octets < 32 << 20, "{octets}");
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = Server::run(Do::Drip(head, b"4\r\nxxxx\r\n", 0), None).await;
    assert_eq!(chunked.get("http").await.unwrap_err(), NoAnswer::TooLong);
}

#[tokio::test]
async fn an_endless_header_ends() {
    let server =
        Server::run(Do::Drip(b"HTTP/1.1 200 OK\r\n", b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 0), None)
            .await;
    assert_eq!(server.get("http").await.unwrap_err(), NoAnswer::TooLong);
    let server = Server::run(Do::Drip(b"HTTP/1.1 200 OK\r\nX-A: ", &[b'a'; 1024], 0), None).await;
    assert_eq!(server.get("http").await.unwrap_err(), NoAnswer::TooLong);
}

#[tokio::test]
async fn the_time_counts_for_everything() {
    let time_max = Duration::from_millis(400);
    for what in [
        Do::Nothing,
        Do::Drip(b"HTTP/1.1 200 OK\r\n", b"X-A: a\r\n", 50),
        Do::Drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 50),
    ] {
        let server = Server::run(what, None).await;
        let begun = Instant::now();
        assert_eq!(server.get_with("http", &[], time_max).await.unwrap_err(), NoAnswer::TimedOut);
        assert!(begun.elapsed() < time_max * 5, "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn what_is_not_http_is_said() {
    for (what, words) in [
        (Do::Say(b"+OK POP3 ready\r\n"), "does not speak HTTP"),
        (Do::Close, "closed the connection"),
        (Do::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), "closed the connection"),
    ] {
        let server = Server::run(what, None).await;
        match server.get("http").await {
            Err(NoAnswer::Broken(why)) => assert!(why.contains(words), "{why}"),
            other => panic!("{words}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn who_may_not_be_asked_is_not_connected_to() {
    let public = |host: &'static str| async move {
        let url = format!("http://{host}:9/");
        let asking = Ask { allowed: net::network::is_public, ..plain(&url) };
        ask(&resolver(), asking).await.unwrap_err()
    };
    for host in
        ["mapped.example", "nat64.example", "zero.example", "link.example", "link6.example", "both.example"]
    {
        assert_eq!(public(host).await, NoAnswer::Forbidden, "{host}");
    }
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "169.254.169.254"] {
        assert_eq!(public(host).await, NoAnswer::Forbidden, "{host}");
    }
    assert_eq!(public("gone.example").await, NoAnswer::NoSuchHost);
    assert!(matches!(public("silent.example").await, NoAnswer::Dns(_)));
    assert_eq!(public("a@127.0.0.1").await, NoAnswer::BadUrl);
    // One of two addresses may be asked, and only that one is.
    let server = Server::run(Do::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), None).await;
    let url = format!("http://both.example:{}/", server.at.port());
    let asking = Ask { allowed: |address: IpAddr| address.is_loopback(), ..plain(&url) };
    assert_eq!(ask(&resolver(), asking).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("http://{HOST}:{port}/");
    assert_eq!(ask(&resolver(), plain(&url)).await.unwrap_err(), NoAnswer::Refused);
}

/// A server's side of TLS for these names, by the authority of `keys`.
fn tls(keys: &Keys, names: &[&str]) -> Arc<ServerConfig> {
    let leaf = keys.authority.server(KeyKind::Ecdsa, names).unwrap();
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(leaf.chain_pem.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

#[tokio::test]
async fn certificates_are_checked_and_the_name_is_sent() {
    let keys = Keys::ecdsa();
    let root = CertificateDer::from_pem_file(keys.authority_file()).unwrap().to_vec();
    let reply = Do::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut good = Server::run(reply.clone(), Some(tls(&keys, &[HOST]))).await;
    let answer = good.get_with("https", std::slice::from_ref(&root), TIME_MAX).await.expect("an answer");
    assert_eq!(&answer.body[..], b"ok");
    assert_eq!(good.asked.recv().await.unwrap(), HOST);
    let tls_failure = |outcome: Result<Answer, NoAnswer>| match outcome {
        Err(NoAnswer::Tls(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(tls_failure(good.get("https").await).contains("authority that is not trusted"));
    let other = Server::run(reply.clone(), Some(tls(&keys, &["other.example"]))).await;
    let why = tls_failure(other.get_with("https", std::slice::from_ref(&root), TIME_MAX).await);
    assert!(why.contains("made for another name"), "{why}");
    let clear = Server::run(reply, None).await;
    // A server without TLS waits for the end of a request's header, which a ClientHello does not have.
    let why = clear.get_with("https", &[], Duration::from_millis(400)).await.unwrap_err();
    assert_eq!(why, NoAnswer::TimedOut);
}

#[tokio::test]
async fn clear_text_in_place_of_tls_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let mut buffer = [0; 4096];
            let _ = tcp.read(&mut buffer).await;
        }
    });
    let url = format!("https://{HOST}:{}/", at.port());
    match ask(&resolver(), plain(&url)).await {
        Err(NoAnswer::Tls(why)) => assert!(why.contains("does not speak TLS"), "{why}"),
        other => panic!("{other:?}"),
    }
}
