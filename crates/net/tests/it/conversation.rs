//! The loop: pipelining, STARTTLS, slow and stalled peers, limits, stop.

use crate::talk::{Conversation, Keys, Plan, Seen, ask, client, connect_tls, line, secure};
use net::drive::End;
use net::listen;
use net::tls::Failure;
use proto::service::Protection;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn implicit_tls_from_greeting_to_quit() {
    let keys = Keys::both();
    let mut service = keys.run(Plan::new(Protection::Implicit));
    let mut tls = connect_tls(service.address, Arc::new(client(&keys.authority_file()))).await;
    assert_eq!(line(&mut tls).await, "220 hello");
    assert_eq!(ask(&mut tls, "ECHO one").await, "one");
    let facts = ask(&mut tls, "SECURITY").await;
    assert!(facts.starts_with("implicit TLSv1.3 TLS_AES_256_GCM_SHA384 group=X25519MLKEM768"), "{facts}");
    assert!(facts.contains(" name=mail.example.test "), "{facts}");
    assert_eq!(ask(&mut tls, "QUIT").await, "221 bye");
    // A clean end: close_notify, then the end of the stream.
    assert_eq!(tls.read(&mut [0; 8]).await.unwrap(), 0);
    assert!(matches!(service.ended().await, End::Finished));
}

#[tokio::test]
async fn starttls_forgets_and_goes_on() {
    let keys = Keys::both();
    let mut service = keys.run(Plan::new(Protection::StartTls));
    let mut tcp = TcpStream::connect(service.address).await.unwrap();
    assert_eq!(line(&mut tcp).await, "220 hello");
    assert_eq!(ask(&mut tcp, "SECURITY").await, "clear");
    assert_eq!(ask(&mut tcp, "STARTTLS").await, "220 go ahead");
    let mut tls = secure(tcp, Arc::new(client(&keys.authority_file()))).await;
    let facts = ask(&mut tls, "SECURITY").await;
    assert!(facts.starts_with("starttls TLSv1.3"), "{facts}");
    assert_eq!(ask(&mut tls, "QUIT").await, "221 bye");
    assert!(matches!(service.ended().await, End::Finished));
}

/// CVE-2011-0411: the injected command stands in the same packet.
#[tokio::test]
async fn bytes_behind_starttls_are_refused() {
    let keys = Keys::ecdsa();
    for injected in ["STARTTLS\r\nECHO injected\r\n", "ECHO a\r\nSTARTTLS\r\nE"] {
        let mut service = keys.run(Plan::new(Protection::StartTls));
        let mut tcp = TcpStream::connect(service.address).await.unwrap();
        assert_eq!(line(&mut tcp).await, "220 hello");
        tcp.write_all(injected.as_bytes()).await.unwrap();
        let mut rest = String::new();
        tcp.read_to_string(&mut rest).await.unwrap();
        assert!(rest.ends_with("554 no commands behind STARTTLS\r\n"), "{rest}");
        assert!(!rest.contains("injected") && !rest.contains("go ahead"), "{rest}");
        assert!(matches!(service.ended().await, End::EarlyBytes));
    }
}

/// The same in a packet of its own, which arrives while a command before STARTTLS is at work.
#[tokio::test]
async fn bytes_behind_starttls_in_the_socket_are_refused() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan::new(Protection::StartTls));
    let mut tcp = TcpStream::connect(service.address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    assert_eq!(line(&mut tcp).await, "220 hello");
    tcp.write_all(b"SLEEP 300\r\nSTARTTLS\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    tcp.write_all(b"ECHO injected\r\n").await.unwrap();
    let mut rest = String::new();
    tcp.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "250 slept\r\n554 no commands behind STARTTLS\r\n");
    assert!(matches!(service.ended().await, End::EarlyBytes));
}

/// Sent after the go-ahead, clear commands meet TLS and end the connection.
#[tokio::test]
async fn clear_text_instead_of_a_handshake_ends_the_session() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan::new(Protection::StartTls));
    let mut tcp = TcpStream::connect(service.address).await.unwrap();
    line(&mut tcp).await;
    assert_eq!(ask(&mut tcp, "STARTTLS").await, "220 go ahead");
    tcp.write_all(b"ECHO injected\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = tcp.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("injected"));
    assert!(matches!(service.ended().await, End::TlsFailed(Failure::NotTls)));
}

