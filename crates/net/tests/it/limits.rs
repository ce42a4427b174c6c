//! Limits over real sockets: connections of one network, and descriptors.

use crate::talk::{Keys, Plan, Seen, ask, line};
use net::drive::End;
use net::listen;
use proto::service::Protection;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

/// All of 127/8 is loopback, so that one machine can be several networks.
async fn connect_from(own: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(own)), 0)).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn one_network_may_not_take_every_place() {
    let keys = Keys::ecdsa();
    let connections =
        listen::Limits { network_connections_max: 2, loopback_exempt: false, ..listen::Limits::default() };
    let mut service = keys.run(Plan { connections, ..Plan::new(Protection::StartTls) });
    let mut first = connect_from([127, 0, 7, 1], service.address).await;
    assert_eq!(line(&mut first).await, "220 hello");
    let mut second = connect_from([127, 0, 7, 200], service.address).await;
    assert_eq!(line(&mut second).await, "220 hello");
    // Another address of the same /24.
    let mut third = connect_from([127, 0, 7, 3], service.address).await;
    assert_eq!(line(&mut third).await, "421 busy");
    assert!(matches!(service.saw().await, Seen::TurnedAway(listen::Full::Network)));
    // The neighbours are not concerned.
    let mut neighbour = connect_from([127, 0, 8, 3], service.address).await;
    assert_eq!(line(&mut neighbour).await, "220 hello");
    assert_eq!(service.gate.open_connections(), 3);

    assert_eq!(ask(&mut second, "QUIT").await, "221 bye");
    drop(second);
    assert!(matches!(service.ended().await, End::Finished));
    let freed = async {
        while service.gate.open_connections() > 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), freed).await.expect("the place is free");
    let mut again = connect_from([127, 0, 7, 3], service.address).await;
    assert_eq!(line(&mut again).await, "220 hello");
    assert_eq!(ask(&mut first, "ECHO still here").await, "still here");
}

#[tokio::test]
async fn our_own_host_is_no_network() {
    let keys = Keys::ecdsa();
    let connections = listen::Limits { network_connections_max: 1, ..listen::Limits::default() };
    let service = keys.run(Plan { connections, ..Plan::new(Protection::StartTls) });
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut tcp = TcpStream::connect(service.address).await.unwrap();
        assert_eq!(line(&mut tcp).await, "220 hello");
        open.push(tcp);
    }
}

/// Set in the process that runs out of descriptors: a limit is the whole process's, and the other tests
/// of this program need theirs.
const SMALL: &str = "SEALPOST_TEST_FEW_DESCRIPTORS";
const TEST: &str = "limits::out_of_descriptors_it_logs_goes_on_and_serves_again";
/// Connections for which the small process still has descriptors.
const ROOM: usize = 4;

#[tokio::test]
async fn out_of_descriptors_it_logs_goes_on_and_serves_again() {
    if std::env::var_os(SMALL).is_some() {
        return serve_with_few_descriptors().await;
    }
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(SMALL, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async |wanted: &str| loop {
        let line = tokio::time::timeout(Duration::from_secs(60), told.next_line()).await;
        let line = line.expect("told in time").unwrap().expect("the child lives");
        if let Some(at) = line.find(wanted) {
            return line[at + wanted.len()..].trim().to_owned();
        }
    };
    let address: SocketAddr = next("ADDRESS ").await.parse().unwrap();

    let mut open = Vec::new();
    for _ in 0..ROOM {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        assert_eq!(line(&mut tcp).await, "220 hello");
        open.push(tcp);
    }
    // The kernel takes it; the service cannot, and the operator is told what to raise.
    let mut waiting = TcpStream::connect(address).await.unwrap();
    let logged = next("cannot accept connections: ").await;
    assert!(logged.contains("LimitNOFILE"), "{logged}");
    for tcp in &mut open {
        assert_eq!(ask(tcp, "ECHO still here").await, "still here");
    }
    let mut byte = [0; 1];
    let silence = tokio::time::timeout(Duration::from_millis(300), waiting.peek(&mut byte)).await;
    assert!(silence.is_err(), "{silence:?}");

    assert_eq!(ask(&mut open[0], "QUIT").await, "221 bye");
    open.remove(0);
    assert_eq!(line(&mut waiting).await, "220 hello");
    assert_eq!(ask(&mut waiting, "QUIT").await, "221 bye");

    // The end of its input ends the child.
    drop(child.stdin.take());
    let status = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.expect("it ends").unwrap();
    assert!(status.success(), "{status}");
}

/// Tells its address, serves with room for [`ROOM`] connections, and ends with its input.
async fn serve_with_few_descriptors() {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stdout).init();
    let keys = Keys::ecdsa();
    let service = keys.run(Plan::new(Protection::StartTls));
    // The runtime opens what it needs before the room is measured.
    let mut first = TcpStream::connect(service.address).await.unwrap();
    assert_eq!(line(&mut first).await, "220 hello");
    drop(first);
    while service.gate.open_connections() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The limit is one above the highest number that is given out, whatever lies above it was inherited.
    let room: Vec<_> = (0..ROOM).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    let limit = room.iter().map(|file| file.as_raw_fd() as u64 + 1).max();
    drop(room);
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: getrlimit(Resource::Nofile).maximum })
        .unwrap();
    tracing::info!("ADDRESS {}", service.address);
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    end.await.unwrap();
}
