//! The pages for people: languages, headers, methods, caching.

use crate::house::{HOST, House};

const LANGS: [&str; 5] = ["en", "de", "el", "es", "fr"];
const PAGES: [&str; 8] = [
    "/",
    "/guide",
    "/guide/ports",
    "/guide/systems",
    "/guide/failures",
    "/guide/apple",
    "/guide/thunderbird",
    "/guide/thunderbird/switch/pop3",
];

#[tokio::test]
async fn every_page_is_there_in_every_language() {
    let house = House::new().await;
    for lang in LANGS {
        for page in PAGES {
            let said = house.get(HOST, &format!("{page}?lang={lang}")).await;
            assert_eq!(said.status, 200, "{page} {lang}");
            assert_eq!(said.field("content-type"), "text/html; charset=utf-8");
            assert_eq!(said.field("vary"), "accept-language");
            let text = said.text();
            assert!(text.contains(&format!("<html lang=\"{lang}\">")), "{page} {lang}");
            assert_eq!(text.matches("<h1>").count(), 1, "{page} {lang}");
            assert!(text.contains("class=\"skip\" href=\"#content\"") && text.contains("id=\"content\""));
            assert!(!text.contains("<script") && !text.contains(" style="), "{page}");
            // The choice of a language goes along.
            assert!(text.contains(&format!("href=\"/guide?lang={lang}\"")), "{page} {lang}");
        }
    }
}

#[tokio::test]
async fn the_browser_says_which_language() {
    let house = House::new().await;
    for (field, lang) in
        [("de-AT,de;q=0.9,en;q=0.5", "de"), ("el", "el"), ("ja", "en"), ("fr;q=0.1,es", "es")]
    {
        let said = house.get_with(HOST, "/guide", &format!("Accept-Language: {field}\r\n")).await;
        assert!(said.text().contains(&format!("<html lang=\"{lang}\">")), "{field}");
    }
    // What was chosen goes before, and nonsense is none.
    let said = house.get_with(HOST, "/?lang=fr", "Accept-Language: de\r\n").await;
    assert!(said.text().contains("<html lang=\"fr\">"));
    let said = house.get_with(HOST, "/?lang=%3Cx%3E", "Accept-Language: de\r\n").await;
    assert!(said.text().contains("<html lang=\"de\">"));
}

#[tokio::test]
async fn an_address_fills_in_the_readers_values() {
    let house = House::new().await;
    let said = house.get(HOST, "/guide/thunderbird?address=ann%2Bx%40example.test&lang=en").await;
    assert_eq!(said.status, 200);
    assert_eq!(said.field("cache-control"), "no-store");
    let text = said.text();
    assert!(text.contains("<code>ann+x@example.test</code>") && text.contains(HOST), "{text}");
    // It goes along in the links, as the query that it was.
    assert!(text.contains("address=ann%2Bx%40example.test"), "{text}");
    let apple = house.get(HOST, "/guide/apple-mail-ios?address=ann%40example.test").await.text();
    assert!(apple.contains("href=\"/guide/apple?address=ann%40example.test\""), "{apple}");
    // One of another's domain, and none at all: said so, and the page is shown all the same.
    let foreign = house.get(HOST, "/guide?address=ann@elsewhere.test").await;
    assert_eq!(foreign.status, 400);
    assert!(foreign.text().contains("This service has no mail for elsewhere.test."));
    let none = house.get(HOST, "/guide?address=ann").await;
    assert_eq!(none.status, 400);
    assert!(none.text().contains("role=\"alert\""));
    // The same for an account that does not exist as for any other: nothing is looked up.
    let a = house.get("example.test", "/guide/thunderbird?address=aaa@example.test").await.text();
    let b = house.get("example.test", "/guide/thunderbird?address=bbb@example.test").await.text();
    assert_eq!(a.replace("aaa", "bbb"), b);
}