#[tokio::test]
async fn a_pipelined_batch_is_answered_in_order() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan::new(Protection::Implicit));
    let tls = connect_tls(service.address, Arc::new(client(&keys.authority_file()))).await;
    let (mut read, mut write) = tokio::io::split(tls);
    // More than any buffer holds, in both directions.
    let sender = tokio::spawn(async move {
        for number in 0..20_000 {
            write
                .write_all(format!("ECHO {number} {}\r\n", "y".repeat(number % 50)).as_bytes())
                .await
                .unwrap();
        }
        write.write_all(b"QUIT\r\n").await.unwrap();
        write.flush().await.unwrap();
        write
    });
    let mut all = String::new();
    read.read_to_string(&mut all).await.unwrap();
    sender.await.unwrap();
    let mut lines = all.lines();
    assert_eq!(lines.next(), Some("220 hello"));
    for number in 0..20_000 {
        assert_eq!(lines.next(), Some(format!("{number} {}", "y".repeat(number % 50)).trim_end()));
    }
    assert_eq!((lines.next(), lines.next()), (Some("221 bye"), None));
    assert!(matches!(service.ended().await, End::Finished));
}

#[tokio::test]
async fn a_client_may_send_byte_by_byte_and_close_its_half() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan::new(Protection::StartTls));
    let mut tcp = TcpStream::connect(service.address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    for byte in b"ECHO slowly\r\nECHO last\r\n" {
        tcp.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tcp.shutdown().await.unwrap();
    let mut all = String::new();
    tcp.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "220 hello\r\nslowly\r\nlast\r\n");
    assert!(matches!(service.ended().await, End::PeerClosed));
}

/// A handshake in single bytes is a handshake.
#[tokio::test]
async fn a_handshake_may_come_byte_by_byte() {
    let keys = Keys::ecdsa();
    let service = keys.run(Plan::new(Protection::Implicit));
    let (near, far) = tokio::io::duplex(64 * 1024);
    let address = service.address;
    tokio::spawn(async move {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let (mut tcp_read, mut tcp_write) = tcp.into_split();
        let (mut far_read, mut far_write) = tokio::io::split(far);
        tokio::spawn(async move { tokio::io::copy(&mut tcp_read, &mut far_write).await });
        let mut byte = [0; 1];
        while far_read.read_exact(&mut byte).await.is_ok() {
            tcp_write.write_all(&byte).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let name = rustls::pki_types::ServerName::try_from(crate::talk::HOST).unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client(&keys.authority_file())));
    let mut tls = connector.connect(name, near).await.unwrap();
    assert_eq!(line(&mut tls).await, "220 hello");
    assert_eq!(ask(&mut tls, "ECHO drop by drop").await, "drop by drop");
}

#[tokio::test]
async fn silence_ends_at_the_deadline_with_a_farewell() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan { idle_millis: 400, ..Plan::new(Protection::Implicit) });
    let mut tls = connect_tls(service.address, Arc::new(client(&keys.authority_file()))).await;
    assert_eq!(line(&mut tls).await, "220 hello");
    let start = Instant::now();
    // Activity moves the deadline.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert_eq!(ask(&mut tls, "ECHO here").await, "here");
    }
    assert_eq!(line(&mut tls).await, "421 too slow");
    assert!(start.elapsed() >= Duration::from_millis(1100), "{:?}", start.elapsed());
    assert!(matches!(service.ended().await, End::TimedOut));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let keys = Keys::ecdsa();
    for protection in [Protection::StartTls, Protection::Implicit] {
        let mut plan = Plan::new(protection);
        plan.limits.stall_seconds_max = 1;
        let mut service = keys.run(plan);
        if protection == Protection::StartTls {
            let mut tcp = TcpStream::connect(service.address).await.unwrap();
            tcp.write_all(b"BIG 100000000\r\n").await.unwrap();
            assert!(matches!(service.ended().await, End::Stalled));
        } else {
            let config = Arc::new(client(&keys.authority_file()));
            let mut tls = connect_tls(service.address, config).await;
            tls.write_all(b"BIG 100000000\r\n").await.unwrap();
            tls.flush().await.unwrap();
            assert!(matches!(service.ended().await, End::Stalled));
        }
    }
}

