//! IMAP: the transcripts of `transcripts/imap`, the matrix of the gate, and arbitrary bytes,
//! all against the bare machine with two small fixed mailboxes.

use proptest::prelude::*;
use proto::imap::gate::{self, Door, Numbers, State, Verdict};
use proto::imap::server::Server;
use proto::imap::{Append, Event, Refusal};
use proto::login;
use proto::machine::{Machine, Tick};
use proto::proof::How;
use std::fmt::Write as _;
use std::path::Path;
use testkit::imap::{Setup, Talk, ready};
use testkit::script;

#[test]
fn transcripts_hold_whole_and_in_every_cut() {
    script::hold_all("imap", 40, |script| Ok(Talk::new(Setup::of(script)?)));
}

#[test]
fn gate_matrix() {
    let door = |encrypted, password: bool, sasl: bool| Door {
        login: login::Door { encrypted, password, sasl, starttls: true },
        compress: true,
        compressed: false,
        uid_only: false,
    };
    let bare = login::Door { encrypted: false, password: false, sasl: false, starttls: false };
    let doors = [
        ("clear", door(false, false, false)),
        ("clear, login allowed", door(false, true, true)),
        ("clear, no certificate", Door { login: bare, ..door(false, false, false) }),
        ("TLS", door(true, true, true)),
        ("TLS, challenge only", door(true, false, true)),
        ("TLS, no COMPRESS", Door { compress: false, ..door(true, true, true) }),
        ("TLS, compressed", Door { compressed: true, ..door(true, true, true) }),
        ("TLS, UIDONLY", Door { uid_only: true, ..door(true, true, true) }),
    ];
    let mut matrix = String::from(
        "# word | security | NotAuthenticated | Authenticated | Selected | EXPUNGE may be told\n",
    );
    for row in &gate::TABLE {
        for (name, door) in &doors {
            let columns = State::ALL.map(|state| match gate::check(row, state, *door) {
                Verdict::Go => "yes".to_owned(),
                Verdict::Shut(why) => format!("{why:?}"),
                other => format!("{other:?}"),
            });
            let held = if row.numbers == Numbers::SequenceHeld { "no" } else { "yes" };
            let _ = writeln!(matrix, "{} | {name} | {} | {held}", row.name, columns.join(" | "));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/imap-gate.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &matrix).unwrap();
    }
    assert_eq!(
        matrix,
        std::fs::read_to_string(&path).unwrap(),
        "set UPDATE_GOLDEN=1 after reading the difference"
    );
}

/// Logged in, with nothing said.
fn inside() -> Server {
    inside_of(&Setup::new(How::Implicit))
}

fn inside_of(setup: &Setup) -> Server {
    let mut server = setup.server(setup.security(), Tick(0));
    assert!(matches!(server.receive(b"a LOGIN b c\r\n", Tick(0)).1, Some(Event::Login(_))));
    server.logged_in(ready("in"));
    server.output().clear();
    server
}

fn said(server: &mut Server) -> String {
    String::from_utf8(std::mem::take(server.output())).unwrap()
}

/// The command of each row, whole, in a state where the gate lets it pass: the machine answers it or
/// hands it up, and whatever it does it has one tagged answer.
#[test]
fn each_word_of_the_gate_is_known_to_the_machine() {
    for row in &gate::TABLE {
        let state = *row.states.last().unwrap();
        let mut setup = Setup::new(if row.name == "STARTTLS" { How::Clear } else { How::Implicit });
        setup.policy.clear_allowed = true;
        let mut server = setup.server(setup.security(), Tick(0));
        if state != State::NotAuthenticated {
            server = inside_of(&setup);
            server.set_selected(state == State::Selected);
        }
        server.output().clear();
        // With arguments that are right for none: what matters is that no word is unknown.
        let line = format!("t {} (((\r\n", row.name);
        let (used, event) = server.receive(line.as_bytes(), Tick(0));
        assert_eq!(used, line.len());
        let said = said(&mut server);
        assert!(matches!(event, Some(Event::Refused(Refusal::Syntax))), "{}: {event:?} {said}", row.name);
        assert!(
            said.starts_with("t BAD expected ") && !said.contains("unknown command"),
            "{}: {said}",
            row.name
        );
    }
}

