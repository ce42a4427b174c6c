//! Rules of domains about connecting, exceptions of accounts, and listeners that serve both ways.

use crate::house::{HOST, House, OTHER_HOST};
use crate::wire::{Look, Mailer, Reader, Wire};
use proto::sasl::Mechanism;
use proto::service::Protocol;
use proto::service::policy::{ClearLogin, DomainPolicy, Exception, Stage, Way};

const ANN: &str = "ann@example.test";
const BOB: &str = "bob@example.test";

/// `example.test` keeps verifiers in all tests of this house.
fn base() -> DomainPolicy {
    DomainPolicy { cram_md5: true, ..DomainPolicy::default() }
}

async fn rule(house: &House, policy: DomainPolicy) {
    house.store().directory().put_policy("example.test", policy).await.unwrap();
    house.running().app().refresh().unwrap();
}

async fn except(house: &House, address: &str, change: impl FnOnce(&mut Exception)) {
    let mut exception = Exception {
        reason: "scanner".to_owned(),
        until: i64::MAX,
        ways: Vec::new(),
        mechanisms: Vec::new(),
        clear: false,
    };
    change(&mut exception);
    house.store().directory().put_exception(house.id(address), Some(exception)).await.unwrap();
    house.running().app().refresh().unwrap();
}

fn way(house: &House, protocol: Protocol, listener: &str) -> Way {
    Way { protocol, port: house.at(listener).port() }
}

/// Says lines in clear or under TLS and returns the last answer.
async fn ask(wire: &mut Wire, lines: &[&str]) -> String {
    let mut answer = String::new();
    for line in lines {
        wire.say(format!("{line}\r\n").as_bytes()).await;
        answer = wire.until("\r\n").await;
    }
    answer
}

async fn greeted(house: &House, listener: &str) -> (Wire, String) {
    let mut wire = Wire::clear(house, listener).await;
    let greeting = wire.until("\r\n").await;
    (wire, greeting)
}

#[tokio::test]
async fn a_port_that_the_domain_has_closed_is_refused_after_the_password_and_not_before() {
    let house = House::new().await;
    let open = way(&house, Protocol::Imap, "imaps");
    rule(&house, DomainPolicy { ways: Some(vec![open]), ..base() }).await;
    let wrong = Reader::open(&house, "pop3s").await.login(ANN, "wrong").await;
    let right = Reader::open(&house, "pop3s").await.login(ANN, "ann-pass").await;
    assert!(!wrong.ok && !right.ok);
    assert_eq!((wrong.code.as_deref(), right.code.as_deref()), (Some("AUTH"), Some("AUTH")));
    assert!(wrong.text.contains("Wrong user name or password"), "{}", wrong.text);
    let told = format!("set up IMAP with port {} with SSL/TLS", open.port);
    assert!(right.text.contains(&told), "{}", right.text);
    let mut reader = Reader::open(&house, "pop3s").await;
    assert!(reader.ask("LANG de").await.ok);
    let right = reader.login(ANN, "ann-pass").await;
    let told = format!("im Mailprogramm IMAP mit Port {} mit SSL/TLS einrichten", open.port);
    assert!(right.code.as_deref() == Some("AUTH") && right.text.contains(&told), "{right:?}");
    let mut mailer = Mailer::open(&house, "submissions").await;
    assert_eq!(mailer.plain(ANN, "wrong").await.code, 535);
    let right = mailer.plain(ANN, "ann-pass").await;
    assert_eq!((right.code, right.status), (535, Some((5, 7, 1))));
    assert!(right.lines[0].contains("may not use this port"), "{:?}", right.lines);
    let mut imap = Wire::clear(&house, "imaps").await.secure(&house, &Look::default()).await;
    imap.until("\r\n").await;
    assert!(ask(&mut imap, &[&format!("a LOGIN {ANN} ann-pass")]).await.contains("a OK"));
    // Another domain's people come in where they came in before.
    assert!(Reader::open(&house, "pop3s").await.login("jürgen@other.test", "jürgen-pass").await.ok);
    let facts = house.facts(Some(ANN)).await;
    assert!(facts.contains(&"refused: port, pop3 implicit USER".to_owned()), "{facts:?}");
    assert!(facts.contains(&"refused: port, submission implicit PLAIN".to_owned()), "{facts:?}");
    house.close().await;
}