#[tokio::test]
async fn a_long_answer_arrives_whole_at_a_slow_reader() {
    let keys = Keys::ecdsa();
    let service = keys.run(Plan::new(Protection::Implicit));
    let mut tls = connect_tls(service.address, Arc::new(client(&keys.authority_file()))).await;
    assert_eq!(line(&mut tls).await, "220 hello");
    tls.write_all(b"BIG 3000000\r\nQUIT\r\n").await.unwrap();
    let mut all = Vec::new();
    let mut piece = vec![0; 100_000];
    loop {
        match tls.read(&mut piece).await.unwrap() {
            0 => break,
            count => all.extend_from_slice(&piece[..count]),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (body, rest) = all.split_at(3_000_000);
    assert!(body.iter().all(|byte| *byte == b'x'));
    assert_eq!(rest, b"250 all\r\n221 bye\r\n");
}

#[tokio::test]
async fn a_stop_lets_a_command_finish_and_says_goodbye() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan::new(Protection::Implicit));
    let config = Arc::new(client(&keys.authority_file()));
    let mut idle = connect_tls(service.address, config.clone()).await;
    let mut busy = connect_tls(service.address, config).await;
    assert_eq!(line(&mut idle).await, "220 hello");
    assert_eq!(line(&mut busy).await, "220 hello");
    busy.write_all(b"SLEEP 500\r\n").await.unwrap();
    busy.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    service.stop.send(true).unwrap();
    assert_eq!(line(&mut idle).await, "421 stopping");
    assert_eq!(line(&mut busy).await, "250 slept");
    assert_eq!(line(&mut busy).await, "421 stopping");
    drop((idle, busy));
    for _ in 0..2 {
        assert!(matches!(service.ended().await, End::Shutdown));
    }
    tokio::time::timeout(Duration::from_secs(5), service.served).await.expect("all are gone").unwrap();
    assert!(TcpStream::connect(service.address).await.is_err());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let keys = Keys::ecdsa();
    let mut plan = Plan::new(Protection::StartTls);
    plan.limits.stop_seconds_max = 1;
    let mut service = keys.run(plan);
    let mut tcp = TcpStream::connect(service.address).await.unwrap();
    line(&mut tcp).await;
    tcp.write_all(b"SLEEP 60000\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    service.stop.send(true).unwrap();
    assert!(matches!(service.ended().await, End::Shutdown));
    drop(tcp);
    tokio::time::timeout(Duration::from_secs(5), service.served).await.expect("it stopped").unwrap();
}

#[tokio::test]
async fn a_full_service_says_so() {
    let keys = Keys::ecdsa();
    let connections = listen::Limits { connections_max: 1, ..listen::Limits::default() };
    let mut service = keys.run(Plan { connections, ..Plan::new(Protection::StartTls) });
    let mut first = TcpStream::connect(service.address).await.unwrap();
    assert_eq!(line(&mut first).await, "220 hello");
    let mut second = TcpStream::connect(service.address).await.unwrap();
    assert_eq!(line(&mut second).await, "421 busy");
    assert!(matches!(service.saw().await, Seen::TurnedAway(listen::Full::Service)));
    assert_eq!(ask(&mut first, "QUIT").await, "221 bye");
    drop(first);
    assert!(matches!(service.ended().await, End::Finished));
    // The place is given back when the connection is gone.
    let freed = async {
        while service.gate.open_connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), freed).await.expect("the place is free");
    let mut third = TcpStream::connect(service.address).await.unwrap();
    assert_eq!(line(&mut third).await, "220 hello");
}

#[tokio::test]
async fn a_full_service_says_so_where_tls_comes_first() {
    let keys = Keys::ecdsa();
    let connections = listen::Limits { connections_max: 1, ..listen::Limits::default() };
    let mut service = keys.run(Plan { connections, ..Plan::new(Protection::Implicit) });
    let _first = TcpStream::connect(service.address).await.unwrap();
    while service.gate.open_connections() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut second = TcpStream::connect(service.address).await.unwrap();
    let mut alert = [0; 7];
    second.read_exact(&mut alert).await.unwrap();
    // RFC 8446 6: a fatal alert, internal_error.
    assert_eq!((alert[0], &alert[3..]), (21, &[0, 2, 2, 80][..]));
    assert!(matches!(service.saw().await, Seen::TurnedAway(listen::Full::Service)));
}

