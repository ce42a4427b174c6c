//! The doctor's page: off unless the operator offers it, never led inside, limited, and readable while it works.

use crate::house::{HOST, House};
use net::dns::Resolver;
use net::https::Handler;
use net::tls::Certificates;
use proto::discovery::dns::{Data, Record};
use server::app::App;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use web::doctor::{Limits, Surgery};

/// Something inside that must never be spoken to.
static INSIDE: LazyLock<TcpListener> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
});

/// A stranger's DNS, all names of which lead inside; to this machine, so that no test leaves it whatever is broken.
fn stranger() -> Resolver {
    let port = INSIDE.local_addr().unwrap().port();
    let record = |name: &str, data| Record { name: name.to_owned(), data };
    let address = |text: &str| Data::Address(text.parse().unwrap());
    let records = vec![
        record("mail.evil.test", address("127.0.0.1")),
        record("mail.evil.test", address("::1")),
        record("evil.test", address("127.0.0.1")),
        record("autoconfig.evil.test", address("127.0.0.1")),
        record("other.evil.test", address("127.7.7.7")),
        record(
            "_imaps._tcp.evil.test",
            Data::Srv { priority: 0, weight: 0, port, target: "mail.evil.test".to_owned() },
        ),
        record(
            "_submissions._tcp.evil.test",
            Data::Srv { priority: 0, weight: 0, port, target: "other.evil.test".to_owned() },
        ),
    ];
    Resolver::fixed(records, Vec::new())
}

fn pages(app: Arc<App>, certificates: Arc<Certificates>) -> Arc<dyn Handler> {
    let limits = Limits { network_examinations_max: 4, ..Limits::default() };
    let surgery = Surgery::new(stranger(), limits);
    Arc::new(web::Web::with_surgery(app, certificates, Some(surgery)))
}

#[tokio::test]
async fn it_is_off_unless_the_operator_offers_it() {
    let house = House::new().await;
    for target in ["/doctor", "/doctor?address=me@evil.test", "/doctor?address=me@evil.test&format=json"] {
        assert_eq!(house.get(HOST, target).await.status, 404, "{target}");
    }
    let said = house.post(HOST, "/doctor", "application/x-www-form-urlencoded", "address=me@evil.test").await;
    assert_eq!(said.status, 404);
    assert!(!house.get(HOST, "/").await.text().contains("/doctor"));
}

#[tokio::test]
async fn the_form_is_there_in_every_language() {
    let house = House::with_pages(pages).await;
    for lang in ["en", "de", "el", "es", "fr"] {
        let said = house.get(HOST, &format!("/doctor?lang={lang}")).await;
        assert_eq!((said.status, said.field("content-type")), (200, "text/html; charset=utf-8"));
        let text = said.text();
        assert!(text.contains(&format!("<html lang=\"{lang}\">")), "{lang}");
        assert!(
            text.contains("<form method=\"get\" action=\"/doctor\">") && text.contains("name=\"address\"")
        );
        assert!(
            !text.contains("type=\"password\"") && !text.contains("<script") && !text.contains(" style=")
        );
        assert!(
            text.contains("<option value=\"outlook") && !text.contains("<ol class=\"progress\""),
            "{text}"
        );
        // Each label is of a field that exists.
        for label in text.split("<label for=\"").skip(1) {
            let id = label.split('"').next().unwrap();
            assert!(text.contains(&format!(" id=\"{id}\"")), "{id}");
        }
        assert!(house.get(HOST, &format!("/?lang={lang}")).await.text().contains("href=\"/doctor"));
    }
    // Who asks for the header alone has nothing examined.
    let head = format!("HEAD /doctor?address=me@evil.test HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    for _ in 0..8 {
        assert_eq!(house.say(head.as_bytes()).await.status, 200);
    }
}

#[tokio::test]
async fn mistakes_are_said_and_nothing_comes_back_unescaped() {
    let house = House::with_pages(pages).await;
    for address in ["me", "localhost", "me@localhost", "%22%3E%3Cscript%3Eevil", "me@127.0.0.1", "%ff@x.test"]
    {
        let said = house.get(HOST, &format!("/doctor?lang=en&address={address}")).await;
        let text = said.text();
        assert_eq!(said.status, 400, "{address}");
        assert!(text.contains("role=\"alert\"") && !text.contains("<script"), "{address}: {text}");
        let json = house.get(HOST, &format!("/doctor?format=json&address={address}")).await;
        assert_eq!((json.status, json.field("content-type")), (400, "text/plain; charset=utf-8"));
    }
    let target = "/doctor?lang=en&address=me@evil.test&reading-protocol=imap&reading-port=%3Cb%3E&reading-security=none";
    let said = house.get(HOST, target).await;
    assert_eq!(said.status, 400);
    let text = said.text();
    assert!(text.contains("a port is a number") && text.contains("value=\"&#60;b&#62;\""), "{text}");
}

