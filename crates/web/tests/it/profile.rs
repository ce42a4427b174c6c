//! Apple's profile: the form, the link, the code, and the signature as openssl sees it.

use crate::house::{HOST, House};
use proto::discovery::apple;
use std::process::Command;

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn a_link_leads_to_a_signed_profile() {
    let house = House::new().await;
    let made = house
        .post(
            HOST,
            "/guide/apple?lang=de",
            FORM,
            "address=ann%40example.test&name=Ann+%3C%26%3E&protocol=imap",
        )
        .await;
    assert_eq!(made.status, 303);
    let link = made.field("location").to_owned();
    let (path, query) = link.split_once('?').unwrap();
    assert_eq!((path.len(), query), ("/apple/".len() + 32, "lang=de"));
    let page = house.get(HOST, &link).await.text();
    assert!(page.contains("ann@example.test") && page.contains(&format!("src=\"{path}.svg\"")), "{page}");
    let code = house.get(HOST, &format!("{path}.svg")).await;
    assert_eq!((code.status, code.field("content-type")), (200, "image/svg+xml"));
    assert!(code.text().contains("<svg"));

    let profile = house.get(HOST, &format!("{path}.mobileconfig")).await;
    assert_eq!(profile.field("content-type"), "application/x-apple-aspen-config");
    assert_eq!(profile.field("content-disposition"), "attachment; filename=\"mail.mobileconfig\"");
    assert_eq!(profile.field("cache-control"), "no-store");
    let file = house.directory.path().join("profile");
    std::fs::write(&file, &profile.body).unwrap();
    let said = Command::new("openssl")
        .args(["cms", "-verify", "-inform", "DER", "-binary", "-purpose", "any", "-in"])
        .arg(&file)
        .arg("-CAfile")
        .arg(house.authority.certificate_file())
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let document = apple::parse(&said.stdout).unwrap();
    assert_eq!(document.incoming[0].host, HOST);
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.contains("ann@example.test") && text.contains("Ann &lt;&amp;&gt;"), "{text}");
    assert!(!text.to_lowercase().contains("password</key>\n\t<string>"), "{text}");
}

#[tokio::test]
async fn nobody_gets_a_link_for_what_is_not_ours() {
    let house = House::new().await;
    for (body, status) in [
        ("address=ann%40elsewhere.test", 404),
        ("address=ann", 400),
        ("", 400),
        ("address=ann%40example.test%0d%0aX:y", 400),
        ("address=%3Cscript%3E", 400),
    ] {
        let said = house.post(HOST, "/guide/apple", FORM, body).await;
        assert_eq!(said.status, status, "{body}");
        assert!(!said.text().contains("<script"), "{body}");
    }
    for token in ["", "0", "00000000000000000000000000000000", "%00", "../etc"] {
        for end in ["", ".mobileconfig", ".svg"] {
            assert_eq!(house.get(HOST, &format!("/apple/{token}{end}")).await.status, 404, "{token}{end}");
        }
    }
    // Whether there is an account makes no difference: there is none here at all.
    let made = house.post(HOST, "/guide/apple", FORM, "address=whoever%40example.test").await;
    assert_eq!(made.status, 303);
}
