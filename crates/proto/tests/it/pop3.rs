//! POP3: the transcripts of `transcripts/pop3`, the matrix of the gate, and
//! arbitrary bytes, all against the bare machine with a small fixed maildrop.

use proptest::prelude::*;
use proto::login;
use proto::machine::{Machine, Tick};
use proto::pop3::client::{self, Client, Expect};
use proto::pop3::gate::{self, State};
use proto::pop3::server::Code;
use proto::pop3::{Event, Refusal};
use proto::proof::How;
use std::path::Path;
use testkit::login::USER;
use testkit::pop3::{MESSAGES, Setup, Talk};
use testkit::script::{self, Peer};

#[test]
fn transcripts_hold_whole_and_in_every_cut() {
    script::hold_all("pop3", 30, |script| Ok(Talk::new(Setup::of(script)?)));
}

/// What the machine does with `word` on a fresh connection in `state`.
fn outcome(row: &gate::Row, state: State, setup: &Setup) -> String {
    let mut talk = Talk::new(setup.clone());
    if state != State::ExpectLogin && !talk_in(&mut talk, state) {
        return "(cannot be)".to_owned();
    }
    talk.said.clear();
    talk.server.output().clear();
    let arguments = match row.name {
        "AUTH" => " SCRAM-SHA-256",
        "USER" => " ann@example.test",
        "PASS" => " x",
        "DELE" | "RETR" => " 1",
        "TOP" => " 1 0",
        _ => "",
    };
    let line = format!("{}{arguments}\r\n", row.name);
    match talk.server.receive(line.as_bytes(), Tick(0)).1 {
        Some(Event::Refused(Refusal::Login(login::Refusal::NeedsTls { exposed: true }))) => {
            "needs TLS, exposed".to_owned()
        }
        Some(Event::Refused(Refusal::Login(login::Refusal::NeedsTls { exposed: false }))) => {
            "needs TLS".to_owned()
        }
        Some(Event::Refused(Refusal::Login(login::Refusal::NotOffered))) => "not offered".to_owned(),
        Some(Event::Refused(_)) => {
            String::from_utf8_lossy(talk.server.output()).trim_end().trim_start_matches("-ERR ").to_owned()
        }
        _ => "yes".to_owned(),
    }
}

/// Brings a conversation into a state; false if that is impossible in this set-up.
fn talk_in(talk: &mut Talk, state: State) -> bool {
    talk.feed(format!("USER {USER}\r\n").as_bytes());
    if state == State::ExpectPass {
        return talk.said.ends_with(b"+OK send PASS\r\n");
    }
    talk.server.logged_in("logged in");
    true
}

#[test]
fn gate_matrix() {
    let mut clear = Setup::new(How::Clear);
    let mut allowed = Setup::new(How::Clear);
    allowed.policy.clear_allowed = true;
    clear.stls = true;
    let tls = Setup::new(How::Implicit);
    let mut challenge = Setup::new(How::Implicit);
    challenge.policy.password_sent = false;
    let setups = [
        ("clear", clear),
        ("clear, login allowed", allowed),
        ("TLS", tls),
        ("TLS, challenge only", challenge),
    ];
    let mut matrix = String::from("# word | security | ExpectLogin | ExpectPass | Transaction\n");
    for row in &gate::TABLE {
        for (name, setup) in &setups {
            let columns = State::ALL.map(|state| outcome(row, state, setup));
            matrix += &format!("{} | {name} | {}\n", row.name, columns.join(" | "));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pop3-gate.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &matrix).unwrap();
    }
    assert_eq!(
        matrix,
        std::fs::read_to_string(&path).unwrap(),
        "set UPDATE_GOLDEN=1 after reading the difference"
    );
}

#[test]
fn a_body_that_breaks_off_has_no_dot() {
    let mut talk = Talk::new(Setup::new(How::Implicit));
    talk.server.logged_in("in");
    talk.server.output().clear();
    assert!(matches!(talk.server.receive(b"RETR 1\r\n", Tick(0)).1, Some(Event::Retr(1))));
    talk.server.begin("message");
    // A field is held until it is whole; a body goes out as it comes.
    assert!(talk.server.message(b"\r\nhalf a li"));
    talk.server.break_off();
    assert_eq!(talk.server.output().as_slice(), b"+OK message\r\n\r\nhalf a li");
    assert!(talk.server.ended());
}

