//! POP3: the transcripts of `transcripts/pop3`, the matrix of the gate, and
//! arbitrary bytes, all against the bare machine with a small fixed maildrop.
//!
//! A transcript has a head of `# comment` and `key: value` lines, an empty line,
//! then what is said: `C:` a line of the client, `C>` bytes without a line end,
//! `S:` a line of the server, `T:` so many seconds pass, `E:` an event that the
//! machine answered by itself, `--` the connection is over. Escapes: `\r`, `\n`,
//! `\\`, `\xNN`, and `\*N(text)` for N times the text.

use proptest::prelude::*;
use proto::machine::{Machine, Tick};
use proto::pop3::client::{self, Client, Expect};
use proto::pop3::gate::{self, State};
use proto::pop3::server::{Code, Limits, Offer, Server};
use proto::pop3::{Event, Refusal};
use proto::proof::{How, Secret, Security, Tls, TlsVersion};
use proto::sasl::{self, Answer, CramKey, Failure, Policy, Question, ScramKeys, Step};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const USER: &str = "ann@example.test";
const PASSWORD: &str = "secret word";
const SALT: &[u8] = b"salt of ann";
const MESSAGES: [&str; 3] = [
    "Subject: one\r\n\r\nfirst\r\n.dot\r\n..two\r\n",
    "Subject: two\n\nlone LF\rlone CR",
    "Subject: three\r\n\r\n1\r\n2\r\n3\r\n",
];

/// How a connection is set up; the head of a transcript.
#[derive(Clone)]
struct Setup {
    how: How,
    policy: Policy,
    limits: Limits,
    stls: bool,
    expire_days: Option<u32>,
    login_delay_seconds: u32,
}

impl Setup {
    fn new(how: How) -> Setup {
        Setup {
            how,
            policy: Policy { cram_md5: true, ..Policy::default() },
            limits: Limits::default(),
            stls: true,
            expire_days: None,
            login_delay_seconds: 0,
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        let number = || value.parse::<u32>().unwrap();
        match key {
            "security" => {
                self.how = match value {
                    "clear" => How::Clear,
                    "implicit" => How::Implicit,
                    _ => panic!("security: {value}"),
                }
            }
            "clear_allowed" => self.policy.clear_allowed = value == "yes",
            "password_sent" => self.policy.password_sent = value == "yes",
            "stls" => self.stls = value == "yes",
            "expire_days" => self.expire_days = Some(number()),
            "login_delay_seconds" => self.login_delay_seconds = number(),
            "errors_max" => self.limits.errors_max = number(),
            "auth_failures_max" => self.limits.auth_failures_max = number(),
            "auth_line_bytes_max" => self.limits.auth_line_bytes_max = number() as usize,
            _ => panic!("unknown key {key}"),
        }
    }

    fn security(&self) -> Security {
        if self.how == How::Clear {
            return Security::clear();
        }
        let tls = Tls {
            version: TlsVersion::Tls13,
            cipher: "TLS_AES_256_GCM_SHA384",
            group: None,
            server_name: None,
            exporter: None,
            end_point: Vec::new(),
            client_addresses: vec![USER.to_owned()],
        };
        Security::established(self.how, tls)
    }

    fn server(&self, now: Tick) -> Server {
        let security = self.security();
        let mechanisms = sasl::offer(&self.policy, &security);
        let offer = Offer {
            host: "mail.example.test".to_owned(),
            stls: self.stls,
            user: self.policy.password_sent && !mechanisms.is_empty(),
            mechanisms,
            needs_tls_text: "Encryption required: use TLS".to_owned(),
            expire_days: self.expire_days,
            login_delay_seconds: self.login_delay_seconds,
        };
        Server::new(offer, self.limits.clone(), security, now)
    }
}

/// A machine and the fixed session above it.
struct Conversation {
    setup: Setup,
    server: Server,
    now: Tick,
    sent: Vec<u8>,
    events: Vec<String>,
    sasl: Option<sasl::Server>,
    /// SCRAM's last message is on its way; what comes next is its acknowledgement.
    proven: bool,
    deleted: BTreeSet<u32>,
    utf8: bool,
}

impl Conversation {
    fn new(setup: Setup) -> Conversation {
        let server = setup.server(Tick(0));
        Conversation {
            setup,
            server,
            now: Tick(0),
            sent: Vec::new(),
            events: Vec::new(),
            sasl: None,
            proven: false,
            deleted: BTreeSet::new(),
            utf8: false,
        }
    }