#[tokio::test]
async fn a_mechanism_that_the_domain_has_turned_off_is_refused() {
    let house = House::new().await;
    let only = Some(vec![Mechanism::ScramSha256]);
    rule(&house, DomainPolicy { mechanisms: only, ..base() }).await;
    // The host serves another domain too, so that what that one takes is offered until the login says whose it is.
    let look = Look { server_name: HOST, certificate: None };
    let mut mailer = Mailer::looking(&house, "submissions", &look).await;
    assert!(mailer.mechanisms().contains(&"PLAIN".to_owned()), "{:?}", mailer.mechanisms());
    let reply = mailer.plain(ANN, "ann-pass").await;
    assert_eq!((reply.code, reply.status), (534, Some((5, 7, 9))));
    let mut imap = Wire::clear(&house, "imaps").await.secure(&house, &look).await;
    imap.until("\r\n").await;
    let answer = ask(&mut imap, &[&format!("a LOGIN {ANN} ann-pass")]).await;
    assert!(answer.contains("a NO [AUTHORIZATIONFAILED] This way to log in is off"), "{answer}");
    imap.say(b"b LANGUAGE fr\r\n").await;
    imap.until("b OK la langue est le français\r\n").await;
    let answer = ask(&mut imap, &[&format!("c LOGIN {ANN} ann-pass")]).await;
    assert!(answer.contains("c NO [AUTHORIZATIONFAILED] Ce mode de connexion est coupé"), "{answer}");
    let facts = house.facts(Some(ANN)).await;
    assert!(facts.contains(&"refused: mechanism, submission implicit PLAIN".to_owned()), "{facts:?}");
    // A host that lies in the other domain narrows the offer to what that one has.
    let look = Look { server_name: OTHER_HOST, certificate: None };
    let names = Mailer::looking(&house, "submissions", &look).await.mechanisms();
    assert!(!names.contains(&"CRAM-MD5".to_owned()), "{names:?}");
    house.close().await;
}

#[tokio::test]
async fn passwords_come_in_clear_only_while_the_stage_observes() {
    let house = House::new().await;
    let staged = DomainPolicy { clear_login: ClearLogin::Staged, ..base() };
    rule(&house, staged.clone()).await;
    let (_, greeting) = greeted(&house, "imap").await;
    assert!(greeting.contains("LOGINDISABLED"), "{greeting}");
    rule(&house, DomainPolicy { stage: Stage::Observe, ..staged }).await;
    let (mut imap, greeting) = greeted(&house, "imap").await;
    assert!(!greeting.contains("LOGINDISABLED") && greeting.contains("STARTTLS"), "{greeting}");
    assert!(greeting.contains("AUTH=SCRAM-SHA-256 "), "{greeting}");
    assert!(ask(&mut imap, &[&format!("a LOGIN {ANN} ann-pass")]).await.contains("a OK"));
    let (mut pop, _) = greeted(&house, "pop3").await;
    assert!(ask(&mut pop, &[&format!("USER {ANN}"), "PASS ann-pass"]).await.starts_with("+OK"));
    let (mut mail, _) = greeted(&house, "submission").await;
    mail.say(b"EHLO a\r\n").await;
    assert!(mail.until("250 HELP\r\n").await.contains("AUTH "));
    let plain = "AUTH PLAIN AGFubkBleGFtcGxlLnRlc3QAYW5uLXBhc3M=";
    assert!(ask(&mut mail, &[plain]).await.starts_with("235 "));
    let facts = house.facts(Some(ANN)).await;
    for fact in ["login, imap clear USER", "login, pop3 clear USER", "login, submission clear PLAIN"] {
        assert!(facts.contains(&fact.to_owned()), "{facts:?}");
    }
    // The other domain's stage is not this one's. Its password was sent, and that is noted.
    let (mut pop, _) = greeted(&house, "pop3").await;
    let said = ask(&mut pop, &["USER jürgen@other.test", "PASS jürgen-pass"]).await;
    assert!(said.starts_with("-ERR [AUTH] Encryption required"), "{said}");
    assert_eq!(
        house.facts(Some("jürgen@other.test")).await,
        ["refused: needs TLS, password exposed, pop3 clear USER"]
    );
    house.close().await;
}