#[test]
fn the_time_of_an_answer_is_not_silence() {
    let mut talk = Talk::new(Setup::new(How::Implicit));
    talk.server.logged_in("in");
    assert!(talk.server.receive(b"STAT\r\n", Tick(0)).1.is_some());
    assert_eq!(talk.server.deadline(), Tick(u64::MAX), "our turn");
    talk.server.ok("0 0");
    let late = Tick(10_000_000);
    talk.server.timeout(late);
    assert!(!talk.server.ended());
    assert_eq!(talk.server.deadline(), late.plus_seconds(600));
}

#[test]
fn pending_event_stops_the_input() {
    let mut talk = Talk::new(Setup::new(How::Implicit));
    talk.server.logged_in("in");
    let (used, event) = talk.server.receive(b"STAT\r\nNOOP\r\n", Tick(0));
    assert!(matches!(event, Some(Event::Stat)));
    assert_eq!(used, 6);
    assert_eq!(talk.server.receive(b"NOOP\r\n", Tick(0)).0, 0);
    assert!(!talk.server.idle());
}

#[test]
fn shutdown_says_that_a_retry_will_do() {
    let mut talk = Talk::new(Setup::new(How::Implicit));
    talk.server.output().clear();
    talk.server.shutdown();
    assert_eq!(talk.server.output().as_slice(), b"-ERR [SYS/TEMP] service restarts, try again shortly\r\n");
    assert!(talk.server.ended());
}

#[test]
fn reply_texts_stay_on_one_bounded_line() {
    let mut talk = Talk::new(Setup::new(How::Implicit));
    talk.server.output().clear();
    talk.server.ok("a\r\n+OK b");
    assert_eq!(talk.server.output().as_slice(), b"+OK a  +OK b\r\n");
    talk.server.output().clear();
    talk.server.err(Some(Code::SysPerm), &"ä".repeat(400));
    assert!(talk.server.output().len() <= 512);
    assert!(std::str::from_utf8(talk.server.output()).is_ok());
}

/// Our client against our server, through any cuts.
#[test]
fn client_and_server_understand_each_other() {
    for step in [1, 2, 5, 1000] {
        let mut talk = Talk::new(Setup::new(How::Implicit));
        let mut client = Client::new(client::Limits::default(), true, Tick(0));
        for (line, expect) in [
            ("USER ann@example.test", Expect::Line),
            ("PASS secret word", Expect::Line),
            ("RETR 1", Expect::Body),
            ("TOP 9 0", Expect::Body),
            ("UIDL", Expect::Body),
            ("QUIT", Expect::Line),
        ] {
            assert!(client.command(line, expect));
        }
        let commands = std::mem::take(client.output());
        talk.said.append(talk.server.output());
        commands.chunks(step).for_each(|piece| talk.feed(piece));
        let (mut replies, mut data) = (Vec::new(), Vec::new());
        for piece in talk.said.chunks(step) {
            let mut rest = piece;
            while !rest.is_empty() {
                let (used, event) = client.receive(rest, Tick(0));
                rest = &rest[used..];
                match event {
                    Some(client::Event::Reply(reply)) => replies.push(reply.ok),
                    Some(client::Event::Data(bytes)) => data.extend_from_slice(bytes),
                    Some(client::Event::End) | None => {}
                    Some(other) => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(replies, [true, true, true, true, false, true, true]);
        let wanted = format!("{}1 uid-1\r\n2 uid-2\r\n3 uid-3\r\n", MESSAGES[0]);
        assert_eq!(String::from_utf8(data).unwrap(), wanted);
        assert!(client.idle() && talk.server.ended());
    }
}

/// Words that reach all corners, between arbitrary bytes.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(b"USER ann@example.test\r\n".to_vec()),
        Just(b"PASS secret word\r\n".to_vec()),
        Just(b"AUTH PLAIN\r\n".to_vec()),
        Just(b"AUTH PLAIN =\r\n".to_vec()),
        Just(b"AUTH LOGIN YQ==\r\n".to_vec()),
        Just(b"*\r\n".to_vec()),
        Just(b"YQ==\r\n".to_vec()),
        Just(b"RETR 1\r\n".to_vec()),
        Just(b"TOP 2 1\r\n".to_vec()),
        Just(b"CAPA\n".to_vec()),
        Just(b"LIST 99999999999\r\n".to_vec()),
        Just(b"UIDL\r\n".to_vec()),
        Just(b"LANG el\r\n".to_vec()),
        Just(b"UTF8\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::collection::vec(Just(b'A'), 250..700),
    ];
    proptest::collection::vec(line, 0..30).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn any_bytes_in_any_cuts(input in hostile(), step in 1usize..50, tls in any::<bool>()) {
        testkit::laws::pop3_server(&input, &[step], if tls { How::Implicit } else { How::Clear });
    }
}