    /// Feeds `input` in pieces of `step` octets; what could not be taken stays for the next.
    fn feed(&mut self, input: &[u8], step: usize) {
        let mut start = 0;
        let mut end = 0;
        while end < input.len() && !self.server.ended() {
            end = (end + step).min(input.len());
            loop {
                let (used, event) = self.server.receive(&input[start..end], self.now);
                start += used;
                assert!(start <= end);
                self.sent.append(self.server.output());
                match event {
                    Some(Event::StartTls) => self.start_tls(start < input.len()),
                    Some(event) => self.answer(event),
                    None if used == 0 || start == end => break,
                    None => {}
                }
                self.sent.append(self.server.output());
                if self.server.ended() {
                    return;
                }
            }
            assert_eq!(start, end, "the machine keeps half lines itself");
        }
    }

    fn start_tls(&mut self, early: bool) {
        if early {
            self.server.tls_early_bytes();
            return;
        }
        self.server.tls_go_ahead();
        self.sent.append(self.server.output());
        self.setup.how = How::StartTls;
        self.server = self.setup.server(self.now);
    }

    fn pass(&mut self, seconds: u64) {
        self.now = Tick(self.now.0 + seconds * 1000);
        if self.server.deadline() <= self.now {
            self.server.timeout(self.now);
        }
        self.sent.append(self.server.output());
    }

    fn answer(&mut self, event: Event<'_>) {
        match event {
            Event::Login { user, password } => {
                if user == USER && password == Secret::new(PASSWORD) {
                    self.server.logged_in("logged in");
                } else {
                    self.server.login_failed(Code::Auth, "wrong user name or password");
                }
            }
            Event::Auth { mechanism, initial } => {
                let security = self.server.security().clone();
                let offered = sasl::offer(&self.setup.policy, &security);
                let (sasl, step) = sasl::Server::start(
                    mechanism,
                    &offered,
                    &security,
                    &[5; 18],
                    1_700_000_000,
                    "mail.example.test",
                    initial,
                );
                self.sasl = Some(sasl);
                self.step(step);
            }
            Event::AuthMessage(message) => {
                if std::mem::take(&mut self.proven) {
                    self.server.logged_in("logged in");
                    return;
                }
                let step = self.sasl.as_mut().unwrap().receive(&message);
                self.step(step);
            }
            Event::AuthCancelled | Event::Quit | Event::Refused(_) | Event::Language(_) | Event::Utf8 => {
                self.utf8 |= matches!(event, Event::Utf8);
                self.events.push(format!("{event:?}"));
            }
            Event::StartTls => unreachable!("handled in feed"),
            about_mail => self.mail(&about_mail),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Challenge(challenge) => self.server.auth_challenge(&challenge),
            Step::Ask(question) => {
                let secret = Secret::new(PASSWORD);
                let answer = match &question {
                    Question::Password { user, password } => {
                        Answer::Verdict(user == USER && *password == secret)
                    }
                    Question::Certificate { user } => Answer::Verdict(user == USER),
                    Question::CramKeys { .. } => Answer::Cram(vec![CramKey::from_password(&secret).unwrap()]),
                    Question::ScramKeys { hash, .. } => Answer::Scram {
                        salt: SALT.to_vec(),
                        iterations: 4096,
                        keys: vec![ScramKeys::derive(*hash, &secret, SALT, 4096).unwrap()],
                    },
                };
                let step = self.sasl.as_mut().unwrap().answer(answer);
                self.step(step);
            }
            Step::Success { last: None, .. } => self.server.logged_in("logged in"),
            Step::Success { last: Some(last), .. } => {
                self.proven = true;
                self.server.auth_challenge(&last);
            }
            Step::Failure(Failure::Malformed) => self.server.err(None, "malformed"),
            Step::Failure(_) => self.server.login_failed(Code::Auth, "wrong user name or password"),
        }
    }