#[tokio::test]
async fn an_exception_lets_one_account_in_where_servers_deliver() {
    let house = House::new().await;
    assert!(Mailer::open(&house, "smtp").await.mechanisms().is_empty());
    let port = way(&house, Protocol::Smtp, "smtp");
    except(&house, ANN, |exception| exception.ways = vec![port]).await;
    let mut mailer = Mailer::open(&house, "smtp").await;
    assert!(!mailer.mechanisms().is_empty());
    assert_eq!(mailer.plain(BOB, "bob-pass").await.status, Some((5, 7, 1)));
    assert_eq!(mailer.plain(ANN, "ann-pass").await.code, 235);
    except(&house, ANN, |exception| {
        exception.ways = vec![port];
        exception.until = 1;
    })
    .await;
    assert!(Mailer::open(&house, "smtp").await.mechanisms().is_empty(), "its day has come");
    house.close().await;
}

#[tokio::test]
async fn an_exception_lets_one_account_log_in_in_clear() {
    let house = House::new().await;
    except(&house, ANN, |exception| exception.clear = true).await;
    let (mut pop, _) = greeted(&house, "pop3").await;
    let said = ask(&mut pop, &[&format!("USER {BOB}"), "PASS bob-pass"]).await;
    assert!(said.starts_with("-ERR [AUTH] Encryption required"), "{said}");
    assert!(ask(&mut pop, &[&format!("USER {ANN}"), "PASS ann-pass"]).await.starts_with("+OK"));
    house.close().await;
}

#[tokio::test]
async fn both_ways_on_the_ports_where_tls_comes_first() {
    let house = House::with(|settings| {
        settings.model.greeting_wait_millis = 100;
        let rows = settings.model.listeners.iter_mut();
        rows.filter(|row| row.name.ends_with('s')).for_each(|row| row.either_way = true);
    })
    .await;
    for (listener, hello, upgrade) in
        [("imaps", "", "a STARTTLS"), ("pop3s", "", "STLS"), ("submissions", "EHLO a", "STARTTLS")]
    {
        let (mut wire, greeting) = greeted(&house, listener).await;
        if listener == "imaps" {
            assert!(greeting.contains("STARTTLS") && greeting.contains("LOGINDISABLED"), "{greeting}");
        }
        if !hello.is_empty() {
            wire.say(format!("{hello}\r\n").as_bytes()).await;
            let offer = wire.until("250 HELP\r\n").await;
            assert!(offer.contains("STARTTLS") && !offer.contains("AUTH"), "{offer}");
        }
        let said = ask(&mut wire, &[upgrade]).await;
        assert!(["a OK", "+OK", "220 "].iter().any(|ok| said.starts_with(ok)), "{said}");
        let mut wire = wire.secure(&house, &Look::default()).await;
        // Nobody greets twice (RFC 3207 4.2): the first line is the answer to the first command.
        let login = match listener {
            "imaps" => vec![format!("b LOGIN {ANN} ann-pass")],
            "pop3s" => vec![format!("USER {ANN}"), "PASS ann-pass".to_owned()],
            _ => {
                wire.say(b"EHLO a\r\n").await;
                wire.until("250 HELP\r\n").await;
                vec!["AUTH PLAIN AGFubkBleGFtcGxlLnRlc3QAYW5uLXBhc3M=".to_owned()]
            }
        };
        let said = ask(&mut wire, &login.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert!(["b OK", "+OK", "235 "].iter().any(|ok| said.contains(ok)), "{said}");
    }
    // The usual way stays what it was.
    assert!(Reader::open(&house, "pop3s").await.login(ANN, "ann-pass").await.ok);
    let facts = house.facts(Some(ANN)).await;
    for fact in [
        "login, imap either-way USER",
        "login, pop3 either-way USER",
        "login, pop3 implicit USER",
        "login, submission either-way PLAIN",
    ] {
        assert!(facts.contains(&fact.to_owned()), "{facts:?}");
    }
    house.close().await;
}

#[tokio::test]
async fn tls_on_a_port_that_begins_in_clear_is_noted() {
    let house = House::new().await;
    let (mut wire, _) = greeted(&house, "imap").await;
    wire.say(b"\x16\x03\x01\x00\x05\x01").await;
    wire.rest().await;
    assert_eq!(house.facts(None).await, ["handshake: TLS on a STARTTLS port, imap failed"]);
    house.close().await;
}
