//! Signing in to the doctor's page: the same answer for whoever may not, the rules of the domain, other sites' pages, limits.

use crate::house::{HOST, House, PASSWORD, Said};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use net::dns::Resolver;
use net::https::Handler;
use net::tls::Certificates;
use proto::proof::TlsVersion;
use proto::sasl::Mechanism;
use proto::service::Protocol;
use proto::service::policy::{DomainPolicy, Way};
use server::app::App;
use std::sync::Arc;
use store::system::directory::Domain;
use web::doctor::{Limits, Surgery};

const FORM: &str = "application/x-www-form-urlencoded";
const ASKED: &str = "/doctor?lang=en&address=127.0.0.1";

fn pages(app: Arc<App>, certificates: Arc<Certificates>) -> Arc<dyn Handler> {
    let limits = Limits { account_examinations_max: 2, ..Limits::default() };
    let surgery = Surgery::new(Resolver::fixed(Vec::new(), Vec::new()), limits).for_accounts();
    Arc::new(web::Web::with_surgery(app, certificates, Some(surgery)))
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

async fn get(house: &House, target: &str, fields: &str) -> Said {
    house.get_with(HOST, target, fields).await
}

async fn post(house: &House, fields: &str) -> Said {
    let body = "lang=en&address=127.0.0.1";
    let head = format!(
        "POST /doctor?lang=en HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {FORM}\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    house.say(head.as_bytes()).await
}

/// Asked for the password, and told nothing else.
fn asked_for_it(said: &Said) -> String {
    assert_eq!(said.status, 401);
    assert_eq!(said.field("www-authenticate"), format!("Basic realm=\"{HOST}\", charset=\"UTF-8\""));
    assert_eq!(said.field("cache-control"), "no-store");
    let text = said.text();
    assert!(text.contains("<h1>Sign in</h1>") && !text.contains("<form"), "{text}");
    text
}

#[tokio::test]
async fn the_right_password_opens_the_page() {
    let house = House::with_pages(pages).await;
    let ann = house.add("ann@example.test", true).await;
    asked_for_it(&get(&house, "/doctor?lang=en", "").await);
    asked_for_it(&get(&house, ASKED, "").await);
    let right = basic("Ann@Example.test", PASSWORD);
    let form = get(&house, "/doctor?lang=en", &right).await;
    assert_eq!((form.status, form.field("cache-control")), (200, "no-store"));
    assert!(form.text().contains("<form method=\"get\" action=\"/doctor\">"));
    let said = get(&house, ASKED, &right).await;
    assert_eq!(said.status, 200);
    assert!(said.text().contains("<h2>Answer</h2>"));
    // Other pages are for everyone, and the front page leads here.
    assert!(get(&house, "/", "").await.text().contains("href=\"/doctor"));
    assert_eq!(house.facts(Some(ann)).await, ["login, web on https, implicit, \"Basic\", 2"]);
}

#[tokio::test]
async fn whoever_may_not_gets_one_answer() {
    let house = House::with_pages(pages).await;
    let ann = house.add("ann@example.test", true).await;
    house.add("off@example.test", false).await;
    let mut answers = std::collections::BTreeSet::new();
    for (user, password) in [
        ("ann@example.test", "wrong"),
        ("off@example.test", PASSWORD),
        ("nobody@example.test", PASSWORD),
        ("ann@elsewhere.test", PASSWORD),
        ("ann", PASSWORD),
        ("", PASSWORD),
        ("ann@example.test", ""),
    ] {
        let said = get(&house, ASKED, &basic(user, password)).await;
        answers.insert(asked_for_it(&said));
    }
    for malformed in ["Basic", "Basic !", "Bearer abc", "Basic YW5u"] {
        let said = get(&house, ASKED, &format!("Authorization: {malformed}\r\n")).await;
        answers.insert(asked_for_it(&said));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(house.facts(Some(ann)).await, ["login failed, web on https, implicit, \"Basic\", 1"]);
    // An empty name and an empty password were never tried, nor was what is malformed.
    let nobodys = house.facts(None).await;
    assert_eq!(
        nobodys,
        [
            "login failed, web on https, implicit, \"Basic\", 2",
            "login failed: bare local part, web on https, implicit, \"Basic\", 1"
        ]
    );
}

#[tokio::test]
async fn the_rules_of_the_domain_have_the_last_word() {
    let house = House::with_pages(pages).await;
    let ann = house.add("ann@example.test", true).await;
    let web = |port| Way { protocol: Protocol::Web, port };
    let own = house.at(proto::service::Protection::Implicit).port();
    let base = DomainPolicy::default;
    for (policy, status) in [
        (DomainPolicy { ways: Some(vec![web(1)]), ..base() }, 403),
        (DomainPolicy { ways: Some(vec![web(own)]), ..base() }, 200),
        (DomainPolicy { mechanisms: Some(vec![Mechanism::ScramSha256]), ..base() }, 403),
        (DomainPolicy { mechanisms: Some(vec![Mechanism::Plain]), ..base() }, 200),
        (DomainPolicy { tls_min: TlsVersion::Tls13, ..base() }, 200),
    ] {
        let domain = Domain { policy: policy.clone(), ..Domain::named("example.test") };
        house.running().app().store.directory().put_domain(domain, true).await.unwrap();
        house.running().app().refresh().unwrap();
        let said = get(&house, "/doctor?lang=en", &basic("ann@example.test", PASSWORD)).await;
        assert_eq!(said.status, status, "{policy:?}");
        if status == 403 {
            assert!(said.text().contains("The rules for your account") && !said.text().contains("<form"));
        }
        // Before the password is right nobody hears of rules.
        asked_for_it(&get(&house, "/doctor?lang=en", &basic("ann@example.test", "wrong")).await);
    }
    let facts = house.facts(Some(ann)).await;
    for outcome in ["refused: port", "refused: mechanism", "login"] {
        assert!(facts.iter().any(|fact| fact.starts_with(&format!("{outcome}, web on https"))), "{facts:?}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_ask_nothing() {
    let house = House::with_pages(pages).await;
    let ann = house.add("ann@example.test", true).await;
    let right = basic("ann@example.test", PASSWORD);
    let elsewhere = [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: whatever\r\n",
        "Origin: https://evil.test\r\n",
        "Origin: https://mail.hoster.test.evil.test\r\n",
        "Origin: http://mail.hoster.test\r\n",
        "Origin: null\r\n",
    ];
    for field in elsewhere {
        let fields = format!("{right}{field}");
        let said = post(&house, &fields).await;
        assert_eq!(said.status, 403, "{field}");
        assert!(!said.text().contains("<h2>Answer</h2>"), "{field}");
        // A link is followed: the question stands in the form, and nothing was asked.
        let said = get(&house, &format!("{ASKED}&now=imap:143:none"), &fields).await;
        let text = said.text();
        assert_eq!(said.status, 200, "{field}");
        assert!(text.contains("This question came from another page"), "{field}: {text}");
        assert!(text.contains("value=\"127.0.0.1\"") && text.contains("value=\"imap:143:none\""), "{text}");
        assert!(!text.contains("<h2>Answer</h2>"), "{field}");
        assert_eq!(get(&house, &format!("{ASKED}&format=json"), &fields).await.status, 403, "{field}");
    }
    // The password was not even looked at.
    assert!(house.facts(Some(ann)).await.is_empty());
    for field in ["Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n", "Origin: https://MAIL.hoster.test\r\n"] {
        let said = post(&house, &format!("{right}{field}")).await;
        assert!(said.status == 200 && said.text().contains("<h2>Answer</h2>"), "{field}");
    }
    // The port belongs to a page's origin.
    for (origin, status) in [("https://mail.hoster.test:8443", 200), ("https://mail.hoster.test", 403)] {
        let head = format!(
            "POST /doctor?lang=en HTTP/1.1\r\nHost: {HOST}:8443\r\n{right}Origin: {origin}\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(house.say(head.as_bytes()).await.status, status, "{origin}");
    }
    let said = get(&house, "/doctor", &format!("{right}Sec-Fetch-Site: cross-site\r\n")).await;
    assert_eq!(said.status, 200, "a link to the empty form");
}

#[tokio::test]
async fn an_account_has_its_share() {
    let house = House::with_pages(pages).await;
    for address in ["ann@example.test", "bob@example.test"] {
        house.add(address, true).await;
        let right = basic(address, PASSWORD);
        for _ in 0..2 {
            assert_eq!(get(&house, ASKED, &right).await.status, 200, "{address}");
        }
        let said = get(&house, ASKED, &right).await;
        assert_eq!(said.status, 429, "{address}");
        let seconds: u64 = said.field("retry-after").parse().unwrap();
        assert!((1..=600).contains(&seconds), "{seconds}");
        // The form is still there.
        assert_eq!(get(&house, "/doctor", &right).await.status, 200, "{address}");
    }
}

#[tokio::test]
async fn in_clear_no_password_is_looked_at() {
    let house = House::with_pages(pages).await;
    let ann = house.add("ann@example.test", true).await;
    for password in [PASSWORD, "wrong"] {
        let head =
            format!("GET {ASKED} HTTP/1.1\r\nHost: {HOST}\r\n{}\r\n", basic("ann@example.test", password));
        let said = house.say_in_clear(head.as_bytes()).await;
        assert_eq!((said.status, said.field("www-authenticate")), (301, ""));
        assert!(said.field("location").starts_with("https://"), "{}", said.field("location"));
    }
    assert!(house.facts(Some(ann)).await.is_empty());
    assert_eq!(
        house.facts(None).await,
        ["refused: needs TLS, password exposed, web on http, clear, \"Basic\", 2"]
    );
}