#[tokio::test]
async fn nobody_is_led_inside() {
    let house = House::with_pages(pages).await;
    for target in [
        "/doctor?format=json&address=me@evil.test",
        "/doctor?format=json&address=mail.evil.test",
        "/doctor?format=json&address=127.0.0.1",
    ] {
        let said = house.get(HOST, target).await;
        assert_eq!((said.status, said.field("content-type")), (200, "application/json"), "{target}");
        let text = said.text();
        let forbidden = text.matches("\"reach\": \"forbidden\"").count();
        assert_eq!(forbidden, text.matches("\"reach\":").count(), "{text}");
        assert!(forbidden >= 10, "{text}");
        // Nor is it told what the names lead to.
        assert!(!text.contains("127.7.7.7") && !text.contains("\"address\": \"::1\""), "{text}");
        assert!(!text.contains("\"address\": \"127.0.0.1\""), "{text}");
    }
    let error = INSIDE.accept().expect_err("something inside was connected to");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn the_answer_is_streamed_as_a_page() {
    let house = House::with_pages(pages).await;
    let target = "/doctor?lang=de&client=thunderbird&address=me@evil.test&now=imap:143:none";
    let said = house.get(HOST, target).await;
    assert_eq!((said.status, said.field("cache-control")), (200, "no-store"));
    assert_eq!(said.field("transfer-encoding"), "chunked");
    assert!(said.field("content-security-policy").starts_with("default-src 'none'"));
    // The head, what was done, the answer.
    assert!(said.pieces >= 3, "{}", said.pieces);
    let text = said.text();
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(at("<ol class=\"progress\"") < at("<li lang=\"en\">"), "{text}");
    assert!(at("<li lang=\"en\">") < at("</ol>\n<h2>Antwort</h2>"), "{text}");
    assert!(at("class=\"verdict") < at("</main>"), "{text}");
    assert!(text.trim_end().ends_with("</html>") && !text.contains("here -->"), "{text}");
    assert_eq!(text.matches("<ol").count(), text.matches("</ol>").count());
    // What was typed stands in the form again.
    assert!(text.contains("value=\"me@evil.test\""));
    // The same from a form that is posted.
    let form = "application/x-www-form-urlencoded";
    let said = house.post(HOST, "/doctor?lang=en", form, "address=mail.evil.test").await;
    assert_eq!(said.status, 200);
    assert!(said.text().contains("<h2>Answer</h2>"));
}

/// A DNS server that never answers.
static SILENT: LazyLock<UdpSocket> = LazyLock::new(|| UdpSocket::bind("127.0.0.1:0").unwrap());

fn slow_pages(app: Arc<App>, certificates: Arc<Certificates>) -> Arc<dyn Handler> {
    let resolver = Resolver::at(SILENT.local_addr().unwrap(), Duration::from_secs(30));
    let surgery = Surgery::new(resolver, Limits { running_max: 1, ..Limits::default() });
    Arc::new(web::Web::with_surgery(app, certificates, Some(surgery)))
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_examination() {
    let house = House::with_pages(slow_pages).await;
    for target in ["/doctor?address=me@slow.test", "/doctor?format=json&address=me@slow.test"] {
        // It would take the whole time that there is for looking up, four seconds; the client leaves early.
        let begun = Instant::now();
        let first = async {
            let early = tokio::time::timeout(Duration::from_millis(600), house.get(HOST, target)).await;
            assert!(early.is_err(), "{target} was answered at once");
        };
        let second = async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            let busy = house.get(HOST, target).await;
            assert_eq!((busy.status, busy.field("retry-after")), (429, "10"), "{target}");
        };
        tokio::join!(first, second);
        loop {
            let next = tokio::time::timeout(Duration::from_millis(700), house.get(HOST, target)).await;
            // A page that has begun to come means that the place was free.
            if !next.is_ok_and(|said| said.status == 429) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_millis(3500), "{target} goes on for nobody");
        }
        // That one ends for nobody, too.
        tokio::time::sleep(Duration::from_millis(2500)).await;
    }
}

#[tokio::test]
async fn a_network_has_its_share() {
    let house = House::with_pages(pages).await;
    for _ in 0..4 {
        assert_eq!(house.get(HOST, "/doctor?format=json&address=127.0.0.1").await.status, 200);
    }
    for format in ["json", "html"] {
        let said = house.get(HOST, &format!("/doctor?lang=en&format={format}&address=127.0.0.1")).await;
        assert_eq!(said.status, 429);
        let seconds: u64 = said.field("retry-after").parse().unwrap();
        assert!((1..=600).contains(&seconds), "{seconds}");
    }
    // The form is still there.
    assert_eq!(house.get(HOST, "/doctor").await.status, 200);
}