#[test]
fn a_message_passes_without_being_kept() {
    const OCTETS: usize = 300 << 20;
    let mut setup = Setup::new(How::Implicit);
    setup.append_bytes_max = u64::MAX;
    let mut server = inside_of(&setup);
    let line = format!("a APPEND INBOX (\\Seen) ~{{{OCTETS}+}}\r\n");
    assert!(
        matches!(server.receive(line.as_bytes(), Tick(0)), (used, Some(Event::Append(Append::Begin { .. }))) if used == line.len())
    );
    server.append_go();
    assert!(matches!(server.receive(b"", Tick(0)).1, Some(Event::Append(Append::Message { .. }))));
    server.append_go();
    let text = server.receive(b"", Tick(0)).1;
    assert!(
        matches!(text, Some(Event::Append(Append::Text { binary: true, bytes })) if bytes == OCTETS as u64)
    );
    server.append_go();
    let piece = vec![0; 1 << 20];
    for _ in 0..OCTETS >> 20 {
        let (used, event) = server.receive(&piece, Tick(0));
        let Some(Event::Append(Append::Data(slice))) = event else { panic!("{event:?}") };
        assert_eq!((used, slice.as_ptr()), (piece.len(), piece.as_ptr()), "a slice of the input");
        assert!(server.kept_bytes() < 200);
    }
    assert!(matches!(server.receive(b"\r\n", Tick(0)), (2, Some(Event::Append(Append::MessageEnd)))));
    assert!(matches!(server.receive(b"", Tick(0)).1, Some(Event::Append(Append::End))));
    server.ok(None, ready("done"));
    assert_eq!(said(&mut server), "a OK done\r\n", "nothing was said before");
    assert!(server.idle());
}

#[test]
fn a_password_is_not_asked_for_in_clear() {
    let setup = Setup::new(How::Clear);
    let mut server = setup.server(setup.security(), Tick(0));
    server.output().clear();
    for (line, exposed) in [
        ("a LOGIN {3}\r\n", false),
        ("a LOGIN ann {3}\r\n", false),
        ("a LOGIN {3+}\r\nann secret\r\n", true),
        ("a LOGIN ann secret\r\n", true),
        ("a LOGIN\r\n", false),
        ("a AUTHENTICATE PLAIN\r\n", false),
        ("a AUTHENTICATE PLAIN AGEAYg==\r\n", true),
        ("a AUTHENTICATE SCRAM-SHA-256 biws\r\n", false),
        ("a AUTHENTICATE XOAUTH2 dG9rZW4=\r\n", true),
    ] {
        let mut input = line.as_bytes();
        let event = loop {
            let (used, event) = server.receive(input, Tick(0));
            input = &input[used..];
            if event.is_some() || used == 0 {
                break event;
            }
        };
        let Some(Event::Refused(refusal)) = event else { panic!("{line}: {event:?}") };
        assert_eq!(refusal, Refusal::Login(login::Refusal::NeedsTls { exposed }), "{line}");
        assert_eq!(
            said(&mut server),
            "a NO [PRIVACYREQUIRED] Encryption required: ask your provider for a port with SSL/TLS\r\n"
        );
    }
}

#[test]
fn the_time_of_an_answer_is_not_silence() {
    let mut server = inside();
    assert!(server.receive(b"a NOOP\r\n", Tick(0)).1.is_some());
    assert_eq!(server.deadline(), Tick(u64::MAX), "our turn");
    server.ok(None, ready("done"));
    let late = Tick(10_000_000);
    server.timeout(late);
    assert!(!server.ended());
    assert_eq!(server.deadline(), late.plus_seconds(1800));
}

#[test]
fn octets_one_by_one_are_silence_but_those_of_a_message_are_not() {
    let mut server = inside();
    let _ = server.receive(b"", Tick(0));
    let from = server.deadline();
    assert!(matches!(server.receive(b"a NO", Tick(5000)), (4, None)));
    assert_eq!(server.deadline(), from, "half a line is silence");
    let mut server = inside();
    assert!(server.receive(b"a APPEND INBOX {5+}\r\n", Tick(0)).1.is_some());
    for _ in 0..3 {
        server.append_go();
        let _ = server.receive(b"", Tick(0));
    }
    assert!(server.receive(b"x", Tick(7000)).1.is_some());
    assert_eq!(server.deadline(), Tick(7000).plus_seconds(1800));
}

#[test]
fn a_pending_event_stops_the_input() {
    let mut server = inside();
    let (used, event) = server.receive(b"a NOOP\r\nb NOOP\r\n", Tick(0));
    assert!(matches!(event, Some(Event::Command(_))));
    assert_eq!(used, 8);
    assert_eq!(server.tag(), "a");
    assert_eq!(server.receive(b"b NOOP\r\n", Tick(0)).0, 0);
    assert!(!server.idle());
    server.ok(None, ready("done"));
    assert!(server.idle());
    assert_eq!(said(&mut server), "a OK done\r\n");
}

#[test]
fn a_graceful_stop_need_not_wait_for_idle() {
    let mut server = inside();
    assert!(server.receive(b"a IDLE\r\n", Tick(0)).1.is_some());
    assert!(!server.idle());
    server.idle_begin();
    assert!(server.idle() && server.is_idling() && server.may_expunge());
    server.shutdown();
    let stopping = "+ idling\r\n* BYE [UNAVAILABLE] service restarts, try again shortly\r\n";
    assert_eq!(said(&mut server), stopping);
    assert!(server.ended());
}

