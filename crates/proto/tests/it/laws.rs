//! Laws that hold for any bytes; the fuzzer's targets state the same ones.

use crate::smtp::{Setup, Talk, tls};
use proptest::prelude::*;
use proto::machine::{Machine, Tick};
use proto::message::intake;
use proto::proof::How;
use proto::sasl::Mechanism;
use proto::smtp::client::{Client, Event, Limits, Way};
use proto::smtp::{Mail, Path, Rcpt, Role};

const LINES: [&[u8]; 34] = [
    b"EHLO client.test\r\n",
    b"LHLO client.test\r\n",
    b"HELO x\r\n",
    b"MAIL FROM:<a@b.test>\r\n",
    b"MAIL FROM:<> BODY=BINARYMIME SIZE=30\r\n",
    b"MAIL FROM:<\xc3\xbc@b.test> SMTPUTF8\r\n",
    b"RCPT TO:<a@example.test>\r\n",
    b"RCPT TO:<later@example.test>\r\n",
    b"RCPT TO:<full@example.test> NOTIFY=NEVER\r\n",
    b"RCPT TO:<a@other.test>\r\n",
    b"DATA\r\n",
    b"a line\r\n",
    b"..dots\r\n",
    b".\r\n",
    b"\n.\n",
    b"\r\n.\r\n",
    b"\r.\r",
    b"BDAT 5\r\nab\r\nc",
    b"BDAT 3\r\nab\r",
    b"BDAT 2 LAST\r\n\nb",
    b"BDAT 0 LAST\r\n",
    b"BDAT 700\r\n",
    b"BDAT x\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"HELP\r\n",
    b"VRFY a\r\n",
    b"STARTTLS\r\n",
    b"AUTH PLAIN AGFubkBleGFtcGxlLnRlc3QAc2VjcmV0\r\n",
    b"AUTH LOGIN\r\n",
    b"AGFubkBleGFtcGxlLnRlc3QAc2VjcmV0\r\n",
    b"*\r\n",
    b"QUIT\r\n",
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => (0..LINES.len()).prop_map(|i| LINES[i].to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..12),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn setup(role: Role, inside: bool, normalise: bool) -> Setup {
    let mut setup = Setup::new(role);
    setup.offer.normalise_newlines = normalise;
    setup.mechanisms_inside = vec![Mechanism::Plain, Mechanism::Login];
    if inside {
        setup.security = tls(How::Implicit);
        setup.offer.mechanisms = setup.mechanisms_inside.clone();
    }
    setup.limits.line_bytes_max = 80;
    setup.limits.auth_line_bytes_max = 100;
    setup.limits.message_bytes_max = 300;
    setup.limits.errors_max = 12;
    setup.limits.recipients_max = 3;
    setup
}

/// `PROPTEST_CASES` asks for more than the usual number.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(1000), failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    /// Any bytes in any cuts: no panic, bounded memory, the same conversation as whole.
    #[test]
    fn smtp_server_cuts_do_not_matter(
        input in bytes(),
        cuts in proptest::collection::vec(1..30_usize, 1..8),
        role in prop_oneof![Just(Role::Exchange), Just(Role::Submission), Just(Role::Lmtp)],
        inside: bool,
        normalise: bool,
    ) {
        let mut whole = Talk::new(setup(role, inside, normalise));
        whole.feed(&input);
        let mut cut = Talk::new(setup(role, inside, normalise));
        cut.feed(b"");
        let mut rest = &input[..];
        for size in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, tail) = rest.split_at((*size).min(rest.len()));
            cut.feed(piece);
            rest = tail;
        }
        prop_assert_eq!(&whole.events, &cut.events);
        prop_assert_eq!(whole.said.escape_ascii().to_string(), cut.said.escape_ascii().to_string());
        // What the machine leaves in the input is less than its longest line.
        prop_assert!(cut.held_max <= 100 + 30 + 2048, "{} octets held", cut.held_max);
        // Every line said is a reply line of at most 512 octets.
        for line in whole.said.split_inclusive(|b| *b == b'\n') {
            prop_assert!(line.len() <= 512 && line.ends_with(b"\r\n") && line[..3].iter().all(u8::is_ascii_digit));
        }
    }

    /// A server that says anything, in any cuts: the client does not panic and ends the same way.
    #[test]
    fn smtp_client_cuts_do_not_matter(
        input in replies(),
        cuts in proptest::collection::vec(1..20_usize, 1..6),
    ) {
        let whole = client(&input, &[usize::MAX]);
        prop_assert_eq!(client(&input, &cuts), whole);
    }

    /// What is sent behind DATA ends where it was meant to and nowhere else.
    #[test]
    fn content_comes_out_as_it_went_in(
        content in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..200),
        cut in 1..20_usize,
    ) {
        let sent = crate::pairs::through_data(&content, cut);
        prop_assert_eq!(sent.escape_ascii().to_string(), mended(&content).escape_ascii().to_string());
    }

    /// The intake's result does not depend on cuts, and without submission nothing is lost.
    #[test]
    fn intake_cuts_do_not_matter(
        message in "(((From|Bcc|X-Y|Date|Received)(: |:|)[a-z@.<>, ]{0,12}(\r\n|\n|\r\n |))|(\r\n)|([a-z: ]{0,9})){0,12}",
        cut in 1..9_usize,
        submission: bool,
    ) {
        let rules = || intake::Rules {
            header_bytes_max: 90,
            submission: submission.then(|| intake::Submission { message_id: "<i@h>".into(), date: "D".into() }),
            ..intake::Rules::default()
        };
        let whole = taken_in(rules(), message.as_bytes(), usize::MAX);
        prop_assert_eq!(&taken_in(rules(), message.as_bytes(), cut), &whole);
        if let (Ok((out, _)), false) = (&whole, submission) {
            // At most the empty line was added.
            prop_assert!(out.len() == message.len() || out.len() == message.len() + 2);
        }
    }

    /// Text of any kind: no panic, and an address that is read is written so that it reads the same.
    #[test]
    fn addresses_and_mailboxes(text in "\\PC{0,40}", part in "[a-z\"@.<>,:;() \\\\]{0,30}") {
        for text in [text, part] {
            let found = proto::message::header::mailboxes(&text);
            prop_assert!(found.iter().map(String::len).sum::<usize>() <= 4 * text.len() + 8);
            if let Ok(address) = proto::address::Address::parse(&text) {
                prop_assert_eq!(proto::address::Address::parse(&address.to_string()), Ok(address));
            }
        }
    }
}