#[tokio::test]
async fn clear_text_on_an_implicit_port_gets_a_line() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan::new(Protection::Implicit));
    let mut tcp = TcpStream::connect(service.address).await.unwrap();
    tcp.write_all(b"USER fred\r\nPASS secret\r\n").await.unwrap();
    let mut all = String::new();
    tcp.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "554 speak TLS here\r\n");
    assert_eq!(service.failed().await, Failure::NotTls);
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_given_up() {
    let keys = Keys::ecdsa();
    let mut plan = Plan::new(Protection::Implicit);
    plan.tls.handshake_seconds_max = 1;
    let mut service = keys.run(plan);
    let mut silent = TcpStream::connect(service.address).await.unwrap();
    silent.write_all(&[0x16, 3, 1]).await.unwrap();
    assert_eq!(service.failed().await, Failure::TimedOut);
    let gone = TcpStream::connect(service.address).await.unwrap();
    drop(gone);
    assert_eq!(service.failed().await, Failure::PeerClosed);
}

/// Random bytes after a good beginning: rustls refuses, nothing panics, the service goes on.
#[tokio::test]
async fn rubbish_under_tls_ends_the_connection_only() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan::new(Protection::Implicit));
    let config = Arc::new(client(&keys.authority_file()));
    let mut tls = connect_tls(service.address, config.clone()).await;
    assert_eq!(line(&mut tls).await, "220 hello");
    let (tcp, _) = tls.get_mut();
    tcp.write_all(b"\x17\x03\x03\x00\x20rubbishrubbishrubbishrubbishrubb").await.unwrap();
    assert!(matches!(service.ended().await, End::TlsFailed(Failure::Other(_))));
    let mut next = connect_tls(service.address, config).await;
    assert_eq!(line(&mut next).await, "220 hello");
}

/// `close_notify` in the same packet as the last command, on a TCP connection that stays open.
#[tokio::test]
async fn close_notify_ends_a_connection_after_its_last_command() {
    let keys = Keys::ecdsa();
    let mut service = keys.run(Plan::new(Protection::Implicit));
    let mut tls = connect_tls(service.address, Arc::new(client(&keys.authority_file()))).await;
    assert_eq!(line(&mut tls).await, "220 hello");
    {
        use std::io::Write;
        let (_, connection) = tls.get_mut();
        connection.writer().write_all(b"ECHO last\r\n").unwrap();
        connection.send_close_notify();
    }
    tls.flush().await.unwrap();
    assert_eq!(line(&mut tls).await, "last");
    assert!(matches!(service.ended().await, End::PeerClosed));
}

/// The state of a conversation is what each of thousands of idle connections pays for.
#[tokio::test]
async fn the_loop_is_small() {
    let keys = Keys::ecdsa();
    let service = keys.run(Plan::new(Protection::StartTls));
    let tcp = TcpStream::connect(service.address).await.unwrap();
    let (_stop, shutdown) = tokio::sync::watch::channel(false);
    let session = Conversation::for_measure();
    let own = size_of_val(&session);
    let limits = net::drive::Limits::default();
    let future = net::drive::drive(net::Stream::clear(tcp), None, session, limits, shutdown);
    let size = size_of_val(&future);
    assert!(size < 2048 + 3 * own, "{size} bytes, of which the session {own}");
}

#[tokio::test]
async fn ipv6_stands_beside_ipv4_or_takes_it_along() {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let mut row = proto::service::Listener {
        name: "talk".to_owned(),
        protocol: proto::service::Protocol::Pop3,
        protection: Protection::StartTls,
        either_way: false,
        addresses: vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
        port: 0,
    };
    let both = listen::bind(&row).unwrap();
    assert_eq!(both.addresses().len(), 2);
    assert_eq!(both.addresses()[0].port(), both.addresses()[1].port());

    row.addresses = vec![IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let dual = listen::bind(&row).unwrap();
    let port = dual.addresses()[0].port();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok());

    row.port = port;
    let error = listen::bind(&row).unwrap_err().to_string();
    assert!(error.contains("another program has port"), "{error}");
}