    fn mail(&mut self, event: &Event<'_>) {
        let one = match *event {
            Event::Retr(n) | Event::Dele(n) | Event::Top { message: n, .. } => Some(n),
            Event::List(n) | Event::Uidl(n) => n,
            _ => None,
        };
        if one.is_some_and(|n| n as usize > MESSAGES.len() || self.deleted.contains(&n)) {
            return self.server.err(None, "no such message");
        }
        let row = |n: u32| match event {
            Event::List(_) => format!("{n} {}", MESSAGES[n as usize - 1].len()),
            _ => format!("{n} uid-{n}"),
        };
        let present: Vec<u32> = (1..=3).filter(|n| !self.deleted.contains(n)).collect();
        match *event {
            Event::Stat => {
                let total: usize = present.iter().map(|&n| MESSAGES[n as usize - 1].len()).sum();
                self.server.ok(&format!("{} {total}", present.len()));
            }
            Event::List(Some(n)) | Event::Uidl(Some(n)) => self.server.ok(&row(n)),
            Event::List(None) | Event::Uidl(None) => {
                self.server.begin("list");
                for n in present {
                    self.server.line(&row(n));
                }
                self.server.end();
            }
            Event::Retr(n) | Event::Top { message: n, .. } => {
                self.server.begin("message");
                for piece in MESSAGES[n as usize - 1].as_bytes().chunks(7) {
                    if !self.server.message(piece) {
                        break;
                    }
                }
                self.server.end();
            }
            Event::Dele(n) => {
                self.deleted.insert(n);
                self.server.ok("deleted");
            }
            Event::Rset => {
                self.deleted.clear();
                self.server.ok("nothing is deleted");
            }
            Event::Update => self.server.updated(Ok("goodbye")),
            ref other => panic!("not about mail: {other:?}"),
        }
    }
}

/// One transcript, parsed.
struct Transcript {
    setup: Setup,
    steps: Vec<Said>,
}

enum Said {
    Client(Vec<u8>),
    Server(Vec<u8>),
    Seconds(u64),
    Closed,
    Event(String),
}

impl Transcript {
    fn parse(text: &str) -> Transcript {
        let (head, body) = text.split_once("\n\n").expect("a head, an empty line, a dialogue");
        assert!(head.starts_with("# RFC "), "the head begins with the section that it shows");
        let mut setup = Setup::new(How::Implicit);
        for line in head.lines().filter(|line| !line.starts_with('#')) {
            let (key, value) = line.split_once(": ").unwrap();
            setup.set(key, value);
        }
        let steps = body.lines().filter(|line| !line.is_empty()).map(|line| {
            let (mark, rest) = line.split_at(2.min(line.len()));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            match mark {
                "C:" => Said::Client([unescape(rest), b"\r\n".to_vec()].concat()),
                "C>" => Said::Client(unescape(rest)),
                "S:" => Said::Server([unescape(rest), b"\r\n".to_vec()].concat()),
                "T:" => Said::Seconds(rest.parse().unwrap()),
                "E:" => Said::Event(rest.to_owned()),
                "--" => Said::Closed,
                _ => panic!("what is {line:?}?"),
            }
        });
        Transcript { setup, steps: steps.collect() }
    }

