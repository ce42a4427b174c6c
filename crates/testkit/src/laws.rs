//! Laws that hold for any bytes, for the property tests and the fuzzer alike.
//!
//! The first of them holds for every machine: however the input is cut, the
//! conversation is the same; memory stays within the limits; nothing panics.
//! Each function panics where its law is broken.

use crate::imap;
use crate::pop3;
use crate::script::Peer;
use crate::smtp::{self, Setup, tls};
use proto::machine::{Machine, Tick};
use proto::message::{header, intake};
use proto::pop3::client as pop3_machine;
use proto::proof::{How, Secret, Security, Tls, TlsVersion};
use proto::sasl::{self, Answer, CramKey, Mechanism, Question, ScramHash, ScramKeys, Step};
use proto::smtp::client::{Client, Event, Limits, Way};
use proto::smtp::{Mail, Path, Rcpt, Role};
use std::sync::OnceLock;

/// Octets of output that one piece of input of a few octets can call forth.
const OUTPUT_BYTES_MAX: usize = 2048;
/// Octets of a line that our SMTP client reads at most (a SASL challenge and its code).
const SMTP_REPLY_BYTES_MAX: usize = 12_288 + 8;
const USER: &str = "ann@example.test";
const PASSWORD: &[u8] = b"secret";

/// A server of SMTP with limits that short inputs reach.
#[must_use]
pub fn smtp_setup(role: Role, inside: bool, normalise: bool) -> Setup {
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

/// A client that says anything to our SMTP server, in cuts of these sizes over and over.
pub fn smtp_server(input: &[u8], cuts: &[usize], setup: &Setup) {
    let mut whole = smtp::Talk::new(setup.clone());
    whole.feed(input);
    let mut cut = smtp::Talk::new(setup.clone());
    cut.feed(b"");
    pieces(input, cuts).for_each(|piece| cut.feed(piece));
    assert_eq!(whole.events(), cut.events());
    assert_eq!(whole.said.escape_ascii().to_string(), cut.said.escape_ascii().to_string());
    assert_eq!(whole.ended(), cut.ended());
    // What the machine leaves in the input is less than its longest line.
    let longest = pieces(input, cuts).map(<[u8]>::len).max().unwrap_or(0);
    let bound = setup.limits.line_bytes_max.max(setup.limits.auth_line_bytes_max);
    if longest <= 64 {
        assert!(cut.held_max <= bound + longest + OUTPUT_BYTES_MAX, "{} octets held", cut.held_max);
    }
    // Every line said is a reply line of at most 512 octets (RFC 5321 4.5.3.1.5).
    for line in whole.said.split_inclusive(|b| *b == b'\n') {
        assert!(line.len() <= proto::smtp::REPLY_BYTES_MAX && line.ends_with(b"\r\n"));
        assert!(line[..3].iter().all(u8::is_ascii_digit), "{}", line.escape_ascii());
    }
    // A message is as the limit allows, and has no lone line end unless it is binary.
    assert!(whole.message().len() as u64 <= setup.limits.message_bytes_max);
}

/// A server that says anything to our SMTP client, which has one message to send, with AUTH where it is offered.
pub fn smtp_client(input: &[u8], cuts: &[usize], role: Role, security: &Security) {
    let whole = smtp_client_run(input, &[], role, security);
    assert_eq!(smtp_client_run(input, cuts, role, security), whole);
}

/// Everything that the client tells and says.
fn smtp_client_run(input: &[u8], cuts: &[usize], role: Role, security: &Security) -> (Vec<Event>, String) {
    let mut client = Client::new(role, "c.test", Limits::default(), security.clone(), Tick(0));
    let (mut events, mut held, mut authenticated) = (Vec::new(), Vec::new(), false);
    // An empty piece first: a client may have something to tell before it heard anything.
    for piece in std::iter::once(&b""[..]).chain(pieces(input, cuts)) {
        held.extend_from_slice(piece);
        loop {
            let (used, event) = client.receive(&held, Tick(0));
            held.drain(..used);
            let Some(event) = event else {
                if used == 0 {
                    break;
                }
                continue;
            };
            smtp_client_answer(&mut client, &event, &mut authenticated);
            events.push(event);
        }
        if !client.ended() {
            assert!(held.len() < SMTP_REPLY_BYTES_MAX, "{} octets are no reply yet", held.len());
        }
    }
    let said = client.output().escape_ascii().to_string();
    (events, said)
}

fn smtp_client_answer(client: &mut Client, event: &Event, authenticated: &mut bool) {
    match event {
        Event::Ready(can) => {
            let path = Path { local: "a".into(), domain: "b.test".into() };
            let rcpt = Rcpt { to: path, notify: None, original: None };
            let way = if can.chunking { Way::Chunks } else { Way::Data };
            let login = if *authenticated {
                Err(proto::smtp::client::Fault::Busy)
            } else {
                client.auth(Mechanism::Login, None)
            };
            *authenticated = true;
            if login.is_err() {
                let _ = client.send(&Mail::default(), &[rcpt.clone(), rcpt], way);
            }
        }
        Event::AuthChallenge(challenge) => {
            // What the server may ask is hostile too; now and then it is turned down.
            client.auth_message((challenge.len() % 5 != 4).then_some(b"answer"));
        }
        Event::AuthDone(_) => {
            let rcpt =
                Rcpt { to: Path { local: "a".into(), domain: String::new() }, notify: None, original: None };
            let _ = client.send(&Mail::default(), &[rcpt], Way::Data);
        }
        Event::Content => {
            client.content(b"x\r\n.");
            client.end_content();
        }
        Event::Delivered(..) | Event::NotDelivered(_) => client.quit(),
        _ => {}
    }
}

/// A client that says anything to our POP3 server.
pub fn pop3_server(input: &[u8], cuts: &[usize], how: How) {
    let mut setup = pop3::Setup::new(how);
    setup.limits.auth_line_bytes_max = 600;
    let mut whole = pop3::Talk::new(setup.clone());
    whole.feed(input);
    let mut cut = pop3::Talk::new(setup);
    cut.feed(b"");
    pieces(input, cuts).for_each(|piece| cut.feed(piece));
    assert_eq!(whole.events(), cut.events());
    assert_eq!(whole.said.escape_ascii().to_string(), cut.said.escape_ascii().to_string());
    assert_eq!(whole.ended(), cut.ended());
    assert!(cut.held_max <= OUTPUT_BYTES_MAX, "{} octets of output lay about", cut.held_max);
}

/// A client that says anything to our IMAP server, before login or behind one.
pub fn imap_server(input: &[u8], cuts: &[usize], how: How, logged_in: bool) {
    let mut setup = imap::Setup::new(how);
    let limits = &mut setup.limits;
    limits.auth_line_bytes_max = 200;
    limits.line_bytes_max = 300;
    limits.command_bytes_max = 500;
    limits.literals_max = 4;
    limits.discard_bytes_max = 2000;
    limits.login_discard_bytes_max = 1000;
    limits.errors_max = 12;
    let begin = || {
        let mut talk = imap::Talk::new(setup.clone());
        if logged_in {
            talk.feed(b"a LOGIN ann@example.test \"secret word\"\r\nb SELECT INBOX\r\n");
        }
        talk
    };
    let (mut whole, mut cut) = (begin(), begin());
    whole.feed(input);
    cut.feed(b"");
    for piece in pieces(input, cuts) {
        cut.feed(piece);
        let kept = cut.server.kept_bytes();
        assert!(kept <= 2 * 500 + 300, "{kept} octets of a command are kept");
    }
    assert_eq!(whole.events(), cut.events());
    assert_eq!(whole.said.escape_ascii().to_string(), cut.said.escape_ascii().to_string());
    assert_eq!(whole.ended(), cut.ended());
    assert!(cut.held_max <= OUTPUT_BYTES_MAX, "{} octets of output lay about", cut.held_max);
}

/// A server that says anything to our POP3 client, which asks for what `script`'s octets name.
pub fn pop3_client(script: &[u8], input: &[u8], cuts: &[usize]) {
    let whole = pop3_client_run(script, input, &[]);
    assert_eq!(pop3_client_run(script, input, cuts), whole);
}

fn pop3_client_run(script: &[u8], input: &[u8], cuts: &[usize]) -> (Vec<String>, String) {
    use pop3_machine::{Client, Event, Expect, Limits};
    let limits = Limits { line_bytes_max: 100, pipeline_max: 6, silence_seconds_max: 60 };
    let mut client = Client::new(limits, true, Tick(0));
    for word in script {
        let (line, expect) = match word % 5 {
            0 => ("STAT", Expect::Line),
            1 => ("RETR 1", Expect::Body),
            2 => ("AUTH LOGIN", Expect::Sasl),
            3 => ("STLS", Expect::Tls),
            _ => ("UIDL", Expect::Body),
        };
        // False where too many wait already; that is the limit, not a fault.
        let _ = client.command(line, expect);
    }
    let (mut events, mut data) = (Vec::new(), Vec::new());
    for piece in pieces(input, cuts) {
        let mut rest = piece;
        loop {
            let (used, event) = client.receive(rest, Tick(0));
            rest = &rest[used..];
            match event {
                None if used == 0 => break,
                None => {}
                // Pieces depend on the cuts; what counts is the whole.
                Some(Event::Data(piece)) => data.extend_from_slice(piece),
                Some(Event::Challenge(challenge)) => {
                    client.sasl((challenge.len() % 5 != 4).then_some(b"answer"));
                    events.push(format!("Challenge {}", challenge.escape_ascii()));
                }
                Some(other) => {
                    events.push(format!("{other:?} after {}", std::mem::take(&mut data).escape_ascii()))
                }
            }
        }
        assert!(client.ended() || rest.is_empty(), "the client keeps half lines itself");
    }
    events.push(format!("then {}", data.escape_ascii()));
    (events, client.output().escape_ascii().to_string())
}

/// A client that says anything in an exchange of this mechanism. Only [`USER`] can
/// come out of it as somebody, an exchange that is over stays over, and what the
/// server says is not much longer than what it was told.
pub fn sasl_server(mechanism: Mechanism, initial: Option<&[u8]>, messages: &[&[u8]]) {
    let security = bound_tls();
    let (mut server, mut step) = sasl::Server::start(
        mechanism,
        &Mechanism::ALL,
        &security,
        &[5; 18],
        1_700_000_000,
        "mail.example.test",
        initial.map(<[u8]>::to_vec),
    );
    let mut heard = initial.map_or(0, <[u8]>::len);
    let mut messages = messages.iter();
    let mut over = false;
    loop {
        match step {
            Step::Ask(question) => {
                assert!(!over, "a question after the end");
                step = server.answer(fixed_answer(&question));
                assert!(!matches!(step, Step::Ask(_)), "one question a message");
                continue;
            }
            Step::Challenge(challenge) => {
                assert!(!over, "a challenge after the end");
                assert!(challenge.len() <= heard + 256, "{} octets of challenge", challenge.len());
            }
            Step::Success { user, last } => {
                assert!(!over, "two verdicts");
                assert_eq!(user, USER);
                let scram = !matches!(
                    mechanism,
                    Mechanism::Plain | Mechanism::Login | Mechanism::External | Mechanism::CramMd5
                );
                assert_eq!(last.is_some(), scram);
                over = true;
            }
            Step::Failure(_) => over = true,
        }
        let Some(message) = messages.next() else { break };
        heard += message.len();
        step = server.receive(message);
    }
}

/// A server that says anything in an exchange of this mechanism. One that did not
/// know the password is never believed where the mechanism proves it (RFC 5802 9).
pub fn sasl_client(mechanism: Mechanism, challenges: &[&[u8]]) {
    let binding = match mechanism {
        Mechanism::ScramSha1Plus | Mechanism::ScramSha256Plus => sasl::scram::Binding::Exporter([7; 32]),
        _ => sasl::scram::Binding::None,
    };
    let password = Secret::new(PASSWORD);
    let Ok((mut client, _)) = sasl::client::Client::start(mechanism, USER, &password, "", &[9; 18], binding)
    else {
        panic!("a plain name and password can be sent");
    };
    let mut broken = false;
    let mut signed = false;
    for challenge in challenges {
        let answer = client.receive(challenge);
        assert!(!(broken && answer.is_ok()), "it went on after a fault");
        broken |= answer.is_err();
        signed |= challenge.starts_with(b"v=") && answer.is_ok();
        if let Ok(answer) = answer {
            assert!(answer.len() <= challenge.len() + 512, "{} octets of answer", answer.len());
        }
    }
    if client.finish().is_ok() {
        let proves = mechanism.name().starts_with("SCRAM");
        assert!(!broken && (!proves || signed), "a server was believed that did not prove itself");
    }
}

fn bound_tls() -> Security {
    Security::established(
        How::Implicit,
        Tls {
            version: TlsVersion::Tls13,
            cipher: "TLS_AES_256_GCM_SHA384",
            group: None,
            server_name: None,
            exporter: Some([7; 32]),
            end_point: vec![8; 32],
            client_addresses: vec![USER.to_owned(), "bob@example.test".to_owned()],
        },
    )
}

/// Keys are derived once: a thousand inputs a second could not pay for it.
fn fixed_answer(question: &Question) -> Answer {
    static SCRAM: OnceLock<[ScramKeys; 2]> = OnceLock::new();
    let secret = Secret::new(PASSWORD);
    match question {
        Question::Password { user, password } => Answer::Verdict(user == USER && *password == secret),
        Question::Certificate { user } => Answer::Verdict(user == USER),
        Question::CramKeys { user } => {
            let keys = CramKey::from_password(&secret).filter(|_| user == USER);
            Answer::Cram(keys.into_iter().collect())
        }
        Question::ScramKeys { user, hash } => {
            let keys = SCRAM.get_or_init(|| {
                [ScramHash::Sha1, ScramHash::Sha256].map(|hash| {
                    ScramKeys::derive(hash, &secret, b"salt of ann", 4096)
                        .expect("a plain password is prepared")
                })
            });
            let keys = &keys[usize::from(*hash == ScramHash::Sha256)];
            let keys = if user == USER { vec![keys.clone()] } else { Vec::new() };
            Answer::Scram { salt: b"salt of ann".to_vec(), iterations: 4096, keys }
        }
    }
}

/// A message on its way in: cuts do not matter; fields that are not ours to touch
/// and the body come out octet for octet; the header stays within its limit.
pub fn intake(message: &[u8], cuts: &[usize], submission: bool) {
    let rules = || intake::Rules {
        header_bytes_max: 200,
        received_max: 5,
        submission: submission.then(|| intake::Submission { message_id: "<i@h>".into(), date: "D".into() }),
    };
    let whole = taken_in(rules(), message, &[]);
    assert_eq!(taken_in(rules(), message, cuts), whole);
    let Ok((out, summary)) = whole else { return };
    let head = usize::try_from(summary.header_bytes).expect("a header of at most 200 octets");
    let body = &out[head..];
    assert!(message.ends_with(body), "the body was changed");
    assert!(head <= 200 + 64, "{head} octets of header");
    let before = &message[..message.len() - body.len()];
    let private = |f: &header::Field<'_>| f.is("Bcc") || f.is("Resent-Bcc") || f.is("Return-Path");
    let kept: Vec<u8> = header::fields(before)
        .filter(|f| !submission || !private(f))
        .flat_map(|f| f.raw.iter().copied())
        .collect();
    assert!(out.starts_with(&kept), "a field was changed");
    let added = &out[kept.len()..head];
    if submission {
        let has = |name: &str| header::fields(&out[..head]).any(|f| f.is(name));
        assert!(has("Message-ID") && has("Date") && !has("Bcc"), "{}", out.escape_ascii());
    } else {
        assert!(matches!(added, b"" | b"\n" | b"\r\n"), "{}", added.escape_ascii());
        assert!(out.len() == message.len() || out.len() == message.len() + 2);
    }
}

type Taken = Result<(Vec<u8>, intake::Summary), intake::Problem>;

fn taken_in(rules: intake::Rules, message: &[u8], cuts: &[usize]) -> Taken {
    let (mut intake, mut all) = (intake::Intake::new(rules), Vec::new());
    for piece in pieces(message, cuts) {
        let rest = intake.feed(piece, &mut all)?;
        all.extend_from_slice(rest);
    }
    let summary = intake.finish(&mut all)?;
    Ok((all, summary))
}

/// Whatever stands in a header: the raw fields joined are its octets up to the
/// empty line, and what is read from a field is not longer than the field.
pub fn header(bytes: &[u8]) {
    let mut at = 0;
    for field in header::fields(bytes) {
        assert!(bytes[at..].starts_with(field.raw) && !field.raw.is_empty());
        at += field.raw.len();
        assert!(field.name.len() + field.value.len() <= field.raw.len());
        mailboxes(&field.text());
    }
    let rest = &bytes[at..];
    assert!(rest.is_empty() || rest.starts_with(b"\n") || rest.starts_with(b"\r\n"));
}

/// Text as a list of mailboxes, and as one address that is written as it was read.
pub fn mailboxes(text: &str) {
    let found = header::mailboxes(text);
    assert!(found.iter().map(String::len).sum::<usize>() <= 4 * text.len() + 8);
    address(text);
    found.iter().for_each(|one| address(one));
}

/// An address that is read is written so that it reads the same.
pub fn address(text: &str) {
    use proto::address::{Address, DOMAIN_BYTES_MAX, LOCAL_BYTES_MAX};
    let Ok(address) = Address::parse(text) else { return };
    assert!(address.local().len() <= LOCAL_BYTES_MAX && address.domain().len() <= DOMAIN_BYTES_MAX);
    let written = address.to_string();
    assert!(!written.contains(['\r', '\n', '\0']), "{written:?}");
    assert_eq!(Address::parse(&written), Ok(address));
}

/// Xtext (RFC 3461 4): what is encoded is decoded again, and cannot end its word;
/// control characters are not decoded, however they were hidden.
pub fn xtext(text: &str) {
    use proto::smtp::{xtext_decode, xtext_encode};
    let encoded = xtext_encode(text);
    assert!(encoded.bytes().all(|b| b.is_ascii_graphic() && b != b'='), "{encoded}");
    let harmless = !text.bytes().any(|b| b.is_ascii_control());
    assert_eq!(xtext_decode(&encoded).as_deref(), harmless.then_some(text));
    if let Some(decoded) = xtext_decode(text) {
        assert_eq!(xtext_decode(&xtext_encode(&decoded)), Some(decoded));
    }
}

/// The input in pieces of these sizes, over and over; whole without any. A size of 0 counts as 1.
fn pieces<'a>(input: &'a [u8], cuts: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = cuts.iter().cycle();
    let mut rest = input;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let size = sizes.next().map_or(rest.len(), |size| (*size).clamp(1, rest.len()));
        let (piece, tail) = rest.split_at(size);
        rest = tail;
        Some(piece)
    })
}