#[tokio::test]
async fn every_answer_is_dressed() {
    let house = House::new().await;
    for target in ["/", "/nothing", "/guide/nothing", "/mail/config-v1.1.xml", "/apple/00"] {
        let said = house.get("mail.example.test", target).await;
        let policy = said.field("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"));
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(said.field(name), value, "{target}");
        }
    }
    // In clear HSTS means nothing (RFC 6797 7.2).
    let clear = house.say_in_clear(b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n").await;
    assert_eq!((clear.status, clear.field("strict-transport-security")), (301, ""));
}

#[tokio::test]
async fn what_stays_the_same_is_not_sent_again() {
    let house = House::new().await;
    let front = house.get(HOST, "/").await.text();
    let (_, style) = front.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let (style, _) = style.split_once('"').unwrap();
    for (target, cache) in [
        (style, "public, max-age=31536000, immutable"),
        ("/", "public, max-age=300"),
        ("/icon.svg", "public, max-age=300"),
    ] {
        let first = house.get(HOST, target).await;
        assert_eq!((first.status, first.field("cache-control")), (200, cache), "{target}");
        let tag = first.field("etag").to_owned();
        let again = house.get_with(HOST, target, &format!("If-None-Match: {tag}\r\n")).await;
        assert_eq!((again.status, again.body.len(), again.field("etag")), (304, 0, tag.as_str()), "{target}");
        let other = house.get_with(HOST, target, "If-None-Match: \"other\"\r\n").await;
        assert_eq!(other.status, 200);
    }
    assert_eq!(house.get(HOST, "/style-00000000.css").await.status, 404);
}

#[tokio::test]
async fn methods_are_those_of_the_table() {
    let house = House::new().await;
    let head = house.say(format!("HEAD /guide HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await;
    let get = house.get(HOST, "/guide").await;
    assert_eq!(head.field("content-length"), get.body.len().to_string());
    assert_eq!((head.status, head.body.len()), (200, 0));
    for (method, target, status, allow) in [
        ("OPTIONS", "/", 204, "GET, HEAD, OPTIONS"),
        ("OPTIONS", "/guide/apple", 204, "GET, HEAD, POST, OPTIONS"),
        ("DELETE", "/", 405, "GET, HEAD, OPTIONS"),
        ("PUT", "/autodiscover/autodiscover.xml", 405, "GET, HEAD, POST, OPTIONS"),
        ("TRACE", "/guide", 405, "GET, HEAD, OPTIONS"),
    ] {
        let ask = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let said = house.say(ask.as_bytes()).await;
        assert_eq!((said.status, said.field("allow")), (status, allow), "{method} {target}");
    }
    assert_eq!(house.get(HOST, "/nothing").await.status, 404);
    assert!(house.get(HOST, "/robots.txt").await.text().contains("Disallow: /apple/"));
}

#[tokio::test]
async fn in_clear_there_are_only_ways_out() {
    let house = House::new().await;
    let say = async |octets: &str| house.say_in_clear(octets.as_bytes()).await;
    let app = house.running().app();
    app.challenges.put_http("token-1", "token-1.thumb");
    let said = say("GET /.well-known/acme-challenge/token-1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!((said.status, said.text().as_str()), (200, "token-1.thumb"));
    app.challenges.forget("token-1");
    let said = say("GET /.well-known/acme-challenge/token-1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(said.status, 404);
    // A stranger's name leads to ours; nothing in the target makes another host of it.
    for target in ["//evil.test/x", "/x", "/\\evil.test"] {
        let said = say(&format!("GET {target} HTTP/1.1\r\nHost: evil.test\r\n\r\n")).await;
        let to = said.field("location");
        assert!(to.starts_with(&format!("https://{HOST}:")), "{to}");
        assert!(!to.contains("//evil"), "{to}");
    }
    let said = say("POST /guide/apple HTTP/1.1\r\nHost: example.test\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(said.status, 308);
}