fn replies() -> impl Strategy<Value = Vec<u8>> {
    const SAID: [&[u8]; 14] = [
        b"220 mx ESMTP\r\n",
        b"250-mx\r\n250-PIPELINING\r\n250 SIZE 10\r\n",
        b"250-mx\r\n250-CHUNKING\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n",
        b"250 2.1.0 ok\r\n",
        b"251 elsewhere\r\n",
        b"354 go\r\n",
        b"550-5.1.1 no\r\n550 5.1.1 body\r\n",
        b"452 4.3.1 full\r\n",
        b"421 4.3.2 bye\r\n",
        b"502 what\r\n",
        b"334 AAAA\r\n",
        b"221 bye\r\n",
        b"25",
        b"\r\n",
    ];
    let piece = prop_oneof![
        12 => (0..SAID.len()).prop_map(|i| SAID[i].to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

/// Everything that a client with one message to send tells and says.
fn client(input: &[u8], cuts: &[usize]) -> (Vec<Event>, String) {
    let mut client = Client::new(Role::Exchange, "c.test", Limits::default(), tls(How::Implicit), Tick(0));
    let (mut events, mut rest, mut held) = (Vec::new(), input, Vec::new());
    for cut in cuts.iter().cycle() {
        let (piece, tail) = rest.split_at((*cut).min(rest.len()));
        held.extend_from_slice(piece);
        rest = tail;
        loop {
            let (used, event) = client.receive(&held, Tick(0));
            held.drain(..used);
            match &event {
                Some(Event::Ready(can)) => {
                    let path = Path { local: "a".into(), domain: "b.test".into() };
                    let rcpt = Rcpt { to: path, notify: None, original: None };
                    let way = if can.chunking { Way::Chunks } else { Way::Data };
                    let _ = client.send(&Mail::default(), &[rcpt.clone(), rcpt], way);
                }
                Some(Event::Content) => {
                    client.content(b"x\r\n.");
                    client.end_content();
                }
                Some(Event::Delivered(..) | Event::NotDelivered(_)) => client.quit(),
                _ => {}
            }
            let quiet = event.is_none();
            events.extend(event);
            if quiet {
                break;
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    let said = client.output().escape_ascii().to_string();
    (events, said)
}

/// Lone CR and LF as CRLF, and a CRLF at the end.
fn mended(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = content;
    loop {
        rest = match rest {
            [] => break,
            [b'\r', b'\n', rest @ ..] | [b'\r' | b'\n', rest @ ..] => {
                out.extend_from_slice(b"\r\n");
                rest
            }
            [other, rest @ ..] => {
                out.push(*other);
                rest
            }
        };
    }
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

type Taken = Result<(Vec<u8>, intake::Summary), intake::Problem>;

fn taken_in(rules: intake::Rules, message: &[u8], cut: usize) -> Taken {
    let (mut intake, mut all) = (intake::Intake::new(rules), Vec::new());
    for piece in message.chunks(cut) {
        let rest = intake.feed(piece, &mut all)?;
        all.extend_from_slice(rest);
    }
    let summary = intake.finish(&mut all)?;
    Ok((all, summary))
}
