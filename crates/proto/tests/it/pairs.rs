//! Our client's machine against our server's, on invented time.

use proto::machine::{Machine, Tick};
use proto::proof::{How, Security};
use proto::sasl::Mechanism;
use proto::smtp::client::{Client, Event, Fault, Limits, Way};
use proto::smtp::{Body, Mail, Path, Rcpt, Role};
use testkit::script::Peer;
use testkit::smtp::{Setup, Talk, tls};

/// A client and the server it talks to.
struct Pair {
    client: Client,
    talk: Talk,
    to_client: Vec<u8>,
    role: Role,
}

impl Pair {
    fn new(role: Role, setup: Setup) -> Pair {
        let security = setup.security.clone();
        let mut talk = Talk::new(setup);
        talk.feed(b"");
        let client = Client::new(role, "client.test", Limits::default(), security, Tick(0));
        Pair { client, talk, to_client: Vec::new(), role }
    }

    /// Carries bytes to and fro until the client has something to tell.
    fn next(&mut self) -> Event {
        for _ in 0..1000 {
            let (used, event) = self.client.receive(&self.to_client, Tick(0));
            self.to_client.drain(..used);
            if let Some(event) = event {
                return event;
            }
            let said = std::mem::take(self.client.output());
            // An octet at a time, so that both sides see every cut.
            for byte in said {
                self.talk.feed(&[byte]);
            }
            self.to_client.append(&mut self.talk.said);
        }
        panic!("neither side has anything to say; the server was told {:?}", self.talk.events());
    }

    fn ready(&mut self) {
        let event = self.next();
        assert!(matches!(event, Event::Ready(_)), "{event:?}");
    }

    fn secured(&mut self) {
        self.client.start_tls().unwrap();
        assert_eq!(self.next(), Event::StartTls);
        self.client = Client::new(self.role, "client.test", Limits::default(), tls(How::StartTls), Tick(0));
        self.ready();
    }
}

fn mail() -> Mail {
    Mail { from: Some(Path { local: "a".into(), domain: "b.test".into() }), ..Mail::default() }
}

fn rcpt(local: &str, domain: &str) -> Rcpt {
    Rcpt { to: Path { local: local.into(), domain: domain.into() }, notify: None, original: None }
}

/// What the session gets when this is sent with DATA, fed in cuts.
pub fn through_data(content: &[u8], cut: usize) -> Vec<u8> {
    let mut pair = Pair::new(Role::Exchange, Setup::new(Role::Exchange));
    pair.ready();
    pair.client.send(&mail(), &[rcpt("ann", "example.test")], Way::Data).unwrap();
    while pair.next() != Event::Content {}
    content.chunks(cut).for_each(|piece| pair.client.content(piece));
    pair.client.end_content();
    assert!(matches!(pair.next(), Event::Delivered(0, reply) if reply.code == 250));
    pair.talk.message().to_vec()
}