    fn run(&self, name: &str, step: usize) {
        let mut talk = Conversation::new(self.setup.clone());
        talk.sent.append(talk.server.output());
        let mut steps = self.steps.iter().peekable();
        let mut closed = false;
        let mut events = Vec::new();
        while let Some(said) = steps.next() {
            match said {
                Said::Client(bytes) => {
                    let mut input = bytes.clone();
                    while let Some(Said::Client(more)) = steps.peek() {
                        input.extend_from_slice(more);
                        steps.next();
                    }
                    talk.feed(&input, step);
                }
                Said::Server(bytes) => {
                    let mut wanted = bytes.clone();
                    while let Some(Said::Server(more)) = steps.peek() {
                        wanted.extend_from_slice(more);
                        steps.next();
                    }
                    let got = std::mem::take(&mut talk.sent);
                    assert_eq!(
                        String::from_utf8_lossy(&got),
                        String::from_utf8_lossy(&wanted),
                        "{name} in steps of {step}"
                    );
                }
                Said::Seconds(seconds) => talk.pass(*seconds),
                Said::Event(event) => events.push(event.clone()),
                Said::Closed => closed = true,
            }
        }
        assert_eq!(String::from_utf8_lossy(&talk.sent), "", "{name}: more than expected");
        assert_eq!(talk.server.ended(), closed, "{name}: closed");
        if !events.is_empty() {
            assert_eq!(talk.events, events, "{name}: events");
        }
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let (taken, bytes) = match rest.as_bytes()[0] {
            b'r' => (1, vec![b'\r']),
            b'n' => (1, vec![b'\n']),
            b'\\' => (1, vec![b'\\']),
            b'x' => (3, vec![u8::from_str_radix(&rest[1..3], 16).unwrap()]),
            b'*' => {
                let (count, tail) = rest[1..].split_once('(').unwrap();
                let text = tail.split_once(')').unwrap().0;
                (count.len() + text.len() + 3, unescape(text).repeat(count.parse().unwrap()))
            }
            other => panic!("escape {other}"),
        };
        out.extend_from_slice(&bytes);
        rest = &rest[taken..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn transcripts() {
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("transcripts/pop3")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let transcript = Transcript::parse(&std::fs::read_to_string(&path).unwrap());
        for step in [usize::MAX / 2, 1, 2, 3, 7] {
            transcript.run(&name, step);
        }
        count += 1;
    }
    assert!(count >= 20, "only {count} transcripts were found");
}

/// What the machine does with `word` on a fresh connection in `state`.
fn outcome(row: &gate::Row, state: State, setup: &Setup) -> String {
    let mut talk = Conversation::new(setup.clone());
    if state != State::ExpectLogin && !talk_in(&mut talk, state) {
        return "(cannot be)".to_owned();
    }
    talk.sent.clear();
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
        Some(Event::Refused(Refusal::LoginNeedsTls { exposed: true })) => "needs TLS, exposed".to_owned(),
        Some(Event::Refused(Refusal::LoginNeedsTls { exposed: false })) => "needs TLS".to_owned(),
        Some(Event::Refused(Refusal::MechanismNotOffered)) => "not offered".to_owned(),
        Some(Event::Refused(_)) => {
            String::from_utf8_lossy(talk.server.output()).trim_end().trim_start_matches("-ERR ").to_owned()
        }
        _ => "yes".to_owned(),
    }
}

/// Brings a conversation into a state; false if that is impossible in this set-up.
fn talk_in(talk: &mut Conversation, state: State) -> bool {
    talk.feed(format!("USER {USER}\r\n").as_bytes(), 100);
    if state == State::ExpectPass {
        return talk.sent.ends_with(b"+OK send PASS\r\n");
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
    let mut talk = Conversation::new(Setup::new(How::Implicit));
    talk.server.logged_in("in");
    talk.server.output().clear();
    assert!(matches!(talk.server.receive(b"RETR 1\r\n", Tick(0)).1, Some(Event::Retr(1))));
    talk.server.begin("message");
    assert!(talk.server.message(b"half a li"));
    talk.server.break_off();
    assert_eq!(talk.server.output().as_slice(), b"+OK message\r\nhalf a li");
    assert!(talk.server.ended());
}

#[test]
fn the_time_of_an_answer_is_not_silence() {
    let mut talk = Conversation::new(Setup::new(How::Implicit));
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
    let mut talk = Conversation::new(Setup::new(How::Implicit));
    talk.server.logged_in("in");
    let (used, event) = talk.server.receive(b"STAT\r\nNOOP\r\n", Tick(0));
    assert!(matches!(event, Some(Event::Stat)));
    assert_eq!(used, 6);
    assert_eq!(talk.server.receive(b"NOOP\r\n", Tick(0)).0, 0);
    assert!(!talk.server.idle());
}

#[test]
fn shutdown_says_that_a_retry_will_do() {
    let mut talk = Conversation::new(Setup::new(How::Implicit));
    talk.server.output().clear();
    talk.server.shutdown();
    assert_eq!(talk.server.output().as_slice(), b"-ERR [SYS/TEMP] service restarts, try again shortly\r\n");
    assert!(talk.server.ended());
}

#[test]
fn reply_texts_stay_on_one_bounded_line() {
    let mut talk = Conversation::new(Setup::new(How::Implicit));
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
        let mut talk = Conversation::new(Setup::new(How::Implicit));
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
        talk.sent.append(talk.server.output());
        talk.feed(&commands, step);
        let (mut replies, mut data) = (Vec::new(), Vec::new());
        for piece in talk.sent.chunks(step) {
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
        let setup = Setup::new(if tls { How::Implicit } else { How::Clear });
        let mut whole = Conversation::new(setup.clone());
        whole.feed(&input, usize::MAX / 2);
        let mut cut = Conversation::new(setup);
        cut.feed(&input, step);
        prop_assert_eq!(String::from_utf8_lossy(&whole.sent), String::from_utf8_lossy(&cut.sent));
        prop_assert_eq!(whole.events, cut.events);
        prop_assert_eq!(whole.server.ended(), cut.server.ended());
    }
}
