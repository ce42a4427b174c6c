//! What strangers send: a clear 4xx, and nothing of it comes back unescaped.

use crate::house::{HOST, House, Said};

const POX: &str = "/autodiscover/autodiscover.xml";

fn harmless(said: &Said, what: &str) {
    assert!((400..500).contains(&said.status), "{what}: {}", said.status);
    let text = said.text();
    for bad in ["<script", "evil", "root:", "\0", "onerror"] {
        assert!(!text.contains(bad), "{what}: {text}");
    }
    assert_eq!(said.field("x-evil"), "", "{what}");
}

#[tokio::test]
async fn addresses_that_are_none() {
    let house = House::new().await;
    for address in [
        "ann%40example.test%0d%0aX-Evil:%20y",
        "ann%00%40example.test",
        "%3Cscript%3Eevil%3C/script%3E%40example.test",
        "%22evil%22%3E%40example.test%22onerror=x",
        "ann%40example.test%3Cevil%3E",
        "%ff%fe%40example.test",
        "ann",
        "%40example.test",
        "ann%40",
        "ann%40%5B127.0.0.1%5D",
        "ann%40elsewhere.test",
    ] {
        for (host, target) in [
            ("autoconfig.example.test", format!("/mail/config-v1.1.xml?emailaddress={address}")),
            (
                "autodiscover.example.test",
                format!("/autodiscover/autodiscover.json?Email={address}&Protocol=AutodiscoverV1"),
            ),
            (
                "autodiscover.example.test",
                format!("/autodiscover/autodiscover.json/v1.0/{address}?Protocol=AutodiscoverV1"),
            ),
        ] {
            harmless(&house.get(host, &target).await, &target);
        }
        let page = house.get(HOST, &format!("/guide?address={address}")).await;
        assert_eq!(page.status, 400, "{address}");
        assert!(!page.text().contains("<script") && page.field("x-evil").is_empty(), "{address}");
    }
    let long = "a".repeat(5000);
    harmless(
        &house
            .get(
                "autoconfig.example.test",
                &format!("/mail/config-v1.1.xml?emailaddress={long}@example.test"),
            )
            .await,
        "long",
    );
}

#[tokio::test]
async fn documents_that_are_traps() {
    let house = House::new().await;
    let around = |inner: &str| {
        format!(
            "<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\">\
             <Request>{inner}</Request></Autodiscover>"
        )
    };
    let mut bomb = String::from("<!DOCTYPE lolz [<!ENTITY a \"evil evil evil\">");
    for n in 0..12_u8 {
        let (before, now) = (char::from(b'a' + n), char::from(b'b' + n));
        bomb.push_str(&format!("<!ENTITY {now} \"{}\">", format!("&{before};").repeat(10)));
    }
    bomb.push_str("]>");
    bomb.push_str(&around("<EMailAddress>&m;@example.test</EMailAddress>"));
    let outside = "<!DOCTYPE x [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>".to_owned()
        + &around("<EMailAddress>&x;</EMailAddress>");
    let deep = "<a>".repeat(5000);
    for (what, body) in [
        ("bomb", bomb),
        ("file", outside),
        ("deep", deep),
        ("empty", String::new()),
        ("json", "{}".to_owned()),
        ("no address", around("")),
        ("markup", around("<EMailAddress>&lt;script>evil&lt;/script>@example.test</EMailAddress>")),
        ("foreign", around("<EMailAddress>ann@elsewhere.test</EMailAddress>")),
        ("cut", around("<EMailAddress>ann@example.test").replace("</Request></Autodiscover>", "")),
        ("nul", around("<EMailAddress>ann\0@example.test</EMailAddress>")),
    ] {
        harmless(&house.post("autodiscover.example.test", POX, "text/xml", &body).await, what);
    }
    let huge = "x".repeat(70 << 10);
    let said = house.post("autodiscover.example.test", POX, "text/xml", &huge).await;
    assert_eq!(said.status, 413);
}

#[tokio::test]
async fn hosts_and_paths_that_are_none() {
    let house = House::new().await;
    for host in
        ["", "evil.test", "autoconfig.elsewhere.test", "autoconfig.", "[::1]", "example.test.evil.test"]
    {
        let said = house.get(host, "/mail/config-v1.1.xml").await;
        harmless(&said, host);
        // The pages are the service's in general then.
        assert_eq!(house.get(host, "/guide").await.status, 200, "{host}");
    }
    for target in [
        "/%00",
        "/..%2f..%2fetc/passwd",
        "/guide/..%2f",
        "/guide/%3Cscript%3Eevil",
        "/style-../../x.css",
        "/apple/%3Cscript%3E.svg",
        "/%ff",
    ] {
        harmless(&house.get(HOST, target).await, target);
    }
}