#[test]
fn answers_stay_on_one_line() {
    let mut server = inside();
    assert!(server.receive(b"a NOOP\r\n", Tick(0)).1.is_some());
    server.untagged_no(None, ready("one\r\n* two"));
    server.no(None, ready("a\r\nb OK\0c"));
    assert_eq!(said(&mut server), "* NO one  * two\r\na NO a  b OK c\r\n");
}

/// RFC 5255 3.5: UTF-8 in texts only after a language was chosen.
#[test]
fn names_in_texts_are_ascii_before_a_language_is_chosen() {
    let mut server = inside();
    for (tag, name) in [("i-default", "J??rg"), ("en", "J\u{f6}rg"), ("de", "J\u{f6}rg"), ("*", "J??rg")] {
        server.set_language(tag);
        server.untagged_ok(None, ready("J\u{f6}rg"));
        assert_eq!(said(&mut server), format!("* OK {name}\r\n"), "{tag}");
    }
}

#[test]
fn refused_while_its_octets_come() {
    let mut server = inside();
    let command = b"a APPEND INBOX {8+}\r\n1234";
    let (used, event) = server.receive(command, Tick(0));
    assert!(matches!(event, Some(Event::Append(Append::Begin { .. }))));
    for _ in 0..2 {
        server.append_go();
        assert!(server.receive(&command[used..], Tick(0)).1.is_some());
    }
    server.append_go();
    assert!(matches!(
        server.receive(&command[used..], Tick(0)).1,
        Some(Event::Append(Append::Data(b"1234")))
    ));
    server.append_refuse(None, ready("no room"));
    assert_eq!(said(&mut server), "", "the rest is still on its way");
    let rest = b"b N\n {4+}\r\nc N\n\r\nd CAPABILITY\r\n";
    let (used, event) = server.receive(rest, Tick(0));
    assert!(event.is_none() && used == rest.len(), "{event:?}");
    assert!(said(&mut server).starts_with("a NO no room\r\n* CAPABILITY "));
}

/// Words that reach all corners, between arbitrary bytes.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let lines: [&'static [u8]; 38] = [
        b"a LOGIN ann@example.test \"secret word\"\r\n",
        b"a LOGIN {16}\r\nann@example.test {11+}\r\nsecret word\r\n",
        b"a AUTHENTICATE PLAIN\r\n",
        b"a AUTHENTICATE PLAIN AGFubkBleGFtcGxlLnRlc3QAc2VjcmV0IHdvcmQ=\r\n",
        b"AGFubkBleGFtcGxlLnRlc3QAc2VjcmV0IHdvcmQ=\r\n",
        b"*\r\n",
        b"b CAPABILITY\n",
        b"b NOOP\r\n",
        b"b SELECT INBOX\r\n",
        b"b SELECT {5+}\r\nINBOX\r\n",
        b"b IDLE\r\n",
        b"DONE\r\n",
        b"b ENABLE UIDONLY UTF8=ACCEPT\r\n",
        b"b UNAUTHENTICATE\r\n",
        b"b UNSELECT\r\n",
        b"b FETCH 1:* FLAGS\r\n",
        b"b UID FETCH 10 (FLAGS)\r\n",
        b"b SEARCH TEXT {3+}\r\nabc\r\n",
        b"c APPEND INBOX {7+}\r\n",
        b"c APPEND INBOX (\\Seen) {10}\r\n",
        b"c APPEND {5+}\r\nINBOX {7}\r\n",
        b"c APPEND Archive CATENATE (TEXT {4+}\r\n",
        b" URL \"/INBOX;UID=1\" TEXT {2}\r\n",
        b" URL {3}\r\n",
        b"c APPEND Failing ~{9+}\r\n",
        b"c REPLACE 1 INBOX {1500+}\r\n",
        b"c APPEND INBOX UTF8 (~{3+}\r\n",
        b"abc)\r\n",
        b")\r\n",
        b" {3+}\r\n",
        b"message",
        b"\r\n",
        b"{999+}\r\n",
        b"{18446744073709551615+}\r\n",
        b"c STARTTLS\r\n",
        b"c LOGOUT\r\n",
        b"c COMPRESS DEFLATE\r\n",
        b"c \0\r\n",
    ];
    let line = prop_oneof![
        8 => proptest::sample::select(lines.to_vec()).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => proptest::collection::vec(Just(b'A'), 150..400),
    ];
    proptest::collection::vec(line, 0..30).prop_map(|lines| lines.concat())
}

/// `PROPTEST_CASES` asks for more than the usual number.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(1000), failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_in_any_cuts(
        input in hostile(),
        cuts in proptest::collection::vec(1..40_usize, 1..6),
        tls: bool,
        logged_in: bool,
    ) {
        testkit::laws::imap_server(&input, &cuts, if tls { How::Implicit } else { How::Clear }, logged_in);
    }
}