#[test]
fn a_message_is_pipelined() {
    let mut pair = Pair::new(Role::Exchange, Setup::new(Role::Exchange));
    pair.ready();
    let recipients = [rcpt("x", "other.test"), rcpt("ann", "example.test"), rcpt("bob", "example.test")];
    pair.client.send(&mail(), &recipients, Way::Data).unwrap();
    let said = String::from_utf8(pair.client.output().clone()).unwrap();
    assert_eq!(said.lines().count(), 5, "{said}");
    assert_eq!(pair.client.send(&mail(), &recipients, Way::Data), Err(Fault::Busy));
    let mut codes = Vec::new();
    loop {
        match pair.next() {
            Event::Mail(reply) | Event::Rcpt(_, reply) => codes.push(reply.code),
            Event::Content => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(codes, [250, 550, 250, 250]);
    pair.client.content(b"Subject: x\r\n\r\n.dot\r\n");
    pair.client.end_content();
    assert!(matches!(pair.next(), Event::Delivered(1, reply) if reply.status == Some((2, 0, 0))));
    assert_eq!(pair.talk.message(), b"Subject: x\r\n\r\n.dot\r\n");
    pair.client.quit();
    assert_eq!(pair.next(), Event::Closed);
    assert!(pair.client.ended() && pair.talk.machine.ended());
}

#[test]
fn nobody_is_to_get_it() {
    for way in [Way::Data, Way::Chunks] {
        let mut pair = Pair::new(Role::Exchange, Setup::new(Role::Exchange));
        pair.ready();
        pair.client.send(&mail(), &[rcpt("x", "other.test")], way).unwrap();
        assert!(matches!(pair.next(), Event::Mail(_)));
        assert!(matches!(pair.next(), Event::Rcpt(0, _)));
        // Why the recipient was refused tells more than that there is none.
        assert!(matches!(pair.next(), Event::NotDelivered(reply) if reply.status == Some((5, 7, 1))));
        assert!(pair.client.idle());
        pair.client.reset().unwrap();
        assert!(matches!(pair.next(), Event::Other(reply) if reply.code == 250));
    }
}

/// What nobody was to get leaves no transaction open in which the next one would be out of sequence.
#[test]
fn after_a_message_for_nobody_comes_the_next() {
    for way in [Way::Data, Way::Chunks] {
        let mut pair = Pair::new(Role::Exchange, Setup::new(Role::Exchange));
        pair.ready();
        for local in ["x", "later"] {
            let domain = if local == "x" { "other.test" } else { "example.test" };
            pair.client.send(&mail(), &[rcpt(local, domain)], way).unwrap();
            loop {
                match pair.next() {
                    Event::Mail(reply) => assert_eq!(reply.code, 250, "{local} {way:?}"),
                    Event::Content => {
                        pair.client.content(b"x\r\n");
                        pair.client.end_content();
                    }
                    Event::NotDelivered(_) => break,
                    Event::Rcpt(..) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        // The last chunk of a refused message is still to be answered.
        while !pair.client.idle() {
            let said = std::mem::take(pair.client.output());
            pair.talk.feed(&said);
            pair.to_client.append(&mut pair.talk.said);
            let (used, event) = pair.client.receive(&pair.to_client, Tick(0));
            pair.to_client.drain(..used);
            assert_eq!(event, None);
        }
        pair.client.send(&mail(), &[rcpt("ann", "example.test")], way).unwrap();
        assert!(matches!(pair.next(), Event::Mail(reply) if reply.code == 250), "{way:?}");
    }
}

#[test]
fn chunks_carry_binary_content() {
    let mut pair = Pair::new(Role::Exchange, Setup::new(Role::Exchange));
    pair.ready();
    let binary = Mail { body: Body::BinaryMime, ..mail() };
    assert_eq!(pair.client.send(&binary, &[], Way::Data), Err(Fault::NotOffered));
    pair.client.send(&binary, &[rcpt("ann", "example.test")], Way::Chunks).unwrap();
    while pair.next() != Event::Content {}
    pair.client.content(b"\r\n.\r\nQUIT\n\0");
    pair.client.content(b"\xff");
    pair.client.end_content();
    assert!(matches!(pair.next(), Event::Delivered(0, reply) if reply.code == 250));
    assert_eq!(pair.talk.message(), b"\r\n.\r\nQUIT\n\0\xff");
}

#[test]
fn a_refused_chunk_in_lmtp_keeps_both_sides_in_step() {
    let mut setup = Setup::new(Role::Lmtp);
    setup.limits.message_bytes_max = 10;
    let mut pair = Pair::new(Role::Lmtp, setup);
    pair.ready();
    let recipients = [rcpt("ann", "example.test"), rcpt("bob", "example.test")];
    pair.client.send(&mail(), &recipients, Way::Chunks).unwrap();
    while pair.next() != Event::Content {}
    pair.client.content(b"01234567890");
    pair.client.content(b"012");
    pair.client.end_content();
    assert!(matches!(pair.next(), Event::NotDelivered(reply) if reply.code == 552));
    pair.client.quit();
    assert_eq!(pair.next(), Event::Closed);
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let mut pair = Pair::new(Role::Lmtp, Setup::new(Role::Lmtp));
    pair.ready();
    let recipients = [rcpt("ann", "example.test"), rcpt("x", "other.test"), rcpt("full", "example.test")];
    pair.client.send(&mail(), &recipients, Way::Data).unwrap();
    while pair.next() != Event::Content {}
    pair.client.content(b"x");
    pair.client.end_content();
    assert!(matches!(pair.next(), Event::Delivered(0, reply) if reply.code == 250));
    assert!(matches!(pair.next(), Event::Delivered(2, reply) if reply.code == 452));
    assert!(pair.client.idle());
}

#[test]
fn submission_goes_by_starttls_and_auth() {
    let mut setup = Setup::new(Role::Submission);
    setup.mechanisms_inside = vec![Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login];
    let mut pair = Pair::new(Role::Submission, setup);
    pair.ready();
    assert_eq!(pair.client.auth(Mechanism::Plain, None), Err(Fault::NotOffered));
    pair.secured();
    assert_eq!(pair.client.start_tls(), Err(Fault::NotOffered));
    assert_eq!(
        pair.client.capabilities().mechanisms(),
        [Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login]
    );
    pair.client.auth(Mechanism::Plain, Some(b"\0ann@example.test\0wrong")).unwrap();
    assert!(matches!(pair.next(), Event::AuthDone(reply) if reply.code == 535));
    pair.client.auth(Mechanism::Plain, Some(b"")).unwrap();
    assert!(matches!(pair.next(), Event::AuthDone(reply) if reply.code == 535));
    pair.client.auth(Mechanism::Login, None).unwrap();
    assert_eq!(pair.next(), Event::AuthChallenge(b"Username:".to_vec()));
    pair.client.auth_message(None);
    assert!(matches!(pair.next(), Event::AuthDone(reply) if reply.code == 501));
    pair.client.auth(Mechanism::Login, None).unwrap();
    assert_eq!(pair.next(), Event::AuthChallenge(b"Username:".to_vec()));
    pair.client.auth_message(Some(b"ann@example.test"));
    assert_eq!(pair.next(), Event::AuthChallenge(b"Password:".to_vec()));
    pair.client.auth_message(Some(b"secret"));
    assert!(matches!(pair.next(), Event::AuthDone(reply) if reply.code == 235));
    pair.client.send(&mail(), &[rcpt("bob", "example.test")], Way::Data).unwrap();
    while pair.next() != Event::Content {}
}

#[test]
fn a_password_is_not_sent_in_clear() {
    let mut setup = Setup::new(Role::Submission);
    setup.offer.mechanisms = vec![Mechanism::ScramSha256, Mechanism::Plain];
    let mut pair = Pair::new(Role::Submission, setup);
    pair.ready();
    assert_eq!(pair.client.auth(Mechanism::Plain, Some(b"\0a\0b")), Err(Fault::NeedsTls));
    assert!(pair.client.output().is_empty());
    pair.client.auth(Mechanism::ScramSha256, Some(b"right")).unwrap();
    assert!(matches!(pair.next(), Event::AuthDone(reply) if reply.code == 235));
}

/// A server made of fixed answers.
fn against(said: &[u8]) -> (Client, Vec<Event>, usize) {
    let mut client = Client::new(Role::Exchange, "c.test", Limits::default(), Security::clear(), Tick(0));
    let (mut events, mut at) = (Vec::new(), 0);
    loop {
        let (used, event) = client.receive(&said[at..], Tick(0));
        at += used;
        let Some(event) = event else { return (client, events, at) };
        if matches!(&event, Event::Ready(can) if can.starttls) {
            client.start_tls().unwrap();
        }
        events.push(event);
    }
}

#[test]
fn early_bytes_behind_the_go_ahead_end_it() {
    let (client, events, _) = against(b"220 x\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n250 evil\r\n");
    assert_eq!(events.last(), Some(&Event::Failed(Fault::EarlyBytes)));
    assert!(client.ended());
    let (_, events, _) = against(b"220 x\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n");
    assert_eq!(events.last(), Some(&Event::StartTls));
}

#[test]
fn odd_servers() {
    let (mut client, events, _) = against(b"220 x\r\n502 what\r\n250 old\r\n");
    assert_eq!(events, [Event::Ready(Default::default())]);
    assert_eq!(client.output(), b"EHLO c.test\r\nHELO c.test\r\n");
    let (_, events, _) = against(b"554 no\r\n");
    assert!(
        matches!(&events[..], [Event::Other(reply), Event::Failed(Fault::Unavailable)] if reply.code == 554)
    );
    let (_, events, _) = against(b"220 x\r\n250 x\r\n421 4.3.2 bye\r\n");
    assert_eq!(events.last(), Some(&Event::Failed(Fault::Unavailable)));
    let (_, events, _) = against(b"220 x\r\n250 x\r\n250 unasked\r\n");
    assert_eq!(events.last(), Some(&Event::Failed(Fault::Protocol)));
    let (_, events, _) = against(b"HTTP/1.1 200 OK\r\n");
    assert_eq!(events, [Event::Failed(Fault::Protocol)]);
    let (mut client, _, _) = against(b"220 x\r\n");
    assert_eq!(client.deadline(), Tick(300_000));
    client.timeout(Tick(300_000));
    assert_eq!(client.receive(b"", Tick(300_000)).1, Some(Event::Failed(Fault::TimedOut)));
    assert!(client.ended());
}

#[test]
fn without_pipelining_one_command_waits_for_the_other() {
    let (mut client, _, _) = against(b"220 x\r\n250 x\r\n");
    client.output().clear();
    let both = [rcpt("ann", "b.test"), rcpt("bob", "b.test")];
    client.send(&mail(), &both, Way::Data).unwrap();
    assert_eq!(client.send(&mail(), &both, Way::Chunks), Err(Fault::Busy));
    for (command, answer) in [
        (&b"MAIL FROM:<a@b.test>\r\n"[..], &b"250 ok\r\n"[..]),
        (b"RCPT TO:<ann@b.test>\r\n", b"250 ok\r\n"),
        (b"RCPT TO:<bob@b.test>\r\n", b"450 later\r\n"),
        (b"DATA\r\n", b"354 go\r\n"),
    ] {
        assert_eq!(
            std::mem::take(client.output()).escape_ascii().to_string(),
            command.escape_ascii().to_string()
        );
        let (used, event) = client.receive(answer, Tick(0));
        assert_eq!(used, answer.len());
        assert!(event.is_some());
    }
    client.content(b".");
    client.end_content();
    assert_eq!(client.output(), b"..\r\n.\r\n");
}
